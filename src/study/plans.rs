//! Whose plans are asked for during a measurement, with which values, and at which edges.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::engine;
use crate::probe::Probes;
use crate::probe::plans::{PlanCapture, PlanOrder, PlanValues, PlannedStatement};
use crate::record::plan::PlanEdge;
use crate::units::{Protocol, StatementId};
use crate::workload::Workload;

use super::MeasurePlan;
use super::ready::Data;

/// How long the end of a stage waits for its plans. Nothing is under way then.
const END_LIMIT: std::time::Duration = std::time::Duration::from_secs(1);

/// The statements of this workload. A session keeps to a plan that looks at no value only where it prepares statements; what has
/// no parameter has no other plan.
pub(super) fn capture(plan: &MeasurePlan, workload: &Workload, data: &Data) -> PlanCapture {
    let shared = Arc::new(workload.clone());
    let mut sampled = engine::sample_values(&shared, &data.dataset, &data.query_values, plan.seed);
    let statements = workload.statements.iter().enumerate().map(|(index, statement)| {
        let set = &workload.transactions[statement.transaction.index()].modes.set;
        let values: Vec<PlanValues> = std::mem::take(&mut sampled[index])
            .into_iter()
            .map(|values| PlanValues { class: values.class, frame: values.frame })
            .collect();
        let is_prepared = plan.protocol == Protocol::Prepared && !statement.inputs.is_empty();
        PlannedStatement {
            statement: StatementId::from_index(index),
            text: statement.sql.clone(),
            places: statement.places.clone(),
            generic: values.is_empty() || is_prepared,
            values,
            set: set.iter().map(|set| (set.name.clone(), set.value.clone())).collect(),
        }
    });
    PlanCapture { statements: statements.collect() }
}

/// Has the plans asked for at the beginning of a segment, whose sessions begin with `settings`.
pub(super) fn at_begin(probes: Option<&Probes>, edge: PlanEdge, settings: &[(String, String)]) {
    if let Some(probes) = probes {
        let sessions = Some(settings.to_vec());
        probes.survey_plans(PlanOrder { edges: vec![edge], sessions, done: None });
    }
}

/// Has them asked for where one stage goes over into the next.
pub(super) fn between(probes: Option<&Probes>, edges: [PlanEdge; 2]) {
    if let Some(probes) = probes {
        probes.survey_plans(PlanOrder { edges: edges.to_vec(), sessions: None, done: None });
    }
}

/// Has them asked for at the end of a segment. What comes behind it may change what plans depend on, so it is to wait for the
/// future that this gives.
pub(super) fn at_end(probes: Option<&Probes>, edge: PlanEdge) -> impl Future<Output = ()> + use<> {
    let (done, asked) = oneshot::channel();
    if let Some(probes) = probes {
        probes.survey_plans(PlanOrder { edges: vec![edge], sessions: None, done: Some(done) });
    }
    async move {
        // Plans that come later belong to this stage all the same, and say what is true then.
        let _ = tokio::time::timeout(END_LIMIT, asked).await;
    }
}
