//! The driver matrix: a program in each driver's own language tries every feature on a sharded and on an unsharded
//! database, and prints `feature ok`, `feature refused SQLSTATE` or `feature FAIL why`, one line each.
//!
//! What they print is held in `tests/drivers/NAME/matrix.txt`, from which the tables of docs/drivers.md are made;
//! `UPDATE_DRIVERS=1` writes both anew. `DRIVERS_DIRECT=1` runs the programs on PostgreSQL itself too, which tells a
//! wrong program from a wrong proxy.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::SinkExt;
use shardloom::dev::{APP_PASSWORD, APP_USER};
use tokio_postgres::Client;

use super::document;
use crate::support::{Proxy, ProxyOptions, TestDatabase, connect, servers};

const RULES: &str = r#"
kind: TableGroup
name: accounts
key: {type: bigint}
algorithm: hash
tables:
  accounts: {key: account_id}
  entries: {key: account_id, id: {column: entry_id, tag: entry}}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: events
key: {type: bigint}
algorithm: hash
tables:
  events: {key: event_id}
  shapes: {key: shape_id}
missing_key: {read: scatter, write: scatter}
---
kind: ReferenceTables
tables: [regions]
---
kind: Ids
tags: {entry: 1}
layouts:
  standard: {epoch: "2026-01-01T00:00:00Z", bits: {time: 41, tag: 6, worker: 7, sequence: 9}}
"#;

const SCHEMA: &str = "
CREATE TABLE accounts (account_id bigint PRIMARY KEY, name text, balance numeric(12, 2), opened timestamptz,
    payload bytea, doc jsonb, tags text[], numbers int[]);
CREATE TABLE entries (entry_id ENTRY_ID, account_id bigint, note text, PRIMARY KEY (account_id, entry_id));
CREATE TABLE events (event_id bigint PRIMARY KEY, label text);
CREATE TABLE shapes (shape_id bigint PRIMARY KEY, name text);
CREATE TABLE regions (region_id int PRIMARY KEY, name text)";

/// Rows of `events`: the large result.
const EVENTS: i64 = 10_000;
/// Rows of `accounts`, with keys from 1.
const ACCOUNTS: i64 = 100;
/// Rows of `entries` of account 5: what cursors walk over.
const ENTRIES: i64 = 50;
/// How long one program may take on one database; none takes 20 s.
const PROGRAM_BOUND: Duration = Duration::from_secs(180);

/// Where a program runs.
struct Side {
    name: &'static str,
    port: u16,
    database: String,
}

/// What one driver says of one feature: `ok`, or `refused 0A000`.
pub type Results = BTreeMap<String, String>;

/// Runs `driver`'s program on both kinds of database, and holds what it says against its matrix.
pub async fn holds(driver: &'static str) {
    holds_in(driver, &[]).await;
}

/// The same with more environment variables for the program.
pub async fn holds_in(driver: &'static str, environment: &[(&'static str, String)]) {
    let command = tokio::task::spawn_blocking(move || prepare(driver)).await.expect("the program");
    let (sharded, unsharded) = (TestDatabase::new(driver), TestDatabase::new(driver));
    let options = ProxyOptions { config: "passthrough: any".to_owned(), ..ProxyOptions::default() };
    let proxy = Proxy::start(&sharded, RULES, options).await;
    proxy.gates_open().await;
    fill(&proxy.client().await, "bigint").await;
    fill(&connect(proxy.port(), &unsharded.name).await, "bigserial").await;
    let mut sides = Vec::new();
    let direct;
    if std::env::var_os("DRIVERS_DIRECT").is_some() {
        direct = TestDatabase::new(driver);
        fill(&direct.plain().await, "bigserial").await;
        sides.push(Side { name: "direct", port: servers().plain.port(), database: direct.name.clone() });
    }
    sides.push(Side { name: "sharded", port: proxy.port(), database: sharded.name.clone() });
    sides.push(Side { name: "unsharded", port: proxy.port(), database: unsharded.name.clone() });
    let environment = environment.to_vec();
    let outputs = tokio::task::spawn_blocking(move || {
        sides.iter().map(|side| (side.name, run(&command, &environment, side))).collect::<Vec<_>>()
    });
    let outputs = outputs.await.expect("the runs");
    let mut failures = Vec::new();
    let mut read = BTreeMap::new();
    for (side, output) in &outputs {
        read.insert(*side, understand(side, output, &mut failures));
    }
    assert!(failures.is_empty(), "{driver}:\n{}\n{}", failures.join("\n"), proxy.log());
    document::hold(driver, &version(&outputs[0].1), &read["sharded"], &read["unsharded"]);
}

/// Makes the tables and their rows.
async fn fill(client: &Client, entry_id: &str) {
    for sql in SCHEMA.replace("ENTRY_ID", entry_id).split(';') {
        client.batch_execute(sql).await.unwrap();
    }
    let events = (1..=EVENTS).map(|id| format!("{id}\tevent {id}\n")).collect();
    copy(client, "COPY events (event_id, label) FROM STDIN", events).await;
    let accounts = (1..=ACCOUNTS).map(|id| format!("{id}\tname {id}\t{id}.50\n")).collect();
    copy(client, "COPY accounts (account_id, name, balance) FROM STDIN", accounts).await;
    let entries = (1..=ENTRIES).map(|id| format!("{id}\t5\tentry {id}\n")).collect();
    copy(client, "COPY entries (entry_id, account_id, note) FROM STDIN", entries).await;
    if entry_id == "bigserial" {
        client.batch_execute("SELECT setval('entries_entry_id_seq', 1000)").await.unwrap();
    }
}

async fn copy(client: &Client, sql: &str, rows: String) {
    let mut sink = Box::pin(client.copy_in::<_, Bytes>(sql).await.unwrap());
    sink.send(Bytes::from(rows)).await.unwrap();
    sink.as_mut().finish().await.unwrap();
}

/// Has `scripts/driver.sh` install the driver and build its program; returns the command that runs it.
fn prepare(driver: &str) -> Vec<String> {
    let made = Command::new(root().join("scripts/driver.sh")).arg(driver).stdin(Stdio::null()).output();
    let made = made.expect("scripts/driver.sh runs");
    assert!(made.status.success(), "scripts/driver.sh {driver}: {}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8_lossy(&made.stdout).lines().map(str::to_owned).collect()
}

/// Runs the program; returns what it printed, and panics with what it complained of if it fails or takes too long.
fn run(command: &[String], environment: &[(&str, String)], side: &Side) -> String {
    let folder = std::env::temp_dir().join(format!("shardloom-driver-{}", side.database));
    std::fs::create_dir_all(&folder).expect("the program's folder");
    let (output, complaints) = (folder.join(side.name), folder.join(format!("{}.err", side.name)));
    let create = |path: &Path| File::create(path).expect("the program's output");
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .envs([("PGHOST", "127.0.0.1"), ("PGUSER", APP_USER), ("PGPASSWORD", APP_PASSWORD)])
        .envs([("PGPORT", side.port.to_string()), ("PGDATABASE", side.database.clone())])
        .envs([("SIDE", side.name), ("PGSSLMODE", "disable")])
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(create(&output))
        .stderr(create(&complaints))
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", command[0]));
    let outcome = wait(&mut child);
    let (output, complaints) = (read(&output), read(&complaints));
    assert_eq!(outcome, Some(0), "{command:?} on {}:\n{output}\n{complaints}", side.name);
    std::fs::remove_dir_all(&folder).ok();
    // Why a feature was refused.
    eprint!("{complaints}");
    output
}

/// Waits for the exit code; kills the program when its time is over.
fn wait(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + PROGRAM_BOUND;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("the program's state") {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().ok();
    child.wait().ok();
    None
}

fn read(path: &Path) -> String {
    let mut text = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut text)).expect("the program's output");
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads the program's lines; what is neither right nor a refusal of a sharded database is added to `failures`.
fn understand(side: &str, output: &str, failures: &mut Vec<String>) -> Results {
    let mut results = Results::new();
    for line in output.lines().filter(|line| !line.starts_with("driver ")) {
        let (feature, result) = line.split_once(' ').unwrap_or((line, "FAIL no result"));
        // PostgreSQL itself says "cached plan must not change result type".
        let outdated = (side, feature) == ("direct", "ddl_columns");
        let right = result == "ok" || outdated || (side == "sharded" && result == "refused 0A000");
        if !right {
            failures.push(format!("{side}: {line}"));
        }
        if results.insert(feature.to_owned(), result.to_owned()).is_some() {
            failures.push(format!("{side}: {feature} twice"));
        }
    }
    results
}

/// Returns what follows `driver` in the program's first line: name and version.
fn version(output: &str) -> String {
    let line = output.lines().find_map(|line| line.strip_prefix("driver "));
    line.unwrap_or_else(|| panic!("no version in {output}")).to_owned()
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
