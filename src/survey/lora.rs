//! Low-rank adapters: the change of weights ΔW = s·B·A that a fine-tuning with LoRA stores as two
//! thin matrices (Hu et al., *LoRA*, arXiv:2106.09685).
//!
//! PEFT's files hold A of r×in and B of out×r. An `adapter_config.json` in the same folder gives
//! `lora_alpha`. The scale s is lora_alpha/r, or lora_alpha/√r with `use_rslora`. burn's files hold
//! `lora.a` of in×r and `lora.b` of r×out.

use std::path::Path;

use serde_json::Value;

use crate::checkpoint::TensorInfo;

/// The two factors of one adapter, by their positions in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Adapter {
    /// The name of the adapted layer.
    pub(super) layer: String,
    /// The adapter's name. Empty where the file gives none.
    pub(super) name: String,
    /// The position of the tensor A.
    pub(super) a: usize,
    /// The position of the tensor B.
    pub(super) b: usize,
    pub(super) layout: AdapterLayout,
}

impl Adapter {
    /// The name of a row of this adapter. PEFT's default name of an adapter, `default`, is left
    /// out.
    pub(super) fn row(&self, kind: &str) -> String {
        match self.name.as_str() {
            "" | "default" => format!("{}[{kind}]", self.layer),
            name => format!("{}[{kind} {name}]", self.layer),
        }
    }
}

/// The order in which the factors are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AdapterLayout {
    /// B·A: out×r times r×in.
    Peft,
    /// A·B: in×r times r×out.
    Burn,
}

/// Splits a tensor's name into the layer, the text after `lora_A` or `lora_B`, whether the tensor
/// is an A, and the layout. `None` for a tensor that is no factor of an adapter.
fn half(name: &str) -> Option<(&str, &str, bool, AdapterLayout)> {
    let marks = [
        (".lora_A", true, AdapterLayout::Peft),
        (".lora_B", false, AdapterLayout::Peft),
        (".lora.a", true, AdapterLayout::Burn),
        (".lora.b", false, AdapterLayout::Burn),
    ];
    marks.into_iter().find_map(|(mark, is_a, layout)| {
        let (layer, rest) = name.split_once(mark)?;
        let ends = rest.is_empty() || rest.starts_with('.');
        ends.then_some((layer, rest, is_a, layout))
    })
}

/// The adapters among the matrices. A factor without the other one is ignored.
pub(super) fn adapters(tensors: &[TensorInfo]) -> Vec<Adapter> {
    let factors = |wanted: bool| {
        tensors.iter().enumerate().filter_map(move |(i, t)| {
            let (layer, rest, is_a, layout) = half(&t.name).filter(|_| t.shape.len() == 2)?;
            (is_a == wanted).then_some(((layer, rest, layout), i))
        })
    };
    factors(true)
        .filter_map(|(key, a)| {
            let (_, b) = factors(false).find(|(other, _)| *other == key)?;
            let (layer, rest, layout) = key;
            shape(&tensors[a].shape, &tensors[b].shape, layout)?;
            let name = rest.trim_start_matches('.').trim_end_matches("weight");
            Some(Adapter {
                layer: layer.to_owned(),
                name: name.trim_end_matches('.').to_owned(),
                a,
                b,
                layout,
            })
        })
        .collect()
}

/// Rows, rank and columns of the product. `None` if the factors do not match.
fn shape(a: &[usize], b: &[usize], layout: AdapterLayout) -> Option<(usize, usize, usize)> {
    let (left, right) = match layout {
        AdapterLayout::Peft => (b, a),
        AdapterLayout::Burn => (a, b),
    };
    match (left, right) {
        (&[rows, r], &[s, cols]) if r == s => Some((rows, r, cols)),
        _ => None,
    }
}

/// The rank, the shape and the row-major values of the product, which is multiplied by
/// `scale(rank)`. `None` if the factors do not match.
pub(super) fn product(
    (a, a_shape): (&[f64], &[usize]),
    (b, b_shape): (&[f64], &[usize]),
    layout: AdapterLayout,
    scale: impl Fn(usize) -> f64,
) -> Option<(usize, [usize; 2], Vec<f64>)> {
    let (rows, rank, cols) = shape(a_shape, b_shape, layout)?;
    let (left, right) = match layout {
        AdapterLayout::Peft => (b, a),
        AdapterLayout::Burn => (a, b),
    };
    let scale = scale(rank);
    let mut values = vec![0.0; rows.checked_mul(cols)?];
    if left.len() != rows * rank || right.len() != rank * cols {
        return None;
    }
    let lines = left.chunks_exact(rank.max(1));
    for (row, out) in lines.zip(values.chunks_exact_mut(cols.max(1))) {
        for (l, line) in row.iter().zip(right.chunks_exact(cols.max(1))) {
            for (sum, r) in out.iter_mut().zip(line) {
                *sum += scale * l * r;
            }
        }
    }
    Some((rank, [rows, cols], values))
}

/// The scale of the product as a function of the rank. It comes from `adapter_config.json` in the
/// file's folder. `alpha` replaces the file's `lora_alpha`. The scale is 1 if neither is given.
pub(super) fn scaling(file: &Path, alpha: Option<f64>) -> impl Fn(usize) -> f64 {
    let folder = if file.is_dir() {
        Some(file)
    } else {
        file.parent()
    };
    let config: Value = folder
        .and_then(|f| std::fs::read_to_string(f.join("adapter_config.json")).ok())
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let alpha = alpha.or_else(|| config["lora_alpha"].as_f64());
    let root = config["use_rslora"] == true;
    move |rank| {
        let rank = rank.max(1) as f64;
        alpha.map_or(1.0, |alpha| alpha / if root { rank.sqrt() } else { rank })
    }
}

/// The position of the adapted layer's weight in the base model.
pub(super) fn base_of(layer: &str, base: &[TensorInfo], shape: [usize; 2]) -> Option<usize> {
    let bare = layer.strip_prefix("base_model.model.").unwrap_or(layer);
    let bare = bare.strip_suffix(".weight").unwrap_or(bare);
    let fits = |t: &TensorInfo| t.shape == shape;
    let exact = |t: &TensorInfo| t.name == bare || t.name == format!("{bare}.weight");
    // A base model may be saved with or without the name of the outer module.
    let inner = |t: &TensorInfo| {
        let name = t.name.strip_suffix(".weight").unwrap_or(&t.name);
        bare.ends_with(&format!(".{name}")) || name.ends_with(&format!(".{bare}"))
    };
    let find = |is: &dyn Fn(&TensorInfo) -> bool| base.iter().position(|t| fits(t) && is(t));
    find(&exact).or_else(|| find(&inner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Dtype;

    fn tensor(name: &str, shape: &[usize]) -> TensorInfo {
        TensorInfo {
            name: name.to_owned(),
            shape: shape.to_vec(),
            dtype: Dtype::F32,
            file: "x".into(),
            shared_with: None,
        }
    }

    #[test]
    fn factors_find_each_other() {
        let tensors = [
            tensor("base_model.model.q.lora_B.default.weight", &[6, 2]),
            tensor("base_model.model.q.lora_A.default.weight", &[2, 4]),
            tensor("k.lora_A.weight", &[2, 4]),
            tensor("base_model.model.q.lora_A.other.weight", &[3, 4]),
            tensor("base_model.model.q.lora_B.other.weight", &[6, 3]),
            tensor("v.weight.lora.a", &[4, 2]),
            tensor("v.weight.lora.b", &[2, 5]),
        ];
        let found = adapters(&tensors);
        assert_eq!(found.len(), 3);
        assert_eq!(
            (found[0].name.as_str(), found[1].name.as_str()),
            ("default", "other")
        );
        assert_eq!(
            (found[0].layer.as_str(), found[0].a, found[0].b),
            ("base_model.model.q", 1, 0)
        );
        let base = [
            tensor("model.q.weight", &[6, 4]),
            tensor("q.weight", &[6, 4]),
        ];
        assert_eq!(base_of(&found[0].layer, &base, [6, 4]), Some(1));
        assert_eq!(base_of(&found[0].layer, &base[..1], [6, 4]), Some(0));
        assert_eq!(base_of(&found[0].layer, &base, [4, 6]), None);
    }

    #[test]
    fn products_in_both_layouts() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [1.0, 10.0];
        use AdapterLayout::{Burn, Peft};
        let peft = product((&a[..3], &[1, 3]), (&b, &[2, 1]), Peft, |_| 2.0).unwrap();
        assert_eq!(peft, (1, [2, 3], vec![2.0, 4.0, 6.0, 20.0, 40.0, 60.0]));
        let burn = product((&b, &[2, 1]), (&a[..3], &[1, 3]), Burn, |_| 2.0).unwrap();
        assert_eq!(burn, peft);
        assert!(product((&a, &[2, 3]), (&b, &[2, 1]), Peft, |_| 1.0).is_none());
        // Both factors of a square layer have matching shapes in either order. Only the names give
        // the order.
        let square = product((&a[..4], &[4, 1]), (&a[..4], &[1, 4]), Burn, |_| 1.0).unwrap();
        assert_eq!(square.1, [4, 4]);
    }

    #[test]
    fn the_scale_is_told_by_the_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("adapter_model.safetensors");
        assert_eq!(scaling(&file, None)(8), 1.0);
        assert_eq!(scaling(&file, Some(16.0))(8), 2.0);
        let config = "{\"lora_alpha\": 32, \"use_rslora\": true}";
        std::fs::write(dir.path().join("adapter_config.json"), config).unwrap();
        assert_eq!(scaling(&file, None)(16), 8.0);
    }
}
