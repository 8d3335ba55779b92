//! Named points at which a test lets the process die, to prove that nothing is lost there. Debug builds only: in a
//! release build the calls are empty and the variable is not read.

/// A step of a multi-shard write; `docs/multi-shard-writes.md` tells what recovery does after each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultPoint {
    /// Two-phase: every target is prepared, home is not asked yet.
    AfterPrepare,
    /// The targets have done their work, ledger row and COMMIT are not sent yet.
    BeforeHomeCommit,
    /// Ledger row and COMMIT are sent, the answer is not read.
    HomeCommitSent,
    /// Home has committed, no target has.
    AfterHomeCommit,
    /// The targets have committed, neither the client nor the ledger was told.
    AfterTargetCommit,
    /// The relay has applied, its transaction on the target is still open.
    BeforeApplyCommit,
    /// The relay's transaction on the target has committed, the ledger was not told.
    AfterApplyCommit,
    /// A statement that runs shard by shard is done on one, and the next one is not touched.
    BetweenShards,
}

impl FaultPoint {
    /// Returns the name that the variable `SHARDLOOM_FAULT` knows, as in `after_home_commit:abort`.
    pub fn name(self) -> &'static str {
        match self {
            Self::AfterPrepare => "after_prepare",
            Self::BeforeHomeCommit => "before_home_commit",
            Self::HomeCommitSent => "home_commit_sent",
            Self::AfterHomeCommit => "after_home_commit",
            Self::AfterTargetCommit => "after_target_commit",
            Self::BeforeApplyCommit => "before_apply_commit",
            Self::AfterApplyCommit => "after_apply_commit",
            Self::BetweenShards => "between_shards",
        }
    }
}

/// Ends the process here, as SIGKILL would, if the test that started it chose this point.
pub fn reached(point: FaultPoint) {
    if is_chosen(point) {
        std::process::abort();
    }
}

/// Tells whether the process is to end at this point.
#[cfg(debug_assertions)]
pub fn is_chosen(point: FaultPoint) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let text = std::env::var("SHARDLOOM_FAULT").ok()?;
        text.strip_suffix(":abort").map(str::to_owned)
    });
    chosen.as_deref() == Some(point.name())
}

/// Tells whether the process is to end at this point: never.
#[cfg(not(debug_assertions))]
#[inline]
pub fn is_chosen(_: FaultPoint) -> bool {
    false
}
