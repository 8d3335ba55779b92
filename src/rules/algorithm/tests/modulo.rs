//! `algorithm: mod`.

use super::*;

#[test]
fn remainders_are_buckets_and_never_negative() {
    let rules = rules("key: {type: bigint}\nalgorithm: mod\n");
    let places = [(0, 0), (1, 1), (11, 2), (12, 0), (13, 1), (-1, 2), (-12, 0), (-13, 2)];
    for (key, expected) in places.into_iter().chain([(i64::MAX, 1), (i64::MIN, 1)]) {
        assert_eq!(shard(&rules, KeyValue::Int(key)), Some(expected), "{key}");
        assert_eq!(i128::from(key).rem_euclid(12).rem_euclid(3), i128::from(expected), "{key}");
    }
    assert_eq!(rules.shards_of_group(GroupId(0)).len(), 3);
}

#[test]
fn remainders_count_into_the_list_of_shards() {
    let rules = rules("key: {type: int}\nalgorithm: mod\nmod: {shards: [s2, s0, s2, s0]}\n");
    for (key, expected) in [(0, 2), (1, 0), (2, 2), (3, 0), (4, 2), (-1, 0), (-2, 2)] {
        assert_eq!(shard(&rules, KeyValue::Int(key)), Some(expected), "{key}");
    }
    let group = rules.shards_of_group(GroupId(0));
    assert_eq!(group.iter().collect::<Vec<_>>(), [ShardId(0), ShardId(2)]);
}

#[test]
fn mistakes_are_named() {
    let cases = [
        ("key: {type: text}\nalgorithm: mod\n", "5:12: algorithm mod needs an integer key, found the key type text"),
        ("key: {type: uuid}\nalgorithm: mod\n", "5:12: algorithm mod needs an integer key, found the key type uuid"),
        (
            "key: {type: bigint}\nmod: {shards: [s0]}\n",
            "5:6: \"mod\" is for groups with algorithm: mod, this one has hash",
        ),
        ("key: {type: bigint}\nalgorithm: mod\nmod: {shards: []}\n", "6:15: the list of shards is empty"),
        ("key: {type: bigint}\nalgorithm: mod\nmod: {shards: [s0, s9]}\n", "6:20: no shard is named \"s9\""),
        (
            "key: {type: bigint}\nalgorithm: mod\nmod: {shard: [s0]}\n",
            "6:7: unknown key \"shard\" in mod, known are shards; did you mean \"shards\"?",
        ),
    ];
    for (group, expected) in cases {
        assert_eq!(finding(group), expected, "{group}");
    }
}

#[test]
fn the_version_tells_algorithms_apart() {
    let texts = ["", "algorithm: mod\n", "algorithm: mod\nmod: {shards: [s0, s1]}\n"];
    let versions = texts.map(|text| rules(&format!("key: {{type: bigint}}\n{text}")).version);
    assert!(versions[0] != versions[1] && versions[1] != versions[2] && versions[0] != versions[2]);
    assert_eq!(versions[0], rules("key: {type: bigint}\nalgorithm: hash\n").version);
}
