//! Statements of another version of the application: which of them the server takes, before the migration and behind it.

use std::collections::BTreeMap;

use crate::probe::ddl::DdlSession;
use crate::record::migration::{AlsoPreparedRecord, DdlError};
use crate::sql::named::Place;
use crate::workload::{Statement, Workload};

/// Statements that are prepared and never executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OldStatements {
    /// The folder of their workload, as the user named it.
    pub folder: String,
    /// By name.
    pub statements: BTreeMap<String, OldStatement>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldStatement {
    /// Its text with numbered parameters.
    pub sql: String,
    /// Where these stand.
    pub places: Vec<Place>,
}

impl OldStatements {
    /// All statements of a workload.
    #[must_use]
    pub fn of(folder: String, workload: &Workload) -> Self {
        let text = |of: &Statement| OldStatement { sql: of.sql.clone(), places: of.places.clone() };
        let all = workload.statements.iter().map(|of| (of.name.clone(), text(of)));
        Self { folder, statements: all.collect() }
    }

    /// Those that the server refuses now.
    pub(super) async fn refused(&self, session: &DdlSession) -> BTreeMap<String, DdlError> {
        let mut refused = BTreeMap::new();
        for (name, OldStatement { sql, places }) in &self.statements {
            if let Err(error) = session.prepare(sql, places).await {
                refused.insert(name.clone(), error);
            }
        }
        refused
    }

    /// What the migration did to them.
    pub(super) fn broken(
        &self,
        before: &BTreeMap<String, DdlError>,
        after: BTreeMap<String, DdlError>,
    ) -> AlsoPreparedRecord {
        AlsoPreparedRecord {
            folder: self.folder.clone(),
            statements: (self.statements.len() - before.len()) as u64,
            broken: after.into_iter().filter(|(name, _)| !before.contains_key(name)).collect(),
            broken_before: before.keys().cloned().collect(),
        }
    }
}
