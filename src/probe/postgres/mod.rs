//! Views of PostgreSQL 14 to 18. What differs between versions stands beside the row that it fills.

pub(crate) mod activity;
pub mod capabilities;
mod chains;
mod clock;
pub(crate) mod counters;
pub mod ddl;
pub(crate) mod gauge;
mod io;
pub(crate) mod link;
mod lock_waits;
mod pace;
pub(crate) mod plans;
mod prepared;
mod processes;
pub(crate) mod pulse;
mod query_ids;
mod session;
mod views;
