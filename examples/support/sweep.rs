//! One training of a sweep. Its settings are a line of a plan, and its result is a line of the
//! merged table.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use heavytail::{
    Phase, Record, Trajectory,
    record::Values,
    sink::read_spectra,
    sweep::{Attempt, PlanEntry, attempt},
};
use serde::{Deserialize, Serialize};

use super::{
    checkpoint::Checkpoints,
    lenet5::LeNet5,
    mini_alexnet::{Loss, MiniAlexNet, Variant},
    train::{Backend, Optimizer, Settings, Task, train},
};

/// The settings of a run, which determine its result. A line of a plan needs only the settings that
/// differ from the defaults.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Spec {
    pub model: Model,
    pub data: Data,
    /// The number of training images, the first of the data set. `None` for all.
    pub train_items: Option<usize>,
    /// The number of test images, the first of the data set. `None` for all.
    pub test_items: Option<usize>,
    pub optimizer: Optimizer,
    pub batch_size: usize,
    pub lr: f64,
    /// The factor of the learning rate from one epoch to the next. `None` for the network's own
    /// factor.
    pub lr_decay: Option<f64>,
    pub weight_decay: f64,
    /// The loss. Only MiniAlexNet uses it, like `dropout` and `batch_norm`.
    pub loss: Loss,
    pub dropout: f64,
    pub batch_norm: bool,
    pub epochs: usize,
    pub observe_every: usize,
    pub seed: u64,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            model: Model::Lenet5,
            data: Data::Embedded,
            train_items: None,
            test_items: None,
            optimizer: Optimizer::Sgd,
            batch_size: 32,
            lr: 0.01,
            lr_decay: None,
            weight_decay: 0.0,
            loss: Loss::Mse,
            dropout: 0.0,
            batch_norm: true,
            epochs: 8,
            observe_every: 1,
            seed: 1,
        }
    }
}

#[derive(ValueEnum, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Model {
    Lenet5,
    MiniAlexnet,
}

/// A data set by name. The folder of its files is an option of the command, because it depends on
/// the machine.
#[derive(ValueEnum, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Data {
    /// The 8,000 images of Fashion-MNIST that are part of the repository.
    Embedded,
    FashionMnist,
    Mnist,
    Cifar10,
}

impl Data {
    /// The name of the data set, equal to [`super::data::Images::name`].
    fn name(self) -> &'static str {
        match self {
            Data::Embedded | Data::FashionMnist => "Fashion-MNIST",
            Data::Mnist => "MNIST",
            Data::Cifar10 => "CIFAR-10",
        }
    }
}

/// A line of the merged table.
#[derive(Deserialize, Clone, Debug)]
pub struct Row {
    pub id: String,
    pub run: Spec,
    pub result: RunResult,
}

/// The results of a run. The lists `train_*` and `valid_*` have one value for each epoch from 1.
/// The other lists have one value for each epoch in `observed`. Numbers have seven digits.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct RunResult {
    /// The data set and the numbers of its images.
    pub images: String,
    /// The epochs at which the weights were analysed.
    pub observed: Vec<usize>,
    /// The accuracy on the test images in percent.
    pub valid_accuracy: Vec<Option<f64>>,
    /// The accuracy on the training images in percent.
    pub train_accuracy: Vec<Option<f64>>,
    pub train_loss: Vec<Option<f64>>,
    /// The mean α̂ in WeightWatcher's convention.
    pub alpha_weighted: Vec<Option<f64>>,
    /// The mean α̂ in the convention of the workshop paper.
    pub alpha_hat_paper: Vec<Option<f64>>,
    pub layers: Vec<LayerResult>,
    /// The wall time of the last attempt in seconds.
    #[serde(default)]
    pub seconds: f64,
}

/// The results of a layer. The lists have one value for each epoch in [`RunResult::observed`].
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct LayerResult {
    pub name: String,
    #[serde(rename = "N")]
    pub n: usize,
    #[serde(rename = "M")]
    pub m: usize,
    /// The α of noise of this shape: the 5 % quantile, the median and the 95 % quantile.
    pub noise_alpha: [Option<f64>; 3],
    pub phase: Vec<Option<Phase>>,
    pub phase_confidence: Vec<Option<f64>>,
    pub indeterminate: Vec<bool>,
    pub alpha: Vec<Option<f64>>,
    pub stable_rank: Vec<Option<f64>>,
    pub mp_softrank: Vec<Option<f64>>,
    pub num_spikes: Vec<Option<usize>>,
    pub sigma_mp: Vec<Option<f64>>,
    pub entropy: Vec<Option<f64>>,
    pub lambda_max: Vec<Option<f64>>,
    /// The squared Frobenius norm ‖W‖²_F.
    pub norm: Vec<Option<f64>>,
    /// The 90 % bootstrap interval of the last α.
    pub alpha_interval: Option<[f64; 2]>,
    /// The annotations of the last verdict.
    pub annotations: Vec<String>,
    /// The evidence of the last verdict.
    pub evidence: Vec<String>,
    /// The eigenvalues of X = WᵀW/N after the last epoch, in ascending order.
    pub spectrum: Vec<f64>,
}

/// The number rounded to seven digits, which is more than any figure shows.
fn short(value: f64) -> f64 {
    format!("{value:.6e}").parse().unwrap_or(value)
}

impl RunResult {
    fn new(spec: &Spec, images: String, trajectory: &Trajectory, spectra: &Path) -> Result<Self> {
        let mut observed: Vec<usize> = trajectory
            .summaries()
            .iter()
            .map(|s| s.stamp.epoch)
            .collect();
        observed.sort_unstable();
        observed.dedup();
        let last = trajectory.summaries().iter().map(|s| s.stamp).max();
        let last = last.context("nothing was observed")?;
        ensure!(
            last.epoch == spec.epochs,
            "the last weights were not observed: the log ends at epoch {}",
            last.epoch
        );
        let file = spectra.join(format!(
            "epoch-{:05}-step-{:09}.safetensors",
            last.epoch, last.step
        ));
        let spectra = read_spectra(file)?;
        let scalar = |name: &str| -> Vec<Option<f64>> {
            let value = |epoch| trajectory.scalar(name).find(|(e, _)| *e == epoch);
            (1..=spec.epochs)
                .map(|e| value(e).map(|(_, v)| short(v)))
                .collect()
        };
        let summary = |get: fn(&heavytail::record::Summary) -> Option<f64>| {
            let at = |epoch: &usize| {
                trajectory
                    .summaries()
                    .iter()
                    .find(|s| s.stamp.epoch == *epoch)
            };
            observed
                .iter()
                .map(|e| at(e).and_then(get).map(short))
                .collect()
        };
        let layers = trajectory
            .layers()
            .iter()
            .map(|layer| {
                let spectrum = spectra.iter().find(|(name, _)| name == layer);
                let values = spectrum.map(|(_, s)| s.eigenvalues()).unwrap_or_default();
                LayerResult::new(trajectory, layer, &observed, values)
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            images,
            valid_accuracy: scalar("valid accuracy"),
            train_accuracy: scalar("train accuracy"),
            train_loss: scalar("train loss"),
            alpha_weighted: summary(|s| s.alpha_weighted),
            alpha_hat_paper: summary(|s| s.alpha_hat_paper),
            observed,
            layers,
            seconds: 0.0,
        })
    }

    /// The last accuracy on the test images in percent.
    pub fn accuracy(&self) -> Option<f64> {
        self.valid_accuracy.last().copied().flatten()
    }

    pub fn layer(&self, name: &str) -> Option<&LayerResult> {
        self.layers.iter().find(|l| l.name == name)
    }
}

impl LayerResult {
    fn new(
        trajectory: &Trajectory,
        layer: &str,
        observed: &[usize],
        spectrum: &[f64],
    ) -> Result<Self> {
        let records: Vec<Option<&Record>> = observed
            .iter()
            .map(|epoch| trajectory.layer(layer).find(|r| r.stamp.epoch == *epoch))
            .collect();
        let values = |i: usize| records[i].and_then(|r| r.values());
        let series = |get: fn(&Values) -> Option<f64>| {
            let of = |i| values(i).and_then(get).map(short);
            (0..records.len()).map(of).collect()
        };
        let last = (0..records.len()).rev().find_map(values);
        let last = last.with_context(|| format!("{layer}: no analysis succeeded"))?;
        let interval = last.full.as_ref().and_then(|f| f.alpha_interval.as_ref());
        Ok(Self {
            name: layer.to_owned(),
            n: last.primary.n,
            m: last.primary.m,
            noise_alpha: [
                last.noise_alpha_low,
                last.noise_alpha,
                last.noise_alpha_high,
            ]
            .map(|a| a.map(short)),
            phase: (0..records.len()).map(|i| values(i)?.phase).collect(),
            phase_confidence: series(|v| v.phase_confidence),
            indeterminate: (0..records.len())
                .map(|i| values(i).and_then(|v| v.indeterminate).unwrap_or(true))
                .collect(),
            alpha: series(|v| v.primary.alpha),
            stable_rank: series(|v| Some(v.primary.stable_rank)),
            mp_softrank: series(|v| v.mp_softrank),
            num_spikes: (0..records.len()).map(|i| values(i)?.num_spikes).collect(),
            sigma_mp: series(|v| v.sigma_mp),
            entropy: series(|v| Some(v.primary.entropy)),
            lambda_max: series(|v| Some(v.primary.lambda_max)),
            norm: series(|v| Some(v.primary.norm)),
            alpha_interval: interval.map(|i| [short(i.low), short(i.high)]),
            annotations: last.annotations.iter().map(ToString::to_string).collect(),
            evidence: last
                .phase_evidence
                .iter()
                .map(ToString::to_string)
                .collect(),
            spectrum: spectrum.iter().copied().map(short).collect(),
        })
    }
}

impl Spec {
    fn settings(&self, data: Option<PathBuf>, backend: Backend) -> Settings {
        Settings {
            epochs: self.epochs,
            batch_size: self.batch_size,
            lr: self.lr,
            optimizer: self.optimizer,
            seed: self.seed,
            backend,
            weight_decay: self.weight_decay,
            lr_decay: self.lr_decay,
            data,
            train_items: self.train_items,
            test_items: self.test_items,
            observe_every: self.observe_every,
            unwatched: false,
        }
    }

    /// Trains in `folder`, or continues a training there, and returns the result.
    pub fn run(&self, folder: &Path, data: Option<&Path>, backend: Backend) -> Result<RunResult> {
        ensure!(self.batch_size > 0, "the batch size must be at least 1");
        let start = Instant::now();
        let data = match self.data {
            Data::Embedded => None,
            named => Some(
                data.with_context(|| format!("give the folder of {} with --data", named.name()))?
                    .to_owned(),
            ),
        };
        let settings = self.settings(data, backend);
        let task = match self.model {
            Model::Lenet5 => Task::lenet5(&settings)?,
            Model::MiniAlexnet => Task::mini_alexnet(&settings)?,
        };
        let expected = self.data.name();
        let images = format!(
            "{}, {} training and {} test images",
            task.images.name,
            task.images.train.len(),
            task.images.test.len()
        );
        ensure!(
            task.images.name == expected,
            "--data holds {}, the plan asks for {expected}",
            task.images.name
        );
        let checkpoints = Checkpoints::open(folder, self.epochs, self.observe_every)?;
        if checkpoints.epoch > 0 {
            println!("continuing after epoch {}", checkpoints.epoch);
        }
        let variant = Variant {
            loss: self.loss,
            dropout: self.dropout,
            no_batch_norm: !self.batch_norm,
        };
        let outcome = match self.model {
            Model::Lenet5 => train(&settings, &task, LeNet5::new, folder, Some(&checkpoints))?,
            Model::MiniAlexnet => {
                let build = |device: &_| MiniAlexNet::new(&variant, device);
                train(&settings, &task, build, folder, Some(&checkpoints))?
            }
        };
        let outcome = outcome.context("the run has no monitor")?;
        if let Some(failure) = outcome.failures.into_iter().next() {
            return Err(failure.error.into());
        }
        let mut result =
            RunResult::new(self, images, &outcome.trajectory, &folder.join("spectra"))?;
        result.seconds = start.elapsed().as_secs_f64();
        Ok(result)
    }
}

/// Runs one entry of a plan in `<out>/<id>` unless it is done, and prints the outcome. If another
/// worker works on the run, this is an error unless `skip_busy` is set.
pub fn work(
    entry: &PlanEntry<Spec>,
    out: &Path,
    data: Option<&Path>,
    backend: Backend,
    skip_busy: bool,
) -> Result<()> {
    let name = format!("run {} ({})", entry.index, entry.id);
    let tried = attempt(out, entry, |folder| entry.spec.run(folder, data, backend))?;
    match tried {
        Attempt::Finished => {
            Checkpoints::clear(&out.join(&entry.id))?;
            println!("{name} is done");
        }
        Attempt::AlreadyDone => {
            // The earlier process was killed after the run was done and before its checkpoints were
            // removed.
            Checkpoints::clear(&out.join(&entry.id))?;
            println!("{name} was done before");
        }
        Attempt::Busy if skip_busy => println!("another worker works on {name}"),
        // The other worker may still be killed. Without an error a scheduler would take this task
        // for done.
        Attempt::Busy => anyhow::bail!("another worker works on {name}"),
        Attempt::Failed(error) => return Err(anyhow::Error::from_boxed(error).context(name)),
    }
    Ok(())
}
