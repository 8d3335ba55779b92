//! What statements leave with the session: settings to replay, statements forgotten, and what a rollback takes back.

use std::rc::Rc;
use std::time::Instant;

use crate::backend::SettingsTag;
use crate::execute::{Consequence, Keeping, Reading};
use crate::proxy::Pinned;
use crate::types::TransactionStatus;
use crate::wire::backend;
use crate::wire::frame::HEADER_BYTES;
use crate::wire::frontend;

use super::expect::{Expect, Parsed};
use super::state::Relay;

impl Relay {
    /// Notes that a statement is complete, by its frame.
    pub(super) fn statement_complete(&mut self, reading: &Reading, index: usize, kind: u8, frame: &[u8]) {
        self.numbers.note(kind, frame);
        let consequence = reading.statements.get(index);
        // ROLLBACK TO has the tag of a ROLLBACK, and ends no block.
        let ends_block = !matches!(consequence, Some(Consequence::RollbackTo(_)));
        if kind == b'C' && ends_block && self.effects.before.is_some() {
            self.note_end(backend::command_tag(&frame[HEADER_BYTES..]).unwrap_or_default());
        }
        if let Some(consequence) = consequence {
            self.take_effect(consequence);
        }
    }

    /// A block that ended inside a query string has kept or taken back its settings.
    fn note_end(&mut self, tag: &str) {
        match tag {
            "COMMIT" | "PREPARE TRANSACTION" => self.effects.before = None,
            "ROLLBACK" => self.take_settings_back(),
            _ => {}
        }
    }

    fn take_effect(&mut self, consequence: &Consequence) {
        match consequence {
            Consequence::Nothing | Consequence::Pin(_) => {}
            Consequence::Set { name, value } => self.change_settings(|settings| settings.set(name, value)),
            Consequence::Reset(name) => {
                self.change_settings(|settings| settings.reset(name));
                // The server went back to its own default, not to what the client's start-up packet said.
                self.effects.repair |= self.link.settings.get(name).is_some();
            }
            Consequence::ResetAll => {
                self.change_settings(crate::execute::Settings::reset_all);
                self.effects.repair |= self.link.settings.tag() != 0;
            }
            Consequence::DiscardAll => self.discard_all(),
            Consequence::Deallocate(name) => {
                self.names.passed.remove(name.as_bytes());
                if let Some(named) = self.names.named.remove(name.as_bytes())
                    && let Some(server) = &mut self.server
                {
                    server.statements.remove(named.id());
                }
            }
            Consequence::DeallocateAll => self.forget_statements(),
            Consequence::Savepoint(name) => {
                let settings = self.link.settings.clone();
                self.effects.savepoints.push((name.clone(), settings));
            }
            Consequence::RollbackTo(name) => self.roll_back_to(name),
            Consequence::Release(name) => {
                if let Some(position) = self.savepoint(name) {
                    self.effects.savepoints.truncate(position);
                }
            }
        }
    }

    /// A transaction is over, and what texts meant in it. What is on its way may be another that is like it.
    fn end_meanings(&mut self) {
        if !self.effects.schema && !self.effects.local {
            return;
        }
        if self.effects.schema {
            self.link.worker.proxy.schema_changes.note(self.schema);
        }
        // Servers that began before are no server for who comes now.
        for database in &self.effects.redefined {
            self.link.worker.proxy.renew(database.as_deref());
        }
        let goes_on = self.ends_due() > 0;
        if !goes_on {
            self.effects.redefined.clear();
        }
        self.effects.schema &= goes_on;
        self.effects.local &= goes_on;
    }

    /// What is prepared from now on is read anew by servers, and so it is when the transaction is over.
    pub(super) fn note_schema_change(&mut self) {
        self.effects.schema = true;
        self.link.worker.proxy.schema_changes.note(self.schema);
    }

    fn savepoint(&self, name: &str) -> Option<usize> {
        self.effects.savepoints.iter().rposition(|(known, _)| known == name)
    }

    fn roll_back_to(&mut self, name: &str) {
        let Some(position) = self.savepoint(name) else { return };
        self.effects.savepoints.truncate(position + 1);
        let settings = self.effects.savepoints[position].1.clone();
        if settings != self.link.settings {
            self.link.settings = settings;
            self.effects.server_tag = Some(self.link.settings.tag());
        }
    }

    fn change_settings(&mut self, change: impl FnOnce(&mut crate::execute::Settings)) {
        if self.effects.before.is_none() {
            self.effects.before = Some(self.link.settings.clone());
        }
        change(&mut self.link.settings);
        self.effects.server_tag = Some(self.link.settings.tag());
    }

    fn take_settings_back(&mut self) {
        if let Some(before) = self.effects.before.take() {
            self.link.settings = before;
            self.effects.server_tag = Some(self.link.settings.tag());
            self.effects.repair = false;
        }
    }

    fn forget_statements(&mut self) {
        self.names.named.clear();
        self.names.passed.clear();
        let Some(server) = &mut self.server else { return };
        server.statements.clear();
        // What the client has asked for since comes after it.
        for expect in &self.expected {
            match expect {
                Expect::Parse(Parsed::Named(client, named)) => {
                    self.names.named.insert(client.clone(), Rc::clone(named));
                    server.statements.insert(named.id());
                }
                Expect::Parse(Parsed::Again(Some(named))) => {
                    server.statements.insert(named.id());
                }
                _ => {}
            }
        }
    }

    /// The server is as a fresh one; the session keeps what its start-up packet said.
    fn discard_all(&mut self) {
        self.link.settings.clear();
        self.effects.before = None;
        self.effects.server_tag = Some(0);
        self.effects.repair = self.link.settings.tag() != 0;
        self.forget_statements();
        self.names.unnamed.clear();
        self.link.pin = self.link.base_pin();
        self.link.keeping = Keeping::default();
        self.keep_for_encoding();
        if let Some(server) = &mut self.server {
            server.borrowers.forget_others();
        }
        self.record.set_pinned(self.link.pin);
    }

    /// After ReadyForQuery: what the transaction changed is kept or taken back.
    pub(super) fn settle(&mut self, status: TransactionStatus) {
        let failed = std::mem::take(&mut self.effects.failed);
        if status == TransactionStatus::Idle {
            if failed {
                self.take_settings_back();
            }
            self.effects.before = None;
            self.effects.savepoints.clear();
            self.end_meanings();
            self.link.worker.proxy.metrics.transaction();
        }
        if self.expected.is_empty()
            && let Some(since) = self.since.take()
        {
            let now = Instant::now();
            self.link.worker.proxy.metrics.latency(now.duration_since(since));
            self.ended = Some(now);
        }
        if self.effects.repair && status != TransactionStatus::Failed {
            self.repair(status);
        }
    }

    /// Brings the server to the session's settings: at once where it stays, else when it is borrowed next.
    fn repair(&mut self, status: TransactionStatus) {
        self.effects.repair = false;
        if status == TransactionStatus::Idle && self.link.pin == Pinned::No {
            self.effects.server_tag = Some(SettingsTag::UNKNOWN);
            return;
        }
        if let Some(server) = &mut self.server {
            frontend::write_query(server.out(), &self.link.settings.statements());
            self.effects.server_tag = Some(self.link.settings.tag());
            self.expected.push_back(Expect::Hidden);
        }
    }
}
