//! The command line as a person and a script use it: what it prints, and its exit codes.

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;

use crate::support::{Proxy, ProxyOptions, TestDatabase, shardloom};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/shard-rules");

const REFERENCE_RULES: &str = "kind: Ids\ntags: {order: 1}\n---\nkind: ReferenceTables\ntables: [regions]\n";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stdout)))
}

/// A folder of rule files, removed at the end.
struct Rules(PathBuf);

impl Rules {
    fn new(label: &str, files: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("shardloom-cli-{label}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (name, content) in files {
            std::fs::write(folder.join(name), content).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

const FIVE_MISTAKES: [(&str, &str); 3] = [
    (
        "topology.yaml",
        "kind: Topology\ndatabase: shop\nbuckets: 4096\nshards:\n  s0: {primary: \"127.0.0.1:5501\"}\n\
         \x20 s1: {primary: \"127.0.0.1:5502\"}\nplacement:\n  s0: [\"0-2047\"]\n  s1: [\"2049-4095\"]\nhome: s9\n",
    ),
    (
        "orders.yaml",
        "kind: TableGroup\nname: orders\nkey: {type: bigin}\nalgoritm: hash\ntables:\n\
         \x20 orders: {key: user_id, id: {column: order_id, tag: ordre}}\n",
    ),
    ("ids.yaml", "kind: Ids\ntags: {order: 1}\n"),
];

#[test]
fn five_mistakes_give_five_messages_with_their_places() {
    let rules = Rules::new("five", &FIVE_MISTAKES);
    let output = shardloom(&["check", "--rules", rules.path()]);
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    let expected = [
        ("orders.yaml:3:13: ", "did you mean \"bigint\"?"),
        ("orders.yaml:4:1: ", "did you mean \"algorithm\"?"),
        ("orders.yaml:6:54: ", "did you mean \"order\"?"),
        ("topology.yaml:8:3: ", "bucket 2048 is placed on no shard"),
        ("topology.yaml:10:7: ", "no shard is named \"s9\""),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, (place, message)) in lines.iter().zip(expected) {
        assert!(line.contains(place) && line.contains(message), "{line}");
    }
    let output = shardloom(&["check", "--rules", rules.path(), "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json(&output)["findings"].as_array().map(Vec::len), Some(5));
}

#[test]
fn the_examples_rules_and_their_golden_tests_hold() {
    let output = shardloom(&["check", "--rules", EXAMPLE, "--shards", "3"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("9 golden tests hold"));
    let pgbench = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/pgbench/rules");
    assert_eq!(shardloom(&["check", "--rules", pgbench, "--shards", "3"]).status.code(), Some(0));
    let without = shardloom(&["check", "--rules", EXAMPLE]);
    assert_eq!(without.status.code(), Some(1));
    assert!(text(&without.stdout).contains("no document of kind Topology"));
}

#[test]
fn a_golden_test_that_fails_is_a_finding_with_its_place() {
    let wrong = "kind: SingleTables\ntables: [settings]\ntests:\n\
        - {sql: select value from settings, shards: 2}\n\
        - {sql: select value from settings, error: missing_sharding_key}\n\
        - {sql: select value from settings, shards: [s0]}\n";
    let rules = Rules::new("golden", &[("settings.yaml", wrong)]);
    let output = shardloom(&["check", "--rules", rules.path(), "--shards", "2"]);
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].ends_with("settings.yaml:4:3: expected 2 shards, planned 1 (s0)"), "{}", lines[0]);
    assert!(lines[1].contains("settings.yaml:5:3: expected the error missing_sharding_key"), "{}", lines[1]);
}

#[test]
fn route_says_shards_statements_merge_and_mode() {
    let route = |sql: &str, more: &[&str]| {
        let mut arguments = vec!["route", "--rules", EXAMPLE, "--shards", "3", sql];
        arguments.extend(more);
        shardloom(&arguments)
    };
    let bound = route("select * from orders where customer_id = $1", &["--param", "42", "--json"]);
    assert_eq!(bound.status.code(), Some(0));
    assert_eq!((&json(&bound)["kind"], &json(&bound)["shards"]), (&"direct".into(), &serde_json::json!(["s1"])));

    let merged = json(&route("select customer_id from orders order by 1 limit 2 offset 1", &["--json"]));
    assert_eq!(merged["merge"], serde_json::json!(["order by column 1", "skip 1 rows", "at most 2 rows"]));
    assert_eq!(merged["statements"].as_array().map(Vec::len), Some(3));

    for (sql, mode) in [
        ("update orders set total = 1 where customer_id in (1, 2)", "eager"),
        // Offline nobody knows the columns' defaults, so a redo could differ.
        ("insert into orders (customer_id) values (1), (2)", "two_phase"),
        ("update regions set name = 'x'", "eventual"),
        ("truncate orders", "two_phase"),
        ("copy orders (customer_id) from stdin", "two_phase"),
    ] {
        assert_eq!(json(&route(sql, &["--json"]))["write"]["mode"], mode, "{sql}");
    }

    let refused = route("update orders set total = 1", &["--json"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(json(&refused)["error"]["sqlstate"], "22023");
    let refused = route("update orders set total = 1", &[]);
    assert!(text(&refused.stderr).contains("hint: "), "{}", text(&refused.stderr));
}

#[test]
fn wrong_use_exits_with_2_and_no_with_1() {
    let code = |arguments: &[&str]| shardloom(arguments).status.code();
    assert_eq!(code(&["nonsense"]), Some(2));
    assert_eq!(code(&["--json"]), Some(2));
    assert_eq!(code(&["ledger", "retry", "1"]), Some(2), "a change needs a reason");
    assert_eq!(code(&["ledger", "retry", "1", "--reason", " "]), Some(2));
    assert_eq!(code(&["serve", "--config", "/no/such/file"]), Some(2));
    assert_eq!(code(&["dev", "--rules", "/no/such/folder"]), Some(2));
    assert_eq!(code(&["check", "--rules", "/no/such/folder"]), Some(1));
    assert_eq!(code(&["id", "decode", "--", "-1"]), Some(1));
    let nobody = shardloom(&["status", "--admin-port", "1"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(text(&nobody.stderr).contains("no proxy answers at http://127.0.0.1:1"));
}

#[test]
fn version_and_ids_have_the_fields_that_scripts_read() {
    let version = json(&shardloom(&["--version", "--json"]));
    assert!(["version", "commit", "features", "transports"].iter().all(|field| version.get(field).is_some()));
    let decoded = json(&shardloom(&["id", "decode", "117429785893894159", "--rules", EXAMPLE, "--json"]));
    assert_eq!((&decoded["tag_code"], &decoded["tag"]), (&1.into(), &"order".into()));
}

#[test]
fn an_id_is_taken_apart_offline() {
    let decoded = json(&shardloom(&["id", "decode", "117429785893894159", "--json"]));
    assert_eq!((&decoded["tag_code"], &decoded["tag"]), (&1.into(), &Value::Null));
    assert_eq!(decoded["id"], 117_429_785_893_894_159_i64);
    let bench = json(&shardloom(&["id", "bench", "--seconds", "1", "--json"]));
    assert!(bench["ids_per_second"].as_u64().is_some_and(|rate| rate > 10_000), "{bench}");
}

/// Goal: every command that talks to a running proxy does, as JSON and for people.
#[tokio::test]
async fn commands_that_ask_a_proxy_show_its_ledger_and_change_it_with_a_reason() {
    let database = TestDatabase::new("cli");
    let proxy = Proxy::start(&database, REFERENCE_RULES, ProxyOptions::default()).await;
    proxy.gates_open().await;
    let port = proxy.admin_port().to_string();
    let ask = |arguments: &[&str]| shardloom(&[arguments, &["--admin-port", &port]].concat());

    let client = proxy.client().await;
    client.batch_execute("CREATE TABLE regions (id int PRIMARY KEY, name text)").await.unwrap();
    client.batch_execute("INSERT INTO regions VALUES (1, 'North')").await.unwrap();
    let rows = client.simple_query("SHOW shardloom.last_txn").await.unwrap();
    let txid = rows
        .iter()
        .find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .expect("a transaction");

    let listed = json(&ask(&["ledger", "ls", "--json"]));
    let found = listed.as_array().unwrap().iter().find(|row| row["txid"].as_i64() == txid.parse().ok());
    assert_eq!(found.expect("the transaction is listed")["mode"], "eventual");
    assert!(json(&ask(&["ledger", "ls", "--state", "attention", "--json"])).as_array().unwrap().is_empty());
    let shown = ask(&["ledger", "show", &txid]);
    assert_eq!(shown.status.code(), Some(0));
    assert!(text(&shown.stdout).contains("s1") && text(&shown.stdout).contains("expected_rows"));
    let missing = ask(&["ledger", "show", "5"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("42704"));
    assert_eq!(ask(&["ledger", "ls", "--state", "bogus"]).status.code(), Some(1));
    // Retry of what is finished changes nothing and says so.
    let retried = ask(&["ledger", "retry", &txid, "--reason", "a test", "--json"]);
    assert_eq!(json(&retried)["changed"], 0);

    let status = json(&ask(&["status", "--json"]));
    let names: Vec<&str> = status["shards"].as_array().unwrap().iter().filter_map(|s| s["name"].as_str()).collect();
    assert_eq!(names, ["s0", "s1", "s2"]);
    assert!(status["shards"][0]["address"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(text(&ask(&["status"]).stdout).contains("ready: true"));
    assert!(json(&ask(&["lanes", "--json"])).as_array().unwrap().len() == 6);
    for list in ["ddl", "routes"] {
        assert!(json(&ask(&[list, "--json"])).is_array(), "{list}");
    }
    assert!(text(&ask(&["dead-letters"]).stdout).contains("no dead letters"));

    let ids = json(&ask(&["id", "next", "order", "-n", "3", "--json"]));
    assert_eq!(ids["ids"].as_array().map(Vec::len), Some(3));
    let unknown = ask(&["id", "next", "nosuch"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("The tags are: order"), "{}", text(&unknown.stderr));
}

/// Goal: the container's configuration and rules are of this version.
#[test]
fn the_containers_files_are_accepted() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let topology = read("docker/shard-rules/topology.yaml");
    let (ids, shop) = (read("shard-rules/ids.yaml"), read("shard-rules/shop.yaml"));
    let rules = Rules::new("docker", &[("topology.yaml", &topology), ("ids.yaml", &ids), ("shop.yaml", &shop)]);
    let output = shardloom(&["check", "--rules", rules.path()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));

    let environment = |name: &str| Some(format!("secret of {name}"));
    let config =
        shardloom::config::Config::parse("docker/shardloom.yaml", &read("docker/shardloom.yaml"), &environment)
            .unwrap_or_else(|findings| panic!("{findings:?}"));
    assert_eq!(config.listen.address.port(), 6432);
    assert!(config.admin.address.ip().is_loopback(), "the admin port stays inside of the container");
    assert_eq!(config.users[0].name, "app");
}

#[test]
fn keys_that_are_not_there_yet_are_refused_with_their_place() {
    let files = Rules::new(
        "later",
        &[("shardloom.yaml", "users: [{name: a, password: b}]\nservice: {user: c}\ntelemetry: {otlp: x}\n")],
    );
    let output = shardloom(&["serve", "--config", files.0.join("shardloom.yaml").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("shardloom.yaml:3:19: \"otlp\" is not available yet"), "{said}");
}
