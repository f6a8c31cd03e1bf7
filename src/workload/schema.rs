//! JSON schema of `workload.toml`.
