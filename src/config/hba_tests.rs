use super::*;
use crate::config::Config;

fn config(more: &str) -> Result<Config, String> {
    let text = format!("users: [{{name: app, password: hush}}]\nservice: {{user: s}}\n{more}");
    Config::parse("f", &text, &|_| None)
        .map_err(|findings| findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn hba(lines: &str) -> Hba {
    config(&format!("auth: {{allow_md5: true, allow_trust: true}}\nhba:\n{lines}")).unwrap().hba
}

fn from(transport: Transport, address: Option<&str>) -> Approach<'static> {
    Approach { transport, address: address.map(|text| text.parse().unwrap()), database: "shop", user: "app" }
}

#[test]
fn without_lines_everybody_proves_a_password() {
    let hba = config("").unwrap().hba;
    let ways = [(Transport::Local, None), (Transport::Plain, Some("192.0.2.1")), (Transport::Tls, Some("::1"))];
    for (transport, address) in ways {
        assert_eq!(hba.method(&from(transport, address)), Some(Method::Scram));
    }
    assert_eq!(config("hba: []").unwrap().hba.method(&from(Transport::Plain, Some("::1"))), None);
}

#[test]
fn the_first_line_that_matches_decides() {
    let hba = hba("- {type: host, address: 10.0.0.0/8, method: reject}\n\
                   - {type: host, address: 10.1.0.0/16, method: trust}\n\
                   - {type: host, address: all, method: md5}\n");
    let method = |address| hba.method(&from(Transport::Plain, Some(address)));
    assert_eq!((method("10.1.2.3"), method("11.0.0.1")), (Some(Method::Reject), Some(Method::Md5)));
}

#[test]
fn types_tell_the_ways_apart() {
    let hba =
        hba("- {type: hostssl, method: cert}\n- {type: hostnossl, method: reject}\n- {type: local, method: peer}\n");
    assert_eq!(hba.method(&from(Transport::Tls, Some("::1"))), Some(Method::Cert));
    assert_eq!(hba.method(&from(Transport::Plain, Some("::1"))), Some(Method::Reject));
    assert_eq!(hba.method(&from(Transport::Local, None)), Some(Method::Peer));
}

#[test]
fn databases_and_users_are_names_lists_or_words() {
    let hba = hba("- {type: host, database: [a, shop], user: [b, c], method: reject}\n\
                   - {type: host, database: sameuser, method: trust}\n\
                   - {type: host, database: shop, user: app, method: scram-sha-256}\n");
    let method = |database, user| hba.method(&Approach { database, user, ..from(Transport::Plain, Some("192.0.2.1")) });
    assert_eq!(method("a", "c"), Some(Method::Reject));
    assert_eq!(method("x", "x"), Some(Method::Trust));
    assert_eq!(method("shop", "app"), Some(Method::Scram));
    assert_eq!((method("shop", "other"), method("x", "app")), (None, None));
}

#[test]
fn a_connection_without_an_address_fits_no_range() {
    let hba = hba("- {type: host, address: 0.0.0.0/0, method: trust}\n");
    assert_eq!(hba.method(&from(Transport::Plain, None)), None);
}

#[test]
fn weak_methods_must_be_allowed_and_others_fit_their_type() {
    let refused = [
        ("{type: host, method: md5}", "allow_md5"),
        ("{type: host, method: trust}", "allow_trust"),
        ("{type: host, method: peer}", "peer is for type local"),
        ("{type: host, method: cert}", "cert is for type hostssl"),
        ("{type: local, address: all, method: peer}", "no \"address\""),
        ("{type: host, user: +staff, method: reject}", "+name"),
        ("{type: host, address: example.org, method: reject}", "expected all, or addresses"),
        ("{type: host, method: ldap}", "not available yet"),
        ("{type: hostgssenc, method: reject}", "not available yet"),
    ];
    for (line, message) in refused {
        let found = config(&format!("hba: [{line}]")).unwrap_err();
        assert!(found.contains(message), "{line}: {found}");
    }
    assert!(config("hba: [{type: local, method: trust}]").is_ok());
    assert!(config("auth: {allow_trust: true}\nhba: [{type: host, method: trust}]").is_ok());
}

#[test]
fn a_query_needs_the_place_of_the_name() {
    assert!(config("auth: {query: SELECT 1}").unwrap_err().contains("no $1"));
    let auth = config("auth: {query: 'SELECT a, b FROM f($1)', dbname: d, cache_ttl: 0s}").unwrap().auth;
    assert_eq!((auth.dbname.as_deref(), auth.cache_ttl.is_zero()), (Some("d"), true));
    assert_eq!(config("").unwrap().auth, Auth::default());
}
