//! Split tables: which physical tables a statement names, and what is refused.

use super::*;
use crate::rules::RuleFile;

const RULES: &str = "kind: Topology
database: d
buckets: 8
shards: {s0: {primary: \"h:1\"}, s1: {primary: \"h:2\"}}
placement: {s0: [\"0-3\"], s1: [\"4-7\"]}
home: s0
---
kind: TableGroup
name: shop
key: {type: bigint}
tables:
  items: {key: u, split: {by: o, into: 4, pattern: \"items_{00}\", algorithm: mod}}
  orders: {key: u, split: {by: o, into: 4, pattern: \"orders_{0}\", algorithm: mod}}
  notes: {key: u, split: {into: 3, pattern: \"notes_{0}\"}}
  app.logs: {key: u, split: {by: tag, type: text, into: 2, pattern: \"logs_{0}\"}}
  plain: {key: u}
missing_key: {read: scatter, write: scatter}
---
kind: ReferenceTables
tables: [regions]
";

fn split_rules() -> RuleSet {
    RuleSet::parse(&[RuleFile { path: "r.yaml".into(), text: RULES.into() }]).expect("they hold")
}

/// What each server is sent, or the reason of a refusal. `u = 1` is on one shard.
fn sent(text: &str) -> Vec<String> {
    let rules = split_rules();
    match plan_of(text, Parameters::default(), &rules) {
        Err(PrepareError::Refused(refusal)) => vec![format!("refused {}", refusal.reason)],
        Err(PrepareError::Unreadable(_)) => vec!["unreadable".to_owned()],
        Ok(plan) => texts(&plan, text),
    }
}

fn texts(plan: &Plan, text: &str) -> Vec<String> {
    let sql = |statement: &Statement| match statement {
        Statement::Original => text.to_owned(),
        Statement::Rewritten { sql, .. } => sql.clone(),
    };
    match plan {
        Plan::Direct(direct) => vec![sql(&direct.statement)],
        Plan::Scatter(scatter) => vec![sql(&scatter.statement)],
        Plan::Gather(gather) => {
            let fetch = |fetch: &Fetch| format!("{}: {}", fetch.table, fetch.physical.join(", "));
            gather.fetches.iter().map(fetch).collect()
        }
        Plan::MultiWrite(write) => write.parts.iter().map(|part| sql(&part.statement)).collect(),
        Plan::Carry(carry) => vec![carry.source.clone()],
        Plan::CopyOut(copy) => vec![sql(&copy.statement)],
        Plan::Copy(copy) => vec![sql(&copy.statement)],
        Plan::Everywhere { statement, .. } => vec![sql(statement)],
    }
}

#[test]
fn one_slot_is_named_in_the_place_of_the_table() {
    let cases = [
        ("SELECT * FROM items WHERE u = 1 AND o = 6", "SELECT * FROM items_02 AS \"items\" WHERE u = 1 AND o = 6"),
        (
            "SELECT i.x FROM public.items i WHERE u = 1 AND o = -1",
            "SELECT i.x FROM public.items_03 i WHERE u = 1 AND o = -1",
        ),
        (
            "SELECT items.x FROM items JOIN orders ON orders.u = items.u AND items.o = orders.o WHERE items.u = 1 AND orders.o = 2",
            "SELECT items.x FROM items_02 AS \"items\" JOIN orders_2 AS \"orders\" ON orders.u = items.u AND items.o = orders.o \
             WHERE items.u = 1 AND orders.o = 2",
        ),
        (
            "SELECT 1 FROM app.logs AS l WHERE u = 1 AND tag = 'x' FOR UPDATE",
            "SELECT 1 FROM app.logs_1 AS l WHERE u = 1 AND tag = 'x' FOR UPDATE",
        ),
        (
            "UPDATE items SET x = items.x + 1 WHERE u = 1 AND o = 5",
            "UPDATE items_01 AS \"items\" SET x = items.x + 1 WHERE u = 1 AND o = 5",
        ),
        (
            "DELETE FROM items i USING regions r WHERE r.id = i.r AND u = 1 AND o = 5 RETURNING *",
            "DELETE FROM items_01 i USING regions r WHERE r.id = i.r AND u = 1 AND o = 5 RETURNING *",
        ),
        (
            "UPDATE items SET o = 9 WHERE u = 1 AND o = 5",
            "UPDATE items_01 AS \"items\" SET o = 9 WHERE u = 1 AND o = 5",
        ),
        ("INSERT INTO items (u, o) VALUES (1, 7)", "INSERT INTO items_03 AS \"items\" (u, o) VALUES (1, 7)"),
        (
            "INSERT INTO items (u, o) VALUES (1, 7) ON CONFLICT (u, o) DO UPDATE SET x = items.x",
            "INSERT INTO items_03 AS \"items\" (u, o) VALUES (1, 7) ON CONFLICT (u, o) DO UPDATE SET x = items.x",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(sent(text), [expected], "{text}");
    }
}

#[test]
fn several_slots_are_read_together() {
    let two = "(SELECT * FROM items_01 UNION ALL SELECT * FROM items_02)";
    let all = "(SELECT * FROM notes_0 UNION ALL SELECT * FROM notes_1 UNION ALL SELECT * FROM notes_2)";
    assert_eq!(
        sent("SELECT * FROM items AS i WHERE u = 1 AND o IN (1, 2, 5)"),
        [format!("SELECT * FROM {two} AS i WHERE u = 1 AND o IN (1, 2, 5)")]
    );
    assert_eq!(
        sent("SELECT count(*) FROM notes"),
        [format!("SELECT count(*) FROM {all} AS notes").replace("AS notes", "AS \"notes\"")]
    );
    assert_eq!(
        sent("SELECT 1 FROM plain, items WHERE plain.u = items.u AND items.o = ANY ('{1,2}')"),
        [format!("SELECT 1 FROM plain, {two} AS \"items\" WHERE plain.u = items.u AND items.o = ANY ('{{1,2}}')")]
    );
    let self_join = "SELECT 1 FROM items a, items b WHERE a.u = 1 AND b.u = 1 AND a.o = 1 AND b.o = 2";
    assert_eq!(
        sent(self_join),
        [self_join.replace("items a", &format!("{two} a")).replace("items b", &format!("{two} b"))]
    );
    assert_eq!(
        sent("SELECT items.o FROM items, orders WHERE items.x = orders.x AND items.o = 1"),
        ["items: items_01", "orders: orders_0, orders_1, orders_2, orders_3"]
    );
}

#[test]
fn a_write_has_one_statement_per_slot() {
    let update = |slot: usize| format!("UPDATE items_0{slot} AS \"items\" SET x = 1 WHERE u = 1 AND o IN (1, 2)");
    assert_eq!(sent("UPDATE items SET x = 1 WHERE u = 1 AND o IN (1, 2)"), [update(1), update(2)]);
    assert_eq!(sent("DELETE FROM items WHERE u = 1").len(), 4);
    assert_eq!(sent("DELETE FROM items").len(), 8, "on both shards");
    assert_eq!(
        sent("INSERT INTO items (u, o) VALUES (1, 1), (1, 2), (1, 5)"),
        [
            "INSERT INTO items_01 AS \"items\" (u, o) VALUES (1, 1), (1, 5)",
            "INSERT INTO items_02 AS \"items\" (u, o) VALUES (1, 2)"
        ]
    );
    let joined = sent("UPDATE items i SET x = o.x FROM orders o WHERE o.u = i.u AND o.o = i.o AND i.u = 1");
    assert_eq!(joined.len(), 4);
    assert_eq!(joined[3], "UPDATE items_03 i SET x = o.x FROM orders_3 o WHERE o.u = i.u AND o.o = i.o AND i.u = 1");
}

#[test]
fn a_merge_has_one_statement_per_slot() {
    let on = "ON n.u = s.u WHEN NOT MATCHED THEN INSERT (u) VALUES (s.u)";
    let into = |slot: usize, keys: &str| {
        let own = format!("(SELECT * FROM (VALUES (1), (2), (9)) s(u)\nWHERE \"s\".\"u\" IN ({keys})) AS \"s\"");
        format!("MERGE INTO notes_{slot} n USING {own} {on}")
    };
    let keys = sent(&format!("MERGE INTO notes n USING (VALUES (1), (2), (9)) s(u) {on}"));
    assert_eq!(keys, [into(1, "1"), into(2, "2"), into(0, "9")], "each key on its shard, in its slot");
    let inserts = sent("INSERT INTO notes (u) VALUES (1), (2), (9)");
    let also =
        [(1, 1), (2, 2), (0, 9)].map(|(slot, key)| format!("INSERT INTO notes_{slot} AS \"notes\" (u) VALUES ({key})"));
    assert_eq!(inserts, also);
    assert_eq!(
        sent("MERGE INTO items USING regions r ON u = 1 AND o IN (1, 2) AND x = r.id WHEN MATCHED THEN DELETE"),
        [1, 2].map(|slot| {
            let on = "ON u = 1 AND o IN (1, 2) AND x = r.id WHEN MATCHED THEN DELETE";
            format!("MERGE INTO items_0{slot} AS \"items\" USING regions r {on}")
        })
    );
    let source = sent("MERGE INTO plain p USING items i ON p.u = i.u AND p.u = 1 WHEN MATCHED THEN DELETE");
    assert!(source[0].contains("USING (SELECT * FROM items_00 UNION ALL SELECT * FROM items_01"), "{source:?}");
    // Rows of the source may belong into other slots than those of the target that ON leaves.
    let handed =
        "MERGE INTO notes n USING notes s ON n.u = s.u AND n.x = 1 WHEN NOT MATCHED THEN INSERT (u) VALUES (s.u)";
    assert_eq!(sent(handed), ["refused merge"], "nor is it read first: home does not know the table");
}

#[test]
fn what_physical_tables_cannot_do_is_refused() {
    let cases = [
        (
            "MERGE INTO items i USING (SELECT 1 AS u) s ON i.u = s.u WHEN NOT MATCHED THEN INSERT (u, o) VALUES (1, 1)",
            "split_merge",
        ),
        ("MERGE INTO notes n USING (SELECT 1 AS u) s ON n.u = s.u WHEN MATCHED THEN UPDATE SET u = 2", "split_merge"),
        (
            "MERGE INTO notes n USING (VALUES (1), (2)) s(u) ON n.u = s.u WHEN MATCHED AND n.u < (SELECT max(u) FROM notes) THEN DELETE",
            "",
        ),
        (
            "MERGE INTO items i USING (SELECT 1 AS u) s ON i.u = s.u WHEN MATCHED AND i.ctid IS NULL THEN DELETE",
            "split_table",
        ),
        ("SELECT * FROM items WHERE u = 1 FOR UPDATE", "split_lock"),
        ("SELECT * FROM items_01", "physical_table"),
        ("INSERT INTO public.items_01 (u, o) VALUES (1, 1)", ""),
        ("DELETE FROM app.logs_0", "physical_table"),
        ("TRUNCATE items_01", "physical_table"),
        ("COPY items_01 TO STDOUT", "physical_table"),
        ("SELECT ctid FROM items WHERE u = 1", "split_table"),
        ("SELECT public.items.x FROM public.items WHERE u = 1", "split_table"),
        ("SELECT 1 FROM items TABLESAMPLE system (1) WHERE u = 1", "split_table"),
        ("UPDATE items SET o = 2 WHERE u = 1 AND o = 1", "split_column_update"),
        ("UPDATE items SET o = o + 4 WHERE u = 1 AND o = 1", "split_column_update"),
        ("DELETE FROM items WHERE u = 1 AND x < (SELECT avg(x) FROM items WHERE u = 1)", "split_self_read"),
        ("UPDATE items SET x = (SELECT random()) WHERE u = 1", "unknown_function"),
        ("INSERT INTO items (u, o) SELECT u, o FROM orders WHERE u = 1 RETURNING (SELECT 1)", "split_insert_select"),
        ("INSERT INTO items (u) VALUES (1)", ""),
        ("INSERT INTO items (u, o) VALUES (1, NULL)", ""),
        ("INSERT INTO items (u, o) VALUES (1, 1) ON CONFLICT (u) DO NOTHING", ""),
        ("INSERT INTO items (u, o) VALUES (1, 1) ON CONFLICT ON CONSTRAINT items_pkey DO NOTHING", ""),
        ("COPY items (u) FROM STDIN", ""),
        ("CREATE INDEX CONCURRENTLY i ON items (x)", "split_ddl"),
        ("ALTER TABLE items RENAME TO things", "different_shards"),
        ("ALTER TABLE items RENAME TO items", "split_ddl"),
        ("CREATE VIEW v AS SELECT * FROM items", "split_ddl"),
        ("CREATE TABLE plain (u bigint, o int REFERENCES items (o))", "split_ddl"),
        ("CREATE TABLE notes (u bigint, o int REFERENCES items (o))", "split_ddl"),
    ];
    for (text, reason) in cases {
        assert!(sent(text)[0].starts_with(&format!("refused {reason}")), "{text}: {:?}", sent(text));
    }
}

#[test]
fn ddl_names_each_physical_table() {
    let lists = [
        ("TRUNCATE items, plain", "TRUNCATE items_00, items_01, items_02, items_03, plain"),
        ("VACUUM (ANALYZE) notes (u)", "VACUUM (ANALYZE) notes_0 (u), notes_1 (u), notes_2 (u)"),
        ("DROP TABLE IF EXISTS app.logs CASCADE", "DROP TABLE IF EXISTS app.logs_0, app.logs_1 CASCADE"),
        ("GRANT SELECT (notes) ON notes TO notes", "GRANT SELECT (notes) ON notes_0, notes_1, notes_2 TO notes"),
    ];
    for (text, expected) in lists {
        assert_eq!(sent(text), [expected], "{text}");
    }
    let last = [
        (
            "CREATE TABLE items (u bigint, o int, items int, CONSTRAINT items_pkey PRIMARY KEY (u, o), CONSTRAINT c CHECK (items.o > 0))",
            "CREATE TABLE items_03 (u bigint, o int, items int, CONSTRAINT items_03_pkey PRIMARY KEY (u, o), \
             CONSTRAINT c_3 CHECK (items_03.o > 0))",
        ),
        (
            "CREATE TABLE items (u bigint, o int REFERENCES orders (o), r int REFERENCES regions)",
            "CREATE TABLE items_03 (u bigint, o int REFERENCES orders_3 (o), r int REFERENCES regions)",
        ),
        (
            "ALTER TABLE IF EXISTS ONLY items ADD CONSTRAINT items_x UNIQUE USING INDEX items_y",
            "ALTER TABLE IF EXISTS ONLY items_03 ADD CONSTRAINT items_03_x UNIQUE USING INDEX items_03_y",
        ),
        (
            "ALTER TABLE items RENAME CONSTRAINT a TO items_b",
            "ALTER TABLE items_03 RENAME CONSTRAINT a_3 TO items_03_b",
        ),
        ("CREATE INDEX ON items (x)", "CREATE INDEX ON items_03 (x)"),
        (
            "CREATE UNIQUE INDEX IF NOT EXISTS by_x ON ONLY public.items (x)",
            "CREATE UNIQUE INDEX IF NOT EXISTS by_x_3 ON ONLY public.items_03 (x)",
        ),
        ("COMMENT ON COLUMN items.x IS 'items'", "COMMENT ON COLUMN items_03.x IS 'items'"),
        (
            "CREATE TRIGGER t AFTER INSERT ON items EXECUTE FUNCTION f()",
            "CREATE TRIGGER t AFTER INSERT ON items_03 EXECUTE FUNCTION f()",
        ),
    ];
    for (text, expected) in last {
        let sent = sent(text);
        assert_eq!((sent.len(), sent.last().map(String::as_str)), (8, Some(expected)), "{text}: {sent:?}");
    }
}

#[test]
fn copy_to_reads_all_physical_tables() {
    assert_eq!(
        sent("COPY public.notes (u, \"X\") TO STDOUT (FORMAT csv)"),
        ["COPY (SELECT \"u\", \"X\" FROM public.notes_0 UNION ALL SELECT \"u\", \"X\" FROM public.notes_1 UNION ALL \
          SELECT \"u\", \"X\" FROM public.notes_2)  TO STDOUT (FORMAT csv)"]
    );
}

#[test]
fn copy_from_has_a_statement_for_each_physical_table() {
    let rules = split_rules();
    let text = "COPY public.items (u, x, o) FROM STDIN";
    let Ok(Plan::Copy(copy)) = plan_of(text, Parameters::default(), &rules) else { panic!("it is a COPY") };
    let split = copy.split.expect("it is split");
    assert_eq!((split.position, split.statements.len(), copy.key_position), (2, 4, 0));
    assert_eq!(split.statements[3], "COPY public.items_03 (u, x, o) FROM STDIN");
}

#[test]
fn servers_parse_the_first_physical_table() {
    let rules = split_rules();
    let context = Context { rules: &rules, catalog: &catalog::Catalog::empty() };
    let parsed = |text: &str| prepare(text, &context).expect(text).parsed_text(text).expect(text);
    assert_eq!(
        parsed("SELECT x FROM items WHERE u = $1").as_deref(),
        Some("SELECT x FROM items_00 AS \"items\" WHERE u = $1")
    );
    assert_eq!(
        parsed("EXPLAIN DELETE FROM items i WHERE u = $1").as_deref(),
        Some("EXPLAIN DELETE FROM items_00 i WHERE u = $1")
    );
    assert_eq!(parsed("SELECT x FROM plain WHERE u = $1"), None);
    let insert = parsed("INSERT INTO items (u, o) VALUES ($1, $2)");
    assert_eq!(insert.as_deref(), Some("INSERT INTO items_00 AS \"items\" (u, o) VALUES ($1, $2)"));
}
