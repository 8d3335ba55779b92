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
}

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
    };
    proxy.clients.list().into_iter().map(view).collect()
}
