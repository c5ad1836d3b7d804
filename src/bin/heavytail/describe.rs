//! The command `heavytail describe`, which lists the tensors of checkpoints.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use heavytail::checkpoint::Checkpoint;
use heavytail::survey::{adapter_factors, parts};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::output::{short, write};

#[derive(Args)]
pub struct Options {
    /// Files (safetensors, PyTorch, burn, NumPy), indices of sharded models, or folders
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print one JSON object for each model
    #[arg(long)]
    json: bool,
    /// Write to this file instead of the standard output
    #[arg(short, long)]
    output: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<Exit> {
    let mut text = String::new();
    for file in &options.files {
        let checkpoint = Checkpoint::open(file)?;
        if options.json {
            text += &(serde_json::to_string(&as_json(&checkpoint))? + "\n");
        } else {
            table(&mut text, &checkpoint);
        }
    }
    write(&text, options.output.as_deref())?;
    Ok(Exit::Success)
}

/// The matrices of each tensor, or the reason why it has none.
fn matrices_of_tensors(checkpoint: &Checkpoint) -> Vec<Result<Vec<String>, String>> {
    let all = checkpoint.tensors();
    let shapes = || all.iter().map(|t| (t.name.as_str(), t.shape.as_slice()));
    let factors = adapter_factors(all);
    all.iter()
        .enumerate()
        .map(|(i, t)| {
            if let Some(layer) = factors.get(&i) {
                return Ok(vec![format!("factor of the adapter of {layer}")]);
            }
            if let Some(other) = &t.shared_with {
                return Err(format!("tied to `{other}`"));
            }
            let parts = parts(&t.name, &t.shape, shapes()).map_err(|why| why.to_string())?;
            let words = parts.iter().map(|p| {
                let (rows, cols) = p.sides();
                let size = format!("{}×{}", rows.max(cols), rows.min(cols));
                match p.name.strip_prefix(&t.name) {
                    Some("") | None => size,
                    Some(label) => format!("{label} {size}"),
                }
            });
            Ok(words.collect())
        })
        .collect()
}

/// Name and reason of each tensor that is not a weight tensor or is missing.
fn not_read(checkpoint: &Checkpoint) -> impl Iterator<Item = &(String, String)> {
    checkpoint.skipped().iter().chain(checkpoint.missing())
}

fn as_json(checkpoint: &Checkpoint) -> Value {
    let tensors = checkpoint
        .tensors()
        .iter()
        .zip(matrices_of_tensors(checkpoint));
    let tensors: Vec<Value> = tensors
        .map(|(t, matrices)| {
            json!({
                "name": t.name, "shape": t.shape, "dtype": t.dtype.to_string(),
                "matrices": matrices.as_ref().ok(), "reason": matrices.as_ref().err(),
            })
        })
        .collect();
    let left_out: Vec<Value> = not_read(checkpoint)
        .map(|(name, why)| json!({ "name": name, "reason": why }))
        .collect();
    json!({ "model": checkpoint.path().display().to_string(), "tensors": tensors, "left_out": left_out })
}

fn table(text: &mut String, checkpoint: &Checkpoint) {
    let tensors = checkpoint.tensors();
    let wide = tensors.iter().map(|t| short(&t.name).chars().count()).max();
    let wide = wide.unwrap_or(6).max(6);
    let _ = writeln!(text, "{}\n", checkpoint.path().display());
    let _ = writeln!(
        text,
        "  {:<wide$} {:<22} {:<5} matrices",
        "tensor", "shape", "dtype"
    );
    let mut parameters = 0usize;
    let mut count = 0;
    for (t, matrices) in tensors.iter().zip(matrices_of_tensors(checkpoint)) {
        parameters += t.shape.iter().product::<usize>();
        count += matrices.as_ref().map_or(0, Vec::len);
        let matrices = match matrices {
            Ok(parts) if parts.len() > 4 => {
                format!("{} … ({})", parts[..3].join(", "), parts.len())
            }
            Ok(parts) => parts.join(", "),
            Err(why) => format!("none: {why}"),
        };
        let shape = format!("{:?}", t.shape);
        let dtype = t.dtype.to_string();
        let _ = writeln!(
            text,
            "  {:<wide$} {shape:<22} {dtype:<5} {matrices}",
            short(&t.name)
        );
    }
    for (name, why) in not_read(checkpoint) {
        let _ = writeln!(
            text,
            "  {:<wide$} {:<22} {:<5} none: {why}",
            short(name),
            "",
            ""
        );
    }
    let _ = writeln!(
        text,
        "\n  {} tensors, {parameters} numbers, {count} matrices\n",
        tensors.len()
    );
}
