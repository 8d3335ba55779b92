//! What a column with a type modifier makes of a value: `varchar(3)`, `timestamp(0)`.

use super::{KeyType, KeyValue};

/// Decimals of a second that timestamps have at most.
const FRACTION_DIGITS: usize = 6;

/// The first oid that is not PostgreSQL's own: the same on every server below it, each server's own from here on.
pub const USER_TYPES: u32 = 16_384;

/// Returns the number in the parentheses of a type's name, such as the 3 of `timestamp(3) without time zone`.
pub fn type_modifier(type_name: &str) -> Option<usize> {
    type_name.split_once('(')?.1.split_once(')')?.0.parse().ok()
}

/// Returns the value as a column of this type and modifier keeps it: `varchar(n)` drops spaces beyond its length,
/// `timestamp(p)` rounds to its decimals, half away from zero. Anything else that does not fit is the server's error.
pub fn stored(value: KeyValue, key_type: KeyType, modifier: Option<usize>) -> KeyValue {
    match (value, key_type, modifier) {
        // The rules may say text of a column that is varchar(n).
        (KeyValue::Text(text), KeyType::Text | KeyType::Varchar, Some(length)) => KeyValue::Text(cut(text, length)),
        (KeyValue::Int(micros), KeyType::Timestamp | KeyType::TimestampTz, Some(digits)) => {
            KeyValue::Int(rounded(micros, digits))
        }
        (value, _, _) => value,
    }
}

fn cut(text: String, length: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(length) else { return text };
    if text[end..].bytes().all(|byte| byte == b' ') { text[..end].to_owned() } else { text }
}

fn rounded(micros: i64, digits: usize) -> i64 {
    if digits >= FRACTION_DIGITS || micros == i64::MAX || micros == i64::MIN {
        return micros;
    }
    let unit = 10_i64.pow((FRACTION_DIGITS - digits) as u32);
    let size = micros.saturating_abs().saturating_add(unit / 2) / unit * unit;
    if micros < 0 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modifiers_are_read_from_names() {
        assert_eq!(type_modifier("character varying(10)"), Some(10));
        assert_eq!(type_modifier("timestamp(0) with time zone"), Some(0));
        for name in ["text", "numeric(10,2)", "timestamp without time zone"] {
            assert_eq!(type_modifier(name), None, "{name}");
        }
    }

    #[test]
    fn timestamps_round_half_away_from_zero() {
        let cases = [(499_999, 0), (500_000, 1_000_000), (-499_999, 0), (-500_000, -1_000_000), (i64::MAX, i64::MAX)];
        for (micros, expected) in cases {
            let value = stored(KeyValue::Int(micros), KeyType::Timestamp, Some(0));
            assert_eq!(value, KeyValue::Int(expected), "{micros}");
        }
        assert_eq!(stored(KeyValue::Int(1_234_567), KeyType::TimestampTz, Some(3)), KeyValue::Int(1_235_000));
        assert_eq!(stored(KeyValue::Int(1_234_567), KeyType::TimestampTz, Some(6)), KeyValue::Int(1_234_567));
        assert_eq!(stored(KeyValue::Int(1_234_567), KeyType::BigInt, Some(0)), KeyValue::Int(1_234_567));
    }

    #[test]
    fn texts_lose_spaces_beyond_their_length() {
        let cases = [("abc  ", "abc"), ("éé   ", "éé "), ("abcd", "abcd"), ("ab", "ab")];
        for (text, expected) in cases {
            let value = stored(KeyValue::Text(text.to_owned()), KeyType::Varchar, Some(3));
            assert_eq!(value, KeyValue::Text(expected.to_owned()), "{text}");
        }
    }
}
