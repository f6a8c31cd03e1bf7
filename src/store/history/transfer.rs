//! Runs on their way from one store to another: one JSON object a line, in which nothing is lost.

use serde::{Deserialize, Serialize};

use super::record::{RunRecord, Unfit};

/// Version of the form. A reader takes its own and refuses others.
pub const EXPORT_VERSION: u32 = 1;

/// Why a run cannot be written to an export, or a line of one cannot be read. Who knows file and line says them.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// Something else.
    #[error("not a run from `dbdyno runs export`: {source}")]
    NotARun {
        /// What is wrong, with the column.
        source: serde_json::Error,
    },
    /// A form that this program does not know.
    #[error(
        "exported by another dbdyno: the form has version {found}, this program reads {EXPORT_VERSION} (use that dbdyno)"
    )]
    Version {
        /// What the line says.
        found: u32,
    },
    /// No store can hold it.
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

/// A line, as it is written.
#[derive(Serialize)]
struct Exported<'a> {
    dbdyno_export: u32,
    run: &'a RunRecord,
}

/// A line, as it is read.
#[derive(Deserialize)]
struct Imported {
    run: RunRecord,
}

/// What every version has.
#[derive(Deserialize)]
struct Head {
    dbdyno_export: u32,
}

/// A run as one line, without the line feed: `{"dbdyno_export":1,"run":{…}}`, histograms in base64, the report as a text, since
/// not a byte of it may change.
pub fn export(run: &RunRecord) -> Result<String, TransferError> {
    run.check()?;
    serde_json::to_string(&Exported { dbdyno_export: EXPORT_VERSION, run })
        .map_err(|source| TransferError::NotARun { source })
}

/// The run of one line.
pub fn import(line: &str) -> Result<RunRecord, TransferError> {
    let not_a_run = |source| TransferError::NotARun { source };
    // First, since the rest means nothing in another version.
    let head: Head = serde_json::from_str(line).map_err(not_a_run)?;
    if head.dbdyno_export != EXPORT_VERSION {
        return Err(TransferError::Version { found: head.dbdyno_export });
    }
    let imported: Imported = serde_json::from_str(line).map_err(not_a_run)?;
    imported.run.check()?;
    Ok(imported.run)
}

/// Bytes as base64 in JSON.
pub(super) mod base64_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    #[allow(clippy::ptr_arg, reason = "serde passes the field")]
    pub fn serialize<S: Serializer>(bytes: &Vec<u8>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(|error| de::Error::custom(format!("not base64: {error}")))
    }
}
