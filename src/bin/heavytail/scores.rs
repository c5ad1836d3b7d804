//! Correlates statistics of a series of models with the scores that were reported for the models.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use heavytail::plot::{self, Chart, ChartAxis, ChartPanel, Curve, CurveColor};
use heavytail::rank_correlation::{Correlation, kendall, spearman};
use heavytail::record::Summary;
use heavytail::survey::Survey;
use serde_json::{Value, json};

type Measure = (&'static str, fn(&Summary) -> Option<f64>);

/// The statistics that the papers and WeightWatcher compare with accuracy.
const MEASURES: [Measure; 7] = [
    ("alpha", |s| s.alpha),
    ("alpha_weighted", |s| s.alpha_weighted),
    ("alpha_hat_paper", |s| s.alpha_hat_paper),
    ("log_norm", |s| s.log_norm),
    ("log_spectral_norm", |s| s.log_spectral_norm),
    ("log_alpha_norm", |s| s.log_alpha_norm),
    ("log_product_norm_spectral", |s| s.log_product_norm_spectral),
];

/// The name of the score and the score of each model. A line of the table names a model by its
/// path, its file name or the stem of its file name.
fn read(table: &Path, models: &[(&str, &Survey)]) -> Result<(String, Vec<f64>)> {
    let place = || table.display().to_string();
    let mut reader = csv::Reader::from_path(table).with_context(place)?;
    let title = reader
        .headers()
        .with_context(place)?
        .get(1)
        .unwrap_or("score")
        .to_owned();
    let mut lines = Vec::new();
    for (i, record) in reader.records().enumerate() {
        let record = record.with_context(place)?;
        let line = i + 2;
        ensure!(
            record.len() >= 2,
            "{}, line {line}: expected model,score",
            place()
        );
        let score: f64 = record[1].trim().parse().with_context(|| {
            format!("{}, line {line}: `{}` is not a number", place(), &record[1])
        })?;
        lines.push((record[0].trim().to_owned(), score));
    }
    let scores = models
        .iter()
        .map(|(model, _)| {
            let is = |name: &str, part: Option<&std::ffi::OsStr>| {
                part.is_some_and(|p| p.to_string_lossy() == name)
            };
            let fits = |name: &str, model: &str| {
                let path = Path::new(model);
                name == model || is(name, path.file_name()) || is(name, path.file_stem())
            };
            let exact = lines.iter().find(|(name, _)| name == model);
            let (name, score) = exact
                .or_else(|| lines.iter().find(|(name, _)| fits(name, model)))
                .with_context(|| format!("{}: no line for {model}", place()))?;
            let others = models.iter().filter(|(other, _)| fits(name, other)).count();
            ensure!(
                name == model || others == 1,
                "{}: `{name}` fits {others} models; write their paths",
                place()
            );
            Ok(*score)
        })
        .collect::<Result<_>>()?;
    Ok((title, scores))
}

pub fn report(
    models: &[(&str, &Survey)],
    table: &Path,
    as_json: bool,
    figure: Option<&Path>,
) -> Result<String> {
    let (score, scores) = read(table, models)?;
    let pairs = |get: fn(&Summary) -> Option<f64>| -> Vec<(f64, f64)> {
        let points = models.iter().zip(&scores);
        points
            .filter_map(|((_, s), score)| Some((get(&s.summary)?, *score)))
            .collect()
    };
    if let Some(path) = figure {
        let panels = MEASURES.iter().take(6).map(|(name, get)| ChartPanel {
            title: title(name, kendall(&pairs(*get))),
            x: ChartAxis::linear(*name),
            y: ChartAxis::linear(score.as_str()),
            curves: models
                .iter()
                .zip(&scores)
                .enumerate()
                .map(|(i, ((model, survey), score))| Curve {
                    name: stem(model),
                    color: CurveColor::Category(i),
                    points: get(&survey.summary)
                        .map(|x| (x, *score))
                        .into_iter()
                        .collect(),
                    band: Vec::new(),
                    line: false,
                })
                .collect(),
        });
        let chart = Chart {
            title: "Models against their scores".to_owned(),
            note: "Means over the layers; τ: Kendall's, with the p of random pairings.".to_owned(),
            panels: panels.collect(),
        };
        plot::chart(&chart, path)?;
    }
    if as_json {
        let measures: Vec<Value> = MEASURES
            .iter()
            .map(|(name, get)| {
                let points = pairs(*get);
                json!({ "measure": name, "points": points, "kendall": words(kendall(&points)), "spearman": words(spearman(&points)) })
            })
            .collect();
        return Ok(serde_json::to_string_pretty(&json!({
            "models": models.iter().map(|m| m.0).collect::<Vec<_>>(), "scores": scores, "measures": measures,
        }))? + "\n");
    }
    let mut text = String::new();
    let wide = models
        .iter()
        .map(|(m, _)| stem(m).chars().count())
        .max()
        .unwrap_or(5)
        .max(26);
    let _ = write!(text, "  {:<wide$} {:>10}", "model", "score");
    for (name, _) in MEASURES {
        let _ = write!(text, " {:>1$}", name, name.len().max(9));
    }
    text.push('\n');
    for ((model, survey), score) in models.iter().zip(&scores) {
        let _ = write!(text, "  {:<wide$} {score:>10}", stem(model));
        for (name, get) in MEASURES {
            let value = get(&survey.summary).map_or("–".to_owned(), |v| format!("{v:.4}"));
            let _ = write!(text, " {value:>0$}", name.len().max(9));
        }
        text.push('\n');
    }
    text.push('\n');
    for (label, measure) in [
        (
            "Kendall's τ with the score",
            kendall as fn(&[(f64, f64)]) -> Option<Correlation>,
        ),
        ("Spearman's ρ", spearman),
        ("p of Kendall's τ", |p| {
            let mut tau = kendall(p)?;
            tau.value = tau.p;
            Some(tau)
        }),
    ] {
        let _ = write!(text, "  {label:<wide$} {:>10}", "");
        for (name, get) in MEASURES {
            let value =
                measure(&pairs(get)).map_or("–".to_owned(), |c| format!("{:.3}", c.value));
            let _ = write!(text, " {value:>0$}", name.len().max(9));
        }
        text.push('\n');
    }
    if models.len() >= 8 {
        let ends: [(&str, usize); 2] = [("95 % interval of τ: from", 0), ("to", 1)];
        for (label, end) in ends {
            let _ = write!(text, "  {label:<wide$} {:>10}", "");
            for (name, get) in MEASURES {
                let interval = kendall(&pairs(get)).and_then(|c| c.interval);
                let value = interval.map_or("–".to_owned(), |i| format!("{:.3}", i[end]));
                let _ = write!(text, " {value:>0$}", name.len().max(9));
            }
            text.push('\n');
        }
    }
    let n = models.len();
    if n < 8 {
        let _ = writeln!(
            text,
            "\n  {n} models: a perfect order has p = {:.3} by chance, and nothing weaker can be told from it.",
            2.0 / (1..=n).map(|k| k as f64).product::<f64>()
        );
    }
    Ok(text)
}

fn stem(model: &str) -> String {
    let stem = Path::new(model).file_stem();
    stem.map_or_else(|| model.to_owned(), |s| s.to_string_lossy().into_owned())
}

fn title(name: &str, tau: Option<Correlation>) -> String {
    tau.map_or_else(
        || name.to_owned(),
        |t| format!("τ = {:.2}, n = {}, p = {:.2}", t.value, t.n, t.p),
    )
}

fn words(c: Option<Correlation>) -> Value {
    c.map_or(
        Value::Null,
        |c| json!({ "value": c.value, "n": c.n, "p": c.p, "interval": c.interval }),
    )
}
