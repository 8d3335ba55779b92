//! A TCP or UNIX socket, or TLS over TCP, behind one type.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use rustix::net::sockopt;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::ServerTarget;
use crate::tls::{Connected, Connector};
use crate::wire::frontend::write_ssl_request;

/// Keepalives in a bound of silence: one that is lost on the way is not the end.
const KEEPALIVES: u32 = 3;

/// A connected socket.
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<Connected>),
}

/// What a look at an idle socket shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quiet {
    /// Nothing came.
    Yes,
    /// The other end closed, or sent something that nobody asked for.
    No,
}

impl Socket {
    /// Connects; the caller bounds the time.
    pub(super) async fn connect(target: &ServerTarget) -> io::Result<Self> {
        if let Some(path) = target.socket_path() {
            return UnixStream::connect(path).await.map(Self::Unix);
        }
        let stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
        stream.set_nodelay(true)?;
        match &target.tls {
            None => Ok(Self::Tcp(stream)),
            Some(connector) => Self::secure(stream, connector, &target.host).await,
        }
    }

    /// Asks the server for TLS; without, goes on only where the mode allows that.
    async fn secure(mut stream: TcpStream, connector: &Connector, host: &str) -> io::Result<Self> {
        let mut request = BytesMut::new();
        write_ssl_request(&mut request);
        stream.write_all(&request).await?;
        match stream.read_u8().await? {
            b'S' => Ok(Self::Tls(Box::new(connector.connect(stream, host).await?))),
            b'N' if !connector.mode().is_required() => Ok(Self::Tcp(stream)),
            b'N' => Err(io::Error::new(io::ErrorKind::Unsupported, "the server does not offer TLS, which is required")),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the server does not answer a request for TLS")),
        }
    }

    /// Returns what SCRAM's channel binding is about; `None` inside if the certificate allows none, outside without TLS.
    pub(super) fn end_point(&self) -> Option<Option<&[u8]>> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => None,
            Self::Tls(tls) => Some(tls.end_point.as_deref()),
        }
    }

    /// Has the system probe an idle connection, and give it up when the other host acknowledges nothing for `most`: one
    /// that is gone without a word would else be waited for without end. Zero and UNIX sockets change nothing.
    pub(super) fn bound_silence(&self, most: Duration) -> io::Result<()> {
        let stream = match self {
            Self::Unix(_) => return Ok(()),
            Self::Tcp(stream) => stream,
            Self::Tls(tls) => tls.stream.get_ref().0,
        };
        if most.is_zero() {
            return Ok(());
        }
        let probe = (most / KEEPALIVES).max(Duration::from_secs(1));
        sockopt::set_socket_keepalive(stream, true)?;
        sockopt::set_tcp_keepidle(stream, probe)?;
        sockopt::set_tcp_keepintvl(stream, probe)?;
        sockopt::set_tcp_keepcnt(stream, KEEPALIVES)?;
        #[cfg(target_os = "linux")]
        sockopt::set_tcp_user_timeout(stream, u32::try_from(most.as_millis()).unwrap_or(u32::MAX))?;
        Ok(())
    }

    /// Looks whether an idle socket is still quiet; makes no system call unless the event loop saw something.
    pub(super) fn quiet(&self) -> Quiet {
        let mut byte = [0];
        let read = match self {
            Self::Tcp(stream) => stream.try_read(&mut byte),
            Self::Unix(stream) => stream.try_read(&mut byte),
            // Only a look: what comes belongs to TLS.
            Self::Tls(tls) => {
                let mut context = Context::from_waker(Waker::noop());
                match tls.stream.get_ref().0.poll_peek(&mut context, &mut ReadBuf::new(&mut byte)) {
                    Poll::Ready(peeked) => peeked,
                    Poll::Pending => return Quiet::Yes,
                }
            }
        };
        match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Quiet::Yes,
            Ok(_) | Err(_) => Quiet::No,
        }
    }

    /// Writes what fits without waiting; what does not fit is lost, so only for a last word.
    pub(super) fn last_word(&mut self, bytes: &[u8]) {
        let _ = match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
            Self::Tls(tls) => {
                let mut context = Context::from_waker(Waker::noop());
                let _ = Pin::new(&mut tls.stream).poll_write(&mut context, bytes);
                let _ = Pin::new(&mut tls.stream).poll_shutdown(&mut context);
                Ok(0)
            }
        };
    }
}

impl AsyncRead for Socket {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_shutdown(cx),
        }
    }
}
