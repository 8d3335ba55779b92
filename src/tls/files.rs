//! Certificates and keys in PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, RootCertStore};

/// Why TLS cannot be set up; names the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings name no file for something that the mode needs.
    #[error("TLS needs a {0}")]
    Missing(&'static str),
    /// The file cannot be read or is not PEM.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// Certificate, key and CA do not make a configuration.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

impl From<rustls::Error> for Error {
    fn from(error: rustls::Error) -> Self {
        Self::Setup(error.to_string())
    }
}

fn blame(path: &Path, cause: impl ToString) -> Error {
    Error::File { path: path.to_owned(), cause: cause.to_string() }
}

/// Reads all certificates of a file; fails if there is none.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| blame(path, error))?.collect();
    let certificates = certificates.map_err(|error| blame(path, error))?;
    if certificates.is_empty() { Err(blame(path, "no certificate in it")) } else { Ok(certificates) }
}

/// Reads the first private key of a file.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| blame(path, error))
}

/// Reads the certificates that are believed.
pub(super) fn roots(path: &Path) -> Result<Arc<RootCertStore>, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| blame(path, error))?;
    }
    Ok(Arc::new(roots))
}
