//! The real proxy, as a process.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use shardloom::dev::{APP_PASSWORD, APP_USER, DevCluster, SERVICE_USER, free_port};
use tokio_postgres::Client;

use super::client::{connect, connect_as};
use super::cutter::Cutter;
use super::database::TestDatabase;
use super::raw::RawClient;
use super::servers::{SERVICE_PASSWORD, servers};

/// How long the proxy may take until a client can log in.
const READY_BOUND: Duration = Duration::from_secs(20);
/// How long the proxy may take to know that nothing is to be redone.
const GATES_BOUND: Duration = Duration::from_secs(60);
/// How long an orderly end may take.
const DRAIN_BOUND: Duration = Duration::from_secs(10);

/// What a test wants beside the usual.
#[derive(Debug, Clone)]
pub struct ProxyOptions {
    /// Worker threads.
    pub workers: u16,
    /// More top-level entries of shardloom.yaml, such as `pool: {mode: transaction, size: 3}`.
    pub config: String,
    /// More entries of `listen`, such as `tls: {…}`.
    pub listen: String,
    /// More lines of its list of users, such as `- {name: kim, password: secret}`.
    pub users: String,
    /// More environment variables.
    pub environment: Vec<(String, String)>,
}

impl Default for ProxyOptions {
    fn default() -> Self {
        Self { workers: 2, config: String::new(), listen: String::new(), users: String::new(), environment: Vec::new() }
    }
}

/// What the proxy serves.
#[derive(Debug, Clone)]
pub struct Shards {
    pub database: String,
    /// The Topology file.
    pub topology: String,
    pub service_password: String,
}

impl Shards {
    /// Those of a database, each reached through a relay that a test can break.
    pub fn behind_cutters(database: &TestDatabase) -> (Self, Vec<Cutter>) {
        let cutters: Vec<Cutter> = servers().shards.iter().map(|shard| Cutter::before(shard.port())).collect();
        let mut topology = database.topology();
        for (shard, cutter) in servers().shards.iter().zip(&cutters) {
            topology = topology.replace(&format!(":{}\"", shard.port()), &format!(":{}\"", cutter.port()));
        }
        let service_password = SERVICE_PASSWORD.to_owned();
        (Self { database: database.name.clone(), topology, service_password }, cutters)
    }
}

/// A running proxy; dropping it kills it.
#[derive(Debug)]
pub struct Proxy {
    child: Child,
    folder: PathBuf,
    port: u16,
    admin_port: u16,
    shards: Shards,
    options: ProxyOptions,
}

impl Proxy {
    /// Starts `shardloom serve` over the three shared shards with the rule files `rules` (YAML documents without the
    /// Topology) and waits until the application's user can log in to `database`.
    pub async fn start(database: &TestDatabase, rules: &str, options: ProxyOptions) -> Self {
        let shards = Shards {
            database: database.name.clone(),
            topology: database.topology(),
            service_password: SERVICE_PASSWORD.to_owned(),
        };
        Self::start_over(shards, rules, options).await
    }

    /// The same over servers of the test's own.
    pub async fn start_on(cluster: &DevCluster, rules: &str, options: ProxyOptions) -> Self {
        let shards = Shards {
            database: cluster.database().to_owned(),
            topology: cluster.topology_yaml(),
            service_password: cluster.service_password().to_owned(),
        };
        Self::start_over(shards, rules, options).await
    }

    /// The same over whatever `shards` says, such as two of three shards or an address where nobody listens.
    pub async fn start_over(shards: Shards, rules: &str, options: ProxyOptions) -> Self {
        let port = free_port().expect("a port");
        let admin_port = std::iter::repeat_with(|| free_port().expect("a port")).find(|admin| *admin != port);
        let admin_port = admin_port.expect("repeated without end");
        let folder = std::env::temp_dir().join(format!("shardloom-proxy-{}-{port}", std::process::id()));
        std::fs::create_dir_all(folder.join("rules")).expect("the proxy's folder");
        write(&folder.join("rules/topology.yaml"), &shards.topology);
        write(&folder.join("rules/rules.yaml"), rules);
        write(&folder.join("shardloom.yaml"), &configuration(&folder, port, admin_port, &options));
        let child = launch(&folder, &shards, &options);
        let mut proxy = Self { child, folder, port, admin_port, shards, options };
        proxy.wait_ready().await;
        proxy
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn admin_port(&self) -> u16 {
        self.admin_port
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the folder of the rule files, for a test that changes them.
    pub fn rules_folder(&self) -> PathBuf {
        self.folder.join("rules")
    }

    /// Rewrites shardloom.yaml with other top-level entries and has the console read it again.
    pub fn reconfigure(&mut self, config: &str) {
        self.options.config = config.to_owned();
        let text = configuration(&self.folder, self.port, self.admin_port, &self.options);
        write(&self.folder.join("shardloom.yaml"), &text);
        assert_eq!(self.raw_to("shardloom").simple("RELOAD").error(), None, "{}", self.log());
    }

    /// Runs `shardloom check` over the proxy's own files; returns its exit code and what it printed.
    pub fn check(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_shardloom"))
            .arg("check")
            .args(arguments)
            .arg("--config")
            .arg(self.folder.join("shardloom.yaml"))
            .env("APP_PASSWORD", APP_PASSWORD)
            .env("SERVICE_PASSWORD", &self.shards.service_password)
            .stdin(Stdio::null())
            .output()
            .expect("shardloom runs");
        let printed = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&printed).into_owned())
    }

    /// Connects by hand to any database.
    pub fn raw_to(&self, database: &str) -> RawClient {
        RawClient::connect(self.port, database, APP_USER, APP_PASSWORD)
    }

    /// Connects the application's user to the sharded database.
    pub async fn client(&self) -> Client {
        connect(self.port, &self.shards.database).await
    }

    /// Connects the application's user to the console.
    pub async fn console(&self) -> Client {
        connect(self.port, "shardloom").await
    }

    /// Connects by hand, to see every message. Blocks.
    pub fn raw(&self) -> RawClient {
        RawClient::connect(self.port, &self.shards.database, APP_USER, APP_PASSWORD)
    }

    /// Kills the proxy with SIGKILL and waits until it is gone.
    pub fn kill9(&mut self) {
        self.child.kill().ok();
        self.child.wait().expect("the proxy's end");
    }

    /// Says with which environment variables the next [`Proxy::restart`] starts it.
    pub fn set_environment(&mut self, environment: Vec<(String, String)>) {
        self.options.environment = environment;
    }

    /// Says with how many workers the next process starts.
    pub fn set_workers(&mut self, workers: u16) {
        self.options.workers = workers;
        let text = configuration(&self.folder, self.port, self.admin_port, &self.options);
        write(&self.folder.join("shardloom.yaml"), &text);
    }

    /// Waits until the proxy has ended by itself; panics after 20 s.
    pub async fn ended(&mut self) {
        let deadline = Instant::now() + READY_BOUND;
        while self.child.try_wait().expect("the proxy's state").is_none() {
            assert!(Instant::now() < deadline, "the proxy still runs\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Kills the proxy if it still runs, and starts it again on the same ports.
    pub async fn restart(&mut self) {
        self.kill9();
        self.child = launch(&self.folder, &self.shards, &self.options);
        self.wait_ready().await;
    }

    /// Starts it again after its end, and does not wait until it is ready.
    pub fn launch_again(&mut self) {
        self.kill9();
        self.child = launch(&self.folder, &self.shards, &self.options);
    }

    /// Starts a process that takes the sockets over, and returns the one that served them; does not wait.
    pub fn take_over(&mut self) -> Child {
        std::mem::replace(&mut self.child, launch_with(&self.folder, &self.shards, &self.options, &["--takeover"]))
    }

    /// Sends SIGTERM and returns the exit code of the drain; `None` if a signal ended it or it took over 10 s.
    pub fn terminate(&mut self) -> Option<i32> {
        Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().expect("kill");
        let deadline = Instant::now() + DRAIN_BOUND;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("the proxy's state") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// Returns what the proxy has logged so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.join("log")).unwrap_or_default()).into_owned()
    }

    /// Asks the admin port for `path`; returns the status and the body. Blocks, at most 10 s.
    pub fn http(&self, path: &str) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin_port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", self.admin_port)?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        let status = reply.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Ok((status, reply.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned())))
    }

    /// Runs a verb of the command line against this proxy; returns its exit code and all that it says.
    pub fn verb(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let port = self.admin_port().to_string();
        let output = shardloom(&[arguments, &["--admin-port", port.as_str()]].concat());
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said)
    }

    /// Waits until the proxy is ready and writes may pass to every shard, which on a busy machine takes longer than
    /// `limits.wait_timeout`.
    pub async fn gates_open(&self) {
        let deadline = Instant::now() + GATES_BOUND;
        loop {
            let ready = self.http("/readyz").is_ok_and(|(status, _)| status == 200);
            let lanes = self.http("/api/v1/lanes").map_or(String::new(), |(_, body)| body);
            if ready && lanes.contains("\"gate_open\":true") && !lanes.contains("\"gate_open\":false") {
                return;
            }
            assert!(Instant::now() < deadline, "{lanes}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for a login that answers a statement; panics with the log if the proxy ends or stays silent.
    async fn wait_ready(&mut self) {
        let deadline = Instant::now() + READY_BOUND;
        loop {
            let last = match connect_as(self.port, &self.shards.database, APP_USER, APP_PASSWORD).await {
                Ok(client) => client.batch_execute("SELECT 1").await.err(),
                Err(error) => Some(error),
            };
            let Some(error) = last else { return };
            // A proxy that demands TLS says so as soon as it listens.
            if error.code() == Some(&tokio_postgres::error::SqlState::INVALID_AUTHORIZATION_SPECIFICATION) {
                return;
            }
            let ended = self.child.try_wait().expect("the proxy's state");
            if ended.is_some() || Instant::now() >= deadline {
                panic!("the proxy is not ready ({ended:?}): {error:?}\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            eprintln!("the proxy's log is kept in {}", self.folder.display());
        } else {
            std::fs::remove_dir_all(&self.folder).ok();
        }
    }
}

/// Returns the program under test; `SHARDLOOM_BIN` names another one, such as a released one for a soak.
fn program() -> PathBuf {
    std::env::var_os("SHARDLOOM_BIN").map_or_else(|| env!("CARGO_BIN_EXE_shardloom").into(), PathBuf::from)
}

/// Runs `shardloom` with `arguments` to its end.
pub fn shardloom(arguments: &[&str]) -> Output {
    Command::new(program()).args(arguments).stdin(Stdio::null()).output().expect("shardloom runs")
}

fn launch(folder: &Path, shards: &Shards, options: &ProxyOptions) -> Child {
    launch_with(folder, shards, options, &[])
}

fn launch_with(folder: &Path, shards: &Shards, options: &ProxyOptions, more: &[&str]) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log")).expect("the proxy's log");
    Command::new(program())
        .arg("serve")
        .arg("--config")
        .arg(folder.join("shardloom.yaml"))
        .args(more)
        .env("APP_PASSWORD", APP_PASSWORD)
        .env("SERVICE_PASSWORD", &shards.service_password)
        .envs(options.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the proxy's log"))
        .stderr(log)
        .spawn()
        .expect("the proxy starts")
}

fn configuration(folder: &Path, port: u16, admin_port: u16, options: &ProxyOptions) -> String {
    let scram = postgres_protocol::password::scram_sha_256(APP_PASSWORD.as_bytes());
    format!(
        r#"listen: {{address: "127.0.0.1:{port}", workers: {workers}{listen}}}
admin: {{address: "127.0.0.1:{admin_port}"}}
rules: "{rules}"
users:
- {{name: {APP_USER}, scram: "{scram}", shard_user: {APP_USER}, shard_password: "env:APP_PASSWORD", console: true}}
{users}
service: {{user: {SERVICE_USER}, password: "env:SERVICE_PASSWORD"}}
{more}
"#,
        workers = options.workers,
        rules = folder.join("rules").display(),
        listen = if options.listen.is_empty() { String::new() } else { format!(", {}", options.listen) },
        users = options.users,
        more = options.config,
    )
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
