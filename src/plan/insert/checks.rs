//! What an INSERT may not ask for over shards: conflicts, subqueries and WITH clauses that would look elsewhere.

use crate::plan::catalog::Catalog;
use crate::rules::{Distribution, RuleSet, TableRule};
use crate::sql::insert::ConflictTarget;
use crate::types::{Refusal, ShardId};

use super::key::KeyColumn;
use super::prepared::{PreparedInsert, Target, unlisted};

impl PreparedInsert {
    /// A WITH clause that writes is left to one plain shard.
    pub(super) fn check_with(&self, rules: &RuleSet) -> Result<(), Refusal> {
        let plain = |name: &str| {
            let distribution = rules.table(name).map(|rule| &rule.distribution);
            matches!(distribution, None | Some(Distribution::Single { .. }))
        };
        let all_plain = plain(&self.name) && self.facts.relations.iter().all(|table| plain(&table.rule_key()));
        if !self.facts.with_writes || all_plain {
            return Ok(());
        }
        Err(Refusal::unsupported(
            format!("the INSERT into \"{}\" has a query that writes or locks rows", self.name),
            "Send the writes as statements of their own, in one transaction.",
        ))
    }

    /// A conflict must be found on the shard that the row goes to.
    pub(super) fn check_conflict(&self, rule: Option<&TableRule>, catalog: &Catalog) -> Result<(), Refusal> {
        let (Some(conflict), Target::Sharded { placing, .. }) = (&self.facts.conflict, &self.target) else {
            return Ok(());
        };
        let key = &placing.key;
        // An id that the client gives may be that of a row on another shard, unless the id itself says on which shard.
        let id = rule.and_then(|rule| rule.id.as_ref()).filter(|id| id.route || self.layout.id_generated);
        let id = id.map(|id| id.column.as_str());
        let local = |columns: &[String]| {
            let whole = placing.columns(0).all(|(key, _)| columns.contains(&key.name));
            whole || columns.iter().any(|column| Some(column.as_str()) == id)
        };
        let table = catalog.table(&self.name);
        let found_here = match &conflict.target {
            ConflictTarget::Columns(columns) => local(columns),
            ConflictTarget::Constraint(name) => {
                table.and_then(|table| table.constraint_columns.get(name)).is_some_and(|columns| local(columns))
            }
            ConflictTarget::Any => table.is_some_and(|table| table.unique.iter().all(|columns| local(columns))),
        };
        if !found_here {
            return Err(Refusal::unsupported(
                format!("ON CONFLICT on table \"{}\" would be checked on one shard only", key.table),
                format!(
                    "Name a unique key that contains the sharding key \"{}\" as the conflict target.",
                    placing.names()
                ),
            ));
        }
        let set = |(key, _): &(&KeyColumn, usize)| {
            conflict.update.as_ref().is_some_and(|columns| columns.contains(&key.name))
        };
        if let Some((key, _)) = placing.columns(0).find(set) {
            return Err(Refusal::unsupported(
                format!("ON CONFLICT DO UPDATE sets the sharding key \"{}\" of table \"{}\"", key.name, key.table),
                "Delete the row and insert it with the new key.",
            ));
        }
        Ok(())
    }

    /// Subqueries beside VALUES must find their tables where the row goes; tells whether reference tables are read.
    pub(super) fn check_subqueries(&self, rules: &RuleSet) -> Result<bool, Refusal> {
        let mut reads_reference = false;
        if let Some(name) = self.facts.expressions.iter().find(|name| rules.table(name).is_some()) {
            return Err(Refusal::unsupported(
                format!("the WITH query \"{name}\" has the name of a table of the rules"),
                "Give the WITH query a name of its own.",
            ));
        }
        for relation in &self.facts.relations {
            let name = relation.rule_key();
            let here = match rules.table(&name).map(|rule| &rule.distribution) {
                Some(Distribution::Reference { .. }) => {
                    reads_reference = true;
                    true
                }
                Some(Distribution::Sharded { .. }) => false,
                Some(Distribution::Single { shard }) => self.is_at(*shard),
                None => self.is_at(unlisted(relation, rules)?),
            };
            if !here {
                return Err(Refusal::unsupported(
                    format!("the INSERT into \"{}\" reads table \"{relation}\", which is on another shard", self.name),
                    "Read the rows first and insert them as values.",
                ));
            }
        }
        Ok(reads_reference)
    }

    fn is_at(&self, shard: ShardId) -> bool {
        match &self.target {
            Target::Home(home) => *home == shard,
            Target::Sharded { .. } => false,
        }
    }
}
