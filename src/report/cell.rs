//! One layer at one observation, as small as it can be said.

use std::collections::HashMap;

use serde::{Serialize, Serializer};

use super::esd::{Packed, rounded};
use crate::full::Full;
use crate::phase::Phase;
use crate::record::{Record, Values};

/// The numbers of a cell, in this order: fields of the record.
pub(super) const FIELDS: [&str; 22] = [
    "alpha",
    "sigma",
    "D",
    "xmin_x",
    "num_pl_spikes",
    "alpha_weighted",
    "num_spikes",
    "sigma_mp",
    "mp_softrank",
    "bulk_min_x",
    "bulk_max_x",
    "bulk_edge_x",
    "bulk_d",
    "bulk_d95",
    "bulk_d_p",
    "lambda_max_p",
    "num_null",
    "stable_rank",
    "entropy",
    "lambda_max_x",
    "lambda_max",
    "matrix_rank",
];

fn numbers(v: &Values) -> [Option<f64>; FIELDS.len()] {
    let count = |n: Option<usize>| n.map(|n| n as f64);
    [
        v.row.alpha,
        v.row.sigma,
        v.row.d,
        v.row.xmin_x,
        count(v.row.num_pl_spikes),
        v.row.alpha_weighted,
        count(v.num_spikes),
        v.sigma_mp,
        v.mp_softrank,
        v.bulk_min_x,
        v.bulk_max_x,
        v.bulk_edge_x,
        v.bulk_d,
        v.bulk_d95,
        v.bulk_d_p,
        v.lambda_max_p,
        count(v.num_null),
        Some(v.row.stable_rank),
        Some(v.row.entropy),
        Some(v.row.lambda_max_x),
        Some(v.row.lambda_max),
        Some(v.row.matrix_rank as f64),
    ]
}

/// One layer at one observation. The short names are the page's.
#[derive(Serialize)]
pub(super) struct Cell {
    /// The numbers of [`FIELDS`].
    #[serde(rename = "n", skip_serializing_if = "Vec::is_empty")]
    numbers: Vec<Option<Num>>,
    /// Place of the phase in [`Phase::ALL`].
    #[serde(rename = "p", skip_serializing_if = "Option::is_none")]
    phase: Option<usize>,
    /// 1 if the verdict should not be relied on.
    #[serde(rename = "u", skip_serializing_if = "is_zero")]
    uncertain: u8,
    /// Probability of each phase.
    #[serde(rename = "q", skip_serializing_if = "Option::is_none")]
    probabilities: Option<[Num; 6]>,
    /// Evidence: name, value, text, the text's numbers.
    #[serde(rename = "e", skip_serializing_if = "Vec::is_empty")]
    evidence: Vec<Vec<Num>>,
    /// Remarks and doubts: text, the text's numbers.
    #[serde(rename = "a", skip_serializing_if = "Vec::is_empty")]
    remarks: Vec<Vec<Num>>,
    /// What is missing and why: text, the text's numbers.
    #[serde(rename = "r", skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<Vec<Num>>,
    /// Epoch and step of the observation whose numbers and spectrum these are, if it is not this one.
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    pub(super) carried: Option<(usize, u64)>,
    /// What a full analysis added.
    #[serde(rename = "f", skip_serializing_if = "Option::is_none")]
    full: Option<Deep>,
    /// The spectrum.
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    pub(super) spectrum: Option<Packed>,
}

/// What a full analysis says beside the live one.
#[derive(Serialize)]
struct Deep {
    /// Interval of α: level, low, high.
    interval: Option<[Num; 3]>,
    /// p of the goodness of fit.
    fit_p: Option<Num>,
    /// Vuong's statistic against exponential and lognormal; p of the cut-off.
    rivals: Option<[Num; 3]>,
    /// FARMS α.
    farms: Option<Num>,
    /// Phases of the permuted matrices, and of the equalised one.
    permuted: Vec<usize>,
    equalised: Option<usize>,
}

// Serde hands out references.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(flag: &u8) -> bool {
    *flag == 0
}

fn place(phase: Phase) -> usize {
    phase as usize
}

impl Cell {
    pub(super) fn of(record: &Record, digits: usize, texts: &mut Texts) -> Self {
        let mut cell = Self {
            numbers: Vec::new(),
            phase: record.phase().map(place),
            uncertain: u8::from(!record.is_determinate()),
            probabilities: None,
            evidence: Vec::new(),
            remarks: Vec::new(),
            reasons: Vec::new(),
            carried: record.carried.map(|c| (c.from.epoch, c.from.step)),
            full: None,
            spectrum: None,
        };
        if let Some(carried) = &record.carried {
            cell.remarks.push(texts.say(&carried.to_string(), digits));
        }
        if let Some(why) = &record.reason {
            cell.reasons.push(texts.say(why, digits));
        }
        let Some(values) = record.values.as_deref() else {
            return cell;
        };
        let round = |v: Option<f64>| v.filter(|v| v.is_finite()).map(|v| Num::of(v, digits));
        cell.numbers = numbers(values).into_iter().map(round).collect();
        cell.probabilities = values
            .phase_probabilities
            .map(|all| all.map(|p| Num((10_000.0 * p).round() / 10_000.0)));
        for evidence in &values.phase_evidence {
            let mut said = vec![
                texts.number(&evidence.name),
                Num::of(evidence.value, digits),
            ];
            said.extend(texts.say(&evidence.says, digits));
            cell.evidence.push(said);
        }
        for annotation in &values.annotations {
            cell.remarks
                .push(texts.say(&annotation.to_string(), digits));
        }
        for doubt in &values.row.alpha_doubts {
            cell.remarks.push(texts.say(&doubt.to_string(), digits));
        }
        if let Some(why) = &values.row.alpha_reason {
            cell.reasons
                .push(texts.say(&format!("no α: {why}"), digits));
        }
        if let Some(why) = &values.bulk_reason {
            cell.reasons
                .push(texts.say(&format!("no bulk: {why}"), digits));
        }
        if let Some(why) = &values.phase_reason {
            cell.reasons
                .push(texts.say(&format!("no phase: {why}"), digits));
        }
        cell.full = values.full.as_ref().map(|full| Deep::of(full, digits));
        cell
    }
}

impl Deep {
    fn of(full: &Full, digits: usize) -> Self {
        let num = |v| Num::of(v, digits);
        Self {
            interval: full
                .alpha_interval
                .as_ref()
                .map(|i| [i.level, i.low, i.high].map(num)),
            fit_p: full.goodness_of_fit.as_ref().map(|g| num(g.p)),
            rivals: full.comparison.as_ref().map(|c| {
                let (a, b) = (c.exponential.normalised, c.lognormal.normalised);
                [a, b, c.truncated.p].map(num)
            }),
            farms: full.farms.as_ref().map(|f| num(f.alpha)),
            permuted: full
                .controls
                .permuted
                .iter()
                .filter_map(|r| r.phase.map(place))
                .collect(),
            equalised: full.controls.equalised.phase.map(place),
        }
    }
}

/// Stands in a text for the next of its numbers.
const HOLE: char = '\u{fffc}';

/// Sentences that many cells share, up to their numbers.
#[derive(Default)]
pub(super) struct Texts {
    pub(super) list: Vec<String>,
    places: HashMap<String, usize>,
}

impl Texts {
    fn number(&mut self, text: &str) -> Num {
        let place = match self.places.get(text) {
            Some(&place) => place,
            None => {
                self.list.push(text.to_owned());
                self.places.insert(text.to_owned(), self.list.len() - 1);
                self.list.len() - 1
            }
        };
        Num(place as f64)
    }

    /// The sentence's place, then its numbers.
    fn say(&mut self, text: &str, digits: usize) -> Vec<Num> {
        let mut pattern = String::new();
        let mut numbers = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            let (before, number) = rest.split_at(start);
            let length = number_length(number);
            pattern.push_str(before);
            // A digit inside of a name (f32) is part of it.
            let inside = before.ends_with(|c: char| c.is_alphabetic() || c == '_');
            match number[..length].parse::<f64>() {
                Ok(value) if !inside && value.is_finite() => {
                    pattern.push(HOLE);
                    numbers.push(Num::of(value, digits));
                }
                _ => pattern.push_str(&number[..length]),
            }
            rest = &number[length..];
        }
        pattern.push_str(rest);
        let mut said = vec![self.number(&pattern)];
        said.append(&mut numbers);
        said
    }
}

/// Length of `12`, `0.5` or `3.4e-3` at the start of a text.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        let count = bytes[from..].iter().take_while(|b| b.is_ascii_digit());
        from + count.count()
    };
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') && digits(end + 1) > end + 1 {
        end = digits(end + 1);
    }
    if bytes.get(end) == Some(&b'e') {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
        let from = (end + 1 + sign).min(bytes.len());
        if digits(from) > from {
            end = digits(from);
        }
    }
    end
}

/// A number as short as JSON can have it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Num(pub(super) f64);

impl Num {
    /// With so many significant digits: the page is for looking, the log for computing.
    pub(super) fn of(value: f64, digits: usize) -> Self {
        Self(rounded(value, digits))
    }
}

impl Serialize for Num {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.0;
        if value.fract() == 0.0 && value.abs() < 1e15 {
            serializer.serialize_i64(value as i64)
        } else {
            // Not finite is null.
            serializer.serialize_f64(value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let json = |v: f64| serde_json::to_string(&Num::of(v, 4)).unwrap();
        assert_eq!(json(0.123_456), "0.1235");
        assert_eq!(json(12.0), "12");
        assert_eq!(json(123_456.0), "123500");
        assert_eq!(json(-2.5e-7), "-2.5e-7");
        assert_eq!(json(1.234_56e-260), "1.235e-260");
        assert_eq!(json(f64::NAN), "null");
    }

    #[test]
    fn sentences_are_shared_up_to_their_numbers() {
        let mut texts = Texts::default();
        let a = texts.say("the bulk fits (p = 3.4e-3, 95 % below 0.0071)", 4);
        let b = texts.say("the bulk fits (p = 8.0e-1, 95 % below 0.1081)", 4);
        assert_eq!(a, [0.0, 0.0034, 95.0, 0.0071].map(Num));
        assert_eq!(b, [0.0, 0.8, 95.0, 0.1081].map(Num));
        assert_eq!(texts.list, ["the bulk fits (p = ￼, ￼ % below ￼)"]);
        texts.say("12 eigenvalues of f32, v2. 3e", 4);
        assert_eq!(texts.list[1], "￼ eigenvalues of f32, v2. ￼e");
    }
}
