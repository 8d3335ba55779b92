//! UPDATEs that add to rows named by key: with `assumed_count: keys` other shards than home run them after its COMMIT, unless
//! the transaction comes to look there before.

use std::time::Duration;

use tokio_postgres::Client;

use crate::chaos_invariants::Inspector;
use crate::ledger::ok;
use crate::support::{Proxy, ProxyOptions, RawClient, TestDatabase};

/// Keys from 0, from 6000 and from 12000 are on a shard each.
const RULES: &str = "kind: TableGroup
name: bank
key: {type: bigint}
algorithm: mod
tables: {accounts: {key: id}, pots: {key: owner}, guarded: {key: id}, partial: {key: id}}
missing_key: {read: scatter, write: scatter}
multi_shard: {mode: eventual, assumed_count: keys}
---
kind: TableGroup
name: plain
key: {type: bigint}
algorithm: mod
tables: {counters: {key: id}}
multi_shard: {mode: eventual}
---
kind: ReferenceTables
tables: [rates]
home: s0
";

const SCHEMA: [&str; 8] = [
    "CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL, spent numeric NOT NULL DEFAULT 0, rate real DEFAULT 0)",
    "CREATE TABLE pots (owner bigint, name text, amount int NOT NULL, PRIMARY KEY (owner, name))",
    "CREATE TABLE guarded (id bigint PRIMARY KEY, balance bigint CHECK (balance >= 0))",
    "CREATE TABLE partial (id bigint, alive bool, balance bigint)",
    "CREATE UNIQUE INDEX ON partial (id) WHERE alive",
    "CREATE TABLE counters (id bigint PRIMARY KEY, hits int)",
    "CREATE TABLE rates (id int PRIMARY KEY, rate int)",
    "INSERT INTO rates VALUES (1, 1)",
];

struct Bank {
    database: TestDatabase,
    proxy: Proxy,
    inspector: Inspector,
    client: RawClient,
}

impl Bank {
    async fn open(label: &str) -> Self {
        let database = TestDatabase::new(label);
        let options =
            ProxyOptions { config: "limits: {cross_shard_lock_timeout: 300ms}".to_owned(), ..ProxyOptions::default() };
        let proxy = Proxy::start(&database, RULES, options).await;
        proxy.gates_open().await;
        let mut client = proxy.raw();
        for sql in SCHEMA {
            ok(&client.simple(sql));
        }
        for table in ["accounts (id, balance)", "guarded (id, balance)", "partial (id, balance)", "counters (id, hits)"]
        {
            ok(&client.simple(&format!(
                "INSERT INTO {table} VALUES (0, 100), (1, 100), (6000, 100), (6001, 100), (12000, 100)"
            )));
        }
        ok(&client.simple("INSERT INTO pots VALUES (0, 'a', 10), (6000, 'a', 10), (6000, 'b', 10)"));
        let mut shards = Vec::new();
        for index in 0..3 {
            shards.push(database.service(index).await);
        }
        let inspector = Inspector::new(shards);
        inspector.settled().await;
        Self { database, proxy, inspector, client }
    }

    /// Runs statements of one transaction; returns their tags.
    fn run(&mut self, statements: &[&str]) -> Vec<String> {
        statements.iter().flat_map(|sql| ok(&self.client.simple(sql)).tags()).collect()
    }

    /// How the last transaction was committed, as home says it.
    async fn mode(&mut self) -> String {
        let txid = self.client.simple("SHOW shardloom.last_txn").rows()[0][0].clone().expect("a transaction");
        let asked = |mode| format!("SELECT count(*) FROM shardloom.ledger WHERE txid = {txid} AND mode = '{mode}'");
        for mode in ["eventual", "eager", "two_phase"] {
            if self.inspector.sum(&asked(mode)).await == 1 {
                return mode.to_owned();
            }
        }
        format!("no mode of {txid}")
    }

    async fn balance(&self, id: i64) -> i64 {
        self.inspector.sum(&format!("SELECT balance FROM accounts WHERE id = {id}")).await
    }

    async fn drifted(&self) -> i64 {
        self.inspector.sum("SELECT count(*) FROM shardloom.ledger_target WHERE drift").await
    }

    /// Holds a row on a shard, so that nothing there can change it.
    async fn hold(&self, shard: usize, sql: &str) -> Client {
        let holder = self.database.shard(shard).await;
        holder.batch_execute(&format!("BEGIN; {sql} FOR UPDATE")).await.expect("a lock");
        holder
    }
}

const DEBIT: &str = "UPDATE accounts SET balance = balance - 5 WHERE id = 0 AND balance >= 5";
const CREDIT: &str = "UPDATE accounts SET balance = balance + 5 WHERE id = 6000";

/// Goal: a transfer commits while the other row cannot be changed, and is complete once it can.
#[tokio::test]
async fn what_is_added_elsewhere_follows_the_commit() {
    let mut bank = Bank::open("postponed").await;
    let holder = bank.hold(1, "SELECT FROM accounts WHERE id = 6000").await;
    let tags = bank.run(&["BEGIN", DEBIT, CREDIT, CREDIT, "COMMIT"]);
    assert_eq!(tags, ["BEGIN", "UPDATE 1", "UPDATE 1", "UPDATE 1", "COMMIT"]);
    assert_eq!((bank.balance(0).await, bank.balance(6000).await), (95, 100));
    // By itself over several shards, with a key twice and one that no shard has.
    let tags =
        bank.run(&["UPDATE accounts SET balance = 1 + balance, spent = spent - 0.5 WHERE id IN (0, 6000, 6001, 6000)"]);
    assert_eq!(tags, ["UPDATE 3"]);
    holder.batch_execute("COMMIT").await.unwrap();
    bank.inspector.settled().await;
    assert_eq!((bank.balance(0).await, bank.balance(6000).await, bank.balance(6001).await), (96, 111, 101));
    assert_eq!((bank.mode().await.as_str(), bank.drifted().await), ("eventual", 0));
    // Several shards in a block: home's part is there at once.
    let holder = bank.hold(2, "SELECT FROM accounts WHERE id = 12000").await;
    let tags =
        bank.run(&["BEGIN", "UPDATE accounts SET balance = balance - 1 WHERE id = ANY ('{0,12000}')", DEBIT, "COMMIT"]);
    assert_eq!(tags, ["BEGIN", "UPDATE 2", "UPDATE 1", "COMMIT"]);
    // Rows of home's own, by statements that would be eager over several shards.
    let note = "INSERT INTO guarded (id, balance) VALUES (7, 1)";
    let tags = bank.run(&[
        "BEGIN",
        "UPDATE guarded SET balance = balance * 2 WHERE id = 0",
        "UPDATE accounts SET balance = balance - 0 WHERE id = 12000",
        note,
        "COMMIT",
    ]);
    assert_eq!(tags[2], "UPDATE 1");
    assert_eq!(bank.mode().await, "eventual");
    // More than the sharding key names a row.
    let pot = "UPDATE pots SET amount = amount + 1 WHERE owner = 6000 AND name = 'b'";
    let tags = bank.run(&["BEGIN", DEBIT, pot, "COMMIT"]);
    assert_eq!(tags[2], "UPDATE 1");
    assert_eq!(bank.mode().await, "eventual");
    holder.batch_execute("COMMIT").await.unwrap();
    bank.inspector.settled().await;
    assert_eq!((bank.balance(0).await, bank.balance(12000).await), (85, 99));
    assert_eq!(bank.inspector.rows("SELECT name, amount FROM pots WHERE owner = 6000 ORDER BY name").await.len(), 2);
    assert_eq!(bank.inspector.sum("SELECT amount FROM pots WHERE owner = 6000 AND name = 'b'").await, 11);
    assert_eq!(bank.drifted().await, 0);
}

/// Goal: prepared statements with values of either format are left for later, NULL is not.
#[tokio::test]
async fn bound_values_are_left_for_later() {
    let bank = Bank::open("postponed_bound").await;
    let holder = bank.hold(1, "SELECT FROM accounts WHERE id = 6000").await;
    let mut client = bank.proxy.client().await;
    let add =
        client.prepare("UPDATE accounts SET balance = balance + $1, spent = $1 + spent WHERE id = $2").await.unwrap();
    for _ in 0..7 {
        let transaction = client.transaction().await.unwrap();
        assert_eq!(transaction.execute(&add, &[&-2i64, &0i64]).await.unwrap(), 1);
        assert_eq!(transaction.execute(&add, &[&2i64, &6000i64]).await.unwrap(), 1);
        assert_eq!(transaction.execute(&add, &[&1i64, &1i64]).await.unwrap(), 1);
        transaction.commit().await.unwrap();
    }
    let transaction = client.transaction().await.unwrap();
    transaction.execute(&add, &[&-2i64, &0i64]).await.unwrap();
    let error = transaction.execute(&add, &[&None::<i64>, &12000i64]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "23502");
    transaction.rollback().await.unwrap();
    let some = "UPDATE accounts SET balance = balance + 1 WHERE id = ANY ($1)";
    assert_eq!(client.execute(some, &[&vec![0i64, 6000, 12000, 12000]]).await.unwrap(), 3);
    holder.batch_execute("COMMIT").await.unwrap();
    bank.inspector.settled().await;
    assert_eq!((bank.balance(0).await, bank.balance(1).await, bank.balance(6000).await), (87, 107, 115));
    assert_eq!((bank.balance(12000).await, bank.drifted().await), (101, 0));
}

/// Goal: a transaction finds what it has done wherever it looks, and commits it all at once then.
#[tokio::test]
async fn who_looks_there_finds_it_done() {
    let mut bank = Bank::open("postponed_look").await;
    let look = "SELECT balance FROM accounts WHERE id = 6000";
    for (sql, found) in
        [(look, "105"), ("SELECT sum(balance) FROM accounts", "510"), ("SELECT max(balance) FROM accounts", "115")]
    {
        bank.run(&["BEGIN", "UPDATE counters SET hits = hits + 1 WHERE id = 0", CREDIT]);
        let rows = bank.client.simple(sql).rows();
        assert_eq!(rows[0][0].as_deref(), Some(found), "{sql}");
        bank.run(&["COMMIT"]);
        assert_eq!(bank.mode().await, "eager");
    }
    bank.inspector.settled().await;
    assert_eq!(bank.balance(6000).await, 115);
    // A write there, and one that others wait for.
    bank.run(&["BEGIN", DEBIT, CREDIT, "UPDATE accounts SET rate = 1 WHERE id = 6000", "COMMIT"]);
    assert_eq!(bank.mode().await, "eager");
    bank.run(&["BEGIN", DEBIT, CREDIT, "UPDATE accounts SET rate = 1 WHERE id = 12000", "COMMIT"]);
    assert_eq!(bank.mode().await, "eager");
    bank.run(&["BEGIN", DEBIT, CREDIT, "UPDATE rates SET rate = 2", "COMMIT"]);
    bank.run(&["BEGIN", DEBIT, CREDIT, "SET LOCAL shardloom.multi_shard = 'two_phase'", "COMMIT"]);
    assert_eq!(bank.mode().await, "two_phase");
    bank.inspector.settled().await;
    assert_eq!((bank.balance(0).await, bank.balance(6000).await, bank.drifted().await), (80, 135, 0));
    assert_eq!(bank.inspector.sum("SELECT rate FROM rates").await, 6, "a copy on each shard");
}

/// Goal: what is rolled back is not done, and what is not rolled back is done once.
#[tokio::test]
async fn savepoints_keep_what_was_left_for_later() {
    let mut bank = Bank::open("postponed_savepoints").await;
    let look = "SELECT balance FROM accounts WHERE id = 6000";
    bank.run(&["BEGIN", DEBIT, CREDIT, "ROLLBACK"]);
    bank.run(&["BEGIN", DEBIT, "SAVEPOINT a", CREDIT, "ROLLBACK TO a", "COMMIT"]);
    bank.inspector.settled().await;
    assert_eq!((bank.balance(0).await, bank.balance(6000).await), (95, 100));
    // Done behind the savepoint, so undone with it, and done again.
    bank.run(&["BEGIN", DEBIT, CREDIT, "SAVEPOINT a", look, "ROLLBACK TO a", "COMMIT"]);
    bank.inspector.settled().await;
    assert_eq!((bank.balance(0).await, bank.balance(6000).await), (90, 105));
    bank.run(&[
        "BEGIN",
        DEBIT,
        CREDIT,
        "SAVEPOINT a",
        look,
        CREDIT,
        "ROLLBACK TO a",
        look,
        CREDIT,
        "RELEASE a",
        "COMMIT",
    ]);
    bank.inspector.settled().await;
    assert_eq!((bank.balance(0).await, bank.balance(6000).await), (85, 115));
    bank.run(&["BEGIN", DEBIT, CREDIT, look, "SAVEPOINT a", CREDIT, "ROLLBACK TO a", "COMMIT"]);
    bank.inspector.settled().await;
    assert_eq!((bank.balance(0).await, bank.balance(6000).await, bank.drifted().await), (80, 120, 0));
}

/// Goal: what is wrong with a statement is said at once; what is not known to be right is not left for later.
#[tokio::test]
async fn errors_are_told_at_once() {
    let mut bank = Bank::open("postponed_errors").await;
    for (sql, state) in [
        ("UPDATE accounts SET nothing = nothing + 5 WHERE id = 6000", "42703"),
        ("UPDATE accounts SET balance = balance + 99999999999999999999 WHERE id = 6000", "22003"),
        ("UPDATE accounts SET balance = balance + NULL WHERE id = 6000", "23502"),
        ("UPDATE accounts SET balance = balance + 'x' WHERE id = 6000", "22P02"),
        ("UPDATE guarded SET balance = balance - 101 WHERE id = 6000", "23514"),
    ] {
        bank.run(&["BEGIN", DEBIT]);
        assert_eq!(bank.client.simple(sql).error().expect(sql).0, state, "{sql}");
        bank.run(&["ROLLBACK"]);
    }
    // A row that is held: what is not left for later waits for it, and gives up.
    let _holders = [
        bank.hold(1, "SELECT FROM accounts WHERE id = 6000").await,
        bank.hold(1, "SELECT FROM guarded WHERE id = 6000").await,
        bank.hold(1, "SELECT FROM partial WHERE id = 6000").await,
        bank.hold(1, "SELECT FROM counters WHERE id = 6000").await,
        bank.hold(1, "SELECT FROM pots WHERE owner = 6000").await,
    ];
    for sql in [
        "UPDATE accounts SET balance = balance * 2 WHERE id = 6000",
        "UPDATE accounts SET balance = spent + 2 WHERE id = 6000",
        "UPDATE accounts SET balance = 2 - balance WHERE id = 6000",
        "UPDATE accounts SET balance = 2 WHERE id = 6000",
        "UPDATE accounts SET rate = rate + 2 WHERE id = 6000",
        "UPDATE accounts SET balance = balance + 2 WHERE id = 6000 AND balance > 2",
        "UPDATE accounts SET balance = balance + 2 WHERE id = 6000 AND balance = 100",
        "UPDATE accounts SET balance = balance + 2 WHERE id = 6000 OR id = 6001",
        "UPDATE accounts SET balance = balance + 2 WHERE id BETWEEN 6000 AND 6001",
        "UPDATE accounts SET balance = balance + 2 WHERE id = 6000 RETURNING balance",
        "UPDATE accounts SET balance = balance + '2' WHERE id = 6000",
        "UPDATE accounts SET balance = balance + 0.4 WHERE id = 6000",
        "UPDATE accounts SET balance = balance + 2::numeric WHERE id = 6000",
        "UPDATE accounts a SET balance = a.balance + 2 FROM rates r WHERE a.id = 6000",
        "UPDATE guarded SET balance = balance + 2 WHERE id = 6000",
        "UPDATE partial SET balance = balance + 2 WHERE id = 6000",
        "UPDATE counters SET hits = hits + 2 WHERE id = 6000",
        "UPDATE pots SET amount = amount + 2 WHERE owner = 6000",
    ] {
        bank.run(&["BEGIN", DEBIT]);
        assert_eq!(bank.client.simple(sql).error().expect(sql).0, "40P01", "{sql}");
        bank.run(&["ROLLBACK"]);
    }
    bank.run(&[
        "BEGIN",
        DEBIT,
        "UPDATE accounts a SET balance = (a.balance) + 2::bigint, spent = spent - 2::numeric(9, 2) WHERE (6000) = a.id",
        "ROLLBACK",
    ]);
}

/// Goal: a key without a row is counted, and seen: at once where the transaction looks there, later as drift.
#[tokio::test]
async fn keys_without_rows_show() {
    let mut bank = Bank::open("postponed_drift").await;
    let nobody = "UPDATE accounts SET balance = balance + 5 WHERE id = 6077";
    bank.run(&["BEGIN", DEBIT, nobody]);
    let (state, said) = bank.client.simple("SELECT count(*) FROM accounts").error().expect("a refusal");
    assert!(state == "55000" && said.contains("was to change 1 rows by its keys, and changes 0"), "{state} {said}");
    bank.run(&["ROLLBACK"]);
    assert_eq!(bank.run(&["BEGIN", DEBIT, nobody, "COMMIT"])[2], "UPDATE 1");
    bank.inspector.settled().await;
    tokio::time::timeout(Duration::from_secs(20), async {
        while bank.drifted().await == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("drift");
    assert_eq!((bank.balance(0).await, bank.drifted().await), (95, 1));
}
