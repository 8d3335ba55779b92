//! Ids for the client path, and the coarse time that counts as now.

use std::time::Duration;

use super::Proxy;
use crate::plan::{IdValue, IdsWanted, key_from_text};
use crate::rules::{Distribution, IdRules, IdSource, RuleSet};
use crate::types::{Refusal, SqlState};

/// The tag code of transaction ids; the rules' tags start at 1.
const TRANSACTION_TAG: u16 = 0;

impl Proxy {
    /// Makes a transaction's id.
    pub fn next_txid(&self) -> Result<i64, Refusal> {
        self.ids.next_standard(TRANSACTION_TAG)
    }

    /// Returns how long ago a transaction drew its id, zero for the future; `None` for a number that is no such id.
    pub fn transaction_age(&self, txid: i64) -> Option<Duration> {
        let decoded = self.ids.decode_standard(txid).filter(|decoded| decoded.tag == TRANSACTION_TAG)?;
        let age = self.now_ms().saturating_sub(decoded.time_ms);
        Some(Duration::from_millis(u64::try_from(age).unwrap_or(0)))
    }

    /// Makes ids from a source of these rules, ascending; all of them or none.
    ///
    /// # Errors
    /// As [`super::Ids::make`].
    pub fn make_ids(&self, wanted: IdsWanted, rules: &IdRules) -> Result<Vec<IdValue>, Refusal> {
        let ids = self.ids.make(wanted, rules)?;
        self.metrics.ids_issued(ids.len() as u64);
        Ok(ids)
    }

    /// Makes `count` ids of a business tag or segment of these rules.
    ///
    /// # Errors
    /// `22023` for a tag that no rule names, else as [`super::Ids::make`].
    pub fn next_ids(&self, tag: &str, count: usize, rules: &IdRules) -> Result<Vec<i64>, Refusal> {
        let source = rules.of_tag(tag).ok_or_else(|| {
            let known = rules.tag_names().collect::<Vec<_>>().join(", ");
            Refusal::new(SqlState::INVALID_PARAMETER_VALUE, format!("no id tag \"{tag}\" in the rules"))
                .with_hint(format!("The tags are: {known}."))
        })?;
        let ids = self.make_ids(IdsWanted { source, bucket: None, count }, rules)?;
        Ok(ids.into_iter().filter_map(|id| id.bigint()).collect())
    }

    /// Makes `count` ids as the id column of a table has them; `key` is the sharding key of their rows, for layouts with a
    /// bucket and uuids with their shard's name.
    ///
    /// # Errors
    /// `22023` for a table or key that has none, else as [`super::Ids::make`].
    pub fn ids_of_table(
        &self,
        tag: &str,
        (table, key): (&str, Option<&str>),
        count: usize,
        rules: &RuleSet,
    ) -> Result<Vec<IdValue>, Refusal> {
        let wrong = |message: String| Refusal::new(SqlState::INVALID_PARAMETER_VALUE, message);
        let rule = rules.table(table).ok_or_else(|| wrong(format!("no table \"{table}\" in the rules")))?;
        let id = rule.id.as_ref().filter(|id| id.tag == tag);
        let id = id.ok_or_else(|| wrong(format!("table \"{table}\" has no id column of the tag \"{tag}\"")))?;
        let bucket = match id.source {
            IdSource::Snowflake { layout, .. } if layout.has_bucket => {
                let Distribution::Sharded { group, more, .. } = &rule.distribution else {
                    return Err(wrong(format!("table \"{table}\" has no sharding key")));
                };
                let missing = || {
                    wrong(format!("ids of table \"{table}\" carry the bucket of their row's sharding key"))
                        .with_hint("Say the key's value: key=42.")
                };
                let key = key.filter(|_| more.is_empty()).ok_or_else(missing)?;
                let value = key_from_text(rules.group(*group).key_type, key);
                let bucket = value.and_then(|value| rules.bucket_of(*group, &value));
                Some(bucket.ok_or_else(|| wrong(format!("the key \"{key}\" has no bucket in table \"{table}\"")))?)
            }
            IdSource::Snowflake { .. } | IdSource::Segment(_) | IdSource::Uuid { .. } => None,
        };
        self.make_ids(IdsWanted { source: id.source, bucket, count }, &rules.ids)
    }

    /// Returns wall time in milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.clock.wall_ms()
    }
}
