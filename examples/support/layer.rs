//! Layers whose biases start at a constant. burn draws a bias with the initialiser of its weight, so a
//! layer is built without one and given it afterwards, which costs no random numbers either.

use burn::{
    nn::{
        Initializer, Linear, LinearConfig, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
    },
    tensor::Device,
};

/// How the parameters of a network start.
#[derive(Clone, Debug)]
pub struct Start {
    pub weight: Initializer,
    pub bias: f64,
}

impl Start {
    /// A convolution 5×5 that keeps the size of the image.
    pub fn conv(&self, from: usize, to: usize, device: &Device) -> Conv2d {
        let mut layer = Conv2dConfig::new([from, to], [5, 5])
            .with_padding(PaddingConfig2d::Same)
            .with_initializer(self.weight.clone())
            .with_bias(false)
            .init(device);
        layer.bias = Some(Initializer::Constant { value: self.bias }.init([to], device));
        layer
    }

    pub fn linear(&self, from: usize, to: usize, device: &Device) -> Linear {
        let mut layer = LinearConfig::new(from, to)
            .with_initializer(self.weight.clone())
            .with_bias(false)
            .init(device);
        layer.bias = Some(Initializer::Constant { value: self.bias }.init([to], device));
        layer
    }
}
