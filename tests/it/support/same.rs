//! The differential test: what a client sees must not depend on the proxy.

use shardloom::dev::{APP_PASSWORD, APP_USER};

use super::database::TestDatabase;
use super::pipeline::Pipeline;
use super::proxy::Proxy;
use super::raw::{Event, RawClient, Reply};
use super::servers::servers;

/// One connection to the plain server and one to the same database through something else.
#[derive(Debug)]
pub struct Differential {
    pub plain: RawClient,
    pub other: RawClient,
}

impl Differential {
    /// Compares the plain server with `proxy`.
    pub fn through(proxy: &Proxy, database: &TestDatabase) -> Self {
        Self::between(servers().plain.port(), proxy.port(), &database.name)
    }

    /// Compares two ports.
    pub fn between(plain: u16, other: u16, database: &str) -> Self {
        let connect = |port| RawClient::connect(port, database, APP_USER, APP_PASSWORD);
        Self { plain: connect(plain), other: connect(other) }
    }

    /// Runs `sql` on both by a simple query and asserts that columns, rows, tags, errors (SQLSTATE and message) and
    /// the transaction status are equal; returns the plain server's reply. Rows are compared as a set unless the
    /// statement has an ORDER BY.
    pub fn same(&mut self, sql: &str) -> Reply {
        let (expected, found) = (self.plain.simple(sql), self.other.simple(sql));
        let ordered = sql.to_ascii_lowercase().contains("order by");
        assert_eq!(
            comparable(&found, ordered),
            comparable(&expected, ordered),
            "found (left) and expected differ: {sql}"
        );
        expected
    }

    /// Sends `pipeline` to both and asserts that all messages of `replies` replies are equal, in order.
    pub fn same_pipeline(&mut self, what: &str, pipeline: &Pipeline, replies: usize) -> Vec<Reply> {
        let (expected, found) = (pipeline.send(&mut self.plain, replies), pipeline.send(&mut self.other, replies));
        let plain = |replies: &[Reply]| replies.iter().map(|reply| comparable(reply, true)).collect::<Vec<_>>();
        assert_eq!(plain(&found), plain(&expected), "found (left) and expected differ: {what}");
        expected
    }

    /// Runs `sql` on both and asserts that both fail alike.
    pub fn same_error(&mut self, sql: &str) -> (String, String) {
        self.same(sql).error().unwrap_or_else(|| panic!("no error: {sql}"))
    }
}

/// Leaves out what may differ: notices, positions in source code, details and hints.
fn comparable(reply: &Reply, ordered: bool) -> Reply {
    let seen = reply.events.iter().filter_map(|event| match event {
        Event::Error(fields) => Some(Event::Error(
            fields.iter().filter(|(k, _)| matches!(k, 'S' | 'C' | 'M')).map(|(k, v)| (*k, v.clone())).collect(),
        )),
        Event::Notice(_) => None,
        Event::Columns(_) | Event::Row(_) | Event::Tag(_) | Event::Empty | Event::Parameters(_) | Event::Other(_) => {
            Some(event.clone())
        }
    });
    let mut events: Vec<Event> = seen.collect();
    if !ordered {
        sort_runs_of_rows(&mut events);
    }
    Reply { events, status: reply.status }
}

fn sort_runs_of_rows(events: &mut [Event]) {
    for run in events.chunk_by_mut(|a, b| matches!((a, b), (Event::Row(_), Event::Row(_)))) {
        run.sort_by(|a, b| match (a, b) {
            (Event::Row(a), Event::Row(b)) => a.cmp(b),
            _ => std::cmp::Ordering::Equal,
        });
    }
}
