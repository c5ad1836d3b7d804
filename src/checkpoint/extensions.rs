//! File extensions of weight files. They decide only what is reported: the content decides the
//! format.

use std::path::Path;

/// The extensions of weight files, including those of formats that are not supported.
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

/// Whether the file's extension is that of a weight file. Such a file is reported if it cannot be
/// read.
pub(super) fn has_weight_extension(file: &Path) -> bool {
    let ending = file.extension().unwrap_or_default().to_string_lossy();
    WEIGHT_EXTENSIONS.contains(&ending.to_lowercase().as_str())
}

/// Whether the file's extension is one that PyTorch's users give. Such a file must be readable.
pub(super) fn has_pytorch_extension(file: &Path) -> bool {
    let ending = file.extension().unwrap_or_default().to_string_lossy();
    ["bin", "ckpt", "pt", "pth", "th"].contains(&ending.to_lowercase().as_str())
}
