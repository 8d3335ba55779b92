//! What the console's verbs do: orders to the pools, the end of clients and of the process.

use std::time::Duration;

use tokio::time::sleep;

use crate::proxy::{DrainPhase, EndCause, Proxy};
use crate::types::{Refusal, SqlState};

/// Pause between two looks whether server connections are back; each look is one lock.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Lends no connection any more and waits until those that are lent are back and closed. Without bound, as in PgBouncer:
/// a session that keeps its connection keeps the operator waiting. The pause holds from the beginning.
pub async fn pause(proxy: &Proxy, database: Option<&str>) -> Result<(), Refusal> {
    check(proxy, database)?;
    if !proxy.allowance.orders().pause(database) {
        return Err(wrong_state(database, "is already paused").with_hint("RESUME ends the pause."));
    }
    proxy.allowance.ring();
    wait(proxy, || proxy.allowance.open(database) == 0).await
}

/// Ends a pause.
pub fn resume(proxy: &Proxy, database: Option<&str>) -> Result<(), Refusal> {
    check(proxy, database)?;
    if !proxy.allowance.orders().resume(database) {
        return Err(wrong_state(database, "is not paused").with_hint("SHOW DATABASES says what is paused."));
    }
    proxy.allowance.ring();
    Ok(())
}

/// Has connections made anew, each as soon as it is not in use.
pub fn reconnect(proxy: &Proxy, database: Option<&str>) -> Result<(), Refusal> {
    check(proxy, database)?;
    proxy.allowance.orders().renew(database);
    proxy.allowance.ring();
    Ok(())
}

/// Waits until what RECONNECT outdated is closed.
pub async fn wait_close(proxy: &Proxy, database: Option<&str>) -> Result<(), Refusal> {
    check(proxy, database)?;
    wait(proxy, || proxy.allowance.is_settled(database)).await
}

/// Closes clients with what they have open, and pauses; without a database the console's clients stay.
pub fn kill(proxy: &Proxy, database: Option<&str>, console: &str) -> Result<(), Refusal> {
    check(proxy, database)?;
    proxy.allowance.orders().pause(database);
    proxy.allowance.ring();
    let clients = proxy.clients.list().into_iter();
    let meant = |name: &str| database.map_or(name != console, |database| name == database);
    clients.filter(|client| meant(&client.database)).for_each(|client| proxy.end_client(&client, EndCause::Killed));
    Ok(())
}

/// Closes one client.
pub fn kill_client(proxy: &Proxy, id: u64) -> Result<(), Refusal> {
    let client = proxy.clients.list().into_iter().find(|client| client.id == id);
    let client = client.ok_or_else(|| {
        Refusal::new(SqlState::UNDEFINED_OBJECT, format!("there is no client {id}"))
            .with_hint("SHOW CLIENTS has the numbers in the column id.")
    })?;
    proxy.end_client(&client, EndCause::Killed);
    Ok(())
}

/// Takes new clients of a database, or no more.
pub fn set_disabled(proxy: &Proxy, database: &str, disabled: bool) -> Result<(), Refusal> {
    check(proxy, Some(database))?;
    proxy.clients.set_disabled(database, disabled);
    Ok(())
}

async fn wait(proxy: &Proxy, done: impl Fn() -> bool) -> Result<(), Refusal> {
    while !done() {
        if proxy.drain.phase() >= DrainPhase::Draining {
            return Err(Refusal::new(SqlState::ADMIN_SHUTDOWN, "the proxy is shutting down"));
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Refuses a database that nobody can connect to.
fn check(proxy: &Proxy, database: Option<&str>) -> Result<(), Refusal> {
    let Some(name) = database else { return Ok(()) };
    let config = proxy.live.load();
    let rules = &proxy.rules.load().rules;
    if rules.database == name || config.passthrough.serves(name) || config.database(name).is_some() {
        return Ok(());
    }
    Err(Refusal::new(SqlState::INVALID_CATALOG_NAME, format!("no such database: {name}"))
        .with_hint("SHOW DATABASES lists them."))
}

fn wrong_state(database: Option<&str>, what: &str) -> Refusal {
    let subject = database.map_or("the proxy".to_owned(), |name| format!("database \"{name}\""));
    Refusal::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("{subject} {what}"))
}
