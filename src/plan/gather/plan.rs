//! Whether a read can be gathered, and the plan.

use super::super::catalog::Volatility;
use super::super::colocate::Located;
use super::super::context::{Context, Values};
use super::super::plan_types::{Fetch, Gather, ParameterSource, Plan, Statement, Use};
use super::super::system_columns::SYSTEM_COLUMNS;
use super::super::{functions, read};
use super::fetches::{fetches, narrow};
use super::uses;
use super::words::{Samples, Words};
use crate::sql::{Facts, Relation, TableName, speaks_of_the_present, splice};
use crate::types::{Refusal, ShardSet};

/// Refusals of the other ways that gathering can mend.
const MENDED: [&str; 10] = [
    "unknown_function",
    "different_shards",
    "not_colocated",
    "sharded_subquery",
    "merge_shape",
    "merge_aggregate",
    "merge_group",
    "merge_having",
    "merge_expression",
    "merge_order",
];

/// Words in whose company a temporary copy is not what the table itself is: oids; and beside them system columns.
const NOT_OF_COPIES: [&str; 8] =
    ["pg_temp", "regclass", "regtype", "regrole", "regnamespace", "regcollation", "regproc", "regprocedure"];

/// Tells whether a text says something that a temporary copy of a table does not have, or not alike.
pub(super) fn says_more_than_copies(words: &Words<'_>) -> bool {
    NOT_OF_COPIES.iter().chain(&SYSTEM_COLUMNS).any(|word| words.has(word))
}

/// PostgreSQL's functions beyond the immutable ones that look at no table and at nothing that a shard has of its own.
const BESIDES_IMMUTABLE: [&str; 22] = [
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
    "current_catalog",
    "current_database",
    "pg_client_encoding",
    "pg_typeof",
    "version",
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

/// Plans a read that `refusal` would refuse; returns that if it cannot be gathered either.
pub(in crate::plan) fn plan(
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
    let words = Words::of(values.text);
    let Some(mut fetches) = copied(facts, &words, context) else { return Err(refusal) };
    for fetch in &mut fetches {
        narrow(fetch, facts, located, &words, context, values)?;
    }
    uses::find(&mut fetches, facts, located, &words, context, values.text);
    let home = context.rules.home;
    let partial = if refusal.reason.starts_with("merge_") && !reads_clock(facts, &words, values) {
        read::partial(located, facts, context, values).map(Box::new)
    } else {
        None
    };
    Ok(Plan::Gather(Gather {
        home,
        because: refusal.message,
        statement: unqualified(values.text, values.parameters.values.len(), &words, &fetches),
        reads_reference: !located.references.is_empty(),
        reads_clock: reads_clock(facts, &words, values),
        partial,
        names_in_place: names_in_place(&words, &fetches),
        fetches,
    }))
}

/// Returns what home describes a statement over, before its values are known; `None` if copies would not do.
pub(in crate::plan) fn parsing(text: &str, facts: &Facts, context: &Context<'_>) -> Option<Gather> {
    let words = Words::of(text);
    let fetches = copied(facts, &words, context)?;
    Some(Gather {
        home: context.rules.home,
        because: String::new(),
        statement: unqualified(text, 0, &words, &fetches),
        reads_reference: false,
        reads_clock: false,
        partial: None,
        names_in_place: names_in_place(&words, &fetches),
        fetches,
    })
}

/// Returns the tables that copies stand in for; `None` where they are not what the tables are.
fn copied(facts: &Facts, words: &Words<'_>, context: &Context<'_>) -> Option<Vec<Fetch>> {
    let catalogs = facts.relations.iter().filter_map(|relation| relation.table.as_ref()).any(TableName::is_catalog);
    let of_parents = words.has("only") && !facts.relations.iter().all(|relation| is_childless(relation, context));
    // The catalogs would list the copies, too.
    if catalogs || says_more_than_copies(words) || of_parents || words.samples == Samples::Others {
        return None;
    }
    fetches(facts, words, context)
}

/// Tells whether a table that home has whole is named with its schema.
fn names_in_place(words: &Words<'_>, fetches: &[Fetch]) -> bool {
    words.qualified.iter().any(|(_, table)| fetches.iter().any(|fetch| fetch.in_place && fetch.table == *table))
}

/// Tells whether ONLY leaves nothing out: no other table's rows are this one's.
fn is_childless(relation: &Relation, context: &Context<'_>) -> bool {
    let known = relation.table.as_ref().map(|table| context.catalog.table(&table.rule_key()));
    known.is_none_or(|table| table.is_some_and(|table| table.reads.is_empty()))
}

/// Tells whether every function does on home, over all rows, what it would do in one database: it looks at no table by
/// itself, and nothing it depends on lives elsewhere.
fn runs_anywhere(facts: &Facts, context: &Context<'_>) -> bool {
    facts.functions.iter().all(|function| {
        functions::is_known(function)
            || BESIDES_IMMUTABLE.contains(&function.as_str())
            || context.catalog.volatility(function) == Volatility::Immutable
    })
}

/// Takes `public.` off the names of the copies.
fn unqualified(text: &str, parameters: usize, words: &Words<'_>, fetches: &[Fetch]) -> Statement {
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
    let parameters = (0..parameters).map(ParameterSource::Client).collect();
    Statement::Rewritten { sql: splice(text, &edits), parameters }
}

impl Gather {
    /// Returns every shard that is asked.
    pub fn shards(&self) -> ShardSet {
        let fetched = self.fetches.iter().flat_map(|fetch| fetch.shards.iter());
        fetched.chain([self.home]).collect::<ShardSet>()
    }

    /// Returns the table and the use of it that a relation of the statement is.
    pub fn use_of(&self, relation: usize) -> Option<(&Fetch, &Use)> {
        let own = |fetch: &'_ Fetch| fetch.uses.iter().position(|used| used.relation == relation);
        self.fetches.iter().find_map(|fetch| own(fetch).map(|at| (fetch, &fetch.uses[at])))
    }
}

/// Tells whether it depends on the time at which its transaction began.
fn reads_clock(facts: &Facts, words: &Words<'_>, values: &Values<'_>) -> bool {
    CLOCKS.iter().any(|word| words.has(word))
        || speaks_of_the_present(values.text, values.literals)
        || facts.functions.iter().any(|name| name == "age")
}
