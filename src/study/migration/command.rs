//! The team's own tool instead of ours: a command that is told where the target is, and whose sessions are looked at from outside. What
//! of a transaction is hidden until its commit is seen behind it: which tables have a new file, by who held a lock that allows that.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::db::Target;
use crate::probe::ddl::{DdlSession, Outside, OutsideLock, OutsideSession, Schema, Watch};
use crate::record::migration::{DdlError, DdlStatement, DdlTry, LockSpan, MigrationEnded, MigrationEntry};
use crate::sql::lex::significant;
use crate::time::Now as _;
use crate::units::{BackendId, Span, Stamp};

use super::alongside::Told;
use super::apply::{Apply, Before, LEAD, STOPPED, halted, no_connection, stopped};
use super::disturb::Disturbers;
use super::record::cut;

/// Between two looks at its sessions.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Statements that are kept; a tool that sends more is told of by the last one.
const STATEMENTS_MAX: usize = 500;
/// Of what it prints, so much of the end is kept.
const PRINTED_MAX: usize = 2_000;
/// What it does when it is ended is over within this.
const END_PATIENCE: Duration = Duration::from_secs(3);
/// What a tool asks and sets beside its statements is no work.
const NO_WORK: [&str; 18] = [
    "SELECT",
    "SHOW",
    "USE",
    "SET",
    "RESET",
    "BEGIN",
    "START",
    "COMMIT",
    "END",
    "ROLLBACK",
    "ABORT",
    "SAVEPOINT",
    "RELEASE",
    "DISCARD",
    "DEALLOCATE",
    "PREPARE",
    "LISTEN",
    "WITH",
];
/// Locks of whoever writes a table anew. MariaDB shows its in the mode in which it was taken.
const OF_REWRITES: [&str; 5] =
    ["AccessExclusiveLock", "EXCLUSIVE", "SHARED_NO_READ_WRITE", "SHARED_NO_WRITE", "SHARED_UPGRADABLE"];
/// What stands for the server's code where the tool failed.
const OF_TOOL: &str = "tool";

/// Runs the command, to its end or until it is stopped.
pub(super) async fn whole(apply: Apply) -> Result<MigrationEnded, DdlError> {
    let Apply { kind, common, shape, target, clock, out, mut stop } = apply;
    let Some(text) = shape.command.clone() else { return Ok(MigrationEnded::default()) };
    let begun = tokio::time::Instant::now();
    // Asks what is there and what is left, and changes nothing.
    let session = DdlSession::open(&target, "migration").await.map_err(|error| no_connection(&error))?;
    let watch =
        Watch::begin(&target, session.backend(), clock).await.map_err(|error| no_connection(&error))?;
    let schema = session.schema().await?;
    let before = Before::look(kind, &shape, &session, &watch, &common).await?;
    tokio::select! {
        () = tokio::time::sleep_until(begun + LEAD) => {}
        () = stopped(&mut stop) => {}
    }
    let disturbers = Disturbers::set_up(&shape.disturb, &target, &schema, clock, out.clone()).await?;
    let mut outside = Outside::begin(&target).await.map_err(|error| no_connection(&error))?;
    let at = clock.now();
    let _ = out.send(Told::Entry(at, MigrationEntry::Begun { at, backend: session.backend() })).await;
    let _ = out.send(Told::Step(format!("running {text}"))).await;
    let deadline = tokio::time::Instant::now() + shape.at_most;
    let mut tool = Tool::start(&text, &target)?;
    let mut seen = Seen::new(schema);
    let mut due = tokio::time::Instant::now();
    let done = loop {
        tokio::select! {
            biased;
            done = tool.child.wait() => break done.map_err(|error| failed_tool(error.to_string())),
            error = halted(&mut stop, deadline, shape.at_most) => {
                outside.cancel(&clock).await;
                let _ = tool.child.start_kill();
                let _ = tokio::time::timeout(END_PATIENCE, tool.child.wait()).await;
                break Err(error);
            }
            () = tokio::time::sleep_until(due) => {
                // A look that fails is missing; the next one sees what is still there.
                if let Ok(sessions) = outside.look(&clock).await
                    && seen.add(&sessions, clock.now())
                    && let Ok(now) = outside.schema().await
                {
                    seen.changed(now);
                }
                due = (due + LOOK_EVERY).max(tokio::time::Instant::now());
            }
        }
    };
    let ended_at = clock.now();
    // What its sessions still say of their last statements.
    if let Ok(sessions) = outside.look(&clock).await {
        seen.add(&sessions, ended_at);
    }
    seen.end(ended_at);
    if let Ok(now) = outside.schema().await {
        seen.changed(now);
    }
    let printed = tool.printed().await;
    let error = match done {
        Ok(status) if status.success() => None,
        Ok(status) => Some(failed_tool(words(status, &printed))),
        Err(error) => Some(error),
    };
    let mut ended =
        MigrationEnded { at: ended_at, applied: usize::from(error.is_none()), ..MigrationEnded::default() };
    let tries = seen.tries(&text, error.as_ref(), session.backend(), Span { from: at, to: ended_at });
    if let Some(error) = error {
        ended.stopped = (error.code == STOPPED).then(|| error.message.clone());
        ended.failed = Some((tries.len().saturating_sub(1), error));
    }
    for (statement, one) in tries {
        let _ = out.send(Told::Entry(one.released_at, MigrationEntry::Found(statement))).await;
        let _ = out.send(Told::Entry(one.released_at, MigrationEntry::Tried(Box::new(one)))).await;
    }
    disturbers.end().await;
    before.look_back(kind, &shape, &session, &watch, &common, &mut ended).await;
    Ok(ended)
}

fn failed_tool(message: String) -> DdlError {
    DdlError { code: OF_TOOL.to_owned(), message }
}

fn words(status: ExitStatus, printed: &str) -> String {
    if printed.is_empty() {
        format!("the command ended with {status}")
    } else {
        format!("the command ended with {status}: {printed}")
    }
}

/// The command under way.
struct Tool {
    child: Child,
    output: Option<JoinHandle<String>>,
    errors: Option<JoinHandle<String>>,
}

impl Tool {
    fn start(text: &str, target: &Target) -> Result<Self, DdlError> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(text).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        target.lead(command.as_std_mut());
        let mut child = command.spawn().map_err(|error| failed_tool(format!("cannot start sh: {error}")))?;
        let output = child.stdout.take().map(|from| tokio::spawn(end_of(from)));
        let errors = child.stderr.take().map(|from| tokio::spawn(end_of(from)));
        Ok(Self { child, output, errors })
    }

    /// The end of its errors; of its output where it has none.
    async fn printed(&mut self) -> String {
        for printed in [self.errors.take(), self.output.take()].into_iter().flatten() {
            // A child of its own may keep the pipe open.
            let text = tokio::time::timeout(END_PATIENCE, printed).await;
            if let Ok(Ok(text)) = text
                && !text.is_empty()
            {
                return text;
            }
        }
        String::new()
    }
}

/// The last lines of a stream, in one.
async fn end_of(mut from: impl AsyncRead + Unpin) -> String {
    let mut kept: Vec<u8> = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count) = from.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        kept.extend_from_slice(&buffer[..count]);
        let more = kept.len().saturating_sub(PRINTED_MAX);
        kept.drain(..more);
    }
    let text = String::from_utf8_lossy(&kept);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ")
}

/// One statement of the tool.
struct Executed {
    backend: BackendId,
    number: i64,
    transaction: Option<i64>,
    query: String,
    span: Span,
    waits: Vec<LockSpan>,
    /// Held until the transaction ends, unless that is over.
    held: Vec<LockSpan>,
    released_at: Option<Stamp>,
    stands: bool,
    rewritten: Vec<String>,
    rebuilt: Vec<String>,
    invalid: Vec<String>,
}

/// All that was seen of it.
struct Seen {
    /// The relations when the last of its transactions had ended.
    schema: Schema,
    executed: Vec<Executed>,
    /// From which on the changes of files are not told yet.
    told: usize,
}

impl Seen {
    fn new(schema: Schema) -> Self {
        Self { schema, executed: Vec::new(), told: 0 }
    }

    /// Takes one look. Whether a transaction has ended since the last.
    fn add(&mut self, sessions: &[OutsideSession], now: Stamp) -> bool {
        for session in sessions {
            self.take(session, now);
        }
        let mut any = false;
        for one in self.executed.iter_mut().filter(|one| one.released_at.is_none()) {
            let session = sessions.iter().find(|of| of.backend == one.backend);
            let goes_on =
                session.is_some_and(|of| of.transaction.is_some() && of.transaction == one.transaction);
            if goes_on {
                continue;
            }
            // Its last statement is the one that ended the transaction.
            let at = session.filter(|of| !of.active).map_or(now, |of| of.span.to.max(one.span.to));
            one.release(at);
            any = true;
        }
        any
    }

    fn take(&mut self, session: &OutsideSession, now: Stamp) {
        let is_it = |one: &Executed| one.backend == session.backend && one.number == session.number;
        let mut place = self.executed.iter().rposition(is_it);
        if place.is_none() && is_work(&session.query) && self.executed.len() < STATEMENTS_MAX {
            self.executed.push(Executed {
                backend: session.backend,
                number: session.number,
                transaction: session.transaction,
                query: session.query.clone(),
                span: session.span,
                waits: Vec::new(),
                held: Vec::new(),
                released_at: None,
                stands: false,
                rewritten: Vec::new(),
                rebuilt: Vec::new(),
                invalid: Vec::new(),
            });
            place = Some(self.executed.len() - 1);
        }
        if let Some(place) = place
            && let Some(one) = self.executed.get_mut(place)
        {
            one.span.to = session.span.to.max(one.span.from);
            one.stands = session.stands;
        }
        // Locks that are seen beside a question belong to the statement before it.
        let last =
            self.executed.iter().rposition(|one| one.backend == session.backend && one.released_at.is_none());
        let Some(place) = place.or(last) else { return };
        for lock in &session.locks {
            self.lock(place, lock, now);
        }
    }

    /// One lock of the statement at `place`, or of one before it in the same transaction.
    fn lock(&mut self, place: usize, lock: &OutsideLock, now: Stamp) {
        let relation = match &lock.relation {
            // A relation that was not there before has no name, and nobody else waits for it.
            Some(relation) => match self.schema.get(relation.clone()) {
                Some(known) => Some(known.name.clone()),
                None => return,
            },
            None => None,
        };
        let alike =
            |of: &LockSpan| of.mode == lock.mode && of.lock_type == lock.lock_type && of.relation == relation;
        let span = LockSpan {
            mode: lock.mode.clone(),
            relation: relation.clone(),
            lock_type: lock.lock_type.clone(),
            span: Span { from: lock.since, to: now },
        };
        let backend = self.executed[place].backend;
        if lock.granted {
            let mut unreleased =
                self.executed.iter().filter(|one| one.backend == backend && one.released_at.is_none());
            if !unreleased.any(|one| one.held.iter().any(alike)) {
                let one = &mut self.executed[place];
                // It was taken behind the look before, and not before the statement, nor while it was waited for.
                let waited = one.waits.iter().filter(|wait| alike(wait)).map(|wait| wait.span.to).max();
                let from = waited.unwrap_or(one.span.from).min(now);
                one.held.push(LockSpan { span: Span { from, to: Stamp::NEVER }, ..span });
            }
            return;
        }
        let one = &mut self.executed[place];
        let known = one.waits.iter_mut().rev().find(|wait| alike(wait) && wait.span.to >= lock.since);
        match known {
            Some(wait) => wait.span.to = now,
            None => one.waits.push(span),
        }
    }

    /// Files that changed belong to whoever held the lock for it, or else to the last.
    fn changed(&mut self, now: Schema) {
        let changes = self.schema.changes(&now);
        let over = self.told..self.executed.len();
        let all = &mut self.executed[over];
        let of = |name: &String, all: &[Executed]| {
            let holds = |one: &Executed| {
                let is_it = |lock: &LockSpan| lock.relation.as_ref() == Some(name);
                one.held.iter().any(|lock| OF_REWRITES.contains(&lock.mode.as_str()) && is_it(lock))
            };
            all.iter().rposition(holds).or(all.len().checked_sub(1))
        };
        for name in changes.rewritten {
            if let Some(place) = of(&name, all) {
                all[place].rewritten.push(name);
            }
        }
        for name in changes.rebuilt {
            if let Some(place) = of(&name, all) {
                all[place].rebuilt.push(name);
            }
        }
        for name in changes.invalid {
            if let Some(place) = of(&name, all) {
                all[place].invalid.push(name);
            }
        }
        let released = |one: &Executed| one.released_at.is_some();
        self.told += self.executed[self.told..].iter().take_while(|one| released(one)).count();
        self.schema = now;
    }

    /// The tool is over, and so are its sessions.
    fn end(&mut self, at: Stamp) {
        for one in self.executed.iter_mut().filter(|one| one.released_at.is_none()) {
            one.release(at.max(one.span.to));
        }
    }

    /// Each as a statement and its only try. Where the tool failed, what it sent last was not committed, and the last one carries the
    /// error; where nothing was seen, the command itself does.
    fn tries(
        self,
        command: &str,
        error: Option<&DdlError>,
        backend: BackendId,
        whole: Span,
    ) -> Vec<(DdlStatement, DdlTry)> {
        let mut executed = self.executed;
        executed.sort_by_key(|one| one.span.from);
        if executed.is_empty() && error.is_some() {
            let one = Executed::of_command(command, backend, whole);
            return vec![one.told(0, false, error.cloned())];
        }
        // What stands did not fail: the tool did, behind it.
        if error.is_some() && executed.last().is_some_and(Executed::is_known_to_stand) {
            executed.push(Executed::of_command(command, backend, Span { from: whole.to, to: whole.to }));
        }
        let last = executed.last().map(|one| (one.backend, one.transaction));
        let count = executed.len();
        let told = |(number, one): (usize, Executed)| {
            let in_last = last == Some((one.backend, one.transaction)) && one.transaction.is_some();
            let is_last = number + 1 == count;
            let committed = error.is_none() || one.stands || !(is_last || in_last);
            one.told(number, committed, error.filter(|_| is_last).cloned())
        };
        executed.into_iter().enumerate().map(told).collect()
    }
}

impl Executed {
    fn of_command(command: &str, backend: BackendId, span: Span) -> Self {
        Self {
            backend,
            number: 0,
            transaction: None,
            query: command.to_owned(),
            span,
            waits: Vec::new(),
            held: Vec::new(),
            released_at: Some(span.to),
            stands: false,
            rewritten: Vec::new(),
            rebuilt: Vec::new(),
            invalid: Vec::new(),
        }
    }

    /// Whether others see what it did.
    fn is_known_to_stand(&self) -> bool {
        self.stands || !self.rewritten.is_empty() || !self.rebuilt.is_empty()
    }

    fn release(&mut self, at: Stamp) {
        self.released_at = Some(at);
        for lock in self.held.iter_mut().filter(|lock| lock.span.to == Stamp::NEVER) {
            lock.span.to = at.max(lock.span.from);
        }
    }

    fn told(self, number: usize, committed: bool, error: Option<DdlError>) -> (DdlStatement, DdlTry) {
        let in_transaction = self.released_at.is_some_and(|at| at - self.span.to > LOOK_EVERY);
        let sql = cut(self.query.trim().trim_end_matches(';'));
        let statement = DdlStatement { migration: 0, line: 0, sql, in_transaction };
        let one = DdlTry {
            statement: number,
            number: 1,
            backend: self.backend,
            span: self.span,
            released_at: self.released_at.unwrap_or(self.span.to),
            committed,
            error,
            waits: self.waits,
            held: self.held,
            rewritten: self.rewritten,
            rebuilt: self.rebuilt,
            scanned: None,
            invalid_indexes: self.invalid,
            wal_bytes: None,
            temp_bytes: None,
            server_wal_bytes: None,
            affected_rows: None,
            foreseen: None,
            implicit_commit: false,
        };
        (statement, one)
    }
}

/// Whether a statement may change something.
fn is_work(query: &str) -> bool {
    let tokens = significant(query);
    let first = tokens.first();
    first.is_some_and(|first| !NO_WORK.iter().any(|word| first.is_word(query, word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Stamp {
        Stamp(ms * 1_000_000)
    }

    fn session(
        query: &str,
        number: i64,
        active: bool,
        span: (u64, u64),
        transaction: Option<i64>,
    ) -> OutsideSession {
        let span = Span { from: ms(span.0), to: ms(span.1) };
        OutsideSession {
            backend: BackendId(7),
            query: query.to_owned(),
            active,
            number,
            span,
            transaction,
            stands: false,
            locks: Vec::new(),
        }
    }

    #[test]
    fn statements_of_one_transaction_hold_their_locks_to_its_end() {
        let mut seen = Seen::new(Schema::default());
        assert!(!seen.add(&[session("BEGIN", 1, false, (0, 1), Some(9))], ms(5)));
        assert!(!seen.add(&[session("ALTER TABLE t ADD a int", 2, true, (10, 20), Some(9))], ms(20)));
        assert!(!seen.add(&[session("ALTER TABLE t ADD a int", 2, false, (10, 30), Some(9))], ms(60)));
        assert!(!seen.add(&[session("UPDATE t SET a = 1;", 3, true, (70, 80), Some(9))], ms(80)));
        assert!(seen.add(&[session("COMMIT", 4, false, (95, 100), None)], ms(110)));
        let tries = seen.tries("tool", None, BackendId(1), Span { from: ms(0), to: ms(200) });
        let told: Vec<(&str, u64, u64, u64, bool)> = tries
            .iter()
            .map(|(of, one)| {
                let at = |stamp: Stamp| stamp.0 / 1_000_000;
                (of.sql.as_str(), at(one.span.from), at(one.span.to), at(one.released_at), one.committed)
            })
            .collect();
        assert_eq!(
            told,
            [("ALTER TABLE t ADD a int", 10, 30, 100, true), ("UPDATE t SET a = 1", 70, 80, 100, true)]
        );
    }

    #[test]
    fn what_failed_is_the_last_statement_or_the_command_itself() {
        let error = failed_tool("it ended".to_owned());
        let mut seen = Seen::new(Schema::default());
        seen.add(&[session("CREATE TABLE u (id int)", 1, false, (0, 1), None)], ms(2));
        seen.add(&[session("ALTER TABLE t ADD a int", 2, true, (10, 20), Some(9))], ms(20));
        seen.end(ms(30));
        let whole = Span { from: ms(0), to: ms(30) };
        let tries = seen.tries("tool", Some(&error), BackendId(1), whole);
        let told: Vec<(bool, bool)> =
            tries.iter().map(|(_, one)| (one.committed, one.error.is_some())).collect();
        assert_eq!(told, [(true, false), (false, true)]);
        let mut seen = Seen::new(Schema::default());
        seen.add(&[session("ALTER TABLE t ADD a int", 1, false, (0, 1), None)], ms(2));
        seen.executed[0].rewritten.push("t".to_owned());
        let tries = seen.tries("tool", Some(&error), BackendId(1), whole);
        let told: Vec<(&str, bool)> =
            tries.iter().map(|(of, one)| (of.sql.as_str(), one.committed)).collect();
        assert_eq!(told, [("ALTER TABLE t ADD a int", true), ("tool", false)], "what stands did not fail");
        let nothing = Seen::new(Schema::default()).tries("tool", Some(&error), BackendId(1), whole);
        assert_eq!((nothing.len(), nothing[0].0.sql.as_str(), nothing[0].1.committed), (1, "tool", false));
        assert!(Seen::new(Schema::default()).tries("tool", None, BackendId(1), whole).is_empty());
    }

    #[test]
    fn what_a_tool_asks_is_no_work() {
        assert!(is_work("/* app */ alter table t add a int") && is_work("VACUUM t"));
        assert!(!is_work("select version from schema_migrations") && !is_work("COMMIT") && !is_work(""));
    }
}
