//! The folder of one run: its files and its lock.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};

/// The number of attempts to lock a folder before it counts as locked by another worker.
const LOCK_ATTEMPTS: usize = 6;

/// The folder `<folder>/<id>` of one run.
pub(super) struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    pub(super) fn new(folder: &Path, id: &str) -> Self {
        Self {
            path: folder.join(id),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The marker of a finished run, which holds its result.
    pub(super) fn done(&self) -> PathBuf {
        self.path.join("DONE.json")
    }

    /// The file that gives the reason why the last attempt failed.
    pub(super) fn failed(&self) -> PathBuf {
        self.path.join("FAILED.txt")
    }

    /// The file that a worker keeps locked while it works.
    fn lock_file(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// Locks the folder until the returned file is dropped. `None` if another worker holds the
    /// lock.
    pub(super) fn lock(&self) -> Result<Option<File>> {
        let path = self.lock_file();
        let file = File::create(&path).map_err(|e| Error::io(&path, e))?;
        for remaining in (0..LOCK_ATTEMPTS).rev() {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                // A merge holds the lock for a moment when it checks the folder.
                Err(TryLockError::WouldBlock) if remaining > 0 => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(e)) => return Err(Error::io(&path, e)),
            }
        }
        Ok(None)
    }

    /// Whether a worker holds the lock.
    pub(super) fn is_locked(&self) -> bool {
        // The file is opened for reading, because this check must not create the file of a worker.
        File::open(self.lock_file())
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}
