//! A short training, and how it differs from the plain one.

use std::path::Path;
use std::sync::Arc;

use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::module::Module;
use burn::tensor::Device;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{
    ClassificationOutput, ExecutionStrategy, InferenceStep, Interrupter, Learner, LearningResult,
    MultiDeviceOptim, SupervisedTraining, TrainStep, TrainingStrategy,
};
use heavytail::monitor::Builder;
use heavytail::{Config, Monitor};

use crate::support::batch::{Batch, ImageBatcher};
use crate::support::data::Images;
use crate::support::lenet5::LeNet5;
use crate::support::screen::Screen;
use crate::support::train::Optimizer;

const ITEMS: usize = 96;
/// Optimiser steps of an epoch.
pub const STEPS: u64 = 3;

/// A monitor whose full analyses have no bootstraps: they take most of the time of a test, and
/// other tests are about them.
pub fn builder() -> Builder {
    let mut config = Config::live();
    config.replicates = 0;
    Monitor::builder().config(config)
}

/// How a short training differs from the plain one.
pub struct Run<'a> {
    pub dir: &'a Path,
    pub device: Device,
    pub epochs: usize,
    pub valid_items: usize,
    pub resume: Option<usize>,
    pub devices: Option<MultiDeviceOptim>,
    pub interrupter: Option<Interrupter>,
    pub monitor: Option<Monitor>,
    pub stop_on_alarm: bool,
}

impl<'a> Run<'a> {
    pub fn new(dir: &'a Path) -> Self {
        Self {
            dir,
            device: Device::flex(),
            epochs: 2,
            valid_items: 32,
            resume: None,
            devices: None,
            interrupter: None,
            monitor: None,
            stop_on_alarm: false,
        }
    }

    pub fn model(&self) -> LeNet5 {
        let device = self.device.clone().autodiff();
        device.seed(3);
        LeNet5::new(&device)
    }

    pub fn watched(self, monitor: &Monitor) -> LeNet5 {
        let model = monitor.watch(self.model());
        let run = Self {
            monitor: Some(monitor.clone()),
            ..self
        };
        run.train(model).model.into_inner()
    }

    pub fn plain(self) -> LeNet5 {
        let model = self.model();
        self.train(model).model
    }

    fn train<M>(self, model: M) -> LearningResult<M>
    where
        M: TrainStep<Input = Batch, Output = ClassificationOutput>
            + InferenceStep<Input = Batch, Output = ClassificationOutput>
            + Module
            + std::fmt::Display
            + 'static,
    {
        let images = Images::embedded().unwrap().take(ITEMS).unwrap();
        let batcher = ImageBatcher::fit(&images.train);
        let train: Arc<dyn DataLoader<Batch>> = DataLoaderBuilder::new(batcher)
            .batch_size(32)
            .shuffle(5)
            .build(images.train.clone());
        let test = burn::data::dataset::transform::PartialDataset::new(
            images.test.clone(),
            0,
            self.valid_items,
        );
        let valid = DataLoaderBuilder::new(batcher).batch_size(32).build(test);
        let mut training = SupervisedTraining::new(self.dir, train, valid)
            .with_application_logger(None)
            .renderer(Box::new(Screen::new()))
            .with_default_checkpointers()
            .num_epochs(self.epochs);
        if let Some(monitor) = &self.monitor {
            training = training
                .with_metric_logger(monitor.metric_logger(self.dir.join("burn")))
                .metric_valid_numeric(monitor.alpha_metric())
                .metric_valid_numeric(monitor.alpha_metric_of("fc1.weight"))
                .metric_valid_numeric(monitor.alpha_hat_metric())
                .metric_valid(monitor.phase_metric());
            if self.stop_on_alarm {
                training = training.early_stopping(monitor.stop_on_alarm());
            }
        }
        training = training.metrics((AccuracyMetric::new(), LossMetric::new()));
        if let Some(epoch) = self.resume {
            training = training.checkpoint(epoch);
        }
        if let Some(interrupter) = self.interrupter {
            training = training.with_interrupter(interrupter);
        }
        if let Some(optim) = self.devices {
            let device = self.device.clone().autodiff();
            let strategy = ExecutionStrategy::multi(vec![device.clone(), device], optim);
            training = training.with_training_strategy(TrainingStrategy::Default(strategy));
        }
        training.launch(Learner::new(model, Optimizer::Sgd.init(0.0), 0.01))
    }
}
