//! One worker: a thread with a single-threaded runtime, a listener of its own and the clients that came to it.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::sync::Arc;
use std::task::Poll;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::runtime::LocalOptions;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{error, warn};

use super::conversation::Conversations;
use super::pool_care::care;
use super::turn_away::{too_many, turn_away};
use crate::execute::Stream;
use crate::proxy::{Admission, DrainPhase, Proxy, Stranger};
use crate::types::Refusal;

/// Pause after a failed accept (mostly: no file descriptor left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long clients have to send their goodbye once everybody is to be closed.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// How long after its start the proxy lets clients wait for what is missing.
const READY_WAIT: Duration = Duration::from_secs(10);

/// Pause between two looks at what is missing.
const READY_PAUSE: Duration = Duration::from_millis(10);

/// Clients beyond `max_clients` that are told so at the same time; more are closed without a word.
const TURNED_AWAY_MAX: usize = 64;

/// What a worker needs.
pub struct WorkerStart {
    /// The worker's number, from 0.
    pub index: usize,
    /// Its own listeners, non-blocking: one, or more when it took over those of a process with more workers.
    pub listeners: Vec<StdListener>,
    /// The UNIX socket, non-blocking.
    pub local: Option<StdUnixListener>,
    /// The shared handles.
    pub proxy: Arc<Proxy>,
    /// Where it says that it ended; the channel closes with the last worker.
    pub ended: mpsc::Sender<usize>,
}

/// Starts the worker's thread; fails when the system gives no thread.
pub fn spawn(start: WorkerStart) -> io::Result<JoinHandle<()>> {
    Builder::new().name(format!("worker-{}", start.index)).spawn(move || {
        let index = start.index;
        let ended = start.ended.clone();
        if let Err(error) = run(start) {
            error!(worker = index, %error, "a worker cannot start");
        }
        // The receiver may be gone at the end of the process.
        let _ = ended.blocking_send(index);
    })
}

fn run(start: WorkerStart) -> io::Result<()> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    // Its tasks are the runtime's own: those of a `LocalSet` are woken through a second queue.
    let runtime = builder.enable_all().build_local(LocalOptions::default())?;
    let served = runtime.spawn_local(serve(start));
    runtime.block_on(served).map_err(io::Error::other)?
}

async fn serve(start: WorkerStart) -> io::Result<()> {
    let listeners = start.listeners.into_iter().map(TcpListener::from_std).collect::<io::Result<Vec<_>>>()?;
    let local = start.local.map(UnixListener::from_std).transpose()?;
    let proxy = start.proxy;
    let conversations = Conversations::new(Arc::clone(&proxy));
    let mut clients = JoinSet::new();
    let mut strangers = JoinSet::new();
    let cared = Arc::clone(&proxy);
    let pools = conversations.pools().clone();
    let index = start.index;
    let care = tokio::task::spawn_local(async move { care(index, &cared, &pools).await });
    proxy.readiness.listener_up();
    loop {
        tokio::select! {
            () = proxy.drain.reached(DrainPhase::Leaving) => break,
            Some(_) = clients.join_next(), if !clients.is_empty() => {}
            Some(_) = strangers.join_next(), if !strangers.is_empty() => {}
            accepted = accept(&listeners, local.as_ref()) => match accepted {
                Ok(client) => admit(client, &proxy, &conversations, &mut clients, &mut strangers),
                Err(error) => {
                    warn!(worker = start.index, %error, "a client could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop((listeners, local));
    finish(&proxy, &mut clients).await;
    care.abort();
    Ok(())
}

/// Accepts from whichever listener has a client. Cancel-safe.
async fn accept(listeners: &[TcpListener], local: Option<&UnixListener>) -> io::Result<Stream> {
    poll_fn(|context| {
        for listener in listeners {
            if let Poll::Ready(accepted) = listener.poll_accept(context) {
                return Poll::Ready(accepted.map(|(stream, _)| quick(stream)));
            }
        }
        match local.map(|local| local.poll_accept(context)) {
            Some(Poll::Ready(accepted)) => Poll::Ready(accepted.map(|(stream, _)| Stream::Unix(stream))),
            Some(Poll::Pending) | None => Poll::Pending,
        }
    })
    .await
}

/// Small replies must not wait for an acknowledgement; a socket that refuses the option still works.
fn quick(stream: TcpStream) -> Stream {
    let _ = stream.set_nodelay(true);
    Stream::Tcp(stream)
}

fn admit(
    client: Stream,
    proxy: &Arc<Proxy>,
    conversations: &Conversations,
    clients: &mut JoinSet<()>,
    strangers: &mut JoinSet<()>,
) {
    match find_place(client.address(), proxy) {
        Ok(place) => {
            let (conversations, proxy) = (conversations.clone(), Arc::clone(proxy));
            let registry = Arc::clone(&proxy);
            registry.clients.note_task(clients.spawn_local(converse(conversations, client, place, proxy)));
        }
        Err(refusal) if strangers.len() < TURNED_AWAY_MAX => {
            strangers.spawn_local(turn_away(client, refusal));
        }
        Err(_) => {}
    }
}

/// Finds a place for a new client, perhaps that of one who lingers at the login; fails with `53300` when there is none.
fn find_place(address: Option<SocketAddr>, proxy: &Proxy) -> Result<(Admission, Stranger), Refusal> {
    let now = proxy.clock.monotonic();
    let stranger =
        proxy.strangers.take_in(address.map(|from| from.ip().to_canonical()), proxy.stranger_bounds(), now)?;
    let max = proxy.clients_max();
    match proxy.clients.admit(max) {
        Some(place) => Ok((place, stranger)),
        None if proxy.strangers.show_out_oldest(now) => Ok((proxy.clients.admit_instead(), stranger)),
        None => Err(too_many(max)),
    }
}

async fn converse(
    conversations: Conversations,
    client: Stream,
    (place, stranger): (Admission, Stranger),
    proxy: Arc<Proxy>,
) {
    let _counted = Counted::new(Arc::clone(&proxy));
    wait_ready(&proxy).await;
    conversations.run(client, stranger).await;
    drop(place);
}

/// Lets the first clients after a start wait until ids, tables and schema are known, or their statements would be
/// refused; where something stays away they are served without it.
async fn wait_ready(proxy: &Proxy) {
    while !proxy.readiness.missing(proxy.workers()).is_empty()
        && proxy.clock.monotonic().saturating_sub(proxy.started) < READY_WAIT
    {
        sleep(READY_PAUSE).await;
    }
}

/// Counts a client out even if its conversation panics.
struct Counted(Arc<Proxy>);

impl Counted {
    fn new(proxy: Arc<Proxy>) -> Self {
        proxy.metrics.client_connected();
        Self(proxy)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.metrics.client_gone();
        self.0.clients.forget_task();
    }
}

/// Lets transactions finish; after [`DrainPhase::Stopping`] clients get their goodbye and then are dropped.
async fn finish(proxy: &Proxy, clients: &mut JoinSet<()>) {
    tokio::select! {
        () = all_gone(clients) => return,
        () = proxy.drain.reached(DrainPhase::Stopping) => {}
    }
    if timeout(CLOSE_GRACE, all_gone(clients)).await.is_err() {
        warn!(clients = clients.len(), "clients that did not close in time are cut; their transactions roll back");
        clients.shutdown().await;
    }
}

async fn all_gone(clients: &mut JoinSet<()>) {
    while clients.join_next().await.is_some() {}
}
