//! The UNIX socket for clients of this machine: `DIRECTORY/.s.PGSQL.PORT`, where libpq looks for it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use tracing::warn;

use super::listen::ListenError;

/// Everybody on the machine may connect, as with PostgreSQL; who comes in is a matter of authentication.
const MODE: u32 = 0o777;

/// The bound socket; dropping it removes the file, unless another process has put its own there.
#[derive(Debug)]
pub struct LocalSocket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl LocalSocket {
    /// Binds the socket of a port. What a process that died left there goes; one that answers is an error, unless this
    /// process `takes_over` from it.
    pub fn bind(directory: &Path, port: u16, takes_over: bool) -> Result<Self, ListenError> {
        let path = directory.join(format!(".s.PGSQL.{port}"));
        if !takes_over && UnixStream::connect(&path).is_ok() {
            return Err(ListenError::SocketInUse(path));
        }
        let bound = Self::put(&path);
        bound.map_err(|cause| ListenError::Socket { path, cause })
    }

    /// Binds beside and renames, so that there is a socket at every moment.
    fn put(path: &Path) -> io::Result<Self> {
        let fresh = path.with_extension(format!("new-{}", std::process::id()));
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&fresh)?;
        listener.set_nonblocking(true)?;
        fs::set_permissions(&fresh, Permissions::from_mode(MODE))?;
        let inode = fs::metadata(&fresh)?.ino();
        fs::rename(&fresh, path)?;
        Ok(Self { listener, path: path.to_owned(), inode })
    }

    /// Returns another handle of the listener, for one worker.
    pub fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        let own = fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode);
        if own && let Err(error) = fs::remove_file(&self.path) {
            warn!(path = %self.path.display(), %error, "the UNIX socket cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dead_left_is_replaced_and_the_living_are_not() {
        let directory = std::env::temp_dir().join(format!("shardloom-socket-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join(".s.PGSQL.6432");
        drop(UnixListener::bind(&path).unwrap());
        let first = LocalSocket::bind(&directory, 6432, false).unwrap();
        assert!(matches!(LocalSocket::bind(&directory, 6432, false), Err(ListenError::SocketInUse(_))));
        let second = LocalSocket::bind(&directory, 6432, true).unwrap();
        drop(first);
        assert!(UnixStream::connect(&path).is_ok(), "the file is the second's by now");
        drop(second);
        assert!(!path.exists());
        fs::remove_dir_all(&directory).unwrap();
    }
}
