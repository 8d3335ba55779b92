//! What the steps of a pipeline did to the names of statements and portals while they were read.
//!
//! Names change when a message is read, since the next one may use them. If a step fails, the steps behind it never
//! happened, and neither did what they did to names.

use std::rc::Rc;

use super::Extended;
use super::portal::Portal;
use super::told::Held;

/// Changes of the pipeline at hand, in order.
#[derive(Default)]
pub(super) struct Undo(Vec<Change>);

/// One change: the step, the name, and what had the name before.
enum Change {
    Statement(usize, String, Option<Held>),
    Portal(usize, String, Option<Rc<Portal>>),
}

impl Undo {
    /// All steps ran.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

impl Extended {
    /// Notes that the step being read prepared or closed the statement `name`.
    pub(super) fn note_statement(&mut self, name: &str, before: Option<Held>) {
        let step = self.pipeline.len();
        self.undo.0.push(Change::Statement(step, name.to_owned(), before));
    }

    /// Notes that the step being read bound the portal `name`.
    pub(super) fn note_portal(&mut self, name: &str, before: Option<Rc<Portal>>) {
        let step = self.pipeline.len();
        self.undo.0.push(Change::Portal(step, name.to_owned(), before));
    }

    /// Takes back what the step `failed` and those behind it did to names; a failed step leaves its name free.
    pub(super) fn undo_from(&mut self, failed: usize) {
        while let Some(change) = self.undo.0.pop() {
            match change {
                Change::Statement(step, name, before) if step >= failed => {
                    let before = before.filter(|_| step > failed);
                    match before {
                        Some(before) => self.statements.insert(name, before),
                        None => self.statements.remove(&name),
                    };
                }
                Change::Portal(step, name, before) if step >= failed => {
                    let before = before.filter(|_| step > failed);
                    match before {
                        Some(before) => self.portals.insert(name, before),
                        None => self.portals.remove(&name),
                    };
                }
                Change::Statement(..) | Change::Portal(..) => {}
            }
        }
    }
}
