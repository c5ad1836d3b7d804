use std::time::Duration;

use ::burn::train::EarlyStoppingStrategy;
use ::burn::train::metric::store::EventStoreClient;

use crate::monitor::Monitor;

/// How long the end of an epoch waits for the analysis of that epoch.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends a training after the epoch at which an alarm was raised:
/// `training.early_stopping(monitor.stop_on_alarm())`.
#[derive(Clone)]
pub struct AlarmStopping {
    monitor: Monitor,
    /// Alarms that were raised before.
    known: usize,
}

impl Monitor {
    /// Stop burn's training after an epoch with an alarm; see [`Builder::alarm`](crate::monitor::Builder::alarm).
    /// The end of each epoch then waits for its analysis, for a minute at most. A number that burn reports only
    /// after that counts at the next epoch's end.
    pub fn stop_on_alarm(&self) -> AlarmStopping {
        AlarmStopping {
            monitor: self.clone(),
            known: self.alarms_raised(),
        }
    }
}

impl EarlyStoppingStrategy for AlarmStopping {
    fn should_stop(&mut self, _: usize, _: &EventStoreClient) -> bool {
        self.monitor.wait(PATIENCE);
        self.monitor.alarms_raised() > self.known
    }
}
