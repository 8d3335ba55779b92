//! A database with rules.

use super::{connections, pinned, value};
use crate::protocol::both;
use crate::support::{Event, Pipeline, Proxy, RawClient, TestDatabase};

async fn proxy(label: &str, count: usize) -> (TestDatabase, Proxy) {
    let (database, proxy, sessions) = both(label, connections(count, "")).await;
    drop(sessions);
    (database, proxy)
}

/// Reads messages until a notification comes: its channel and payload.
fn notification(client: &mut RawClient) -> (String, String) {
    loop {
        let (kind, body) = client.message();
        if kind == 'A' {
            let texts: Vec<&[u8]> = body[4..].split(|byte| *byte == 0).collect();
            let text = |at: usize| String::from_utf8_lossy(texts[at]).into_owned();
            return (text(0), text(1));
        }
    }
}

#[tokio::test]
async fn notifications_reach_a_listener_at_rest() {
    let (database, proxy) = proxy("listen", 2).await;
    let (mut listener, mut other) = (proxy.raw(), proxy.raw());
    assert_eq!(listener.simple("LISTEN news").tags(), ["LISTEN"]);
    assert_eq!(pinned(&proxy, &database.name), "listen");
    other.simple("NOTIFY news, 'one'");
    // The listener says nothing: it is told all the same.
    assert_eq!(notification(&mut listener), ("news".into(), "one".into()));
    other.simple("BEGIN; SELECT name FROM customers WHERE customer_id = 1; NOTIFY news, 'two'; COMMIT");
    assert_eq!(notification(&mut listener), ("news".into(), "two".into()));
    // Its own come with the statement, also through a transaction over several shards.
    let reply = listener.simple("NOTIFY news, 'mine'");
    assert!(reply.events.contains(&Event::Other('A')), "{reply:?}");
    listener.simple("BEGIN; UPDATE customers SET name = name WHERE customer_id IN (1, 2, 3, 4, 5, 6)");
    listener.simple("NOTIFY news, 'both'");
    let reply = listener.simple("COMMIT");
    assert!(reply.events.contains(&Event::Other('A')), "{reply:?}");
    assert_eq!(value(&listener.simple("SELECT count(*) FROM customers")), "30");
    listener.simple("UNLISTEN *");
    assert_eq!(pinned(&proxy, &database.name), "");
    assert!(!other.simple("NOTIFY news, 'three'").events.contains(&Event::Other('A')), "another client listens");
}

#[tokio::test]
async fn a_listener_whose_server_ends_is_told_and_closed() {
    let (database, proxy) = proxy("listengone", 2).await;
    let mut listener = proxy.raw();
    listener.simple("LISTEN news");
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
        WHERE datname = current_database() AND usename = 'app' AND query LIKE 'SELECT CASE%'";
    database.service(0).await.batch_execute(sql).await.unwrap();
    let (kind, body) = listener.message();
    assert!(kind == 'E' && String::from_utf8_lossy(&body).contains("FATAL"), "{kind} {body:?}");
    assert!(listener.read_to_end().is_empty());
}

#[tokio::test]
async fn a_connection_is_kept_as_long_as_something_is_on_it() {
    let (database, proxy) = proxy("kept", 1).await;
    let cases: [(&str, &str, &[&str]); 8] = [
        ("CREATE TEMP TABLE scratch (a int)", "temporary table", &["DROP TABLE scratch"]),
        ("CREATE TEMP SEQUENCE numbers", "temporary table", &["DISCARD TEMP"]),
        ("DO $$ BEGIN CREATE TEMP TABLE scratch (a int); END $$", "temporary table", &["DROP TABLE scratch"]),
        ("SELECT pg_advisory_lock(5)", "advisory lock", &["SELECT 1", "SELECT pg_advisory_unlock(5)"]),
        ("SELECT pg_try_advisory_lock_shared(5)", "advisory lock", &["SELECT pg_advisory_unlock_all()"]),
        ("LISTEN news", "listen", &["UNLISTEN news"]),
        ("DECLARE held CURSOR WITH HOLD FOR SELECT 1", "held cursor", &["FETCH held", "CLOSE held"]),
        ("SELECT set_config('app.x', lower('A'), false)", "setting", &["DISCARD ALL"]),
    ];
    for (sql, reason, ends) in cases {
        let mut one = proxy.raw();
        assert_eq!(one.simple(sql).error(), None, "{sql}");
        assert_eq!(pinned(&proxy, &database.name), reason, "{sql}");
        for end in ends {
            assert_eq!(pinned(&proxy, &database.name), reason, "before {end}");
            assert_eq!(one.simple(end).error(), None, "{end}");
        }
        assert_eq!(pinned(&proxy, &database.name), "", "after {ends:?}");
        // The only connection is free again.
        let mut two = proxy.raw();
        let left = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
        assert_eq!(value(&two.simple(left)), "0");
        assert_eq!(value(&two.simple("SELECT coalesce(current_setting('app.x', true), '')")), "");
    }
}

#[tokio::test]
async fn what_a_function_makes_for_its_session_is_seen_by_no_other() {
    let (database, proxy) = proxy("made_by_function", 1).await;
    let mut one = proxy.raw();
    for sql in [
        "CREATE FUNCTION make_notes() RETURNS void LANGUAGE plpgsql AS
            $$ BEGIN EXECUTE 'CREATE TEMP TABLE notes AS SELECT 1 AS own'; END $$",
        "CREATE FUNCTION make_more() RETURNS void LANGUAGE sql AS 'SELECT make_notes()'",
        "CREATE VIEW making AS SELECT make_notes()::text AS made",
        "CREATE FUNCTION drop_notes() RETURNS void LANGUAGE sql AS 'DROP TABLE IF EXISTS pg_temp.notes'",
    ] {
        assert_eq!(one.simple(sql).error(), None, "{sql}");
    }
    assert_eq!(pinned(&proxy, &database.name), "");
    assert_eq!(one.simple("SELECT make_more()").error(), None);
    assert_eq!(pinned(&proxy, &database.name), "temporary table");
    assert_eq!(value(&one.simple("SELECT own FROM pg_temp.notes")), "1");
    assert_eq!(one.simple("DROP TABLE pg_temp.notes").error(), None);
    assert_eq!(pinned(&proxy, &database.name), "");
    for sql in ["SELECT * FROM making", "DO $$ BEGIN PERFORM make_more(); END $$"] {
        assert_eq!(one.simple(sql).error(), None, "{sql}");
        assert_eq!(pinned(&proxy, &database.name), "temporary table", "{sql}");
        assert_eq!(one.simple("DROP TABLE pg_temp.notes").error(), None);
    }
    // What made nothing in the end keeps nothing.
    assert_eq!(one.simple("SELECT drop_notes()").error(), None);
    assert_eq!(pinned(&proxy, &database.name), "");
}

#[tokio::test]
async fn tables_are_not_made_temporary_unsaid() {
    let (_database, proxy) = proxy("unsaid", 1).await;
    let mut one = proxy.raw();
    for sql in ["SET search_path = pg_temp, public", "SELECT set_config('search_path', 'pg_temp, public', false)"] {
        assert_eq!(one.simple(sql).error().map(|(state, _)| state), Some("0A000".to_owned()), "{sql}");
    }
    assert_eq!(one.simple("SET search_path = public, pg_temp").error(), None);
}

#[tokio::test]
async fn what_was_left_in_a_transaction_that_undid_it_keeps_nothing() {
    let (database, proxy) = proxy("undone", 1).await;
    let mut client = proxy.raw();
    for sql in [
        "BEGIN; CREATE TEMP TABLE scratch (a int); ROLLBACK",
        "BEGIN; CREATE TEMP TABLE scratch (a int) ON COMMIT DROP; COMMIT",
        "BEGIN; LISTEN news; ROLLBACK",
        "BEGIN; SAVEPOINT a; CREATE TEMP TABLE scratch (a int); ROLLBACK TO a; COMMIT",
        "BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT 1; ROLLBACK",
    ] {
        assert_eq!(client.simple(sql).error(), None, "{sql}");
        assert_eq!(pinned(&proxy, &database.name), "", "{sql}");
    }
    client.simple("BEGIN; SELECT pg_advisory_lock(7); ROLLBACK");
    assert_eq!(pinned(&proxy, &database.name), "advisory lock", "it outlives the transaction");
    let extended = |client: &mut RawClient, sql: &str| Pipeline::new().run(sql, &[]).sync().send(client, 1).remove(0);
    extended(&mut client, "SELECT pg_advisory_unlock_all()");
    assert_eq!(pinned(&proxy, &database.name), "");
    assert_eq!(extended(&mut client, "LISTEN news").tags(), ["LISTEN"]);
    assert_eq!(pinned(&proxy, &database.name), "listen");
    assert_eq!(extended(&mut client, "UNLISTEN *").tags(), ["UNLISTEN"]);
    assert_eq!(pinned(&proxy, &database.name), "");
}

#[tokio::test]
async fn held_cursors_outlive_their_transaction() {
    let (_database, proxy) = proxy("held", 1).await;
    let mut client = proxy.raw();
    let sql = "SELECT customer_id FROM customers WHERE customer_id = 4";
    client.simple(&format!("BEGIN; DECLARE held CURSOR WITH HOLD FOR {sql}; COMMIT"));
    assert_eq!(value(&client.simple("FETCH held")), "4");
    assert_eq!(client.simple("MOVE BACKWARD ALL FROM held").tags(), ["MOVE 0"]);
    assert_eq!(value(&client.simple("BEGIN; FETCH held; COMMIT")), "4");
    assert_eq!(client.simple("CLOSE ALL").tags(), ["CLOSE CURSOR ALL"]);
    assert_eq!(client.simple("FETCH held").error().unwrap().0, "34000");
}

#[tokio::test]
async fn set_config_sets_as_set_does() {
    let (_database, proxy) = proxy("setconfig", 1).await;
    let (mut one, mut two) = (proxy.raw(), proxy.raw());
    let show = |client: &mut RawClient, shard: &str| {
        value(&client.simple(&format!(
            "/* shardloom: shard={shard} */ SELECT coalesce(current_setting('app.tenant', true), '')"
        )))
    };
    one.simple("SELECT set_config('app.tenant', 'a''b', false)");
    for shard in ["s0", "s1", "s2"] {
        assert_eq!(show(&mut one, shard), "a'b");
        assert_eq!(show(&mut two, shard), "");
    }
    let set = "SELECT set_config($1, $2, $3)";
    let bound = Pipeline::new().run(set, &[Some("app.tenant"), Some("c"), Some("f")]).sync();
    assert_eq!(bound.send(&mut one, 1)[0].error(), None);
    assert_eq!(show(&mut one, "s1"), "c");
    // In a transaction it holds on every shard, and goes with it.
    one.simple("BEGIN; SELECT name FROM customers WHERE customer_id IN (1, 2, 3, 4, 5, 6)");
    one.simple("SELECT set_config('app.tenant', 'd', true)");
    for shard in ["s0", "s1", "s2"] {
        assert_eq!(show(&mut one, shard), "d");
    }
    one.simple("COMMIT");
    assert_eq!(show(&mut one, "s2"), "c");
    one.simple("BEGIN; SELECT set_config('app.tenant', 'e', false)");
    assert_eq!(show(&mut one, "s2"), "e");
    one.simple("ROLLBACK");
    assert_eq!(show(&mut one, "s2"), "c");
    let (state, _) = one.simple("SELECT set_config('search_path', 'app', false)").error().unwrap();
    assert_eq!(state, "0A000");
}

#[tokio::test]
async fn local_settings_and_savepoints_reach_a_late_shard_in_order() {
    let (_database, proxy) = proxy("late", 1).await;
    let mut client = proxy.raw();
    let show = |client: &mut RawClient, shard: &str| {
        value(&client.simple(&format!("/* shardloom: shard={shard} */ SELECT current_setting('work_mem')")))
    };
    client.simple("BEGIN; SET LOCAL work_mem = '7MB'; SAVEPOINT a; SET LOCAL work_mem = '8MB'");
    assert_eq!((show(&mut client, "s0"), show(&mut client, "s1")), ("8MB".into(), "8MB".into()));
    client.simple("ROLLBACK TO a");
    for shard in ["s0", "s1", "s2"] {
        assert_eq!(show(&mut client, shard), "7MB");
    }
    client.simple("COMMIT");
}

#[tokio::test]
async fn session_characteristics_last_and_roll_back() {
    let (_database, proxy) = proxy("modes", 1).await;
    let (mut one, mut two) = (proxy.raw(), proxy.raw());
    let show = |client: &mut RawClient| value(&client.simple("SHOW default_transaction_read_only"));
    let set = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, ISOLATION LEVEL REPEATABLE READ";
    assert_eq!(one.simple(set).tags(), ["SET"]);
    assert_eq!((show(&mut one), show(&mut two)), ("on".into(), "off".into()));
    assert_eq!(value(&one.simple("SHOW default_transaction_isolation")), "repeatable read");
    assert_eq!(one.simple("DELETE FROM customers WHERE customer_id = 1").error().unwrap().0, "25006");
    one.simple("BEGIN; SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE; ROLLBACK");
    assert_eq!(show(&mut one), "on");
    one.simple("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE, ISOLATION LEVEL READ COMMITTED");
    assert_eq!(show(&mut one), "off");
}

#[tokio::test]
async fn the_client_knows_what_its_settings_are() {
    let (database, proxy) = proxy("told", 1).await;
    let start =
        [("user", "app"), ("database", database.name.as_str()), ("application_name", "teller"), ("TimeZone", "UTC")];
    let mut client = RawClient::connect_with(proxy.port(), &start, "app");
    let agrees = |client: &mut RawClient, after: &str| {
        for name in ["TimeZone", "application_name", "DateStyle", "IntervalStyle"] {
            let shown = value(&client.simple(&format!("SHOW {name}")));
            assert_eq!(client.parameters[name], shown, "{name} after {after}");
        }
    };
    for sql in [
        "SET TimeZone = 'Asia/Tokyo'",
        "BEGIN; SET TimeZone = 'Europe/Paris'; ROLLBACK",
        "BEGIN; SET LOCAL DateStyle = 'SQL'; COMMIT",
        "BEGIN; SAVEPOINT a; SET application_name = 'x'; ROLLBACK TO a; COMMIT",
        "SET application_name = 'y'; RESET application_name",
        "SET TimeZone = 'Asia/Tokyo'; SET IntervalStyle = 'iso_8601'",
        "RESET ALL",
        "SET TimeZone = 'Asia/Tokyo'",
        "BEGIN; RESET ALL; ROLLBACK",
        "SET TimeZone TO DEFAULT",
        "SET TIME ZONE 'Asia/Tokyo'",
        "DISCARD ALL",
    ] {
        client.simple(sql);
        agrees(&mut client, sql);
        // Somebody else leaves the connection otherwise.
        proxy.raw().simple("SET TimeZone = 'America/Lima'; SET application_name = 'z'");
        agrees(&mut client, sql);
    }
    assert_eq!(
        (client.parameters["TimeZone"].as_str(), client.parameters["application_name"].as_str()),
        ("UTC", "teller")
    );
}

#[tokio::test]
async fn discard_all_leaves_statements_of_others_alone() {
    let (_database, proxy) = proxy("discard", 1).await;
    let (mut one, mut two) = (proxy.raw(), proxy.raw());
    for client in [&mut one, &mut two] {
        let pipeline = Pipeline::new().parse("p", "SELECT name FROM customers WHERE customer_id = $1").sync();
        assert_eq!(pipeline.send(client, 1)[0].error(), None);
    }
    let run = Pipeline::new().bind("", "p", &[Some("1")]).execute("", 0).sync();
    for _ in 0..3 {
        assert_eq!(run.send(&mut two, 1)[0].rows().len(), 1);
    }
    one.simple("SET work_mem = '7MB'");
    assert_eq!(one.simple("BEGIN; DISCARD ALL").error().unwrap().0, "25001");
    one.simple("ROLLBACK");
    assert_eq!(one.simple("SELECT 1; DISCARD ALL").error().unwrap().0, "25001");
    assert_eq!(one.simple("DISCARD ALL; SELECT 1").error().unwrap().0, "25001");
    assert_eq!(one.simple("DISCARD ALL").tags(), ["DISCARD ALL"]);
    assert_eq!(run.send(&mut one, 1)[0].error().unwrap().0, "26000");
    for _ in 0..3 {
        assert_eq!(run.send(&mut two, 1)[0].rows().len(), 1);
    }
    for what in ["PLANS", "SEQUENCES", "TEMP"] {
        assert_eq!(one.simple(&format!("DISCARD {what}")).tags(), [format!("DISCARD {what}")]);
    }
}

#[tokio::test]
async fn advisory_locks_are_taken_where_others_look_for_them() {
    let (_database, proxy) = proxy("advisory", 2).await;
    let (mut one, mut two) = (proxy.raw(), proxy.raw());
    for begin in 1..=6 {
        // Whichever shard a transaction is on.
        one.simple(&format!("BEGIN; SELECT name FROM customers WHERE customer_id = {begin}"));
        assert_eq!(value(&one.simple("SELECT pg_try_advisory_xact_lock(9)")), "t");
        assert_eq!(value(&two.simple("SELECT pg_try_advisory_xact_lock(9)")), "f");
        one.simple("COMMIT");
        assert_eq!(value(&two.simple("SELECT pg_try_advisory_xact_lock(9)")), "t");
    }
}

#[tokio::test]
async fn a_temporary_table_does_not_hide_a_sharded_one() {
    let (_database, proxy) = proxy("hide", 1).await;
    let mut client = proxy.raw();
    for sql in [
        "CREATE TEMP TABLE customers (a int)",
        "SELECT 1 AS a INTO TEMP customers",
        "CREATE TEMP VIEW regions AS SELECT 1",
    ] {
        assert_eq!(client.simple(sql).error().unwrap().0, "0A000", "{sql}");
    }
    assert_eq!(value(&client.simple("SELECT count(*) FROM customers")), "30");
}
