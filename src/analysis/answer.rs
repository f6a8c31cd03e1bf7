//! The answer of a comparison, in words.

use crate::model::{ChangeVerdict, Comparison, MetricDifference};

/// Metrics of one kind that are named; the rest is counted.
const NAMED_MAX: usize = 3;

/// What was found; where both arms are the same, how small a change would have been.
pub(super) fn sentence(comparison: &Comparison, is_self: bool) -> String {
    if comparison.pairs < 2 {
        return "Fewer than two pairs of slices were measured whole: there is nothing to compare.".to_owned();
    }
    let of = |verdict| -> Vec<&MetricDifference> {
        comparison.metrics.iter().filter(|metric| metric.verdict == verdict).collect()
    };
    let (worse, better) = (of(ChangeVerdict::Worse), of(ChangeVerdict::Better));
    let mut words = Vec::new();
    if let Some(needed) = needs_pairs(comparison) {
        words.push(format!(
            "{} pairs are too few for a verdict on {} metrics together: at least {needed} are needed.",
            comparison.pairs,
            comparison.metrics.len()
        ));
    } else if worse.is_empty() && better.is_empty() {
        words.push(if is_self {
            "Both arms are the same, and no metric differs, as it must be.".to_owned()
        } else {
            format!("No metric of {} is seen to differ.", comparison.metrics.len())
        });
    } else {
        if is_self {
            words.push(
                "Both arms are the same, and yet a metric differs: a false alarm, of which one in a hundred comparisons may have \
                 one, or the slices are not alike (look at drift and order)."
                    .to_owned(),
            );
        }
        words.extend(
            [("worse", worse), ("better", better)]
                .into_iter()
                .filter_map(|(how, metrics)| named(how, &metrics)),
        );
    }
    if let Some(seen) = visible(comparison) {
        words.push(seen);
    }
    words.join(" ")
}

/// How many pairs it takes, where no metric has enough.
fn needs_pairs(comparison: &Comparison) -> Option<u32> {
    let needed: Option<Vec<u32>> = comparison.metrics.iter().map(|metric| metric.pairs_needed).collect();
    needed?.into_iter().min()
}

fn named(how: &str, metrics: &[&MetricDifference]) -> Option<String> {
    let by = |metric: &&&MetricDifference| metric.ratio.map_or(0.0, |ratio| ratio.ln().abs());
    let mut sorted: Vec<&&MetricDifference> = metrics.iter().collect();
    sorted.sort_by(|a, b| by(b).total_cmp(&by(a)));
    let names: Vec<String> = sorted
        .iter()
        .take(NAMED_MAX)
        .map(|metric| format!("{} ({})", metric.metric, metric.ratio.map_or_else(String::new, change)))
        .collect();
    let rest = metrics.len().saturating_sub(NAMED_MAX);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    (!names.is_empty()).then(|| format!("B is {how} in {}{more}.", names.join(", ")))
}

/// `+12 %`, `−3.4 %`, `×2.5`.
fn change(ratio: f64) -> String {
    let percent = (ratio - 1.0) * 100.0;
    match percent.abs() {
        _ if ratio >= 2.0 => format!("×{ratio:.2}"),
        size if size >= 10.0 => format!("{percent:+.0} %"),
        _ => format!("{percent:+.1} %"),
    }
}

/// How small a change of the main figures would have been seen.
fn visible(comparison: &Comparison) -> Option<String> {
    let seen: Vec<String> = comparison
        .metrics
        .iter()
        .filter(|metric| ["throughput", "response.mean", "response.p99"].contains(&metric.metric.as_str()))
        .filter_map(|metric| Some(format!("{:.1} % in {}", (metric.visible? - 1.0) * 100.0, metric.metric)))
        .collect();
    (!seen.is_empty()).then(|| {
        format!(
            "With {} pairs, this measurement sees changes from about {}.",
            comparison.pairs,
            seen.join(", ")
        )
    })
}
