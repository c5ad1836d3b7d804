//! One or several runs as a self-contained HTML report. `report.html` opens from disk, needs no
//! network and no port, and can be sent by mail.
//!
//! The report states which layer changed its phase, when, and how certain the change is. It shows a
//! timeline of phases. A click on a tile shows the layer's spectral density at that epoch, with the
//! fits, the numbers, their doubts and the evidence. The report of a running run reloads itself.
//!
//! | function | for |
//! |---|---|
//! | [`HtmlSink`] | a running run: a [`Monitor`](crate::Monitor) with a folder has one |
//! | [`write`](write()) | the folders of finished or running runs |
//! | [`html`] | other uses; it writes no file |
//!
//! ```no_run
//! heavytail::report::write(&["runs/a".into(), "runs/b".into()], "comparison.html")?;
//! # Ok::<(), heavytail::Error>(())
//! ```
//!
//! # When it misleads
//!
//! Numbers have four significant digits, and large spectra are sampled. The report has a note where
//! that is the case. For computations, use `log.jsonl` and `spectra/`, not the report.

mod cell;
mod citations;
mod colors;
mod data;
mod esd;
mod noscript;
mod page_budget;
mod run_summary;
mod sink;
mod svg;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path, PathBuf};

use minijinja::{Environment, Value, context};
use serde::Serialize;

use self::data::Data;
use self::esd::Esd;
pub use self::sink::HtmlSink;
use crate::error::{Error, Result, chain};
use crate::files::write_atomically;
use crate::record::{Event, Line, Notice, Record, Stamp};
use crate::run::{RunDir, RunState, Trajectory};
use crate::sink::{read_spectra, stamp_of};
use crate::spectrum::Spectrum;

const TEMPLATE: &str = include_str!("page/report.html");
const STYLE: &str = include_str!("page/report.css");
/// The parts of the page's script, in this order.
const SCRIPTS: [&str; 8] = [
    include_str!("page/core.js"),
    include_str!("page/chart.js"),
    include_str!("page/timeline.js"),
    include_str!("page/density.js"),
    include_str!("page/course.js"),
    include_str!("page/verdict.js"),
    include_str!("page/table.js"),
    include_str!("page/app.js"),
];

/// A run for the report.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Run {
    /// Name of the run in the report.
    pub name: String,
    /// Records of the run.
    pub trajectory: Trajectory,
    /// State of the run. The report reloads itself unless the run is over.
    pub state: RunState,
    /// URL of the log, relative to the report. None if there is no log.
    pub log: Option<String>,
    spectra: BTreeMap<Stamp, BTreeMap<String, Esd>>,
}

impl Run {
    /// A run without records.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// Reads a run from its folder: `log.jsonl`, and `spectra/` if it exists. A file of spectra
    /// that cannot be read is left out, with a notice.
    ///
    /// # Errors
    ///
    /// If the log cannot be read.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self> {
        let dir = RunDir::new(folder.as_ref());
        let trajectory = dir.read()?;
        let mut run = Self::new(trajectory.run());
        run.state = dir.state_of(&trajectory);
        run.trajectory = trajectory;
        run.trajectory.records_mut().iter_mut().for_each(strip);
        let Ok(files) = std::fs::read_dir(dir.spectra()) else {
            return Ok(run);
        };
        let stamps: HashSet<Stamp> = run.trajectory.records().iter().map(|r| r.stamp).collect();
        for path in files.filter_map(|entry| Some(entry.ok()?.path())) {
            let Some(stamp) = stamp_of(&path).filter(|stamp| stamps.contains(stamp)) else {
                continue;
            };
            match read_spectra(&path) {
                Ok(spectra) => run.observe(stamp, &spectra),
                Err(error) => run.push(Line::Notice(Notice {
                    run: run.name.clone(),
                    epoch: Some(stamp.epoch),
                    event: Event::NoSpectra {
                        message: chain(&error),
                    },
                })),
            }
        }
        Ok(run)
    }

    /// Whether the run has ended or died.
    pub fn is_over(&self) -> bool {
        matches!(self.state, RunState::Ended | RunState::Died)
    }

    /// Adds a line of the run's log.
    pub fn push(&mut self, mut line: Line) {
        match &mut line {
            Line::Layer(record) => strip(record),
            Line::Resumed(resumed) => self.spectra.retain(|&stamp, _| resumed.keeps(stamp)),
            _ => {}
        }
        self.trajectory.push(line);
    }

    /// Adds the eigenvalues of one observation, by layer. At most 264 numbers of each spectrum are
    /// kept.
    pub fn observe(&mut self, stamp: Stamp, spectra: &[(String, Spectrum)]) {
        let sampled = spectra
            .iter()
            .map(|(layer, s)| (layer.clone(), Esd::new(s)));
        self.spectra.entry(stamp).or_default().extend(sampled);
    }
}

/// Removes slices. The report does not use them, and they are the largest part of a convolution's
/// record.
fn strip(record: &mut Record) {
    if let Some(values) = record.values_mut() {
        values.slices = Vec::new();
        values.pooled = None;
    }
}

/// The data of one run in the template, for readers without a script.
#[derive(Serialize)]
struct NoScript<'a> {
    name: &'a str,
    headline: run_summary::Sentence,
    sentences: Vec<run_summary::Sentence>,
    log: Option<String>,
    timeline: Value,
    rows: &'a [noscript::Row],
    note: Option<&'a str>,
    alarms: Vec<String>,
    notices: Vec<String>,
}

/// The report of these runs, side by side.
///
/// # Errors
///
/// If the records cannot be serialised. Records of a monitor always can.
pub fn html(runs: &[Run]) -> Result<String> {
    let page = Path::new("report.html");
    let data = Data::new(runs).map_err(|e| Error::encoding(page, e))?;
    let json = data.json().map_err(|e| Error::encoding(page, e))?;
    let runs_without_script = runs.iter().zip(&data.fallbacks);
    let runs_without_script: Vec<NoScript<'_>> = runs_without_script
        .map(|(run, fallback)| noscript(run, fallback))
        .collect();
    let mut environment = Environment::new();
    environment
        .add_template("report.html", TEMPLATE)
        .map_err(|e| Error::encoding(page, e))?;
    let names: Vec<&str> = runs.iter().map(|r| r.name.as_str()).collect();
    let (status, status_class) = if !runs.iter().all(Run::is_over) {
        ("running", "live")
    } else if runs.iter().any(|r| r.state == RunState::Died) {
        ("killed before its end", "stale")
    } else {
        ("finished", "")
    };
    let content = context! {
        title => names.join(", "),
        done => runs.iter().all(Run::is_over),
        status => status,
        status_class => status_class,
        runs => runs_without_script,
        sources => citations::sources(runs),
        glossary => run_summary::glossary(),
        notes => &data.notes,
        version => env!("CARGO_PKG_VERSION"),
        style => Value::from_safe_string(colors::style() + STYLE),
        script => Value::from_safe_string(SCRIPTS.concat()),
        json => Value::from_safe_string(json),
    };
    environment
        .get_template("report.html")
        .and_then(|template| template.render(content))
        .map_err(|e| Error::encoding(page, e))
}

fn noscript<'a>(run: &'a Run, fallback: &'a noscript::Fallback) -> NoScript<'a> {
    // The log has all notices and alarms.
    const NOTICES: usize = 20;
    const ALARMS: usize = 200;
    let all = run.trajectory.alarms();
    let earlier = all.len().saturating_sub(ALARMS);
    let earlier_are = (earlier > 0).then(|| format!("{earlier} earlier ones are in the log"));
    let alarms = all[earlier..].iter().map(ToString::to_string);
    let notices = run.trajectory.notices().iter().rev().take(NOTICES);
    NoScript {
        name: &run.name,
        headline: run_summary::headline(run),
        sentences: run_summary::summary(run),
        log: run.log.clone(),
        timeline: Value::from_safe_string(fallback.timeline.clone()),
        rows: &fallback.rows,
        note: fallback.note.as_deref(),
        alarms: earlier_are.into_iter().chain(alarms).collect(),
        notices: notices.map(ToString::to_string).collect(),
    }
}

/// The folder of a run, with an optional name.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Path of the folder, which holds `log.jsonl`.
    pub path: PathBuf,
    /// Name of the run in the report. The default is the name in the log.
    pub name: Option<String>,
}

impl<P: Into<PathBuf>> From<P> for Folder {
    fn from(path: P) -> Self {
        Self {
            path: path.into(),
            name: None,
        }
    }
}

/// Writes the report of the runs in these folders. The file is complete or absent. [`Run::read`]
/// determines whether a run is over. The report of a run that is not over reloads itself, but only
/// its monitor's `report.html` is updated.
///
/// # Errors
///
/// If a folder has no log, a log cannot be read, or the report cannot be written.
pub fn write(folders: &[Folder], out: impl AsRef<Path>) -> Result<()> {
    let out = out.as_ref();
    let mut runs = Vec::new();
    for folder in folders {
        let mut run = Run::read(&folder.path)?;
        run.log = relative(out, &RunDir::new(&folder.path).log());
        if let Some(name) = &folder.name {
            run.name.clone_from(name);
        }
        runs.push(run);
    }
    disambiguate(folders, &mut runs);
    write_atomically(out, html(&runs)?.as_bytes())
}

/// Appends the folder's name to runs with the same name, or without one.
fn disambiguate(folders: &[Folder], runs: &mut [Run]) {
    let names: Vec<String> = runs.iter().map(|r| r.name.clone()).collect();
    for (i, (folder, run)) in folders.iter().zip(runs).enumerate() {
        let mut others = names.iter().enumerate().filter(|(j, _)| *j != i);
        let twin = others.any(|(_, name)| *name == run.name);
        if let (true, Some(name)) = (twin || run.name.is_empty(), folder.path.file_name()) {
            let name = name.to_string_lossy();
            run.name = format!("{} ({name})", run.name).trim_start().to_owned();
        }
    }
}

/// The URL of a file relative to a page. None if there is none, or if one of the paths does not
/// exist.
fn relative(page: &Path, file: &Path) -> Option<String> {
    let base = match page.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let (base, file) = (base.canonicalize().ok()?, file.canonicalize().ok()?);
    let shared = base.components().zip(file.components());
    let shared = shared.take_while(|(a, b)| a == b).count();
    // Paths on different drives have no relative path.
    if shared == 0 {
        return None;
    }
    let up = base.components().skip(shared).map(|_| Cow::from(".."));
    let down = file.components().skip(shared).filter_map(|c| match c {
        Component::Normal(name) => Some(escaped(&name.to_string_lossy()).into()),
        _ => None,
    });
    let steps: Vec<Cow<'_, str>> = std::iter::once(Cow::from("."))
        .chain(up)
        .chain(down)
        .collect();
    Some(steps.join("/"))
}

/// Escapes a name for a URL.
fn escaped(name: &str) -> String {
    let mut url = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                url.push(char::from(byte));
            }
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

#[cfg(test)]
mod tests;
