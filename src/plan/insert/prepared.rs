//! One INSERT, read once, planned at every execution.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::plan::catalog::{Catalog, Table};
use crate::plan::context::{Context, Values};
use crate::plan::parsing::apart;
use crate::plan::{Direct, MultiWrite, Part, Plan, Redo, ReturningOrder, Statement};
use crate::plan::{given_id, hidden, split};
use crate::rules::{Distribution, RuleMode, RuleSet, TableRule, UnlistedTables};
use crate::sql::insert::{Cell, CellValue, InsertFacts, Row, Source, read_cell};
use crate::sql::{Literal, Shift, TableName, literals};
use crate::types::{KeyType, Refusal, ShardId, SqlState, type_modifier};

use super::effect::{Judge, target_table};
use super::given::RowKeys;
use super::home_numbers::QueryNumbers;
use super::key::{KeyColumn, check_type, key_position};
use super::make::{IdValue, MakeIds};
use super::moment::Moments;
use super::parameters::Parameters;
use super::placing::Placing;
use super::refuse;
use super::render::{IdForm, Rendering};
use super::slots::{Layout, layout};
use super::source::RowsByKey;
use super::split::{SplitInsert, insert_select};

/// An INSERT whose text was understood.
#[derive(Debug, Clone)]
pub struct PreparedInsert {
    pub(super) facts: InsertFacts,
    /// The table's name as rules and catalog have it.
    pub(super) name: String,
    pub(super) layout: Layout,
    /// What home's sequences number in the rows of its query.
    pub(super) numbers: QueryNumbers,
    pub(super) target: Target,
    /// Whether the rows of its query have to be read first, for their ids.
    pub(super) reads_first: bool,
    /// Whether values of its rows come from what lives on home alone, as the next numbers of sequences do.
    pub(super) draws: bool,
    /// The query, if each of its rows is inserted where it is made.
    pub(super) rows: Option<Box<RowsByKey>>,
    /// What it has to do with split tables, if it has.
    splits: Option<Box<SplitInsert>>,
    /// How a text of this shape can be redone; its constants may forbid it.
    redo: Redo,
    /// What the parts of rows of several shards say of the present time, and how those can be redone.
    moments: Moments,
    redo_of_parts: Redo,
    /// The text that was read, and its constants.
    text: Box<str>,
    literals: Box<[Literal]>,
}

/// The text of one execution: the one that was read, or one that differs from it in constants only.
#[derive(Clone, Copy)]
pub(super) struct Moved<'a> {
    pub(super) text: &'a str,
    pub(super) literals: &'a [Literal],
    pub(super) shift: Shift<'a>,
}

/// A shard, and the slot of the table there: 0 where it is not split.
type Destination = (ShardId, usize);

/// The rows that go to one destination, by their 0-based places.
type Share = (Destination, Vec<u32>);

/// Where the rows go.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// By key; the key's position among the columns of the layout.
    Sharded { placing: Placing, position: usize },
    /// All of them to one shard.
    Home(ShardId),
}

/// A text that tells a server's Parse what it needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Describe {
    /// The text: all rows, ids as parameters.
    pub sql: String,
    /// How many parameters at the end are the proxy's own and must not be shown to the client.
    pub injected: usize,
}

impl PreparedInsert {
    /// Judges what the text alone tells.
    ///
    /// # Errors
    /// Refuses with 23502, 42601, 42P01 or 0A000 what no value of any parameter could mend.
    pub fn new(text: &str, facts: InsertFacts, rules: &RuleSet, catalog: &Catalog) -> Result<Self, Refusal> {
        let name = facts.table.rule_key().into_owned();
        let rule = rules.table(&name);
        let table = catalog.table(&name);
        let layout = layout(text, &facts, rule, &name, table, rules)?;
        let numbers = QueryNumbers::read(text, &facts, rule, &Context { rules, catalog });
        let target = match rule.map(|rule| &rule.distribution) {
            Some(Distribution::Sharded { group, key, more }) => {
                let read = |name_of: &String, key_type: KeyType| {
                    let key = KeyColumn {
                        table: target_table(rule, &name),
                        name: name_of.clone(),
                        key_type,
                        length: table.and_then(|table| type_modifier(&table.column(name_of)?.type_name)),
                    };
                    check_type(&key, table)?;
                    let position = match key_position(&layout, &key) {
                        // Its rows get their keys when ids are made for them, or numbers drawn.
                        Err(_) if is_made(&facts, rule, &key.name) || numbers.has(&key.name) => usize::MAX,
                        Err(refusal) => return Err(unknown_column(&facts, &name, table).unwrap_or(refusal)),
                        Ok(position) => position,
                    };
                    Ok::<_, Refusal>((key, position))
                };
                let of_group = rules.group(*group);
                let (key, position) = read(key, of_group.key_type)?;
                let more = more.iter().zip(of_group.more_types()).map(|(column, key_type)| read(column, *key_type));
                let more = more.collect::<Result<Vec<_>, Refusal>>()?;
                Target::Sharded { placing: Placing { group: *group, key, more }, position }
            }
            Some(Distribution::Reference { home, .. }) => Target::Home(*home),
            Some(Distribution::Single { shard }) => Target::Home(*shard),
            None => Target::Home(unlisted(&facts.table, rules)?),
        };
        let splits = SplitInsert::read(text, &facts, &layout, rules, catalog)?.map(Box::new);
        let constants = literals(text).into_boxed_slice();
        let rows = match &target {
            Target::Sharded { placing, position } => {
                RowsByKey::read(text, &facts, (placing, *position), &Context { rules, catalog }).map(Box::new)
            }
            Target::Home(_) => None,
        };
        let mut prepared = Self {
            facts,
            name,
            layout,
            numbers,
            target,
            reads_first: false,
            draws: false,
            rows,
            splits,
            redo: Redo::Exact,
            moments: Moments::default(),
            redo_of_parts: Redo::Exact,
            text: text.into(),
            literals: constants,
        };
        prepared.check_with(rules)?;
        prepared.check_conflict(rule, catalog)?;
        prepared.check_ids(rule)?;
        if let Some(id) = rule.and_then(|rule| rule.id.as_ref()).filter(|_| prepared.injects()) {
            given_id::check_width(&prepared.name, id, catalog)?;
        }
        prepared.reads_first = prepared.reads_first(rule);
        prepared.draws = prepared.draws(catalog);
        let none = Parameters::default();
        prepared.judge(rules, catalog, &none, prepared.itself()).check_numbers(&prepared.numbers)?;
        prepared.moments = Moments::of(&prepared.facts, &prepared.layout, table, catalog);
        let judge = prepared.judge(rules, catalog, &none, prepared.itself());
        (prepared.redo, prepared.redo_of_parts) =
            (judge.redo_of_shape(&Moments::default()), judge.redo_of_shape(&prepared.moments));
        Ok(prepared)
    }

    /// Tells whether it holds for every text with the same skeleton whose constants stand where these do.
    pub fn is_template(&self) -> bool {
        let Source::Values(rows) = &self.facts.source else { return false };
        let names_tag = |row: &Row| row.cells.iter().any(|cell| matches!(cell.value, CellValue::NextId(_)));
        // A tag is a constant that decides what is made.
        !self.facts.with && !self.facts.subquery && !self.layout.nests_calls() && !rows.iter().any(names_tag)
    }

    /// Tells whether it can plan this text with these constants.
    pub fn is_for(&self, text: &str, literals: &[Literal]) -> bool {
        self.moved(text, literals).is_some()
    }

    /// Returns where the constants of the text at hand are; `None` if more than they differ from the text that was read.
    fn moved<'a>(&'a self, text: &'a str, literals: &'a [Literal]) -> Option<Moved<'a>> {
        let shift = Shift::between((&self.text, &self.literals), (text, literals))?;
        (shift.is_none() || self.is_template()).then_some(Moved { text, literals, shift })
    }

    pub(super) fn itself(&self) -> Moved<'_> {
        Moved { text: &self.text, literals: &self.literals, shift: Shift::NONE }
    }

    /// Plans one execution; `None` if the text is not one that this was made for. `ids` is asked once per tag.
    ///
    /// # Errors
    /// Refuses what the values at hand make impossible, and passes on what `ids` refuses.
    pub fn plan(
        &self,
        rules: &RuleSet,
        catalog: &Catalog,
        values: &Values<'_>,
        ids: &mut MakeIds<'_>,
    ) -> Result<Option<Plan>, Refusal> {
        let Some(moved) = self.moved(values.text, values.literals) else { return Ok(None) };
        self.plan_moved(rules, catalog, moved, &values.parameters, ids).map(Some)
    }

    fn plan_moved(
        &self,
        rules: &RuleSet,
        catalog: &Catalog,
        moved: Moved<'_>,
        parameters: &Parameters<'_>,
        ids: &mut MakeIds<'_>,
    ) -> Result<Plan, Refusal> {
        if matches!(self.facts.source, Source::Query(_)) {
            if self.splits.as_ref().is_some_and(|splits| splits.column.is_some()) {
                // Each row has a physical table of its own.
                return self.carry_query(rules, catalog, insert_select(&self.name));
            }
            let plan = self.plan_query(rules, catalog, parameters)?;
            return self.over_physical(plan, moved.text, parameters.values.len());
        }
        let drawn = if self.draws { Err(refuse::drawn(&self.name)) } else { Ok(()) };
        let reads_reference = match drawn.and_then(|()| self.check_subqueries(rules)) {
            Ok(reads_reference) => reads_reference,
            Err(refusal) => return self.carry_cells(rules, catalog, (parameters, moved), refusal),
        };
        let (made, parts) = match self.place_rows(rules, (parameters, moved), ids) {
            Err(refusal) if refuse::is_computed(&refusal) => {
                return self.carry_cells(rules, catalog, (parameters, moved), refusal);
            }
            placed => placed?,
        };
        let form = if parameters.is_extended { IdForm::Parameter } else { IdForm::Literal };
        let count = parameters.values.len();
        let rendering = Rendering {
            text: moved.text,
            shift: moved.shift,
            facts: &self.facts,
            layout: &self.layout,
            moments: &self.moments,
            ids: &made,
            form,
            parameters: count,
        };
        let judge = self.judge(rules, catalog, parameters, moved);
        match parts.as_slice() {
            [((shard, slot), _)] => {
                let statement = self.physical(rendering.whole(), *slot, &rendering)?;
                let effect = Some(judge.effect()?);
                Ok(Plan::Direct(Direct { shard: *shard, statement, effect, anywhere: false, reads_reference }))
            }
            parts if self.facts.with || self.facts.subquery => {
                let refusal = self.with_subquery();
                reject_if_ruled(&judge)?;
                debug_assert!(parts.len() > 1, "one shard takes the whole statement");
                self.carry_cells(rules, catalog, (parameters, moved), refusal)
            }
            parts => self.split(parts, &rendering, &Judge { redo: &self.redo_of_parts, ..judge }),
        }
    }

    /// Makes the ids and tells where each row goes.
    fn place_rows(
        &self,
        rules: &RuleSet,
        (parameters, moved): (&Parameters<'_>, Moved<'_>),
        ids: &mut MakeIds<'_>,
    ) -> Result<(Vec<IdValue>, Vec<Share>), Refusal> {
        let (mut made, keys) = self.make_ids(rules, parameters, moved, ids)?;
        self.check_given(rules, parameters, moved, &keys)?;
        let shards = self.shards_of_rows(rules, &keys)?;
        self.prefix(rules, &shards, &mut made);
        let parts = self.slots_of_rows(shards, &made, (parameters, moved))?;
        Ok((made, parts))
    }

    /// Tells whether a row of a sharded table has a value that is made on home alone.
    fn draws(&self, catalog: &Catalog) -> bool {
        let (Source::Values(rows), Target::Sharded { .. }) = (&self.facts.source, &self.target) else { return false };
        let mut cells = rows.iter().flat_map(|row| &row.cells);
        cells.any(|cell| {
            cell.value == CellValue::Expression && hidden::home_call(&self.text[cell.span.clone()], catalog).is_some()
        })
    }

    /// Puts the target's physical table into a part.
    fn physical(&self, statement: Statement, slot: usize, rendering: &Rendering<'_>) -> Result<Statement, Refusal> {
        match &self.splits {
            None => Ok(statement),
            Some(splits) => splits.physical(statement, slot, rendering.text, rendering.parameters),
        }
    }

    /// Puts physical tables into what an INSERT … SELECT reads.
    fn over_physical(&self, mut plan: Plan, text: &str, parameters: usize) -> Result<Plan, Refusal> {
        let Some(splits) = &self.splits else { return Ok(plan) };
        let replace = |statement: &mut Statement| -> Result<(), Refusal> {
            *statement = splits.physical(std::mem::replace(statement, Statement::Original), 0, text, parameters)?;
            Ok(())
        };
        match &mut plan {
            Plan::Direct(direct) => replace(&mut direct.statement)?,
            Plan::MultiWrite(write) => write.parts.iter_mut().try_for_each(|part| replace(&mut part.statement))?,
            Plan::Scatter(_)
            | Plan::Gather(_)
            | Plan::Carry(_)
            | Plan::Copy(_)
            | Plan::CopyOut(_)
            | Plan::Everywhere { .. } => {}
        }
        Ok(plan)
    }

    /// Tells whether the rules split a table that it names.
    pub(in crate::plan) fn is_split(&self) -> bool {
        self.splits.is_some()
    }

    /// Returns what servers can parse in the place of `text`, where the rules split its tables.
    pub(in crate::plan) fn parsed_text(&self, text: &str) -> Result<Option<String>, Refusal> {
        self.splits.as_ref().map(|splits| splits.parsed(text)).transpose()
    }

    /// Returns what a server's Parse and Describe are asked in place of `text`; `None` if the text is not one that this
    /// was made for.
    pub fn describe_text(&self, text: &str) -> Option<Describe> {
        let constants = literals(text);
        let shift = self.moved(text, &constants)?.shift;
        let parameters = self.facts.parameters.iter().map(|used| used.index + 1).max().unwrap_or(0);
        let ids = vec![IdValue::Bigint(0); self.layout.slots.len()];
        let form = IdForm::Parameter;
        let rendering = Rendering {
            text,
            shift,
            facts: &self.facts,
            layout: &self.layout,
            moments: &self.moments,
            ids: &ids,
            form,
            parameters,
        };
        Some(match rendering.whole() {
            Statement::Original => Describe { sql: text.to_owned(), injected: 0 },
            Statement::Rewritten { sql, .. } => Describe { sql, injected: ids.len() },
        })
    }

    /// Tells whether ids are put in, so that servers get another text than the client's.
    pub fn injects(&self) -> bool {
        !self.layout.slots.is_empty()
    }

    /// Returns the shard that must be asked to parse it, `None` where any shard knows the tables.
    ///
    /// # Errors
    /// Refuses tables of which no shard knows all.
    pub fn parsing_shard(&self, rules: &RuleSet) -> Result<Option<ShardId>, Refusal> {
        let single = |table: &TableName| match rules.table(&table.rule_key()).map(|rule| &rule.distribution) {
            Some(Distribution::Single { shard }) => Some(*shard),
            Some(Distribution::Sharded { .. } | Distribution::Reference { .. }) => None,
            None => (!table.is_catalog()).then_some(rules.home),
        };
        match &self.target {
            Target::Sharded { .. } => Ok(self.facts.relations.iter().find_map(single)),
            Target::Home(shard) => {
                let is_apart = |table: &&TableName| single(table).is_some_and(|other| other != *shard);
                match self.facts.relations.iter().find(is_apart) {
                    Some(table) => Err(apart(&self.facts.table, table)),
                    None => Ok(Some(*shard)),
                }
            }
        }
    }

    /// Returns the table's name as the rules have it.
    pub fn table(&self) -> &str {
        &self.name
    }

    pub(super) fn judge<'a>(
        &'a self,
        rules: &'a RuleSet,
        catalog: &'a Catalog,
        parameters: &'a Parameters<'a>,
        moved: Moved<'a>,
    ) -> Judge<'a> {
        let rule = rules.table(&self.name);
        Judge {
            moved,
            facts: &self.facts,
            layout: &self.layout,
            table: &self.name,
            rule,
            rules,
            catalog,
            parameters,
            redo: &self.redo,
        }
    }

    /// Groups the rows by shard, shards in the order of their first row.
    fn shards_of_rows(&self, rules: &RuleSet, keys: &RowKeys) -> Result<Vec<(ShardId, Vec<u32>)>, Refusal> {
        let Target::Sharded { placing, .. } = &self.target else {
            let Target::Home(shard) = &self.target else { return Ok(Vec::new()) };
            return Ok(vec![(*shard, Vec::new())]);
        };
        let mut shards: Vec<(ShardId, Vec<u32>)> = Vec::new();
        for (number, key) in keys.iter().enumerate() {
            let shard = placing.of(key.as_ref(), rules)?;
            match shards.iter_mut().find(|(known, _)| *known == shard) {
                Some((_, rows)) => rows.push(number as u32),
                None => shards.push((shard, vec![number as u32])),
            }
        }
        Ok(shards)
    }

    /// Groups each shard's rows by their physical table, in the order of its first row; slot 0 where there is but one.
    fn slots_of_rows(
        &self,
        shards: Vec<(ShardId, Vec<u32>)>,
        made: &[IdValue],
        at_hand: (&Parameters<'_>, Moved<'_>),
    ) -> Result<Vec<Share>, Refusal> {
        let column = self.splits.as_ref().and_then(|splits| splits.column.as_ref());
        let Some(column) = column else {
            return Ok(shards.into_iter().map(|(shard, rows)| ((shard, 0), rows)).collect());
        };
        let of_column = self.layout.slots.iter().zip(made).filter(|(slot, _)| slot.column == column.position);
        let ids: HashMap<usize, &IdValue> = of_column.map(|(slot, id)| (slot.row, id)).collect();
        let mut parts: Vec<Share> = Vec::new();
        for (shard, rows) in shards {
            for number in rows {
                let id = ids.get(&(number as usize)).copied();
                let slot = column.slot(&self.rows()[number as usize], id, at_hand)?;
                match parts.iter_mut().find(|(known, _)| *known == (shard, slot)) {
                    Some((_, rows)) => rows.push(number),
                    None => parts.push(((shard, slot), vec![number])),
                }
            }
        }
        Ok(parts)
    }

    /// The rows' cells; DEFAULT VALUES is one row without any.
    pub(super) fn rows(&self) -> &[Row] {
        const ONE: &[Row] = &[Row { span: 0..0, cells: Vec::new() }];
        match &self.facts.source {
            Source::Values(rows) => rows.as_slice(),
            Source::DefaultValues(_) | Source::Query(_) => ONE,
        }
    }

    fn with_subquery(&self) -> Refusal {
        Refusal::unsupported(
            format!("an INSERT into \"{}\" with a subquery would write several shards", self.name),
            "Insert the rows of one sharding key per statement.",
        )
    }

    fn split(&self, parts: &[Share], rendering: &Rendering<'_>, judge: &Judge<'_>) -> Result<Plan, Refusal> {
        if parts.iter().any(|((shard, _), _)| *shard != parts[0].0.0) {
            reject_if_ruled(judge)?;
        }
        let part = |((shard, slot), rows): &Share| {
            let statement = self.physical(rendering.part(rows), *slot, rendering)?;
            Ok(Part { rows: rows.clone(), ..Part::new(*shard, statement) })
        };
        let mut parts = parts.iter().map(part).collect::<Result<Vec<Part>, Refusal>>()?;
        let mut effect = judge.effect()?;
        let returning = if self.facts.returning.is_some() { ReturningOrder::ByRow } else { ReturningOrder::None };
        let mut defers_when_down = judge.defers_when_down(&effect);
        if effect.deferrable || defers_when_down {
            let undone = judge.add_undo(&mut parts, rendering);
            // What could not be taken back, though the rules want it, is not left to a target that may refuse it.
            effect.deferrable &= undone;
            defers_when_down &= undone;
        }
        let effect = effect.over_shards();
        let in_turn = self.facts.conflict.is_some();
        Ok(Plan::MultiWrite(MultiWrite { parts, effect, returning, reads_reference: false, defers_when_down, in_turn }))
    }
}

pub(super) fn reject_if_ruled(judge: &Judge<'_>) -> Result<(), Refusal> {
    let Some(Distribution::Sharded { group, .. }) = judge.rule.map(|rule| &rule.distribution) else { return Ok(()) };
    let group = judge.rules.group(*group);
    if group.multi_shard.mode != RuleMode::Reject {
        return Ok(());
    }
    Err(Refusal::unsupported(
        format!(
            "the INSERT into \"{}\" writes several shards, which the rules of group \"{}\" reject",
            judge.table, group.name
        ),
        "Insert the rows of one shard per transaction, or set multi_shard.mode of the group.",
    ))
}

impl Moved<'_> {
    /// Returns what stands in the text at hand where the text that was read has `cell`.
    pub(super) fn cell<'c>(&self, cell: &'c Cell) -> Cow<'c, Cell> {
        if self.shift.is_none() {
            return Cow::Borrowed(cell);
        }
        read_cell(&self.text[self.shift.span(&cell.span)]).map_or(Cow::Borrowed(cell), Cow::Owned)
    }
}

/// Tells whether this column of a query's rows is a generated id.
pub(super) fn is_made(facts: &InsertFacts, rule: Option<&TableRule>, column: &str) -> bool {
    let id = rule.and_then(|rule| rule.id.as_ref());
    matches!(facts.source, Source::Query(_)) && id.is_some_and(|id| id.column == column)
}

/// Returns what PostgreSQL says first of a list of columns that has one which the table has not.
fn unknown_column(facts: &InsertFacts, name: &str, table: Option<&Table>) -> Option<Refusal> {
    let (table, columns) = (table?, facts.columns.as_ref()?);
    let unknown = columns.names.iter().find(|column| table.column(column).is_none())?;
    let message = format!("column \"{unknown}\" of relation \"{name}\" does not exist");
    Some(Refusal::new(SqlState::UNDEFINED_COLUMN, message))
}

/// Returns where a table lives that no rule names.
pub(in crate::plan) fn unlisted(table: &TableName, rules: &RuleSet) -> Result<ShardId, Refusal> {
    if rules.logical_of(&table.rule_key()).is_some() {
        return Err(split::named(table, rules));
    }
    match rules.unlisted {
        UnlistedTables::Home => Ok(rules.home),
        UnlistedTables::Reject if table.is_catalog() => Ok(rules.home),
        UnlistedTables::Reject => {
            Err(Refusal::new(SqlState::UNDEFINED_TABLE, format!("no rule for table \"{table}\""))
                .with_hint("Name the table in the rules, or set unlisted_tables: home."))
        }
    }
}
