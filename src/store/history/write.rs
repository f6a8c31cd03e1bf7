//! Everything that changes a store: each call is one transaction, done as a whole or not at all.

use std::collections::BTreeSet;

use sqlx::{Database, Encode, QueryBuilder, Type};

use super::record::{Details, Unfit, check_name, check_text};
use super::{History, HistoryError, Pool, Purpose, RunRecord, RunSummary, StoredDistribution};

/// Ids, or rows of metrics, in one statement. A statement of SQLite takes 32,766 parameters.
const CHUNK: usize = 1000;

/// Distributions in one statement: some kilobytes each.
const DISTRIBUTIONS_CHUNK: usize = 100;

impl History {
    /// Keeps a run.
    ///
    /// Where its id is there already nothing changes, and the error tells the same run ([`HistoryError::Exists`]) from another one
    /// ([`HistoryError::NameTaken`]). So a put whose answer was lost can be tried again. Counts above 2⁶³ − 1, figures that are no
    /// numbers, and names with control characters are [`HistoryError::Unfit`].
    pub async fn put(&self, record: &RunRecord) -> Result<(), HistoryError> {
        record.check()?;
        let id = &record.summary.id;
        while !self.add(record).await? {
            let stored = match self.get(id).await {
                // Deleted since.
                Err(HistoryError::NoRun { .. }) => continue,
                stored => stored?,
            };
            let (id, store) = (id.clone(), self.store.clone());
            return Err(if stored.is_same_run(record) {
                HistoryError::Exists { id, store }
            } else {
                HistoryError::NameTaken { id, store }
            });
        }
        Ok(())
    }

    /// False when the id is there already.
    async fn add(&self, record: &RunRecord) -> Result<bool, HistoryError> {
        let run = &record.summary;
        let tags: Vec<_> = run.tags.iter().map(String::as_str).collect();
        let metrics: Vec<_> = record.metrics.iter().collect();
        on_pool!(self, "store a run", |pool| {
            let details = serde_json::to_string(&Details::from(run))
                .map_err(|error| sqlx::Error::Encode(error.into()))?;
            let mut transaction = pool.begin_with(self.begin(Purpose::Add)).await?;
            let inserted: Option<i64> =
                insert_run(run, &details).build_query_scalar().fetch_optional(&mut *transaction).await?;
            let Some(key) = inserted else { return Ok(false) };
            insert_report(key, &record.report).build().execute(&mut *transaction).await?;
            for tags in tags.chunks(CHUNK) {
                insert_tags(tags.iter().map(|tag| (key, *tag))).build().execute(&mut *transaction).await?;
            }
            for metrics in metrics.chunks(CHUNK) {
                insert_metrics(key, metrics).build().execute(&mut *transaction).await?;
            }
            for distributions in record.distributions.chunks(DISTRIBUTIONS_CHUNK) {
                insert_distributions(key, distributions).build().execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            Ok(true)
        })
    }

    /// Takes tags off runs and puts others on; a tag that is in both lists is there afterwards. Ids are whole; where one of them is
    /// not there, nothing is changed.
    pub async fn tag(&self, ids: &[String], add: &[String], remove: &[String]) -> Result<(), HistoryError> {
        let first = ids.first().map_or("", String::as_str);
        for tag in add {
            check_name("a tag", tag).map_err(|problem| Unfit { id: first.to_owned(), problem })?;
        }
        let missing = on_pool!(self, "tag runs", |pool| {
            let mut transaction = pool.begin_with(self.begin(Purpose::Change)).await?;
            for ids in ids.chunks(CHUNK) {
                let mut query = QueryBuilder::new("SELECT key, id FROM runs WHERE id IN ");
                push_list(&mut query, ids.iter().map(String::as_str));
                let found: Vec<(i64, String)> = query.build_query_as().fetch_all(&mut *transaction).await?;
                if let Some(missing) = first_missing(ids, &found) {
                    return Ok(Some(missing));
                }
                for tag in remove {
                    let mut query = QueryBuilder::new("DELETE FROM tags WHERE tag = ");
                    query.push_bind(tag.as_str()).push(" AND run IN ");
                    push_list(&mut query, found.iter().map(|(key, _)| *key));
                    query.build().execute(&mut *transaction).await?;
                }
                for tag in add {
                    let rows = found.iter().map(|(key, _)| (*key, tag.as_str()));
                    insert_tags(rows).build().execute(&mut *transaction).await?;
                }
            }
            transaction.commit().await?;
            Ok(None)
        })?;
        missing.map_or(Ok(()), |id| Err(self.no_run(id)))
    }

    /// Writes the note of a run, by its whole id, in place of the one that it had; an empty one takes it away.
    pub async fn set_note(&self, id: &str, note: &str) -> Result<(), HistoryError> {
        check_text("its note", note).map_err(|problem| Unfit { id: id.to_owned(), problem })?;
        let changed = on_pool!(self, "write a note", |pool| {
            let mut transaction = pool.begin_with(self.begin(Purpose::Change)).await?;
            let done = sqlx::query("UPDATE runs SET note = $1 WHERE id = $2")
                .bind(note)
                .bind(id)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(done.rows_affected())
        })?;
        if changed == 0 { Err(self.no_run(id)) } else { Ok(()) }
    }

    /// Deletes runs by their whole ids, with all that is kept of them. Gives the number of those that were there.
    pub async fn delete(&self, ids: &[String]) -> Result<u64, HistoryError> {
        on_pool!(self, "delete runs", |pool| {
            let mut transaction = pool.begin_with(self.begin(Purpose::Change)).await?;
            let mut deleted = 0;
            for ids in ids.chunks(CHUNK) {
                let mut query = QueryBuilder::new("DELETE FROM runs WHERE id IN ");
                push_list(&mut query, ids.iter().map(String::as_str));
                deleted += query.build().execute(&mut *transaction).await?.rows_affected();
            }
            transaction.commit().await?;
            Ok(deleted)
        })
    }
}

/// Adds nothing where the id is taken, and then gives no key back.
fn insert_run<DB>(run: &RunSummary, details: &str) -> QueryBuilder<DB>
where
    DB: Database,
    for<'a> &'a str: Encode<'a, DB> + Type<DB>,
    for<'a> i64: Encode<'a, DB> + Type<DB>,
{
    let mut query =
        QueryBuilder::new("INSERT INTO runs (id, kind, started_at_us, workload, verdict, note, details) ");
    query.push_values([run], |mut row, run| {
        row.push_bind(run.id.as_str())
            .push_bind(run.kind.as_str())
            .push_bind(run.started_at_us)
            .push_bind(run.workload.as_str())
            .push_bind(run.verdict.as_str())
            .push_bind(run.note.as_str())
            .push_bind(details);
    });
    query.push(" ON CONFLICT (id) DO NOTHING RETURNING key");
    query
}

fn insert_report<DB>(run: i64, report: &str) -> QueryBuilder<DB>
where
    DB: Database,
    for<'a> &'a str: Encode<'a, DB> + Type<DB>,
    for<'a> i64: Encode<'a, DB> + Type<DB>,
{
    let mut query = QueryBuilder::new("INSERT INTO reports (run, report) ");
    query.push_values([report], |mut row, report| {
        row.push_bind(run).push_bind(report);
    });
    query
}

/// Leaves a tag alone that is there already. At least one row.
fn insert_tags<'t, DB>(rows: impl Iterator<Item = (i64, &'t str)>) -> QueryBuilder<DB>
where
    DB: Database,
    for<'a> &'a str: Encode<'a, DB> + Type<DB>,
    for<'a> i64: Encode<'a, DB> + Type<DB>,
{
    let mut query = QueryBuilder::new("INSERT INTO tags (run, tag) ");
    query.push_values(rows, |mut row, (run, tag)| {
        row.push_bind(run).push_bind(tag);
    });
    query.push(" ON CONFLICT DO NOTHING");
    query
}

/// At least one.
fn insert_metrics<DB>(run: i64, metrics: &[(&String, &f64)]) -> QueryBuilder<DB>
where
    DB: Database,
    for<'a> &'a str: Encode<'a, DB> + Type<DB>,
    for<'a> i64: Encode<'a, DB> + Type<DB>,
    for<'a> f64: Encode<'a, DB> + Type<DB>,
{
    let mut query = QueryBuilder::new("INSERT INTO metrics (run, path, value) ");
    query.push_values(metrics, |mut row, &(path, &value)| {
        row.push_bind(run).push_bind(path.as_str()).push_bind(value);
    });
    query
}

/// At least one.
fn insert_distributions<DB>(run: i64, distributions: &[StoredDistribution]) -> QueryBuilder<DB>
where
    DB: Database,
    for<'a> &'a str: Encode<'a, DB> + Type<DB>,
    for<'a> i64: Encode<'a, DB> + Type<DB>,
    for<'a> &'a [u8]: Encode<'a, DB> + Type<DB>,
{
    let mut query =
        QueryBuilder::new("INSERT INTO distributions (run, stage, owner, what, count, sum_ns, histogram) ");
    query.push_values(distributions, |mut row, distribution| {
        row.push_bind(run)
            .push_bind(i64::from(distribution.stage))
            .push_bind(distribution.owner.as_str())
            .push_bind(distribution.what.as_str())
            .push_bind(count(distribution.count))
            .push_bind(count(distribution.sum_ns))
            .push_bind(distribution.histogram.as_slice());
    });
    query
}

/// `(a, b, c)`; not empty.
fn push_list<'a, DB, T>(query: &mut QueryBuilder<DB>, values: impl Iterator<Item = T>)
where
    DB: Database,
    T: Encode<'a, DB> + Type<DB>,
{
    query.push("(");
    let mut list = query.separated(", ");
    for value in values {
        list.push_bind(value);
    }
    query.push(")");
}

fn first_missing<'a>(ids: &'a [String], found: &[(i64, String)]) -> Option<&'a str> {
    let found: BTreeSet<&str> = found.iter().map(|(_, id)| id.as_str()).collect();
    ids.iter().map(String::as_str).find(|id| !found.contains(id))
}

/// As databases count; [`RunRecord`] was checked before.
fn count(count: u64) -> i64 {
    i64::try_from(count).expect("a run with a greater count is unfit")
}
