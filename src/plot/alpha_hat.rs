//! The model's weighted α over the epochs, in its two conventions.

use std::collections::{BTreeMap, BTreeSet};

use super::axis::Axis;
use super::canvas::{Figure, TextStyle};
use super::panel::{Labels, Panel};
use super::style::{self, HEADING, Marker, SMALL};
use super::table::{Table, field};
use super::trajectory::{EPOCH, LEFT, WIDTH, positions};
use crate::record::{Stamp, Summary};
use crate::run::Trajectory;

/// The model's weighted α over the epochs, in both conventions.
pub(super) fn figure(trajectory: &Trajectory) -> Result<Figure, String> {
    let summaries: BTreeMap<Stamp, &Summary> = trajectory
        .summaries()
        .iter()
        .map(|s| (s.stamp, s))
        .collect();
    let places = positions(summaries.keys().copied());
    let has = |s: &&Summary| s.alpha_weighted.is_some() || s.alpha_hat_paper.is_some();
    if !summaries.values().any(has) {
        return Err("nothing to draw: no summary has a weighted α".to_owned());
    }
    let mut table = Table::new(&[
        "epoch",
        "step",
        "alpha_weighted",
        "alpha_hat_paper",
        "alpha_hat_paper_layers",
        "alpha_hat_paper_left_out",
    ]);
    for (stamp, s) in &summaries {
        table.row([
            stamp.epoch.to_string(),
            stamp.step.to_string(),
            field(s.alpha_weighted),
            field(s.alpha_hat_paper),
            s.alpha_hat_paper_layers.to_string(),
            s.alpha_hat_paper_left_out.join(" "),
        ]);
    }
    let counts: BTreeSet<usize> = summaries
        .values()
        .filter(|s| s.alpha_hat_paper.is_some())
        .map(|s| s.alpha_hat_paper_layers)
        .collect();
    let layers = match (counts.first(), counts.last()) {
        (Some(a), Some(b)) if a < b => format!("N_L = {a}–{b}"),
        (Some(a), _) => format!("N_L = {a}"),
        _ => "N_L = 0".to_owned(),
    };
    let left_out: BTreeSet<&str> = summaries
        .values()
        .flat_map(|s| &s.alpha_hat_paper_left_out)
        .map(String::as_str)
        .collect();
    let mut remark = String::new();
    if !left_out.is_empty() {
        // In the order of the model.
        let names: Vec<&str> = trajectory
            .layers()
            .iter()
            .map(String::as_str)
            .filter(|name| left_out.contains(name))
            .collect();
        remark = format!(
            "left out, wholly or in part (M < 50 or no fit): {}",
            names.join(", ")
        );
        if style::text_width(&remark, SMALL, false) > WIDTH - LEFT - 20.0 {
            remark = format!(
                "{} layers left out, wholly or in part: M < 50 or no fit",
                left_out.len()
            );
        }
    }

    let mut figure = Figure::new(WIDTH, 544.0, table);
    figure.heading("alpha-hat: weighted α of the model", trajectory.run());
    let stamps = || places.values().copied();
    let x = match (stamps().next(), stamps().next_back()) {
        (Some(lo), Some(hi)) => Axis::whole(lo, hi),
        _ => Axis::whole(0.0, 0.0),
    };
    let mut draw =
        |top: f64, title: &str, remark: &str, value: fn(&Summary) -> Option<f64>, last| {
            let heading = TextStyle::new(HEADING, style::INK).bold();
            figure.text((LEFT, top - 34.0), title, heading);
            figure.text(
                (LEFT, top - 15.0),
                remark,
                TextStyle::new(SMALL, style::MUTED),
            );
            let points: Vec<(f64, f64)> = summaries
                .iter()
                .filter_map(|(stamp, s)| Some((*places.get(stamp)?, value(s)?)))
                .filter(|p| p.1.is_finite())
                .collect();
            let panel = Panel {
                left: LEFT,
                top,
                right: WIDTH - 24.0,
                bottom: top + 165.0,
                x,
                y: Axis::around(
                    without_outliers(points.iter().map(|p| p.1).collect()).into_iter(),
                    0.1,
                ),
            };
            if points.is_empty() {
                let middle = ((panel.left + panel.right) / 2.0, top + 82.0);
                let kind = TextStyle::new(HEADING, style::MUTED).middle();
                figure.text(middle, "no layer has a value in this convention", kind);
                return;
            }
            panel.grid(&mut figure);
            let (color, marker) = if last {
                (style::VERMILLION, Marker::Square)
            } else {
                (style::BLUE, Marker::Circle)
            };
            panel.line(&mut figure, &points, color, 2.2);
            let mut before = f64::NEG_INFINITY;
            for &(x, y) in &points {
                let Some(at) = panel.inside(x, y).filter(|at| at.0 - before >= 10.0) else {
                    continue;
                };
                if y >= panel.y.lo() && y <= panel.y.hi() {
                    figure.marker(at, marker, 3.6, color, false);
                } else {
                    panel.beyond(&mut figure, x, y, color, at.0 - before > 45.0);
                }
                before = at.0;
            }
            let labels = Labels {
                x: last.then_some(EPOCH),
                y: Some("alpha-hat"),
            };
            panel.frame(&mut figure, labels);
        };
    let tool = "a convolution counts by its pooled slices, eigenvalues × ½, as that tool does";
    let title = "WeightWatcher: mean α·log₁₀ λmax, WᵀW";
    draw(96.0, title, tool, |s| s.alpha_weighted, false);
    let title = format!("workshop paper: (1/N_L) Σ α·ln λmax, X = WᵀW/N, {layers}");
    draw(323.0, &title, &remark, |s| s.alpha_hat_paper, true);
    Ok(figure)
}

/// Removes values beyond Tukey's outer fences. At initialisation α is that of noise, and one such
/// value would flatten the rest of the curve.
fn without_outliers(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    let quartile = |k: usize| values.get(values.len() * k / 4).copied().unwrap_or(0.0);
    let (lower, upper) = (quartile(1), quartile(3));
    let fence = 3.0 * (upper - lower);
    if values.len() >= 8 && fence > 0.0 {
        values.retain(|v| (lower - fence..=upper + fence).contains(v));
    }
    values
}
