//! What the rules say of a catalog's tables: a split one is what its first physical table is, and who refers to reference
//! tables.

use std::collections::HashMap;

use super::{Catalog, Referring, Table};
use crate::rules::{Distribution, GroupId, RuleSet};

impl Catalog {
    /// Lists each split table of the rules under its own name, as its first physical table is (nothing where the server
    /// has none), and the foreign keys to reference tables.
    pub fn adopt(&mut self, rules: &RuleSet) {
        for (key, rule) in &rules.tables {
            let Some(first) = rule.physical_keys(key).into_iter().next() else { continue };
            match self.tables.get(&first) {
                Some(table) => {
                    let table = logical(table.clone(), key, rules);
                    self.tables.insert(key.clone(), table);
                }
                None => drop(self.tables.remove(key)),
            }
        }
        self.referred = self.found_referred(rules);
    }

    fn found_referred(&self, rules: &RuleSet) -> HashMap<String, Vec<Referring>> {
        let mut found: HashMap<String, Vec<Referring>> = HashMap::new();
        for (name, table) in &self.tables {
            let Some(group) = group_of(name, rules) else { continue };
            for key in table.foreign_keys.iter().filter(|key| rules.reference_home(&key.table).is_some()) {
                let referring = Referring { table: name.clone(), group, key: key.clone() };
                found.entry(key.table.clone()).or_default().push(referring);
            }
        }
        // Refusals are the same each time.
        found.values_mut().for_each(|keys| keys.sort_by(|one, other| one.table.cmp(&other.table)));
        found
    }

    /// Returns the foreign keys of sharded tables that a change of these reference tables may meet, each behind the table
    /// that it refers to: also of tables that the change reaches by foreign keys between reference tables.
    pub fn referring(&self, tables: &[String]) -> Vec<(String, &Referring)> {
        let mut reached: Vec<&str> = tables.iter().map(String::as_str).collect();
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(table) = reached.get(at).copied() {
            at += 1;
            for referring in self.referred.get(table).into_iter().flatten() {
                if referring.group.is_some() {
                    found.push((table.to_owned(), referring));
                } else if !reached.contains(&referring.table.as_str()) {
                    reached.push(&referring.table);
                }
            }
        }
        found
    }
}

/// Returns the group of a sharded table that servers have under this name, `Some(None)` of a reference table.
fn group_of(name: &str, rules: &RuleSet) -> Option<Option<GroupId>> {
    let rule = rules.table(rules.logical_of(name).unwrap_or(name))?;
    match rule.distribution {
        // Its physical tables are listed, too.
        Distribution::Sharded { .. } if rule.split.is_some() && rules.logical_of(name).is_none() => None,
        Distribution::Sharded { group, .. } => Some(Some(group)),
        Distribution::Reference { .. } => Some(None),
        Distribution::Single { .. } => None,
    }
}

/// Puts logical names in the place of physical ones.
fn logical(mut table: Table, key: &str, rules: &RuleSet) -> Table {
    if let Some(split) = rules.split_of(key) {
        let rename = |name: String| split.logical_name(&name, key, 0);
        table.indexes = table.indexes.into_iter().map(rename).collect();
        let named = table.constraint_columns.into_iter();
        table.constraint_columns = named.map(|(name, columns)| (rename(name), columns)).collect();
    }
    for foreign in &mut table.foreign_keys {
        if let Some(logical) = rules.logical_of(&foreign.table) {
            foreign.table = logical.to_owned();
        }
    }
    table
}
