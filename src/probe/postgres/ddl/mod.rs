//! A session that changes the schema, and everything that is looked at around it: its locks from a second connection, the files
//! behind the relations, what it leaves behind, and whether the server may be touched at all. PostgreSQL 14 to 18.

mod left;
mod safety;
mod schema;
mod session;
mod watch;

pub use left::{Left, Unfinished};
pub use safety::{Company, company};
pub use schema::{Changes, Relation, Schema};
pub use session::{DdlSession, Looked, OwnLocks, OwnScans};
pub use watch::{SeenLock, SeenLocks, Watch};
