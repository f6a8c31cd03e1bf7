//! The catalogue of findings and the code that makes them know the same ids; a healthy run of the shop has no warning.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dbdyno::model::{Report, Severity, catalogue};

use crate::harness::{Database, dbdyno};
use crate::place::{Measured, Place};

/// Every string of the code that makes findings, tests left out.
fn strings_of_the_analysis() -> BTreeSet<String> {
    let mut strings = BTreeSet::new();
    let mut folders = vec![PathBuf::from("src/analysis")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the analysis has a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests.rs" {
                strings.extend(strings_of(&path));
            }
        }
    }
    strings
}

fn strings_of(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("readable");
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let of_line = |line: &str| -> Vec<String> {
        let code = line.split("//").next().unwrap_or_default();
        code.split('"').skip(1).step_by(2).map(str::to_owned).collect()
    };
    code.lines().flat_map(of_line).collect()
}

/// `pool-too-small`: words of small letters with hyphens between them.
fn is_like_an_id(text: &str) -> bool {
    let mut words = text.split('-');
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase());
    text.contains('-') && words.all(is_word)
}

#[test]
fn no_finding_is_without_an_entry_and_no_entry_without_a_finding() {
    let strings = strings_of_the_analysis();
    let made: Vec<&String> = strings.iter().filter(|text| is_like_an_id(text)).collect();
    assert!(made.len() > 40, "the scan found only {made:?}");
    for id in made {
        assert!(
            catalogue::entry(id).is_some(),
            "`{id}` is made in src/analysis and has no entry in src/model/catalogue"
        );
    }
    for entry in catalogue::all() {
        assert!(
            strings.contains(entry.id),
            "`{}` stands in the catalogue, and nothing in src/analysis makes it",
            entry.id
        );
    }
}

#[test]
fn every_finding_that_the_readme_names_exists_and_every_one_is_explained() {
    let readme = std::fs::read_to_string("README.md").expect("a README");
    let table = readme.split("### Findings").nth(1).and_then(|rest| rest.split("\n### ").next());
    let table = table.expect("the README has a section on findings");
    let named: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|line| line.split('|').nth(1).unwrap_or_default().split('`').skip(1).step_by(2))
        .collect();
    assert!(named.len() > 20, "{named:?}");
    for id in named {
        assert!(catalogue::entry(id.trim_end_matches("-*")).is_some() || id.ends_with('*'), "{id}");
    }
    for entry in catalogue::all() {
        let ended = Measured::from(&dbdyno().args(["explain", entry.id]).output().expect("it runs"));
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        assert!(ended.output.starts_with(entry.id), "{}", ended.output);
    }
}

#[test]
fn a_finding_that_there_is_not_is_refused_with_a_likely_one() {
    let ended = Measured::from(&dbdyno().args(["explain", "pool-to-small"]).output().expect("it runs"));
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.errors.contains("pool-too-small") && ended.errors.contains("dbdyno explain"),
        "{}",
        ended.errors
    );
    let list = Measured::from(&dbdyno().arg("explain").output().expect("it runs")).output;
    assert!(catalogue::all().all(|entry| list.contains(entry.id)), "{list}");
}

/// What the machine of the tests does to any run: other tests fill its cores, and a hypervisor may take some away.
const OF_THE_MACHINE: [&str; 4] = ["host-full", "steal-time", "generator-bound", "checkpoint-slows"];

#[test]
fn a_healthy_run_of_the_shop_has_no_warning() {
    let database = Database::empty();
    let mut load = dbdyno();
    load.args(["load", "--scale", "0.02", "-w", "workloads/shop", "-t", database.url()]);
    assert_eq!(load.output().expect("it runs").status.code(), Some(0));
    let place = Place::one_statement("SELECT 1");
    // A rate that any machine carries, with connections to spare.
    let words = "run -w workloads/shop --rate 40 --duration 3s --warmup 1s --pool-size 8 --json -";
    let ended = Measured::from(&place.dbdyno(words).args(["-t", database.url()]).output().expect("it runs"));
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let report: Report = ended.report();
    let grave: Vec<_> = report
        .findings
        .iter()
        .filter(|finding| {
            finding.severity != Severity::Info && !OF_THE_MACHINE.contains(&finding.id.as_str())
        })
        .collect();
    assert!(grave.is_empty(), "{grave:#?}");
}
