//! Train LeNet5, watch its layers leave the random phase, and draw it:
//!
//! ```text
//! cargo run --release --example lenet5
//! ```
//!
//! Needs nothing but Rust: a subset of Fashion-MNIST is embedded. `--help` lists the options.

mod support;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use support::train::{Settings, fresh, train};

#[derive(Parser)]
#[command(about = "Train LeNet5 and watch the spectra of its weights")]
struct Options {
    #[command(flatten)]
    settings: Settings,
    /// Folder for numbers and pictures; a number is appended if it exists
    #[arg(long, default_value = "runs/lenet5")]
    out: PathBuf,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let out = fresh(&options.out);
    let start = Instant::now();
    let outcome = train(&options.settings, &out)?;
    println!("\ntrained in {:.1} s", start.elapsed().as_secs_f64());
    let Some(outcome) = outcome else {
        return Ok(());
    };
    let trajectory = &outcome.trajectory;
    for layer in trajectory.layers() {
        for change in trajectory.transitions(layer) {
            println!(
                "{layer}: {} → {} at epoch {}",
                change.from, change.to, change.epoch
            );
        }
    }
    if outcome.dropped > 0 {
        println!("{} observations were dropped", outcome.dropped);
    }
    let figures =
        heavytail::plot::all(trajectory, Some(&out.join("spectra")), out.join("figures"))?;
    println!("\nwritten:");
    for file in ["log.jsonl", "layers.csv", "spectra", "burn"] {
        println!("  {}", out.join(file).display());
    }
    for figure in figures {
        println!("  {}", figure.display());
    }
    // The run is complete even if a file is not; say so last, where it is seen.
    outcome.sink_error.map_or(Ok(()), |error| Err(error.into()))
}
