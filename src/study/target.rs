//! A target made ready: started if it is a throwaway one, connected to, looked at.

use crate::db::Target;
use crate::db::postgres::{Client, Settings, connect};
use crate::local::{LocalServer, start_postgres};

use super::{Happening, Observer, StudyError, TargetChoice};

/// A target with a control connection. The throwaway server lives as long as this.
pub struct OpenTarget {
    /// Where it is.
    pub target: Target,
    /// The connection for everything that is not measured.
    pub control: Client,
    /// Present when it was started for this.
    pub server: Option<LocalServer>,
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
                observer(Happening::Step("starting a throwaway PostgreSQL"));
                let server = start_postgres(options).await?;
                (Target::parse(server.url())?, Some(server))
            }
        };
        let control = connect(Self::settings_of(&target), "control").await?;
        Ok(Self { target, control, server })
    }

    /// Settings of the other connections.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        Self::settings_of(&self.target)
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

    fn settings_of(target: &Target) -> &Settings {
        let Target::Postgres(settings) = target;
        settings
    }
}
