//! Makes what the library ships as tables, by simulation: the nulls of α and of the bulk's D for pure
//! noise (`src/fit/noise.json`), and the network behind the phases' probabilities
//! (`src/phase/network.safetensors`).
//!
//! ```text
//! cargo run --release --example calibrate -- noise
//! cargo run --release --example calibrate -- phases
//! ```
//!
//! The network sees the fits' statistics, so it is made again whenever a fit changes. Seeds here are not
//! those of `phase_confusion`, which judges the result.

#[path = "../support/ensembles/mod.rs"]
mod ensembles;
mod noise;
#[path = "../support/parallel.rs"]
mod parallel;
mod phases;

use std::path::Path;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Simulate the tables that heavytail ships")]
struct Options {
    #[command(subcommand)]
    table: Table,
}

#[derive(Subcommand)]
enum Table {
    /// Quantiles of α and D for pure noise: src/fit/noise.json
    Noise,
    /// The network behind the phases: src/phase/network.safetensors
    Phases {
        /// Simulated matrices
        #[arg(long, default_value_t = 96_000)]
        matrices: u64,
        /// Passes over them
        #[arg(long, default_value_t = 40)]
        epochs: usize,
        /// Networks that vote
        #[arg(long, default_value_t = 4)]
        members: usize,
    },
}

fn main() -> Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    match Options::parse().table {
        Table::Noise => noise::write(&source.join("fit/noise.json")),
        Table::Phases {
            matrices,
            epochs,
            members,
        } => phases::write(
            &source.join("phase/network.safetensors"),
            matrices,
            epochs,
            members,
        ),
    }
}
