//! How long a server connection is lent, and what users and databases have of their own: `pool.mode`, `databases`.

use std::collections::HashSet;

use super::Config;
use crate::yaml::{Field, Findings, Node, Record, Shape};

/// What brings a server connection back to its start when a session ends that kept it.
pub(super) const RESET: &str = "DISCARD ALL";

/// How long a server connection is lent to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PoolMode {
    /// For one transaction, the default.
    #[default]
    Transaction,
    /// From its first use until the client leaves.
    Session,
    /// For one statement; transaction blocks are refused.
    Statement,
}

/// What a user or a database has of its own; the rest comes from `pool` and `limits`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    /// How long its server connections are lent.
    pub mode: Option<PoolMode>,
    /// The size of each of its pools.
    pub size: Option<usize>,
    /// The most server connections in this process; 0 is no bound.
    pub connections: Option<usize>,
    /// The most clients of this process; 0 is no bound.
    pub clients: Option<usize>,
}

/// A database with settings of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// The name that clients ask for.
    pub name: String,
    /// What it has of its own.
    pub pool: Overrides,
}

const MODE_SHAPE: Shape = Shape::Choice { words: &["transaction", "session", "statement"], later: &[] };
const COUNT: Shape = Shape::Integer { min: 0, max: 1_000_000 };
const SIZE: Shape = Shape::Integer { min: 1, max: 10_000 };

pub(super) const MODE: Field = Field::optional(
    "mode",
    MODE_SHAPE,
    "How long a connection is lent: for a transaction (default), a session or a statement.",
);

pub(super) const RESET_FIELD: Field =
    Field::optional("reset", Shape::Text, "What cleans a connection that a session has kept; default DISCARD ALL.");

/// The keys that a user has beside who it is.
pub(super) const USER_POOL: [Field; 4] = [
    Field::optional("pool_mode", MODE_SHAPE, "The pool mode of this user; it wins over the database's."),
    Field::optional("pool_size", SIZE, "The size of this user's pools."),
    Field::optional("max_user_connections", COUNT, "Server connections of this user; 0 is no bound."),
    Field::optional("max_user_client_connections", COUNT, "Clients of this user; 0 is no bound."),
];

pub(super) const DATABASE: Record = Record {
    what: "a database",
    fields: &[
        Field::required("name", Shape::Name, "The name that clients ask for."),
        Field::optional("pool_mode", MODE_SHAPE, "The pool mode of this database; it wins over pool.mode."),
        Field::optional("pool_size", SIZE, "The size of this database's pools."),
        Field::optional("max_db_connections", COUNT, "Server connections to this database; 0 is no bound."),
        Field::optional("max_db_client_connections", COUNT, "Clients of this database; 0 is no bound."),
    ],
};

impl PoolMode {
    /// Returns the word that the file and `SHOW` have for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Session => "session",
            Self::Statement => "statement",
        }
    }

    /// Reads a word whose shape was checked.
    pub(super) fn read(node: Option<&Node>) -> Option<Self> {
        let word = node?.text()?;
        [Self::Transaction, Self::Session, Self::Statement].into_iter().find(|mode| mode.word() == word)
    }
}

impl Overrides {
    pub(super) fn of_user(node: &Node) -> Self {
        Self::read(node, "max_user_connections", "max_user_client_connections")
    }

    fn read(node: &Node, connections: &str, clients: &str) -> Self {
        let count = |key| node.get(key).and_then(Node::integer).and_then(|count| usize::try_from(count).ok());
        Self {
            mode: PoolMode::read(node.get("pool_mode")),
            size: count("pool_size"),
            connections: count(connections),
            clients: count(clients),
        }
    }
}

/// Reads the list of databases whose shape was checked; none is there twice.
pub(super) fn read_databases(list: Option<&Node>, findings: &mut Findings) -> Vec<Database> {
    let items = list.map(Node::items).unwrap_or_default();
    let mut names = HashSet::new();
    for name in items.iter().filter_map(|database| database.get("name")) {
        if !names.insert(name.text()) {
            findings.report(&name.place, format!("two databases are named {}", name.found()));
        }
    }
    let database = |node: &Node| {
        let name = node.get("name")?.text()?.to_owned();
        Some(Database { name, pool: Overrides::read(node, "max_db_connections", "max_db_client_connections") })
    };
    items.iter().filter_map(database).collect()
}

impl Config {
    /// Returns what a database has of its own.
    pub fn database(&self, name: &str) -> Option<&Database> {
        self.databases.iter().find(|database| database.name == name)
    }

    /// Returns how long server connections are lent to `user` in `database`: the user's mode wins over the database's.
    pub fn mode_of(&self, user: &str, database: &str) -> PoolMode {
        let own = self.users.iter().find(|known| known.name == user).and_then(|user| user.pool.mode);
        own.or_else(|| self.database(database).and_then(|database| database.pool.mode)).unwrap_or(self.pool_mode)
    }

    /// Returns the most clients of `user`; `None` is no bound.
    pub fn clients_of_user(&self, user: &str) -> Option<usize> {
        let own = self.users.iter().find(|known| known.name == user).and_then(|user| user.pool.clients);
        bound(own.unwrap_or(self.limits.max_user_client_connections))
    }

    /// Returns the most clients of `database`; `None` is no bound.
    pub fn clients_of_database(&self, database: &str) -> Option<usize> {
        let own = self.database(database).and_then(|database| database.pool.clients);
        bound(own.unwrap_or(self.limits.max_db_client_connections))
    }
}

/// Reads a bound that is off at 0, as PgBouncer writes it.
pub(super) fn bound(count: usize) -> Option<usize> {
    (count > 0).then_some(count)
}
