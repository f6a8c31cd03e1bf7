//! helper: workload
