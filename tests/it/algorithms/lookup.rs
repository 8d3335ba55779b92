//! `algorithm: lookup`: a table on home says where keys live; what it does not say is refused, and what it said stays.

use super::{Sharded, copy_in, lines};
use crate::support::Pipeline;
use shardloom::wire::copy_binary::{HEADER, TRAILER};

const RULES: &str = r#"
kind: Ids
tags: {order: 1}
layouts:
  gene: {epoch: "2026-01-01T00:00:00Z", bits: {time: 40, bucket: 12, worker: 5, sequence: 6}}
---
kind: TableGroup
name: tenants
key: {type: text}
algorithm: lookup
lookup: {table: directory, key: tenant, bucket: bucket}
tables:
  orders: {key: tenant, id: {column: id, layout: gene, tag: order, route: true}}
  items: {key: owner}
missing_key: {read: scatter, write: scatter}
"#;

const SCHEMA: [&str; 3] = [
    "CREATE TABLE directory (tenant text PRIMARY KEY, bucket int NOT NULL)",
    "CREATE TABLE orders (tenant text, n int, id bigint)",
    "CREATE TABLE items (owner text, n int)",
];

/// A tenant on each of the three shards.
const TENANTS: &str = "INSERT INTO directory VALUES ('acme', 0), ('born', 2000), ('corp', 4095)";

async fn started(label: &str) -> Sharded {
    let mut test = Sharded::start(label, RULES, &SCHEMA).await;
    test.both.same(TENANTS);
    test
}

fn error(test: &mut Sharded, sql: &str) -> (String, String) {
    test.both.other.simple(sql).error().unwrap_or_else(|| panic!("not refused: {sql}"))
}

#[tokio::test]
async fn keys_place_rows_in_every_kind_of_statement() {
    let mut test = started("algorithm_lookup_rows").await;
    for sql in [
        "INSERT INTO items VALUES ('acme', 1), ('born', 2), ('corp', 3), ('acme', 4)",
        "INSERT INTO items SELECT owner, n + 10 FROM items WHERE n < 3",
        "SELECT * FROM items ORDER BY n",
        "SELECT * FROM items WHERE owner = 'born' ORDER BY n",
        "SELECT * FROM items WHERE owner IN ('born', 'corp', 'nobody') ORDER BY n",
        "SELECT count(*) FROM items WHERE owner = 'nobody'",
        "SELECT i.n, d.bucket FROM items i JOIN directory d ON d.tenant = i.owner ORDER BY n",
        "SELECT a.n, b.n FROM items a JOIN items b ON a.owner = b.owner ORDER BY 1, 2",
        "UPDATE items SET n = n + 100 WHERE owner = 'corp'",
        "UPDATE items SET n = 0 WHERE owner = 'nobody'",
        "DELETE FROM items WHERE owner IN ('acme', 'nobody') AND n > 10",
        "SELECT owner, count(*), sum(n) FROM items GROUP BY owner ORDER BY owner",
        "MERGE INTO items USING (VALUES ('corp', 7)) v (k, n) ON owner = v.k WHEN MATCHED THEN UPDATE SET n = v.n",
        "SELECT * FROM items ORDER BY owner, n",
    ] {
        test.both.same(sql);
    }
    assert_eq!(
        copy_in(&mut test.both, "COPY items FROM STDIN", "born\t50\ncorp\t51\nacme\t52\n"),
        ["COPY 3", "COPY 3"]
    );
    test.both.same("SELECT * FROM items ORDER BY owner, n");
    for (shard, owner) in [("s0", "acme"), ("s1", "born"), ("s2", "corp")] {
        assert_eq!(test.on_shard(shard, "SELECT DISTINCT owner FROM items"), [owner]);
    }
    assert_eq!(test.route("SELECT * FROM items WHERE owner = 'corp'"), "Direct on s2");
}

#[tokio::test]
async fn prepared_statements_look_their_parameters_up() {
    let mut test = started("algorithm_lookup_bind").await;
    let insert = |owner| {
        let values = [Some(owner), Some("5")];
        Pipeline::new().run("INSERT INTO items VALUES ($1, $2)", &values).sync()
    };
    test.both.same_pipeline("a key of the table", &insert("born"), 1);
    let read = Pipeline::new().run("SELECT n FROM items WHERE owner = $1", &[Some("born")]).sync();
    test.both.same_pipeline("its row", &read, 1);
    let refused = &insert("late").send(&mut test.both.other, 1)[0];
    assert_eq!(refused.error().map(|(state, _)| state), Some("23514".to_owned()));
    test.both.same("INSERT INTO directory VALUES ('late', 1)");
    test.both.same_pipeline("the key is there now", &insert("late"), 1);
}

#[tokio::test]
async fn a_key_is_refused_until_the_table_has_it_and_found_from_then_on() {
    let mut test = started("algorithm_lookup_new").await;
    let (state, message) = error(&mut test, "INSERT INTO items VALUES ('acme', 1), ('late', 2)");
    assert_eq!((state.as_str(), message.contains("\"items\"")), ("23514", true), "{message}");
    assert_eq!(lines(&test.both.other.simple("SELECT count(*) FROM items")), ["0"]);
    let copied = copy_in(&mut test.both, "COPY items FROM STDIN", "acme\t1\nlate\t2\n");
    assert_eq!(copied, ["COPY 2", "23514"]);
    // What its own transaction has not committed it does not place rows by.
    test.both.other.simple("BEGIN");
    test.both.other.simple("INSERT INTO directory VALUES ('late', 4000)");
    test.refused("INSERT INTO items VALUES ('late', 2)", "23514");
    test.both.other.simple("ROLLBACK");
    test.both.other.simple("INSERT INTO directory VALUES ('late', 4000)");
    test.both.other.simple("INSERT INTO items VALUES ('late', 2)");
    assert_eq!(test.on_shard("s2", "SELECT owner, n FROM items"), ["late,2"]);
}

#[tokio::test]
async fn ids_carry_the_bucket_and_find_their_rows_alone() {
    let mut test = started("algorithm_lookup_ids").await;
    let reply = test.both.other.simple("INSERT INTO orders (tenant, n) VALUES ('corp', 1) RETURNING id");
    let id = lines(&reply).remove(0);
    assert_eq!(test.route(&format!("SELECT * FROM orders WHERE id = {id}")), "Direct on s2");
    assert_eq!(lines(&test.both.other.simple(&format!("SELECT tenant FROM orders WHERE id = {id}"))), ["corp"]);
}

#[tokio::test]
async fn what_the_table_has_said_it_keeps() {
    let mut test = started("algorithm_lookup_kept").await;
    test.both.other.simple("INSERT INTO items VALUES ('acme', 1)");
    for sql in [
        "UPDATE directory SET bucket = 1 WHERE tenant = 'acme'",
        "UPDATE directory SET tenant = 'other' WHERE tenant = 'acme'",
        "INSERT INTO directory VALUES ('acme', 9) ON CONFLICT (tenant) DO UPDATE SET bucket = excluded.bucket",
        "DELETE FROM directory WHERE tenant = 'acme'",
        "TRUNCATE directory",
    ] {
        test.refused(sql, "55000");
    }
    test.refused("DROP TABLE directory", "55000");
    // What changes nothing may run, and a key that had no bucket yet may get one.
    test.both.same("ALTER TABLE directory ALTER bucket DROP NOT NULL");
    test.both.same("INSERT INTO directory VALUES ('open', NULL)");
    test.both.same("UPDATE directory SET bucket = 7 WHERE tenant = 'open'");
    test.both.same("UPDATE directory SET bucket = bucket");
    test.both.same("SELECT * FROM directory ORDER BY tenant");
}

#[tokio::test]
async fn a_table_that_could_change_its_answers_is_not_asked() {
    let mut test = Sharded::start("algorithm_lookup_unfit", RULES, &SCHEMA[1..]).await;
    let said = |test: &mut Sharded| error(test, "INSERT INTO items VALUES ('acme', 1)");
    let (state, message) = said(&mut test);
    assert_eq!((state.as_str(), message.contains("does not exist")), ("55000", true), "{message}");
    test.both.other.simple("CREATE TABLE directory (tenant text, bucket int)");
    test.both.other.simple("INSERT INTO directory VALUES ('acme', 5000)");
    let (state, message) = said(&mut test);
    assert_eq!((state.as_str(), message.contains("no unique index")), ("55000", true), "{message}");
    test.both.other.simple("CREATE UNIQUE INDEX ON directory (tenant)");
    let (state, message) = said(&mut test);
    assert_eq!((state.as_str(), message.contains("bucket 5000")), ("55000", true), "{message}");
    test.both.other.simple("ALTER TABLE directory DISABLE TRIGGER USER");
    let (state, message) = said(&mut test);
    assert_eq!((state.as_str(), message.contains("without the triggers")), ("55000", true), "{message}");
    test.both.other.simple("UPDATE directory SET bucket = 5");
    test.both.other.simple("ALTER TABLE directory ENABLE TRIGGER USER");
    assert_eq!(test.both.other.simple("INSERT INTO items VALUES ('acme', 1)").tags(), ["INSERT 0 1"]);
}

#[tokio::test]
async fn a_key_moves_while_no_proxy_runs() {
    let mut test = started("algorithm_lookup_moved").await;
    test.both.other.simple("INSERT INTO items VALUES ('acme', 1)");
    for sql in [
        "ALTER TABLE directory DISABLE TRIGGER USER",
        "/* shardloom: shard=s0 */ DELETE FROM items WHERE owner = 'acme'",
        "/* shardloom: shard=s2 */ INSERT INTO items VALUES ('acme', 1)",
        "UPDATE directory SET bucket = 4095 WHERE tenant = 'acme'",
        "ALTER TABLE directory ENABLE TRIGGER USER",
    ] {
        assert_eq!(test.both.other.simple(sql).error(), None, "{sql}");
    }
    test.proxy.raw_to("shardloom").simple("RELOAD");
    assert_eq!(test.route("SELECT * FROM items WHERE owner = 'acme'"), "Direct on s0", "it knows no better");
    test.proxy.restart().await;
    let mut client = test.proxy.raw();
    assert_eq!(lines(&client.simple("SELECT n FROM items WHERE owner = 'acme'")), ["1"]);
    assert_eq!(lines(&client.simple("EXPLAIN (ROUTE) SELECT * FROM items WHERE owner = 'acme'"))[0], "Direct on s2");
}

#[tokio::test]
async fn what_one_statement_missed_is_no_matter_of_the_next() {
    let mut test = started("algorithm_lookup_missed").await;
    test.both.other.simple("INSERT INTO items VALUES ('corp', 1)");
    test.both.other.simple("PREPARE p (text) AS SELECT n FROM items WHERE owner = $1");
    let copied = copy_in(&mut test.both, "COPY items FROM STDIN", "nobody\t1\n");
    assert_eq!(copied[1], "23514");
    assert_eq!(lines(&test.both.other.simple("EXECUTE p (lower('CORP'))")), ["1"]);
    // A value that cannot be told by itself is refused for that, whatever has to be looked up.
    test.refused("EXECUTE p ((SELECT owner FROM items WHERE owner = 'unheard'))", "0A000");
    assert_eq!(lines(&test.both.other.simple("SELECT 1")), ["1"]);
}

#[tokio::test]
async fn a_key_of_an_idempotent_write_may_come_between_two_tries() {
    let mut test = started("algorithm_lookup_idempotent").await;
    test.both.other.simple("INSERT INTO items VALUES ('corp', 1)");
    let write = "/* shardloom: idem=twice */ UPDATE items SET n = n + 1 WHERE owner IN ('corp', 'late')";
    assert_eq!(test.both.other.simple(write).tags(), ["UPDATE 1"]);
    test.both.other.simple("INSERT INTO directory VALUES ('late', 4000)");
    test.both.other.simple(write);
    assert_eq!(lines(&test.both.other.simple("SELECT n FROM items WHERE owner = 'corp'")), ["2"]);
}

#[tokio::test]
async fn a_bucket_whose_type_has_casts_of_its_own_is_not_read() {
    let mut test = Sharded::start("algorithm_lookup_cast", RULES, &SCHEMA[1..]).await;
    test.both.other.simple("CREATE TYPE box_number AS (x int)");
    test.both.other.simple("CREATE TABLE directory (tenant text PRIMARY KEY, bucket box_number)");
    test.both.other.simple("INSERT INTO directory VALUES ('acme', row(1))");
    let (state, message) = error(&mut test, "INSERT INTO items VALUES ('acme', 1)");
    assert_eq!((state.as_str(), message.contains("of type integer")), ("55000", true), "{message}");
    for sql in [
        "CREATE TABLE ran (who text)",
        "CREATE FUNCTION shown(box_number) RETURNS text LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO public.ran VALUES (current_user); RETURN 'shown'; END $$",
        "CREATE CAST (box_number AS text) WITH FUNCTION shown(box_number)",
        "SELECT bucket::text FROM directory",
    ] {
        assert_eq!(test.both.other.simple(sql).error(), None, "{sql}");
    }
    let (code, found) = test.proxy.check(&["--live"]);
    assert_eq!((code, found.contains("acme has the bucket (1)")), (Some(1), true), "{found}");
    assert_eq!(lines(&test.both.other.simple("SELECT who FROM ran")), ["app"], "the service role ran it");
}

#[tokio::test]
async fn check_reads_the_table_and_holds_rows_against_it() {
    let mut test = started("algorithm_lookup_check").await;
    test.both.other.simple("INSERT INTO items VALUES ('acme', 1), ('corp', 2)");
    let (code, fine) = test.proxy.check(&["--live", "--rows"]);
    assert_eq!(code, Some(0), "{fine}");
    assert!(fine.contains("lookup table \"directory\": 3 keys read"), "{fine}");
    test.both.other.simple("INSERT INTO directory VALUES ('far', 4096)");
    test.both.other.simple("/* shardloom: shard=s1 */ INSERT INTO items VALUES ('acme', 3), ('nobody', 4)");
    let (code, found) = test.proxy.check(&["--live", "--rows"]);
    assert_eq!(code, Some(1), "{found}");
    for expected in ["far has the bucket 4096", "owner acme belongs to shard s0", "owner nobody has no place"] {
        assert!(found.contains(expected), "{expected}: {found}");
    }
}

#[tokio::test]
async fn many_new_keys_of_a_copy_are_placed_in_every_format() {
    let mut test = started("algorithm_lookup_copy").await;
    test.both.same(
        "INSERT INTO directory SELECT 't' || i, (ARRAY[0, 2000, 4095])[i % 3 + 1] FROM generate_series(0, 8999) i",
    );
    let field = |value: &[u8]| [&(value.len() as i32).to_be_bytes(), value].concat();
    let binary = |i: i32| {
        let fields = [field(format!("t{i}").as_bytes()), field(&i.to_be_bytes())];
        [&2_i16.to_be_bytes()[..], &fields.concat()].concat()
    };
    let row = |i: i32| format!("t{i}\t{i}\n").into_bytes();
    let csv = |i: i32| format!("\"t{i}\",{i}\n").into_bytes();
    let mut in_csv: Vec<Vec<u8>> = (3000..6000).map(csv).collect();
    in_csv.insert(0, b"owner,n\n".to_vec());
    let mut in_binary: Vec<Vec<u8>> = (6000..9000).map(binary).collect();
    in_binary.insert(0, HEADER.to_vec());
    in_binary.push(TRAILER.to_vec());
    // A message for each row, and one for all.
    for (options, rows) in [
        ("", (0..3000).map(row).collect::<Vec<_>>()),
        ("(FORMAT csv, HEADER)", vec![in_csv.concat()]),
        ("(FORMAT binary)", in_binary),
    ] {
        let copy = Pipeline::new().query(&format!("COPY items FROM STDIN {options}"));
        let copy = rows.iter().fold(copy, |copy, row| copy.message(b'd', row)).message(b'c', &[]);
        for client in [&mut test.both.plain, &mut test.both.other] {
            copy.send_only(client);
            assert_eq!(client.reply().tags(), ["COPY 3000"], "{options}");
        }
    }
    test.both.same("SELECT owner, n FROM items ORDER BY n");
    for (index, shard) in ["s0", "s1", "s2"].iter().enumerate() {
        let sql = format!("SELECT count(*), count(*) FILTER (WHERE n % 3 <> {index}) FROM items");
        assert_eq!(test.on_shard(shard, &sql), ["3000,0"], "{shard}");
    }
    // What is wrong in the middle is told at its row, though rows behind it were looked at before.
    let refused = copy_in(&mut test.both, "COPY items FROM STDIN", "t1\t1\n\\N\t2\nnobody\t3\nt4\t4\n");
    assert_eq!(refused, ["COPY 4", "23502"]);
    let wrong = copy_in(&mut test.both, "COPY items FROM STDIN", "t1\t1\nt2\tx\nt3\t3\n");
    assert_eq!(wrong, ["22P02", "22P02"]);
}
