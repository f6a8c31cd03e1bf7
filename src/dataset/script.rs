//! `schema.sql` as a loader sees it: what must stand before the rows, and what is cheaper made behind them. Decides by the
//! kind of each statement; knows no server.

use std::ops::Range;

use crate::sql::lex::{Token, TokenKind, significant_in};
use crate::sql::split::split_in;
use crate::units::Dialect;

/// One statement of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Its place in the script.
    pub(super) span: Range<usize>,
    /// Its text, without the semicolon.
    pub(super) sql: String,
}

/// A schema in two parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Script {
    /// Tables, types, functions and whatever else the rows may need.
    pub(super) before_rows: Vec<Step>,
    /// Indexes, constraints and triggers.
    pub(super) after_rows: Vec<Step>,
    /// Names of the tables that it creates, as it writes them.
    pub(super) tables: Vec<String>,
}

/// All statements of a script, in order.
pub(super) fn steps(text: &str, dialect: Dialect) -> Vec<Step> {
    split_in(text, dialect)
        .into_iter()
        .map(|piece| Step { sql: piece.text(text).to_owned(), span: piece.span })
        .collect()
}

impl Script {
    pub(super) fn read(text: &str, dialect: Dialect) -> Self {
        let mut script = Self::default();
        for step in steps(text, dialect) {
            let tokens = significant_in(&step.sql, dialect);
            script.tables.extend(created_table(&step.sql, &tokens));
            if is_for_later(&step.sql, &tokens, dialect) {
                script.after_rows.push(step);
            } else {
                script.before_rows.push(step);
            }
        }
        script
    }
}

/// Whether a statement slows rows down, rows would fire it, or it speaks of something that is made behind the rows.
fn is_for_later(sql: &str, tokens: &[Token], dialect: Dialect) -> bool {
    let word = |at: usize, keyword: &str| tokens.get(at).is_some_and(|token| token.is_word(sql, keyword));
    let is_any = |at: usize, keywords: &[&str]| keywords.iter().any(|keyword| word(at, keyword));
    let any = |from: usize, keywords: &[&str]| (from..tokens.len()).any(|at| is_any(at, keywords));
    if word(0, "CREATE") {
        let kind = usize::from(word(1, "OR") && word(2, "REPLACE")) * 2 + 1;
        let kinds = ["UNIQUE", "CONSTRAINT", "EVENT", "FULLTEXT", "SPATIAL", "VECTOR"];
        let kind = kind + usize::from(is_any(kind, &kinds));
        return is_any(kind, &["INDEX", "TRIGGER"]);
    }
    if word(0, "COMMENT") {
        return is_any(2, &["INDEX", "CONSTRAINT", "TRIGGER"]);
    }
    if word(0, "CLUSTER") {
        return true;
    }
    if is_any(0, &["ALTER", "DROP"]) && is_any(1, &["INDEX", "TRIGGER"]) {
        return true;
    }
    // ALTER TABLE … ADD CONSTRAINT, ADD FOREIGN KEY, ADD UNIQUE, ADD CHECK and their like: but not ADD COLUMN. And what names
    // a constraint, an index or a trigger.
    word(0, "ALTER")
        && word(1, "TABLE")
        && (any(2, &["CONSTRAINT", "TRIGGER", "CLUSTER"])
            || (2..tokens.len()).any(|at| {
                let adds = ["FOREIGN", "PRIMARY", "UNIQUE", "CHECK", "EXCLUDE"];
                (word(at, "ADD") && is_any(at + 1, &adds)) || (word(at, "USING") && word(at + 1, "INDEX"))
            })
            || dialect == Dialect::Mysql && alters_keys(sql, tokens))
}

/// Whether an ALTER TABLE of MariaDB or MySQL adds indexes and nothing else, or has a column number itself, which wants its key
/// before.
fn alters_keys(sql: &str, tokens: &[Token]) -> bool {
    let is_any =
        |token: &Token, keywords: &[&str]| keywords.iter().any(|keyword| token.is_word(sql, keyword));
    if tokens.iter().any(|token| is_any(token, &["MODIFY", "CHANGE"])) {
        return tokens.iter().any(|token| is_any(token, &["AUTO_INCREMENT"]));
    }
    let mut added = tokens.windows(2).filter(|pair| is_any(&pair[0], &["ADD"])).peekable();
    let indexes = ["INDEX", "KEY", "FULLTEXT", "SPATIAL", "VECTOR"];
    added.peek().is_some() && added.all(|pair| is_any(&pair[1], &indexes))
}

/// The name of the table that a statement creates, as written; temporary ones apart.
fn created_table(sql: &str, tokens: &[Token]) -> Option<String> {
    let word = |at: usize, keyword: &str| tokens.get(at).is_some_and(|token| token.is_word(sql, keyword));
    if !word(0, "CREATE") {
        return None;
    }
    let mut at = 1 + usize::from(word(1, "UNLOGGED"));
    if !word(at, "TABLE") {
        return None;
    }
    at += 1;
    if word(at, "IF") {
        at += 3;
    }
    let mut name = String::new();
    for token in tokens.get(at..)? {
        let is_point = token.is_punctuation(sql, ".");
        let is_name = matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdentifier)
            // With ANSI_QUOTES of MariaDB and MySQL.
            || token.kind == TokenKind::String && token.text(sql).starts_with('"');
        let wants_name = name.is_empty() || name.ends_with('.');
        if (wants_name && is_name) || (!wants_name && is_point) {
            name.push_str(token.text(sql));
        } else {
            break;
        }
    }
    Some(name).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_constraints_and_triggers_wait_for_the_rows() {
        let script = Script::read(
            "CREATE TABLE a (id int PRIMARY KEY);\n\
             create unique index a_x ON a (id);\n\
             CREATE UNLOGGED TABLE IF NOT EXISTS sales . \"Big Orders\" (id int);\n\
             ALTER TABLE a ADD COLUMN y int;\n\
             ALTER TABLE ONLY a ADD CONSTRAINT a_y CHECK (y > 0);\n\
             CREATE OR REPLACE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f();\n\
             ALTER INDEX a_x ATTACH PARTITION b_x;\n\
             ALTER TABLE a REPLICA IDENTITY USING INDEX a_x;\n\
             ALTER TABLE a DISABLE TRIGGER t;\n\
             COMMENT ON INDEX a_x IS 'of x';\n\
             CREATE TYPE colour AS ENUM ('red');\n\
             CREATE TEMP TABLE scratch (id int);\n\
             CREATE TABLE copies AS SELECT 1;",
            Dialect::Postgresql,
        );
        let first_words = |steps: &[Step]| -> Vec<String> {
            steps.iter().map(|step| step.sql.chars().take(20).collect()).collect()
        };
        assert_eq!(
            first_words(&script.after_rows),
            [
                "create unique index ",
                "ALTER TABLE ONLY a A",
                "CREATE OR REPLACE TR",
                "ALTER INDEX a_x ATTA",
                "ALTER TABLE a REPLIC",
                "ALTER TABLE a DISABL",
                "COMMENT ON INDEX a_x"
            ]
        );
        assert_eq!(script.before_rows.len(), 6);
        assert_eq!(script.tables, ["a", "sales.\"Big Orders\"", "copies"]);
    }

    #[test]
    fn the_schema_of_the_other_dialect_is_read_by_its_rules() {
        let script = Script::read(
            "CREATE TABLE `order` (id int PRIMARY KEY, note text DEFAULT ('a\\';b'), KEY (id)) ENGINE = InnoDB; # one; two\n\
             CREATE UNIQUE INDEX `by` ON `order` (note(10));\n\
             ALTER TABLE `order` ADD CONSTRAINT f FOREIGN KEY (id) REFERENCES b (id);\n\
             CREATE TRIGGER t BEFORE INSERT ON `order` FOR EACH ROW BEGIN SET NEW.id = 1; END;",
            Dialect::Mysql,
        );
        assert_eq!((script.before_rows.len(), script.after_rows.len()), (1, 3));
        assert_eq!(script.tables, ["`order`"]);
    }

    #[test]
    fn every_way_to_make_an_index_waits_for_the_rows() {
        let later = |sql: &str, dialect| {
            let script = Script::read(sql, dialect);
            assert_eq!(script.before_rows.len() + script.after_rows.len(), 1, "{sql}");
            script.before_rows.is_empty()
        };
        for sql in [
            "CREATE FULLTEXT INDEX a_x ON a (x)",
            "CREATE OR REPLACE SPATIAL INDEX a_x ON a (x)",
            "ALTER TABLE a ADD INDEX (x)",
            "ALTER TABLE `a` ADD KEY a_x (x), ADD FULLTEXT a_y (y), ADD SPATIAL KEY a_z (z)",
            // As dumps have it: the key is made behind the rows.
            "ALTER TABLE a ADD PRIMARY KEY (id), ADD KEY a_x (x)",
            "ALTER TABLE a MODIFY id int NOT NULL AUTO_INCREMENT",
        ] {
            assert!(later(sql, Dialect::Mysql), "{sql}");
        }
        for sql in [
            "CREATE TABLE a (id int, KEY (id))",
            "ALTER TABLE a ADD COLUMN x int, ADD KEY (x)",
            "ALTER TABLE a ADD x int, ADD KEY (x)",
            "ALTER TABLE a MODIFY x bigint",
            "ALTER TABLE a ADD COLUMN id bigint AUTO_INCREMENT PRIMARY KEY",
            "ALTER TABLE a ENGINE = InnoDB",
        ] {
            assert!(!later(sql, Dialect::Mysql), "{sql}");
        }
        // There it is a column of that name.
        assert!(!later("ALTER TABLE a ADD key int", Dialect::Postgresql));
    }

    #[test]
    fn names_between_double_quotes_are_names_in_either_dialect() {
        for dialect in [Dialect::Postgresql, Dialect::Mysql] {
            assert_eq!(
                Script::read("CREATE TABLE \"Big Orders\" (id int);", dialect).tables,
                ["\"Big Orders\""]
            );
        }
    }
}
