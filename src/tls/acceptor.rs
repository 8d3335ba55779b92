//! The side that clients meet.

use std::fmt;
use std::io;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::server::TlsStream;

use super::files::{self, Error};
use super::{ALPN, Mode, Settings, certificate};

/// Takes TLS from clients; what it shows and believes can be changed while it works.
#[derive(Default)]
pub struct Acceptor {
    current: ArcSwapOption<Current>,
}

struct Current {
    mode: Mode,
    config: Arc<ServerConfig>,
    end_point: Option<Vec<u8>>,
}

/// A client's connection, encrypted.
pub struct Accepted {
    /// What it reads and writes by now.
    pub stream: TlsStream<TcpStream>,
    /// What SCRAM's channel binding is about; `None` where the own certificate allows none.
    pub end_point: Option<Vec<u8>>,
    /// The common name in the client's certificate, which was verified; `None` if it showed none.
    pub common_name: Option<String>,
}

impl Acceptor {
    /// Reads certificates and key as `settings` say. Fails with the file's name, and leaves what was in force then.
    pub fn load(&self, settings: &Settings) -> Result<(), Error> {
        let next = match settings.mode {
            Mode::Disable => None,
            Mode::Prefer | Mode::Require | Mode::VerifyCa | Mode::VerifyFull => Some(Arc::new(read(settings)?)),
        };
        self.current.store(next);
        Ok(())
    }

    /// Tells whether clients may have TLS.
    pub fn is_offered(&self) -> bool {
        self.current.load().is_some()
    }

    /// Tells whether clients must have TLS.
    pub fn is_required(&self) -> bool {
        self.current.load().as_ref().is_some_and(|current| current.mode.is_required())
    }

    /// Takes a client's handshake. `direct`: it came without a request before, and must name the protocol.
    ///
    /// The caller bounds the time.
    pub async fn accept(&self, stream: TcpStream, direct: bool) -> io::Result<Accepted> {
        let Some(current) = self.current.load_full() else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "TLS is not offered"));
        };
        let stream = TlsAcceptor::from(Arc::clone(&current.config)).accept(stream).await?;
        let session = stream.get_ref().1;
        if direct && session.alpn_protocol() != Some(ALPN) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "direct TLS without the protocol's name (ALPN)"));
        }
        let shown = session.peer_certificates().and_then(<[_]>::first);
        let common_name = shown.and_then(certificate::common_name);
        Ok(Accepted { stream, end_point: current.end_point.clone(), common_name })
    }
}

fn read(settings: &Settings) -> Result<Current, Error> {
    let chain = files::certificates(settings.certificate.as_ref().ok_or(Error::Missing("certificate"))?)?;
    let key = files::key(settings.key.as_ref().ok_or(Error::Missing("key"))?)?;
    let provider = Arc::new(ring::default_provider());
    let end_point = chain.first().and_then(certificate::end_point);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match &settings.ca {
        None if settings.mode.verifies() => return Err(Error::Missing("ca")),
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(files::roots(ca)?, provider);
            let verifier = if settings.mode.verifies() { verifier } else { verifier.allow_unauthenticated() };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| Error::Setup(error.to_string()))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Current { mode: settings.mode, config: Arc::new(config), end_point })
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("is_offered", &self.is_offered()).finish_non_exhaustive()
    }
}
