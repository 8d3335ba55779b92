//! Making the ids of an INSERT: what is asked for, at once per source and bucket, and how an id is written.

use crate::plan::ParameterSource;
use crate::rules::IdSource;
use crate::types::{BucketId, KeyValue, Refusal, SqlState};

use super::slots::Slot;

/// Ids that are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdsWanted {
    /// Where they come from.
    pub source: IdSource,
    /// The bucket of their rows, where the layout has it in the id.
    pub bucket: Option<BucketId>,
    /// How many.
    pub count: usize,
}

/// A generated id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdValue {
    /// By the clock or from a segment.
    Bigint(i64),
    /// A uuid.
    Uuid([u8; 16]),
    /// A uuid behind the name of its row's shard.
    Text(String),
}

/// Makes ids, as many as are wanted.
pub type MakeIds<'a> = dyn FnMut(IdsWanted) -> Result<Vec<IdValue>, Refusal> + 'a;

impl IdValue {
    /// Returns it as SQL.
    pub(super) fn literal(&self) -> String {
        match self {
            Self::Bigint(id) => id.to_string(),
            Self::Uuid(_) | Self::Text(_) => format!("'{self}'"),
        }
    }

    /// Returns it as a parameter.
    pub(super) fn parameter(&self) -> ParameterSource {
        match self {
            Self::Bigint(id) => ParameterSource::Bigint(*id),
            Self::Uuid(_) | Self::Text(_) => ParameterSource::Text(self.to_string()),
        }
    }

    /// Returns the number, if it is one.
    pub fn bigint(&self) -> Option<i64> {
        match self {
            Self::Bigint(id) => Some(*id),
            Self::Uuid(_) | Self::Text(_) => None,
        }
    }

    /// Returns a uuid as text behind the name of its row's shard; any other id as it is.
    pub fn prefixed(self, shard: &str) -> Self {
        match self {
            Self::Uuid(_) => Self::Text(format!("{shard}-{self}")),
            Self::Bigint(_) | Self::Text(_) => self,
        }
    }
}

impl std::fmt::Display for IdValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bigint(id) => id.fmt(f),
            Self::Uuid(bytes) => KeyValue::Uuid(*bytes).fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Fills `made` for the slots that `bucket` has an answer for; the maker is asked once per source and bucket.
pub(super) fn fill(
    slots: &[Slot],
    made: &mut [IdValue],
    bucket: impl Fn(&Slot) -> Option<Option<BucketId>>,
    ids: &mut MakeIds<'_>,
) -> Result<(), Refusal> {
    let mut places: Vec<(IdSource, Option<BucketId>, usize)> =
        slots.iter().enumerate().filter_map(|(place, slot)| Some((slot.source, bucket(slot)?, place))).collect();
    places.sort_unstable_by_key(|(source, bucket, place)| (*source, bucket.map(|bucket| bucket.0), *place));
    for run in places.chunk_by(|one, next| (one.0, one.1) == (next.0, next.1)) {
        let fresh = ids(IdsWanted { source: run[0].0, bucket: run[0].1, count: run.len() })?;
        if fresh.len() != run.len() {
            let message = "the id generator returned the wrong number of ids";
            return Err(Refusal::new(SqlState::INTERNAL_ERROR, message));
        }
        for ((_, _, place), id) in run.iter().zip(fresh) {
            made[*place] = id;
        }
    }
    Ok(())
}

/// Tells whether the row's key must be known before its id is made.
pub(super) fn needs_bucket(source: IdSource) -> bool {
    match source {
        IdSource::Snowflake { layout, .. } => layout.has_bucket,
        IdSource::Segment(_) | IdSource::Uuid { .. } => false,
    }
}
