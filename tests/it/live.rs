//! What can be seen of a measurement from outside while it goes on.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use dbdyno::model::Report;

use crate::harness::{Database, own_environment, program, wait_until};
use crate::place::{Place, measured};
use crate::readers;

/// A port that nobody had a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// The answer to a scrape; nothing while nobody listens.
fn scrape(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(&format!("{series} ")))?;
    line.rsplit(' ').next()?.parse().ok()
}

const OK: &str = "dbdyno_transactions_total{transaction=\"only\",outcome=\"ok\"}";

#[test]
fn a_measurement_is_scraped_while_it_goes_on_and_the_counts_are_those_of_the_report() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.002)");
    let port = free_port();
    let words = format!("run --rate 50 --duration 3s --warmup 0s --pool-size 2 --metrics {port}");
    let running = place.begin(database.url(), &words);
    let mut seen: Vec<f64> = Vec::new();
    wait_until("two seconds are scraped", Duration::from_secs(60), || {
        let counted = scrape(port).as_deref().and_then(|text| value(text, OK));
        if let Some(count) = counted.filter(|count| *count > 0.0 && seen.last() != Some(count)) {
            seen.push(count);
        }
        seen.len() >= 2
    });
    let text = scrape(port).expect("it goes on for another second");
    assert!(
        text.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0"),
        "{text}"
    );
    assert!(text.ends_with("# EOF\n"), "{text}");
    let (_, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let series = readers::openmetrics(body);
    let of = |name: &str| series.get(name).copied();
    assert!(series.keys().any(|name| name.starts_with("dbdyno_run{") && name.contains("workload=\"one\"")));
    assert_eq!(of("dbdyno_pool_connections{}"), Some(2.0));
    let ok = of("dbdyno_transactions_total{outcome=\"ok\",transaction=\"only\"}");
    assert!(ok.is_some_and(|ok| ok > 0.0) && ok == value(&text, OK), "{text}");
    assert_eq!(of("dbdyno_response_seconds_count{transaction=\"only\"}"), ok);
    assert_eq!(of("dbdyno_response_seconds_bucket{le=\"+Inf\",transaction=\"only\"}"), ok, "{text}");
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert!(
        ended.errors.contains(&format!("metrics at http://127.0.0.1:{port}/metrics")),
        "{}",
        ended.errors
    );
    let whole = measured(&ended.report()).accounting.ok as f64;
    assert!(seen.windows(2).all(|two| two[0] < two[1]), "a counter only grows: {seen:?}");
    assert!(seen.last().is_some_and(|last| *last <= whole), "{seen:?} of {whole}");
    assert!(scrape(port).is_none(), "nobody listens any more");
}

#[test]
fn a_port_that_is_taken_is_told_before_anything_is_measured() {
    let place = Place::one_statement("SELECT 1");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let words = format!("run --clients 1 --duration 1s --metrics {port}");
    let ended = place.measure("postgres://nobody@127.0.0.1:1/none", &words);
    assert_eq!(ended.code, Some(1), "{}", ended.errors);
    assert!(
        ended.errors.contains("--metrics") && ended.errors.contains(&port.to_string()),
        "{}",
        ended.errors
    );
}

#[test]
fn without_a_terminal_the_live_view_is_off_and_says_so() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT 1");
    let ended =
        place.measure(database.url(), "run --clients 1 --duration 1s --warmup 0s --pool-size 1 --live");
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert!(
        ended.errors.contains("--live needs a terminal") && ended.errors.contains("] run: 1s"),
        "{}",
        ended.errors
    );
    assert!(!ended.errors.contains('\u{1b}'), "nothing is drawn: {:?}", ended.errors);
}

/// The program on a terminal of its own, at which the test sits. What makes the terminal is `script` of util-linux or of macOS.
struct AtTerminal {
    child: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl AtTerminal {
    /// `dbdyno WORDS`, on a terminal of 80 columns and 24 rows.
    fn begin(place: &Place, words: &str) -> Self {
        const LINE: &str = "stty rows 24 cols 80; exec \"$TESTED\" $WORDS";
        let mut command = Command::new("script");
        if cfg!(target_os = "macos") {
            command.args(["-q", "/dev/null", "sh", "-c", LINE]);
        } else {
            command.args(["--quiet", "--return", "--flush", "--command", LINE, "/dev/null"]);
        }
        own_environment(&mut command);
        command.env("DBDYNO_RUNS_DIR", place.runs()).env("TESTED", program()).env("WORDS", words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("script is there: scripts/setup.sh tests installs it");
        let keys = child.stdin.take().expect("piped");
        let mut screen = child.stdout.take().expect("piped");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&shown);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = screen.read(&mut bytes) {
                kept.lock().expect("nobody panics with it").extend_from_slice(&bytes[..read]);
            }
        });
        Self { child, keys, shown, reader: Some(reader) }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Everything that was written on the terminal so far.
    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("nobody panics with it")).into_owned()
    }

    fn wait_for(&self, words: &str) {
        wait_until(words, Duration::from_secs(60), || self.shown().contains(words));
    }

    /// Its exit code, once it has ended by itself.
    fn end(&mut self) -> Option<i32> {
        let mut code = None;
        wait_until("the program ends", Duration::from_secs(60), || {
            let ended = self.child.try_wait().expect("it can be waited for");
            code = ended.and_then(|status| status.code());
            ended.is_some()
        });
        self.reader.take().expect("it ends once").join().expect("the terminal was read");
        code
    }
}

impl Drop for AtTerminal {
    /// Without a terminal the program ends as well.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn report_in(path: &Path) -> Report {
    let text = std::fs::read_to_string(path).expect("a report was written");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The terminal was taken once and given back as it was: the page with its cursor, and then the report.
fn assert_given_back(shown: &str) {
    let (_, screen) = shown.split_once("\u{1b}[?1049h").unwrap_or_else(|| panic!("not taken: {shown}"));
    let (_, behind) = screen.split_once("\u{1b}[?1049l").unwrap_or_else(|| panic!("kept: {shown}"));
    assert!(behind.contains("\u{1b}[?25h"), "the cursor is back: {behind}");
    assert!(behind.contains("TRANSACTIONS"), "the report stands below: {behind}");
}

#[test]
fn space_holds_the_picture_and_n_ends_the_stage() {
    let database = Database::empty();
    let workload = "name = \"one\"\n[[transaction]]\nname = \"only\"\nstatements = [\"statement\"]\n\
         [[stage]]\nname = \"first\"\nduration = \"90s\"\nclients = 1\n\
         [[stage]]\nname = \"second\"\nduration = \"2s\"\nclients = 1\n";
    let place = Place::new(workload, "-- name: statement :many\nSELECT pg_sleep(0.002);\n");
    let file = place.path("report.json");
    let words = format!(
        "run --warmup 0s --pool-size 1 --live --json {} -w {} -t {}",
        file.display(),
        place.workload().display(),
        database.url()
    );
    let mut terminal = AtTerminal::begin(&place, &words);
    terminal.wait_for("throughput");
    place.wait_for_seconds(2);
    terminal.press(" ");
    terminal.wait_for("PAUSED");
    // The rest of that picture.
    std::thread::sleep(Duration::from_millis(300));
    let held = terminal.shown();
    place.wait_for_seconds(5);
    assert_eq!(terminal.shown(), held, "nothing is drawn while the measurement goes on");
    terminal.press(" ");
    wait_until("the picture moves again", Duration::from_secs(10), || {
        let shown = terminal.shown();
        shown.get(held.len()..).is_some_and(|more| !more.is_empty() && !more.contains("PAUSED"))
    });
    terminal.press("n");
    assert_eq!(terminal.end(), Some(0), "{}", terminal.shown());
    let report = report_in(&file);
    let lengths: Vec<(&str, f64)> =
        report.stages.iter().map(|stage| (stage.name.as_str(), stage.duration_s)).collect();
    let [("first", first), ("second", second)] = lengths[..] else { panic!("{lengths:?}") };
    assert!((4.0..80.0).contains(&first), "it was ended on the way: {lengths:?}");
    assert!(second > 1.5, "the next one is measured as a whole: {lengths:?}");
    assert_eq!(report.ended, "completed");
    assert_given_back(&terminal.shown());
}

#[test]
fn q_and_an_interrupt_stop_with_a_report() {
    let database = Database::empty();
    for key in ["q", "\u{3}"] {
        let place = Place::one_statement("SELECT pg_sleep(0.002)");
        let file = place.path("report.json");
        let words = format!(
            "run --clients 1 --duration 90s --warmup 0s --pool-size 1 --live --json {} -w {} -t {}",
            file.display(),
            place.workload().display(),
            database.url()
        );
        let mut terminal = AtTerminal::begin(&place, &words);
        terminal.wait_for("stop");
        place.wait_for_seconds(1);
        terminal.press(key);
        assert_eq!(terminal.end(), Some(130), "{}", terminal.shown());
        let report = report_in(&file);
        assert_eq!(report.ended, "interrupted");
        assert!(measured(&report).accounting.ok > 0);
        assert_given_back(&terminal.shown());
    }
}
