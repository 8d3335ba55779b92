//! Text → what it means, remembered per worker.
//!
//! A text is read once. What is routed by its key alone is remembered by its skeleton, so that it serves every text
//! that differs in literals only; everything else by its full text. Long texts are read anew each time.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use quick_cache::unsync::Cache;

use crate::metrics::{CacheOutcome, Metrics, QueryKind};
use crate::plan::insert::PreparedInsert;
use crate::plan::{self, Context, Gather, PrepareError};
use crate::proxy::{Pinned, RouteBoard, RouteCounter, Snapshot};
use crate::sql::next_id::{IdArguments, NextIdCall};
use crate::sql::{self, Control, CopyDirection, Ddl, Literal, Skeleton, Utility};
use crate::types::{Refusal, ShardId};

use super::failure::Failure;
use super::pins::{calls, is_between_sessions, pins, unpins};
use super::prepared::Prepared;
use super::remade::Remade;
use super::routes::Routes;

/// What one text means under one generation of the rules.
#[derive(Debug)]
pub struct Understood {
    /// What it is.
    pub meaning: Meaning,
    /// The generation of rules and catalog under which that holds.
    pub generation: u64,
    /// What it leaves on its server that belongs to the session.
    pub pins: Pinned,
    /// Whether it must run on home where any shard would do: there it meets what other sessions did.
    pub at_home: bool,
    /// Whether it may take back what pins its session.
    pub unpins: bool,
    /// Whether it may change settings of its server by a function call.
    pub touches_settings: bool,
    /// Whether it changes tables, so that catalogs must be read again.
    pub changes_schema: bool,
    /// Whether it takes COPY data from the client.
    pub copies_in: bool,
    /// Where its executions are counted; none for what concerns the session.
    pub route: Option<Arc<RouteCounter>>,
    /// Where servers are asked to parse it, if not just anywhere.
    pub parsing_shard: Option<ShardId>,
    /// Over which copies home describes it, where no server knows all of its tables.
    pub described_over: Option<Box<Gather>>,
    /// Why no server can parse it.
    unpreparable: Option<Refusal>,
    /// The literals of the text that was read.
    literals: Vec<sql::Literal>,
    /// How many parameters the text has.
    parameters: usize,
}

/// What a text is.
#[derive(Debug)]
pub enum Meaning {
    /// Nothing but white space and comments.
    Empty,
    /// A session or transaction statement.
    Control(Control),
    /// Something with a plan.
    Plan(Planned),
    /// A statement with an idempotency key: what is behind the key is read when it runs.
    Keyed(sql::Keyed),
}

/// What can be planned.
#[derive(Debug)]
pub enum Planned {
    /// By its tables and keys.
    Prepared(plan::Prepared),
    /// It calls `shardloom.next_id`: ids are handed to the calls, then it is read, at every execution.
    Issuing(Vec<NextIdCall>),
    /// It cannot be read; if PostgreSQL can, this is the refusal.
    Unreadable(Refusal),
}

/// One worker's memory of texts. Bounded in entries; texts over the bound are not remembered.
pub struct Plans {
    templates: RefCell<Cache<Box<str>, Rc<Understood>>>,
    texts: RefCell<Cache<Box<str>, Rc<Understood>>>,
    statements: RefCell<Cache<StatementKey, Rc<Prepared>>>,
    skeleton: RefCell<Skeleton>,
    text_bytes_max: usize,
    next_id: Rc<Cell<u64>>,
    /// The texts that are made of those.
    pub remade: Remade,
    metrics: Arc<Metrics>,
    routes: Routes,
}

/// What a text means, and its literals where that may be the meaning of another text.
type Masked = (Rc<Understood>, Option<Rc<[Literal]>>);

/// Text, declared types, generation: what is parsed after a change of tables is another statement for the servers.
type StatementKey = (Box<str>, Vec<u32>, u64);

impl Plans {
    /// Makes an empty memory for `entries` texts of at most `text_bytes_max` bytes each.
    pub fn new(entries: usize, text_bytes_max: usize, metrics: Arc<Metrics>) -> Self {
        let next_id = Rc::new(Cell::new(1));
        Self {
            remade: Remade::new(entries, text_bytes_max, Rc::clone(&next_id)),
            templates: RefCell::new(Cache::new(entries)),
            texts: RefCell::new(Cache::new(entries)),
            statements: RefCell::new(Cache::new(entries)),
            skeleton: RefCell::default(),
            text_bytes_max,
            next_id,
            metrics,
            routes: Routes::default(),
        }
    }

    /// Has executions counted on a board.
    pub fn counting(self, board: Arc<RouteBoard>) -> Self {
        Self { routes: Routes::on(board), ..self }
    }

    /// Returns what a text means under these rules, and its literals where the meaning may be that of another text with
    /// the same skeleton.
    pub fn understand_masked(&self, text: &str, snapshot: &Snapshot) -> Result<Masked, Failure> {
        let understood = self.understand(text, snapshot)?;
        let shared = understood.is_template() && text.len() <= self.text_bytes_max;
        let literals = shared.then(|| Rc::from(self.skeleton.borrow().literals.as_slice()));
        Ok((understood, literals))
    }

    /// Returns what a text means under these rules.
    pub fn understand(&self, text: &str, snapshot: &Snapshot) -> Result<Rc<Understood>, Failure> {
        if text.len() > self.text_bytes_max {
            return Ok(Rc::new(self.counted(text, read(text, snapshot, false))?));
        }
        if let Some(known) = self.remembered(text, snapshot.generation) {
            self.metrics.plan_cache(CacheOutcome::Hit);
            return Ok(known);
        }
        self.metrics.plan_cache(CacheOutcome::Miss);
        let understood = Rc::new(self.counted(text, read(text, snapshot, false))?);
        // A key is seldom met again.
        if !matches!(understood.meaning, Meaning::Keyed(_)) {
            self.remember(text, &understood);
        }
        Ok(understood)
    }

    /// Finds the counter of what was read; what is refused whatever its values are is counted here.
    fn counted(&self, text: &str, read: Result<Understood, Failure>) -> Result<Understood, Failure> {
        match read {
            Ok(understood) if !matches!(understood.meaning, Meaning::Plan(_)) => Ok(understood),
            Ok(understood) => Ok(Understood { route: self.routes.counter(text), ..understood }),
            Err(failure) => {
                if let (Failure::Refused(refusal), Some(route)) = (&failure, self.routes.counter(text)) {
                    self.note_refused(&route, refusal);
                }
                Err(failure)
            }
        }
    }

    /// Counts a refusal, and logs it unless it was a moment ago.
    pub fn note_refused(&self, route: &RouteCounter, refusal: &Refusal) {
        self.metrics.query(QueryKind::Refused);
        self.routes.refused(route, refusal);
    }

    /// Logs that a statement is gathered, unless it was a moment ago.
    pub fn note_gathered(&self, route: &RouteCounter, because: &str) {
        self.routes.gathered(route, because);
    }

    fn remembered(&self, text: &str, generation: u64) -> Option<Rc<Understood>> {
        let mut skeleton = self.skeleton.borrow_mut();
        sql::mask(text, &mut skeleton);
        let is_current = |known: &&Rc<Understood>| known.generation == generation;
        if let Some(known) = self.templates.borrow().get(skeleton.text.as_str()).filter(is_current)
            && known.holds_for(text, &skeleton.literals)
        {
            return Some(Rc::clone(known));
        }
        self.texts.borrow().get(text).filter(is_current).cloned()
    }

    fn remember(&self, text: &str, understood: &Rc<Understood>) {
        if understood.is_template() {
            let skeleton = self.skeleton.borrow().text.as_str().into();
            self.templates.borrow_mut().insert(skeleton, Rc::clone(understood));
        } else {
            self.texts.borrow_mut().insert(text.into(), Rc::clone(understood));
        }
    }

    /// Returns the prepared statement for a text and its declared types, shared by all clients of the worker.
    pub fn prepare(&self, text: &str, types: Vec<u32>, snapshot: &Snapshot) -> Result<Rc<Prepared>, Failure> {
        let key = (Box::from(text), types, snapshot.generation);
        if let Some(known) = self.statements.borrow().get(&key) {
            let known = Rc::clone(known);
            self.refresh(&known, snapshot)?;
            return Ok(known);
        }
        let understood = self.understand(text, snapshot)?;
        if let Some(refusal) = &understood.unpreparable {
            return Err(refusal.clone().into());
        }
        let prepared = Rc::new(Prepared {
            id: Cell::new(super::prepared::next(&self.next_id)),
            fleeting: sql::speaks_of_the_present(text, &sql::literals(text)),
            others: RefCell::default(),
            ids: Rc::clone(&self.next_id),
            sql: text.into(),
            types: key.1.clone(),
            literals: sql::literals(text).into(),
            meaning: RefCell::new(understood),
            description: RefCell::new(None),
            uses: Cell::new(0),
        });
        let is_keyed = matches!(prepared.meaning.borrow().meaning, Meaning::Keyed(_));
        if text.len() <= self.text_bytes_max && !is_keyed {
            self.statements.borrow_mut().insert(key, Rc::clone(&prepared));
        }
        Ok(prepared)
    }

    /// Returns what a prepared statement means under these rules, reading it again if they changed.
    pub fn refresh(&self, prepared: &Prepared, snapshot: &Snapshot) -> Result<Rc<Understood>, Failure> {
        let known = Rc::clone(&prepared.meaning.borrow());
        if known.generation == snapshot.generation {
            return Ok(known);
        }
        let understood = self.understand(&prepared.sql, snapshot)?;
        prepared.renew();
        *prepared.meaning.borrow_mut() = Rc::clone(&understood);
        Ok(understood)
    }
}

impl Understood {
    /// Tells whether it holds for every text with the same skeleton.
    fn is_template(&self) -> bool {
        match &self.meaning {
            Meaning::Plan(Planned::Prepared(prepared)) => prepared.is_template(),
            // They are the most frequent of all, and have no constants.
            Meaning::Control(Control::Begin { .. } | Control::Commit { .. } | Control::Rollback { .. }) => {
                self.literals.is_empty()
            }
            Meaning::Plan(_) | Meaning::Control(_) | Meaning::Keyed(_) | Meaning::Empty => false,
        }
    }

    /// Tells whether it holds for this text with the same skeleton: an INSERT is spliced, so white space counts.
    fn holds_for(&self, text: &str, literals: &[Literal]) -> bool {
        match &self.meaning {
            Meaning::Plan(Planned::Prepared(prepared)) => {
                prepared.insert().is_none_or(|insert| insert.is_for(text, literals))
            }
            Meaning::Plan(_) | Meaning::Control(_) | Meaning::Keyed(_) | Meaning::Empty => true,
        }
    }

    /// Tells whether the session has to act when it runs: keep its server, or ask whether it still has to.
    pub fn leaves_remains(&self) -> bool {
        self.pins != Pinned::No || self.unpins
    }

    /// Tells whether servers get another text than the client wrote.
    pub fn is_rewritten(&self) -> bool {
        match &self.meaning {
            Meaning::Empty | Meaning::Control(_) | Meaning::Keyed(_) => false,
            Meaning::Plan(Planned::Issuing(_) | Planned::Unreadable(_)) => true,
            Meaning::Plan(Planned::Prepared(prepared)) => {
                prepared.is_split() || prepared.insert().is_some_and(PreparedInsert::injects)
            }
        }
    }

    /// Returns a text that a server can parse in place of the client's, and how many of its parameters, at the end, are
    /// the proxy's own.
    pub fn described_text(&self, text: &str) -> (String, usize) {
        match &self.meaning {
            Meaning::Plan(Planned::Prepared(prepared)) => {
                let (sql, injected) = prepared
                    .insert()
                    .and_then(|insert| insert.describe_text(text))
                    .map_or_else(|| (text.to_owned(), 0), |described| (described.sql, described.injected));
                // What cannot be said of physical tables was refused when the text was read.
                let parsed = prepared.parsed_text(&sql).ok().flatten();
                (parsed.unwrap_or(sql), injected)
            }
            Meaning::Plan(Planned::Issuing(calls)) => {
                let parameters = self.parameters;
                let edits = sql::next_id::edits(calls, &vec![0; calls.len()], IdArguments::ParametersAfter(parameters));
                (sql::splice(text, &edits), calls.len())
            }
            Meaning::Plan(Planned::Unreadable(_)) | Meaning::Control(_) | Meaning::Keyed(_) | Meaning::Empty => {
                (text.to_owned(), 0)
            }
        }
    }

    /// Returns a text with physical tables in the place of split ones, so that a server can parse it.
    pub fn physical_text(&self, text: String) -> String {
        let Meaning::Plan(Planned::Prepared(prepared)) = &self.meaning else { return text };
        // What cannot be said of physical tables was refused when the text was read.
        prepared.parsed_text(&text).ok().flatten().unwrap_or(text)
    }

    /// Returns how many parameters the text has: the greatest `$n` in it.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Returns the literals of `text`; they are known already if it is the text that was read.
    pub fn literals(&self) -> &[sql::Literal] {
        &self.literals
    }
}

/// Reads a text whose calls of `next_id` have been handed their ids.
pub(super) fn read_issued(text: &str, snapshot: &Snapshot) -> Result<Understood, Failure> {
    read(text, snapshot, true)
}

/// Reads one text.
fn read(text: &str, snapshot: &Snapshot, issued: bool) -> Result<Understood, Failure> {
    let generation = snapshot.generation;
    let mut understood = Understood {
        meaning: Meaning::Empty,
        generation,
        pins: pins(text),
        at_home: is_between_sessions(text),
        unpins: unpins(text),
        touches_settings: calls(text, "set_config"),
        changes_schema: false,
        copies_in: false,
        route: None,
        parsing_shard: None,
        described_over: None,
        unpreparable: None,
        literals: sql::literals(text),
        parameters: parameter_count(text),
    };
    if sql::split(text).is_empty() {
        return Ok(understood);
    }
    if let Some(keyed) = sql::keyed(text) {
        understood.meaning = Meaning::Keyed(keyed);
        return Ok(understood);
    }
    if let Some(control) = sql::control(text) {
        if matches!(control, Control::Prepare { .. } | Control::Execute { .. }) {
            // The parameters in it are those of another statement.
            understood.parameters = 0;
        }
        understood.meaning = Meaning::Control(control);
        return Ok(understood);
    }
    match sql::utility(text) {
        Some(Utility::Ddl(ddl)) => {
            if ddl.temporary {
                understood.pins = Pinned::TemporaryTable;
            }
            understood.changes_schema = !is_harmless(&ddl);
        }
        Some(Utility::Do) => understood.changes_schema = !sql::schema_changes(text).ddl.is_empty(),
        Some(Utility::Copy(head)) => understood.copies_in = head.direction == CopyDirection::FromStdin,
        Some(_) | None => {}
    }
    if understood.pins == Pinned::No && makes_temporary(text, snapshot) {
        understood.pins = Pinned::TemporaryTable;
    }
    // INSERT hands ids to the calls in its rows by itself.
    let calls = if issued || sql::next_id::is_insert(text) { Vec::new() } else { sql::next_id::calls(text)? };
    understood.meaning =
        Meaning::Plan(if calls.is_empty() { planned(text, snapshot)? } else { Planned::Issuing(calls) });
    match parsing_shard(&understood.meaning, snapshot) {
        Ok(shard) => understood.parsing_shard = shard,
        Err(refusal) => {
            understood.described_over = described_over(&understood.meaning, text, snapshot).map(Box::new);
            understood.unpreparable = understood.described_over.is_none().then_some(refusal);
        }
    }
    Ok(understood)
}

fn planned(text: &str, snapshot: &Snapshot) -> Result<Planned, Failure> {
    let context = Context { rules: &snapshot.rules, catalog: &snapshot.catalog };
    match plan::prepare(text, &context) {
        Ok(prepared) => Ok(Planned::Prepared(prepared)),
        Err(PrepareError::Refused(refusal)) => Err(refusal.into()),
        Err(PrepareError::Unreadable(refusal)) => Ok(Planned::Unreadable(refusal)),
    }
}

/// Tells whether functions that it calls may leave temporary objects on the server.
fn makes_temporary(text: &str, snapshot: &Snapshot) -> bool {
    plan::makes_temporary(text, &Context { rules: &snapshot.rules, catalog: &snapshot.catalog })
}

/// A statement that lives on one shard for certain is parsed there; the others are alike everywhere.
fn parsing_shard(meaning: &Meaning, snapshot: &Snapshot) -> Result<Option<ShardId>, Refusal> {
    match meaning {
        Meaning::Plan(Planned::Prepared(prepared)) => prepared.parsing_shard(&snapshot.rules),
        Meaning::Plan(Planned::Issuing(_) | Planned::Unreadable(_)) => Ok(None),
        Meaning::Control(_) | Meaning::Keyed(_) | Meaning::Empty => Ok(None),
    }
}

fn described_over(meaning: &Meaning, text: &str, snapshot: &Snapshot) -> Option<Gather> {
    let Meaning::Plan(Planned::Prepared(prepared)) = meaning else { return None };
    prepared.parsed_over_copies(text, &Context { rules: &snapshot.rules, catalog: &snapshot.catalog })
}

/// Returns the greatest `$n` in a text.
fn parameter_count(text: &str) -> usize {
    if memchr::memchr(b'$', text.as_bytes()).is_none() {
        return 0;
    }
    let tokens = sql::Scanner::new(text).map(|token| token.text(text));
    tokens.filter_map(|token| token.strip_prefix('$')?.parse().ok()).max().unwrap_or(0)
}

/// Statistics and comments change nothing that plans depend on.
fn is_harmless(ddl: &Ddl) -> bool {
    ddl.temporary
}
