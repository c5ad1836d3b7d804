//! Compares WeightWatcher and heavytail on the same matrices, in alternation, with one thread each
//! and in CPU time. It needs a Python with `weightwatcher`, `torch` and `numpy`.
//! Run with `PYTHON=… cargo bench -p heavytail-benches --bench weightwatcher`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use faer::{Accum, Mat, MatRef, Par, linalg::matmul::triangular};
use heavytail::fit::fit_tail;
use heavytail::record::{Record, Stamp};
use heavytail::spectrum::{Solver, Spectrum};
use heavytail::{Analyzer, Config, WeightMatrix};
use heavytail_benches::{cpu, gemm_rate, median, min_flops, weights};

/// Rows, columns, and the number of runs of each side.
const SHAPES: [(usize, usize, usize); 8] = [
    (128, 64, 15),
    (384, 192, 15),
    (800, 500, 9),
    (4096, 384, 7),
    (1024, 1024, 7),
    (4096, 1024, 5),
    (2048, 2048, 3),
    (4096, 4096, 2),
];

fn main() -> Result<()> {
    // The monitor and the program also use one analyzer for several matrices.
    let analyzer = Analyzer::new(Config::live());
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("weightwatcher/worker.py");
    let mut child = Command::new(&python)
        .arg(script)
        .envs(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"].map(|v| (v, "1")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run `{python}`"))?;
    let mut worker = Worker::new(&mut child)?;
    let hello = worker.read()?;
    if !hello.starts_with("ready") {
        bail!("`{python}` has no weightwatcher, torch and numpy: {hello}");
    }
    println!("{}", hello.trim_start_matches("ready ").trim());
    let folder = tempfile::tempdir()?;

    println!(
        "\n| N×M | WeightWatcher analyze() | ours, Live | times faster | with its MP fit | times | spectrum | floor | times floor | faer stock | times faster |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let only = std::env::args().skip(1).find(|a| a.contains('x'));
    for (rows, cols, repeats) in SHAPES {
        if only
            .as_ref()
            .is_some_and(|o| *o != format!("{rows}x{cols}"))
        {
            continue;
        }
        let values = weights(rows, cols);
        let file = folder.path().join("w.bin");
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write(&file, bytes)?;
        worker.ask(&format!("load {rows} {cols} {}", file.display()))?;

        let mut theirs = Vec::new();
        let (mut ours, mut spectrum, mut stock, mut floor) = (vec![], vec![], vec![], vec![]);
        // WeightWatcher's fit of the bulk takes a second or more, so it runs less often.
        let mut with_mp = Vec::new();
        for repeat in 0..=repeats {
            let t = worker.ask("analyze")?;
            let o = cpu(|| live(&analyzer, rows, cols, &values));
            let w = WeightMatrix::new("w", rows, cols, &values)?;
            let s = cpu(|| Spectrum::from_matrix(&w, Solver::Gram));
            let f = min_flops(rows, cols) / gemm_rate();
            // The first run of each is a warm-up.
            if repeat == 0 {
                continue;
            }
            theirs.push(t);
            ours.push(o);
            spectrum.push(s);
            floor.push(f);
            if repeat <= 3 {
                stock.push(cpu(|| faer_eigenvalues(&w)));
                if rows.min(cols) <= 1024 {
                    with_mp.push(worker.ask("analyze mp")?);
                }
            }
        }
        let mp = if with_mp.is_empty() {
            ("–".to_owned(), "–".to_owned())
        } else {
            (ms(&with_mp), ratio(&with_mp, &ours))
        };
        println!(
            "| {rows}×{cols} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            ms(&theirs),
            ms(&ours),
            ratio(&theirs, &ours),
            mp.0,
            mp.1,
            ms(&spectrum),
            ms(&floor),
            ratio(&spectrum, &floor),
            ms(&stock),
            ratio(&stock, &spectrum),
        );
    }

    println!(
        "\n| eigenvalues | WeightWatcher's tail fit | ours | times faster |\n|---|---|---|---|"
    );
    for n in [192usize, 1000, 4096] {
        if only.is_some() {
            continue;
        }
        let eigenvalues = Spectrum::from_matrix(
            &heavytail_benches::matrix(2 * n.min(2048), n.min(2048)),
            Solver::Gram,
        )?;
        // 4,096 eigenvalues are the eigenvalues of two matrices.
        let mut values = eigenvalues.eigenvalues().to_vec();
        if n > 2048 {
            let second: Vec<f64> = values.iter().map(|v| 1.7 * v).collect();
            values.extend(second);
            values.sort_by(f64::total_cmp);
        }
        let file = folder.path().join("evals.bin");
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write(&file, bytes)?;
        worker.ask(&format!("eigenvalues {n} {}", file.display()))?;
        let (mut theirs, mut ours) = (vec![], vec![]);
        for repeat in 0..=7 {
            let (t, o) = (
                worker.ask("tail")?,
                cpu(|| {
                    for _ in 0..100 {
                        std::hint::black_box(fit_tail(&values).ok());
                    }
                }) / 100.0,
            );
            if repeat > 0 {
                theirs.push(t);
                ours.push(o);
            }
        }
        println!(
            "| {n} | {} | {} | {} |",
            ms(&theirs),
            ms(&ours),
            ratio(&theirs, &ours)
        );
    }
    worker.tell("end")?;
    child.wait()?;
    Ok(())
}

/// The whole work of heavytail, from the weights to a record of the log.
fn live(
    analyzer: &Analyzer,
    rows: usize,
    cols: usize,
    values: &[f32],
) -> heavytail::Result<Record> {
    let w = WeightMatrix::new("w", rows, cols, values)?;
    let report = analyzer.analyze(&w)?;
    Ok(Record::success("r", Stamp::default(), 0, &report))
}

/// The eigenvalues by faer's own solver from the same Gram matrix, for comparison with heavytail's
/// solver.
fn faer_eigenvalues(w: &WeightMatrix) -> Option<Vec<f64>> {
    let a = MatRef::from_row_major_slice(w.values(), w.rows(), w.cols());
    let a = if w.rows() >= w.cols() {
        a
    } else {
        a.transpose()
    };
    let m = a.ncols();
    let mut gram = Mat::<f64>::zeros(m, m);
    triangular::matmul(
        gram.as_mut(),
        triangular::BlockStructure::TriangularLower,
        Accum::Replace,
        a.transpose(),
        triangular::BlockStructure::Rectangular,
        a,
        triangular::BlockStructure::Rectangular,
        1.0,
        Par::Seq,
    );
    faer::set_global_parallelism(Par::Seq);
    gram.self_adjoint_eigenvalues(faer::Side::Lower).ok()
}

/// The median and the range, in milliseconds.
fn ms(seconds: &[f64]) -> String {
    let (low, middle, high) = spread(seconds);
    let digits = if middle >= 0.1 {
        0
    } else if middle >= 1e-3 {
        2
    } else {
        4
    };
    let show = |s: f64| format!("{:.digits$}", 1e3 * s);
    format!("{} ms ({}–{})", show(middle), show(low), show(high))
}

/// The median and the range of the ratios a/b of consecutive runs.
fn ratio(a: &[f64], b: &[f64]) -> String {
    let ratios: Vec<f64> = a.iter().zip(b).map(|(a, b)| a / b).collect();
    let (low, middle, high) = spread(&ratios);
    let digits = if middle >= 20.0 {
        0
    } else if middle >= 5.0 {
        1
    } else {
        2
    };
    format!("{middle:.digits$} ({low:.digits$}–{high:.digits$})")
}

/// The minimum, the median and the maximum.
fn spread(values: &[f64]) -> (f64, f64, f64) {
    let fold = |f: fn(f64, f64) -> f64| values.iter().copied().reduce(f).unwrap_or(f64::NAN);
    (fold(f64::min), median(values.to_vec()), fold(f64::max))
}

/// The Python process. It reads one line for each request and answers with one line.
struct Worker {
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Worker {
    fn new(child: &mut Child) -> Result<Self> {
        let to = child.stdin.take().context("no pipe")?;
        let from = BufReader::new(child.stdout.take().context("no pipe")?);
        Ok(Self { to, from })
    }

    fn read(&mut self) -> Result<String> {
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        Ok(line)
    }

    fn tell(&mut self, line: &str) -> Result<()> {
        writeln!(self.to, "{line}")?;
        Ok(self.to.flush()?)
    }

    /// Sends a request and returns its CPU time in seconds.
    fn ask(&mut self, line: &str) -> Result<f64> {
        self.tell(line)?;
        let answer = self.read()?;
        answer
            .trim()
            .parse()
            .with_context(|| format!("`{line}`: {answer}"))
    }
}
