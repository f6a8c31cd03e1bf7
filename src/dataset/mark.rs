//! The mark of what dbdyno loaded into a database: what it says, and in what a workload differs from it. Knows no server.

use std::fmt;

use crate::generate::GENERATOR_VERSION;
use crate::units::Seed;
use crate::workload::Workload;

/// How far a load came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkState {
    /// It is under way, or it was interrupted.
    Loading,
    /// It is complete.
    Loaded,
}

/// What was loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Name of the workload.
    pub workload: String,
    /// [`Workload::data_fingerprint`] of it.
    pub data_fingerprint: String,
    /// Factor of its row counts.
    pub scale: f64,
    /// From which its values follow: whoever computes existing values needs the same.
    pub seed: Seed,
    /// [`GENERATOR_VERSION`] of the dbdyno that loaded it.
    pub generator_version: u32,
    /// How far it came.
    pub state: MarkState,
    /// Rows of all tables; zero until it is complete.
    pub rows: u64,
    /// When it was complete, in microseconds since 1970.
    pub loaded_at_us: Option<i64>,
}

/// What a database holds of a workload.
#[derive(Clone, Debug, PartialEq)]
pub enum Holds {
    /// Its data, complete: compute existing values with the mark's scale and seed.
    This(Mark),
    /// Data that another version of the workload's schema or tables describes, or another version of dbdyno made.
    Other {
        /// What it is.
        mark: Mark,
        /// In what it differs, in words.
        differences: Vec<String>,
    },
    /// The remains of a load that did not come to its end.
    Interrupted(Mark),
    /// Nothing that dbdyno loaded; what is there, if anything, is somebody else's.
    Unmarked,
}

impl Holds {
    /// What a database holds whose mark of the workload is this one.
    pub(super) fn by(mark: Option<Mark>, workload: &Workload) -> Self {
        match mark {
            None => Self::Unmarked,
            Some(mark) if mark.state == MarkState::Loading => Self::Interrupted(mark),
            Some(mark) => {
                let differences = mark.differences(workload);
                if differences.is_empty() { Self::This(mark) } else { Self::Other { mark, differences } }
            }
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "workload {} at scale {} with seed {}", self.workload, self.scale, self.seed)
    }
}

impl Mark {
    /// The mark of a load that begins.
    pub(super) fn begun(workload: &Workload, scale: f64, seed: Seed) -> Self {
        Self {
            workload: workload.name.clone(),
            data_fingerprint: workload.data_fingerprint.clone(),
            scale,
            seed,
            generator_version: GENERATOR_VERSION,
            state: MarkState::Loading,
            rows: 0,
            loaded_at_us: None,
        }
    }

    /// In what the data of a workload differs from what is marked, scale and seed apart.
    pub(super) fn differences(&self, workload: &Workload) -> Vec<String> {
        let mut differences = vec![];
        if self.data_fingerprint != workload.data_fingerprint {
            differences
                .push("schema.sql, finish.sql or the tables of workload.toml were changed since".to_owned());
        }
        if self.generator_version != GENERATOR_VERSION {
            differences.push(format!(
                "its values are of generator version {}, this dbdyno makes version {GENERATOR_VERSION}",
                self.generator_version
            ));
        }
        differences
    }

    /// The same with scale and seed.
    pub(super) fn differences_at(&self, workload: &Workload, scale: f64, seed: Seed) -> Vec<String> {
        let mut differences = self.differences(workload);
        // Both were read from the same form of the number.
        if self.scale.to_bits() != scale.to_bits() {
            differences.push(format!("asked for is scale {scale}"));
        }
        if self.seed != seed {
            differences.push(format!("asked for is seed {seed}"));
        }
        differences
    }
}
