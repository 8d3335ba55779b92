//! One relayed session.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use crate::backend::Server;
use crate::execute::{Link, Named, Reading, Settings, is_treacherous, plain_value};
use crate::proxy::{ClientHandle, Pinned};
use crate::types::TransactionStatus;

use super::expect::Expect;

/// One client of an unsharded database.
pub(super) struct Relay {
    /// Its socket, settings and identity.
    pub link: Link,
    /// What SHOW CLIENTS says of it.
    pub record: ClientHandle,
    /// The server that works for it, from the first message of a transaction to its end.
    pub server: Option<Server>,
    /// What that server still owes.
    pub expected: VecDeque<Expect>,
    /// The status that the client was last told.
    pub status: TransactionStatus,
    /// Whether messages of the extended protocol were sent since the last Sync.
    pub unsynced: bool,
    /// A BEGIN that the client was told is done; it travels with the statement behind it.
    pub begun: Option<Bytes>,
    /// Whether everything up to Sync is ignored.
    pub skipping: Skip,
    /// The server said that it ends the connection.
    pub dying: bool,
    /// Bytes of a row that are still to pass.
    pub skip: usize,
    /// COPY data is being sent in the extended protocol.
    pub copies: bool,
    /// The client's prepared statements.
    pub names: Names,
    /// What outlives a transaction.
    pub effects: Effects,
    /// The pipeline at hand, for another try.
    pub unit: Unit,
    /// A transaction block was opened although the pool mode is `statement`.
    pub opened_block: bool,
    /// The next message waits for replies to those before it.
    pub waits: bool,
    /// What ties the session to its server may be gone.
    pub doubts: bool,
    /// When the server was last given something while it owed nothing.
    pub since: Option<Instant>,
    /// When its last reply ended, until that was noted.
    pub ended: Option<Instant>,
}

/// Whether messages up to Sync are ignored, after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skip {
    /// They are not.
    No,
    /// The server ignores them.
    Server,
    /// The error was the proxy's: it answers the Sync.
    Own,
}

/// The client's prepared statements.
#[derive(Default)]
pub(super) struct Names {
    /// By the client's name.
    pub named: HashMap<Box<[u8]>, Rc<Named>>,
    /// The last unnamed Parse, as its body; empty if there is none.
    pub unnamed: Vec<u8>,
    /// What the text of the unnamed statement leaves behind.
    pub unnamed_reading: Option<Rc<Reading>>,
    /// Whether the server at hand has it.
    pub unnamed_is_sent: bool,
    /// Whether messages since the last Sync define or close names.
    pub changed: bool,
    /// Whether the pipeline at hand deallocates statements: nobody knows yet which the server will have then.
    pub resets: bool,
    /// How many more Syncs must be answered until it is known which of the names hold.
    pub unsure: usize,
    /// Portals of statements that leave something behind.
    pub portals: HashMap<Box<[u8]>, Rc<Reading>>,
}

/// What outlives a transaction, and what to go back to if it rolls back.
#[derive(Default)]
pub(super) struct Effects {
    /// The settings before the open transaction changed them.
    pub before: Option<Settings>,
    /// The settings at each open savepoint.
    pub savepoints: Vec<(String, Settings)>,
    /// Whether the transaction at hand failed.
    pub failed: bool,
    /// The fingerprint of the settings that the server at hand has, if it is not the one it came with.
    pub server_tag: Option<u64>,
    /// Whether the server must be brought to the session's settings before the next statement.
    pub repair: bool,
}

/// The client's messages since its last Sync, kept while a prepared statement may turn out to be outdated.
#[derive(Default)]
pub(super) struct Unit {
    /// The messages.
    pub messages: BytesMut,
    /// Whether something of the reply has reached the client, so that there is no other try.
    pub answered: bool,
    /// How often they were sent again.
    pub tries: u8,
    /// An outdated statement was found: the messages are sent again after ReadyForQuery.
    pub outdated: bool,
    /// What the server said of the outdated statement.
    pub error: Vec<u8>,
    /// Whether the client asks here for the columns of what it executes.
    pub describes: bool,
}

/// Longer pipelines are not sent again.
const UNIT_BYTES_MAX: usize = 64 * 1024;
/// How many outdated statements of one pipeline are prepared again.
const TRIES_MAX: u8 = 8;

impl Unit {
    /// Keeps a message if `wanted`; a pipeline that got too long cannot be sent again.
    pub fn record(&mut self, message: &[u8], wanted: bool) {
        self.describes |= message[0] == b'D';
        if !wanted || self.answered {
            return;
        }
        if self.messages.len() + message.len() > UNIT_BYTES_MAX {
            self.answered = true;
            return;
        }
        self.messages.extend_from_slice(message);
    }

    /// Tells whether the messages can be sent once more. A client that knows the columns from before would misread
    /// the new ones: drivers mend that by themselves when they are told.
    pub fn can_repeat(&self) -> bool {
        self.describes && !self.answered && !self.messages.is_empty() && self.tries < TRIES_MAX
    }

    /// Forgets the pipeline, which is done.
    pub fn end(&mut self) {
        self.messages.clear();
        self.answered = false;
        self.describes = false;
        self.tries = 0;
    }
}

impl Relay {
    /// Takes over a session that has just logged in.
    pub fn new(link: Link, record: ClientHandle) -> Self {
        let mut relay = Self {
            link,
            record,
            server: None,
            expected: VecDeque::new(),
            status: TransactionStatus::Idle,
            unsynced: false,
            begun: None,
            skipping: Skip::No,
            dying: false,
            skip: 0,
            copies: false,
            names: Names::default(),
            effects: Effects::default(),
            unit: Unit::default(),
            opened_block: false,
            waits: false,
            doubts: false,
            since: None,
            ended: None,
        };
        relay.keep_for_encoding();
        relay
    }

    /// Keeps the server where the start-up packet names an encoding in which texts are misread: what a statement leaves
    /// behind is not known then.
    pub fn keep_for_encoding(&mut self) {
        let encoding = self.link.settings.get("client_encoding");
        if encoding.is_some_and(|encoding| is_treacherous(&plain_value(encoding))) {
            let home = self.link.snapshot.rules.home;
            self.link.keep_servers(Pinned::Setting, [home].into_iter().collect());
            self.record.set_pinned(Pinned::Setting);
        }
    }

    /// Takes the server away from the session, with what is known of its settings; every reply was read.
    pub fn hand_in(&mut self) -> Option<Server> {
        let mut server = self.server.take()?;
        server.all_answered();
        if let Some(tag) = self.effects.server_tag.take() {
            server.settings.fingerprint = tag;
        }
        Some(server)
    }

    /// Tells whether nothing is under way: no reply is due, no transaction open, no pipeline begun, no Sync waited for.
    pub fn is_idle(&self) -> bool {
        self.expected.is_empty()
            && !self.unsynced
            && self.skipping != Skip::Server
            && self.begun.is_none()
            && self.status == TransactionStatus::Idle
    }
}
