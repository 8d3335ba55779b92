//! What the shards said of their parts, as one tree.

use super::value::Value;

/// What is known of a statement over several shards.
#[derive(Debug)]
pub(super) struct Tree {
    /// What the proxy does: `Shardloom Scatter`.
    pub(super) node: &'static str,
    /// What is to be said of that, a name and a text each.
    pub(super) facts: Vec<(&'static str, String)>,
    /// The shards' parts.
    pub(super) parts: Vec<PartPlan>,
}

/// What one shard does.
#[derive(Debug)]
pub(super) struct PartPlan {
    /// What it is: `Shard` or, for rows that come to home, `Fetch`.
    pub(super) node: &'static str,
    /// The shard's name.
    pub(super) shard: String,
    /// The tables of the rules that it reads or writes there.
    pub(super) tables: Vec<String>,
    /// Its plan: one text in a structured format, else the lines; empty where it is not known.
    pub(super) lines: Vec<String>,
    /// Why there is no plan.
    pub(super) note: Option<&'static str>,
}

/// Members of a JSON object, in their order.
type Members = Vec<(String, Value)>;

/// A plan that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable(pub(super) String);

impl Tree {
    /// Returns the tree as PostgreSQL's JSON of one plan is built.
    pub(super) fn value(&self) -> Result<Value, Unreadable> {
        let parts = self.parts.iter().map(PartPlan::value).collect::<Result<Vec<_>, _>>()?;
        let mut node = vec![("Node Type".to_owned(), Value::text(self.node)), flag("Parallel Aware")];
        node.extend(self.facts.iter().map(|(name, text)| ((*name).to_owned(), Value::text(text))));
        let all = |name: &str| parts.iter().filter_map(|part| part.get(name)?.number()).collect::<Vec<_>>();
        let totals = [
            ("Startup Cost", all("Startup Cost").into_iter().reduce(f64::max)),
            ("Total Cost", all("Total Cost").into_iter().reduce(|sum, cost| sum + cost)),
        ];
        node.extend(totals.iter().filter_map(|(name, total)| Some(((*name).to_owned(), Value::float((*total)?)))));
        for (name, take) in [("Plan Rows", sum as fn(u64, u64) -> u64), ("Plan Width", u64::max)] {
            let total = all(name).into_iter().map(|count| count as u64).reduce(take);
            node.extend(total.map(|total| (name.to_owned(), Value::count(total))));
        }
        let longest = |name: &str| {
            let time = all(name).into_iter().reduce(f64::max)?;
            Some((name.to_owned(), Value::float(time)))
        };
        let times = ["Planning Time", "Execution Time"].map(longest);
        node.push(("Plans".to_owned(), Value::List(parts)));
        let mut query = vec![("Plan".to_owned(), Value::Map(node))];
        query.extend(times.into_iter().flatten());
        Ok(Value::List(vec![Value::Map(query)]))
    }
}

fn sum(one: u64, other: u64) -> u64 {
    one.saturating_add(other)
}

impl PartPlan {
    fn value(&self) -> Result<Value, Unreadable> {
        let mut node = vec![
            ("Node Type".to_owned(), Value::text(self.node)),
            ("Parent Relationship".to_owned(), Value::text("Member")),
            flag("Parallel Aware"),
            ("Shard".to_owned(), Value::text(&self.shard)),
        ];
        if !self.tables.is_empty() {
            let tables = self.tables.iter().map(Value::text).collect();
            node.push(("Tables".to_owned(), Value::List(tables)));
        }
        node.extend(self.note.map(|note| ("Note".to_owned(), Value::text(note))));
        if self.lines.is_empty() {
            return Ok(Value::Map(node));
        }
        let (plans, rest) = self.query()?;
        const ROOTS: [&str; 7] = [
            "Startup Cost",
            "Total Cost",
            "Plan Rows",
            "Plan Width",
            "Actual Startup Time",
            "Actual Total Time",
            "Actual Rows",
        ];
        if let [plan] = plans.as_slice() {
            let known = ROOTS.into_iter().chain(["Actual Loops"]);
            node.extend(known.filter_map(|name| Some((name.to_owned(), plan.get(name)?.clone()))));
        }
        node.extend(rest);
        node.push(("Plans".to_owned(), Value::List(plans)));
        Ok(Value::Map(node))
    }

    /// Returns the plans of what the shard made of the statement, and what it said beside them.
    fn query(&self) -> Result<(Vec<Value>, Members), Unreadable> {
        let text = self.lines.join("\n");
        let read: Result<Value, _> = serde_json::from_str(&text);
        let Ok(Value::List(queries)) = read else {
            return Err(Unreadable(format!("the plan of shard \"{}\" cannot be read as JSON", self.shard)));
        };
        let (mut plans, mut rest) = (Vec::new(), Vec::new());
        for query in queries {
            let Value::Map(members) = query else { continue };
            for (name, value) in members {
                if name == "Plan" { plans.push(value) } else { rest.push((name, value)) }
            }
        }
        Ok((plans, rest))
    }
}

fn flag(name: &str) -> (String, Value) {
    (name.to_owned(), Value::Bool(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(shard: &str, json: &str) -> PartPlan {
        let lines = if json.is_empty() { vec![] } else { vec![json.to_owned()] };
        PartPlan { node: "Shard", shard: shard.to_owned(), tables: vec!["t".to_owned()], lines, note: None }
    }

    #[test]
    fn costs_add_up_and_the_longest_time_counts() {
        let one = r#"[{"Plan": {"Node Type": "Result", "Startup Cost": 0.5, "Total Cost": 2.0, "Plan Rows": 3},
                      "Planning Time": 0.1, "Execution Time": 4.0}]"#;
        let two = r#"[{"Plan": {"Node Type": "Result", "Startup Cost": 0.25, "Total Cost": 1.0, "Plan Rows": 4},
                      "Planning Time": 0.2, "Execution Time": 1.0}]"#;
        let tree = Tree { node: "Shardloom Scatter", facts: vec![], parts: vec![part("a", one), part("b", two)] };
        let Value::List(queries) = tree.value().expect("both are JSON") else { panic!("a list of queries") };
        let plan = queries[0].get("Plan").expect("a plan");
        assert_eq!(plan.get("Node Type"), Some(&Value::text("Shardloom Scatter")));
        assert_eq!(plan.get("Total Cost").and_then(Value::number), Some(3.0));
        assert_eq!(plan.get("Startup Cost").and_then(Value::number), Some(0.5));
        assert_eq!(plan.get("Plan Rows"), Some(&Value::count(7)));
        assert_eq!(queries[0].get("Execution Time").and_then(Value::number), Some(4.0));
        let Some(Value::List(shards)) = plan.get("Plans") else { panic!("no shards: {plan:?}") };
        assert_eq!((shards.len(), shards[1].get("Shard")), (2, Some(&Value::text("b"))));
        assert_eq!(shards[1].get("Execution Time").and_then(Value::number), Some(1.0));
    }

    #[test]
    fn a_part_without_a_plan_says_why_and_a_broken_plan_is_an_error() {
        let mut home = part("a", "");
        home.note = Some("later");
        let tree = Tree { node: "Shardloom Gather", facts: vec![], parts: vec![home] };
        let written = serde_json::to_string(&tree.value().expect("no plan is read")).expect("it is written");
        assert!(written.contains(r#""Note":"later""#) && !written.contains("Total Cost"), "{written}");
        let tree = Tree { node: "Shardloom Scatter", facts: vec![], parts: vec![part("a", "[{")] };
        assert!(tree.value().expect_err("it is cut off").0.contains("\"a\""));
    }
}
