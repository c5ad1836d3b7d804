//! Converts lines of log format 2 to the current format.
//!
//! Format 2 stored texts where the current format has types. The conversion takes the numbers from
//! other fields of the same line. It never parses a text: a text without numbers remains a text.

use serde_json::{Map, Value, json};

use crate::record::Line;

/// The earlier format that can still be read.
pub(super) const SCHEMA: u32 = 2;

/// A line of format 2. None if the bytes are not one.
pub(super) fn line(bytes: &[u8]) -> Option<Line> {
    let Value::Object(mut line) = serde_json::from_slice(bytes).ok()? else {
        return None;
    };
    match line.get("kind")?.as_str()? {
        "layer" => layer(&mut line),
        "notice" => {
            line.insert("event".into(), "message".into());
        }
        "alarm" => {
            let text = line.remove("evidence")?;
            let evidence = json!({ "because": "earlier", "text": text });
            line.insert("evidence".into(), evidence);
        }
        _ => {}
    }
    let mut line: Line = serde_json::from_value(line.into()).ok()?;
    if let Line::Layer(record) = &mut line
        && let Some(values) = record.values_mut()
    {
        values.update_doubts();
    }
    Some(line)
}

fn layer(line: &mut Map<String, Value>) {
    if line.get("status").is_some_and(|s| s == "failed") {
        let message = line.remove("reason").unwrap_or_default();
        line.insert("reason".into(), "other".into());
        line.insert("message".into(), message);
        return;
    }
    line.remove("reason");
    for cut in ["slices", "pooled"] {
        match line.get_mut(cut) {
            Some(Value::Array(all)) => all
                .iter_mut()
                .filter_map(Value::as_object_mut)
                .for_each(fitted),
            Some(Value::Object(one)) => fitted(one),
            _ => {}
        }
    }
    fitted(line);
    // Format 2 had two reasons for a missing phase.
    let no_phase = line.get("phase_reason").is_some_and(|why| !why.is_null());
    if no_phase {
        let why = match line.get("bulk_reason") {
            Some(cause) if !cause.is_null() && !small(line) => {
                json!({ "reason": "no_bulk", "cause": cause })
            }
            _ => json!({ "reason": "too_small", "m": line.get("num_evals") }),
        };
        line.insert("phase_reason".into(), why);
    }
    let evidence = line.get("phase_evidence").and_then(Value::as_array);
    let evidence: Vec<Value> = evidence
        .into_iter()
        .flatten()
        .filter_map(|e| finding(line, e))
        .collect();
    line.insert("phase_evidence".into(), evidence.into());
}

/// Whether the layer has fewer than 10 eigenvalues. This reason took precedence over the other.
fn small(line: &Map<String, Value>) -> bool {
    let count = line.get("num_evals").and_then(Value::as_u64);
    count.is_some_and(|count| count < 10)
}

/// Sets the number of eigenvalues in a tail's fit. Format 2 stored it only if the fit used the
/// small-sample estimator.
fn fitted(cut: &mut Map<String, Value>) {
    let doubts = cut.remove("alpha_doubts");
    let small = doubts.as_ref().and_then(Value::as_array).and_then(|all| {
        let of = |d: &&Value| d.get("doubt").is_some_and(|d| d == "small_sample");
        all.iter().find(of)?.get("n").cloned()
    });
    cut.insert("num_fitted".into(), small.unwrap_or_default());
}

/// Converts a finding of format 2. It has a name, a value and a text. Its other numbers are fields
/// of the same line.
fn finding(line: &Map<String, Value>, evidence: &Value) -> Option<Value> {
    let value = evidence.get("value")?;
    let field = |name: &str| line.get(name).cloned().unwrap_or_default();
    Some(match evidence.get("name")?.as_str()? {
        "null_share" if field("bulk_reason").is_null() => {
            json!({ "finding": "null_share", "share": value })
        }
        "null_share" => json!({ "finding": "hardly_any", "share": value }),
        "sigma2_share" => json!({ "finding": "faded_bulk", "share": value }),
        "edge_share" => json!({ "finding": "faint_bulk", "ratio": value }),
        "spike_mass" => json!({ "finding": "spike_mass", "share": value }),
        "num_spikes" => json!({
            "finding": "spikes",
            "count": value.as_f64().map(|count| count as u64),
            "lambda_max_p": field("lambda_max_p"),
        }),
        "lambda_max_ratio" => json!({ "finding": "lambda_max", "ratio": value }),
        "bulk_d" => json!({
            "finding": "bulk_distance", "d": value, "d95": field("bulk_d95"), "p": field("bulk_d_p"),
        }),
        "spike_share" => json!({ "finding": "spike_share", "share": value }),
        "widest_gap" => json!({ "finding": "widest_gap", "scales": value }),
        "alpha" => json!({
            "finding": "power_law", "alpha": value, "n_tail": field("num_pl_spikes"),
            "d": field("D"), "vuong": field("lr_exponential"),
        }),
        _ => return None,
    })
}
