//! Which rows are fetched, in words.

use super::super::plan_types::{Equal, Fetch, Gather, Use};
use crate::sql::{Condition, ConditionPart};

impl Gather {
    /// Returns one line for each use of the table: its conditions, and whose columns' values its rows must have; none if
    /// all rows may matter. Values are asked for only where that is worth it, as the sizes of the tables say.
    pub fn restrictions(&self, fetch: &Fetch) -> Vec<String> {
        let lines: Vec<String> = fetch.uses.iter().map(|used| self.restriction(used)).collect();
        if lines.iter().any(String::is_empty) { Vec::new() } else { lines }
    }

    fn restriction(&self, used: &Use) -> String {
        let mut parts: Vec<String> = used.filters.iter().map(shown).collect();
        let mut equals: Vec<String> = Vec::new();
        for equal in used.partners.iter().chain(&used.links) {
            equals.extend(self.matching(equal).filter(|text| !equals.contains(text)));
        }
        parts.extend(equals);
        parts.join(" and ")
    }

    fn matching(&self, equal: &Equal) -> Option<String> {
        let (fetch, _) = self.use_of(equal.relation)?;
        Some(format!("{} in {}.{}", equal.column, fetch.table, equal.other))
    }
}

fn shown(condition: &Condition) -> String {
    let part = |part: &ConditionPart| match part {
        ConditionPart::Text(text) => text.clone(),
        ConditionPart::Column(name) => name.clone(),
        ConditionPart::Parameter(index) => format!("${}", index + 1),
    };
    condition.parts.iter().map(part).collect()
}
