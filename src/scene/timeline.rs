//! The phases of a run as a grid, with one row for each layer and one tile for each observation.

use std::collections::BTreeMap;

use super::{Anchor, LABEL, Point, Role, SMALL, Shape, truncate_start};
use crate::phase::Phase;
use crate::record::{Record, Stamp};

/// Tiles of at least this width in pixels have gaps between them. Narrower tiles with the same
/// content are merged.
const APART: f64 = 15.0;
/// The smallest font size of a letter, in pixels. A narrower tile has no letter.
const SMALLEST: f64 = 9.0;
const WIDEST: f64 = 64.0;

/// The content of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tile {
    Unclassified,
    /// The most probable phase, which is not reliable.
    Indeterminate(Phase),
    Determinate(Phase),
}

impl Tile {
    pub(crate) fn from_record(record: &Record) -> Self {
        Self::new(record.phase(), record.is_determinate())
    }

    pub(crate) fn new(phase: Option<Phase>, is_determinate: bool) -> Self {
        match phase {
            None => Self::Unclassified,
            Some(phase) if is_determinate => Self::Determinate(phase),
            Some(phase) => Self::Indeterminate(phase),
        }
    }

    pub(crate) fn phase(self) -> Option<Phase> {
        match self {
            Self::Unclassified => None,
            Self::Indeterminate(phase) | Self::Determinate(phase) => Some(phase),
        }
    }

    /// The text of the tile: `R`, for example. An indeterminate phase has a `?` after it. `–` means
    /// no phase.
    pub(crate) fn letters(self) -> String {
        match self {
            Self::Unclassified => "–".to_owned(),
            Self::Indeterminate(phase) => format!("{}?", phase.letter()),
            Self::Determinate(phase) => phase.letter().to_string(),
        }
    }

    /// The text and its font size. The font is smaller if `R?` does not fit. If it would be too
    /// small to read, the text is `?`.
    fn letters_within(self, width: f64, em: f64, width_of: impl Fn(&str) -> f64) -> (String, f64) {
        let letters = self.letters();
        if !matches!(self, Self::Indeterminate(_)) {
            return (letters, em);
        }
        let smaller = em.min(em * width / width_of(&letters));
        if smaller < SMALLEST {
            return ("?".to_owned(), em);
        }
        (letters, smaller)
    }
}

/// A layer with its records by observation.
pub(crate) type Row<'a> = (&'a str, BTreeMap<Stamp, &'a Record>);

/// The records of each of the layers.
pub(crate) fn rows<'a>(records: &'a [Record], layers: &'a [String]) -> Vec<Row<'a>> {
    let mut by_layer: BTreeMap<&str, BTreeMap<Stamp, &Record>> = BTreeMap::new();
    for record in records {
        let row = by_layer.entry(&record.layer).or_default();
        row.insert(record.stamp, record);
    }
    let row = |layer: &'a String| (layer.as_str(), by_layer.remove(layer.as_str()));
    let rows = layers.iter().map(row);
    rows.map(|(layer, row)| (layer, row.unwrap_or_default()))
        .collect()
}

/// The space for a timeline.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    /// Top of the first row, in pixels.
    pub(crate) top: f64,
    /// Right end of the last tile if there are many, in pixels.
    pub(crate) right: f64,
    /// Width of a text in pixels, given its font size in pixels and whether it is bold.
    pub(crate) text_width: fn(&str, f64, bool) -> f64,
}

/// A timeline: the names of the layers, the tiles, and the epochs below them.
pub(crate) struct Timeline {
    pub(crate) shapes: Vec<Shape>,
    /// Right end of the last tile, in pixels.
    pub(crate) right: f64,
    /// Bottom of the last row, in pixels. The axis needs 50 pixels more.
    pub(crate) bottom: f64,
}

impl Timeline {
    pub(crate) fn new(rows: &[Row<'_>], stamps: &[Stamp], layout: Layout) -> Self {
        let (left, label_width) =
            name_column(rows.iter().map(|(name, _)| *name), "", layout.text_width);
        let tile = ((layout.right - left) / stamps.len().max(1) as f64).min(WIDEST);
        let row = match rows.len() {
            0..=16 => 34.0,
            17..=60 => 22.0,
            _ => 15.0,
        };
        let mut timeline = Self {
            shapes: Vec::new(),
            right: left + tile * stamps.len() as f64,
            bottom: layout.top + row * rows.len() as f64,
        };
        for (i, (layer, records)) in rows.iter().enumerate() {
            let y = layout.top + row * i as f64;
            let em = LABEL.min(row - 2.0);
            let name = truncate_start(layer, label_width, |t| (layout.text_width)(t, em, false));
            timeline.text((left - 10.0, y + row / 2.0), name, em, Anchor::End);
            let tiles = stamps.iter().map(|stamp| records.get(stamp).copied());
            let tiles: Vec<Option<Tile>> = tiles.map(|r| r.map(Tile::from_record)).collect();
            timeline.tiles(&tiles, (left, y), (tile, row), layout);
        }
        timeline.epochs(stamps, left, tile, layout);
        timeline
    }

    fn text(&mut self, at: Point, text: String, em: f64, anchor: Anchor) {
        self.shapes.push(Shape::Text {
            at,
            text,
            em,
            bold: false,
            anchor,
            role: Role::Ink,
        });
    }

    /// Adds one row of tiles.
    fn tiles(
        &mut self,
        tiles: &[Option<Tile>],
        (left, y): Point,
        (width, row): (f64, f64),
        layout: Layout,
    ) {
        let apart = width >= APART;
        let gap = if apart { 1.0 } else { 0.0 };
        let mut start = 0;
        while start < tiles.len() {
            let tile = tiles[start];
            let same = tiles[start..].iter().take_while(|&&t| t == tile).count();
            let length = if apart { 1 } else { same };
            if let Some(tile) = tile {
                let a = left + width * start as f64;
                let b = left + width * (start + length) as f64;
                let (upper, lower) = ((a + gap, y + 1.0), (b - gap, y + row - 1.0));
                self.shapes
                    .push(Shape::Rect(upper, lower, Role::Tile(tile)));
                if b - a >= SMALLEST {
                    let em = (row - 6.0).min(14.0).min(b - a);
                    let width_of = |text: &str| (layout.text_width)(text, em, true);
                    let (text, em) = tile.letters_within(b - a - 2.0 * gap, em, width_of);
                    self.shapes.push(Shape::Text {
                        at: ((a + b) / 2.0, y + row / 2.0),
                        text,
                        em,
                        bold: true,
                        anchor: Anchor::Middle,
                        role: Role::OnTile(tile),
                    });
                }
            }
            start += length;
        }
    }

    /// Adds the labels of the columns. There are so few that they do not touch. An epoch with
    /// several observations has one label.
    fn epochs(&mut self, stamps: &[Stamp], left: f64, tile: f64, layout: Layout) {
        let first_of: Vec<usize> = (0..stamps.len())
            .filter(|&i| i == 0 || stamps[i].epoch != stamps[i - 1].epoch)
            .collect();
        let widest = stamps.last().map_or(0.0, |s| {
            (layout.text_width)(&s.epoch.to_string(), SMALL, false)
        });
        let mut last = f64::NEG_INFINITY;
        // Label steps that are easy to read.
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
            let tick = (x, self.bottom + 1.0);
            self.shapes
                .push(Shape::Line(tick, (x, self.bottom + 5.0), Role::Muted));
            let label = stamps[i].epoch.to_string();
            self.text((x, self.bottom + 15.0), label, SMALL, Anchor::Middle);
        }
        let label = "epoch (0: initial weights)";
        // The label of a narrow grid may extend beyond its right end, but not beyond its left end.
        let half = (layout.text_width)(label, LABEL, false) / 2.0;
        let width = tile * stamps.len() as f64;
        let at = (left + (width / 2.0).max(half - 40.0), self.bottom + 38.0);
        self.text(at, label.to_owned(), LABEL, Anchor::Middle);
    }
}

/// The left end of the tiles and the maximal width of the names to their left, in pixels.
pub(crate) fn name_column<'a>(
    names: impl Iterator<Item = &'a str>,
    heading: &str,
    text_width: fn(&str, f64, bool) -> f64,
) -> (f64, f64) {
    let widest = names
        .map(|name| match name.len() {
            0..=80 => text_width(name, LABEL, false),
            _ => f64::INFINITY,
        })
        .fold(text_width(heading, LABEL, true), f64::max)
        .clamp(50.0, 230.0);
    (20.0 + widest + 10.0, widest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::LayerShape;

    fn width(text: &str, em: f64, _: bool) -> f64 {
        0.5 * em * text.chars().count() as f64
    }

    fn texts(timeline: &Timeline) -> Vec<&str> {
        let mut texts = Vec::new();
        for shape in &timeline.shapes {
            if let Shape::Text { text, .. } = shape {
                texts.push(text.as_str());
            }
        }
        texts
    }

    #[test]
    fn uncertain_letters_shrink_before_they_go() {
        let tile = Tile::Indeterminate(Phase::BulkDecay);
        let within = |room, em| tile.letters_within(room, em, |text| width(text, em, true));
        assert_eq!(within(20.0, 14.0), ("D?".to_owned(), 14.0));
        assert_eq!(within(10.0, 14.0), ("D?".to_owned(), 10.0));
        assert_eq!(within(8.0, 14.0), ("?".to_owned(), 14.0));
        let sure = Tile::Determinate(Phase::BulkDecay);
        let (letters, _) = sure.letters_within(1.0, 9.0, |text| width(text, 9.0, true));
        assert_eq!(letters, "D");
        assert_eq!(Tile::Unclassified.letters(), "–");
    }

    #[test]
    fn narrow_neighbours_run_together_and_epochs_stay_apart() {
        let layers = ["a".to_owned(), "b".to_owned()];
        let failed = |layer: &str, epoch| {
            let shape = LayerShape {
                name: layer.to_owned(),
                shape: vec![3, 3],
            };
            Record::failed("r", Stamp::from_epoch(epoch), 0, shape, "no".to_owned())
        };
        let layout = Layout {
            top: 0.0,
            right: 680.0,
            text_width: width,
        };
        let tiles = |epochs: usize| {
            // The second layer has no record at epoch 3.
            let at = |epoch| layers.iter().map(move |l| (l, epoch));
            let records = (0..epochs).flat_map(at);
            let records = records.filter(|(l, epoch)| *l == "a" || *epoch != 3);
            let records: Vec<Record> = records.map(|(l, epoch)| failed(l, epoch)).collect();
            let stamps: Vec<Stamp> = (0..epochs).map(Stamp::from_epoch).collect();
            Timeline::new(&rows(&records, &layers), &stamps, layout)
        };
        let wide = tiles(5);
        assert_eq!(
            texts(&wide).join(" "),
            "a – – – – – b – – – – 0 1 2 3 4 epoch (0: initial weights)"
        );
        assert_eq!(wide.right, 80.0 + 5.0 * WIDEST);
        let narrow = tiles(100);
        let rects = narrow.shapes.iter();
        let rects = rects.filter(|s| matches!(s, Shape::Rect(..))).count();
        assert_eq!(rects, 3);
        assert_eq!(
            texts(&narrow).join(" "),
            "a – b – – 0 5 10 15 20 25 30 35 40 45 50 55 60 65 70 75 80 85 90 95 epoch (0: initial weights)"
        );
        let empty = Timeline::new(&[], &[], layout);
        assert_eq!(texts(&empty).len(), 1);
    }
}
