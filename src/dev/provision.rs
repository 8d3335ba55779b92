//! Prepares a server: the application's role and the databases it owns.

use std::time::Duration;

use postgres_protocol::escape::{escape_identifier, escape_literal};
use tokio_postgres::{Client, Config, NoTls};

use super::cluster::Cluster;
use super::error::Error;

/// The bound on all of one server's preparation: a few statements and one copy of template1 (about 0.2 s).
const BOUND: Duration = Duration::from_secs(20);

/// What a server is to hold; what exists is left as it is.
#[derive(Debug, Clone)]
pub struct Provision {
    /// The role that owns the databases; it may log in and create more.
    pub user: String,
    /// The role's password, set when the role is made.
    pub password: String,
    /// The databases, in UTF-8.
    pub databases: Vec<String>,
}

impl Provision {
    /// Makes what is missing on `cluster`; blocks, at most 20 s. Call it outside of a tokio runtime's own threads.
    pub fn apply(&self, cluster: &Cluster) -> Result<(), Error> {
        run(cluster, async |client| {
            if !exists(client, "SELECT 1 FROM pg_roles WHERE rolname = $1", &self.user).await? {
                let (user, password) = (escape_identifier(&self.user), escape_literal(&self.password));
                client.batch_execute(&format!("CREATE ROLE {user} LOGIN CREATEDB PASSWORD {password}")).await?;
            }
            for database in &self.databases {
                create(client, database, &self.user).await?;
            }
            Ok(())
        })
    }
}

/// Makes `database` with `owner` on `cluster` unless it exists; blocks, at most 20 s. Call it outside of a tokio
/// runtime's own threads.
pub fn create_database(cluster: &Cluster, database: &str, owner: &str) -> Result<(), Error> {
    run(cluster, async |client| create(client, database, owner).await)
}

/// Ends whoever uses a database, so that what they leave prepared is seen afterwards.
const END_SESSIONS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
    WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// What two-phase commits left behind in this database; with one of these a database cannot be dropped.
const PREPARED: &str = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()";

/// Makes `database` with `owner` on `cluster` anew and empty, whoever uses it; blocks, at most 40 s.
pub(crate) fn recreate_database(cluster: &Cluster, database: &str, owner: &str) -> Result<(), Error> {
    run_in(cluster, database, async |client| {
        client.batch_execute(END_SESSIONS).await?;
        for row in client.query(PREPARED, &[]).await? {
            let gid: &str = row.get(0);
            client.batch_execute(&format!("ROLLBACK PREPARED {}", escape_literal(gid))).await?;
        }
        Ok(())
    })?;
    run(cluster, async |client| {
        client.batch_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", escape_identifier(database))).await?;
        create(client, database, owner).await
    })
}

async fn create(client: &Client, database: &str, owner: &str) -> Result<(), tokio_postgres::Error> {
    if exists(client, "SELECT 1 FROM pg_database WHERE datname = $1", database).await? {
        return Ok(());
    }
    let (database, owner) = (escape_identifier(database), escape_identifier(owner));
    client.batch_execute(&format!("CREATE DATABASE {database} OWNER {owner}")).await
}

async fn exists(client: &Client, query: &str, name: &str) -> Result<bool, tokio_postgres::Error> {
    Ok(client.query_opt(query, &[&name]).await?.is_some())
}

/// Runs `work` on a connection of the superuser to `postgres`.
fn run(cluster: &Cluster, work: impl AsyncFnOnce(&Client) -> Result<(), tokio_postgres::Error>) -> Result<(), Error> {
    run_in(cluster, "postgres", work)
}

/// Runs `work` on a connection of the superuser, on a runtime of its own.
fn run_in(
    cluster: &Cluster,
    database: &str,
    work: impl AsyncFnOnce(&Client) -> Result<(), tokio_postgres::Error>,
) -> Result<(), Error> {
    let failed = |reason: String| Error::Provision { name: cluster.name().to_owned(), reason };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| failed(e.to_string()))?;
    let (user, password) = cluster.superuser();
    let mut config = Config::new();
    config.host("127.0.0.1").port(cluster.port()).user(user).password(password).dbname(database);
    config.application_name("shardloom dev").connect_timeout(BOUND);
    let conversation = async {
        let (client, connection) = config.connect(NoTls).await?;
        let connection = tokio::spawn(connection);
        let done = work(&client).await;
        drop(client);
        // Its own error, if any, has already reached `work`.
        let _ = connection.await;
        done
    };
    match runtime.block_on(async { tokio::time::timeout(BOUND, conversation).await }) {
        Ok(done) => done.map_err(|error| failed(explain(&error))),
        Err(_) => Err(failed(format!("no answer within {} s", BOUND.as_secs()))),
    }
}

fn explain(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string)
}
