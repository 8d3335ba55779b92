//! One PostgreSQL server and its folder: init, start, adopt, watch, stop.
//!
//! The folder holds `pgdata/` (the data directory), `sock/`, `log` and `port`. Dropping a [`Cluster`] leaves the
//! server running: whoever wants it down calls [`Cluster::stop`].

use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::account::Account;
use super::error::Error;
use super::port::{free_port, is_free};
use super::postgres::Postgres;
use super::postmaster::{Postmaster, remove_zombies_locks};
use super::process::{POLL, run_bounded, wait_until};
use super::settings::{self, ServerOption};

/// The bound on initdb and on a start, recovery included.
const READY_BOUND: Duration = Duration::from_secs(25);
/// The pause after a start that failed: after `kill -9` the old server's children need a moment to leave.
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// Starts that may fail in a row before the log is shown instead.
const STARTS_MAX: u32 = 20;
/// The bounds on the two ways to stop; together with the proxy's drain (2 s) below the 10 s that `shardloom dev`
/// promises.
const FAST_STOP_SECONDS: u64 = 4;
const IMMEDIATE_STOP_SECONDS: u64 = 2;
/// A log longer than this begins anew at the next start.
const LOG_BYTES_MAX: u64 = 64 << 20;
/// Lines of the log that an error shows.
const LOG_LINES_SHOWN: usize = 5;
/// Our settings file inside the data directory.
const SETTINGS_FILE: &str = "shardloom.conf";

/// Whether the data is to outlive a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It is.
    Kept,
    /// It is thrown away at the end: initdb need not wait for the disk.
    Scratch,
}

/// How a server came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// Its data directory was made just now.
    Fresh,
    /// It was started on data that existed.
    Restarted,
    /// It was running already and is ours now.
    Adopted,
}

/// What a server is to be.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// Its name, such as `s0`.
    pub name: String,
    /// Its folder; the parent must exist and be within reach of the servers' account.
    pub folder: PathBuf,
    /// Whether its data is kept.
    pub durability: Durability,
    /// Settings over ours; an adopted server keeps those it has.
    pub server_options: Vec<ServerOption>,
    /// The superuser that initdb makes.
    pub superuser: String,
    /// The superuser's password.
    pub password: String,
}

/// One running PostgreSQL server on 127.0.0.1.
#[derive(Debug)]
pub struct Cluster {
    postgres: Postgres,
    account: Account,
    options: ClusterOptions,
    port: u16,
    child: Option<Child>,
}

impl Cluster {
    /// Brings the server up and returns it ready for connections: adopts one that runs on the folder, else starts
    /// it, after initdb if there is no data. Bounded by 25 s for each of the two.
    pub fn up(postgres: &Postgres, account: &Account, options: ClusterOptions) -> Result<(Self, Started), Error> {
        let mut cluster = Self { postgres: postgres.clone(), account: account.clone(), options, port: 0, child: None };
        cluster.account.create_folder(&cluster.options.folder)?;
        if let Some(postmaster) = Postmaster::of(&cluster.pgdata()) {
            cluster.port = postmaster.port;
            if cluster.became_ready(Instant::now() + READY_BOUND) {
                return Ok((cluster, Started::Adopted));
            }
            // One that was on its way down is started below.
            if cluster.is_alive() {
                return Err(cluster.timed_out("its adoption"));
            }
        }
        let started = if cluster.pgdata().exists() { Started::Restarted } else { Started::Fresh };
        if started == Started::Fresh {
            cluster.init()?;
        }
        cluster.port = cluster.recorded_port().map_or_else(free_port, Ok)?;
        cluster.start()?;
        Ok((cluster, started))
    }

    /// Returns the server's name.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the superuser's name and password.
    pub fn superuser(&self) -> (&str, &str) {
        (&self.options.superuser, &self.options.password)
    }

    /// Returns the postmaster's process id, if it runs.
    pub fn pid(&self) -> Option<u32> {
        Postmaster::of(&self.pgdata()).map(|postmaster| postmaster.pid)
    }

    /// Tells whether the server's process runs; it may still be starting or recovering.
    pub fn is_alive(&mut self) -> bool {
        let child_runs = self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)));
        if !child_runs {
            self.child = None;
        }
        child_runs || Postmaster::of(&self.pgdata()).is_some()
    }

    /// Tells whether the server takes connections.
    pub fn is_ready(&self) -> bool {
        Postmaster::of(&self.pgdata()).is_some_and(|postmaster| postmaster.ready)
    }

    /// Starts the server's process again on its port if it is dead, without waiting for it; tells whether it did.
    pub fn revive(&mut self) -> Result<bool, Error> {
        if self.is_alive() {
            return Ok(false);
        }
        self.spawn()?;
        Ok(true)
    }

    /// Starts the server again on its port if it is dead and waits until it takes connections, at most 25 s.
    pub fn restart(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + READY_BOUND;
        while !self.is_ready() && Instant::now() < deadline {
            self.revive()?;
            std::thread::sleep(POLL);
        }
        self.wait_ready(deadline)
    }

    /// Kills the postmaster with SIGKILL, as a crash would; its children leave by themselves. Waits until it is gone.
    pub fn kill(&mut self) -> Result<(), Error> {
        let Some(pid) = self.pid() else { return Ok(()) };
        let mut command = Command::new("kill");
        command.args(["-KILL", &pid.to_string()]).stderr(Stdio::null());
        // A process that ended by itself in between makes `kill` fail, which is what was wanted.
        run_bounded(&mut command, READY_BOUND).map_err(|error| self.program_failed("kill", error.to_string()))?;
        let deadline = Instant::now() + READY_BOUND;
        while self.is_alive() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Stops the server: fast (open transactions are rolled back) within 4 s, else at once (the next start
    /// recovers) within 2 s, else by SIGKILL. A server that does not run is no error.
    pub fn stop(&mut self) -> Result<(), Error> {
        let stopped =
            self.pg_ctl_stop("fast", FAST_STOP_SECONDS)? || self.pg_ctl_stop("immediate", IMMEDIATE_STOP_SECONDS)?;
        if !stopped {
            self.kill()?;
        }
        if let Some(mut child) = self.child.take() {
            wait_until(&mut child, Instant::now() + RETRY_PAUSE).map_err(Error::file(self.pgdata()))?;
        }
        Ok(())
    }

    /// Returns the data directory.
    pub fn pgdata(&self) -> PathBuf {
        self.options.folder.join("pgdata")
    }

    /// Tells whether the server no longer runs after `pg_ctl stop` in `mode`.
    fn pg_ctl_stop(&mut self, mode: &str, seconds: u64) -> Result<bool, Error> {
        if !self.is_alive() {
            return Ok(true);
        }
        let mut command = self.account.command(&self.postgres.program("pg_ctl"));
        command.args(["stop", "-s", "-w", "-m", mode, "-t", &seconds.to_string(), "-D"]).arg(self.pgdata());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(self.open_log()?);
        run_bounded(&mut command, Duration::from_secs(seconds + 1))
            .map_err(|error| self.program_failed("pg_ctl", error.to_string()))?;
        let deadline = Instant::now() + RETRY_PAUSE;
        while self.is_alive() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        Ok(!self.is_alive())
    }

    /// Makes the data directory under another name first, so that a crash leaves no half of one.
    fn init(&self) -> Result<(), Error> {
        let (unfinished, password_file) =
            (self.options.folder.join("pgdata.new"), self.options.folder.join("password"));
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished).map_err(Error::file(&unfinished))?;
        }
        std::fs::write(&password_file, &self.options.password).map_err(Error::file(&password_file))?;
        self.account.own(&password_file)?;
        let made = self.initdb(&unfinished, &password_file);
        std::fs::remove_file(&password_file).map_err(Error::file(&password_file))?;
        made?;
        append_include(&unfinished.join("postgresql.conf"))?;
        std::fs::rename(&unfinished, self.pgdata()).map_err(Error::file(&unfinished))
    }

    fn initdb(&self, target: &Path, password_file: &Path) -> Result<(), Error> {
        let mut command = self.account.command(&self.postgres.program("initdb"));
        command.args(["--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "--no-instructions"]);
        command.arg("--username").arg(&self.options.superuser).arg("--pwfile").arg(password_file).arg("-D").arg(target);
        if self.options.durability == Durability::Scratch {
            command.arg("--no-sync");
        }
        command.stdin(Stdio::null()).stdout(self.open_log()?).stderr(self.open_log()?);
        match run_bounded(&mut command, READY_BOUND)
            .map_err(|error| self.program_failed("initdb", error.to_string()))?
        {
            Some(status) if status.success() => Ok(()),
            Some(_) => Err(self.program_failed("initdb", self.log_tail())),
            None => Err(self.timed_out("initdb")),
        }
    }

    /// Starts the server and waits for it; moves to another port if its own is taken.
    fn start(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + READY_BOUND;
        for _ in 0..STARTS_MAX {
            if !is_free(self.port) {
                self.port = free_port()?;
            }
            self.spawn()?;
            if self.became_ready(deadline) {
                return Ok(());
            }
            if self.is_alive() {
                return Err(self.timed_out("its start"));
            }
            std::thread::sleep(RETRY_PAUSE);
        }
        Err(Error::NotStarted { name: self.options.name.clone(), reason: self.log_tail() })
    }

    /// Starts the process in a process group of its own: a Ctrl-C in the terminal is not for the server.
    fn spawn(&mut self) -> Result<(), Error> {
        let sockets = self.options.folder.join("sock");
        self.account.create_folder(&sockets)?;
        let settings = self.pgdata().join(SETTINGS_FILE);
        std::fs::write(&settings, settings::text(self.port, &sockets, &self.options.server_options))
            .map_err(Error::file(&settings))?;
        self.account.own(&settings)?;
        remove_zombies_locks(&self.pgdata(), &sockets).map_err(Error::file(self.pgdata()))?;
        let record = self.options.folder.join("port");
        std::fs::write(&record, self.port.to_string()).map_err(Error::file(&record))?;
        let mut command = self.account.command(&self.postgres.program("postgres"));
        command.arg("-D").arg(self.pgdata()).process_group(0);
        command.stdin(Stdio::null()).stdout(self.open_log()?).stderr(self.open_log()?);
        self.child = Some(command.spawn().map_err(|error| self.program_failed("postgres", error.to_string()))?);
        Ok(())
    }

    /// Tells whether the server got ready before it ended and before `deadline`.
    fn became_ready(&mut self, deadline: Instant) -> bool {
        while self.is_alive() && Instant::now() < deadline {
            if self.is_ready() {
                return true;
            }
            std::thread::sleep(POLL);
        }
        false
    }

    fn wait_ready(&mut self, deadline: Instant) -> Result<(), Error> {
        if self.became_ready(deadline) { Ok(()) } else { Err(self.timed_out("its start")) }
    }

    fn recorded_port(&self) -> Option<u16> {
        std::fs::read_to_string(self.options.folder.join("port")).ok()?.trim().parse().ok()
    }

    fn open_log(&self) -> Result<File, Error> {
        let path = self.options.folder.join("log");
        if std::fs::metadata(&path).is_ok_and(|log| log.len() > LOG_BYTES_MAX) {
            File::create(&path).map_err(Error::file(&path))?;
        }
        OpenOptions::new().create(true).append(true).open(&path).map_err(Error::file(&path))
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read(self.options.folder.join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(LOG_LINES_SHOWN).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn program_failed(&self, program: &str, reason: String) -> Error {
        Error::Program { program: format!("{program} for server {}", self.options.name), reason }
    }

    fn timed_out(&self, step: &str) -> Error {
        let what = format!("server {}: {step}", self.options.name);
        Error::TimedOut { what, seconds: READY_BOUND.as_secs(), log: self.log_tail() }
    }
}

fn append_include(configuration: &Path) -> Result<(), Error> {
    let text = std::fs::read_to_string(configuration).map_err(Error::file(configuration))?;
    std::fs::write(configuration, format!("{text}\ninclude = '{SETTINGS_FILE}'\n")).map_err(Error::file(configuration))
}

#[cfg(test)]
#[path = "cluster_tests.rs"]
mod tests;
