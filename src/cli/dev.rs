//! `dev`: local PostgreSQL servers, the proxy, the example or the operator's own rules; everything ends together.
//!
//! Standard output carries exactly one line, when the proxy answers; all else goes to standard error.

use shardloom::dev::{APP_PASSWORD, APP_USER, DevCluster, DevOptions, Supervised};
use shardloom::server::{self, EndSignals, Running};

use super::arguments::DevArguments;
use super::dev_options;
use super::failure::Failure;
use super::output;
use super::seed;

/// How long the proxy may take to answer once the servers run.
const READY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// Runs until a signal; everything is stopped when this returns.
pub fn run(arguments: &DevArguments) -> Result<(), Failure> {
    server::start_logging(shardloom::config::LogFormat::Text);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Problem(format!("the system gives no runtime: {error}")))?;
    runtime.block_on(develop(arguments))
}

async fn develop(arguments: &DevArguments) -> Result<(), Failure> {
    // First of all: from here on a signal never leaves servers behind.
    let mut signals = EndSignals::listen().map_err(|error| Failure::Problem(format!("no signals: {error}")))?;
    dev_options::check(arguments)?;
    let mut cluster = up(arguments).await?;
    let started = dev_options::options(arguments, &cluster)
        .and_then(|options| server::start(options).map_err(|error| Failure::Usage(error.to_string())));
    let running = match started {
        Ok(running) => running,
        Err(failure) => {
            blocking(move || cluster.down()).await?;
            return Err(failure);
        }
    };
    let prepared = tokio::select! {
        () = signals.received() => None,
        prepared = prepare(arguments, &running, &cluster) => Some(prepared),
    };
    let servers = cluster.supervise(say).map_err(|error| Failure::Problem(error.to_string()))?;
    let outcome = match prepared {
        Some(Ok(())) => {
            announce(arguments, &running);
            suggest(arguments, &running);
            server::forward(&mut signals, &running).await;
            Ok(())
        }
        Some(Err(failure)) => Err(failure),
        None => Ok(()),
    };
    stop(running, servers).await?;
    outcome
}

async fn up(arguments: &DevArguments) -> Result<DevCluster, Failure> {
    let options = DevOptions {
        shards: arguments.shards,
        data: arguments.data.clone(),
        database: arguments.database.clone(),
        server_options: arguments.pg_options.clone(),
    };
    blocking(move || DevCluster::up(&options, &mut say)).await
}

/// Waits for the proxy; loads the schema and rows into fresh data, through the proxy.
async fn prepare(arguments: &DevArguments, running: &Running, cluster: &DevCluster) -> Result<(), Failure> {
    if !running.ready(READY_TIMEOUT).await {
        let missing = running.proxy().readiness.missing(running.proxy().workers()).join(", ");
        return Err(Failure::Problem(format!("the proxy is not ready: {missing}")));
    }
    if !cluster.is_loaded() {
        seed::fresh(arguments, running, cluster).await?;
    }
    seed::answers(arguments, running).await
}

fn announce(arguments: &DevArguments, running: &Running) {
    let (port, database) = (running.address().port(), &arguments.database);
    output::line(format!("shardloom is ready: postgres://{APP_USER}:{APP_PASSWORD}@127.0.0.1:{port}/{database}"));
}

/// Says what to try, on standard error and without another URL.
fn suggest(arguments: &DevArguments, running: &Running) {
    let port = running.address().port();
    let psql =
        |database: &str| format!("PGPASSWORD={APP_PASSWORD} psql -h 127.0.0.1 -p {port} -U {APP_USER} {database}");
    say(&format!("talk to it:   {}", psql(&arguments.database)));
    say(&format!("the console:  {} -c 'SHOW HELP'", psql("shardloom")));
    say(&format!("HTTP:         curl 127.0.0.1:{}", arguments.admin_port));
    if dev_options::is_example(arguments) {
        say("to try:       EXPLAIN (ROUTE) SELECT * FROM orders WHERE customer_id = 1;");
        say(
            "              UPDATE products SET stock = stock - 1 WHERE product_id = 1;  then SHOW LEDGER on the console",
        );
        say("              README.md has a tour; Ctrl-C stops everything");
    }
}

/// The proxy first, so that its transactions end before their servers do.
async fn stop(running: Running, servers: Supervised) -> Result<(), Failure> {
    running.stop();
    blocking(move || {
        running.join();
        servers.down()
    })
    .await
}

fn say(line: &str) {
    eprintln!("shardloom dev: {line}");
}

/// Runs what blocks beside the runtime, so that signals are still taken.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, Failure>
where
    T: Send + 'static,
    E: std::error::Error + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Failure::Problem(error.to_string())),
        Err(error) => Err(Failure::Problem(format!("a step of dev failed: {error}"))),
    }
}
