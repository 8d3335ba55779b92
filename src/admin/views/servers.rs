//! Server connections, one by one.

use serde::Serialize;

use crate::backend::ServerInfo;
use crate::proxy::Proxy;

/// One server connection.
#[derive(Debug, Serialize)]
pub struct ServerView {
    /// A number that is unique in this process.
    pub id: u64,
    /// The role on the server.
    pub user: String,
    /// The database there.
    pub database: String,
    /// `active` or `idle`.
    pub state: &'static str,
    /// The shard's name.
    pub shard: String,
    /// Where it goes.
    pub address: String,
    /// For how many seconds it has been open.
    pub connected_s: i64,
    /// The process number of the client that has it (`pid` of SHOW CLIENTS).
    pub link: Option<i32>,
    /// The process number of the server's backend.
    pub remote_pid: i32,
}

/// The columns of SHOW SERVERS.
pub const SERVER_COLUMNS: &[&str] =
    &["id", "user", "database", "state", "shard", "address", "connected_s", "link", "remote_pid"];

/// Returns the server connections, oldest first.
pub fn servers(proxy: &Proxy) -> Vec<ServerView> {
    let now_ms = proxy.clock.wall_ms();
    let view = |server: ServerInfo| ServerView {
        id: server.id,
        user: server.target.user.clone(),
        database: server.target.database.clone(),
        state: if server.client == 0 { "idle" } else { "active" },
        shard: server.target.shard_name.to_string(),
        address: server.target.address(),
        connected_s: (now_ms - server.opened_ms).max(0) / 1000,
        link: (server.client != 0).then_some(server.client),
        remote_pid: server.process,
    };
    proxy.servers.list().into_iter().map(view).collect()
}
