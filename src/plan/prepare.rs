//! `prepare` reads a statement once; `Prepared::plan` answers each execution.

use super::colocate::{Located, Place, locate, place};
use super::context::{Context, Values};
use super::explain::Explain;
use super::hidden::{self, Called};
use super::insert::{self, MakeIds, PreparedInsert};
use super::merging::Merging;
use super::plan_types::{Direct, Plan, Statement, WriteEffect};
use super::split::{self, Splits};
use super::steer::Steered;
use super::{copy, create_as, functions, gather, modify, nested, read, utility, view, with, write_first};
use crate::sql::insert::{InsertFacts, ReadError, Source};
use crate::sql::{
    self, Control, Facts, Hint, Scanner, StatementKind, TableName, TokenKind, Unreadable, Utility, identifier,
};
use crate::types::{Refusal, ShardId, SqlState};

/// A statement that was read.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(super) text: String,
    pub(super) body: Body,
    /// The split tables that it names, if there are any.
    pub(super) splits: Option<Box<Splits>>,
}

/// What a prepared statement is.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// It always has the same plan.
    Fixed(Box<Plan>),
    /// A read.
    Read(Box<Located>, Box<Facts>),
    /// UPDATE or DELETE.
    Modify(Box<modify::Modify>),
    /// MERGE.
    Merge(Box<Merging>),
    /// INSERT.
    Insert(Box<PreparedInsert>),
    /// EXPLAIN of one of these.
    Explain(Explain),
    /// A read of views.
    Expanded(view::Expanded),
    /// One that has a sharding key beside it.
    Steered(Box<Steered>),
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrepareError {
    /// The proxy refuses.
    Refused(Refusal),
    /// The text could not be read: the session first asks PostgreSQL to parse it on home (its syntax error is the
    /// client's); if that accepts, this is the refusal.
    Unreadable(Refusal),
}

impl From<Refusal> for PrepareError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Reads one statement.
///
/// # Errors
/// What is not right over shards is refused with SQLSTATE, reason and hint; see [`PrepareError`].
pub fn prepare(text: &str, context: &Context<'_>) -> Result<Prepared, PrepareError> {
    if let Some(hint) = sql::hints(text) {
        return hinted(text, &hint, context);
    }
    plain(text, context)
}

/// Reads a statement for what it says itself.
fn plain(text: &str, context: &Context<'_>) -> Result<Prepared, PrepareError> {
    if Scanner::new(text).any(|token| token.kind == TokenKind::UnicodeIdentifier) {
        return unreadable(text, context, &Unreadable::Statement);
    }
    if let Some(reworded) = sql::without_table_commands(text) {
        let inner = plain(&reworded, context)?;
        // Where nothing can be read, the client's text goes as it is.
        if !matches!(inner.body, Body::Fixed(_)) {
            return Ok(said_as(text, reworded, inner));
        }
    }
    match sql::utility(text) {
        Some(Utility::Copy(head)) => {
            let called = hidden::called(text, context)?;
            let plan = copy::plan(text, &head, context).map_err(named)?;
            return Ok(fixed(text, with_called(plan, &called, context)?));
        }
        Some(utility) => {
            let plan = match utility::plan(text, &utility, context) {
                Err(refusal) => return made_of_query(text, &utility, context, refusal),
                Ok(plan) => plan,
            };
            return Ok(fixed(text, split::plan_schema(text, &utility, plan, context)?));
        }
        None => {}
    }
    if let Some(Control::Explain { analyze, inner, .. }) = sql::control(text) {
        let explain = Explain::read(text, inner, analyze, context)?;
        return Ok(Prepared { text: text.to_owned(), body: Body::Explain(explain), splits: None });
    }
    if let Some(reworded) = insert::rows_of_functions(text, context.catalog)? {
        let inner = plain(&reworded, context)?;
        return Ok(said_as(text, reworded, inner));
    }
    if let Some(reworded) = insert::with_home_numbers(text, context) {
        let inner = plain(&reworded, context)?;
        return Ok(said_as(text, reworded, inner));
    }
    let called = hidden::called(text, context)?;
    if let Some(insert) = insertion(text, &called, context) {
        return insert;
    }
    let facts = match sql::read(text) {
        Ok(facts) => facts,
        // The parser crate reads no MERGE behind WITH.
        Err(error) => {
            return match with::inlined(text, context) {
                Some(without) => plain(&without, context).map(|inner| said_as(text, without, inner)),
                None => unreadable(text, context, &error),
            };
        }
    };
    let mut splits = None;
    let body = match facts.kind {
        StatementKind::Insert => return unreadable(text, context, &Unreadable::Statement),
        StatementKind::Merge if !names_ruled(&facts, context) => return merge(text, &facts, &called, context),
        StatementKind::Merge => match sql::merge(text) {
            Ok(facts) => Body::Merge(Box::new(Merging::read(text, facts, called, context)?)),
            Err(error) => return unreadable(text, context, &error),
        },
        StatementKind::Select => {
            if let Some(expanded) = view::read(text, &facts, context)? {
                return Ok(Prepared { text: text.to_owned(), body: Body::Expanded(expanded), splits });
            }
            let located = locate(&facts, called, context)?;
            match read::check(&facts, &located, context) {
                // Without WITH it is another statement.
                Err(_) if with::inlined(text, context).is_some() || write_first::is_possible(text, context) => {}
                checked => checked?,
            }
            splits = Splits::of(text, &facts, &located, context)?.map(Box::new);
            Body::Read(Box::new(located), Box::new(facts))
        }
        StatementKind::Update | StatementKind::Delete => {
            let modify = modify::Modify::read(text, facts, called, context)?;
            splits = Splits::of(text, modify.facts(), modify.located(), context)?.map(Box::new);
            Body::Modify(Box::new(modify))
        }
    };
    Ok(Prepared { text: text.to_owned(), body, splits })
}

impl Prepared {
    /// Returns the plan for these values.
    ///
    /// # Errors
    /// Refuses what cannot be right over shards, and passes on what `ids` refuses.
    pub fn plan(&self, context: &Context<'_>, values: &Values<'_>, ids: &mut MakeIds<'_>) -> Result<Plan, Refusal> {
        let plan = self.logical(context, values, ids)?;
        match &self.splits {
            None => Ok(plan),
            Some(splits) => splits.plan(plan, context, values),
        }
    }

    /// Tells whether the rules split a table that it names.
    pub fn is_split(&self) -> bool {
        match &self.body {
            Body::Explain(explain) => explain.is_split(),
            Body::Insert(insert) => insert.is_split(),
            Body::Steered(steered) => steered.inner.is_split(),
            Body::Expanded(expanded) => expanded.is_split(),
            Body::Merge(merging) => merging.splits().is_some(),
            Body::Fixed(_) | Body::Read(..) | Body::Modify(_) => self.splits.is_some(),
        }
    }

    /// Returns a text that any server can parse in the place of `text`, where the rules split its tables.
    ///
    /// # Errors
    /// Refuses what cannot be said of physical tables.
    pub fn parsed_text(&self, text: &str) -> Result<Option<String>, Refusal> {
        match (&self.splits, &self.body) {
            (Some(splits), _) => splits.parsed(text).map(Some),
            (None, Body::Explain(explain)) => explain.parsed_text(text),
            (None, Body::Insert(insert)) => insert.parsed_text(text),
            (None, Body::Steered(steered)) => steered.inner.parsed_text(text),
            (None, Body::Expanded(expanded)) => expanded.parsed_text(),
            (None, Body::Merge(merging)) => merging.splits().map(|splits| splits.parsed(text)).transpose(),
            (None, Body::Fixed(_) | Body::Read(..) | Body::Modify(_)) => Ok(None),
        }
    }

    /// Returns the plan over logical tables.
    fn logical(&self, context: &Context<'_>, values: &Values<'_>, ids: &mut MakeIds<'_>) -> Result<Plan, Refusal> {
        match &self.body {
            Body::Fixed(plan) => Ok((**plan).clone()),
            Body::Read(located, facts) if read::writes_inside(facts, located) => read::check(facts, located, context)
                .and_then(|()| nested::plan(facts, located, context, values, ids))
                .or_else(|refusal| with::plan(context, values, ids, refusal))
                .or_else(|refusal| write_first::plan(context, values, refusal)),
            Body::Read(located, facts) => match read::direct(located, facts, context, values) {
                Ok(Some(plan)) => Ok(plan),
                Ok(None) if self.text != values.text => self.again(context, values, ids),
                Ok(None) => read::scatter(located, facts, context, values)
                    .or_else(|refusal| gather::plan(facts, located, context, values, refusal)),
                Err(refusal) => gather::plan(facts, located, context, values, refusal),
            },
            Body::Modify(modify) => modify.plan(context, values),
            Body::Merge(merging) => merging.plan(context, values, ids),
            Body::Explain(explain) => explain.plan(context, values, ids),
            Body::Expanded(expanded) => expanded.plan(context, values, ids),
            Body::Steered(steered) => steered.plan(context, values, ids),
            Body::Insert(insert) => match insert.plan(context.rules, context.catalog, values, ids).map_err(named)? {
                Some(plan) => Ok(plan),
                None => self.again(context, values, ids),
            },
        }
    }

    /// Tells whether the plan depends on literals through key slots only and the text passes as it is: the session may
    /// use it for every text with the same skeleton.
    pub fn is_template(&self) -> bool {
        match &self.body {
            Body::Fixed(_) | Body::Merge(_) | Body::Explain(_) | Body::Expanded(_) | Body::Steered(_) => false,
            Body::Insert(insert) => insert.is_template(),
            Body::Read(located, facts) => {
                !facts.nested_write && !facts.by_position && located.keyed.iter().all(|keyed| keyed.is_bound())
            }
            Body::Modify(modify) => modify.is_template(),
        }
    }

    /// Reads the text at hand, which shares only the skeleton with the prepared one.
    fn again(&self, context: &Context<'_>, values: &Values<'_>, ids: &mut MakeIds<'_>) -> Result<Plan, Refusal> {
        match prepare(values.text, context) {
            Ok(prepared) => prepared.plan(context, values, ids),
            Err(PrepareError::Refused(refusal) | PrepareError::Unreadable(refusal)) => Err(refusal),
        }
    }

    /// Returns the INSERT, if it is one: its text for Parse and Describe differs where ids are made.
    pub fn insert(&self) -> Option<&PreparedInsert> {
        match &self.body {
            Body::Insert(insert) => Some(insert),
            Body::Steered(steered) => steered.inner.insert(),
            Body::Fixed(_)
            | Body::Read(..)
            | Body::Modify(_)
            | Body::Merge(_)
            | Body::Explain(_)
            | Body::Expanded(_) => None,
        }
    }
}

/// Reads a table that is made of a query; `refusal` says why home cannot make it by itself.
fn made_of_query(
    text: &str,
    utility: &Utility,
    context: &Context<'_>,
    refusal: Refusal,
) -> Result<Prepared, PrepareError> {
    if let Some(reworded) = create_as::without_table_commands(text, utility) {
        return plain(&reworded, context).map(|inner| said_as(text, reworded, inner));
    }
    create_as::read(text, utility, context, &refusal).ok_or(PrepareError::Refused(refusal))
}

/// A statement that is read as another one, which says the same.
fn said_as(text: &str, reworded: String, inner: Prepared) -> Prepared {
    let body = Body::Expanded(view::Expanded::reworded(reworded, inner));
    Prepared { text: text.to_owned(), body, splits: None }
}

fn fixed(text: &str, plan: Plan) -> Prepared {
    Prepared { text: text.to_owned(), body: Body::Fixed(Box::new(plan)), splits: None }
}

/// Sends a text as it is to one shard.
fn pass(shard: ShardId, effect: Option<WriteEffect>) -> Plan {
    Plan::Direct(Direct { shard, statement: Statement::Original, effect, anywhere: false, reads_reference: false })
}

/// Reads an INSERT; `None` if the text is none.
fn insertion(text: &str, called: &Called, context: &Context<'_>) -> Option<Result<Prepared, PrepareError>> {
    let first = Scanner::new(text).next()?;
    if !first.is_word(text, "insert") && !first.is_word(text, "with") {
        return None;
    }
    let facts = match sql::insert::read(text) {
        Ok(facts) => facts,
        Err(ReadError::NotInsert) => return None,
        Err(ReadError::Syntax(_)) => return Some(unreadable(text, context, &Unreadable::Statement)),
        Err(error @ ReadError::Unsupported(_)) => {
            return Some(match named_table(text, context) {
                Some(_) => Err(PrepareError::Refused(Refusal::from(error).with_reason("insert_shape"))),
                None => unreadable(text, context, &Unreadable::Statement),
            });
        }
    };
    // Its parts are read one by one, if they can be.
    let ruled = |table: &TableName| context.rules.table(&table.rule_key()).is_some();
    if facts.with
        && facts.with_writes
        && facts.relations.iter().chain([&facts.table]).any(ruled)
        && sql::read(text).is_ok()
    {
        return None;
    }
    if let Err(refusal) = check_hidden(text, &facts, called, context) {
        return Some(Err(refusal.into()));
    }
    let insert = PreparedInsert::new(text, facts, context.rules, context.catalog);
    Some(match insert {
        Ok(insert) => Ok(Prepared { text: text.to_owned(), body: Body::Insert(Box::new(insert)), splits: None }),
        Err(refusal) => Err(PrepareError::Refused(named(refusal))),
    })
}

/// Refuses an INSERT into or from what is more than it says.
fn check_hidden(text: &str, facts: &InsertFacts, called: &Called, context: &Context<'_>) -> Result<(), Refusal> {
    for table in facts.relations.iter().chain([&facts.table]) {
        if context.rules.table(&table.rule_key()).is_none() {
            hidden::relation(table, context)?;
        }
    }
    let shard = match place(context.rules, &facts.table)? {
        Place::Sharded { .. } => None,
        Place::Reference => Some(modify::reference_home(context.rules, &facts.table)),
        Place::On(shard) => Some(shard),
    };
    // What a row's values draw on home, or a column of a query, is drawn there.
    let drawn: Vec<_> = match &facts.source {
        Source::Values(rows) if shard.is_none() => rows.iter().map(|row| row.span.clone()).collect(),
        Source::Query(query) if shard.is_none() => insert::drawn_spans(text, &query.span),
        Source::Values(_) | Source::DefaultValues(_) | Source::Query(_) => Vec::new(),
    };
    let edits: Vec<_> = drawn.into_iter().map(|span| (span, String::new())).collect();
    match hidden::home_call(&sql::splice(text, &edits), context.catalog) {
        Some(name) if shard != Some(context.rules.home) => Err(read::only_home(&name, context)),
        Some(_) | None => called.check(shard, context.rules),
    }
}

/// Adds what functions do to a plan whose text nobody reads closely.
fn with_called(plan: Plan, called: &Called, context: &Context<'_>) -> Result<Plan, Refusal> {
    let Plan::Direct(mut direct) = plan else {
        called.check(None, context.rules)?;
        return Ok(plan);
    };
    called.check(Some(direct.shard), context.rules)?;
    if called.writes && direct.effect.is_none() {
        direct.effect = Some(modify::hinted_effect(context.rules));
    }
    Ok(Plan::Direct(direct))
}

/// Takes over the reason code of a refusal of INSERT or COPY.
fn named(refusal: Refusal) -> Refusal {
    let known = [insert::MISSING_SHARDING_KEY, insert::COMPUTED_SHARDING_KEY, insert::UNMAPPED_SHARDING_KEY];
    match known.into_iter().find(|code| insert::reason(&refusal) == Some(code)) {
        Some(code) => refusal.with_reason(code),
        None => refusal,
    }
}

/// `/* shardloom: shard=s1 */`: there, as it stands.
fn hinted(text: &str, hint: &Hint, context: &Context<'_>) -> Result<Prepared, PrepareError> {
    let rules = context.rules;
    let wrong = |message: String, reason| Refusal::new(SqlState::INVALID_PARAMETER_VALUE, message).with_reason(reason);
    if let Some(word) = hint.unknown.first() {
        return Err(wrong(format!("unknown word \"{word}\" in a shardloom comment"), "unknown_hint").into());
    }
    if hint.idempotency_key.is_some() {
        let refusal = wrong("an idempotency key has no meaning here".to_owned(), "idempotency_key");
        return Err(refusal
            .with_hint("Put it before an INSERT, UPDATE, DELETE or MERGE that commits by itself.")
            .into());
    }
    let Some(name) = &hint.shard else {
        let inner = plain(text, context)?;
        return Ok(match &hint.sharding_key {
            Some(key) => Prepared {
                text: text.to_owned(),
                body: Body::Steered(Box::new(Steered::new(inner, key))),
                splits: None,
            },
            None => inner,
        });
    };
    let Some(shard) = rules.shard_by_name(name) else {
        return Err(wrong(format!("no shard is named \"{name}\""), "unknown_shard").into());
    };
    let reads = sql::read(text).is_ok_and(|facts| {
        facts.kind == StatementKind::Select
            && !facts.nested_write
            && !facts.locks
            && functions::are_known(&facts.functions)
    });
    let effect = (!reads).then(|| modify::hinted_effect(rules));
    Ok(fixed(text, pass(shard, effect)))
}

/// What cannot be read goes to home as it is if no token names a table of the rules.
fn unreadable(text: &str, context: &Context<'_>, error: &Unreadable) -> Result<Prepared, PrepareError> {
    match named_table(text, context) {
        None => {
            hidden::called(text, context)?.check(Some(context.rules.home), context.rules)?;
            Ok(fixed(text, pass(context.rules.home, Some(modify::hinted_effect(context.rules)))))
        }
        Some(table) => Err(PrepareError::Unreadable(not_read(&table, error).with_reason("unreadable"))),
    }
}

fn not_read(table: &str, error: &Unreadable) -> Refusal {
    match error {
        Unreadable::TooDeep => Refusal::new(
            SqlState::STATEMENT_TOO_COMPLEX,
            format!("the statement on table \"{table}\" has too long a chain of operators, or nests too deep"),
        )
        .with_hint("Send lists of values as column = ANY (array), or several statements."),
        Unreadable::Syntax(_) | Unreadable::Statement => Refusal::unsupported(
            format!("this syntax cannot be routed for table \"{table}\""),
            "Write it in another way, or say the shard in a leading comment: /* shardloom: shard=NAME */.",
        ),
    }
}

/// Returns the first word that may be a table of the rules; a name in Unicode escapes may be any.
fn named_table(text: &str, context: &Context<'_>) -> Option<String> {
    let ruled = |name: &str| {
        context.rules.tables.keys().any(|table| table.rsplit('.').next() == Some(name))
            || context.rules.names_physical(name)
    };
    let listed = |name: &str| ruled(name) || hidden::named(name, context);
    Scanner::new(text).find_map(|token| match token.kind {
        TokenKind::UnicodeIdentifier => Some(token.text(text).to_owned()),
        _ => identifier(text, token).filter(|name| listed(name)),
    })
}

/// Tells whether the rules name one of the tables.
fn names_ruled(facts: &Facts, context: &Context<'_>) -> bool {
    let mut tables = facts.relations.iter().filter_map(|relation| relation.table.as_ref());
    tables.any(|table| context.rules.table(&table.rule_key()).is_some())
}

/// MERGE of tables that live on home.
fn merge(text: &str, facts: &Facts, called: &Called, context: &Context<'_>) -> Result<Prepared, PrepareError> {
    let tables: Vec<&TableName> = facts.relations.iter().filter_map(|relation| relation.table.as_ref()).collect();
    for table in &tables {
        hidden::relation(table, context)?;
    }
    called.check(Some(context.rules.home), context.rules)?;
    let effect = modify::effect(text, context, tables.iter().map(ToString::to_string).collect(), None);
    Ok(fixed(text, pass(context.rules.home, Some(effect))))
}
