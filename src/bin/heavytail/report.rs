//! The command `heavytail report`, which writes runs as one HTML page.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use heavytail::report::{self, Folder};
use heavytail::run::{RunDir, RunState};

use crate::exit::Exit;
use crate::output::write;

#[derive(Args)]
pub struct Options {
    /// Folders of runs, each with its log.jsonl and spectra/. NAME=RUN_DIR gives a run another name
    #[arg(required = true, value_name = "RUN_DIR", value_parser = folder)]
    runs: Vec<Folder>,
    /// Write to this file [default: report.html in the run's folder, or in the current folder for
    /// several runs]
    #[arg(short, long)]
    output: Option<PathBuf>,
}

/// Parses RUN_DIR or NAME=RUN_DIR. An existing folder may have `=` in its own name.
fn folder(text: &str) -> Result<Folder, String> {
    Ok(match text.split_once('=') {
        Some((name, path)) if !PathBuf::from(text).exists() => Folder {
            path: path.into(),
            name: Some(name.to_owned()),
        },
        _ => text.into(),
    })
}

pub fn run(options: &Options) -> Result<Exit> {
    let path = match (&options.output, options.runs.as_slice()) {
        (Some(path), _) => path.clone(),
        (None, [one]) => one.path.join("report.html"),
        (None, _) => PathBuf::from("report.html"),
    };
    report::write(&options.runs, &path).context("no report")?;
    write(&format!("{}\n", path.display()), None)?;
    if let (None, [one]) = (&options.output, options.runs.as_slice())
        && RunDir::new(&one.path).state()? == RunState::Running
    {
        eprintln!("heavytail: the run is still active, and its monitor will overwrite this page");
    }
    Ok(Exit::Success)
}
