//! A number of the workload's own, read on a schedule from a connection of its own: the depth of a queue, the size of a table.

use std::time::Duration;

use tokio::sync::mpsc;

use super::link::{PROBE_TAG, float, open, rows};
use crate::db::Now;
use crate::db::mysql::{Client, Settings};
use crate::probe::link::{BackOff, OnSchedule, Unanswered};
use crate::probe::outlet::Outlet;
use crate::probe::{GaugePlan, ProbeError, Probed};
use crate::record::observation::{GaugeSample, Observation, ProbeCost};
use crate::units::Span;

const LIMIT: Duration = Duration::from_secs(5);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// The probe of one gauge.
pub struct GaugeProbe<N> {
    settings: Settings,
    plan: GaugePlan,
    query: String,
    clock: N,
    client: Option<Client>,
    back_off: BackOff,
    /// Readings that were due and came too late to be taken.
    missed: u64,
    outlet: Outlet,
}

impl<N: Now> GaugeProbe<N> {
    /// Connects and reads once, so that a query that gives no number is told before the run begins.
    pub async fn open(
        settings: &Settings,
        plan: &GaugePlan,
        clock: N,
        out: mpsc::Sender<Probed>,
    ) -> Result<Self, ProbeError> {
        let client = open(settings, LIMIT).await?;
        let sql = plan.query.trim().trim_end_matches(';');
        let mut probe = Self {
            settings: settings.clone(),
            plan: plan.clone(),
            // A second row or column is an error of the server.
            query: format!("{PROBE_TAG}SELECT (\n{sql}\n) AS level"),
            clock,
            client: Some(client),
            back_off: BackOff::default(),
            missed: 0,
            outlet: Outlet::new(format!("gauge {}", plan.name), out),
        };
        let first = probe.read(&mut ProbeCost::default()).await;
        first.map_err(|message| ProbeError::Gauge { gauge: plan.name.clone(), message })?;
        Ok(probe)
    }

    async fn read(&mut self, cost: &mut ProbeCost) -> Result<(f64, Span), String> {
        if self.client.is_none() {
            let opening = open(&self.settings, LIMIT);
            self.client = Some(self.back_off.open_again("of the gauge", CONNECT_LIMIT, opening).await?);
        }
        let Some(client) = &self.client else { return Err("there is no connection".to_owned()) };
        match rows(client, &self.clock, LIMIT, cost, &self.query).await {
            Ok(answer) => {
                let level = answer.value.first().and_then(|row| float(row, "level"));
                let level = level.filter(|level| level.is_finite());
                let level = level.ok_or("it gave no row, NULL, or no finite number")?;
                Ok((level, Span { from: answer.asked_at, to: answer.answered_at }))
            }
            Err(Unanswered { message, lost }) => {
                if lost {
                    self.client = None;
                }
                Err(message)
            }
        }
    }
}

impl<N: Now> OnSchedule for GaugeProbe<N> {
    fn every(&self) -> Duration {
        self.plan.every
    }

    fn missed(&mut self, readings: u64) {
        self.missed += readings;
    }

    async fn look(&mut self) {
        let asked_at = self.clock.now();
        let mut cost = ProbeCost { gaps: std::mem::take(&mut self.missed), ..ProbeCost::default() };
        let seen = self.read(&mut cost).await;
        let name = &self.plan.name;
        let seen = seen
            .map(|(value, window)| (Observation::Gauge(GaugeSample { name: name.clone(), value }), window));
        self.outlet.offer_look(asked_at, self.clock.now(), cost, seen);
    }
}
