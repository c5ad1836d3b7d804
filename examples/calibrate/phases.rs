//! Trains the network for the phases: simulates matrices of known phase, computes their features,
//! and trains a classifier with burn.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, anyhow};
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::tanh;
use burn::tensor::{Device, Int, Tensor, TensorData};
use heavytail::fit::{against_exponential, fit_bulk, fit_tail};
use heavytail::phase::{Features, features};
use heavytail::spectrum::{Solver, Spectrum};
use heavytail::{Phase, WeightMatrix};
use rand::RngExt;
use safetensors::tensor::{Dtype, TensorView, serialize};

use crate::ensembles::{Breadth, Rng, log_uniform, pick, random_matrix, rng};
use crate::parallel::parallel;

/// The widths of the two hidden layers.
const HIDDEN: [usize; 2] = [48, 32];
const BATCH: usize = 256;
/// The learning rate at the start.
const RATE: f64 = 2e-3;

/// A simulated matrix: its features and its phase.
struct Case {
    features: Features,
    phase: usize,
}

/// The proportions of the phases in the training data. Noise counts twice, because a false alarm is
/// the more expensive error.
const PRIOR: [Phase; 6] = [
    Phase::RandomLike,
    Phase::BleedingOut,
    Phase::BulkPlusSpikes,
    Phase::BulkDecay,
    Phase::HeavyTailed,
    Phase::RandomLike,
];

/// A random shape of a layer: M from 10 to 900, Q up to 11. A fifth of the shapes is square.
fn shape(rng: &mut Rng) -> (usize, usize) {
    let m = match pick(rng, 25) {
        0 => log_uniform(rng, 400.0, 900.0),
        _ => log_uniform(rng, 10.0, 400.0),
    };
    let q = match pick(rng, 5) {
        0 => 1.0,
        _ => log_uniform(rng, 1.0, 11.0),
    };
    ((m * q) as usize, m as usize)
}

fn case(seed: u64) -> Option<Case> {
    let mut rng = rng(200, seed);
    let phase = PRIOR[(seed % 6) as usize];
    let (n, m) = shape(&mut rng);
    let w = random_matrix(phase, Breadth::Relatives, n, m, &mut rng);
    let spectrum =
        Spectrum::from_matrix(&WeightMatrix::new("w", n, m, w).ok()?, Solver::Gram).ok()?;
    let bulk = fit_bulk(&spectrum).ok()?;
    let tail = fit_tail(spectrum.eigenvalues()).ok();
    let ratio = tail
        .as_ref()
        .and_then(|t| against_exponential(spectrum.eigenvalues(), t));
    Some(Case {
        features: features(&spectrum, &bulk, tail.as_ref(), ratio.as_ref()),
        phase: phase as usize,
    })
}

#[derive(Module, Debug)]
struct Net {
    layers: Vec<Linear>,
}

impl Net {
    fn new(inputs: usize, device: &Device) -> Self {
        let sizes = [inputs, HIDDEN[0], HIDDEN[1], 5];
        let layer = |pair: &[usize]| LinearConfig::new(pair[0], pair[1]).init(device);
        Self {
            layers: sizes.windows(2).map(layer).collect(),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = tanh(self.layers[0].forward(x));
        let x = tanh(self.layers[1].forward(x));
        self.layers[2].forward(x)
    }
}

pub fn write(path: &Path, matrices: u64, epochs: usize, members: usize) -> Result<()> {
    let seeds: Vec<u64> = (0..matrices).collect();
    let cases: Vec<Case> = parallel(&seeds, |_, &seed| case(seed))
        .into_iter()
        .flatten()
        .collect();
    println!("{} matrices", cases.len());
    let inputs = cases
        .first()
        .ok_or_else(|| anyhow!("no matrices"))?
        .features
        .len();
    let (mean, scale) = standard(&cases, inputs);
    let standardised: Vec<Vec<f32>> = cases
        .iter()
        .map(|case| {
            (0..inputs)
                .map(|i| ((case.features[i] as f32 - mean[i]) / scale[i]).clamp(-6.0, 6.0))
                .collect()
        })
        .collect();
    // Every twentieth case is held out, to measure the loss on unseen cases.
    let (held, seen): (Vec<usize>, Vec<usize>) = (0..cases.len()).partition(|i| i % 20 == 0);

    let mut tensors: HashMap<String, (Vec<usize>, Vec<f32>)> = HashMap::new();
    tensors.insert("mean".into(), (vec![inputs], mean));
    tensors.insert("scale".into(), (vec![inputs], scale));
    for member in 0..members {
        let device = Device::flex().autodiff();
        device.seed(member as u64 + 1);
        let mut net = Net::new(inputs, &device);
        let mut optimizer = AdamWConfig::new().with_weight_decay(1e-3).init();
        let mut order = seen.clone();
        let mut rng = rng(201, member as u64);
        let batch = |indices: &[usize]| {
            let rows: Vec<f32> = indices
                .iter()
                .flat_map(|&i| standardised[i].clone())
                .collect();
            let labels: Vec<i64> = indices.iter().map(|&i| cases[i].phase as i64).collect();
            let x = Tensor::<2>::from_data(TensorData::new(rows, [indices.len(), inputs]), &device);
            let y = Tensor::<1, Int>::from_data(TensorData::new(labels, [indices.len()]), &device);
            (x, y)
        };
        let loss = CrossEntropyLossConfig::new().init(&device);
        let steps = epochs * order.len().div_ceil(BATCH);
        let mut step = 0;
        for epoch in 0..epochs {
            for i in (1..order.len()).rev() {
                order.swap(i, rng.random_range(0..=i));
            }
            for indices in order.chunks(BATCH) {
                let (x, y) = batch(indices);
                let gradients = loss.forward(net.forward(x), y).backward();
                let gradients = GradientsParams::from_grads(gradients, &net);
                // The learning rate follows half a cosine from its start value to zero.
                let rate =
                    RATE * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos());
                net = optimizer.step(rate, net, gradients);
                step += 1;
            }
            if epoch % 10 == 9 || epoch + 1 == epochs {
                let (x, y) = batch(&held);
                let held_loss: f32 = loss.forward(net.forward(x), y).into_scalar();
                println!(
                    "member {member}, epoch {}: held-out loss {held_loss:.4}",
                    epoch + 1
                );
            }
        }
        for (i, layer) in net.layers.iter().enumerate() {
            let weight = layer.weight.val();
            let shape = weight.dims().to_vec();
            let values = weight
                .into_data()
                .try_to_vec::<f32>()
                .map_err(|e| anyhow!("{e:?}"))?;
            tensors.insert(format!("{member}.{i}.weight"), (shape, values));
            let bias = layer.bias.as_ref().ok_or_else(|| anyhow!("no bias"))?.val();
            let shape = bias.dims().to_vec();
            let values = bias
                .into_data()
                .try_to_vec::<f32>()
                .map_err(|e| anyhow!("{e:?}"))?;
            tensors.insert(format!("{member}.{i}.bias"), (shape, values));
        }
    }
    save(path, &tensors, cases.len())
}

/// The mean and the standard deviation of each feature.
fn standard(cases: &[Case], inputs: usize) -> (Vec<f32>, Vec<f32>) {
    let count = cases.len() as f64;
    (0..inputs)
        .map(|i| {
            let mean = cases.iter().map(|c| c.features[i]).sum::<f64>() / count;
            let square: f64 = cases.iter().map(|c| (c.features[i] - mean).powi(2)).sum();
            (mean as f32, ((square / count).sqrt() as f32).max(1e-6))
        })
        .unzip()
}

fn save(
    path: &Path,
    tensors: &HashMap<String, (Vec<usize>, Vec<f32>)>,
    count: usize,
) -> Result<()> {
    let bytes: HashMap<&String, Vec<u8>> = tensors
        .iter()
        .map(|(name, (_, values))| (name, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let mut views = Vec::new();
    for (name, (shape, _)) in tensors {
        views.push((
            name.clone(),
            TensorView::new(Dtype::F32, shape.clone(), &bytes[name])?,
        ));
    }
    views.sort_by(|a, b| a.0.cmp(&b.0));
    let provenance =
        format!("cargo run --release --example calibrate -- phases: {count} simulated matrices");
    let metadata = HashMap::from([("provenance".to_owned(), provenance)]);
    std::fs::write(path, serialize(views, Some(metadata))?)?;
    Ok(())
}
