//! Message borders and bodies: where a stream is cut into reads does not matter, and what is read can be written back.

use bytes::BytesMut;
use shardloom::wire::backend::{self, Authentication, DataRow, ErrorFields, SaslInitial};
use shardloom::wire::copy_text;
use shardloom::wire::frame::{FrameError, HEADER_BYTES, header};
use shardloom::wire::frontend::{self, Bind, BindValue, Close, Describe, Execute, Parse};

/// Small, so that bytes of a fuzzer reach it.
const BOUND: usize = 4096;

/// Frames by kind and body, and what ended them.
type Stream = (Vec<(u8, Vec<u8>)>, Option<FrameError>);

/// The first two bytes say where the rest is cut into reads.
pub fn holds(data: &[u8]) {
    let Some((&[step, first], stream)) = data.split_first_chunk::<2>() else { return };
    let whole = frames(stream, usize::MAX, usize::MAX);
    for step in [1, usize::from(step).max(1)] {
        assert_eq!(frames(stream, usize::from(first), step), whole, "where reads end does not matter");
    }
    for (kind, body) in &whole.0 {
        front(*kind, body);
        back(body);
    }
    rows(stream);
}

/// Reads a stream as a connection does: `first` bytes come at first, then `step` at a time.
fn frames(stream: &[u8], first: usize, step: usize) -> Stream {
    let mut buffer = BytesMut::new();
    let mut found = Vec::new();
    let mut rest = stream;
    let mut size = first;
    loop {
        loop {
            match header(&buffer, BOUND) {
                Ok(Some(at)) if at.length <= buffer.len() => {
                    assert!((HEADER_BYTES..=BOUND).contains(&at.length));
                    let frame = buffer.split_to(at.length);
                    found.push((at.kind, frame[HEADER_BYTES..].to_vec()));
                }
                Ok(_) => break,
                Err(error) => return (found, Some(error)),
            }
        }
        if rest.is_empty() {
            return (found, None);
        }
        let (now, later) = rest.split_at(size.min(rest.len()));
        buffer.extend_from_slice(now);
        (rest, size) = (later, step);
    }
}

fn front(kind: u8, body: &[u8]) {
    let mut out = BytesMut::new();
    match kind {
        b'Q' => {
            if let Ok(text) = frontend::query_text(body) {
                frontend::write_query(&mut out, text);
            }
        }
        b'P' => {
            if let Ok(parse) = Parse::read(body) {
                let types: Vec<u32> = parse.types.iter().collect();
                assert_eq!(types.len(), parse.types.len());
                frontend::write_parse(&mut out, parse.name, parse.sql, &types);
            }
        }
        b'B' => return bind(body),
        b'D' => {
            if let Ok(describe) = Describe::read(body) {
                frontend::write_describe(&mut out, describe.target, describe.name);
            }
        }
        b'C' => {
            if let Ok(close) = Close::read(body) {
                frontend::write_close(&mut out, close.target, close.name);
            }
        }
        b'E' => {
            if let Ok(execute) = Execute::read(body) {
                frontend::write_execute(&mut out, execute.portal, execute.rows);
            }
        }
        _ => {
            let _ = (Authentication::read(body), SaslInitial::read(body), backend::password(body));
            return;
        }
    }
    assert!(out.is_empty() || out[HEADER_BYTES..] == *body, "what is read is written back");
}

/// Formats may be said in several ways, so a Bind is compared by what it says.
fn bind(body: &[u8]) {
    let Ok(read) = Bind::read(body) else { return };
    let values: Vec<Option<&[u8]>> = read.parameters().collect();
    assert_eq!(values.len(), read.parameter_count());
    let parameters: Vec<BindValue<'_>> = values
        .iter()
        .enumerate()
        .map(|(index, value)| BindValue { format: read.parameter_format(index), value: *value })
        .collect();
    let formats: Vec<i16> = read.result_formats().collect();
    let mut out = BytesMut::new();
    frontend::write_bind(&mut out, read.portal, read.statement, &parameters, &formats);
    let again = Bind::read(&out[HEADER_BYTES..]).expect("what is written is read");
    assert_eq!((again.portal, again.statement), (read.portal, read.statement));
    assert_eq!(again.parameters().collect::<Vec<_>>(), values);
    assert_eq!(again.result_formats_raw(), read.result_formats_raw());
    for index in 0..values.len() {
        assert_eq!(again.parameter_format(index), read.parameter_format(index));
    }
}

/// Servers are not trusted to be sane either.
fn back(body: &[u8]) {
    if let Ok(fields) = ErrorFields::read(body) {
        fields.iter().for_each(|(code, _)| _ = fields.get(code));
    }
    if let Ok(fields) = backend::row_description(body) {
        let mut out = BytesMut::new();
        backend::write_row_description(&mut out, &fields);
        assert_eq!(out[HEADER_BYTES..], *body);
    }
    if let Ok(types) = backend::parameter_description(body) {
        let mut out = BytesMut::new();
        backend::write_parameter_description(&mut out, &types);
        assert_eq!(out[HEADER_BYTES..], *body);
    }
    let _ = DataRow::read(body).map(|row| row.len());
    let _ = (backend::command_tag(body), backend::parameter_status(body));
    let _ = (backend::backend_key(body), backend::ready_status(body));
}

/// Lines of COPY: their borders cover the buffer, and fields are found in each.
fn rows(stream: &[u8]) {
    let mut rest = stream;
    while let Some(length) = copy_text::next_row(rest) {
        assert!((1..=rest.len()).contains(&length));
        let (row, later) = rest.split_at(length);
        let _ = copy_text::is_end_of_data(row);
        for position in 0..3 {
            let _ = copy_text::field(copy_text::content(row), position, b'\t', "\\N");
        }
        rest = later;
    }
}
