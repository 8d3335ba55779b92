//! A key's value as a rule file writes it.

use crate::types::moment::{date_days, timestamp_micros, timestamptz_micros};
use crate::types::{KeyType, KeyValue};
use crate::yaml::{Findings, Node};

/// Reads a value of this type; what is none is reported.
pub(super) fn value(node: &Node, key_type: KeyType, findings: &mut Findings) -> Option<KeyValue> {
    let text = node.text()?;
    let is_text = matches!(key_type, KeyType::Text | KeyType::Varchar);
    if is_text && node.plain().is_some() && node.name().is_none() {
        let message = format!("expected a text, found {text}, which YAML may read as something else: quote it");
        findings.report(&node.place, message);
        return None;
    }
    let value = typed(text, key_type);
    if value.is_none() {
        let form = form(key_type);
        let message = format!("expected a value of type {}{form}, found {text:?}", key_type.name());
        findings.report(&node.place, message);
    }
    value
}

/// Says how a value is written where that is not plain.
fn form(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::Date => " such as 2026-01-31",
        KeyType::Timestamp => " such as 2026-01-31 08:00:00",
        KeyType::TimestampTz => " such as 2026-01-31 08:00:00+00",
        KeyType::SmallInt | KeyType::Int | KeyType::BigInt | KeyType::Text | KeyType::Varchar | KeyType::Uuid => "",
    }
}

fn typed(text: &str, key_type: KeyType) -> Option<KeyValue> {
    match key_type {
        KeyType::SmallInt => text.parse::<i16>().ok().map(|number| KeyValue::Int(number.into())),
        KeyType::Int => text.parse::<i32>().ok().map(|number| KeyValue::Int(number.into())),
        KeyType::BigInt => text.parse::<i64>().ok().map(KeyValue::Int),
        KeyType::Text | KeyType::Varchar => Some(KeyValue::Text(text.to_owned())),
        KeyType::Uuid => uuid(text).map(KeyValue::Uuid),
        KeyType::Date => date_days(text).map(KeyValue::Int),
        KeyType::Timestamp => timestamp_micros(text).map(KeyValue::Int),
        KeyType::TimestampTz => timestamptz_micros(text).map(KeyValue::Int),
    }
}

/// Reads a uuid in its usual form, `a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11`.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let widths = text.split('-').map(str::len);
    let digits = text.replace('-', "");
    let formed = widths.eq([8, 4, 4, 4, 12]) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    formed.then(|| u128::from_str_radix(&digits, 16).ok()).flatten().map(u128::to_be_bytes)
}
