//! Shows a run in the terminal: a progress bar, and a table after each epoch.

use std::collections::BTreeMap;

use burn::train::{
    logger::{EvaluationProgressLogger, TrainingProgressLogger},
    metric::MetricDefinition,
    renderer::{
        EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
        MetricsRendererTraining,
    },
};
use heavytail::record::{DoubtSubject, Line, Record};
use heavytail::sink::Sink;
use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar over all epochs. burn's learner updates it.
#[derive(Clone)]
pub struct Screen {
    bar: ProgressBar,
    epochs: usize,
    epoch: usize,
    split: String,
    /// The number of training items in the finished epochs.
    before: usize,
}

impl Screen {
    pub fn new() -> Self {
        let style = ProgressStyle::with_template("{bar:32} {percent:>3}%  {msg}  ETA {eta}")
            .expect("a valid template");
        Self {
            bar: ProgressBar::new(0).with_style(style),
            epochs: 0,
            epoch: 1,
            split: String::new(),
            before: 0,
        }
    }

    /// Prints a text above the bar.
    pub fn print(&self, text: &str) {
        self.bar.suspend(|| println!("{text}"));
    }
}

impl TrainingProgressLogger for Screen {
    fn start(&mut self, epochs: usize, first: usize, _: Option<usize>, _: Option<&str>) {
        self.epochs = epochs;
        self.epoch = first;
    }

    fn start_split(&mut self, split: &str, items: usize) {
        self.split = split.to_owned();
        if split == "train" {
            self.bar.set_length((items * self.epochs) as u64);
            self.before = items * (self.epoch - 1);
        }
        self.bar
            .set_message(format!("epoch {}/{} {split}", self.epoch, self.epochs));
    }

    fn update_split(&mut self, items: usize) {
        if self.split == "train" {
            self.bar.set_position((self.before + items) as u64);
        }
    }

    fn end_split(&mut self) {}

    fn update_epoch(&mut self, epoch: usize) {
        self.epoch = epoch + 1;
    }

    fn end(&mut self) {
        self.bar.finish_and_clear();
    }

    fn log_event_training(&mut self, _: String) {}
}

impl MetricsRendererTraining for Screen {
    fn update_train(&mut self, _: MetricState) {}
    fn update_valid(&mut self, _: MetricState) {}
}

impl MetricsRendererEvaluation for Screen {
    fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
}

impl EvaluationProgressLogger for Screen {
    fn start_global_progress(&mut self, _: usize) {}
    fn start_test(&mut self, _: &str, _: usize) {}
    fn update_test_progress(&mut self, _: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _: String) {}
}

impl MetricsRenderer for Screen {
    fn manual_close(&mut self) {}
    fn register_metric(&mut self, _: MetricDefinition) {}
}

/// A sink that prints the layers of each epoch once the epoch's loss and accuracy are known.
pub struct Table {
    screen: Screen,
    epochs: BTreeMap<usize, Epoch>,
}

/// The results of an epoch that are known so far.
#[derive(Default)]
struct Epoch {
    scalars: Vec<String>,
    rows: Vec<Record>,
    analysed: bool,
    validated: bool,
}

impl Table {
    pub fn new(screen: Screen) -> Self {
        Self {
            screen,
            epochs: BTreeMap::new(),
        }
    }

    fn print_if_complete(&mut self, epoch: usize) {
        let ready = |e: &Epoch| e.analysed && (e.validated || epoch == 0);
        if self.epochs.get(&epoch).is_some_and(ready)
            && let Some(data) = self.epochs.remove(&epoch)
        {
            let title = match epoch {
                0 => "initial weights".to_owned(),
                _ => format!("epoch {epoch}: {}", data.scalars.join(", ")),
            };
            self.screen
                .print(&format!("\n{title}\n{}", table(&data.rows)));
        }
    }
}

/// A table with one line for each layer: shape, α ± σ, α̂ (WeightWatcher's convention), spikes,
/// phase.
pub fn table(records: &[Record]) -> String {
    let mut text = format!(
        "  {:<14} {:<16} {:>13} {:>14} {:>7}  {}",
        "layer", "shape", "α ± σ", "α·log10 λmax", "spikes", "phase"
    );
    for record in records {
        let shape = format!("{:?}", record.shape);
        let Some(v) = record.values() else {
            let (status, why) = (record.outcome.status(), record.no_phase());
            let why = why.unwrap_or_default();
            text += &format!("\n  {:<14} {shape:<16} {status}: {why}", record.layer);
            continue;
        };
        let mark = |subject| if v.is_questionable(subject) { "?" } else { "" };
        let number = |x: Option<f64>| x.map_or("–".to_owned(), |x| format!("{x:.2}"));
        let alpha = match (v.primary.alpha, v.primary.sigma) {
            (Some(alpha), Some(sigma)) => {
                format!("{alpha:.2}{} ± {sigma:.2}", mark(DoubtSubject::Alpha))
            }
            _ => "–".to_owned(),
        };
        let spikes = v.num_spikes.map_or("–".to_owned(), |k| k.to_string());
        let phase = match v.phase {
            Some(phase) => format!("{phase}{}", mark(DoubtSubject::Phase)),
            None => record.no_phase().unwrap_or_default().to_string(),
        };
        text += &format!(
            "\n  {:<14} {shape:<16} {alpha:>13} {:>14} {spikes:>7}  {phase}",
            record.layer,
            number(v.primary.alpha_weighted),
        );
    }
    text
}

impl Sink for Table {
    fn line(&mut self, line: &Line) -> heavytail::Result<()> {
        match line {
            Line::Layer(record) => {
                let rows = &mut self.epochs.entry(record.stamp.epoch).or_default().rows;
                rows.push((**record).clone());
            }
            Line::Summary(summary) => {
                let epoch = summary.stamp.epoch;
                self.epochs.entry(epoch).or_default().analysed = true;
                self.print_if_complete(epoch);
            }
            Line::Scalar(scalar) => {
                let epoch = self.epochs.entry(scalar.epoch).or_default();
                let unit = if scalar.name.ends_with("accuracy") {
                    " %"
                } else {
                    ""
                };
                epoch
                    .scalars
                    .push(format!("{} {:.3}{unit}", scalar.name, scalar.value));
                // burn reports metrics in alphabetical order, so the loss is the last.
                epoch.validated |= scalar.name == "valid loss";
                self.print_if_complete(scalar.epoch);
            }
            Line::Notice(notice) => self.screen.print(&format!("note: {}", notice.event)),
            _ => {}
        }
        Ok(())
    }
}
