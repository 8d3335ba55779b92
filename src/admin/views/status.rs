//! Everything on one page, with what to do next.

use serde::Serialize;

use super::ddl::{ddl, unfinished};
use super::{PoolView, ReadyView, ShardView, dead_letters, lanes, pools, ready, shards};
use crate::outbox::LaneRow;
use crate::proxy::Proxy;

/// The page of `shardloom status`.
#[derive(Debug, Serialize)]
pub struct StatusView {
    /// The program's version.
    pub version: &'static str,
    /// Seconds since start.
    pub uptime_s: u64,
    /// Whether `/readyz` says yes.
    pub ready: bool,
    /// Why not.
    pub reasons: Vec<String>,
    /// The fingerprint of the rules in force.
    pub rules_version: String,
    /// Rises with every swap of the rules.
    pub generation: u64,
    /// Where the rules came from.
    pub rules_source: String,
    /// Connected clients.
    pub clients: usize,
    /// Shards in the order of the topology.
    pub shards: Vec<ShardView>,
    /// Server connections.
    pub pools: Vec<PoolView>,
    /// Lanes home to target.
    pub lanes: Vec<LaneRow>,
    /// Transactions that wait for a target, over the homes that answer.
    pub backlog: i64,
    /// What could not be replayed, over the homes that answer.
    pub dead_letters: usize,
    /// Numbers of statements that ran shard by shard and are not done on every shard.
    pub unfinished_ddl: Vec<i64>,
    /// What to do next, most urgent first; empty when all is well.
    pub next: Vec<String>,
}

/// Gathers the page. A home that does not answer leaves gaps and a line in `next`, no failure.
pub async fn status(proxy: &Proxy) -> StatusView {
    let snapshot = proxy.rules.load();
    let readiness = ready(proxy);
    let lanes = lanes(proxy).await;
    let dead_letters = dead_letters(proxy).await.len();
    let ddl = ddl(proxy).await.unwrap_or_default();
    let unfinished = unfinished(&ddl);
    StatusView {
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: proxy.uptime().as_secs(),
        next: next_steps(&readiness, proxy.schemas.list().len(), &lanes, dead_letters, &unfinished),
        unfinished_ddl: unfinished.iter().map(|(id, _)| *id).collect(),
        ready: readiness.ready,
        reasons: readiness.reasons,
        rules_version: snapshot.rules.version.clone(),
        generation: snapshot.generation,
        rules_source: snapshot.source.clone(),
        clients: proxy.clients.admitted(),
        shards: shards(proxy),
        pools: pools(proxy),
        backlog: lanes.iter().map(|lane| lane.pending).sum(),
        lanes,
        dead_letters,
    }
}

fn next_steps(
    readiness: &ReadyView,
    differences: usize,
    lanes: &[LaneRow],
    dead_letters: usize,
    unfinished: &[(i64, Vec<&str>)],
) -> Vec<String> {
    let mut steps = Vec::new();
    for shard in &readiness.shards_down {
        steps.push(format!("start the server of shard {shard}; its statements fail with 08001 or 08006 until then"));
    }
    for lane in lanes.iter().filter(|lane| lane.state == "blocked") {
        steps.push(format!("lane {} to {} is blocked: compare the tables with check --live", lane.home, lane.target));
    }
    for lane in lanes.iter().filter(|lane| lane.state == "paused") {
        let (home, target) = (&lane.home, &lane.target);
        steps.push(format!(
            "lane {home} to {target} is paused, with {} waiting: shardloom targets ls says why, targets resume {target}",
            lane.pending
        ));
    }
    if dead_letters > 0 {
        steps.push(format!("look at {dead_letters} dead letters: shardloom dead-letters, then ledger retry or skip"));
    }
    if differences > 0 {
        steps
            .push(format!("the shards' tables differ in {differences} places: SHOW SHARDS and check --live list them"));
    }
    for (id, shards) in unfinished {
        let shards = shards.join(", ");
        steps.push(format!(
            "statement {id} is not done on {shards}: SHOW DDL says why; run it again, or FORGET DDL {id}"
        ));
    }
    if let Some(error) = &readiness.last_reload_error {
        steps.push(format!("mend the rules, the last good ones are in force: {error}"));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane() -> LaneRow {
        LaneRow {
            home: "s0".to_owned(),
            target: "s1".to_owned(),
            pending: 3,
            oldest_ms: 0,
            last_commit_seq: 0,
            dead: 0,
            parked: 0,
            state: "ok".to_owned(),
            gate_open: true,
            owner: None,
        }
    }

    #[test]
    fn nothing_to_do_when_all_is_well_and_the_most_urgent_comes_first_otherwise() {
        let mut readiness = ReadyView { ready: true, reasons: vec![], shards_down: vec![], last_reload_error: None };
        assert!(next_steps(&readiness, 0, &[], 0, &[]).is_empty());
        readiness.shards_down.push("s1".to_owned());
        readiness.last_reload_error = Some("x.yaml:1:1: no".to_owned());
        let steps = next_steps(&readiness, 1, &[], 2, &[(7, vec!["s1", "s2"])]);
        assert_eq!(steps.len(), 5);
        let paused = LaneRow { state: "paused".to_owned(), ..lane() };
        assert!(next_steps(&readiness, 0, &[paused], 0, &[])[1].contains("s0 to s1 is paused, with 3 waiting"));
        assert!(steps[0].contains("s1") && steps[1].contains("2 dead letters") && steps[4].contains("x.yaml:1:1"));
        assert!(steps[2].contains("differ in 1 places") && steps[3].contains("statement 7 is not done on s1, s2"));
    }
}
