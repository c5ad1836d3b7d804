//! The monitor's promises while burn trains: it sees every epoch once, and changes nothing.
#![cfg(feature = "flex")]

#[path = "../examples/support/mod.rs"]
mod support;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::attention::MultiHeadAttentionConfig;
use burn::nn::conv::{Conv1dConfig, ConvTranspose2dConfig};
use burn::nn::{EmbeddingConfig, LstmConfig};
use burn::tensor::{Device, Tensor};
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{
    ClassificationOutput, ExecutionStrategy, InferenceStep, Interrupter, Learner, LearningResult,
    MultiDeviceOptim, SupervisedTraining, TrainStep, TrainingStrategy,
};
use heavytail::monitor::{Cadence, Outcome};
use heavytail::record::Line;
use heavytail::{Monitor, Trajectory};
use support::batch::{Batch, ImageBatcher};
use support::data::Images;
use support::lenet5::LeNet5;
use support::screen::Screen;
use support::train::{Backend, Optimizer};

/// Seeds are global to a backend, so runs must not overlap.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

const ITEMS: usize = 96;
const STEPS: u64 = 3;

/// How a short training differs from the plain one.
struct Run<'a> {
    dir: &'a Path,
    device: Device,
    epochs: usize,
    valid_items: usize,
    resume: Option<usize>,
    devices: Option<MultiDeviceOptim>,
    interrupter: Option<Interrupter>,
    monitor: Option<Monitor>,
}

impl<'a> Run<'a> {
    fn new(dir: &'a Path) -> Self {
        Self {
            dir,
            device: Device::flex(),
            epochs: 2,
            valid_items: 32,
            resume: None,
            devices: None,
            interrupter: None,
            monitor: None,
        }
    }

    fn model(&self) -> LeNet5 {
        let device = self.device.clone().autodiff();
        device.seed(3);
        LeNet5::new(&device)
    }

    fn watched(self, monitor: &Monitor) -> LeNet5 {
        let model = monitor.watch(self.model());
        let run = Self {
            monitor: Some(monitor.clone()),
            ..self
        };
        run.train(model).model.into_inner()
    }

    fn plain(self) -> LeNet5 {
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

/// Every parameter's bits, by name.
fn bits<M: Module>(model: &M) -> Vec<(String, Vec<u32>)> {
    struct Bits(Vec<String>, Vec<(String, Vec<u32>)>);
    impl ModuleVisitor for Bits {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let data = param.val().into_data();
            let bits = data.iter::<f32>().map(f32::to_bits).collect();
            self.1.push((self.0.join("."), bits));
        }
    }
    let mut visitor = Bits(Vec::new(), Vec::new());
    model.visit(&mut visitor);
    visitor.1
}

fn stamps(trajectory: &Trajectory) -> Vec<(usize, u64)> {
    trajectory
        .summaries
        .iter()
        .map(|s| (s.stamp.epoch, s.stamp.step))
        .collect()
}

fn notices(outcome: &Outcome) -> String {
    let texts = outcome.trajectory.notices.iter().map(|n| n.text.as_str());
    texts.collect::<Vec<_>>().join("; ")
}

fn same_bits_with_and_without(device: Device) {
    let dir = tempfile::tempdir().unwrap();
    let plain = Run {
        device: device.clone(),
        ..Run::new(&dir.path().join("plain"))
    }
    .plain();
    let out = dir.path().join("watched");
    let monitor = Monitor::builder().out(out.join("log")).build().unwrap();
    let watched = Run {
        device,
        ..Run::new(&out)
    }
    .watched(&monitor);
    assert_eq!(bits(&plain), bits(&watched));

    let outcome = monitor.finish();
    assert!(outcome.sink_error.is_none(), "{:?}", outcome.sink_error);
    let t = &outcome.trajectory;
    assert_eq!(stamps(t), [(0, 0), (1, STEPS), (2, 2 * STEPS)]);
    assert_eq!(
        t.layers(),
        ["conv1.weight", "conv2.weight", "fc1.weight", "fc2.weight"]
    );
    let left_out: Vec<&str> = t.left_out.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(
        left_out,
        ["conv1.bias", "conv2.bias", "fc1.bias", "fc2.bias"]
    );
    // burn's own numbers are in the log, and ours are in burn's files.
    for name in ["train loss", "valid loss", "valid accuracy"] {
        assert_eq!(t.scalar(name).count(), 2, "{name}");
    }
    for metric in [
        "Weights_alpha",
        "Weights_alpha-hat",
        "Weights_phase",
        "Loss",
    ] {
        let file = out.join(format!("burn/valid/epoch-2/{metric}.log"));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file:?}: {e}"));
        assert!(
            !text.trim().is_empty() && !text.contains("NaN"),
            "{metric}: {text}"
        );
    }
    // What was written is what was returned.
    let read = Trajectory::read_jsonl(out.join("log/log.jsonl")).unwrap();
    assert_eq!(&read, t);
    assert_eq!(
        std::fs::read_dir(out.join("log/spectra")).unwrap().count(),
        3
    );
}

#[test]
fn watching_changes_no_bit_on_flex() {
    let _alone = alone();
    same_bits_with_and_without(Backend::Flex.device().unwrap());
}

#[cfg(feature = "wgpu")]
#[test]
fn watching_changes_no_bit_on_wgpu() {
    let _alone = alone();
    let device = std::panic::catch_unwind(|| {
        let device = Backend::Wgpu.device().unwrap();
        Tensor::<1>::zeros([1], &device).into_data();
        device
    });
    match device {
        Ok(device) => same_bits_with_and_without(device),
        Err(_) => eprintln!("SKIPPED: no GPU and no software Vulkan driver on this machine"),
    }
}

#[test]
fn a_checkpoint_of_a_watched_model_is_the_models_own() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let monitor = Monitor::builder().build().unwrap();
    let watched = monitor.watch(Run::new(dir.path()).model());
    let names = |model: Vec<(String, Vec<u32>)>| -> Vec<String> {
        model.into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(bits(&watched)), names(bits(watched.inner())));
    let record = watched.clone().into_record();
    // A record of the watched model loads into the bare one.
    let bare = Run::new(dir.path()).model().load_record(record);
    assert_eq!(bits(&bare), bits(watched.inner()));
    assert_eq!(format!("{watched}"), format!("{bare}"));
}

#[test]
fn several_devices_fire_once_an_epoch() {
    let _alone = alone();
    for optim in [
        MultiDeviceOptim::OptimMainDevice,
        MultiDeviceOptim::OptimSharded,
    ] {
        let dir = tempfile::tempdir().unwrap();
        let monitor = Monitor::builder().layers("fc").build().unwrap();
        Run {
            devices: Some(optim),
            ..Run::new(dir.path())
        }
        .watched(&monitor);
        let epochs: Vec<usize> = stamps(&monitor.finish().trajectory)
            .into_iter()
            .map(|(epoch, _)| epoch)
            .collect();
        assert_eq!(epochs, [0, 1, 2]);
    }
}

#[test]
fn a_resumed_run_continues_its_log() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let first = Monitor::builder().out(&log).build().unwrap();
    Run::new(dir.path()).watched(&first);
    first.finish();

    let again = Monitor::builder().out(&log).build();
    assert!(again.unwrap_err().to_string().contains("resume()"));

    // Epoch 1, not the last: the weights themselves tell where the count goes on.
    let second = Monitor::builder().out(&log).resume().build().unwrap();
    Run {
        resume: Some(1),
        epochs: 3,
        ..Run::new(dir.path())
    }
    .watched(&second);
    let outcome = second.finish();
    let expected: Vec<(usize, u64)> = (0..4).map(|e| (e, e as u64 * STEPS)).collect();
    assert_eq!(
        stamps(&outcome.trajectory),
        expected,
        "{}",
        notices(&outcome)
    );
    let text = std::fs::read_to_string(log.join("log.jsonl")).unwrap();
    let keys: Vec<String> = text
        .lines()
        .map(|l| format!("{:?}", serde_json::from_str::<Line>(l).unwrap().key()))
        .collect();
    let unique: std::collections::HashSet<&String> = keys.iter().collect();
    assert_eq!(unique.len(), keys.len(), "duplicates in {keys:#?}");
    let rows = std::fs::read_to_string(log.join("layers.csv")).unwrap();
    assert_eq!(rows.lines().count(), 1 + 4 * 4);
}

#[test]
fn a_checkpoint_in_a_new_log_counts_from_where_it_is_told() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    Run::new(dir.path()).plain();
    for (told, expected) in [(Some(2), vec![2, 3]), (None, vec![0, 1])] {
        let mut builder = Monitor::builder().layers("fc2");
        if let Some(epoch) = told {
            builder = builder.starting_epoch(epoch);
        }
        let monitor = builder.build().unwrap();
        Run {
            resume: Some(2),
            epochs: 3,
            ..Run::new(dir.path())
        }
        .watched(&monitor);
        let outcome = monitor.finish();
        let epochs: Vec<usize> = stamps(&outcome.trajectory)
            .into_iter()
            .map(|s| s.0)
            .collect();
        assert_eq!(epochs, expected);
        assert_eq!(notices(&outcome).contains("starting_epoch"), told.is_none());
    }
}

/// The initialiser is Glorot-uniform here: variance 2/(2450 + 500), and theory gives the rest.
#[test]
fn fc1_at_initialisation_is_what_theory_says() {
    let _alone = alone();
    let device = Device::flex();
    device.seed(1);
    let model = LeNet5::new(&device);
    heavytail::burn::initialize(&model);
    let monitor = Monitor::builder().layers("fc1").build().unwrap();
    monitor.observe(0, &model);
    let t = monitor.finish().trajectory;
    let v = t.records[0].values.as_ref().unwrap();
    let (n, m, sigma2): (f64, f64, f64) = (2450.0, 500.0, 2.0 / 2950.0);
    let close = |ours: f64, theory: f64, tolerance: f64| {
        assert!(
            (ours / theory - 1.0).abs() < tolerance,
            "{ours} against {theory}"
        );
    };
    close(v.sigma_mp.unwrap(), sigma2.sqrt(), 0.01);
    close(v.row.entropy, 1.0 - m / (2.0 * n * m.ln()), 0.01);
    let edge = |sign: f64| sigma2 * (1.0 + sign * (m / n).sqrt()).powi(2);
    close(v.bulk_min_x.unwrap(), edge(-1.0), 0.02);
    close(v.bulk_max_x.unwrap(), edge(1.0), 0.02);
    // λmax = centre + scale·TW, mean −1.2065, sd 1.268; the trace hardly fluctuates.
    let (centre, scale) = heavytail::law::noise_edge(2450, 500);
    let top = centre - 1.2065 * scale;
    let deviation = m / (top * top) * 1.268 * scale;
    let distance = (v.row.stable_rank - m / top).abs();
    assert!(distance < 3.0 * deviation, "{}", v.row.stable_rank);
    assert_eq!(v.phase, Some(heavytail::Phase::RandomLike));
}

#[test]
fn without_validation_epochs_are_still_seen_and_it_is_said() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let monitor = Monitor::builder().build().unwrap();
    Run {
        valid_items: 0,
        epochs: 3,
        ..Run::new(dir.path())
    }
    .watched(&monitor);
    let outcome = monitor.finish();
    let epochs: Vec<usize> = stamps(&outcome.trajectory)
        .into_iter()
        .map(|s| s.0)
        .collect();
    assert_eq!(epochs, [0, 1, 2, 3]);
    assert!(notices(&outcome).contains("no validation batches"));
}

#[test]
fn an_interrupted_epoch_does_not_count() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let interrupter = Interrupter::new();
    interrupter.stop(Some("the test says so"));
    let monitor = Monitor::builder().build().unwrap();
    Run {
        interrupter: Some(interrupter),
        ..Run::new(dir.path())
    }
    .watched(&monitor);
    assert_eq!(stamps(&monitor.finish().trajectory), [(0, 0)]);
}

#[test]
fn cadence_counts_epochs_or_steps_and_always_has_the_last() {
    let _alone = alone();
    for (cadence, expected) in [
        (Cadence::Epochs(2), vec![(0, 0), (2, 6), (3, 9)]),
        (Cadence::Steps(4), vec![(0, 0), (1, 4), (2, 8), (3, 9)]),
        (Cadence::Steps(3), vec![(0, 0), (1, 3), (2, 6), (3, 9)]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let monitor = Monitor::builder()
            .layers("fc2")
            .every(cadence)
            .build()
            .unwrap();
        Run {
            epochs: 3,
            ..Run::new(dir.path())
        }
        .watched(&monitor);
        assert_eq!(
            stamps(&monitor.finish().trajectory),
            expected,
            "{cadence:?}"
        );
    }
}

#[test]
fn observing_never_initialises_a_parameter() {
    let _alone = alone();
    let device = Device::flex().autodiff();
    let weights = |observe: bool| {
        device.seed(11);
        let model = LeNet5::new(&device);
        let monitor = Monitor::builder().build().unwrap();
        if observe {
            monitor.observe(0, &model);
        }
        // Use the last layer first: an order that observing would upset.
        let last = model.fc2.weight.val().into_data();
        let first = model.fc1.weight.val().into_data();
        monitor.observe(1, &model);
        (last, first, monitor.finish())
    };
    let (a, b) = (weights(false), weights(true));
    assert_eq!((&a.0, &a.1), (&b.0, &b.1));
    assert!(
        notices(&b.2).contains("`conv1.weight`"),
        "{}",
        notices(&b.2)
    );
    // Epoch 0 was not observed; at epoch 1 two layers were in use, and the others have a reason.
    let t = &b.2.trajectory;
    assert_eq!(t.layers(), ["fc1.weight", "fc2.weight"]);
    assert!(t.left_out.iter().any(|l| l.name == "conv1.weight"));

    let model = LeNet5::new(&device);
    heavytail::burn::initialize(&model);
    let monitor = Monitor::builder().build().unwrap();
    monitor.observe(0, &model);
    assert_eq!(monitor.finish().trajectory.records.len(), 4);
}

#[derive(Module, Debug)]
struct Zoo {
    embedding: burn::nn::Embedding,
    conv: burn::nn::conv::Conv1d,
    up: burn::nn::conv::ConvTranspose2d,
    lstm: burn::nn::Lstm,
    attention: burn::nn::attention::MultiHeadAttention,
    blocks: Vec<burn::nn::Linear>,
    free: Param<Tensor<3>>,
}

#[test]
fn every_kind_of_layer_is_cut_or_has_a_reason() {
    let _alone = alone();
    let device = Device::flex();
    let zoo = Zoo {
        embedding: EmbeddingConfig::new(30, 12).init(&device),
        conv: Conv1dConfig::new(4, 6, 5).init(&device),
        up: ConvTranspose2dConfig::new([6, 3], [2, 2]).init(&device),
        lstm: LstmConfig::new(10, 8, true).init(&device),
        attention: MultiHeadAttentionConfig::new(16, 4).init(&device),
        blocks: vec![burn::nn::LinearConfig::new(9, 7).init(&device)],
        free: Param::from_tensor(Tensor::ones([2, 3, 4], &device)),
    };
    heavytail::burn::initialize(&zoo);
    let monitor = Monitor::builder().skip("attention.key").build().unwrap();
    monitor.observe(0, &zoo);
    let t = monitor.finish().trajectory;
    let shape = |layer: &str| {
        let record = t
            .layer(layer)
            .next()
            .unwrap_or_else(|| panic!("no {layer} in {:?}", t.layers()));
        let v = record.values.as_ref().unwrap();
        (v.cut.clone(), v.row.n, v.row.m, v.slices.len())
    };
    assert_eq!(shape("embedding.weight"), ("whole".into(), 30, 12, 0));
    assert_eq!(shape("conv.weight"), ("unfolding".into(), 20, 6, 5));
    assert_eq!(shape("up.weight"), ("unfolding".into(), 24, 3, 4));
    assert_eq!(
        shape("lstm.input_gate.hidden_transform.weight"),
        ("whole".into(), 8, 8, 0)
    );
    assert_eq!(shape("attention.query.weight"), ("whole".into(), 16, 16, 0));
    assert_eq!(shape("blocks.0.weight"), ("whole".into(), 9, 7, 0));
    let reason = |name: &str| {
        let left_out = t.left_out.iter().find(|l| l.name == name);
        left_out.map_or_else(String::new, |l| l.why.to_string())
    };
    assert!(
        reason("free").contains("unknown meaning"),
        "{}",
        reason("free")
    );
    assert!(reason("attention.key.weight").contains("patterns"));
    assert!(reason("conv.bias").contains("vector"));
}
