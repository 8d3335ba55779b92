//! Prepared statements of an unsharded database: under the client's names, and as the tables are now.

use shardloom::dev::{APP_PASSWORD, APP_USER};

use crate::protocol::RULES;
use crate::support::{Differential, Event, Pipeline, Proxy, ProxyOptions, RawClient, Reply, TestDatabase, servers};

/// A proxy, and a database of its home that no rule knows.
struct Unsharded {
    database: TestDatabase,
    _sharded: TestDatabase,
    proxy: Proxy,
}

impl Unsharded {
    async fn start(label: &str, config: &str) -> Self {
        let sharded = TestDatabase::new(label);
        let database = TestDatabase::new(label);
        let options =
            ProxyOptions { workers: 1, config: format!("passthrough: any\n{config}"), ..ProxyOptions::default() };
        let proxy = Proxy::start(&sharded, RULES, options).await;
        Self { database, _sharded: sharded, proxy }
    }

    fn session(&self) -> Differential {
        Differential::through(&self.proxy, &self.database)
    }

    /// Both servers, without the proxy.
    fn past_the_proxy(&self) -> Differential {
        let servers = servers();
        Differential::between(servers.plain.port(), servers.shards[0].port(), &self.database.name)
    }
}

const ONE: &str = "pool: {size: 1, reserve: 0, wait: 20s}";
const TWO: &str = "pool: {size: 2, reserve: 0, wait: 20s}";

fn parse(name: &str, sql: &str) -> Pipeline {
    Pipeline::new().parse(name, sql).sync()
}

fn prepare(name: &str, sql: &str) -> Pipeline {
    Pipeline::new().parse(name, sql).describe_statement(name).sync()
}

fn run(name: &str, values: &[Option<&str>]) -> Pipeline {
    Pipeline::new().bind("", name, values).describe_portal("").execute("", 0).sync()
}

/// The errors' SQLSTATE, message and place.
fn errors(replies: &[Reply]) -> Vec<Vec<String>> {
    let fields = replies.iter().flat_map(|reply| &reply.events).filter_map(|event| match event {
        Event::Error(fields) => Some(['C', 'M', 'P'].iter().filter_map(|key| fields.get(key).cloned()).collect()),
        _ => None,
    });
    fields.collect()
}

fn same_errors(session: &mut Differential, sql: &str) {
    let (plain, other) = (session.plain.simple(sql), session.other.simple(sql));
    assert_eq!(errors(&[other]), errors(&[plain]), "{sql}");
}

/// Texts that say names of statements that the protocol prepared: `p(int)`, `"Q ""1"""`, and `gone`, which was closed.
const SAYING: [&str; 24] = [
    "EXECUTE p(1)",
    "execute P (2) ; execute \"p\"(3)",
    "EXECUTE \"Q \"\"1\"\"\"",
    "EXECUTE q",
    "EXECUTE gone",
    "EXPLAIN (COSTS OFF) EXECUTE p(4)",
    "EXPLAIN (VERBOSE, FORMAT JSON, COSTS OFF) EXECUTE p(NULL)",
    "/* p */ EXECUTE /* p */ p /* p */ (5) -- p",
    "SELECT 1; EXECUTE p(6); SELECT 'EXECUTE p'",
    "BEGIN; EXECUTE p(7); COMMIT",
    "EXECUTE p('a')",
    "EXECUTE p(nosuch)",
    "EXECUTE p",
    "EXECUTE p(1); EXECUTE nosuch",
    "SELECT 'é'; EXECUTE p(1/0)",
    "EXECUTE p(8) garbage",
    "CREATE TEMP TABLE made AS EXECUTE p(9)",
    "SELECT * FROM made",
    "DROP TABLE made",
    "PREPARE p AS SELECT 1",
    "EXECUTE shardloom_1",
    "DEALLOCATE shardloom_1",
    "BEGIN; SELECT 1/0; EXECUTE p(10)",
    "EXECUTE p(11); ROLLBACK",
];

#[tokio::test]
async fn sql_finds_what_the_protocol_prepared() {
    for config in [TWO, "pool: {mode: session}"] {
        let unsharded = Unsharded::start("names", config).await;
        let (mut session, mut other) = (unsharded.session(), unsharded.session());
        session.same_pipeline("p", &prepare("p", "SELECT $1::int + 1 AS more"), 1);
        session.same_pipeline("q", &prepare("Q \"1\"", "SELECT 'q'"), 1);
        session.same_pipeline("gone", &prepare("gone", "SELECT 'gone'"), 1);
        session.same_pipeline("close", &Pipeline::new().close_statement("gone").sync(), 1);
        for sql in SAYING {
            // What others do on the same servers.
            other.same("SELECT 1");
            let pipeline = Pipeline::new().query(sql);
            let replies = session.same_pipeline(sql, &pipeline, 1);
            if replies[0].status == 'E' && replies[0].error().is_some_and(|(state, _)| state == "22012") {
                session.same("EXECUTE p(1)");
            }
            session.same("ROLLBACK");
            same_errors(&mut session, sql);
            session.same("ROLLBACK");
        }
        for sql in SAYING.iter().filter(|sql| !sql.contains(';')) {
            session.same_pipeline(sql, &Pipeline::new().run(sql, &[]).sync(), 1);
            let named = Pipeline::new().parse("says", sql).sync().bind("", "says", &[]).execute("", 0).sync();
            session.same_pipeline(sql, &named.close_statement("says").sync(), 3);
            session.same("DROP TABLE IF EXISTS made");
        }
        session.same_pipeline("still there", &run("p", &[Some("1")]), 1);
    }
}

#[tokio::test]
async fn sql_finds_them_on_any_server() {
    let unsharded = Unsharded::start("lent", TWO).await;
    let (mut session, mut holder) = (unsharded.session(), unsharded.session());
    session.same("CREATE TABLE t (a int)");
    session.same_pipeline("p", &prepare("p", "SELECT * FROM t"), 1);
    session.same_pipeline("d", &prepare("d", "SELECT * FROM t"), 1);
    for held in [true, false, true, false] {
        if held {
            holder.same("BEGIN; SELECT 1");
        }
        session.same("EXECUTE p");
        session.same_pipeline("extended", &Pipeline::new().run("EXECUTE p", &[]).sync(), 1);
        if held {
            holder.same("ROLLBACK");
        }
    }
    // Prepared again where the table is not there any more, each Query has one error, and goes on.
    session.same("DEALLOCATE p");
    session.same("EXECUTE p");
    session.same_pipeline("p", &prepare("p", "SELECT * FROM t"), 1);
    let mut dropper = unsharded.past_the_proxy();
    dropper.same("DROP TABLE t");
    holder.same("BEGIN; SELECT 1");
    session.same("EXECUTE p");
    session.same("SELECT 1; EXECUTE p");
    session.same("DEALLOCATE d");
    session.same("EXECUTE d");
    session.same("BEGIN; EXECUTE p");
    session.same("EXECUTE p");
    session.same("ROLLBACK");
}

#[tokio::test]
async fn a_name_means_what_it_was_defined_as_last() {
    let unsharded = Unsharded::start("again", ONE).await;
    let mut session = unsharded.session();
    session.same_pipeline("p", &prepare("p", "SELECT 1"), 1);
    session.same_pipeline("says", &prepare("says", "EXECUTE p"), 1);
    session.same_pipeline("one", &run("says", &[]), 1);
    session.same_pipeline("close", &Pipeline::new().close_statement("p").sync().parse("p", "SELECT 2").sync(), 2);
    session.same_pipeline("two", &run("says", &[]), 1);
    session.same("DEALLOCATE p");
    session.same_pipeline("none", &run("says", &[]), 1);
    let pipelined = Pipeline::new().parse("p", "SELECT 3").sync().query("EXECUTE p").query("DEALLOCATE p; EXECUTE p");
    session.same_pipeline("pipelined", &pipelined.run("EXECUTE p", &[]).sync(), 4);
    session.same_pipeline("itself", &Pipeline::new().parse("self", "EXECUTE nosuch").sync().query("EXECUTE self"), 2);
}

/// What another session does to the table of [`TEXTS`].
const CHANGES: [&str; 6] = [
    "ALTER TABLE t ADD b int",
    "ALTER TABLE t DROP b",
    "ALTER TABLE t ALTER a TYPE boolean USING a::boolean",
    "ALTER TABLE t ALTER a TYPE int USING a::int",
    "DROP TABLE t; CREATE TABLE t (a int, c text)",
    "BEGIN; ALTER TABLE t ALTER a TYPE text; ALTER TABLE t ADD d inet; COMMIT",
];

const TEXTS: [&str; 2] = ["SELECT * FROM t", "INSERT INTO t (a) VALUES ($1) RETURNING *"];

/// The ways of drivers: all at once, in two steps, without asking for the columns, asking before Sync, in a block.
fn same_when_fresh(unsharded: &Unsharded, sql: &str) {
    let values: &[_] = if sql.contains('$') { &[Some("1")] } else { &[] };
    let described = Pipeline::new().parse("x", sql).describe_statement("x");
    let whole = described.clone().bind("", "x", values).execute("", 0).sync();
    unsharded.session().same_pipeline("whole", &whole, 1);
    let mut apart = unsharded.session();
    apart.same_pipeline("prepare", &prepare("x", sql), 1);
    apart.same_pipeline("run", &run("x", values), 1);
    let undescribed = Pipeline::new().parse("x", sql).bind("", "x", values).execute("", 0).sync();
    unsharded.session().same_pipeline("undescribed", &undescribed, 1);
    let flushed = described.flush().bind("", "x", values).execute("", 0).sync();
    unsharded.session().same_pipeline("flushed", &flushed, 1);
    let mut in_block = unsharded.session();
    in_block.same("BEGIN");
    in_block.same_pipeline("prepare in a block", &prepare("x", sql), 1);
    in_block.same_pipeline("run in a block", &run("x", values), 1);
    in_block.same("ROLLBACK");
}

#[tokio::test]
async fn what_is_prepared_after_a_change_is_fresh() {
    let unsharded = Unsharded::start("ddl", ONE).await;
    unsharded.session().same("CREATE TABLE t (a int)");
    for change in CHANGES {
        let mut before = unsharded.session();
        for sql in TEXTS {
            let values: &[_] = if sql.contains('$') { &[Some("1")] } else { &[] };
            before.same_pipeline(sql, &prepare(sql, sql), 1);
            before.same_pipeline(sql, &run(sql, values), 1);
        }
        unsharded.session().same(change);
        for sql in TEXTS {
            same_when_fresh(&unsharded, sql);
        }
    }
}

#[tokio::test]
async fn what_is_prepared_after_a_change_past_the_proxy_is_fresh_where_it_shows() {
    let unsharded = Unsharded::start("ddlpast", ONE).await;
    let mut first = unsharded.session();
    first.same("CREATE TABLE t (a int)");
    let mut before = unsharded.session();
    let sql = "SELECT * FROM t";
    let whole = Pipeline::new().parse("x", sql).describe_statement("x").bind("", "x", &[]).execute("", 0).sync();
    let blind = Pipeline::new().parse("x", sql).bind("", "x", &[]).execute("", 0).sync();
    let mut flushed = Pipeline::new().parse("x", sql).describe_statement("x").flush();
    flushed.0.extend(run("x", &[]).0);
    for (change, pipeline) in [("ADD b int", &whole), ("DROP b", &blind), ("ADD c text", &flushed)] {
        before.same_pipeline(sql, &prepare(change, sql), 1);
        unsharded.past_the_proxy().same(&format!("ALTER TABLE t {change}"));
        unsharded.session().same_pipeline(change, pipeline, 1);
    }
    // Two steps: the first says nothing of the change.
    before.same_pipeline(sql, &prepare("last", sql), 1);
    unsharded.past_the_proxy().same("ALTER TABLE t DROP c");
    let mut apart = unsharded.session();
    apart.same_pipeline("parse", &parse("x", sql), 1);
    apart.same_pipeline("run", &run("x", &[]), 1);
}

#[tokio::test]
async fn what_a_session_has_of_its_own_is_seen_by_what_it_prepares() {
    let unsharded = Unsharded::start("own", ONE).await;
    let (mut first, mut second) = (unsharded.session(), unsharded.session());
    first.same("CREATE TABLE t (a int); CREATE SCHEMA s; CREATE TABLE s.t (b text, c int)");
    first.same_pipeline("shared", &prepare("x", "SELECT * FROM t"), 1);
    first.same_pipeline("shared", &run("x", &[]), 1);
    second.same("BEGIN; SET LOCAL search_path = s");
    second.same_pipeline("local path", &prepare("x", "SELECT * FROM t"), 1);
    second.same_pipeline("local path", &run("x", &[]), 1);
    second.same("COMMIT");
    second.same_pipeline("back", &prepare("y", "SELECT * FROM t"), 1);
    second.same_pipeline("back", &run("y", &[]), 1);
    second.same("BEGIN; SELECT set_config('search_path', 's', true)");
    second.same_pipeline("local path", &prepare("z", "SELECT * FROM t"), 1);
    second.same_pipeline("local path", &run("z", &[]), 1);
    second.same("ROLLBACK");
    second.same("CREATE TEMP TABLE t (d date)");
    second.same_pipeline("temporary", &prepare("w", "SELECT * FROM t"), 1);
    second.same_pipeline("temporary", &run("w", &[]), 1);
}

#[tokio::test]
async fn a_client_has_a_bound_of_statements() {
    let unsharded = Unsharded::start("bound", "limits: {client_statements: 3}").await;
    let mut client = RawClient::connect(unsharded.proxy.port(), &unsharded.database.name, APP_USER, APP_PASSWORD);
    for name in ["a", "b", "c"] {
        assert_eq!(parse(name, "SELECT 1").send(&mut client, 1)[0].error(), None);
    }
    for _ in 0..2 {
        let refused = Pipeline::new().parse("d", "SELECT 1").bind("", "d", &[]).execute("", 0).sync();
        let (state, message) = refused.send(&mut client, 1)[0].error().expect("a refusal");
        assert_eq!((state.as_str(), message.as_str()), ("54000", "more than 3 prepared statements in one session"));
    }
    let reply = &Pipeline::new().run("SELECT 2", &[]).sync().send(&mut client, 1)[0];
    assert_eq!(reply.rows()[0][0].as_deref(), Some("2"));
    Pipeline::new().close_statement("b").sync().send(&mut client, 1);
    assert_eq!(parse("d", "SELECT 1").send(&mut client, 1)[0].error(), None);
    client.simple("BEGIN");
    assert_eq!(parse("e", "SELECT 1").send(&mut client, 1)[0].status, 'E');
    assert_eq!(client.simple("ROLLBACK").status, 'I');
}

#[tokio::test]
async fn a_session_with_its_own_server_has_its_own_names() {
    let unsharded = Unsharded::start("session", "pool: {mode: session}").await;
    let mut session = unsharded.session();
    let names = "SELECT name, statement, from_sql FROM pg_prepared_statements ORDER BY 1";
    session.same_pipeline("p", &prepare("p", "SELECT 1"), 1);
    session.same_pipeline("shardloom_1", &prepare("shardloom_1", "SELECT 2"), 1);
    session.same("PREPARE s AS SELECT 3");
    session.same(names);
    session.same_pipeline("taken", &parse("s", "SELECT 4"), 1);
    session.same_pipeline("taken", &parse("p", "SELECT 4"), 1);
    session.same("PREPARE p AS SELECT 5");
    session.same_pipeline("set", &parse("set", "SET application_name = 'prepared'"), 1);
    session.same_pipeline("set", &run("set", &[]), 1);
    session.same("SHOW application_name");
    session.same_pipeline("close", &Pipeline::new().close_statement("p").close_statement("nosuch").sync(), 1);
    session.same(names);
    for name in ["shardloom_1", "s", "p"] {
        session.same_pipeline(name, &run(name, &[]), 1);
    }
    session.same("DEALLOCATE ALL");
    session.same(names);
    for number in 0..300 {
        session.same_pipeline("many", &parse(&format!("many{number}"), "SELECT 1"), 1);
    }
    session.same("SELECT count(*) FROM pg_prepared_statements");
    session.same("DISCARD ALL");
    session.same(names);
    drop(session);
    unsharded.session().same(names);
}

#[tokio::test]
async fn a_temporary_table_stands_before_one_of_its_name() {
    let unsharded = Unsharded::start("prepared_temporary", ONE).await;
    let mut session = unsharded.session();
    session.same("CREATE TABLE notes (note int); INSERT INTO notes VALUES (1)");
    let text = "SELECT count(*) FROM notes WHERE note > $1";
    drop(session);
    // Later rounds meet a server that has had temporary tables.
    for _ in 0..3 {
        let mut session = unsharded.session();
        session.same_pipeline("p", &parse("p", text), 1);
        for next in ["CREATE TEMP TABLE notes (note int)", "DROP TABLE pg_temp.notes", "SELECT 1"] {
            for _ in 0..3 {
                session.same_pipeline(next, &run("p", &[Some("0")]), 1);
                session.same_pipeline(next, &Pipeline::new().run(text, &[Some("0")]).sync(), 1);
            }
            session.same(next);
        }
    }
}
