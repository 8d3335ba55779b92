//! Writers that append whole frames of the client's direction.
//!
//! Counts are 16 bits on the wire; callers pass on what they read from the wire, so they fit.

use bytes::{BufMut, BytesMut};

use super::Target;
use crate::wire::{frame, startup};

/// One parameter of a Bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindValue<'a> {
    /// 0 text, 1 binary.
    pub format: i16,
    /// The value; `None` is NULL.
    pub value: Option<&'a [u8]>,
}

/// Appends Query.
pub fn write_query(out: &mut BytesMut, sql: &str) {
    frame::write(out, b'Q', |out| frame::write_text(out, sql));
}

/// Appends Parse; `types` may be shorter than the statement's parameters.
pub fn write_parse(out: &mut BytesMut, name: &str, sql: &str, types: &[u32]) {
    frame::write(out, b'P', |out| {
        frame::write_text(out, name);
        frame::write_text(out, sql);
        out.put_u16(types.len() as u16);
        for oid in types {
            out.put_u32(*oid);
        }
    });
}

/// Appends Bind, one format per parameter.
pub fn write_bind(
    out: &mut BytesMut,
    portal: &str,
    statement: &str,
    parameters: &[BindValue<'_>],
    result_formats: &[i16],
) {
    frame::write(out, b'B', |out| {
        frame::write_text(out, portal);
        frame::write_text(out, statement);
        write_formats(out, parameters.iter().map(|parameter| parameter.format));
        out.put_u16(parameters.len() as u16);
        for parameter in parameters {
            write_value(out, parameter.value);
        }
        write_formats(out, result_formats.iter().copied());
    });
}

fn write_formats(out: &mut BytesMut, formats: impl ExactSizeIterator<Item = i16>) {
    out.put_u16(formats.len() as u16);
    for format in formats {
        out.put_i16(format);
    }
}

fn write_value(out: &mut BytesMut, value: Option<&[u8]>) {
    match value {
        Some(bytes) => {
            out.put_u32(bytes.len() as u32);
            out.put_slice(bytes);
        }
        None => out.put_i32(-1),
    }
}

/// Appends Describe.
pub fn write_describe(out: &mut BytesMut, target: Target, name: &str) {
    write_target(out, b'D', target, name);
}

/// Appends Close.
pub fn write_close(out: &mut BytesMut, target: Target, name: &str) {
    write_target(out, b'C', target, name);
}

fn write_target(out: &mut BytesMut, kind: u8, target: Target, name: &str) {
    frame::write(out, kind, |out| {
        out.put_u8(target.byte());
        frame::write_text(out, name);
    });
}

/// Appends Execute; `rows` 0 means all.
pub fn write_execute(out: &mut BytesMut, portal: &str, rows: i32) {
    frame::write(out, b'E', |out| {
        frame::write_text(out, portal);
        out.put_i32(rows);
    });
}

/// Appends Sync.
pub fn write_sync(out: &mut BytesMut) {
    frame::write(out, b'S', |_| ());
}

/// Appends Flush.
pub fn write_flush(out: &mut BytesMut) {
    frame::write(out, b'H', |_| ());
}

/// Appends Terminate.
pub fn write_terminate(out: &mut BytesMut) {
    frame::write(out, b'X', |_| ());
}

/// Appends FunctionCall with a body as it was read.
pub fn write_function_call(out: &mut BytesMut, body: &[u8]) {
    frame::write(out, b'F', |out| out.put_slice(body));
}

/// Appends CopyData.
pub fn write_copy_data(out: &mut BytesMut, data: &[u8]) {
    frame::write(out, b'd', |out| out.put_slice(data));
}

/// Appends CopyDone.
pub fn write_copy_done(out: &mut BytesMut) {
    frame::write(out, b'c', |_| ());
}

/// Appends CopyFail with the reason.
pub fn write_copy_fail(out: &mut BytesMut, reason: &str) {
    frame::write(out, b'f', |out| frame::write_text(out, reason));
}

/// Appends a protocol 3.0 start-up packet.
pub fn write_startup(out: &mut BytesMut, parameters: &[(&str, &str)]) {
    startup::write_start(out, parameters);
}

/// Appends an SSLRequest packet.
pub fn write_ssl_request(out: &mut BytesMut) {
    startup::write_ssl_request(out);
}

/// Appends a CancelRequest packet.
pub fn write_cancel(out: &mut BytesMut, process: i32, secret: &[u8]) {
    startup::write_cancel(out, process, secret);
}

/// Appends PasswordMessage: a cleartext password or an md5 answer.
pub fn write_password(out: &mut BytesMut, password: &str) {
    frame::write(out, b'p', |out| frame::write_text(out, password));
}

/// Appends SASLInitialResponse.
pub fn write_sasl_initial(out: &mut BytesMut, mechanism: &str, response: &[u8]) {
    frame::write(out, b'p', |out| {
        frame::write_text(out, mechanism);
        write_value(out, Some(response));
    });
}

/// Appends SASLResponse.
pub fn write_sasl_response(out: &mut BytesMut, response: &[u8]) {
    frame::write(out, b'p', |out| out.put_slice(response));
}
