//! A TCP relay between the proxy and a shard that does harm to a connection over which certain bytes are sent.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;

/// What the decision on home begins with: the ledger's statement is bound.
pub const DECISION: &str = "\0s0\0";

/// Passes bytes both ways. Once armed, the first write of the proxy that contains the text still reaches the server;
/// what then becomes of the server's answer is the [`Harm`].
#[derive(Debug)]
pub struct Cutter {
    port: u16,
    shared: Arc<Shared>,
}

/// What becomes of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Harm {
    /// So many bytes of it pass, then both connections end.
    CutAfter(usize),
    /// The proxy gets these bytes in its place, then both connections end.
    Replace(Vec<u8>),
    /// None of it passes, both connections are reset.
    Reset,
    /// The text does not even reach the server; both connections end.
    CutBefore,
    /// From then on nothing passes either way, and nobody is told: the server has got the text.
    Silence,
    /// The same, and the server has not got the text.
    SilenceBefore,
    /// Each piece of it comes so much later.
    Slow(Duration),
}

#[derive(Debug, Default)]
struct Shared {
    armed: Mutex<Option<(String, Harm)>>,
    doomed: Mutex<Doom>,
    refusing: AtomicBool,
    cuts: AtomicUsize,
}

/// The harm that one connection is under.
type Doom = Arc<Mutex<Option<Harm>>>;

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
        self.arm_with(text, Harm::CutAfter(0));
    }

    /// Does `harm` to the next connection over which the proxy sends `text`.
    pub fn arm_with(&self, text: &str, harm: Harm) {
        *self.shared.armed.lock().unwrap() = Some((text.to_owned(), harm));
    }

    /// Tells whether the next harm is still to come.
    pub fn is_armed(&self) -> bool {
        self.shared.armed.lock().unwrap().is_some()
    }

    /// Takes back a harm that has not been done.
    pub fn disarm(&self) {
        *self.shared.armed.lock().unwrap() = None;
    }

    /// Takes back what is left of the last harm.
    pub fn spare(&self) {
        *self.shared.doomed.lock().unwrap().lock().unwrap() = None;
    }

    /// Says whether new connections are refused from now on.
    pub fn refuse(&self, refusing: bool) {
        self.shared.refusing.store(refusing, Ordering::SeqCst);
    }

    /// Returns how many connections were harmed.
    pub fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::SeqCst)
    }
}

fn join(client: TcpStream, server: TcpStream, shared: &Arc<Shared>) {
    let ends = (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
    let doom = Doom::default();
    let (shared, doomed) = (shared.clone(), doom.clone());
    std::thread::spawn(move || forth(client, server, &shared, &doomed));
    std::thread::spawn(move || back(ends.1, ends.0, &doom));
}

impl Shared {
    /// Says what the server's side is to do before the text reaches it, so that no answer can come before.
    fn look(&self, bytes: &[u8], doom: &Doom) {
        let mut armed = self.armed.lock().unwrap();
        if let Some((wanted, _)) = &*armed
            && bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes())
        {
            *doom.lock().unwrap() = armed.take().map(|(_, harm)| harm);
            *self.doomed.lock().unwrap() = doom.clone();
            self.cuts.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// From the proxy to the server.
fn forth(mut from: TcpStream, mut to: TcpStream, shared: &Shared, doom: &Doom) {
    let mut buffer = vec![0; 64 * 1024];
    let mut silent = false;
    while let Ok(length) = from.read(&mut buffer) {
        if length == 0 {
            break;
        }
        if silent {
            continue;
        }
        shared.look(&buffer[..length], doom);
        let harm = doom.lock().unwrap().clone();
        match harm {
            Some(Harm::CutBefore) => break,
            Some(Harm::SilenceBefore) => {
                silent = true;
                continue;
            }
            Some(Harm::Silence) => silent = true,
            Some(Harm::CutAfter(_) | Harm::Replace(_) | Harm::Reset | Harm::Slow(_)) | None => {}
        }
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}

/// From the server to the proxy.
fn back(mut from: TcpStream, mut to: TcpStream, doom: &Doom) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length) = from.read(&mut buffer) {
        let mut pause = None;
        let (passing, ends) = match &mut *doom.lock().unwrap() {
            None => (buffer[..length].to_vec(), length == 0),
            Some(Harm::Replace(bytes)) => (bytes.clone(), true),
            Some(Harm::CutAfter(left)) => {
                let passing = buffer[..length.min(*left)].to_vec();
                *left -= passing.len();
                (passing, *left == 0 || length == 0)
            }
            Some(Harm::Reset) => {
                SockRef::from(&to).set_linger(Some(Duration::ZERO)).ok();
                SockRef::from(&from).set_linger(Some(Duration::ZERO)).ok();
                (Vec::new(), true)
            }
            Some(Harm::CutBefore) => (Vec::new(), true),
            Some(Harm::Silence | Harm::SilenceBefore) => (Vec::new(), length == 0),
            Some(Harm::Slow(later)) => {
                pause = Some(*later);
                (buffer[..length].to_vec(), length == 0)
            }
        };
        pause.into_iter().for_each(std::thread::sleep);
        if to.write_all(&passing).is_err() || ends {
            break;
        }
    }
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}
