//! Tests of the HTML report.

use super::*;
use crate::analysis::analyze;
use crate::config::Config;
use crate::matrix::WeightMatrix;
use crate::phase::{Annotation, Phase};
use crate::record::{Alarm, AlarmEvidence, AlarmRule, End, Event, Header, Scalar};
use crate::sink::{JsonlSink, Sink};
use Phase::{BleedingOut, BulkPlusSpikes, HeavyTailed, RandomLike};

/// A record of a layer with a given phase.
fn record(layer: &str, epoch: usize, phase: Phase, confidence: f64) -> Record {
    let values: Vec<f64> = (0..2400)
        .map(|i| f64::from((i * 37) % 101) - 50.0)
        .collect();
    let w = WeightMatrix::new(layer, 60, 40, values).unwrap();
    let report = analyze(&w, &Config::live()).unwrap();
    let mut record = Record::success("r", Stamp::from_epoch(epoch), 0, &report);
    let values = record.values_mut().unwrap();
    values.phase = Some(phase);
    values.phase_confidence = Some(confidence);
    values.indeterminate = Some(confidence < 0.6);
    values.update_doubts();
    record
}

fn run_of(records: impl IntoIterator<Item = Record>) -> Run {
    let mut run = Run::new("r");
    for record in records {
        run.push(Line::Layer(Box::new(record)));
    }
    run
}

#[test]
fn names_stay_text() {
    let hostile = "</script><script>alert('1')</script> \"&🔥";
    let mut run = run_of([record(hostile, 0, RandomLike, 0.9)]);
    run.name = hostile.to_owned();
    run.push(Line::Notice(Notice {
        run: "r".to_owned(),
        epoch: None,
        event: Event::Message {
            text: hostile.to_owned(),
        },
    }));
    run.push(Line::Alarm(Alarm {
        run: "r".to_owned(),
        stamp: Stamp::from_epoch(2),
        layer: hostile.to_owned(),
        rule: AlarmRule::SoftCollapse,
        evidence: AlarmEvidence::Earlier {
            text: hostile.to_owned(),
        },
    }));
    let page = html(&[run]).unwrap();
    // Only the template contains these tags.
    let plain = html(&[Run::new("plain")]).unwrap();
    for tag in ["<script", "</script"] {
        assert_eq!(page.matches(tag).count(), plain.matches(tag).count());
    }
    assert!(page.contains("\\u003c/script>\\u003cscript>alert('1')"));
    assert!(page.contains("&lt;script&gt;alert(&#x27;1&#x27;)"));
}

#[test]
fn the_page_holds_what_it_needs() {
    let page = html(&[Run::new("plain")]).unwrap();
    for outside in ["<link rel=\"stylesheet", "src=\"", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    for script in SCRIPTS {
        assert!(!script.contains("innerHTML") && !script.contains("</script"));
    }
}

#[test]
fn data_stay_within_their_budget() {
    // 400 layers at 60 epochs are about twice the cells that fit.
    let one = record("w", 0, BleedingOut, 0.8);
    let spectrum =
        Spectrum::from_eigenvalues((1..=300).map(f64::from).collect(), 600, 300).unwrap();
    let mut run = Run::new("large");
    for epoch in 0..60 {
        let stamp = Stamp::from_epoch(epoch);
        let mut spectra = Vec::new();
        for layer in 0..400 {
            let mut record = one.clone();
            record.layer = format!("layer {layer}");
            record.stamp = stamp;
            spectra.push((record.layer.clone(), spectrum.clone()));
            run.push(Line::Layer(Box::new(record)));
        }
        run.observe(stamp, &spectra);
    }
    let data = Data::new(std::slice::from_ref(&run)).unwrap();
    let json = data.json().unwrap();
    assert!(json.len() < 5_200_000, "{}", json.len());
    assert!(
        data.notes.iter().any(|n| n.contains("one in 2 ")),
        "{:?}",
        data.notes
    );
    assert!(
        data.notes.iter().any(|n| n.contains("quantiles")),
        "{:?}",
        data.notes
    );
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let stamps = value["runs"][0]["stamps"].as_array().unwrap();
    assert_eq!(
        (
            stamps.first().unwrap()[0].as_u64(),
            stamps.last().unwrap()[0].as_u64()
        ),
        (Some(0), Some(59))
    );
}

/// A run with alternating phases, spectra and scalars.
fn grid(layers: usize, epochs: usize, scalars: usize, name: &str) -> Run {
    let bases = [BleedingOut, HeavyTailed].map(|phase| record("w", 0, phase, 0.8));
    let eigenvalues = (1..=40).map(f64::from).collect();
    let spectrum = Spectrum::from_eigenvalues(eigenvalues, 60, 40).unwrap();
    let mut run = Run::new(name);
    for epoch in 0..epochs {
        let stamp = Stamp::from_epoch(epoch);
        let mut spectra = Vec::new();
        for layer in 0..layers {
            let mut record = bases[(epoch + layer) % 2].clone();
            record.layer = format!("blocks.{layer}.weight");
            record.stamp = stamp;
            spectra.push((record.layer.clone(), spectrum.clone()));
            run.push(Line::Layer(Box::new(record)));
        }
        for scalar in 0..scalars {
            run.push(Line::Scalar(Scalar {
                run: "r".to_owned(),
                epoch,
                name: format!("scalar {scalar}"),
                value: 1.0 / (1.3 + (epoch * scalar) as f64),
            }));
        }
        run.observe(stamp, &spectra);
    }
    run
}

fn size_of(runs: &[Run]) -> (usize, Vec<String>) {
    let start = std::time::Instant::now();
    let page = html(runs).unwrap();
    let notes = Data::new(runs).unwrap().notes;
    println!("{} bytes in {:?}; {notes:?}", page.len(), start.elapsed());
    (page.len(), notes)
}

#[test]
fn many_layers_end_and_fit() {
    let (size, notes) = size_of(&[grid(6200, 3, 0, "wide")]);
    assert!(size < 5_600_000, "{size}");
    assert!(notes[0].contains("one in 2"), "{notes:?}");
}

#[test]
fn many_runs_end_and_fit() {
    let names = (0..60).map(|i| format!("run {i}"));
    let runs: Vec<Run> = names.map(|name| grid(8, 201, 10, &name)).collect();
    let (size, _) = size_of(&runs);
    assert!(size < 5_600_000, "{size}");
}

#[test]
fn many_observations_fit() {
    let (size, notes) = size_of(&[grid(12, 20_000, 1, "long")]);
    assert!(size < 5_600_000, "{size}");
    assert!(notes[0].contains("counted from the last"), "{notes:?}");
}

#[test]
fn no_room_for_spectra_ends() {
    let runs = [grid(30, 3, 0, "r")];
    let mut data = Data::new(&runs).unwrap();
    data.add_spectra(&runs, 0);
    let none = data.notes.iter().any(|n| n.contains("no room"));
    assert!(none, "{:?}", data.notes);
    let mut data = Data::new(&runs).unwrap();
    data.add_spectra(&runs, 1000);
    let few = data.notes.iter().any(|n| n.contains("first 10 layers"));
    assert!(few, "{:?}", data.notes);
}

#[test]
fn a_small_run_is_told_whole() {
    let mut run = run_of((0..3).map(|e| record("fc", e, RandomLike, 0.9)));
    let spectrum = Spectrum::from_eigenvalues((1..=40).map(f64::from).collect(), 60, 40).unwrap();
    run.observe(Stamp::from_epoch(1), &[("fc".to_owned(), spectrum)]);
    run.push(Line::Scalar(Scalar {
        run: "r".to_owned(),
        epoch: 1,
        name: "loss".to_owned(),
        value: 0.123_456_78,
    }));
    let data = Data::new(&[run]).unwrap();
    assert!(data.notes.is_empty(), "{:?}", data.notes);
    let value: serde_json::Value = serde_json::from_str(&data.json().unwrap()).unwrap();
    let run = &value["runs"][0];
    assert_eq!(
        run["scalars"][0]["points"],
        serde_json::json!([[1, 0.12346]])
    );
    assert_eq!(run["cells"][0][1]["s"][0], 40);
    assert!(run["cells"][0][0]["s"].is_null());
    let fields = value["fields"].as_array().unwrap();
    assert_eq!(
        run["cells"][0][0]["n"].as_array().unwrap().len(),
        fields.len()
    );
}

#[test]
fn a_failed_layer_has_its_reason() {
    let shape = crate::record::LayerShape {
        name: "bad".to_owned(),
        shape: vec![3, 3],
    };
    let run = run_of([Record::failed(
        "r",
        Stamp::default(),
        0,
        shape,
        "entry 7 is NaN".to_owned(),
    )]);
    let page = html(&[run]).unwrap();
    assert!(page.contains("entry 7 is NaN") && page.contains("no phase at all"));
}

#[test]
fn remarks_are_said() {
    let mut one = record("fc", 0, BulkPlusSpikes, 0.9);
    one.values_mut().unwrap().annotations = vec![Annotation::ScaleHeterogeneity];
    let json = Data::new(&[run_of([one])]).unwrap().json().unwrap();
    assert!(json.contains("unequal scales of rows or columns explain the outliers"));
}

#[test]
fn only_what_was_used_is_cited() {
    let mut run = run_of([record("fc", 0, RandomLike, 0.9)]);
    run.push(Line::Header(Header::new("r", &Config::live())));
    let cited = |run: &Run| -> String {
        let sources = citations::sources(std::slice::from_ref(run));
        sources.iter().map(|s| s.1).collect()
    };
    let live = cited(&run);
    for used in [
        "1810.01075",
        "johnstone2001",
        "bornemann2010",
        "ke2021bema",
        "clauset2009",
    ] {
        assert!(live.contains(used), "{used}");
    }
    assert!(!live.contains("hu2025farms") && !live.contains("setol"));
    let w = WeightMatrix::new(
        "fc",
        60,
        40,
        (0..2400)
            .map(|i| f64::from((i * 37) % 101))
            .collect::<Vec<_>>(),
    );
    let config = Config {
        replicates: 20,
        ..Config::default()
    };
    let report = analyze(&w.unwrap(), &config).unwrap();
    let full = run_of([Record::success("r", Stamp::default(), 0, &report)]);
    assert!(cited(&full).contains("hu2025farms"));
    assert_eq!(cited(&Run::new("nothing")), "");
}

#[test]
fn links_are_relative() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("runs/a b#c/log.jsonl");
    std::fs::create_dir_all(log.parent().unwrap()).unwrap();
    std::fs::create_dir_all(folder.path().join("pages")).unwrap();
    std::fs::write(&log, "").unwrap();
    let from = |page: &str| relative(&folder.path().join(page), &log).unwrap();
    assert_eq!(from("runs/a b#c/report.html"), "./log.jsonl");
    assert_eq!(from("pages/report.html"), "./../runs/a%20b%23c/log.jsonl");
}

#[test]
fn folders_are_read_and_told_apart() {
    let root = tempfile::tempdir().unwrap();
    let mut folders: Vec<Folder> = Vec::new();
    for name in ["first", "second"] {
        let folder = root.path().join(name);
        std::fs::create_dir_all(folder.join("spectra")).unwrap();
        let header =
            serde_json::to_string(&Line::Header(Header::new("same", &Config::live()))).unwrap();
        let layer = serde_json::to_string(&Line::Layer(Box::new(record("fc", 0, RandomLike, 0.9))))
            .unwrap();
        std::fs::write(folder.join("log.jsonl"), format!("{header}\n{layer}\n")).unwrap();
        std::fs::write(
            folder.join("spectra/epoch-00000-step-000000000.safetensors"),
            "torn",
        )
        .unwrap();
        folders.push(folder.into());
    }
    folders[1].name = Some("named".to_owned());
    folders.push(root.path().join("first").into());
    let out = root.path().join("report.html");
    write(&folders, &out).unwrap();
    let page = std::fs::read_to_string(&out).unwrap();
    for said in [
        "same (first)",
        "named",
        "log.jsonl of same (first)",
        "no spectra: ",
        "3 runs side by side",
    ] {
        assert!(page.contains(said), "{said}");
    }
    let missing = write(&[root.path().join("nowhere").into()], &out).unwrap_err();
    assert!(missing.to_string().contains("nowhere"), "{missing}");
    assert_eq!(page, std::fs::read_to_string(&out).unwrap());
}

#[test]
fn a_run_says_whether_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    let layer = Line::Layer(Box::new(record("fc", 0, RandomLike, 0.9)));
    let read = || Run::read(folder.path()).unwrap().state;
    let mut sink = JsonlSink::open(&log).unwrap();
    sink.line(&layer).unwrap();
    sink.flush().unwrap();
    assert_eq!(read(), RunState::Running);
    drop(sink);
    assert_eq!(read(), RunState::Died);
    let mut sink = JsonlSink::open(&log).unwrap();
    let end = End {
        run: "r".to_owned(),
        unix_time: 1.0,
        how: crate::record::Ending::Finished,
        observed: 1,
        deferred: 0,
        dropped: 0,
        over_budget: 0,
    };
    sink.line(&Line::End(end)).unwrap();
    drop(sink);
    assert_eq!(read(), RunState::Ended);
}

#[test]
fn slices_are_left_to_the_log() {
    let mut one = record("fc", 0, RandomLike, 0.9);
    let values = one.values_mut().unwrap();
    values.slices = vec![values.primary.clone()];
    values.pooled = Some(values.primary.clone());
    let folder = tempfile::tempdir().unwrap();
    let line = serde_json::to_string(&Line::Layer(Box::new(one.clone()))).unwrap();
    std::fs::write(folder.path().join("log.jsonl"), line + "\n").unwrap();
    for run in [run_of([one]), Run::read(folder.path()).unwrap()] {
        let values = run.trajectory.records()[0].values().unwrap();
        assert!(values.slices.is_empty() && values.pooled.is_none());
    }
}

#[test]
fn a_carried_layer_says_since_when_and_has_its_anchor_s_spectrum() {
    let mut carried = record("fc", 2, RandomLike, 0.9);
    carried.carried = Some(crate::record::Carried {
        from: Stamp::from_epoch(1),
        drift: 0.001_234,
        alpha_tolerance: 0.25,
        norm: 1.0,
    });
    let mut run = run_of([0, 1].map(|e| record("fc", e, RandomLike, 0.9)));
    run.push(Line::Layer(Box::new(carried)));
    let spectrum = Spectrum::from_eigenvalues((1..=40).map(f64::from).collect(), 60, 40).unwrap();
    for epoch in [0, 1] {
        run.observe(
            Stamp::from_epoch(epoch),
            &[("fc".to_owned(), spectrum.clone())],
        );
    }
    let json = Data::new(&[run]).unwrap().json().unwrap();
    assert!(json.contains("not analysed again"), "{json}");
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let cells = &value["runs"][0]["cells"][0];
    assert_eq!(cells[2]["c"], serde_json::json!([1, 0]));
    assert!(cells[1]["c"].is_null());
    // The last two observations share a spectrum, which is stored once.
    let has = [0, 1, 2].map(|i| cells[i]["s"].is_array());
    assert_eq!(has, [true, false, true]);
}

fn says(records: impl IntoIterator<Item = Record>) -> Vec<String> {
    let mut run = run_of(records);
    run.state = RunState::Ended;
    run_summary::summary(&run)
        .iter()
        .map(|s| run_summary::plain(s))
        .collect()
}

#[test]
fn a_reader_finds_out_which_layer_changed_when_and_how_sure() {
    let walk = [
        (RandomLike, 0.95),
        (RandomLike, 0.97),
        (RandomLike, 0.9),
        (BleedingOut, 0.93),
        (BleedingOut, 0.8),
        (BulkPlusSpikes, 0.7),
        (BulkPlusSpikes, 0.999),
    ];
    let walk = walk.iter().enumerate();
    let said = says(walk.flat_map(|(e, &(phase, p))| {
        [
            record("fc1", e, phase, p),
            record("fc2", e, RandomLike, 0.9),
        ]
    }));
    assert_eq!(
        said[0],
        "In 6 epochs (7 observations), 1 of 2 layers changed its phase and stayed in the new one for at least two \
         reliable verdicts in a row."
    );
    assert_eq!(
        said[1],
        "fc1 left Random-like for Bleeding-out at epoch 3 (confidence 0.93) and moved on to Bulk+Spikes at epoch 5 \
         (confidence 0.70), which held for 2 of 2 reliable verdicts since, the last with confidence above 0.99: a few \
         directions stand clear of the noise, and the rest is still random."
    );
    assert_eq!(said[2], "fc2 has stayed Random-like.");
}

#[test]
fn doubt_is_said() {
    let said = says([
        record("a", 0, RandomLike, 0.9),
        record("a", 1, BleedingOut, 0.9),
        record("b", 0, RandomLike, 0.9),
        record("b", 1, BleedingOut, 0.4),
    ]);
    assert_eq!(
        said[0],
        "In 1 epoch (2 observations), none of the 2 layers has changed its phase."
    );
    assert!(
        said[1].starts_with("a has stayed Random-like, but for the last observation"),
        "{said:?}"
    );
    assert!(
        said[2].starts_with("Of b nothing reliable can be said at the end"),
        "{said:?}"
    );
}

#[test]
fn many_layers_on_one_way_are_one_sentence() {
    let said = says((0..4).flat_map(|epoch| {
        (0..9).map(move |layer| {
            let phase = if epoch < 1 + layer % 2 {
                RandomLike
            } else {
                HeavyTailed
            };
            record(&format!("layer{layer}"), epoch, phase, 0.9)
        })
    }));
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[1].starts_with("9 layers (layer0, layer1, layer2, layer3 and 5 more) went from Random-like to Heavy-tailed, \
         where the first arrived at epoch 1 and the last at epoch 2: they are"), "{said:?}");
}

/// The timeline of the figure and of the page must have the same texts.
#[cfg(feature = "plot")]
#[test]
fn the_still_picture_is_the_figure() {
    let mut run = run_of((0..4).flat_map(|epoch| {
        let sure = record("fc1", epoch, RandomLike, 0.9);
        let unsure = record("fc2.weight", epoch, HeavyTailed, 0.5);
        [sure, unsure]
    }));
    let shape = crate::record::LayerShape {
        name: "fc2.weight".to_owned(),
        shape: vec![3, 3],
    };
    let failed = Record::failed("r", Stamp::from_epoch(4), 1, shape, "NaN".to_owned());
    run.push(Line::Layer(Box::new(failed)));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("phases.svg");
    crate::plot::phase_timeline(&run.trajectory, &path).unwrap();
    let figure = std::fs::read_to_string(path).unwrap();
    let page = html(&[run]).unwrap();
    let still = page.find("<svg class=\"still\"").unwrap();
    let still = &page[still..still + page[still..].find("</svg>").unwrap() + 6];
    let texts = |svg: &str| -> Vec<String> {
        let document = roxmltree::Document::parse(svg).unwrap();
        let texts = document.descendants().filter(|n| n.has_tag_name("text"));
        let texts = texts.filter_map(|n| n.text().map(|t| t.trim().to_owned()));
        texts.collect()
    };
    let (figure, still) = (texts(&figure), texts(still));
    let wanted = "fc1 R R R R fc2.weight H? H? H? H? – 0 1 2 3 4 epoch (0: initial weights)";
    assert_eq!(still.join(" "), wanted);
    assert!(figure.join(" ").contains(wanted), "{figure:?}");
}
