//! Trains LeNet5 on the same data with the same seed at several batch sizes.
//!
//! ```text
//! cargo run --release --example batch_size_sweep -- --batch-sizes 8,32,128,512
//! ```
//!
//! Small batches have noisy gradients, and this noise moves a layer through the phases. The example
//! ends with a table and a figure of the phase of each layer at each batch size. A killed sweep
//! continues when it is started again. The example `sweep` also varies seeds, learning rates and
//! weight decays, and can use many machines.

mod support;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use heavytail::{
    Trajectory,
    sweep::{Plan, merge},
};
use support::sweep::{Spec, work};
use support::train::Backend;

#[derive(Parser)]
#[command(about = "Train LeNet5 once for each batch size and draw the phases")]
struct Options {
    /// Batch sizes, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "8,32,128,512")]
    batch_sizes: Vec<usize>,
    #[arg(long, default_value_t = 8)]
    epochs: usize,
    /// Learning rate
    #[arg(long, default_value_t = 0.01)]
    lr: f64,
    /// Train on this number of images only, the first of the data set
    #[arg(long)]
    train_items: Option<usize>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for runs, table and figures
    #[arg(long, default_value = "runs/batch-size-sweep")]
    out: PathBuf,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let out = &options.out;
    let plan = Plan::new(options.batch_sizes.iter().map(|&batch_size| Spec {
        batch_size,
        epochs: options.epochs,
        lr: options.lr,
        train_items: options.train_items,
        seed: options.seed,
        ..Spec::default()
    }))?;
    for entry in plan.entries() {
        println!("\n== batch size {} ==", entry.spec.batch_size);
        work(entry, out, None, Backend::Flex, false)?;
    }
    merge(&plan, &[out])?.write(out.join("results.jsonl"))?;

    println!("\nfinal phases");
    let mut rows: Vec<(String, Trajectory)> = Vec::new();
    for entry in plan.entries() {
        let label = entry.spec.batch_size.to_string();
        let trajectory = Trajectory::read_jsonl(out.join(&entry.id).join("log.jsonl"))?;
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
        rows.push((label, trajectory));
    }
    let rows: Vec<(String, &Trajectory)> = rows.iter().map(|(l, t)| (l.clone(), t)).collect();
    for extension in ["svg", "png"] {
        let path = out.join(format!("phases.{extension}"));
        heavytail::plot::phase_grid("batch size", &rows, &path)?;
        println!("written: {}", path.display());
    }
    println!("written: {}", out.join("results.jsonl").display());
    Ok(())
}
