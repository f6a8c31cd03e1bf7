//! How PostgreSQL, 14 to 18, is asked around a session that changes the schema.

mod columns;
mod digest;
mod left;
mod outside;
mod safety;
mod schema;
mod session;
mod sizes;
mod watch;

pub use outside::Outside;
pub use safety::company;
pub use session::{OwnScans, Session};
pub use watch::Watch;
