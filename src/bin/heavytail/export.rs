//! The command `heavytail export`, which writes the logs of runs as a table or as event files.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use heavytail::run::RunDir;
use heavytail::sink::{csv, tensorboard};
use heavytail::{FileNames, Record, Trajectory};

use crate::exit::Exit;
use crate::output::write;

#[derive(ValueEnum, Clone, Copy)]
enum Format {
    /// The table of layers with typed columns, one row for each layer and observation (needs the
    /// feature `parquet`)
    Parquet,
    /// The same table as text
    Csv,
    /// Event files for TensorBoard, in one folder for each run
    Tensorboard,
}

#[derive(Args)]
pub struct Options {
    #[arg(value_enum)]
    format: Format,
    /// Folders of runs, each with a log.jsonl
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// File for the table of all runs, or the folder for TensorBoard
    #[arg(short, long)]
    output: PathBuf,
}

pub fn run(options: &Options) -> Result<Exit> {
    let runs = options.runs.iter().map(|folder| read(folder));
    let runs = runs.collect::<Result<Vec<Trajectory>>>()?;
    for (i, run) in runs.iter().enumerate() {
        if let Some(twin) = runs[..i].iter().position(|other| other.run() == run.run()) {
            let (a, b) = (options.runs[twin].display(), options.runs[i].display());
            anyhow::bail!(
                "{a} and {b} have the same run name `{}`, so their rows cannot be distinguished",
                run.run()
            );
        }
    }
    let records = || runs.iter().flat_map(|run| run.records());
    let mut written = vec![options.output.clone()];
    match options.format {
        Format::Parquet => parquet(records(), &options.output)?,
        Format::Csv => csv::write(records(), &options.output)?,
        Format::Tensorboard => {
            let names = FileNames::default().stems("", runs.iter().map(Trajectory::run));
            let each = options.runs.iter().zip(&runs).zip(names);
            let each = each.map(|((folder, run), name)| {
                let spectra = RunDir::new(folder).spectra();
                tensorboard::export(run, Some(&spectra), options.output.join(name))
            });
            written = each.collect::<heavytail::Result<_>>()?;
        }
    }
    let lines: String = written
        .iter()
        .map(|p| format!("{}\n", p.display()))
        .collect();
    write(&lines, None)?;
    Ok(Exit::Success)
}

fn read(folder: &Path) -> Result<Trajectory> {
    let dir = RunDir::new(folder);
    let log = dir.log();
    ensure!(
        log.exists(),
        "{} is not the folder of a run: it has no log.jsonl",
        folder.display()
    );
    let trajectory = dir.read()?;
    ensure!(
        !trajectory.records().is_empty(),
        "{}: no observation yet",
        log.display()
    );
    Ok(trajectory)
}

#[cfg(feature = "parquet")]
fn parquet<'a>(records: impl Iterator<Item = &'a Record>, path: &Path) -> Result<()> {
    Ok(heavytail::sink::parquet::write(records, path)?)
}

#[cfg(not(feature = "parquet"))]
fn parquet<'a>(_: impl Iterator<Item = &'a Record>, _: &Path) -> Result<()> {
    anyhow::bail!(
        "this `heavytail` was built without Parquet: install it with --features cli,parquet"
    )
}
