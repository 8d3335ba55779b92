//! What an operator may type in the database `shardloom`.

use crate::types::{Refusal, SqlState};

/// One command of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// `SHOW <topic>`
    Show(Topic),
    /// `RELOAD`
    Reload,
}

/// What `SHOW` can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Shards with address and state.
    Shards,
    /// Server connections per worker, shard, database and user.
    Pools,
    /// Connected clients.
    Clients,
    /// The rules in force and the last reload error.
    Rules,
    /// Lanes home → target with their backlog.
    Lanes,
    /// The newest ledger entries.
    Ledger,
    /// What could not be replayed.
    DeadLetters,
    /// Tags of generated ids and the worker lease.
    Ids,
    /// The settings of this process, without secrets.
    Config,
    /// The program's version.
    Version,
    /// Counters of this process.
    Stats,
    /// This list.
    Help,
}

/// PgBouncer's verbs that are known and not there yet.
const NOT_YET: [&str; 8] = ["PAUSE", "RESUME", "DISABLE", "ENABLE", "KILL", "RECONNECT", "SUSPEND", "SHUTDOWN"];

impl Topic {
    /// All topics, as `SHOW HELP` lists them.
    pub const ALL: [Self; 12] = [
        Self::Shards,
        Self::Pools,
        Self::Clients,
        Self::Rules,
        Self::Lanes,
        Self::Ledger,
        Self::DeadLetters,
        Self::Ids,
        Self::Config,
        Self::Version,
        Self::Stats,
        Self::Help,
    ];

    /// Returns the words after `SHOW`.
    pub fn words(self) -> &'static str {
        match self {
            Self::Shards => "SHARDS",
            Self::Pools => "POOLS",
            Self::Clients => "CLIENTS",
            Self::Rules => "RULES",
            Self::Lanes => "LANES",
            Self::Ledger => "LEDGER",
            Self::DeadLetters => "DEAD LETTERS",
            Self::Ids => "IDS",
            Self::Config => "CONFIG",
            Self::Version => "VERSION",
            Self::Stats => "STATS",
            Self::Help => "HELP",
        }
    }

    /// Returns one line for `SHOW HELP`.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Shards => "shards with address and state",
            Self::Pools => "server connections per worker, shard, database and user",
            Self::Clients => "connected clients",
            Self::Rules => "the rules in force and the last reload error",
            Self::Lanes => "lanes home to target with their backlog",
            Self::Ledger => "the newest ledger entries",
            Self::DeadLetters => "what could not be replayed",
            Self::Ids => "tags of generated ids and the worker lease",
            Self::Config => "the settings of this process, without secrets",
            Self::Version => "the program's version",
            Self::Stats => "counters of this process",
            Self::Help => "this list",
        }
    }
}

impl Command {
    /// Reads one command; case and a closing semicolon do not matter. Fails with `42601` or `0A000`.
    pub fn parse(sql: &str) -> Result<Self, Refusal> {
        let text = sql.trim().trim_end_matches(';').to_ascii_uppercase();
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["RELOAD"] => Ok(Self::Reload),
            ["SHOW", rest @ ..] => show(&rest.join(" ").replace('_', " ")),
            [verb, ..] if NOT_YET.contains(verb) => {
                Err(Refusal::unsupported(format!("{verb} is not available yet"), "SHOW HELP lists the commands."))
            }
            [] | [_, ..] => Err(unknown("the console knows only SHOW and RELOAD")),
        }
    }
}

fn show(words: &str) -> Result<Command, Refusal> {
    match Topic::ALL.into_iter().find(|topic| topic.words() == words) {
        Some(topic) => Ok(Command::Show(topic)),
        None => Err(unknown(format!("there is nothing named \"{}\" to show", words.to_lowercase()))),
    }
}

fn unknown(message: impl Into<String>) -> Refusal {
    Refusal::new(SqlState::SYNTAX_ERROR, message).with_hint("SHOW HELP lists the commands.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_read_back_from_its_words() {
        for topic in Topic::ALL {
            let sql = format!("  show {} ; ", topic.words().to_lowercase());
            assert_eq!(Command::parse(&sql), Ok(Command::Show(topic)));
        }
        assert_eq!(Command::parse("SHOW dead_letters"), Ok(Command::Show(Topic::DeadLetters)));
        assert_eq!(Command::parse("reload;"), Ok(Command::Reload));
    }

    #[test]
    fn verbs_that_are_not_there_yet_say_so_and_others_are_syntax_errors() {
        for verb in ["PAUSE", "resume shop", "KILL 1"] {
            assert_eq!(Command::parse(verb).unwrap_err().state, SqlState::FEATURE_NOT_SUPPORTED, "{verb}");
        }
        for sql in ["", "select 1", "SHOW", "SHOW TABLES", "RELOAD now", "SHOW SHARDS x"] {
            let refusal = Command::parse(sql).unwrap_err();
            assert_eq!(refusal.state, SqlState::SYNTAX_ERROR, "{sql}");
            assert!(refusal.hint.is_some());
        }
    }
}
