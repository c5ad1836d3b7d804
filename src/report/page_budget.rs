//! Limits the data of the HTML report.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Run;
use super::cell::Num;
use crate::record::Stamp;

/// Limit of cells (layer × observation) over all runs.
const CELLS: usize = 12_500;
/// Limit of points in one scalar.
const POINTS: usize = 2_000;
/// Limit of points in all scalars.
const ALL_POINTS: usize = 50_000;
/// Limit of scalars over all runs.
const SERIES: usize = 1_000;

/// The size of a run.
pub(super) struct Size {
    observations: usize,
    layers: usize,
    scalars: usize,
}

impl Size {
    pub(super) fn new(run: &Run) -> Self {
        let scalars = run.trajectory.scalars().iter().map(|s| s.name.as_str());
        Self {
            observations: run.trajectory.stamps().len(),
            layers: run.trajectory.layers().len(),
            scalars: scalars.collect::<BTreeSet<&str>>().len(),
        }
    }

    /// Number of observations that are kept: every `stride`-th one counted from the last, and the
    /// first.
    fn kept(&self, stride: usize) -> usize {
        let counted = self.observations.div_ceil(stride);
        let first = self.observations > 0 && !(self.observations - 1).is_multiple_of(stride);
        counted + usize::from(first)
    }
}

/// The part of the runs that is kept.
pub(super) struct PageBudget {
    sizes: Vec<Size>,
    /// One of `stride` observations is kept.
    stride: usize,
    /// Number of layers that are kept of each run.
    pub(super) layers: usize,
    /// Number of points that are kept of each scalar.
    points: usize,
    /// Number of scalars that are kept of each run.
    series: usize,
}

impl PageBudget {
    pub(super) fn new(sizes: Vec<Size>) -> Self {
        let least: usize = sizes.iter().map(|s| s.observations.min(2)).sum();
        let series = (SERIES / sizes.len().max(1)).max(1);
        let shown: usize = sizes.iter().map(|s| s.scalars.min(series)).sum();
        let mut budget = Self {
            stride: 1,
            layers: (CELLS / least.max(1)).max(1),
            points: (ALL_POINTS / shown.max(1)).clamp(2, POINTS),
            series,
            sizes,
        };
        let fits = |&stride: &usize| {
            let cells = |s: &Size| s.kept(stride) * s.layers.min(budget.layers);
            budget.sizes.iter().map(cells).sum::<usize>() <= CELLS
        };
        budget.stride = (1..budget.longest())
            .find(fits)
            .unwrap_or_else(|| budget.longest());
        budget
    }

    fn longest(&self) -> usize {
        let longest = self.sizes.iter().map(|s| s.observations).max();
        longest.unwrap_or(1).max(1)
    }

    /// Number of cells of all runs, before the limit.
    pub(super) fn asked(&self) -> usize {
        self.sizes.iter().map(|s| s.observations * s.layers).sum()
    }

    /// Reduces the budget after the data had `bytes` bytes, more than `limit`. Returns false if it
    /// cannot be reduced. The steps are large, because each one needs a new attempt.
    pub(super) fn tighten(&mut self, bytes: usize, limit: usize) -> bool {
        let most = self.sizes.iter().map(|s| s.layers).max().unwrap_or(0);
        let layers = self.layers.min(most);
        if self.stride < self.longest() {
            let wanted = self.stride.saturating_mul(bytes).div_ceil(limit.max(1));
            let step = self.stride + self.stride / 4 + 1;
            self.stride = wanted.max(step).min(self.longest());
        } else if layers > 1 {
            let wanted = (layers as f64 * limit as f64 / bytes.max(1) as f64) as usize;
            self.layers = wanted.min(layers * 4 / 5).max(1);
        } else if self.points > 2 {
            self.points = (self.points / 2).max(2);
        } else {
            return false;
        }
        true
    }

    pub(super) fn kept(&self, all: &[Stamp]) -> Vec<Stamp> {
        let last = all.len().saturating_sub(1);
        let kept = |i: usize| i == 0 || (last - i).is_multiple_of(self.stride);
        let kept = all.iter().enumerate().filter(|(i, _)| kept(*i));
        kept.map(|(_, &stamp)| stamp).collect()
    }

    /// Notes about what was left out.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.stride > 1 {
            notes.push(format!(
                "Of each run, the first observation is shown and one in {} counted from the last.",
                self.stride
            ));
        }
        if self.sizes.iter().any(|s| s.layers > self.layers) {
            notes.push(format!(
                "The first {} layers of each run are shown.",
                self.layers
            ));
        }
        if self.sizes.iter().any(|s| s.scalars > self.series) {
            notes.push(format!(
                "The first {} numbers that the training of each run reported are shown.",
                self.series
            ));
        }
        notes
    }

    /// The scalars of a run, within the limits.
    pub(super) fn scalars(&self, run: &Run) -> Vec<Scalars> {
        let mut series: Vec<Scalars> = Vec::new();
        for scalar in run.trajectory.scalars() {
            let point = (scalar.epoch, Num::new(scalar.value, 5));
            match series.iter().position(|s| s.name == scalar.name) {
                Some(known) => series[known].points.push(point),
                None if series.len() < self.series => series.push(Scalars {
                    name: scalar.name.clone(),
                    points: vec![point],
                }),
                None => {}
            }
        }
        for one in &mut series {
            one.points.sort_by_key(|p| p.0);
            let every = one.points.len().div_ceil(self.points).max(1);
            let last = one.points.len().saturating_sub(1);
            let mut place = 0..;
            one.points.retain(|_| {
                place
                    .next()
                    .is_some_and(|i: usize| (last - i).is_multiple_of(every))
            });
        }
        series
    }
}

/// A scalar that the training reported, over the epochs.
#[derive(Serialize)]
pub(super) struct Scalars {
    name: String,
    points: Vec<(usize, Num)>,
}
