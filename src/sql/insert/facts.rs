//! What an INSERT says, with byte spans into its text.

use std::ops::Range;

use crate::sql::name::TableName;

/// A byte range in the statement's text.
pub type Span = Range<usize>;

/// An INSERT as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsertFacts {
    /// The target.
    pub table: TableName,
    /// Where a column list stands or would have to be put: behind the table's name and alias.
    pub columns_at: usize,
    /// The column list.
    pub columns: Option<ColumnList>,
    /// Whether `OVERRIDING SYSTEM VALUE` or `OVERRIDING USER VALUE` is said.
    pub overriding: Option<Overriding>,
    /// What is inserted.
    pub source: Source,
    /// `ON CONFLICT`.
    pub conflict: Option<Conflict>,
    /// The RETURNING clause, keyword included.
    pub returning: Option<Span>,
    /// Whether a WITH clause stands before INSERT.
    pub with: bool,
    /// Whether that clause, or the source query, may write or lock rows.
    pub with_writes: bool,
    /// Whether a SELECT, TABLE or inner VALUES stands anywhere outside the source itself.
    pub subquery: bool,
    /// Every relation that the statement names besides the target, when it has a query anywhere; CTE names left out.
    pub relations: Vec<TableName>,
    /// The names of all WITH queries, at any depth.
    pub expressions: Vec<String>,
    /// Every parameter, in the order of the text.
    pub parameters: Vec<ParameterUse>,
}

/// `(a, b, c)`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnList {
    /// Names, folded.
    pub names: Vec<String>,
    /// The parenthesised list.
    pub span: Span,
    /// The byte behind the last name.
    pub names_end: usize,
}

/// `OVERRIDING … VALUE`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overriding {
    /// `SYSTEM`
    System,
    /// `USER`
    User,
}

/// What is inserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `DEFAULT VALUES`
    DefaultValues(Span),
    /// `VALUES (…), (…)`
    Values(Vec<Row>),
    /// A query.
    Query(SourceQuery),
}

/// One parenthesised row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The parentheses and what is between.
    pub span: Span,
    /// The values.
    pub cells: Vec<Cell>,
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// From its first to its last token.
    pub span: Span,
    /// What stands there, casts taken off.
    pub value: CellValue,
    /// The types it is cast to, innermost first, as written, lower case.
    pub casts: Vec<String>,
}

/// What a cell holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CellValue {
    /// A number, with its sign, as written.
    Number(String),
    /// A string constant's value.
    Text(String),
    /// A parameter's 0-based index.
    Parameter(usize),
    /// `DEFAULT`
    Default,
    /// `NULL`
    Null,
    /// `shardloom.next_id('tag')`
    NextId(String),
    /// Anything else.
    Expression,
}

/// A parameter in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterUse {
    /// 0-based index.
    pub index: usize,
    /// Where `$n` stands.
    pub span: Span,
}

/// `ON CONFLICT …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What may conflict.
    pub target: ConflictTarget,
    /// Columns that DO UPDATE sets; `None` for DO NOTHING.
    pub update: Option<Vec<String>>,
}

/// What `ON CONFLICT` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConflictTarget {
    /// Nothing: any unique constraint.
    Any,
    /// Columns; an expression or an operator class is left out of the list.
    Columns(Vec<String>),
    /// `ON CONSTRAINT name`
    Constraint(String),
}

/// The query of `INSERT … SELECT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceQuery {
    /// Where it stands.
    pub span: Span,
    /// The query, if it is a plain SELECT that can be judged; `None` for anything richer.
    pub simple: Option<SimpleSelect>,
}

/// One select item, without its alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectItem {
    /// The column's name, if the item is a plain column of the table.
    pub column: Option<String>,
    /// The item read as a value; a column reads as an expression.
    pub value: Cell,
}

/// `SELECT items [FROM one table [WHERE …]]` without grouping, windows, set-returning items, ORDER BY or LIMIT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimpleSelect {
    /// The table; `None` without FROM.
    pub table: Option<TableName>,
    /// The select items.
    pub items: Vec<SelectItem>,
    /// Equalities that every row fulfils: column = value, as top-level AND operands.
    pub bindings: Vec<(String, Cell)>,
}
