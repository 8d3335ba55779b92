//! The merge against a real server: order of every type, sums and averages to the last digit.
//!
//! Goal: what the merge makes of three parts is what PostgreSQL says about the whole, in text and in binary.

use std::error::Error;

use bytes::{BufMut, Bytes, BytesMut};
use shardloom::merge::{Column, Combine, MergeContext, MergeSpec, Merger, Output, SortKey, Step};
use tokio_postgres::Client;
use tokio_postgres::types::{FromSql, Type};

/// Into how many parts the rows are dealt.
const SHARDS: i32 = 3;

/// Types with an expression over `i` (the row's number) that makes values of it, NULLs and equal ones among them.
const ORDERED: &[(&str, &str)] = &[
    ("bool", "CASE i % 3 WHEN 0 THEN NULL ELSE i % 3 = 1 END"),
    ("int2", "(random() * 60000 - 30000)::int"),
    ("int4", "(random() * 4e9 - 2e9)::bigint"),
    ("int8", "CASE WHEN i % 9 > 0 THEN (random() * 1.8e19 - 9e18)::numeric END"),
    ("oid", "(random() * 4294967295)::bigint"),
    ("float4", "(ARRAY['NaN','Infinity','-Infinity','-0','0','1e-45','3e38',(random() - .5)::text])[i % 9 + 1]"),
    ("float8", "(ARRAY['NaN','Infinity','-Infinity','-0','0','5e-324','1.7e308',(random() - .5)::text])[i % 9 + 1]"),
    ("float8", "(random() - .5) * 10 ^ (i % 80 - 40)"),
    ("numeric", "(ARRAY['NaN','Infinity','-Infinity','0','0.000','1.0','1.00','-1','-1.0',NULL])[i % 10 + 1]"),
    ("numeric", "round((random() - .5)::numeric * 10::numeric ^ (i % 50 - 20), i % 30)"),
    ("text", "chr(40 + i % 300) || repeat('a', i % 3) || chr(1 + i % 7)"),
    ("varchar", "md5(i::text)"),
    ("name", "md5(i::text)"),
    ("char(4)", "repeat('x', i % 4) || repeat('!', i % 2)"),
    ("\"char\"", "chr(32 + i % 90)"),
    ("bytea", "decode(repeat('00', i % 4) || to_hex(4096 + i % 256 * 16), 'hex')"),
    (
        "date",
        "(ARRAY['infinity','-infinity','0044-03-15 BC','0001-01-01','12345-06-07',(date '2000-01-01' + i * 97)::text])[i % 7 + 1]",
    ),
    ("time", "(ARRAY['24:00','00:00','23:59:59.999999',(time '12:00' + i * interval '1.001 s')::text])[i % 5 + 1]"),
    (
        "timestamp",
        "(ARRAY['infinity','-infinity','0044-03-15 12:00:00.5 BC','294276-12-31 23:59:59.999999',(timestamp '1999-12-31' + i * interval '1 h 1.01 s')::text])[i % 6 + 1]",
    ),
    (
        "timestamptz",
        "(ARRAY['infinity','-infinity','0044-03-15 12:00:00.5 BC','1890-01-01 00:00:00','2024-10-27 01:30:00+02','2024-10-27 01:30:00+01',(timestamptz '2024-10-26' + i * interval '7 min')::text])[i % 8 + 1]",
    ),
    ("uuid", "md5(i::text)"),
];

/// Types that are summed and averaged, with an expression over `i` and `{n}` (the number of the round).
const SUMMED: &[(&str, &str)] = &[
    ("int4", "(random() * 4e9 - 2e9)::bigint"),
    ("int8", "(random() * 1e16 - 5e15)::bigint"),
    ("float8", "(random() * 1e9)::int / 8.0"),
    ("int8", "CASE WHEN {n} % 2 = 0 THEN 0 END"),
    ("numeric", "round((random() - .5)::numeric * 10::numeric ^ ({n} % 40 - 10), i % 25)"),
    ("numeric", "round((random() * 2)::numeric, {n} % 5)"),
    ("numeric", "(ARRAY['0','0.000','1e-30','9999.99995','-9999.9999','99999999','Infinity'])[{n} % 7 + 1]"),
    ("numeric", "(ARRAY['NaN','Infinity','-Infinity','1',NULL])[({n} + i) % 5 + 1]"),
    ("numeric", "(random() * 10)::int * 10::numeric ^ ({n} * 7 % 200)"),
];

/// How many sets of values are summed per type.
const ROUNDS: i32 = 40;

/// A result value as it is on the wire, of any type.
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Rows with the oids of their columns.
struct Answer {
    oids: Vec<u32>,
    rows: Vec<Bytes>,
}

/// Runs every comparison on `client`, whose database orders text by bytes (or not: text is sorted `COLLATE "C"`).
pub async fn merge_agrees_with_postgres(client: &Client) {
    client.batch_execute("SET timezone = 'Europe/Amsterdam'; SET datestyle = 'ISO'").await.unwrap();
    for format in [0, 1] {
        for &(kind, expression) in ORDERED {
            order_agrees(client, kind, expression, format).await;
        }
        for &(kind, expression) in SUMMED {
            for round in 0..ROUNDS {
                sums_agree(client, kind, expression, round, format).await;
            }
        }
    }
    float_text_agrees(client).await;
}

async fn order_agrees(client: &Client, kind: &str, expression: &str, format: i16) {
    let collate = if ["text", "varchar", "name", "char(4)"].contains(&kind) { "COLLATE \"C\"" } else { "" };
    fill(client, kind, expression, 200).await;
    for (direction, descending) in [("ASC", false), ("DESC", true)] {
        for (nulls, nulls_first) in [("FIRST", true), ("LAST", false)] {
            let select = |filter: String| {
                format!("SELECT v, i FROM merge_rows {filter} ORDER BY v {collate} {direction} NULLS {nulls}, i")
            };
            let whole = answer(client, &select(String::new()), format).await;
            let spec = MergeSpec {
                order: vec![
                    SortKey { column: 0, descending, nulls_first },
                    SortKey { column: 1, descending: false, nulls_first: false },
                ],
                ..MergeSpec::default()
            };
            let parts = parts(client, select, format).await;
            assert_eq!(merged(&spec, parts, format), whole.rows, "{kind} {direction} NULLS {nulls} format {format}");
        }
    }
    extremes_and_groups_agree(client, kind, collate, format).await;
}

async fn extremes_and_groups_agree(client: &Client, kind: &str, collate: &str, format: i16) {
    let groups =
        |filter: String| format!("SELECT v, count(*) FROM merge_rows {filter} GROUP BY v ORDER BY v {collate}");
    let spec = MergeSpec {
        grouped: true,
        combines: vec![Combine::GroupKey, Combine::Sum],
        order: vec![SortKey { column: 0, descending: false, nulls_first: false }],
        ..MergeSpec::default()
    };
    let whole = answer(client, &groups(String::new()), format).await;
    let counts = |rows: &[Bytes]| rows.iter().map(|row| row[row.len() - 4..].to_vec()).collect::<Vec<_>>();
    let rows = merged(&spec, parts(client, groups, format).await, format);
    assert_eq!(counts(&rows), counts(&whole.rows), "groups of {kind} format {format}");
    if ["bool", "uuid", "bytea", "\"char\"", "name"].contains(&kind) {
        return;
    }
    let extremes = |filter: String| format!("SELECT min(v {collate}), max(v {collate}) FROM merge_rows {filter}");
    let spec = MergeSpec { grouped: true, combines: vec![Combine::Min, Combine::Max], ..MergeSpec::default() };
    let whole = answer(client, &extremes(String::new()), format).await;
    let rows = merged(&spec, parts(client, extremes, format).await, format);
    let zero_or_scale = ["float4", "float8", "numeric"].contains(&kind);
    assert!(rows == whole.rows || zero_or_scale, "extremes of {kind} format {format}");
}

async fn sums_agree(client: &Client, kind: &str, expression: &str, round: i32, format: i16) {
    fill(client, kind, &expression.replace("{n}", &round.to_string()), 1 + round * 3).await;
    let whole = answer(client, "SELECT sum(v), avg(v) FROM merge_rows", format).await;
    let select = |filter: String| format!("SELECT sum(v), count(v) FROM merge_rows {filter}");
    let spec = MergeSpec {
        grouped: true,
        combines: vec![Combine::Sum, Combine::Sum],
        outputs: vec![Output::Column(0), Output::Average { sum: 0, count: 1 }],
        ..MergeSpec::default()
    };
    let rows = merged(&spec, parts(client, select, format).await, format);
    assert_eq!(rows, whole.rows, "{kind} {expression} round {round} format {format}");
}

/// Passes random floats through a sum of one, which reads and writes them.
async fn float_text_agrees(client: &Client) {
    for kind in ["float4", "float8"] {
        fill(client, kind, "(random() - .5) * 10 ^ (i % 70 - 35)", 7_000).await;
        let whole = answer(client, "SELECT i, v FROM merge_rows ORDER BY i", 0).await;
        let spec = MergeSpec {
            grouped: true,
            combines: vec![Combine::GroupKey, Combine::Sum],
            order: vec![SortKey { column: 0, descending: false, nulls_first: false }],
            ..MergeSpec::default()
        };
        let parts = parts(client, |filter| format!("SELECT i, v FROM merge_rows {filter}"), 0).await;
        for (ours, theirs) in merged(&spec, parts, 0).iter().zip(&whole.rows) {
            assert_eq!(ours, theirs, "{kind}");
        }
    }
}

async fn fill(client: &Client, kind: &str, expression: &str, rows: i32) {
    let statement = format!(
        "DROP TABLE IF EXISTS merge_rows; CREATE TEMP TABLE merge_rows AS
         SELECT i, i % {SHARDS} AS shard, CAST({expression} AS {kind}) AS v FROM generate_series(1, {rows}) i"
    );
    client.batch_execute(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
}

async fn parts(client: &Client, select: impl Fn(String) -> String, format: i16) -> Vec<Answer> {
    let mut parts = Vec::new();
    for shard in 0..SHARDS {
        parts.push(answer(client, &select(format!("WHERE shard = {shard}")), format).await);
    }
    parts
}

async fn answer(client: &Client, sql: &str, format: i16) -> Answer {
    let prepared = client.prepare(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let oids: Vec<u32> = prepared.columns().iter().map(|column| column.type_().oid()).collect();
    let rows = if format == 1 {
        let rows = client.query(&prepared, &[]).await.unwrap();
        rows.iter().map(|row| body((0..oids.len()).map(|at| row.get::<_, Option<Raw>>(at).map(|raw| raw.0)))).collect()
    } else {
        let messages = client.simple_query(sql).await.unwrap();
        let row = |message: &tokio_postgres::SimpleQueryMessage| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                Some(body((0..oids.len()).map(|at| row.get(at).map(|text| text.as_bytes().to_vec()))))
            }
            _ => None,
        };
        messages.iter().filter_map(row).collect()
    };
    Answer { oids, rows }
}

fn body(values: impl ExactSizeIterator<Item = Option<Vec<u8>>>) -> Bytes {
    let mut body = BytesMut::new();
    body.put_i16(values.len() as i16);
    for value in values {
        body.put_i32(value.as_ref().map_or(-1, |bytes| bytes.len() as i32));
        body.put_slice(&value.unwrap_or_default());
    }
    body.freeze()
}

fn merged(spec: &MergeSpec, parts: Vec<Answer>, format: i16) -> Vec<Bytes> {
    let columns: Vec<Column> = parts[0].oids.iter().map(|&type_oid| Column { type_oid, format }).collect();
    let context =
        MergeContext { text_is_bytewise: true, equal_text_is_same: true, iso_dates: true, group_rows_max: 10_000 };
    let mut merger = Merger::new(spec, &columns, parts.len(), context).unwrap();
    let mut sources: Vec<_> = parts.into_iter().map(|part| part.rows.into_iter()).collect();
    let mut rows = Vec::new();
    loop {
        match merger.poll().unwrap() {
            Step::Need(shard) => match sources[shard].next() {
                Some(row) => merger.push(shard, row).unwrap(),
                None => merger.finish_shard(shard),
            },
            Step::Row(row) => rows.push(row),
            Step::Done => return rows,
        }
    }
}
