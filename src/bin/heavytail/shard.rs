//! The commands `heavytail analyze --shard` and `heavytail merge`. They analyse a checkpoint in
//! parts by means of the sweep module.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use heavytail::Record;
use heavytail::survey::summarise;
use heavytail::sweep::{Attempt, Plan, attempt, merge};
use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::output::{ModelTable, Printing, print};
use crate::survey_args::SurveyArgs;

#[derive(Args)]
pub struct Options {
    /// The model, as given to `analyze`
    file: PathBuf,
    /// Number of parts
    #[arg(long, value_name = "N")]
    of: usize,
    /// Folders with the parts. Several folders are possible if the machines share no disk
    #[arg(long, value_name = "DIR", required = true)]
    parts: Vec<PathBuf>,
    #[command(flatten)]
    args: SurveyArgs,
    #[command(flatten)]
    printing: Printing,
}

/// The settings of one part. The model's folder may differ between machines, but its file name must
/// not.
#[derive(Serialize, Deserialize)]
struct Part {
    model: String,
    settings: String,
    part: usize,
    of: usize,
}

pub fn parse(text: &str) -> Result<(usize, usize), String> {
    let numbers = text
        .split_once('/')
        .and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match numbers {
        Some((i, n)) if i < n => Ok((i, n)),
        _ => Err("expected I/N with I from 0 to N-1, for example 0/8".to_owned()),
    }
}

fn plan(file: &Path, args: &SurveyArgs, of: usize) -> Result<Plan<Part>> {
    let model = file
        .file_name()
        .context("the model path has no file name")?;
    let model = model.to_string_lossy().into_owned();
    let part = |part| Part {
        model: model.clone(),
        settings: args.signature(),
        part,
        of,
    };
    Ok(Plan::new((0..of).map(part))?)
}

/// Analyses one part and writes it to the folder.
pub fn run(file: &Path, args: &SurveyArgs, (i, n): (usize, usize), folder: &Path) -> Result<Exit> {
    let plan = plan(file, args, n)?;
    let mut failed = false;
    let work = |_: &Path| {
        let (_, survey) = args.survey_part(file, Some((i, n)))?;
        failed = survey.rows.iter().any(|r| r.is_failed());
        anyhow::Ok(survey.rows)
    };
    match attempt(folder, plan.entry(i)?, work)? {
        Attempt::Finished => eprintln!("part {i} of {n} is done"),
        Attempt::AlreadyDone => eprintln!("part {i} of {n} was done before"),
        Attempt::Busy => bail!("another process works on part {i} of {n}"),
        Attempt::Failed(error) => return Err(anyhow::Error::from_boxed(error)),
    }
    Ok(if failed {
        Exit::FailedLayers
    } else {
        Exit::Success
    })
}

pub fn merge_parts(options: &Options) -> Result<Exit> {
    ensure!(options.of > 0, "--of must be at least 1");
    let plan = plan(&options.file, &options.args, options.of)?;
    let merged = merge(&plan, &options.parts)?;
    if !merged.unfinished.is_empty() {
        let names: Vec<String> = merged
            .unfinished
            .iter()
            .map(|u| format!("part {}: {u}", u.index))
            .collect();
        bail!(
            "some parts are missing or were made with other options: {}",
            names.join("; ")
        );
    }
    let mut rows: Vec<Record> = Vec::new();
    for row in merged.rows {
        let mut part: Vec<Stored> = serde_json::from_value(row["result"].clone())?;
        rows.extend(part.drain(..).map(|stored| stored.0));
    }
    rows.sort_by_key(|r| r.layer_id);
    let run = options.file.display().to_string();
    let summary = summarise(&run, &rows);
    let compat = options.args.compat();
    let tables = [ModelTable::new(&options.file, rows, summary, compat)];
    print(&tables, &options.printing)?;
    Ok(if tables.iter().any(ModelTable::has_failed_layers) {
        Exit::FailedLayers
    } else {
        Exit::Success
    })
}

/// A record as stored in a marker. [`merge`] removes its times, and the marker omits its nulls.
struct Stored(Record);

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map = serde_json::Map::deserialize(deserializer)?;
        map.insert("seconds_analysis".into(), 0.0.into());
        if let Some(full) = map.get_mut("full").and_then(|f| f.as_object_mut()) {
            full.insert("seconds".into(), 0.0.into());
        }
        serde_json::from_value(map.into())
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}
