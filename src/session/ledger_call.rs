//! `SELECT shardloom.txn_status(txid)` and `SELECT shardloom.wait_for(txid, time)`: answered from the ledgers.

use std::future::poll_fn;
use std::time::Duration;

use crate::execute::{Arguments, Call, ClientError, Failure, WAIT_MAX};
use crate::sql::{IdArgument, LedgerCall, LedgerFunction};
use crate::types::{Refusal, SqlState};
use crate::wire::backend::{self, Field};
use crate::yaml::duration;

use super::conversation::Session;
use super::ids::{bigint_field, binary_integer, fill_types};
use super::show::text_field;

/// PostgreSQL's type oid of `boolean`.
const BOOLEAN_OID: u32 = 16;
/// The types of the parameters if the client declares none: `bigint` and `text`.
const TYPES: [u32; 2] = [20, 25];

/// What a call answers with.
enum Answer {
    Text(Option<&'static str>),
    Boolean(Option<bool>),
}

impl Session {
    /// Answers with one row of one column.
    pub(super) async fn ledger_call(&mut self, call: &Call, asked: &LedgerCall) -> Result<(), Failure> {
        let empty = Arguments::default();
        let arguments = call.arguments.as_deref().unwrap_or(&empty);
        let txid = bigint(&asked.txid, arguments)?;
        let wait = match &asked.wait {
            Some(argument) => time(argument, arguments)?,
            None => Some(self.link.worker.limits().wait_timeout),
        };
        let answer = match (txid, wait) {
            (Some(txid), Some(wait)) => self.ask_ledgers(asked.function, txid, wait).await?,
            (None, _) | (_, None) => no_answer(asked.function),
        };
        let binary = arguments.result_formats.first() == Some(&1);
        let out = self.link.client.output();
        if call.describe {
            backend::write_row_description(out, &[Field { format: i16::from(binary), ..field(asked) }]);
        }
        let value: Option<&[u8]> = match answer {
            Answer::Text(text) => text.map(str::as_bytes),
            Answer::Boolean(truth) => truth.map(|truth| match (truth, binary) {
                (true, true) => &[1][..],
                (false, true) => &[0],
                (true, false) => b"t",
                (false, false) => b"f",
            }),
        };
        backend::write_data_row(out, &[value]);
        backend::write_command_complete(out, "SELECT 1");
        Ok(())
    }

    /// Asks, for as long as the client is there.
    async fn ask_ledgers(&mut self, function: LedgerFunction, txid: i64, wait: Duration) -> Result<Answer, Failure> {
        let proxy = &self.link.worker.proxy;
        let age = proxy.transaction_age(txid);
        let outbox = &proxy.outbox;
        let asking = async {
            match function {
                LedgerFunction::TxnStatus => {
                    Answer::Text(outbox.status(txid, age).await.map(crate::outbox::TxnStatus::name))
                }
                LedgerFunction::WaitFor => Answer::Boolean(outbox.wait_for(txid, age, wait).await),
            }
        };
        let client = &mut self.link.client;
        // In the heap: every message would carry the room for it.
        tokio::select! {
            answer = Box::pin(asking) => Ok(answer),
            () = poll_fn(|context| client.poll_gone(context)) => Err(Failure::Client(ClientError::Gone)),
        }
    }
}

fn no_answer(function: LedgerFunction) -> Answer {
    match function {
        LedgerFunction::TxnStatus => Answer::Text(None),
        LedgerFunction::WaitFor => Answer::Boolean(None),
    }
}

/// Returns the description of the only column.
pub(super) fn field(asked: &LedgerCall) -> Field {
    match asked.function {
        LedgerFunction::TxnStatus => text_field(&asked.column),
        LedgerFunction::WaitFor => Field { type_oid: BOOLEAN_OID, type_size: 1, ..bigint_field(&asked.column) },
    }
}

/// Returns the types of the parameters: as declared, else as the function has them.
pub(super) fn parameter_types(asked: &LedgerCall, declared: &[u32]) -> Vec<u32> {
    let wait = asked.wait.iter().map(|wait| (wait, TYPES[1]));
    fill_types(std::iter::once((&asked.txid, TYPES[0])).chain(wait), declared)
}

/// Returns an argument's bytes; `None` for NULL.
fn raw<'a>(argument: &'a IdArgument, arguments: &'a Arguments) -> Option<&'a [u8]> {
    match argument {
        IdArgument::Constant(text) => Some(text.as_bytes()),
        IdArgument::Parameter(index) => arguments.values.get(*index).and_then(Option::as_deref),
    }
}

fn bigint(argument: &IdArgument, arguments: &Arguments) -> Result<Option<i64>, Refusal> {
    let Some(bytes) = raw(argument, arguments) else { return Ok(None) };
    let binary = matches!(argument, IdArgument::Parameter(index) if arguments.formats.get(*index) == Some(&1));
    let value = if binary {
        binary_integer(bytes)
    } else {
        std::str::from_utf8(bytes).ok().and_then(|text| text.trim().parse().ok())
    };
    let wrong = || Refusal::new(SqlState::INVALID_TEXT_REPRESENTATION, "a transaction id is a bigint");
    value.map(Some).ok_or_else(wrong)
}

fn time(argument: &IdArgument, arguments: &Arguments) -> Result<Option<Duration>, Refusal> {
    let Some(bytes) = raw(argument, arguments) else { return Ok(None) };
    let text = String::from_utf8_lossy(bytes).into_owned();
    let wait = duration(text.trim()).filter(|wait| *wait <= WAIT_MAX);
    wait.map(Some).ok_or_else(|| {
        Refusal::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid time to wait: \"{text}\""))
            .with_hint("Say a whole number with ms, s or min, at most 10min.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_in_both_formats_and_bounded() {
        let none = Arguments::default();
        let constant = |text: &str| IdArgument::Constant(text.to_owned());
        assert_eq!(bigint(&constant("7"), &none).unwrap(), Some(7));
        assert!(bigint(&constant("x"), &none).is_err());
        assert_eq!(bigint(&IdArgument::Parameter(0), &none).unwrap(), None);
        let bound = Arguments {
            formats: vec![1],
            values: vec![Some(bytes::Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 9]))],
            ..Arguments::default()
        };
        assert_eq!(bigint(&IdArgument::Parameter(0), &bound).unwrap(), Some(9));
        assert_eq!(time(&constant("10min"), &none).unwrap(), Some(WAIT_MAX));
        assert!(time(&constant("11min"), &none).is_err() && time(&constant("2"), &none).is_err());
    }

    #[test]
    fn undeclared_parameters_get_the_functions_types() {
        let (txid, wait) = (IdArgument::Parameter(1), Some(IdArgument::Parameter(0)));
        let asked = LedgerCall { function: LedgerFunction::WaitFor, txid, wait, column: String::new() };
        assert_eq!(parameter_types(&asked, &[]), [25, 20]);
        assert_eq!(parameter_types(&asked, &[1043, 23]), [1043, 23]);
    }
}
