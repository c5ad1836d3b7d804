use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::files::leads_to;

/// How often a lock that is held is tried again: somebody may just have had a look.
const TRIES: usize = 6;
const PAUSE: Duration = Duration::from_millis(20);

/// The right to write a log, by a lock of the operating system on a file beside it. It ends with
/// the process at the latest.
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
    /// [`Error::Locked`], if another writer has it; if the lock's file cannot be made.
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
                    // For whoever is refused; the lock holds without it.
                    let _ = file.set_len(0);
                    let _ = write!(file, "process {}", std::process::id());
                    return Ok(Self { file });
                }
                Err(TryLockError::WouldBlock) if patience > 0 => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => break,
                // A disk without locks: one writer is the user's business, and a training must
                // begin.
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

    /// Whether it is the lock of this log: the folder may have been replaced by another one.
    pub(crate) fn is_of(&self, log: &Path) -> bool {
        leads_to(&lock_file(log), &self.file)
    }

    /// Whether somebody has the lock of a log.
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
