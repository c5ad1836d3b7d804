//! Builds the lines of a plan from lists of settings.

use anyhow::{Context, Result, ensure};
use clap::Args;
use heavytail::sweep::Plan;

use crate::support::{
    mini_alexnet::Loss,
    sweep::{Data, Model, Spec},
    train::Optimizer,
};

/// The lists of settings. The plan holds every combination of their values.
#[derive(Args)]
pub struct Grid {
    #[arg(long, value_enum, default_value_t = Model::Lenet5)]
    model: Model,
    #[arg(long, value_enum, default_value_t = Data::Embedded)]
    data: Data,
    #[arg(long, value_delimiter = ',', default_value = "32")]
    batch_sizes: Vec<usize>,
    #[arg(long, value_delimiter = ',', default_value = "0.01")]
    lrs: Vec<f64>,
    #[arg(long, value_delimiter = ',', default_value = "0")]
    weight_decays: Vec<f64>,
    #[arg(long, value_delimiter = ',', default_value = "1")]
    seeds: Vec<u64>,
    #[arg(long, default_value_t = 8)]
    epochs: usize,
    /// Number of optimiser steps, the same for every batch size. It replaces the number of epochs
    #[arg(long, conflicts_with = "epochs", requires = "train_items")]
    steps: Option<usize>,
    #[arg(long)]
    train_items: Option<usize>,
    #[arg(long)]
    test_items: Option<usize>,
    #[arg(long, value_enum, default_value_t = Optimizer::Sgd)]
    optimizer: Optimizer,
    #[arg(long)]
    lr_decay: Option<f64>,
    #[arg(long, value_enum, default_value_t = Loss::Mse)]
    loss: Loss,
    #[arg(long, default_value_t = 0.0)]
    dropout: f64,
    #[arg(long)]
    no_batch_norm: bool,
}

/// The approximate number of observations of a run with `--steps`. It suffices for a curve.
const OBSERVATIONS: usize = 8;

impl Grid {
    pub fn lines(&self) -> Result<Vec<String>> {
        let mut specs = Vec::new();
        for &weight_decay in &self.weight_decays {
            for &lr in &self.lrs {
                for &batch_size in &self.batch_sizes {
                    for &seed in &self.seeds {
                        let epochs = self.epochs(batch_size)?;
                        specs.push(Spec {
                            model: self.model,
                            data: self.data,
                            train_items: self.train_items,
                            test_items: self.test_items,
                            optimizer: self.optimizer,
                            batch_size,
                            lr,
                            lr_decay: self.lr_decay,
                            weight_decay,
                            loss: self.loss,
                            dropout: self.dropout,
                            batch_norm: !self.no_batch_norm,
                            epochs,
                            observe_every: match self.steps {
                                Some(_) => epochs.div_ceil(OBSERVATIONS),
                                None => 1,
                            },
                            seed,
                        });
                    }
                }
            }
        }
        Ok(Plan::new(specs)?.lines()?)
    }

    fn epochs(&self, batch_size: usize) -> Result<usize> {
        let Some(steps) = self.steps else {
            return Ok(self.epochs);
        };
        let items = self.train_items.context("--steps needs --train-items")?;
        ensure!(batch_size > 0, "the batch size must be at least 1");
        let each = items.div_ceil(batch_size);
        ensure!(
            steps.is_multiple_of(each),
            "batch size {batch_size} takes {each} steps an epoch, {steps} steps are no whole number of epochs"
        );
        Ok(steps / each)
    }
}
