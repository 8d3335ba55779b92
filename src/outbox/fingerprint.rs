//! What a table holds, as a count and a hash that does not depend on the order of its rows: the same on every server
//! that has the same rows, whatever its settings. Runs inside the caller's transaction; decides nothing.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::Error;
use super::images;

/// Parts of a table by the hash of the key: what differs is looked for in the parts that differ.
const PARTS: i32 = 256;

/// Rows of the parts that differ that are compared one by one; the parts of a larger table are looked at in part.
const ROWS_MAX: i64 = 100_000;

/// What is to be measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Measure {
    /// Quoted, qualified name.
    pub relation: String,
    /// The columns compared, in this order whatever the table's own is.
    pub columns: Vec<String>,
    /// The primary key.
    pub key: Vec<String>,
    /// The parts whose rows are wanted one by one; `None` for the sums of all parts.
    pub parts: Option<Vec<i32>>,
}

/// What was measured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Measured {
    /// Part → rows and the sum of their hashes.
    pub sums: BTreeMap<i32, (i64, String)>,
    /// Key as JSON → the row's hash, of the parts asked for.
    pub rows: BTreeMap<String, String>,
}

impl Measure {
    /// Reads from home which columns there are.
    pub async fn of(home: &impl GenericClient, relation: &str, name: &str) -> Result<Self, Error> {
        let at = |source| Error::Shard { shard: name.to_owned(), source };
        let shape = images::shape(home, relation).await.map_err(at)?;
        if shape.key.is_empty() {
            return Err(Error::SchemaDrift(format!("{relation} on shard \"{name}\" is missing or has no primary key")));
        }
        let mut columns = shape.stored;
        columns.sort_unstable();
        Ok(Self { relation: relation.to_owned(), columns, key: shape.key, parts: None })
    }

    /// Returns the query of keys, their parts and the hashes of rows.
    fn rows_query(&self) -> String {
        format!(
            "SELECT k, ('x' || substr(md5(convert_to(k, 'UTF8')), 1, 2))::bit(8)::int AS part, \
             md5(convert_to(v, 'UTF8')) AS hash FROM (SELECT json_build_object({})::text AS k, \
             row_to_json(ROW({}))::text AS v FROM {} t) r",
            images::pairs(&self.key),
            images::list(&self.columns, "t."),
            self.relation
        )
    }

    /// Measures on one shard.
    pub async fn run(&self, client: &impl GenericClient, shard: &str) -> Result<Measured, Error> {
        let at = |source| Error::Shard { shard: shard.to_owned(), source };
        let rows = self.rows_query();
        let mut measured = Measured::default();
        match &self.parts {
            None => {
                let half = |from: u8| format!("sum(('x' || substr(hash, {from}, 16))::bit(64)::bigint)::text");
                let sums =
                    format!("SELECT part, count(*), {} || ':' || {} FROM ({rows}) h GROUP BY part", half(1), half(17));
                for row in client.query(&sums, &[]).await.map_err(at)? {
                    measured.sums.insert(row.get(0), (row.get(1), row.get(2)));
                }
            }
            Some(parts) => {
                let wanted =
                    format!("SELECT k, hash FROM ({rows}) h WHERE part = ANY ($1) ORDER BY part LIMIT {ROWS_MAX}");
                for row in client.query(&wanted, &[parts]).await.map_err(at)? {
                    measured.rows.insert(row.get(0), row.get(1));
                }
            }
        }
        Ok(measured)
    }
}

impl Measured {
    /// Returns how many rows there are.
    pub fn count(&self) -> i64 {
        self.sums.values().map(|(rows, _)| rows).sum()
    }

    /// Returns one hash of all rows.
    pub fn hash(&self) -> String {
        let mut digest = Sha256::new();
        for (part, (rows, sum)) in &self.sums {
            digest.update(format!("{part} {rows} {sum};"));
        }
        digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns the parts that differ.
    pub fn differing(&self, other: &Self) -> Vec<i32> {
        (0..PARTS).filter(|part| self.sums.get(part) != other.sums.get(part)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(sums: &[(i32, i64, &str)]) -> Measured {
        let sums = sums.iter().map(|(part, rows, sum)| (*part, (*rows, (*sum).to_owned()))).collect();
        Measured { sums, ..Measured::default() }
    }

    #[test]
    fn parts_differ_in_rows_sums_and_by_being_there() {
        let one = measured(&[(1, 2, "a"), (2, 1, "b"), (3, 1, "c")]);
        let other = measured(&[(1, 2, "a"), (2, 1, "x"), (255, 1, "c")]);
        assert_eq!(one.differing(&other), [2, 3, 255]);
        assert!(one.differing(&one).is_empty() && one.hash() != other.hash() && one.count() == 4);
    }

    #[test]
    fn names_stay_names_and_values() {
        let measure = Measure {
            relation: "public.t".into(),
            columns: vec!["a\"b".into(), "k'".into()],
            key: vec!["k'".into()],
            parts: None,
        };
        let query = measure.rows_query();
        assert!(query.contains("json_build_object(E'k''', t.\"k'\")") && query.contains("t.\"a\"\"b\""), "{query}");
    }
}
