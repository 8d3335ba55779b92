//! Readers over the bodies of Query, Parse, Describe, Close and Execute; nothing is copied.

use crate::wire::FrameError;
use crate::wire::cursor::Cursor;

/// Returns the text of a Query body.
pub fn query_text(body: &[u8]) -> Result<&str, FrameError> {
    let mut cursor = Cursor::new(body);
    let text = cursor.text()?;
    cursor.finish().map(|()| text)
}

/// Returns the oid of the function that a FunctionCall body names; the rest of it is not read.
pub fn called_function(body: &[u8]) -> Result<u32, FrameError> {
    Cursor::new(body).u32()
}

/// A Parse body.
#[derive(Debug, Clone, Copy)]
pub struct Parse<'a> {
    /// The statement's name, empty for the unnamed one.
    pub name: &'a str,
    /// The statement's text.
    pub sql: &'a str,
    /// Parameter types that the client declared; there may be fewer than parameters.
    pub types: TypeList<'a>,
}

impl<'a> Parse<'a> {
    /// Reads the body.
    pub fn read(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut cursor = Cursor::new(body);
        let name = cursor.text()?;
        let sql = cursor.text()?;
        let count = cursor.count()?;
        let types = TypeList(cursor.take(count * 4)?);
        cursor.finish().map(|()| Self { name, sql, types })
    }
}

/// Type oids as they stand in a message.
#[derive(Debug, Clone, Copy)]
pub struct TypeList<'a>(&'a [u8]);

impl<'a> TypeList<'a> {
    /// Returns how many types were declared.
    pub fn len(&self) -> usize {
        self.0.len() / 4
    }

    /// Tells whether none was declared.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the type of parameter `index` (0-based); 0 leaves it to the server.
    pub fn get(&self, index: usize) -> Option<u32> {
        self.iter().nth(index)
    }

    /// Iterates over the types in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.0.as_chunks::<4>().0.iter().map(|bytes| u32::from_be_bytes(*bytes))
    }
}

/// What Describe and Close speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A prepared statement.
    Statement,
    /// A portal.
    Portal,
}

impl Target {
    /// Returns the byte of the protocol.
    pub fn byte(self) -> u8 {
        match self {
            Self::Statement => b'S',
            Self::Portal => b'P',
        }
    }

    fn read(byte: u8) -> Result<Self, FrameError> {
        match byte {
            b'S' => Ok(Self::Statement),
            b'P' => Ok(Self::Portal),
            _ => Err(FrameError::Malformed("target is neither S nor P")),
        }
    }
}

/// A Describe body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Describe<'a> {
    /// Statement or portal.
    pub target: Target,
    /// Its name.
    pub name: &'a str,
}

impl<'a> Describe<'a> {
    /// Reads the body.
    pub fn read(body: &'a [u8]) -> Result<Self, FrameError> {
        read_target(body).map(|(target, name)| Self { target, name })
    }
}

/// A Close body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close<'a> {
    /// Statement or portal.
    pub target: Target,
    /// Its name.
    pub name: &'a str,
}

impl<'a> Close<'a> {
    /// Reads the body.
    pub fn read(body: &'a [u8]) -> Result<Self, FrameError> {
        read_target(body).map(|(target, name)| Self { target, name })
    }
}

fn read_target(body: &[u8]) -> Result<(Target, &str), FrameError> {
    let mut cursor = Cursor::new(body);
    let target = Target::read(cursor.u8()?)?;
    let name = cursor.text()?;
    cursor.finish().map(|()| (target, name))
}

/// An Execute body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execute<'a> {
    /// The portal's name.
    pub portal: &'a str,
    /// The most rows to return; 0 or less means all.
    pub rows: i32,
}

impl<'a> Execute<'a> {
    /// Reads the body.
    pub fn read(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut cursor = Cursor::new(body);
        let portal = cursor.text()?;
        let rows = cursor.i32()?;
        cursor.finish().map(|()| Self { portal, rows })
    }
}
