//! The command `heavytail plot`, which draws the spectra and exponents of checkpoints.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use heavytail::plot::{self, Chart, ChartAxis, ChartPanel, Curve, CurveColor, PhaseCell};
use heavytail::spectrum::Spectrum;
use heavytail::{FileNames, Phase, Record};

use crate::exit::Exit;
use crate::output::write;
use crate::survey_args::SurveyArgs;

#[derive(Args)]
pub struct Options {
    /// Files (safetensors, PyTorch, burn, NumPy), indices of sharded models, or folders
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    args: SurveyArgs,
    /// Folder for the figures
    #[arg(short, long)]
    output: PathBuf,
    /// Draw PNG instead of SVG
    #[arg(long)]
    png: bool,
}

pub fn run(options: &Options) -> Result<Exit> {
    let extension = if options.png { "png" } else { "svg" };
    let folder = &options.output;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let models = model_names(&options.files);
    let stems = FileNames::default().stems("", models.iter().map(String::as_str));
    let mut names = FileNames::default();
    let mut paths = |prefix: &str, of: &[&str]| -> Vec<PathBuf> {
        let stems = names.stems(prefix, of.iter().copied()).into_iter();
        let file = |stem| folder.join(format!("{stem}.{extension}"));
        stems.map(file).collect()
    };
    let of_all = paths("", &["exponents"]);
    let mut failed = false;
    let mut all: Vec<(String, Vec<Record>)> = Vec::new();
    for ((file, model), stem) in options.files.iter().zip(models).zip(stems) {
        let (_, survey) = options.args.survey(file)?;
        failed |= survey.rows.iter().any(|r| r.is_failed());
        let rows: Vec<&Record> = survey.rows.iter().filter(|r| r.is_success()).collect();
        ensure!(
            !rows.is_empty(),
            "{}: no layer could be analysed",
            file.display()
        );
        let of_model = paths(&format!("{stem}-"), &["alpha", "phases"]);
        let mut written = Vec::new();
        if rows.iter().any(|r| r.alpha().is_some()) {
            plot::chart(&exponents(&model, &rows), &of_model[0])?;
            written.push(of_model[0].clone());
        }
        phases(&model, &rows, &of_model[1])?;
        written.push(of_model[1].clone());
        // A layer of zeros has no spectrum to draw.
        let drawn = |s: &&Spectrum| s.lambda_max() > 0.0;
        let spectra = survey.rows.iter().zip(&survey.spectra);
        let spectra: Vec<(&Record, &Spectrum)> = spectra
            .filter_map(|(row, spectrum)| Some((row, spectrum.as_ref().filter(drawn)?)))
            .collect();
        let layers: Vec<&str> = spectra.iter().map(|(row, _)| row.layer.as_str()).collect();
        let linear = paths(&format!("{stem}-esd-"), &layers);
        let log_log = paths(&format!("{stem}-esd-loglog-"), &layers);
        for ((row, spectrum), (linear, log_log)) in spectra.iter().zip(linear.iter().zip(&log_log))
        {
            let one = [(label(row), (*spectrum).clone())];
            plot::esd(&row.layer, &one, linear)?;
            plot::esd_loglog(&row.layer, &one, log_log)?;
            written.extend([linear.clone(), log_log.clone()]);
        }
        print_paths(&written)?;
        let rows = survey.rows.into_iter().filter(|r| r.is_success());
        all.push((model, rows.collect()));
    }
    if all
        .iter()
        .any(|(_, rows)| rows.iter().any(|r| r.alpha().is_some()))
    {
        plot::chart(&all_exponents(&all), &of_all[0])?;
        print_paths(&of_all)?;
    }
    Ok(if failed {
        Exit::FailedLayers
    } else {
        Exit::Success
    })
}

fn print_paths(paths: &[PathBuf]) -> Result<()> {
    let lines: String = paths.iter().map(|p| format!("{}\n", p.display())).collect();
    write(&lines, None)
}

/// The name of each model: its file name without the extension of a weight file. A name that occurs
/// again gets a number.
fn model_names(files: &[PathBuf]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for file in files {
        let name = model_name(file);
        let numbered = (2..).map(|i| format!("{name}-{i}"));
        let free = |name: &String| !names.contains(name);
        let name = std::iter::once(name.clone()).chain(numbered).find(free);
        names.extend(name);
    }
    names
}

fn model_name(file: &Path) -> String {
    const ENDINGS: [&str; 7] = ["safetensors", "pt", "pth", "th", "bin", "bpk", "npy"];
    let ending = file
        .extension()
        .is_some_and(|e| ENDINGS.iter().any(|known| e == *known));
    let name = if ending {
        file.file_stem()
    } else {
        file.file_name()
    };
    name.map_or_else(|| "model".to_owned(), |n| n.to_string_lossy().into_owned())
}

fn label(row: &Record) -> String {
    row.phase().map_or("no phase", Phase::title).to_owned()
}

/// A chart of α for each layer by depth, with the range of α for pure noise.
fn exponents(model: &str, rows: &[&Record]) -> Chart {
    let number = |get: fn(&heavytail::record::Values) -> Option<f64>| -> Vec<(f64, f64)> {
        let points = rows.iter().enumerate();
        points
            .map(|(i, r)| (i as f64, r.values().and_then(get).unwrap_or(f64::NAN)))
            .collect()
    };
    let (low, high) = (
        number(|v| v.noise_alpha_low),
        number(|v| v.noise_alpha_high),
    );
    let noise = low
        .iter()
        .zip(&high)
        .filter(|((_, l), (_, h))| l.is_finite() && h.is_finite());
    Chart {
        title: format!("α of each layer of {model}"),
        note: "Layers in the order of the file. The band is 5–95 % of what pure noise of the layer's shape has."
            .to_owned(),
        panels: vec![ChartPanel {
            title: String::new(),
            x: ChartAxis::linear("layer"),
            y: ChartAxis::log("α"),
            curves: vec![
                Curve {
                    name: "α of noise of this shape".to_owned(),
                    color: CurveColor::Category(4),
                    points: number(|v| v.noise_alpha),
                    band: noise.map(|((x, l), (_, h))| (*x, *l, *h)).collect(),
                    line: true,
                },
                Curve {
                    name: "α".to_owned(),
                    color: CurveColor::Category(0),
                    points: number(|v| v.primary.alpha),
                    band: Vec::new(),
                    line: true,
                },
            ],
        }],
    }
}

/// A chart of the exponents of all layers of all models. It shows the distribution of α, and the
/// logarithmic stable rank against α (eq. 6 of the papers).
fn all_exponents(models: &[(String, Vec<Record>)]) -> Chart {
    let curves = |points: fn(&[Record]) -> Vec<(f64, f64)>, line| {
        let curve = move |(i, (name, rows)): (usize, &(String, Vec<Record>))| Curve {
            name: name.clone(),
            color: CurveColor::Category(i),
            points: points(rows),
            band: Vec::new(),
            line,
        };
        models.iter().enumerate().map(curve).collect()
    };
    let share = |rows: &[Record]| {
        let mut alphas: Vec<f64> = rows.iter().filter_map(Record::alpha).collect();
        alphas.sort_by(f64::total_cmp);
        let count = alphas.len() as f64;
        let point = |(i, a): (usize, f64)| (a, (i + 1) as f64 / count);
        alphas.into_iter().enumerate().map(point).collect()
    };
    let ranks = |rows: &[Record]| {
        let pair = |r: &Record| {
            let row = &r.values()?.primary;
            Some((row.alpha?, row.stable_rank_log?))
        };
        rows.iter().filter_map(pair).collect()
    };
    Chart {
        title: "Exponents of all layers".to_owned(),
        note: "R_s^log = ln‖W‖²_F / ln λmax of WᵀW; layers where |ln λmax| < 0.1 have none."
            .to_owned(),
        panels: vec![
            ChartPanel {
                title: "distribution of α".to_owned(),
                x: ChartAxis::log("α"),
                y: ChartAxis::linear("share of the layers below"),
                curves: curves(share, true),
            },
            ChartPanel {
                title: "logarithmic stable rank against α".to_owned(),
                x: ChartAxis::log("α"),
                y: ChartAxis::linear("R_s^log"),
                curves: curves(ranks, false),
            },
        ],
    }
}

fn phases(model: &str, rows: &[&Record], path: &PathBuf) -> Result<()> {
    let rows: Vec<(String, Vec<Vec<PhaseCell>>)> = rows
        .iter()
        .map(|r| {
            let cell = PhaseCell {
                phase: r.phase(),
                confidence: r.values().and_then(|v| v.phase_confidence),
                indeterminate: !r.is_determinate(),
                alpha: r.alpha(),
            };
            (r.layer.clone(), vec![vec![cell]])
        })
        .collect();
    plot::phase_table(
        "Phase of each layer",
        "layer",
        &[model.to_owned()],
        &rows,
        path,
    )?;
    Ok(())
}
