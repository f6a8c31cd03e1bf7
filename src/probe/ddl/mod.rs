//! A session that changes the schema, and everything that is looked at around it: its locks from a second connection, the files
//! behind the relations, what it leaves behind, and whether the server may be touched at all. Here the engine is matched, once for
//! each question; how each is asked stands in the folder of its engine. What only PostgreSQL can be asked fails elsewhere with a
//! sentence that says so.

mod digest;
mod left;
mod outside;
mod safety;
mod schema;
mod seen;
mod session;
mod sizes;
mod watch;

pub use super::postgres::ddl::OwnScans;
pub use digest::Digest;
pub use left::{Left, Unfinished};
pub use outside::{Outside, OutsideLock, OutsideSession};
pub use safety::{Company, company};
pub use schema::{Changes, Relation, RelationId, Schema};
pub(super) use seen::LockNow;
pub use seen::{SeenLock, SeenLocks};
pub use session::{DdlSession, Looked, OwnLocks, TransactionState};
pub(super) use sizes::Sized;
pub use sizes::{Grown, Sizes};
pub use watch::Watch;
