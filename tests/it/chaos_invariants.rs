//! What must hold after any accident, asked of the servers themselves.

use std::time::{Duration, Instant};

use tokio_postgres::Client;

/// Longest that the relay may take to bring everything to its end once nothing is killed any more. Prepared
/// transactions whose home did not commit are decided after 10 s.
const SETTLE_BOUND: Duration = Duration::from_secs(60);

/// The service user's connections to each shard.
#[derive(Debug)]
pub struct Inspector {
    shards: Vec<Client>,
}

impl Inspector {
    /// Takes one connection of the service user per shard, in the order of the topology.
    pub fn new(shards: Vec<Client>) -> Self {
        Self { shards }
    }

    /// Returns how many shards there are.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Returns the connection to one shard.
    pub fn shard(&self, index: usize) -> &Client {
        &self.shards[index]
    }

    /// Returns the single number that `sql` yields on each shard, summed up.
    pub async fn sum(&self, sql: &str) -> i64 {
        let mut sum = 0;
        for shard in &self.shards {
            let row = shard.query_one(&format!("SELECT ({sql})::bigint"), &[]).await.expect(sql);
            sum += row.get::<_, Option<i64>>(0).unwrap_or(0);
        }
        sum
    }

    /// Returns the text rows that `sql` yields, of all shards.
    pub async fn rows(&self, sql: &str) -> Vec<String> {
        let mut rows = Vec::new();
        for (index, shard) in self.shards.iter().enumerate() {
            let found = shard.query(&format!("SELECT x::text FROM ({sql}) x"), &[]).await.expect(sql);
            rows.extend(found.iter().map(|row| format!("s{index}: {}", row.get::<_, String>(0))));
        }
        rows
    }

    /// Waits until every ledger row is terminal and no transaction of the proxy is prepared; panics with what is left.
    pub async fn settled(&self) {
        self.settled_within(SETTLE_BOUND).await;
    }

    /// The same with another bound, for much work at once.
    pub async fn settled_within(&self, most: Duration) {
        let began = Instant::now();
        loop {
            let open = self
                .rows("SELECT txid, mode, state, targets FROM shardloom.ledger WHERE state NOT IN ('DONE', 'ABORTED')");
            let open = open.await;
            let prepared = self.rows("SELECT gid FROM pg_prepared_xacts WHERE database = current_database() AND starts_with(gid, 'shardloom_')").await;
            if open.is_empty() && prepared.is_empty() {
                return;
            }
            if began.elapsed() > most {
                let targets = self.rows(
                    "SELECT txid, target, state, last_error FROM shardloom.ledger_target WHERE state <> 'APPLIED'",
                );
                let (count, open) = (open.len(), &open[..open.len().min(20)]);
                panic!("not settled: {count}, such as {open:?}, prepared: {prepared:?}, targets: {:?}", targets.await);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Asserts that every inbox row on any shard has a committed ledger row on its home, and that rows agree in number.
    pub async fn ledger_agrees(&self) {
        let mut committed = std::collections::HashSet::new();
        for (index, shard) in self.shards.iter().enumerate() {
            let rows = shard
                .query("SELECT txid FROM shardloom.ledger WHERE state <> 'ABORTED'", &[])
                .await
                .expect("the ledger");
            committed.extend(rows.iter().map(|row| (row.get::<_, i64>(0), format!("s{index}"))));
        }
        for shard in &self.shards {
            for row in shard.query("SELECT txid, home FROM shardloom.inbox", &[]).await.expect("the inbox") {
                let entry = (row.get::<_, i64>(0), row.get::<_, String>(1));
                assert!(committed.contains(&entry), "inbox row without a committed ledger row: {entry:?}");
            }
        }
        let drift = self.rows("SELECT * FROM shardloom.ledger_target WHERE drift").await;
        assert!(drift.is_empty(), "other rows affected than expected: {drift:?}");
        let odd = self.rows("SELECT * FROM shardloom.ledger_target WHERE state <> 'APPLIED'").await;
        assert!(odd.is_empty(), "targets that were not applied: {odd:?}");
    }

    /// Asserts that the table has the same rows on every shard.
    pub async fn copies_equal(&self, table: &str) {
        let whole = format!("SELECT coalesce(string_agg(x::text, E'\\n' ORDER BY x::text), '') FROM {table} x");
        let home: String = self.shards[0].query_one(&whole, &[]).await.expect("home's rows").get(0);
        for (index, shard) in self.shards.iter().enumerate().skip(1) {
            let copy: String = shard.query_one(&whole, &[]).await.expect("the copy's rows").get(0);
            assert_eq!(copy, home, "{table} on s{index}");
        }
    }
}
