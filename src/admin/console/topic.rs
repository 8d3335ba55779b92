//! What `SHOW` can show.

/// What `SHOW` can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Shards with address and state.
    Shards,
    /// Server connections per worker, shard, database and user.
    Pools,
    /// Connected clients.
    Clients,
    /// Server connections, one by one.
    Servers,
    /// Databases with their limits.
    Databases,
    /// Users with their limits.
    Users,
    /// How many there are of everything.
    Lists,
    /// Memory of the process.
    Mem,
    /// The rules in force and the last reload error.
    Rules,
    /// Lanes home → target with their backlog.
    Lanes,
    /// The newest ledger entries.
    Ledger,
    /// What could not be replayed.
    DeadLetters,
    /// What was taken back.
    Compensations,
    /// Transactions whose outcome is still to be found out.
    InDoubt,
    /// What operators changed.
    Audit,
    /// Tags of generated ids and the worker lease.
    Ids,
    /// The settings of this process, without secrets.
    Config,
    /// The program's version.
    Version,
    /// Counters of this process.
    Stats,
    /// Which way statements took.
    Routes,
    /// Statements that run shard by shard.
    Ddl,
    /// This list.
    Help,
}

impl Topic {
    /// All topics, as `SHOW HELP` lists them.
    pub const ALL: [Self; 22] = [
        Self::Shards,
        Self::Pools,
        Self::Clients,
        Self::Servers,
        Self::Databases,
        Self::Users,
        Self::Lists,
        Self::Mem,
        Self::Rules,
        Self::Lanes,
        Self::Ledger,
        Self::DeadLetters,
        Self::Compensations,
        Self::InDoubt,
        Self::Audit,
        Self::Ids,
        Self::Config,
        Self::Version,
        Self::Stats,
        Self::Routes,
        Self::Ddl,
        Self::Help,
    ];

    /// Returns the words after `SHOW`.
    pub fn words(self) -> &'static str {
        match self {
            Self::Shards => "SHARDS",
            Self::Pools => "POOLS",
            Self::Clients => "CLIENTS",
            Self::Servers => "SERVERS",
            Self::Databases => "DATABASES",
            Self::Users => "USERS",
            Self::Lists => "LISTS",
            Self::Mem => "MEM",
            Self::Rules => "RULES",
            Self::Lanes => "LANES",
            Self::Ledger => "LEDGER",
            Self::DeadLetters => "DEAD LETTERS",
            Self::Compensations => "COMPENSATIONS",
            Self::InDoubt => "INDOUBT",
            Self::Audit => "AUDIT",
            Self::Ids => "IDS",
            Self::Config => "CONFIG",
            Self::Version => "VERSION",
            Self::Stats => "STATS",
            Self::Routes => "ROUTES",
            Self::Ddl => "DDL",
            Self::Help => "HELP",
        }
    }

    /// Returns one line for `SHOW HELP`.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Shards => "shards with address and state",
            Self::Pools => "server connections per worker, shard, database and user",
            Self::Clients => "connected clients",
            Self::Servers => "server connections, one by one, and the clients they are lent to",
            Self::Databases => "databases with pool mode, limits and pauses",
            Self::Users => "users with pool mode and limits",
            Self::Lists => "how many databases, users, pools, clients and servers there are",
            Self::Mem => "memory of the process",
            Self::Rules => "the rules in force and the last reload error",
            Self::Lanes => "lanes home to target with their backlog",
            Self::Ledger => "the newest ledger entries",
            Self::DeadLetters => "what could not be replayed",
            Self::Compensations => "what was taken back by undo statements, or could not be yet",
            Self::InDoubt => "transactions whose outcome is still to be found out",
            Self::Audit => "what operators changed, the newest first",
            Self::Ids => "tags of generated ids and the worker lease",
            Self::Config => "the settings of this process, without secrets",
            Self::Version => "the program's version",
            Self::Stats => "counters of this process",
            Self::Routes => "statements without their constants: which way they took, how often, how long",
            Self::Ddl => "statements that run shard by shard, and how far each shard is",
            Self::Help => "this list",
        }
    }
}
