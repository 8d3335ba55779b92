//! Types that users made have other numbers on each shard; clients see home's everywhere.

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};

use crate::support::{Column, Event, Proxy, ProxyOptions, Reply, TestDatabase};

const RULES: &str = r#"
kind: TableGroup
name: people
key: {type: bigint}
algorithm: hash
tables:
  people: {key: id}
missing_key: {read: scatter, write: scatter}
"#;

/// A value of an enum, by its word.
#[derive(Debug)]
struct Word(&'static str);

impl ToSql for Word {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(own: &Type) -> bool {
        matches!(own.kind(), Kind::Enum(_))
    }

    to_sql_checked!();
}

fn columns(reply: &Reply) -> Vec<Column> {
    let columns = |event: &Event| if let Event::Columns(columns) = event { Some(columns.clone()) } else { None };
    reply.events.iter().find_map(columns).expect("rows are described")
}

/// Goal: a driver that reads types by their numbers, and declares them, gets on with every shard.
#[tokio::test]
async fn types_and_tables_have_homes_numbers() {
    have_homes_numbers("transaction").await;
}

/// Goal: that holds as well for clients that had their servers before the types were made.
#[tokio::test]
async fn kept_connections_learn_numbers() {
    have_homes_numbers("session").await;
}

async fn have_homes_numbers(mode: &str) {
    let database = TestDatabase::new("own_types");
    for (shard, fillers) in [(0, 0), (1, 3), (2, 7)] {
        for filler in 0..fillers {
            let sql = format!("CREATE TABLE filler{filler} (a int)");
            database.shard(shard).await.batch_execute(&sql).await.unwrap();
        }
    }
    let options = ProxyOptions { config: format!("pool: {{mode: {mode}}}"), ..ProxyOptions::default() };
    let proxy = Proxy::start(&database, RULES, options).await;
    proxy.gates_open().await;
    let mut raw = proxy.raw();
    for shard in 0..3 {
        assert_eq!(raw.simple(&format!("/* shardloom: shard=s{shard} */ SELECT 1")).error(), None);
    }
    for sql in [
        "CREATE TYPE color AS ENUM ('red', 'green')",
        "CREATE TYPE mood AS ENUM ('sad', 'happy')",
        "CREATE TABLE people (id bigint PRIMARY KEY, mood mood, color color)",
    ] {
        assert_eq!(raw.simple(sql).error(), None, "{sql}");
    }
    let number = "SELECT 'mood'::regtype::oid::bigint, 'people'::regclass::oid::bigint";
    let mut numbers = Vec::new();
    for shard in 0..3 {
        let row = database.shard(shard).await.query_one(number, &[]).await.unwrap();
        numbers.push((row.get::<_, i64>(0), row.get::<_, i64>(1)));
    }
    assert!(numbers[0] != numbers[1] && numbers[1] != numbers[2] && numbers[0] != numbers[2], "{numbers:?}");
    let client = proxy.client().await;
    let insert = client.prepare("INSERT INTO people VALUES ($1, $2, $3)").await.unwrap();
    assert_eq!(insert.params().iter().map(Type::name).collect::<Vec<_>>(), ["int8", "mood", "color"]);
    let typed = client.prepare_typed("INSERT INTO people VALUES ($1, $2, $3)", insert.params()).await.unwrap();
    for id in 0..20i64 {
        let statement = if id % 2 == 0 { &insert } else { &typed };
        let values: [&(dyn ToSql + Sync); 3] = [&id, &Word(["sad", "happy"][id as usize % 2]), &Word("green")];
        assert_eq!(client.execute(statement, &values).await.unwrap(), 1, "{id}");
    }
    let by_mood = client.prepare_typed("SELECT count(*) FROM people WHERE mood = $1", &insert.params()[1..2]).await;
    let happy = client.query_one(&by_mood.unwrap(), &[&Word("happy")]).await.unwrap();
    assert_eq!(happy.get::<_, i64>(0), 10);
    let mut reads: Vec<String> =
        (0..20).map(|id| format!("SELECT mood, color, id FROM people WHERE id = {id}")).collect();
    reads.push("SELECT mood, color, id FROM people ORDER BY id".to_owned());
    reads.push("SELECT mood, color, id FROM people ORDER BY mood, id LIMIT 3".to_owned());
    for sql in &reads {
        let read = client.prepare(sql).await.unwrap();
        let kinds: Vec<&str> = read.columns().iter().map(|column| column.type_().name()).collect();
        assert_eq!(kinds, ["mood", "color", "int8"], "{sql}");
        assert!(
            read.columns().iter().all(|column| column.table_oid().is_none_or(|oid| i64::from(oid) == numbers[0].1))
        );
        // The simple protocol describes what the shard that answers says.
        let simple = raw.simple(sql);
        let described = columns(&simple);
        assert_eq!(i64::from(described[0].type_oid), numbers[0].0, "{sql}");
    }
}
