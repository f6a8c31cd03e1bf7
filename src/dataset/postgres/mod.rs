//! Loading into PostgreSQL, 14 and newer.

mod ageing;
mod array;
pub(super) mod between;
pub mod capture;
pub(super) mod changes;
pub(super) mod check;
mod constraints;
mod copy;
mod created;
pub mod index;
mod introspect;
pub(super) mod load;
pub(super) mod mark;
pub(super) mod parameters;
pub(super) mod pooled;
pub(super) mod query_values;
mod sequences;
mod server;
pub(super) mod source_statistics;
pub(super) mod state;
pub(super) mod template;
mod wire;

/// A table that COPY can fill.
type TablePlan = super::fit::TablePlan<wire::Wire>;
