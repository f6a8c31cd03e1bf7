//! A number of the workload's own, read on a schedule from a connection of its own: the depth of a queue, the size of a table.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_postgres::{Row, Statement};

use super::link::{BackOff, OnSchedule, Unanswered, ask, words};
use crate::db::Now;
use crate::db::postgres::{Client, Settings, connect};
use crate::probe::outlet::Outlet;
use crate::probe::{GaugePlan, ProbeError, Probed, ROLE};
use crate::record::observation::{GaugeSample, Observation, ProbeCost};
use crate::units::{Span, Stamp};

/// A reading that takes longer is a gap. It reads and changes nothing.
const SETUP: &str = "SET statement_timeout = '5s'; SET lock_timeout = '2s'; SET jit = off; \
                     SET default_transaction_read_only = on";
const LIMIT: Duration = Duration::from_secs(5);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// The probe of one gauge.
pub struct GaugeProbe<N> {
    settings: Settings,
    plan: GaugePlan,
    clock: N,
    eye: Option<Eye>,
    back_off: BackOff,
    /// Readings that were due and came too late to be taken.
    missed: u64,
    outlet: Outlet,
}

/// A connection with the query prepared.
struct Eye {
    client: Client,
    query: Statement,
}

impl<N: Now> GaugeProbe<N> {
    /// Connects and reads once, so that a query that gives no number is told before the run begins.
    pub async fn open(
        settings: &Settings,
        plan: &GaugePlan,
        clock: N,
        out: mpsc::Sender<Probed>,
    ) -> Result<Self, ProbeError> {
        let refused = |message| ProbeError::Gauge { gauge: plan.name.clone(), message };
        let client = connect(settings, ROLE).await?;
        let eye = Eye::prepare(client, &plan.query).await.map_err(|error| refused(words(&error)))?;
        let mut cost = ProbeCost::default();
        eye.read(&clock, &mut cost).await.map_err(|unanswered| refused(unanswered.message))?;
        Ok(Self {
            settings: settings.clone(),
            plan: plan.clone(),
            clock,
            eye: Some(eye),
            back_off: BackOff::default(),
            missed: 0,
            outlet: Outlet::new(format!("gauge {}", plan.name), out),
        })
    }

    async fn read(&mut self, cost: &mut ProbeCost) -> Result<(f64, Span), String> {
        self.reconnect().await?;
        let Some(eye) = &self.eye else { return Err("there is no connection".to_owned()) };
        match eye.read(&self.clock, cost).await {
            Ok((value, from, to)) => Ok((value, Span { from, to })),
            Err(Unanswered { message, lost }) => {
                if lost {
                    self.eye = None;
                }
                Err(message)
            }
        }
    }

    async fn reconnect(&mut self) -> Result<(), String> {
        if self.eye.as_ref().is_some_and(|eye| !eye.client.is_closed()) {
            return Ok(());
        }
        self.eye = None;
        let opening = async {
            let client = connect(&self.settings, ROLE).await.map_err(|error| error.to_string())?;
            Eye::prepare(client, &self.plan.query).await.map_err(|error| words(&error))
        };
        self.eye = Some(self.back_off.open_again("of the gauge", CONNECT_LIMIT, opening).await?);
        Ok(())
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

impl Eye {
    async fn prepare(client: Client, query: &str) -> Result<Self, tokio_postgres::Error> {
        client.batch_execute(SETUP).await?;
        // Whatever number the query gives, it arrives as one type. A second row or column is an error of the server.
        let sql = query.trim().trim_end_matches(';');
        let query = client.prepare(&format!("SELECT (\n{sql}\n)::double precision AS level")).await?;
        Ok(Self { client, query })
    }

    /// The number, and when it was asked for and came.
    async fn read(&self, clock: &impl Now, cost: &mut ProbeCost) -> Result<(f64, Stamp, Stamp), Unanswered> {
        let answer = ask(clock, LIMIT, cost, async {
            let row: Row = self.client.query_one(&self.query, &[]).await?;
            row.try_get::<_, Option<f64>>("level")
        })
        .await?;
        cost.rows += 1;
        match answer.value.filter(|level| level.is_finite()) {
            Some(level) => Ok((level, answer.asked_at, answer.answered_at)),
            None => Err(Unanswered {
                message: "it gave no row, NULL, or no finite number".to_owned(),
                lost: false,
            }),
        }
    }
}
