//! What a person sees meanwhile: plain lines on standard error, or one line that is drawn anew on a terminal, or a whole screen;
//! and what a monitoring system reads. The only module below `cli` that prints.

mod bar;
mod draw;
mod endpoint;
mod metrics;
mod plain;
mod screen;
mod snapshot;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::study::{Happening, Wishes};
use endpoint::Endpoint;
pub use plain::Plain;
use screen::Screen;
use snapshot::Snapshot;

/// What is wished to be seen.
#[derive(Clone, Debug, Default)]
pub struct Watching {
    /// Nothing but notes.
    pub quiet: bool,
    /// A whole screen, where there is a terminal.
    pub screen: bool,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// How the screen's keys reach the study.
    pub wishes: Wishes,
}

/// Whoever tells the user, and the monitoring system, what happens.
pub struct Live {
    plain: Plain,
    snapshot: Arc<Mutex<Snapshot>>,
    wishes: Wishes,
    wants_screen: bool,
    screen: Option<Screen>,
    /// Serves for as long as this lives.
    endpoint: Option<Endpoint>,
}

impl Live {
    /// Begins to serve metrics where that is wished; the error is that of the address. A screen begins with the measurement: what
    /// goes before it is told in lines. To be called where an event loop runs.
    pub async fn open(wished: &Watching) -> io::Result<Self> {
        let snapshot = Arc::new(Mutex::new(Snapshot::default()));
        let endpoint = match wished.metrics {
            Some(address) => Some(Endpoint::open(address, Arc::clone(&snapshot)).await?),
            None => None,
        };
        let mut plain = Plain::new(wished.quiet);
        if let Some(endpoint) = &endpoint {
            plain.tell(&Happening::Step(&format!("metrics at http://{}/metrics", endpoint.address)));
        }
        let wants_screen = wished.screen && screen::is_possible();
        if wished.screen && !wants_screen {
            plain.tell(&Happening::Note(
                "--live needs a terminal for its keys and its picture: progress is told in lines",
            ));
        }
        Ok(Self { plain, snapshot, wishes: wished.wishes.clone(), wants_screen, screen: None, endpoint })
    }

    /// Tells of one happening.
    pub fn tell(&mut self, happening: &Happening<'_>) {
        if self.wants_screen || self.endpoint.is_some() {
            self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).tell(happening);
        }
        if self.wants_screen && matches!(happening, Happening::Begun(_)) {
            self.open_screen();
        }
        if self.screen.is_none() {
            self.plain.tell(happening);
        }
    }

    fn open_screen(&mut self) {
        self.plain.finish();
        match Screen::open(Arc::clone(&self.snapshot), self.wishes.clone()) {
            Ok(screen) => self.screen = Some(screen),
            Err(error) => {
                self.wants_screen = false;
                self.plain
                    .tell(&Happening::Note(&format!("no live view: {error}; progress is told in lines")));
            }
        }
    }

    /// Gives the terminal back, and tells in lines what was noted meanwhile: it went with the screen.
    pub fn finish(&mut self) {
        if self.screen.take().is_some() {
            let notes =
                std::mem::take(&mut self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).notes);
            for note in &notes {
                self.plain.tell(&Happening::Note(note));
            }
        }
        self.plain.finish();
    }
}
