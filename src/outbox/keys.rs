//! Idempotency keys: the row that is written with a transaction's decision, and who has used a key.
//!
//! A key's uniqueness is the index on the shard whose COMMIT decides. The client path inserts on its own connection;
//! what is there is read with the service role.

use futures_util::future::join_all;

use super::error::Error;
use super::handle::Outbox;
use super::literal::literal;

/// The longest key, in bytes: one line of a log, and far below what an index takes.
pub const KEY_BYTES_MAX: usize = 255;

/// The constraint that a second use of a key meets.
pub const KEY_CONSTRAINT: &str = "idempotency_pkey";

/// What the row of a key says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// The transaction that committed with it.
    pub txid: i64,
    /// Tells one statement from another; `None` for a transaction that the client opened.
    pub statement_hash: Option<String>,
    /// What the client was answered, or would have been.
    pub command_tag: String,
}

/// Returns the INSERT that takes `key` for `user`; it fails with 23505 where the key is taken, and waits for another
/// transaction that is about to take it.
pub fn key_insert(user: &str, key: &str, used: &KeyUse) -> String {
    format!(
        "INSERT INTO shardloom.idempotency (username, key, statement_hash, command_tag, txid) \
         VALUES ({}, {}, {}, {}, {})",
        literal(user),
        literal(key),
        used.statement_hash.as_deref().map_or_else(|| "NULL".to_owned(), literal),
        literal(&used.command_tag),
        used.txid
    )
}

const FIND: &str = "SELECT txid, statement_hash, command_tag FROM shardloom.idempotency \
     WHERE owner = $1 AND username = $2 AND key = $3";

impl Outbox {
    /// Finds who used a key, on all shards that answer; `owner` is the role on the shards. Where several did, it is the
    /// one that ran the statement with `statement_hash`.
    pub async fn find_key(&self, owner: &str, user: &str, key: &str, statement_hash: Option<&str>) -> Option<KeyUse> {
        let answers = join_all(self.store.shards().map(async |shard| {
            let client = self.store.connect(shard).await?;
            let row = client.query_opt(FIND, &[&owner, &user, &key]).await.map_err(self.store.at(shard))?;
            Ok::<_, Error>(row)
        }))
        .await;
        let mut found: Option<KeyUse> = None;
        for answer in answers {
            match answer {
                Ok(Some(row)) => {
                    let used = KeyUse { txid: row.get(0), statement_hash: row.get(1), command_tag: row.get(2) };
                    if found.is_none() || used.statement_hash.as_deref() == statement_hash {
                        found = Some(used);
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "a shard cannot tell who used an idempotency key"),
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stays_data() {
        let used = KeyUse { txid: 7, statement_hash: None, command_tag: "UPDATE 1".into() };
        let text = key_insert("o'neill", "k'\\", &used);
        assert!(text.ends_with(r"VALUES (E'o''neill', E'k''\\', NULL, E'UPDATE 1', 7)"), "{text}");
    }
}
