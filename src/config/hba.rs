//! `hba`: who may come in from where, and how they prove who they are. The first line that matches decides, as in
//! pg_hba.conf; without the key everybody proves a password by SCRAM.

use std::net::IpAddr;

use super::Auth;
use super::network::{NETWORK, Network};
use crate::yaml::{Field, Findings, Node, Record, Shape};

/// The word that matches every database or user.
const ALL: &str = "all";
/// The word that matches the database that is named like the user.
const SAME_USER: &str = "sameuser";

/// The lines in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hba {
    lines: Vec<Line>,
}

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// SCRAM-SHA-256.
    Scram,
    /// A hash of password and salt, for old clients; SCRAM where only a verifier is known.
    Md5,
    /// The name in its TLS certificate.
    Cert,
    /// Not at all.
    Trust,
    /// The name of its account in the operating system.
    Peer,
    /// It may not come in.
    Reject,
}

/// The way that a client came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// By a UNIX socket.
    Local,
    /// By TCP.
    Plain,
    /// By TCP and TLS.
    Tls,
}

/// A client at the door, as far as lines look at it.
#[derive(Debug, Clone, Copy)]
pub struct Approach<'a> {
    /// The way it came.
    pub transport: Transport,
    /// Where from; `None` by a UNIX socket, or when the connection is broken.
    pub address: Option<IpAddr>,
    /// The database it asks for.
    pub database: &'a str,
    /// The user it says it is.
    pub user: &'a str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    kind: Kind,
    databases: Vec<String>,
    users: Vec<String>,
    /// `None` is every address.
    network: Option<Network>,
    method: Method,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Local,
    Host,
    HostSsl,
    HostNoSsl,
}

const NAMES: Shape = Shape::ListOr { items: &Shape::Name, other: &Shape::Name };

pub(super) const LINE: Record = Record {
    what: "a line of hba",
    fields: &[
        Field::required(
            "type",
            Shape::Choice { words: &["local", "host", "hostssl", "hostnossl"], later: &["hostgssenc", "hostnogssenc"] },
            "The way clients come: local (UNIX socket), host (TCP), hostssl (TCP with TLS), hostnossl (TCP without).",
        ),
        Field::optional("database", NAMES, "A database or a list, all (default), or sameuser."),
        Field::optional("user", NAMES, "A user or a list, or all (default)."),
        Field::optional("address", Shape::Format(&NETWORK), "Addresses as 10.0.0.0/8; all by default; not for local."),
        Field::required(
            "method",
            Shape::Choice {
                words: &["scram-sha-256", "md5", "cert", "trust", "peer", "reject"],
                later: &["password", "gss", "sspi", "ident", "ldap", "radius", "pam", "bsd"],
            },
            "How they prove who they are; md5 and, over TCP, trust must be allowed in auth.",
        ),
    ],
};

impl Default for Hba {
    fn default() -> Self {
        let line = |kind| Line { kind, databases: all(), users: all(), network: None, method: Method::Scram };
        Self { lines: vec![line(Kind::Local), line(Kind::Host)] }
    }
}

impl Hba {
    /// Returns the method of the first line that matches; `None` when none does, which means no entry.
    pub fn method(&self, approach: &Approach<'_>) -> Option<Method> {
        self.lines.iter().find(|line| line.matches(approach)).map(|line| line.method)
    }

    /// Reads the list whose shape was checked; each line must make sense and be allowed by `auth`.
    pub(super) fn read(list: Option<&Node>, auth: &Auth, findings: &mut Findings) -> Self {
        let Some(list) = list else { return Self::default() };
        Self { lines: list.items().iter().filter_map(|node| Line::read(node, auth, findings)).collect() }
    }
}

impl Line {
    fn read(node: &Node, auth: &Auth, findings: &mut Findings) -> Option<Self> {
        let network = match node.get("address").and_then(Node::text) {
            None | Some(ALL) => None,
            Some(text) => Some(Network::parse(text)?),
        };
        let kind = Kind::read(node.get("type")?.text()?)?;
        let method = Method::read(node.get("method")?.text()?)?;
        let line =
            Self { kind, databases: names(node.get("database")), users: names(node.get("user")), network, method };
        if let Some(message) = line.fault(node.get("address").is_some(), auth) {
            findings.report(&node.place, message);
        }
        if let Some(name) = node.get("user").filter(|_| line.users.iter().any(|name| name.starts_with('+'))) {
            findings.report(&name.place, "roles of members (\"+name\") are not known to the proxy: name the users");
        }
        Some(line)
    }

    /// Tells what is wrong with a line as a whole.
    fn fault(&self, has_address: bool, auth: &Auth) -> Option<&'static str> {
        let local = self.kind == Kind::Local;
        if local && has_address {
            return Some("a line of type local has no \"address\"");
        }
        match self.method {
            Method::Md5 if !auth.allow_md5 => Some("method md5 is weak: say \"allow_md5: true\" in \"auth\" first"),
            Method::Trust if !local && !auth.allow_trust => {
                Some("method trust lets anybody in over TCP: say \"allow_trust: true\" in \"auth\" first")
            }
            Method::Peer if !local => Some("method peer is for type local"),
            Method::Cert if self.kind != Kind::HostSsl => Some("method cert is for type hostssl"),
            Method::Scram | Method::Md5 | Method::Cert | Method::Trust | Method::Peer | Method::Reject => None,
        }
    }

    fn matches(&self, approach: &Approach<'_>) -> bool {
        let same_user = |name: &str| name == SAME_USER && approach.database == approach.user;
        self.kind.takes(approach.transport)
            && self.databases.iter().any(|name| name == ALL || name == approach.database || same_user(name))
            && self.users.iter().any(|name| name == ALL || name == approach.user)
            && self.network.is_none_or(|network| approach.address.is_some_and(|address| network.contains(address)))
    }
}

impl Kind {
    fn read(word: &str) -> Option<Self> {
        Some(match word {
            "local" => Self::Local,
            "host" => Self::Host,
            "hostssl" => Self::HostSsl,
            "hostnossl" => Self::HostNoSsl,
            _ => return None,
        })
    }

    fn takes(self, transport: Transport) -> bool {
        match self {
            Self::Local => transport == Transport::Local,
            Self::Host => transport != Transport::Local,
            Self::HostSsl => transport == Transport::Tls,
            Self::HostNoSsl => transport == Transport::Plain,
        }
    }
}

impl Method {
    fn read(word: &str) -> Option<Self> {
        Some(match word {
            "scram-sha-256" => Self::Scram,
            "md5" => Self::Md5,
            "cert" => Self::Cert,
            "trust" => Self::Trust,
            "peer" => Self::Peer,
            "reject" => Self::Reject,
            _ => return None,
        })
    }
}

fn all() -> Vec<String> {
    vec![ALL.to_owned()]
}

fn names(node: Option<&Node>) -> Vec<String> {
    let Some(node) = node else { return all() };
    match node.text() {
        Some(name) => vec![name.to_owned()],
        None => node.items().iter().filter_map(Node::text).map(str::to_owned).collect(),
    }
}

#[cfg(test)]
#[path = "hba_tests.rs"]
mod tests;
