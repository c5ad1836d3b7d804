//! The folder of one run: which files it holds, and who holds its lock.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};

/// How often a locked folder is looked at before it is another worker's.
const LOOKS: usize = 6;

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

    /// The marker of a finished run: its result.
    pub(super) fn done(&self) -> PathBuf {
        self.path.join("DONE.json")
    }

    /// Why the last attempt failed.
    pub(super) fn failed(&self) -> PathBuf {
        self.path.join("FAILED.txt")
    }

    /// The file that a worker holds locked.
    fn lock_file(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// Lock the folder, unless another worker holds it. The lock goes with the returned file.
    pub(super) fn lock(&self) -> Result<Option<File>> {
        let path = self.lock_file();
        let file = File::create(&path).map_err(|e| Error::io(&path, e))?;
        for patience in (0..LOOKS).rev() {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                // It may be a merge that has a look.
                Err(TryLockError::WouldBlock) if patience > 0 => {
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
        // Opened for reading: a look must not create what a worker would.
        File::open(self.lock_file())
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}
