//! The data of one layer at one observation in the HTML report, in compact form.

use std::collections::HashMap;

use serde::{Serialize, Serializer};

use super::esd::{Packed, rounded};
use crate::analysis::FullAnalysis;
use crate::phase::Phase;
use crate::record::field::{FIELDS, Field};
use crate::record::{Doubt, DoubtSubject, Format, Phrase, Piece, Record};

/// The fields whose numbers a cell holds, in this order.
pub(super) fn fields() -> impl Iterator<Item = &'static Field<Record>> {
    FIELDS.iter().filter(|f| f.page)
}

/// The data of one layer at one observation. The page uses the short names. A text is stored as its
/// index in [`Texts`], followed by its numbers.
#[derive(Serialize)]
pub(super) struct Cell {
    /// The values of [`fields`].
    #[serde(rename = "n", skip_serializing_if = "Vec::is_empty")]
    numbers: Vec<Option<Num>>,
    /// Index of the phase in [`Phase::ALL`].
    #[serde(rename = "p", skip_serializing_if = "Option::is_none")]
    phase: Option<usize>,
    /// 1 if the phase is unreliable, otherwise 0.
    #[serde(rename = "u", skip_serializing_if = "is_zero")]
    uncertain: u8,
    /// The [`SUBJECTS`] that have a `?`, as a bit mask.
    #[serde(rename = "m", skip_serializing_if = "is_zero")]
    marks: u8,
    /// Doubts: index of the subject in [`SUBJECTS`], advice, text.
    #[serde(rename = "d", skip_serializing_if = "Vec::is_empty")]
    doubts: Vec<Vec<Num>>,
    /// How α compares with noise of the same shape: text.
    #[serde(rename = "x", skip_serializing_if = "Vec::is_empty")]
    against_noise: Vec<Num>,
    /// Probability of each phase, in the order of [`Phase::ALL`].
    #[serde(rename = "q", skip_serializing_if = "Option::is_none")]
    probabilities: Option<[Num; 6]>,
    /// Evidence: name, value, text.
    #[serde(rename = "e", skip_serializing_if = "Vec::is_empty")]
    evidence: Vec<Vec<Num>>,
    /// Annotations, and the remark that the numbers are repeated: text.
    #[serde(rename = "a", skip_serializing_if = "Vec::is_empty")]
    remarks: Vec<Vec<Num>>,
    /// Reasons for missing numbers: text.
    #[serde(rename = "r", skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<Vec<Num>>,
    /// Epoch and step of the analysed observation. None unless the numbers and the spectrum are
    /// repeated from it.
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    pub(super) carried: Option<(usize, u64)>,
    /// The results of a full analysis.
    #[serde(rename = "f", skip_serializing_if = "Option::is_none")]
    full: Option<FullData>,
    /// The spectrum. None if it is missing or left out.
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    pub(super) spectrum: Option<Packed>,
}

/// The results of a full analysis.
#[derive(Serialize)]
struct FullData {
    /// Bootstrap interval of α: level, low, high.
    interval: Option<[Num; 3]>,
    /// p-value of the goodness of fit.
    fit_p: Option<Num>,
    /// Vuong's statistic against the exponential and against the lognormal, and the p-value of the
    /// cut-off.
    rivals: Option<[Num; 3]>,
    /// α by FARMS.
    farms: Option<Num>,
    /// Phases of the permuted matrices, and of the equalised one, as indices in [`Phase::ALL`].
    permuted: Vec<usize>,
    equalised: Option<usize>,
}

// Serde passes a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(flag: &u8) -> bool {
    *flag == 0
}

fn place(phase: Phase) -> usize {
    phase as usize
}

/// The page identifies a subject by its index here.
const SUBJECTS: [DoubtSubject; 4] = [
    DoubtSubject::Alpha,
    DoubtSubject::Interval,
    DoubtSubject::Phase,
    DoubtSubject::Bulk,
];

fn doubt(doubt: &Doubt, digits: usize, texts: &mut Texts) -> Vec<Num> {
    let subject = SUBJECTS.iter().position(|s| *s == doubt.subject());
    let mut said = vec![
        Num(subject.unwrap_or(0) as f64),
        texts.number(doubt.advice()),
    ];
    said.extend(texts.say(&doubt.phrase(), digits));
    said
}

impl Cell {
    pub(super) fn new(record: &Record, digits: usize, texts: &mut Texts) -> Self {
        let marks = SUBJECTS.iter().enumerate();
        let marks = marks.filter(|(_, subject)| record.is_questionable(**subject));
        let mut cell = Self {
            numbers: Vec::new(),
            phase: record.phase().map(place),
            uncertain: u8::from(!record.is_determinate()),
            marks: marks.map(|(i, _)| 1 << i).sum(),
            doubts: Vec::new(),
            against_noise: Vec::new(),
            probabilities: None,
            evidence: Vec::new(),
            remarks: Vec::new(),
            reasons: Vec::new(),
            carried: record.carried.map(|c| (c.from.epoch, c.from.step)),
            full: None,
            spectrum: None,
        };
        if let Some(carried) = &record.carried {
            cell.remarks.push(texts.say(&carried.phrase(), digits));
        }
        if let Some(why) = record.outcome.reason() {
            cell.reasons.push(texts.say(&why, digits));
        }
        let Some(values) = record.values() else {
            return cell;
        };
        let round = |v: Option<f64>| v.filter(|v| v.is_finite()).map(|v| Num::new(v, digits));
        cell.numbers = fields().map(|f| round(f.cell(record).number())).collect();
        cell.probabilities = values
            .phase_probabilities
            .map(|all| all.map(|p| Num((10_000.0 * p).round() / 10_000.0)));
        for evidence in &values.phase_evidence {
            let mut said = vec![
                texts.number(evidence.name()),
                Num::new(evidence.value(), digits),
            ];
            said.extend(texts.say(&evidence.phrase(), digits));
            cell.evidence.push(said);
        }
        for annotation in &values.annotations {
            cell.remarks.push(texts.say(&annotation.phrase(), digits));
        }
        let doubts = values.doubts.iter().map(|d| doubt(d, digits, texts));
        cell.doubts = doubts.collect();
        if let (Some(_), Some(noise)) = (values.primary.alpha, values.against_noise()) {
            cell.against_noise = texts.say(&noise, digits);
        }
        for why in values.reasons() {
            cell.reasons.push(texts.say(&why, digits));
        }
        cell.full = values.full.as_ref().map(|full| FullData::new(full, digits));
        cell
    }
}

impl FullData {
    fn new(full: &FullAnalysis, digits: usize) -> Self {
        let num = |v| Num::new(v, digits);
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

/// Placeholder of a number in a text.
const HOLE: char = '\u{fffc}';

/// The texts of all cells. Texts that differ only in their numbers are stored once.
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

    /// The index of the phrase's text, followed by its numbers.
    fn say(&mut self, phrase: &Phrase, digits: usize) -> Vec<Num> {
        let mut pattern = String::new();
        let mut numbers = Vec::new();
        for piece in phrase.pieces() {
            match *piece {
                Piece::Text(ref text) => pattern.push_str(text),
                Piece::Number(value, format) => {
                    pattern.push(HOLE);
                    numbers.push(Num::new(decimals(value, format), digits));
                }
            }
        }
        let mut said = vec![self.number(&pattern)];
        said.append(&mut numbers);
        said
    }
}

/// Rounds a number to the decimals of its format.
fn decimals(value: f64, format: Format) -> f64 {
    match format {
        Format::Fixed(decimals) if decimals <= 9 => {
            let power = 10f64.powi(decimals as i32);
            (value * power).round() / power
        }
        Format::Exponent(decimals) => rounded(value, decimals + 1),
        Format::Fixed(_) => value,
    }
}

/// A number in the shortest JSON form.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Num(pub(super) f64);

impl Num {
    /// A number with this many significant digits. The page is for reading; the log has the exact
    /// values.
    pub(super) fn new(value: f64, digits: usize) -> Self {
        Self(rounded(value, digits))
    }
}

impl Serialize for Num {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.0;
        if value.fract() == 0.0 && value.abs() < 1e15 {
            serializer.serialize_i64(value as i64)
        } else {
            // A number that is not finite becomes null.
            serializer.serialize_f64(value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let json = |v: f64| serde_json::to_string(&Num::new(v, 4)).unwrap();
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
        let fits = |p: f64, d95: f64| {
            let phrase = Phrase::new("the bulk fits (").p_value(p);
            phrase
                .text(", 95 % of noise below ")
                .fixed(d95, 4)
                .text(")")
        };
        let a = texts.say(&fits(3.41e-3, 0.00712), 4);
        let b = texts.say(&fits(8.0e-1, 0.1081), 4);
        assert_eq!(a, [0.0, 0.0034, 0.0071].map(Num));
        assert_eq!(b, [0.0, 0.8, 0.1081].map(Num));
        assert_eq!(texts.list, ["the bulk fits (p = ￼, 95 % of noise below ￼)"]);
    }
}
