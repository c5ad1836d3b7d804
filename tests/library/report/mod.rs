//! The report in a real browser, from the disk: what a reader does, without network and without
//! errors. Where no browser is installed, these tests say that they were skipped.

mod browser;
mod runs;

use std::time::Instant;

use browser::{Browser, framed, page_with};
use heavytail::record::{Carried, Line};
use heavytail::report::{Run, html};
use heavytail::run::RunState;
use serde_json::Value;

const WALK: &str = include_str!("walk.js");

/// Nothing loaded, nothing thrown, nothing logged.
fn assert_quiet(result: &Value) {
    assert_eq!(result["errors"], serde_json::json!([]), "{result:#}");
    assert_eq!(result["requests"], serde_json::json!([]), "{result:#}");
}

#[test]
fn a_monitor_writes_a_page_that_can_be_walked_through() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let (meanwhile, names) = runs::watched(&out);
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(meanwhile.contains(r#""done":false"#) && meanwhile.contains("http-equiv=\"refresh\""));
    assert!(page.contains(r#""done":true"#) && !page.contains("http-equiv=\"refresh\""));
    // The only address in it is the name of SVG, which nobody asks for.
    let page_without_svg = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!page_without_svg.contains("http://") && !page_without_svg.contains("https://"));

    let Some(browser) = Browser::find() else {
        return;
    };
    let path = page_with(folder.path(), "walk.html", &page, WALK);
    let result = browser.result(&path, "", &["--virtual-time-budget=20000"]);
    assert_quiet(&result);
    for (what, held) in result["checks"].as_object().unwrap() {
        assert_eq!(*held, Value::Bool(true), "{what}: {result:#}");
    }
    assert!(
        result["checks"].as_object().unwrap().len() >= 20,
        "{result:#}"
    );
    // Hostile names are text, in the order of the model.
    let shown: Vec<&str> = result["names"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(shown, names);
}

#[test]
fn a_choice_survives_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let page = html(&[runs::synthetic("kept", 5, 8)]).unwrap();
    let Some(browser) = Browser::find() else {
        return;
    };
    let driver = "return { title: document.getElementById('spectrum-title').textContent, \
                  theme: document.documentElement.dataset.theme, paper: getComputedStyle(document.body).backgroundColor }";
    let path = page_with(folder.path(), "kept.html", &page, driver);
    let result = browser.result(&path, "#layer=3&t=2&theme=dark", &[]);
    assert_quiet(&result);
    let title = result["title"].as_str().unwrap();
    assert!(title.contains("block.3.weight at epoch 2"), "{title}");
    assert_eq!(result["theme"], "dark");
    assert_eq!(result["paper"], "rgb(21, 23, 26)");
    // What an address holds is not trusted.
    let result = browser.result(&path, "#layer=99&t=x&theme=%3Cb%3E&run=-1&show=7.8.q", &[]);
    assert_quiet(&result);
    assert!(
        result["title"].as_str().unwrap().contains("at epoch 7"),
        "{result:#}"
    );
}

#[test]
fn a_living_run_is_read_anew_where_the_reader_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = runs::synthetic("alive", 5, 8);
    run.state = RunState::Running;
    let page = html(&[run]).unwrap();
    let Some(browser) = Browser::find() else {
        return;
    };
    let driver = "const again = performance.getEntriesByType('navigation')[0].type === 'reload';\
                  const title = () => document.getElementById('spectrum-title').textContent;\
                  if (again) return { again, title: title(), theme: document.documentElement.dataset.theme };\
                  document.getElementById('theme').click();\
                  const scrubber = document.getElementById('scrubber');\
                  scrubber.value = 3; scrubber.dispatchEvent(new Event('input'));\
                  await new Promise((done) => setTimeout(done, 15000));\
                  return { again, title: title() }";
    page_with(folder.path(), "alive.html", &page, driver);
    let outer = framed(folder.path(), "alive.html", 1200);
    let result = browser.result(&outer, "", &["--virtual-time-budget=14000"]);
    assert_quiet(&result);
    assert_eq!(result["again"], true, "{result:#}");
    assert!(
        result["title"].as_str().unwrap().contains("at epoch 3"),
        "{result:#}"
    );
    assert_eq!(result["theme"], "light");
}

#[test]
fn the_system_s_dark_mode_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let page = html(&[runs::synthetic("dark", 3, 4)]).unwrap();
    let Some(browser) = Browser::find() else {
        return;
    };
    let driver = "return { paper: getComputedStyle(document.body).backgroundColor }";
    let path = page_with(folder.path(), "dark.html", &page, driver);
    let paper = |flag: &str| browser.result(&path, "", &[flag])["paper"].clone();
    assert_eq!(
        paper("--blink-settings=preferredColorScheme=0"),
        "rgb(21, 23, 26)"
    );
    assert_eq!(
        paper("--blink-settings=preferredColorScheme=1"),
        "rgb(255, 255, 255)"
    );
}

#[test]
fn without_scripts_there_are_tables_and_drawings() {
    let folder = tempfile::tempdir().unwrap();
    let page = html(&[runs::synthetic("plain", 5, 8)]).unwrap();
    let still = page.split("<noscript>").nth(1).unwrap();
    assert!(still.contains("<svg class=\"still\"") && still.contains("block.4.weight"));
    let Some(browser) = Browser::find() else {
        return;
    };
    // A parser without scripts makes elements of what is text where scripts run.
    let driver = "const whole = document.documentElement.outerHTML;\
                  const plain = new DOMParser().parseFromString(whole, 'text/html');\
                  const count = (what) => plain.querySelectorAll('noscript ' + what).length;\
                  return { tiles: count('svg.still rect'), cells: count('td'), here: document.querySelectorAll('noscript *').length }";
    let path = page_with(folder.path(), "plain.html", &page, driver);
    let result = browser.result(&path, "", &[]);
    assert_quiet(&result);
    assert_eq!(
        (&result["tiles"], &result["here"]),
        (&Value::from(40), &Value::from(0)),
        "{result:#}"
    );
    assert_eq!(result["cells"], 5 * 9);
}

#[test]
fn a_phone_scrolls_sideways_in_the_timeline_only() {
    let folder = tempfile::tempdir().unwrap();
    let page = html(&[
        runs::synthetic("phone", 8, 60),
        runs::synthetic("other", 8, 60),
    ])
    .unwrap();
    let Some(browser) = Browser::find() else {
        return;
    };
    let driver = "const root = document.documentElement; const map = document.getElementById('timeline');\
                  return { width: innerWidth, spare: root.clientWidth - root.scrollWidth, map: map.scrollWidth > map.clientWidth }";
    page_with(folder.path(), "inner.html", &page, driver);
    // A window is not narrower than 500 pixels; a frame is.
    let outer = framed(folder.path(), "inner.html", 390);
    let result = browser.result(&outer, "", &["--virtual-time-budget=3000"]);
    assert_quiet(&result);
    assert_eq!(result["width"], 390);
    assert_eq!(result["spare"], 0, "{result:#}");
    assert_eq!(result["map"], true);
}

#[test]
fn sixty_layers_and_two_hundred_epochs_open_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let run = runs::synthetic("large", 60, 200);
    let start = Instant::now();
    let page = html(&[run]).unwrap();
    println!(
        "60 × 200: {} bytes, made in {:?}",
        page.len(),
        start.elapsed()
    );
    assert!(page.len() < 6_000_000, "{}", page.len());
    assert!(
        page.contains("quantiles of the others"),
        "the page says that it samples"
    );
    let Some(browser) = Browser::find() else {
        return;
    };
    // Scripts run before the page counts as loaded.
    let driver = "const from = performance.now(); const map = document.getElementById('timeline');\
                  map.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowLeft' }));\
                  return { ready: from, step: performance.now() - from, tiles: document.querySelectorAll('.tile').length }";
    let path = page_with(folder.path(), "large.html", &page, driver);
    let result = browser.result(&path, "", &[]);
    assert_quiet(&result);
    println!("in the browser: {result}");
    assert!(result["ready"].as_f64().unwrap() < 2000.0, "{result}");
    assert!(result["step"].as_f64().unwrap() < 300.0, "{result}");
}

#[test]
fn an_empty_run_is_a_page_too() {
    let folder = tempfile::tempdir().unwrap();
    let page = html(&[Run::new("empty")]).unwrap();
    assert!(page.contains("Nothing has been observed yet."));
    let Some(browser) = Browser::find() else {
        return;
    };
    let path = page_with(folder.path(), "empty.html", &page, "return {}");
    assert_quiet(&browser.result(&path, "", &["--virtual-time-budget=3000"]));
}

#[test]
fn an_empty_run_beside_a_full_one_can_be_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let (empty, full) = (Run::new("empty"), runs::synthetic("full", 3, 5));
    let orders = [
        [empty.clone(), full.clone(), empty.clone()],
        [full.clone(), empty, full],
    ];
    let driver = "const $ = (id) => document.getElementById(id); const says = [];\
                  const key = (name) => $('timeline').dispatchEvent(new KeyboardEvent('keydown', { key: name, bubbles: true }));\
                  for (const run of [1, 0, 2]) {\
                    $('run').value = run; $('run').dispatchEvent(new Event('change')); says.push($('when').textContent);\
                    for (const name of ['Home', 'ArrowLeft', 'ArrowRight', 'ArrowRight', 'End']) key(name);\
                  }\
                  return { says, when: $('when').textContent, tiles: document.querySelectorAll('.tile').length }";
    let Some(browser) = Browser::find() else {
        return;
    };
    for (order, name) in orders.iter().zip(["outside.html", "inside.html"]) {
        let path = page_with(folder.path(), name, &html(order).unwrap(), driver);
        let result = browser.result(&path, "", &["--virtual-time-budget=3000"]);
        assert_quiet(&result);
        let says = result["says"].to_string();
        assert!(
            says.contains("no observation of 4") && says.contains("epoch 4 of 4"),
            "{result}"
        );
        assert!(result["tiles"].as_u64().unwrap() > 0, "{result}");
    }
}

#[test]
fn a_carried_layer_shows_its_anchor_s_spectrum() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = runs::synthetic("carried", 2, 3);
    let anchor = run.trajectory.records()[2].clone();
    let spectrum = anchor.values().unwrap().primary.num_evals;
    assert_eq!((anchor.stamp.epoch, spectrum), (1, 120));
    for layer in [0, 1] {
        let mut record = run.trajectory.records()[4 + layer].clone();
        record.stamp.epoch = 3;
        record.carried = Some(Carried::new(
            run.trajectory.records()[2 * layer].stamp,
            0.001,
            0.1,
            1.0,
        ));
        run.push(Line::Layer(Box::new(record)));
    }
    let page = html(&[run]).unwrap();
    let Some(browser) = Browser::find() else {
        return;
    };
    let driver = "const $ = (id) => document.getElementById(id); const says = [];\
                  for (const layer of [0, 1]) {\
                    $('layer').value = layer; $('layer').dispatchEvent(new Event('change'));\
                    says.push($('spectrum-title').textContent, $('spectrum-hint').textContent, $('evidence').textContent);\
                  }\
                  return { says, bars: document.querySelectorAll('#linear .esd').length }";
    let path = page_with(folder.path(), "carried.html", &page, driver);
    let result = browser.result(&path, "", &["--virtual-time-budget=3000"]);
    assert_quiet(&result);
    let says = result["says"].to_string();
    for said in [
        "at epoch 3",
        "The spectrum of epoch 0: not analysed again since.",
        "The spectrum of epoch 1: not analysed again since.",
        "not analysed again: the numbers are those of epoch 1",
    ] {
        assert!(says.contains(said), "{said}: {result}");
    }
    assert!(result["bars"].as_u64().unwrap() > 10, "{result}");
}
