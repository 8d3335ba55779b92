//! What a server still owes for the messages that were sent to it.

use std::rc::Rc;

use crate::execute::{Named, Reading};
use crate::types::Refusal;

use super::renaming::Renamed;

/// One message sent, in order, and what ends its reply.
#[derive(Debug)]
pub(super) enum Expect {
    /// A Query or FunctionCall: everything up to ReadyForQuery.
    Query {
        /// What its statements leave behind.
        reading: Rc<Reading>,
        /// Statements complete so far.
        complete: usize,
        /// The names that stand in its text in place of the client's.
        renamed: Option<Box<Renamed>>,
    },
    /// A Query of the proxy's own: nothing passes but notices and parameters.
    Hidden,
    /// ReadyForQuery for a Sync of the proxy's own, behind what it prepares for the Query that follows.
    Prelude,
    /// ParseComplete.
    Parse(Parsed),
    /// An error in place of ParseComplete: the client's name is taken.
    Taken {
        /// The name as the client says it.
        client: String,
        /// The name as the server says it.
        server: String,
    },
    /// An error in place of ParseComplete: this is what the client is told.
    Refused(Box<Refusal>),
    /// BindComplete.
    Bind(Option<Rc<Named>>),
    /// RowDescription or NoData, behind a ParameterDescription if a statement is described.
    Describe(Option<Rc<Named>>),
    /// The end of an Execute, and what it leaves behind.
    Execute(Option<Rc<Reading>>),
    /// CloseComplete that the client asked for.
    Close,
    /// CloseComplete of what the proxy closed by itself; the statement that made room, if it was one.
    Evicted(Option<u64>),
    /// ReadyForQuery.
    Sync,
    /// The end of COPY data in the extended protocol: Sync before it means nothing to the server.
    CopyEnd,
    /// The proxy answers at this place.
    Own(Own),
}

/// A statement that a server is asked to prepare.
#[derive(Debug)]
pub(super) enum Parsed {
    /// The unnamed one, for the client.
    Unnamed,
    /// One that the server knows by the client's name.
    Passed,
    /// A named one, for the client, who calls it so.
    Named(Box<[u8]>, Rc<Named>),
    /// One that the client prepared elsewhere; `None` is the unnamed one. The client hears nothing of it.
    Again(Option<Rc<Named>>),
}

/// What the proxy answers by itself.
#[derive(Debug)]
pub(super) enum Own {
    /// ParseComplete: the server has the statement already; the client calls it so.
    Parse(Box<[u8]>),
    /// CloseComplete: the server may keep the statement for others; what the client called it, if it was known.
    Close(Option<(Box<[u8]>, Rc<Named>)>),
}

impl Own {
    /// Returns the message, whole.
    pub fn message(&self) -> &'static [u8] {
        match self {
            Self::Parse(_) => b"1\0\0\0\x04",
            Self::Close(_) => b"3\0\0\0\x04",
        }
    }
}
