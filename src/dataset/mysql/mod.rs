//! Loading into MariaDB, 10.11 and newer, and MySQL 8 and newer, and looking at what was loaded. Tried on MariaDB 10.11 and 11.8 and on
//! MySQL 9.7; what is said of an older MySQL is known from its documentation only.

mod between;
mod changes;
mod check;
mod created;
mod form;
pub(super) mod index;
mod introspect;
mod load;
mod mark;
mod parameters;
mod query_values;
mod references;
mod send;
mod server;
mod state;
pub(super) mod template;

pub(super) use between::{NO_CHECKPOINT, check_session_setting, run_statement};
pub(super) use changes::data_state;
pub(super) use check::check_statements;
pub(super) use load::load;
pub(super) use mark::read as mark_of;
pub(super) use parameters::check_parameters;
pub(super) use query_values::values_of;
pub(super) use state::{has_table, scale_by};

/// A table that can be filled.
type TablePlan = super::fit::TablePlan<form::Form>;
type ColumnPlan = super::fit::ColumnPlan<form::Form>;
