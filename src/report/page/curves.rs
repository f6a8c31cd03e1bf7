//! Charts that do not lie over time: percentiles of each transaction, the curve of a pool study with its law, response by size and by
//! rate. Pure functions of the model.

use super::chart::{Chart, Mark, Merge, Role, Series, Short, Unit};
use crate::model::{Capacity, PoolPoint, PoolStudy, Report, ScalingLaw, Stage, StepOutcome, TransactionInfo};
use crate::report::format::{decimal, percent, rate};

/// Curves that can be told apart in one picture.
const CURVES_MAX: usize = 8;
/// Points of a computed curve.
const FIT_POINTS: u32 = 64;
/// How far the axis goes beyond the last measured point.
const BEYOND: f64 = 1.1;

/// The latency distribution of each transaction on a percentile axis.
pub(super) fn percentiles(stage: &Stage) -> Option<Chart> {
    let mut shown: Vec<&TransactionInfo> =
        stage.transactions.iter().filter(|of| of.response_curve.len() > 1).collect();
    if shown.is_empty() {
        return None;
    }
    let cost = |of: &TransactionInfo| of.response_us.mean.unwrap_or(0.0) * of.count as f64;
    shown.sort_by(|a, b| cost(b).total_cmp(&cost(a)));
    let left_out = shown.len().saturating_sub(CURVES_MAX);
    shown.truncate(CURVES_MAX);
    // By millionths, so that the same quantile of two transactions is one place of the axis.
    let millionths = |quantile: f64| (quantile * 1e6).round();
    let mut places: Vec<f64> =
        shown.iter().flat_map(|of| &of.response_curve).map(|(quantile, _)| millionths(*quantile)).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let series = shown.iter().zip(1_u8..).map(|(of, colour)| {
        let at = |place: &f64| {
            let found =
                of.response_curve.iter().find(|(quantile, _)| (millionths(*quantile) - place).abs() < 0.5);
            found.map(|(_, us)| *us as f64)
        };
        Series::new(&of.name, Role::Line, colour, places.iter().map(at).collect(), Merge::Max)
    });
    let rest = match left_out {
        0 => String::new(),
        many => format!(" The {many} transactions that took least time in all are left out."),
    };
    Some(Chart {
        id: "percentiles".to_owned(),
        title: "Latency distribution".to_owned(),
        note: format!(
            "Response time of each transaction at each percentile, of stage {}. A curve ends where fewer than ten samples lie beyond \
             it, or where work never ended.{rest}",
            stage.name
        ),
        x_label: "percentile".to_owned(),
        x: Unit::Percentile,
        y: Unit::Us,
        log: true,
        over_time: false,
        xs: places.iter().map(|place| 0.0 - (1.0 - place / 1e6).log10()).collect(),
        series: series.collect(),
        marks: Vec::new(),
    })
}

/// The charts of a study.
pub(super) fn of_study(report: &Report) -> Vec<Chart> {
    let mut charts = Vec::new();
    if let Some(study) = &report.study {
        let closed = study.passes.iter().find(|pass| pass.clients.is_some()).map(|pass| &pass.points);
        let at_rate = report.stages.iter().any(|stage| stage.offered_per_s.is_some());
        let loaded = closed.or_else(|| (!at_rate).then_some(&study.sizes));
        charts.extend(loaded.and_then(|points| scaling(study, points)));
        charts.extend(by_size(study));
    }
    charts.extend(report.capacity.as_ref().and_then(|capacity| by_rate(report, capacity)));
    charts
}

/// Throughput by busy connections, with the interval of the repetitions and the law that was fitted.
fn scaling(study: &PoolStudy, points: &[PoolPoint]) -> Option<Chart> {
    let mut points: Vec<&PoolPoint> = points.iter().filter(|point| point.busy_mean > 0.0).collect();
    points.sort_by(|a, b| a.busy_mean.total_cmp(&b.busy_mean));
    let widest = points.last()?.busy_mean * BEYOND;
    let measured = |busy: f64| points.iter().find(|point| (point.busy_mean - busy).abs() < 1e-9);
    let fitted = study.law.as_ref();
    let mut xs: Vec<f64> = points.iter().map(|point| point.busy_mean).collect();
    if fitted.is_some() {
        xs.extend((1..=FIT_POINTS).map(|step| widest * f64::from(step) / f64::from(FIT_POINTS)));
    }
    xs.sort_by(f64::total_cmp);
    xs.dedup_by(|a, b| (*a - *b).abs() < 1e-9);
    let values = |of: &dyn Fn(&PoolPoint) -> f64| -> Vec<Option<f64>> {
        xs.iter().map(|busy| measured(*busy).map(|point| of(point))).collect()
    };
    let end = |point: &PoolPoint, low: bool| {
        let estimate = point.estimates.as_ref().map(|of| if low { of.per_s.low } else { of.per_s.high });
        estimate.flatten().unwrap_or(if low { point.per_s_range.0 } else { point.per_s_range.1 })
    };
    let mut series = vec![
        Series::new("measured", Role::Points, 1, values(&|point| point.per_s), Merge::Mean),
        Series::new("lower end", Role::Low, 1, values(&|point| end(point, true)), Merge::Min),
        Series::new("upper end", Role::High, 1, values(&|point| end(point, false)), Merge::Max),
    ];
    if let Some(law) = fitted {
        let at = xs.iter().map(|busy| Some(predicted(law, *busy))).collect();
        series.push(Series::new("scalability law", Role::Fit, 2, at, Merge::Mean));
    }
    let knee = study.knee.and_then(|knee| points.iter().find(|point| point.size == knee));
    let mut marks: Vec<Mark> = knee
        .map(|point| Mark { at: Short(point.busy_mean), label: format!("knee, size {}", point.size) })
        .into_iter()
        .collect();
    if let Some((busy, per_s)) = fitted.and_then(|law| Some((law.peak_busy?, law.peak_per_s?)))
        && busy <= widest
    {
        marks.push(Mark { at: Short(busy), label: format!("peak of the law, {}/s", rate(per_s)) });
    }
    Some(Chart {
        id: "scaling".to_owned(),
        title: "Scalability".to_owned(),
        note: format!(
            "Throughput by busy connections; each measured point with the interval of its repetitions.{}",
            fit_words(study)
        ),
        x_label: "busy connections".to_owned(),
        x: Unit::Count,
        y: Unit::PerSecond,
        log: false,
        over_time: false,
        xs,
        series,
        marks,
    })
}

fn fit_words(study: &PoolStudy) -> String {
    study.law.as_ref().map_or_else(String::new, |law| {
        let described = if law.describes {
            "follows it within the scatter of the repetitions".to_owned()
        } else {
            format!("is not of its shape: it misses by {}", percent(law.misfit))
        };
        format!(" The line is the Universal Scalability Law; the curve {described}.")
    })
}

/// X(N) = λN ÷ (1 + σ(N − 1) + κN(N − 1)), Gunther's Universal Scalability Law.
fn predicted(law: &ScalingLaw, busy: f64) -> f64 {
    let (contention, coherence) = (law.contention.mean, law.coherence.mean);
    law.per_s_of_one.mean * busy / (1.0 + contention * (busy - 1.0) + coherence * busy * (busy - 1.0))
}

/// Response and waiting by pool size.
fn by_size(study: &PoolStudy) -> Option<Chart> {
    let points = &study.sizes;
    if points.len() < 2 {
        return None;
    }
    let values = |of: fn(&PoolPoint) -> Option<u64>| -> Vec<Option<f64>> {
        points.iter().map(|point| of(point).filter(|us| *us > 0).map(|us| us as f64)).collect()
    };
    let series = vec![
        Series::new("response p50", Role::Line, 1, values(|point| point.response_us.p50), Merge::Max),
        Series::new("response p99", Role::Line, 2, values(|point| point.response_us.p99), Merge::Max),
        Series::new("pool wait p99", Role::Line, 3, values(|point| point.pool_wait_us.p99), Merge::Max),
    ];
    let recommended = study.recommended.as_ref().map(|of| (of.size, "recommended"));
    let marked = recommended.or(study.knee.map(|knee| (knee, "knee")));
    let mark = |(size, word): (u32, &str)| Mark {
        at: Short(f64::from(size)),
        label: format!("{word}, size {size}"),
    };
    Some(Chart {
        id: "by-size".to_owned(),
        title: "Response time by pool size".to_owned(),
        note: "All repetitions of a size together; each step upwards is a multiple.".to_owned(),
        x_label: "connections of each instance".to_owned(),
        x: Unit::Count,
        y: Unit::Us,
        log: true,
        over_time: false,
        xs: points.iter().map(|point| f64::from(point.size)).collect(),
        series,
        marks: marked.map(mark).into_iter().collect(),
    })
}

/// Response by rate, the steps that kept the goal apart from those that did not.
fn by_rate(report: &Report, capacity: &Capacity) -> Option<Chart> {
    let mut steps: Vec<(f64, StepOutcome, &Stage)> = capacity
        .steps
        .iter()
        .filter_map(|step| {
            let stage = report.stages.iter().find(|stage| stage.name == step.stage)?;
            Some((step.rate_per_s?, step.outcome, stage))
        })
        .collect();
    steps.sort_by(|a, b| a.0.total_cmp(&b.0));
    if steps.len() < 2 {
        return None;
    }
    let slow = |stage: &Stage| stage.response_us.p99.or(stage.response_us.max).map(|us| us as f64);
    let of = |outcome: StepOutcome| -> Vec<Option<f64>> {
        steps.iter().map(|(_, is, stage)| if *is == outcome { slow(stage) } else { None }).collect()
    };
    let p50 = steps.iter().map(|(_, _, stage)| stage.response_us.p50.map(|us| us as f64)).collect();
    let mut series = vec![
        Series::new("p99, goal met", Role::Points, 5, of(StepOutcome::Met), Merge::Max),
        Series::new("p99, goal missed", Role::Points, 3, of(StepOutcome::Missed), Merge::Max),
        Series::new("p50", Role::Line, 1, p50, Merge::Max),
    ];
    let unsure = of(StepOutcome::NoEvidence);
    if unsure.iter().flatten().next().is_some() {
        series.push(Series::new("p99, cannot tell", Role::Points, 8, unsure, Merge::Max));
    }
    let mark = |at: Option<f64>, word: &str| {
        at.map(|at| Mark { at: Short(at), label: format!("{word}, {}/s", decimal(at, 0)) })
    };
    let marks = [mark(capacity.met_per_s, "met"), mark(capacity.missed_per_s, "missed")];
    Some(Chart {
        id: "by-rate".to_owned(),
        title: "Response time by offered rate".to_owned(),
        note: format!("Each step of the search; the goal is {}.", capacity.goals.join(", ")),
        x_label: "offered per second".to_owned(),
        x: Unit::PerSecond,
        y: Unit::Us,
        log: true,
        over_time: false,
        xs: steps.iter().map(|(rate, _, _)| *rate).collect(),
        series,
        marks: marks.into_iter().flatten().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::{percentiles, predicted};
    use crate::model::{Estimate, ScalingLaw};
    use crate::report::fixture;

    #[test]
    fn a_percentile_axis_runs_by_what_lies_beyond() {
        let report = fixture::healthy();
        let stage = report.stages.last().expect("the fixture has stages");
        let chart = percentiles(stage).expect("there are curves");
        assert!(chart.xs.is_sorted_by(|a, b| a < b));
        assert!(chart.xs[0].abs() < 1e-12, "it begins at nothing");
        let ends = chart.xs.last().expect("an axis has an end");
        assert!((2.0..=4.0).contains(ends), "58,213 transactions carry a 99th percentile: {ends}");
        for series in &chart.series {
            let values: Vec<f64> = series.values.iter().flatten().copied().collect();
            assert!(values.is_sorted(), "{}: a higher quantile is no faster", series.label);
        }
    }

    #[test]
    fn the_law_is_linear_without_contention() {
        let of = |mean| Estimate { mean, low: None, high: None };
        let mut law = ScalingLaw {
            per_s_of_one: of(100.0),
            contention: of(0.0),
            coherence: of(0.0),
            peak_busy: None,
            peak_per_s: None,
            misfit: 0.0,
            describes: true,
        };
        assert!((predicted(&law, 7.0) - 700.0).abs() < 1e-9);
        law.contention = of(1.0);
        assert!((predicted(&law, 7.0) - 100.0).abs() < 1e-9, "all of it one after the other");
    }
}
