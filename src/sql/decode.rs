//! The values of string constants, as PostgreSQL's scanner makes them.

use std::borrow::Cow;

use super::scan::continuation;

/// `'…'`, `N'…'`
pub(super) fn plain(written: &str) -> Option<Cow<'_, str>> {
    let body = body(written, &['n', 'N'])?;
    if !body.contains('\'') {
        return Some(Cow::Borrowed(body));
    }
    let mut value = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find('\'') {
        value.push_str(&rest[..at]);
        rest = after_quote(rest, at, &mut value)?;
    }
    value.push_str(rest);
    Some(Cow::Owned(value))
}

/// `$tag$…$tag$`
pub(super) fn dollar(written: &str) -> Option<Cow<'_, str>> {
    let tag = written.get(1..)?.find('$')? + 2;
    written.get(tag..written.len().checked_sub(tag)?).map(Cow::Borrowed)
}

/// `E'…'`: backslash escapes make bytes, which together must be UTF-8.
pub(super) fn escaped(written: &str) -> Option<Cow<'_, str>> {
    let body = body(written, &['e', 'E'])?;
    if !body.contains(['\'', '\\']) {
        return Some(Cow::Borrowed(body));
    }
    let mut value: Vec<u8> = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find(['\'', '\\']) {
        value.extend_from_slice(&rest.as_bytes()[..at]);
        rest = match rest.as_bytes()[at] {
            b'\\' => escape(&rest[at + 1..], &mut value)?,
            _ => {
                let mut quote = String::new();
                let next = after_quote(rest, at, &mut quote)?;
                value.extend_from_slice(quote.as_bytes());
                next
            }
        };
    }
    value.extend_from_slice(rest.as_bytes());
    String::from_utf8(value).ok().filter(|value| !value.contains('\0')).map(Cow::Owned)
}

/// `U&'…'` with the default escape character; a UESCAPE clause stands outside of the token and is not known here,
/// so that any other backslash use than `\XXXX`, `\+XXXXXX` and `\\` is unreadable.
pub(super) fn unicode(written: &str) -> Option<Cow<'_, str>> {
    let quoted = plain(written.get(2..)?)?.into_owned();
    let mut value = String::with_capacity(quoted.len());
    let mut rest = quoted.as_str();
    while let Some(at) = rest.find('\\') {
        value.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let (character, length) = match escape.as_bytes().first()? {
            b'\\' => ('\\', 1),
            b'+' => (code_point(escape.get(1..7)?)?, 7),
            _ => (code_point(escape.get(0..4)?)?, 4),
        };
        value.push(character);
        rest = &escape[length..];
    }
    value.push_str(rest);
    Some(Cow::Owned(value))
}

/// Returns what stands between the first and the last quote.
fn body<'a>(written: &'a str, prefix: &[char]) -> Option<&'a str> {
    written.strip_prefix(prefix).unwrap_or(written).strip_prefix('\'')?.strip_suffix('\'')
}

/// Reads the quote at `at`: a doubled one is a quote, a single one ends a part that goes on after a newline.
fn after_quote<'a>(rest: &'a str, at: usize, value: &mut String) -> Option<&'a str> {
    if rest.as_bytes().get(at + 1) == Some(&b'\'') {
        value.push('\'');
        return rest.get(at + 2..);
    }
    rest.get(continuation(rest.as_bytes(), at + 1)? + 1..)
}

fn escape<'a>(rest: &'a str, value: &mut Vec<u8>) -> Option<&'a str> {
    let first = rest.chars().next()?;
    let (written, length) = match first {
        'b' => (8, 1),
        'f' => (12, 1),
        'n' => (10, 1),
        'r' => (13, 1),
        't' => (9, 1),
        'v' => (11, 1),
        '0'..='7' => number(rest, 8, 3)?,
        'x' if rest.as_bytes().get(1).is_some_and(u8::is_ascii_hexdigit) => {
            let (byte, length) = number(&rest[1..], 16, 2)?;
            (byte, length + 1)
        }
        'u' => return wide(rest, 4, value),
        'U' => return wide(rest, 8, value),
        other => {
            value.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
            return rest.get(other.len_utf8()..);
        }
    };
    value.push(written);
    rest.get(length..)
}

fn wide<'a>(rest: &'a str, digits: usize, value: &mut Vec<u8>) -> Option<&'a str> {
    let character = code_point(rest.get(1..1 + digits)?)?;
    value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    rest.get(1 + digits..)
}

fn code_point(digits: &str) -> Option<char> {
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok().and_then(char::from_u32).filter(|character| *character != '\0')
}

/// Reads up to `most` digits; PostgreSQL keeps the low byte of `\777`.
fn number(rest: &str, radix: u32, most: usize) -> Option<(u8, usize)> {
    let length = rest.chars().take(most).take_while(|character| character.is_digit(radix)).count();
    u32::from_str_radix(rest.get(..length)?, radix).ok().map(|number| ((number & 0xff) as u8, length))
}
