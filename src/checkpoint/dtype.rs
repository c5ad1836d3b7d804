//! The number types of tensor values.

use std::fmt;

/// The type of a tensor's values in the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dtype {
    /// 64-bit floats.
    F64,
    /// 32-bit floats.
    F32,
    /// IEEE 16-bit floats.
    F16,
    /// bfloat16: the upper half of a 32-bit float.
    BF16,
    /// Any other type, under the name that the file gives. [`skipped`](super::Checkpoint::skipped)
    /// lists such tensors.
    Other(String),
}

impl Dtype {
    /// The size of one value in bytes. `None` for a type that is not supported.
    pub(super) fn size(&self) -> Option<u64> {
        match self {
            Dtype::F64 => Some(8),
            Dtype::F32 => Some(4),
            Dtype::F16 | Dtype::BF16 => Some(2),
            Dtype::Other(_) => None,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dtype::F64 => "f64",
            Dtype::F32 => "f32",
            Dtype::F16 => "f16",
            Dtype::BF16 => "bf16",
            Dtype::Other(name) => name,
        })
    }
}
