//! Three shards and one plain PostgreSQL, started once and shared by all tests.

use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use shardloom::dev::{
    APP_PASSWORD, APP_USER, Account, Cluster, ClusterOptions, DevCluster, DevOptions, Durability, Postgres, Provision,
    SERVICE_USER,
};

/// The service user's password on the shared servers.
pub const SERVICE_PASSWORD: &str = "service";
/// The variable that names the servers' folder. `make test` sets it and stops the servers at the end; without it
/// they stay in the system's temporary folder for the next run.
const FOLDER_VARIABLE: &str = "SHARDLOOM_TEST_DIR";
const SHARDS: usize = 3;

/// The shared servers.
#[derive(Debug)]
pub struct Servers {
    pub shards: Vec<Cluster>,
    /// The reference: a PostgreSQL without any proxy.
    pub plain: Cluster,
}

impl Servers {
    /// Returns the shards, then the plain server.
    pub fn all(&self) -> impl Iterator<Item = &Cluster> {
        self.shards.iter().chain([&self.plain])
    }
}

/// Returns the shared servers; the first call starts or adopts them. They run without fsync: a test in which the
/// machine's crash matters, or that kills servers, takes [`own_servers`].
pub fn servers() -> &'static Servers {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    SERVERS.get_or_init(start)
}

/// Starts servers for one test alone, with fsync and a scratch folder; dropping the result stops them.
pub fn own_servers(shards: u16, database: &str) -> DevCluster {
    let options = DevOptions { shards, data: None, database: database.to_owned(), server_options: Vec::new() };
    std::thread::spawn(move || DevCluster::up(&options, &mut |_| {}).unwrap_or_else(|error| panic!("{error}")))
        .join()
        .expect("the servers of this test")
}

/// Returns the shared servers' major version.
pub fn server_major() -> u32 {
    let version = Postgres::find().expect("PG_BIN").and_then(|postgres| postgres.version()).expect("a version");
    let number = version.split(|c: char| !c.is_ascii_digit()).find_map(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no number in {version}"))
}

/// Returns one of PostgreSQL's client programs: a folder of servers that `PG_BIN` names may come without them.
pub fn client_program(name: &str) -> PathBuf {
    let beside = Postgres::find().expect("PG_BIN").map(|postgres| postgres.program(name));
    beside.filter(|program| program.is_file()).unwrap_or_else(|| name.into())
}

fn start() -> Servers {
    let postgres = Postgres::find().expect("PG_BIN").unwrap_or_else(|| {
        panic!("the tests need PostgreSQL: sudo apt-get install -y postgresql (or set PG_BIN)");
    });
    let account = Account::find().expect("an account for the servers");
    let folder = folder();
    std::fs::create_dir_all(&folder).expect("the servers' folder");
    // Test processes that start at the same time take turns; later ones adopt the servers of the first.
    let lock = File::create(folder.join("lock")).expect("the servers' lock");
    lock.lock().expect("the servers' lock");
    let mut clusters: Vec<Cluster> = std::thread::scope(|scope| {
        let names = ["s0", "s1", "s2", "plain"];
        let starting = names.map(|name| scope.spawn(|| start_one(&postgres, &account, name, &folder)));
        starting.into_iter().map(|thread| thread.join().expect("a server for the tests")).collect()
    });
    let plain = clusters.split_off(SHARDS).remove(0);
    Servers { shards: clusters, plain }
}

fn start_one(postgres: &Postgres, account: &Account, name: &str, folder: &Path) -> Cluster {
    let settings = ["fsync=off", "max_connections=300", "max_prepared_transactions=300"];
    let options = ClusterOptions {
        name: name.to_owned(),
        folder: folder.join(name),
        durability: Durability::Scratch,
        server_options: settings.map(|setting| setting.parse().expect("a setting")).into(),
        superuser: SERVICE_USER.to_owned(),
        password: SERVICE_PASSWORD.to_owned(),
    };
    let provision = Provision { user: APP_USER.to_owned(), password: APP_PASSWORD.to_owned(), databases: Vec::new() };
    let (cluster, _) = Cluster::up(postgres, account, options).unwrap_or_else(|error| panic!("{error}"));
    provision.apply(&cluster).unwrap_or_else(|error| panic!("{error}"));
    cluster
}

/// One folder per working copy, below the temporary folder: the servers' account can reach that, but perhaps not
/// the working copy.
fn folder() -> PathBuf {
    std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from).unwrap_or_else(|| {
        let mut hasher = DefaultHasher::new();
        env!("CARGO_MANIFEST_DIR").hash(&mut hasher);
        std::env::temp_dir().join(format!("shardloom-tests-{:08x}", hasher.finish() as u32))
    })
}
