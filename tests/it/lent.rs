//! What a lent server remembers of others, and what idle ones keep from happening.

use shardloom::dev::{APP_PASSWORD, APP_USER};

use crate::protocol::RULES;
use crate::support::{Differential, Pipeline, Proxy, ProxyOptions, RawClient, TestDatabase, servers};

const ONE: &str = "passthrough: any\npool: {size: 1, reserve: 0, wait: 20s}";

async fn start(sharded: &TestDatabase, workers: u16) -> Proxy {
    let options = ProxyOptions { workers, config: ONE.to_owned(), ..ProxyOptions::default() };
    Proxy::start(sharded, RULES, options).await
}

fn ask(session: &mut Differential, sql: &str, extended: bool) {
    if extended {
        session.same_pipeline(sql, &Pipeline::new().run(sql, &[]).sync(), 1);
    } else {
        session.same(sql);
    }
}

#[tokio::test]
async fn numbers_that_others_drew_are_not_told() {
    let (sharded, database) = (TestDatabase::new("numbers"), TestDatabase::new("numbers"));
    let proxy = start(&sharded, 1).await;
    let session = || Differential::through(&proxy, &database);
    session().same("CREATE TABLE t (id serial, a int)");
    for extended in [false, true] {
        for question in ["SELECT lastval()", "SELECT currval('t_id_seq')"] {
            let mut drawer = session();
            drawer.same("INSERT INTO t (a) VALUES (1)");
            ask(&mut session(), question, extended);
            drawer.same("INSERT INTO t (a) VALUES (1)");
            let mut in_block = session();
            in_block.same("BEGIN");
            ask(&mut in_block, question, extended);
            in_block.same("ROLLBACK");
            drop(in_block);
            // The server had others before, and the numbers are the session's own.
            drawer.same("SELECT 1");
            let mut own = session();
            ask(&mut own, "INSERT INTO t (a) VALUES (2)", extended);
            ask(&mut own, question, extended);
            drop(own);
            drawer.same("SELECT 1");
            let mut own_in_block = session();
            own_in_block.same("BEGIN");
            ask(&mut own_in_block, "INSERT INTO t (a) VALUES (3)", extended);
            ask(&mut own_in_block, question, extended);
            own_in_block.same("COMMIT");
            ask(&mut own_in_block, question, extended);
        }
    }
}

/// Ways to draw a number that neither the text's first word nor the command tag tells of.
const UNSEEN: [&str; 5] = [
    "WITH w AS (INSERT INTO t (a) VALUES (1) RETURNING id) SELECT count(*) FROM w",
    "UPDATE t SET id = DEFAULT WHERE id = 1",
    "SELECT drawn()",
    "SELECT * FROM view_that_draws",
    "DO $$ BEGIN INSERT INTO t (a) VALUES (1); END $$",
];

#[tokio::test]
async fn numbers_drawn_unseen_are_not_told_to_who_drew_before() {
    let (sharded, database) = (TestDatabase::new("unseen"), TestDatabase::new("unseen"));
    let proxy = start(&sharded, 1).await;
    let session = || Differential::through(&proxy, &database);
    session().same("CREATE TABLE t (id serial, a int); INSERT INTO t (a) VALUES (0)");
    session().same("CREATE FUNCTION drawn() RETURNS int LANGUAGE sql AS 'INSERT INTO t (a) VALUES (1) RETURNING id'");
    session().same("CREATE VIEW view_that_draws AS SELECT drawn() > 0 AS drew");
    for (unseen, question) in UNSEEN.iter().flat_map(|unseen| [(unseen, "lastval()"), (unseen, "currval('t_id_seq')")])
    {
        let mut asker = session();
        asker.same("INSERT INTO t (a) VALUES (2)");
        session().same(unseen);
        // The asker's own number is not known any more, and the other one's is none of its business.
        let told = asker.other.simple(&format!("SELECT {question}"));
        let state = told.error().map(|(state, _)| state);
        assert_eq!(state.as_deref(), Some("55000"), "{unseen}: {question}: {told:?}");
        drop(asker);
        // Who drew unseen in a transaction is told there.
        let mut own = session();
        own.same("BEGIN");
        own.same(unseen);
        own.same(&format!("SELECT {question}"));
        own.same("COMMIT");
    }
}

#[tokio::test]
async fn statements_prepared_before_do_not_tell_them() {
    let (sharded, database) = (TestDatabase::new("numbersp"), TestDatabase::new("numbersp"));
    let proxy = start(&sharded, 1).await;
    let session = || Differential::through(&proxy, &database);
    session().same("CREATE TABLE t (id serial, a int)");
    let mut asker = session();
    asker.same_pipeline("prepare", &Pipeline::new().parse("p", "SELECT lastval()").sync(), 1);
    let mut drawer = session();
    drawer.same("INSERT INTO t (a) VALUES (1)");
    asker.same_pipeline("run", &Pipeline::new().bind("", "p", &[]).execute("", 0).sync(), 1);
}

#[tokio::test]
async fn idle_connections_keep_no_database_from_being_dropped() {
    let (sharded, database) = (TestDatabase::new("desert"), TestDatabase::new("desert"));
    let proxy = start(&sharded, 2).await;
    let name = &database.name;
    let mut session = Differential::through(&proxy, &database);
    session.same(&format!("CREATE DATABASE {name}_a"));
    let visit = |name: &str| {
        // One client per worker: both have idle connections.
        let visit = || RawClient::connect(proxy.port(), name, APP_USER, APP_PASSWORD);
        let mut clients: Vec<RawClient> = (0..4).map(|_| visit()).collect();
        clients.iter_mut().for_each(|client| assert_eq!(client.simple("SELECT 1").error(), None));
    };
    visit(&format!("{name}_a"));
    session.same(&format!("CREATE DATABASE {name}_b TEMPLATE {name}_a"));
    visit(&format!("{name}_a"));
    session.same(&format!("ALTER DATABASE {name}_a RENAME TO {name}_c"));
    visit(&format!("{name}_b"));
    let drop = Pipeline::new().run(&format!("DROP DATABASE {name}_b"), &[]).sync();
    session.same_pipeline("drop", &drop, 1);
    visit(&format!("{name}_c"));
    session.same(&format!("DROP DATABASE IF EXISTS {name}_c"));
}

#[tokio::test]
async fn new_sessions_have_new_defaults() {
    let (sharded, database) = (TestDatabase::new("defaults"), TestDatabase::new("defaults"));
    let proxy = start(&sharded, 1).await;
    let name = &database.name;
    let session = || Differential::through(&proxy, &database);
    let role = format!("{name}_role");
    session().same(&format!("CREATE ROLE {role}"));
    let database_s = format!("ALTER DATABASE {name} SET work_mem = '7MB'");
    let role_s = format!("ALTER ROLE {APP_USER} IN DATABASE {name} SET work_mem = '8MB'");
    for (change, extended) in [(&database_s, false), (&role_s, true)] {
        let mut changer = session();
        changer.same("SHOW work_mem");
        ask(&mut changer, change, extended);
        drop(changer);
        session().same("SHOW work_mem");
    }
    let mut changer = session();
    changer.same(&format!("BEGIN; ALTER DATABASE {name} SET search_path = pg_catalog"));
    changer.same(&format!("ALTER ROLE {APP_USER} IN DATABASE {name} RESET ALL; COMMIT"));
    drop(changer);
    let mut after = session();
    after.same("SHOW work_mem");
    after.same("SHOW search_path");
    // Of other roles and of what was rolled back nothing is seen.
    after.same(&format!("ALTER ROLE {role} SET work_mem = '9MB'"));
    after.same(&format!("BEGIN; ALTER DATABASE {name} RESET ALL; ROLLBACK"));
    drop(after);
    let mut last = session();
    last.same("SHOW work_mem");
    last.same("SHOW search_path");
    last.same(&format!("DROP ROLE {role}"));
}

#[tokio::test]
async fn lists_of_a_start_up_packet_are_lists() {
    let (sharded, database) = (TestDatabase::new("lists"), TestDatabase::new("lists"));
    let proxy = start(&sharded, 1).await;
    Differential::through(&proxy, &database).same("CREATE SCHEMA a; CREATE SCHEMA \"B, c\"");
    for (name, value) in [
        ("search_path", "a,public"),
        ("search_path", "public, \"B, c\" ,A"),
        ("search_path", "\"$user\""),
        ("search_path", ""),
        ("options", "-c search_path=a,public"),
        ("temp_tablespaces", "pg_default,pg_default"),
        ("DateStyle", "SQL,DMY"),
    ] {
        let start = |port| {
            let parameters = [("user", APP_USER), ("database", database.name.as_str()), (name, value)];
            RawClient::connect_with(port, &parameters, APP_PASSWORD)
        };
        let mut session = Differential { plain: start(servers().plain.port()), other: start(proxy.port()) };
        let shows = ["SHOW search_path", "SELECT current_schemas(false)", "SHOW temp_tablespaces", "SHOW DateStyle"];
        for change in
            ["SELECT 1", "SET search_path = b", "RESET search_path", "SET temp_tablespaces = ''", "DISCARD ALL"]
        {
            session.same(change);
            // Another session uses the same server meanwhile.
            Differential::through(&proxy, &database).same("SHOW search_path");
            shows.iter().for_each(|show| drop(session.same(show)));
        }
        session.same("BEGIN; SELECT set_config('search_path', 'public,a', true)");
        session.same("SELECT current_schemas(false)");
        session.same("ROLLBACK; SELECT current_schemas(false)");
    }
}
