//! A survey as a table, JSON, JSON lines or CSV.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use heavytail::fit::NoFit;
use heavytail::phase::Annotation;
use heavytail::record::{Record, Summary};
use heavytail::sink::COLUMNS;
use serde_json::{Map, Value, json};

/// Version of the JSON.
const SCHEMA: u32 = 1;

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people
    Table,
    /// One object a model; a list of them for several
    Json,
    /// One object a layer
    Jsonl,
    /// One row a layer
    Csv,
}

/// How and where to print.
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

/// One model's rows as JSON, with stable field names.
pub struct Sheet {
    pub model: String,
    pub rows: Vec<Map<String, Value>>,
    pub summary: Map<String, Value>,
    compat: bool,
}

/// What belongs to a run in time, which a file is not.
const OF_A_RUN: [&str; 4] = ["run", "epoch", "step", "seconds_snapshot"];

impl Sheet {
    pub fn of(path: &Path, records: &[Record], means: &Summary, compat: bool) -> Result<Self> {
        let object = |value: Value| match value {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        let mut rows = Vec::new();
        for record in records {
            let mut row = object(serde_json::to_value(record)?);
            for field in OF_A_RUN {
                row.remove(field);
            }
            let name = row.remove("layer").unwrap_or_default();
            row.insert("longname".into(), name.clone());
            row.insert("name".into(), name);
            // Every row has every column.
            for column in columns() {
                row.entry(column).or_insert(Value::Null);
            }
            if let Some(top) = row.get("lambda_max").cloned() {
                row.insert("spectral_norm".into(), top);
            }
            rows.push(row);
        }
        let mut summary = object(serde_json::to_value(means)?);
        for field in OF_A_RUN {
            summary.remove(field);
        }
        let count = |status: &str| rows.iter().filter(|r| r["status"] == status).count();
        summary.insert("num_failed".into(), count("failed").into());
        summary.insert("num_skipped".into(), count("skipped").into());
        let phases: Map<String, Value> = heavytail::Phase::ALL
            .iter()
            .map(|p| {
                let of = rows.iter().filter(|r| r["phase"] == p.name()).count();
                (p.name().to_owned(), of.into())
            })
            .collect();
        summary.insert("phases".into(), phases.into());
        Ok(Self {
            model: path.display().to_string(),
            rows,
            summary,
            compat,
        })
    }

    fn json(&self, sort: Option<&str>) -> Result<Value> {
        Ok(json!({
            "schema": SCHEMA,
            "heavytail": env!("CARGO_PKG_VERSION"),
            "model": self.model,
            "compat": if self.compat { Value::from("weightwatcher") } else { Value::Null },
            "summary": self.summary,
            "layers": self.sorted(sort)?,
        }))
    }

    fn sorted(&self, column: Option<&str>) -> Result<Vec<&Map<String, Value>>> {
        let mut rows: Vec<&Map<String, Value>> = self.rows.iter().collect();
        let Some(column) = column else {
            // A file in alphabetical order has layer 10 before layer 2; one in any other order has its own.
            if rows.is_sorted_by_key(|r| word(r, "name")) {
                rows.sort_by_cached_key(|r| natural(word(r, "name")));
            }
            return Ok(rows);
        };
        if !rows.is_empty() && !rows.iter().any(|r| r.contains_key(column)) {
            bail!("--sort: there is no column `{column}`");
        }
        let key = |row: &Map<String, Value>| row.get(column).and_then(Value::as_f64);
        rows.sort_by(|a, b| match (key(a), key(b)) {
            (Some(x), Some(y)) => y.total_cmp(&x),
            // What has no number comes last; words are in their own order.
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => {
                let word = |r: &Map<String, Value>| r.get(column).map(Value::to_string);
                word(a).cmp(&word(b))
            }
        });
        Ok(rows)
    }
}

/// A name in which numbers are ordered as numbers.
fn natural(name: &str) -> Vec<(u64, String)> {
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

/// The columns of the CSV: the monitor's, without what belongs to a run.
fn columns() -> impl Iterator<Item = &'static str> {
    let columns = COLUMNS.iter().copied();
    columns.filter(|c| !OF_A_RUN.contains(c) && *c != "seconds_analysis")
}

pub fn print(sheets: &[Sheet], printing: &Printing) -> Result<()> {
    let sort = printing.sort.as_deref();
    let mut text = String::new();
    match printing.format {
        Format::Json => {
            let value = match sheets {
                [one] => one.json(sort)?,
                many => many.iter().map(|s| s.json(sort)).collect::<Result<_>>()?,
            };
            text = serde_json::to_string_pretty(&value)? + "\n";
        }
        Format::Jsonl => {
            for sheet in sheets {
                for row in sheet.sorted(sort)? {
                    let mut row = row.clone();
                    row.insert("model".into(), sheet.model.clone().into());
                    text += &(serde_json::to_string(&row)? + "\n");
                }
            }
        }
        Format::Csv => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["model"].into_iter().chain(columns()))?;
            for sheet in sheets {
                for row in sheet.sorted(sort)? {
                    let fields = columns().map(|c| match row.get(c) {
                        None | Some(Value::Null) => String::new(),
                        Some(Value::String(s)) => s.clone(),
                        Some(other) => other.to_string(),
                    });
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

/// To a file, or to the standard output.
pub fn write(text: &str, output: Option<&Path>) -> Result<()> {
    match output {
        Some(path) => std::fs::write(path, text).with_context(|| path.display().to_string()),
        None => Ok(std::io::stdout().lock().write_all(text.as_bytes())?),
    }
}

fn number(row: &Map<String, Value>, field: &str, digits: usize) -> String {
    row.get(field)
        .and_then(Value::as_f64)
        .map_or_else(|| "–".to_owned(), |v| format!("{v:.digits$}"))
}

fn word<'a>(row: &'a Map<String, Value>, field: &str) -> &'a str {
    row.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The widest name that a table gives room to.
const NAME: usize = 44;

/// A name's end says most. A file may hold any characters in its names, a terminal must not obey them.
pub fn short(name: &str) -> String {
    let plain = |c: char| if c.is_control() { '\u{FFFD}' } else { c };
    let name: String = name.chars().map(plain).collect();
    let count = name.chars().count();
    if count <= NAME {
        return name;
    }
    let end: String = name.chars().skip(count - NAME + 1).collect();
    format!("…{end}")
}

fn table(text: &mut String, sheet: &Sheet, sort: Option<&str>) -> Result<()> {
    let rows = sheet.sorted(sort)?;
    let wide = rows
        .iter()
        .map(|r| short(word(r, "name")).chars().count())
        .max();
    let wide = wide.unwrap_or(5).max(5);
    let _ = writeln!(text, "{}\n", sheet.model);
    let _ = writeln!(
        text,
        "  {:<wide$} {:>11} {:>15} {:>15} {:>6} {:>10} {:>8} {:>6}  phase",
        "layer", "N×M", "α ± σ", "noise 5–95 %", "D", "λmax (WᵀW)", "st.rank", "spikes"
    );
    let mut notes: Vec<(String, Vec<String>)> = Vec::new();
    let mut left_out = Vec::new();
    for row in rows {
        let name = short(word(row, "name"));
        if word(row, "status") != "success" {
            left_out.push(format!(
                "  {name:<wide$} {}: {}",
                word(row, "status"),
                word(row, "reason")
            ));
            continue;
        }
        let size = format!("{}×{}", number(row, "N", 0), number(row, "M", 0));
        let alpha = match row.get("alpha") {
            Some(Value::Number(_)) => {
                format!("{} ± {}", number(row, "alpha", 2), number(row, "sigma", 2))
            }
            _ => "–".to_owned(),
        };
        let noise = match row.get("noise_alpha") {
            Some(Value::Number(_)) => format!(
                "{}–{}",
                number(row, "noise_alpha_low", 1),
                number(row, "noise_alpha_high", 1)
            ),
            _ => "–".to_owned(),
        };
        let phase = heavytail::Phase::ALL
            .iter()
            .find(|p| row["phase"] == p.name())
            .map_or("–", |p| p.title());
        let sure = row["phase_confidence"].as_f64();
        let sure = sure.map_or_else(String::new, |c| format!(" {:.0} %", 100.0 * c));
        let mark = if row["indeterminate"] == true {
            " ?"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "  {name:<wide$} {size:>11} {alpha:>15} {noise:>15} {:>6} {:>10} {:>8} {:>6}  {phase}{sure}{mark}",
            number(row, "D", 3),
            number(row, "lambda_max", 3),
            number(row, "stable_rank", 1),
            number(row, "num_spikes", 0),
        );
        for remark in remarks(row) {
            match notes.iter_mut().find(|(r, _)| *r == remark) {
                Some((_, names)) => names.push(name.clone()),
                None => notes.push((remark, vec![name.clone()])),
            }
        }
    }
    let of = |field: &str| number(&sheet.summary, field, 3);
    let _ = writeln!(
        text,
        "\n  {} layers; means: α {}, α̂ {} (WeightWatcher: α·log₁₀ λmax), {} (workshop paper: α·ln λmax, X = WᵀW/N, {} layers of M ≥ 50), log₁₀‖W‖²_F {}",
        sheet.summary["num_layers"],
        of("alpha"),
        of("alpha_weighted"),
        of("alpha_hat_paper"),
        sheet.summary["alpha_hat_paper_layers"],
        of("log_norm"),
    );
    let notes: Vec<String> = notes.iter().map(|(r, names)| together(r, names)).collect();
    section(text, "Remarks", &notes);
    section(text, "Not analysed", &left_out);
    text.push('\n');
    Ok(())
}

/// A remark and the layers that it is about, some of them by name.
fn together(remark: &str, names: &[String]) -> String {
    const NAMED: usize = 4;
    let some = names[..names.len().min(NAMED)].join(", ");
    match names.len() {
        n if n > NAMED => format!("  {remark}: {n} layers ({some}, …)"),
        _ => format!("  {remark}: {some}"),
    }
}

fn section(text: &mut String, title: &str, lines: &[String]) {
    if !lines.is_empty() {
        let _ = writeln!(text, "\n{title}\n{}", lines.join("\n"));
    }
}

/// Warnings in words.
fn remarks(row: &Map<String, Value>) -> Vec<String> {
    let mut remarks = Vec::new();
    match word(row, "warning") {
        "over-trained" => {
            remarks.push("α below 2: WeightWatcher calls this over-trained".to_owned())
        }
        "under-trained" => {
            remarks.push("α above 6: WeightWatcher calls this under-trained".to_owned())
        }
        _ => {}
    }
    let as_noise = |alpha: f64| {
        let end = |f: &str| row.get(f).and_then(Value::as_f64);
        Some(alpha >= end("noise_alpha_low")? && alpha <= end("noise_alpha_high")?)
    };
    if row["alpha"].as_f64().and_then(as_noise) == Some(true) {
        remarks.push("α is within what pure noise of this shape has".to_owned());
    }
    if let Some(why) = read::<NoFit>(row.get("alpha_reason")) {
        remarks.push(format!("no α: {why}"));
    }
    if let Some(annotations) = read::<Vec<Annotation>>(row.get("annotations")) {
        remarks.extend(annotations.iter().map(ToString::to_string));
    }
    remarks
}

fn read<T: serde::de::DeserializeOwned>(value: Option<&Value>) -> Option<T> {
    serde_json::from_value(value?.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_ordered_by_depth() {
        let mut names = ["h.10.w", "h.2.w", "h.1.w", "emb", "h.2.b"];
        names.sort_by_cached_key(|n| natural(n));
        assert_eq!(names, ["emb", "h.1.w", "h.2.b", "h.2.w", "h.10.w"]);
    }
}
