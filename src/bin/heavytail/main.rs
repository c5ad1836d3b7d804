//! Judge checkpoints on disk; follow and export trainings.

mod analyze;
mod compare;
mod describe;
mod ended;
mod export;
mod judging;
mod numbers;
mod output;
mod plot;
mod repair;
mod report;
mod scores;
mod shard;
#[cfg(all(test, feature = "watch"))]
mod views_tests;
#[cfg(feature = "watch")]
mod watch;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use ended::Ended;
use heavytail::error::chain;

/// Spectra of weight matrices: power-law tails, Marchenko-Pastur bulks and the phases of training, of
/// checkpoints on disk and of trainings that heavytail watches.
///
/// Exit codes: 0 all well; 1 the command failed; 2 wrong usage; 3 it finished, but some layers could not be
/// analysed (their rows say why).
#[derive(Parser)]
#[command(name = "heavytail", version)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the tensors of files, and what would be analysed, without computing anything
    Describe(describe::Options),
    /// Analyse every weight matrix: tail exponent, norms, bulk, phase
    Analyze(analyze::Options),
    /// Put the parts of `analyze --shard` together
    Merge(shard::Options),
    /// Compare models layer by layer, or a series of models with their scores
    Compare(compare::Options),
    /// Draw the spectral density of each layer, and the exponents of all
    Plot(plot::Options),
    /// Show runs that a monitor watched as one self-contained page
    Report(report::Options),
    /// Take damaged lines out of a run's log; the log as it was is kept beside it
    Repair(repair::Options),
    /// Turn the logs of runs into a table (Parquet, CSV) or event files for TensorBoard
    Export(export::Options),
    /// Follow a running training in the terminal
    #[cfg(feature = "watch")]
    Watch(watch::Options),
    /// Print completions for a shell
    Completions { shell: Shell },
}

fn main() -> ExitCode {
    match run(Options::parse().command) {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::WithFailedLayers) => ExitCode::from(3),
        Err(error) => {
            // A reader that has seen enough closes the pipe: no failure.
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

fn run(command: Command) -> Result<Ended> {
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
            Ok(Ended::Well)
        }
    }
}
