//! The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), sans-I/O, with the channel binding
//! `tls-server-end-point` as SCRAM-SHA-256-PLUS; and the client's side for one that has keys instead of a password.
//!
//! The caller supplies nonces and mock secrets, so that nothing here draws random numbers.

mod client;
mod exchange;
mod verifier;

pub use client::{ClientExchange, ScramKeys};
pub use exchange::{Binding, ScramError, ServerExchange, nonce};
pub use verifier::Verifier;

/// The mechanism's name in AuthenticationSASL.
pub const MECHANISM: &str = "SCRAM-SHA-256";
/// The name of the one with channel binding, which is offered under TLS.
pub const MECHANISM_PLUS: &str = "SCRAM-SHA-256-PLUS";
