//! The door: who comes in from where, how they prove who they are, and what becomes of those who never do.

use std::time::{Duration, Instant};

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::protocol::RULES;
use crate::support::{Proxy, ProxyOptions, RawClient, TestDatabase, connect_as};

/// A place must be found for an honest client within this time, whoever lingers.
const PLACE_BOUND: Duration = Duration::from_secs(15);
/// The flood of connections that never log in; fewer where the limit of open files is low.
const FLOOD: usize = 10_000;
const FLOOD_CLIENTS_MAX: usize = 300;

async fn proxy(database: &TestDatabase, config: &str, users: &str) -> Proxy {
    let (config, users) = (config.to_owned(), users.to_owned());
    Proxy::start(database, RULES, ProxyOptions { workers: 1, config, users, ..ProxyOptions::default() }).await
}

/// Tries to log in; `None` is success, else SQLSTATE and message.
fn refusal(proxy: &Proxy, database: &str, user: &str, password: &str) -> Option<(String, String)> {
    RawClient::try_connect(proxy.port(), &[("user", user), ("database", database)], password).err()
}

fn state(refusal: Option<(String, String)>) -> String {
    refusal.map_or("in".to_owned(), |(state, _)| state)
}

#[tokio::test]
async fn the_first_line_of_hba_that_matches_decides() {
    let (sharded, other) = (TestDatabase::new("hba"), TestDatabase::new("hba_other"));
    let config = format!(
        "passthrough: any\nauth: {{allow_trust: true}}\nhba:\n\
         - {{type: host, database: {other}, address: 127.0.0.0/8, user: app, method: trust}}\n\
         - {{type: host, database: {other}, method: reject}}\n\
         - {{type: hostssl, database: postgres, method: scram-sha-256}}\n\
         - {{type: host, database: [{sharded}, shardloom], user: [app, kim], method: scram-sha-256}}\n",
        other = other.name,
        sharded = sharded.name,
    );
    let mut proxy = proxy(&sharded, &config, "- {name: kim, password: secret}").await;
    assert_eq!(refusal(&proxy, &other.name, "app", "any password"), None);
    let (code, message) = refusal(&proxy, &other.name, "kim", "secret").expect("kim is rejected");
    let approach = format!("host \"127.0.0.1\", user \"kim\", database \"{}\", no encryption", other.name);
    assert_eq!((code.as_str(), message), ("28000", format!("an entry of \"hba\" rejects {approach}")));
    let (code, message) = refusal(&proxy, "postgres", "app", "app").expect("no line is for it");
    assert!(code == "28000" && message.starts_with("no entry of \"hba\" is for host"), "{code} {message}");
    assert_eq!(state(refusal(&proxy, &sharded.name, "app", "any password")), "28P01");
    assert_eq!(refusal(&proxy, &sharded.name, "app", "app"), None);
    proxy.reconfigure("hba: [{type: host, database: shardloom, method: scram-sha-256}]");
    assert_eq!(state(refusal(&proxy, &sharded.name, "app", "app")), "28000");
    assert_eq!(refusal(&proxy, "shardloom", "app", "app"), None);
    assert!(proxy.raw_to("shardloom").simple("SHOW VERSION").error().is_none());
}

/// Nobody is told by `trust` that a user exists on the shards only.
#[tokio::test]
async fn trust_lets_in_known_users_only() {
    let database = TestDatabase::new("trust");
    let config = "auth: {allow_trust: true}\nhba: [{type: host, method: trust}]";
    let proxy = proxy(&database, config, "").await;
    assert_eq!(refusal(&proxy, &database.name, "app", ""), None);
    let expected = ("28000".to_owned(), "role \"nobody\" does not exist".to_owned());
    assert_eq!(refusal(&proxy, &database.name, "nobody", ""), Some(expected));
}

/// `kim` has a password, `lee` a hash of one, `app` a verifier: the last is asked by SCRAM, as PostgreSQL does.
#[tokio::test]
async fn md5_is_for_those_whose_password_or_hash_is_known() {
    let database = TestDatabase::new("md5");
    let config = "auth: {allow_md5: true}\nhba:\n\
        - {type: host, user: max, method: scram-sha-256}\n\
        - {type: host, method: md5}\n";
    let users = format!(
        "- {{name: kim, password: secret, shard_user: app, shard_password: app}}\n\
         - {{name: lee, md5: {lee}, shard_user: app, shard_password: app}}\n\
         - {{name: max, md5: {max}, shard_user: app, shard_password: app}}\n",
        lee = stored_md5(&database, "lee", "secret").await,
        max = stored_md5(&database, "max", "secret").await,
    );
    let proxy = proxy(&database, config, &users).await;
    for (user, password, code) in [
        ("kim", "secret", None),
        ("kim", "Secret", Some("28P01")),
        ("lee", "secret", None),
        ("lee", "Secret", Some("28P01")),
        ("app", "app", None),
        ("app", "wrong", Some("28P01")),
        // A hash is no good for SCRAM.
        ("max", "secret", Some("28P01")),
        ("nobody", "secret", Some("28P01")),
    ] {
        let came = connect_as(proxy.port(), &database.name, user, password).await;
        let told = came.err().map(|error| error.code().expect("a SQLSTATE").code().to_owned());
        assert_eq!(told.as_deref(), code, "{user} {password}");
    }
}

/// Returns what PostgreSQL stores for a password as md5.
async fn stored_md5(database: &TestDatabase, user: &str, password: &str) -> String {
    let row = database.plain().await.query_one("SELECT 'md5' || md5($1::text || $2::text)", &[&password, &user]).await;
    row.expect("a hash").get(0)
}

/// A role on all shards, dropped at the end of the test.
struct Role<'a> {
    database: &'a TestDatabase,
    name: String,
}

impl<'a> Role<'a> {
    async fn make(database: &'a TestDatabase, label: &str, password: &str) -> Self {
        let name = format!("{label}_{}", database.name);
        let role = Self { database, name };
        role.on_shards(&format!("CREATE ROLE {} LOGIN PASSWORD '{password}'", role.name)).await;
        role
    }

    async fn on_shards(&self, sql: &str) {
        for shard in 0..3 {
            self.database.service(shard).await.batch_execute(sql).await.expect(sql);
        }
    }

    async fn end(self) {
        // The roles of listed users have rights on the ledger.
        self.on_shards(&format!("DROP OWNED BY {0}; DROP ROLE {0}", self.name)).await;
    }
}

#[tokio::test]
async fn a_query_of_home_knows_users_that_the_file_does_not() {
    let database = TestDatabase::new("query");
    let home = database.service(0).await;
    home.batch_execute("CREATE TABLE logins (name text, secret text)").await.expect("the table");
    let role = Role::make(&database, "kim", "secret").await;
    let name = role.name.as_str();
    let set = async |secret: Option<&str>| {
        home.batch_execute("DELETE FROM logins").await.expect("nobody");
        home.execute("INSERT INTO logins VALUES ($1, $2)", &[&name, &secret]).await.expect("the secret");
    };
    let config = "auth: {query: 'SELECT name, secret FROM logins WHERE name = $1', cache_ttl: 1h}";
    let mut proxy = proxy(&database, config, "").await;
    assert_eq!(state(refusal(&proxy, &database.name, name, "secret")), "28P01", "no row");
    // What failed is not remembered, so that a new user need not wait.
    set(Some("secret")).await;
    assert_eq!(refusal(&proxy, &database.name, name, "secret"), None);
    let mut client = RawClient::connect(proxy.port(), &database.name, name, "secret");
    assert_eq!(client.simple("SELECT current_user").rows(), [[Some(name.to_owned())]]);
    assert_eq!(state(refusal(&proxy, "shardloom", name, "secret")), "42501");
    // The answer is remembered until a login fails.
    set(Some("other")).await;
    assert_eq!(refusal(&proxy, &database.name, name, "secret"), None);
    assert_eq!(state(refusal(&proxy, &database.name, name, "wrong")), "28P01");
    assert_eq!(state(refusal(&proxy, &database.name, name, "secret")), "28P01");
    set(None).await;
    assert_eq!(state(refusal(&proxy, &database.name, name, "secret")), "28P01", "no password");
    proxy.reconfigure("auth: {query: 'SELECT name, secret FROM missing WHERE name = $1'}");
    let (code, message) = refusal(&proxy, &database.name, name, "secret").expect("home cannot say");
    assert!(code == "57P03" && !message.contains("missing"), "{code} {message}");
    assert_eq!(refusal(&proxy, &database.name, "app", "app"), None);
    drop(client);
    drop(proxy);
    role.end().await;
}

/// The proxy never learns the password: what the client proves opens the shards, which have the same verifier.
#[tokio::test]
async fn a_verifier_is_enough_where_the_shards_have_the_same() {
    let database = TestDatabase::new("keys");
    let verifier = || postgres_protocol::password::scram_sha_256(b"secret");
    let kim = Role::make(&database, "kim", &verifier()).await;
    // The same password and another salt.
    let lee = Role::make(&database, "lee", &verifier()).await;
    let config = "auth: {query: 'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1'}\npassthrough: any";
    let proxy = proxy(&database, config, &format!("- {{name: {}, scram: '{}'}}", lee.name, verifier())).await;
    for asked in [&database.name, "postgres"] {
        let mut client = RawClient::connect(proxy.port(), asked, &kim.name, "secret");
        assert_eq!(client.simple("SELECT current_user").rows(), [[Some(kim.name.clone())]]);
    }
    assert_eq!(state(refusal(&proxy, &database.name, &kim.name, "wrong")), "28P01");
    let (code, message) = refusal(&proxy, &database.name, &lee.name, "secret").expect("the shards know another");
    assert_eq!(
        (code.as_str(), message),
        ("28P01", format!("password authentication failed for user \"{}\"", lee.name))
    );
    drop(proxy);
    kim.end().await;
    lee.end().await;
}

#[tokio::test]
async fn a_client_that_does_not_go_on_with_its_login_is_told_and_cut() {
    let database = TestDatabase::new("late");
    let proxy = proxy(&database, "limits: {login_timeout: 1s}", "").await;
    let started = Instant::now();
    let mut silent = RawClient::dial(proxy.port());
    let mut asked = RawClient::dial(proxy.port());
    let mut startup = bytes::BytesMut::new();
    let parameters = [("user", "app"), ("database", database.name.as_str())];
    postgres_protocol::message::frontend::startup_message(parameters, &mut startup).expect("a start-up message");
    asked.send(&startup);
    for client in [&mut silent, &mut asked] {
        let told = String::from_utf8_lossy(&client.read_to_end()).into_owned();
        assert!(told.contains("SFATAL") && told.contains("C57014"), "{told:?}");
    }
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn messages_before_the_login_are_short() {
    let database = TestDatabase::new("short");
    let proxy = proxy(&database, "limits: {pre_auth_message: 1KiB}", "").await;
    let mut client = RawClient::dial(proxy.port());
    let mut startup = bytes::BytesMut::new();
    let parameters = [("user", "app"), ("database", database.name.as_str())];
    postgres_protocol::message::frontend::startup_message(parameters, &mut startup).expect("a start-up message");
    client.send(&startup);
    client.message();
    client.send(&[&b"p"[..], &2_000u32.to_be_bytes()].concat());
    let told = String::from_utf8_lossy(&client.read_to_end()).into_owned();
    assert!(told.contains("SFATAL") && told.contains("C08P01"), "{told:?}");
}

/// Waits for a login; the clients that linger have to make way.
async fn come_in(proxy: &Proxy, database: &str) -> Client {
    let deadline = Instant::now() + PLACE_BOUND;
    loop {
        match connect_as(proxy.port(), database, "app", "app").await {
            Ok(client) => return client,
            // None: in a flood not everybody is told.
            Err(error) if error.code().is_none_or(|code| *code == SqlState::TOO_MANY_CONNECTIONS) => {}
            Err(error) => panic!("{error:?}"),
        }
        assert!(Instant::now() < deadline, "no place");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn assert_served(clients: &[&Client]) {
    for client in clients {
        client.batch_execute("SELECT 1").await.expect("it is served");
    }
}

#[tokio::test]
async fn those_who_linger_make_way_and_those_who_logged_in_stay() {
    let database = TestDatabase::new("linger");
    let proxy = proxy(&database, "limits: {max_clients: 4, login_timeout: 5min}", "").await;
    let inside = come_in(&proxy, &database.name).await;
    let mut strangers: Vec<RawClient> = (0..3).map(|_| RawClient::dial(proxy.port())).collect();
    let second = come_in(&proxy, &database.name).await;
    let told = String::from_utf8_lossy(&strangers.remove(0).read_to_end()).into_owned();
    assert!(told.contains("SFATAL") && told.contains("C53300"), "{told:?}");
    let (third, fourth) = (come_in(&proxy, &database.name).await, come_in(&proxy, &database.name).await);
    assert_served(&[&inside, &second, &third, &fourth]).await;
    // Now all four are honest: nobody makes way.
    let (code, _) = refusal(&proxy, &database.name, "app", "app").expect("no place is left");
    assert_eq!(code, "53300");
}

#[tokio::test]
async fn an_address_has_so_many_strangers_and_no_more() {
    let database = TestDatabase::new("address");
    let config = "limits: {max_unauthenticated_per_address: 2, login_timeout: 5min}";
    let proxy = proxy(&database, config, "").await;
    let first = come_in(&proxy, &database.name).await;
    let second = come_in(&proxy, &database.name).await;
    let third = come_in(&proxy, &database.name).await;
    let strangers = [(); 2].map(|()| RawClient::dial(proxy.port()));
    let (code, message) = refusal(&proxy, &database.name, "app", "app").expect("two are waiting");
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("53300", "too many connections from this address have not logged in")
    );
    drop(strangers);
    let fourth = come_in(&proxy, &database.name).await;
    assert_served(&[&first, &second, &third, &fourth]).await;
}

/// Goal: a flood of connections that say nothing neither fills the proxy nor keeps honest clients out.
#[tokio::test]
async fn a_flood_that_never_logs_in_is_bounded() {
    let database = TestDatabase::new("flood");
    let config = format!("limits: {{max_clients: {FLOOD_CLIENTS_MAX}, login_timeout: 5min}}");
    let proxy = proxy(&database, &config, "").await;
    let inside = come_in(&proxy, &database.name).await;
    let before = open_files(proxy.pid());
    let flood: Vec<RawClient> = (0..flood_size()).map(|_| RawClient::dial(proxy.port())).collect();
    let later = come_in(&proxy, &database.name).await;
    // 64 more may be waiting to be told that there is no place.
    let now = open_files(proxy.pid());
    assert!(now <= before + FLOOD_CLIENTS_MAX + 64 + 32, "from {before} to {now} of {}", flood.len());
    assert_served(&[&inside, &later]).await;
}

fn open_files(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its files").count()
}

fn flood_size() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("the limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("the limit of files");
    let soft = line.split_whitespace().nth(3).and_then(|word| word.parse().ok()).unwrap_or(usize::MAX);
    // The other tests of this process want files too.
    FLOOD.min(soft / 2)
}
