//! Repeats the record of a layer whose weights have hardly changed since its last analysis.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::fit::alpha_change_is_within;
use crate::matrix::LayerTensor;
use crate::record::{Carried, Record, Stamp};
use crate::spectrum::Solver;

/// Repeats the record of a layer whose weights have hardly changed since its last analysis.
pub(super) struct CarryForward {
    tolerance: f64,
    solver: Solver,
    references: HashMap<String, Reference>,
}

/// A layer as it was analysed. Drift is measured from these weights, so that skipped analyses do
/// not accumulate error.
struct Reference {
    tensor: Arc<LayerTensor>,
    eigenvalues: Vec<f64>,
    record: Record,
}

impl CarryForward {
    pub(super) fn new(tolerance: f64, solver: Solver) -> Self {
        Self {
            tolerance,
            solver,
            references: HashMap::new(),
        }
    }

    /// The layer's last record with a new stamp. None unless its α is provably within the
    /// tolerance.
    pub(super) fn carry(&self, stamp: Stamp, tensor: &LayerTensor) -> Option<Record> {
        let start = Instant::now();
        let anchor = self.references.get(&tensor.name)?;
        let Drift { moved, old, new } = drift(&anchor.tensor, tensor)?;
        let row = &anchor.record.values()?.primary;
        let scaled = moved / (row.n as f64).sqrt();
        let error = self.solver.error();
        if !alpha_change_is_within(&anchor.eigenvalues, scaled, error, self.tolerance) {
            return None;
        }
        Some(Record {
            stamp,
            seconds_analysis: start.elapsed().as_secs_f64(),
            carried: Some(Carried {
                from: anchor.record.stamp,
                drift: if moved == 0.0 { 0.0 } else { moved / old },
                alpha_tolerance: self.tolerance,
                norm: new * new,
            }),
            ..anchor.record.clone()
        })
    }

    /// Stores a layer that was analysed.
    pub(super) fn anchor(
        &mut self,
        tensor: &Arc<LayerTensor>,
        eigenvalues: &[f64],
        record: &Record,
    ) {
        let mut record = record.clone();
        if let Some(values) = record.values_mut() {
            // The full analysis belongs to the analysed observation only.
            values.full = None;
            values.update_doubts();
        }
        let anchor = Reference {
            tensor: Arc::clone(tensor),
            eigenvalues: eigenvalues.to_vec(),
            record,
        };
        self.references.insert(tensor.name.clone(), anchor);
    }
}

/// ‖W − W₀‖_F, ‖W₀‖_F and ‖W‖_F.
struct Drift {
    moved: f64,
    old: f64,
    new: f64,
}

/// The drift between two tensors. None if they differ in shape.
fn drift(old: &LayerTensor, new: &LayerTensor) -> Option<Drift> {
    if old.shape != new.shape || old.values.len() != new.values.len() {
        return None;
    }
    let (mut moved, mut before, mut after) = (0.0, 0.0, 0.0);
    for (&a, &b) in old.values.iter().zip(&new.values) {
        let (a, b) = (f64::from(a), f64::from(b));
        moved += (b - a) * (b - a);
        before += a * a;
        after += b * b;
    }
    Some(Drift {
        moved: moved.sqrt(),
        old: before.sqrt(),
        new: after.sqrt(),
    })
}
