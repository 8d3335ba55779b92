//! The console: the database `shardloom`, one table per answer, in the simple and the extended protocol.

use std::rc::Rc;

use tracing::debug;

use crate::admin::console::{ConsoleReply, answer};
use crate::execute::{Client, ClientError, Worker};
use crate::proxy::{ClientHandle, ClientState, DrainPhase};
use crate::sql;
use crate::types::{Refusal, SqlState, TransactionStatus};
use crate::wire::{backend, frontend};

use super::console_extended::ConsoleStatements;
use super::show::text_field;

/// What drivers want to know of a server before they talk to it.
pub(super) const PARAMETERS: [(&str, &str); 7] = [
    ("server_version", "15.0 (Shardloom)"),
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("TimeZone", "UTC"),
    ("integer_datetimes", "on"),
    ("standard_conforming_strings", "on"),
];

/// Serves a console client to its end.
pub(super) async fn serve(mut client: Client, worker: Rc<Worker>, record: ClientHandle) {
    let mut statements = ConsoleStatements::default();
    let signal = record.end_signal();
    loop {
        let message = tokio::select! {
            biased;
            message = client.frame() => message,
            () = signal.woken() => match signal.cause() {
                Some(cause) => return part(&mut client, &cause.refusal()).await,
                None => continue,
            },
            () = worker.proxy.drain.reached(DrainPhase::Leaving) => {
                let refusal = Refusal::new(SqlState::ADMIN_SHUTDOWN, "the proxy is shutting down");
                return part(&mut client, &refusal).await;
            }
        };
        record.set_state(ClientState::Active, worker.proxy.now_ms());
        let handled = match message {
            Ok((b'X', _)) => return,
            Ok((b'Q', body)) => query(&mut client, &worker, &body).await,
            Ok((kind, body)) => statements.message(&mut client, &worker, kind, &body).await,
            Err(error) => Err(error),
        };
        record.set_state(ClientState::Idle, worker.proxy.now_ms());
        if let Err(error) = handled {
            if let ClientError::Protocol(error) = error {
                return part(&mut client, &error.into()).await;
            }
            debug!(?error, "a console client is gone");
            return;
        }
    }
}

async fn part(client: &mut Client, refusal: &Refusal) {
    backend::write_error(client.output(), "FATAL", refusal);
    // Best effort: the connection is closed in any case.
    let _ = client.flush().await;
}

async fn query(client: &mut Client, worker: &Worker, body: &[u8]) -> Result<(), ClientError> {
    let text = frontend::query_text(body)?;
    let statements = sql::split(text);
    if statements.is_empty() {
        backend::write_empty_query(client.output());
    }
    for range in statements {
        match answer(&worker.proxy, &text[range]).await {
            Ok(reply) => write(client, reply),
            Err(refusal) => {
                backend::write_error(client.output(), "ERROR", &refusal);
                break;
            }
        }
    }
    backend::write_ready(client.output(), TransactionStatus::Idle);
    client.flush().await
}

fn write(client: &mut Client, reply: ConsoleReply) {
    let out = client.output();
    match reply {
        ConsoleReply::Table { columns, rows, tag } => {
            let fields: Vec<_> = columns.iter().map(|name| text_field(name)).collect();
            backend::write_row_description(out, &fields);
            rows.iter().for_each(|row| write_row(out, row));
            backend::write_command_complete(out, &tag);
        }
        ConsoleReply::Done { tag } => backend::write_command_complete(out, &tag),
    }
}

/// Writes a row of texts, which look the same in the text and the binary format.
pub(super) fn write_row(out: &mut bytes::BytesMut, row: &[Option<String>]) {
    let values: Vec<Option<&[u8]>> = row.iter().map(|value| value.as_deref().map(str::as_bytes)).collect();
    backend::write_data_row(out, &values);
}
