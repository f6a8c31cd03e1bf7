//! Everything that asks a store and changes nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{FutureExt as _, Stream, StreamExt as _};
use sqlx::{ColumnIndex, Database, Decode, Encode, FromRow, QueryBuilder, Row, Type};

use super::record::Details;
use super::{Filter, History, HistoryError, Pool, Purpose, RunRecord, RunSummary, StoredDistribution};

/// Columns of a [`RunSummary`], in the order in which [`FromRow`] takes them. The tags of a run come as one text, a line each.
const SUMMARY: &str = "runs.id, runs.kind, runs.started_at_us, runs.workload, runs.verdict, runs.note, runs.details, \
     (SELECT string_agg(tags.tag, '\n') FROM tags WHERE tags.run = runs.key)";

/// How many columns that are.
const SUMMARY_COLUMNS: usize = 8;

/// The order of lists.
const NEWEST_FIRST: &str = " ORDER BY runs.started_at_us DESC, runs.id DESC";

/// How many candidates an ambiguous name shows.
const CANDIDATES_MAX: usize = 10;

impl History {
    /// The runs that a filter lets through, the newest first.
    pub async fn list(&self, filter: &Filter) -> Result<Vec<RunSummary>, HistoryError> {
        on_pool!(self, "list the runs", |pool| {
            let mut query = QueryBuilder::new(format!("SELECT {SUMMARY} FROM runs WHERE TRUE"));
            push_filter(&mut query, filter);
            gathered(query.build_query_as().fetch(pool)).await
        })
    }

    /// The run with that id, or the only one whose id begins so.
    pub async fn find(&self, name: &str) -> Result<RunSummary, HistoryError> {
        let whole = on_pool!(self, "look for a run", |pool| {
            let mut query = QueryBuilder::new(format!("SELECT {SUMMARY} FROM runs WHERE runs.id = "));
            query.push_bind(name).build_query_as().fetch_optional(pool).await
        })?;
        if let Some(run) = whole {
            return Ok(run);
        }
        let limit = u32::try_from(CANDIDATES_MAX + 1).ok();
        let mut runs =
            self.list(&Filter { id_prefix: Some(name.to_owned()), limit, ..Filter::default() }).await?;
        match runs.len() {
            0 => Err(self.no_run(name)),
            1 => Ok(runs.remove(0)),
            found => {
                let candidates = runs.into_iter().take(CANDIDATES_MAX).map(|run| run.id).collect();
                Err(HistoryError::Ambiguous {
                    name: name.to_owned(),
                    candidates,
                    more: found > CANDIDATES_MAX,
                })
            }
        }
    }

    /// All that is kept of a run, by its whole id.
    pub async fn get(&self, id: &str) -> Result<RunRecord, HistoryError> {
        let found = on_pool!(self, "read a run", |pool| {
            let mut transaction = pool.begin_with(self.begin(Purpose::Read)).await?;
            let mut query = QueryBuilder::new(format!("SELECT {SUMMARY} FROM runs WHERE runs.id = "));
            let query = query.push_bind(id).build_query_as();
            let Some(summary) = query.fetch_optional(&mut *transaction).await? else { return Ok(None) };
            let report = sqlx::query_scalar(REPORT).bind(id).fetch_one(&mut *transaction).await?;
            let metrics: Vec<_> = sqlx::query_as(METRICS).bind(id).fetch_all(&mut *transaction).await?;
            let distributions = sqlx::query_as(DISTRIBUTIONS).bind(id).fetch_all(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(Some(RunRecord { summary, report, metrics: metrics.into_iter().collect(), distributions }))
        })?;
        found.ok_or_else(|| self.no_run(id))
    }

    /// The report of a run as JSON, by its whole id.
    pub async fn report(&self, id: &str) -> Result<String, HistoryError> {
        let found = on_pool!(self, "read a report", |pool| {
            sqlx::query_scalar(REPORT).bind(id).fetch_optional(pool).await
        })?;
        found.ok_or_else(|| self.no_run(id))
    }

    /// The distributions of a run, by its whole id; ordered by stage, owner and kind.
    pub async fn distributions(&self, id: &str) -> Result<Vec<StoredDistribution>, HistoryError> {
        let found: Vec<_> = on_pool!(self, "read distributions", |pool| {
            sqlx::query_as(DISTRIBUTIONS).bind(id).fetch_all(pool).await
        })?;
        if found.is_empty() {
            // A run without any is not the same as no run.
            self.report(id).await?;
        }
        Ok(found)
    }

    /// A metric over the runs that a filter lets through and that have it, the oldest first.
    pub async fn values(
        &self,
        metric: &str,
        filter: &Filter,
    ) -> Result<Vec<(RunSummary, f64)>, HistoryError> {
        let newest_first: Vec<WithValue> = on_pool!(self, "read the values of a metric", |pool| {
            // A cross join is for SQLite an order: runs first, by their index, so that a limit ends the work.
            let mut query = QueryBuilder::new(format!(
                "SELECT {SUMMARY}, metrics.value FROM runs CROSS JOIN metrics \
                 WHERE metrics.run = runs.key AND metrics.path = "
            ));
            query.push_bind(metric);
            push_filter(&mut query, filter);
            gathered(query.build_query_as().fetch(pool)).await
        })?;
        Ok(newest_first.into_iter().rev().map(|WithValue(run, value)| (run, value)).collect())
    }

    /// The paths of all metrics of the runs that a filter lets through, in alphabetical order.
    pub async fn metric_names(&self, filter: &Filter) -> Result<Vec<String>, HistoryError> {
        on_pool!(self, "list the metrics", |pool| {
            let mut query = QueryBuilder::new(METRIC_NAMES);
            push_filter(&mut query, filter);
            query.push(")) ORDER BY path").build_query_scalar().fetch_all(pool).await
        })
    }
}

/// Goes from path to path by the index, which a `DISTINCT` reads from end to end. The condition on the runs is open.
const METRIC_NAMES: &str = "WITH RECURSIVE names (path) AS ( \
         SELECT min(path) FROM metrics \
         UNION ALL \
         SELECT (SELECT min(metrics.path) FROM metrics WHERE metrics.path > names.path) \
         FROM names WHERE names.path IS NOT NULL \
     ) \
     SELECT path FROM names WHERE path IS NOT NULL AND EXISTS ( \
         SELECT 1 FROM metrics WHERE metrics.path = names.path AND metrics.run IN ( \
             SELECT runs.key FROM runs WHERE TRUE";

const REPORT: &str =
    "SELECT reports.report FROM reports JOIN runs ON runs.key = reports.run WHERE runs.id = $1";

const METRICS: &str =
    "SELECT metrics.path, metrics.value FROM metrics JOIN runs ON runs.key = metrics.run WHERE runs.id = $1";

/// Columns in the order in which [`FromRow`] takes them.
const DISTRIBUTIONS: &str = "SELECT d.stage, d.owner, d.what, d.count, d.sum_ns, d.histogram \
     FROM distributions AS d JOIN runs ON runs.key = d.run WHERE runs.id = $1 \
     ORDER BY d.stage, d.owner, d.what";

/// All rows of a long list. The rows of a file come one by one from a thread that reads them, and to be woken for each costs several
/// times what it costs to read it. So one looks now and then what has come, as soon as the list is known to be long.
async fn gathered<T>(
    mut rows: impl Stream<Item = Result<T, sqlx::Error>> + Unpin,
) -> Result<Vec<T>, sqlx::Error> {
    const LONG: usize = 100;
    const PAUSE: Duration = Duration::from_millis(1);
    let mut gathered = Vec::new();
    loop {
        let next = match rows.next().now_or_never() {
            Some(next) => next,
            None if gathered.len() < LONG => rows.next().await,
            None => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        match next {
            Some(row) => gathered.push(row?),
            None => return Ok(gathered),
        }
    }
}

/// Adds the conditions of a filter, the order and the limit to a query on `runs` that has a `WHERE` already.
fn push_filter<DB>(query: &mut QueryBuilder<DB>, filter: &Filter)
where
    DB: Database,
    for<'a> &'a str: Encode<'a, DB> + Type<DB>,
    for<'a> i64: Encode<'a, DB> + Type<DB>,
{
    let texts = [
        (" AND runs.kind = ", &filter.kind),
        (" AND runs.workload = ", &filter.workload),
        (" AND runs.verdict = ", &filter.verdict),
    ];
    for (condition, text) in texts {
        if let Some(text) = text {
            query.push(condition).push_bind(text.as_str());
        }
    }
    for (condition, at_us) in
        [(" AND runs.started_at_us >= ", filter.since_us), (" AND runs.started_at_us < ", filter.until_us)]
    {
        if let Some(at_us) = at_us {
            query.push(condition).push_bind(at_us);
        }
    }
    if let Some(prefix) = &filter.id_prefix {
        // Not LIKE, in which some characters mean others.
        query.push(" AND substr(runs.id, 1, length(").push_bind(prefix.as_str());
        query.push(")) = ").push_bind(prefix.as_str());
    }
    for tag in &filter.tags {
        query.push(" AND EXISTS (SELECT 1 FROM tags WHERE tags.run = runs.key AND tags.tag = ");
        query.push_bind(tag.as_str()).push(")");
    }
    query.push(NEWEST_FIRST);
    if let Some(limit) = filter.limit {
        query.push(" LIMIT ").push_bind(i64::from(limit));
    }
}

/// A run with the value of one metric.
struct WithValue(RunSummary, f64);

/// Takes the columns of a row one after the other.
struct Columns<'r, R> {
    row: &'r R,
    at: usize,
}

impl<'r, R> Columns<'r, R>
where
    R: Row,
    usize: ColumnIndex<R>,
{
    fn of(row: &'r R) -> Self {
        Self { row, at: 0 }
    }

    fn next<T>(&mut self) -> Result<T, sqlx::Error>
    where
        T: Decode<'r, R::Database> + Type<R::Database>,
    {
        let at = self.at;
        self.at += 1;
        self.row.try_get(at)
    }

    /// A count, of which none is stored that is negative.
    fn count<T>(&mut self) -> Result<T, sqlx::Error>
    where
        T: TryFrom<i64, Error: std::error::Error + Send + Sync + 'static>,
        i64: Decode<'r, R::Database> + Type<R::Database>,
    {
        let at = self.at;
        self.next::<i64>().and_then(|count| as_count(count, at))
    }
}

fn as_count<T>(count: i64, at: usize) -> Result<T, sqlx::Error>
where
    T: TryFrom<i64, Error: std::error::Error + Send + Sync + 'static>,
{
    T::try_from(count)
        .map_err(|source| sqlx::Error::ColumnDecode { index: at.to_string(), source: Box::new(source) })
}

impl<'r, R> FromRow<'r, R> for RunSummary
where
    R: Row,
    usize: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    /// Fields in the order of [`SUMMARY`].
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        let mut columns = Columns::of(row);
        let (id, kind, started_at_us) = (columns.next()?, columns.next()?, columns.next()?);
        let (workload, verdict, note) = (columns.next()?, columns.next()?, columns.next()?);
        let details: Details = serde_json::from_str(columns.next()?)
            .map_err(|error| sqlx::Error::Decode(format!("details of a run: {error}").into()))?;
        Ok(Self {
            id,
            kind,
            started_at_us,
            duration_us: details.duration_us,
            ended: details.ended,
            verdict,
            workload,
            scale: details.scale,
            fingerprint: details.fingerprint,
            engine: details.engine,
            server_version: details.server_version,
            target: details.target,
            dbdyno_version: details.dbdyno_version,
            note,
            tags: lines(columns.next()?),
            per_s: details.per_s,
            p50_us: details.p50_us,
            p99_us: details.p99_us,
            failed: details.failed,
        })
    }
}

impl<'r, R> FromRow<'r, R> for WithValue
where
    R: Row,
    usize: ColumnIndex<R>,
    RunSummary: FromRow<'r, R>,
    f64: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self(RunSummary::from_row(row)?, row.try_get(SUMMARY_COLUMNS)?))
    }
}

impl<'r, R> FromRow<'r, R> for StoredDistribution
where
    R: Row,
    usize: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    /// Fields in the order of [`DISTRIBUTIONS`].
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        let mut columns = Columns::of(row);
        Ok(Self {
            stage: columns.count()?,
            owner: columns.next()?,
            what: columns.next()?,
            count: columns.count()?,
            sum_ns: columns.count()?,
            histogram: columns.next()?,
        })
    }
}

fn lines(text: Option<&str>) -> BTreeSet<String> {
    text.map(|text| text.split('\n').map(str::to_owned).collect()).unwrap_or_default()
}
