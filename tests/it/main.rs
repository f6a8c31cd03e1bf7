//! The integration tests: one binary, one private PostgreSQL for all of them, a fresh database for each.
//!
//! Tests whose figures depend on time belong into the module `timing`: `make test` runs those alone, after the others.

mod ab;
mod architecture;
mod audit;
mod capture;
mod chaos;
mod cli;
mod contract;
mod dataset;
mod disaster;
mod harness;
mod history;
mod index;
mod ledger;
mod load;
mod local;
mod locks;
mod measures;
mod migration;
mod pgbench;
mod place;
mod plans;
mod pool;
mod pooler;
mod preview;
mod probe;
mod renewal;
mod reset;
mod run;
mod samples;
mod server;
mod session;
mod source;
mod store;
mod timing;
mod workloads;
