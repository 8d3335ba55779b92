//! The merge said in SQL, for PostgreSQL to do over the rows of all shards: what [`super::Merger`] cannot compare, it can.

use super::kind::{FLOAT8_OID, INT8_OID, NUMERIC_OID};
use super::{Combine, MergeSpec, Output, SortKey};

const INTERVAL_OID: u32 = 1186;

impl MergeSpec {
    /// Returns the statement that merges the rows of `table`, whose columns are named `c0`, `c1` … and have the types
    /// `types`; `None` for an average of a type whose division is not known. The sort columns must be resolved.
    pub fn sql(&self, table: &str, types: &[u32]) -> Option<String> {
        let outputs: Vec<String> =
            self.visible(types.len()).into_iter().map(|o| self.output(o, types)).collect::<Option<_>>()?;
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        let mut sql = format!("SELECT {distinct}{} FROM {table}", outputs.join(", "));
        let is_key = |(_, combine): &(usize, &Combine)| **combine == Combine::GroupKey;
        let keys: Vec<String> = self.combines.iter().enumerate().filter(is_key).map(|(at, _)| column(at)).collect();
        if self.grouped && !keys.is_empty() {
            sql.push_str(&format!(" GROUP BY {}", keys.join(", ")));
        }
        if !self.order.is_empty() {
            let order: Vec<String> = self.order.iter().map(|key| self.sort_key(key, types)).collect::<Option<_>>()?;
            sql.push_str(&format!(" ORDER BY {}", order.join(", ")));
        }
        if let Some(limit) = self.limit {
            sql.push_str(&format!(" LIMIT {limit}"));
        }
        if self.offset > 0 {
            sql.push_str(&format!(" OFFSET {}", self.offset));
        }
        Some(sql)
    }

    /// Tells whether values have to be compared.
    pub fn compares(&self) -> bool {
        self.grouped || self.distinct || !self.order.is_empty()
    }

    /// Returns what the client sees of `width` shard columns.
    pub fn visible(&self, width: usize) -> Vec<Output> {
        match self.outputs.is_empty() {
            true => (0..width.saturating_sub(self.hidden)).map(Output::Column).collect(),
            false => self.outputs.clone(),
        }
    }

    /// Returns the result formats to ask of the shards where the client asks for one per visible column.
    pub fn shard_formats(&self, formats: &[i16]) -> Vec<i16> {
        if formats.len() < 2 {
            return formats.to_vec();
        }
        if self.outputs.is_empty() {
            return formats.iter().copied().chain(std::iter::repeat_n(0, self.hidden)).collect();
        }
        let sources = |output: &Output| match *output {
            Output::Column(at) => [at, at],
            Output::Average { sum, count } => [sum, count],
        };
        let last = self.outputs.iter().flat_map(sources).chain(self.order.iter().map(|key| key.column)).max();
        let width = self.combines.len().max(last.map_or(0, |last| last + 1));
        let mut all = vec![0; width];
        for (output, format) in self.outputs.iter().zip(formats) {
            for at in sources(output) {
                all[at] = *format;
            }
        }
        all
    }

    fn output(&self, output: Output, types: &[u32]) -> Option<String> {
        match output {
            Output::Column(at) => self.folded(at, types),
            Output::Average { sum, count } => {
                let divisor = format!("nullif(sum({}), 0)", column(count));
                let dividend = format!("sum({})", column(sum));
                match *types.get(sum)? {
                    INT8_OID | NUMERIC_OID => Some(format!("{dividend} / {divisor}")),
                    FLOAT8_OID | INTERVAL_OID => Some(format!("{dividend} / {divisor}::float8")),
                    _ => None,
                }
            }
        }
    }

    fn folded(&self, at: usize, types: &[u32]) -> Option<String> {
        let name = column(at);
        if !self.grouped {
            return Some(name);
        }
        Some(match self.combines.get(at)? {
            Combine::GroupKey => name,
            // The sum of bigints is numeric, but these are parts of one that is bigint, or counts.
            Combine::Sum if *types.get(at)? == INT8_OID => format!("sum({name})::int8"),
            Combine::Sum => format!("sum({name})"),
            Combine::Min => format!("min({name})"),
            Combine::Max => format!("max({name})"),
            Combine::And => format!("bool_and({name})"),
            Combine::Or => format!("bool_or({name})"),
        })
    }

    fn sort_key(&self, key: &SortKey, types: &[u32]) -> Option<String> {
        let direction = if key.descending { "DESC" } else { "ASC" };
        let nulls = if key.nulls_first { "FIRST" } else { "LAST" };
        Some(format!("{} {direction} NULLS {nulls}", self.folded(key.column, types)?))
    }
}

fn column(at: usize) -> String {
    format!("c{at}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: u32 = 25;

    fn key(column: usize, descending: bool) -> SortKey {
        SortKey { column, descending, nulls_first: descending }
    }

    #[test]
    fn rows_are_sorted_and_cut_without_what_is_hidden() {
        let spec = MergeSpec {
            hidden: 1,
            order: vec![key(1, true), key(0, false)],
            offset: 3,
            limit: Some(2),
            ..MergeSpec::default()
        };
        assert_eq!(
            spec.sql("rows", &[TEXT, TEXT]).as_deref(),
            Some("SELECT c0 FROM rows ORDER BY c1 DESC NULLS FIRST, c0 ASC NULLS LAST LIMIT 2 OFFSET 3")
        );
        let distinct = MergeSpec { distinct: true, ..MergeSpec::default() };
        assert_eq!(distinct.sql("rows", &[TEXT]).as_deref(), Some("SELECT DISTINCT c0 FROM rows"));
    }

    #[test]
    fn groups_are_folded_as_their_parts_were() {
        let spec = MergeSpec {
            grouped: true,
            outputs: vec![Output::Column(0), Output::Column(1), Output::Average { sum: 2, count: 3 }],
            combines: vec![Combine::GroupKey, Combine::Max, Combine::Sum, Combine::Sum],
            order: vec![key(1, false)],
            ..MergeSpec::default()
        };
        let sql = |sum| spec.sql("rows", &[TEXT, TEXT, sum, INT8_OID]);
        assert_eq!(
            sql(NUMERIC_OID).as_deref(),
            Some(
                "SELECT c0, max(c1), sum(c2) / nullif(sum(c3), 0) FROM rows GROUP BY c0 ORDER BY max(c1) ASC NULLS LAST"
            )
        );
        assert!(sql(FLOAT8_OID).is_some_and(|sql| sql.contains("nullif(sum(c3), 0)::float8")));
        assert_eq!(sql(TEXT), None, "text has no average");
        let count = MergeSpec {
            grouped: true,
            outputs: vec![Output::Column(0)],
            combines: vec![Combine::Sum],
            ..MergeSpec::default()
        };
        assert_eq!(count.sql("rows", &[INT8_OID]).as_deref(), Some("SELECT sum(c0)::int8 FROM rows"));
    }

    #[test]
    fn formats_follow_their_columns_to_the_shards() {
        let hidden = MergeSpec { hidden: 2, ..MergeSpec::default() };
        assert_eq!(hidden.shard_formats(&[1, 0]), [1, 0, 0, 0]);
        assert_eq!(hidden.shard_formats(&[1]), [1]);
        assert_eq!(hidden.shard_formats(&[]), [0; 0]);
        let average = MergeSpec {
            grouped: true,
            outputs: vec![Output::Column(2), Output::Average { sum: 0, count: 1 }],
            combines: vec![Combine::Sum, Combine::Sum, Combine::GroupKey],
            ..MergeSpec::default()
        };
        assert_eq!(average.shard_formats(&[0, 1]), [1, 1, 0]);
    }
}
