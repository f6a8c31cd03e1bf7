//! Reads a folder of migrations, and finds what its tool or the server would stumble over.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Mistake, Mistakes};
use crate::sql::lex::{TokenKind, lex_in};
use crate::sql::split::split_in;
use crate::units::Dialect;

use super::callbacks;
use super::names::{self, FileName, Tool};
use super::steps::{self, Control, Unit, UnitKind};
use super::{Migration, MigrationStatement, Migrations};

/// Opens what dbmate applies, and what it takes back.
const MARK_UP: &str = "-- migrate:up";
const MARK_DOWN: &str = "-- migrate:down";
/// First words of a file that sqlx runs without a transaction.
const SQLX_ALONE: &str = "-- no-transaction";
/// Files of one folder; more are a mistake in the path.
const FILES_MAX: usize = 10_000;

/// One file, read.
struct SqlFile {
    name: String,
    path: PathBuf,
    source: usize,
}

/// Which way migrations go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
}

/// How a file is read.
#[derive(Clone, Copy)]
struct Habits {
    tool: Tool,
    dialect: Dialect,
    way: Way,
}

/// Reads the migrations of a folder for PostgreSQL, or says all that is wrong with them.
pub fn load(folder: &Path, tool: Option<Tool>) -> Result<Migrations, Mistakes> {
    load_for(folder, tool, Dialect::Postgresql)
}

/// The same in a dialect. Those of MariaDB and MySQL know no statement that cannot stand in a transaction: most of them end it.
pub fn load_for(folder: &Path, tool: Option<Tool>, dialect: Dialect) -> Result<Migrations, Mistakes> {
    let Read { tool, migrations, callbacks, left_out } = read(folder, tool, dialect, Way::Up)?;
    let notes = callbacks::notes(&callbacks, &left_out);
    let migrations = callbacks::woven(migrations, &callbacks);
    Ok(Migrations { folder: folder.to_owned(), tool, dialect, migrations, notes })
}

/// The files of a folder, read.
pub(super) struct Read {
    pub(super) tool: Tool,
    /// In the order in which they are applied.
    pub(super) migrations: Vec<Migration>,
    /// What is run around them, in the order of the names.
    callbacks: Vec<Migration>,
    /// Scripts for moments that do not come.
    left_out: Vec<String>,
}

/// What goes one way.
pub(super) fn read(folder: &Path, tool: Option<Tool>, dialect: Dialect, way: Way) -> Result<Read, Mistakes> {
    let mut mistakes = Mistakes::default();
    let mut files = read_all(sql_files(folder), &mut mistakes);
    let has_marks = files.iter().any(|file| mark(mistakes.text(file.source), MARK_UP).is_some());
    let mut tool = tool.or_else(|| (!files.is_empty()).then(|| guess(&files, has_marks)));
    // Flyway looks into the folders of a folder as well, the others do not.
    if tool.is_none_or(|tool| tool == Tool::Flyway) && mistakes.is_empty() {
        let nested = read_all(nested_files(folder), &mut mistakes);
        if tool.is_none() && guess(&nested, false) == Tool::Flyway {
            tool = Some(Tool::Flyway);
        }
        files.extend(nested.into_iter().filter(|_| tool.is_some()));
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let tool = tool.unwrap_or(Tool::Plain);
    let (mut migrations, mut repeatable) = (Vec::new(), Vec::new());
    let (mut callbacks, mut left_out) = (Vec::new(), Vec::new());
    let mut places: HashMap<PathBuf, usize> = HashMap::new();
    let habits = Habits { tool, dialect, way };
    for file in &files {
        let name = match way {
            Way::Up => names::read(tool, &file.name),
            Way::Down => names::read_down(tool, &file.name),
        };
        match name {
            FileName::Other => {}
            FileName::Callback { moment: None, .. } => left_out.push(file.name.clone()),
            FileName::Callback { moment, name } => {
                let version = file.name.trim_end_matches(".sql").to_owned();
                let read = migration(habits, file, version, name.replace('_', " "), &mut mistakes);
                callbacks.extend(read.map(|read| Migration { moment, ..read }));
            }
            FileName::Unknown => {
                let message = format!("`{}` is no name of a migration for {}", file.name, tool.as_str());
                let help = format!("{}; or name the tool with --tool", expected(tool));
                mistakes.at(file.source, 0..0, message, "this file would never be applied", Some(help));
            }
            FileName::Up { version: given, name } => {
                let (version, name) = (given.replace('_', "."), name.replace('_', " "));
                let version = if tool == Tool::Plain { given.to_owned() } else { version };
                places.insert(file.path.clone(), file.source);
                migrations.extend(migration(habits, file, version, name, &mut mistakes));
            }
            FileName::Repeatable { name: given } => {
                let (version, name) = (format!("R__{given}"), given.replace('_', " "));
                repeatable.extend(migration(habits, file, version, name, &mut mistakes));
            }
        }
    }
    migrations.sort_by(|a: &Migration, b: &Migration| {
        if tool == Tool::Plain { a.path.cmp(&b.path) } else { names::order(&a.version, &b.version) }
    });
    for two in migrations.windows(2) {
        if tool != Tool::Plain && names::is_same_version(&two[0].version, &two[1].version) {
            let message = format!("version {} is there twice", two[1].version);
            let label = format!("the other is `{}`", two[0].path.display());
            mistakes.at(
                places[&two[1].path],
                0..0,
                message,
                label,
                Some("give one of them another version".to_owned()),
            );
        }
    }
    // "Always applied last … in the order of their description" (Flyway's documentation, "Repeatable migrations").
    repeatable.sort_by(|a: &Migration, b: &Migration| a.name.cmp(&b.name));
    migrations.extend(repeatable);
    callbacks.sort_by(|a: &Migration, b: &Migration| a.version.cmp(&b.version));
    if migrations.is_empty() && mistakes.is_empty() && way == Way::Up {
        mistakes.push(placeless(
            format!("`{}` holds no migration", folder.display()),
            format!(
                "{}, `N_name.sql`, `N_name.up.sql`, or any `.sql` files in the order of their names",
                expected(Tool::Refinery)
            ),
        ));
    }
    mistakes.sort();
    if mistakes.is_empty() { Ok(Read { tool, migrations, callbacks, left_out }) } else { Err(mistakes) }
}

fn expected(tool: Tool) -> String {
    match tool {
        Tool::Plain => "any name that ends in `.sql`",
        Tool::Sqlx | Tool::Dbmate => "write `20261126093000_add_note.sql`",
        Tool::Flyway => {
            "write `V1__add_note.sql`, or `R__views.sql` for what is applied again whenever it changes"
        }
        Tool::Refinery => "write `V1__add_note.sql`",
    }
    .to_owned()
}

fn placeless(message: String, help: String) -> Mistake {
    Mistake { source: None, span: 0..0, message, label: String::new(), help: Some(help) }
}

fn guess(files: &[SqlFile], has_marks: bool) -> Tool {
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    names::guess(&names, has_marks)
}

/// A folder, or a file, that cannot be read.
type Unreadable = (PathBuf, std::io::Error);

/// Every `.sql` file of the folder itself, in the order of the names.
fn sql_files(folder: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let is_sql = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "sql");
    let entries = std::fs::read_dir(folder).map_err(|error| (folder.to_owned(), error))?;
    let mut paths: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_sql).collect();
    paths.sort();
    Ok(paths)
}

/// Those of all folders in it, whatever their depth.
fn nested_files(folder: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let folders = |folder: &Path| -> Result<Vec<PathBuf>, Unreadable> {
        let entries = std::fs::read_dir(folder).map_err(|error| (folder.to_owned(), error))?;
        // What is a link is not followed: it may lead back here.
        let is_folder = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        Ok(entries.filter_map(Result::ok).filter(is_folder).map(|entry| entry.path()).collect())
    };
    let mut paths = Vec::new();
    let mut waiting = folders(folder)?;
    while let Some(next) = waiting.pop()
        && paths.len() <= FILES_MAX
    {
        paths.extend(sql_files(&next)?);
        waiting.extend(folders(&next)?);
    }
    paths.sort();
    Ok(paths)
}

fn read_all(paths: Result<Vec<PathBuf>, Unreadable>, mistakes: &mut Mistakes) -> Vec<SqlFile> {
    let unreadable = |path: &Path, error: &std::io::Error| {
        placeless(
            format!("cannot read `{}`: {error}", path.display()),
            "--migrations names a folder of SQL files".to_owned(),
        )
    };
    let paths = match paths {
        Ok(paths) => paths,
        Err((path, error)) => {
            mistakes.push(unreadable(&path, &error));
            return Vec::new();
        }
    };
    if paths.len() > FILES_MAX {
        mistakes.push(placeless(
            format!("there are {} SQL files", paths.len()),
            format!("at most {FILES_MAX} are read: name the folder of the migrations"),
        ));
        return Vec::new();
    }
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let source = mistakes.add_source(path.clone(), text);
                files.push(SqlFile { name, path, source });
            }
            Err(error) => mistakes.push(unreadable(&path, &error)),
        }
    }
    files
}

/// The line that begins with a mark of dbmate, in bytes.
fn mark(text: &str, mark: &str) -> Option<Range<usize>> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with(mark) {
            return Some(at..at + line.trim_end().len());
        }
        at += line.len();
    }
    None
}

/// What a file has of its tool: the part that is applied, and whether that is one transaction.
struct Part {
    span: Range<usize>,
    in_transaction: bool,
}

fn part(tool: Tool, file: &SqlFile, text: &str, way: Way, mistakes: &mut Mistakes) -> Option<Part> {
    let whole = 0..text.len();
    match tool {
        Tool::Plain => Some(Part { span: whole, in_transaction: false }),
        Tool::Refinery => Some(Part { span: whole, in_transaction: true }),
        Tool::Sqlx => Some(Part { span: whole, in_transaction: !text.starts_with(SQLX_ALONE) }),
        Tool::Flyway => {
            let conf = file.path.with_extension("sql.conf");
            let says_no = std::fs::read_to_string(conf).is_ok_and(|conf| {
                conf.lines()
                    .any(|line| line.replace(' ', "").eq_ignore_ascii_case("executeInTransaction=false"))
            });
            Some(Part { span: whole, in_transaction: !says_no })
        }
        Tool::Dbmate if way == Way::Down => {
            // Whether one is wanted is for whoever asks for it.
            let down = mark(text, MARK_DOWN)?;
            let in_transaction = !text[down.clone()].contains("transaction:false");
            Some(Part { span: down.end..text.len(), in_transaction })
        }
        Tool::Dbmate => {
            let Some(up) = mark(text, MARK_UP) else {
                let message = format!("`{}` has no line `{MARK_UP}`", file.name);
                mistakes.at(file.source, 0..0, message, "dbmate would apply nothing of it", None);
                return None;
            };
            let down = mark(text, MARK_DOWN).map_or(text.len(), |down| down.start);
            if down < up.start {
                let message = format!("`{MARK_DOWN}` stands before `{MARK_UP}`");
                mistakes.at(file.source, up, message, "expected before the way back", None);
                return None;
            }
            let in_transaction = !text[up.clone()].contains("transaction:false");
            Some(Part { span: up.end..down, in_transaction })
        }
    }
}

fn migration(
    habits: Habits,
    file: &SqlFile,
    version: String,
    name: String,
    mistakes: &mut Mistakes,
) -> Option<Migration> {
    let Habits { tool, dialect, way } = habits;
    let text = mistakes.text(file.source).to_owned();
    let Part { span, mut in_transaction } = part(tool, file, &text, way, mistakes)?;
    let before = mistakes.items().len();
    unreadable_tokens(&text, &span, dialect, file.source, mistakes);
    if mistakes.items().len() > before {
        return None;
    }
    let first_line = text[..span.start].matches('\n').count();
    let body = &text[span.clone()];
    let statements: Vec<MigrationStatement> = split_in(body, dialect)
        .into_iter()
        .map(|piece| MigrationStatement {
            sql: piece.text(body).to_owned(),
            line: first_line + piece.line,
            span: span.start + piece.span.start..span.start + piece.span.end,
            alone: dialect == Dialect::Postgresql && steps::is_alone(piece.text(body)),
        })
        .collect();
    if statements.is_empty() && way == Way::Down {
        return None;
    }
    if statements.is_empty() {
        let message = format!("`{}` holds no statement", file.name);
        mistakes.at(file.source, 0..0, message, "nothing to apply", None);
        return None;
    }
    let alone = statements.iter().filter(|statement| statement.alone).count();
    if tool == Tool::Flyway && alone == statements.len() {
        in_transaction = false;
    }
    check_alone(tool, &statements, in_transaction, file.source, mistakes);
    let (statements, units) = if in_transaction {
        for statement in statements.iter().filter(|statement| steps::control(&statement.sql).is_some()) {
            let begins = steps::control(&statement.sql) == Some(Control::Begin);
            let what = if begins { "it is in one already" } else { "this ends it in the middle of the file" };
            let message = format!("{} puts the whole file into one transaction", tool.as_str());
            mistakes.at(file.source, statement.span.clone(), message, what, opt_out(tool));
        }
        let unit = Unit { kind: UnitKind::Transaction, statements: 0..statements.len() };
        (statements, vec![unit])
    } else {
        match steps::units(statements) {
            Ok(units) => units,
            Err(span) => {
                let message = "this begins or ends a transaction without its other half".to_owned();
                mistakes.at(file.source, span, message, "expected BEGIN … COMMIT in one file", None);
                return None;
            }
        }
    };
    if mistakes.items().len() > before {
        return None;
    }
    let path = file.path.clone();
    Some(Migration { version, moment: None, name, path, in_transaction, statements, units })
}

/// How a file of the tool stays out of a transaction.
fn opt_out(tool: Tool) -> Option<String> {
    let how = match tool {
        Tool::Plain => return None,
        Tool::Sqlx => "begin the file with `-- no-transaction`, and let it hold this statement alone",
        Tool::Flyway => "give it a file of its own, or a `….sql.conf` with executeInTransaction=false",
        Tool::Refinery => "refinery has no way around it: run this statement by other means",
        Tool::Dbmate => "write `-- migrate:up transaction:false`",
    };
    Some(how.to_owned())
}

/// What cannot stand in a transaction, and would.
fn check_alone(
    tool: Tool,
    statements: &[MigrationStatement],
    in_transaction: bool,
    source: usize,
    mistakes: &mut Mistakes,
) {
    // sqlx sends the file as one message, which the server executes as one transaction where it holds several statements.
    let is_one_message = tool == Tool::Sqlx && statements.len() > 1;
    let mut open = false;
    for statement in statements {
        match steps::control(&statement.sql) {
            Some(control) => open = control == Control::Begin,
            None if statement.alone && (in_transaction || is_one_message || open) => {
                let what = words(&statement.sql);
                let message = format!("{what} cannot run inside a transaction");
                let label = if in_transaction {
                    format!("{} opens one for the file", tool.as_str())
                } else if open {
                    "the file opened one before it".to_owned()
                } else {
                    "several statements in one message are one".to_owned()
                };
                mistakes.at(source, statement.span.clone(), message, label, opt_out(tool));
            }
            None => {}
        }
    }
}

/// The opening of a statement in capitals: `CREATE INDEX CONCURRENTLY`.
fn words(sql: &str) -> String {
    let until = sql.to_ascii_uppercase();
    let mut words: Vec<&str> = until.split_whitespace().take(3).collect();
    if words.last().is_some_and(|word| !["CONCURRENTLY", "DATABASE", "SYSTEM"].contains(word)) {
        words.truncate(1);
    }
    words.join(" ")
}

/// What neither the server nor we can read: quotes without an end, psql's own commands, rows behind the statement.
fn unreadable_tokens(
    text: &str,
    part: &Range<usize>,
    dialect: Dialect,
    source: usize,
    mistakes: &mut Mistakes,
) {
    let body = &text[part.clone()];
    let mut line_begins = true;
    for token in lex_in(body, dialect) {
        let span = part.start + token.span.start..part.start + token.span.end;
        if !token.closed {
            let what = match token.kind {
                TokenKind::BlockComment => "a comment",
                TokenKind::DollarString => "a dollar quote",
                TokenKind::QuotedIdentifier => "a quoted name",
                _ => "a string",
            };
            let begin = span.start..(span.start + 1).min(text.len());
            mistakes.at(source, begin, format!("{what} that begins here has no end"), "opened here", None);
        } else if line_begins && token.is_punctuation(body, "\\") {
            let message = "a command of psql, not SQL".to_owned();
            let help = "write it as SQL; files of data go through another tool".to_owned();
            mistakes.at(source, span, message, "the server does not know it", Some(help));
        } else if line_begins && dialect == Dialect::Mysql && token.is_word(body, "DELIMITER") {
            let message = "DELIMITER is a command of the client, not SQL".to_owned();
            let help = "leave it out: bodies between BEGIN and END are kept whole without it".to_owned();
            mistakes.at(source, span, message, "the server does not know it", Some(help));
        }
        line_begins = match token.kind {
            TokenKind::Whitespace => line_begins || token.text(body).contains('\n'),
            TokenKind::LineComment | TokenKind::BlockComment => line_begins,
            _ => false,
        };
    }
    for piece in split_in(body, dialect) {
        let upper = piece.text(body).to_ascii_uppercase();
        if upper.starts_with("COPY") && upper.contains("FROM STDIN") {
            let span = part.start + piece.span.start..part.start + piece.span.end;
            let help = "insert the rows with INSERT … VALUES, or load them by other means before the check"
                .to_owned();
            mistakes.at(
                source,
                span,
                "COPY FROM STDIN is fed by psql, not by SQL",
                "no rows would come",
                Some(help),
            );
        }
    }
}
