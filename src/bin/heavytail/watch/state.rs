//! The user's choices in the terminal view, and the rows in the chosen order.

use std::cmp::Ordering;
use std::collections::HashMap;

use heavytail::{Record, Trajectory};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The order of the rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    /// The order of the layers in the model.
    #[default]
    Depth,
    Name,
    /// The phase furthest from Random-like first.
    Phase,
    /// The smallest α first, which is the heaviest tail.
    Alpha,
    /// The smallest stable rank first.
    StableRank,
    /// The largest λmax first.
    LambdaMax,
}

impl Sort {
    fn next(self) -> Self {
        match self {
            Sort::Depth => Sort::Name,
            Sort::Name => Sort::Phase,
            Sort::Phase => Sort::Alpha,
            Sort::Alpha => Sort::StableRank,
            Sort::StableRank => Sort::LambdaMax,
            Sort::LambdaMax => Sort::Depth,
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Sort::Depth => "depth",
            Sort::Name => "name",
            Sort::Phase => "phase",
            Sort::Alpha => "α",
            Sort::StableRank => "stable rank",
            Sort::LambdaMax => "λmax",
        }
    }
}

/// A layer: its newest record, and α at each of its observations.
pub struct Row<'a> {
    pub record: &'a Record,
    pub alphas: Vec<Option<f64>>,
}

/// The layers in the chosen order. Layers without the value come last.
pub fn rows(run: &Trajectory, sort: Sort) -> Vec<Row<'_>> {
    let mut rows: Vec<Row> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for record in run.records() {
        let place = *places.entry(&record.layer).or_insert(rows.len());
        if place == rows.len() {
            let alphas = Vec::new();
            rows.push(Row { record, alphas });
        }
        rows[place].record = record;
        rows[place].alphas.push(record.alpha());
    }
    let number = |row: &Row| {
        let values = row.record.values()?;
        match sort {
            Sort::Depth | Sort::Name => None,
            Sort::Phase => values.phase.map(|p| -f64::from(p as u8)),
            Sort::Alpha => values.primary.alpha,
            Sort::StableRank => Some(values.primary.stable_rank),
            Sort::LambdaMax => Some(-values.primary.lambda_max),
        }
    };
    rows.sort_by(|a, b| match (number(a), number(b)) {
        (Some(x), Some(y)) => x.total_cmp(&y),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) if sort == Sort::Name => a.record.layer.cmp(&b.record.layer),
        (None, None) => Ordering::Equal,
    });
    rows
}

/// What the program must do after a key, apart from a new drawing.
#[derive(Debug, PartialEq, Eq)]
pub enum KeyAction {
    Nothing,
    Quit,
}

/// The choices of the user.
#[derive(Debug, Default)]
pub struct ViewState {
    /// The name of the selected layer. `None` selects the first layer. A new order does not change
    /// the selection.
    pub selected: Option<String>,
    pub sort: Sort,
    /// The first line of the details on the screen. `None` shows the table of layers.
    pub details: Option<usize>,
    /// Whether reading of the log is paused.
    pub paused: bool,
}

impl ViewState {
    /// The position of the selected layer in the rows.
    pub fn selected_in(selected: &Option<String>, rows: &[Row]) -> usize {
        let is = |row: &Row| Some(&row.record.layer) == selected.as_ref();
        rows.iter().position(is).unwrap_or(0)
    }

    /// Changes the state according to a key.
    pub fn key(&mut self, key: KeyEvent, run: &Trajectory) -> KeyAction {
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                return KeyAction::Quit;
            }
            KeyCode::Char('q') => return KeyAction::Quit,
            KeyCode::Esc if self.details.take().is_none() => return KeyAction::Quit,
            KeyCode::Esc => {}
            KeyCode::Enter if self.details.take().is_none() => self.details = Some(0),
            KeyCode::Enter => {}
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('p') => self.paused = !self.paused,
            KeyCode::Up | KeyCode::Char('k') => self.go(-1, run),
            KeyCode::Down | KeyCode::Char('j') => self.go(1, run),
            KeyCode::PageUp => self.go(-10, run),
            KeyCode::PageDown => self.go(10, run),
            _ => {}
        }
        KeyAction::Nothing
    }

    /// Moves the selection or scrolls the details by this number of lines.
    fn go(&mut self, by: isize, run: &Trajectory) {
        if let Some(line) = &mut self.details {
            *line = line.saturating_add_signed(by);
            return;
        }
        let rows = rows(run, self.sort);
        let last = rows.len().saturating_sub(1);
        let place = Self::selected_in(&self.selected, &rows)
            .saturating_add_signed(by)
            .min(last);
        self.selected = rows.get(place).map(|row| row.record.layer.clone());
    }
}
