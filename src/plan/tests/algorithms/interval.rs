//! `algorithm: interval`, and other algorithms with keys of time.

use super::*;

const GROUPS: &str = "kind: TableGroup
name: days
key: {type: date}
algorithm: interval
interval: {unit: month, origin: 2026-01-01, shards: [s0, s1, s2]}
tables: {days: {key: day}, notes: {key: day}}
---
kind: TableGroup
name: events
key: {type: timestamp}
algorithm: interval
interval: {unit: month, origin: 2026-01-01, shards: [s0, s1, s2]}
tables: {events: {key: at}}
---
kind: TableGroup
name: calls
key: {type: timestamptz}
algorithm: range
range: [{to: \"2026-01-01 00:00:00+00\", shard: s1}, {from: \"2026-01-01 00:00:00+00\", shard: s2}]
tables: {calls: {key: at}}
---
kind: TableGroup
name: holidays
key: {type: date}
algorithm: list
list: {placement: {s1: [2026-01-01], s2: [2026-12-25]}}
tables: {holidays: {key: day}}
";

#[test]
fn dates_route_by_their_interval() {
    routes(
        &parsed(GROUPS),
        "
        select * from days where day = '2026-02-28' => direct s1
        select * from days where day = date '2026-02-28' => direct s1
        select * from days where day = '2026-02-28'::date => direct s1
        select * from days where day >= '2026-02-01' and day < '2026-03-01' => direct s1
        select * from days where day between '2026-02-01' and '2026-03-01' => scatter s1+s2: =
        select * from days where day >= '2026-02-01' => scatter s0+s1+s2: =
        select * from days where day in ('2026-01-05', '2026-04-05') => direct s0
        select * from days where day = any('{2026-01-05,2026-04-05}') => direct s0
        select * from days where day = any('{2026-01-05,2026-04-05}'::date[]) => direct s0
        select * from days where day = any('{2026-01-05}'::timestamp[]) => scatter s0+s1+s2: =
        select * from days where day = '28.2.2026' => scatter s0+s1+s2: =
        select * from days where day = 'today' => scatter s0+s1+s2: =
        select * from days where day < '2026-02-01 12:00'::timestamp => scatter s0+s1+s2: =
        select * from days where day < current_date => scatter s0+s1+s2: =
        select * from days d join notes n on n.day = d.day where d.day = '2026-03-01' => direct s2
        select * from days d, events e where e.at = d.day and d.day = '2026-03-01' => gather s0 days() s2 events() s0+s1+s2
        insert into days (day) values ('2026-03-31') => direct s2 write
        insert into days (day) values (date '2026-03-31'), ('2026-04-01') => writes s2+s0 eager None
        insert into days (day) values ('31.3.2026') => carry SELECT ('31.3.2026')::date AS c0
        insert into days (day) values ('infinity') => refused unmapped_sharding_key
        insert into days (day) values (current_date) => carry SELECT (current_date)::date AS c0
        insert into days (day) values ('2026-03-31'::timestamp) => carry SELECT ('2026-03-31'::timestamp)::date AS c0
        insert into days (day) values (20260331) => carry SELECT (20260331)::date AS c0
        update days set x = 1 where day < '2026-03-01' and day >= '2026-02-10' => direct s1 write
        update days set day = '2026-05-01' where day = '2026-02-10' => direct s1 write
        update days set day = '2026-03-01' where day = '2026-02-10' => refused sharding_key_update
        delete from days where day = '2026-02-10' => direct s1 write
        ",
    );
}

#[test]
fn timestamps_route_to_the_microsecond() {
    routes(
        &parsed(GROUPS),
        "
        select * from events where at = '2026-01-31 23:59:59.999999' => direct s0
        select * from events where at >= '2026-02-01' and at < '2026-03-01' => direct s1
        select * from events where at >= date '2026-02-01' and at < date '2026-03-01' => direct s1
        select * from events where at > '2026-01-31 23:59:59.999999' and at < '2026-03-01' => direct s1
        select * from events where at >= timestamp '2026-02-01 00:00' and at <= '2026-02-28T23:59:59' => direct s1
        select * from events where at >= '2026-02-01 00:00'::timestamptz and at < '2026-03-01' => scatter s0+s1+s2: =
        select * from events where at = '2026-02-01 00:00+05' => scatter s0+s1+s2: =
        select * from events where at = '2026-02-01 10:00'::date => scatter s0+s1+s2: =
        select * from events where at = '2026-02-01'::timestamp(0) => scatter s0+s1+s2: =
        insert into events (at) values ('2026-02-01 00:00') => direct s1 write
        insert into events (at) values (now()) => carry SELECT (now())::timestamp AS c0
        update events set at = '2026-02-02' where at = '2026-02-01' => direct s1 write
        update events set at = '2026-02-28 23:59:59.9' where at = '2026-02-01' => refused sharding_key_update
        ",
    );
}

#[test]
fn times_with_a_zone_need_an_offset() {
    routes(
        &parsed(GROUPS),
        "
        select * from calls where at = '2026-01-01 00:59+01' => direct s1
        select * from calls where at >= '2026-01-01 00:00:00Z' => direct s2
        select * from calls where at >= timestamptz '2026-01-01 00:00:00+00' => direct s2
        select * from calls where at >= '2026-01-01 00:00:00' => scatter s1+s2: =
        select * from calls where at >= '2026-01-01' => scatter s1+s2: =
        select * from calls where at < '2026-01-01 00:00+00'::timestamp => scatter s1+s2: =
        select * from calls where at = any('{\"2026-01-01 00:00+00\"}'::timestamp[]) => scatter s1+s2: =
        select * from calls where at = any('{\"2026-01-01 00:00+00\"}'::timestamptz[]) => direct s2
        insert into calls (at) values ('2025-12-31 23:59:59.999999Z') => direct s1 write
        insert into calls (at) values ('infinity') => direct s2 write
        insert into calls (at) values ('2026-01-01 00:00:00') => carry SELECT ('2026-01-01 00:00:00')::timestamptz AS c0
        ",
    );
}

#[test]
fn listed_days_are_found() {
    routes(
        &parsed(GROUPS),
        "
        select * from holidays where day = '2026-12-25' => direct s2
        insert into holidays (day) values ('2026-01-01') => direct s1 write
        insert into holidays (day) values ('2026-01-02') => refused unmapped_sharding_key
        ",
    );
}

#[test]
fn parameters_count_by_their_type_and_format() {
    let rules = parsed(GROUPS);
    // 2026-02-01 is day 9528 since 2000-01-01.
    let (day, micros) = (9528i32.to_be_bytes(), (9528i64 * 86_400_000_000).to_be_bytes());
    let (days, events) = ("select * from days where day = $1", "select * from events where at = $1");
    let calls = "select * from calls where at >= $1";
    let everywhere = "scatter s0+s1+s2: =";
    let cases: [(&str, &[u8], u32, bool, &str); 12] = [
        (days, &day, 1082, true, "direct s1"),
        (days, &day, 0, true, "direct s1"),
        (days, &micros, 1114, true, everywhere),
        (days, b"2026-02-01", 1082, false, "direct s1"),
        (days, b"2026-02-01", 0, false, "direct s1"),
        (days, b"1 Feb 2026", 1082, false, everywhere),
        (days, b"2026-02-01", 25, false, everywhere),
        (events, &micros, 1114, true, "direct s1"),
        (events, &micros, 1184, true, everywhere),
        (events, &day, 1082, true, everywhere),
        (calls, &micros, 1184, true, "direct s2"),
        (calls, &micros, 1114, true, "scatter s1+s2: ="),
    ];
    for (text, value, oid, binary, expected) in cases {
        let (values, types, formats) = ([Some(value)], [oid], [i16::from(binary)]);
        let parameters = Parameters { is_extended: true, values: &values, types: &types, formats: &formats };
        let found = render(plan_of(text, parameters, &rules), &rules);
        assert!(found.starts_with(expected), "{text} {oid}: {found}");
    }
}
