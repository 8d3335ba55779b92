//! Reads what numbers the shards have for their types and tables, so that clients see home's.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;
use tracing::{debug, info};

use super::link::{ServiceRole, ShardLink};
use crate::backend::Numbers;
use crate::proxy::Proxy;

/// All types and tables of users, by name with schema.
const QUERY: &str = "SELECT 't', t.oid::text, n.nspname || '.' || t.typname FROM pg_catalog.pg_type t \
     JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.oid >= 16384 AND n.nspname !~ '^pg_' \
     UNION ALL SELECT 'c', c.oid::text, n.nspname || '.' || c.relname FROM pg_catalog.pg_class c \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid >= 16384 AND n.nspname !~ '^pg_' \
     AND c.relkind IN ('r', 'p', 'v', 'm', 'f')";

/// The longest that one shard may take to tell its numbers: DDL waits for it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// What came of comparing.
pub struct Compared {
    /// Whether some shard's numbers differ in another way than before.
    pub changed: bool,
    /// Whether all shards told theirs.
    pub complete: bool,
}

/// Connections to the shards beside home, which are asked whenever the catalog is read.
pub struct NumberLinks(Vec<(usize, ShardLink)>);

impl NumberLinks {
    /// Makes one for each shard but home; none is opened yet.
    pub fn new(proxy: &Proxy, role: &ServiceRole) -> Self {
        let rules = &proxy.rules.load().rules;
        let others = rules.shards.iter().enumerate().filter(|(at, _)| *at != usize::from(rules.home.0));
        Self(others.map(|(at, shard)| (at, ShardLink::new(shard, role, &proxy.connector))).collect())
    }

    /// Compares the shards' numbers with home's; a shard that does not answer keeps those that are known.
    pub async fn compare(&mut self, proxy: &Proxy, home: &mut ShardLink) -> Compared {
        let mut compared = Compared { changed: false, complete: true };
        if self.0.is_empty() {
            return compared;
        }
        let others = join_all(self.0.iter_mut().map(|(at, link)| async { (*at, read(link).await) }));
        let (homes, others) = tokio::join!(read(home), others);
        for (at, shard) in others {
            match (&homes, &shard) {
                (Ok(homes), Ok(shard)) if proxy.oids[at].learn(homes, shard) => {
                    info!(shard = at, "types and tables have other numbers than on home");
                    compared.changed = true;
                }
                (Ok(_), Ok(_)) => {}
                (Err(error), _) | (_, Err(error)) => {
                    debug!(shard = at, error, "numbers of types are not compared");
                    compared.complete = false;
                }
            }
        }
        compared
    }
}

async fn read(link: &mut ShardLink) -> Result<Numbers, String> {
    match timeout(ANSWER_TIMEOUT, link.query(QUERY)).await {
        Ok(rows) => rows.map(numbers),
        Err(_) => Err(format!("no answer within {} ms", ANSWER_TIMEOUT.as_millis())),
    }
}

fn numbers(rows: Vec<Vec<Option<String>>>) -> Numbers {
    let mut numbers = Numbers::default();
    for row in rows {
        let [Some(kind), Some(number), Some(name)] = row.as_slice() else { continue };
        let Ok(number) = number.parse() else { continue };
        let map = if kind == "t" { &mut numbers.types } else { &mut numbers.tables };
        map.insert(name.clone(), number);
    }
    numbers
}
