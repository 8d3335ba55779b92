//! Who may ask: loopback without a token, with one from anywhere; never a web page of another site.
//!
//! A page in the operator's browser can send requests to 127.0.0.1, and by DNS rebinding even read the answers. Such
//! requests carry the other site's name in `Host` or `Origin`: without a token both must name this machine.

use std::net::{IpAddr, SocketAddr};

use subtle::ConstantTimeEq;

/// Why a request is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// `Host` or `Origin` is not this machine.
    ForeignPage,
    /// The token is missing or wrong.
    Token,
}

/// The rule of one listener.
#[derive(Debug, Clone)]
pub struct Guard {
    token: Option<String>,
}

/// The headers that decide.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// `Host`.
    pub host: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// `Authorization`.
    pub authorization: Option<&'a str>,
}

impl Guard {
    /// Makes the rule; fails when `address` is not loopback and there is no token.
    pub fn new(address: SocketAddr, token: Option<String>) -> Result<Self, String> {
        let token = token.filter(|token| !token.is_empty());
        if token.is_none() && !address.ip().is_loopback() {
            return Err(format!(
                "the admin address {address} is not loopback: give admin.token, or listen on 127.0.0.1"
            ));
        }
        Ok(Self { token })
    }

    /// Decides about one request.
    pub fn check(&self, asked: Asked<'_>) -> Result<(), Denied> {
        match &self.token {
            Some(token) => match asked.authorization.and_then(|value| value.strip_prefix("Bearer ")) {
                Some(given) if given.as_bytes().ct_eq(token.as_bytes()).into() => Ok(()),
                Some(_) | None => Err(Denied::Token),
            },
            None => {
                let host_is_ours = asked.host.is_some_and(names_this_machine);
                let origin_is_ours = asked.origin.is_none_or(origin_names_this_machine);
                if host_is_ours && origin_is_ours { Ok(()) } else { Err(Denied::ForeignPage) }
            }
        }
    }
}

fn origin_names_this_machine(origin: &str) -> bool {
    origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")).is_some_and(names_this_machine)
}

/// Reads `host`, `host:port`, `[v6]` and `[v6]:port`.
fn names_this_machine(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, after)) if after.is_empty() || is_port(after) => host,
            Some(_) | None => return false,
        },
        None => match authority.find(':') {
            Some(colon) if is_port(&authority[colon..]) => &authority[..colon],
            Some(_) => return false,
            None => authority,
        },
    };
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> Guard {
        Guard::new("127.0.0.1:6433".parse().unwrap(), None).unwrap()
    }

    #[test]
    fn any_other_address_needs_a_token() {
        let everywhere: SocketAddr = "0.0.0.0:6433".parse().unwrap();
        assert!(Guard::new(everywhere, None).is_err());
        assert!(Guard::new(everywhere, Some(String::new())).is_err());
        assert!(Guard::new(everywhere, Some("t".into())).is_ok());
        assert!(Guard::new("[::1]:6433".parse().unwrap(), None).is_ok());
    }

    #[test]
    fn loopback_names_pass_and_others_do_not() {
        for host in ["127.0.0.1:6433", "localhost:1", "LOCALHOST", "[::1]:6433", "[::1]", "127.9.9.9"] {
            assert_eq!(loopback().check(Asked { host: Some(host), ..Asked::default() }), Ok(()), "{host}");
        }
        for host in ["evil.example:6433", "127.0.0.1.evil.example", "localhost:x", "[::1]x", "", "10.0.0.1", "::1"] {
            let asked = Asked { host: Some(host), ..Asked::default() };
            assert_eq!(loopback().check(asked), Err(Denied::ForeignPage), "{host}");
        }
        assert_eq!(loopback().check(Asked::default()), Err(Denied::ForeignPage));
    }

    #[test]
    fn a_foreign_origin_is_turned_away_even_with_a_good_host() {
        let asked = |origin| Asked { host: Some("127.0.0.1:6433"), origin: Some(origin), authorization: None };
        assert_eq!(loopback().check(asked("http://localhost:6433")), Ok(()));
        for origin in ["http://evil.example", "null", "file://", "http://localhost:6433.evil.example"] {
            assert_eq!(loopback().check(asked(origin)), Err(Denied::ForeignPage), "{origin}");
        }
    }

    #[test]
    fn a_token_is_compared_whole() {
        let guard = Guard::new("0.0.0.0:1".parse().unwrap(), Some("secret".into())).unwrap();
        let asked = |authorization| Asked { authorization, ..Asked::default() };
        assert_eq!(guard.check(asked(Some("Bearer secret"))), Ok(()));
        for wrong in [None, Some("Bearer secre"), Some("Bearer secret2"), Some("secret"), Some("Bearer ")] {
            assert_eq!(guard.check(asked(wrong)), Err(Denied::Token), "{wrong:?}");
        }
    }
}
