//! Load for the fault tests: transfers, batches and reference rows written in one of five ways, a book of what clients
//! were told, and what must hold of it afterwards.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_postgres::{Client, Error, SimpleQueryMessage};

use crate::chaos_bank::{Told, reconnect};
use crate::chaos_invariants::Inspector;

/// The tables: a bank, batches of notes that follow by replay, a reference table.
pub const SCHEMA: &str = "CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL);
    CREATE TABLE postings (account_id bigint, transfer bigint, moved bigint NOT NULL CHECK (moved <> 0),
        PRIMARY KEY (account_id, transfer));
    CREATE TABLE notes (id bigint PRIMARY KEY, batch bigint NOT NULL);
    CREATE TABLE purses (id bigint PRIMARY KEY, held bigint NOT NULL);
    CREATE TABLE gifts (giver bigint, number bigint, taker bigint NOT NULL, given bigint NOT NULL CHECK (given <> 0),
        PRIMARY KEY (giver, number));
    CREATE TABLE regions (id bigint PRIMARY KEY, version bigint NOT NULL);
    CREATE TABLE logs (id bigint PRIMARY KEY, entries bigint[] NOT NULL)";

/// Their rules.
pub const RULES: &str = "kind: TableGroup
name: accounts
key: {type: bigint}
algorithm: hash
tables:
  accounts: {key: id}
  postings: {key: account_id}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: notes
key: {type: bigint}
algorithm: hash
tables:
  notes: {key: id}
  purses: {key: id}
  gifts: {key: giver}
multi_shard: {mode: eventual, assumed_count: keys}
---
kind: ReferenceTables
tables: [regions, logs]
";

/// Accounts in all; enough that each shard has some.
pub const ACCOUNTS: i64 = 90;
/// What each starts with.
const BALANCE: i64 = 1_000;
/// Rows of one batch.
const BATCH: i64 = 6;
/// Regions that count how often they were written; the others are written once.
const COUNTERS: i64 = 3;
/// Every so many writes one is made that a shard refuses.
const REFUSED_EVERY: i64 = 7;
/// Longest that one client waits for one answer: the proxy's own bounds are below that.
const ANSWER_BOUND: Duration = Duration::from_secs(90);

/// How a write goes over several shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Way {
    Eager,
    TwoPhase,
    Eventual,
    /// What is added on the other shard follows home's commit.
    Added,
    Reference,
}

/// What the clients were told so far, over all proxies.
#[derive(Debug, Default)]
pub struct Book {
    pub told: Told,
    /// Committed: number of the write, its way, and the transaction's id if the client got to ask for it.
    committed: Mutex<BTreeMap<i64, (Way, Option<i64>)>>,
    /// Refused by a shard, so that no trace may be left.
    refused: Mutex<BTreeSet<i64>>,
    /// The last number of a write that was handed out.
    last: AtomicI64,
    /// Writes without an answer, which may have happened or not.
    pub doubtful: AtomicUsize,
}

/// The accounts and note ids of each shard, found by asking.
#[derive(Debug, Clone)]
pub struct Places {
    accounts: Vec<Vec<i64>>,
}

impl Book {
    /// Returns how many answers there were.
    pub fn answers(&self) -> usize {
        self.told.answers.load(Ordering::SeqCst)
    }

    /// Returns how many writes were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.committed.lock().unwrap().len()
    }

    fn next(&self) -> i64 {
        self.last.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// Makes tables and accounts through the proxy; returns where they are.
pub async fn prepare(client: &Client, inspector: &Inspector) -> Places {
    client.batch_execute(SCHEMA).await.expect("the schema");
    let rows: Vec<String> = (1..=ACCOUNTS).map(|id| format!("({id}, {BALANCE})")).collect();
    for table in ["accounts", "purses"] {
        client.batch_execute(&format!("INSERT INTO {table} VALUES {}", rows.join(", "))).await.expect("the accounts");
    }
    let rows: Vec<String> = (1..=COUNTERS).map(|id| format!("(-{id}, 0)")).collect();
    client.batch_execute(&format!("INSERT INTO regions VALUES {}", rows.join(", "))).await.expect("the regions");
    let rows: Vec<String> = (1..=COUNTERS).map(|id| format!("({id}, '{{}}')")).collect();
    client.batch_execute(&format!("INSERT INTO logs VALUES {}", rows.join(", "))).await.expect("the logs");
    inspector.settled().await;
    let mut accounts = Vec::new();
    for index in 0..inspector.shards() {
        let rows = inspector.shard(index).query("SELECT id FROM accounts ORDER BY id", &[]).await.expect("accounts");
        accounts.push(rows.iter().map(|row| row.get(0)).collect());
    }
    Places { accounts }
}

/// Writes by `ways` in turn from several clients, on a thread of its own, until `told.stop`; each transfer begins on the
/// shards of `homes`, one after the other.
pub fn start(
    ports: &[u16],
    database: &str,
    ways: &[Way],
    homes: &[usize],
    clients: usize,
    book: &Arc<Book>,
    places: &Places,
) -> std::thread::JoinHandle<()> {
    book.told.stop.store(false, Ordering::SeqCst);
    let (database, book, places) = (database.to_owned(), book.clone(), places.clone());
    let (ways, homes, ports) = (ways.to_vec(), homes.to_vec(), ports.to_vec());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut running = tokio::task::JoinSet::new();
            for number in 0..clients {
                let port = ports[number % ports.len()];
                let writer =
                    Writer { book: book.clone(), places: places.clone(), ways: ways.clone(), homes: homes.clone() };
                running.spawn(writer.run(port, database.clone()));
            }
            while let Some(ended) = running.join_next().await {
                ended.expect("a client's end");
            }
        });
    })
}

struct Writer {
    book: Arc<Book>,
    places: Places,
    ways: Vec<Way>,
    homes: Vec<usize>,
}

impl Writer {
    async fn run(self, port: u16, database: String) {
        let told = &self.book.told;
        while let Some(client) = reconnect(port, &database, told).await {
            while !told.stop.load(Ordering::SeqCst) && !client.is_closed() {
                let number = self.book.next();
                let way = self.ways[number as usize % self.ways.len()];
                let written = tokio::time::timeout(ANSWER_BOUND, self.write(&client, number, way)).await;
                match written {
                    Ok(Ok(())) => {
                        told.answers.fetch_add(1, Ordering::SeqCst);
                    }
                    Ok(Err(error)) => {
                        self.book.doubtful.fetch_add(1, Ordering::SeqCst);
                        told.error(&format!("{way:?} {number}"), &error);
                        client.batch_execute("ROLLBACK").await.ok();
                        // What is away is not asked in a tight loop.
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    Err(_) => {
                        let wrong = format!("{way:?} {number}: no answer within {ANSWER_BOUND:?}");
                        told.wrong.lock().unwrap().push(wrong);
                        break;
                    }
                }
            }
        }
    }

    /// Writes once. A write that is to be refused must be.
    async fn write(&self, client: &Client, number: i64, way: Way) -> Result<(), Error> {
        let refused = number % REFUSED_EVERY == 0;
        if refused {
            self.book.refused.lock().unwrap().insert(number);
        }
        let statements = self.statements(number, way, refused);
        let single = statements.len() == 1;
        if !single {
            client.batch_execute("BEGIN").await?;
        }
        for sql in &statements {
            match client.batch_execute(sql).await {
                Err(error) if refused && error.code().is_some_and(|code| code.code().starts_with("23")) => {
                    return client.batch_execute("ROLLBACK").await;
                }
                other => other?,
            }
        }
        if !single {
            client.batch_execute("COMMIT").await?;
        }
        if refused {
            self.book.told.wrong.lock().unwrap().push(format!("{way:?} {number} was not refused"));
        }
        self.book.committed.lock().unwrap().insert(number, (way, None));
        let txid = last_txid(client).await?;
        self.book.committed.lock().unwrap().insert(number, (way, txid));
        Ok(())
    }

    fn statements(&self, number: i64, way: Way, refused: bool) -> Vec<String> {
        let home = self.homes[number as usize % self.homes.len()];
        let shards = self.places.accounts.len();
        let target = (home + 1 + number as usize / 3 % (shards - 1)) % shards;
        let pick = |shard: usize| {
            let accounts = &self.places.accounts[shard];
            accounts[number as usize % accounts.len()]
        };
        let (from, to) = (pick(home), pick(target));
        match way {
            Way::Eager | Way::TwoPhase => {
                let moved = if refused { 0 } else { 1 };
                let mut statements = vec![
                    format!("UPDATE accounts SET balance = balance - 1 WHERE id = {from}"),
                    format!("UPDATE accounts SET balance = balance + 1 WHERE id = {to}"),
                    format!("INSERT INTO postings VALUES ({from}, {number}, -1), ({to}, {number}, {moved})"),
                ];
                if way == Way::TwoPhase {
                    statements.insert(0, "SET LOCAL shardloom.multi_shard = 'two_phase'".to_owned());
                }
                statements
            }
            Way::Eventual => {
                let rows = (0..BATCH).map(|row| number * 10 + row);
                // The same key twice is refused where it is written first, by home or by the one shard it is on.
                let rows = rows.map(|id| format!("({}, {number})", if refused { number * 10 } else { id }));
                vec![format!("INSERT INTO notes (id, batch) VALUES {}", rows.collect::<Vec<_>>().join(", "))]
            }
            Way::Added => vec![
                format!("UPDATE purses SET held = held - 1 WHERE id = {from}"),
                format!("UPDATE purses SET held = held + 1 WHERE id = {to}"),
                format!("INSERT INTO gifts VALUES ({from}, {number}, {to}, {})", if refused { 0 } else { 1 }),
            ],
            Way::Reference => {
                let counter = number % COUNTERS + 1;
                let id = if refused { -counter } else { number };
                vec![
                    format!("UPDATE regions SET version = version + 1 WHERE id = -{counter}"),
                    format!("UPDATE logs SET entries = entries || {number}::bigint WHERE id = {counter}"),
                    format!("INSERT INTO regions VALUES ({id}, 0)"),
                ]
            }
        }
    }
}

async fn last_txid(client: &Client) -> Result<Option<i64>, Error> {
    let rows = client.simple_query("SHOW shardloom.last_txn").await?;
    Ok(rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).and_then(|text| text.parse().ok()),
        _ => None,
    }))
}

/// Asserts of the settled shards everything that clients were told.
pub async fn balances(inspector: &Inspector, book: &Book) {
    book.told.nothing_wrong();
    assert_eq!(inspector.sum("SELECT sum(balance) FROM accounts").await, ACCOUNTS * BALANCE, "money made or lost");
    let off = format!(
        "SELECT a.id, a.balance FROM accounts a WHERE balance <> {BALANCE} + \
         (SELECT coalesce(sum(moved), 0) FROM postings p WHERE p.account_id = a.id)"
    );
    assert_eq!(inspector.rows(&off).await, Vec::<String>::new(), "balances that their postings do not explain");
    let postings = count_by(inspector, "SELECT transfer FROM postings").await;
    let notes = count_by(inspector, "SELECT batch FROM notes").await;
    let regions = count_by(inspector, "SELECT id FROM regions WHERE id > 0").await;
    let gifts = count_by(inspector, "SELECT number FROM gifts").await;
    purses_agree(inspector).await;
    let shards = inspector.shards() as i64;
    for (found, whole, what) in
        [(&postings, 2, "postings"), (&notes, BATCH, "rows of a batch"), (&regions, shards, "copies of a region")]
    {
        let torn: Vec<_> = found.iter().filter(|(_, count)| **count != whole).take(5).collect();
        assert!(torn.is_empty(), "{what}: writes done by half: {torn:?}");
    }
    for (number, (way, _)) in book.committed.lock().unwrap().iter() {
        let found = match way {
            Way::Eager | Way::TwoPhase => postings.contains_key(number),
            Way::Eventual => notes.contains_key(number),
            Way::Added => gifts.contains_key(number),
            Way::Reference => regions.contains_key(number),
        };
        assert!(found, "{way:?} {number} was acknowledged and is lost");
    }
    for number in book.refused.lock().unwrap().iter() {
        let left = [&postings, &notes, &gifts, &regions].iter().any(|found| found.contains_key(number));
        assert!(!left, "{number} was refused and has left a trace");
    }
    inspector.copies_equal("regions").await;
    inspector.copies_equal("logs").await;
    counters_agree(inspector).await;
    acknowledged_are_done(inspector, book).await;
}

/// Each purse holds what its owner's gifts and those of others have left in it.
async fn purses_agree(inspector: &Inspector) {
    let given = count_by(inspector, "SELECT giver FROM gifts").await;
    let taken = count_by(inspector, "SELECT taker FROM gifts").await;
    for index in 0..inspector.shards() {
        for row in inspector.shard(index).query("SELECT id, held FROM purses", &[]).await.expect("purses") {
            let (id, held): (i64, i64) = (row.get(0), row.get(1));
            let count = |of: &HashMap<i64, i64>| of.get(&id).copied().unwrap_or(0);
            assert_eq!(held, BALANCE - count(&given) + count(&taken), "purse {id}");
        }
    }
}

/// Each counter was raised as often as there are regions of its transactions.
async fn counters_agree(inspector: &Inspector) {
    let off = format!(
        "SELECT r.id, r.version FROM regions r WHERE r.id < 0 AND r.version <> \
         (SELECT count(*) FROM regions w WHERE w.id > 0 AND w.id % {COUNTERS} + 1 = -r.id)"
    );
    assert_eq!(inspector.rows(&off).await, Vec::<String>::new(), "counters that their writes do not explain");
    let off = format!(
        "SELECT l.id FROM logs l WHERE ARRAY(SELECT unnest(l.entries) ORDER BY 1) <> ARRAY(SELECT w.id FROM regions w \
         WHERE w.id > 0 AND w.id % {COUNTERS} + 1 = l.id ORDER BY 1)"
    );
    assert_eq!(inspector.rows(&off).await, Vec::<String>::new(), "lists that lack an entry or have one twice");
}

/// Each acknowledged COMMIT has a ledger row, and all its targets have ended.
async fn acknowledged_are_done(inspector: &Inspector, book: &Book) {
    let mut states: HashMap<i64, String> = HashMap::new();
    for index in 0..inspector.shards() {
        let rows = inspector.shard(index).query("SELECT txid, state FROM shardloom.ledger", &[]).await.expect("ledger");
        states.extend(rows.iter().map(|row| (row.get::<_, i64>(0), row.get::<_, String>(1))));
    }
    for (number, (way, txid)) in book.committed.lock().unwrap().iter() {
        let Some(txid) = txid else { continue };
        let state = states.get(txid).map(String::as_str);
        assert_eq!(state, Some("DONE"), "{way:?} {number}, transaction {txid}");
    }
}

async fn count_by(inspector: &Inspector, sql: &str) -> HashMap<i64, i64> {
    let mut counts = HashMap::new();
    for index in 0..inspector.shards() {
        for row in inspector.shard(index).query(sql, &[]).await.expect(sql) {
            *counts.entry(row.get::<_, i64>(0)).or_insert(0) += 1;
        }
    }
    counts
}

/// Returns one text of everything that clients wrote, to compare it before and after.
pub async fn everything(inspector: &Inspector) -> Vec<String> {
    let mut all = Vec::new();
    for table in ["accounts", "postings", "notes", "purses", "gifts", "regions", "logs"] {
        all.extend(inspector.rows(&format!("SELECT * FROM {table} ORDER BY 1, 2")).await);
    }
    all
}
