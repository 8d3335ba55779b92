//! SET and RESET: validated by a real server, remembered for the next ones.

use crate::execute::{Call, Failure};
use crate::sql::{SetScope, Setting};
use crate::types::{Refusal, SqlState, WriteMode};
use crate::wire::backend;

use super::control::not_yet;
use super::conversation::Session;

/// The namespace of the proxy's own settings.
pub(super) const OWN_PREFIX: &str = "shardloom.";

impl Session {
    pub(super) async fn set(&mut self, call: &Call, setting: &Setting) -> Result<(), Failure> {
        if let Some(own) = setting.name.strip_prefix(OWN_PREFIX) {
            return self.set_own(own, setting);
        }
        match setting.scope {
            SetScope::Local | SetScope::Transaction => self.set_in_transaction(call, setting),
            SetScope::Session if setting.name == "constraints" => self.set_in_transaction(call, setting),
            SetScope::Session => self.set_session(call, setting).await,
            SetScope::SessionCharacteristics => Err(not_yet(
                "SET SESSION CHARACTERISTICS",
                "SET default_transaction_isolation or default_transaction_read_only instead.",
            )),
        }
    }

    /// Holds for the transaction only: every member gets it now, later members when they join.
    fn set_in_transaction(&mut self, call: &Call, setting: &Setting) -> Result<(), Failure> {
        let is_open = self.link.transaction.is_open();
        if !is_open || self.is_pipelined() {
            let verb = if setting.scope == SetScope::Transaction { "SET TRANSACTION" } else { "SET LOCAL" };
            self.warn(SqlState::NO_ACTIVE_TRANSACTION, &format!("{verb} can only be used in transaction blocks"));
        }
        let transaction = &mut self.link.transaction;
        if is_open {
            check(&setting.name, setting.value_text.trim(), self.link.identity.passthrough)?;
            if setting.isolation.is_some_and(|level| level != crate::sql::Isolation::ReadCommitted) {
                transaction.snapshot_isolation = true;
            }
            let text = call.text.trim().trim_end_matches(';').to_owned();
            for member in &mut transaction.members {
                crate::wire::frontend::write_query(member.server.out(), &text);
                member.preamble += 1;
            }
            transaction.local_statements.push(text);
        }
        backend::write_command_complete(self.link.client.output(), "SET");
        Ok(())
    }

    async fn set_session(&mut self, call: &Call, setting: &Setting) -> Result<(), Failure> {
        let value = setting.value_text.trim();
        check(&setting.name, value, self.link.identity.passthrough)?;
        self.remember_settings();
        self.on_every_member_or_home(call).await?;
        if value.eq_ignore_ascii_case("default") {
            self.link.settings.reset(&setting.name);
        } else {
            self.link.settings.set(&setting.name, value);
        }
        Ok(())
    }

    pub(super) async fn reset(&mut self, call: &Call, name: Option<&str>) -> Result<(), Failure> {
        if name.is_some_and(|name| name.starts_with(OWN_PREFIX)) {
            self.link.read_your_writes = true;
            backend::write_command_complete(self.link.client.output(), "RESET");
            return Ok(());
        }
        self.remember_settings();
        self.on_every_member_or_home(call).await?;
        match name {
            Some(name) => self.link.settings.reset(name),
            None => self.link.settings.reset_all(),
        }
        Ok(())
    }

    /// Runs the statement where it can be judged: on the transaction's members, else on home.
    async fn on_every_member_or_home(&mut self, call: &Call) -> Result<(), Failure> {
        let members = self.link.transaction.members.len();
        for position in 1..members {
            self.link.member_simple(position, &call.text).await?;
        }
        let shard = match self.link.transaction.members.first() {
            Some(member) => member.server.shard(),
            None => self.link.snapshot.rules.home,
        };
        self.link.touches_settings = true;
        let done = self.on_shard(call, shard, false).await;
        self.link.touches_settings = false;
        self.link.forget_applied_settings();
        done
    }

    /// Remembers what to go back to if the transaction rolls back.
    fn remember_settings(&mut self) {
        if self.link.transaction.is_open() && self.extended.settings_before.is_none() {
            self.extended.settings_before = Some(self.link.settings.clone());
        }
    }

    /// A rolled back SET or change of tables never happened; committed tables are to be known.
    pub(super) async fn transaction_ended(&mut self, committed: bool) {
        if std::mem::take(&mut self.link.schema_dirty) && committed {
            self.link.schema_changed().await;
        }
        if let Some(before) = self.extended.settings_before.take()
            && !committed
        {
            self.link.settings = before;
        }
        self.extended.forget_portals();
    }

    fn set_own(&mut self, name: &str, setting: &Setting) -> Result<(), Failure> {
        let value = crate::execute::plain_value(setting.value_text.trim()).to_ascii_lowercase();
        match (name, value.as_str()) {
            ("read_your_writes", "on" | "true" | "1" | "default") => self.link.read_your_writes = true,
            ("read_your_writes", "off" | "false" | "0") => self.link.read_your_writes = false,
            ("multi_shard", "two_phase") if setting.scope == SetScope::Local && self.link.transaction.is_open() => {
                self.link.transaction.mode = Some(WriteMode::TwoPhase);
            }
            ("multi_shard", "two_phase") => {
                return Err(not_yet("shardloom.multi_shard for a whole session", "Use SET LOCAL in the transaction."));
            }
            ("shard" | "sharding_key" | "commit_wait", _) => {
                let hint = "Say it in a leading comment: /* shardloom: shard=s1 */ for the shard.";
                return Err(not_yet(&format!("SET {OWN_PREFIX}{name}"), hint));
            }
            ("read_your_writes" | "multi_shard", other) => {
                let message = format!("invalid value for parameter \"{OWN_PREFIX}{name}\": \"{other}\"");
                return Err(Refusal::new(SqlState::INVALID_PARAMETER_VALUE, message).into());
            }
            _ => {
                let message = format!("unrecognized configuration parameter \"{OWN_PREFIX}{name}\"");
                return Err(Refusal::new(SqlState::UNDEFINED_OBJECT, message).into());
            }
        }
        backend::write_command_complete(self.link.client.output(), "SET");
        Ok(())
    }
}

/// Refuses settings under which the proxy would read statements differently from the server.
pub(super) fn check(name: &str, value: &str, passthrough: bool) -> Result<(), Failure> {
    let plain = crate::execute::plain_value(value).to_ascii_lowercase();
    match name {
        "client_encoding" | "names"
            if !matches!(plain.replace(['-', '_'], "").as_str(), "utf8" | "unicode" | "default" | "sqlascii") =>
        {
            Err(not_yet(&format!("client_encoding {value}"), "Use UTF8."))
        }
        "standard_conforming_strings" if matches!(plain.as_str(), "off" | "false" | "0" | "no") => {
            Err(not_yet("standard_conforming_strings = off", "Write E'…' for strings with backslash escapes."))
        }
        "search_path" if !passthrough && !only_public(value) => Err(not_yet(
            &format!("search_path {value}"),
            "Tables of the rules are found in schema public: qualify the names of other schemas.",
        )),
        _ => Ok(()),
    }
}

/// Tells whether unqualified names mean what the rules mean by them.
fn only_public(value: &str) -> bool {
    value.split(',').all(|schema| {
        let schema = schema.trim().trim_matches(['\'', '"']).to_ascii_lowercase();
        matches!(schema.as_str(), "" | "public" | "$user" | "pg_catalog" | "information_schema" | "pg_temp" | "default")
            || schema.contains(',') && only_public(&schema)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_paths_that_keep_the_meaning_of_names_pass() {
        assert!(only_public("public") && only_public("\"$user\", public") && only_public("''"));
        assert!(only_public("'public, pg_catalog'"));
        assert!(!only_public("app, public") && !only_public("'app'"));
    }

    #[test]
    fn encodings_and_quoting_rules_that_change_the_reading_are_refused() {
        assert!(check("client_encoding", "'LATIN1'", false).is_err());
        assert!(check("client_encoding", "'UTF-8'", false).is_ok());
        assert!(check("standard_conforming_strings", "off", false).is_err());
        assert!(check("standard_conforming_strings", "on", false).is_ok());
    }
}
