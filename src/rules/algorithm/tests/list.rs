//! `algorithm: list`.

use super::*;

fn text(value: &str) -> KeyValue {
    KeyValue::Text(value.to_owned())
}

#[test]
fn values_live_where_they_are_listed() {
    let rules = rules(
        "key: {type: text}\nalgorithm: list\nlist: {placement: {s1: [cn, hk, null], s2: [us, \"null\"]}, default: s0}\n",
    );
    for (value, expected) in [("cn", 1), ("hk", 1), ("us", 2), ("null", 2), ("CN", 0), ("", 0), ("cn ", 0)] {
        assert_eq!(shard(&rules, text(value)), Some(expected), "{value:?}");
    }
    assert_eq!(rules.shard_of_null(GroupId(0)), Some(ShardId(1)));
    assert_eq!(rules.shards_of_group(GroupId(0)).len(), 3);
}

#[test]
fn other_values_have_no_place_without_a_default() {
    let rules = rules("key: {type: int}\nalgorithm: list\nlist: {placement: {s1: [1, -2], s2: [\"3\"]}}\n");
    for (value, expected) in [(1, Some(1)), (-2, Some(1)), (3, Some(2)), (2, None), (0, None)] {
        assert_eq!(shard(&rules, KeyValue::Int(value)), expected, "{value}");
    }
    assert_eq!(rules.shard_of_null(GroupId(0)), None);
    assert_eq!(rules.shards_of_group(GroupId(0)).iter().collect::<Vec<_>>(), [ShardId(1), ShardId(2)]);
}

#[test]
fn mistakes_are_named() {
    let cases = [
        ("int", "", "5:12: algorithm list needs the key \"list\" beside it"),
        ("int", "list: {placement: {}}", "6:19: no value is listed"),
        ("int", "list: {default: s0}", "6:7: list needs the key \"placement\""),
        ("int", "list: {placement: {s0: [1], s1: [2, 1]}}", "6:37: 1 is listed twice"),
        ("int", "list: {placement: {s0: [null, null]}}", "6:31: null is listed twice"),
        ("int", "list: {placement: {s0: [x]}}", "6:25: expected a value of type int, found \"x\""),
        ("smallint", "list: {placement: {s0: [40000]}}", "6:25: expected a value of type smallint, found \"40000\""),
        (
            "text",
            "list: {placement: {s0: [se, no]}}",
            "6:29: expected a text, found no, which YAML may read as something else: quote it",
        ),
        (
            "text",
            "list: {placement: {s0: [007]}}",
            "6:25: expected a text, found 007, which YAML may read as something else: quote it",
        ),
        ("int", "list: {placement: {s7: [1]}}", "6:20: no shard is named \"s7\""),
        ("int", "list: {placement: {s0: [1]}, default: s7}", "6:39: no shard is named \"s7\""),
    ];
    for (key, parameters, expected) in cases {
        assert_eq!(
            finding(&format!("key: {{type: {key}}}\nalgorithm: list\n{parameters}\n")),
            expected,
            "{parameters}"
        );
    }
}
