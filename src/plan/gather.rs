//! Reads that no merge can answer: the tables' rows come to one server, and PostgreSQL itself runs the statement there.
//!
//! What is fetched is told by names alone, so that nothing depends on how the statement is nested: every table of the
//! rules whose name stands in the text, and of it every column whose name does. More than needed is slow, never wrong.

use std::collections::{HashMap, HashSet};

use super::catalog::{Table, Volatility};
use super::colocate::Located;
use super::context::{Context, Values};
use super::plan_types::{Fetch, Gather, Plan, Statement};
use super::read;
use crate::rules::{Distribution, OnMissingKey};
use crate::sql::{Facts, Scanner, TableName, Token, TokenKind, identifier, splice};
use crate::types::{Refusal, ShardSet};

/// Refusals of the other ways that gathering can mend.
const MENDED: [&str; 9] = [
    "unknown_function",
    "different_shards",
    "not_colocated",
    "sharded_subquery",
    "merge_shape",
    "merge_aggregate",
    "merge_group",
    "merge_having",
    "merge_expression",
];

/// Words in whose company a temporary copy is not what the table itself is: system columns, sampling, inheritance, oids.
const NOT_OF_COPIES: [&str; 16] = [
    "ctid",
    "tableoid",
    "xmin",
    "xmax",
    "cmin",
    "cmax",
    "only",
    "tablesample",
    "pg_temp",
    "regclass",
    "regtype",
    "regrole",
    "regnamespace",
    "regcollation",
    "regproc",
    "regprocedure",
];

/// PostgreSQL's functions beyond the immutable ones that look at no table and at nothing that a shard has of its own.
const BESIDES_IMMUTABLE: [&str; 17] = [
    "grouping",
    "array_to_json",
    "clock_timestamp",
    "gen_random_uuid",
    "json_agg",
    "json_object_agg",
    "json_object",
    "jsonb_agg",
    "jsonb_object_agg",
    "quote_literal",
    "quote_nullable",
    "random",
    "row_to_json",
    "statement_timestamp",
    "to_json",
    "to_jsonb",
    "transaction_timestamp",
];

/// What says when the transaction began.
const CLOCKS: [&str; 7] = [
    "now",
    "transaction_timestamp",
    "current_timestamp",
    "current_date",
    "current_time",
    "localtimestamp",
    "localtime",
];

/// Words that end a select list's `*`, and never begin an operand.
const BEHIND_STAR: [&str; 16] = [
    "from",
    "into",
    "where",
    "group",
    "having",
    "window",
    "order",
    "limit",
    "offset",
    "fetch",
    "for",
    "union",
    "intersect",
    "except",
    "returning",
    "as",
];

/// Plans a read that `refusal` would refuse; returns that if it cannot be gathered either.
pub(super) fn plan(
    facts: &Facts,
    located: &Located,
    context: &Context<'_>,
    values: &Values<'_>,
    refusal: Refusal,
) -> Result<Plan, Refusal> {
    let acts = located.called.acts.is_some();
    if !MENDED.contains(&refusal.reason) || facts.locks || facts.nested_write || acts || !runs_anywhere(facts, context)
    {
        return Err(refusal);
    }
    let catalogs = facts.relations.iter().filter_map(|relation| relation.table.as_ref()).any(TableName::is_catalog);
    let words = Words::of(values.text);
    // The catalogs would list the copies, too.
    if catalogs || NOT_OF_COPIES.iter().any(|word| words.has(word)) {
        return Err(refusal);
    }
    let Some(mut fetches) = fetches(facts, &words, context) else { return Err(refusal) };
    for fetch in &mut fetches {
        narrow(fetch, facts, located, &words, context, values)?;
    }
    let home = context.rules.home;
    Ok(Plan::Gather(Gather {
        home,
        because: refusal.message,
        statement: unqualified(values, &words, &fetches),
        reads_reference: !located.references.is_empty(),
        reads_clock: CLOCKS.iter().any(|word| words.has(word)),
        names_in_place: words
            .qualified
            .iter()
            .any(|(_, table)| fetches.iter().any(|f| f.in_place && f.table == *table)),
        fetches,
    }))
}

/// Tells whether every function does on home, over all rows, what it would do in one database: it looks at no table by
/// itself, and nothing it depends on lives elsewhere.
fn runs_anywhere(facts: &Facts, context: &Context<'_>) -> bool {
    facts.functions.iter().all(|function| {
        read::is_known(std::slice::from_ref(function))
            || BESIDES_IMMUTABLE.contains(&function.as_str())
            || context.catalog.volatility(function) == Volatility::Immutable
    })
}

/// Lists the tables whose rows home has not, or not all of; `None` if a table's name may mean another one.
fn fetches(facts: &Facts, words: &Words<'_>, context: &Context<'_>) -> Option<Vec<Fetch>> {
    let mut fetches = Vec::new();
    let mut listed: Vec<_> = context.rules.tables.iter().collect();
    listed.sort_by_key(|(key, _)| key.as_str());
    for (key, rule) in listed {
        let name = key.rsplit('.').next().unwrap_or(key);
        if !words.has(name) {
            continue;
        }
        let shards = match &rule.distribution {
            Distribution::Sharded { group, .. } => context.rules.shards_of_group(*group),
            Distribution::Reference { .. } => [context.rules.home].into_iter().collect(),
            Distribution::Single { shard } => [*shard].into_iter().collect(),
        };
        if name != key {
            // A copy has no schema, and a bare name may mean a table of another one.
            return None;
        }
        let columns = context.catalog.table(key).map(|table| needed(table, name, facts, words)).unwrap_or_default();
        let in_place =
            shards.only() == Some(context.rules.home) && !matches!(rule.distribution, Distribution::Sharded { .. });
        let physical = rule.split.as_ref().map(|split| split.names.clone()).unwrap_or_default();
        fetches.push(Fetch { table: name.to_owned(), columns, shards, physical, in_place });
    }
    fetches.extend(unlisted(facts, words, context));
    let schemas = facts.relations.iter().filter_map(|relation| relation.table.as_ref());
    let strange = |name: &str, schema: Option<&str>| {
        schema.is_some_and(|schema| schema != "public")
            && fetches.iter().any(|fetch| fetch.table == name && !fetch.in_place)
    };
    if schemas.into_iter().any(|table| strange(&table.name, table.schema.as_deref())) {
        return None;
    }
    Some(fetches)
}

/// Lists the tables that no rule names: home has them, but a transaction's own writes to them only that sees.
fn unlisted(facts: &Facts, words: &Words<'_>, context: &Context<'_>) -> Vec<Fetch> {
    let mut fetches: Vec<Fetch> = Vec::new();
    for table in facts.relations.iter().filter_map(|relation| relation.table.as_ref()) {
        let key = table.rule_key();
        let seen = fetches.iter().any(|fetch| fetch.table == key);
        if seen || table.is_catalog() || context.rules.table(&key).is_some() {
            continue;
        }
        // One of another schema stays without columns: it cannot be copied.
        let known = context.catalog.table(&key).filter(|_| *key == table.name);
        let columns = known.map(|known| needed(known, &table.name, facts, words)).unwrap_or_default();
        let shards = [context.rules.home].into_iter().collect();
        fetches.push(Fetch { table: key.into_owned(), columns, shards, physical: Vec::new(), in_place: true });
    }
    fetches
}

/// Leaves out the shards that hold no row that matters, where every use of the table binds its key.
fn narrow(
    fetch: &mut Fetch,
    facts: &Facts,
    located: &Located,
    words: &Words<'_>,
    context: &Context<'_>,
    values: &Values<'_>,
) -> Result<(), Refusal> {
    let named = |index: usize| facts.relations[index].table.as_ref().is_some_and(|table| table.name == fetch.table);
    let uses: Vec<_> = located.keyed.iter().filter(|keyed| named(keyed.relation)).collect();
    let Some(first) = uses.first() else { return Ok(()) };
    let bound: Vec<Option<ShardSet>> = uses.iter().map(|keyed| keyed.shards(context.rules, values)).collect();
    if bound.iter().any(Option::is_none) && context.rules.group(first.group).missing_key.read == OnMissingKey::Reject {
        return Err(read::missing_key(&first.table, &first.key));
    }
    let all_seen = words.count(&fetch.table) == (0..facts.relations.len()).filter(|index| named(*index)).count();
    if all_seen && bound.iter().all(Option::is_some) {
        fetch.shards = bound.into_iter().flatten().fold(ShardSet::new(), |all, shards| all.union(&shards));
    }
    Ok(())
}

/// Returns the columns that the statement may read, in the table's order; at least one, to count rows by.
fn needed(table: &Table, name: &str, facts: &Facts, words: &Words<'_>) -> Vec<String> {
    let by_position = words.star
        || ["natural", "table"].iter().any(|word| words.has(word))
        || facts.relations.iter().any(|relation| relation.renamed);
    let all = by_position || is_read_whole(name, facts, words);
    let wanted = |column: &&super::catalog::Column| all || words.has(&column.name);
    let mut columns: Vec<String> = table.columns.iter().filter(wanted).map(|column| column.name.clone()).collect();
    if columns.is_empty() {
        columns.extend(table.columns.first().map(|column| column.name.clone()));
    }
    columns
}

/// Tells whether the table's name, or one that the statement gives it, may stand for a whole row.
fn is_read_whole(name: &str, facts: &Facts, words: &Words<'_>) -> bool {
    let own = facts.relations.iter().filter(|relation| relation.table.as_ref().is_some_and(|table| table.name == name));
    let names: HashSet<&str> = own.map(|relation| relation.alias.as_str()).chain([name]).collect();
    names.iter().any(|name| {
        let defined = facts.relations.iter().map(|relation| {
            let table = relation.table.as_ref().is_some_and(|table| table.name == **name);
            usize::from(table) + usize::from(!table && relation.alias == **name)
        });
        words.alone(name) > defined.sum()
    })
}

/// Takes `public.` off the names of the copies.
fn unqualified(values: &Values<'_>, words: &Words<'_>, fetches: &[Fetch]) -> Statement {
    let copied = |name: &str| fetches.iter().any(|fetch| fetch.table == name && !fetch.in_place);
    let edits: Vec<_> = words
        .qualified
        .iter()
        .filter(|(_, table)| copied(table))
        .map(|(span, _)| (span.clone(), "pg_temp".to_owned()))
        .collect();
    if edits.is_empty() {
        return Statement::Original;
    }
    let parameters = (0..values.parameters.values.len()).map(super::plan_types::ParameterSource::Client).collect();
    Statement::Rewritten { sql: splice(values.text, &edits), parameters }
}

/// The names in a text.
struct Words<'a> {
    /// How often each stands there, and how often without a dot behind it.
    counts: HashMap<String, (usize, usize)>,
    /// Whether a `*` may stand for columns.
    star: bool,
    /// Where `public` qualifies a name, and which.
    qualified: Vec<(std::ops::Range<usize>, String)>,
    text: &'a str,
}

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        let tokens: Vec<Token> = Scanner::new(text).collect();
        let mut words = Self { counts: HashMap::new(), star: false, qualified: Vec::new(), text };
        for at in 0..tokens.len() {
            words.take(&tokens, at);
        }
        words
    }

    fn take(&mut self, tokens: &[Token], at: usize) {
        let text = self.text;
        if tokens[at].text(text) == "*" {
            self.star |= selects_columns(text, tokens, at);
        }
        let Some(name) = identifier(text, tokens[at]) else { return };
        // FETCH FIRST n ROWS ONLY says nothing of a table.
        if name == "only" && at > 0 && ["row", "rows"].iter().any(|word| tokens[at - 1].is_word(text, word)) {
            return;
        }
        let dotted = tokens.get(at + 1).is_some_and(|next| next.is_mark(text, "."));
        if dotted
            && name == "public"
            && let Some(table) = tokens.get(at + 2).and_then(|table| identifier(text, *table))
        {
            self.qualified.push((tokens[at].span(), table));
        }
        let count = self.counts.entry(name).or_default();
        count.0 += 1;
        count.1 += usize::from(!dotted);
    }

    fn has(&self, name: &str) -> bool {
        self.counts.contains_key(name)
    }

    fn count(&self, name: &str) -> usize {
        self.counts.get(name).map_or(0, |count| count.0)
    }

    fn alone(&self, name: &str) -> usize {
        self.counts.get(name).map_or(0, |count| count.1)
    }
}

/// Tells whether a `*` may stand for columns: in doubt it does. `count(*)` and a product do not.
fn selects_columns(text: &str, tokens: &[Token], at: usize) -> bool {
    let before = at.checked_sub(1).map(|index| tokens[index]);
    let next = tokens.get(at + 1);
    let counts =
        before.is_some_and(|before| before.is_mark(text, "(")) && next.is_some_and(|next| next.is_mark(text, ")"));
    if counts {
        return false;
    }
    let ends_operand = before.is_some_and(|before| match before.kind {
        TokenKind::Word => !["select", "distinct", "all"].iter().any(|word| before.is_word(text, word)),
        TokenKind::QuotedIdentifier | TokenKind::Parameter | TokenKind::Number => true,
        _ => before.is_string() || before.is_mark(text, ")") || before.is_mark(text, "]"),
    });
    let begins_operand = next.is_some_and(|next| match next.kind {
        TokenKind::Word => !BEHIND_STAR.iter().any(|word| next.is_word(text, word)),
        TokenKind::QuotedIdentifier | TokenKind::Parameter | TokenKind::Number => true,
        _ => next.is_string() || next.is_mark(text, "("),
    });
    !(ends_operand && begins_operand)
}

impl Gather {
    /// Returns every shard that is asked.
    pub fn shards(&self) -> ShardSet {
        let fetched = self.fetches.iter().flat_map(|fetch| fetch.shards.iter());
        fetched.chain([self.home]).collect::<ShardSet>()
    }
}
