//! tokio-postgres clients.

use tokio_postgres::{Client, Config, NoTls};

use shardloom::dev::{APP_PASSWORD, APP_USER};

/// Connects the application's user to `database` on 127.0.0.1:`port`.
pub async fn connect(port: u16, database: &str) -> Client {
    connect_as(port, database, APP_USER, APP_PASSWORD).await.unwrap_or_else(|error| panic!("port {port}: {error:?}"))
}

/// Connects as `user`; the connection is driven by a task and ends with the client.
pub async fn connect_as(
    port: u16,
    database: &str,
    user: &str,
    password: &str,
) -> Result<Client, tokio_postgres::Error> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user(user).password(password).dbname(database);
    config.connect_timeout(std::time::Duration::from_secs(10));
    let (client, connection) = config.connect(NoTls).await?;
    // Its error reaches the client's pending calls.
    tokio::spawn(async move { connection.await.ok() });
    Ok(client)
}
