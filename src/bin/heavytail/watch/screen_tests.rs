//! Tests of the terminal view on a backend without a terminal.

use heavytail::record::{
    Alarm, AlarmEvidence, AlarmRule, Carried, Event, LayerOutcome, Line, Notice, Scalar, Stamp,
    Summary,
};
use heavytail::run::RunState;
use heavytail::{Config, LayerError, Phase, Record, Trajectory, WeightMatrix, analyze};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::colors::Colors;
use super::screen::{ViewData, draw, height, plain};
use super::state::{KeyAction, Sort, ViewState};
use std::time::Duration;

const LONG: &str = "encoder.layers.11.self_attention.output_projection.weight";
const HOSTILE: &str = "evil\u{1b}[2J\u{1b}]0;owned\u{7}\r\n\u{9b}31m\u{202e}name";

fn weights(seed: u64, rows: usize, cols: usize) -> Vec<f64> {
    let mut state = seed + 1;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(99);
        (state >> 40) as f64 / (1u64 << 24) as f64 - 0.5
    };
    (0..rows * cols).map(|_| next() + next() + next()).collect()
}

/// Five epochs of several layers whose phases are set by hand. One layer fails.
fn training() -> Trajectory {
    use Phase::*;
    let layers = [
        ("conv1.weight", vec![RandomLike; 5]),
        (
            "fc1.weight",
            vec![
                RandomLike,
                BleedingOut,
                BulkPlusSpikes,
                BulkPlusSpikes,
                BulkPlusSpikes,
            ],
        ),
        (LONG, vec![HeavyTailed; 5]),
        (HOSTILE, vec![RankCollapse; 5]),
        ("層.の.名前.weight", vec![BulkDecay; 5]),
    ];
    let mut lines = Vec::new();
    for epoch in 0..5 {
        let step = 100 * epoch as u64;
        let stamp = Stamp { epoch, step };
        let mut records = Vec::new();
        for (id, (name, phases)) in layers.iter().enumerate() {
            let matrix = weights((10 * id + epoch) as u64, 90, 40);
            let matrix = WeightMatrix::new(*name, 90, 40, matrix).unwrap();
            let report = analyze(&matrix, &Config::live()).unwrap();
            let mut record = Record::success("demo", stamp, id, &report);
            let values = record.values_mut().unwrap();
            values.phase = Some(phases[epoch]);
            values.phase_confidence = Some(if id == 4 { 0.5 } else { 0.93 });
            values.indeterminate = Some(id == 4);
            values.update_doubts();
            records.push(record);
        }
        let mut failed = records[0].clone();
        failed.layer = "broken".into();
        failed.outcome = LayerOutcome::Failed(LayerError::NotFinite { count: 1, of: 3600 });
        records.push(failed);
        lines.push(Line::Summary(Box::new(Summary::new(
            "demo", stamp, &records, 0.002,
        ))));
        lines.extend(records.into_iter().map(|r| Line::Layer(Box::new(r))));
        lines.push(Line::Scalar(Scalar::new(
            "demo",
            epoch,
            "valid loss",
            1.0 / (1.0 + epoch as f64),
        )));
    }
    let event = Event::NotFinite {
        name: "train loss".into(),
        value: "NaN\u{1b}[31m".into(),
    };
    lines.push(Line::Notice(Notice::new("demo", Some(3), event)));
    lines.into_iter().collect()
}

fn view(run: &Trajectory) -> ViewData<'_> {
    ViewData {
        run,
        path: "runs/demo/log.jsonl".into(),
        state: RunState::Running,
        age: Some(Duration::from_secs(12)),
        elapsed: Some(Duration::from_secs(100)),
        colors: Colors::True,
    }
}

fn picture(view: &ViewData, state: &mut ViewState, wide: u16, high: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(wide, high)).unwrap();
    let draw = |frame: &mut ratatui::Frame| draw(view, state, frame.area(), frame.buffer_mut());
    terminal.draw(draw).unwrap();
    terminal.backend().buffer().clone()
}

fn text(run: &Trajectory, state: &mut ViewState, wide: u16, high: u16) -> String {
    plain(&picture(&view(run), state, wide, high))
}

fn press(state: &mut ViewState, run: &Trajectory, key: KeyCode) -> KeyAction {
    state.key(KeyEvent::new(key, KeyModifiers::NONE), run)
}

#[test]
fn alarms_come_before_notices() {
    let mut run = training();
    let evidence = AlarmEvidence::Earlier {
        text: "3 weights\u{1b}[31m".into(),
    };
    let stamp = Stamp::from_epoch(2);
    run.push(Line::Alarm(Alarm::new(
        "demo",
        stamp,
        "fc1.weight",
        AlarmRule::NotFinite,
        evidence,
    )));
    let text = text(&run, &mut ViewState::default(), 80, 24);
    let lines: Vec<&str> = text.lines().collect();
    let title = lines
        .iter()
        .position(|l| l.contains("alarms (1), notices (1)"));
    let alarm = lines[title.expect(&text) + 1];
    assert!(
        alarm.starts_with("! fc1.weight not finite at epoch 2: 3 weights\u{FFFD}"),
        "{text}"
    );
}

#[test]
fn everything_is_there_at_80_by_24() {
    let run = training();
    let text = text(&run, &mut ViewState::default(), 80, 24);
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].contains("epoch 4 · step 400 · observed 12 s ago"),
        "{text}"
    );
    assert!(lines[1].contains("valid loss 0.2000"), "{text}");
    assert!(
        lines[2].starts_with("snapshot 2.0 ms, all 10 ms (0.01 %)"),
        "{text}"
    );
    let line = |name: &str| *lines.iter().find(|l| l.contains(name)).expect(&text);
    assert!(line("conv1.weight").starts_with("> conv1.weight"), "{text}");
    assert!(
        line("conv1.weight").contains("R  Random-like    93%"),
        "{text}"
    );
    assert!(
        line("fc1.weight").contains("S  Bulk+Spikes    93%"),
        "{text}"
    );
    assert!(line("fc1.weight").contains("90×40"), "{text}");
    assert!(line("H  Heavy-tailed").contains("…"), "{text}");
    assert!(line("H  Heavy-tailed").contains(".weight"), "{text}");
    assert!(line("C  Rank-collapse").contains("93%"), "{text}");
    assert!(line("D  Bulk-decay").contains("50%?"), "{text}");
    assert!(line("broken").contains("–  failed"), "{text}");
    let blocks = |l: &str| l.chars().filter(|c| ('▁'..='█').contains(c)).count();
    assert_eq!(blocks(line("fc1.weight")), 5, "{text}");
    assert!(text.contains("notices (1)"), "{text}");
    assert!(
        text.contains("epoch 3: train loss is NaN\u{FFFD}[31m"),
        "{text}"
    );
    assert!(lines[23].contains("q quit"), "{text}");
}

#[test]
fn it_fits_every_terminal_and_nothing_commands_it() {
    let run = training();
    let empty = Trajectory::default();
    for wide in (1..30).chain([47, 60, 79, 80, 100, 132, 211]) {
        for high in [1, 2, 3, 5, 6, 8, 10, 24, 60] {
            for details in [None, Some(0), Some(1000)] {
                for run in [&run, &empty] {
                    let selected = Some(HOSTILE.to_owned());
                    let mut state = ViewState {
                        selected,
                        details,
                        ..ViewState::default()
                    };
                    let buffer = picture(&view(run), &mut state, wide, high);
                    let control = |c: char| c.is_control() || c == '\u{202e}';
                    assert!(!buffer.content.iter().any(|c| c.symbol().contains(control)));
                    if high >= 10 && details.is_none() && run.records().len() > 1 {
                        assert!(
                            plain(&buffer).lines().any(|l| l.starts_with('>')),
                            "{wide}×{high}"
                        );
                    }
                }
            }
        }
    }
    let narrow = text(&run, &mut ViewState::default(), 60, 24);
    for word in [
        "conv1.weight",
        "R  Random-like",
        "S  Bulk+Spikes",
        "α trend",
    ] {
        assert!(narrow.contains(word), "{narrow}");
    }
    let wide = text(&run, &mut ViewState::default(), 160, 24);
    assert!(wide.contains(LONG) && wide.contains("α of noise"), "{wide}");
}

#[test]
fn colour_is_never_alone() {
    let run = training();
    let tile = |colors: Colors| {
        let view = ViewData {
            colors,
            ..view(&run)
        };
        let buffer = picture(&view, &mut ViewState::default(), 80, 24);
        let cell = buffer
            .content
            .iter()
            .find(|c| c.symbol() == "R" && c.bg != Color::Reset);
        cell.map(|c| c.bg)
    };
    assert_eq!(tile(Colors::True), Some(Color::Rgb(0x56, 0xB4, 0xE9)));
    assert_eq!(tile(Colors::Indexed), Some(Color::Indexed(74)));
    assert_eq!(tile(Colors::None), None);
}

#[test]
fn keys_select_sort_and_open_a_layer() {
    let run = training();
    let mut state = ViewState::default();
    let mark = |state: &mut ViewState| {
        let text = text(&run, state, 100, 24);
        let line = text.lines().find(|l| l.starts_with('>')).expect(&text);
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    press(&mut state, &run, KeyCode::Down);
    assert_eq!(mark(&mut state), "fc1.weight");
    // A change of the order keeps the same layer selected.
    press(&mut state, &run, KeyCode::Char('s'));
    press(&mut state, &run, KeyCode::Char('s'));
    assert_eq!(state.sort, Sort::Phase);
    assert_eq!(mark(&mut state), "fc1.weight");
    let sorted = text(&run, &mut state, 80, 24);
    let place = |word: &str| sorted.find(word).expect(&sorted);
    assert!(place("Rank-collapse") < place("Heavy-tailed"), "{sorted}");
    assert!(place("Heavy-tailed") < place("Random-like"), "{sorted}");
    assert!(place("Random-like") < place("broken"), "{sorted}");
    for _ in 0..20 {
        press(&mut state, &run, KeyCode::Down);
    }
    assert_eq!(mark(&mut state), "broken");
    for _ in 0..20 {
        press(&mut state, &run, KeyCode::Up);
    }

    state.selected = Some("fc1.weight".into());
    press(&mut state, &run, KeyCode::Enter);
    let details = text(&run, &mut state, 80, 40);
    let words = [
        "S  Bulk+Spikes",
        "C  Rank-collapse",
        "░░░",
        "num_spikes = ",
        "a spectrum that is Bulk+Spikes is no power law",
        "epoch 0 ",
        "transitions",
        "epoch 2: Random-like to Bulk+Spikes",
        "N = 90, M = 40",
    ];
    for word in words {
        assert!(details.contains(word), "{word}:\n{details}");
    }
    assert_eq!(press(&mut state, &run, KeyCode::Esc), KeyAction::Nothing);
    press(&mut state, &run, KeyCode::Char('p'));
    assert!(text(&run, &mut state, 80, 24).contains("PAUSED"));
    assert_eq!(press(&mut state, &run, KeyCode::Esc), KeyAction::Quit);
    assert_eq!(press(&mut state, &run, KeyCode::Char('q')), KeyAction::Quit);
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(state.key(interrupt, &run), KeyAction::Quit);
}

#[test]
fn a_layer_that_was_not_analysed_again_says_so() {
    let mut run = Trajectory::default();
    let mut record = training().records()[0].clone();
    record.stamp = Stamp::from_epoch(7);
    record.carried = Some(Carried::new(Stamp::from_epoch(5), 0.0012, 0.25, 1.0));
    run.push(Line::Layer(Box::new(record)));
    let mut state = ViewState::default();
    press(&mut state, &run, KeyCode::Enter);
    let text = text(&run, &mut state, 160, 40);
    assert!(
        text.contains("not analysed again: the numbers are those of epoch 5; ‖ΔW‖/‖W‖ = 1.20e-3"),
        "{text}"
    );
}

#[test]
fn it_waits_for_what_is_not_there_yet() {
    let run = Trajectory::default();
    let missing = ViewData {
        state: RunState::Empty,
        ..view(&run)
    };
    let text = plain(&picture(&missing, &mut ViewState::default(), 80, 24));
    assert!(text.contains("waiting for runs/demo/log.jsonl"), "{text}");
}

#[test]
fn one_picture_has_every_layer() {
    let run = training();
    let view = view(&run);
    let text = plain(&picture(
        &view,
        &mut ViewState::default(),
        80,
        height(&view),
    ));
    for word in ["conv1.weight", "fc1.weight", "broken", "notices (1)", "NaN"] {
        assert!(text.contains(word), "{text}");
    }
}
