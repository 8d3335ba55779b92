//! `shardloom dev` as a newcomer uses it: one line when ready, rows that survive, nothing left behind.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use shardloom::dev::free_port;

use crate::support::{connect, shardloom};

/// Twice what the contract promises: other tests and builds may share the machine.
const READY_BOUND: Duration = Duration::from_secs(60);
const STOP_BOUND: Duration = Duration::from_secs(10);

/// A running `shardloom dev`; dropping it ends it in order, so that its servers end too.
struct Dev {
    child: Child,
    port: u16,
    admin_port: u16,
    lines: Receiver<String>,
}

impl Dev {
    /// Starts it and returns it with its first line, which is the ready line.
    fn start(data: Option<&Path>) -> (Self, String) {
        let dev = Self::launch(data, &[]);
        let ready = dev.lines.recv_timeout(READY_BOUND).expect("the ready line in time");
        (dev, ready)
    }

    /// Starts it and does not wait.
    fn launch(data: Option<&Path>, more: &[&str]) -> Self {
        let (port, admin_port) = (free_port().unwrap(), free_port().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_shardloom"));
        command.args(["dev", "--pg-option", "fsync=off"]);
        command.args(["--port", &port.to_string(), "--admin-port", &admin_port.to_string()]);
        command.args(data.map(|data| ["--data".into(), data.as_os_str().to_owned()]).into_iter().flatten());
        command.args(more);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, port, admin_port, lines }
    }

    /// Returns the servers' addresses as `status --json` tells them.
    fn addresses(&self) -> Vec<String> {
        let output = shardloom(&["status", "--json", "--admin-port", &self.admin_port.to_string()]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let shards = status["shards"].as_array().expect("shards");
        shards.iter().map(|shard| shard["address"].as_str().expect("an address").to_owned()).collect()
    }

    /// Sends SIGTERM and waits for the end.
    fn terminate(&mut self) -> ExitStatus {
        self.signal("-TERM")
    }

    /// Sends a signal and waits for the end.
    fn signal(&mut self, signal: &str) -> ExitStatus {
        Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        let deadline = Instant::now() + STOP_BOUND;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("shardloom dev runs 10 s after {signal}");
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().ok();
            self.child.wait().ok();
        }
    }
}

fn answers(address: &str) -> bool {
    std::net::TcpStream::connect(address).is_ok()
}

/// A data folder; dropping it ends the servers that a failed test left in it.
struct Data(PathBuf);

impl Data {
    fn new(label: &str) -> Self {
        Self(std::env::temp_dir().join(format!("shardloom-dev-{label}-{}", std::process::id())))
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/stop-servers.sh");
        Command::new(script).arg(&self.0).status().ok();
    }
}

#[tokio::test]
async fn scratch_servers_are_gone_after_sigterm() {
    let (mut dev, ready) = Dev::start(None);
    assert_eq!(ready, format!("shardloom is ready: postgres://app:app@127.0.0.1:{}/shop", dev.port));
    let addresses = dev.addresses();
    assert_eq!(addresses.len(), 3);
    assert!(addresses.iter().all(|address| answers(address)));
    let client = connect(dev.port, "shop").await;
    let row = client.query_one("SELECT name FROM customers WHERE customer_id = $1", &[&1i64]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "Ada");
    drop(client);
    assert!(dev.terminate().success());
    assert!(!addresses.iter().any(|address| answers(address)));
    assert!(dev.lines.try_iter().all(|line| !line.contains("://")), "the ready line has the only URL");
}

/// Goal: `kill -9` takes the proxy and leaves the servers, the next run adopts them on their ports with their rows,
/// and after an orderly end a further run finds the rows again.
#[tokio::test]
async fn servers_of_a_killed_dev_are_adopted_and_rows_are_kept() {
    let data = Data::new("kept");
    let (mut first, _) = Dev::start(Some(&data.0));
    let addresses = first.addresses();
    let client = connect(first.port, "shop").await;
    client.execute("UPDATE customers SET name = 'Ada L.' WHERE customer_id = 1", &[]).await.unwrap();
    drop(client);
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    assert!(!answers(&format!("127.0.0.1:{}", first.port)), "the proxy went with its process");
    assert!(addresses.iter().all(|address| answers(address)), "the servers stay");

    let (mut second, _) = Dev::start(Some(&data.0));
    assert_eq!(second.addresses(), addresses);
    assert_eq!(name_of_customer_1(&second).await, "Ada L.");
    assert!(second.terminate().success());
    assert!(!addresses.iter().any(|address| answers(address)));

    let (mut third, _) = Dev::start(Some(&data.0));
    assert_eq!(name_of_customer_1(&third).await, "Ada L.");
    assert!(third.terminate().success());
}

#[test]
fn ctrl_c_leaves_no_server_and_no_folder_behind() {
    let (mut dev, _) = Dev::start(None);
    let addresses = dev.addresses();
    let rules = shardloom(&["status", "--json", "--admin-port", &dev.admin_port.to_string()]);
    let status: serde_json::Value = serde_json::from_slice(&rules.stdout).expect("JSON");
    let folder = PathBuf::from(status["rules_source"].as_str().expect("the rules' folder"));
    assert!(folder.exists());
    assert!(dev.signal("-INT").success());
    assert!(!addresses.iter().any(|address| answers(address)));
    assert!(!folder.exists());
}

/// Goal: a run that is killed while it loads the schema leaves half of one; the next run notices and begins anew,
/// even where a two-phase commit left something prepared.
#[tokio::test]
async fn a_half_loaded_schema_is_made_anew_by_the_next_run() {
    let data = Data::new("half");
    let files = Data::new("half-files");
    std::fs::create_dir_all(&files.0).unwrap();
    std::fs::write(files.0.join("rules.yaml"), "kind: ReferenceTables\ntables: [colours]\n").unwrap();
    let schema = files.0.join("schema.sql");
    let table = "CREATE TABLE colours (name text PRIMARY KEY);";
    std::fs::write(&schema, format!("{table}\nSELECT pg_sleep(600);\n")).unwrap();
    let more = ["--rules", files.0.to_str().unwrap(), "--schema", schema.to_str().unwrap()];

    let mut first = Dev::launch(Some(&data.0), &more);
    let s1 = wait_for_table(&first).await;
    s1.batch_execute("BEGIN; CREATE TABLE junk (a int); PREPARE TRANSACTION 'left'").await.unwrap();
    first.child.kill().unwrap();
    first.child.wait().unwrap();

    std::fs::write(&schema, format!("{table}\nINSERT INTO colours VALUES ('red');\n")).unwrap();
    let mut second = Dev::launch(Some(&data.0), &more);
    second.lines.recv_timeout(READY_BOUND).expect("the ready line in time");
    let client = connect(second.port, "shop").await;
    let row = client.query_one("SELECT name FROM colours", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "red");
    drop(client);
    assert!(second.terminate().success());
}

/// Waits until shard s1 has the table `colours`, and returns a connection to that shard.
async fn wait_for_table(dev: &Dev) -> tokio_postgres::Client {
    let deadline = Instant::now() + READY_BOUND;
    while Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let output = shardloom(&["status", "--json", "--admin-port", &dev.admin_port.to_string()]);
        let Ok(status) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else { continue };
        let Some(address) = status["shards"][1]["address"].as_str() else { continue };
        let port = address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let client = connect(port, "shop").await;
        let found = client.query("SELECT 1 FROM pg_tables WHERE tablename = 'colours'", &[]).await.unwrap();
        if !found.is_empty() {
            return client;
        }
    }
    panic!("the table does not come");
}

async fn name_of_customer_1(dev: &Dev) -> String {
    let client = connect(dev.port, "shop").await;
    client.query_one("SELECT name FROM customers WHERE customer_id = 1", &[]).await.unwrap().get(0)
}
