//! Online restart: a new process takes the listening sockets of the one that runs, and that one lets its clients leave.
//!
//! The sockets themselves are passed (SCM_RIGHTS over a UNIX socket in the abstract name space), so that no client in the
//! kernel's queue is lost, which closing a SO_REUSEPORT socket beside another one would do. Each side checks that the
//! other has its own user id: that is what makes a port's owner "ours". Until the new process says that it is ready the
//! old one serves on, and if it never says so, nothing has happened.

use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener as StdListener, UnixStream as StdStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::proxy::{DrainPhase, Proxy, Shutdown};

/// The most sockets that are passed at once; the kernel takes 253 (SCM_MAX_FD, unix(7)).
const SOCKETS_MAX: usize = 250;

/// How long the other side may take to pass or take the sockets.
const PASS_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the new process may take until it is ready; it goes on without that when something stays away.
const READY_WAIT: Duration = Duration::from_secs(15);

/// How long the old process waits for that word: longer than the new one takes at most.
const CONFIRM_WAIT: Duration = Duration::from_secs(60);

/// Pause between two attempts to offer the sockets while the process before this one still does.
const OFFER_PAUSE: Duration = Duration::from_millis(100);

/// What the old process says along with the sockets; the number is that of the form.
const GREETING: &[u8] = b"shardloom takeover 1\n";

/// What the new one says when it serves.
const READY: u8 = b'R';

/// Why the sockets cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// Somebody else has the name.
    #[error("the process that serves {0} belongs to another user")]
    Foreign(SocketAddr),
    /// Not what a proxy would say or pass.
    #[error("the process that serves {0} does not hand its sockets over as this version does")]
    Strange(SocketAddr),
    /// The system said no.
    #[error("the sockets of {address} cannot be taken over: {cause}")]
    System {
        /// The clients' address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
}

/// The sockets of the process before this one.
#[derive(Debug)]
pub struct Taken {
    /// For clients, all on one address.
    clients: Vec<TcpListener>,
    /// For HTTP.
    http: TcpListener,
    /// Where the old process waits for the word that this one serves.
    confirm: StdStream,
}

/// Asks the process that serves `address` for its sockets; `None` when there is none that offers them. Blocks, at most
/// some seconds.
pub fn ask(address: SocketAddr) -> Result<Option<Taken>, TakeoverError> {
    let system = |cause| TakeoverError::System { address, cause };
    let stream = match name(address).and_then(|name| StdStream::connect_addr(&name)) {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(None),
        Err(error) => return Err(system(error)),
    };
    if !is_own(&stream).map_err(system)? {
        return Err(TakeoverError::Foreign(address));
    }
    stream.set_read_timeout(Some(PASS_TIMEOUT)).map_err(system)?;
    let mut sockets = receive(&stream).map_err(system)?.ok_or(TakeoverError::Strange(address))?;
    let http = TcpListener::from(sockets.pop().ok_or(TakeoverError::Strange(address))?);
    let clients: Vec<_> = sockets.into_iter().map(TcpListener::from).collect();
    let right = |listener: &TcpListener| listener.local_addr().is_ok_and(|bound| bound == address);
    if clients.is_empty() || !clients.iter().all(right) {
        return Err(TakeoverError::Strange(address));
    }
    clients.iter().chain([&http]).try_for_each(|listener| listener.set_nonblocking(true)).map_err(system)?;
    Ok(Some(Taken { clients, http, confirm: stream }))
}

/// Says to the old process that this one serves, once it does.
pub async fn confirm(proxy: Arc<Proxy>, mut stream: StdStream) {
    let ready = async {
        while !proxy.readiness.missing(proxy.workers()).is_empty() {
            sleep(OFFER_PAUSE).await;
        }
    };
    if timeout(READY_WAIT, ready).await.is_err() {
        warn!("not everything is there yet; the old process is told to leave all the same");
    }
    match stream.write_all(&[READY]) {
        Ok(()) => info!("the sockets are taken over"),
        Err(error) => warn!(%error, "the process before this one has gone meanwhile"),
    }
}

impl Taken {
    /// Splits into the sockets for clients, that for HTTP, and where to confirm.
    pub fn split(self) -> (Vec<TcpListener>, TcpListener, StdStream) {
        (self.clients, self.http, self.confirm)
    }
}

/// Offers copies of the sockets to whoever takes them over, until one has or the end begins. The last is HTTP's.
pub async fn offer(proxy: Arc<Proxy>, address: SocketAddr, sockets: Vec<TcpListener>) {
    if sockets.len() > SOCKETS_MAX {
        return warn!(sockets = sockets.len(), "too many sockets to be handed over in a restart");
    }
    tokio::select! {
        () = serve(&proxy, address, &sockets) => proxy.requests.shut_down(Shutdown::TakenOver),
        () = proxy.drain.reached(DrainPhase::Leaving) => {}
    }
}

/// Returns once somebody has taken the sockets and serves.
async fn serve(proxy: &Proxy, address: SocketAddr, sockets: &[TcpListener]) {
    let listener = listen(address).await;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => match hand_over(stream, sockets).await {
                Ok(true) => return info!(clients = proxy.clients.admitted(), "another process serves the sockets"),
                Ok(false) => warn!("another process took the sockets and ended before it served"),
                Err(error) => warn!(%error, "the sockets could not be handed over"),
            },
            Err(error) => {
                warn!(%error, "a process that wants the sockets could not be heard");
                sleep(OFFER_PAUSE).await;
            }
        }
    }
}

/// Binds the name, as soon as the process before this one has left it.
async fn listen(address: SocketAddr) -> UnixListener {
    let mut told = false;
    loop {
        let bound = name(address).and_then(|name| StdListener::bind_addr(&name)).and_then(|listener| {
            listener.set_nonblocking(true)?;
            UnixListener::from_std(listener)
        });
        match bound {
            Ok(listener) => return listener,
            Err(error) if error.kind() != io::ErrorKind::AddrInUse && !told => {
                told = true;
                warn!(%error, "the sockets cannot be offered for a restart");
            }
            Err(_) => {}
        }
        sleep(OFFER_PAUSE).await;
    }
}

/// Passes the sockets and waits for the word; tells whether it came.
async fn hand_over(stream: UnixStream, sockets: &[TcpListener]) -> io::Result<bool> {
    let stream = stream.into_std()?;
    if !is_own(&stream)? {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
    }
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(PASS_TIMEOUT))?;
    send(&stream, sockets)?;
    stream.set_nonblocking(true)?;
    let mut stream = UnixStream::from_std(stream)?;
    let word = timeout(CONFIRM_WAIT, stream.read_u8()).await;
    Ok(matches!(word, Ok(Ok(READY))))
}

fn send(stream: &StdStream, sockets: &[TcpListener]) -> io::Result<()> {
    let descriptors: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    let sent = sendmsg(stream, &[IoSlice::new(GREETING)], &mut control, SendFlags::NOSIGNAL)?;
    if sent == GREETING.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Returns what was passed; `None` if it is not what a proxy passes.
fn receive(stream: &StdStream) -> io::Result<Option<Vec<OwnedFd>>> {
    let mut said = [0; GREETING.len()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = recvmsg(stream, &mut [IoSliceMut::new(&mut said)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut sockets = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = part {
            sockets.extend(descriptors);
        }
    }
    Ok((message.bytes == GREETING.len() && said == GREETING).then_some(sockets))
}

/// Tells whether the other side runs as this process does.
fn is_own(stream: &StdStream) -> io::Result<bool> {
    Ok(socket_peercred(stream)?.uid == rustix::process::geteuid())
}

fn name(address: SocketAddr) -> io::Result<UnixAddress> {
    UnixAddress::from_abstract_name(format!("shardloom-takeover/{address}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_passed_with_their_greeting_and_nothing_else_is_taken() {
        let (one, other) = StdStream::pair().unwrap();
        let listeners = [TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap()];
        let addresses = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
        send(&one, &listeners).unwrap();
        let passed = receive(&other).unwrap().expect("a greeting");
        let passed: Vec<_> = passed.into_iter().map(|fd| TcpListener::from(fd).local_addr().unwrap()).collect();
        assert_eq!(passed, addresses);
        assert!(is_own(&one).unwrap());
        (&one).write_all(b"something else, of 21").unwrap();
        assert!(receive(&other).unwrap().is_none());
    }

    #[test]
    fn nobody_to_ask_is_no_error() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(matches!(ask(free), Ok(None)));
    }
}
