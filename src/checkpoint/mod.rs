//! Reading weight files, tensor by tensor, without executing anything.
//!
//! [`Checkpoint::open`] reads what a file says about its tensors; [`Checkpoint::read`] reads the
//! values of one. A file is recognised by its first bytes, whatever its name:
//!
//! | format | read |
//! |---|---|
//! | [safetensors](https://github.com/huggingface/safetensors#format) | one file, or shards through their `*.index.json` |
//! | PyTorch | `torch.save`'s zip (since 1.6) and the pickle stream before it: state dicts, also nested, and whole modules |
//! | burnpack | burn's records, `.bpk` |
//! | [NumPy](https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html) | `.npy`, versions 1 to 3 |
//! | a folder | all of these in it, or the shards of its index |
//!
//! A pickle is a program. Ours runs on a virtual machine that builds plain values and knows a
//! dozen names; it calls nothing and imports nothing. Every length in a file is held against the file's size
//! before memory is asked for, so a hostile file costs an error and no more.
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

/// A weight file, a sharded model's index, or a folder of weight files, opened.
///
/// It holds names and locations, no values: [`read`](Self::read) opens the file again, so a file must
/// not change in between.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    tensors: Vec<TensorInfo>,
    locations: Vec<Location>,
    skipped: Vec<(String, String)>,
    missing: Vec<(String, String)>,
}

/// What a checkpoint says about one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorInfo {
    /// Dotted name, for example `conv1.weight`. Names are unique.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The type of its values in the file.
    pub dtype: Dtype,
    /// The file that holds its values.
    pub file: PathBuf,
    /// The first tensor with the very same bytes, if this is not the first: tied weights, which
    /// are one set of weights under two names.
    pub shared_with: Option<String>,
}

impl Checkpoint {
    /// Open a weight file, an index of shards, or a folder of weight files.
    ///
    /// A folder with a `*.index.json` is read through it; the tensors of a shard that is not there
    /// are [missing](Self::missing). Else its weight files are read in name order, and if more than
    /// one holds tensors, their names begin with the file's stem (with the file's whole name where
    /// two have the same stem).
    ///
    /// # Errors
    ///
    /// If the path cannot be read, is none of these formats, or is damaged; if an index names a
    /// shard that lies elsewhere, or no shard that is there; if a folder holds no weight file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
        if metadata.is_dir() {
            return Ok(Self::from_found(path, directory::list(path)?));
        }
        let source = Source::open(path)?;
        let contents = match recognise(&source)? {
            Some(Format::Json) => index::list(&source)?,
            _ => format::list(&source, false)?,
        };
        Ok(Self::from_found(path, contents))
    }

    fn from_found(path: &Path, contents: Contents) -> Self {
        let mut skipped = contents.skipped;
        let mut names = HashSet::new();
        let mut first: HashMap<(PathBuf, u64, u64), String> = HashMap::new();
        let mut tensors = Vec::new();
        let mut locations = Vec::new();
        for entry in contents.entries {
            if !names.insert(entry.name.clone()) {
                skipped.push((entry.name, "a second tensor of this name".to_owned()));
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

    /// The tensors of floats, in file order. The state of optimizers is not among them.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// Name and reason of what is no weight tensor: integers, the state of optimizers, types that
    /// are not read.
    pub fn skipped(&self) -> &[(String, String)] {
        &self.skipped
    }

    /// Name and reason of the tensors that the index promises and whose shard is not there.
    pub fn missing(&self) -> &[(String, String)] {
        &self.missing
    }

    /// The values of one tensor, row-major, whatever its type, byte order and strides.
    ///
    /// # Errors
    ///
    /// If there is no such tensor, or its file cannot be read or has become shorter.
    pub fn read(&self, index: usize) -> Result<Vec<f64>> {
        let (Some(info), Some(location)) = (self.tensors.get(index), self.locations.get(index))
        else {
            let cause = format!("no tensor {index} among {}", self.tensors.len());
            return Err(Error::format(&self.path, None, cause));
        };
        location.read(&info.name, &info.shape, &info.dtype)
    }
}
