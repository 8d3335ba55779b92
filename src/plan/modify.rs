//! UPDATE and DELETE: one shard by key, several by IN, or all where the rules allow it.

use super::apart;
use super::classify::{inexact, redo, redo_of_shape, redo_with};
use super::colocate::{Keyed, Located, Place, locate, place};
use super::context::{Context, Values};
use super::functions;
use super::given_id;
use super::hidden::Called;
use super::key::{Decoded, decode};
use super::moving::moving;
use super::plan_types::{Direct, MultiWrite, Part, Plan, Redo, ReturningOrder, Statement, WriteEffect};
use super::read;
use crate::rules::{Distribution, OnMissingKey, RuleMode, RuleSet};
use crate::sql::{Facts, Scanner, StatementKind, TableName};
use crate::types::{KeyType, KeyValue, Refusal, ShardId, ShardSet, WriteMode};

/// The reason of a refusal of an UPDATE that moves rows.
const MOVES: &str = "sharding_key_update";

/// An UPDATE or DELETE that was read.
#[derive(Debug, Clone)]
pub(super) struct Modify {
    facts: Facts,
    located: Located,
    target: TableName,
    home: Home,
    /// What it does, but for what constants may say about a redo.
    effect: WriteEffect,
    /// Whether other shards than home may do it later.
    postponable: bool,
}

/// Where the written table lives.
#[derive(Debug, Clone, Copy)]
enum Home {
    /// Sharded: the index into `located.keyed`.
    Keyed(usize),
    /// A reference table's authority.
    Reference(ShardId),
    /// One shard.
    On(ShardId),
}

impl Modify {
    /// Places the tables and refuses what no values can make right.
    pub(super) fn read(text: &str, facts: Facts, called: Called, context: &Context<'_>) -> Result<Self, Refusal> {
        let located = locate(&facts, called, context)?;
        let target = facts.relations.iter().position(|relation| relation.target);
        let table = target.and_then(|index| facts.relations[index].table.clone());
        let (Some(index), Some(target)) = (target, table) else {
            return Err(Refusal::unsupported("the table to be written cannot be told", "Name one table.")
                .with_reason("write_target"));
        };
        read::check(&facts, &located, context)?;
        check_ids(&facts, &target, context)?;
        let home = match place(context.rules, &target)? {
            Place::Sharded { .. } => Home::Keyed(keyed_at(&located, index)),
            Place::Reference => Home::Reference(reference_home(context.rules, &target)),
            Place::On(shard) => Home::On(shard),
        };
        let effect = WriteEffect {
            tables: vec![target.rule_key().into_owned()],
            reference: matches!(home, Home::Reference(_)),
            mode: mode_of(context.rules, &target),
            redo: inexact_default(text, &facts, &target, context)
                .map_or_else(|| redo_of_shape(text, context.catalog), Redo::Never),
            deferrable: false,
            assumed: Vec::new(),
        };
        let postponable = effect.redo == Redo::Exact && super::delta::is_postponable(&facts, &target, context);
        Ok(Self { facts, located, target, home, effect, postponable })
    }

    /// Returns where its tables are.
    pub(super) fn located(&self) -> &Located {
        &self.located
    }

    /// Returns its sharded tables.
    pub(super) fn keyed(&self) -> &[Keyed] {
        &self.located.keyed
    }

    /// Returns its sharded tables, to be bound.
    pub(super) fn keyed_mut(&mut self) -> &mut Vec<Keyed> {
        &mut self.located.keyed
    }

    /// Returns the table that is written.
    pub(super) fn target(&self) -> &TableName {
        &self.target
    }

    /// Returns the table that is written, if it is sharded.
    pub(super) fn target_keyed(&self) -> Option<&Keyed> {
        match self.home {
            Home::Keyed(index) => self.located.keyed.get(index),
            Home::Reference(_) | Home::On(_) => None,
        }
    }

    /// Notes that it would not do the same again.
    pub(super) fn never_redone(&mut self, reason: String) {
        self.effect.redo = Redo::Never(reason);
    }

    /// Returns what was read.
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Tells whether the plan depends on literals through key slots only.
    pub(super) fn is_template(&self) -> bool {
        let sets_key = match self.home {
            Home::Keyed(index) => {
                let target = &self.located.keyed[index];
                self.facts.kind == StatementKind::Update
                    && self.facts.assignments.iter().any(|(column, _)| target.has_key(column))
            }
            Home::Reference(_) | Home::On(_) => false,
        };
        !sets_key && !self.facts.by_position && self.located.keyed.iter().all(Keyed::is_bound)
    }

    pub(super) fn plan(&self, context: &Context<'_>, values: &Values<'_>) -> Result<Plan, Refusal> {
        self.where_it_is(context, values).or_else(|refusal| apart::plan(self, context, values, refusal))
    }

    /// Returns the shards that may hold rows of the table written.
    pub(super) fn shards(&self, rules: &RuleSet) -> ShardSet {
        match self.home {
            Home::Reference(shard) | Home::On(shard) => [shard].into_iter().collect(),
            Home::Keyed(index) => rules.shards_of_group(self.located.keyed[index].group),
        }
    }

    /// Plans it as it stands.
    fn where_it_is(&self, context: &Context<'_>, values: &Values<'_>) -> Result<Plan, Refusal> {
        match self.home {
            Home::Reference(home) => self.beside(home, true, context, values),
            Home::On(shard) => self.beside(shard, false, context, values),
            Home::Keyed(index) => {
                let target = &self.located.keyed[index];
                self.sharded(target, context, values).or_else(|refusal| match refusal.reason {
                    MOVES if target.more.is_empty() => {
                        moving(values.text, (&self.target, target.group, &target.key), context, refusal)
                    }
                    _ => Err(refusal),
                })
            }
        }
    }

    /// A table that lives on one shard: everything else must be there, too.
    fn beside(
        &self,
        shard: ShardId,
        reference: bool,
        context: &Context<'_>,
        values: &Values<'_>,
    ) -> Result<Plan, Refusal> {
        let elsewhere = self.located.fixed.iter().find(|(_, other)| *other != shard);
        if let Some((table, _)) = elsewhere {
            return Err(self.apart(table, shard, context));
        }
        for keyed in &self.located.keyed {
            let bound = keyed.shards(context.rules, values);
            let fits = bound.is_some_and(|shards| shards.iter().all(|other| other == shard));
            if !fits || reference {
                return Err(self.apart(&keyed.table, shard, context));
            }
        }
        read::check_home(&self.facts, shard, context)?;
        Ok(self.direct(shard, Statement::Original, self.effect(values)))
    }

    /// The refusal of a table that is not where the target is.
    pub(super) fn apart(&self, other: &str, shard: ShardId, context: &Context<'_>) -> Refusal {
        let name = &context.rules.shard(shard).name;
        Refusal::unsupported(
            format!("table \"{}\" lives on {name} and \"{other}\" does not, or not for sure", self.target),
            "Read the values first, then write them as constants.",
        )
        .with_reason("different_shards")
    }

    fn sharded(&self, target: &Keyed, context: &Context<'_>, values: &Values<'_>) -> Result<Plan, Refusal> {
        let needed = self.needed(context, values);
        if let Some(shards) = needed.filter(|shards| shards.len() <= 1) {
            let shard = shards.only().unwrap_or_else(|| self.located.spare(context.rules));
            let own = target.shards(context.rules, values).unwrap_or_default();
            self.check_key(target, own.only(), context, values)?;
            read::check_home(&self.facts, shard, context)?;
            let effect = self.postponed(self.effect(values), target, context, values);
            return Ok(self.direct(shard, Statement::Original, effect));
        }
        if let Some((table, shard)) = self.located.fixed.first() {
            return Err(self.apart(table, *shard, context));
        }
        let strange = self.located.keyed.iter().find(|keyed| !keyed.follows.contains(&target.relation));
        if let Some(other) = strange {
            return Err(Refusal::unsupported(
                format!("tables \"{}\" and \"{}\" are not joined by their sharding keys", target.table, other.table),
                "Join them by equality of their sharding keys, or bind both keys to one value.",
            )
            .with_reason("not_colocated"));
        }
        let shards = spread(target, context, values)?;
        self.check_key(target, shards.only(), context, values)?;
        let part = |shard| Part::new(shard, Statement::Original);
        self.parts(target, shards.iter().map(part).collect(), context, values)
    }

    /// Makes a write over several shards of its parts.
    pub(super) fn parts(
        &self,
        target: &Keyed,
        parts: Vec<Part>,
        context: &Context<'_>,
        values: &Values<'_>,
    ) -> Result<Plan, Refusal> {
        if parts.is_empty() {
            // One shard must say that nothing matches, or that the statement is wrong.
            let spare = self.located.spare(context.rules);
            return Ok(self.direct(spare, Statement::Original, self.effect(values)));
        }
        // Several parts may be physical tables of one shard.
        let several = parts.iter().any(|part| part.shard != parts[0].shard);
        if several && context.rules.group(target.group).multi_shard.mode == RuleMode::Reject {
            return Err(Refusal::unsupported(
                format!("the rules reject writes of table \"{}\" over several shards", target.table),
                format!("Bind the sharding key \"{}\" to one value.", target.key_names()),
            )
            .with_reason("multi_shard_rejected"));
        }
        if !functions::act_alike(values.text, &self.facts.functions, context) || self.located.called.acts.is_some() {
            return Err(Refusal::unsupported(
                format!("a function in this write is not known to be the same on every shard of \"{}\"", target.table),
                format!("Bind the sharding key \"{}\" to one value.", target.key_names()),
            )
            .with_reason("unknown_function"));
        }
        let returning = if self.facts.returning { ReturningOrder::ByShard } else { ReturningOrder::None };
        let effect = self.postponed(self.effect(values), target, context, values).over_shards();
        let reads_reference = !self.located.references.is_empty();
        let in_turn = target.names_rows();
        Ok(Plan::MultiWrite(MultiWrite { parts, effect, returning, reads_reference, defers_when_down: false, in_turn }))
    }

    /// Returns the shards whose rows matter; `None` if some sharded table is not bound.
    pub(super) fn needed(&self, context: &Context<'_>, values: &Values<'_>) -> Option<ShardSet> {
        let mut needed: ShardSet = self.located.fixed.iter().map(|(_, shard)| *shard).collect();
        for keyed in &self.located.keyed {
            needed = needed.union(&keyed.shards(context.rules, values)?);
        }
        Some(needed)
    }

    /// `SET key = value` stays right only if the value lives where the rows are.
    pub(super) fn check_key(
        &self,
        target: &Keyed,
        shard: Option<ShardId>,
        context: &Context<'_>,
        values: &Values<'_>,
    ) -> Result<(), Refusal> {
        for (column, slot) in self.facts.assignments.iter().filter(|(column, _)| target.has_key(column)) {
            if !target.more.is_empty() {
                match target.keeps(column, slot.as_ref(), values) {
                    true => continue,
                    false => return Err(moves(target)),
                }
            }
            let new = slot.as_ref().map(|slot| decode(slot, target.key_type, values));
            let stays = match new {
                // The column may keep less of it than stands here.
                Some(Decoded::Value(value)) if is_cut(&value, target.key_type) => false,
                Some(Decoded::Value(value)) => shard.is_some() && shard == context.rules.shard_of(target.group, &value),
                Some(Decoded::Nothing | Decoded::Unknown) | None => false,
            };
            if !stays {
                return Err(moves(target));
            }
        }
        Ok(())
    }

    /// Makes a write on one shard.
    pub(super) fn direct(&self, shard: ShardId, statement: Statement, effect: WriteEffect) -> Plan {
        Plan::Direct(Direct {
            shard,
            statement,
            effect: Some(effect),
            anywhere: false,
            reads_reference: self.located.references.iter().any(|table| *table != self.target.to_string()),
        })
    }

    /// Notes which rows other shards may change later, if they may.
    fn postponed(
        &self,
        effect: WriteEffect,
        target: &Keyed,
        context: &Context<'_>,
        values: &Values<'_>,
    ) -> WriteEffect {
        if !self.postponable || effect.redo != Redo::Exact {
            return effect;
        }
        match super::delta::assumed(&self.facts, target, context, values) {
            Some(assumed) => WriteEffect { deferrable: true, assumed, ..effect },
            None => effect,
        }
    }

    /// Returns what it does with these values.
    pub(super) fn effect(&self, values: &Values<'_>) -> WriteEffect {
        let redo = redo_with(&self.effect.redo, values.text, values.literals);
        WriteEffect { redo, ..self.effect.clone() }
    }
}

fn moves(target: &Keyed) -> Refusal {
    Refusal::unsupported(
        format!("UPDATE would move rows of table \"{}\" to another shard", target.table),
        format!("Delete the rows and insert them with the new \"{}\" in one transaction.", target.key_names()),
    )
    .with_reason(MOVES)
}

/// Returns the shards that a write of the table's rows concerns.
pub(super) fn spread(keyed: &Keyed, context: &Context<'_>, values: &Values<'_>) -> Result<ShardSet, Refusal> {
    match keyed.shards(context.rules, values) {
        Some(shards) => Ok(shards),
        None if context.rules.group(keyed.group).missing_key.write == OnMissingKey::Reject => {
            Err(read::missing_key(&keyed.table, &keyed.key_names(), "write"))
        }
        None => Ok(context.rules.shards_of_group(keyed.group)),
    }
}

/// Ids that the rules hold against their rows' keys stay what they were when they were checked, and so do the keys.
fn check_ids(facts: &Facts, target: &TableName, context: &Context<'_>) -> Result<(), Refusal> {
    let Some(rule) = context.rules.table(&target.rule_key()) else { return Ok(()) };
    let Some(id) = rule.id.as_ref().filter(|id| id.is_checked()) else { return Ok(()) };
    let sets = |column: &str| facts.assignments.iter().any(|(c, _)| c == column);
    match &rule.distribution {
        _ if sets(&id.column) => Err(given_id::update(&rule.name, id)),
        Distribution::Sharded { key, .. } if id.route && sets(key) => Err(given_id::key_update(&rule.name, key)),
        Distribution::Sharded { .. } | Distribution::Reference { .. } | Distribution::Single { .. } => Ok(()),
    }
}

/// Returns why `SET column = DEFAULT` would not set the same again, if it would not.
fn inexact_default(text: &str, facts: &Facts, target: &TableName, context: &Context<'_>) -> Option<String> {
    let mut open = facts.assignments.iter().filter(|(_, slot)| slot.is_none()).peekable();
    if open.peek().is_none() || !Scanner::new(text).any(|token| token.is_word(text, "default")) {
        return None;
    }
    let Some(table) = context.catalog.table(&target.rule_key()) else {
        return Some(format!("the column defaults of table \"{target}\" are not known"));
    };
    open.filter_map(|(name, _)| table.column(name)).filter(|column| !column.generated).find_map(|column| {
        let reason = match column.identity {
            true => String::from("numbered by the shard"),
            false => inexact(column.default.as_deref()?, context.catalog)?,
        };
        Some(format!("the default of column \"{}\": {reason}", column.name))
    })
}

/// Tells whether a column with a length or precision may keep another value: spaces of a varchar, parts of a second.
pub(super) fn is_cut(value: &KeyValue, key: KeyType) -> bool {
    match value {
        // The rules may say text of a column that is varchar(n).
        KeyValue::Text(text) => matches!(key, KeyType::Text | KeyType::Varchar) && text.ends_with(' '),
        KeyValue::Int(micros) => key.is_time() && key != KeyType::Date && is_fractional(*micros),
        KeyValue::Uuid(_) | KeyValue::Parts(_) => false,
    }
}

fn is_fractional(micros: i64) -> bool {
    micros != i64::MAX && micros != i64::MIN && micros % 1_000_000 != 0
}

fn keyed_at(located: &Located, relation: usize) -> usize {
    located.keyed.iter().position(|keyed| keyed.relation == relation).unwrap_or(0)
}

/// Returns the home of a reference table.
pub(super) fn reference_home(rules: &RuleSet, table: &TableName) -> ShardId {
    rules.reference_home(&table.rule_key()).unwrap_or(rules.home)
}

/// Returns how writes of the table commit over several shards.
pub(super) fn mode_of(rules: &RuleSet, table: &TableName) -> WriteMode {
    let (mode, automatic) = match rules.table(&table.rule_key()).map(|rule| &rule.distribution) {
        Some(Distribution::Sharded { group, .. }) => (rules.group(*group).multi_shard.mode, WriteMode::Eager),
        Some(Distribution::Reference { multi_shard, .. }) => (multi_shard.mode, WriteMode::Eventual),
        Some(Distribution::Single { .. }) | None => (RuleMode::Auto, WriteMode::Eager),
    };
    match mode {
        RuleMode::Auto | RuleMode::Reject => automatic,
        RuleMode::Eventual => WriteMode::Eventual,
        RuleMode::Eager => WriteMode::Eager,
        RuleMode::TwoPhase => WriteMode::TwoPhase,
    }
}

/// Makes the effect of a write of `tables`.
pub(super) fn effect(text: &str, context: &Context<'_>, tables: Vec<String>, mode: Option<WriteMode>) -> WriteEffect {
    WriteEffect {
        tables,
        reference: false,
        mode: mode.unwrap_or(WriteMode::Eager),
        redo: redo(text, context.catalog),
        deferrable: false,
        assumed: Vec::new(),
    }
}

/// The effect of a statement that was not read: it may write anything on its shard and is never redone.
pub(super) fn hinted_effect(_rules: &RuleSet) -> WriteEffect {
    WriteEffect {
        tables: Vec::new(),
        reference: false,
        mode: WriteMode::Eager,
        redo: Redo::Never("the statement was not read".to_owned()),
        deferrable: false,
        assumed: Vec::new(),
    }
}

/// The effect of a read that locks rows or has a WITH query that writes: it holds the transaction where it ran.
pub(super) fn lock_effect(located: &Located, _rules: &RuleSet) -> WriteEffect {
    let keyed = located.keyed.iter().map(|keyed| keyed.table.clone());
    WriteEffect {
        tables: keyed.chain(located.fixed.iter().map(|(table, _)| table.clone())).collect(),
        reference: false,
        mode: WriteMode::Eager,
        redo: Redo::Never("row locks cannot be taken again".to_owned()),
        deferrable: false,
        assumed: Vec::new(),
    }
}
