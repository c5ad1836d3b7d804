//! Planted truth comes back: variance, spikes, rank, exponent, phase.

use crate::ensembles;
use crate::ensembles::Breadth;
use crate::ensembles::out_of_family::{Expected, OUT_OF_FAMILY, OutOfFamily};
use heavytail::matrix::{LayerTensor, Layout};
use heavytail::phase::{Annotation, Baseline};
use heavytail::spectrum::Solver;
use heavytail::{Config, LayerReport, Phase, WeightMatrix, analyze, analyze_tensor};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64;

fn rng(seed: u64) -> Pcg64 {
    Pcg64::seed_from_u64(seed)
}

fn normal(rng: &mut Pcg64) -> f64 {
    StandardNormal.sample(rng)
}

/// Gaussian noise whose columns have the given standard deviations.
fn noise(n: usize, deviations: &[f64], rng: &mut Pcg64) -> Vec<f64> {
    (0..n)
        .flat_map(|_| deviations.iter().copied())
        .map(|s| s * normal(rng))
        .collect()
}

/// Adds rank-one signals whose eigenvalues will lie at `ratios` times the edge λ₊ of unit noise.
fn add_spikes(w: &mut [f64], n: usize, m: usize, ratios: &[f64], rng: &mut Pcg64) {
    let c = m as f64 / n as f64;
    let edge = (1.0 + c.sqrt()).powi(2);
    for ratio in ratios {
        // λ = (1 + t)(c + t)/t, solved for the larger t = θ².
        let b = ratio * edge - 1.0 - c;
        let t = (b + (b * b - 4.0 * c).max(0.0).sqrt()) / 2.0;
        let unit = |len: usize, rng: &mut Pcg64| {
            let v: Vec<f64> = (0..len).map(|_| normal(rng)).collect();
            let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
            v.into_iter().map(move |x| x / norm).collect::<Vec<f64>>()
        };
        let (u, v) = (unit(n, rng), unit(m, rng));
        let theta = (t * n as f64).sqrt();
        for (i, x) in w.iter_mut().enumerate() {
            *x += theta * u[i / m] * v[i % m];
        }
    }
}

fn report(n: usize, m: usize, w: Vec<f64>) -> LayerReport {
    let matrix = WeightMatrix::new("w", n, m, w).unwrap();
    analyze(&matrix, &Config::default()).unwrap()
}

#[test]
fn variance_and_spikes() {
    for (n, m, ratios) in [
        (400, 200, vec![2.0, 3.0, 4.0, 5.0, 13.0]),
        (1000, 200, vec![1.6, 2.5]),
        (300, 300, vec![2.0, 1000.0]),
        (
            600,
            400,
            (0..12).map(|i| 1.8 + 0.5 * f64::from(i)).collect(),
        ),
    ] {
        let mut rng = rng(17);
        let mut w = noise(n, &vec![1.0; m], &mut rng);
        add_spikes(&mut w, n, m, &ratios, &mut rng);
        let bulk = report(n, m, w).bulk.unwrap();
        assert_eq!(bulk.num_spikes, ratios.len(), "{n}×{m}: {bulk:?}");
        assert!(
            (bulk.sigma_mp - 1.0).abs() < 0.01,
            "{n}×{m}: σ = {}",
            bulk.sigma_mp
        );
    }
}

#[test]
fn exponents() {
    for alpha in [2.0, 2.5, 3.5] {
        // A diagonal matrix has the spectrum that one writes into it.
        let (n, m) = (400, 300);
        let mut w = vec![0.0; n * m];
        for i in 0..m {
            let u = (i as f64 + 0.5) / m as f64;
            w[i * m + i] = ((1.0 - u).powf(1.0 / (1.0 - alpha)) * n as f64).sqrt();
        }
        let tail = report(n, m, w).primary.tail.unwrap();
        assert!((tail.alpha / alpha - 1.0).abs() < 0.02, "{alpha}: {tail:?}");
        assert!((tail.xmin - 1.0).abs() < 0.1, "{tail:?}");
    }
}

#[test]
fn ranks() {
    for rank in [1, 5, 20, 60] {
        let (n, m) = (200, 100);
        let mut rng = rng(rank as u64);
        let a: Vec<f64> = (0..n * rank).map(|_| normal(&mut rng)).collect();
        let b: Vec<f64> = (0..rank * m).map(|_| normal(&mut rng)).collect();
        let w: Vec<f64> = (0..n * m)
            .map(|i| {
                (0..rank)
                    .map(|k| a[(i / m) * rank + k] * b[k * m + i % m])
                    .sum()
            })
            .collect();
        let r = report(n, m, w.clone());
        assert_eq!(r.primary.metrics.hard_rank, rank);
        assert_eq!(r.phase.unwrap().phase, Phase::RankCollapse, "rank {rank}");
        let precise = Config::default();
        let mut precise = precise;
        precise.solver = Solver::Svd;
        let matrix = WeightMatrix::new("w", n, m, w).unwrap();
        assert_eq!(
            analyze(&matrix, &precise)
                .unwrap()
                .primary
                .metrics
                .hard_rank,
            rank
        );
    }
}

#[test]
fn scaling_and_transposing_change_no_verdict() {
    let (n, m) = (300, 120);
    let mut rng = rng(4);
    let mut w = noise(n, &vec![1.0; m], &mut rng);
    add_spikes(&mut w, n, m, &[2.0, 6.0], &mut rng);
    let one = report(n, m, w.clone());
    let transposed = (0..n * m).map(|i| w[(i % n) * m + i / n]).collect();
    for other in [
        report(n, m, w.iter().map(|x| 1e-9 * x).collect()),
        report(m, n, transposed),
    ] {
        let (a, b) = (
            one.primary.tail.as_ref().unwrap(),
            other.primary.tail.as_ref().unwrap(),
        );
        assert!((a.alpha / b.alpha - 1.0).abs() < 1e-9);
        assert_eq!(
            one.bulk.as_ref().unwrap().num_spikes,
            other.bulk.as_ref().unwrap().num_spikes
        );
        assert_eq!(
            one.phase.as_ref().unwrap().phase,
            other.phase.unwrap().phase
        );
    }
}

#[test]
fn phases() {
    let live = |n, m, w| analyze(&WeightMatrix::new("w", n, m, w).unwrap(), &Config::live());
    let mut right = 0;
    let mut confusion = String::new();
    for phase in Phase::ALL {
        let mut own = 0;
        for case in 0..20 {
            let (n, m) = if case % 2 == 0 {
                (384, 192)
            } else {
                (400, 100)
            };
            let mut rng = ensembles::rng(77, 100 * phase as u64 + case);
            let w = ensembles::random_matrix(phase, Breadth::Family, n, m, &mut rng);
            let verdict = live(n, m, w).unwrap().phase.unwrap();
            assert!(!verdict.evidence.is_empty(), "a verdict shows its evidence");
            assert!((verdict.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-6);
            assert_eq!(
                verdict.confidence,
                verdict.probabilities[verdict.phase as usize]
            );
            if verdict.phase == phase {
                own += 1;
            } else {
                confusion += &format!("{phase} → {}; ", verdict.phase);
            }
        }
        // No family is lost as a whole.
        assert!(own >= 16, "{phase}: {own}/20; {confusion}");
        right += own;
    }
    assert!(right >= 114, "{right}/120: {confusion}");
}

#[test]
fn unequal_variances_and_heavy_entries_are_explained() {
    let expects = |g: &&OutOfFamily| g.expected != Expected::Open;
    for generator in OUT_OF_FAMILY.iter().filter(expects) {
        let mut good = 0;
        for case in 0..3 {
            let (n, m) = (300, 120);
            let w = (generator.draw)(n, m, &mut ensembles::rng(78, case));
            let verdict = report(n, m, w).phase.unwrap();
            let explained = verdict.annotations.iter().any(|a| {
                matches!(
                    a,
                    Annotation::ScaleHeterogeneity | Annotation::EntryDistribution
                )
            });
            good += usize::from(match generator.expected {
                Expected::NoiseOrExplained => verdict.phase == Phase::RandomLike || explained,
                Expected::Phase(phase) => verdict.phase == phase,
                Expected::Open => unreachable!("left out above"),
            });
        }
        assert!(good >= 2, "{}: {good}/3", generator.name);
    }
}

#[test]
fn soft_collapse_needs_the_initial_weights() {
    // A bulk that weight decay has faded, under spikes that hold the norm.
    let (n, m) = (300, 120);
    let mut rng = rng(6);
    let mut w = noise(n, &vec![1.0; m], &mut rng);
    add_spikes(&mut w, n, m, &[40.0, 60.0, 90.0, 300.0, 500.0], &mut rng);
    let w: Vec<f32> = w.iter().map(|x| (0.01 * x) as f32).collect();
    let tensor = LayerTensor {
        name: "w".into(),
        layout: Layout::Matrix,
        shape: vec![n, m],
        values: w,
    };
    let phase = |baseline: Option<f64>| {
        let baseline = baseline.map(Baseline::new);
        let report = analyze_tensor(&tensor, &Config::live(), baseline.as_ref()).unwrap();
        report.phase.unwrap().phase
    };
    assert_eq!(phase(Some(0.01)), Phase::RankCollapse);
    assert_eq!(phase(Some(1e-4)), Phase::BulkPlusSpikes);
    assert_eq!(phase(None), Phase::BulkPlusSpikes);
}

#[test]
fn huge_entries_are_no_collapse() {
    let (n, m) = (256, 128);
    let live = |w: Vec<f64>, baseline: Option<&Baseline>| {
        let tensor = LayerTensor {
            name: "w".into(),
            layout: Layout::Matrix,
            shape: vec![n, m],
            values: w.into_iter().map(|x| x as f32).collect(),
        };
        let report = analyze_tensor(&tensor, &Config::live(), baseline).unwrap();
        report.phase.unwrap()
    };
    let initial = Baseline::new(1e3);
    // One entry, and several apart.
    for places in [&[5][..], &[0, 7 * m + 3, 90 * m + 99]] {
        let mut w = noise(n, &vec![1.0; m], &mut rng(8));
        for &place in places {
            w[place] = 1e4 + place as f64;
        }
        for baseline in [None, Some(&initial)] {
            let verdict = live(w.clone(), baseline);
            assert_eq!(verdict.phase, Phase::BulkPlusSpikes, "{places:?}");
            assert!(verdict.annotations.contains(&Annotation::EntryOutliers));
        }
    }
    // Directions that all weights share, and one row that outgrows the others.
    let mut spread = noise(n, &vec![1.0; m], &mut rng(9));
    add_spikes(&mut spread, n, m, &[1e4, 2e4], &mut rng(10));
    let mut row = noise(n, &vec![1.0; m], &mut rng(11));
    row[..m].iter_mut().for_each(|x| *x *= 1e3);
    for w in [spread, row] {
        for baseline in [None, Some(&initial)] {
            let verdict = live(w.clone(), baseline);
            assert_eq!(verdict.phase, Phase::RankCollapse);
            assert!(verdict.confidence >= 0.9 && verdict.annotations.is_empty());
        }
    }
    // Noise and ordinary spikes have no such remark.
    let mut spiked = noise(n, &vec![1.0; m], &mut rng(12));
    assert!(live(spiked.clone(), None).annotations.is_empty());
    add_spikes(&mut spiked, n, m, &[1.2, 4.0], &mut rng(13));
    assert!(live(spiked, None).annotations.is_empty());
}

#[test]
fn what_has_no_phase_says_why() {
    let mut rng = rng(1);
    let r = report(100, 6, noise(100, &[1.0; 6], &mut rng));
    assert!(r.phase.unwrap_err().to_string().contains("M = 6"));
    let zero = report(60, 30, vec![0.0; 1800]);
    assert_eq!(zero.phase.unwrap().phase, Phase::RankCollapse);
    assert!(zero.primary.tail.unwrap_err().to_string().contains("zero"));
    let identity: Vec<f64> = (0..900)
        .map(|i| f64::from(u8::from(i / 30 == i % 30)))
        .collect();
    let identity = report(30, 30, identity);
    assert!(identity.to_string().contains("nearly equal"));
    assert!(
        identity
            .primary
            .tail
            .unwrap_err()
            .to_string()
            .contains("equal")
    );
}
