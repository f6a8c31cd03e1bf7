//! Views of MariaDB, 10.11 and newer, and of MySQL 8 and newer. Tried on MariaDB 10.11 and 11.8 and on MySQL 9.7; where a query names
//! MySQL 8, an older one than that was read in its documentation. What differs between the two stands beside the query that it changes.

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
