//! Once a second, all clients are looked over for the time limits of `limits`: no timer runs per statement.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::config::Limits;
use crate::proxy::{ClientInfo, ClientState, EndCause, Proxy};

/// The pace, and so how late a limit may be noticed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a client has to end once it is asked to, before its connections are closed under it: long enough for a
/// server to answer a cancel request.
const CUT_AFTER_MS: i64 = 5_000;

/// Looks until cancelled.
pub async fn keep_limits(proxy: Arc<Proxy>) {
    let mut pace = interval(LOOK_EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        let config = proxy.live.load();
        let now_ms = proxy.now_ms();
        for client in proxy.clients.list() {
            look(&proxy, &config.limits, &client, now_ms);
        }
    }
}

fn look(proxy: &Proxy, limits: &Limits, client: &ClientInfo, now_ms: i64) {
    if client.ended_ms > 0 {
        if now_ms - client.ended_ms >= CUT_AFTER_MS {
            warn!(client = client.id, user = client.user, "a client that did not end in time is cut");
            proxy.clients.cut(client.id);
        }
        return;
    }
    let Some(cause) = exceeded(limits, client, now_ms) else { return };
    info!(client = client.id, user = client.user, database = client.database, ?cause, "a client is over its limit");
    proxy.end_client(client, cause);
}

/// Returns the limit that a client is over.
fn exceeded(limits: &Limits, client: &ClientInfo, now_ms: i64) -> Option<EndCause> {
    let over = |limit: Duration, since_ms: i64| !limit.is_zero() && now_ms - since_ms > limit.as_millis() as i64;
    let busy = client.state != ClientState::Idle;
    if busy && over(limits.transaction_timeout, client.busy_ms) {
        return Some(EndCause::TransactionTimeout);
    }
    match client.state {
        ClientState::Idle => over(limits.client_idle_timeout, client.since_ms).then_some(EndCause::IdleTimeout),
        ClientState::Active => over(limits.query_timeout, client.since_ms).then_some(EndCause::QueryTimeout),
        // `pool.wait` bounds it.
        ClientState::Waiting => None,
        ClientState::IdleInTransaction => {
            over(limits.idle_transaction_timeout, client.since_ms).then_some(EndCause::IdleInTransactionTimeout)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PoolMode;
    use crate::proxy::Pinned;

    fn client(state: ClientState, since_ms: i64, busy_ms: i64) -> ClientInfo {
        ClientInfo {
            id: 1,
            user: "app".to_owned(),
            database: "shop".to_owned(),
            address: None,
            connected_ms: 0,
            state,
            since_ms,
            busy_ms,
            pinned: Pinned::No,
            mode: PoolMode::Transaction,
            process: 1,
            ended_ms: 0,
            statements: 0,
        }
    }

    #[test]
    fn each_limit_holds_at_its_last_millisecond_and_not_after() {
        let second = Duration::from_secs(1);
        let cases = [
            (Limits { client_idle_timeout: second, ..Limits::default() }, ClientState::Idle, EndCause::IdleTimeout),
            (Limits { query_timeout: second, ..Limits::default() }, ClientState::Active, EndCause::QueryTimeout),
            (
                Limits { idle_transaction_timeout: second, ..Limits::default() },
                ClientState::IdleInTransaction,
                EndCause::IdleInTransactionTimeout,
            ),
            (
                Limits { transaction_timeout: second, ..Limits::default() },
                ClientState::IdleInTransaction,
                EndCause::TransactionTimeout,
            ),
        ];
        for (limits, state, cause) in cases {
            assert_eq!(exceeded(&limits, &client(state, 1_000, 1_000), 2_000), None, "{state:?}");
            assert_eq!(exceeded(&limits, &client(state, 1_000, 1_000), 2_001), Some(cause), "{state:?}");
            assert_eq!(exceeded(&Limits::default(), &client(state, 0, 0), i64::MAX), None, "{state:?}");
        }
    }
}
