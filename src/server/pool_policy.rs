//! How the pool of one role on one database behaves: the user's settings, else the database's, else `pool`.

use crate::backend::{PoolSettings, ServerTarget};
use crate::config::{Config, User};
use crate::proxy::Proxy;

/// Returns the settings in force for a pool.
pub fn pool_settings(proxy: &Proxy, target: &ServerTarget) -> PoolSettings {
    settings(&proxy.live.load(), &client_database(proxy, target), target)
}

/// Returns the database as clients name it: shards may have names of their own for the sharded one.
fn client_database(proxy: &Proxy, target: &ServerTarget) -> String {
    let rules = &proxy.rules.load().rules;
    let shard = rules.shards.iter().find(|shard| *shard.name == *target.shard_name);
    match shard {
        Some(shard) if shard.database == target.database => rules.database.clone(),
        Some(_) | None => target.database.clone(),
    }
}

fn settings(config: &Config, database: &str, target: &ServerTarget) -> PoolSettings {
    let pool = &config.pool;
    let of_database = config.database(database).map(|database| &database.pool);
    // Users may share a role: the widest of their settings holds for its pools.
    let of_users = |setting: fn(&User) -> Option<usize>| {
        config.users.iter().filter(|user| user.shard_user == target.user).filter_map(setting).max()
    };
    let size = of_users(|user| user.pool.size).or_else(|| of_database?.size).unwrap_or(pool.size);
    let database_max = of_database.and_then(|database| database.connections).unwrap_or(pool.max_db_connections);
    PoolSettings {
        group: Some(database.to_owned()),
        size,
        reserve: pool.reserve,
        reserve_after: pool.reserve_after,
        min: pool.min,
        user_max: bound(of_users(|user| user.pool.connections).unwrap_or(pool.max_user_connections)),
        database_max: bound(database_max),
        shard_max: bound(pool.max_shard_connections),
        wait: pool.wait,
        waiting_max: pool.waiting,
        idle: pool.idle,
        lifetime: pool.lifetime,
        connect_timeout: config.limits.connect_timeout,
        tcp_user_timeout: config.limits.tcp_user_timeout,
        statements: config.limits.server_statements,
    }
}

/// Reads a bound that is off at 0.
fn bound(count: usize) -> Option<usize> {
    (count > 0).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ShardId;

    fn of(text: &str, database: &str, user: &str) -> PoolSettings {
        let users = "users:\n- {name: one, password: x, shard_user: app, pool_size: 3, max_user_connections: 4}\n\
                     - {name: two, password: x, shard_user: app}\n- {name: three, password: x}\nservice: {user: s}\n";
        let config = Config::parse("f", &format!("{users}{text}"), &|_| None).unwrap();
        let target = ServerTarget {
            shard: ShardId(0),
            shard_name: "s0".into(),
            host: "h".to_owned(),
            port: 1,
            database: database.to_owned(),
            user: user.to_owned(),
            encoding: None,
            tls: None,
            password: None,
            keys: None,
            oids: Default::default(),
        };
        settings(&config, database, &target)
    }

    #[test]
    fn a_user_wins_over_its_database_and_that_over_the_rest() {
        let text = "pool: {size: 9, max_db_connections: 8}\n\
                    databases: [{name: shop, pool_size: 5, max_db_connections: 0}]";
        assert_eq!((of(text, "shop", "app").size, of(text, "shop", "app").user_max), (3, Some(4)));
        assert_eq!((of(text, "shop", "three").size, of(text, "shop", "three").user_max), (5, None));
        assert_eq!((of(text, "shop", "three").database_max, of(text, "other", "three").database_max), (None, Some(8)));
        assert_eq!(of(text, "other", "three").size, 9);
    }
}
