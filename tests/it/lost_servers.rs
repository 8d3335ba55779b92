//! Servers that die between any two messages, or in the middle of one, and servers that talk nonsense.
//!
//! The client gets what came before, then one error of class 08, and goes on; nobody else notices, and no connection
//! in doubt is used again. A client whose transaction is lost, or to whom a part of a row was sent, is closed.

use crate::protocol::{RULES, both};
use crate::support::{
    Cutter, Event, Harm, Pipeline, Proxy, ProxyOptions, RawClient, Reply, SERVICE_PASSWORD, Shards, TestDatabase,
    event, servers,
};

/// A database of home that is passed through, reached over a relay.
struct Relayed {
    cutter: Cutter,
    proxy: Proxy,
    database: TestDatabase,
    _sharded: TestDatabase,
}

impl Relayed {
    async fn open(label: &str) -> Self {
        let (database, sharded) = (TestDatabase::new(label), TestDatabase::new("relayed"));
        let home = servers().shards[0].port();
        let cutter = Cutter::before(home);
        let topology = sharded.topology().replace(&format!(":{home}\""), &format!(":{}\"", cutter.port()));
        let shards = Shards { database: sharded.name.clone(), topology, service_password: SERVICE_PASSWORD.to_owned() };
        let config = "passthrough: any\npool: {size: 2}".to_owned();
        let options = ProxyOptions { workers: 1, config, ..ProxyOptions::default() };
        let proxy = Proxy::start_over(shards, RULES, options).await;
        let direct = database.shard(0).await;
        direct.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v text)").await.expect("the table");
        direct.batch_execute("INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, 3) i").await.expect("rows");
        Self { cutter, proxy, database, _sharded: sharded }
    }

    fn client(&self) -> RawClient {
        RawClient::connect(self.proxy.port(), &self.database.name, "app", "app")
    }
}

/// What is sent, with `{}` in place of the mark; the answer; whether it is in a transaction.
struct Scenario {
    name: &'static str,
    before: Option<&'static str>,
    send: fn(&str) -> Pipeline,
}

const SCENARIOS: [Scenario; 7] = [
    Scenario { name: "simple", before: None, send: |mark| Pipeline::new().query(&format!("TABLE t {mark}")) },
    Scenario {
        name: "two statements",
        before: None,
        send: |mark| Pipeline::new().query(&format!("UPDATE {mark} t SET v = 'changed' WHERE id = 1; TABLE t")),
    },
    Scenario {
        name: "extended",
        before: None,
        send: |mark| Pipeline::new().run(&format!("SELECT id, v FROM t WHERE id < $1 {mark}"), &[Some("9")]).sync(),
    },
    Scenario {
        name: "extended in a transaction",
        before: Some("BEGIN; UPDATE t SET v = 'open' WHERE id = 2"),
        send: |mark| Pipeline::new().run(&format!("SELECT id, v FROM t {mark}"), &[]).sync(),
    },
    Scenario {
        name: "simple in a transaction",
        before: Some("BEGIN; UPDATE t SET v = 'open' WHERE id = 2"),
        send: |mark| Pipeline::new().query(&format!("TABLE t {mark}")),
    },
    Scenario {
        name: "COPY out",
        before: None,
        send: |mark| Pipeline::new().query(&format!("COPY t TO STDOUT {mark}")),
    },
    Scenario {
        name: "COPY in",
        before: Some("BEGIN"),
        send: |mark| {
            let copy = Pipeline::new().query(&format!("COPY t FROM STDIN {mark}"));
            copy.message(b'd', b"50\tfifty\n").message(b'c', b"")
        },
    },
];

/// Bytes from one place to die at to the next: every one is tried sooner or later, not all in one run.
const STEP: usize = 9;
/// Places tried one by one at the start of a reply.
const FIRST: usize = 7;

/// Any byte of a reply is a place to die at.
#[tokio::test]
async fn a_server_may_die_after_any_byte() {
    let relayed = Relayed::open("dying").await;
    let mut bystander = relayed.client();
    for scenario in SCENARIOS {
        let mut at = 0;
        let mut client = relayed.client();
        loop {
            if let Some(sql) = scenario.before {
                assert_eq!(client.simple(sql).error(), None);
            }
            let mark = format!("/* {} {at} */", scenario.name);
            relayed.cutter.arm_with(&mark, Harm::CutAfter(at));
            (scenario.send)(&mark).send_only(&mut client);
            let Some(reply) = reply(&mut client) else {
                assert!(scenario.before.is_some(), "{} after {at} bytes: the connection ended", scenario.name);
                client = relayed.client();
                at += if at < FIRST { 1 } else { STEP };
                continue;
            };
            let place = format!("{} after {at} bytes: {reply:?}", scenario.name);
            if reply.error().is_none() {
                assert!(at > 40, "all of it came: {place}");
                relayed.cutter.spare();
                break;
            }
            is_told_once(&reply, &scenario, &place);
            assert_eq!(client.simple("ROLLBACK").status, 'I', "{place}");
            assert_eq!(client.simple("SELECT 'sane'").rows(), [[Some("sane".to_owned())]], "{place}");
            assert_eq!(bystander.simple("SELECT 'well'").rows(), [[Some("well".to_owned())]], "{place}");
            at += if at < FIRST { 1 } else { STEP };
        }
        let untouched = bystander.simple("SELECT count(*) FROM t WHERE v = 'open' OR id = 50");
        assert_eq!(
            untouched.rows(),
            [[Some("0".to_owned())]],
            "{}: nothing of an open transaction is left",
            scenario.name
        );
    }
    assert!(!relayed.proxy.log().contains("panicked"), "{}", relayed.proxy.log());
}

/// Reads a reply up to its end; `None` if the connection ended instead, as it does with its transaction: behind one FATAL
/// error, or in silence if a large row was passing.
fn reply(client: &mut RawClient) -> Option<Reply> {
    let mut reply = Reply { events: Vec::new(), status: ' ' };
    while let Some((kind, body)) = client.try_message() {
        match kind {
            'Z' => return Some(Reply { status: char::from(body[0]), ..reply }),
            'E' if body.starts_with(b"SFATAL\0") => {
                let text = String::from_utf8_lossy(&body).into_owned();
                assert!(text.contains("\0C08") || text.contains("\0C57P01"), "{text}");
                assert!(client.try_message().is_none(), "nothing behind it: {text}");
                return None;
            }
            kind => reply.events.push(event(kind, &body)),
        }
    }
    None
}

fn is_told_once(reply: &Reply, scenario: &Scenario, place: &str) {
    let errors = reply.events.iter().filter(|event| matches!(event, Event::Error(_))).count();
    assert_eq!(errors, 1, "{place}");
    let (state, _) = reply.error().expect("an error");
    assert!(state.starts_with("08") || state == "57P01", "{place}");
    assert!(matches!(reply.events.last(), Some(Event::Error(_))), "nothing behind it: {place}");
    assert!(scenario.before.is_none(), "a transaction that is lost ends the connection: {place}");
    assert_eq!(reply.status, 'I', "{place}");
    for row in reply.rows() {
        let text = row[1].as_deref().unwrap_or_default();
        assert!(text.starts_with("row ") || ["changed", "open"].contains(&text), "{place}");
    }
}

/// What a server should never say.
#[tokio::test]
async fn a_server_that_talks_nonsense_harms_its_own_client_at_most() {
    let relayed = Relayed::open("nonsense").await;
    let mut bystander = relayed.client();
    let mut sayings: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"Z\0\0\0\x03".to_vec(),
        b"Z\0\0\0\x04".to_vec(),
        b"Z\0\0\0\x05X".to_vec(),
        b"D\x7f\xff\xff\xffabc".to_vec(),
        b"D\xff\xff\xff\xff".to_vec(),
        b"T\0\0\0\x06\0\x09Z\0\0\0\x05I".to_vec(),
        b"C\0\0\0\x08SELEZ\0\0\0\x05I".to_vec(),
        b"E\0\0\0\x08SERRZ\0\0\0\x05I".to_vec(),
        b"E\0\0\0\x04Z\0\0\0\x05E".to_vec(),
        b"G\0\0\0\x04".to_vec(),
        b"H\0\0\0\x04d\0\0\0\x03".to_vec(),
        b"S\0\0\0\x06abZ\0\0\0\x05I".to_vec(),
        b"K\0\0\0\x04".to_vec(),
        b"R\0\0\0\x08\0\0\0\x05".to_vec(),
        b"t\0\0\0\x06\xff\xffn\0\0\0\x04Z\0\0\0\x05I".to_vec(),
        b"1\0\0\0\x042\0\0\0\x043\0\0\0\x04s\0\0\0\x04I\0\0\0\x04Z\0\0\0\x05I".to_vec(),
        b"Z\0\0\0\x05IZ\0\0\0\x05IZ\0\0\0\x05I".to_vec(),
        b"\0\0\0\0\x05\0".to_vec(),
    ];
    let mut noise: u64 = 0x5eed;
    for _ in 0..8 {
        let bytes = (0..40).map(|_| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            b"DTCEZSNIs12tG\0\0\0\0\x04\x05\x06\xff"[(noise >> 33) as usize % 21]
        });
        sayings.push(bytes.collect());
    }
    for (number, bytes) in sayings.iter().enumerate() {
        for scenario in [&SCENARIOS[number % 2], &SCENARIOS[2 + number % 2]] {
            let mut client = relayed.client();
            if let Some(sql) = scenario.before {
                client.simple(sql);
            }
            let mark = format!("/* nonsense {number} {} */", scenario.name);
            relayed.cutter.arm_with(&mark, Harm::Replace(bytes.clone()));
            (scenario.send)(&mark).send_only(&mut client);
            // Whatever the client makes of it, it hears an end of it: it leaves here.
            client.finish_sending();
            client.read_to_end();
        }
        let rows = bystander.simple("TABLE t").rows().len();
        assert_eq!(rows, 3, "after {bytes:?}");
    }
    assert!(!relayed.proxy.log().contains("panicked"), "{}", relayed.proxy.log());
}

/// Goal: a server that says why it ends the session gives one error with that, and the client's session goes on.
#[tokio::test]
async fn why_a_server_ended_is_told_in_one_error() {
    let (_database, proxy, _both) = both("farewell", ProxyOptions { workers: 1, ..ProxyOptions::default() }).await;
    let mut client = proxy.raw();
    let end = "/* shardloom: shard=s1 */ SELECT pg_terminate_backend(pg_backend_pid())";
    let pipelines = [Pipeline::new().query(end), Pipeline::new().run(end, &[]).sync()];
    for pipeline in pipelines {
        pipeline.send_only(&mut client);
        let reply = reply(&mut client).expect("the session goes on");
        let errors = reply.events.iter().filter(|event| matches!(event, Event::Error(_))).count();
        let (state, message) = reply.error().expect("an error");
        assert_eq!((errors, state.as_str()), (1, "08006"), "{reply:?}");
        assert!(message.contains("terminating connection due to administrator command (57P01)"), "{message}");
        assert_eq!(client.simple("SELECT 'sane'").rows(), [[Some("sane".to_owned())]]);
    }
}
