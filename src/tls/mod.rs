//! TLS on both sides of the proxy: what certificates are shown and believed, and how a connection gets encrypted.
//!
//! `settings` is what the configuration says; `acceptor` is the side that clients meet, `connector` the side that meets
//! servers; `trust` has the ways to believe a certificate that rustls does not bring; `certificate` reads what SCRAM's
//! channel binding and the login by certificate need. Knows nothing of PostgreSQL but the name of its protocol.

mod acceptor;
mod certificate;
mod connector;
mod files;
mod settings;
mod trust;

#[cfg(test)]
mod tests;

pub use acceptor::{Accepted, Acceptor};
pub use connector::{Connected, Connector};
pub use files::Error;
pub use settings::{Mode, Settings};

/// The name of PostgreSQL's protocol in ALPN, which direct TLS demands.
const ALPN: &[u8] = b"postgresql";
