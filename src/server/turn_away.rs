//! Telling a client that it cannot be served, before any session exists: `53300` when all places are taken.
//!
//! Encryption requests are answered with "no" first, so that the client reads the error and not a broken handshake.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::types::{Refusal, SqlState};

/// How long such a client may take to send its first message; it holds a socket and no place meanwhile.
const FIRST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(2);

/// The most bytes of a start-up message that are read, PostgreSQL's own bound.
const STARTUP_BYTES_MAX: usize = 10_000;

/// Requests for encryption that are answered before the start-up message: GSSAPI and TLS, once each.
const ENCRYPTION_REQUESTS_MAX: usize = 2;

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// The refusal of a client beyond `max_clients`.
pub fn too_many(max: usize) -> Refusal {
    Refusal::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already")
        .with_hint(format!("This proxy takes {max} clients (limits.max_clients)."))
}

/// Reads the client's first messages, sends the refusal and closes; errors of the socket end it silently.
pub async fn turn_away(mut client: impl AsyncRead + AsyncWrite + Unpin, refusal: Refusal) {
    let _ = tokio::time::timeout(FIRST_MESSAGE_TIMEOUT, async {
        read_startup(&mut client).await?;
        client.write_all(&error_response(&refusal)).await?;
        client.shutdown().await
    })
    .await;
}

async fn read_startup(client: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> std::io::Result<()> {
    for _ in 0..=ENCRYPTION_REQUESTS_MAX {
        let length = client.read_u32().await? as usize;
        if !(8..=STARTUP_BYTES_MAX).contains(&length) {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let mut body = vec![0; length - 4];
        client.read_exact(&mut body).await?;
        let code = u32::from_be_bytes([body[0], body[1], body[2], body[3]]);
        if code != SSL_REQUEST && code != GSS_REQUEST {
            return Ok(());
        }
        client.write_all(b"N").await?;
    }
    Err(std::io::ErrorKind::InvalidData.into())
}

/// Encodes an ErrorResponse of severity FATAL (protocol documentation, section "Message Formats").
fn error_response(refusal: &Refusal) -> Vec<u8> {
    let mut body = Vec::new();
    let fields = [
        (b'S', Some("FATAL")),
        (b'V', Some("FATAL")),
        (b'C', Some(refusal.state.code())),
        (b'M', Some(refusal.message.as_str())),
        (b'D', refusal.detail.as_deref()),
        (b'H', refusal.hint.as_deref()),
    ];
    for (code, text) in fields.into_iter().filter_map(|(code, text)| Some((code, text?))) {
        body.push(code);
        body.extend(text.bytes().filter(|byte| *byte != 0));
        body.push(0);
    }
    body.push(0);
    let mut message = vec![b'E'];
    message.extend(((body.len() + 4) as u32).to_be_bytes());
    message.extend(body);
    message
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn client_is_told_no_encryption_and_then_the_reason() {
        let (mut client, server) = pair().await;
        let server = tokio::spawn(turn_away(server, too_many(7)));
        client.write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]).await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'N');
        client.write_all(&[0, 0, 0, 9, 0, 3, 0, 0, 0]).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with('E') && text.contains("C53300\0") && text.contains("7 clients"), "{text}");
        assert_eq!(u32::from_be_bytes(answer[1..5].try_into().unwrap()) as usize, answer.len() - 1);
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_length_out_of_bounds_ends_it_without_an_answer() {
        for length in [7u32, STARTUP_BYTES_MAX as u32 + 1, u32::MAX] {
            let (mut client, server) = pair().await;
            client.write_all(&length.to_be_bytes()).await.unwrap();
            turn_away(server, too_many(1)).await;
            let mut answer = Vec::new();
            let _ = client.read_to_end(&mut answer).await;
            assert!(answer.is_empty());
        }
    }
}
