//! What a target lets dbdyno see and do, and what each absence costs the report. As data: `doctor` shows it, and a run names
//! its blind spots by it.

use std::fmt;

use serde::Serialize;

use super::{mysql, postgres};
use crate::db::{Client, PostgresOnly, Target};
use crate::record::entry::TargetHeader;

/// Whether something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It is.
    Present,
    /// It is not.
    Absent,
    /// We may not ask, or the answer cannot be trusted.
    Unknown,
}

/// One thing that a report needs of the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Capability {
    /// Stable name: `pg_stat_statements`.
    pub id: String,
    /// Whether it is there.
    pub ok: Presence,
    /// What was found.
    pub found: String,
    /// What its absence costs the report.
    pub costs: String,
    /// The command that changes it.
    pub remedy: Option<String>,
}

/// The server does not answer what it is asked about itself: its words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unexamined(String);

impl Unexamined {
    fn of(error: &impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Connections that this role can still open.
pub async fn connections_free(client: &Client) -> Result<u64, Unexamined> {
    match client {
        Client::Postgres(client) => {
            postgres::capabilities::connections_free(client).await.map_err(|error| Unexamined::of(&error))
        }
        Client::MySql(client) => {
            mysql::capabilities::connections_free(client).await.map_err(|error| Unexamined::of(&error))
        }
    }
}

/// What the target lets dbdyno see and do.
pub async fn examine(client: &Client, target: &Target) -> Result<Vec<Capability>, Unexamined> {
    match (client, target) {
        (Client::Postgres(client), Target::Postgres(settings)) => {
            let found = postgres::capabilities::examine(client, settings).await;
            found.map_err(|error| Unexamined::of(&error))
        }
        (Client::MySql(client), _) => {
            mysql::capabilities::examine(client).await.map_err(|error| Unexamined::of(&error))
        }
        // A connection to another server than the target.
        (Client::Postgres(_), Target::MySql(_)) => Err(Unexamined::of(&PostgresOnly)),
    }
}

/// Version, settings, sizes and blind spots of the target; where it is and whose, the caller knows.
pub async fn target_header(client: &Client) -> Result<TargetHeader, Unexamined> {
    match client {
        Client::Postgres(client) => {
            postgres::capabilities::target_header(client).await.map_err(|error| Unexamined::of(&error))
        }
        Client::MySql(client) => {
            mysql::capabilities::target_header(client).await.map_err(|error| Unexamined::of(&error))
        }
    }
}

/// What a pooler in between hides, where one is found. Asked on a second connection, which is closed again.
pub async fn pooler_blind_spot(client: &Client, target: &Target) -> Result<Option<String>, Unexamined> {
    match (client, target) {
        (Client::Postgres(client), Target::Postgres(settings)) => {
            postgres::capabilities::pooler_blind_spot(client, settings).await
        }
        _ => return Ok(None),
    }
    .map_err(|error| Unexamined::of(&error))
}
