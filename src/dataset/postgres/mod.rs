//! Loading into PostgreSQL, 14 and newer.

mod array;
pub(super) mod check;
mod copy;
mod created;
mod fit;
mod introspect;
pub(super) mod load;
pub(super) mod mark;
pub(super) mod query_values;
mod server;
pub(super) mod state;
mod wire;
