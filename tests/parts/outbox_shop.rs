//! What the outbox's tests stand on: three databases with tables of a shop, and what the client path would write.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shardloom::outbox::{
    Environment, LEDGER_INSERT, LedgerEntry, LedgerTarget, Outbox, OutboxBounds, OutboxSettings, RedoCommand,
    RedoParameter, ReferenceTable, ShardEndpoint, ledger_values,
};
use shardloom::rules::OnDead;
use shardloom::types::{ShardId, ShardSet, SystemClock, WriteMode};
use tokio_postgres::{Client, NoTls};

/// Three servers that trust a superuser over TCP.
#[derive(Debug, Clone)]
pub struct Servers {
    /// Host of all of them.
    pub host: String,
    /// Their ports.
    pub ports: [u16; 3],
    /// A superuser.
    pub user: String,
    /// Its password, empty for trust.
    pub password: String,
}

pub const WAIT: Duration = Duration::from_secs(15);
pub const HOME: ShardId = ShardId(0);

/// Three databases of one test, with a table `regions` (reference, home s0), a child of it, and `accounts` (sharded).
pub struct Shop {
    pub servers: Servers,
    pub database: String,
    pub clients: Vec<Client>,
}

impl Servers {
    pub async fn connect(&self, index: usize, database: &str, user: &str) -> Client {
        let mut config = tokio_postgres::Config::new();
        config.host(&self.host).port(self.ports[index]).dbname(database).user(user);
        if !self.password.is_empty() {
            config.password(&self.password);
        }
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

pub const TABLES: &str = "CREATE TABLE regions (id bigint PRIMARY KEY, name text UNIQUE, at timestamptz DEFAULT now(), \
     big numeric, doc jsonb, twice text GENERATED ALWAYS AS (name || name) STORED); \
     CREATE TABLE cities (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, region bigint REFERENCES regions ON DELETE CASCADE \
     ON UPDATE CASCADE, name text); \
     CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL CHECK (balance < 1000), at timestamptz); \
     INSERT INTO accounts SELECT i, 100 FROM generate_series(1, 10) i; GRANT ALL ON ALL TABLES IN SCHEMA public TO shop_app";

impl Shop {
    pub async fn open(servers: &Servers, name: &str) -> Self {
        let database = format!("outbox_{name}");
        let mut clients = Vec::new();
        for index in 0..3 {
            let admin = servers.connect(index, "postgres", &servers.user).await;
            let gids = "SELECT 'ROLLBACK PREPARED ' || quote_literal(gid) FROM pg_prepared_xacts WHERE database = $1";
            let old = admin.query(gids, &[&database]).await.unwrap();
            if !old.is_empty() {
                let inside = servers.connect(index, &database, &servers.user).await;
                for row in old {
                    inside.batch_execute(row.get(0)).await.unwrap();
                }
            }
            admin.batch_execute(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).await.unwrap();
            admin.batch_execute(&format!("CREATE DATABASE {database}")).await.unwrap();
            let role = format!(
                "DO $$ BEGIN CREATE ROLE shop_app LOGIN PASSWORD '{}'; \
                 EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
                servers.password
            );
            admin.batch_execute(&role).await.unwrap();
            let client = servers.connect(index, &database, &servers.user).await;
            client.batch_execute(TABLES).await.unwrap();
            clients.push(client);
        }
        Self { servers: servers.clone(), database, clients }
    }

    pub fn settings(&self, proxy: &str) -> OutboxSettings {
        let shards = (0..3)
            .map(|index| ShardEndpoint {
                id: ShardId(index),
                name: format!("s{index}"),
                host: self.servers.host.clone(),
                port: self.servers.ports[usize::from(index)],
                database: self.database.clone(),
            })
            .collect();
        OutboxSettings {
            connector: std::sync::Arc::default(),
            proxy: proxy.into(),
            user: self.servers.user.clone(),
            password: self.servers.password.clone(),
            shards,
            home: HOME,
            shard_roles: vec!["shop_app".into()],
            bounds: OutboxBounds {
                relay_lease: Duration::from_millis(900),
                poll_max: Duration::from_millis(200),
                foreign_grace: Duration::from_millis(600),
                ..OutboxBounds::default()
            },
        }
    }

    pub fn outbox(&self, proxy: &str) -> Arc<Outbox> {
        Outbox::new(self.settings(proxy), Arc::new(SystemClock::new()))
    }

    pub async fn installed(&self, on_dead: OnDead) -> Arc<Outbox> {
        let outbox = self.outbox("p1");
        assert!(outbox.install().await.is_empty());
        assert!(outbox.reconcile_triggers(references(on_dead)).await.is_empty());
        outbox
    }

    pub async fn app(&self, index: usize) -> Client {
        self.servers.connect(index, &self.database, "shop_app").await
    }

    pub async fn text(&self, shard: usize, sql: &str) -> String {
        let row = self.clients[shard].query_opt(&format!("SELECT ({sql})::text"), &[]).await.unwrap();
        row.and_then(|row| row.get::<_, Option<String>>(0)).unwrap_or_default()
    }

    pub async fn until(&self, shard: usize, sql: &str, wanted: &str) {
        let began = Instant::now();
        loop {
            let found = self.text(shard, sql).await;
            if found == wanted {
                return;
            }
            assert!(began.elapsed() < WAIT, "{sql} on s{shard}: {found}, wanted {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn done(&self, txid: i64) {
        self.until(0, &format!("SELECT state FROM shardloom.ledger WHERE txid = {txid}"), "DONE").await;
    }

    pub async fn copies_equal(&self, table: &str) {
        let all = format!("SELECT coalesce(json_agg(t ORDER BY t.id)::text, 'none') FROM {table} t");
        let home = self.text(0, &all).await;
        for shard in 1..3 {
            self.until(shard, &all, &home).await;
        }
    }

    /// Writes reference tables as the client path does: the change, then ledger and COMMIT in one write.
    pub async fn write(&self, outbox: &Outbox, client: &Client, txid: i64, sql: &str) {
        let targets: ShardSet = [ShardId(1), ShardId(2)].into_iter().collect();
        let flight = outbox.begin_flight(txid, HOME, targets).with_copies(targets);
        client.batch_execute(&format!("BEGIN; {sql}")).await.unwrap();
        client.batch_execute(&format!("{}; COMMIT", ledger_insert(&reference_entry(txid)))).await.unwrap();
        flight.deferred();
    }
}

/// The statement of the client path with its values in the text.
pub fn ledger_insert(entry: &LedgerEntry) -> String {
    let values = ledger_values(entry);
    let mut parts = LEDGER_INSERT.split('$');
    let mut text = parts.next().expect("the beginning").to_owned();
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_digit()).expect("a cast");
        let number: usize = part[..digits].parse().expect("a parameter's number");
        match &values[number - 1] {
            Some(value) => text.push_str(&format!("E'{}'", value.replace('\\', "\\\\").replace('\'', "''"))),
            None => text.push_str("NULL"),
        }
        text.push_str(&part[digits..]);
    }
    text
}

pub fn references(on_dead: OnDead) -> Vec<ReferenceTable> {
    ["regions", "cities"].map(|table| ReferenceTable { table: table.into(), home: HOME, on_dead }).into()
}

pub fn reference_entry(txid: i64) -> LedgerEntry {
    LedgerEntry { copies: vec!["s1".into(), "s2".into()], ..entry(txid, WriteMode::Eventual, Vec::new()) }
}

pub fn entry(txid: i64, mode: WriteMode, targets: Vec<LedgerTarget>) -> LedgerEntry {
    LedgerEntry {
        txid,
        home: "s0".into(),
        mode,
        kind: "test".into(),
        copies: Vec::new(),
        targets,
        home_undo: Vec::new(),
        environment: Environment {
            time_zone: Some("Asia/Tokyo".into()),
            date_style: Some("ISO, DMY".into()),
            search_path: Some("\"$user\", public".into()),
            ..Environment::default()
        },
        home_rows: 1,
        proxy: "p1".into(),
        user: "ünï'\\".into(),
        rule_version: "v1".into(),
        on_dead: OnDead::ParkKey,
        business_key: None,
        idempotency_key: None,
        trace_id: None,
    }
}

/// `balance = balance + amount` on account 1 of `shard`, as a driver would have sent it: one binary, one text parameter.
pub fn credit(shard: &str, amount: i64) -> LedgerTarget {
    let command = RedoCommand {
        sql: "UPDATE accounts SET balance = balance + $1, at = '02-01-2026 09:00' WHERE id = $2".into(),
        types: vec![20],
        parameters: vec![
            RedoParameter { format: 1, value: Some(amount.to_be_bytes().to_vec()) },
            RedoParameter { format: 0, value: Some(b"1".to_vec()) },
        ],
        expected_rows: 1,
    };
    LedgerTarget::new(shard.into(), 1, vec![command])
}

pub fn started(outbox: &Arc<Outbox>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(outbox.clone().run())
}
