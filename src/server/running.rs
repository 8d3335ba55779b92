//! Builds the [`Proxy`], starts its threads and stops them.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::info;

use super::build::build;
use super::config_source::ConfigSource;
use super::control::{self, ControlStart};
use super::link::ServiceRole;
use super::listen::{ListenError, bind, bind_beside, bind_one};
use super::local_socket::LocalSocket;
use super::options::Options;
use super::takeover::{self, TakeoverError};
use super::worker::{self, WorkerStart};
use crate::admin::http::Guard;
use crate::config::{Config, Listen};
use crate::proxy::Proxy;

/// Pause between two looks at the readiness.
const READY_PAUSE: Duration = Duration::from_millis(20);

/// Why the proxy does not start. Each line is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration or the rules are refused; one line per finding.
    #[error("{}", .0.join("\n"))]
    Refused(Vec<String>),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The sockets of the process that runs cannot be taken over.
    #[error(transparent)]
    Takeover(#[from] TakeoverError),
    /// The system gives no thread or socket.
    #[error("the system refuses a resource: {0}")]
    System(#[from] std::io::Error),
}

/// A proxy that runs on threads of its own.
pub struct Running {
    proxy: Arc<Proxy>,
    address: SocketAddr,
    stops: mpsc::Sender<()>,
    control: JoinHandle<usize>,
    // Never joined: a worker that hangs must not keep the process from ending.
    _workers: Vec<JoinHandle<()>>,
    /// The UNIX socket's file goes with it.
    _local: Option<LocalSocket>,
}

/// Starts the proxy: rules are read, addresses bound, threads running when this returns. Blocks shortly.
pub fn start(mut options: Options) -> Result<Running, StartError> {
    let sockets = Sockets::open(&options)?;
    if sockets.confirm.is_some() {
        // The process before this one still lives: what it holds under its name must not be taken for this one's.
        options.name_suffix = format!("~{}", std::process::id());
    }
    let config = &options.config;
    let guard = Guard::new(config.admin.address, config.admin.token.as_ref().map(|token| token.expose().to_owned()))
        .map_err(|error| StartError::Refused(vec![error]))?;
    let (proxy, reloads) = build(&options).map_err(StartError::Refused)?;
    let address = sockets.clients.first().map_or(Ok(config.listen.address), TcpListener::local_addr)?;
    let offered = sockets.copies()?;
    let Sockets { clients, http, local, confirm } = sockets;
    let (ended_sender, ended) = mpsc::channel(config.listen.workers);
    // Two: the drain and the signal that cuts it short.
    let (stops_sender, stops) = mpsc::channel(2);
    let control = control::spawn(ControlStart {
        proxy: Arc::clone(&proxy),
        rules: options.rules.clone(),
        role: ServiceRole::of(&config.service),
        http,
        guard,
        offered: (address, offered),
        confirm,
        reloads,
        ended,
        stops,
        source: ConfigSource { path: options.path.clone() },
    })?;
    let workers = spread(clients, config.listen.workers).into_iter().enumerate().map(|(index, listeners)| {
        let local = local.as_ref().map(LocalSocket::listener).transpose()?;
        let (proxy, ended) = (Arc::clone(&proxy), ended_sender.clone());
        worker::spawn(WorkerStart { index, listeners, local, proxy, ended })
    });
    let workers = workers.collect::<Result<Vec<_>, _>>()?;
    if let Some(local) = &local {
        info!(path = %local.path().display(), "listening for clients of this machine");
    }
    info!(%address, admin = %config.admin.address, workers = workers.len(), "listening");
    Ok(Running { proxy, address, stops: stops_sender, control, _workers: workers, _local: local })
}

/// The listening sockets, bound or taken over.
struct Sockets {
    clients: Vec<TcpListener>,
    http: TcpListener,
    /// For clients of this machine.
    local: Option<LocalSocket>,
    /// Where to say that this process serves them, if they were taken over.
    confirm: Option<UnixStream>,
}

impl Sockets {
    fn open(options: &Options) -> Result<Self, StartError> {
        let Config { listen, admin, .. } = &options.config;
        let taken = if options.takeover { takeover::ask(listen.address)? } else { None };
        let Some(taken) = taken else {
            let (clients, http) = (bind(listen.address, listen.workers)?, bind_one(admin.address)?);
            let local = local(listen, &clients, false)?;
            return Ok(Self { clients, http, local, confirm: None });
        };
        let (mut clients, http, confirm) = taken.split();
        clients.extend(bind_beside(listen.address, listen.workers.saturating_sub(clients.len()))?);
        let http = if http.local_addr()? == admin.address { http } else { bind_one(admin.address)? };
        let local = local(listen, &clients, true)?;
        Ok(Self { clients, http, local, confirm: Some(confirm) })
    }

    /// Returns copies for the process that takes over from this one some day; HTTP's is the last.
    fn copies(&self) -> std::io::Result<Vec<TcpListener>> {
        self.clients.iter().chain([&self.http]).map(TcpListener::try_clone).collect()
    }
}

/// Binds the UNIX socket, under the port that clients have.
fn local(listen: &Listen, clients: &[TcpListener], takes_over: bool) -> Result<Option<LocalSocket>, StartError> {
    let Some(directory) = &listen.unix_socket else { return Ok(None) };
    let port = clients.first().map_or(Ok(listen.address), TcpListener::local_addr)?.port();
    Ok(Some(LocalSocket::bind(directory, port, takes_over)?))
}

/// Gives each worker its listeners; there are at least as many as workers.
fn spread(listeners: Vec<TcpListener>, workers: usize) -> Vec<Vec<TcpListener>> {
    let mut spread: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
    for (index, listener) in listeners.into_iter().enumerate() {
        spread[index % workers].push(listener);
    }
    spread
}

impl Running {
    /// Returns the shared handles.
    pub fn proxy(&self) -> &Arc<Proxy> {
        &self.proxy
    }

    /// Returns where clients connect, with the port that the system chose if it was 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until nothing is missing any more; tells whether that came true within `wait`.
    pub async fn ready(&self, wait: Duration) -> bool {
        let ready = async {
            while !self.proxy.readiness.missing(self.proxy.workers()).is_empty() {
                tokio::time::sleep(READY_PAUSE).await;
            }
        };
        tokio::time::timeout(wait, ready).await.is_ok()
    }

    /// Tells whether the proxy ended by itself.
    pub fn has_ended(&self) -> bool {
        self.control.is_finished()
    }

    /// Asks for the drain; asking again cuts it short. Does not wait.
    pub fn stop(&self) {
        // A full channel means that both were asked for already.
        let _ = self.stops.try_send(());
    }

    /// Waits for the end; tells whether every worker ended in time. Blocks.
    pub fn join(self) -> bool {
        matches!(self.control.join(), Ok(0))
    }
}
