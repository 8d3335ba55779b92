//! Messages of the client on their way to the server.

use std::rc::Rc;
use std::time::Instant;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::backend::Server;
use crate::config::PoolMode;
use crate::execute::{ClientError, Consequence, FLUSH_BYTES, Named, Reading, unpins};
use crate::metrics::QueryKind;
use crate::proxy::{ClientState, Pinned};
use crate::session::control::no_blocks;
use crate::types::TransactionStatus;
use crate::wire::frame::{self, FrameError, HEADER_BYTES};
use crate::wire::{backend, frontend};

use super::expect::{Expect, Own};
use super::state::{Relay, Skip};

/// Replies that may be outstanding; a client that pipelines more waits until some have come.
const EXPECTED_MAX: usize = 100_000;

/// Why no more messages were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// The next one is not there, or there is enough for now.
    All,
    /// The next one needs a server.
    NeedsServer,
    /// The client said goodbye.
    Left,
}

/// What becomes of one message.
enum Step {
    Done,
    NeedsServer,
    /// It is taken when replies have come.
    Waits,
}

impl Relay {
    /// Takes the messages that are there, as far as the server's buffer has room.
    pub(super) fn take_from_client(&mut self) -> Result<Taken, ClientError> {
        let mut input = std::mem::take(self.link.client.input());
        let mut at = 0;
        let taken = self.take_messages(&input, &mut at);
        input.advance(at);
        *self.link.client.input() = input;
        self.answer_own();
        taken
    }

    fn take_messages(&mut self, input: &BytesMut, at: &mut usize) -> Result<Taken, ClientError> {
        let bound = self.link.client.message_bound();
        self.waits = self.unit.outdated;
        while self.has_room()
            && !self.unit.outdated
            && let Some(header) = frame::header(&input[*at..], bound)?
            && input.len() - *at >= header.length
        {
            if header.kind == b'X' {
                return Ok(Taken::Left);
            }
            match self.take_message(header.kind, &input[*at..*at + header.length])? {
                Step::Done => *at += header.length,
                Step::NeedsServer => return Ok(Taken::NeedsServer),
                Step::Waits => {
                    self.waits = true;
                    break;
                }
            }
        }
        Ok(Taken::All)
    }

    /// Tells whether more may be sent before replies come.
    pub(super) fn has_room(&mut self) -> bool {
        self.expected.len() < EXPECTED_MAX && self.server.as_mut().is_none_or(|server| server.out().len() < FLUSH_BYTES)
    }

    fn take_message(&mut self, kind: u8, message: &[u8]) -> Result<Step, ClientError> {
        if self.skipping != Skip::No && kind != b'S' {
            return Ok(Step::Done);
        }
        match kind {
            b'Q' => self.query(message),
            b'F' => self.function_call(message),
            b'P' | b'B' | b'D' | b'E' | b'C' | b'H' => self.extended(kind, message),
            b'S' => Ok(self.sync(message)),
            b'd' => Ok(self.copy_data(message)),
            b'c' | b'f' => Ok(self.copy_end(message)),
            _ => Err(ClientError::Protocol(FrameError::Malformed("an unknown message type"))),
        }
    }

    fn query(&mut self, message: &[u8]) -> Result<Step, ClientError> {
        let text = message[HEADER_BYTES..].strip_suffix(b"\0").ok_or(FrameError::Truncated)?;
        if self.server.is_none() && !may_begin(text) {
            return Ok(Step::NeedsServer);
        }
        let reading = self.link.worker.readings.read(text);
        if reading.begins && self.is_idle() && self.server.is_none() && self.link.pin == Pinned::No {
            self.begin_later(message);
            return Ok(Step::Done);
        }
        if self.server.is_none() {
            return Ok(Step::NeedsServer);
        }
        let says_names = reading.meanings.statements;
        if self.names.unsure > 0 && (says_names || !reading.statements.is_empty()) {
            return Ok(Step::Waits);
        }
        self.unit.give_up();
        self.doubt(text);
        self.forget_numbers(&reading);
        self.begin_work(&reading);
        // A Query drops the unnamed statement.
        self.names.unnamed.clear();
        let renamed = if says_names { self.send_renamed(text, &reading) } else { None };
        if renamed.is_none() {
            self.send(message);
        }
        self.unsynced = false;
        let forgets = reading.forgets_statements();
        self.expected.push_back(Expect::Query { reading, complete: 0, renamed });
        if forgets {
            self.names.unsure = self.ends_due();
        }
        Ok(Step::Done)
    }

    /// A BEGIN waits for the statement behind it: one round to the server less, and none for an empty transaction's
    /// start.
    fn begin_later(&mut self, message: &[u8]) {
        if self.link.mode == PoolMode::Statement {
            let out = self.link.client.output();
            backend::write_error(out, "ERROR", &no_blocks());
            return backend::write_ready(out, TransactionStatus::Idle);
        }
        self.begun = Some(Bytes::copy_from_slice(message));
        self.status = TransactionStatus::Open;
        let out = self.link.client.output();
        backend::write_command_complete(out, "BEGIN");
        backend::write_ready(out, TransactionStatus::Open);
    }

    fn function_call(&mut self, message: &[u8]) -> Result<Step, ClientError> {
        if self.server.is_none() {
            return Ok(Step::NeedsServer);
        }
        let called = frontend::called_function(&message[HEADER_BYTES..]).map(Reading::of_function);
        let reading = called.map(Rc::new).unwrap_or_default();
        self.unit.give_up();
        self.begin_work(&reading);
        self.send(message);
        self.unsynced = false;
        self.expected.push_back(Expect::Query { reading, complete: 0, renamed: None });
        Ok(Step::Done)
    }

    fn extended(&mut self, kind: u8, message: &[u8]) -> Result<Step, ClientError> {
        if self.server.is_none() {
            if kind == b'H' {
                return Ok(Step::Done);
            }
            return Ok(Step::NeedsServer);
        }
        if self.names.unsure > 0 && self.names_statement(kind, message) {
            return Ok(Step::Waits);
        }
        if !self.unsynced {
            self.begin_unit(kind, message);
        }
        self.unit.record(message);
        self.unsynced = true;
        match kind {
            b'P' => self.parse(message)?,
            b'B' => self.bind(message)?,
            b'D' => self.describe(message)?,
            b'C' => self.close(message)?,
            b'E' => self.execute(message)?,
            _ => self.send(message),
        }
        Ok(Step::Done)
    }

    fn bind(&mut self, message: &[u8]) -> Result<(), ClientError> {
        let (portal, rest) = split_text(&message[HEADER_BYTES..])?;
        let (name, tail) = split_text(rest)?;
        let named = self.find(name);
        let reading = self.reading_of(name, named.as_deref());
        if let Some(reading) = &reading {
            self.forget_numbers(reading);
        }
        if name.is_empty() {
            self.prepare_unnamed();
        }
        self.note_portal(portal, reading);
        match &named {
            Some(named) => {
                self.prepare_again(Some(named));
                let server_name = named.name();
                let parts: [&[u8]; 5] = [portal, b"\0", server_name.as_bytes(), b"\0", tail];
                self.send_parts(b'B', &parts);
            }
            None if self.is_foreign(name) => self.send_parts(b'B', &[portal, b"\0?", name, b"\0", tail]),
            None => self.send(message),
        }
        self.expected.push_back(Expect::Bind(named));
        Ok(())
    }

    /// Remembers what executing the portal leaves behind; most leave nothing.
    fn note_portal(&mut self, portal: &[u8], reading: Option<Rc<Reading>>) {
        match reading {
            Some(reading) => {
                self.names.portals.insert(portal.into(), reading);
            }
            None if !self.names.portals.is_empty() => {
                self.names.portals.remove(portal);
            }
            None => {}
        }
    }

    /// Returns what executing a statement leaves behind, if anything.
    fn reading_of(&self, name: &[u8], named: Option<&Named>) -> Option<Rc<Reading>> {
        match named {
            Some(named) if !named.reading.is_harmless() => Some(Rc::clone(&named.reading)),
            None if name.is_empty() => self.names.unnamed_reading.clone(),
            None if !self.names.passed.is_empty() => self.names.passed.get(name).cloned(),
            Some(_) | None => None,
        }
    }

    fn describe(&mut self, message: &[u8]) -> Result<(), ClientError> {
        let (kind, name) = target(message)?;
        let mut described = None;
        if kind == b'S' && name.is_empty() {
            self.prepare_unnamed();
            self.send(message);
        } else if kind == b'S' {
            described = self.find(name);
            match &described {
                Some(named) => {
                    self.prepare_again(Some(named));
                    self.send_parts(b'D', &[b"S", named.name().as_bytes(), b"\0"]);
                }
                None if self.is_foreign(name) => self.send_parts(b'D', &[b"S?", name, b"\0"]),
                None => self.send(message),
            }
        } else {
            self.send(message);
        }
        self.expected.push_back(Expect::Describe(described));
        Ok(())
    }

    fn execute(&mut self, message: &[u8]) -> Result<(), ClientError> {
        let (portal, _) = split_text(&message[HEADER_BYTES..])?;
        let reading = if self.names.portals.is_empty() { None } else { self.names.portals.get(portal).cloned() };
        self.begin_work(reading.as_deref().unwrap_or(&Reading::default()));
        if reading.as_deref().is_some_and(Reading::forgets_statements) {
            (self.names.changed, self.names.resets) = (true, true);
        }
        self.send(message);
        self.expected.push_back(Expect::Execute(reading));
        Ok(())
    }

    fn close(&mut self, message: &[u8]) -> Result<(), ClientError> {
        let (kind, name) = target(message)?;
        if kind == b'S' && !name.is_empty() && !self.names.pass {
            let known = self.names.named.remove_entry(name);
            self.names.changed |= known.is_some();
            self.expected.push_back(Expect::Own(Own::Close(known)));
            return Ok(());
        }
        if kind == b'S' && name.is_empty() {
            self.names.unnamed.clear();
        } else if kind == b'S' {
            self.names.passed.remove(name);
        } else if !self.names.portals.is_empty() {
            self.names.portals.remove(name);
        }
        self.send(message);
        self.expected.push_back(Expect::Close);
        Ok(())
    }

    fn sync(&mut self, message: &[u8]) -> Step {
        let skipping = std::mem::replace(&mut self.skipping, Skip::No);
        if self.server.is_none() || skipping == Skip::Own {
            let status = self.status;
            backend::write_ready(self.link.client.output(), status);
            return Step::Done;
        }
        self.unit.record(message);
        self.send(message);
        if !self.copies {
            self.unsynced = false;
            self.expected.push_back(Expect::Sync);
            if std::mem::take(&mut self.names.changed) {
                // An error before this Sync would undo what it defines, and nobody knows yet.
                self.names.unsure = self.ends_due();
            }
        }
        Step::Done
    }

    /// Returns how many Queries and Syncs are to be answered.
    pub(super) fn ends_due(&self) -> usize {
        self.expected.iter().filter(|expect| matches!(expect, Expect::Sync | Expect::Query { .. })).count()
    }

    /// A statement that may take back what ties the session to its server is a reason to ask there.
    pub(super) fn doubt(&mut self, text: &[u8]) {
        let asks = self.link.pin != Pinned::No && self.link.base_pin() == Pinned::No;
        self.doubts |= asks && std::str::from_utf8(text).is_ok_and(unpins);
    }

    fn copy_data(&mut self, message: &[u8]) -> Step {
        // Outside of a COPY the server ignores it too.
        if self.server.is_some() {
            self.send(message);
        }
        Step::Done
    }

    fn copy_end(&mut self, message: &[u8]) -> Step {
        if self.server.is_none() {
            return Step::Done;
        }
        let copies = std::mem::take(&mut self.copies);
        if copies || self.expected.iter().any(|expect| matches!(expect, Expect::Execute(_))) {
            self.expected.push_back(Expect::CopyEnd);
        }
        self.send(message);
        Step::Done
    }

    pub(super) fn send(&mut self, message: &[u8]) {
        if let Some(server) = &mut self.server {
            server.out().extend_from_slice(message);
        }
    }

    pub(super) fn send_parts(&mut self, kind: u8, parts: &[&[u8]]) {
        if let Some(server) = &mut self.server {
            write_parts(server, kind, parts);
        }
    }

    /// Counts a statement, and notes when work began.
    fn begin_work(&mut self, reading: &Reading) {
        self.link.worker.proxy.metrics.query(QueryKind::Direct);
        if reading.meanings.schema && !(reading.meanings.drops_tables && self.link.pin == Pinned::TemporaryTable) {
            self.note_schema_change();
        }
        if reading.meanings.schema {
            self.effects.redefined.extend_from_slice(&reading.redefined);
        }
        for database in &reading.deserted {
            self.link.worker.proxy.desert(database);
        }
        self.effects.local |= reading.meanings.local;
        self.numbers.ran = true;
        self.numbers.drew |= reading.meanings.draws;
        for consequence in &reading.statements {
            if let Consequence::Pin(pin) = consequence {
                if *pin == Pinned::TemporaryTable && self.link.pin != *pin {
                    self.leave_shared_names();
                }
                // Before it runs: whether it succeeded or not, its server is not lent to others any more.
                self.link.keep_servers(*pin, [self.link.snapshot.rules.home].into_iter().collect());
                self.record.set_pinned(*pin);
                self.doubts = self.link.base_pin() == Pinned::No;
            }
        }
        if self.since.is_none() {
            let now = Instant::now();
            self.since = Some(now);
            self.record.set_state(ClientState::Active, self.link.worker.wall_ms(now));
        }
    }
}

/// Tells whether a text may be a BEGIN, which needs no server yet; most are told by their first letter.
fn may_begin(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start().first(), Some(b'b' | b'B'))
}

fn write_parts(server: &mut Server, kind: u8, parts: &[&[u8]]) {
    let length = 4 + parts.iter().map(|part| part.len()).sum::<usize>();
    let out = server.out();
    out.reserve(length + 1);
    out.put_u8(kind);
    out.put_u32(length as u32);
    parts.iter().for_each(|part| out.put_slice(part));
}

/// Splits a zero-terminated text off the front.
pub(super) fn split_text(body: &[u8]) -> Result<(&[u8], &[u8]), FrameError> {
    let end = memchr::memchr(0, body).ok_or(FrameError::Truncated)?;
    Ok((&body[..end], &body[end + 1..]))
}

/// Reads Describe and Close: `S` or `P`, and a name.
pub(super) fn target(message: &[u8]) -> Result<(u8, &[u8]), FrameError> {
    let (kind, rest) = message[HEADER_BYTES..].split_first().ok_or(FrameError::Truncated)?;
    Ok((*kind, split_text(rest)?.0))
}
