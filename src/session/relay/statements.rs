//! Prepared statements: under which name the server knows them, and whether it has them.
//!
//! In pool mode `session` the server is the session's own, and names pass as they are.

use std::rc::Rc;

use bytes::{BufMut, BytesMut};

use crate::execute::{ClientError, Named, Reading, is_server_name};
use crate::proxy::Pinned;
use crate::session::control::too_many_statements;
use crate::types::TransactionStatus;
use crate::wire::frame::{FrameError, HEADER_BYTES};
use crate::wire::frontend;

use super::client_side::{split_text, target};
use super::expect::{Expect, Own, Parsed};
use super::state::Relay;

/// No server has a statement of this name, as it has no number, and the text is none.
const REFUSED: (&[u8], &[u8]) = (b"shardloom_", b"refused\0\0\0");

impl Relay {
    pub(super) fn parse(&mut self, message: &[u8]) -> Result<(), ClientError> {
        let (name, body) = split_text(&message[HEADER_BYTES..])?;
        let (text, _) = split_text(body)?;
        self.doubt(text);
        let reading = self.link.worker.readings.read(text);
        self.forget_numbers(&reading);
        if name.is_empty() {
            self.parse_unnamed(message, body, reading);
        } else if self.names.pass {
            self.pass_parse(message, name, reading);
        } else if let Some(known) = self.names.named.get(name).cloned() {
            self.name_is_taken(name, &known);
        } else {
            self.parse_named(name, body, reading);
        }
        Ok(())
    }

    fn parse_unnamed(&mut self, message: &[u8], body: &[u8], reading: Rc<Reading>) {
        self.names.unnamed.clear();
        self.names.unnamed.extend_from_slice(body);
        self.names.unnamed_says_names = reading.meanings.statements;
        self.names.unnamed_reading = (!reading.is_harmless()).then_some(reading);
        self.names.unnamed_is_sent = true;
        if self.names.unnamed_says_names {
            let body = self.renamed_body(body);
            self.write_parse(b"", &body);
        } else {
            self.send(message);
        }
        self.expected.push_back(Expect::Parse(Parsed::Unnamed));
    }

    fn pass_parse(&mut self, message: &[u8], name: &[u8], reading: Rc<Reading>) {
        if !reading.is_harmless() {
            self.names.passed.insert(name.into(), reading);
        } else if !self.names.passed.is_empty() {
            self.names.passed.remove(name);
        }
        self.send(message);
        self.expected.push_back(Expect::Parse(Parsed::Passed));
    }

    fn parse_named(&mut self, name: &[u8], body: &[u8], reading: Rc<Reading>) {
        let most = self.link.worker.proxy.config.limits.client_statements;
        if self.names.named.len() >= most {
            self.write_parse(REFUSED.0, REFUSED.1);
            return self.expected.push_back(Expect::Refused(Box::new(too_many_statements(most))));
        }
        let named = self.named(body, reading);
        self.names.named.insert(name.into(), Rc::clone(&named));
        self.names.changed = true;
        if self.is_on_server(&named) {
            self.unit.note_known(&named);
            self.expected.push_back(Expect::Own(Own::Parse(name.into())));
        } else {
            self.send_parse(Some(&named));
            self.expected.push_back(Expect::Parse(Parsed::Named(name.into(), named)));
        }
    }

    /// Returns the statement that a Parse means: one that others have prepared, if a server would read the text as it
    /// did then. In a failed transaction, and behind a DEALLOCATE on its way, the server has to see each Parse itself.
    fn named(&self, body: &[u8], reading: Rc<Reading>) -> Rc<Named> {
        let names = &self.link.worker.statement_names;
        let differs = self.names.resets
            || self.effects.local
            || self.status == TransactionStatus::Failed
            || self.link.pin != Pinned::No
            || reading.meanings.statements;
        if differs {
            return names.own(body, reading);
        }
        let changes = self.link.worker.proxy.schema_changes.count(self.schema);
        names.shared(self.link.settings.tag(), changes, body, reading)
    }

    /// Has the client's statements prepared anew: a temporary table may stand before another of its name, and a server that
    /// has had temporary tables before does not look again by itself.
    pub(super) fn leave_shared_names(&mut self) {
        let names = &self.link.worker.statement_names;
        for named in self.names.named.values_mut() {
            *named = names.own(&named.body, Rc::clone(&named.reading));
        }
    }

    /// The server says that the name is taken, and skips what follows, as it would without a proxy.
    fn name_is_taken(&mut self, name: &[u8], known: &Rc<Named>) {
        self.prepare_again(Some(known));
        let server = known.name().to_owned();
        self.write_parse(server.as_bytes(), b"\0\0\0");
        self.expected.push_back(Expect::Taken { client: String::from_utf8_lossy(name).into_owned(), server });
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<Rc<Named>> {
        if name.is_empty() { None } else { self.names.named.get(name).cloned() }
    }

    /// Tells whether a name that the client has not defined could be one of the proxy's on the server.
    pub(super) fn is_foreign(&self, name: &[u8]) -> bool {
        !self.names.pass && is_server_name(name)
    }

    pub(super) fn is_on_server(&mut self, named: &Named) -> bool {
        self.server.as_mut().is_some_and(|server| server.statements.contains(named.id()))
    }

    /// Makes sure that the server has the client's unnamed statement, and not somebody else's.
    pub(super) fn prepare_unnamed(&mut self) {
        if self.names.unnamed_is_sent && !self.names.unnamed_says_names {
            return;
        }
        self.names.unnamed_is_sent = true;
        if self.names.unnamed.is_empty() {
            self.send_parts(b'C', &[b"S\0"]);
            self.expected.push_back(Expect::Evicted(None));
        } else {
            self.prepare_again(None);
        }
    }

    /// Prepares a statement on the server at hand, unless it has it; `None` is the unnamed one.
    pub(super) fn prepare_again(&mut self, named: Option<&Rc<Named>>) {
        if let Some(named) = named
            && self.is_on_server(named)
        {
            if !named.reading.meanings.statements {
                return;
            }
            // The names that its text says may mean others by now.
            named.renew();
        }
        self.send_parse(named);
        self.expected.push_back(Expect::Parse(Parsed::Again(named.cloned())));
    }

    /// Sends Parse, and Close for the statement that leaves the server's cache for it.
    fn send_parse(&mut self, named: Option<&Rc<Named>>) {
        let Some(named) = named else {
            let body = std::mem::take(&mut self.names.unnamed);
            let sent = if self.names.unnamed_says_names { self.renamed_body(&body) } else { body.clone() };
            self.names.unnamed = body;
            return self.write_parse(b"", &sent);
        };
        let renamed = named.reading.meanings.statements.then(|| self.renamed_body(&named.body));
        let Some(server) = &mut self.server else { return };
        if let Some(evicted) = server.statements.insert(named.id()) {
            let name = crate::execute::server_name(evicted);
            frontend::write_close(server.out(), frontend::Target::Statement, &name);
            self.expected.push_back(Expect::Evicted(Some(evicted)));
        }
        let name = named.name().to_owned();
        self.write_parse(name.as_bytes(), renamed.as_deref().unwrap_or(&named.body));
    }

    /// Sends Parse; `body` is what follows the name.
    pub(super) fn write_parse(&mut self, name: &[u8], body: &[u8]) {
        if let Some(server) = &mut self.server {
            write_parse(server.out(), name, body);
        }
    }

    /// Before the first message of a pipeline.
    pub(super) fn begin_unit(&mut self, kind: u8, message: &[u8]) {
        let names = !self.names.named.is_empty() || kind == b'P' && message.get(HEADER_BYTES) != Some(&0);
        let quiet = names && self.status == TransactionStatus::Idle && self.expected.is_empty();
        self.unit.begin(quiet);
    }

    /// Tells whether a message of the extended protocol is about a statement with a name.
    pub(super) fn names_statement(&self, kind: u8, message: &[u8]) -> bool {
        let body = &message[HEADER_BYTES..];
        let name = match kind {
            b'P' => match split_text(body) {
                Ok((b"", rest)) => return self.says_names(rest),
                other => other.map(|(name, _)| name),
            },
            b'B' => split_text(body).and_then(|(_, rest)| split_text(rest)).map(|(name, _)| name),
            b'D' | b'C' => target(message).map(|(kind, name)| if kind == b'S' { name } else { b"" }),
            _ => return false,
        };
        name.is_ok_and(|name| !name.is_empty())
    }

    fn says_names(&self, body: &[u8]) -> bool {
        let text = split_text(body).map_or(body, |(text, _)| text);
        self.link.worker.readings.read(text).meanings.statements
    }
}

fn write_parse(out: &mut BytesMut, name: &[u8], body: &[u8]) {
    out.put_u8(b'P');
    out.put_u32((4 + name.len() + 1 + body.len()) as u32);
    out.put_slice(name);
    out.put_u8(0);
    out.put_slice(body);
}

/// Splits a Parse's body into the text and what is behind it, its zero included.
pub(super) fn text_of(body: &[u8]) -> Result<(&[u8], &[u8]), FrameError> {
    let (text, _) = split_text(body)?;
    Ok(body.split_at(text.len()))
}
