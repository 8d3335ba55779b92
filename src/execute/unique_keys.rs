//! Unique keys that hold on each shard by itself, because the sharding key is not in them: whoever makes one is told.

use crate::sql::{self, DdlObject, Utility};
use crate::wire::backend;

use super::call::Call;
use super::link::Link;

impl Link {
    /// Warns of the keys that a statement has just made.
    pub(super) fn warn_of_unique_keys(&mut self, call: &Call) {
        let Some(Utility::Ddl(ddl)) = sql::utility(&call.text) else { return };
        let Some(table) = ddl.tables.first().filter(|_| matches!(ddl.object, DdlObject::Table | DdlObject::Index))
        else {
            return;
        };
        let Some(rule) = self.snapshot.rules.table(&table.rule_key()) else { return };
        let keys = sql::unique_keys(&call.text);
        for (key, lacking) in keys.iter().filter_map(|key| Some((key, rule.lacks_for_unique(key)?))) {
            let columns =
                key.iter().map(|name| if name.is_empty() { "…" } else { name }).collect::<Vec<_>>().join(", ");
            let message = format!(
                "unique ({columns}) of table \"{table}\" holds on each shard by itself: it lacks the sharding key \"{lacking}\""
            );
            let hint = format!(
                "Add \"{lacking}\" to it, let the rules make the ids, or rule out equal values in the application."
            );
            let fields = [
                (b'S', "WARNING"),
                (b'V', "WARNING"),
                (b'C', "01000"),
                (b'M', message.as_str()),
                (b'H', hint.as_str()),
            ];
            backend::write_error_fields(self.client.output(), b'N', &fields);
        }
    }
}
