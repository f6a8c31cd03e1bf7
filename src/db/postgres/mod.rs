//! PostgreSQL: settings in libpq's habits, the stream (TCP, Unix socket, TLS), the lean measured session, and the full client
//! for everything that is not measured.

mod client;
mod conninfo;
mod environment;
mod passfile;
mod session;
mod settings;
mod stream;
mod tls;

pub use client::{Client, connect};
pub use environment::Environment;
pub use session::{PgEngine, PgSession};
pub use settings::{Settings, SettingsError};
