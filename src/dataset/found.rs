//! What a load finds in its place: all of it already, or what stands in its way. Knows no server.

use super::event::{DatasetError, Existing, LoadOptions};
use super::fit::described;
use super::mark::{Mark, MarkState};
use super::script::Script;
use crate::workload::Workload;

/// What is there of the tables that a load makes and fills.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Whether an earlier load made any of them.
    pub(super) has_own: bool,
    /// Those that are not there.
    pub(super) gone: Vec<String>,
    /// Those that are there and that dbdyno did not make.
    pub(super) foreign: Vec<String>,
}

/// The tables that a load makes and fills, by the names that the schema and the document give them.
pub(super) fn tables<'a>(script: &'a Script, workload: &'a Workload) -> Vec<&'a str> {
    let mut names: Vec<&str> = script.tables.iter().map(String::as_str).collect();
    for (_, table) in described(workload) {
        if !names.contains(&table.name.as_str()) {
            names.push(&table.name);
        }
    }
    names
}

impl Found {
    /// Whether `database` holds all that is to be loaded. An error where it holds something else that the options do not give
    /// up. `mark` is that of an earlier load, if there was one.
    pub(super) fn is_loaded(
        &self,
        mark: Option<&Mark>,
        workload: &Workload,
        options: &LoadOptions,
        database: &str,
    ) -> Result<bool, DatasetError> {
        if options.existing == Existing::Replace {
            return Ok(false);
        }
        let database = database.to_owned();
        if !self.foreign.is_empty() {
            return Err(DatasetError::Occupied { tables: self.foreign.clone(), database });
        }
        let Some(mark) = mark.filter(|mark| self.has_own && mark.state == MarkState::Loaded) else {
            return Ok(false);
        };
        let mut differences = mark.differences_at(workload, options.scale, options.seed);
        differences.extend(self.gone.iter().map(|name| format!("table {name} is gone")));
        if differences.is_empty() {
            return Ok(true);
        }
        let (held, differences) = (mark.to_string(), differences.join("; "));
        Err(DatasetError::Loaded { held, differences, database })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::fixture::workload;
    use crate::units::{Dialect, Seed};

    const DOCUMENT: &str = r#"
        name = "small"
        [table.parents]
        rows = 10
        column = { id = { sequence = {} } }
        [table."app.others"]
        rows = 10
        column = { id = { sequence = {} } }
        [[transaction]]
        name = "read"
        statements = ["all"]
    "#;
    const SCHEMA: &str = "CREATE TABLE parents (id int); CREATE TABLE notes (id int);";
    const QUERIES: &str = "-- name: all :many\nSELECT id FROM parents;\n";

    fn asked(existing: Existing) -> LoadOptions {
        LoadOptions { scale: 1.0, seed: Seed(42), jobs: 1, existing }
    }

    #[test]
    fn tables_are_those_of_the_schema_and_of_the_document_each_once() {
        let (_folder, workload) = workload(DOCUMENT, SCHEMA, QUERIES);
        let script = Script::read(SCHEMA, Dialect::Postgresql);
        assert_eq!(tables(&script, &workload), ["parents", "notes", "app.others"]);
    }

    #[test]
    fn what_is_loaded_already_is_known_and_what_is_not_is_named() {
        let (_folder, workload) = workload(DOCUMENT, SCHEMA, QUERIES);
        let loaded = Mark { state: MarkState::Loaded, ..Mark::begun(&workload, 1.0, Seed(42)) };
        let here = |gone: &[&str]| Found {
            has_own: true,
            gone: gone.iter().map(|name| (*name).to_owned()).collect(),
            foreign: vec![],
        };
        let of = |found: Found, mark: &Mark, existing| {
            found.is_loaded(Some(mark), &workload, &asked(existing), "app").map_err(|error| error.to_string())
        };
        assert_eq!(of(here(&[]), &loaded, Existing::Refuse), Ok(true));
        assert_eq!(of(here(&[]), &loaded, Existing::Replace), Ok(false), "it was told to");
        let half = Mark { state: MarkState::Loading, ..loaded.clone() };
        assert_eq!(of(here(&[]), &half, Existing::Refuse), Ok(false), "its remains are dbdyno's own");
        assert_eq!(of(Found::default(), &loaded, Existing::Refuse), Ok(false), "all of it is gone");
        assert_eq!(
            Found::default().is_loaded(None, &workload, &asked(Existing::Refuse), "app").ok(),
            Some(false),
            "nothing was ever there"
        );
        let other = Mark { scale: 2.0, ..loaded.clone() };
        let refused = of(here(&["parents", "notes"]), &other, Existing::Refuse).expect_err("it is another");
        assert_eq!(
            refused,
            "`app` holds workload small at scale 2 with seed 42 (asked for is scale 1; table parents is gone; table notes \
             is gone); to load it anew give --replace, which drops what it holds"
        );
    }

    #[test]
    fn tables_of_others_are_given_up_only_when_told() {
        let (_folder, workload) = workload(DOCUMENT, SCHEMA, QUERIES);
        let found = || Found { foreign: vec!["parents".to_owned()], ..Found::default() };
        let refused = found().is_loaded(None, &workload, &asked(Existing::Refuse), "app");
        let is_named = |tables: &[String], database: &str| tables == ["parents"] && database == "app";
        assert!(
            matches!(refused, Err(DatasetError::Occupied { ref tables, ref database }) if is_named(tables, database)),
            "{refused:?}"
        );
        assert!(found().is_loaded(None, &workload, &asked(Existing::Replace), "app").is_ok_and(|all| !all));
    }
}
