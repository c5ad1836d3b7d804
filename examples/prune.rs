//! Makes a pruned copy of a checkpoint, to compare it with the original:
//!
//! ```text
//! cargo run --release --no-default-features --features checkpoint --example prune -- \
//!   model.pth --share 0.7 --out pruned.safetensors
//! heavytail compare model.pth pruned.safetensors
//! ```
//!
//! The example sets the smallest weights of each layer to zero. With `--filters` it zeroes the
//! output filters with the smallest norm. It does not train the model afterwards.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use heavytail::checkpoint::Checkpoint;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

#[derive(Parser)]
#[command(about = "Set the smallest weights of a checkpoint to zero")]
struct Options {
    model: PathBuf,
    /// Share of each layer's weights, or filters, that is removed
    #[arg(long, default_value_t = 0.7)]
    share: f64,
    /// Remove whole output filters (the first axis)
    #[arg(long)]
    filters: bool,
    #[arg(long)]
    out: PathBuf,
}

fn main() -> Result<()> {
    let options = Options::parse();
    ensure!(
        (0.0..1.0).contains(&options.share),
        "--share must be at least 0 and below 1"
    );
    let model = Checkpoint::open(&options.model)?;
    let mut tensors = Vec::new();
    for (index, info) in model.tensors().iter().enumerate() {
        let mut values = model.read(index)?;
        if info.shape.len() > 1 {
            let group = if options.filters {
                values.len() / info.shape[0].max(1)
            } else {
                1
            };
            prune(&mut values, group.max(1), options.share);
        }
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|&v| (v as f32).to_le_bytes())
            .collect();
        tensors.push((info.name.clone(), info.shape.clone(), bytes));
    }
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>>>()?;
    serialize_to_file(views, None, &options.out)
        .with_context(|| options.out.display().to_string())?;
    println!("written: {}", options.out.display());
    Ok(())
}

/// Sets the groups with the smallest norm to zero. A group has `group` values.
fn prune(values: &mut [f64], group: usize, share: f64) {
    let norm = |g: &[f64]| g.iter().map(|v| v * v).sum::<f64>();
    let mut order: Vec<(f64, usize)> = values
        .chunks(group)
        .enumerate()
        .map(|(i, g)| (norm(g), i))
        .collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let removed = (share * order.len() as f64).round() as usize;
    for (_, i) in order.into_iter().take(removed) {
        let end = ((i + 1) * group).min(values.len());
        values[i * group..end].fill(0.0);
    }
}
