//! What the servers' catalogs say: columns, constraints, triggers, volatility of functions. Pure: upper floors run
//! [`CATALOG_QUERY`] and hand the rows to [`Catalog::from_rows`].

mod adopt;
mod differences;
mod load;
mod routine;
mod types;
mod volatility;

pub use differences::{SCHEMA_QUERY, SchemaDifference, SchemaRow, schema_differences};
pub use load::{CATALOG_QUERY, CatalogError};
pub use routine::{Routine, body_words, is_of_one_server, may_make_temporary};
pub use types::{Catalog, Check, Column, ForeignKey, Referring, Table, TableKind};
pub use volatility::Volatility;
