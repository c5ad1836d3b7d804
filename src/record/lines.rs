use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::error::{Error, Result};

/// Visit every whole line and return where the last one ends.
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
        // A crash may cut a line anywhere, also inside a character.
        if !bytes.ends_with(b"\n") {
            break;
        }
        let text = std::str::from_utf8(&bytes).map_err(|e| Error::format(path, Some(number), e))?;
        visit(number, text)?;
        whole += read as u64;
    }
    Ok(whole)
}
