//! Trains LeNet5, watches its layers leave the random phase, and draws the result.
//!
//! ```text
//! cargo run --release --example lenet5
//! ```
//!
//! The example needs no download, because a subset of Fashion-MNIST is embedded. `--help` lists the
//! options.

mod support;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use support::lenet5::LeNet5;
use support::train::{Settings, Task, fresh, report, train};

#[derive(Parser)]
#[command(about = "Train LeNet5 and watch the spectra of its weights")]
struct Options {
    #[command(flatten)]
    settings: Settings,
    /// Folder for numbers and figures. A number is appended to its name if it is not empty
    #[arg(long, default_value = "runs/lenet5")]
    out: PathBuf,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let out = fresh(&options.out);
    let start = Instant::now();
    let task = Task::lenet5(&options.settings)?;
    let outcome = train(&options.settings, &task, LeNet5::new, &out, None)?;
    report(outcome, start.elapsed(), &out)
}
