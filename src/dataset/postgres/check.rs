//! The workload's statements, prepared by the server before any of them is measured. All that it refuses is reported at once.

use std::collections::BTreeSet;

use super::server::{failed, place, words};
use crate::dataset::DatasetError;
use crate::db::postgres::{Client, set_local};
use crate::diagnostic::Mistakes;
use crate::sql::statement::StatementKind;
use crate::workload::{Setting, Statement, Workload};

/// Prepares every statement of the workload and asks for the rights it needs; nothing is executed. What the server refuses
/// points into `queries.sql`, one mistake for each distinct refusal with all statements that meet it.
pub async fn check_statements(client: &Client, workload: &Workload) -> Result<(), DatasetError> {
    client.batch_execute("BEGIN").await.map_err(failed("check the statements"))?;
    let mut mistakes = Mistakes::default();
    let refusals = refusals(client, workload, true).await;
    let refused_settings = refused_settings(client, workload).await;
    client.batch_execute("ROLLBACK").await.map_err(failed("check the statements"))?;
    report(&refusals?, workload, &mut mistakes)?;
    report_settings(refused_settings?, workload, &mut mistakes)?;
    if mistakes.is_empty() { Ok(()) } else { Err(DatasetError::Mistakes(mistakes)) }
}

/// One refusal and whom it concerns.
#[derive(Debug)]
pub(super) struct Refusal {
    code: String,
    words: String,
    hint: Option<String>,
    /// The word that the server points at, in the first statement.
    at: Option<String>,
    /// Indexes into the workload's statements, distinct by name.
    statements: Vec<usize>,
}

/// What the server refuses, by distinct refusal. Runs inside a transaction and leaves it as it was.
pub(super) async fn refusals(
    client: &Client,
    workload: &Workload,
    with_rights: bool,
) -> Result<Vec<Refusal>, DatasetError> {
    let mut refusals: Vec<Refusal> = vec![];
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for (index, statement) in workload.statements.iter().enumerate() {
        // The same statement in another transaction has another tag, and the same errors.
        if !seen.insert(&statement.name) {
            continue;
        }
        client.batch_execute("SAVEPOINT dbdyno_check").await.map_err(failed("check the statements"))?;
        let refused = prepare(client, statement, with_rights).await;
        if client.is_closed() {
            return Err(DatasetError::Server {
                doing: format!("prepare `{}`", statement.name),
                message: refused.err().map_or_else(String::new, |error| words(&error)),
            });
        }
        client
            .batch_execute("ROLLBACK TO SAVEPOINT dbdyno_check; RELEASE SAVEPOINT dbdyno_check")
            .await
            .map_err(failed("check the statements"))?;
        let Err(error) = refused else { continue };
        let Some(said) = error.as_db_error() else {
            return Err(failed(format!("prepare `{}`", statement.name))(error));
        };
        let words = said.message().to_owned();
        match refusals.iter_mut().find(|refusal| refusal.words == words) {
            Some(refusal) => refusal.statements.push(index),
            None => refusals.push(Refusal {
                code: said.code().code().to_owned(),
                words,
                hint: said.hint().map(str::to_owned),
                at: place(said, &statement.sql).map(|at| statement.sql[at].to_owned()),
                statements: vec![index],
            }),
        }
    }
    Ok(refusals)
}

/// The settings of transactions that the server refuses, with its words. Leaves the transaction as it was.
async fn refused_settings<'w>(
    client: &Client,
    workload: &'w Workload,
) -> Result<Vec<(&'w Setting, String)>, DatasetError> {
    let mut refused = Vec::new();
    for setting in workload.transactions.iter().flat_map(|transaction| &transaction.modes.set) {
        client.batch_execute("SAVEPOINT dbdyno_check").await.map_err(failed("check the settings"))?;
        let set = client.batch_execute(&set_local(&setting.name, &setting.value)).await;
        client
            .batch_execute("ROLLBACK TO SAVEPOINT dbdyno_check; RELEASE SAVEPOINT dbdyno_check")
            .await
            .map_err(failed("check the settings"))?;
        match set {
            Ok(()) => {}
            Err(error) if error.as_db_error().is_some() => refused.push((setting, words(&error))),
            Err(error) => return Err(failed("check the settings")(error)),
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
    let path = workload.folder.join("workload.toml");
    let text =
        std::fs::read_to_string(&path).map_err(|source| DatasetError::File { path: path.clone(), source })?;
    let source = mistakes.add_source(path, text);
    for (setting, words) in refused {
        let label = format!("the server refuses this value of `{}`", setting.name);
        let help = "`set` takes what `SET LOCAL` takes from this user".to_owned();
        mistakes.at(source, setting.span.clone(), words, label, Some(help));
    }
    Ok(())
}

async fn prepare(
    client: &Client,
    statement: &Statement,
    with_rights: bool,
) -> Result<(), tokio_postgres::Error> {
    client.prepare(&statement.sql).await?;
    if with_rights && statement.kind != StatementKind::Other {
        rights(client, statement).await
    } else {
        Ok(())
    }
}

/// Fails when a right is missing. Rights are looked at when a plan is made ready to run, which EXPLAIN does without running
/// it; what else it may say about a plan without values is of no account.
async fn rights(client: &Client, statement: &Statement) -> Result<(), tokio_postgres::Error> {
    let sql = statement.sql.trim_end().trim_end_matches(';');
    if client.batch_execute(&format!("PREPARE dbdyno_rights AS {sql}")).await.is_err() {
        return Ok(());
    }
    let nulls = vec!["NULL"; statement.inputs.len()].join(", ");
    let call = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
    let explained = client.batch_execute(&format!("EXPLAIN EXECUTE dbdyno_rights{call}")).await;
    // What was prepared outlives the transaction, and a failed one refuses to forget it.
    client.batch_execute("ROLLBACK TO SAVEPOINT dbdyno_check; DEALLOCATE dbdyno_rights").await?;
    match explained {
        Err(error) if error.code() == Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE) => {
            Err(error)
        }
        _ => Ok(()),
    }
}

/// Adds the refusals to `mistakes`, each at the name line of the first statement that meets it.
pub(super) fn report(
    refusals: &[Refusal],
    workload: &Workload,
    mistakes: &mut Mistakes,
) -> Result<(), DatasetError> {
    if refusals.is_empty() {
        return Ok(());
    }
    let path = workload.folder.join("queries.sql");
    let text =
        std::fs::read_to_string(&path).map_err(|source| DatasetError::File { path: path.clone(), source })?;
    let source = mistakes.add_source(path, text);
    for refusal in refusals {
        let names: Vec<&str> =
            refusal.statements.iter().map(|&index| workload.statements[index].name.as_str()).collect();
        let first = &workload.statements[refusal.statements[0]];
        let at = refusal.at.as_ref().map_or_else(String::new, |at| format!(" (at `{at}`)"));
        let label = match names.as_slice() {
            [_] => format!("the server refuses this statement{at}"),
            [_, others @ ..] => {
                format!("the server refuses this statement{at}, and so {}", others.join(", "))
            }
            [] => String::new(),
        };
        let message = format!("{} (SQLSTATE {})", refusal.words, refusal.code);
        mistakes.at(source, first.span.clone(), message, label, remedy(refusal, workload));
    }
    Ok(())
}

fn remedy(refusal: &Refusal, workload: &Workload) -> Option<String> {
    let folder = workload.folder.display();
    match refusal.code.as_str() {
        // undefined_table, invalid_schema_name
        "42P01" | "3F000" if workload.schema.is_some() => {
            Some(format!("run `dbdyno load -w {folder}` on this target first"))
        }
        "42P01" | "3F000" => Some(
            "the workload has no schema.sql: it runs on tables that something else makes in this database"
                .to_owned(),
        ),
        // insufficient_privilege
        "42501" => {
            Some("grant the right to the user of the target, or name another user in the URL".to_owned())
        }
        _ => refusal.hint.clone(),
    }
}
