//! The indexes of an arm, made before its slice, and the target as it was, afterwards.

use mysql_async::Error;

use super::buffers::warming;
use super::catalogue::keys;
use super::{is_named, removal, visibility};
use crate::dataset::DatasetError;
use crate::dataset::index::{Arrangement, Foreseen, State};
use crate::dataset::mysql::introspect::parts;
use crate::dataset::mysql::server::{code, failed, words};
use crate::db::mysql::Client;

/// How long a change waits for those who use the table; behind it everybody else waits.
pub(super) const PATIENCE: &str = "SET SESSION lock_wait_timeout = 10";
pub(super) const NO_PATIENCE: &str = "SET SESSION lock_wait_timeout = DEFAULT";
/// `ER_LOCK_WAIT_TIMEOUT`
const TIMED_OUT: u16 = 1205;

/// What the server has against a change of a table.
pub(super) fn objection(error: &Error) -> String {
    if code(error) == Some(TIMED_OUT) {
        return "others hold locks on the table: end their transactions".to_owned();
    }
    words(error)
}

/// Arranges the indexes of an arm. The inner error is what the server has against it.
pub async fn arrange(client: &Client, arrangement: &Arrangement) -> Result<Result<(), String>, DatasetError> {
    match arranged(client, arrangement).await {
        Ok(()) => Ok(Ok(())),
        Err((doing, error @ Error::Server(_))) => {
            // A failed statement must not leave its patience to others.
            let _ = client.run(NO_PATIENCE).await;
            Ok(Err(format!("cannot {doing}: {}", objection(&error))))
        }
        Err((doing, error)) => Err(failed(doing)(error)),
    }
}

async fn arranged(client: &Client, arrangement: &Arrangement) -> Result<(), (String, Error)> {
    let run = async |sql: &str, doing: String| match client.run(sql).await {
        Ok(_) => Ok(()),
        Err(error) => Err((doing, error)),
    };
    run(PATIENCE, "set lock_wait_timeout".to_owned()).await?;
    // One that nothing makes stays, and is only hidden.
    let made = || arrangement.indexes.iter().filter(|index| !index.statements.is_empty());
    for index in made() {
        let there = is_there(client, &index.table_quoted, &index.quoted).await;
        if there.map_err(|error| (format!("look up {}", index.label), error))? {
            run(&removal(&index.table_quoted, &index.quoted), format!("drop {}", index.quoted)).await?;
        }
    }
    for index in made() {
        for statement in &index.statements {
            run(statement, format!("build {}", index.label)).await?;
        }
    }
    for index in &arrangement.indexes {
        let (table, name) = (&index.table_quoted, &index.quoted);
        let is_new = !index.statements.is_empty();
        match index.state {
            State::Absent => run(&removal(table, name), format!("drop {name}")).await?,
            State::Used if is_new => {}
            State::Used | State::Hidden => {
                let is_hidden = index.state == State::Hidden;
                let sql = visibility(table, name, is_hidden, client.is_mariadb());
                run(&sql, format!("hide {name} from the planner, or show it")).await?;
            }
        }
    }
    run(NO_PATIENCE, "reset lock_wait_timeout".to_owned()).await?;
    if arrangement.warm {
        let doing = || "read the data into the buffer pool".to_owned();
        for statement in warming(client).await.map_err(|error| (doing(), error))? {
            run(&statement, doing()).await?;
        }
    }
    Ok(())
}

/// Whether an index is there. Both names are as commands take them.
async fn is_there(client: &Client, table: &str, index: &str) -> Result<bool, Error> {
    let asked = "SELECT 1 FROM information_schema.STATISTICS \
                 WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? AND INDEX_NAME = ? LIMIT 1";
    let rows = client.rows_with(asked, (parts(table).1, parts(index).1)).await?;
    Ok(!rows.is_empty())
}

/// Puts the target back as it was before the experiment: own indexes go, those that were there stand and are used. Gives what did
/// not work, as the statement that does it and the server's words.
pub async fn put_back(client: &Client, indexes: &[Foreseen], working: Option<u32>) -> Vec<(String, String)> {
    let mut failed = Vec::new();
    if let Some(id) = working.filter(|id| *id != client.id()) {
        // A build that was left would hold up all that follows. No other session ever gets its number.
        let _ = client.run(&format!("KILL {id}")).await;
    }
    for index in indexes {
        let (table, name) = (&index.table_quoted, &index.quoted);
        let known = match keys(client, &index.table).await {
            Ok(known) => known,
            Err(error) => {
                failed.push((index.put_back.join("; "), error.to_string()));
                continue;
            }
        };
        let own = known.iter().find(|key| is_named(&key.name, &parts(name).1));
        let statements = match (own, index.is_there) {
            (Some(_), false) => vec![removal(table, name)],
            (Some(own), true) if own.ignored => vec![visibility(table, name, false, client.is_mariadb())],
            (None, true) => index.build.clone(),
            (Some(_), true) | (None, false) => Vec::new(),
        };
        for statement in statements {
            if let Err(error) = client.run(&statement).await {
                failed.push((statement, words(&error)));
            }
        }
    }
    failed
}
