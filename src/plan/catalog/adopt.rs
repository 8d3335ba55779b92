//! Split tables in the catalog: the logical one is what its first physical table is.

use super::{Catalog, Table};
use crate::rules::RuleSet;

impl Catalog {
    /// Lists each split table of the rules under its own name, as its first physical table is; nothing where the server
    /// has none.
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
