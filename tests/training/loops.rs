//! Observing models of all kinds in loops of one's own.

use burn::module::{Module, Param};
use burn::nn::attention::MultiHeadAttentionConfig;
use burn::nn::conv::{Conv1dConfig, ConvTranspose2dConfig};
use burn::nn::{EmbeddingConfig, LstmConfig};
use burn::tensor::{Device, Tensor};
use heavytail::matrix::Cut;

use crate::attach::{alone, notices};
use crate::run::builder;
use crate::support::lenet5::LeNet5;

#[test]
fn observing_never_initialises_a_parameter() {
    if !alone() {
        return;
    }
    let device = Device::flex().autodiff();
    let weights = |observe: bool| {
        device.seed(11);
        let model = LeNet5::new(&device);
        let monitor = builder().build().unwrap();
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
    assert!(t.skipped().iter().any(|l| l.name == "conv1.weight"));

    let model = LeNet5::new(&device);
    heavytail::burn::initialize(&model);
    let monitor = builder().build().unwrap();
    monitor.observe(0, &model);
    assert_eq!(monitor.finish().trajectory.records().len(), 4);
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
    if !alone() {
        return;
    }
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
    let monitor = builder().exclude("attention.key").build().unwrap();
    monitor.observe(0, &zoo);
    let t = monitor.finish().trajectory;
    let shape = |layer: &str| {
        let record = t
            .layer(layer)
            .next()
            .unwrap_or_else(|| panic!("no {layer} in {:?}", t.layers()));
        let v = record.values().unwrap();
        (v.cut, v.primary.n, v.primary.m, v.slices.len())
    };
    assert_eq!(shape("embedding.weight"), (Cut::Whole, 30, 12, 0));
    assert_eq!(shape("conv.weight"), (Cut::Unfolding, 20, 6, 5));
    assert_eq!(shape("up.weight"), (Cut::Unfolding, 24, 3, 4));
    assert_eq!(
        shape("lstm.input_gate.hidden_transform.weight"),
        (Cut::Whole, 8, 8, 0)
    );
    assert_eq!(shape("attention.query.weight"), (Cut::Whole, 16, 16, 0));
    assert_eq!(shape("blocks.0.weight"), (Cut::Whole, 9, 7, 0));
    let reason = |name: &str| {
        let left_out = t.skipped().iter().find(|l| l.name == name);
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
