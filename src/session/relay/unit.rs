//! The pipeline at hand, kept while a prepared statement in it may turn out to be outdated: then it is sent again.
//!
//! PostgreSQL reads a text when it is prepared; the proxy may take an older statement of the same text for it. Where
//! that shows, and nothing has been done yet that the client knows of, the client hears nothing.

use std::rc::Rc;

use bytes::{Buf, BytesMut};

use crate::execute::Named;
use crate::wire::frame;

/// Longer pipelines are not sent again.
const UNIT_BYTES_MAX: usize = 64 * 1024;
/// How many outdated statements of one pipeline are prepared again.
const TRIES_MAX: u8 = 8;

/// The client's messages since its last Sync whose replies it does not have.
#[derive(Default)]
pub(super) struct Unit {
    /// The messages.
    pub messages: BytesMut,
    /// Whether they are kept: nothing was under way before the first, and nothing came behind the Sync.
    kept: bool,
    /// How often they were sent again.
    pub tries: u8,
    /// An outdated statement was found: the messages are sent again after ReadyForQuery.
    pub outdated: bool,
    /// A ParameterDescription that waits for what is behind it.
    pub parameters: Vec<u8>,
    /// What the server said of the outdated statement.
    pub error: Vec<u8>,
    /// Whether the client asks here for the columns of what it executes.
    describes: bool,
    /// The statements that the client asks here to prepare, and the proxy had.
    known: Vec<Rc<Named>>,
}

impl Unit {
    /// Begins to keep messages, if `quiet`: outside of a transaction, with nothing under way.
    pub fn begin(&mut self, quiet: bool) {
        if self.tries == 0 {
            self.end();
        }
        self.kept = quiet;
    }

    /// Tells whether there may be another try.
    pub fn is_kept(&self) -> bool {
        self.kept
    }

    /// Keeps a message; a pipeline that got too long cannot be sent again.
    pub fn record(&mut self, message: &[u8]) {
        if !self.kept {
            return;
        }
        self.describes |= message[0] == b'D';
        if self.messages.len() + message.len() > UNIT_BYTES_MAX {
            return self.give_up();
        }
        self.messages.extend_from_slice(message);
    }

    /// Notes that the proxy answers the Parse of a statement that it has.
    pub fn note_known(&mut self, named: &Rc<Named>) {
        if self.kept {
            self.known.push(Rc::clone(named));
        }
    }

    /// The client has a reply to the first message, which is one that can be left out in another try: a Parse, a
    /// Describe of a statement, a Close of one.
    pub fn answered_first(&mut self) {
        while let Ok(Some(header)) = frame::header(&self.messages, self.messages.len()) {
            self.messages.advance(header.length.min(self.messages.len()));
            if header.kind != b'H' {
                return;
            }
        }
    }

    /// Something of the reply that cannot be had twice has reached the client, or something came behind the pipeline.
    pub fn give_up(&mut self) {
        self.kept = false;
        self.messages.clear();
        self.known.clear();
    }

    /// Tells whether the messages can be sent once more after `named` was found outdated. A client that knows the
    /// columns from before would misread the new ones: drivers mend that by themselves when they are told.
    pub fn can_repeat(&self, named: &Rc<Named>) -> bool {
        self.kept && (self.describes || self.knows(named)) && !self.messages.is_empty() && self.tries < TRIES_MAX
    }

    /// Tells whether a statement was taken here for one that the client asked to prepare.
    pub fn knows(&self, named: &Rc<Named>) -> bool {
        self.known.iter().any(|known| Rc::ptr_eq(known, named))
    }

    /// Returns the messages for another try.
    pub fn again(&mut self) -> BytesMut {
        self.tries += 1;
        std::mem::take(&mut self.messages)
    }

    /// Forgets the pipeline, which is done.
    pub fn end(&mut self) {
        self.give_up();
        (self.describes, self.tries) = (false, 0);
    }
}
