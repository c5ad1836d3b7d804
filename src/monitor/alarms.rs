use std::collections::{HashMap, HashSet};

use crate::phase::{Annotation, Phase};
use crate::record::{Alarm, FullLine, Record, Rule, Stamp, Values};
use crate::spectrum::NOT_FINITE;
use crate::trajectory::Transition;

/// Which rules hold for which layers.
#[derive(Default)]
pub(super) struct Alarms {
    run: String,
    rules: Vec<Rule>,
    /// By rule and layer: observations in a row at which α was too low.
    low: HashMap<(usize, String), usize>,
    /// The conditions that hold at present.
    raised: HashSet<(usize, String)>,
}

impl Alarms {
    pub(super) fn new(run: &str, rules: Vec<Rule>) -> Self {
        Self {
            run: run.to_owned(),
            rules,
            ..Self::default()
        }
    }

    /// What an observation of a layer gives rise to.
    pub(super) fn see(&mut self, record: &Record, turned: Option<&Transition>) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        for (i, rule) in self.rules.clone().into_iter().enumerate() {
            let evidence = match rule {
                Rule::TurnedTo { phase } => turned
                    .filter(|t| t.to == phase)
                    .map(|t| turned_evidence(record, t)),
                Rule::AlphaBelow {
                    alpha,
                    observations,
                } => self.low(i, record, alpha, observations),
                Rule::CorrelationTrap => record
                    .values
                    .as_ref()
                    .filter(|v| v.annotations.contains(&Annotation::CorrelationTrap))
                    .map(|_| Annotation::CorrelationTrap.to_string()),
                Rule::SoftCollapse => record.values.as_deref().and_then(soft_collapse),
                Rule::NotFinite => {
                    let reason = record.reason.as_ref();
                    reason.filter(|why| why.contains(NOT_FINITE)).cloned()
                }
            };
            // A trap is found by full analyses only; what a live one does not say has not ceased.
            let full = record.values.as_ref().is_some_and(|v| v.full.is_some());
            let ceases = rule != Rule::CorrelationTrap || full;
            alarms.extend(self.edge(i, record.stamp, &record.layer, evidence, ceases));
        }
        alarms
    }

    /// What a full analysis gives rise to.
    pub(super) fn see_full(&mut self, line: &FullLine) -> Option<Alarm> {
        let rule = self
            .rules
            .iter()
            .position(|r| *r == Rule::CorrelationTrap)?;
        let trapped = line
            .full
            .annotations
            .contains(&Annotation::CorrelationTrap)
            .then(|| Annotation::CorrelationTrap.to_string());
        self.edge(rule, line.stamp, &line.layer, trapped, true)
    }

    /// A number of the training.
    pub(super) fn see_scalar(&mut self, epoch: usize, name: &str, value: f64) -> Option<Alarm> {
        let rule = self.rules.iter().position(|r| *r == Rule::NotFinite)?;
        let evidence = (!value.is_finite()).then(|| format!("the training reports {value}"));
        self.edge(rule, Stamp::of_epoch(epoch), name, evidence, true)
    }

    /// Of the conditions that hold, only those count as raised of which the log has an alarm: a rule may be new.
    pub(super) fn raised_only(&mut self, log: &[Alarm]) {
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
        evidence: Option<String>,
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

    fn low(&mut self, rule: usize, record: &Record, below: f64, needed: usize) -> Option<String> {
        let count = self.low.entry((rule, record.layer.clone())).or_default();
        let row = record.values.as_ref().map(|v| &v.row);
        let found = row.and_then(|row| Some((row, row.alpha.filter(|&a| a < below)?)));
        let Some((row, alpha)) = found else {
            *count = 0;
            return None;
        };
        *count += 1;
        (*count >= needed).then(|| {
            let sigma = row.sigma.unwrap_or(0.0);
            let tail = row.num_pl_spikes.unwrap_or(0);
            let mut says = format!("α = {alpha:.2} ± {sigma:.2} over {tail} eigenvalues");
            for doubt in &row.alpha_doubts {
                says.push_str(&format!("; {doubt}"));
            }
            says
        })
    }
}

fn turned_evidence(record: &Record, turned: &Transition) -> String {
    let mut says = format!("no longer {} since epoch {}", turned.from, turned.epoch);
    if let Some(values) = record.values.as_deref() {
        if let Some(confidence) = values.phase_confidence {
            says.push_str(&format!(", probability {confidence:.2}"));
        }
        for evidence in &values.phase_evidence {
            says.push_str(&format!("; {evidence}"));
        }
    }
    says
}

fn soft_collapse(values: &Values) -> Option<String> {
    let evidence = &values.phase_evidence;
    let hard = evidence.iter().any(|e| e.name == "null_share");
    (values.phase == Some(Phase::RankCollapse) && !hard).then(|| {
        let says: Vec<String> = evidence.iter().map(ToString::to_string).collect();
        says.join("; ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_raised_when_its_condition_begins_and_again_after_it_ceased() {
        let mut alarms = Alarms::new("r", vec![Rule::NotFinite]);
        let mut raised = Vec::new();
        for (epoch, value) in [1.0, f64::NAN, f64::NAN, 2.0, f64::INFINITY]
            .into_iter()
            .enumerate()
        {
            raised.extend(alarms.see_scalar(epoch, "loss", value));
        }
        let epochs: Vec<usize> = raised.iter().map(|a| a.stamp.epoch).collect();
        assert_eq!(epochs, [1, 4]);
        assert!(raised[0].evidence.contains("NaN"), "{}", raised[0]);
    }
}
