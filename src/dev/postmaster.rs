//! What `postmaster.pid` says about a running server.

use std::path::Path;

use super::process::{is_running, is_zombie};

/// A postmaster as its lock file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Postmaster {
    pub(crate) pid: u32,
    pub(crate) port: u16,
    pub(crate) ready: bool,
}

impl Postmaster {
    /// Returns the postmaster that runs on the data directory `pgdata`; `None` if there is none or its file is stale.
    pub(crate) fn of(pgdata: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(pgdata.join("postmaster.pid")).ok()?;
        Self::parse(&text).filter(|postmaster| is_postgres(postmaster.pid))
    }

    /// Reads the lines that `miscadmin.h` numbers: 1 is the pid, 4 the port, 8 the status. A file that is still
    /// being written is `None`.
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let pid = lines.first()?.parse().ok()?;
        let port = lines.get(3)?.parse().ok()?;
        Some(Self { pid, port, ready: lines.get(7) == Some(&"ready") })
    }
}

/// Removes the lock files (of the data directory and of the sockets) of a postmaster that is dead but that its parent
/// has not reaped yet, as happens in a container whose first process reaps nobody: PostgreSQL takes such a zombie for
/// a running server. Its children are still guarded against: the new server finds their shared memory by the data
/// directory's inode.
pub(crate) fn remove_zombies_locks(pgdata: &Path, sockets: &Path) -> std::io::Result<()> {
    let mut locks = vec![pgdata.join("postmaster.pid")];
    for entry in std::fs::read_dir(sockets)? {
        locks.extend(Some(entry?.path()).filter(|path| path.extension().is_some_and(|extension| extension == "lock")));
    }
    for lock in locks {
        let text = std::fs::read_to_string(&lock).unwrap_or_default();
        if text.lines().next().and_then(|line| line.trim().parse().ok()).is_some_and(is_zombie) {
            std::fs::remove_file(&lock)?;
        }
    }
    Ok(())
}

/// Tells whether `pid` runs and, where the system tells names, is a PostgreSQL server: a stale file may name a
/// process that has nothing to do with it.
fn is_postgres(pid: u32) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    is_running(pid) && name.map_or(true, |name| name.trim().starts_with("postgres"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "42\n/d\n1700000000\n5501\n/d/sock\n127.0.0.1\n  123 4\nready   \n";

    #[test]
    fn a_whole_file_gives_pid_port_and_status() {
        assert_eq!(Postmaster::parse(FILE), Some(Postmaster { pid: 42, port: 5501, ready: true }));
        let starting = FILE.replace("ready   ", "starting");
        assert_eq!(Postmaster::parse(&starting), Some(Postmaster { pid: 42, port: 5501, ready: false }));
    }

    #[test]
    fn a_half_written_file_is_none() {
        assert_eq!(Postmaster::parse(""), None);
        assert_eq!(Postmaster::parse("42\n/d\n17\n"), None);
        assert_eq!(Postmaster::parse("not a pid\n/d\n17\n5501\n"), None);
    }

    #[test]
    fn a_stale_file_that_names_another_program_is_none() {
        let folder = std::env::temp_dir().join(format!("shardloom-stale-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let ours = FILE.replacen("42", &std::process::id().to_string(), 1);
        std::fs::write(folder.join("postmaster.pid"), ours).unwrap();
        let found = Postmaster::of(&folder);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found, None);
    }
}
