//! Measures the classifier and the fits on matrices of known phase, with seeds that were not used
//! for tuning.
//!
//! ```text
//! cargo run --release --no-default-features --example phase_confusion
//! ```
//!
//! The example writes JSON and figures into `assets/phases`. They show the confusion matrices of
//! the six families, the calibration of the probabilities, generators outside of the families,
//! Rank-collapse by the share of null directions, the coverage of α's interval, α against the
//! entries' tail exponent, and the statistics at the spectrum's edge. `-- --only confusion` runs
//! one part alone.

#[path = "../support/coverage.rs"]
mod coverage;
#[path = "../support/ensembles/mod.rs"]
mod ensembles;
#[path = "../support/parallel.rs"]
mod parallel;
#[path = "../support/svg.rs"]
mod svg;

mod confusion;
mod edge;
mod outside;
mod universality;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use coverage::{Body, coverage};
use heavytail::fit::REPLICATES;
use serde::Serialize;

#[derive(Parser)]
#[command(about = "Measure the classifier and the fits on matrices of known phase")]
struct Options {
    /// Run this part only
    #[arg(long)]
    only: Option<Part>,
    /// Share of the full number of matrices
    #[arg(long, default_value_t = 1.0)]
    effort: f64,
    /// Base of the seeds. The default is that of the tables in `docs/trust.md`
    #[arg(long, default_value_t = 9000)]
    seed: u64,
    /// Folder for the results
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/phases"))]
    out: PathBuf,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    /// Six families at six sizes, and the calibration of the probabilities
    Confusion,
    /// Generators outside of the families
    Outside,
    /// Rank-collapse by share of null directions
    Collapse,
    /// The interval of α on samples of known power laws
    Coverage,
    /// α against the entries' tail exponent
    Universality,
    /// λmax of noise, of spikes, of heavy tails
    Edge,
}

/// The number of matrices relative to the full number, and the base of the seeds.
#[derive(Clone, Copy)]
pub struct Effort {
    share: f64,
    seed: u64,
}

impl Effort {
    /// `count` times the share, rounded, but at least 4.
    pub fn scaled(self, count: usize) -> usize {
        ((count as f64 * self.share).round() as usize).max(4)
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    let effort = Effort {
        share: options.effort,
        seed: options.seed,
    };
    std::fs::create_dir_all(&options.out).with_context(|| format!("{}", options.out.display()))?;
    for part in Part::value_variants() {
        if options.only.is_some_and(|only| only != *part) {
            continue;
        }
        let start = Instant::now();
        let out = &options.out;
        match part {
            Part::Confusion => confusion::run(effort, out)?,
            Part::Outside => outside::outside(effort, out)?,
            Part::Collapse => outside::collapse(effort, out)?,
            Part::Coverage => {
                let bodies = [
                    Body::None,
                    Body::Uniform { share: 0.5 },
                    Body::Lognormal { share: 0.5, s: 1.0 },
                ];
                let sizes = [50, 100, 250, 1000];
                let tables = parallel::parallel(&bodies, |i, &body| {
                    let seed = options.seed + 10 + i as u64;
                    coverage(
                        &[body],
                        &sizes,
                        (1.8, 4.0),
                        effort.scaled(1000),
                        REPLICATES,
                        seed,
                    )
                });
                let mut rows = Vec::new();
                for table in tables {
                    rows.extend(table?);
                }
                for row in &rows {
                    println!(
                        "{:?} n = {}: covered {:.3} (nominal {}), width {:.2}·(α−1); sd of α̂ {:.3}, textbook {:.3}",
                        row.body,
                        row.n,
                        row.covered,
                        row.level,
                        row.mean_width,
                        row.sd,
                        row.textbook_sigma
                    );
                }
                save(out, "coverage", &rows)?;
            }
            Part::Universality => universality::run(effort, out)?,
            Part::Edge => edge::run(effort, out)?,
        }
        println!("({:.0} s)\n", start.elapsed().as_secs_f64());
    }
    Ok(())
}

pub fn save(out: &Path, name: &str, value: &impl Serialize) -> Result<()> {
    let path = out.join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(value)? + "\n";
    std::fs::write(&path, text).with_context(|| format!("{}", path.display()))
}

pub fn save_svg(out: &Path, name: &str, sheet: svg::Sheet) -> Result<()> {
    let path = out.join(format!("{name}.svg"));
    std::fs::write(&path, sheet.finish()).with_context(|| format!("{}", path.display()))
}
