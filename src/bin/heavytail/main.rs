//! The command-line program: analyses checkpoints on disk, and follows and exports trainings.

mod analyze;
mod compare;
mod describe;
mod exit;
mod export;
mod numbers;
mod output;
mod plot;
mod repair;
mod report;
mod scores;
mod shard;
mod survey_args;
#[cfg(all(test, feature = "watch"))]
mod views_tests;
#[cfg(feature = "watch")]
mod watch;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use exit::Exit;
use heavytail::error::chain;

/// Spectra of weight matrices: power-law tails, Marchenko-Pastur bulks and the phases of training.
/// Analyses checkpoints on disk and trainings that heavytail watches.
///
/// Exit codes: 0 for success, 1 for a failed command, 2 for wrong usage, 3 for a finished command
/// with layers that could not be analysed. The rows of these layers give the reasons.
#[derive(Parser)]
#[command(name = "heavytail", version)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the tensors of files and the matrices that would be analysed, without computing
    /// anything
    Describe(describe::Options),
    /// Analyse every weight matrix: tail exponent, norms, bulk, phase
    Analyze(analyze::Options),
    /// Merge the parts of `analyze --shard`
    Merge(shard::Options),
    /// Compare models layer by layer, or a series of models with their scores
    Compare(compare::Options),
    /// Draw the spectral density of each layer and the exponents of all layers
    Plot(plot::Options),
    /// Show the runs of a monitor as one self-contained page
    Report(report::Options),
    /// Remove damaged lines from a run's log. The original log is kept in the same folder
    Repair(repair::Options),
    /// Write the logs of runs as a table (Parquet, CSV) or as event files for TensorBoard
    Export(export::Options),
    /// Follow a running training in the terminal
    #[cfg(feature = "watch")]
    Watch(watch::Options),
    /// Print completions for a shell
    Completions { shell: Shell },
}

fn main() -> ExitCode {
    match run(Options::parse().command) {
        Ok(Exit::Success) => ExitCode::SUCCESS,
        Ok(Exit::FailedLayers) => ExitCode::from(3),
        Err(error) => {
            // A program that reads only the first lines closes the pipe. This is no failure.
            let pipe = error
                .chain()
                .filter_map(|e| e.downcast_ref::<std::io::Error>());
            if pipe
                .into_iter()
                .any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
            {
                return ExitCode::SUCCESS;
            }
            eprintln!("error: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<Exit> {
    match command {
        Command::Describe(options) => describe::run(&options),
        Command::Analyze(options) => analyze::run(&options),
        Command::Merge(options) => shard::merge_parts(&options),
        Command::Compare(options) => compare::run(&options),
        Command::Plot(options) => plot::run(&options),
        Command::Report(options) => report::run(&options),
        Command::Repair(options) => repair::run(&options),
        Command::Export(options) => export::run(&options),
        #[cfg(feature = "watch")]
        Command::Watch(options) => watch::run(&options),
        Command::Completions { shell } => {
            let mut command = self::Options::command();
            clap_complete::generate(shell, &mut command, "heavytail", &mut std::io::stdout());
            Ok(Exit::Success)
        }
    }
}
