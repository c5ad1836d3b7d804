//! Figures of phases: tiles with a colour and a letter.

use super::canvas::{Figure, TextStyle};
use super::legend::{self, Entry, Key};
use super::style::{self, LABEL, SMALL};
use super::table::{Table, field};
use crate::phase::Phase;
use crate::record::Record;
use crate::run::Trajectory;
use crate::scene::Role;
use crate::scene::timeline::{self, Layout, Row, Tile, Timeline, name_column};

const WIDTH: f64 = 960.0;
const LEGEND_WIDTH: f64 = 160.0;

/// The phase of each layer at each observation.
pub(super) fn timeline(trajectory: &Trajectory) -> Result<Figure, String> {
    let stamps = trajectory.stamps();
    if stamps.is_empty() {
        return Err("nothing to draw: the trajectory has no layer records".to_owned());
    }
    let rows = timeline::rows(trajectory.records(), trajectory.layers());
    let layout = Layout {
        top: 62.0,
        right: WIDTH - LEGEND_WIDTH - 40.0,
        text_width: style::text_width,
    };
    let drawn = Timeline::new(&rows, &stamps, layout);
    let legend = drawn.right + 26.0;
    // The figure is at least as high as the legend.
    let mut figure = Figure::new(
        (legend + LEGEND_WIDTH + 14.0).clamp(620.0, WIDTH),
        (drawn.bottom + 56.0).max(layout.top + 203.0),
        numbers(&rows),
    );
    figure.heading("Phase of each layer", trajectory.run());
    figure.scene(&drawn.shapes);
    let mut notes = Notes::default();
    for record in rows.iter().flat_map(|(_, records)| records.values()) {
        notes.see(Tile::from_record(record));
    }
    phase_legend(&mut figure, legend, layout.top + 12.0, notes);
    Ok(figure)
}

fn numbers(rows: &[Row<'_>]) -> Table {
    let mut table = Table::new(&["layer", "epoch", "step", "phase", "confidence", "reason"]);
    for record in rows.iter().flat_map(|(_, records)| records.values()) {
        let values = record.values();
        let why = record.no_phase().map(|why| why.to_string());
        table.row([
            record.layer.clone(),
            record.stamp.epoch.to_string(),
            record.stamp.step.to_string(),
            record
                .phase()
                .map_or_else(String::new, |p| p.name().to_owned()),
            field(values.and_then(|v| v.phase_confidence)),
            why.unwrap_or_default(),
        ]);
    }
    table
}

/// Legend entries that are needed besides the phases.
#[derive(Clone, Copy, Default)]
struct Notes {
    unphased: bool,
    indeterminate: bool,
}

impl Notes {
    fn see(&mut self, tile: Tile) {
        self.unphased |= tile == Tile::Unclassified;
        self.indeterminate |= matches!(tile, Tile::Indeterminate(_));
    }
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

/// The phase of a layer at the end of one run, for [`phase_table`](super::phase_table).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PhaseCell {
    /// The phase. None if the layer was not classified.
    pub phase: Option<Phase>,
    /// Probability of the phase. None if there is no phase.
    pub confidence: Option<f64>,
    /// Whether the phase is unreliable.
    pub indeterminate: bool,
    /// Exponent α of the tail. None if there is no fit.
    pub alpha: Option<f64>,
}

impl PhaseCell {
    fn new(record: &Record) -> Self {
        Self {
            phase: record.phase(),
            confidence: record.values().and_then(|v| v.phase_confidence),
            indeterminate: !record.is_determinate(),
            alpha: record.alpha(),
        }
    }
}

/// The phase and α of each layer at the end of each run.
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
                last.map(PhaseCell::new).into_iter().collect()
            };
            (name.clone(), layers.iter().map(cells).collect())
        })
        .collect();
    table("Phase at the end of training", axis, &layers, &rows)
}

/// The phase and α of each layer for each setting, with one tile for each run.
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
    let (left, label_width) = name_column(
        rows.iter().map(|(name, _)| name.as_str()),
        axis,
        style::text_width,
    );
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
    let kind = TextStyle::new(LABEL, style::INK);
    figure.text((left - 10.0, top - 16.0), axis, kind.bold().end());
    for (j, layer) in layers.iter().enumerate() {
        let name = style::truncate_start(layer, LABEL, tile - 6.0);
        let at = (left + tile * (j as f64 + 0.5), top - 16.0);
        figure.text(at, name, kind.middle());
    }
    let mut notes = Notes::default();
    for (i, (name, row)) in rows.iter().enumerate() {
        let y = top + row_height * i as f64;
        let label = style::truncate_start(name, LABEL, label_width);
        figure.text((left - 10.0, y + row_height / 2.0), label, kind.end());
        for (j, (layer, cells)) in layers.iter().zip(row).enumerate() {
            let left = left + tile * j as f64 + 1.0;
            // The gap between layers is wider than the gap between runs.
            let inner = (tile - if most > 1 { 6.0 } else { 2.0 }) / most as f64;
            for (k, cell) in cells.iter().enumerate() {
                let shown = Tile::new(cell.phase, !cell.indeterminate);
                notes.see(shown);
                let x = left + inner * k as f64;
                let color = style::role(Role::Tile(shown));
                let ink = style::role(Role::OnTile(shown));
                let gap = if most > 1 { 1.0 } else { 0.0 };
                figure.rect((x, y + 1.0), (x + inner - gap, y + row_height - 1.0), color);
                let middle = x + inner / 2.0;
                let big = TextStyle::new(if most > 1 { 14.0 } else { 17.0 }, ink);
                let at = (middle, y + row_height / 2.0 - 7.0);
                figure.text(at, shown.letters(), big.bold().middle());
                let alpha = match (cell.alpha, most) {
                    (None, 1) => "no α".to_owned(),
                    (None, _) => "–".to_owned(),
                    (Some(a), 1) => format!("α {a:.1}"),
                    (Some(a), _) => format!("{a:.1}"),
                };
                let small = TextStyle::new(10.5, ink).middle();
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
        figure.text((20.0, 48.0), remark, TextStyle::new(SMALL, style::MUTED));
    }
    figure.table = numbers;
    phase_legend(&mut figure, right + 26.0, top + 12.0, notes);
    Ok(figure)
}
