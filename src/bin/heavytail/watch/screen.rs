//! Draws the picture of a run. It depends only on the records that were read and on the user's
//! choices.

use std::time::Duration;

use heavytail::record::{DoubtSubject, LayerOutcome};
use heavytail::run::RunState;
use heavytail::{Record, Trajectory};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::colors::{Colors, bold, dim};
use super::details;
use super::state::{Row, ViewState, rows};
use super::text::{clean, left, right, seconds, sparkline, tail, width};
use crate::numbers::{number, short};

/// The data that the picture shows.
pub struct ViewData<'a> {
    pub run: &'a Trajectory,
    /// The path of the log.
    pub path: String,
    /// The state of the run.
    pub state: RunState,
    /// The time since the newest observation. `None` without any observation.
    pub age: Option<Duration>,
    /// The time from the run's beginning to the last write. `None` if the beginning is unknown.
    pub elapsed: Option<Duration>,
    pub colors: Colors,
}

/// The largest number of alarms and notices on the screen.
const NOTICES: usize = 4;

/// The number of rows of a complete picture, at most 2000.
pub fn height(view: &ViewData) -> u16 {
    let layers = rows(view.run, Default::default()).len();
    let notices = (view.run.alarms().len() + view.run.notices().len()).min(NOTICES);
    (6 + layers.max(1) + notices + usize::from(notices > 0)).min(2000) as u16
}

/// Draws the whole picture. A selection or scroll position that is no longer valid is corrected.
pub fn draw(view: &ViewData, state: &mut ViewState, area: Rect, buffer: &mut Buffer) {
    let mut pen = LineWriter::new(area, buffer);
    for line in header(view, state, area.width as usize) {
        pen.line(line);
    }
    let wide = area.width as usize;
    let rows = rows(view.run, state.sort);
    let keys = if rows.is_empty() {
        pen.line(Line::raw(waiting(view)));
        "q quit"
    } else if let Some(start) = &mut state.details {
        let row = &rows[ViewState::selected_in(&state.selected, &rows)];
        let lines = details::lines(view.run, row, view.colors, wide);
        let room = pen.room(1);
        *start = (*start).min(lines.len().saturating_sub(room));
        lines
            .into_iter()
            .skip(*start)
            .take(room)
            .for_each(|l| pen.line(l));
        "Enter back  ↑↓ scroll  p pause  q quit"
    } else {
        let notices = notices(view, wide);
        // The layers come first. Notices take the rows that are left after at least six layers.
        let spare = pen.room(1).saturating_sub(1 + rows.len().min(6));
        let shown = notices.len().min(spare);
        let selected = ViewState::selected_in(&state.selected, &rows);
        table(&mut pen, view, &rows, selected, shown + 1);
        notices.into_iter().take(shown).for_each(|l| pen.line(l));
        "↑↓ select  Enter details  s sort  p pause  q quit  α? see details"
    };
    pen.last(Line::styled(left(keys, wide), dim()));
}

/// Writes lines from the top of the area.
struct LineWriter<'b> {
    area: Rect,
    y: u16,
    buffer: &'b mut Buffer,
}

impl<'b> LineWriter<'b> {
    fn new(area: Rect, buffer: &'b mut Buffer) -> Self {
        Self {
            area,
            y: area.y,
            buffer,
        }
    }

    /// The number of rows that are left, without `kept` reserved rows.
    fn room(&self, kept: usize) -> usize {
        usize::from(self.area.bottom() - self.y).saturating_sub(kept)
    }

    fn line(&mut self, line: Line) {
        if self.y < self.area.bottom() {
            self.buffer
                .set_line(self.area.x, self.y, &line, self.area.width);
            self.y += 1;
        }
    }

    fn last(&mut self, line: Line) {
        self.y = self.y.max(self.area.bottom().saturating_sub(1));
        self.line(line);
    }
}

fn waiting(view: &ViewData) -> String {
    if view.state == RunState::Empty {
        format!("waiting for {}", clean(&view.path))
    } else {
        "no observation yet".to_owned()
    }
}

fn header(view: &ViewData, state: &ViewState, wide: usize) -> [Line<'static>; 4] {
    let mut first = match view.run.run() {
        "" => "heavytail".to_owned(),
        name => clean(name),
    };
    if let Some(summary) = view.run.summaries().last() {
        first += &format!(
            " · epoch {} · step {}",
            summary.stamp.epoch, summary.stamp.step
        );
    }
    if let Some(age) = view.age {
        first += &format!(" · observed {} ago", seconds(age.as_secs().max(1) as f64));
    }
    first += match view.state {
        RunState::Empty if view.run.records().is_empty() => "",
        RunState::Empty => " · the log is missing",
        RunState::Running => " · running",
        RunState::Ended => " · ended",
        RunState::Died => " · died: the process ended without closing the log",
    };
    let mark = if state.paused { " PAUSED " } else { "" };
    let first = Line::from(vec![
        Span::styled(left(&first, wide.saturating_sub(width(mark))), bold()),
        Span::styled(mark, Style::new().add_modifier(Modifier::REVERSED)),
    ]);
    let sorted = format!("sorted by {}", state.sort.title());
    let rule = "─".repeat(wide.saturating_sub(width(&sorted) + 3));
    [
        first,
        Line::raw(left(&scalars(view.run), wide)),
        Line::styled(left(&cost(view), wide), dim()),
        Line::styled(left(&format!("{rule} {sorted} ─"), wide), dim()),
    ]
}

/// The last value of every scalar that the training reports.
fn scalars(run: &Trajectory) -> String {
    let mut last: Vec<(&str, f64)> = Vec::new();
    for scalar in run.scalars() {
        match last.iter_mut().find(|(name, _)| *name == scalar.name) {
            Some((_, value)) => *value = scalar.value,
            None => last.push((&scalar.name, scalar.value)),
        }
    }
    // The line may be cut off at its end. Validation losses therefore come first, and training
    // accuracies last.
    last.sort_by_key(|(name, _)| (!name.contains("loss"), !name.contains("valid")));
    let words = last
        .iter()
        .map(|(name, v)| format!("{} {}", clean(name), number(*v)));
    words.collect::<Vec<_>>().join(" · ")
}

/// The time that observations take, for the last one and in total. Snapshots take time on the
/// training thread. The analysis runs on another thread. The shares refer to the time from the
/// run's beginning to the log's last change.
fn cost(view: &ViewData) -> String {
    let Some(last) = view.run.summaries().last() else {
        return String::new();
    };
    let all = view.run.summaries().iter();
    let (snapshots, mut analyses) = all.fold((0.0, 0.0), |(s, a), summary| {
        (s + summary.seconds_snapshot, a + summary.seconds_analysis)
    });
    let full = |r: &Record| r.values()?.full.as_ref().map(|full| full.seconds);
    analyses += view.run.records().iter().filter_map(full).sum::<f64>();
    let elapsed = view.elapsed.map_or(0.0, |e| e.as_secs_f64());
    let share = |s: f64| match elapsed {
        0.0 => String::new(),
        _ => format!(" ({:.2} %)", 100.0 * s / elapsed),
    };
    let mut words = format!(
        "snapshot {}, all {}{} · analysis {}, all {}{}",
        seconds(last.seconds_snapshot),
        seconds(snapshots),
        share(snapshots),
        seconds(last.seconds_analysis),
        seconds(analyses),
        share(analyses),
    );
    if elapsed > 0.0 {
        words += &format!(" of {}", seconds(elapsed));
    }
    words
}

/// The newest alarms, followed by the newest notices, below a title.
fn notices(view: &ViewData, wide: usize) -> Vec<Line<'static>> {
    let all = view.run.notices();
    let newest = all[all.len().saturating_sub(NOTICES)..].iter().rev();
    let alarms = view.run.alarms().iter().rev().map(|alarm| {
        let text = clean(&format!("! {alarm}"));
        Line::styled(left(&text, wide), Style::new().add_modifier(Modifier::BOLD))
    });
    let notices = newest.map(|notice| Line::raw(left(&clean(&notice.to_string()), wide)));
    let mut lines: Vec<Line> = alarms.chain(notices).take(NOTICES).collect();
    if !lines.is_empty() {
        let title = match view.run.alarms().len() {
            0 => format!("─ notices ({}) ", all.len()),
            alarms => format!("─ alarms ({alarms}), notices ({}) ", all.len()),
        };
        let rule = "─".repeat(wide.saturating_sub(width(&title)));
        lines.insert(0, Line::styled(title + &rule, dim()));
    }
    lines
}

/// The width of each column in cells. 0 means that a column has no room.
struct Widths {
    name: usize,
    shape: usize,
    phase: usize,
    spark: usize,
    noise: usize,
    rank: usize,
    lambda: usize,
}

/// The width of the column of α in cells.
const ALPHA: usize = 6;
/// The width of the mark before the selected row, in cells.
const MARK: usize = 2;

impl Widths {
    fn new(wide: usize, longest: usize, history: usize) -> Self {
        let mut w = Self {
            name: 0,
            shape: 0,
            phase: 22,
            spark: 0,
            noise: 0,
            rank: 0,
            lambda: 0,
        };
        let mut room = wide.saturating_sub(MARK + w.phase + 1 + ALPHA + 1 + 12);
        let mut take = |cells: usize| {
            let fits = room > cells;
            room -= if fits { cells + 1 } else { 0 };
            if fits { cells } else { 0 }
        };
        // The columns get their room in the order of their importance.
        w.spark = take(8);
        w.rank = take(6);
        w.lambda = take(7);
        w.shape = take(9);
        w.noise = take(11);
        let name = 12 + room;
        w.name = name.min(longest.max(12)).min(wide.saturating_sub(MARK));
        if w.spark > 0 {
            // The history of α gets the room that the names do not need.
            w.spark += (name - w.name).min(history.clamp(8, 60) - 8);
        }
        w
    }
}

fn table(pen: &mut LineWriter, view: &ViewData, rows: &[Row], selected: usize, kept: usize) {
    let names: Vec<String> = rows.iter().map(|r| clean(&r.record.layer)).collect();
    let longest = names.iter().map(|n| width(n)).max().unwrap_or(0);
    let history = rows.iter().map(|r| r.alphas.len()).max().unwrap_or(0);
    let w = Widths::new(pen.area.width as usize, longest, history);
    let title = |text: &str, cells: usize| match cells {
        0 => String::new(),
        _ => right(text, cells) + " ",
    };
    let titles = [
        " ".repeat(MARK) + &left("layer", w.name) + " ",
        if w.shape > 0 {
            left("shape", w.shape) + " "
        } else {
            String::new()
        },
        left("phase", w.phase) + " ",
        right("α", ALPHA) + " ",
        title("α of noise", w.noise),
        if w.spark > 0 {
            left("α trend", w.spark) + " "
        } else {
            String::new()
        },
        title("s.rank", w.rank),
        title("λmax", w.lambda),
    ];
    pen.line(Line::styled(titles.concat(), bold()));
    let room = pen.room(kept).max(1);
    // The table scrolls so that the selected row is visible.
    let first = selected
        .saturating_sub(room - 1)
        .min(rows.len().saturating_sub(room));
    let first = first.max((selected + 1).saturating_sub(room));
    for (i, row) in rows.iter().enumerate().skip(first).take(room) {
        let line = layer(view.colors, row, &names[i], &w);
        let (mark, style) = if i == selected {
            ("> ", bold())
        } else {
            ("  ", Style::new())
        };
        let mut spans = vec![Span::raw(mark)];
        spans.extend(line);
        pen.line(Line::from(spans).style(style));
    }
}

fn layer(colors: Colors, row: &Row, name: &str, w: &Widths) -> Vec<Span<'static>> {
    let values = row.record.values();
    let cell = |cells: usize, text: Option<String>| match cells {
        0 => Span::raw(""),
        _ => Span::raw(right(&text.unwrap_or_else(|| "–".to_owned()), cells) + " "),
    };
    let shape: Vec<String> = row.record.shape.iter().map(ToString::to_string).collect();
    let mut spans = vec![Span::raw(tail(name, w.name) + " ")];
    if w.shape > 0 {
        spans.push(Span::raw(left(&shape.join("×"), w.shape) + " "));
    }
    spans.extend(phase(colors, row.record, w.phase));
    let doubt = if row.record.is_questionable(DoubtSubject::Alpha) {
        '?'
    } else {
        ' '
    };
    let alpha = row.record.alpha().map(|a| format!("{}{doubt}", short(a)));
    spans.push(cell(ALPHA, alpha));
    spans.push(cell(w.noise, values.and_then(details::noise)));
    if w.spark > 0 {
        spans.push(Span::raw(
            left(&sparkline(&row.alphas, w.spark), w.spark) + " ",
        ));
    }
    spans.push(cell(w.rank, values.map(|v| short(v.primary.stable_rank))));
    spans.push(cell(w.lambda, values.map(|v| number(v.primary.lambda_max))));
    spans
}

/// The phase: a tile with its letter, its name and its confidence.
fn phase(colors: Colors, record: &Record, cells: usize) -> [Span<'static>; 2] {
    let values = record.values();
    let Some((phase, values)) = record.phase().zip(values) else {
        let why = match record.outcome {
            LayerOutcome::Success(_) => "no phase",
            _ => record.outcome.status(),
        };
        return [
            Span::raw(" – "),
            Span::raw(left(&format!(" {why}"), cells - 3) + " "),
        ];
    };
    let sure = match values.phase_confidence {
        Some(p) if !record.is_questionable(DoubtSubject::Phase) => format!("{:.0}%", 100.0 * p),
        // A doubtful phase always has a question mark.
        Some(p) => format!("{:.0}%?", 100.0 * p),
        None => "?".to_owned(),
    };
    let text = left(&format!(" {}", phase.title()), cells - 3 - 5) + &right(&sure, 5);
    [
        Span::styled(format!(" {} ", phase.letter()), colors.tile(phase)),
        Span::raw(text + " "),
    ]
}

/// A picture as text, without the spaces at the ends of its lines.
pub fn plain(buffer: &Buffer) -> String {
    let wide = usize::from(buffer.area.width).max(1);
    let mut text = String::new();
    for row in buffer.content.chunks(wide) {
        let mut line = String::new();
        let mut covered = 0;
        for cell in row {
            // A wide character covers the cells after it.
            if covered > 0 {
                covered -= 1;
                continue;
            }
            line += cell.symbol();
            covered = width(cell.symbol()).saturating_sub(1);
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}
