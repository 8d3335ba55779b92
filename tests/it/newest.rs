//! Other versions than the machine's: servers that `PG_BIN` names (`make newest`), and the newest libpq.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use shardloom::dev::Postgres;

use crate::drivers::holds_in;
use crate::support::{TestDatabase, servers};

/// Goal: no run is taken for one against other servers than it had.
#[tokio::test]
async fn the_servers_are_those_that_were_asked_for() {
    let postgres = Postgres::find().expect("PG_BIN").expect("PostgreSQL");
    let program = postgres.version().expect("its version");
    let database = TestDatabase::new("version");
    for client in [database.plain().await, database.shard(0).await, database.shard(1).await, database.shard(2).await] {
        let version: String = client.query_one("SHOW server_version", &[]).await.expect("a version").get(0);
        assert!(program.contains(&version), "{program} is not {version}, of {:?}", servers());
    }
}

/// Goal: a client of protocol 3.2 does all that one of 3.0 does, cancel requests with long keys among it.
#[tokio::test]
async fn psycopg_speaks_protocol_3_2_by_the_newest_libpq() {
    let libraries = tokio::task::spawn_blocking(newest_libraries).await.expect("the libraries");
    let environment = [
        // Not the library that psycopg comes with.
        ("PSYCOPG_IMPL", "python".to_owned()),
        ("LD_LIBRARY_PATH", libraries.display().to_string()),
        // The program fails with a libpq before 18, which does not know these.
        ("PGMINPROTOCOLVERSION", "3.2".to_owned()),
        ("PGMAXPROTOCOLVERSION", "3.2".to_owned()),
    ];
    holds_in("psycopg", &environment).await;
}

/// Returns the folder of the newest PostgreSQL's libpq, which `scripts/newest_postgresql.sh` fetches if need be.
fn newest_libraries() -> PathBuf {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/newest_postgresql.sh");
    let made = Command::new(script).stdin(Stdio::null()).output().expect("scripts/newest_postgresql.sh runs");
    assert!(made.status.success(), "newest_postgresql.sh: {}", String::from_utf8_lossy(&made.stderr));
    let bin = PathBuf::from(String::from_utf8_lossy(&made.stdout).trim());
    let libraries = bin.parent().expect("a folder above bin").join("lib");
    assert!(libraries.join("libpq.so.5").is_file(), "no libpq in {}", libraries.display());
    libraries
}
