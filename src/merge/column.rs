//! What the merge must know about the shards' columns and settings, and what it says about its own.

/// A column that the shards send, from RowDescription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The type's oid.
    pub type_oid: u32,
    /// 0 for text, 1 for binary.
    pub format: i16,
}

/// A column that the client sees; all else of RowDescription is taken from the source column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputColumn {
    /// The shard column whose name and format it has.
    pub source: usize,
    /// The type's oid; differs from the source's for averages.
    pub type_oid: u32,
}

/// What is true of the session and its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergeContext {
    /// Whether the server orders text by its bytes (C, POSIX, `builtin` C collations).
    pub text_is_bytewise: bool,
    /// Whether equal text has equal bytes, as under every deterministic collation.
    pub equal_text_is_same: bool,
    /// Whether `DateStyle` is ISO, which text results are read by.
    pub iso_dates: bool,
    /// Groups, and distinct rows, that are kept in memory at most; more are refused with `54000`.
    pub group_rows_max: usize,
}
