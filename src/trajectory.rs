//! Epochs × layers: everything that a run recorded, in memory, and what it says over time.

use std::collections::HashSet;
use std::path::Path;

use crate::error::{Error, Result};
use crate::phase::Phase;
use crate::record::{
    Alarm, Event, Header, Key, LeftOutLayer, Line, Notice, Record, SCHEMA, Scalar, Summary, Values,
    scan_lines,
};

/// The records of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trajectory {
    /// Who wrote it.
    pub header: Option<Header>,
    /// Tensors that are not analysed.
    pub left_out: Vec<LeftOutLayer>,
    /// One record for each layer and observation, in the order in which they came.
    pub records: Vec<Record>,
    /// One summary for each observation.
    pub summaries: Vec<Summary>,
    /// What the training reported.
    pub scalars: Vec<Scalar>,
    /// What a reader should know.
    pub notices: Vec<Notice>,
    /// The alarms that were raised.
    pub alarms: Vec<Alarm>,
    layers: Vec<String>,
    seen: HashSet<Key>,
}

/// A layer went from one phase to another and stayed there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The layer.
    pub layer: String,
    /// First epoch in the new phase.
    pub epoch: usize,
    /// The phase before.
    pub from: Phase,
    /// The phase since.
    pub to: Phase,
}

impl Trajectory {
    /// Read a JSONL log. A last line that was cut off by a crash is left out, with a notice.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or another line is not of this format.
    pub fn read_jsonl(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
        let mut trajectory = Self::default();
        let whole = scan_lines(path, &file, |number, text| {
            let bad = |cause: String| Error::format(path, Some(number), cause);
            let line: Line = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
            if let Line::Header(header) = &line
                && header.schema != SCHEMA
            {
                return Err(bad(format!(
                    "format {} of the log, this version reads {SCHEMA}",
                    header.schema
                )));
            }
            trajectory.push(line);
            Ok(())
        })?;
        let length = file.metadata().map_err(|e| Error::io(path, e))?.len();
        if whole < length {
            let run = trajectory.run().to_owned();
            trajectory.push(Line::Notice(Notice {
                run,
                epoch: None,
                event: Event::CutOffLine,
            }));
        }
        Ok(trajectory)
    }

    /// Add a line. One that is there already, by its [key](Line::key), is left out.
    pub fn push(&mut self, line: Line) {
        if !self.seen.insert(line.key()) {
            return;
        }
        match line {
            Line::Header(header) => {
                self.header.get_or_insert(header);
            }
            Line::Model(model) => {
                if self.layers.is_empty() {
                    self.layers = model.layers.into_iter().map(|l| l.name).collect();
                }
                self.left_out = model.left_out;
            }
            Line::Layer(record) => {
                if !self.layers.contains(&record.layer) {
                    self.layers.push(record.layer.clone());
                }
                self.records.push(*record);
            }
            Line::Full(line) => {
                let of = |r: &&mut Record| r.stamp == line.stamp && r.layer == line.layer;
                if let Some(record) = self.records.iter_mut().rev().find(of) {
                    record.deepen(&line.full);
                }
            }
            Line::Summary(summary) => self.summaries.push(*summary),
            Line::Scalar(scalar) => self.scalars.push(scalar),
            Line::Notice(notice) => self.notices.push(notice),
            Line::Alarm(alarm) => self.alarms.push(alarm),
        }
    }

    /// Name of the run, or nothing.
    pub fn run(&self) -> &str {
        self.header.as_ref().map_or("", |h| &h.run)
    }

    /// The analysed layers, in the model's order.
    pub fn layers(&self) -> &[String] {
        &self.layers
    }

    /// The observations of one layer, in order.
    pub fn layer<'a>(&'a self, layer: &'a str) -> impl Iterator<Item = &'a Record> + 'a {
        self.records.iter().filter(move |r| r.layer == layer)
    }

    /// One number of a layer over the epochs (steps within an epoch as fractions are not made: the
    /// first field is the epoch, the second the step).
    pub fn series<'a>(
        &'a self,
        layer: &'a str,
        value: impl Fn(&Values) -> Option<f64> + 'a,
    ) -> impl Iterator<Item = (usize, u64, f64)> + 'a {
        self.layer(layer).filter_map(move |r| {
            let v = value(r.values()?)?;
            Some((r.stamp.epoch, r.stamp.step, v))
        })
    }

    /// One scalar that the training reported, over the epochs.
    pub fn scalar<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (usize, f64)> + 'a {
        self.scalars
            .iter()
            .filter(move |s| s.name == name)
            .map(|s| (s.epoch, s.value))
    }

    /// The changes of phase of one layer that held for two determinate observations in a row. Verdicts
    /// that are indeterminate neither confirm a change nor break one, so that a layer that hovers between
    /// two phases has no transition until it has made up its mind.
    pub fn transitions(&self, layer: &str) -> Vec<Transition> {
        let mut hysteresis = Hysteresis::default();
        self.layer(layer)
            .filter_map(|record| hysteresis.see(record))
            .collect()
    }
}

/// One layer's phase, which changes only when a change is confirmed.
#[derive(Debug, Default)]
pub(crate) struct Hysteresis {
    current: Option<Phase>,
    candidate: Option<(usize, Phase)>,
}

impl Hysteresis {
    /// The change that this record confirms.
    pub(crate) fn see(&mut self, record: &Record) -> Option<Transition> {
        let phase = record.phase().filter(|_| record.is_determinate())?;
        match (self.current, self.candidate) {
            (None, _) => self.current = Some(phase),
            (Some(from), _) if phase == from => self.candidate = None,
            (Some(from), Some((epoch, to))) if phase == to => {
                self.current = Some(to);
                self.candidate = None;
                return Some(Transition {
                    layer: record.layer.clone(),
                    epoch,
                    from,
                    to,
                });
            }
            _ => self.candidate = Some((record.stamp.epoch, phase)),
        }
        None
    }
}

impl FromIterator<Line> for Trajectory {
    fn from_iter<I: IntoIterator<Item = Line>>(lines: I) -> Self {
        let mut trajectory = Self::default();
        for line in lines {
            trajectory.push(line);
        }
        trajectory
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::analyze;
    use crate::config::Config;
    use crate::matrix::WeightMatrix;
    use crate::record::Stamp;

    /// A record whose phase is set by hand.
    fn record(epoch: usize, phase: Phase) -> Line {
        let w = WeightMatrix::new(
            "fc",
            40,
            20,
            (0..800)
                .map(|i| ((i * 37) % 101) as f64 - 50.0)
                .collect::<Vec<_>>(),
        )
        .unwrap();
        let report = analyze(&w, &Config::live()).unwrap();
        let stamp = Stamp {
            epoch,
            step: epoch as u64 * 10,
        };
        let mut record = Record::success("r", stamp, 0, &report);
        let values = record.values_mut().unwrap();
        values.phase = Some(phase);
        values.indeterminate = Some(false);
        Line::Layer(Box::new(record))
    }

    #[test]
    fn a_transition_must_hold() {
        use Phase::*;
        let phases = [
            RandomLike,
            RandomLike,
            BulkDecay,
            RandomLike,
            BulkPlusSpikes,
            BulkPlusSpikes,
        ];
        let t: Trajectory = phases
            .iter()
            .enumerate()
            .map(|(e, &p)| record(e, p))
            .collect();
        let transitions = t.transitions("fc");
        assert_eq!(transitions.len(), 1);
        assert_eq!(
            (transitions[0].epoch, transitions[0].to),
            (4, BulkPlusSpikes)
        );
    }

    #[test]
    fn an_indeterminate_verdict_neither_confirms_nor_breaks() {
        use Phase::*;
        let doubtful = |epoch, phase| {
            let Line::Layer(mut record) = record(epoch, phase) else {
                unreachable!()
            };
            record.values_mut().unwrap().indeterminate = Some(true);
            Line::Layer(record)
        };
        let t: Trajectory = [
            record(0, RandomLike),
            record(1, BleedingOut),
            doubtful(2, BulkPlusSpikes),
            record(3, BleedingOut),
            doubtful(4, BulkDecay),
            doubtful(5, BulkDecay),
        ]
        .into_iter()
        .collect();
        let transitions = t.transitions("fc");
        assert_eq!(transitions.len(), 1, "{transitions:?}");
        assert_eq!((transitions[0].epoch, transitions[0].to), (1, BleedingOut));
    }

    #[test]
    fn a_torn_log_is_read_and_duplicates_count_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        let line = serde_json::to_string(&record(1, Phase::RandomLike)).unwrap();
        let other = serde_json::to_string(&record(2, Phase::RandomLike)).unwrap();
        std::fs::write(&path, format!("{line}\n{line}\n{}", &other[..40])).unwrap();
        let t = Trajectory::read_jsonl(&path).unwrap();
        assert_eq!((t.records.len(), t.notices.len()), (1, 1));
        let back: Line = serde_json::from_str(&line).unwrap();
        assert_eq!(back, record_like(&back, &t));

        std::fs::write(&path, format!("{line}\nnonsense\n{other}\n")).unwrap();
        let error = Trajectory::read_jsonl(&path).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }

    /// The first record as a line (its timing field differs between two analyses).
    fn record_like(_: &Line, t: &Trajectory) -> Line {
        Line::Layer(Box::new(t.records[0].clone()))
    }
}
