//! `route`: where a statement would go, from the rules alone.

use serde_json::{Value, json};
use shardloom::plan::route_json;
use shardloom::server::load_rules;

use super::arguments::RouteArguments;
use super::failure::Failure;
use super::output;
use super::planning::{plan, source};

/// Prints the plan; a refusal is printed too and makes exit code 1.
pub fn run(arguments: &RouteArguments, as_json: bool) -> Result<(), Failure> {
    let rules = load_rules(&source(&arguments.rules, arguments.shards)).map_err(Failure::refused)?;
    let parameters: Vec<Option<String>> = arguments.params.iter().map(|text| parameter(text)).collect();
    match plan(&rules, &arguments.sql, &parameters) {
        Ok(plan) => {
            print(&route_json(&plan, &rules, &arguments.sql), as_json);
            Ok(())
        }
        Err(refusal) if as_json => {
            let (state, hint) = (refusal.state.code(), refusal.hint);
            output::json(&json!({"error": {"sqlstate": state, "message": refusal.message, "hint": hint}}));
            Err(Failure::Printed)
        }
        Err(refusal) => {
            let hint = refusal.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            Err(Failure::Problem(format!("refused: {refusal}{hint}")))
        }
    }
}

fn parameter(text: &str) -> Option<String> {
    (text != "NULL").then(|| text.to_owned())
}

fn print(view: &Value, as_json: bool) {
    if as_json {
        return output::json(view);
    }
    output::line(format!("{} on {}", output::cell(&view["kind"]), output::cell(&view["shards"])));
    for statement in view["statements"].as_array().into_iter().flatten() {
        output::line(format!("{}: {}", output::cell(&statement["shard"]), output::cell(&statement["sql"])));
        if let Some(parameters) = statement["parameters"].as_array().filter(|list| !list.is_empty()) {
            output::line(format!("    parameters: {}", output::cell(&json!(parameters))));
        }
    }
    for step in view["merge"].as_array().into_iter().flatten() {
        output::line(format!("merge: {}", output::cell(step)));
    }
    if let Some(write) = view["write"].as_object() {
        output::line(format!(
            "write: {}, over several shards {}",
            output::cell(&write["tables"]),
            output::cell(&write["mode"])
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_null_in_capitals_is_null() {
        assert_eq!(parameter("NULL"), None);
        assert_eq!(parameter("null"), Some("null".into()));
        assert_eq!(parameter(""), Some(String::new()));
    }
}
