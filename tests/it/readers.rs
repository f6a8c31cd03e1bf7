//! Readers of others, which say what is in an export of dbdyno: what only its own writer can read is no export.
//! `scripts/setup.sh tests` installs them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::de::DeserializeOwned;

/// Where Debian's package of the reference implementation of `HdrHistogram` puts it.
const HDRHISTOGRAM_JAR: &str = "/usr/share/java/hdrhistogram.jar";

/// What a command printed; fails with its words where it did not end well.
fn printed(command: &mut Command, missing: &str) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; {missing}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}: {errors}", output.status);
    String::from_utf8(output.stdout).expect("what it prints is UTF-8")
}

/// The answer of `tests/readers/read.py`.
fn read<T: DeserializeOwned>(what: &str, files: &[&Path]) -> T {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(root.join("target/readers/bin/python"));
    command.arg(root.join("tests/readers/read.py")).arg(what).args(files);
    let text = printed(&mut command, "run scripts/setup.sh tests, which installs the readers");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{what}: {error}: {text}"))
}

/// Series and their values in a text, by the `OpenMetrics` parser of Prometheus' Python client: `name{label="value"}`, with the
/// labels sorted.
pub fn openmetrics(text: &str) -> BTreeMap<String, f64> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("metrics.txt");
    std::fs::write(&file, text).expect("the folder can be written");
    let mut all: Vec<BTreeMap<String, f64>> = read("openmetrics", &[&file]);
    all.pop().expect("an answer for the file")
}

/// What a `JUnit` report holds.
#[derive(Debug, PartialEq, serde::Deserialize)]
pub struct Suite {
    pub tests: usize,
    pub failures: usize,
    pub errors: usize,
    pub cases: usize,
}

/// The suites of files that keep to the schema of Jenkins' xUnit plugin, as a validator of XML schemas has it.
pub fn junit(files: &[PathBuf]) -> Vec<Suite> {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/junit/junit-10.xsd");
    let files: Vec<&Path> = std::iter::once(&schema).chain(files).map(PathBuf::as_path).collect();
    read("junit", &files)
}

/// What the reference implementation of `HdrHistogram` makes of an interval log.
pub struct HdrLog {
    /// Samples of all intervals.
    pub count: u64,
    /// The longest of them, in the unit of the histograms.
    pub max: f64,
}

/// Reads the intervals with a tag by `HistogramLogProcessor`, which comes with the reference implementation, in Java.
pub fn hdr_log(log: &Path, tag: &str) -> HdrLog {
    let text = printed(
        java().args(["-i"]).arg(log).args(["-tag", tag, "-outputValueUnitRatio", "1"]),
        "run scripts/setup.sh tests, which installs a Java runtime",
    );
    // `#[Max     =      123.000, Total count    =          456]` ends its table of percentiles.
    let end = text.lines().rev().find(|line| line.starts_with("#[Max")).unwrap_or_else(|| panic!("{text}"));
    let value = |name: &str| {
        let rest = end.split_once(name).map_or("", |(_, rest)| rest.trim_start_matches([' ', '=']));
        rest.split([',', ']']).next().unwrap_or_default().trim().to_owned()
    };
    HdrLog {
        count: value("Total count").parse().unwrap_or_else(|error| panic!("{error}: {end}")),
        max: value("Max").parse().unwrap_or_else(|error| panic!("{error}: {end}")),
    }
}

/// The tags that it finds.
pub fn hdr_tags(log: &Path) -> Vec<String> {
    let text = printed(java().arg("-i").arg(log).arg("-listtags"), "run scripts/setup.sh tests");
    // Below `Tags found in input file:`.
    text.lines().skip(1).map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn java() -> Command {
    let jar =
        std::env::var_os("DBDYNO_HDRHISTOGRAM_JAR").map_or_else(|| HDRHISTOGRAM_JAR.into(), PathBuf::from);
    assert!(
        jar.is_file(),
        "{} is not there: run scripts/setup.sh tests, or name the jar of HdrHistogram in DBDYNO_HDRHISTOGRAM_JAR",
        jar.display()
    );
    let mut command = Command::new("java");
    command.arg("-cp").arg(jar).arg("org.HdrHistogram.HistogramLogProcessor");
    command
}
