//! `heavytail export`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use heavytail::run::RunDir;
use heavytail::sink::{csv, tensorboard};
use heavytail::{Record, Trajectory};

use crate::ended::Ended;
use crate::output::write;

#[derive(ValueEnum, Clone, Copy)]
enum Format {
    /// The table of layers, one row a layer and observation, typed (needs the feature `parquet`)
    Parquet,
    /// The same table as text
    Csv,
    /// Event files, in a folder for each run
    Tensorboard,
}

#[derive(Args)]
pub struct Options {
    #[arg(value_enum)]
    format: Format,
    /// Folders of runs: each has a log.jsonl
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// The table of all runs, or the folder for TensorBoard
    #[arg(short, long)]
    output: PathBuf,
}

pub fn run(options: &Options) -> Result<Ended> {
    let runs = options.runs.iter().map(|folder| read(folder));
    let runs = runs.collect::<Result<Vec<Trajectory>>>()?;
    for (i, run) in runs.iter().enumerate() {
        if let Some(twin) = runs[..i].iter().position(|other| other.run() == run.run()) {
            let (a, b) = (options.runs[twin].display(), options.runs[i].display());
            anyhow::bail!(
                "{a} and {b} are both of a run `{}`: nothing would tell them apart",
                run.run()
            );
        }
    }
    let records = || runs.iter().flat_map(|run| &run.records);
    let mut written = vec![options.output.clone()];
    match options.format {
        Format::Parquet => parquet(records(), &options.output)?,
        Format::Csv => csv::write(records(), &options.output)?,
        Format::Tensorboard => {
            let names = file_names(runs.iter().map(Trajectory::run));
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
    Ok(Ended::Well)
}

fn read(folder: &Path) -> Result<Trajectory> {
    let dir = RunDir::new(folder);
    let log = dir.log();
    ensure!(
        log.exists(),
        "{} is no run: it has no log.jsonl",
        folder.display()
    );
    let trajectory = dir.read()?;
    ensure!(
        !trajectory.records.is_empty(),
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

/// The runs' names as names of folders, each another: where letters were lost, a number tells them apart. Case does
/// not, as on some disks.
fn file_names<'a>(runs: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut taken = HashSet::new();
    let free = |run: &str| {
        let plain = file_name(run);
        let mut name = plain.clone();
        let mut number = 2;
        while !taken.insert(name.to_lowercase()) {
            name = format!("{plain}-{number}");
            number += 1;
        }
        name
    };
    runs.map(free).collect()
}

/// A run's name as the name of a folder.
fn file_name(run: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = run.chars().map(plain).collect();
    // `.` and `..` are other folders.
    if name.chars().all(|c| c == '.') {
        format!("run{name}")
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_has_a_folder_of_its_own() {
        let runs = [
            "第一次",
            "第二次",
            "a b",
            "a_b",
            "A_B",
            "a_b-2",
            "..",
            "...",
        ];
        let names = file_names(runs.into_iter());
        let wanted = [
            "___", "___-2", "a_b", "a_b-2", "A_B-3", "a_b-2-2", "run..", "run...",
        ];
        assert_eq!(names, wanted);
    }
}
