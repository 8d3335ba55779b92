//! One connection of the control thread to one shard, with the service role: for probes and the catalog.
//!
//! It carries no client's statement. A connection that failed is thrown away and made anew at the next use.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, SimpleQueryMessage};

use crate::config::Service;
use crate::rules::Shard;
use crate::tls::Connector;

/// The longest that connecting may take; a shard that needs longer counts as down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection that listens is silent before it is looked whether the server is there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The longest that one control query may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// The service role.
#[derive(Clone)]
pub struct ServiceRole {
    /// Its name.
    pub user: String,
    /// Its password; empty where the servers ask for none.
    pub password: String,
}

/// A way to one shard.
pub struct ShardLink {
    settings: Config,
    connector: Arc<Connector>,
    client: Option<Client>,
}

impl ServiceRole {
    /// Takes the role out of the configuration.
    pub fn of(service: &Service) -> Self {
        let password = service.password.as_ref().map(|secret| secret.expose().to_owned());
        Self { user: service.user.clone(), password: password.unwrap_or_default() }
    }
}

impl ShardLink {
    /// Names the shard; connects to nothing yet.
    pub fn new(shard: &Shard, role: &ServiceRole, connector: &Arc<Connector>) -> Self {
        let mut settings = Config::new();
        settings
            .host(&shard.host)
            .port(shard.port)
            .dbname(&shard.database)
            .user(&role.user)
            .password(&role.password)
            .connect_timeout(CONNECT_TIMEOUT)
            .application_name("shardloom control");
        Self { settings, connector: Arc::clone(connector), client: None }
    }

    /// Runs `sql` and returns its rows as text, connecting first when there is no connection.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        self.query_within(sql, QUERY_TIMEOUT).await
    }

    /// Tells whether the shard answers within `wait`, or why not.
    pub async fn probe(&mut self, wait: Duration) -> Result<(), String> {
        self.query_within("SELECT 1", wait).await.map(drop)
    }

    async fn query_within(&mut self, sql: &str, wait: Duration) -> Result<Vec<Vec<Option<String>>>, String> {
        let client = self.take_client().await?;
        match timeout(wait, client.simple_query(sql)).await {
            Ok(Ok(messages)) => {
                self.client = Some(client);
                Ok(messages.iter().filter_map(row).collect())
            }
            Ok(Err(error)) => Err(describe(&error)),
            Err(_) => Err(format!("no answer within {} ms", wait.as_millis())),
        }
    }

    async fn take_client(&mut self) -> Result<Client, String> {
        if let Some(client) = self.client.take().filter(|client| !client.is_closed()) {
            return Ok(client);
        }
        match timeout(CONNECT_TIMEOUT, self.connect()).await {
            Ok(connected) => connected.map_err(|error| describe(&error)),
            Err(_) => Err(format!("no connection within {} ms", CONNECT_TIMEOUT.as_millis())),
        }
    }

    /// Listens on a channel by a connection of its own until that is lost; `begun` is called when it listens, and `heard` with
    /// the text of each notification.
    pub async fn listen(&self, channel: &str, begun: impl FnOnce(), heard: impl FnMut(&str)) -> Result<(), String> {
        let mut settings = self.settings.clone();
        // It is silent most of the time: a server that is gone is to be noticed nevertheless.
        settings.keepalives_idle(KEEPALIVE);
        let attended = match self.connector.for_library(&mut settings) {
            Some(tls) => attend(settings.connect(tls), channel, begun, heard).await,
            None => attend(settings.connect(NoTls), channel, begun, heard).await,
        };
        attended.map_err(|error| describe(&error))
    }

    /// The tasks end with the connection; its error shows at the next query.
    async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let mut settings = self.settings.clone();
        match self.connector.for_library(&mut settings) {
            Some(tls) => {
                let (client, connection) = settings.connect(tls).await?;
                tokio::spawn(connection);
                Ok(client)
            }
            None => {
                let (client, connection) = settings.connect(NoTls).await?;
                tokio::spawn(connection);
                Ok(client)
            }
        }
    }
}

async fn attend<S, T>(
    connecting: impl Future<Output = Result<(Client, Connection<S, T>), tokio_postgres::Error>>,
    channel: &str,
    begun: impl FnOnce(),
    mut heard: impl FnMut(&str),
) -> Result<(), tokio_postgres::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (client, mut connection) = connecting.await?;
    let listening = async {
        client.batch_execute(&format!("LISTEN {channel}")).await?;
        begun();
        // The connection lasts as long as its client.
        pending::<Result<(), tokio_postgres::Error>>().await
    };
    let hearing = async {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(notification) = message? {
                heard(notification.payload());
            }
        }
        Ok(())
    };
    tokio::select! {
        ended = listening => ended,
        ended = hearing => ended,
    }
}

fn row(message: &SimpleQueryMessage) -> Option<Vec<Option<String>>> {
    match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect()),
        // The library's enum is open: whatever else comes is no row.
        _other => None,
    }
}

/// Says what the server said, or the whole chain of causes below the driver's own words.
fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(server) = error.as_db_error() {
        return format!("{} ({})", server.message(), server.code().code());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
