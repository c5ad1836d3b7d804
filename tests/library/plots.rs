//! Every figure, from synthetic runs through the real pipeline: what it says, in both formats, and
//! that no data makes it panic.

use std::fs;
use std::path::Path;

use heavytail::matrix::{LayerTensor, Layout};
use heavytail::record::{Header, LayerShape, Line, Record, Scalar, Stamp, Summary};
use heavytail::sink::{Sink, SpectraSink};
use heavytail::spectrum::Spectrum;
use heavytail::{Config, Error, Phase, Trajectory, WeightMatrix, analyze, analyze_tensor, plot};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal, Uniform};
use rand_pcg::Pcg64Mcg;

/// A LeNet5-like layer: Glorot-uniform noise, and directions that grow.
struct Layer {
    name: &'static str,
    shape: Vec<usize>,
    noise: Vec<f64>,
    signal: Vec<f64>,
}

impl Layer {
    fn new(rng: &mut Pcg64Mcg, name: &'static str, shape: &[usize], rank: i32) -> Self {
        let (rows, cols) = (shape[0], shape[1..].iter().product::<usize>());
        let limit = (6.0 / (rows + cols) as f64).sqrt();
        let uniform = Uniform::new(-limit, limit).unwrap();
        let noise = (0..rows * cols).map(|_| uniform.sample(rng)).collect();
        let mut signal = vec![0.0; rows * cols];
        for k in 0..rank {
            let mut direction =
                |n: usize| -> Vec<f64> { (0..n).map(|_| StandardNormal.sample(rng)).collect() };
            let (u, v) = (direction(rows), direction(cols));
            let size = 2.0 * limit * f64::from(k + 1).powf(-0.5) / (rows.min(cols) as f64).sqrt();
            for (i, s) in signal.iter_mut().enumerate() {
                *s += size * u[i / cols] * v[i % cols];
            }
        }
        Self {
            name,
            shape: shape.to_vec(),
            noise,
            signal,
        }
    }

    fn at(&self, time: f64) -> LayerTensor {
        let weights = self.noise.iter().zip(&self.signal);
        LayerTensor {
            name: self.name.to_owned(),
            layout: if self.shape.len() == 2 {
                Layout::Matrix
            } else {
                Layout::Conv
            },
            shape: self.shape.clone(),
            values: weights.map(|(n, s)| (n + time * s) as f32).collect(),
        }
    }
}

/// Nine epochs; one of the layers fails twice. Spectra go to the folder.
fn lenet(spectra: Option<&Path>) -> Trajectory {
    let mut rng = Pcg64Mcg::seed_from_u64(5);
    let layers = [
        Layer::new(&mut rng, "conv1.weight", &[20, 1, 5, 5], 2),
        Layer::new(&mut rng, "conv2.weight", &[50, 20, 5, 5], 8),
        Layer::new(&mut rng, "a<b>&\"fc1\"", &[490, 100], 25),
        Layer::new(&mut rng, "fc2.weight", &[100, 10], 5),
    ];
    let config = Config::live();
    let mut trajectory = Trajectory::default();
    trajectory.push(Line::Header(Header::new("lenet", &config)));
    let mut sink = spectra.map(|folder| SpectraSink::open(folder).unwrap());
    for epoch in 0..9 {
        let stamp = Stamp {
            epoch,
            step: 100 * epoch as u64,
        };
        let mut records = Vec::new();
        let mut kept = Vec::new();
        for (id, layer) in layers.iter().enumerate() {
            let tensor = layer.at(1.0 - (-(epoch as f64) / 3.0).exp());
            let report = analyze_tensor(&tensor, &config, None).unwrap();
            kept.push((report.layer.clone(), report.primary.spectrum.clone()));
            records.push(if id == 3 && (4..6).contains(&epoch) {
                let shape = LayerShape {
                    name: layer.name.to_owned(),
                    shape: layer.shape.clone(),
                };
                Record::failed("lenet", stamp, id, shape, "NaN".to_owned())
            } else {
                Record::success("lenet", stamp, id, &report)
            });
        }
        let summary = Summary::new("lenet", stamp, &records, 0.0);
        trajectory.push(Line::Summary(Box::new(summary)));
        records.into_iter().for_each(|r| push(&mut trajectory, r));
        if let Some(sink) = &mut sink {
            sink.spectra(stamp, &kept).unwrap();
        }
        for (name, value) in [
            ("Train Loss", 2.0 * (-(epoch as f64) / 2.0).exp()),
            ("valid loss", 1.8 * (-(epoch as f64) / 2.0).exp() + 0.1),
            ("valid Accuracy", 99.0 - 40.0 * (-(epoch as f64)).exp()),
            ("learning rate", 0.1),
        ] {
            push_scalar(&mut trajectory, epoch, name, value);
        }
    }
    trajectory
}

fn push(trajectory: &mut Trajectory, record: Record) {
    trajectory.push(Line::Layer(Box::new(record)));
}

fn push_scalar(trajectory: &mut Trajectory, epoch: usize, name: &str, value: f64) {
    trajectory.push(Line::Scalar(Scalar::new(String::new(), epoch, name, value)));
}

/// One record of a small noise matrix.
fn record(layer: &str, id: usize, stamp: Stamp) -> Record {
    let mut rng = Pcg64Mcg::seed_from_u64(id as u64);
    let weights: Vec<f64> = (0..600).map(|_| StandardNormal.sample(&mut rng)).collect();
    let matrix = WeightMatrix::new(layer, 30, 20, weights).unwrap();
    let report = analyze(&matrix, &Config::live()).unwrap();
    Record::success("run", stamp, id, &report)
}

fn spectrum(eigenvalues: Vec<f64>, n: usize, m: usize) -> Spectrum {
    Spectrum::from_eigenvalues(eigenvalues, n, m).unwrap()
}

/// The texts of an SVG, in order. Panics if it is not well-formed or leaves its own frame.
fn texts(path: &Path) -> Vec<String> {
    let svg = fs::read_to_string(path).unwrap();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "svg");
    let frame: Vec<f64> = root
        .attribute("viewBox")
        .unwrap()
        .split(' ')
        .map(|v| v.parse().unwrap())
        .collect();
    for (x, y) in root.descendants().filter_map(|n| {
        let number = |name| n.attribute(name).and_then(|v| v.parse::<f64>().ok());
        number("x").zip(number("y"))
    }) {
        assert!(
            (0.0..=frame[2]).contains(&x) && (0.0..=frame[3]).contains(&y),
            "{x} {y}"
        );
    }
    let families: Vec<_> = root
        .descendants()
        .filter_map(|n| n.attribute("font-family"))
        .collect();
    assert!(families.iter().all(|&f| f == "sans-serif"), "{families:?}");
    root.descendants()
        .filter(|n| n.has_tag_name("text"))
        .filter_map(|n| n.text())
        .map(|t| t.trim().to_owned())
        .collect()
}

/// The SVG holds each of these texts, which `|` separates.
fn assert_says(path: &Path, expected: &str) {
    let texts = texts(path);
    for text in expected.split('|') {
        assert!(
            texts.iter().any(|t| t.contains(text)),
            "{text} is not in {texts:#?}"
        );
    }
}

/// Width and height of a PNG whose chunks are complete, and whether it holds more than one colour.
fn png_size(path: &Path) -> (u32, u32) {
    let bytes = fs::read(path).unwrap();
    assert_eq!(bytes[..8], *b"\x89PNG\r\n\x1a\n");
    assert_eq!(bytes[12..16], *b"IHDR");
    assert_eq!(bytes[bytes.len() - 8..bytes.len() - 4], *b"IEND");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    // An empty page would compress to far less.
    assert!(bytes.len() > 5_000, "{} bytes", bytes.len());
    (number(16), number(20))
}

fn rows(path: &Path) -> Vec<csv::StringRecord> {
    csv::Reader::from_path(path)
        .unwrap()
        .records()
        .map(|r| r.unwrap())
        .collect()
}

#[test]
fn a_run_has_all_its_figures() {
    let folder = tempfile::tempdir().unwrap();
    let spectra = folder.path().join("spectra");
    let run = lenet(Some(&spectra));
    let out = folder.path().join("new/figures");
    let written = plot::all(&run, Some(&spectra), &out).unwrap();
    assert_eq!(written.len(), 3 * (3 + 2 * 4));
    assert!(written.iter().all(|p| fs::metadata(p).unwrap().len() > 50));
    let at = |name: &str| out.join(name);

    assert_says(
        &at("alpha.svg"),
        "tail exponent α|epoch|conv1.weight|a<b>&\"fc1\"|Train Loss|valid loss|loss|accuracy (%)|valid Accuracy|2–5|2–6|WeightWatcher|no fit|run lenet",
    );
    assert!(
        !texts(&at("alpha.svg"))
            .iter()
            .any(|t| t.contains("learning rate"))
    );
    let alphas = rows(&at("alpha.csv"));
    assert_eq!(alphas.len(), 9 * 4 + 9 * 3);
    let failed: Vec<_> = alphas.iter().filter(|r| &r[6] == "NaN").collect();
    assert!(failed.len() == 2 && failed.iter().all(|r| r[4].is_empty()));

    assert_says(
        &at("alpha_hat.svg"),
        "WeightWatcher: mean α·log₁₀ λmax, WᵀW|(1/N_L) Σ α·ln λmax, X = WᵀW/N, N_L = 1|conv2.weight",
    );

    let phases: Vec<&str> = Phase::ALL.iter().map(|p| p.title()).collect();
    assert_says(&at("phases.svg"), &phases.join("|"));
    assert_says(&at("phases.svg"), "fc2.weight|R|not classified|epoch");
    assert_eq!(rows(&at("phases.csv")).len(), 9 * 4);

    // `<`, `>`, `&` and quotes stay in the text but not in the file's name.
    assert_says(
        &at("esd-a_b___fc1_.svg"),
        "a<b>&\"fc1\"|490 × 100|epoch 0|epoch 4|epoch 8|spikes|density|WᵀW/N",
    );
    let histogram = rows(&at("esd-a_b___fc1_.csv"));
    for epoch in ["epoch 0", "epoch 4", "epoch 8"] {
        let of = histogram.iter().filter(|r| &r[0] == epoch);
        assert_eq!(
            of.map(|r| r[3].parse::<usize>().unwrap()).sum::<usize>(),
            100
        );
    }
    assert_says(&at("esd-loglog-fc2.weight.svg"), "α = |xmin|tail: ");

    for path in written.iter().filter(|p| p.extension().unwrap() == "png") {
        let (width, height) = png_size(path);
        assert!(
            (1240..=1920).contains(&width) && height > 400,
            "{path:?}: {width}×{height}"
        );
    }
}

#[test]
fn layers_of_any_name_have_figures_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let spectra = folder.path().join("spectra");
    let long = "x".repeat(300);
    let mut sink = SpectraSink::open(&spectra).unwrap();
    let one = spectrum((1..=20).map(f64::from).collect(), 60, 20);
    let names = ["a_b", "a:b", "A", "a", "..", "CON", "λ", "loglog-λ", &long];
    let layers = names.map(|name| (name.to_owned(), one.clone()));
    sink.spectra(Stamp::from_epoch(0), &layers).unwrap();
    let out = folder.path().join("figures");
    let written = plot::all(&Trajectory::default(), Some(&spectra), &out).unwrap();
    assert_eq!(written.len(), 6 * names.len());
    assert_eq!(fs::read_dir(&out).unwrap().count(), written.len());
}

#[test]
fn figures_are_deterministic() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Trajectory::default();
    for epoch in 0..4 {
        push(&mut run, record("fc", 0, Stamp { epoch, step: 0 }));
    }
    for name in ["a.svg", "b.svg", "a.png", "b.png"] {
        plot::alpha(&run, folder.path().join(name)).unwrap();
    }
    let read = |name| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("a.svg"), read("b.svg"));
    assert_eq!(read("a.png"), read("b.png"));
}

#[test]
fn runs_stand_beside_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (lenet(None), Trajectory::default());
    let mut c = Trajectory::default();
    push(&mut c, record("fc1", 0, Stamp { epoch: 3, step: 9 }));
    let rows = [
        ("512".to_owned(), &a),
        ("empty".to_owned(), &b),
        ("8".to_owned(), &c),
    ];
    let path = folder.path().join("grid.svg");
    plot::phase_grid("batch size", &rows, &path).unwrap();
    assert_says(&path, "batch size|512|8|fc1|conv2.weight|α |Heavy-tailed");
    plot::phase_grid("batch size", &rows, folder.path().join("grid.png")).unwrap();
    png_size(&folder.path().join("grid.png"));
    let nothing = plot::phase_grid("batch size", &rows[1..2], &path).unwrap_err();
    assert!(nothing.to_string().contains("nothing to draw"), "{nothing}");
}

#[test]
fn a_huge_spike_leaves_the_bulk_its_room() {
    let folder = tempfile::tempdir().unwrap();
    let noise = |seed| {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let weights: Vec<f64> = (0..20_000)
            .map(|_| StandardNormal.sample(&mut rng))
            .collect();
        let matrix = WeightMatrix::new("w", 200, 100, weights).unwrap();
        Spectrum::from_matrix(&matrix, Default::default()).unwrap()
    };
    let mut spiked = noise(2).eigenvalues().to_vec();
    spiked[98] = 4.0;
    spiked[99] = 1.2e4;
    let panels = [
        ("before".to_owned(), noise(1)),
        ("after".to_owned(), spectrum(spiked, 200, 100)),
    ];
    let path = folder.path().join("esd.svg");
    plot::esd("w", &panels, &path).unwrap();
    assert_says(&path, "1 off the axis →|up to λ = 12000|2 spikes|0 spikes");
    let csv = folder.path().join("esd.csv");
    plot::esd("w", &panels, &csv).unwrap();
    let bins = rows(&csv);
    // The bulk ends at (1 + 1/√2)² = 2.9; its bins are a good third of all of them.
    let bulk = bins
        .iter()
        .filter(|r| &r[0] == "before" && r[2].parse::<f64>().unwrap() < 2.9);
    let all = bins.iter().filter(|r| &r[0] == "before").count();
    assert!(bulk.count() * 3 >= all);
}

#[test]
fn many_layers_and_epochs_stay_legible() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..40)
        .map(|i| format!("model.encoder.layers.{i}.attention.query.projection.weight"))
        .collect();
    let template = record("x", 0, Stamp { epoch: 0, step: 0 });
    let mut run = Trajectory::default();
    for epoch in 0..=200 {
        for (id, name) in names.iter().enumerate() {
            let mut record = template.clone();
            record.layer.clone_from(name);
            record.layer_id = id;
            record.stamp = Stamp { epoch, step: 0 };
            let values = record.values_mut().unwrap();
            values.phase = Some(Phase::ALL[(epoch / 34 + id / 20) % 6]);
            values.primary.alpha = Some(2.0 + id as f64 / (1.0 + epoch as f64 / 20.0));
            push(&mut run, record);
        }
    }
    let written = plot::all(&run, None, folder.path()).unwrap();
    // No summaries: no alpha-hat.
    assert_eq!(written.len(), 6);
    let alpha = texts(&folder.path().join("alpha.svg"));
    assert!(alpha.len() < 70, "{} texts", alpha.len());
    assert!(
        alpha.iter().any(|t| t == "21 of 40 layers named"),
        "{alpha:#?}"
    );
    assert!(alpha.iter().any(|t| t.starts_with("α above ")));
    let phases = texts(&folder.path().join("phases.svg"));
    assert!(phases.iter().filter(|t| t.starts_with('…')).count() == 40);
    let epochs = phases.iter().filter(|t| t.parse::<usize>().is_ok()).count();
    assert!((5..=21).contains(&epochs), "{epochs} epoch labels");
}

#[test]
fn what_cannot_be_drawn_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("figure.svg");
    let empty = Trajectory::default();
    let zero = [("epoch 0".to_owned(), spectrum(vec![0.0; 20], 40, 20))];
    for result in [
        plot::alpha(&empty, &path),
        plot::alpha_hat(&empty, &path),
        plot::phase_timeline(&empty, &path),
        plot::phase_grid("run", &[], &path),
        plot::esd("fc", &[], &path),
        plot::esd_loglog("fc", &[], &path),
        plot::esd("fc", &zero, &path),
        plot::esd_loglog("fc", &zero, &path),
        plot::all(&empty, None, folder.path().join("none")).map(drop),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Plot { .. }));
        assert!(error.to_string().contains("nothing to draw: "), "{error}");
    }
    assert!(!path.exists());

    let mut run = Trajectory::default();
    push(&mut run, record("fc", 0, Stamp { epoch: 0, step: 0 }));
    for name in ["figure.pdf", "figure", "svg"] {
        let error = plot::alpha(&run, folder.path().join(name)).unwrap_err();
        assert!(matches!(error, Error::Plot { .. }), "{error}");
    }
    for name in ["gone/figure.svg", "gone/figure.png", "gone/figure.csv"] {
        assert!(plot::alpha(&run, folder.path().join(name)).is_err());
    }
    assert!(plot::all(&run, Some(&folder.path().join("gone")), folder.path()).is_err());
}

#[test]
fn degenerate_series_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let draw = |run: &Trajectory| {
        let path = folder.path().join("figure.svg");
        plot::alpha(run, &path).unwrap();
        assert!(texts(&path).len() > 3);
        plot::phase_timeline(run, &path).unwrap();
        assert!(texts(&path).len() > 3);
        if let Err(error) = plot::alpha_hat(run, &path) {
            assert!(error.to_string().contains("nothing to draw"), "{error}");
        }
    };
    let stamp = |epoch, step| Stamp { epoch, step };

    // One observation.
    let mut run = Trajectory::default();
    push(&mut run, record("fc", 0, stamp(7, 0)));
    draw(&run);

    // Constant, NaN, infinite and enormous numbers; several steps in an epoch; a failed layer.
    for (i, value) in [f64::NAN, f64::INFINITY, -1e308, 1e308, 1e-320, 3.0, 3.0]
        .into_iter()
        .enumerate()
    {
        let mut odd = record("odd\u{0}\u{FFFF}\n layer", 1, stamp(i / 2, 5 * i as u64));
        let values = odd.values_mut().unwrap();
        values.primary.alpha = Some(value);
        values.primary.sigma = Some(value);
        let mut summary = Summary::new("", odd.stamp, std::slice::from_ref(&odd), 0.0);
        summary.alpha_weighted = Some(value);
        summary.alpha_hat_paper = Some(0.5);
        run.push(Line::Summary(Box::new(summary)));
        push(&mut run, odd);
        for name in ["loss", "accuracy"] {
            push_scalar(&mut run, i, name, value);
            let long = format!("{name} {}", "of a very long name ".repeat(300));
            push_scalar(&mut run, i, &long, 0.0);
        }
        let shape = LayerShape {
            name: String::new(),
            shape: vec![],
        };
        let failed = Record::failed("", stamp(i, 0), 2, shape, "empty".to_owned());
        push(&mut run, failed);
        draw(&run);
    }
    // The other formats hold as well.
    plot::all(&run, None, folder.path()).unwrap();
}

#[test]
fn degenerate_spectra_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let mut low_rank = vec![0.0; 90];
    low_rank.extend((1..=30).map(|i| f64::from(i) / 10.0));
    let mut tiny = vec![1e-300; 19];
    tiny.push(1e300);
    let cases = [
        ("low rank", low_rank, 300, 120),
        ("all zero", vec![0.0; 20], 40, 20),
        ("one", vec![2.0], 10, 1),
        ("three", vec![0.1, 0.5, 0.9], 30, 3),
        ("all equal", vec![2.0; 50], 100, 50),
        ("subnormal", vec![1e-310; 50], 100, 50),
        ("far apart", tiny, 100, 20),
        (
            "small",
            (1..=50).map(|i| 1e-12 * f64::from(i)).collect(),
            100,
            50,
        ),
        ("one spike", [vec![1.0; 49], vec![1e9]].concat(), 100, 50),
    ]
    .map(|(name, eigenvalues, n, m)| (name.to_owned(), spectrum(eigenvalues, n, m)));
    let path = folder.path().join("a.svg");
    for i in 0..cases.len() {
        for part in [&cases[i..=i], &cases[..=i]] {
            for result in [
                plot::esd("w", part, &path),
                plot::esd_loglog("w", part, &path),
            ] {
                match result {
                    Ok(()) => assert!(texts(&path).len() > 3),
                    Err(error) => assert!(error.to_string().contains("nothing to draw"), "{error}"),
                }
            }
        }
    }
    for name in ["a.png", "a.csv"] {
        plot::esd("w", &cases, folder.path().join(name)).unwrap();
        plot::esd_loglog("w", &cases, folder.path().join(name)).unwrap();
    }
}
