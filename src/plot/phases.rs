//! Phases as tiles, by colour and by letter.

use std::collections::{BTreeMap, BTreeSet};

use super::canvas::{Figure, Type};
use super::legend::{self, Entry, Key};
use super::style::{self, LABEL, SMALL};
use super::table::{Table, field};
use crate::phase::Phase;
use crate::record::{Record, Stamp};
use crate::run::Trajectory;

const WIDTH: f64 = 960.0;
const LEGEND_WIDTH: f64 = 160.0;

/// Layer × epoch.
pub(super) fn timeline(trajectory: &Trajectory) -> Result<Figure, String> {
    let stamps: BTreeSet<Stamp> = trajectory.records.iter().map(|r| r.stamp).collect();
    if stamps.is_empty() {
        return Err("nothing to draw: the trajectory has no layer records".to_owned());
    }
    let stamps: Vec<Stamp> = stamps.into_iter().collect();
    let layers = trajectory.layers();
    let mut table = Table::new(&["layer", "epoch", "step", "phase", "confidence", "reason"]);
    let (left, label_width) = gutter(layers.iter().map(String::as_str), "");
    let right = WIDTH - LEGEND_WIDTH - 40.0;
    let tile = ((right - left) / stamps.len() as f64).min(64.0);
    let row = match layers.len() {
        0..=16 => 34.0,
        17..=60 => 22.0,
        _ => 15.0,
    };
    let top = 62.0;
    let bottom = top + row * layers.len() as f64;
    let legend = left + tile * stamps.len() as f64 + 26.0;
    // The legend needs its own height.
    let mut figure = Figure::new(
        (legend + LEGEND_WIDTH + 14.0).clamp(620.0, WIDTH),
        (bottom + 56.0).max(top + 203.0),
        Table::default(),
    );
    figure.heading("Phase of each layer", trajectory.run());
    let mut notes = Notes::default();
    for (i, layer) in layers.iter().enumerate() {
        let y = top + row * i as f64;
        let name = style::elide(layer, LABEL.min(row - 2.0), label_width);
        let kind = Type::new(LABEL.min(row - 2.0), style::INK).end();
        figure.text((left - 10.0, y + row / 2.0), name, kind);
        let mut records: BTreeMap<Stamp, &Record> = BTreeMap::new();
        for record in trajectory.layer(layer) {
            records.insert(record.stamp, record);
        }
        let cells: Vec<Option<Verdict>> = stamps
            .iter()
            .map(|stamp| records.get(stamp).map(|r| verdict(r)))
            .collect();
        for record in records.values() {
            let values = record.values();
            let why = record.no_phase().map(|why| why.to_string());
            table.row([
                layer.clone(),
                record.stamp.epoch.to_string(),
                record.stamp.step.to_string(),
                record
                    .phase()
                    .map_or_else(String::new, |p| p.name().to_owned()),
                field(values.and_then(|v| v.phase_confidence)),
                why.unwrap_or_default(),
            ]);
        }
        for verdict in cells.iter().flatten() {
            notes.see(*verdict);
        }
        tiles(&mut figure, &cells, (left, y), (tile, row));
    }
    figure.table = table;
    epochs(&mut figure, &stamps, left, bottom, tile);
    phase_legend(&mut figure, legend, top + 12.0, notes);
    Ok(figure)
}

/// One row of tiles. Wide tiles each have their letter; narrow ones of the same phase run together
/// and share one where it fits.
fn tiles(
    figure: &mut Figure,
    cells: &[Option<Verdict>],
    (left, y): (f64, f64),
    (tile, row): (f64, f64),
) {
    let apart = tile >= 15.0;
    let gap = if apart { 1.0 } else { 0.0 };
    let mut start = 0;
    while start < cells.len() {
        let cell = cells[start];
        let same = cells[start..].iter().take_while(|&&c| c == cell).count();
        let length = if apart { 1 } else { same };
        if let Some(verdict) = cell {
            let (a, b) = (
                left + tile * start as f64,
                left + tile * (start + length) as f64,
            );
            let color = verdict.map_or(style::EMPTY, |(phase, _)| style::phase(phase));
            figure.rect((a + gap, y + 1.0), (b - gap, y + row - 1.0), color);
            if b - a >= 9.0 {
                let em = (row - 6.0).min(14.0).min(b - a);
                let kind = Type::new(em, style::ink_on(color)).bold().middle();
                figure.text(((a + b) / 2.0, y + row / 2.0), letter(verdict), kind);
            }
        }
        start += length;
    }
}

/// The phase, if there is one, and whether it can be relied on.
type Verdict = Option<(Phase, bool)>;

fn verdict(record: &Record) -> Verdict {
    Some((record.phase()?, record.is_determinate()))
}

fn letter(verdict: Verdict) -> String {
    match verdict {
        None => "–".to_owned(),
        Some((phase, true)) => phase.letter().to_string(),
        Some((phase, false)) => format!("{}?", phase.letter()),
    }
}

/// What the legend has to explain beside the phases.
#[derive(Clone, Copy, Default)]
struct Notes {
    unphased: bool,
    indeterminate: bool,
}

impl Notes {
    fn see(&mut self, verdict: Verdict) {
        self.unphased |= verdict.is_none();
        self.indeterminate |= matches!(verdict, Some((_, false)));
    }
}

/// Labels of the columns, thinned until they stay apart; an epoch with several observations is
/// named once.
fn epochs(figure: &mut Figure, stamps: &[Stamp], left: f64, bottom: f64, tile: f64) {
    let kind = Type::new(SMALL, style::INK).middle();
    let first_of: Vec<usize> = (0..stamps.len())
        .filter(|&i| i == 0 || stamps[i].epoch != stamps[i - 1].epoch)
        .collect();
    let widest = stamps.last().map_or(0.0, |s| {
        style::text_width(&s.epoch.to_string(), SMALL, false)
    });
    let mut last = f64::NEG_INFINITY;
    // Steps that readers like to count in.
    let every = [1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000]
        .into_iter()
        .find(|&e| e as f64 * tile >= widest + 12.0)
        .unwrap_or(1);
    for (nth, &i) in first_of.iter().enumerate() {
        let x = left + tile * (i as f64 + 0.5);
        if nth % every != 0 || x - last < widest + 8.0 {
            continue;
        }
        last = x;
        figure.path(
            vec![(x, bottom + 1.0), (x, bottom + 5.0)],
            style::MUTED,
            1.0,
        );
        figure.text((x, bottom + 15.0), stamps[i].epoch.to_string(), kind);
    }
    let width = tile * stamps.len() as f64;
    let label = "epoch (0: initial weights)";
    // A narrow map's label may hang out to the right, not over its left end.
    let half = style::text_width(label, LABEL, false) / 2.0;
    let at = (left + (width / 2.0).max(half - 40.0), bottom + 38.0);
    figure.text(at, label, Type::new(LABEL, style::INK).middle());
}

fn phase_legend(figure: &mut Figure, x: f64, y: f64, notes: Notes) {
    let mut entries: Vec<Entry> = Phase::ALL
        .iter()
        .map(|&p| (Key::Tile(style::phase(p), p.letter()), p.title().to_owned()))
        .collect();
    if notes.indeterminate {
        entries.push((Key::Tile(style::EMPTY, '?'), "indeterminate".to_owned()));
    }
    if notes.unphased {
        entries.push((Key::Tile(style::EMPTY, '–'), "not classified".to_owned()));
    }
    for (i, entry) in entries.into_iter().enumerate() {
        legend::column(figure, (x, y + 23.0 * i as f64), LEGEND_WIDTH, &[entry]);
    }
}

/// Where the tiles begin, and how wide the names left of them may be.
fn gutter<'a>(names: impl Iterator<Item = &'a str>, heading: &str) -> (f64, f64) {
    let widest = names
        .map(|name| match name.len() {
            0..=80 => style::text_width(name, LABEL, false),
            _ => f64::INFINITY,
        })
        .fold(style::text_width(heading, LABEL, true), f64::max)
        .clamp(50.0, 230.0);
    (20.0 + widest + 10.0, widest)
}

/// The verdict on a layer at the end of one run, for [`phase_table`](super::phase_table).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PhaseCell {
    /// The phase, if there is one.
    pub phase: Option<Phase>,
    /// Its probability.
    pub confidence: Option<f64>,
    /// Whether the verdict should not be relied on.
    pub indeterminate: bool,
    /// α of the tail.
    pub alpha: Option<f64>,
}

impl PhaseCell {
    fn of(record: &Record) -> Self {
        Self {
            phase: record.phase(),
            confidence: record.values().and_then(|v| v.phase_confidence),
            indeterminate: !record.is_determinate(),
            alpha: record.alpha(),
        }
    }
}

/// Run × layer: the phase at the end of each run, and α.
pub(super) fn grid(axis: &str, rows: &[(String, &Trajectory)]) -> Result<Figure, String> {
    let mut layers: Vec<String> = Vec::new();
    for layer in rows.iter().flat_map(|(_, t)| t.layers()) {
        if !layers.contains(layer) {
            layers.push(layer.clone());
        }
    }
    if layers.is_empty() {
        return Err("nothing to draw: no run has a layer".to_owned());
    }
    let rows: Vec<(String, Vec<Vec<PhaseCell>>)> = rows
        .iter()
        .map(|(name, trajectory)| {
            let cells = |layer: &String| {
                let last = trajectory.layer(layer).max_by_key(|r| r.stamp);
                last.map(PhaseCell::of).into_iter().collect()
            };
            (name.clone(), layers.iter().map(cells).collect())
        })
        .collect();
    table("Phase at the end of training", axis, &layers, &rows)
}

/// Setting × layer, with one tile for each run of the setting.
pub(super) fn table(
    title: &str,
    axis: &str,
    layers: &[String],
    rows: &[(String, Vec<Vec<PhaseCell>>)],
) -> Result<Figure, String> {
    let most = rows.iter().flat_map(|(_, row)| row).map(Vec::len).max();
    let Some(most) = most.filter(|&most| most > 0 && !layers.is_empty()) else {
        return Err("nothing to draw: no run has a layer".to_owned());
    };
    let mut numbers = Table::new(&[axis, "layer", "run", "phase", "confidence", "alpha"]);
    let (left, label_width) = gutter(rows.iter().map(|(name, _)| name.as_str()), axis);
    let narrowest = if most > 1 { 33.0 * most as f64 } else { 46.0 };
    let tile = ((WIDTH - left - LEGEND_WIDTH - 50.0) / layers.len() as f64)
        .clamp(narrowest, narrowest.max(108.0));
    let row_height = if most > 1 { 44.0 } else { 52.0 };
    let top = 88.0;
    let bottom = top + row_height * rows.len() as f64;
    let right = left + tile * layers.len() as f64;
    let mut figure = Figure::new(
        (right + LEGEND_WIDTH + 40.0).max(560.0),
        (bottom + 22.0).max(top + 203.0),
        Table::default(),
    );
    figure.heading(title, "");
    let kind = Type::new(LABEL, style::INK);
    figure.text((left - 10.0, top - 16.0), axis, kind.bold().end());
    for (j, layer) in layers.iter().enumerate() {
        let name = style::elide(layer, LABEL, tile - 6.0);
        let at = (left + tile * (j as f64 + 0.5), top - 16.0);
        figure.text(at, name, kind.middle());
    }
    let mut notes = Notes::default();
    for (i, (name, row)) in rows.iter().enumerate() {
        let y = top + row_height * i as f64;
        let label = style::elide(name, LABEL, label_width);
        figure.text((left - 10.0, y + row_height / 2.0), label, kind.end());
        for (j, (layer, cells)) in layers.iter().zip(row).enumerate() {
            let left = left + tile * j as f64 + 1.0;
            // A wider gap between layers than between the runs of one.
            let inner = (tile - if most > 1 { 6.0 } else { 2.0 }) / most as f64;
            for (k, cell) in cells.iter().enumerate() {
                let verdict = cell.phase.map(|phase| (phase, !cell.indeterminate));
                notes.see(verdict);
                let x = left + inner * k as f64;
                let color = cell.phase.map_or(style::EMPTY, style::phase);
                let ink = style::ink_on(color);
                let gap = if most > 1 { 1.0 } else { 0.0 };
                figure.rect((x, y + 1.0), (x + inner - gap, y + row_height - 1.0), color);
                let middle = x + inner / 2.0;
                let big = Type::new(if most > 1 { 14.0 } else { 17.0 }, ink);
                let at = (middle, y + row_height / 2.0 - 7.0);
                figure.text(at, letter(verdict), big.bold().middle());
                let alpha = match (cell.alpha, most) {
                    (None, 1) => "no α".to_owned(),
                    (None, _) => "–".to_owned(),
                    (Some(a), 1) => format!("α {a:.1}"),
                    (Some(a), _) => format!("{a:.1}"),
                };
                let small = Type::new(10.5, ink).middle();
                figure.text((middle, y + row_height / 2.0 + 12.0), alpha, small);
                numbers.row([
                    name.clone(),
                    layer.clone(),
                    k.to_string(),
                    cell.phase.map_or_else(String::new, |p| p.name().to_owned()),
                    field(cell.confidence),
                    field(cell.alpha),
                ]);
            }
        }
    }
    if most > 1 {
        let remark = format!("{most} seeds a setting; number: α");
        figure.text((20.0, 48.0), remark, Type::new(SMALL, style::MUTED));
    }
    figure.table = numbers;
    phase_legend(&mut figure, right + 26.0, top + 12.0, notes);
    Ok(figure)
}
