//! The extended protocol, by hand: one statement, its parameters as text, its results as text or in binary.

use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;

use crate::support::{Event, RawClient, Reply};

/// Runs one statement in one batch: Parse, Bind, Describe of the portal, Execute, Sync.
pub fn at_once(client: &mut RawClient, sql: &str, parameters: &[Option<String>]) -> Reply {
    let mut batch = BytesMut::new();
    frontend::parse("", sql, [], &mut batch).expect("a parse message");
    bind(&mut batch, parameters, 0);
    frontend::describe(b'P', "", &mut batch).expect("a describe message");
    frontend::execute("", 0, &mut batch).expect("an execute message");
    frontend::sync(&mut batch);
    client.send(&batch);
    client.reply()
}

/// Runs one statement as drivers with prepared statements do: Parse and Describe first, then Bind and Execute with
/// results in binary. The replies come as one.
pub fn prepared(client: &mut RawClient, sql: &str, parameters: &[Option<String>]) -> Reply {
    let mut batch = BytesMut::new();
    frontend::parse("", sql, [], &mut batch).expect("a parse message");
    frontend::describe(b'S', "", &mut batch).expect("a describe message");
    frontend::sync(&mut batch);
    client.send(&batch);
    let mut reply = client.reply();
    if reply.error().is_some() {
        return reply;
    }
    let mut batch = BytesMut::new();
    bind(&mut batch, parameters, 1);
    frontend::execute("", 0, &mut batch).expect("an execute message");
    frontend::sync(&mut batch);
    client.send(&batch);
    let executed = client.reply();
    reply.events.extend(executed.events);
    Reply { events: reply.events, status: executed.status }
}

fn bind(batch: &mut BytesMut, parameters: &[Option<String>], format: i16) {
    let value = |value: &Option<String>, out: &mut BytesMut| match value {
        Some(text) => {
            out.extend_from_slice(text.as_bytes());
            Ok(IsNull::No)
        }
        None => Ok(IsNull::Yes),
    };
    let bound = frontend::bind("", "", [], parameters, value, [format], batch);
    assert!(bound.is_ok(), "a bind message");
}

/// Runs `COPY … FROM STDIN` with its data.
pub fn copy(client: &mut RawClient, sql: &str, data: &str) -> Reply {
    let mut message = BytesMut::new();
    frontend::query(sql, &mut message).expect("a query message");
    client.send(&message);
    let (tag, body) = client.message();
    if tag != 'G' {
        let told = client.reply();
        return Reply { events: vec![Event::Other(tag), Event::Tag(format!("{} bytes", body.len().min(1)))], ..told };
    }
    let mut data_message = BytesMut::new();
    frontend::CopyData::new(data.as_bytes()).expect("a copy message").write(&mut data_message);
    frontend::copy_done(&mut data_message);
    client.send(&data_message);
    client.reply()
}
