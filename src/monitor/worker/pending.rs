//! Weights whose full analysis is not in the log yet, kept on disk.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::matrix::LayerTensor;
use crate::record::Stamp;
use crate::sink::{spectra_name, stamp_of};

/// Limit of an observation's weights in bytes. Larger ones are not kept, so a killed process loses
/// their full analyses.
const MAX_BYTES: usize = 1 << 30;

/// Keeps weights in the run's folder until their full analysis is in the log. A resumed run can
/// then do the full analyses that a killed process did not finish. Each observation is a
/// safetensors file. The metadata holds each layer's layout.
pub(super) struct Pending {
    folder: PathBuf,
    /// The waiting layers of each observation.
    waiting: HashMap<Stamp, HashSet<String>>,
}

impl Pending {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            waiting: HashMap::new(),
        }
    }

    pub(super) fn name(&self) -> String {
        self.folder.display().to_string()
    }

    fn file(&self, stamp: Stamp) -> PathBuf {
        self.folder.join(spectra_name(stamp))
    }

    /// Stores the weights of these layers.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub(super) fn keep(&mut self, stamp: Stamp, layers: &[&LayerTensor]) -> Result<()> {
        let size: usize = layers.iter().map(|t| 4 * t.values.len()).sum();
        if layers.is_empty() || size > MAX_BYTES {
            return Ok(());
        }
        std::fs::create_dir_all(&self.folder).map_err(|e| Error::io(&self.folder, e))?;
        let path = self.file(stamp);
        let bad = |e| Error::malformed(&path, None, e);
        let bytes: Vec<Vec<u8>> = layers
            .iter()
            .map(|t| t.values.iter().flat_map(|v| v.to_le_bytes()).collect())
            .collect();
        let mut views = Vec::with_capacity(layers.len());
        let mut metadata = HashMap::new();
        for (tensor, bytes) in layers.iter().zip(&bytes) {
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).map_err(bad)?;
            views.push((tensor.name.as_str(), view));
            let layout = serde_json::to_string(&tensor.layout).unwrap_or_default();
            metadata.insert(tensor.name.clone(), layout);
        }
        let whole = safetensors::serialize(views, Some(metadata)).map_err(bad)?;
        write_atomically(&path, &whole)?;
        let names = layers.iter().map(|t| t.name.clone()).collect();
        self.waiting.insert(stamp, names);
        Ok(())
    }

    /// Called when the full analysis of a layer is in the log, or failed.
    pub(super) fn done(&mut self, stamp: Stamp, layer: &str) {
        if let Some(waiting) = self.waiting.get_mut(&stamp) {
            waiting.remove(layer);
            if waiting.is_empty() {
                self.waiting.remove(&stamp);
                self.remove(stamp);
            }
        }
    }

    fn remove(&self, stamp: Stamp) {
        // The next resume removes files that remain.
        let _ = std::fs::remove_file(self.file(stamp));
        let _ = std::fs::remove_dir(&self.folder);
    }

    /// The weights that a killed process left. `wanted` selects observations and layers. Files
    /// without a wanted layer are removed.
    pub(super) fn left(
        &mut self,
        wanted: impl Fn(Stamp, &str) -> bool,
    ) -> Vec<(Stamp, LayerTensor)> {
        let Ok(files) = std::fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let mut left = Vec::new();
        for path in files.filter_map(|entry| Some(entry.ok()?.path())) {
            let Some(stamp) = stamp_of(&path) else {
                continue;
            };
            let mut tensors = read(&path).unwrap_or_default();
            tensors.retain(|t| wanted(stamp, &t.name));
            if tensors.is_empty() {
                self.remove(stamp);
                continue;
            }
            let names = tensors.iter().map(|t| t.name.clone()).collect();
            self.waiting.insert(stamp, names);
            left.extend(tensors.into_iter().map(|tensor| (stamp, tensor)));
        }
        left
    }
}

/// The weights in a file. None if the file has another format.
fn read(path: &Path) -> Option<Vec<LayerTensor>> {
    let bytes = std::fs::read(path).ok()?;
    let (_, header) = SafeTensors::read_metadata(&bytes).ok()?;
    let layouts = header.metadata().clone()?;
    let file = SafeTensors::deserialize(&bytes).ok()?;
    let tensors = file.tensors().into_iter().filter_map(|(name, view)| {
        let layout = serde_json::from_str(layouts.get(&name)?).ok()?;
        let values = view.data().as_chunks::<4>().0.iter();
        (view.dtype() == Dtype::F32).then(|| LayerTensor {
            layout,
            shape: view.shape().to_vec(),
            values: values.map(|b| f32::from_le_bytes(*b)).collect(),
            name,
        })
    });
    Some(tensors.collect())
}
