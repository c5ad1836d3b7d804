//! Where lines go. A set of sinks is a sink; a [`Trajectory`] is one too.

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

/// Something that keeps what a run records.
pub trait Sink: Send {
    /// What it is called where it fails: its file, say.
    fn name(&self) -> String {
        "a sink".to_owned()
    }

    /// Keep one line.
    ///
    /// # Errors
    ///
    /// Whatever stops the sink; the monitor records the first one and goes on.
    fn line(&mut self, line: &Line) -> Result<()>;

    /// Keep the eigenvalues of one observation, by layer.
    ///
    /// # Errors
    ///
    /// As [`Sink::line`].
    fn spectra(&mut self, _stamp: Stamp, _spectra: &[(String, Spectrum)]) -> Result<()> {
        Ok(())
    }

    /// An observation is complete: make it durable.
    ///
    /// # Errors
    ///
    /// As [`Sink::line`].
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    /// Lines that it was given and that are not in its file yet.
    fn lacking(&self) -> usize {
        0
    }

    /// The run went back to an earlier moment ([`Line::Resumed`] came before), or [`Sink::flush`]
    /// found the file [lost](Error::Lost): make what is kept agree with `run`.
    ///
    /// # Errors
    ///
    /// As [`Sink::line`].
    fn rewrite(&mut self, _run: &Trajectory) -> Result<()> {
        Ok(())
    }

    /// The run is over: nothing more will come. Called once, after the last [`Sink::flush`]. `run`
    /// is all that it recorded, with what full analyses added late.
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

/// Every sink gets everything, even if another fails or panics; the first error is returned.
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

    fn lacking(&self) -> usize {
        self.iter().map(|sink| sink.lacking()).sum()
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
