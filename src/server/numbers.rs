//! Reads what numbers the shards have for their types and tables, so that clients see home's.

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
    pub async fn compare(&mut self, proxy: &Proxy, home: &mut ShardLink) {
        if self.0.is_empty() {
            return;
        }
        let homes = match home.query(QUERY).await {
            Ok(rows) => numbers(rows),
            Err(error) => return debug!(error, "home does not tell the numbers of its types"),
        };
        for (at, link) in &mut self.0 {
            match link.query(QUERY).await {
                Ok(rows) => {
                    if proxy.oids[*at].learn(&homes, &numbers(rows)) {
                        info!(shard = *at, "types and tables have other numbers than on home");
                    }
                }
                Err(error) => debug!(shard = *at, error, "a shard does not tell the numbers of its types"),
            }
        }
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
