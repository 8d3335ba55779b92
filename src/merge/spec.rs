//! What a plan asks of the merge. Column numbers are 0-based positions in the rows that the shards send.

/// How the rows of several shards become one result.
///
/// The shards' statement may carry hidden columns after the visible ones (sort keys, the count behind an average);
/// `outputs` says what the client sees, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MergeSpec {
    /// Whether rows with equal group keys are folded into one; the keys are the `GroupKey` columns.
    /// With `grouped` and no key there is exactly one row (`SELECT count(*) …`).
    pub grouped: bool,
    /// What the client sees; empty: all shard columns but the last `hidden` ones.
    pub outputs: Vec<Output>,
    /// How many shard columns at the end the client does not see, when `outputs` is empty.
    pub hidden: usize,
    /// What must be folded: one entry per shard column, only read when `grouped`.
    pub combines: Vec<Combine>,
    /// The order of the result; empty: as the rows arrive. When not grouped, every shard sends its rows in this order.
    pub order: Vec<SortKey>,
    /// Rows to skip after merging.
    pub offset: u64,
    /// Rows to return at most after merging.
    pub limit: Option<u64>,
    /// Whether equal visible rows are returned once (`SELECT DISTINCT`).
    pub distinct: bool,
}

impl MergeSpec {
    /// A sort column of at least this counts from the end: `FROM_END` is the last shard column, `FROM_END + 1` the one
    /// before it. Plans say so where `SELECT *` leaves the number of columns open.
    pub const FROM_END: usize = 1 << 32;

    /// Tells whether the rows are the shards' rows as they are, in any order.
    pub fn is_plain(&self) -> bool {
        let as_they_are = self.outputs.is_empty() && self.hidden == 0 && self.order.is_empty();
        as_they_are && !self.grouped && !self.distinct && self.offset == 0 && self.limit.is_none()
    }

    /// Returns the spec with every sort column counted from the start; `width` is the number of shard columns.
    pub fn resolved(mut self, width: usize) -> Self {
        for key in &mut self.order {
            if let Some(back) = key.column.checked_sub(Self::FROM_END) {
                key.column = width.saturating_sub(back + 1);
            }
        }
        self
    }
}

/// One visible column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// The shard column as it stands (after folding).
    Column(usize),
    /// `avg`: the folded sum divided by the folded count, with PostgreSQL's numeric scale.
    Average {
        /// The column with `sum(x)`.
        sum: usize,
        /// The column with `count(x)`.
        count: usize,
    },
}

/// How one shard column folds over the rows of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// Part of the group key: equal in all rows of the group.
    GroupKey,
    /// `count`, and `sum` over partial sums; NULLs are skipped, all NULL gives NULL.
    Sum,
    /// The least value by the server's order of the type.
    Min,
    /// The greatest value.
    Max,
    /// `bool_and`
    And,
    /// `bool_or`
    Or,
}

/// One ORDER BY key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortKey {
    /// The shard column to compare.
    pub column: usize,
    /// `DESC`.
    pub descending: bool,
    /// `NULLS FIRST`; PostgreSQL's default is first for DESC and last for ASC.
    pub nulls_first: bool,
}
