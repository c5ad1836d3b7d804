//! Runs one entry of a plan. Only one worker at a time works on a run.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::folder::RunFolder;
use super::plan::{PlanEntry, canonical};
use crate::error::{Error, Result, chain};
use crate::files::write_atomically;

/// The outcome of an attempt.
#[derive(Debug)]
pub enum Attempt {
    /// The attempt finished the run.
    Finished,
    /// The run was done before. Nothing was executed.
    AlreadyDone,
    /// Another worker holds the lock of the run. Nothing was executed.
    Busy,
    /// The work returned this error. Its text and the texts of its causes are kept in `FAILED.txt`.
    /// A later attempt tries again.
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// Works on one run in its own folder, `<folder>/<id>`. It does nothing if the run is done or
/// another worker works on it.
///
/// `work` receives the run's folder. It can store there what it needs to continue after it was
/// killed. Its result is written to the marker `DONE.json`, completely or not at all. The folder is
/// locked by a lock of the operating system, which disappears when the process ends for any reason.
/// On a network file system the lock is only as reliable as that system's `flock`.
///
/// # Errors
///
/// Returns an error if the run's folder cannot be written. An error of `work` is returned as
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
        return Ok(Attempt::AlreadyDone);
    }
    std::fs::create_dir_all(run.path()).map_err(|e| Error::io(run.path(), e))?;
    let Some(_lock) = run.lock()? else {
        return Ok(Attempt::Busy);
    };
    // Another worker may have finished the run between the first check and the lock.
    if done.exists() {
        return Ok(Attempt::AlreadyDone);
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
