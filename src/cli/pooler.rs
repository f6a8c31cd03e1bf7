//! `--pooler`: from its arguments to its part of the plan.

use crate::db::Target;
use crate::local::PoolMode;
use crate::study::{PoolerChoice, StudyError};

use super::CommandError;
use super::args::{MeasureArguments, ResetTo};
use super::plan::UsageError;

/// The name by which a PgBouncer of our own is asked for.
const OWN: &str = "pgbouncer";

/// Where the measured sessions connect, if not to the target itself.
pub(super) fn choice(arguments: &MeasureArguments) -> Result<Option<PoolerChoice>, CommandError> {
    let given = &arguments.pooler;
    let Some(pooler) = &given.pooler else {
        return match (&given.pooler_admin, given.pooler_pool) {
            (Some(_), _) => Err(UsageError::WithoutPooler("--pooler-admin", "--pooler URL").into()),
            (None, Some(_)) => Err(UsageError::WithoutPooler("--pooler-pool", "--pooler pgbouncer").into()),
            (None, None) => Ok(None),
        };
    };
    let is_local = arguments.target.local().is_some();
    if pooler.contains("://") {
        if arguments.reset == ResetTo::Template {
            return Err(UsageError::PoolerWithCopies.into());
        }
        if given.pooler_pool.is_some() {
            return Err(UsageError::WithoutPooler("--pooler-pool", "--pooler pgbouncer").into());
        }
        if is_local {
            return Err(UsageError::PoolerOfLocal.into());
        }
        let parse = |url: &String| Target::parse(url).map_err(StudyError::from);
        let console = given.pooler_admin.as_ref().map(parse).transpose()?;
        return Ok(Some(PoolerChoice::Existing { pooler: parse(pooler)?, console }));
    }
    let mode = match pooler.split_once(':').unwrap_or((pooler, "transaction")) {
        (OWN, "transaction") => PoolMode::Transaction,
        (OWN, "session") => PoolMode::Session,
        _ => return Err(UsageError::Pooler(pooler.clone()).into()),
    };
    if !is_local {
        return Err(UsageError::OwnPoolerOfExisting.into());
    }
    if given.pooler_admin.is_some() {
        return Err(UsageError::WithoutPooler("--pooler-admin", "--pooler URL").into());
    }
    Ok(Some(PoolerChoice::Own { mode, pool_size: given.pooler_pool }))
}
