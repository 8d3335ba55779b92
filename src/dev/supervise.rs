//! The thread that keeps the servers running.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::dev_cluster::DevCluster;
use super::error::Error;

/// How often dead servers are looked for, and so how often a start that fails is tried again.
const LOOK_PERIOD: Duration = Duration::from_millis(250);

/// Servers under supervision. Dropping it stops them too.
#[derive(Debug)]
pub struct Supervised {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl Supervised {
    pub(crate) fn new(cluster: DevCluster, say: impl FnMut(&str) + Send + 'static) -> Result<Self, Error> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("dev-servers".to_owned())
            .spawn(move || watch(cluster, &stopped, say))
            .map_err(|error| Error::Program { program: "a thread".to_owned(), reason: error.to_string() })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Stops all servers within 10 s and removes a scratch folder. Blocks.
    pub fn down(mut self) -> Result<(), Error> {
        self.end()
    }

    fn end(&mut self) -> Result<(), Error> {
        // The closed channel is the signal.
        self.stop = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => {
                Err(Error::Program { program: "the servers' thread".to_owned(), reason: "it panicked".to_owned() })
            }
            None => Ok(()),
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // Whoever wants to know the outcome has called `down` before.
        let _ = self.end();
    }
}

fn watch(mut cluster: DevCluster, stopped: &Receiver<()>, mut say: impl FnMut(&str)) -> Result<(), Error> {
    while stopped.recv_timeout(LOOK_PERIOD) == Err(RecvTimeoutError::Timeout) {
        cluster.revive(&mut say);
    }
    cluster.down()
}
