//! The workload's statements, prepared by the server before any of them is measured. All that it refuses is reported at once.

use mysql_async::prelude::Queryable as _;
use mysql_async::{Error, ServerError};

use super::between::check_session_setting;
use super::server::{NO_SUCH_TABLE, TABLE_ACCESS_DENIED, failed, place, spoken};
use crate::dataset::DatasetError;
use crate::dataset::refusals::{GRANT, Refusals, distinct, make_tables, report_settings, unless_mistaken};
use crate::db::mysql::Client;
use crate::diagnostic::Mistakes;
use crate::sql::named::question_marks;
use crate::workload::{Setting, Statement, Workload};

/// Prepares every statement of the workload, for which the server looks at its tables and at the rights to them; nothing is
/// executed. What it refuses points into the file of the statement, one mistake for each distinct refusal with all statements
/// that meet it.
pub async fn check_statements(client: &Client, workload: &Workload) -> Result<(), DatasetError> {
    let mut mistakes = Mistakes::default();
    refusals(client, workload).await?.report(&mut mistakes)?;
    report_settings(refused_settings(client, workload).await?, "SET SESSION", workload, &mut mistakes);
    unless_mistaken(mistakes)
}

/// What the server refuses.
pub(super) async fn refusals<'w>(
    client: &Client,
    workload: &'w Workload,
) -> Result<Refusals<'w>, DatasetError> {
    let mut refusals = Refusals::of(workload);
    for (index, statement) in distinct(workload) {
        let Err(said) = prepare(client, statement).await? else { continue };
        let at = place(&said, &statement.sql).map(|at| &statement.sql[at]);
        refusals.add(index, spoken(&said), at, remedy(&said, statement, workload));
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

fn remedy(said: &ServerError, statement: &Statement, workload: &Workload) -> Option<String> {
    /// `ER_PARSE_ERROR`, `ER_SP_DOES_NOT_EXIST`, `ER_WRONG_ARGUMENTS`
    const OF_DIALECT: [u16; 3] = [1064, 1305, 1210];
    match said.code {
        NO_SUCH_TABLE => Some(make_tables(workload)),
        TABLE_ACCESS_DENIED => Some(GRANT.to_owned()),
        code if OF_DIALECT.contains(&code) && statement.file == "queries.sql" => Some(format!(
            "where MariaDB and MySQL want other words, write `{}` into `queries.mysql.sql` under the same name",
            statement.name
        )),
        _ => None,
    }
}
