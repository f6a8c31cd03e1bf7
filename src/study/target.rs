//! A target made ready: started if it is a throwaway one, and connected to.

use crate::db::{Client, Target};
use crate::local::{self, LocalServer};

use super::{Happening, Observer, StudyError, TargetChoice};

/// A target with a control connection. The throwaway server lives as long as this.
pub struct OpenTarget {
    /// Where it is.
    pub target: Target,
    /// The connection for everything that is not measured.
    pub control: Client,
    /// Present when it was started for this.
    server: Option<LocalServer>,
}

impl OpenTarget {
    /// Starts the server if need be, and connects.
    pub async fn open(choice: &TargetChoice, observer: &mut Observer<'_>) -> Result<Self, StudyError> {
        let (target, server) = match choice {
            TargetChoice::Existing(target) => {
                observer(Happening::Step(&format!("connecting to {}", target.address())));
                (target.clone(), None)
            }
            TargetChoice::Local(options) => {
                observer(Happening::Step(options.step()));
                let server = local::start(options).await?;
                (Target::of_local_server(server.url())?, Some(server))
            }
        };
        for notice in server.iter().flat_map(LocalServer::notices).chain(target.warnings()) {
            observer(Happening::Note(notice));
        }
        let control = target.connect("control").await?;
        Ok(Self { target, control, server })
    }

    /// Leaves the database for another one of the same server. On an error it stays where it is.
    pub(super) async fn move_to(&mut self, target: Target) -> Result<(), StudyError> {
        self.control = target.connect("control").await?;
        self.target = target;
        Ok(())
    }

    /// Restarts a throwaway server, so that nothing is in its buffers; leaves another one as it is. `settings` hold from now on, name
    /// and value.
    pub(super) async fn restart(&mut self, settings: &[(String, String)]) -> Result<(), StudyError> {
        if let Some(server) = &mut self.server {
            server.restart_with(settings).await?;
            self.control = self.target.connect("control").await?;
        }
        Ok(())
    }

    /// The server, if dbdyno started it.
    pub(super) fn local_server(&self) -> Option<&LocalServer> {
        self.server.as_ref()
    }

    /// Whether dbdyno started it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.server.is_some()
    }

    /// Removes a throwaway server and waits until it is gone.
    pub async fn close(self) -> Result<(), StudyError> {
        drop(self.control);
        if let Some(server) = self.server {
            server.stop().await?;
        }
        Ok(())
    }
}
