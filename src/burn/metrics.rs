//! Numbers of the monitor as metrics of burn's dashboard.

use std::sync::Arc;
use std::time::Duration;

use ::burn::tensor::TensorReadError;
use ::burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry,
};

use crate::monitor::Monitor;
use crate::record::Record;
use crate::run::Trajectory;

/// Prefix of the names of the monitor's metrics.
pub(super) const PREFIX: &str = "Weights ";

/// Longest wait for the analysis at the end of an epoch. The wait is on burn's metric thread.
const MAX_WAIT: Duration = Duration::from_millis(200);

type Read = Arc<dyn Fn(&Trajectory) -> Option<f64> + Send + Sync>;

/// A number of the latest analysed observation, as a metric of burn's dashboard. Use it as
/// `training.metric_valid_numeric(monitor.alpha_metric())`.
///
/// Register it on the validation side, because an epoch's snapshot is taken when validation begins.
/// While the analysis of an epoch runs, the metric shows the previous epoch.
#[derive(Clone)]
pub struct SpectralMetric {
    name: MetricName,
    description: &'static str,
    monitor: Monitor,
    read: Read,
}

impl Monitor {
    fn metric(
        &self,
        name: &str,
        description: &'static str,
        read: impl Fn(&Trajectory) -> Option<f64> + Send + Sync + 'static,
    ) -> SpectralMetric {
        SpectralMetric {
            name: Arc::new(format!("{PREFIX}{name}")),
            description,
            monitor: self.clone(),
            read: Arc::new(read),
        }
    }

    /// Mean α over the layers.
    pub fn alpha_metric(&self) -> SpectralMetric {
        self.metric("alpha", "mean power-law exponent of the layers", |t| {
            t.summaries().last()?.alpha
        })
    }

    /// α of one layer, for example `fc1.weight`.
    pub fn alpha_metric_of(&self, layer: &str) -> SpectralMetric {
        let name = layer.to_owned();
        self.metric(
            &format!("alpha {layer}"),
            "power-law exponent of the layer",
            move |t| t.layer(&name).next_back()?.alpha(),
        )
    }

    /// α̂ in WeightWatcher's convention: mean of α·log₁₀ λmax, of WᵀW.
    pub fn alpha_hat_metric(&self) -> SpectralMetric {
        self.metric("alpha-hat", "mean of alpha * log10(lambda max)", |t| {
            t.summaries().last()?.alpha_weighted
        })
    }

    /// The phase of every layer, as text: `fc1.weight Bulk+Spikes, …`.
    pub fn phase_metric(&self) -> PhaseMetric {
        PhaseMetric {
            name: Arc::new(format!("{PREFIX}phase")),
            monitor: self.clone(),
        }
    }
}

impl SpectralMetric {
    fn now(&self) -> Option<f64> {
        self.monitor
            .with_trajectory(|t| (self.read)(t))
            .filter(|v| v.is_finite())
    }

    fn entry(&self) -> SerializedEntry {
        match self.now() {
            Some(value) => SerializedEntry::new(format!("{value:.3}"), value.to_string()),
            None => SerializedEntry::not_available(None),
        }
    }
}

impl Metric for SpectralMetric {
    type Input = ();

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn description(&self) -> Option<String> {
        Some(self.description.to_owned())
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes {
            unit: None,
            higher_is_better: false,
        }
        .into()
    }

    fn update(&mut self, (): &(), _: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        // Only the value at the end of the epoch goes to the files.
        let value = self
            .now()
            .map_or_else(|| "–".to_owned(), |v| format!("{v:.3}"));
        Ok(SerializedEntry::new(
            value,
            SerializedEntry::NOT_AVAILABLE.to_owned(),
        ))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        self.monitor.wait_after_submission(MAX_WAIT);
        Ok(self.entry())
    }

    fn clear(&mut self) {}
}

impl Numeric for SpectralMetric {
    fn value(&self) -> Option<NumericEntry> {
        self.now().map(NumericEntry::Value)
    }

    fn running_value(&self) -> Option<NumericEntry> {
        self.value()
    }

    fn final_value(&self) -> NumericEntry {
        NumericEntry::Final(self.now().unwrap_or(f64::NAN))
    }
}

/// The phases of the latest analysed observation, as a text metric. Use it as
/// `training.metric_valid(monitor.phase_metric())`.
#[derive(Clone)]
pub struct PhaseMetric {
    name: MetricName,
    monitor: Monitor,
}

impl PhaseMetric {
    fn text(&self) -> Option<String> {
        self.monitor.with_trajectory(|t| {
            let stamp = t.summaries().last()?.stamp;
            let phase = |r: &Record| r.phase().map_or("no phase", |p| p.title());
            let mut layers: Vec<String> = t
                .records()
                .iter()
                .rev()
                .take_while(|r| r.stamp == stamp)
                .map(|r| format!("{} {}", r.layer, phase(r)))
                .collect();
            layers.reverse();
            Some(layers.join(", "))
        })
    }
}

impl Metric for PhaseMetric {
    type Input = ();

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn description(&self) -> Option<String> {
        Some("phase of training of each layer".to_owned())
    }

    fn update(&mut self, (): &(), _: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        let text = self.text().unwrap_or_else(|| "–".to_owned());
        Ok(SerializedEntry::new(
            text,
            SerializedEntry::NOT_AVAILABLE.to_owned(),
        ))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        self.monitor.wait_after_submission(MAX_WAIT);
        Ok(match self.text() {
            Some(text) => SerializedEntry::new(text.clone(), text),
            None => SerializedEntry::not_available(None),
        })
    }

    fn clear(&mut self) {}
}
