//! The eigenvalues of every observation, as safetensors files.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::Sink;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::record::{Line, Stamp};
use crate::run::Trajectory;
use crate::spectrum::Spectrum;

/// Writes the eigenvalues of every layer at every observation, so that any epoch can be analysed
/// again.
///
/// Each observation is a safetensors file, for example `epoch-00003-step-000000750.safetensors`.
/// Each layer is a rank-1 f64 tensor with the layer's name: the eigenvalues of X = WᵀW/N in
/// ascending order. The metadata holds `<layer>.shape` = `NxM` of the layer's matrix, and
/// `<layer>.live_n` and `<layer>.kurtosis`, which the phase classification needs. A file is
/// complete or absent.
#[derive(Debug)]
pub struct SpectraSink {
    folder: PathBuf,
}

impl SpectraSink {
    /// Opens a folder for spectra. The folder is created if it does not exist.
    ///
    /// # Errors
    ///
    /// If the folder cannot be created.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
        Ok(Self { folder })
    }
}

/// File name of one observation.
pub(crate) fn spectra_name(stamp: Stamp) -> String {
    format!(
        "epoch-{:05}-step-{:09}.safetensors",
        stamp.epoch, stamp.step
    )
}

impl Sink for SpectraSink {
    fn name(&self) -> String {
        self.folder.display().to_string()
    }

    fn line(&mut self, _: &Line) -> Result<()> {
        Ok(())
    }

    /// Moves the files of an abandoned branch to a folder of their own.
    fn rewrite(&mut self, run: &Trajectory) -> Result<()> {
        let kept: HashSet<Stamp> = run.summaries().iter().map(|s| s.stamp).collect();
        let files = std::fs::read_dir(&self.folder).map_err(|e| Error::io(&self.folder, e))?;
        let gone: Vec<PathBuf> = files
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| stamp_of(path).is_some_and(|stamp| !kept.contains(&stamp)))
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        let folder = (1..)
            .map(|i| self.folder.join(format!("abandoned-{i}")))
            .find(|path| !path.exists())
            .unwrap_or_else(|| self.folder.join("abandoned"));
        std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
        for path in gone {
            if let Some(name) = path.file_name() {
                std::fs::rename(&path, folder.join(name)).map_err(|e| Error::io(&path, e))?;
            }
        }
        Ok(())
    }

    fn spectra(&mut self, stamp: Stamp, spectra: &[(String, Spectrum)]) -> Result<()> {
        let path = self.folder.join(spectra_name(stamp));
        if spectra.is_empty() {
            return Ok(());
        }
        let bytes: Vec<Vec<u8>> = spectra
            .iter()
            .map(|(_, s)| {
                s.eigenvalues()
                    .iter()
                    .flat_map(|v| v.to_le_bytes())
                    .collect()
            })
            .collect();
        let views = spectra
            .iter()
            .zip(&bytes)
            .map(|((name, s), bytes)| {
                TensorView::new(Dtype::F64, vec![s.len()], bytes).map(|view| (name.as_str(), view))
            })
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|e| Error::malformed(&path, None, e))?;
        let metadata: HashMap<String, String> = spectra
            .iter()
            .flat_map(|(name, s)| {
                [
                    (format!("{name}.shape"), format!("{}x{}", s.n(), s.m())),
                    (format!("{name}.live_n"), s.effective_n().to_string()),
                    (format!("{name}.kurtosis"), s.entry_kurtosis().to_string()),
                ]
            })
            .collect();
        let whole = safetensors::serialize(views, Some(metadata))
            .map_err(|e| Error::malformed(&path, None, e))?;
        write_atomically(&path, &whole)
    }
}

/// The observation of a file named like `epoch-00003-step-000000750.safetensors`.
pub(crate) fn stamp_of(path: &Path) -> Option<Stamp> {
    let name = path.file_name()?.to_str()?.strip_suffix(".safetensors")?;
    let (epoch, step) = name.strip_prefix("epoch-")?.split_once("-step-")?;
    Some(Stamp {
        epoch: epoch.parse().ok()?,
        step: step.parse().ok()?,
    })
}

/// Reads the spectra of one observation, by layer.
///
/// # Errors
///
/// If the file cannot be read or was not written by [`SpectraSink`].
pub fn read_spectra(path: impl AsRef<Path>) -> Result<Vec<(String, Spectrum)>> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let bad = |cause: String| Error::format(path, None, cause);
    let malformed = |e| Error::malformed(path, None, e);
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(malformed)?;
    let file = SafeTensors::deserialize(&bytes).map_err(malformed)?;
    let shapes = header.metadata().clone().unwrap_or_default();
    file.tensors()
        .into_iter()
        .map(|(name, view)| {
            let shape = shapes
                .get(&format!("{name}.shape"))
                .and_then(|s| s.split_once('x'))
                .and_then(|(n, m)| Some((n.parse().ok()?, m.parse().ok()?)));
            let (Some((n, m)), Dtype::F64) = (shape, view.dtype()) else {
                return Err(bad(format!("`{name}` is not a spectrum of this format")));
            };
            let eigenvalues = view
                .data()
                .chunks_exact(8)
                .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
                .collect();
            let spectrum = Spectrum::from_eigenvalues(eigenvalues, n, m)
                .map_err(|e| bad(format!("`{name}`: {e}")))?;
            let entry = |key: &str| shapes.get(&format!("{name}.{key}"));
            let effective_n = entry("live_n").and_then(|s| s.parse().ok()).unwrap_or(n);
            let kurtosis = entry("kurtosis").and_then(|s| s.parse().ok());
            let spectrum = spectrum.with_entries(effective_n, kurtosis.unwrap_or(f64::NAN));
            Ok((name, spectrum))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_read_from_names() {
        let path = Path::new("x/epoch-00003-step-000000750.safetensors");
        assert_eq!(
            stamp_of(path),
            Some(Stamp {
                epoch: 3,
                step: 750
            })
        );
        assert_eq!(stamp_of(Path::new("x/epoch-3-step-7.part")), None);
    }

    #[test]
    fn a_spectrum_comes_back_with_what_its_entries_said() {
        let mut values: Vec<f64> = (0..60 * 20)
            .map(|i| f64::from(i * 37 % 101) - 50.0)
            .collect();
        // Five rows are zero, so that 55 of 60 count.
        values[..5 * 20].fill(0.0);
        let matrix = crate::WeightMatrix::new("fc", 60, 20, values).unwrap();
        let spectrum = Spectrum::from_matrix(&matrix, Default::default()).unwrap();
        assert_eq!(spectrum.effective_n(), 55);
        let dir = tempfile::tempdir().unwrap();
        let mut sink = SpectraSink::open(dir.path()).unwrap();
        let written = [("fc".to_owned(), spectrum)];
        let stamp = Stamp::from_epoch(3);
        sink.spectra(stamp, &written).unwrap();
        sink.flush().unwrap();
        let file = dir.path().join(spectra_name(stamp));
        assert_eq!(read_spectra(&file).unwrap(), written);
        // The keys of files that exist.
        let bytes = std::fs::read(&file).unwrap();
        let header = String::from_utf8_lossy(&bytes);
        assert!(header.contains("\"fc.live_n\":\"55\"") && header.contains("\"fc.kurtosis\""));
    }
}
