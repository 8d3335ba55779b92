//! UPDATE and DELETE that read what is not where their rows are: that is read first, and stands in them as constants.
//!
//! A query in parentheses that means the same by itself is taken as a whole; else a table of FROM, USING or a subquery
//! with the columns that the statement may read. One is taken at a time: the text with its rows is planned again.

use std::ops::Range;

use super::carry::{Brought, BroughtTable, Carry, CarryForm, KeyOperator, is_carried};
use super::colocate::{Place, place};
use super::context::{Context, Values};
use super::from_item::from_items;
use super::gather;
use super::insert::quoted;
use super::mention::mentions;
use super::modify::Modify;
use super::parsing;
use super::plan_types::Plan;
use super::system_columns::is_system_column;
use crate::sql::{
    self, Facts, QueryNames, Scanner, StatementKind, TableName, Token, identifier, query_names, subqueries,
};
use crate::types::Refusal;

/// Refusals that this can mend.
const MENDED: [&str; 3] = ["not_colocated", "different_shards", "unknown_function"];
/// One that it can mend where a query gives the key.
const UNBOUND: &str = "missing_sharding_key";
/// Stands for rows, to see how the text is read with them.
const SAMPLE: &str = "(SELECT * FROM (VALUES (1)) AS carried (c))";

/// Plans what `refusal` would refuse; returns that if nothing can be read first.
pub(super) fn plan(
    modify: &Modify,
    context: &Context<'_>,
    values: &Values<'_>,
    refusal: Refusal,
) -> Result<Plan, Refusal> {
    let unbound = refusal.reason == UNBOUND;
    if !unbound && !MENDED.contains(&refusal.reason) || modify.located().called.acts.is_some() {
        return Err(refusal);
    }
    let found = Search { text: values.text, modify, context }.find(unbound);
    let Some((source, brought)) = found else { return Err(refusal) };
    Ok(carried(modify, context, source, brought, refusal))
}

/// Plans a MERGE that `refusal` would refuse: its source is read first, and stands in it as a list of constants.
pub(super) fn merge(
    (modify, alias): (&Modify, &str),
    context: &Context<'_>,
    values: &Values<'_>,
    refusal: Refusal,
) -> Result<Plan, Refusal> {
    let text = values.text;
    let Some(span) = sql::merge_source(text).filter(|_| modify.located().called.acts.is_none()) else {
        return Err(refusal);
    };
    let source = format!("SELECT * FROM{}", &text[span.clone()]);
    let (Ok(facts), Some(names)) = (sql::read(&source), query_names(&source)) else { return Err(refusal) };
    let rows_alone = !facts.locks && !facts.nested_write && is_sorted_by_default(&source, &facts, &names, context);
    let system = Scanner::new(text).any(|token| identifier(text, token).is_some_and(|name| is_system_column(&name)));
    // Nor have they the columns behind a schema's name.
    let schemas = query_names(text).is_none();
    if !rows_alone || system || schemas || facts.relations.iter().all(|relation| relation.table.is_none()) {
        return Err(refusal);
    }
    let brought = Brought {
        span,
        key: None,
        alias: Some(quoted(alias)),
        table: None,
        listed: true,
        alone: false,
        written: false,
    };
    Ok(carried(modify, context, source, brought, refusal))
}

/// Makes the plan in two steps.
fn carried(modify: &Modify, context: &Context<'_>, source: String, brought: Brought, refusal: Refusal) -> Plan {
    let checked_on = match parsing::single(modify.facts(), context.rules) {
        Ok(Some(shard)) => Some(shard).filter(|shard| modify.shards(context.rules).contains(*shard)),
        Ok(None) => modify.shards(context.rules).iter().next(),
        Err(_) => None,
    };
    Plan::Carry(Box::new(Carry {
        source,
        columns: Vec::new(),
        together: brought.written,
        numbers: Vec::new(),
        form: CarryForm::Query { brought, refusal },
        checked_on,
        checked: None,
        within: None,
        table: modify.target().to_string(),
    }))
}

struct Search<'a> {
    text: &'a str,
    modify: &'a Modify,
    context: &'a Context<'a>,
}

impl Search<'_> {
    /// Returns what is to be read first, and where it stands.
    fn find(&self, unbound: bool) -> Option<(String, Brought)> {
        let query = self.query(0..self.text.len(), unbound).map(|span| {
            let inner = &self.text[span.start + 1..span.end - 1];
            // A comment before it would say a shard, of a statement by itself.
            let source = inner[Scanner::new(inner).next().map_or(0, |token| token.start)..].to_owned();
            let key = self.key_operator(&span);
            let start = key.as_ref().map_or(span.start, |(_, start)| *start);
            let key = key.map(|(operator, _)| operator);
            let written = sql::read(&source).is_ok_and(|facts| facts.locks);
            (
                source,
                Brought { span: start..span.end, key, alias: None, table: None, listed: false, alone: false, written },
            )
        });
        query
            .or_else(|| if unbound { self.item() } else { self.table() })
            .filter(|(_, brought)| self.reads_the_same(brought))
    }

    /// Finds the first query in parentheses that can be run by itself, from the outside in.
    fn query(&self, within: Range<usize>, unbound: bool) -> Option<Range<usize>> {
        subqueries(self.text, within).into_iter().find_map(|span| {
            let inner = span.start + 1..span.end - 1;
            let binds = self.key_operator(&span).is_some();
            if (!unbound || binds) && self.stands_alone(&self.text[inner.clone()], unbound) {
                return Some(span);
            }
            // What stands inside of one with names of its own could mean those.
            if self.has_word(inner.clone(), "with") { None } else { self.query(inner, unbound) }
        })
    }

    /// Tells whether a query reads tables of which not every shard has all rows, or `none` at all, and names no column from
    /// around it.
    fn stands_alone(&self, query: &str, none: bool) -> bool {
        let (Ok(facts), Some(names)) = (sql::read(query), query_names(query)) else { return false };
        let mut tables = facts.relations.iter().filter_map(|relation| relation.table.as_ref());
        let reads = match tables.clone().next() {
            // A name from around it is not found when it runs.
            None => none && !is_carried(query),
            Some(_) => tables.any(|table| self.is_placed(table)) && names_its_own(&facts, &names, self.context),
        };
        facts.kind == StatementKind::Select
            && !facts.nested_write
            && reads
            && is_sorted_by_default(query, &facts, &names, self.context)
    }

    fn is_placed(&self, table: &TableName) -> bool {
        matches!(place(self.context.rules, table), Ok(Place::Sharded { .. } | Place::On(_))) && !table.is_catalog()
    }

    /// Returns what compares a query with the key, and where that stands: `key IN (…)` or `key = (…)`, a condition by itself.
    fn key_operator(&self, span: &Range<usize>) -> Option<(KeyOperator, usize)> {
        let target = self.modify.target_keyed().filter(|target| target.more.is_empty())?;
        let tokens: Vec<Token> = Scanner::new(self.text).collect();
        let at = tokens.iter().position(|token| token.start == span.start)?;
        let operator = tokens[at.checked_sub(1)?];
        let found = match operator.text(self.text) {
            "=" => KeyOperator::Equal,
            _ if operator.is_word(self.text, "in") => KeyOperator::In,
            _ => return None,
        };
        let name = at.checked_sub(2)?;
        let qualified = name >= 2 && tokens[name - 1].is_mark(self.text, ".");
        let before = tokens[name.checked_sub(if qualified { 3 } else { 1 })?];
        let behind = tokens.iter().find(|token| token.start >= span.end);
        let is = |token: &Token, words: &[&str], mark: &str| {
            token.is_mark(self.text, mark) || words.iter().any(|word| token.is_word(self.text, word))
        };
        let alone = is(&before, &["where", "and", "or", "not", "on"], "(")
            && behind.is_none_or(|token| is(token, &["and", "or", "returning"], ")") || token.is_mark(self.text, ";"));
        let is_key = identifier(self.text, tokens[name]).is_some_and(|name| name == target.key);
        (alone && is_key).then_some((found, operator.start))
    }

    /// Finds a table in FROM, USING or a subquery whose rows are not where those are that are written.
    fn table(&self) -> Option<(String, Brought)> {
        if self.modify.facts().locks || self.has_word(0..self.text.len(), "with") {
            return None;
        }
        // None where a column stands behind a schema's name, which rows have not.
        query_names(self.text)?;
        let facts = self.modify.facts();
        let named: Vec<&TableName> = self.elsewhere(facts).collect();
        let keys: Vec<_> = named.iter().map(|table| table.rule_key()).collect();
        let keys: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
        let found = mentions(self.text, &keys);
        // A column of that name is no use of the table.
        let all_found = |key: &str| {
            let tables = facts.relations.iter().filter_map(|relation| relation.table.as_ref());
            tables.filter(|table| table.rule_key() == key).count()
                == found.iter().filter(|mention| keys[mention.known] == key).count()
        };
        found.iter().filter(|mention| !mention.target && all_found(keys[mention.known])).find_map(|mention| {
            let table = named[mention.known];
            let known = self.context.catalog.table(&table.rule_key())?;
            let columns = gather::columns_read(self.text, facts, table, known)?;
            if !columns.iter().all(|column| column.collation_is_default) {
                return None;
            }
            let list: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
            let span = mention.span.clone();
            let source = format!("SELECT {} FROM {}", list.join(", "), &self.text[span.clone()]);
            let alias = mention.alias.as_deref().map(quoted);
            let all = known.columns.iter().map(|column| (column.name.clone(), column.type_oid)).collect();
            let types = columns.iter().map(|column| column.type_name.clone()).collect();
            let table = BroughtTable { name: self.known_to_servers(table), columns: all, types };
            Some((
                source,
                Brought { span, key: None, alias, table: Some(table), listed: false, alone: false, written: false },
            ))
        })
    }

    /// Finds a query or a function in FROM or USING with a column of which the key must equal one.
    fn item(&self) -> Option<(String, Brought)> {
        let target = self.modify.target_keyed().filter(|target| target.more.is_empty())?;
        let facts = self.modify.facts();
        let binds = |alias: &str| {
            let named =
                |relation: usize| facts.relations[relation].alias == alias && facts.relations[relation].scope == 0;
            facts.edges.iter().any(|edge| {
                let is_its = edge.source.relation.map_or(edge.source.name == alias, named);
                is_its && edge.target.name == target.key && edge.reach.contains(&target.relation)
            })
        };
        let mut items = from_items(self.text).into_iter().filter(|item| !is_carried(&self.text[item.span.clone()]));
        items.find(|item| binds(&item.alias)).and_then(|item| {
            let source = format!("SELECT * FROM {}", &self.text[item.span.clone()]);
            let (read, names) = (sql::read(&source).ok()?, query_names(&source)?);
            if !is_sorted_by_default(&source, &read, &names, self.context) {
                return None;
            }
            let alias = Some(quoted(&item.alias));
            let brought =
                Brought { span: item.span, key: None, alias, table: None, listed: false, alone: false, written: false };
            Some((source, brought))
        })
    }

    /// Returns the name by which a server knows a table: of one that the rules split, that of its first part.
    fn known_to_servers(&self, table: &TableName) -> String {
        let split = self.context.rules.split_of(&table.rule_key());
        let name = quoted(split.and_then(|split| split.names.first()).unwrap_or(&table.name));
        match &table.schema {
            Some(schema) => format!("{}.{name}", quoted(schema)),
            None => name,
        }
    }

    /// Returns the tables that keep the statement from where its rows are.
    fn elsewhere<'f>(&'f self, facts: &'f Facts) -> impl Iterator<Item = &'f TableName> {
        let target = self.modify.target_keyed().map(|target| target.relation);
        let follows = move |at: usize| {
            let mut keyed = self.modify.keyed().iter().filter(|keyed| keyed.relation == at);
            target.is_some_and(|target| keyed.any(|keyed| keyed.follows.contains(&target)))
        };
        let relations = facts.relations.iter().enumerate();
        let apart = relations.filter(move |(at, relation)| !relation.target && !relation.renamed && !follows(*at));
        apart.filter_map(|(_, relation)| relation.table.as_ref()).filter(|table| self.is_placed(table))
    }

    /// Tells whether the text, with rows in it, still writes the same table with the same clauses.
    fn reads_the_same(&self, brought: &Brought) -> bool {
        let rows = match (&brought.alias, brought.key) {
            (Some(alias), _) => format!("{SAMPLE} AS {alias}"),
            (None, Some(_)) => format!("= {SAMPLE}"),
            (None, None) => SAMPLE.to_owned(),
        };
        let facts = self.modify.facts();
        let sample = sql::splice(self.text, &[(brought.span.clone(), rows)]);
        sql::read(&sample).is_ok_and(|again| {
            let target = |facts: &Facts| facts.relations.iter().find(|relation| relation.target).cloned();
            again.kind == facts.kind
                && target(&again) == target(facts)
                && again.returning == facts.returning
                && again.assignments.len() == facts.assignments.len()
        })
    }

    fn has_word(&self, within: Range<usize>, word: &str) -> bool {
        let part = &self.text[within];
        Scanner::new(part).any(|token| token.is_word(part, word))
    }
}

/// Tells whether a query's columns are those of its own tables, so that they mean the same wherever it stands.
pub(super) fn names_its_own(facts: &Facts, names: &QueryNames, context: &Context<'_>) -> bool {
    let named = |name: &String| facts.relations.iter().any(|relation| relation.alias == *name);
    names.columns.iter().all(|column| match &column.qualifier {
        Some(qualifier) => named(qualifier),
        None => {
            let mut seen = names.tables_seen(column.scope).filter_map(|table| context.catalog.table(&table.rule_key()));
            seen.any(|table| table.column(&column.name).is_some())
                || names.aliases.contains(&column.name)
                || named(&column.name)
        }
    })
}

/// Tells whether what a query gives is compared under the database's collation, as constants are.
pub(super) fn is_sorted_by_default(query: &str, facts: &Facts, names: &QueryNames, context: &Context<'_>) -> bool {
    let tables: Vec<&TableName> = facts.relations.iter().filter_map(|relation| relation.table.as_ref()).collect();
    let known: Vec<_> = tables.iter().filter_map(|table| context.catalog.table(&table.rule_key())).collect();
    // Nobody knows what a column of another table is.
    let unknown = known.len() < tables.len() && (names.all || !names.columns.is_empty());
    let named = |name: &String| names.all || names.columns.iter().any(|column| column.name == *name);
    let mut columns = known.iter().flat_map(|table| &table.columns).filter(|column| named(&column.name));
    let collates = Scanner::new(query).any(|token| token.is_word(query, "collate"));
    !unknown && !collates && columns.all(|column| column.collation_is_default)
}
