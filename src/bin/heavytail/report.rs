//! `heavytail report`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use heavytail::report;

use crate::Ended;
use crate::output::write;

#[derive(Args)]
pub struct Options {
    /// Folders of runs, each with its log.jsonl and spectra/
    #[arg(required = true, value_name = "RUN_DIR")]
    runs: Vec<PathBuf>,
    /// Write to this file [default: report.html in the run's folder, or for several runs in the current one]
    #[arg(short, long)]
    output: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<Ended> {
    let default = || report::default_path(&options.runs);
    let path = options.output.clone().unwrap_or_else(default);
    report::write(&options.runs, &path)?;
    write(&format!("{}\n", path.display()), None)?;
    Ok(Ended::Well)
}
