//! Connections to the shards with the service role. Knows pools and errors, no table.

use std::sync::OnceLock;
use std::time::Duration;

use deadpool_postgres::{GenericClient, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts};
use tokio::runtime::Handle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{NoTls, Row};

use super::error::Error;
use super::settings::{OutboxSettings, ShardEndpoint};
use crate::types::ShardId;

/// Longest wait for a TCP connection and its authentication: a busy server may take a second or two for them, and one that
/// comes back answers the next packet, which the system repeats after 1 and 3 s.
const CONNECT_WAIT: Duration = Duration::from_secs(4);

/// Longest wait for a free connection of the pool.
const CHECKOUT_WAIT: Duration = Duration::from_secs(10);

/// Longest that a shard's host may leave bytes or keepalives unacknowledged: a host that is gone says nothing.
const SILENCE_MAX: Duration = Duration::from_secs(9);

/// Keepalives in that time.
const KEEPALIVES: u32 = 3;

/// Settings of every connection: names are always qualified, values read back as `shardloom.capture` writes them, and what
/// a process that stands still has locked is free again for the lanes' next owner after a while.
const SESSION: &str = "-c search_path=pg_catalog -c default_transaction_isolation=read\\ committed \
     -c synchronous_commit=on -c DateStyle=ISO,YMD -c IntervalStyle=postgres -c TimeZone=UTC \
     -c extra_float_digits=1 -c bytea_output=hex -c lc_monetary=C -c idle_in_transaction_session_timeout=10s";

/// One pool per shard.
#[derive(Debug)]
pub(super) struct Store {
    pools: Vec<Pool>,
    names: Vec<String>,
    /// The outbox's own runtime: connections live there, whoever asks for them.
    runtime: OnceLock<Handle>,
}

impl Store {
    pub fn new(settings: &OutboxSettings) -> Self {
        let pools = settings.shards.iter().map(|shard| pool(settings, shard)).collect();
        let names = settings.shards.iter().map(|shard| shard.name.clone()).collect();
        Self { pools, names, runtime: OnceLock::new() }
    }

    /// Returns the shard's name.
    pub fn name(&self, shard: ShardId) -> &str {
        &self.names[shard.index()]
    }

    /// Returns the names in topology order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the shard with that name.
    pub fn id(&self, name: &str) -> Option<ShardId> {
        self.names.iter().position(|known| known == name).map(|index| ShardId(index as u16))
    }

    /// Iterates over all shards.
    pub fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.names.len() as u16).map(ShardId)
    }

    /// Returns a connection.
    ///
    /// # Errors
    /// [`Error::Unreachable`] within [`CONNECT_WAIT`] + [`CHECKOUT_WAIT`].
    pub async fn connect(&self, shard: ShardId) -> Result<Object, Error> {
        let pool = self.pools[shard.index()].clone();
        let elsewhere = self.runtime.get().filter(|own| Handle::current().id() != own.id());
        let got = match elsewhere {
            None => pool.get().await.map_err(|error| error.to_string()),
            Some(own) => match own.spawn(async move { pool.get().await }).await {
                Ok(got) => got.map_err(|error| error.to_string()),
                Err(gone) => Err(format!("the outbox has stopped: {gone}")),
            },
        };
        got.map_err(|reason| Error::Unreachable { shard: self.name(shard).to_owned(), reason })
    }

    /// Closes the connections to `shard` that nobody uses, after one of them was given up half-way.
    pub fn forget(&self, shard: ShardId) {
        self.pools[shard.index()].retain(|_, _| false);
    }

    /// Runs `work` for at most `most`; longer counts as a shard that is away, and its connections are not used again.
    ///
    /// # Errors
    /// [`Error::Unreachable`] then, else those of `work`.
    pub async fn within<T>(
        &self,
        shard: ShardId,
        most: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        // In the heap: what is given up half-way is dropped before its connections are forgotten.
        match tokio::time::timeout(most, Box::pin(work)).await {
            Ok(done) => done,
            Err(_) => {
                self.forget(shard);
                let reason = format!("no answer within {most:?}");
                Err(Error::Unreachable { shard: self.name(shard).to_owned(), reason })
            }
        }
    }

    /// Says that the calling thread's runtime is the outbox's own.
    pub fn settle_here(&self) {
        // A second `run` keeps the first one's runtime.
        let _ = self.runtime.set(Handle::current());
    }

    /// Names the shard in a driver's error.
    pub fn at(&self, shard: ShardId) -> impl Fn(tokio_postgres::Error) -> Error + use<> {
        let name = self.name(shard).to_owned();
        move |source| Error::Shard { shard: name.clone(), source }
    }
}

/// Runs a query that its connection prepares once: for texts that are always the same.
pub(super) async fn query_prepared(
    client: &impl GenericClient,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let statement = client.prepare_cached(sql).await?;
    client.query(&statement, values).await
}

/// As [`query_prepared`]; returns the number of rows that were written.
pub(super) async fn execute_prepared(
    client: &impl GenericClient,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<u64, tokio_postgres::Error> {
    let statement = client.prepare_cached(sql).await?;
    client.execute(&statement, values).await
}

/// Tells whether the driver's error came from the connection rather than from a value.
pub(super) fn is_io(error: &tokio_postgres::Error) -> bool {
    use std::error::Error as _;
    error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>())
}

fn pool(settings: &OutboxSettings, shard: &ShardEndpoint) -> Pool {
    let mut config = tokio_postgres::Config::new();
    config
        .host(&shard.host)
        .port(shard.port)
        .dbname(&shard.database)
        .user(&settings.user)
        .application_name("shardloom outbox")
        .connect_timeout(CONNECT_WAIT)
        .tcp_user_timeout(SILENCE_MAX)
        .keepalives_idle(SILENCE_MAX / KEEPALIVES)
        .keepalives_interval(SILENCE_MAX / KEEPALIVES)
        .keepalives_retries(KEEPALIVES)
        .options(SESSION);
    if !settings.password.is_empty() {
        config.password(&settings.password);
    }
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = match settings.connector.for_library(&mut config) {
        Some(tls) => Manager::from_config(config, tls, recycling),
        None => Manager::from_config(config, NoTls, recycling),
    };
    Pool::builder(manager)
        .max_size(settings.bounds.connections)
        .timeouts(Timeouts { wait: Some(CHECKOUT_WAIT), create: Some(CONNECT_WAIT), recycle: Some(CONNECT_WAIT) })
        .runtime(Runtime::Tokio1)
        .build()
        .expect("a runtime is given, which is all that the builder asks for")
}
