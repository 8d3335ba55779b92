//! The outbox against real servers: capture, delivery, failures, recovery, leases. Each test makes its own databases.
//!
//! The caller starts three servers with `max_prepared_transactions` above 0 and hands over [`Servers`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use shardloom::outbox::{LedgerEntry, LedgerFilter, Outbox, ReferenceTable, Resolution, WorkerLease, inbox_insert};
use shardloom::rules::OnDead;
use shardloom::types::{Clock, ManualClock, ShardId, ShardSet, WriteMode};

use super::outbox_shop::{
    HOME, Servers, Shop, WAIT, credit, entry, ledger_insert, reference_entry, references, started,
};

/// Runs every test of this file, one after the other.
pub async fn all(servers: &Servers) {
    reference_writes_reach_every_copy(servers).await;
    copies_refuse_direct_writes_and_keyless_tables_all_writes(servers).await;
    a_write_around_the_proxy_is_found_and_copied(servers).await;
    a_poison_event_is_parked_with_its_key_and_the_lane_goes_on(servers).await;
    a_refused_image_is_resynced_by_default(servers).await;
    a_target_away_uses_up_nothing_and_catches_up(servers).await;
    a_second_proxy_takes_over_and_the_fence_refuses_the_first(servers).await;
    a_transaction_that_commits_late_is_not_lost(servers).await;
    what_several_shards_agree_on_is_flushed(servers).await;
    a_lost_eager_target_is_redone_exactly_once(servers).await;
    deferred_commands_are_delivered(servers).await;
    what_later_events_have_passed_is_still_delivered(servers).await;
    a_proxy_back_from_a_crash_redoes_before_it_writes(servers).await;
    prepared_transactions_are_decided_by_home(servers).await;
    an_unanswered_commit_is_resolved(servers).await;
    a_worker_id_is_leased_once_and_starts_after_its_reserve(servers).await;
    a_clock_that_steps_far_back_gets_a_better_worker_id(servers).await;
    a_worker_id_that_does_not_fit_any_more_is_changed(servers).await;
    the_app_role_may_write_just_what_it_needs(servers).await;
    ids_decode_in_sql(servers).await;
    a_proxy_without_the_lease_learns_what_the_owner_did(servers).await;
}

/// The relay belongs to one proxy; another one's transactions are delivered by it, and its gates open all the same.
pub async fn a_proxy_without_the_lease_learns_what_the_owner_did(servers: &Servers) {
    let shop = Shop::open(servers, "two").await;
    let owner = shop.installed(OnDead::Resync).await;
    let relay = started(&owner);
    let app = shop.app(0).await;
    shop.write(&owner, &app, 1001, "INSERT INTO regions (id, name) VALUES (1, 'a')").await;
    shop.done(1001).await;
    let other = shop.outbox("p2");
    let second = started(&other);
    other.gate(ShardId(1)).wait_open(WAIT).await.unwrap();
    shop.write(&other, &app, 1002, "INSERT INTO regions (id, name) VALUES (2, 'b')").await;
    assert!(other.wait_applied(1002, ShardId(1), WAIT).await);
    let flight = other.begin_flight(1003, HOME, [ShardId(1)].into_iter().collect());
    let record = LedgerEntry { proxy: "p2".into(), ..entry(1003, WriteMode::Eager, vec![credit("s1", 3)]) };
    app.batch_execute(&format!("BEGIN; {}; COMMIT", ledger_insert(&record))).await.unwrap();
    flight.unknown_targets(&[ShardId(1)], Vec::new());
    assert!(!other.gate(ShardId(1)).is_open());
    other.gate(ShardId(1)).wait_open(WAIT).await.unwrap();
    assert_eq!(shop.text(1, "SELECT balance FROM accounts WHERE id = 1").await, "103");
    owner.stop();
    relay.await.unwrap();
    second.abort();
}

/// Every kind of DML, a cascade, and awkward values arrive on the copies; counts agree.
pub async fn reference_writes_reach_every_copy(servers: &Servers) {
    let shop = Shop::open(servers, "copies").await;
    let outbox = shop.installed(OnDead::Resync).await;
    let relay = started(&outbox);
    let app = shop.app(0).await;
    app.batch_execute("SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'").await.unwrap();
    let insert = "INSERT INTO regions (id, name, big, doc) SELECT i, 'r' || i, 12345678901234567890.1230, \
                  '{\"a\":[1,null,\"x\"]}' FROM generate_series(1, 50) i; INSERT INTO cities (region, name) \
                  SELECT id, name FROM regions";
    shop.write(&outbox, &app, 101, insert).await;
    assert!(outbox.wait_applied(101, ShardId(1), WAIT).await && outbox.wait_applied(101, ShardId(2), WAIT).await);
    shop.write(
        &outbox,
        &app,
        102,
        "UPDATE regions SET id = id + 1000 WHERE id <= 3; DELETE FROM regions WHERE id = 10",
    )
    .await;
    shop.write(
        &outbox,
        &app,
        103,
        "UPDATE regions SET name = 'swap' WHERE id = 20; UPDATE regions SET name = 'r20' WHERE id = 21; \
             UPDATE regions SET name = 'r21' WHERE id = 20",
    )
    .await;
    shop.write(
        &outbox,
        &app,
        104,
        "UPDATE regions SET name = 'x' WHERE id = 21; DELETE FROM regions WHERE id = 30; \
                INSERT INTO regions (id, name) VALUES (30, 'again'), (31000, E'\\\\ \\'quoted\\' ü')",
    )
    .await;
    shop.write(&outbox, &app, 105, "UPDATE regions SET name = name WHERE false").await;
    for txid in 101..=105 {
        shop.done(txid).await;
    }
    shop.copies_equal("regions").await;
    shop.copies_equal("cities").await;
    assert_eq!(shop.text(1, "SELECT count(*) FROM cities WHERE region = 10").await, "0");
    let detail = outbox.ledger_show(101).await.unwrap();
    assert_eq!((detail.captured_rows, detail.row.user.as_deref()), (100, Some("ünï'\\")));
    assert!(
        detail.targets.iter().all(|t| t.affected_rows == Some(100) && !t.drift && t.state == "APPLIED"),
        "{detail:?}"
    );
    shop.write(&outbox, &app, 106, "TRUNCATE cities; INSERT INTO cities (region, name) VALUES (20, 'last')").await;
    shop.done(106).await;
    shop.copies_equal("cities").await;
    shop.until(0, "SELECT count(*) FROM shardloom.outbox", "0").await;
    assert_eq!(outbox.ledger(LedgerFilter { limit: 2, ..LedgerFilter::default() }).await.len(), 2);
    assert!(outbox.lanes().await.iter().all(|lane| lane.state == "ok" && lane.gate_open));
    outbox.stop();
    relay.await.unwrap();
}

/// The guard refuses on copies; a table without a primary key is refused on home; leaving the rules frees both.
pub async fn copies_refuse_direct_writes_and_keyless_tables_all_writes(servers: &Servers) {
    let shop = Shop::open(servers, "guard").await;
    let outbox = shop.installed(OnDead::Resync).await;
    let error = shop.clients[1].batch_execute("INSERT INTO regions (id) VALUES (1)").await.unwrap_err();
    assert_eq!(error.as_db_error().unwrap().code().code(), "42501");
    assert!(error.as_db_error().unwrap().hint().unwrap().contains("s0"));
    for client in &shop.clients {
        client.batch_execute("CREATE TABLE keyless (v int)").await.unwrap();
    }
    let mut tables = references(OnDead::Resync);
    tables.push(ReferenceTable { table: "keyless".into(), home: HOME, on_dead: OnDead::Resync });
    let problems = outbox.reconcile_triggers(tables).await;
    assert_eq!(problems.len(), 1, "{problems:?}");
    let error = shop.clients[0].batch_execute("INSERT INTO keyless VALUES (1)").await.unwrap_err();
    assert_eq!(error.as_db_error().unwrap().code().code(), "0A000");
    assert!(outbox.reconcile_triggers(Vec::new()).await.is_empty());
    shop.clients[1].batch_execute("INSERT INTO regions (id) VALUES (1); INSERT INTO keyless VALUES (1)").await.unwrap();
    assert!(outbox.install().await.is_empty(), "a second install changes nothing");
}

/// A write on home that no proxy saw has captured rows and no ledger row.
pub async fn a_write_around_the_proxy_is_found_and_copied(servers: &Servers) {
    let shop = Shop::open(servers, "orphan").await;
    let outbox = shop.installed(OnDead::Resync).await;
    let relay = started(&outbox);
    shop.clients[0].batch_execute("INSERT INTO regions (id, name) VALUES (1, 'a'), (2, 'b')").await.unwrap();
    shop.clients[0]
        .batch_execute("UPDATE regions SET name = 'c' WHERE id = 2; DELETE FROM regions WHERE id = 1")
        .await
        .unwrap();
    shop.until(1, "SELECT string_agg(name, ',') FROM regions", "c").await;
    shop.copies_equal("regions").await;
    shop.until(0, "SELECT count(*) FROM shardloom.ledger WHERE state <> 'DONE'", "0").await;
    relay.abort();
}

/// One event is refused by one copy: later events of its key wait, all others pass; a retry after the repair catches up.
pub async fn a_poison_event_is_parked_with_its_key_and_the_lane_goes_on(servers: &Servers) {
    let shop = Shop::open(servers, "poison").await;
    let outbox = shop.installed(OnDead::ParkKey).await;
    shop.clients[1].batch_execute("ALTER TABLE regions ADD CONSTRAINT no_bad CHECK (name <> 'bad')").await.unwrap();
    let app = shop.app(0).await;
    for (txid, values) in [(201, "(1, 'one')"), (202, "(2, 'bad')"), (203, "(3, 'three')")] {
        shop.write(&outbox, &app, txid, &format!("INSERT INTO regions (id, name) VALUES {values}")).await;
    }
    shop.write(&outbox, &app, 204, "UPDATE regions SET big = 2 WHERE id = 2").await;
    shop.write(&outbox, &app, 205, "INSERT INTO regions (id, name) VALUES (5, 'five')").await;
    let relay = started(&outbox);
    for txid in [201, 203, 205] {
        shop.done(txid).await;
    }
    shop.until(
        0,
        "SELECT string_agg(txid || state, ' ' ORDER BY txid) FROM shardloom.ledger_target WHERE target = 's1'",
        "201APPLIED 202DEAD 203APPLIED 204PARKED 205APPLIED",
    )
    .await;
    shop.until(2, "SELECT count(*) FROM regions", "4").await;
    let letters = outbox.dead_letters().await;
    assert_eq!((letters.len(), letters[0].txid, letters[0].parked), (1, 202, 1), "{letters:?}");
    assert_eq!(letters[0].sqlstate.as_deref(), Some("23514"));
    assert!(outbox.retry(202, None, " ", "tester").await.is_err(), "a change needs a reason");
    shop.clients[1].batch_execute("ALTER TABLE regions DROP CONSTRAINT no_bad").await.unwrap();
    assert_eq!(outbox.retry(202, None, "constraint dropped", "tester").await.unwrap(), 1);
    shop.done(202).await;
    shop.done(204).await;
    shop.copies_equal("regions").await;
    assert!(outbox.dead_letters().await.is_empty());
    assert!(outbox.skip(202, ShardId(1), "too late", "tester").await.is_err(), "what is applied stays applied");
    assert_eq!(shop.text(0, "SELECT count(*) FROM shardloom.audit WHERE reason = 'constraint dropped'").await, "1");
    relay.abort();
}

/// The copy has a row that home never had and that is in the way: home wins.
pub async fn a_refused_image_is_resynced_by_default(servers: &Servers) {
    let shop = Shop::open(servers, "resync").await;
    let outbox = shop.installed(OnDead::Resync).await;
    let relay = started(&outbox);
    let app = shop.app(0).await;
    shop.clients[1].batch_execute("ALTER TABLE regions ADD CONSTRAINT no_bad CHECK (name <> 'bad')").await.unwrap();
    relay.abort();
    shop.write(&outbox, &app, 251, "INSERT INTO regions (id, name) VALUES (1, 'bad')").await;
    shop.write(&outbox, &app, 252, "UPDATE regions SET name = 'good' WHERE id = 1").await;
    let second = shop.outbox("p2");
    second.reconcile_triggers(references(OnDead::Resync)).await;
    let relay = started(&second);
    shop.done(251).await;
    shop.done(252).await;
    shop.copies_equal("regions").await;
    relay.abort();
}

/// A target that cannot be connected to: nothing is used up, the other copy goes on, and recovery is noticed within 2 s.
pub async fn a_target_away_uses_up_nothing_and_catches_up(servers: &Servers) {
    let shop = Shop::open(servers, "away").await;
    let outbox = shop.installed(OnDead::Resync).await;
    let relay = started(&outbox);
    let admin = servers.connect(1, "postgres", &servers.user).await;
    admin.batch_execute(&format!("ALTER DATABASE {0} ALLOW_CONNECTIONS false", shop.database)).await.unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
    admin.query(cut, &[&shop.database]).await.unwrap();
    let app = shop.app(0).await;
    for txid in 301..=320 {
        shop.write(&outbox, &app, txid, &format!("INSERT INTO regions (id, name) VALUES ({txid}, 'r{txid}')")).await;
    }
    shop.until(2, "SELECT count(*) FROM regions", "20").await;
    assert!(outbox.wait_applied(320, ShardId(2), WAIT).await);
    assert_eq!(outbox.pending_targets(310).only(), Some(ShardId(1)));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(shop.text(0, "SELECT coalesce(max(attempts), 0) FROM shardloom.ledger_target").await, "0");
    admin.batch_execute(&format!("ALTER DATABASE {0} ALLOW_CONNECTIONS true", shop.database)).await.unwrap();
    let back = Instant::now();
    assert!(outbox.wait_applied(320, ShardId(1), WAIT).await);
    assert!(back.elapsed() < Duration::from_secs(3), "{:?}", back.elapsed());
    for txid in 301..=320 {
        shop.done(txid).await;
    }
    relay.abort();
}

/// The first relay's thread dies; the second takes over after the lease. An owner that still believes in its lease is
/// refused by the target's fence.
pub async fn a_second_proxy_takes_over_and_the_fence_refuses_the_first(servers: &Servers) {
    let shop = Shop::open(servers, "takeover").await;
    let first = shop.installed(OnDead::Resync).await;
    let relay = started(&first);
    let app = shop.app(0).await;
    shop.write(&first, &app, 401, "INSERT INTO regions (id, name) VALUES (1, 'a')").await;
    shop.done(401).await;
    relay.abort();
    shop.write(&first, &app, 402, "INSERT INTO regions (id, name) VALUES (2, 'b')").await;
    let second = shop.outbox("p2");
    let relay = started(&second);
    shop.done(402).await;
    assert_eq!(shop.text(0, "SELECT epoch FROM shardloom.lease WHERE name = 'relay'").await, "2");
    assert_eq!(shop.text(1, "SELECT epoch FROM shardloom.lane WHERE home = 's0'").await, "2");
    // As if a third had taken over while the second was paused: only the targets know.
    for shard in 1..3 {
        shop.clients[shard].batch_execute("UPDATE shardloom.lane SET epoch = 3 WHERE home = 's0'").await.unwrap();
    }
    shop.write(&second, &app, 403, "INSERT INTO regions (id, name) VALUES (3, 'c')").await;
    let began = Instant::now();
    while second.metrics().fence_refusals.load(std::sync::atomic::Ordering::Relaxed) == 0 {
        assert!(began.elapsed() < WAIT, "never refused");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(shop.text(1, "SELECT count(*) FROM regions").await, "2");
    shop.clients[0]
        .batch_execute("UPDATE shardloom.lease SET epoch = 4, owner = 'gone', expires_at = now()")
        .await
        .unwrap();
    shop.done(403).await;
    shop.copies_equal("regions").await;
    relay.abort();
}

/// A transaction draws its number first and commits last, behind many others.
pub async fn a_transaction_that_commits_late_is_not_lost(servers: &Servers) {
    let shop = Shop::open(servers, "gap").await;
    let outbox = shop.installed(OnDead::Resync).await;
    let relay = started(&outbox);
    let (slow, app) = (shop.app(0).await, shop.app(0).await);
    slow.batch_execute("BEGIN; INSERT INTO regions (id, name) VALUES (1, 'late')").await.unwrap();
    slow.batch_execute(&ledger_insert(&reference_entry(500))).await.unwrap();
    for txid in 501..=510 {
        shop.write(&outbox, &app, txid, &format!("INSERT INTO regions (id, name) VALUES ({txid}, 'r{txid}')")).await;
        shop.done(txid).await;
    }
    tokio::time::sleep(Duration::from_millis(900)).await;
    slow.batch_execute("COMMIT").await.unwrap();
    shop.done(500).await;
    shop.copies_equal("regions").await;
    assert_eq!(shop.text(1, "SELECT count(*) FROM regions").await, "11");
    relay.abort();
}

/// A session that does not wait for the disk by itself waits for it here, until its transaction ends.
pub async fn what_several_shards_agree_on_is_flushed(servers: &Servers) {
    let shop = Shop::open(servers, "flushed").await;
    shop.installed(OnDead::Resync).await;
    let app = shop.app(0).await;
    let setting = async || app.query_one("SHOW synchronous_commit", &[]).await.unwrap().get::<_, String>(0);
    for (set, within) in [("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")] {
        app.batch_execute(&format!("SET synchronous_commit = {set}")).await.unwrap();
        for text in [inbox_insert(901, "s9"), ledger_insert(&reference_entry(902))] {
            app.batch_execute(&format!("BEGIN; {text}")).await.unwrap();
            assert_eq!(setting().await, within, "{text}");
            app.batch_execute("ROLLBACK").await.unwrap();
            assert_eq!(setting().await, set);
        }
    }
}

/// Home committed; one target committed unheard, the other was lost: each has the change exactly once.
pub async fn a_lost_eager_target_is_redone_exactly_once(servers: &Servers) {
    let shop = Shop::open(servers, "eager").await;
    let outbox = shop.installed(OnDead::Resync).await;
    let relay = started(&outbox);
    for shard in 0..3 {
        outbox.gate(ShardId(shard)).wait_open(WAIT).await.unwrap();
    }
    let targets: ShardSet = [ShardId(1), ShardId(2)].into_iter().collect();
    let (home, first) = (shop.app(0).await, shop.app(1).await);
    let flight = outbox.begin_flight(600, HOME, targets);
    let record = entry(600, WriteMode::Eager, vec![credit("s1", 7), credit("s2", 7)]);
    first.batch_execute(&format!("BEGIN; {}", inbox_insert(600, "s0"))).await.unwrap();
    first.batch_execute("UPDATE accounts SET balance = balance + 7 WHERE id = 1").await.unwrap();
    home.batch_execute(&format!(
        "BEGIN; UPDATE accounts SET balance = 80 WHERE id = 1; {}; COMMIT",
        ledger_insert(&record)
    ))
    .await
    .unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(shop.text(2, "SELECT balance FROM accounts WHERE id = 1").await, "100", "a flight is left alone");
    first.batch_execute("COMMIT").await.unwrap();
    flight.unknown_targets(&[ShardId(1), ShardId(2)], Vec::new());
    assert!(!outbox.gate(ShardId(2)).is_open());
    outbox.gate(ShardId(1)).wait_open(WAIT).await.unwrap();
    outbox.gate(ShardId(2)).wait_open(WAIT).await.unwrap();
    for shard in 1..3 {
        assert_eq!(shop.text(shard, "SELECT balance FROM accounts WHERE id = 1").await, "107");
    }
    // 9 o'clock in Tokyo on the second of January, day first.
    assert_eq!(shop.text(2, "SELECT at AT TIME ZONE 'UTC' FROM accounts WHERE id = 1").await, "2026-01-02 00:00:00");
    shop.done(600).await;
    let flight = outbox.begin_flight(601, HOME, targets);
    let record = entry(601, WriteMode::Eager, vec![credit("s1", 1), credit("s2", 1)]);
    home.batch_execute(&format!("BEGIN; {}; COMMIT", ledger_insert(&record))).await.unwrap();
    flight.settled(vec![(ShardId(1), 1), (ShardId(2), 2)]);
    shop.done(601).await;
    let detail = outbox.ledger_show(601).await.unwrap();
    assert_eq!(detail.targets.iter().map(|t| t.drift).collect::<Vec<_>>(), [false, true]);
    // Dropped before home committed: fenced, and the gates open again.
    drop(outbox.begin_flight(602, HOME, targets));
    outbox.gate(ShardId(1)).wait_open(WAIT).await.unwrap();
    assert_eq!(shop.text(0, "SELECT state FROM shardloom.ledger WHERE txid = 602").await, "ABORTED");
    relay.abort();
}

/// Commands of an eventual write are delivered by the relay, under the role that wrote them; a refused one dies alone.
pub async fn deferred_commands_are_delivered(servers: &Servers) {
    let shop = Shop::open(servers, "deferred").await;
    let outbox = shop.installed(OnDead::Resync).await;
    let relay = started(&outbox);
    let home = shop.app(0).await;
    let targets: ShardSet = [ShardId(1)].into_iter().collect();
    for (txid, amount) in [(651, 5), (652, 5000), (653, 6)] {
        let flight = outbox.begin_flight(txid, HOME, targets);
        let record = entry(txid, WriteMode::Eventual, vec![credit("s1", amount)]);
        home.batch_execute(&format!("BEGIN; {}; COMMIT", ledger_insert(&record))).await.unwrap();
        flight.deferred();
    }
    shop.done(651).await;
    shop.done(653).await;
    shop.until(0, "SELECT state FROM shardloom.ledger_target WHERE txid = 652", "DEAD").await;
    assert_eq!(shop.text(1, "SELECT balance FROM accounts WHERE id = 1").await, "111");
    outbox.skip(652, ShardId(1), "never mind", "tester").await.unwrap();
    shop.done(652).await;
    relay.abort();
}

/// A dead letter without a key holds nobody up: the lane goes on for long, and still delivers it when an operator says so.
pub async fn what_later_events_have_passed_is_still_delivered(servers: &Servers) {
    let shop = Shop::open(servers, "passed").await;
    let outbox = shop.installed(OnDead::Resync).await;
    let relay = started(&outbox);
    let home = shop.app(0).await;
    let targets: ShardSet = [ShardId(1)].into_iter().collect();
    let write = async |txid, amount| {
        let flight = outbox.begin_flight(txid, HOME, targets);
        let record = entry(txid, WriteMode::Eventual, vec![credit("s1", amount)]);
        home.batch_execute(&format!("BEGIN; {}; COMMIT", ledger_insert(&record))).await.unwrap();
        flight.deferred();
    };
    write(660, 5000).await;
    shop.until(0, "SELECT state FROM shardloom.ledger_target WHERE txid = 660", "DEAD").await;
    for txid in 661..=670 {
        write(txid, 1).await;
        shop.done(txid).await;
    }
    // Several scans, and horizons.
    tokio::time::sleep(Duration::from_millis(900)).await;
    shop.clients[1].batch_execute("ALTER TABLE accounts DROP CONSTRAINT accounts_balance_check").await.unwrap();
    assert_eq!(outbox.retry(660, None, "constraint dropped", "tester").await.unwrap(), 1);
    shop.done(660).await;
    assert_eq!(shop.text(1, "SELECT balance FROM accounts WHERE id = 1").await, "5110");
    relay.abort();
}

/// A new run of the same proxy keeps its gates closed until what the old run left is redone.
pub async fn a_proxy_back_from_a_crash_redoes_before_it_writes(servers: &Servers) {
    let shop = Shop::open(servers, "crash").await;
    shop.installed(OnDead::Resync).await;
    let home = shop.app(0).await;
    let record = entry(700, WriteMode::Eager, vec![credit("s1", 9)]);
    home.batch_execute(&format!("BEGIN; {}; COMMIT", ledger_insert(&record))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let second = shop.outbox("p1");
    assert!(second.gate(ShardId(1)).wait_open(Duration::from_millis(20)).await.is_err());
    let relay = started(&second);
    second.gate(ShardId(1)).wait_open(WAIT).await.unwrap();
    assert_eq!(shop.text(1, "SELECT balance FROM accounts WHERE id = 1").await, "109");
    shop.done(700).await;
    relay.abort();
}

/// A prepared transaction is committed if home committed, rolled back and fenced if not; a stranger's is left alone.
pub async fn prepared_transactions_are_decided_by_home(servers: &Servers) {
    let shop = Shop::open(servers, "prepared").await;
    let first = shop.installed(OnDead::Resync).await;
    let (home, target) = (shop.app(0).await, shop.app(1).await);
    for (txid, id) in [(800, 1), (801, 2), (802, 4)] {
        let work = format!("{}; UPDATE accounts SET balance = 1 WHERE id = {id}", inbox_insert(txid, "s0"));
        target.batch_execute(&format!("BEGIN; {work}; {}", first.prepare_statement(txid, HOME))).await.unwrap();
    }
    target
        .batch_execute("BEGIN; UPDATE accounts SET balance = 1 WHERE id = 3; PREPARE TRANSACTION 'stranger_1_2_s0'")
        .await
        .unwrap();
    let mut share = credit("s1", 0);
    share.commands.clear();
    let record = entry(800, WriteMode::TwoPhase, vec![share]);
    home.batch_execute(&format!("BEGIN; {}; COMMIT", ledger_insert(&record))).await.unwrap();
    let record = LedgerEntry { copies: vec!["s1".into(), "s2".into()], txid: 802, ..record };
    let work = "BEGIN; INSERT INTO regions (id, name) VALUES (1, 'both ways')";
    home.batch_execute(&format!("{work}; {}; COMMIT", ledger_insert(&record))).await.unwrap();
    let second = shop.outbox("p2");
    let relay = started(&second);
    shop.until(
        1,
        "SELECT string_agg(gid, ',') FROM pg_prepared_xacts WHERE database = current_database()",
        "stranger_1_2_s0",
    )
    .await;
    shop.done(800).await;
    shop.done(802).await;
    shop.copies_equal("regions").await;
    assert_eq!(shop.text(2, "SELECT count(*) FROM regions").await, "1");
    assert_eq!(shop.text(1, "SELECT balance FROM accounts WHERE id = 4").await, "1");
    assert_eq!(
        shop.text(1, "SELECT string_agg(balance::text, ',' ORDER BY id) FROM accounts WHERE id IN (1, 2)").await,
        "1,100"
    );
    assert_eq!(shop.text(0, "SELECT state FROM shardloom.ledger WHERE txid = 801").await, "ABORTED");
    let late = entry(801, WriteMode::TwoPhase, Vec::new());
    assert!(home.batch_execute(&ledger_insert(&late)).await.is_err(), "the fence holds");
    target.batch_execute("ROLLBACK PREPARED 'stranger_1_2_s0'").await.unwrap();
    relay.abort();
}

/// `resolve` tells the truth, and waits for a commit in flight.
pub async fn an_unanswered_commit_is_resolved(servers: &Servers) {
    let shop = Shop::open(servers, "resolve").await;
    let outbox = shop.installed(OnDead::Resync).await;
    assert_eq!(outbox.resolve(900, HOME).await, Resolution::Aborted);
    assert_eq!(outbox.resolve(900, HOME).await, Resolution::Aborted);
    let home = shop.app(0).await;
    home.batch_execute(&format!("BEGIN; {}", ledger_insert(&entry(901, WriteMode::Eager, vec![credit("s1", 1)]))))
        .await
        .unwrap();
    let asked = tokio::spawn({
        let outbox = outbox.clone();
        async move { outbox.resolve(901, HOME).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    home.batch_execute("COMMIT").await.unwrap();
    assert_eq!(asked.await.unwrap(), Resolution::Committed);
}

/// Two holders, one wish: one gets it, the other an error; after its lease the next starts above the reserve, even with
/// a clock gone back.
pub async fn a_worker_id_is_leased_once_and_starts_after_its_reserve(servers: &Servers) {
    let shop = Shop::open(servers, "worker").await;
    shop.installed(OnDead::Resync).await;
    let clock = Arc::new(ManualClock::at(1_800_000_000_000));
    let mut settings = shop.settings("p1");
    settings.bounds.worker_lease = Duration::from_millis(400);
    let first_outbox = Outbox::new(settings.clone(), clock.clone());
    let mut first = WorkerLease::new(first_outbox.clone(), 7, Some(5));
    assert_eq!(first.acquire().await.unwrap().worker, 5);
    let permit = first.permits().borrow().clone().unwrap();
    assert!(permit.is_valid_at(clock.monotonic()));
    settings.proxy = "p2".into();
    let behind = Arc::new(ManualClock::at(1_700_000_000_000));
    let second_outbox = Outbox::new(settings, behind.clone());
    let mut wishing = WorkerLease::new(second_outbox.clone(), 7, Some(5));
    assert!(wishing.acquire().await.unwrap_err().to_string().contains("p1/"));
    let mut free = WorkerLease::new(second_outbox, 7, None);
    assert_ne!(free.acquire().await.unwrap().worker, 5);
    clock.advance(Duration::from_millis(300));
    assert!(first.renew().await.unwrap());
    let reserved = permit.reserved_until_ms();
    assert_eq!(reserved, clock.wall_ms() + 30_000);
    clock.advance(Duration::from_millis(401));
    assert!(!permit.is_valid_at(clock.monotonic()), "issuing stops by the monotonic clock");
    tokio::time::sleep(Duration::from_millis(450)).await;
    let taken = wishing.acquire().await.unwrap();
    assert_eq!((taken.worker, taken.floor_ms, taken.epoch), (5, reserved, 2));
    assert!(!first.renew().await.unwrap(), "the old holder is told");
    assert!(first.permits().borrow().is_none());
    let mut tiny = WorkerLease::new(first_outbox, 0, Some(1));
    assert!(tiny.acquire().await.is_err(), "a worker id beyond the layout");
}

/// An id whose times were reserved far ahead of the clock is changed for a better one, also when both were held before;
/// where there is none it is kept.
pub async fn a_clock_that_steps_far_back_gets_a_better_worker_id(servers: &Servers) {
    let shop = Shop::open(servers, "worker_back").await;
    shop.installed(OnDead::Resync).await;
    let held = "INSERT INTO shardloom.worker_lease (worker, holder, epoch, expires_at, reserved_until) \
                SELECT id, 'before', 1, clock_timestamp() - interval '1 s', 0 FROM generate_series(0, 1) id";
    shop.clients[0].batch_execute(held).await.unwrap();
    let start = 1_800_000_000_000;
    let clock = Arc::new(ManualClock::at(start));
    let mut lease = WorkerLease::new(Outbox::new(shop.settings("p1"), clock.clone()), 1, None);
    let first = lease.acquire().await.unwrap();
    assert_eq!((first.epoch, lease.renew().await.unwrap()), (2, true));
    clock.step_to(start - 60_000);
    assert!(lease.renew().await.unwrap(), "another id is free");
    let second = lease.permits().borrow().clone().unwrap();
    assert_ne!(second.worker(), first.worker);
    assert!(second.reserved_until_ms() < start - 20_000, "{second:?}");
    assert!(lease.renew().await.unwrap());
    clock.step_to(start - 120_000);
    assert!(lease.renew().await.unwrap(), "the other one is no better");
    assert_eq!(lease.permits().borrow().as_ref().map(|permit| permit.worker()), Some(second.worker()));
}

/// A layout of new rules may have fewer worker ids: one that does not fit is changed, without a time that none is held.
pub async fn a_worker_id_that_does_not_fit_any_more_is_changed(servers: &Servers) {
    let shop = Shop::open(servers, "worker_fit").await;
    shop.installed(OnDead::Resync).await;
    let low = "INSERT INTO shardloom.worker_lease (worker, holder, epoch, expires_at, reserved_until) \
               SELECT id, 'low', 1, clock_timestamp() + interval '1 h', 0 FROM generate_series(0, 3) id";
    shop.clients[0].batch_execute(low).await.unwrap();
    let clock = Arc::new(ManualClock::at(1_800_000_000_000));
    let mut lease = WorkerLease::new(Outbox::new(shop.settings("p1"), clock.clone()), 7, None);
    let first = lease.acquire().await.unwrap();
    assert!(first.worker > 3);
    lease.worker_bits().send_replace(2);
    assert!(lease.renew().await.unwrap(), "none is free: the one that is held stays");
    let worker = |lease: &WorkerLease| lease.permits().borrow().as_ref().map(|permit| permit.worker());
    assert_eq!(worker(&lease), Some(first.worker));
    let free = "UPDATE shardloom.worker_lease SET expires_at = clock_timestamp() - interval '1 s' WHERE worker = 2";
    shop.clients[0].batch_execute(free).await.unwrap();
    assert!(lease.renew().await.unwrap());
    assert_eq!(worker(&lease), Some(2));
    let held = "SELECT count(*)::text FROM shardloom.worker_lease WHERE worker > 3 AND expires_at > clock_timestamp()";
    assert_eq!(shop.text(0, held).await, "0", "the other one was given back");
}

/// The client path's inserts are granted, and nothing that would let a client speak for another role.
pub async fn the_app_role_may_write_just_what_it_needs(servers: &Servers) {
    let shop = Shop::open(servers, "grants").await;
    shop.installed(OnDead::Resync).await;
    let app = shop.app(0).await;
    app.batch_execute("SET search_path = ''; SET standard_conforming_strings = off").await.unwrap();
    app.batch_execute(&ledger_insert(&entry(1, WriteMode::Eager, vec![credit("s1", 1)]))).await.unwrap();
    assert_eq!(shop.text(0, "SELECT acting_role || username FROM shardloom.ledger").await, "shop_appünï'\\");
    for forbidden in [
        "INSERT INTO shardloom.ledger (txid, state, mode, kind, acting_role) VALUES (2, 'OPEN', 'eager', 'x', 'postgres')",
        "UPDATE shardloom.ledger SET state = 'DONE'",
        "SELECT * FROM shardloom.ledger",
        "DELETE FROM shardloom.inbox",
        "INSERT INTO shardloom.outbox (relation, op, old_rows, new_rows, row_count) VALUES ('x', 'INSERT', '{}', '{}', 1)",
    ] {
        let error = app.batch_execute(forbidden).await.unwrap_err();
        assert_eq!(error.as_db_error().unwrap().code().code(), "42501", "{forbidden}");
    }
}

/// `decode_id` reads the standard layout; `next_id` without an id is refused.
pub async fn ids_decode_in_sql(servers: &Servers) {
    let shop = Shop::open(servers, "ids").await;
    shop.installed(OnDead::Resync).await;
    shop.clients[0]
        .batch_execute("INSERT INTO shardloom.id_layout VALUES ('standard', 1767225600000, 41, 6, 7, 9)")
        .await
        .unwrap();
    let app = shop.app(0).await;
    let id: i64 = (1000 << 22) | (3 << 16) | (5 << 9) | 77;
    let row = app
        .query_one("SELECT issued_at::text, tag, worker, sequence FROM shardloom.decode_id($1)", &[&id])
        .await
        .unwrap();
    assert!(row.get::<_, String>(0).contains("01"), "one second after the epoch");
    assert_eq!((row.get::<_, i32>(1), row.get::<_, i32>(2), row.get::<_, i32>(3)), (3, 5, 77));
    assert_eq!(app.query_one("SELECT shardloom.next_id('order', 42)", &[]).await.unwrap().get::<_, i64>(0), 42);
    assert!(app.batch_execute("SELECT shardloom.next_id('order')").await.is_err());
}
