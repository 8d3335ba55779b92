//! What takes an INSERT back, row by row: the rules' statement with the row's own values in the place of `:column`.

use crate::plan::{ParameterSource, Part, Statement, renumbered};
use crate::rules::{Distribution, OnDead};
use crate::sql::{Scanner, Token, identifier, splice};

use super::effect::Judge;
use super::render::Rendering;

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
        let Some(undo) = self.rule.and_then(|rule| rule.undo.as_ref()) else { return !wanted };
        let found: Option<Vec<Vec<Statement>>> = parts
            .iter()
            .map(|part| part.rows.iter().map(|row| self.undo_of(&undo.insert, *row as usize, rendering)).collect())
            .collect();
        let Some(found) = found else { return !wanted };
        for (part, undo) in parts.iter_mut().zip(found) {
            part.undo = undo;
        }
        true
    }

    /// Returns what takes one row back; `None` if it names a column that the INSERT does not give.
    fn undo_of(&self, template: &str, row: usize, rendering: &Rendering<'_>) -> Option<Statement> {
        let edits = columns(template).into_iter().map(|(span, column)| {
            let value = rendering.value(row, &column)?;
            Some((span, format!("({value})")))
        });
        let (sql, used) = renumbered(&splice(template, &edits.collect::<Option<Vec<_>>>()?));
        Some(Statement::Rewritten { sql, parameters: used.into_iter().map(ParameterSource::Client).collect() })
    }
}

/// Returns where `:column` stands, and which column that is.
fn columns(template: &str) -> Vec<(std::ops::Range<usize>, String)> {
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
