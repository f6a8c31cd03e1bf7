//! A workload of a unit test's own.

use tempfile::TempDir;

use crate::workload::{Workload, load};

/// A workload of these three files, which must be right as far as it can be told without a server, and its folder.
pub(super) fn workload(document: &str, schema: &str, queries: &str) -> (TempDir, Workload) {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    for (name, text) in [("workload.toml", document), ("schema.sql", schema), ("queries.sql", queries)] {
        std::fs::write(folder.path().join(name), text).expect("the folder can be written");
    }
    let workload = load(folder.path()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    (folder, workload)
}
