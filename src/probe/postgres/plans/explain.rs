//! Asks the server for plans, on a connection of its own. Nothing is ever executed: EXPLAIN without ANALYZE plans a statement and
//! stops there, in a transaction that is read-only and rolled back.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use tokio_postgres::{SimpleQueryMessage, Statement};

use super::describe::{Described, Plan, Table, describe};
use super::mask::without_values;
use super::roots::{Partition, ROOTS, Roots};
use super::watch::{TABLES, TableState};
use crate::db::Now;
use crate::db::postgres::{Client, Settings, connect, literal, set_local};
use crate::probe::link::{Connection, Unanswered};
use crate::probe::plans::PlannedStatement;
use crate::probe::postgres::link::{ask, refused, rows, words};
use crate::probe::{ProbeError, ROLE};
use crate::record::observation::ProbeCost;
use crate::record::plan::{PlanCacheMode, PlanClass};
use crate::sql::split::split;

/// A plan is worth no wait: neither of the schema change that holds a lock, nor of anybody behind us.
const SETUP: &str = "SET statement_timeout = '2s'; SET lock_timeout = '100ms'; SET jit = off";
/// The same behind what a transaction sets for itself, which may have undone them.
const LIMITS: &str = "SET LOCAL statement_timeout = '2s'; SET LOCAL lock_timeout = '100ms'; ";
/// By what sessions choose between plans, after all that they and the transaction set. Holds for PostgreSQL 14 to 18.
const CACHE_MODE: &str = "SELECT pg_catalog.current_setting('plan_cache_mode'); ";
pub(super) const LIMIT: Duration = Duration::from_secs(2);
/// How long a question that nobody waits for any more may take to be cancelled.
const CANCEL_LIMIT: Duration = Duration::from_secs(1);
/// Value of `cpu_operator_cost`, and the session. Holds for PostgreSQL 14 to 18.
const SESSION: &str =
    "SELECT current_setting('cpu_operator_cost')::double precision AS cost, pg_backend_pid() AS pid";
/// Ends what the session `$1` is doing, if it is a question of ours: behind a pooler the number can be another's by now.
const CANCEL: &str = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity \
     WHERE pid = $1 AND state = 'active' AND query LIKE '%dbdyno\\_plan\\_%'";
/// Number of parameters of a prepared statement. Holds for PostgreSQL 14 to 18.
const PARAMETERS: &str =
    "SELECT cardinality(parameter_types) AS parameters FROM pg_prepared_statements WHERE name = $1";
/// Errors after which the same question may be answered a moment later: a limit was reached, a lock was held, the server is short
/// of something, a deadlock.
const PASSING: [&str; 6] = ["57014", "55P03", "40001", "40P01", "53100", "53200"];

/// What came of the questions for one statement.
pub(super) struct Explained {
    /// A plan for each of its classes.
    pub(super) plans: Vec<(PlanClass, Described)>,
    /// By what its sessions choose between plans, where the server said it.
    pub(super) plan_cache_mode: Option<PlanCacheMode>,
}

/// Why a statement has no plan now.
#[derive(Debug)]
pub(super) enum Refusal {
    /// For good, as far as can be known.
    Unexplained(String),
    /// Nobody knows: the next look may tell.
    Passing(Unanswered),
}

/// The connection, and what is prepared on it.
pub(super) struct Desk {
    client: Client,
    tables: Statement,
    roots_of: Statement,
    roots: Roots,
    pub(super) cpu_operator_cost: f64,
    /// The server's number of the session.
    pid: i32,
    /// Statements of the workload that are prepared, by their place in the plan.
    prepared: HashSet<usize>,
}

impl Connection for Desk {
    fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

impl Desk {
    /// `begin_with` is what measured sessions begin with, name and value.
    pub(super) async fn open(
        settings: &Settings,
        begin_with: &[(String, String)],
    ) -> Result<Self, ProbeError> {
        let client = connect(settings, ROLE).await?;
        let prepared = async {
            for (name, value) in begin_with {
                client.execute("SELECT set_config($1, $2, false)", &[name, value]).await?;
            }
            // Behind it, so that no setting of the sessions undoes the limits.
            client.batch_execute(SETUP).await?;
            let session = client.query_one(SESSION, &[]).await?;
            let (tables, roots_of) = (client.prepare(TABLES).await?, client.prepare(ROOTS).await?);
            Ok((tables, roots_of, session.try_get("cost")?, session.try_get("pid")?))
        };
        let (tables, roots_of, cpu_operator_cost, pid) =
            prepared.await.map_err(|error: tokio_postgres::Error| refused(&error))?;
        let (roots, prepared) = (Roots::default(), HashSet::new());
        Ok(Self { client, tables, roots_of, roots, cpu_operator_cost, pid, prepared })
    }

    /// Gives up a connection whose answer did not come. Whoever only drops it leaves the server with the question, perhaps in the
    /// queue for a lock, where everybody who comes later stands behind it.
    pub(super) async fn give_up(self, settings: &Settings) {
        if self.is_closed() {
            return;
        }
        let cancelling = async {
            if let Ok(other) = connect(settings, ROLE).await {
                // It may have ended by itself in the meantime.
                let _ = other.execute(CANCEL, &[&self.pid]).await;
            }
        };
        // A server that cannot be reached has nothing to end.
        let _ = tokio::time::timeout(CANCEL_LIMIT, cancelling).await;
    }

    /// The tables as they are now, in no order.
    pub(super) async fn tables(
        &self,
        tables: &[&Table],
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> Result<Vec<(Table, TableState)>, Unanswered> {
        let (schemas, names) = schemas_and_names(tables.iter().copied());
        let query = &self.tables;
        let answer =
            rows(&self.client, clock, LIMIT, cost, query, &[&schemas, &names], TableState::read).await?;
        Ok(answer.value)
    }

    /// Something of the table has changed: whether it is a partition is asked anew.
    pub(super) fn forget_root(&mut self, table: &Table) {
        self.roots.forget(table);
    }

    /// Asks which tables of the plans are partitions, where that is not known.
    async fn meet(
        &mut self,
        plans: &[Plan],
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> Result<(), Unanswered> {
        let unknown: BTreeSet<Table> =
            plans.iter().flat_map(|plan| self.roots.unknown(plan.root())).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let (schemas, names) = schemas_and_names(&unknown);
        let query = &self.roots_of;
        let answer =
            rows(&self.client, clock, LIMIT, cost, query, &[&schemas, &names], Partition::read).await?;
        self.roots.take(unknown, answer.value);
        Ok(())
    }

    /// The plans of one statement for each of its classes. A statement that was prepared and cannot be explained any more is
    /// prepared anew: its tables may have been made anew.
    pub(super) async fn explain(
        &mut self,
        index: usize,
        statement: &PlannedStatement,
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> Result<Explained, Refusal> {
        if split(&statement.text).len() != 1 {
            return Err(Refusal::Unexplained("its text holds more than one statement".to_owned()));
        }
        let was_prepared = self.prepared.contains(&index);
        match self.try_explain(index, statement, clock, cost).await {
            Err(Refusal::Unexplained(_)) if was_prepared => {
                self.forget(index, clock, cost).await.map_err(Refusal::Passing)?;
                self.try_explain(index, statement, clock, cost).await
            }
            answered => answered,
        }
    }

    async fn try_explain(
        &mut self,
        index: usize,
        statement: &PlannedStatement,
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> Result<Explained, Refusal> {
        let name = name(index);
        if !self.prepared.contains(&index) {
            // As one Parse, which takes no second statement, whatever the text says.
            let prepare = format!("PREPARE {name} AS {}", statement.text);
            let preparing = async { Ok(self.client.execute(&prepare, &[]).await.map(drop)) };
            let prepared = ask(clock, LIMIT, cost, preparing).await.map_err(Refusal::Passing)?;
            prepared.value.map_err(|error| refusal(&error, &statement.text))?;
            self.prepared.insert(index);
        }
        let asked = self.questions(index, statement, clock, cost).await?;
        let question: String = asked.iter().map(|(_, question)| question.as_str()).collect();
        let question = in_transaction(&statement.set, &question);
        let asking = async { Ok(self.client.simple_query(&question).await) };
        let answer = ask(clock, LIMIT, cost, asking).await.map_err(Refusal::Passing)?;
        let messages = match answer.value {
            Ok(messages) => messages,
            Err(error) => {
                let rolling_back = self.client.batch_execute("ROLLBACK");
                ask(clock, LIMIT, cost, rolling_back).await.map_err(Refusal::Passing)?;
                return Err(refusal(&error, &statement.text));
            }
        };
        let mut rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        let plan_cache_mode = rows.next().and_then(PlanCacheMode::of);
        let plans: Vec<&str> = rows.collect();
        cost.rows += plans.len() as u64;
        if plans.len() != asked.len() {
            let message = format!("{} plans came of {} that were asked for", plans.len(), asked.len());
            return Err(Refusal::Unexplained(message));
        }
        let plans: Vec<Plan> =
            plans.into_iter().map(Plan::read).collect::<Result<_, _>>().map_err(Refusal::Unexplained)?;
        self.meet(&plans, clock, cost).await.map_err(Refusal::Passing)?;
        let described =
            asked.iter().zip(plans).map(|((class, _), plan)| (*class, describe(plan, &self.roots)));
        Ok(Explained { plans: described.collect(), plan_cache_mode })
    }

    /// What is asked for each class. Where there are values the generic plan is asked for with some of them: it does not depend
    /// on them, but partitions that they rule out are not shown.
    async fn questions(
        &self,
        index: usize,
        statement: &PlannedStatement,
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> Result<Vec<(PlanClass, String)>, Refusal> {
        let name = name(index);
        let question = |mode: &str, arguments: &str| {
            format!(
                "SET LOCAL plan_cache_mode = {mode}; EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE {name}{arguments}; "
            )
        };
        let mut asked = Vec::new();
        let mut some = None;
        for values in &statement.values {
            let literals: Option<Vec<String>> =
                values.frame.slots.iter().map(|slot| literal(*slot, &values.frame.arena)).collect();
            let Some(literals) = literals else {
                return Err(Refusal::Unexplained("a value of it cannot stand in a text".to_owned()));
            };
            let arguments = arguments(&literals);
            asked.push((values.class, question("force_custom_plan", &arguments)));
            some.get_or_insert(arguments);
        }
        if statement.generic {
            let arguments = if let Some(arguments) = some {
                arguments
            } else {
                let answer = ask(clock, LIMIT, cost, async {
                    let row = self.client.query_one(PARAMETERS, &[&name]).await?;
                    row.try_get::<_, Option<i32>>("parameters")
                });
                let parameters = answer.await.map_err(Refusal::Passing)?.value.unwrap_or(0);
                arguments(&vec!["NULL".to_owned(); usize::try_from(parameters).unwrap_or(0)])
            };
            asked.push((PlanClass::Generic, question("force_generic_plan", &arguments)));
        }
        Ok(asked)
    }

    async fn forget(
        &mut self,
        index: usize,
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> Result<(), Unanswered> {
        self.prepared.remove(&index);
        let deallocate = format!("DEALLOCATE {}", name(index));
        ask(clock, LIMIT, cost, self.client.batch_execute(&deallocate)).await.map(drop)
    }

    /// New sessions begin without a plan; so does this one.
    pub(super) async fn forget_all(
        &mut self,
        clock: &impl Now,
        cost: &mut ProbeCost,
    ) -> Result<(), Unanswered> {
        self.roots = Roots::default();
        let prepared = std::mem::take(&mut self.prepared);
        let deallocate: Vec<String> =
            prepared.into_iter().map(|index| format!("DEALLOCATE {}", name(index))).collect();
        ask(clock, LIMIT, cost, self.client.batch_execute(&deallocate.join("; "))).await.map(drop)
    }
}

/// As the queries for tables want them.
fn schemas_and_names<'a>(tables: impl IntoIterator<Item = &'a Table>) -> (Vec<&'a str>, Vec<&'a str>) {
    tables.into_iter().map(|table| (table.schema.as_str(), table.name.as_str())).unzip()
}

/// Names of the sessions' own prepared statements are theirs; these are this connection's.
fn name(index: usize) -> String {
    format!("dbdyno_plan_{index}")
}

/// The questions in a transaction that begins with what the statement's own sets, under limits that it cannot lift.
fn in_transaction(set: &[(String, String)], questions: &str) -> String {
    let settings: String = set.iter().map(|(name, value)| set_local(name, value) + "; ").collect();
    format!("BEGIN READ ONLY; {settings}{LIMITS}{CACHE_MODE}{questions}ROLLBACK")
}

fn arguments(literals: &[String]) -> String {
    if literals.is_empty() { String::new() } else { format!("({})", literals.join(", ")) }
}

/// `statement` is the text that was refused.
fn refusal(error: &tokio_postgres::Error, statement: &str) -> Refusal {
    let message = without_values(&words(error), statement);
    match error.as_db_error() {
        Some(db) if !is_passing(db.code().code()) && !is_fatal(db) => Refusal::Unexplained(message),
        Some(db) => Refusal::Passing(Unanswered { message, lost: is_fatal(db) }),
        None => Refusal::Passing(Unanswered { message, lost: true }),
    }
}

fn is_passing(code: &str) -> bool {
    PASSING.contains(&code)
}

/// Below FATAL an error leaves the connection as it was.
fn is_fatal(error: &tokio_postgres::error::DbError) -> bool {
    !matches!(error.parsed_severity(), Some(tokio_postgres::error::Severity::Error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_setting_of_a_transaction_lifts_the_limits() {
        let set = [("statement_timeout", "0"), ("lock_timeout", "0")];
        let set = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(
            in_transaction(&set, "EXPLAIN EXECUTE x; "),
            "BEGIN READ ONLY; SET LOCAL \"statement_timeout\" = '0'; SET LOCAL \"lock_timeout\" = '0'; \
             SET LOCAL statement_timeout = '2s'; SET LOCAL lock_timeout = '100ms'; \
             SELECT pg_catalog.current_setting('plan_cache_mode'); EXPLAIN EXECUTE x; ROLLBACK"
        );
    }
}
