//! Named statements of a `queries.sql`.
