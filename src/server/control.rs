//! The control thread: HTTP, probes, catalog, outbox, reloads; and the end of the process.
//!
//! It carries no client's statement, so that a slow answer here never holds a client up.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use tokio::net::TcpListener;
use tokio::runtime::LocalOptions;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::certificates::keep_certificates;
use super::config_source::ConfigSource;
use super::link::ServiceRole;
use super::outbox::keep_outbox;
use super::reload::reload;
use super::rule_files::RuleSource;
use super::shutdown::EndPlan;
use super::time_limits::keep_limits;
use super::watch::RuleWatch;
use super::{catalog, probe, shutdown, takeover};
use crate::admin::http::{Guard, router};
use crate::proxy::{Proxy, ReloadAnswer, Shutdown};

/// What the control thread needs.
pub struct ControlStart {
    /// The shared handles.
    pub proxy: Arc<Proxy>,
    /// Where rules come from.
    pub rules: RuleSource,
    /// The service role on the shards.
    pub role: ServiceRole,
    /// HTTP's listener, non-blocking.
    pub http: StdListener,
    /// Who may ask there.
    pub guard: Guard,
    /// The clients' address, and copies of all listeners for a process that takes over; HTTP's is the last.
    pub offered: (SocketAddr, Vec<StdListener>),
    /// Where to say that this process serves the sockets that it took over.
    pub confirm: Option<StdStream>,
    /// Reloads asked for by the console and HTTP.
    pub reloads: mpsc::Receiver<ReloadAnswer>,
    /// Workers that ended.
    pub ended: mpsc::Receiver<usize>,
    /// The first message begins the drain, the second cuts it short.
    pub stops: mpsc::Receiver<()>,
    /// Where the configuration comes from.
    pub source: ConfigSource,
}

/// Starts the thread; its result is the number of workers that did not end in time.
pub fn spawn(start: ControlStart) -> io::Result<JoinHandle<usize>> {
    Builder::new().name("control".to_owned()).spawn(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        match builder.enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime.block_on(run(start)),
            Err(error) => {
                error!(%error, "the control thread cannot start");
                start.proxy.workers()
            }
        }
    })
}

async fn run(mut start: ControlStart) -> usize {
    let proxy = Arc::clone(&start.proxy);
    let mut tasks = JoinSet::new();
    tasks.spawn_local(serve_http(Arc::clone(&proxy), start.http, start.guard));
    tasks.spawn_local(takeover::offer(Arc::clone(&proxy), start.offered.0, start.offered.1));
    if let Some(confirm) = start.confirm {
        tasks.spawn_local(takeover::confirm(Arc::clone(&proxy), confirm));
    }
    tasks.spawn_local(probe::probe_all(Arc::clone(&proxy), start.role.clone()));
    tasks.spawn_local(super::schema_watch::watch_schemas(Arc::clone(&proxy), start.role.clone()));
    tasks.spawn_local(super::catalog_news::hear(Arc::clone(&proxy), start.role.clone()));
    tasks.spawn_local(catalog::keep_catalog(Arc::clone(&proxy), start.role));
    tasks.spawn_local(keep_limits(Arc::clone(&proxy)));
    tasks.spawn_local(keep_certificates(Arc::clone(&proxy)));
    tasks.spawn_local(keep_rules(Arc::clone(&proxy), start.rules, start.source, start.reloads));
    let outbox = tokio::task::spawn_local(keep_outbox(Arc::clone(&proxy)));
    let left = tokio::select! {
        _ = start.stops.recv() => {
            let plan = EndPlan::drain(proxy.live.load().limits.drain_timeout);
            shutdown::drain(&proxy, &mut start.stops, &mut start.ended, plan).await
        }
        how = proxy.requests.shutdown_asked() => {
            info!(?how, "the end was asked for");
            let plan = EndPlan::of(how, &proxy.live.load().limits);
            shutdown::drain(&proxy, &mut start.stops, &mut start.ended, plan).await
        }
        () = all_ended(&mut start.ended, proxy.workers()) => {
            error!("all workers ended by themselves");
            proxy.workers()
        }
    };
    super::outbox::finish(&proxy, outbox).await;
    tasks.shutdown().await;
    info!("stopped");
    left
}

async fn all_ended(ended: &mut mpsc::Receiver<usize>, workers: usize) {
    for _ in 0..workers {
        ended.recv().await;
    }
}

async fn serve_http(proxy: Arc<Proxy>, listener: StdListener, guard: Guard) {
    let routes = router(Arc::clone(&proxy), guard);
    let served = match TcpListener::from_std(listener) {
        Ok(listener) => tokio::select! {
            served = axum::serve(listener, routes) => served,
            () = taken_over(&proxy) => return,
        },
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        error!(%error, "HTTP ended");
    }
}

/// Waits until another process serves the sockets: HTTP's clients are to find that one.
async fn taken_over(proxy: &Proxy) {
    if proxy.requests.shutdown_asked().await != Shutdown::TakenOver {
        std::future::pending().await
    }
}

/// Reloads whenever somebody asks, the directory changes or SIGHUP arrives.
async fn keep_rules(
    proxy: Arc<Proxy>,
    source: RuleSource,
    config: ConfigSource,
    mut asked: mpsc::Receiver<ReloadAnswer>,
) {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => return error!(%error, "SIGHUP cannot be taken over; rules are not reloaded"),
    };
    let mut watch = match RuleWatch::start(&source.directory) {
        Ok(watch) => Some(watch),
        Err(error) => {
            warn!(%error, "the rules directory cannot be watched; SIGHUP and RELOAD still work");
            None
        }
    };
    loop {
        let (answer, whole) = tokio::select! {
            answer = asked.recv() => match answer {
                Some(answer) => (Some(answer), true),
                None => return,
            },
            _ = hangup.recv() => (None, true),
            () = changed(&mut watch) => (None, false),
        };
        // Who saves a rule file asks for the rules alone.
        let configured = if whole { config.reload(&proxy) } else { Ok(()) };
        let reloaded = configured.and_then(|()| reload(&proxy, &source));
        if let Some(answer) = answer {
            // Who asked may have gone meanwhile.
            let _ = answer.send(reloaded);
        }
    }
}

async fn changed(watch: &mut Option<RuleWatch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}
