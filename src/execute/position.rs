//! Where an error stands in the client's own text: a shard counts in the text that it got.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::BytesMut;

use super::renamed::renamed;
use crate::rules::RuleSet;
use crate::wire::backend::ErrorFields;
use crate::wire::frame;

/// How positions in a shard's text relate to those in the client's.
#[derive(Debug, Clone, Default)]
pub enum Position {
    /// They are the same.
    #[default]
    Same,
    /// The client's text has so many characters before the statement.
    Behind(usize),
    /// The shard got another text: none is told.
    Unknown,
    /// The shard got another text, which names physical tables: their logical names are told.
    Physical(Arc<RuleSet>),
}

impl Position {
    /// Returns an ErrorResponse frame with the client's position in place of the shard's.
    pub fn mend<'a>(&self, error: &'a [u8]) -> Cow<'a, [u8]> {
        let behind = match self {
            Self::Same => return Cow::Borrowed(error),
            Self::Behind(characters) => Some(*characters),
            Self::Unknown => None,
            Self::Physical(rules) => return Cow::Owned(renamed(error, rules).to_vec()),
        };
        let Some(fields) = error.get(5..).and_then(|body| ErrorFields::read(body).ok()) else {
            return Cow::Borrowed(error);
        };
        let mut mended = BytesMut::new();
        frame::write(&mut mended, b'E', |out| {
            for (code, value) in fields.iter() {
                let position = (code == b'P').then(|| shifted(value, behind));
                let value = match &position {
                    None => value,
                    Some(Some(position)) => position.as_bytes(),
                    Some(None) => continue,
                };
                out.extend_from_slice(&[code]);
                out.extend_from_slice(value);
                out.extend_from_slice(&[0]);
            }
            out.extend_from_slice(&[0]);
        });
        Cow::Owned(mended.to_vec())
    }
}

fn shifted(value: &[u8], behind: Option<usize>) -> Option<String> {
    let position: usize = std::str::from_utf8(value).ok()?.parse().ok()?;
    Some(position.checked_add(behind?)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> Vec<u8> {
        let mut out = BytesMut::new();
        crate::wire::backend::write_error_fields(&mut out, b'E', &[(b'S', "ERROR"), (b'P', "8"), (b'R', "x")]);
        out.to_vec()
    }

    fn position(mended: &[u8]) -> Option<String> {
        ErrorFields::read(&mended[5..]).unwrap().get(b'P').map(str::to_owned)
    }

    #[test]
    fn a_position_counts_from_the_start_of_the_clients_text() {
        let error = error();
        assert_eq!(position(&Position::Same.mend(&error)).as_deref(), Some("8"));
        let mended = Position::Behind(10).mend(&error).into_owned();
        assert_eq!(position(&mended).as_deref(), Some("18"));
        assert_eq!(ErrorFields::read(&mended[5..]).unwrap().get(b'R'), Some("x"));
        assert_eq!(mended.len() - 1, u32::from_be_bytes(mended[1..5].try_into().unwrap()) as usize);
    }

    #[test]
    fn no_position_is_told_in_a_text_that_the_client_did_not_write() {
        assert_eq!(position(&Position::Unknown.mend(&error())), None);
    }
}
