//! Answers a console command: views for SHOW, `verbs` for the rest.

use super::command::{Command, VERBS};
use super::reply::{ConsoleReply, table};
use super::topic::Topic;
use super::verbs;
use crate::admin::views;
use crate::proxy::{Proxy, Reloaded};
use crate::types::Refusal;

/// Ledger entries that `SHOW LEDGER` shows; HTTP and the command line go further back.
const LEDGER_ROWS: u32 = 100;

/// The console's own database: KILL leaves its clients alone.
const CONSOLE: &str = "shardloom";

/// Answers `sql`, one command; fails with what the client is to read.
pub async fn answer(proxy: &Proxy, sql: &str) -> Result<ConsoleReply, Refusal> {
    let tag = match Command::parse(sql)? {
        Command::Show(topic) => return show(proxy, topic).await,
        Command::Reload => match proxy.requests.reload().await? {
            Reloaded::Unchanged | Reloaded::Swapped => "RELOAD",
        },
        Command::Pause(database) => verbs::pause(proxy, database.as_deref()).await.map(|()| "PAUSE")?,
        Command::Resume(database) => verbs::resume(proxy, database.as_deref()).map(|()| "RESUME")?,
        Command::Reconnect(database) => verbs::reconnect(proxy, database.as_deref()).map(|()| "RECONNECT")?,
        Command::WaitClose(database) => verbs::wait_close(proxy, database.as_deref()).await.map(|()| "WAIT_CLOSE")?,
        Command::Kill(database) => verbs::kill(proxy, database.as_deref(), CONSOLE).map(|()| "KILL")?,
        Command::KillClient(id) => verbs::kill_client(proxy, id).map(|()| "KILL_CLIENT")?,
        Command::Disable(database) => verbs::set_disabled(proxy, &database, true).map(|()| "DISABLE")?,
        Command::Enable(database) => verbs::set_disabled(proxy, &database, false).map(|()| "ENABLE")?,
        Command::ForgetDdl(id) => {
            views::forget_ddl(proxy, id, "FORGET DDL on the console", CONSOLE).await?;
            "FORGET"
        }
        Command::ResetRoutes => {
            proxy.routes.reset();
            "RESET"
        }
        Command::Shutdown(how) => {
            proxy.requests.shut_down(how);
            "SHUTDOWN"
        }
        Command::Ignored(tag) => tag,
    };
    Ok(ConsoleReply::Done { tag: tag.to_owned() })
}

/// Returns the columns that a command answers with, `None` for one without rows; fails as [`answer`] does.
pub fn describe(sql: &str) -> Result<Option<&'static [&'static str]>, Refusal> {
    match Command::parse(sql)? {
        Command::Show(topic) => Ok(Some(columns(topic))),
        Command::Reload
        | Command::Pause(_)
        | Command::Resume(_)
        | Command::Reconnect(_)
        | Command::WaitClose(_)
        | Command::Kill(_)
        | Command::KillClient(_)
        | Command::Disable(_)
        | Command::Enable(_)
        | Command::ForgetDdl(_)
        | Command::ResetRoutes
        | Command::Shutdown(_)
        | Command::Ignored(_) => Ok(None),
    }
}

async fn show(proxy: &Proxy, topic: Topic) -> Result<ConsoleReply, Refusal> {
    let columns = columns(topic);
    match topic {
        Topic::Shards => table(columns, &views::shards(proxy)),
        Topic::Pools => table(columns, &views::pools(proxy)),
        Topic::Clients => table(columns, &views::clients(proxy)),
        Topic::Servers => table(columns, &views::servers(proxy)),
        Topic::Databases => table(columns, &views::databases(proxy)),
        Topic::Users => table(columns, &views::users(proxy)),
        Topic::Lists => table(columns, &views::lists(proxy)),
        Topic::Mem => table(columns, &views::memory()),
        Topic::Rules => table(columns, &[views::rules(proxy)]),
        Topic::Lanes => table(columns, &views::lanes(proxy).await),
        Topic::Ledger => table(columns, &views::ledger(proxy, None, LEDGER_ROWS).await?),
        Topic::DeadLetters => table(columns, &views::dead_letters(proxy).await),
        Topic::Compensations => table(columns, &views::compensations(proxy, LEDGER_ROWS).await),
        Topic::InDoubt => table(columns, &views::in_doubt(proxy).await),
        Topic::Audit => table(columns, &views::audit(proxy, LEDGER_ROWS).await),
        Topic::Ids => table(columns, &views::ids(proxy)),
        Topic::Config => table(columns, &views::config(proxy)),
        Topic::Version => table(columns, &[views::version()]),
        Topic::Stats => table(columns, &views::stats(proxy)),
        Topic::Routes => table(columns, &views::routes(proxy)),
        Topic::Ddl => table(columns, &views::ddl(proxy).await?),
        Topic::Help => table(columns, &help()),
    }
}

/// The columns of each topic, in order: fields of the view of that name.
fn columns(topic: Topic) -> &'static [&'static str] {
    match topic {
        Topic::Shards => &["name", "address", "database", "state", "since_ms", "error", "home", "buckets", "differs"],
        Topic::Pools => views::POOL_COLUMNS,
        Topic::Clients => views::CLIENT_COLUMNS,
        Topic::Servers => views::SERVER_COLUMNS,
        Topic::Databases => views::DATABASE_COLUMNS,
        Topic::Users => views::USER_COLUMNS,
        Topic::Lists => &["list", "items"],
        Topic::Mem => &["name", "bytes"],
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
        Topic::Compensations => views::COMPENSATION_COLUMNS,
        Topic::InDoubt => views::DOUBT_COLUMNS,
        Topic::Audit => views::AUDIT_COLUMNS,
        Topic::Ids => views::ID_COLUMNS,
        Topic::Config | Topic::Stats => &["name", "value"],
        Topic::Routes => views::ROUTE_COLUMNS,
        Topic::Ddl => views::DDL_COLUMNS,
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
    let verb = |(command, shows): (&str, &'static str)| HelpRow { command: command.to_owned(), shows };
    Topic::ALL.into_iter().map(show).chain(VERBS.map(verb)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_lists_every_command() {
        let ConsoleReply::Table { rows, .. } = table(columns(Topic::Help), &help()).unwrap() else { panic!("a table") };
        assert_eq!(rows.len(), Topic::ALL.len() + VERBS.len());
        assert!(rows.iter().all(|row| row.iter().all(Option::is_some)));
    }

    #[test]
    fn every_topic_has_columns() {
        for topic in Topic::ALL {
            assert!(!columns(topic).is_empty(), "{topic:?}");
        }
    }
}
