//! Splits a script into its statements.
