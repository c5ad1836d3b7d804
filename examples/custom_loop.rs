//! Watches a hand-written training loop, without burn's learner, by one call after each epoch.
//!
//! ```text
//! cargo run --release --example custom_loop
//! ```

mod support;

use anyhow::Result;
use burn::{
    data::dataloader::DataLoaderBuilder, optim::SgdConfig, tensor::Device, train::TrainStep,
};
use clap::Parser;
use heavytail::Monitor;
use support::{batch::ImageBatcher, data::Images, lenet5::LeNet5};

#[derive(Parser)]
#[command(about = "Watch a hand-written training loop")]
struct Options {
    #[arg(long, default_value_t = 5)]
    epochs: usize,
    #[arg(long, default_value_t = 2000)]
    train_items: usize,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let device = Device::flex().autodiff();
    device.seed(1);
    let images = Images::embedded()?.take(options.train_items)?;
    let loader = DataLoaderBuilder::new(ImageBatcher::fit(&images.train))
        .batch_size(32)
        .shuffle(1)
        .set_device(device.clone())
        .build(images.train.clone());
    let mut model = LeNet5::new(&device);
    let mut optimizer = SgdConfig::new().init();

    let monitor = Monitor::builder()
        .run("custom loop")
        .include("fc1")
        .build()?;
    // burn initialises a parameter at its first use. The initial weights must exist before they are
    // observed.
    heavytail::burn::initialize(&model);
    monitor.observe(0, &model);
    for epoch in 1..=options.epochs {
        for batch in loader.iter() {
            let output = TrainStep::step(&model, batch?);
            model = optimizer.step(0.05, model, output.grads);
        }
        monitor.observe(epoch, &model);
    }

    let outcome = monitor.finish();
    for record in outcome.trajectory.layer("fc1.weight") {
        let phase = record.phase().map_or("no phase", |p| p.title());
        let alpha = record
            .alpha()
            .map_or("no α".to_owned(), |a| format!("α = {a:.2}"));
        println!("epoch {}: {alpha}, {phase}", record.stamp.epoch);
    }
    Ok(())
}
