//! The traffic behind a migration against the traffic before it. By turns, where there are two copies of the database: that is judged
//! as any other comparison of two arms. Else in sequence: each stage is cut into sections of whole seconds, and a difference is told
//! from chance by how the sections of one stage differ among themselves.
//!
//! This is the method of batch means (Law and Kelton, "Simulation Modeling and Analysis", chapter 9; Schmeiser 1982: ten to thirty
//! batches, few and long rather than many and short), with Welch's interval for the difference of two means, on logarithms so that
//! it is one of a ratio. It knows nothing of what changed between the two stages besides: a machine that grew slower looks the
//! same. That is for plans, counters and the other statements to tell.

use crate::analysis::comparison::{CounterRule, Course, Sides, counters, metrics};
use crate::analysis::plan_differences;
use crate::analysis::stage::StageAnalysis;
use crate::analysis::student;
use crate::model::{ChangeLimit, ChangeVerdict, Comparison, MetricDifference, Stage};
use crate::record::entry::{Header, Interval};
use crate::units::{StageId, Stamp};

/// Sections of a stage, at most.
const SECTIONS_MAX: u64 = 10;
/// Sections that a metric must have a value in on either side.
const SECTIONS_MIN: usize = 4;
/// The error rate of all verdicts together.
const FAMILYWISE_ALPHA: f64 = 0.01;
const SECOND_NS: u64 = 1_000_000_000;

/// Slices on the copy that was migrated against slices on one that was not.
pub(super) fn by_turns(compared: Comparison) -> Comparison {
    let answer = format!(
        "{} Measured by turns on a copy that was migrated and on one that was not, behind as much traffic.",
        compared.answer
    );
    Comparison { answer, ..compared }
}

/// Sections of the stages before and behind.
pub(super) struct Sections {
    sides: [Side; 2],
}

struct Side {
    stage: StageId,
    begun_at: Option<Stamp>,
    done: Vec<Stage>,
    open: Option<(u64, StageAnalysis)>,
}

impl Sections {
    pub(super) fn new(before: StageId, after: StageId) -> Self {
        let side = |stage| Side { stage, begun_at: None, done: Vec::new(), open: None };
        Self { sides: [side(before), side(after)] }
    }

    pub(super) fn add(&mut self, interval: &Interval, header: &Header) {
        for side in self.sides.iter_mut().filter(|side| side.stage == interval.stage && !interval.drain) {
            side.add(interval, header);
        }
    }

    /// The sections of both sides, as small stages.
    pub(super) fn models(&self, header: &Header) -> [Vec<Stage>; 2] {
        self.sides.each_ref().map(|side| {
            let open = side.open.iter().map(|(_, section)| section.to_model(header));
            side.done.iter().cloned().chain(open).collect()
        })
    }
}

impl Side {
    fn add(&mut self, interval: &Interval, header: &Header) {
        let begun_at = *self.begun_at.get_or_insert(interval.span.from);
        let planned_ns = header.stages.get(self.stage.index()).map_or(0, |stage| stage.duration_ns);
        let length_ns = (planned_ns / SECTIONS_MAX).div_ceil(SECOND_NS).max(1) * SECOND_NS;
        let middle = interval.span.from + interval.span.duration() / 2;
        let number = middle.0.saturating_sub(begun_at.0) / length_ns;
        if self.open.as_ref().is_none_or(|(open, _)| *open != number) {
            if let Some((_, mut section)) = self.open.take() {
                section.end(interval.span.from, 0);
                self.done.push(section.to_model(header));
            }
            let section = StageAnalysis::begin(self.stage, interval.span.from, 0, header);
            self.open = Some((number, section));
        }
        if let Some((_, section)) = &mut self.open {
            section.add_interval(interval);
        }
    }
}

/// A is before, B is behind.
pub(super) fn compare(
    before: &Stage,
    after: &Stage,
    sections: &[Vec<Stage>; 2],
    limits: &[ChangeLimit],
) -> Comparison {
    let sides = vec![Sides { a: before, b: after, a_first: true }];
    let compared = metrics(&sides, limits);
    let family = compared.len().max(1) as f64;
    let course = Course { stage: None, sides };
    let differences = compared.iter().filter_map(|metric| {
        let limit = limits.iter().find(|limit| limit.metric == *metric);
        let values = |sections: &[Stage]| -> Vec<f64> {
            sections
                .iter()
                .filter_map(|section| metric.measure(section))
                .filter(|value| *value > 0.0)
                .collect()
        };
        let (a, b) = (values(&sections[0]), values(&sections[1]));
        let whole = (metric.measure(before), metric.measure(after));
        if limit.is_none() && (whole.0.is_none() || whole.1.is_none()) {
            return None;
        }
        let unit = if metric.to_string().ends_with("throughput") { "per_s" } else { "us" };
        let mut difference = MetricDifference {
            stage: None,
            metric: metric.to_string(),
            unit: unit.to_owned(),
            a: whole.0,
            b: whole.1,
            ratio: whole.0.zip(whole.1).filter(|(a, _)| *a > 0.0).map(|(a, b)| b / a),
            interval: None,
            simultaneous: None,
            p_adjusted: None,
            visible: None,
            verdict: ChangeVerdict::Inconclusive,
            limit: limit.map(ChangeLimit::change),
            limit_kept: None,
            pairs: 0,
            pairs_needed: None,
            second_to_first: None,
            second_to_first_p: None,
            drift: None,
        };
        if let Some(welch) = Welch::of(&a, &b) {
            // What was asked for is a family of its own.
            let family = if limit.is_some() { limits.len() as f64 } else { family };
            judge(&mut difference, &welch, metric.is_wanted_high(), limit, family);
        }
        Some(difference)
    });
    Comparison {
        a: "before".to_owned(),
        b: "behind".to_owned(),
        pairs: 0,
        pairs_planned: 0,
        until_decided: false,
        confidence: 1.0 - FAMILYWISE_ALPHA,
        answer: "Measured one after the other, not by turns: what else changed on the machine in between looks like the migration. \
                 Plans and counters do not depend on that."
            .to_owned(),
        metrics: differences.collect(),
        counters: counters(&course, CounterRule::FewRuns),
        plans: plan_differences::differences(&course),
        slices: Vec::new(),
    }
}

fn judge(
    difference: &mut MetricDifference,
    welch: &Welch,
    wanted_high: bool,
    limit: Option<&ChangeLimit>,
    family: f64,
) {
    let simultaneous = welch.interval(FAMILYWISE_ALPHA / family);
    difference.ratio = Some(welch.difference.exp());
    difference.interval = Some(welch.interval(0.05));
    difference.simultaneous = Some(simultaneous);
    difference.p_adjusted = Some((welch.p() * family).min(1.0));
    // A measurement that sees only a change to the tenfold sees none.
    difference.visible = Some(welch.visible(FAMILYWISE_ALPHA / family)).filter(|ratio| *ratio < 10.0);
    let (low, high) = simultaneous;
    // As if less were better in every metric.
    let (low, high) = if wanted_high { (1.0 / high, 1.0 / low) } else { (low, high) };
    let accepted =
        limit.map(|limit| if wanted_high { 1.0 / (1.0 - limit.worse_by) } else { 1.0 + limit.worse_by });
    difference.verdict = match accepted {
        _ if high < 1.0 => ChangeVerdict::Better,
        Some(accepted) if high <= accepted && low >= 1.0 / accepted => ChangeVerdict::Same,
        Some(accepted) if low > accepted => ChangeVerdict::Worse,
        None if low > 1.0 => ChangeVerdict::Worse,
        _ => ChangeVerdict::Inconclusive,
    };
    difference.limit_kept = accepted.and_then(|accepted| match () {
        () if low > accepted => Some(false),
        () if high <= accepted => Some(true),
        () => None,
    });
}

/// The difference of two means of logarithms (Welch 1947), with the degrees of freedom of Satterthwaite (1946).
struct Welch {
    difference: f64,
    error: f64,
    freedom: f64,
}

impl Welch {
    fn of(a: &[f64], b: &[f64]) -> Option<Self> {
        if a.len() < SECTIONS_MIN || b.len() < SECTIONS_MIN {
            return None;
        }
        let moments = |values: &[f64]| {
            let count = values.len() as f64;
            let mean = values.iter().map(|value| value.ln()).sum::<f64>() / count;
            let squares = values.iter().map(|value| (value.ln() - mean).powi(2)).sum::<f64>();
            (mean, squares / (count - 1.0) / count, count)
        };
        let ((mean_a, error_a, count_a), (mean_b, error_b, count_b)) = (moments(a), moments(b));
        let error = error_a + error_b;
        let freedom = if error > 0.0 {
            error * error / (error_a * error_a / (count_a - 1.0) + error_b * error_b / (count_b - 1.0))
        } else {
            count_a + count_b - 2.0
        };
        // Histograms have three digits: what seems not to vary at all varies by their rounding.
        Some(Self { difference: mean_b - mean_a, error: error.sqrt().max(1e-4), freedom })
    }

    /// Of the ratio.
    fn interval(&self, alpha: f64) -> (f64, f64) {
        let reach = student::quantile(1.0 - alpha / 2.0, self.freedom) * self.error;
        ((self.difference - reach).exp(), (self.difference + reach).exp())
    }

    fn p(&self) -> f64 {
        2.0 * (1.0 - student::cdf((self.difference / self.error).abs(), self.freedom))
    }

    /// The smallest change that is seen with a probability of 80 %.
    fn visible(&self, alpha: f64) -> f64 {
        let quantiles =
            student::quantile(1.0 - alpha / 2.0, self.freedom) + student::quantile(0.8, self.freedom);
        (quantiles * self.error).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logarithms of the sections 1 ± 0.1 and 2 ± 0.2: by hand, the standard error is √(s²ₐ/4 + s²ᵦ/4).
    #[test]
    fn welchs_interval_of_two_small_samples() {
        let e = |logs: [f64; 4]| logs.map(f64::exp);
        let welch =
            Welch::of(&e([0.9, 1.1, 0.9, 1.1]), &e([1.8, 2.2, 1.8, 2.2])).expect("four sections each");
        let (va, vb) = (0.04 / 3.0 / 4.0, 0.16 / 3.0 / 4.0);
        assert!((welch.difference - 1.0).abs() < 1e-12);
        assert!((welch.error - f64::sqrt(va + vb)).abs() < 1e-12);
        let freedom = (va + vb).powi(2) / (va * va / 3.0 + vb * vb / 3.0);
        assert!((welch.freedom - freedom).abs() < 1e-9);
        let (low, high) = welch.interval(0.05);
        assert!(low < 1_f64.exp() && 1_f64.exp() < high && low > 1.0, "{low} {high}");
        assert!(welch.p() < 0.01 && welch.p() > 0.0);
        assert!(welch.visible(0.01) > 1.5);
    }

    #[test]
    fn too_few_sections_say_nothing() {
        assert!(Welch::of(&[1.0; 3], &[1.0; 9]).is_none());
        let flat = Welch::of(&[5.0; 4], &[5.0; 4]).expect("enough");
        let (low, high) = flat.interval(0.01);
        assert!(low > 0.999 && high < 1.001 && flat.p() > 0.99);
    }
}
