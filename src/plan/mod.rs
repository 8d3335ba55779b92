//! Statement × rules × parameters → [`Plan`]. Pure: no socket, file, clock or environment.
//!
//! `prepare` reads a statement once; `Prepared::plan` is asked at every execution with the values at hand.

mod plan_types;

pub use plan_types::{
    CopyPlan, Direct, Freeze, FreezeKind, MultiWrite, ParameterSource, Part, Plan, Redo, ReturningOrder, Scatter,
    Statement, WriteEffect,
};
