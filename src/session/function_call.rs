//! FunctionCall: libpq's large objects come by it, psql's `\lo_import` too.
//!
//! An oid names the same function everywhere only if it is PostgreSQL's own. So a sharded database serves the functions
//! for large objects, which live on home; an unsharded database serves all, by the relay.

use bytes::Bytes;

use crate::execute::{ClientError, Failure};
use crate::types::{Refusal, SqlState};
use crate::wire::frontend;

use super::conversation::Session;

/// `pg_proc.dat`: lo_create, loread, lo_open … lo_tell, lo_unlink, lo_truncate, their 64-bit forms, and
/// lo_from_bytea, lo_get, lo_put.
const LARGE_OBJECTS: [u32; 17] =
    [715, 952, 953, 954, 955, 956, 957, 958, 964, 1004, 3170, 3171, 3172, 3457, 3458, 3459, 3460];
impl Session {
    /// Takes a FunctionCall and answers it, ReadyForQuery included.
    pub(super) async fn function_call(&mut self, body: &Bytes) -> Result<(), ClientError> {
        // What stands before it in the pipeline is one transaction with it no more, as with a Query.
        if !self.finish_pipeline().await? {
            return Ok(());
        }
        if let Err(failure) = self.call_function(body).await {
            self.tell(failure)?;
        }
        self.end_implicit().await?;
        self.ready();
        Ok(())
    }

    async fn call_function(&mut self, body: &Bytes) -> Result<(), Failure> {
        self.refuse_if_failed()?;
        let oid = frontend::called_function(body).map_err(Refusal::from)?;
        if !LARGE_OBJECTS.contains(&oid) {
            return Err(over_shards(oid).into());
        }
        self.link.function_call(body).await
    }
}

fn over_shards(oid: u32) -> Refusal {
    Refusal::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("the function with oid {oid} cannot be called by a FunctionCall message in a sharded database"),
    )
    .with_detail("Only functions for large objects can: they live on the home shard.")
    .with_hint("Call the function with SELECT.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_functions_of_large_objects_are_called() {
        assert!(LARGE_OBJECTS.is_sorted() && LARGE_OBJECTS.contains(&952));
        assert_eq!(over_shards(1).state.code(), "0A000");
    }
}
