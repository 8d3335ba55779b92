//! A run of steps for one shard, sent in one write; the replies pass as they come.
//!
//! Parse is sent only where the server does not have the statement; what the client is to hear all the same is put in
//! between at its place.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::{Buf, BufMut, BytesMut};

use crate::backend::Server;
use crate::execute::{self, Client, Failure};
use crate::types::ShardId;
use crate::wire::{backend, frontend};

use super::pipeline::Step;
use super::portal::Portal;
use super::told::Held;
use crate::execute::{Description, Prepared};

/// What a server's reply is matched against, in order.
enum Expect {
    /// The proxy answers at this place.
    Answer(&'static [u8]),
    /// Frames kept from an earlier description.
    Known(bytes::Bytes, Held),
    /// ParseComplete; `pass` if the client asked.
    Parse {
        /// Of a statement with a name.
        number: Option<u64>,
        pass: bool,
    },
    /// The same, of a server that has just prepared the statement for a client that knows its columns already.
    Compare(Rc<Portal>),
    Bind(Rc<Portal>),
    /// ParameterDescription, then RowDescription or NoData.
    DescribeStatement(Held),
    DescribePortal(Rc<Portal>),
    Execute,
    ClosePortal,
    /// CloseComplete of a statement that made room for another.
    Evicted(u64),
}

const PARSE_COMPLETE: &[u8] = &[b'1', 0, 0, 0, 4];
/// Where PostgreSQL says "cached plan must not change result type", whatever the language of its messages.
const OUTDATED_ROUTINE: &[u8] = b"RRevalidateCachedQuery\0";
/// The SQLSTATE of a statement that a server does not have, among an error's fields.
const MISSING: &[u8] = b"\0C26000\0";
const CLOSE_COMPLETE: &[u8] = &[b'3', 0, 0, 0, 4];

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Whether the server raised an error; it has been passed.
    pub failed: bool,
    /// How many steps at the end were not answered, the failed one among them.
    pub unanswered: usize,
    /// Rows affected, per Execute in order.
    pub affected: Vec<u64>,
}

/// How a batch goes on after a frame.
enum Next {
    /// With the next frame.
    More,
    /// With the client's COPY data.
    Copy,
    /// Not at all: that was ReadyForQuery.
    Done,
}

/// One batch on its way.
pub(super) struct Batch {
    expected: VecDeque<Expect>,
    generation: u64,
    /// Whether what servers and descriptions remember holds: not after a change of tables in the open transaction.
    remembers: bool,
    /// The fingerprint of what decides how servers read constants; without one nothing is prepared under a name.
    reading: Option<u64>,
    /// Statements that were sent under the unnamed name in this batch, the last one.
    unnamed: Option<u64>,
    /// Whether nothing is written, so that an answer may be dropped.
    reads: bool,
    /// Whether the rest of the replies is dropped: the client would misread it.
    dropping: bool,
}

impl Batch {
    /// Starts a batch; descriptions are kept for `generation` of the rules, and not at all unless it `remembers`.
    pub fn new(generation: u64, remembers: bool, reading: Option<u64>) -> Self {
        Self { expected: VecDeque::new(), generation, remembers, reading, unnamed: None, reads: true, dropping: false }
    }

    /// Returns the number of a statement that is, or may be, prepared under a name.
    fn number(&self, statement: &Prepared) -> Option<u64> {
        self.reading.filter(|_| self.remembers && !statement.fleeting).map(|reading| statement.number(reading))
    }

    /// Appends a step's messages to the server's buffer.
    pub fn push(&mut self, server: &mut Server, step: &Step) {
        match step {
            Step::Parse(statement) => {
                self.parse(server, statement, true);
            }
            Step::Bind(portal) => self.bind(server, portal),
            Step::DescribeStatement(held) => self.describe_statement(server, held),
            Step::DescribePortal(portal) => {
                frontend::write_describe(server.out(), frontend::Target::Portal, &portal.name);
                self.expected.push_back(Expect::DescribePortal(Rc::clone(portal)));
            }
            Step::Execute(portal, rows) => {
                frontend::write_execute(server.out(), &portal.name, *rows);
                self.expected.push_back(Expect::Execute);
            }
            Step::CloseStatement => self.expected.push_back(Expect::Answer(CLOSE_COMPLETE)),
            Step::ClosePortal(Some(portal)) if self.is_open(portal, server.shard()) => {
                frontend::write_close(server.out(), frontend::Target::Portal, &portal.name);
                self.expected.push_back(Expect::ClosePortal);
            }
            Step::ClosePortal(_) => self.expected.push_back(Expect::Answer(CLOSE_COMPLETE)),
            Step::DescribeCursor(..) | Step::Fail(_) => {}
        }
    }

    /// Tells whether the server has the portal by now, or will have it when it comes to close it.
    fn is_open(&self, portal: &Rc<Portal>, shard: ShardId) -> bool {
        let binds = |expect: &Expect| matches!(expect, Expect::Bind(bound) if Rc::ptr_eq(bound, portal));
        portal.open_on.get() == Some(shard) || self.expected.iter().any(binds)
    }

    /// Makes sure that the server has the statement; `asked` if the client is to hear ParseComplete. Tells whether it
    /// is prepared there for it.
    fn parse(&mut self, server: &mut Server, statement: &Rc<Prepared>, asked: bool) -> bool {
        if self.is_on(server, statement) || self.unnamed == Some(statement.id()) {
            if asked {
                self.expected.push_back(Expect::Answer(PARSE_COMPLETE));
            }
            return false;
        }
        let uses = statement.uses.get();
        let number = self.number(statement).filter(|_| uses > 1 || asked && uses == 0);
        if let Some(number) = number {
            if let Some(evicted) = server.statements.insert(number) {
                frontend::write_close(server.out(), frontend::Target::Statement, &format!("s{evicted}"));
                self.expected.push_back(Expect::Evicted(evicted));
            }
        } else {
            self.unnamed = Some(statement.id());
        }
        frontend::write_parse(server.out(), &server_name(number), &statement.sql, &statement.types);
        self.expected.push_back(Expect::Parse { number, pass: asked });
        true
    }

    /// Tells whether the server has the statement under its name.
    fn is_on(&self, server: &mut Server, statement: &Prepared) -> bool {
        self.on(server, statement).is_some()
    }

    /// Returns the number under which the server has the statement, if it has it.
    fn on(&self, server: &mut Server, statement: &Prepared) -> Option<u64> {
        self.number(statement).filter(|number| server.statements.contains(*number))
    }

    fn bind(&mut self, server: &mut Server, portal: &Rc<Portal>) {
        self.reads &= portal.reads();
        let prepares = self.parse(server, &portal.statement, false);
        let name = server_name(self.on(server, &portal.statement));
        if prepares && portal.told.knows(&portal.statement) {
            frontend::write_describe(server.out(), frontend::Target::Statement, &name);
            self.expected.push_back(Expect::Compare(Rc::clone(portal)));
        }
        write_bind(server.out(), portal, &name);
        self.expected.push_back(Expect::Bind(Rc::clone(portal)));
    }

    fn describe_statement(&mut self, server: &mut Server, held: &Held) {
        let statement = &held.prepared;
        let is_current = |known: &&Description| self.remembers && known.generation == self.generation;
        if let Some(known) = statement.description.borrow().as_ref().filter(is_current) {
            self.expected.push_back(Expect::Known(known.frames.clone(), held.clone()));
            return;
        }
        self.parse(server, statement, false);
        let name = server_name(self.on(server, statement));
        frontend::write_describe(server.out(), frontend::Target::Statement, &name);
        self.expected.push_back(Expect::DescribeStatement(held.clone()));
    }

    /// Tells whether the server has to be asked at all.
    pub fn needs_server(&self) -> bool {
        self.expected.iter().any(|expect| !matches!(expect, Expect::Answer(_) | Expect::Known(..)))
    }

    /// Passes the replies up to ReadyForQuery, which is noted and not passed.
    pub async fn replies(mut self, client: &mut Client, server: &mut Server) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::default();
        let mut described = BytesMut::new();
        let mut skip = 0;
        let mut flushed = false;
        loop {
            if self.dropping {
                return self.drop_rest(client, server, outcome).await;
            }
            execute::pass_rows(client.output(), server, &mut skip)?;
            if skip == 0
                && let Some(length) = execute::whole_frame(server)?
            {
                self.answer_own(client);
                match self.frame(client, server, length, &mut described, &mut outcome)? {
                    Next::More => continue,
                    Next::Copy => execute::pass_copy_data(client, server, true).await?,
                    Next::Done => return Ok(outcome),
                }
            }
            flushed |= client.flush_if_large().await?;
            execute::fill(client, server).await.map_err(|failure| execute::cut(client, failure, skip, flushed))?;
        }
    }

    /// Reads and drops what the server still says, up to ReadyForQuery.
    async fn drop_rest(self, client: &mut Client, server: &mut Server, outcome: Outcome) -> Result<Outcome, Failure> {
        loop {
            let (kind, frame) = execute::next_frame(client, server).await?;
            execute::note_parameter(server, &frame);
            if kind == b'Z' {
                execute::note_ready(server, &frame)?;
                return Ok(outcome);
            }
        }
    }

    /// Takes one whole frame, which is no row, off the server's buffer.
    fn frame(
        &mut self,
        client: &mut Client,
        server: &mut Server,
        length: usize,
        described: &mut BytesMut,
        outcome: &mut Outcome,
    ) -> Result<Next, Failure> {
        let shard = server.shard();
        let frame = &server.input()[..length];
        let next = match frame[0] {
            b'Z' => {
                let ready = [frame[0], 0, 0, 0, 5, frame.get(5).copied().unwrap_or(0)];
                execute::note_ready(server, &ready)?;
                if !outcome.failed {
                    self.answer_own(client);
                }
                Next::Done
            }
            b'E' => {
                let frame = bytes::Bytes::copy_from_slice(frame);
                if server.note_farewell(&frame) {
                    server.input().advance(length);
                    return Ok(Next::More);
                }
                outcome.failed = true;
                self.renew_outdated(server, &frame);
                client.output().extend_from_slice(&execute::explained(server, frame));
                outcome.unanswered = self.unanswered();
                self.forget_unparsed(server);
                Next::More
            }
            b'G' => {
                client.output().extend_from_slice(frame);
                Next::Copy
            }
            b't' => {
                described.extend_from_slice(frame);
                Next::More
            }
            b'S' => {
                client.output().extend_from_slice(frame);
                let frame = bytes::Bytes::copy_from_slice(frame);
                execute::note_parameter(server, &frame);
                Next::More
            }
            b'N' | b'A' | b'H' | b'W' | b'c' => {
                client.output().extend_from_slice(frame);
                Next::More
            }
            _ => {
                self.matched(client, frame, shard, described, outcome);
                Next::More
            }
        };
        server.input().advance(length);
        Ok(next)
    }

    /// Handles what ends the step whose turn it is.
    fn matched(
        &mut self,
        client: &mut Client,
        frame: &[u8],
        shard: ShardId,
        described: &mut BytesMut,
        outcome: &mut Outcome,
    ) {
        match self.expected.pop_front() {
            Some(Expect::Parse { pass, .. }) if !pass => {}
            Some(Expect::Evicted(_)) => {}
            Some(Expect::DescribeStatement(Held { prepared, told })) => {
                described.extend_from_slice(frame);
                let frames = std::mem::take(described).freeze();
                client.output().extend_from_slice(&frames);
                told.note_statement(&prepared, self.remembers, &frames);
                if self.remembers {
                    *prepared.description.borrow_mut() = Some(Description { generation: self.generation, frames });
                }
            }
            Some(Expect::Compare(portal)) => {
                described.clear();
                self.compare(client, &portal, frame, outcome);
            }
            Some(Expect::DescribePortal(portal)) => {
                portal.told.note_portal(&portal.statement, self.remembers, frame);
                client.output().extend_from_slice(frame);
            }
            Some(Expect::Bind(portal)) => {
                portal.open_on.set(Some(shard));
                client.output().extend_from_slice(frame);
            }
            Some(Expect::Execute) => {
                let tag = if frame[0] == b'C' { backend::command_tag(&frame[5..]).ok() } else { None };
                outcome.affected.push(tag.map_or(0, execute::rows_of_tag));
                client.output().extend_from_slice(frame);
            }
            Some(_) | None => client.output().extend_from_slice(frame),
        }
    }

    /// Tables changed behind the proxy's back: rows in columns that the client does not know are not for it. What was
    /// written cannot be taken back, so that answer passes.
    fn compare(&mut self, client: &mut Client, portal: &Rc<Portal>, frame: &[u8], outcome: &mut Outcome) {
        let Err(error) = portal.told.check_frame(frame) else { return };
        portal.statement.renew();
        let described = |expect: &Expect| matches!(expect, Expect::DescribePortal(other) if Rc::ptr_eq(other, portal));
        let asks = portal.takes_any_columns() && self.expected.iter().any(described);
        if self.reads && !asks {
            outcome.failed = true;
            outcome.unanswered = self.unanswered();
            self.dropping = true;
            client.output().extend_from_slice(&error);
        }
    }

    fn answer_own(&mut self, client: &mut Client) {
        loop {
            match self.expected.front() {
                Some(Expect::Answer(frame)) => client.output().extend_from_slice(frame),
                Some(Expect::Known(frames, Held { prepared, told })) => {
                    told.note_statement(prepared, self.remembers, frames);
                    client.output().extend_from_slice(frames);
                }
                _ => return,
            }
            self.expected.pop_front();
        }
    }

    /// Tables changed behind the proxy's back: the statement gets a new name, so that its next use is prepared again. One
    /// that the server has lost is prepared again there.
    fn renew_outdated(&self, server: &mut Server, error: &[u8]) {
        let Some(front @ (Expect::Bind(portal) | Expect::Compare(portal))) = self.expected.front() else { return };
        if memchr::memmem::find(error, MISSING).is_some()
            && let Some(number) = self.number(&portal.statement)
        {
            server.statements.remove(number);
        }
        if matches!(front, Expect::Bind(_)) && memchr::memmem::find(error, OUTDATED_ROUTINE).is_some() {
            portal.statement.renew();
        }
    }

    /// Returns how many steps are still to be answered: each has one entry that the client hears of.
    fn unanswered(&self) -> usize {
        let own = |expect: &&Expect| {
            matches!(expect, Expect::Parse { pass: false, .. } | Expect::Evicted(_) | Expect::Compare(_))
        };
        self.expected.len() - self.expected.iter().filter(own).count()
    }

    /// After an error the server skips what follows: statements among it were neither prepared nor closed.
    fn forget_unparsed(&mut self, server: &mut Server) {
        self.forget_parsed(server);
        for expect in self.expected.drain(..) {
            if let Expect::Evicted(id) = expect {
                server.statements.insert(id);
            }
        }
    }

    /// Nothing of the batch was prepared, as its transaction had failed before; statements were closed all the same.
    pub fn forget_parsed(&self, server: &mut Server) {
        for expect in &self.expected {
            if let Expect::Parse { number: Some(number), .. } = expect {
                server.statements.remove(*number);
            }
        }
    }

    /// Answers a batch for which no server is needed.
    pub fn answer_all(mut self, client: &mut Client) {
        self.answer_own(client);
    }
}

/// Returns the name under which a server knows a statement; empty for the unnamed one.
fn server_name(number: Option<u64>) -> String {
    number.map_or_else(String::new, |number| format!("s{number}"))
}

/// Writes Bind with the server's name for the statement and the client's own bytes for the rest.
fn write_bind(out: &mut BytesMut, portal: &Portal, statement: &str) {
    let length = 4 + portal.name.len() + 1 + statement.len() + 1 + portal.tail.len();
    out.put_u8(b'B');
    out.put_u32(length as u32);
    out.put_slice(portal.name.as_bytes());
    out.put_u8(0);
    out.put_slice(statement.as_bytes());
    out.put_u8(0);
    out.put_slice(&portal.tail);
}
