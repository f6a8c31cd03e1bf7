//! How a gauge is read from PostgreSQL.

use tokio_postgres::{Row, Statement};

use super::link::{open, rows, words};
use crate::db::Now;
use crate::db::postgres::{Client, Settings};
use crate::probe::gauge::{GaugeConnection, LIMIT};
use crate::probe::link::{Answer, Connection, Unanswered};
use crate::probe::{GaugePlan, ProbeError};
use crate::record::observation::ProbeCost;

/// It reads and changes nothing. Its statement timeout is [`LIMIT`].
const SETUP: &str = "SET statement_timeout = '5s'; SET lock_timeout = '2s'; SET jit = off; \
                     SET default_transaction_read_only = on";

/// A connection with the query prepared.
pub struct Gauge {
    client: Client,
    query: Statement,
}

impl Connection for Gauge {
    fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

impl GaugeConnection for Gauge {
    type Settings = Settings;

    async fn open(settings: &Settings, plan: &GaugePlan) -> Result<Self, ProbeError> {
        let client = open(settings, SETUP).await?;
        // Whatever number the query gives, it arrives as one type. A second row or column is an error of the server.
        let sql = plan.query.trim().trim_end_matches(';');
        let query = client.prepare(&format!("SELECT (\n{sql}\n)::double precision AS level")).await;
        let query =
            query.map_err(|error| ProbeError::Gauge { gauge: plan.name.clone(), message: words(&error) })?;
        Ok(Self { client, query })
    }

    async fn level(&self, clock: &impl Now, cost: &mut ProbeCost) -> Result<Answer<Option<f64>>, Unanswered> {
        let read = |row: &Row| row.try_get::<_, Option<f64>>("level");
        let answer = rows(&self.client, clock, LIMIT, cost, &self.query, &[], read).await?;
        Ok(answer.map(|levels| levels.into_iter().next().flatten()))
    }
}
