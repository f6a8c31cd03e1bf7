//! The way back: for each migration what its tool would run to take it back, the last one first.

use std::path::Path;

use crate::diagnostic::{Mistake, Mistakes};

use super::files::{self, Way};
use super::names;
use super::{Migration, Migrations, Tool};

/// Reads what takes these migrations back, or says for which of them that is missing.
pub fn load_down(up: &Migrations) -> Result<Migrations, Mistakes> {
    let mut mistakes = Mistakes::default();
    if up.tool == Tool::Refinery {
        mistakes.push(placeless(
            "refinery knows no way back".to_owned(),
            "leave out --down, or name the tool whose habits the files follow with --tool".to_owned(),
        ));
        return Err(mistakes);
    }
    let mut all = files::read(&up.folder, Some(up.tool), up.dialect, Way::Down)?.migrations;
    let mut migrations: Vec<Migration> = Vec::with_capacity(up.migrations.len());
    let is_version = |of: &&Migration| of.moment.is_none() && !names::is_repeatable(up.tool, &of.version);
    for migration in up.migrations.iter().rev().filter(is_version) {
        let is_it = |down: &Migration| match up.tool {
            Tool::Plain => down.version == migration.version,
            _ => names::is_same_version(&down.version, &migration.version),
        };
        match all.iter().position(is_it) {
            Some(at) => migrations.push(all.swap_remove(at)),
            None => mistakes.push(missing(up.tool, migration)),
        }
    }
    if migrations.is_empty() && mistakes.is_empty() {
        mistakes.push(placeless(
            "none of these migrations is ever taken back: all of them are repeatable".to_owned(),
            "leave out --down".to_owned(),
        ));
    }
    if mistakes.is_empty() { Ok(Migrations { migrations, ..up.clone() }) } else { Err(mistakes) }
}

fn missing(tool: Tool, migration: &Migration) -> Mistake {
    let file = name(&migration.path);
    let expected = match tool {
        Tool::Dbmate => "statements behind `-- migrate:down` in it".to_owned(),
        Tool::Flyway => format!("`U{}`", file.trim_start_matches('V')),
        _ => format!("`{}.down.sql`", file.trim_end_matches(".sql").trim_end_matches(".up")),
    };
    placeless(format!("`{file}` has no way back"), format!("--down expects {expected}"))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn placeless(message: String, help: String) -> Mistake {
    Mistake { source: None, span: 0..0, message, label: String::new(), help: Some(help) }
}
