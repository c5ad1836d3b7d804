//! Collects the results of all runs in one table.

use std::fs::File;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::folder::RunFolder;
use super::plan::{Plan, PlanEntry, canonical};
use crate::error::{Error, Result};
use crate::files::{scan_lines, write_atomically};

/// The results of the runs of a plan.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Merged {
    /// One object for each finished run, in the plan's order: `id`, `run` (its settings) and
    /// `result`. Fields that hold times are removed.
    pub rows: Vec<Value>,
    /// The runs without a result, in the plan's order.
    pub unfinished: Vec<Unfinished>,
}

/// A run without a result.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// The position in the plan, counted from 0.
    pub index: usize,
    /// The run's [`PlanEntry::id`].
    pub id: String,
    /// The state of the run.
    pub state: RunStatus,
}

/// The state of a run without a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunStatus {
    /// No worker has begun the run.
    Missing,
    /// A worker is working on the run.
    Running,
    /// A worker began the run, and no worker holds its lock.
    Interrupted,
    /// The last attempt failed, with this error text.
    Failed(String),
}

impl std::fmt::Display for Unfinished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "run {} ({}) ", self.index, self.id)?;
        match &self.state {
            RunStatus::Missing => f.write_str("is missing"),
            RunStatus::Running => f.write_str("is running"),
            RunStatus::Interrupted => f.write_str("was interrupted"),
            RunStatus::Failed(cause) => write!(f, "failed: {cause}"),
        }
    }
}

/// Whether a field holds a time, which differs between equal runs: `seconds`, `seconds_…`,
/// `unix_time`. [`merge`] removes such fields at every level of a row.
fn is_timing(field: &str) -> bool {
    field == "seconds" || field.starts_with("seconds_") || field == "unix_time"
}

/// Collects the results of a plan's runs from one or several folders. The rows do not depend on the
/// order of the folders or of the work.
///
/// # Errors
///
/// Returns an error if a marker cannot be read or belongs to another run. Returns an error if two
/// folders hold different results of one run.
pub fn merge<S>(plan: &Plan<S>, folders: &[impl AsRef<Path>]) -> Result<Merged> {
    let mut merged = Merged {
        rows: Vec::new(),
        unfinished: Vec::new(),
    };
    for entry in plan.entries() {
        let mut found: Option<Value> = None;
        for folder in folders {
            let Some(row) = result_of(entry, folder.as_ref())? else {
                continue;
            };
            if found.as_ref().is_some_and(|other| *other != row) {
                let path = RunFolder::new(folder.as_ref(), &entry.id).done();
                let cause = "another folder has a different result for this run";
                return Err(Error::format(&path, None, cause));
            }
            found = Some(row);
        }
        match found {
            Some(row) => merged.rows.push(row),
            None => merged.unfinished.push(Unfinished {
                index: entry.index,
                id: entry.id.clone(),
                state: state_of(&entry.id, folders)?,
            }),
        }
    }
    Ok(merged)
}

/// The row of a finished run in a folder. `None` if the run is not finished there.
fn result_of<S>(entry: &PlanEntry<S>, folder: &Path) -> Result<Option<Value>> {
    let path = RunFolder::new(folder, &entry.id).done();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(&path, e)),
    };
    let mut row: Value =
        serde_json::from_str(&text).map_err(|e| Error::malformed(&path, Some(e.line()), e))?;
    if row["id"] != entry.id.as_str() {
        return Err(Error::format(
            &path,
            None,
            format!("not of run {}", entry.id),
        ));
    }
    drop_timings(&mut row);
    Ok(Some(row))
}

/// The state of an unfinished run in the given folders.
fn state_of(id: &str, folders: &[impl AsRef<Path>]) -> Result<RunStatus> {
    let mut state = RunStatus::Missing;
    for folder in folders {
        let run = RunFolder::new(folder.as_ref(), id);
        if !run.path().exists() {
            continue;
        }
        if run.is_locked() {
            return Ok(RunStatus::Running);
        }
        let failed = run.failed();
        state = match std::fs::read_to_string(&failed) {
            Ok(text) => RunStatus::Failed(text.trim_end().to_owned()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => RunStatus::Interrupted,
            Err(e) => return Err(Error::io(&failed, e)),
        };
    }
    Ok(state)
}

/// Removes the fields of times at every level.
fn drop_timings(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|field, _| !is_timing(field));
            map.values_mut().for_each(drop_timings);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_timings),
        _ => {}
    }
}

impl Merged {
    /// Writes the rows as JSONL, completely or not at all.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let lines: String = self.rows.iter().map(|row| canonical(row) + "\n").collect();
        write_atomically(path.as_ref(), lines.as_bytes())
    }
}

/// Reads the rows that [`Merged::write`] wrote. `T` is the caller's type of `{id, run, result}`.
///
/// # Errors
///
/// Returns an error if the file cannot be read or a line is not a row of this type.
pub fn read_results<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<Vec<T>> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut rows = Vec::new();
    scan_lines(path, &file, |number, text| {
        let row =
            serde_json::from_str(text).map_err(|e| Error::malformed(path, Some(number), e))?;
        rows.push(row);
        Ok(())
    })?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Attempt, attempt};
    use super::*;

    fn work(spec: u32) -> Result<Value, String> {
        match spec {
            13 => Err("bad luck".to_owned()),
            n => Ok(
                json!({ "value": n * 10, "seconds": n, "layers": [{ "seconds_analysis": 1, "alpha": 2.5 }] }),
            ),
        }
    }

    #[test]
    fn the_order_of_work_leaves_no_trace() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let plan = Plan::new([3u32, 1, 2]).unwrap();
        for entry in plan.entries() {
            attempt(dir.path(), entry, |_| work(entry.spec)).unwrap();
        }
        for entry in plan.entries().iter().rev() {
            // These runs have another duration, and the middle one lies in another folder.
            let folder = other.path().join(if entry.spec == 1 { "a" } else { "b" });
            attempt(folder, entry, |_| {
                work(entry.spec).map(|mut v| {
                    v["seconds"] = json!(99);
                    v
                })
            })
            .unwrap();
        }
        let serial = merge(&plan, &[dir.path()]).unwrap();
        let parallel = merge(&plan, &[other.path().join("a"), other.path().join("b")]).unwrap();
        serial.write(dir.path().join("r.jsonl")).unwrap();
        parallel.write(other.path().join("r.jsonl")).unwrap();
        let bytes = |p: &Path| std::fs::read(p.join("r.jsonl")).unwrap();
        assert_eq!(bytes(dir.path()), bytes(other.path()));
        let rows: Vec<Value> = read_results(dir.path().join("r.jsonl")).unwrap();
        assert_eq!(rows[0]["run"], 3);
        assert_eq!(
            rows[0]["result"],
            json!({ "value": 30, "layers": [{ "alpha": 2.5 }] })
        );
    }

    #[test]
    fn what_is_not_done_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let plan = Plan::new([1u32, 13, 2, 3, 4]).unwrap();
        let at = |i: usize| plan.entry(i).unwrap();
        attempt(dir.path(), at(0), |_| work(1)).unwrap();
        let tried = attempt(dir.path(), at(1), |_| work(13)).unwrap();
        assert!(matches!(tried, Attempt::Failed(cause) if cause.to_string() == "bad luck"));
        std::fs::create_dir_all(dir.path().join(&at(2).id)).unwrap();
        let merged = attempt(dir.path(), at(3), |_| {
            // A second worker and a merge do no harm while this run is being executed.
            let second = attempt(dir.path(), at(3), |_| work(3)).unwrap();
            assert!(matches!(second, Attempt::Busy));
            let merged = merge(&plan, &[dir.path()]).unwrap();
            let words: Vec<String> = merged.unfinished.iter().map(ToString::to_string).collect();
            for (text, word) in
                words
                    .iter()
                    .zip(["failed: bad luck", "interrupted", "running", "missing"])
            {
                assert!(text.contains(word), "{text}");
            }
            assert_eq!(merged.rows.len(), 1);
            work(3)
        });
        assert!(matches!(merged, Ok(Attempt::Finished)));
        assert!(matches!(
            attempt(dir.path(), at(3), |_| work(0)),
            Ok(Attempt::AlreadyDone)
        ));
        // A failed run is tried again. Its success removes the failure.
        assert!(matches!(
            attempt(dir.path(), at(1), |_| work(1)),
            Ok(Attempt::Finished)
        ));
        assert_eq!(merge(&plan, &[dir.path()]).unwrap().unfinished.len(), 2);
    }

    #[test]
    fn contradictions_are_refused() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let plan = Plan::new([1u32]).unwrap();
        let entry = plan.entry(0).unwrap();
        attempt(a.path(), entry, |_| work(1)).unwrap();
        attempt(b.path(), entry, |_| work(2)).unwrap();
        let error = merge(&plan, &[a.path(), b.path()]).unwrap_err().to_string();
        assert!(error.contains("different result"), "{error}");
        std::fs::write(b.path().join(&entry.id).join("DONE.json"), "{\"id\":\"x\"}").unwrap();
        let error = merge(&plan, &[b.path()]).unwrap_err().to_string();
        assert!(error.contains("DONE.json: not of run"), "{error}");
    }
}
