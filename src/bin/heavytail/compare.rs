//! The command `heavytail compare`: compares models layer by layer, for example base and
//! fine-tuned, dense and pruned, or two epochs.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use heavytail::checkpoint::Checkpoint;
use heavytail::record::{Doubt, DoubtSubject};
use heavytail::survey::Survey;
use heavytail::{Phase, Record};
use serde::Serialize;

use crate::exit::Exit;
use crate::output::{short, write};
use crate::scores;
use crate::survey_args::SurveyArgs;

#[derive(Args)]
pub struct Options {
    /// Two or more models. Each one is compared with the first
    #[arg(required = true, num_args = 2..)]
    files: Vec<PathBuf>,
    /// A table `model,score` with the reported score of each model. α, α̂ and norms are correlated
    /// with the scores
    #[arg(long, value_name = "CSV")]
    scores: Option<PathBuf>,
    /// File for a plot of the models against their scores
    #[arg(long, requires = "scores", value_name = "SVG|PNG")]
    figure: Option<PathBuf>,
    #[command(flatten)]
    args: SurveyArgs,
    #[arg(long, value_enum, default_value_t = Order::Change)]
    sort: Order,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Write to this file instead of the standard output
    #[arg(short, long)]
    output: Option<PathBuf>,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Layers with the largest change of the weights first
    Change,
    /// The order of the file
    File,
}

/// The statistics of one layer in two models: the base first, the other second.
#[derive(Serialize)]
struct LayerComparison {
    name: String,
    /// The name in the other model. `None` if both names are equal.
    matched_with: Option<String>,
    shape: Vec<usize>,
    alpha: [Option<f64>; 2],
    lambda_max: [Option<f64>; 2],
    norm: [Option<f64>; 2],
    stable_rank: [Option<f64>; 2],
    num_spikes: [Option<usize>; 2],
    phase: [Option<Phase>; 2],
    /// The reasons why some values cannot be trusted, for each model.
    doubts: [Vec<Doubt>; 2],
    /// √Σ(σ_i − σ'_i)² / ‖W‖_F of the sorted singular values. It is a lower bound of
    /// `weight_distance` (Mirsky). `None` if the sizes differ or W is zero.
    spectral_distance: Option<f64>,
    /// ‖W' − W‖_F / ‖W‖_F. `None` if the shapes differ, W is zero, or the row is the product of an
    /// adapter.
    weight_distance: Option<f64>,
}

#[derive(Serialize)]
struct Comparison {
    base: String,
    other: String,
    layers: Vec<LayerComparison>,
    only_in_base: Vec<String>,
    only_in_other: Vec<String>,
}

struct Model {
    name: String,
    checkpoint: Checkpoint,
    survey: Survey,
}

pub fn run(options: &Options) -> Result<Exit> {
    let mut models = Vec::new();
    for file in &options.files {
        let (checkpoint, survey) = options.args.survey(file)?;
        let name = file.display().to_string();
        models.push(Model {
            name,
            checkpoint,
            survey,
        });
    }
    let failed = models
        .iter()
        .flat_map(|m| &m.survey.rows)
        .any(|r| r.is_failed());
    let text = match &options.scores {
        Some(table) => {
            let surveys: Vec<(&str, &Survey)> = models
                .iter()
                .map(|m| (m.name.as_str(), &m.survey))
                .collect();
            scores::report(&surveys, table, options.json, options.figure.as_deref())?
        }
        None => {
            let mut comparisons = Vec::new();
            for other in &models[1..] {
                comparisons.push(compare(&models[0], other, options.sort)?);
            }
            if options.json {
                serde_json::to_string_pretty(&comparisons)? + "\n"
            } else {
                comparisons.iter().map(table).collect()
            }
        }
    };
    write(&text, options.output.as_deref())?;
    Ok(if failed {
        Exit::FailedLayers
    } else {
        Exit::Success
    })
}

/// The positions of the rows that succeeded.
fn succeeded_rows(survey: &Survey) -> Vec<usize> {
    let rows = survey.rows.iter().enumerate();
    rows.filter(|(_, r)| r.is_success())
        .map(|(i, _)| i)
        .collect()
}

/// Pairs the layers of two models: first by name, then the remaining ones by shape, in file order.
/// Returns the pairs, the rows only in `a` and the rows only in `b`.
fn matches(a: &Survey, b: &Survey) -> (Vec<(usize, usize)>, Vec<usize>, Vec<usize>) {
    let mut right = succeeded_rows(b);
    let mut pairs = Vec::new();
    let mut take = |left: Vec<usize>, same: &dyn Fn(&Record, &Record) -> bool| {
        let mut rest = Vec::new();
        for i in left {
            match right.iter().position(|&j| same(&a.rows[i], &b.rows[j])) {
                Some(at) => pairs.push((i, right.remove(at))),
                None => rest.push(i),
            }
        }
        rest
    };
    let left = take(succeeded_rows(a), &|x, y| x.layer == y.layer);
    let left = take(left, &|x, y| x.shape == y.shape);
    pairs.sort_unstable();
    (pairs, left, right)
}

fn compare(base: &Model, other: &Model, order: Order) -> Result<Comparison> {
    let (a, b) = (&base.survey, &other.survey);
    let (pairs, left, right) = matches(a, b);
    ensure!(
        !pairs.is_empty(),
        "{} and {} have no layer in common, neither by name nor by shape",
        base.name,
        other.name
    );
    let mut layers = Vec::new();
    for (i, j) in pairs {
        let (x, y) = (&a.rows[i], &b.rows[j]);
        let both = |get: &dyn Fn(&Record) -> Option<f64>| [get(x), get(y)];
        let row = |get: fn(&heavytail::record::CutRecord) -> f64| {
            both(&|r| Some(get(&r.values()?.primary)))
        };
        let spikes = |r: &Record| r.values()?.num_spikes;
        layers.push(LayerComparison {
            name: x.layer.clone(),
            matched_with: (x.layer != y.layer).then(|| y.layer.clone()),
            shape: x.shape.clone(),
            alpha: both(&Record::alpha),
            lambda_max: row(|r| r.lambda_max),
            norm: row(|r| r.norm),
            stable_rank: row(|r| r.stable_rank),
            num_spikes: [spikes(x), spikes(y)],
            phase: [x.phase(), y.phase()],
            doubts: [x.doubts().to_vec(), y.doubts().to_vec()],
            spectral_distance: spectral_distance(a, b, i, j),
            weight_distance: weight_distance(base, other, i, j)?,
        });
    }
    if order == Order::Change {
        let change =
            |p: &LayerComparison| p.weight_distance.or(p.spectral_distance).unwrap_or(-1.0);
        layers.sort_by(|p, q| change(q).total_cmp(&change(p)));
    }
    let names = |survey: &Survey, rows: Vec<usize>| {
        rows.into_iter()
            .map(|i| survey.rows[i].layer.clone())
            .collect()
    };
    Ok(Comparison {
        base: base.name.clone(),
        other: other.name.clone(),
        layers,
        only_in_base: names(a, left),
        only_in_other: names(b, right),
    })
}

fn spectral_distance(a: &Survey, b: &Survey, i: usize, j: usize) -> Option<f64> {
    let (x, y) = (a.spectra[i].as_ref()?, b.spectra[j].as_ref()?);
    if (x.n(), x.m()) != (y.n(), y.m()) {
        return None;
    }
    let pairs = x.eigenvalues().iter().zip(y.eigenvalues());
    let change: f64 = pairs.map(|(p, q)| (p.sqrt() - q.sqrt()).powi(2)).sum();
    (x.total() > 0.0).then(|| (change / x.total()).sqrt())
}

fn weight_distance(a: &Model, b: &Model, i: usize, j: usize) -> Result<Option<f64>> {
    if a.survey.rows[i].shape != b.survey.rows[j].shape {
        return Ok(None);
    }
    let pair = (
        a.survey.cuts(&a.checkpoint, i)?,
        b.survey.cuts(&b.checkpoint, j)?,
    );
    let (Some(x), Some(y)) = pair else {
        return Ok(None);
    };
    let (x, y) = (x.primary, y.primary);
    let pairs = x.values().iter().zip(y.values());
    let change: f64 = pairs.map(|(p, q)| (p - q).powi(2)).sum();
    let norm: f64 = x.values().iter().map(|p| p * p).sum();
    Ok((norm > 0.0).then(|| (change / norm).sqrt()))
}

fn table(comparison: &Comparison) -> String {
    let wide = comparison
        .layers
        .iter()
        .map(|p| short(&p.name).chars().count())
        .max();
    let wide = wide.unwrap_or(5).max(5);
    let mut text = format!("{} → {}\n\n", comparison.base, comparison.other);
    let _ = writeln!(
        text,
        "  {:<wide$} {:>9} {:>9} {:>16} {:>8} {:>16} {:>11}  phase",
        "layer", "Δ weights", "Δ spectr.", "α", "λmax ratio", "stable rank", "spikes"
    );
    let number = |v: Option<f64>, digits: usize| {
        v.map_or_else(|| "–".to_owned(), |v| format!("{v:.digits$}"))
    };
    for p in &comparison.layers {
        let percent =
            |v: Option<f64>| v.map_or_else(|| "–".to_owned(), |v| format!("{:.2} %", 100.0 * v));
        let pair = |v: [Option<f64>; 2], d| format!("{} → {}", number(v[0], d), number(v[1], d));
        let mark = |i: usize, subject: DoubtSubject| {
            let mut about = p.doubts[i].iter().filter(|d| d.subject() == subject);
            if about.any(Doubt::is_questionable) {
                "?"
            } else {
                ""
            }
        };
        let marked = |i: usize, text: String, subject| match text.as_str() {
            "–" => text,
            _ => text + mark(i, subject),
        };
        let alpha = |i: usize| marked(i, number(p.alpha[i], 2), DoubtSubject::Alpha);
        let spikes_of = |i: usize, k: &String| marked(i, k.clone(), DoubtSubject::Bulk);
        let growth = p.lambda_max[0].zip(p.lambda_max[1]).map(|(a, b)| b / a);
        let spikes = p
            .num_spikes
            .map(|k| k.map_or("–".to_owned(), |k| k.to_string()));
        let phase_of = |i: usize| {
            let title = p.phase[i].map_or("–", Phase::title).to_owned();
            marked(i, title, DoubtSubject::Phase)
        };
        let phases = [phase_of(0), phase_of(1)];
        let phase = if phases[0] == phases[1] {
            phases[0].clone()
        } else {
            format!("{} → {}", phases[0], phases[1])
        };
        let _ = writeln!(
            text,
            "  {:<wide$} {:>9} {:>9} {:>16} {:>8} {:>16} {:>11}  {phase}",
            short(&p.name),
            percent(p.weight_distance),
            percent(p.spectral_distance),
            format!("{} → {}", alpha(0), alpha(1)),
            number(growth.filter(|g| g.is_finite()), 3),
            pair(p.stable_rank, 1),
            format!(
                "{} → {}",
                spikes_of(0, &spikes[0]),
                spikes_of(1, &spikes[1])
            ),
        );
        if let Some(other) = &p.matched_with {
            let _ = writeln!(text, "  {:<wide$} matched by shape with {other}", "");
        }
    }
    for (title, names) in [
        ("only in the first", &comparison.only_in_base),
        ("only in the second", &comparison.only_in_other),
    ] {
        if !names.is_empty() {
            let _ = writeln!(text, "\n  {title}: {}", names.join(", "));
        }
    }
    text.push('\n');
    text
}
