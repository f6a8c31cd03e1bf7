//! From documents to indexes.

use std::path::Path;

use crate::diagnostic::Mistakes;
use crate::workload::Workload;

/// Reads the folder and checks everything that can be checked without a server. All mistakes come back at once.
pub fn load(folder: &Path) -> Result<Workload, Mistakes> {
    let _ = folder;
    todo!("helper: workload")
}
