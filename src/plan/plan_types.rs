//! What a plan says. Never edited after it was returned.

use std::ops::Range;

use super::carry::Carry;
use super::insert::HomeNumber;
use crate::merge::MergeSpec;
use crate::rules::{IdRule, IdSource};
use crate::sql::{Condition, CopyFormat};
use crate::types::{ShardId, ShardSet, WriteMode};
use crate::wire::copy_csv::Quoting;
use crate::wire::copy_out::Layout;

/// What to do with one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// One shard answers; its frames pass undecoded.
    Direct(Direct),
    /// Several shards answer a read; their rows are merged.
    Scatter(Scatter),
    /// The rows of several shards come to home, where PostgreSQL runs the statement over all of them.
    Gather(Gather),
    /// Several shards are written, one statement each, all in one transaction.
    MultiWrite(MultiWrite),
    /// The rows of a first statement are written by a second one.
    Carry(Box<Carry>),
    /// `COPY table FROM STDIN` into a sharded table: rows are split by key.
    Copy(Box<CopyPlan>),
    /// `COPY table TO STDOUT` of a sharded table: the shards' rows one shard after another.
    CopyOut(CopyOut),
    /// The same statement on each of several shards, as DDL, TRUNCATE, VACUUM and ANALYZE do.
    /// `effect` is `None` for what cannot run in a transaction (VACUUM, CREATE INDEX CONCURRENTLY).
    Everywhere {
        /// Where it runs.
        shards: ShardSet,
        /// What it runs, usually the original text.
        statement: Statement,
        /// What it writes.
        effect: Option<WriteEffect>,
    },
}

/// One shard answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Direct {
    /// The shard.
    pub shard: ShardId,
    /// What runs there.
    pub statement: Statement,
    /// What it writes; `None` for a read.
    pub effect: Option<WriteEffect>,
    /// Whether any shard that holds the tables would do (only reference tables are read, or no table at all).
    pub anywhere: bool,
    /// Whether reference tables are read (read-your-writes looks at this).
    pub reads_reference: bool,
}

/// Text and parameters for one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// The client's own text and parameters, byte for byte.
    Original,
    /// A spliced text with its own parameter list; `$n` in `sql` is `parameters[n-1]`.
    Rewritten {
        /// The text.
        sql: String,
        /// Where each parameter comes from.
        parameters: Vec<ParameterSource>,
    },
}

/// Where a server parameter comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterSource {
    /// The client's parameter with this 0-based index, in the client's format and type.
    Client(usize),
    /// A bigint made by the proxy (a generated id).
    Bigint(i64),
    /// A uuid or text made by the proxy (a generated id); the server takes it for the column's type.
    Text(String),
}

/// A read over several shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scatter {
    /// The shards.
    pub shards: ShardSet,
    /// What each of them runs.
    pub statement: Statement,
    /// How the rows merge.
    pub merge: MergeSpec,
    /// Whether reference tables are read.
    pub reads_reference: bool,
    /// Whether rows are locked (`FOR UPDATE`): every shard runs it in the transaction, asked in order.
    pub locks: bool,
    /// How they are, where a LIMIT says that not all of them are.
    pub lock_first: Option<Box<LockFirst>>,
}

/// Row locks under a LIMIT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockFirst {
    /// The same without locks, which tells how many rows of each shard are to be locked; `None` for SKIP LOCKED: which rows
    /// are free is known by locking them.
    pub unlocked: Option<Statement>,
}

/// A read that runs on home over copies of other shards' rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gather {
    /// Where it runs.
    pub home: ShardId,
    /// What runs there.
    pub statement: Statement,
    /// Why no merge can answer it.
    pub because: String,
    /// What is copied before, by table.
    pub fetches: Vec<Fetch>,
    /// Whether reference tables are read.
    pub reads_reference: bool,
    /// Whether it depends on the time at which its transaction began.
    pub reads_clock: bool,
    /// Whether a table that home has whole is named with its schema, so that a copy would not stand for it.
    pub names_in_place: bool,
    /// What takes the place of the rows where the types of the columns allow it.
    pub partial: Option<Box<Partial>>,
}

/// An aggregating read whose groups span shards: each folds its own rows, and home finishes what they send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    /// The shards and what each of them runs; its columns are the group keys, what DISTINCT aggregates look at, and the
    /// parts of the other aggregates.
    pub parts: Scatter,
    /// The statement as it would be on one server, which says what the client's columns are.
    pub whole: Statement,
    /// What finishes them on home, with marks in the place of what depends on the types of the parts.
    pub finish: String,
    /// The columns that are sums, which must not be of floating point: those depend on the order of the rows.
    pub sums: Vec<usize>,
    /// The columns whose values are summed on home as they are.
    pub summed: Vec<usize>,
}

/// The rows of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// The table's name, in schema `public`; the copy has the same.
    pub table: String,
    /// The columns; empty where the catalog does not know the table, so that it cannot be copied.
    pub columns: Vec<String>,
    /// Where its rows are.
    pub shards: ShardSet,
    /// The physical tables that hold them, in the same schema, where the rules split the table; else none.
    pub physical: Vec<String>,
    /// Whether home has all of them: then only a transaction's own writes, seen by itself alone, are a reason to copy.
    pub in_place: bool,
    /// Which of its rows matter, for each use of the table; none where a use may have been overlooked, so that all do.
    pub uses: Vec<Use>,
}

/// One use of a table in a statement that is gathered: rows that one of these leaves out do not matter to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Which relation of the statement it is.
    pub relation: usize,
    /// Conditions on its columns.
    pub filters: Vec<Condition>,
    /// Uses whose rows on the same shard must have the same value.
    pub partners: Vec<Equal>,
    /// Uses whose rows on any shard must have the same value.
    pub links: Vec<Equal>,
}

/// A column that must equal one of another use.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Equal {
    /// The column.
    pub column: String,
    /// The relation whose use the other is.
    pub relation: usize,
    /// Its column.
    pub other: String,
    /// The other column's type, as `format_type` prints it.
    pub type_name: String,
}

impl Fetch {
    /// Returns the tables that servers have its rows in: its own, or the physical ones of a split table.
    pub fn tables(&self) -> Vec<String> {
        if self.physical.is_empty() { vec![self.table.clone()] } else { self.physical.clone() }
    }
}

/// A write over several shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiWrite {
    /// One statement per shard, the first is where home would be if the transaction has none yet.
    pub parts: Vec<Part>,
    /// What it writes; `mode` is the weakest mode that the rules and the statement's safety allow.
    pub effect: WriteEffect,
    /// How RETURNING rows are put in order.
    pub returning: ReturningOrder,
    /// Whether reference tables are read (read-your-writes looks at this).
    pub reads_reference: bool,
    /// Whether the rules want it deferred where a shard cannot be reached, and it is safe to defer.
    pub defers_when_down: bool,
    /// Whether the shards are written one after the other, in their order: statements that change few rows, named by
    /// their keys, may want the same ones, and must not wait for each other on two shards.
    pub in_turn: bool,
}

/// One shard's share of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The shard.
    pub shard: ShardId,
    /// What runs there.
    pub statement: Statement,
    /// For INSERT: the 0-based positions of its rows in the original statement.
    pub rows: Vec<u32>,
    /// What takes it back, one statement for each row, in their order; empty where the rules declare nothing.
    pub undo: Vec<Statement>,
}

impl Part {
    /// Makes a share that is not told by rows.
    pub fn new(shard: ShardId, statement: Statement) -> Self {
        Self { shard, statement, rows: Vec::new(), undo: Vec::new() }
    }
}

/// How RETURNING rows of several parts are put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturningOrder {
    /// No RETURNING.
    None,
    /// By the position in VALUES, as PostgreSQL returns them, if each part returned all of its rows; else by shard.
    ByRow,
    /// Shard after shard (UPDATE and DELETE promise no order).
    ByShard,
}

/// What a write does, as far as committing it is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteEffect {
    /// The tables written, logical names.
    pub tables: Vec<String>,
    /// Whether a reference table is written (on its home; the copies follow by replay).
    pub reference: bool,
    /// The mode that is to be used if the transaction ends up writing several shards.
    pub mode: WriteMode,
    /// Whether the statement may be redone on a target after home's commit.
    pub redo: Redo,
    /// For sharded tables that the rules ask to be `eventual` and whose statement is safe to defer (an insert-safe
    /// split INSERT, or an UPDATE that adds to rows named by key): the parts for shards other than home need not run
    /// before home's commit.
    pub deferrable: bool,
    /// For an UPDATE that is deferrable: the rows that it is taken to change on each shard.
    pub assumed: Vec<(ShardId, u64)>,
}

impl WriteEffect {
    /// Returns that of a statement over several shards.
    pub(super) fn over_shards(self) -> Self {
        Self { mode: self.mode_over_shards(), ..self }
    }

    /// Returns the table in which an INSERT may leave columns to the present time: what can be redone leaves none.
    pub fn may_leave_time(&self) -> Option<&str> {
        self.tables.first().map(String::as_str).filter(|_| matches!(self.redo, Redo::Never(_)))
    }

    /// Returns how it commits where it writes several shards: what cannot be left for later is done before home's commit.
    pub fn mode_over_shards(&self) -> WriteMode {
        match self.mode {
            _ if self.deferrable => WriteMode::Eventual,
            WriteMode::Eventual if !self.reference => WriteMode::Eager,
            mode => mode,
        }
    }
}

/// Whether and how a statement can be redone from its frozen text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redo {
    /// The text and its parameters say it all.
    Exact,
    /// After calls of the `now()` family in the text, as it is sent to the server, were replaced by literals;
    /// `classify::freezes` finds them.
    AfterFreeze,
    /// Never (COPY, TRUNCATE, DDL, volatile functions); the reason is told to the client where it matters.
    Never(String),
}

/// A call of the `now()` family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// Byte range in the statement's text.
    pub span: Range<usize>,
    /// What stands there.
    pub kind: FreezeKind,
    /// How many digits its seconds are rounded to, if it says.
    pub precision: Option<u8>,
}

/// Which of the `now()` family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreezeKind {
    /// `now()`, `CURRENT_TIMESTAMP`, `transaction_timestamp()`
    Timestamp,
    /// `CURRENT_DATE`
    Date,
    /// `LOCALTIMESTAMP`
    LocalTimestamp,
    /// `CURRENT_TIME`
    Time,
    /// `LOCALTIME`
    LocalTime,
}

/// `COPY table [(columns)] TO STDOUT`, or of a query
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOut {
    /// The shards.
    pub shards: ShardSet,
    /// What each of them runs.
    pub statement: Statement,
    /// The format.
    pub format: CopyFormat,
    /// Whether a header line comes first.
    pub header: bool,
    /// The query whose rows no server copies by itself, for they have to be merged; in the place of all the above.
    pub merged: Option<Box<MergedCopy>>,
}

/// A read over several shards, whose answer the proxy writes as a COPY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedCopy {
    /// How it is read: scattered or gathered.
    pub plan: Plan,
    /// The query's text, which the plan is of.
    pub text: String,
    /// What the rows look like.
    pub layout: Layout,
}

/// `COPY table [(columns)] FROM STDIN`, split by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyPlan {
    /// The table's name, logical.
    pub table: String,
    /// What each shard runs.
    pub statement: Statement,
    /// The sharding key's column.
    pub key: String,
    /// Position of the sharding key among the copied columns.
    pub key_position: usize,
    /// Whether that is the column of the id that is made and appended.
    pub key_is_made: bool,
    /// The table's group, whose algorithm has the shards.
    pub group: crate::rules::GroupId,
    /// The key's type, of a composite one that of its first column.
    pub key_type: crate::types::KeyType,
    /// The `n` of a key's type `varchar(n)` or `timestamp(n)`.
    pub key_modifier: Option<usize>,
    /// The further columns of a composite key.
    pub more: Vec<CopyKey>,
    /// Whether the rows are in binary format.
    pub binary: bool,
    /// What quotes values in csv format; `None` for the other formats.
    pub csv: Option<Quoting>,
    /// Whether the first line is a header, which every shard is sent.
    pub header: bool,
    /// Column separator of the text and csv formats.
    pub delimiter: u8,
    /// The text that stands for NULL.
    pub null: String,
    /// How the table is split into physical ones, if it is.
    pub split: Option<Box<CopySplit>>,
    /// Positions of csv columns whose quoted NULL texts are NULL as well.
    pub force_null: Vec<usize>,
    /// Positions of csv columns whose NULL texts are values.
    pub force_not_null: Vec<usize>,
    /// What home's sequences number: appended to every row behind the client's columns.
    pub numbers: Vec<HomeNumber>,
    /// Columns that are left to the present time: one moment for all rows, appended behind the numbers.
    pub moments: Vec<HomeNumber>,
    /// If the id column is left out: it is appended to every line as the last column, made from this source.
    pub id_source: Option<IdSource>,
    /// The columns that servers are sent, those included.
    pub columns: Vec<String>,
    /// Position of ids that clients give and the rule that they are held against.
    pub checked_id: Option<(usize, IdRule)>,
    /// What it writes.
    pub effect: WriteEffect,
}

/// A column of the key of a COPY's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyKey {
    /// Its name.
    pub name: String,
    /// Its position among the columns that are sent.
    pub position: usize,
    /// Its type.
    pub key_type: crate::types::KeyType,
    /// The `n` of a type `varchar(n)`.
    pub modifier: Option<usize>,
}

/// How a COPY's rows find their physical tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySplit {
    /// The physical tables.
    pub split: std::sync::Arc<crate::rules::Split>,
    /// Position of the column by which the table is split among those that are sent.
    pub position: usize,
    /// The `n` of its type `varchar(n)`.
    pub modifier: Option<usize>,
    /// The COPY for each of them, by slot.
    pub statements: Vec<String>,
}
