//! The plan of a sweep, and the choice of the run that a worker executes.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::files::{scan_lines, write_atomically};

/// The runs of a sweep. Their order gives each run its index.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan<S> {
    entries: Vec<PlanEntry<S>>,
}

/// One run of a plan.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PlanEntry<S> {
    /// The position in the plan, counted from 0.
    pub index: usize,
    /// Twelve hexadecimal digits, the beginning of the SHA-256 of the settings. The settings are
    /// written as JSON with sorted keys and without nulls. The order of fields and a new `Option`
    /// that is `None` therefore do not change the id.
    pub id: String,
    /// The settings of the run.
    pub spec: S,
}

impl<S: Serialize> Plan<S> {
    /// Makes a plan of these runs. A run with the same settings as an earlier one is left out.
    ///
    /// # Errors
    ///
    /// Returns an error if a run cannot be written as JSON.
    pub fn new(specs: impl IntoIterator<Item = S>) -> Result<Self> {
        let mut plan = Self { entries: vec![] };
        let mut seen = HashMap::new();
        for spec in specs {
            let id = id(&spec)?;
            let index = plan.entries.len();
            if seen.insert(id.clone(), index).is_none() {
                plan.entries.push(PlanEntry { index, id, spec });
            }
        }
        Ok(plan)
    }

    /// The runs as JSON, one line of the plan's file for each.
    ///
    /// # Errors
    ///
    /// Returns an error if a run cannot be written as JSON.
    pub fn lines(&self) -> Result<Vec<String>> {
        self.entries
            .iter()
            .map(|entry| {
                let value = serde_json::to_value(&entry.spec).map_err(|e| no_json(&e))?;
                Ok(canonical(&value))
            })
            .collect()
    }

    /// Writes the plan as JSONL.
    ///
    /// # Errors
    ///
    /// Returns an error if a run cannot be written as JSON, or the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let text: String = self.lines()?.into_iter().map(|line| line + "\n").collect();
        write_atomically(path.as_ref(), text.as_bytes())
    }
}

impl<S: Serialize + DeserializeOwned> Plan<S> {
    /// Reads a plan from JSONL. Line n, counted from 0, is the run of index n.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, a line is not a run, or two lines are the same
    /// run.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
        let length = file.metadata().map_err(|e| Error::io(path, e))?.len();
        let mut entries: Vec<PlanEntry<S>> = Vec::new();
        let mut lines = HashMap::new();
        let mut add = |number: usize, text: &str| {
            let spec: S =
                serde_json::from_str(text).map_err(|e| Error::malformed(path, Some(number), e))?;
            let id = id(&spec)?;
            if let Some(other) = lines.insert(id.clone(), number) {
                let cause = format!("the same run as line {other}");
                return Err(Error::format(path, Some(number), cause));
            }
            let index = entries.len();
            entries.push(PlanEntry { index, id, spec });
            Ok(())
        };
        let whole = scan_lines(path, &file, &mut add)?;
        if whole < length {
            // A file that was written by hand may have no final line break.
            let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
            let number = text.lines().count();
            add(number, text.lines().last().unwrap_or_default())?;
        }
        Ok(Self { entries })
    }
}

impl<S> Plan<S> {
    /// The runs in the plan's order.
    pub fn entries(&self) -> &[PlanEntry<S>] {
        &self.entries
    }

    /// The run of this index, counted from 0.
    ///
    /// # Errors
    ///
    /// Returns an error if the plan has no such index.
    pub fn entry(&self, index: usize) -> Result<&PlanEntry<S>> {
        let count = self.entries.len();
        self.entries.get(index).ok_or_else(|| Error::Config {
            option: "index",
            cause: format!("{index}, but the plan has {count} runs, counted from 0"),
        })
    }
}

fn no_json(cause: &serde_json::Error) -> Error {
    Error::Config {
        option: "plan",
        cause: format!("a run cannot be written as JSON: {cause}"),
    }
}

/// The id of a run: the first six bytes of the hash in hexadecimal digits.
fn id<S: Serialize>(spec: &S) -> Result<String> {
    let value = serde_json::to_value(spec).map_err(|e| no_json(&e))?;
    let hash = Sha256::digest(canonical(&value));
    Ok(hash.iter().take(6).map(|b| format!("{b:02x}")).collect())
}

/// JSON with sorted keys and without nulls in objects, for any set of serde_json's features.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut fields: Vec<_> = map.iter().filter(|(_, v)| !v.is_null()).collect();
            fields.sort_by_key(|(key, _)| *key);
            let fields: Vec<String> = fields
                .into_iter()
                .map(|(key, v)| format!("{}:{}", Value::from(key.as_str()), canonical(v)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        other => other.to_string(),
    }
}

/// The environment variables in which schedulers give a task its index. Slurm's array jobs set the
/// first and Kubernetes' indexed jobs the second.
pub const INDEX_VARIABLES: [&str; 2] = ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"];

/// The index `asked` if it is given. Otherwise the scheduler's index, from the first of
/// [`INDEX_VARIABLES`] that is set.
///
/// `lookup` reads a variable, for example `|name| std::env::var(name).ok()`.
///
/// # Errors
///
/// Returns an error if there is no index in either place, or the variable is not a whole number.
pub fn index_from(asked: Option<usize>, lookup: impl Fn(&str) -> Option<String>) -> Result<usize> {
    if let Some(index) = asked {
        return Ok(index);
    }
    let error = |cause| Error::Config {
        option: "index",
        cause,
    };
    let found = INDEX_VARIABLES
        .iter()
        .find_map(|name| Some((name, lookup(name)?)));
    let Some((name, text)) = found else {
        let names = INDEX_VARIABLES.join(" nor ");
        return Err(error(format!("not given, and neither {names} is set")));
    };
    text.trim()
        .parse()
        .map_err(|_| error(format!("{name} is `{text}`, expected a whole number")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::chain;

    #[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
    struct Spec {
        seed: u32,
        lr: f64,
        #[serde(default)]
        note: Option<String>,
    }

    fn spec(seed: u32) -> Spec {
        Spec {
            seed,
            lr: 0.01,
            note: None,
        }
    }

    #[test]
    fn an_id_depends_on_the_settings_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.jsonl");
        let plan = Plan::new([spec(1), spec(2), spec(1)]).unwrap();
        assert_eq!(plan.entries().len(), 2);
        plan.write(&path).unwrap();
        assert_eq!(Plan::read(&path).unwrap(), plan);
        // The same runs with another order of fields, other spacing, an explicit null and no final
        // line break.
        std::fs::write(
            &path,
            "{\"lr\": 0.01, \"seed\": 1}\n{ \"note\": null, \"seed\": 2, \"lr\": 1e-2 }",
        )
        .unwrap();
        assert_eq!(Plan::read(&path).unwrap(), plan);
        assert_eq!(plan.entries()[0].id.len(), 12);
        // The form is fixed, because existing folders are named by these ids.
        assert_eq!(
            canonical(&serde_json::to_value(spec(1)).unwrap()),
            "{\"lr\":0.01,\"seed\":1}"
        );
        assert_eq!(
            plan.entries()[0].id,
            id(&serde_json::json!({"seed": 1, "lr": 0.01})).unwrap()
        );
    }

    #[test]
    fn a_bad_plan_names_the_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.jsonl");
        for (text, cause) in [
            ("{\"seed\":1,\"lr\":1}\n{\"seed\":", "line 2"),
            (
                "{\"seed\":1,\"lr\":1}\n{\"lr\":1.0,\"seed\":1}\n",
                "line 2: the same run as line 1",
            ),
            ("{\"seed\":1}\n", "lr"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = chain(&Plan::<Spec>::read(&path).unwrap_err());
            assert!(
                error.contains("plan.jsonl") && error.contains(cause),
                "{error}"
            );
        }
        let error = Plan::new([spec(1)])
            .unwrap()
            .entry(1)
            .unwrap_err()
            .to_string();
        assert!(error.contains("1, but the plan has 1 runs"), "{error}");
    }

    #[test]
    fn the_index_is_asked_for_or_the_schedulers() {
        let slurm = |name: &str| (name == "SLURM_ARRAY_TASK_ID").then(|| "7".to_owned());
        let kubernetes = |name: &str| (name == "JOB_COMPLETION_INDEX").then(|| "3\n".to_owned());
        assert_eq!(index_from(Some(2), slurm).unwrap(), 2);
        assert_eq!(index_from(None, slurm).unwrap(), 7);
        assert_eq!(index_from(None, kubernetes).unwrap(), 3);
        let error = index_from(None, |_| None).unwrap_err().to_string();
        assert!(error.contains("SLURM_ARRAY_TASK_ID"), "{error}");
        let error = index_from(None, |_| Some("a".into()))
            .unwrap_err()
            .to_string();
        assert!(error.contains("`a`"), "{error}");
    }
}
