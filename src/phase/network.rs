//! Probabilities of the five phases other than Rank-collapse, given the
//! [features](super::features).
//!
//! A small ensemble of perceptrons (tanh) computes them. The program `cargo run --release --example
//! calibrate` trains it on simulated matrices of all shapes, and `network.safetensors` contains its
//! weights. The posterior is for the families and proportions of that program, in which noise
//! counts twice.

use std::sync::OnceLock;

use safetensors::SafeTensors;

use super::features::{COUNT, Features};

/// Number of phases that the network distinguishes: all except Rank-collapse.
pub(super) const CLASSES: usize = 5;

/// One layer: row-major weights, inputs × outputs, and biases.
struct Dense {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Dense {
    fn read(file: &SafeTensors<'_>, name: &str) -> Option<Self> {
        let weight = floats(file, &format!("{name}.weight"))?;
        let bias = floats(file, &format!("{name}.bias"))?;
        (!bias.is_empty() && weight.len() % bias.len() == 0).then_some(Self { weight, bias })
    }

    fn apply(&self, input: &[f32]) -> Vec<f32> {
        let mut out = self.bias.clone();
        for (x, row) in input.iter().zip(self.weight.chunks_exact(out.len())) {
            for (o, w) in out.iter_mut().zip(row) {
                *o += x * w;
            }
        }
        out
    }
}

struct Network {
    mean: Vec<f32>,
    scale: Vec<f32>,
    members: Vec<[Dense; 3]>,
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Option<Vec<f32>> {
    let view = file.tensor(name).ok()?;
    let (bytes, _) = view.data().as_chunks::<4>();
    Some(bytes.iter().map(|&b| f32::from_le_bytes(b)).collect())
}

impl Network {
    fn read(bytes: &[u8]) -> Option<Self> {
        let file = SafeTensors::deserialize(bytes).ok()?;
        let members: Vec<[Dense; 3]> = (0..)
            .map_while(|i| {
                let dense = |layer: usize| Dense::read(&file, &format!("{i}.{layer}"));
                Some([dense(0)?, dense(1)?, dense(2)?])
            })
            .collect();
        let network = Self {
            mean: floats(&file, "mean")?,
            scale: floats(&file, "scale")?,
            members,
        };
        let fits = network.mean.len() == COUNT
            && network.scale.len() == COUNT
            && network.members.iter().all(|m| m[2].bias.len() == CLASSES);
        (fits && !network.members.is_empty()).then_some(network)
    }
}

/// P(phase) in the order of [`Phase::ALL`](super::Phase::ALL), without Rank-collapse. The sum is 1.
pub(super) fn probabilities(features: &Features) -> [f64; CLASSES] {
    static NETWORK: OnceLock<Option<Network>> = OnceLock::new();
    let network = NETWORK.get_or_init(|| Network::read(include_bytes!("network.safetensors")));
    let Some(network) = network else {
        return [1.0 / CLASSES as f64; CLASSES];
    };
    let input: Vec<f32> = features
        .iter()
        .zip(network.mean.iter().zip(&network.scale))
        // A feature far outside the calibrated range counts like one at the edge of the range.
        .map(|(x, (mean, scale))| ((*x as f32 - mean) / scale).clamp(-6.0, 6.0))
        .collect();
    let mut sum = [0.0; CLASSES];
    for [first, second, last] in &network.members {
        let tanh = |v: Vec<f32>| v.into_iter().map(f32::tanh).collect::<Vec<f32>>();
        let logits = last.apply(&tanh(second.apply(&tanh(first.apply(&input)))));
        let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exp: Vec<f64> = logits.iter().map(|l| f64::from(l - top).exp()).collect();
        let total: f64 = exp.iter().sum();
        for (s, e) in sum.iter_mut().zip(exp) {
            *s += e / total / network.members.len() as f64;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_network_is_whole() {
        assert!(Network::read(include_bytes!("network.safetensors")).is_some());
        assert!(Network::read(b"nonsense").is_none());
        let p = probabilities(&[0.1; COUNT]);
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-6);
        assert!(p.iter().any(|&p| p != 0.2));
    }
}
