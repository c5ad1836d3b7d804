//! Measures the fitted α against the entries' tail exponent μ, and compares it with the predictions
//! for the three universality classes.

use std::path::Path;

use anyhow::Result;
use heavytail::fit::noise_alpha;
use heavytail::{Config, WeightMatrix, analyze};
use serde::Serialize;

use crate::ensembles::{Entries, rng};
use crate::parallel::parallel;
use crate::svg::{Anchor, Axes, COLOURS, Sheet};
use crate::{Effort, save, save_svg};

const SIZES: [(usize, usize); 4] = [(300, 300), (600, 300), (1000, 300), (2000, 200)];
const FAMILIES: [fn(f64) -> Entries; 3] = [
    Entries::SignedPareto,
    Entries::SignedLomax,
    Entries::Student,
];
const NAMES: [&str; 3] = ["Pareto, random sign", "Lomax, random sign", "Student t"];

#[derive(Serialize)]
struct Point {
    mu: f64,
    alpha: f64,
    sd: f64,
    fits: usize,
    /// The predicted α: 1 + μ/2, the exponent of the limit, for μ < 4. For larger μ it is the
    /// median α of Gaussian noise.
    predicted: Option<f64>,
}

#[derive(Serialize)]
struct Curve {
    entries: &'static str,
    n: usize,
    m: usize,
    points: Vec<Point>,
    /// The coefficients of a least-squares line over 2 < μ < 4: α ≈ a·μ + b. This is the papers'
    /// form for finite matrices.
    a: f64,
    b: f64,
}

pub fn run(effort: Effort, out: &Path) -> Result<()> {
    let mus: Vec<f64> = (1..=12).map(|i| 0.5 * f64::from(i)).collect();
    let mut curves = Vec::new();
    for (family, name) in FAMILIES.iter().zip(NAMES) {
        for (n, m) in SIZES {
            let cases: Vec<(f64, u64)> = mus
                .iter()
                .flat_map(|&mu| (0..effort.scaled(12) as u64).map(move |i| (mu, i)))
                .collect();
            let alphas = parallel(&cases, |index, &(mu, _)| {
                let mut rng = rng(effort.seed + 4, ((n * m) as u64) << 32 | index as u64);
                let w = family(mu).fill(n * m, &mut rng);
                let report =
                    analyze(&WeightMatrix::new("w", n, m, w).ok()?, &Config::live()).ok()?;
                report.primary.tail.ok().map(|t| t.alpha)
            });
            let points: Vec<Point> = mus
                .iter()
                .map(|&mu| {
                    let found: Vec<f64> = cases
                        .iter()
                        .zip(&alphas)
                        .filter(|((at, _), _)| *at == mu)
                        .filter_map(|(_, a)| *a)
                        .collect();
                    let count = found.len().max(1) as f64;
                    let mean = found.iter().sum::<f64>() / count;
                    let square: f64 = found.iter().map(|a| (a - mean).powi(2)).sum();
                    Point {
                        mu,
                        alpha: mean,
                        sd: (square / count).sqrt(),
                        fits: found.len(),
                        predicted: if mu < 4.0 {
                            Some(1.0 + mu / 2.0)
                        } else {
                            noise_alpha(n, m).map(|a| a.median)
                        },
                    }
                })
                .collect();
            let (a, b) = line(points.iter().filter(|p| p.mu > 2.0 && p.mu < 4.0));
            println!("{name} {n}×{m}: α ≈ {a:.2} μ + {b:.2} for 2 < μ < 4");
            for p in &points {
                println!("  μ = {:.1}: α = {:.2} ± {:.2}", p.mu, p.alpha, p.sd);
            }
            curves.push(Curve {
                entries: name,
                n,
                m,
                points,
                a,
                b,
            });
        }
    }
    save_svg(out, "universality", picture(&curves))?;
    save(out, "universality", &curves)
}

/// The slope and the intercept of a least-squares line.
fn line<'a>(points: impl Iterator<Item = &'a Point>) -> (f64, f64) {
    let (mut k, mut x, mut y, mut xx, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for p in points {
        k += 1.0;
        x += p.mu;
        y += p.alpha;
        xx += p.mu * p.mu;
        xy += p.mu * p.alpha;
    }
    let a = (k * xy - x * y) / (k * xx - x * x);
    (a, (y - a * x) / k)
}

fn picture(curves: &[Curve]) -> Sheet {
    let mut sheet = Sheet::new(1020.0, 470.0);
    sheet.text(
        20.0,
        26.0,
        16.0,
        Anchor::Start,
        "#111111",
        "Fitted α of iid matrices against the tail exponent μ of their entries",
    );
    for (i, name) in NAMES.iter().enumerate() {
        let axes = Axes {
            left: 60.0 + 325.0 * i as f64,
            top: 90.0,
            width: 280.0,
            height: 270.0,
            x: (0.0, 6.2),
            y: (1.0, 18.0),
        };
        let xs: Vec<(f64, String)> = (0..=6).map(|x| (f64::from(x), x.to_string())).collect();
        let ys: Vec<(f64, String)> = (1..=7)
            .map(|y| (2.0 * f64::from(y), (2 * y).to_string()))
            .collect();
        axes.draw(
            &mut sheet,
            name,
            ("μ of the entries", "α of the eigenvalues"),
            &xs,
            &ys,
        );
        sheet.line(
            &[axes.at(0.5, 1.25), axes.at(4.0, 3.0)],
            "#111111",
            1.5,
            "5 4",
        );
        for at in [2.0, 4.0] {
            sheet.line(
                &[axes.at(at, 1.0), axes.at(at, 18.0)],
                "#bbbbbb",
                1.0,
                "2 3",
            );
        }
        for (curve, colour) in curves
            .iter()
            .filter(|c| c.entries == *name)
            .zip([0, 1, 3, 4])
        {
            let points: Vec<(f64, f64)> = curve
                .points
                .iter()
                .map(|p| axes.at(p.mu, p.alpha.min(18.0)))
                .collect();
            sheet.line(&points, COLOURS[colour], 1.8, "");
            for (p, (x, y)) in curve.points.iter().zip(points) {
                sheet.dot(x, y, 2.6, COLOURS[colour]);
                let (low, high) = (
                    axes.at(p.mu, (p.alpha - p.sd).max(1.0)),
                    axes.at(p.mu, (p.alpha + p.sd).min(18.0)),
                );
                sheet.line(&[low, high], COLOURS[colour], 0.8, "");
            }
        }
    }
    for ((n, m), (i, colour)) in SIZES.iter().zip([0, 1, 3, 4].into_iter().enumerate()) {
        let x = 60.0 + 150.0 * i as f64;
        sheet.line(&[(x, 425.0), (x + 24.0, 425.0)], COLOURS[colour], 2.0, "");
        sheet.text(
            x + 30.0,
            429.0,
            12.0,
            Anchor::Start,
            "#333333",
            &format!("{n}×{m}"),
        );
    }
    sheet.line(&[(660.0, 425.0), (684.0, 425.0)], "#111111", 1.5, "5 4");
    sheet.text(
        690.0,
        429.0,
        12.0,
        Anchor::Start,
        "#333333",
        "1 + μ/2, the limit for μ < 4; bars: sd over seeds",
    );
    sheet.text(60.0, 452.0, 12.0, Anchor::Start, "#333333", "Left of 2: very heavy-tailed; 2 to 4: heavy, slow finite-size drift; right of 4: a Marchenko–Pastur bulk and a tail.");
    sheet
}
