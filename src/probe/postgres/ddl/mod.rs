//! A session that changes the schema, and everything that is looked at around it: its locks from a second connection, the files
//! behind the relations, what it leaves behind, and whether the server may be touched at all. PostgreSQL 14 to 18.

mod digest;
mod left;
mod outside;
mod safety;
mod schema;
mod session;
mod sizes;
mod watch;

pub use digest::Digest;
pub use left::{Left, Unfinished};
pub use outside::{Outside, OutsideLock, OutsideSession};
pub use safety::{Company, company};
pub use schema::{Changes, Relation, Schema};
pub use session::{DdlSession, Looked, OwnLocks, OwnScans};
pub use sizes::{Grown, Sizes};
pub use watch::{SeenLock, SeenLocks, Watch};
