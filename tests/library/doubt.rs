//! What a full analysis says is reproducible, does not depend on scale, and means what it says.

use crate::ensembles;
use crate::ensembles::{Breadth, Entries, random_matrix, rng};
use heavytail::law::{Law, TracyWidom};
use heavytail::{Config, Depth, LayerReport, Phase, WeightMatrix, analyze};

fn full(n: usize, m: usize, w: &[f64]) -> LayerReport {
    analyze(
        &WeightMatrix::new("w", n, m, w).unwrap(),
        &Config::default(),
    )
    .unwrap()
}

#[test]
fn the_same_seed_gives_the_same_doubt_at_any_scale() {
    let w = random_matrix(Phase::HeavyTailed, Breadth::Family, 200, 80, &mut rng(1, 1));
    let small: Vec<f64> = w.iter().map(|x| x * 2f64.powi(-20)).collect();
    let (a, b) = (full(200, 80, &w), full(200, 80, &small));
    assert_eq!(a.phase, full(200, 80, &w).phase);
    let (a, b) = (a.full.unwrap(), b.full.unwrap());
    assert_eq!(a.alpha_interval, b.alpha_interval);
    assert_eq!(a.goodness_of_fit, b.goodness_of_fit);
    assert_eq!(a.annotations, b.annotations);
    let (x, y) = (a.comparison.unwrap(), b.comparison.unwrap());
    assert!((x.lognormal.normalised - y.lognormal.normalised).abs() < 1e-6);
    assert!((a.farms.unwrap().alpha / b.farms.unwrap().alpha - 1.0).abs() < 1e-9);
}

#[test]
fn live_and_full_agree_on_everything_but_the_doubt() {
    let w = random_matrix(
        Phase::BulkPlusSpikes,
        Breadth::Family,
        200,
        80,
        &mut rng(1, 2),
    );
    let matrix = WeightMatrix::new("w", 200, 80, w).unwrap();
    let live = analyze(&matrix, &Config::live()).unwrap();
    let full = analyze(&matrix, &Config::default()).unwrap();
    assert_eq!(Config::default().depth, Depth::Full);
    assert_eq!(live.primary.tail, full.primary.tail);
    assert_eq!(live.bulk, full.bulk);
    let (live_verdict, full_verdict) = (live.phase.unwrap(), full.phase.as_ref().unwrap());
    assert_eq!(live_verdict.probabilities, full_verdict.probabilities);
    assert!(live.full.is_none());
    let text = full.to_string();
    for word in [
        "interval",
        "goodness of fit",
        "noise of this shape",
        "Bulk+Spikes",
        "Vuong",
    ] {
        assert!(text.contains(word), "no `{word}` in {text}");
    }
}

#[test]
fn vectors_are_examined_on_request() {
    let w = random_matrix(
        Phase::BulkPlusSpikes,
        Breadth::Family,
        100,
        50,
        &mut rng(1, 3),
    );
    let mut config = Config::default();
    config.vectors = 3;
    let matrix = WeightMatrix::new("w", 100, 50, w).unwrap();
    let report = analyze(&matrix, &config).unwrap();
    let vectors = report.full.unwrap().vectors;
    assert_eq!(vectors.len(), 3);
    let top = report.primary.spectrum.lambda_max();
    assert!((vectors[0].lambda / top - 1.0).abs() < 1e-9);
}

#[test]
fn outliers_have_p_values_and_noise_has_none() {
    let (n, m) = (300, 150);
    let mut rng = rng(1, 4);
    let mut w = Entries::Normal.fill(n * m, &mut rng);
    let noise = full(n, m, &w).bulk.unwrap();
    assert_eq!(noise.num_spikes, 0);
    assert!(noise.lambda_max_p > 0.01 && noise.d_p > 0.01, "{noise:?}");
    let edge = ensembles::edge(n, m);
    ensembles::add_spikes(
        &mut w,
        n,
        m,
        &[1.25 * edge, 2.0 * edge, 5.0 * edge],
        &mut rng,
    );
    let bulk = full(n, m, &w).bulk.unwrap();
    assert_eq!(bulk.outliers.len(), 3);
    assert!(
        bulk.outliers
            .windows(2)
            .all(|o| o[0].lambda > o[1].lambda && o[0].p <= o[1].p)
    );
    assert!(
        bulk.outliers
            .iter()
            .all(|o| o.p <= o.p_holm && o.p_holm < 0.05)
    );
    assert!(bulk.outliers[0].p < 1e-12);
}

#[test]
fn the_top_of_noise_is_tracy_widom() {
    let (n, m) = (240, 120);
    let mut rng = rng(1, 5);
    let mut p: Vec<f64> = (0..400)
        .map(|_| {
            let x = ensembles::wishart_eigenvalues(n, m, &mut rng);
            let (centre, scale) = heavytail::law::noise_edge(n, m).unwrap();
            TracyWidom.cdf((x[m - 1] - centre) / scale)
        })
        .collect();
    p.sort_by(f64::total_cmp);
    let d = p
        .iter()
        .enumerate()
        .map(|(i, p)| (p - (i as f64 + 0.5) / 400.0).abs())
        .fold(0.0, f64::max);
    // The 99.9 % point of Kolmogorov's law.
    assert!(d < 1.95 / 20.0, "{d}");
}

#[test]
fn odd_spectra_have_finite_verdicts() {
    use heavytail::fit::{fit_bulk, fit_tail};
    use heavytail::phase::classify;
    use heavytail::spectrum::Spectrum;

    // Zeros without a gap above them, and a spectrum that falls by decades.
    let mut gapless = vec![0.0; 31];
    gapless.extend((0..20).map(|i| 1000.0 * 6.5f64.powi(-i)));
    let decades: Vec<f64> = (0..40).map(|i| 10f64.powi(-i)).collect();
    let equal = vec![1.0; 40];
    for x in [gapless, decades, equal] {
        let m = x.len();
        let spectrum = Spectrum::from_eigenvalues(x, m, m).unwrap();
        let (bulk, tail) = (fit_bulk(&spectrum), fit_tail(spectrum.eigenvalues()));
        let verdict = classify(&spectrum, &bulk, &tail, None, None).unwrap();
        assert!(
            verdict.probabilities.iter().all(|p| p.is_finite()),
            "{verdict:?}"
        );
        assert!((verdict.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-6);
    }
    let mut config = Config::default();
    config.vectors = 3;
    let zero = WeightMatrix::new("zero", 60, 20, vec![0.0; 1200]).unwrap();
    let report = analyze(&zero, &config).unwrap();
    assert_eq!(report.phase.unwrap().phase, Phase::RankCollapse);
    assert!(report.full.unwrap().vectors.is_empty());
}
