//! Physical tables in the place of logical ones: one name where one slot is enough, a UNION ALL of several where not.
//!
//! PostgreSQL pulls such a UNION ALL of plain SELECTs up, so that conditions and indexes work in each of the tables. A
//! table that is written has one statement per slot.

use std::sync::Arc;

use super::places::{Named, places};
use super::uses::{all, slots};
use crate::plan::CarryForm;
use crate::plan::colocate::{Located, SlotUse, slot_uses};
use crate::plan::context::{Context, Values};
use crate::plan::functions;
use crate::plan::insert::quoted;
use crate::plan::key::{Decoded, decode};
use crate::plan::mention::Mention;
use crate::plan::plan_types::{
    Direct, MultiWrite, ParameterSource, Part, Plan, Redo, ReturningOrder, Statement, WriteEffect,
};
use crate::rules::{RuleSet, Split};
use crate::sql::insert::InsertFacts;
use crate::sql::{self, Facts, Relation, Slot, StatementKind, TableName, splice};
use crate::types::{Refusal, SqlState};

/// The longest text that physical tables may make of a statement, in bytes.
const TEXT_MAX: usize = 16 * 1024 * 1024;

/// The split tables of one statement.
#[derive(Debug, Clone)]
pub(in crate::plan) struct Splits {
    pub(super) tables: Vec<Named>,
    pub(super) uses: Vec<SlotUse>,
    /// Whether rows are locked.
    pub(super) locks: bool,
    /// The table that an UPDATE or DELETE writes, if it is split.
    pub(super) target: Option<Target>,
    /// The table that a MERGE writes, if it is split: its plan says into which slots.
    pub(super) merged: Option<String>,
}

/// A split table that is updated or deleted from.
#[derive(Debug, Clone)]
pub(super) struct Target {
    key: String,
    relation: usize,
    /// Whether the statement also reads it.
    read: bool,
    /// What is set in the column by which it is split.
    assigned: Vec<Option<Slot>>,
    returning: bool,
    /// Whether all functions do the same however often the statement is run.
    harmless: bool,
}

impl Splits {
    /// Finds the split tables of a SELECT, UPDATE or DELETE; `None` if there are none.
    ///
    /// # Errors
    /// Refuses what cannot be said of physical tables.
    pub(in crate::plan) fn of(
        text: &str,
        facts: &Facts,
        located: &Located,
        context: &Context<'_>,
    ) -> Result<Option<Self>, Refusal> {
        if context.rules.physical.is_empty() {
            return Ok(None);
        }
        let named = facts.relations.iter().filter_map(|relation| relation.table.as_ref());
        let tables = split_tables(named, context.rules);
        if tables.is_empty() {
            return Ok(None);
        }
        let uses = slot_uses(facts, context);
        let target = target(text, facts, located, &tables, &uses, context);
        let splits = Self { tables, uses, locks: facts.locks, target, merged: None };
        splits.check(text, facts)?;
        Ok(Some(splits))
    }

    /// Finds the split tables that an INSERT reads or writes; `None` if there are none.
    ///
    /// # Errors
    /// Refuses what cannot be said of physical tables.
    pub(in crate::plan) fn of_insert(
        text: &str,
        facts: &InsertFacts,
        rules: &RuleSet,
    ) -> Result<Option<Self>, Refusal> {
        if rules.physical.is_empty() {
            return Ok(None);
        }
        let tables = split_tables(facts.relations.iter().chain([&facts.table]), rules);
        if tables.is_empty() {
            return Ok(None);
        }
        let splits = Self { tables, uses: Vec::new(), locks: false, target: None, merged: None };
        let again = sql::insert::read(&splits.parsed(text)?).map_err(|_| unlike())?;
        let renamed = |table: &TableName| splits.renamed(table);
        let same = again.table == renamed(&facts.table)
            && again.relations.len() == facts.relations.len()
            && again.relations.iter().all(|table| facts.relations.iter().any(|own| renamed(own) == *table));
        if same { Ok(Some(splits)) } else { Err(unlike()) }
    }

    /// Returns a text that any server can parse, and that means the same to it: the first physical table for each.
    ///
    /// # Errors
    /// Refuses what cannot be said of physical tables.
    pub(in crate::plan) fn parsed(&self, text: &str) -> Result<String, Refusal> {
        let places = places(text, &self.tables)?;
        self.text(text, &places, |_| vec![0])
    }

    /// Checks that the places found are the relations that the parser found.
    fn check(&self, text: &str, facts: &Facts) -> Result<(), Refusal> {
        let again = sql::read(&self.parsed(text)?).map_err(|_| unlike())?;
        if again.relations == self.expected(facts) { Ok(()) } else { Err(unlike()) }
    }

    /// The relations of [`Splits::parsed`].
    pub(super) fn expected(&self, facts: &Facts) -> Vec<Relation> {
        let renamed = |relation: &Relation| Relation {
            table: relation.table.as_ref().map(|table| self.renamed(table)),
            ..relation.clone()
        };
        facts.relations.iter().map(renamed).collect()
    }

    /// The table's name as [`Splits::parsed`] has it.
    fn renamed(&self, table: &TableName) -> TableName {
        let key = table.rule_key();
        match self.tables.iter().find(|known| known.key == key) {
            Some(known) => TableName { schema: table.schema.clone(), name: known.split.names[0].clone() },
            None => table.clone(),
        }
    }

    pub(super) fn named(&self, key: &str) -> Option<&Named> {
        self.tables.iter().find(|known| known.key == key)
    }

    /// Puts physical tables into a plan of a SELECT, UPDATE or DELETE; one that has them stays as it is.
    ///
    /// # Errors
    /// Refuses what several physical tables cannot do together.
    pub(in crate::plan) fn plan(
        &self,
        plan: Plan,
        context: &Context<'_>,
        values: &Values<'_>,
    ) -> Result<Plan, Refusal> {
        match plan {
            Plan::Direct(direct) => self.direct(direct, context, values),
            Plan::Scatter(mut scatter) => {
                scatter.statement = self.read(&scatter.statement, context, values)?;
                if let Some(unlocked) = scatter.lock_first.as_mut().and_then(|first| first.unlocked.as_mut()) {
                    *unlocked = self.read(unlocked, context, values)?;
                }
                Ok(Plan::Scatter(scatter))
            }
            Plan::Gather(mut gather) => {
                for fetch in &mut gather.fetches {
                    if let Some(table) = self.named(&fetch.table) {
                        fetch.physical = names(&table.split, &slots(table, &self.uses, values));
                    }
                }
                // The parts name the logical tables.
                gather.partial = None;
                Ok(Plan::Gather(gather))
            }
            Plan::MultiWrite(write) => self.many(write, context, values),
            Plan::Carry(mut carry) if matches!(carry.form, CarryForm::Query { .. }) => {
                carry.checked = Some(self.parsed(values.text)?);
                Ok(Plan::Carry(carry))
            }
            Plan::Carry(carry) => Err(Refusal::unsupported(
                format!("rows of table \"{}\" cannot be moved: it is split into physical tables", carry.table),
                "Delete the rows and insert them with the new key in one transaction.",
            )
            .with_reason("sharding_key_update")),
            Plan::Copy(_) | Plan::CopyOut(_) | Plan::Everywhere { .. } => Ok(plan),
        }
    }

    fn direct(&self, mut direct: Direct, context: &Context<'_>, values: &Values<'_>) -> Result<Plan, Refusal> {
        let Some(target) = &self.target else {
            direct.statement = self.read(&direct.statement, context, values)?;
            return Ok(Plan::Direct(direct));
        };
        let (text, parameters) = self.base(&direct.statement, values);
        if places(text, &self.tables)?.is_empty() {
            return Ok(Plan::Direct(direct));
        }
        let slots = self.written(target, context, values)?;
        if let [slot] = slots.as_slice() {
            let sql = self.with_target(text, target, *slot, values)?;
            direct.statement = Statement::Rewritten { sql, parameters };
            return Ok(Plan::Direct(direct));
        }
        let effect = direct.effect.unwrap_or_else(|| none(&target.key));
        let returning = if target.returning { ReturningOrder::ByShard } else { ReturningOrder::None };
        let parts = vec![Part::new(direct.shard, direct.statement)];
        let reads_reference = direct.reads_reference;
        self.many(
            MultiWrite { parts, effect, returning, reads_reference, defers_when_down: false, in_turn: false },
            context,
            values,
        )
    }

    /// One part for each slot of each shard; those of one shard stand together.
    fn many(&self, mut write: MultiWrite, context: &Context<'_>, values: &Values<'_>) -> Result<Plan, Refusal> {
        let mut parts = Vec::new();
        for part in &write.parts {
            let (text, parameters) = self.base(&part.statement, values);
            if places(text, &self.tables)?.is_empty() {
                parts.push(part.clone());
                continue;
            }
            let Some(target) = &self.target else {
                let statement = self.read(&part.statement, context, values)?;
                parts.push(Part { statement, ..part.clone() });
                continue;
            };
            for slot in self.written(target, context, values)? {
                let sql = self.with_target(text, target, slot, values)?;
                let statement = Statement::Rewritten { sql, parameters: parameters.clone() };
                parts.push(Part { statement, ..part.clone() });
            }
        }
        write.parts = parts;
        Ok(Plan::MultiWrite(write))
    }

    /// Returns what a read sends in the place of a statement over logical tables.
    fn read(&self, statement: &Statement, context: &Context<'_>, values: &Values<'_>) -> Result<Statement, Refusal> {
        let (text, parameters) = self.base(statement, values);
        let places = places(text, &self.tables)?;
        if places.is_empty() {
            return Ok(statement.clone());
        }
        if places.iter().any(|place| place.target) {
            return Err(unlike());
        }
        if self.locks {
            for table in &self.tables {
                if slots(table, &self.uses, values).len() > 1 {
                    return Err(locks(table));
                }
            }
        }
        let sql = self.text(text, &places, |place| slots(&self.tables[place.known], &self.uses, values))?;
        self.check_alike(context, values)?;
        Ok(Statement::Rewritten { sql, parameters })
    }

    fn slots(&self, key: &str, values: &Values<'_>) -> Vec<usize> {
        self.named(key).map(|table| slots(table, &self.uses, values)).unwrap_or_default()
    }

    fn base<'a>(&self, statement: &'a Statement, values: &Values<'a>) -> (&'a str, Vec<ParameterSource>) {
        match statement {
            Statement::Original => {
                (values.text, (0..values.parameters.values.len()).map(ParameterSource::Client).collect())
            }
            Statement::Rewritten { sql, parameters } => (sql, parameters.clone()),
        }
    }

    /// Returns the slots that are written.
    fn written(&self, target: &Target, context: &Context<'_>, values: &Values<'_>) -> Result<Vec<usize>, Refusal> {
        let slots = self.slots(&target.key, values);
        let split = self.named(&target.key).map(|table| Arc::clone(&table.split));
        if let Some(split) = split {
            check_assigned(target, &split, &slots, values)?;
        }
        if slots.len() > 1 && target.read {
            return Err(Refusal::unsupported(
                format!("a write of several physical tables of \"{}\" that also reads \"{}\"", target.key, target.key),
                "Bind the column by which it is split to one value, or read the rows first.",
            )
            .with_reason("split_self_read"));
        }
        if slots.len() > 1 && !target.harmless {
            return Err(Refusal::unsupported(
                format!("a function in a write of several physical tables of \"{}\"", target.key),
                "Bind the column by which it is split to one value, or compute the value in the application.",
            )
            .with_reason("unknown_function"));
        }
        self.check_alike(context, values)?;
        Ok(slots)
    }

    /// Returns the text that writes one slot; tables that are joined with it by equality need only the same one.
    fn with_target(&self, text: &str, target: &Target, slot: usize, values: &Values<'_>) -> Result<String, Refusal> {
        let places = places(text, &self.tables)?;
        let own = self.named(&target.key);
        self.text(text, &places, |place| {
            let table = &self.tables[place.known];
            if table.key == target.key {
                return vec![slot];
            }
            let like = own.is_some_and(|own| own.split.is_like(&table.split));
            let mut uses = self.uses.iter().filter(|other| other.table == table.key);
            if like && uses.all(|other| other.follows.contains(&target.relation)) {
                return vec![slot];
            }
            slots(table, &self.uses, values)
        })
    }

    /// Returns the text of an INSERT into one slot; tables that it reads are read whole.
    ///
    /// # Errors
    /// 54000 if it gets too long.
    pub(in crate::plan) fn inserted(&self, text: &str, slot: usize) -> Result<String, Refusal> {
        let places = places(text, &self.tables)?;
        self.text(text, &places, |place| match place.target {
            true => vec![slot],
            false => all(&self.tables[place.known].split),
        })
    }

    pub(super) fn text(
        &self,
        text: &str,
        places: &[Mention],
        of: impl Fn(&Mention) -> Vec<usize>,
    ) -> Result<String, Refusal> {
        let mut edits = Vec::with_capacity(places.len());
        let mut length = text.len();
        for place in places {
            let new = in_place(text, place, &self.tables[place.known].split, &of(place));
            length += new.len();
            edits.push((place.span.clone(), new));
        }
        if length > TEXT_MAX {
            return Err(Refusal::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                "the statement over physical tables is too long",
            )
            .with_hint("Bind the columns by which its tables are split.")
            .with_reason("split_text"));
        }
        Ok(splice(text, &edits))
    }

    /// Refuses to read tables together whose columns stand in another order: a UNION ALL goes by position.
    fn check_alike(&self, context: &Context<'_>, values: &Values<'_>) -> Result<(), Refusal> {
        for table in &self.tables {
            let rule = context.rules.table(&table.key);
            let keys = rule.map(|rule| rule.physical_keys(&table.key)).unwrap_or_default();
            let needed = slots(table, &self.uses, values);
            let mut known = needed.iter().filter_map(|slot| context.catalog.table(keys.get(*slot)?));
            let Some(first) = known.next() else { continue };
            let columns = |table: &'_ crate::plan::catalog::Table| -> Vec<(String, u32)> {
                table.columns.iter().map(|column| (column.name.clone(), column.type_oid)).collect()
            };
            let model = columns(first);
            if known.any(|other| columns(other) != model) {
                return Err(Refusal::unsupported(
                    format!("the physical tables of \"{}\" do not have the same columns in the same order", table.key),
                    "Bring them to the same columns: `shardloom check --live` names them.",
                )
                .with_reason("split_columns"));
            }
        }
        Ok(())
    }
}

/// Returns the split tables among these, each once.
pub(super) fn split_tables<'a>(named: impl Iterator<Item = &'a TableName>, rules: &RuleSet) -> Vec<Named> {
    let mut tables: Vec<Named> = Vec::new();
    for table in named {
        let key = table.rule_key();
        let split = rules.table(&key).and_then(|rule| rule.split.as_ref());
        if let Some(split) = split.filter(|_| tables.iter().all(|known| known.key != key)) {
            tables.push(Named { key: key.into_owned(), split: Arc::clone(split) });
        }
    }
    tables
}

fn target(
    text: &str,
    facts: &Facts,
    located: &Located,
    tables: &[Named],
    uses: &[SlotUse],
    context: &Context<'_>,
) -> Option<Target> {
    let relation = facts.relations.iter().position(|relation| relation.target)?;
    let key = facts.relations[relation].table.as_ref()?.rule_key().into_owned();
    let table = tables.iter().find(|table| table.key == key)?;
    let by = &table.split.by;
    let assigned = facts.assignments.iter().filter(|(column, _)| facts.kind == StatementKind::Update && column == by);
    Some(Target {
        read: uses.iter().filter(|other| other.table == key).count() > 1,
        assigned: assigned.map(|(_, slot)| slot.clone()).collect(),
        returning: facts.returning,
        harmless: functions::act_alike(text, &facts.functions, context) && located.called.acts.is_none(),
        key,
        relation,
    })
}

/// `SET by = value` stays right only if the value's slot is the one that is written.
fn check_assigned(target: &Target, split: &Split, slots: &[usize], values: &Values<'_>) -> Result<(), Refusal> {
    for slot in &target.assigned {
        let new = slot.as_ref().map(|slot| decode(slot, split.by_type, values));
        let stays = match new {
            Some(Decoded::Value(value)) => {
                !crate::plan::modify::is_cut(&value, split.by_type) && slots == [split.slot(&value)]
            }
            Some(Decoded::Nothing | Decoded::Unknown) | None => false,
        };
        if !stays {
            return Err(Refusal::unsupported(
                format!("UPDATE would move rows of table \"{}\" to another physical table", target.key),
                format!("Delete the rows and insert them with the new \"{}\" in one transaction.", split.by),
            )
            .with_reason("split_column_update"));
        }
    }
    Ok(())
}

/// What stands for a table.
fn in_place(text: &str, place: &Mention, split: &Split, slots: &[usize]) -> String {
    let schema = &text[place.schema.clone()];
    let alias = place.alias.as_ref().map(|alias| format!(" AS {}", quoted(alias))).unwrap_or_default();
    match slots {
        [slot] => format!("{schema}{}{alias}", quoted(&split.names[*slot])),
        _ => {
            let each = slots.iter().map(|slot| format!("SELECT * FROM {schema}{}", quoted(&split.names[*slot])));
            format!("({}){alias}", each.collect::<Vec<_>>().join(" UNION ALL "))
        }
    }
}

/// Returns the names of these slots.
fn names(split: &Split, slots: &[usize]) -> Vec<String> {
    slots.iter().map(|slot| split.names[*slot].clone()).collect()
}

fn locks(table: &Named) -> Refusal {
    Refusal::unsupported(
        format!("rows of several physical tables of \"{}\" cannot be locked by one SELECT", table.key),
        format!("Bind \"{}\" to one value, or leave out FOR UPDATE.", table.split.by),
    )
    .with_reason("split_lock")
}

pub(super) fn unlike() -> Refusal {
    Refusal::unsupported(
        "a table that is split into physical tables stands where its name cannot be replaced",
        "Give the table an alias, and name no column or WITH query like it.",
    )
    .with_reason("split_table")
}

/// Writes of a table always have an effect.
fn none(table: &str) -> WriteEffect {
    WriteEffect {
        tables: vec![table.to_owned()],
        reference: false,
        mode: crate::types::WriteMode::TwoPhase,
        redo: Redo::Never("the statement was not read".to_owned()),
        deferrable: false,
        assumed: Vec::new(),
    }
}
