//! What goes between two slices of a comparison: the script of the arm, a pause, a look whether the server rests.

use std::time::{Duration, Instant};

use crate::dataset;
use crate::db::Client;
use crate::sql::split::split_in;

use super::measure::{Script, Segment};
use super::{OpenTarget, StudyError};

/// Between two looks whether autovacuum is at work.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Autovacuum is waited for so long; a table that it works on for longer would be in every slice.
const AUTOVACUUM_MAX: Duration = Duration::from_secs(10);

/// Refuses what sessions of this user cannot set, before anything is measured.
pub(super) async fn check_session_settings(
    target: &OpenTarget,
    segments: &[Segment],
) -> Result<(), StudyError> {
    let mut checked: Vec<&(String, String)> = Vec::new();
    for setting in segments.iter().filter_map(|segment| segment.slice.as_ref()).flat_map(|s| &s.settings) {
        if checked.contains(&setting) {
            continue;
        }
        checked.push(setting);
        let (name, value) = setting;
        dataset::check_session_setting(&target.control, name, value).await?.map_err(|words| {
            StudyError::Refused(format!(
                "a session cannot `set {name}={value}`: {words} (what only the whole server can change goes into a script: \
                 'sql FILE' with {})",
                dataset::server_setting_words(&target.control)
            ))
        })?;
    }
    Ok(())
}

/// Runs the statements of a script, each on its own, so that VACUUM and CREATE INDEX CONCURRENTLY can stand in it.
pub(super) async fn run_script(control: &Client, script: &Script) -> Result<(), StudyError> {
    for piece in split_in(&script.sql, control.dialect()) {
        dataset::run_statement(control, piece.text(&script.sql)).await?.map_err(|words| {
            StudyError::Refused(format!("{}, line {}: {words}", script.path.display(), piece.line))
        })?;
    }
    Ok(())
}

/// Waits for `pause`, and on while autovacuum works, within a bound.
pub(super) async fn settle(control: &Client, pause: Duration) -> Result<(), StudyError> {
    tokio::time::sleep(pause).await;
    let begun = Instant::now();
    while begun.elapsed() < AUTOVACUUM_MAX && dataset::autovacuum_works(control).await? {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}
