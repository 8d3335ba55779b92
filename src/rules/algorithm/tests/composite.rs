//! `algorithm: composite`.

use super::*;
use crate::rules::{Distribution, partition_hash};
use crate::types::BucketId;

fn parse(key: &str, types: &str, rest: &str) -> Result<RuleSet, Vec<Diagnostic>> {
    let file = |path: &str, text: String| RuleFile { path: path.to_owned(), text };
    let group = format!(
        "kind: TableGroup\nname: g\nalgorithm: composite\ntables: {{t: {{key: {key}}}}}\nkey: {{type: {types}}}\n{rest}"
    );
    RuleSet::parse(&[file("topology.yaml", TOPOLOGY.to_owned()), file("g.yaml", group)])
}

fn row(values: &[KeyValue]) -> KeyValue {
    KeyValue::Parts(values.into())
}

#[test]
fn all_columns_together_have_a_bucket() {
    let rules = parse("[a, b, c]", "[int, text, uuid]", "").unwrap();
    let Distribution::Sharded { key, more, .. } = &rules.tables["t"].distribution else { panic!("t is sharded") };
    assert_eq!((key.as_str(), more.as_slice()), ("a", &["b".to_owned(), "c".to_owned()][..]));
    let whole = row(&[KeyValue::Int(7), KeyValue::Text("eu".into()), KeyValue::Uuid([9; 16])]);
    let bucket = BucketId((partition_hash(&whole) % 12) as u32);
    assert_eq!(rules.bucket_of(GroupId(0), &whole), Some(bucket));
    assert_eq!(rules.shard_of(GroupId(0), &whole), Some(rules.placement.owner(bucket)));
    assert_eq!(whole.to_string(), "(7, eu, 09090909-0909-0909-0909-090909090909)");
    let part = row(&[KeyValue::Int(7), KeyValue::Text("eu".into())]);
    for lacking in [KeyValue::Int(7), part] {
        assert_eq!(rules.shard_of(GroupId(0), &lacking), None, "{lacking}");
        assert_eq!(rules.bucket_of(GroupId(0), &lacking), None, "{lacking}");
    }
    assert_eq!(rules.shard_of_null(GroupId(0)), None);
    assert_eq!(rules.shards_of_group(GroupId(0)).len(), 3);
}

#[test]
fn the_order_of_the_columns_counts() {
    let one = partition_hash(&row(&[KeyValue::Int(1), KeyValue::Int(2)]));
    assert_ne!(one, partition_hash(&row(&[KeyValue::Int(2), KeyValue::Int(1)])));
    assert_eq!(partition_hash(&row(&[KeyValue::Int(42)])), partition_hash(&KeyValue::Int(42)));
}

#[test]
fn mistakes_are_named() {
    let many = "[int, int, int, int, int, int, int, int, int]";
    let cases = [
        ("a", "int", "", "5:13: algorithm composite needs the types of 2 to 8 columns, as in [bigint, text]"),
        ("a", "[int]", "", "5:13: algorithm composite needs the types of 2 to 8 columns, as in [bigint, text]"),
        (
            "[a, b, c, d, e, f, g, h, i]",
            many,
            "",
            "5:13: algorithm composite needs the types of 2 to 8 columns, as in [bigint, text]",
        ),
        ("a", "[int, int]", "", "4:19: the key has 1 columns, \"type\" has 2"),
        ("[a, b, c]", "[int, int]", "", "4:19: the key has 3 columns, \"type\" has 2"),
        ("[a, a]", "[int, int]", "", "4:23: \"a\" is named twice in the key"),
        ("[a, t.b]", "[int, int]", "", "4:23: expected a column's name without its table, found \"t.b\""),
        ("[a, b]", "[int, date]", "", "5:19: algorithm composite takes numbers, texts and uuids, not date"),
        (
            "[a, b]",
            "[int, int]",
            "mod: {shards: [s0]}",
            "6:6: \"mod\" is for groups with algorithm: mod, this one has composite",
        ),
        (
            "[a, b]",
            "[int, int]",
            "key_update: move",
            "6:13: key_update: move is not available yet with algorithm composite",
        ),
    ];
    for (key, types, rest, expected) in cases {
        let found = parse(key, types, rest).expect_err(expected);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].to_string().replace("g.yaml:", ""), expected);
    }
    assert!(parse("[a, b, c, d, e, f, g, h]", "[int, int, int, int, int, int, int, int]", "").is_ok());
    let split = parse("[a, b], split: {by: a, into: 2, pattern: \"t_{0}\"}", "[int, int]", "").unwrap_err();
    assert_eq!(split.len(), 1, "{split:?}");
    assert!(split[0].to_string().contains("split is not available yet with algorithm composite"), "{split:?}");
}

#[test]
fn other_algorithms_have_one_column() {
    assert_eq!(finding("key: {type: [int]}\n"), "4:13: algorithm hash has one key column; several need composite");
    assert!(finding("key: {type: [int, int]}\nalgorithm: mod\n").contains("algorithm mod has one key column"));
    let text = "kind: TableGroup\nname: g\ntables: {t: {key: [k]}}\nkey: {type: int}\n";
    let file = |path: &str, text: &str| RuleFile { path: path.to_owned(), text: text.to_owned() };
    let found = RuleSet::parse(&[file("topology.yaml", TOPOLOGY), file("g.yaml", text)]).unwrap_err();
    assert!(found[0].to_string().contains("a key of several columns needs algorithm: composite"), "{found:?}");
}
