use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use super::{Lock, LogEntry, LogReader, RunDir};
use crate::error::{Error, Result};

/// What a repair has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// Numbers of the lines that were taken out, counted from 1.
    pub lines: Vec<usize>,
    /// Whether a last line that was cut off was taken out.
    pub torn: bool,
    /// Where the log was kept as it was; nothing if there was nothing to repair.
    pub original: Option<PathBuf>,
}

/// Take the damaged lines out of a run's log. The log as it was stays beside it, as
/// `log.jsonl.damaged`.
///
/// # Errors
///
/// If a process writes the log ([`Error::Locked`]), there is none, it cannot be read or written, or
/// is of another format.
pub fn repair(run: &RunDir) -> Result<Repaired> {
    let log = run.log();
    std::fs::metadata(&log).map_err(|e| Error::io(&log, e))?;
    let _lock = Lock::acquire(&log)?;
    let mut reader = LogReader::new(&log);
    let mut repaired = Repaired::default();
    let progress = reader.read_on(|entry| {
        // What a later version wrote is no damage.
        if let LogEntry::Damaged {
            number,
            is_json: false,
        } = entry
        {
            repaired.lines.push(number);
        }
    })?;
    repaired.torn = progress.torn;
    if repaired.lines.is_empty() && !repaired.torn {
        return Ok(repaired);
    }
    let part = beside(&log, "part");
    copy_whole(&log, &part, reader.end(), &repaired.lines).map_err(|e| Error::io(&part, e))?;
    let original = (1..)
        .map(|i| match i {
            1 => beside(&log, "damaged"),
            i => beside(&log, &format!("damaged-{i}")),
        })
        .find(|path| !path.exists())
        .unwrap_or_else(|| beside(&log, "damaged"));
    // A second name first: at no moment is there no log.
    std::fs::hard_link(&log, &original)
        .or_else(|_| std::fs::copy(&log, &original).map(|_| ()))
        .map_err(|e| Error::io(&original, e))?;
    std::fs::rename(&part, &log).map_err(|e| Error::io(&log, e))?;
    repaired.original = Some(original);
    Ok(repaired)
}

fn beside(log: &Path, ending: &str) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Copy the first `end` bytes but for these lines.
fn copy_whole(from: &Path, to: &Path, end: u64, without: &[usize]) -> std::io::Result<()> {
    let source = std::fs::File::open(from)?;
    let mut reader = BufReader::new(std::io::Read::take(source, end));
    let mut file = std::io::BufWriter::new(std::fs::File::create(to)?);
    for number in 1.. {
        let keep = without.binary_search(&number).is_err();
        // In pieces: a damaged line may be of any length.
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
