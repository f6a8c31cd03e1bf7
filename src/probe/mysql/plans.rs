//! The plans of the workload's statements, asked for at the edges of each stage on a connection of its own. EXPLAIN executes
//! nothing. The server plans by values, so that there is no plan that looks at none; and what plans depend on is not watched in
//! between.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use mysql_async::Error;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::link::{PROBE_TAG, ask, open, text, words};
use crate::db::Now;
use crate::db::mysql::explain::{Access, accesses, question};
use crate::db::mysql::{Client, Settings, set_session};
use crate::probe::link::{Line, Unanswered};
use crate::probe::outlet::Outlet;
use crate::probe::plans::{PlanCapture, PlanCommand, PlanOrder, PlannedStatement};
use crate::probe::{ProbeError, Probed};
use crate::record::observation::{Observation, ProbeCost};
use crate::record::plan::{PlanClass, PlanEdge, PlanSurvey, SeenPlan, ToldPlan, Unexplained};
use crate::sql::lex::{TokenKind, lex_in};
use crate::sql::values::Frame;
use crate::units::{Dialect, Span, StatementId};

const LIMIT: Duration = Duration::from_secs(2);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A text or a JSON form that is longer is left out.
const BYTES_MAX: usize = 64 * 1024;
/// Bytes of the digest that tell shapes apart: 64 bits, for a few hundred plans.
const SHAPE_BYTES: usize = 8;
/// What the server says of a statement that reads no table; whatever else it says in place of a plan leaves open what is used.
const NO_TABLES: &str = "No tables used";
/// What stands for a value.
const VALUE: &str = "?";
/// Fields that hold names, or words of the server's own. All others may hold expressions.
const NAMES: [&str; 10] = [
    "access_type",
    "index_merge",
    "key",
    "key_length",
    "operation",
    "partitions",
    "ref",
    "select_type",
    "table_name",
    "used_key_parts",
];
/// What the server thought of, and does not use.
const LEFT_OUT: &str = "possible_keys";
/// Errors that say nothing of the statement: a lock that is held, a limit that was reached, a connection that ends.
const NOT_ITS_FAULT: [u16; 8] = [1053, 1205, 1317, 1927, 1969, 3024, 3169, 4031];

/// The probe.
pub struct PlanProbe<N> {
    settings: Settings,
    capture: PlanCapture,
    clock: N,
    /// What measured sessions begin with.
    begin_with: Vec<(String, String)>,
    line: Line<Client>,
    told: HashSet<(StatementId, String)>,
    outlet: Outlet,
}

/// Why a statement has no plan now.
enum Refusal {
    /// For good, as far as can be known.
    Unexplained(String),
    /// Nobody knows.
    Passing(Unanswered),
}

impl<N: Now> PlanProbe<N> {
    /// Connects, so that a wrong password is told before the run begins.
    pub async fn open(
        settings: &Settings,
        capture: PlanCapture,
        clock: N,
        out: mpsc::Sender<Probed>,
    ) -> Result<Self, ProbeError> {
        Ok(Self {
            settings: settings.clone(),
            capture,
            clock,
            begin_with: Vec::new(),
            line: Line::new(Some(open(settings, LIMIT).await?), CONNECT_LIMIT),
            told: HashSet::new(),
            outlet: Outlet::new("plans", out),
        })
    }

    /// Answers orders until it is told to stop.
    pub async fn run(mut self, mut commands: mpsc::Receiver<PlanCommand>) {
        while let Some(command) = commands.recv().await {
            match command {
                PlanCommand::Survey(order) => self.survey(order).await,
                PlanCommand::Stop(done) => {
                    // Nobody waits any more when the receiver is gone.
                    let _ = done.send(());
                    return;
                }
            }
        }
    }

    async fn survey(&mut self, order: PlanOrder) {
        let PlanOrder { edges, sessions, done } = order;
        if let Some(begin_with) = sessions.filter(|begin_with| *begin_with != self.begin_with) {
            self.begin_with = begin_with;
            // The next question is asked over one that begins like them.
            self.line.take();
        }
        self.round(edges).await;
        if let Some(done) = done {
            // Who asked may have given up.
            let _ = done.send(());
        }
    }

    /// Asks for the plans of all statements.
    async fn round(&mut self, edges: Vec<PlanEdge>) {
        let from = self.clock.now();
        let mut cost = ProbeCost::default();
        let mut survey = PlanSurvey { edges, ..PlanSurvey::default() };
        let failed = self.explain_all(&mut survey, &mut cost).await.err();
        let window = Span { from, to: self.clock.now() };
        let told: Vec<_> = survey.told.iter().map(|told| (told.statement, told.shape.clone())).collect();
        if self.outlet.offer(window, cost, || Ok(Observation::Plans(Box::new(survey)))) {
            self.told.extend(told);
        }
        if let Some(unanswered) = failed {
            let message = self.line.heed(unanswered);
            let gap = ProbeCost { gaps: 1, ..ProbeCost::default() };
            self.outlet.offer(window, gap, || Err(message));
        }
    }

    /// The last thing that kept a statement from being explained for now is the error; a lost connection ends the round.
    async fn explain_all(&mut self, survey: &mut PlanSurvey, cost: &mut ProbeCost) -> Result<(), Unanswered> {
        let opening = open_like(&self.settings, &self.begin_with);
        let client = self.line.get(opening).await.map_err(Unanswered::unconnected)?;
        let mut passing = Ok(());
        for planned in &self.capture.statements {
            match explain(client, planned, &self.clock, cost).await {
                Ok(plans) => take(&self.told, planned.statement, plans, survey),
                Err(Refusal::Unexplained(reason)) => {
                    survey.unexplained.push(Unexplained { statement: planned.statement, reason });
                }
                Err(Refusal::Passing(unanswered)) if unanswered.lost => return Err(unanswered),
                Err(Refusal::Passing(unanswered)) => passing = Err(unanswered),
            }
        }
        passing
    }
}

/// A connection for questions that begins with these settings.
async fn open_like(settings: &Settings, begin_with: &[(String, String)]) -> Result<Client, ProbeError> {
    let client = open(settings, LIMIT).await?;
    for (name, value) in begin_with {
        let set = client.run(&set_session(name, value)).await;
        set.map_err(|error| ProbeError::Setup { message: words(&error) })?;
    }
    Ok(client)
}

/// Takes in the plans of a statement; those that were told before are named by their shapes only.
fn take(
    told: &HashSet<(StatementId, String)>,
    statement: StatementId,
    plans: Vec<(PlanClass, Described)>,
    survey: &mut PlanSurvey,
) {
    for (class, plan) in plans {
        let Described { shape, summary, text, json, cost, scans } = plan;
        let is_told = told.contains(&(statement, shape.clone()))
            || survey.told.iter().any(|told| told.statement == statement && told.shape == shape);
        survey.seen.push(SeenPlan {
            statement,
            class,
            shape: shape.clone(),
            kind: None,
            cost,
            cause: None,
            plan_cache_mode: None,
        });
        if !is_told {
            survey.told.push(ToldPlan { statement, shape, summary, text, json, scans });
        }
    }
}

/// The plans of one statement for each of its classes.
async fn explain(
    client: &Client,
    planned: &PlannedStatement,
    clock: &impl Now,
    cost: &mut ProbeCost,
) -> Result<Vec<(PlanClass, Described)>, Refusal> {
    if !planned.set.is_empty() {
        let reason =
            "its transaction has settings of its own, under which no plan is asked for on this server";
        return Err(Refusal::Unexplained(reason.to_owned()));
    }
    // Where values are known only while it is executed, others stand for them.
    let given: Vec<(PlanClass, Option<&Frame>)> = if planned.values.is_empty() {
        vec![(PlanClass::Typical, None)]
    } else {
        planned.values.iter().map(|values| (values.class, Some(&values.frame))).collect()
    };
    let mut plans = Vec::with_capacity(given.len());
    for (class, values) in given {
        let asked = question(&planned.text, &planned.places, values).map_err(Refusal::Unexplained)?;
        let asked = format!("{PROBE_TAG}{asked}");
        let asking = async {
            match client.rows(&asked).await {
                Err(Error::Server(said)) if !NOT_ITS_FAULT.contains(&said.code) => Ok(Err(said.code)),
                answer => answer.map(Ok),
            }
        };
        let answer = ask(clock, LIMIT, cost, asking).await.map_err(Refusal::Passing)?;
        // What the server says of it may hold a value.
        let rows = answer.value.map_err(|code| {
            Refusal::Unexplained(format!("the server refuses to explain it (error {code})"))
        })?;
        cost.rows += rows.len() as u64;
        let json = rows.first().and_then(|row| text(row, "EXPLAIN"));
        let plan = json.and_then(|json| serde_json::from_str::<Value>(&json).ok());
        let plan = plan.ok_or_else(|| Refusal::Unexplained("its plan cannot be read".to_owned()))?;
        plans.push((class, describe(plan).map_err(Refusal::Unexplained)?));
    }
    Ok(plans)
}

/// A plan, described.
#[derive(Debug, PartialEq)]
struct Described {
    /// Sixteen hexadecimal digits.
    shape: String,
    summary: String,
    text: String,
    json: Option<Value>,
    cost: Option<f64>,
    /// Tables that rows are read from.
    scans: u32,
}

/// Describes a plan; the error says why it is none: of rows that cannot be there, and of what the ends of an index answer, the server
/// does not say how it comes by that.
fn describe(mut plan: Value) -> Result<Described, String> {
    let found = accesses(&plan);
    let message = if found.is_empty() { message(&plan) } else { None };
    let summary = match &message {
        Some(words) if words != NO_TABLES => return Err(format!("the server tells no plan of it: {words}")),
        Some(words) => words.clone(),
        None => found.iter().map(line).collect::<Vec<_>>().join(", "),
    };
    strip(&mut plan);
    let mut outline = String::new();
    outlined(&plan, &mut outline);
    let digest = Sha256::digest(outline.as_bytes());
    let shape = digest[..SHAPE_BYTES].iter().fold(String::new(), |mut shape, byte| {
        let _ = write!(shape, "{byte:02x}");
        shape
    });
    let pretty = serde_json::to_string_pretty(&plan).unwrap_or_default();
    let is_short = pretty.len() <= BYTES_MAX;
    let text = if is_short { pretty } else { format!("a plan of {} bytes, which is left out", pretty.len()) };
    let scans = found.iter().filter(|access| access.kind.is_some()).count();
    Ok(Described {
        shape,
        summary,
        text,
        cost: cost(&plan),
        json: is_short.then_some(plan),
        scans: u32::try_from(scans).unwrap_or(u32::MAX),
    })
}

/// `ref on orders using orders_customer`
fn line(access: &Access) -> String {
    let Access { table, kind, key, is_covered } = access;
    let Some(kind) = kind else { return format!("into {table}") };
    let using = key.as_ref().map_or_else(String::new, |key| format!(" using {key}"));
    let covered = if *is_covered { " (covering)" } else { "" };
    format!("{kind} on {table}{using}{covered}")
}

/// What the server says in place of a plan.
fn message(value: &Value) -> Option<String> {
    match value {
        Value::Array(values) => values.iter().find_map(message),
        Value::Object(fields) => {
            let own = fields.get("message").and_then(Value::as_str).map(str::to_owned);
            own.or_else(|| fields.values().find_map(message))
        }
        _ => None,
    }
}

/// What the server thinks that a plan costs: MySQL and a newer MariaDB say it, each in its way.
fn cost(plan: &Value) -> Option<f64> {
    let text = plan.pointer("/query_block/cost_info/query_cost").and_then(Value::as_str);
    text.and_then(|cost| cost.parse().ok()).or_else(|| plan.pointer("/query_block/cost")?.as_f64())
}

/// What decides the shape: how the parts lie in each other, and how each table is read. No cost, no estimate, no literal.
fn outlined(value: &Value, out: &mut String) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| outlined(value, out)),
        Value::Object(fields) => {
            if fields.contains_key("table_name")
                && let Some(own) = accesses(value).first()
            {
                out.push_str(&line(own));
            }
            for (name, value) in fields.iter().filter(|(_, value)| value.is_object() || value.is_array()) {
                let mut inner = String::new();
                outlined(value, &mut inner);
                if value.is_object() || !inner.is_empty() {
                    out.extend([name.as_str(), "(", inner.as_str(), ")"]);
                }
            }
        }
        _ => {}
    }
}

/// Takes out what is not used, and the literals of all expressions.
fn strip(value: &mut Value) {
    match value {
        Value::String(expression) => *expression = without_literals(expression),
        Value::Array(values) => values.iter_mut().for_each(strip),
        Value::Object(fields) => {
            fields.remove(LEFT_OUT);
            let fields = fields
                .iter_mut()
                .filter(|(name, value)| !NAMES.contains(&name.as_str()) || value.is_object());
            fields.for_each(|(_, value)| strip(value));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The expression with `?` for each string and each number.
fn without_literals(expression: &str) -> String {
    let tokens = lex_in(expression, Dialect::Mysql);
    let shown = |kind: TokenKind| !matches!(kind, TokenKind::String | TokenKind::Number);
    tokens.map(|token| if shown(token.kind) { token.text(expression) } else { VALUE }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(kind: &str, key: Option<&str>, value: &str, rows: u32) -> Value {
        serde_json::json!({ "query_block": { "select_id": 1, "filesort": { "sort_key": "orders.id", "temporary_table": { "table": {
            "table_name": "orders", "access_type": kind, "possible_keys": ["orders_customer"], "key": key, "key_length": "4",
            "rows": rows, "attached_condition": format!("orders.customer_id = {value} and orders.note <> 'x'") } } } } })
    }

    fn described(plan: Value) -> Described {
        describe(plan).unwrap_or_else(|why| panic!("{why}"))
    }

    #[test]
    fn a_shape_is_how_tables_are_read_and_not_how_much_or_for_whom() {
        let scan = described(plan("ALL", None, "5", 900));
        assert_eq!(scan.summary, "ALL on orders");
        assert_eq!(scan.shape.len(), 16);
        assert_eq!(scan.shape, described(plan("ALL", None, "'seven'", 1)).shape);
        let by_index = described(plan("ref", Some("orders_customer"), "5", 3));
        assert_eq!((by_index.summary.as_str(), by_index.scans), ("ref on orders using orders_customer", 1));
        assert_ne!(by_index.shape, scan.shape);
    }

    #[test]
    fn no_value_and_no_index_that_is_not_used_is_told() {
        let scan = described(plan("ALL", None, "'a secret'", 900));
        assert!(scan.text.contains("orders.customer_id = ? and orders.note <> ?"), "{}", scan.text);
        assert!(!scan.text.contains("secret") && !scan.text.contains("orders_customer"), "{}", scan.text);
        assert!(scan.text.contains("\"key_length\": \"4\""), "{}", scan.text);
    }

    #[test]
    fn what_the_server_says_in_place_of_a_plan() {
        let of = |words: &str| serde_json::json!({ "query_block": { "select_id": 1, "table": { "message": words } } });
        assert_eq!(described(of("No tables used")).summary, "No tables used");
        for words in ["Impossible WHERE noticed after reading const tables", "Select tables optimized away"] {
            let why = describe(of(words)).expect_err("there is none");
            assert!(why.contains(words), "{why}");
        }
        let insert =
            serde_json::json!({ "query_block": { "select_id": 1, "table": { "table_name": "orders" } } });
        let insert = described(insert);
        assert_eq!((insert.summary.as_str(), insert.scans), ("into orders", 0));
    }

    #[test]
    fn a_cost_is_told_where_the_server_tells_it() {
        assert_eq!(
            cost(&serde_json::json!({ "query_block": { "cost_info": { "query_cost": "1.25" } } })),
            Some(1.25)
        );
        assert_eq!(cost(&serde_json::json!({ "query_block": { "cost": 0.5 } })), Some(0.5));
        assert_eq!(cost(&serde_json::json!({ "query_block": {} })), None);
    }
}
