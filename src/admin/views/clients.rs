//! Connected clients.

use serde::Serialize;

use crate::proxy::Proxy;

/// One client.
#[derive(Debug, Serialize)]
pub struct ClientView {
    /// A number that is unique in this process.
    pub id: u64,
    /// The user.
    pub user: String,
    /// The database it asked for.
    pub database: String,
    /// Where it came from; `unix` for a UNIX socket.
    pub address: String,
    /// What it is doing.
    pub state: &'static str,
    /// For how many seconds.
    pub state_s: i64,
    /// What ties it to its server connections.
    pub pinned: Option<&'static str>,
    /// Statements begun so far.
    pub statements: u64,
    /// For how many seconds it has been connected.
    pub connected_s: i64,
    /// How long server connections are lent to it.
    pub pool_mode: &'static str,
    /// The process number of its key, which cancel requests name; `link` of SHOW SERVERS.
    pub pid: i32,
}

/// The columns of SHOW CLIENTS.
pub const CLIENT_COLUMNS: &[&str] = &[
    "id",
    "user",
    "database",
    "address",
    "state",
    "state_s",
    "pinned",
    "statements",
    "connected_s",
    "pool_mode",
    "pid",
];

/// Returns the clients, oldest first.
pub fn clients(proxy: &Proxy) -> Vec<ClientView> {
    let now_ms = proxy.clock.wall_ms();
    let seconds_since = |then_ms: i64| (now_ms - then_ms).max(0) / 1000;
    let view = |client: crate::proxy::ClientInfo| ClientView {
        id: client.id,
        user: client.user,
        database: client.database,
        address: client.address.map_or_else(|| "unix".to_owned(), |address| address.to_string()),
        state: client.state.word(),
        state_s: seconds_since(client.since_ms),
        pinned: client.pinned.word(),
        statements: client.statements,
        connected_s: seconds_since(client.connected_ms),
        pool_mode: client.mode.word(),
        pid: client.process,
    };
    proxy.clients.list().into_iter().map(view).collect()
}
