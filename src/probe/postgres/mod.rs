//! Views of PostgreSQL.
