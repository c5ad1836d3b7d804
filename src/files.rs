//! Files that are complete or absent, also after a crash.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};

/// Write beside the path, flush to the disk, rename. Two writers at once need a lock of their own.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
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
