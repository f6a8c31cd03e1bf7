//! A measurement in the `OpenMetrics` text format, for Prometheus and its like. Pure: a snapshot in, a text out; the registry is
//! built anew for each scrape, so that nothing is counted twice.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::snapshot::{BUCKETS_US, Buckets, Snapshot};

/// What a scrape is answered with.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The snapshot as metrics, with the mark of the end.
pub(super) fn openmetrics(snapshot: &Snapshot) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Measured(snapshot.clone())));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Measured(Snapshot);

type Labels<'a> = Vec<(&'static str, &'a str)>;

impl Collector for Measured {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let of = &self.0;
        run(of, &mut encoder)?;
        stage(of, &mut encoder)?;
        transactions(of, &mut encoder)?;
        statements(of, &mut encoder)?;
        pool(of, &mut encoder)?;
        sessions(of, &mut encoder)
    }
}

/// One metric that can go down, in each of its series.
fn gauges<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, unit): (&str, &str, Option<&Unit>),
    series: impl IntoIterator<Item = (Labels<'a>, f64)>,
) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, value) in series {
        metric.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

/// One metric that only grows, in each of its series.
fn counters<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    series: impl IntoIterator<Item = (Labels<'a>, u64)>,
) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in series {
        metric.encode_family(&labels)?.encode_counter::<Labels<'_>, u64, f64>(&value, None)?;
    }
    Ok(())
}

/// One distribution of times, in each of its series.
fn histograms<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    series: impl IntoIterator<Item = (Labels<'a>, &'a Buckets)>,
) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
    for (labels, of) in series {
        let edges = BUCKETS_US.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = edges.zip(of.counts).collect();
        metric.encode_family(&labels)?.encode_histogram::<Labels<'_>>(
            of.sum_s,
            of.count(),
            &buckets,
            None,
        )?;
    }
    Ok(())
}

fn run(of: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let Some(run) = &of.run else { return Ok(()) };
    let labels = vec![
        ("version", env!("CARGO_PKG_VERSION")),
        ("run", run.id.as_str()),
        ("kind", run.kind),
        ("workload", run.workload.as_str()),
        ("server", run.server.as_str()),
    ];
    gauges(encoder, ("dbdyno_run", "What is measured; always 1", None), [(labels, 1.0)])
}

fn stage(of: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let Some(stage) = &of.stage else { return Ok(()) };
    let labels =
        || vec![("stage", stage.name.as_str()), ("measured", if stage.measured { "true" } else { "false" })];
    let seconds = Some(&Unit::Seconds);
    gauges(
        encoder,
        ("dbdyno_stage_duration", "Planned length of the stage that goes on", seconds),
        [(labels(), stage.duration_s)],
    )?;
    gauges(
        encoder,
        ("dbdyno_stage_elapsed", "Time since that stage began", seconds),
        [(labels(), stage.elapsed_s)],
    )
}

fn transactions(of: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let Some(run) = &of.run else { return Ok(()) };
    let all = || run.transactions.iter().map(String::as_str).zip(&of.transactions);
    let label = |name| vec![("transaction", name)];
    let outcomes = all().flat_map(|(name, totals)| {
        let books = &totals.books;
        [
            ("ok", books.ok),
            ("failed", books.failed),
            ("unknown", books.unknown),
            ("skipped", books.skipped),
            ("abandoned", books.abandoned),
        ]
        .map(|(outcome, count)| (vec![("transaction", name), ("outcome", outcome)], count))
    });
    counters(encoder, ("dbdyno_transactions", "Transactions by how they ended"), outcomes)?;
    counters(
        encoder,
        ("dbdyno_retries", "Further tries of transactions that were begun again"),
        all().map(|(name, totals)| (label(name), totals.books.retried)),
    )?;
    let errors = all().flat_map(|(name, totals)| {
        totals
            .errors
            .iter()
            .map(move |(code, count)| (vec![("transaction", name), ("code", code.as_str())], *count))
    });
    counters(encoder, ("dbdyno_errors", "Failed tries by SQLSTATE or by dbdyno's own code"), errors)?;
    histograms(
        encoder,
        ("dbdyno_response", "Planned start to the answer of the commit, of those that ended ok"),
        all().map(|(name, totals)| (label(name), &totals.response)),
    )?;
    histograms(
        encoder,
        ("dbdyno_pool_wait", "Waiting for a connection"),
        all().map(|(name, totals)| (label(name), &totals.pool_wait)),
    )
}

fn statements(of: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let Some(run) = &of.run else { return Ok(()) };
    let series = |take: fn(&(u64, u64)) -> u64| {
        run.statements.iter().zip(&of.statements).map(move |((transaction, name), totals)| {
            (vec![("transaction", transaction.as_str()), ("statement", name.as_str())], take(totals))
        })
    };
    counters(encoder, ("dbdyno_statements", "Executions that ended well"), series(|totals| totals.0))?;
    counters(
        encoder,
        ("dbdyno_statement_errors", "Executions that ended in an error"),
        series(|totals| totals.1),
    )
}

fn pool(of: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let totals = of.pool;
    let size = of.stage.as_ref().map(|stage| stage.connections).filter(|connections| *connections > 0);
    gauges(
        encoder,
        ("dbdyno_pool_connections", "Connections of all instances", None),
        size.map(|size| (Labels::new(), f64::from(size))),
    )?;
    let last = of.seconds.back();
    gauges(
        encoder,
        ("dbdyno_pool_busy", "Busy connections, mean of the last second", None),
        last.map(|last| (Labels::new(), last.busy)),
    )?;
    gauges(
        encoder,
        ("dbdyno_pool_waiting", "Requests waiting for a connection, mean of the last second", None),
        last.map(|last| (Labels::new(), last.waiting)),
    )?;
    let alone = |count| [(Labels::new(), count)];
    counters(
        encoder,
        ("dbdyno_pool_timeouts", "Acquires that ran into their timeout"),
        alone(totals.timeouts),
    )?;
    counters(encoder, ("dbdyno_connections_created", "Connections made"), alone(totals.creates))?;
    counters(
        encoder,
        ("dbdyno_connection_errors", "Attempts to connect that failed"),
        alone(totals.create_errors),
    )
}

fn sessions(of: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    gauges(
        encoder,
        (
            "dbdyno_sessions",
            "Sessions of the pool by what they were in, mean of the last looks at the server",
            None,
        ),
        of.waits.iter().map(|(event, sessions)| (vec![("wait", event.as_str())], *sessions)),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::snapshot::fixture;
    use super::*;

    /// Series and their values, read by the rules of the format; fails where one is broken.
    pub(in crate::live) fn read(text: &str) -> BTreeMap<String, f64> {
        let mut series = BTreeMap::new();
        let mut family = String::new();
        let mut kind = String::new();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.last(), Some(&"# EOF"), "the end is marked");
        for line in &lines[..lines.len() - 1] {
            if let Some(rest) = line.strip_prefix("# ") {
                let mut words = rest.splitn(3, ' ');
                let (what, name, said) = (words.next(), words.next(), words.next());
                match what {
                    Some("HELP") => family = name.expect("a name").to_owned(),
                    Some("TYPE") => said.unwrap_or_default().clone_into(&mut kind),
                    Some("UNIT") => {
                        let unit = said.unwrap_or_default();
                        assert!(family.ends_with(&format!("_{unit}")), "{family} has the unit {unit}");
                    }
                    other => panic!("{other:?} in {line}"),
                }
                assert_eq!(name, Some(family.as_str()), "a family's lines stand together: {line}");
                continue;
            }
            let (name, value) = line.rsplit_once(' ').expect("a series and its value");
            let bare = name.split('{').next().expect("a name");
            let suffixes: &[&str] = match kind.as_str() {
                "counter" => &["_total"],
                "gauge" => &[""],
                "histogram" => &["_bucket", "_sum", "_count"],
                kind => panic!("{kind}"),
            };
            assert!(suffixes.iter().any(|suffix| bare == format!("{family}{suffix}")), "{line} in {family}");
            let value = value.parse().unwrap_or_else(|_| panic!("{value} in {line}"));
            assert_eq!(series.insert(name.to_owned(), value), None, "{name} stands twice");
        }
        series
    }

    #[test]
    fn a_snapshot_is_read_by_the_rules_of_the_format() {
        let mut snapshot = fixture::shop();
        snapshot.transactions[1].response.counts[3] = 40;
        snapshot.transactions[1].response.counts[BUCKETS_US.len()] = 2;
        snapshot.transactions[1].response.sum_s = 21.5;
        let text = openmetrics(&snapshot).expect("a text");
        let series = read(&text);
        let value = |name: &str| *series.get(name).unwrap_or_else(|| panic!("{name} in {text}"));
        let near =
            |name: &str, wanted: f64| assert!((value(name) - wanted).abs() < 1e-9, "{name}: {}", value(name));
        near("dbdyno_transactions_total{transaction=\"checkout\",outcome=\"failed\"}", 3.0);
        near("dbdyno_errors_total{transaction=\"checkout\",code=\"40P01\"}", 3.0);
        near("dbdyno_pool_connections", 8.0);
        near("dbdyno_sessions{wait=\"Lock:transactionid\"}", 1.27);
        near("dbdyno_stage_elapsed_seconds{stage=\"normal\",measured=\"true\"}", 42.0);
        near("dbdyno_response_seconds_count{transaction=\"checkout\"}", 42.0);
        near("dbdyno_response_seconds_sum{transaction=\"checkout\"}", 21.5);
        let bucket = |le: &str| {
            let of = |name: &&String| {
                name.starts_with("dbdyno_response_seconds_bucket")
                    && name.contains("checkout")
                    && name.contains(&format!("le=\"{le}\""))
            };
            series[series.keys().find(of).unwrap_or_else(|| panic!("le={le} in {text}"))]
        };
        assert!((bucket("0.0025") - 40.0).abs() < 1e-9, "buckets hold all below them");
        assert!((bucket("+Inf") - 42.0).abs() < 1e-9, "the last holds all");
    }

    #[test]
    fn the_dashboard_asks_for_nothing_that_is_not_there() {
        let dashboard: serde_json::Value =
            serde_json::from_str(include_str!("../../fixtures/grafana/dbdyno.json")).expect("JSON");
        let text = openmetrics(&fixture::shop()).expect("a text");
        let known: Vec<String> = read(&text)
            .into_keys()
            .map(|name| name.split('{').next().unwrap_or_default().to_owned())
            .collect();
        let asked = dashboard.to_string();
        let names = asked.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
        let names: Vec<&str> = names.filter(|word| word.starts_with("dbdyno_")).collect();
        assert!(names.len() > 15, "{names:?}");
        for name in names {
            assert!(known.iter().any(|known| known == name), "{name} is not among {known:?}");
        }
    }

    #[test]
    fn nothing_measured_yet_is_a_text_all_the_same() {
        let text = openmetrics(&Snapshot::default()).expect("a text");
        assert!(read(&text).keys().all(|name| !name.contains('{')), "{text}");
    }
}
