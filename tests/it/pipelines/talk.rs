//! A connection that sends a client's messages and keeps every answer, byte by byte but for what must differ.

use crate::support::{Pipeline, RawClient};

use super::message::Message;

/// The last row of a talk.
const END: &str = "the end of the talk";

/// What differs between any two databases and servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lenience {
    /// Oids of tables, places in PostgreSQL's source.
    Oids,
    /// Also details, which name the shard, and the context, which a key that the proxy reads has none of.
    Details,
}

/// Sends all messages in one write and returns what came back, in words, up to the answer to a last Query, or to the
/// connection's end.
pub fn talk(client: &mut RawClient, messages: &[Message], lenience: Lenience) -> Vec<String> {
    let mut bytes: Vec<u8> = messages.iter().flat_map(|message| message.bytes.iter().copied()).collect();
    // Whatever is open is ended: COPY by CopyFail, the pipeline by Sync, the block by ROLLBACK.
    let end = Pipeline::new().message(b'f', b"the end\0").sync().query("ROLLBACK").query(&format!("SELECT '{END}'"));
    bytes.extend(end.0);
    client.send_some(&bytes);
    let mut heard = Vec::new();
    let mut is_ended = false;
    loop {
        let Some((kind, body)) = client.try_message() else {
            heard.push("closed".to_owned());
            return heard;
        };
        is_ended |= kind == 'D' && body.ends_with(END.as_bytes());
        // Parameters may be told at another moment.
        if kind != 'S' {
            heard.push(words(kind, &body, lenience));
        }
        if kind == 'Z' && is_ended {
            return heard;
        }
    }
}

fn words(kind: char, body: &[u8], lenience: Lenience) -> String {
    let said = match kind {
        'T' => columns(body),
        'E' | 'N' => fields(body, lenience),
        _ => String::from_utf8_lossy(body).escape_debug().to_string(),
    };
    format!("{kind} {said}")
}

/// Name, number, type, length, modifier, format; of the table's oid only whether there is one.
fn columns(body: &[u8]) -> String {
    let mut rest = &body[2..];
    let mut said = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        let name = String::from_utf8_lossy(&rest[..end]).into_owned();
        let facts = &rest[end + 1..end + 19];
        said.push(format!("{name} {} {:?}", facts[..4] != [0; 4], &facts[4..]));
        rest = &rest[end + 19..];
    }
    said.join(", ")
}

fn fields(body: &[u8], lenience: Lenience) -> String {
    let mut said = Vec::new();
    // The proxy tells this one itself, without the table that PostgreSQL names.
    let is_unexpected = body.windows(23).any(|window| window == b"unexpected message type");
    for field in body.split(|byte| *byte == 0).filter(|field| !field.is_empty()) {
        let left_out: &[u8] = match lenience {
            Lenience::Oids => b"FLR",
            Lenience::Details => b"FLRDW",
        };
        if !(left_out.contains(&field[0]) || is_unexpected && field[0] == b'W') {
            said.push(String::from_utf8_lossy(field).into_owned());
        }
    }
    said.join(" | ")
}
