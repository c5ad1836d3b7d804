//! Figures and a table of an experiment, from its merged results alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use heavytail::{
    Phase,
    correlation::{Correlation, kendall, spearman},
    plot::{self, Chart, Curve, Hue, PhaseCell, Plane, Scale},
    spectrum::Spectrum,
    sweep::read_results,
};

use crate::support::sweep::{LayerResult, Row};

/// The layer of the papers' figures, in both networks.
const LAYER: &str = "fc1.weight";
/// Smaller matrices say little about tails.
const SMALLEST: usize = 50;

/// What an experiment varies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Knob {
    BatchSize,
    LearningRate,
    WeightDecay,
}

impl Knob {
    pub fn of(rows: &[Row]) -> Self {
        let varies = |get: fn(&Row) -> f64| rows.iter().any(|r| get(r) != get(&rows[0]));
        if varies(|r| r.run.lr) {
            Knob::LearningRate
        } else if varies(|r| r.run.weight_decay) {
            Knob::WeightDecay
        } else {
            Knob::BatchSize
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Knob::BatchSize => "batch size",
            Knob::LearningRate => "learning rate",
            Knob::WeightDecay => "weight decay",
        }
    }

    fn value(self, row: &Row) -> f64 {
        match self {
            Knob::BatchSize => row.run.batch_size as f64,
            Knob::LearningRate => row.run.lr,
            Knob::WeightDecay => row.run.weight_decay,
        }
    }
}

/// The runs of one setting, by seed.
pub struct Setting<'a> {
    pub value: f64,
    pub runs: Vec<&'a Row>,
}

/// The results of one plan.
pub struct Experiment {
    pub name: String,
    pub rows: Vec<Row>,
    pub knob: Knob,
}

impl Experiment {
    pub fn read(folder: &Path) -> Result<Self> {
        let file = folder.join("results.jsonl");
        let rows: Vec<Row> = read_results(&file)?;
        ensure!(!rows.is_empty(), "{}: no results", file.display());
        let name = folder.file_name().map(|n| n.to_string_lossy().into_owned());
        Ok(Self {
            name: name.unwrap_or_default(),
            knob: Knob::of(&rows),
            rows,
        })
    }

    /// From the calmest setting to the wildest: large batches first, else small values.
    pub fn settings(&self) -> Vec<Setting<'_>> {
        let mut by_value: BTreeMap<u64, Setting<'_>> = BTreeMap::new();
        for row in &self.rows {
            let value = self.knob.value(row);
            let runs = &mut by_value
                .entry(value.to_bits())
                .or_insert(Setting {
                    value,
                    runs: Vec::new(),
                })
                .runs;
            runs.push(row);
        }
        let mut settings: Vec<Setting<'_>> = by_value.into_values().collect();
        if self.knob == Knob::BatchSize {
            settings.reverse();
        }
        for setting in &mut settings {
            setting.runs.sort_by_key(|r| r.run.seed);
        }
        settings
    }

    /// A setting's place on an axis that may be logarithmic.
    fn place(&self, setting: &Setting<'_>) -> f64 {
        let least = self.rows.iter().map(|r| self.knob.value(r));
        let least = least.filter(|v| *v > 0.0).fold(f64::INFINITY, f64::min);
        // No weight decay at all has no logarithm; it stands half a decade before the others.
        if setting.value > 0.0 {
            setting.value
        } else {
            least / 3.0
        }
    }

    fn axis(&self) -> Scale {
        let zero = self.rows.iter().any(|r| self.knob.value(r) == 0.0);
        let note = if zero { " (leftmost: none)" } else { "" };
        Scale::log(format!("{}{note}", self.knob.name()))
    }

    fn what(&self) -> String {
        let run = &self.rows[0].run;
        let mut seeds: Vec<u64> = self.rows.iter().map(|r| r.run.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        let mut epochs: Vec<usize> = self.rows.iter().map(|r| r.run.epochs).collect();
        epochs.sort_unstable();
        let epochs = match (epochs.first(), epochs.last()) {
            (Some(a), Some(b)) if a < b => format!("{a} to {b} epochs"),
            _ => format!("{} epochs", run.epochs),
        };
        let model = format!("{:?}", run.model).replace("Lenet5", "LeNet5");
        let model = model.replace("MiniAlexnet", "MiniAlexNet");
        let fixed = match self.knob {
            Knob::BatchSize => format!("lr {}", run.lr),
            Knob::LearningRate => format!("batch size {}", run.batch_size),
            Knob::WeightDecay => format!("lr {}, batch size {}", run.lr, run.batch_size),
        };
        format!(
            "{model}, {}, {fixed}, {epochs}, {} seeds",
            self.rows[0].result.images,
            seeds.len()
        )
    }

    fn layers(&self) -> Vec<String> {
        let layers = &self.rows[0].result.layers;
        layers.iter().map(|l| l.name.clone()).collect()
    }

    /// Pairs of a setting and a number of the layer at the end, all seeds.
    fn ends(&self, get: impl Fn(&Row) -> Option<f64>) -> Vec<(f64, f64)> {
        let pair = |row: &Row| Some((self.knob.value(row), get(row)?));
        self.rows.iter().filter_map(pair).collect()
    }

    /// Draw everything into the folder, and tabulate.
    pub fn draw(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let mut written = Vec::new();
        let mut path = |name: &str| {
            written.push(folder.join(name));
            folder.join(name)
        };
        self.phases(&path("phases.svg"))?;
        self.esd(&path("esd.svg"))?;
        plot::chart(&self.ranks(), path("ranks.svg"))?;
        plot::chart(&self.accuracy(), path("accuracy.svg"))?;
        plot::chart(&self.epochs(), path("epochs.svg"))?;
        let table = path("table.md");
        std::fs::write(&table, self.table()).with_context(|| table.display().to_string())?;
        Ok(written)
    }

    fn phases(&self, path: &Path) -> Result<()> {
        let layers = self.layers();
        let cell = |row: &Row, layer: &String| row.result.layer(layer).map(cell);
        let rows: Vec<(String, Vec<Vec<PhaseCell>>)> = self
            .settings()
            .iter()
            .map(|setting| {
                let of = |layer| setting.runs.iter().filter_map(|r| cell(r, layer)).collect();
                (setting.value.to_string(), layers.iter().map(of).collect())
            })
            .collect();
        let title = format!("{}: phase by {}", self.model(), self.knob.name());
        plot::phase_table(&title, self.knob.name(), &layers, &rows, path)?;
        Ok(())
    }

    fn model(&self) -> &str {
        if self.name.starts_with("mini") {
            "MiniAlexNet"
        } else {
            "LeNet5"
        }
    }

    fn esd(&self, path: &Path) -> Result<()> {
        let spectra = self
            .settings()
            .iter()
            .filter_map(|setting| {
                let layer = setting.runs.first()?.result.layer(LAYER)?;
                let phase = cell(layer).phase.map_or("no phase", Phase::title);
                let label = format!("{} {}: {phase}", self.knob.name(), setting.value);
                Some(spectrum(layer).map(|s| (label, s)))
            })
            .collect::<Result<Vec<_>>>()?;
        let layer = format!("{LAYER} of {}, first seed", self.model());
        plot::esd(&layer, &spectra, path)?;
        Ok(())
    }

    /// α, stable rank, soft rank by setting.
    fn ranks(&self) -> Chart {
        type Number = (&'static str, fn(&LayerResult) -> Option<f64>);
        let numbers: [Number; 3] = [
            ("α", |l| last(&l.alpha)),
            ("stable rank Σλ/λmax", |l| last(&l.stable_rank)),
            ("soft rank λ₊/λmax", |l| last(&l.mp_softrank)),
        ];
        let settings = self.settings();
        let layers: Vec<&LayerResult> = self.rows[0]
            .result
            .layers
            .iter()
            .filter(|l| l.m >= SMALLEST)
            .collect();
        let planes = numbers
            .into_iter()
            .map(|(name, get)| {
                let curves = layers
                    .iter()
                    .enumerate()
                    .map(|(i, layer)| {
                        let points = settings.iter().map(|s| {
                            let of = |r: &&Row| get(r.result.layer(&layer.name)?);
                            (self.place(s), s.runs.iter().filter_map(of).collect())
                        });
                        band(&layer.name, Hue::Category(i), points.collect())
                    })
                    .collect();
                Plane {
                    title: name.to_owned(),
                    x: self.axis(),
                    y: Scale::log(""),
                    curves,
                }
            })
            .collect();
        Chart {
            title: format!("By {}, at the end of training", self.knob.name()),
            note: format!(
                "{}.\nLine: mean over the seeds; band: from the least to the greatest.",
                self.what()
            ),
            planes,
        }
    }

    /// α̂ against accuracy, in both conventions, and accuracy by setting.
    fn accuracy(&self) -> Chart {
        let settings = self.settings();
        let count = settings.len().max(2) - 1;
        let cloud = |get: fn(&Row) -> Option<f64>| -> (Vec<Curve>, Option<Correlation>) {
            let pair = |r: &&Row| Some((get(r)?, r.result.accuracy()?));
            let curves = settings.iter().enumerate().map(|(i, s)| Curve {
                name: format!("{} {}", self.knob.name(), s.value),
                hue: Hue::Sequence(i as f64 / count as f64),
                points: s.runs.iter().filter_map(pair).collect(),
                band: Vec::new(),
                line: false,
            });
            let all: Vec<(f64, f64)> = self.rows.iter().filter_map(|r| pair(&r)).collect();
            (curves.collect(), kendall(&all))
        };
        let weighted = cloud(|r| r.result.alpha_weighted.last().copied().flatten());
        let paper = cloud(|r| r.result.alpha_hat_paper.last().copied().flatten());
        let plane = |title: &str, x: &str, (curves, tau): (Vec<Curve>, Option<Correlation>)| {
            let tau = tau.map_or("τ: none".to_owned(), |t| {
                format!("τ = {:.2}, n = {}", t.value, t.n)
            });
            Plane {
                title: format!("{title}: {tau}"),
                x: Scale::linear(x),
                y: Scale::linear("validation accuracy, %"),
                curves,
            }
        };
        let points = settings.iter().map(|s| {
            let of = |r: &&Row| r.result.accuracy();
            (self.place(s), s.runs.iter().filter_map(of).collect())
        });
        Chart {
            title: "α̂ against accuracy".to_owned(),
            note: format!("{}. τ: Kendall's.", self.what()),
            planes: vec![
                Plane {
                    title: "accuracy".to_owned(),
                    x: self.axis(),
                    y: Scale::linear("validation accuracy, %"),
                    curves: vec![band("", Hue::Category(0), points.collect())],
                },
                plane("α̂", "WeightWatcher: mean α·log₁₀ λmax", weighted),
                plane("α̂", "workshop paper: mean α·ln λmax, X", paper),
            ],
        }
    }

    /// α and soft rank over the epochs.
    fn epochs(&self) -> Chart {
        let settings = self.settings();
        let count = settings.len().max(2) - 1;
        type Series = fn(&LayerResult) -> &[Option<f64>];
        let curves = |get: Series| -> Vec<Curve> {
            settings
                .iter()
                .enumerate()
                .flat_map(|(i, s)| s.runs.iter().map(move |r| (i, s.value, *r)))
                .filter_map(|(i, value, row)| {
                    let series = get(row.result.layer(LAYER)?);
                    let epochs = row.result.observed.iter();
                    // Runs of unequal length on one axis: the share of the run.
                    let whole = row.run.epochs as f64;
                    let points = epochs
                        .zip(series)
                        .map(|(&e, v)| (e as f64 / whole, v.unwrap_or(f64::NAN)));
                    Some(Curve {
                        name: format!("{} {value}", self.knob.name()),
                        hue: Hue::Sequence(i as f64 / count as f64),
                        points: points.collect(),
                        band: Vec::new(),
                        line: true,
                    })
                })
                .collect()
        };
        let plane = |title: &str, y: Scale, get: Series| Plane {
            title: title.to_owned(),
            x: Scale::linear("share of the training"),
            y,
            curves: curves(get),
        };
        Chart {
            title: format!("{LAYER} while it learns"),
            note: format!("{}. One line a seed.", self.what()),
            planes: vec![
                plane("α", Scale::log("α"), |l| &l.alpha),
                plane("soft rank λ₊/λmax", Scale::log("soft rank"), |l| {
                    &l.mp_softrank
                }),
            ],
        }
    }

    /// The layer of the papers, setting by setting.
    fn table(&self) -> String {
        let mut text = format!("{}\n\n", self.what());
        let _ = writeln!(
            text,
            "| {} | phase of fc1, seed by seed | spikes | soft rank | stable rank | α | accuracy, % |\n|---|---|---|---|---|---|---|",
            self.knob.name()
        );
        for setting in self.settings() {
            let layers = || setting.runs.iter().filter_map(|r| r.result.layer(LAYER));
            let phases: Vec<String> = layers()
                .map(|l| {
                    let cell = cell(l);
                    let name = cell.phase.map_or("none", Phase::title);
                    let mark = if cell.indeterminate { "?" } else { "" };
                    format!("{name}{mark}")
                })
                .collect();
            let range = |digits: usize, values: Vec<f64>| {
                let (lo, hi) = extent(&values);
                if values.is_empty() {
                    "–".to_owned()
                } else if format!("{lo:.digits$}") == format!("{hi:.digits$}") {
                    format!("{lo:.digits$}")
                } else {
                    format!("{lo:.digits$}–{hi:.digits$}")
                }
            };
            let accuracy = setting.runs.iter().filter_map(|r| r.result.accuracy());
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} |",
                setting.value,
                together(&phases),
                range(
                    0,
                    layers()
                        .filter_map(|l| last(&l.num_spikes))
                        .map(|k| k as f64)
                        .collect()
                ),
                range(3, layers().filter_map(|l| last(&l.mp_softrank)).collect()),
                range(1, layers().filter_map(|l| last(&l.stable_rank)).collect()),
                range(2, layers().filter_map(|l| last(&l.alpha)).collect()),
                range(1, accuracy.collect()),
            );
        }
        let of = |get: fn(&LayerResult) -> Option<f64>| {
            spearman(&self.ends(|r| get(r.result.layer(LAYER)?)))
        };
        let words = |name: &str, c: Option<Correlation>| {
            c.map_or(format!("{name}: none"), |c| {
                format!("{name} {:.3} (n = {}, p = {:.4})", c.value, c.n, c.p)
            })
        };
        let order = spearman(&self.ends(|r| Some(place_of(cell(r.result.layer(LAYER)?).phase?))));
        let _ = writeln!(
            text,
            "\nSpearman's ρ with the {}, over all runs: {}, {}, {}, {}.",
            self.knob.name(),
            words("soft rank", of(|l| last(&l.mp_softrank))),
            words("stable rank", of(|l| last(&l.stable_rank))),
            words("α", of(|l| last(&l.alpha))),
            words("phase (R = 0 to C = 5)", order),
        );
        text
    }
}

/// `2 × A, B` for `A, A, B`.
fn together(words: &[String]) -> String {
    let mut counts: Vec<(&String, usize)> = Vec::new();
    for word in words {
        match counts.iter_mut().find(|(w, _)| *w == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word, 1)),
        }
    }
    let parts: Vec<String> = counts
        .into_iter()
        .map(|(word, count)| {
            if count == 1 {
                word.clone()
            } else {
                format!("{count} × {word}")
            }
        })
        .collect();
    parts.join(", ")
}

fn place_of(phase: Phase) -> f64 {
    Phase::ALL.iter().position(|p| *p == phase).unwrap_or(0) as f64
}

fn last<T: Copy>(values: &[Option<T>]) -> Option<T> {
    values.last().copied().flatten()
}

fn extent(values: &[f64]) -> (f64, f64) {
    let lo = values.iter().copied().fold(f64::INFINITY, f64::min);
    (lo, values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

fn band(name: &str, hue: Hue, points: Vec<(f64, Vec<f64>)>) -> Curve {
    let points: Vec<(f64, Vec<f64>)> = points.into_iter().filter(|(_, v)| !v.is_empty()).collect();
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    Curve {
        name: name.to_owned(),
        hue,
        points: points.iter().map(|(x, v)| (*x, mean(v))).collect(),
        band: points
            .iter()
            .map(|(x, v)| (*x, extent(v).0, extent(v).1))
            .collect(),
        line: true,
    }
}

fn cell(layer: &LayerResult) -> PhaseCell {
    PhaseCell {
        phase: last(&layer.phase),
        confidence: last(&layer.phase_confidence),
        indeterminate: layer.indeterminate.last().copied().unwrap_or(true),
        alpha: last(&layer.alpha),
    }
}

fn spectrum(layer: &LayerResult) -> Result<Spectrum> {
    Spectrum::from_eigenvalues(layer.spectrum.clone(), layer.n, layer.m)
        .with_context(|| layer.name.clone())
}

/// Soft rank and phase against lr/batch, for experiments that turn different knobs.
pub fn noise_scale(experiments: &[&Experiment], path: &Path) -> Result<()> {
    let scale = |row: &Row| row.run.lr / row.run.batch_size as f64;
    let end = |row: &Row| -> Option<(f64, f64, Phase)> {
        let layer = row.result.layer(LAYER)?;
        Some((scale(row), last(&layer.mp_softrank)?, last(&layer.phase)?))
    };
    let by_knob = experiments.iter().enumerate().map(|(i, e)| {
        let mut at: BTreeMap<u64, (f64, Vec<f64>)> = BTreeMap::new();
        for (x, y, _) in e.rows.iter().filter_map(end) {
            at.entry(x.to_bits()).or_insert((x, Vec::new())).1.push(y);
        }
        let name = format!("{} varied", e.knob.name());
        band(&name, Hue::Category(i), at.into_values().collect())
    });
    let rows = || experiments.iter().flat_map(|e| &e.rows).filter_map(end);
    let by_phase = Phase::ALL.into_iter().filter_map(|phase| {
        let points: Vec<(f64, f64)> = rows()
            .filter(|r| r.2 == phase)
            .map(|(x, y, _)| (x, y))
            .collect();
        (!points.is_empty()).then(|| Curve {
            name: phase.title().to_owned(),
            hue: Hue::Phase(phase),
            points,
            band: Vec::new(),
            line: false,
        })
    });
    let plane = |title: &str, curves: Vec<Curve>| Plane {
        title: title.to_owned(),
        x: Scale::log("learning rate / batch size"),
        y: Scale::log("soft rank λ₊/λmax"),
        curves,
    };
    let chart = Chart {
        title: format!("Is lr/batch all that matters? {LAYER} at the end"),
        note: "Left: mean over the seeds, band from the least to the greatest. Right: each run in its phase."
            .to_owned(),
        planes: vec![
            plane("two knobs", by_knob.collect()),
            plane("phases", by_phase.collect()),
        ],
    };
    plot::chart(&chart, path)?;
    Ok(())
}

/// The surest example of each phase of one layer of one network, each with its spectrum.
pub fn gallery(experiments: &[Experiment], path: &Path) -> Result<()> {
    let model = "LeNet5";
    let mut spectra = Vec::new();
    for phase in Phase::ALL {
        let ours = experiments.iter().filter(|e| e.model() == model);
        let surest = ours
            .flat_map(|e| e.rows.iter().map(move |r| (e, r)))
            .filter_map(|(e, r)| Some((e, r, r.result.layer(LAYER)?)))
            .filter(|(_, _, l)| last(&l.phase) == Some(phase))
            .filter(|(_, _, l)| !l.indeterminate.last().copied().unwrap_or(true))
            .max_by(|(_, _, a), (_, _, b)| {
                let sure = |l: &LayerResult| last(&l.phase_confidence).unwrap_or(0.0);
                sure(a).total_cmp(&sure(b))
            });
        let Some((experiment, row, layer)) = surest else {
            continue;
        };
        let knob = match experiment.knob {
            Knob::BatchSize => format!("batch size {}", row.run.batch_size),
            Knob::LearningRate => format!("lr {}", row.run.lr),
            Knob::WeightDecay => format!("weight decay {}", row.run.weight_decay),
        };
        spectra.push((format!("{}: {knob}", phase.title()), spectrum(layer)?));
    }
    let title = format!("The phases, in {LAYER} of {model} as it was trained here");
    plot::esd_gallery(&title, &spectra, path)?;
    Ok(())
}
