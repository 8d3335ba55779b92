//! Keys whose buckets nobody has looked up: planning cannot place them, so home is asked, and it is planned again.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use crate::plan::{Plan, key_from_text};
use crate::proxy::{IdWait, is_waited_for};
use crate::rules::{Algorithm, GroupId, Lookup};
use crate::types::{BucketId, KeyValue, Refusal, SqlState};

use super::call::Call;
use super::failure::Failure;
use super::id_wait::lacks_ids;
use super::link::Link;
use super::understand::Understood;

/// The word of the refusal that ends when the keys are looked up.
const NOT_LOOKED_UP: &str = "key_not_looked_up";

/// How often one statement is planned anew. A second time is rare: its keys depend on what the first ones said, or too
/// many clients look up too many keys at once.
const ROUNDS_MAX: usize = 8;

/// What the statement at hand has to do with lookups.
#[derive(Debug, Default)]
pub struct Lookups {
    /// The keys to look up before it is planned again.
    wanted: RefCell<HashSet<(GroupId, KeyValue)>>,
    /// The keys that home, asked for this statement, does not know.
    absent: HashSet<(GroupId, KeyValue)>,
}

/// Tells whether planning fails only as long as something is fetched: ids or keys' buckets.
pub fn is_awaited<T>(done: &Result<T, Failure>) -> bool {
    lacks_ids(done) || is_not_looked_up(done)
}

fn is_not_looked_up<T>(done: &Result<T, Failure>) -> bool {
    matches!(done, Err(Failure::Refused(refusal)) if refusal.reason == NOT_LOOKED_UP)
}

/// What a statement waits for while it is planned again and again.
pub struct Awaited {
    ids: IdWait,
    rounds: usize,
}

impl Link {
    /// Returns the plan of one execution as soon as it has what it needs.
    pub async fn plan_when_known(&mut self, call: &Call, understood: &Understood) -> Result<Plan, Failure> {
        let plan = self.plan(call, understood);
        if is_awaited(&plan) { Box::pin(self.planned_again(call, understood)).await } else { plan }
    }

    async fn planned_again(&mut self, call: &Call, understood: &Understood) -> Result<Plan, Failure> {
        let mut awaited = self.await_plan();
        let mut plan = self.plan(call, understood);
        while is_awaited(&plan) {
            plan = match self.has_come(&plan, &mut awaited).await {
                Ok(true) => self.plan(call, understood),
                Ok(false) => break,
                Err(failure) => Err(failure),
            };
        }
        self.have_planned();
        plan
    }

    /// Begins to wait for what planning needs, of which nothing is missed from here on.
    pub fn await_plan(&self) -> Awaited {
        Awaited { ids: IdWait::new(&self.worker.proxy, Some(&self.cancel)), rounds: 0 }
    }

    /// Ends the wait: what home does not know now it may know for the next statement.
    pub fn have_planned(&mut self) {
        self.pieces.clear();
        self.lookups.absent.clear();
    }

    /// Fetches what planning has failed for; `false` once the time is over.
    ///
    /// # Errors
    /// Keys cannot be looked up.
    pub async fn has_come<T>(&mut self, failed: &Result<T, Failure>, awaited: &mut Awaited) -> Result<bool, Failure> {
        if let Err(Failure::Refused(refusal)) = failed
            && is_waited_for(refusal)
        {
            return Ok(awaited.ids.ends(refusal).await?);
        }
        awaited.rounds += 1;
        let mut wanted: HashMap<GroupId, Vec<KeyValue>> = HashMap::new();
        for (group, key) in self.lookups.wanted.take() {
            wanted.entry(group).or_default().push(key);
        }
        for (group, keys) in wanted {
            let absent = self.look_up(group, keys).await?;
            self.lookups.absent.extend(absent.into_iter().map(|key| (group, key)));
        }
        Ok(awaited.rounds <= ROUNDS_MAX)
    }

    /// Looks up the key of a row, unless it is known or no rule says to.
    pub(super) async fn look_up_row(&self, group: GroupId, key: Option<&KeyValue>) -> Result<(), Failure> {
        let (Some(key), Algorithm::Lookup(_)) = (key, &self.snapshot.rules.group(group).algorithm) else {
            return Ok(());
        };
        if self.snapshot.rules.bucket_of(group, key).is_none() {
            Box::pin(self.look_up(group, vec![key.clone()])).await?;
        }
        Ok(())
    }

    /// Has the directory learn these keys; returns those that home does not know.
    pub(super) async fn look_up(&self, group: GroupId, keys: Vec<KeyValue>) -> Result<Vec<KeyValue>, Failure> {
        let rules = &self.snapshot.rules;
        let known = rules.group(group);
        let Algorithm::Lookup(lookup) = &known.algorithm else { return Ok(keys) };
        let texts: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let answers = self.worker.proxy.outbox.look_up(lookup, known.key_type, &texts).await;
        let mut absent: HashSet<KeyValue> = keys.into_iter().collect();
        let mut learnt = Vec::new();
        for (text, number) in answers.map_err(|error| not_answered(&error.refusal()))? {
            let bucket = u32::try_from(number).ok().filter(|bucket| *bucket < rules.placement.buckets());
            let bucket = bucket.ok_or_else(|| no_bucket(lookup, &text, number, rules.placement.buckets()))?;
            // A column that compares texts in a way of its own may answer for another key.
            if let Some(key) = key_from_text(known.key_type, &text).filter(|key| absent.remove(key)) {
                learnt.push((key, BucketId(bucket)));
            }
        }
        lookup.directory.learn(learnt);
        Ok(absent.into_iter().collect())
    }

    /// Forgets what was missed before, for another statement or another session of this thread.
    pub(super) fn miss_nothing(&self) {
        for (_, lookup) in self.snapshot.rules.lookups() {
            lookup.directory.take_missed();
        }
        self.lookups.wanted.borrow_mut().clear();
    }

    /// Puts what was planned in force, unless keys are to be looked up first that home may know.
    pub(super) fn unless_missed(&self, planned: Result<Plan, Failure>) -> Result<Plan, Failure> {
        let mut wanted = self.lookups.wanted.borrow_mut();
        for (group, lookup) in self.snapshot.rules.lookups() {
            let missed = lookup.directory.take_missed().into_iter().map(|key| (group, key));
            wanted.extend(missed.filter(|missed| !self.lookups.absent.contains(missed)));
        }
        if wanted.is_empty() { planned } else { Err(not_looked_up().into()) }
    }
}

fn not_looked_up() -> Refusal {
    Refusal::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, "the buckets of the sharding keys could not be looked up")
        .with_hint("Name fewer keys in one statement.")
        .with_reason(NOT_LOOKED_UP)
}

fn not_answered(refusal: &Refusal) -> Refusal {
    Refusal { message: format!("sharding keys cannot be looked up: {}", refusal.message), ..refusal.clone() }
        .with_hint("docs/rules.md, lookup, says what the table needs.")
}

fn no_bucket(lookup: &Lookup, key: &str, found: i64, buckets: u32) -> Refusal {
    let message = format!("lookup table \"{}\" gives the key \"{key}\" the bucket {found}", lookup.table);
    Refusal::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        .with_hint(format!("Buckets are numbers from 0 to {}.", buckets - 1))
}
