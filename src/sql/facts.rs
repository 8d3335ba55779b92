//! What one statement touches and what restricts it, as far as its text alone says.
//!
//! Nothing here knows the rules: a column is a relation and a name, a condition holds or is left out.

use std::ops::Range;

use super::aggregates::UnsureAggregate;
use super::delta::Delta;
use super::name::TableName;
use super::nested::{Passed, Write};
use crate::types::Comparison;

/// An index into [`Facts::relations`].
pub type RelationIndex = usize;

/// The facts of one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What the statement is.
    pub kind: StatementKind,
    /// Whether a number in a subquery's GROUP BY or DISTINCT ON is the position of a column: another would mean another one.
    pub by_position: bool,
    /// Every relation of every scope, derived ones included.
    pub relations: Vec<Relation>,
    /// The query blocks; 0 is the top one.
    pub scopes: Vec<Scope>,
    /// `column = constant`, `column IN (constants)`, each restricting the relations of its scope.
    pub bindings: Vec<Binding>,
    /// `column < constant` and its like, each restricting the relations of its scope.
    pub bounds: Vec<Bound>,
    /// `column = column`, directed: rows of the target matter only where they equal the source.
    pub edges: Vec<Edge>,
    /// Aggregates in subqueries that may be those of the query around them.
    pub unsure: Vec<UnsureAggregate>,
    /// The functions called, lower case, without schema.
    pub functions: Vec<String>,
    /// Whether rows are locked (`FOR UPDATE`, `FOR SHARE` …) anywhere.
    pub locks: bool,
    /// The top query block, if it is a plain SELECT: no set operation, nothing that writes behind WITH.
    pub block: Option<Block>,
    /// For UPDATE: the columns set, with the constant if it is one.
    pub assignments: Vec<(String, Option<Slot>)>,
    /// For UPDATE: what it adds to which rows, if it does nothing else.
    pub delta: Option<Box<Delta>>,
    /// Whether an UPDATE or DELETE returns rows.
    pub returning: bool,
    /// Whether a part of the statement other than its top writes (WITH x AS (DELETE …)).
    pub nested_write: bool,
    /// What such parts write.
    pub writes: Vec<Write>,
    /// The columns of derived relations beside such parts, as far as they are known.
    pub passed: Vec<(RelationIndex, Passed)>,
}

/// What a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatementKind {
    /// `SELECT`, `VALUES`, `TABLE`, with or without `WITH`
    Select,
    /// `INSERT`
    Insert,
    /// `UPDATE`
    Update,
    /// `DELETE`
    Delete,
    /// `MERGE`
    Merge,
}

/// One relation of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The base table, `None` for subqueries, CTEs and functions.
    pub table: Option<TableName>,
    /// The name by which columns refer to it.
    pub alias: String,
    /// Whether its columns were renamed, so that no column of it is known.
    pub renamed: bool,
    /// Its query block; 0 is the top one.
    pub scope: usize,
    /// Whether an outer join may fill its columns with NULL.
    pub nullable: bool,
    /// Whether the statement writes it.
    pub target: bool,
}

/// A query block, and which of its rows depend on each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// The relation as which FROM reads it, if that is its one use.
    pub read_as: Option<RelationIndex>,
    /// The keys of GROUP BY, of each window's PARTITION BY and of DISTINCT, one list for each: rows that differ in one of a
    /// list's columns have nothing to do with each other there. A list that is empty holds all rows together, as aggregates
    /// without GROUP BY do; without any list each row stands for itself.
    pub together: Vec<Vec<Column>>,
    /// Whether all of its rows matter to what it returns in some other way: LIMIT, a set operation, a write.
    pub whole: bool,
    /// Whether its rows have an order.
    pub ordered: bool,
}

/// A column as far as the text says: `relation` is known, or the name stood alone in `scope`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Column {
    /// The relation that the qualifier names.
    pub relation: Option<RelationIndex>,
    /// The scope in which the name stands.
    pub scope: usize,
    /// The column's name.
    pub name: String,
}

/// A column restricted to constants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The column.
    pub column: Column,
    /// The values, any of them.
    pub slots: Vec<Slot>,
    /// Which relations it restricts.
    pub reach: Vec<RelationIndex>,
}

/// A column compared with a constant by order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The column.
    pub column: Column,
    /// How it stands to the value.
    pub comparison: Comparison,
    /// The value.
    pub slot: Slot,
    /// Which relations it restricts.
    pub reach: Vec<RelationIndex>,
}

/// `target = source`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Where values come from.
    pub source: Column,
    /// What is restricted by them.
    pub target: Column,
    /// Which relations it restricts.
    pub reach: Vec<RelationIndex>,
    /// Whether the target is a subquery's column that hands out the source: then they also have one type.
    pub handed: bool,
}

/// Where a constant's value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The value.
    pub source: SlotSource,
    /// What it is cast to, if it is.
    pub cast: Option<SlotCast>,
    /// Whether the value is an array of which any element may equal the column.
    pub any: bool,
}

/// A constant's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotSource {
    /// The literal with this index (see `literals`).
    Literal {
        /// The index.
        index: usize,
        /// Whether a minus stands before it.
        negative: bool,
    },
    /// `$n`, 0-based.
    Parameter {
        /// The index.
        index: usize,
        /// Whether the statement uses it more than once, so that its type may come from elsewhere.
        shared: bool,
    },
    /// `NULL`
    Null,
}

/// Types whose casts leave a key readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlotCast {
    /// `smallint`, `integer`, `bigint`
    Integer,
    /// `text`, `varchar` without a length
    Text,
    /// `uuid`
    Uuid,
    /// `date`
    Date,
    /// `timestamp` without a precision
    Timestamp,
    /// `timestamptz` without a precision
    TimestampTz,
}

/// The top query block of a plain SELECT: byte ranges and what stands in them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Block {
    /// Where its SELECT stands, behind WITH.
    pub start: usize,
    /// The select list.
    pub items: Vec<Item>,
    /// GROUP BY.
    pub group: Vec<Item>,
    /// ORDER BY.
    pub order: Vec<OrderItem>,
    /// `SELECT DISTINCT`
    pub distinct: bool,
    /// HAVING stands there.
    pub having: bool,
    /// The bytes of HAVING's condition.
    pub having_span: Option<Range<usize>>,
    /// Where FROM and WHERE end.
    pub body_end: usize,
    /// LIMIT's and OFFSET's values.
    pub limit: Option<Count>,
    /// OFFSET.
    pub offset: Option<Count>,
    /// The byte range of LIMIT and OFFSET together with their keywords, where they stand.
    pub limit_spans: Vec<Range<usize>>,
    /// Where hidden columns are spliced in: after the last item of the select list.
    pub items_end: usize,
    /// What holds rows together beside groups, in words: it can be merged where no such rows are on several shards.
    pub holds: Option<&'static str>,
    /// What of the block cannot be merged, in words; the first that was found.
    pub unmergeable: Option<String>,
}

/// LIMIT's or OFFSET's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Count {
    /// `ALL` or `NULL`
    All,
    /// A constant.
    Slot(Slot),
}

/// One expression of the select list or of GROUP BY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its bytes, without the alias.
    pub span: Range<usize>,
    /// Its bytes with the alias.
    pub whole: Range<usize>,
    /// The alias.
    pub alias: Option<String>,
    /// What it is.
    pub shape: Shape,
}

/// One ORDER BY key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderItem {
    /// The expression.
    pub item: Item,
    /// `DESC`
    pub descending: bool,
    /// `NULLS FIRST`, with PostgreSQL's default filled in.
    pub nulls_first: bool,
}

/// What an expression is, as far as merging asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// `*` or `t.*`
    Star,
    /// An integer constant; in ORDER BY and GROUP BY a position.
    Position(usize),
    /// A plain column.
    Column(Column),
    /// An aggregate call and nothing around it.
    Aggregate {
        /// Its name, lower case.
        name: String,
        /// The bytes between its parentheses.
        arguments: Range<usize>,
        /// The bytes after its closing parenthesis (FILTER).
        after: Range<usize>,
        /// `DISTINCT` or an ORDER BY inside.
        special: bool,
    },
    /// An expression with an aggregate somewhere in it.
    OverAggregate,
    /// Anything else.
    Expression,
}
