//! What a person at the screen may wish while a study measures, beside an end of all.

use std::sync::Arc;

use tokio::sync::Notify;

/// Wishes of a person, handed to a study that goes on. Clones are one and the same.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    end_stage: Arc<Notify>,
}

impl Wishes {
    /// The stage that goes on is to end now, and the next one to begin. Several such wishes before the study hears of them are one.
    pub fn end_stage(&self) {
        self.end_stage.notify_one();
    }

    /// Waits for the next wish to end a stage.
    pub(super) async fn stage_is_to_end(&self) {
        self.end_stage.notified().await;
    }
}
