//! Destinations of a run's lines. A collection of sinks is a sink, and so is a [`Trajectory`].

#[cfg(feature = "tensorboard")]
mod axis;
pub mod csv;
mod jsonl;
#[cfg(feature = "parquet")]
pub mod parquet;
mod spectra;
#[cfg(feature = "tensorboard")]
pub mod tensorboard;
#[cfg(feature = "tensorboard")]
mod tfevents;

pub use self::csv::CsvSink;
pub use jsonl::JsonlSink;
pub use spectra::{SpectraSink, read_spectra};
pub(crate) use spectra::{spectra_name, stamp_of};
#[cfg(feature = "tensorboard")]
pub use tensorboard::TensorBoardSink;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, Result, panic_message};
use crate::record::{Line, Stamp};
use crate::run::Trajectory;
use crate::spectrum::Spectrum;

/// A destination of a run's lines and spectra.
pub trait Sink: Send {
    /// Name of the sink in error messages, for example its file.
    fn name(&self) -> String {
        "a sink".to_owned()
    }

    /// Takes one line.
    ///
    /// # Errors
    ///
    /// Any error that prevents this. The monitor records the first error and continues.
    fn line(&mut self, line: &Line) -> Result<()>;

    /// Takes the eigenvalues of one observation, by layer.
    ///
    /// # Errors
    ///
    /// As [`Sink::line`].
    fn spectra(&mut self, _stamp: Stamp, _spectra: &[(String, Spectrum)]) -> Result<()> {
        Ok(())
    }

    /// Makes everything durable. Called when an observation is complete.
    ///
    /// # Errors
    ///
    /// As [`Sink::line`].
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    /// Number of lines that the sink took but has not written to its file.
    fn unwritten_lines(&self) -> usize {
        0
    }

    /// Makes the stored data agree with `run`. Called after a [`Line::Resumed`], when the run
    /// continues from an earlier observation. Also called after [`Sink::flush`] reported the file
    /// [lost](Error::FileReplaced).
    ///
    /// # Errors
    ///
    /// As [`Sink::line`].
    fn rewrite(&mut self, _run: &Trajectory) -> Result<()> {
        Ok(())
    }

    /// Finishes the sink. Called once, after the last [`Sink::flush`]. `run` is the whole run,
    /// including the results of late full analyses.
    ///
    /// # Errors
    ///
    /// As [`Sink::line`].
    fn finish(&mut self, _run: &Trajectory) -> Result<()> {
        Ok(())
    }
}

impl Sink for Trajectory {
    fn line(&mut self, line: &Line) -> Result<()> {
        self.push(line.clone());
        Ok(())
    }
}

/// Calls every sink, even if another fails or panics. Returns the first error.
impl Sink for Vec<Box<dyn Sink>> {
    fn line(&mut self, line: &Line) -> Result<()> {
        first_error(self, |sink| sink.line(line))
    }

    fn spectra(&mut self, stamp: Stamp, spectra: &[(String, Spectrum)]) -> Result<()> {
        first_error(self, |sink| sink.spectra(stamp, spectra))
    }

    fn flush(&mut self) -> Result<()> {
        first_error(self, |sink| sink.flush())
    }

    fn unwritten_lines(&self) -> usize {
        self.iter().map(|sink| sink.unwritten_lines()).sum()
    }

    fn rewrite(&mut self, run: &Trajectory) -> Result<()> {
        first_error(self, |sink| sink.rewrite(run))
    }

    fn finish(&mut self, run: &Trajectory) -> Result<()> {
        first_error(self, |sink| sink.finish(run))
    }
}

fn first_error(
    sinks: &mut [Box<dyn Sink>],
    mut call: impl FnMut(&mut dyn Sink) -> Result<()>,
) -> Result<()> {
    let mut first = Ok(());
    for sink in sinks {
        let result =
            catch_unwind(AssertUnwindSafe(|| call(sink.as_mut()))).unwrap_or_else(|panic| {
                let message = panic_message(&*panic);
                Err(Error::Sink { message })
            });
        if first.is_ok() {
            first = result;
        }
    }
    first
}
