//! Clients that do not read, servers that do not, and messages in pieces: memory stays bounded and nobody waits for ever.

use std::time::{Duration, Instant};

use tokio_postgres::Client;

use crate::protocol::RULES;
use crate::support::{Pipeline, Proxy, ProxyOptions, RawClient, TestDatabase};

/// How much the proxy may grow while somebody is slow; its buffers for one client are far below.
const GROWTH_MAX_KIB: u64 = 24 * 1024;
/// The wait for a server or a writer to get stuck.
const STUCK_BOUND: Duration = Duration::from_secs(30);

struct Slow {
    database: TestDatabase,
    _sharded: TestDatabase,
    proxy: Proxy,
    /// Past the proxy.
    direct: Client,
}

impl Slow {
    async fn open(label: &str) -> Self {
        let (database, sharded) = (TestDatabase::new(label), TestDatabase::new("slow"));
        let config = "passthrough: any".to_owned();
        let options = ProxyOptions { workers: 1, config, ..ProxyOptions::default() };
        let proxy = Proxy::start(&sharded, RULES, options).await;
        let direct = database.shard(0).await;
        Self { database, _sharded: sharded, proxy, direct }
    }

    fn client(&self) -> RawClient {
        RawClient::connect(self.proxy.port(), &self.database.name, "app", "app")
    }

    /// Waits until a server of the database waits for `event`.
    async fn server_waits_for(&self, event: &str) {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = $1";
        let deadline = Instant::now() + STUCK_BOUND;
        while self.direct.query_one(sql, &[&event]).await.expect("the activity").get::<_, i64>(0) == 0 {
            assert!(Instant::now() < deadline, "no server waits for {event}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns the resident memory of the proxy.
    fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.proxy.pid())).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    fn assert_bounded(&self, before: u64, what: &str) {
        let now = self.resident_kib();
        assert!(now < before + GROWTH_MAX_KIB, "{what}: from {before} KiB to {now} KiB");
        assert_eq!(self.client().simple("SELECT 'well'").rows().len(), 1, "{what}");
    }
}

/// 200 MB, in rows of 1 MB and in one row, simple and extended.
#[tokio::test]
async fn a_client_that_does_not_read_holds_up_its_server_and_no_memory() {
    let slow = Slow::open("unread").await;
    slow.client().simple("SELECT 1");
    let (many, one) = ("SELECT repeat('x', 1000000) FROM generate_series(1, 200)", "SELECT repeat('x', 200000000)");
    let talks = [
        ("rows", Pipeline::new().query(many), 200),
        ("rows of a portal", Pipeline::new().run(many, &[]).sync(), 200),
        ("one row", Pipeline::new().query(one), 1),
    ];
    for (what, pipeline, rows) in talks {
        let before = slow.resident_kib();
        let mut client = slow.client();
        pipeline.send_only(&mut client);
        slow.server_waits_for("ClientWrite").await;
        slow.assert_bounded(before, what);
        assert_eq!(client.count_rows(), rows, "{what}");
        slow.assert_bounded(before, what);
    }
}

/// The server takes no COPY data: the client is not allowed to send more than fits into buffers.
#[tokio::test]
async fn copy_data_waits_for_a_server_that_does_not_read() {
    let slow = Slow::open("unfed").await;
    let schema = "CREATE TABLE t (v text);
        CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$;
        CREATE TRIGGER wait BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION wait()";
    slow.direct.batch_execute(schema).await.expect("the table");
    slow.direct.batch_execute("SELECT pg_advisory_lock(1)").await.expect("the lock");
    let before = slow.resident_kib();
    let mut client = slow.client();
    client.send(&Pipeline::new().query("COPY t FROM STDIN").0);
    while client.message().0 != 'G' {}
    let line = [vec![b'x'; 999], b"\n".to_vec()].concat();
    let part = Pipeline::new().message(b'd', &line.repeat(64)).0;
    let rest = client.send_until_stuck(&part, 1 << 14, Duration::from_secs(1));
    slow.server_waits_for("advisory").await;
    let sent = (1 << 14) - rest.parts_left;
    assert!(rest.parts_left > 0, "1 GiB went nowhere");
    slow.assert_bounded(before, "COPY");
    slow.direct.batch_execute("SELECT pg_advisory_unlock(1)").await.expect("the lock");
    client.send(&rest.of_part);
    client.send(&Pipeline::new().message(b'c', b"").0);
    assert_eq!(client.reply().tags(), [format!("COPY {}", (sent + usize::from(!rest.of_part.is_empty())) * 64)]);
}

/// Tens of thousands of statements without a look at the answers: the answers wait, and then all are there.
#[tokio::test]
async fn pipelines_without_end_are_bounded() {
    let slow = Slow::open("endless").await;
    let one = |sync: bool| {
        let run = Pipeline::new().parse("", "SELECT $1::int").bind("", "", &[Some("7")]).execute("", 0);
        if sync { run.sync().0 } else { run.0 }
    };
    let count: usize = std::env::var("PIPELINE_LENGTH").map_or(6_000, |count| count.parse().expect("a number"));
    for (what, part, replies) in [
        ("Syncs", one(true), count),
        ("no Sync", one(false), 1),
        ("Queries", Pipeline::new().query("SELECT 7").0, count),
    ] {
        let before = slow.resident_kib();
        let mut client = slow.client();
        let rest = client.send_until_stuck(&part, count, Duration::from_secs(1));
        slow.assert_bounded(before, what);
        let reader = client.duplicate();
        let rows = std::thread::spawn(move || {
            let mut reader = reader;
            (0..replies).map(|_| reader.count_rows()).sum::<usize>()
        });
        client.send(&rest.of_part);
        for _ in 0..rest.parts_left - usize::from(!rest.of_part.is_empty()) {
            client.send(&part);
        }
        if replies == 1 {
            client.send(&Pipeline::new().sync().0);
        }
        assert_eq!(rows.join().expect("all answers"), count, "{what}");
        slow.assert_bounded(before, what);
    }
}

/// Each byte in a write of its own, and each place to split two writes at.
#[tokio::test]
async fn messages_may_come_in_pieces() {
    let slow = Slow::open("pieces").await;
    let talk = Pipeline::new().query("SELECT 'a'").run("SELECT $1::text", &[Some("b")]).sync();
    let mut client = slow.client();
    let whole: Vec<_> = talk.send(&mut client, 2).iter().map(|reply| reply.events.clone()).collect();
    for byte in &talk.0 {
        client.send(std::slice::from_ref(byte));
    }
    assert_eq!((0..2).map(|_| client.reply().events).collect::<Vec<_>>(), whole);
    for at in 1..talk.0.len() {
        let (first, second) = talk.0.split_at(at);
        client.send(first);
        // An answer to another client comes after the first piece was read.
        if at % 8 == 0 {
            slow.client();
        }
        client.send(second);
        assert_eq!((0..2).map(|_| client.reply().events).collect::<Vec<_>>(), whole, "split at {at}");
    }
}
