//! A lock wait that the proxy itself had bounded: over shards that is how a deadlock shows, and it is told as one.

use bytes::{Bytes, BytesMut};

use crate::backend::Server;
use crate::types::{Refusal, SqlState};
use crate::wire::backend::{self, ErrorFields};

/// PostgreSQL's routine that tells of a wait that took too long.
const TIMED_OUT: &str = "ProcessInterrupts";

/// Returns the ErrorResponse that the client gets for `frame`: `40P01` with shard and relation in place of a lock
/// time-out that this transaction has because it writes on several shards, else the same.
pub fn explained(server: &Server, frame: Bytes) -> Bytes {
    if !server.lock_bounded {
        return frame;
    }
    told(&server.target().shard_name, &frame).unwrap_or(frame)
}

/// Returns what takes the place of `frame` where the lock waits on `shard` are bounded; `None` for any other error.
pub(super) fn told(shard: &str, frame: &[u8]) -> Option<Bytes> {
    let refusal = refusal(shard, frame)?;
    let mut told = BytesMut::new();
    backend::write_error(&mut told, "ERROR", &refusal);
    Some(told.freeze())
}

fn refusal(shard: &str, frame: &[u8]) -> Option<Refusal> {
    let fields = ErrorFields::read(frame.get(5..)?).ok()?;
    if fields.get(b'C')? != SqlState::LOCK_NOT_AVAILABLE.code() {
        return None;
    }
    // What NOWAIT finds locked is told by whoever wanted the lock.
    if fields.get(b'R').is_some_and(|routine| routine != TIMED_OUT) {
        return None;
    }
    let message = fields.get(b'M').unwrap_or("lock timeout");
    let context = fields.get(b'W').unwrap_or("no relation was named");
    Some(
        Refusal::new(SqlState::DEADLOCK_DETECTED, "a lock wait in a transaction over several shards took too long")
            .with_detail(format!("Shard \"{shard}\": {message}, {context}."))
            .with_hint("Two transactions may be waiting for each other on different shards. Try again."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(state: SqlState) -> BytesMut {
        let mut frame = BytesMut::new();
        backend::write_error(&mut frame, "ERROR", &Refusal::new(state, "canceling statement due to lock timeout"));
        frame
    }

    #[test]
    fn only_a_lock_time_out_is_a_deadlock() {
        let told = refusal("s1", &frame(SqlState::LOCK_NOT_AVAILABLE)).unwrap();
        assert_eq!(told.state, SqlState::DEADLOCK_DETECTED);
        assert!(told.detail.unwrap().starts_with("Shard \"s1\": canceling"));
        assert!(refusal("s1", &frame(SqlState::QUERY_CANCELED)).is_none());
        assert!(refusal("s1", b"E\0\0\0\x04").is_none());
        let locked = |routine| {
            let mut frame = BytesMut::new();
            let fields = [(b'S', "ERROR"), (b'C', "55P03"), (b'M', "could not obtain lock"), (b'R', routine)];
            backend::write_error_fields(&mut frame, b'E', &fields);
            refusal("s1", &frame).is_some()
        };
        assert_eq!((locked("heapam_tuple_lock"), locked("ProcessInterrupts")), (false, true));
    }
}
