//! Whether a target may be changed at all. Asked before anything else, of the server itself.

use crate::probe::ddl;
use crate::study::{Happening, Observer, Reset, StudyError, TargetChoice};

use super::MigrationPlan;

/// Looks at who else is connected, beyond the first, and the pause between two.
const LOOKS_MAX: u32 = 5;
const BETWEEN_LOOKS: std::time::Duration = std::time::Duration::from_millis(200);
/// Clients that a message names.
const CLIENTS_NAMED: usize = 4;

/// Refuses a target that is not the user's to change, or that others depend on.
pub(super) async fn check(plan: &MigrationPlan, observer: &mut Observer<'_>) -> Result<(), StudyError> {
    let TargetChoice::Existing(target) = &plan.measure.target else { return Ok(()) };
    let client = target.connect("control").await?;
    let mut company = ddl::company(&client).await.map_err(StudyError::examining)?;
    for _ in 0..LOOKS_MAX {
        // Whoever has just closed a connection is listed for a moment more.
        if company.clients.is_empty() {
            break;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
        company = ddl::company(&client).await.map_err(StudyError::examining)?;
    }
    let database = &company.database;
    if plan.allowed.as_ref() != Some(database) {
        let given = plan.allowed.as_ref().map_or_else(String::new, |given| format!(", and not `{given}`"));
        return Err(StudyError::Refused(format!(
            "a migration changes the database {database} at {}{given}: repeat its name with --allow-target {database} if it may \
             be changed, or rehearse on a throwaway server with --target local",
            target.address()
        )));
    }
    let mut reasons = Vec::new();
    if company.replicas > 0 {
        let plural = if company.replicas == 1 { " replica follows" } else { " replicas follow" };
        reasons.push(format!("{}{plural} this server and would replay all of it", company.replicas));
    }
    if !company.clients.is_empty() {
        let named: Vec<&str> = company.clients.iter().take(CLIENTS_NAMED).map(String::as_str).collect();
        let more = company.clients.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        reasons.push(format!("others are connected to {database}: {}{more}", named.join(", ")));
    }
    reasons.extend(company.hidden.map(|why| format!("whether others are connected is not known: {why}")));
    if reasons.is_empty() {
        return Ok(());
    }
    let reasons = reasons.join("; ");
    if !plan.force {
        return Err(StudyError::Refused(format!(
            "{reasons}: rehearse on a copy of this database on another server, or go on all the same with --force"
        )));
    }
    // A copy cannot be made while others are connected; that is said when it is tried.
    let copy = if plan.measure.reset == Reset::Template {
        " (a copy is changed, not the database itself)"
    } else {
        ""
    };
    observer(Happening::Note(&format!("--force: {reasons}{copy}")));
    Ok(())
}
