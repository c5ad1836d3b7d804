//! Simulates the tables that the library ships. These are the quantiles of α and of the bulk's D
//! for pure noise (`src/fit/noise.json`), and the network for the phases' probabilities
//! (`src/phase/network.safetensors`).
//!
//! ```text
//! cargo run --release --example calibrate -- noise
//! cargo run --release --example calibrate -- phases
//! ```
//!
//! The network's inputs are statistics of the fits. It must be trained again whenever a fit
//! changes. The seeds here differ from those of `phase_confusion`, which measures the accuracy of
//! the result.

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
    /// The network for the phases: src/phase/network.safetensors
    Phases {
        /// Number of simulated matrices
        #[arg(long, default_value_t = 96_000)]
        matrices: u64,
        /// Number of passes over the matrices
        #[arg(long, default_value_t = 40)]
        epochs: usize,
        /// Number of networks in the ensemble
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
