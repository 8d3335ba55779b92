//! Texts that say the name of a prepared statement: EXECUTE, PREPARE, DEALLOCATE of one that the protocol prepared.
//!
//! The server knows it by another name, which takes the place of the client's in the text. Errors are told with the
//! client's names, and with places in the client's text.

use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;

use bytes::BytesMut;

use crate::execute::{Consequence, Named, Reading, is_server_name};
use crate::sql;
use crate::types::TransactionStatus;
use crate::wire::backend::{self, ErrorFields};
use crate::wire::frame::HEADER_BYTES;
use crate::wire::frontend;

use super::expect::Expect;
use super::state::Relay;
use super::statements::text_of;

/// The names in a text in place of the client's, in order.
#[derive(Debug, Default)]
pub(super) struct Renamed(Vec<Edit>);

#[derive(Debug)]
struct Edit {
    /// The bytes of the client's text.
    range: Range<usize>,
    /// Where they begin, in characters, and how many characters they are.
    place: (usize, usize),
    client: String,
    server: String,
    /// The statement, if the client has one of that name.
    named: Option<Rc<Named>>,
}

impl Relay {
    /// Sends a Query whose text says names of prepared statements, if they are other ones for the server.
    pub(super) fn send_renamed(&mut self, text: &[u8], reading: &Reading) -> Option<Box<Renamed>> {
        let mut renamed = self.renamed(text)?;
        if matches!(*reading.statements, [Consequence::Deallocate(_)]) {
            self.give_up_to(&mut renamed);
        }
        self.prepare_before(&renamed);
        let mut body = renamed.apply(text);
        body.push(0);
        self.send_parts(b'Q', &[&body]);
        Some(Box::new(renamed))
    }

    /// What DEALLOCATE drops need not be what the client prepared, which may not be possible any more.
    fn give_up_to(&mut self, renamed: &mut Renamed) {
        for edit in &mut renamed.0 {
            if let Some(named) = &edit.named
                && !self.is_on_server(named)
            {
                let empty = self.link.worker.statement_names.own(b"\0\0\0", Rc::default());
                edit.server = empty.name().to_owned();
                edit.named = Some(empty);
            }
        }
    }

    /// Prepares what a Query needs. An error there must not keep the server from reading the Query, hence the Sync.
    fn prepare_before(&mut self, renamed: &Renamed) {
        if self.status == TransactionStatus::Failed {
            return;
        }
        let due = self.expected.len();
        self.prepare_all(renamed);
        if self.expected.len() == due || self.unsynced {
            return;
        }
        if let Some(server) = &mut self.server {
            frontend::write_sync(server.out());
        }
        self.expected.push_back(Expect::Prelude);
    }

    fn prepare_all(&mut self, renamed: &Renamed) {
        for named in renamed.0.iter().filter_map(|edit| edit.named.as_ref()) {
            // Names within names are not followed.
            if !named.reading.meanings.statements {
                self.prepare_again(Some(named));
            }
        }
    }

    /// Returns what a Parse has behind the statement's name, with the server's names in its text; prepares what they
    /// name.
    pub(super) fn renamed_body(&mut self, body: &[u8]) -> Vec<u8> {
        let Ok((text, behind)) = text_of(body) else { return body.to_vec() };
        let Some(renamed) = self.renamed(text) else { return body.to_vec() };
        self.prepare_all(&renamed);
        let mut out = renamed.apply(text);
        out.extend_from_slice(behind);
        out
    }

    fn renamed(&self, text: &[u8]) -> Option<Renamed> {
        if self.names.pass {
            return None;
        }
        let readable = readable(text);
        let mut edits = Vec::new();
        for statement in sql::split(&readable) {
            let Some(name) = sql::prepared_name(&readable[statement.clone()]) else { continue };
            let range = statement.start + name.start..statement.start + name.end;
            let client = spelled(&text[range.clone()]);
            let named = self.find(&client);
            let server = match &named {
                Some(named) => named.name().to_owned(),
                None if is_server_name(&client) => format!("?{}", String::from_utf8_lossy(&client)),
                None => continue,
            };
            let place = (readable[..range.start].chars().count(), readable[range.clone()].chars().count());
            edits.push(Edit { range, place, client: String::from_utf8_lossy(&client).into_owned(), server, named });
        }
        (!edits.is_empty()).then_some(Renamed(edits))
    }
}

impl Renamed {
    fn apply(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + 32 * self.0.len());
        let mut copied = 0;
        for edit in &self.0 {
            out.extend_from_slice(&text[copied..edit.range.start]);
            out.extend_from_slice(format!("\"{}\"", edit.server).as_bytes());
            copied = edit.range.end;
        }
        out.extend_from_slice(&text[copied..]);
        out
    }

    /// Returns the error as the client knows names and places.
    pub(super) fn mend(&self, frame: &[u8]) -> Vec<u8> {
        let Ok(fields) = ErrorFields::read(&frame[HEADER_BYTES..]) else { return frame.to_vec() };
        let mend = |(code, text): (u8, &[u8])| {
            let text = String::from_utf8_lossy(text).into_owned();
            if code == b'P' {
                return (code, text.parse().map_or(text, |place: usize| self.place(place).to_string()));
            }
            let rename = |text: String, edit: &Edit| text.replace(&quoted(&edit.server), &quoted(&edit.client));
            (code, self.0.iter().fold(text, rename))
        };
        write_error(&fields.iter().map(mend).collect::<Vec<_>>())
    }

    /// Returns where a place of the server's text, counted in characters from 1, is in the client's.
    fn place(&self, server: usize) -> usize {
        let mut moved = 0;
        for edit in &self.0 {
            let (begin, length) = edit.place;
            let new = edit.server.chars().count() + 2;
            if server <= begin + moved {
                break;
            }
            if server <= begin + moved + new {
                return begin + 1;
            }
            moved = (moved + new).saturating_sub(length);
        }
        server.saturating_sub(moved)
    }
}

/// Returns an error frame in which the client's name stands in place of the server's.
pub(super) fn mended(frame: &[u8], server: &str, client: &str) -> Vec<u8> {
    let Ok(fields) = ErrorFields::read(&frame[HEADER_BYTES..]) else { return frame.to_vec() };
    let mend =
        |(code, text): (u8, &[u8])| (code, String::from_utf8_lossy(text).replace(&quoted(server), &quoted(client)));
    write_error(&fields.iter().map(mend).collect::<Vec<_>>())
}

/// Returns what looks like a server's name of a statement in an error, or like one that the client made up.
pub(super) fn server_names(frame: &[u8]) -> impl Iterator<Item = &str> {
    let names = frame.split(|byte| *byte == b'"').skip(1).step_by(2);
    let is_name = |name: &&str| is_server_name(name.strip_prefix('?').unwrap_or(name).as_bytes());
    names.filter_map(|name| std::str::from_utf8(name).ok()).filter(is_name)
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

fn write_error(fields: &[(u8, String)]) -> Vec<u8> {
    let fields: Vec<(u8, &str)> = fields.iter().map(|(code, text)| (*code, text.as_str())).collect();
    let mut out = BytesMut::new();
    backend::write_error_fields(&mut out, b'E', &fields);
    out.to_vec()
}

/// Returns a text whose bytes are where those of `text` are: what is not UTF-8 is taken for letters.
fn readable(text: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(text) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => text.iter().map(|byte| if byte.is_ascii() { *byte as char } else { 'a' }).collect(),
    }
}

/// Returns the name that an identifier spells, in the client's encoding.
fn spelled(written: &[u8]) -> Vec<u8> {
    match written.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) {
        Some(inner) => {
            let mut before = 0;
            // Of two quotation marks in a row, the second stands for both.
            let keeps = |byte: &u8| {
                before = if *byte == b'"' { before + 1 } else { 0 };
                before % 2 == 0
            };
            inner.iter().copied().filter(keeps).collect()
        }
        None => written.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(edits: &[(Range<usize>, &str, &str)]) -> Renamed {
        let edit = |(range, client, server): &(Range<usize>, &str, &str)| Edit {
            range: range.clone(),
            place: (range.start, range.len()),
            client: (*client).to_owned(),
            server: (*server).to_owned(),
            named: None,
        };
        Renamed(edits.iter().map(edit).collect())
    }

    #[test]
    fn places_are_those_of_the_clients_text() {
        // EXECUTE a(x); EXECUTE "bb"(y)
        let renamed = renamed(&[(8..9, "a", "s1"), (22..26, "bb", "s22222")]);
        let text = b"EXECUTE a(x); EXECUTE \"bb\"(y)";
        let server = renamed.apply(text);
        assert_eq!(server, b"EXECUTE \"s1\"(x); EXECUTE \"s22222\"(y)");
        for (place, client) in [(1, 1), (8, 8), (9, 9), (12, 9), (13, 10), (14, 11), (26, 23), (33, 23), (34, 27)] {
            assert_eq!(renamed.place(place), client, "{place}");
        }
    }

    #[test]
    fn identifiers_spell_names() {
        assert_eq!(spelled(b"P_1"), b"p_1");
        assert_eq!(spelled(b"\"P \"\"1\"\"\""), b"P \"1\"");
        assert_eq!(spelled(b"\"\xe4\""), b"\xe4");
        assert_eq!(readable(b"a\xe4b"), "aab");
    }
}
