//! Any figure of a stage by its place in the report: `stages[].server.deadlocks`, `stages[].tables[orders].dead_rows`,
//! `stages[].statements[checkout.take_stock].execute_us.p99`. What there is to be named stands in the schema of reports, so that a
//! path is refused before anything is measured.

use std::fmt;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::limit::Unit;
use super::metric::{MetricError, Statistic, closest};
use super::{Quantiles, Stage};

/// How such a path begins.
pub(super) const OF_A_STAGE: &str = "stages[].";
/// What tells the entries of a list apart: a list whose entries have none of these cannot be chosen from.
const NAMES: [&str; 4] = ["name", "table", "index", "event"];
/// Lists in which something that did not happen has no entry.
const LISTS_OF_WHAT_WAS_SEEN: [&str; 1] = ["waits"];

/// A figure by its place in a stage of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FigurePath {
    steps: Vec<Step>,
    unit: Unit,
}

/// One key on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    key: String,
    /// Which entry, where the key is that of a list.
    of: Option<String>,
}

/// What is read at a place.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Figure {
    /// A number, in the unit of the path.
    Number(f64),
    /// A statistic of a distribution: what its samples carry is known there.
    Of(Quantiles, Statistic),
}

impl FigurePath {
    /// Reads what stands behind `stages[].`.
    pub(super) fn parse(text: &str) -> Result<Self, MetricError> {
        let wrong = |reason: String| MetricError::Figure { found: format!("{OF_A_STAGE}{text}"), reason };
        let steps = steps(text).map_err(wrong)?;
        check(&steps).map_err(wrong)?;
        let unit = unit(&steps);
        Ok(Self { steps, unit })
    }

    /// What it is counted in.
    pub(super) fn unit(&self) -> Unit {
        self.unit
    }

    /// The transaction that it is about, where it is about one.
    pub(super) fn transaction(&self) -> Option<&str> {
        let name = self.entry_of("transactions");
        name.or_else(|| Some(self.entry_of("statements")?.split_once('.')?.0))
    }

    /// The statement that it is about, behind its transaction.
    #[must_use]
    pub fn statement(&self) -> Option<&str> {
        self.entry_of("statements")
    }

    fn entry_of(&self, list: &str) -> Option<&str> {
        let first = self.steps.first().filter(|step| step.key == list)?;
        first.of.as_deref()
    }

    /// The figure of a stage, or why there is none.
    pub(super) fn read(&self, stage: &Stage) -> Result<Figure, String> {
        let stage = serde_json::to_value(without_course(stage)).map_err(|error| error.to_string())?;
        let mut at = &stage;
        for (place, step) in self.steps.iter().enumerate() {
            let is_last = place + 1 == self.steps.len();
            if is_last && let Some((quantiles, statistic)) = of_a_distribution(at, &step.key) {
                return Ok(Figure::Of(quantiles, statistic));
            }
            at = match (at.get(&step.key), &step.of) {
                (None, _) if is_last && at.is_object() && !is_declared(&self.steps) => {
                    return Ok(Figure::Number(0.0));
                }
                (None | Some(Value::Null), _) => return Err(format!("the stage has no `{}`", step.key)),
                (Some(found), None) => found,
                (Some(list), Some(name)) => match entry(list, name) {
                    Some(found) => found,
                    None if is_of_what_was_seen(step, list) => return Ok(Figure::Number(0.0)),
                    None => return Err(format!("the stage has no `{}[{name}]`", step.key)),
                },
            };
        }
        let number = at.as_f64().ok_or_else(|| format!("`{self}` is no number"))?;
        Ok(Figure::Number(number * scale(&self.steps)))
    }
}

impl fmt::Display for FigurePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(OF_A_STAGE)?;
        for (place, step) in self.steps.iter().enumerate() {
            let point = if place > 0 { "." } else { "" };
            write!(f, "{point}{}", step.key)?;
            if let Some(of) = &step.of {
                write!(f, "[{of}]")?;
            }
        }
        Ok(())
    }
}

fn of_a_distribution(value: &Value, key: &str) -> Option<(Quantiles, Statistic)> {
    // What else has a count has no such quantile.
    value.get("p99_9")?;
    Some((serde_json::from_value(value.clone()).ok()?, Statistic::called(key)?))
}

/// A day has more seconds than anybody should copy key by key, and no budget is on one of them.
fn without_course(stage: &Stage) -> Stage {
    let mut bare = stage.clone();
    bare.intervals.clear();
    bare.server_intervals.clear();
    bare.wait_intervals.clear();
    bare.host_intervals.clear();
    bare.process_intervals.clear();
    bare
}

/// `tables[orders].dead_rows` in its steps. A name may hold points.
fn steps(text: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let key = rest[..end].trim().to_owned();
        if key.is_empty() {
            return Err("a key is missing".to_owned());
        }
        rest = &rest[end..];
        let mut of = None;
        if let Some(behind) = rest.strip_prefix('[') {
            let (name, after) = behind.split_once(']').ok_or("a `]` is missing")?;
            if name.trim().is_empty() {
                return Err(format!("say which of `{key}`: `{key}[NAME]`"));
            }
            of = Some(name.trim().to_owned());
            rest = after;
        }
        steps.push(Step { key, of });
        match rest.strip_prefix('.') {
            Some(behind) => rest = behind,
            None if rest.trim().is_empty() => return Ok(steps),
            None => return Err(format!("`{rest}` does not continue it")),
        }
    }
}

/// The schema of a stage.
fn schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(Stage).to_value());
    &SCHEMA
}

/// What a schema stands for: behind its reference, and whether or not it may be absent.
fn meant(mut schema: &'static Value) -> &'static Value {
    loop {
        let choices = schema.get("anyOf").or_else(|| schema.get("allOf")).and_then(Value::as_array);
        if let Some(choice) = choices.and_then(|of| of.iter().find(|of| of["type"] != "null")) {
            schema = choice;
        } else if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            schema = &self::schema()["$defs"][name.trim_start_matches("#/$defs/")];
        } else {
            return schema;
        }
    }
}

fn has_type(schema: &Value, wanted: &[&str]) -> bool {
    match &schema["type"] {
        Value::String(one) => wanted.contains(&one.as_str()),
        Value::Array(several) => several.iter().filter_map(Value::as_str).any(|one| wanted.contains(&one)),
        _ => false,
    }
}

fn properties(schema: &'static Value) -> Option<&'static Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

/// Whether the schema knows all of it, and it ends in a number.
fn check(steps: &[Step]) -> Result<(), String> {
    let mut at = meant(schema());
    for step in steps {
        let known = properties(at);
        let found = known.and_then(|known| known.get(&step.key));
        let Some(found) = found.or_else(|| at.get("additionalProperties").filter(|of| of.is_object())) else {
            return Err(no_such(&step.key, known));
        };
        at = meant(found);
        if let Some(items) = at.get("items") {
            at = meant(items);
            let has_a_name =
                properties(at).is_some_and(|known| NAMES.iter().any(|name| known.contains_key(*name)));
            if !has_a_name {
                return Err(format!("the entries of `{}` have no names to choose one by", step.key));
            }
            if step.of.is_none() {
                return Err(format!("say which of `{0}`: `{0}[NAME]`", step.key));
            }
        } else if step.of.is_some() {
            return Err(format!("`{}` is no list", step.key));
        }
    }
    if has_type(at, &["integer", "number"]) {
        return Ok(());
    }
    let known: Vec<&str> = properties(at).into_iter().flat_map(Map::keys).map(String::as_str).collect();
    if known.is_empty() {
        return Err("it is no number".to_owned());
    }
    Err(format!("it is no number; it goes on with one of {}", known.join(", ")))
}

fn no_such(key: &str, known: Option<&Map<String, Value>>) -> String {
    let known: Vec<&str> = known.into_iter().flat_map(Map::keys).map(String::as_str).collect();
    match closest(key, known.iter().copied()) {
        Some(meant) => format!("there is no `{key}` (did you mean `{meant}`?)"),
        None if known.is_empty() => format!("there is no `{key}`: it ends before"),
        None => format!("there is no `{key}`; there are {}", known.join(", ")),
    }
}

/// Whether the last key is one that every report has, as against an entry of a table such as that of errors by SQLSTATE, which has
/// no entry for what did not happen.
fn is_declared(steps: &[Step]) -> bool {
    let mut at = meant(schema());
    for step in steps {
        let Some(found) = properties(at).and_then(|known| known.get(&step.key)) else { return false };
        at = meant(found);
        if let Some(items) = at.get("items") {
            at = meant(items);
        }
    }
    true
}

fn entry<'a>(list: &'a Value, name: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|entry| {
        let own = NAMES.iter().find_map(|key| entry.get(key)?.as_str()).unwrap_or_default();
        // Statements of one name may belong to several transactions.
        match entry.get("transaction").and_then(Value::as_str) {
            Some(transaction) => name.split_once('.') == Some((transaction, own)),
            None => name == own,
        }
    })
}

/// Whether nothing of that name was seen among what was.
fn is_of_what_was_seen(step: &Step, list: &Value) -> bool {
    LISTS_OF_WHAT_WAS_SEEN.contains(&step.key.as_str())
        && list.as_array().is_some_and(|list| !list.is_empty())
}

/// The last key that says what it is counted in: of a distribution that is the one before the statistic.
fn telling(steps: &[Step]) -> &str {
    let keys = steps.iter().rev().map(|step| step.key.as_str());
    let tells = |key: &&str| {
        *key == "count"
            || key.split('_').any(|word| ["us", "ms", "s", "bytes", "fraction", "share"].contains(&word))
    };
    keys.take(2).find(tells).unwrap_or_default()
}

fn unit(steps: &[Step]) -> Unit {
    let key = telling(steps);
    let has = |wanted: &str| key.split('_').any(|word| word == wanted);
    if key.ends_with("per_s") {
        Unit::PerSecond
    } else if has("us") || has("ms") || has("s") {
        Unit::Time
    } else if has("bytes") {
        Unit::Bytes
    } else if has("fraction") || has("share") {
        Unit::Share
    } else {
        Unit::Count
    }
}

/// From the unit of the key to that of a limit.
fn scale(steps: &[Step]) -> f64 {
    let key = telling(steps);
    match key.split('_').next_back() {
        _ if key.ends_with("per_s") => 1.0,
        Some("s") => 1e6,
        Some("ms") => 1e3,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{ServerInfo, StatementInfo, TableInfo, TransactionInfo, WaitShare};

    fn path(text: &str) -> FigurePath {
        FigurePath::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn stage() -> Stage {
        let transaction = serde_json::json!({
            "name": "checkout", "count": 200, "ok": 196, "per_s": 20.0, "response_us": { "count": 0 }, "service_us": { "count": 0 },
            "pool_wait_us": { "count": 0 }, "lag_us": { "count": 0 }, "hold_us": { "count": 0 }, "commit_us": { "count": 0 },
            "errors": { "40001": 3 },
        });
        let statement = StatementInfo {
            name: "take_stock".to_owned(),
            transaction: "checkout".to_owned(),
            execute_us: Quantiles { count: 90, p50: Some(700), mean: Some(900.5), ..Quantiles::default() },
            ..StatementInfo::default()
        };
        Stage {
            duration_s: 10.0,
            transactions: vec![
                serde_json::from_value::<TransactionInfo>(transaction).expect("a transaction"),
            ],
            statements: vec![statement],
            tables: vec![TableInfo {
                table: "shop.orders".to_owned(),
                dead_rows: 41,
                ..TableInfo::default()
            }],
            waits: vec![WaitShare { event: "CPU".to_owned(), count: 9, share: 1.0, sessions_mean: 0.9 }],
            server: Some(ServerInfo {
                deadlocks: 2,
                cache_hit_fraction: Some(0.99),
                ..ServerInfo::default()
            }),
            ..Stage::default()
        }
    }

    #[test]
    fn figures_are_found_by_their_places() {
        let stage = stage();
        for (text, unit, value) in [
            ("server.deadlocks", Unit::Count, 2.0),
            ("server.cache_hit_fraction", Unit::Share, 0.99),
            ("tables[shop.orders].dead_rows", Unit::Count, 41.0),
            ("transactions[checkout].per_s", Unit::PerSecond, 20.0),
            ("transactions[checkout].errors.40001", Unit::Count, 3.0),
            ("transactions[checkout].errors.40P01", Unit::Count, 0.0),
            ("waits[CPU].sessions_mean", Unit::Count, 0.9),
            ("waits[Lock:tuple].share", Unit::Share, 0.0),
            ("locks.wait_us_total", Unit::Time, 0.0),
            ("duration_s", Unit::Time, 10e6),
            ("accounting.failed", Unit::Count, 0.0),
        ] {
            let path = path(text);
            assert_eq!((path.unit(), path.to_string()), (unit, format!("stages[].{text}")));
            assert_eq!(path.read(&stage), Ok(Figure::Number(value)), "{text}");
        }
        let execute = path("statements[checkout.take_stock].execute_us.p50");
        assert_eq!((execute.unit(), execute.transaction()), (Unit::Time, Some("checkout")));
        let Ok(Figure::Of(quantiles, statistic)) = execute.read(&stage) else { panic!("a distribution") };
        assert_eq!((quantiles.p50, statistic), (Some(700), Statistic::P50));
        assert_eq!(path("statements[checkout.take_stock].execute_us.count").unit(), Unit::Count);
    }

    #[test]
    fn what_was_not_seen_is_no_zero() {
        let stage = stage();
        assert!(path("host.cpu_fraction").read(&stage).is_err_and(|why| why.contains("no `host`")));
        assert!(path("tables[none].dead_rows").read(&stage).is_err_and(|why| why.contains("tables[none]")));
        let unseen = Stage { waits: Vec::new(), ..stage };
        assert!(path("waits[CPU].share").read(&unseen).is_err(), "nobody looked");
    }

    #[test]
    fn what_no_report_has_is_refused_with_what_was_likely_meant() {
        let said = |text: &str| FigurePath::parse(text).expect_err(text).to_string();
        assert!(said("server.deadlock").contains("did you mean `deadlocks`"), "{}", said("server.deadlock"));
        assert!(said("server").contains("goes on with one of"), "{}", said("server"));
        assert!(said("tables.dead_rows").contains("`tables[NAME]`"), "{}", said("tables.dead_rows"));
        assert!(said("tables[].dead_rows").contains("`tables[NAME]`"));
        assert!(said("server[x].deadlocks").contains("is no list"));
        assert!(said("intervals[1].per_s").contains("no names to choose one by"));
        assert!(said("name").contains("no number"), "{}", said("name"));
        assert!(said("server..deadlocks").contains("a key is missing"));
        assert!(said("tables[orders.dead_rows").contains("`]` is missing"));
        assert!(
            said("server.deadlocks.more").contains("it ends before"),
            "{}",
            said("server.deadlocks.more")
        );
    }

    #[test]
    fn every_error_of_a_transaction_may_be_named() {
        let mut stage = stage();
        stage.transactions[0].errors = BTreeMap::from([("pool_timeout".to_owned(), 7)]);
        assert_eq!(path("transactions[checkout].errors.pool_timeout").read(&stage), Ok(Figure::Number(7.0)));
    }
}
