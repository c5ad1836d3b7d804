//! The timeline of phases as data: which verdict each tile shows and which tiles are one. The figure and the page's still
//! picture place the same tiles.

use std::collections::{BTreeMap, HashMap};

use crate::phase::Phase;
use crate::record::{Record, Stamp};
use crate::run::Trajectory;

/// The phase, if there is one, and whether it can be relied on.
pub(crate) type Verdict = Option<(Phase, bool)>;

pub(crate) fn verdict(record: &Record) -> Verdict {
    Some((record.phase()?, record.is_determinate()))
}

/// Neighbouring observations of one verdict, or one of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tile {
    /// Place of the first among the observations.
    pub(crate) start: usize,
    /// How many.
    pub(crate) length: usize,
    pub(crate) verdict: Verdict,
}

/// The tiles of each layer at these observations, in order. With `together`, neighbours of the same verdict are one tile.
pub(crate) fn rows(
    run: &Trajectory,
    stamps: &[Stamp],
    layers: &[String],
    together: bool,
) -> Vec<Vec<Tile>> {
    let places: BTreeMap<Stamp, usize> = stamps.iter().copied().zip(0..).collect();
    let mut verdicts: HashMap<&str, BTreeMap<usize, Verdict>> = HashMap::new();
    for record in &run.records {
        if let Some(&place) = places.get(&record.stamp) {
            let row = verdicts.entry(&record.layer).or_default();
            row.insert(place, verdict(record));
        }
    }
    let row = |layer: &String| {
        let mut tiles: Vec<Tile> = Vec::new();
        for (&start, &verdict) in verdicts.get(layer.as_str()).into_iter().flatten() {
            match tiles.last_mut() {
                Some(last)
                    if together && last.start + last.length == start && last.verdict == verdict =>
                {
                    last.length += 1;
                }
                _ => tiles.push(Tile {
                    start,
                    length: 1,
                    verdict,
                }),
            }
        }
        tiles
    };
    layers.iter().map(row).collect()
}
