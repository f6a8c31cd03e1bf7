//! MariaDB and MySQL: settings in the habits of their tools, the lean measured session by the binary protocol, and the full client for
//! everything that is not measured.
//!
//! All of it was tried on MariaDB 10.11 and 11.8 and on MySQL 9.7, which differ in how a password is proved (`caching_sha2_password`) and in
//! the limit of a statement (`max_execution_time`, error 3024).

mod ask;
mod child;
mod client;
mod control;
mod decode;
mod dial;
mod encode;
mod engine;
mod environment;
mod exchange;
pub mod explain;
mod failure;
mod handshake;
mod literal;
mod option_file;
mod packet;
mod rows;
mod session;
mod settings;
mod statement;
mod tls;
mod url;
mod wire;

pub use client::{Client, connect};
pub use control::{quoted_name, set_session};
pub use engine::MySqlEngine;
pub use environment::Environment;
pub use failure::{code_of, ends_the_connection};
pub use session::MySqlSession;
pub use settings::{Settings, SettingsError};
