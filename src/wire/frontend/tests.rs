use bytes::BytesMut;
use pgwire::messages::extendedquery;
use pgwire::messages::{DecodeContext, Message};
use proptest::prelude::*;

use super::*;
use crate::wire::FrameError;

fn body(out: &BytesMut) -> &[u8] {
    let header = crate::wire::frame::header(out, usize::MAX).unwrap().unwrap();
    assert_eq!(header.length, out.len());
    &out[5..]
}

#[test]
fn query_round_trips_and_wants_its_zero() {
    let mut out = BytesMut::new();
    write_query(&mut out, "select 'é'");
    assert_eq!(query_text(body(&out)), Ok("select 'é'"));
    assert_eq!(query_text(b"select 1"), Err(FrameError::Truncated));
    assert_eq!(query_text(b"select 1\0x"), Err(FrameError::Trailing));
    assert_eq!(query_text(b"\xff\0"), Err(FrameError::NotUtf8));
}

#[test]
fn parse_round_trips() {
    let mut out = BytesMut::new();
    write_parse(&mut out, "s1", "select $1", &[20, 0]);
    let parse = Parse::read(body(&out)).unwrap();
    assert_eq!((parse.name, parse.sql, parse.types.len()), ("s1", "select $1", 2));
    assert_eq!((parse.types.get(0), parse.types.get(1), parse.types.get(2)), (Some(20), Some(0), None));
}

#[test]
fn bind_round_trips() {
    let mut out = BytesMut::new();
    let values = [
        BindValue { format: 1, value: Some(&[0, 7]) },
        BindValue { format: 0, value: None },
        BindValue { format: 0, value: Some(b"") },
    ];
    write_bind(&mut out, "p", "s", &values, &[1]);
    let bind = Bind::read(body(&out)).unwrap();
    assert_eq!((bind.portal, bind.statement, bind.parameter_count()), ("p", "s", 3));
    assert_eq!(bind.parameters().collect::<Vec<_>>(), [Some(&[0u8, 7][..]), None, Some(&[][..])]);
    assert_eq!((bind.parameter(0), bind.parameter(1), bind.parameter(3)), (Some(&[0u8, 7][..]), None, None));
    assert_eq!((bind.parameter_format(0), bind.parameter_format(2)), (1, 0));
    assert_eq!(bind.result_formats().collect::<Vec<_>>(), [1]);
    assert_eq!(bind.result_formats_raw(), [0, 1, 0, 1]);
}

#[test]
fn one_parameter_format_holds_for_all() {
    let bind = Bind::read(b"\0\0\0\x01\0\x01\0\x02\0\0\0\x01a\0\0\0\x01b\0\0").unwrap();
    assert_eq!((bind.parameter_format(0), bind.parameter_format(1)), (1, 1));
    let text = Bind::read(b"\0\0\0\0\0\x01\0\0\0\x01a\0\0").unwrap();
    assert_eq!(text.parameter_format(0), 0);
}

#[test]
fn malformed_bind_is_refused() {
    let two_formats_one_value = b"\0\0\0\x02\0\x01\0\x01\0\x01\0\0\0\x01a\0\0";
    assert!(matches!(Bind::read(two_formats_one_value), Err(FrameError::Malformed(_))));
    assert!(matches!(Bind::read(b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0"), Err(FrameError::Malformed(_))));
    assert!(matches!(Bind::read(b"\0\0\0\0\0\x01\0\0\0\x09a\0\0"), Err(FrameError::Truncated)));
    assert!(matches!(Bind::read(b"\0\0\0\0\0\0\0\0x"), Err(FrameError::Trailing)));
}

#[test]
fn describe_close_and_execute_round_trip() {
    let mut out = BytesMut::new();
    write_describe(&mut out, Target::Portal, "p");
    assert_eq!(Describe::read(body(&out)), Ok(Describe { target: Target::Portal, name: "p" }));
    out.clear();
    write_close(&mut out, Target::Statement, "s");
    assert_eq!(Close::read(body(&out)), Ok(Close { target: Target::Statement, name: "s" }));
    out.clear();
    write_execute(&mut out, "", 50);
    assert_eq!(Execute::read(body(&out)), Ok(Execute { portal: "", rows: 50 }));
    assert!(matches!(Close::read(b"Xs\0"), Err(FrameError::Malformed(_))));
}

#[test]
fn another_library_reads_the_same_bind() {
    let mut out = BytesMut::new();
    write_bind(&mut out, "p", "s", &[BindValue { format: 1, value: Some(b"ab") }], &[0, 1]);
    let theirs = extendedquery::Bind::decode(&mut out, &DecodeContext::default()).unwrap().unwrap();
    assert_eq!((theirs.portal_name.as_deref(), theirs.statement_name.as_deref()), (Some("p"), Some("s")));
    assert_eq!(theirs.parameters[0].as_deref(), Some(&b"ab"[..]));
    assert_eq!(theirs.result_column_format_codes, [0, 1]);
    assert!(out.is_empty());
}

proptest! {
    #[test]
    fn hostile_bodies_never_panic(body in proptest::collection::vec(0u8..6, 0..48), end in any::<Vec<u8>>()) {
        for body in [&body[..], &[&body[..], &end].concat()] {
            let _ = query_text(body);
            let _ = Parse::read(body).map(|parse| parse.types.iter().count());
            let _ = Describe::read(body);
            let _ = Close::read(body);
            let _ = Execute::read(body);
            if let Ok(bind) = Bind::read(body) {
                prop_assert_eq!(bind.parameters().count(), bind.parameter_count());
                prop_assert!(bind.result_formats().all(|_| true) && bind.parameter_format(3) < i16::MAX);
            }
        }
    }
}
