//! Which way statements took.

use serde::Serialize;

use crate::proxy::{Proxy, RouteFigures, RouteMode};

/// One statement on one way.
#[derive(Debug, Serialize)]
pub struct RouteView {
    /// The statement without its constants.
    pub statement: String,
    /// `direct`, `scatter`, `gather`, `multi_write`, `copy`, `everywhere` or `refused`.
    pub mode: &'static str,
    /// How often.
    pub count: u64,
    /// How many shards were asked, over all times.
    pub shards: u64,
    /// How many rows were answered or written; none for direct ones, whose rows pass uncounted.
    pub rows: Option<u64>,
    /// How long they took together, in milliseconds; none for direct ones, whose time is not taken.
    pub total_ms: Option<f64>,
    /// How long they took on average, in milliseconds.
    pub mean_ms: Option<f64>,
    /// How long the longest took, in milliseconds.
    pub max_ms: Option<f64>,
    /// Of refused ones, the last SQLSTATE.
    pub last_sqlstate: Option<String>,
    /// Of refused ones, the word for the last reason.
    pub last_reason: Option<&'static str>,
}

/// The columns of SHOW ROUTES.
pub const ROUTE_COLUMNS: &[&str] =
    &["statement", "mode", "count", "shards", "rows", "total_ms", "mean_ms", "max_ms", "last_sqlstate", "last_reason"];

/// Returns what was counted since the start or the last reset, the most frequent first.
pub fn routes(proxy: &Proxy) -> Vec<RouteView> {
    proxy.routes.list().into_iter().map(view).collect()
}

fn view(figures: RouteFigures) -> RouteView {
    let is_timed = !matches!(figures.mode, RouteMode::Direct | RouteMode::Refused);
    let ms = |micros: f64| is_timed.then_some(micros.round() / 1_000.0);
    let (last_reason, last_sqlstate) = figures.last_refusal.unzip();
    RouteView {
        statement: figures.fingerprint,
        mode: figures.mode.word(),
        count: figures.count,
        shards: figures.shards,
        rows: is_timed.then_some(figures.rows),
        total_ms: ms(figures.micros as f64),
        mean_ms: ms(figures.micros as f64 / figures.count.max(1) as f64),
        max_ms: ms(figures.micros_max as f64),
        last_sqlstate,
        last_reason,
    }
}
