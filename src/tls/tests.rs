//! TLS between an [`Acceptor`] and a [`Connector`] over loopback, with certificates made for each test.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Accepted, Acceptor, Connected, Connector, Error, Mode, Settings};

/// A CA of its own, and a folder for what it signs; gone with it.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("shardloom-tls-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, format!("test authority {name}"));
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    fn ca(&self) -> Option<PathBuf> {
        Some(self.folder.join("ca.pem"))
    }

    /// Signs a certificate for a host and a common name; returns the settings that show it.
    fn sign(&self, mode: Mode, host: &str, common_name: &str) -> Settings {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |kind: &str| self.folder.join(format!("{common_name}.{kind}.pem"));
        fs::write(file("certificate"), certificate.pem()).unwrap();
        fs::write(file("key"), key.serialize_pem()).unwrap();
        Settings { mode, certificate: Some(file("certificate")), key: Some(file("key")), ca: None }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn acceptor(settings: &Settings) -> Acceptor {
    let acceptor = Acceptor::default();
    acceptor.load(settings).unwrap();
    acceptor
}

fn connector(mode: Mode, ca: Option<PathBuf>) -> Connector {
    let connector = Connector::default();
    connector.load(&Settings { mode, ca, ..Settings::default() }).unwrap();
    connector
}

/// Makes one handshake; `None` where it failed on that side.
async fn meet(acceptor: &Acceptor, connector: &Connector, host: &str) -> (Option<Accepted>, Option<Connected>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let (accepted, connected) = tokio::join!(acceptor.accept(server, true), async {
        let mut connected = connector.connect(client, host).await.ok()?;
        // TLS 1.3 tells a client only now that its certificate was refused.
        connected.stream.write_all(b"x").await.ok()?;
        connected.stream.flush().await.ok()?;
        Some(connected)
    });
    (accepted.ok(), connected)
}

#[tokio::test]
async fn both_sides_agree_on_what_the_channel_is_bound_to() {
    let authority = Authority::new("bound");
    let acceptor = acceptor(&authority.sign(Mode::Require, "localhost", "proxy"));
    let connector = connector(Mode::VerifyFull, authority.ca());
    let (accepted, connected) = meet(&acceptor, &connector, "localhost").await;
    let (mut accepted, connected) = (accepted.unwrap(), connected.unwrap());
    assert_eq!(accepted.stream.read_u8().await.unwrap(), b'x');
    assert_eq!(accepted.end_point.as_ref().unwrap().len(), 32);
    assert_eq!(accepted.end_point, connected.end_point);
    assert_eq!(accepted.common_name, None);
}

#[tokio::test]
async fn each_mode_believes_what_libpq_believes() {
    let (authority, other) = (Authority::new("mode"), Authority::new("other"));
    let acceptor = acceptor(&authority.sign(Mode::Prefer, "localhost", "proxy"));
    for (mode, ca, host, holds) in [
        (Mode::Require, None, "elsewhere", true),
        (Mode::VerifyCa, authority.ca(), "elsewhere", true),
        (Mode::VerifyCa, other.ca(), "localhost", false),
        (Mode::VerifyFull, authority.ca(), "localhost", true),
        (Mode::VerifyFull, authority.ca(), "elsewhere", false),
        (Mode::VerifyFull, other.ca(), "localhost", false),
    ] {
        let (_, connected) = meet(&acceptor, &connector(mode, ca), host).await;
        assert_eq!(connected.is_some(), holds, "{mode:?} {host}");
    }
}

#[tokio::test]
async fn clients_must_show_a_certificate_of_the_ca_where_that_is_demanded() {
    let (authority, other) = (Authority::new("client"), Authority::new("stranger"));
    let mut settings = authority.sign(Mode::VerifyCa, "localhost", "proxy");
    settings.ca = authority.ca();
    let acceptor = acceptor(&settings);
    let shows = |own: Settings| {
        let connector = Connector::default();
        connector.load(&own).unwrap();
        connector
    };
    let (accepted, _) = meet(&acceptor, &shows(authority.sign(Mode::Require, "x", "app")), "localhost").await;
    assert_eq!(accepted.unwrap().common_name.as_deref(), Some("app"));
    assert!(meet(&acceptor, &shows(other.sign(Mode::Require, "x", "app")), "localhost").await.0.is_none());
    assert!(meet(&acceptor, &connector(Mode::Require, None), "localhost").await.0.is_none());
}

#[tokio::test]
async fn renewed_files_are_in_force_for_the_next_client_and_broken_ones_are_not() {
    let authority = Authority::new("renewed");
    let settings = authority.sign(Mode::Require, "localhost", "proxy");
    let acceptor = acceptor(&settings);
    let connector = connector(Mode::Require, None);
    let end_point = async || meet(&acceptor, &connector, "localhost").await.1.unwrap().end_point;
    let first = end_point().await;
    authority.sign(Mode::Require, "localhost", "proxy");
    acceptor.load(&settings).unwrap();
    let second = end_point().await;
    assert_ne!(first, second);
    fs::write(settings.certificate.as_ref().unwrap(), "nothing").unwrap();
    assert!(matches!(acceptor.load(&settings), Err(Error::File { .. })));
    assert_eq!(end_point().await, second);
}

#[test]
fn what_is_missing_is_named() {
    let settings = Settings { mode: Mode::Require, ..Settings::default() };
    assert!(matches!(Acceptor::default().load(&settings), Err(Error::Missing("certificate"))));
    let settings = Settings { mode: Mode::VerifyFull, ..Settings::default() };
    assert!(matches!(Connector::default().load(&settings), Err(Error::Missing("ca"))));
    let gone = Settings { ca: Some(Path::new("/nowhere/ca.pem").to_owned()), ..settings };
    assert!(Connector::default().load(&gone).unwrap_err().to_string().starts_with("/nowhere/ca.pem: "));
}
