//! Clients that move money between shards in several ways and remember what they were told.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shardloom::dev::{APP_PASSWORD, APP_USER};
use tokio_postgres::{Client, Error};

use crate::chaos_invariants::Inspector;
use crate::support::connect_as;

/// Accounts and wallets, each.
pub const ACCOUNTS: i64 = 60;
/// What each starts with.
const BALANCE: i64 = 1_000;
/// Longest that one client waits for one answer: the proxy's own bounds are below that.
const ANSWER_BOUND: Duration = Duration::from_secs(20);

/// The tables of bank and reference load.
pub const SCHEMA: &str = "CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL);
    CREATE TABLE postings (account_id bigint, transfer bigint, moved bigint NOT NULL, PRIMARY KEY (account_id, transfer));
    CREATE TABLE wallets (id bigint PRIMARY KEY, balance bigint NOT NULL);
    CREATE TABLE regions (id bigint PRIMARY KEY, version bigint NOT NULL);
    CREATE TABLE cities (id bigint PRIMARY KEY, region_id bigint NOT NULL REFERENCES regions ON DELETE CASCADE, version bigint NOT NULL)";

/// Their rules.
pub const RULES: &str = "kind: Ids
tags: {chaos: 1}
---
kind: TableGroup
name: accounts
key: {type: bigint}
algorithm: hash
tables:
  accounts: {key: id}
  postings: {key: account_id}
  wallets: {key: id}
missing_key: {read: scatter, write: scatter}
---
kind: ReferenceTables
tables: [regions, cities]
";

/// What all clients share.
#[derive(Debug, Default)]
pub struct Told {
    /// Transfers whose COMMIT was answered.
    pub acknowledged: Mutex<HashSet<i64>>,
    /// Every id ever handed out.
    ids: Mutex<HashSet<i64>>,
    /// What must never be answered.
    pub wrong: Mutex<Vec<String>>,
    /// Answers so far, to wait for progress.
    pub answers: AtomicUsize,
    /// Ends the clients.
    pub stop: AtomicBool,
}

impl Told {
    /// Notes an id; the same twice is wrong.
    fn id(&self, id: i64) {
        if !self.ids.lock().unwrap().insert(id) {
            self.wrong.lock().unwrap().push(format!("id {id} was made twice"));
        }
    }

    /// Notes an error; only accidents of connections, locks and capacity are right.
    pub fn error(&self, what: &str, error: &Error) {
        let Some(code) = error.code().map(|code| code.code().to_owned()) else { return };
        let fine = ["08", "57", "53", "40", "55"].iter().any(|class| code.starts_with(class))
            || ["25P02", "25P03"].contains(&code.as_str());
        if !fine {
            self.wrong.lock().unwrap().push(format!("{what}: {error:?}"));
        }
    }

    /// Asserts that nothing wrong was answered.
    pub fn nothing_wrong(&self) {
        let wrong = self.wrong.lock().unwrap();
        assert!(wrong.is_empty(), "{} wrong answers: {:?}", wrong.len(), &wrong[..wrong.len().min(5)]);
    }
}

/// Connects again and again until it works or the load ends.
pub async fn reconnect(port: u16, database: &str, told: &Told) -> Option<Client> {
    while !told.stop.load(Ordering::Relaxed) {
        match tokio::time::timeout(ANSWER_BOUND, connect_as(port, database, APP_USER, APP_PASSWORD)).await {
            Ok(Ok(client)) => return Some(client),
            Ok(Err(_)) | Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    None
}

/// Makes the accounts through the proxy.
pub async fn open_accounts(client: &Client) {
    for table in ["accounts", "wallets"] {
        let rows: Vec<String> = (1..=ACCOUNTS).map(|id| format!("({id}, {BALANCE})")).collect();
        client.batch_execute(&format!("INSERT INTO {table} VALUES {}", rows.join(", "))).await.expect("the accounts");
    }
}

/// One client's life: transfers until it is stopped. `seed` makes its ids and its choices its own.
pub async fn transfer_until_stopped(port: u16, database: String, seed: i64, told: Arc<Told>) {
    let mut number = 0;
    while let Some(client) = reconnect(port, &database, &told).await {
        while !told.stop.load(Ordering::Relaxed) && !client.is_closed() {
            number += 1;
            let transfer = seed * 1_000_000 + number;
            match tokio::time::timeout(ANSWER_BOUND, one_transfer(&client, transfer, &told)).await {
                Ok(Ok(())) => {
                    told.answers.fetch_add(1, Ordering::Relaxed);
                }
                Ok(Err(error)) => {
                    told.error(&format!("transfer {transfer}"), &error);
                    client.batch_execute("ROLLBACK").await.ok();
                }
                Err(_) => {
                    told.wrong.lock().unwrap().push(format!("transfer {transfer}: no answer within {ANSWER_BOUND:?}"));
                    break;
                }
            }
        }
    }
}

async fn one_transfer(client: &Client, transfer: i64, told: &Told) -> Result<(), Error> {
    let (from, to) = (transfer * 7 % ACCOUNTS + 1, (transfer * 13 + 5) % ACCOUNTS + 1);
    if from == to {
        return Ok(());
    }
    let post = format!("INSERT INTO postings VALUES ({from}, {transfer}, -1), ({to}, {transfer}, 1)");
    match transfer % 4 {
        0 | 1 => {
            client.batch_execute("BEGIN").await?;
            if transfer % 4 == 1 {
                client.batch_execute("SET LOCAL shardloom.multi_shard = 'two_phase'").await?;
            }
            client.batch_execute(&format!("UPDATE accounts SET balance = balance - 1 WHERE id = {from}")).await?;
            client.execute("UPDATE accounts SET balance = balance + 1 WHERE id = $1", &[&to]).await?;
            client.batch_execute(&post).await?;
            client.batch_execute("COMMIT").await?;
        }
        2 => client.batch_execute(&post).await?,
        _ => {
            let change = format!("CASE id WHEN {from} THEN -1 ELSE 1 END");
            client
                .batch_execute(&format!("UPDATE wallets SET balance = balance + {change} WHERE id IN ({from}, {to})"))
                .await?;
            told.id(client.query_one("SELECT shardloom.next_id('chaos')", &[]).await?.get(0));
            return Ok(());
        }
    }
    told.acknowledged.lock().unwrap().insert(transfer);
    Ok(())
}

/// Asserts that no money was made or lost, that each transfer happened whole or not at all, and all that were
/// acknowledged did.
pub async fn books_balance(inspector: &Inspector, told: &Told) {
    assert_eq!(inspector.sum("SELECT sum(balance) FROM accounts").await, ACCOUNTS * BALANCE, "accounts");
    assert_eq!(inspector.sum("SELECT sum(balance) FROM wallets").await, ACCOUNTS * BALANCE, "wallets");
    let off = format!(
        "SELECT a.id, a.balance FROM accounts a WHERE balance <> {BALANCE} + (SELECT coalesce(sum(moved), 0) \
         FROM postings p WHERE p.account_id = a.id AND p.transfer % 4 <> 2)"
    );
    assert_eq!(inspector.rows(&off).await, Vec::<String>::new(), "balances that their postings do not explain");
    let mut halves: std::collections::HashMap<i64, usize> = std::collections::HashMap::new();
    for index in 0..inspector.shards() {
        for row in inspector.shard(index).query("SELECT transfer FROM postings", &[]).await.expect("postings") {
            *halves.entry(row.get(0)).or_default() += 1;
        }
    }
    let torn: Vec<_> = halves.iter().filter(|(_, count)| **count != 2).collect();
    assert!(torn.is_empty(), "transfers done by half: {torn:?}");
    let acknowledged = told.acknowledged.lock().unwrap();
    let lost: Vec<_> = acknowledged.iter().filter(|transfer| !halves.contains_key(transfer)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
}
