//! Epochs × layers: everything that a run recorded, in memory, and what it says over time.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use super::{Entry, LogReader};
use crate::error::{Error, Result};
use crate::phase::Phase;
use crate::record::{
    Alarm, End, Event, Header, Key, LayerShape, LeftOutLayer, Line, ModelLine, Notice, Record,
    Resumed, Scalar, Stamp, Summary, Values,
};

/// The records of a run: of the branch that lives, where it was resumed from an earlier moment.
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
    /// When other processes went on with the run.
    pub resumed: Vec<Resumed>,
    /// Observations of abandoned branches, in the order in which they were given up.
    pub abandoned: Vec<Stamp>,
    /// That it ended, unless it lives or was killed.
    pub end: Option<End>,
    layers: Vec<String>,
    model: Option<ModelLine>,
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
    /// Read a JSONL log. Lines that are damaged, and a last one that a crash has cut off, are left
    /// out, each with a notice.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is a log of another format.
    pub fn read_jsonl(path: impl AsRef<Path>) -> Result<Self> {
        let mut reader = LogReader::new(path.as_ref());
        let mut trajectory = Self::default();
        let progress = reader.read_on(|entry| trajectory.push_entry(entry))?;
        if progress.missing {
            let path = path.as_ref();
            std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
        }
        if progress.torn {
            trajectory.notice(Event::CutOffLine);
        }
        Ok(trajectory)
    }

    /// Add what a log's reader has found; damage becomes a notice.
    pub fn push_entry(&mut self, entry: Entry) {
        match entry {
            Entry::Line(line) => self.push(*line),
            Entry::Damaged { number, .. } => self.notice(Event::DamagedLine { number }),
        }
    }

    fn notice(&mut self, event: Event) {
        let run = self.run().to_owned();
        let epoch = None;
        self.push(Line::Notice(Notice { run, epoch, event }));
    }

    /// Whether a line says nothing new.
    pub(crate) fn has(&self, line: &Line) -> bool {
        !line.recurs() && self.seen.contains(&line.key())
    }

    /// Add a line. One that is there already, by its [key](Line::key), is left out.
    pub fn push(&mut self, line: Line) {
        if !self.seen.insert(line.key()) && !line.recurs() {
            return;
        }
        match line {
            Line::Header(header) => {
                self.header.get_or_insert(header);
                self.end = None;
            }
            Line::Model(model) => {
                self.left_out.clone_from(&model.left_out);
                self.model = Some(model);
                self.order_layers();
            }
            Line::Layer(record) => {
                self.add_layer(&record.layer);
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
            Line::Resumed(resumed) => self.resume(resumed),
            Line::End(end) => self.end = Some(end),
        }
    }

    fn add_layer(&mut self, name: &str) {
        if !self.layers.iter().any(|known| known == name) {
            self.layers.push(name.to_owned());
        }
    }

    /// The layers that have records, in the order in which they came, and the model's.
    fn order_layers(&mut self) {
        let model = self.model.iter().flat_map(|m| &m.layers);
        let model: Vec<&str> = model.map(|l| l.name.as_str()).collect();
        let recorded: HashSet<&str> = self.records.iter().map(|r| r.layer.as_str()).collect();
        self.layers
            .retain(|l| recorded.contains(l.as_str()) || model.contains(&l.as_str()));
        for name in model {
            if !self.layers.iter().any(|known| known == name) {
                self.layers.push(name.to_owned());
            }
        }
    }

    /// Whether anything was recorded that a resumed run may give up.
    pub(crate) fn has_begun(&self) -> bool {
        !self.records.is_empty() || !self.scalars.is_empty() || !self.alarms.is_empty()
    }

    /// Give up what came after the observation from which the run goes on.
    fn resume(&mut self, resumed: Resumed) {
        self.end = None;
        let gone = self.summaries.iter().map(|s| s.stamp);
        let gone: BTreeSet<Stamp> = gone.filter(|&stamp| !resumed.keeps(stamp)).collect();
        self.records.retain(|r| resumed.keeps(r.stamp));
        self.summaries.retain(|s| resumed.keeps(s.stamp));
        self.alarms.retain(|a| match a.stamp.step {
            0 => resumed.keeps_epoch(a.stamp.epoch),
            _ => resumed.keeps(a.stamp),
        });
        self.scalars.retain(|s| resumed.keeps_epoch(s.epoch));
        let keeps = |n: &Notice| n.epoch.is_none_or(|epoch| resumed.keeps_epoch(epoch));
        self.notices.retain(keeps);
        self.seen.retain(|key| resumed.keeps_key(key));
        self.abandoned.extend(gone);
        self.order_layers();
        self.resumed.push(resumed);
    }

    /// The last model line's layers.
    pub(crate) fn model(&self) -> Option<&[LayerShape]> {
        Some(&self.model.as_ref()?.layers)
    }

    /// The run as lines that tell the same: header, model, then everything by observation.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line> + '_ {
        let header = self.header.clone().map(Line::Header);
        let model = self.model.clone().map(Line::Model);
        let records = self.records.iter().cloned();
        let summaries = self.summaries.iter().cloned();
        // What a reader said about a file is not a part of the run.
        let of_reader = |e: &Event| matches!(e, Event::DamagedLine { .. });
        let notices = self.notices.iter().filter(move |n| !of_reader(&n.event));
        header
            .into_iter()
            .chain(model)
            // First, so that they give nothing up again.
            .chain(self.resumed.iter().cloned().map(Line::Resumed))
            .chain(records.map(|r| Line::Layer(Box::new(r))))
            .chain(summaries.map(|s| Line::Summary(Box::new(s))))
            .chain(self.scalars.iter().cloned().map(Line::Scalar))
            .chain(notices.cloned().map(Line::Notice))
            .chain(self.alarms.iter().cloned().map(Line::Alarm))
            .chain(self.end.iter().cloned().map(Line::End))
    }

    /// Seconds since 1970 of an observation, where the log tells.
    pub fn time_of(&self, stamp: Stamp) -> Option<f64> {
        let summary = self.summaries.iter().find(|s| s.stamp == stamp)?;
        summary.unix_time
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
        values.judge();
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
            let values = record.values_mut().unwrap();
            values.indeterminate = Some(true);
            values.judge();
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
        let t = Trajectory::read_jsonl(&path).unwrap();
        assert_eq!(t.records.len(), 2);
        assert_eq!(t.notices[0].event, Event::DamagedLine { number: 2 });
    }

    /// The first record as a line (its timing field differs between two analyses).
    fn record_like(_: &Line, t: &Trajectory) -> Line {
        Line::Layer(Box::new(t.records[0].clone()))
    }
}
