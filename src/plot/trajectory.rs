//! The figure of α over the epochs, below the training's loss and accuracy.

use std::collections::{BTreeMap, BTreeSet};

use super::axis::Axis;
use super::canvas::Figure;
use super::legend::{self, Entry, Key, ROW};
use super::panel::{Labels, Panel};
use super::style::{self, Marker};
use super::table::{Table, field};
use crate::fit::NoFit;
use crate::record::Stamp;
use crate::run::Trajectory;

pub(super) const WIDTH: f64 = 960.0;
const TOP: f64 = 58.0;
pub(super) const LEFT: f64 = 78.0;
const RIGHT: f64 = 720.0;
const LEGEND: f64 = RIGHT + 22.0;
const LEGEND_WIDTH: f64 = WIDTH - LEGEND - 10.0;
pub(super) const EPOCH: &str = "epoch (0: initial weights)";

/// Lower and upper limit of the upper end of the α axis. The axis starts at 1, because a power law
/// needs α > 1.
const ALPHA_TOP: (f64, f64) = (7.0, 16.0);
/// With more layers, no bands are drawn, because they would hide each other.
const MOST_BANDS: usize = 6;
/// With more layers, the markers are sparser and smaller.
const MOST_MARKED: usize = 12;
/// Maximal number of layers in the legend.
const MOST_ENTRIES: usize = 24;

/// Positions of observations on an axis of epochs. Steps within an epoch have fractional positions.
pub(super) fn positions(stamps: impl Iterator<Item = Stamp>) -> BTreeMap<Stamp, f64> {
    let stamps: BTreeSet<Stamp> = stamps.collect();
    let mut ends: BTreeMap<usize, u64> = BTreeMap::new();
    for stamp in &stamps {
        ends.entry(stamp.epoch).or_insert(stamp.step);
    }
    let rate = |(e0, s0): (usize, u64), (e1, s1): (usize, u64)| {
        (s1.saturating_sub(s0)) as f64 / (e1 - e0) as f64
    };
    let fraction = |stamp: &Stamp| {
        let end = ends.get(&stamp.epoch).copied().unwrap_or(stamp.step);
        let beyond = (stamp.step - end) as f64;
        if beyond == 0.0 {
            return 0.0;
        }
        let here = (stamp.epoch, end);
        let next = ends
            .range(stamp.epoch + 1..)
            .next()
            .map(|(&e, &s)| rate(here, (e, s)));
        let last = ends
            .range(..stamp.epoch)
            .next_back()
            .map(|(&e, &s)| rate((e, s), here));
        let per_epoch = next.or(last).filter(|&r| r > 0.0).unwrap_or(beyond + 1.0);
        (beyond / per_epoch).min(0.99)
    };
    stamps
        .iter()
        .map(|stamp| (*stamp, stamp.epoch as f64 + fraction(stamp)))
        .collect()
}

/// α and its σ of one layer at one observation. None if there is no fit.
struct AlphaPoint {
    x: f64,
    alpha: Option<(f64, f64)>,
}

/// The figure.
pub(super) fn alpha(trajectory: &Trajectory) -> Result<Figure, String> {
    let places = positions(trajectory.records().iter().map(|r| r.stamp));
    if places.is_empty() {
        return Err("nothing to draw: the trajectory has no layer records".to_owned());
    }
    let mut table = Table::new(&[
        "quantity", "name", "epoch", "step", "value", "sigma", "reason",
    ]);
    let layers: Vec<Vec<AlphaPoint>> = trajectory
        .layers()
        .iter()
        .map(|layer| readings(trajectory, layer, &places, &mut table))
        .collect();
    let scalars = [
        Scalars::new(trajectory, "loss"),
        Scalars::new(trajectory, "accuracy"),
    ];
    let panels: Vec<&Scalars> = scalars.iter().filter(|s| !s.series.is_empty()).collect();
    for (name, points) in panels.iter().flat_map(|p| &p.series) {
        for (x, y) in points {
            table.row([
                "scalar".to_owned(),
                name.clone(),
                x.to_string(),
                String::new(),
                y.to_string(),
                String::new(),
                String::new(),
            ]);
        }
    }
    let xs = || {
        let scalar = panels.iter().flat_map(|p| &p.series).flat_map(|(_, s)| s);
        places.values().copied().chain(scalar.map(|p| p.0))
    };
    let range = Axis::around(xs(), 0.0);
    let epochs = match xs().next() {
        Some(only) if xs().all(|x| x == only) => Axis::whole(only, only),
        _ => Axis::whole(range.lo(), range.hi()),
    };

    let entries = alpha_entries(trajectory, &layers);
    let strip = 132.0;
    let top = TOP + strip * panels.len() as f64;
    let height = (ROW * entries.len() as f64 + 24.0).max(340.0);
    let mut figure = Figure::new(WIDTH, top + height + 56.0, table);
    figure.heading(
        "α of each layer: exponent of the power-law tail",
        trajectory.run(),
    );
    for (i, scalars) in panels.iter().enumerate() {
        let top = TOP + strip * i as f64;
        scalars.draw(&mut figure, epochs, top, top + strip - 24.0);
    }

    let panel = Panel {
        left: LEFT,
        top,
        right: RIGHT,
        bottom: top + height,
        x: epochs,
        y: Axis::linear(1.0, alpha_top(&layers)),
    };
    panel.zone(&mut figure, 2.0, 6.0, style::faint(style::YELLOW, 0.14));
    panel.zone(&mut figure, 2.0, 5.0, style::faint(style::YELLOW, 0.22));
    panel.grid(&mut figure);
    let mut labels = Vec::new();
    let mut unfitted = 0;
    for (i, readings) in layers.iter().enumerate() {
        draw_line(&mut figure, &panel, readings, i, layers.len());
        draw_markers(
            &mut figure,
            &panel,
            readings,
            (i, layers.len()),
            unfitted,
            &mut labels,
        );
        unfitted += usize::from(readings.iter().any(|r| r.alpha.is_none()));
    }
    panel.frame(
        &mut figure,
        Labels {
            x: Some(EPOCH),
            y: Some("tail exponent α"),
        },
    );
    legend::column(&mut figure, (LEGEND, top + 10.0), LEGEND_WIDTH, &entries);
    Ok(figure)
}

fn readings(
    trajectory: &Trajectory,
    layer: &str,
    places: &BTreeMap<Stamp, f64>,
    table: &mut Table,
) -> Vec<AlphaPoint> {
    let mut by_stamp = BTreeMap::new();
    for record in trajectory.layer(layer) {
        by_stamp.insert(record.stamp, record);
    }
    by_stamp
        .into_iter()
        .filter_map(|(stamp, record)| {
            let row = record.values().map(|v| &v.primary);
            let alpha = row.and_then(|r| Some((r.alpha?, r.sigma.unwrap_or(0.0))));
            let why = match record.values() {
                None => record.outcome.reason(),
                Some(values) => values.primary.alpha_reason.as_ref().map(NoFit::phrase),
            };
            table.row([
                "alpha".to_owned(),
                layer.to_owned(),
                stamp.epoch.to_string(),
                stamp.step.to_string(),
                field(alpha.map(|a| a.0)),
                field(alpha.map(|a| a.1)),
                why.unwrap_or_default().to_string(),
            ]);
            Some(AlphaPoint {
                x: *places.get(&stamp)?,
                alpha: alpha.filter(|(a, _)| a.is_finite()),
            })
        })
        .collect()
}

fn draw_line(figure: &mut Figure, panel: &Panel, readings: &[AlphaPoint], i: usize, count: usize) {
    let (color, _) = style::layer(i, count);
    // An observation without a fit interrupts the line.
    for run in readings.split(|r| r.alpha.is_none()) {
        let points: Vec<(f64, f64, f64)> = run
            .iter()
            .filter_map(|r| {
                r.alpha
                    .map(|(a, s)| (r.x, a, if s.is_finite() { s } else { 0.0 }))
            })
            .collect();
        if count <= MOST_BANDS {
            let band: Vec<_> = points.iter().map(|&(x, a, s)| (x, a - s, a + s)).collect();
            panel.band(figure, &band, style::faint(color, 0.16));
            // A single point has no area, so draw its interval as a bar.
            if let [(x, low, high)] = band[..] {
                panel.line(
                    figure,
                    &[(x, low), (x, high)],
                    style::faint(color, 0.5),
                    1.5,
                );
            }
        }
        let line: Vec<(f64, f64)> = points.iter().map(|&(x, a, _)| (x, a)).collect();
        panel.line(
            figure,
            &line,
            color,
            if count > MOST_MARKED { 1.2 } else { 2.0 },
        );
    }
}

/// Upper end of the α axis: 1.15 times the 90 % point of the values, rounded up, within
/// [`ALPHA_TOP`]. The α of noise is far above the others and would compress them. Larger values
/// become arrows with their value.
fn alpha_top(layers: &[Vec<AlphaPoint>]) -> f64 {
    let values = layers
        .iter()
        .flatten()
        .filter_map(|r| r.alpha)
        .map(|(a, _)| a);
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let most = values.get(values.len() * 9 / 10).copied().unwrap_or(0.0);
    (1.15 * most).ceil().clamp(ALPHA_TOP.0, ALPHA_TOP.1)
}

/// Draws the markers of a layer. `unfitted` layers before it have their own row of hollow markers.
/// `labels` holds the x positions of values that are already written at the top.
fn draw_markers(
    figure: &mut Figure,
    panel: &Panel,
    readings: &[AlphaPoint],
    (i, count): (usize, usize),
    unfitted: usize,
    labels: &mut Vec<f64>,
) {
    let (color, marker) = style::layer(i, count);
    // Minimal distances between markers. Markers that touch each other look like a thick line.
    let (radius, apart) = if count > MOST_MARKED {
        (2.8, 44.0)
    } else {
        (3.6, 11.0)
    };
    let mut last = if count > MOST_MARKED {
        // Shift the first marker, so that the layers have markers at different epochs.
        panel.left - apart * (i % 4) as f64 / 4.0
    } else {
        f64::NEG_INFINITY
    };
    let mut last_off = f64::NEG_INFINITY;
    for reading in readings {
        let Some((x, _)) = panel.inside(reading.x, panel.y.lo()) else {
            continue;
        };
        match reading.alpha {
            Some((a, _)) if a > panel.y.hi() => {
                let room = x - last_off >= 11.0;
                let free =
                    room && count <= MOST_BANDS && labels.iter().all(|l| (l - x).abs() > 40.0);
                if free {
                    labels.push(x);
                }
                if room {
                    last_off = x;
                    panel.beyond(figure, reading.x, a, color, free);
                }
            }
            Some((a, _)) if x - last >= apart => {
                last = x;
                if let Some(at) = panel.inside(reading.x, a) {
                    figure.marker(at, marker, radius, color, false);
                }
            }
            None if x - last_off >= 11.0 => {
                last_off = x;
                let at = (x, panel.bottom - 11.0 * (unfitted % 8) as f64);
                figure.marker(at, marker, radius + 0.8, color, true);
            }
            _ => {}
        }
    }
}

fn alpha_entries(trajectory: &Trajectory, layers: &[Vec<AlphaPoint>]) -> Vec<Entry> {
    let count = layers.len();
    // If there are too many layers to name, take them at equal distances.
    let every = count.div_ceil(MOST_ENTRIES).max(1);
    let mut entries: Vec<Entry> = trajectory
        .layers()
        .iter()
        .enumerate()
        .filter(|(i, _)| i % every == 0 || i + 1 == count)
        .map(|(i, name)| {
            let (color, marker) = style::layer(i, count);
            (Key::Line(color, marker), name.clone())
        })
        .collect();
    if every > 1 {
        entries.push((
            Key::Remark,
            format!("{} of {count} layers named", entries.len()),
        ));
    }
    if count > 6 {
        entries.push((Key::Remark, "dark: first layer, light: last".to_owned()));
    }
    if count <= MOST_BANDS {
        entries.push((Key::Area(style::MUTED, 0.25), "α ± σ of the fit".to_owned()));
    }
    entries.push((
        Key::Area(style::YELLOW, 0.34),
        "2–5: range in the papers".to_owned(),
    ));
    entries.push((
        Key::Area(style::YELLOW, 0.15),
        "2–6: WeightWatcher’s".to_owned(),
    ));
    if layers.iter().flatten().any(|r| r.alpha.is_none()) {
        entries.push((Key::Hollow, "on the axis: no fit".to_owned()));
    }
    let top = alpha_top(layers);
    let off = |r: &AlphaPoint| r.alpha.is_some_and(|(a, _)| a > top);
    if layers.iter().flatten().any(off) {
        entries.push((Key::Beyond, format!("α above {top}")));
    }
    entries
}

/// The scalars of one kind, loss or accuracy.
struct Scalars {
    kind: &'static str,
    series: Vec<(String, Vec<(f64, f64)>)>,
}

impl Scalars {
    fn new(trajectory: &Trajectory, kind: &'static str) -> Self {
        let mut series: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
        for scalar in trajectory.scalars() {
            if !scalar.name.to_lowercase().contains(kind) || !scalar.value.is_finite() {
                continue;
            }
            let point = (scalar.epoch as f64, scalar.value);
            match series.iter_mut().find(|(name, _)| *name == scalar.name) {
                Some((_, points)) => points.push(point),
                None => series.push((scalar.name.clone(), vec![point])),
            }
        }
        for (_, points) in &mut series {
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        Self { kind, series }
    }

    fn draw(&self, figure: &mut Figure, x: Axis, top: f64, bottom: f64) {
        let values = || self.series.iter().flat_map(|(_, s)| s).map(|p| p.1);
        let (lo, hi) = values().fold((f64::INFINITY, 0f64), |(l, h), v| (l.min(v), h.max(v)));
        // A loss that falls by orders of magnitude needs a logarithmic axis.
        let log = self.kind == "loss" && lo > 0.0 && hi / lo > 30.0;
        let y = if log {
            Axis::log(lo / 1.2, hi * 1.2)
        } else {
            Axis::around(values(), 0.07)
        };
        let panel = Panel {
            left: LEFT,
            top,
            right: RIGHT,
            bottom,
            x,
            y,
        };
        panel.grid(figure);
        let mut entries = Vec::new();
        for (i, (name, points)) in self.series.iter().enumerate() {
            let dashed = name.to_lowercase().contains("train");
            let others = self.series[..i].iter();
            let nth = others
                .filter(|(n, _)| !n.to_lowercase().contains("train"))
                .count();
            // Use other colours than those of the layers.
            let (color, marker) = match (dashed, nth) {
                (true, _) => (style::MUTED, Marker::Square),
                (false, 0) => (style::INK, Marker::Circle),
                _ => (style::PURPLE, Marker::Diamond),
            };
            let key = if dashed {
                panel.dashed(figure, points, color, 1.8);
                Key::DashedLine(color, marker)
            } else {
                panel.line(figure, points, color, 2.0);
                Key::Line(color, marker)
            };
            let mut last = f64::NEG_INFINITY;
            for at in points.iter().filter_map(|p| panel.inside(p.0, p.1)) {
                if at.0 - last >= 10.0 {
                    figure.marker(at, marker, 3.2, color, false);
                    last = at.0;
                }
            }
            entries.push((key, name.clone()));
        }
        let label = match self.kind {
            "accuracy" => "accuracy (%)",
            kind => kind,
        };
        let labels = Labels {
            x: None,
            y: Some(label),
        };
        panel.frame(figure, labels);
        entries.truncate(5);
        legend::column(figure, (LEGEND, top + 10.0), LEGEND_WIDTH, &entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_within_an_epoch_are_fractions() {
        let stamps = [(0, 0), (1, 100), (1, 150), (2, 200), (2, 250), (5, 500)];
        let places = positions(
            stamps
                .into_iter()
                .map(|(epoch, step)| Stamp { epoch, step }),
        );
        let x: Vec<f64> = places.into_values().collect();
        assert_eq!(x, [0.0, 1.0, 1.5, 2.0, 2.5, 5.0]);

        let only = [(0, 0), (0, 7)].map(|(epoch, step)| Stamp { epoch, step });
        let x: Vec<f64> = positions(only.into_iter()).into_values().collect();
        assert!(x[0] == 0.0 && x[1] > 0.0 && x[1] < 1.0);
    }
}
