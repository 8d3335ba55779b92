//! The console: the database `shardloom`, simple protocol, one table per answer.

use std::rc::Rc;

use tracing::debug;

use crate::admin::console::{ConsoleReply, answer};
use crate::execute::{Client, ClientError, Worker};
use crate::proxy::{ClientHandle, ClientState, DrainPhase};
use crate::sql;
use crate::types::{Refusal, SqlState, TransactionStatus};
use crate::wire::{backend, frontend};

use super::show::text_field;

/// Serves a console client to its end.
pub(super) async fn serve(mut client: Client, worker: Rc<Worker>, record: ClientHandle) {
    loop {
        let message = tokio::select! {
            biased;
            message = client.frame() => message,
            () = worker.proxy.drain.reached(DrainPhase::Draining) => {
                let refusal = Refusal::new(SqlState::ADMIN_SHUTDOWN, "the proxy is shutting down");
                backend::write_error(client.output(), "FATAL", &refusal);
                // Best effort: the connection is closed in any case.
                let _ = client.flush().await;
                return;
            }
        };
        let handled = match message {
            Ok((b'X', _)) => return,
            Ok((b'Q', body)) => {
                record.set_state(ClientState::Active, worker.proxy.now_ms());
                let answered = query(&mut client, &worker, &body).await;
                record.set_state(ClientState::Idle, worker.proxy.now_ms());
                answered
            }
            Ok((b'S', _)) => {
                backend::write_ready(client.output(), TransactionStatus::Idle);
                client.flush().await
            }
            Ok((b'P', _)) => refuse_extended(&mut client),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = handled {
            debug!(?error, "a console client is gone");
            return;
        }
    }
}

fn refuse_extended(client: &mut Client) -> Result<(), ClientError> {
    let hint = "Use simple queries: psql does, and drivers have an option for it.";
    let refusal = Refusal::unsupported("the extended protocol is not available on the console", hint);
    backend::write_error(client.output(), "ERROR", &refusal);
    Ok(())
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
            for row in &rows {
                let values: Vec<Option<&[u8]>> = row.iter().map(|value| value.as_deref().map(str::as_bytes)).collect();
                backend::write_data_row(out, &values);
            }
            backend::write_command_complete(out, &tag);
        }
        ConsoleReply::Done { tag } => backend::write_command_complete(out, &tag),
    }
}
