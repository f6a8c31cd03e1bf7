//! The workload's statements, prepared by the server before any of them is measured. All that it refuses is reported at once.

use std::collections::{BTreeMap, BTreeSet};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Error, ServerError};

use super::between::check_session_setting;
use super::server::{NO_SUCH_TABLE, TABLE_ACCESS_DENIED, failed, place, spoken};
use crate::dataset::DatasetError;
use crate::db::mysql::Client;
use crate::diagnostic::Mistakes;
use crate::sql::named::question_marks;
use crate::workload::{Setting, Statement, Workload};

/// Prepares every statement of the workload, for which the server looks at its tables and at the rights to them; nothing is
/// executed. What it refuses points into the file of the statement, one mistake for each distinct refusal with all statements
/// that meet it.
pub async fn check_statements(client: &Client, workload: &Workload) -> Result<(), DatasetError> {
    let mut mistakes = Mistakes::default();
    report(&refusals(client, workload).await?, workload, &mut mistakes)?;
    report_settings(refused_settings(client, workload).await?, workload, &mut mistakes)?;
    if mistakes.is_empty() { Ok(()) } else { Err(DatasetError::Mistakes(mistakes)) }
}

/// One refusal and whom it concerns.
#[derive(Debug)]
pub(super) struct Refusal {
    said: ServerError,
    /// The word that the server names, in the first statement.
    at: Option<String>,
    /// Indexes into the workload's statements, distinct by name.
    statements: Vec<usize>,
}

/// What the server refuses, by distinct refusal.
pub(super) async fn refusals(client: &Client, workload: &Workload) -> Result<Vec<Refusal>, DatasetError> {
    let mut refusals: Vec<Refusal> = vec![];
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for (index, statement) in workload.statements.iter().enumerate() {
        // The same statement in another transaction has another tag, and the same errors.
        if !seen.insert(&statement.name) {
            continue;
        }
        let Err(said) = prepare(client, statement).await? else { continue };
        match refusals.iter_mut().find(|refusal| refusal.said.message == said.message) {
            Some(refusal) => refusal.statements.push(index),
            None => refusals.push(Refusal {
                at: place(&said, &statement.sql).map(|at| statement.sql[at].to_owned()),
                said,
                statements: vec![index],
            }),
        }
    }
    Ok(refusals)
}

async fn prepare(client: &Client, statement: &Statement) -> Result<Result<(), ServerError>, DatasetError> {
    let doing = || failed(format!("prepare `{}`", statement.name));
    let mut conn = client.conn().await;
    match conn.prep(question_marks(&statement.sql, &statement.places)).await {
        Ok(prepared) => conn.close(prepared).await.map(Ok).map_err(doing()),
        Err(Error::Server(said)) => Ok(Err(said)),
        Err(error) => Err(doing()(error)),
    }
}

/// The settings of transactions that sessions of this user cannot set, with the server's words.
async fn refused_settings<'w>(
    client: &Client,
    workload: &'w Workload,
) -> Result<Vec<(&'w Setting, String)>, DatasetError> {
    let mut refused = Vec::new();
    for setting in workload.transactions.iter().flat_map(|transaction| &transaction.modes.set) {
        if let Err(words) = check_session_setting(client, &setting.name, &setting.value).await? {
            refused.push((setting, words));
        }
    }
    Ok(refused)
}

fn report_settings(
    refused: Vec<(&Setting, String)>,
    workload: &Workload,
    mistakes: &mut Mistakes,
) -> Result<(), DatasetError> {
    if refused.is_empty() {
        return Ok(());
    }
    let source = add(workload, "workload.toml", mistakes)?;
    for (setting, words) in refused {
        let label = format!("the server refuses this value of `{}`", setting.name);
        let help = "`set` takes what `SET SESSION` takes from this user".to_owned();
        mistakes.at(source, setting.span.clone(), words, label, Some(help));
    }
    Ok(())
}

/// Adds the refusals to `mistakes`, each at the name line of the first statement that meets it.
pub(super) fn report(
    refusals: &[Refusal],
    workload: &Workload,
    mistakes: &mut Mistakes,
) -> Result<(), DatasetError> {
    let mut sources: BTreeMap<&str, usize> = BTreeMap::new();
    for refusal in refusals {
        let first = &workload.statements[refusal.statements[0]];
        let source = match sources.get(first.file) {
            Some(source) => *source,
            None => add(workload, first.file, mistakes)?,
        };
        sources.insert(first.file, source);
        let others: Vec<&str> =
            refusal.statements[1..].iter().map(|&index| workload.statements[index].name.as_str()).collect();
        let at = refusal.at.as_ref().map_or_else(String::new, |at| format!(" (at `{at}`)"));
        let and = if others.is_empty() { String::new() } else { format!(", and so {}", others.join(", ")) };
        let label = format!("the server refuses this statement{at}{and}");
        mistakes.at(source, first.span.clone(), spoken(&refusal.said), label, remedy(refusal, workload));
    }
    Ok(())
}

/// A file of the workload as one that mistakes point into.
fn add(workload: &Workload, file: &str, mistakes: &mut Mistakes) -> Result<usize, DatasetError> {
    let path = workload.folder.join(file);
    let text =
        std::fs::read_to_string(&path).map_err(|source| DatasetError::File { path: path.clone(), source })?;
    Ok(mistakes.add_source(path, text))
}

fn remedy(refusal: &Refusal, workload: &Workload) -> Option<String> {
    /// `ER_PARSE_ERROR`, `ER_SP_DOES_NOT_EXIST`, `ER_WRONG_ARGUMENTS`
    const OF_DIALECT: [u16; 3] = [1064, 1305, 1210];
    let folder = workload.folder.display();
    let first = &workload.statements[refusal.statements[0]];
    match refusal.said.code {
        NO_SUCH_TABLE if workload.schema.is_some() => {
            Some(format!("run `dbdyno load -w {folder}` on this target first"))
        }
        NO_SUCH_TABLE => Some(
            "the workload has no schema.sql: it runs on tables that something else makes in this database"
                .to_owned(),
        ),
        TABLE_ACCESS_DENIED => {
            Some("grant the right to the user of the target, or name another user in the URL".to_owned())
        }
        code if OF_DIALECT.contains(&code) && first.file == "queries.sql" => Some(format!(
            "where MariaDB and MySQL want other words, write `{}` into `queries.mysql.sql` under the same name",
            first.name
        )),
        _ => None,
    }
}
