//! Views of PostgreSQL 14 to 18. What differs between versions stands beside the row that it fills.

pub(crate) mod activity;
pub mod capabilities;
mod clock;
pub(crate) mod counters;
mod episodes;
pub(crate) mod gauge;
mod link;
mod lock_waits;
pub(crate) mod plans;
mod query_ids;
mod session;
mod tally;
mod views;
