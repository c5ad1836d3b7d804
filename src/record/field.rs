//! The registry of fields. It lists every number of a record once, with its name, type, unit,
//! getter and a one-line description.
//!
//! CSV, Parquet, TensorBoard, the terminal, the HTML report, the columns of the command line and
//! `docs/fields.md` are all built from [`FIELDS`] and [`SUMMARY_FIELDS`]. To add a number, add one
//! entry here.

use std::borrow::Cow;

use super::{Record, Summary};

/// The function that reads the value of a field, by its type.
#[derive(Debug)]
pub enum Getter<T: 'static> {
    /// Text.
    Text(for<'a> fn(&'a T) -> Option<Cow<'a, str>>),
    /// An integer.
    Int(fn(&T) -> Option<u64>),
    /// A real number.
    Real(fn(&T) -> Option<f64>),
    /// A boolean.
    Flag(fn(&T) -> Option<bool>),
}

/// The value of a field in one record.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    /// The record has no such value.
    Null,
    /// Text.
    Text(Cow<'a, str>),
    /// An integer.
    Int(u64),
    /// A real number.
    Real(f64),
    /// A boolean.
    Flag(bool),
}

impl Cell<'_> {
    /// The value as `f64`. None for text, booleans and null.
    pub fn number(&self) -> Option<f64> {
        match *self {
            Cell::Int(value) => Some(value as f64),
            Cell::Real(value) => Some(value),
            _ => None,
        }
    }
}

/// Unit of a field: the matrix whose eigenvalues it is computed from, and the logarithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Dimensionless: text, a count, a ratio or a probability.
    One,
    /// Eigenvalues of WᵀW, WeightWatcher's convention.
    Gram,
    /// log₁₀ of eigenvalues of WᵀW.
    GramLog10,
    /// Eigenvalues of X = WᵀW/N, the papers' convention.
    X,
    /// Natural logarithm of eigenvalues of X = WᵀW/N.
    XLn,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// Name of the unit, as in the table of `docs/fields.md`.
    pub fn name(self) -> &'static str {
        match self {
            Unit::One => "",
            Unit::Gram => "WᵀW",
            Unit::GramLog10 => "WᵀW, log₁₀",
            Unit::X => "X = WᵀW/N",
            Unit::XLn => "X = WᵀW/N, ln",
            Unit::Seconds => "s",
        }
    }
}

/// One number or text of a record of type `T`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Field<T: 'static> {
    /// Name of the CSV column and of the JSON key.
    pub name: &'static str,
    /// Unit and normalisation.
    pub unit: Unit,
    /// Description in one line.
    pub doc: &'static str,
    /// The function that reads the value.
    pub get: Getter<T>,
    /// Whether the HTML report includes it in its cells.
    pub(crate) page: bool,
    /// Tag of its curve in TensorBoard. None if TensorBoard does not show it.
    pub(crate) tag: Option<&'static str>,
}

impl<T> Field<T> {
    const fn new(name: &'static str, unit: Unit, get: Getter<T>, doc: &'static str) -> Self {
        Self {
            name,
            unit,
            doc,
            get,
            page: false,
            tag: None,
        }
    }

    const fn on_page(mut self) -> Self {
        self.page = true;
        self
    }

    const fn tag(mut self, tag: &'static str) -> Self {
        self.tag = Some(tag);
        self
    }

    /// The value of the field in a record.
    pub fn cell<'a>(&self, of: &'a T) -> Cell<'a> {
        match self.get {
            Getter::Text(get) => get(of).map_or(Cell::Null, Cell::Text),
            Getter::Int(get) => get(of).map_or(Cell::Null, Cell::Int),
            Getter::Real(get) => get(of).map_or(Cell::Null, Cell::Real),
            Getter::Flag(get) => get(of).map_or(Cell::Null, Cell::Flag),
        }
    }

    /// Name of the type: `text`, `int`, `real` or `flag`.
    pub fn kind(&self) -> &'static str {
        match self.get {
            Getter::Text(_) => "text",
            Getter::Int(_) => "int",
            Getter::Real(_) => "real",
            Getter::Flag(_) => "flag",
        }
    }
}

/// The layer field with this name.
pub fn field(name: &str) -> Option<&'static Field<Record>> {
    FIELDS.iter().find(|f| f.name == name)
}

const fn text(
    name: &'static str,
    get: for<'a> fn(&'a Record) -> Option<Cow<'a, str>>,
    doc: &'static str,
) -> Field<Record> {
    Field::new(name, Unit::One, Getter::Text(get), doc)
}

const fn int(
    name: &'static str,
    get: fn(&Record) -> Option<u64>,
    doc: &'static str,
) -> Field<Record> {
    Field::new(name, Unit::One, Getter::Int(get), doc)
}

const fn real(
    name: &'static str,
    unit: Unit,
    get: fn(&Record) -> Option<f64>,
    doc: &'static str,
) -> Field<Record> {
    Field::new(name, unit, Getter::Real(get), doc)
}

const fn mean(
    name: &'static str,
    unit: Unit,
    get: fn(&Summary) -> Option<f64>,
    doc: &'static str,
) -> Field<Summary> {
    Field::new(name, unit, Getter::Real(get), doc)
}

fn count(n: usize) -> u64 {
    n as u64
}

fn name(r: &Record) -> Option<Cow<'_, str>> {
    Some(Cow::from(&r.layer))
}

fn lambda_max(r: &Record) -> Option<f64> {
    Some(r.values()?.primary.lambda_max)
}

/// The codes of a record's doubts, separated by spaces.
fn doubts(r: &Record) -> Option<Cow<'_, str>> {
    let codes: Vec<&str> = r.values()?.doubts.iter().map(|d| d.code()).collect();
    (!codes.is_empty()).then(|| codes.join(" ").into())
}

/// All fields of a layer's record, in the order of the table's columns. A field has WeightWatcher's
/// name if WeightWatcher has that number.
#[rustfmt::skip]
pub const FIELDS: &[Field<Record>] = {
    use Unit::{Gram, GramLog10, One, Seconds, X, XLn};
    &[
        text("run", |r| Some(Cow::from(&r.run)), "Name of the run."),
        int("epoch", |r| Some(count(r.stamp.epoch)), "Finished epochs; 0 for the initial weights."),
        int("step", |r| Some(r.stamp.step), "Finished optimiser steps; 0 if unknown."),
        int("layer_id", |r| Some(count(r.layer_id)), "Index among the analysed layers, from 0."),
        text("name", name, "Name of the layer."),
        text("longname", name, "Name of the layer, as `name`."),
        text("cut", |r| Some(r.values()?.cut.to_string().into()), "How the matrix is made from the tensor: whole, unfolding or pooled."),
        int("N", |r| Some(count(r.values()?.primary.n)), "Longer side of the matrix."),
        int("M", |r| Some(count(r.values()?.primary.m)), "Shorter side of the matrix."),
        real("Q", One, |r| Some(r.values()?.q), "N/M."),
        int("num_evals", |r| Some(count(r.values()?.primary.num_evals)), "Number of eigenvalues."),
        real("alpha", One, |r| r.values()?.primary.alpha, "Exponent α of the spectrum's power-law tail, density λ^−α.").on_page().tag("alpha"),
        real("noise_alpha_low", One, |r| r.values()?.noise_alpha_low, "5 % point of α for pure noise of the same N and M."),
        real("noise_alpha", One, |r| r.values()?.noise_alpha, "Median of α for pure noise of the same N and M."),
        real("noise_alpha_high", One, |r| r.values()?.noise_alpha_high, "95 % point of α for pure noise of the same N and M."),
        real("sigma", One, |r| r.values()?.primary.sigma, "Textbook standard error of α; it ignores the search for xmin.").on_page(),
        real("D", One, |r| r.values()?.primary.d, "Kolmogorov–Smirnov distance of the tail from its power law.").on_page(),
        real("xmin", Gram, |r| r.values()?.primary.xmin, "Start of the tail."),
        real("xmax", Gram, |r| r.values()?.primary.xmax, "End of the tail, λmax."),
        int("num_pl_spikes", |r| r.values()?.primary.num_pl_spikes.map(count), "Eigenvalues in the tail.").on_page(),
        int("num_fitted", |r| r.values()?.primary.num_fitted.map(count), "Eigenvalues that the tail's fit used."),
        real("alpha_weighted", GramLog10, |r| r.values()?.primary.alpha_weighted, "α̂ = α·log₁₀ λmax.").on_page().tag("alpha_hat"),
        real("log_alpha_norm", GramLog10, |r| r.values()?.primary.log_alpha_norm, "log₁₀ Σλ^α."),
        real("log_norm", GramLog10, |r| r.values()?.primary.log_norm, "log₁₀ ‖W‖²_F."),
        real("log_spectral_norm", GramLog10, |r| r.values()?.primary.log_spectral_norm, "log₁₀ λmax."),
        real("norm", Gram, |r| Some(r.values()?.primary.norm), "Σλ = ‖W‖²_F."),
        real("lambda_max", Gram, lambda_max, "The largest eigenvalue.").on_page().tag("lambda_max"),
        real("spectral_norm", Gram, lambda_max, "The largest eigenvalue, under WeightWatcher's name."),
        real("stable_rank", One, |r| Some(r.values()?.primary.stable_rank), "Σλ/λmax.").on_page().tag("stable_rank"),
        int("matrix_rank", |r| Some(count(r.values()?.primary.matrix_rank)), "Singular values above the f32 tolerance.").on_page(),
        int("rank_loss", |r| Some(count(r.values()?.primary.rank_loss)), "Singular values below the f32 tolerance."),
        real("entropy", One, |r| Some(r.values()?.primary.entropy), "Spectral entropy over ln M, in [0, 1].").on_page().tag("entropy"),
        int("num_spikes", |r| r.values()?.num_spikes.map(count), "Eigenvalues beyond the Tracy–Widom edge of the bulk.").on_page().tag("num_spikes"),
        real("sigma_mp", X, |r| r.values()?.sigma_mp, "Scale σ of the Marchenko–Pastur bulk.").on_page(),
        real("mp_softrank", One, |r| r.values()?.mp_softrank, "Soft rank λ₊/λmax: the bulk's edge over the largest eigenvalue.").on_page().tag("soft_rank"),
        real("bulk_min_x", X, |r| r.values()?.bulk_min_x, "Lower edge λ₋ of the bulk.").on_page(),
        real("bulk_max_x", X, |r| r.values()?.bulk_max_x, "Upper edge λ₊ of the bulk.").on_page(),
        real("bulk_edge_x", X, |r| r.values()?.bulk_edge_x, "λ₊ plus the Tracy–Widom fluctuation: noise is beyond it once in 100 matrices.").on_page(),
        real("bulk_d", One, |r| r.values()?.bulk_d, "Distance of the bulk from Marchenko–Pastur.").on_page(),
        real("bulk_d95", One, |r| r.values()?.bulk_d95, "95 % point of `bulk_d` for noise.").on_page(),
        real("bulk_d_p", One, |r| r.values()?.bulk_d_p, "p-value of `bulk_d` under noise.").on_page(),
        real("lambda_max_p", One, |r| r.values()?.lambda_max_p, "P(λmax of noise > λmax), Tracy–Widom.").on_page(),
        int("num_null", |r| r.values()?.num_null.map(count), "Null directions.").on_page(),
        real("hill_alpha", One, |r| r.values()?.hill_alpha, "Hill's α over the upper half of the spectrum."),
        real("lr_exponential", One, |r| r.values()?.lr_exponential, "Vuong's statistic of the power law against the exponential on the tail."),
        real("xmin_x", X, |r| r.values()?.primary.xmin_x, "Start of the tail.").on_page(),
        real("lambda_max_x", X, |r| Some(r.values()?.primary.lambda_max_x), "The largest eigenvalue.").on_page(),
        real("alpha_weighted_x", XLn, |r| r.values()?.primary.alpha_weighted_x, "α·ln λmax."),
        real("log_alpha_norm_x", XLn, |r| r.values()?.primary.log_alpha_norm_x, "ln Σλ^α."),
        real("log_norm_x", XLn, |r| r.values()?.primary.log_norm_x, "ln Σλ."),
        real("log_spectral_norm_x", XLn, |r| r.values()?.primary.log_spectral_norm_x, "ln λmax."),
        real("stable_rank_log", Gram, |r| r.values()?.primary.stable_rank_log, "ln ‖W‖²_F / ln λmax; none where |ln λmax| < 0.1."),
        real("stable_rank_log_x", X, |r| r.values()?.primary.stable_rank_log_x, "ln Σλ / ln λmax; none where |ln λmax| < 0.1."),
        text("phase", |r| Some(r.phase()?.name().into()), "Phase of training."),
        real("phase_confidence", One, |r| r.values()?.phase_confidence, "Probability of `phase`.").tag("phase_confidence"),
        Field::new("indeterminate", One, Getter::Flag(|r: &Record| r.values()?.indeterminate), "Whether the phase is unreliable."),
        text("warning", |r| Some(r.values()?.warning?.name().into()), "WeightWatcher's label of an α outside of 2–6."),
        text("doubts", doubts, "Codes of the doubts about the numbers (`Doubt`)."),
        text("status", |r| Some(r.outcome.status().into()), "success, failed or skipped."),
        text("reason", |r| Some(r.outcome.reason()?.to_string().into()), "Why there are no numbers."),
        real("seconds_analysis", Seconds, |r| Some(r.seconds_analysis), "Wall time of this layer's analysis."),
        int("carried_from_epoch", |r| Some(count(r.carried?.from.epoch)), "Epoch of the analysis whose numbers are repeated; empty if the layer was analysed."),
    ]
};

/// All numeric fields of a [`Summary`]: means over the layers, and wall times.
#[rustfmt::skip]
pub const SUMMARY_FIELDS: &[Field<Summary>] = {
    use Unit::{Gram, GramLog10, One, Seconds, XLn};
    &[
        mean("alpha", One, |s| s.alpha, "Mean α of the layers that have one.").tag("model/alpha"),
        mean("alpha_weighted", GramLog10, |s| s.alpha_weighted, "WeightWatcher's α̂: mean of α·log₁₀ λmax.").tag("model/alpha_hat"),
        mean("alpha_hat_paper", XLn, |s| s.alpha_hat_paper, "The workshop paper's α̂: (1/N_L) Σ α·ln λmax.").tag("model/alpha_hat_paper"),
        mean("alpha_hat_paper_sum", XLn, |s| s.alpha_hat_paper_sum, "Σ α·ln λmax, without 1/N_L."),
        mean("log_norm", GramLog10, |s| s.log_norm, "Mean of log₁₀ ‖W‖²_F."),
        mean("log_spectral_norm", GramLog10, |s| s.log_spectral_norm, "Mean of log₁₀ λmax."),
        mean("log_alpha_norm", GramLog10, |s| s.log_alpha_norm, "Mean of log₁₀ Σλ^α."),
        mean("stable_rank", One, |s| s.stable_rank, "Mean of ‖W‖²_F/λmax.").tag("model/stable_rank"),
        mean("mp_softrank", One, |s| s.mp_softrank, "Mean of λ₊/λmax."),
        mean("entropy", One, |s| s.entropy, "Mean spectral entropy."),
        mean("log_product_norm_spectral", Gram, |s| s.log_product_norm_spectral, "Mean of ln ‖W‖₂."),
        mean("log_product_norm_frobenius", Gram, |s| s.log_product_norm_frobenius, "Mean of ln ‖W‖_F."),
        mean("seconds_snapshot", Seconds, |s| Some(s.seconds_snapshot), "Wall time to copy the weights, on the thread that trains.").tag("model/seconds_snapshot"),
        mean("seconds_analysis", Seconds, |s| Some(s.seconds_analysis), "Wall time of the analysis, on the worker.").tag("model/seconds_analysis"),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::analyze;
    use crate::config::Config;
    use crate::matrix::WeightMatrix;
    use crate::record::{Carried, LayerShape, Stamp};

    fn record() -> Record {
        let weights: Vec<f64> = (0..60 * 40)
            .map(|i| ((i * i * 31 + i * 7) % 1009) as f64 - 504.0)
            .collect();
        let matrix = WeightMatrix::new("fc", 60, 40, weights).unwrap();
        let report = analyze(&matrix, &Config::live()).unwrap();
        let stamp = Stamp { epoch: 2, step: 9 };
        Record::success("r", stamp, 3, &report)
    }

    #[test]
    fn the_log_has_the_same_names_and_values() {
        // Fields that are not keys of the log. They have another name there, are text made from a
        // code, are lists, or are part of a struct.
        const DERIVED: [&str; 6] = [
            "name",
            "longname",
            "spectral_norm",
            "reason",
            "doubts",
            "carried_from_epoch",
        ];
        let record = record();
        let json = serde_json::to_value(&record).unwrap();
        for field in FIELDS.iter().filter(|f| !DERIVED.contains(&f.name)) {
            let value = json
                .get(field.name)
                .unwrap_or_else(|| panic!("{}", field.name));
            match field.cell(&record) {
                Cell::Null => assert!(value.is_null(), "{}", field.name),
                Cell::Text(text) => assert_eq!(value, text.as_ref(), "{}", field.name),
                Cell::Int(int) => assert_eq!(value, int, "{}", field.name),
                Cell::Real(real) => assert_eq!(value, real, "{}", field.name),
                Cell::Flag(flag) => assert_eq!(value, flag, "{}", field.name),
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = FIELDS.iter().map(|f| f.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FIELDS.len());
    }

    #[test]
    fn a_carried_row_says_whose_numbers_it_has() {
        let shape = LayerShape {
            name: "fc".to_owned(),
            shape: vec![2, 2],
        };
        let mut record = Record::failed("r", Stamp::from_epoch(5), 0, shape, "NaN");
        let carried = field("carried_from_epoch").unwrap();
        assert_eq!(carried.cell(&record), Cell::Null);
        record.carried = Some(Carried {
            from: Stamp::from_epoch(3),
            drift: 0.001,
            alpha_tolerance: 0.1,
            norm: 1.0,
        });
        assert_eq!(carried.cell(&record), Cell::Int(3));
        assert_eq!(
            field("reason").unwrap().cell(&record),
            Cell::Text("NaN".into())
        );
    }

    /// `docs/fields.md` must equal the table made from the registry. `UPDATE_DOCS=1 cargo test`
    /// rewrites it.
    #[test]
    fn the_documentation_is_the_registry() {
        fn rows<T>(fields: &[Field<T>]) -> String {
            let row = |f: &Field<T>| {
                format!(
                    "| `{}` | {} | {} | {} |\n",
                    f.name,
                    f.kind(),
                    f.unit.name(),
                    f.doc
                )
            };
            fields.iter().map(row).collect()
        }
        let head = "| name | type | unit | what it is |\n|---|---|---|---|\n";
        let text = format!(
            "# Fields\n\nThe columns of `layers.csv` and Parquet, the keys of the log and of the program's JSON, in this order.\n\
             N ≥ M are the sides of the matrix. λ is an eigenvalue of the matrix in the column *unit*.\n\
             `src/record/field.rs` is the source of this page: a test compares them.\n\n\
             ## A layer at an observation\n\n{head}{}\n## The model at an observation\n\n{head}{}",
            rows(FIELDS),
            rows(SUMMARY_FIELDS)
        );
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/fields.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), text);
    }
}
