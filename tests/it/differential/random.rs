//! Random statements.
