//! A shape as a JSON Schema (draft 2020-12), for editors.

use serde_json::{Map, Value, json};

use super::{Field, Need, Record, Shape};

/// Returns the JSON Schema of `shape`, without `$schema` and title.
pub fn json_schema(shape: &Shape) -> Value {
    match shape {
        Shape::Name => json!({"type": "string", "minLength": 1}),
        Shape::Text => json!({"type": ["string", "number", "boolean"]}),
        Shape::Integer { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Shape::Boolean => json!({"type": "boolean"}),
        Shape::Duration { .. } => json!({"type": "string", "pattern": "^[0-9]+(ms|s|min|h|d)$"}),
        Shape::Size { .. } => json!({"type": ["string", "integer"], "pattern": "^[0-9]+(B|KiB|MiB|GiB)?$"}),
        Shape::Choice { words, .. } => json!({"enum": words}),
        Shape::Format(format) => {
            let kind = if format.bare_number { json!(["string", "integer"]) } else { json!("string") };
            json!({"type": kind, "pattern": format.pattern, "description": format.expected})
        }
        Shape::List(items) => json!({"type": "array", "items": json_schema(items)}),
        Shape::Map(values) => json!({"type": "object", "additionalProperties": json_schema(values)}),
        Shape::Record(record) => record_schema(record),
        Shape::ListOr { items, other } => {
            json!({"anyOf": [{"type": "array", "items": json_schema(items)}, json_schema(other)]})
        }
        Shape::Nullable(value) => json!({"anyOf": [json_schema(value), {"type": "null"}]}),
    }
}

fn record_schema(record: &Record) -> Value {
    let usable = || record.fields.iter().filter(|field| field.need != Need::Later);
    let properties = usable().map(|field| (field.key.to_owned(), field_schema(field))).collect::<Map<_, _>>();
    let required = usable().filter(|field| field.need == Need::Required).map(|field| field.key).collect::<Vec<_>>();
    let mut schema = json!({"type": "object", "additionalProperties": false, "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn field_schema(field: &Field) -> Value {
    let mut schema = json_schema(&field.shape);
    schema["description"] = json!(field.about);
    schema
}
