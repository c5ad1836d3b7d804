//! Writes the results of an experiment as a table in Markdown.

use std::fmt::Write as _;

use heavytail::{
    Phase,
    rank_correlation::{Correlation, spearman},
};

use crate::figures::{Experiment, LAYER, cell, extent, last};
use crate::support::sweep::{LayerResult, Row};

/// A table of the papers' layer with one line for each setting, and rank correlations with the
/// setting.
pub fn table(experiment: &Experiment) -> String {
    let mut text = format!("{}\n\n", experiment.what());
    let _ = writeln!(
        text,
        "| {} | phase of fc1, seed by seed | spikes | soft rank | stable rank | α | accuracy, % |\n|---|---|---|---|---|---|---|",
        experiment.varied.name()
    );
    for setting in experiment.settings() {
        let layers = || setting.runs.iter().filter_map(|r| r.result.layer(LAYER));
        let phases: Vec<String> = layers()
            .map(|l| {
                let cell = cell(l);
                let name = cell.phase.map_or("none", Phase::title);
                let mark = if cell.indeterminate { "?" } else { "" };
                format!("{name}{mark}")
            })
            .collect();
        let range = |digits: usize, values: Vec<f64>| {
            let (lo, hi) = extent(&values);
            if values.is_empty() {
                "–".to_owned()
            } else if format!("{lo:.digits$}") == format!("{hi:.digits$}") {
                format!("{lo:.digits$}")
            } else {
                format!("{lo:.digits$}–{hi:.digits$}")
            }
        };
        let accuracy = setting.runs.iter().filter_map(|r| r.result.accuracy());
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            setting.value,
            together(&phases),
            range(
                0,
                layers()
                    .filter_map(|l| last(&l.num_spikes))
                    .map(|k| k as f64)
                    .collect()
            ),
            range(3, layers().filter_map(|l| last(&l.mp_softrank)).collect()),
            range(1, layers().filter_map(|l| last(&l.stable_rank)).collect()),
            range(2, layers().filter_map(|l| last(&l.alpha)).collect()),
            range(1, accuracy.collect()),
        );
    }
    type Get = fn(&LayerResult) -> Option<f64>;
    let measures: [(&str, Get); 4] = [
        ("soft rank", |l| last(&l.mp_softrank)),
        ("stable rank", |l| last(&l.stable_rank)),
        ("α", |l| last(&l.alpha)),
        ("phase (R = 0 to C = 5)", |l| last(&l.phase).map(place_of)),
    ];
    let _ = writeln!(
        text,
        "\nSpearman's ρ with the {}, over all runs; of the seeds' means:\n",
        experiment.varied.name()
    );
    for (name, get) in measures {
        let all = spearman(&experiment.ends(|r| get(r.result.layer(LAYER)?)));
        let means: Vec<(f64, f64)> = experiment
            .settings()
            .iter()
            .map(|s| {
                let of = |r: &&Row| get(r.result.layer(LAYER)?);
                let values: Vec<f64> = s.runs.iter().filter_map(of).collect();
                (s.value, values.iter().sum::<f64>() / values.len() as f64)
            })
            .collect();
        let words = |c: Option<Correlation>| {
            c.map_or("none".to_owned(), |c| {
                format!("{:.3} (n = {}, p = {:.4})", c.value, c.n, c.p)
            })
        };
        let _ = writeln!(
            text,
            "- {name}: {}; {}",
            words(all),
            words(spearman(&means))
        );
    }
    text
}

/// Combines equal words: `2 × A, B` for `A, A, B`.
fn together(words: &[String]) -> String {
    let mut counts: Vec<(&String, usize)> = Vec::new();
    for word in words {
        match counts.iter_mut().find(|(w, _)| *w == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word, 1)),
        }
    }
    let parts: Vec<String> = counts
        .into_iter()
        .map(|(word, count)| {
            if count == 1 {
                word.clone()
            } else {
                format!("{count} × {word}")
            }
        })
        .collect();
    parts.join(", ")
}

/// The position of a phase in the order of the phases.
fn place_of(phase: Phase) -> f64 {
    Phase::ALL.iter().position(|p| *p == phase).unwrap_or(0) as f64
}
