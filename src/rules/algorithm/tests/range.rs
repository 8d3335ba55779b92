//! `algorithm: range`, and what comparisons leave of it.

use super::*;
use crate::rules::KeyBounds;
use crate::types::Comparison::{self, Greater, GreaterOrEqual, Less, LessOrEqual};

/// From minus infinity to 0, 10 to 20 and 20 to 30 lie on shards; 0 to 10 and what follows 30 do not.
const THREE: &str = "key: {type: int}\nalgorithm: range\nrange:\n- {from: 20, to: 30, shard: s2}\n- {to: 0, shard: s0}\n\
                     - {from: 10, to: 20, shard: s1}\n";

/// Comparisons and the shards that they leave.
type Case<'a> = (&'a [(Comparison, i64)], &'a [u16]);

fn within(rules: &RuleSet, comparisons: &[(Comparison, i64)]) -> Vec<u16> {
    let mut bounds = KeyBounds::default();
    comparisons.iter().for_each(|(comparison, value)| bounds.restrict(*comparison, KeyValue::Int(*value)));
    rules.shards_within(GroupId(0), &bounds).iter().map(|shard| shard.0).collect()
}

#[test]
fn ranges_hold_their_beginning_and_not_their_end() {
    let rules = rules(THREE);
    let places = [(-1, Some(0)), (0, None), (9, None), (10, Some(1)), (19, Some(1)), (20, Some(2)), (29, Some(2))];
    for (key, expected) in places.into_iter().chain([(30, None), (i64::from(i32::MIN), Some(0))]) {
        assert_eq!(shard(&rules, KeyValue::Int(key)), expected, "{key}");
    }
}

#[test]
fn comparisons_leave_the_ranges_that_they_meet() {
    let rules = rules(THREE);
    let cases: &[Case<'_>] = &[
        (&[(Less, 10)], &[0]),
        (&[(LessOrEqual, 10)], &[0, 1]),
        (&[(Less, 11)], &[0, 1]),
        (&[(Greater, 19)], &[2]),
        (&[(GreaterOrEqual, 19)], &[1, 2]),
        (&[(Greater, 18)], &[1, 2]),
        (&[(GreaterOrEqual, 30)], &[]),
        (&[(Greater, 28)], &[2]),
        (&[(Greater, 29)], &[]),
        (&[(GreaterOrEqual, 0), (Less, 10)], &[]),
        (&[(GreaterOrEqual, -1), (LessOrEqual, 10)], &[0, 1]),
        (&[(GreaterOrEqual, 12), (LessOrEqual, 12)], &[1]),
        (&[(Greater, 12), (Less, 12)], &[]),
        (&[(GreaterOrEqual, 25), (Less, 15)], &[]),
        (&[(Greater, 5), (Greater, 20), (Less, 100), (LessOrEqual, 50)], &[2]),
        (&[(LessOrEqual, 20), (Less, 20)], &[0, 1]),
    ];
    for (comparisons, expected) in cases {
        assert_eq!(within(&rules, comparisons), *expected, "{comparisons:?}");
    }
}

#[test]
fn no_key_that_meets_the_comparisons_is_left_out() {
    let rules = rules(THREE);
    let comparisons = [Less, LessOrEqual, Greater, GreaterOrEqual];
    let meets = |key: i64, comparison, value| match comparison {
        Less => key < value,
        LessOrEqual => key <= value,
        Greater => key > value,
        GreaterOrEqual => key >= value,
    };
    for (one, other) in (0..16).map(|pair| (comparisons[pair / 4], comparisons[pair % 4])) {
        for (low, high) in (-2..34).flat_map(|low| (-2..34).map(move |high| (low, high))) {
            let kept = within(&rules, &[(one, low), (other, high)]);
            let keys = (-40..40).filter(|key| meets(*key, one, low) && meets(*key, other, high));
            let needed: std::collections::BTreeSet<u16> =
                keys.filter_map(|key| shard(&rules, KeyValue::Int(key))).collect();
            assert_eq!(kept, needed.into_iter().collect::<Vec<_>>(), "{one:?} {low} {other:?} {high}");
        }
    }
}

#[test]
fn texts_are_in_the_order_of_their_bytes_and_comparisons_do_not_count() {
    let rules =
        rules("key: {type: text}\nalgorithm: range\nrange: [{to: a, shard: s0}, {from: a, to: é, shard: s1}]\n");
    for (key, expected) in [("", Some(0)), ("Z", Some(0)), ("a", Some(1)), ("zz", Some(1)), ("é", None)] {
        assert_eq!(shard(&rules, KeyValue::Text(key.to_owned())), expected, "{key}");
    }
    assert!(!rules.is_ordered(GroupId(0)));
}

#[test]
fn uuids_are_in_order() {
    let rules = rules(
        "key: {type: uuid}\nalgorithm: range\nrange:\n- {to: 80000000-0000-0000-0000-000000000000, shard: s0}\n\
         - {from: 80000000-0000-0000-0000-000000000000, shard: s1}\n",
    );
    assert_eq!(shard(&rules, KeyValue::Uuid([0x7f; 16])), Some(0));
    assert_eq!(shard(&rules, KeyValue::Uuid([0x80; 16])), Some(1));
    let mut bounds = KeyBounds::default();
    bounds.restrict(Greater, KeyValue::Uuid([0x90; 16]));
    assert_eq!(rules.shards_within(GroupId(0), &bounds).only(), Some(ShardId(1)));
}

#[test]
fn mistakes_are_named() {
    let cases = [
        ("", "5:12: algorithm range needs the key \"range\" beside it"),
        ("range: []", "6:8: the list of ranges is empty"),
        ("range: [{from: 1, to: 2}]", "6:9: a range needs the key \"shard\""),
        (
            "range: [{from: 2, to: 2, shard: s0}]",
            "6:9: a range ends after it begins: \"to\" is the first key beyond it",
        ),
        ("range:\n- {from: 2, to: 5, shard: s0}\n- {to: 3, shard: s1}", "7:3: the range overlaps with that on line 8"),
        ("range:\n- {from: 2, shard: s0}\n- {from: 9, shard: s1}", "8:3: the range overlaps with that on line 7"),
        ("range: [{from: 1.5, shard: s0}]", "6:16: expected a value of type int, found \"1.5\""),
        ("range: [{from: 1, shard: x}]", "6:26: no shard is named \"x\""),
        ("range: {from: 1}", "6:8: expected a list, found a mapping"),
    ];
    for (parameters, expected) in cases {
        let found = parse(&format!("key: {{type: int}}\nalgorithm: range\n{parameters}\n")).expect_err(parameters);
        assert_eq!(found[0].to_string().replace("g.yaml:", ""), expected, "{parameters}");
    }
}
