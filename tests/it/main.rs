//! The integration tests: one binary, one private server of each engine for all of them, a fresh database for each.
//!
//! Tests whose figures depend on time belong into a module `timing`, and into `alone` where they need the processors as well:
//! `make test` runs the former after all others, three at a time, and the latter at the end, one after another.

mod ab;
mod alone;
mod architecture;
mod audit;
mod baseline;
mod capture;
mod catalogue;
mod chaos;
mod chromium;
mod cli;
mod contract;
mod dataset;
mod disaster;
mod engines;
mod exports;
mod harness;
mod history;
mod index;
mod index_mariadb;
mod ledger;
mod live;
mod load;
mod local;
mod locks;
mod mariadb;
mod mariadb_migration;
mod mariadb_otherwise;
mod mariadb_probe;
mod mariadb_rivals;
mod measures;
mod migration;
mod page;
mod pgbench;
mod place;
mod plans;
mod pool;
mod pooler;
mod preview;
mod probe;
mod readers;
mod rehearsal;
mod renewal;
mod reset;
mod run;
mod safe_forms;
mod samples;
mod server;
mod session;
mod source;
mod store;
mod timing;
mod workloads;
