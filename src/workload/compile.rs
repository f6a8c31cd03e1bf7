//! From documents to indexes.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::document::{Document, StageNode};
use super::fingerprint::fingerprint;
use super::measurable::{Measurable, statement_names};
use super::{BudgetSpec, Gauge, SqlFile, StageSpec, Workload, check, decode, tables, transactions};
use crate::diagnostic::{Mistake, Mistakes, likely};
use crate::generate::GENERATOR_VERSION;
use crate::model::RelativeBudget;
use crate::sql::named::{self, NamedStatement};
use crate::units::Dialect;

/// Gauges of one workload: each is a connection to the target.
const GAUGES_MAX: usize = 8;

const QUERIES: &str = "queries.sql";
const QUERIES_OF_MYSQL: &str = "queries.mysql.sql";
const SCHEMA: [&str; 2] = ["schema.mysql.sql", "schema.sql"];
const FINISH: [&str; 2] = ["finish.mysql.sql", "finish.sql"];

/// The files of a workload, read.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) document: String,
    pub(super) queries: QueryFiles,
    pub(super) schema: Option<SqlFile>,
    pub(super) finish: Option<SqlFile>,
    pub(super) dialect: Dialect,
}

/// The named statements.
pub(super) struct QueryFiles {
    /// `queries.sql`
    pub(super) common: String,
    /// `queries.mysql.sql`, whose statements stand in the place of those of the same name.
    pub(super) of_dialect: Option<String>,
}

/// Reads the folder for PostgreSQL: see [`load_for`].
pub fn load(folder: &Path) -> Result<Workload, Mistakes> {
    load_for(folder, Dialect::Postgresql)
}

/// Reads the folder for an engine and checks everything that can be checked without a server. All mistakes come back at once.
///
/// For MariaDB and MySQL `schema.mysql.sql` and `finish.mysql.sql` are read in the place of `schema.sql` and `finish.sql`, and
/// statements of `queries.mysql.sql` in the place of those that have the same name in `queries.sql`.
pub fn load_for(folder: &Path, dialect: Dialect) -> Result<Workload, Mistakes> {
    let mut mistakes = Mistakes::default();
    let is_mysql = dialect == Dialect::Mysql;
    let document = read_required(folder, "workload.toml", &mut mistakes);
    let of_dialect = if is_mysql {
        read_optional(folder, QUERIES_OF_MYSQL, &mut mistakes).map(|file| file.text)
    } else {
        None
    };
    let schema = read_first(folder, &SCHEMA[usize::from(!is_mysql)..], &mut mistakes);
    let finish = read_first(folder, &FINISH[usize::from(!is_mysql)..], &mut mistakes);
    let is_meant = of_dialect.is_some() || schema.as_ref().is_some_and(|file| file.path.ends_with(SCHEMA[0]));
    if mistakes.is_empty()
        && let Some(refusal) = other_engine(folder, &document, dialect, is_meant)
    {
        return Err(refusal);
    }
    // What stands in the engine's own file alone needs no other.
    let common = if of_dialect.is_some() {
        read_optional(folder, QUERIES, &mut mistakes).map(|file| file.text).unwrap_or_default()
    } else {
        read_required(folder, QUERIES, &mut mistakes)
    };
    let queries = QueryFiles { common, of_dialect };
    let read = Folder { path: folder.to_owned(), document, queries, schema, finish, dialect };
    if mistakes.is_empty() { compile(read) } else { Err(mistakes) }
}

/// Why the workload does not run on the engine, if it does not. `is_meant` says whether it has files for MariaDB and MySQL.
fn other_engine(folder: &Path, document: &str, dialect: Dialect, is_meant: bool) -> Option<Mistakes> {
    let mut refusal = Mistakes::default();
    let source = refusal.add_source(folder.join("workload.toml"), document);
    // What else is wrong with it is told when it runs on this engine.
    let read = decode::decode(document, 0, &mut Mistakes::default());
    let runs = match &read.engines {
        Some(engines) => engines.value.contains(&dialect),
        None => dialect == Dialect::Postgresql || is_meant,
    };
    if runs {
        return None;
    }
    let name = if read.name.is_empty() { folder.display().to_string() } else { read.name };
    let message = format!("workload `{name}` does not run on {}", dialect.name());
    let (span, label) = match read.engines {
        Some(engines) => (engines.span, "not among these"),
        None => (0..0, "it has no `schema.mysql.sql` and no `queries.mysql.sql`"),
    };
    let remedy = match dialect {
        Dialect::Mysql => {
            "write its tables into `schema.mysql.sql` and the statements that differ into `queries.mysql.sql`; where none differs, \
             say `engines = [\"postgresql\", \"mysql\"]`"
        }
        Dialect::Postgresql => {
            "add \"postgresql\" to `engines`, with a `schema.sql` and a `queries.sql` for it"
        }
    };
    refusal.at(source, span, message, label, Some(remedy.to_owned()));
    Some(refusal)
}

/// Checks and compiles what was read.
pub(super) fn compile(folder: Folder) -> Result<Workload, Mistakes> {
    let mut mistakes = Mistakes::default();
    let Folder { path: folder, document: document_text, queries: files, schema, finish, dialect } = folder;
    let in_document = mistakes.add_source(folder.join("workload.toml"), document_text.as_str());

    let document = decode::decode(&document_text, in_document, &mut mistakes);
    let queries = queries(&folder, &files, &document, dialect, &mut mistakes);

    for node in &document.tables {
        check::table_name(node, in_document, &mut mistakes);
    }
    let tables = tables::compile(&document.tables, in_document, &mut mistakes);
    let mix = transactions::compile(&document, &tables, &queries, in_document, &mut mistakes);
    let gauges = gauges(&document, dialect, in_document, &mut mistakes);
    let stages = stages(&document.stages, in_document, &mut mistakes);
    let (budgets, changes) = budgets(&document, &mix, &gauges, in_document, &mut mistakes);
    let scale_query =
        document.scale_query.as_ref().map(|query| check::query(query, dialect, in_document, &mut mistakes));
    if !mistakes.is_empty() {
        mistakes.sort();
        return Err(mistakes);
    }
    let of_schema = part(schema.as_ref(), SCHEMA[1]);
    let of_finish = part(finish.as_ref(), FINISH[1]);
    let mut parts = vec![
        ("workload.toml", document_text.as_bytes()),
        (QUERIES, files.common.as_bytes()),
        of_schema,
        of_finish,
    ];
    parts.extend(files.of_dialect.as_ref().map(|text| (QUERIES_OF_MYSQL, text.as_bytes())));
    Ok(Workload {
        fingerprint: fingerprint(&parts),
        data_fingerprint: fingerprint(&[
            ("tables", document.tables_canonical.as_bytes()),
            of_schema,
            of_finish,
            ("generator", &GENERATOR_VERSION.to_le_bytes()),
        ]),
        document: SqlFile { path: folder.join("workload.toml"), text: document_text },
        name: document.name,
        protocol: document.protocol,
        statement_timeout: document.statement_timeout,
        description: document.description,
        folder,
        schema,
        finish,
        tables,
        scale_query,
        statements: mix.statements,
        transactions: mix.transactions,
        measures: mix.measures,
        gauges,
        inserted: mix.inserted,
        variables: Arc::default(),
        stages,
        budgets,
        changes,
    })
}

fn read_required(folder: &Path, name: &str, mistakes: &mut Mistakes) -> String {
    let path = folder.join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| {
        let help = "`-w` names a folder with a `workload.toml` and a `queries.sql`";
        mistakes.push(unreadable(&path, &error, Some(help.to_owned())));
        String::new()
    })
}

fn read_optional(folder: &Path, name: &str, mistakes: &mut Mistakes) -> Option<SqlFile> {
    let path = folder.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(SqlFile { path, text }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            mistakes.push(unreadable(&path, &error, None));
            None
        }
    }
}

/// The first of these files that is there.
fn read_first(folder: &Path, names: &[&str], mistakes: &mut Mistakes) -> Option<SqlFile> {
    names.iter().find_map(|name| read_optional(folder, name, mistakes))
}

/// The named statements of an engine. What is replaced is never sent, so its mistakes are none.
fn queries(
    folder: &Path,
    files: &QueryFiles,
    document: &Document,
    dialect: Dialect,
    mistakes: &mut Mistakes,
) -> transactions::Queries {
    let mut queries = transactions::Queries::default();
    let in_common = mistakes.add_source(folder.join(QUERIES), files.common.as_str());
    let (mut common, mut wrong) = named::parse_in(&files.common, dialect);
    if let Some(text) = &files.of_dialect {
        let source = mistakes.add_source(folder.join(QUERIES_OF_MYSQL), text.as_str());
        let (own, own_wrong) = named::parse_in(text, dialect);
        blame_superfluous(&own, &common, document, source, mistakes);
        let is_replaced = |known: &NamedStatement| own.iter().any(|statement| statement.name == known.name);
        let whole = |known: &NamedStatement| known.line_span.start..known.sql_span.end;
        let replaced: Vec<Range<usize>> =
            common.iter().filter(|known| is_replaced(known)).map(whole).collect();
        common.retain(|known| !is_replaced(known));
        wrong.retain(|mistake| !replaced.iter().any(|range| range.contains(&mistake.span.start)));
        queries.add((QUERIES_OF_MYSQL, text), own, &own_wrong, dialect);
        check::blame_queries(own_wrong, source, mistakes);
    }
    queries.add((QUERIES, &files.common), common, &wrong, dialect);
    check::blame_queries(wrong, in_common, mistakes);
    queries
}

/// Blames statements of an engine's own file that replace none and that nobody uses: their names are misspelt.
fn blame_superfluous(
    own: &[NamedStatement],
    common: &[NamedStatement],
    document: &Document,
    source: usize,
    mistakes: &mut Mistakes,
) {
    let used: Vec<&str> = document
        .transactions
        .iter()
        .flat_map(|transaction| &transaction.steps)
        .map(|step| step.statement.value.as_str())
        .collect();
    for statement in own {
        let name = statement.name.as_str();
        if common.iter().any(|known| known.name == name) || used.contains(&name) {
            continue;
        }
        let help = likely(name, common.iter().map(|known| known.name.as_str()))
            .map(|meant| format!("did you mean `{meant}`?"));
        let message = format!("`{name}` replaces no statement of `{QUERIES}`, and no transaction uses it");
        mistakes.at(source, statement.name_span.clone(), message, "not known", help);
    }
}

fn unreadable(path: &Path, error: &std::io::Error, help: Option<String>) -> Mistake {
    let message = format!("cannot read `{}`: {error}", path.display());
    Mistake { source: None, span: 0..0, message, label: String::new(), help }
}

/// A file as a part of a fingerprint: under its own name, or under `usual` where there is none.
fn part<'f>(file: Option<&'f SqlFile>, usual: &'f str) -> (&'f str, &'f [u8]) {
    let name = file.and_then(|file| file.path.file_name()?.to_str()).unwrap_or(usual);
    (name, file.map_or(&[], |file| file.text.as_bytes()))
}

fn stages(nodes: &[StageNode], source: usize, mistakes: &mut Mistakes) -> Vec<StageSpec> {
    check::distinct("stage", nodes.iter().filter_map(|node| node.name.as_ref()), source, mistakes);
    let stage = |node: &StageNode| {
        let name = node.name.as_ref()?.value.clone();
        Some(StageSpec { name, duration: node.duration?, load: node.load.clone()? })
    };
    nodes.iter().filter_map(stage).collect()
}

fn gauges(document: &Document, dialect: Dialect, source: usize, mistakes: &mut Mistakes) -> Vec<Gauge> {
    if let Some(node) = document.gauges.get(GAUGES_MAX) {
        let message = format!("a workload has at most {GAUGES_MAX} gauges");
        let help = "each is read on a connection of its own".to_owned();
        mistakes.at(source, node.name.span.clone(), message, "one too many", Some(help));
    }
    let gauges = document.gauges.iter().map(|node| {
        check::name("gauge", &node.name, source, mistakes);
        Gauge {
            name: node.name.value.clone(),
            query: check::query(&node.query, dialect, source, mistakes),
            every: node.every,
            unit: node.unit,
            span: node.query.span.clone(),
        }
    });
    gauges.collect()
}

fn budgets(
    document: &Document,
    mix: &transactions::Mix,
    gauges: &[Gauge],
    source: usize,
    mistakes: &mut Mistakes,
) -> (Vec<BudgetSpec>, Vec<RelativeBudget>) {
    let names = document.transactions.iter().filter_map(|node| node.name.as_ref());
    let transactions = names.map(|name| name.value.as_str()).collect();
    let statements = statement_names(&mix.statements, &mix.transactions);
    let known = Measurable { transactions, statements, measures: &mix.measures, gauges };
    let (mut limits, mut changes) = (Vec::new(), Vec::new());
    for node in &document.budgets {
        if check::is_change(node) {
            changes.extend(check::change(node, &known, source, mistakes));
        } else {
            limits.extend(check::budget(node, &known, source, mistakes));
        }
    }
    (limits, changes)
}
