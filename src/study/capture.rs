//! Makes a workload of a database that somebody else made and uses: what its catalogs, its statistics and its counters say, and not a
//! single row.

mod guessing;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use crate::dataset::capture::{
    DatabaseFacts, Described, DrawnFrom, Kept, LeftOut, Mix, RefusedStatement, Remark, SeenLoad,
    StatementFacts, Traffic, describe, document, leaving, mix, queries, sorted_out, statistics,
};
use crate::dataset::{CapturedSchema, Counted, Reader, Snapshot, StatementNumber};
use crate::db::Target;
use crate::sql::named::positional;
use crate::units::Seed;
use crate::workload::{self, Workload};

use super::load::SOURCE_STATISTICS;
use super::{Happening, Observer, OpenTarget, StudyError, TargetChoice};
use guessing::{TRIES_MAX, give_types};

/// Counters are read so often while it is looked at: enough to see what moves together, and seldom enough to cost nothing.
const INTERVALS: u32 = 24;
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_secs(30);
/// More intervals are longer ones.
const INTERVALS_MAX: u32 = 480;
/// Sessions are looked at so often: a moment's look, of which many make a mean.
const LOOK: Duration = Duration::from_secs(1);
/// So many looks are kept, the latest.
const LOOKS_MAX: usize = 7200;

/// Commands that a transaction begins, marks and ends with.
const FRAME: [&str; 8] = ["begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release"];

/// What to capture.
#[derive(Clone)]
pub struct CapturePlan {
    /// The database.
    pub target: Target,
    /// The folder of the workload, which is made.
    pub out: PathBuf,
    /// Which schemas; all where none is named.
    pub schemas: Vec<String>,
    /// How long to look at what is done; what was counted so far where it is not said.
    pub look: Option<Duration>,
    /// Columns whose values may leave as they are.
    pub keep_values: Kept,
    /// Whose values parameters draw.
    pub from: DrawnFrom,
    /// Says what would be written, and writes nothing.
    pub dry_run: bool,
}

/// What was captured.
#[derive(Clone, Debug)]
pub struct Captured {
    /// Tables with rows.
    pub tables: usize,
    /// Their columns.
    pub columns: usize,
    /// Statements of the workload.
    pub statements: usize,
    /// Its transactions, heaviest first: name, per cent, statements.
    pub transactions: Vec<(String, f64, usize)>,
    /// Statements that are not in it.
    pub refused: Vec<RefusedStatement>,
    /// Calls of all statements, and milliseconds that they took.
    pub totals: (f64, f64),
    /// What is not captured, and what to write by hand.
    pub remarks: Vec<Remark>,
    /// What was seen of the sessions, and how large a pool would do.
    pub sessions: Vec<String>,
    /// What the server was asked: queries, and how long they took.
    pub cost: (u64, Duration),
    /// The files; none after a dry run.
    pub files: Vec<PathBuf>,
}

/// Reads the database and writes the workload.
pub async fn capture(plan: &CapturePlan, observer: &mut Observer<'_>) -> Result<Captured, StudyError> {
    let target = OpenTarget::open(&TargetChoice::Existing(plan.target.clone()), observer).await?;
    let mut reader = Reader::new(&target.control, &plan.schemas).await?;
    let mut traffic = look(&mut reader, plan.look, observer).await?;

    observer(Happening::Step("reading catalogs and statistics"));
    let texts: Vec<&str> = traffic.statements.iter().map(|statement| statement.text.as_str()).collect();
    reader.begin().await?;
    let schema = match plan.from {
        DrawnFrom::Generated => Some(reader.schema(&texts).await?),
        DrawnFrom::Target => None,
    };
    let mut facts = reader.tables().await?;
    let mut unread = reader.statistics(&mut facts).await?;
    unread.extend(reader.joint_statistics(&mut facts).await?);
    reader.end().await?;
    if facts.tables.is_empty() {
        return Err(StudyError::Refused(
            "there is no table to capture: name its schema with --schema".to_owned(),
        ));
    }
    let unknown = plan.keep_values.unknown(&facts);
    if !unknown.is_empty() {
        return Err(StudyError::Refused(format!(
            "--keep-values: no column is called {}",
            unknown.join(", ")
        )));
    }

    observer(Happening::Step("describing columns and statements"));
    let described = describe(&facts, &plan.keep_values);
    let unfinished = parse(&mut reader, &mut traffic).await?;
    if unfinished > 0 {
        observer(Happening::Note(&format!(
            "types of parameters were tried {TRIES_MAX} times, and no more: {unfinished} statements are left out that further types may \
             have let in"
        )));
    }
    let mixed = runnable(&mut reader, &mut traffic, &facts, &described, plan.from).await?;
    let mut files =
        Files { plan, facts: &facts, schema: schema.as_ref(), described, mix: &mixed, unread: &unread };
    let (left_out, remarks) = broken(&mut reader, &files).await?;
    files.described.left_out.constraints.extend(left_out.constraints);
    files.described.remarks.extend(remarks);

    for line in leaving(&files.described, &mixed, plan.from) {
        observer(Happening::Note(&format!("leaves the database: {line}")));
    }
    let written = if plan.dry_run { vec![] } else { files.write(&plan.out)? };
    let captured = Captured {
        tables: files.described.tables.len(),
        columns: files.described.tables.iter().map(|table| table.columns.len()).sum(),
        statements: mixed.statements.len(),
        transactions: mixed
            .transactions
            .iter()
            .map(|transaction| (transaction.name.clone(), transaction.weight, transaction.steps.len()))
            .collect(),
        refused: mixed.refused.clone(),
        totals: mixed.totals,
        remarks: files.remarks(),
        sessions: mixed.load.words(),
        cost: reader.cost(),
        files: written,
    };
    target.close().await?;
    Ok(captured)
}

/// What was done with the database: over a time that is waited for, or since its counters began.
async fn look(
    reader: &mut Reader<'_>,
    time: Option<Duration>,
    observer: &mut Observer<'_>,
) -> Result<Traffic, StudyError> {
    let Some(first) = reader.snapshot(time.is_none()).await? else {
        observer(Happening::Note(
            "pg_stat_statements is not there: the mix is guessed (CREATE EXTENSION pg_stat_statements, with \
             shared_preload_libraries)",
        ));
        return Ok(Traffic::default());
    };
    let Some(time) = time else {
        observer(Happening::Note(
            "statements are counted since their reset; --minutes counts anew, and finds the statements that make one transaction",
        ));
        let seconds = first.age_s;
        let statements = first.statements.values().map(|counted| statement(counted, vec![])).collect();
        let load = SeenLoad { looks: vec![reader.sessions().await?], ..SeenLoad::default() };
        return Ok(traffic(statements, seconds, load));
    };
    observer(Happening::Step(&format!("looking at what is done for {:.0} s", time.as_secs_f64())));
    let every = (time / INTERVALS).clamp(INTERVAL_MIN, INTERVAL_MAX).max(time / INTERVALS_MAX);
    let begun = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let end = first.at + time;
    let mut watched = Watched::begin(first);
    let mut looks = VecDeque::new();
    loop {
        let until = (Instant::now() + every).min(end);
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            tokio::time::sleep(LOOK.min(left)).await;
            if looks.len() == LOOKS_MAX {
                looks.pop_front();
            }
            looks.push_back(reader.sessions().await?);
        }
        let is_last = Instant::now() + INTERVAL_MIN / 2 >= end;
        if let Some(snapshot) = reader.snapshot(is_last).await? {
            watched.add(snapshot);
        }
        if is_last {
            break;
        }
    }
    let seconds = (watched.last.at - watched.first.at).as_secs_f64();
    let ended = watched.last.transactions - watched.first.transactions;
    let load = SeenLoad {
        looks: looks.into(),
        transactions_per_s: (seconds > 0.0).then(|| ended / seconds),
        begun_unix_s: begun.as_secs(),
        intervals_s: watched.intervals_s.clone(),
    };
    Ok(traffic(watched.differences(), seconds, load))
}

/// What was counted, from the first to the last look, and in between.
struct Watched {
    first: Snapshot,
    /// The texts stand in this one.
    last: Snapshot,
    intervals_s: Vec<f64>,
    /// How often each statement was called in each interval.
    calls: BTreeMap<StatementNumber, Vec<f64>>,
}

impl Watched {
    fn begin(first: Snapshot) -> Self {
        Self { last: first.clone(), first, intervals_s: vec![], calls: BTreeMap::new() }
    }

    fn add(&mut self, next: Snapshot) {
        for (number, counted) in &next.statements {
            let before = self.last.statements.get(number).map_or(0.0, |of| of.calls);
            let calls = self.calls.entry(*number).or_default();
            // One that was not there before was not called before.
            calls.resize(self.intervals_s.len(), 0.0);
            calls.push((counted.calls - before).max(0.0));
        }
        self.intervals_s.push((next.at - self.last.at).as_secs_f64());
        self.last = next;
    }

    /// What was counted meanwhile.
    fn differences(&self) -> Vec<StatementFacts> {
        let mut all = vec![];
        for (number, counted) in &self.last.statements {
            let zero = Counted::default();
            let before = self.first.statements.get(number).unwrap_or(&zero);
            let difference = Counted {
                text: counted.text.clone(),
                calls: counted.calls - before.calls,
                exec_ms: counted.exec_ms - before.exec_ms,
                rows: counted.rows - before.rows,
                blocks_hit: counted.blocks_hit - before.blocks_hit,
                blocks_read: counted.blocks_read - before.blocks_read,
            };
            // Counters that went back were evicted or reset: of them nothing is known.
            if difference.calls > 0.0 && difference.exec_ms >= 0.0 {
                let intervals = self.calls.get(number).cloned().unwrap_or_default();
                all.push(statement(&difference, intervals));
            }
        }
        all
    }
}

fn statement(counted: &Counted, intervals: Vec<f64>) -> StatementFacts {
    StatementFacts {
        text: counted.text.clone().unwrap_or_default(),
        calls: counted.calls,
        intervals,
        rows: counted.rows,
        exec_ms: counted.exec_ms,
        ..StatementFacts::default()
    }
}

/// One entry for each text, whoever sent it, and what cannot be run apart.
fn traffic(statements: Vec<StatementFacts>, seconds: f64, load: SeenLoad) -> Traffic {
    let begins_with = |text: &str, words: &[&str]| {
        let word = text.split_whitespace().next().unwrap_or_default().trim_end_matches(';').to_lowercase();
        words.contains(&word.as_str())
    };
    let begins =
        statements.iter().filter(|of| begins_with(&of.text, &["begin", "start"])).map(|of| of.calls).sum();
    // The frame of a transaction is no statement that is lost: the workload's transactions have it by themselves.
    let statements: Vec<StatementFacts> =
        statements.into_iter().filter(|of| !begins_with(&of.text, &FRAME)).collect();
    let (kept, refused) = sorted_out(statements);
    let mut by_text: BTreeMap<String, StatementFacts> = BTreeMap::new();
    for statement in kept {
        let Some(known) = by_text.get_mut(&statement.text) else {
            by_text.insert(statement.text.clone(), statement);
            continue;
        };
        known.calls += statement.calls;
        known.rows += statement.rows;
        known.exec_ms += statement.exec_ms;
        for (sum, more) in known.intervals.iter_mut().zip(&statement.intervals) {
            *sum += more;
        }
    }
    let mut statements: Vec<StatementFacts> = by_text.into_values().collect();
    statements.sort_by(|one, other| other.calls.total_cmp(&one.calls));
    Traffic { statements, refused, seconds, begins, load }
}

/// Has the server parse every statement; what it refuses is not run. Gives the number of those for which types were not tried to the
/// end.
async fn parse(reader: &mut Reader<'_>, traffic: &mut Traffic) -> Result<usize, StudyError> {
    let mut statements = std::mem::take(&mut traffic.statements);
    let texts: Vec<&str> = statements.iter().map(|statement| statement.text.as_str()).collect();
    let mut answers = reader.check(&texts).await?;
    let unfinished = give_types(reader, &mut statements, &mut answers).await?;
    for (mut statement, answer) in statements.into_iter().zip(answers) {
        match answer {
            Ok(checked) => {
                statement.parameters = checked.parameters;
                statement.search_path = checked.search_path;
                traffic.statements.push(statement);
            }
            Err(why) => traffic.refused.push(RefusedStatement::of(&statement, why.words)),
        }
    }
    Ok(unfinished)
}

/// The mix of what the server takes as it will be sent: constants that nobody knows stand in it as others.
async fn runnable(
    reader: &mut Reader<'_>,
    traffic: &mut Traffic,
    facts: &DatabaseFacts,
    described: &Described,
    from: DrawnFrom,
) -> Result<Mix, StudyError> {
    let first = mix(traffic, facts, described, from);
    let mut gone: BTreeMap<usize, String> = BTreeMap::new();
    // What was parsed already needs it no more.
    let changed = first.statements.iter().filter(|statement| statement.is_changed);
    let (of, texts): (Vec<usize>, Vec<String>) =
        changed.filter_map(|statement| Some((statement.of?, positional(&statement.sql).sql))).unzip();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for (of, answer) in of.into_iter().zip(reader.check(&texts).await?) {
        let why = match answer {
            Ok(checked) if checked.search_path.is_none() => continue,
            Ok(_) => "it names something by the search path, which the copy does not have".to_owned(),
            Err(why) => why.words,
        };
        gone.insert(of, why);
    }
    if gone.is_empty() {
        return Ok(first);
    }
    let mut kept = vec![];
    for (at, statement) in std::mem::take(&mut traffic.statements).into_iter().enumerate() {
        match gone.remove(&at) {
            Some(why) => traffic.refused.push(RefusedStatement::of(&statement, why)),
            None => kept.push(statement),
        }
    }
    traffic.statements = kept;
    Ok(mix(traffic, facts, described, from))
}

/// The constraints that generated rows would break. What is written for it is read as any workload is: a capture that could not be
/// read back ends here.
async fn broken(reader: &mut Reader<'_>, files: &Files<'_>) -> Result<(LeftOut, Vec<Remark>), StudyError> {
    let folder = tempfile::tempdir().map_err(unwritable(&std::env::temp_dir()))?;
    files.write(folder.path())?;
    let workload: Workload = workload::load(folder.path())?;
    // Rows that are there already break nothing.
    if files.schema.is_none() {
        return Ok((LeftOut::default(), vec![]));
    }
    let dataset = workload.dataset(Seed::default(), 1.0);
    Ok(reader.broken_checks(&workload, &dataset, files.facts, &files.described).await?)
}

/// The files of the workload.
struct Files<'a> {
    plan: &'a CapturePlan,
    facts: &'a DatabaseFacts,
    /// Absent where none is made: the rows are there already.
    schema: Option<&'a CapturedSchema>,
    described: Described,
    mix: &'a Mix,
    unread: &'a [Remark],
}

impl Files<'_> {
    /// What is not as it is there. Of rows that are there already, everything is.
    fn remarks(&self) -> Vec<Remark> {
        let Some(schema) = self.schema else { return vec![] };
        let all = schema.remarks.iter().chain(self.unread).chain(&self.described.remarks);
        let mut remarks: Vec<Remark> = all.cloned().collect();
        remarks.extend(self.mix.remarks());
        remarks.sort();
        remarks.dedup();
        remarks
    }

    fn write(&self, folder: &std::path::Path) -> Result<Vec<PathBuf>, StudyError> {
        let name = self.plan.out.file_name().map_or_else(|| "captured".into(), |name| name.to_string_lossy());
        let mut files = vec![
            ("workload.toml", document(&name, &self.described, self.mix, &self.remarks(), self.plan.from)),
            ("queries.sql", queries(self.mix)),
        ];
        if let Some(schema) = self.schema {
            files.push(("schema.sql", schema.script(&self.described.left_out)));
            files.push((SOURCE_STATISTICS, statistics(self.facts)));
            let finish: Vec<String> = self.described.finish.iter().cloned().chain(schema.finish()).collect();
            if !finish.is_empty() {
                files.push(("finish.sql", finish.join("\n\n") + "\n"));
            }
        }
        std::fs::create_dir_all(folder).map_err(unwritable(folder))?;
        let mut written = vec![];
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(unwritable(&path))?;
            written.push(path);
        }
        Ok(written)
    }
}

fn unwritable(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> StudyError {
    let path = path.to_owned();
    move |source| StudyError::Refused(format!("cannot write {}: {source}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(counts: &[(i64, f64)]) -> Snapshot {
        let counted = |calls: f64| Counted { text: Some("SELECT 1".into()), calls, ..Counted::default() };
        Snapshot {
            at: Instant::now(),
            age_s: 0.0,
            transactions: 0.0,
            statements: counts.iter().map(|(id, calls)| ((*id, 1), counted(*calls))).collect(),
        }
    }

    #[test]
    fn only_what_was_counted_meanwhile_counts() {
        let differences = |all: &[Snapshot]| {
            let mut watched = Watched::begin(all[0].clone());
            all[1..].iter().for_each(|next| watched.add(next.clone()));
            watched.differences()
        };
        let all = [
            snapshot(&[(1, 100.0), (2, 50.0)]),
            snapshot(&[(1, 110.0), (2, 50.0)]),
            snapshot(&[(1, 130.0), (2, 50.0), (3, 7.0)]),
        ];
        let found: Vec<(f64, Vec<f64>)> =
            differences(&all).into_iter().map(|of| (of.calls, of.intervals)).collect();
        assert_eq!(found, [(30.0, vec![10.0, 20.0]), (7.0, vec![0.0, 7.0])]);
        // A reset in between: the counters began anew, and what was before is not known.
        assert!(differences(&[snapshot(&[(1, 100.0)]), snapshot(&[(1, 5.0)])]).is_empty());
    }
}
