//! Literals for SQL that is sent over a client's connection: right in any `search_path`, with
//! `standard_conforming_strings` on or off, and in any `client_encoding`, because they are ASCII only.

use std::fmt::Write;

/// Returns `text` as an `E''` literal of ASCII characters. NUL, which PostgreSQL cannot store, is left out.
pub(super) fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    out.push_str("E'");
    for character in text.chars() {
        match character {
            '\0' => {}
            '\'' => out.push_str("''"),
            '\\' => out.push_str("\\\\"),
            c if c.is_ascii() => out.push(c),
            c if u32::from(c) < 0x1_0000 => write!(out, "\\u{:04X}", u32::from(c)).expect("a String takes all"),
            c => write!(out, "\\U{:08X}", u32::from(c)).expect("a String takes all"),
        }
    }
    out.push('\'');
    out
}

/// Returns the text of an array of texts, as a parameter brings it.
pub(super) fn array_text<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let quoted = |item: &str| format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\""));
    let items: Vec<String> = items.into_iter().map(quoted).collect();
    format!("{{{}}}", items.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_stay_data() {
        assert_eq!(literal(r"a'b\'c"), r"E'a''b\\''c'");
    }

    #[test]
    fn every_character_becomes_ascii() {
        assert_eq!(literal("ü😀"), r"E'\u00FC\U0001F600'");
    }

    #[test]
    fn elements_of_an_array_are_quoted() {
        assert_eq!(array_text(["s1", r#"a"b\c"#]), r#"{"s1","a\"b\\c"}"#);
        assert_eq!(array_text([]), "{}");
    }
}
