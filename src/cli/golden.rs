//! Golden routing cases of the rule files, held against the planner.

use shardloom::plan::Plan;
use shardloom::plan::shard_names;
use shardloom::rules::{GoldenExpectation, GoldenTest, RuleSet};
use shardloom::types::Refusal;

use super::planning::{plan, reason};

/// Runs all cases; returns one `file:line:column: message` per case that fails.
pub fn failures(rules: &RuleSet) -> Vec<String> {
    rules.tests.iter().filter_map(|test| failure(rules, test)).collect()
}

fn failure(rules: &RuleSet, test: &GoldenTest) -> Option<String> {
    let outcome = plan(rules, &test.sql, &test.params).map(|plan| names(rules, &plan));
    mismatch(&test.expect, &outcome).map(|message| format!("{}: {message}", test.place))
}

fn names(rules: &RuleSet, plan: &Plan) -> Vec<String> {
    shard_names(plan, rules)
}

fn mismatch(expected: &GoldenExpectation, outcome: &Result<Vec<String>, Refusal>) -> Option<String> {
    match (expected, outcome) {
        (GoldenExpectation::ShardCount(count), Ok(shards)) => {
            (shards.len() != *count).then(|| format!("expected {count} shards, planned {}", list(shards)))
        }
        (GoldenExpectation::Shards(names), Ok(shards)) => {
            let same = names.len() == shards.len() && names.iter().all(|name| shards.contains(name));
            (!same).then(|| format!("expected {}, planned {}", list(names), list(shards)))
        }
        (GoldenExpectation::Error(word), Err(refusal)) => {
            let same = word == refusal.state.code() || Some(word.as_str()) == reason(refusal);
            (!same).then(|| format!("expected the error {word}, got: {refusal}"))
        }
        (GoldenExpectation::Error(word), Ok(shards)) => {
            Some(format!("expected the error {word}, planned {}", list(shards)))
        }
        (GoldenExpectation::ShardCount(_) | GoldenExpectation::Shards(_), Err(refusal)) => {
            Some(format!("refused: {refusal}"))
        }
    }
}

fn list(shards: &[String]) -> String {
    if shards.is_empty() { "no shard".to_owned() } else { format!("{} ({})", shards.len(), shards.join(", ")) }
}

#[cfg(test)]
mod tests {
    use shardloom::types::SqlState;

    use super::*;

    #[test]
    fn expectations_hold_and_fail() {
        let one = Ok(vec!["s0".to_owned()]);
        let refused = Err(Refusal::new(SqlState::FEATURE_NOT_SUPPORTED, "no"));
        let shards = |names: &[&str]| GoldenExpectation::Shards(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(mismatch(&GoldenExpectation::ShardCount(1), &one), None);
        assert!(mismatch(&GoldenExpectation::ShardCount(2), &one).is_some());
        assert_eq!(mismatch(&shards(&["s0"]), &one), None);
        assert!(mismatch(&shards(&["s1"]), &one).is_some());
        assert!(mismatch(&shards(&["s0", "s1"]), &one).is_some());
        assert_eq!(mismatch(&GoldenExpectation::Error("0A000".into()), &refused), None);
        assert!(mismatch(&GoldenExpectation::Error("42601".into()), &refused).is_some());
        assert!(mismatch(&GoldenExpectation::Error("0A000".into()), &one).is_some());
        assert!(mismatch(&GoldenExpectation::ShardCount(1), &refused).is_some());
    }
}
