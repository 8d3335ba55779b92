//! Holds a tree against its shape and reports every difference.

use super::node::{NameFault, name_fault};
use super::units::{duration_text, size_text};
use super::{Findings, Need, Node, Place, Record, Shape, Value};

/// Reports where `node` differs from `shape`; values that differ must not be used afterwards.
pub fn check(node: &Node, shape: &Shape, findings: &mut Findings) {
    match shape {
        Shape::Name => check_name(node, findings),
        Shape::Text => expect(node.text().is_some(), node, "a text", findings),
        Shape::Integer { min, max } => check_integer(node, *min..=*max, findings),
        Shape::Boolean => expect(node.boolean().is_some(), node, "true or false", findings),
        Shape::Duration { min, max } => {
            let held = node.duration().is_some_and(|span| (*min..=*max).contains(&span));
            let expected = || format!("a time span from {} to {}", duration_text(*min), duration_text(*max));
            expect(held, node, &expected(), findings);
        }
        Shape::Size { min, max } => {
            let held = node.size().is_some_and(|bytes| (*min..=*max).contains(&bytes));
            expect(held, node, &format!("a size from {} to {}", size_text(*min), size_text(*max)), findings);
        }
        Shape::Choice { words, later } => check_choice(node, words, later, findings),
        Shape::Format(format) => {
            let held = node.text().is_some_and(format.holds);
            expect(held, node, format.expected, findings);
        }
        Shape::List(items) => check_list(node, items, findings),
        Shape::Map(values) => check_map(node, values, findings),
        Shape::Record(record) => check_record(node, record, findings),
        Shape::ListOr { items, other } => match node.value {
            Value::List(_) => check_list(node, items, findings),
            Value::Null | Value::Scalar { .. } | Value::Map(_) => check(node, other, findings),
        },
        Shape::Nullable(value) => {
            if node.value != Value::Null {
                check(node, value, findings);
            }
        }
    }
}

fn expect(held: bool, node: &Node, expected: &str, findings: &mut Findings) {
    if !held {
        findings.report(&node.place, format!("expected {expected}, found {}", node.found()));
    }
}

fn check_name(node: &Node, findings: &mut Findings) {
    match node.text() {
        Some(text) => check_word(text, node.plain().is_some(), &node.place, findings),
        None => expect(false, node, "a name", findings),
    }
}

/// Holds a name or the key of a map to the rules for names.
fn check_word(text: &str, plain: bool, place: &Place, findings: &mut Findings) {
    match name_fault(text, plain) {
        Some(NameFault::Empty) => findings.report(place, format!("expected a name, found {text:?}")),
        Some(NameFault::Boolean) => report_unquoted(text, "a boolean", place, findings),
        Some(NameFault::Number) => report_unquoted(text, "a number", place, findings),
        None => {}
    }
}

fn report_unquoted(text: &str, kind: &str, place: &Place, findings: &mut Findings) {
    findings.report(place, format!("expected a name, found {text}, which YAML may read as {kind}: quote it"));
}

fn check_integer(node: &Node, range: std::ops::RangeInclusive<u64>, findings: &mut Findings) {
    let held = node.integer().is_some_and(|number| range.contains(&number));
    expect(held, node, &format!("a whole number from {} to {}", range.start(), range.end()), findings);
}

fn check_choice(node: &Node, words: &[&'static str], later: &[&'static str], findings: &mut Findings) {
    let expected = words.join(" | ");
    let Some(word) = node.text() else { return expect(false, node, &expected, findings) };
    if later.contains(&word) {
        let message = format!("{word:?} is not available yet, only {expected}");
        findings.report(&node.place, message);
    } else if !words.contains(&word) {
        let message = format!("expected {expected}, found {word:?}");
        findings.report_word(&node.place, message, word, words.iter().copied());
    }
}

fn check_list(node: &Node, items: &Shape, findings: &mut Findings) {
    match node.value {
        Value::List(_) => node.items().iter().for_each(|item| check(item, items, findings)),
        Value::Null | Value::Scalar { .. } | Value::Map(_) => expect(false, node, "a list", findings),
    }
}

fn check_map(node: &Node, values: &Shape, findings: &mut Findings) {
    let Value::Map(entries) = &node.value else { return expect(false, node, "a mapping", findings) };
    for entry in entries {
        check_word(&entry.key, entry.plain, &entry.place, findings);
        check(&entry.node, values, findings);
    }
}

fn check_record(node: &Node, record: &Record, findings: &mut Findings) {
    let Value::Map(entries) = &node.value else {
        return expect(false, node, &format!("{} (a mapping)", record.what), findings);
    };
    for entry in entries {
        match record.fields.iter().find(|field| field.key == entry.key) {
            Some(field) if field.need == Need::Later => {
                findings.report(&entry.place, format!("{:?} is not available yet", entry.key));
            }
            // A key without a value says nothing, as if it were not there.
            Some(field) if entry.node.value == Value::Null && field.need == Need::Optional => {}
            Some(field) => check(&entry.node, &field.shape, findings),
            None => report_unknown(&entry.key, &entry.place, record, findings),
        }
    }
    let missing = record.fields.iter().filter(|field| field.need == Need::Required);
    for field in missing.filter(|field| !entries.iter().any(|entry| entry.key == field.key)) {
        findings.report(&node.place, format!("{} needs the key {:?}", record.what, field.key));
    }
}

fn report_unknown(key: &str, place: &Place, record: &Record, findings: &mut Findings) {
    let known = record.fields.iter().map(|field| field.key).collect::<Vec<_>>();
    let message = format!("unknown key {key:?} in {}, known are {}", record.what, known.join(", "));
    findings.report_word(place, message, key, known.iter().copied());
}
