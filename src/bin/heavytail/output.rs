//! Prints a survey as a table, JSON, JSON lines or CSV.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use heavytail::Phase;
use heavytail::record::field::{Cell, FIELDS, Field, SUMMARY_FIELDS, field};
use heavytail::record::{Doubt, DoubtSubject, LayerOutcome, Phrase, Piece, Record, Summary};
use heavytail::sink::csv::text as csv_text;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

use crate::numbers::number;

/// The version of the JSON output's structure.
const SCHEMA: u32 = 2;

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A table for people
    Table,
    /// One JSON object for each model. Several models give a list
    Json,
    /// One JSON object for each layer
    Jsonl,
    /// One row for each layer
    Csv,
}

/// The options of format and destination.
#[derive(Args)]
pub struct Printing {
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Write to this file instead of the standard output
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Sort the layers by this column, for example alpha or lambda_max [default: by depth]
    #[arg(long)]
    sort: Option<String>,
}

#[cfg(test)]
impl Printing {
    pub fn to_file(format: Format, path: PathBuf) -> Self {
        Self {
            format,
            output: Some(path),
            sort: None,
        }
    }
}

/// The rows of one model with their summary.
pub struct ModelTable {
    pub model: String,
    rows: Vec<Record>,
    summary: Summary,
    /// Whether the columns follow WeightWatcher's conventions.
    compat: bool,
}

/// The columns that describe a moment of a training run. A file has no such moment.
const RUN_COLUMNS: [&str; 5] = ["run", "epoch", "step", "unix_time", "seconds_snapshot"];

/// All registered columns except those of [`RUN_COLUMNS`].
fn columns() -> impl Iterator<Item = &'static Field<Record>> {
    FIELDS.iter().filter(|f| !RUN_COLUMNS.contains(&f.name))
}

impl ModelTable {
    pub fn new(path: &Path, rows: Vec<Record>, summary: Summary, compat: bool) -> Self {
        Self {
            model: path.display().to_string(),
            rows,
            summary,
            compat,
        }
    }

    pub fn has_failed_layers(&self) -> bool {
        self.rows.iter().any(Record::is_failed)
    }

    /// The rows in the order of the table: numbers in descending order, text in ascending order.
    /// Without a column, the rows are ordered by depth.
    fn sorted(&self, column: Option<&str>) -> Result<Vec<&Record>> {
        let mut rows: Vec<&Record> = self.rows.iter().collect();
        let Some(column) = column else {
            // A file in alphabetical order lists layer 10 before layer 2. A file in any other order
            // keeps it.
            if rows.is_sorted_by_key(|r| r.layer.as_str()) {
                rows.sort_by_cached_key(|r| natural_sort_key(&r.layer));
            }
            return Ok(rows);
        };
        let Some(field) = field(column).filter(|f| !RUN_COLUMNS.contains(&f.name)) else {
            bail!("--sort: there is no column `{column}`");
        };
        rows.sort_by(|a, b| match (field.cell(a), field.cell(b)) {
            (Cell::Text(x), Cell::Text(y)) => x.cmp(&y),
            (Cell::Flag(x), Cell::Flag(y)) => y.cmp(&x),
            // Rows without a value come last.
            (Cell::Null, Cell::Null) => Ordering::Equal,
            (Cell::Null, _) => Ordering::Greater,
            (_, Cell::Null) => Ordering::Less,
            (x, y) => {
                let number = |cell: Cell| cell.number().unwrap_or(f64::NEG_INFINITY);
                number(y).total_cmp(&number(x))
            }
        });
        Ok(rows)
    }
}

/// A JSON object that keeps the order of its keys.
struct Object<'a>(Vec<(Cow<'a, str>, Value)>);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

fn json_cell(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Text(text) => text.into(),
        Cell::Int(value) => value.into(),
        Cell::Real(value) => value.into(),
        Cell::Flag(value) => value.into(),
    }
}

/// The JSON object of a row: the columns, then the nested objects of the record.
fn json_row(record: &Record) -> Result<Object<'_>> {
    let mut row: Vec<(Cow<'_, str>, Value)> = columns()
        .map(|f| (f.name.into(), json_cell(f.cell(record))))
        .collect();
    if let Value::Object(rest) = serde_json::to_value(record)? {
        for (key, value) in rest {
            let nested = value.is_object() || value.is_array();
            let known = row.iter().position(|(k, _)| *k == key);
            match known {
                // A list holds more than the codes that the column shows.
                Some(at) if nested => row[at].1 = value,
                Some(_) => {}
                None if RUN_COLUMNS.contains(&key.as_str()) || key == "layer" => {}
                None if record.is_success() || nested => row.push((key.into(), value)),
                None => {}
            }
        }
    }
    Ok(Object(row))
}

/// The JSON object of a model.
#[derive(Serialize)]
struct Model<'a> {
    schema: u32,
    heavytail: &'a str,
    model: &'a str,
    compat: Option<&'a str>,
    summary: Object<'a>,
    layers: Vec<Object<'a>>,
}

fn json_model<'a>(sheet: &'a ModelTable, sort: Option<&str>) -> Result<Model<'a>> {
    let rows = sheet.sorted(sort)?;
    Ok(Model {
        schema: SCHEMA,
        heavytail: env!("CARGO_PKG_VERSION"),
        model: &sheet.model,
        compat: sheet.compat.then_some("weightwatcher"),
        summary: json_summary(sheet)?,
        layers: rows.into_iter().map(json_row).collect::<Result<_>>()?,
    })
}

fn json_summary(sheet: &ModelTable) -> Result<Object<'_>> {
    let means = SUMMARY_FIELDS.iter();
    let means = means.filter(|f| !RUN_COLUMNS.contains(&f.name));
    let mut summary: Vec<(Cow<'_, str>, Value)> = means
        .map(|f| (f.name.into(), json_cell(f.cell(&sheet.summary))))
        .collect();
    let known = |key: &str, all: &[(Cow<'_, str>, Value)]| all.iter().any(|(k, _)| k == key);
    if let Value::Object(rest) = serde_json::to_value(&sheet.summary)? {
        for (key, value) in rest {
            if !known(&key, &summary) && !RUN_COLUMNS.contains(&key.as_str()) {
                summary.push((key.into(), value));
            }
        }
    }
    let count = |wanted: &dyn Fn(&LayerOutcome) -> bool| {
        let rows = sheet.rows.iter().filter(|r| wanted(&r.outcome));
        Value::from(rows.count())
    };
    let failed = count(&|outcome| matches!(outcome, LayerOutcome::Failed(_)));
    let skipped = count(&|outcome| matches!(outcome, LayerOutcome::Skipped(_)));
    let phases: serde_json::Map<String, Value> = Phase::ALL
        .iter()
        .map(|p| {
            let of = sheet.rows.iter().filter(|r| r.phase() == Some(*p));
            (p.name().to_owned(), of.count().into())
        })
        .collect();
    summary.push(("num_failed".into(), failed));
    summary.push(("num_skipped".into(), skipped));
    summary.push(("phases".into(), phases.into()));
    Ok(Object(summary))
}

pub fn print(sheets: &[ModelTable], printing: &Printing) -> Result<()> {
    let sort = printing.sort.as_deref();
    let mut text = String::new();
    match printing.format {
        Format::Json => {
            let models = sheets.iter().map(|s| json_model(s, sort));
            let models: Vec<Model> = models.collect::<Result<_>>()?;
            text = match models.as_slice() {
                [one] => serde_json::to_string_pretty(one)?,
                many => serde_json::to_string_pretty(many)?,
            } + "\n";
        }
        Format::Jsonl => {
            for sheet in sheets {
                for row in sheet.sorted(sort)? {
                    let mut row = json_row(row)?;
                    row.0.push(("model".into(), sheet.model.clone().into()));
                    text += &(serde_json::to_string(&row)? + "\n");
                }
            }
        }
        Format::Csv => {
            // The table of a file must not differ between two executions, but times do.
            let columns = || columns().filter(|f| f.name != "seconds_analysis");
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["model"].into_iter().chain(columns().map(|f| f.name)))?;
            for sheet in sheets {
                for row in sheet.sorted(sort)? {
                    let fields = columns().map(|f| csv_text(f.cell(row)));
                    writer.write_record([sheet.model.clone()].into_iter().chain(fields))?;
                }
            }
            text = String::from_utf8(writer.into_inner()?)?;
        }
        Format::Table => {
            for sheet in sheets {
                table(&mut text, sheet, sort)?;
            }
        }
    }
    write(&text, printing.output.as_deref())
}

/// A sort key for names in which numbers are ordered by their value.
fn natural_sort_key(name: &str) -> Vec<(u64, String)> {
    let mut parts = vec![(0u64, String::new())];
    for c in name.chars() {
        let last = parts.len() - 1;
        match c.to_digit(10) {
            Some(digit) if parts[last].1.is_empty() => {
                parts[last].0 = parts[last]
                    .0
                    .saturating_mul(10)
                    .saturating_add(digit.into());
            }
            Some(digit) => parts.push((digit.into(), String::new())),
            None => parts[last].1.push(c),
        }
    }
    parts
}

/// Writes the text to a file, or to the standard output.
pub fn write(text: &str, output: Option<&Path>) -> Result<()> {
    match output {
        Some(path) => std::fs::write(path, text).with_context(|| path.display().to_string()),
        None => Ok(std::io::stdout().lock().write_all(text.as_bytes())?),
    }
}

/// The longest name in characters that a table shows in full.
const NAME: usize = 44;

/// A text without control characters. Names in a file may contain any characters, and a terminal
/// would execute control sequences.
fn printable(text: &str) -> String {
    let plain = |c: char| if c.is_control() { '\u{FFFD}' } else { c };
    text.chars().map(plain).collect()
}

/// A name for a table. A long name is cut at its beginning, because its end identifies it best.
pub fn short(name: &str) -> String {
    let name = printable(name);
    let count = name.chars().count();
    if count <= NAME {
        return name;
    }
    let end: String = name.chars().skip(count - NAME + 1).collect();
    format!("…{end}")
}

/// A number with `digits` decimals, or a dash.
fn fixed(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |v| format!("{v:.digits$}"))
}

/// A `?` if the record marks the statistics of this subject as doubtful.
fn mark(record: &Record, subject: DoubtSubject) -> &'static str {
    if record.is_questionable(subject) {
        "?"
    } else {
        ""
    }
}

fn table(text: &mut String, sheet: &ModelTable, sort: Option<&str>) -> Result<()> {
    let rows = sheet.sorted(sort)?;
    let wide = rows.iter().map(|r| short(&r.layer).chars().count()).max();
    let wide = wide.unwrap_or(5).max(5);
    let _ = writeln!(text, "{}\n", sheet.model);
    let _ = writeln!(
        text,
        "  {:<wide$} {:>11} {:>16} {:>15} {:>6} {:>10} {:>8} {:>6}  phase",
        "layer", "N×M", "α ± σ", "noise 5–95 %", "D", "λmax (WᵀW)", "st.rank", "spikes"
    );
    let mut notes: Vec<Remark> = Vec::new();
    let mut left_out = Vec::new();
    for record in rows {
        let name = short(&record.layer);
        let Some(values) = record.values() else {
            left_out.push(format!(
                "  {name:<wide$} {}: {}",
                record.outcome.status(),
                printable(&record.outcome.reason().unwrap_or_default().to_string())
            ));
            continue;
        };
        let row = &values.primary;
        let size = format!("{}×{}", row.n, row.m);
        let alpha = match row.alpha {
            Some(alpha) => format!(
                "{alpha:.2}{} ± {}",
                mark(record, DoubtSubject::Alpha),
                fixed(row.sigma, 2)
            ),
            None => "–".to_owned(),
        };
        let noise = match (values.noise_alpha_low, values.noise_alpha_high) {
            (Some(low), Some(high)) => format!("{low:.1}–{high:.1}"),
            _ => "–".to_owned(),
        };
        let phase = values.phase.map_or("–", Phase::title);
        let sure = values.phase_confidence;
        let sure = sure.map_or_else(String::new, |c| format!(" {:.0} %", 100.0 * c));
        let doubt = mark(record, DoubtSubject::Phase);
        let spikes = values.num_spikes.map(|k| k.to_string());
        let spikes = spikes.map_or("–".to_owned(), |k| k + mark(record, DoubtSubject::Bulk));
        let _ = writeln!(
            text,
            "  {name:<wide$} {size:>11} {alpha:>16} {noise:>15} {:>6} {:>10} {:>8} {spikes:>6}  {phase}{sure}{doubt}",
            fixed(row.d, 3),
            number(row.lambda_max),
            fixed(Some(row.stable_rank), 1),
        );
        for phrase in remarks(record) {
            match notes.iter_mut().find(|r| r.says(&phrase)) {
                Some(remark) => remark.add(&phrase, &name),
                None => notes.push(Remark::new(&phrase, &name)),
            }
        }
    }
    let of = &sheet.summary;
    let _ = writeln!(
        text,
        "\n  {} layers; means: α {}, α̂ {} (WeightWatcher: α·log₁₀ λmax), {} (workshop paper: α·ln λmax, X = WᵀW/N, {} layers of M ≥ 50), log₁₀‖W‖²_F {}",
        of.num_layers,
        fixed(of.alpha, 3),
        fixed(of.alpha_weighted, 3),
        fixed(of.alpha_hat_paper, 3),
        of.alpha_hat_paper_layers,
        fixed(of.log_norm, 3),
    );
    let notes: Vec<String> = notes.iter().map(Remark::line).collect();
    section(text, "Remarks", &notes);
    section(text, "Not analysed", &left_out);
    text.push('\n');
    Ok(())
}

/// The annotations and doubts of a record, and the reasons for missing values.
fn remarks(record: &Record) -> Vec<Phrase> {
    let Some(values) = record.values() else {
        return Vec::new();
    };
    let annotations = values.annotations.iter().map(|a| a.phrase());
    let doubts = values.doubts.iter().map(Doubt::phrase);
    annotations.chain(doubts).chain(values.reasons()).collect()
}

/// A remark that applies to several layers. Its numbers may differ between them.
struct Remark {
    /// The pieces of the sentence. Each number has its smallest and its largest value.
    pieces: Vec<(Piece, Piece)>,
    names: Vec<String>,
}

impl Remark {
    fn new(phrase: &Phrase, name: &str) -> Self {
        let twice = |piece: &Piece| (piece.clone(), piece.clone());
        Self {
            pieces: phrase.pieces().iter().map(twice).collect(),
            names: vec![name.to_owned()],
        }
    }

    /// Whether the phrase is the same sentence, apart from the values of its numbers.
    fn says(&self, phrase: &Phrase) -> bool {
        let pieces = phrase.pieces();
        self.pieces.len() == pieces.len()
            && self
                .pieces
                .iter()
                .zip(pieces)
                .all(|((a, _), b)| match (a, b) {
                    (Piece::Text(a), Piece::Text(b)) => a == b,
                    (Piece::Number(_, a), Piece::Number(_, b)) => a == b,
                    _ => false,
                })
    }

    fn add(&mut self, phrase: &Phrase, name: &str) {
        for ((low, high), piece) in self.pieces.iter_mut().zip(phrase.pieces()) {
            if let (Piece::Number(a, _), Piece::Number(b, _), Piece::Number(new, _)) =
                (low, high, piece)
            {
                (*a, *b) = (a.min(*new), b.max(*new));
            }
        }
        self.names.push(name.to_owned());
    }

    /// The sentence, followed by the names of the first layers.
    fn line(&self) -> String {
        const NAMED: usize = 4;
        let mut line = String::from("  ");
        for (low, high) in &self.pieces {
            let (low, high) = (low.to_string(), high.to_string());
            line += &low;
            if low != high {
                line += "–";
                line += &high;
            }
        }
        let some = self.names[..self.names.len().min(NAMED)].join(", ");
        match self.names.len() {
            n if n > NAMED => line + &format!(": {n} layers ({some}, …)"),
            _ => line + &format!(": {some}"),
        }
    }
}

fn section(text: &mut String, title: &str, lines: &[String]) {
    if !lines.is_empty() {
        let _ = writeln!(text, "\n{title}\n{}", lines.join("\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_ordered_by_depth() {
        let mut names = ["h.10.w", "h.2.w", "h.1.w", "emb", "h.2.b"];
        names.sort_by_cached_key(|n| natural_sort_key(n));
        assert_eq!(names, ["emb", "h.1.w", "h.2.b", "h.2.w", "h.10.w"]);
    }
}
