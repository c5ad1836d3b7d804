//! Layers whose biases start at a constant. burn draws a bias with the initialiser of the weight.
//! Therefore a layer is built without a bias and receives its bias afterwards. This also uses no
//! random numbers.

use burn::{
    nn::{
        Initializer, Linear, LinearConfig, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
    },
    tensor::Device,
};

/// The initial parameters of a layer.
#[derive(Clone, Debug)]
pub struct Start {
    pub weight: Initializer,
    pub bias: f64,
}

impl Start {
    /// A 5×5 convolution that keeps the size of the image.
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
