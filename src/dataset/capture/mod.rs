//! From what was read of a database to a workload that behaves like it, without a row of it: a generator for each column, a source
//! for each parameter, weights for each transaction. Pure: reading is done in `dataset::postgres::capture`.

mod column;
mod compare;
mod describe;
mod document;
mod facts;
mod fan_out;
mod joint;
mod keys;
mod mix;
mod predicate;
mod redact;
mod source;
mod statement;

pub use column::{Description, Leaves};
pub use compare::{ColumnDistance, compare};
pub use describe::{Described, DescribedColumn, DescribedTable, Kept, describe};
pub use document::{document, leaving, queries};
pub use facts::{
    CheckFacts, ColumnFacts, ColumnStatistics, DatabaseFacts, JointStatistics, KeyFacts, LeftOut,
    ReferenceFacts, Remark, TableFacts, TypeKind,
};
pub use mix::{MadeTransaction, Mix, RefusedStatement, Traffic, beginning, mix, sorted_out};
pub use statement::{MadeStatement, StatementFacts, as_text, refusal, without_values};
