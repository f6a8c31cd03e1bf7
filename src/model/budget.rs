//! What a report says of a metric, and whether it keeps its limit. Pure: stages in, a result out.

use super::figure::Figure;
use super::metric::{GaugeStatistic, Limit, MeasureStatistic, MetricPath, Phase, Statistic, Unit};
use super::{BudgetResult, GaugeInfo, MeasureInfo, Quantiles, Stage, TransactionInfo, Verdict};

/// The metric in its own unit (microseconds, a share from 0 to 1, transactions per second, bytes, a count), or `None` where the samples of
/// the stage do not carry it. A censored quantile is given as measured: a lower bound.
#[must_use]
pub fn measure(metric: &MetricPath, stage: &Stage) -> Option<f64> {
    read(metric, stage).ok().map(|reading| reading.value)
}

/// The metric in its own unit, or `None` where the samples do not carry it or only say that it is at least so much: two lower
/// bounds tell nothing of which is higher.
#[must_use]
pub fn exact(metric: &MetricPath, stage: &Stage) -> Option<f64> {
    read(metric, stage).ok().filter(|reading| !reading.is_lower_bound).map(|reading| reading.value)
}

/// The same of one statistic of a distribution.
#[must_use]
pub fn exact_statistic(quantiles: &Quantiles, statistic: Statistic) -> Option<f64> {
    read_statistic(quantiles, statistic)
        .ok()
        .filter(|reading| !reading.is_lower_bound)
        .map(|reading| reading.value)
}

/// Judges the limit over all measured stages: by the worst of those that break it, else by one that cannot tell, else by
/// the worst of those that keep it.
#[must_use]
pub fn evaluate(metric: &MetricPath, limit: &Limit, stages: &[Stage]) -> BudgetResult {
    let unit = limit.unit;
    let worst = stages
        .iter()
        .filter(|stage| stage.measured)
        .map(|stage| judge(metric, limit, stage))
        .max_by(|a, b| a.rank(limit).partial_cmp(&b.rank(limit)).unwrap_or(std::cmp::Ordering::Equal));
    let worst = worst.unwrap_or_else(|| Judgement {
        stage: String::new(),
        reading: Err("no stage was measured".to_owned()),
        verdict: Verdict::Inconclusive,
    });
    let (measured, reason) = match worst.reading {
        Ok(reading) if reading.is_lower_bound => {
            let reason = "work that failed or never ended reaches into it: the true value is higher";
            (format!("> {}", unit.show(reading.value)), Some(reason.to_owned()))
        }
        Ok(reading) => (unit.show(reading.value), None),
        Err(reason) => ("–".to_owned(), Some(reason)),
    };
    BudgetResult {
        metric: metric.to_string(),
        limit: limit.show(),
        stage: worst.stage,
        measured,
        verdict: worst.verdict,
        reason: reason.filter(|_| worst.verdict == Verdict::Inconclusive),
    }
}

/// What one stage says of the limit.
struct Judgement {
    stage: String,
    reading: Result<Reading, String>,
    verdict: Verdict,
}

impl Judgement {
    /// Greater is worse: first by the verdict, then by how far the value lies on the bad side.
    fn rank(&self, limit: &Limit) -> (u8, f64) {
        let verdict = match self.verdict {
            Verdict::Fail => 2,
            Verdict::Inconclusive => 1,
            Verdict::Pass | Verdict::None => 0,
        };
        let sign = if limit.bound.is_upper() { 1.0 } else { -1.0 };
        (verdict, self.reading.as_ref().map_or(f64::NEG_INFINITY, |reading| sign * reading.value))
    }
}

fn judge(metric: &MetricPath, limit: &Limit, stage: &Stage) -> Judgement {
    let reading = read(metric, stage).and_then(|reading| match reading.unit {
        // Only a journal that was edited by hand gets here: the plan was checked before the run.
        Some(unit) if unit != limit.unit => {
            Err(format!("it is {}, and the limit is {}", unit.measured_in(), limit.unit.measured_in()))
        }
        _ => Ok(reading),
    });
    let verdict = match &reading {
        Err(_) => Verdict::Inconclusive,
        // A lower bound decides what lies above: an upper limit that is broken, a lower one that is kept.
        Ok(reading) if reading.is_lower_bound && limit.holds(reading.value) == limit.bound.is_upper() => {
            Verdict::Inconclusive
        }
        Ok(reading) if limit.holds(reading.value) => Verdict::Pass,
        Ok(_) => Verdict::Fail,
    };
    Judgement { stage: stage.name.clone(), reading, verdict }
}

/// A metric of one stage.
#[derive(Clone, Copy)]
struct Reading {
    value: f64,
    /// The true value is at least this.
    is_lower_bound: bool,
    /// What it is counted in, where the workload decides that.
    unit: Option<Unit>,
}

impl Reading {
    fn exact(value: f64) -> Self {
        Self { value, is_lower_bound: false, unit: None }
    }
}

/// The metric, or why there is none.
fn read(metric: &MetricPath, stage: &Stage) -> Result<Reading, String> {
    let transaction = match metric.transaction() {
        Some(name) => Some(
            stage
                .transactions
                .iter()
                .find(|transaction| transaction.name == name)
                .ok_or_else(|| format!("no transaction `{name}` ran in the stage"))?,
        ),
        None => None,
    };
    match metric {
        MetricPath::Time { phase, statistic, .. } => {
            let quantiles = match (transaction, phase) {
                (Some(transaction), phase) => phase_of(transaction, *phase),
                (None, Phase::Response) => &stage.response_us,
                (None, Phase::PoolWait) => &stage.pool.wait_us,
                (None, Phase::Service) => &stage.service_us,
                (None, Phase::Lag) => &stage.lag_us,
            };
            read_statistic(quantiles, *statistic)
        }
        MetricPath::ErrorRate { .. } => error_rate(stage, transaction),
        MetricPath::Throughput { .. } => {
            Ok(Reading::exact(transaction.map_or(stage.achieved_per_s, |transaction| transaction.per_s)))
        }
        MetricPath::Figure(figure) => match figure.read(stage)? {
            Figure::Number(value) => Ok(Reading::exact(value)),
            Figure::Of(quantiles, statistic) => read_statistic(&quantiles, statistic),
        },
        MetricPath::PoolSaturated => Ok(Reading::exact(stage.pool.saturated_fraction)),
        MetricPath::Measure { name, statistic } => {
            let measure = stage.measures.iter().find(|measure| measure.name == *name);
            read_measure(measure.ok_or_else(|| format!("the stage has no measure `{name}`"))?, *statistic)
        }
        MetricPath::Gauge { name, statistic } => {
            let gauge = stage.gauges.iter().find(|gauge| gauge.name == *name);
            read_gauge(gauge.ok_or_else(|| format!("the stage has no gauge `{name}`"))?, *statistic)
        }
    }
}

fn read_measure(measure: &MeasureInfo, statistic: MeasureStatistic) -> Result<Reading, String> {
    match statistic {
        MeasureStatistic::Value(statistic) => {
            let (unit, values) = measure.values().ok_or("only the order of its values is measured")?;
            Ok(Reading { unit: Some(unit), ..read_statistic(values, statistic)? })
        }
        MeasureStatistic::PerSecond => Ok(Reading::exact(measure.per_s)),
        MeasureStatistic::Inversions => {
            let order = measure.order.as_ref().ok_or("the order of its values is not looked at")?;
            order.in_client_fraction.map(Reading::exact).ok_or_else(|| "there is no sample".to_owned())
        }
    }
}

fn read_gauge(gauge: &GaugeInfo, statistic: GaugeStatistic) -> Result<Reading, String> {
    let (unit, levels) = gauge.levels();
    let levels =
        levels.ok_or_else(|| "it was not read (a run with --no-probes reads no gauge)".to_owned())?;
    let value = match statistic {
        GaugeStatistic::Min => levels.min,
        GaugeStatistic::Mean => levels.mean,
        GaugeStatistic::Max => levels.max,
        GaugeStatistic::Last => levels.last,
    };
    Ok(Reading { unit: Some(unit), ..Reading::exact(value) })
}

fn phase_of(transaction: &TransactionInfo, phase: Phase) -> &Quantiles {
    match phase {
        Phase::Response => &transaction.response_us,
        Phase::Service => &transaction.service_us,
        Phase::PoolWait => &transaction.pool_wait_us,
        Phase::Lag => &transaction.lag_us,
    }
}

fn read_statistic(quantiles: &Quantiles, statistic: Statistic) -> Result<Reading, String> {
    let (value, quantile) = match statistic {
        // One censored sample makes the mean and the maximum lower bounds.
        Statistic::Mean => (quantiles.mean, 1.0),
        Statistic::P50 => (whole(quantiles.p50), 0.5),
        Statistic::P90 => (whole(quantiles.p90), 0.9),
        Statistic::P95 => (whole(quantiles.p95), 0.95),
        Statistic::P99 => (whole(quantiles.p99), 0.99),
        Statistic::P999 => (whole(quantiles.p99_9), 0.999),
        Statistic::P9999 => (whole(quantiles.p99_99), 0.9999),
        Statistic::Max => (whole(quantiles.max), 1.0),
    };
    let is_lower_bound = quantiles.censored_from.is_some_and(|from| quantile >= from);
    value.map(|value| Reading { is_lower_bound, ..Reading::exact(value) }).ok_or_else(|| {
        match quantiles.count {
            0 => "there is no sample".to_owned(),
            count => {
                format!("{count} samples are too few for {}: ten must lie beyond it", statistic.as_str())
            }
        }
    })
}

/// Microseconds of a run lie far below 2^53, where a float is exact.
fn whole(value: Option<u64>) -> Option<f64> {
    value.map(|value| value as f64)
}

fn error_rate(stage: &Stage, transaction: Option<&TransactionInfo>) -> Result<Reading, String> {
    let (errors, all) = if let Some(transaction) = transaction {
        (transaction.count - transaction.ok, transaction.count)
    } else {
        let books = &stage.accounting;
        let errors = books.failed + books.unknown + books.skipped + books.abandoned;
        (errors, books.ok + errors)
    };
    match all {
        0 => Err("no transaction ended".to_owned()),
        all => Ok(Reading::exact(errors as f64 / all as f64)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Accounting, PoolInfo};
    use super::*;

    fn quantiles(p99: Option<u64>, count: u64, censored_from: Option<f64>) -> Quantiles {
        Quantiles { count, mean: Some(1_000.5), p50: Some(900), p99, censored_from, ..Quantiles::default() }
    }

    fn stage(name: &str, p99: Option<u64>) -> Stage {
        let checkout = TransactionInfo {
            name: "checkout".to_owned(),
            count: 200,
            ok: 196,
            per_s: 20.0,
            response_us: quantiles(p99, 200, None),
            response_curve: Vec::new(),
            service_us: quantiles(p99.map(|p99| p99 / 2), 200, None),
            pool_wait_us: Quantiles::default(),
            lag_us: Quantiles::default(),
            hold_us: Quantiles::default(),
            commit_us: Quantiles::default(),
            pipeline_us: Quantiles::default(),
            errors: BTreeMap::from([("40001".to_owned(), 3), ("40P01".to_owned(), 1)]),
            ledger: None,
        };
        Stage {
            name: name.to_owned(),
            measured: true,
            started_at: "2026-01-01T00:00:00Z".to_owned(),
            duration_s: 10.0,
            drain_s: 0.1,
            load: None,
            offered_per_s: Some(100.0),
            clients: None,
            achieved_per_s: 99.0,
            accounting: Accounting {
                issued: 1_000,
                ok: 990,
                failed: 6,
                unknown: 1,
                skipped: 2,
                abandoned: 1,
                ..Accounting::default()
            },
            response_us: quantiles(p99, 1_000, None),
            service_us: quantiles(p99, 1_000, None),
            lag_us: Quantiles::default(),
            transactions: vec![checkout],
            pool: PoolInfo { saturated_fraction: 0.25, ..PoolInfo::default() },
            ..Stage::default()
        }
    }

    fn judged(metric: &str, limit: &str, stages: &[Stage]) -> BudgetResult {
        let metric: MetricPath = metric.parse().expect("a metric");
        let limit = Limit::parse(limit, &metric).expect("a limit");
        evaluate(&metric, &limit, stages)
    }

    #[test]
    fn every_metric_is_measured_in_its_own_unit() {
        let stage = stage("baseline", Some(48_200));
        for (metric, expected) in [
            ("p99", Some(48_200.0)),
            ("checkout.service.p99", Some(24_100.0)),
            ("response.mean", Some(1_000.5)),
            ("checkout.pool_wait.p99", None),
            ("p99.9", None),
            ("errors", Some(0.01)),
            ("checkout.errors", Some(0.02)),
            ("throughput", Some(99.0)),
            ("checkout.throughput", Some(20.0)),
            ("pool.saturated", Some(0.25)),
            ("browse.p99", None),
            ("service.p99", Some(48_200.0)),
            ("lag.p99", None),
        ] {
            let path = metric.parse().expect("a metric");
            assert_eq!(measure(&path, &stage), expected, "{metric}");
        }
    }

    #[test]
    fn the_worst_measured_stage_decides() {
        let mut warm_up = stage("warm-up", Some(900_000));
        warm_up.measured = false;
        let stages =
            [warm_up, stage("normal", Some(10_000)), stage("peak", Some(48_200)), stage("end", Some(5))];
        let kept = judged("p99", "< 50ms", &stages);
        assert_eq!(
            (kept.verdict, kept.stage.as_str(), kept.measured.as_str()),
            (Verdict::Pass, "peak", "48.2 ms")
        );
        assert_eq!((kept.metric.as_str(), kept.limit.as_str()), ("response.p99", "< 50ms"));
        let broken = judged("p99", "< 20ms", &stages);
        assert_eq!((broken.verdict, broken.stage.as_str()), (Verdict::Fail, "peak"));
        assert_eq!(broken.reason, None);
        let slow = judged("p99", "> 1ms", &stages);
        assert_eq!((slow.verdict, slow.stage.as_str()), (Verdict::Fail, "end"), "the smallest is the worst");
    }

    #[test]
    fn a_stage_that_cannot_tell_weighs_more_than_one_that_keeps_the_limit() {
        let result = judged("p99", "< 50ms", &[stage("normal", Some(10_000)), stage("short", None)]);
        assert_eq!(
            (result.verdict, result.stage.as_str(), result.measured.as_str()),
            (Verdict::Inconclusive, "short", "–")
        );
        assert_eq!(
            result.reason.as_deref(),
            Some("1000 samples are too few for p99: ten must lie beyond it")
        );
        let result = judged("p99", "< 5ms", &[stage("normal", Some(10_000)), stage("short", None)]);
        assert_eq!((result.verdict, result.stage.as_str()), (Verdict::Fail, "normal"));
        assert_eq!(judged("p99", "< 5ms", &[]).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn a_lower_bound_can_break_an_upper_limit_and_cannot_keep_it() {
        let mut censored = stage("peak", None);
        censored.response_us = quantiles(Some(48_200), 1_000, Some(0.95));
        let stages = [censored];
        let open = judged("p99", "< 50ms", &stages);
        assert_eq!((open.verdict, open.measured.as_str()), (Verdict::Inconclusive, "> 48.2 ms"));
        assert!(open.reason.is_some());
        assert_eq!(judged("p99", "< 40ms", &stages).verdict, Verdict::Fail);
        assert_eq!(judged("p99", ">= 40ms", &stages).verdict, Verdict::Pass);
        assert_eq!(judged("p99", ">= 50ms", &stages).verdict, Verdict::Inconclusive);
        assert_eq!(
            judged("p50", "< 1ms", &stages).verdict,
            Verdict::Pass,
            "the median lies below what was cut off"
        );
        assert_eq!(judged("response.mean", "< 50ms", &stages).verdict, Verdict::Inconclusive);
    }
}
