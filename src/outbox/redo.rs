//! Frozen commands on a target: under the session settings and the role of their origin, with raw parameters.

use bytes::BytesMut;
use deadpool_postgres::Transaction;
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

/// Runs `commands` in order; returns the rows they affected in all. The caller's transaction keeps the settings.
pub(super) async fn run(transaction: &Transaction<'_>, commands: &[RedoCommand], shard: &str) -> Result<i64, Error> {
    let at = |source| Error::Shard { shard: shard.to_owned(), source };
    let mut affected = 0;
    for command in commands {
        check(&command.sql)?;
        let types: Vec<Type> = command.types.iter().map(|oid| parameter_type(*oid)).collect();
        let prepared = transaction.prepare_typed(&command.sql, &types).await.map_err(at)?;
        if prepared.params().len() != command.parameters.len() {
            return Err(Error::BadRecord(format!(
                "a recorded command has {} parameters where {} are wanted",
                command.parameters.len(),
                prepared.params().len()
            )));
        }
        let raw: Vec<Raw<'_>> = command.parameters.iter().map(Raw).collect();
        let parameters: Vec<&(dyn ToSql + Sync)> = raw.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        let rows = transaction.execute(&prepared, &parameters).await.map_err(at)?;
        affected += i64::try_from(rows).unwrap_or(i64::MAX);
    }
    Ok(affected)
}

/// Returns the statements that put the origin's role and settings in force until the end of the transaction.
pub(super) fn settings(environment: &Environment, role: &str) -> String {
    let set = |name: &str, value: &Option<String>| match value {
        Some(value) => format!("SELECT pg_catalog.set_config('{name}', {}, true);", literal(value)),
        None => String::new(),
    };
    [
        set("TimeZone", &environment.time_zone),
        set("DateStyle", &environment.date_style),
        set("IntervalStyle", &environment.interval_style),
        set("standard_conforming_strings", &environment.standard_conforming_strings),
        set("search_path", &environment.search_path),
        set("role", &Some(role.to_owned())),
    ]
    .concat()
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
