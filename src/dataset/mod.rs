//! Datasets in a database: the schema, the rows by binary COPY or `LOAD DATA`, what follows them, and the mark that says what was
//! loaded.
//!
//! A load is one story in phases (see [`Phase`]): the schema is made and everything that can be wrong is found out in one
//! transaction, before any row, so that a mistake leaves the target as it was (on MariaDB and MySQL, whose DDL commits by itself,
//! what was made is dropped again); then the rows; then indexes, constraints and `finish.sql`; then vacuum and checkpoint. A row
//! of `dbdyno.load_mark` says at each moment how far it came. Tables that dbdyno did not create are never touched unless the user
//! said so.
//!
//! Which engine it is, `engines` asks once; what a workload, a script or a report say of data knows none.

pub mod capture;
mod chunks;
mod copies;
mod csv;
mod engines;
mod event;
mod fit;
#[cfg(test)]
mod fixture;
mod found;
pub mod index;
mod mark;
mod mysql;
mod postgres;
mod progress;
mod query_values;
mod refusals;
mod script;
mod shares;
mod state;

pub use csv::{put_csv, put_csv_text, put_plain, write_csv};
pub use engines::{
    Template, attach_statistics, autovacuum_works, check_parameters, check_session_setting, check_statements,
    checkpoint, data_state, follow_pooled, load, may_attach_statistics, pgbench_scale, run_statement,
    server_setting_words,
};
pub use event::{DatasetError, Existing, LoadEvent, LoadOptions, LoadSummary, Phase, TableSummary};
pub use mark::{Holds, Mark, MarkState};
pub use postgres::capture::{
    CapturedSchema, CheckedStatement, Counted, Reader, Snapshot, StatementNumber, TableSize,
};
pub use postgres::pooled::Pooled;
pub use query_values::query_values;
pub use state::{DataState, TableChanges, TargetState, inspect};
