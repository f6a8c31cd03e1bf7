//! Views of MariaDB, 10.11 and newer, and of MySQL 8, which was read in its documentation and never tried. What differs between
//! the two stands beside the query that it changes.

pub(crate) mod activity;
pub mod capabilities;
pub(crate) mod counters;
pub(crate) mod ddl;
mod deadlocks;
mod digests;
pub(crate) mod gauge;
mod indexes;
mod link;
mod locks;
mod metadata;
pub(crate) mod plans;
pub(crate) mod pulse;
mod session;
mod status;

pub(crate) use link::{DeadlockCount, LastLook};
