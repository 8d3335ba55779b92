//! Aggregates of groups that span shards, in whatever expression they stand: each shard makes parts of them, and home
//! finishes the parts by a statement that is the client's own but for what the parts stand for.
//!
//! In select list, HAVING and ORDER BY every aggregate and every group key is replaced by what the parts' columns make of
//! it, of the same type and the same value to the last digit; what is left over must not name a column. Where something
//! is not understood there is no such plan, and the rows themselves are gathered.

use std::ops::Range;

use super::context::Values;
use super::output_name::{bare_name, is_column_named, may_be_called};
use super::partial_words::{closing, is_alike, is_no_column};
use super::plan_types::{Partial, Scatter, Statement};
use super::scatter::{renumber, same_text};
use crate::merge::MergeSpec;
use crate::sql::{self, Block, Facts, Item, Scanner, Shape, Token, TokenKind, columns_named, identifier, splice};
use crate::types::ShardSet;

/// The table on home that holds the parts.
const ROWS: &str = "pg_temp.shardloom_rows";
/// What its columns are named with: a bare name in ORDER BY would be that of a column of the result.
const ROWS_NAME: &str = "shardloom_rows";
/// What the marks begin with; a text that has such a word itself is not planned so.
const MARK: &str = "shardloom_";
/// Behind [`MARK`]: a column of the parts as it is.
const COLUMN: &str = "c";
/// A sum of sums, which is of their type.
const SUM: &str = "s";
/// An average, from the column of its sums and that of its counts behind it.
const AVERAGE: &str = "a";
/// Words of expressions that are finished nowhere but over the rows: subqueries, windows, and what depends on them.
const NOT_FINISHED: [&str; 7] = ["select", "values", "table", "with", "over", "within", "grouping"];

/// PostgreSQL's types of sums that do not depend on the order: bigint and numeric, which averages are made of, too.
const COUNTED: [u32; 2] = [20, 1700];
/// Beside these, interval and money.
const ADDED: [u32; 2] = [1186, 790];
/// Integers and numeric, whose distinct values are summed on home.
const WHOLE: [u32; 4] = [21, 23, 20, 1700];

/// Plans it; `None` where home needs the rows.
pub(super) fn plan(facts: &Facts, shards: ShardSet, reads_reference: bool, values: &Values<'_>) -> Option<Partial> {
    let block = facts.block.as_ref()?;
    let text = values.text;
    let marked = |token: Token| identifier(text, token).is_some_and(|name| name.starts_with(MARK));
    if block.unmergeable.is_some()
        || block.holds.is_some()
        || facts.locks
        || shards.is_empty()
        || Scanner::new(text).any(marked)
    {
        return None;
    }
    // An alias that ORDER BY names may stand in an expression there, too, where it would be a column of the parts.
    if block.items.iter().filter_map(|item| item.alias.as_deref()).any(is_part_name) {
        return None;
    }
    let mut draft = Draft { text, block, facts, keys: Vec::new(), looked_at: Vec::new(), parts: Vec::new() };
    draft.keys = block.group.iter().map(|group| draft.key(group)).collect::<Option<_>>()?;
    let finish = draft.finish()?;
    let known =
        |name: &String| name.starts_with(MARK) || block.order.iter().any(|key| is_alias(block, &key.item, name));
    if !columns_named(&finish)?.iter().all(known) {
        return None;
    }
    let (sql, parameters) = renumber(&draft.shards_text()?);
    let kept = sql::read(&sql).is_ok_and(|again| again.relations == facts.relations);
    let column = |at: usize| draft.keys.len() + draft.looked_at.len() + at;
    let of_parts = draft.parts.iter().enumerate().filter(|(_, part)| part.summed).map(|(at, _)| column(at));
    let looked_at = draft.looked_at.iter().enumerate().filter(|(_, seen)| seen.summed);
    kept.then(|| Partial {
        parts: Scatter {
            shards,
            statement: Statement::Rewritten { sql, parameters },
            merge: MergeSpec::default(),
            reads_reference,
            locks: false,
            lock_first: None,
        },
        whole: Statement::Original,
        sums: of_parts.collect(),
        summed: looked_at.map(|(at, _)| draft.keys.len() + at).collect(),
        finish: draft.numbered(finish),
    })
}

/// A column of the parts.
struct PartColumn {
    /// Its expression on the shards.
    sql: String,
    /// Whether its values are added, so that they must not be of floating point.
    summed: bool,
}

struct Draft<'a> {
    text: &'a str,
    block: &'a Block,
    facts: &'a Facts,
    /// The group keys.
    keys: Vec<Key<'a>>,
    /// What DISTINCT aggregates look at; the shards group by it.
    looked_at: Vec<PartColumn>,
    /// Parts of the other aggregates.
    parts: Vec<PartColumn>,
}

/// A group key.
struct Key<'a> {
    item: &'a Item,
}

impl<'a> Draft<'a> {
    /// Returns the expression that a group key means; `None` where that cannot be told.
    fn key(&self, group: &'a Item) -> Option<Key<'a>> {
        let item = match &group.shape {
            Shape::Position(position) => self.block.items.get(position.checked_sub(1)?)?,
            Shape::Column(column) => {
                // A name may be that of a column, or of a select item if there is no such column.
                let aliased = |item: &Item| {
                    let own = matches!(&item.shape, Shape::Column(other) if other.name == column.name);
                    item.alias.as_deref() == Some(column.name.as_str()) && !own
                };
                let ambiguous = column.relation.is_none() && self.block.items.iter().any(aliased);
                (!ambiguous).then_some(group)?
            }
            Shape::Expression => group,
            Shape::Star | Shape::Aggregate { .. } | Shape::OverAggregate => return None,
        };
        let kept = match &item.shape {
            Shape::Column(_) | Shape::Expression => !self.has_word(&item.span),
            Shape::Star | Shape::Position(_) | Shape::Aggregate { .. } | Shape::OverAggregate => false,
        };
        kept.then_some(Key { item })
    }

    fn has_word(&self, span: &Range<usize>) -> bool {
        let part = &self.text[span.clone()];
        Scanner::new(part).any(|token| NOT_FINISHED.iter().any(|word| token.is_word(part, word)))
    }

    /// Writes the statement for home.
    fn finish(&mut self) -> Option<String> {
        let (text, block) = (self.text, self.block);
        let tail = |item: &Item| text[item.span.end..item.whole.end].to_owned();
        let mut items = Vec::with_capacity(block.items.len());
        for item in &block.items {
            items.push(self.item(item)? + &tail(item));
        }
        let distinct = if block.distinct { "DISTINCT " } else { "" };
        let mut sql = format!("SELECT {distinct}{} FROM {ROWS}", items.join(", "));
        if !self.keys.is_empty() {
            let keys: Vec<String> = (0..self.keys.len()).map(|at| mark(COLUMN, at)).collect();
            sql.push_str(&format!(" GROUP BY {}", keys.join(", ")));
        }
        if block.having {
            let having = self.rewritten(&block.having_span.clone()?)?;
            sql.push_str(&format!(" HAVING {having}"));
        }
        let mut order = Vec::with_capacity(block.order.len());
        for key in &block.order {
            order.push(self.ordered(&key.item)? + &tail(&key.item));
        }
        if !order.is_empty() {
            sql.push_str(&format!(" ORDER BY {}", order.join(", ")));
        }
        for span in &block.limit_spans {
            if self.has_word(span) {
                return None;
            }
            sql.push_str(&format!(" {}", &text[span.clone()]));
        }
        Some(sql)
    }

    /// Returns an ORDER BY key. A bare name is that of a column of the result, and only if there is none such that of a
    /// column of the table.
    fn ordered(&mut self, item: &Item) -> Option<String> {
        let (text, block) = (self.text, self.block);
        let written = &text[item.span.clone()];
        if matches!(item.shape, Shape::Position(_)) {
            return Some(written.to_owned());
        }
        let Some(name) = bare_name(written)? else { return self.item(item) };
        let aliased = block.items.iter().any(|output| output.alias.as_deref() == Some(name.as_str()));
        let (own, other): (Vec<&Item>, Vec<&Item>) = block
            .items
            .iter()
            .filter(|output| output.alias.is_none())
            .partition(|output| is_column_named(output, &name));
        if other.iter().any(|output| may_be_called(&text[output.span.clone()], &name)) {
            return None;
        }
        match (aliased, own.as_slice()) {
            (true, []) => Some(written.to_owned()),
            (false, []) => self.item(item),
            (false, [first, more @ ..]) => {
                let column = self.item(first)?;
                for output in more {
                    // Else PostgreSQL calls the name ambiguous.
                    (self.item(output)? == column).then_some(())?;
                }
                Some(column)
            }
            (true, [_, ..]) => None,
        }
    }

    /// Returns an item: a whole group key, or an expression over some and over aggregates.
    fn item(&mut self, item: &Item) -> Option<String> {
        if item.shape == Shape::Star {
            return None;
        }
        match self.keys.iter().position(|key| same_text(self.text, key.item, item)) {
            Some(at) => Some(mark(COLUMN, at)),
            None => self.rewritten(&item.span),
        }
    }

    /// Returns a part of the text with its aggregates and group keys replaced.
    fn rewritten(&mut self, span: &Range<usize>) -> Option<String> {
        if self.has_word(span) {
            return None;
        }
        let part = &self.text[span.clone()];
        let tokens: Vec<Token> = Scanner::new(part).collect();
        let mut edits = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            if let Some((end, replaced)) = self.aggregate(part, &tokens, at)? {
                edits.push((tokens[at].start..tokens[end].end, replaced));
                at = end + 1;
            } else if let Some((end, key)) = self.key_at(part, &tokens, at) {
                edits.push((tokens[at].start..tokens[end].end, mark(COLUMN, key)));
                at = end + 1;
            } else {
                at += 1;
            }
        }
        Some(splice(part, &edits))
    }

    /// Finds an aggregate that begins at a token: its last token, and what stands for it. `None` for one that is not known.
    fn aggregate(&mut self, part: &str, tokens: &[Token], at: usize) -> Option<Option<(usize, String)>> {
        let is = |at: usize, mark: &str| tokens.get(at).is_some_and(|token| token.is_mark(part, mark));
        let name = match tokens[at].kind {
            TokenKind::Word if is(at + 1, "(") => tokens[at].text(part).to_ascii_lowercase(),
            _ => return Some(None),
        };
        if !sql::is_aggregate_name(&name) {
            return Some(None);
        }
        let qualified = at.checked_sub(1).is_some_and(|before| is(before, "."));
        let close = closing(part, tokens, at + 1)?;
        let inner = &tokens[at + 2..close];
        let nested = inner.iter().any(|token| {
            // Home would not know the collation.
            ["order", "collate"].iter().any(|word| token.is_word(part, word))
                || identifier(part, *token).is_some_and(|name| sql::is_aggregate_name(&name))
        });
        if qualified || nested || inner.is_empty() {
            return None;
        }
        let filter = match tokens.get(close + 1) {
            Some(token) if token.is_word(part, "filter") => {
                let last = closing(part, tokens, close + 2)?;
                let condition = tokens.get(close + 3).filter(|token| token.is_word(part, "where"))?.end;
                Some((last, part[condition..tokens[last].start].trim()))
            }
            Some(_) | None => None,
        };
        let end = filter.map_or(close, |(last, _)| last);
        let distinct = inner[0].is_word(part, "distinct");
        let first = if distinct || inner[0].is_word(part, "all") { inner.get(1)? } else { &inner[0] };
        let call = Call {
            name,
            argument: part[first.start..tokens[close].start].trim(),
            filter: filter.map(|(_, condition)| condition),
        };
        let replaced = if distinct { self.distinct(&call) } else { self.folded(&call) };
        Some(Some((end, replaced?)))
    }

    /// Home aggregates the distinct values itself: those of each shard travel.
    fn distinct(&mut self, call: &Call<'_>) -> Option<String> {
        let value = match call.filter {
            // NULL is no value to these aggregates.
            Some(condition) => format!("CASE WHEN {condition} THEN {} END", call.argument),
            None => call.argument.to_owned(),
        };
        let summed = match call.name.as_str() {
            "sum" | "avg" => true,
            "count" | "min" | "max" | "bool_and" | "bool_or" | "every" => false,
            _ => return None,
        };
        let at = self.keys.len() + add(&mut self.looked_at, value, summed);
        Some(format!("{}(DISTINCT {})", call.name, mark(COLUMN, at)))
    }

    /// Home folds what the shards have folded.
    fn folded(&mut self, call: &Call<'_>) -> Option<String> {
        let behind = call.filter.map(|condition| format!(" FILTER (WHERE {condition})")).unwrap_or_default();
        let mut part =
            |name: &str, summed: bool| add(&mut self.parts, format!("{name}({}){behind}", call.argument), summed);
        Some(match call.name.as_str() {
            "count" => format!("coalesce(sum({}), 0)::int8", part_mark(COLUMN, part("count", false))),
            "sum" => part_mark(SUM, part("sum", true)),
            "avg" => format!("{}_{}", part_mark(AVERAGE, part("sum", true)), part_number(part("count", false))),
            name @ ("min" | "max" | "bool_and" | "bool_or" | "every") => {
                format!("{name}({})", part_mark(COLUMN, part(name, false)))
            }
            _ => return None,
        })
    }

    /// Finds a group key that begins at a token: its last token and which it is. Only what no operator beside it can tear
    /// apart is taken: a column, or a call.
    fn key_at(&self, part: &str, tokens: &[Token], at: usize) -> Option<(usize, usize)> {
        let is = |at: usize, mark: &str| tokens.get(at).is_some_and(|token| token.is_mark(part, mark));
        if is_no_column(part, tokens, at) {
            return None;
        }
        self.keys.iter().enumerate().find_map(|(number, key)| {
            let own = &self.text[key.item.span.clone()];
            let wanted: Vec<Token> = Scanner::new(own).collect();
            let end = at + wanted.len().checked_sub(1)?;
            let same = wanted.iter().zip(tokens.get(at..=end)?).all(|(one, other)| is_alike((own, one), (part, other)));
            let whole = !is(end + 1, ".") && (!is(end + 1, "(") || is(end, ")"));
            let atomic = match key.item.shape {
                Shape::Column(_) => true,
                _ => {
                    wanted.get(1).is_some_and(|token| token.is_mark(own, "("))
                        && wanted[0].kind == TokenKind::Word
                        && closing(own, &wanted, 1) == Some(wanted.len() - 1)
                }
            };
            (same && whole && atomic)
                .then_some((end, number))
                .or_else(|| self.other_name(key, part, tokens, at).map(|end| (end, number)))
        })
    }

    /// Finds a column that is a key under its other name, with or without its table: there is but one table.
    fn other_name(&self, key: &Key<'_>, part: &str, tokens: &[Token], at: usize) -> Option<usize> {
        let Shape::Column(column) = &key.item.shape else { return None };
        let [relation] = self.facts.relations.as_slice() else { return None };
        let is = |at: usize, mark: &str| tokens.get(at).is_some_and(|token| token.is_mark(part, mark));
        let name = |at: usize| identifier(part, *tokens.get(at)?);
        let end = match is(at + 1, ".") {
            true if name(at)? == relation.alias => at + 2,
            true => return None,
            false => at,
        };
        (name(end)? == column.name && !is(end + 1, ".") && !is(end + 1, "(")).then_some(end)
    }

    /// Writes the statement for the shards.
    fn shards_text(&self) -> Option<String> {
        let key = |key: &Key<'_>| self.text[key.item.span.clone()].to_owned();
        let grouped = self.keys.len() + self.looked_at.len();
        let columns: Vec<String> = self
            .keys
            .iter()
            .map(key)
            .chain(self.looked_at.iter().chain(&self.parts).map(|column| column.sql.clone()))
            .collect();
        if columns.is_empty() {
            return None;
        }
        let body = self.text.get(self.block.items_end..self.block.body_end)?;
        let by: Vec<String> = (1..=grouped).map(|position| position.to_string()).collect();
        let group = if by.is_empty() { String::new() } else { format!(" GROUP BY {}", by.join(", ")) };
        // A comment may reach to the end of its line.
        let end = if body.contains("--") { "\n" } else { "" };
        let with = &self.text[..self.block.start];
        Some(format!("{with}SELECT {}{}{end}{group}", columns.join(", "), body.trim_end()))
    }

    /// Gives the parts their places among all columns, now that it is known how many stand before them.
    fn numbered(&self, finish: String) -> String {
        let ahead = self.keys.len() + self.looked_at.len();
        let mut edits = Vec::new();
        for token in Scanner::new(&finish) {
            let name = token.text(&finish);
            let Some(rest) = name.strip_prefix(MARK) else { continue };
            let moved = |number: &str| match number.strip_prefix('p').and_then(|number| number.parse::<usize>().ok()) {
                Some(number) => (number + ahead).to_string(),
                None => number.to_owned(),
            };
            let (kind, numbers) = rest.split_at(1);
            let numbers: Vec<String> = numbers.split('_').map(moved).collect();
            edits.push((token.span(), format!("{MARK}{kind}{}", numbers.join("_"))));
        }
        splice(&finish, &edits)
    }
}

/// An aggregate call.
struct Call<'a> {
    name: String,
    argument: &'a str,
    filter: Option<&'a str>,
}

fn mark(kind: &str, at: usize) -> String {
    format!("{MARK}{kind}{at}")
}

fn part_mark(kind: &str, at: usize) -> String {
    format!("{MARK}{kind}{}", part_number(at))
}

/// A part is numbered among the parts until all columns are known.
fn part_number(at: usize) -> String {
    format!("p{at}")
}

/// Adds a column unless there is one that says the same.
fn add(columns: &mut Vec<PartColumn>, sql: String, summed: bool) -> usize {
    match columns.iter().position(|column| column.sql == sql) {
        Some(at) => {
            columns[at].summed |= summed;
            at
        }
        None => {
            columns.push(PartColumn { sql, summed });
            columns.len() - 1
        }
    }
}

/// Tells whether an ORDER BY key is this bare name, and a select item has it as its alias.
fn is_alias(block: &Block, key: &Item, name: &str) -> bool {
    let bare = matches!(&key.shape, Shape::Column(column) if column.relation.is_none() && column.name == name);
    bare && block.items.iter().any(|item| item.alias.as_deref() == Some(name))
}

/// Tells whether the parts have columns of such names.
fn is_part_name(name: &str) -> bool {
    let number = name.strip_prefix(COLUMN);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Partial {
    /// Returns the statement that finishes parts of these types; `None` where sums of them are not exact.
    pub fn finished(&self, types: &[u32]) -> Option<Statement> {
        let is = |at: &usize, known: &[u32]| types.get(*at).is_some_and(|found| known.contains(found));
        let added = |at: &usize| is(at, &COUNTED) || is(at, &ADDED);
        if !self.sums.iter().all(added) || !self.summed.iter().all(|at| is(at, &WHOLE)) {
            return None;
        }
        let (sql, parameters) = renumber(&self.replaced(|kind, numbers| finished(kind, numbers, types))?);
        Some(Statement::Rewritten { sql, parameters })
    }

    /// Returns the statement that finishes the parts, for people: `cN` are the columns of the parts.
    pub fn shown(&self) -> String {
        let word = |kind: &str, numbers: &[usize]| {
            let columns: Vec<String> = numbers.iter().map(|at| format!("c{at}")).collect();
            Some(match kind {
                SUM => format!("sum({})", columns.join(", ")),
                AVERAGE => format!("sum({})", columns.join(") / sum(")),
                _ => columns.join(", "),
            })
        };
        self.replaced(word).unwrap_or_default()
    }

    fn replaced(&self, word: impl Fn(&str, &[usize]) -> Option<String>) -> Option<String> {
        let mut edits = Vec::new();
        for token in Scanner::new(&self.finish).filter(|token| token.kind == TokenKind::Word) {
            let Some(rest) = token.text(&self.finish).strip_prefix(MARK).filter(|rest| *rest != "rows") else {
                continue;
            };
            let (kind, numbers) = rest.split_at(1);
            let numbers: Vec<usize> = numbers.split('_').map_while(|number| number.parse().ok()).collect();
            edits.push((token.span(), word(kind, &numbers)?));
        }
        Some(splice(&self.finish, &edits))
    }
}

/// Returns what a mark stands for.
fn finished(kind: &str, numbers: &[usize], types: &[u32]) -> Option<String> {
    match (kind, numbers) {
        (COLUMN, [at]) => Some(format!("{ROWS_NAME}.c{at}")),
        // The sum of bigints is numeric, but these are parts of one that is bigint.
        (SUM, [at]) if *types.get(*at)? == COUNTED[0] => Some(format!("sum(c{at})::int8")),
        (SUM, [at]) => Some(format!("sum(c{at})")),
        (AVERAGE, [sum, count]) if COUNTED.contains(types.get(*sum)?) => {
            Some(format!("(sum(c{sum}) / nullif(sum(c{count}), 0))"))
        }
        (_, _) => None,
    }
}
