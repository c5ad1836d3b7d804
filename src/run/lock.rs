//! The lock that allows one process at a time to write a log.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::files::refers_to;

/// Number of attempts to take a lock that is held. A process that only checks the lock holds it
/// briefly.
const TRIES: usize = 6;
const PAUSE: Duration = Duration::from_millis(20);

/// The exclusive right to write a log. It is an operating-system lock on a file beside the log, so
/// it ends with the process at the latest.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

fn lock_file(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

impl Lock {
    /// Take the lock of a log.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] if another writer has it. An I/O error if the lock file cannot be created.
    pub(crate) fn acquire(log: &Path) -> Result<Self> {
        let path = lock_file(log);
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| Error::io(&path, e))?;
        for patience in (0..TRIES).rev() {
            match file.try_lock() {
                Ok(()) => {
                    // The next process that is refused reads the process id. The lock holds even if
                    // writing it fails.
                    let _ = file.set_len(0);
                    let _ = write!(file, "process {}", std::process::id());
                    return Ok(Self { file });
                }
                Err(TryLockError::WouldBlock) if patience > 0 => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => break,
                // The disk has no locks. Training must still start, so the user must ensure that
                // only one process writes.
                Err(TryLockError::Error(_)) => return Ok(Self { file }),
            }
        }
        let mut holder = String::new();
        let _ = file.take(100).read_to_string(&mut holder);
        if holder.is_empty() {
            holder.push_str("another process");
        }
        Err(Error::Locked {
            path: log.to_owned(),
            holder,
        })
    }

    /// Whether this is the lock of the log. It is not if another folder has replaced the log's
    /// folder.
    pub(crate) fn locks(&self, log: &Path) -> bool {
        refers_to(&lock_file(log), &self.file)
    }

    /// Whether another process or sink holds the lock of a log.
    pub(crate) fn is_held(log: &Path) -> bool {
        let Ok(file) = File::open(lock_file(log)) else {
            return false;
        };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log.jsonl");
        assert!(!Lock::is_held(&log));
        let lock = Lock::acquire(&log).unwrap();
        assert!(Lock::is_held(&log));
        let error = Lock::acquire(&log).unwrap_err().to_string();
        let holder = format!("process {}", std::process::id());
        assert!(
            error.contains("log.jsonl") && error.contains(&holder),
            "{error}"
        );
        drop(lock);
        assert!(!Lock::is_held(&log));
        Lock::acquire(&log).unwrap();
    }
}
