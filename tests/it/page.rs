//! The page of each kind in a browser: nothing goes wrong on it, nothing is asked of a network, every chart is drawn, what can be
//! pointed at and sorted answers, and it can be read in both schemes on a phone and on a desk.
//!
//! The reports were measured and stored; a page of them must not need anything that was added since.

use std::path::{Path, PathBuf};

use dbdyno::model::{CompareReport, Report};
use dbdyno::report;
use serde_json::Value;

use super::chromium::Browser;
use super::harness::Database;
use super::place::Place;

/// What the browser looks for by itself.
const LOOK: &str = include_str!("page.js");

/// The stored reports of every kind, as pages in a folder.
fn pages(folder: &Path) -> Vec<(String, PathBuf)> {
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reports");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&stored)
        .expect("stored reports")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
            let json = std::fs::read_to_string(&file).expect("a stored report");
            let html = if name == "compare" {
                let compared: CompareReport = serde_json::from_str(&json).expect("a comparison");
                report::html_of_compared(&compared)
            } else {
                let report: Report = serde_json::from_str(&json).expect("a report");
                assert_eq!(report.kind, name, "a file is called by its kind");
                report::html(&report)
            };
            let page = folder.join(format!("{name}.html"));
            std::fs::write(&page, html).expect("the folder can be written");
            (name, page)
        })
        .collect()
}

/// The list that a look gives, empty where all is well.
fn assert_none(found: &Value, what: &str, page: &str) {
    let found = found.as_array().unwrap_or_else(|| panic!("{page}: {what} is a list, not {found}"));
    assert!(found.is_empty(), "{page}: {what}: {found:#?}");
}

#[test]
fn a_page_of_each_kind_stands_in_a_browser() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = pages(folder.path());
    let kinds: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(kinds, ["ab", "capacity", "compare", "index", "migration", "pool", "run"]);
    let mut browser = Browser::start();
    for (name, page) in &pages {
        for scheme in ["light", "dark"] {
            browser.open(page, 1440, scheme);
            browser.value(LOOK);
            let at = format!("{name}, {scheme}");
            assert_none(&browser.value("look.blank()"), "charts without a line", &at);
            assert_none(&browser.value("look.faint()"), "texts that are hard to read", &at);
            for width in [375, 1440] {
                browser.look(width, scheme);
                let at = format!("{at}, {width} pixels");
                assert_none(&browser.value("look.overflowing()"), "wider than the window", &at);
                assert_none(&browser.value("look.blank()"), "charts without a line", &at);
            }
            assert_eq!(browser.troubles(), Vec::<String>::new(), "{at}");
            assert_eq!(browser.requests(), Vec::<String>::new(), "{at} asks for nothing");
        }
        assert_none(&browser.value("look.unnamed()"), "tables, charts and regions without a name", name);
    }
}

#[test]
fn one_crosshair_reads_all_charts_over_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = pages(folder.path());
    let (_, run) = pages.iter().find(|(name, _)| name == "run").expect("a page of a run");
    let mut browser = Browser::start();
    browser.open(run, 1440, "light");
    browser.value(LOOK);
    let place = browser.value("look.middleOf('throughput')");
    let (x, y) = (place["x"].as_f64().expect("a place"), place["y"].as_f64().expect("a place"));
    browser.point(x - 40.0, y);
    browser.point(x, y);
    let throughput = browser.value("look.readingOf('throughput')");
    let response = browser.value("look.readingOf('response')");
    assert!(throughput.as_str().is_some_and(|text| text.contains("/s")), "{throughput}");
    assert!(
        response.as_str().is_some_and(|text| text.contains('s')),
        "the other chart reads the same second: {response}"
    );
    // So does the chart whose areas lie upon each other, each part of it.
    let pile = browser.value(
        "(() => { const chart = JSON.parse(document.getElementById('data').textContent).charts.find(of => of.id === 'waits'); \
         const shown = [...document.querySelectorAll('[data-chart=waits] .u-legend .u-value')].slice(1).map(of => of.textContent); \
         return { series: chart.series.length, shown }; })()",
    );
    let parts = pile["shown"].as_array().expect("a legend");
    assert_eq!(parts.len() as u64, pile["series"].as_u64().expect("series"), "{pile}");
    assert!(parts.len() >= 2 && parts.iter().all(|part| part != "–"), "all are read at that second: {pile}");
    let told = browser.value("document.querySelector('.readout').textContent");
    assert!(told.as_str().is_some_and(|text| text.starts_with("at ") && text.contains("stage")), "{told}");
    // And without a mouse.
    browser.value("document.querySelector('[data-chart=throughput]').focus()");
    for kind in ["keyDown", "keyUp"] {
        let key = serde_json::json!({ "type": kind, "key": "ArrowLeft", "code": "ArrowLeft", "windowsVirtualKeyCode": 37 });
        browser.ask("Input.dispatchKeyEvent", &key);
    }
    let moved = browser.value("document.querySelector('.readout').textContent");
    assert_ne!(moved, told, "an arrow key moves the crosshair");
    assert_eq!(browser.troubles(), Vec::<String>::new());
}

#[test]
fn a_table_is_sorted_by_what_its_cells_mean() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = pages(folder.path());
    let (_, run) = pages.iter().find(|(name, _)| name == "run").expect("a page of a run");
    let mut browser = Browser::start();
    browser.open(run, 1440, "light");
    browser.value(LOOK);
    let times = |browser: &mut Browser, turn: &str| -> Vec<f64> {
        let sorted = browser.value(&format!("look.sorted('Transactions', 'response max', {turn})"));
        let sorted = sorted.as_array().expect("cells").clone();
        sorted.iter().map(|value| value.as_f64().expect("microseconds")).collect()
    };
    let down = times(&mut browser, "1");
    assert!(down.len() >= 3, "the shop has more transactions: {down:?}");
    assert!(down.is_sorted_by(|a, b| a >= b), "the slowest first, whatever unit it is written in: {down:?}");
    let up = times(&mut browser, "1");
    assert!(up.is_sorted(), "a second click turns it round: {up:?}");
    let theme =
        browser.value("document.getElementById('theme').click(), document.documentElement.dataset.theme");
    assert_eq!(theme, "dark", "the button changes the scheme");
    assert_none(&browser.value("look.blank()"), "charts without a line", "after the change");
    assert_eq!(browser.troubles(), Vec::<String>::new());
}

#[test]
fn a_measurement_and_a_stored_run_give_the_page_that_was_asked_for() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.01)");
    let file = place.workload().join("report.html");
    let quick = "run --clients 2 --pool-size 2 --duration 1s --warmup 0s";
    let ended = place.on(database.url(), quick).arg("--html").arg(&file).output().expect("the program");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let shown = String::from_utf8_lossy(&ended.stdout);
    assert!(shown.contains("MEASURED"), "the report for the terminal is shown as well: {shown}");
    let written = std::fs::read_to_string(&file).expect("the page is written");
    let asked = place.dbdyno("report --format html").output().expect("the program");
    let again = String::from_utf8_lossy(&asked.stdout).into_owned();
    assert!(written.starts_with("<!doctype html>") && written.trim_end().ends_with("</html>"));
    assert!(again.trim_end() == written.trim_end(), "the same report is the same page");
    let nowhere = place.workload().join("no_such_folder/report.html");
    let refused = place.on(database.url(), quick).arg("--html").arg(&nowhere).output().expect("the program");
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no_such_folder/report.html"));
}
