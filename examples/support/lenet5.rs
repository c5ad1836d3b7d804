//! LeNet5 as in the paper on the phases of training (Martin and Mahoney, arXiv:1810.01075).

use burn::{
    module::Module,
    nn::{
        Initializer, Linear,
        conv::Conv2d,
        loss::CrossEntropyLossConfig,
        pool::{MaxPool2d, MaxPool2dConfig},
    },
    tensor::{Device, Tensor, activation::relu},
    train::{ClassificationOutput, InferenceStep, TrainOutput, TrainStep},
};

use super::{batch::Batch, data::CLASSES, layer::Start};

/// A network of two convolutions and two dense layers with 1,256,080 parameters.
///
/// ```text
/// [b, 1, 28, 28]
///   conv1 20@5×5 same, ReLU, max-pool 2×2   [b, 20, 14, 14]
///   conv2 50@5×5 same, ReLU, max-pool 2×2   [b, 50, 7, 7]
///   fc1   2450 → 500, ReLU                  the matrix of the paper's figures, Q = 4.9
///   fc2   500 → 10                          logits
/// ```
#[derive(Module, Debug)]
pub struct LeNet5 {
    pub conv1: Conv2d,
    pub conv2: Conv2d,
    pub fc1: Linear,
    pub fc2: Linear,
    pool: MaxPool2d,
}

impl LeNet5 {
    /// Makes the network with Glorot-uniform weights and zero biases, the defaults of the
    /// original's framework.
    ///
    /// At initialisation an entry of `fc1` has the variance 2/(2450 + 500). From it the
    /// Marchenko–Pastur law predicts the whole spectrum.
    pub fn new(device: &Device) -> Self {
        let start = Start {
            weight: Initializer::XavierUniform { gain: 1.0 },
            bias: 0.0,
        };
        Self {
            conv1: start.conv(1, 20, device),
            conv2: start.conv(20, 50, device),
            fc1: start.linear(50 * 7 * 7, 500, device),
            fc2: start.linear(500, CLASSES, device),
            pool: MaxPool2dConfig::new([2, 2]).init(),
        }
    }

    /// Maps images `[b, 1, 28, 28]` to logits `[b, 10]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = self.pool.forward(relu(self.conv1.forward(images)));
        let x = self.pool.forward(relu(self.conv2.forward(x)));
        let x = relu(self.fc1.forward(x.flatten(1, 3)));
        self.fc2.forward(x)
    }

    /// The logits of a batch and their cross-entropy with the targets.
    fn classify(&self, batch: Batch) -> ClassificationOutput {
        let logits = self.forward(batch.images);
        let loss = CrossEntropyLossConfig::new()
            .init(&logits.device())
            .forward(logits.clone(), batch.targets.clone());
        ClassificationOutput::new(loss, logits, batch.targets)
    }
}

impl TrainStep for LeNet5 {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
        let output = self.classify(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for LeNet5 {
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
        let model = LeNet5::new(&device);
        assert_eq!(model.num_params(), 1_256_080);
        assert_eq!(
            model.forward(Tensor::zeros([2, 1, 28, 28], &device)).dims(),
            [2, 10]
        );

        let weights: Vec<f64> = model.fc1.weight.val().into_data().iter().collect();
        let limit = (6.0_f64 / 2950.0).sqrt();
        let variance = weights.iter().map(|w| w * w).sum::<f64>() / weights.len() as f64;
        assert!(weights.iter().all(|w| w.abs() <= limit + 1e-6));
        assert!((variance * 2950.0 / 2.0 - 1.0).abs() < 0.01, "{variance}");

        let bias: Vec<f64> = model.fc1.bias.unwrap().val().into_data().iter().collect();
        assert_eq!(bias, [0.0; 500]);
    }
}
