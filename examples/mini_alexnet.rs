//! Train the paper's MiniAlexNet on CIFAR-10, watch its layers, and draw it:
//!
//! ```text
//! cargo run --release --example mini_alexnet -- --data CIFAR --train-items 5000 --batch-size 16
//! ```
//!
//! `CIFAR` is a folder with CIFAR-10's binary version. Without `--data` it trains on the embedded subset
//! of Fashion-MNIST and says so. `--help` lists the options, among them the explicit regularisation of
//! the paper's experiments: weight decay, dropout, batch norm.

mod support;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use support::mini_alexnet::{MiniAlexNet, Variant};
use support::train::{Settings, Task, fresh, report, train};

#[derive(Parser)]
#[command(about = "Train MiniAlexNet and watch the spectra of its weights")]
struct Options {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    variant: Variant,
    /// Folder for numbers and pictures; a number is appended if it is not empty
    #[arg(long, default_value = "runs/mini_alexnet")]
    out: PathBuf,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let out = fresh(&options.out);
    let start = Instant::now();
    let task = Task::mini_alexnet(&options.settings)?;
    let build = |device: &_| MiniAlexNet::new(&options.variant, device);
    let outcome = train(&options.settings, &task, build, &out, None)?;
    report(outcome, start.elapsed(), &out)
}
