use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::types::Diagnostic;

const VERIFIER: &str = "SCRAM-SHA-256$4096:AAAAAAAAAAAAAAAAAAAAAA==$\
    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

const LEAST: &str = "users: [{name: app, password: hush}]\nservice: {user: shardloom_service}\n";

fn environment(name: &str) -> Option<String> {
    match name {
        "APP_PASSWORD" => Some("from-env".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn secret_file(path: &str) -> Result<String, String> {
    match path {
        "/run/secret" => Ok("from-file\r\n".to_owned()),
        _ => Err("no such file".to_owned()),
    }
}

fn parse(text: &str) -> Result<Config, Vec<Diagnostic>> {
    Config::parse_with("f", text, Sources { environment: &environment, file: &secret_file })
}

fn messages(text: &str) -> Vec<String> {
    parse(text).expect_err(text).iter().map(Diagnostic::to_string).collect()
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = parse(LEAST).expect("it is right");
    assert_eq!(config.listen, Listen { address: address("127.0.0.1:6432"), ..Listen::default() });
    assert_eq!(config.admin.address, address("127.0.0.1:6433"));
    assert!(config.admin.token.is_none());
    assert_eq!(config.rules, Path::new("shard-rules/"));
    assert_eq!((config.pool.size, config.pool.reserve, config.pool.wait), (20, 5, Duration::from_secs(5)));
    let limits = &config.limits;
    assert_eq!((limits.client_message, limits.pre_auth_message), (64 << 20, 16 << 10));
    assert_eq!((limits.login_timeout, limits.max_clients), (Duration::from_secs(15), 5000));
    assert_eq!((limits.plan_cache, limits.plan_cache_text), (4096, 64 << 10));
    assert_eq!((limits.server_statements, limits.client_statements), (256, 16_384));
    assert_eq!((limits.group_rows, limits.gather_rows), (1_000_000, 1_000_000));
    assert_eq!(
        (limits.cross_shard_lock_timeout, limits.wait_timeout),
        (Duration::from_secs(2), Duration::from_secs(1))
    );
    assert_eq!((config.limits, config.relay, config.pool), (Limits::default(), Relay::default(), Pool::default()));
    assert_eq!((config.passthrough, config.telemetry.log), (Passthrough::None, LogFormat::Text));
}

#[test]
fn the_documented_file_is_read() {
    let text = format!(
        "listen: {{address: \"127.0.0.1:7000\", workers: 4, unix_socket: null}}
admin: {{address: \"0.0.0.0:7001\", token: \"file:/run/secret\"}}
rules: elsewhere/
users:
- {{name: app, scram: \"{VERIFIER}\", shard_user: other, shard_password: \"env:APP_PASSWORD\", console: true}}
- {{name: plain, password: \"file:/run/secret\"}}
service: {{user: service, password: \"env:APP_PASSWORD\"}}
pool: {{mode: transaction, size: 7, reserve: 0, wait: 200ms, idle: 1min, lifetime: 2h}}
limits: {{client_message: 1MiB, gather_rows: 10, cross_shard_lock_timeout: 1s}}
relay: {{batch: 9, keep: 1d}}
ids: {{worker: 5, lease: 2s}}
passthrough: [postgres, \"on\"]
telemetry: {{log: json, otlp: null}}
"
    );
    let config = parse(&text).expect("it is right");
    assert_eq!(config.listen.workers, 4);
    assert_eq!(config.admin.token.as_ref().map(Secret::expose), Some("from-file"));
    let app = &config.users[0];
    assert!(matches!(&app.login, Login::Scram(verifier) if verifier.expose() == VERIFIER));
    assert_eq!((app.shard_user.as_str(), app.console), ("other", true));
    assert_eq!(app.shard_password.as_ref().map(Secret::expose), Some("from-env"));
    let plain = &config.users[1];
    assert_eq!((plain.shard_user.as_str(), plain.console), ("plain", false));
    assert_eq!(plain.shard_password.as_ref().map(Secret::expose), Some("from-file"));
    assert_eq!(config.service.password.as_ref().map(Secret::expose), Some("from-env"));
    assert_eq!((config.pool.size, config.pool.wait), (7, Duration::from_millis(200)));
    assert_eq!((config.limits.client_message, config.limits.gather_rows), (1 << 20, 10));
    let ids = Ids { worker: Some(5), lease: Duration::from_secs(2), ..Ids::default() };
    assert_eq!(config.ids, ids);
    assert_eq!((config.relay.batch, config.relay.keep), (9, Duration::from_secs(86_400)));
    assert_eq!(config.passthrough, Passthrough::Only(vec!["postgres".to_owned(), "on".to_owned()]));
    assert_eq!((config.telemetry.log, config.limits.plan_cache), (LogFormat::Json, 4096));
}

#[test]
fn each_mistake_is_told_alone() {
    let cases = [
        (
            "listn: {}",
            "3:1: unknown key \"listn\" in the configuration, known are listen, admin, rules, users, hba, auth, service, pool, databases, limits, relay, ids, passthrough, server_tls, telemetry; did you mean \"listen\"?",
        ),
        (
            "listen: {address: localhost}",
            "3:19: expected an IP address and a port such as 127.0.0.1:6432 or [::1]:6432, found \"localhost\"",
        ),
        ("listen: {workers: 0}", "3:19: expected a whole number from 1 to 256, found \"0\""),
        ("listen: {workers: 257}", "3:19: expected a whole number from 1 to 256, found \"257\""),
        (
            "admin: {address: \"0.0.0.0:1\"}",
            "3:18: the admin address 0.0.0.0:1 is beyond loopback: it needs a \"token\"",
        ),
        ("admin: {address: \"127.0.0.1:6432\"}", "3:8: \"admin\" and \"listen\" have one address, 127.0.0.1:6432"),
        ("admin: {token: \"env:NONE\"}", "3:16: the environment variable \"NONE\" is not set"),
        ("admin: {token: \"env:EMPTY\"}", "3:16: the secret is empty"),
        ("admin: {token: \"file:/none\"}", "3:16: the secret file \"/none\" cannot be read: no such file"),
        ("pool: {size: 0}", "3:14: expected a whole number from 1 to 10000, found \"0\""),
        ("pool: {wait: 5}", "3:14: expected a time span from 1ms to 1h, found \"5\""),
        ("limits: {client_message: 2GiB}", "3:26: expected a size from 64KiB to 1GiB, found \"2GiB\""),
        ("limits: {client_message: 1KB}", "3:26: expected a size from 64KiB to 1GiB, found \"1KB\""),
        ("relay: {retry_min: 2s}", "3:8: \"retry_min\" is longer than \"retry_max\""),
        ("passthrough: all", "3:14: expected none | any, found \"all\""),
        ("passthrough: [on]", "3:15: expected a name, found on, which YAML may read as a boolean: quote it"),
        ("telemetry: {log: jsn}", "3:18: expected text | json, found \"jsn\"; did you mean \"json\"?"),
        ("telemetry: {otlp: \"http://x\"}", "3:19: \"otlp\" is not available yet: leave it null"),
        ("users: []", "3:1: key \"users\" is written twice, first on line 1"),
        ("---\nusers: []", "4:1: a second document: the configuration is one"),
    ];
    for (line, expected) in cases {
        assert_eq!(messages(&format!("{LEAST}{line}\n")), [format!("f:{expected}")], "{line}");
    }
}

#[test]
fn each_mistake_in_a_user_is_told_alone() {
    let cases = [
        ("[]", "1:8: there must be a user, or nobody could connect"),
        (
            "[{name: a}]",
            "1:9: a user has one of \"scram\", \"password\", \"certificate\" and, for old clients, \"md5\"",
        ),
        (
            "[{name: a, password: x, scram: y}]",
            "1:9: a user has one of \"scram\", \"password\", \"certificate\" and, for old clients, \"md5\"",
        ),
        (
            "[{name: a, scram: hush}]",
            "1:26: not a SCRAM-SHA-256 verifier as in pg_authid: it does not begin with SCRAM-SHA-256$",
        ),
        ("[{name: a, password: x}, {name: a, password: y}]", "1:40: two users are named \"a\""),
        ("[{password: x}]", "1:9: a user needs the key \"name\""),
        ("[{name: a, password: x, console: yes}]", "1:41: expected true or false, found \"yes\""),
        ("[a]", "1:9: expected a user (a mapping), found \"a\""),
    ];
    for (users, expected) in cases {
        let text = format!("users: {users}\nservice: {{user: s}}\n");
        assert_eq!(messages(&text), [format!("f:{expected}")], "{users}");
    }
}

#[test]
fn broken_verifiers_are_refused_and_not_shown() {
    let broken = [
        VERIFIER.replace("4096", "4095"),
        VERIFIER.replace("4096", "x"),
        VERIFIER.replace("AAAAAAAAAAAAAAAAAAAAAA==", ""),
        VERIFIER.replace("AAAAAAAAAAAAAAAAAAAAAA==", "?"),
        VERIFIER.rsplit_once(':').expect("it has keys").0.to_owned(),
        VERIFIER.replace("AAA=:", "=:"),
        "md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned(),
    ];
    for verifier in broken {
        let found = messages(&format!("users: [{{name: a, scram: '{verifier}'}}]\nservice: {{user: s}}\n"));
        assert_eq!(found.len(), 1, "{verifier}: {found:?}");
        assert!(found[0].contains("not a SCRAM-SHA-256 verifier") && !found[0].contains("AAAA"), "{found:?}");
    }
}

#[test]
fn all_mistakes_are_told_in_one_run() {
    let text = "users: [{name: on, scram: x}]\nservce: {user: s}\npool: {size: many}\nlimits: [1]\n";
    let starts =
        ["1:16: expected a name", "1:27: not a SCRAM", "2:1: unknown key", "3:14: expected", "4:9: expected limits"];
    let found = messages(text);
    assert!(found.contains(&"f:1:1: the configuration needs the key \"service\"".to_owned()), "{found:?}");
    for start in starts {
        assert!(found.iter().any(|message| message.starts_with(&format!("f:{start}"))), "{start}: {found:#?}");
    }
}

#[test]
fn an_empty_file_is_told() {
    assert_eq!(messages("# nothing\n"), ["f:1:1: the file is empty"]);
}

#[test]
fn secret_files_need_a_reader() {
    let text = LEAST.replace("hush", "\"file:/run/secret\"");
    let found = Config::parse("f", &text, &environment).expect_err("there is no reader");
    assert_eq!(found[0].message, "the secret file \"/run/secret\" cannot be read: secret files are not read here");
    assert!(Config::parse("f", LEAST, &environment).is_ok());
}

#[test]
fn debug_never_shows_a_secret() {
    let config = parse(LEAST).expect("it is right");
    assert_eq!(config.users[0].shard_password.as_ref().map(Secret::expose), Some("hush"));
    assert!(!format!("{config:?}").contains("hush"));
}

#[test]
fn the_published_schema_is_current() {
    crate::yaml::assert_published("shardloom.schema.json", &json_schema());
}

proptest::proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}", place in 0..LEAST.len()) {
        proptest::prop_assert!(parse(&text).is_err());
        let (before, after) = LEAST.split_at(place);
        if let Err(found) = parse(&format!("{before}{text}{after}")) {
            proptest::prop_assert!(!found.is_empty());
        }
    }
}

#[test]
fn a_users_mode_wins_over_the_databases_and_that_over_the_pools() {
    let text = "users:\n- {name: app, password: hush}\n- {name: reports, password: hush, pool_mode: session}\n\
                service: {user: s}\npool: {mode: statement}\n\
                databases: [{name: shop, pool_mode: transaction, max_db_client_connections: 3}, {name: other}]\n\
                limits: {max_user_client_connections: 4, max_db_client_connections: 5}\n";
    let config = parse(text).expect("it is right");
    let modes = [("app", "shop"), ("reports", "shop"), ("app", "other"), ("nobody", "none")];
    let modes = modes.map(|(user, database)| config.mode_of(user, database));
    assert_eq!(modes, [PoolMode::Transaction, PoolMode::Session, PoolMode::Statement, PoolMode::Statement]);
    assert_eq!((config.clients_of_user("app"), config.clients_of_database("shop")), (Some(4), Some(3)));
    assert_eq!((config.clients_of_database("other"), parse(LEAST).unwrap().clients_of_user("app")), (Some(5), None));
    assert_eq!((config.pool_reset.as_str(), parse(LEAST).unwrap().pool_mode), ("DISCARD ALL", PoolMode::Transaction));
}

#[test]
fn databases_are_named_once_and_modes_are_known_words() {
    let twice = messages(&format!("{LEAST}databases: [{{name: a}}, {{name: a}}]"));
    assert!(twice[0].contains("two databases are named \"a\""), "{twice:?}");
    assert_eq!(messages(&format!("{LEAST}pool: {{mode: sessions}}")).len(), 1);
    assert_eq!(messages(&format!("{LEAST}databases: [{{pool_mode: session}}]")).len(), 1);
}
