//! Messages of the server on their way to the client.

use std::rc::Rc;

use bytes::{Buf, BytesMut};

use crate::backend::{BackendError, Server};
use crate::config::PoolMode;
use crate::execute::Named;
use crate::types::TransactionStatus;
use crate::wire::backend::{self, ErrorFields};
use crate::wire::frame::{self, FrameError, HEADER_BYTES};
use crate::wire::frontend;

use super::expect::{Expect, Own, Parsed};
use super::renaming::{mended, server_names};
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
                self.unit.answered_first();
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
            b'A' => return Ok(self.notification(frame)),
            b'N' => return Ok(Pass::Yes),
            b'G' | b'W' => self.copy_begins(),
            _ => {}
        }
        match (kind, self.expected.front_mut()) {
            (_, Some(Expect::Hidden | Expect::Prelude)) => Ok(Pass::No),
            (b'C' | b'I', Some(Expect::Query { reading, complete, .. })) => {
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
                if !passes {
                    return Ok(Pass::No);
                }
                self.unit.answered_first();
                Ok(Pass::Yes)
            }
            (b'T' | b'n', Some(Expect::Describe(_))) => Ok(self.described(frame)),
            (b'2', Some(Expect::Bind(_))) | (b'3', Some(Expect::Close)) => {
                self.expected.pop_front();
                Ok(self.answered())
            }
            (b'3', Some(Expect::Evicted(_))) => {
                self.expected.pop_front();
                Ok(Pass::No)
            }
            (b't', Some(Expect::Describe(_))) => {
                if !self.unit.is_kept() {
                    return Ok(Pass::Yes);
                }
                // An outdated statement is found only behind it.
                self.unit.parameters.extend_from_slice(frame);
                Ok(Pass::No)
            }
            (b'G' | b'H' | b'W' | b'c' | b'V', Some(_)) => Ok(self.answered()),
            _ => Err(FrameError::Malformed("a message out of turn")),
        }
    }

    /// The client knows itself by the number of its key; a notification says the server's.
    fn notification(&self, frame: &[u8]) -> Pass {
        let named = self.server.as_ref().and_then(|server| self.link.named_sender(server, frame));
        named.map_or(Pass::Yes, Pass::Instead)
    }

    fn answered(&mut self) -> Pass {
        self.unit.give_up();
        Pass::Yes
    }

    /// The columns are known, or that there are none; a portal, unlike a statement, is not there for another try.
    fn described(&mut self, frame: &[u8]) -> Pass {
        let parameters = std::mem::take(&mut self.unit.parameters);
        match self.expected.pop_front() {
            Some(Expect::Describe(Some(_))) => self.unit.answered_first(),
            _ => self.unit.give_up(),
        }
        if parameters.is_empty() { Pass::Yes } else { Pass::Instead([&parameters, frame].concat()) }
    }

    fn ready(&mut self, frame: &[u8]) -> Result<Pass, FrameError> {
        let status = backend::ready_status(&frame[HEADER_BYTES..])?;
        let expect = self.expected.pop_front();
        if !matches!(expect, Some(Expect::Query { .. } | Expect::Hidden | Expect::Prelude | Expect::Sync)) {
            return Err(FrameError::Malformed("ReadyForQuery out of turn"));
        }
        if let Some(server) = &mut self.server {
            server.note_status(status);
        }
        if matches!(expect, Some(Expect::Hidden | Expect::Prelude)) {
            self.repeat_outdated();
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
        if self.repeat_outdated() {
            return Ok(Pass::No);
        }
        self.unit.end();
        self.settle(status);
        Ok(Pass::Yes)
    }

    /// Puts the pipeline back before what the client sent since, to be taken once more.
    fn repeat_outdated(&mut self) -> bool {
        if !std::mem::take(&mut self.unit.outdated) {
            return false;
        }
        let mut messages = self.unit.again();
        let input = self.link.client.input();
        messages.extend_from_slice(input);
        *input = messages;
        true
    }

    fn error(&mut self, frame: &[u8]) -> Pass {
        let fields = ErrorFields::read(&frame[HEADER_BYTES..]).ok();
        let severity = fields.as_ref().and_then(|fields| fields.get(b'V').or_else(|| fields.get(b'S')));
        let state = fields.as_ref().and_then(|fields| fields.get(b'C')).unwrap_or_default();
        self.dying |= matches!(severity, Some("FATAL" | "PANIC"));
        self.copies = false;
        self.effects.failed = true;
        // What failed may have drawn before.
        self.numbers.unseen = true;
        match self.expected.front() {
            Some(Expect::Query { renamed, .. }) => match (self.effects.unprepared.take(), renamed) {
                (Some(unprepared), _) => Pass::Instead(unprepared),
                (None, Some(renamed)) => Pass::Instead(renamed.mend(frame)),
                (None, None) => Pass::Yes,
            },
            Some(Expect::Sync) | None => Pass::Yes,
            // What stands behind it was to run in the transaction that is not there.
            Some(Expect::Hidden | Expect::Prelude) => {
                self.dying = true;
                Pass::Yes
            }
            Some(Expect::Parse(Parsed::Again(_))) if !self.dying && self.is_prelude() => {
                self.effects.unprepared = Some(frame.to_vec());
                self.skip_to_sync();
                Pass::No
            }
            Some(Expect::Taken { client, server }) => {
                let mended = mended(frame, server, client);
                self.skip_to_sync();
                self.unit.give_up();
                Pass::Instead(mended)
            }
            Some(Expect::Refused(refusal)) => {
                let mut out = BytesMut::new();
                backend::write_error(&mut out, "ERROR", refusal);
                self.skip_to_sync();
                self.unit.give_up();
                Pass::Instead(out.to_vec())
            }
            Some(Expect::Bind(Some(named)) | Expect::Describe(Some(named)))
                if self.is_outdated(frame, state, named) =>
            {
                // Tables changed since it was prepared: its next use is prepared under another name.
                named.renew();
                let named = Rc::clone(named);
                self.outdated(frame, &named)
            }
            // The client's formats are for the columns of before: it must hear why they do not fit any more.
            Some(Expect::Bind(Some(_)))
                if self.unit.tries > 0 && memchr::memmem::find(frame, FORMATS_ROUTINE).is_some() =>
            {
                self.skip_to_sync();
                self.unit.give_up();
                Pass::Instead(std::mem::take(&mut self.unit.error))
            }
            Some(_) => {
                let mended = self.mend_names(frame);
                let parameters = std::mem::take(&mut self.unit.parameters);
                self.skip_to_sync();
                let passes = self.answered();
                if !parameters.is_empty() {
                    return Pass::Instead([&parameters, mended.as_deref().unwrap_or(frame)].concat());
                }
                mended.map_or(passes, Pass::Instead)
            }
        }
    }

    /// Tells whether an error is about what a Query needs, and not yet about the Query.
    fn is_prelude(&self) -> bool {
        let end = |expect: &&Expect| matches!(expect, Expect::Sync | Expect::Query { .. } | Expect::Prelude);
        matches!(self.expected.iter().find(end), Some(Expect::Prelude))
    }

    /// Tells whether an error comes from what a statement was when it was prepared: PostgreSQL says so where its columns
    /// are others now; a type or a parameter that is another now shows in an error that a fresh statement may not have.
    fn is_outdated(&self, frame: &[u8], state: &str, named: &Rc<Named>) -> bool {
        let may_be = state.starts_with("42") || state == "XX000";
        memchr::memmem::find(frame, OUTDATED_ROUTINE).is_some()
            || may_be && self.unit.tries == 0 && self.unit.knows(named)
    }

    fn outdated(&mut self, frame: &[u8], named: &Rc<Named>) -> Pass {
        let parameters = std::mem::take(&mut self.unit.parameters);
        if !self.unit.can_repeat(named) {
            self.skip_to_sync();
            self.unit.give_up();
            return if parameters.is_empty() { Pass::Yes } else { Pass::Instead([&parameters, frame].concat()) };
        }
        self.unit.outdated = true;
        self.unit.error = frame.to_vec();
        if self.expected.iter().any(|expect| matches!(expect, Expect::Sync)) {
            self.skip_to_sync();
            return Pass::No;
        }
        // The client asked for the replies so far, and has more to say in this pipeline.
        if let Some(server) = &mut self.server {
            frontend::write_sync(server.out());
        }
        self.expected.push_back(Expect::Prelude);
        self.skip_to_sync();
        self.unsynced = false;
        Pass::No
    }

    /// Returns the error with the client's names for statements, if the server says its own.
    fn mend_names(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let server = server_names(frame).next()?;
        let closed = self.expected.iter().filter_map(|expect| match expect {
            Expect::Own(Own::Close(Some((client, known)))) => Some((client, known)),
            _ => None,
        });
        let known = closed.chain(&self.names.named).find(|(_, known)| *known.name() == *server);
        match (known, server.strip_prefix('?')) {
            (Some((client, _)), _) => Some(mended(frame, server, &String::from_utf8_lossy(client))),
            (None, Some(client)) => Some(mended(frame, server, client)),
            (None, None) => None,
        }
    }

    /// After an error the server ignores what follows, up to Sync: none of that is owed, prepared or closed.
    fn skip_to_sync(&mut self) {
        let end = self.expected.iter().position(|expect| matches!(expect, Expect::Sync | Expect::Prelude));
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
            | Expect::Parse(Parsed::Passed)
            | Expect::Query { .. }
            | Expect::Hidden
            | Expect::Prelude
            | Expect::Refused(_)
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
