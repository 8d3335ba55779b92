//! Databases and users with their limits, and how many there are of everything.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::proxy::Proxy;

/// One database, by the name that clients ask for.
#[derive(Debug, Serialize)]
pub struct DatabaseView {
    /// Its name.
    pub name: String,
    /// `sharded` or `passthrough`.
    pub kind: &'static str,
    /// How long server connections are lent.
    pub pool_mode: &'static str,
    /// The size of each of its pools.
    pub pool_size: usize,
    /// The size below which connections are kept.
    pub min_pool_size: usize,
    /// Connections beyond the size.
    pub reserve_pool: usize,
    /// The most server connections; 0 is no bound.
    pub max_connections: usize,
    /// Server connections now.
    pub current_connections: usize,
    /// The most clients; 0 is no bound.
    pub max_client_connections: usize,
    /// Clients now.
    pub current_client_connections: usize,
    /// Whether nothing is lent now.
    pub paused: bool,
    /// Whether new clients are refused.
    pub disabled: bool,
}

/// The columns of SHOW DATABASES.
pub const DATABASE_COLUMNS: &[&str] = &[
    "name",
    "kind",
    "pool_mode",
    "pool_size",
    "min_pool_size",
    "reserve_pool",
    "max_connections",
    "current_connections",
    "max_client_connections",
    "current_client_connections",
    "paused",
    "disabled",
];

/// One user.
#[derive(Debug, Serialize)]
pub struct UserView {
    /// The name that clients log in with.
    pub name: String,
    /// The role on the shards.
    pub shard_user: String,
    /// How long server connections are lent, if the user has a mode of its own.
    pub pool_mode: Option<&'static str>,
    /// The size of its pools, if it has one of its own.
    pub pool_size: Option<usize>,
    /// The most server connections; 0 is no bound.
    pub max_user_connections: usize,
    /// The most clients; 0 is no bound.
    pub max_user_client_connections: usize,
    /// Clients now.
    pub current_client_connections: usize,
    /// Whether it may use the console.
    pub console: bool,
}

/// The columns of SHOW USERS.
pub const USER_COLUMNS: &[&str] = &[
    "name",
    "shard_user",
    "pool_mode",
    "pool_size",
    "max_user_connections",
    "max_user_client_connections",
    "current_client_connections",
    "console",
];

/// How many there are of one kind.
#[derive(Debug, Serialize)]
pub struct ListView {
    /// The kind.
    pub list: &'static str,
    /// How many.
    pub items: usize,
}

/// Returns the databases that are configured or in use, by name.
pub fn databases(proxy: &Proxy) -> Vec<DatabaseView> {
    let config = proxy.live.load();
    let sharded = proxy.rules.load().rules.database.clone();
    let mut names: BTreeSet<String> = config.databases.iter().map(|database| database.name.clone()).collect();
    names.insert(sharded.clone());
    names.extend(proxy.clients.list().into_iter().map(|client| client.database));
    let view = |name: String| {
        let own = config.database(&name).map(|database| &database.pool);
        DatabaseView {
            kind: if name == sharded { "sharded" } else { "passthrough" },
            pool_mode: own.and_then(|own| own.mode).unwrap_or(config.pool_mode).word(),
            pool_size: own.and_then(|own| own.size).unwrap_or(config.pool.size),
            min_pool_size: config.pool.min,
            reserve_pool: config.pool.reserve,
            max_connections: own.and_then(|own| own.connections).unwrap_or(config.pool.max_db_connections),
            current_connections: proxy.allowance.open(Some(&name)),
            max_client_connections: config.clients_of_database(&name).unwrap_or(0),
            current_client_connections: proxy.clients.of_database(&name),
            paused: proxy.allowance.orders().is_paused(&name),
            disabled: proxy.clients.is_disabled(&name),
            name,
        }
    };
    names.into_iter().filter(|name| name != CONSOLE).map(view).collect()
}

/// The console's own database, which has no pool.
const CONSOLE: &str = "shardloom";

/// Returns the users of the configuration, in its order.
pub fn users(proxy: &Proxy) -> Vec<UserView> {
    let config = proxy.live.load();
    let view = |user: &crate::config::User| UserView {
        name: user.name.clone(),
        shard_user: user.shard_user.clone(),
        pool_mode: user.pool.mode.map(|mode| mode.word()),
        pool_size: user.pool.size,
        max_user_connections: user.pool.connections.unwrap_or(config.pool.max_user_connections),
        max_user_client_connections: config.clients_of_user(&user.name).unwrap_or(0),
        current_client_connections: proxy.clients.of_user(&user.name),
        console: user.console,
    };
    config.users.iter().map(view).collect()
}

/// Returns how many there are of each kind, by PgBouncer's names.
pub fn lists(proxy: &Proxy) -> Vec<ListView> {
    let clients = proxy.clients.list().len();
    let servers = proxy.servers.list();
    let used = servers.iter().filter(|server| server.client != 0).count();
    let counts = [
        ("databases", databases(proxy).len()),
        ("users", proxy.live.load().users.len()),
        ("pools", proxy.pools.list().len()),
        ("used_clients", clients),
        ("login_clients", proxy.clients.admitted().saturating_sub(clients)),
        ("free_servers", servers.len() - used),
        ("used_servers", used),
    ];
    counts.into_iter().map(|(list, items)| ListView { list, items }).collect()
}
