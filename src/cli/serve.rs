//! `serve`: the proxy in the foreground.

use shardloom::server;

use super::arguments::ServeArguments;
use super::failure::Failure;

/// Runs until the drain is over; clients that had to be cut are no failure.
pub fn run(options: &ServeArguments) -> Result<(), Failure> {
    let read = server::Options::read(&options.config).map_err(Failure::refused)?;
    server::serve(server::Options { takeover: options.takeover, ..read })
        .map(drop)
        .map_err(|error| Failure::Usage(error.to_string()))
}
