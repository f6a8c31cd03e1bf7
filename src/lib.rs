//! dbdyno is a dynamometer for databases: it puts production-like data into a database, drives a weighted mix of
//! transactions through a real connection pool, watches the server from the inside while it runs, and says which statement
//! waited for what, and for how long.
//!
//! # How a run goes
//!
//! ```text
//!  workload ──▶ study ──▶ local   a throwaway server, if the target is `local`
//!  (checked,      │   ──▶ dataset schema, rows by COPY, the mark of what was loaded
//!   compiled)     │   ──▶ probe   connections of their own: sessions, locks, plans, pulse, counters; host
//!                 │
//!                 └────▶ engine  workers ▸ instances ▸ clients ▸ pool ▸ db session
//!                          │        each stamps, each records into sets of its own
//!             intervals ◀──┘
//!                 │
//!        record::entry  ──▶ store     one line each, every second: the journal
//!                       ──▶ analysis  folds entries into a report (model)
//!                                        ├──▶ report   terminal, JSON
//!                                        └──▶ store    the history of all runs, for comparisons
//! ```
//!
//! Everything that is measured becomes a [`record::entry::Entry`]. The entries of a run are its journal, and a report is a
//! pure function of a journal: the report at the end of a run, the one of a run that was cut off, and the one of a run of
//! last year come from the same code.
//!
//! # Modules, from the ground up
//!
//! | module | what it is for |
//! |---|---|
//! | [`units`] | instants, spans, ids, the seed, what a stage puts on |
//! | [`time`] | the clock of a run, real or virtual, and one timer for each worker |
//! | [`diagnostic`] | mistakes collected and shown all at once, each at its place |
//! | [`sql`] | SQL as text and values: tokens, named statements, the tag |
//! | [`model`] | the report as versioned data; metrics, limits, budgets |
//! | [`generate`] | values from keys: the counter-based generator and everything made of it |
//! | [`record`] | histogram sets, books, gauges, observations: the run format |
//! | [`workload`] | the folder that a user writes, or pgbench's scripts, checked as a whole and compiled to indexes; folders of migrations |
//! | [`db`] | connections: the measured sessions (PostgreSQL; MariaDB and MySQL), the full client, the simulated server |
//! | [`local`] | throwaway servers and poolers, and the supervisor that removes them |
//! | [`dataset`] | schema, introspection, COPY, the mark of what was loaded; what is captured of a database that is there |
//! | [`pool`] | deadpool with the times that it does not tell; connections that end and come back |
//! | [`probe`] | one file for each family of views; the host |
//! | [`analysis`] | from entries to a report; pure |
//! | [`engine`] | arrivals, workers, clients, retry, drain |
//! | [`store`] | journals on disk, and the history of all runs in SQLite or PostgreSQL |
//! | [`report`] | renderers, pure functions of the model |
//! | [`study`] | what is measured in which order: runs, pool studies, searches for the highest rate, comparisons, index experiments, migration checks; each file reads from top to bottom |
//! | [`live`] | what a person sees meanwhile |
//! | [`cli`] | arguments to a plan, a result to standard output, an exit code |
//!
//! A module imports only what lies below it, by the table that `tests/it/architecture.rs` holds.
//!
//! # Invariants
//!
//! - Time begins at the planned instant: `scheduled_at ≤ acquire_begun_at ≤ acquired_at ≤ finished_at ≤ released_at`. A
//!   stall is charged to every arrival that it delayed.
//! - The books of a stage balance, from two counts that share no code: what arrivals planned, and how clients ended.
//! - Probes never borrow from the measured pool.
//! - `analysis` and `report` do no input or output; `record` knows no SQL beyond names.
//! - Below `live` nothing prints; a study tells an observer.
//! - A worker shares no lock with another. What it measures it writes into a set of its own, swapped each second; a late
//!   collector lengthens the interval and never stops the worker.
//! - Everything that can grow has a bound: queues, kept errors, spans, retries, drain.
//! - Every draw is keyed by what asks for it, so that another pool size, another thread count or a retry changes none.
//! - After warm-up our code allocates nothing for a transaction on PostgreSQL (`tests/allocations.rs`).
//! - A reading carries its window. A failed one is a counted gap, never a zero.
//! - A `Secret` has no `Debug` and no `Serialize`.

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
