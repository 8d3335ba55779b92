//! EXPLAIN and its options. What the options mean beyond those named here is the server's word.

use std::ops::Range;

use super::control::Control;
use super::cursor::Cursor;
use super::splice::splice;

/// How EXPLAIN writes a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExplainFormat {
    /// Lines, the default.
    Text,
    /// `FORMAT JSON`
    Json,
    /// `FORMAT YAML`
    Yaml,
    /// `FORMAT XML`
    Xml,
}

/// Reads what follows the word; `inner` says where the explained statement is.
pub(super) fn read(cursor: &mut Cursor<'_>, inner: impl Fn(&Cursor<'_>) -> Option<Range<usize>>) -> Option<Control> {
    let (mut route, mut format, mut analyze) = (false, ExplainFormat::Text, false);
    if cursor.mark("(") {
        loop {
            match cursor.name()?.as_str() {
                "route" => route = switched_on(cursor),
                "analyze" | "analyse" => analyze = switched_on(cursor),
                "format" => {
                    let value = cursor.next()?;
                    format = format_named(value.text(cursor.text));
                }
                _ => drop(switched_on(cursor)),
            }
            if cursor.mark(")") {
                break;
            }
            if !cursor.mark(",") {
                return None;
            }
        }
    } else {
        analyze = cursor.any_word(&["analyze", "analyse"]);
        cursor.word("verbose");
    }
    Some(Control::Explain { route, format, analyze, inner: inner(cursor)? })
}

/// Reads the name of a format; an unknown one is the server's to refuse.
fn format_named(value: &str) -> ExplainFormat {
    match value.trim_matches(['\'', '"']).to_ascii_lowercase().as_str() {
        "json" => ExplainFormat::Json,
        "yaml" => ExplainFormat::Yaml,
        "xml" => ExplainFormat::Xml,
        _ => ExplainFormat::Text,
    }
}

/// Reads an option's value: none means on.
fn switched_on(cursor: &mut Cursor<'_>) -> bool {
    let Some(token) = cursor.peek() else { return true };
    if token.is_mark(cursor.text, ",") || token.is_mark(cursor.text, ")") {
        return true;
    }
    cursor.next();
    let value = token.text(cursor.text).trim_matches('\'').to_ascii_lowercase();
    !matches!(value.as_str(), "off" | "false" | "0" | "no")
}

/// Returns the head of an EXPLAIN, what stands before its statement, with every format in it changed to JSON.
pub fn explain_as_json(head: &str) -> String {
    let mut cursor = Cursor::new(head);
    let mut edits = Vec::new();
    while let Some(token) = cursor.next() {
        if (token.is_mark(head, "(") || token.is_mark(head, ",")) && cursor.word("format") {
            edits.extend(cursor.next().map(|value| (value.start..value.end, "json".to_owned())));
        }
    }
    splice(head, &edits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::control;

    fn format(text: &str) -> ExplainFormat {
        let Some(Control::Explain { format, .. }) = control(text) else { panic!("{text}") };
        format
    }

    #[test]
    fn formats_are_read_quoted_and_not() {
        assert_eq!(format("explain select 1"), ExplainFormat::Text);
        assert_eq!(format("explain (format text, verbose) select 1"), ExplainFormat::Text);
        assert_eq!(format("explain (analyze, format 'JSON') select 1"), ExplainFormat::Json);
        assert_eq!(format("explain (format \"yaml\") select 1"), ExplainFormat::Yaml);
        assert_eq!(format("explain (costs off, format xml) select 1"), ExplainFormat::Xml);
    }

    #[test]
    fn the_format_of_a_head_becomes_json_and_nothing_else_does() {
        assert_eq!(explain_as_json("EXPLAIN (ANALYZE, FORMAT yaml) "), "EXPLAIN (ANALYZE, FORMAT json) ");
        assert_eq!(
            explain_as_json("/* format xml */ explain (format 'xml')"),
            "/* format xml */ explain (format json)"
        );
        assert_eq!(explain_as_json("EXPLAIN ANALYZE "), "EXPLAIN ANALYZE ");
    }
}
