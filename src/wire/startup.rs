//! The packets that come before any message: start-up, cancel, encryption requests.

use std::ops::RangeInclusive;

use bytes::{BufMut, BytesMut};

use super::FrameError;
use super::cursor::Cursor;
use super::frame;

/// The longest start-up packet, as PostgreSQL has it (`MAX_STARTUP_PACKET_LENGTH`).
pub const STARTUP_BOUND: usize = 10_000;

/// The newest minor version of protocol 3 that is served.
pub const NEWEST_MINOR: u16 = 2;

/// The minor version from which on a cancel secret may have more than four bytes.
pub const LONG_SECRETS_MINOR: u16 = 2;

/// How many bytes the secret of a cancel key may have: four in protocol 3.0, up to 256 in 3.2.
pub const SECRET_BYTES: RangeInclusive<usize> = 4..=256;

const CANCEL_CODE: u32 = 80_877_102;
const SSL_CODE: u32 = 80_877_103;
const GSS_CODE: u32 = 80_877_104;
const PROTOCOL_MAJOR: u16 = 3;
/// Parameters with this prefix are protocol options; none is known yet, so each one is reported back.
const OPTION_PREFIX: &str = "_pq_.";

/// A packet without a type byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// The client asks for TLS.
    Ssl,
    /// The client asks for GSSAPI encryption.
    Gss,
    /// The client asks to cancel what another connection runs.
    Cancel {
        /// The process number that the connection was given.
        process: i32,
        /// The secret that the connection was given, 4 to 256 bytes.
        secret: Vec<u8>,
    },
    /// The client starts a session.
    Start(Start),
}

/// A start-up message of protocol 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The minor version asked for; above [`NEWEST_MINOR`] it must be negotiated.
    pub minor: u16,
    /// Parameters in the order sent, without protocol options.
    pub parameters: Vec<(String, String)>,
    /// Names of protocol options (`_pq_.…`) that were asked for; none is supported.
    pub unsupported_options: Vec<String>,
}

impl Start {
    /// Returns the last value given for `name`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// Tells whether NegotiateProtocolVersion must be answered.
    pub fn needs_negotiation(&self) -> bool {
        self.minor > NEWEST_MINOR || !self.unsupported_options.is_empty()
    }
}

/// Reads one packet from the front of `buffer` and returns it with its length in bytes; `None` while incomplete.
///
/// Bytes after the packet are left alone: whoever answers an encryption request must refuse a client that sent any.
pub fn read(buffer: &[u8]) -> Result<Option<(Packet, usize)>, FrameError> {
    let Some(&prefix) = buffer.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(prefix) as usize;
    if length < 8 {
        return Err(FrameError::BadLength(length));
    }
    if length > STARTUP_BOUND {
        return Err(FrameError::TooLong { length, bound: STARTUP_BOUND });
    }
    match buffer.get(4..length) {
        Some(body) => read_body(body).map(|packet| Some((packet, length))),
        None => Ok(None),
    }
}

fn read_body(body: &[u8]) -> Result<Packet, FrameError> {
    let mut cursor = Cursor::new(body);
    match cursor.u32()? {
        CANCEL_CODE => read_cancel(cursor),
        SSL_CODE => cursor.finish().map(|()| Packet::Ssl),
        GSS_CODE => cursor.finish().map(|()| Packet::Gss),
        version => match ((version >> 16) as u16, version as u16) {
            (PROTOCOL_MAJOR, minor) => read_start(minor, cursor).map(Packet::Start),
            (major, minor) => Err(FrameError::UnsupportedProtocol { major, minor }),
        },
    }
}

fn read_cancel(mut cursor: Cursor<'_>) -> Result<Packet, FrameError> {
    let process = cursor.i32()?;
    let secret = cursor.rest().to_vec();
    match SECRET_BYTES.contains(&secret.len()) {
        true => Ok(Packet::Cancel { process, secret }),
        false => Err(FrameError::Malformed("a cancel key's secret must have 4 to 256 bytes")),
    }
}

fn read_start(minor: u16, mut cursor: Cursor<'_>) -> Result<Start, FrameError> {
    let mut start = Start { minor, parameters: Vec::new(), unsupported_options: Vec::new() };
    loop {
        let name = cursor.text()?;
        if name.is_empty() {
            break;
        }
        let value = cursor.text()?;
        if name.starts_with(OPTION_PREFIX) {
            start.unsupported_options.push(name.to_owned());
        } else {
            start.parameters.push((name.to_owned(), value.to_owned()));
        }
    }
    cursor.finish().map(|()| start)
}

/// Appends NegotiateProtocolVersion: the newest `minor` served and the protocol options not known here.
pub fn write_negotiate_protocol_version(out: &mut BytesMut, minor: u16, options: &[String]) {
    frame::write(out, b'v', |out| {
        // PostgreSQL sends the whole version number and libpq reads it so, whatever the manual's "minor" suggests.
        out.put_u32(u32::from(PROTOCOL_MAJOR) << 16 | u32::from(minor));
        out.put_u32(options.len() as u32);
        for option in options {
            frame::write_text(out, option);
        }
    });
}

/// Appends a protocol 3.0 start-up packet.
pub(super) fn write_start(out: &mut BytesMut, parameters: &[(&str, &str)]) {
    frame::write_counted(out, |out| {
        out.put_u32(u32::from(PROTOCOL_MAJOR) << 16);
        for (name, value) in parameters {
            frame::write_text(out, name);
            frame::write_text(out, value);
        }
        out.put_u8(0);
    });
}

/// Appends an SSLRequest packet.
pub(super) fn write_ssl_request(out: &mut BytesMut) {
    frame::write_counted(out, |out| out.put_u32(SSL_CODE));
}

/// Appends a CancelRequest packet.
pub(super) fn write_cancel(out: &mut BytesMut, process: i32, secret: &[u8]) {
    frame::write_counted(out, |out| {
        out.put_u32(CANCEL_CODE);
        out.put_i32(process);
        out.put_slice(secret);
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(code: u32, rest: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        frame::write_counted(&mut out, |out| {
            out.put_u32(code);
            out.put_slice(rest);
        });
        out.to_vec()
    }

    #[test]
    fn start_round_trips_and_options_are_set_apart() {
        let mut out = BytesMut::new();
        write_start(&mut out, &[("user", "app"), ("_pq_.wish", "1"), ("database", "shop")]);
        let length = out.len();
        out.put_u8(b'Q');
        let Ok(Some((Packet::Start(start), used))) = read(&out) else { panic!("a start packet") };
        assert_eq!(used, length);
        assert_eq!(start.parameter("database"), Some("shop"));
        assert_eq!(start.unsupported_options, ["_pq_.wish"]);
        assert!(start.needs_negotiation());
        assert_eq!(read(&out[..length - 1]), Ok(None));
    }

    #[test]
    fn cancel_keeps_a_secret_of_any_allowed_length() {
        for length in [4, 32, 256] {
            let secret: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            let mut out = BytesMut::new();
            write_cancel(&mut out, 7, &secret);
            assert_eq!(read(&out), Ok(Some((Packet::Cancel { process: 7, secret }, 12 + length))));
        }
        for length in [0, 3, 257] {
            let mut out = BytesMut::new();
            write_cancel(&mut out, 7, &vec![9; length]);
            assert!(read(&out).is_err(), "{length}");
        }
    }

    #[test]
    fn encryption_requests_end_where_they_say() {
        assert_eq!(read(&packet(SSL_CODE, b"")), Ok(Some((Packet::Ssl, 8))));
        assert_eq!(read(&packet(GSS_CODE, b"")), Ok(Some((Packet::Gss, 8))));
        assert_eq!(read(&packet(SSL_CODE, b"x")), Err(FrameError::Trailing));
    }

    #[test]
    fn protocol_two_and_oversize_are_refused() {
        let old = read(&packet(2 << 16, b"\0"));
        assert_eq!(old, Err(FrameError::UnsupportedProtocol { major: 2, minor: 0 }));
        assert_eq!(read(&[0, 0, 0, 7]), Err(FrameError::BadLength(7)));
        assert_eq!(read(&10_000u32.to_be_bytes()), Ok(None));
        assert!(read(&10_001u32.to_be_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn hostile_packets_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), code in 0usize..4) {
            let code = [CANCEL_CODE, SSL_CODE, GSS_CODE, 3 << 16][code];
            let _ = read(&bytes);
            if let Ok(Some((_, used))) = read(&packet(code, &bytes)) {
                prop_assert_eq!(used, bytes.len() + 8);
            }
        }
    }
}
