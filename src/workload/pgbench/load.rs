//! The workload that a choice of scripts makes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::builtin::BuiltIn;
use super::compile::{Compiled, Context, Names, compile, complete_outputs};
use super::parse::Wrong;
use super::scan::{Command, scan};
use super::sql;
use super::variables::Initial;
use crate::diagnostic::{Mistake, Mistakes};
use crate::model::metric::MetricPath;
use crate::units::{Dialect, Protocol, TransactionId};
use crate::workload::compile::{Folder, QueryFiles, compile as compile_folder};
use crate::workload::fingerprint::fingerprint;
use crate::workload::{Modes, Retry, SqlFile, Transaction, Work, Workload};

/// Scripts of one workload, as many as pgbench takes.
const SCRIPTS_MAX: usize = 128;
/// The largest script that is read.
const SCRIPT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// After which errors pgbench tries again, if it is told to: a serialization failure and a deadlock.
const RETRIED: [&str; 2] = ["40001", "40P01"];

/// What shall be run.
#[derive(Clone, Debug)]
pub struct Choice {
    /// In the order in which they were given.
    pub scripts: Vec<Chosen>,
    /// Names and values of `-D`.
    pub defines: Vec<(String, String)>,
    /// How the scripts talk to the server: it decides what they may contain.
    pub protocol: Protocol,
    /// Tries of a transaction that meets a serialization failure or a deadlock, the first included.
    pub max_tries: u32,
    /// Whether pgbench's tables are to be made: on a throwaway server.
    pub with_tables: bool,
}

/// One script and its share.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Where it comes from.
    pub source: ScriptSource,
    /// Its share, relative to those of the others. At 0 it is never run.
    pub weight: u32,
}

/// Where a script comes from.
#[derive(Clone, Debug)]
pub enum ScriptSource {
    /// A file.
    File(PathBuf),
    /// pgbench itself.
    BuiltIn(BuiltIn),
}

/// One script, read.
struct Read {
    name: String,
    weight: u32,
    text: String,
    source: usize,
    commands: Vec<Command>,
}

/// Reads the scripts and makes a workload of them, one transaction each. All mistakes come back at once.
pub fn load(choice: &Choice) -> Result<Workload, Mistakes> {
    let mut mistakes = Mistakes::default();
    let scripts = read_all(choice, &mut mistakes);
    let mut names = declare(choice, &scripts, &mut mistakes);
    let (mut transactions, mut statements) = (Vec::new(), Vec::new());
    for (index, script) in scripts.iter().enumerate() {
        let context = Context {
            names: &mut names,
            protocol: choice.protocol,
            transaction: TransactionId::from_index(index),
            transaction_name: &script.name,
            statements_before: statements.len(),
        };
        let Compiled { script: compiled, statements: own, wrongs } =
            compile(&script.text, &script.commands, context);
        blame(wrongs, script.source, &mut mistakes);
        statements.extend(own);
        transactions.push(Transaction {
            name: script.name.clone(),
            weight: f64::from(script.weight),
            explicit: false,
            isolation: None,
            modes: Modes::default(),
            pipeline: false,
            retry: retry(choice.max_tries),
            work: Work::Script(Arc::new(compiled)),
            slots: Vec::new(),
            draws: Vec::new(),
        });
    }
    complete_outputs(&mut statements, &names);
    if !mistakes.is_empty() {
        mistakes.sort();
        return Err(mistakes);
    }
    let variables = names.into_variables();
    for transaction in &mut transactions {
        transaction.slots = variables.iter().map(|variable| variable.name.clone()).collect();
    }
    let tables = tables(choice.with_tables)?;
    Ok(Workload {
        name: match scripts.as_slice() {
            [only] => only.name.clone(),
            _ => "pgbench".to_owned(),
        },
        description: "pgbench's scripts".to_owned(),
        fingerprint: digest(choice, &scripts),
        protocol: Some(choice.protocol),
        statements,
        transactions,
        variables: variables.into(),
        ..tables
    })
}

/// pgbench's tables as `workloads/tpcb` describes them, or a workload without any.
fn tables(with_tables: bool) -> Result<Workload, Mistakes> {
    let sql = |name: &str, text: &str| SqlFile { path: Path::new("tpcb").join(name), text: text.to_owned() };
    let folder = Folder {
        path: PathBuf::from("tpcb"),
        document: include_str!("../../../workloads/tpcb/workload.toml").to_owned(),
        queries: QueryFiles {
            common: include_str!("../../../workloads/tpcb/queries.sql").to_owned(),
            of_dialect: None,
        },
        schema: Some(sql("schema.sql", include_str!("../../../workloads/tpcb/schema.sql"))),
        finish: None,
        dialect: Dialect::Postgresql,
    };
    let described = compile_folder(folder)?;
    let none = Workload { tables: Vec::new(), schema: None, ..described.clone() };
    Ok(if with_tables { described } else { none })
}

fn read_all(choice: &Choice, mistakes: &mut Mistakes) -> Vec<Read> {
    if choice.scripts.len() > SCRIPTS_MAX {
        mistakes.push(placeless(
            format!("{} scripts were given, at most {SCRIPTS_MAX} can be run", choice.scripts.len()),
            None,
        ));
        return Vec::new();
    }
    if choice.scripts.iter().all(|script| script.weight == 0) {
        let help = Some("give one of the scripts a weight above 0".to_owned());
        mistakes.push(placeless("no script would ever be run".to_owned(), help));
    }
    let mut scripts: Vec<Read> = Vec::new();
    for chosen in &choice.scripts {
        let (path, text, name) = match &chosen.source {
            ScriptSource::BuiltIn(script) => {
                (PathBuf::from(script.name()), script.text().to_owned(), script.name().to_owned())
            }
            ScriptSource::File(path) => match read(path) {
                Ok(text) => (path.clone(), text, name_of(path)),
                Err(reason) => {
                    let message = format!("cannot read the script `{}`: {reason}", path.display());
                    let help = "--pgbench takes a file of pgbench commands, FILE or FILE@WEIGHT";
                    mistakes.push(placeless(message, Some(help.to_owned())));
                    continue;
                }
            },
        };
        let source = mistakes.add_source(path, text.as_str());
        let (commands, wrongs) = scan(&text);
        if commands.is_empty() && wrongs.is_empty() {
            mistakes.at(source, 0..0, "the script has no command", "nothing to run", None);
        }
        blame(wrongs, source, mistakes);
        let name = distinct(name, &scripts);
        scripts.push(Read { name, weight: chosen.weight, text, source, commands });
    }
    scripts
}

fn read(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > SCRIPT_BYTES_MAX {
        return Err(format!("it has {} MiB, at most {} are read", size >> 20, SCRIPT_BYTES_MAX >> 20));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// The name of a script's transaction: that of its file, as far as names can hold it.
fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = sql::plain(&stem);
    if name.is_empty() || MetricPath::is_reserved(&name) { format!("script_{name}") } else { name }
}

/// The same script twice is two transactions.
fn distinct(name: String, others: &[Read]) -> String {
    let is_free = |name: &String| others.iter().all(|other| other.name != *name);
    if is_free(&name) {
        return name;
    }
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    numbered.into_iter().find(is_free).unwrap_or(name)
}

/// What sets variables: `-D`, then pgbench itself, then the scripts.
fn declare(choice: &Choice, scripts: &[Read], mistakes: &mut Mistakes) -> Names {
    let mut names = Names::default();
    // What was said last about a name counts.
    for (name, value) in choice.defines.iter().rev() {
        if !sql::is_variable_name(name) {
            let help = "letters, digits and `_` can stand in one; it begins with no digit".to_owned();
            mistakes.push(placeless(
                format!("-D {name}={value}: `{name}` cannot be a variable's name"),
                Some(help),
            ));
        }
        names.declare(name, Initial::Text(value.clone()));
    }
    for (name, initial) in [
        ("scale", Initial::Scale),
        ("client_id", Initial::ClientId),
        (super::parse::DEFAULT_SEED, Initial::DefaultSeed),
        ("random_seed", Initial::RandomSeed),
    ] {
        names.declare(name, initial);
    }
    for script in scripts {
        names.declare_all(&script.commands);
    }
    names
}

fn blame(wrongs: Vec<Wrong>, source: usize, mistakes: &mut Mistakes) {
    for Wrong { at, message, label, help } in wrongs {
        mistakes.at(source, at, message, label, help);
    }
}

fn placeless(message: String, help: Option<String>) -> Mistake {
    Mistake { source: None, span: 0..0, message, label: String::new(), help }
}

fn retry(max_tries: u32) -> Retry {
    let on = RETRIED.map(str::to_owned).to_vec();
    let on = if max_tries > 1 { on } else { Vec::new() };
    // pgbench tries again at once.
    Retry { on, max_tries, backoff: Duration::ZERO, backoff_max: Duration::ZERO }
}

/// Everything that decides what the scripts do.
fn digest(choice: &Choice, scripts: &[Read]) -> String {
    let weights: Vec<String> =
        scripts.iter().map(|script| format!("{}@{}", script.name, script.weight)).collect();
    let defines: Vec<String> = choice.defines.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut parts: Vec<(&str, &[u8])> =
        scripts.iter().map(|script| (script.name.as_str(), script.text.as_bytes())).collect();
    let (weights, defines) = (weights.join("\n"), defines.join("\n"));
    let tries = choice.max_tries.to_le_bytes();
    parts.extend([("weights", weights.as_bytes()), ("defines", defines.as_bytes()), ("tries", &tries[..])]);
    fingerprint(&parts)
}
