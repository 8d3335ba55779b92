//! What takes an INSERT back, row by row: the rules' statement with the row's own values in the place of `:column`.

use std::ops::Range;

use crate::plan::{ParameterSource, Part, Statement, renumbered};
use crate::rules::{Distribution, OnDead};
use crate::sql::{Scanner, Token, identifier, splice};

use super::effect::Judge;
use super::render::Rendering;

/// The most rows that have an undo: each is a command of its own.
const ROWS_MAX: usize = 1_000;

/// A statement with columns of the row in it.
struct Template<'a> {
    text: &'a str,
    columns: Vec<(Range<usize>, String)>,
}

impl Judge<'_> {
    /// Gives each part what takes its rows back. Tells whether the rules may rely on it: they declare nothing, do not ask
    /// for it, or every row has the values.
    pub(super) fn add_undo(&self, parts: &mut [Part], rendering: &Rendering<'_>) -> bool {
        let wanted = match self.rule.map(|rule| &rule.distribution) {
            Some(Distribution::Sharded { group, .. }) => {
                self.rules.group(*group).multi_shard.on_dead == OnDead::Compensate
            }
            Some(Distribution::Reference { .. } | Distribution::Single { .. }) | None => false,
        };
        let rows: usize = parts.iter().map(|part| part.rows.len()).sum();
        let undo = self.rule.and_then(|rule| rule.undo.as_ref()).filter(|_| rows <= ROWS_MAX);
        let Some(undo) = undo else { return !wanted };
        let template = Template { text: &undo.insert, columns: columns(&undo.insert) };
        let found: Option<Vec<Vec<Statement>>> = parts
            .iter()
            .map(|part| part.rows.iter().map(|row| self.undo_of(&template, *row as usize, rendering)).collect())
            .collect();
        let Some(found) = found else { return !wanted };
        for (part, undo) in parts.iter_mut().zip(found) {
            part.undo = undo;
        }
        true
    }

    /// Returns what takes one row back; `None` if it names a column that the table has not or the INSERT does not give.
    fn undo_of(&self, template: &Template<'_>, row: usize, rendering: &Rendering<'_>) -> Option<Statement> {
        let table = self.catalog.table(self.table)?;
        let edits = template.columns.iter().map(|(span, column)| {
            let (value, type_name) = (rendering.value(row, column)?, &table.column(column)?.type_name);
            Some((span.clone(), format!("({value})::{type_name}")))
        });
        let (sql, used) = renumbered(&splice(template.text, &edits.collect::<Option<Vec<_>>>()?));
        Some(Statement::Rewritten { sql, parameters: used.into_iter().map(ParameterSource::Client).collect() })
    }
}

/// Returns where `:column` stands, and which column that is.
fn columns(template: &str) -> Vec<(Range<usize>, String)> {
    let tokens: Vec<Token> = Scanner::new(template).collect();
    let mut found = Vec::new();
    for pair in tokens.windows(2) {
        let [mark, name] = pair else { continue };
        if mark.text(template) == ":" && mark.end == name.start {
            found.extend(identifier(template, *name).map(|column| (mark.start..name.end, column)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_behind_a_colon_and_casts_do_not() {
        let text = "DELETE FROM t WHERE a = :a AND \"B\" = :\"B\"::text AND c = ':d' AND e[1:2] = :e";
        let found: Vec<String> = columns(text).into_iter().map(|(_, column)| column).collect();
        assert_eq!(found, ["a", "B", "e"]);
    }
}
