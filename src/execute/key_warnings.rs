//! Keys that a server can hold on its own shard alone: whoever makes one is told.

use crate::sql::{self, DdlObject, Utility};
use crate::types::{Refusal, SqlState};
use crate::wire::backend;

use super::call::Call;
use super::link::Link;

impl Link {
    /// Warns of the keys that a statement has just made: unique ones without the sharding key, and foreign ones that
    /// refer to rows on other shards.
    pub(super) fn warn_of_keys(&mut self, call: &Call) {
        let Some(Utility::Ddl(ddl)) = sql::utility(&call.text) else { return };
        let Some(table) = ddl.tables.first().filter(|_| matches!(ddl.object, DdlObject::Table | DdlObject::Index))
        else {
            return;
        };
        let rules = self.snapshot.rules.clone();
        let Some(rule) = rules.table(&table.rule_key()) else { return };
        for key in sql::unique_keys(&call.text) {
            let Some(lacking) = rule.lacks_for_unique(&key) else { continue };
            let columns =
                key.iter().map(|name| if name.is_empty() { "…" } else { name }).collect::<Vec<_>>().join(", ");
            self.warn(
                format!(
                    "unique ({columns}) of table \"{table}\" holds on each shard by itself: it lacks the sharding key \"{lacking}\""
                ),
                format!("Add \"{lacking}\" to it, let the rules make the ids, or rule out equal values in the application."),
            );
        }
        for key in sql::foreign_keys(&call.text) {
            let Some(other) = rules.table(&key.table.rule_key()) else { continue };
            if rule.refers_apart(&key.columns, other, &key.referred) {
                self.warn(
                    format!(
                        "foreign key ({}) of table \"{table}\" finds rows of \"{}\" on its own shard alone: it does not tie their sharding keys",
                        key.columns.join(", "),
                        key.table
                    ),
                    "Put the sharding key of both tables into it, or drop it: rows that refer to another shard fail with 23503."
                        .to_owned(),
                );
            }
        }
    }

    fn warn(&mut self, message: String, hint: String) {
        let warning = Refusal::new(SqlState::WARNING, message).with_hint(hint);
        backend::write_warning(self.client.output(), &warning);
    }
}
