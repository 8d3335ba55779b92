//! Utility statements: on the shards that have the tables.

use super::colocate::{Place, place};
use super::context::Context;
use super::create_as;
use super::each_its_own;
use super::filled;
use super::hidden;
use super::modify::{hinted_effect, mode_of, reference_home};
use super::plan_types::{Direct, Plan, Redo, Statement, WriteEffect};
use crate::rules::RuleSet;
use crate::sql::{self, Ddl, DdlObject, DdlVerb, Facts, Scanner, TableName, Utility};
use crate::types::{Refusal, ShardId, ShardSet, SqlState, WriteMode};

/// Plans a utility statement other than COPY.
pub(super) fn plan(text: &str, utility: &Utility, context: &Context<'_>) -> Result<Plan, Refusal> {
    match utility {
        Utility::Copy(_) => Err(Refusal::unsupported("COPY is not planned here", "")),
        Utility::Truncate { tables } => truncate(text, tables, context),
        Utility::Vacuum { tables } | Utility::Analyze { tables } => on_tables(tables, false, context),
        Utility::Lock { tables, .. } => on_tables(tables, true, context),
        Utility::Ddl(ddl) => schema(text, ddl, context),
        Utility::Do | Utility::Call => {
            let bodies = sql::literals(text);
            let bodies = bodies.iter().filter_map(|body| sql::literal_value(text, body));
            for part in bodies.chain([text.into()]) {
                hidden::called(&part, context)?.check(Some(context.rules.home), context.rules)?;
            }
            match sql::schema_changes(text) {
                changes if changes.ddl.is_empty() => code(text, context),
                changes => block(text, &changes, context),
            }
        }
        Utility::Server => Ok(at(context.rules.home, None)),
    }
}

/// Reference tables are emptied on their home, and the copies follow; others where they are.
fn truncate(text: &str, tables: &[TableName], context: &Context<'_>) -> Result<Plan, Refusal> {
    let mut homes: Vec<(&TableName, ShardId)> = Vec::new();
    for table in tables {
        if place(context.rules, table)? == Place::Reference {
            homes.push((table, reference_home(context.rules, table)));
        }
    }
    let Some((first, home)) = homes.first() else {
        let own = each_its_own::plan(text, "TRUNCATE", tables, || effect(tables, context.rules), context)?;
        return own.map_or_else(|| on_tables(tables, true, context), Ok);
    };
    let is_apart = |table: &&TableName| !homes.iter().any(|(other, shard)| other == table && shard == home);
    if let Some(table) = tables.iter().find(is_apart) {
        return Err(mixed(first, table));
    }
    let names: Vec<String> = tables.iter().map(|table| table.rule_key().into_owned()).collect();
    let cascades = Scanner::new(text).any(|token| token.is_word(text, "cascade"));
    if let Some((table, referring)) = context.catalog.referring(&names).into_iter().next().filter(|_| cascades) {
        return Err(Refusal::unsupported(
            format!(
                "TRUNCATE … CASCADE of reference table \"{table}\" would empty table \"{}\", which refers to it, on home alone",
                referring.table
            ),
            format!("TRUNCATE \"{}\" first, then DELETE the rows of \"{table}\".", referring.table),
        )
        .with_reason("referring_rows"));
    }
    let mode = tables.iter().map(|table| mode_of(context.rules, table)).max();
    let mut effect = super::modify::effect(text, context, names, mode);
    effect.reference = true;
    Ok(at(*home, Some(effect)))
}

/// Where the tables are: everywhere, on one shard, or a refusal.
fn on_tables(tables: &[TableName], writes: bool, context: &Context<'_>) -> Result<Plan, Refusal> {
    let rules = context.rules;
    let effect = writes.then(|| effect(tables, rules));
    match whereabouts(tables, context)? {
        Whereabouts::Everywhere => Ok(everywhere(rules, effect)),
        Whereabouts::On(shard) => Ok(at(shard, effect)),
    }
}

enum Whereabouts {
    Everywhere,
    On(ShardId),
}

fn whereabouts(tables: &[TableName], context: &Context<'_>) -> Result<Whereabouts, Refusal> {
    let mut shared: Option<&TableName> = None;
    let mut fixed: Option<(&TableName, ShardId)> = None;
    for table in tables {
        if context.rules.table(&table.rule_key()).is_none() {
            hidden::part(table, context)?;
        }
        match place(context.rules, table)? {
            Place::Sharded { .. } | Place::Reference => shared = shared.or(Some(table)),
            Place::On(shard) => match fixed {
                Some((first, other)) if other != shard => return Err(mixed(first, table)),
                Some(_) => {}
                None => fixed = Some((table, shard)),
            },
        }
    }
    match (shared, fixed) {
        (Some(shared), Some((fixed, _))) if context.rules.table(&fixed.rule_key()).is_none() => {
            Err(unlisted(shared, fixed))
        }
        (Some(shared), Some((fixed, _))) => Err(mixed(shared, fixed)),
        (None, Some((_, shard))) => Ok(Whereabouts::On(shard)),
        (Some(_) | None, None) => Ok(Whereabouts::Everywhere),
    }
}

fn mixed(first: &TableName, second: &TableName) -> Refusal {
    Refusal::unsupported(
        format!("tables \"{first}\" and \"{second}\" do not live on the same shards"),
        "Write one statement for each.",
    )
    .with_reason("different_shards")
}

fn unlisted(shared: &TableName, table: &TableName) -> Refusal {
    Refusal::unsupported(
        format!("table \"{shared}\" is on all shards, and table \"{table}\", which no rule names, is on home alone"),
        format!("Name \"{table}\" in the shard rules first, or write one statement for each table."),
    )
    .with_reason("different_shards")
}

/// A lookup table that comes again may say something else than is remembered.
fn check_lookup(table: &TableName, rules: &RuleSet) -> Result<(), Refusal> {
    match rules.lookups().any(|(_, lookup)| lookup.table == table.rule_key()) {
        true => Err(Refusal::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("lookup table \"{table}\" says where rows are, and cannot be dropped"),
        )
        .with_hint("Take it out of the rules first.")),
        false => Ok(()),
    }
}

fn schema(text: &str, ddl: &Ddl, context: &Context<'_>) -> Result<Plan, Refusal> {
    let rules = context.rules;
    if ddl.verb == DdlVerb::Drop && ddl.object == DdlObject::Table {
        ddl.tables.iter().try_for_each(|table| check_lookup(table, rules))?;
        let head = if says_if_exists(text) { "DROP TABLE IF EXISTS" } else { "DROP TABLE" };
        if let Some(plan) = each_its_own::plan(text, head, &ddl.tables, || effect(&ddl.tables, rules), context)? {
            return Ok(plan);
        }
    }
    if ddl.verb == DdlVerb::Alter && ddl.object == DdlObject::Table {
        filled::check(text, context)?;
    }
    if let Some(query) = ddl.query {
        check_query(text, query, ddl, context)?;
        hidden::called(text.get(query..).unwrap_or(""), context)?.check(Some(rules.home), rules)?;
    }
    if ddl.verb == DdlVerb::Refresh {
        ddl.tables.iter().try_for_each(|view| hidden::relation(view, context).map(|_| ()))?;
    }
    if ddl.temporary {
        check_hidden(ddl, rules)?;
        return Ok(at(rules.home, Some(effect(&ddl.tables, rules))));
    }
    let effect = (!ddl.concurrently && in_transaction(ddl)).then(|| effect(&ddl.tables, rules));
    // The relation of CREATE INDEX is the table; a named index or sequence alone says nothing of its table.
    let unknown = matches!(ddl.object, DdlObject::Index | DdlObject::Sequence | DdlObject::View)
        && ddl.verb != DdlVerb::Create
        && ddl.tables.iter().all(|table| rules.table(&table.rule_key()).is_none());
    if ddl.object == DdlObject::View {
        return Ok(at(rules.home, effect));
    }
    // One sequence, one home: over several shards it would give each number several times.
    if ddl.object == DdlObject::Sequence && ddl.verb == DdlVerb::Create {
        return Ok(at(rules.home, effect));
    }
    // Whoever runs it asks the shards which of them have it.
    if unknown {
        return Ok(everywhere(rules, effect));
    }
    match (whereabouts(&ddl.tables, context)?, ddl.object) {
        (Whereabouts::Everywhere, DdlObject::Rule) if ddl.verb == DdlVerb::Create => Err(rewrites(ddl)),
        (_, DdlObject::Database | DdlObject::Cluster) => Ok(at(rules.home, None)),
        (Whereabouts::Everywhere, _) => Ok(everywhere(rules, effect)),
        (Whereabouts::On(shard), _) => Ok(at(shard, effect)),
    }
}

/// A rule makes other statements of those that the proxy has routed.
fn rewrites(ddl: &Ddl) -> Refusal {
    let table = ddl.tables.first().map(TableName::to_string).unwrap_or_default();
    Refusal::unsupported(
        format!("a rule on table \"{table}\" would rewrite statements on each shard behind the proxy's back"),
        "Use a trigger, or do it in the application.",
    )
    .with_reason("table_rule")
}

/// A temporary object of a listed table's name would hide it on home alone.
fn check_hidden(ddl: &Ddl, rules: &RuleSet) -> Result<(), Refusal> {
    let target = ddl.tables.first().filter(|table| rules.table(&table.name).is_some());
    let Some(table) = target else { return Ok(()) };
    Err(Refusal::unsupported(
        format!("a temporary table or view with the name of table \"{}\" of the rules", table.name),
        "Give it another name: statements on the table would find it on one shard only.",
    )
    .with_reason("temporary_table"))
}

/// How many words there are before a view's name at most: `CREATE OR REPLACE MATERIALIZED VIEW IF NOT EXISTS`.
const VIEW_WORDS: usize = 8;

/// `CREATE TABLE … AS` and views: the query must read nothing that home does not have, the target must live on home.
fn check_query(text: &str, query: usize, ddl: &Ddl, context: &Context<'_>) -> Result<(), Refusal> {
    let rules = context.rules;
    let is_plain_view = ddl.object == DdlObject::View
        && !ddl.temporary
        && !sql::Scanner::new(text).take(VIEW_WORDS).any(|token| token.is_word(text, "materialized"));
    let refuse = |table: &str| {
        Refusal::unsupported(
            format!("a table or view made by a query is not available with table \"{table}\""),
            "Create the table first, then INSERT into it.",
        )
        .with_reason(create_as::REASON)
    };
    let target = ddl.tables.first().filter(|table| rules.table(&table.rule_key()).is_some());
    if let Some(table) = target {
        return Err(refuse(&table.to_string()));
    }
    // Names are looked for in the whole text: what the parser crate does not read is found, too.
    let part = text.get(query..create_as::query_end(text)).unwrap_or("");
    let names = sql::Scanner::new(part).filter_map(|token| sql::identifier(part, token));
    let facts: Option<Facts> = sql::read(part).ok();
    let elsewhere = |rule: &crate::rules::TableRule| matches!(rule.distribution, crate::rules::Distribution::Single { shard } if shard != rules.home);
    // Whoever selects from a view over tables of the rules gets its query: see `view`.
    let is_read_out = |facts: &Facts| {
        let mut tables = facts.relations.iter().filter_map(|relation| relation.table.as_ref());
        is_plain_view && !tables.any(|table| rules.table(&table.rule_key()).is_some_and(elsewhere))
    };
    if facts.as_ref().is_some_and(is_read_out) {
        return Ok(());
    }
    let known = |name: &str| match rules.tables.iter().find(|(table, _)| table.rsplit('.').next() == Some(name)) {
        None if rules.names_physical(name) || hidden::named(name, context) => true,
        Some((_, rule)) => {
            !matches!(rule.distribution, crate::rules::Distribution::Single { shard } if shard == rules.home)
        }
        None => false,
    };
    let named: Option<String> = match facts {
        Some(facts) => {
            let tables = facts.relations.iter().filter_map(|relation| relation.table.as_ref());
            tables.map(|table| table.name.clone()).find(|name| known(name))
        }
        None => names.into_iter().find(|name| known(name)),
    };
    named.map_or(Ok(()), |table| Err(refuse(&table)))
}

/// Tells whether the statement may stand in a transaction block.
fn in_transaction(ddl: &Ddl) -> bool {
    match ddl.object {
        DdlObject::Database | DdlObject::Cluster => false,
        DdlObject::Table
        | DdlObject::Index
        | DdlObject::Sequence
        | DdlObject::View
        | DdlObject::Schema
        | DdlObject::Type
        | DdlObject::Function
        | DdlObject::OnTable
        | DdlObject::Rule
        | DdlObject::Extension
        | DdlObject::Role
        | DdlObject::Other => true,
    }
}

/// A DO block that changes the schema: on all shards if it does nothing else, on home if what it changes is there alone.
fn block(text: &str, changes: &sql::Changes, context: &Context<'_>) -> Result<Plan, Refusal> {
    let refused = |why: &str| {
        Refusal::unsupported(
            format!("a DO block that changes the schema {why} is not available"),
            "Send the changes as statements of their own, or run it on each shard: /* shardloom: shard=NAME */.",
        )
        .with_reason("code")
    };
    let mut everywhere = None;
    for (statement, ddl) in &changes.ddl {
        let split = ddl.tables.iter().find(|table| context.rules.split_of(&table.rule_key()).is_some());
        if let Some(table) = split {
            return Err(refused(&format!("of table \"{table}\", which is split into physical tables")));
        }
        // Which shards have it is not asked for what stands in a block.
        let alone = matches!(ddl.object, DdlObject::Index | DdlObject::Sequence) && ddl.verb != DdlVerb::Create;
        if alone && !says_if_exists(statement) {
            return Err(refused("names an index or a sequence, which may be on one shard alone,"));
        }
        // By itself it gets one moment for all shards; a block is not written anew.
        if filled::moments(statement, context).is_some() {
            return Err(refused("and fills rows with the present"));
        }
        let is_all = matches!(schema(statement, ddl, context)?, Plan::Everywhere { .. });
        match everywhere {
            Some(other) if other != is_all => return Err(refused("of all shards and of home alone")),
            Some(_) | None => everywhere = Some(is_all),
        }
    }
    if everywhere != Some(true) {
        return code(text, context);
    }
    if changes.more {
        return Err(refused("of all shards and does something else"));
    }
    let tables: Vec<TableName> = changes.ddl.iter().flat_map(|(_, ddl)| ddl.tables.iter().cloned()).collect();
    Ok(self::everywhere(context.rules, Some(effect(&tables, context.rules))))
}

fn says_if_exists(statement: &str) -> bool {
    let words: Vec<_> = sql::Scanner::new(statement).collect();
    words.windows(2).any(|pair| pair[0].is_word(statement, "if") && pair[1].is_word(statement, "exists"))
}

/// `DO` and `CALL`: code that nobody can read; on home, if it names no table of the rules.
fn code(text: &str, context: &Context<'_>) -> Result<Plan, Refusal> {
    let known = |word: &str| {
        let named = |table: &String| table.rsplit('.').next() == Some(word);
        !word.is_empty()
            && (context.rules.tables.keys().any(named)
                || context.rules.names_physical(word)
                || hidden::named(word, context))
    };
    let word = |byte: char| !(byte.is_alphanumeric() || byte == '_');
    let lower = text.to_lowercase();
    match lower.split(word).find(|word| known(word)) {
        Some(table) => Err(Refusal::unsupported(
            format!("DO and CALL are not available with table \"{table}\""),
            "Say the shard in a leading comment: /* shardloom: shard=NAME */.",
        )
        .with_reason("code")),
        None => Ok(at(context.rules.home, Some(hinted_effect(context.rules)))),
    }
}

fn everywhere(rules: &RuleSet, effect: Option<WriteEffect>) -> Plan {
    let shards: ShardSet = ShardSet::first(rules.shards.len());
    Plan::Everywhere { shards, statement: Statement::Original, effect }
}

fn at(shard: ShardId, effect: Option<WriteEffect>) -> Plan {
    Plan::Direct(Direct { shard, statement: Statement::Original, effect, anywhere: false, reads_reference: false })
}

fn effect(tables: &[TableName], rules: &RuleSet) -> WriteEffect {
    WriteEffect {
        tables: tables.iter().map(|table| table.rule_key().into_owned()).collect(),
        reference: false,
        mode: tables.iter().map(|table| mode_of(rules, table)).max().unwrap_or(WriteMode::Eager).max(WriteMode::Eager),
        redo: Redo::Never("a change of the schema is not redone".to_owned()),
        deferrable: false,
        assumed: Vec::new(),
    }
}
