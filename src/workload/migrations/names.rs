//! What file names of migrations mean to the tools that read them.

use std::cmp::Ordering;

use super::callbacks::Moment;

/// Whose habits a folder of migrations follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Nobody's: files in the order of their names, statement by statement, as `psql -f` runs them.
    Plain,
    /// `sqlx migrate run`: `N_name.sql`, or `N_name.up.sql` beside `N_name.down.sql`; a transaction for each file, unless it begins
    /// with `-- no-transaction`.
    Sqlx,
    /// `flyway migrate`: `V1_2__name.sql`, and behind all of these the repeatable `R__name.sql` in the order of their names; a transaction
    /// for each file, unless its statements cannot stand in one, or a `….sql.conf` beside it says `executeInTransaction=false`.
    Flyway,
    /// refinery: `V1__name.sql`; a transaction for each file.
    Refinery,
    /// `dbmate up`: `N_name.sql` with `-- migrate:up` and `-- migrate:down`; a transaction for each file, unless it says
    /// `transaction:false`.
    Dbmate,
}

impl Tool {
    /// As commands and reports name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Sqlx => "sqlx",
            Self::Flyway => "flyway",
            Self::Refinery => "refinery",
            Self::Dbmate => "dbmate",
        }
    }
}

/// What a file name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FileName<'a> {
    /// To be applied.
    Up { version: &'a str, name: &'a str },
    /// To be applied behind all versions, each time that it has changed.
    Repeatable { name: &'a str },
    /// A script that Flyway runs around the migrations; no moment where it is one that does not come here.
    Callback { moment: Option<Moment>, name: &'a str },
    /// The way back, or something that is not a step of the schema: left out.
    Other,
    /// Nothing that the tool knows.
    Unknown,
}

/// Reads the name of a `.sql` file as the tool does.
pub(super) fn read(tool: Tool, file: &str) -> FileName<'_> {
    let Some(stem) = file.strip_suffix(".sql") else { return FileName::Other };
    match tool {
        // What takes a step back is none, whoever's habit that is.
        Tool::Plain if stem.strip_suffix(".down").is_some() => FileName::Other,
        Tool::Plain => FileName::Up { version: stem, name: "" },
        Tool::Sqlx => {
            if stem.strip_suffix(".down").is_some() {
                return FileName::Other;
            }
            numbered(stem.strip_suffix(".up").unwrap_or(stem))
        }
        Tool::Dbmate => numbered(stem),
        Tool::Flyway => match (repeatable(stem), stem.as_bytes().first()) {
            (Some(name), _) => FileName::Repeatable { name },
            // Undo and baseline scripts are not a part of `migrate`.
            (None, Some(b'U' | b'B')) if stem[1..].contains("__") => FileName::Other,
            _ => callback(stem).unwrap_or_else(|| versioned(stem, 'V')),
        },
        Tool::Refinery => match versioned(stem, 'V') {
            FileName::Unknown => versioned(stem, 'U'),
            known => known,
        },
    }
}

/// Reads the name of a `.sql` file as the tool does when it takes a migration back.
pub(super) fn read_down(tool: Tool, file: &str) -> FileName<'_> {
    let Some(stem) = file.strip_suffix(".sql") else { return FileName::Other };
    match (tool, stem.strip_suffix(".down")) {
        (Tool::Plain, Some(version)) => FileName::Up { version, name: "" },
        (Tool::Sqlx, Some(stem)) => numbered(stem),
        // Both ways stand in one file.
        (Tool::Dbmate, _) => numbered(stem),
        (Tool::Flyway, _) if stem.starts_with('U') => versioned(stem, 'U'),
        _ => FileName::Other,
    }
}

/// `R__name`
fn repeatable(stem: &str) -> Option<&str> {
    stem.strip_prefix("R__").filter(|name| !name.is_empty())
}

/// Whether a migration is one that no version takes back: Flyway undoes versions only.
pub(super) fn is_repeatable(tool: Tool, version: &str) -> bool {
    tool == Tool::Flyway && repeatable(version).is_some()
}

/// `beforeMigrate`, `afterEachMigrate__grants`
fn callback(stem: &str) -> Option<FileName<'_>> {
    let (event, name) = stem.split_once("__").unwrap_or((stem, ""));
    let behind = ["before", "after"].iter().find_map(|when| event.strip_prefix(when));
    let is_one = behind.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase()))
        || event == "createSchema";
    is_one.then(|| FileName::Callback { moment: Moment::of(event), name })
}

/// `N_name`
fn numbered(stem: &str) -> FileName<'_> {
    match stem.split_once('_') {
        Some((version, name)) if is_number(version) => FileName::Up { version, name },
        _ => FileName::Unknown,
    }
}

/// `V1_2__name`, `V1.2__name`
fn versioned(stem: &str, prefix: char) -> FileName<'_> {
    let parts = stem.strip_prefix(prefix).and_then(|rest| rest.split_once("__"));
    match parts {
        Some((version, name)) if version.split(['.', '_']).all(is_number) => FileName::Up { version, name },
        _ => FileName::Unknown,
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whose names these are; `has_marks` says whether a file holds `-- migrate:up`. The most telling habit wins.
pub(super) fn guess(files: &[&str], has_marks: bool) -> Tool {
    let all = |tool| {
        let is_step = |name: &FileName<'_>| !matches!(name, FileName::Other | FileName::Callback { .. });
        let mut ups = files.iter().map(|file| read(tool, file)).filter(is_step).peekable();
        ups.peek().is_some() && ups.all(|name| name != FileName::Unknown)
    };
    if has_marks {
        Tool::Dbmate
    } else if all(Tool::Flyway) {
        Tool::Flyway
    } else if all(Tool::Sqlx) {
        Tool::Sqlx
    } else {
        Tool::Plain
    }
}

/// Versions by their numbers, `1.10` behind `1.9`; what is no number by its text.
pub(super) fn order(a: &str, b: &str) -> Ordering {
    match (parts(a), parts(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.cmp(b),
    }
}

/// Whether both are one version: `1_2` is `1.2`, `007` is `7`. A plain file may be named by the number that it begins with.
pub(super) fn is_same_version(of_file: &str, given: &str) -> bool {
    let leading =
        |text: &str| text.split_once('_').map(|(number, _)| number.to_owned()).filter(|n| is_number(n));
    of_file == given
        || parts(of_file).is_some_and(|version| parts(given) == Some(version))
        || leading(of_file).is_some_and(|number| parts(&number) == parts(given))
}

/// The numbers of a version, without zeros at its end (`1.0` is `1`); longer ones than any number type are compared by their digits.
fn parts(version: &str) -> Option<Vec<(usize, String)>> {
    let mut parts = Vec::new();
    for part in version.split(['.', '_']) {
        if !is_number(part) {
            return None;
        }
        let digits = part.trim_start_matches('0').to_owned();
        parts.push((digits.len(), digits));
    }
    while parts.len() > 1 && parts.last().is_some_and(|(length, _)| *length == 0) {
        parts.pop();
    }
    Some(parts)
}
