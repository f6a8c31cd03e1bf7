//! The highest rate that keeps a goal: rates are doubled until one misses, bisected, and both ends measured once more for longer.
//! What comes next is decided by `analysis`, from the steps so far.

use std::time::{Duration, Instant};

use crate::analysis::Analysis;
use crate::analysis::capacity::transactions_needed;
use crate::analysis::capacity_search::{Next, bracket};
use crate::record::capacity::{CapacityHeader, StepKind};
use crate::record::entry::{BudgetHeader, RunKind};
use crate::units::{Course, Load, StageId, format_duration};
use crate::workload::StageSpec;

use super::measure::{Bench, Decision, NamedStage, Segment, Subject};
use super::{CapacityPlan, MeasurePlan, Observer, Outcome, StudyError, header};

/// The closed loop that finds where to begin lasts no longer.
const PROBE_MAX: Duration = Duration::from_secs(5);
/// A step takes so much more than its parts: connections, edges, the drain.
const AROUND_A_STEP: Duration = Duration::from_millis(500);

/// Searches for the rate.
pub async fn capacity(plan: &CapacityPlan, observer: &mut Observer<'_>) -> Result<Outcome, StudyError> {
    let begun = Instant::now();
    let study = study(plan);
    // Says how many connections there will be; its stages are decided on later.
    let template = [Segment::new(&plan.measure, plan.shape.pool_size, Vec::new())];
    let subject = Subject { capacity: Some(study.clone()), ..Subject::new(RunKind::Capacity, &template) };
    let bench = Bench::open(&plan.measure, subject, observer).await?;
    let mut steps = Steps { plan, study, begun, stages: 0, number: 0 };
    bench.measure_by(|analysis| steps.next(analysis), observer).await
}

fn study(plan: &CapacityPlan) -> CapacityHeader {
    let shape = &plan.shape;
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    CapacityHeader {
        goals: shape
            .goals
            .iter()
            .map(|goal| BudgetHeader { metric: goal.metric.to_string(), limit: goal.limit.show() })
            .collect(),
        from: shape.from,
        precision: shape.precision,
        step_ns: nanos(shape.step),
        confirm_ns: nanos(shape.confirm),
        at_most_ns: nanos(shape.at_most),
        at_least: shape.at_least,
        in_flight_max: plan.measure.in_flight_max,
    }
}

/// Decides on one step after the other.
struct Steps<'a> {
    plan: &'a CapacityPlan,
    study: CapacityHeader,
    begun: Instant,
    /// Stages so far.
    stages: usize,
    /// Steps so far.
    number: usize,
}

impl Steps<'_> {
    fn next(&mut self, analysis: &Analysis) -> Decision<'static> {
        let shape = &self.plan.shape;
        let progress = analysis.capacity_progress().unwrap_or_default();
        let Some(search) = progress.search(&self.study) else {
            if progress.closed_loop_per_s.is_some() {
                let why = "no transaction ended well in a closed loop: there is no rate to begin with (see the errors)";
                return Decision::Stop(Some(why.to_owned()));
            }
            let clients = shape.pool_size.saturating_mul(self.plan.measure.instances);
            let segment = self.segment("closed loop", &Load::clients(clients), shape.step.min(PROBE_MAX));
            return Decision::Step(Box::new(segment), StepKind::Probe);
        };
        let (rate, least, kind) = match search.next(&progress.tried) {
            Next::Done => return Decision::Stop(None),
            Next::Step(rate) => (rate, shape.step, StepKind::Step),
            Next::Confirm(rate) => (rate, shape.confirm, StepKind::Confirmation),
        };
        let ends = bracket(&progress.tried);
        let needed = transactions_needed(&shape.goals, &header::workload(&self.plan.measure.workload, None));
        let length = |rate: f64, least: Duration| least.max(whole_seconds(needed / rate));
        let takes = |length| length + self.plan.measure.warm_up.longest().unwrap_or_default() + AROUND_A_STEP;
        let left = shape.at_most.saturating_sub(self.begun.elapsed());
        // An answer that is confirmed is worth more than a closer one that is not.
        let (rate, least, kind) = match ends.met.filter(|_| kind == StepKind::Step && !ends.met_is_long) {
            Some(met) if takes(length(rate, least)) + takes(length(met, shape.confirm)) > left => {
                (met, shape.confirm, StepKind::Confirmation)
            }
            _ => (rate, least, kind),
        };
        let length = length(rate, least);
        if takes(length) > left {
            return Decision::Stop(Some(format!(
                "the next step, {} at {rate}/s, would end after the {} of --at-most",
                format_duration(length),
                format_duration(shape.at_most)
            )));
        }
        let name = match kind {
            StepKind::Confirmation => format!("{rate}/s again"),
            StepKind::Probe | StepKind::Step => format!("{rate}/s"),
        };
        let load = Load::Open { rate: Course::Constant(rate), arrivals: shape.arrivals, max_lag: None };
        Decision::Step(Box::new(self.segment(&name, &load, length)), kind)
    }

    fn segment(&mut self, what: &str, load: &Load, duration: Duration) -> Segment {
        let MeasurePlan { warm_up, .. } = &self.plan.measure;
        self.number += 1;
        let name = format!("#{} {what}", self.number);
        let mut stages = Vec::new();
        let before = warm_up.longest().map(|longest| (" warm-up", longest, false));
        for (suffix, duration, measured) in before.into_iter().chain([("", duration, true)]) {
            let until_steady = !measured && warm_up.is_until_steady();
            let spec = StageSpec { name: format!("{name}{suffix}"), duration, load: load.clone() };
            stages.push(NamedStage { id: StageId::from_index(self.stages), spec, measured, until_steady });
            self.stages += 1;
        }
        Segment::new(&self.plan.measure, self.plan.shape.pool_size, stages)
    }
}

/// Rounded up, and bounded: what a rate of almost nothing would need, no study has time for.
fn whole_seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.ceil().clamp(0.0, 1e7))
}

#[cfg(test)]
mod tests;
