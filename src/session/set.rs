//! SET and RESET: validated by a real server, remembered for the next ones.

use crate::execute::{Call, CommitWait, Failure, Role, Steer, check_setting};
use crate::sql::{SetScope, Setting};
use crate::types::{Refusal, SqlState};
use crate::wire::backend;

use super::conversation::Session;

/// The namespace of the proxy's own settings.
pub(super) const OWN_PREFIX: &str = "shardloom.";

impl Session {
    pub(super) async fn set(&mut self, call: &Call, setting: &Setting) -> Result<(), Failure> {
        if let Some(own) = setting.name.strip_prefix(OWN_PREFIX) {
            return self.set_own(own, setting).await;
        }
        match setting.scope {
            SetScope::Local | SetScope::Transaction => self.set_in_transaction(call, setting).await,
            SetScope::Session if setting.name == "constraints" => self.set_in_transaction(call, setting).await,
            SetScope::Session => self.set_session(call, setting).await,
            SetScope::SessionCharacteristics => self.set_characteristics(call, setting).await,
        }
    }

    /// Holds for the transaction only: every member gets it now, later members when they join.
    async fn set_in_transaction(&mut self, call: &Call, setting: &Setting) -> Result<(), Failure> {
        let is_open = self.link.transaction.is_open();
        let (verb, tag) = match setting.scope {
            _ if setting.name == "constraints" => ("SET CONSTRAINTS", "SET CONSTRAINTS"),
            SetScope::Transaction => ("SET TRANSACTION", "SET"),
            SetScope::Local | SetScope::Session | SetScope::SessionCharacteristics => ("SET LOCAL", "SET"),
        };
        if !is_open || self.is_pipelined() {
            self.warn(SqlState::NO_ACTIVE_TRANSACTION, &format!("{verb} can only be used in transaction blocks"));
        }
        if is_open {
            let transaction = &self.link.transaction;
            if names_constraints(setting) && transaction.members.is_empty() && !transaction.snapshot_isolation {
                // Somebody has to know whether there are such constraints; a snapshot is of one shard, which is not chosen yet.
                self.link.enlist(self.link.snapshot.rules.home, Role::Reader).await?;
            }
            let transaction = &mut self.link.transaction;
            check_setting(&setting.name, setting.value_text.trim())?;
            if setting.isolation.is_some_and(|level| level != crate::sql::Isolation::ReadCommitted) {
                transaction.snapshot_isolation = true;
            }
            let text = call.text.trim().trim_end_matches(';').to_owned();
            for member in &mut transaction.members {
                crate::wire::frontend::write_query(member.server.out(), &text);
                member.preamble += 1;
            }
            if setting.scope == SetScope::Transaction {
                // It may fail by what has been done already: deferred constraints that do not hold, a query that has run.
                for position in 0..self.link.transaction.members.len() {
                    self.link.flush_member(position).await?;
                }
            }
            self.link.transaction.local_statements.push(text);
        }
        backend::write_command_complete(self.link.client.output(), tag);
        Ok(())
    }

    async fn set_session(&mut self, call: &Call, setting: &Setting) -> Result<(), Failure> {
        let value = setting.value_text.trim();
        check_setting(&setting.name, value)?;
        self.remember_settings();
        self.on_every_member_or_home(call).await?;
        if value.eq_ignore_ascii_case("default") {
            self.link.settings.reset(&setting.name);
            self.back_to_defaults(Some(&setting.name)).await?;
        } else {
            self.link.settings.set(&setting.name, value);
        }
        Ok(())
    }

    pub(super) async fn reset(&mut self, call: &Call, name: Option<&str>) -> Result<(), Failure> {
        if let Some(own) = name.and_then(|name| name.strip_prefix(OWN_PREFIX)) {
            return self.reset_own(own);
        }
        self.remember_settings();
        self.on_every_member_or_home(call).await?;
        match name {
            Some(name) => self.link.settings.reset(name),
            None => self.link.settings.reset_all(),
        }
        self.back_to_defaults(name).await
    }

    /// Where the session started with a value of its own, the server's default is not what RESET goes back to.
    async fn back_to_defaults(&mut self, name: Option<&str>) -> Result<(), Failure> {
        if !name.map_or(self.link.settings.has_defaults(), |name| self.link.settings.is_default(name)) {
            return Ok(());
        }
        let statements = self.link.settings.defaults_of(name);
        for position in 0..self.link.transaction.members.len() {
            self.link.member_simple(position, &statements).await?;
        }
        self.link.tell_defaults().await
    }

    /// `SET SESSION CHARACTERISTICS AS TRANSACTION modes` sets defaults of the session, one for each mode.
    async fn set_characteristics(&mut self, call: &Call, setting: &Setting) -> Result<(), Failure> {
        let defaults = crate::sql::transaction_defaults(&setting.value_text);
        self.remember_settings();
        self.on_every_member_or_home(call).await?;
        for (name, value) in defaults {
            self.link.settings.set(name, value);
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
        self.link.remember_settings();
    }

    /// A rolled back SET or change of tables never happened; committed tables are to be known.
    pub(super) async fn transaction_ended(&mut self, committed: bool) {
        if std::mem::take(&mut self.link.schema_dirty) && committed {
            self.link.schema_changed().await;
        }
        if let Some(before) = self.link.settings_before.take()
            && !committed
        {
            self.link.settings = before;
        }
        self.link.settings.steering.end_transaction();
        self.extended.forget_portals();
    }

    async fn set_own(&mut self, name: &str, setting: &Setting) -> Result<(), Failure> {
        let value = crate::execute::plain_value(setting.value_text.trim());
        if name == "idempotency_key" {
            Box::pin(self.set_key(setting)).await?;
            backend::write_command_complete(self.link.client.output(), "SET");
            return Ok(());
        }
        let lower = value.to_ascii_lowercase();
        let local = setting.scope == SetScope::Local;
        match (name, lower.as_str(), Steer::named(name)) {
            ("read_your_writes", "on" | "true" | "1" | "default", _) => self.link.read_your_writes = true,
            ("read_your_writes", "off" | "false" | "0", _) => self.link.read_your_writes = false,
            (_, _, Some(what)) => self.steer(what, &value, setting, local)?,
            ("read_your_writes", ..) => return Err(invalid_own(name, &value).into()),
            _ => return Err(unknown_own(name).into()),
        }
        backend::write_command_complete(self.link.client.output(), "SET");
        Ok(())
    }

    /// Sets where statements go, or how writes over several shards commit.
    fn steer(&mut self, what: Steer, value: &str, setting: &Setting, local: bool) -> Result<(), Failure> {
        let is_default = setting.value_text.trim().eq_ignore_ascii_case("default") || value.is_empty();
        let value = match what {
            Steer::Shard | Steer::ShardingKey if is_default => None,
            Steer::Shard if self.link.snapshot.rules.shard_by_name(value).is_none() => {
                return Err(invalid_own("shard", value)
                    .with_hint("SHOW SHARDS on the console lists their names.")
                    .into());
            }
            Steer::Shard | Steer::ShardingKey => Some(value.to_owned()),
            Steer::MultiShard => match value.to_ascii_lowercase().as_str() {
                "two_phase" => Some("two_phase".to_owned()),
                "auto" | "default" | "" => None,
                _ => return Err(invalid_own("multi_shard", value).into()),
            },
            Steer::CommitWait if is_default => None,
            Steer::CommitWait => match CommitWait::parse(value) {
                Some(wait) => Some(wait.text()),
                None => {
                    let hint = "Say none, best_effort 50ms or all 5s, with any time up to 10min.";
                    return Err(invalid_own("commit_wait", value).with_hint(hint).into());
                }
            },
        };
        if local && (!self.link.transaction.is_open() || self.is_pipelined()) {
            self.warn(SqlState::NO_ACTIVE_TRANSACTION, "SET LOCAL can only be used in transaction blocks");
            return Ok(());
        }
        // Taken back for the transaction alone, what the session says is hidden.
        let value = if local { value.or_else(|| Some(String::new())) } else { value };
        self.remember_settings();
        Ok(self.link.settings.steering.set(what, value.as_deref(), local)?)
    }

    fn reset_own(&mut self, name: &str) -> Result<(), Failure> {
        match Steer::named(name) {
            Some(what) => {
                self.remember_settings();
                self.link.settings.steering.set(what, None, false)?;
            }
            None if name == "read_your_writes" => self.link.read_your_writes = true,
            None => return Err(unknown_own(name).into()),
        }
        backend::write_command_complete(self.link.client.output(), "RESET");
        Ok(())
    }
}

fn invalid_own(name: &str, value: &str) -> Refusal {
    let message = format!("invalid value for parameter \"{OWN_PREFIX}{name}\": \"{value}\"");
    Refusal::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn unknown_own(name: &str) -> Refusal {
    let message = format!("unrecognized configuration parameter \"{OWN_PREFIX}{name}\"");
    Refusal::new(SqlState::UNDEFINED_OBJECT, message)
}

/// Tells whether it is a SET CONSTRAINTS that names some.
fn names_constraints(setting: &Setting) -> bool {
    let first = setting.value_text.split_whitespace().next();
    setting.name == "constraints" && first.is_some_and(|first| !first.eq_ignore_ascii_case("all"))
}
