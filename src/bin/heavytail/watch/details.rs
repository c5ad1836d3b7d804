//! The details of one layer, as text and bars.

use heavytail::record::{DoubtSubject, Values};
use heavytail::{Phase, Trajectory};
use ratatui::text::{Line, Span};

use super::colors::{Colors, bold, dim};
use super::state::Row;
use super::text::{clean, left, sparkline, width};
use crate::numbers::{number, short};

/// The 5–95 % range of α for pure noise of the layer's shape. `None` if there is no such range.
pub fn noise(values: &Values) -> Option<String> {
    let (low, high) = (values.noise_alpha_low?, values.noise_alpha_high?);
    Some(format!("{}–{}", short(low), short(high)))
}

/// The details of a layer, wrapped to `wide` columns.
pub fn lines(run: &Trajectory, row: &Row, colors: Colors, wide: usize) -> Vec<Line<'static>> {
    let record = row.record;
    let mut page = Page {
        lines: Vec::new(),
        wide,
    };
    let shape: Vec<String> = record.shape.iter().map(ToString::to_string).collect();
    page.title(&format!("{}  {}", clean(&record.layer), shape.join("×")));
    let Some(values) = record.values() else {
        let why = record.outcome.reason().unwrap_or_default();
        page.text(&format!("not analysed: {why}"));
        return page.lines;
    };
    if let Some(carried) = &record.carried {
        page.text(&carried.to_string());
    }
    if values.phase.is_none() {
        let why = record.no_phase().unwrap_or_default();
        page.text(&format!("no phase: {why}"));
    }
    page.doubts(values, &[DoubtSubject::Phase]);
    if let Some(probabilities) = values.phase_probabilities {
        for (phase, p) in Phase::ALL.into_iter().zip(probabilities) {
            page.bar(phase, p, colors);
        }
    }
    for evidence in &values.phase_evidence {
        page.item(&evidence.to_string());
    }
    for remark in &values.annotations {
        page.item(&remark.to_string());
    }
    page.title("α");
    match (values.primary.alpha, &values.primary.alpha_reason) {
        (Some(alpha), _) => page.text(&exponent(values, alpha)),
        (None, Some(why)) => page.text(&format!("none: {why}")),
        (None, None) => page.text("none"),
    }
    page.doubts(values, &[DoubtSubject::Alpha, DoubtSubject::Interval]);
    let first = run.layer(&record.layer).next().map_or(0, |r| r.stamp.epoch);
    let spark = sparkline(&row.alphas, wide.saturating_sub(24));
    page.text(&format!("epoch {first} {spark} {}", record.stamp.epoch));
    page.title("spectrum");
    page.text(&spectrum(values));
    page.doubts(values, &[DoubtSubject::Bulk]);
    page.title("transitions");
    let transitions = run.transitions(&record.layer);
    if transitions.is_empty() {
        page.text("none that lasted two observations");
    }
    for t in transitions {
        page.text(&format!("epoch {}: {} to {}", t.epoch, t.from, t.to));
    }
    page.lines
}

fn exponent(values: &Values, alpha: f64) -> String {
    let mark = if values.is_questionable(DoubtSubject::Alpha) {
        "?"
    } else {
        ""
    };
    let mut text = format!("{alpha:.3}{mark}");
    let full = values.full.as_ref();
    if let Some(interval) = full.and_then(|f| f.alpha_interval) {
        text += &format!(
            ", {:.0} % interval {}–{}{}",
            100.0 * interval.level,
            short(interval.low),
            short(interval.high),
            if values.is_questionable(DoubtSubject::Interval) {
                "?"
            } else {
                ""
            }
        );
    }
    if let Some(tail) = values.primary.num_pl_spikes {
        text += &format!(
            ", {tail} of {} eigenvalues in the tail",
            values.primary.num_evals
        );
    }
    if let Some(noise) = noise(values) {
        text += &format!("; noise of this shape has {noise} (5–95 %)");
    }
    text
}

fn spectrum(values: &Values) -> String {
    let row = &values.primary;
    let mut text = format!(
        "N = {}, M = {}; λmax {} (WᵀW), stable rank {}, entropy {:.3}, rank {} of {}",
        row.n,
        row.m,
        number(row.lambda_max),
        short(row.stable_rank),
        row.entropy,
        row.matrix_rank,
        row.num_evals
    );
    if let (Some(spikes), Some(soft)) = (values.num_spikes, values.mp_softrank) {
        let mark = if values.is_questionable(DoubtSubject::Bulk) {
            "?"
        } else {
            ""
        };
        text += &format!(
            "; {spikes}{mark} eigenvalues beyond the bulk's edge, soft rank {soft:.3}{mark}"
        );
    }
    text
}

struct Page {
    lines: Vec<Line<'static>>,
    wide: usize,
}

impl Page {
    fn title(&mut self, text: &str) {
        self.lines.push(Line::styled(left(text, self.wide), bold()));
    }

    fn text(&mut self, text: &str) {
        self.wrap("  ", text);
    }

    fn item(&mut self, text: &str) {
        self.wrap("  · ", text);
    }

    /// The doubts about these subjects, each with its advice.
    fn doubts(&mut self, values: &Values, subjects: &[DoubtSubject]) {
        for &subject in subjects {
            for doubt in values.doubts_about(subject) {
                self.wrap("  ? ", &format!("{doubt}: {}", doubt.advice()));
            }
        }
    }

    fn bar(&mut self, phase: Phase, p: f64, colors: Colors) {
        let room = self.wide.saturating_sub(32).min(40);
        let full = (p.clamp(0.0, 1.0) * room as f64).round() as usize;
        self.lines.push(Line::from(vec![
            Span::raw("  "),
            Span::styled(format!(" {} ", phase.letter()), colors.tile(phase)),
            Span::raw(format!(" {:<13} {:>5.1}% ", phase.title(), 100.0 * p)),
            Span::raw("█".repeat(full)),
            Span::styled("░".repeat(room - full), dim()),
        ]));
    }

    fn wrap(&mut self, start: &str, text: &str) {
        let indent = " ".repeat(width(start));
        let mut line = start.to_owned();
        let mut empty = true;
        for word in clean(text).split_whitespace() {
            if !empty && width(&line) + 1 + width(word) > self.wide {
                self.lines
                    .push(Line::raw(std::mem::replace(&mut line, indent.clone())));
                empty = true;
            }
            line += if empty { "" } else { " " };
            line += word;
            empty = false;
        }
        self.lines.push(Line::raw(left(&line, self.wide)));
    }
}
