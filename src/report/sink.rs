//! The sink that writes the HTML report of a running run.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{Run, html};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::record::{Ending, Line, Stamp};
use crate::run::{RunState, Trajectory};
use crate::sink::Sink;
use crate::spectrum::Spectrum;

/// Writes the HTML report of a running run, `report.html`. The file is complete or absent.
///
/// The report is rewritten after an observation, but not before twenty times the duration of the
/// last rewrite has passed, at most ten minutes. Rewrites of equal cost thus take about 5 % of the
/// thread's time. [`Sink::finish`] writes the last report, which states that the run is over. The
/// sink holds the run's records in memory, without slices, and at most 264 numbers of each
/// spectrum.
#[derive(Debug)]
pub struct HtmlSink {
    path: PathBuf,
    run: Run,
    changed: bool,
    rest_until: Option<Instant>,
}

/// Pause after a rewrite, as a multiple of its duration.
const REST: u32 = 20;

impl HtmlSink {
    /// A sink for the report of a run. The folder is created if it does not exist. If the folder
    /// has a `log.jsonl`, the report starts with its records and with the spectra in `spectra/`.
    ///
    /// # Errors
    ///
    /// If the folder cannot be created, or the log cannot be read.
    pub fn open(path: impl Into<PathBuf>, run: &str) -> Result<Self> {
        let path = path.into();
        let folder = path.parent().map_or_else(PathBuf::new, PathBuf::from);
        std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
        let mut shown = if folder.join("log.jsonl").exists() {
            Run::read(&folder)?
        } else {
            Run::default()
        };
        shown.name = run.to_owned();
        shown.state = RunState::Running;
        shown.log = Some("./log.jsonl".to_owned());
        Ok(Self {
            path,
            run: shown,
            changed: false,
            rest_until: None,
        })
    }

    fn write(&mut self) -> Result<()> {
        let start = Instant::now();
        let result = html(std::slice::from_ref(&self.run))
            .and_then(|page| write_atomically(&self.path, page.as_bytes()));
        // Pause also after an error, for example on a full disk.
        self.rest_until =
            Some(Instant::now() + (REST * start.elapsed()).min(Duration::from_secs(600)));
        self.changed = result.is_err();
        result
    }
}

impl Sink for HtmlSink {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn line(&mut self, line: &Line) -> Result<()> {
        self.changed |= !matches!(line, Line::Header(_) | Line::Model(_));
        self.run.push(line.clone());
        Ok(())
    }

    fn spectra(&mut self, stamp: Stamp, spectra: &[(String, Spectrum)]) -> Result<()> {
        self.run.observe(stamp, spectra);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.changed && self.rest_until.is_none_or(|until| Instant::now() >= until) {
            self.write()?;
        }
        Ok(())
    }

    fn finish(&mut self, run: &Trajectory) -> Result<()> {
        let panicked = run.end().is_some_and(|end| end.how == Ending::Panicked);
        self.run.state = if panicked {
            RunState::Died
        } else {
            RunState::Ended
        };
        self.write()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::record::{Header, LayerShape, Record};
    use crate::sink::JsonlSink;

    fn lines(epoch: usize) -> [Line; 2] {
        let shape = LayerShape {
            name: "fc".to_owned(),
            shape: vec![2, 2],
        };
        let record = Record::failed(
            "r",
            Stamp::from_epoch(epoch),
            0,
            shape,
            format!("reason {epoch}"),
        );
        [
            Line::Header(Header::new("r", &Config::live())),
            Line::Layer(Box::new(record)),
        ]
    }

    #[test]
    fn a_run_that_is_continued_keeps_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        for epoch in [3, 4] {
            let mut log = JsonlSink::open(folder.path().join("log.jsonl")).unwrap();
            let mut page = HtmlSink::open(&path, "r").unwrap();
            for line in lines(epoch) {
                log.line(&line).unwrap();
                page.line(&line).unwrap();
            }
            log.flush().unwrap();
            page.flush().unwrap();
            assert!(
                std::fs::read_to_string(&path)
                    .unwrap()
                    .contains("\"done\":false")
            );
            page.finish(&Trajectory::default()).unwrap();
        }
        let page = std::fs::read_to_string(&path).unwrap();
        assert!(page.contains("\"stamps\":[[3,0],[4,0]]") && page.contains("\"done\":true"));
    }

    #[test]
    fn rewrites_are_spaced_but_the_last_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        let mut page = HtmlSink::open(&path, "r").unwrap();
        for epoch in 0..50 {
            for line in lines(epoch) {
                page.line(&line).unwrap();
            }
            page.flush().unwrap();
            if epoch == 0 {
                // Prevents a rewrite on a machine of any speed.
                page.rest_until = Some(Instant::now() + Duration::from_secs(60));
            }
        }
        assert!(
            std::fs::read_to_string(&path)
                .unwrap()
                .contains("\"stamps\":[[0,0]]")
        );
        page.finish(&Trajectory::default()).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("[49,0]]"));
    }
}
