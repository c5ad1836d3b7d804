//! The command `heavytail watch`, which follows a running training in the terminal.

mod colors;
mod details;
mod follow;
mod screen;
#[cfg(test)]
mod screen_tests;
mod state;
mod text;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::layout::Rect;

use crate::exit::Exit;
use crate::output::write;
use colors::Colors;
use follow::Follower;
use screen::ViewData;
use state::{KeyAction, ViewState};

#[derive(Args)]
pub struct Options {
    /// Folder of the run, which holds log.jsonl. The log need not exist yet
    run: PathBuf,
    /// Print one picture as text and exit. This is the default if the output is not a terminal
    #[arg(long)]
    once: bool,
}

/// The time between two checks of the log.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// The longest time between two drawings. The picture shows how long ago the last observation was.
const REDRAW_INTERVAL: Duration = Duration::from_secs(1);

pub fn run(options: &Options) -> Result<Exit> {
    let mut follower = Follower::new(options.run.clone());
    follower.poll()?;
    if options.once || !std::io::stdout().is_terminal() {
        let path = follower.path().display();
        ensure!(!follower.is_missing(), "{path}: there is no log yet");
        write(&once(&follower), None)?;
        return Ok(Exit::Success);
    }
    // `try_init` also installs a hook that restores the terminal after a panic.
    let mut terminal = ratatui::try_init()?;
    let ended = follow(&mut terminal, &mut follower);
    ratatui::try_restore()?;
    ended?;
    Ok(Exit::Success)
}

fn follow(terminal: &mut DefaultTerminal, follower: &mut Follower) -> Result<()> {
    let colors = colors();
    let mut state = ViewState::default();
    loop {
        let view = view(follower, colors);
        terminal.draw(|frame| {
            screen::draw(&view, &mut state, frame.area(), frame.buffer_mut());
        })?;
        let drawn = Instant::now();
        while drawn.elapsed() < REDRAW_INTERVAL {
            if event::poll(POLL_INTERVAL)? {
                match event::read()? {
                    Event::Key(key) if key.kind != KeyEventKind::Release => {
                        if state.key(key, &follower.run) == KeyAction::Quit {
                            return Ok(());
                        }
                        break;
                    }
                    Event::Resize(..) => break,
                    _ => {}
                }
            }
            if !state.paused && follower.poll()? {
                break;
            }
        }
    }
}

fn view(follower: &Follower, colors: Colors) -> ViewData<'_> {
    let since = |from: SystemTime, to: SystemTime| to.duration_since(from).ok();
    let header = follower.run.header();
    let began = header.map(|h| UNIX_EPOCH + Duration::from_secs(h.unix_time));
    ViewData {
        run: &follower.run,
        path: follower.path().display().to_string(),
        state: follower.state,
        age: follower
            .observed()
            .and_then(|at| since(at, SystemTime::now())),
        elapsed: began.zip(follower.written()).and_then(|(a, b)| since(a, b)),
        colors,
    }
}

/// One picture with every layer, as text.
fn once(follower: &Follower) -> String {
    let view = view(follower, Colors::None);
    let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let wide: u16 = columns.unwrap_or(80).clamp(40, 500);
    let area = Rect::new(0, 0, wide, screen::height(&view));
    let mut buffer = Buffer::empty(area);
    screen::draw(&view, &mut ViewState::default(), area, &mut buffer);
    screen::plain(&buffer)
}

fn colors() -> Colors {
    let is = |name: &str| std::env::var(name).unwrap_or_default();
    if !is("NO_COLOR").is_empty() || is("TERM") == "dumb" {
        Colors::None
    } else if ["truecolor", "24bit"].contains(&is("COLORTERM").as_str()) {
        Colors::True
    } else {
        Colors::Indexed
    }
}

#[cfg(test)]
fn view_of(run: &heavytail::Trajectory) -> ViewData<'_> {
    ViewData {
        run,
        path: "log.jsonl".to_owned(),
        state: heavytail::run::RunState::Running,
        age: None,
        elapsed: None,
        colors: Colors::None,
    }
}

/// The picture of a run with 160 columns, as text.
#[cfg(test)]
pub fn once_as_text(run: &heavytail::Trajectory) -> String {
    let view = view_of(run);
    let area = Rect::new(0, 0, 160, screen::height(&view));
    let mut buffer = Buffer::empty(area);
    screen::draw(&view, &mut ViewState::default(), area, &mut buffer);
    screen::plain(&buffer)
}

/// The details of the run's first layer, as text.
#[cfg(test)]
pub fn details_as_text(run: &heavytail::Trajectory) -> String {
    let mut state = ViewState {
        details: Some(0),
        ..ViewState::default()
    };
    let area = Rect::new(0, 0, 160, 100);
    let mut buffer = Buffer::empty(area);
    screen::draw(&view_of(run), &mut state, area, &mut buffer);
    screen::plain(&buffer)
}
