//! Reads: one shard answers where that is right, else several whose rows merge, else a refusal.

use super::catalog::Volatility;
use super::colocate::Located;
use super::context::{Context, Values};
use super::plan_types::{Direct, Partial, Plan, Scatter, Statement, WriteEffect};
use super::scatter;
use super::{hidden, nested};
use crate::rules::OnMissingKey;
use crate::sql::{Facts, Scanner};
use crate::types::{Refusal, ShardId, ShardSet, SqlState};

/// PostgreSQL's functions that give the same on every server for the same arguments, change nothing, and return one
/// value for one row. A function that is not listed may be anything (volatile, an aggregate of the user's): it does not
/// run on several shards, and not on any other shard than home if no table says where.
const KNOWN_FUNCTIONS: [&str; 222] = [
    "abbrev",
    "abs",
    "acos",
    "acosd",
    "age",
    "any",
    "array",
    "array_append",
    "array_cat",
    "array_dims",
    "array_fill",
    "array_length",
    "array_lower",
    "array_ndims",
    "array_position",
    "array_positions",
    "array_prepend",
    "array_remove",
    "array_replace",
    "array_to_json",
    "array_to_string",
    "array_upper",
    "ascii",
    "asin",
    "asind",
    "atan",
    "atan2",
    "atan2d",
    "atand",
    "avg",
    "bit_count",
    "bit_length",
    "bool_and",
    "bool_or",
    "broadcast",
    "btrim",
    "cardinality",
    "cbrt",
    "ceil",
    "ceiling",
    "char_length",
    "character_length",
    "chr",
    "coalesce",
    "concat",
    "concat_ws",
    "convert_from",
    "convert_to",
    "cos",
    "cosd",
    "cosh",
    "cot",
    "cotd",
    "count",
    "current_date",
    "current_time",
    "current_timestamp",
    "date_bin",
    "date_part",
    "date_trunc",
    "daterange",
    "decode",
    "degrees",
    "div",
    "encode",
    "every",
    "exp",
    "extract",
    "factorial",
    "family",
    "floor",
    "format",
    "gcd",
    "generate_series",
    "get_bit",
    "get_byte",
    "greatest",
    "host",
    "initcap",
    "int4range",
    "int8range",
    "isempty",
    "isfinite",
    "json_array_length",
    "json_build_array",
    "json_build_object",
    "json_extract_path",
    "json_extract_path_text",
    "json_object",
    "json_strip_nulls",
    "json_typeof",
    "jsonb_array_length",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_extract_path",
    "jsonb_extract_path_text",
    "jsonb_insert",
    "jsonb_object",
    "jsonb_path_exists",
    "jsonb_path_match",
    "jsonb_path_query_array",
    "jsonb_path_query_first",
    "jsonb_pretty",
    "jsonb_set",
    "jsonb_strip_nulls",
    "jsonb_typeof",
    "justify_days",
    "justify_hours",
    "justify_interval",
    "lcm",
    "least",
    "left",
    "length",
    "ln",
    "localtimestamp",
    "log",
    "lower",
    "lower_inc",
    "lower_inf",
    "lpad",
    "ltrim",
    "make_date",
    "make_interval",
    "make_time",
    "make_timestamp",
    "make_timestamptz",
    "masklen",
    "max",
    "md5",
    "merge_action",
    "min",
    "min_scale",
    "mod",
    "netmask",
    "network",
    "now",
    "nullif",
    "num_nonnulls",
    "num_nulls",
    "numnode",
    "numrange",
    "octet_length",
    "overlay",
    "parse_ident",
    "pg_size_pretty",
    "phraseto_tsquery",
    "pi",
    "plainto_tsquery",
    "position",
    "power",
    "querytree",
    "quote_ident",
    "quote_literal",
    "quote_nullable",
    "radians",
    "range_merge",
    "regexp_count",
    "regexp_instr",
    "regexp_like",
    "regexp_match",
    "regexp_replace",
    "regexp_split_to_array",
    "regexp_substr",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "row_to_json",
    "rpad",
    "rtrim",
    "scale",
    "set_bit",
    "set_byte",
    "setweight",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "sign",
    "sin",
    "sind",
    "sinh",
    "split_part",
    "sqrt",
    "starts_with",
    "string_to_array",
    "strip",
    "strpos",
    "substr",
    "substring",
    "sum",
    "tan",
    "tand",
    "tanh",
    "timezone",
    "to_ascii",
    "to_char",
    "to_date",
    "to_hex",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_timestamp",
    "to_tsquery",
    "to_tsvector",
    "translate",
    "trim",
    "trim_array",
    "trim_scale",
    "trunc",
    "ts_headline",
    "ts_rank",
    "ts_rank_cd",
    "tsrange",
    "tstzrange",
    "unistr",
    "upper",
    "upper_inc",
    "upper_inf",
    "websearch_to_tsquery",
    "width_bucket",
];

/// Tells whether all functions are known to be harmless on any shard.
pub(super) fn is_known(functions: &[String]) -> bool {
    functions.iter().all(|function| KNOWN_FUNCTIONS.contains(&function.as_str()))
}

/// What is the same on all shards for a whole transaction; the time is, as each of them gets home's.
const OF_TRANSACTION: [&str; 5] = ["current_role", "current_user", "session_user", "transaction_timestamp", "user"];

/// What has another value for each row, on one shard as on many.
const OF_ROW: [&str; 4] = ["clock_timestamp", "gen_random_uuid", "random", "uuid_generate_v4"];

/// Tells whether all functions of a write do with a row on its shard what they would do with it among all others.
pub(super) fn act_alike(text: &str, functions: &[String], context: &Context<'_>) -> bool {
    functions.iter().all(|function| {
        is_known(std::slice::from_ref(function))
            || OF_TRANSACTION.contains(&function.as_str())
            || OF_ROW.contains(&function.as_str()) && is_by_row(text)
            || context.catalog.volatility(function) == Volatility::Immutable
    })
}

/// Tells whether all of an UPDATE or DELETE is evaluated for each row: a query of its own gives one value for all.
fn is_by_row(text: &str) -> bool {
    let count = |word: &str| Scanner::new(text).filter(|token| token.is_word(text, word)).count();
    let queries = ["select", "values", "table", "with", "lateral", "using", "merge", "insert"];
    queries.iter().all(|word| count(word) == 0) && count("from") <= count("delete")
}

/// Refuses functions whose state lives on home where the statement runs on another shard.
pub(super) fn check_home(facts: &Facts, shard: ShardId, context: &Context<'_>) -> Result<(), Refusal> {
    let homely = |name: &&String| hidden::is_of_home(name, context.catalog);
    match facts.functions.iter().find(homely) {
        Some(name) if shard != context.rules.home => Err(only_home(name, context)),
        Some(_) | None => Ok(()),
    }
}

/// The refusal of a function whose state lives on home.
pub(super) fn only_home(name: &str, context: &Context<'_>) -> Refusal {
    Refusal::unsupported(
        format!("{name}() works on {} only", context.rules.shard(context.rules.home).name),
        "Call it in a statement of its own.",
    )
    .with_reason("home_function")
}

/// Refuses what no values can make right.
pub(super) fn check(facts: &Facts, located: &Located, context: &Context<'_>) -> Result<(), Refusal> {
    if writes_inside(facts, located) { nested::check(facts, context) } else { Ok(()) }
}

/// Tells whether a part of the statement writes, beside tables that are not all on one shard.
pub(super) fn writes_inside(facts: &Facts, located: &Located) -> bool {
    facts.nested_write && !(located.keyed.is_empty() && located.references.is_empty())
}

/// Returns the plan if one shard is enough, `None` if several are needed.
pub(super) fn direct(
    located: &Located,
    facts: &Facts,
    context: &Context<'_>,
    values: &Values<'_>,
) -> Result<Option<Plan>, Refusal> {
    let Some(needed) = needed_shards(located, context, values)? else { return Ok(None) };
    if needed.len() > 1 {
        return match located.fixed.first() {
            Some((table, shard)) if !located.keyed.is_empty() => Err(apart(located, table, *shard, context)),
            Some(_) | None => Ok(None),
        };
    }
    let shard = needed.only().unwrap_or_else(|| located.spare(context.rules));
    check_home(facts, shard, context)?;
    let free = needed.is_empty() && located.fixed.is_empty() && located.keyed.is_empty();
    let writes = facts.locks || facts.nested_write || !calls_nothing_else(facts, located);
    let effect = effect(facts, located, context);
    Ok(Some(Plan::Direct(Direct {
        shard,
        statement: Statement::Original,
        effect,
        anywhere: free && !writes,
        reads_reference: !located.references.is_empty(),
    })))
}

/// Tells whether all functions are harmless on any shard: known, and not hidden by one of the user's that acts.
fn calls_nothing_else(facts: &Facts, located: &Located) -> bool {
    is_known(&facts.functions) && located.called.acts.is_none()
}

/// What a read holds or writes: row locks, what functions do.
fn effect(facts: &Facts, located: &Located, context: &Context<'_>) -> Option<WriteEffect> {
    let writes = located.called.writes.then(|| super::modify::hinted_effect(context.rules));
    let holds = facts.locks || facts.nested_write;
    writes.or_else(|| holds.then(|| super::modify::lock_effect(located, context.rules)))
}

/// Returns the shards whose rows matter; `None` if some sharded table is not bound.
fn needed_shards(located: &Located, context: &Context<'_>, values: &Values<'_>) -> Result<Option<ShardSet>, Refusal> {
    let mut needed = ShardSet::new();
    for (table, shard) in &located.fixed {
        needed.insert(*shard);
        if needed.len() > 1 {
            return Err(two_places(located, table, context));
        }
    }
    for keyed in &located.keyed {
        match keyed.shards(context.rules, values) {
            Some(shards) => needed = needed.union(&shards),
            None => return Ok(None),
        }
    }
    Ok(Some(needed))
}

fn two_places(located: &Located, table: &str, context: &Context<'_>) -> Refusal {
    let (first, shard) = located.fixed.first().map_or(("", ShardId(0)), |(table, shard)| (table.as_str(), *shard));
    Refusal::unsupported(
        format!("tables \"{first}\" (on {}) and \"{table}\" live on different shards", context.rules.shard(shard).name),
        "Make one of them a reference table, or read them one after the other.",
    )
    .with_reason("different_shards")
}

fn apart(located: &Located, table: &str, shard: ShardId, context: &Context<'_>) -> Refusal {
    let sharded = located.keyed.first().map_or("", |keyed| keyed.table.as_str());
    Refusal::unsupported(
        format!(
            "table \"{table}\" lives on {} and the rows of \"{sharded}\" on other shards",
            context.rules.shard(shard).name
        ),
        "Make it a reference table, or read the two one after the other.",
    )
    .with_reason("different_shards")
}

/// Plans a read over several shards.
pub(super) fn scatter(
    located: &Located,
    facts: &Facts,
    context: &Context<'_>,
    values: &Values<'_>,
) -> Result<Plan, Refusal> {
    if let Some((table, shard)) = located.fixed.first() {
        return Err(apart(located, table, *shard, context));
    }
    let root = root(located, facts)?;
    if let Some(other) = located.keyed.iter().find(|keyed| !keyed.follows.contains(&located.keyed[root].relation)) {
        return Err(not_colocated(located, root, &other.table));
    }
    let keyed = &located.keyed[root];
    let bound = keyed.shards(context.rules, values);
    if bound.is_none() && context.rules.group(keyed.group).missing_key.read == OnMissingKey::Reject {
        return Err(missing_key(&keyed.table, &keyed.key_names()));
    }
    let mut shards = bound.unwrap_or_else(|| context.rules.shards_of_group(keyed.group));
    if shards.is_empty() {
        shards.insert(located.spare(context.rules));
    }
    if !calls_nothing_else(facts, located) {
        let unknown = facts.functions.iter().find(|function| !is_known(std::slice::from_ref(*function)));
        let name = unknown.or(located.called.acts.as_ref()).map_or("", String::as_str);
        return Err(Refusal::unsupported(
            format!("function {name}() is not known to be the same on every shard of table \"{}\"", keyed.table),
            format!("Bind the sharding key \"{}\" to one value.", keyed.key_names()),
        )
        .with_reason("unknown_function"));
    }
    let (statement, merge) = match shards.len() {
        1 => return Ok(one(shards, located, facts, context)),
        _ => scatter::merge(facts, keyed, values)?,
    };
    Ok(Plan::Scatter(Scatter {
        shards,
        statement,
        merge,
        reads_reference: !located.references.is_empty(),
        locks: facts.locks,
    }))
}

/// Returns how home can finish what each shard makes of its own rows; `None` where it needs the rows themselves.
pub(super) fn partial(located: &Located, facts: &Facts, context: &Context<'_>, values: &Values<'_>) -> Option<Partial> {
    let keyed = &located.keyed[root(located, facts).ok()?];
    let shards = keyed.shards(context.rules, values).unwrap_or_else(|| context.rules.shards_of_group(keyed.group));
    super::partial::plan(facts, shards, !located.references.is_empty(), values)
}

/// All rows that matter are on one shard after all.
fn one(shards: ShardSet, located: &Located, facts: &Facts, context: &Context<'_>) -> Plan {
    Plan::Direct(Direct {
        shard: shards.only().unwrap_or_else(|| located.spare(context.rules)),
        statement: Statement::Original,
        effect: effect(facts, located, context),
        anywhere: false,
        reads_reference: !located.references.is_empty(),
    })
}

/// Finds the sharded table whose rows say which shard a result row comes from.
fn root(located: &Located, facts: &Facts) -> Result<usize, Refusal> {
    let stands = |relation: usize| facts.relations[relation].scope == 0 && !facts.relations[relation].nullable;
    located.keyed.iter().position(|keyed| stands(keyed.relation)).ok_or_else(|| {
        let keyed = located.keyed.first();
        let (table, key) = keyed.map_or(("", ""), |keyed| (keyed.table.as_str(), keyed.key.as_str()));
        Refusal::unsupported(
            format!("table \"{table}\" stands in a subquery or on the optional side of an outer join"),
            format!("Bind the sharding key \"{key}\" to one value there, so that one shard can answer."),
        )
        .with_reason("sharded_subquery")
    })
}

fn not_colocated(located: &Located, root: usize, other: &str) -> Refusal {
    let keyed = &located.keyed[root];
    Refusal::unsupported(
        format!("tables \"{}\" and \"{other}\" are not joined by their sharding keys", keyed.table),
        "Join them by equality of their sharding keys, or bind both keys to one value.",
    )
    .with_reason("not_colocated")
}

/// The refusal of a statement that must have a key.
pub(super) fn missing_key(table: &str, key: &str) -> Refusal {
    Refusal::new(SqlState::INVALID_PARAMETER_VALUE, format!("missing sharding key \"{key}\" of table \"{table}\""))
        .with_hint(format!(
            "Add a condition on \"{key}\" under AND, or let the rules say missing_key: scatter for this table group."
        ))
        .with_reason("missing_sharding_key")
}
