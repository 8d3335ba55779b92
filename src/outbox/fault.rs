//! Named points at which a test lets the process die or stand still, to prove that nothing is lost there. Debug builds
//! only: in a release build the calls are empty and no variable is read.

/// A step of a multi-shard write; `docs/multi-shard-writes.md` tells what recovery does after each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultPoint {
    /// Two-phase: the targets have done their work, none is prepared.
    BeforePrepare,
    /// Two-phase: one target is prepared, of the others nobody knows.
    OnePrepared,
    /// Two-phase: every target is prepared, home is not asked yet.
    AfterPrepare,
    /// The targets have done their work, ledger row and COMMIT are not sent yet.
    BeforeHomeCommit,
    /// Ledger row and COMMIT are sent, the answer is not read.
    HomeCommitSent,
    /// Home has committed, no target has.
    AfterHomeCommit,
    /// A target's COMMIT or COMMIT PREPARED is sent, the answer is not read.
    TargetCommitSent,
    /// One target has committed, of the others nobody knows.
    OneTargetCommitted,
    /// The targets have committed, neither the client nor the ledger was told.
    AfterTargetCommit,
    /// Marks of applied targets are taken, the ledger was not told.
    BeforeMarks,
    /// The relay has applied, its transaction on the target is still open.
    BeforeApplyCommit,
    /// The relay's transaction on the target has committed, the ledger was not told.
    AfterApplyCommit,
    /// Recovery knows how a prepared transaction ends, the target was not told.
    BeforePreparedEnds,
    /// Recovery has ended a prepared transaction, the ledger was not told.
    AfterPreparedEnds,
    /// A compensation has undone home's part, its COMMIT is not sent.
    BeforeUndoCommit,
    /// A compensation is decided, its targets know nothing of it.
    AfterUndoCommit,
    /// A statement that runs shard by shard is done on one, and the next one is not touched.
    BetweenShards,
}

impl FaultPoint {
    /// Returns the name that the tests know, as in `after_home_commit`.
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforePrepare => "before_prepare",
            Self::OnePrepared => "one_prepared",
            Self::AfterPrepare => "after_prepare",
            Self::BeforeHomeCommit => "before_home_commit",
            Self::HomeCommitSent => "home_commit_sent",
            Self::AfterHomeCommit => "after_home_commit",
            Self::TargetCommitSent => "target_commit_sent",
            Self::OneTargetCommitted => "one_target_committed",
            Self::AfterTargetCommit => "after_target_commit",
            Self::BeforeMarks => "before_marks",
            Self::BeforeApplyCommit => "before_apply_commit",
            Self::AfterApplyCommit => "after_apply_commit",
            Self::BeforePreparedEnds => "before_prepared_ends",
            Self::AfterPreparedEnds => "after_prepared_ends",
            Self::BeforeUndoCommit => "before_undo_commit",
            Self::AfterUndoCommit => "after_undo_commit",
            Self::BetweenShards => "between_shards",
        }
    }
}

/// Does here what the test chose for this point: ends the process as SIGKILL would, or stops its thread until the test
/// says go.
#[inline]
pub fn reached(point: FaultPoint) {
    #[cfg(debug_assertions)]
    armed::reached(point);
    #[cfg(not(debug_assertions))]
    let _ = point;
}

/// Tells whether something is to happen at this point: never in a release build.
#[inline]
pub fn is_chosen(point: FaultPoint) -> bool {
    #[cfg(debug_assertions)]
    return armed::is_chosen(point);
    #[cfg(not(debug_assertions))]
    {
        let _ = point;
        false
    }
}

/// `SHARDLOOM_FAULT=after_home_commit:abort` ends the process at its first arrival. `SHARDLOOM_FAULT_FOLDER` names a folder
/// in which a file `after_home_commit.abort` or `after_home_commit.pause` does so at any time: who arrives first renames
/// it to `after_home_commit.reached`, and one that pauses goes on once that is gone.
#[cfg(debug_assertions)]
mod armed {
    use std::path::PathBuf;
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    use super::FaultPoint;

    /// Longest pause: a test that died does not keep the process for ever.
    const PAUSE_MAX: Duration = Duration::from_secs(60);
    /// Pace at which a pause looks whether it is over.
    const PAUSE_POLL: Duration = Duration::from_millis(2);

    fn named() -> Option<&'static str> {
        static NAMED: OnceLock<Option<String>> = OnceLock::new();
        let read = || std::env::var("SHARDLOOM_FAULT").ok()?.strip_suffix(":abort").map(str::to_owned);
        NAMED.get_or_init(read).as_deref()
    }

    fn folder() -> Option<&'static PathBuf> {
        static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
        FOLDER.get_or_init(|| std::env::var_os("SHARDLOOM_FAULT_FOLDER").map(PathBuf::from)).as_ref()
    }

    pub(super) fn is_chosen(point: FaultPoint) -> bool {
        let file = |ending: &str| folder().is_some_and(|folder| folder.join(point.name().to_owned() + ending).exists());
        named() == Some(point.name()) || file(".abort") || file(".pause")
    }

    pub(super) fn reached(point: FaultPoint) {
        if named() == Some(point.name()) {
            std::process::abort();
        }
        let Some(folder) = folder() else { return };
        let file = |ending: &str| folder.join(point.name().to_owned() + ending);
        // Of several threads that arrive, one renames.
        if std::fs::rename(file(".abort"), file(".reached")).is_ok() {
            std::process::abort();
        }
        if std::fs::rename(file(".pause"), file(".reached")).is_ok() {
            let began = Instant::now();
            while file(".reached").exists() && began.elapsed() < PAUSE_MAX {
                std::thread::sleep(PAUSE_POLL);
            }
        }
    }
}
