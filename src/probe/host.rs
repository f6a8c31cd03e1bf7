//! The host that the generator runs on, from /proc.
