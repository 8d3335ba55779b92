//! SELECTs from views over tables of which home has not all rows: the view's query takes the place of its name.
//!
//! The text is spliced and read again: what is read must be what the two texts say by themselves. Views are written
//! through by nobody, and materialized ones hold what they hold; both are refused elsewhere.

use super::catalog::TableKind;
use super::context::{Context, Values};
use super::hidden;
use super::insert::{MakeIds, quoted};
use super::mention::mentions;
use super::plan_types::{ParameterSource, Plan, Statement};
use super::prepare::{PrepareError, Prepared, prepare};
use crate::rules::RuleSet;
use crate::sql::{self, Facts, Scanner, TableName, Token, identifier, literals, splice};
use crate::types::{Refusal, ShardId};

/// The deepest nesting of views in views; PostgreSQL's own have no cycles.
const NESTING_MAX: usize = 16;
/// The longest text that views may make of a statement, in bytes.
const TEXT_MAX: usize = 1024 * 1024;

/// A statement in which views were replaced.
#[derive(Debug, Clone)]
pub(super) struct Expanded {
    text: String,
    inner: Box<Prepared>,
    /// Whether the client's text names views: they are on home.
    views: bool,
}

/// Reads a SELECT whose views have to be replaced; `None` if there are none.
///
/// # Errors
/// What the replaced text is refused for, or that it cannot be made.
pub(super) fn read(text: &str, facts: &Facts, context: &Context<'_>) -> Result<Option<Expanded>, PrepareError> {
    let mut current = (text.to_owned(), facts.clone());
    for depth in 0.. {
        let views = views(&current.1, context);
        if views.is_empty() {
            if depth == 0 {
                return Ok(None);
            }
            break;
        }
        let expanded = if depth < NESTING_MAX { expand(&current.0, &current.1, &views, context) } else { None };
        current = expanded.ok_or_else(|| refusal(&views[0], context))?;
    }
    match prepare(&current.0, context) {
        Ok(inner) => Ok(Some(Expanded { text: current.0, inner: Box::new(inner), views: true })),
        Err(PrepareError::Refused(refusal) | PrepareError::Unreadable(refusal)) => Err(refusal.into()),
    }
}

/// The plain views among the relations that home cannot answer by itself.
fn views(facts: &Facts, context: &Context<'_>) -> Vec<TableName> {
    let tables = facts.relations.iter().filter_map(|relation| relation.table.as_ref());
    let is_view = |table: &&TableName| {
        let known = context.catalog.table(&table.rule_key());
        let view = known.is_some_and(|known| known.kind == TableKind::View && known.definition.is_some());
        view && context.rules.table(&table.rule_key()).is_none() && hidden::relation(table, context).is_err()
    };
    tables.filter(is_view).cloned().collect()
}

fn refusal(view: &TableName, context: &Context<'_>) -> Refusal {
    match hidden::relation(view, context) {
        Err(refusal) => refusal,
        Ok(_) => Refusal::unsupported(format!("view \"{view}\" cannot be read"), "Read its tables by themselves."),
    }
}

/// Replaces each of the views once; `None` if it cannot be told that the text then says the same.
fn expand(text: &str, facts: &Facts, views: &[TableName], context: &Context<'_>) -> Option<(String, Facts)> {
    if facts.locks || facts.nested_write || views.iter().any(|view| is_read_whole(text, facts, view)) {
        return None;
    }
    let keys: Vec<_> = views.iter().map(TableName::rule_key).collect();
    let keys: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
    let mut edits = Vec::new();
    for mention in mentions(text, &keys) {
        if mention.children {
            return None;
        }
        let definition = definition(&views[mention.known], context)?;
        let alias = mention.alias.map(|alias| format!(" AS {}", quoted(&alias))).unwrap_or_default();
        edits.push((mention.span, format!("({definition}){alias}")));
    }
    let added: usize = edits.iter().map(|(_, new): &(_, String)| new.len()).sum();
    if edits.len() != views.len() || text.len() + added > TEXT_MAX {
        return None;
    }
    let expanded = splice(text, &edits);
    let again = sql::read(&expanded).ok()?;
    (tables(&again) == expected(facts, views, context)? && keeps_aliases(facts, views, &again))
        .then_some((expanded, again))
}

fn definition<'a>(view: &TableName, context: &Context<'a>) -> Option<&'a str> {
    let definition = context.catalog.table(&view.rule_key())?.definition.as_deref()?;
    Some(definition.trim().trim_end_matches(';'))
}

/// Tells whether the view's name or alias may stand for a whole row, whose type would be another, or behind a schema.
fn is_read_whole(text: &str, facts: &Facts, view: &TableName) -> bool {
    let own = facts.relations.iter().filter(|relation| relation.table.as_ref() == Some(view));
    own.map(|relation| relation.alias.as_str()).any(|alias| {
        let defined = facts.relations.iter().map(|relation| {
            let table = relation.table.as_ref().is_some_and(|table| table.name == alias);
            usize::from(table || relation.alias == alias)
        });
        let tokens: Vec<Token> = Scanner::new(text).collect();
        let is_mark = |at: usize, mark: &str| tokens.get(at).is_some_and(|token| token.is_mark(text, mark));
        let is_it = |at: &usize| identifier(text, tokens[*at]).as_deref() == Some(alias);
        let alone = (0..tokens.len()).filter(is_it).filter(|at| !is_mark(at + 1, ".")).count();
        let behind_schema = (1..tokens.len()).filter(is_it).any(|at| is_mark(at - 1, ".") && is_mark(at + 1, "."));
        alone > defined.sum() || behind_schema
    })
}

/// Returns the names of the tables that are read, in order.
fn tables(facts: &Facts) -> Vec<String> {
    let named = facts.relations.iter().filter_map(|relation| relation.table.as_ref());
    let mut names: Vec<String> = named.map(|table| table.rule_key().into_owned()).collect();
    names.sort();
    names
}

/// Returns what [`tables`] must be afterwards: no name of a view's query may come to mean a WITH query around it.
fn expected(facts: &Facts, views: &[TableName], context: &Context<'_>) -> Option<Vec<String>> {
    let mut names: Vec<String> = tables(facts);
    names.retain(|name| !views.iter().any(|view| view.rule_key() == *name));
    for view in views {
        let read = sql::read(definition(view, context)?).ok()?;
        if read.locks || read.nested_write {
            return None;
        }
        names.extend(tables(&read));
    }
    names.sort();
    Some(names)
}

/// Tells whether each view's alias names a derived table now.
fn keeps_aliases(facts: &Facts, views: &[TableName], again: &Facts) -> bool {
    let mut derived: Vec<&str> = again
        .relations
        .iter()
        .filter(|relation| relation.table.is_none())
        .map(|relation| relation.alias.as_str())
        .collect();
    let read =
        facts.relations.iter().filter(|relation| relation.table.as_ref().is_some_and(|table| views.contains(table)));
    read.map(|relation| relation.alias.as_str()).all(|alias| {
        let found = derived.iter().position(|known| *known == alias);
        found.map(|at| derived.swap_remove(at)).is_some()
    })
}

impl Expanded {
    /// Makes one of a query that says the same in other words.
    pub(super) fn reworded(text: String, inner: Prepared) -> Self {
        Self { text, inner: Box::new(inner), views: false }
    }

    /// Tells whether the rules split a table that it names.
    pub(super) fn is_split(&self) -> bool {
        !self.views && self.inner.is_split()
    }

    /// Returns a text that any server can parse in the place of the client's, where the rules split its tables.
    ///
    /// # Errors
    /// Refuses what cannot be said of physical tables.
    pub(super) fn parsed_text(&self) -> Result<Option<String>, Refusal> {
        if self.views { Ok(None) } else { self.inner.parsed_text(&self.text) }
    }

    /// Returns the shard that must be asked to parse the client's text.
    ///
    /// # Errors
    /// Refuses tables of which no shard knows all.
    pub(super) fn parsing_shard(&self, rules: &RuleSet) -> Result<Option<ShardId>, Refusal> {
        if self.views { Ok(Some(rules.home)) } else { self.inner.parsing_shard(rules) }
    }

    /// Returns the plan, in which the replaced text takes the place of the client's.
    pub(super) fn plan(
        &self,
        context: &Context<'_>,
        values: &Values<'_>,
        ids: &mut MakeIds<'_>,
    ) -> Result<Plan, Refusal> {
        let text = self.text.as_str();
        let inside = Values { text, literals: &literals(text), parameters: values.parameters };
        let mut plan = self.inner.plan(context, &inside, ids)?;
        let parameters: Vec<ParameterSource> =
            (0..values.parameters.values.len()).map(ParameterSource::Client).collect();
        let replace = |statement: &mut Statement| {
            if *statement == Statement::Original {
                *statement = Statement::Rewritten { sql: text.to_owned(), parameters: parameters.clone() };
            }
        };
        match &mut plan {
            Plan::Direct(direct) => replace(&mut direct.statement),
            Plan::Scatter(scatter) => replace(&mut scatter.statement),
            Plan::Gather(gather) => {
                if let Some(partial) = &mut gather.partial {
                    replace(&mut partial.whole);
                }
                replace(&mut gather.statement);
            }
            Plan::MultiWrite(write) => write.parts.iter_mut().for_each(|part| replace(&mut part.statement)),
            Plan::Carry(carry) if carry.within.is_none() => carry.within = Some(text.to_owned()),
            Plan::Carry(_) | Plan::Copy(_) | Plan::CopyOut(_) | Plan::Everywhere { .. } => {}
        }
        Ok(plan)
    }
}
