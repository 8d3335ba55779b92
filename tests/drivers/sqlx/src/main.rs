//! The features of the driver matrix with sqlx.

use std::future::Future;

use futures_util::TryStreamExt;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPool, PgPoolCopyExt, PgPoolOptions};
use sqlx::types::{Decimal, Json, time::OffsetDateTime};
use sqlx::{ConnectOptions, Connection, Executor, Row, Statement};

type Failure = Box<dyn std::error::Error>;
type Done = Result<(), Failure>;

const NAME: &str = "SELECT name FROM accounts WHERE account_id = $1";

macro_rules! expect {
    ($seen:expr, $wanted:expr) => {
        let (seen, wanted) = ($seen, $wanted);
        if seen != wanted {
            return Err(format!("line {}: {seen:?} instead of {wanted:?}", line!()).into());
        }
    };
}

fn options() -> PgConnectOptions {
    // The rest comes from the environment, as with libpq.
    PgConnectOptions::new().database(&std::env::var("PGDATABASE").unwrap_or_default())
}

async fn connect() -> Result<PgConnection, Failure> {
    Ok(options().connect().await?)
}

fn raises<T>(state: &str, result: Result<T, sqlx::Error>) -> Done {
    match result {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(state) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(format!("no error {state}").into()),
    }
}

async fn name(c: &mut PgConnection, key: i64) -> Result<String, Failure> {
    Ok(sqlx::query_scalar(NAME).bind(key).fetch_one(c).await?)
}

async fn simple() -> Done {
    let mut c = connect().await?;
    let rows = sqlx::raw_sql("SELECT 1; UPDATE accounts SET balance = 1 WHERE account_id = 3; SELECT 2")
        .fetch_all(&mut c)
        .await?;
    expect!(rows.len(), 2);
    Ok(())
}

async fn extended() -> Done {
    let mut c = connect().await?;
    let row =
        sqlx::query("SELECT account_id, name FROM accounts WHERE account_id = $1").bind(7i64).fetch_one(&mut c).await?;
    expect!((row.get::<i64, _>(0), row.get::<String, _>("name")), (7, "name 7".to_owned()));
    // Not describe(), as query!() does: that is EXPLAIN EXECUTE of a name that only the proxy knows.
    let described = c.prepare("SELECT account_id, name FROM accounts WHERE account_id = $1").await?;
    expect!(described.columns().len(), 2);
    Ok(())
}

async fn prepared() -> Done {
    for capacity in [100, 3, 0] {
        let mut c = options().statement_cache_capacity(capacity).connect().await?;
        for key in 1..=30i64 {
            let mut tx = c.begin().await?;
            expect!(name(&mut tx, key).await?, format!("name {key}"));
            let text = format!("SELECT name FROM accounts WHERE account_id = $1 AND {} > 0", key % 5 + 1);
            let seen: String = sqlx::query_scalar(&text).bind(key).fetch_one(&mut *tx).await?;
            expect!(seen, format!("name {key}"));
            tx.commit().await?;
            expect!(sqlx::query(NAME).persistent(false).bind(key).fetch_all(&mut c).await?.len(), 1);
        }
    }
    Ok(())
}

async fn value<T>(column: &str, key: i64, wanted: T) -> Done
where
    T: for<'q> sqlx::Encode<'q, sqlx::Postgres>
        + for<'r> sqlx::Decode<'r, sqlx::Postgres>
        + sqlx::Type<sqlx::Postgres>
        + Clone
        + PartialEq
        + std::fmt::Debug
        + Send
        + Unpin
        + 'static,
{
    let mut c = connect().await?;
    let insert = format!("INSERT INTO accounts (account_id, {column}) VALUES ($1, $2)");
    sqlx::query(&insert).bind(key).bind(wanted.clone()).execute(&mut c).await?;
    let read = format!("SELECT {column} FROM accounts WHERE account_id = $1");
    let seen: T = sqlx::query_scalar(&read).bind(key).fetch_one(&mut c).await?;
    expect!(seen, wanted);
    Ok(())
}

async fn nulls() -> Done {
    value("name", 1000, None::<String>).await
}

async fn arrays() -> Done {
    value("tags", 1100, vec![Some("b\"c".to_owned()), None, Some("{f}".to_owned())]).await?;
    value("numbers", 1101, Vec::<i32>::new()).await
}

async fn numeric() -> Done {
    value("balance", 1200, Decimal::new(-999_999_999_999, 2)).await
}

async fn timestamptz() -> Done {
    value("opened", 1300, OffsetDateTime::from_unix_timestamp(1_700_000_000)?).await
}

async fn bytea() -> Done {
    value("payload", 1400, vec![255u8; 70_000]).await
}

async fn json() -> Done {
    value("doc", 1500, Json(serde_json::json!({"a": [1, null, "ü"]}))).await
}

async fn errors() -> Done {
    let mut c = connect().await?;
    for _ in 0..3 {
        raises("23505", sqlx::query("INSERT INTO accounts (account_id) VALUES ($1)").bind(1i64).execute(&mut c).await)?;
        raises("42P01", sqlx::query("SELECT * FROM missing").execute(&mut c).await)?;
        raises("42601", sqlx::query("SELEC 1").execute(&mut c).await)?;
        raises("22012", sqlx::query("SELECT 1 / $1").bind(0i32).execute(&mut c).await)?;
        expect!(name(&mut c, 1).await?, "name 1");
    }
    Ok(())
}

async fn transactions() -> Done {
    let (mut c, mut other) = (connect().await?, connect().await?);
    let mut tx = c.begin().await?;
    sqlx::query("INSERT INTO accounts (account_id, name) VALUES ($1, 'new'), ($2, 'new')")
        .bind(2001i64)
        .bind(2002i64)
        .execute(&mut *tx)
        .await?;
    expect!(sqlx::query(NAME).bind(2001i64).fetch_all(&mut other).await?.len(), 0);
    tx.commit().await?;
    expect!(name(&mut other, 2002).await?, "new");
    let mut tx = c.begin().await?;
    sqlx::query("DELETE FROM accounts WHERE account_id = $1").bind(2001i64).execute(&mut *tx).await?;
    // Dropping it rolls back with the connection's next statement.
    drop(tx);
    expect!(name(&mut c, 2001).await?, "new");
    Ok(())
}

async fn savepoints() -> Done {
    let mut c = connect().await?;
    let mut tx = c.begin().await?;
    sqlx::query("INSERT INTO accounts (account_id, name) VALUES (2101, 'kept')").execute(&mut *tx).await?;
    let mut inner = tx.begin().await?;
    raises("23505", sqlx::query("INSERT INTO accounts (account_id) VALUES (2101)").execute(&mut *inner).await)?;
    inner.rollback().await?;
    tx.commit().await?;
    expect!(name(&mut c, 2101).await?, "kept");
    Ok(())
}

async fn server_cursor() -> Done {
    let mut c = connect().await?;
    let mut tx = c.begin().await?;
    sqlx::query("DECLARE walk CURSOR FOR SELECT entry_id FROM entries WHERE account_id = 5 ORDER BY 1")
        .execute(&mut *tx)
        .await?;
    let rows: Vec<i64> = sqlx::query_scalar("FETCH 3 FROM walk").fetch_all(&mut *tx).await?;
    expect!(rows, vec![1, 2, 3]);
    Ok(())
}

async fn copy_in() -> Done {
    let mut c = connect().await?;
    let mut sink = c.copy_in_raw("COPY accounts (account_id, name) FROM STDIN").await?;
    for key in 3000..3500 {
        sink.send(format!("{key}\tx\n").into_bytes()).await?;
    }
    expect!(sink.finish().await?, 500);
    Ok(())
}

async fn copy_out() -> Done {
    let pool = PgPool::connect_with(options()).await?;
    let read = async |sql: &str| -> Result<Vec<u8>, Failure> {
        let parts: Vec<_> = pool.copy_out_raw(sql).await?.try_collect().await?;
        Ok(parts.concat())
    };
    expect!(read("COPY (SELECT n, 'x' FROM generate_series(1, 2) n) TO STDOUT").await?, b"1\tx\n2\tx\n");
    expect!(read("COPY regions TO STDOUT").await?.len(), 0);
    Ok(())
}

async fn copy_fail() -> Done {
    let mut c = connect().await?;
    let mut sink = c.copy_in_raw("COPY accounts (account_id, name) FROM STDIN").await?;
    sink.send(&b"3601\tnever\n"[..]).await?;
    sink.abort("given up").await?;
    let mut sink = c.copy_in_raw("COPY accounts (account_id, name) FROM STDIN").await?;
    sink.send(&b"3602\tnever\n1\ttwice\n"[..]).await?;
    raises("23505", sink.finish().await)?;
    expect!(sqlx::query("SELECT name FROM accounts WHERE name = 'never'").fetch_all(&mut c).await?.len(), 0);
    Ok(())
}

async fn listen() -> Done {
    let pool = PgPool::connect_with(options()).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen("news").await?;
    sqlx::query("SELECT pg_notify('news', 'first')").execute(&pool).await?;
    let heard = listener.recv().await?;
    expect!(heard.payload(), "first");
    Ok(())
}

async fn timeout() -> Done {
    let mut c = options().options([("statement_timeout", "100")]).connect().await?;
    raises("57014", sqlx::query("SELECT pg_sleep(30)").execute(&mut c).await)?;
    c.execute("RESET statement_timeout; SET statement_timeout = 0").await?;
    c.execute("SELECT pg_sleep(0.2)").await?;
    Ok(())
}

async fn set_reset() -> Done {
    let mut c = options().application_name("matrix").options([("work_mem", "5MB")]).connect().await?;
    for (change, wanted) in
        [("SELECT 1", "5MB"), ("SET work_mem = '6MB'", "6MB"), ("SELECT 1", "6MB"), ("RESET work_mem", "5MB")]
    {
        c.execute(change).await?;
        let seen: String = sqlx::query_scalar("SHOW work_mem").fetch_one(&mut c).await?;
        expect!(seen, wanted);
    }
    Ok(())
}

async fn large_row() -> Done {
    value("name", 4001, "ü".repeat(500_000)).await
}

async fn many_rows() -> Done {
    let mut c = connect().await?;
    let keys: Vec<i64> = sqlx::query_scalar("SELECT event_id FROM events WHERE event_id > $1 ORDER BY event_id")
        .bind(0i64)
        .fetch_all(&mut c)
        .await?;
    expect!(keys, (1..=10_000).collect::<Vec<i64>>());
    // Left half-way: the driver reads the rest off before the next statement.
    let mut rows = sqlx::query("SELECT event_id FROM events ORDER BY event_id").fetch(&mut c);
    expect!(rows.try_next().await?.is_some(), true);
    drop(rows);
    expect!(name(&mut c, 1).await?, "name 1");
    Ok(())
}

async fn pool() -> Done {
    let pool = PgPoolOptions::new().max_connections(4).connect_with(options()).await?;
    let all = (1..=60i64).map(|key| {
        let pool = pool.clone();
        async move { sqlx::query_scalar::<_, String>(NAME).bind(key).fetch_one(&pool).await.map(|name| (key, name)) }
    });
    for (key, name) in futures_util::future::try_join_all(all).await? {
        expect!(name.as_str() == format!("name {key}"), true);
    }
    Ok(())
}

async fn ddl() -> Done {
    let (mut c, mut other) = (connect().await?, connect().await?);
    other.execute("INSERT INTO shapes (shape_id, name) VALUES (1, 'square')").await?;
    for sql in ["ALTER TABLE shapes ADD COLUMN sides int DEFAULT 4", "ALTER TABLE shapes DROP COLUMN sides"] {
        for _ in 0..3 {
            let seen: String =
                sqlx::query_scalar("SELECT name FROM shapes WHERE shape_id = $1").bind(1i64).fetch_one(&mut c).await?;
            expect!(seen, "square");
        }
        other.execute(sql).await?;
    }
    Ok(())
}

async fn returning() -> Done {
    let mut c = connect().await?;
    let insert = "INSERT INTO entries (account_id, note) VALUES ($1, $2) RETURNING entry_id";
    let first: i64 = sqlx::query_scalar(insert).bind(6i64).bind("a").fetch_one(&mut c).await?;
    let second: i64 = sqlx::query_scalar(insert).bind(6i64).bind("b").fetch_one(&mut c).await?;
    expect!(second > first, true);
    Ok(())
}

async fn say(name: &str, work: impl Future<Output = Done>) {
    let outcome = match work.await {
        Ok(()) => "ok".to_owned(),
        Err(error) => {
            let state = error
                .downcast_ref::<sqlx::Error>()
                .and_then(|error| error.as_database_error()?.code().map(|code| code.into_owned()));
            let sharded = std::env::var("SIDE").is_ok_and(|side| side == "sharded");
            if sharded && state.as_deref() == Some("0A000") {
                "refused 0A000".to_owned()
            } else {
                format!("FAIL {state:?} {}", error.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
            }
        }
    };
    println!("{name} {outcome}");
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("driver sqlx 0.8.6");
    say("simple", simple()).await;
    say("extended", extended()).await;
    say("prepared", prepared()).await;
    say("nulls", nulls()).await;
    say("arrays", arrays()).await;
    say("numeric", numeric()).await;
    say("timestamptz", timestamptz()).await;
    say("bytea", bytea()).await;
    say("json", json()).await;
    say("errors", errors()).await;
    say("transactions", transactions()).await;
    say("savepoints", savepoints()).await;
    say("server_cursor", server_cursor()).await;
    say("copy_in", copy_in()).await;
    say("copy_out", copy_out()).await;
    say("copy_fail", copy_fail()).await;
    say("listen", listen()).await;
    say("timeout", timeout()).await;
    say("set_reset", set_reset()).await;
    say("large_row", large_row()).await;
    say("many_rows", many_rows()).await;
    say("pool", pool()).await;
    say("ddl", ddl()).await;
    say("returning", returning()).await;
}
