//! The side that meets servers.

use std::fmt;
use std::io;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::net::TcpStream;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;

use super::files::{self, Error};
use super::trust::{AnyName, Anybody};
use super::{ALPN, Mode, Settings, certificate};

/// Asks servers for TLS; what it shows and believes can be changed while it works.
#[derive(Default)]
pub struct Connector {
    current: ArcSwapOption<Current>,
}

struct Current {
    mode: Mode,
    config: Arc<ClientConfig>,
}

/// A connection to a server, encrypted.
pub struct Connected {
    /// What it reads and writes by now.
    pub stream: TlsStream<TcpStream>,
    /// What SCRAM's channel binding is about; `None` where the server's certificate allows none.
    pub end_point: Option<Vec<u8>>,
}

impl Connector {
    /// Reads certificates and key as `settings` say. Fails with the file's name, and leaves what was in force then.
    pub fn load(&self, settings: &Settings) -> Result<(), Error> {
        let next = match settings.mode {
            Mode::Disable => None,
            Mode::Prefer | Mode::Require | Mode::VerifyCa | Mode::VerifyFull => Some(Arc::new(read(settings)?)),
        };
        self.current.store(next);
        Ok(())
    }

    /// Returns how much TLS servers are asked for.
    pub fn mode(&self) -> Mode {
        self.current.load().as_ref().map_or(Mode::Disable, |current| current.mode)
    }

    /// Returns the same for connections that the library `tokio-postgres` makes, and says in `config` whether they must
    /// have it.
    pub fn for_library(&self, config: &mut tokio_postgres::Config) -> Option<MakeRustlsConnect> {
        let current = self.current.load_full()?;
        config.ssl_mode(if current.mode.is_required() { SslMode::Require } else { SslMode::Prefer });
        Some(MakeRustlsConnect::new((*current.config).clone()))
    }

    /// Makes the handshake with a server that agreed to it; `host` is what its certificate must be for.
    ///
    /// The caller bounds the time.
    pub async fn connect(&self, stream: TcpStream, host: &str) -> io::Result<Connected> {
        let Some(current) = self.current.load_full() else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "TLS is not configured"));
        };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(Arc::clone(&current.config)).connect(name, stream).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let end_point = shown.and_then(certificate::end_point);
        Ok(Connected { stream, end_point })
    }
}

fn read(settings: &Settings) -> Result<Current, Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let verifier: Arc<dyn ServerCertVerifier> = match &settings.ca {
        None if settings.mode.verifies() => return Err(Error::Missing("ca")),
        Some(ca) if settings.mode.verifies() => {
            let verifier = WebPkiServerVerifier::builder_with_provider(files::roots(ca)?, provider)
                .build()
                .map_err(|error| Error::Setup(error.to_string()))?;
            if settings.mode == Mode::VerifyFull { verifier } else { Arc::new(AnyName(verifier)) }
        }
        None | Some(_) => Arc::new(Anybody(provider)),
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match (&settings.certificate, &settings.key) {
        (Some(chain), Some(key)) => builder.with_client_auth_cert(files::certificates(chain)?, files::key(key)?)?,
        (None, None) => builder.with_no_client_auth(),
        (Some(_), None) => return Err(Error::Missing("key")),
        (None, Some(_)) => return Err(Error::Missing("certificate")),
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Current { mode: settings.mode, config: Arc::new(config) })
}

/// Each is itself alone.
impl PartialEq for Connector {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Connector {}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("mode", &self.mode()).finish()
    }
}
