//! Executes many trainings from one plan, one after the other on this machine or in parallel on the
//! nodes of a cluster.
//!
//! ```text
//! cargo run --release --example sweep -- plan --batch-sizes 4,32,256 --seeds 1,2,3 > plan.jsonl
//! cargo run --release --example sweep -- run --plan plan.jsonl --all
//! cargo run --release --example sweep -- merge --plan plan.jsonl --results results.jsonl
//! cargo run --release --example sweep -- plot .
//! ```
//!
//! Without `--all`, `run` executes one index. The index is `--index`, or the one that Slurm or
//! Kubernetes provides (see `examples/cluster`). A killed run continues from its last checkpoint
//! when it is started again.

#[path = "../support/mod.rs"]
mod support;

mod combined_figures;
mod figures;
mod plan;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use combined_figures::{gallery, noise_scale};
use figures::{Experiment, VariedSetting};
use heavytail::sweep::{Plan, index_from, merge};
use support::sweep::{Spec, work};
use support::train::Backend;

#[derive(Parser)]
#[command(about = "Plan, run, merge and draw many trainings")]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a plan to the standard output, with one run a line for every combination of the lists
    Plan(Box<plan::Grid>),
    /// Run one line of a plan, or all lines
    Run {
        #[arg(long)]
        plan: PathBuf,
        /// Line of the plan, counted from 0 [default: SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX]
        #[arg(long, conflicts_with = "all")]
        index: Option<usize>,
        /// Run every line that is not done and on which no other worker works
        #[arg(long)]
        all: bool,
        /// Folder that holds one folder for each run
        #[arg(long, default_value = "runs/sweep")]
        out: PathBuf,
        /// Folder with the plan's data set, unless it is the embedded one
        #[arg(long)]
        data: Option<PathBuf>,
        #[arg(long, value_enum, default_value_t = Backend::Flex)]
        backend: Backend,
    },
    /// Write the results of all finished runs as one table, and list the unfinished runs
    Merge {
        #[arg(long)]
        plan: PathBuf,
        /// Folders of the runs. Several folders are possible if the workers share no disk
        #[arg(long, default_value = "runs/sweep")]
        out: Vec<PathBuf>,
        /// File for the table
        #[arg(long)]
        results: PathBuf,
        /// Succeed even if some runs are not done
        #[arg(long)]
        partial: bool,
    },
    /// Draw every `results.jsonl` in a folder and in its subfolders. Several experiments also give
    /// common figures
    Plot {
        #[arg(default_value = "assets/experiments")]
        folder: PathBuf,
    },
}

fn main() -> Result<()> {
    match Options::parse().command {
        Command::Plan(grid) => {
            for line in grid.lines()? {
                println!("{line}");
            }
            Ok(())
        }
        Command::Run {
            plan,
            index,
            all,
            out,
            data,
            backend,
        } => {
            let plan = Plan::<Spec>::read(plan)?;
            if !all {
                let index = index_from(index, |name| std::env::var(name).ok())?;
                return work(plan.entry(index)?, &out, data.as_deref(), backend, false);
            }
            let mut failed = 0;
            for entry in plan.entries() {
                // A failed run must not stop the other runs.
                if let Err(error) = work(entry, &out, data.as_deref(), backend, true) {
                    eprintln!("{error:#}");
                    failed += 1;
                }
            }
            ensure!(
                failed == 0,
                "{failed} of {} runs failed",
                plan.entries().len()
            );
            Ok(())
        }
        Command::Merge {
            plan,
            out,
            results,
            partial,
        } => {
            let plan = Plan::<Spec>::read(plan)?;
            let merged = merge(&plan, &out)?;
            merged.write(&results)?;
            let (done, all) = (merged.rows.len(), plan.entries().len());
            println!("{done} of {all} runs: {}", results.display());
            for run in &merged.unfinished {
                eprintln!("{run}");
            }
            ensure!(partial || done == all, "{} runs are not done", all - done);
            Ok(())
        }
        Command::Plot { folder } => draw(&folder),
    }
}

fn draw(folder: &Path) -> Result<()> {
    let mut folders = vec![folder.to_owned()];
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        folders.push(entry?.path());
    }
    folders.retain(|f| f.join("results.jsonl").exists());
    folders.sort();
    ensure!(
        !folders.is_empty(),
        "no results.jsonl in {}",
        folder.display()
    );
    let mut experiments = Vec::new();
    for folder in &folders {
        let experiment = Experiment::read(folder)?;
        for path in experiment.draw(folder)? {
            println!("written: {}", path.display());
        }
        experiments.push(experiment);
    }
    if experiments.len() > 1 {
        let path = folder.join("gallery.svg");
        gallery(&experiments, &path)?;
        println!("written: {}", path.display());
    }
    // These two experiments differ only in the varied setting, so they can share an axis.
    let of = |knob| {
        let mut same = experiments.iter().filter(|e| e.varied == knob);
        same.find(|e| e.rows.iter().all(|r| r.run.observe_every == 1) && e.model() == "LeNet5")
    };
    if let (Some(batch), Some(lr)) = (
        of(VariedSetting::BatchSize),
        of(VariedSetting::LearningRate),
    ) {
        let path = folder.join("noise-scale.svg");
        noise_scale(&[batch, lr], &path)?;
        println!("written: {}", path.display());
    }
    Ok(())
}
