//! Files that are complete or absent, also after a crash.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};

/// Write beside the path, flush to the disk, rename. Of several writers at once, the last one's file stays, whole;
/// who needs more needs a lock.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    // Each has a part of its own, lest one renames what another has not yet written.
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{}-{count}.part", std::process::id()));
    let part = Path::new(&part);
    let write = || {
        let mut file = File::create(part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(part, path)
    };
    write().map_err(|e| {
        let _ = std::fs::remove_file(part);
        Error::io(path, e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_at_once_leave_one_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page");
        std::thread::scope(|scope| {
            for letter in b"abcd" {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..10 {
                        write_whole(path, &vec![*letter; 100_000]).unwrap();
                    }
                });
            }
        });
        let left = std::fs::read(&path).unwrap();
        assert!(left.len() == 100_000 && left.iter().all(|b| *b == left[0]));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
