//! `tls`, on the side of clients (`listen.tls`) and on that of servers (`server_tls`).

use std::path::PathBuf;

use crate::tls::{Mode, Settings};
use crate::yaml::{Field, Findings, Node, Record, Shape};

/// Which side a section is about: they need different files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The proxy is what answers.
    Clients,
    /// The proxy is what asks.
    Servers,
}

pub(super) const TLS: Record = Record {
    what: "tls",
    fields: &[
        Field::optional(
            "mode",
            Shape::Choice { words: &Mode::WORDS, later: &[] },
            "disable, prefer, require, verify-ca or verify-full, as libpq's sslmode; default disable.",
        ),
        Field::optional("certificate", Shape::Text, "PEM file of the proxy's certificate and those up to the CA."),
        Field::optional("key", Shape::Text, "PEM file of its private key."),
        Field::optional("ca", Shape::Text, "PEM file of the certificates that must have signed the other end's."),
    ],
};

/// Reads a section whose shape was checked. The files are read later: their contents may change while the proxy runs.
pub(super) fn read_tls(node: Option<&Node>, side: Side, findings: &mut Findings) -> Settings {
    let Some(node) = node else { return Settings::default() };
    let file = |key| node.get(key).and_then(Node::text).map(PathBuf::from);
    let mode = node.get("mode").and_then(Node::text).and_then(Mode::from_word).unwrap_or_default();
    let settings = Settings { mode, certificate: file("certificate"), key: file("key"), ca: file("ca") };
    let mut miss = |what: &str| {
        findings.report(&node.place, format!("tls with mode {} needs a \"{what}\"", Mode::WORDS[mode as usize]));
    };
    if mode != Mode::Disable && side == Side::Clients && settings.certificate.is_none() {
        miss("certificate");
    }
    if settings.certificate.is_some() && settings.key.is_none()
        || mode != Mode::Disable && side == Side::Clients && settings.key.is_none()
    {
        miss("key");
    }
    if settings.key.is_some() && settings.certificate.is_none() && side == Side::Servers {
        miss("certificate");
    }
    if mode.verifies() && settings.ca.is_none() {
        miss("ca");
    }
    settings
}
