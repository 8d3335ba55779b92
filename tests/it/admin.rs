//! The operator's side of a running proxy: HTTP, the console, reload of the rules, logs.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::support::{Proxy, ProxyOptions, TestDatabase};

const RULES: &str = "kind: Ids\ntags: {order: 1}\n---\nkind: SingleTables\ntables: [settings]\nshard: s1\n";

/// How long a change of a rule file may take to show: the watcher waits for 0.2 s of quiet.
const RELOAD_BOUND: Duration = Duration::from_secs(60);

const TOPICS: [&str; 12] = [
    "SHARDS",
    "POOLS",
    "CLIENTS",
    "RULES",
    "LANES",
    "LEDGER",
    "DEAD LETTERS",
    "IDS",
    "CONFIG",
    "VERSION",
    "STATS",
    "HELP",
];

/// Returns rows as text; NULL is `-`.
async fn rows(client: &Client, sql: &str) -> Vec<Vec<String>> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|index| row.get(index).unwrap_or("-").to_owned()).collect())
        }
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

/// Reads the console until `holds`; panics with the last answer.
async fn wait_for(console: &Client, sql: &str, holds: impl Fn(&[Vec<String>]) -> bool) -> Vec<Vec<String>> {
    let deadline = Instant::now() + RELOAD_BOUND;
    loop {
        let found = rows(console, sql).await;
        if holds(&found) {
            return found;
        }
        assert!(Instant::now() < deadline, "{sql}: {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn get(proxy: &Proxy, path: &str) -> (u16, String) {
    proxy.http(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

async fn wait_ready(proxy: &Proxy) {
    let deadline = Instant::now() + RELOAD_BOUND;
    while get(proxy, "/readyz").0 != 200 {
        assert!(Instant::now() < deadline, "{:?}", get(proxy, "/readyz"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Returns the value of one sample of `/metrics`.
fn metric(proxy: &Proxy, name: &str) -> f64 {
    let (status, body) = get(proxy, "/metrics");
    assert_eq!(status, 200);
    let line = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{body}"))
}

#[tokio::test]
async fn http_tells_health_readiness_metrics_and_where_things_are() {
    let database = TestDatabase::new("http");
    let proxy = Proxy::start(&database, RULES, ProxyOptions::default()).await;
    let console = proxy.console().await;
    wait_for(&console, "SHOW SHARDS", |shards| shards.iter().all(|shard| shard[3] == "up")).await;

    assert_eq!(get(&proxy, "/healthz"), (200, "{\"ok\":true}".to_owned()));
    wait_ready(&proxy).await;
    let (status, index) = get(&proxy, "/");
    assert_eq!(status, 200);
    for path in ["/healthz", "/readyz", "/metrics", "/api/v1/status"] {
        assert!(index.contains(path), "{index}");
        assert_eq!(get(&proxy, path).0, 200, "{path}");
    }
    let (status, body) = get(&proxy, "/nowhere");
    assert_eq!(status, 404);
    assert!(body.contains("42704"), "{body}");

    let before = metric(&proxy, "shardloom_transactions_total");
    let client = proxy.client().await;
    client.batch_execute("SELECT 1").await.unwrap();
    client.batch_execute("SET client_encoding = latin1").await.unwrap_err();
    drop(client);
    assert!(metric(&proxy, "shardloom_transactions_total") >= before + 2.0);
    assert!(metric(&proxy, "shardloom_errors_total{class=\"0A\"}") >= 1.0);
    assert!(metric(&proxy, "shardloom_queries_total{kind=\"direct\"}") >= 1.0);
    assert!(metric(&proxy, "shardloom_query_seconds_count") >= 1.0);
    assert!(metric(&proxy, "shardloom_received_bytes_total") > 0.0);
    assert!(metric(&proxy, "shardloom_sent_bytes_total") > 0.0);
    assert_eq!(metric(&proxy, "shardloom_shard_up{shard=\"s2\"}"), 1.0);
    assert_eq!(metric(&proxy, "shardloom_ready"), 1.0);
    assert!(get(&proxy, "/metrics").1.ends_with("# EOF\n"));
}

#[tokio::test]
async fn the_console_shows_every_topic_and_refuses_the_rest_clearly() {
    let database = TestDatabase::new("console");
    let proxy = Proxy::start(&database, RULES, ProxyOptions::default()).await;
    let console = proxy.console().await;
    for topic in TOPICS {
        rows(&console, &format!("SHOW {topic}")).await;
        rows(&console, &format!("show {};", topic.to_lowercase())).await;
    }
    let shards = rows(&console, "SHOW SHARDS").await;
    let names: Vec<&str> = shards.iter().map(|shard| shard[0].as_str()).collect();
    assert_eq!(names, ["s0", "s1", "s2"]);
    let buckets: u32 = shards.iter().map(|shard| shard[7].parse::<u32>().unwrap()).sum();
    assert_eq!(buckets, 4096);

    let settings = rows(&console, "SHOW CONFIG").await;
    let value = |name: &str| settings.iter().find(|row| row[0] == name).map(|row| row[1].as_str());
    assert_eq!((value("pool.size"), value("limits.client_message")), (Some("20"), Some("64MiB")));
    assert_eq!((value("relay.poll"), value("telemetry.log")), (Some("200ms"), Some("text")));
    assert!(settings.iter().all(|row| !row[1].contains("SCRAM") && row[1] != "service"));

    assert_eq!(rows(&console, "RELOAD").await.len(), 0);
    for (sql, state) in [("SUSPEND", "0A000"), ("SHOW NOTHING", "42601"), ("SELECT 1", "42601")] {
        let error = console.simple_query(sql).await.unwrap_err();
        assert_eq!(error.code().map(|code| code.code()), Some(state), "{sql}");
    }
}

/// Goal: a changed rule file is in force without a restart; a bad one changes nothing but what the operator is told;
/// mending it ends the complaint.
#[tokio::test]
async fn rules_reload_by_themselves_and_the_last_good_ones_stay() {
    let database = TestDatabase::new("reload");
    let proxy = Proxy::start(&database, RULES, ProxyOptions::default()).await;
    wait_ready(&proxy).await;
    let file = proxy.rules_folder().join("rules.yaml");
    let console = proxy.console().await;
    let version = rows(&console, "SHOW RULES").await[0][0].clone();

    std::fs::write(&file, RULES.replace("[settings]", "[settings, notes]")).unwrap();
    let good = wait_for(&console, "SHOW RULES", |rules| rules[0][0] != version).await[0][0].clone();
    let client = proxy.client().await;
    let route = rows(&client, "EXPLAIN (ROUTE) SELECT * FROM notes").await;
    assert_eq!(route[0][0], "Direct on s1");

    std::fs::write(&file, RULES.replace("shard: s1", "shard: s9")).unwrap();
    let refused = wait_for(&console, "SHOW RULES", |rules| rules[0][7] != "-").await;
    assert_eq!(refused[0][0], good, "the last good rules are in force");
    assert!(refused[0][7].contains("rules.yaml") && refused[0][7].contains("s9"), "{refused:?}");
    assert_eq!(metric(&proxy, "shardloom_rules_refused"), 1.0);
    let (status, ready) = get(&proxy, "/readyz");
    assert!(status == 200 && ready.contains("s9"), "{ready}");
    assert_eq!(rows(&client, "EXPLAIN (ROUTE) SELECT * FROM notes").await[0][0], "Direct on s1");
    let error = console.simple_query("RELOAD").await.unwrap_err();
    assert!(error.as_db_error().and_then(|error| error.detail()).is_some_and(|detail| detail.contains("s9")));

    // What the process is built on needs a restart, and says so.
    let topology = proxy.rules_folder().join("topology.yaml");
    let moved = database.topology().replace("home: s0", "home: s1");
    std::fs::write(&file, RULES).unwrap();
    std::fs::write(&topology, moved).unwrap();
    wait_for(&console, "SHOW RULES", |rules| rules[0][7].contains("home, which needs a restart")).await;

    std::fs::write(&topology, database.topology()).unwrap();
    let mended = wait_for(&console, "SHOW RULES", |rules| rules[0][7] == "-").await;
    assert_eq!(mended[0][0], version);
    assert_eq!(metric(&proxy, "shardloom_rules_refused"), 0.0);
}

/// Goal: with `telemetry: {log: json}` every line is one JSON object with time, level and message, and no line has a
/// password, a verifier or a value of a statement, whatever went wrong.
#[tokio::test]
async fn json_logs_are_one_object_per_line_without_secrets() {
    let database = TestDatabase::new("logs");
    let options = ProxyOptions {
        config: "telemetry: {log: json}".to_owned(),
        environment: vec![("RUST_LOG".to_owned(), "debug".to_owned())],
        ..ProxyOptions::default()
    };
    let mut proxy = Proxy::start(&database, RULES, options).await;
    wait_ready(&proxy).await;
    let client = proxy.client().await;
    client.batch_execute("CREATE TABLE settings (name text PRIMARY KEY)").await.unwrap();
    client.execute("INSERT INTO settings VALUES ($1)", &[&"p4rameter"]).await.unwrap();
    client.execute("INSERT INTO settings VALUES ($1)", &[&"p4rameter"]).await.unwrap_err();
    client.batch_execute("SELECT 'l1teral' FROM settings WHERE name = 1").await.unwrap_err();
    let wrong = crate::support::connect_as(proxy.port(), &database.name, "app", "wr0ng-password").await;
    assert!(wrong.is_err());
    drop(client);
    assert_eq!(proxy.terminate(), Some(0));

    let log = proxy.log();
    assert!(log.lines().count() > 5, "{log}");
    for line in log.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(entry["timestamp"].is_string() && entry["level"].is_string(), "{line}");
        assert!(entry["fields"]["message"].is_string(), "{line}");
    }
    for secret in ["wr0ng-password", "SCRAM-SHA-256$", "p4rameter", "l1teral"] {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} in the log: {line:?}");
    }
}
