//! Reads weight files tensor by tensor. It never executes anything in a file.
//!
//! [`Checkpoint::open`] reads the names, shapes and types of the tensors. [`Checkpoint::read`]
//! reads the values of one tensor. The first bytes of a file decide its format, whatever its name:
//!
//! - [safetensors](https://github.com/huggingface/safetensors#format): one file, or shards through
//!   their `*.index.json`.
//! - PyTorch: the zip that `torch.save` writes since version 1.6, and the older pickle stream. The
//!   file may hold a state dict, a nested one, or a whole module.
//! - burnpack: burn's records, `.bpk`.
//! - [NumPy](https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html): `.npy`,
//!   versions 1 to 3.
//! - A folder: all files of these formats in it, or the shards of its index.
//!
//! A pickle is a program. This module runs it on a virtual machine that builds plain values and
//! knows a dozen names. The machine calls nothing and imports nothing. The reader compares every
//! length in a file with the file's size before it allocates memory. A hostile file can therefore
//! cause only an error.
//!
//! ```no_run
//! use heavytail::{Config, WeightMatrix, analyze, checkpoint::Checkpoint};
//!
//! let checkpoint = Checkpoint::open("resnet20.th")?;
//! for (index, tensor) in checkpoint.tensors().iter().enumerate() {
//!     if let [rows, cols] = tensor.shape[..] {
//!         let weights = checkpoint.read(index)?;
//!         let w = WeightMatrix::new(&tensor.name, rows, cols, weights)?;
//!         println!("{}", analyze(&w, &Config::default())?);
//!     }
//! }
//! # Ok::<(), heavytail::Error>(())
//! ```

mod burnpack;
mod contents;
mod directory;
mod dtype;
mod extensions;
mod format;
mod index;
mod location;
mod npy;
mod safetensors;
mod source;
mod torch;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use contents::Contents;
pub use dtype::Dtype;
use format::{Format, recognise};
use location::Location;
use source::Source;

/// An opened weight file, index of shards, or folder of weight files.
///
/// A checkpoint holds names and locations, but no values. [`read`](Self::read) opens the file
/// again, so the file must not change after [`open`](Self::open).
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    tensors: Vec<TensorInfo>,
    locations: Vec<Location>,
    skipped: Vec<(String, String)>,
    missing: Vec<(String, String)>,
}

/// The description of one tensor in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorInfo {
    /// The dotted name, for example `conv1.weight`. Names are unique.
    pub name: String,
    /// The length of each axis. A scalar has no axis.
    pub shape: Vec<usize>,
    /// The type of the values in the file.
    pub dtype: Dtype,
    /// The file that holds the values.
    pub file: PathBuf,
    /// The name of the first tensor with the same bytes, for tied weights: one set of weights under
    /// two names. `None` for the first tensor itself and for a tensor that shares no bytes.
    pub shared_with: Option<String>,
}

impl Checkpoint {
    /// Opens a weight file, an index of shards, or a folder of weight files.
    ///
    /// A folder with a `*.index.json` is read through this index. If a shard does not exist, its
    /// tensors are [missing](Self::missing). In a folder without an index, the weight files are
    /// read in name order. If more than one of them holds tensors, each tensor's name begins with
    /// the file's stem. It begins with the whole file name where two files have the same stem.
    ///
    /// # Errors
    ///
    /// Returns an error in these cases:
    ///
    /// - The path cannot be read, has none of these formats, or is damaged.
    /// - An index names a shard in another folder, or none of its shards exists.
    /// - A folder holds no weight file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
        if metadata.is_dir() {
            return Ok(Self::from_contents(path, directory::list(path)?));
        }
        let source = Source::open(path)?;
        let contents = match recognise(&source)? {
            Some(Format::Json) => index::list(&source)?,
            _ => format::list(&source, false)?,
        };
        Ok(Self::from_contents(path, contents))
    }

    fn from_contents(path: &Path, contents: Contents) -> Self {
        let mut skipped = contents.skipped;
        let mut names = HashSet::new();
        let mut first: HashMap<(PathBuf, u64, u64), String> = HashMap::new();
        let mut tensors = Vec::new();
        let mut locations = Vec::new();
        for entry in contents.entries {
            if !names.insert(entry.name.clone()) {
                skipped.push((entry.name, "another tensor has this name".to_owned()));
                continue;
            }
            let file = entry.location.file().to_owned();
            let shared_with = entry.location.range().and_then(|(start, end)| {
                match first.entry((file.clone(), start, end)) {
                    std::collections::hash_map::Entry::Occupied(o) => Some(o.get().clone()),
                    std::collections::hash_map::Entry::Vacant(v) => {
                        v.insert(entry.name.clone());
                        None
                    }
                }
            });
            tensors.push(TensorInfo {
                name: entry.name,
                shape: entry.shape,
                dtype: entry.dtype,
                file,
                shared_with,
            });
            locations.push(entry.location);
        }
        Self {
            path: path.to_owned(),
            tensors,
            locations,
            skipped,
            missing: contents.missing,
        }
    }

    /// The path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tensors of floating-point values, in file order. Optimizer state is left out.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// Name and reason of every entry that is not read as a weight tensor: integers, optimizer
    /// state, unsupported types.
    pub fn skipped(&self) -> &[(String, String)] {
        &self.skipped
    }

    /// Name and reason of every tensor that the index lists and whose shard does not exist.
    pub fn missing(&self) -> &[(String, String)] {
        &self.missing
    }

    /// The values of the tensor `tensors()[index]`, in row-major order, whatever its type, byte
    /// order and strides.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such tensor, or if its file cannot be read or has become
    /// shorter.
    pub fn read(&self, index: usize) -> Result<Vec<f64>> {
        let (Some(info), Some(location)) = (self.tensors.get(index), self.locations.get(index))
        else {
            let cause = format!("no tensor {index} among {}", self.tensors.len());
            return Err(Error::format(&self.path, None, cause));
        };
        location.read(&info.name, &info.shape, &info.dtype)
    }
}
