//! Curves, bands and points on one or several panels.

use super::axis::Axis;
use super::canvas::{Figure, TextStyle};
use super::legend::{self, Entry, Key};
use super::panel::{Labels, Panel};
use super::style::{self, HEADING, Marker, SMALL};
use super::table::Table;
use crate::phase::Phase;
use plotters::style::RGBColor;

/// A figure of one or several panels, three in a row.
///
/// ```
/// use heavytail::plot::{self, Chart, Curve, CurveColor, ChartPanel, ChartAxis};
///
/// let curve = Curve {
///     name: "fc1".into(),
///     color: CurveColor::Category(0),
///     points: vec![(2.0, 0.4), (32.0, 0.7), (512.0, 0.9)],
///     band: vec![(2.0, 0.3, 0.5), (32.0, 0.6, 0.8), (512.0, 0.9, 0.9)],
///     line: true,
/// };
/// let panel = ChartPanel {
///     title: "soft rank".into(),
///     x: ChartAxis::log("batch size"),
///     y: ChartAxis::linear("λ₊/λmax"),
///     curves: vec![curve],
/// };
/// let title = "Soft rank by batch size".into();
/// let chart = Chart { title, note: String::new(), panels: vec![panel] };
/// let path = std::env::temp_dir().join("soft-rank.svg");
/// plot::chart(&chart, &path)?;
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), heavytail::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chart {
    /// Title of the figure.
    pub title: String,
    /// Text below the title. It may have several lines.
    pub note: String,
    /// The panels.
    pub panels: Vec<ChartPanel>,
}

/// One panel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChartPanel {
    /// Title of the panel.
    pub title: String,
    /// The horizontal axis.
    pub x: ChartAxis,
    /// The vertical axis.
    pub y: ChartAxis,
    /// The curves in the order of painting. Curves with the same name share a legend entry.
    pub curves: Vec<Curve>,
}

/// An axis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChartAxis {
    /// Quantity and unit of the axis.
    pub label: String,
    /// Whether the axis is logarithmic. The range of a logarithmic axis ignores values ≤ 0.
    pub log: bool,
}

impl ChartAxis {
    /// A linear axis.
    pub fn linear(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            log: false,
        }
    }

    /// A logarithmic axis.
    pub fn log(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            log: true,
        }
    }

    fn axis(&self, values: impl Iterator<Item = f64>) -> Axis {
        let usable = values.filter(|v| v.is_finite() && (!self.log || *v > 0.0));
        if !self.log {
            return Axis::around(usable, 0.06);
        }
        let (lo, hi) = usable.fold((f64::INFINITY, 0.0), |(lo, hi): (f64, f64), v| {
            (lo.min(v), hi.max(v))
        });
        let pad = (hi / lo).powf(0.04).max(1.02);
        Axis::log(lo / pad, hi * pad)
    }
}

/// A curve, or a set of separate points.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Name in the legend. An empty name has no entry.
    pub name: String,
    /// Colour and marker.
    pub color: CurveColor,
    /// Points (x, y). A point that is not finite interrupts the line.
    pub points: Vec<(f64, f64)>,
    /// Band (x, low, high). It is drawn as an area, or as a bar if it has a single x.
    pub band: Vec<(f64, f64, f64)>,
    /// Whether a line connects the points.
    pub line: bool,
}

/// The meaning of a curve's colour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CurveColor {
    /// One of several categories, by index. Each has its own marker.
    Category(usize),
    /// A quantity from 0 (dark) to 1 (light).
    Sequence(f64),
    /// A phase in its colour. The points carry its letter.
    Phase(Phase),
}

impl CurveColor {
    fn look(self) -> (RGBColor, Marker) {
        match self {
            CurveColor::Category(i) => style::layer(i, 6),
            CurveColor::Sequence(t) => (style::viridis(0.92 * t.clamp(0.0, 1.0)), Marker::Circle),
            CurveColor::Phase(phase) => (style::phase(phase), Marker::Circle),
        }
    }

    fn key(self, line: bool) -> Key {
        let (color, marker) = self.look();
        match self {
            CurveColor::Phase(phase) => Key::Tile(color, phase.letter()),
            _ if line => Key::Line(color, marker),
            _ => Key::Dot(color, marker),
        }
    }
}

const PER_ROW: usize = 3;
const LEFT: f64 = 70.0;
const GAP: f64 = 74.0;
const TOP: f64 = 82.0;
const LINE: f64 = 16.0;
const BETWEEN: f64 = 96.0;

pub(super) fn figure(chart: &Chart) -> Result<Figure, String> {
    let good = |&(x, y): &(f64, f64)| x.is_finite() && y.is_finite();
    let mut points = chart
        .panels
        .iter()
        .flat_map(|p| &p.curves)
        .flat_map(|c| &c.points);
    if !points.any(good) {
        return Err("nothing to draw: no point is finite".to_owned());
    }
    let mut table = Table::new(&["panel", "curve", "x", "y", "low", "high"]);
    let shown = chart.panels.len().clamp(1, PER_ROW) as f64;
    // A single panel is wider than one of several, but not as wide as three.
    let (width, height) = match chart.panels.len() {
        1 => (560.0, 330.0),
        2 => (356.0, 290.0),
        _ => (236.0, 230.0),
    };
    let rows = chart.panels.len().div_ceil(PER_ROW) as f64;
    let first = TOP + LINE * chart.note.lines().count().max(1) as f64;
    let bottom = first + rows * height + (rows - 1.0) * BETWEEN;
    let page = LEFT + shown * width + (shown - 1.0) * GAP + 26.0;
    let entries = entries(chart);
    let height_of_legend = legend::height((LEFT, page - 16.0), &entries);
    let mut figure = Figure::new(page, bottom + 58.0 + height_of_legend, Table::default());
    figure.heading(&chart.title, "");
    for (i, note) in chart.note.lines().enumerate() {
        let note = style::truncate_start(note, SMALL, page - 36.0);
        let at = (20.0, 48.0 + LINE * i as f64);
        figure.text(at, note, TextStyle::new(SMALL, style::MUTED));
    }
    for (i, content) in chart.panels.iter().enumerate() {
        let (row, column) = ((i / PER_ROW) as f64, (i % PER_ROW) as f64);
        let (left, top) = (
            LEFT + column * (width + GAP),
            first + row * (height + BETWEEN),
        );
        let curves = || content.curves.iter();
        let xs = curves().flat_map(|c| c.points.iter().map(|p| p.0));
        let ys = curves().flat_map(|c| {
            let band = c.band.iter().flat_map(|b| [b.1, b.2]);
            c.points.iter().map(|p| p.1).chain(band)
        });
        let panel = Panel {
            left,
            top,
            right: left + width,
            bottom: top + height,
            x: content.x.axis(xs),
            y: content.y.axis(ys),
        };
        let title = style::truncate_start(&content.title, HEADING, width + GAP - 8.0);
        let kind = TextStyle::new(HEADING, style::INK).bold();
        figure.text((left, top - 16.0), title, kind);
        panel.grid(&mut figure);
        for curve in &content.curves {
            draw(&mut figure, &panel, curve);
            tabulate(&mut table, &content.title, curve);
        }
        let labels = Labels {
            x: Some(&content.x.label),
            y: Some(&content.y.label),
        };
        panel.frame(&mut figure, labels);
    }
    legend::strip(&mut figure, (LEFT, bottom + 62.0), page - 16.0, &entries);
    figure.table = table;
    Ok(figure)
}

fn entries(chart: &Chart) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for curve in chart.panels.iter().flat_map(|p| &p.curves) {
        if !curve.name.is_empty() && entries.iter().all(|(_, name)| *name != curve.name) {
            entries.push((curve.color.key(curve.line), curve.name.clone()));
        }
    }
    entries
}

fn draw(figure: &mut Figure, panel: &Panel, curve: &Curve) {
    let (color, marker) = curve.color.look();
    match curve.band[..] {
        [(x, low, high)] => {
            panel.line(
                figure,
                &[(x, low), (x, high)],
                style::faint(color, 0.6),
                1.5,
            );
        }
        _ => panel.band(figure, &curve.band, style::faint(color, 0.18)),
    }
    let is_shown = |&(x, y): &(f64, f64)| panel.x.has(x) && panel.y.has(y);
    if curve.line {
        for run in curve.points.split(|p| !is_shown(p)) {
            panel.line(figure, run, color, 1.9);
        }
    }
    // Leave out markers that would touch each other and look like a thick line.
    let mut before = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    for &(x, y) in curve.points.iter().filter(|p| is_shown(p)) {
        let Some(at) = panel.at(x, y).and(panel.inside(x, y)) else {
            continue;
        };
        if curve.line && (at.0 - before.0).hypot(at.1 - before.1) < 9.0 {
            continue;
        }
        before = at;
        if let CurveColor::Phase(phase) = curve.color {
            figure.marker(at, marker, 7.5, color, false);
            let kind = TextStyle::new(9.5, style::ink_on(color)).bold().middle();
            figure.text(at, phase.letter().to_string(), kind);
        } else {
            figure.marker(at, marker, 3.4, color, false);
        }
    }
}

fn tabulate(table: &mut Table, panel: &str, curve: &Curve) {
    for &(x, y) in &curve.points {
        let band = curve.band.iter().find(|b| b.0 == x);
        let end = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
        table.row([
            panel.to_owned(),
            curve.name.clone(),
            x.to_string(),
            y.to_string(),
            end(band.map(|b| b.1)),
            end(band.map(|b| b.2)),
        ]);
    }
}
