//! How a gauge is read from MariaDB and MySQL.

use super::link::{PROBE_TAG, float, open, rows};
use crate::db::Now;
use crate::db::mysql::{Client, Settings};
use crate::probe::gauge::{GaugeConnection, LIMIT};
use crate::probe::link::{Answer, Connection, Unanswered};
use crate::probe::{GaugePlan, ProbeError};
use crate::record::observation::ProbeCost;

/// A connection and its query.
pub struct Gauge {
    client: Client,
    query: String,
}

impl Connection for Gauge {
    fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

impl GaugeConnection for Gauge {
    type Settings = Settings;

    async fn open(settings: &Settings, plan: &GaugePlan) -> Result<Self, ProbeError> {
        let client = open(settings, LIMIT).await?;
        let sql = plan.query.trim().trim_end_matches(';');
        // A second row or column is an error of the server.
        Ok(Self { client, query: format!("{PROBE_TAG}SELECT (\n{sql}\n) AS level") })
    }

    async fn level(&self, clock: &impl Now, cost: &mut ProbeCost) -> Result<Answer<Option<f64>>, Unanswered> {
        let answer = rows(&self.client, clock, LIMIT, cost, &self.query).await?;
        Ok(answer.map(|rows| rows.first().and_then(|row| float(row, "level"))))
    }
}
