//! The bytes between us and the server.
