//! Datasets in a database: the schema, the rows by binary COPY, what follows them, and the mark that says what was loaded.
//!
//! A load is one story in phases (see [`Phase`]): the schema is made and everything that can be wrong is found out in one
//! transaction, before any row, so that a mistake leaves the target as it was; then the rows; then indexes, constraints and
//! `finish.sql`; then vacuum and checkpoint. A row of `dbdyno.load_mark` says at each moment how far it came. Tables that
//! dbdyno did not create are never touched unless the user said so.
//!
//! The engine is matched here once; PostgreSQL is the only one so far.

pub mod capture;
mod csv;
mod event;
mod postgres;
mod script;

pub use csv::{put_csv, put_csv_text, put_plain, write_csv};
pub use event::{DatasetError, Existing, LoadEvent, LoadOptions, LoadSummary, Phase, TableSummary};
pub use postgres::between::{autovacuum_works, check_session_setting, checkpoint, run_statement};
pub use postgres::capture::{CapturedSchema, CheckedStatement, Counted, Reader, SessionSample, Snapshot};
pub use postgres::changes::{DataState, TableChanges, data_state};
pub use postgres::check::check_statements;
pub use postgres::index;
pub use postgres::load::load;
pub use postgres::mark::{Holds, Mark, MarkState};
pub use postgres::parameters::check_parameters;
pub use postgres::pooled::{Pooled, follow as follow_pooled};
pub use postgres::query_values::query_values;
pub use postgres::state::{TargetState, inspect, pgbench_scale};
pub use postgres::template::Template;
