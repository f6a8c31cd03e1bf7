//! SQL as text and values: tokens, named statements, parameters, the tag, and the values that travel with them.
//! Knows no server and no workload.

pub mod columns;
pub mod ddl;
pub mod index;
pub mod lex;
pub mod named;
pub mod quoting;
pub mod safer;
pub mod split;
pub mod statement;
pub mod tag;
pub mod values;
