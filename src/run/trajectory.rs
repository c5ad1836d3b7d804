//! The trajectory of a run: all its records in memory, by epoch and layer, and the phase
//! transitions in them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::{LogEntry, LogReader};
use crate::error::{Error, Result};
use crate::phase::Phase;
use crate::record::{
    Alarm, End, Event, Header, Key, LayerShape, Line, ModelLine, Notice, Record, Resumed, Scalar,
    SkippedLayer, Stamp, Summary, Values,
};

/// The records of a run. After a resume from an earlier observation, it holds the current branch
/// only.
///
/// Records, summaries and other lines are in the order of the log. Finding the records of a layer,
/// or the summary of an observation, takes constant time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trajectory {
    header: Option<Header>,
    model: Option<ModelLine>,
    records: Vec<Record>,
    summaries: Vec<Summary>,
    scalars: Vec<Scalar>,
    notices: Vec<Notice>,
    alarms: Vec<Alarm>,
    resumed: Vec<Resumed>,
    abandoned: Vec<Stamp>,
    end: Option<End>,
    layers: Vec<String>,
    /// Indices into `records` by layer, in order.
    by_layer: HashMap<String, Vec<usize>>,
    /// Indices into `summaries` by observation.
    by_stamp: HashMap<Stamp, usize>,
    seen: HashSet<Key>,
}

/// A layer changed from one phase to another, and two observations confirmed the change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// Name of the layer.
    pub layer: String,
    /// First epoch in the new phase.
    pub epoch: usize,
    /// The phase before.
    pub from: Phase,
    /// The new phase.
    pub to: Phase,
}

impl Trajectory {
    /// Reads a JSONL log. It leaves out damaged lines and an incomplete last line, and adds a
    /// notice for each.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is a log of an unsupported format.
    pub fn read_jsonl(path: impl AsRef<Path>) -> Result<Self> {
        let mut reader = LogReader::new(path.as_ref());
        let mut trajectory = Self::default();
        let progress = reader.read_new_lines(|entry| trajectory.push_entry(entry))?;
        if progress.missing {
            let path = path.as_ref();
            std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
        }
        if progress.torn {
            trajectory.notice(Event::CutOffLine);
        }
        Ok(trajectory)
    }

    /// Adds a line that a [`LogReader`] read. A damaged line becomes a notice.
    pub fn push_entry(&mut self, entry: LogEntry) {
        match entry {
            LogEntry::Line(line) => self.push(*line),
            LogEntry::Damaged { number, .. } => self.notice(Event::DamagedLine { number }),
        }
    }

    fn notice(&mut self, event: Event) {
        let run = self.run().to_owned();
        let epoch = None;
        self.push(Line::Notice(Notice { run, epoch, event }));
    }

    /// Whether the line is a duplicate.
    pub(crate) fn has(&self, line: &Line) -> bool {
        !line.may_repeat() && self.seen.contains(&line.key())
    }

    /// Adds a line. A duplicate, by its [key](Line::key), is left out.
    pub fn push(&mut self, line: Line) {
        if !self.seen.insert(line.key()) && !line.may_repeat() {
            return;
        }
        match line {
            Line::Header(header) => {
                self.header.get_or_insert(header);
                self.end = None;
            }
            Line::Model(model) => {
                self.model = Some(model);
                self.order_layers();
            }
            Line::Layer(record) => {
                self.add_layer(&record.layer);
                let positions = self.by_layer.entry(record.layer.clone()).or_default();
                positions.push(self.records.len());
                self.records.push(*record);
            }
            Line::Full(line) => {
                if let Some(position) = self.position(&line.layer, line.stamp) {
                    self.records[position].add_full_analysis(&line.full);
                }
            }
            Line::Summary(summary) => {
                self.by_stamp.insert(summary.stamp, self.summaries.len());
                self.summaries.push(*summary);
            }
            Line::Scalar(scalar) => self.scalars.push(scalar),
            Line::Notice(notice) => self.notices.push(notice),
            Line::Alarm(alarm) => self.alarms.push(alarm),
            Line::Resumed(resumed) => self.resume(resumed),
            Line::End(end) => self.end = Some(end),
        }
    }

    fn add_layer(&mut self, name: &str) {
        let is_new = !self.by_layer.contains_key(name);
        if is_new && !self.layers.iter().any(|known| known == name) {
            self.layers.push(name.to_owned());
        }
    }

    /// Index of the record of a layer at an observation.
    fn position(&self, layer: &str, stamp: Stamp) -> Option<usize> {
        let positions = self.by_layer.get(layer)?;
        let is_at = |&&at: &&usize| self.records[at].stamp == stamp;
        positions.iter().rev().find(is_at).copied()
    }

    /// Recomputes the indices, after records or summaries were removed.
    fn index(&mut self) {
        self.by_layer.clear();
        for (at, record) in self.records.iter().enumerate() {
            let positions = self.by_layer.entry(record.layer.clone()).or_default();
            positions.push(at);
        }
        let stamps = self.summaries.iter().enumerate();
        self.by_stamp = stamps.map(|(at, summary)| (summary.stamp, at)).collect();
    }

    /// Orders `layers`: first the layers with records, in the order of the log, then the others of
    /// the model.
    fn order_layers(&mut self) {
        let model = self.model.iter().flat_map(|m| &m.layers);
        let model: Vec<&str> = model.map(|l| l.name.as_str()).collect();
        let in_model: HashSet<&str> = model.iter().copied().collect();
        let recorded = &self.by_layer;
        self.layers
            .retain(|l| recorded.contains_key(l) || in_model.contains(l.as_str()));
        let known: HashSet<&str> = self.layers.iter().map(String::as_str).collect();
        let mut new: Vec<&str> = model.into_iter().filter(|l| !known.contains(l)).collect();
        let mut named = HashSet::new();
        new.retain(|&name| named.insert(name));
        let new: Vec<String> = new.into_iter().map(str::to_owned).collect();
        self.layers.extend(new);
    }

    /// Whether there is anything that a resumed run may discard.
    pub(crate) fn has_data(&self) -> bool {
        !self.records.is_empty() || !self.scalars.is_empty() || !self.alarms.is_empty()
    }

    /// Discards everything after the observation from which the run continues.
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
        self.index();
        self.order_layers();
        self.resumed.push(resumed);
    }

    /// The layers of the last model line.
    pub(crate) fn model(&self) -> Option<&[LayerShape]> {
        Some(&self.model.as_ref()?.layers)
    }

    /// The run as lines, from which an equal trajectory can be built. They are ordered by kind.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line> + '_ {
        let header = self.header.clone().map(Line::Header);
        let model = self.model.clone().map(Line::Model);
        let records = self.records.iter().cloned();
        let summaries = self.summaries.iter().cloned();
        // A notice about a damaged line describes the file, not the run.
        let of_reader = |e: &Event| matches!(e, Event::DamagedLine { .. });
        let notices = self.notices.iter().filter(move |n| !of_reader(&n.event));
        header
            .into_iter()
            .chain(model)
            // Before the records, so that they discard nothing when the lines are read.
            .chain(self.resumed.iter().cloned().map(Line::Resumed))
            .chain(records.map(|r| Line::Layer(Box::new(r))))
            .chain(summaries.map(|s| Line::Summary(Box::new(s))))
            .chain(self.scalars.iter().cloned().map(Line::Scalar))
            .chain(notices.cloned().map(Line::Notice))
            .chain(self.alarms.iter().cloned().map(Line::Alarm))
            .chain(self.end.iter().cloned().map(Line::End))
    }

    /// The log's header. None if the log has none.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Name of the run. Empty if the log has no header.
    pub fn run(&self) -> &str {
        self.header.as_ref().map_or("", |h| &h.run)
    }

    /// Names of the analysed layers, in the model's order.
    pub fn layers(&self) -> &[String] {
        &self.layers
    }

    /// The tensors that are not analysed, with reasons.
    pub fn skipped(&self) -> &[SkippedLayer] {
        self.model.as_ref().map_or(&[], |m| &m.skipped)
    }

    /// The records in the order of the log, one for each layer and observation.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    #[cfg(feature = "report")]
    pub(crate) fn records_mut(&mut self) -> &mut [Record] {
        &mut self.records
    }

    /// The records of one layer, in the order of the log.
    pub fn layer<'a>(
        &'a self,
        layer: &str,
    ) -> impl DoubleEndedIterator<Item = &'a Record> + Clone + use<'a> {
        let positions = self.by_layer.get(layer).map_or(&[][..], Vec::as_slice);
        positions.iter().map(|&at| &self.records[at])
    }

    /// The record of a layer at one observation.
    pub fn record(&self, layer: &str, stamp: Stamp) -> Option<&Record> {
        Some(&self.records[self.position(layer, stamp)?])
    }

    /// The stamps of all observations, in ascending order.
    pub fn stamps(&self) -> Vec<Stamp> {
        let all: BTreeSet<Stamp> = self.records.iter().map(|r| r.stamp).collect();
        all.into_iter().collect()
    }

    /// The summaries in the order of the log, one for each observation.
    pub fn summaries(&self) -> &[Summary] {
        &self.summaries
    }

    /// The summary of one observation.
    pub fn summary(&self, stamp: Stamp) -> Option<&Summary> {
        Some(&self.summaries[*self.by_stamp.get(&stamp)?])
    }

    /// Time of an observation, in seconds since 1970. None if the log does not have it.
    pub fn time_of(&self, stamp: Stamp) -> Option<f64> {
        self.summary(stamp)?.unix_time
    }

    /// The numbers that the training reported.
    pub fn scalars(&self) -> &[Scalar] {
        &self.scalars
    }

    /// Events that the reader should know.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The alarms that were raised.
    pub fn alarms(&self) -> &[Alarm] {
        &self.alarms
    }

    /// The resumptions of the run by other processes.
    pub fn resumed(&self) -> &[Resumed] {
        &self.resumed
    }

    /// The discarded observations of abandoned branches, in the order in which they were discarded.
    pub fn abandoned(&self) -> &[Stamp] {
        &self.abandoned
    }

    /// How the run ended. None while it is running, and after the process was killed.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// The values of one number of a layer, as (epoch, step, value). Observations without the
    /// number are left out.
    pub fn series<'a>(
        &'a self,
        layer: &str,
        value: impl Fn(&Values) -> Option<f64> + 'a,
    ) -> impl Iterator<Item = (usize, u64, f64)> {
        self.layer(layer).filter_map(move |r| {
            let v = value(r.values()?)?;
            Some((r.stamp.epoch, r.stamp.step, v))
        })
    }

    /// The values of one scalar that the training reported, as (epoch, value).
    pub fn scalar<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (usize, f64)> + 'a {
        self.scalars
            .iter()
            .filter(move |s| s.name == name)
            .map(|s| (s.epoch, s.value))
    }

    /// The confirmed phase changes of one layer. A change is confirmed by two determinate
    /// observations in a row. Indeterminate observations neither confirm nor break a change. A
    /// layer that alternates between two phases therefore has no transition.
    pub fn transitions(&self, layer: &str) -> Vec<Transition> {
        let mut hysteresis = PhaseTracker::default();
        self.layer(layer)
            .filter_map(|record| hysteresis.see(record))
            .collect()
    }
}

/// The confirmed phase of one layer, and a change that is not confirmed yet.
#[derive(Debug, Default)]
pub(crate) struct PhaseTracker {
    current: Option<Phase>,
    candidate: Option<(usize, Phase)>,
}

impl PhaseTracker {
    /// Adds a record. Returns the change that it confirms.
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

    /// A record with a given phase.
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
        values.update_doubts();
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
            values.update_doubts();
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
        let written = record(1, Phase::RandomLike);
        let line = serde_json::to_string(&written).unwrap();
        let other = serde_json::to_string(&record(2, Phase::RandomLike)).unwrap();
        std::fs::write(&path, format!("{line}\n{line}\n{}", &other[..40])).unwrap();
        let t = Trajectory::read_jsonl(&path).unwrap();
        assert_eq!((t.records.len(), t.notices.len()), (1, 1));
        assert_eq!(Line::Layer(Box::new(t.records[0].clone())), written);

        std::fs::write(&path, format!("{line}\nnonsense\n{other}\n")).unwrap();
        let t = Trajectory::read_jsonl(&path).unwrap();
        assert_eq!(t.records.len(), 2);
        assert_eq!(t.notices[0].event, Event::DamagedLine { number: 2 });
    }

    #[test]
    fn look_ups_find_what_a_scan_finds() {
        let mut t: Trajectory = (0..5)
            .flat_map(|e| {
                let Line::Layer(mut other) = record(e, Phase::BulkDecay) else {
                    unreachable!()
                };
                other.layer = "conv".into();
                [record(e, Phase::RandomLike), Line::Layer(other)]
            })
            .collect();
        let check = |t: &Trajectory, epochs: usize| {
            assert_eq!(t.records().len(), 2 * epochs);
            assert_eq!(t.stamps().len(), epochs);
            for layer in ["fc", "conv"] {
                let scan: Vec<&Record> = t.records().iter().filter(|r| r.layer == layer).collect();
                assert_eq!(t.layer(layer).collect::<Vec<_>>(), scan);
                for one in scan {
                    assert_eq!(t.record(layer, one.stamp), Some(one));
                }
            }
            assert_eq!(t.layer("fc9").count(), 0);
        };
        check(&t, 5);
        let resumed = Resumed {
            run: "r".into(),
            from: Stamp { epoch: 2, step: 20 },
            anew: false,
            unix_time: 0.0,
        };
        t.push(Line::Resumed(resumed));
        check(&t, 3);
        t.push(record(3, Phase::BleedingOut));
        assert_eq!(t.layer("fc").count(), 4);
        let stamp = Stamp { epoch: 3, step: 30 };
        assert_eq!(
            t.record("fc", stamp).unwrap().phase(),
            Some(Phase::BleedingOut)
        );
        assert_eq!(t.record("conv", stamp), None);
    }
}
