//! Writers that append whole frames of the server's direction.

use bytes::{BufMut, BytesMut};

use super::Field;
use crate::types::{Refusal, TransactionStatus};
use crate::wire::frame;

/// Appends ErrorResponse; `severity` is `ERROR`, `FATAL` or `PANIC`.
pub fn write_error(out: &mut BytesMut, severity: &str, refusal: &Refusal) {
    write_refusal(out, b'E', severity, refusal);
}

/// Appends NoticeResponse of severity `NOTICE`.
pub fn write_notice(out: &mut BytesMut, refusal: &Refusal) {
    write_refusal(out, b'N', "NOTICE", refusal);
}

/// Appends NoticeResponse of severity `WARNING`.
pub fn write_warning(out: &mut BytesMut, warning: &Refusal) {
    write_refusal(out, b'N', "WARNING", warning);
}

fn write_refusal(out: &mut BytesMut, kind: u8, severity: &str, refusal: &Refusal) {
    let state = refusal.state;
    let always = [(b'S', severity), (b'V', severity), (b'C', state.code()), (b'M', refusal.message.as_str())];
    let detail = refusal.detail.as_deref().map(|detail| (b'D', detail));
    let hint = refusal.hint.as_deref().map(|hint| (b'H', hint));
    write_fields(out, kind, always.into_iter().chain(detail).chain(hint));
}

/// Appends ErrorResponse (`kind` `b'E'`) or NoticeResponse (`b'N'`) with these fields.
pub fn write_error_fields(out: &mut BytesMut, kind: u8, fields: &[(u8, &str)]) {
    write_fields(out, kind, fields.iter().copied());
}

fn write_fields<'a>(out: &mut BytesMut, kind: u8, fields: impl Iterator<Item = (u8, &'a str)>) {
    frame::write(out, kind, |out| {
        for (code, value) in fields {
            out.put_u8(code);
            frame::write_text(out, value);
        }
        out.put_u8(0);
    });
}

/// Appends RowDescription; at most 65,535 columns (PostgreSQL's own limit is 1,664).
pub fn write_row_description(out: &mut BytesMut, fields: &[Field]) {
    frame::write(out, b'T', |out| {
        out.put_u16(fields.len() as u16);
        for field in fields {
            frame::write_text(out, &field.name);
            out.put_u32(field.table_oid);
            out.put_i16(field.column);
            out.put_u32(field.type_oid);
            out.put_i16(field.type_size);
            out.put_i32(field.type_modifier);
            out.put_i16(field.format);
        }
    });
}

/// Appends DataRow; `None` is NULL.
pub fn write_data_row(out: &mut BytesMut, values: &[Option<&[u8]>]) {
    frame::write(out, b'D', |out| {
        out.put_u16(values.len() as u16);
        for value in values {
            match value {
                Some(bytes) => {
                    out.put_u32(bytes.len() as u32);
                    out.put_slice(bytes);
                }
                None => out.put_i32(-1),
            }
        }
    });
}

/// Appends CommandComplete.
pub fn write_command_complete(out: &mut BytesMut, tag: &str) {
    frame::write(out, b'C', |out| frame::write_text(out, tag));
}

/// Appends ReadyForQuery.
pub fn write_ready(out: &mut BytesMut, status: TransactionStatus) {
    frame::write(out, b'Z', |out| out.put_u8(status.byte()));
}

/// Appends ParameterStatus.
pub fn write_parameter_status(out: &mut BytesMut, name: &str, value: &str) {
    frame::write(out, b'S', |out| {
        frame::write_text(out, name);
        frame::write_text(out, value);
    });
}

/// Appends BackendKeyData; the secret has 4 bytes in protocol 3.0, up to 256 in 3.2.
pub fn write_backend_key(out: &mut BytesMut, process: i32, secret: &[u8]) {
    frame::write(out, b'K', |out| {
        out.put_i32(process);
        out.put_slice(secret);
    });
}

/// Appends ParseComplete.
pub fn write_parse_complete(out: &mut BytesMut) {
    frame::write(out, b'1', |_| ());
}

/// Appends BindComplete.
pub fn write_bind_complete(out: &mut BytesMut) {
    frame::write(out, b'2', |_| ());
}

/// Appends CloseComplete.
pub fn write_close_complete(out: &mut BytesMut) {
    frame::write(out, b'3', |_| ());
}

/// Appends NoData.
pub fn write_no_data(out: &mut BytesMut) {
    frame::write(out, b'n', |_| ());
}

/// Appends PortalSuspended.
pub fn write_portal_suspended(out: &mut BytesMut) {
    frame::write(out, b's', |_| ());
}

/// Appends EmptyQueryResponse.
pub fn write_empty_query(out: &mut BytesMut) {
    frame::write(out, b'I', |_| ());
}

/// Appends ParameterDescription.
pub fn write_parameter_description(out: &mut BytesMut, types: &[u32]) {
    frame::write(out, b't', |out| {
        out.put_u16(types.len() as u16);
        for oid in types {
            out.put_u32(*oid);
        }
    });
}

/// Appends CopyInResponse; `format` (0 text, 1 binary) holds for each of `columns`.
pub fn write_copy_in_response(out: &mut BytesMut, format: u8, columns: usize) {
    write_copy_response(out, b'G', format, columns);
}

/// Appends CopyOutResponse; `format` (0 text, 1 binary) holds for each of `columns`.
pub fn write_copy_out_response(out: &mut BytesMut, format: u8, columns: usize) {
    write_copy_response(out, b'H', format, columns);
}

fn write_copy_response(out: &mut BytesMut, kind: u8, format: u8, columns: usize) {
    frame::write(out, kind, |out| {
        out.put_u8(format);
        out.put_u16(columns as u16);
        for _ in 0..columns {
            out.put_i16(i16::from(format));
        }
    });
}
