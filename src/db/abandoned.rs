//! Sessions of one engine that were dropped in the middle of a request, by what their server knows them by. Knows no server.

use std::sync::{Arc, Mutex};

/// Filled by sessions as they are dropped, emptied by whoever has the server end their requests.
#[derive(Clone)]
pub(super) struct Abandoned<K>(Arc<Mutex<Vec<K>>>);

impl<K> Default for Abandoned<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K> Abandoned<K> {
    pub(super) fn add(&self, key: K) {
        self.0.lock().expect("no holder of the lock panics").push(key);
    }

    /// Those that were added since the last time.
    pub(super) fn take(&self) -> Vec<K> {
        std::mem::take(&mut *self.0.lock().expect("no holder of the lock panics"))
    }
}
