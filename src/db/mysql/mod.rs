//! MariaDB and MySQL: the measured session, by the binary protocol with prepared statements. The connection, its
//! authentication and its framing are `mysql_async`'s.
//!
//! It is the smallest session that keeps every promise of [`crate::db::Session`], and is here so that these promises are not
//! PostgreSQL's habits in disguise. No command drives it yet.

mod client;
mod engine;
mod failure;
mod session;
mod settings;
mod statement;
mod value;

pub use client::{Client, connect};
pub use engine::MySqlEngine;
pub use session::MySqlSession;
pub use settings::{Environment, Settings, SettingsError};
