//! Tracks which alarm rules hold for which layers, and raises an alarm when a rule begins to hold.

use std::collections::{HashMap, HashSet};

use crate::error::LayerError;
use crate::phase::{Annotation, Evidence, Phase};
use crate::record::{
    Alarm, AlarmEvidence, AlarmRule, DoubtSubject, FullLine, LayerOutcome, Record, Stamp, Values,
};
use crate::run::Transition;

/// The state of all alarm rules.
#[derive(Default)]
pub(super) struct AlarmTracker {
    run: String,
    rules: Vec<AlarmRule>,
    /// By rule and layer: number of observations in a row with a low α.
    low: HashMap<(usize, String), usize>,
    /// The rules that hold now, by layer.
    raised: HashSet<(usize, String)>,
}

impl AlarmTracker {
    pub(super) fn new(run: &str, rules: Vec<AlarmRule>) -> Self {
        Self {
            run: run.to_owned(),
            rules,
            ..Self::default()
        }
    }

    /// Resets the state, as before the first observation.
    pub(super) fn forget(&mut self) {
        self.low.clear();
        self.raised.clear();
    }

    /// The alarms that a record raises. `turned` is the phase change that it confirms.
    pub(super) fn see(&mut self, record: &Record, turned: Option<&Transition>) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        for (i, rule) in self.rules.clone().into_iter().enumerate() {
            let evidence = match rule {
                AlarmRule::TurnedTo { phase } => turned
                    .filter(|t| t.to == phase)
                    .map(|t| turned_evidence(record, t)),
                AlarmRule::AlphaBelow {
                    alpha,
                    observations,
                } => self.low(i, record, alpha, observations),
                AlarmRule::CorrelationTrap => record
                    .values()
                    .filter(|v| v.annotations.contains(&Annotation::CorrelationTrap))
                    .map(|_| AlarmEvidence::Trap),
                AlarmRule::SoftCollapse => record.values().and_then(soft_collapse),
                AlarmRule::NotFinite => match &record.outcome {
                    LayerOutcome::Failed(cause @ LayerError::NotFinite { .. }) => {
                        let cause = cause.clone();
                        Some(AlarmEvidence::Weights { cause })
                    }
                    _ => None,
                },
            };
            // Only a full analysis can find a correlation trap. A live analysis without one does
            // not end the condition.
            let full = record.values().is_some_and(|v| v.full.is_some());
            let ceases = rule != AlarmRule::CorrelationTrap || full;
            alarms.extend(self.edge(i, record.stamp, &record.layer, evidence, ceases));
        }
        alarms
    }

    /// The alarm that a full analysis raises.
    pub(super) fn see_full(&mut self, line: &FullLine) -> Option<Alarm> {
        let rule = self
            .rules
            .iter()
            .position(|r| *r == AlarmRule::CorrelationTrap)?;
        let trapped = line
            .full
            .annotations
            .contains(&Annotation::CorrelationTrap)
            .then_some(AlarmEvidence::Trap);
        self.edge(rule, line.stamp, &line.layer, trapped, true)
    }

    /// The alarm that a number of the training raises.
    pub(super) fn see_scalar(&mut self, epoch: usize, name: &str, value: f64) -> Option<Alarm> {
        let rule = self.rules.iter().position(|r| *r == AlarmRule::NotFinite)?;
        let evidence = (!value.is_finite()).then(|| AlarmEvidence::Scalar {
            value: value.to_string(),
        });
        self.edge(rule, Stamp::from_epoch(epoch), name, evidence, true)
    }

    /// Keeps only the conditions that have an alarm in the log. A rule may be new, and its alarm is
    /// then not raised yet.
    pub(super) fn keep_logged(&mut self, log: &[Alarm]) {
        let rules = &self.rules;
        self.raised.retain(|(rule, layer)| {
            log.iter()
                .any(|a| a.rule == rules[*rule] && a.layer == *layer)
        });
    }

    fn edge(
        &mut self,
        rule: usize,
        stamp: Stamp,
        layer: &str,
        evidence: Option<AlarmEvidence>,
        ceases: bool,
    ) -> Option<Alarm> {
        let key = (rule, layer.to_owned());
        let Some(evidence) = evidence else {
            if ceases {
                self.raised.remove(&key);
            }
            return None;
        };
        self.raised.insert(key).then(|| Alarm {
            run: self.run.clone(),
            stamp,
            layer: layer.to_owned(),
            rule: self.rules[rule],
            evidence,
        })
    }

    fn low(
        &mut self,
        rule: usize,
        record: &Record,
        below: f64,
        needed: usize,
    ) -> Option<AlarmEvidence> {
        let count = self.low.entry((rule, record.layer.clone())).or_default();
        let found = record
            .values()
            .and_then(|v| Some((v, v.primary.alpha.filter(|&a| a < below)?)));
        let Some((values, alpha)) = found else {
            *count = 0;
            return None;
        };
        *count += 1;
        (*count >= needed).then(|| AlarmEvidence::LowAlpha {
            alpha,
            sigma: values.primary.sigma.unwrap_or(0.0),
            n_tail: values.primary.num_pl_spikes.unwrap_or(0),
            doubts: values.doubts_about(DoubtSubject::Alpha).copied().collect(),
        })
    }
}

fn turned_evidence(record: &Record, turned: &Transition) -> AlarmEvidence {
    let values = record.values();
    AlarmEvidence::Transition {
        from: turned.from,
        since: turned.epoch,
        confidence: values.and_then(|v| v.phase_confidence),
        findings: values.map_or_else(Vec::new, |v| v.phase_evidence.clone()),
    }
}

fn soft_collapse(values: &Values) -> Option<AlarmEvidence> {
    let findings = &values.phase_evidence;
    let hard = findings.iter().any(Evidence::is_hard_collapse);
    (values.phase == Some(Phase::RankCollapse) && !hard).then(|| AlarmEvidence::Collapse {
        findings: findings.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_raised_when_its_condition_begins_and_again_after_it_ceased() {
        let mut alarms = AlarmTracker::new("r", vec![AlarmRule::NotFinite]);
        let mut raised = Vec::new();
        for (epoch, value) in [1.0, f64::NAN, f64::NAN, 2.0, f64::INFINITY]
            .into_iter()
            .enumerate()
        {
            raised.extend(alarms.see_scalar(epoch, "loss", value));
        }
        let epochs: Vec<usize> = raised.iter().map(|a| a.stamp.epoch).collect();
        assert_eq!(epochs, [1, 4]);
        let value = "NaN".to_owned();
        assert_eq!(raised[0].evidence, AlarmEvidence::Scalar { value });
    }
}
