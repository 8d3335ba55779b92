//! A TCP relay between the proxy and a shard that cuts the connection when it sees certain bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Passes bytes both ways. Once armed, the first write of the proxy that contains the text still reaches the server;
/// its answer does not come back, and both connections end.
#[derive(Debug)]
pub struct Cutter {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    text: Mutex<Option<String>>,
    refusing: AtomicBool,
    cuts: AtomicUsize,
}

impl Cutter {
    /// Listens on a free port and relays to 127.0.0.1:`server`; ends with the test's process.
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port for the relay");
        let port = listener.local_addr().expect("its address").port();
        let shared = Arc::new(Shared::default());
        let relay = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if relay.refusing.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                client.set_nodelay(true).ok();
                server.set_nodelay(true).ok();
                join(client, server, &relay);
            }
        });
        Self { port, shared }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts the next connection over which the proxy sends `text`, after the server has got it.
    pub fn arm(&self, text: &str) {
        *self.shared.text.lock().unwrap() = Some(text.to_owned());
    }

    /// Says whether new connections are refused from now on.
    pub fn refuse(&self, refusing: bool) {
        self.shared.refusing.store(refusing, Ordering::SeqCst);
    }

    /// Returns how many connections were cut.
    pub fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::SeqCst)
    }
}

fn join(client: TcpStream, server: TcpStream, shared: &Arc<Shared>) {
    let ends = (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
    let silent = Arc::new(AtomicBool::new(false));
    let (shared, silenced) = (shared.clone(), silent.clone());
    std::thread::spawn(move || pass(client, server, |bytes| shared.cut(bytes, &silenced)));
    std::thread::spawn(move || {
        pass(ends.1, ends.0, |_| if silent.load(Ordering::SeqCst) { Cut::Now } else { Cut::No })
    });
}

/// Whether a chunk ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    No,
    /// It is not passed.
    Now,
}

impl Shared {
    /// Silences the server's side before the text reaches it, so that no answer can come back.
    fn cut(&self, bytes: &[u8], silenced: &AtomicBool) -> Cut {
        let mut text = self.text.lock().unwrap();
        if let Some(wanted) = &*text
            && bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes())
        {
            *text = None;
            silenced.store(true, Ordering::SeqCst);
            self.cuts.fetch_add(1, Ordering::SeqCst);
        }
        Cut::No
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, cut: impl Fn(&[u8]) -> Cut) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length) = from.read(&mut buffer) {
        if length == 0 || cut(&buffer[..length]) == Cut::Now || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}
