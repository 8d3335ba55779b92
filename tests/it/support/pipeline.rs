//! Messages of the extended protocol, in any order.

use super::raw::{RawClient, Reply};

/// Messages to be sent in one write.
#[derive(Debug, Clone, Default)]
pub struct Pipeline(pub Vec<u8>);

impl Pipeline {
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a message with any body.
    pub fn message(mut self, kind: u8, body: &[u8]) -> Self {
        self.0.push(kind);
        self.0.extend((body.len() as u32 + 4).to_be_bytes());
        self.0.extend(body);
        self
    }

    pub fn query(self, sql: &str) -> Self {
        self.message(b'Q', &text(sql))
    }

    pub fn parse(self, name: &str, sql: &str) -> Self {
        let body = [text(name), text(sql), vec![0, 0]].concat();
        self.message(b'P', &body)
    }

    /// Binds text values and asks for text results.
    pub fn bind(self, portal: &str, statement: &str, values: &[Option<&str>]) -> Self {
        self.bind_for(portal, statement, values, &[])
    }

    /// Binds text values and asks for results in these formats.
    pub fn bind_for(self, portal: &str, statement: &str, values: &[Option<&str>], formats: &[i16]) -> Self {
        let mut body = [text(portal), text(statement), vec![0, 0]].concat();
        body.extend((values.len() as u16).to_be_bytes());
        for value in values {
            body.extend(value.map_or(-1, |value| value.len() as i32).to_be_bytes());
            body.extend(value.unwrap_or_default().as_bytes());
        }
        body.extend((formats.len() as u16).to_be_bytes());
        body.extend(formats.iter().flat_map(|format| format.to_be_bytes()));
        self.message(b'B', &body)
    }

    pub fn describe_statement(self, name: &str) -> Self {
        self.message(b'D', &[b"S".to_vec(), text(name)].concat())
    }

    pub fn describe_portal(self, name: &str) -> Self {
        self.message(b'D', &[b"P".to_vec(), text(name)].concat())
    }

    pub fn execute(self, portal: &str, rows: i32) -> Self {
        let body = [text(portal), rows.to_be_bytes().to_vec()].concat();
        self.message(b'E', &body)
    }

    pub fn close_statement(self, name: &str) -> Self {
        self.message(b'C', &[b"S".to_vec(), text(name)].concat())
    }

    pub fn close_portal(self, name: &str) -> Self {
        self.message(b'C', &[b"P".to_vec(), text(name)].concat())
    }

    pub fn flush(self) -> Self {
        self.message(b'H', &[])
    }

    pub fn sync(self) -> Self {
        self.message(b'S', &[])
    }

    /// Parses, binds, describes and executes one unnamed statement.
    pub fn run(self, sql: &str, values: &[Option<&str>]) -> Self {
        self.parse("", sql).bind("", "", values).describe_portal("").execute("", 0)
    }

    /// The same without values, for at most so many rows.
    pub fn run_limited(self, sql: &str, rows: i32) -> Self {
        self.parse("", sql).bind("", "", &[]).describe_portal("").execute("", rows)
    }

    /// Sends the messages.
    pub fn send_only(&self, client: &mut RawClient) {
        client.send(&self.0);
    }

    /// Sends the messages and reads `replies` replies up to ReadyForQuery each.
    pub fn send(&self, client: &mut RawClient, replies: usize) -> Vec<Reply> {
        client.send(&self.0);
        (0..replies).map(|_| client.reply()).collect()
    }
}

fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}
