//! Draws figures of several experiments together.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use heavytail::{
    Phase,
    plot::{self, Chart, ChartAxis, ChartPanel, Curve, CurveColor},
};

use crate::figures::{Experiment, LAYER, VariedSetting, band, last, spectrum};
use crate::support::sweep::{LayerResult, Row};

/// Draws soft rank and phase against lr/batch, for experiments that vary different settings.
pub fn noise_scale(experiments: &[&Experiment], path: &Path) -> Result<()> {
    let scale = |row: &Row| row.run.lr / row.run.batch_size as f64;
    let end = |row: &Row| -> Option<(f64, f64, Phase)> {
        let layer = row.result.layer(LAYER)?;
        Some((scale(row), last(&layer.mp_softrank)?, last(&layer.phase)?))
    };
    let by_knob = experiments.iter().enumerate().map(|(i, e)| {
        let mut at: BTreeMap<u64, (f64, Vec<f64>)> = BTreeMap::new();
        for (x, y, _) in e.rows.iter().filter_map(end) {
            at.entry(x.to_bits()).or_insert((x, Vec::new())).1.push(y);
        }
        let name = format!("{} varied", e.varied.name());
        band(&name, CurveColor::Category(i), at.into_values().collect())
    });
    let rows = || experiments.iter().flat_map(|e| &e.rows).filter_map(end);
    let by_phase = Phase::ALL.into_iter().filter_map(|phase| {
        let points: Vec<(f64, f64)> = rows()
            .filter(|r| r.2 == phase)
            .map(|(x, y, _)| (x, y))
            .collect();
        (!points.is_empty()).then(|| Curve {
            name: phase.title().to_owned(),
            color: CurveColor::Phase(phase),
            points,
            band: Vec::new(),
            line: false,
        })
    });
    let panel = |title: &str, curves: Vec<Curve>| ChartPanel {
        title: title.to_owned(),
        x: ChartAxis::log("learning rate / batch size"),
        y: ChartAxis::log("soft rank λ₊/λmax"),
        curves,
    };
    let chart = Chart {
        title: format!("Is lr/batch all that matters? {LAYER} at the end"),
        note: "Left: mean over the seeds, band from the least to the greatest. Right: each run in its phase."
            .to_owned(),
        panels: vec![
            panel("two settings", by_knob.collect()),
            panel("phases", by_phase.collect()),
        ],
    };
    plot::chart(&chart, path)?;
    Ok(())
}

/// Draws one spectrum for each phase: the layer of LeNet5 whose verdict has the highest confidence.
pub fn gallery(experiments: &[Experiment], path: &Path) -> Result<()> {
    let model = "LeNet5";
    let mut spectra = Vec::new();
    for phase in Phase::ALL {
        let ours = experiments.iter().filter(|e| e.model() == model);
        let surest = ours
            .flat_map(|e| e.rows.iter().map(move |r| (e, r)))
            .filter_map(|(e, r)| Some((e, r, r.result.layer(LAYER)?)))
            .filter(|(_, _, l)| last(&l.phase) == Some(phase))
            .filter(|(_, _, l)| !l.indeterminate.last().copied().unwrap_or(true))
            .max_by(|(_, _, a), (_, _, b)| {
                let sure = |l: &LayerResult| last(&l.phase_confidence).unwrap_or(0.0);
                sure(a).total_cmp(&sure(b))
            });
        let Some((experiment, row, layer)) = surest else {
            continue;
        };
        let knob = match experiment.varied {
            VariedSetting::BatchSize => format!("batch size {}", row.run.batch_size),
            VariedSetting::LearningRate => format!("lr {}", row.run.lr),
            VariedSetting::WeightDecay => format!("weight decay {}", row.run.weight_decay),
        };
        spectra.push((format!("{}: {knob}", phase.title()), spectrum(layer)?));
    }
    let title = format!("The phases, in {LAYER} of {model} as it was trained here");
    plot::esd_gallery(&title, &spectra, path)?;
    Ok(())
}
