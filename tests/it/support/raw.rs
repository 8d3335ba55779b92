//! A client that shows every message: column descriptions, command tags, error fields, the transaction status.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;

/// A reply that takes longer is a failure.
const READ_BOUND: Duration = Duration::from_secs(30);

/// One column of a row description; the table's oid and the column's number differ between servers and are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub type_oid: u32,
    pub type_modifier: i32,
    pub format: i16,
}

/// One message of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Columns(Vec<Column>),
    Row(Vec<Option<String>>),
    Tag(String),
    Empty,
    /// The types in a ParameterDescription.
    Parameters(Vec<u32>),
    /// The fields by their letter: `S` severity, `C` SQLSTATE, `M` message, `D` detail, `H` hint.
    Error(BTreeMap<char, String>),
    Notice(BTreeMap<char, String>),
    /// Any other message, by its tag.
    Other(char),
}

/// All messages up to ReadyForQuery, and its transaction status: `I`, `T` or `E`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub events: Vec<Event>,
    pub status: char,
}

impl Reply {
    /// Returns all rows, of all statements.
    pub fn rows(&self) -> Vec<Vec<Option<String>>> {
        self.events
            .iter()
            .filter_map(|event| if let Event::Row(row) = event { Some(row.clone()) } else { None })
            .collect()
    }

    /// Returns the command tags.
    pub fn tags(&self) -> Vec<String> {
        self.events
            .iter()
            .filter_map(|event| if let Event::Tag(tag) = event { Some(tag.clone()) } else { None })
            .collect()
    }

    /// Returns the SQLSTATE and the message of the first error.
    pub fn error(&self) -> Option<(String, String)> {
        let fields =
            self.events.iter().find_map(|event| if let Event::Error(fields) = event { Some(fields) } else { None })?;
        Some((fields.get(&'C')?.clone(), fields.get(&'M')?.clone()))
    }
}

/// What [`RawClient::send_until_stuck`] could not send.
#[derive(Debug)]
pub struct Unsent {
    /// Parts that were not sent, or not wholly.
    pub parts_left: usize,
    /// The rest of a part that was begun; empty if none was.
    pub of_part: Vec<u8>,
}

/// One connection. All calls block.
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
    /// The parameters that the server reported.
    pub parameters: BTreeMap<String, String>,
    /// The body of BackendKeyData.
    pub key: Vec<u8>,
}

impl RawClient {
    /// Connects and logs in with SCRAM-SHA-256 (or whatever less the server asks for); panics if that fails.
    pub fn connect(port: u16, database: &str, user: &str, password: &str) -> Self {
        Self::connect_with(port, &[("user", user), ("database", database)], password)
    }

    /// Opens a connection and sends nothing.
    pub fn dial(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap_or_else(|error| panic!("port {port}: {error}"));
        stream.set_read_timeout(Some(READ_BOUND)).expect("a read time-out");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, parameters: BTreeMap::new(), key: Vec::new() }
    }

    /// Logs in with these start-up parameters.
    pub fn connect_with(port: u16, parameters: &[(&str, &str)], password: &str) -> Self {
        let mut client = Self::dial(port);
        let mut startup = BytesMut::new();
        frontend::startup_message(parameters.iter().copied(), &mut startup).expect("a startup message");
        client.send(&startup);
        client.log_in(password);
        client
    }

    /// Logs in with these start-up parameters; a refusal is returned as SQLSTATE and message.
    pub fn try_connect(port: u16, parameters: &[(&str, &str)], password: &str) -> Result<Self, (String, String)> {
        let mut client = Self::dial(port);
        let mut startup = BytesMut::new();
        frontend::startup_message(parameters.iter().copied(), &mut startup).expect("a startup message");
        client.send_some(&startup);
        client.try_log_in(password)?;
        Ok(client)
    }

    /// Reads one byte.
    pub fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).expect("a byte within the time-out");
        byte[0]
    }

    /// Closes the sending side.
    pub fn finish_sending(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// Sends a cancel request with a key over a connection of its own and waits for its end.
    pub fn cancel_key(port: u16, key: &[u8]) {
        assert!(Self::send_cancel(port, key).is_empty());
    }

    /// Sends a cancel request whose key, right or wrong, has any length; returns what comes until its end.
    pub fn send_cancel(port: u16, key: &[u8]) -> Vec<u8> {
        let mut other = Self::dial(port);
        let length = u32::try_from(8 + key.len()).expect("a short key");
        other.send(&[&length.to_be_bytes(), &[0x04, 0xd2, 0x16, 0x2e], key].concat());
        other.read_to_end()
    }

    /// Reads whatever comes until the other side closes.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A reset is an end too.
        let _ = self.stream.read_to_end(&mut bytes);
        bytes
    }

    /// Sends as much as the other side takes; it may have closed already.
    pub fn send_some(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends raw bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server reads");
    }

    /// Runs `sql` by a simple query.
    pub fn simple(&mut self, sql: &str) -> Reply {
        let mut message = BytesMut::new();
        frontend::query(sql, &mut message).expect("a query message");
        self.send(&message);
        self.reply()
    }

    /// The same of a proxy that may end meanwhile: `None` if it did.
    pub fn try_simple(&mut self, sql: &str) -> Option<Reply> {
        let mut message = BytesMut::new();
        frontend::query(sql, &mut message).expect("a query message");
        self.send(&message);
        self.try_reply()
    }

    /// Reads up to the next ReadyForQuery.
    pub fn reply(&mut self) -> Reply {
        let mut events = Vec::new();
        loop {
            let (tag, body) = self.message();
            match tag {
                'Z' => return Reply { events, status: char::from(body[0]) },
                'S' => self.parameter(&body),
                _ => events.push(event(tag, &body)),
            }
        }
    }

    /// Reads up to the next ReadyForQuery; `None` if the other side closes before.
    pub fn try_reply(&mut self) -> Option<Reply> {
        let mut events = Vec::new();
        loop {
            let (tag, body) = self.try_message()?;
            match tag {
                'Z' => return Some(Reply { events, status: char::from(body[0]) }),
                'S' => self.parameter(&body),
                _ => events.push(event(tag, &body)),
            }
        }
    }

    /// Reads up to the next ReadyForQuery and counts the rows, which are not kept; panics on an error.
    pub fn count_rows(&mut self) -> usize {
        let mut rows = 0;
        loop {
            match self.message() {
                ('Z', _) => return rows,
                ('D', _) => rows += 1,
                ('E', body) => panic!("{}", String::from_utf8_lossy(&body)),
                _ => {}
            }
        }
    }

    /// Returns another handle to the same connection, to read from while this one writes.
    pub fn duplicate(&self) -> Self {
        let stream = self.stream.try_clone().expect("a handle");
        Self { stream, parameters: BTreeMap::new(), key: Vec::new() }
    }

    /// Sends `part` up to `count` times, until the other side takes nothing for `patience`.
    pub fn send_until_stuck(&mut self, part: &[u8], count: usize, patience: Duration) -> Unsent {
        self.stream.set_write_timeout(Some(patience)).expect("a time-out");
        let mut unsent = Unsent { parts_left: count, of_part: Vec::new() };
        'parts: while unsent.parts_left > 0 {
            let mut rest = part;
            while !rest.is_empty() {
                match self.stream.write(rest) {
                    Ok(written) => rest = &rest[written..],
                    Err(_) => {
                        unsent.of_part = if rest.len() < part.len() { rest.to_vec() } else { Vec::new() };
                        break 'parts;
                    }
                }
            }
            unsent.parts_left -= 1;
        }
        self.stream.set_write_timeout(None).expect("no time-out");
        unsent
    }

    /// Reads one message: its tag and its body.
    pub fn message(&mut self) -> (char, Vec<u8>) {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head).expect("a message within the time-out");
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body).expect("a whole message");
        (char::from(head[0]), body)
    }

    /// Reads one message; `None` once the other side has closed. Panics after the time-out.
    pub fn try_message(&mut self) -> Option<(char, Vec<u8>)> {
        let mut head = [0; 5];
        match self.stream.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("no message within the time-out")
            }
            Err(_) => return None,
        }
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body).ok()?;
        Some((char::from(head[0]), body))
    }

    fn parameter(&mut self, body: &[u8]) {
        let mut cursor = Cursor(body);
        let name = cursor.text();
        self.parameters.insert(name, cursor.text());
    }

    /// Logs in after the start-up packet; tells whether the protocol's version was negotiated.
    pub fn log_in(&mut self, password: &str) -> bool {
        self.try_log_in(password).unwrap_or_else(|error| panic!("login: {error:?}"))
    }

    /// The same; an error is returned as SQLSTATE and message.
    fn try_log_in(&mut self, password: &str) -> Result<bool, (String, String)> {
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        let mut negotiated = false;
        loop {
            let (tag, body) = self.message();
            let mut answer = BytesMut::new();
            match (tag, body.get(3)) {
                ('Z', _) => return Ok(negotiated),
                ('v', _) => negotiated = true,
                ('S', _) => self.parameter(&body),
                ('K', _) => self.key = body.clone(),
                ('R', Some(10)) => {
                    frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut answer).expect("SASL")
                }
                ('R', Some(11)) => {
                    scram.update(&body[4..]).expect("SCRAM's challenge");
                    frontend::sasl_response(scram.message(), &mut answer).expect("SASL");
                }
                ('R', Some(12)) => scram.finish(&body[4..]).expect("SCRAM's proof of the server"),
                ('E', _) => {
                    let fields = fields(&body);
                    return Err((fields[&'C'].clone(), fields[&'M'].clone()));
                }
                _ => {}
            }
            self.send(&answer);
        }
    }
}

/// Reads what one message says.
pub fn event(tag: char, body: &[u8]) -> Event {
    let mut cursor = Cursor(body);
    match tag {
        'T' => Event::Columns((0..cursor.i16()).map(|_| column(&mut cursor)).collect()),
        'D' => Event::Row((0..cursor.i16()).map(|_| cursor.value()).collect()),
        'C' => Event::Tag(cursor.text()),
        'I' => Event::Empty,
        't' => Event::Parameters((0..cursor.i16()).map(|_| cursor.i32() as u32).collect()),
        'E' => Event::Error(fields(body)),
        'N' => Event::Notice(fields(body)),
        other => Event::Other(other),
    }
}

fn column(cursor: &mut Cursor<'_>) -> Column {
    let name = cursor.text();
    cursor.take(6);
    let type_oid = cursor.i32() as u32;
    cursor.take(2);
    Column { name, type_oid, type_modifier: cursor.i32(), format: cursor.i16() }
}

fn fields(body: &[u8]) -> BTreeMap<char, String> {
    let mut cursor = Cursor(body);
    let mut fields = BTreeMap::new();
    while let [letter, ..] = cursor.take(1)
        && *letter != 0
    {
        fields.insert(char::from(*letter), cursor.text());
    }
    fields
}

/// Reads a message's body from its front.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().expect("two bytes"))
    }

    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().expect("four bytes"))
    }

    fn text(&mut self) -> String {
        let end = self.0.iter().position(|byte| *byte == 0).expect("a terminated string");
        String::from_utf8_lossy(&self.take(end + 1)[..end]).into_owned()
    }

    fn value(&mut self) -> Option<String> {
        let length = self.i32();
        usize::try_from(length).ok().map(|length| String::from_utf8_lossy(self.take(length)).into_owned())
    }
}
