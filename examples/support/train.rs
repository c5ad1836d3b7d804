//! Trains a network with burn's learner while heavytail watches it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use burn::{
    data::dataloader::{DataLoader, DataLoaderBuilder},
    lr_scheduler::{module_lr_scheduler::ModuleLrScheduler, step::StepLrSchedulerConfig},
    module::Module,
    optim::{
        AdamConfig, ModuleOptimizer, SgdConfig, decay::WeightDecayConfig, momentum::MomentumConfig,
    },
    tensor::Device,
    train::{
        ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainStep,
        checkpoint::KeepLastNCheckpoints,
        metric::{AccuracyMetric, LossMetric},
    },
};
use clap::{Args, ValueEnum};
use heavytail::{
    Monitor,
    monitor::{Cadence, Outcome, Overload},
};
use serde::{Deserialize, Serialize};

use super::{
    batch::{Batch, ImageBatcher},
    checkpoint::{Checkpoints, KEPT_CHECKPOINTS, PARTS, ResumableLoader},
    cifar,
    data::Images,
    screen::{Screen, Table},
};

/// The options of a training.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Number of passes over the training images
    #[arg(long, default_value_t = 8)]
    pub epochs: usize,
    /// Number of images for each optimiser step
    #[arg(long, default_value_t = 32)]
    pub batch_size: usize,
    /// Learning rate
    #[arg(long, default_value_t = 0.01)]
    pub lr: f64,
    /// Optimiser (burn has no Adadelta, which the paper used for LeNet5)
    #[arg(long, value_enum, default_value_t = Optimizer::Sgd)]
    pub optimizer: Optimizer,
    /// Seed of the weights and of the order of the images
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Backend that computes the training
    #[arg(long, value_enum, default_value_t = Backend::Flex)]
    pub backend: Backend,
    /// Penalty of the squared weights (L2)
    #[arg(long, default_value_t = 0.0)]
    pub weight_decay: f64,
    /// Factor of the learning rate from one epoch to the next [default: 1, for MiniAlexNet 0.95]
    #[arg(long)]
    pub lr_decay: Option<f64>,
    /// Folder with the full data set [default: the embedded subset of Fashion-MNIST]. LeNet5 needs
    /// MNIST or Fashion-MNIST as IDX files, gzipped or not. MiniAlexNet needs the binary version of
    /// CIFAR-10
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Train on this number of images only, the first of the data set
    #[arg(long)]
    pub train_items: Option<usize>,
    /// Validate on this number of test images only, the first of the data set
    #[arg(long)]
    pub test_items: Option<usize>,
    /// Number of epochs between observations. The first and the last weights are always observed
    #[arg(long, default_value_t = 1)]
    pub observe_every: usize,
    /// Train without heavytail, to compare times
    #[arg(long)]
    pub unwatched: bool,
}

#[derive(ValueEnum, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Optimizer {
    /// SGD with momentum 0.9 and no dampening
    Sgd,
    /// Adam with burn's defaults
    Adam,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// burn's CPU backend
    Flex,
    /// burn's older CPU backend (build with --features ndarray)
    Ndarray,
    /// Any GPU, or a software Vulkan driver (build with --features wgpu)
    Wgpu,
}

impl Backend {
    pub fn device(self) -> Result<Device> {
        match self {
            #[cfg(feature = "flex")]
            Backend::Flex => Ok(Device::flex()),
            #[cfg(feature = "ndarray")]
            Backend::Ndarray => Ok(Device::ndarray()),
            #[cfg(feature = "wgpu")]
            Backend::Wgpu => Ok(Device::wgpu(Default::default())),
            #[allow(unreachable_patterns, reason = "depends on the features")]
            other => {
                bail!("this build has no {other:?} backend: add the cargo feature of that name")
            }
        }
    }
}

impl Optimizer {
    pub fn init(self, weight_decay: f64) -> ModuleOptimizer {
        let decay = (weight_decay > 0.0).then(|| WeightDecayConfig::new(weight_decay as f32));
        match self {
            Optimizer::Sgd => {
                let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
                SgdConfig::new()
                    .with_momentum(Some(momentum))
                    .with_weight_decay(decay)
                    .init()
            }
            Optimizer::Adam => AdamConfig::new().with_weight_decay(decay).init(),
        }
    }
}

impl Settings {
    /// The schedule of the learning rate. It counts optimiser steps, like all schedulers of burn.
    fn schedule(&self, task: &Task) -> Result<ModuleLrScheduler> {
        let decay = self.lr_decay.unwrap_or(task.lr_decay);
        let steps = task.images.train.len().div_ceil(self.batch_size);
        StepLrSchedulerConfig::new(self.lr, steps)
            .with_gamma(decay)
            .init()
            .map_err(|cause| anyhow!("learning rate: {cause}"))
    }

    /// Applies the limits on the numbers of images.
    fn take(&self, images: Images) -> Result<Images> {
        let mut images = match self.train_items {
            Some(n) => images.take(n)?,
            None => images,
        };
        if let Some(n) = self.test_items {
            images.test = images.test.take(n).context("validating")?;
        }
        Ok(images)
    }
}

/// The task of a network: its name, its images and its default schedule.
pub struct Task {
    /// The name of the network.
    pub network: &'static str,
    pub images: Images,
    pub batcher: ImageBatcher,
    /// The factor of the learning rate from one epoch to the next, unless the settings give another
    /// one.
    pub lr_decay: f64,
}

impl Task {
    /// LeNet5 on grey images.
    pub fn lenet5(settings: &Settings) -> Result<Self> {
        let images = settings.take(Images::open(settings.data.as_deref())?)?;
        Ok(Self {
            network: "LeNet5",
            batcher: ImageBatcher::fit(&images.train),
            images,
            lr_decay: 1.0,
        })
    }

    /// MiniAlexNet on CIFAR-10. Without CIFAR-10 it uses the embedded grey images with three equal
    /// channels.
    pub fn mini_alexnet(settings: &Settings) -> Result<Self> {
        let images = match &settings.data {
            Some(dir) => settings.take(cifar::read(dir)?)?,
            None => {
                println!(
                    "no --data with CIFAR-10: training on the embedded Fashion-MNIST, its grey in three channels"
                );
                let grey = settings.take(Images::embedded()?)?;
                Images {
                    train: grey.train.in_colour(),
                    test: grey.test.in_colour(),
                    ..grey
                }
            }
        };
        Ok(Self {
            network: "MiniAlexNet",
            batcher: ImageBatcher::PerImage,
            images,
            lr_decay: 0.95,
        })
    }
}

/// A network that classifies images.
pub trait Network:
    TrainStep<Input = Batch, Output = ClassificationOutput>
    + InferenceStep<Input = Batch, Output = ClassificationOutput>
    + Module
    + std::fmt::Display
    + 'static
{
}

impl<M> Network for M where
    M: TrainStep<Input = Batch, Output = ClassificationOutput>
        + InferenceStep<Input = Batch, Output = ClassificationOutput>
        + Module
        + std::fmt::Display
        + 'static
{
}

/// Trains a network once and writes the results to `out`. Returns `None` if heavytail did not watch
/// the run.
///
/// With checkpoints, the run continues at its last checkpoint. Its result is the same as without an
/// interruption.
pub fn train<M: Network>(
    settings: &Settings,
    task: &Task,
    build: impl FnOnce(&Device) -> M,
    out: &Path,
    checkpoints: Option<&Checkpoints>,
) -> Result<Option<Outcome>> {
    let device = settings.backend.device()?.autodiff();
    println!("{}", task.images);
    println!(
        "{}, {:?} lr {}, batch size {}, {} epochs, seed {}",
        task.network,
        settings.optimizer,
        settings.lr,
        settings.batch_size,
        settings.epochs,
        settings.seed
    );
    device.seed(settings.seed);
    let model = build(&device);
    if settings.unwatched {
        let training = supervised(settings, task, &device, out, checkpoints);
        learn(settings, task, training, Screen::new(), model)?;
        return Ok(None);
    }
    let screen = Screen::new();
    let mut builder = Monitor::builder()
        .dir(out)
        .every(Cadence::Epochs(settings.observe_every))
        .sink(Table::new(screen.clone()));
    if let Some(checkpoints) = checkpoints {
        // With `Wait` the result does not depend on the machine's load.
        builder = builder.overload(Overload::Wait);
        if checkpoints.epoch > 0 {
            builder = builder.resume().starting_epoch(checkpoints.epoch);
        }
    }
    let monitor = builder.build().context("cannot start the monitor")?;
    let training = supervised(settings, task, &device, out, checkpoints)
        .with_metric_logger(monitor.metric_logger(out.join("burn")))
        .metric_valid_numeric(monitor.alpha_metric())
        .metric_valid_numeric(monitor.alpha_hat_metric())
        .metric_valid(monitor.phase_metric());
    learn(settings, task, training, screen, monitor.watch(model))?;
    Ok(Some(monitor.finish()))
}

type Loader = Arc<dyn DataLoader<Batch>>;

fn loader(settings: &Settings, task: &Task, training: bool) -> Loader {
    let builder = DataLoaderBuilder::new(task.batcher);
    if training {
        builder
            .batch_size(settings.batch_size)
            .shuffle(settings.seed)
            .build(task.images.train.clone())
    } else {
        builder.batch_size(256).build(task.images.test.clone())
    }
}

fn supervised<M: Network>(
    settings: &Settings,
    task: &Task,
    device: &Device,
    out: &Path,
    checkpoints: Option<&Checkpoints>,
) -> SupervisedTraining<M> {
    let (train, valid) = (loader(settings, task, true), loader(settings, task, false));
    let Some(checkpoints) = checkpoints else {
        return SupervisedTraining::new(out, train, valid);
    };
    let train = ResumableLoader::new(train, device.clone(), settings.seed, checkpoints.epoch);
    let [model, optim, scheduler] = PARTS.map(|part| checkpoints.writer(part));
    let training = SupervisedTraining::new(out, Arc::new(train), valid)
        .with_custom_checkpointers(model, optim, scheduler)
        .with_checkpointing_strategy(KeepLastNCheckpoints::new(KEPT_CHECKPOINTS));
    match checkpoints.epoch {
        0 => training,
        epoch => training.checkpoint(epoch),
    }
}

fn learn<M: Network>(
    settings: &Settings,
    task: &Task,
    training: SupervisedTraining<M>,
    screen: Screen,
    model: M,
) -> Result<()> {
    let optimizer = settings.optimizer.init(settings.weight_decay);
    let learner = Learner::new(model, optimizer, settings.schedule(task)?);
    training
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .renderer(Box::new(screen))
        .num_epochs(settings.epochs)
        .launch(learner);
    Ok(())
}

/// Returns `folder`, or `folder-2`, `folder-3`, … if the folder is not empty. A log is never
/// overwritten.
pub fn fresh(folder: &Path) -> PathBuf {
    let is_free = |path: &PathBuf| match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !path.exists(),
    };
    // Collecting the components removes a slash at the end, where the number is appended.
    let folder: PathBuf = folder.components().collect();
    let numbered = |i: u32| PathBuf::from(format!("{}-{i}", folder.display()));
    std::iter::once(folder.clone())
        .chain((2..).map(numbered))
        .find(is_free)
        .expect("some number is free")
}

/// Prints the results of a run and the paths of its files, and draws its figures.
pub fn report(outcome: Option<Outcome>, time: Duration, out: &Path) -> Result<()> {
    println!("\ntrained in {:.1} s", time.as_secs_f64());
    let Some(outcome) = outcome else {
        return Ok(());
    };
    let trajectory = &outcome.trajectory;
    for layer in trajectory.layers() {
        for change in trajectory.transitions(layer) {
            println!(
                "{layer}: {} → {} at epoch {}",
                change.from, change.to, change.epoch
            );
        }
    }
    if outcome.dropped > 0 {
        println!("{} observations were dropped", outcome.dropped);
    }
    let figures =
        heavytail::plot::all(trajectory, Some(&out.join("spectra")), out.join("figures"))?;
    println!("\nwritten:");
    for file in ["report.html", "log.jsonl", "layers.csv", "spectra", "burn"] {
        let path = out.join(file);
        // The page exists only with the feature `report`.
        if path.exists() {
            println!("  {}", path.display());
        }
    }
    for figure in figures {
        println!("  {}", figure.display());
    }
    // The run is complete even if a file is not. The failure is printed last, where the user sees
    // it.
    for failure in &outcome.failures {
        eprintln!(
            "{}: {} lines are missing",
            failure.sink, failure.unwritten_lines
        );
    }
    let first = outcome.failures.into_iter().next();
    first.map_or(Ok(()), |failure| Err(failure.error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("run");
        assert_eq!(fresh(&out), out);
        std::fs::create_dir(&out).unwrap();
        assert_eq!(fresh(&out), out);
        std::fs::write(out.join("log.jsonl"), "").unwrap();
        assert_eq!(fresh(&out), root.path().join("run-2"));
        assert_eq!(fresh(&out.join("")), root.path().join("run-2"));
        std::fs::write(root.path().join("run-2"), "a file").unwrap();
        assert_eq!(fresh(&out), root.path().join("run-3"));
    }
}
