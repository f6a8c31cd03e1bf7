//! PostgreSQL: settings in libpq's habits, the stream (TCP, Unix socket, TLS), the lean measured session, and the full client
//! for everything that is not measured.

mod bind;
mod binding;
mod cancel;
mod child;
mod client;
mod conninfo;
mod control;
mod decode;
mod describe;
mod dial;
mod encode;
mod environment;
mod exchange;
mod failure;
mod last_row;
mod literal;
mod passfile;
mod pipeline;
mod session;
mod settings;
mod startup;
mod statement;
mod template;
mod tls;
mod types;
mod wire;

pub use client::{Client, connect, server_version};
pub use control::set_local;
pub use encode::{Travels, travels};
pub use environment::Environment;
pub use literal::literal;
pub use session::{PgEngine, PgSession};
pub use settings::{Settings, SettingsError};

pub use crate::db::redact::redact;
