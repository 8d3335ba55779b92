//! A portal: a prepared statement with its values, and what is left of its rows.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;

use crate::execute::Arguments;
use crate::plan::Plan;
use crate::types::ShardId;

use crate::execute::Prepared;

/// A bound statement.
pub struct Portal {
    /// Its name; empty for the unnamed one.
    pub name: String,
    /// What is bound.
    pub statement: Rc<Prepared>,
    /// Values and formats.
    pub arguments: Rc<Arguments>,
    /// The text that runs, if it is not the statement's own: ids were handed to `next_id` calls in it.
    pub issued: Option<Rc<str>>,
    /// Bind's body after the statement's name, as the client sent it.
    pub tail: Bytes,
    /// Where it runs; `None` for what the proxy answers itself.
    pub plan: Option<Plan>,
    /// The shard on which a server portal of this name is open.
    pub open_on: Cell<Option<ShardId>>,
    /// Rows not fetched yet, where the proxy holds them, and the command tag that ends them.
    pub rest: RefCell<Option<Rest>>,
}

/// Rows that an Execute with a row limit left.
#[derive(Debug, Default)]
pub struct Rest {
    /// DataRow frames.
    pub rows: VecDeque<Bytes>,
    /// What comes after the last row.
    pub end: Bytes,
}
