//! `--version`, alone or as JSON.

use shardloom::admin::views;

use super::failure::Failure;
use super::output;

/// Prints the version.
pub fn run(as_json: bool) -> Result<(), Failure> {
    let facts = views::version();
    if as_json {
        output::json(&serde_json::to_value(facts).map_err(|error| Failure::Problem(error.to_string()))?);
    } else {
        output::line(format!("shardloom {}", facts.version));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_find_the_four_fields() {
        let facts = serde_json::to_value(views::version()).unwrap();
        for field in ["version", "commit", "features", "transports"] {
            assert!(facts.get(field).is_some(), "{field}");
        }
    }
}
