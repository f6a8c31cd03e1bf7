//! The page of each kind, and what holds for every page.

use serde_json::Value;

use super::{SCRIPT, STYLE, UPLOT_SCRIPT, UPLOT_STYLE, hash, page, page_of_compared};
use crate::model::{CompareReport, Report};
use crate::report::fixture;

const HOSTILE: &str = "<script>alert(1)</script>\"'--></script><style>";

/// A page without what is the same in each: the script, the style, their hashes.
fn own(page: &str) -> String {
    let style = format!("{UPLOT_STYLE}\n{STYLE}");
    let script = format!("{UPLOT_SCRIPT}\n{SCRIPT}");
    page.replace(&style, "STYLE")
        .replace(&script, "SCRIPT")
        .replace(&hash(&style), "HASH")
        .replace(&hash(&script), "HASH")
}

/// Its beginning and its parts up to the stages, whose tables are those of the terminal.
fn without_stages(page: &str) -> String {
    let page = own(page);
    match (page.find("<section id=\"stages\""), page.find("<section id=\"method\"")) {
        (Some(from), Some(to)) => format!("{}STAGES\n{}", &page[..from], &page[to..]),
        _ => page,
    }
}

#[test]
fn pages() {
    for (name, report) in fixture::all() {
        if ["study", "generator_bound", "cut_off"].contains(&name) {
            // Nothing in them that the others lack.
            continue;
        }
        insta::assert_snapshot!(format!("page.{name}"), without_stages(&page(&report)));
    }
    insta::assert_snapshot!("page.compare", own(&page_of_compared(&fixture::compared_runs())));
}

#[test]
fn a_stage_in_full() {
    let page = own(&page(&fixture::healthy()));
    let (from, to) = (page.find("<section id=\"stages\""), page.find("<section id=\"method\""));
    insta::assert_snapshot!("page.stages", page[from.expect("stages")..to.expect("what follows")]);
}

/// Every text of the report with markup behind it, but for those that are names of ours.
fn made_hostile(value: &mut Value, key: &str) {
    const OURS: [&str; 21] = [
        "verdict",
        "severity",
        "outcome",
        "state",
        "role",
        "change",
        "protocol",
        "unit",
        "direction",
        "load",
        "what",
        "reason",
        "schema_version",
        "measured_in",
        "arrivals",
        "level_us",
        "kind",
        "ended",
        "engine",
        "class",
        "stops",
    ];
    match value {
        Value::String(text) if !OURS.contains(&key) => text.push_str(HOSTILE),
        Value::Array(values) => values.iter_mut().for_each(|value| made_hostile(value, key)),
        Value::Object(values) => values.iter_mut().for_each(|(key, value)| made_hostile(value, key)),
        _ => {}
    }
}

#[test]
fn nothing_of_a_database_or_a_file_is_read_as_markup() {
    for (name, report) in fixture::all() {
        let mut value = serde_json::to_value(&report).expect("a report is JSON");
        made_hostile(&mut value, "");
        let report: Report =
            serde_json::from_value(value).unwrap_or_else(|error| panic!("{name} is still a report: {error}"));
        let html = own(&page(&report));
        assert!(html.contains("&lt;script&gt;alert(1)"), "{name}: what is escaped is shown");
        assert_safe(name, &html);
    }
    let mut value = serde_json::to_value(fixture::compared_runs()).expect("a comparison is JSON");
    made_hostile(&mut value, "");
    let report: CompareReport = serde_json::from_value(value).expect("it is still a comparison");
    assert_safe("compare", &own(&page_of_compared(&report)));
}

/// One element of data, one script, one style, and no attribute that runs something.
fn assert_safe(name: &str, html: &str) {
    let lower = html.to_lowercase();
    assert_eq!(lower.matches("<script").count(), 2, "{name}");
    assert_eq!(lower.matches("</script").count(), 2, "{name}");
    assert_eq!(lower.matches("<style").count(), 1, "{name}");
    assert_eq!(lower.matches("-->").count(), 0, "{name}");
    assert!(!lower.contains(" style=\"") && !lower.contains("javascript:"), "{name}");
}

#[test]
fn a_table_and_a_statement_may_be_called_anything() {
    let mut report = fixture::healthy();
    let stage = report.stages.last_mut().expect("the fixture has stages");
    "<script>alert(1)</script>".clone_into(&mut stage.tables[0].table);
    "SELECT '</script><img src=x onerror=alert(1)>'\nFROM t".clone_into(&mut stage.statements[0].sql);
    let html = own(&page(&report));
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;</th>"), "the table has its name");
    assert!(
        html.contains("SELECT &#39;&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&#39;\nFROM t"),
        "the lines stay"
    );
    assert_safe("names", &html);
}

#[test]
fn the_policy_lets_nothing_run_but_what_stands_in_the_page() {
    let html = page(&fixture::healthy());
    let policy = html.split_once("Content-Security-Policy\" content=\"").expect("a policy").1;
    let policy = policy.split_once('"').expect("its end").0;
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{policy}");
    let script =
        html.rsplit_once("<script>").expect("the script").1.split_once("</script>").expect("its end").0;
    assert!(policy.contains(&hash(script)), "the hash is that of the script that stands there");
    let style = html.split_once("<style>").expect("the style").1.split_once("</style>").expect("its end").0;
    assert!(policy.contains(&hash(style)), "the hash is that of the style that stands there");
}

#[test]
fn headings_go_down_by_one_and_ids_are_one_of_a_kind() {
    for (name, report) in fixture::all() {
        let html = own(&page(&report));
        let levels: Vec<u32> = html
            .match_indices("<h")
            .filter_map(|(at, _)| html[at + 2..].chars().next()?.to_digit(10))
            .collect();
        assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1, "{name}");
        let jump = levels.windows(2).find(|pair| pair[1] > pair[0] + 1);
        assert!(jump.is_none(), "{name}: a heading of level {jump:?} below one of another");
        let mut seen = std::collections::BTreeSet::new();
        for part in html.split(" id=\"").skip(1) {
            let id = part.split('"').next().unwrap_or_default();
            assert!(seen.insert(id), "{name}: two elements are called {id}");
        }
    }
}

#[test]
fn the_data_of_every_chart_is_there_and_every_chart_has_a_place_and_a_table() {
    for (name, report) in fixture::all() {
        let html = page(&report);
        let data =
            html.split_once("id=\"data\">").expect("the data").1.split_once("</script>").expect("its end").0;
        let data: Value = serde_json::from_str(data).expect("JSON");
        let charts = data["charts"].as_array().expect("charts");
        for chart in charts {
            let id = chart["id"].as_str().expect("a name");
            assert!(html.contains(&format!("data-chart=\"{id}\"")), "{name}: {id} has a place");
            let points = chart["xs"].as_array().expect("an axis").len();
            for series in chart["series"].as_array().expect("series") {
                assert_eq!(series["values"].as_array().expect("values").len(), points, "{name}: {id}");
            }
        }
        assert_eq!(html.matches("<figure class=\"chart\"").count(), charts.len(), "{name}");
        assert!(name == "nothing" || !charts.is_empty(), "{name}");
    }
}

#[test]
fn a_report_of_before_still_has_a_page() {
    // What was added since stands in no old report.
    let mut value = serde_json::to_value(fixture::healthy()).expect("a report is JSON");
    for stage in value["stages"].as_array_mut().expect("stages") {
        for transaction in stage["transactions"].as_array_mut().expect("transactions") {
            transaction.as_object_mut().expect("an object").remove("response_curve");
        }
    }
    let report: Report = serde_json::from_value(value).expect("a report of before");
    let html = page(&report);
    assert!(!html.contains("chart-percentiles") && html.contains("chart-throughput"));
}
