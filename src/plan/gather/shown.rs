//! Which rows are fetched, in words.

use super::super::plan_types::{Equal, Fetch, Gather, Use};
use crate::sql::{Condition, ConditionPart};

/// The longest chain of equal columns that is told of.
const CHAIN_MAX: usize = 4;

impl Gather {
    /// Returns one line for each use of the table: its conditions, and whose columns' values its rows must have; none if
    /// all rows may matter. Values are asked for only where that is worth it, as the sizes of the tables say.
    pub fn restrictions(&self, fetch: &Fetch) -> Vec<String> {
        let lines: Vec<String> = fetch.uses.iter().map(|used| self.restriction(used)).collect();
        if lines.iter().any(String::is_empty) { Vec::new() } else { lines }
    }

    /// Returns the conditions on the table's own columns in SQL; `None` if there are none for some use, or with parameters.
    pub fn conditions(&self, fetch: &Fetch) -> Option<String> {
        let mut uses: Vec<String> = Vec::new();
        for used in &fetch.uses {
            let written: Option<Vec<String>> = used.filters.iter().map(written).collect();
            let all = written.filter(|all| !all.is_empty())?.join(" AND ");
            if !uses.contains(&all) {
                uses.push(all);
            }
        }
        match uses.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            several => Some(format!("({})", several.join(") OR ("))),
        }
    }

    fn restriction(&self, used: &Use) -> String {
        let mut parts: Vec<String> = used.filters.iter().map(shown).collect();
        let mut equals: Vec<String> = Vec::new();
        for equal in used.partners.iter().chain(&used.links).filter(|equal| self.is_restricted(equal, CHAIN_MAX)) {
            equals.extend(self.matching(equal).filter(|text| !equals.contains(text)));
        }
        parts.extend(equals);
        parts.join(" and ")
    }

    /// Tells whether some condition restricts what the column must equal.
    fn is_restricted(&self, equal: &Equal, depth: usize) -> bool {
        let Some((_, used)) = self.use_of(equal.relation) else { return false };
        let mut others = used.partners.iter().chain(&used.links);
        !used.filters.is_empty() || depth > 0 && others.any(|other| self.is_restricted(other, depth - 1))
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

fn written(condition: &Condition) -> Option<String> {
    let part = |part: &ConditionPart| match part {
        ConditionPart::Text(text) => Some(text.clone()),
        ConditionPart::Column(name) => Some(format!("\"{}\"", name.replace('"', "\"\""))),
        ConditionPart::Parameter(_) => None,
    };
    Some(format!("({})", condition.parts.iter().map(part).collect::<Option<String>>()?))
}
