//! Which rows of a table are copied, as a condition in SQL: its own conditions, partners on the same shard, and the
//! values that rows copied before have.

use std::collections::{HashMap, HashSet};

use postgres_protocol::escape::escape_identifier;

use crate::backend::Server;
use crate::plan::{Equal, Fetch, Gather, Use};
use crate::sql::{Condition, ConditionPart, Scanner, TokenKind};
use crate::types::USER_TYPES;

use super::super::call::{Arguments, Call};
use super::super::client::Client;
use super::super::failure::Failure;
use super::passing::one_value;

/// The most values that a list in a statement has: it is sent to every shard as text, and looked up by hashing there.
const LISTED_VALUES_MAX: usize = 20_000;
/// The most bytes of such values: each use and shard has a copy of the list in its statement.
const LISTED_BYTES_MAX: usize = 1024 * 1024;
/// PostgreSQL's `text`.
const TEXT_OID: u32 = 25;
/// The name of the table's row in the condition.
pub(super) const ROW: &str = "shardloom_row";

/// What is known of the rows that have been copied.
pub(super) struct Known<'a> {
    plan: &'a Gather,
    /// The tables whose copies are there, and whether rows were left out of them.
    copied: HashMap<&'a str, bool>,
    /// Tables that are read in place.
    in_place: HashSet<&'a str>,
    /// Relations whose own conditions are being found.
    busy: Vec<usize>,
    /// Lists of values, by relation and column; `None` for too many.
    lists: HashMap<(usize, &'a str), Option<String>>,
    /// Whether lists are worth their queries.
    lists_pay: bool,
    /// Whether a shard shows all its tables as of one moment, so that rows can be left out by what partners it shows.
    one_moment: bool,
}

/// A condition, and whether it has parameters.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Restriction {
    pub sql: String,
    pub parameters: bool,
}

impl<'a> Known<'a> {
    pub(super) fn new(plan: &'a Gather, own_writes: bool, lists_pay: bool, one_moment: bool) -> Self {
        let whole = plan.fetches.iter().filter(|fetch| fetch.in_place && !own_writes);
        let in_place: HashSet<&str> = whole.map(|fetch| fetch.table.as_str()).collect();
        Self { plan, copied: HashMap::new(), in_place, busy: Vec::new(), lists: HashMap::new(), lists_pay, one_moment }
    }

    /// Notes that a table has been copied.
    pub(super) fn arrived(&mut self, fetch: &'a Fetch, restricted: bool) {
        self.copied.insert(&fetch.table, restricted);
    }

    /// Returns what a row of the table must satisfy to matter, `None` if every row may.
    pub(super) async fn restriction(
        &mut self,
        client: &mut Client,
        scratch: &mut Server,
        call: &Call,
        fetch: &'a Fetch,
    ) -> Result<Option<Restriction>, Failure> {
        let mut any: Vec<Restriction> = Vec::new();
        for used in &fetch.uses {
            match self.of_use(client, scratch, call, used).await? {
                Some(one) if any.contains(&one) => {}
                Some(one) => any.push(one),
                None => return Ok(None),
            }
        }
        Ok(either(any).filter(|restriction| !has_own_types(call, &restriction.sql)))
    }

    /// Returns what a row must satisfy for one use.
    async fn of_use(
        &mut self,
        client: &mut Client,
        scratch: &mut Server,
        call: &Call,
        used: &'a Use,
    ) -> Result<Option<Restriction>, Failure> {
        let mut all = self.alone(client, scratch, call, used, ROW).await?;
        let partners = if self.one_moment { used.partners.as_slice() } else { &[] };
        for (at, partner) in partners.iter().enumerate() {
            let Some((fetch, other)) = self.plan.use_of(partner.relation) else { continue };
            let row = format!("shardloom_row_{at}");
            let conditions = self.alone(client, scratch, call, other, &row).await?;
            if let Some(inner) = both(conditions) {
                all.push(Restriction { sql: exists(fetch, partner, &row, &inner.sql), ..inner });
            }
        }
        Ok(both(all))
    }

    /// Returns the conditions on the row by itself.
    async fn alone(
        &mut self,
        client: &mut Client,
        scratch: &mut Server,
        call: &Call,
        used: &'a Use,
        row: &str,
    ) -> Result<Vec<Restriction>, Failure> {
        let mut all: Vec<Restriction> = used.filters.iter().map(|filter| written(filter, row)).collect();
        // Several lists for one column say much the same: the shortest says most.
        let mut shortest: HashMap<&str, (String, &str)> = HashMap::new();
        let one_moment = self.one_moment;
        for link in used.links.iter().filter(|link| !one_moment || !is_partner(used, link)) {
            if let Some(list) = self.list(client, scratch, call, link).await? {
                let known = shortest.entry(&link.column).or_insert_with(|| (list.clone(), &link.type_name));
                if list.len() < known.0.len() {
                    *known = (list, &link.type_name);
                }
            }
        }
        let mut columns: Vec<_> = shortest.into_iter().collect();
        columns.sort_unstable();
        for (column, (list, type_name)) in columns {
            let sql = format!("{row}.{} = ANY ({list}::{type_name}[])", escape_identifier(column));
            all.push(Restriction { sql, parameters: false });
        }
        Ok(all)
    }

    /// Returns the values that a column of another use has, as a literal of an array; `None` where they are not known or
    /// too many.
    async fn list(
        &mut self,
        client: &mut Client,
        scratch: &mut Server,
        call: &Call,
        link: &'a Equal,
    ) -> Result<Option<String>, Failure> {
        let Some((fetch, used)) = self.plan.use_of(link.relation) else { return Ok(None) };
        let (in_place, copied) = (self.in_place.contains(&*fetch.table), self.copied.get(&*fetch.table).copied());
        let there = in_place || copied.is_some();
        if !self.lists_pay || !there || self.busy.contains(&link.relation) {
            return Ok(None);
        }
        let key = (link.relation, link.other.as_str());
        if let Some(known) = self.lists.get(&key) {
            return Ok(known.clone());
        }
        let conditions = match in_place {
            true => {
                self.busy.push(link.relation);
                let all = Box::pin(self.alone(client, scratch, call, used, ROW)).await;
                self.busy.pop();
                all?
            }
            false => used.filters.iter().map(|filter| written(filter, ROW)).collect(),
        };
        let restriction = both(conditions);
        // The values of all rows leave out little.
        let list = match restriction.is_some() || copied == Some(true) {
            true => {
                let table = match in_place {
                    true if self.plan.names_in_place => source(fetch),
                    // As the statement has it: the session may have a table of that name of its own.
                    true => escape_identifier(&fetch.table),
                    false => format!("pg_temp.{}", escape_identifier(&fetch.table)),
                };
                let sql = distinct(&table, &link.other, restriction.as_ref());
                let parameters = restriction.is_some_and(|restriction| restriction.parameters);
                one_value(client, scratch, &with_arguments(call, sql, parameters, &[])).await?
            }
            false => None,
        };
        self.lists.insert(key, list.clone());
        Ok(list)
    }
}

/// Tells whether the shard itself can see the other row: no list of its values is needed.
fn is_partner(used: &Use, link: &Equal) -> bool {
    let same = |partner: &Equal| (partner.relation, &partner.column) == (link.relation, &link.column);
    used.partners.iter().any(|partner| same(partner) && partner.other == link.other)
}

/// Returns the call of another statement, with the client's values where it has parameters, and binary results.
pub(super) fn with_arguments(call: &Call, sql: String, parameters: bool, result_formats: &[i16]) -> Call {
    let own = call.arguments.as_deref().filter(|_| parameters);
    let mut arguments = Arguments {
        types: own.map(|own| own.types.clone()).unwrap_or_default(),
        formats: own.map(|own| own.formats.clone()).unwrap_or_default(),
        values: own.map(|own| own.values.clone()).unwrap_or_default(),
        result_formats: result_formats.to_vec(),
    };
    // What the condition does not use says nothing, and its type may be another one on that server.
    let used = used(&sql);
    for at in (0..arguments.values.len()).filter(|at| !used.contains(at)) {
        arguments.values[at] = None;
        if let Some(type_oid) = arguments.types.get_mut(at) {
            *type_oid = TEXT_OID;
        }
    }
    Call { text: sql.into(), arguments: Some(std::rc::Rc::new(arguments)), describe: false, literals: None }
}

/// Returns the parameters that a text has, from 0.
fn used(sql: &str) -> HashSet<usize> {
    let numbers = Scanner::new(sql).filter(|token| token.kind == TokenKind::Parameter);
    numbers.filter_map(|token| token.text(sql)[1..].parse::<usize>().ok()?.checked_sub(1)).collect()
}

/// Tells whether a condition has parameters of types that another server knows by other numbers.
fn has_own_types(call: &Call, sql: &str) -> bool {
    let Some(own) = call.arguments.as_deref() else { return false };
    used(sql).into_iter().any(|at| own.types.get(at).is_some_and(|type_oid| *type_oid >= USER_TYPES))
}

/// Writes a condition on the row of this name.
fn written(condition: &Condition, row: &str) -> Restriction {
    let mut restriction = Restriction::default();
    for part in &condition.parts {
        match part {
            ConditionPart::Text(text) => restriction.sql.push_str(text),
            ConditionPart::Column(name) => restriction.sql.push_str(&format!("{row}.{}", escape_identifier(name))),
            ConditionPart::Parameter(index) => {
                restriction.parameters = true;
                restriction.sql.push_str(&format!("${}", index + 1));
            }
        }
    }
    restriction
}

/// Returns what has the rows of a table on a server: the table, or its physical tables.
pub(in crate::execute) fn source(fetch: &Fetch) -> String {
    let named = |name: &String| format!("public.{}", escape_identifier(name));
    match fetch.physical.as_slice() {
        [] => named(&fetch.table),
        [one] => named(one),
        several => {
            let columns: Vec<String> = fetch.columns.iter().map(|column| escape_identifier(column)).collect();
            let columns = columns.join(", ");
            let each = several.iter().map(|name| format!("SELECT {columns} FROM {}", named(name)));
            format!("({})", each.collect::<Vec<_>>().join(" UNION ALL "))
        }
    }
}

fn exists(fetch: &Fetch, partner: &Equal, row: &str, inner: &str) -> String {
    format!(
        "EXISTS (SELECT FROM {} AS {row} WHERE {row}.{} = {ROW}.{} AND {inner})",
        source(fetch),
        escape_identifier(&partner.other),
        escape_identifier(&partner.column),
    )
}

fn distinct(table: &str, column: &str, restriction: Option<&Restriction>) -> String {
    let column = escape_identifier(column);
    let filter = restriction.map(|restriction| format!(" WHERE {}", restriction.sql)).unwrap_or_default();
    format!(
        "WITH listed AS MATERIALIZED (SELECT DISTINCT {ROW}.{column} AS v FROM {table} AS {ROW}{filter} LIMIT {}) \
         SELECT CASE WHEN pg_catalog.count(*) <= {LISTED_VALUES_MAX} AND \
         coalesce(pg_catalog.sum(pg_catalog.octet_length(v::pg_catalog.text)), 0) <= {LISTED_BYTES_MAX} THEN \
         (SELECT pg_catalog.quote_literal(coalesce(pg_catalog.array_agg(listed.v), '{{}}')::pg_catalog.text) FROM listed) \
         END FROM listed",
        LISTED_VALUES_MAX + 1
    )
}

fn both(all: Vec<Restriction>) -> Option<Restriction> {
    joined(all, " AND ")
}

fn either(any: Vec<Restriction>) -> Option<Restriction> {
    joined(any, " OR ")
}

fn joined(all: Vec<Restriction>, word: &str) -> Option<Restriction> {
    let parameters = all.iter().any(|one| one.parameters);
    let parts: Vec<String> = all.into_iter().map(|one| format!("({})", one.sql)).collect();
    (!parts.is_empty()).then(|| Restriction { sql: parts.join(word), parameters })
}
