//! Words that only some modules may write.

use super::source::Source;

/// A word and the modules that may write it.
struct Reserved {
    word: &'static str,
    modules: &'static [&'static str],
}

/// The parser's facts leave `sql` as our own types.
const PARSER: &[&str] = &["sql"];
/// Who opens connections: `backend` those of clients' statements, `outbox` those of the service user, `dev` those
/// that prepare local servers, `server` the listeners; `cli` asks a running proxy. `execute` and `session` name the type of the
/// client's socket, which `server` accepted; `tls` encrypts what others opened.
const SOCKETS: &[&str] = &["tls", "backend", "outbox", "execute", "session", "server", "dev", "cli"];

const RESERVED: &[Reserved] = &[
    Reserved { word: "sqlparser", modules: PARSER },
    Reserved { word: "TcpStream", modules: SOCKETS },
    Reserved { word: "TcpListener", modules: SOCKETS },
    Reserved { word: "TcpSocket", modules: SOCKETS },
    Reserved { word: "UnixStream", modules: SOCKETS },
    Reserved { word: "UnixListener", modules: SOCKETS },
    Reserved { word: "UdpSocket", modules: SOCKETS },
    Reserved { word: "socket2", modules: SOCKETS },
    Reserved { word: "tokio_postgres", modules: SOCKETS },
    Reserved { word: "ureq", modules: SOCKETS },
];

/// Returns a line for each word in `source` that belongs to other modules.
pub fn strangers(source: &Source) -> Vec<String> {
    let words = source.code.lines().enumerate().flat_map(|(index, line)| {
        line.split(|c: char| !c.is_alphanumeric() && c != '_').map(move |word| (index + 1, word))
    });
    words
        .filter_map(|(line, word)| {
            let reserved = RESERVED.iter().find(|reserved| reserved.word == word)?;
            let allowed = reserved.modules.contains(&source.module.as_str());
            (!allowed).then(|| {
                format!("{}:{line}: {} names {word}, which is for {:?}", source.path, source.module, reserved.modules)
            })
        })
        .collect()
}
