//! File operations after which a file is complete or absent, even after a crash.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};

/// Write a temporary file next to `path`, flush it to the disk, and rename it to `path`.
///
/// If several writers run at once, the complete file of the last one remains. Callers that need
/// more must use a lock.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    // Each writer has its own temporary file, so none renames one that another is still writing.
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

/// Call `visit` with the number and the text of every complete line, and return the byte offset of
/// the end of the last one.
pub(crate) fn scan_lines(
    path: &Path,
    file: &File,
    mut visit: impl FnMut(usize, &str) -> Result<()>,
) -> Result<u64> {
    let mut reader = BufReader::new(file);
    let mut whole = 0;
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        let read = reader
            .read_until(b'\n', &mut bytes)
            .map_err(|e| Error::io(path, e))?;
        // A crash may cut a line anywhere, even inside a character.
        if !bytes.ends_with(b"\n") {
            break;
        }
        let text =
            std::str::from_utf8(&bytes).map_err(|e| Error::malformed(path, Some(number), e))?;
        visit(number, text)?;
        whole += read as u64;
    }
    Ok(whole)
}

/// Open a file to append to it. The file and its folder are created if they are missing.
pub(crate) fn open_for_append(path: &Path) -> Result<File> {
    for_append(path, OpenOptions::new().create(true))
}

/// Create a file to append to it, and its folder if it is missing. The file must not exist.
pub(crate) fn create_for_append(path: &Path) -> Result<File> {
    for_append(path, OpenOptions::new().create_new(true))
}

fn for_append(path: &Path, options: &mut OpenOptions) -> Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    }
    // Devices and pipes have no lines to continue, and opening one may block forever.
    if path.metadata().is_ok_and(|m| !m.is_file()) {
        return Err(Error::format(path, None, "not a regular file"));
    }
    let opened = options.read(true).append(true).open(path);
    opened.map_err(|e| Error::io(path, e))
}

/// Append the pending bytes in one write. If the write fails, for example on a full disk, the file
/// is truncated to its old length and the bytes stay pending for the next attempt.
pub(crate) fn append_pending(path: &Path, file: &mut File, pending: &mut Vec<u8>) -> Result<()> {
    if pending.is_empty() {
        return Ok(());
    }
    let start = file.metadata().map_err(|e| Error::io(path, e))?.len();
    let result = file.write_all(pending).and_then(|()| file.sync_data());
    match result {
        Ok(()) => {
            pending.clear();
            Ok(())
        }
        Err(error) => {
            let _ = file.set_len(start);
            Err(Error::io(path, error))
        }
    }
}

/// Whether `path` refers to this open file.
pub(crate) fn refers_to(path: &Path, file: &File) -> bool {
    match (path.metadata(), file.metadata()) {
        (Ok(named), Ok(opened)) => same_file(&named, &opened),
        _ => false,
    }
}

/// Whether an open file still has a name. A file without one was deleted rather than moved.
pub(crate) fn is_linked(file: &File) -> bool {
    file.metadata().is_ok_and(|m| links(&m) > 0)
}

#[cfg(unix)]
fn same_file(a: &std::fs::Metadata, b: &std::fs::Metadata) -> bool {
    device_and_inode(a) == device_and_inode(b)
}

/// Device and inode, which identify a file.
#[cfg(unix)]
pub(crate) fn device_and_inode(file: &std::fs::Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((file.dev(), file.ino()))
}

#[cfg(unix)]
fn links(file: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(file)
}

/// On other systems an open file cannot be moved, so its length decides.
#[cfg(not(unix))]
fn same_file(a: &std::fs::Metadata, b: &std::fs::Metadata) -> bool {
    a.len() == b.len()
}

#[cfg(not(unix))]
pub(crate) fn device_and_inode(_: &std::fs::Metadata) -> Option<(u64, u64)> {
    None
}

#[cfg(not(unix))]
fn links(_: &std::fs::Metadata) -> u64 {
    1
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
                        write_atomically(path, &vec![*letter; 100_000]).unwrap();
                    }
                });
            }
        });
        let left = std::fs::read(&path).unwrap();
        assert!(left.len() == 100_000 && left.iter().all(|b| *b == left[0]));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
