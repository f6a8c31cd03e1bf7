//! A target made ready for what is measured on it: the processors, the server, the pooler, the data. Nothing is written down yet.

use std::borrow::Cow;

use crate::local::pin;
use crate::study::pooler::{self, OpenPooler};
use crate::study::ready::{Data, ready};
use crate::study::{MeasurePlan, Observer, OpenTarget, StudyError};
use crate::units::CpuList;

/// A target made ready, of which nothing is written down yet.
pub(in crate::study) struct Ground<'a> {
    /// The plan, as the pooler lets it be carried out.
    pub(super) plan: Cow<'a, MeasurePlan>,
    /// What is other than the user asked for, and why.
    pub(super) protocol_note: Option<String>,
    pub(in crate::study) target: OpenTarget,
    /// Between the measured sessions and the target.
    pub(super) pooler: Option<OpenPooler>,
    pub(in crate::study) data: Data,
}

impl<'a> Ground<'a> {
    /// Makes the target ready for pools of so many connections. A throwaway target is filled first; on another one, nothing is
    /// measured before everything that the workload needs is known to be there.
    pub(in crate::study) async fn open(
        plan: &'a MeasurePlan,
        connections: u32,
        observer: &mut Observer<'_>,
    ) -> Result<Self, StudyError> {
        // Tried before a server is started for nothing; held to behind that, or the server would be kept to them as well.
        if let Some(before) = keep_to_cpus(plan)? {
            pinned(&before)?;
        }
        let of_all = connections.saturating_mul(plan.instances);
        pooler::check(plan, of_all)?;
        let target = OpenTarget::open(&plan.target, observer).await?;
        let pooler = pooler::open(plan, &target, of_all, observer).await?;
        let (plan, protocol_note) = pooler::fitted(plan, pooler.as_ref())?;
        keep_to_cpus(&plan)?;
        let header = pooler.as_ref().map(|pooler| &pooler.header);
        let data = ready(&plan, &target, connections, header, observer).await?;
        Ok(Self { plan, protocol_note, target, pooler, data })
    }
}

/// Keeps this thread, and those that it starts from now on, to the processors that the user named. Gives those of before.
fn keep_to_cpus(plan: &MeasurePlan) -> Result<Option<CpuList>, StudyError> {
    plan.client_cpus.as_ref().map_or(Ok(None), pinned)
}

fn pinned(cpus: &CpuList) -> Result<Option<CpuList>, StudyError> {
    pin(cpus).map(Some).map_err(|error| StudyError::Refused(format!("--client-cpus: {error}")))
}
