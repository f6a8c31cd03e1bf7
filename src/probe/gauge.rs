//! A number of the workload's own, read on a schedule from a connection of its own: the depth of a queue, the size of a table.

use std::future::Future;
use std::time::Duration;

use crate::db::Now;
use crate::probe::link::{Answer, Connection, Line, OnSchedule, Unanswered};
use crate::probe::{GaugePlan, ProbeError};
use crate::record::observation::{GaugeSample, Observation, ProbeCost};
use crate::units::Span;

/// A reading that takes longer is a gap.
pub const LIMIT: Duration = Duration::from_secs(5);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A connection that knows the query of one gauge.
pub trait GaugeConnection: Connection + Sized {
    /// Where the server is.
    type Settings: Clone + Send + Sync;

    /// Connects.
    fn open(
        settings: &Self::Settings,
        plan: &GaugePlan,
    ) -> impl Future<Output = Result<Self, ProbeError>> + Send;

    /// What the query gives: nothing where it gives no row, or NULL.
    fn level(
        &self,
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> impl Future<Output = Result<Answer<Option<f64>>, Unanswered>> + Send;
}

/// The probe of one gauge.
pub struct GaugeProbe<C: GaugeConnection> {
    settings: C::Settings,
    plan: GaugePlan,
    line: Line<C>,
}

impl<C: GaugeConnection> GaugeProbe<C> {
    /// Connects and reads once, so that a query that gives no number is told before the run begins.
    pub async fn open(
        settings: &C::Settings,
        plan: &GaugePlan,
        clock: &impl Now,
    ) -> Result<Self, ProbeError> {
        let connection = C::open(settings, plan).await?;
        let line = Line::new(Some(connection), CONNECT_LIMIT);
        let mut probe = Self { settings: settings.clone(), plan: plan.clone(), line };
        let first = probe.level(clock, &mut ProbeCost::default()).await;
        first.map_err(|message| ProbeError::Gauge { gauge: plan.name.clone(), message })?;
        Ok(probe)
    }

    async fn level(&mut self, clock: &impl Now, cost: &mut ProbeCost) -> Result<(f64, Span), String> {
        let opening = async {
            C::open(&self.settings, &self.plan).await.map_err(|error| match error {
                // The reading says which gauge it is.
                ProbeError::Gauge { message, .. } => message,
                error => error.to_string(),
            })
        };
        let connection = self.line.get(opening).await?;
        let answer = connection.level(clock, cost).await;
        let answer = answer.map_err(|unanswered| self.line.heed(unanswered))?;
        let level = answer.value.filter(|level| level.is_finite());
        let level = level.ok_or("it gave no row, NULL, or no finite number")?;
        Ok((level, answer.window()))
    }
}

impl<C: GaugeConnection> OnSchedule for GaugeProbe<C> {
    fn name(&self) -> String {
        format!("gauge {}", self.plan.name)
    }

    fn every(&self) -> Duration {
        self.plan.every
    }

    async fn read(&mut self, clock: &impl Now, cost: &mut ProbeCost) -> Result<(Observation, Span), String> {
        let (value, window) = self.level(clock, cost).await?;
        Ok((Observation::Gauge(GaugeSample { name: self.plan.name.clone(), value }), window))
    }
}
