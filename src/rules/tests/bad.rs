use super::*;

/// One mistake each: the text of `rules.yaml` beside a good topology, and the only message.
const MISTAKES: &[(&str, &str)] = &[
    (
        "kind: TableGrop",
        "1:7: expected the kind Topology | Ids | TableGroup | ReferenceTables | SingleTables, found \"TableGrop\"; did you mean \"TableGroup\"?",
    ),
    ("name: x", "1:1: a document needs the key \"kind\": Topology | Ids | TableGroup | ReferenceTables | SingleTables"),
    (
        "just text",
        "1:1: a document needs the key \"kind\": Topology | Ids | TableGroup | ReferenceTables | SingleTables",
    ),
    (
        "{kind: ReferenceTables, tables: [r], multi_shard: {mode: two_phase}}",
        "1:58: copies of reference tables always follow home by replay: auto, eventual or reject",
    ),
];

/// One mistake each in a TableGroup `{kind: TableGroup, name: g, …}` written on line 2 of the text.
const GROUP_MISTAKES: &[(&str, &str)] = &[
    (
        "key: {type: bigint}, tabels: {t: {key: k}}, tables: {t: {key: k}}",
        "2:22: unknown key \"tabels\" in a TableGroup, known are kind, name, key, algorithm, mod, list, range, interval, lookup, tables, missing_key, key_update, multi_shard, tests; did you mean \"tables\"?",
    ),
    ("key: {type: bigint}", "2:1: a TableGroup needs the key \"tables\""),
    ("key: {type: bigint}, tables: {}", "2:30: the group \"g\" has no tables"),
    (
        "key: {type: bigin}, tables: {t: {key: k}}",
        "2:13: expected smallint | int | integer | bigint | text | varchar | uuid | date | timestamp | timestamptz, found \"bigin\"; did you mean \"bigint\"?",
    ),
    ("key: bigint, tables: {t: {key: k}}", "2:6: expected a key (a mapping), found \"bigint\""),
    (
        "key: {type: bigint}, algorithm: hsah, tables: {t: {key: k}}",
        "2:33: expected hash | mod | list | range | interval | composite | lookup, found \"hsah\"; did you mean \"hash\"?",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: yes}}",
        "2:40: expected a name, found yes, which YAML may read as a boolean: quote it",
    ),
    (
        "key: {type: bigint}, tables: {off: {key: k}}",
        "2:31: expected a name, found off, which YAML may read as a boolean: quote it",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: 7}}",
        "2:40: expected a name, found 7, which YAML may read as a number: quote it",
    ),
    ("key: {type: bigint}, tables: {t: {key: \"\"}}", "2:40: expected a name, found \"\""),
    (
        "key: {type: bigint}, tables: {a b: {key: k}}",
        "2:31: \"a b\" is not a name in PostgreSQL; put unusual names in double quotes, as '\"My Table\"'",
    ),
    ("key: {type: bigint}, tables: {t: {key: t.k}}", "2:40: expected a column's name without its table, found \"t.k\""),
    ("key: {type: bigint}, tables: {t: {key: k, split: {by: k, into: 4}}}", "2:50: a split needs the key \"pattern\""),
    (
        "key: {type: bigint}, tables: {t: {key: k, split: {into: 1, pattern: \"t_{0}\"}}}",
        "2:57: expected a whole number from 2 to 1024, found \"1\"",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k, split: {into: 4, pattern: t_0}}}",
        "2:69: expected one placeholder of zeros in braces, as in \"items_{00}\", found \"t_0\"",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k, split: {by: b, type: text, algorithm: mod, into: 4, pattern: \"t_{0}\"}}}",
        "2:81: split by mod needs an integer column, found the type text",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k, split: {type: text, into: 4, pattern: \"t_{0}\"}}}",
        "2:57: \"k\" is the sharding key, of type bigint, not text",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k, split: {by: b, type: date, into: 4, pattern: \"t_{0}\"}}}",
        "2:64: a split by hash needs an integer, text or uuid, found date",
    ),
    (
        "key: {type: bigint}, tables: {t_1: {key: k}, t: {key: k, split: {into: 2, pattern: \"t_{0}\"}}}",
        "2:84: the physical table \"t_1\" of \"t\" is named at rules.yaml:2 already",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k, split: {into: 2, pattern: \"t_{0}\"}}, t_0: {key: k}}",
        "2:80: table \"t_0\" is a physical table of \"t\", split at rules.yaml:2",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k}, T: {key: k}}",
        "2:44: table \"T\" has two rules, the first is at rules.yaml:2",
    ),
    ("key: {type: bigint}, tables: {t: {key: k}, t: {key: k}}", "2:44: key \"t\" is written twice, first on line 2"),
    (
        "key: {type: bigint}, tables: {t: {key: k, id: {column: i, tag: ordr}}}",
        "2:64: no tag is named \"ordr\" in the Ids file; did you mean \"order\"?",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k, id: {column: i, tag: order, layout: genes}}}",
        "2:79: no layout is named \"genes\" in the Ids file; did you mean \"gene\"?",
    ),
    ("key: {type: bigint}, tables: {t: {key: k, id: {column: i}}}", "2:47: an id needs the key \"tag\""),
    (
        "key: {type: bigint}, tables: {t: {key: k, id: {column: i, tag: order, strategy: segment}}}",
        "2:64: strategy segment needs a tag of the segments in the Ids file",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k, id: {column: i, tag: order, prefix: shard}}}",
        "2:79: a prefix goes with strategy: uuid",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k, id: {column: i, tag: order, strategy: uuid}}}",
        "2:64: an id of strategy uuid has no tag",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k, id: {column: i, tag: order, route: true}}}",
        "2:47: route: true needs a layout with a bucket, \"standard\" has none",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k, id: {column: i, tag: order, layout: gene, check_tag: true}}}",
        "2:47: check_tag: true needs a layout with a tag, \"gene\" has none",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k, id: {column: k, tag: order, layout: gene}}}",
        "2:47: \"k\" is the sharding key: its id cannot name the place that it decides",
    ),
    (
        "key: {type: bigint}, algorithm: mod, mod: {shards: [s0, s1]}, tables: {t: {key: k, id: {column: i, tag: order, layout: gene}}}",
        "2:88: the layout \"gene\" needs a group with buckets: algorithm hash, lookup, or mod without shards",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k, id: {column: i, tag: order, layout: narrow}}}",
        "2:47: 16 buckets do not fit the 3 bucket bits of the layout \"narrow\"",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k, id: {column: i, tag: big, layout: small}}}",
        "2:47: code 9 of the tag \"big\" does not fit the 3 tag bits of the layout \"small\"",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k}}, multi_shard: {mode: eagr}",
        "2:65: expected auto | eventual | eager | two_phase | reject, found \"eagr\"; did you mean \"eager\"?",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k}}, multi_shard: {on_dead: resync}",
        "2:68: \"resync\" is for reference tables: a sharded row has no second copy",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k}}, multi_shard: {on_dead: compensate}",
        "2:31: on_dead: compensate needs undo: {insert: …} for every table of the group",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k, undo: {insert: \"TRUNCATE t -- :k\"}}}",
        "2:58: undo is a DELETE, UPDATE or INSERT, found \"TRUNCATE\"",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k, undo: {insert: \"DELETE FROM t\"}}}",
        "2:58: undo names no column of the row: write column = :column",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k, split: {into: 2, pattern: \"t_{0}\"}, undo: {insert: \"DELETE FROM t WHERE k = :k\"}}}",
        "2:85: undo is not available yet with split",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k}}, tests: [{sql: x}]",
        "2:53: a test expects either \"shards\" or \"error\"",
    ),
    (
        "key: {type: bigint}, tables: {t: {key: k}}, tests: [{sql: x, shards: 1, error: e}]",
        "2:53: a test expects either \"shards\" or \"error\"",
    ),
    ("key: {type: bigint}, tables: {t: {key: k}}, tests: [{sql: x, shards: [s9]}]", "2:71: no shard is named \"s9\""),
    (
        "key: {type: bigint}, tables: {t: {key: k}}, tests: [{sql: x, shards: many}]",
        "2:70: expected a whole number from 0 to 128, found \"many\"",
    ),
    ("key: &a {type: bigint}, tables: {t: {key: k}}", "2:9: anchors (&name) are not allowed: write each value out"),
    ("key: !x {type: bigint}, tables: {t: {key: k}}", "2:9: tags are not allowed: remove !x"),
];

/// One change of the good topology each, and the only message.
const TOPOLOGY_MISTAKES: &[(&str, &str, &str)] = &[
    ("home: s0", "home: s2", "10:7: no shard is named \"s2\""),
    (
        "database: shop",
        "database: shardloom",
        "2:11: the database cannot be \"shardloom\": that is the admin console's name",
    ),
    ("buckets: 16", "buckets: 0", "3:10: expected a whole number from 1 to 65536, found \"0\""),
    ("buckets: 16", "buckets: 65537", "3:10: expected a whole number from 1 to 65536, found \"65537\""),
    ("buckets: 16", "buckets: \"16\"", "3:10: expected a whole number from 1 to 65536, found \"16\""),
    ("buckets: 16", "buckets: 17", "8:3: bucket 16 is placed on no shard"),
    ("buckets: 16", "buckets: 20", "8:3: buckets 16-19 are placed on no shard"),
    ("buckets: 16", "buckets: 15", "9:16: bucket 15 does not exist, the last is 14"),
    ("0-7", "0-5", "8:3: buckets 6-7 are placed on no shard"),
    ("0-7", "0-8", "9:8: bucket 8 is placed twice, first on \"s0\""),
    ("0-7", "7-0", "8:8: expected buckets such as \"0-2047\" or \"17\", found \"7-0\""),
    ("  s1: [", "  s2: [", "9:3: no shard is named \"s2\""),
    (
        "127.0.0.1:5501",
        "127.0.0.1",
        "5:17: expected an address such as 127.0.0.1:5432, [::1]:5432 or /run/postgresql:5432, found \"127.0.0.1\"",
    ),
    (
        "db1:5502\", database: other",
        "127.0.0.1:5501\", database: shop",
        "6:7: shards \"s0\" and \"s1\" are the same database",
    ),
    ("home: s0", "home: s0\nunlisted_tables: drop", "11:18: expected home | reject, found \"drop\""),
    ("database: shop", "# shop", "1:1: a Topology needs the key \"database\""),
];

/// One mistake each in an Ids document.
const ID_MISTAKES: &[(&str, &str)] = &[
    ("tags: {order: 1, payment: 1}", "2:27: code 1 belongs to the tag \"order\" already"),
    ("tags: {order: 64}", "2:15: code 64 of the tag \"order\" does not fit the 6 tag bits of the layout \"standard\""),
    ("tags: {order: -1}", "2:15: expected a whole number from 1 to 65535, found \"-1\""),
    (
        "layouts: {l: {epoch: \"2026-01-01T00:00:00Z\", bits: {time: 41, tag: 6, worker: 7, sequence: 10}}}",
        "2:52: the bits sum to 64, an id has at most 63",
    ),
    (
        "layouts: {l: {epoch: \"2026-01-01\", bits: {time: 41, tag: 6, worker: 7, sequence: 9}}}",
        "2:22: expected a time in UTC since 1970 such as \"2026-01-01T00:00:00Z\", found \"2026-01-01\"",
    ),
    (
        "layouts: {l: {epoch: \"2026-01-01T00:00:00Z\", bits: {time: 40, bucket: 12, tag: 1, worker: 5, sequence: 5}}}",
        "2:71: a layout has the bits of a tag or of a bucket, not of both",
    ),
    (
        "tags: {order: 1}\nsegments: {order: {}}",
        "3:12: \"order\" is a tag with a code already: a segment needs a name of its own",
    ),
    ("segments: {invoice: {step: 0}}", "2:28: expected a whole number from 1 to 1000000, found \"0\""),
    (
        "tags: {order: 1}\nlayouts: {standard: {epoch: \"2026-01-01T00:00:00Z\", bits: {time: 40, bucket: 12, worker: 5, sequence: 6}}}",
        "2:7: the layout \"standard\" needs the bits of a tag, not of a bucket",
    ),
    (
        "layouts: {l: {epoch: \"2026-01-01T00:00:00Z\", bits: {time: 40, worker: 5, sequence: 6}}}",
        "2:52: a layout's bits needs the key \"tag\" or \"bucket\"",
    ),
    (
        "layouts: {l: {epoch: \"2026-01-01T00:00:00Z\", bits: {time: 40, tag: 17, worker: 5, sequence: 1}}}",
        "2:68: expected a whole number from 0 to 16, found \"17\"",
    ),
];

fn one(file: &str, found: &[String], expected: &str, case: &str) {
    assert_eq!(found, [format!("{file}:{expected}")], "{case}");
}

#[test]
fn each_mistake_in_a_document_is_told_alone() {
    for (text, expected) in MISTAKES {
        one("rules.yaml", &messages(&[file("t.yaml", TOPOLOGY), file("rules.yaml", text)]), expected, text);
    }
}

#[test]
fn each_mistake_in_a_group_is_told_alone() {
    let ids = "kind: Ids\ntags: {order: 1, big: 9}\nlayouts:\n  small: \
               {epoch: \"2026-01-01T00:00:00Z\", bits: {time: 41, tag: 3, worker: 7, sequence: 9}}\n  narrow: \
               {epoch: \"2026-01-01T00:00:00Z\", bits: {time: 41, bucket: 3, worker: 7, sequence: 9}}\n";
    for (fields, expected) in GROUP_MISTAKES {
        let fields = fields.split_inclusive(", ").collect::<String>();
        let text = format!("{{kind: TableGroup, name: g,\n{fields}}}");
        let found = messages(&[file("t.yaml", TOPOLOGY), file("ids.yaml", ids), file("rules.yaml", &text)]);
        one("rules.yaml", &found, &expected.replace("2:1: a Tab", "1:1: a Tab"), &text);
    }
}

#[test]
fn each_mistake_in_a_topology_is_told_alone() {
    for (from, to, expected) in TOPOLOGY_MISTAKES {
        let text = TOPOLOGY.replacen(from, to, 1);
        assert_ne!(text, TOPOLOGY, "{from} is in the text");
        one("t.yaml", &messages(&[file("t.yaml", &text)]), expected, to);
    }
}

#[test]
fn each_mistake_in_ids_is_told_alone() {
    for (fields, expected) in ID_MISTAKES {
        let text = format!("kind: Ids\n{fields}\n");
        one("ids.yaml", &messages(&[file("t.yaml", TOPOLOGY), file("ids.yaml", &text)]), expected, fields);
    }
}

#[test]
fn an_alias_is_refused_where_it_stands() {
    let text = "{kind: SingleTables, tables: [*x]}";
    let found = messages(&[file("t.yaml", TOPOLOGY), file("rules.yaml", text)]);
    assert_eq!(found[0], "rules.yaml:1:31: aliases (*name) are not allowed: write the value out");
}

#[test]
fn a_table_has_one_rule_over_all_files_and_kinds() {
    let group = file("g.yaml", "{kind: TableGroup, name: g, key: {type: int}, tables: {t: {key: k}}}");
    let reference = file("r.yaml", "kind: ReferenceTables\ntables:\n- public.T\n");
    let found = messages(&[file("t.yaml", TOPOLOGY), group, reference]);
    assert_eq!(found, ["r.yaml:3:3: table \"public.T\" has two rules, the first is at g.yaml:1"]);
}

#[test]
fn names_and_documents_that_must_be_alone_are() {
    let group =
        |table: &str| format!("{{kind: TableGroup, name: g, key: {{type: int}}, tables: {{{table}: {{key: k}}}}}}");
    let files = [
        file("t.yaml", TOPOLOGY),
        file("u.yaml", TOPOLOGY),
        file("g.yaml", &format!("{}\n---\n{}", group("a"), group("b"))),
        file("i.yaml", "kind: Ids\n---\nkind: Ids\n"),
    ];
    let expected = [
        "u.yaml:1:1: a second document of kind Topology, the first is at t.yaml:1",
        "g.yaml:3:26: two groups are named \"g\", the first is at g.yaml:1",
        "i.yaml:3:1: a second document of kind Ids, the first is at i.yaml:1",
    ];
    assert_eq!(messages(&files), expected);
}

#[test]
fn without_a_topology_the_rest_is_still_checked() {
    let found = messages(&[file("r.yaml", "{kind: SingleTables, tables: [a, a], shard: s7}")]);
    let expected = [
        "r.yaml:1:1: no document of kind Topology: one file must declare the shards",
        "r.yaml:1:34: table \"a\" has two rules, the first is at r.yaml:1",
    ];
    assert_eq!(found, expected);
    assert_eq!(messages(&[]), ["rules:1:1: no document of kind Topology: one file must declare the shards"]);
}

#[test]
fn a_syntax_error_leaves_the_next_document_checked() {
    let text = "kind: [SingleTables\n---\nkind: SingleTables\ntables: [a]\nshard: s9\n";
    let found = messages(&[file("t.yaml", TOPOLOGY), file("r.yaml", text)]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("r.yaml:") && found[0].contains("not YAML"), "{found:?}");
    assert_eq!(found[1], "r.yaml:5:8: no shard is named \"s9\"");
}

#[test]
fn five_mistakes_of_different_nature_are_told_in_one_run() {
    let orders = "kind: TableGroup
name: orders
key: {type: bigint}
tabels: {}
tables:
  orders: {key: on}
  items: {key: user_id, id: {column: item_id, tag: item}}
multi_shard: {mode: [eager]}
";
    let single = "kind: SingleTables\ntables: [orders]\nshard: s7\n";
    let found = messages(&[file("t.yaml", TOPOLOGY), file("orders.yaml", orders), file("single.yaml", single)]);
    let starts = [
        "orders.yaml:4:1: unknown key \"tabels\"",
        "orders.yaml:6:17: expected a name, found on",
        "orders.yaml:7:52: no tag is named \"item\"",
        "orders.yaml:8:21: expected auto | eventual | eager | two_phase | reject, found a list",
        "single.yaml:2:10: table \"orders\" has two rules",
        "single.yaml:3:8: no shard is named \"s7\"",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (found, start) in found.iter().zip(starts) {
        assert!(found.starts_with(start), "{found}\nshould start with\n{start}");
    }
}
