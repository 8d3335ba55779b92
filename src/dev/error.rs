//! What can go wrong while local servers are kept.

use std::path::PathBuf;

use crate::types::ShardSet;

/// Why local PostgreSQL servers could not be had, kept or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No PostgreSQL on this machine, and none may be installed.
    #[error("PostgreSQL was not found; install it with: {command} (or point PG_BIN at its bin directory)")]
    NotFound {
        /// The command that installs it here.
        command: &'static str,
    },
    /// `$PG_BIN` is set but holds no server.
    #[error("PG_BIN is {0}, but there is no \"initdb\" and \"postgres\" in it")]
    WrongPgBin(PathBuf),
    /// PostgreSQL refuses to run as root, and there is no account to run it as.
    #[error("PostgreSQL does not run as root, and neither account \"postgres\" nor \"nobody\" exists")]
    NoAccount,
    /// The account that runs the servers cannot enter the data folder.
    #[error(
        "account \"{account}\" cannot enter {path}; choose a data folder that it can reach, for example below /tmp"
    )]
    Unreachable {
        /// The operating system's account.
        account: String,
        /// The folder.
        path: PathBuf,
    },
    /// The data folder is in use by another process.
    #[error("{0} is in use by another \"shardloom dev\"; stop that one or choose another --data")]
    DataInUse(PathBuf),
    /// The data folder was made for another number of shards.
    #[error(
        "{path} was made for {had} shards, not {wanted}; rows would not be found. Give the same --shards or another --data"
    )]
    ShardCount {
        /// The folder.
        path: PathBuf,
        /// The number it was made for.
        had: String,
        /// The number asked for now.
        wanted: u16,
    },
    /// A number of shards that no topology may have.
    #[error("{0} shards: between 1 and {max} are possible", max = ShardSet::CAPACITY)]
    ShardCountRange(u16),
    /// The database's name is the console's.
    #[error("the database \"shardloom\" is the admin console; choose another --database")]
    ConsoleDatabase,
    /// A `--pg-option` that cannot be used.
    #[error("--pg-option {option}: {reason}")]
    WrongOption {
        /// The option as given.
        option: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A program that must succeed failed.
    #[error("{program} failed: {reason}")]
    Program {
        /// The program's name.
        program: String,
        /// Its last words, or why it did not start.
        reason: String,
    },
    /// A step outlived its bound.
    #[error("{what} took longer than {seconds} s; the last lines of its log: {log}")]
    TimedOut {
        /// The step.
        what: String,
        /// The bound.
        seconds: u64,
        /// The tail of the log.
        log: String,
    },
    /// A server did not start.
    #[error("PostgreSQL server {name} did not start: {reason}")]
    NotStarted {
        /// The server's name.
        name: String,
        /// The tail of its log.
        reason: String,
    },
    /// No free port was found.
    #[error("no free port on 127.0.0.1 after {0} tries")]
    NoPort(u32),
    /// A file or folder could not be used.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A statement of the preparation failed.
    #[error("preparing server {name}: {reason}")]
    Provision {
        /// The server's name.
        name: String,
        /// PostgreSQL's answer.
        reason: String,
    },
}

impl Error {
    /// Returns a closure that names `path` in an I/O error, for `map_err`.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
