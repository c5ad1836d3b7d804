//! One run, by one worker at a time.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::folder::RunFolder;
use super::plan::{PlanEntry, canonical};
use crate::error::{Error, Result, chain};
use crate::files::write_atomically;

/// How an attempt ended.
#[derive(Debug)]
pub enum Attempt {
    /// The run is done now.
    Finished,
    /// It was done before; nothing was run.
    DoneBefore,
    /// Another worker is at it; nothing was run.
    Busy,
    /// The work returned this error. Its text and its causes' are kept, and a later attempt tries
    /// again.
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// Work on one run in its own folder, `<folder>/<id>`, unless it is done or another worker is at it.
///
/// `work` is given the run's folder, where it keeps what it needs to go on after it was killed, and
/// returns the result, which becomes the marker `DONE.json`, complete or absent. The lock is the operating
/// system's: it is gone with the process, however that ended. On a network file system it is as good as
/// that system's `flock`.
///
/// # Errors
///
/// If the run's folder cannot be written. An error of the work is no error here but
/// [`Attempt::Failed`].
pub fn attempt<S, R, E>(
    folder: impl AsRef<Path>,
    entry: &PlanEntry<S>,
    work: impl FnOnce(&Path) -> Result<R, E>,
) -> Result<Attempt>
where
    S: Serialize,
    R: Serialize,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let run = RunFolder::new(folder.as_ref(), &entry.id);
    let (done, failed) = (run.done(), run.failed());
    if done.exists() {
        return Ok(Attempt::DoneBefore);
    }
    std::fs::create_dir_all(run.path()).map_err(|e| Error::io(run.path(), e))?;
    let Some(_lock) = run.lock()? else {
        return Ok(Attempt::Busy);
    };
    // Another worker may have finished it between the look and the lock.
    if done.exists() {
        return Ok(Attempt::DoneBefore);
    }
    if failed.exists() {
        std::fs::remove_file(&failed).map_err(|e| Error::io(&failed, e))?;
    }
    let result = match work(run.path()) {
        Ok(result) => result,
        Err(error) => {
            let error = error.into();
            write_atomically(&failed, format!("{}\n", chain(&*error)).as_bytes())?;
            return Ok(Attempt::Failed(error));
        }
    };
    let bad = |e: serde_json::Error| Error::malformed(&done, None, e);
    let spec: Value = serde_json::to_value(&entry.spec).map_err(bad)?;
    let result = serde_json::to_value(result).map_err(bad)?;
    let line = canonical(&json!({ "id": entry.id, "run": spec, "result": result }));
    write_atomically(&done, format!("{line}\n").as_bytes())?;
    Ok(Attempt::Finished)
}
