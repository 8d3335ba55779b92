//! Answers a console command. Reads views, asks for reloads, changes nothing else.

use super::command::{Command, Topic};
use super::reply::{ConsoleReply, table};
use crate::admin::views;
use crate::proxy::{Proxy, Reloaded};
use crate::types::Refusal;

/// Ledger entries that `SHOW LEDGER` shows; HTTP and the command line go further back.
const LEDGER_ROWS: u32 = 100;

/// Answers `sql`, one command; fails with what the client is to read.
pub async fn answer(proxy: &Proxy, sql: &str) -> Result<ConsoleReply, Refusal> {
    match Command::parse(sql)? {
        Command::Reload => reload(proxy).await,
        Command::Show(topic) => show(proxy, topic).await,
    }
}

async fn reload(proxy: &Proxy) -> Result<ConsoleReply, Refusal> {
    match proxy.requests.reload().await? {
        Reloaded::Unchanged | Reloaded::Swapped => Ok(ConsoleReply::Done { tag: "RELOAD".to_owned() }),
    }
}

async fn show(proxy: &Proxy, topic: Topic) -> Result<ConsoleReply, Refusal> {
    let columns = columns(topic);
    match topic {
        Topic::Shards => table(columns, &views::shards(proxy)),
        Topic::Pools => table(columns, &views::pools(proxy)),
        Topic::Clients => table(columns, &views::clients(proxy)),
        Topic::Rules => table(columns, &[views::rules(proxy)]),
        Topic::Lanes => table(columns, &views::lanes(proxy).await),
        Topic::Ledger => table(columns, &views::ledger(proxy, None, LEDGER_ROWS).await?),
        Topic::DeadLetters => table(columns, &views::dead_letters(proxy).await),
        Topic::Ids => table(columns, &views::ids(proxy)),
        Topic::Config => table(columns, &views::config(proxy)),
        Topic::Version => table(columns, &[views::version()]),
        Topic::Stats => table(columns, &views::stats(proxy)),
        Topic::Help => table(columns, &help()),
    }
}

/// The columns of each topic, in order: fields of the view of that name.
fn columns(topic: Topic) -> &'static [&'static str] {
    match topic {
        Topic::Shards => &["name", "address", "database", "state", "since_ms", "error", "home", "buckets"],
        Topic::Pools => &["worker", "shard", "database", "user", "active", "idle", "waiting", "wait_ms_max"],
        Topic::Clients => {
            &["id", "user", "database", "address", "state", "state_s", "pinned", "statements", "connected_s"]
        }
        Topic::Rules => &[
            "version",
            "generation",
            "loaded_ms",
            "source",
            "database",
            "tables",
            "groups",
            "last_error",
            "last_error_ms",
        ],
        Topic::Lanes => views::LANE_COLUMNS,
        Topic::Ledger => views::LEDGER_COLUMNS,
        Topic::DeadLetters => views::DEAD_LETTER_COLUMNS,
        Topic::Ids => views::ID_COLUMNS,
        Topic::Config | Topic::Stats => &["name", "value"],
        Topic::Version => &["version", "commit", "features", "transports"],
        Topic::Help => &["command", "shows"],
    }
}

#[derive(serde::Serialize)]
struct HelpRow {
    command: String,
    shows: &'static str,
}

fn help() -> Vec<HelpRow> {
    let show = |topic: Topic| HelpRow { command: format!("SHOW {}", topic.words()), shows: topic.summary() };
    let reload = HelpRow { command: "RELOAD".to_owned(), shows: "reads the rule files again" };
    Topic::ALL.into_iter().map(show).chain([reload]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_lists_every_command() {
        let ConsoleReply::Table { rows, .. } = table(columns(Topic::Help), &help()).unwrap() else { panic!("a table") };
        assert_eq!(rows.len(), Topic::ALL.len() + 1);
        assert!(rows.iter().all(|row| row.iter().all(Option::is_some)));
    }

    #[test]
    fn every_topic_has_columns() {
        for topic in Topic::ALL {
            assert!(!columns(topic).is_empty(), "{topic:?}");
        }
    }
}
