//! PostgreSQL: settings in libpq's habits, the stream (TCP, Unix socket, TLS), the lean measured session, and the full client
//! for everything that is not measured.

mod binding;
mod cancel;
mod client;
mod conninfo;
mod decode;
mod dial;
mod encode;
mod environment;
mod passfile;
mod prepare;
mod session;
mod settings;
mod startup;
mod stream;
mod tls;
mod wire;

pub use client::{Client, connect, server_version};
pub use encode::{Travels, travels};
pub use environment::Environment;
pub use session::{PgEngine, PgSession};
pub use settings::{Settings, SettingsError};

pub use crate::db::redact::redact;
