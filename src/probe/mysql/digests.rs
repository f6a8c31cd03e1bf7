//! The server's own account of the workload's statements, where values stand in their texts: it counts statements by their digests,
//! texts without comments and values. So a digest is known by what is left of a statement's text. MySQL 9.7 counts what is executed of
//! prepared statements by a digest that begins with `EXECUTE`; 8.0 is said to count nothing of what is executed by the binary protocol, and
//! from which version on it does was not tried: whoever asks sees whether it does. With MariaDB what is sent as a prepared statement is not
//! among the digests, and it does not count it by statement anywhere else (10.11, 11.8). Pure but for the question itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mysql_async::Row;

use super::link::{count, probe_tag, text};
use crate::probe::ProbePlan;
use crate::record::observation::StatementCounters;
use crate::sql::lex::{TokenKind, lex_in};
use crate::units::{Dialect, StatementId};

/// MariaDB 10.11 and MySQL 8, where `performance_schema` is on. They count since the server began, or the table was emptied.
pub const DIGESTS: &str = concat!(
    probe_tag!(),
    "SELECT DIGEST_TEXT AS digest, COUNT_STAR AS calls, SUM_TIMER_WAIT AS exec_ps, ",
    "SUM_LOCK_TIME AS lock_ps, SUM_ROWS_AFFECTED + SUM_ROWS_SENT AS row_count, SUM_ROWS_EXAMINED AS rows_examined, ",
    "SUM_CREATED_TMP_TABLES AS tmp_tables, SUM_CREATED_TMP_DISK_TABLES AS tmp_disk_tables, SUM_SORT_ROWS AS sort_rows, ",
    "SUM_SELECT_SCAN AS full_scans, SUM_SELECT_FULL_JOIN AS full_joins, SUM_NO_INDEX_USED AS no_index_used ",
    "FROM performance_schema.events_statements_summary_by_digest ",
    "WHERE SCHEMA_NAME = DATABASE() AND DIGEST_TEXT IS NOT NULL LIMIT 20000"
);

/// Picoseconds, as times are counted there, in a microsecond.
const PS_PER_US: f64 = 1e6;
/// How the essence of what is executed of a prepared statement begins.
const EXECUTES: &str = "execute ";
/// What stands for a value.
const VALUE: &str = "?";

/// Knows the statements of a workload by what a digest keeps of them.
pub struct Digests {
    known: HashMap<String, BTreeSet<StatementId>>,
    /// Whether values travel apart from the texts, so that what is executed was prepared.
    prepared: bool,
}

impl Digests {
    /// The statements of a plan.
    pub fn new(plan: &ProbePlan) -> Self {
        let mut known: HashMap<String, BTreeSet<StatementId>> = HashMap::new();
        for (id, _, text) in &plan.statements {
            known.entry(essence(text)).or_default().insert(*id);
        }
        Self { known, prepared: plan.values_apart }
    }

    /// Whether what is executed was prepared.
    pub fn are_of_prepared(&self) -> bool {
        self.prepared
    }

    /// Whether any statement can have a digest: what is prepared has none on MariaDB.
    pub fn are_kept(&self, by_mariadb: bool) -> bool {
        let have_some = !(self.prepared && by_mariadb);
        have_some && !self.known.is_empty()
    }

    /// The counters of the workload's statements, from the rows of [`DIGESTS`]. One statement can have several: where a value is
    /// negative, the server keeps its sign.
    pub fn read(&self, rows: &[Row]) -> Vec<StatementCounters> {
        let mut all: BTreeMap<StatementId, StatementCounters> = BTreeMap::new();
        for row in rows {
            let Some(statements) = text(row, "digest").and_then(|digest| self.statements(&digest)) else {
                continue;
            };
            let Some(first) = statements.first() else { continue };
            let counters = all.entry(*first).or_insert_with(|| StatementCounters {
                query_id: i64::from(first.0),
                statements: statements.clone(),
                ..StatementCounters::default()
            });
            add(counters, row);
        }
        all.into_values().collect()
    }

    /// The statements that a digest stands for.
    fn statements(&self, digest: &str) -> Option<Vec<StatementId>> {
        let essence = essence(digest);
        let executed = if self.prepared { essence.strip_prefix(EXECUTES)? } else { &essence };
        self.known.get(executed).map(|statements| statements.iter().copied().collect())
    }
}

/// Adds what a digest has counted.
fn add(counters: &mut StatementCounters, row: &Row) {
    let number = |column| count(row, column).unwrap_or(0);
    counters.calls += number("calls");
    counters.exec_us += number("exec_ps") as f64 / PS_PER_US;
    counters.rows += number("row_count");
    let work = counters.row_work.get_or_insert_default();
    work.rows_examined += number("rows_examined");
    work.lock_us += number("lock_ps") as f64 / PS_PER_US;
    work.tmp_tables += number("tmp_tables");
    work.tmp_disk_tables += number("tmp_disk_tables");
    work.sort_rows += number("sort_rows");
    work.full_scans += number("full_scans");
    work.full_joins += number("full_joins");
    work.no_index_used += number("no_index_used");
}

/// What a text and its digest have in common: words in small letters without quotes, and one `?` for each list of values, however long
/// it is. The server writes ``SELECT `n` FROM `t` WHERE `id` IN (...)`` of `select n from t where id in (:a, :b)`.
fn essence(sql: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for token in lex_in(sql, Dialect::Mysql) {
        let written = token.text(sql);
        parts.push(match token.kind {
            TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment => continue,
            TokenKind::String
            | TokenKind::DollarString
            | TokenKind::Number
            | TokenKind::Parameter
            | TokenKind::Positional => VALUE.to_owned(),
            TokenKind::Word if written.eq_ignore_ascii_case("null") => VALUE.to_owned(),
            TokenKind::Word => one_name(&written.to_lowercase()).to_owned(),
            _ => written.trim_matches('`').to_lowercase(),
        });
        shorten(&mut parts);
    }
    while parts.last().is_some_and(|last| last == ";") {
        parts.pop();
    }
    parts.join(" ")
}

/// Words of which the server keeps one for both.
const SYNONYMS: [(&str, &str); 17] = [
    ("any", "some"),
    ("character", "char"),
    ("current_date", "curdate"),
    ("current_time", "curtime"),
    ("current_timestamp", "now"),
    ("database", "schema"),
    ("distinctrow", "distinct"),
    ("integer", "int"),
    ("localtime", "now"),
    ("localtimestamp", "now"),
    ("mid", "substring"),
    ("regexp", "rlike"),
    ("session_user", "system_user"),
    ("std", "stddev_pop"),
    ("stddev", "stddev_pop"),
    ("substr", "substring"),
    ("user", "system_user"),
];

/// The word that stands for a word and its synonyms. Units of time have a prefix in digests (`SQL_TSI_DAY`).
fn one_name(word: &str) -> &str {
    let word = word.strip_prefix("sql_tsi_").unwrap_or(word);
    SYNONYMS.iter().find(|(synonym, _)| *synonym == word).map_or(word, |(_, name)| *name)
}

/// Words behind which a sign belongs to a value.
const BEFORE_A_VALUE: [&str; 14] = [
    "and", "between", "by", "else", "in", "interval", "like", "limit", "not", "or", "select", "set", "then",
    "when",
];

/// Makes one value of a list of values at the end, and one list of a list of such lists: `?, ?` → `?`, `(?), (?)` → `(?)`; and of a
/// value with its sign the value. Three dots are what the server writes for what it leaves out.
fn shorten(parts: &mut Vec<String>) {
    const DOTS: [&str; 3] = [".", ".", "."];
    const LISTS: [&[&str]; 3] =
        [&[VALUE, ",", VALUE], &["(", VALUE, ")", ",", "(", VALUE, ")"], &["(", VALUE, ")", ",", VALUE]];
    if ends_with(parts, &DOTS) {
        parts.truncate(parts.len() - DOTS.len());
        parts.push(VALUE.to_owned());
    } else if ends_with(parts, &["<", ">"]) {
        parts.truncate(parts.len() - 2);
        parts.extend(["!".to_owned(), "=".to_owned()]);
    }
    if let [before @ .., sign, value] = parts.as_slice()
        && value == VALUE
        && ["-", "+"].contains(&sign.as_str())
        && before.last().is_none_or(|before| is_before_a_value(before))
    {
        parts.remove(parts.len() - 2);
    }
    while let Some(list) = LISTS.iter().find(|list| ends_with(parts, list)) {
        // What stands before the first comma is left.
        let kept = list.iter().take_while(|part| **part != ",").count();
        parts.truncate(parts.len() - list.len() + kept);
    }
}

/// Whether what follows is a value and not an operator: behind a name, a value or a bracket a sign is an operator.
fn is_before_a_value(part: &str) -> bool {
    let is_word = part.starts_with(|c: char| c.is_alphanumeric() || ['_', '$', '@'].contains(&c));
    if is_word { BEFORE_A_VALUE.contains(&part) } else { ![VALUE, ")"].contains(&part) }
}

fn ends_with(parts: &[String], end: &[&str]) -> bool {
    parts.len() >= end.len()
        && parts[parts.len() - end.len()..].iter().zip(end).all(|(part, end)| part == end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_known_by_what_it_keeps_of_a_text() {
        for (sent, digest) in [
            (
                "/*dbdyno:a.b*/ SELECT n, 'x' FROM stock s WHERE id = :id AND note LIKE 'a%' -- all of them",
                "SELECT `n` , ? FROM `stock` `s` WHERE ID = ? AND `note` LIKE ? ",
            ),
            (
                "INSERT INTO taken (id, at) VALUES (:id, now()), (:other, NULL);",
                "INSERT INTO `taken` ( ID , AT ) VALUES ( ? , NOW ( ) ) , (...) ",
            ),
            ("SELECT * FROM t WHERE id IN (:a, :b, :c)", "SELECT * FROM `t` WHERE ID IN (...) "),
            ("INSERT INTO t VALUES (:a, :b), (:c, :d), (1, 2)", "INSERT INTO `t` VALUES (...) , ... "),
            ("INSERT INTO t VALUES (:a, :b), (:c, NULL)", "INSERT INTO `t` VALUES (...) /* , ... */ "),
            ("SELECT n FROM t LIMIT :n", "SELECT `n` FROM `t` LIMIT ? "),
            // The server keeps the sign of some values, and writes one operator as another.
            ("SELECT n FROM t WHERE n >= :least", "SELECT `n` FROM `t` WHERE `n` >= - ? "),
            (
                "SELECT n FROM t WHERE n BETWEEN -3 AND :most",
                "SELECT `n` FROM `t` WHERE `n` BETWEEN ? AND ? ",
            ),
            (
                "SELECT n - 1, count(*) FROM t WHERE n <> :n",
                "SELECT `n` - ? , COUNT ( * ) FROM `t` WHERE `n` != ? ",
            ),
        ] {
            assert_eq!(essence(sent), essence(digest), "{sent}");
        }
        for (one, other) in [
            ("SELECT n FROM t WHERE id = :id", "SELECT n FROM t WHERE no = :id"),
            ("SELECT a, b FROM t", "SELECT a FROM t"),
            ("SELECT f(:a)", "SELECT f(:a) + :b"),
            ("UPDATE t SET n = n - 1", "UPDATE t SET n = n"),
        ] {
            assert_ne!(essence(one), essence(other), "{one}");
        }
    }

    #[test]
    fn statements_whose_texts_are_alike_share_a_digest_and_what_is_prepared_has_one_of_its_own() {
        let statement =
            |id, sql: &str| (StatementId(id), format!("a.s{id}"), format!("/*dbdyno:a.s{id}*/ {sql}"));
        let statements = vec![
            statement(0, "SELECT n FROM t WHERE id = :id"),
            statement(1, "select n from t where id = :other"),
            statement(2, "DELETE FROM t WHERE id = :id"),
        ];
        let plan = ProbePlan { statements, values_apart: false, ..ProbePlan::default() };
        let digests = Digests::new(&plan);
        let of = |digest: &str| digests.statements(digest);
        assert_eq!(of("SELECT `n` FROM `t` WHERE ID = ? "), Some(vec![StatementId(0), StatementId(1)]));
        assert_eq!(of("DELETE FROM `t` WHERE ID = ? "), Some(vec![StatementId(2)]));
        assert_eq!(of("DELETE FROM `t` "), None);
        assert_eq!(of("EXECUTE DELETE FROM `t` WHERE `id` = ?"), None, "somebody else's");
        assert!(digests.are_kept(true) && digests.are_kept(false));
        let prepared = Digests::new(&ProbePlan { values_apart: true, ..plan });
        assert!(!prepared.are_kept(true) && prepared.are_kept(false));
        let of = |digest: &str| prepared.statements(digest);
        assert_eq!(of("EXECUTE DELETE FROM `t` WHERE `id` = ?"), Some(vec![StatementId(2)]));
        assert_eq!(
            (of("PREPARE DELETE FROM `t` WHERE `id` = ?"), of("DELETE FROM `t` WHERE `id` = ?")),
            (None, None)
        );
    }
}
