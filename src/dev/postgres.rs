//! Where PostgreSQL's programs are.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::Error;
use super::process::output_of;

/// Where Debian and Ubuntu put the servers, one folder per major version.
const DEBIAN_ROOT: &str = "/usr/lib/postgresql";

/// An installed PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    bin: PathBuf,
}

impl Postgres {
    /// Returns the PostgreSQL of this machine: `$PG_BIN`, `pg_config`, Debian's folders (newest first), then PATH.
    /// `None` if there is none; fails if `$PG_BIN` is set to a folder without a server.
    pub fn find() -> Result<Option<Self>, Error> {
        if let Some(bin) = std::env::var_os("PG_BIN").filter(|value| !value.is_empty()).map(PathBuf::from) {
            return if holds_server(&bin) { Ok(Some(Self { bin })) } else { Err(Error::WrongPgBin(bin)) };
        }
        let config = output_of(Command::new("pg_config").arg("--bindir")).map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let candidates =
            config.into_iter().chain(versions_below(Path::new(DEBIAN_ROOT))).chain(std::env::split_paths(&path));
        Ok(candidates.into_iter().find(|bin| holds_server(bin)).map(|bin| Self { bin }))
    }

    /// Returns the path of one of its programs, such as `initdb`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Returns the folder of its programs.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// Returns what `postgres --version` says, such as `postgres (PostgreSQL) 15.8`.
    pub fn version(&self) -> Option<String> {
        output_of(Command::new(self.program("postgres")).arg("--version"))
    }
}

fn holds_server(bin: &Path) -> bool {
    ["initdb", "postgres", "pg_ctl"].iter().all(|program| bin.join(program).is_file())
}

/// Returns `root/VERSION/bin` for each version there, newest first.
fn versions_below(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, bin)| bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_newest_first_by_number() {
        let root = std::env::temp_dir().join(format!("shardloom-versions-{}", std::process::id()));
        for version in ["9", "15", "16", "common"] {
            std::fs::create_dir_all(root.join(version)).unwrap();
        }
        let found = versions_below(&root);
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(found, ["16", "15", "9"].map(|version| root.join(version).join("bin")));
    }

    #[test]
    fn a_folder_without_server_is_not_taken() {
        assert!(!holds_server(Path::new("/etc")));
    }
}
