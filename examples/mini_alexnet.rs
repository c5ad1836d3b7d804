//! Trains the paper's MiniAlexNet on CIFAR-10, watches its layers, and draws the result.
//!
//! ```text
//! cargo run --release --example mini_alexnet -- --data CIFAR --train-items 5000 --batch-size 16
//! ```
//!
//! `CIFAR` is a folder with the binary version of CIFAR-10. Without `--data` the example trains on
//! the embedded subset of Fashion-MNIST. The output names the data set. `--help` lists the options.
//! Some of them control the explicit regularisation of the paper's experiments: weight decay,
//! dropout, batch norm.

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
    /// Folder for numbers and figures. A number is appended to its name if it is not empty
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
