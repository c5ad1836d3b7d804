//! Draws the figures and the table of an experiment from its merged results.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use heavytail::{
    Phase,
    plot::{self, Chart, ChartAxis, ChartPanel, Curve, CurveColor, PhaseCell},
    rank_correlation::{Correlation, kendall},
    spectrum::Spectrum,
    sweep::read_results,
};

use crate::support::sweep::{LayerResult, Model, Row};

/// The layer of the papers' figures, which both networks have.
pub const LAYER: &str = "fc1.weight";
/// The smallest M of a layer in the figures. Smaller matrices give little information about tails.
const SMALLEST: usize = 50;

/// The setting that an experiment varies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum VariedSetting {
    BatchSize,
    LearningRate,
    WeightDecay,
}

impl VariedSetting {
    pub fn new(rows: &[Row]) -> Self {
        let varies = |get: fn(&Row) -> f64| rows.iter().any(|r| get(r) != get(&rows[0]));
        if varies(|r| r.run.lr) {
            VariedSetting::LearningRate
        } else if varies(|r| r.run.weight_decay) {
            VariedSetting::WeightDecay
        } else {
            VariedSetting::BatchSize
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            VariedSetting::BatchSize => "batch size",
            VariedSetting::LearningRate => "learning rate",
            VariedSetting::WeightDecay => "weight decay",
        }
    }

    fn value(self, row: &Row) -> f64 {
        match self {
            VariedSetting::BatchSize => row.run.batch_size as f64,
            VariedSetting::LearningRate => row.run.lr,
            VariedSetting::WeightDecay => row.run.weight_decay,
        }
    }
}

/// The runs with one value of the varied setting, by seed.
pub struct Setting<'a> {
    pub value: f64,
    pub runs: Vec<&'a Row>,
}

/// The results of one plan.
pub struct Experiment {
    pub rows: Vec<Row>,
    pub varied: VariedSetting,
}

impl Experiment {
    pub fn read(folder: &Path) -> Result<Self> {
        let file = folder.join("results.jsonl");
        let rows: Vec<Row> = read_results(&file)?;
        ensure!(!rows.is_empty(), "{}: no results", file.display());
        let knobs = [
            VariedSetting::BatchSize,
            VariedSetting::LearningRate,
            VariedSetting::WeightDecay,
        ];
        let turned = |k: &&VariedSetting| rows.iter().any(|r| k.value(r) != k.value(&rows[0]));
        let models = rows.iter().any(|r| r.run.model != rows[0].run.model);
        ensure!(
            !models && knobs.iter().filter(turned).count() < 2,
            "{}: the runs differ in more than one of network, batch size, learning rate and weight decay; draw them apart",
            file.display()
        );
        Ok(Self {
            varied: VariedSetting::new(&rows),
            rows,
        })
    }

    /// The settings in their order in the figures: batch sizes in descending order, other settings
    /// in ascending order.
    pub fn settings(&self) -> Vec<Setting<'_>> {
        let mut by_value: BTreeMap<u64, Setting<'_>> = BTreeMap::new();
        for row in &self.rows {
            let value = self.varied.value(row);
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
        if self.varied == VariedSetting::BatchSize {
            settings.reverse();
        }
        for setting in &mut settings {
            setting.runs.sort_by_key(|r| r.run.seed);
        }
        settings
    }

    /// The position of a setting on a logarithmic axis.
    fn place(&self, setting: &Setting<'_>) -> f64 {
        let least = self.rows.iter().map(|r| self.varied.value(r));
        let least = least.filter(|v| *v > 0.0).fold(f64::INFINITY, f64::min);
        // The logarithm of a weight decay of 0 does not exist. It is drawn half a decade before the
        // smallest other value.
        if setting.value > 0.0 {
            setting.value
        } else {
            least / 3.0
        }
    }

    fn axis(&self) -> ChartAxis {
        let zero = self.rows.iter().any(|r| self.varied.value(r) == 0.0);
        let note = if zero { " (leftmost: none)" } else { "" };
        ChartAxis::log(format!("{}{note}", self.varied.name()))
    }

    /// A description of the runs: network, images, fixed settings, epochs and number of seeds.
    pub fn what(&self) -> String {
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
        let model = self.model();
        let fixed = match self.varied {
            VariedSetting::BatchSize => format!("lr {}", run.lr),
            VariedSetting::LearningRate => format!("batch size {}", run.batch_size),
            VariedSetting::WeightDecay => format!("lr {}, batch size {}", run.lr, run.batch_size),
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

    /// Pairs of the varied setting and a number of a run, for all runs.
    pub fn ends(&self, get: impl Fn(&Row) -> Option<f64>) -> Vec<(f64, f64)> {
        let pair = |row: &Row| Some((self.varied.value(row), get(row)?));
        self.rows.iter().filter_map(pair).collect()
    }

    /// Draws all figures into the folder and writes the table. Returns the paths.
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
        std::fs::write(&table, crate::table::table(self))
            .with_context(|| table.display().to_string())?;
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
        let title = format!("{}: phase by {}", self.model(), self.varied.name());
        plot::phase_table(&title, self.varied.name(), &layers, &rows, path)?;
        Ok(())
    }

    pub fn model(&self) -> &str {
        match self.rows[0].run.model {
            Model::MiniAlexnet => "MiniAlexNet",
            Model::Lenet5 => "LeNet5",
        }
    }

    fn esd(&self, path: &Path) -> Result<()> {
        let spectra = self
            .settings()
            .iter()
            .filter_map(|setting| {
                let layer = setting.runs.first()?.result.layer(LAYER)?;
                let phase = cell(layer).phase.map_or("no phase", Phase::title);
                let label = format!("{} {}: {phase}", self.varied.name(), setting.value);
                Some(spectrum(layer).map(|s| (label, s)))
            })
            .collect::<Result<Vec<_>>>()?;
        let layer = format!("{LAYER} of {}, first seed", self.model());
        plot::esd(&layer, &spectra, path)?;
        Ok(())
    }

    /// A chart of α, stable rank and soft rank by setting, at the end of training.
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
        let panels = numbers
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
                        band(&layer.name, CurveColor::Category(i), points.collect())
                    })
                    .collect();
                ChartPanel {
                    title: name.to_owned(),
                    x: self.axis(),
                    y: ChartAxis::log(""),
                    curves,
                }
            })
            .collect();
        Chart {
            title: format!("By {}, at the end of training", self.varied.name()),
            note: format!(
                "{}.\nLine: mean over the seeds; band: from the least to the greatest.",
                self.what()
            ),
            panels,
        }
    }

    /// A chart of accuracy by setting, and of α̂ against accuracy in both conventions.
    fn accuracy(&self) -> Chart {
        let settings = self.settings();
        let count = settings.len().max(2) - 1;
        let scatter = |get: fn(&Row) -> Option<f64>| -> (Vec<Curve>, Option<Correlation>) {
            let pair = |r: &&Row| Some((get(r)?, r.result.accuracy()?));
            let curves = settings.iter().enumerate().map(|(i, s)| Curve {
                name: format!("{} {}", self.varied.name(), s.value),
                color: CurveColor::Sequence(i as f64 / count as f64),
                points: s.runs.iter().filter_map(pair).collect(),
                band: Vec::new(),
                line: false,
            });
            let all: Vec<(f64, f64)> = self.rows.iter().filter_map(|r| pair(&r)).collect();
            (curves.collect(), kendall(&all))
        };
        let weighted = scatter(|r| r.result.alpha_weighted.last().copied().flatten());
        let paper = scatter(|r| r.result.alpha_hat_paper.last().copied().flatten());
        let panel = |title: &str, x: &str, (curves, tau): (Vec<Curve>, Option<Correlation>)| {
            let tau = tau.map_or("τ: none".to_owned(), |t| {
                format!("τ = {:.2}, n = {}", t.value, t.n)
            });
            ChartPanel {
                title: format!("{title}: {tau}"),
                x: ChartAxis::linear(x),
                y: ChartAxis::linear("validation accuracy, %"),
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
            panels: vec![
                ChartPanel {
                    title: "accuracy".to_owned(),
                    x: self.axis(),
                    y: ChartAxis::linear("validation accuracy, %"),
                    curves: vec![band("", CurveColor::Category(0), points.collect())],
                },
                panel("α̂", "WeightWatcher: mean α·log₁₀ λmax", weighted),
                panel("α̂", "workshop paper: mean α·ln λmax, X", paper),
            ],
        }
    }

    /// A chart of α and soft rank over the epochs.
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
                    // Runs of different lengths share one axis, the share of the training.
                    let whole = row.run.epochs as f64;
                    let points = epochs
                        .zip(series)
                        .map(|(&e, v)| (e as f64 / whole, v.unwrap_or(f64::NAN)));
                    Some(Curve {
                        name: format!("{} {value}", self.varied.name()),
                        color: CurveColor::Sequence(i as f64 / count as f64),
                        points: points.collect(),
                        band: Vec::new(),
                        line: true,
                    })
                })
                .collect()
        };
        let panel = |title: &str, y: ChartAxis, get: Series| ChartPanel {
            title: title.to_owned(),
            x: ChartAxis::linear("share of the training"),
            y,
            curves: curves(get),
        };
        Chart {
            title: format!("{LAYER} while it learns"),
            note: format!("{}. One line a seed.", self.what()),
            panels: vec![
                panel("α", ChartAxis::log("α"), |l| &l.alpha),
                panel("soft rank λ₊/λmax", ChartAxis::log("soft rank"), |l| {
                    &l.mp_softrank
                }),
            ],
        }
    }
}

/// The last value of a series.
pub fn last<T: Copy>(values: &[Option<T>]) -> Option<T> {
    values.last().copied().flatten()
}

/// The smallest and the largest value.
pub fn extent(values: &[f64]) -> (f64, f64) {
    let lo = values.iter().copied().fold(f64::INFINITY, f64::min);
    (lo, values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

/// A curve of the mean, with a band from the smallest to the largest value.
pub fn band(name: &str, color: CurveColor, points: Vec<(f64, Vec<f64>)>) -> Curve {
    let points: Vec<(f64, Vec<f64>)> = points.into_iter().filter(|(_, v)| !v.is_empty()).collect();
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    Curve {
        name: name.to_owned(),
        color,
        points: points.iter().map(|(x, v)| (*x, mean(v))).collect(),
        band: points
            .iter()
            .map(|(x, v)| (*x, extent(v).0, extent(v).1))
            .collect(),
        line: true,
    }
}

/// The last verdict of a layer, for a phase table.
pub fn cell(layer: &LayerResult) -> PhaseCell {
    PhaseCell {
        phase: last(&layer.phase),
        confidence: last(&layer.phase_confidence),
        indeterminate: layer.indeterminate.last().copied().unwrap_or(true),
        alpha: last(&layer.alpha),
    }
}

/// The spectrum of a layer at the end of training.
pub fn spectrum(layer: &LayerResult) -> Result<Spectrum> {
    Spectrum::from_eigenvalues(layer.spectrum.clone(), layer.n, layer.m)
        .with_context(|| layer.name.clone())
}
