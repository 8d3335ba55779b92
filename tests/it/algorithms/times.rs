//! Keys of time: `algorithm: interval`, and ranges of `timestamptz`, under whatever settings a session has.

use super::{Sharded, copy_in};

const RULES: &str = r#"
kind: TableGroup
name: days
key: {type: date}
algorithm: interval
interval: {unit: month, origin: 2026-01-01, shards: [s0, s1, s2]}
tables: {days: {key: day}}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: events
key: {type: timestamp}
algorithm: interval
interval: {unit: day, every: 2, origin: 2026-01-01, shards: [s0, s1]}
tables: {events: {key: at}, rounded: {key: at}}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: calls
key: {type: timestamptz}
algorithm: range
range:
- {to: "2026-01-01 00:00:00+00", shard: s1}
- {from: "2026-01-01 00:00:00+00", shard: s2}
tables: {calls: {key: at}, misfits: {key: at}}
missing_key: {read: scatter, write: scatter}
"#;

const SCHEMA: [&str; 5] = [
    "CREATE TABLE days (day date, what int)",
    "CREATE TABLE events (at timestamp, what int)",
    "CREATE TABLE rounded (at timestamp(0), what int)",
    "CREATE TABLE calls (at timestamptz, what int)",
    "CREATE TABLE misfits (at timestamp, what int)",
];

#[tokio::test]
async fn rows_of_time_live_in_their_intervals() {
    let mut test = Sharded::start("algorithm_times", RULES, &SCHEMA).await;
    let both = &mut test.both;
    let days: Vec<String> =
        (1..=12).flat_map(|month| [1, 15, 28].map(|day| format!("('2026-{month:02}-{day:02}', {month})"))).collect();
    both.same(&format!("INSERT INTO days VALUES {}, ('2025-12-31', 0), ('1969-07-20', 0)", days.join(", ")));
    let tags = copy_in(both, "COPY days FROM STDIN", "2026-02-03\t1\n2024-02-29\t2\n");
    assert_eq!(tags, ["COPY 2", "COPY 2"]);
    for sql in [
        "SELECT * FROM days WHERE day = '2026-05-15'",
        "SELECT * FROM days WHERE day = '15 May 2026'",
        "SELECT * FROM days WHERE day >= '2026-05-01' AND day < '2026-06-01' ORDER BY day",
        "SELECT * FROM days WHERE day BETWEEN date '2026-03-28' AND date '2026-04-01' ORDER BY day",
        "SELECT count(*) FROM days WHERE day < '2026-01-01'",
        "SELECT count(*) FROM days WHERE day > 'infinity' OR day > '2026-11-30'",
        "SELECT * FROM days WHERE day IN ('2026-01-01', '2026-04-01', '2025-12-31') ORDER BY day",
        "SELECT count(*) FROM days WHERE day < '2026-03-01 12:00'::timestamp",
        "SET datestyle = 'SQL, DMY'",
        "SELECT count(*) FROM days WHERE day >= '2026-05-01' AND day < '01/06/2026'",
        "SELECT count(*) FROM days WHERE day = '01/05/2026'",
        "INSERT INTO days VALUES ('2026-07-04', 7)",
        "RESET datestyle",
        "UPDATE days SET what = 99 WHERE day >= '2026-05-01' AND day < '2026-06-01'",
        "UPDATE days SET day = '2026-05-02' WHERE day = '2026-05-01'",
        "DELETE FROM days WHERE day = '2026-07-04' RETURNING what",
        "SELECT * FROM days ORDER BY day",
    ] {
        both.same(sql);
    }
    for (shard, remainder) in [("s0", 1), ("s1", 2), ("s2", 0)] {
        let sql = format!("SELECT count(*) FROM days WHERE extract(month FROM day)::int % 3 <> {remainder}");
        assert_eq!(test.on_shard(shard, &sql), ["0"], "{shard}");
    }
    // What depends on the session, PostgreSQL says.
    for sql in ["INSERT INTO days VALUES ('31.1.2026', 1)", "INSERT INTO days VALUES ('Feb 1 2030', 1)"] {
        test.both.same(sql);
    }
    assert_eq!(test.route("SELECT * FROM days WHERE day = '2030-02-01'"), "Direct on s1");
    assert_eq!(test.on_shard("s1", "SELECT count(*) FROM days WHERE day = '2030-02-01'"), ["1"]);
    test.refused("INSERT INTO days VALUES ('infinity', 1)", "23514");
    let both = &mut test.both;
    assert_eq!(copy_in(both, "COPY days FROM STDIN", "31 Jan 2027\t1\n"), ["COPY 1", "0A000"]);
    assert_eq!(test.route("SELECT * FROM days WHERE day < '2026-03-01' AND day >= '2026-02-01'"), "Direct on s1");
}

#[tokio::test]
async fn timestamps_are_placed_as_their_column_keeps_them() {
    let mut test = Sharded::start("algorithm_times_rounded", RULES, &SCHEMA).await;
    let both = &mut test.both;
    // The column rounds it into the next interval.
    both.same("INSERT INTO rounded VALUES ('2026-01-02 23:59:59.5', 1), ('2026-01-02 23:59:59.4', 2)");
    let tags = copy_in(both, "COPY rounded FROM STDIN", "2026-01-02 23:59:59.7\t3\n2025-12-31 23:59:59.499999\t4\n");
    assert_eq!(tags, ["COPY 2", "COPY 2"]);
    for sql in [
        "SELECT * FROM rounded WHERE at = '2026-01-03 00:00:00' ORDER BY what",
        "SELECT * FROM rounded WHERE at >= '2026-01-03' ORDER BY what",
        "SELECT * FROM rounded WHERE at < '2026-01-03' ORDER BY what",
        "SELECT * FROM rounded WHERE at = '2026-01-02 23:59:59.5'",
        "INSERT INTO events VALUES ('2026-01-02 23:59:59.999999', 1), ('2026-01-03T00:00', 2), ('2026-01-05', 3)",
        "SELECT * FROM events WHERE at > '2026-01-02 23:59:59' AND at < date '2026-01-03'",
        "SELECT * FROM events WHERE at >= date '2026-01-03' ORDER BY at",
        "SELECT * FROM events WHERE at = '2026-01-03 00:00:00+09'",
        "SELECT * FROM events WHERE at = '2026-01-03'::timestamptz",
        "UPDATE events SET at = '2026-01-04 12:00' WHERE at = '2026-01-03'",
        "SELECT * FROM events ORDER BY at",
    ] {
        both.same(sql);
    }
    assert_eq!(test.on_shard("s0", "SELECT what FROM rounded ORDER BY what"), ["2"]);
    assert_eq!(test.on_shard("s1", "SELECT what FROM rounded ORDER BY what"), ["1", "3", "4"]);
    test.refused("UPDATE rounded SET at = '2026-01-02 23:59:59.5' WHERE at = '2026-01-02 23:59:59'", "0A000");
    test.refused("INSERT INTO misfits VALUES ('2026-01-02 23:59:59+00', 1)", "0A000");
    let both = &mut test.both;
    assert_eq!(copy_in(both, "COPY misfits FROM STDIN", "2026-01-02 23:59:59+00\t1\n"), ["COPY 1", "0A000"]);
}

#[tokio::test]
async fn the_sessions_time_zone_never_misleads() {
    let mut test = Sharded::start("algorithm_times_zone", RULES, &SCHEMA).await;
    let both = &mut test.both;
    both.same("INSERT INTO calls VALUES ('2025-12-31 23:59:59Z', 1), ('2026-01-01 00:00:00+00', 2), ('2026-01-01 02:00+03', 3)");
    for zone in ["UTC", "Asia/Tokyo", "America/New_York"] {
        both.same(&format!("SET timezone = '{zone}'"));
        for sql in [
            "SELECT what FROM calls WHERE at >= '2026-01-01 00:00:00' ORDER BY what",
            "SELECT what FROM calls WHERE at >= '2026-01-01' ORDER BY what",
            "SELECT what FROM calls WHERE at >= date '2026-01-01' ORDER BY what",
            "SELECT what FROM calls WHERE at >= '2026-01-01 00:00:00'::timestamp ORDER BY what",
            "SELECT what FROM calls WHERE at >= '2026-01-01 09:00:00+09' ORDER BY what",
            "SELECT what FROM calls WHERE at < timestamptz '2025-12-31 19:00:00-05' ORDER BY what",
            "SELECT what FROM calls WHERE at = '2025-12-31T23:59:59Z'",
            "SELECT what FROM calls WHERE at = ANY('{\"2025-12-31 23:59:59+00\"}'::timestamptz[])",
            "SELECT what FROM calls WHERE at = ANY('{\"2025-12-31 23:59:59+00\"}'::timestamp[])",
        ] {
            both.same(sql);
        }
    }
    assert_eq!(test.on_shard("s1", "SELECT what FROM calls ORDER BY what"), ["1", "3"]);
    for sql in [
        "INSERT INTO calls VALUES ('2026-01-01 00:00:00', 4)",
        "INSERT INTO calls VALUES ('2026-01-01'::timestamp, 5)",
        "SELECT what FROM calls WHERE at = '2026-01-01 00:00:00' ORDER BY what",
        "SELECT at, what FROM calls ORDER BY what",
    ] {
        test.both.same(sql);
    }
    assert_eq!(test.route("SELECT * FROM calls WHERE at >= '2026-01-01 00:00:00+00'"), "Direct on s2");
    assert_eq!(test.route("SELECT * FROM calls WHERE at >= '2026-01-01 00:00:00'"), "Scatter over s1, s2");
}

#[tokio::test]
async fn typed_parameters_of_time_route_in_binary() {
    let mut test = Sharded::start("algorithm_times_typed", RULES, &SCHEMA).await;
    let client = test.proxy.client().await;
    // Days, microseconds since 2000-01-01 as the wire has them; the statement's casts give the parameters their types.
    let start = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_767_225_600);
    for hours in [-1i64, 0, 30, 47, 48, 100] {
        let at = if hours < 0 {
            start - std::time::Duration::from_secs(3600)
        } else {
            start + std::time::Duration::from_secs(hours as u64 * 3600)
        };
        client.execute("INSERT INTO events VALUES ($1, $2)", &[&at, &(hours as i32)]).await.unwrap();
        client.execute("INSERT INTO calls VALUES ($1, $2)", &[&at, &(hours as i32)]).await.unwrap();
        for table in ["events", "calls"] {
            let sql = format!("SELECT what FROM {table} WHERE at = $1");
            let rows = client.query(&sql, &[&at]).await.unwrap();
            assert_eq!(rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(), [hours as i32], "{table}");
        }
    }
    let later = start + std::time::Duration::from_secs(48 * 3600);
    let sql = "SELECT what FROM events WHERE at >= $1 AND at < $2 ORDER BY what";
    let rows = client.query(sql, &[&start, &later]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(), [0, 30, 47]);
    assert_eq!(test.on_shard("s0", "SELECT what FROM events ORDER BY what"), ["0", "30", "47", "100"]);
    assert_eq!(test.on_shard("s1", "SELECT what FROM events ORDER BY what"), ["-1", "48"]);
    assert_eq!(test.on_shard("s1", "SELECT what FROM calls ORDER BY what"), ["-1"]);
}
