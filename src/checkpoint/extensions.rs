//! What a file's name promises. What it is, is seen from its content.

use std::path::Path;

/// Endings of weight files, also of formats that are not read.
const WEIGHT_EXTENSIONS: [&str; 12] = [
    "bin",
    "bpk",
    "ckpt",
    "gguf",
    "h5",
    "msgpack",
    "npy",
    "npz",
    "onnx",
    "pt",
    "pth",
    "safetensors",
];

/// Whether a file that is not read deserves a mention.
pub(super) fn is_named_as_weights(file: &Path) -> bool {
    let ending = file.extension().unwrap_or_default().to_string_lossy();
    WEIGHT_EXTENSIONS.contains(&ending.to_lowercase().as_str())
}

/// Whether PyTorch must have written it.
pub(super) fn is_named_as_pytorch(file: &Path) -> bool {
    let ending = file.extension().unwrap_or_default().to_string_lossy();
    ["bin", "ckpt", "pt", "pth", "th"].contains(&ending.to_lowercase().as_str())
}
