//! The step axis of TensorBoard.

use std::collections::BTreeMap;

use crate::record::{Alarm, Notice, Stamp};

/// Maps observations to steps of TensorBoard's axis.
#[derive(Debug, Default)]
pub(super) struct Axis {
    pub(super) by_step: bool,
    /// The first observed step of each epoch.
    steps: BTreeMap<usize, u64>,
}

impl Axis {
    pub(super) fn step(&mut self, stamp: Stamp) -> u64 {
        self.steps.entry(stamp.epoch).or_insert(stamp.step);
        if self.by_step {
            stamp.step
        } else {
            stamp.epoch as u64
        }
    }

    pub(super) fn step_of_epoch(&self, epoch: usize) -> u64 {
        if !self.by_step {
            return epoch as u64;
        }
        let after = self.steps.range(epoch..).next();
        after
            .or(self.steps.last_key_value())
            .map_or(0, |(_, &step)| step)
    }

    /// Step of an alarm. An alarm about a number of the training has no optimiser step, and gets
    /// the step of its epoch. An alarm is not an observation, so it adds no step to the axis.
    pub(super) fn step_of_alarm(&self, alarm: &Alarm) -> u64 {
        match alarm.stamp.step {
            step if step > 0 && self.by_step => step,
            _ => self.step_of_epoch(alarm.stamp.epoch),
        }
    }

    /// Step of a notice. A notice without an epoch gets the step of the newest observation.
    pub(super) fn step_of_notice(&self, notice: &Notice) -> u64 {
        let newest = self.steps.last_key_value().map_or(0, |(&epoch, _)| epoch);
        self.step_of_epoch(notice.epoch.unwrap_or(newest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{AlarmEvidence, AlarmRule};

    #[test]
    fn an_alarm_without_a_step_makes_no_place_on_the_axis() {
        let alarm = |epoch, step| Alarm {
            run: "r".to_owned(),
            stamp: Stamp { epoch, step },
            layer: "loss".to_owned(),
            rule: AlarmRule::NotFinite,
            evidence: AlarmEvidence::Scalar {
                value: "NaN".to_owned(),
            },
        };
        let mut axis = Axis {
            by_step: true,
            ..Axis::default()
        };
        axis.step(Stamp {
            epoch: 1,
            step: 100,
        });
        assert_eq!(axis.step_of_alarm(&alarm(2, 0)), 100);
        axis.step(Stamp {
            epoch: 2,
            step: 200,
        });
        assert_eq!(axis.step_of_alarm(&alarm(2, 0)), 200);
        assert_eq!(axis.step_of_alarm(&alarm(2, 240)), 240);
        assert_eq!(axis.step_of_epoch(2), 200);
        axis.by_step = false;
        assert_eq!(axis.step_of_alarm(&alarm(2, 240)), 2);
    }
}
