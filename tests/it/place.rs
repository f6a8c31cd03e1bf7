//! A workload and a history of runs in a folder of their own, and the program that measures there. And a workload alone.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dbdyno::model::{Report, Stage, StatementInfo};
use dbdyno::units::Dialect;
use dbdyno::workload::{Workload, load_for};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::harness::{dbdyno, wait_until};

/// Longest time that a measurement of a few seconds may take on a busy machine before it counts as hung.
const ENDS_WITHIN: Duration = Duration::from_secs(100);

/// A folder with these files.
pub fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("the folder can be written");
    }
    folder
}

/// The workload of these files as it runs on an engine, with its folder.
pub fn workload_of(files: &[(&str, &str)], dialect: Dialect) -> (TempDir, Workload) {
    let folder = folder(files);
    let workload = load_for(folder.path(), dialect).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    (folder, workload)
}

/// A workload and a history of runs; both go with it.
pub struct Place {
    folder: TempDir,
}

impl Place {
    /// A workload of these two files.
    pub fn new(workload: &str, queries: &str) -> Self {
        let place = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        std::fs::create_dir(place.workload()).expect("a folder");
        place.file("workload.toml", workload).file("queries.sql", queries)
    }

    /// One statement, without a table, in a transaction named `only`.
    pub fn one_statement(sql: &str) -> Self {
        let workload = "name = \"one\"\n[[transaction]]\nname = \"only\"\nstatements = [\"statement\"]\n";
        Self::new(workload, &format!("-- name: statement :many\n{sql};\n"))
    }

    /// One more file of the workload.
    pub fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.workload().join(name), text).expect("a file");
        self
    }

    /// The folder of the workload.
    pub fn workload(&self) -> PathBuf {
        self.folder.path().join("workload")
    }

    /// The folder of the runs.
    pub fn runs(&self) -> PathBuf {
        self.folder.path().join("runs")
    }

    /// The program with the history of this place; `words` are split at spaces.
    pub fn dbdyno(&self, words: &str) -> assert_cmd::Command {
        let mut command = dbdyno();
        command.env("DBDYNO_RUNS_DIR", self.runs()).args(words.split_whitespace());
        command
    }

    /// `dbdyno WORDS -w … -t URL`
    pub fn on(&self, url: &str, words: &str) -> assert_cmd::Command {
        let mut command = self.dbdyno(words);
        command.arg("-w").arg(self.workload()).args(["-t", url]);
        command
    }

    /// Measures, and gives the report and the exit code.
    pub fn measure(&self, url: &str, words: &str) -> Measured {
        Measured::from(
            &self.on(url, words).args(["--json", "-"]).output().expect("the program can be started"),
        )
    }

    /// Measures, and expects that it goes well.
    pub fn report(&self, url: &str, words: &str) -> Report {
        let measured = self.measure(url, words);
        assert_eq!(measured.code, Some(0), "{}", measured.errors);
        measured.report()
    }

    /// Begins to measure. The test goes on at the same time.
    pub fn begin(&self, url: &str, words: &str) -> Running {
        let mut command = std::process::Command::new(crate::harness::program());
        crate::harness::own_environment(&mut command);
        command.env("DBDYNO_RUNS_DIR", self.runs()).args(words.split_whitespace());
        command.arg("-w").arg(self.workload()).args(["-t", url, "--json", "-"]);
        Running::spawn(command)
    }

    /// The only run that is kept here.
    pub fn run_dir(&self) -> PathBuf {
        let entries = std::fs::read_dir(self.runs()).expect("runs were kept");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let dirs: Vec<PathBuf> = paths.filter(|path| path.is_dir()).collect();
        let [dir] = dirs.as_slice() else { panic!("not one run: {dirs:?}") };
        dir.clone()
    }

    /// A file beside the workload and the runs.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whether a run has been measuring for `seconds` whole seconds.
    fn has_measured(&self, seconds: usize) -> bool {
        let Ok(entries) = std::fs::read_dir(self.runs()) else { return false };
        let Some(run) = entries.flatten().find(|entry| entry.path().is_dir()) else { return false };
        let journal = std::fs::read_to_string(run.path().join("journal.jsonl")).unwrap_or_default();
        journal.lines().filter(|line| line.starts_with("{\"interval\"")).count() >= seconds
    }

    /// Waits until a run has been measuring for `seconds` whole seconds.
    pub fn wait_for_seconds(&self, seconds: usize) {
        wait_until("a run measures", ENDS_WITHIN, || self.has_measured(seconds));
    }
}

/// What a command left.
pub struct Measured {
    /// Its exit code; none when it was killed.
    pub code: Option<i32>,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
}

impl Measured {
    /// Of a command that ended.
    pub fn from(output: &std::process::Output) -> Self {
        Self {
            code: output.status.code(),
            output: String::from_utf8(output.stdout.clone()).expect("a report is UTF-8"),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Its standard output as a report, the books of which must balance whatever happened.
    pub fn report(&self) -> Report {
        let report: Report = serde_json::from_str(&self.output)
            .unwrap_or_else(|error| panic!("no report: {error}\n{}\n{}", self.output, self.errors));
        assert_books(&report);
        report
    }
}

/// A measurement that goes on.
pub struct Running {
    child: Child,
    output: Option<JoinHandle<Vec<u8>>>,
    errors: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    /// Starts a command and reads what it says.
    pub fn spawn(mut command: std::process::Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be started");
        let output = Some(read_all(child.stdout.take().expect("piped")));
        let errors = Some(read_all(child.stderr.take().expect("piped")));
        Self { child, output, errors }
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id is an i32")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid()).expect("not zero"), signal).expect("it runs");
    }

    /// Waits until it ends by itself.
    pub fn end(mut self) -> Measured {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                break status;
            }
            assert!(begun.elapsed() < ENDS_WITHIN, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        let take = |reader: &mut Option<JoinHandle<Vec<u8>>>| {
            reader.take().expect("ended once").join().expect("it was read")
        };
        let (stdout, stderr) = (take(&mut self.output), take(&mut self.errors));
        Measured::from(&std::process::Output { status, stdout, stderr })
    }
}

impl Drop for Running {
    /// A test that failed in the middle leaves no load behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        from.read_to_end(&mut text).expect("a pipe can be read");
        text
    })
}

/// Every transaction has exactly one outcome, in every stage.
pub fn assert_books(report: &Report) {
    for stage in &report.stages {
        let a = stage.accounting;
        let closed = a.ok + a.failed + a.unknown + a.skipped + a.abandoned + a.carried_out;
        assert_eq!(a.carried_in + a.issued, closed, "stage {}: {a:?}", stage.name);
        assert!(a.balanced, "stage {}: {a:?}", stage.name);
    }
}

/// Two reports agree to the last digit; the first line in which they do not is shown.
#[track_caller]
pub fn assert_same(left: &Report, right: &Report) {
    let [left, right] = [left, right].map(|report| serde_json::to_string_pretty(report).expect("a report"));
    let differing = left.lines().zip(right.lines()).find(|(left, right)| left != right);
    assert!(left == right, "{differing:?}");
}

/// The self-tests of the measurement hold.
pub fn assert_checks(stage: &Stage) {
    assert!(!stage.checks.is_empty());
    for check in &stage.checks {
        assert!(check.holds, "{check:?}");
    }
}

/// The only measured stage.
pub fn measured(report: &Report) -> &Stage {
    let stages: Vec<&Stage> = report.stages.iter().filter(|stage| stage.measured).collect();
    let [stage] = stages.as_slice() else { panic!("not one measured stage: {}", stages.len()) };
    stage
}

/// A statement of the stage by its name.
pub fn statement<'a>(stage: &'a Stage, name: &str) -> &'a StatementInfo {
    let found = stage.statements.iter().find(|statement| statement.name == name);
    found.unwrap_or_else(|| panic!("no statement {name}"))
}

/// The address of a server with other words before the `@`.
pub fn as_user(url: &str, user_and_password: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let (_, address) = rest.split_once('@').expect("user and address");
    format!("{scheme}://{user_and_password}@{address}")
}
