//! The operating system's account that runs the servers: PostgreSQL refuses to run as root.

use std::os::unix::fs::{DirBuilderExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::error::Error;
use super::process::output_of;

/// Accounts tried for root, best first: the distribution's own, then the one that owns nothing.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// Who runs the servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// The user who runs this process.
    Current,
    /// Another user, because this process is root.
    Other {
        /// The account's name.
        name: String,
        /// Its user id.
        uid: u32,
        /// Its group id.
        gid: u32,
    },
}

impl Account {
    /// Returns the account that servers run as; fails only for root on a machine without a fitting account.
    pub fn find() -> Result<Self, Error> {
        if !is_root() {
            return Ok(Self::Current);
        }
        UNPRIVILEGED.iter().find_map(|name| Self::named(name)).ok_or(Error::NoAccount)
    }

    fn named(name: &str) -> Option<Self> {
        let number = |flag| output_of(Command::new("id").args([flag, name]))?.parse().ok();
        Some(Self::Other { name: name.to_owned(), uid: number("-u")?, gid: number("-g")? })
    }

    /// Returns a command that runs `program` as this account, in a directory it can read.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/");
        match self {
            Self::Current => {}
            Self::Other { uid, gid, .. } => {
                command.uid(*uid).gid(*gid);
            }
        }
        command
    }

    /// Creates `path` (its parents must exist) with mode 0700 for this account; an existing folder is kept.
    pub(crate) fn create_folder(&self, path: &Path) -> Result<(), Error> {
        match std::fs::DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => self.own(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(Error::File { path: path.to_owned(), source: error }),
        }
    }

    /// Gives the file or folder at `path` to this account.
    pub(crate) fn own(&self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Current => Ok(()),
            Self::Other { uid, gid, .. } => chown(path, Some(*uid), Some(*gid)).map_err(Error::file(path)),
        }
    }

    /// Fails if this account cannot enter the folder `path`.
    pub(crate) fn must_reach(&self, path: &Path) -> Result<(), Error> {
        let Self::Other { name, .. } = self else { return Ok(()) };
        let entered = self.command(Path::new("sh")).args(["-c", "cd -- \"$0\" 2>/dev/null"]).arg(path).status();
        match entered {
            Ok(status) if status.success() => Ok(()),
            Ok(_) | Err(_) => Err(Error::Unreachable { account: name.clone(), path: path.to_owned() }),
        }
    }
}

/// Tells whether this process has root's rights.
pub(crate) fn is_root() -> bool {
    output_of(Command::new("id").arg("-u")).as_deref() == Some("0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_the_servers_is_never_root() {
        let account = Account::find().unwrap();
        let id = output_of(account.command(Path::new("id")).arg("-u")).unwrap();
        assert_ne!(id, "0");
    }

    #[test]
    fn a_folder_closed_to_another_account_is_refused() {
        let folder = std::env::temp_dir().join(format!("shardloom-closed-{}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&folder).unwrap();
        let account = Account::find().unwrap();
        let reached = account.must_reach(&folder);
        account.own(&folder).unwrap();
        let reached_own = account.must_reach(&folder);
        std::fs::remove_dir(&folder).unwrap();
        assert_eq!(reached.is_ok(), account == Account::Current);
        assert!(reached_own.is_ok());
    }

    #[test]
    fn an_unknown_account_is_not_found() {
        assert_eq!(Account::named("no-such-account-here"), None);
    }
}
