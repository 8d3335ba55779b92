//! A database of one test, on every shared server.

use std::sync::atomic::{AtomicU32, Ordering};

use shardloom::dev::{APP_USER, Cluster, create_database};
use tokio_postgres::Client;

use super::client::{connect, connect_as};
use super::servers::servers;

/// An empty database of the same name on the three shards and the plain server, dropped at the end of the test.
#[derive(Debug)]
pub struct TestDatabase {
    pub name: String,
}

impl TestDatabase {
    /// Makes the database; `label` shows up in its name.
    pub fn new(label: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t_{label}_{}_{count}", std::process::id());
        on_each_server(|cluster| create_database(cluster, &name, APP_USER).unwrap_or_else(|error| panic!("{error}")));
        Self { name }
    }

    /// Connects the application's user to the plain server.
    pub async fn plain(&self) -> Client {
        connect(servers().plain.port(), &self.name).await
    }

    /// Connects the application's user to shard `index` directly, past any proxy.
    pub async fn shard(&self, index: usize) -> Client {
        connect(servers().shards[index].port(), &self.name).await
    }

    /// Connects the service user (a superuser) to shard `index` directly.
    pub async fn service(&self, index: usize) -> Client {
        let shard = &servers().shards[index];
        let (user, password) = shard.superuser();
        connect_as(shard.port(), &self.name, user, password).await.expect("the service user")
    }

    /// Returns the Topology file of this database over the three shards, home `s0`.
    pub fn topology(&self) -> String {
        let ports: Vec<u16> = servers().shards.iter().map(Cluster::port).collect();
        let shard = |index: usize| {
            format!("  s{index}: {{primary: \"127.0.0.1:{}\", database: {}}}\n", ports[index], self.name)
        };
        format!(
            "kind: Topology\ndatabase: {}\nbuckets: 4096\nshards:\n{}{}{}placement:\n  s0: [\"0-1364\"]\n  s1: [\"1365-2729\"]\n  s2: [\"2730-4095\"]\nhome: s0\n",
            self.name,
            shard(0),
            shard(1),
            shard(2)
        )
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let name = &self.name;
        on_each_server(|cluster| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let (user, password) = cluster.superuser();
                let client = connect_as(cluster.port(), "postgres", user, password).await;
                // A server that the test took down keeps its copy; the next run does not mind.
                if let Ok(client) = client {
                    client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.ok();
                }
            });
        });
    }
}

/// Calls `work` for every shared server at the same time, on threads without a runtime.
fn on_each_server(work: impl Fn(&'static Cluster) + Sync) {
    std::thread::scope(|scope| {
        for cluster in servers().all() {
            let work = &work;
            scope.spawn(move || work(cluster));
        }
    });
}
