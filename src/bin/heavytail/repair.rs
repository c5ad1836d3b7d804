//! The command `heavytail repair`, which removes damaged lines from a run's log.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use heavytail::run::{RunDir, repair};

use crate::Exit;
use crate::output::write;

#[derive(Args)]
pub struct Options {
    /// Folder of the run, which holds log.jsonl
    run: PathBuf,
}

pub fn run(options: &Options) -> Result<Exit> {
    let repaired = repair(&RunDir::new(&options.run))?;
    let Some(original) = &repaired.original else {
        write("nothing to repair\n", None)?;
        return Ok(Exit::Success);
    };
    let mut text = String::new();
    for number in &repaired.lines {
        text += &format!("removed damaged line {number}\n");
    }
    if repaired.removed_incomplete_line {
        text += "removed the incomplete last line\n";
    }
    text += &format!("original log: {}\n", original.display());
    write(&text, None)?;
    Ok(Exit::Success)
}
