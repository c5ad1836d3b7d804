//! MiniAlexNet as in the paper on the phases of training (Martin and Mahoney, arXiv:1810.01075).

use burn::{
    module::Module,
    nn::{
        BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Initializer, Linear, PaddingConfig2d,
        conv::Conv2d,
        loss::{CrossEntropyLossConfig, MseLoss, Reduction},
        pool::{MaxPool2d, MaxPool2dConfig},
    },
    tensor::{
        Device, Tensor,
        activation::{relu, softmax},
    },
    train::{ClassificationOutput, InferenceStep, TrainOutput, TrainStep},
};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::{batch::Batch, data::CLASSES, layer::Start};

/// The options of the network.
#[derive(Args, Clone, Debug)]
pub struct Variant {
    /// Loss
    #[arg(long, value_enum, default_value_t = Loss::Mse)]
    pub loss: Loss,
    /// Share of the dense layers' inputs that is dropped in training
    #[arg(long, default_value_t = 0.0)]
    pub dropout: f64,
    /// Leave out batch normalisation
    #[arg(long)]
    pub no_batch_norm: bool,
}

#[derive(ValueEnum, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Mean squared error between the softmax and the one-hot target, as in the paper
    Mse,
    /// Cross-entropy
    CrossEntropy,
}

/// A network of two convolutions and three dense layers with 2,272,458 parameters. This number
/// includes the running statistics of the batch norms.
///
/// ```text
/// [b, 3, 28, 28]
///   conv1 96@5×5 same, ReLU, max-pool 3×3 stride 3 same, batch norm    [b, 96, 10, 10]
///   conv2 256@5×5 same, ReLU, max-pool 3×3 stride 3 same, batch norm   [b, 256, 4, 4]
///   fc1   4096 → 384, ReLU                                             Q = 10.67
///   fc2   384 → 192, ReLU                                              Q = 2
///   fc3   192 → 10                                                     logits
/// ```
#[derive(Module, Debug)]
pub struct MiniAlexNet {
    pub conv1: Conv2d,
    pub norm1: Option<BatchNorm>,
    pub conv2: Conv2d,
    pub norm2: Option<BatchNorm>,
    pub fc1: Linear,
    pub fc2: Linear,
    pub fc3: Linear,
    pool: MaxPool2d,
    dropout: Dropout,
    squared: bool,
}

impl MiniAlexNet {
    /// Makes the network with Glorot-normal weights and biases of 0.1.
    pub fn new(variant: &Variant, device: &Device) -> Self {
        let norm = |features: usize| {
            (!variant.no_batch_norm).then(|| BatchNormConfig::new(features).init(device))
        };
        let start = Start {
            weight: Initializer::XavierNormal { gain: 1.0 },
            bias: 0.1,
        };
        Self {
            conv1: start.conv(3, 96, device),
            norm1: norm(96),
            conv2: start.conv(96, 256, device),
            norm2: norm(256),
            fc1: start.linear(256 * 4 * 4, 384, device),
            fc2: start.linear(384, 192, device),
            fc3: start.linear(192, CLASSES, device),
            pool: MaxPool2dConfig::new([3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(),
            dropout: DropoutConfig::new(variant.dropout).init(),
            squared: variant.loss == Loss::Mse,
        }
    }

    /// Maps images `[b, 3, 28, 28]` to logits `[b, 10]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let block = |x: Tensor<4>, conv: &Conv2d, norm: &Option<BatchNorm>| {
            let x = self.pool.forward(relu(conv.forward(x)));
            match norm {
                Some(norm) => norm.forward(x),
                None => x,
            }
        };
        let x = block(images, &self.conv1, &self.norm1);
        let x = block(x, &self.conv2, &self.norm2);
        let x = self.dropout.forward(x.flatten(1, 3));
        let x = self.dropout.forward(relu(self.fc1.forward(x)));
        self.fc3.forward(relu(self.fc2.forward(x)))
    }

    fn classify(&self, batch: Batch) -> ClassificationOutput {
        let logits = self.forward(batch.images);
        let loss = if self.squared {
            let target = batch.targets.clone().one_hot(CLASSES).float();
            MseLoss::new().forward(softmax(logits.clone(), 1), target, Reduction::Mean)
        } else {
            CrossEntropyLossConfig::new()
                .init(&logits.device())
                .forward(logits.clone(), batch.targets.clone())
        };
        ClassificationOutput::new(loss, logits, batch.targets)
    }
}

impl TrainStep for MiniAlexNet {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
        let output = self.classify(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for MiniAlexNet {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> ClassificationOutput {
        self.classify(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_shape_and_the_start_of_the_original() {
        let device = Device::flex();
        let variant = Variant {
            loss: Loss::Mse,
            dropout: 0.0,
            no_batch_norm: false,
        };
        let model = MiniAlexNet::new(&variant, &device);
        let images = Tensor::zeros([2, 3, 28, 28], &device);
        assert_eq!(model.forward(images).dims(), [2, 10]);
        // The original counts running means and variances as parameters, and so does burn.
        assert_eq!(model.num_params(), 2_272_458);
        let weights: Vec<f64> = model.fc1.weight.val().into_data().iter().collect();
        assert_eq!(model.fc1.weight.dims(), [4096, 384]);
        let variance = weights.iter().map(|w| w * w).sum::<f64>() / weights.len() as f64;
        assert!((variance * 4480.0 / 2.0 - 1.0).abs() < 0.01, "{variance}");
        let bias: Vec<f64> = model.fc2.bias.unwrap().val().into_data().iter().collect();
        assert!(bias.iter().all(|b| (b - 0.1).abs() < 1e-6));
    }
}
