//! The end of a process and its online restart.

use std::process::Child;
use std::time::{Duration, Instant};

use crate::pooling::{BOUND, proxy_with, value};
use crate::support::{RawClient, TestDatabase};

/// Waits for the end of a process and returns its exit code.
async fn ended(mut process: Child) -> Option<i32> {
    let deadline = Instant::now() + BOUND * 2;
    loop {
        if let Some(status) = process.try_wait().expect("the process's state") {
            return status.code();
        }
        if Instant::now() >= deadline {
            process.kill().ok();
            panic!("the process before still runs");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Goal: a restart under load loses nothing: clients that connect anew for each transaction see no refused connection and
/// no failed transaction while two restarts go by, with other numbers of workers; a client with a transaction open over
/// the restart commits it; a row written through either process is one row.
#[tokio::test]
async fn an_online_restart_refuses_no_client_and_fails_no_transaction() {
    let config = "pool: {size: 5}\nlimits: {takeover_timeout: 1min, login_timeout: 2min}";
    let (_database, mut proxy) = proxy_with("restart", 2, config).await;
    let other = TestDatabase::new("restart_other");
    let mut staying = proxy.raw_to(&other.name);
    assert_eq!(staying.simple("CREATE TABLE written (a int)").error(), None);
    assert_eq!(staying.simple("BEGIN; INSERT INTO written VALUES (-1)").error(), None);
    let script = std::env::temp_dir().join(format!("shardloom-{}.sql", other.name));
    std::fs::write(&script, "BEGIN;\nINSERT INTO written VALUES (1);\nCOMMIT;\n").expect("the script");
    let (name, file) = (other.name.clone(), script.display().to_string());
    let port = proxy.port();
    let load = std::thread::spawn(move || {
        let arguments = ["-n", "-C", "-f", &file, "-c", "4", "-j", "1", "-T", "8"];
        crate::pgbench::pgbench_at(port, &name, &arguments)
    });

    let first = proxy.take_over();
    wait_for_pid(&proxy, &other.name).await;
    assert_eq!(staying.simple("COMMIT").tags(), ["COMMIT"], "the old process still serves its client");
    drop(staying);
    assert_eq!(ended(first).await, Some(0), "{}", proxy.log());
    proxy.set_workers(3);
    let second = proxy.take_over();
    assert_eq!(ended(second).await, Some(0), "{}", proxy.log());

    let (succeeded, said) = load.join().expect("the load");
    assert!(succeeded && said.contains("number of failed transactions: 0 "), "{said}\n{}", proxy.log());
    let processed =
        said.split("transactions actually processed: ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let mut client = proxy.raw_to(&other.name);
    assert_eq!(Some(value(&client.simple("SELECT count(*) FROM written WHERE a = 1")).as_str()), processed);
    assert_eq!(value(&client.simple("SELECT count(*) FROM written WHERE a = -1")), "1");
    assert_eq!(proxy.http("/healthz").expect("HTTP is served by the last one").0, 200);
    assert_eq!(proxy.terminate(), Some(0));
    std::fs::remove_file(script).ok();
}

/// Waits until a process that took over says so.
async fn wait_for_pid(proxy: &crate::support::Proxy, database: &str) {
    let deadline = Instant::now() + BOUND;
    while !proxy.log().contains("the sockets are taken over") {
        assert!(Instant::now() < deadline, "{database}: {}", proxy.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Goal: a takeover where nobody serves is a plain start; a process that is refused its rules leaves the old one serving.
#[tokio::test]
async fn a_takeover_that_fails_changes_nothing() {
    let (_database, mut proxy) = proxy_with("fails", 1, "").await;
    let rules = proxy.rules_folder().join("rules.yaml");
    let good = std::fs::read_to_string(&rules).expect("the rules");
    std::fs::write(&rules, "kind: Nonsense\n").expect("the rules");
    let old = proxy.take_over();
    proxy.ended().await;
    std::fs::write(&rules, good).expect("the rules");
    let mut client = proxy.raw_to("postgres");
    assert_eq!(client.simple("SELECT 1").error(), None, "the old process still serves");
    drop(client);
    let refused = proxy.take_over();
    drop(refused);
    wait_for_pid(&proxy, "postgres").await;
    assert_eq!(ended(old).await, Some(0), "{}", proxy.log());
    proxy.kill9();
    let dead = proxy.take_over();
    drop(dead);
    let deadline = Instant::now() + BOUND;
    while std::net::TcpStream::connect(("127.0.0.1", proxy.port())).is_err() {
        assert!(Instant::now() < deadline, "{}", proxy.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(proxy.raw_to("postgres").simple("SELECT 1").error(), None);
}

/// Goal: SIGTERM closes idle clients with 57P01, lets a transaction finish and takes nobody new; both sides of the edge.
#[tokio::test]
async fn sigterm_lets_a_transaction_finish_and_closes_the_idle() {
    let (_database, mut proxy) = proxy_with("drain", 2, "pool: {size: 3}").await;
    let other = TestDatabase::new("drain_other");
    let (mut open, mut idle) = (proxy.raw_to(&other.name), proxy.raw_to(&other.name));
    assert_eq!(open.simple("BEGIN; CREATE TABLE finished ()").error(), None);
    let waiting = std::thread::spawn(move || {
        let heard = String::from_utf8_lossy(&idle.read_to_end()).into_owned();
        let committed = open.simple("COMMIT").tags();
        (heard, committed, open.read_to_end())
    });
    assert_eq!(proxy.terminate(), Some(0), "{}", proxy.log());
    let (heard, committed, farewell) = waiting.join().expect("the clients");
    assert!(heard.contains("C57P01\0"), "{heard}");
    assert_eq!(committed, ["COMMIT"]);
    assert!(String::from_utf8_lossy(&farewell).contains("C57P01\0"));
    assert!(std::net::TcpStream::connect(("127.0.0.1", proxy.port())).is_err());
    proxy.restart().await;
    let left = "SELECT count(*) FROM pg_class WHERE relname = 'finished'";
    assert_eq!(value(&RawClient::connect(proxy.port(), &other.name, "app", "app").simple(left)), "1");
}
