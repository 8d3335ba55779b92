//! Frozen commands on a target: under the session settings and the role of their origin, with raw parameters.

use std::future::{Future, poll_fn};
use std::task::Poll;

use bytes::BytesMut;
use deadpool_postgres::Transaction;
use tokio_postgres::error::SqlState as PgState;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};

use super::error::Error;
use super::ledger::{Environment, RedoCommand, RedoParameter};
use super::literal::literal;
use crate::types::USER_TYPES;

/// The statements that may be redone. Anything else could leave the role it runs as.
const VERBS: [&str; 5] = ["insert", "update", "delete", "merge", "with"];

/// A parameter as it came over the wire.
#[derive(Debug)]
struct Raw<'a>(&'a RedoParameter);

impl ToSql for Raw<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match &self.0.value {
            Some(bytes) => {
                out.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        if self.0.format == 0 { Format::Text } else { Format::Binary }
    }

    to_sql_checked!();
}

/// Runs `commands` in order, all on their way at once; returns the rows that each affected. The caller's transaction keeps
/// the settings.
pub(super) async fn run<'a>(
    transaction: &Transaction<'_>,
    commands: impl Iterator<Item = &'a RedoCommand>,
    shard: &str,
) -> Result<Vec<i64>, Error> {
    let commands: Vec<&RedoCommand> = commands.collect();
    commands.iter().try_for_each(|command| check(&command.sql))?;
    let mut running = Vec::with_capacity(commands.len());
    for command in commands {
        let mut one = Box::pin(run_one(transaction, command));
        // It is sent when it is first asked: in this order.
        let asked = poll_fn(|context| Poll::Ready(one.as_mut().poll(context))).await;
        running.push((one, asked));
    }
    let mut done = Vec::with_capacity(running.len());
    for (one, asked) in running {
        done.push(match asked {
            Poll::Ready(answer) => answer,
            Poll::Pending => one.await,
        });
    }
    let affected = |rows: Result<u64, tokio_postgres::Error>| match rows {
        Ok(rows) => Ok(i64::try_from(rows).unwrap_or(i64::MAX)),
        Err(error) if error.code() == Some(&PgState::PROTOCOL_VIOLATION) => {
            Err(Error::BadRecord(format!("a recorded command and its parameters do not fit: {error}")))
        }
        Err(source) => Err(Error::Shard { shard: shard.to_owned(), source }),
    };
    // Behind the first that failed all fail.
    done.into_iter().map(affected).collect()
}

/// One statement by the extended protocol, which takes no more than one.
async fn run_one(transaction: &Transaction<'_>, command: &RedoCommand) -> Result<u64, tokio_postgres::Error> {
    let raw: Vec<Raw<'_>> = command.parameters.iter().map(Raw).collect();
    let types = command.types.iter().copied().chain(std::iter::repeat(0)).map(parameter_type);
    let values: Vec<(&(dyn ToSql + Sync), Type)> =
        raw.iter().map(|value| value as &(dyn ToSql + Sync)).zip(types).collect();
    transaction.execute_typed(&command.sql, &values).await
}

/// Returns the statement that puts the origin's role and settings in force until the end of the transaction.
pub(super) fn settings(environment: &Environment, role: &str) -> String {
    let role = Some(role.to_owned());
    let settings = [
        ("TimeZone", &environment.time_zone),
        ("DateStyle", &environment.date_style),
        ("IntervalStyle", &environment.interval_style),
        ("standard_conforming_strings", &environment.standard_conforming_strings),
        ("search_path", &environment.search_path),
        ("role", &role),
    ];
    let set = |(name, value): (&str, &Option<String>)| {
        value.as_ref().map(|value| format!("pg_catalog.set_config('{name}', {}, true)", literal(value)))
    };
    format!("SELECT {}", settings.into_iter().filter_map(set).collect::<Vec<_>>().join(", "))
}

fn parameter_type(oid: u32) -> Type {
    if oid == 0 || oid >= USER_TYPES {
        return Type::UNKNOWN;
    }
    Type::from_oid(oid).unwrap_or_else(|| Type::new(String::new(), oid, Kind::Simple, "pg_catalog".to_owned()))
}

fn check(sql: &str) -> Result<(), Error> {
    let mut rest = sql.trim_start();
    loop {
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after).trim_start();
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, after)| after).trim_start();
        } else {
            break;
        }
    }
    let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
    if VERBS.contains(&word.as_str()) {
        return Ok(());
    }
    Err(Error::BadRecord(format!("a recorded command begins with \"{word}\", which is never redone")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_data_changes_are_redone() {
        assert!(check("/* shardloom: x */ -- y\n UPDATE t SET a = 1").is_ok());
        assert!(check("with x as (select 1) insert into t select * from x").is_ok());
        assert!(check("reset role").is_err());
        assert!(check("select set_config('role', 'postgres', true)").is_err());
        assert!(check("/* unclosed").is_err());
    }

    #[test]
    fn types_that_users_made_are_left_to_the_server() {
        assert_eq!(parameter_type(20), Type::INT8);
        assert_eq!(parameter_type(USER_TYPES), Type::UNKNOWN);
        assert_eq!(parameter_type(0), Type::UNKNOWN);
    }
}
