//! Which functions do the same on every shard.

use super::catalog::{Catalog, Volatility};
use super::colocate::Located;
use super::context::Context;
use super::root::is_held_by_key;
use crate::sql::{Facts, Scanner, is_aggregate_name};

/// PostgreSQL's functions, and `shardloom.decode_id`, that give the same on every server for the same arguments, and change nothing; what they
/// return for one row, one value or several, does not depend on others. A function that is not listed may be anything (volatile, an aggregate of the user's): it does not
/// run on several shards, and not on any other shard than home if no table says where.
const KNOWN_FUNCTIONS: [&str; 261] = [
    "abbrev",
    "abs",
    "acos",
    "acosd",
    "acosh",
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
    "asinh",
    "atan",
    "atan2",
    "atan2d",
    "atand",
    "atanh",
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
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "date",
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
    "generate_subscripts",
    "get_bit",
    "get_byte",
    "greatest",
    "host",
    "initcap",
    "int4range",
    "int8range",
    "is_normalized",
    "isempty",
    "isfinite",
    "json_array_elements",
    "json_array_elements_text",
    "json_array_length",
    "json_build_array",
    "json_build_object",
    "json_each",
    "json_each_text",
    "json_extract_path",
    "json_extract_path_text",
    "json_object",
    "json_object_keys",
    "json_strip_nulls",
    "json_to_record",
    "json_to_recordset",
    "json_typeof",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "jsonb_array_length",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_each",
    "jsonb_each_text",
    "jsonb_extract_path",
    "jsonb_extract_path_text",
    "jsonb_insert",
    "jsonb_object",
    "jsonb_object_keys",
    "jsonb_path_exists",
    "jsonb_path_match",
    "jsonb_path_query",
    "jsonb_path_query_array",
    "jsonb_path_query_first",
    "jsonb_pretty",
    "jsonb_set",
    "jsonb_set_lax",
    "jsonb_strip_nulls",
    "jsonb_to_record",
    "jsonb_to_recordset",
    "jsonb_typeof",
    "justify_days",
    "justify_hours",
    "justify_interval",
    "lcm",
    "least",
    "left",
    "length",
    "ln",
    "localtime",
    "localtimestamp",
    "log",
    "log10",
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
    "normalize",
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
    "regexp_matches",
    "regexp_replace",
    "regexp_split_to_array",
    "regexp_split_to_table",
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
    "session_user",
    "set_bit",
    "set_byte",
    "setweight",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "shardloom.decode_id",
    "sign",
    "sin",
    "sind",
    "sinh",
    "split_part",
    "sqrt",
    "starts_with",
    "string_to_array",
    "string_to_table",
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
    "ts_delete",
    "ts_headline",
    "ts_rank",
    "ts_rank_cd",
    "tsrange",
    "tstzrange",
    "tsvector_to_array",
    "unistr",
    "unnest",
    "upper",
    "upper_inc",
    "upper_inf",
    "user",
    "websearch_to_tsquery",
    "width_bucket",
    "xpath",
    "xpath_exists",
];

/// PostgreSQL's window functions that are no aggregates.
const WINDOWS: [&str; 7] = ["first_value", "lag", "last_value", "lead", "nth_value", "ntile", "row_number"];

/// Tells whether a function is known to be harmless on any shard.
pub(super) fn is_known(function: &str) -> bool {
    KNOWN_FUNCTIONS.contains(&function)
}

/// Tells whether it is one of PostgreSQL's of many rows, which give the same on every server for the same rows; where it matters
/// in the same order. They are harmless where the rows are those of one shard.
pub(super) fn is_of_rows(function: &str) -> bool {
    is_aggregate_name(function) || WINDOWS.contains(&function)
}

/// Tells whether all functions are known to be harmless on any shard.
pub(super) fn are_known(functions: &[String]) -> bool {
    functions.iter().all(|function| is_known(function))
}

/// Finds a function of PostgreSQL's name that may be one of the users' own.
pub(super) fn own<'f>(facts: &'f Facts, catalog: &Catalog) -> Option<&'f str> {
    facts.functions.iter().map(String::as_str).find(|name| catalog.own_names.contains(*name))
}

/// Finds a function that may give something else if each shard of the table `root` calls it for its own rows.
pub(super) fn unknown<'f>(facts: &'f Facts, located: &Located, root: usize) -> Option<&'f str> {
    let one_by_one = || keeps_rows_apart(facts, located, root);
    let harmless = |name: &str| is_known(name) || is_of_rows(name) && one_by_one();
    facts.functions.iter().map(String::as_str).find(|name| !harmless(name))
}

/// Tells whether wherever rows are taken together they are those of one shard: they have one key, or are brought together for
/// a row of the table, by its key. Rows of a reference table may lie in another order on each shard.
fn keeps_rows_apart(facts: &Facts, located: &Located, root: usize) -> bool {
    let has_keyed = |scope: usize| located.keyed.iter().any(|keyed| facts.relations[keyed.relation].scope == scope);
    facts.scopes.iter().enumerate().all(|(at, scope)| {
        scope.together.is_empty() || is_held_by_key(located, facts, root, scope) || at > 0 && has_keyed(at)
    })
}

/// What is the same on all shards for a whole transaction; the time is, as each of them gets home's.
const OF_TRANSACTION: [&str; 1] = ["transaction_timestamp"];

/// What has another value for each row, on one shard as on many.
const OF_ROW: [&str; 4] = ["clock_timestamp", "gen_random_uuid", "random", "uuid_generate_v4"];

/// Tells whether all functions of a write do with a row on its shard what they would do with it among all others.
pub(super) fn act_alike(text: &str, functions: &[String], context: &Context<'_>) -> bool {
    functions.iter().all(|function| {
        is_known(function) && !context.catalog.own_names.contains(function)
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
