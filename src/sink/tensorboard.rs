//! TensorBoard event files: a sink for a running training, and an export of a finished run.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::Sink;
use super::axis::Axis;
use super::spectra::{read_spectra, spectra_name};
use super::tfevents::{Shown, Value, event, session_start, version};
use crate::error::{Error, Result};
use crate::files::{append_pending, write_atomically};
use crate::record::field::{FIELDS, Field, SUMMARY_FIELDS};
use crate::record::{Alarm, DoubtSubject, Key, Line, Notice, Record, Scalar, Stamp, Summary};
use crate::run::Trajectory;
use crate::spectrum::Spectrum;

/// Writes an event file for TensorBoard.
///
/// Tags:
///
/// - `alpha/`, `alpha_hat/`, `stable_rank/`, `soft_rank/`, `entropy/`, `lambda_max/`,
///   `num_spikes/`, `phase/`, `phase_confidence/` + layer: scalars. A number that does not exist
///   has no point. `phase` counts from 0, in the order of [`Phase::ALL`](crate::Phase::ALL).
///   `lambda_max` and `alpha_hat` are of WᵀW, with log₁₀.
/// - `model/…`: means over the layers, and the seconds that the observation took.
/// - `training/…`: numbers that the training reported, such as `training/valid loss`.
/// - `esd_x/`, `esd_log10_x/` + layer: histograms of the eigenvalues of X = WᵀW/N, and of their
///   log₁₀.
/// - `verdict/` + layer: the phase with its evidence, as text.
/// - `notices`, `alarms`: notices and alarms, as text.
///
/// Scalars are f32, as TensorBoard stores them. The step is the epoch, or the optimiser step after
/// [`TensorBoardSink::by_step`]. Each process writes its own file, as TensorBoard expects of a
/// resumed run. TensorBoard shows a sample of texts and histograms unless it is started with
/// `--samples_per_plugin text=0,histograms=0`.
///
/// ```
/// use heavytail::Monitor;
/// use heavytail::sink::TensorBoardSink;
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let folder = dir.path();
/// let monitor = Monitor::builder().sink(TensorBoardSink::create(folder)?).build()?;
/// # monitor.finish();
/// # Ok::<(), heavytail::Error>(())
/// ```
#[derive(Debug)]
pub struct TensorBoardSink {
    path: PathBuf,
    file: File,
    pending: Vec<u8>,
    written: HashSet<Key>,
    axis: Axis,
    /// Records whose full analysis arrived after their verdict was written.
    outdated: HashSet<(Stamp, String)>,
    /// Whether the file states the first step of its session.
    started: bool,
}

impl TensorBoardSink {
    /// Creates an event file in a folder. The folder is created if it does not exist.
    ///
    /// # Errors
    ///
    /// If the folder or the file cannot be written.
    pub fn create(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        let begin = now();
        // TensorBoard reads files in the order of their names. A later file therefore needs a later
        // second.
        let mut second = begin as u64;
        let (path, file) = loop {
            let path = folder.join(file_name(
                second,
                &format!("{}.{}", host(), std::process::id()),
            ));
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => break (path, file),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => second += 1,
                Err(e) => return Err(Error::io(&path, e)),
            }
        };
        let mut sink = Self {
            path,
            file,
            pending: version(begin),
            written: HashSet::new(),
            axis: Axis::default(),
            outdated: HashSet::new(),
            started: false,
        };
        sink.flush()?;
        Ok(sink)
    }

    /// Uses optimiser steps as the axis, not epochs. Use it for a monitor that observes
    /// [every k steps](crate::monitor::Cadence::Steps). A number that the training reports for an
    /// epoch then gets the step of the first observation after that epoch. If there is none, it
    /// gets the step of the newest observation.
    pub fn by_step(mut self) -> Self {
        self.axis.by_step = true;
        self
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts a session at this step. TensorBoard ignores the first session of a folder.
    fn start(&mut self, step: u64) {
        self.started = true;
        self.pending.extend(session_start(now(), step));
    }

    fn push(&mut self, step: u64, values: &[Value]) {
        if !values.is_empty() {
            if !self.started {
                self.start(step);
            }
            self.pending.extend(event(now(), step, values));
        }
    }
}

impl Sink for TensorBoardSink {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn line(&mut self, line: &Line) -> Result<()> {
        match line {
            Line::Full(full) => {
                self.outdated.insert((full.stamp, full.layer.clone()));
            }
            Line::Resumed(resumed) => {
                self.written.retain(|key| resumed.keeps_key(key));
                // TensorBoard discards what earlier files of the folder have from this step on.
                let step = match (resumed.anew, self.axis.by_step) {
                    (true, _) => 0,
                    (false, true) => resumed.from.step + 1,
                    (false, false) => resumed.from.epoch as u64 + 1,
                };
                self.start(step);
            }
            _ => {}
        }
        let (step, values) = match line {
            Line::Layer(record) => (self.axis.step(record.stamp), record_values(record)),
            Line::Summary(summary) => (self.axis.step(summary.stamp), summary_values(summary)),
            Line::Scalar(scalar) => (self.axis.step_of_epoch(scalar.epoch), scalar_values(scalar)),
            Line::Notice(notice) => (self.axis.step_of_notice(notice), notice_values(notice)),
            Line::Alarm(alarm) => (self.axis.step_of_alarm(alarm), alarm_values(alarm)),
            _ => return Ok(()),
        };
        if self.written.insert(line.key()) {
            self.push(step, &values);
        }
        Ok(())
    }

    fn spectra(&mut self, stamp: Stamp, spectra: &[(String, Spectrum)]) -> Result<()> {
        let step = self.axis.step(stamp);
        self.push(step, &spectra_values(spectra));
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        append_pending(&self.path, &mut self.file, &mut self.pending)
    }

    /// Writes the verdicts again that full analyses changed.
    fn finish(&mut self, run: &Trajectory) -> Result<()> {
        let outdated = std::mem::take(&mut self.outdated);
        for record in run.records() {
            if outdated.contains(&(record.stamp, record.layer.clone())) {
                let step = self.axis.step(record.stamp);
                self.push(step, &[verdict_of(record)]);
            }
        }
        self.flush()
    }
}

impl Drop for TensorBoardSink {
    fn drop(&mut self) {
        // An error cannot be reported here.
        let _ = self.flush();
    }
}

/// Exports a finished run to an event file. `trajectory` is its log, and `spectra` its folder of
/// [`SpectraSink`](super::SpectraSink).
///
/// The axis counts epochs, or optimiser steps if an epoch has several observations. Events have the
/// times of their observations. A log of format 2 has no such times, and events then have the time
/// at which the run began. The file is complete or absent. An earlier export is replaced.
///
/// # Errors
///
/// If a spectrum cannot be read, or the folder cannot be written.
pub fn export(
    trajectory: &Trajectory,
    spectra: Option<&Path>,
    folder: impl AsRef<Path>,
) -> Result<PathBuf> {
    let folder = folder.as_ref();
    let mut axis = Axis::default();
    let mut last = None;
    for summary in trajectory.summaries() {
        axis.by_step |= last.replace(summary.stamp.epoch) == Some(summary.stamp.epoch);
        axis.step(summary.stamp);
    }
    let began = trajectory.header().map_or(0, |h| h.unix_time);
    let mut bytes = version(began as f64);
    // An epoch may have several observations. Data of a whole epoch gets the time of the last one.
    let mut times: BTreeMap<Stamp, f64> = BTreeMap::new();
    for summary in trajectory.summaries() {
        times.extend(summary.unix_time.map(|time| (summary.stamp, time)));
    }
    let at = |stamp: Stamp| {
        let before = times.range(..=stamp).next_back();
        before.or(times.first_key_value()).map(|(_, &time)| time)
    };
    let at_epoch = |epoch| {
        at(Stamp {
            epoch,
            step: u64::MAX,
        })
    };
    let mut push = |time: Option<f64>, step, values: &[Value]| {
        if !values.is_empty() {
            bytes.extend(event(time.unwrap_or(began as f64), step, values));
        }
    };
    for record in trajectory.records() {
        push(
            at(record.stamp),
            axis.step(record.stamp),
            &record_values(record),
        );
    }
    for summary in trajectory.summaries() {
        let file = spectra.map(|folder| folder.join(spectra_name(summary.stamp)));
        let (time, step) = (at(summary.stamp), axis.step(summary.stamp));
        if let Some(file) = file.filter(|file| file.exists()) {
            push(time, step, &spectra_values(&read_spectra(file)?));
        }
        push(time, step, &summary_values(summary));
    }
    for scalar in trajectory.scalars() {
        let time = at_epoch(scalar.epoch);
        push(
            time,
            axis.step_of_epoch(scalar.epoch),
            &scalar_values(scalar),
        );
    }
    for notice in trajectory.notices() {
        let time = notice.epoch.map_or(at_epoch(usize::MAX), at_epoch);
        push(time, axis.step_of_notice(notice), &notice_values(notice));
    }
    for alarm in trajectory.alarms() {
        let time = match alarm.stamp.step {
            0 => at_epoch(alarm.stamp.epoch),
            _ => at(alarm.stamp),
        };
        push(time, axis.step_of_alarm(alarm), &alarm_values(alarm));
    }
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    let path = folder.join(file_name(began, "log"));
    write_atomically(&path, &bytes)?;
    Ok(path)
}

fn scalar(tag: String, description: impl Into<String>, number: Option<f64>) -> Option<Value> {
    let number = number? as f32;
    let shown = Shown::Scalar(number);
    number.is_finite().then(|| Value {
        tag,
        description: description.into(),
        shown,
    })
}

/// The point of a field on its curve. None if TensorBoard does not show the field.
fn curve<T>(field: &Field<T>, of: &T, layer: &str) -> Option<Value> {
    let tag = field.tag?;
    let unit = match field.unit.name() {
        "" => String::new(),
        unit => format!(" ({unit})"),
    };
    let description = format!("{}{unit}", field.doc);
    scalar(
        format!("{tag}{layer}"),
        description,
        field.cell(of).number(),
    )
}

fn record_values(record: &Record) -> Vec<Value> {
    let layer = format!("/{}", record.layer);
    let phase = scalar(
        format!("phase{layer}"),
        "0 Random-like, 1 Bleeding-out, 2 Bulk+Spikes, 3 Bulk-decay, 4 Heavy-tailed, 5 Rank-collapse",
        record.phase().map(|p| f64::from(p as u8)),
    );
    let curves = FIELDS.iter().filter_map(|f| curve(f, record, &layer));
    curves.chain(phase).chain([verdict_of(record)]).collect()
}

fn verdict_of(record: &Record) -> Value {
    Value {
        tag: format!("verdict/{}", record.layer),
        description: "the phase and its evidence".to_owned(),
        shown: Shown::Text(verdict(record)),
    }
}

/// The phase with its evidence, as Markdown.
fn verdict(record: &Record) -> String {
    let text = judged(record);
    match &record.carried {
        Some(carried) => format!("{text}\n\n{carried}"),
        None => text,
    }
}

fn judged(record: &Record) -> String {
    let Some(values) = record.values() else {
        let why = record.outcome.reason().unwrap_or_default();
        return format!("no spectrum: {why}");
    };
    let mut lines: Vec<String> = Vec::new();
    match values.phase {
        None => lines.push(format!(
            "no phase: {}",
            record.no_phase().unwrap_or_default()
        )),
        Some(phase) => {
            let mark = if values.is_questionable(DoubtSubject::Phase) {
                "?"
            } else {
                ""
            };
            let confidence = values.phase_confidence.unwrap_or(0.0);
            lines.push(format!(
                "**{phase}** ({}), probability {confidence:.2}{mark}",
                phase.letter()
            ));
        }
    }
    if let Some(alpha) = values.primary.alpha {
        let mark = if values.is_questionable(DoubtSubject::Alpha) {
            "?"
        } else {
            ""
        };
        lines.push(format!("α = {alpha:.2}{mark}"));
    }
    let evidence = values.phase_evidence.iter().map(|e| format!("- {e}"));
    let annotations = values.annotations.iter().map(|a| format!("- {a}"));
    let doubts = values
        .doubts
        .iter()
        .map(|d| format!("- {d}: {}", d.advice()));
    let list: Vec<String> = evidence.chain(annotations).chain(doubts).collect();
    if !list.is_empty() {
        lines.push(list.join("\n"));
    }
    lines.join("\n\n")
}

fn summary_values(summary: &Summary) -> Vec<Value> {
    let curves = SUMMARY_FIELDS.iter();
    curves.filter_map(|f| curve(f, summary, "")).collect()
}

fn scalar_values(reported: &Scalar) -> Vec<Value> {
    let tag = format!("training/{}", reported.name);
    scalar(tag, "as the training reported it", Some(reported.value))
        .into_iter()
        .collect()
}

fn notice_values(notice: &Notice) -> Vec<Value> {
    vec![Value {
        tag: "notices".to_owned(),
        description: "what the reader of the log should know".to_owned(),
        shown: Shown::Text(notice.event.to_string()),
    }]
}

fn alarm_values(alarm: &Alarm) -> Vec<Value> {
    vec![Value {
        tag: "alarms".to_owned(),
        description: "rules that began to hold, with their evidence".to_owned(),
        shown: Shown::Text(alarm.to_string()),
    }]
}

fn spectra_values(spectra: &[(String, Spectrum)]) -> Vec<Value> {
    let mut values = Vec::with_capacity(2 * spectra.len());
    for (layer, spectrum) in spectra {
        // Eigenvalues below this share of λmax are rounding errors.
        let floor = 1e-12 * spectrum.lambda_max();
        let all = spectrum.eigenvalues();
        let logs = all.iter().filter(|&&v| v > floor).map(|v| v.log10());
        values.push(Value {
            tag: format!("esd_x/{layer}"),
            description: "eigenvalues of X = WᵀW/N".to_owned(),
            shown: Shown::Histogram(bins(all)),
        });
        values.push(Value {
            tag: format!("esd_log10_x/{layer}"),
            description: "log₁₀ of the eigenvalues of X = WᵀW/N that are above 1e-12 λmax"
                .to_owned(),
            shown: Shown::Histogram(bins(&logs.collect::<Vec<f64>>())),
        });
    }
    values
}

const BINS: usize = 60;

/// A histogram of ascending values, with equal bins from the smallest to the largest. If all values
/// are equal, they are in the last bin, as in TensorBoard.
fn bins(ascending: &[f64]) -> Vec<[f64; 3]> {
    let (Some(&low), Some(&high)) = (ascending.first(), ascending.last()) else {
        return Vec::new();
    };
    let width = (high - low) / BINS as f64;
    let mut bins: Vec<[f64; 3]> = (0..BINS)
        .map(|i| [low + i as f64 * width, low + (i + 1) as f64 * width, 0.0])
        .collect();
    bins[BINS - 1][1] = high;
    for value in ascending {
        let bin = if width > 0.0 {
            ((value - low) / width) as usize
        } else {
            BINS
        };
        bins[bin.min(BINS - 1)][2] += 1.0;
    }
    bins
}

fn file_name(second: u64, whose: &str) -> String {
    format!("events.out.tfevents.{second:010}.{whose}.heavytail")
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |d| d.as_secs_f64())
}

/// Name of the machine, from the file or variables that hold it. `host` if there are none.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::env::var("HOSTNAME"))
        .or_else(|_| std::env::var("COMPUTERNAME"))
        .unwrap_or_default();
    let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let name: String = name.chars().filter(plain).collect();
    if name.is_empty() {
        "host".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Carried, LayerShape};

    #[test]
    fn a_carried_verdict_says_so() {
        let shape = LayerShape {
            name: "fc".to_owned(),
            shape: vec![2, 2],
        };
        let mut record = Record::failed("r", Stamp::from_epoch(5), 0, shape, "NaN");
        assert_eq!(verdict(&record), "no spectrum: NaN");
        record.carried = Some(Carried {
            from: Stamp::from_epoch(3),
            drift: 0.001,
            alpha_tolerance: 0.1,
            norm: 1.0,
        });
        let text = verdict(&record);
        assert!(text.ends_with("so α is within 0.10 for certain"), "{text}");
    }
}
