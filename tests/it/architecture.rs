//! Holds the import table and the invariants that can be read off the source. Each failure names file, line and rule.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::source::{Token, UsedPath, module_of, paths, tokens};

/// Which modules each module may import besides itself. The order is the architecture, from the ground up.
const MAY_IMPORT: [(&str, &[&str]); 20] = [
    ("units", &[]),
    ("time", &["units"]),
    ("diagnostic", &["units"]),
    ("sql", &["units"]),
    ("model", &["units"]),
    ("generate", &["units", "diagnostic", "sql"]),
    ("record", &["units", "time", "sql"]),
    ("workload", &["units", "diagnostic", "sql", "model", "generate"]),
    ("db", &["units", "time", "sql"]),
    ("local", &["units", "time", "db"]),
    ("dataset", &["units", "time", "diagnostic", "sql", "generate", "workload", "db"]),
    ("pool", &["units", "time", "record", "db"]),
    ("probe", &["units", "time", "sql", "record", "db"]),
    ("analysis", &["units", "sql", "record", "model"]),
    ("engine", &["units", "time", "sql", "generate", "record", "workload", "db", "pool"]),
    ("store", &["units", "record", "model"]),
    ("report", &["units", "record", "model"]),
    ("study", &ALL_BELOW_STUDY),
    ("live", &["units", "record", "model", "report", "study"]),
    ("cli", &ALL_BELOW_CLI),
];
const ALL_BELOW_STUDY: [&str; 16] = [
    "units",
    "time",
    "diagnostic",
    "sql",
    "model",
    "generate",
    "record",
    "workload",
    "db",
    "local",
    "dataset",
    "pool",
    "probe",
    "analysis",
    "engine",
    "store",
];
const ALL_BELOW_CLI: [&str; 19] = [
    "units",
    "time",
    "diagnostic",
    "sql",
    "model",
    "generate",
    "record",
    "workload",
    "db",
    "local",
    "dataset",
    "pool",
    "probe",
    "analysis",
    "engine",
    "store",
    "report",
    "study",
    "live",
];

/// Same input, same output: nothing in these reads a file, a socket or the environment.
const PURE: [&str; 4] = ["analysis", "report", "model", "generate"];
const IMPURE_PATHS: [&[&str]; 8] = [
    &["std", "fs"],
    &["std", "net"],
    &["std", "os", "unix", "net"],
    &["std", "process"],
    &["std", "env"],
    &["std", "thread"],
    &["tokio"],
    &["tokio_postgres"],
];

/// The only modules that may speak to the user's terminal.
const PRINTING: [&str; 2] = ["live", "cli"];
/// Its standard output is a pipe to dbdyno, which reads one line from it.
const ANSWERS_ON_STANDARD_OUTPUT: &str = "src/local/supervisor.rs";

/// The only modules that may know one engine from another.
const KNOWS_ENGINES: [&str; 4] = ["db", "dataset", "local", "probe"];
/// Knows one from another as well: where dbdyno keeps its own history, which is nobody's target.
const HISTORY: &str = "src/store/history/";

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    file: PathBuf,
    line: usize,
    rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.rule)
    }
}

/// One file, read.
struct Source<'a> {
    file: &'a Path,
    text: &'a str,
    /// The module of the top level that it belongs to; absent for `lib.rs` and `main.rs`.
    module: Option<String>,
    tokens: Vec<Token>,
    paths: Vec<UsedPath>,
}

impl<'a> Source<'a> {
    fn read(file: &'a Path, text: &'a str) -> Self {
        let module = module_of(file);
        let tokens = tokens(text);
        let paths = paths(&tokens, &module);
        Self { file, text, module: module.into_iter().next(), tokens, paths }
    }

    fn module(&self) -> &str {
        self.module.as_deref().unwrap_or("the crate's root")
    }

    fn violation(&self, line: usize, rule: impl Into<String>) -> Violation {
        Violation { file: self.file.to_path_buf(), line, rule: rule.into() }
    }
}

#[test]
fn the_source_keeps_the_import_table_and_the_invariants() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    assert!(files.len() > MAY_IMPORT.len(), "only {} files were found below src", files.len());
    let mut broken = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("it was listed");
        broken.extend(violations(file.strip_prefix(root).expect("below the root"), &text));
    }
    let lines: Vec<String> = broken.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} rules are broken:\n{}", lines.len(), lines.join("\n"));
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("it exists").map(|entry| entry.expect("it can be read").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn violations(file: &Path, text: &str) -> Vec<Violation> {
    let source = Source::read(file, text);
    let rules = [opens_with_its_purpose, imports, is_pure, prints_not, knows_no_engine, keeps_secrets];
    rules.into_iter().flat_map(|rule| rule(&source)).collect()
}

fn opens_with_its_purpose(source: &Source) -> Vec<Violation> {
    let opens =
        source.text.starts_with("//! ") && source.text.lines().next().is_some_and(|line| line.len() > 8);
    if opens { vec![] } else { vec![source.violation(1, "a file opens with `//!`: what it is for")] }
}

fn imports(source: &Source) -> Vec<Violation> {
    let Some(module) = &source.module else { return vec![] };
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| name == module) else {
        return vec![source.violation(1, format!("module `{module}` is not in the import table"))];
    };
    let imported = source.paths.iter().filter(|path| path.segments[0] == "crate");
    imported
        .filter_map(|path| Some((path.line, path.segments.get(1)?)))
        .filter(|(_, name)| *name != module && !allowed.contains(&name.as_str()))
        .map(|(line, name)| source.violation(line, format!("`{module}` may not import `{name}`")))
        .collect()
}

fn is_pure(source: &Source) -> Vec<Violation> {
    if !PURE.contains(&source.module()) {
        return vec![];
    }
    let impure = |path: &&UsedPath| IMPURE_PATHS.iter().any(|impure| path.starts_with(impure));
    source
        .paths
        .iter()
        .filter(impure)
        .map(|path| {
            let rule = format!("`{}` does no I/O, and uses `{}`", source.module(), path.segments.join("::"));
            source.violation(path.line, rule)
        })
        .collect()
}

fn prints_not(source: &Source) -> Vec<Violation> {
    let module = source.module();
    // The root has `main.rs`, which may say why the program failed.
    let exempt = source.module.is_none()
        || PRINTING.contains(&module)
        || source.file == Path::new(ANSWERS_ON_STANDARD_OUTPUT)
        // A test that runs itself again as another process hears from it in that way.
        || source.file.ends_with("tests.rs");
    if exempt {
        return vec![];
    }
    let prints = |path: &&UsedPath| match path.segments.last().map(String::as_str) {
        Some("print!" | "println!" | "eprint!" | "eprintln!" | "dbg!") => true,
        Some("stdout" | "stderr") => path.segments.iter().any(|segment| segment == "io"),
        _ => path.starts_with(&["indicatif"]),
    };
    source
        .paths
        .iter()
        .filter(prints)
        .map(|path| {
            let rule =
                format!("nothing below `live` prints, and `{module}` uses `{}`", path.segments.join("::"));
            source.violation(path.line, rule)
        })
        .collect()
}

fn knows_no_engine(source: &Source) -> Vec<Violation> {
    if KNOWS_ENGINES.contains(&source.module()) || source.file.starts_with(HISTORY) {
        return vec![];
    }
    let names_engine = |segment: &String| {
        ["postgres", "mysql", "tokio_postgres", "postgres_protocol", "mysql_async"]
            .contains(&segment.as_str())
            || ["Pg", "My"].iter().any(|prefix| {
                segment.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(char::is_uppercase))
            })
    };
    source
        .paths
        .iter()
        .filter(|path| path.segments.iter().any(names_engine))
        // A lone lower-case word is a field or a variable; only as a path it is a module.
        .filter(|path| path.segments.len() > 1 || path.segments[0].starts_with(char::is_uppercase))
        .map(|path| {
            let (module, path_text) = (source.module(), path.segments.join("::"));
            let rule = format!("only {KNOWS_ENGINES:?} know an engine, and `{module}` names `{path_text}`");
            source.violation(path.line, rule)
        })
        .collect()
}

/// `Secret` can reach no log and no report: nothing derives or implements what would show it.
fn keeps_secrets(source: &Source) -> Vec<Violation> {
    const SHOWING: [&str; 3] = ["Debug", "Display", "Serialize"];
    let words: Vec<&str> = source.tokens.iter().map(|token| token.text.as_str()).collect();
    let mut broken = Vec::new();
    for at in 0..words.len() {
        let shown = if words[at..].starts_with(&["struct", "Secret"]) {
            // Back over attributes and visibility to the item before.
            let from = words[..at].iter().rposition(|word| matches!(*word, ";" | "}")).unwrap_or(0);
            words[from..at].iter().find(|word| SHOWING.contains(word))
        } else if at >= 2 && words[at - 1] == "for" && words[at] == "Secret" {
            SHOWING.iter().find(|name| **name == words[at - 2])
        } else {
            None
        };
        if let Some(name) = shown {
            broken.push(source.violation(source.tokens[at].line, format!("`Secret` has no `{name}`")));
        }
    }
    broken
}

/// The rules are held by nothing if they cannot fail: each is broken here once.
mod rules {
    use super::violations;

    fn broken(file: &str, text: &str) -> Vec<String> {
        let text = format!("//! A file of this test.\n{text}\n");
        violations(file.as_ref(), &text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_foreign_import_is_found() {
        let rule = "src/db/x.rs:2: `db` may not import `probe`";
        assert_eq!(broken("src/db/x.rs", "use crate::{units::Seed, probe::Probed};"), [rule]);
        assert_eq!(broken("src/db/x.rs", "use super::super::probe::Probed;"), [rule]);
        assert_eq!(broken("src/db/x.rs", "fn f() -> crate::probe::Probed { todo() }"), [rule]);
        assert_eq!(
            broken("src/probe/x.rs", "use crate::pool::Pool;"),
            ["src/probe/x.rs:2: `probe` may not import `pool`"]
        );
        assert_eq!(
            broken("src/new/mod.rs", ""),
            ["src/new/mod.rs:1: module `new` is not in the import table"]
        );
    }

    #[test]
    fn what_is_allowed_is_not_found() {
        let text =
            "use crate::units::Seed;\n#[cfg(test)]\nmod tests { use crate::probe::Probed; }\n// crate::cli";
        assert_eq!(broken("src/db/x.rs", text), [] as [String; 0]);
        assert_eq!(
            broken("src/cli/x.rs", "use crate::live::Screen; fn f() { println!() }"),
            [] as [String; 0]
        );
        assert_eq!(
            broken("src/db/secret.rs", "#[derive(Clone)] pub struct Secret(String);"),
            [] as [String; 0]
        );
    }

    #[test]
    fn input_and_output_in_a_pure_module_is_found() {
        let text = "use std::{fmt, fs};\nasync fn f() { tokio::task::yield_now().await }";
        assert_eq!(
            broken("src/analysis/x.rs", text),
            [
                "src/analysis/x.rs:2: `analysis` does no I/O, and uses `std::fs`",
                "src/analysis/x.rs:3: `analysis` does no I/O, and uses `tokio::task::yield_now`",
            ]
        );
    }

    #[test]
    fn printing_is_found() {
        let rules = broken("src/study/x.rs", "fn f() { eprintln!(); let out = std::io::stdout(); }");
        assert_eq!(
            rules,
            [
                "src/study/x.rs:2: nothing below `live` prints, and `study` uses `eprintln!`",
                "src/study/x.rs:2: nothing below `live` prints, and `study` uses `std::io::stdout`",
            ]
        );
    }

    #[test]
    fn an_engine_above_its_modules_is_found() {
        for text in [
            "use crate::db::postgres::Settings;",
            "fn f(session: &PgSession) {}",
            "use tokio_postgres::Client;",
        ] {
            let rules = broken("src/engine/x.rs", text);
            assert_eq!(rules.len(), 1, "{text}: {rules:?}");
            assert!(rules[0].starts_with("src/engine/x.rs:2: only"), "{rules:?}");
        }
    }

    #[test]
    fn a_secret_that_shows_itself_is_found() {
        for (name, text) in [
            ("Debug", "#[derive(Clone, Debug)]\npub struct Secret(String);"),
            ("Serialize", "#[derive(serde::Serialize)]\npub struct Secret(String);"),
            ("Display", "\nimpl std::fmt::Display for Secret {}"),
        ] {
            assert_eq!(
                broken("src/db/secret.rs", text),
                [format!("src/db/secret.rs:3: `Secret` has no `{name}`")]
            );
        }
    }

    #[test]
    fn a_file_without_a_purpose_is_found() {
        let rules = violations("src/units/x.rs".as_ref(), "use std::fmt;\n");
        assert_eq!(rules.len(), 1);
        assert!(rules[0].to_string().starts_with("src/units/x.rs:1: a file opens with"));
    }
}
