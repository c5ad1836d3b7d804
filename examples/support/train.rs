//! Trains LeNet5 with burn's learner, watched by heavytail.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::{
    data::dataloader::DataLoaderBuilder,
    module::Module,
    optim::{AdamConfig, ModuleOptimizer, SgdConfig, momentum::MomentumConfig},
    tensor::Device,
    train::{
        ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainStep,
        metric::{AccuracyMetric, LossMetric},
    },
};
use clap::{Args, ValueEnum};
use heavytail::{Monitor, monitor::Outcome};

use super::{
    batch::{Batch, ImageBatcher},
    data::Images,
    lenet5::LeNet5,
    screen::{Screen, Table},
};

/// What a run can vary.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Passes over the training images
    #[arg(long, default_value_t = 8)]
    pub epochs: usize,
    /// Images per optimiser step
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
    /// Where to compute
    #[arg(long, value_enum, default_value_t = Backend::Flex)]
    pub backend: Backend,
    /// Folder with the full MNIST or Fashion-MNIST IDX files, gzipped or not [default: the embedded subset of Fashion-MNIST]
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Train on the first so many images only
    #[arg(long)]
    pub train_items: Option<usize>,
    /// Train without heavytail, to compare times
    #[arg(long)]
    pub unwatched: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Optimizer {
    /// Momentum 0.9, no dampening
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
    pub fn init(self) -> ModuleOptimizer {
        match self {
            Optimizer::Sgd => {
                let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
                SgdConfig::new().with_momentum(Some(momentum)).init()
            }
            Optimizer::Adam => AdamConfig::new().init(),
        }
    }
}

/// Train once; numbers go to `out`. `None` if the run was not watched.
pub fn train(settings: &Settings, out: &Path) -> Result<Option<Outcome>> {
    let device = settings.backend.device()?.autodiff();
    let mut images = Images::open(settings.data.as_deref())?;
    if let Some(n) = settings.train_items {
        images = images.take(n)?;
    }
    println!("{images}");
    println!(
        "LeNet5, {:?} lr {}, batch size {}, {} epochs, seed {}",
        settings.optimizer, settings.lr, settings.batch_size, settings.epochs, settings.seed
    );
    device.seed(settings.seed);
    let model = LeNet5::new(&device);
    if settings.unwatched {
        let training = SupervisedTraining::new(
            out,
            loader(settings, &images, true),
            loader(settings, &images, false),
        );
        learn(settings, training, Screen::new(), model);
        return Ok(None);
    }
    let screen = Screen::new();
    let monitor = Monitor::builder()
        .out(out)
        .sink(Table::new(screen.clone()))
        .build()
        .context("cannot watch the run")?;
    let training = SupervisedTraining::new(
        out,
        loader(settings, &images, true),
        loader(settings, &images, false),
    )
    .with_metric_logger(monitor.metric_logger(out.join("burn")))
    .metric_valid_numeric(monitor.alpha_metric())
    .metric_valid_numeric(monitor.alpha_hat_metric())
    .metric_valid(monitor.phase_metric());
    learn(settings, training, screen, monitor.watch(model));
    Ok(Some(monitor.finish()))
}

type Loader = std::sync::Arc<dyn burn::data::dataloader::DataLoader<Batch>>;

fn loader(settings: &Settings, images: &Images, training: bool) -> Loader {
    let builder = DataLoaderBuilder::new(ImageBatcher::fit(&images.train));
    if training {
        builder
            .batch_size(settings.batch_size)
            .shuffle(settings.seed)
            .build(images.train.clone())
    } else {
        builder.batch_size(256).build(images.test.clone())
    }
}

fn learn<M>(settings: &Settings, training: SupervisedTraining<M>, screen: Screen, model: M)
where
    M: TrainStep<Input = Batch, Output = ClassificationOutput>
        + InferenceStep<Input = Batch, Output = ClassificationOutput>
        + Module
        + std::fmt::Display
        + 'static,
{
    let learner = Learner::new(model, settings.optimizer.init(), settings.lr);
    training
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .renderer(Box::new(screen))
        .num_epochs(settings.epochs)
        .launch(learner);
}

/// `folder`, or `folder-2`, `folder-3`, … if it exists: a log is never overwritten.
pub fn fresh(folder: &Path) -> PathBuf {
    if !folder.exists() {
        return folder.to_owned();
    }
    let numbered = |i: u32| PathBuf::from(format!("{}-{i}", folder.display()));
    (2..)
        .map(numbered)
        .find(|f| !f.exists())
        .expect("some number is free")
}
