//! `currval` and `lastval` on lent servers: they speak of the session's own numbers, and of nobody else's.
//!
//! A session that asks keeps its server from then on. What others drew there before is forgotten first; unless the
//! session may have drawn there itself: in the transaction at hand, or just before on the same server.

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
    /// It has written rows there, and nobody else has used the server since.
    drew: bool,
}

impl Numbers {
    /// A server was borrowed.
    pub fn borrowed(&mut self, borrowers: Borrowers) {
        self.ran = false;
        self.drew &= borrowers.again;
    }

    /// Notes that a statement is complete: INSERT, MERGE, COPY and CALL may draw numbers that their client asks for.
    #[inline]
    pub fn note(&mut self, kind: u8, frame: &[u8]) {
        self.drew |= kind == b'C' && matches!(frame.get(HEADER_BYTES), Some(b'I' | b'M' | b'C'));
    }
}

impl Relay {
    /// Before the session asks for numbers for the first time: has the server forget those of others.
    pub(super) fn forget_numbers(&mut self, reading: &Reading) {
        if reading.statements.is_empty() || self.link.pin != Pinned::No || self.numbers.ran || self.numbers.drew {
            return;
        }
        let asks = reading.statements.iter().any(|one| *one == Consequence::Pin(Pinned::Sequence));
        // A BEGIN may be on its way, nothing else.
        let begins = self.expected.iter().all(|expect| matches!(expect, Expect::Hidden));
        if let Some(server) = &mut self.server
            && asks
            && begins
            && server.borrowers.others
        {
            frontend::write_query(server.out(), "DISCARD SEQUENCES");
            server.borrowers.forget_others();
            self.expected.push_back(Expect::Hidden);
        }
    }
}
