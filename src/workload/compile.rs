//! From documents to indexes.

use std::path::Path;

use super::document::{Document, StageNode};
use super::fingerprint::fingerprint;
use super::measurable::Measurable;
use super::{BudgetSpec, Gauge, Measure, SqlFile, StageSpec, Workload, check, decode, tables, transactions};
use crate::diagnostic::{Mistake, Mistakes};
use crate::generate::GENERATOR_VERSION;
use crate::sql::named;

/// Gauges of one workload: each is a connection to the target.
const GAUGES_MAX: usize = 8;

/// Reads the folder and checks everything that can be checked without a server. All mistakes come back at once.
pub fn load(folder: &Path) -> Result<Workload, Mistakes> {
    let mut mistakes = Mistakes::default();
    let document_text = read_required(folder, "workload.toml", &mut mistakes);
    let queries_text = read_required(folder, "queries.sql", &mut mistakes);
    let schema = read_optional(folder, "schema.sql", &mut mistakes);
    let finish = read_optional(folder, "finish.sql", &mut mistakes);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let in_document = mistakes.add_source(folder.join("workload.toml"), document_text.as_str());
    let in_queries = mistakes.add_source(folder.join("queries.sql"), queries_text.as_str());

    let document = decode::decode(&document_text, in_document, &mut mistakes);
    let (statements, named_mistakes) = named::parse(&queries_text);
    let queries = transactions::Queries::new(&queries_text, statements, &named_mistakes);
    check::blame_queries(named_mistakes, in_queries, &mut mistakes);

    for node in &document.tables {
        check::table_name(node, in_document, &mut mistakes);
    }
    let tables = tables::compile(&document.tables, in_document, &mut mistakes);
    let mix = transactions::compile(&document, &tables, &queries, in_document, &mut mistakes);
    let gauges = gauges(&document, in_document, &mut mistakes);
    let stages = stages(&document.stages, in_document, &mut mistakes);
    let budgets = budgets(&document, &mix.measures, &gauges, in_document, &mut mistakes);
    let scale_query =
        document.scale_query.as_ref().map(|query| check::query(query, in_document, &mut mistakes));
    if !mistakes.is_empty() {
        mistakes.sort();
        return Err(mistakes);
    }
    Ok(Workload {
        fingerprint: fingerprint(&[
            ("workload.toml", document_text.as_bytes()),
            ("queries.sql", queries_text.as_bytes()),
            ("schema.sql", bytes(schema.as_ref())),
            ("finish.sql", bytes(finish.as_ref())),
        ]),
        data_fingerprint: fingerprint(&[
            ("tables", document.tables_canonical.as_bytes()),
            ("schema.sql", bytes(schema.as_ref())),
            ("finish.sql", bytes(finish.as_ref())),
            ("generator", &GENERATOR_VERSION.to_le_bytes()),
        ]),
        name: document.name,
        protocol: document.protocol,
        statement_timeout: document.statement_timeout,
        description: document.description,
        folder: folder.to_owned(),
        schema,
        finish,
        tables,
        scale_query,
        statements: mix.statements,
        transactions: mix.transactions,
        measures: mix.measures,
        gauges,
        inserted: mix.inserted,
        stages,
        budgets,
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

fn unreadable(path: &Path, error: &std::io::Error, help: Option<String>) -> Mistake {
    let message = format!("cannot read `{}`: {error}", path.display());
    Mistake { source: None, span: 0..0, message, label: String::new(), help }
}

fn bytes(file: Option<&SqlFile>) -> &[u8] {
    file.map_or(&[], |file| file.text.as_bytes())
}

fn stages(nodes: &[StageNode], source: usize, mistakes: &mut Mistakes) -> Vec<StageSpec> {
    check::distinct("stage", nodes.iter().filter_map(|node| node.name.as_ref()), source, mistakes);
    let stage = |node: &StageNode| {
        let name = node.name.as_ref()?.value.clone();
        Some(StageSpec { name, duration: node.duration?, load: node.load.clone()? })
    };
    nodes.iter().filter_map(stage).collect()
}

fn gauges(document: &Document, source: usize, mistakes: &mut Mistakes) -> Vec<Gauge> {
    if let Some(node) = document.gauges.get(GAUGES_MAX) {
        let message = format!("a workload has at most {GAUGES_MAX} gauges");
        let help = "each is read on a connection of its own".to_owned();
        mistakes.at(source, node.name.span.clone(), message, "one too many", Some(help));
    }
    let gauges = document.gauges.iter().map(|node| {
        check::name("gauge", &node.name, source, mistakes);
        Gauge {
            name: node.name.value.clone(),
            query: check::query(&node.query, source, mistakes),
            every: node.every,
            unit: node.unit,
            span: node.query.span.clone(),
        }
    });
    gauges.collect()
}

fn budgets(
    document: &Document,
    measures: &[Measure],
    gauges: &[Gauge],
    source: usize,
    mistakes: &mut Mistakes,
) -> Vec<BudgetSpec> {
    let names = document.transactions.iter().filter_map(|node| node.name.as_ref());
    let transactions = names.map(|name| name.value.as_str()).collect();
    let known = Measurable { transactions, measures, gauges };
    document.budgets.iter().filter_map(|node| check::budget(node, &known, source, mistakes)).collect()
}
