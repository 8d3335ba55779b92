//! Ranges of dense ids, reserved in home's database: one row per segment, which every proxy moves on.

use std::ops::Range;

use super::error::Error;
use super::handle::Outbox;

/// Moves the segment on by `$3` and returns its new end; no id is below `$2`, also where the table was set back or the rules
/// begin higher now.
const RESERVE: &str = "INSERT INTO shardloom.id_segment AS s (name, next_id) VALUES ($1, $2::bigint + $3::bigint) \
     ON CONFLICT (name) DO UPDATE SET next_id = greatest(s.next_id, $2::bigint) + $3::bigint, updated_at = clock_timestamp() \
     RETURNING next_id";

impl Outbox {
    /// Reserves `count` ids of a segment that has none below `first`.
    ///
    /// # Errors
    /// Home is away, its table is missing or was altered, or bigint has no room left.
    pub async fn reserve_ids(&self, name: &str, first: i64, count: i64) -> Result<Range<i64>, Error> {
        let home = self.settings.home;
        let client = self.store.connect(home).await?;
        let row = client.query_one(RESERVE, &[&name, &first, &count]).await.map_err(self.store.at(home))?;
        let end: i64 = row.try_get(0).map_err(self.store.at(home))?;
        Ok(end - count..end)
    }
}
