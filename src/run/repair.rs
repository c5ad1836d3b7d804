//! Removes damaged lines from a log.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use super::{Lock, LogEntry, LogReader, RunDir};
use crate::error::{Error, Result};

/// Result of a repair.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// Numbers of the removed lines, from 1.
    pub lines: Vec<usize>,
    /// Whether an incomplete last line was removed.
    pub removed_incomplete_line: bool,
    /// Path of the copy of the original log. None if there was nothing to repair.
    pub original: Option<PathBuf>,
}

/// Removes the damaged lines from a run's log. A copy of the original remains beside it, as
/// `log.jsonl.damaged`.
///
/// # Errors
///
/// If a process writes the log ([`Error::Locked`]), if there is no log, if it cannot be read or
/// written, or if it has an unsupported format.
pub fn repair(run: &RunDir) -> Result<Repaired> {
    let log = run.log();
    std::fs::metadata(&log).map_err(|e| Error::io(&log, e))?;
    let _lock = Lock::acquire(&log)?;
    let mut reader = LogReader::new(&log);
    let mut repaired = Repaired::default();
    let progress = reader.read_new_lines(|entry| {
        // A JSON line that cannot be parsed comes from a later version. It is not damaged.
        if let LogEntry::Damaged {
            number,
            is_json: false,
        } = entry
        {
            repaired.lines.push(number);
        }
    })?;
    repaired.removed_incomplete_line = progress.torn;
    if repaired.lines.is_empty() && !repaired.removed_incomplete_line {
        return Ok(repaired);
    }
    let part = sibling(&log, "part");
    copy_whole(&log, &part, reader.end(), &repaired.lines).map_err(|e| Error::io(&part, e))?;
    let original = (1..)
        .map(|i| match i {
            1 => sibling(&log, "damaged"),
            i => sibling(&log, &format!("damaged-{i}")),
        })
        .find(|path| !path.exists())
        .unwrap_or_else(|| sibling(&log, "damaged"));
    // Link the original under a second name first, so that the log exists at every moment.
    std::fs::hard_link(&log, &original)
        .or_else(|_| std::fs::copy(&log, &original).map(|_| ()))
        .map_err(|e| Error::io(&original, e))?;
    std::fs::rename(&part, &log).map_err(|e| Error::io(&log, e))?;
    repaired.original = Some(original);
    Ok(repaired)
}

fn sibling(log: &Path, ending: &str) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Copies the first `end` bytes of a log, without the lines in `without`.
fn copy_whole(from: &Path, to: &Path, end: u64, without: &[usize]) -> std::io::Result<()> {
    let source = std::fs::File::open(from)?;
    let mut reader = BufReader::new(std::io::Read::take(source, end));
    let mut file = std::io::BufWriter::new(std::fs::File::create(to)?);
    for number in 1.. {
        let keep = without.binary_search(&number).is_err();
        // A damaged line may have any length, so copy it in pieces.
        loop {
            let buffer = reader.fill_buf()?;
            if buffer.is_empty() {
                file.flush()?;
                return file.into_inner()?.sync_all();
            }
            let newline = buffer.iter().position(|&b| b == b'\n');
            let used = newline.map_or(buffer.len(), |at| at + 1);
            if keep {
                file.write_all(&buffer[..used])?;
            }
            reader.consume(used);
            if newline.is_some() {
                break;
            }
        }
    }
    Ok(())
}
