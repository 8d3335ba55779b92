use bytes::BytesMut;
use pgwire::messages::response::{CommandComplete, ErrorResponse};
use pgwire::messages::startup::Authentication as TheirAuthentication;
use pgwire::messages::{DecodeContext, Message, data};
use proptest::prelude::*;

use super::*;
use crate::types::{Refusal, SqlState, TransactionStatus};
use crate::wire::FrameError;

fn body(out: &BytesMut) -> &[u8] {
    let header = crate::wire::frame::header(out, usize::MAX).unwrap().unwrap();
    assert_eq!(header.length, out.len());
    &out[5..]
}

fn written(write: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut out = BytesMut::new();
    write(&mut out);
    out
}

#[test]
fn error_round_trips_with_detail_and_hint() {
    let refusal = Refusal::unsupported("no", "Do this.").with_detail("It is so.");
    let mut out = written(|out| write_error(out, "ERROR", &refusal));
    let fields = ErrorFields::read(body(&out)).unwrap();
    assert_eq!((fields.get(b'S'), fields.get(b'V'), fields.get(b'C')), (Some("ERROR"), Some("ERROR"), Some("0A000")));
    assert_eq!(
        (fields.get(b'M'), fields.get(b'D'), fields.get(b'H')),
        (Some("no"), Some("It is so."), Some("Do this."))
    );
    assert_eq!((fields.get(b'P'), fields.iter().count()), (None, 6));
    let theirs = ErrorResponse::decode(&mut out, &DecodeContext::default()).unwrap().unwrap();
    assert_eq!((theirs.fields.len(), out.len()), (6, 0));
}

#[test]
fn notice_has_its_own_kind() {
    let out = written(|out| write_notice(out, &Refusal::new(SqlState::ACTIVE_TRANSACTION, "already")));
    assert_eq!((out[0], ErrorFields::read(body(&out)).unwrap().get(b'S')), (b'N', Some("NOTICE")));
}

#[test]
fn fields_without_their_end_are_refused() {
    assert_eq!(ErrorFields::read(b"Cabc\0").err(), Some(FrameError::Truncated));
    assert_eq!(ErrorFields::read(b"\0x").err(), Some(FrameError::Trailing));
}

fn column(name: &str) -> Field {
    let name = name.to_owned();
    Field { name, table_oid: 16384, column: 1, type_oid: 20, type_size: 8, type_modifier: -1, format: 1 }
}

#[test]
fn row_description_round_trips() {
    let columns = [column("id"), column("")];
    let mut out = written(|out| write_row_description(out, &columns));
    assert_eq!(row_description(body(&out)).as_deref(), Ok(&columns[..]));
    let theirs = data::RowDescription::decode(&mut out, &DecodeContext::default()).unwrap().unwrap();
    assert_eq!((theirs.fields[0].name.as_str(), theirs.fields[0].type_id), ("id", 20));
}

#[test]
fn data_row_round_trips() {
    let values = [Some(&b"1"[..]), None, Some(&b""[..])];
    let out = written(|out| write_data_row(out, &values));
    let row = DataRow::read(body(&out)).unwrap();
    assert_eq!((row.len(), row.collect::<Vec<_>>()), (3, values.to_vec()));
    assert_eq!(DataRow::read(&body(&out)[..11]).err(), Some(FrameError::Truncated));
}

#[test]
fn small_messages_round_trip() {
    let tag = written(|out| write_command_complete(out, "INSERT 0 1"));
    assert_eq!(command_tag(body(&tag)), Ok("INSERT 0 1"));
    assert_eq!(
        CommandComplete::decode(&mut tag.clone(), &DecodeContext::default()).unwrap().unwrap().tag,
        "INSERT 0 1"
    );
    let status = written(|out| write_parameter_status(out, "TimeZone", "UTC"));
    assert_eq!(parameter_status(body(&status)), Ok(("TimeZone", "UTC")));
    let types = written(|out| write_parameter_description(out, &[20, 25]));
    assert_eq!(parameter_description(body(&types)), Ok(vec![20, 25]));
    let key = written(|out| write_backend_key(out, 9, &[1, 2, 3, 4]));
    assert_eq!(backend_key(body(&key)), Ok((9, &[1, 2, 3, 4][..])));
    for (length, fits) in [(0, false), (3, false), (4, true), (32, true), (256, true), (257, false)] {
        let key = written(|out| write_backend_key(out, 9, &vec![7; length]));
        assert_eq!(backend_key(body(&key)).is_ok(), fits, "{length}");
    }
    let ready = written(|out| write_ready(out, TransactionStatus::Failed));
    assert_eq!(ready_status(body(&ready)), Ok(TransactionStatus::Failed));
    assert_eq!(ready_status(b"II"), Err(FrameError::Trailing));
    let copy = written(|out| write_copy_in_response(out, 0, 2));
    assert_eq!(&copy[..], b"G\0\0\0\x0b\0\0\x02\0\0\0\0");
}

#[test]
fn authentication_reads_as_another_library_does() {
    let mut out = written(|out| write_auth_sasl(out, &["SCRAM-SHA-256"]));
    assert!(Authentication::read(body(&out)).unwrap().offers("SCRAM-SHA-256"));
    assert!(!Authentication::read(body(&out)).unwrap().offers("SCRAM-SHA-256-PLUS"));
    let theirs = TheirAuthentication::decode(&mut out, &DecodeContext::default()).unwrap().unwrap();
    assert_eq!(theirs, TheirAuthentication::SASL(vec!["SCRAM-SHA-256".to_owned()]));
    let ok = written(write_auth_ok);
    assert_eq!(Authentication::read(body(&ok)), Ok(Authentication::Ok));
    let last = written(|out| write_auth_sasl_final(out, b"v=x"));
    assert_eq!(Authentication::read(body(&last)), Ok(Authentication::SaslFinal(b"v=x")));
}

#[test]
fn sasl_initial_round_trips() {
    let out = written(|out| crate::wire::frontend::write_sasl_initial(out, "SCRAM-SHA-256", b"n,,"));
    let initial = SaslInitial::read(body(&out)).unwrap();
    assert_eq!((initial.mechanism, initial.response), ("SCRAM-SHA-256", Some(&b"n,,"[..])));
    let typed = written(|out| crate::wire::frontend::write_password(out, "pw"));
    assert_eq!(password(body(&typed)), Ok(&b"pw"[..]));
}

proptest! {
    #[test]
    fn hostile_bodies_never_panic(body in proptest::collection::vec(0u8..4, 0..64), end in any::<Vec<u8>>()) {
        for body in [&body[..], &[&body[..], &end].concat()] {
            let _ = ErrorFields::read(body).map(|fields| fields.iter().count());
            let _ = row_description(body);
            if let Ok(row) = DataRow::read(body) {
                prop_assert_eq!(row.len(), row.count());
            }
            let _ = (command_tag(body), parameter_status(body), parameter_description(body), backend_key(body));
            let _ = (ready_status(body), Authentication::read(body), SaslInitial::read(body), password(body));
        }
    }
}
