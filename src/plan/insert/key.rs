//! A sharding key's value from a cell, typed as the column would coerce it. What only a server can evaluate is refused.

use crate::plan::catalog::Table;
use crate::plan::key::{binary_days, column_fits, misfit, time};
use crate::sql::insert::{Cell, CellValue};
use crate::types::{KeyType, KeyValue, Refusal, stored};

use super::make::IdValue;
use super::parameters::{Parameter, Parameters};
use super::refuse;
use super::slots::Layout;

/// The column that a value is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyColumn {
    /// The table, for messages.
    pub table: String,
    /// The column, for messages.
    pub name: String,
    /// Its type.
    pub key_type: KeyType,
    /// The `n` of `varchar(n)` and `timestamp(n)`.
    pub length: Option<usize>,
}

/// Values are read as the rules say; a column of another type would take another value, or call others equal.
pub(super) fn check_type(key: &KeyColumn, table: Option<&Table>) -> Result<(), Refusal> {
    let column = table.and_then(|table| table.column(&key.name));
    match column.filter(|column| !column_fits(key.key_type, column)) {
        Some(column) => Err(misfit(&key.table, column, key.key_type)),
        None => Ok(()),
    }
}

/// Returns the key's position among the columns.
pub(super) fn key_position(layout: &Layout, key: &KeyColumn) -> Result<usize, Refusal> {
    let columns = layout.columns.as_ref().ok_or_else(|| refuse::unnamed_columns(&key.table))?;
    columns.iter().position(|column| *column == key.name).ok_or_else(|| refuse::missing_key(&key.table, &key.name))
}

/// A value on its way to the column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Raw {
    /// A numeric constant as written.
    Number(String),
    /// A string constant or text value.
    Text(String),
    /// An integer.
    Int(i64),
    /// A uuid.
    Uuid([u8; 16]),
    /// A date or time of this type.
    Time(KeyType, i64),
}

/// Why there is no value.
enum Lack {
    Null,
    Default,
    Computed,
    Refused(Refusal),
}

impl KeyColumn {
    /// Returns the value that `cell` gives the column.
    ///
    /// # Errors
    /// 23502 for NULL and DEFAULT, 22P02 and 22003 as the server would, 0A000 for what is computed.
    pub fn value(&self, cell: &Cell, parameters: &Parameters<'_>) -> Result<KeyValue, Refusal> {
        self.value_or_null(cell, parameters)?.ok_or_else(|| refuse::null_key(&self.table, &self.name))
    }

    /// Returns the value that `cell` gives the column, `None` for NULL.
    ///
    /// # Errors
    /// As [`KeyColumn::value`] but for NULL.
    pub fn value_or_null(&self, cell: &Cell, parameters: &Parameters<'_>) -> Result<Option<KeyValue>, Refusal> {
        match self.evaluate(cell, parameters) {
            Ok(value) => Ok(Some(value)),
            Err(Lack::Null) => Ok(None),
            Err(Lack::Default) => Err(refuse::missing_key(&self.table, &self.name)),
            Err(Lack::Computed) => Err(refuse::computed_key(&self.table, &self.name)),
            Err(Lack::Refused(refusal)) => Err(refusal),
        }
    }

    /// Returns the value of a generated id in this column.
    ///
    /// # Errors
    /// 22003 if the id does not fit the column, 0A000 if it is of another kind.
    pub(super) fn generated(&self, id: &IdValue) -> Result<KeyValue, Refusal> {
        let raw = match id {
            IdValue::Bigint(id) => Raw::Int(*id),
            IdValue::Uuid(bytes) => Raw::Uuid(*bytes),
            IdValue::Text(text) => Raw::Text(text.clone()),
        };
        self.coerce(raw).map_err(|lack| match lack {
            Lack::Refused(refusal) => refusal,
            Lack::Null | Lack::Default | Lack::Computed => refuse::computed_key(&self.table, &self.name),
        })
    }

    fn evaluate(&self, cell: &Cell, parameters: &Parameters<'_>) -> Result<KeyValue, Lack> {
        let mut value = match &cell.value {
            CellValue::Number(number) => Raw::Number(number.clone()),
            CellValue::Text(text) => Raw::Text(text.clone()),
            CellValue::Parameter(index) => self.parameter(*index, &cell.casts, parameters)?,
            CellValue::Null => return Err(Lack::Null),
            CellValue::Default => return Err(Lack::Default),
            CellValue::NextId(_) | CellValue::Expression => return Err(Lack::Computed),
        };
        for cast in &cell.casts {
            value = convert(value, type_named(cast).ok_or(Lack::Computed)?)?;
        }
        self.coerce(value)
    }

    fn coerce(&self, value: Raw) -> Result<KeyValue, Lack> {
        match convert(value, self.key_type)? {
            Raw::Int(value) => Ok(KeyValue::Int(value)),
            Raw::Time(_, value) => Ok(stored(KeyValue::Int(value), self.key_type, self.length)),
            Raw::Uuid(bytes) => Ok(KeyValue::Uuid(bytes)),
            Raw::Text(text) => Ok(stored(KeyValue::Text(text), KeyType::Varchar, self.length)),
            Raw::Number(_) => Err(Lack::Computed),
        }
    }

    fn parameter(&self, index: usize, casts: &[String], parameters: &Parameters<'_>) -> Result<Raw, Lack> {
        let Some(parameter) = parameters.parameter(index) else { return Err(Lack::Computed) };
        let Some(bytes) = parameter.value else { return Err(Lack::Null) };
        let undeclared = match casts.first() {
            Some(cast) => type_named(cast).ok_or(Lack::Computed)?,
            None => self.key_type,
        };
        let declared = type_of_oid(parameter.type_oid, undeclared).ok_or(Lack::Computed)?;
        if parameter.binary { binary(bytes, &parameter, declared) } else { textual(bytes, &parameter, declared) }
    }
}

const NUMERIC: u32 = 1700;

/// Text written for a type: numeric stays a number, the others are read as the type.
fn textual(bytes: &[u8], parameter: &Parameter<'_>, declared: KeyType) -> Result<Raw, Lack> {
    let text = std::str::from_utf8(bytes).map_err(|_| Lack::Computed)?;
    if parameter.type_oid == NUMERIC {
        return Ok(Raw::Number(text.trim().to_owned()));
    }
    convert(Raw::Text(text.to_owned()), declared)
}

fn binary(bytes: &[u8], parameter: &Parameter<'_>, declared: KeyType) -> Result<Raw, Lack> {
    if parameter.type_oid == NUMERIC {
        return Err(Lack::Computed);
    }
    let bad = || Lack::Refused(refuse::bad_text(type_label(declared), "(binary)"));
    match declared {
        KeyType::Text | KeyType::Varchar => {
            String::from_utf8(bytes.to_vec()).map(Raw::Text).map_err(|_| Lack::Computed)
        }
        KeyType::Uuid => <[u8; 16]>::try_from(bytes).map(Raw::Uuid).map_err(|_| bad()),
        KeyType::SmallInt => {
            <[u8; 2]>::try_from(bytes).map(|b| Raw::Int(i16::from_be_bytes(b).into())).map_err(|_| bad())
        }
        KeyType::Int => <[u8; 4]>::try_from(bytes).map(|b| Raw::Int(i32::from_be_bytes(b).into())).map_err(|_| bad()),
        KeyType::BigInt => <[u8; 8]>::try_from(bytes).map(|b| Raw::Int(i64::from_be_bytes(b))).map_err(|_| bad()),
        KeyType::Date => <[u8; 4]>::try_from(bytes)
            .map(|b| Raw::Time(declared, binary_days(i32::from_be_bytes(b))))
            .map_err(|_| bad()),
        KeyType::Timestamp | KeyType::TimestampTz => {
            <[u8; 8]>::try_from(bytes).map(|b| Raw::Time(declared, i64::from_be_bytes(b))).map_err(|_| bad())
        }
    }
}

/// Types by oid (`pg_type.dat`); numeric is read as if it were the undeclared type.
fn type_of_oid(oid: u32, undeclared: KeyType) -> Option<KeyType> {
    match oid {
        0 | NUMERIC => Some(undeclared),
        20 => Some(KeyType::BigInt),
        21 => Some(KeyType::SmallInt),
        23 => Some(KeyType::Int),
        25 | 705 => Some(KeyType::Text),
        1043 => Some(KeyType::Varchar),
        2950 => Some(KeyType::Uuid),
        1082 => Some(KeyType::Date),
        1114 => Some(KeyType::Timestamp),
        1184 => Some(KeyType::TimestampTz),
        _ => None,
    }
}

/// Returns the key type that a cast names; `None` for others and for types with a modifier.
pub fn type_named(name: &str) -> Option<KeyType> {
    match name {
        "smallint" | "int2" => Some(KeyType::SmallInt),
        "int" | "integer" | "int4" => Some(KeyType::Int),
        "bigint" | "int8" => Some(KeyType::BigInt),
        "text" => Some(KeyType::Text),
        "varchar" | "character varying" => Some(KeyType::Varchar),
        "uuid" => Some(KeyType::Uuid),
        "date" => Some(KeyType::Date),
        "timestamp" | "timestamp without time zone" => Some(KeyType::Timestamp),
        "timestamptz" | "timestamp with time zone" => Some(KeyType::TimestampTz),
        _ => None,
    }
}

fn type_label(key_type: KeyType) -> &'static str {
    if key_type == KeyType::Int { "integer" } else { key_type.name() }
}

fn convert(value: Raw, to: KeyType) -> Result<Raw, Lack> {
    match to {
        KeyType::SmallInt | KeyType::Int | KeyType::BigInt => integer(value, to).map(Raw::Int),
        KeyType::Text | KeyType::Varchar => text(value).map(Raw::Text),
        KeyType::Uuid => match value {
            Raw::Uuid(bytes) => Ok(Raw::Uuid(bytes)),
            Raw::Text(text) => uuid(&text).map(Raw::Uuid).ok_or_else(|| Lack::Refused(refuse::bad_text("uuid", &text))),
            Raw::Int(_) | Raw::Number(_) | Raw::Time(..) => Err(Lack::Computed),
        },
        KeyType::Date | KeyType::Timestamp | KeyType::TimestampTz => match value {
            Raw::Time(of, value) if of == to => Ok(Raw::Time(of, value)),
            Raw::Text(text) => time(&text, to)
                .map(|value| Raw::Time(to, value))
                .ok_or_else(|| Lack::Refused(refuse::unclear_time(to.name(), &text))),
            Raw::Time(..) | Raw::Int(_) | Raw::Number(_) | Raw::Uuid(_) => Err(Lack::Computed),
        },
    }
}

fn integer(value: Raw, to: KeyType) -> Result<i64, Lack> {
    let label = type_label(to);
    let wide = match value {
        Raw::Int(value) => i128::from(value),
        Raw::Number(number) => rounded(&number).ok_or(Lack::Computed)?,
        Raw::Text(text) => parsed(&text).ok_or_else(|| Lack::Refused(refuse::bad_text(label, &text)))?,
        Raw::Uuid(_) | Raw::Time(..) => return Err(Lack::Computed),
    };
    let range = match to {
        KeyType::SmallInt => i128::from(i16::MIN)..=i128::from(i16::MAX),
        KeyType::Int => i128::from(i32::MIN)..=i128::from(i32::MAX),
        KeyType::BigInt
        | KeyType::Text
        | KeyType::Varchar
        | KeyType::Uuid
        | KeyType::Date
        | KeyType::Timestamp
        | KeyType::TimestampTz => i128::from(i64::MIN)..=i128::from(i64::MAX),
    };
    if range.contains(&wide) { Ok(wide as i64) } else { Err(Lack::Refused(refuse::out_of_range(label))) }
}

/// Decimal digits beyond this are out of range of every integer type anyway.
const DIGITS_MAX: usize = 38;

/// Reads an integer as the server's input functions do: spaces around, a sign, digits.
fn parsed(text: &str) -> Option<i128> {
    let trimmed = text.trim_matches(|c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c'));
    let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    let size = if significant.len() > DIGITS_MAX { i128::MAX } else { format!("0{significant}").parse().ok()? };
    Some(if trimmed.starts_with('-') { -size } else { size })
}

/// Rounds a plain decimal half away from zero, as numeric's assignment to an integer does; no exponents, no bases.
fn rounded(number: &str) -> Option<i128> {
    let Some((whole, fraction)) = number.split_once('.') else { return parsed(number) };
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let negative = whole.starts_with('-');
    let digits = whole.trim_start_matches('-');
    let size = parsed(if digits.is_empty() { "0" } else { digits })?;
    let up = fraction.as_bytes().first().is_some_and(|digit| *digit >= b'5');
    let size = size.saturating_add(i128::from(up));
    Some(if negative { -size } else { size })
}

fn text(value: Raw) -> Result<String, Lack> {
    match value {
        Raw::Text(text) => Ok(text),
        Raw::Int(value) => Ok(value.to_string()),
        Raw::Number(number) => match parsed(&number) {
            Some(value) if (i128::from(i64::MIN)..=i128::from(i64::MAX)).contains(&value) => Ok(value.to_string()),
            Some(_) | None => Err(Lack::Computed),
        },
        Raw::Uuid(bytes) => Ok(KeyValue::Uuid(bytes).to_string()),
        Raw::Time(..) => Err(Lack::Computed),
    }
}

/// Reads a uuid as the server does: 32 digits, hyphens after any group of four, braces around.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let inner = match text.strip_prefix('{') {
        Some(open) => open.strip_suffix('}')?,
        None => text,
    };
    let mut digits = Vec::with_capacity(32);
    for character in inner.chars() {
        if character == '-' {
            let between = !digits.is_empty() && digits.len() % 4 == 0 && digits.len() < 32;
            if !between {
                return None;
            }
        } else {
            digits.push(character.to_digit(16)? as u8);
        }
    }
    if digits.len() != 32 || inner.contains("--") {
        return None;
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SqlState;

    fn column(key_type: KeyType) -> KeyColumn {
        KeyColumn { table: "t".into(), name: "k".into(), key_type, length: None }
    }

    fn cell(text: &str) -> Cell {
        let facts = crate::sql::insert::read(&format!("insert into t values ({text})")).unwrap();
        let crate::sql::insert::Source::Values(rows) = facts.source else { panic!() };
        rows[0].cells[0].clone()
    }

    fn of(key_type: KeyType, text: &str) -> Result<KeyValue, SqlState> {
        column(key_type).value(&cell(text), &Parameters::default()).map_err(|refusal| refusal.state)
    }

    #[test]
    fn integers_are_read_as_the_column_would() {
        let good = [
            ("42", 42),
            ("'42'", 42),
            ("' -7 '", -7),
            ("- 7", -7),
            ("+7", 7),
            ("1.5", 2),
            ("-1.5", -2),
            ("1.49", 1),
            (".5", 1),
            ("42::int", 42),
            ("'42'::text::bigint", 42),
            ("bigint '42'", 42),
            ("cast(42 as int8)", 42),
            ("(42)", 42),
            ("((42))::bigint", 42),
            ("E'4\\x32'", 42),
            ("$$42$$", 42),
            ("9223372036854775807", i64::MAX),
            ("'-9223372036854775808'", i64::MIN),
            ("cast('9' as pg_catalog.int4)", 9),
            ("'4'\n'2'", 42),
        ];
        for (text, value) in good {
            assert_eq!(of(KeyType::BigInt, text), Ok(KeyValue::Int(value)), "{text}");
        }
        let bad = [
            ("9223372036854775808", SqlState::NUMERIC_VALUE_OUT_OF_RANGE),
            ("'99999999999999999999999999999999999999999999'", SqlState::NUMERIC_VALUE_OUT_OF_RANGE),
            ("40000::smallint", SqlState::NUMERIC_VALUE_OUT_OF_RANGE),
            ("'4 2'", SqlState::INVALID_TEXT_REPRESENTATION),
            ("''", SqlState::INVALID_TEXT_REPRESENTATION),
            ("null", SqlState::NOT_NULL_VIOLATION),
            ("null::bigint", SqlState::NOT_NULL_VIOLATION),
            ("default", SqlState::NOT_NULL_VIOLATION),
            ("1+1", SqlState::FEATURE_NOT_SUPPORTED),
            ("1e3", SqlState::FEATURE_NOT_SUPPORTED),
            ("'1'::numeric", SqlState::FEATURE_NOT_SUPPORTED),
            ("f(1)", SqlState::FEATURE_NOT_SUPPORTED),
            ("$1", SqlState::FEATURE_NOT_SUPPORTED),
        ];
        for (text, state) in bad {
            assert_eq!(of(KeyType::BigInt, text), Err(state), "{text}");
        }
    }

    #[test]
    fn the_edges_of_each_width_hold() {
        assert_eq!(of(KeyType::SmallInt, "32767"), Ok(KeyValue::Int(32767)));
        assert_eq!(of(KeyType::SmallInt, "32768"), Err(SqlState::NUMERIC_VALUE_OUT_OF_RANGE));
        assert_eq!(of(KeyType::Int, "-2147483648"), Ok(KeyValue::Int(-2147483648)));
        assert_eq!(of(KeyType::Int, "-2147483649"), Err(SqlState::NUMERIC_VALUE_OUT_OF_RANGE));
    }

    #[test]
    fn texts_and_uuids_are_read() {
        let text = |value: &str| Ok(KeyValue::Text(value.into()));
        assert_eq!(of(KeyType::Text, "'a''b'"), text("a'b"));
        assert_eq!(of(KeyType::Text, "E'a\\'b'"), text("a'b"));
        assert_eq!(of(KeyType::Text, "$q$a'b$q$"), text("a'b"));
        assert_eq!(of(KeyType::Varchar, "'é'::varchar"), text("é"));
        assert_eq!(of(KeyType::Text, "007"), text("7"));
        assert_eq!(of(KeyType::Text, "'abc'::varchar(2)"), Err(SqlState::FEATURE_NOT_SUPPORTED));
        assert_eq!(of(KeyType::Text, "1.50"), Err(SqlState::FEATURE_NOT_SUPPORTED));
        let uuid = "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11";
        for form in [uuid.to_owned(), uuid.replace('-', ""), format!("{{{uuid}}}"), uuid.to_lowercase()] {
            let Ok(KeyValue::Uuid(bytes)) = of(KeyType::Uuid, &format!("'{form}'")) else { panic!("{form}") };
            assert_eq!(bytes[..2], [0xa0, 0xee]);
        }
        assert_eq!(of(KeyType::Uuid, "'a0ee'"), Err(SqlState::INVALID_TEXT_REPRESENTATION));
        assert_eq!(of(KeyType::Uuid, "5"), Err(SqlState::FEATURE_NOT_SUPPORTED));
    }

    #[test]
    fn trailing_spaces_beyond_the_length_are_dropped() {
        let column = KeyColumn { length: Some(3), ..column(KeyType::Varchar) };
        let value = |text| column.value(&cell(text), &Parameters::default()).unwrap();
        assert_eq!(value("'ab   '"), KeyValue::Text("ab ".into()));
        assert_eq!(value("'abcd'"), KeyValue::Text("abcd".into()));
    }

    #[test]
    fn parameters_are_read_by_their_type_and_format() {
        let value = |cell_text: &str, bytes: Option<&[u8]>, binary, type_oid| {
            let (values, formats, types) = ([bytes], [i16::from(binary)], [type_oid]);
            let parameters = Parameters { is_extended: true, values: &values, formats: &formats, types: &types };
            column(KeyType::BigInt).value(&cell(cell_text), &parameters).map_err(|refusal| refusal.state)
        };
        assert_eq!(value("$1", Some(b"42"), false, 0), Ok(KeyValue::Int(42)));
        assert_eq!(value("$1", Some(&[0, 42]), true, 21), Ok(KeyValue::Int(42)));
        assert_eq!(value("$1", Some(&[0, 0, 0, 42]), true, 23), Ok(KeyValue::Int(42)));
        assert_eq!(value("$1", Some(&[0, 0, 0, 0, 0, 0, 0, 42]), true, 0), Ok(KeyValue::Int(42)));
        assert_eq!(value("$1::int", Some(&[0, 0, 0, 42]), true, 0), Ok(KeyValue::Int(42)));
        assert_eq!(value("$1", Some(b"41.5"), false, 1700), Ok(KeyValue::Int(42)));
        assert_eq!(value("$1", Some(&[0, 42]), true, 0), Err(SqlState::INVALID_TEXT_REPRESENTATION));
        assert_eq!(value("$1", Some(b"4x"), false, 20), Err(SqlState::INVALID_TEXT_REPRESENTATION));
        assert_eq!(value("$1", None, false, 20), Err(SqlState::NOT_NULL_VIOLATION));
        assert_eq!(value("$1", Some(b"42"), false, 701), Err(SqlState::FEATURE_NOT_SUPPORTED));
        assert_eq!(value("$2", Some(b"42"), false, 20), Err(SqlState::FEATURE_NOT_SUPPORTED));
    }
}
