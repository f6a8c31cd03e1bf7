//! PgBouncer's own account of itself, read from its admin console. Versions 1.12 to 1.24: columns came and moved, so that each is
//! read by its name.

mod console;
mod watch;

pub use console::{ConsoleError, examine};
pub use watch::PoolerWatch;

pub(super) use watch::PoolerProbe;
