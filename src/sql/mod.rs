//! Text → facts: PostgreSQL's lexical rules, skeletons, session and utility statements, and what a statement touches.
//!
//! The only module that names the parser crate. It decides nothing about shards: `plan` does.

mod aggregates;
mod argument;
mod block;
mod clauses;
mod collation;
mod condition;
mod control;
mod copy;
mod cursor;
mod database_name;
mod ddl;
mod decode;
mod delta;
mod do_block;
mod explain;
mod facts;
mod filled;
mod filter;
mod fingerprint;
mod from;
mod hint;
pub mod insert;
mod keys_made;
mod ledger_call;
mod listed;
mod lock_clause;
mod mask;
mod merge;
mod name;
mod named;
mod nested;
pub mod next_id;
mod next_ids;
mod outputs;
mod place;
mod plainer;
mod prepared_name;
mod present;
mod queries;
mod read;
mod reserved;
mod scan;
mod scope;
mod set;
mod shift;
mod splice;
mod split;
mod table_command;
#[cfg(test)]
mod tests;
mod together;
mod update;
mod utility;
#[cfg(test)]
mod utility_tests;

pub use aggregates::{UnsureAggregate, is_aggregate_name};
pub use argument::{Argument, argument};
pub use collation::collates_by_bytes;
pub use control::{Control, Discard, Isolation, SetScope, Setting, control};
pub use copy::{CopyDirection, CopyFormat, CopyHead, CopyOptions, ForceColumns};
pub use database_name::{deserted_database, redefined_defaults};
pub use ddl::index_name;
pub use delta::{Amount, Delta, DeltaKey};
pub use do_block::{Changes, schema_changes};
pub use explain::{ExplainFormat, explain_as_json};
pub use facts::{
    Binding, Block, Bound, Column, Count, Edge, Facts, Item, OrderItem, Relation, RelationIndex, Scope, Shape, Slot,
    SlotCast, SlotSource, StatementKind,
};
pub use filled::{Filled, Filling, How, depths, filling};
pub use filter::{Alternatives, Condition, ConditionPart, Filter, Filters, filters};
pub use fingerprint::fingerprint;
pub use hint::{Hint, Keyed, hint_comment, hint_of, hints, keyed};
pub use keys_made::{ForeignKey, foreign_keys, unique_keys};
pub use ledger_call::{LedgerCall, LedgerFunction};
pub use lock_clause::lock_clause;
pub use mask::{Literal, LiteralKind, Skeleton, literal_value, literals, mask};
pub use merge::{ConstantColumn, MergeCell, MergeFacts, MergeInsert, merge, merge_source};
pub use name::{TableName, identifier};
pub use named::columns_named;
pub use nested::{InsertedRows, InsertedValue, Passed, Write};
pub use next_ids::{IdArgument, NextIds};
pub use prepared_name::{names_statement, prepared_name};
pub use present::{names_the_present, speaks_of_the_present};
pub use queries::{NamedColumn, QueryNames, query_names, subqueries};
pub use read::{Unreadable, read};
pub use scan::{Scanner, Token, TokenKind};
pub use set::transaction_defaults;
pub use shift::Shift;
pub use splice::splice;
pub use split::split;
pub use table_command::without_table_commands;
pub use update::{UpdateClauses, update_clauses};
pub use utility::{Ddl, DdlObject, DdlVerb, Utility, utility};
