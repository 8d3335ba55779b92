//! What holds for the merge without a server. Rows are written as words, `-` is NULL.

use bytes::Bytes;
use proptest::prelude::*;

use super::decimal::Decimal;
use super::key::Encoder;
use super::kind::Purpose;
use super::row::body;
use super::{Column, Combine, MergeContext, MergeSpec, Merger, Output, OutputColumn, SortKey, Step};
use crate::types::{Refusal, SqlState};

const INT4: Column = Column { type_oid: 23, format: 0 };
const INT8: Column = Column { type_oid: 20, format: 0 };
const TEXT: Column = Column { type_oid: 25, format: 0 };
const NUMERIC: Column = Column { type_oid: 1700, format: 0 };
const CONTEXT: MergeContext =
    MergeContext { text_is_bytewise: true, equal_text_is_same: true, iso_dates: true, group_rows_max: 3 };

fn row(words: &str) -> Bytes {
    let words: Vec<&str> = words.split_whitespace().collect();
    body(words.iter().map(|word| (*word != "-").then_some(word.as_bytes())))
}

fn words(body: &Bytes) -> String {
    let count = usize::from(u16::from_be_bytes([body[0], body[1]]));
    let row = super::row::Row::parse(body.clone(), count).unwrap();
    let word = |at| row.value(at).map_or("-", |value| std::str::from_utf8(value).unwrap()).to_owned();
    (0..count).map(word).collect::<Vec<_>>().join(" ")
}

fn ascending(column: usize) -> SortKey {
    SortKey { column, descending: false, nulls_first: false }
}

/// Merges shards' rows, pushed only when needed; rows are separated by `,`.
fn merged(spec: &MergeSpec, columns: &[Column], shards: &[&str]) -> Result<String, Refusal> {
    let mut merger = Merger::new(spec, columns, shards.len(), CONTEXT)?;
    let mut sources: Vec<_> = shards
        .iter()
        .map(|rows| rows.split(',').filter(|row| !row.trim().is_empty()).map(row).collect::<Vec<_>>().into_iter())
        .collect();
    let mut out = Vec::new();
    loop {
        match merger.poll()? {
            Step::Need(shard) => match sources[shard].next() {
                Some(row) => merger.push(shard, row)?,
                None => merger.finish_shard(shard),
            },
            Step::Row(row) => out.push(words(&row)),
            Step::Done => return Ok(out.join(",")),
        }
    }
}

#[test]
fn rows_are_concatenated_with_offset_and_limit() {
    let spec = |offset, limit| MergeSpec { offset, limit, ..MergeSpec::default() };
    let shards = ["1,2", "", "3,4,5"];
    assert_eq!(merged(&spec(0, None), &[INT4], &shards).unwrap(), "1,2,3,4,5");
    assert_eq!(merged(&spec(1, Some(3)), &[INT4], &shards).unwrap(), "2,3,4");
    assert_eq!(merged(&spec(5, None), &[INT4], &shards).unwrap(), "");
    assert_eq!(merged(&spec(0, Some(0)), &[INT4], &shards).unwrap(), "");
}

#[test]
fn a_reached_limit_needs_no_shard() {
    let spec = MergeSpec { limit: Some(1), ..MergeSpec::default() };
    let mut merger = Merger::new(&spec, &[INT4], 2, CONTEXT).unwrap();
    assert_eq!(merger.poll(), Ok(Step::Need(0)));
    merger.push(1, row("7")).unwrap();
    assert_eq!(merger.poll(), Ok(Step::Row(row("7"))));
    assert_eq!(merger.poll(), Ok(Step::Done));
}

#[test]
fn ordered_rows_interleave_and_hidden_columns_vanish() {
    let spec = MergeSpec { order: vec![ascending(1)], hidden: 1, ..MergeSpec::default() };
    let shards = ["a 1,b 10,c -", "d 2,e 10", ""];
    assert_eq!(merged(&spec, &[TEXT, INT4], &shards).unwrap(), "a,d,b,e,c");
    let down = SortKey { column: 0, descending: true, nulls_first: true };
    let spec = MergeSpec { order: vec![down, ascending(1)], ..MergeSpec::default() };
    let shards = ["- 1,9 1,9 3", "- 0,9 2"];
    assert_eq!(merged(&spec, &[INT4, INT4], &shards).unwrap(), "- 0,- 1,9 1,9 2,9 3");
}

#[test]
fn rows_out_of_order_are_noticed() {
    let spec = MergeSpec { order: vec![ascending(0)], ..MergeSpec::default() };
    let refused = merged(&spec, &[INT4], &["1,3,2", "9"]).unwrap_err();
    assert_eq!(refused.state, SqlState::INTERNAL_ERROR);
}

#[test]
fn groups_fold_and_come_in_order() {
    use Combine::{GroupKey, Max, Min, Sum};
    let spec = MergeSpec {
        grouped: true,
        combines: vec![GroupKey, Sum, Min, Max],
        order: vec![SortKey { column: 1, descending: true, nulls_first: true }],
        ..MergeSpec::default()
    };
    let columns = [TEXT, INT8, INT4, INT4];
    let shards = ["a 1 5 5,b 2 - -", "b 3 10 9,a 1 - 7", "c - - -"];
    assert_eq!(merged(&spec, &columns, &shards).unwrap(), "c - - -,b 5 10 9,a 2 5 7");
    let limited = MergeSpec { offset: 1, limit: Some(1), ..spec };
    assert_eq!(merged(&limited, &columns, &shards).unwrap(), "b 5 10 9");
}

#[test]
fn equal_numerics_are_one_group() {
    let spec = MergeSpec { grouped: true, combines: vec![Combine::GroupKey, Combine::Sum], ..MergeSpec::default() };
    assert_eq!(merged(&spec, &[NUMERIC, INT8], &["1.0 1,0 1", "1.00 1,0.00 1"]).unwrap(), "1.0 2,0 2");
}

#[test]
fn booleans_join() {
    let column = Column { type_oid: 16, format: 0 };
    let spec = MergeSpec { grouped: true, combines: vec![Combine::And, Combine::Or], ..MergeSpec::default() };
    assert_eq!(merged(&spec, &[column; 2], &["t f", "- -", "t t"]).unwrap(), "t t");
    assert_eq!(merged(&spec, &[column; 2], &["t f", "f f"]).unwrap(), "f f");
    assert_eq!(merged(&spec, &[column; 2], &["- -"]).unwrap(), "- -");
}

#[test]
fn averages_divide_sums_by_counts() {
    let spec = MergeSpec {
        grouped: true,
        combines: vec![Combine::Sum, Combine::Sum],
        outputs: vec![Output::Average { sum: 0, count: 1 }],
        ..MergeSpec::default()
    };
    assert_eq!(merged(&spec, &[INT8, INT8], &["1 1", "4 2"]).unwrap(), "1.6666666666666667");
    assert_eq!(merged(&spec, &[INT8, INT8], &["- 0", "- 0"]).unwrap(), "-");
    let merger = Merger::new(&spec, &[INT8, INT8], 1, CONTEXT).unwrap();
    assert_eq!(merger.output_columns(), [OutputColumn { source: 0, type_oid: 1700 }]);
    let real = Column { type_oid: 700, format: 0 };
    assert_eq!(Merger::new(&spec, &[real, INT8], 1, CONTEXT).unwrap_err().state, SqlState::FEATURE_NOT_SUPPORTED);
}

#[test]
fn a_sum_overflows_as_in_postgres() {
    let spec = MergeSpec { grouped: true, combines: vec![Combine::Sum], ..MergeSpec::default() };
    assert_eq!(merged(&spec, &[INT8], &["9223372036854775806", "1"]).unwrap(), "9223372036854775807");
    let refused = merged(&spec, &[INT8], &["9223372036854775807", "1"]).unwrap_err();
    assert_eq!(
        (refused.state, refused.message.as_str()),
        (SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range")
    );
}

#[test]
fn groups_and_distinct_rows_are_bounded() {
    let grouped = MergeSpec { grouped: true, combines: vec![Combine::GroupKey], ..MergeSpec::default() };
    let distinct = MergeSpec { distinct: true, ..MergeSpec::default() };
    for spec in [grouped, distinct] {
        assert_eq!(merged(&spec, &[INT4], &["1,2,3", "3,2,1"]).unwrap(), "1,2,3");
        assert_eq!(merged(&spec, &[INT4], &["1,2,3,4"]).unwrap_err().state, SqlState::PROGRAM_LIMIT_EXCEEDED);
    }
}

#[test]
fn distinct_rows_in_order_need_no_memory() {
    let spec =
        MergeSpec { distinct: true, order: vec![ascending(0)], limit: Some(4), offset: 1, ..MergeSpec::default() };
    assert_eq!(merged(&spec, &[INT4], &["1,2,3,4,5,6", "1,1,2,5,6"]).unwrap(), "2,3,4,5");
}

#[test]
fn what_cannot_be_compared_exactly_is_refused() {
    let order = MergeSpec { order: vec![ascending(0)], ..MergeSpec::default() };
    let state =
        |column, context| Merger::new(&order, &[column], 2, context).map(|_| ()).map_err(|refused| refused.state);
    let refused = Err(SqlState::FEATURE_NOT_SUPPORTED);
    assert_eq!(state(TEXT, CONTEXT), Ok(()));
    assert_eq!(state(TEXT, MergeContext { text_is_bytewise: false, ..CONTEXT }), refused);
    let date = Column { type_oid: 1082, format: 0 };
    assert_eq!(state(date, CONTEXT), Ok(()));
    assert_eq!(state(date, MergeContext { iso_dates: false, ..CONTEXT }), refused);
    assert_eq!(state(Column { format: 1, ..date }, MergeContext { iso_dates: false, ..CONTEXT }), Ok(()));
    for type_oid in [1186, 114, 3802, 1007, 790, 16_500] {
        assert_eq!(state(Column { type_oid, format: 0 }, CONTEXT), refused, "oid {type_oid}");
    }
    let sum = MergeSpec { grouped: true, combines: vec![Combine::Sum], ..MergeSpec::default() };
    let interval = Column { type_oid: 1186, format: 0 };
    assert!(Merger::new(&sum, &[interval], 2, CONTEXT).is_err());
}

#[test]
fn text_is_grouped_under_deterministic_collations() {
    let spec = MergeSpec { grouped: true, combines: vec![Combine::GroupKey], ..MergeSpec::default() };
    assert!(Merger::new(&spec, &[TEXT], 2, MergeContext { text_is_bytewise: false, ..CONTEXT }).is_ok());
    let context = MergeContext { equal_text_is_same: false, ..CONTEXT };
    assert!(Merger::new(&spec, &[TEXT], 2, context).is_err(), "it may be of a collation that ignores case");
}

#[test]
fn malformed_rows_are_errors() {
    for bytes in [
        &b""[..],
        b"\0",
        b"\0\x01",
        b"\0\x01\0\0\0\x05abc",
        b"\0\x01\xff\xff\xff\xfe",
        b"\0\x02\0\0\0\0\0\0\0\0",
        b"\xff\xff",
        b"\0\x01\0\0\0\0x",
    ] {
        let mut merger = Merger::new(&MergeSpec::default(), &[INT4], 1, CONTEXT).unwrap();
        merger.push(0, Bytes::from_static(bytes)).unwrap();
        assert_eq!(merger.poll().unwrap_err().state, SqlState::PROTOCOL_VIOLATION, "{bytes:?}");
    }
}

#[test]
fn rows_after_the_end_are_errors() {
    let mut merger = Merger::new(&MergeSpec::default(), &[INT4], 1, CONTEXT).unwrap();
    assert!(merger.push(1, row("1")).is_err());
    merger.finish_shard(0);
    assert!(merger.push(0, row("1")).is_err());
    assert_eq!(merger.poll(), Ok(Step::Done));
}

fn scaled(value: i64, scale: usize) -> String {
    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale > 0 { "." } else { "" };
    format!("{}{whole}{point}{fraction}", if value < 0 { "-" } else { "" })
}

fn decimal(value: i64, scale: usize) -> Decimal {
    Decimal::from_text(scaled(value, scale).as_bytes()).unwrap()
}

proptest! {
    #[test]
    fn decimals_add_as_integers_do(a: i32, b: i32, scale in 0usize..9) {
        let sum = decimal(a.into(), scale).add(&decimal(b.into(), scale));
        prop_assert_eq!(String::from_utf8(sum.to_text()).unwrap(), scaled(i64::from(a) + i64::from(b), scale));
    }

    #[test]
    fn decimals_divide_as_integers_do(value: i64, count in 1u64..1 << 62) {
        let quotient = String::from_utf8(Decimal::from(value).divide_by_count(count).to_text()).unwrap();
        let (_, fraction) = quotient.split_once('.').unwrap_or((&quotient, ""));
        // Beyond 18 decimals the check would not fit into 128 bits.
        if fraction.len() <= 18 {
            let numerator = i128::from(value) * 10i128.pow(fraction.len() as u32);
            let twice = 2 * numerator.abs() + i128::from(count);
            let rounded = twice / (2 * i128::from(count)) * i128::from(value.signum());
            prop_assert_eq!(quotient.replace('.', "").parse::<i128>().unwrap(), rounded);
        }
    }

    #[test]
    fn decimals_survive_both_formats(value: i64, scale in 0usize..30) {
        let decimal = decimal(value, scale);
        prop_assert_eq!(Decimal::from_binary(&decimal.to_binary().unwrap()), Some(decimal.clone()));
        prop_assert_eq!(String::from_utf8(decimal.to_text()).unwrap(), scaled(value, scale));
    }

    #[test]
    fn numeric_keys_order_as_numbers(a: i32, b: i32, scales in (0u32..9, 0u32..9)) {
        let encoder = Encoder::new(NUMERIC, Purpose::Order, &CONTEXT).unwrap();
        let key = |value: i32, scale: u32| {
            let mut key = Vec::new();
            encoder.encode(scaled(value.into(), scale as usize).as_bytes(), &mut key).unwrap();
            key
        };
        let exact = |value: i32, scale: u32| i128::from(value) * 10i128.pow(9 - scale);
        prop_assert_eq!(key(a, scales.0).cmp(&key(b, scales.1)), exact(a, scales.0).cmp(&exact(b, scales.1)));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, format in 0i16..2) {
        for type_oid in [16, 17, 18, 20, 21, 23, 25, 26, 700, 701, 1042, 1082, 1083, 1114, 1184, 1700, 2950] {
            let encoder = Encoder::new(Column { type_oid, format }, Purpose::Order, &CONTEXT).unwrap();
            let _ = encoder.encode(&bytes, &mut Vec::new());
        }
    }
}
