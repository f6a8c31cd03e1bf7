//! The indexes that are put to the test, as far as they are known before anything is measured.

use std::sync::Arc;

use crate::dataset::index::{self as server, Explained, Foreseen};
use crate::engine;
use crate::record::index::{IndexForeignKey, IndexSubject};
use crate::sql::index::mentions;
use crate::sql::values::Frame;
use crate::units::Dialect;
use crate::workload::Workload;

use super::{IndexAsk, IndexPlan, only_writers};
use crate::study::measure::Ground;
use crate::study::{Happening, Observer, StudyError};

/// Suggestions that are measured, the best first: each takes a slice of each round.
const SUGGESTED_MAX: usize = 5;

/// Indexes, and what the statements touch.
pub(super) struct Subjects {
    /// Those that are put to the test.
    pub(super) found: Vec<Foreseen>,
    /// Why each is looked at, where dbdyno suggests them.
    whys: Vec<String>,
    /// Tables that each statement touches, by its id; absent where the server does not say.
    pub(super) touches: Vec<Option<Vec<String>>>,
}

impl Subjects {
    /// Looks at each index, and builds it on trial.
    pub(super) async fn examine(
        plan: &IndexPlan,
        ground: &Ground<'_>,
        observer: &mut Observer<'_>,
    ) -> Result<Self, StudyError> {
        let control = &ground.target.control;
        let workload = &plan.measure.workload;
        observer(Happening::Step("asking for the plans of the statements"));
        let explained = server::explained(control, workload, &values(plan, ground)).await?;
        let (mut found, mut whys) = (Vec::new(), Vec::new());
        match &plan.shape.ask {
            IndexAsk::Add(indexes) => {
                for (number, index) in indexes.iter().enumerate() {
                    observer(Happening::Step(&format!("building {} on trial", index.label())));
                    let known = server::added(control, index, number + 1).await?;
                    found.push(known.map_err(|why| refused("--add", &index.label(), &why))?);
                }
            }
            IndexAsk::Suggest => {
                observer(Happening::Step("trying out what the plans suggest"));
                let suggested = server::suggested(control, workload, &explained, SUGGESTED_MAX).await?;
                for (number, suggestion) in suggested.into_iter().enumerate() {
                    observer(Happening::Note(&format!("{}: {}", suggestion.index.label(), suggestion.why)));
                    let known = server::added(control, &suggestion.index, number + 1).await?;
                    found.push(known.map_err(|why| refused("--suggest", &suggestion.index.label(), &why))?);
                    whys.push(suggestion.why);
                }
                if found.is_empty() {
                    return Err(StudyError::Refused(
                        "--suggest: the planner would use no other index for any statement of this mix, so there is nothing to \
                         measure"
                            .to_owned(),
                    ));
                }
            }
            IndexAsk::Drop(names) => found = dropped("--drop", names, ground, observer).await?,
            IndexAsk::DropUnused => {
                let names = unused(workload, &explained, ground).await?;
                found = dropped("--drop-unused", &names, ground, observer).await?;
            }
        }
        refuse_twice(&found)?;
        for note in found.iter().flat_map(|index| &index.notes) {
            observer(Happening::Note(note));
        }
        for (index, twin) in found.iter().filter_map(|index| Some((index, index.twin.as_ref()?))) {
            observer(Happening::Note(&format!(
                "{}: {twin} is made alike and answers the same searches; what both cost is measured all the same",
                index.label
            )));
        }
        let touches = touches(workload, &explained, &found, control.dialect());
        Ok(Self { found, whys, touches })
    }

    /// What people call them.
    pub(super) fn labels(&self) -> Vec<String> {
        self.found.iter().map(|index| index.label.clone()).collect()
    }

    /// Their tables, as commands take their names, each once.
    pub(super) fn tables(&self) -> Vec<String> {
        let mut tables: Vec<String> = self.found.iter().map(|index| index.table_quoted.clone()).collect();
        tables.sort_unstable();
        tables.dedup();
        tables
    }

    /// Which of them the server does not let go.
    pub(super) fn required(&self) -> Vec<bool> {
        self.found.iter().map(|index| index.required.is_some()).collect()
    }

    /// The workload with only those transactions that write to one of their tables.
    pub(super) fn writes(&self, workload: &Workload) -> Option<Workload> {
        only_writers(workload, |id| {
            let touched = self.touches.get(id).and_then(Option::as_ref);
            touched.is_none_or(|tables| self.found.iter().any(|index| tables.contains(&index.table)))
        })
    }

    /// As the journal has them.
    pub(super) fn headers(&self) -> Vec<IndexSubject> {
        let why = |place: usize| self.whys.get(place).cloned();
        let with_why = |(place, index)| IndexSubject { why: why(place), ..header(index) };
        self.found.iter().enumerate().map(with_why).collect()
    }
}

fn header(index: &Foreseen) -> IndexSubject {
    IndexSubject {
        label: index.label.clone(),
        name: index.name.clone(),
        definition: index.definition.clone(),
        table: index.table.clone(),
        rows: index.rows,
        table_bytes: index.table_bytes,
        fillfactor: index.fillfactor,
        build_us: index.build_us,
        size_bytes: index.size_bytes,
        size_by: index.size_by.clone(),
        blocks: index.blocks.clone(),
        production: index.production.clone(),
        caveats: index.caveats.clone(),
        scans_before: index.scans_before,
        foreign_keys: index
            .foreign_keys
            .iter()
            .map(|key| IndexForeignKey {
                name: key.name.clone(),
                parent: key.parent.clone(),
                on_delete: key.on_delete.clone(),
                changes_on_update: key.changes_on_update,
                other_index: key.other_index.clone(),
            })
            .collect(),
        twin: index.twin.clone(),
        covered_by: index.covered_by.clone(),
        covers: index.covers.clone(),
        required: index.required.clone(),
        why: None,
    }
}

/// Values as the workload draws them, for each statement.
fn values(plan: &IndexPlan, ground: &Ground<'_>) -> Vec<Vec<Frame>> {
    let shared = Arc::new(plan.measure.workload.clone());
    let (dataset, query_values) = (&ground.data.dataset, &ground.data.query_values);
    let sampled = engine::sample_values(&shared, dataset, query_values, plan.measure.seed);
    sampled.into_iter().map(|of| of.into_iter().map(|values| values.frame).collect()).collect()
}

async fn dropped(
    flag: &str,
    names: &[String],
    ground: &Ground<'_>,
    observer: &mut Observer<'_>,
) -> Result<Vec<Foreseen>, StudyError> {
    let mut found = Vec::new();
    for name in names {
        observer(Happening::Step(&format!("building {name} on trial")));
        let known = server::dropped(&ground.target.control, name, names).await?;
        found.push(known.map_err(|why| refused(flag, name, &why))?);
    }
    Ok(found)
}

/// Indexes of the workload's tables that no plan of it uses.
async fn unused(
    workload: &Workload,
    explained: &[Option<Explained>],
    ground: &Ground<'_>,
) -> Result<Vec<String>, StudyError> {
    let has_plan = |of: &Option<Explained>| of.as_ref().is_some_and(|of| of.indexes.is_some());
    if let Some(place) = explained.iter().position(|of| !has_plan(of)) {
        return Err(StudyError::Refused(format!(
            "--drop-unused goes by the server's plans, and it makes none for `{}`: name the indexes with --drop",
            workload.statements[place].tag
        )));
    }
    let known = || explained.iter().flatten();
    let mut tables: Vec<String> = known().flat_map(|of| of.tables.iter().cloned()).collect();
    tables.sort_unstable();
    tables.dedup();
    let used: Vec<String> = known().flat_map(|of| of.indexes.iter().flatten().cloned()).collect();
    let names = server::unused(&ground.target.control, &tables, &used).await?;
    if names.is_empty() {
        return Err(StudyError::Refused(format!(
            "--drop-unused: every index of {} is used by a statement or needed by a constraint",
            tables.join(", ")
        )));
    }
    Ok(names)
}

fn refuse_twice(found: &[Foreseen]) -> Result<(), StudyError> {
    for (place, index) in found.iter().enumerate() {
        if found[..place].iter().any(|other| other.name == index.name) {
            return Err(StudyError::Refused(format!("{} is named twice", index.label)));
        }
    }
    Ok(())
}

fn refused(flag: &str, index: &str, why: &str) -> StudyError {
    StudyError::Refused(format!("{flag} {index}: {why}"))
}

/// Tables of each statement: by its plan, and by its words where a plan names the partitions of a table only.
fn touches(
    workload: &Workload,
    explained: &[Option<Explained>],
    found: &[Foreseen],
    dialect: Dialect,
) -> Vec<Option<Vec<String>>> {
    let of = |(statement, explained): (&crate::workload::Statement, &Option<Explained>)| {
        let is_mentioned = |table: &&String| mentions(&statement.sql, table, dialect);
        let mentioned: Vec<&String> = found.iter().map(|index| &index.table).filter(is_mentioned).collect();
        let mut tables: Vec<String> = match explained {
            Some(explained) => explained.tables.iter().cloned().collect(),
            None => Vec::new(),
        };
        tables.extend(mentioned.into_iter().cloned());
        tables.sort_unstable();
        tables.dedup();
        // A function may do anything.
        (explained.is_some() || !tables.is_empty()).then_some(tables)
    };
    workload.statements.iter().zip(explained).map(of).collect()
}
