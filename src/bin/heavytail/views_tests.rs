//! Shows one record in every view, and checks that all views have the same marks and texts.

use heavytail::record::field::{Cell, FIELDS, field};
use heavytail::record::{Doubt, DoubtSubject, Header, Line, Stamp, Summary};
use heavytail::report::{Run, html};
use heavytail::sink::{Sink, TensorBoardSink, csv};
use heavytail::{Config, Phase, Record, Trajectory, WeightMatrix, analyze};

use crate::output::{Format, ModelTable, Printing, print};
use crate::watch;

/// The report and record of a noise matrix. Its α lies within the range of noise, and it has no
/// power law. `uncertain` sets a low confidence of the phase by hand.
fn record(uncertain: bool, seed: u64) -> (heavytail::LayerReport, Record) {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(99);
        (state >> 40) as f64 / (1u64 << 24) as f64 - 0.5
    };
    let weights: Vec<f64> = (0..140 * 70).map(|_| next() + next() + next()).collect();
    let matrix = WeightMatrix::new("fc1", 140, 70, weights).unwrap();
    let mut report = analyze(&matrix, &Config::default()).unwrap();
    if uncertain {
        let verdict = report.phase.as_mut().unwrap();
        (verdict.confidence, verdict.indeterminate) = (0.55, true);
    }
    let record = Record::success("run", Stamp::default(), 0, &report);
    (report, record)
}

fn run_of(record: &Record) -> Trajectory {
    let records = std::slice::from_ref(record);
    let summary = Summary::new("run", record.stamp, records, 0.0);
    [
        Line::Header(Header::new("run", &Config::live())),
        Line::Layer(Box::new(record.clone())),
        Line::Summary(Box::new(summary)),
    ]
    .into_iter()
    .collect()
}

/// The text that each view shows for a record.
fn views(report: &heavytail::LayerReport, record: &Record) -> Vec<(&'static str, String)> {
    let dir = tempfile::tempdir().unwrap();
    let run = run_of(record);
    // The table of `analyze`.
    let path = dir.path().join("table.txt");
    let printing = Printing::to_file(Format::Table, path.clone());
    let sheet = ModelTable::new(
        "model".as_ref(),
        vec![record.clone()],
        run.summaries()[0].clone(),
        false,
    );
    print(&[sheet], &printing).unwrap();
    let table = std::fs::read_to_string(path).unwrap();
    // The page's data. A `?` is a bit of `m`. Equal texts are stored once.
    let mut page = Run::new("run");
    page.push(Line::Layer(Box::new(record.clone())));
    let page = html(&[page]).unwrap();
    // An event file stores its texts without encoding.
    let mut board = TensorBoardSink::create(dir.path()).unwrap();
    board.line(&Line::Layer(Box::new(record.clone()))).unwrap();
    board.flush().unwrap();
    let board = String::from_utf8_lossy(&std::fs::read(board.path()).unwrap()).into_owned();
    vec![
        ("report", report.to_string()),
        ("table", table),
        ("watch", watch::once_as_text(&run)),
        ("details", watch::details_as_text(&run)),
        ("page", page),
        ("board", board),
    ]
}

#[test]
fn every_view_shows_the_same_doubts() {
    for uncertain in [false, true] {
        // About one noise matrix in ten has an α outside the 5–95 % range of noise.
        let within = |d: &Doubt| matches!(d, Doubt::WithinNoise { .. });
        let (report, record) = (1..)
            .map(|seed| record(uncertain, seed))
            .find(|(_, record)| record.doubts().iter().any(within))
            .unwrap();
        assert_eq!(record.phase(), Some(Phase::RandomLike));
        let doubts = record.doubts();
        assert!(doubts.iter().any(|d| matches!(d, Doubt::NoPowerLaw { .. })));
        assert_eq!(record.is_questionable(DoubtSubject::Phase), uncertain);
        assert!(
            record.is_questionable(DoubtSubject::Alpha)
                && !record.is_questionable(DoubtSubject::Bulk)
        );
        let alpha = record.alpha().unwrap();
        for (view, text) in views(&report, &record) {
            // The page stores texts and their numbers separately. The terminal view breaks lines.
            let flat: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
            for doubt in doubts {
                let first = doubt
                    .phrase()
                    .pieces()
                    .iter()
                    .find_map(|piece| match piece {
                        heavytail::record::Piece::Text(text) => Some(text.trim().to_owned()),
                        heavytail::record::Piece::Number(..) => None,
                    });
                let words = first.unwrap();
                let shown = flat.contains(&words) || view == "watch";
                assert!(shown, "{view}: {words}\n{text}");
            }
            let marks = match view {
                "page" => {
                    let bits = 1 + if uncertain { 4 } else { 0 };
                    text.contains(&format!("\"m\":{bits},"))
                        && text.contains(&format!("<td>{alpha:.2}? ±"))
                        && text.contains("<td>Random-like?</td>") == uncertain
                }
                "report" => text.contains(" %)?") == uncertain && text.contains("doubt: "),
                "board" => {
                    text.contains(&format!("α = {alpha:.2}?"))
                        && text.contains("probability 0.55?") == uncertain
                }
                "details" => text.contains(&format!("{alpha:.3}?")),
                _ => {
                    text.contains(&format!("{alpha:.2}?"))
                        && (text.contains("%?") || text.contains("%  ?") || text.contains(" %?"))
                            == uncertain
                }
            };
            assert!(marks, "{view}, uncertain {uncertain}:\n{text}");
        }
        // The tables for programs show the codes.
        let codes: Vec<&str> = doubts.iter().map(Doubt::code).collect();
        let cell = field("doubts").unwrap().cell(&record);
        assert_eq!(cell, Cell::Text(codes.join(" ").into()));
        let place = FIELDS.iter().position(|f| f.name == "doubts").unwrap();
        assert_eq!(csv::text(FIELDS[place].cell(&record)), codes.join(" "));
        let json = serde_json::to_value(&record).unwrap();
        assert_eq!(json["doubts"].as_array().unwrap().len(), codes.len());
    }
}

/// A short spectrum whose fit of the bulk is made bad by hand. Its interval and its bulk are in
/// doubt.
#[test]
fn intervals_and_bulks_are_marked_too() {
    let weights: Vec<f64> = (0..60 * 40)
        .map(|i| ((i * i * 31 + i * 7) % 1009) as f64 - 504.0)
        .collect();
    let matrix = WeightMatrix::new("fc1", 60, 40, weights).unwrap();
    let report = analyze(&matrix, &Config::default()).unwrap();
    let mut record = Record::success("run", Stamp::default(), 0, &report);
    let values = record.values_mut().unwrap();
    values.bulk_d = Some(0.4);
    values.update_doubts();
    assert!(
        record.is_questionable(DoubtSubject::Bulk)
            && record.is_questionable(DoubtSubject::Interval)
    );
    let spikes = record.values().unwrap().num_spikes.unwrap();
    let bits = 2 + 8 + u8::from(record.is_questionable(DoubtSubject::Alpha));
    let bits = bits + 4 * u8::from(record.is_questionable(DoubtSubject::Phase));
    for (view, text) in views(&report, &record) {
        let flat: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let marks = match view {
            "page" => {
                text.contains(&format!("\"m\":{bits},"))
                    && text.contains(&format!("<td>{spikes}?</td>"))
            }
            "table" => text.contains(&format!(" {spikes}?  ")),
            "details" => flat.contains(&format!("{spikes}? eigenvalues beyond")),
            "board" => {
                flat.contains("the bulk is not Marchenko–Pastur")
                    && flat.contains("the interval covers")
            }
            // The report is made before the doubt is set. The overview of a run has no column for
            // spikes.
            _ => true,
        };
        assert!(marks, "{view}:\n{text}");
    }
}
