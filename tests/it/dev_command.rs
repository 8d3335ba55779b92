//! `shardloom dev` as a newcomer uses it: one line when ready, rows that survive, nothing left behind.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use shardloom::dev::free_port;

use crate::support::{connect, shardloom};

/// What the contract promises.
const READY_BOUND: Duration = Duration::from_secs(30);
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
        let (port, admin_port) = (free_port().unwrap(), free_port().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_shardloom"));
        command.args(["dev", "--pg-option", "fsync=off"]);
        command.args(["--port", &port.to_string(), "--admin-port", &admin_port.to_string()]);
        command.args(data.map(|data| ["--data".into(), data.as_os_str().to_owned()]).into_iter().flatten());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let dev = Self { child, port, admin_port, lines };
        let ready = dev.lines.recv_timeout(READY_BOUND).expect("the ready line within 30 s");
        (dev, ready)
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
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        let deadline = Instant::now() + STOP_BOUND;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("shardloom dev runs 10 s after SIGTERM");
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

async fn name_of_customer_1(dev: &Dev) -> String {
    let client = connect(dev.port, "shop").await;
    client.query_one("SELECT name FROM customers WHERE customer_id = 1", &[]).await.unwrap().get(0)
}
