//! A database without rules: the same statements through the proxy and on PostgreSQL itself.

use super::{connections, pinned, value};
use crate::protocol::RULES;
use crate::support::{Differential, Event, Pipeline, Proxy, ProxyOptions, RawClient, TestDatabase};

/// A proxy, and a database of its home that no rule knows.
struct Unsharded {
    database: TestDatabase,
    _sharded: TestDatabase,
    proxy: Proxy,
}

impl Unsharded {
    async fn start(label: &str, count: usize) -> Self {
        let sharded = TestDatabase::new(label);
        let database = TestDatabase::new(label);
        let proxy = Proxy::start(&sharded, RULES, connections(count, "passthrough: any")).await;
        Self { database, _sharded: sharded, proxy }
    }

    fn session(&self) -> Differential {
        Differential::through(&self.proxy, &self.database)
    }

    fn client(&self) -> RawClient {
        RawClient::connect(self.proxy.port(), &self.database.name, "app", "app")
    }

    fn pinned(&self) -> String {
        pinned(&self.proxy, &self.database.name)
    }
}

/// What a fresh session sees of everything that a session can have.
const PROBES: [&str; 12] = [
    "SELECT name, setting FROM pg_settings WHERE source = 'session' AND name NOT IN ('application_name', 'client_encoding') ORDER BY 1",
    "SELECT coalesce(current_setting('app.x', true), ''), current_setting('search_path'), current_user, session_user",
    "SELECT name, statement FROM pg_prepared_statements WHERE from_sql",
    "SELECT name FROM pg_cursors",
    "SELECT pg_listening_channels()",
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
    "SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema()",
    "EXECUTE p",
    "FETCH held",
    "SELECT * FROM scratch",
    "SHOW client_encoding",
    "SHOW standard_conforming_strings",
];

/// What one client leaves behind.
const LEFT: [&str; 26] = [
    "SET work_mem = '7MB'",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SELECT set_config('work_mem', '8MB', false)",
    "SELECT set_config('app.x', lower('Y'), false)",
    "DO $$ BEGIN PERFORM set_config('app.x', 'z', false); END $$",
    "SET app.x = 'w'",
    "SET search_path = pg_catalog",
    "SET NAMES 'LATIN1'",
    "SET standard_conforming_strings = off",
    "SET TIME ZONE 'Asia/Tokyo'",
    "BEGIN; SET work_mem = '9MB'; COMMIT",
    "BEGIN; SET LOCAL work_mem = '9MB'; COMMIT",
    "CREATE TEMP TABLE scratch (a int)",
    "SELECT 1 AS a INTO TEMP scratch",
    "CREATE TEMP VIEW scratch AS SELECT 1 AS a",
    "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "LISTEN news",
    "SELECT pg_advisory_lock(3)",
    "SELECT pg_try_advisory_lock_shared(3, 4)",
    "PREPARE p AS SELECT 1",
    "DECLARE held CURSOR WITH HOLD FOR SELECT 1",
    "BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT 1; COMMIT",
    "BEGIN; CREATE TEMP TABLE scratch (a int); SAVEPOINT a",
    "SET ROLE pg_read_all_data",
    "SET datestyle = 'SQL, DMY'; SET intervalstyle = 'iso_8601'",
    "BEGIN; LISTEN news; SELECT 1/0",
];

#[tokio::test]
async fn nothing_of_a_client_that_left_reaches_the_next() {
    let unsharded = Unsharded::start("leak", 1).await;
    for sql in LEFT {
        for extended in [false, true] {
            let mut one = unsharded.client();
            if extended && !sql.contains(';') {
                Pipeline::new().run(sql, &[]).sync().send(&mut one, 1);
            } else {
                one.simple(sql);
            }
            drop(one);
            // A fresh session of PostgreSQL is the measure.
            let mut next = unsharded.session();
            for probe in PROBES {
                next.same(probe);
            }
        }
    }
}

#[tokio::test]
async fn nothing_of_a_client_that_stays_reaches_another() {
    let unsharded = Unsharded::start("apart", 2).await;
    for sql in LEFT {
        let (mut one, mut two) = (unsharded.session(), unsharded.session());
        two.same("SELECT 1");
        one.same(sql);
        for probe in PROBES {
            one.same(probe);
            two.same(probe);
        }
    }
}

#[tokio::test]
async fn state_behaves_as_in_postgres() {
    let unsharded = Unsharded::start("state", 2).await;
    let mut session = unsharded.session();
    let mut other = unsharded.client();
    for sql in [
        "SET work_mem = '7MB'; SELECT 1/0",
        "SHOW work_mem",
        "BEGIN; SET work_mem = '8MB'; SAVEPOINT a; SET work_mem = '9MB'; ROLLBACK TO a; COMMIT",
        "SHOW work_mem",
        "BEGIN; SET LOCAL work_mem = '10MB'; SAVEPOINT a; SET LOCAL work_mem = '11MB'; RELEASE a; SHOW work_mem; COMMIT",
        "SHOW work_mem",
        "RESET work_mem",
        "SHOW work_mem",
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "BEGIN; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SHOW transaction_isolation; COMMIT",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY",
        "SHOW transaction_isolation",
        "SHOW transaction_read_only",
        "RESET ALL",
        "SHOW transaction_isolation",
        "SET TIME ZONE INTERVAL '+05:30' HOUR TO MINUTE",
        "SHOW TIME ZONE",
        "SET TIME ZONE LOCAL",
        "SET NAMES 'UTF8'",
        "SET SESSION AUTHORIZATION DEFAULT",
        "RESET SESSION AUTHORIZATION",
        "SET ROLE NONE",
        "SELECT set_config('app.x', 'one', false)",
        "SHOW app.x",
        "RESET app.x",
        "SHOW app.x",
        "BEGIN; SELECT set_config('app.x', 'two', true); SHOW app.x; COMMIT",
        "SHOW app.x",
        "SET no.such = 1; SHOW no.such",
        "SET work_mem = 'x'",
        "SET missing = 1",
        "DISCARD ALL; SELECT 1",
        "SELECT 1; DISCARD ALL",
        "BEGIN; DISCARD ALL",
        "ROLLBACK",
        "DISCARD PLANS",
        "DISCARD SEQUENCES",
        "DISCARD TEMP",
        "DISCARD ALL",
        "PREPARE p (int) AS SELECT $1 + 1",
        "EXECUTE p (1)",
        "EXPLAIN (COSTS OFF) EXECUTE p (2)",
        "PREPARE p AS SELECT 2",
        "DEALLOCATE PREPARE p",
        "EXECUTE p (1)",
        "DEALLOCATE p",
        "DEALLOCATE ALL",
        "CREATE TABLE numbered (id serial, v text)",
        "INSERT INTO numbered (v) VALUES ('a'), ('b')",
        "SELECT lastval(), currval('numbered_id_seq')",
        "SELECT nextval('numbered_id_seq')",
        "SELECT lastval()",
        "DISCARD SEQUENCES",
        "SELECT lastval()",
        "LISTEN a",
        "LISTEN b",
        "SELECT pg_listening_channels() ORDER BY 1",
        "UNLISTEN a",
        "SELECT pg_listening_channels()",
        "UNLISTEN *",
        "SELECT pg_listening_channels()",
        "SET standard_conforming_strings = off",
        "SELECT 'it\\'s; here'",
        "SELECT 'a\\\\b', E'c\\nd'; SELECT 2",
        "RESET standard_conforming_strings",
        "SELECT 'a\\\\b'",
        "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 4); FETCH 2 FROM c; COMMIT",
        "FETCH ALL FROM c",
        "CLOSE ALL",
        "FETCH c",
        "LOAD 'plpgsql'",
    ] {
        session.same(sql);
        // Somebody else uses the same connections in between.
        other.simple("SET work_mem = '3MB'");
        assert_eq!(value(&other.simple("SHOW work_mem")), "3MB", "after {sql}");
    }
}

#[tokio::test]
async fn connections_are_kept_only_while_needed() {
    let unsharded = Unsharded::start("needed", 1).await;
    let cases: [(&str, &str, &str); 7] = [
        ("CREATE TEMP TABLE scratch (a int)", "temporary table", "DROP TABLE scratch"),
        ("CREATE TEMP TABLE scratch (a int)", "temporary table", "DISCARD TEMP"),
        ("SELECT pg_advisory_lock(5)", "advisory lock", "SELECT pg_advisory_unlock(5)"),
        ("LISTEN news", "listen", "UNLISTEN *"),
        ("DECLARE held CURSOR WITH HOLD FOR SELECT 1", "held cursor", "CLOSE ALL"),
        ("PREPARE p AS SELECT 1", "prepared statement", "DEALLOCATE p"),
        ("SELECT set_config('app.x', lower('A'), false)", "setting", "DISCARD ALL"),
    ];
    for (sql, reason, end) in cases {
        let mut one = unsharded.client();
        assert_eq!(one.simple(sql).error(), None, "{sql}");
        assert_eq!(unsharded.pinned(), reason, "{sql}");
        assert_eq!(one.simple(end).error(), None, "{end}");
        assert_eq!(unsharded.pinned(), "", "{sql}, then {end}");
        assert_eq!(value(&unsharded.client().simple("SELECT 1")), "1");
    }
    for sql in [
        "BEGIN; CREATE TEMP TABLE scratch (a int) ON COMMIT DROP; COMMIT",
        "BEGIN; CREATE TEMP TABLE scratch (a int); ROLLBACK",
        "SELECT pg_advisory_xact_lock(1)",
        "CREATE TABLE temp (a int)",
        "INSERT INTO temp VALUES (1)",
        "SELECT nextval('pg_catalog.no_such')",
    ] {
        let mut one = unsharded.client();
        one.simple(sql);
        assert_eq!(unsharded.pinned(), "", "{sql}");
    }
}

#[tokio::test]
async fn notifications_come_while_the_client_is_silent() {
    let unsharded = Unsharded::start("news", 2).await;
    let (mut listener, mut other) = (unsharded.client(), unsharded.client());
    listener.simple("LISTEN news");
    other.simple("NOTIFY news, 'one'");
    let (kind, body) = listener.message();
    assert_eq!((kind, &body[4..]), ('A', &b"news\0one\0"[..]));
    let reply = listener.simple("NOTIFY news");
    assert!(reply.events.contains(&Event::Other('A')), "{reply:?}");
}

/// The sender's number in the next notification, which may come with the reply to a statement.
fn sender(client: &mut RawClient) -> i32 {
    loop {
        let (kind, body) = client.message();
        if kind == 'A' {
            return i32::from_be_bytes([body[0], body[1], body[2], body[3]]);
        }
    }
}

fn process(client: &RawClient) -> i32 {
    i32::from_be_bytes([client.key[0], client.key[1], client.key[2], client.key[3]])
}

#[tokio::test]
async fn who_notifies_itself_is_named_by_its_key() {
    for mode in ["transaction", "session"] {
        let sharded = TestDatabase::new("senders");
        let database = TestDatabase::new("senders");
        let config = format!("passthrough: any\npool: {{mode: {mode}, size: 3, reserve: 0, wait: 20s}}");
        let options = ProxyOptions { workers: 1, config, ..ProxyOptions::default() };
        let proxy = Proxy::start(&sharded, RULES, options).await;
        let client = || RawClient::connect(proxy.port(), &database.name, "app", "app");
        let (mut listener, mut other) = (client(), client());
        listener.simple("LISTEN news");
        let own = process(&listener);
        listener.send(&Pipeline::new().query("NOTIFY news").0);
        assert_eq!(sender(&mut listener), own, "{mode}");
        listener.simple("SELECT 1");
        other.simple("BEGIN; NOTIFY news; COMMIT");
        let named = sender(&mut listener);
        // Another one's connection is its own in pool mode `session` alone.
        assert_eq!(named == process(&other), mode == "session", "{mode}: {named}");
        assert_ne!(named, own, "{mode}");
    }
}

#[tokio::test]
async fn bytes_of_other_encodings_pass_unchanged() {
    let unsharded = Unsharded::start("encodings", 2).await;
    for (encoding, bytes) in [
        ("LATIN1", &b"caf\xe9; ' x"[..6]),
        ("WIN1252", b"\x80uro"),
        ("EUC_JP", b"\xc6\xfc\xcb\xdc"),
        ("SJIS", b"\x95\x5c\x8e\xa6"),
        ("BIG5", b"\xb3\x5c\xa5\x5c"),
        ("GBK", b"\xd6\xd0\x81\x5c"),
        ("GB18030", b"\xd6\xd0\x81\x30\x81\x30"),
        ("JOHAB", b"\xb0\xa1"),
        ("UHC", b"\xb0\xa1\x81\x41"),
    ] {
        let mut session = unsharded.session();
        session.same(&format!("SET client_encoding = '{encoding}'"));
        let literal = [b"SELECT '", bytes, b"' AS a, length('", bytes, b"')\0"].concat();
        let ask = |client: &mut RawClient| {
            client.send(&Pipeline::new().message(b'Q', &literal).0);
            let mut seen = Vec::new();
            loop {
                let (kind, body) = client.message();
                // Error fields have places in source code.
                seen.push((kind, if kind == 'E' { Vec::new() } else { body }));
                if kind == 'Z' {
                    return seen;
                }
            }
        };
        assert_eq!(ask(&mut session.other), ask(&mut session.plain), "{encoding}");
        assert_eq!(value(&unsharded.client().simple("SHOW client_encoding")), "UTF8", "after {encoding}");
    }
}

#[tokio::test]
async fn an_encoding_that_hides_letters_keeps_its_connection_from_the_start() {
    let unsharded = Unsharded::start("hiding", 2).await;
    for (encoding, reason) in [("SJIS", "setting"), ("LATIN1", "")] {
        let mut client = RawClient::dial(unsharded.proxy.port());
        let database = &unsharded.database.name;
        let parameters = format!("user\0app\0database\0{database}\0client_encoding\0{encoding}\0\0");
        let length = (8 + parameters.len()) as u32;
        client.send(&[&length.to_be_bytes()[..], &0x0003_0000_u32.to_be_bytes(), parameters.as_bytes()].concat());
        client.log_in("app");
        for sql in ["SELECT 1", "DROP TABLE IF EXISTS nothing", "DISCARD ALL", "SELECT 1"] {
            assert_eq!(client.simple(sql).error(), None, "{sql}");
            assert_eq!(unsharded.pinned(), reason, "{encoding}: {sql}");
        }
        assert_eq!(value(&client.simple("SHOW client_encoding")), encoding);
    }
}

#[tokio::test]
async fn changed_tables_are_never_noticed_by_prepared_statements() {
    let unsharded = Unsharded::start("plans", 2).await;
    let (mut one, mut two) = (unsharded.client(), unsharded.client());
    one.simple("CREATE TABLE shape (a int); INSERT INTO shape VALUES (1)");
    for client in [&mut one, &mut two] {
        Pipeline::new().parse("p", "SELECT * FROM shape").sync().send(client, 1);
    }
    let run = Pipeline::new().bind("", "p", &[]).describe_portal("").execute("", 0).sync();
    for change in ["ADD COLUMN b int DEFAULT 2", "ALTER COLUMN a TYPE text", "DROP COLUMN b", "ADD COLUMN c text"] {
        for client in [&mut one, &mut two] {
            assert_eq!(run.send(client, 1)[0].error(), None);
        }
        one.simple(&format!("ALTER TABLE shape {change}"));
        for client in [&mut two, &mut one] {
            let reply = run.send(client, 1).remove(0);
            assert_eq!((reply.error(), reply.rows().len()), (None, 1), "after {change}");
        }
    }
    // Two clients, one name, two texts; what one forgets the other keeps.
    Pipeline::new().parse("q", "SELECT 1").sync().send(&mut one, 1);
    Pipeline::new().parse("q", "SELECT 2").sync().send(&mut two, 1);
    one.simple("DEALLOCATE ALL");
    let run = Pipeline::new().bind("", "q", &[]).execute("", 0).sync();
    assert_eq!(run.send(&mut one, 1)[0].error().unwrap().0, "26000");
    assert_eq!(value(&run.send(&mut two, 1)[0]), "2");
}

/// Goal: what a block sets around its savepoints is undone as a whole, and a half of `datestyle` is set on top of the
/// other half, on whichever server comes next.
#[tokio::test]
async fn settings_outlive_their_server_as_they_were() {
    let unsharded = Unsharded::start("undone", 1).await;
    let mut session = unsharded.session();
    // It leaves the only server with settings of its own whenever the session is between its transactions.
    let mut other = unsharded.client();
    for sql in [
        "SET work_mem = '4MB'",
        "BEGIN",
        "SET work_mem = '5MB'",
        "SAVEPOINT a",
        "SET work_mem = '6MB'",
        "ROLLBACK TO a",
        "SET work_mem = '7MB'",
        "ROLLBACK",
        "SHOW work_mem",
        "BEGIN; SET work_mem = '8MB'; SAVEPOINT a; SET work_mem = '9MB'; ROLLBACK TO SAVEPOINT a; ROLLBACK",
        "SHOW work_mem",
        "BEGIN; SAVEPOINT a; SET work_mem = '8MB'; ROLLBACK TO a; SET work_mem = '9MB'; COMMIT",
        "SHOW work_mem",
        "SET datestyle = 'SQL, DMY'",
        "SET datestyle = ymd",
        "SHOW datestyle",
        "SET datestyle = 'Postgres'",
        "SHOW datestyle",
        "SET datestyle = 'German'",
        "SHOW datestyle",
        "BEGIN; SET datestyle = 'MDY'; SAVEPOINT a; SET datestyle = 'ISO'; ROLLBACK TO a; COMMIT",
        "SHOW datestyle",
        "RESET datestyle",
        "SHOW datestyle",
    ] {
        if session.same(sql).status == 'I' {
            assert_eq!(other.simple("SET work_mem = '1MB'; SET datestyle = 'SQL, YMD'").error(), None);
        }
    }
}
