//! One message of a client, as bytes and in words.

use std::fmt;

use crate::support::Pipeline;

/// A message.
#[derive(Clone)]
pub struct Message {
    words: String,
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl Message {
    fn new(words: String, pipeline: Pipeline) -> Self {
        Self { words, bytes: pipeline.0 }
    }

    /// Tells whether its words have `part` among them.
    pub fn says(&self, part: &str) -> bool {
        self.words.contains(part)
    }

    pub fn query(sql: &str) -> Self {
        Self::new(format!("Query {sql:?}"), Pipeline::new().query(sql))
    }

    pub fn parse(name: &str, sql: &str, types: &[u32]) -> Self {
        let mut body = [text(name), text(sql)].concat();
        body.extend((types.len() as u16).to_be_bytes());
        body.extend(types.iter().flat_map(|oid| oid.to_be_bytes()));
        Self::new(format!("Parse {name:?} {sql:?} {types:?}"), Pipeline::new().message(b'P', &body))
    }

    /// Binds values, each with its format.
    pub fn bind(portal: &str, statement: &str, values: &[(i16, Option<Vec<u8>>)], results: &[i16]) -> Self {
        let mut body = [text(portal), text(statement)].concat();
        body.extend((values.len() as u16).to_be_bytes());
        body.extend(values.iter().flat_map(|(format, _)| format.to_be_bytes()));
        body.extend((values.len() as u16).to_be_bytes());
        for (_, value) in values {
            body.extend(value.as_ref().map_or(-1, |value| value.len() as i32).to_be_bytes());
            body.extend(value.iter().flatten());
        }
        body.extend((results.len() as u16).to_be_bytes());
        body.extend(results.iter().flat_map(|format| format.to_be_bytes()));
        let words = format!("Bind {portal:?} to {statement:?} {values:?} results {results:?}");
        Self::new(words, Pipeline::new().message(b'B', &body))
    }

    pub fn describe(kind: char, name: &str) -> Self {
        let body = [vec![kind as u8], text(name)].concat();
        Self::new(format!("Describe {kind} {name:?}"), Pipeline::new().message(b'D', &body))
    }

    pub fn close(kind: char, name: &str) -> Self {
        let body = [vec![kind as u8], text(name)].concat();
        Self::new(format!("Close {kind} {name:?}"), Pipeline::new().message(b'C', &body))
    }

    pub fn execute(portal: &str, rows: i32) -> Self {
        Self::new(format!("Execute {portal:?} {rows}"), Pipeline::new().execute(portal, rows))
    }

    pub fn flush() -> Self {
        Self::new("Flush".to_owned(), Pipeline::new().flush())
    }

    pub fn sync() -> Self {
        Self::new("Sync".to_owned(), Pipeline::new().sync())
    }

    pub fn copy_data(data: &[u8]) -> Self {
        let words = format!("CopyData {:?}", String::from_utf8_lossy(data));
        Self::new(words, Pipeline::new().message(b'd', data))
    }

    pub fn copy_done() -> Self {
        Self::new("CopyDone".to_owned(), Pipeline::new().message(b'c', b""))
    }

    pub fn copy_fail() -> Self {
        Self::new("CopyFail".to_owned(), Pipeline::new().message(b'f', b"no more\0"))
    }

    /// Calls a function of one text argument, or of none.
    pub fn function_call(oid: u32, argument: Option<&str>, result: i16) -> Self {
        let mut body = oid.to_be_bytes().to_vec();
        body.extend([0, 0]);
        body.extend((argument.is_some() as u16).to_be_bytes());
        if let Some(argument) = argument {
            body.extend((argument.len() as u32).to_be_bytes());
            body.extend(argument.as_bytes());
        }
        body.extend(result.to_be_bytes());
        Self::new(format!("FunctionCall {oid} {argument:?} {result}"), Pipeline::new().message(b'F', &body))
    }
}

fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}
