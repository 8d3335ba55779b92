//! `algorithm: lookup`: what a table on home says of a key is remembered.

use super::*;
use crate::rules::{Algorithm, Lookup};
use crate::types::{BucketId, ShardSet};

const GROUP: &str = "key: {type: text}
algorithm: lookup
lookup: {table: tenants, key: Name, bucket: bucket}";

fn lookup(rules: &RuleSet) -> &Lookup {
    let Algorithm::Lookup(lookup) = &rules.group(GroupId(0)).algorithm else { panic!("another algorithm") };
    lookup
}

fn text(key: &str) -> KeyValue {
    KeyValue::Text(key.to_owned())
}

#[test]
fn a_key_is_on_the_owner_of_the_bucket_that_was_looked_up() {
    let rules = rules(GROUP);
    let found = lookup(&rules);
    assert_eq!((found.table.as_str(), found.key.as_str(), found.bucket.as_str()), ("tenants", "name", "bucket"));
    assert_eq!(rules.lookups().count(), 1);
    found.directory.learn([(text("acme"), BucketId(4)), (text("zeta"), BucketId(5))]);
    assert_eq!(shard(&rules, text("acme")), Some(1));
    assert_eq!(rules.bucket_of(GroupId(0), &text("zeta")), Some(BucketId(5)));
    let one: ShardSet = [ShardId(2)].into_iter().collect();
    assert_eq!(rules.shards_of_key(GroupId(0), &text("zeta")), one);
    assert_eq!(found.directory.take_missed(), []);
}

#[test]
fn a_key_that_nobody_has_looked_up_can_be_anywhere_and_is_noted_for_its_thread() {
    let rules = rules(GROUP);
    assert_eq!(shard(&rules, text("new")), None);
    assert_eq!(rules.shards_of_key(GroupId(0), &text("other")), rules.placement.shards());
    let directory = &lookup(&rules).directory;
    let elsewhere = std::thread::scope(|scope| scope.spawn(|| directory.take_missed()).join().unwrap());
    assert_eq!(elsewhere, []);
    assert_eq!(directory.take_missed(), [text("new"), text("other")]);
    assert_eq!(directory.take_missed(), []);
}

#[test]
fn what_was_looked_up_is_no_part_of_the_rules() {
    let (one, other) = (rules(GROUP), rules(GROUP));
    lookup(&one).directory.learn([(text("acme"), BucketId(4))]);
    assert_eq!(lookup(&one), lookup(&other));
    assert_eq!(format!("{:?}", lookup(&one)), format!("{:?}", lookup(&other)));
    assert_eq!(one.version, other.version);
    let changed = GROUP.replace("bucket: bucket", "bucket: place");
    assert_ne!(one.version, super::rules(&changed).version);
}

#[test]
fn a_lookup_that_does_not_fit_is_reported_where_it_stands() {
    for (group, expected) in [
        ("key: {type: text}\nalgorithm: lookup", "5:12: algorithm lookup needs the key \"lookup\" beside it"),
        (
            "key: {type: date}\nalgorithm: lookup\nlookup: {table: t2, key: k, bucket: b}",
            "5:12: algorithm lookup needs a key of numbers, texts or uuids, found the key type date",
        ),
        (
            "key: {type: text}\nlookup: {table: t2, key: k, bucket: b}",
            "5:9: \"lookup\" is for groups with algorithm: lookup, this one has hash",
        ),
        ("key: {type: text}\nalgorithm: lookup\nlookup: {table: t2, key: k}", "6:9: lookup needs the key \"bucket\""),
        (
            "key: {type: text}\nalgorithm: lookup\nlookup: {table: a.b.c, key: k, bucket: b}",
            "6:17: expected a table's name, at most schema.table, found \"a.b.c\"",
        ),
        (
            "key: {type: text}\nalgorithm: lookup\nlookup: {table: t, key: k, bucket: b}",
            "6:17: the lookup table \"t\" must be on home: a table without a rule, or a single one there",
        ),
    ] {
        assert_eq!(finding(group), expected, "{group}");
    }
}
