//! How MariaDB, 10.11 and newer, and MySQL, 8 and newer, are asked around a session that changes the schema.

mod change;
mod digest;
mod foresee;
mod keyed;
mod outside;
mod safety;
mod schema;
mod session;
mod sizes;
mod watch;

pub use outside::Outside;
pub(in crate::probe) use safety::company;
pub use session::Session;
pub use watch::Watch;
