//! Idempotency keys: what is sent again is done once, whatever died in between.

use crate::ledger::{Shop, ok, refused};
use crate::support::{ProxyOptions, RawClient};

/// Adds `amount` to accounts, with a key.
fn add(key: &str, ids: &[i64], amount: i64) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let ids = ids.join(", ");
    format!("/* shardloom: idem={key} */ UPDATE accounts SET balance = balance + {amount} WHERE id IN ({ids})")
}

fn last_txn(client: &mut RawClient) -> String {
    let reply = client.simple("SHOW shardloom.last_txn");
    ok(&reply).rows()[0][0].clone().expect("a transaction")
}

async fn total(shop: &Shop) -> i64 {
    shop.inspector.sum("SELECT sum(balance) FROM accounts").await - 3_000
}

/// Goal: a statement sent again with its key, over one shard or several, answers the same and changes nothing.
#[tokio::test]
async fn a_repeated_statement_answers_the_same_and_changes_nothing() {
    let shop = Shop::open("keys_statement", ProxyOptions::default()).await;
    let ids = shop.one_per_shard().await;
    let mut client = shop.raw();
    for (key, ids) in [("one", &ids[1..2]), ("two", &ids[..2]), ("all", &ids[..])] {
        let before = total(&shop).await;
        ok(&client.simple(&add(key, ids, 1)));
        let txid = last_txn(&mut client);
        for _ in 0..2 {
            let mut other = shop.raw();
            let reply = other.simple(&add(key, ids, 1));
            assert_eq!(
                (ok(&reply).tags(), last_txn(&mut other)),
                (vec![format!("UPDATE {}", ids.len())], txid.clone())
            );
        }
        assert_eq!(total(&shop).await - before, ids.len() as i64, "{key}");
        refused(&client.simple(&add(key, ids, 2)), "22023", &txid);
        assert_eq!(total(&shop).await - before, ids.len() as i64, "{key}");
    }
    let one = "SELECT count(*) FROM shardloom.ledger WHERE idempotency_key = 'one' AND state = 'DONE'";
    assert_eq!(shop.inspector.sum(one).await, 1);

    // What no shard's rows are touched by has a key as well, and what a row refuses does not take it.
    let nothing = "/* shardloom: idem=none */ DELETE FROM accounts WHERE id = -1";
    for _ in 0..2 {
        assert_eq!(ok(&client.simple(nothing)).tags(), ["DELETE 0"]);
    }
    let insert = |id: i64| format!("/* shardloom: idem='first one' */ INSERT INTO notes (id, text) VALUES ({id}, 'n')");
    ok(&client.simple("INSERT INTO notes (id) VALUES (1)"));
    refused(&client.simple(&insert(1)), "23505", "notes_pkey");
    for _ in 0..2 {
        assert_eq!(ok(&client.simple(&insert(2))).tags(), ["INSERT 0 1"]);
    }
    ok(&client.simple("/* shardloom: idem=region */ INSERT INTO regions VALUES (1, 'r')"));
    ok(&client.simple("/* shardloom: idem=region */ INSERT INTO regions VALUES (1, 'r')"));
    shop.inspector.settled().await;
    shop.inspector.copies_equal("regions").await;
    shop.inspector.ledger_agrees().await;
}

/// Goal: prepared statements have keys; other values are another statement.
#[tokio::test]
async fn values_are_part_of_what_a_key_stands_for() {
    let shop = Shop::open("keys_prepared", ProxyOptions::default()).await;
    let id = shop.one_per_shard().await[2];
    let client = shop.proxy.client().await;
    let sql = "/* shardloom: idem=k1 */ UPDATE accounts SET balance = balance + $1 WHERE id = $2";
    for _ in 0..3 {
        assert_eq!(client.execute(sql, &[&5i64, &id]).await.expect("it is done once"), 1);
    }
    let prepared = client.prepare(sql).await.expect("it is described");
    assert_eq!((prepared.params().len(), prepared.columns().len()), (2, 0));
    assert_eq!(client.execute(&prepared, &[&5i64, &id]).await.expect("it is done once"), 1);
    let error = client.execute(&prepared, &[&6i64, &id]).await.expect_err("another statement");
    assert_eq!(error.code().map(|code| code.code()), Some("22023"));
    assert_eq!(total(&shop).await, 5);
}

/// Goal: an INSERT whose row would go elsewhere the second time, because the proxy makes its key, is done once.
#[tokio::test]
async fn a_row_with_a_made_key_is_inserted_once() {
    let shop = Shop::open("keys_made", ProxyOptions::default()).await;
    let mut client = shop.raw();
    for round in 0..4 {
        let sql = format!("/* shardloom: idem=made{round} */ INSERT INTO events (note) VALUES ('a')");
        for _ in 0..4 {
            assert_eq!(ok(&client.simple(&sql)).tags(), ["INSERT 0 1"]);
        }
        assert_eq!(shop.inspector.sum("SELECT count(*) FROM events").await, round + 1);
    }
    shop.inspector.settled().await;
    shop.inspector.ledger_agrees().await;
}

/// Goal: of clients that send the same at the same time one does it, and all are answered as that one.
#[tokio::test]
async fn retries_at_the_same_time_wait_for_the_first() {
    let shop = Shop::open("keys_race", ProxyOptions::default()).await;
    let ids = shop.one_per_shard().await;
    for round in 0..5 {
        let sqls = [
            add(&format!("race{round}"), &ids[..1 + round % 3], 1),
            format!("/* shardloom: idem=ev{round} */ INSERT INTO events (note) VALUES ('a')"),
        ];
        for sql in sqls {
            let tags: Vec<_> = std::thread::scope(|scope| {
                let clients: Vec<_> = (0..6)
                    .map(|_| {
                        let (mut client, sql) = (shop.raw(), &sql);
                        scope.spawn(move || ok(&client.simple(sql)).tags())
                    })
                    .collect();
                clients.into_iter().map(|client| client.join().unwrap()).collect()
            });
            assert!(tags.iter().all(|tag| *tag == tags[0]), "{tags:?}");
        }
    }
    assert_eq!(total(&shop).await, 1 + 2 + 3 + 1 + 2);
    assert_eq!(shop.inspector.sum("SELECT count(*) FROM events").await, 5);
    shop.inspector.settled().await;
    shop.inspector.ledger_agrees().await;
}

/// Goal: a transaction with a key commits once; the next one with it is told at once, waits for one that is open, and
/// goes on if that one rolls back.
#[tokio::test]
async fn a_transaction_with_a_key_commits_once() {
    let shop = Shop::open("keys_block", ProxyOptions::default()).await;
    let ids = shop.one_per_shard().await;
    let begin = |key: &str| format!("BEGIN; SET LOCAL shardloom.idempotency_key = '{key}'");
    let work = format!(
        "UPDATE accounts SET balance = balance - 7 WHERE id = {}; UPDATE accounts SET balance = balance + 8 WHERE id = {}; \
         INSERT INTO regions VALUES (1, 'r')",
        ids[1], ids[2]
    );
    let mut client = shop.raw();
    ok(&client.simple(&format!("{}; {work}; COMMIT", begin("t1"))));
    let txid = last_txn(&mut client);
    for _ in 0..2 {
        refused(&client.simple(&begin("t1")), "23505", &txid);
        ok(&client.simple("ROLLBACK"));
    }
    refused(&client.simple(&add("t1", &ids[..1], 1)), "22023", &txid);
    assert_eq!(total(&shop).await, 1);

    for end in ["ROLLBACK", "COMMIT"] {
        let mut other = shop.raw();
        ok(&client.simple(&begin("t2")));
        let sql = format!("{}; UPDATE accounts SET balance = balance + 1 WHERE id = {}; COMMIT", begin("t2"), ids[2]);
        let waiting = std::thread::spawn(move || other.simple(&sql));
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                     AND wait_event_type = 'Lock' AND query LIKE 'INSERT INTO shardloom.idempotency%'";
        shop.until(0, waits, "1").await;
        ok(&client.simple(end));
        let reply = waiting.join().unwrap();
        match end {
            "ROLLBACK" => {
                ok(&reply);
                // It was the one that committed with the key.
                shop.inspector
                    .shard(0)
                    .batch_execute("DELETE FROM shardloom.idempotency WHERE key = 't2'")
                    .await
                    .unwrap();
            }
            _ => refused(&reply, "23505", "t2"),
        }
    }
    assert_eq!(total(&shop).await, 2);
    refused(&client.simple("SET shardloom.idempotency_key = 'x'"), "22023", "one transaction");
    refused(&client.simple("SET LOCAL shardloom.idempotency_key = 'x'"), "25P01", "transaction blocks");
    ok(&client.simple(&format!("BEGIN; UPDATE accounts SET balance = balance WHERE id = {}", ids[1])));
    refused(&client.simple("SET LOCAL shardloom.idempotency_key = 'x'"), "25001", "before the first write");
    ok(&client.simple("ROLLBACK"));
    refused(&client.simple(&format!("BEGIN; {}", add("t3", &ids[..1], 1))), "25001", "commits by itself");
    ok(&client.simple("ROLLBACK"));
    refused(&client.simple("/* shardloom: idem=s */ SELECT 1"), "0A000", "INSERT");
    refused(&client.simple(&add(&"k".repeat(256), &ids[..1], 1)), "22023", "255 bytes");
    shop.inspector.settled().await;
    shop.inspector.copies_equal("regions").await;
    shop.inspector.ledger_agrees().await;
}

/// Goal: the proxy dies at each step; what the client sends again with its key is done exactly once.
#[tokio::test]
async fn a_retry_after_the_proxy_died_is_done_exactly_once() {
    let mut shop = Shop::open("keys_killed", ProxyOptions::default()).await;
    let ids = shop.one_per_shard().await;
    let points = ["before_home_commit", "home_commit_sent", "after_home_commit", "after_target_commit"];
    let mut wanted = 0;
    for (round, point) in points.into_iter().enumerate() {
        let ids = &ids[1..2 + round % 2];
        let key = format!("killed{round}");
        let statement = add(&key, ids, 1);
        let block = format!(
            "BEGIN; SET LOCAL shardloom.idempotency_key = 'b{key}'; UPDATE accounts SET balance = balance + 1 WHERE id = {}; COMMIT",
            ids[0]
        );
        for sql in [statement, block] {
            shop.proxy.set_environment(vec![("SHARDLOOM_FAULT".to_owned(), format!("{point}:abort"))]);
            shop.proxy.restart().await;
            let mut client = shop.raw();
            assert!(client.try_simple(&sql).is_none(), "{point}: the proxy was to die");
            shop.proxy.ended().await;
            shop.proxy.set_environment(Vec::new());
            shop.proxy.restart().await;
            let mut client = shop.raw();
            let reply = client.simple(&sql);
            if sql.starts_with("BEGIN") {
                wanted += 1;
                assert!(reply.error().is_none_or(|(state, _)| state == "23505"), "{point}: {reply:?}");
            } else {
                wanted += ids.len() as i64;
                assert_eq!(ok(&reply).tags(), [format!("UPDATE {}", ids.len())], "{point}");
            }
            shop.inspector.settled().await;
            assert_eq!(total(&shop).await, wanted, "{point}: {sql}");
        }
    }
    shop.inspector.ledger_agrees().await;
}
