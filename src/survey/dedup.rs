//! Recognises weights that a file stores twice, under two names.

use std::collections::HashMap;

use super::parts::Part;
use super::plan::skipped;
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::matrix::SkipReason;
use crate::record::Record;
use crate::spectrum::Spectrum;

/// Marks the later rows of equal weights as skipped. A file without shared storage holds tied
/// weights twice, and the first row counts. Equal weights have spectra that are equal in every bit.
/// Therefore only weights with equal spectra are read again and compared.
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
        // Constant matrices, above all matrices of zeros, can be equal without being tied.
        if spectrum.eigenvalues().iter().rev().nth(1) == Some(&0.0) {
            continue;
        }
        let key = (spectrum.lambda_max().to_bits(), spectrum.n());
        let candidates = by_top.entry(key).or_default();
        let mut duplicate_of = None;
        for &other in candidates.iter() {
            let Some((first, its)) = &sources[other] else {
                continue;
            };
            let same_part = part.shape == its.shape && spectra[other].as_ref() == Some(spectrum);
            if same_part && index != first {
                let cut = |i: usize, p: &Part| {
                    p.cut(&checkpoint.tensors()[i].shape, &checkpoint.read(i)?)
                };
                if cut(*index, part)?.primary.values() == cut(*first, its)?.primary.values() {
                    duplicate_of = Some(rows[other].layer.clone());
                    break;
                }
            }
        }
        match duplicate_of {
            None => candidates.push(row),
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
