//! A statement over several shards means the same on each of them only where its tables have the same columns.
//!
//! Looks only where the control thread has found a difference: then the shards are asked at once, so that no statement is
//! refused for what has been mended.

use crate::plan::catalog::{SCHEMA_QUERY, SchemaDifference, SchemaRow, schema_differences};
use crate::plan::{Plan, tables_named};
use crate::rules::RuleSet;
use crate::types::{Refusal, ShardId, ShardSet, USER_TYPES};
use crate::wire::backend::Field;

use super::failure::Failure;
use super::link::Link;

impl Link {
    /// Refuses a statement whose tables have other columns on one of its shards than on another.
    pub(super) async fn check_same_columns(&mut self, text: &str, plan: &Plan) -> Result<(), Failure> {
        let shards = match plan {
            Plan::Scatter(scatter) => scatter.shards,
            Plan::Gather(gather) => gather.shards(),
            Plan::MultiWrite(write) => write.parts.iter().map(|part| part.shard).collect(),
            Plan::Copy(copy) => self.snapshot.rules.shards_of_group(copy.group),
            Plan::CopyOut(copy) => copy.shards,
            // One shard's physical tables may be unlike each other, too.
            Plan::Direct(direct) => [direct.shard].into_iter().collect(),
            // Its two statements are looked at when they run.
            Plan::Carry(_) | Plan::Everywhere { .. } => ShardSet::new(),
        };
        let named = tables_named(text, &self.snapshot.rules);
        let concerns = |difference: &SchemaDifference| difference.changes_rows() && named.contains(&difference.table);
        let several = shards.len() > 1 || !self.snapshot.rules.physical.is_empty();
        if shards.is_empty() || !several || !self.worker.proxy.schemas.list().iter().any(concerns) {
            return Ok(());
        }
        let mut found: Vec<(ShardId, Vec<SchemaRow>)> = Vec::with_capacity(shards.len());
        for shard in shards.iter() {
            let reply = self.ask(shard, SCHEMA_QUERY).await?;
            found.push((shard, reply.rows.iter().filter_map(|row| schema_row(row)).collect()));
        }
        match schema_differences(&self.snapshot.rules, &found).iter().find(|difference| concerns(difference)) {
            Some(difference) => Err(self.differs(difference).into()),
            None => Ok(()),
        }
    }

    fn differs(&self, difference: &SchemaDifference) -> Refusal {
        let shard = self.shard_name(difference.shard);
        Refusal::unsupported(
            format!("the shards do not have the same columns: on shard \"{shard}\" {difference}"),
            "Make the tables alike, by a statement with a leading comment /* shardloom: shard=NAME */; SHOW SHARDS lists the differences.",
        )
        .with_reason("schema_differs")
    }
}

/// Refuses answers of two shards that have other columns.
pub(super) fn check_alike(
    rules: &RuleSet,
    (first, expected): (ShardId, &[Field]),
    (other, found): (ShardId, &[Field]),
) -> Result<(), Refusal> {
    alike(expected, found).map_err(|difference| {
        let (first, other) = (&rules.shard(first).name, &rules.shard(other).name);
        Refusal::unsupported(
            format!("shard \"{other}\" answers with other columns than shard \"{first}\": {difference}"),
            "Make the tables alike; shardloom check --live lists how they differ.",
        )
        .with_reason("schema_differs")
    })
}

/// Says what is different about the second answer's columns.
fn alike(expected: &[Field], found: &[Field]) -> Result<(), String> {
    if expected.len() != found.len() {
        return Err(format!("{} columns, not {}", found.len(), expected.len()));
    }
    for (at, (one, other)) in expected.iter().zip(found).enumerate() {
        if one.name != other.name {
            return Err(format!("column {} is \"{}\", not \"{}\"", at + 1, other.name, one.name));
        }
        let known = one.type_oid < USER_TYPES || other.type_oid < USER_TYPES;
        if known && one.type_oid != other.type_oid {
            return Err(format!("column \"{}\" is of another type", one.name));
        }
    }
    Ok(())
}

fn schema_row(row: &[Option<bytes::Bytes>]) -> Option<SchemaRow> {
    let mut cells = row.iter();
    let mut cell = || cells.next()?.as_deref().map(|value| String::from_utf8_lossy(value).into_owned());
    Some(SchemaRow { table: cell()?, kind: cell()?, name: cell()?, definition: cell()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, type_oid: u32) -> Field {
        Field { name: name.to_owned(), table_oid: 0, column: 0, type_oid, type_size: -1, type_modifier: -1, format: 0 }
    }

    #[test]
    fn answers_are_alike_by_count_name_and_type() {
        let fields = [field("a", 20), field("b", 25), field("e", 16_400)];
        assert_eq!(alike(&fields, &[field("a", 20), field("b", 25), field("e", 16_500)]), Ok(()));
        assert!(alike(&fields, &fields[..2]).expect_err("one less").contains("2 columns, not 3"));
        let swapped = [field("b", 25), field("a", 20), field("e", 16_400)];
        assert!(alike(&fields, &swapped).expect_err("swapped").contains("column 1 is \"b\""));
        let wider = [field("a", 23), field("b", 25), field("e", 16_400)];
        assert!(alike(&fields, &wider).expect_err("another type").contains("\"a\""));
        assert!(alike(&fields, &[field("a", 20), field("b", 25), field("e", 25)]).is_err());
    }
}
