//! Replies that the client did not get: [`Client::hold`](super::client::Client::hold) kept them.

use bytes::Bytes;

use super::failure::Failure;
use crate::wire::frame::HEADER_BYTES;

/// Splits held replies into frames.
pub(super) fn frames(mut reply: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = reply.get(1..HEADER_BYTES)?.try_into().ok().map(u32::from_be_bytes)? as usize;
        let (frame, rest) = reply.split_at_checked(1 + length)?;
        reply = rest;
        Some(frame)
    })
}

/// An error that was told while replies were held is among them.
pub(super) fn told(done: Result<(), Failure>, reply: &Bytes) -> Result<(), Failure> {
    match done {
        Err(Failure::Told) => match frames(reply).find(|frame| frame[0] == b'E') {
            Some(frame) => Err(Failure::Shard { frame: reply.slice_ref(frame) }),
            None => Err(Failure::Told),
        },
        done => done,
    }
}
