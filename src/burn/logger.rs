//! A metric logger for burn that also writes to the monitor's log.

use std::collections::HashMap;
use std::path::Path;

use ::burn::train::logger::{FileMetricLogger, MetricLogger};
use ::burn::train::metric::store::{EpochSummary, MetricsUpdate, Split};
use ::burn::train::metric::{MetricDefinition, MetricId, NumericEntry};

use crate::monitor::Monitor;

/// Writes burn's metric files, and each epoch's metrics (loss, accuracy, …) to the monitor's log.
/// Use it as `training.with_metric_logger(monitor.metric_logger(&folder))`.
pub struct MetricTee {
    files: FileMetricLogger,
    monitor: Monitor,
    names: HashMap<MetricId, String>,
    /// The running mean of each metric, by split and name.
    running: HashMap<(String, String), f64>,
}

impl Monitor {
    /// A metric logger that writes burn's usual files to `folder` and each epoch's metrics to the
    /// monitor.
    pub fn metric_logger(&self, folder: impl AsRef<Path>) -> MetricTee {
        MetricTee {
            files: FileMetricLogger::new(folder),
            monitor: self.clone(),
            names: HashMap::new(),
            running: HashMap::new(),
        }
    }
}

impl MetricLogger for MetricTee {
    fn log(&mut self, update: MetricsUpdate, epoch: usize, split: &Split) {
        for metric in &update.entries_numeric {
            let entry = metric
                .running_entry
                .as_ref()
                .or(metric.numeric_entry.as_ref());
            if let (Some(name), Some(entry)) = (self.names.get(&metric.entry.metric_id), entry) {
                let key = (split.to_string(), name.clone());
                self.running.insert(key, entry.current());
            }
        }
        self.files.log(update, epoch, split);
    }

    fn read_numeric(
        &mut self,
        name: &str,
        epoch: usize,
        split: &Split,
    ) -> Result<Vec<NumericEntry>, String> {
        self.files.read_numeric(name, epoch, split)
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        // The log has the monitor's own metrics already.
        if !definition.name.starts_with(super::metrics::PREFIX) {
            self.names
                .insert(definition.metric_id.clone(), definition.name.to_lowercase());
        }
        self.files.log_metric_definition(definition);
    }

    fn log_epoch_summary(&mut self, summary: EpochSummary) {
        let split = summary.split.to_string();
        let mut scalars: Vec<(String, f64)> = self
            .running
            .iter()
            .filter(|((s, _), _)| *s == split)
            .map(|((s, name), &value)| (format!("{s} {name}"), value))
            .collect();
        scalars.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, value) in scalars {
            self.monitor.scalar(summary.epoch_number, name, value);
        }
        self.running.retain(|(s, _), _| *s != split);
        self.files.log_epoch_summary(summary);
    }
}
