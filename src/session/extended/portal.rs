//! A portal: a prepared statement with its values, and what is left of its rows.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;

use crate::execute::{Arguments, Cursor};
use crate::plan::Plan;
use crate::types::{Refusal, ShardId};

use crate::execute::{Meaning, Prepared};
use crate::sql::Control;

use super::told::Told;

/// A bound statement.
pub struct Portal {
    /// Its name; empty for the unnamed one.
    pub name: String,
    /// What is bound.
    pub statement: Rc<Prepared>,
    /// What the client was told of its columns.
    pub told: Rc<Told>,
    /// Values and formats.
    pub arguments: Rc<Arguments>,
    /// The text that runs, if it is not the statement's own: ids were handed to `next_id` calls in it.
    pub issued: Option<Rc<str>>,
    /// Bind's body after the statement's name, as the client sent it.
    pub tail: Bytes,
    /// Where it runs; `None` for what the proxy answers itself.
    pub plan: Option<Plan>,
    /// Why it fails when it runs.
    pub refusal: Option<Refusal>,
    /// How many savepoints were open when it was bound; it ends with the last of them.
    pub level: Cell<usize>,
    /// Whether it ran to its end in the proxy's hands.
    pub done: Cell<bool>,
    /// The shard on which a server portal of this name is open.
    pub open_on: Cell<Option<ShardId>>,
    /// What is left of a read over several shards.
    pub cursor: RefCell<Option<Cursor>>,
    /// Rows not fetched yet, where the proxy holds them, and the command tag that ends them.
    pub rest: RefCell<Option<Rest>>,
}

impl Portal {
    /// Tells whether an Execute has left rows in the proxy's hands.
    pub fn is_suspended(&self) -> bool {
        self.rest.borrow().is_some() || self.cursor.borrow().is_some()
    }

    /// Tells whether nothing is written where it runs.
    pub fn reads(&self) -> bool {
        matches!(&self.plan, Some(Plan::Direct(direct)) if direct.effect.is_none())
    }

    /// Tells whether its result formats do for any number of columns.
    pub fn takes_any_columns(&self) -> bool {
        self.arguments.result_formats.len() <= 1
    }

    /// Tells whether its columns may be others than those that the client was told.
    pub fn is_outdated(&self, remembers: bool) -> bool {
        self.plan.is_some() && self.told.is_outdated(&self.statement, remembers)
    }

    /// Tells whether its description comes with its first rows, so that one question is enough: not when it ran
    /// already, and not for a cursor, which may be missing.
    pub fn describes_itself(&self) -> bool {
        let meaning = self.statement.meaning.borrow();
        let fetches = matches!(meaning.meaning, Meaning::Control(Control::Fetch { .. }));
        !fetches && self.refusal.is_none() && !self.done.get() && !self.is_suspended()
    }
}

/// Rows that an Execute with a row limit left.
#[derive(Debug, Default)]
pub struct Rest {
    /// DataRow frames.
    pub rows: VecDeque<Bytes>,
    /// What comes after the last row.
    pub end: Bytes,
}
