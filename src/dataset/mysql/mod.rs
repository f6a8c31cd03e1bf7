//! Loading into MariaDB, 10.11 and newer, and MySQL 8.

use super::postgres::changes::DataState;
use super::postgres::state::TargetState;
use super::{DatasetError, LoadEvent, LoadOptions, LoadSummary};
use crate::db::PostgresOnly;
use crate::db::mysql::{Client, Settings};
use crate::generate::Dataset;
use crate::sql::values::QueryValues;
use crate::workload::Workload;

pub(super) async fn load(
    _settings: &Settings,
    _workload: &Workload,
    _options: &LoadOptions,
    _progress: &mut (dyn FnMut(LoadEvent) + Send),
) -> Result<LoadSummary, DatasetError> {
    Err(PostgresOnly.into())
}

pub(super) async fn check_statements(_client: &Client, _workload: &Workload) -> Result<(), DatasetError> {
    Err(PostgresOnly.into())
}

pub(super) async fn check_parameters(
    _client: &Client,
    _workload: &Workload,
    _dataset: &Dataset,
    _query_values: &QueryValues,
) -> Result<(), DatasetError> {
    Err(PostgresOnly.into())
}

pub(super) async fn query_values(
    _client: &Client,
    _workload: &Workload,
) -> Result<QueryValues, DatasetError> {
    Err(PostgresOnly.into())
}

pub(super) async fn inspect(_client: &Client, _workload: &Workload) -> Result<TargetState, DatasetError> {
    Err(PostgresOnly.into())
}

pub(super) async fn data_state(
    _client: &Client,
    _workload: &Workload,
) -> Result<Option<DataState>, DatasetError> {
    Err(PostgresOnly.into())
}

pub(super) async fn check_session_setting(
    _client: &Client,
    _name: &str,
    _value: &str,
) -> Result<Result<(), String>, DatasetError> {
    Err(PostgresOnly.into())
}

pub(super) async fn run_statement(_client: &Client, _sql: &str) -> Result<Result<(), String>, DatasetError> {
    Err(PostgresOnly.into())
}
