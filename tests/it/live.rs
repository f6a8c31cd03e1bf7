//! What can be seen of a measurement from outside while it goes on.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::harness::{Database, wait_until};
use crate::place::{Place, measured};

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
    assert!(text.contains("dbdyno_run{version=") && text.contains("workload=\"one\""), "{text}");
    assert_eq!(value(&text, "dbdyno_pool_connections"), Some(2.0));
    let in_buckets = value(&text, "dbdyno_response_seconds_bucket{le=\"+Inf\",transaction=\"only\"}");
    assert_eq!(value(&text, "dbdyno_response_seconds_count{transaction=\"only\"}"), value(&text, OK));
    assert!(in_buckets.is_none() || in_buckets == value(&text, OK), "{text}");
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
