//! `algorithm: interval`, and ranges of time.

use super::*;
use crate::rules::KeyBounds;
use crate::types::Comparison::{GreaterOrEqual, Less, LessOrEqual};
use crate::types::moment::{date_days, timestamp_micros, timestamptz_micros};

fn interval(key: &str, parameters: &str) -> RuleSet {
    rules(&format!("key: {{type: {key}}}\nalgorithm: interval\ninterval: {{{parameters}}}\n"))
}

fn of_day(rules: &RuleSet, day: &str) -> Option<u16> {
    shard(rules, KeyValue::Int(date_days(day).expect(day)))
}

#[test]
fn months_follow_each_other_from_the_origin_in_both_directions() {
    let rules = interval("date", "unit: month, origin: 2026-01-01, shards: [s0, s1, s2]");
    let days = [("2026-01-01", 0), ("2026-01-31", 0), ("2026-02-01", 1), ("2026-03-31", 2), ("2026-04-01", 0)];
    for (day, expected) in days.into_iter().chain([("2025-12-31", 2), ("2025-10-01", 0), ("2025-09-30", 2)]) {
        assert_eq!(of_day(&rules, day), Some(expected), "{day}");
    }
    assert_eq!((of_day(&rules, "infinity"), of_day(&rules, "-infinity")), (None, None));
}

#[test]
fn every_unit_has_its_length() {
    let cases = [
        ("unit: day, origin: 2026-01-30", [("2026-01-30", 0), ("2026-01-31", 1), ("2026-02-01", 0), ("2026-01-29", 1)]),
        (
            "unit: day, every: 10, origin: 2026-01-01",
            [("2026-01-10", 0), ("2026-01-11", 1), ("2025-12-31", 1), ("2026-01-21", 0)],
        ),
        (
            "unit: week, origin: 2026-01-05",
            [("2026-01-11", 0), ("2026-01-12", 1), ("2026-01-04", 1), ("2025-12-28", 0)],
        ),
        (
            "unit: month, every: 3, origin: 2026-02-01",
            [("2026-04-30", 0), ("2026-05-01", 1), ("2026-01-31", 1), ("2026-08-01", 0)],
        ),
        (
            "unit: year, origin: 2024-01-01",
            [("2024-12-31", 0), ("2025-01-01", 1), ("2023-12-31", 1), ("2026-06-01", 0)],
        ),
    ];
    for (parameters, days) in cases {
        let rules = interval("date", &format!("{parameters}, shards: [s0, s1]"));
        for (day, expected) in days {
            assert_eq!(of_day(&rules, day), Some(expected), "{parameters}: {day}");
        }
    }
}

#[test]
fn times_belong_to_the_days_of_their_offset() {
    let plain = interval("timestamp", "unit: day, origin: 2026-01-01, shards: [s0, s1]");
    for (time, expected) in [("2026-01-01 23:59:59.999999", 0), ("2026-01-02 00:00", 1), ("2025-12-31 23:59", 1)] {
        let micros = timestamp_micros(time).expect(time);
        assert_eq!(shard(&plain, KeyValue::Int(micros)), Some(expected), "{time}");
    }
    let zoned = interval("timestamptz", "unit: day, origin: 2026-01-01, offset: \"+08:00\", shards: [s0, s1]");
    let times =
        [("2025-12-31 16:00Z", 0), ("2025-12-31 15:59Z", 1), ("2026-01-01 23:59+08", 0), ("2026-01-01 16:00Z", 1)];
    for (time, expected) in times {
        let micros = timestamptz_micros(time).expect(time);
        assert_eq!(shard(&zoned, KeyValue::Int(micros)), Some(expected), "{time}");
    }
}

#[test]
fn bounds_leave_the_intervals_that_they_meet_and_no_more() {
    for unit in ["day", "week", "month", "year"] {
        let parameters = format!("unit: {unit}, every: 2, origin: 2025-01-01, shards: [s0, s1, s2, s1]");
        let rules = interval("date", &parameters);
        let start = date_days("2024-11-20").expect("a day");
        let step = if unit == "day" { 1 } else { 7 };
        for low in (start..start + 42).step_by(step) {
            for high in
                (low - 3..low + if unit == "day" { 20 } else { 1700 }).step_by(if unit == "day" { 1 } else { 211 })
            {
                for (comparison, last) in [(Less, high - 1), (LessOrEqual, high)] {
                    let mut bounds = KeyBounds::default();
                    bounds.restrict(GreaterOrEqual, KeyValue::Int(low));
                    bounds.restrict(comparison, KeyValue::Int(high));
                    let needed: crate::types::ShardSet =
                        (low..=last).filter_map(|day| shard(&rules, KeyValue::Int(day))).map(ShardId).collect();
                    assert_eq!(rules.shards_within(GroupId(0), &bounds), needed, "{unit} {low} {comparison:?} {high}");
                }
            }
        }
    }
    let rules = interval("date", "unit: month, origin: 2026-01-01, shards: [s0, s1]");
    let mut bounds = KeyBounds::default();
    bounds.restrict(GreaterOrEqual, KeyValue::Int(0));
    assert_eq!(rules.shards_within(GroupId(0), &bounds).len(), 2);
    bounds.restrict(Less, KeyValue::Int(i64::MAX));
    assert_eq!(rules.shards_within(GroupId(0), &bounds).len(), 2);
}

#[test]
fn ranges_of_time_hold_their_beginning() {
    let rules = rules(
        "key: {type: timestamptz}\nalgorithm: range\nrange:\n- {to: \"2026-01-01 00:00:00+00\", shard: s0}\n\
         - {from: \"2026-01-01 00:00:00+00\", to: infinity, shard: s1}\n",
    );
    let place = |time: &str| shard(&rules, KeyValue::Int(timestamptz_micros(time).expect(time)));
    assert_eq!((place("2026-01-01 00:59:59+01"), place("2026-01-01 01:00+01")), (Some(0), Some(1)));
    assert_eq!((place("-infinity"), place("infinity")), (Some(0), None));
}

#[test]
fn mistakes_are_named() {
    let cases = [
        (
            "bigint",
            "unit: day, origin: 2026-01-01, shards: [s0]",
            "5:12: algorithm interval needs a key of type date, timestamp or timestamptz, found the key type bigint",
        ),
        (
            "date",
            "unit: month, origin: 2026-01-02, shards: [s0]",
            "6:33: intervals of this unit begin with its first day",
        ),
        (
            "date",
            "unit: year, origin: 2026-02-01, shards: [s0]",
            "6:32: intervals of this unit begin with its first day",
        ),
        (
            "date",
            "unit: day, origin: 2026-02-30, shards: [s0]",
            "6:31: expected a day such as \"2026-01-31\", found \"2026-02-30\"",
        ),
        (
            "date",
            "unit: day, origin: infinity, shards: [s0]",
            "6:31: expected a day such as \"2026-01-31\", found \"infinity\"",
        ),
        ("date", "unit: day, origin: 2026-01-01, shards: []", "6:51: the list of shards is empty"),
        (
            "date",
            "unit: hour, origin: 2026-01-01, shards: [s0]",
            "6:18: expected day | week | month | year, found \"hour\"",
        ),
        (
            "date",
            "unit: day, every: 0, origin: 2026-01-01, shards: [s0]",
            "6:30: expected a whole number from 1 to 36525, found \"0\"",
        ),
        (
            "timestamptz",
            "unit: day, origin: 2026-01-01, shards: [s0]",
            "6:11: keys of type timestamptz need the key \"offset\", such as \"+00:00\"",
        ),
        (
            "timestamptz",
            "unit: day, origin: 2026-01-01, offset: Europe/Berlin, shards: [s0]",
            "6:51: expected an offset from UTC such as \"+00:00\" or \"-03:30\", found \"Europe/Berlin\"",
        ),
        (
            "date",
            "unit: day, origin: 2026-01-01, offset: \"+00:00\", shards: [s0]",
            "6:51: \"offset\" is for keys of type timestamptz, found date",
        ),
    ];
    for (key, parameters, expected) in cases {
        let group = format!("key: {{type: {key}}}\nalgorithm: interval\ninterval: {{{parameters}}}\n");
        assert_eq!(finding(&group), expected, "{parameters}");
    }
    assert_eq!(
        finding("key: {type: date}\n"),
        "4:13: keys of type date need algorithm: interval, range or list, not hash"
    );
    let wrong = "key: {type: date}\nalgorithm: range\nrange: [{from: 01/02/2026, shard: s0}]\n";
    assert_eq!(finding(wrong), "6:16: expected a value of type date such as 2026-01-31, found \"01/02/2026\"");
}
