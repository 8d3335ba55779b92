//! Installs the distribution's PostgreSQL where that is allowed.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::account::is_root;
use super::error::Error;
use super::postgres::Postgres;
use super::process::{output_of, run_bounded};

/// Debian's switch that keeps the package from starting a cluster of its own.
const CREATE_CLUSTER_CONF: &str = "/etc/postgresql-common/createcluster.conf";
/// The line that is appended there.
const NO_MAIN_CLUSTER: &str = "create_main_cluster = false";
/// The bound on one apt-get run: some 40 MB over a slow line.
const APT_BOUND: Duration = Duration::from_secs(300);
/// What to type where we may not install.
const APT_COMMAND: &str = "sudo apt-get install -y postgresql";
const OTHER_COMMAND: &str = "your system's package manager, for example: brew install postgresql@16";

/// Returns this machine's PostgreSQL; installs Debian's or Ubuntu's package if there is none and this process is
/// root. `say` receives a line for each thing that is done. Else fails with the command to type.
pub fn find_or_install(say: &mut dyn FnMut(&str)) -> Result<Postgres, Error> {
    if let Some(postgres) = Postgres::find()? {
        return Ok(postgres);
    }
    if output_of(Command::new("apt-get").arg("--version")).is_none() {
        return Err(Error::NotFound { command: OTHER_COMMAND });
    }
    if !is_root() {
        return Err(Error::NotFound { command: APT_COMMAND });
    }
    install(say)?;
    Postgres::find()?.ok_or(Error::NotFound { command: APT_COMMAND })
}

fn install(say: &mut dyn FnMut(&str)) -> Result<(), Error> {
    say("PostgreSQL was not found; installing the package \"postgresql\" with apt-get");
    apt_get(&["update", "-q"])?;
    apt_get(&["install", "-q", "-y", "--no-install-recommends", "postgresql-common"])?;
    if keep_from_creating(Path::new(CREATE_CLUSTER_CONF))? {
        say(
            "set create_main_cluster = false in /etc/postgresql-common/createcluster.conf: no server of the package's own",
        );
    }
    apt_get(&["install", "-q", "-y", "--no-install-recommends", "postgresql"])?;
    say("PostgreSQL is installed");
    Ok(())
}

/// Appends the switch to the file at `path`, unless it is there; tells whether it wrote.
fn keep_from_creating(path: &Path) -> Result<bool, Error> {
    let before = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Error::File { path: path.to_owned(), source: error }),
    };
    if before.lines().any(|line| line.trim() == NO_MAIN_CLUSTER) {
        return Ok(false);
    }
    std::fs::write(path, format!("{}\n{NO_MAIN_CLUSTER}\n", before.trim_end())).map_err(Error::file(path))?;
    Ok(true)
}

/// Runs apt-get with its output on standard error: standard output belongs to the ready line.
fn apt_get(arguments: &[&str]) -> Result<(), Error> {
    let failed = |reason: String| Error::Program { program: format!("apt-get {}", arguments.join(" ")), reason };
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command.stdin(std::process::Stdio::null()).stdout(std::io::stderr());
    match run_bounded(&mut command, APT_BOUND).map_err(|error| failed(error.to_string()))? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(failed(status.to_string())),
        None => Err(failed(format!("no end within {} s", APT_BOUND.as_secs()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_is_appended_once_and_the_rest_is_kept() {
        let path = std::env::temp_dir().join(format!("shardloom-createcluster-{}", std::process::id()));
        std::fs::write(&path, "#create_main_cluster = true\nssl = on\n").unwrap();
        assert!(keep_from_creating(&path).unwrap());
        assert!(!keep_from_creating(&path).unwrap());
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(text, "#create_main_cluster = true\nssl = on\ncreate_main_cluster = false\n");
    }
}
