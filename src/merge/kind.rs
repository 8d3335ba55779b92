//! Which types the merge understands, and for what. Everything else is refused by its oid.

use super::{Column, MergeContext};
use crate::types::Refusal;

/// The types whose order the merge knows, named as in `pg_type`; the oids are fixed by PostgreSQL's `pg_type.dat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Bytea,
    /// `"char"`, one byte.
    Char,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    /// `text`, `varchar` and `name`.
    Text,
    Bpchar,
    Date,
    Time,
    Timestamp,
    TimestampZone,
    Uuid,
}

/// What a column is compared for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// ORDER BY, min and max.
    Order,
    /// GROUP BY and DISTINCT.
    Equality,
}

pub(super) const INT8_OID: u32 = 20;
pub(super) const FLOAT8_OID: u32 = 701;
pub(super) const NUMERIC_OID: u32 = 1700;

impl Kind {
    /// Returns the kind of a type; `None` for those that the merge cannot compare.
    pub fn of(type_oid: u32) -> Option<Self> {
        Some(match type_oid {
            16 => Self::Bool,
            17 => Self::Bytea,
            18 => Self::Char,
            19 | 25 | 1043 => Self::Text,
            INT8_OID => Self::Int8,
            21 => Self::Int2,
            23 => Self::Int4,
            26 => Self::Oid,
            700 => Self::Float4,
            FLOAT8_OID => Self::Float8,
            1042 => Self::Bpchar,
            1082 => Self::Date,
            1083 => Self::Time,
            1114 => Self::Timestamp,
            1184 => Self::TimestampZone,
            NUMERIC_OID => Self::Numeric,
            2950 => Self::Uuid,
            _ => return None,
        })
    }

    /// Returns the kind of `column` if the merge may compare it for `purpose`; else says why not (`0A000`).
    pub fn comparable(column: Column, purpose: Purpose, context: &MergeContext) -> Result<Self, Refusal> {
        let kind = Self::of(column.type_oid).ok_or_else(|| unknown(column.type_oid))?;
        if !matches!(column.format, 0 | 1) {
            return Err(Refusal::unsupported(format!("unknown result format {}", column.format), "Use format 0 or 1."));
        }
        match kind {
            Self::Text | Self::Bpchar if !context.compares_text(purpose) => Err(Refusal::unsupported(
                "text cannot be compared over several shards under this collation",
                "Sort in a database with LC_COLLATE C or C.UTF-8, or restrict the statement to one shard.",
            )),
            Self::Date | Self::Timestamp | Self::TimestampZone if column.format == 0 && !context.iso_dates => {
                Err(Refusal::unsupported(
                    "dates can be merged over several shards in ISO format only",
                    "SET datestyle = 'ISO', or ask for binary results.",
                ))
            }
            Self::Bool
            | Self::Bytea
            | Self::Char
            | Self::Int2
            | Self::Int4
            | Self::Int8
            | Self::Oid
            | Self::Float4
            | Self::Float8
            | Self::Numeric
            | Self::Text
            | Self::Bpchar
            | Self::Date
            | Self::Time
            | Self::Timestamp
            | Self::TimestampZone
            | Self::Uuid => Ok(kind),
        }
    }
}

impl MergeContext {
    /// Tells whether text may be compared by its bytes.
    fn compares_text(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Order => self.text_is_bytewise,
            Purpose::Equality => self.equal_text_is_same,
        }
    }
}

fn unknown(type_oid: u32) -> Refusal {
    Refusal::unsupported(
        format!("values of the type with oid {type_oid} cannot be compared over several shards"),
        "Cast the expression to a plain type (text, numeric, timestamptz …), or restrict the statement to one shard.",
    )
}
