//! `CREATE INDEX` as text: taken apart far enough to build the index under another name, and to say how it is built in production.
//! Knows no server: what stands in the parentheses is the server's to reject.

mod altered;

use super::lex::{Token, TokenKind, significant_in};
use super::quoting::{folded, without_backquotes};
use super::split::split_in;
use crate::units::Dialect;

/// A `CREATE INDEX` statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateIndex {
    /// Whether it forbids duplicates.
    pub unique: bool,
    /// The name as it was written, quotes included; the server chooses one where there is none.
    pub name: Option<String>,
    /// The table as it was written, its schema included.
    pub table: String,
    /// All behind the table: method, keys, what is carried along, storage, predicate.
    pub rest: String,
}

/// Why a text is no index that can be put to the test.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexTextError {
    /// It is something else.
    #[error("it is no CREATE INDEX: write 'CREATE INDEX ON table (column)'")]
    NotCreateIndex,
    /// A quote or a comment has no end.
    #[error("a quote or a comment in it has no end")]
    NotClosed,
    /// Several at once would be one index to the report.
    #[error("it holds {0} statements: give each index an --add of its own")]
    Several(usize),
    /// The name of an index has no schema.
    #[error(
        "an index lies in the schema of its table: write its name without a schema, and the table's with one"
    )]
    QualifiedName,
    /// On the table above its partitions, such an index is not valid.
    #[error("ON ONLY makes an index that no query uses before its partitions have theirs: leave out ONLY")]
    Only,
    /// There is no table in it.
    #[error("it names no table behind ON")]
    NoTable,
    /// Its first one changes its table for good, and neither is kept up as others are.
    #[error("a FULLTEXT or SPATIAL index is not put to the test: only indexes of keys in order are")]
    OtherKind,
    /// No statement could use it.
    #[error(
        "it is hidden from the planner ({0}): leave that out, an arm of the experiment hides it by itself"
    )]
    Hidden(String),
    /// Other changes would be told as effects of the index.
    #[error(
        "it changes more than one thing: give each index an --add of its own, and leave other changes out"
    )]
    OtherChanges,
}

impl CreateIndex {
    /// Takes a statement of PostgreSQL apart. `CONCURRENTLY` and `IF NOT EXISTS` say how it is built, not what it is, and are left
    /// out.
    pub fn parse(text: &str) -> Result<Self, IndexTextError> {
        Self::parse_in(text, Dialect::Postgresql)
    }

    /// The same in a dialect. That of MariaDB and MySQL knows `ALTER TABLE … ADD INDEX` as well; `ALGORITHM`, `LOCK` and `WAIT` are
    /// left out.
    pub fn parse_in(text: &str, dialect: Dialect) -> Result<Self, IndexTextError> {
        let pieces = split_in(text, dialect).len();
        if pieces > 1 {
            return Err(IndexTextError::Several(pieces));
        }
        let text = text.trim().trim_end_matches(';').trim_end();
        let tokens = significant_in(text, dialect);
        if tokens.iter().any(|token| !token.closed) {
            return Err(IndexTextError::NotClosed);
        }
        let words = Words { text, tokens: &tokens };
        match dialect {
            Dialect::Postgresql => Self::of_postgres(words),
            Dialect::Mysql => altered::parse(words),
        }
    }

    fn of_postgres(mut words: Words<'_>) -> Result<Self, IndexTextError> {
        if !words.take("CREATE") {
            return Err(IndexTextError::NotCreateIndex);
        }
        let unique = words.take("UNIQUE");
        if !words.take("INDEX") {
            return Err(IndexTextError::NotCreateIndex);
        }
        words.take("CONCURRENTLY");
        if words.take("IF") && !(words.take("NOT") && words.take("EXISTS")) {
            return Err(IndexTextError::NotCreateIndex);
        }
        let name = if words.next_is("ON") { None } else { words.identifier() };
        if name.is_some() && words.next_is_mark(".") {
            return Err(IndexTextError::QualifiedName);
        }
        if !words.take("ON") {
            return Err(IndexTextError::NotCreateIndex);
        }
        if words.take("ONLY") {
            return Err(IndexTextError::Only);
        }
        let table = words.qualified().ok_or(IndexTextError::NoTable)?;
        let rest = words.rest();
        if rest.is_empty() {
            return Err(IndexTextError::NotCreateIndex);
        }
        Ok(Self { unique, name: name.map(str::to_owned), table, rest: rest.to_owned() })
    }

    /// The statement that builds it under another name, quoted by the caller where need be.
    #[must_use]
    pub fn named(&self, name: &str) -> String {
        format!("CREATE {}INDEX {name} ON {} {}", self.unique_word(), self.table, self.rest)
    }

    /// The statement for a server at work, on which nobody shall wait for it.
    #[must_use]
    pub fn concurrently(&self) -> String {
        let name = self.name.as_ref().map_or_else(String::new, |name| format!("{name} "));
        format!("CREATE {}INDEX CONCURRENTLY {name}ON {} {}", self.unique_word(), self.table, self.rest)
    }

    /// The same for a table of partitions, where PostgreSQL has no `CONCURRENTLY`.
    #[must_use]
    pub fn plainly(&self) -> String {
        let name = self.name.as_ref().map_or_else(String::new, |name| format!("{name} "));
        format!("CREATE {}INDEX {name}ON {} {}", self.unique_word(), self.table, self.rest)
    }

    /// The same as MariaDB and MySQL have it: a change of its table, without the words that say how it is made.
    #[must_use]
    pub fn alteration(&self, name: Option<&str>) -> String {
        let name = name.map_or_else(String::new, |name| format!("{name} "));
        format!("ALTER TABLE {} ADD {}INDEX {name}{}", self.table, self.unique_word(), self.rest)
    }

    /// What a person calls it: `orders (customer_id)`.
    #[must_use]
    pub fn label(&self) -> String {
        let rest = self.rest.strip_prefix("USING btree").map_or(self.rest.as_str(), str::trim_start);
        let unique = if self.unique { "unique " } else { "" };
        format!("{unique}{} {rest}", self.table)
    }

    fn unique_word(&self) -> &'static str {
        if self.unique { "UNIQUE " } else { "" }
    }
}

/// Whether the name stands in a statement as a word of its own, quoted or not. `name` may have a schema before it.
#[must_use]
pub fn mentions(sql: &str, name: &str, dialect: Dialect) -> bool {
    let plain = name.rsplit('.').next().unwrap_or(name);
    let is_it = |token: &Token| match dialect {
        Dialect::Postgresql => folded(token.text(sql)) == plain,
        // Whether small letters and capitals are told apart is a setting of the server.
        Dialect::Mysql => without_backquotes(token.text(sql)).to_lowercase() == plain.to_lowercase(),
    };
    let is_word = |token: &Token| matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdentifier);
    significant_in(sql, dialect).iter().any(|token| is_word(token) && is_it(token))
}

/// What is left of a statement.
struct Words<'a> {
    text: &'a str,
    tokens: &'a [Token],
}

impl<'a> Words<'a> {
    fn next_is(&self, keyword: &str) -> bool {
        self.tokens.first().is_some_and(|token| token.is_word(self.text, keyword))
    }

    fn next_is_mark(&self, mark: &str) -> bool {
        self.tokens.first().is_some_and(|token| token.is_punctuation(self.text, mark))
    }

    fn take(&mut self, keyword: &str) -> bool {
        let is_it = self.next_is(keyword);
        if is_it {
            self.tokens = &self.tokens[1..];
        }
        is_it
    }

    fn identifier(&mut self) -> Option<&'a str> {
        let (first, others) = self.tokens.split_first()?;
        if !matches!(first.kind, TokenKind::Word | TokenKind::QuotedIdentifier) {
            return None;
        }
        self.tokens = others;
        Some(first.text(self.text))
    }

    /// `orders`, `shop.orders`
    fn qualified(&mut self) -> Option<String> {
        let mut name = self.identifier()?.to_owned();
        while self.next_is_mark(".") {
            self.tokens = &self.tokens[1..];
            name = format!("{name}.{}", self.identifier()?);
        }
        Some(name)
    }

    fn rest(&self) -> &'a str {
        self.tokens.first().map_or("", |token| self.text[token.span.start..].trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> CreateIndex {
        CreateIndex::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn each_form_of_the_statement_is_taken_apart() {
        for (text, name, table, rest) in [
            ("CREATE INDEX ON orders (customer_id)", None, "orders", "(customer_id)"),
            ("create index concurrently i on orders(customer_id);", Some("i"), "orders", "(customer_id)"),
            (
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS \"On Orders\" ON shop.\"Orders\" USING gin (tags)",
                Some("\"On Orders\""),
                "shop.\"Orders\"",
                "USING gin (tags)",
            ),
            (
                "CREATE INDEX /* why */ i ON t (lower(email)) INCLUDE (id) WITH (fillfactor = 80) WHERE note <> ';'",
                Some("i"),
                "t",
                "(lower(email)) INCLUDE (id) WITH (fillfactor = 80) WHERE note <> ';'",
            ),
        ] {
            let index = parsed(text);
            assert_eq!(
                (index.name.as_deref(), index.table.as_str(), index.rest.as_str()),
                (name, table, rest)
            );
            assert!(!index.unique);
        }
        assert!(parsed("CREATE UNIQUE INDEX ON orders (number)").unique);
    }

    #[test]
    fn it_is_built_under_another_name_and_concurrently_in_production() {
        let index = parsed("CREATE UNIQUE INDEX IF NOT EXISTS of_number ON orders (number) WHERE active");
        assert_eq!(index.named("own"), "CREATE UNIQUE INDEX own ON orders (number) WHERE active");
        assert_eq!(
            index.concurrently(),
            "CREATE UNIQUE INDEX CONCURRENTLY of_number ON orders (number) WHERE active"
        );
        assert_eq!(
            parsed("CREATE INDEX ON t (a)").concurrently(),
            "CREATE INDEX CONCURRENTLY ON t (a)",
            "the server names it there as it would here"
        );
        let again = parsed(&index.concurrently());
        assert_eq!(again, index, "what is advised is read back as the same index");
        assert_eq!(parsed("CREATE INDEX ON t USING btree (a)").label(), "t (a)");
    }

    #[test]
    fn what_is_no_index_is_refused_with_the_remedy() {
        for (text, error) in [
            ("DROP INDEX i", IndexTextError::NotCreateIndex),
            ("CREATE TABLE t (i int)", IndexTextError::NotCreateIndex),
            ("CREATE INDEX i", IndexTextError::NotCreateIndex),
            ("CREATE INDEX i ON", IndexTextError::NoTable),
            ("CREATE INDEX i ON t", IndexTextError::NotCreateIndex),
            ("CREATE INDEX shop.i ON t (a)", IndexTextError::QualifiedName),
            ("CREATE INDEX ON ONLY t (a)", IndexTextError::Only),
            ("CREATE INDEX ON t (a); DROP TABLE t", IndexTextError::Several(2)),
            ("CREATE INDEX ON t (a) WHERE b = 'x", IndexTextError::NotClosed),
        ] {
            assert_eq!(CreateIndex::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_table_is_mentioned_by_a_word_of_its_own() {
        let postgres = |sql, name| mentions(sql, name, Dialect::Postgresql);
        assert!(postgres("SELECT 1 FROM shop.orders o", "shop.orders"));
        assert!(postgres("SELECT 1 FROM \"Orders\"", "Orders"));
        assert!(!postgres("SELECT 'orders' FROM order_lines -- orders", "orders"));
        let mysql = |sql, name| mentions(sql, name, Dialect::Mysql);
        assert!(mysql("SELECT 1 FROM `Orders` o", "orders"));
        assert!(!mysql("SELECT \"orders\" FROM order_lines # orders", "orders"));
    }
}
