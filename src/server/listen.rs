//! Binding the client port: an exclusive probe first, then one `SO_REUSEPORT` listener per worker.
//!
//! The kernel spreads new clients over the listeners; without the probe a second proxy would silently share the port.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Clients that may wait to be accepted per listener; the kernel caps it at `net.core.somaxconn` (4096 by default).
const BACKLOG: i32 = 1024;

/// Why the port cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another process listens there.
    #[error("cannot listen on {0}: another process already does; stop it or choose another address")]
    InUse(SocketAddr),
    /// Another process has the UNIX socket.
    #[error("cannot listen on {}: another process already does; stop it or choose another directory", .0.display())]
    SocketInUse(PathBuf),
    /// Anything else the system says of a UNIX socket.
    #[error("cannot listen on {}: {cause}", path.display())]
    Socket {
        /// The file wanted.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Anything else the system says.
    #[error("cannot listen on {address}: {cause}")]
    System {
        /// The address wanted.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
}

/// Binds `workers` listeners to one address; port 0 becomes the same free port for all. All are non-blocking.
pub fn bind(address: SocketAddr, workers: usize) -> Result<Vec<TcpListener>, ListenError> {
    let address = probe(address)?;
    (0..workers).map(|_| shared(address).map_err(|cause| blame(address, cause))).collect()
}

/// Binds `count` listeners beside those that this process took over.
pub fn bind_beside(address: SocketAddr, count: usize) -> Result<Vec<TcpListener>, ListenError> {
    (0..count).map(|_| shared(address).map_err(|cause| blame(address, cause))).collect()
}

/// Binds one listener for HTTP, exclusively.
pub fn bind_one(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let open = || {
        let socket = open(address)?;
        socket.bind(&SockAddr::from(address))?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(TcpListener::from(socket))
    };
    open().map_err(|cause| blame(address, cause))
}

/// Notices a port in use: without `SO_REUSEPORT` the bind fails when anybody listens there.
fn probe(address: SocketAddr) -> Result<SocketAddr, ListenError> {
    let bound = || {
        let socket = open(address)?;
        socket.bind(&SockAddr::from(address))?;
        socket.listen(1)?;
        let bound = socket.local_addr()?;
        Ok(bound.as_socket().unwrap_or(address))
    };
    bound().map_err(|cause| blame(address, cause))
}

fn shared(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = open(address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// `SO_REUSEADDR` lets a restart bind beside connections in TIME_WAIT; it does not hide another listener on Linux.
fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}

fn blame(address: SocketAddr, cause: io::Error) -> ListenError {
    if cause.kind() == io::ErrorKind::AddrInUse {
        ListenError::InUse(address)
    } else {
        ListenError::System { address, cause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any_port() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[test]
    fn workers_share_one_port() {
        let listeners = bind(any_port(), 2).unwrap();
        assert_eq!(listeners.len(), 2);
        assert_eq!(listeners[0].local_addr().unwrap(), listeners[1].local_addr().unwrap());
    }

    #[test]
    fn a_port_in_use_is_noticed_even_if_it_is_shared() {
        let listeners = bind(any_port(), 1).unwrap();
        let taken = listeners[0].local_addr().unwrap();
        assert!(matches!(bind(taken, 1), Err(ListenError::InUse(address)) if address == taken));
        assert!(matches!(bind_one(taken), Err(ListenError::InUse(_))));
        drop(listeners);
        assert!(bind(taken, 1).is_ok());
    }
}
