//! Rows from servers to a server: what a SELECT answers in binary form is what COPY takes, but for the frames' first byte.

use bytes::Bytes;

use crate::backend::Server;
use crate::plan::Statement;
use crate::types::{Refusal, ShardSet, SqlState, USER_TYPES};
use crate::wire::backend::{self, Field};
use crate::wire::frame::HEADER_BYTES;
use crate::wire::{copy_binary, frontend};

use super::super::call::Call;
use super::super::client::Client;
use super::super::failure::Failure;
use super::super::fan_out::{Stream, Task};
use super::super::forward;
use super::super::home_merge::NUMBERED;
use super::super::link::{Link, Role};
use super::desk::Desk;

/// Rows wait for home up to this much before they are sent; 64 KiB is where larger writes stop paying.
const FORWARD_BYTES: usize = 64 * 1024;
/// Rows of several shards on their way to home.
pub(super) struct Transfer<'a> {
    /// What each shard runs; its results are in binary form.
    pub call: &'a Call,
    pub shards: ShardSet,
    /// The COPY that takes them on home.
    pub into: &'a str,
    /// The types of its columns.
    pub types: &'a [u32],
}

impl Link {
    /// Brings the rows to the desk; returns how many. After an error all servers are at rest, unless one is lost.
    pub(super) async fn transfer(&mut self, desk: &mut Desk, transfer: &Transfer<'_>) -> Result<u64, Failure> {
        let Desk { scratch, others } = desk;
        frontend::write_query(scratch.out(), transfer.into);
        scratch.flush().await?;
        if let Some(frame) = turn(&mut self.client, scratch).await? {
            return Err(Failure::Shard { frame });
        }
        frontend::write_copy_data(scratch.out(), &copy_binary::HEADER);
        let statement = &Statement::Original;
        let task = Task { call: transfer.call, statement, shards: transfer.shards, role: Role::Reader };
        let types = transfer.types;
        let copied = self
            .fan_out_lent(others, task, async |client, streams| {
                pass(client, streams, scratch, |fields| check_types(fields, types), u64::MAX).await
            })
            .await;
        match &copied {
            Ok(_) => {
                frontend::write_copy_data(scratch.out(), &copy_binary::TRAILER);
                frontend::write_copy_done(scratch.out());
            }
            Err(Failure::Client(_)) => return copied,
            Err(_) => frontend::write_copy_fail(scratch.out(), "the rows could not be read"),
        }
        self.cancel.set_active(&[scratch.cancel_key()]);
        scratch.flush().await?;
        let error = turn(&mut self.client, scratch).await?;
        let rows = copied?;
        error.map_or(Ok(rows), |frame| Err(Failure::Shard { frame }))
    }
}

/// Passes the rows of all shards on as COPY data, at most so many: a row in binary form looks the same in both. `check`
/// judges each shard's RowDescription.
pub(in crate::execute) async fn pass(
    client: &mut Client,
    streams: &mut [Stream<'_>],
    scratch: &mut Server,
    check: impl Fn(&[u8]) -> Result<(), Refusal>,
    most: u64,
) -> Result<u64, Failure> {
    let mut rows = 0;
    for stream in streams {
        while !stream.has_ended() {
            match stream.next(client).await? {
                (b'D', frame) => {
                    rows += 1;
                    if rows > most {
                        return Err(too_many().into());
                    }
                    frontend::write_copy_data(scratch.out(), &frame[HEADER_BYTES..]);
                    if scratch.out().len() >= FORWARD_BYTES {
                        scratch.flush().await?;
                    }
                }
                (b'T', frame) => check(&frame)?,
                (b'Z', _) => break,
                _ => {}
            }
        }
    }
    Ok(rows)
}

/// Refuses columns that home would read as something else: a row in binary form does not say what it is.
fn check_types(description: &[u8], types: &[u32]) -> Result<(), Refusal> {
    let fields = backend::row_description(&description[HEADER_BYTES..])?;
    // A domain is described as the type behind it.
    let same = |(field, own): (&Field, &u32)| field.type_oid == *own || *own >= USER_TYPES;
    if let Some(field) = fields.iter().find(|field| NUMBERED.contains(&field.type_oid)) {
        let message = format!("column \"{}\" has a type whose values mean something else on each server", field.name);
        return Err(Refusal::unsupported(message, "Read it as text, or bind the sharding key to one value."));
    }
    if fields.len() == types.len() && fields.iter().zip(types).all(same) {
        return Ok(());
    }
    Err(Refusal::unsupported(
        "a shard has columns of other types than home",
        "Bring the tables to the same columns on all shards.",
    ))
}

/// Waits until a server asks for rows or has ended its COPY; returns its error, after which it is at rest.
pub(in crate::execute) async fn turn(client: &mut Client, to: &mut Server) -> Result<Option<Bytes>, Failure> {
    let mut error = None;
    loop {
        let (kind, frame) = forward::next_frame(client, to).await?;
        match kind {
            b'G' => return Ok(None),
            b'E' => error = Some(frame),
            b'Z' => {
                forward::note_ready(to, &frame)?;
                return Ok(error);
            }
            _ => {}
        }
    }
}

/// Runs a statement whose rows are not the client's; returns how many it had.
pub(in crate::execute) async fn execute(
    client: &mut Client,
    scratch: &mut Server,
    call: &Call,
    statement: &Statement,
) -> Result<u64, Failure> {
    call.write(scratch.out(), statement);
    scratch.flush().await?;
    answer(client, scratch, |_| {}).await
}

/// Returns the first column of the first row of a statement.
pub(super) async fn one_value(
    client: &mut Client,
    scratch: &mut Server,
    call: &Call,
) -> Result<Option<String>, Failure> {
    call.write(scratch.out(), &Statement::Original);
    scratch.flush().await?;
    let mut value = None;
    let take = |row: &[u8]| {
        let first = copy_binary::field(row, 0).flatten().map(<[u8]>::to_vec);
        value = value.take().or(first);
    };
    answer(client, scratch, take).await?;
    Ok(value.and_then(|value| String::from_utf8(value).ok()))
}

async fn answer(client: &mut Client, scratch: &mut Server, mut row: impl FnMut(&[u8])) -> Result<u64, Failure> {
    let mut rows = 0;
    let mut error = None;
    loop {
        let (kind, frame) = forward::next_frame(client, scratch).await?;
        match kind {
            b'D' => row(&frame[HEADER_BYTES..]),
            b'C' => rows = backend::command_tag(&frame[HEADER_BYTES..]).map_or(0, forward::rows_of_tag),
            b'E' => error = Some(frame),
            b'N' => client.output().extend_from_slice(&frame),
            b'Z' => {
                forward::note_ready(scratch, &frame)?;
                break;
            }
            _ => {}
        }
    }
    error.map_or(Ok(rows), |frame| Err(Failure::Shard { frame }))
}

/// More rows would have to come to home than the limits allow.
pub(in crate::execute) fn too_many() -> Refusal {
    Refusal::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        "the statement needs more rows of several shards than may be gathered",
    )
    .with_hint("Bind the sharding key, add a LIMIT, or raise limits.gather_rows.")
}
