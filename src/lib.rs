//! dbdyno is a dynamometer for databases.

pub mod analysis;
pub mod cli;
pub mod dataset;
pub mod db;
pub mod diagnostic;
pub mod engine;
pub mod generate;
pub mod live;
pub mod local;
pub mod model;
pub mod pool;
pub mod probe;
pub mod record;
pub mod report;
pub mod sql;
pub mod store;
pub mod study;
pub mod time;
pub mod units;
pub mod workload;
