//! One relayed session.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;

use crate::backend::Server;
use crate::execute::{Link, Named, Reading, Settings, is_treacherous, plain_value};
use crate::proxy::{ClientHandle, Pinned, SchemaPlace};
use crate::types::TransactionStatus;

use super::expect::Expect;
use super::numbers::Numbers;
use super::unit::Unit;

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
    /// Where changes of its database's schema are counted.
    pub schema: SchemaPlace,
    /// What outlives a transaction.
    pub effects: Effects,
    /// What it has done to sequences.
    pub numbers: Numbers,
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
    /// The server is the session's own, and knows statements by the client's names: then `named` is empty.
    pub pass: bool,
    /// What statements leave behind that the server knows by the client's names, for those that leave anything.
    pub passed: HashMap<Box<[u8]>, Rc<Reading>>,
    /// The last unnamed Parse, as its body; empty if there is none.
    pub unnamed: Vec<u8>,
    /// What the text of the unnamed statement leaves behind.
    pub unnamed_reading: Option<Rc<Reading>>,
    /// Whether that text says names of prepared statements.
    pub unnamed_says_names: bool,
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
    /// Whether it has changed the schema.
    pub schema: bool,
    /// The databases whose sessions begin with other settings when it is over; `None` is all of them.
    pub redefined: Vec<Option<String>>,
    /// Whether it has settings of its own under which texts mean something else.
    pub local: bool,
    /// The fingerprint of the settings that the server at hand has, if it is not the one it came with.
    pub server_tag: Option<u64>,
    /// Whether the server must be brought to the session's settings before the next statement.
    pub repair: bool,
    /// What the server said when a statement was prepared for the Query behind it.
    pub unprepared: Option<Vec<u8>>,
}

impl Relay {
    /// Takes over a session that has just logged in.
    pub fn new(link: Link, record: ClientHandle) -> Self {
        let schema = SchemaPlace::of(&link.identity.database);
        let mut relay = Self {
            link,
            schema,
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
            numbers: Numbers::default(),
            unit: Unit::default(),
            opened_block: false,
            waits: false,
            doubts: false,
            since: None,
            ended: None,
        };
        relay.names.pass = relay.passes_names();
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

    /// Tells whether the session has its server to itself to the end, and nothing of it is left there for the next one.
    fn passes_names(&self) -> bool {
        let reset = self.link.worker.proxy.live.load().pool_reset.to_ascii_uppercase();
        let forgets = reset.is_empty() || ["DISCARD ALL", "DEALLOCATE ALL"].iter().any(|word| reset.contains(word));
        self.link.base_pin() != Pinned::No && forgets
    }

    /// Takes the server away from the session, with what is known of its settings; every reply was read.
    pub fn hand_in(&mut self) -> Option<Server> {
        let mut server = self.server.take()?;
        server.all_answered();
        self.numbers.leave(&mut server.borrowers);
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
