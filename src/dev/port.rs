//! Free ports on loopback.

use std::net::{Ipv4Addr, TcpListener};

use super::error::Error;

/// Ports are drawn from here: below Linux's ephemeral range (32768 and up), so that no outgoing connection takes a
/// port between our look and the server's bind.
const RANGE: std::ops::Range<u16> = 20_000..30_000;
/// Draws before giving up: with half of the range taken, 64 failures in a row have a chance of 2^-64.
const TRIES_MAX: u32 = 64;

/// Returns a port on 127.0.0.1 that nobody listens on now. Another process may take it before its user does.
pub fn free_port() -> Result<u16, Error> {
    (0..TRIES_MAX).map(|_| rand::random_range(RANGE)).find(|port| is_free(*port)).ok_or(Error::NoPort(TRIES_MAX))
}

/// Tells whether `port` on 127.0.0.1 can be bound now.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::dev::process::POLL;

    #[test]
    fn a_taken_port_is_not_free_and_a_released_one_is() {
        let port = free_port().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(!is_free(port));
        drop(listener);
        // A child that another test is just starting holds the socket from fork to exec.
        let deadline = Instant::now() + Duration::from_secs(5);
        while !is_free(port) && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        assert!(is_free(port));
    }
}
