//! What is done with the database: `pg_stat_statements` at several moments, sessions as they are seen, and what the server says of
//! the parameters of a statement when it is prepared. Nothing is executed. PostgreSQL 14 to 18.

use std::collections::BTreeMap;
use std::time::Instant;

use futures_util::future::join_all;
use tokio_postgres::Statement;
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::types::{Kind, Type};

use super::tables::kind_of;
use super::{Reader, is_marked};
use crate::dataset::DatasetError;
use crate::dataset::capture::{Refused, SessionSample, TypeKind};
use crate::dataset::postgres::server::{code, failed, quoted, words};

const EXTENSION: &str = "
    SELECT n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'pg_stat_statements'";

const COMMITS: &str =
    "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";

/// Client backends of this database but our own, by application and state, with the mean age of their transactions.
const SESSIONS: &str = "
    SELECT coalesce(application_name, ''), coalesce(state, 'unknown'), count(*),
           coalesce(avg(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8
    FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
    GROUP BY 1, 2 ORDER BY 1, 2";

/// What most sessions have.
const USUAL_PATH: &str = "\"$user\", public";
const UNDEFINED_TABLE: &str = "42P01";
/// What another search path may find: `undefined_table`, `undefined_function`, `undefined_object`.
const NOT_FOUND: [&str; 3] = [UNDEFINED_TABLE, "42883", "42704"];

/// `pg_stat_statements` at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When it was read.
    pub at: Instant,
    /// Seconds since the counters began.
    pub age_s: f64,
    /// Transactions of the database that ended.
    pub transactions: f64,
    /// Of all that clients sent.
    pub statements: BTreeMap<StatementNumber, Counted>,
}

/// The server's number of a statement, and its user.
pub type StatementNumber = (i64, u32);

/// The counters of one statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    /// Its text, with `$n` in place of constants; absent where it was not asked for or may not be read.
    pub text: Option<String>,
    /// How often it was executed.
    pub calls: f64,
    /// How long that took, in milliseconds.
    pub exec_ms: f64,
    /// Rows that it gave or changed.
    pub rows: f64,
    /// Blocks found in the buffers.
    pub blocks_hit: f64,
    /// Blocks that were read into them.
    pub blocks_read: f64,
}

/// What the server says of a statement.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedStatement {
    /// The types of `$1`, `$2`, …: name and kind.
    pub parameters: Vec<(String, TypeKind)>,
    /// Names of the columns that it gives.
    pub columns: Vec<String>,
    /// What the search path must be where the usual one does not do.
    pub search_path: Option<String>,
}

impl Reader<'_> {
    /// The counters of all statements of this database that clients sent; nothing where the extension is not there. Texts are as long
    /// as all else together, and are asked for once.
    pub async fn snapshot(&mut self, with_texts: bool) -> Result<Option<Snapshot>, DatasetError> {
        const DOING: &str = "read pg_stat_statements";
        let Some(schema) = self.ask(DOING, EXTENSION, &[]).await?.first().map(|row| row.get::<_, String>(0))
        else {
            return Ok(None);
        };
        let schema = quoted(&schema);
        let age = format!(
            "SELECT extract(epoch FROM clock_timestamp() - stats_reset)::float8 FROM {schema}.pg_stat_statements_info"
        );
        let age_s = self.ask(DOING, &age, &[]).await?.first().and_then(|row| row.get::<_, Option<f64>>(0));
        let ended = self.ask(DOING, COMMITS, &[]).await?;
        let sql = format!(
            "SELECT queryid, userid, query, calls::float8, total_exec_time::float8, rows::float8, shared_blks_hit::float8,
                    shared_blks_read::float8
             FROM {schema}.pg_stat_statements($1)
             WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND toplevel AND queryid IS NOT NULL"
        );
        let rows = self.ask(DOING, &sql, &[&with_texts]).await?;
        let counted = |row: &tokio_postgres::Row| Counted {
            text: row.get(2),
            calls: row.get(3),
            exec_ms: row.get(4),
            rows: row.get(5),
            blocks_hit: row.get(6),
            blocks_read: row.get(7),
        };
        let is_own = |row: &tokio_postgres::Row| row.get::<_, Option<&str>>(2).is_some_and(is_marked);
        let rows = rows.iter().filter(|row| !is_own(row));
        Ok(Some(Snapshot {
            at: Instant::now(),
            age_s: age_s.unwrap_or(0.0),
            transactions: ended.first().map_or(0.0, |row| row.get::<_, i64>(0) as f64),
            statements: rows.map(|row| ((row.get(0), row.get(1)), counted(row))).collect(),
        }))
    }

    /// The sessions of this moment.
    pub async fn sessions(&mut self) -> Result<Vec<SessionSample>, DatasetError> {
        let rows = self.ask("look at the sessions", SESSIONS, &[]).await?;
        let sample = |row: &tokio_postgres::Row| SessionSample {
            application: row.get(0),
            state: row.get(1),
            count: row.get::<_, i64>(2) as f64,
            transaction_age_s: row.get(3),
        };
        Ok(rows.iter().map(sample).collect())
    }

    /// Has the server parse statements, many at a time, under the usual search path, and those that need it under one with all schemas
    /// that are captured. The inner errors are the server's words. Not to be called between [`Reader::begin`] and [`Reader::end`].
    pub async fn check(
        &mut self,
        texts: &[&str],
    ) -> Result<Vec<Result<CheckedStatement, Refused>>, DatasetError> {
        let all: Vec<String> = self.schemas.iter().map(|schema| quoted(schema)).collect();
        let all = all.join(", ");
        let mut checked = vec![];
        let mut again = vec![];
        for (place, answer) in self.prepare(USUAL_PATH, texts).await?.into_iter().enumerate() {
            let is_not_found =
                |error: &tokio_postgres::Error| NOT_FOUND.contains(&code(error).unwrap_or_default());
            if answer.as_ref().is_err_and(is_not_found) {
                again.push(place);
            }
            checked.push(answer.map_err(|error| refused(&error, None)));
        }
        let texts: Vec<&str> = again.iter().map(|place| texts[*place]).collect();
        for (place, answer) in again.into_iter().zip(self.prepare(&all, &texts).await?) {
            match answer {
                Ok(found) => {
                    checked[place] = Ok(CheckedStatement { search_path: Some(all.clone()), ..found });
                }
                // Where it is not found either way, the first words say more.
                Err(error) => {
                    let second = code(&error).unwrap_or_default();
                    let lacked_table =
                        checked[place].as_ref().is_err_and(|first| first.sqlstate == UNDEFINED_TABLE);
                    if !NOT_FOUND.contains(&second) || (lacked_table && second != UNDEFINED_TABLE) {
                        checked[place] = Err(refused(&error, Some(&all)));
                    }
                }
            }
        }
        Ok(checked)
    }

    /// Has the server parse statements under one search path, that of an earlier answer: none is the usual one.
    pub async fn check_under(
        &mut self,
        path: Option<&str>,
        texts: &[&str],
    ) -> Result<Vec<Result<CheckedStatement, Refused>>, DatasetError> {
        let answers = self.prepare(path.unwrap_or(USUAL_PATH), texts).await?;
        let told = |answer: Result<CheckedStatement, tokio_postgres::Error>| match answer {
            Ok(found) => Ok(CheckedStatement { search_path: path.map(str::to_owned), ..found }),
            Err(error) => Err(refused(&error, path)),
        };
        Ok(answers.into_iter().map(told).collect())
    }

    /// Prepares statements under a search path: so many are on their way at once.
    async fn prepare(
        &mut self,
        path: &str,
        texts: &[&str],
    ) -> Result<Vec<Result<CheckedStatement, tokio_postgres::Error>>, DatasetError> {
        const AT_ONCE: usize = 64;
        if texts.is_empty() {
            return Ok(vec![]);
        }
        self.set_search_path(path).await?;
        let mut answers = vec![];
        for some in texts.chunks(AT_ONCE) {
            let begun = Instant::now();
            let prepared = join_all(some.iter().map(|text| self.client.prepare(text))).await;
            self.queries += some.len() as u64;
            self.spent += begun.elapsed();
            for answer in prepared {
                answers.push(match answer {
                    Ok(prepared) => Ok(checked(&prepared)),
                    Err(error) if error.as_db_error().is_some() => Err(error),
                    Err(error) => return Err(failed("prepare a statement")(error)),
                });
            }
        }
        Ok(answers)
    }

    async fn set_search_path(&mut self, path: &str) -> Result<(), DatasetError> {
        if self.path == path {
            return Ok(());
        }
        path.clone_into(&mut self.path);
        self.queries += 1;
        let set = format!("SET search_path = {path}");
        self.client.batch_execute(&set).await.map_err(failed("set the search path"))
    }
}

fn refused(error: &tokio_postgres::Error, path: Option<&str>) -> Refused {
    let position = error.as_db_error().and_then(|said| match said.position() {
        Some(ErrorPosition::Original(at)) => usize::try_from(at.saturating_sub(1)).ok(),
        _ => None,
    });
    Refused {
        words: words(error),
        sqlstate: code(error).unwrap_or_default().to_owned(),
        at: position,
        search_path: path.map(str::to_owned),
    }
}

fn checked(prepared: &Statement) -> CheckedStatement {
    let kind = |of: &Type| (of.name().to_owned(), kind_of_type(of));
    CheckedStatement {
        parameters: prepared.params().iter().map(kind).collect(),
        columns: prepared.columns().iter().map(|column| column.name().to_owned()).collect(),
        search_path: None,
    }
}

fn kind_of_type(of: &Type) -> TypeKind {
    let is_string = [Type::TEXT, Type::VARCHAR, Type::BPCHAR].contains(of) || of.name() == "citext";
    match of.kind() {
        Kind::Domain(base) => kind_of_type(base),
        Kind::Array(element) => match kind_of_type(element) {
            kind if kind.can_be_element() => TypeKind::Array(Box::new(kind)),
            _ => TypeKind::Other,
        },
        Kind::Enum(labels) => TypeKind::Enum(labels.clone()),
        Kind::Simple if of.name() == "hstore" => TypeKind::Hstore,
        _ => kind_of(of.oid(), false, is_string, vec![]),
    }
}
