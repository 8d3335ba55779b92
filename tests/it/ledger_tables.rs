//! Copies of reference tables: compared exactly while they are written, and copied again.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::ledger::{Shop, ok};
use crate::support::{ProxyOptions, RawClient, shardloom};

/// Comparisons wanted, and tries at most: on a busy machine a barrier may come too late to be compared.
const COMPARISONS: usize = 20;
const TRIES_MAX: usize = 40;

/// Writes the table, by itself and together with sharded rows, until it is told to stop.
fn write_until(mut client: RawClient, seed: u64, accounts: &[i64], stop: &AtomicBool) {
    // Faster than the copies follow, the backlog would grow, and each barrier waits with all that is before it.
    ok(&client.simple("SET shardloom.commit_wait = 'all 10s'"));
    let mut random = seed;
    let mut next = |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    while !stop.load(Ordering::Relaxed) {
        let id = next(60);
        let sql = match next(5) {
            0 => format!("DELETE FROM regions WHERE id = {id}"),
            1 => format!("UPDATE regions SET name = 'u{}' WHERE id BETWEEN {id} AND {}", next(1000), id + 5),
            2 => format!(
                "BEGIN; UPDATE accounts SET balance = balance WHERE id = {}; UPDATE regions SET name = 't{}' WHERE id = {id}; \
                 UPDATE accounts SET balance = balance WHERE id = {}; COMMIT",
                accounts[0],
                next(1000),
                accounts[1]
            ),
            _ => format!(
                "INSERT INTO regions VALUES ({id}, 'i') ON CONFLICT (id) DO UPDATE SET name = 'c{}'",
                next(1000)
            ),
        };
        let reply = client.simple(&sql);
        // Two writers of rows on several shards may be in each other's way.
        if reply.error().is_some_and(|(state, _)| state != "40P01") {
            ok(&reply);
        }
        client.simple("ROLLBACK");
    }
}

fn states(report: &Value) -> Vec<String> {
    let copies = report["copies"].as_array().unwrap_or_else(|| panic!("{report}"));
    copies
        .iter()
        .map(|copy| format!("{} {}", copy["target"].as_str().unwrap(), copy["state"].as_str().unwrap()))
        .collect()
}

/// Goal: a comparison under write load never finds a difference that is not there; one that is there is named and mended.
#[tokio::test]
async fn a_comparison_is_exact_while_the_table_is_written() {
    let shop = Shop::open("tables_verify", ProxyOptions::default()).await;
    let accounts = shop.one_per_shard().await;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for seed in 0..3 {
            let (client, stop, accounts) = (shop.raw(), &stop, &accounts[1..]);
            scope.spawn(move || write_until(client, seed, accounts, stop));
        }
        let mut exact = 0;
        for _ in 0..TRIES_MAX {
            let report = shop.cli(&["ledger", "verify", "regions"]);
            let states = states(&report);
            if states.iter().any(|state| state.ends_with("different")) {
                stop.store(true, Ordering::Relaxed);
                panic!("comparison {exact}: {report:#}");
            }
            exact += usize::from(states == ["s1 equal", "s2 equal"]);
            if exact == COMPARISONS {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert_eq!(exact, COMPARISONS, "too few barriers came in time");
    });
    shop.inspector.settled().await;
    shop.inspector.copies_equal("regions").await;

    ok(&shop.raw().simple("DELETE FROM regions; INSERT INTO regions SELECT i, 'r' FROM generate_series(1, 50) i"));
    shop.inspector.settled().await;
    let harm = "SET session_replication_role = replica; UPDATE regions SET name = 'x' WHERE id = 7; \
                DELETE FROM regions WHERE id = 9; INSERT INTO regions VALUES (777, 'extra'); RESET session_replication_role";
    shop.inspector.shard(2).batch_execute(harm).await.unwrap();
    let report = shop.cli(&["ledger", "verify", "regions"]);
    assert_eq!(states(&report), ["s1 equal", "s2 different"], "{report:#}");
    assert_eq!(report["rows"], 50);
    let mut named: Vec<String> = report["copies"][1]["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {}", row["key"].as_str().unwrap(), row["kind"].as_str().unwrap()))
        .collect();
    named.sort();
    assert_eq!(named, ["{\"id\" : 777} extra", "{\"id\" : 7} different", "{\"id\" : 9} missing"]);
    let port = shop.proxy.admin_port().to_string();
    let verify = ["ledger", "verify", "regions", "--admin-port", &port];
    let output = shardloom(&verify);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("plan: copy 3 rows from home to s2 again") && text.contains("777} extra"), "{text}");
    let output = shardloom(&[&verify[..], &["--repair", "--reason", "somebody wrote the copy"]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    shop.inspector.settled().await;
    shop.inspector.copies_equal("regions").await;
    shop.inspector.ledger_agrees().await;
    assert_eq!(shardloom(&verify).status.code(), Some(0));
    let audit = shop.cli(&["ledger", "audit"]);
    assert!(audit[0]["verb"] == "resync" && audit[0]["reason"] == "somebody wrote the copy", "{audit}");
    let unknown = shardloom(&["ledger", "verify", "accounts", "--admin-port", &port]);
    assert!(
        unknown.status.code() == Some(1) && String::from_utf8_lossy(&unknown.stderr).contains("no reference table")
    );
    let mut console = RawClient::connect(shop.proxy.port(), "shardloom", "app", "app");
    assert_eq!(ok(&console.simple("SHOW AUDIT")).rows().len(), 1);
    assert_eq!(ok(&console.simple("SHOW INDOUBT")).rows().len(), 0);
}

/// Goal: a copy that was lost is copied again in steps while the table is written, whatever its keys and types are, and
/// however the servers are set.
#[tokio::test]
async fn a_whole_copy_is_made_anew_while_the_table_is_written() {
    let shop = Shop::open("tables_resync", ProxyOptions::default()).await;
    let name = &shop.database.name;
    let settings = format!(
        "ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'; ALTER DATABASE {name} SET datestyle = 'German'; \
         ALTER DATABASE {name} SET extra_float_digits = -5; ALTER DATABASE {name} SET bytea_output = 'escape'"
    );
    shop.inspector.shard(1).batch_execute(&settings).await.unwrap();
    let mut client = shop.raw();
    ok(&client.simple("INSERT INTO regions SELECT i, 'r' || i FROM generate_series(1, 2500) i"));
    ok(&client.simple(
        "INSERT INTO prices SELECT 'C' || chr(65 + i % 26) || chr(97 + i % 7), date '2026-01-01' + i, i / 3.0, \
         now(), 1e-17 * i, decode('00ff', 'hex'), interval '1 day 3 hours', NULL FROM generate_series(1, 1200) i",
    ));
    shop.inspector.settled().await;
    let harm = "SET session_replication_role = replica; DELETE FROM regions WHERE id % 3 = 0; \
                INSERT INTO regions SELECT -i, 'extra' FROM generate_series(1, 20) i; UPDATE prices SET price = 0 WHERE ascii(country) > 0; \
                INSERT INTO prices VALUES ('zz', '2026-01-01', 1), ('Ä', '2026-01-01', 1); RESET session_replication_role";
    shop.inspector.shard(1).batch_execute(harm).await.unwrap();
    let report = shop.cli(&["ledger", "verify", "regions"]);
    assert_eq!(states(&report), ["s1 different", "s2 equal"]);
    assert_eq!(report["copies"][0]["more"], true);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (writer, stop) = (shop.raw(), &stop);
        let accounts = [1, 2];
        scope.spawn(move || write_until(writer, 9, &accounts, stop));
        let done = shop.cli(&["ledger", "resync", "regions", "--target", "s1", "--reason", "a disk was lost"]);
        assert!(done["steps"].as_i64() >= Some(3) && done["rows"].as_i64() >= Some(2_400), "{done}");
        stop.store(true, Ordering::Relaxed);
    });
    shop.cli(&["ledger", "resync", "prices", "--reason", "a disk was lost"]);
    shop.inspector.settled().await;
    for table in ["regions", "prices"] {
        let report = shop.cli(&["ledger", "verify", table]);
        assert_eq!(states(&report), ["s1 equal", "s2 equal"], "{report:#}");
    }
    shop.inspector.copies_equal("regions").await;
    shop.inspector.ledger_agrees().await;
}
