//! Drivers as applications use them: what they see through the proxy is what they see without it.

mod document;
mod matrix;

pub use matrix::holds_in;

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, TryStreamExt, future};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use crate::protocol::both;
use crate::support::{Pipeline, ProxyOptions, python};

async fn copy_in(client: &Client, sql: &str, data: &'static [u8]) -> Result<u64, tokio_postgres::Error> {
    let mut sink = Box::pin(client.copy_in::<_, Bytes>(sql).await?);
    sink.send(Bytes::from_static(data)).await?;
    sink.as_mut().finish().await
}

async fn copy_out(client: &Client, sql: &str) -> Vec<u8> {
    let stream = client.copy_out(sql).await.unwrap();
    stream
        .try_fold(Vec::new(), |mut all, part| {
            future::ok({
                all.extend_from_slice(&part);
                all
            })
        })
        .await
        .unwrap()
}

/// One program, run against each side; returns what it saw.
async fn program(mut client: Client) -> Vec<String> {
    let mut seen = Vec::new();
    let by_key = client.prepare("SELECT name, balance::float8 FROM customers WHERE customer_id = $1").await.unwrap();
    seen.push(format!("{:?} {:?}", by_key.params(), by_key.columns().iter().map(|c| c.name()).collect::<Vec<_>>()));
    // All at once: the driver sends them in one pipeline.
    let all_at_once = (1..=30i64).map(|key| {
        let (client, by_key) = (&client, &by_key);
        async move { client.query_one(by_key, &[&key]).await }
    });
    for row in future::try_join_all(all_at_once).await.unwrap() {
        seen.push(format!("{} {}", row.get::<_, String>(0), row.get::<_, f64>(1)));
    }
    let insert = client.prepare("INSERT INTO customers (customer_id, name) VALUES ($1, $2)").await.unwrap();
    seen.push(format!("{:?}", insert.params()));
    for key in 301..=310i64 {
        seen.push(client.execute(&insert, &[&key, &"new"]).await.unwrap().to_string());
    }
    let error = client.execute(&insert, &[&301i64, &"new"]).await.unwrap_err();
    seen.push(error.code().unwrap().code().to_owned());

    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("SELECT customer_id FROM customers ORDER BY customer_id", &[]).await.unwrap();
    for rows in [7, 7, 0] {
        let rows = transaction.query_portal(&portal, rows).await.unwrap();
        seen.push(format!("{:?}", rows.iter().map(|row| row.get::<_, i64>(0)).collect::<Vec<_>>()));
    }
    let one = transaction.bind("SELECT generate_series(1, $1::int)", &[&5i32]).await.unwrap();
    for rows in [2, 2, 2] {
        seen.push(transaction.query_portal(&one, rows).await.unwrap().len().to_string());
    }
    transaction.rollback().await.unwrap();

    let transaction = client
        .build_transaction()
        .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
        .start()
        .await
        .unwrap();
    let row = transaction.query_one("SELECT count(*) FROM customers WHERE customer_id = $1", &[&5i64]).await.unwrap();
    seen.push(row.get::<_, i64>(0).to_string());
    transaction.commit().await.unwrap();

    seen.push(
        copy_in(&client, "COPY customers (customer_id, name) FROM STDIN", b"401\tx\n402\ty\n403\tz\n")
            .await
            .unwrap()
            .to_string(),
    );
    let error = copy_in(&client, "COPY customers (customer_id, name) FROM STDIN", b"401\tx\n").await.unwrap_err();
    seen.push(error.code().unwrap().code().to_owned());
    let copied = copy_out(&client, "COPY (SELECT 5 AS a, 'x' AS b) TO STDOUT").await;
    seen.push(String::from_utf8(copied).unwrap());
    let stream = client
        .query_raw("SELECT customer_id FROM customers WHERE customer_id > $1 ORDER BY 1", [&300i64])
        .await
        .unwrap();
    seen.push(stream.map(|row| row.unwrap().get::<_, i64>(0).to_string()).collect::<Vec<_>>().await.join(","));
    let messages =
        client.simple_query("SELECT 1; SELECT name FROM customers WHERE customer_id = 2; SELECT 3").await.unwrap();
    seen.push(messages.len().to_string());
    seen
}

#[tokio::test]
async fn a_rust_program_sees_the_same() {
    let (database, proxy, _both) = both("rust", ProxyOptions::default()).await;
    let expected = program(database.plain().await).await;
    assert_eq!(program(proxy.client().await).await, expected);
}

#[tokio::test]
async fn a_python_program_sees_the_same() {
    let (database, proxy, mut sides) = both("psycopg", ProxyOptions::default()).await;
    let plain = crate::support::servers().plain.port();
    let run = |name: &'static str, port: u16| {
        let database = database.name.clone();
        tokio::task::spawn_blocking(move || python(name, port, &database))
    };
    let expected = run("modes.py", plain).await.unwrap();
    assert_eq!(run("modes.py", proxy.port()).await.unwrap(), expected);
    sides.same("SELECT customer_id, name, balance FROM customers ORDER BY customer_id");
}

#[tokio::test]
async fn a_statement_is_prepared_once_per_server_for_all_clients() {
    let options =
        ProxyOptions { workers: 1, config: "pool: {size: 2, reserve: 0}".to_owned(), ..ProxyOptions::default() };
    let (_database, proxy, _both) = both("reuse", options).await;
    let clients = future::join_all((0..10).map(|_| proxy.client())).await;
    let text = "SELECT name FROM customers WHERE customer_id = $1";
    for client in &clients {
        let statement = client.prepare(text).await.unwrap();
        for key in [1i64, 2, 3, 4] {
            assert_eq!(client.query_one(&statement, &[&key]).await.unwrap().get::<_, String>(0), format!("name {key}"));
        }
    }
    for shard in ["s0", "s1", "s2"] {
        let sql = format!(
            "/* shardloom: shard={shard} */ SELECT count(*) FROM pg_prepared_statements WHERE statement = '{text}'"
        );
        let messages = clients[0].simple_query(&sql).await.unwrap();
        let count = messages.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        assert!(matches!(count.as_deref(), Some("0" | "1")), "{shard}: {count:?}");
    }
}

#[tokio::test]
async fn a_rust_client_cancels_its_statement() {
    let (_database, proxy, _both) = both("token", ProxyOptions::default()).await;
    let client = proxy.client().await;
    let token = client.cancel_token();
    let sleep = client.batch_execute("SELECT pg_sleep(60)");
    let cancel = async {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            token.cancel_query(NoTls).await.unwrap();
        }
    };
    let done = tokio::select! { done = sleep => done, () = cancel => Ok(()) };
    assert_eq!(done.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
    assert_eq!(client.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
}

#[tokio::test]
async fn ids_are_made_in_any_protocol() {
    let (database, proxy, _both) = both("ids", ProxyOptions::default()).await;
    let client = proxy.client().await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        seen.insert(client.query_one("SELECT shardloom.next_id('order')", &[]).await.unwrap().get::<_, i64>(0));
        seen.insert(client.query_one("SELECT shardloom.next_id($1)", &[&"customer"]).await.unwrap().get::<_, i64>(0));
        let rows = client.query("SELECT shardloom.next_ids('order', 3)", &[]).await.unwrap();
        seen.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
        let rows = client.query("SELECT * FROM shardloom.next_ids($1, $2) AS id", &[&"order", &2i32]).await.unwrap();
        seen.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
        let mut raw = proxy.raw();
        let rows = raw.simple("select shardloom.next_ids('order', 2);").rows();
        seen.extend(rows.iter().map(|row| row[0].as_ref().unwrap().parse::<i64>().unwrap()));
    }
    assert_eq!(seen.len(), 3 * 9, "no id twice");
    let id = *seen.first().unwrap();
    let row = client.query_one("SELECT tag, worker FROM shardloom.decode_id($1)", &[&id]).await.unwrap();
    assert!(matches!(row.get::<_, i32>(0), 1 | 2));
    for wrong in [
        "SELECT shardloom.next_ids('missing', 1)",
        "SELECT shardloom.next_ids('order', 0)",
        "SELECT shardloom.next_ids('order', 1000000000)",
    ] {
        let error = client.query(wrong, &[]).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::INVALID_PARAMETER_VALUE), "{wrong}");
    }
    let run = |port: u16| {
        let database = database.name.clone();
        tokio::task::spawn_blocking(move || python("ids.py", port, &database))
    };
    assert_eq!(run(proxy.port()).await.unwrap(), "7 ids\n");
}

#[tokio::test]
async fn routes_are_explained_as_text_and_as_json() {
    let (_database, proxy, _both) = both("explain", ProxyOptions::default()).await;
    let mut client = proxy.raw();
    let text = client.simple("EXPLAIN (ROUTE) SELECT * FROM customers");
    assert_eq!(text.rows()[0][0].as_deref(), Some("Scatter over s0, s1, s2"));
    assert_eq!(text.tags(), ["EXPLAIN"]);
    for sql in [
        "EXPLAIN (ROUTE, FORMAT json) SELECT * FROM customers",
        "explain (format json, route on) select * from customers",
    ] {
        let reply = client.simple(sql);
        let json: serde_json::Value = serde_json::from_str(reply.rows()[0][0].as_ref().unwrap()).unwrap();
        assert_eq!(json["shards"], serde_json::json!(["s0", "s1", "s2"]));
        assert_eq!(json["kind"], "scatter");
    }
    let sql = "EXPLAIN (ROUTE, FORMAT json) SELECT * FROM customers WHERE customer_id = 1";
    let reply = Pipeline::new().run(sql, &[]).sync().send(&mut client, 1).remove(0);
    let json: serde_json::Value = serde_json::from_str(reply.rows()[0][0].as_ref().unwrap()).unwrap();
    assert_eq!((json["kind"].as_str(), json["shards"].as_array().unwrap().len()), (Some("direct"), 1));
}

mod programs {
    //! One test per driver; `matrix` says what they do.

    use super::matrix::holds;

    #[tokio::test]
    async fn psycopg() {
        holds("psycopg").await;
    }

    #[tokio::test]
    async fn jdbc() {
        holds("jdbc").await;
    }

    #[tokio::test]
    async fn asyncpg() {
        holds("asyncpg").await;
    }

    #[tokio::test]
    async fn node() {
        holds("node").await;
    }

    #[tokio::test]
    async fn pgx() {
        holds("pgx").await;
    }

    #[tokio::test]
    async fn sqlx() {
        holds("sqlx").await;
    }

    #[tokio::test]
    async fn psql() {
        holds("psql").await;
    }

    #[tokio::test]
    async fn sqlalchemy() {
        holds("sqlalchemy").await;
    }

    #[tokio::test]
    async fn django() {
        holds("django").await;
    }
}
