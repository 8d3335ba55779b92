//! Authentication messages of both directions.

use bytes::{BufMut, BytesMut};

use crate::wire::FrameError;
use crate::wire::cursor::Cursor;
use crate::wire::frame;

const OK: i32 = 0;
const CLEARTEXT: i32 = 3;
const MD5: i32 = 5;
const SASL: i32 = 10;
const SASL_CONTINUE: i32 = 11;
const SASL_FINAL: i32 = 12;

/// What a server demands or says during authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// The user is who it says.
    Ok,
    /// A password in clear text is wanted.
    Cleartext,
    /// An md5 answer over this salt is wanted.
    Md5([u8; 4]),
    /// SASL is wanted; the zero-terminated mechanism names.
    Sasl(&'a [u8]),
    /// The server's first SASL message.
    SaslContinue(&'a [u8]),
    /// The server's last SASL message.
    SaslFinal(&'a [u8]),
    /// A method that is not spoken here (GSSAPI, SSPI and the like).
    Unsupported(i32),
}

impl<'a> Authentication<'a> {
    /// Reads the body of an authentication request (`R`).
    pub fn read(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut cursor = Cursor::new(body);
        Ok(match cursor.i32()? {
            OK => Self::Ok,
            CLEARTEXT => Self::Cleartext,
            MD5 => Self::Md5(cursor.take(4)?.try_into().map_err(|_| FrameError::Truncated)?),
            SASL => Self::Sasl(cursor.rest()),
            SASL_CONTINUE => Self::SaslContinue(cursor.rest()),
            SASL_FINAL => Self::SaslFinal(cursor.rest()),
            other => Self::Unsupported(other),
        })
    }

    /// Tells whether the server offers the SASL mechanism `name`.
    pub fn offers(&self, name: &str) -> bool {
        match self {
            Self::Sasl(names) => names.split(|byte| *byte == 0).any(|offered| offered == name.as_bytes()),
            Self::Ok
            | Self::Cleartext
            | Self::Md5(_)
            | Self::SaslContinue(_)
            | Self::SaslFinal(_)
            | Self::Unsupported(_) => false,
        }
    }
}

/// Returns the password in the body of a PasswordMessage (`p`).
pub fn password(body: &[u8]) -> Result<&[u8], FrameError> {
    let mut cursor = Cursor::new(body);
    let password = cursor.bytes_to_zero()?;
    cursor.finish().map(|()| password)
}

/// The body of SASLInitialResponse (`p`); the body of SASLResponse is the bare answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaslInitial<'a> {
    /// The mechanism that the client chose.
    pub mechanism: &'a str,
    /// Its first message; `None` when it sent none.
    pub response: Option<&'a [u8]>,
}

impl<'a> SaslInitial<'a> {
    /// Reads the body.
    pub fn read(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut cursor = Cursor::new(body);
        let mechanism = cursor.text()?;
        let response = cursor.value()?;
        cursor.finish().map(|()| Self { mechanism, response })
    }
}

/// Appends AuthenticationOk.
pub fn write_auth_ok(out: &mut BytesMut) {
    write_request(out, OK, b"");
}

/// Appends AuthenticationCleartextPassword.
pub fn write_auth_cleartext(out: &mut BytesMut) {
    write_request(out, CLEARTEXT, b"");
}

/// Appends AuthenticationMD5Password.
pub fn write_auth_md5(out: &mut BytesMut, salt: [u8; 4]) {
    write_request(out, MD5, &salt);
}

/// Appends AuthenticationSASL with the mechanisms offered, best first.
pub fn write_auth_sasl(out: &mut BytesMut, mechanisms: &[&str]) {
    frame::write(out, b'R', |out| {
        out.put_i32(SASL);
        for mechanism in mechanisms {
            frame::write_text(out, mechanism);
        }
        out.put_u8(0);
    });
}

/// Appends AuthenticationSASLContinue.
pub fn write_auth_sasl_continue(out: &mut BytesMut, data: &[u8]) {
    write_request(out, SASL_CONTINUE, data);
}

/// Appends AuthenticationSASLFinal.
pub fn write_auth_sasl_final(out: &mut BytesMut, data: &[u8]) {
    write_request(out, SASL_FINAL, data);
}

fn write_request(out: &mut BytesMut, code: i32, data: &[u8]) {
    frame::write(out, b'R', |out| {
        out.put_i32(code);
        out.put_slice(data);
    });
}
