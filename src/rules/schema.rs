//! The JSON Schema of rule files, published as `docs/schema/shard-rules.schema.json`.

use serde_json::json;

use super::shapes::KINDS;
use crate::yaml::{self, Shape};

/// Returns the JSON Schema of one document of a rule file, made from the shapes that check it.
pub fn json_schema() -> String {
    let kinds = KINDS.iter().map(|(_, record)| yaml::json_schema(&Shape::Record(record))).collect::<Vec<_>>();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Shardloom rule files (shard-rules/*.yaml)",
        "oneOf": kinds,
    });
    format!("{schema:#}\n")
}
