//! Statements as transactions with weights: those whose calls move together make one, the others run alone. Knows no server.

use std::collections::{BTreeMap, BTreeSet};

use super::describe::Described;
use super::facts::{DatabaseFacts, Remark};
use super::load::SeenLoad;
use super::predicate::At;
use super::source::{DrawnFrom, Sources};
use super::statement::{
    KeyColumn, MadeParameter, MadeStatement, Means, ReturnedRow, StatementFacts, free_name, make, refusal,
    without_values,
};
use crate::sql::lex::{TokenKind, lex};
use crate::sql::quoting::double_quoted;
use crate::sql::statement::StatementKind;

/// Below so many intervals, and calls in all of them, nothing can be told from how they move.
const INTERVALS_MIN: usize = 4;
const CALLS_MIN: f64 = 40.0;
/// Two transactions that are drawn by chance differ by the square root of what both have; those that belong together by less than this
/// share of it.
const APART: f64 = 0.25;
/// The same where one is executed a changing number of times in each transaction, which takes more intervals to be told from chance:
/// from 1 to 4 times makes 0.3 of it.
const APART_CHANGING: f64 = 0.35;
const INTERVALS_MIN_CHANGING: usize = 16;
/// A ratio of calls this near to a whole number, relative to it, is that number.
const WHOLE: f64 = 0.03;
/// Below this ratio, a statement is executed once, or now and then; between the two nobody knows.
const TWICE_MIN: f64 = 1.25;
/// A statement that is executed more often for each call of another has no place in its transaction.
const TIMES_MAX: f64 = 100.0;
/// What makes up less than this share of calls and of time is left out.
const SHARE_MIN: f64 = 1e-5;

/// What is done with a database.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Statements that can be run, as far as their text tells.
    pub statements: Vec<StatementFacts>,
    /// Those that cannot.
    pub refused: Vec<RefusedStatement>,
    /// For how long it was counted, in seconds.
    pub seconds: f64,
    /// How often a transaction was begun by a command of its own.
    pub begins: f64,
    /// What was seen of the sessions, and when.
    pub load: SeenLoad,
}

/// A statement that is not in the workload.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedStatement {
    /// How it begins, without values.
    pub text: String,
    /// How often it was executed.
    pub calls: f64,
    /// How long that took, in milliseconds.
    pub exec_ms: f64,
    /// Why not.
    pub why: String,
}

impl RefusedStatement {
    /// A statement that cannot be run, and why.
    #[must_use]
    pub fn of(statement: &StatementFacts, why: impl Into<String>) -> Self {
        Self {
            text: beginning(&statement.text),
            calls: statement.calls,
            exec_ms: statement.exec_ms,
            why: why.into(),
        }
    }
}

/// What a workload does.
#[derive(Clone, Debug, Default)]
pub struct Mix {
    /// For `queries.sql`.
    pub statements: Vec<MadeStatement>,
    /// In the order of their weights.
    pub transactions: Vec<MadeTransaction>,
    /// Statements that are not in it.
    pub refused: Vec<RefusedStatement>,
    /// Calls of all statements, and milliseconds that they took: of what is not in it as well.
    pub totals: (f64, f64),
    /// Transactions per second; zero where that is not known.
    pub rate: f64,
    /// What was seen of the sessions, and when.
    pub load: SeenLoad,
    /// Transactions in each interval of that.
    pub course: Vec<f64>,
    /// Whether the transactions are guessed, since nothing was counted.
    pub guessed: bool,
}

impl Mix {
    /// Parameters that are not as they were, and what to write by hand.
    #[must_use]
    pub fn remarks(&self) -> Vec<Remark> {
        let of = |statement: &MadeStatement, column: &String| {
            let what = format!("{} asks for made-up values of it, not for those of its rows", statement.name);
            Remark::new(column, what, "draw its parameter in workload.toml by a query")
        };
        self.statements
            .iter()
            .flat_map(|statement| statement.misses.iter().map(move |column| of(statement, column)))
            .collect()
    }
}

/// One transaction.
#[derive(Clone, Debug)]
pub struct MadeTransaction {
    /// Its name.
    pub name: String,
    /// Its share of all transactions in per cent.
    pub weight: f64,
    /// What it executes, in its order.
    pub steps: Vec<MadeStep>,
    /// What its statements draw.
    pub parameters: Vec<TransactionParameter>,
}

/// One statement of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeStep {
    /// Its place among the statements of the mix.
    pub statement: usize,
    /// How often it is executed, fewest and most.
    pub times: (u32, u32),
}

impl MadeStep {
    fn once(statement: usize) -> Self {
        Self { statement, times: (1, 1) }
    }

    /// Whether it is executed once, whatever is drawn.
    #[must_use]
    pub fn is_once(&self) -> bool {
        self.times == (1, 1)
    }
}

/// A parameter that a transaction draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionParameter {
    /// Its name.
    pub name: String,
    /// Where its values come from, as the document has it.
    pub source: String,
    /// Whether it is drawn anew for each execution.
    pub each: bool,
}

/// Makes the mix.
#[must_use]
pub fn mix(traffic: &Traffic, facts: &DatabaseFacts, described: &Described, from: DrawnFrom) -> Mix {
    let sources = Sources::new(facts, described, from);
    let mut refused = traffic.refused.clone();
    let totals = totals(traffic);
    let mut names = BTreeSet::new();
    let mut made: Vec<(usize, MadeStatement)> = vec![];
    for (at, statement) in traffic.statements.iter().enumerate() {
        let is_rare = statement.calls < SHARE_MIN * totals.0 && statement.exec_ms < SHARE_MIN * totals.1;
        let result =
            if is_rare { Err("it is rare".to_owned()) } else { make(statement, &sources, &mut names) };
        match result {
            Ok(statement) => made.push((at, MadeStatement { of: Some(at), ..statement })),
            Err(why) => refused.push(RefusedStatement::of(statement, why)),
        }
    }
    refused.sort_by(|one, other| other.calls.total_cmp(&one.calls));
    let mut mix = Mix { refused, totals, load: traffic.load.clone(), ..Mix::default() };
    let counted: Vec<&StatementFacts> = made.iter().map(|(at, _)| &traffic.statements[*at]).collect();
    let groups = groups(&counted, traffic.begins);
    mix.statements = made.iter().map(|(_, statement)| statement.clone()).collect();
    let all: f64 = groups.iter().map(|group| group.calls).sum();
    mix.course = course(&groups, &counted);
    let depths = depths(facts);
    let mut names = BTreeSet::new();
    for mut group in groups {
        group.steps.sort_by_key(|step| order_of(&mix.statements[step.statement], &depths));
        let steps = arranged(&mix.statements, group.steps);
        let parameters = share_parameters(&mut mix.statements, &steps);
        mix.transactions.push(MadeTransaction {
            name: transaction_name(&mix.statements, &steps, &mut names),
            weight: 100.0 * group.calls / all,
            steps,
            parameters,
        });
    }
    mix.transactions.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    mix.rate = if traffic.seconds > 0.0 { all / traffic.seconds } else { 0.0 };
    if mix.transactions.is_empty() {
        mix.look_ups(&sources);
    }
    mix
}

fn totals(traffic: &Traffic) -> (f64, f64) {
    let calls = traffic.statements.iter().map(|of| of.calls).chain(traffic.refused.iter().map(|of| of.calls));
    let times =
        traffic.statements.iter().map(|of| of.exec_ms).chain(traffic.refused.iter().map(|of| of.exec_ms));
    (calls.sum::<f64>().max(1.0), times.sum::<f64>().max(f64::MIN_POSITIVE))
}

/// How a statement begins.
#[must_use]
pub fn beginning(text: &str) -> String {
    const SHOWN: usize = 70;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= SHOWN {
        words
    } else {
        words.chars().take(SHOWN - 1).chain(['…']).collect()
    }
}

/// Splits what was counted into what can be run and what cannot, by the texts alone, and takes out of the texts what could be a value.
#[must_use]
pub fn sorted_out(statements: Vec<StatementFacts>) -> (Vec<StatementFacts>, Vec<RefusedStatement>) {
    let (mut kept, mut refused) = (vec![], vec![]);
    for mut statement in statements {
        let is_cut_off = lex(&statement.text).any(|token| !token.closed);
        statement.text = without_values(&statement.text);
        let why = if is_cut_off { Some("its text is cut off") } else { refusal(&statement.text) };
        match why {
            None => kept.push(statement),
            Some(why) => refused.push(RefusedStatement::of(&statement, why)),
        }
    }
    (kept, refused)
}

/// Statements that make one transaction, and how often it was seen.
#[derive(Debug, PartialEq)]
struct Group {
    steps: Vec<MadeStep>,
    calls: f64,
}

/// Statements whose calls move together, as far as transactions were begun for them.
fn groups(statements: &[&StatementFacts], begins: f64) -> Vec<Group> {
    let mut order: Vec<usize> = (0..statements.len()).collect();
    order.sort_by(|one, other| statements[*other].calls.total_cmp(&statements[*one].calls));
    let mut taken = vec![false; statements.len()];
    let mut together: Vec<Vec<usize>> = vec![];
    for (place, at) in order.iter().enumerate() {
        if std::mem::replace(&mut taken[*at], true) {
            continue;
        }
        let mut group = vec![*at];
        for other in &order[place + 1..] {
            // The ones behind it have fewer calls still, and were looked at as often.
            if !can_be_told(statements[*other]) || too_far_apart(statements[*at], statements[*other]) {
                break;
            }
            if !taken[*other] && group.iter().all(|at| move_together(statements[*at], statements[*other])) {
                taken[*other] = true;
                group.push(*other);
            }
        }
        together.push(group);
    }
    // Each transaction of several statements was begun: there are no more of them than that.
    let mut left = begins * 1.05;
    let mut groups = vec![];
    together.sort_by_key(|group| std::cmp::Reverse(group.len()));
    for group in together {
        let calls = group.iter().map(|at| statements[*at].calls).fold(f64::INFINITY, f64::min);
        let is_begun = group.len() < 2 || left >= calls;
        if group.len() >= 2 && is_begun {
            left -= calls;
        }
        let step = |at: &usize| MadeStep { statement: *at, times: times(statements[*at].calls / calls) };
        if is_begun {
            groups.push(Group { steps: group.iter().map(step).collect(), calls });
        } else {
            let alone = |at: &usize| Group { steps: vec![MadeStep::once(*at)], calls: statements[*at].calls };
            groups.extend(group.iter().map(alone));
        }
    }
    groups
}

/// Transactions in each interval: of each group, as many as its statement that is called least.
fn course(groups: &[Group], statements: &[&StatementFacts]) -> Vec<f64> {
    let intervals = statements.iter().map(|of| of.intervals.len()).min().unwrap_or(0);
    let mut course = vec![0.0; intervals];
    for group in groups {
        let calls = group.steps.iter().map(|step| statements[step.statement]);
        let Some(least) = calls.min_by(|one, other| one.calls.total_cmp(&other.calls)) else { continue };
        for (sum, calls) in course.iter_mut().zip(&least.intervals) {
            *sum += calls;
        }
    }
    course
}

/// How often a statement is executed in a transaction, fewest and most, that has it so often on average.
fn times(ratio: f64) -> (u32, u32) {
    // At most `TIMES_MAX`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = |value: f64| value.round().max(1.0) as u32;
    if is_whole(ratio) || ratio < TWICE_MIN {
        (whole(ratio), whole(ratio))
    } else {
        // The mean of both ends.
        (1, whole(2.0 * ratio - 1.0).max(2))
    }
}

fn is_whole(ratio: f64) -> bool {
    (ratio - ratio.round()).abs() <= WHOLE * ratio
}

/// Whether it was seen often enough, and in enough intervals, to tell how it moves.
fn can_be_told(statement: &StatementFacts) -> bool {
    statement.intervals.len() >= INTERVALS_MIN && statement.calls >= CALLS_MIN
}

/// Whether one is called too often for each call of the other.
fn too_far_apart(many: &StatementFacts, few: &StatementFacts) -> bool {
    many.calls > TIMES_MAX * few.calls
}

fn move_together(one: &StatementFacts, other: &StatementFacts) -> bool {
    let intervals = one.intervals.len().min(other.intervals.len());
    let (many, few) = if one.calls >= other.calls { (one, other) } else { (other, one) };
    if !(can_be_told(many) && can_be_told(few)) || too_far_apart(many, few) {
        return false;
    }
    let ratio = many.calls / few.calls;
    let most = if is_whole(ratio) {
        APART
    } else if ratio >= TWICE_MIN && intervals >= INTERVALS_MIN_CHANGING {
        APART_CHANGING
    } else {
        return false;
    };
    let pairs = || many.intervals.iter().zip(&few.intervals);
    // Most pairs are apart after a few intervals: over n of them, with a calls in all and b, and r = a / b, the sum of √(aᵢ + r² bᵢ) is
    // at most √(n (a + r² b)).
    let limit = most * (intervals as f64 * (many.calls + ratio * ratio * few.calls)).sqrt();
    let mut apart = 0.0;
    for (many, few) in pairs() {
        apart += (many - ratio * few).abs();
        if apart > limit {
            return false;
        }
    }
    let by_chance: f64 = pairs().map(|(many, few)| (many + ratio * ratio * few).sqrt()).sum();
    apart <= most * by_chance
}

/// Reads come first, then rows that others refer to, then those, then changes.
fn order_of(statement: &MadeStatement, depths: &[usize]) -> (u8, usize) {
    let rank = match statement.kind {
        StatementKind::Select => 0,
        StatementKind::SelectForUpdate => 1,
        StatementKind::Insert => 2,
        StatementKind::Update | StatementKind::Merge => 3,
        StatementKind::Delete | StatementKind::Other => 4,
    };
    (rank, statement.tables.first().map_or(0, |table| depths[*table]))
}

/// How many tables stand above each, along its foreign keys; no more than eight, where they go round in a circle.
fn depths(facts: &DatabaseFacts) -> Vec<usize> {
    let places: BTreeMap<u32, usize> =
        facts.tables.iter().enumerate().map(|(at, table)| (table.oid, at)).collect();
    let mut depths = vec![0; facts.tables.len()];
    for _ in 0..8 {
        let before = depths.clone();
        for (at, table) in facts.tables.iter().enumerate() {
            let parents = table.references.iter().filter_map(|reference| places.get(&reference.table));
            let above = parents.filter(|parent| **parent != at).map(|parent| 1 + before[*parent]);
            depths[at] = above.max().unwrap_or(0);
        }
        if depths == before {
            break;
        }
    }
    depths
}

/// The steps, in the order that they have, but for those that name a row by the key that another one of them puts in: they come behind
/// that.
fn arranged(statements: &[MadeStatement], steps: Vec<MadeStep>) -> Vec<MadeStep> {
    let mut rest = steps;
    let mut arranged = vec![];
    while !rest.is_empty() {
        let waits = |step: &MadeStep| {
            let puts_it_in = |other: &MadeStep| {
                other.statement != step.statement
                    && statements[step.statement].names(|key| statements[other.statement].puts_in(key))
            };
            rest.iter().any(puts_it_in)
        };
        let next = rest.iter().position(|step| !waits(step)).unwrap_or(0);
        arranged.push(rest.remove(next));
    }
    arranged
}

impl MadeStatement {
    /// Whether it names a row that is there by a key of which this is so.
    fn names(&self, is_so: impl Fn(&KeyColumn) -> bool) -> bool {
        self.parameters.iter().any(|of| matches!(&of.means, Means::Key(key) if is_so(key)))
    }

    /// Whether it puts in the row that has this key.
    fn puts_in(&self, wanted: &KeyColumn) -> bool {
        self.returns.as_ref().is_some_and(|row| row.key == *wanted)
            || self.parameters.iter().any(|of| matches!(&of.means, Means::NewKey(key) if key == wanted))
    }
}

/// A parameter of a transaction in the making.
struct Shared {
    name: String,
    source: String,
    means: Means,
    /// Whether all statements that have it are repeated.
    repeated: bool,
}

impl Shared {
    /// Whether a parameter of another statement has the same value.
    fn is_same(&self, other: &MadeParameter) -> bool {
        match (&self.means, &other.means) {
            (Means::Key(key) | Means::NewKey(key), Means::Key(wanted)) => key == wanted,
            (Means::Row, Means::Row) | (Means::OfRow, Means::OfRow) => self.source == other.source,
            (Means::Value, Means::Value) => self.source == other.source && self.name == other.name,
            _ => false,
        }
    }
}

/// The parameters of the statements of one transaction: what means the same key is one parameter, so that all of them speak of one row;
/// another one of the same name gets another name. A key that an earlier step returns is taken from there.
fn share_parameters(statements: &mut [MadeStatement], steps: &[MadeStep]) -> Vec<TransactionParameter> {
    let given = returned(statements, steps);
    let outputs = given.as_ref().map(|(_, row)| row.columns.clone()).unwrap_or_default();
    let mut shared: Vec<Shared> = vec![];
    for (place, step) in steps.iter().enumerate() {
        let statement = &mut statements[step.statement];
        let row = given.as_ref().filter(|(giver, _)| place > *giver).map(|(_, row)| row);
        let mut renames: Vec<(String, String)> = vec![];
        for parameter in &mut statement.parameters {
            let old = parameter.name.clone();
            parameter.source = renames.iter().fold(parameter.source.clone(), |source, (old, new)| {
                source.replace(&format!("as = \"{old}\""), &format!("as = \"{new}\""))
            });
            if let Some(row) = row.filter(|row| parameter.means == Means::Key(row.key.clone())) {
                parameter.name.clone_from(&row.name);
                renames.push((old, row.name.clone()));
                continue;
            }
            let is_taken_here = |known: &Shared| renames.iter().any(|(_, new)| *new == known.name);
            // The latest one: a row that was put in meanwhile is meant rather than one that was there.
            let same = shared.iter().rposition(|known| known.is_same(parameter) && !is_taken_here(known));
            if let Some(at) = same {
                parameter.name.clone_from(&shared[at].name);
                shared[at].repeated &= !step.is_once();
            } else {
                let is_taken = |name: &str| {
                    shared.iter().any(|known| known.name == name)
                        || outputs.iter().any(|output| output == name)
                };
                parameter.name = free_name(&old, is_taken);
                shared.push(Shared {
                    name: parameter.name.clone(),
                    source: parameter.source.clone(),
                    means: parameter.means.clone(),
                    repeated: !step.is_once(),
                });
            }
            renames.push((old, parameter.name.clone()));
        }
        statement.sql = renamed(&statement.sql, &renames);
        if given.as_ref().is_some_and(|(giver, _)| place == *giver) {
            statement.cardinality = "one";
        }
    }
    let drawn = |of: Shared| TransactionParameter {
        // What shares a row is drawn when the row is.
        each: of.repeated && of.means != Means::OfRow,
        name: of.name,
        source: of.source,
    };
    shared.into_iter().map(drawn).collect()
}

/// The first step that returns the key of the row that it puts in, where a later step names that row.
fn returned(statements: &[MadeStatement], steps: &[MadeStep]) -> Option<(usize, ReturnedRow)> {
    steps.iter().enumerate().find_map(|(place, step)| {
        let row = statements[step.statement].returns.as_ref().filter(|_| step.is_once())?;
        let is_named = |later: &MadeStep| statements[later.statement].names(|key| *key == row.key);
        steps[place + 1..].iter().any(is_named).then(|| (place, row.clone()))
    })
}

fn renamed(sql: &str, renames: &[(String, String)]) -> String {
    let mut out = String::with_capacity(sql.len());
    for token in lex(sql) {
        let own = token.text(sql);
        let new = renames.iter().find(|(old, _)| token.kind == TokenKind::Parameter && own[1..] == **old);
        match new {
            Some((_, new)) => out.push_str(&format!(":{new}")),
            None => out.push_str(own),
        }
    }
    out
}

fn transaction_name(
    statements: &[MadeStatement],
    steps: &[MadeStep],
    names: &mut BTreeSet<String>,
) -> String {
    let main = steps.iter().find(|step| statements[step.statement].kind.writes()).unwrap_or(&steps[0]);
    let name = &statements[main.statement].name;
    let name = if steps.len() > 1 { format!("{name}_and_{}", steps.len() - 1) } else { name.clone() };
    let name = free_name(&name, |name| names.contains(name));
    names.insert(name.clone());
    name
}

impl Mix {
    /// Where nothing was counted: one row of each table, by its key.
    fn look_ups(&mut self, sources: &Sources<'_>) {
        self.guessed = true;
        let tables: Vec<_> = sources
            .described
            .tables
            .iter()
            .filter_map(|table| Some((table, table.columns.iter().find(|column| column.is_unique)?)))
            .collect();
        for (table, column) in &tables {
            let name = super::statement::plain(table.name.trim_matches('"'));
            let is_taken = |name: &str| self.statements.iter().any(|statement| statement.name == name);
            let name = free_name(&format!("select_{name}_by_key"), is_taken);
            let parameter = super::statement::plain(&column.name);
            let at = At { table: table.facts, column: column.name.clone(), alias: String::new() };
            let Some(source) = sources.own_key(&at) else { continue };
            let field = double_quoted(&column.name);
            self.statements.push(MadeStatement {
                name: name.clone(),
                cardinality: "many",
                sql: format!("SELECT * FROM {} WHERE {field} = :{parameter}", table.name),
                kind: StatementKind::Select,
                parameters: vec![MadeParameter {
                    name: parameter.clone(),
                    source: source.clone(),
                    means: Means::Value,
                }],
                returns: None,
                tables: vec![table.facts],
                of: None,
                is_changed: false,
                misses: vec![],
            });
            self.transactions.push(MadeTransaction {
                name,
                weight: 100.0 / tables.len() as f64,
                steps: vec![MadeStep::once(self.statements.len() - 1)],
                parameters: vec![TransactionParameter { name: parameter, source, each: false }],
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(intervals: &[f64]) -> StatementFacts {
        StatementFacts {
            calls: intervals.iter().sum(),
            intervals: intervals.to_vec(),
            ..StatementFacts::default()
        }
    }

    /// Each transaction as its statements and how often each is executed.
    fn found(statements: &[&StatementFacts], begins: f64) -> Vec<Vec<(usize, (u32, u32))>> {
        let groups = groups(statements, begins);
        let steps = |group: &Group| {
            let mut steps: Vec<_> = group.steps.iter().map(|step| (step.statement, step.times)).collect();
            steps.sort_unstable();
            steps
        };
        groups.iter().map(steps).collect()
    }

    #[test]
    fn what_moves_together_and_was_begun_is_one_transaction() {
        const ONCE: (u32, u32) = (1, 1);
        let page = counted(&[170.0, 155.0, 181.0, 166.0, 190.0]);
        let reviews = counted(&[170.0, 156.0, 180.0, 166.0, 190.0]);
        let search = counted(&[168.0, 170.0, 160.0, 184.0, 178.0]);
        let all = [&page, &reviews, &search];
        assert_eq!(found(&all, 900.0), [vec![(0, ONCE), (1, ONCE)], vec![(2, ONCE)]]);
        // Without a BEGIN for each of them they were sent alone.
        assert_eq!(found(&all, 100.0).len(), 3);
        // Nothing moves in a single interval.
        let once = [&counted(&[500.0]), &counted(&[500.0])];
        assert_eq!(found(&once, 900.0).len(), 2);
    }

    #[test]
    fn what_is_executed_several_times_in_each_transaction_moves_with_it() {
        let orders =
            [31.0, 12.0, 44.0, 27.0, 38.0, 9.0, 22.0, 35.0, 41.0, 18.0, 29.0, 33.0, 15.0, 24.0, 40.0, 26.0];
        let order = counted(&orders);
        let thrice = counted(&orders.map(|calls| 3.0 * calls));
        assert_eq!(found(&[&order, &thrice], 500.0), [vec![(0, (1, 1)), (1, (3, 3))]]);
        // From 1 to 4 times: 2.5 on average, and some more or fewer by chance.
        let more = [6.0, -4.0, 3.0, -7.0, 5.0, 2.0, -3.0, -6.0, 4.0, 1.0, -5.0, 7.0, -2.0, 3.0, -6.0, 2.0];
        let changing: Vec<f64> = orders.iter().zip(more).map(|(calls, more)| 2.5 * calls + more).collect();
        assert_eq!(found(&[&order, &counted(&changing)], 500.0), [vec![(0, (1, 1)), (1, (1, 4))]]);
        // Others that are as many have nothing to do with it.
        let mut others = orders.map(|calls| 2.5 * calls);
        others.reverse();
        assert_eq!(found(&[&order, &counted(&others)], 500.0).len(), 2);
        assert_eq!(
            [1.0, 1.02, 2.0, 2.02, 2.5, 1.3].map(times),
            [(1, 1), (1, 1), (2, 2), (2, 2), (1, 4), (1, 2)]
        );
    }

    fn statement(name: &str, sql: &str, parameters: &[(&str, &str, Means)]) -> MadeStatement {
        MadeStatement {
            name: name.into(),
            cardinality: "many",
            sql: sql.into(),
            kind: StatementKind::Select,
            parameters: parameters
                .iter()
                .map(|(name, source, means)| MadeParameter {
                    name: (*name).into(),
                    source: (*source).into(),
                    means: means.clone(),
                })
                .collect(),
            returns: None,
            tables: vec![],
            of: None,
            is_changed: false,
            misses: vec![],
        }
    }

    fn key(table: usize) -> KeyColumn {
        (table, "id".into())
    }

    fn names(parameters: &[TransactionParameter]) -> Vec<&str> {
        parameters.iter().map(|of| of.name.as_str()).collect()
    }

    #[test]
    fn one_row_is_one_parameter_and_two_rows_are_two() {
        // Whatever each would have been drawn from: a foreign key means the row that it refers to.
        let product = |source| ("product_id", source, Means::Key(key(0)));
        let mut statements = vec![
            statement("a", "SELECT 1 FROM products WHERE id = :id", &[("id", "key = 1", Means::Key(key(0)))]),
            statement("b", "SELECT 1 FROM reviews WHERE product_id = :product_id", &[product("key = 2")]),
            statement("c", "SELECT 1 FROM t WHERE id = :id", &[("id", "uniform = [1, 9]", Means::Value)]),
        ];
        let steps: Vec<MadeStep> = (0..3).map(MadeStep::once).collect();
        let shared = share_parameters(&mut statements, &steps);
        assert_eq!(names(&shared), ["id", "id_2"]);
        assert_eq!(statements[1].sql, "SELECT 1 FROM reviews WHERE product_id = :id");
        assert_eq!(statements[2].sql, "SELECT 1 FROM t WHERE id = :id_2");
    }

    #[test]
    fn what_a_transaction_puts_in_is_what_its_later_statements_mean() {
        let order = Means::Key(key(1));
        let mut insert = statement(
            "insert_order",
            "INSERT INTO orders (customer_id) VALUES (:customer_id) RETURNING id",
            &[("customer_id", "key = 0", Means::Key(key(0)))],
        );
        insert.returns = Some(ReturnedRow { key: key(1), name: "id".into(), columns: vec!["id".into()] });
        let line = statement(
            "insert_line",
            "INSERT INTO lines (order_id, product_id) VALUES (:order_id, :product_id)",
            &[("order_id", "key = 1", order.clone()), ("product_id", "key = 2", Means::Key(key(2)))],
        );
        let customer = statement(
            "customer",
            "SELECT 1 FROM customers WHERE id = :id",
            &[("id", "key = 0", Means::Key(key(0)))],
        );
        let total = statement("total", "SELECT 1 FROM orders WHERE id = :id", &[("id", "key = 1", order)]);
        let mut statements = vec![total, customer, insert, line];
        let given = [(0, (1, 1)), (1, (1, 1)), (2, (1, 1)), (3, (1, 4))];
        let steps = given.map(|(statement, times)| MadeStep { statement, times });
        let steps = arranged(&statements, steps.into());
        let order: Vec<usize> = steps.iter().map(|step| step.statement).collect();
        assert_eq!(order, [1, 2, 0, 3], "a row is read behind the step that puts it in");
        let shared = share_parameters(&mut statements, &steps);
        // The customer is one; the order is what was put in; each line has a product of its own.
        assert_eq!(names(&shared), ["id_2", "product_id"]);
        assert_eq!(shared.iter().map(|of| of.each).collect::<Vec<_>>(), [false, true]);
        assert_eq!(statements[1].sql, "SELECT 1 FROM customers WHERE id = :id_2");
        assert_eq!(statements[2].sql, "INSERT INTO orders (customer_id) VALUES (:id_2) RETURNING id");
        assert_eq!(statements[2].cardinality, "one");
        assert_eq!(statements[0].sql, "SELECT 1 FROM orders WHERE id = :id");
        assert_eq!(statements[3].sql, "INSERT INTO lines (order_id, product_id) VALUES (:id, :product_id)");
        assert_eq!(statements[3].cardinality, "many");
    }

    #[test]
    fn a_new_key_is_never_one_that_is_there() {
        let there = ("id", "key = 0", Means::Key(key(0)));
        let new = ("id", "uuid = {}", Means::NewKey(key(0)));
        let child = ("parent_id", "key = 0", Means::Key(key(0)));
        let mut statements = vec![
            statement("read", "SELECT 1 FROM p WHERE id = :id", &[there]),
            statement("insert", "INSERT INTO p (id) VALUES (:id)", &[new]),
            statement("child", "INSERT INTO c (parent_id) VALUES (:parent_id)", &[child]),
        ];
        let steps: Vec<MadeStep> = (0..3).map(MadeStep::once).collect();
        let shared = share_parameters(&mut statements, &steps);
        assert_eq!(names(&shared), ["id", "id_2"]);
        assert_eq!(statements[1].sql, "INSERT INTO p (id) VALUES (:id_2)");
        assert_eq!(statements[2].sql, "INSERT INTO c (parent_id) VALUES (:id_2)");
    }
}
