//! Messages of the server on their way to the client.

use std::rc::Rc;

use bytes::{Buf, BytesMut};

use crate::backend::{BackendError, Server};
use crate::config::PoolMode;
use crate::execute::Named;
use crate::types::TransactionStatus;
use crate::wire::backend::{self, ErrorFields};
use crate::wire::frame::{self, FrameError, HEADER_BYTES};

use super::expect::{Expect, Own, Parsed};
use super::state::{Relay, Skip};

/// The largest frame that a server may send; PostgreSQL's own bound is 1 GiB.
const SERVER_FRAME_MAX: usize = 1 << 30;
/// Runs from this length on change buffers instead of being copied.
const SWAP_BYTES: usize = 4 * 1024;
/// Rows from this length on pass in pieces; of a shorter one the client sees nothing if the server dies in the middle.
const PIECES_BYTES: usize = 8 * 1024;
/// Where PostgreSQL says "cached plan must not change result type", whatever the language of its messages.
const OUTDATED_ROUTINE: &[u8] = b"RRevalidateCachedQuery\0";
/// Where it says that Bind has formats for another number of columns than there are.
const FORMATS_ROUTINE: &[u8] = b"RPortalSetResultFormat\0";

/// Whether a frame goes to the client.
enum Pass {
    Yes,
    No,
    /// This does, in its place.
    Instead(Vec<u8>),
}

impl Relay {
    /// Passes what the server's buffer holds, as far as its frames are whole; rows pass in pieces.
    pub(super) fn take_from_server(&mut self) -> Result<(), BackendError> {
        let Some(server) = &mut self.server else { return Ok(()) };
        let mut input = std::mem::take(server.input());
        let run = self.take_frames(&mut input);
        let run = match run {
            Ok(run) => run,
            Err(error) => {
                let server = self.server.as_mut().expect("taken at the top, and given back only between calls");
                return Err(broken(server, error));
            }
        };
        self.pass_run(&mut input, run);
        if let Some(server) = &mut self.server {
            *server.input() = input;
        }
        Ok(())
    }

    /// Looks at frames; returns the run at the front, whose bytes pass as they are, that is left to pass.
    fn take_frames(&mut self, input: &mut BytesMut) -> Result<usize, FrameError> {
        let mut at = self.skip.min(input.len());
        self.skip -= at;
        while let Some(header) = frame::header(&input[at..], SERVER_FRAME_MAX)? {
            let available = input.len() - at;
            if matches!(header.kind, b'D' | b'd') && (available >= header.length || header.length >= PIECES_BYTES) {
                at += header.length.min(available);
                self.skip = header.length.saturating_sub(available);
                continue;
            }
            if available < header.length {
                break;
            }
            let end = at + header.length;
            match self.frame(header.kind, &input[at..end])? {
                Pass::Yes => at = end,
                Pass::No => {
                    self.copy_run(input, at, end);
                    at = 0;
                }
                Pass::Instead(frame) => {
                    self.copy_run(input, at, end);
                    self.link.client.output().extend_from_slice(&frame);
                    at = 0;
                }
            }
            if matches!(self.expected.front(), Some(Expect::Own(_) | Expect::CopyEnd)) {
                self.copy_run(input, at, at);
                at = 0;
                self.answer_own();
            }
        }
        Ok(at)
    }

    /// Copies the run to the client's buffer, and drops what is between its end and `to`.
    fn copy_run(&mut self, input: &mut BytesMut, run: usize, to: usize) {
        self.link.client.output().extend_from_slice(&input[..run]);
        input.advance(to);
    }

    /// Passes the run at the front; a large one without a copy, by exchanging the buffers.
    fn pass_run(&mut self, input: &mut BytesMut, run: usize) {
        let output = self.link.client.roomy_output();
        if run < SWAP_BYTES || !output.is_empty() {
            output.extend_from_slice(&input[..run]);
            input.advance(run);
            return;
        }
        std::mem::swap(input, output);
        input.extend_from_slice(&output[run..]);
        output.truncate(run);
    }

    /// Appends what the proxy answers by itself where its turn has come.
    pub(super) fn answer_own(&mut self) {
        while let Some(Expect::Own(_) | Expect::CopyEnd) = self.expected.front() {
            if let Some(Expect::Own(own)) = self.expected.pop_front() {
                self.unit.answered = true;
                self.link.client.output().extend_from_slice(own.message());
            }
        }
    }

    fn frame(&mut self, kind: u8, frame: &[u8]) -> Result<Pass, FrameError> {
        match kind {
            b'Z' => return self.ready(frame),
            b'E' => return Ok(self.error(frame)),
            b'S' => {
                let (name, value) = backend::parameter_status(&frame[HEADER_BYTES..])?;
                if let Some(server) = &mut self.server {
                    server.set_parameter(name, value);
                }
                return Ok(Pass::Yes);
            }
            b'N' | b'A' => return Ok(Pass::Yes),
            b'G' | b'W' => self.copy_begins(),
            _ => {}
        }
        match (kind, self.expected.front_mut()) {
            (_, Some(Expect::Hidden)) => Ok(Pass::No),
            (b'C' | b'I', Some(Expect::Query { reading, complete })) => {
                let reading = Rc::clone(reading);
                let index = *complete;
                *complete += 1;
                self.statement_complete(&reading, index, kind, frame);
                Ok(Pass::Yes)
            }
            (_, Some(Expect::Query { .. })) => Ok(Pass::Yes),
            (b'C' | b'I' | b's', Some(Expect::Execute(_))) => {
                if let Some(Expect::Execute(reading)) = self.expected.pop_front() {
                    self.statement_complete(&reading.unwrap_or_default(), 0, kind, frame);
                }
                Ok(self.answered())
            }
            (b'1', Some(Expect::Parse(parsed))) => {
                let passes = !matches!(parsed, Parsed::Again(_));
                self.expected.pop_front();
                Ok(if passes { self.answered() } else { Pass::No })
            }
            (b'2', Some(Expect::Bind(_))) | (b'T' | b'n', Some(Expect::Describe(_))) | (b'3', Some(Expect::Close)) => {
                self.expected.pop_front();
                Ok(self.answered())
            }
            (b'3', Some(Expect::Evicted(_))) => {
                self.expected.pop_front();
                Ok(Pass::No)
            }
            (b't', Some(Expect::Describe(_))) | (b'G' | b'H' | b'W' | b'c' | b'V', Some(_)) => Ok(self.answered()),
            _ => Err(FrameError::Malformed("a message out of turn")),
        }
    }

    fn answered(&mut self) -> Pass {
        self.unit.answered = true;
        Pass::Yes
    }

    fn ready(&mut self, frame: &[u8]) -> Result<Pass, FrameError> {
        let status = backend::ready_status(&frame[HEADER_BYTES..])?;
        let expect = self.expected.pop_front();
        if !matches!(expect, Some(Expect::Query { .. } | Expect::Hidden | Expect::Sync)) {
            return Err(FrameError::Malformed("ReadyForQuery out of turn"));
        }
        if let Some(server) = &mut self.server {
            server.note_status(status);
        }
        if matches!(expect, Some(Expect::Hidden)) {
            return Ok(Pass::No);
        }
        self.names.unsure = self.names.unsure.saturating_sub(1);
        self.names.resets = false;
        if status != TransactionStatus::Idle && self.link.mode == PoolMode::Statement {
            self.opened_block = true;
            return Ok(Pass::No);
        }
        self.status = status;
        self.names.portals_end(status);
        if std::mem::take(&mut self.unit.outdated) {
            self.send_again();
            return Ok(Pass::No);
        }
        self.unit.end();
        self.settle(status);
        Ok(Pass::Yes)
    }

    /// Puts the pipeline back before what the client sent since, to be taken once more.
    fn send_again(&mut self) {
        let mut messages = std::mem::take(&mut self.unit.messages);
        let input = self.link.client.input();
        messages.extend_from_slice(input);
        *input = messages;
        self.unit.tries += 1;
    }

    fn error(&mut self, frame: &[u8]) -> Pass {
        let fields = ErrorFields::read(&frame[HEADER_BYTES..]).ok();
        let severity = fields.as_ref().and_then(|fields| fields.get(b'V').or_else(|| fields.get(b'S')));
        self.dying |= matches!(severity, Some("FATAL" | "PANIC"));
        self.copies = false;
        self.effects.failed = true;
        match self.expected.front() {
            Some(Expect::Query { .. } | Expect::Sync) | None => Pass::Yes,
            // What stands behind it was to run in the transaction that is not there.
            Some(Expect::Hidden) => {
                self.dying = true;
                Pass::Yes
            }
            Some(Expect::Taken { client, server }) => {
                let mended = mended(frame, server, client);
                self.skip_to_sync();
                self.unit.answered = true;
                Pass::Instead(mended)
            }
            Some(Expect::Bind(Some(named)) | Expect::Describe(Some(named)))
                if memchr::memmem::find(frame, OUTDATED_ROUTINE).is_some() =>
            {
                // Tables changed since it was prepared: its next use is prepared under another name.
                named.renew();
                let sends_again = self.unit.can_repeat() && self.expected.iter().any(|e| matches!(e, Expect::Sync));
                self.skip_to_sync();
                self.unit.outdated = sends_again;
                if sends_again {
                    self.unit.error = frame.to_vec();
                    return Pass::No;
                }
                Pass::Yes
            }
            // The client's formats are for the columns of before: it must hear why they do not fit any more.
            Some(Expect::Bind(Some(_)))
                if self.unit.tries > 0 && memchr::memmem::find(frame, FORMATS_ROUTINE).is_some() =>
            {
                self.skip_to_sync();
                self.unit.answered = true;
                Pass::Instead(std::mem::take(&mut self.unit.error))
            }
            Some(expect) => {
                let named = match expect {
                    Expect::Bind(named) | Expect::Describe(named) => named.clone(),
                    _ => None,
                };
                let mended = named.and_then(|named| self.mend_name(frame, &named));
                self.skip_to_sync();
                let passes = self.answered();
                mended.map_or(passes, Pass::Instead)
            }
        }
    }

    /// Returns the error with the client's name for the statement, if the server says its own.
    fn mend_name(&self, frame: &[u8], named: &Rc<Named>) -> Option<Vec<u8>> {
        let server = named.name();
        memchr::memmem::find(frame, server.as_bytes())?;
        let closed = self.expected.iter().find_map(|expect| match expect {
            Expect::Own(Own::Close(Some((client, known)))) if Rc::ptr_eq(known, named) => Some(client),
            _ => None,
        });
        let known = self.names.named.iter().find(|(_, known)| Rc::ptr_eq(known, named));
        let client = closed.or(known.map(|(client, _)| client))?;
        Some(mended(frame, &server, &String::from_utf8_lossy(client)))
    }

    /// After an error the server ignores what follows, up to Sync: none of that is owed, prepared or closed.
    fn skip_to_sync(&mut self) {
        let end = self.expected.iter().position(|expect| matches!(expect, Expect::Sync));
        if end.is_none() {
            self.skipping = Skip::Server;
        }
        let skipped: Vec<Expect> = self.expected.drain(..end.unwrap_or(self.expected.len())).collect();
        // The last first: a name may have been closed and defined again.
        skipped.into_iter().rev().for_each(|expect| self.take_back(expect));
        self.names.unsure = self.names.unsure.min(self.ends_due());
    }

    fn take_back(&mut self, expect: Expect) {
        self.names.take_back(&expect);
        let Some(server) = &mut self.server else { return };
        match expect {
            Expect::Parse(Parsed::Named(_, named) | Parsed::Again(Some(named))) => server.statements.remove(named.id()),
            Expect::Parse(Parsed::Unnamed | Parsed::Again(None)) | Expect::Evicted(None) => {
                self.names.unnamed_is_sent = false;
            }
            Expect::Evicted(Some(id)) => {
                server.statements.insert(id);
            }
            Expect::Own(_)
            | Expect::Query { .. }
            | Expect::Hidden
            | Expect::Taken { .. }
            | Expect::Bind(_)
            | Expect::Describe(_)
            | Expect::Execute(_)
            | Expect::Close
            | Expect::Sync
            | Expect::CopyEnd => {}
        }
    }

    /// COPY data comes in the extended protocol: a Sync among what was sent behind the Execute means nothing there.
    fn copy_begins(&mut self) {
        if !matches!(self.expected.front(), Some(Expect::Execute(_))) {
            return;
        }
        let end = self.expected.iter().position(|expect| matches!(expect, Expect::CopyEnd));
        self.copies = end.is_none();
        let mut index = 0;
        let end = end.unwrap_or(self.expected.len());
        self.expected.retain(|expect| {
            let ignored = index < end && matches!(expect, Expect::Sync);
            index += 1;
            !ignored
        });
        self.names.unsure = self.names.unsure.min(self.ends_due());
        self.unsynced = !self.expected.iter().any(|expect| matches!(expect, Expect::Sync));
    }
}

impl super::state::Names {
    /// Takes back what a message that was never answered did to the names.
    pub(super) fn take_back(&mut self, expect: &Expect) {
        match expect {
            Expect::Parse(Parsed::Named(client, _)) | Expect::Own(Own::Parse(client)) => {
                self.named.remove(client);
            }
            Expect::Own(Own::Close(Some((client, named)))) => {
                self.named.insert(client.clone(), Rc::clone(named));
            }
            _ => {}
        }
    }

    /// Portals end with their transaction.
    fn portals_end(&mut self, status: TransactionStatus) {
        if status == TransactionStatus::Idle && !self.portals.is_empty() {
            self.portals.clear();
        }
    }
}

fn broken(server: &mut Server, error: FrameError) -> BackendError {
    server.mark_broken();
    BackendError::Protocol { shard: server.target().shard_name.clone(), cause: error.to_string() }
}

/// Returns an error frame in which the client's name stands in place of the server's.
fn mended(frame: &[u8], server: &str, client: &str) -> Vec<u8> {
    let Ok(fields) = ErrorFields::read(&frame[HEADER_BYTES..]) else { return frame.to_vec() };
    let (from, to) = (format!("\"{server}\""), format!("\"{client}\""));
    let mend = |(code, text): (u8, &[u8])| (code, String::from_utf8_lossy(text).replace(&from, &to));
    let fields: Vec<(u8, String)> = fields.iter().map(mend).collect();
    let fields: Vec<(u8, &str)> = fields.iter().map(|(code, text)| (*code, text.as_str())).collect();
    let mut out = BytesMut::new();
    backend::write_error_fields(&mut out, b'E', &fields);
    out.to_vec()
}
