//! The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), sans-I/O and without channel binding.
//!
//! The caller supplies nonces and mock secrets, so that nothing here draws random numbers.

mod exchange;
mod verifier;

pub use exchange::{ScramError, ServerExchange, nonce};
pub use verifier::Verifier;

/// The mechanism's name in AuthenticationSASL.
pub const MECHANISM: &str = "SCRAM-SHA-256";
