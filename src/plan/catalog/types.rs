//! Tables as the planner wants to know them.

use std::collections::{HashMap, HashSet};

use super::{Routine, Volatility};
use crate::rules::GroupId;

/// The user tables and functions of one database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Whether the database's default collation sorts text by its bytes: `C` and `POSIX`, the system's `C.UTF-8` (by
    /// code point, which is the same), and those that PostgreSQL brings along. Never one of ICU.
    pub database_collation_is_c: bool,
    /// Tables by the name that rules use: bare in schema `public`, else `schema.name`.
    pub tables: HashMap<String, Table>,
    /// The worst volatility of all functions of a name; empty when nothing was loaded.
    pub functions: HashMap<String, Volatility>,
    /// Functions that users wrote in SQL or a procedural language, by the name that rules would use.
    pub routines: HashMap<String, Routine>,
    /// The names of functions and aggregates that users made, without schema: one that PostgreSQL has, too, may mean theirs.
    /// Those of extensions are left out.
    pub own_names: HashSet<String>,
    /// The names of all functions that may return several rows, without schema.
    pub sets: HashSet<String>,
    /// By reference table, the foreign keys of other tables of the rules that refer to it; see [`Catalog::adopt`].
    pub referred: HashMap<String, Vec<Referring>>,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Columns in the table's order, dropped ones left out.
    pub columns: Vec<Column>,
    /// The columns of each unique index, primary key included; an expression stands as an empty name.
    pub unique: Vec<Vec<String>>,
    /// The names of its indexes.
    pub indexes: Vec<String>,
    /// The columns of unique and exclusion constraints by constraint name.
    pub constraint_columns: HashMap<String, Vec<String>>,
    /// Whether there is an exclusion constraint.
    pub exclusion: bool,
    /// Foreign keys of this table.
    pub foreign_keys: Vec<ForeignKey>,
    /// CHECK constraints.
    pub checks: Vec<Check>,
    /// Whether there are triggers that are neither internal nor Shardloom's own, rules or row level security: then more
    /// than the statement says what a write does.
    pub user_triggers: bool,
    /// Whether an index has a condition, or computes something of its rows.
    pub computed_indexes: bool,
    /// What it is.
    pub kind: TableKind,
    /// The relations whose rows it shows: what a view reads, the partitions and children of a table.
    pub reads: Vec<String>,
    /// The users' functions that a view calls, without schema.
    pub calls: Vec<String>,
    /// The tables that it is a partition or child of.
    pub parents: Vec<String>,
    /// A view's query.
    pub definition: Option<String>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name.
    pub name: String,
    /// The type's oid.
    pub type_oid: u32,
    /// The type with its modifier, as `format_type` prints it.
    pub type_name: String,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// The default's expression.
    pub default: Option<String>,
    /// Whether it is `GENERATED ALWAYS AS (…) STORED`.
    pub generated: bool,
    /// Whether it is an identity column.
    pub identity: bool,
    /// Whether that is one that takes values only where OVERRIDING SYSTEM VALUE says so.
    pub identity_always: bool,
    /// Whether its collation is the database's default (also when the type has none).
    pub collation_is_default: bool,
    /// Whether texts are equal only if their bytes are: a collation that is not deterministic calls others equal, too.
    pub equal_by_bytes: bool,
}

/// One foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The constraint's name.
    pub name: String,
    /// The referencing columns.
    pub columns: Vec<String>,
    /// The referenced table, named as in [`Catalog::tables`].
    pub table: String,
    /// The referenced columns.
    pub referenced: Vec<String>,
    /// Whether a referenced row can never go, nor its key change: no action is declared for it, and the check is not put
    /// off to the end of the transaction.
    pub strict: bool,
}

/// A foreign key to a reference table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referring {
    /// The table that refers, named as in [`Catalog::tables`].
    pub table: String,
    /// Its group, if it is sharded; a reference table has all its rows where the referenced one has.
    pub group: Option<GroupId>,
    /// The key.
    pub key: ForeignKey,
}

/// One CHECK constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The columns it reads.
    pub columns: Vec<String>,
    /// Its definition.
    pub definition: String,
}

impl Column {
    /// Tells whether a sequence numbers it, of which each shard has one of its own.
    pub fn is_numbered(&self) -> bool {
        self.identity || self.default.as_ref().is_some_and(|default| default.contains("nextval("))
    }
}

/// `pg_class.relkind`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// `r`
    Table,
    /// `p`
    Partitioned,
    /// `v`
    View,
    /// `m`
    MaterializedView,
    /// `f`
    Foreign,
}

/// PostgreSQL's type oid of `name`, whose collation of its own is C.
const NAME_OID: u32 = 19;

impl Catalog {
    /// Returns the catalog that knows nothing: no table is safe, functions are judged by the built-in list.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Tells whether text of any column sorts by its bytes: the database's collation does, and no column has another.
    pub fn sorts_text_by_bytes(&self) -> bool {
        self.database_collation_is_c && !self.has_collations()
    }

    /// Tells whether some column has a collation of its own, of which only the name would say how it sorts, and whether
    /// what it holds equal has equal bytes.
    pub fn has_collations(&self) -> bool {
        let own = |column: &Column| !column.collation_is_default && column.type_oid != NAME_OID;
        self.tables.values().flat_map(|table| &table.columns).any(own)
    }

    /// Returns the table by the name that rules use.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)
    }
}

impl Table {
    /// Returns the column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}
