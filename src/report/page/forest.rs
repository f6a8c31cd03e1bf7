//! Differences as a forest plot: each ratio with its interval on a line of its own, all over one axis, with what changes nothing in
//! the middle and the limit beside it. Drawn without a script.

use super::html::{CLOSE_TABLE, escape, open_table};
use crate::model::{ChangeLimit, ChangeVerdict, MetricDifference};
use crate::report::format::{DASH, NBSP, decimal};

/// The axis reaches at least this far to either side, as a ratio, and at most so far.
const REACH_MIN: f64 = 1.1;
const REACH_MAX: f64 = 16.0;

/// One line.
pub(super) struct Line {
    /// What differs.
    pub(super) name: String,
    /// B ÷ A.
    pub(super) ratio: Option<f64>,
    /// Its interval at 95 %.
    pub(super) interval: Option<(f64, f64)>,
    /// The ratio that must not be passed.
    pub(super) limit: Option<f64>,
    /// `good`, `bad`, `caution` or nothing.
    pub(super) class: &'static str,
    /// What is said of it.
    pub(super) word: String,
}

/// A metric as a line.
pub(super) fn line(metric: &MetricDifference) -> Line {
    let (class, word) = match (&metric.limit, metric.limit_kept, metric.verdict) {
        (Some(_), Some(true), _) => ("good", "kept"),
        (Some(_), Some(false), _) => ("bad", "broken"),
        (Some(_), None, _) => ("caution", "unclear"),
        (None, _, ChangeVerdict::Better) => ("good", "better"),
        (None, _, ChangeVerdict::Worse) => ("bad", "worse"),
        (None, _, ChangeVerdict::Same) => ("good", "same"),
        (None, _, ChangeVerdict::Inconclusive) if metric.pairs_needed.is_some() => ("", "too few"),
        (None, _, ChangeVerdict::Inconclusive) => ("", "none seen"),
    };
    let stage = metric.stage.as_ref().map_or_else(String::new, |stage| format!("{stage}: "));
    let limit = metric.limit.as_ref().map_or_else(String::new, |limit| format!("limit {limit}: "));
    Line {
        name: format!("{stage}{}", metric.metric),
        ratio: metric.ratio,
        interval: metric.interval,
        limit: limit_of(metric),
        class,
        word: format!("{limit}{word}"),
    }
}

/// The limit as a ratio; absent where it is none that this version reads.
fn limit_of(metric: &MetricDifference) -> Option<f64> {
    let limit: ChangeLimit = format!("{} {}", metric.metric, metric.limit.as_ref()?).parse().ok()?;
    Some(if limit.metric.is_wanted_high() { 1.0 - limit.worse_by } else { 1.0 + limit.worse_by })
}

/// The lines under each other.
pub(super) fn plot(title: &str, note: &str, lines: &[Line]) -> String {
    if lines.iter().all(|line| line.ratio.is_none()) {
        return String::new();
    }
    let reach = reach(lines);
    let side = change(reach);
    let mut html = format!(
        "<figure class=\"forest\"><figcaption><h3>{}</h3><p class=\"note\">{} The axis goes from {} to {}; the line in the middle is no \
         change.</p></figcaption>\n",
        escape(title),
        escape(note),
        escape(&change(1.0 / reach)),
        escape(&side),
    );
    html.push_str(&open_table(title));
    html.push_str(
        "<thead><tr><th scope=\"col\">of</th><th scope=\"col\" class=\"wide\">B against A</th><th scope=\"col\" class=\"n\">change</th>\
         <th scope=\"col\" class=\"n\">95 % interval</th><th scope=\"col\">verdict</th></tr></thead>\n<tbody>\n",
    );
    for line in lines {
        let interval = line
            .interval
            .map_or_else(|| DASH.to_owned(), |(low, high)| format!("{} to {}", change(low), change(high)));
        html.push_str(&format!(
            "<tr><th scope=\"row\">{}</th><td class=\"wide\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"{}\">{}</td></tr>\n",
            escape(&line.name),
            drawn(line, reach),
            escape(&line.ratio.map_or_else(|| DASH.to_owned(), change)),
            escape(&interval),
            line.class,
            escape(&line.word)
        ));
    }
    html.push_str(CLOSE_TABLE);
    html.push_str("</figure>\n");
    html
}

/// How far the axis must go to hold every interval.
fn reach(lines: &[Line]) -> f64 {
    let ends = lines.iter().flat_map(|line| {
        let (low, high) = line.interval.unzip();
        [line.ratio, low, high, line.limit]
    });
    let away = |ratio: f64| if ratio > 0.0 { ratio.max(1.0 / ratio) } else { REACH_MAX };
    ends.flatten().map(away).fold(REACH_MIN, f64::max).min(REACH_MAX)
}

/// A place on the axis from 0 to 100; ratios are as far from the middle as their reciprocals.
fn place(ratio: f64, reach: f64) -> f64 {
    let ratio = ratio.clamp(1.0 / reach, reach);
    50.0 + 48.0 * ratio.ln() / reach.ln()
}

fn drawn(line: &Line, reach: f64) -> String {
    let at = |ratio| place(ratio, reach);
    let mut pieces = String::from("<line class=\"axis\" x1=\"50\" x2=\"50\" y1=\"0\" y2=\"24\"/>");
    if let Some(limit) = line.limit {
        pieces.push_str(&format!(
            "<line class=\"limit\" x1=\"{0:.2}\" x2=\"{0:.2}\" y1=\"0\" y2=\"24\"/>",
            at(limit)
        ));
    }
    if let Some((low, high)) = line.interval {
        pieces.push_str(&format!(
            "<line class=\"interval\" x1=\"{:.2}\" x2=\"{:.2}\" y1=\"12\" y2=\"12\"/>",
            at(low),
            at(high)
        ));
    }
    if let Some(ratio) = line.ratio {
        pieces.push_str(&format!(
            "<rect class=\"point\" x=\"{:.2}\" y=\"7\" width=\"1.2\" height=\"10\"/>",
            at(ratio) - 0.6
        ));
    }
    let words = line.ratio.map_or_else(|| "not measured".to_owned(), change);
    let class = if line.class.is_empty() { "plain" } else { line.class };
    format!(
        "<svg class=\"strip {class}\" viewBox=\"0 0 100 24\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">{pieces}</svg>",
        escape(&words)
    )
}

/// A ratio as a change: `+12 %`, `−3.4 %`, `×2.50`, `÷4.00`.
fn change(ratio: f64) -> String {
    if ratio >= 2.0 {
        return format!("×{}", decimal(ratio, 2));
    }
    if ratio > 0.0 && ratio <= 0.5 {
        return format!("÷{}", decimal(1.0 / ratio, 2));
    }
    let percent = (ratio - 1.0) * 100.0;
    let sign = if percent > 0.0 { "+" } else { "" };
    format!("{sign}{}{NBSP}%", decimal(percent, usize::from(percent.abs() < 9.95)))
}

#[cfg(test)]
mod tests {
    use super::{Line, line, place, reach};
    use crate::report::fixture;

    #[test]
    fn a_ratio_lies_as_far_from_the_middle_as_its_reciprocal() {
        assert!((place(1.0, 2.0) - 50.0).abs() < 1e-9);
        assert!((place(2.0, 2.0) + place(0.5, 2.0) - 100.0).abs() < 1e-9);
        assert!(place(1000.0, 2.0) <= 100.0 && place(0.0, 2.0) >= 0.0, "nothing lies outside");
    }

    #[test]
    fn the_axis_holds_every_interval_within_reason() {
        let of = |low: f64, high: f64| Line {
            name: String::new(),
            ratio: Some(1.0),
            interval: Some((low, high)),
            limit: None,
            class: "",
            word: String::new(),
        };
        assert!((reach(&[of(0.99, 1.01)]) - 1.1).abs() < 1e-9, "noise is not blown up");
        assert!((reach(&[of(0.25, 1.01)]) - 4.0).abs() < 1e-9);
        assert!((reach(&[of(0.0001, 1.01)]) - 16.0).abs() < 1e-9);
    }

    #[test]
    fn a_limit_stands_on_its_side() {
        let report = fixture::compared();
        let comparison = report.comparison.expect("the fixture is a comparison");
        let limits: Vec<f64> = comparison.metrics.iter().filter_map(|metric| line(metric).limit).collect();
        assert_eq!(limits, [1.1, 1.1], "+10 % of a time");
    }
}
