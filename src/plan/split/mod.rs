//! Split tables: statements name the logical table, servers have the physical ones.
//!
//! Plans are made over logical names; what is here comes after. `places` finds where a text names split tables, `uses`
//! which slots each of them needs, `physical` puts the physical tables' names in, `schema` does so for DDL.

mod copy;
mod merged;
mod object;
mod physical;
mod places;
mod schema;
mod uses;

use super::insert::quoted;
pub(super) use copy::{copy_in, copy_out};
pub(super) use physical::Splits;
pub(super) use places::{named, physical_tables};
pub(super) use schema::plan as plan_schema;
