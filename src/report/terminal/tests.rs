//! The pages as a person sees them, and what holds for every page.

use super::{Detail, Options, render};
use crate::report::fixture;
use crate::report::text::width;

fn options(width: usize, detail: Detail) -> Options {
    Options { width, colour: false, detail }
}

#[test]
fn pages() {
    for (name, report) in fixture::all() {
        for columns in [80, 120] {
            let page = render(&report, &options(columns, Detail::Summary));
            insta::assert_snapshot!(format!("{name}.{columns}"), page);
        }
    }
}

#[test]
fn pages_with_everything() {
    for (name, report) in [("overloaded", fixture::overloaded()), ("study", fixture::study())] {
        insta::assert_snapshot!(format!("{name}.full.80"), render(&report, &options(80, Detail::Full)));
    }
    insta::assert_snapshot!("healthy.full.120", render(&fixture::healthy(), &options(120, Detail::Full)));
}

#[test]
fn no_line_is_wider_than_the_page() {
    for (name, report) in fixture::all() {
        for detail in [Detail::Summary, Detail::Full] {
            for (asked, given) in [(20, 80), (80, 80), (97, 97), (120, 120), (300, 120)] {
                for (index, line) in render(&report, &options(asked, detail)).lines().enumerate() {
                    assert!(width(line) <= given, "{name} at {asked}, line {}: {line}", index + 1);
                    assert_eq!(line, line.trim_end(), "{name} at {asked}, line {} ends in spaces", index + 1);
                }
            }
        }
    }
}

#[test]
fn nothing_of_a_database_reaches_the_terminal_unseen() {
    for detail in [Detail::Summary, Detail::Full] {
        let page = render(&fixture::hostile(), &options(80, detail));
        assert!(!page.contains(|c: char| c.is_control() && c != '\n'), "{page}");
        assert!(page.contains("␛"), "an escape is shown as such");
    }
}

#[test]
fn colour_adds_sequences_and_changes_nothing_else() {
    for (name, report) in fixture::all() {
        for detail in [Detail::Summary, Detail::Full] {
            let plain = render(&report, &options(80, detail));
            let coloured = render(&report, &Options { colour: true, ..options(80, detail) });
            assert!(coloured.contains("\u{1b}["), "{name}");
            let stripped: Vec<String> =
                without_sequences(&coloured).lines().map(|line| line.trim_end().to_owned()).collect();
            assert_eq!(stripped.join("\n") + "\n", plain, "{name}");
        }
    }
}

/// Takes off SGR sequences, the only ones that a page may hold.
fn without_sequences(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("\u{1b}[") {
        plain.push_str(&rest[..start]);
        let sequence = &rest[start + 2..];
        let end = sequence.find('m').expect("the sequence ends");
        assert!(sequence[..end].chars().all(|c| c.is_ascii_digit() || c == ';'), "{:?}", &sequence[..end]);
        rest = &sequence[end + 1..];
    }
    plain + rest
}

#[test]
fn the_first_line_says_when_the_generator_was_the_limit() {
    let page = render(&fixture::generator_bound(), &Options::default());
    let first = page.lines().next().expect("a page has lines");
    assert!(first.starts_with("INVALID") && first.contains("generator was the limit"), "{first}");
    assert!(!page.contains("PASS") && !page.contains("MEASURED"));
}

#[test]
fn a_summary_shows_the_stage_that_broke_the_budget() {
    let page = render(&fixture::overloaded(), &Options::default());
    assert!(page.contains("── stage peak ─"), "{page}");
    assert!(!page.contains("── stage after the peak ─"));
    let full = render(&fixture::overloaded(), &options(80, Detail::Full));
    assert!(full.contains("── stage after the peak ─"));
}

#[test]
fn a_study_at_a_fixed_rate_says_that_it_has_no_knee() {
    let mut report = fixture::study();
    let study = report.study.as_mut().expect("the fixture is a study");
    (study.knee, study.recommended) = (None, None);
    for stage in &mut report.stages {
        (stage.offered_per_s, stage.clients) = (Some(300.0), None);
    }
    let page = render(&report, &Options::default());
    let first = page.lines().next().expect("a page has lines");
    assert_eq!(first, "MEASURED  shop: 5 pool sizes, at a fixed rate, which has no knee");
    assert!(!page.contains('▶'), "{page}");
}

#[test]
fn broken_books_are_shown_as_such() {
    let mut report = fixture::healthy();
    let books = &mut report.stages[1].accounting;
    (books.ok, books.balanced) = (books.ok - 1, false);
    let page = render(&report, &Options::default());
    assert!(page.contains("baseline: DO NOT BALANCE: 58 213 issued ≠ 58 208 ok + 4 failed"), "{page}");
}
