//! Clients that send nonsense: each is told or cut, and the others notice nothing.

use std::time::{Duration, Instant};

use crate::protocol::{RULES, both};
use crate::support::{Pipeline, Proxy, ProxyOptions, RawClient, TestDatabase};

const SSL: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const GSS: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];

/// Returns a start-up packet of any version and body.
fn start(version: u32, body: &[u8]) -> Vec<u8> {
    let length = body.len() as u32 + 8;
    [&length.to_be_bytes()[..], &version.to_be_bytes(), body].concat()
}

/// Sends bytes on a fresh connection and returns all that comes back until the proxy closes.
fn answer(proxy: &Proxy, bytes: &[u8]) -> String {
    let mut client = RawClient::dial(proxy.port());
    client.send_some(bytes);
    client.finish_sending();
    String::from_utf8_lossy(&client.read_to_end()).into_owned()
}

fn assert_serves(proxy: &Proxy) {
    assert_eq!(proxy.raw().simple("SELECT 1").rows().len(), 1);
}

async fn empty(label: &str, config: &str) -> (TestDatabase, Proxy) {
    let database = TestDatabase::new(label);
    let config = config.to_owned();
    let proxy = Proxy::start(&database, RULES, ProxyOptions { workers: 1, config, ..ProxyOptions::default() }).await;
    (database, proxy)
}

#[tokio::test]
async fn bad_starts_are_refused_one_by_one() {
    let (database, proxy) = empty("starts", "").await;
    let name = &database.name;
    let body = |user: &str, more: &str| format!("user\0{user}\0database\0{name}\0{more}\0").into_bytes();
    let told = [
        ("protocol 2", start(0x0002_0000, b""), "C0A000"),
        ("protocol 4", start(0x0004_0000, &body("app", "")), "C0A000"),
        ("no user", start(0x0003_0000, b"database\0shop\0\0"), "C28000"),
        ("an empty user", start(0x0003_0000, &body("", "")), "C28000"),
        ("no parameters", start(0x0003_0000, b"\0"), "C28000"),
        ("no end", start(0x0003_0000, b"user\0app"), "C08P01"),
        ("bytes behind the end", start(0x0003_0000, b"user\0app\0\0x"), "C08P01"),
        ("too long", start(0x0003_0000, &vec![b'x'; 10_001]), "C08P01"),
        ("too short", vec![0, 0, 0, 4, 0, 0, 0, 0], "C08P01"),
        ("a negative length", vec![0xff; 8], "C08P01"),
        ("three requests", [&SSL[..], &GSS, &SSL].concat(), "C08P01"),
        ("plaintext behind SSLRequest", [&SSL[..], &start(0x0003_0000, &body("app", ""))].concat(), "C08P01"),
        ("plaintext behind GSSENCRequest", [&GSS[..], b"x"].concat(), "C08P01"),
        ("an HTTP request", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "C08P01"),
    ];
    for (what, bytes, code) in told {
        let text = answer(&proxy, &bytes);
        assert!(text.contains(code) && text.contains("SFATAL"), "{what}: {text:?}");
    }
    assert_eq!(answer(&proxy, &start(80_877_102, &[0, 0, 0, 9, 1, 2, 3, 4])), "");
    assert!(answer(&proxy, &start(80_877_102, &[0, 0, 0, 9])).contains("C08P01"));
    assert_serves(&proxy);
}

#[tokio::test]
async fn encryption_is_declined_and_the_login_goes_on() {
    let (database, proxy) = empty("declined", "").await;
    let mut client = RawClient::dial(proxy.port());
    for request in [GSS, SSL] {
        client.send(&request);
        assert_eq!(client.byte(), b'N');
    }
    client.send(&start(0x0003_0000, format!("user\0app\0database\0{}\0\0", database.name).as_bytes()));
    client.log_in("app");
    assert_eq!(client.simple("SELECT 1").rows().len(), 1);
}

/// Returns the last error of a login attempt.
fn login_error(proxy: &Proxy, parameters: &[(&str, &str)], password: &str) -> (String, String, Duration) {
    let started = Instant::now();
    let (state, message) = RawClient::try_connect(proxy.port(), parameters, password).unwrap_err();
    (state, message, started.elapsed())
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_look_alike() {
    let (database, proxy) = empty("passwords", "").await;
    let attempt = |user, password| login_error(&proxy, &[("user", user), ("database", &database.name)], password);
    let (wrong, unknown) = (attempt("app", "wrong"), attempt("nobody", "wrong"));
    assert_eq!((wrong.0.as_str(), unknown.0.as_str()), ("28P01", "28P01"));
    assert_eq!(wrong.1.replace("app", "nobody"), unknown.1);
    let missing = login_error(&proxy, &[("user", "app"), ("database", "missing")], "app");
    assert_eq!(missing.0, "3D000");
    let parameters = [("user", "app"), ("database", database.name.as_str()), ("replication", "database")];
    assert_eq!(login_error(&proxy, &parameters, "app").0, "0A000");
    let parameters = [("user", "app"), ("database", database.name.as_str()), ("client_encoding", "LATIN1")];
    assert_eq!(login_error(&proxy, &parameters, "app").0, "0A000");
    let parameters = [("user", "app"), ("database", database.name.as_str()), ("options", "-c missing=1")];
    assert_eq!(login_error(&proxy, &parameters, "app").0, "42704");
    assert_serves(&proxy);
}

#[tokio::test]
async fn protocol_3_2_is_served_and_newer_ones_are_negotiated() {
    let (database, proxy) = empty("versions", "").await;
    for (version, negotiated) in [(0x0003_0002, false), (0x0003_0009, true)] {
        let mut client = RawClient::dial(proxy.port());
        client.send(&start(version, format!("user\0app\0database\0{}\0\0", database.name).as_bytes()));
        assert_eq!(client.log_in("app"), negotiated);
        assert_eq!(client.simple("SELECT 1").rows().len(), 1);
    }
}

#[tokio::test]
async fn bad_messages_end_their_own_session_only() {
    let (_database, proxy, _both) = both("messages", ProxyOptions { workers: 1, ..ProxyOptions::default() }).await;
    let pipeline = |kind, body: &[u8]| Pipeline::new().message(kind, body).0;
    let fatal = [
        ("an unknown type", pipeline(b'?', b"")),
        ("a length of 3", vec![b'Q', 0, 0, 0, 3]),
        ("a negative length", vec![b'Q', 0xff, 0xff, 0xff, 0xff]),
        ("a length over the bound", vec![b'Q', 0x3f, 0xff, 0xff, 0xff]),
    ];
    for (what, bytes) in fatal {
        let mut client = proxy.raw();
        client.send(&bytes);
        let text = String::from_utf8_lossy(&client.read_to_end()).into_owned();
        assert!(text.contains("SFATAL") && text.contains("C08P01"), "{what}: {text:?}");
        assert_serves(&proxy);
    }
}

/// Where the message's end is known, only the message fails: the rest of its pipeline is skipped, the next one runs.
#[tokio::test]
async fn bad_bodies_fail_their_own_pipeline_only() {
    let (_database, proxy, mut both) = both("bodies", ProxyOptions { workers: 1, ..ProxyOptions::default() }).await;
    let bodies: [(&str, u8, &[u8]); 13] = [
        ("a Query without its zero", b'Q', b"SELECT 1"),
        ("a Query with a zero inside", b'Q', b"SELECT 1\0; SELECT 2\0"),
        ("an empty body", b'Q', b""),
        ("a Parse that ends early", b'P', b"\0SELECT 1\0\0\x05"),
        ("a Bind with a negative value", b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xf0\0\0"),
        ("a Bind with a value past the end", b'B', b"\0\0\0\0\0\x01\0\0\0\x99ab\0\0"),
        ("a Bind with too few bytes", b'B', b"\0\0\0\0\0\x01\0\0\xff\xff"),
        ("a Bind of counts that differ", b'B', b"\0\0\0\x02\0\0\0\0\0\x01\xff\xff\xff\xff\0\0"),
        ("a Bind of many formats", b'B', b"\0\0\xff\xff\0\0"),
        ("an Execute without rows", b'E', b"\0"),
        ("a Describe of nothing", b'D', b"X\0"),
        ("a Close of nothing", b'C', b""),
        ("a FunctionCall without a function", b'F', b"\0\0"),
    ];
    for (what, kind, body) in bodies {
        let replies = if matches!(kind, b'Q' | b'F') { 2 } else { 1 };
        let prepare = Pipeline::new().parse("", "SELECT $1::int").sync();
        let bad = Pipeline::new().message(kind, body).run("SELECT 1", &[]).sync();
        for client in [&mut both.plain, &mut both.other] {
            prepare.send(client, 1);
            let answer = bad.send(client, replies);
            assert_eq!(answer[0].error().expect(what).0, "08P01", "{what}");
            assert_eq!(answer[0].rows().len(), 0, "{what}");
        }
        both.same("SELECT 1");
    }
    let mut client = proxy.raw();
    let bind =
        Pipeline::new().parse("", "SELECT $1::int").message(b'B', b"\0\0\0\x01\0\x07\0\x01\0\0\0\x011\0\0").sync();
    assert!(bind.send(&mut client, 1)[0].error().is_some());
    assert_eq!(client.simple("SELECT 1").rows().len(), 1);
    let replies = Pipeline::new().message(b'Q', b"SELECT '\xff'\0").query("SELECT 1").send(&mut client, 2);
    assert_eq!(replies[0].error().unwrap().0, "22021");
    assert_eq!(replies[1].rows().len(), 1);
}

#[tokio::test]
async fn logins_that_never_end_are_cut_and_places_are_counted() {
    let (_database, proxy) = empty("places", "limits: {login_timeout: 4s, max_clients: 20}").await;
    let mut idle: Vec<RawClient> = (0..20).map(|_| RawClient::dial(proxy.port())).collect();
    for client in &mut idle {
        client.send(&[0, 0, 0, 50, 0, 3]);
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    let parameters = [("user", "app"), ("database", "shardloom")];
    let mut refused = false;
    loop {
        match RawClient::try_connect(proxy.port(), &parameters, "app") {
            Ok(_) => break,
            Err((state, _)) => {
                assert_eq!(state, "53300");
                refused = true;
            }
        }
        assert!(Instant::now() < deadline, "half-open logins keep their places");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(refused, "all places were taken");
    for client in &mut idle {
        client.read_to_end();
    }
    assert_serves(&proxy);
}

/// Random bytes before and after the login, from a fixed seed: whatever comes back, the proxy lives and serves.
#[tokio::test]
async fn random_bytes_harm_nobody() {
    let (_database, proxy, _both) = both("noise", ProxyOptions { workers: 1, ..ProxyOptions::default() }).await;
    let mut noise = Noise(0x5eed_1234_5678_9abc);
    let deadline = Instant::now() + Duration::from_secs(4);
    let mut rounds = 0;
    while rounds < 20 || (Instant::now() < deadline && rounds < 400) {
        let mut stranger = RawClient::dial(proxy.port());
        stranger.send_some(&noise.bytes());
        stranger.finish_sending();
        let mut client = proxy.raw();
        for _ in 0..4 {
            client.send_some(&noise.message());
        }
        client.finish_sending();
        client.read_to_end();
        stranger.read_to_end();
        rounds += 1;
    }
    assert_serves(&proxy);
    assert!(!proxy.log().contains("panicked"), "{}", proxy.log());
}

/// A xorshift generator.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.next() % 200;
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// Returns a message with a right length and a body that is mostly wrong.
    fn message(&mut self) -> Vec<u8> {
        let kinds = b"QPBDECHSFXdcfp";
        let kind = kinds[(self.next() % kinds.len() as u64) as usize];
        let mut body = self.bytes();
        for byte in &mut body {
            if self.next().is_multiple_of(3) {
                *byte = 0;
            }
        }
        Pipeline::new().message(kind, &body).0
    }
}
