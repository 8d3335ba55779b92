//! Tables that change under a prepared statement: a client that was told the columns never gets others unawares.

use crate::protocol::both;
use crate::support::{Event, Pipeline, ProxyOptions, RawClient, Reply};

/// One statement for each way to the shards, and its values.
const STATEMENTS: [(&str, &str, &[Option<&str>]); 5] = [
    ("one", "SELECT * FROM customers WHERE customer_id = $1", &[Some("1")]),
    ("all", "SELECT * FROM customers ORDER BY customer_id LIMIT 3", &[]),
    ("reference", "SELECT * FROM regions ORDER BY region_id", &[]),
    ("returning", "INSERT INTO customers (customer_id, name) VALUES ($1, 'new') RETURNING *", &[Some("901")]),
    ("insert", "INSERT INTO customers (customer_id, name) VALUES ($1, 'new'), (999, 'x') RETURNING *", &[Some("902")]),
];

fn prepare(name: &str, sql: &str) -> Pipeline {
    Pipeline::new().parse(name, sql).describe_statement(name).sync()
}

fn run(name: &str, values: &[Option<&str>]) -> Pipeline {
    Pipeline::new().bind("", name, values).execute("", 0).sync()
}

fn routine(reply: &Reply) -> Option<String> {
    reply.events.iter().find_map(|event| match event {
        Event::Error(fields) => fields.get(&'R').cloned(),
        _ => None,
    })
}

#[tokio::test]
async fn a_client_that_knows_other_columns_is_told_as_by_postgresql() {
    let (_database, _proxy, mut both) = both("columns_told", ProxyOptions::default()).await;
    both.same("INSERT INTO regions VALUES (1, 'north'), (2, 'south')");
    for (name, sql, _) in STATEMENTS {
        both.same_pipeline(name, &prepare(name, sql), 1);
    }
    let count = "SELECT count(*) FROM customers";
    for table in ["customers", "regions"] {
        both.same(&format!("ALTER TABLE {table} ADD COLUMN extra int DEFAULT 4"));
    }
    for (name, _, values) in STATEMENTS {
        for _ in 0..2 {
            let replies = both.same_pipeline(name, &run(name, values), 1);
            assert_eq!(replies[0].error().unwrap().0, "0A000", "{name}");
        }
        let reply = run(name, values).send(&mut both.other, 1).remove(0);
        assert_eq!(routine(&reply).as_deref(), Some("RevalidateCachedQuery"), "{name}");
        both.same(count);
    }
    // A transaction fails by it, and what was before it in the pipeline was done.
    both.same("BEGIN");
    both.same_pipeline("in a transaction", &run("one", &[Some("1")]), 1);
    assert_eq!(both.same("COMMIT").tags(), ["ROLLBACK"]);
    let add = "INSERT INTO customers (customer_id) VALUES ($1)";
    let behind = Pipeline::new().run(add, &[Some("950")]).bind("", "one", &[Some("1")]).execute("", 0).sync();
    both.same_pipeline("behind a write", &behind, 1);
    both.same(count);
    // What drivers do about it.
    for (name, sql, values) in STATEMENTS {
        both.same_pipeline(name, &Pipeline::new().close_statement(name).sync(), 1);
        both.same_pipeline(name, &prepare(name, sql), 1);
        let replies = both.same_pipeline(name, &run(name, values), 1);
        assert_eq!(replies[0].error(), None, "{name}");
    }
}

#[tokio::test]
async fn columns_that_stay_or_come_back_are_no_reason_to_fail() {
    let (_database, _proxy, mut both) = both("columns_stay", ProxyOptions::default()).await;
    let some = "SELECT customer_id, name FROM customers WHERE customer_id = $1";
    both.same_pipeline("some", &prepare("some", some), 1);
    both.same_pipeline("star", &prepare("star", STATEMENTS[0].1), 1);
    both.same("ALTER TABLE customers ADD COLUMN extra int");
    both.same_pipeline("some", &run("some", &[Some("1")]), 1);
    assert!(both.same_pipeline("star", &run("star", &[Some("1")]), 1)[0].error().is_some());
    both.same("ALTER TABLE customers DROP COLUMN extra");
    for name in ["some", "star"] {
        assert_eq!(both.same_pipeline(name, &run(name, &[Some("1")]), 1)[0].error(), None);
    }
    both.same("ALTER TABLE customers ALTER COLUMN name TYPE varchar(40)");
    for name in ["some", "star"] {
        assert_eq!(both.same_pipeline(name, &run(name, &[Some("1")]), 1)[0].error().unwrap().0, "0A000");
    }
    // In the transaction that changes them, and after it is rolled back.
    both.same("BEGIN");
    both.same_pipeline("star again", &prepare("again", STATEMENTS[0].1), 1);
    both.same("ALTER TABLE customers ADD COLUMN extra int");
    assert!(both.same_pipeline("again", &run("again", &[Some("1")]), 1)[0].error().is_some());
    both.same("ROLLBACK");
    assert_eq!(both.same_pipeline("again", &run("again", &[Some("1")]), 1)[0].error(), None);
}

#[tokio::test]
async fn a_client_that_asks_with_every_execution_or_never_gets_the_new_columns() {
    let (_database, _proxy, mut both) = both("columns_asked", ProxyOptions::default()).await;
    let client = &mut both.other;
    let (_, star, values) = STATEMENTS[0];
    prepare("told", star).send(client, 1);
    Pipeline::new().parse("never", star).sync().send(client, 1);
    let asking = |name| Pipeline::new().bind("", name, values).describe_portal("").execute("", 0).sync();
    // A portal's description is one that the client may rely on.
    Pipeline::new().parse("portal", star).sync().send(client, 1);
    assert_eq!(width(&asking("portal"), client), 3);
    Pipeline::new().parse("scattered", STATEMENTS[1].1).sync().send(client, 1);
    let scattered = Pipeline::new().bind("", "scattered", &[]).describe_portal("").execute("", 0).sync();
    assert_eq!(width(&scattered, client), 3);
    client.simple("ALTER TABLE customers ADD COLUMN extra int");
    assert_eq!(width(&run("never", values), client), 4);
    for name in ["portal", "told"] {
        assert_eq!(run(name, values).send(client, 1)[0].error().unwrap().0, "0A000", "{name}");
        assert_eq!(width(&asking(name), client), 4, "{name}");
        assert_eq!(width(&run(name, values), client), 4, "{name}: told by now");
    }
    assert_eq!(run("scattered", &[]).send(client, 1)[0].error().unwrap().0, "0A000");
    assert_eq!(width(&scattered, client), 4);
    // Two portals in one pipeline: the second is not described.
    client.simple("ALTER TABLE customers DROP COLUMN extra");
    let two = Pipeline::new().bind("", "told", values).execute("", 0).bind("", "portal", values).describe_portal("");
    assert_eq!(two.execute("", 0).sync().send(client, 1)[0].error().unwrap().0, "0A000");
}

fn width(pipeline: &Pipeline, client: &mut RawClient) -> usize {
    let reply = pipeline.send(client, 1).remove(0);
    assert_eq!(reply.error(), None);
    reply.rows()[0].len()
}

#[tokio::test]
async fn a_change_behind_the_proxys_back_is_found_where_a_server_prepares_the_statement() {
    let options = ProxyOptions { workers: 1, ..ProxyOptions::default() };
    let (database, proxy, mut both) = both("columns_behind", options).await;
    let (_, star, values) = STATEMENTS[0];
    let client = &mut both.other;
    prepare("told", star).send(client, 1);
    for shard in 0..3 {
        database.shard(shard).await.batch_execute("ALTER TABLE customers ADD COLUMN extra int").await.unwrap();
    }
    // Of 30 customers every shard has some; home alone has prepared the statement, the others have yet to.
    let every = (1..=30)
        .fold(Pipeline::new(), |pipeline, key| pipeline.bind("", "told", &[Some(&key.to_string())]).execute("", 0));
    for _ in 0..3 {
        let reply = every.clone().sync().send(client, 1).remove(0);
        assert_eq!(reply.error().map(|(state, _)| state).as_deref(), Some("0A000"));
        assert_eq!((reply.rows().len(), reply.status), (0, 'I'));
    }
    client.simple("BEGIN");
    assert_eq!(run("told", values).send(client, 1)[0].status, 'E');
    assert_eq!(client.simple("COMMIT").tags(), ["ROLLBACK"]);
    Pipeline::new().close_statement("told").sync().send(client, 1);
    prepare("told", star).send(client, 1);
    assert_eq!(every.sync().send(client, 1)[0].rows().len(), 30);
    assert_eq!(width(&run("told", values), client), 4);
    drop(proxy);
}
