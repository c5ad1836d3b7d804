//! Measures the accuracy of the phase classifier on six families of matrices at six sizes.

use std::path::Path;

use anyhow::Result;
use heavytail::palette::{self, Rgb};
use heavytail::{Config, Phase, WeightMatrix, analyze};
use serde::Serialize;

use crate::ensembles::{Breadth, Entries, log_uniform, random_matrix, rng};
use crate::parallel::parallel;
use crate::svg::{Anchor, Sheet};
use crate::{Effort, save, save_svg};

/// N, M, and the number of matrices for each phase.
const SIZES: [(usize, usize, usize); 6] = [
    (4096, 384, 100),
    (1024, 256, 200),
    (384, 192, 400),
    (256, 256, 400),
    (120, 84, 500),
    (60, 30, 500),
];

/// The results for one size.
#[derive(Serialize)]
struct Table {
    n: usize,
    m: usize,
    matrices: usize,
    /// The number of matrices. Rows are the simulated phases, and columns are the phases of the
    /// verdicts. Both have the order of the phases.
    confusion: [[usize; 6]; 6],
    /// The share of matrices with the right phase.
    accuracy: f64,
    /// The share of matrices with the right phase or a neighbouring one.
    within_one: f64,
    /// The share of verdicts with a confidence below 0.6.
    indeterminate: f64,
    /// The noise matrices that were given another phase than Random-like, for each distribution of
    /// the entries.
    false_alarms: Vec<FalseAlarms>,
}

#[derive(Serialize)]
struct FalseAlarms {
    entries: String,
    matrices: usize,
    left_random: usize,
}

/// The verdicts in one range of confidence.
#[derive(Serialize)]
struct Calibration {
    from: f64,
    to: f64,
    verdicts: usize,
    /// The share of right verdicts.
    right: f64,
    mean_confidence: f64,
}

#[derive(Serialize)]
struct Results {
    phases: Vec<&'static str>,
    sizes: Vec<Table>,
    calibration: Vec<Calibration>,
}

/// The phase of a matrix and its confidence. `None` if there is no verdict.
fn verdict(n: usize, m: usize, w: Vec<f64>) -> Option<(Phase, f64)> {
    let matrix = WeightMatrix::new("w", n, m, w).ok()?;
    let verdict = analyze(&matrix, &Config::live()).ok()?.phase.ok()?;
    Some((verdict.phase, verdict.confidence))
}

pub fn run(effort: Effort, out: &Path) -> Result<()> {
    let mut sizes = Vec::new();
    let mut all = Vec::new();
    for (n, m, count) in SIZES {
        let cases: Vec<(Phase, u64)> = Phase::ALL
            .into_iter()
            .flat_map(|phase| (0..effort.scaled(count) as u64).map(move |i| (phase, i)))
            .collect();
        let verdicts = parallel(&cases, |_, &(phase, i)| {
            let case = (m as u64) << 40 | (phase as u64) << 32 | i;
            let w = random_matrix(phase, Breadth::Family, n, m, &mut rng(effort.seed, case));
            verdict(n, m, w)
        });
        let mut confusion = [[0; 6]; 6];
        let (mut near, mut doubtful) = (0, 0);
        for ((phase, _), verdict) in cases.iter().zip(&verdicts) {
            let Some((found, confidence)) = *verdict else {
                continue;
            };
            confusion[*phase as usize][found as usize] += 1;
            near += usize::from(neighbours(*phase, found));
            doubtful += usize::from(confidence < 0.6);
            all.push((confidence, found == *phase));
        }
        let total = cases.len() as f64;
        let right: usize = (0..6).map(|i| confusion[i][i]).sum();
        let false_alarms = Entries::NOISE
            .into_iter()
            .map(|entries| false_alarms(entries, n, m, effort.scaled(count), effort.seed + 1))
            .collect();
        let table = Table {
            n,
            m,
            matrices: cases.len(),
            confusion,
            accuracy: right as f64 / total,
            within_one: near as f64 / total,
            indeterminate: doubtful as f64 / total,
            false_alarms,
        };
        report(&table);
        sizes.push(table);
    }
    let calibration = calibration(&all);
    for bin in &calibration {
        println!(
            "confidence {:.2}–{:.2}: {:5} verdicts, {:.3} right",
            bin.from, bin.to, bin.verdicts, bin.right
        );
    }
    save_svg(out, "confusion", picture(&sizes, &calibration))?;
    let phases = Phase::ALL.iter().map(|p| p.name()).collect();
    save(
        out,
        "confusion",
        &Results {
            phases,
            sizes,
            calibration,
        },
    )
}

/// Whether two phases are equal or neighbours in the sequence from Random-like to Heavy-tailed.
/// Rank-collapse has no neighbour.
fn neighbours(a: Phase, b: Phase) -> bool {
    let walk = |p: Phase| p != Phase::RankCollapse;
    a == b || (walk(a) && walk(b) && (a as i32 - b as i32).abs() <= 1)
}

fn false_alarms(entries: Entries, n: usize, m: usize, count: usize, seed: u64) -> FalseAlarms {
    let cases: Vec<u64> = (0..count as u64).collect();
    let left = parallel(&cases, |_, &i| {
        let law = Entries::NOISE
            .iter()
            .position(|e| *e == entries)
            .unwrap_or(0) as u64;
        let mut rng = rng(seed, (m as u64) << 40 | law << 32 | i);
        let scale = log_uniform(&mut rng, 1e-3, 1e2);
        let w = entries.fill(n * m, &mut rng);
        let w = w
            .into_iter()
            .map(|x| f64::from((x * scale) as f32))
            .collect();
        verdict(n, m, w).is_some_and(|(phase, _)| phase != Phase::RandomLike)
    });
    FalseAlarms {
        entries: entries.name(),
        matrices: count,
        left_random: left.into_iter().filter(|&l| l).count(),
    }
}

fn calibration(all: &[(f64, bool)]) -> Vec<Calibration> {
    let edges = [0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97, 1.0 + 1e-9];
    edges
        .windows(2)
        .map(|edge| {
            let inside: Vec<&(f64, bool)> = all
                .iter()
                .filter(|(c, _)| (edge[0]..edge[1]).contains(c))
                .collect();
            let count = inside.len().max(1) as f64;
            Calibration {
                from: edge[0],
                to: edge[1].min(1.0),
                verdicts: inside.len(),
                right: inside.iter().filter(|(_, right)| *right).count() as f64 / count,
                mean_confidence: inside.iter().map(|(c, _)| c).sum::<f64>() / count,
            }
        })
        .collect()
}

fn report(table: &Table) {
    println!(
        "{}×{}: accuracy {:.4}, within one phase {:.4}, indeterminate {:.3} ({} matrices)",
        table.n, table.m, table.accuracy, table.within_one, table.indeterminate, table.matrices
    );
    for (phase, row) in Phase::ALL.iter().zip(&table.confusion) {
        println!("  {:14} {row:?}", phase.title());
    }
    for alarms in &table.false_alarms {
        println!(
            "  {:16} left the random phase {}/{}",
            alarms.entries, alarms.left_random, alarms.matrices
        );
    }
}

fn picture(sizes: &[Table], calibration: &[Calibration]) -> Sheet {
    let (cell, gap) = (38.0, 64.0);
    let block = 6.0 * cell;
    let mut sheet = Sheet::new(3.0 * (block + gap) + 60.0, 2.0 * (block + 74.0) + 170.0);
    sheet.text(
        20.0,
        26.0,
        16.0,
        Anchor::Start,
        "#111111",
        "Verdict (columns) against the phase that was built in (rows), in per cent",
    );
    for (i, table) in sizes.iter().enumerate() {
        let left = 50.0 + (i % 3) as f64 * (block + gap);
        let top = 90.0 + (i / 3) as f64 * (block + 74.0);
        let title = format!(
            "{}×{}: {:.1} % ({:.1} % within one)",
            table.n,
            table.m,
            100.0 * table.accuracy,
            100.0 * table.within_one
        );
        sheet.text(left, top - 24.0, 13.0, Anchor::Start, "#111111", &title);
        for (a, phase) in Phase::ALL.iter().enumerate() {
            let letter = phase.letter().to_string();
            let at = (a as f64 + 0.5) * cell;
            sheet.text(
                left - 8.0,
                top + at + 4.0,
                12.0,
                Anchor::End,
                "#333333",
                &letter,
            );
            sheet.text(
                left + at,
                top - 6.0,
                12.0,
                Anchor::Middle,
                "#333333",
                &letter,
            );
            let total: usize = table.confusion[a].iter().sum();
            for (b, &count) in table.confusion[a].iter().enumerate() {
                let share = count as f64 / total.max(1) as f64;
                let (x, y) = (left + b as f64 * cell, top + a as f64 * cell);
                sheet.rect(
                    x,
                    y,
                    cell - 1.0,
                    cell - 1.0,
                    shade(palette::phase(Phase::ALL[a]), share),
                );
                if count > 0 {
                    let text = if share > 0.0995 {
                        format!("{:.0}", 100.0 * share)
                    } else {
                        format!("{:.1}", 100.0 * share)
                    };
                    // The colours of these phases are light, so they need dark text.
                    let dark = share > 0.5 && ![0, 2, 3].contains(&a);
                    let ink = if dark { "#ffffff" } else { "#111111" };
                    sheet.text(
                        x + cell / 2.0,
                        y + cell / 2.0 + 4.0,
                        11.0,
                        Anchor::Middle,
                        ink,
                        &text,
                    );
                }
            }
        }
    }
    let top = 2.0 * (block + 74.0) + 90.0;
    for (i, phase) in Phase::ALL.iter().enumerate() {
        let x = 50.0 + 130.0 * i as f64;
        let name = format!("{} {}", phase.letter(), phase.title());
        sheet.text(x, top, 13.0, Anchor::Start, "#111111", &name);
    }
    let says =
        "Of the verdicts with this confidence (above), this share is right (below), in per cent:";
    sheet.text(20.0, top + 34.0, 13.0, Anchor::Start, "#111111", says);
    for (i, bin) in calibration.iter().filter(|b| b.verdicts > 0).enumerate() {
        let x = 80.0 + 110.0 * i as f64;
        let range = format!("{:.0}–{:.0}", 100.0 * bin.from, 100.0 * bin.to);
        sheet.text(x, top + 58.0, 13.0, Anchor::Middle, "#555555", &range);
        let right = format!("{:.1}", 100.0 * bin.right);
        sheet.text(x, top + 76.0, 13.0, Anchor::Middle, "#111111", &right);
    }
    sheet
}

/// The colour, made paler for a small share.
fn shade(Rgb(r, g, b): Rgb, share: f64) -> Rgb {
    let part = |full: u8| {
        let ground = 242.0;
        (ground + (f64::from(full) - ground) * share.sqrt()) as u8
    };
    Rgb(part(r), part(g), part(b))
}
