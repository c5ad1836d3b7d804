//! Weights that stand in a file under two names.

use std::collections::HashMap;

use super::parts::Part;
use super::plan::skipped;
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::matrix::SkipReason;
use crate::record::Record;
use crate::spectrum::Spectrum;

/// A file without shared storage holds tied weights twice: the first one counts. Equal weights have
/// spectra that are equal to the last bit, so only those are read again.
pub(super) fn skip_duplicates(
    checkpoint: &Checkpoint,
    rows: &mut [Record],
    spectra: &mut [Option<Spectrum>],
    sources: &[Option<(usize, Part)>],
) -> Result<()> {
    let mut by_top: HashMap<(u64, usize), Vec<usize>> = HashMap::new();
    for row in 0..rows.len() {
        let (Some(spectrum), Some((index, part))) = (&spectra[row], &sources[row]) else {
            continue;
        };
        // Constant matrices, zeros above all, are alike without being tied.
        if spectrum.eigenvalues().iter().rev().nth(1) == Some(&0.0) {
            continue;
        }
        let key = (spectrum.lambda_max().to_bits(), spectrum.n());
        let alike = by_top.entry(key).or_default();
        let mut twin = None;
        for &other in alike.iter() {
            let Some((first, its)) = &sources[other] else {
                continue;
            };
            let same_part = part.shape == its.shape && spectra[other].as_ref() == Some(spectrum);
            if same_part && index != first {
                let cut = |i: usize, p: &Part| {
                    p.cut(&checkpoint.tensors()[i].shape, &checkpoint.read(i)?)
                };
                if cut(*index, part)?.primary.values() == cut(*first, its)?.primary.values() {
                    twin = Some(rows[other].layer.clone());
                    break;
                }
            }
        }
        match twin {
            None => alike.push(row),
            Some(other) => {
                let run = rows[row].run.clone();
                let why = SkipReason::SameValues { to: other };
                rows[row] = skipped(&run, row, &part.name, &part.shape, why);
                spectra[row] = None;
            }
        }
    }
    Ok(())
}
