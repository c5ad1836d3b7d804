//! The text of every finding, doubt and reason: all sentences about one record. Sentences about a
//! whole run are in `report/run_summary`.
//!
//! Views print these phrases. They never compare or parse them. A [`Phrase`] keeps its numbers
//! separate from its text.

use std::fmt;

use super::phrase::Phrase;
use super::trust::{AgainstNoise, BulkLaw, Doubt, DoubtSubject, Warning};
use super::{
    Alarm, AlarmEvidence, AlarmRule, Carried, Event, LayerOutcome, Notice, Record, Values,
};
use crate::analysis::FullAnalysis;
use crate::analysis::LayerReport;
use crate::error::LayerError;
use crate::fit::NoFit;
use crate::matrix::{Cut, SkipReason};
use crate::phase::{Annotation, Evidence, MIN_CONFIDENCE, Unclassifiable};

/// Implements `Display` through the type's `phrase` method.
macro_rules! display_phrase {
    ($($type:ty),+) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.phrase().fmt(f)
            }
        }
    )+};
}

display_phrase!(
    Alarm,
    AlarmEvidence,
    Annotation,
    Carried,
    Doubt,
    Event,
    SkipReason,
    NoFit,
    AlarmRule,
    Unclassifiable
);

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cut::Whole => f.write_str("whole"),
            Cut::Unfolding => f.write_str("unfolding"),
            Cut::Slice { index, of } => write!(f, "slice {index}/{of}"),
            Cut::Pooled => f.write_str("pooled"),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value) = (self.name(), self.value());
        match self {
            Self::Spikes { count, .. } => write!(f, "{name} = {count}: {}", self.phrase()),
            _ => write!(f, "{name} = {value:.4}: {}", self.phrase()),
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.epoch {
            Some(epoch) => write!(f, "epoch {epoch}: {}", self.event),
            None => self.event.fmt(f),
        }
    }
}

/// The phrases as one text, separated by `; `.
fn joined<'a>(phrases: impl IntoIterator<Item = &'a dyn fmt::Display>) -> Phrase {
    let all: Vec<String> = phrases.into_iter().map(ToString::to_string).collect();
    all.join("; ").into()
}

impl Evidence {
    /// The meaning of the [value](Evidence::value), to be written after it.
    pub fn phrase(&self) -> Phrase {
        match *self {
            Self::NullShare { .. } => "of the directions are null: rank collapse (hard)".into(),
            Self::HardlyAny { .. } => {
                "too few directions carry anything: rank collapse (hard)".into()
            }
            Self::FadedBulk { .. } => "of the bulk's initial variance is left".into(),
            Self::FaintBulk { .. } => "is the noise edge, in units of the spikes' median".into(),
            Self::SpikeMass { .. } => {
                "of the squared norm lies in spikes: rank collapse (soft)".into()
            }
            Self::Spikes { lambda_max_p, .. } => {
                Phrase::new("eigenvalues beyond the noise edge; λmax has ")
                    .p_value(lambda_max_p)
                    .text(" under noise (Tracy–Widom)")
            }
            Self::LambdaMax { .. } => "λmax in units of the bulk edge λ₊".into(),
            Self::BulkDistance { d, d95, p } => {
                let fits = match BulkLaw::new(d, d95, p) {
                    BulkLaw::Follows => "is Marchenko–Pastur",
                    BulkLaw::NearlyFollows => "is nearly Marchenko–Pastur",
                    BulkLaw::Differs => "is not Marchenko–Pastur",
                };
                Phrase::new("the bulk ")
                    .text(fits)
                    .text(" (")
                    .p_value(p)
                    .text(", 95 % of noise below ")
                    .fixed(d95, 4)
                    .text(")")
            }
            Self::SpikeShare { .. } => "of the eigenvalues lie beyond the edge".into(),
            Self::WidestGap { .. } => "Tracy–Widom scales: the widest gap beyond the edge".into(),
            Self::PowerLaw {
                n_tail, d, vuong, ..
            } => Phrase::new("a power law over ")
                .count(n_tail)
                .text(" eigenvalues, D = ")
                .fixed(d, 3)
                .text(if vuong > 0.0 {
                    "; it fits better than the exponential (Vuong "
                } else {
                    "; it fits worse than the exponential (Vuong "
                })
                .fixed(vuong, 1)
                .text(")"),
        }
    }
}

impl Annotation {
    /// The annotation as a sentence.
    pub fn phrase(&self) -> Phrase {
        match self {
            Self::NearOrthogonal => "all singular values are nearly equal",
            Self::SmallLayer => "fewer than 50 eigenvalues: neighbouring phases are hard to distinguish",
            Self::DeadVectors => "some rows or columns are zero",
            Self::ScaleHeterogeneity => {
                "unequal scales of rows or columns explain the outliers: equalised, it is noise"
            }
            Self::EntryDistribution => {
                "the entries' own distribution explains the outliers: permuted, they remain"
            }
            Self::MeanShift => "the mean of the entries makes a spike of its own",
            Self::EntryOutliers => "a few huge entries make the spikes, not directions that many weights share",
            Self::CorrelationTrap => {
                "the permuted entries reach beyond the edge: heavy or sparse entries (correlation trap)"
            }
        }
        .into()
    }
}

impl Unclassifiable {
    /// The reason why there is no phase.
    pub fn phrase(&self) -> Phrase {
        match self {
            Self::TooSmall { m } => Phrase::new("M = ")
                .count(*m)
                .text(", fewer than 10 eigenvalues"),
            Self::NoBulk { cause } => Phrase::new("no bulk: ").then(cause.phrase()),
            Self::LowRank { rank } => Phrase::new("of rank ")
                .count(*rank)
                .text(" by construction"),
            Self::PooledSlices => "the eigenvalues of several slices are pooled".into(),
        }
    }
}

impl NoFit {
    /// The reason why there is no fit.
    pub fn phrase(&self) -> Phrase {
        match self {
            Self::AllZero => "every eigenvalue is zero".into(),
            Self::AllEqual => "all eigenvalues are equal".into(),
            Self::TooFew { found, needed } => Phrase::default()
                .count(*found)
                .text(" usable eigenvalues, ")
                .count(*needed)
                .text(" are needed"),
            Self::NoPowerLaw => "no start of the tail gives α > 1".into(),
        }
    }
}

impl SkipReason {
    /// The reason why the tensor is not analysed.
    pub fn phrase(&self) -> Phrase {
        match self {
            Self::Vector => "a vector or scalar has no spectrum".into(),
            Self::TooSmall => "fewer than 2 eigenvalues".into(),
            Self::Excluded => "excluded by the layer patterns".into(),
            Self::NotInitialised => "not initialised at the first observation".into(),
            Self::UnknownLayout => "rank ≥ 3 with unknown meaning of the axes".into(),
            Self::TooFewEigenvalues { found, needed } => Phrase::default()
                .count(*found)
                .text(" eigenvalues, fewer than ")
                .count(*needed),
            Self::Tied { to } => format!("tied to `{to}`, counted there").into(),
            Self::SameValues { to } => format!("the same values as `{to}`, counted there").into(),
            Self::Unreadable { message } => message.clone().into(),
            Self::NotYet => "not analysed yet".into(),
        }
    }
}

impl Doubt {
    /// The doubt as a sentence.
    pub fn phrase(&self) -> Phrase {
        match self {
            Self::ShortTail { n_tail } => Phrase::default()
                .count(*n_tail)
                .text(" tail eigenvalues: α is unreliable"),
            Self::SmallSample { n } => Phrase::default()
                .count(*n)
                .text(" eigenvalues: small-sample estimate of α"),
            Self::VeryHeavy => {
                "α < 2: heavier than the theory's range (WeightWatcher: over-trained)".into()
            }
            Self::NotHeavy => {
                "α > 6: lighter than the theory's range (WeightWatcher: under-trained)".into()
            }
            Self::WithinNoise { .. } => "α is in the 5–95 % range of pure noise of this shape".into(),
            Self::NoPowerLaw { phase } => Phrase::new("a spectrum that is ")
                .text(phase.title())
                .text(" is no power law"),
            Self::PoorFit { p } => Phrase::new("goodness of fit p = ")
                .fixed(*p, 2)
                .text(": no power law"),
            Self::SmallInterval { n } => Phrase::default()
                .count(*n)
                .text(" eigenvalues: the interval covers α less often than its level"),
            Self::Indeterminate { confidence } if *confidence < MIN_CONFIDENCE => {
                Phrase::new("the phase is indeterminate (probability ")
                    .fixed(*confidence, 2)
                    .text(")")
            }
            Self::Indeterminate { .. } => {
                "the phase is indeterminate: with so few eigenvalues only noise and collapse can be distinguished".into()
            }
            Self::Neighbours { m } => Phrase::new("M = ")
                .count(*m)
                .text(" < 100: Bleeding-out and Bulk-decay are hard to tell apart"),
            Self::Explained { .. } => {
                "the phase may come from unequal variances or heavy entries, not from correlations"
                    .into()
            }
            Self::NotMarchenkoPastur { d, d95 } => {
                Phrase::new("the bulk is not Marchenko–Pastur (D = ")
                    .fixed(*d, 3)
                    .text(", 95 % of noise below ")
                    .fixed(*d95, 3)
                    .text(")")
            }
        }
    }

    /// What the reader should do about the doubt.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::ShortTail { .. } | Self::SmallSample { .. } => {
                "use the interval of a full analysis, not the textbook ±"
            }
            Self::VeryHeavy => "look for correlation traps in a full analysis",
            Self::NotHeavy | Self::WithinNoise { .. } => "compare with α of noise of this shape",
            Self::NoPowerLaw { .. } => "use the spikes and the soft rank instead of α",
            Self::PoorFit { .. } => "compare with the alternative laws",
            Self::SmallInterval { .. } => "treat the interval as approximate",
            Self::Indeterminate { .. } => "do not rely on the phase",
            Self::Neighbours { .. } => "do not distinguish these two phases",
            Self::Explained { .. } => "read the annotation before the phase",
            Self::NotMarchenkoPastur { .. } => "do not rely on σ, the spikes and the soft rank",
        }
    }
}

impl AgainstNoise {
    /// The comparison in words.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Heavier => "heavier than noise",
            Self::Within => "as noise has it",
            Self::Lighter => "lighter than noise",
        }
    }
}

impl Carried {
    /// The observation from which the numbers come, and the bound on the error of α.
    pub fn phrase(&self) -> Phrase {
        Phrase::new("not analysed again: the numbers are those of epoch ")
            .count(self.from.epoch)
            .text("; ‖ΔW‖/‖W‖ = ")
            .exponent(self.drift, 2)
            .text(" since then, so α is within ")
            .fixed(self.alpha_tolerance, 2)
            .text(" for certain")
    }
}

impl LayerOutcome {
    /// The reason why there are no numbers. None if there are some.
    pub fn reason(&self) -> Option<Phrase> {
        match self {
            Self::Success(_) => None,
            Self::Failed(cause) => Some(cause.phrase()),
            Self::Skipped(why) => Some(why.phrase()),
        }
    }
}

impl LayerError {
    /// The error as a sentence.
    pub fn phrase(&self) -> Phrase {
        self.to_string().into()
    }
}

impl Values {
    /// The missing numbers, each with the reason.
    pub fn reasons(&self) -> Vec<Phrase> {
        let no = |what, why: Phrase| Phrase::new(what).then(why);
        let alpha = self.primary.alpha_reason.as_ref();
        let bulk = self.bulk_reason.as_ref();
        let phase = self.phase_reason.as_ref();
        [
            alpha.map(|why| no("no α: ", why.phrase())),
            bulk.map(|why| no("no bulk: ", why.phrase())),
            phase.map(|why| no("no phase: ", why.phrase())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The 5–95 % range of α for noise of the same N and M, and how α compares with it. None if
    /// that range is unknown.
    pub fn against_noise(&self) -> Option<Phrase> {
        let (low, high) = (self.noise_alpha_low?, self.noise_alpha_high?);
        let noise = Phrase::new("noise of this shape has ")
            .fixed(low, 2)
            .text(" … ")
            .fixed(high, 2)
            .text(" (5–95 %)");
        Some(match self.primary.alpha {
            Some(alpha) => noise
                .text(": ")
                .text(AgainstNoise::new(alpha, low, high).phrase()),
            None => noise,
        })
    }
}

impl Record {
    /// The reason why there is no phase: the layer's failure, or why it cannot be classified. None
    /// if there is a phase.
    pub fn no_phase(&self) -> Option<Phrase> {
        match self.values() {
            None => self.outcome.reason(),
            Some(values) => values.phase_reason.as_ref().map(Unclassifiable::phrase),
        }
    }
}

impl AlarmRule {
    /// The rule in words.
    pub fn phrase(&self) -> Phrase {
        match self {
            Self::TurnedTo { phase } => Phrase::new("turned to ").text(phase.title()),
            Self::AlphaBelow {
                alpha,
                observations,
            } => format!("α below {alpha} at {observations} observations").into(),
            Self::CorrelationTrap => "correlation trap".into(),
            Self::SoftCollapse => "soft rank collapse".into(),
            Self::NotFinite => "not finite".into(),
        }
    }
}

impl AlarmEvidence {
    /// The numbers that support the alarm, with their doubts.
    pub fn phrase(&self) -> Phrase {
        let list = |findings: &[Evidence]| {
            let all = findings.iter().map(|finding| finding as &dyn fmt::Display);
            joined(all)
        };
        match self {
            Self::Transition {
                from,
                since,
                confidence,
                findings,
            } => {
                let mut phrase = Phrase::new("no longer ")
                    .text(from.title())
                    .text(" since epoch ")
                    .count(*since);
                if let Some(p) = confidence {
                    phrase = phrase.text(", probability ").fixed(*p, 2);
                }
                if !findings.is_empty() {
                    phrase = phrase.text("; ").then(list(findings));
                }
                phrase
            }
            Self::LowAlpha {
                alpha,
                sigma,
                n_tail,
                doubts,
            } => {
                let mut phrase = Phrase::new("α = ")
                    .fixed(*alpha, 2)
                    .text(" ± ")
                    .fixed(*sigma, 2)
                    .text(" over ")
                    .count(*n_tail)
                    .text(" eigenvalues");
                for doubt in doubts {
                    phrase = phrase.text("; ").then(doubt.phrase());
                }
                phrase
            }
            Self::Trap => Annotation::CorrelationTrap.phrase(),
            Self::Collapse { findings } => list(findings),
            Self::Weights { cause } => cause.phrase(),
            Self::Scalar { value } => format!("the training reports {value}").into(),
            Self::Earlier { text } => text.clone().into(),
        }
    }
}

impl Alarm {
    /// The layer, the rule, the epoch and the evidence.
    pub fn phrase(&self) -> Phrase {
        Phrase::new(format!("{} ", self.layer))
            .then(self.rule.phrase())
            .text(" at epoch ")
            .count(self.stamp.epoch)
            .text(": ")
            .then(self.evidence.phrase())
    }
}

impl Event {
    /// The event as a sentence.
    pub fn phrase(&self) -> Phrase {
        match self {
            Self::Message { text } => text.clone().into(),
            Self::NotFinite { name, value } => format!("{name} is {value}").into(),
            Self::NotObserved { message } => format!("not observed: {message}").into(),
            Self::NoValidation => {
                "no validation batches: an epoch ends when the learner calls valid()".into()
            }
            Self::UnknownWeights => {
                "resumed with weights that the log does not know: epochs count on from its last (starting_epoch() tells better)"
                    .into()
            }
            Self::LoadedCheckpoint => {
                "a checkpoint was loaded into a new log: epochs count from 0 unless starting_epoch() tells"
                    .into()
            }
            Self::FullFailed { layer, cause } => {
                format!("no full analysis of layer `{layer}`: {cause}").into()
            }
            Self::FullRefused { layer } => format!(
                "no full analysis of layer `{layer}`: too many wait, or the system refused a thread"
            )
            .into(),
            Self::NoFullAtEnd => {
                "no full analysis at the end: the system refused a thread".into()
            }
            Self::LaggedBehind { deferred, dropped } => {
                Phrase::new("the analysis could not keep up: ")
                    .count(*deferred)
                    .text(" observations waited, ")
                    .count(*dropped)
                    .text(" were dropped")
            }
            Self::OverBudget { count } => Phrase::default()
                .count(*count)
                .text(" observations were left out to keep within the budget"),
            Self::SinkFailed { sink, message } => format!("{sink} failed: {message}").into(),
            Self::ActionFailed { message } => {
                format!("the alarm handler failed: {message}").into()
            }
            Self::NoSpectra { message } => format!("no spectra: {message}").into(),
            Self::CutOffLine => "the last line was cut off and is left out".into(),
            Self::DamagedLine { number } => Phrase::new("line ")
                .count(*number)
                .text(" of the log cannot be read and is left out (heavytail repair takes it out)"),
            Self::LogLost { path } => format!(
                "{path} was deleted, cut back or replaced while the run went on; it was written anew from memory"
            )
            .into(),
            Self::OtherModel { added, removed } => {
                let list = |names: &[String]| match names {
                    [] => "none".to_owned(),
                    names => names.join(", "),
                };
                let (added, removed) = (list(added), list(removed));
                format!("the model has other layers from here on; new: {added}; gone: {removed}").into()
            }
            Self::FullMissing { layers } => {
                let layers = layers.join(", ");
                format!("no full analysis of {layers}: the process was killed before, and the weights are gone").into()
            }
        }
    }
}

/// The layer's numbers, doubts, phase and evidence, for the terminal.
impl fmt::Display for LayerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const INDENT: &str = "            ";
        let values = Values::from(self);
        let doubts = |f: &mut fmt::Formatter<'_>, subject| {
            let mut about = values.doubts_about(subject);
            about.try_for_each(|doubt| writeln!(f, "{INDENT}doubt: {doubt}"))
        };
        let s = &self.primary.spectrum;
        writeln!(
            f,
            "{} {:?}, {}: N = {}, M = {}, Q = {:.2}",
            self.layer,
            self.tensor_shape,
            s.cut(),
            s.n(),
            s.m(),
            s.q()
        )?;
        let m = &self.primary.metrics;
        writeln!(
            f,
            "  spectrum  λmax = {:.4} (X = WᵀW/N), stable rank {:.1}, hard rank {}, entropy {:.4}",
            m.lambda_max, m.stable_rank, m.hard_rank, m.entropy
        )?;
        match &self.bulk {
            Ok(b) => writeln!(
                f,
                "  bulk      σ = {:.4}, λ± = {:.4} / {:.4}, {} spikes, soft rank {:.3}",
                b.sigma_mp, b.lambda_minus, b.lambda_plus, b.num_spikes, b.soft_rank
            )?,
            Err(why) => writeln!(f, "  bulk      none: {why}")?,
        }
        doubts(f, DoubtSubject::Bulk)?;
        match &self.primary.tail {
            Ok(t) => {
                writeln!(
                    f,
                    "  tail      α = {:.2} ± {:.2} over {} eigenvalues, xmin = {:.4}, D = {:.3}",
                    t.alpha, t.sigma, t.n_tail, t.xmin, t.d
                )?;
                if let Some(noise) = values.against_noise() {
                    writeln!(f, "{INDENT}{noise}")?;
                }
            }
            Err(why) => writeln!(f, "  tail      none: {why}")?,
        }
        if let Some(full) = &self.full {
            for line in full.phrases() {
                writeln!(f, "{INDENT}{line}")?;
            }
        }
        doubts(f, DoubtSubject::Alpha)?;
        doubts(f, DoubtSubject::Interval)?;
        match &self.phase {
            Ok(verdict) => {
                let mark = if values.is_questionable(DoubtSubject::Phase) {
                    "?"
                } else {
                    ""
                };
                let percent = 100.0 * verdict.confidence;
                writeln!(f, "  phase     {} ({percent:.0} %){mark}", verdict.phase)?;
                for evidence in &verdict.evidence {
                    writeln!(f, "{INDENT}{evidence}")?;
                }
                for annotation in &verdict.annotations {
                    writeln!(f, "{INDENT}note: {annotation}")?;
                }
                doubts(f, DoubtSubject::Phase)
            }
            Err(why) => writeln!(f, "  phase     none: {why}"),
        }
    }
}

impl FullAnalysis {
    /// The results of the full analysis, one phrase each.
    pub fn phrases(&self) -> Vec<Phrase> {
        let mut lines = Vec::new();
        if let Some(i) = &self.alpha_interval {
            lines.push(
                Phrase::default()
                    .fixed(100.0 * i.level, 0)
                    .text(" % interval ")
                    .fixed(i.low, 2)
                    .text(" … ")
                    .fixed(i.high, 2)
                    .text(" (bootstrap with the search for xmin)"),
            );
        }
        if let Some(fit) = &self.goodness_of_fit {
            lines.push(Phrase::new("goodness of fit p = ").fixed(fit.p, 2));
        }
        if let Some(c) = &self.comparison {
            lines.push(
                Phrase::new("Vuong: ")
                    .text(format!("{:+.1}", c.exponential.normalised))
                    .text(" against exponential, ")
                    .text(format!("{:+.1}", c.lognormal.normalised))
                    .text(" against lognormal; cut-off p = ")
                    .fixed(c.truncated.p, 2),
            );
        }
        if let Some(farms) = &self.farms {
            lines.push(Phrase::new("FARMS α = ").fixed(farms.alpha, 2));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_says_its_numbers() {
        let spikes = Evidence::Spikes {
            count: 3,
            lambda_max_p: 0.0,
        };
        assert_eq!(
            spikes.to_string(),
            "num_spikes = 3: eigenvalues beyond the noise edge; λmax has p < 1e-300 under noise (Tracy–Widom)"
        );
        let bulk = Evidence::BulkDistance {
            d: 0.0243,
            d95: 0.0332,
            p: 0.65,
        };
        assert_eq!(
            bulk.to_string(),
            "bulk_d = 0.0243: the bulk is Marchenko–Pastur (p = 6.5e-1, 95 % of noise below 0.0332)"
        );
    }
}
