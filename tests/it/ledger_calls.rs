//! What clients ask of the ledger: `txn_status`, `wait_for`, and what their COMMIT waits for.

use std::time::{Duration, Instant};

use crate::chaos_lost::Relayed;
use crate::ledger::{Shop, ok, refused};
use crate::support::{DECISION, Event, ProxyOptions, RawClient};

/// Returns the only cell of the only row.
fn cell(client: &mut RawClient, sql: &str) -> Option<String> {
    let reply = client.simple(sql);
    ok(&reply).rows()[0][0].clone()
}

fn last_txn(client: &mut RawClient) -> i64 {
    cell(client, "SHOW shardloom.last_txn").expect("a transaction").parse().expect("a number")
}

fn status(client: &mut RawClient, txid: i64) -> Option<String> {
    cell(client, &format!("SELECT shardloom.txn_status({txid})"))
}

fn warnings(events: &[Event]) -> Vec<String> {
    let fields = events.iter().filter_map(|event| if let Event::Notice(fields) = event { Some(fields) } else { None });
    fields.map(|fields| format!("{} {}", fields[&'C'], fields[&'M'])).collect()
}

fn transfer(ids: &[i64]) -> String {
    format!(
        "BEGIN; UPDATE accounts SET balance = balance - 1 WHERE id = {}; \
         UPDATE accounts SET balance = balance + 1 WHERE id = {}; COMMIT",
        ids[0], ids[1]
    )
}

/// Goal: the truth about a transaction in both protocols; one that nobody knows is fenced, on every shard, or unknown.
#[tokio::test]
async fn a_transactions_status_is_told_in_both_protocols() {
    let shop = Shop::open("calls_status", ProxyOptions::default()).await;
    let mut client = shop.raw();
    ok(&client.simple(&transfer(&shop.one_per_shard().await)));
    let txid = last_txn(&mut client);
    assert_eq!(status(&mut client, txid).as_deref(), Some("committed"));
    assert_eq!(cell(&mut client, &format!("SELECT shardloom.wait_for({txid}, '5s')")).as_deref(), Some("t"));
    assert_eq!(cell(&mut client, &format!("SELECT * FROM shardloom.wait_for('{txid}') AS x")).as_deref(), Some("t"));
    assert_eq!(status(&mut client, 5), None);

    // Nobody drew this one: asked for, it can never commit.
    let never = txid + 1;
    for _ in 0..2 {
        assert_eq!(status(&mut client, never).as_deref(), Some("aborted"));
    }
    assert_eq!(cell(&mut client, &format!("SELECT shardloom.wait_for({never}, '5s')")).as_deref(), Some("f"));
    let fences = format!("SELECT count(*) FROM shardloom.ledger WHERE txid = {never} AND state = 'ABORTED'");
    assert_eq!(shop.inspector.sum(&fences).await, 3);

    let driver = shop.proxy.client().await;
    let prepared = driver.prepare("SELECT shardloom.txn_status($1)").await.expect("it is described");
    for _ in 0..2 {
        let found: Option<String> = driver.query_one(&prepared, &[&txid]).await.expect("an answer").get(0);
        assert_eq!(found.as_deref(), Some("committed"));
        let found: Option<String> = driver.query_one(&prepared, &[&5i64]).await.expect("an answer").get(0);
        assert_eq!(found, None);
    }
    let waited = "SELECT shardloom.wait_for($1, $2) AS there";
    let row = driver.query_one(waited, &[&txid, &"2s"]).await.expect("an answer");
    assert_eq!((row.columns()[0].name(), row.get(0)), ("there", true));
    refused(&client.simple(&format!("SELECT shardloom.wait_for({txid}, '2 sec')")), "22023", "invalid time");
    refused(&client.simple("SELECT shardloom.txn_status('x')"), "22P02", "bigint");
    refused(&client.simple("SELECT shardloom.txn_status(1) || 'x'"), "0A000", "txn_status");
}

/// Goal: a transaction whose COMMIT is under way is neither fenced nor told to be aborted.
#[tokio::test]
async fn a_commit_under_way_is_in_progress_and_commits() {
    let shop = Shop::open("calls_progress", ProxyOptions::default()).await;
    let ids = shop.one_per_shard().await;
    shop.inspector.shard(0).batch_execute("BEGIN; LOCK TABLE shardloom.ledger IN SHARE MODE").await.unwrap();
    let mut writer = shop.raw();
    let work = transfer(&ids).replacen("BEGIN;", "BEGIN; SET LOCAL shardloom.multi_shard = 'two_phase';", 1);
    let writing = std::thread::spawn(move || writer.simple(&work).error());
    // The target is prepared, and home waits for the lock.
    let find = "SELECT split_part(gid, '_', 2) FROM pg_prepared_xacts WHERE database = current_database()";
    let watcher = shop.database.service(1).await;
    let began = Instant::now();
    let txid: i64 = loop {
        let found = watcher.query(find, &[]).await.unwrap();
        if let Some(txid) = found.iter().find_map(|row| row.get::<_, Option<String>>(0)) {
            break txid.parse().unwrap();
        }
        assert!(began.elapsed() < Duration::from_secs(20), "the COMMIT does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let mut client = shop.raw();
    assert_eq!(status(&mut client, txid).as_deref(), Some("in progress"));
    assert_eq!(cell(&mut client, &format!("SELECT shardloom.wait_for({txid}, '50ms')")).as_deref(), Some("f"));
    shop.inspector.shard(0).batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(writing.join().unwrap(), None);
    assert_eq!(status(&mut client, txid).as_deref(), Some("committed"));
}

/// Goal: after 08007 the client learns what became of its transaction as soon as home is back, and "in doubt" before.
#[tokio::test]
async fn an_unknown_outcome_is_told_once_home_is_back() {
    let relayed = Relayed::open("calls_unknown").await;
    let mut client = relayed.proxy.raw();
    relayed.cutters[0].arm(DECISION);
    relayed.cutters[0].refuse(true);
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shardloom outbox' \
               AND datname = current_database()";
    relayed.inspector.shard(0).batch_execute(end).await.unwrap();
    client.simple("BEGIN");
    let reply = relayed.transfer_reply(&mut client, 0, 1);
    let Some(Event::Error(fields)) = reply.events.iter().find(|event| matches!(event, Event::Error(_))) else {
        panic!("{reply:?}")
    };
    assert!(fields[&'C'] == "08007" && fields[&'H'].contains("shardloom.txn_status("), "{fields:?}");
    let txid: String =
        fields[&'D'].chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    let txid: i64 = txid.parse().expect("the transaction's id");
    assert_eq!(status(&mut relayed.proxy.raw(), txid).as_deref(), Some("in doubt"));
    relayed.cutters[0].refuse(false);
    assert_eq!(status(&mut relayed.proxy.raw(), txid).as_deref(), Some("committed"));
    let wait = format!("SELECT shardloom.wait_for({txid}, '60s')");
    assert_eq!(cell(&mut relayed.proxy.raw(), &wait).as_deref(), Some("t"));
    assert_eq!(relayed.balances().await, [99, 101, 100]);
}

/// Goal: COMMIT waits as long as it was told to, no longer, and what is missing is a warning, never an error.
#[tokio::test]
async fn commit_waits_for_the_copies_and_warns_of_those_that_are_late() {
    let shop = Shop::open("calls_wait", ProxyOptions::default()).await;
    let mut client = shop.raw();
    assert_eq!(cell(&mut client, "SHOW shardloom.commit_wait").as_deref(), Some("none"));
    refused(&client.simple("SET shardloom.commit_wait = 'all'"), "22023", "commit_wait");
    ok(&client.simple("SET shardloom.commit_wait = 'all 30s'"));
    assert_eq!(cell(&mut client, "SHOW shardloom.commit_wait").as_deref(), Some("all 30s"));
    for id in 1..=5 {
        let reply = client.simple(&format!("INSERT INTO regions VALUES ({id}, 'r')"));
        assert!(warnings(&ok(&reply).events).is_empty(), "{reply:?}");
        assert_eq!(shop.inspector.sum("SELECT count(*) FROM regions").await, 3 * id);
    }
    shop.inspector.shard(1).batch_execute("BEGIN; LOCK TABLE regions IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let began = Instant::now();
    let reply = client
        .simple("BEGIN; SET LOCAL shardloom.commit_wait = 'all 300ms'; INSERT INTO regions VALUES (6, 'r'); COMMIT");
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    assert_eq!(ok(&reply).tags().last().map(String::as_str), Some("COMMIT"));
    let txid = last_txn(&mut client);
    let said = warnings(&reply.events);
    assert!(said.len() == 1 && said[0].contains(&txid.to_string()) && said[0].contains("s1"), "{said:?}");
    ok(&client.simple("SET shardloom.commit_wait = 'best_effort 50ms'"));
    let reply = client.simple("INSERT INTO regions VALUES (7, 'r')");
    assert!(warnings(&ok(&reply).events).is_empty(), "{reply:?}");
    assert_eq!(cell(&mut client, &format!("SELECT shardloom.wait_for({txid}, '50ms')")).as_deref(), Some("f"));
    shop.inspector.shard(1).batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(cell(&mut client, &format!("SELECT shardloom.wait_for({txid}, '30s')")).as_deref(), Some("t"));
    ok(&client.simple("RESET shardloom.commit_wait"));
    assert_eq!(cell(&mut client, "SHOW shardloom.commit_wait").as_deref(), Some("none"));
    shop.inspector.settled().await;
    shop.inspector.copies_equal("regions").await;
}

/// Goal: after home has lost a commit that a target has, as in a failover to a standby that lacked it, both show it.
#[tokio::test]
async fn what_home_has_lost_is_reported() {
    let shop = Shop::open("calls_lost", ProxyOptions::default()).await;
    let mut client = shop.raw();
    ok(&client.simple(&transfer(&shop.one_per_shard().await)));
    let txid = last_txn(&mut client);
    shop.inspector.settled().await;
    let mut console = RawClient::connect(shop.proxy.port(), "shardloom", "app", "app");
    assert!(ok(&console.simple("SHOW INDOUBT")).rows().is_empty());
    let lose = format!("DELETE FROM shardloom.ledger WHERE txid = {txid}");
    shop.inspector.shard(0).batch_execute(&lose).await.unwrap();
    let shown = shop.cli(&["ledger", "in-doubt"]);
    let row = &shown[0];
    assert_eq!(
        (row["txid"].as_i64(), &row["home"], &row["target"]),
        (Some(txid), &"s0".into(), &"s1".into()),
        "{shown}"
    );
    assert_eq!((row["kind"].as_str(), shown.as_array().map(Vec::len)), (Some("lost by home"), Some(1)));
    let began = Instant::now();
    while !shop.proxy.http("/metrics").expect("metrics").1.contains("shardloom_outbox_lost 1") {
        assert!(began.elapsed() < Duration::from_secs(60), "{}", shop.proxy.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
