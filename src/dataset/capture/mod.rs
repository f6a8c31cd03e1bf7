//! From what was read of a database to a workload that behaves like it, without a row of it: a generator for each column, a source
//! for each parameter, weights for each transaction. Pure: reading is done in `dataset::postgres::capture`.

mod column;
mod compare;
mod describe;
mod document;
mod exclusive;
mod facts;
mod fan_out;
mod joint;
mod keys;
mod load;
mod mix;
mod numbers;
mod predicate;
mod query;
mod redact;
mod source;
mod statement;
mod typed;

pub use column::{Description, Leaves};
pub use compare::{ColumnDistance, compare};
pub use describe::{Described, DescribedColumn, DescribedTable, Kept, describe};
pub use document::{document, leaving, queries};
pub use facts::{
    CheckFacts, ColumnFacts, ColumnStatistics, DatabaseFacts, Excludes, JointStatistics, KeyFacts, LeftOut,
    ReferenceFacts, Remark, TableFacts, TypeKind,
};
pub use load::{SeenLoad, SessionSample};
pub use mix::{
    MadeStep, MadeTransaction, Mix, RefusedStatement, Traffic, TransactionParameter, beginning, mix,
    sorted_out,
};
pub use numbers::{ColumnNumbers, SourceStatistics, TableNumbers, statistics};
pub use source::DrawnFrom;
pub use statement::{
    KeyColumn, MadeParameter, MadeStatement, Means, ReturnedRow, StatementFacts, refusal, without_values,
};
pub use typed::{Refused, Typed};
