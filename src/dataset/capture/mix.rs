//! Statements as transactions with weights: those whose calls move together make one, the others run alone. Knows no server.

use std::collections::{BTreeMap, BTreeSet};

use super::describe::Described;
use super::facts::DatabaseFacts;
use super::source::Sources;
use super::statement::{MadeStatement, StatementFacts, free_name, make, refusal, without_values};
use crate::sql::lex::{TokenKind, lex};
use crate::sql::statement::StatementKind;

/// Below so many intervals, and calls in all of them, nothing can be told from how they move.
const INTERVALS_MIN: usize = 4;
const CALLS_MIN: f64 = 40.0;
/// Two transactions that are drawn by chance differ by the square root of what both have; those that belong together by less than this
/// share of it.
const APART: f64 = 0.25;
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
    /// What was seen of the sessions, in words.
    pub sessions: Vec<String>,
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
    /// What was seen of the sessions, in words.
    pub sessions: Vec<String>,
    /// Whether the transactions are guessed, since nothing was counted.
    pub guessed: bool,
}

/// One transaction.
#[derive(Clone, Debug)]
pub struct MadeTransaction {
    /// Its name.
    pub name: String,
    /// Its share of all transactions in per cent.
    pub weight: f64,
    /// Indexes of its statements, in their order.
    pub statements: Vec<usize>,
    /// Names and sources of its parameters.
    pub parameters: Vec<(String, String)>,
}

/// Makes the mix.
#[must_use]
pub fn mix(traffic: &Traffic, facts: &DatabaseFacts, described: &Described) -> Mix {
    let mut refused = traffic.refused.clone();
    let totals = totals(traffic);
    let sources = Sources::new(facts, described);
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
    let mut mix = Mix { refused, totals, sessions: traffic.sessions.clone(), ..Mix::default() };
    let counted: Vec<&StatementFacts> = made.iter().map(|(at, _)| &traffic.statements[*at]).collect();
    let groups = groups(&counted, traffic.begins);
    mix.statements = made.iter().map(|(_, statement)| statement.clone()).collect();
    let all: f64 = groups.iter().map(|group| counted[group[0]].calls).sum();
    let depths = depths(facts);
    let mut names = BTreeSet::new();
    for mut group in groups {
        group.sort_by_key(|at| order_of(&mix.statements[*at], &depths));
        let calls = counted[group[0]].calls;
        let parameters = share_parameters(&mut mix.statements, &group);
        mix.transactions.push(MadeTransaction {
            name: transaction_name(&mix.statements, &group, &mut names),
            weight: 100.0 * calls / all,
            statements: group,
            parameters,
        });
    }
    mix.transactions.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    mix.rate = if traffic.seconds > 0.0 { all / traffic.seconds } else { 0.0 };
    if mix.transactions.is_empty() {
        mix.look_ups(described);
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

/// Statements whose calls move together, as far as transactions were begun for them.
fn groups(statements: &[&StatementFacts], begins: f64) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..statements.len()).collect();
    order.sort_by(|one, other| statements[*other].calls.total_cmp(&statements[*one].calls));
    let mut taken = vec![false; statements.len()];
    let mut groups: Vec<Vec<usize>> = vec![];
    for (place, at) in order.iter().enumerate() {
        if std::mem::replace(&mut taken[*at], true) {
            continue;
        }
        let mut group = vec![*at];
        for other in &order[place + 1..] {
            // The ones behind it have fewer calls still.
            if !can_be_told(statements[*other]) || too_far_apart(statements[*at], statements[*other]) {
                break;
            }
            if !taken[*other] && group.iter().all(|at| move_together(statements[*at], statements[*other])) {
                taken[*other] = true;
                group.push(*other);
            }
        }
        groups.push(group);
    }
    // Each transaction of several statements was begun: there are no more of them than that.
    let mut left = begins * 1.05;
    let mut alone = vec![];
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    for group in &mut groups {
        if group.len() < 2 {
            continue;
        }
        left -= statements[group[0]].calls;
        if left < 0.0 {
            alone.extend(group.drain(1..).map(|at| vec![at]));
        }
    }
    groups.extend(alone);
    groups
}

/// Whether two statements differ in all of their calls by more than those that move together can: over n intervals with a calls in
/// all and b, the sum of √(aᵢ + bᵢ) is at most √(n (a + b)).
fn too_far_apart(one: &StatementFacts, other: &StatementFacts) -> bool {
    let intervals = one.intervals.len().min(other.intervals.len()) as f64;
    let (a, b) = (one.calls, other.calls);
    (a - b).abs() > APART * (intervals * (a + b)).sqrt()
}

/// Whether it was seen often enough, and in enough intervals, to tell how it moves.
fn can_be_told(statement: &StatementFacts) -> bool {
    statement.intervals.len() >= INTERVALS_MIN && statement.calls >= CALLS_MIN
}

fn move_together(one: &StatementFacts, other: &StatementFacts) -> bool {
    if !(can_be_told(one) && can_be_told(other)) {
        return false;
    }
    let pairs = || one.intervals.iter().zip(&other.intervals);
    let apart: f64 = pairs().map(|(a, b)| (a - b).abs()).sum();
    let by_chance: f64 = pairs().map(|(a, b)| (a + b).sqrt()).sum();
    apart <= APART * by_chance
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

/// The parameters of the statements of one transaction: the same source is one parameter, so that all of them speak of the same row;
/// another source under the same name gets another name.
fn share_parameters(statements: &mut [MadeStatement], group: &[usize]) -> Vec<(String, String)> {
    let mut shared: Vec<(String, String)> = vec![];
    for at in group {
        let statement = &mut statements[*at];
        let mut renames: Vec<(String, String)> = vec![];
        let own = std::mem::take(&mut statement.parameters);
        for (name, source) in own {
            let source = renames.iter().fold(source, |source, (old, new)| {
                source.replace(&format!("as = \"{old}\""), &format!("as = \"{new}\""))
            });
            let is_taken_here = |known: &String| renames.iter().any(|(_, new)| new == known);
            let same = shared.iter().find(|(known, of)| {
                *of == source && (source.starts_with("key =") || *known == name) && !is_taken_here(known)
            });
            let new = if let Some((known, _)) = same {
                known.clone()
            } else {
                let new = free_name(&name, |name| shared.iter().any(|(known, _)| known == name));
                shared.push((new.clone(), source.clone()));
                new
            };
            renames.push((name, new.clone()));
            statement.parameters.push((new, source));
        }
        statement.sql = renamed(&statement.sql, &renames);
    }
    shared
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

fn transaction_name(statements: &[MadeStatement], group: &[usize], names: &mut BTreeSet<String>) -> String {
    let main = group.iter().find(|at| statements[**at].kind.writes()).unwrap_or(&group[0]);
    let name = &statements[*main].name;
    let name = if group.len() > 1 { format!("{name}_and_{}", group.len() - 1) } else { name.clone() };
    let name = free_name(&name, |name| names.contains(name));
    names.insert(name.clone());
    name
}

impl Mix {
    /// Where nothing was counted: one row of each table, by its key.
    fn look_ups(&mut self, described: &Described) {
        self.guessed = true;
        let tables: Vec<_> = described
            .tables
            .iter()
            .filter_map(|table| Some((table, table.columns.iter().find(|column| column.is_unique)?)))
            .collect();
        for (table, column) in &tables {
            let name = super::statement::plain(table.name.trim_matches('"'));
            let is_taken = |name: &str| self.statements.iter().any(|statement| statement.name == name);
            let name = free_name(&format!("select_{name}_by_key"), is_taken);
            let parameter = super::statement::plain(&column.name);
            let quoted = super::column::quoted;
            let source =
                format!("key = {{ table = {}, column = {} }}", quoted(&table.name), quoted(&column.name));
            let field = format!("\"{}\"", column.name.replace('"', "\"\""));
            self.statements.push(MadeStatement {
                name: name.clone(),
                cardinality: "many",
                sql: format!("SELECT * FROM {} WHERE {field} = :{parameter}", table.name),
                kind: StatementKind::Select,
                parameters: vec![(parameter.clone(), source.clone())],
                tables: vec![table.facts],
                of: None,
                is_changed: false,
            });
            self.transactions.push(MadeTransaction {
                name,
                weight: 100.0 / tables.len() as f64,
                statements: vec![self.statements.len() - 1],
                parameters: vec![(parameter, source)],
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

    #[test]
    fn what_moves_together_and_was_begun_is_one_transaction() {
        let page = counted(&[170.0, 155.0, 181.0, 166.0, 190.0]);
        let reviews = counted(&[170.0, 156.0, 180.0, 166.0, 190.0]);
        let search = counted(&[168.0, 170.0, 160.0, 184.0, 178.0]);
        let all = [&page, &reviews, &search];
        assert_eq!(
            groups(&all, 900.0),
            [vec![1, 0], vec![2]].map(|mut group| {
                group.sort_unstable();
                group
            })
        );
        // Without a BEGIN for each of them they were sent alone.
        assert_eq!(groups(&all, 100.0).len(), 3);
        // Nothing moves in a single interval.
        let once = [&counted(&[500.0]), &counted(&[500.0])];
        assert_eq!(groups(&once, 900.0).len(), 2);
    }

    #[test]
    fn one_row_is_one_parameter_and_two_rows_are_two() {
        let statement = |name: &str, sql: &str, parameter: &str, source: &str| MadeStatement {
            name: name.into(),
            cardinality: "many",
            sql: sql.into(),
            kind: StatementKind::Select,
            parameters: vec![(parameter.into(), source.into())],
            tables: vec![],
            of: None,
            is_changed: false,
        };
        let product = "key = { table = \"products\", column = \"id\" }";
        let mut statements = vec![
            statement("a", "SELECT 1 FROM products WHERE id = :id", "id", product),
            statement("b", "SELECT 1 FROM reviews WHERE product_id = :product_id", "product_id", product),
            statement("c", "SELECT 1 FROM t WHERE id = :id", "id", "uniform = [1, 9]"),
        ];
        let shared = share_parameters(&mut statements, &[0, 1, 2]);
        assert_eq!(shared.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["id", "id_2"]);
        assert_eq!(statements[1].sql, "SELECT 1 FROM reviews WHERE product_id = :id");
        assert_eq!(statements[2].sql, "SELECT 1 FROM t WHERE id = :id_2");
    }
}
