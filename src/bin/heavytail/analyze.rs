//! The command `heavytail analyze`, which analyses the weight matrices of checkpoints.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use crate::exit::Exit;
use crate::output::{ModelTable, Printing, print};
use crate::shard;
use crate::survey_args::SurveyArgs;

#[derive(Args)]
pub struct Options {
    /// Files (safetensors, PyTorch, burn, NumPy), indices of sharded models, or folders
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    args: SurveyArgs,
    #[command(flatten)]
    printing: Printing,
    /// Analyse only part I of N (counted from 0) and write it to the folder --parts, for
    /// `heavytail merge`. Many machines can share a large checkpoint this way
    #[arg(long, value_name = "I/N", requires = "parts", value_parser = shard::parse, conflicts_with_all = ["format", "output", "sort"])]
    shard: Option<(usize, usize)>,
    /// Folder for the parts
    #[arg(long, value_name = "DIR", requires = "shard")]
    parts: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<Exit> {
    if let (Some(part), Some(folder)) = (options.shard, &options.parts) {
        let [file] = options.files.as_slice() else {
            bail!("--shard takes one model");
        };
        return shard::run(file, &options.args, part, folder);
    }
    let mut sheets = Vec::new();
    for file in &options.files {
        let (_, survey) = options.args.survey(file)?;
        let compat = options.args.compat();
        sheets.push(ModelTable::new(file, survey.rows, survey.summary, compat));
    }
    print(&sheets, &options.printing)?;
    Ok(if sheets.iter().any(ModelTable::has_failed_layers) {
        Exit::FailedLayers
    } else {
        Exit::Success
    })
}
