//! Figures as SVG or PNG, and their numbers as CSV.
//!
//! | function | figure |
//! |---|---|
//! | [`alpha`] | tail exponent of each layer over the epochs, below loss and accuracy |
//! | [`alpha_hat`] | the model's weighted α over the epochs, in both conventions |
//! | [`phase_timeline`] | phase of each layer at each epoch |
//! | [`phase_grid`] | phase of each layer at the end of several runs |
//! | [`phase_table`] | phase of each layer at the end of several runs of each setting |
//! | [`chart`] | any curves, with bands and points, on one or several panels |
//! | [`esd_gallery`] | spectral densities of different layers |
//! | [`esd`] | spectral density of a layer with its Marchenko–Pastur bulk, at several epochs |
//! | [`esd_loglog`] | spectral density of a layer with its power-law tail, on logarithmic axes |
//! | [`all`] | every figure for which a run has data |
//!
//! The extension of the path selects the format: `.svg`, `.png`, or `.csv` for the numbers. The
//! same data gives the same bytes. PNG text uses a font in this crate. SVG text requests the
//! generic family `sans-serif`. No information depends on colour alone: layers have marker shapes,
//! and phases have letters.
//!
//! ```
//! use heavytail::spectrum::Spectrum;
//!
//! let eigenvalues: Vec<f64> = (1..=40).map(|i| f64::from(i) / 20.0).collect();
//! let spectrum = Spectrum::from_eigenvalues(eigenvalues, 120, 40)?;
//! let folder = std::env::temp_dir();
//! heavytail::plot::esd("fc1", &[("epoch 0".into(), spectrum)], folder.join("esd-fc1.svg"))?;
//! # std::fs::remove_file(folder.join("esd-fc1.svg")).ok();
//! # Ok::<(), heavytail::Error>(())
//! ```
//!
//! # When they mislead
//!
//! The band around α is its textbook σ, which ignores the search for xmin. The true spread is
//! larger for short tails. Noise has an α as well: compare with epoch 0. In the linear density, a
//! bin that holds one spike is as high as one that holds one eigenvalue of the bulk.

mod alpha_hat;
mod axis;
mod canvas;
mod chart;
mod esd;
mod legend;
mod panel;
mod phases;
mod style;
mod table;
mod trajectory;

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::file_names::FileNames;
use crate::record::Stamp;
use crate::run::Trajectory;
use crate::sink::{read_spectra, stamp_of};
use crate::spectrum::Spectrum;
use canvas::{Figure, plot_error};
pub use chart::{Chart, ChartAxis, ChartPanel, Curve, CurveColor};
pub use phases::PhaseCell;

fn save(figure: Result<Figure, String>, path: &Path) -> Result<()> {
    figure.map_err(|cause| plot_error(path, cause))?.save(path)
}

/// Plots α of each layer over the epochs with its σ. The ranges 2–5 (papers) and 2–6
/// (WeightWatcher) are shaded. A hollow marker on the axis shows an observation without a fit.
/// Scalars whose names contain `loss` or `accuracy` (in percent) are in panels above, with the same
/// epochs.
///
/// # Errors
///
/// [`Error::Plot`] if there are no records or the extension is unknown. [`Error::Io`] if the file
/// cannot be written.
pub fn alpha(trajectory: &Trajectory, path: impl AsRef<Path>) -> Result<()> {
    save(trajectory::alpha(trajectory), path.as_ref())
}

/// Plots the model's weighted α over the epochs, in WeightWatcher's and in the workshop paper's
/// convention.
///
/// # Errors
///
/// As [`alpha`].
pub fn alpha_hat(trajectory: &Trajectory, path: impl AsRef<Path>) -> Result<()> {
    save(alpha_hat::figure(trajectory), path.as_ref())
}

/// Plots the phase of each layer at each observation, as tiles with letters.
///
/// # Errors
///
/// As [`alpha`].
pub fn phase_timeline(trajectory: &Trajectory, path: impl AsRef<Path>) -> Result<()> {
    save(phases::timeline(trajectory), path.as_ref())
}

/// Plots the last phase and α of each layer in several runs, one row for each run. `axis` is the
/// quantity that the rows' names give, for example `batch size`.
///
/// # Errors
///
/// As [`alpha`].
pub fn phase_grid(
    axis: &str,
    rows: &[(String, &Trajectory)],
    path: impl AsRef<Path>,
) -> Result<()> {
    save(phases::grid(axis, rows), path.as_ref())
}

/// Plots the phase and α of each layer at the end of training, for several runs of each setting. A
/// row is a setting with its name, and with one list of runs (seeds) for each of the `layers`.
/// `axis` is the quantity that the names give.
///
/// # Errors
///
/// As [`alpha`].
pub fn phase_table(
    title: &str,
    axis: &str,
    layers: &[String],
    rows: &[(String, Vec<Vec<PhaseCell>>)],
    path: impl AsRef<Path>,
) -> Result<()> {
    save(phases::table(title, axis, layers, rows), path.as_ref())
}

/// Plots curves, bands and points on one or several panels: see [`Chart`].
///
/// # Errors
///
/// [`Error::Plot`] if no panel has a finite point or the extension is unknown. [`Error::Io`] if the
/// file cannot be written.
pub fn chart(chart: &Chart, path: impl AsRef<Path>) -> Result<()> {
    save(chart::figure(chart), path.as_ref())
}

/// Plots the spectral density of one layer at several observations, side by side on linear axes. It
/// shows the fitted Marchenko–Pastur bulk with its edges λ₋ and λ₊, the Tracy–Widom band of noise's
/// largest eigenvalue, and the spikes. A number at the right edge counts the spikes beyond the
/// axis.
///
/// # Errors
///
/// [`Error::Plot`] if there is no spectrum, every eigenvalue is zero, or the extension is unknown.
/// [`Error::Io`] if the file cannot be written.
pub fn esd(layer: &str, spectra: &[(String, Spectrum)], path: impl AsRef<Path>) -> Result<()> {
    let title = format!("Spectral density of {layer}");
    save(esd::linear(&title, spectra, true), path.as_ref())
}

/// Plots the spectral densities of different layers side by side, as [`esd`], but each with its own
/// axes.
///
/// # Errors
///
/// As [`esd`].
pub fn esd_gallery(
    title: &str,
    spectra: &[(String, Spectrum)],
    path: impl AsRef<Path>,
) -> Result<()> {
    save(esd::linear(title, spectra, false), path.as_ref())
}

/// Plots the spectral density of one layer at several observations, side by side on logarithmic
/// axes. It shows the fitted power law over its support, from xmin to λmax.
///
/// # Errors
///
/// As [`esd`].
pub fn esd_loglog(
    layer: &str,
    spectra: &[(String, Spectrum)],
    path: impl AsRef<Path>,
) -> Result<()> {
    save(esd::log_log(layer, spectra), path.as_ref())
}

/// Writes every figure for which there is data, each as `.svg`, `.png` and `.csv`.
///
/// The figures are `alpha`, `alpha_hat` and `phases`. From the first, middle and last spectra in
/// `spectra`, the folder of a [`SpectraSink`](crate::sink::SpectraSink), they are also
/// `esd-<layer>` and `esd-loglog-<layer>`. [`FileNames`] makes the layers' names safe for files.
/// The folder is created if it does not exist. Returns the paths of the files.
///
/// # Errors
///
/// [`Error::Plot`] if there is no data for any figure. Any error of reading or writing a file.
pub fn all(
    trajectory: &Trajectory,
    spectra: Option<&Path>,
    folder: impl AsRef<Path>,
) -> Result<Vec<PathBuf>> {
    let folder = folder.as_ref();
    let mut figures = vec![
        ("alpha".to_owned(), trajectory::alpha(trajectory)),
        ("alpha_hat".to_owned(), alpha_hat::figure(trajectory)),
        ("phases".to_owned(), phases::timeline(trajectory)),
    ];
    let layers = spectra.map_or_else(|| Ok(Vec::new()), saved_spectra)?;
    let mut names = FileNames::default();
    let mut of_layers = |prefix| names.stems(prefix, layers.iter().map(|(name, _)| name.as_str()));
    let (linear, log_log) = (of_layers("esd-"), of_layers("esd-loglog-"));
    for ((layer, spectra), names) in layers.iter().zip(linear.into_iter().zip(log_log)) {
        let title = format!("Spectral density of {layer}");
        figures.push((names.0, esd::linear(&title, spectra, true)));
        figures.push((names.1, esd::log_log(layer, spectra)));
    }
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    let mut written = Vec::new();
    // A figure that cannot be built has no data.
    for (name, figure) in figures {
        let Ok(figure) = figure else { continue };
        for extension in ["svg", "png", "csv"] {
            let path = folder.join(format!("{name}.{extension}"));
            figure.save(&path)?;
            written.push(path);
        }
    }
    if written.is_empty() {
        let cause = "nothing to draw: neither layer records, nor summaries, nor spectra";
        return Err(plot_error(folder, cause));
    }
    Ok(written)
}

/// The spectra of one layer, each with the name of its observation.
type Observations = Vec<(String, Spectrum)>;

/// The first, middle and last observation in a folder of spectra, by layer.
fn saved_spectra(folder: &Path) -> Result<Vec<(String, Observations)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let path = entry.map_err(|e| Error::io(folder, e))?.path();
        if let Some(stamp) = stamp_of(&path) {
            files.push((stamp, path));
        }
    }
    files.sort();
    let count = files.len();
    let mut chosen = vec![0, count / 2, count.saturating_sub(1)];
    chosen.dedup();
    let mut layers: Vec<(String, Observations)> = Vec::new();
    for (Stamp { epoch, step }, path) in chosen.into_iter().filter_map(|i| files.get(i)) {
        let twice = files.iter().filter(|(s, _)| s.epoch == *epoch).count() > 1;
        let label = if twice {
            format!("epoch {epoch}, step {step}")
        } else {
            format!("epoch {epoch}")
        };
        for (layer, spectrum) in read_spectra(path)? {
            let entry = (label.clone(), spectrum);
            match layers.iter_mut().find(|(name, _)| *name == layer) {
                Some((_, spectra)) => spectra.push(entry),
                None => layers.push((layer, vec![entry])),
            }
        }
    }
    layers.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(layers)
}
