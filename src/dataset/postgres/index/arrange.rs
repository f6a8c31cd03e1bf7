//! The indexes of an arm, made before its slice, and the target as it was, afterwards.

use super::cache::WARM;
use crate::dataset::DatasetError;
use crate::dataset::index::{Arrangement, Foreseen, Held, State};
use crate::dataset::postgres::server::{code, failed, words};
use crate::db::postgres::Client;

/// How long a build waits for those who use the table; behind it everybody else waits.
const PATIENCE: &str = "SET lock_timeout = '10s'";
const NO_PATIENCE: &str = "RESET lock_timeout";
/// `lock_not_available`
const TIMED_OUT: &str = "55P03";

/// Keeps an index up and takes it from the planner, with those of its partitions. It holds for sessions that plan anew: a plan that
/// was kept goes on using it.
const HIDE: &str = "UPDATE pg_catalog.pg_index SET indisvalid = $2
    WHERE indexrelid IN (SELECT to_regclass($1)::oid UNION SELECT relid FROM pg_partition_tree(to_regclass($1)))
      AND indisvalid <> $2";

/// Arranges the indexes of an arm. The inner error is what the server has against it.
pub async fn arrange(client: &Client, arrangement: &Arrangement) -> Result<Result<(), String>, DatasetError> {
    match arranged(client, arrangement).await {
        Ok(()) => Ok(Ok(())),
        Err((doing, error)) if error.as_db_error().is_some() && !client.is_closed() => {
            // A failed statement must not leave its patience to others.
            let _ = client.batch_execute(NO_PATIENCE).await;
            let why = if code(&error) == Some(TIMED_OUT) {
                "others hold locks on the table: end their transactions".to_owned()
            } else {
                words(&error)
            };
            Ok(Err(format!("cannot {doing}: {why}")))
        }
        Err((doing, error)) => Err(failed(doing)(error)),
    }
}

async fn arranged(client: &Client, arrangement: &Arrangement) -> Result<(), (String, tokio_postgres::Error)> {
    let run =
        async |sql: &str, doing: String| client.batch_execute(sql).await.map_err(|error| (doing, error));
    run(PATIENCE, "set lock_timeout".to_owned()).await?;
    let remove =
        async |index: &str| run(&format!("DROP INDEX IF EXISTS {index}"), format!("drop {index}")).await;
    for index in &arrangement.indexes {
        remove(&index.quoted).await?;
    }
    for index in &arrangement.indexes {
        for statement in &index.statements {
            run(statement, format!("build {}", index.label)).await?;
        }
        if index.analyze {
            let table = &index.table_quoted;
            run(&format!("ANALYZE {table}"), format!("analyse {table}")).await?;
        }
    }
    let of = |state: State| arrangement.indexes.iter().filter(move |index| index.state == state);
    for index in of(State::Absent) {
        remove(&index.quoted).await?;
    }
    for index in of(State::Hidden) {
        let hidden = client.execute(HIDE, &[&index.quoted, &false]).await;
        hidden.map_err(|error| (format!("hide {} from the planner", index.quoted), error))?;
    }
    for statement in &arrangement.hold {
        run(statement, "hold autovacuum off".to_owned()).await?;
    }
    run(NO_PATIENCE, "reset lock_timeout".to_owned()).await?;
    for table in &arrangement.vacuum {
        run(&format!("VACUUM {table}"), format!("vacuum {table}")).await?;
    }
    if arrangement.warm {
        run(WARM, "read the data into shared_buffers".to_owned()).await?;
    }
    Ok(())
}

/// What these tables say of autovacuum, before it is held off them.
pub async fn autovacuum_of(client: &Client, tables: &[String]) -> Result<Vec<Held>, DatasetError> {
    let mut held = Vec::new();
    for table in tables {
        let doing = || format!("ask what {table} says of autovacuum");
        let asked = "SELECT (SELECT option_value FROM pg_options_to_table(c.reloptions) WHERE option_name = 'autovacuum_enabled'),
            c.relkind = 'r' FROM pg_class c WHERE c.oid = to_regclass($1)::oid";
        let row = client.query_one(asked, &[table]).await.map_err(failed(doing()))?;
        // A partitioned table has no rows of its own and takes no such option.
        if row.get::<_, bool>(1) {
            held.push(holding(table, row.get(0)));
        }
    }
    Ok(held)
}

/// How autovacuum is held off a table that said `before` of it.
fn holding(table: &str, before: Option<&str>) -> Held {
    let back = match before {
        Some(value) => format!("ALTER TABLE {table} SET (autovacuum_enabled = {value})"),
        None => format!("ALTER TABLE {table} RESET (autovacuum_enabled)"),
    };
    let off = format!("ALTER TABLE {table} SET (autovacuum_enabled = off)");
    Held { table: table.to_owned(), off, back }
}

/// Puts the target back as it was before the experiment: own indexes go, those that were there stand and are used, autovacuum does
/// what it did. Gives what did not work, as the statement that does it and the server's words.
pub async fn put_back(
    client: &Client,
    indexes: &[Foreseen],
    held: &[Held],
    working: Option<u32>,
) -> Vec<(String, String)> {
    let mut failed = Vec::new();
    if let Some(pid) = working.and_then(|pid| i32::try_from(pid).ok()) {
        // A build that was left would hold up all that follows. Its connection is gone, so that nobody else has its number.
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE pid = $1 AND application_name LIKE 'dbdyno%' AND pid <> pg_backend_pid()";
        let _ = client.query(end, &[&pid]).await;
    }
    for index in indexes {
        if !index.is_there {
            try_out(client, format!("DROP INDEX IF EXISTS {}", index.quoted), &mut failed).await;
            continue;
        }
        let asked = "SELECT to_regclass($1) IS NOT NULL";
        let is_built = client.query_one(asked, &[&index.quoted]).await.is_ok_and(|row| row.get(0));
        if !is_built {
            for statement in &index.build {
                try_out(client, statement.clone(), &mut failed).await;
            }
            if index.has_expressions {
                try_out(client, format!("ANALYZE {}", index.table_quoted), &mut failed).await;
            }
        } else if let Err(error) = client.execute(HIDE, &[&index.quoted, &true]).await
            && code(&error) != Some("42501")
        {
            // Who may not change the catalogue has not hidden anything.
            failed.push((format!("REINDEX INDEX {}", index.quoted), words(&error)));
        }
    }
    for table in held {
        try_out(client, table.back.clone(), &mut failed).await;
    }
    failed
}

async fn try_out(client: &Client, statement: String, failed: &mut Vec<(String, String)>) {
    if let Err(error) = client.batch_execute(&statement).await {
        failed.push((statement, words(&error)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn autovacuum_is_put_back_to_what_it_was() {
        assert_eq!(holding("public.t", None).back, "ALTER TABLE public.t RESET (autovacuum_enabled)");
        assert_eq!(
            holding("public.t", Some("true")).back,
            "ALTER TABLE public.t SET (autovacuum_enabled = true)"
        );
    }
}
