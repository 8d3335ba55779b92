//! COPY: rows for a sharded table are split by key in a stream; everything else goes to the one shard that it names.

use crate::rules::{Distribution, GroupId, IdRule, IdSource, OnMissingKey, RuleSet, TableRule};
use crate::sql::{
    CopyDirection, CopyFormat, CopyHead, CopyOptions, ForceColumns, Scanner, TableName, identifier, splice,
};
use crate::types::{KeyType, Refusal, ShardId, SqlState, WriteMode, type_modifier};
use crate::wire::copy_csv::Quoting;

use super::catalog::{Catalog, Column};
use super::context::Context;
use super::hidden;
use super::insert::{
    HomeNumber, appended_moments, left_out, missing_key, numbered, numbered_columns, quoted, reference_mode,
    target_table, unlisted, unnamed_columns,
};
use super::key::{binary_fits, column_fits, misfit};
use super::split;
use super::{CopyKey, CopyOut, CopyPlan, Direct, Plan, Redo, Statement, WriteEffect};

/// Plans a COPY; `text` is the one that `head` was read from.
///
/// # Errors
/// 0A000 for what is not available over shards, 23502 if the sharding key is not among the columns.
pub fn plan(text: &str, head: &CopyHead, context: &Context<'_>) -> Result<Plan, Refusal> {
    let Context { rules, catalog } = *context;
    let Some(table) = &head.table else { return query(text, head, context) };
    let name = table.rule_key();
    let rule = rules.table(&name);
    match rule.map(|rule| &rule.distribution) {
        Some(Distribution::Sharded { group, key, more }) => {
            let group_id = *group;
            let group = rules.group(group_id);
            if head.direction == CopyDirection::ToStdout {
                if group.missing_key.read == OnMissingKey::Reject {
                    let columns = std::iter::once(key).chain(more).map(String::as_str).collect::<Vec<_>>();
                    return Err(super::read::missing_key(&name, &columns.join("\", \""), "read"));
                }
                let CopyOptions { format, header, .. } = head.options;
                let shards = rules.shards_of_group(group_id);
                let statement = split::copy_out(text, head, context)?;
                return Ok(Plan::CopyOut(CopyOut { shards, statement, format, header, merged: None }));
            }
            let key_type = group.key_type;
            let copy = Sharded { text, head, rule, name: &name, key, group: group_id, key_type, rules, catalog };
            // Each column of a composite key is judged as a key is.
            let further: Vec<Sharded<'_>> = more
                .iter()
                .zip(group.more_types())
                .map(|(key, key_type)| Sharded { key, key_type: *key_type, ..copy })
                .collect();
            let mut plan = sharded(&copy)?;
            plan.more = further.iter().map(further_key).collect::<Result<_, _>>()?;
            split::copy_in(text, head, &mut plan, context)?;
            Ok(Plan::Copy(Box::new(plan)))
        }
        Some(Distribution::Reference { home, multi_shard }) => {
            let mode = if is_from(head) { reference_mode(multi_shard, &name)? } else { WriteMode::TwoPhase };
            Ok(Plan::Direct(direct(*home, head, rule, &name, Some(mode))))
        }
        Some(Distribution::Single { shard }) => Ok(Plan::Direct(direct(*shard, head, rule, &name, None))),
        None => {
            hidden::relation(table, context)?;
            Ok(Plan::Direct(direct(unlisted(table, rules)?, head, rule, &name, None)))
        }
    }
}

fn is_from(head: &CopyHead) -> bool {
    match head.direction {
        CopyDirection::FromStdin | CopyDirection::FromFile => true,
        CopyDirection::ToStdout | CopyDirection::ToFile => false,
    }
}

fn effect(table: String, reference: bool, mode: WriteMode) -> WriteEffect {
    let redo = Redo::Never(String::from("COPY's rows are not kept for a redo"));
    WriteEffect { tables: vec![table], reference, mode, redo, deferrable: false, assumed: Vec::new() }
}

/// `reference` is the mode of a reference table.
fn direct(
    shard: ShardId,
    head: &CopyHead,
    rule: Option<&TableRule>,
    name: &str,
    reference: Option<WriteMode>,
) -> Direct {
    let mode = reference.unwrap_or(WriteMode::TwoPhase);
    let write = || effect(target_table(rule, name), reference.is_some(), mode);
    let read = !is_from(head);
    Direct {
        shard,
        statement: Statement::Original,
        effect: (!read).then(write),
        anywhere: read && reference.is_some(),
        reads_reference: read && reference.is_some(),
    }
}

#[derive(Clone, Copy)]
struct Sharded<'a> {
    text: &'a str,
    head: &'a CopyHead,
    rule: Option<&'a TableRule>,
    name: &'a str,
    key: &'a str,
    group: GroupId,
    key_type: KeyType,
    rules: &'a RuleSet,
    catalog: &'a Catalog,
}

fn sharded(copy: &Sharded<'_>) -> Result<CopyPlan, Refusal> {
    check_direction(copy)?;
    check_options(copy)?;
    check_type(copy)?;
    let columns = columns(copy)?;
    let table = target_table(copy.rule, copy.name);
    let numbers = numbers(copy, &columns)?;
    let moments = moments(copy, &columns);
    let id_source = id_source(copy, &columns)?;
    let id = copy.rule.and_then(|rule| rule.id.as_ref()).map(|id| &id.column);
    // What is appended to each row stands behind what the client sends.
    let behind = numbers.iter().chain(&moments).map(|number| &number.column);
    let appended: Vec<String> = behind.chain(id_source.and(id)).cloned().collect();
    check_forced(&copy.head.options, &appended)?;
    let statement = with_columns(copy, &columns, &appended);
    let given = columns.iter().position(|column| column == copy.key);
    let number = appended[..numbers.len()].iter().position(|column| column == copy.key);
    let key_is_made = given.or(number).is_none() && id_source.is_some_and(|source| is_made_key(copy, source));
    let made = number.or(key_is_made.then_some(numbers.len() + moments.len())).map(|at| columns.len() + at);
    let key_position = given.or(made).ok_or_else(|| missing_key(&table, copy.key))?;
    let options = &copy.head.options;
    let csv = quoting(options)?;
    let positions =
        |holds: &dyn Fn(&str) -> bool| (0..columns.len()).filter(|at| holds(&columns[*at])).collect::<Vec<usize>>();
    Ok(CopyPlan {
        statement,
        key: copy.key.to_owned(),
        key_position,
        key_is_made,
        group: copy.group,
        key_type: copy.key_type,
        more: Vec::new(),
        key_modifier: key_column(copy).and_then(|column| type_modifier(&column.type_name)),
        binary: copy.head.options.format == CopyFormat::Binary,
        csv,
        header: options.header,
        delimiter: one_byte(&options.delimiter, "delimiter")?.unwrap_or(if csv.is_some() { b',' } else { b'\t' }),
        null: options.null.clone().unwrap_or_else(|| String::from(if csv.is_some() { "" } else { "\\N" })),
        split: None,
        force_null: positions(&|column| options.force_null.holds(column)),
        force_not_null: positions(&|column| options.force_not_null.holds(column)),
        id_source,
        numbers,
        moments,
        checked_id: checked_id(copy, &columns)?,
        columns: columns.into_iter().chain(appended).collect(),
        effect: effect(table.clone(), false, WriteMode::TwoPhase),
        table,
    })
}

/// What the client does not send has no place in its options: the servers are sent more.
fn check_forced(options: &CopyOptions, appended: &[String]) -> Result<(), Refusal> {
    for (option, forced) in [("FORCE_NULL", &options.force_null), ("FORCE_NOT_NULL", &options.force_not_null)] {
        let ForceColumns::Columns(listed) = forced else { continue };
        if let Some(column) = appended.iter().find(|column| listed.contains(column)) {
            let message = format!("{option} column \"{column}\" not referenced by COPY");
            return Err(Refusal::new(SqlState::INVALID_COLUMN_REFERENCE, message));
        }
    }
    Ok(())
}

/// A column of a composite key behind the first.
fn further_key(copy: &Sharded<'_>) -> Result<CopyKey, Refusal> {
    if copy.head.options.format == CopyFormat::Binary {
        check_binary(copy)?;
    }
    check_type(copy)?;
    let position = columns(copy)?.iter().position(|column| column == copy.key);
    let table = target_table(copy.rule, copy.name);
    Ok(CopyKey {
        name: copy.key.to_owned(),
        position: position.ok_or_else(|| missing_key(&table, copy.key))?,
        key_type: copy.key_type,
        modifier: key_column(copy).and_then(|column| type_modifier(&column.type_name)),
    })
}

fn check_direction(copy: &Sharded<'_>) -> Result<(), Refusal> {
    match copy.head.direction {
        CopyDirection::FromStdin | CopyDirection::ToStdout => Ok(()),
        CopyDirection::FromFile | CopyDirection::ToFile => Err(Refusal::unsupported(
            format!("COPY of the sharded table \"{}\" with a file or program of the server", copy.name),
            "Use COPY … FROM STDIN or TO STDOUT (\\copy in psql).",
        )),
    }
}

fn check_options(copy: &Sharded<'_>) -> Result<(), Refusal> {
    let options = &copy.head.options;
    let refused = |what: &str, hint: &str| {
        Err(Refusal::unsupported(format!("COPY FROM into the sharded table \"{}\" with {what}", copy.name), hint))
    };
    match options.format {
        CopyFormat::Text | CopyFormat::Csv => {}
        CopyFormat::Binary => check_binary(copy)?,
    }
    let quoted = (options.force_quote != ForceColumns::None).then_some("force_quote");
    if let Some(other) = quoted.or(options.others.first().map(String::as_str)) {
        return refused(&format!("the option {other}"), "Leave the option out.");
    }
    match options.encoding.as_deref().map(|name| name.to_ascii_lowercase().replace('-', "")) {
        Some(name) if name != "utf8" => refused("an encoding of its own", "Send the rows in UTF-8."),
        Some(_) | None => Ok(()),
    }
}

/// The key's bytes are those of its column's type: that must be one which is read here.
fn check_binary(copy: &Sharded<'_>) -> Result<(), Refusal> {
    match key_column(copy) {
        Some(column) if binary_fits(copy.key_type, column.type_oid) => Ok(()),
        Some(column) => Err(Refusal::unsupported(
            format!("COPY FROM in binary format into the sharded table \"{}\"", copy.name),
            format!("Its sharding key is of type {}; use the text format.", column.type_name),
        )),
        None => Err(unnamed_columns(copy.name)),
    }
}

/// Returns the key's column, if the table is known.
fn key_column<'a>(copy: &Sharded<'a>) -> Option<&'a Column> {
    copy.catalog.table(copy.name)?.column(copy.key)
}

/// Values are read as the rules say.
fn check_type(copy: &Sharded<'_>) -> Result<(), Refusal> {
    match key_column(copy) {
        Some(column) if !column_fits(copy.key_type, column) => Err(misfit(copy.name, column, copy.key_type)),
        Some(_) | None => Ok(()),
    }
}

/// Without a list, COPY takes all columns but the generated ones.
fn columns(copy: &Sharded<'_>) -> Result<Vec<String>, Refusal> {
    if let Some(columns) = &copy.head.columns {
        return Ok(columns.clone());
    }
    let table = copy.catalog.table(copy.name).ok_or_else(|| unnamed_columns(copy.name))?;
    let copied = table.columns.iter().filter(|column| !column.generated);
    Ok(copied.map(|column| column.name.clone()).collect())
}

/// Returns what home's sequences number in each row.
fn numbers(copy: &Sharded<'_>, columns: &[String]) -> Result<Vec<HomeNumber>, Refusal> {
    let numbered_by_home = numbered_columns(copy.name, copy.rule, copy.rules, copy.catalog);
    let numbers = match &copy.head.table {
        Some(table) => left_out(table, columns, numbered_by_home),
        None => Vec::new(),
    };
    let is_binary = copy.head.options.format == CopyFormat::Binary;
    let id = copy.rule.and_then(|rule| rule.id.as_ref()).map(|id| &id.column);
    let known = copy.catalog.table(copy.name).into_iter().flat_map(|table| &table.columns);
    let mut left = known.filter(|column| column.is_numbered() && !columns.contains(&column.name));
    let by_home = |column: &Column| {
        let number = numbers.iter().find(|number| number.column == column.name);
        number.is_some_and(|number| !is_binary || number.has_binary())
    };
    match left.find(|column| id != Some(&column.name) && !by_home(column)) {
        Some(column) => Err(numbered(copy.name, &column.name)),
        None => Ok(numbers),
    }
}

/// Returns what is left to the present time. Each shard would take its own.
fn moments(copy: &Sharded<'_>, columns: &[String]) -> Vec<HomeNumber> {
    let Some(table) = copy.catalog.table(copy.name) else { return Vec::new() };
    let moments = appended_moments(table, columns, copy.head.options.format == CopyFormat::Binary, copy.catalog);
    moments.into_iter().filter(|moment| moment.column != copy.key).collect()
}

/// Tells what an id column that is left out is made from.
fn id_source(copy: &Sharded<'_>, columns: &[String]) -> Result<Option<IdSource>, Refusal> {
    let Some(id) = copy.rule.and_then(|rule| rule.id.as_ref()).filter(|id| !columns.contains(&id.column)) else {
        return Ok(None);
    };
    super::given_id::check_width(copy.name, id, copy.catalog)?;
    Ok(Some(id.source))
}

/// Returns the statement with columns added at the end.
fn with_columns(copy: &Sharded<'_>, columns: &[String], appended: &[String]) -> Statement {
    if appended.is_empty() {
        return Statement::Original;
    }
    let span = &copy.head.columns_span;
    let all: Vec<String> = columns.iter().chain(appended).map(|name| quoted(name)).collect();
    let list = format!("({})", all.join(", "));
    let list = if span.is_empty() { format!("{list} ") } else { list };
    Statement::Rewritten { sql: splice(copy.text, &[(span.clone(), list)]), parameters: Vec::new() }
}

/// Tells whether the id that is made is the sharding key, and needs no key to be made.
fn is_made_key(copy: &Sharded<'_>, source: IdSource) -> bool {
    let of_key = copy.rule.and_then(|rule| rule.id.as_ref()).is_some_and(|id| id.column == copy.key);
    of_key
        && match source {
            IdSource::Snowflake { layout, .. } => !layout.has_bucket,
            IdSource::Uuid { prefixed } => !prefixed,
            IdSource::Segment(_) => true,
        }
}

/// Where the ids are that clients give and the rules want checked.
fn checked_id(copy: &Sharded<'_>, columns: &[String]) -> Result<Option<(usize, IdRule)>, Refusal> {
    let rule = copy.rule.and_then(|rule| rule.id.as_ref()).filter(|id| id.is_checked());
    let Some(rule) = rule else { return Ok(None) };
    let Some(position) = columns.iter().position(|column| *column == rule.column) else { return Ok(None) };
    let column = copy.catalog.table(copy.name).and_then(|table| table.column(&rule.column));
    let binary = copy.head.options.format == CopyFormat::Binary;
    if binary && column.is_none_or(|column| !binary_fits(KeyType::BigInt, column.type_oid)) {
        return Err(super::given_id::unchecked(copy.name, rule, "COPY in binary format"));
    }
    Ok(Some((position, rule.clone())))
}

/// Returns what quotes values, in csv format.
pub(super) fn quoting(options: &CopyOptions) -> Result<Option<Quoting>, Refusal> {
    let quote = one_byte(&options.quote, "quote")?.unwrap_or(b'"');
    let escape = one_byte(&options.escape, "escape")?.unwrap_or(quote);
    Ok((options.format == CopyFormat::Csv).then_some(Quoting { quote, escape }))
}

/// Reads an option that PostgreSQL wants to be one byte.
pub(super) fn one_byte(option: &Option<String>, name: &str) -> Result<Option<u8>, Refusal> {
    match option.as_deref().map(str::as_bytes) {
        None => Ok(None),
        Some([one]) => Ok(Some(*one)),
        Some(_) => {
            let message = format!("COPY {name} must be a single one-byte character");
            Err(Refusal::new(SqlState::FEATURE_NOT_SUPPORTED, message))
        }
    }
}

/// `COPY (query) TO`: on home, if no name in the query is a table of the rules.
fn query(text: &str, head: &CopyHead, context: &Context<'_>) -> Result<Plan, Refusal> {
    let rules = context.rules;
    let inner = head.query.clone().and_then(|span| text.get(span)).unwrap_or("");
    let names: Vec<String> = Scanner::new(inner).filter_map(|token| identifier(inner, token)).collect();
    let is_listed = |name: &&String| {
        let ruled = |listed: &String| listed == *name || listed.ends_with(&format!(".{name}"));
        rules.tables.keys().any(ruled) || rules.names_physical(name) || hidden::named(name, context)
    };
    if let Some(name) = names.iter().find(is_listed) {
        return super::copy_query::plan(text, head, name, context);
    }
    let writes = names.iter().any(|name| matches!(name.as_str(), "insert" | "update" | "delete" | "merge"));
    let effect = writes.then(|| effect(String::from("(query)"), false, WriteMode::TwoPhase));
    let statement = Statement::Original;
    if rules.unlisted == crate::rules::UnlistedTables::Reject && !names.is_empty() {
        unlisted_query(inner, rules)?;
    }
    Ok(Plan::Direct(Direct { shard: rules.home, statement, effect, anywhere: false, reads_reference: false }))
}

/// Where unlisted tables are rejected, a query must do without FROM.
fn unlisted_query(inner: &str, rules: &RuleSet) -> Result<(), Refusal> {
    if Scanner::new(inner).any(|token| token.is_word(inner, "from") || token.is_word(inner, "table")) {
        return unlisted(&TableName::bare("(query)"), rules).map(|_| ());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::insert::fixture;
    use super::*;
    use crate::sql::{Utility, utility};

    fn planned(text: &str, catalog: &Catalog) -> Result<Plan, Refusal> {
        let Some(Utility::Copy(head)) = utility(text) else { panic!("{text}") };
        plan(text, &head, &Context { rules: &fixture::rules(), catalog })
    }

    fn copy(text: &str) -> CopyPlan {
        let Ok(Plan::Copy(plan)) = planned(text, &fixture::catalog()) else { panic!("{text}") };
        *plan
    }

    fn sql(statement: &Statement) -> &str {
        match statement {
            Statement::Original => "original",
            Statement::Rewritten { sql, .. } => sql,
        }
    }

    #[test]
    fn the_key_is_found_by_list_or_catalog() {
        let listed = copy("copy carts (item, user_id) from stdin");
        assert_eq!((listed.key_position, listed.delimiter, listed.null.as_str()), (1, b'\t', "\\N"));
        assert_eq!((listed.effect.mode, sql(&listed.statement)), (WriteMode::TwoPhase, "original"));
        assert!(matches!(listed.effect.redo, Redo::Never(_)));
        let all = copy("copy orders from stdin with (freeze on, delimiter '|', null '')");
        assert_eq!((all.key_position, all.delimiter, all.null.as_str(), all.id_source), (1, b'|', "", None));
        assert_eq!(sql(&all.statement), "original");
        assert_eq!(copy("copy names from stdin").key_type, KeyType::Text);
    }

    #[test]
    fn csv_has_options_of_its_own() {
        let plain = copy("copy carts (item, user_id) from stdin csv header");
        let quoting = |quote, escape| Some(Quoting { quote, escape });
        assert_eq!(
            (plain.csv, plain.header, plain.delimiter, plain.null.as_str()),
            (quoting(b'"', b'"'), true, b',', "")
        );
        let all = copy(
            "copy carts (item, user_id) from stdin (format csv, quote '''', escape '!', delimiter ';', null 'x', \
             header match, force_null (user_id), force_not_null (item))",
        );
        assert_eq!((all.csv, all.header, all.delimiter, all.null.as_str()), (quoting(b'\'', b'!'), true, b';', "x"));
        assert_eq!((all.force_null, all.force_not_null), (vec![1], vec![0]));
        let old =
            copy("copy carts (item, user_id) from stdin csv quote 'q' force not null user_id, item force null item");
        assert_eq!((old.csv, old.force_null, old.force_not_null), (quoting(b'q', b'q'), vec![0], vec![0, 1]));
        let text = copy("copy carts (user_id) from stdin (header)");
        assert_eq!((text.csv, text.header, text.delimiter), (None, true, b'\t'));
        assert_eq!(copy("copy carts (user_id) from stdin (format csv, force_null *)").force_null, [0]);
        // It is sent to the servers, and is none of the client's.
        let made = planned("copy orders (user_id) from stdin (format csv, force_null (order_id))", &fixture::catalog());
        assert_eq!(made.expect_err("not referenced").state, SqlState::INVALID_COLUMN_REFERENCE);
    }

    #[test]
    fn an_id_left_out_is_appended() {
        let plan = copy("copy orders (user_id, note) from stdin");
        // Behind what is left to the present, which is one moment for all rows.
        let with_both = "copy orders (user_id, \"note\", \"created\", order_id) from stdin";
        assert_eq!((sql(&plan.statement), plan.moments.len()), (with_both, 1));
        assert_eq!((plan.key_position, plan.id_source.is_some()), (0, true));
        assert_eq!(copy("copy orders (order_id, user_id) from stdin").id_source, None);
    }

    #[test]
    fn what_is_not_available_is_refused() {
        let refused = [
            ("copy carts from stdin with (format csv, quote 'ab')", "0A000"),
            ("copy carts from stdin with (format csv, escape 'ab')", "0A000"),
            ("copy carts from stdin with (on_error ignore)", "0A000"),
            ("copy carts from stdin with (default 'x')", "0A000"),
            ("copy carts from stdin with (encoding 'latin1')", "0A000"),
            ("copy carts from stdin with (delimiter 'ab')", "0A000"),
            ("copy carts (item) from stdin", "23502"),
            ("copy carts from '/tmp/x'", "0A000"),
            ("copy carts to program 'x'", "0A000"),
            ("copy rates from stdin", "0A000"),
            ("copy (select * from orders order by 1) to stdout (delimiter 'ab')", "0A000"),
            ("copy (select * from app.visits limit 1) to '/tmp/x'", "0A000"),
        ];
        for (text, state) in refused {
            let refusal = planned(text, &fixture::catalog()).expect_err(text);
            assert_eq!(refusal.state.code(), state, "{text}");
        }
        let unknown = planned("copy carts from stdin", &Catalog::empty()).unwrap_err();
        assert_eq!(unknown.state.code(), "0A000");
        assert!(planned("copy carts (user_id) from stdin with (encoding 'UTF8')", &Catalog::empty()).is_ok());
    }

    #[test]
    fn one_home_is_direct() {
        let cases = [
            ("copy settings from stdin csv", 2, true, false),
            ("copy settings to stdout", 2, false, false),
            ("copy anything from stdin (format binary)", 0, true, false),
            ("copy regions from stdin", 0, true, true),
            ("copy (select 1) to stdout", 0, false, false),
        ];
        for (text, shard, writes, reference) in cases {
            let Ok(Plan::Direct(direct)) = planned(text, &fixture::catalog()) else { panic!("{text}") };
            assert_eq!((direct.shard, direct.effect.is_some()), (ShardId(shard), writes), "{text}");
            assert_eq!(direct.effect.is_some_and(|effect| effect.reference), reference, "{text}");
        }
        let Ok(Plan::Direct(read)) = planned("copy regions to stdout", &fixture::catalog()) else { panic!() };
        assert!(read.anywhere && read.reads_reference && read.effect.is_none());
    }
}
