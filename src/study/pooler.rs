//! A pooler between the measured sessions and the server: whether it leads to the target at all, and as whom.

use crate::dataset::follow_pooled;
use crate::db::Target;

use super::{OpenTarget, StudyError};

/// Makes sure that what goes through `pooler` arrives at `target`: else the load runs in one place and the probes look at another.
/// Gives the role of the sessions behind it.
pub(super) async fn leads_to(pooler: &Target, target: &OpenTarget) -> Result<String, StudyError> {
    let pooled = pooler.connect("control").await?;
    let found = follow_pooled(&pooled, &target.control).await?;
    if found.is_there {
        return Ok(found.role);
    }
    Err(StudyError::Refused(format!(
        "the pooler at {} leads to database {} of another server than the target at {}, or another database: name in --target the server \
         and the database behind the pooler",
        pooler.address(),
        found.database,
        target.target.address()
    )))
}
