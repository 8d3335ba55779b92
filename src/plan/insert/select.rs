//! INSERT … SELECT: allowed where it can be proved that each row is inserted on the shard it was read from.

use crate::plan::catalog::Catalog;
use crate::plan::{Direct, MultiWrite, Part, Plan, ReturningOrder, Statement, given_id};
use crate::rules::{Distribution, OnMissingKey, RuleSet};
use crate::sql::insert::{SelectItem, SimpleSelect, Source};
use crate::types::{Refusal, ShardId, ShardSet};

use super::given::checked;
use super::key::KeyColumn;
use super::moment;
use super::parameters::Parameters;
use super::placing::Placing;
use super::prepared::{PreparedInsert, Target, reject_if_ruled};
use super::refuse;
use super::source::RowsByKey;

/// Where the rows of a query come from.
enum From {
    /// One shard.
    One { shard: ShardId, reads_reference: bool },
    /// Each of these shards inserts its own rows.
    Each { shards: ShardSet, reads_reference: bool },
}

impl PreparedInsert {
    pub(super) fn plan_query(
        &self,
        rules: &RuleSet,
        catalog: &Catalog,
        parameters: &Parameters<'_>,
    ) -> Result<Plan, Refusal> {
        if !self.numbers.numbers.is_empty() {
            return self.carry_query(rules, catalog, self.not_proved());
        }
        let from = match &self.target {
            Target::Home(_) | Target::Sharded { .. } if self.reads_first => Err(self.not_known(rules)),
            Target::Home(shard) => {
                self.check_subqueries(rules).map(|reads_reference| From::One { shard: *shard, reads_reference })
            }
            Target::Sharded { placing, position } => match &self.rows {
                Some(rows) => self.of_rows(rules, &placing.key, rows, parameters),
                None => self.source_of_sharded(rules, placing, *position, parameters),
            },
        };
        let from = match from {
            // Each shard would take a time of its own.
            Ok(From::Each { .. }) if self.leaves_time(catalog) => {
                return self.carry_query(rules, catalog, self.not_proved());
            }
            Ok(from) => from,
            Err(refusal) => return self.carry_query(rules, catalog, refusal),
        };
        let judge = self.judge(rules, catalog, parameters, self.itself());
        let effect = judge.effect()?;
        match from {
            From::One { shard, reads_reference } => Ok(Plan::Direct(Direct {
                shard,
                statement: Statement::Original,
                effect: Some(effect),
                anywhere: false,
                reads_reference,
            })),
            From::Each { shards, reads_reference } => {
                reject_if_ruled(&judge)?;
                let part = |shard| Part::new(shard, Statement::Original);
                let parts = shards.iter().map(part).collect();
                let ordered = self.facts.returning.is_some();
                let returning = if ordered { ReturningOrder::ByShard } else { ReturningOrder::None };
                Ok(Plan::MultiWrite(MultiWrite {
                    parts,
                    effect: effect.over_shards(),
                    returning,
                    reads_reference,
                    defers_when_down: false,
                    in_turn: false,
                }))
            }
        }
    }

    /// Tells whether a column is left to a default that names the present time.
    fn leaves_time(&self, catalog: &Catalog) -> bool {
        let filled = |name: &String| self.layout.columns.as_ref().is_none_or(|columns| columns.contains(name));
        let table = catalog.table(&self.name);
        let mut columns = table.into_iter().flat_map(|table| &table.columns);
        columns.any(|column| !filled(&column.name) && moment::of_column(column, catalog).is_some())
    }

    /// Each shard has the rows that it inserts.
    fn of_rows(
        &self,
        rules: &RuleSet,
        key: &KeyColumn,
        rows: &RowsByKey,
        parameters: &Parameters<'_>,
    ) -> Result<From, Refusal> {
        let reads_reference = rows.reads_reference();
        let Some(shards) = rows.shards(rules, parameters) else {
            let shards = self.each(rules, key)?;
            return if rows.adds_up() { Ok(From::Each { shards, reads_reference }) } else { Err(self.not_proved()) };
        };
        match shards.only() {
            Some(shard) => Ok(From::One { shard, reads_reference }),
            None if rows.adds_up() && !shards.is_empty() => Ok(From::Each { shards, reads_reference }),
            None => Err(self.not_proved()),
        }
    }

    fn source_of_sharded(
        &self,
        rules: &RuleSet,
        placing: &Placing,
        position: usize,
        parameters: &Parameters<'_>,
    ) -> Result<From, Refusal> {
        let Source::Query(query) = &self.facts.source else { return Err(self.not_proved()) };
        let simple = query.simple.as_ref().filter(|_| !self.facts.with && !self.facts.subquery);
        let simple = simple.ok_or_else(|| self.not_proved())?;
        if !placing.more.is_empty() {
            // Where a row goes is told by several of its columns: each is looked at.
            return Err(self.not_proved());
        }
        let item =
            simple.items.get(position).ok_or_else(|| refuse::missing_key(&placing.key.table, &placing.key.name))?;
        let Some(table) = &simple.table else { return self.constant(rules, placing, item, parameters, false) };
        match rules.table(&table.rule_key()).map(|rule| &rule.distribution) {
            Some(Distribution::Reference { .. }) => self.constant(rules, placing, item, parameters, true),
            Some(Distribution::Sharded { group, key: source_key, .. }) if self.is_of_group(rules, group) => {
                self.colocated(rules, placing, item, simple, source_key, parameters)
            }
            Some(Distribution::Sharded { .. } | Distribution::Single { .. }) | None => Err(self.not_proved()),
        }
    }

    fn is_of_group(&self, rules: &RuleSet, group: &crate::rules::GroupId) -> bool {
        match rules.table(&self.name).map(|rule| &rule.distribution) {
            Some(Distribution::Sharded { group: own, .. }) => own == group,
            Some(Distribution::Reference { .. } | Distribution::Single { .. }) | None => false,
        }
    }

    /// All rows carry the same constant key.
    fn constant(
        &self,
        rules: &RuleSet,
        placing: &Placing,
        item: &SelectItem,
        parameters: &Parameters<'_>,
        reads_reference: bool,
    ) -> Result<From, Refusal> {
        Ok(From::One { shard: placing.of_cell(&item.value, rules, parameters)?, reads_reference })
    }

    /// The source is sharded by the same key: the key must be passed through, or be a constant of the same shard.
    fn colocated(
        &self,
        rules: &RuleSet,
        placing: &Placing,
        item: &SelectItem,
        simple: &SimpleSelect,
        source_key: &str,
        parameters: &Parameters<'_>,
    ) -> Result<From, Refusal> {
        let bound = simple.bindings.iter().find(|(column, _)| column == source_key);
        let bound = match bound {
            Some((_, cell)) => Some(placing.of_cell(cell, rules, parameters)?),
            None => None,
        };
        let passed = item.column.as_deref() == Some(source_key);
        match bound {
            Some(shard) if passed => Ok(From::One { shard, reads_reference: false }),
            Some(shard) => match self.constant(rules, placing, item, parameters, false)? {
                From::One { shard: target, .. } if target == shard => Ok(From::One { shard, reads_reference: false }),
                From::One { .. } | From::Each { .. } => Err(self.not_proved()),
            },
            None if passed => {
                self.each(rules, &placing.key).map(|shards| From::Each { shards, reads_reference: false })
            }
            None => Err(self.not_proved()),
        }
    }

    /// All shards of the table, if the rules let a write without its key go there.
    fn each(&self, rules: &RuleSet, key: &KeyColumn) -> Result<ShardSet, Refusal> {
        let Some(Distribution::Sharded { group, .. }) = rules.table(&self.name).map(|rule| &rule.distribution) else {
            return Err(self.not_proved());
        };
        match rules.group(*group).missing_key.write {
            OnMissingKey::Scatter => Ok(rules.shards_of_group(*group)),
            OnMissingKey::Reject => Err(refuse::missing_key(&key.table, &key.name).with_hint(format!(
                "Add a condition on \"{}\", or let the rules of its table group say missing_key: {{write: scatter}}.",
                key.name
            ))),
        }
    }

    /// Why rows whose ids are made or checked cannot be read first.
    fn not_known(&self, rules: &RuleSet) -> Refusal {
        match checked(rules.table(&self.name)) {
            Some(id) => given_id::unchecked(&self.name, id, "an INSERT … SELECT that is not run in two steps"),
            None => self.not_proved(),
        }
    }

    fn not_proved(&self) -> Refusal {
        Refusal::unsupported(
            format!(
                "the rows of this INSERT … SELECT into \"{}\" may belong to other shards than they come from",
                self.name
            ),
            "Select from one table of the same group and pass its sharding key through, or insert the rows as values.",
        )
        .with_reason("not_colocated")
    }
}
