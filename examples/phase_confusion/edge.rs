//! Compares the largest eigenvalue with its limiting distributions: Tracy–Widom for noise, Gaussian
//! for isolated spikes, Fréchet for heavy tails.

use std::path::Path;

use anyhow::Result;
use heavytail::law::{Law, TracyWidom, noise_edge};
use serde::Serialize;

use crate::ensembles::{Entries, add_spikes, edge, eigenvalues, rng, wishart_eigenvalues};
use crate::parallel::{parallel, quantile};
use crate::svg::{Anchor, Axes, COLOURS, Sheet};
use crate::{Effort, save, save_svg};

#[derive(Serialize)]
struct Noise {
    n: usize,
    m: usize,
    matrices: usize,
    /// The mean of (λmax − centre)/scale. Tracy–Widom has the mean −1.2065 and the standard
    /// deviation 1.268.
    mean: f64,
    sd: f64,
    /// The Kolmogorov distance from Tracy–Widom. It is below `ks95` for 95 % of samples from
    /// Tracy–Widom.
    ks: f64,
    ks95: f64,
    /// The share of matrices beyond the 99 % quantile.
    beyond99: f64,
    /// The mean of |λmax − λ₊| for σ = 1.
    distance: f64,
}

/// A comparison of λmax with a distribution.
#[derive(Serialize)]
struct Shape {
    what: String,
    matrices: usize,
    law: &'static str,
    ks: f64,
    ks95: f64,
}

#[derive(Serialize)]
struct Results {
    noise: Vec<Noise>,
    /// The slope of ln|λmax − λ₊| on ln M. The theory gives −2/3.
    exponent: f64,
    shapes: Vec<Shape>,
}

pub fn run(effort: Effort, out: &Path) -> Result<()> {
    let mut noise = Vec::new();
    let mut samples = Vec::new();
    for (m, count) in [
        (25, 4000),
        (50, 4000),
        (100, 3000),
        (200, 2000),
        (400, 1000),
    ] {
        let n = 2 * m;
        let cases: Vec<u64> = (0..effort.scaled(count) as u64).collect();
        let tops = parallel(&cases, |_, &i| {
            let x = wishart_eigenvalues(n, m, &mut rng(effort.seed + 5, (m as u64) << 32 | i));
            x[m - 1]
        });
        let (centre, scale) = noise_edge(n, m)?;
        let mut z: Vec<f64> = tops.iter().map(|l| (l - centre) / scale).collect();
        z.sort_by(f64::total_cmp);
        let (mean, sd) = moments(&z);
        let beyond = z.iter().filter(|z| TracyWidom.survival(**z) < 0.01).count();
        let row = Noise {
            n,
            m,
            matrices: z.len(),
            mean,
            sd,
            ks: kolmogorov(&z, |x| TracyWidom.cdf(x)),
            ks95: 1.358 / (z.len() as f64).sqrt(),
            beyond99: beyond as f64 / z.len() as f64,
            distance: tops.iter().map(|l| (l - edge(n, m)).abs()).sum::<f64>() / z.len() as f64,
        };
        println!(
            "{n}×{m}: mean {:.3}, sd {:.3}, KS {:.4} (95 % {:.4}), beyond the 99 % point {:.4}",
            row.mean, row.sd, row.ks, row.ks95, row.beyond99
        );
        noise.push(row);
        samples.push((m, z));
    }
    let exponent = slope(&noise);
    println!("|λmax − λ₊| ~ M^{exponent:.3}");

    let mut shapes = Vec::new();
    let mut drawn = Vec::new();
    // A matrix with one isolated spike.
    let cases: Vec<u64> = (0..effort.scaled(2000) as u64).collect();
    let mut spike = parallel(&cases, |_, &i| {
        let mut rng = rng(effort.seed + 6, i);
        let mut w = Entries::Normal.fill(240 * 120, &mut rng);
        add_spikes(&mut w, 240, 120, &[3.0 * edge(240, 120)], &mut rng);
        eigenvalues(240, 120, &w)[119]
    });
    spike.sort_by(f64::total_cmp);
    let (mean, sd) = moments(&spike);
    let gauss = |x: f64| normal_cdf((x - mean) / sd);
    shapes.push(Shape {
        what: "one spike at r = 3, 240×120".into(),
        matrices: spike.len(),
        law: "normal (mean and sd fitted: 95 % point of Lilliefors)",
        ks: kolmogorov(&spike, gauss),
        ks95: 0.895 / (spike.len() as f64).sqrt(),
    });
    drawn.push((
        "a spike, against a normal law",
        spike.iter().map(|x| (x - mean) / sd).collect::<Vec<f64>>(),
    ));
    // Entries with μ = 1 and 1.5. N·λmax is close to the square of the largest entry, which has a
    // Fréchet distribution with shape μ/2.
    for mu in [1.0, 1.5] {
        let (n, m) = (200, 100);
        let mut tops = parallel(&cases, |_, &i| {
            let mut rng = rng(effort.seed + 7, (mu * 10.0) as u64 * 1_000_000 + i);
            let w = Entries::SignedPareto(mu).fill(n * m, &mut rng);
            // λmax in units of the expected largest square.
            eigenvalues(n, m, &w)[m - 1] * n as f64 / ((n * m) as f64).powf(2.0 / mu)
        });
        tops.sort_by(f64::total_cmp);
        shapes.push(Shape {
            what: format!("entries with μ = {mu}, 200×100"),
            matrices: tops.len(),
            law: "Fréchet with shape μ/2 and scale (NM)^{2/μ}/N, nothing fitted",
            ks: kolmogorov(&tops, |x| (-x.powf(-mu / 2.0)).exp()),
            ks95: 1.358 / (tops.len() as f64).sqrt(),
        });
        if mu == 1.0 {
            drawn.push((
                "μ = 1, ln λmax, against Fréchet",
                tops.iter().map(|x| x.ln()).collect(),
            ));
        }
    }
    for shape in &shapes {
        println!(
            "{}: KS {:.4} from {} (95 % {:.4})",
            shape.what, shape.ks, shape.law, shape.ks95
        );
    }
    save_svg(out, "edge", picture(&samples, &noise, exponent, &drawn))?;
    save(
        out,
        "edge",
        &Results {
            noise,
            exponent,
            shapes,
        },
    )
}

/// The mean and the standard deviation.
fn moments(x: &[f64]) -> (f64, f64) {
    let count = x.len() as f64;
    let mean = x.iter().sum::<f64>() / count;
    let square: f64 = x.iter().map(|v| (v - mean).powi(2)).sum();
    (mean, (square / count).sqrt())
}

/// The Kolmogorov distance of a sorted sample from a distribution.
fn kolmogorov(sorted: &[f64], cdf: impl Fn(f64) -> f64) -> f64 {
    let count = sorted.len() as f64;
    sorted
        .iter()
        .enumerate()
        .map(|(i, &x)| {
            let p = cdf(x);
            (p - i as f64 / count).max((i + 1) as f64 / count - p)
        })
        .fold(0.0, f64::max)
}

/// Φ by the trapezoidal rule, with an error of 1e-8, which suffices for a figure.
fn normal_cdf(x: f64) -> f64 {
    let steps = 2000;
    let h = x / f64::from(steps);
    let phi = |t: f64| (-0.5 * t * t).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let sum: f64 = (1..steps).map(|i| phi(h * f64::from(i))).sum();
    0.5 + h * (sum + 0.5 * (phi(0.0) + phi(x)))
}

/// The slope of ln of the mean distance on ln M, by least squares.
fn slope(noise: &[Noise]) -> f64 {
    let points: Vec<(f64, f64)> = noise
        .iter()
        .map(|r| ((r.m as f64).ln(), r.distance.ln()))
        .collect();
    let count = points.len() as f64;
    let (mx, my) = (
        points.iter().map(|p| p.0).sum::<f64>() / count,
        points.iter().map(|p| p.1).sum::<f64>() / count,
    );
    let xy: f64 = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
    xy / points.iter().map(|p| (p.0 - mx).powi(2)).sum::<f64>()
}

fn picture(
    samples: &[(usize, Vec<f64>)],
    noise: &[Noise],
    exponent: f64,
    drawn: &[(&str, Vec<f64>)],
) -> Sheet {
    let mut sheet = Sheet::new(1020.0, 420.0);
    sheet.text(
        20.0,
        26.0,
        16.0,
        Anchor::Start,
        "#111111",
        "The largest eigenvalue of noise, of a spike, of heavy tails",
    );
    let panel = |i: usize, x: (f64, f64), y: (f64, f64)| Axes {
        left: 50.0 + 248.0 * i as f64,
        top: 90.0,
        width: 200.0,
        height: 230.0,
        x,
        y,
    };
    let ticks = |values: &[f64]| -> Vec<(f64, String)> {
        values.iter().map(|&v| (v, format!("{v}"))).collect()
    };
    // Panel 1: histograms of noise and the Tracy–Widom density.
    let axes = panel(0, (-5.0, 4.0), (0.0, 0.4));
    axes.draw(
        &mut sheet,
        "noise, Q = 2",
        ("(λmax − centre)/scale", "density"),
        &ticks(&[-4.0, -2.0, 0.0, 2.0, 4.0]),
        &ticks(&[0.1, 0.2, 0.3]),
    );
    for ((m, z), colour) in samples
        .iter()
        .filter(|s| s.0 != 50 && s.0 != 200)
        .zip([0, 3, 4])
    {
        let bins = 30;
        let width = 9.0 / f64::from(bins);
        let points: Vec<(f64, f64)> = (0..bins)
            .map(|i| {
                let low = -5.0 + width * f64::from(i);
                let count = z.iter().filter(|v| (low..low + width).contains(v)).count();
                axes.at(low + width / 2.0, count as f64 / z.len() as f64 / width)
            })
            .collect();
        sheet.line(&points, COLOURS[colour], 1.4, "");
        let (x, y) = (axes.left + 140.0, axes.top + 20.0 + 16.0 * colour as f64);
        sheet.text(
            x,
            y,
            11.0,
            Anchor::Start,
            COLOURS[colour],
            &format!("M = {m}"),
        );
    }
    let curve: Vec<(f64, f64)> = (0..=90)
        .map(|i| -5.0 + 0.1 * f64::from(i))
        .map(|x| axes.at(x, TracyWidom.pdf(x)))
        .collect();
    sheet.line(&curve, "#111111", 1.6, "5 4");
    // Panel 2: the mean distance from λ₊ against M.
    let axes = panel(1, (3.0, 6.2), (-4.0, 0.0));
    axes.draw(
        &mut sheet,
        &format!("distance ~ M^{exponent:.2} (theory −0.67)"),
        ("ln M", "ln of mean |λmax − λ₊|"),
        &ticks(&[3.0, 4.0, 5.0, 6.0]),
        &ticks(&[-4.0, -3.0, -2.0, -1.0]),
    );
    let points: Vec<(f64, f64)> = noise
        .iter()
        .map(|r| axes.at((r.m as f64).ln(), r.distance.ln()))
        .collect();
    for (x, y) in &points {
        sheet.dot(*x, *y, 3.5, COLOURS[2]);
    }
    let first = &noise[0];
    let at = |m: f64| {
        axes.at(
            m.ln(),
            first.distance.ln() - 2.0 / 3.0 * (m / first.m as f64).ln(),
        )
    };
    sheet.line(&[at(25.0), at(400.0)], "#111111", 1.4, "5 4");
    // Panels 3 and 4: quantiles of λmax against quantiles of the distributions.
    for (i, (title, x)) in drawn.iter().enumerate() {
        let quantiles: Vec<(f64, f64)> = (1..100)
            .map(|k| f64::from(k) / 100.0)
            .map(|p| {
                let law = if i == 0 {
                    normal_quantile(p)
                } else {
                    (-(-p.ln()).ln()) * 2.0
                };
                (law, quantile(x, p))
            })
            .collect();
        let (low, high) = if i == 0 { (-2.6, 2.6) } else { (-4.0, 10.0) };
        let axes = panel(2 + i, (low, high), (low, high));
        let marks = if i == 0 {
            [-2.0, 0.0, 2.0]
        } else {
            [-2.0, 3.0, 8.0]
        };
        axes.draw(
            &mut sheet,
            title,
            ("quantile of the law", "quantile of λmax"),
            &ticks(&marks),
            &ticks(&marks),
        );
        sheet.line(
            &[axes.at(low, low), axes.at(high, high)],
            "#111111",
            1.4,
            "5 4",
        );
        for (a, b) in quantiles {
            let (px, py) = axes.at(a, b);
            sheet.dot(px, py, 2.0, COLOURS[4]);
        }
    }
    sheet.text(50.0, 400.0, 12.0, Anchor::Start, "#333333", "Dashed: Tracy–Widom density; slope −2/3; equality. Nothing is fitted but the spike's mean and standard deviation.");
    sheet
}

fn normal_quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if normal_cdf(middle) < p {
            low = middle
        } else {
            high = middle
        }
    }
    0.5 * (low + high)
}
