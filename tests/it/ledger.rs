//! The write ledger end to end: what is deferred, what fails, what operators see and do about it.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::chaos_invariants::Inspector;
use crate::support::{Proxy, ProxyOptions, RawClient, Reply, TestDatabase, shardloom};

const RULES: &str = "kind: TableGroup
name: accounts
key: {type: bigint}
algorithm: hash
tables:
  accounts: {key: id}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: notes
key: {type: bigint}
algorithm: hash
tables:
  notes: {key: id}
multi_shard: {mode: eventual}
---
kind: TableGroup
name: strict
key: {type: bigint}
algorithm: hash
tables:
  strict: {key: id}
multi_shard: {mode: reject}
---
kind: Ids
tags: {event: 1}
---
kind: TableGroup
name: events
key: {type: bigint}
algorithm: hash
tables:
  events: {key: id, id: {column: id, tag: event}}
---
kind: ReferenceTables
tables: [regions, prices]
---
kind: ReferenceTables
tables: [rates]
multi_shard: {on_dead: park_key}
";

const SCHEMA: &str = "CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL);
    CREATE TABLE notes (id bigint PRIMARY KEY, text text);
    CREATE TABLE strict (id bigint PRIMARY KEY, v int);
    CREATE TABLE events (id bigint PRIMARY KEY, note text);
    CREATE TABLE regions (id bigint PRIMARY KEY, name text);
    CREATE TABLE prices (country text, day date, price numeric, at timestamptz, ratio float8, bits bytea, span interval,
        note text, PRIMARY KEY (country, day));
    CREATE TABLE rates (id bigint PRIMARY KEY, rate int NOT NULL)";

/// Longest wait for what the relay does.
const WAIT: Duration = Duration::from_secs(20);

pub(crate) struct Shop {
    pub database: TestDatabase,
    pub proxy: Proxy,
    pub inspector: Inspector,
}

impl Shop {
    pub async fn open(label: &str, options: ProxyOptions) -> Self {
        let database = TestDatabase::new(label);
        let proxy = Proxy::start(&database, RULES, options).await;
        let client = proxy.client().await;
        client.batch_execute(SCHEMA).await.expect("the schema");
        let rows: Vec<String> = (1..=30).map(|id| format!("({id}, 100)")).collect();
        client.batch_execute(&format!("INSERT INTO accounts VALUES {}", rows.join(", "))).await.expect("the accounts");
        let mut shards = Vec::new();
        for index in 0..3 {
            shards.push(database.service(index).await);
        }
        let inspector = Inspector::new(shards);
        inspector.settled().await;
        Self { database, proxy, inspector }
    }

    pub fn raw(&self) -> RawClient {
        self.proxy.raw()
    }

    /// Returns an account of each shard.
    pub async fn one_per_shard(&self) -> [i64; 3] {
        let mut ids = [0; 3];
        for (index, id) in ids.iter_mut().enumerate() {
            let row = self.inspector.shard(index).query_one("SELECT min(id) FROM accounts", &[]).await.unwrap();
            *id = row.get(0);
        }
        ids
    }

    /// Runs a command of the console's command line and returns its JSON.
    pub fn cli(&self, arguments: &[&str]) -> Value {
        let port = self.proxy.admin_port().to_string();
        let mut all = arguments.to_vec();
        all.extend(["--json", "--admin-port", port.as_str()]);
        let output = shardloom(&all);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{all:?}: {error}: {text} {output:?}"))
    }

    pub async fn until(&self, shard: usize, sql: &str, wanted: &str) {
        let began = Instant::now();
        loop {
            let row = self.inspector.shard(shard).query_one(&format!("SELECT ({sql})::text"), &[]).await.expect(sql);
            let found = row.get::<_, Option<String>>(0).unwrap_or_default();
            if found == wanted {
                return;
            }
            assert!(began.elapsed() < WAIT, "{sql} on s{shard}: {found}, wanted {wanted}\n{}", self.proxy.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(crate) fn ok(reply: &Reply) -> &Reply {
    assert_eq!(reply.error(), None);
    reply
}

pub(crate) fn refused(reply: &Reply, state: &str, words: &str) {
    let (found, message) = reply.error().unwrap_or_else(|| panic!("not refused: {reply:?}"));
    assert!(found == state && message.contains(words), "{found} {message}, wanted {state} {words}");
}

/// Goal: a poisoned copy is a dead letter, its key waits, other keys go on, and retry and skip mend it with an audit.
#[tokio::test]
async fn a_dead_letter_parks_its_key_until_an_operator_decides() {
    let shop = Shop::open("ledger_dead", ProxyOptions::default()).await;
    let mut client = shop.raw();
    ok(&client.simple("INSERT INTO rates VALUES (1, 10), (2, 20)"));
    shop.inspector.settled().await;
    let poison = "ALTER TABLE rates ADD CONSTRAINT low CHECK (rate < 100)";
    shop.inspector.shard(2).batch_execute(poison).await.unwrap();
    ok(&client.simple("UPDATE rates SET rate = 500 WHERE id = 1"));
    shop.until(0, "SELECT count(*) FROM shardloom.ledger_target WHERE state = 'DEAD'", "1").await;
    ok(&client.simple("UPDATE rates SET rate = 11 WHERE id = 1"));
    ok(&client.simple("UPDATE rates SET rate = 21 WHERE id = 2"));
    shop.until(1, "SELECT string_agg(rate::text, ',' ORDER BY id) FROM rates", "11,21").await;
    shop.until(2, "SELECT string_agg(rate::text, ',' ORDER BY id) FROM rates", "10,21").await;
    shop.until(
        0,
        "SELECT string_agg(state, ',' ORDER BY state) FROM shardloom.ledger_target WHERE state <> 'APPLIED'",
        "DEAD,PARKED",
    )
    .await;
    let mut console = RawClient::connect(shop.proxy.port(), "shardloom", "app", "app");
    let shown = console.simple("SHOW DEAD LETTERS");
    let letter = &ok(&shown).rows()[0];
    assert!(letter.iter().flatten().any(|cell| cell == "23514"), "{letter:?}");
    let txid = letter[0].clone().unwrap();
    let detail = shop.cli(&["ledger", "show", &txid]);
    assert_eq!(detail["row"]["state"], "ATTENTION", "{detail}");
    let listed = shop.cli(&["ledger", "ls", "--state", "attention"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    shop.inspector.shard(2).batch_execute("ALTER TABLE rates DROP CONSTRAINT low").await.unwrap();
    shop.cli(&["ledger", "retry", &txid, "--reason", "the constraint is gone"]);
    shop.inspector.settled().await;
    shop.inspector.copies_equal("rates").await;
    shop.until(
        0,
        "SELECT string_agg(verb || ': ' || reason, ',') FROM shardloom.audit",
        "retry: the constraint is gone",
    )
    .await;

    // Parked in the moment in which an operator lets it go on: then it waits for nothing, and goes on as well.
    shop.inspector.shard(2).batch_execute(poison).await.unwrap();
    ok(&client.simple("UPDATE rates SET rate = 700 WHERE id = 1"));
    shop.until(0, "SELECT count(*) FROM shardloom.ledger_target WHERE state = 'DEAD'", "1").await;
    shop.inspector.shard(2).batch_execute("ALTER TABLE rates DROP CONSTRAINT low").await.unwrap();
    let parked = "UPDATE shardloom.dead_letter SET resolved_at = clock_timestamp() WHERE resolved_at IS NULL; \
                  UPDATE shardloom.ledger_target SET state = 'PARKED' WHERE state = 'DEAD'";
    shop.inspector.shard(0).batch_execute(parked).await.unwrap();
    shop.inspector.settled().await;
    shop.inspector.copies_equal("rates").await;
    ok(&client.simple("UPDATE rates SET rate = 11 WHERE id = 1"));
    shop.inspector.settled().await;

    shop.inspector.shard(2).batch_execute(poison).await.unwrap();
    ok(&client.simple("UPDATE rates SET rate = 600 WHERE id = 2"));
    shop.until(0, "SELECT count(*) FROM shardloom.dead_letter WHERE resolved_at IS NULL", "1").await;
    ok(&client.simple("UPDATE rates SET rate = 22 WHERE id = 2"));
    let letters = shop.cli(&["dead-letters"]);
    let txid = letters[0]["txid"].to_string();
    let skip = ["ledger", "skip", txid.trim_matches('"'), "--target", "s2", "--reason", "the next one wins"];
    shop.cli(&skip);
    shop.inspector.settled().await;
    shop.inspector.copies_equal("rates").await;
    shop.until(0, "SELECT count(*) FROM shardloom.audit WHERE verb = 'skip'", "1").await;
    let began = Instant::now();
    while !shop.proxy.http("/metrics").unwrap().1.contains("\nshardloom_outbox_dead 0") {
        assert!(began.elapsed() < Duration::from_secs(20), "the dead letters are mended");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Goal: a session writes sharded rows before a reference table, whose home then decides: nobody takes that for lost.
#[tokio::test]
async fn a_home_that_is_known_late_has_lost_nothing() {
    let shop = Shop::open("ledger_late_home", ProxyOptions::default()).await;
    let mut client = shop.raw();
    let ids = shop.one_per_shard().await;
    for id in [ids[1], ids[2], ids[0]] {
        ok(&client.simple(&format!("INSERT INTO notes (id, text) VALUES ({id}, 'n')")));
    }
    for order in [[1, 2, 0], [2, 0, 1], [1, 0, 2]] {
        ok(&client.simple("BEGIN"));
        for shard in order {
            ok(&client.simple(&format!("UPDATE notes SET text = 'm' WHERE id = {}", ids[shard])));
        }
        ok(&client.simple(&format!("INSERT INTO regions VALUES ({}, 'r')", order[0] * 10 + order[1])));
        ok(&client.simple("COMMIT"));
    }
    shop.inspector.settled().await;
    let mut console = RawClient::connect(shop.proxy.port(), "shardloom", "app", "app");
    let shown = console.simple("SHOW INDOUBT");
    assert_eq!(ok(&shown).rows(), Vec::<Vec<Option<String>>>::new());
}

/// Goal: without a rule for it, a copy that was changed behind the back gets home's row again.
#[tokio::test]
async fn a_copy_in_conflict_gets_homes_row_again() {
    let shop = Shop::open("ledger_resync", ProxyOptions::default()).await;
    shop.inspector
        .shard(1)
        .batch_execute("SET session_replication_role = replica; INSERT INTO regions VALUES (1, 'wrong')")
        .await
        .unwrap();
    ok(&shop.raw().simple("INSERT INTO regions VALUES (1, 'right')"));
    shop.inspector.settled().await;
    shop.inspector.copies_equal("regions").await;
}

/// Goal: a split INSERT of an eventual group answers with the whole count and arrives everywhere; and a session sees its
/// own write of a reference table on every shard at once.
#[tokio::test]
async fn eventual_writes_arrive_and_their_session_sees_them() {
    let shop = Shop::open("ledger_eventual", ProxyOptions::default()).await;
    let mut client = shop.raw();
    let rows: Vec<String> = (1..=30).map(|id| format!("({id}, 'n')")).collect();
    let reply = client.simple(&format!("INSERT INTO notes (id, text) VALUES {}", rows.join(", ")));
    assert_eq!(ok(&reply).tags(), ["INSERT 0 30"]);
    shop.inspector.settled().await;
    shop.inspector.ledger_agrees().await;
    assert_eq!(shop.inspector.sum("SELECT count(*) FROM notes").await, 30);
    // Its next statements find the rows that follow, and change them.
    for round in 10..20 {
        let ids: Vec<String> = (0..6).map(|id| (10 * round + id).to_string()).collect();
        let rows = format!("INSERT INTO notes (id, text) VALUES ({}, 'n')", ids.join(", 'n'), ("));
        let these = format!("id IN ({})", ids.join(", "));
        for (statement, tag) in [
            (rows.clone(), "INSERT 0 6"),
            (format!("UPDATE notes SET text = 'm' WHERE {these}"), "UPDATE 6"),
            (format!("DELETE FROM notes WHERE {these}"), "DELETE 6"),
            (rows.clone(), "INSERT 0 6"),
            (format!("SELECT id FROM notes WHERE {these}"), "SELECT 6"),
            (format!("DELETE FROM notes WHERE {these}"), "DELETE 6"),
            (rows.clone(), "INSERT 0 6"),
            (
                format!("BEGIN; DELETE FROM notes WHERE id = {}; ROLLBACK; DELETE FROM notes WHERE {these}", ids[5]),
                "DELETE 6",
            ),
        ] {
            assert_eq!(ok(&client.simple(&statement)).tags().last().map(String::as_str), Some(tag), "{statement}");
        }
    }
    shop.inspector.settled().await;
    assert_eq!(shop.inspector.sum("SELECT count(*) FROM notes").await, 30);
    for round in 1..=10 {
        ok(&client.simple(&format!("INSERT INTO regions VALUES ({round}, 'r')")));
        for id in shop.one_per_shard().await {
            let joined =
                client.simple(&format!("SELECT count(*) FROM accounts a JOIN regions r ON true WHERE a.id = {id}"));
            assert_eq!(ok(&joined).rows(), [[Some(round.to_string())]], "account {id}");
        }
    }
    ok(&client.simple("SET shardloom.read_your_writes = off"));
    ok(&client.simple("INSERT INTO regions VALUES (11, 'r')"));
    let far = shop.one_per_shard().await[1];
    ok(&client.simple(&format!("SELECT count(*) FROM accounts a JOIN regions r ON true WHERE a.id = {far}")));
}

/// Goal: a full backlog refuses new eventual writes before they are made.
#[tokio::test]
async fn a_full_backlog_refuses_eventual_writes() {
    let options = ProxyOptions { config: "relay: {backlog: 3}".to_owned(), ..ProxyOptions::default() };
    let shop = Shop::open("ledger_backlog", options).await;
    shop.inspector.shard(1).batch_execute("BEGIN; LOCK TABLE regions IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let mut client = shop.raw();
    for id in 1..=3 {
        ok(&client.simple(&format!("INSERT INTO regions VALUES ({id}, 'r')")));
    }
    refused(&client.simple("INSERT INTO regions VALUES (4, 'r')"), "53400", "s1");
    shop.inspector.shard(1).batch_execute("ROLLBACK").await.unwrap();
    shop.inspector.settled().await;
    shop.inspector.copies_equal("regions").await;
    ok(&client.simple("INSERT INTO regions VALUES (4, 'r')"));
}

/// Goal: what the rules or PostgreSQL cannot do over shards is refused before anything is written.
#[tokio::test]
async fn transactions_that_must_not_span_shards_are_refused_whole() {
    let shop = Shop::open("ledger_refuse", ProxyOptions::default()).await;
    let mut client = shop.raw();
    let ids = shop.one_per_shard().await;
    for (first, second) in [("strict", "strict"), ("accounts", "strict"), ("strict", "accounts")] {
        let insert = |table: &str, shard: usize, id: i64| match table {
            "strict" => format!("INSERT INTO strict VALUES ({}, 1)", ids[shard]),
            _ => format!("UPDATE accounts SET balance = balance + 1 WHERE id = {id}"),
        };
        let sql = format!("BEGIN; {}; {}; COMMIT", insert(first, 0, ids[0]), insert(second, 1, ids[1]));
        refused(&client.simple(&sql), "0A000", "strict");
        client.simple("ROLLBACK");
    }
    assert_eq!(shop.inspector.sum("SELECT count(*) FROM strict").await, 0);
    assert_eq!(shop.inspector.sum("SELECT sum(balance) FROM accounts").await, 3_000);
    ok(&client.simple(&format!(
        "BEGIN; INSERT INTO strict VALUES ({0}, 1); UPDATE strict SET v = 2 WHERE id = {0}; COMMIT",
        ids[1]
    )));
    let update = |id: i64| format!("UPDATE accounts SET balance = balance + 1 WHERE id = {id}");
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        let sql = format!("BEGIN ISOLATION LEVEL {level}; {}; {}; COMMIT", update(ids[0]), update(ids[2]));
        refused(&client.simple(&sql), "0A000", "REPEATABLE READ");
        client.simple("ROLLBACK");
        // What is of no shard leaves the choice of the one shard open.
        for id in ids {
            let (more, less) = (update(id), update(id).replace('+', "-"));
            ok(&client.simple(&format!(
                "BEGIN ISOLATION LEVEL {level}; SET CONSTRAINTS ALL DEFERRED; {more}; {less}; COMMIT"
            )));
        }
    }
    assert_eq!(shop.inspector.sum("SELECT sum(balance) FROM accounts").await, 3_000);
}

/// Goal: many sessions that change the same few rows on all shards, each with one statement, wait for each other and
/// never in a circle.
#[tokio::test]
async fn hot_rows_of_several_shards_are_changed_in_turn() {
    let shop = Shop::open("ledger_hot", ProxyOptions::default()).await;
    let ids = shop.one_per_shard().await.map(|id| id.to_string());
    let rows: Vec<String> = ids.iter().map(|id| format!("({id}, 'n')")).collect();
    ok(&shop.raw().simple(&format!("INSERT INTO notes (id, text) VALUES {}", rows.join(", "))));
    shop.inspector.settled().await;
    let these = ids.join(", ");
    let reversed = format!("({}, 'o'), ({}, 'o'), ({}, 'o')", ids[2], ids[1], ids[0]);
    let statements = [
        format!("UPDATE notes SET text = text || 'u' WHERE id IN ({these})"),
        format!("INSERT INTO notes (id, text) VALUES {reversed} ON CONFLICT (id) DO UPDATE SET text = 'u'"),
        format!("SET LOCAL shardloom.multi_shard = 'two_phase'; UPDATE notes SET text = 'v' WHERE id IN ({these})"),
    ];
    let mut sessions = Vec::new();
    for number in 0..6 {
        let (mut client, statements) = (shop.raw(), statements.clone());
        sessions.push(std::thread::spawn(move || {
            for round in 0..12 {
                ok(&client.simple(&statements[(number + round) % statements.len()]));
            }
        }));
    }
    sessions.into_iter().for_each(|session| session.join().expect("no deadlock"));
    shop.inspector.settled().await;
    shop.inspector.ledger_agrees().await;
}

/// Goal: two clients that wait for each other on different shards are both answered in bounded time, one with 40P01.
#[tokio::test]
async fn a_deadlock_over_shards_ends_and_names_shard_and_table() {
    let shop = Shop::open("ledger_deadlock", ProxyOptions::default()).await;
    let ids = shop.one_per_shard().await;
    let update = |id: i64| format!("UPDATE accounts SET balance = balance + 1 WHERE id = {id}");
    let (mut one, mut two) = (shop.raw(), shop.raw());
    ok(&one.simple(&format!("BEGIN; {}", update(ids[0]))));
    ok(&two.simple(&format!("BEGIN; {}", update(ids[1]))));
    let began = Instant::now();
    let (mine, theirs) = (update(ids[1]), update(ids[0]));
    let other = std::thread::spawn(move || (two.simple(&theirs), two));
    let first = one.simple(&mine);
    let (second, _two) = other.join().unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let failed: Vec<_> = [&first, &second].into_iter().filter(|reply| reply.error().is_some()).collect();
    assert!(!failed.is_empty());
    for reply in failed {
        refused(reply, "40P01", "several shards");
        assert!(format!("{reply:?}").contains("accounts") && format!("{reply:?}").contains("Shard"), "{reply:?}");
    }
}

/// Goal: the home is the shard first written, not the one first read; a savepoint takes the inbox row back with it.
#[tokio::test]
async fn inbox_and_ledger_agree_after_reads_and_savepoints() {
    let shop = Shop::open("ledger_inbox", ProxyOptions::default()).await;
    let mut client = shop.raw();
    let ids = shop.one_per_shard().await;
    let update = |id: i64| format!("UPDATE accounts SET balance = balance + 1 WHERE id = {id}");
    let sql = format!(
        "BEGIN; SELECT * FROM accounts WHERE id = {1}; {0}; {2}; COMMIT",
        update(ids[0]),
        ids[1],
        update(ids[1])
    );
    ok(&client.simple(&sql));
    shop.inspector.settled().await;
    shop.inspector.ledger_agrees().await;
    let before = shop.inspector.sum("SELECT count(*) FROM shardloom.inbox").await;
    let (home, target) = (update(ids[0]), update(ids[1]));
    ok(&client.simple(&format!("BEGIN; {home}; SAVEPOINT a; {target}; ROLLBACK TO a; {target}; COMMIT")));
    shop.inspector.settled().await;
    shop.inspector.ledger_agrees().await;
    assert_eq!(shop.inspector.sum("SELECT count(*) FROM shardloom.inbox").await, before + 1);
    assert_eq!(shop.inspector.sum("SELECT sum(balance) FROM accounts").await, 3_004);
    drop(shop.database);
}

/// Goal: COPY, TRUNCATE and DDL over several shards commit by two_phase.
#[tokio::test]
async fn what_cannot_be_redone_commits_by_two_phase() {
    let shop = Shop::open("ledger_two_phase", ProxyOptions::default()).await;
    let mut client = shop.raw();
    let count = "SELECT count(*) FROM shardloom.ledger WHERE mode = 'two_phase' AND state = 'DONE'";
    shop.inspector.settled().await;
    let before = shop.inspector.sum(count).await;
    ok(&client.simple("BEGIN; TRUNCATE accounts; CREATE TABLE more (id bigint PRIMARY KEY); COMMIT"));
    shop.inspector.settled().await;
    assert!(shop.inspector.sum(count).await > before);
    assert_eq!(shop.inspector.sum("SELECT count(*) FROM accounts").await, 0);
    shop.inspector.ledger_agrees().await;
}

/// Goal: home's part is never redone, so that it may do what a target must prepare for.
#[tokio::test]
async fn what_cannot_be_redone_on_home_alone_needs_no_two_phase() {
    let shop = Shop::open("ledger_home_volatile", ProxyOptions::default()).await;
    let mut client = shop.raw();
    let [home, target, _] = shop.one_per_shard().await;
    let volatile = |id: i64| format!("UPDATE accounts SET balance = balance + (random() * 0)::int WHERE id = {id}");
    let plain = |id: i64| format!("UPDATE accounts SET balance = balance + 1 WHERE id = {id}");
    for (first, second, mode) in
        [(volatile(home), plain(target), "eager"), (plain(home), volatile(target), "two_phase")]
    {
        ok(&client.simple(&format!("BEGIN; {first}; {second}; COMMIT")));
        let txid = client.simple("SHOW shardloom.last_txn").rows()[0][0].clone().expect("a transaction");
        let count = format!("SELECT count(*) FROM shardloom.ledger WHERE txid = {txid} AND mode = '{mode}'");
        assert_eq!(shop.inspector.sum(&count).await, 1, "{first}; {second}");
    }
    shop.inspector.settled().await;
    shop.inspector.ledger_agrees().await;
}
