//! Schema and rows of `dev`, sent through the proxy as any client would, statement by statement.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use shardloom::dev::{APP_PASSWORD, APP_USER, DevCluster, SHOP_LOAD, SHOP_SCHEMA};
use shardloom::server::Running;
use shardloom::sql;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use super::arguments::DevArguments;
use super::dev_options::is_example;
use super::failure::Failure;

/// How long the first connection through the proxy may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the proxy may take to see new tables; capture triggers of reference tables come with it.
const CATALOG_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a statement is tried again on a machine so busy that a lease or a gate is late.
const NOT_YET_TIMEOUT: Duration = Duration::from_secs(20);

/// Pause between two tries.
const NOT_YET_PAUSE: Duration = Duration::from_millis(200);

/// Loads schema and rows; for fresh data only. The cluster's records tell the next run how far this one came.
pub async fn fresh(arguments: &DevArguments, running: &Running, cluster: &DevCluster) -> Result<(), Failure> {
    let (schema, rows) = texts(arguments)?;
    if schema.is_none() && rows.is_none() {
        return record(cluster.mark_loaded());
    }
    record(cluster.mark_loading())?;
    let client = connect(arguments, running).await?;
    if let Some((name, text)) = schema {
        send(&client, &name, &text).await?;
        if !running.proxy().requests.refreshed_catalog(CATALOG_TIMEOUT).await {
            return Err(Failure::Problem("the proxy does not see the new tables yet".to_owned()));
        }
    }
    if let Some((name, text)) = rows {
        send(&client, &name, &text).await?;
    }
    record(cluster.mark_loaded())
}

fn record(written: Result<(), shardloom::dev::Error>) -> Result<(), Failure> {
    written.map_err(|error| Failure::Problem(error.to_string()))
}

/// Asks one statement through the proxy.
pub async fn answers(arguments: &DevArguments, running: &Running) -> Result<(), Failure> {
    let client = connect(arguments, running).await?;
    client.simple_query("SELECT 1").await.map(drop).map_err(|error| problem("the proxy does not answer", &error))
}

/// The name and text of the schema.
type Text = Option<(String, String)>;

fn texts(arguments: &DevArguments) -> Result<(Text, Text), Failure> {
    if is_example(arguments) {
        let schema = Some(("the example's schema".to_owned(), SHOP_SCHEMA.to_owned()));
        let rows = match &arguments.load {
            Some(path) => Some(read(path)?),
            None => Some(("the example's rows".to_owned(), SHOP_LOAD.to_owned())),
        };
        return Ok((schema, rows));
    }
    Ok((arguments.schema.as_deref().map(read).transpose()?, arguments.load.as_deref().map(read).transpose()?))
}

fn read(path: &Path) -> Result<(String, String), Failure> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| Failure::Usage(format!("cannot read {name}: {error}")))?;
    Ok((name, text))
}

async fn connect(arguments: &DevArguments, running: &Running) -> Result<Client, Failure> {
    let mut config = Config::new();
    config
        .host("127.0.0.1")
        .port(running.address().port())
        .user(APP_USER)
        .password(APP_PASSWORD)
        .dbname(&arguments.database)
        .application_name("shardloom dev")
        .connect_timeout(CONNECT_TIMEOUT);
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, config.connect(NoTls)).await;
    let (client, connection) = connected
        .map_err(|_| Failure::Problem("the proxy does not answer in time".to_owned()))?
        .map_err(|error| problem("cannot connect through the proxy", &error))?;
    // Its error reaches the client's calls.
    tokio::spawn(connection);
    Ok(client)
}

async fn send(client: &Client, name: &str, text: &str) -> Result<(), Failure> {
    for range in sql::split(text) {
        let line = text[..range.start].matches('\n').count() + 1;
        let statement = &text[range];
        if is_copy_from_stdin(statement) {
            let message = format!("{name}:{line}: COPY FROM STDIN cannot be loaded from a file; use INSERT, or psql");
            return Err(Failure::Problem(message));
        }
        patiently(client, statement).await.map_err(|error| problem(&format!("{name}:{line}"), &error))?;
    }
    Ok(())
}

/// Runs a statement, again while the proxy says that it cannot yet (`57P03`: nothing was done).
async fn patiently(client: &Client, statement: &str) -> Result<(), tokio_postgres::Error> {
    let deadline = Instant::now() + NOT_YET_TIMEOUT;
    loop {
        match client.simple_query(statement).await {
            Err(error) if error.code() == Some(&SqlState::CANNOT_CONNECT_NOW) && Instant::now() < deadline => {
                tokio::time::sleep(NOT_YET_PAUSE).await;
            }
            done => return done.map(drop),
        }
    }
}

fn is_copy_from_stdin(statement: &str) -> bool {
    let upper = statement.to_ascii_uppercase();
    upper.starts_with("COPY") && upper.contains("FROM STDIN")
}

fn problem(what: &str, error: &tokio_postgres::Error) -> Failure {
    let reason = match error.as_db_error() {
        Some(server) => format!("{} ({})", server.message(), server.code().code()),
        None => error.to_string(),
    };
    Failure::Problem(format!("{what}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_with_rows_behind_it_is_noticed() {
        assert!(is_copy_from_stdin("copy t (a) from stdin"));
        assert!(!is_copy_from_stdin("COPY t TO STDOUT"));
        assert!(!is_copy_from_stdin("insert into t values ('copy from stdin')"));
    }
}
