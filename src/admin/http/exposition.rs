//! `/metrics`: the process's metrics, and gauges of what is only known elsewhere: rules, shards, readiness.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use crate::admin::views;
use crate::outbox::LaneLag;
use crate::proxy::Proxy;

/// The line that ends OpenMetrics text.
const END: &str = "# EOF\n";

/// Returns everything as OpenMetrics text.
pub fn text(proxy: &Proxy) -> String {
    let mut text = proxy.metrics.encode();
    if text.ends_with(END) {
        text.truncate(text.len() - END.len());
    }
    let ready = views::ready(proxy);
    gauge(&mut text, "shardloom_ready", "Whether traffic should come here", &[("", i64::from(ready.ready))]);
    let generation = i64::try_from(proxy.rules.generation()).unwrap_or(i64::MAX);
    gauge(&mut text, "shardloom_rules_generation", "Swaps of rules and catalogs so far", &[("", generation)]);
    let refused = i64::from(ready.last_reload_error.is_some());
    gauge(&mut text, "shardloom_rules_refused", "Whether the last reload of the rules was refused", &[("", refused)]);
    let shards = views::shards(proxy);
    let up: Vec<(&str, i64)> =
        shards.iter().map(|shard| (shard.name.as_str(), i64::from(shard.state == "up"))).collect();
    gauge(&mut text, "shardloom_shard_up", "Whether the shard answers", &up);
    let differ: Vec<(&str, i64)> =
        shards.iter().map(|shard| (shard.name.as_str(), shard.differs.len() as i64)).collect();
    let help = "What of the rules' tables is otherwise on the shard than on the first that has them";
    gauge(&mut text, "shardloom_schema_differences", help, &differ);
    pools(&mut text, proxy, &shards);
    outbox(&mut text, proxy);
    text.push_str(END);
    text
}

/// Adds the pools' figures by shard, over all workers, databases and users; at most a second old.
fn pools(text: &mut String, proxy: &Proxy, shards: &[views::ShardView]) {
    let pools = views::pools(proxy);
    let of = |figure: fn(&views::PoolView) -> i64| -> Vec<(&str, i64)> {
        let sum = |shard: &str| pools.iter().filter(|pool| pool.shard == shard).map(figure).sum();
        shards.iter().map(|shard| (shard.name.as_str(), sum(&shard.name))).collect()
    };
    let lent = of(|pool| pool.active as i64);
    gauge(text, "shardloom_server_connections_active", "Connections to the shard lent to clients", &lent);
    let idle = of(|pool| pool.idle as i64);
    gauge(text, "shardloom_server_connections_idle", "Connections to the shard at rest", &idle);
    let waiting = of(|pool| pool.waiting as i64);
    gauge(text, "shardloom_pool_waiting_clients", "Clients that wait for a connection to the shard", &waiting);
}

/// Adds how far the other shards are behind the homes whose relay this proxy owns, and what was refused or is in doubt.
fn outbox(text: &mut String, proxy: &Proxy) {
    let lags = proxy.outbox.lane_lags();
    for (name, help, figure) in [
        ("shardloom_lane_pending", "Transactions that wait on the lane", (|lag| lag.pending) as fn(&LaneLag) -> u64),
        ("shardloom_lane_oldest_pending_ms", "Age of the oldest that waits on the lane", |lag| lag.oldest_ms),
    ] {
        family(text, name, help, "gauge");
        for lag in &lags {
            let (home, target) = (escape(&lag.home), escape(&lag.target));
            line(text, format_args!("{name}{{home=\"{home}\",target=\"{target}\"}} {}", figure(lag)));
        }
    }
    family(text, "shardloom_ledger_bytes", "Bytes of ledger and outbox on the home", "gauge");
    for (home, bytes) in proxy.outbox.ledger_bytes() {
        line(text, format_args!("shardloom_ledger_bytes{{home=\"{}\"}} {bytes}", escape(&home)));
    }
    let help = "Transactions whose home has not said yet what became of them";
    gauge(text, "shardloom_outbox_in_doubt", help, &[("", proxy.outbox.doubtful() as i64)]);
    let metrics = proxy.outbox.metrics();
    for (name, help, counter) in [
        ("shardloom_outbox_fence_refusals", "Times that another relay had taken a lane over", &metrics.fence_refusals),
        (
            "shardloom_outbox_prepared_decided",
            "Prepared transactions that recovery has ended",
            &metrics.prepared_decided,
        ),
        ("shardloom_outbox_compensated", "Transactions taken back by their undo statements", &metrics.compensated),
        (
            "shardloom_outbox_compensation_failures",
            "Tries to take a transaction back that failed",
            &metrics.compensations_failed,
        ),
        ("shardloom_outbox_orphans", "Writes of reference tables that went around the proxy", &metrics.orphans),
    ] {
        family(text, name, help, "counter");
        line(text, format_args!("{name}_total {}", counter.load(Ordering::Relaxed)));
    }
}

fn family(text: &mut String, name: &str, help: &str, kind: &str) {
    line(text, format_args!("# HELP {name} {help}.\n# TYPE {name} {kind}"));
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("writing into a string cannot fail");
}

/// Adds one family; a sample with a name gets it as the label `shard`.
fn gauge(text: &mut String, name: &str, help: &str, samples: &[(&str, i64)]) {
    let mut write = || {
        writeln!(text, "# HELP {name} {help}.\n# TYPE {name} gauge")?;
        for (shard, value) in samples {
            match *shard {
                "" => writeln!(text, "{name} {value}")?,
                shard => writeln!(text, "{name}{{shard=\"{}\"}} {value}", escape(shard))?,
            }
        }
        Ok::<(), std::fmt::Error>(())
    };
    write().expect("writing into a string cannot fail");
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_its_type_and_a_label_per_shard() {
        let mut text = String::new();
        gauge(&mut text, "x", "Help", &[("s0", 1), ("a\"b", 0)]);
        assert_eq!(text, "# HELP x Help.\n# TYPE x gauge\nx{shard=\"s0\"} 1\nx{shard=\"a\\\"b\"} 0\n");
    }
}
