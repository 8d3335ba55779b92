//! All servers of one `shardloom dev`.

use std::path::{Path, PathBuf};

use super::account::Account;
use super::cluster::{Cluster, ClusterOptions, Durability, Started};
use super::error::Error;
use super::example::{APP_PASSWORD, APP_USER, SERVICE_USER};
use super::install::find_or_install;
use super::postgres::Postgres;
use super::provision::{Provision, recreate_database};
use super::scratch::DataFolder;
use super::settings::ServerOption;
use super::supervise::Supervised;
use crate::types::ShardSet;

/// Buckets of the topology that we write, as in the rule files' example.
const BUCKETS: u32 = 4096;
/// The name under which clients reach the console.
const CONSOLE_DATABASE: &str = "shardloom";

/// The folder's record of databases whose schema is loaded, one name per line.
const LOADED: &str = "loaded";
/// The folder's record of databases whose loading was begun.
const LOADING: &str = "loading";

/// What `shardloom dev` was asked for.
#[derive(Debug, Clone)]
pub struct DevOptions {
    /// How many servers, at least 1.
    pub shards: u16,
    /// The folder that is kept between runs; `None` is a scratch folder, removed at the end.
    pub data: Option<PathBuf>,
    /// The database on every server, owned by [`APP_USER`].
    pub database: String,
    /// Settings for the servers.
    pub server_options: Vec<ServerOption>,
}

/// The servers `s0 …`, ready for connections. Dropping it stops them.
#[derive(Debug)]
pub struct DevCluster {
    shards: Vec<Cluster>,
    database: String,
    service_password: String,
    folder: DataFolder,
}

impl DevCluster {
    /// Finds or installs PostgreSQL, then starts or adopts all servers at the same time and prepares them. Blocks,
    /// without an installation at most 50 s, usually 5. `say` receives a line for what an operator wants to know.
    pub fn up(options: &DevOptions, say: &mut dyn FnMut(&str)) -> Result<Self, Error> {
        check_options(options)?;
        let postgres = find_or_install(say)?;
        let account = Account::find()?;
        let folder = DataFolder::open(options.data.as_deref(), &account)?;
        check_shard_count(&folder, options.shards)?;
        let service_password = folder.service_password()?;
        let mut cluster = Self { shards: Vec::new(), database: options.database.clone(), service_password, folder };
        cluster.start_all(&postgres, &account, options, say)?;
        cluster.discard_half_loaded(say)?;
        Ok(cluster)
    }

    /// Returns the servers, in the order of the topology.
    pub fn shards(&self) -> &[Cluster] {
        &self.shards
    }

    /// Returns the servers, for a test that kills one.
    pub fn shards_mut(&mut self) -> &mut [Cluster] {
        &mut self.shards
    }

    /// Returns the database's name on every server.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Returns the data folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the password of [`SERVICE_USER`] on every server.
    pub fn service_password(&self) -> &str {
        &self.service_password
    }

    /// Returns the Topology file: shards `s0 …`, home `s0`, buckets spread evenly.
    pub fn topology_yaml(&self) -> String {
        let addresses: Vec<String> = self.shards.iter().map(Cluster::address).collect();
        topology_yaml(&self.database, &addresses)
    }

    /// Tells whether the database's schema was loaded into this folder before: see [`Self::mark_loaded`].
    pub fn is_loaded(&self) -> bool {
        self.has_record(LOADED)
    }

    /// Records that loading begins: a run that ends before [`Self::mark_loaded`] leaves a database that the next run
    /// on this folder makes anew.
    pub fn mark_loading(&self) -> Result<(), Error> {
        if self.has_record(LOADING) { Ok(()) } else { self.add_record(LOADING) }
    }

    /// Records that the database's schema is loaded, so that the next run on this folder leaves it alone.
    pub fn mark_loaded(&self) -> Result<(), Error> {
        self.add_record(LOADED)
    }

    /// Tells whether the file `name` lists this database.
    fn has_record(&self, name: &str) -> bool {
        let record = std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        record.lines().any(|line| line == self.database)
    }

    fn add_record(&self, name: &str) -> Result<(), Error> {
        let path = self.folder.path().join(name);
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(&path, format!("{before}{}\n", self.database)).map_err(Error::file(&path))
    }

    /// Makes the database anew on all servers if an earlier run ended while it loaded the schema.
    fn discard_half_loaded(&self, say: &mut dyn FnMut(&str)) -> Result<(), Error> {
        if self.is_loaded() || !self.has_record(LOADING) {
            return Ok(());
        }
        say(&format!("an earlier run ended while it loaded database {}; it is made anew", self.database));
        std::thread::scope(|scope| {
            let making: Vec<_> = self
                .shards
                .iter()
                .map(|shard| scope.spawn(|| recreate_database(shard, &self.database, APP_USER)))
                .collect();
            making.into_iter().try_for_each(|thread| thread.join().expect("recreate_database() does not panic"))
        })
    }

    /// Watches the servers from a thread of its own, which starts those that die again and tells `say` of it.
    pub fn supervise(self, say: impl FnMut(&str) + Send + 'static) -> Result<Supervised, Error> {
        Supervised::new(self, say)
    }

    /// Stops all servers at the same time, within 10 s, and removes a scratch folder.
    pub fn down(&mut self) -> Result<(), Error> {
        let stopped: Vec<Result<(), Error>> = std::thread::scope(|scope| {
            let stopping: Vec<_> = self.shards.iter_mut().map(|shard| scope.spawn(|| shard.stop())).collect();
            stopping.into_iter().map(|thread| thread.join().expect("stop() does not panic")).collect()
        });
        stopped.into_iter().collect::<Result<(), Error>>()?;
        self.shards.clear();
        self.folder.remove_scratch()
    }

    /// Starts the process of each dead server again, without waiting; calls `say` with the names of those.
    pub(crate) fn revive(&mut self, say: &mut dyn FnMut(&str)) {
        for shard in &mut self.shards {
            match shard.revive() {
                Ok(false) => {}
                Ok(true) => say(&format!("server {} had ended; starting it again", shard.name())),
                Err(error) => say(&error.to_string()),
            }
        }
    }

    fn start_all(
        &mut self,
        postgres: &Postgres,
        account: &Account,
        options: &DevOptions,
        say: &mut dyn FnMut(&str),
    ) -> Result<(), Error> {
        let wanted: Vec<ClusterOptions> =
            (0..options.shards).map(|index| self.cluster_options(index, options)).collect();
        let provision = &Provision {
            user: APP_USER.to_owned(),
            password: APP_PASSWORD.to_owned(),
            databases: vec![options.database.clone()],
        };
        let started: Vec<Result<(Cluster, Started), Error>> = std::thread::scope(|scope| {
            let starting: Vec<_> = wanted
                .into_iter()
                .map(|one| scope.spawn(move || start_one(postgres, account, one, provision)))
                .collect();
            starting.into_iter().map(|thread| thread.join().expect("start_one() does not panic")).collect()
        });
        let mut failure = None;
        for result in started {
            match result {
                Ok((shard, how)) => {
                    say(&describe(&shard, how));
                    self.shards.push(shard);
                }
                Err(error) => failure = Some(error),
            }
        }
        // The servers that did start are stopped by the drop of `self`.
        failure.map_or(Ok(()), Err)
    }

    fn cluster_options(&self, index: u16, options: &DevOptions) -> ClusterOptions {
        let name = format!("s{index}");
        ClusterOptions {
            folder: self.folder.path().join(&name),
            name,
            durability: if self.folder.is_scratch() { Durability::Scratch } else { Durability::Kept },
            server_options: options.server_options.clone(),
            superuser: SERVICE_USER.to_owned(),
            password: self.service_password.clone(),
        }
    }
}

impl Drop for DevCluster {
    fn drop(&mut self) {
        // Whoever wants to know the outcome has called `down` before; then nothing is left to do here.
        let _ = self.down();
    }
}

/// Starts and prepares one server; stops it again if the preparation fails.
fn start_one(
    postgres: &Postgres,
    account: &Account,
    options: ClusterOptions,
    provision: &Provision,
) -> Result<(Cluster, Started), Error> {
    let (mut cluster, started) = Cluster::up(postgres, account, options)?;
    if let Err(error) = provision.apply(&cluster) {
        cluster.stop()?;
        return Err(error);
    }
    Ok((cluster, started))
}

fn describe(shard: &Cluster, how: Started) -> String {
    let how = match how {
        Started::Fresh => "is new",
        Started::Restarted => "was started on its data",
        Started::Adopted => "was running and is adopted",
    };
    format!("PostgreSQL server {} on {} {how}", shard.name(), shard.address())
}

fn check_options(options: &DevOptions) -> Result<(), Error> {
    if options.shards == 0 || usize::from(options.shards) > ShardSet::CAPACITY {
        return Err(Error::ShardCountRange(options.shards));
    }
    if options.database == CONSOLE_DATABASE {
        return Err(Error::ConsoleDatabase);
    }
    Ok(())
}

/// Refuses another number of shards than the data was made for: rows would be looked for where they are not.
fn check_shard_count(folder: &DataFolder, shards: u16) -> Result<(), Error> {
    let recorded = folder.record("shards", || shards.to_string())?;
    if recorded.trim() == shards.to_string() {
        return Ok(());
    }
    Err(Error::ShardCount { path: folder.path().to_owned(), had: recorded.trim().to_owned(), wanted: shards })
}

fn topology_yaml(database: &str, addresses: &[String]) -> String {
    // A JSON string is a YAML string, whatever the name holds.
    let database = serde_json::Value::from(database);
    let mut text = format!("kind: Topology\ndatabase: {database}\nbuckets: {BUCKETS}\nshards:\n");
    for (index, address) in addresses.iter().enumerate() {
        text.push_str(&format!("  s{index}: {{primary: \"{address}\", database: {database}}}\n"));
    }
    text.push_str("placement:\n");
    for (index, range) in spread(addresses.len() as u32).enumerate() {
        text.push_str(&format!("  s{index}: [\"{}-{}\"]\n", range.start, range.end - 1));
    }
    text.push_str("home: s0\n");
    text
}

/// Returns the bucket range of each of `shards` shards; their sizes differ by at most one.
fn spread(shards: u32) -> impl Iterator<Item = std::ops::Range<u32>> {
    (0..shards).map(move |index| index * BUCKETS / shards..(index + 1) * BUCKETS / shards)
}

#[cfg(test)]
#[path = "dev_cluster_tests.rs"]
mod tests;
