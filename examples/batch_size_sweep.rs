//! The same network, the same data, the same seed: only the batch size differs.
//!
//! ```text
//! cargo run --release --example batch_size_sweep -- --batch-sizes 8,32,128,512
//! ```
//!
//! Small batches are noisy, and noise is what drives a layer through the phases. Ends with the
//! phase of each layer at each batch size, as a table and as a picture.

mod support;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use heavytail::Trajectory;
use support::lenet5::LeNet5;
use support::train::{Settings, Task, fresh, train};

#[derive(Parser)]
#[command(about = "Train LeNet5 once for each batch size and draw the phases")]
struct Options {
    /// Batch sizes, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "8,32,128,512")]
    batch_sizes: Vec<usize>,
    #[command(flatten)]
    settings: Settings,
    /// Folder for numbers and pictures; a number is appended if it exists
    #[arg(long, default_value = "runs/batch-size-sweep")]
    out: PathBuf,
}

fn main() -> Result<()> {
    let options = Options::parse();
    ensure!(
        !options.batch_sizes.contains(&0),
        "a batch size of 0 trains nothing"
    );
    let out = fresh(&options.out);
    let mut runs: Vec<(String, Trajectory)> = Vec::new();
    for &batch_size in &options.batch_sizes {
        println!("\n== batch size {batch_size} ==");
        let settings = Settings {
            batch_size,
            unwatched: false,
            ..options.settings.clone()
        };
        let folder = out.join(format!("batch-{batch_size}"));
        let outcome = train(&settings, &Task::lenet5(&settings)?, LeNet5::new, &folder)?
            .context("the run was not watched")?;
        runs.push((batch_size.to_string(), outcome.trajectory));
    }
    println!("\nfinal phases");
    for (label, trajectory) in &runs {
        let phases: Vec<String> = trajectory
            .layers()
            .iter()
            .filter_map(|layer| {
                let last = trajectory.layer(layer).last()?;
                let phase = last.phase().map_or("no phase", |p| p.title());
                Some(format!("{layer} {phase}"))
            })
            .collect();
        println!("  batch size {label:<5} {}", phases.join(", "));
    }
    let rows: Vec<(String, &Trajectory)> = runs.iter().map(|(l, t)| (l.clone(), t)).collect();
    for extension in ["svg", "png"] {
        let path = out.join(format!("phases.{extension}"));
        heavytail::plot::phase_grid("batch size", &rows, &path)?;
        println!("written: {}", path.display());
    }
    Ok(())
}
