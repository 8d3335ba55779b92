//! INSERT: text in, facts with byte spans out. Nothing is resolved here: no rules, no catalog, no values of parameters.

mod cell;
mod cursor;
mod facts;
mod query;
mod read;
#[cfg(test)]
mod tests;

pub(super) use cursor::Cursor;

pub use cell::{parameter_index, read_cell, string_value};
pub use cursor::split_commas;
pub use facts::{
    Cell, CellValue, ColumnList, Conflict, ConflictTarget, InsertFacts, Overriding, ParameterUse, Row, SelectItem,
    SimpleSelect, Source, SourceQuery, Span,
};
pub use read::{ROWS_MAX, ReadError, read};
