//! TLS to clients and to servers, with real libpq and real servers, and the UNIX socket beside it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use shardloom::dev::{APP_PASSWORD, APP_USER, Account, DevCluster, DevOptions};
use shardloom::tls::{Connector, Mode, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::protocol::RULES;
use crate::support::{Proxy, ProxyOptions, TestDatabase};

/// SSLRequest, whole.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A CA and a folder for what it signs, which servers may enter; gone with it.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("shardloom-ca-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("the folder");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, format!("test authority {name}"));
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA");
        fs::write(folder.join("ca.pem"), issuer.pem()).expect("the CA's file");
        Self { issuer, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Signs a certificate for `localhost`; its files are named after its common name.
    fn sign(&self, common_name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, common_name);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let files = (self.file(&format!("{common_name}.pem")), self.file(&format!("{common_name}.key")));
        fs::write(&files.0, certificate.pem()).expect("the certificate's file");
        fs::write(&files.1, key.serialize_pem()).expect("the key's file");
        let private: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&files.1, private).expect("a private key");
        files
    }

    /// Returns `tls: {…}` for the side of clients.
    fn listen(&self, mode: &str) -> String {
        let (certificate, key) = self.sign("proxy");
        let ca = self.file("ca.pem");
        format!(
            "tls: {{mode: {mode}, certificate: \"{}\", key: \"{}\", ca: \"{}\"}}",
            certificate.display(),
            key.display(),
            ca.display()
        )
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Asks one query with psql; the first word of the answer, or what it complains of.
fn psql(port: u16, more: &str, sql: &str) -> Result<String, String> {
    let connection = format!("port={port} user={APP_USER} dbname=postgres connect_timeout=10 {more}");
    let run = Command::new("psql")
        .args(["-X", "-A", "-t", "-d", &connection, "-c", sql])
        .env("PGPASSWORD", APP_PASSWORD)
        .stdin(Stdio::null())
        .output()
        .expect("psql");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if run.status.success() { Ok(text(&run.stdout)) } else { Err(text(&run.stderr)) }
}

async fn proxy(listen: String, users: String) -> (TestDatabase, Proxy) {
    let database = TestDatabase::new("encrypted");
    let config = "passthrough: any".to_owned();
    let options = ProxyOptions { listen, users, config, ..ProxyOptions::default() };
    let proxy = Proxy::start(&database, RULES, options).await;
    (database, proxy)
}

#[tokio::test]
async fn libpq_comes_in_by_tls_with_channel_binding_and_not_without_where_tls_is_required() {
    let (authority, other) = (Authority::new("clients"), Authority::new("strangers"));
    let (_database, proxy) = proxy(authority.listen("require"), String::new()).await;
    let root = |authority: &Authority| format!("sslrootcert={}", authority.file("ca.pem").display());
    let full = format!("host=localhost sslmode=verify-full {}", root(&authority));
    assert_eq!(psql(proxy.port(), &full, "SELECT 7"), Ok("7".to_owned()));
    assert_eq!(psql(proxy.port(), &format!("{full} channel_binding=require"), "SELECT 8"), Ok("8".to_owned()));
    let refused = psql(proxy.port(), "host=127.0.0.1 sslmode=disable", "SELECT 1").expect_err("no TLS");
    assert!(refused.contains("takes no connection without TLS"), "{refused}");
    let stranger = format!("host=localhost sslmode=verify-ca {}", root(&other));
    let refused = psql(proxy.port(), &stranger, "SELECT 1").expect_err("another CA");
    assert!(refused.contains("certificate verify failed"), "{refused}");
    // Large results and statements, in both directions.
    let sql = format!(
        "SELECT length('{}'), count(*), sum(length(repeat('x', 1000))) FROM generate_series(1, 3000)",
        "y".repeat(100_000)
    );
    assert_eq!(psql(proxy.port(), &full, &sql), Ok("100000|3000|3000000".to_owned()));
    let wide = psql(proxy.port(), &full, "SELECT repeat('z', 900) FROM generate_series(1, 2000)").expect("rows");
    assert_eq!(wide.lines().filter(|line| line.len() == 900).count(), 2000);
}

#[tokio::test]
async fn nothing_said_in_the_clear_counts_under_tls() {
    let authority = Authority::new("stuffed");
    let (_database, proxy) = proxy(authority.listen("prefer"), String::new()).await;
    let mut stuffed = TcpStream::connect(("127.0.0.1", proxy.port())).await.expect("a connection");
    stuffed.write_all(&[&SSL_REQUEST[..], b"\0\0\0\x08nonsense"].concat()).await.expect("sent");
    let mut heard = Vec::new();
    let _ = stuffed.read_to_end(&mut heard).await;
    assert_ne!(heard.first(), Some(&b'S'), "{heard:?}");
    assert_eq!(psql(proxy.port(), "host=127.0.0.1 sslmode=disable", "SELECT 1"), Ok("1".to_owned()));
    // A second request, inside of TLS, is not answered with more of it.
    let connector = Connector::default();
    connector.load(&Settings { mode: Mode::Require, ..Settings::default() }).expect("no files");
    let tcp = TcpStream::connect(("127.0.0.1", proxy.port())).await.expect("a connection");
    // Direct: the handshake comes first, with the protocol's name in it.
    let mut direct = connector.connect(tcp, "localhost").await.expect("direct TLS").stream;
    direct.write_all(&SSL_REQUEST).await.expect("sent");
    direct.flush().await.expect("sent");
    assert_eq!(direct.read_u8().await.expect("an answer"), b'N');
}

#[tokio::test]
async fn a_certificate_is_a_login_for_whom_it_names() {
    let authority = Authority::new("login");
    let users = "- {name: carol, certificate: true, shard_user: app, shard_password: \"env:APP_PASSWORD\"}".to_owned();
    let (_database, proxy) = proxy(authority.listen("prefer"), users).await;
    let with = |name: &str| {
        let (certificate, key) = authority.sign(name);
        format!("host=localhost user=carol sslmode=require sslcert={} sslkey={}", certificate.display(), key.display())
    };
    assert_eq!(psql(proxy.port(), &with("carol"), "SELECT current_user"), Ok("app".to_owned()));
    for refused in [with("mallory"), "host=localhost user=carol sslmode=require sslcert=/none".to_owned()] {
        let error = psql(proxy.port(), &refused, "SELECT 1").expect_err("not carol");
        assert!(error.contains("certificate authentication failed for user \"carol\""), "{error}");
    }
}

#[tokio::test]
async fn a_unix_socket_serves_clients_of_the_machine_and_goes_with_the_proxy() {
    let folder = std::env::temp_dir().join(format!("shardloom-local-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the folder");
    let (_database, proxy) = proxy(format!("unix_socket: \"{}\"", folder.display()), String::new()).await;
    let local = format!("host={}", folder.display());
    assert_eq!(psql(proxy.port(), &local, "SELECT 9"), Ok("9".to_owned()));
    assert_eq!(psql(proxy.port(), &local, "SELECT count(*) FROM generate_series(1, 50000)"), Ok("50000".to_owned()));
    let wrong = Command::new("psql")
        .args(["-X", "-d", &format!("{local} port={} user={APP_USER} dbname=postgres", proxy.port()), "-c", "SELECT 1"])
        .env("PGPASSWORD", "wrong")
        .output()
        .expect("psql");
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("password authentication failed"), "{wrong:?}");
    fs::remove_dir_all(&folder).expect("gone");
}

/// Servers that take TLS, with a certificate of `authority`.
fn encrypted_servers(authority: &Authority) -> DevCluster {
    let (certificate, key) = authority.sign("server");
    let account = Account::find().expect("an account for servers");
    let own = authority.file("servers.key");
    fs::set_permissions(&authority.folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("open");
    let mut copy = account.command(Path::new("/bin/sh"));
    let mut copying = copy
        .args(["-c", &format!("umask 077; cat > {}", own.display())])
        .stdin(Stdio::piped())
        .spawn()
        .expect("a shell");
    let secret = fs::read(&key).expect("the key");
    copying.stdin.take().expect("a pipe").write_all(&secret).expect("written");
    assert!(copying.wait().expect("done").success());
    let option = |name: &str, value: &str| format!("{name}={value}").parse().expect("a setting");
    let server_options = vec![
        option("ssl", "on"),
        option("ssl_cert_file", &certificate.display().to_string()),
        option("ssl_key_file", &own.display().to_string()),
    ];
    let options = DevOptions { shards: 2, data: None, database: "secured".to_owned(), server_options };
    std::thread::spawn(move || DevCluster::up(&options, &mut |_| {}).expect("the servers")).join().expect("a thread")
}

#[tokio::test]
async fn servers_are_reached_by_tls_and_only_with_the_right_ca() {
    let authority = Authority::new("servers");
    let cluster = encrypted_servers(&authority);
    let config = |ca: &Path| format!("passthrough: any\nserver_tls: {{mode: verify-ca, ca: \"{}\"}}", ca.display());
    let options = ProxyOptions { config: config(&authority.file("ca.pem")), ..ProxyOptions::default() };
    let proxy = Proxy::start_on(&cluster, RULES, options).await;
    let asked = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(psql(proxy.port(), "host=127.0.0.1", asked), Ok("t".to_owned()));
    let sharded = psql(proxy.port(), "host=127.0.0.1 dbname=secured", asked);
    assert_eq!(sharded, Ok("t".to_owned()));
    // A cancel request reaches the server by TLS as well: the statement ends at once.
    let timed = psql(proxy.port(), "host=127.0.0.1", "SET statement_timeout = '200ms'; SELECT pg_sleep(30)");
    assert!(timed.expect_err("too long").contains("statement timeout"));
    drop(proxy);
    let stranger = Authority::new("wrong");
    let connector = Connector::default();
    connector
        .load(&Settings { mode: Mode::VerifyCa, ca: Some(stranger.file("ca.pem")), ..Settings::default() })
        .expect("its CA");
    let mut tcp = TcpStream::connect(("127.0.0.1", cluster.shards()[0].port())).await.expect("a connection");
    tcp.write_all(&SSL_REQUEST).await.expect("sent");
    assert_eq!(tcp.read_u8().await.expect("an answer"), b'S');
    assert!(connector.connect(tcp, "127.0.0.1").await.is_err(), "another CA signed it");
}

/// Goal: lines of `hba` tell TLS, TCP and the UNIX socket apart, and certificates and accounts are proofs there.
#[tokio::test]
async fn lines_of_hba_tell_the_ways_apart() {
    let (authority, database) = (Authority::new("ways"), TestDatabase::new("ways"));
    let listen = format!("{}, unix_socket: \"{}\"", authority.listen("prefer"), authority.folder.display());
    let account = Command::new("id").arg("-un").output().expect("id").stdout;
    let account = String::from_utf8(account).expect("a name").trim().to_owned();
    let users =
        format!("- {{name: \"{account}\", password: x, shard_user: app, shard_password: \"env:APP_PASSWORD\"}}");
    let config = format!(
        "passthrough: any\nhba:\n\
         - {{type: hostssl, database: postgres, method: cert}}\n\
         - {{type: hostssl, method: reject}}\n\
         - {{type: local, database: postgres, method: peer}}\n\
         - {{type: local, database: template1, method: trust}}\n\
         - {{type: hostnossl, database: {}, method: scram-sha-256}}\n",
        database.name
    );
    let proxy = Proxy::start(&database, RULES, ProxyOptions { listen, users, config, ..ProxyOptions::default() }).await;
    let asked = |more: &str| psql(proxy.port(), more, "SELECT current_user");
    let with = |name: &str| {
        let (certificate, key) = authority.sign(name);
        format!("host=localhost sslmode=require sslcert={} sslkey={}", certificate.display(), key.display())
    };
    assert_eq!(asked(&with("app")), Ok("app".to_owned()));
    let local = format!("host={}", authority.folder.display());
    assert_eq!(asked(&format!("{local} user={account}")), Ok("app".to_owned()));
    assert_eq!(asked(&format!("{local} dbname=template1 user=app password=none")), Ok("app".to_owned()));
    let plain = "host=127.0.0.1 sslmode=disable";
    for (more, expected) in [
        (with("mallory"), "certificate authentication failed for user \"app\""),
        (format!("{} dbname={}", with("app"), database.name), "an entry of \"hba\" rejects host \"127.0.0.1\""),
        (local, "peer authentication failed for user \"app\""),
        (
            plain.to_owned(),
            "no entry of \"hba\" is for host \"127.0.0.1\", user \"app\", database \"postgres\", no enc",
        ),
    ] {
        let error = asked(&more).expect_err(&more);
        assert!(error.contains(expected), "{more}: {error}");
    }
    assert_eq!(asked(&format!("{plain} dbname={}", database.name)), Ok("app".to_owned()));
}
