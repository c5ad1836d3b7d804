//! Measures the classifier on generators outside of the six families, and on Rank-collapse.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use heavytail::phase::Annotation;
use heavytail::{Config, Phase, WeightMatrix, analyze};
use serde::Serialize;

use crate::ensembles::out_of_family::{Expected, OUT_OF_FAMILY};
use crate::ensembles::{Entries, normal, rng, scale_columns};
use crate::parallel::parallel;
use crate::{Effort, save};

#[derive(Serialize)]
struct Row {
    generator: &'static str,
    n: usize,
    m: usize,
    expected: String,
    matrices: usize,
    /// The share of verdicts as expected. For noise, a verdict with an explaining annotation counts
    /// too. `null` if no phase is right or wrong.
    good: Option<f64>,
    verdicts: BTreeMap<&'static str, usize>,
    annotations: BTreeMap<String, usize>,
}

/// N, M, and the number of matrices for each generator.
const SIZES: [(usize, usize, usize); 2] = [(1024, 256, 40), (384, 192, 60)];

pub fn outside(effort: Effort, out: &Path) -> Result<()> {
    let mut rows = Vec::new();
    for (n, m, count) in SIZES {
        for (index, generator) in OUT_OF_FAMILY.iter().enumerate() {
            let cases: Vec<u64> = (0..effort.scaled(count) as u64).collect();
            let verdicts = parallel(&cases, |_, &i| {
                let case = (m as u64) << 40 | (index as u64) << 32 | i;
                let w = (generator.draw)(n, m, &mut rng(effort.seed + 2, case));
                let w: Vec<f64> = w.into_iter().map(|x| f64::from(x as f32)).collect();
                let matrix = WeightMatrix::new("w", n, m, w).ok()?;
                let verdict = analyze(&matrix, &Config::default()).ok()?.phase.ok()?;
                Some((verdict.phase, verdict.annotations))
            });
            let mut row = Row {
                generator: generator.name,
                n,
                m,
                expected: match generator.expected {
                    Expected::Phase(phase) => phase.title().into(),
                    Expected::NoiseOrExplained => "Random-like, or explained".into(),
                    Expected::Open => "open".into(),
                },
                matrices: cases.len(),
                good: None,
                verdicts: BTreeMap::new(),
                annotations: BTreeMap::new(),
            };
            let mut good = 0;
            for (phase, annotations) in verdicts.into_iter().flatten() {
                *row.verdicts.entry(phase.name()).or_default() += 1;
                let explained = annotations.iter().any(|a| {
                    matches!(
                        a,
                        Annotation::ScaleHeterogeneity | Annotation::EntryDistribution
                    )
                });
                good += usize::from(match generator.expected {
                    Expected::Phase(expected) => phase == expected,
                    Expected::NoiseOrExplained => phase == Phase::RandomLike || explained,
                    Expected::Open => false,
                });
                for annotation in annotations {
                    *row.annotations
                        .entry(format!("{annotation:?}"))
                        .or_default() += 1;
                }
            }
            if generator.expected != Expected::Open {
                row.good = Some(good as f64 / cases.len() as f64);
            }
            println!(
                "{n}×{m} {:46} {:26} {} {:?} {:?}",
                row.generator,
                row.expected,
                row.good.map_or("  – ".into(), |g| format!("{g:.2}")),
                row.verdicts,
                row.annotations
            );
            rows.push(row);
        }
    }
    save(out, "outside", &rows)
}

#[derive(Serialize)]
struct Collapse {
    n: usize,
    m: usize,
    null_share: f64,
    floor: f64,
    matrices: usize,
    recognised: usize,
}

/// Rank-collapse by the share of null directions and by their floor. Half of the matrices have
/// columns multiplied by the floor. The other half are low-rank matrices with noise at the floor.
pub fn collapse(effort: Effort, out: &Path) -> Result<()> {
    let mut rows = Vec::new();
    for (n, m) in [(1024, 256), (256, 256), (120, 84), (60, 30)] {
        for share in [0.1, 0.2, 0.5, 0.8, 0.9, 0.95] {
            for floor in [0.0, 1e-6, 1e-4] {
                let cases: Vec<u64> = (0..effort.scaled(60) as u64).collect();
                let found = parallel(&cases, |_, &i| {
                    let case = (m as u64) << 40 | ((share * 100.0) as u64) << 32 | i;
                    let mut rng = rng(effort.seed + 3, case);
                    let rank = ((1.0 - share) * m as f64).round() as usize;
                    let mut w = Entries::Normal.fill(n * m, &mut rng);
                    if i % 2 == 0 {
                        let factors: Vec<f64> =
                            (0..m).map(|j| if j < rank { 1.0 } else { floor }).collect();
                        scale_columns(&mut w, &factors);
                    } else {
                        let a = Entries::Normal.fill(n * rank, &mut rng);
                        let b = Entries::Normal.fill(rank * m, &mut rng);
                        for (row, a) in w.chunks_exact_mut(m).zip(a.chunks_exact(rank)) {
                            row.iter_mut().for_each(|x| *x = floor * normal(&mut rng));
                            for (a, b) in a.iter().zip(b.chunks_exact(m)) {
                                for (x, b) in row.iter_mut().zip(b) {
                                    *x += a * b / (rank as f64).sqrt();
                                }
                            }
                        }
                    }
                    let w: Vec<f64> = w.into_iter().map(|x| f64::from(x as f32)).collect();
                    let report = WeightMatrix::new("w", n, m, w)
                        .and_then(|matrix| analyze(&matrix, &Config::live()));
                    report.is_ok_and(|r| r.phase.is_ok_and(|v| v.phase == Phase::RankCollapse))
                });
                let recognised = found.iter().filter(|&&f| f).count();
                if recognised < cases.len() {
                    println!(
                        "{n}×{m}, {share} null, floor {floor:e}: {recognised}/{}",
                        cases.len()
                    );
                }
                rows.push(Collapse {
                    n,
                    m,
                    null_share: share,
                    floor,
                    matrices: cases.len(),
                    recognised,
                });
            }
        }
    }
    let all: usize = rows.iter().map(|r| r.matrices).sum();
    let right: usize = rows.iter().map(|r| r.recognised).sum();
    println!("Rank-collapse recognised: {right}/{all}");
    save(out, "collapse", &rows)
}
