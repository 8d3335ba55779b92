//! The answer to a query on its way to the client as the data of a COPY: for reads that no server copies by itself.

use bytes::{Buf, BytesMut};

use crate::types::{Refusal, SqlState};
use crate::wire::backend;
use crate::wire::copy_out::Layout;
use crate::wire::frame::{self, FrameError, HEADER_BYTES};

use super::forward::{SERVER_FRAME_MAX, rows_of_tag};

/// One COPY.
#[derive(Debug)]
pub struct Copying {
    layout: Layout,
    /// What the client is to get before it.
    ahead: BytesMut,
    /// The beginning of a message whose end is still to come.
    rest: BytesMut,
    /// Which columns are to be quoted.
    forced: Vec<bool>,
    /// Whether no row has come yet.
    empty: bool,
    /// Whether the client has asked what a row looks like, which a COPY answers with nothing.
    described: bool,
    refusal: Option<Refusal>,
}

impl Copying {
    /// Makes one; `described`: the client has asked for a description of the portal.
    pub fn new(layout: Layout, described: bool) -> Self {
        let (ahead, rest) = (BytesMut::new(), BytesMut::new());
        Self { layout, ahead, rest, forced: Vec::new(), empty: true, described, refusal: None }
    }

    /// Keeps what goes out first.
    pub fn keep_ahead(&mut self, ahead: BytesMut) {
        self.ahead = ahead;
    }

    /// Turns the whole messages of `output` into those of a COPY.
    ///
    /// # Errors
    /// They are none of the protocol.
    pub fn turn(&mut self, output: &mut BytesMut) -> Result<(), FrameError> {
        let mut answer = std::mem::take(&mut self.rest);
        match answer.is_empty() {
            true => answer = std::mem::take(output),
            false => answer.unsplit(std::mem::take(output)),
        }
        let mut out = std::mem::take(&mut self.ahead);
        while let Some(header) = frame::header(&answer, SERVER_FRAME_MAX)?
            && header.length <= answer.len()
        {
            self.message(&mut out, header.kind, &answer[..header.length])?;
            answer.advance(header.length);
        }
        (*output, self.rest) = (out, answer);
        Ok(())
    }

    fn message(&mut self, out: &mut BytesMut, kind: u8, frame: &[u8]) -> Result<(), FrameError> {
        let body = &frame[HEADER_BYTES..];
        match kind {
            b'T' | b'D' | b'C' if self.refusal.is_some() => {}
            b'T' => {
                let names: Vec<String> = backend::row_description(body)?.into_iter().map(|field| field.name).collect();
                match self.layout.forced(&names) {
                    Ok(forced) => self.forced = forced,
                    Err(unknown) => {
                        self.refusal = Some(no_such_column(&unknown));
                        return Ok(());
                    }
                }
                if self.described {
                    backend::write_no_data(out);
                }
                backend::write_copy_out_response(out, self.layout.format(), names.len());
                self.layout.write_head(out, &names);
            }
            b'D' => self.layout.write_row(out, body, &self.forced, std::mem::take(&mut self.empty))?,
            b'C' => {
                self.layout.write_end(out, self.empty);
                backend::write_command_complete(out, &format!("COPY {}", rows_of_tag(backend::command_tag(body)?)));
            }
            _ => out.extend_from_slice(frame),
        }
        Ok(())
    }

    /// Says what was refused.
    pub fn end(self) -> Result<(), Refusal> {
        self.refusal.map_or(Ok(()), Err)
    }
}

fn no_such_column(name: &str) -> Refusal {
    Refusal::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::backend::Field;
    use crate::wire::copy_out::Text;

    fn layout() -> Layout {
        Layout::Text(Text { delimiter: b'\t', null: "\\N".to_owned(), header: false })
    }

    #[test]
    fn messages_in_pieces_become_data_and_others_pass() {
        let mut answer = BytesMut::new();
        let field = Field {
            name: "n".to_owned(),
            table_oid: 0,
            column: 0,
            type_oid: 23,
            type_size: 4,
            type_modifier: -1,
            format: 0,
        };
        backend::write_row_description(&mut answer, &[field]);
        backend::write_parameter_status(&mut answer, "TimeZone", "UTC");
        backend::write_data_row(&mut answer, &[Some(b"7")]);
        backend::write_command_complete(&mut answer, "SELECT 1");

        let mut expected = BytesMut::from(&b"first"[..]);
        backend::write_no_data(&mut expected);
        backend::write_copy_out_response(&mut expected, 0, 1);
        backend::write_parameter_status(&mut expected, "TimeZone", "UTC");
        frame::write(&mut expected, b'd', |out| out.extend_from_slice(b"7\n"));
        crate::wire::frontend::write_copy_done(&mut expected);
        backend::write_command_complete(&mut expected, "COPY 1");

        for size in 1..=answer.len() {
            let mut copying = Copying::new(layout(), true);
            copying.keep_ahead(BytesMut::from(&b"first"[..]));
            let mut sent = BytesMut::new();
            for piece in answer.chunks(size) {
                let mut output = BytesMut::from(piece);
                copying.turn(&mut output).unwrap();
                sent.extend_from_slice(&output);
            }
            assert_eq!(sent, expected, "in pieces of {size} bytes");
            assert_eq!(copying.end(), Ok(()));
        }
    }
}
