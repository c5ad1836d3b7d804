//! Early stopping of burn's training after an alarm.

use std::time::Duration;

use ::burn::train::EarlyStoppingStrategy;
use ::burn::train::metric::store::EventStoreClient;

use crate::monitor::Monitor;

/// Longest wait for the analysis at the end of an epoch.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Ends burn's training after an epoch with an alarm. Use it as
/// `training.early_stopping(monitor.stop_on_alarm())`.
#[derive(Clone)]
pub struct AlarmStopping {
    monitor: Monitor,
    /// Number of alarms that were raised before.
    known: usize,
}

impl Monitor {
    /// Ends burn's training after an epoch with an alarm; see
    /// [`Builder::alarm`](crate::monitor::Builder::alarm). The end of each epoch then waits for the
    /// epoch's analysis, at most a minute. An alarm from a number that burn reports later counts at
    /// the end of the next epoch.
    pub fn stop_on_alarm(&self) -> AlarmStopping {
        AlarmStopping {
            monitor: self.clone(),
            known: self.alarms_raised(),
        }
    }
}

impl EarlyStoppingStrategy for AlarmStopping {
    fn should_stop(&mut self, _: usize, _: &EventStoreClient) -> bool {
        self.monitor.wait(MAX_WAIT);
        self.monitor.alarms_raised() > self.known
    }
}
