//! `currval` and `lastval` on lent servers: they speak of the session's own numbers, and of nobody else's.
//!
//! A session that asks keeps its server from then on. What others drew there before is forgotten first; unless the
//! session may have drawn there itself: in the transaction at hand, or before, and nobody else since as far as is known.

use crate::backend::Borrowers;
use crate::execute::{Consequence, Reading};
use crate::proxy::Pinned;
use crate::wire::frame::HEADER_BYTES;
use crate::wire::frontend;

use super::expect::Expect;
use super::state::Relay;

/// What the session has done on the server at hand.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// It has run something since it borrowed the server.
    pub ran: bool,
    /// It may have drawn numbers since.
    pub drew: bool,
    /// It has run what may draw numbers without a word of it.
    pub unseen: bool,
}

impl Numbers {
    /// Notes that a statement is complete: INSERT, MERGE, COPY and CALL may draw numbers that their client asks for.
    #[inline]
    pub fn note(&mut self, kind: u8, frame: &[u8]) {
        let tag = frame.get(HEADER_BYTES..).unwrap_or_default();
        self.drew |= kind == b'C' && matches!(tag.first(), Some(b'I' | b'M' | b'C'));
        // Of everything but SET and SHOW.
        self.unseen |= !tag.starts_with(b"SET\0") && !tag.starts_with(b"SHOW\0");
    }

    /// Says to the server what was done there, before it is given back.
    pub fn leave(&mut self, borrowers: &mut Borrowers) {
        if std::mem::take(&mut self.drew) {
            borrowers.draw();
        } else if self.unseen {
            borrowers.obscure();
        }
        self.unseen = false;
        self.ran = false;
    }
}

impl Relay {
    /// Before the session asks for numbers for the first time: has the server forget those of others.
    pub(super) fn forget_numbers(&mut self, reading: &Reading) {
        if reading.statements.is_empty() || self.link.pin != Pinned::No || self.numbers.ran {
            return;
        }
        let asks = reading.statements.contains(&Consequence::Pin(Pinned::Sequence));
        // A BEGIN may be on its way, nothing else.
        let begins = self.expected.iter().all(|expect| matches!(expect, Expect::Hidden));
        if let Some(server) = &mut self.server
            && asks
            && begins
            && server.borrowers.are_others()
        {
            frontend::write_query(server.out(), "DISCARD SEQUENCES");
            server.borrowers.forget_others();
            self.expected.push_back(Expect::Hidden);
        }
    }
}
