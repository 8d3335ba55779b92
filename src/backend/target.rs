//! Where a connection goes and as whom.

use std::sync::Arc;

use super::ShardOids;
use crate::config::Secret;
use crate::tls::Connector;
use crate::types::ShardId;
use crate::wire::scram::ScramKeys;

/// One database on one shard's server, and the user who logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTarget {
    /// The shard.
    pub shard: ShardId,
    /// The shard's name, for messages.
    pub shard_name: Arc<str>,
    /// Host name or address; a path that starts with `/` is the folder of a UNIX socket.
    pub host: String,
    /// The port; it names the file of a UNIX socket.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The user.
    pub user: String,
    /// The client encoding that the connection starts with; `None`: the database's own.
    pub encoding: Option<&'static str>,
    /// TLS to the server; `None` is without.
    pub tls: Option<Arc<Connector>>,
    /// The password, when the server asks for one.
    pub password: Option<Secret>,
    /// What logs in by SCRAM where there is no password: the keys that the client proved.
    pub keys: Option<ScramKeys>,
    /// The shard's numbers of types and tables.
    pub oids: Arc<ShardOids>,
}

impl ServerTarget {
    /// Returns `host:port`, or the socket's path, for messages.
    pub fn address(&self) -> String {
        match self.socket_path() {
            Some(path) => path,
            None => format!("{}:{}", self.host, self.port),
        }
    }

    /// Returns the UNIX socket's path if the host is a folder.
    pub(super) fn socket_path(&self) -> Option<String> {
        self.host.starts_with('/').then(|| format!("{}/.s.PGSQL.{}", self.host, self.port))
    }

    /// Tells whether both name the same pool.
    pub(super) fn same_pool(&self, other: &Self) -> bool {
        self.shard_name == other.shard_name
            && self.database == other.database
            && self.user == other.user
            && self.encoding == other.encoding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_is_never_printed() {
        let target = ServerTarget {
            shard: ShardId(0),
            shard_name: "s0".into(),
            host: "/run/pg".to_owned(),
            port: 5432,
            database: "shop".to_owned(),
            user: "app".to_owned(),
            encoding: None,
            tls: None,
            password: Some(Secret::new("hush")),
            keys: None,
            oids: Arc::default(),
        };
        assert!(!format!("{target:?}").contains("hush"));
        assert_eq!(target.address(), "/run/pg/.s.PGSQL.5432");
    }
}
