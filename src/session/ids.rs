//! `SELECT shardloom.next_ids(tag, count)`: answered without any server.

use crate::execute::{Arguments, Call, Failure};
use crate::proxy::until_there;
use crate::sql::{IdArgument, NextIds};
use crate::types::{Refusal, SqlState};
use crate::wire::backend::{self, Field};

use super::conversation::Session;

/// The most ids of one statement: their rows are made in memory.
const IDS_MAX: usize = 100_000;
/// PostgreSQL's type oid of `bigint`.
const BIGINT_OID: u32 = 20;
/// The types of the parameters if the client declares none: `text` and `integer`.
pub(super) const NEXT_IDS_TYPES: [u32; 2] = [25, 23];

impl Session {
    /// Answers with one row of one bigint per id.
    pub(super) async fn next_ids(&mut self, call: &Call, wanted: &NextIds) -> Result<(), Failure> {
        let empty = Arguments::default();
        let arguments = call.arguments.as_deref().unwrap_or(&empty);
        let tag = text(&wanted.tag, arguments)?;
        let count = count(&wanted.count, arguments)?;
        let (proxy, rules) = (&self.link.worker.proxy, &self.link.snapshot.rules.ids);
        let ids = until_there(proxy, Some(&self.link.cancel), || proxy.next_ids(&tag, count, rules)).await?;
        let binary = arguments.result_formats.first() == Some(&1);
        let client = &mut self.link.client;
        if call.describe {
            let field = Field { format: i16::from(binary), ..bigint_field(&wanted.column) };
            backend::write_row_description(client.output(), &[field]);
        }
        for id in &ids {
            match binary {
                true => backend::write_data_row(client.output(), &[Some(&id.to_be_bytes())]),
                false => backend::write_data_row(client.output(), &[Some(id.to_string().as_bytes())]),
            }
            client.flush_if_large().await?;
        }
        backend::write_command_complete(client.output(), &format!("SELECT {}", ids.len()));
        Ok(())
    }
}

/// Returns the description of a bigint column that no table has.
pub(super) fn bigint_field(name: &str) -> Field {
    Field {
        name: name.to_owned(),
        table_oid: 0,
        column: 0,
        type_oid: BIGINT_OID,
        type_size: 8,
        type_modifier: -1,
        format: 0,
    }
}

/// Returns the types of the parameters: as declared, else as the function has them.
pub(super) fn parameter_types(wanted: &NextIds, declared: &[u32]) -> Vec<u32> {
    fill_types([(&wanted.tag, NEXT_IDS_TYPES[0]), (&wanted.count, NEXT_IDS_TYPES[1])], declared)
}

/// Returns the declared types, with those of `places` where none is declared.
pub(super) fn fill_types<'a>(places: impl IntoIterator<Item = (&'a IdArgument, u32)>, declared: &[u32]) -> Vec<u32> {
    let mut types = declared.to_vec();
    for (argument, default) in places {
        if let IdArgument::Parameter(index) = argument {
            types.resize(types.len().max(index + 1), 0);
            if types[*index] == 0 {
                types[*index] = default;
            }
        }
    }
    types
}

fn text(argument: &IdArgument, arguments: &Arguments) -> Result<String, Refusal> {
    match argument {
        IdArgument::Constant(text) => Ok(text.clone()),
        IdArgument::Parameter(index) => {
            let value = arguments.values.get(*index).and_then(Option::as_deref).ok_or_else(|| {
                Refusal::new(SqlState::NULL_VALUE_NOT_ALLOWED, "an argument of shardloom.next_ids is NULL")
            })?;
            std::str::from_utf8(value).map(str::to_owned).map_err(|_| no_count())
        }
    }
}

fn count(argument: &IdArgument, arguments: &Arguments) -> Result<usize, Refusal> {
    let binary = match argument {
        IdArgument::Parameter(index) if arguments.formats.get(*index) == Some(&1) => {
            arguments.values.get(*index).and_then(Option::as_deref)
        }
        IdArgument::Parameter(_) | IdArgument::Constant(_) => None,
    };
    let count = match binary {
        Some(bytes) => binary_integer(bytes),
        None => text(argument, arguments)?.trim().parse().ok(),
    };
    let count = count.and_then(|count| usize::try_from(count).ok());
    count.filter(|count| (1..=IDS_MAX).contains(count)).ok_or_else(no_count)
}

/// Reads smallint, integer or bigint by its length.
pub(super) fn binary_integer(bytes: &[u8]) -> Option<i64> {
    match bytes.len() {
        2 => bytes.try_into().ok().map(|bytes| i64::from(i16::from_be_bytes(bytes))),
        4 => bytes.try_into().ok().map(|bytes| i64::from(i32::from_be_bytes(bytes))),
        8 => bytes.try_into().ok().map(i64::from_be_bytes),
        _ => None,
    }
}

fn no_count() -> Refusal {
    let message = format!("the count of shardloom.next_ids must be between 1 and {IDS_MAX}");
    Refusal::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_in_both_formats_and_bounded() {
        let none = Arguments::default();
        for (text, expected) in [("1", Some(1)), ("100000", Some(100_000)), ("0", None), ("100001", None), ("x", None)]
        {
            assert_eq!(count(&IdArgument::Constant(text.to_owned()), &none).ok(), expected, "{text}");
        }
        let value = |bytes: &'static [u8]| Arguments {
            formats: vec![1],
            values: vec![Some(bytes::Bytes::from_static(bytes))],
            ..Arguments::default()
        };
        let parameter = IdArgument::Parameter(0);
        assert_eq!(count(&parameter, &value(&[0, 0, 0, 7])).ok(), Some(7));
        assert_eq!(count(&parameter, &value(&[0, 0, 0, 0, 0, 0, 0, 7])).ok(), Some(7));
        assert!(count(&parameter, &value(&[0xff, 0xff, 0xff, 0xff])).is_err());
        assert!(count(&parameter, &value(&[0, 0, 7])).is_err());
        assert!(count(&parameter, &none).is_err());
    }

    #[test]
    fn undeclared_parameters_get_the_functions_types() {
        let wanted = NextIds { tag: IdArgument::Parameter(0), count: IdArgument::Parameter(1), column: String::new() };
        assert_eq!(parameter_types(&wanted, &[]), [25, 23]);
        assert_eq!(parameter_types(&wanted, &[0, 20]), [25, 20]);
    }
}
