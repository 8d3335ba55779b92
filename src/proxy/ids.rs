//! All makers of generated ids: a generator per layout, segments, uuids. Fetches no range and leases no worker id.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use crate::plan::{IdValue, IdsWanted};
use crate::rules::{IdLayout, IdRules, IdSource, standard_layout};
use crate::snowflake::{Decoded, Generator, IdError, Layout, LayoutError, Segment, UuidMaker, WorkerPermit};
use crate::types::{Clock, Refusal, SqlState};

/// The reason of a refusal that ends when the next range of a segment has come.
pub const SEGMENT_EMPTY: &str = "segment_empty";

/// The reason of a refusal that ends when a layout that new rules brought is ready.
pub const LAYOUT_IS_NEW: &str = "layout_is_new";

/// Tags whose ids are counted one by one; codes from here on, possible with a wide tag field, are counted together.
const COUNTED_TAGS: usize = 1024;

/// Makes ids. Shared by all threads.
pub struct Ids {
    clock: Arc<dyn Clock>,
    standard: Arc<Generator>,
    /// The only worker id that is leased, if the operator names one.
    only_worker: Option<u16>,
    /// The generators of all layouts; a layout keeps its generator until the process ends.
    generators: ArcSwap<Vec<(IdLayout, Arc<Generator>)>>,
    /// Held while a generator is added or a permit handed over, so that none is forgotten.
    permit: Mutex<Option<Arc<WorkerPermit>>>,
    uuids: UuidMaker,
    segments: RwLock<BTreeMap<String, Arc<Segment>>>,
    low: Notify,
    fetched: watch::Sender<Fetched>,
    /// Layouts of which home knows that nobody made ids with other numbers, once it was asked.
    registered: RwLock<Vec<IdLayout>>,
    /// Layouts that were changed after ids had been made in them.
    blocked: RwLock<Vec<(IdLayout, Refusal)>>,
    issued: Box<[AtomicU64]>,
    uuids_issued: AtomicU64,
    refused: AtomicU64,
}

/// What the last fetches of ranges came to.
#[derive(Debug, Clone, Default)]
pub struct Fetched {
    /// Why segments have no ids, by name.
    pub trouble: BTreeMap<String, String>,
}

/// What is counted over all tags since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IdFigures {
    /// Milliseconds that were borrowed ahead of the clock.
    pub borrowed_ms: u64,
    /// Steps back of the clock.
    pub steps_back: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Uuids.
    pub uuids: u64,
}

impl Ids {
    /// Makes the makers of these rules. `only_worker` is the worker id that the operator names.
    ///
    /// # Errors
    /// A layout's widths make no id.
    pub fn new(rules: &IdRules, only_worker: Option<u16>, clock: Arc<dyn Clock>) -> Result<Self, LayoutError> {
        let layout = rules.layouts.get("standard").copied().unwrap_or_else(standard_layout);
        let standard = Arc::new(Generator::new(layout_of(layout)?, Arc::clone(&clock)));
        let ids = Self {
            generators: ArcSwap::from_pointee(vec![(layout, Arc::clone(&standard))]),
            standard,
            only_worker,
            permit: Mutex::new(None),
            uuids: UuidMaker::new(Arc::clone(&clock)),
            segments: RwLock::default(),
            low: Notify::new(),
            fetched: watch::Sender::default(),
            registered: RwLock::default(),
            blocked: RwLock::default(),
            issued: (0..=COUNTED_TAGS).map(|_| AtomicU64::new(0)).collect(),
            uuids_issued: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            clock,
        };
        for layout in rules.layouts.values() {
            layout_of(*layout)?;
        }
        Ok(ids)
    }

    /// Makes one id of the layout `standard`.
    ///
    /// # Errors
    /// As [`Ids::make`].
    pub fn next_standard(&self, tag_code: u16) -> Result<i64, Refusal> {
        self.standard
            .next(tag_code)
            .map_err(|error| self.blocked(self.standard_layout()).unwrap_or_else(|| self.refuse(&error)))
    }

    /// Takes an id of the layout `standard` apart; `None` for a number that it cannot have made.
    pub fn decode_standard(&self, id: i64) -> Option<Decoded> {
        layout_of(self.standard_layout()).ok()?.decode(id)
    }

    /// Makes the ids that are wanted, ascending; all of them or none. `rules` is the snapshot that the source is of.
    ///
    /// # Errors
    /// `57P03` where waiting helps – with the reason [`SEGMENT_EMPTY`] until the next range has come –, `53400`,
    /// `54000` and `22023` where it does not.
    pub fn make(&self, wanted: IdsWanted, rules: &IdRules) -> Result<Vec<IdValue>, Refusal> {
        match wanted.source {
            IdSource::Snowflake { layout, tag_code } => {
                let own = if layout.tag_bits == 0 { 0 } else { tag_code };
                let field = wanted.bucket.map_or(own, |bucket| bucket.0 as u16);
                let mut ids = Vec::with_capacity(wanted.count);
                let made = self.generator(layout).and_then(|generator| {
                    let made = generator.next_many(field, wanted.count, &mut ids);
                    made.map_err(|error| self.blocked(layout).unwrap_or_else(|| self.soon(layout, &error)))
                });
                made?;
                self.issued[usize::from(tag_code).min(COUNTED_TAGS)].fetch_add(wanted.count as u64, Ordering::Relaxed);
                Ok(ids.into_iter().map(IdValue::Bigint).collect())
            }
            IdSource::Segment(place) => self.dense(place, wanted.count, rules),
            IdSource::Uuid { .. } => {
                self.uuids_issued.fetch_add(wanted.count as u64, Ordering::Relaxed);
                Ok((0..wanted.count).map(|_| IdValue::Uuid(self.uuids.make())).collect())
            }
        }
    }

    fn dense(&self, place: u16, count: usize, rules: &IdRules) -> Result<Vec<IdValue>, Refusal> {
        let none = || Refusal::new(SqlState::INTERNAL_ERROR, "the segment of the id is not in the rules");
        let (name, rule) = rules.segments.iter().nth(usize::from(place)).ok_or_else(none)?;
        let segment = self.segment(name, rule.step);
        let mut ids = Vec::with_capacity(count);
        let taken = segment.take(count, &mut ids);
        if !taken || segment.is_low() {
            self.low.notify_one();
        }
        if taken {
            return Ok(ids.into_iter().map(IdValue::Bigint).collect());
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        let refusal =
            Refusal::new(SqlState::CANNOT_CONNECT_NOW, format!("no ids of the segment \"{name}\" are reserved"));
        let trouble = self.fetched.borrow().trouble.get(name).cloned();
        let hint = trouble.unwrap_or_else(|| "Check that the home shard answers: ids are reserved there.".to_owned());
        Err(refusal.with_hint(hint).with_reason(SEGMENT_EMPTY))
    }

    /// Returns the segment of that name, a new one if there is none yet.
    pub fn segment(&self, name: &str, step: i64) -> Arc<Segment> {
        let known = self.segments.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        known.unwrap_or_else(|| {
            let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(segments.entry(name.to_owned()).or_insert_with(|| Arc::new(Segment::new(step))))
        })
    }

    /// Waits until a segment runs low.
    pub async fn low(&self) {
        self.low.notified().await;
    }

    /// Tells those who wait for ids of segments how fetching went.
    pub fn set_fetched(&self, fetched: Fetched) {
        self.fetched.send_replace(fetched);
    }

    /// Returns where the end of each fetch appears.
    pub fn fetches(&self) -> watch::Receiver<Fetched> {
        self.fetched.subscribe()
    }

    fn generator(&self, layout: IdLayout) -> Result<Arc<Generator>, Refusal> {
        let of = |generators: &[(IdLayout, Arc<Generator>)]| {
            generators.iter().find(|(known, _)| *known == layout).map(|(_, generator)| Arc::clone(generator))
        };
        match of(&self.generators.load()) {
            Some(generator) => Ok(generator),
            None => {
                let permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(generator) = of(&self.generators.load()) {
                    return Ok(generator);
                }
                self.add(layout, permit.as_ref())
            }
        }
    }

    /// Adds the generator of a layout that is used for the first time; the caller holds the lock.
    fn add(&self, layout: IdLayout, permit: Option<&Arc<WorkerPermit>>) -> Result<Arc<Generator>, Refusal> {
        let wrong = |error: LayoutError| Refusal::new(SqlState::INVALID_PARAMETER_VALUE, error.to_string());
        let generator = Arc::new(Generator::new(layout_of(layout).map_err(wrong)?, Arc::clone(&self.clock)));
        if let Some(permit) = permit.filter(|_| self.is_permitted(layout)) {
            // A worker id that does not fit is changed for another.
            let _ = generator.set_permit(Arc::clone(permit));
        }
        let mut all = self.generators.load().to_vec();
        all.push((layout, Arc::clone(&generator)));
        self.generators.store(Arc::new(all));
        Ok(generator)
    }

    /// Takes a new or renewed permit for all layouts.
    ///
    /// # Errors
    /// The worker id does not fit into some layout; the others take it.
    pub fn set_permit(&self, permit: &Arc<WorkerPermit>) -> Result<(), IdError> {
        let mut held = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some(Arc::clone(permit));
        let mut result = Ok(());
        for (layout, generator) in self.generators.load().iter() {
            if !self.is_permitted(*layout) {
                continue;
            }
            if let Err(error) = generator.set_permit(Arc::clone(permit)) {
                generator.clear_permit();
                result = Err(error);
            }
        }
        result
    }

    /// Stops a layout for good: ids were made under its name with other numbers, which `known` tells.
    pub fn block(&self, layout: IdLayout, name: &str, known: &str) {
        let message = format!("the id layout \"{name}\" was changed after it had been used: home knows {known}");
        let hint = "Give the layout its numbers back and declare the new ones under a new name; if no id of it was ever \
                    kept, delete its row from shardloom.id_layout on every shard. Then restart the proxy.";
        let refusal = Refusal::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message).with_hint(hint);
        if self.blocked(layout).is_some() {
            return;
        }
        self.blocked.write().unwrap_or_else(PoisonError::into_inner).push((layout, refusal));
        if let Some((_, generator)) = self.generators.load().iter().find(|(known, _)| *known == layout) {
            generator.clear_permit();
        }
    }

    /// Lets ids be made in layouts that new rules brought, after home was asked for them and none of [`Ids::block`].
    pub fn permit_layouts(&self, layouts: impl Iterator<Item = IdLayout>) {
        let mut registered = self.registered.write().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<IdLayout> = layouts.filter(|layout| !registered.contains(layout)).collect();
        if new.is_empty() {
            return;
        }
        registered.extend(new);
        drop(registered);
        let permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(error) = permit.and_then(|permit| self.set_permit(&permit).err()) {
            tracing::debug!(%error, "a layout waits for another worker id");
        }
    }

    fn is_permitted(&self, layout: IdLayout) -> bool {
        let registered = self.registered.read().unwrap_or_else(PoisonError::into_inner);
        registered.contains(&layout) && self.blocked(layout).is_none()
    }

    fn blocked(&self, layout: IdLayout) -> Option<Refusal> {
        let blocked = self.blocked.read().unwrap_or_else(PoisonError::into_inner);
        blocked.iter().find(|(known, _)| *known == layout).map(|(_, refusal)| refusal.clone())
    }

    fn standard_layout(&self) -> IdLayout {
        self.generators.load().first().map_or_else(standard_layout, |(layout, _)| *layout)
    }

    /// Takes the permit away from all layouts.
    pub fn clear_permit(&self) {
        let mut held = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        *held = None;
        self.generators.load().iter().for_each(|(_, generator)| generator.clear_permit());
    }

    /// Returns the permit in use.
    pub fn permit(&self) -> Option<Arc<WorkerPermit>> {
        self.standard.permit()
    }

    /// Returns how many ids of the tag were issued since start.
    pub fn issued(&self, source: IdSource, rules: &IdRules) -> u64 {
        match source {
            IdSource::Snowflake { tag_code, .. } => {
                self.issued[usize::from(tag_code).min(COUNTED_TAGS)].load(Ordering::Relaxed)
            }
            IdSource::Segment(place) => {
                let name = rules.segments.keys().nth(usize::from(place));
                let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
                name.and_then(|name| segments.get(name)).map_or(0, |segment| segment.issued())
            }
            IdSource::Uuid { .. } => self.uuids_issued.load(Ordering::Relaxed),
        }
    }

    /// Returns what is counted over all tags.
    pub fn figures(&self) -> IdFigures {
        let generators = self.generators.load();
        let sum = |of: fn(&Generator) -> u64| generators.iter().map(|(_, generator)| of(generator)).sum();
        IdFigures {
            borrowed_ms: sum(Generator::borrowed_ms),
            steps_back: generators.iter().map(|(_, generator)| generator.steps_back()).max().unwrap_or(0),
            refused: self.refused.load(Ordering::Relaxed),
            uuids: self.uuids_issued.load(Ordering::Relaxed),
        }
    }

    /// A layout that new rules brought has no worker id for a moment: home is asked for it, or one that fits is leased.
    fn soon(&self, layout: IdLayout, error: &IdError) -> Refusal {
        let has_lease = self.permit.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        match (error, self.only_worker, layout_of(layout).map(|layout| layout.workers())) {
            (IdError::NoLease, Some(worker), Ok(limit)) if u32::from(worker) >= limit => {
                self.refuse(&IdError::UnknownWorker { worker, limit })
            }
            (IdError::NoLease, ..) if has_lease && layout != self.standard_layout() => {
                self.refuse(error).with_reason(LAYOUT_IS_NEW)
            }
            _ => self.refuse(error),
        }
    }

    fn refuse(&self, error: &IdError) -> Refusal {
        self.refused.fetch_add(1, Ordering::Relaxed);
        error.refusal()
    }
}

/// Returns the layout as generators take it.
///
/// # Errors
/// Its widths or epoch make no id.
pub fn layout_of(layout: IdLayout) -> Result<Layout, LayoutError> {
    Layout::new(layout.epoch_ms, layout.time_bits, layout.tag_bits, layout.worker_bits, layout.sequence_bits)
}

impl std::fmt::Debug for Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ids").field("standard", &self.standard).finish_non_exhaustive()
    }
}
