//! The data as loaded, anew for each measurement: the study moves to a fresh copy of the loaded database and back. The loaded
//! database itself is only read.

use std::future::Future;
use std::time::Instant;

use crate::dataset::{DataState, DatasetError, Template};
use crate::db::Target;

use super::{Happening, MeasurePlan, Observer, OpenTarget, Reset, StudyError};

/// The loaded database, and what is copied from it.
pub(super) struct Fresh {
    /// The loaded database.
    loaded: Target,
    template: Template,
    /// The copy that is there.
    copy: Option<String>,
}

impl Fresh {
    /// Makes sure that copies can be made, if the plan wants any. Says why not before anything is measured.
    pub(super) async fn open(
        plan: &MeasurePlan,
        target: &OpenTarget,
        observer: &mut Observer<'_>,
    ) -> Result<Option<Self>, StudyError> {
        if plan.reset == Reset::None {
            return Ok(None);
        }
        Self::of(target, observer).await.map(Some)
    }

    /// Makes sure that copies can be made.
    pub(super) async fn of(target: &OpenTarget, observer: &mut Observer<'_>) -> Result<Self, StudyError> {
        let mut told = |note: String| observer(Happening::Note(&note));
        let template = Template::open(&target.target, &target.control, &mut told).await;
        Ok(Self { loaded: target.target.clone(), template: template.map_err(refused)?, copy: None })
    }

    /// Moves to the copy that was made before, or to a fresh one. False when `interrupted` came first; then there is none.
    pub(super) async fn enter_again(
        &mut self,
        target: &mut OpenTarget,
        interrupted: impl Future<Output = ()>,
        observer: &mut Observer<'_>,
    ) -> Result<bool, StudyError> {
        match &self.copy {
            Some(copy) => target.move_to(self.loaded.with_database(copy)).await.map(|()| true),
            None => self.enter(target, interrupted, observer).await,
        }
    }

    /// Leaves the loaded database: nobody may be connected to it while it is copied.
    pub(super) async fn leave(&self, target: &mut OpenTarget) -> Result<(), StudyError> {
        target.move_to(self.loaded.with_database(self.template.elsewhere())).await
    }

    /// Moves to a fresh copy. False when `interrupted` came first; then there is none.
    pub(super) async fn enter(
        &mut self,
        target: &mut OpenTarget,
        interrupted: impl Future<Output = ()>,
        observer: &mut Observer<'_>,
    ) -> Result<bool, StudyError> {
        observer(Happening::Step("copying the loaded database"));
        let begun = Instant::now();
        let mut told = |note: String| observer(Happening::Note(&note));
        let Some(copy) = self.template.copy(interrupted, &mut told).await.map_err(refused)? else {
            return Ok(false);
        };
        observer(Happening::Step(&format!("copied as {copy} in {:.1} s", begun.elapsed().as_secs_f64())));
        target.move_to(self.loaded.with_database(&copy)).await?;
        self.copy = Some(copy);
        Ok(true)
    }

    /// Drops the copy that is there, if any.
    pub(super) async fn discard(&mut self, target: &mut OpenTarget) -> Result<(), StudyError> {
        // Where the server is gone, the drop says so.
        let _ = self.leave(target).await;
        self.copy = None;
        Ok(self.template.remove().await?)
    }
}

/// Says that the loaded database is not what was loaded any more: it is copied as it is.
pub(super) fn tell_changes(state: Option<&DataState>, observer: &mut Observer<'_>) {
    let changes = state.and_then(|state| state.changes.as_deref()).unwrap_or_default();
    if changes.is_empty() {
        return;
    }
    let tables: Vec<&str> = changes.iter().map(|of| of.table.as_str()).collect();
    observer(Happening::Note(&format!(
        "rows of {} were changed since the load, and the loaded database is copied as it is (dbdyno load --replace makes it \
         anew)",
        tables.join(", ")
    )));
}

/// What keeps a database from being copied is for the user to change.
fn refused(error: DatasetError) -> StudyError {
    match error {
        DatasetError::Reset { .. } => StudyError::Refused(error.to_string()),
        error => error.into(),
    }
}
