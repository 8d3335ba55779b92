//! The folder that holds all servers of one `shardloom dev`, and its small records.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::account::Account;
use super::error::Error;
use super::process::POLL;

/// Bytes of the service password before it is written in hexadecimal.
const PASSWORD_BYTES: usize = 16;
/// How long the lock of a process that has ended may linger: a child that it was just starting holds it from fork to
/// exec.
const LOCK_WAIT: Duration = Duration::from_millis(500);

/// A locked data folder; the lock ends with the process, however it ends.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    scratch: bool,
    _lock: File,
}

impl DataFolder {
    /// Opens `data`, or makes a scratch folder in the system's temporary one, and locks it.
    pub(crate) fn open(data: Option<&Path>, account: &Account) -> Result<Self, Error> {
        let path = data.map_or_else(scratch_path, Path::to_owned);
        create(&path).map_err(Error::file(&path))?;
        let path = path.canonicalize().map_err(Error::file(&path))?;
        account.must_reach(&path)?;
        let lock_path = path.join("lock");
        let lock = File::create(&lock_path).map_err(Error::file(&lock_path))?;
        if !lock_within(&lock, LOCK_WAIT).map_err(Error::file(&lock_path))? {
            return Err(Error::DataInUse(path));
        }
        Ok(Self { path, scratch: data.is_none(), _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn is_scratch(&self) -> bool {
        self.scratch
    }

    /// Returns the record `name`; the first time, what `make` gives, written with mode 0600.
    pub(crate) fn record(&self, name: &str, make: impl FnOnce() -> String) -> Result<String, Error> {
        let path = self.path.join(name);
        match std::fs::read_to_string(&path) {
            Ok(text) if !text.is_empty() => return Ok(text),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::File { path, source }),
        }
        let text = make();
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file(&path))?;
        file.write_all(text.as_bytes()).map_err(Error::file(&path))?;
        Ok(text)
    }

    /// Returns the service user's password on all servers of this folder.
    pub(crate) fn service_password(&self) -> Result<String, Error> {
        self.record("service.password", || {
            rand::random::<[u8; PASSWORD_BYTES]>().iter().map(|byte| format!("{byte:02x}")).collect()
        })
    }

    /// Removes a scratch folder; a kept one stays.
    pub(crate) fn remove_scratch(&self) -> Result<(), Error> {
        if self.scratch && self.path.exists() {
            std::fs::remove_dir_all(&self.path).map_err(Error::file(&self.path))?;
        }
        Ok(())
    }
}

/// Tells whether `lock` could be taken within `bound`.
fn lock_within(lock: &File, bound: Duration) -> std::io::Result<bool> {
    let deadline = Instant::now() + bound;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(false),
            Err(TryLockError::WouldBlock) => std::thread::sleep(POLL),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Creates the folder at `path` unless it is there; whatever the umask, the servers' account may enter a new one.
fn create(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o755))
}

fn scratch_path() -> PathBuf {
    std::env::temp_dir().join(format!("shardloom-{}-{:06x}", std::process::id(), rand::random_range(0..1u32 << 24)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_for_one_at_a_time_and_its_records_stay() {
        let account = Account::find().unwrap();
        let path = scratch_path();
        let folder = DataFolder::open(Some(&path), &account).unwrap();
        let password = folder.service_password().unwrap();
        assert_eq!(password.len(), 2 * PASSWORD_BYTES);
        assert!(matches!(DataFolder::open(Some(&path), &account), Err(Error::DataInUse(_))));
        drop(folder);
        let again = DataFolder::open(Some(&path), &account).unwrap();
        assert_eq!(again.service_password().unwrap(), password);
        again.remove_scratch().unwrap();
        assert!(path.exists(), "a folder that was given is kept");
        std::fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn a_scratch_folder_is_removed() {
        let folder = DataFolder::open(None, &Account::find().unwrap()).unwrap();
        let path = folder.path().to_owned();
        assert!(path.exists());
        folder.remove_scratch().unwrap();
        assert!(!path.exists());
    }
}
