//! A tree of values in PostgreSQL's structured formats of EXPLAIN.

use super::value::Value;
use crate::sql::ExplainFormat;

/// Returns the text of a list of queries; JSON unless another format is asked for.
pub(super) fn structured(queries: &Value, format: ExplainFormat) -> String {
    match format {
        ExplainFormat::Text | ExplainFormat::Json => serde_json::to_string_pretty(queries).unwrap_or_default(),
        ExplainFormat::Yaml => {
            let mut out = String::new();
            yaml(&mut out, queries, 0);
            out.trim_start_matches('\n').to_owned()
        }
        ExplainFormat::Xml => {
            let mut out = "<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n".to_owned();
            let items = if let Value::List(items) = queries { items.as_slice() } else { &[] };
            items.iter().for_each(|query| xml(&mut out, "Query", query, 1));
            out.push_str("</explain>");
            out
        }
    }
}

/// Writes a value behind its name or dash: a scalar on the same line, the rest on lines of their own.
fn yaml(out: &mut String, value: &Value, depth: usize) {
    let start = |out: &mut String| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    match value {
        Value::List(items) => {
            for item in items {
                start(out);
                out.push_str("- ");
                let mut inner = String::new();
                yaml(&mut inner, item, depth + 1);
                out.push_str(inner.trim_start());
            }
        }
        Value::Map(members) => {
            for (name, member) in members {
                start(out);
                out.push_str(name);
                out.push_str(": ");
                yaml(out, member, depth + 1);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&scalar(value)),
        // PostgreSQL quotes all texts in YAML as in JSON.
        Value::Text(text) => out.push_str(&serde_json::to_string(text).unwrap_or_default()),
    }
}

fn xml(out: &mut String, name: &str, value: &Value, depth: usize) {
    let tag: String = name.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '-' }).collect();
    let indent = "  ".repeat(depth);
    let nested = |out: &mut String, write: &dyn Fn(&mut String)| {
        out.push_str(&format!("{indent}<{tag}>\n"));
        write(out);
        out.push_str(&format!("{indent}</{tag}>\n"));
    };
    match value {
        Value::Map(members) => {
            nested(out, &|out| members.iter().for_each(|(name, member)| xml(out, name, member, depth + 1)));
        }
        Value::List(items) => {
            nested(out, &|out| items.iter().for_each(|item| xml(out, item_name(name), item, depth + 1)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {
            out.push_str(&format!("{indent}<{tag}>{}</{tag}>\n", escaped(&scalar(value))));
        }
    }
}

/// Returns what PostgreSQL calls one of a list.
fn item_name(list: &str) -> &str {
    match list {
        "Plans" => "Plan",
        "Triggers" => "Trigger",
        "Workers" => "Worker",
        _ => "Item",
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Null | Value::List(_) | Value::Map(_) => String::new(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#x0d;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str =
        r#"[{"Plan":{"Node Type":"Scan","Filter":"a < \"b\"","Plans":[{"Cost":1.5}],"Output":["x","y"]}}]"#;

    fn rendered(format: ExplainFormat) -> String {
        structured(&serde_json::from_str(PLAN).expect("it is JSON"), format)
    }

    #[test]
    fn yaml_reads_back_as_the_same() {
        let yaml = rendered(ExplainFormat::Yaml);
        assert!(yaml.starts_with("- Plan: \n    Node Type: \"Scan\"\n"), "{yaml}");
        let read: serde_json::Value = serde_saphyr::from_str(&yaml).expect("it is YAML");
        assert_eq!(read, serde_json::from_str::<serde_json::Value>(PLAN).expect("it is JSON"));
    }

    #[test]
    fn xml_has_postgresqls_names_and_escapes() {
        let xml = rendered(ExplainFormat::Xml);
        for part in [
            "<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n  <Query>\n    <Plan>\n",
            "<Node-Type>Scan</Node-Type>",
            "<Filter>a &lt; \"b\"</Filter>",
            "<Plans>\n        <Plan>\n          <Cost>1.5</Cost>",
            "<Output>\n        <Item>x</Item>",
            "  </Query>\n</explain>",
        ] {
            assert!(xml.contains(part), "{part} in {xml}");
        }
    }
}
