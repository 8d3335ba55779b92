use std::time::Duration;

use super::*;
use crate::types::Diagnostic;

/// Asserts that a file of `docs/schema` is what the code says; with `UPDATE_SCHEMAS` set it is written instead.
pub(crate) fn assert_published(name: &str, schema: &str) {
    let path = format!("{}/docs/schema/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, schema).expect("the schema is written");
    }
    let published = std::fs::read_to_string(&path).expect("the schema is published");
    assert!(published == schema, "docs/schema/{name} is not current: run the tests once with UPDATE_SCHEMAS=1");
}

fn found(text: &str) -> Vec<String> {
    let mut findings = Findings::new();
    read("f", text, &mut findings);
    findings.into_sorted(["f"]).iter().map(Diagnostic::to_string).collect()
}

fn documents(text: &str) -> Vec<Node> {
    let mut findings = Findings::new();
    let documents = read("f", text, &mut findings);
    assert!(findings.is_empty(), "{findings:?}");
    documents
}

#[test]
fn documents_keep_values_and_places() {
    let documents = documents("# first\na: {b: [1, \"2\"]}\n---\n\n---\nc: ~\n");
    assert_eq!(documents.len(), 2, "the empty document is left out");
    let list = documents[0].get("a").and_then(|a| a.get("b")).expect("it is there");
    assert_eq!((list.place.line, list.place.column), (2, 8));
    assert_eq!(list.items().iter().map(Node::integer).collect::<Vec<_>>(), [Some(1), None]);
    assert_eq!(list.items()[1].text(), Some("2"));
    assert_eq!((documents[1].get("c"), documents[1].entries().len()), (None, 1));
}

#[test]
fn columns_count_characters() {
    assert_eq!(found("{ключ: 1, ключ: 2}"), ["f:1:11: key \"ключ\" is written twice, first on line 1"]);
}

#[test]
fn sharing_tags_and_merging_are_refused() {
    let cases = [
        ("a: &x 1\nb: *x", 2),
        ("a: *x", 1),
        ("a: !!str 1", 1),
        ("[a]: 1", 1),
        ("{a: 1, b: 2, a: 3, b: 4}", 2),
        ("%YAML 1.2\n---\na: 1", 1),
    ];
    for (text, count) in cases {
        assert_eq!(found(text).len(), count, "{text}: {:?}", found(text));
    }
}

#[test]
fn broken_text_is_told_with_its_place() {
    for text in ["a: [1", "a: 'x", "a: b: c", "a: \"\\q\"", "{", "- a\nb: 1"] {
        let found = found(text);
        assert!(!found.is_empty() && found[0].starts_with("f:"), "{text}: {found:?}");
    }
}

#[test]
fn nesting_and_length_are_bounded() {
    assert!(!found(&"[".repeat(100_000)).is_empty());
    assert!(found(&format!("{}{}", "[".repeat(20), "]".repeat(20))).is_empty());
    assert!(found(&format!("#{}", "x".repeat(TEXT_BYTES_MAX - 1))).is_empty());
    assert!(found(&"x".repeat(TEXT_BYTES_MAX + 1))[0].contains("the most is"));
}

#[test]
fn time_spans_and_sizes_are_read_and_written() {
    let spans = [("200ms", 200), ("5s", 5_000), ("2min", 120_000), ("1h", 3_600_000), ("1d", 86_400_000)];
    for (text, milliseconds) in spans {
        assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        assert_eq!(duration_text(Duration::from_millis(milliseconds)), text);
    }
    let sizes = [("64MiB", 64 << 20), ("16KiB", 16 << 10), ("7B", 7), ("1GiB", 1 << 30), ("3GiB", 3 << 30)];
    for (text, bytes) in sizes {
        assert_eq!(size(text), Some(bytes), "{text}");
        assert_eq!(size_text(bytes), text);
    }
    assert_eq!((size("1000"), size_text(1000)), (Some(1000), "1000B".to_owned()));
    assert_eq!(
        (duration_text(Duration::ZERO), duration_text(Duration::from_millis(1500))),
        ("0ms".into(), "1500ms".into())
    );
    for wrong in ["", "5", "s", "5 s", "-5s", "5m", "1.5s", "99999999999999999999s", "999999999999999999h"] {
        assert_eq!(duration(wrong), None, "{wrong}");
    }
    for wrong in ["", "MiB", "1MB", "1mib", "-1", "1.5MiB", "99999999999999GiB"] {
        assert_eq!(size(wrong), None, "{wrong}");
    }
}

#[test]
fn a_word_that_is_nearly_right_is_suggested() {
    assert_eq!(nearest("tabels", ["tables", "tests"]), Some("tables"));
    assert_eq!(nearest("Orders", ["orders"]), Some("orders"));
    assert_eq!(nearest("zebra", ["tables", "tests"]), None);
    assert_eq!(nearest("x", []), None);
}

#[test]
fn a_schema_says_what_a_record_needs() {
    const RECORD: Record = Record {
        what: "a thing",
        fields: &[
            Field::required("name", Shape::Name, "Its name."),
            Field::optional("size", Shape::Size { min: 0, max: 9 }, "Its size."),
            Field::later("colour", "Its colour."),
        ],
    };
    let schema = json_schema(&Shape::Record(&RECORD));
    assert_eq!(schema["required"], serde_json::json!(["name"]));
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["name"]["description"], "Its name.");
    assert!(schema["properties"].get("colour").is_none());
}
