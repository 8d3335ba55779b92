//! A target's life cycle: one pure [`next`] that relay, scanner and operators share. Knows no table and no clock.

use std::fmt;

use super::classify::FailureClass;
use crate::rules::OnDead;

/// Where one transaction stands on one target. In flight is never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetState {
    /// Not tried yet, or asked again by an operator.
    Pending,
    /// A queue accepted it.
    Published,
    /// Failed in a way that may pass; `attempts` of them used up.
    Retry {
        /// Attempts used up, at least 0: an unreachable target uses up none.
        attempts: i32,
    },
    /// Applied.
    Applied,
    /// Waits behind a dead event of the same key.
    Parked,
    /// The target's schema does not fit; probed until it does.
    Blocked,
    /// Refused for good; an operator decides.
    Dead,
    /// An operator, or the rule, let it go.
    Skipped,
    /// Home's rows were copied again.
    Resynced,
    /// Undone by declared SQL.
    Compensated,
}

/// What happens to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The queue took it.
    Published,
    /// Its transaction committed, or its inbox row was found.
    Applied,
    /// It failed.
    Failed {
        /// Kind of failure.
        class: FailureClass,
        /// What the rule does with what is dead.
        on_dead: OnDead,
        /// Attempts a transient failure has.
        attempts_max: i32,
    },
    /// An earlier event of the same key is dead or parked.
    KeyParked,
    /// Home's rows were copied.
    Resynced,
    /// An operator asks for another try, or the dead event it waited for is gone.
    Reopen,
    /// An operator lets it go.
    Skip,
    /// The compensation committed.
    Compensated,
}

/// A move that the life cycle does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IllegalTransition {
    /// The state.
    pub state: TargetState,
    /// What was asked of it.
    pub input: Input,
}

impl fmt::Display for IllegalTransition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a target that is {} cannot take {:?}", self.state.name(), self.input)
    }
}

impl std::error::Error for IllegalTransition {}

impl TargetState {
    /// Returns the word that the ledger keeps.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Published => "PUBLISHED",
            Self::Retry { .. } => "RETRY",
            Self::Applied => "APPLIED",
            Self::Parked => "PARKED",
            Self::Blocked => "BLOCKED",
            Self::Dead => "DEAD",
            Self::Skipped => "SKIPPED",
            Self::Resynced => "RESYNCED",
            Self::Compensated => "COMPENSATED",
        }
    }

    /// Reads what [`Self::name`] wrote.
    pub fn from_name(name: &str, attempts: i32) -> Option<Self> {
        Some(match name {
            "PENDING" => Self::Pending,
            "PUBLISHED" => Self::Published,
            "RETRY" => Self::Retry { attempts },
            "APPLIED" => Self::Applied,
            "PARKED" => Self::Parked,
            "BLOCKED" => Self::Blocked,
            "DEAD" => Self::Dead,
            "SKIPPED" => Self::Skipped,
            "RESYNCED" => Self::Resynced,
            "COMPENSATED" => Self::Compensated,
            _ => return None,
        })
    }

    /// Returns the attempts used up.
    pub fn attempts(self) -> i32 {
        match self {
            Self::Retry { attempts } => attempts,
            Self::Pending
            | Self::Published
            | Self::Applied
            | Self::Parked
            | Self::Blocked
            | Self::Dead
            | Self::Skipped
            | Self::Resynced
            | Self::Compensated => 0,
        }
    }

    /// Tells whether nothing more happens to it.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Applied | Self::Skipped | Self::Resynced | Self::Compensated => true,
            Self::Pending | Self::Published | Self::Retry { .. } | Self::Parked | Self::Blocked | Self::Dead => false,
        }
    }

    /// Tells whether somebody should look at it.
    pub fn wants_attention(self) -> bool {
        matches!(self, Self::Dead | Self::Blocked | Self::Parked)
    }
}

/// Returns the state after `input`.
///
/// # Errors
/// [`IllegalTransition`] where the life cycle knows no such move: terminal states take nothing.
pub fn next(state: TargetState, input: Input) -> Result<TargetState, IllegalTransition> {
    use TargetState::{Applied, Blocked, Compensated, Dead, Parked, Pending, Published, Resynced, Retry, Skipped};
    let illegal = Err(IllegalTransition { state, input });
    match (state, input) {
        (Applied, Input::Applied) => Ok(Applied),
        (Applied | Skipped | Resynced | Compensated, _) => illegal,
        (_, Input::Applied) => Ok(Applied),
        (_, Input::Skip) => Ok(Skipped),
        (_, Input::Resynced) => Ok(Resynced),
        (Dead | Parked | Blocked | Retry { .. }, Input::Reopen) => Ok(Pending),
        (Pending | Published, Input::Reopen) => Ok(state),
        (Pending | Retry { .. }, Input::Published) => Ok(Published),
        (Pending | Published | Retry { .. } | Blocked, Input::KeyParked) => Ok(Parked),
        (Pending | Published | Retry { .. } | Blocked, Input::Failed { class, on_dead, attempts_max }) => {
            Ok(after_failure(state, class, on_dead, attempts_max))
        }
        (Dead, Input::Compensated) => Ok(Compensated),
        (Dead | Parked, Input::Failed { .. } | Input::Published | Input::KeyParked)
        | (Published | Blocked, Input::Published)
        | (Pending | Published | Retry { .. } | Blocked | Parked, Input::Compensated) => illegal,
    }
}

fn after_failure(state: TargetState, class: FailureClass, on_dead: OnDead, attempts_max: i32) -> TargetState {
    let used = state.attempts();
    match class {
        FailureClass::Unreachable | FailureClass::Resources | FailureClass::Fenced => {
            TargetState::Retry { attempts: used }
        }
        FailureClass::SchemaDrift => TargetState::Blocked,
        FailureClass::Transient if used + 1 < attempts_max => TargetState::Retry { attempts: used + 1 },
        FailureClass::ForeignKey if used + 1 < FOREIGN_KEY_ATTEMPTS_MAX => TargetState::Retry { attempts: used + 1 },
        FailureClass::Transient | FailureClass::ForeignKey | FailureClass::Conflict | FailureClass::Refused => {
            match on_dead {
                OnDead::Skip => TargetState::Skipped,
                OnDead::ParkKey | OnDead::StopLane | OnDead::Resync | OnDead::Compensate => TargetState::Dead,
            }
        }
    }
}

/// A foreign key may only be a question of order: five tries, then it is dead.
pub const FOREIGN_KEY_ATTEMPTS_MAX: i32 = 5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn inputs() -> impl Strategy<Value = Input> {
        let class = prop_oneof![
            Just(FailureClass::Unreachable),
            Just(FailureClass::Transient),
            Just(FailureClass::Resources),
            Just(FailureClass::SchemaDrift),
            Just(FailureClass::ForeignKey),
            Just(FailureClass::Conflict),
            Just(FailureClass::Refused),
            Just(FailureClass::Fenced),
        ];
        let on_dead = prop_oneof![
            Just(OnDead::ParkKey),
            Just(OnDead::StopLane),
            Just(OnDead::Skip),
            Just(OnDead::Resync),
            Just(OnDead::Compensate),
        ];
        prop_oneof![
            Just(Input::Published),
            Just(Input::Applied),
            (class, on_dead).prop_map(|(class, on_dead)| Input::Failed { class, on_dead, attempts_max: 4 }),
            Just(Input::KeyParked),
            Just(Input::Resynced),
            Just(Input::Reopen),
            Just(Input::Skip),
            Just(Input::Compensated),
        ]
    }

    proptest! {
        #[test]
        fn terminal_states_stay_and_attempts_are_bounded(steps in proptest::collection::vec(inputs(), 0..60)) {
            let mut state = TargetState::Pending;
            for input in steps {
                let before = state;
                if let Ok(after) = next(state, input) {
                    state = after;
                }
                if before.is_terminal() {
                    prop_assert_eq!(before, state);
                }
                prop_assert!(state.attempts() < 5);
                prop_assert_eq!(TargetState::from_name(state.name(), state.attempts()), Some(state));
                // Whatever happened, it can still end: applied, or let go by an operator.
                prop_assert!(state.is_terminal() || next(state, Input::Applied) == Ok(TargetState::Applied));
                prop_assert!(state.is_terminal() || next(state, Input::Skip) == Ok(TargetState::Skipped));
            }
        }
    }

    #[test]
    fn an_unreachable_target_uses_up_no_attempt() {
        let failed = Input::Failed { class: FailureClass::Unreachable, on_dead: OnDead::ParkKey, attempts_max: 1 };
        assert_eq!(next(TargetState::Pending, failed), Ok(TargetState::Retry { attempts: 0 }));
    }

    #[test]
    fn the_last_transient_attempt_is_dead_and_the_one_before_is_not() {
        let failed = Input::Failed { class: FailureClass::Transient, on_dead: OnDead::ParkKey, attempts_max: 3 };
        assert_eq!(next(TargetState::Retry { attempts: 1 }, failed), Ok(TargetState::Retry { attempts: 2 }));
        assert_eq!(next(TargetState::Retry { attempts: 2 }, failed), Ok(TargetState::Dead));
    }

    #[test]
    fn a_skipped_target_cannot_be_retried() {
        assert!(next(TargetState::Skipped, Input::Reopen).is_err());
    }
}
