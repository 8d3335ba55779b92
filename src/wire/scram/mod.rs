//! The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), sans-I/O and without channel binding; and the client's side
//! for one that has keys instead of a password.
//!
//! The caller supplies nonces and mock secrets, so that nothing here draws random numbers.

mod client;
mod exchange;
mod verifier;

pub use client::{ClientExchange, ScramKeys};
pub use exchange::{ScramError, ServerExchange, nonce};
pub use verifier::Verifier;

/// The mechanism's name in AuthenticationSASL.
pub const MECHANISM: &str = "SCRAM-SHA-256";
