//! Tables that a statement reads or writes without naming them: behind views, partitions and functions.
//!
//! The catalog tells. What triggers, operators, casts and column defaults do is not looked at: they run on the shard of
//! the row, as its own schema says.

use std::collections::HashSet;

use super::catalog::{Catalog, Routine, Table, TableKind, body_words, is_of_one_server};
use super::colocate::Located;
use super::context::Context;
use super::split;
use crate::rules::{Distribution, RuleSet};
use crate::sql::{Scanner, TableName, Token, identifier};
use crate::types::{Refusal, ShardId};

/// What stands behind one name or several.
#[derive(Debug, Clone, Default)]
pub(super) struct Behind {
    /// A table of which each shard has a part.
    sharded: Option<String>,
    /// Reference tables.
    references: Vec<String>,
    /// Tables that live on one shard.
    fixed: Vec<(String, ShardId)>,
    /// A function that may write.
    writes: bool,
    /// A function that may make temporary objects.
    temporary: bool,
    seen: HashSet<String>,
}

/// What the functions do that a statement calls.
#[derive(Debug, Clone, Default)]
pub(super) struct Called {
    /// What they need, and where it is.
    pub(super) fixed: Vec<(String, ShardId)>,
    /// Whether one may write.
    pub(super) writes: bool,
    /// Whether one reads a reference table.
    pub(super) references: Vec<String>,
    /// A volatile one, or one that has a need.
    pub(super) acts: Option<String>,
}

/// Refuses a relation that no rule names and that shows rows of which home has only a part.
pub(super) fn relation(table: &TableName, context: &Context<'_>) -> Result<Option<Behind>, Refusal> {
    part(table, context)?;
    let Some(known) = context.catalog.table(&table.rule_key()) else { return Ok(None) };
    if known.reads.is_empty() && known.calls.is_empty() {
        return Ok(None);
    }
    let mut behind = Behind::default();
    behind.relation(&table.rule_key(), context);
    let elsewhere = behind.fixed.iter().find(|(_, shard)| *shard != context.rules.home);
    match behind.sharded.as_ref().or(elsewhere.map(|(name, _)| name)) {
        Some(other) => Err(shows(table, known.kind, other)),
        None => Ok(Some(behind)),
    }
}

/// Refuses a partition or child of a table of the rules: it is where that is.
pub(super) fn part(table: &TableName, context: &Context<'_>) -> Result<(), Refusal> {
    if context.rules.logical_of(&table.rule_key()).is_some() {
        return Err(split::named(table, context.rules));
    }
    let mut open = vec![table.rule_key().into_owned()];
    let mut seen = HashSet::new();
    while let Some(name) = open.pop() {
        if name != table.rule_key() && is_spread(context.rules, &name) {
            return Err(Refusal::unsupported(
                format!("table \"{table}\" is a part of table \"{name}\", and no rule names it"),
                format!("Use \"{name}\", or name \"{table}\" in the shard rules with the same sharding key."),
            )
            .with_reason("hidden_table"));
        }
        let parents = context.catalog.table(&name).map(|known| known.parents.as_slice()).unwrap_or_default();
        open.extend(parents.iter().filter(|parent| seen.insert((*parent).clone())).cloned());
    }
    Ok(())
}

/// Adds what stands behind the relations to where the statement's tables live.
pub(super) fn locate(table: &TableName, context: &Context<'_>, located: &mut Located) -> Result<(), Refusal> {
    if let Some(behind) = relation(table, context)? {
        located.fixed.extend(behind.fixed);
        located.references.extend(behind.references);
        if behind.writes {
            located.called.writes = true;
            located.called.acts = located.called.acts.take().or_else(|| Some(table.to_string()));
        }
    }
    Ok(())
}

/// Tells whether one of these words is the name of a table of the rules, or of a view or function that reads one.
pub fn reads_tables_of_rules(words: &HashSet<String>, context: &Context<'_>) -> bool {
    let bare = |name: &String| name.rsplit('.').next().filter(|word| words.contains(*word)).map(str::to_owned);
    let calls: Vec<String> = words.iter().map(|word| format!("\"{}\"()", word.replace('"', "\"\""))).collect();
    context.rules.tables.keys().any(|name| bare(name).is_some())
        || context.catalog.tables.keys().filter_map(bare).any(|word| named(&word, context))
        || called(&format!("SELECT {}", calls.join(", ")), context).is_err()
}

/// Returns the view of that name, with or without schema, that cannot be read on home; a table that is part of one.
pub(super) fn named(word: &str, context: &Context<'_>) -> bool {
    let catalog = context.catalog;
    let mut tables = catalog.tables.iter().filter(|(name, known)| {
        let hides = !(known.reads.is_empty() && known.calls.is_empty() && known.parents.is_empty());
        hides && name.rsplit('.').next() == Some(word)
    });
    tables.any(|(name, _)| relation(&table_name(name), context).is_err())
}

/// Looks into the functions that `text` calls.
///
/// # Errors
/// Refuses a function that names a table of which each shard has a part, or that may write a reference table.
pub(super) fn called(text: &str, context: &Context<'_>) -> Result<Called, Refusal> {
    let mut called = Called::default();
    let tokens: Vec<Token> = Scanner::new(text).collect();
    for at in 0..tokens.len() {
        reads_by_text(text, &tokens, at)?;
        if let Some((name, routine)) = call(text, &tokens, at, context.catalog) {
            called.add(&name, routine, context)?;
        }
    }
    Ok(called)
}

/// Tells whether functions that `text` names, or that its views call, may make temporary objects; those of a DO block stand in
/// a string.
pub fn makes_temporary(text: &str, context: &Context<'_>) -> bool {
    if !context.catalog.routines.values().any(|routine| routine.temporary) {
        return false;
    }
    let mut behind = Behind::default();
    let is_block = Scanner::new(text).next().is_some_and(|first| first.is_word(text, "do"));
    for token in Scanner::new(text) {
        if let Some(name) = identifier(text, token) {
            behind.word(&name, context);
        } else if is_block && token.is_string() {
            body_words(token.text(text)).for_each(|word| behind.word(&word, context));
        }
    }
    behind.temporary
}

/// Refuses PostgreSQL's own functions that read tables named in a text: they would read home's rows only.
fn reads_by_text(text: &str, tokens: &[Token], at: usize) -> Result<(), Refusal> {
    const OF_TEXT: [&str; 12] = [
        "query_to_xml",
        "query_to_xmlschema",
        "query_to_xml_and_xmlschema",
        "table_to_xml",
        "table_to_xmlschema",
        "table_to_xml_and_xmlschema",
        "schema_to_xml",
        "schema_to_xml_and_xmlschema",
        "database_to_xml",
        "database_to_xml_and_xmlschema",
        "ts_stat",
        "ts_rewrite",
    ];
    let is_called = tokens.get(at + 1).is_some_and(|next| next.is_mark(text, "("));
    match OF_TEXT.iter().find(|name| is_called && tokens[at].is_word(text, name)) {
        Some(name) => Err(Refusal::unsupported(
            format!("function {name}() reads tables that only its argument names"),
            "Send the query itself, or ask one shard: /* shardloom: shard=NAME */.",
        )
        .with_reason("hidden_table")),
        None => Ok(()),
    }
}

/// Returns the user's function that is called at a token.
fn call<'a>(text: &str, tokens: &[Token], at: usize, catalog: &'a Catalog) -> Option<(String, &'a Routine)> {
    const NO_CALL_BEHIND: [&str; 5] = ["into", "as", "with", "recursive", "table"];
    if !tokens[at].is_name() {
        return None;
    }
    let name = identifier(text, tokens[at])?;
    let before = |back: usize| at.checked_sub(back).map(|index| tokens[index]);
    let dotted = before(1).is_some_and(|token| token.is_mark(text, "."));
    let of_row = || catalog.routines.get(&name).filter(|routine| dotted && routine.of_row);
    if !tokens.get(at + 1).is_some_and(|next| next.is_mark(text, "(")) {
        return of_row().map(|routine| (name.clone(), routine));
    }
    if before(1).is_some_and(|token| NO_CALL_BEHIND.iter().any(|word| token.is_word(text, word))) {
        return None;
    }
    let schema = before(2).filter(|_| dotted).and_then(|token| identifier(text, token));
    let key = match schema.as_deref() {
        None | Some("public") => name,
        Some(schema) => format!("{schema}.{name}"),
    };
    catalog.routines.get(&key).map(|routine| (key, routine))
}

impl Called {
    fn add(&mut self, name: &str, routine: &Routine, context: &Context<'_>) -> Result<(), Refusal> {
        let mut behind = Behind::default();
        behind.routine(routine, context);
        let written = behind.references.first().filter(|_| behind.writes);
        if let Some(table) = behind.sharded.as_ref().or(written) {
            return Err(uses(name, table));
        }
        if routine.volatile || behind.writes || !behind.fixed.is_empty() {
            self.acts = self.acts.take().or_else(|| Some(name.to_owned()));
        }
        self.fixed.extend(behind.fixed);
        self.references.extend(behind.references);
        self.writes |= behind.writes;
        Ok(())
    }

    /// Refuses functions that need something that is not on `shard`; `None` stands for several.
    ///
    /// # Errors
    /// 0A000
    pub(super) fn check(&self, shard: Option<ShardId>, rules: &RuleSet) -> Result<(), Refusal> {
        match self.fixed.iter().find(|(_, place)| Some(*place) != shard) {
            None => Ok(()),
            Some((table, place)) => Err(Refusal::unsupported(
                format!("a function in this statement needs \"{table}\", which lives on {}", rules.shard(*place).name),
                "Call it in a statement of its own.",
            )
            .with_reason("hidden_table")),
        }
    }
}

impl Behind {
    fn relation(&mut self, name: &str, context: &Context<'_>) {
        if !self.seen.insert(name.to_owned()) {
            return;
        }
        match context.rules.table(name).map(|rule| &rule.distribution) {
            Some(Distribution::Sharded { .. }) => self.sharded = self.sharded.take().or_else(|| Some(name.to_owned())),
            Some(Distribution::Reference { .. }) => self.references.push(name.to_owned()),
            Some(Distribution::Single { shard }) => self.fixed.push((name.to_owned(), *shard)),
            None if context.rules.logical_of(name).is_some() => {
                self.sharded = self.sharded.take().or_else(|| Some(name.to_owned()));
            }
            None => self.unlisted(name, context),
        }
    }

    fn unlisted(&mut self, name: &str, context: &Context<'_>) {
        let Some(known) = context.catalog.table(name) else { return };
        self.fixed.push((name.to_owned(), context.rules.home));
        if let Some(parent) = known.parents.iter().find(|parent| is_spread(context.rules, parent)) {
            self.sharded = self.sharded.take().or_else(|| Some(parent.clone()));
        }
        self.beneath(known, context);
    }

    fn beneath(&mut self, known: &Table, context: &Context<'_>) {
        known.reads.iter().for_each(|name| self.relation(name, context));
        known.calls.iter().for_each(|name| self.routines(name, context));
    }

    fn routine(&mut self, routine: &Routine, context: &Context<'_>) {
        self.writes |= routine.writes;
        self.temporary |= routine.temporary;
        if routine.at_home {
            self.fixed.push(("what sequences, locks and notifications are about".to_owned(), context.rules.home));
        }
        for word in &routine.names {
            self.word(word, context);
        }
    }

    /// A word of a body: every relation and function of that name, in any schema.
    fn word(&mut self, word: &str, context: &Context<'_>) {
        let is_it = |name: &&String| name.rsplit('.').next() == Some(word);
        let listed = context.rules.tables.keys().filter(is_it);
        let known = context.catalog.tables.keys().filter(is_it);
        let relations: Vec<&String> = listed.chain(known).collect();
        relations.into_iter().for_each(|name| self.relation(name, context));
        self.routines(word, context);
    }

    fn routines(&mut self, word: &str, context: &Context<'_>) {
        if self.seen.insert(format!("{word}()")) {
            let is_it = |name: &str| name.rsplit('.').next() == Some(word);
            let found = context.catalog.routines.iter().filter(|(name, _)| is_it(name));
            found.for_each(|(_, routine)| self.routine(routine, context));
        }
    }
}

/// Tells whether rows of the table are, or may be, on other shards than home.
fn is_spread(rules: &RuleSet, name: &str) -> bool {
    match rules.table(name).map(|rule| &rule.distribution) {
        Some(Distribution::Sharded { .. } | Distribution::Reference { .. }) => true,
        Some(Distribution::Single { shard }) => *shard != rules.home,
        None => rules.logical_of(name).is_some(),
    }
}

fn table_name(name: &str) -> TableName {
    match name.split_once('.') {
        Some((schema, name)) => TableName { schema: Some(schema.to_owned()), name: name.to_owned() },
        None => TableName::bare(name),
    }
}

fn shows(table: &TableName, kind: TableKind, other: &str) -> Refusal {
    let sort = match kind {
        TableKind::View => "view",
        TableKind::MaterializedView => "materialized view",
        TableKind::Table | TableKind::Partitioned | TableKind::Foreign => "table",
    };
    Refusal::unsupported(
        format!("{sort} \"{table}\" shows rows of table \"{other}\", of which its server has not all"),
        "Read the tables that it reads, in a statement of your own.",
    )
    .with_reason("hidden_table")
}

fn uses(name: &str, table: &str) -> Refusal {
    Refusal::unsupported(
        format!("function {name}() names table \"{table}\", of which the server that runs it has only its own rows"),
        "Send its statements from the application, or say the shard in a leading comment: /* shardloom: shard=NAME */.",
    )
    .with_reason("hidden_table")
}

/// Tells whether the function of PostgreSQL's own works on what lives on home; one of the user's has a name of its own.
pub(super) fn is_of_home(name: &str, catalog: &Catalog) -> bool {
    is_of_one_server(name) && !catalog.routines.contains_key(name)
}

/// Returns the first function of PostgreSQL's own in a text that works on what lives on home.
pub(super) fn home_call(text: &str, catalog: &Catalog) -> Option<String> {
    let mut before: Option<Token> = None;
    Scanner::new(text).find_map(|token| {
        let called = before.replace(token).filter(|_| token.is_mark(text, "("))?;
        identifier(text, called).filter(|name| is_of_home(name, catalog))
    })
}
