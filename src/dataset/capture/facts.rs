//! What was read of a database, as far as a description of it is made from that. Values of rows stand in here, as `pg_stats` has
//! them; what of them may leave is decided in [`super::redact`]. Knows no server.

use crate::sql::lex::significant;

/// The tables of a database.
#[derive(Clone, Debug, Default)]
pub struct DatabaseFacts {
    /// In the order of their names. Partitions are part of their parent.
    pub tables: Vec<TableFacts>,
}

impl DatabaseFacts {
    /// The table with this object id.
    #[must_use]
    pub fn of_oid(&self, oid: u32) -> Option<usize> {
        self.tables.iter().position(|table| table.oid == oid)
    }
}

/// One table.
#[derive(Clone, Debug, Default)]
pub struct TableFacts {
    /// Its object id.
    pub oid: u32,
    /// As SQL names it: quoted and qualified where it must be.
    pub name: String,
    /// Its schema, as it is.
    pub schema: String,
    /// Its name, as it is.
    pub relation: String,
    /// Rows, as the server estimates them.
    pub rows: f64,
    /// In their order.
    pub columns: Vec<ColumnFacts>,
    /// What no two rows have in common.
    pub keys: Vec<KeyFacts>,
    /// What refers to other tables.
    pub references: Vec<ReferenceFacts>,
    /// What each row must keep.
    pub checks: Vec<CheckFacts>,
    /// What was found of several columns together.
    pub joint: Vec<JointStatistics>,
    /// Columns with the values that the schema lists for them: those by which rows go to partitions.
    pub listed: Vec<(String, Vec<String>)>,
}

impl TableFacts {
    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ColumnFacts> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether a column has another value in every row, by a key of its own.
    #[must_use]
    pub fn is_unique(&self, name: &str) -> bool {
        self.keys.iter().any(|key| !key.is_partial && key.columns.len() == 1 && key.columns[0] == name)
    }
}

/// One column.
// Independent facts of the catalog.
#[expect(clippy::struct_excessive_bools)]
#[derive(Clone, Debug)]
pub struct ColumnFacts {
    /// As it is.
    pub name: String,
    /// As SQL writes it: `character varying(20)`.
    pub type_name: String,
    /// Which values it takes.
    pub kind: TypeKind,
    /// Most characters, where the type limits them.
    pub length_max: Option<u32>,
    /// Digits after the point, where the type says so.
    pub scale: Option<u32>,
    /// It takes no NULL.
    pub not_null: bool,
    /// It has a value where none is given.
    pub has_default: bool,
    /// It is computed by the server.
    pub is_generated: bool,
    /// It is numbered by the server: an identity, or a default that calls a sequence.
    pub is_numbered: bool,
    /// A domain stands between it and its type.
    pub domain: Option<String>,
    /// What `ANALYZE` found; absent where it never looked, or where that may not be read.
    pub statistics: Option<ColumnStatistics>,
}

#[cfg(test)]
impl ColumnFacts {
    /// One that takes no NULL, and of which nothing else is known.
    pub(super) fn plain(name: &str, type_name: &str, kind: TypeKind) -> Self {
        Self {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            kind,
            length_max: None,
            scale: None,
            not_null: true,
            has_default: false,
            is_generated: false,
            is_numbered: false,
            domain: None,
            statistics: None,
        }
    }
}

/// Which values a type takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// Truth values.
    Bool,
    /// Whole numbers of so many bytes.
    Int(u8),
    /// Floating-point numbers.
    Float,
    /// Exact decimals.
    Decimal,
    /// Texts.
    Text,
    /// One of these labels.
    Enum(Vec<String>),
    /// Days.
    Date,
    /// Points in time.
    Timestamp,
    /// Lengths of time.
    Interval,
    /// Times of a day.
    Time,
    /// Amounts of a currency.
    Money,
    /// Words with their places, for search.
    Tsvector,
    /// Pairs of texts.
    Hstore,
    /// Addresses of network cards, of so many bytes.
    Mac(u8),
    /// XML.
    Xml,
    /// UUIDs.
    Uuid,
    /// Raw bytes.
    Bytes,
    /// Documents.
    Json,
    /// Addresses on a network.
    Network,
    /// Lists.
    Array(Box<TypeKind>),
    /// Something that no generator makes.
    Other,
}

impl TypeKind {
    /// Whether a generator makes lists of it.
    pub(in crate::dataset) fn can_be_element(&self) -> bool {
        matches!(
            self,
            Self::Bool
                | Self::Int(_)
                | Self::Float
                | Self::Decimal
                | Self::Text
                | Self::Enum(_)
                | Self::Date
                | Self::Timestamp
                | Self::Interval
                | Self::Uuid
                | Self::Network
        )
    }
}

/// What `ANALYZE` found of a column, as `pg_stats` has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnStatistics {
    /// Share of the rows that are NULL.
    pub null_fraction: f64,
    /// Mean bytes of a value.
    pub width: f64,
    /// Different values: a number, or below zero a share of the rows.
    pub distinct: f64,
    /// The most common values.
    pub common: Vec<String>,
    /// The share of all rows that each of them has.
    pub frequencies: Vec<f64>,
    /// Bounds of groups with the same number of rows.
    pub bounds: Vec<String>,
    /// How far the rows stand in the order of the values; absent where the type has no order.
    pub correlation: Option<f64>,
    /// The most common elements of lists.
    pub elements: Vec<String>,
    /// Fewest and most elements of a list.
    pub lengths: Option<(f64, f64)>,
}

impl ColumnStatistics {
    /// How many different values there are among `rows`.
    #[must_use]
    pub fn distinct_among(&self, rows: f64) -> f64 {
        if self.distinct < 0.0 { -self.distinct * rows } else { self.distinct }
    }
}

/// What `ANALYZE` found of several columns together, where `CREATE STATISTICS` asked for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JointStatistics {
    /// Of the statistics object.
    pub name: String,
    /// The columns that it is made of.
    pub columns: Vec<String>,
    /// Whether it is made of expressions too.
    pub has_expressions: bool,
    /// How many different combinations some of the columns have.
    pub distinct: Vec<(Vec<String>, f64)>,
    /// Columns that determine another one, and in which share of the rows they do.
    pub dependencies: Vec<(Vec<String>, String, f64)>,
    /// The most common combinations, in the order of the columns and NULL where there is none, and the share of all rows that each
    /// of them has.
    pub common: Vec<(Vec<Option<String>>, f64)>,
}

/// Columns whose values no two rows share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// The table that it stands on, as SQL names it: a partition can have one of its own.
    pub table: String,
    /// Of the index.
    pub name: String,
    /// All columns that it looks at.
    pub columns: Vec<String>,
    /// Whether it is the primary key.
    pub is_primary: bool,
    /// Whether it looks at some of the rows only.
    pub is_partial: bool,
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceFacts {
    /// Of the constraint.
    pub name: String,
    /// The columns that refer.
    pub columns: Vec<String>,
    /// Object id of the other table.
    pub table: u32,
    /// As SQL names the other table.
    pub table_name: String,
    /// Its columns, in the same order.
    pub to: Vec<String>,
    /// Whether a row that is referred to cannot be deleted.
    pub restricts: bool,
}

/// In how many of several columns a row has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excludes {
    /// In one of them.
    AllButOne,
    /// In one of them or in none.
    AtMostOne,
}

impl Excludes {
    /// Of a sign and a number of values, as tokens: `= 1`, `< = 1`, `< 2`.
    fn of(number: &str) -> Option<Self> {
        let (sign, number) = number.rsplit_once(' ')?;
        let number: u32 = number.parse().ok()?;
        match sign {
            "=" if number == 1 => Some(Self::AllButOne),
            "< =" if number == 1 => Some(Self::AtMostOne),
            "<" if number == 2 => Some(Self::AtMostOne),
            _ => None,
        }
    }
}

/// A check constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFacts {
    /// Of the constraint.
    pub name: String,
    /// The columns that it looks at.
    pub columns: Vec<String>,
    /// As SQL writes it, with the bare names of the columns.
    pub expression: String,
}

impl CheckFacts {
    /// The column that `column` must not be before, where it says that and nothing else: `ends_at > starts_at`.
    #[must_use]
    pub fn later_than(&self, column: &str) -> Option<&str> {
        let text = self.expression.as_str();
        let tokens = significant(text);
        let words: Vec<&str> =
            tokens.iter().map(|token| token.text(text)).filter(|word| !["(", ")"].contains(word)).collect();
        let ([later, ">", earlier]
        | [later, ">", "=", earlier]
        | [earlier, "<", later]
        | [earlier, "<", "=", later]) = words.as_slice()
        else {
            return None;
        };
        let is = |word: &str, name: &str| word.trim_matches('"').replace("\"\"", "\"") == name;
        let [one, other] = self.columns.as_slice() else { return None };
        let before = if one == column { other } else { one };
        (is(later, column) && is(earlier, before)).then_some(before.as_str())
    }

    /// Whether it holds that each row has a value in one of its columns at most, or in exactly one, and says nothing else:
    /// `num_nonnulls(a, b) = 1`, `(a IS NULL) <> (b IS NULL)`.
    #[must_use]
    pub fn excludes(&self) -> Option<Excludes> {
        const ONE: [&str; 4] = [
            "c is null < > c is null",
            "c is not null < > c is not null",
            "c is null = c is not null",
            "c is not null = c is null",
        ];
        const EITHER: [&str; 2] = [
            "c is null and c is not null or c is not null and c is null",
            "c is not null and c is null or c is null and c is not null",
        ];
        let count = self.columns.len();
        if count < 2 {
            return None;
        }
        let text = self.expression.as_str();
        let place = |word: &str| {
            self.columns.iter().position(|name| *name == word.trim_matches('"').replace("\"\"", "\""))
        };
        // Parentheses and casts only hold it together; the columns are told by their places.
        let mut seen = vec![];
        let words: Vec<String> = significant(text)
            .iter()
            .map(|token| token.text(text))
            .filter(|word| !["(", ")", "::", "integer", "int", ","].contains(word))
            .map(|word| match place(word) {
                Some(at) => {
                    seen.push(at);
                    "c".to_owned()
                }
                None => word.to_lowercase(),
            })
            .collect();
        let each_once = seen.len() == count && (0..count).all(|at| seen.contains(&at));
        let said = words.join(" ");
        if let Some(number) = said.strip_prefix(&format!("num_nonnulls {} ", vec!["c"; count].join(" "))) {
            return Excludes::of(number).filter(|_| each_once);
        }
        if let Some(number) = said.strip_prefix(&format!("num_nulls {} ", vec!["c"; count].join(" "))) {
            let (sign, number) = number.rsplit_once(' ')?;
            let nulls_but = count.checked_sub(number.parse().ok()?)?;
            // So many NULLs and more are so many values and fewer; so many and fewer say nothing here.
            let sign = Some(sign).filter(|sign| !sign.contains('<'))?.replace('>', "<");
            return Excludes::of(&format!("{sign} {nulls_but}")).filter(|_| each_once);
        }
        for term in [
            "c is not null",
            "case when c is null then 0 else 1 end",
            "case when c is not null then 1 else 0 end",
        ] {
            if let Some(number) = said.strip_prefix(&format!("{} ", vec![term; count].join(" + "))) {
                return Excludes::of(number).filter(|_| each_once);
            }
        }
        let crossed =
            |seen: &[usize]| matches!(seen, [a, b, c, d] if a != b && c != d && (a == c) == (b == d));
        match said.as_str() {
            "c is null or c is null" if count == 2 && each_once => Some(Excludes::AtMostOne),
            said if ONE.contains(&said) && count == 2 && each_once => Some(Excludes::AllButOne),
            said if EITHER.contains(&said) && count == 2 && crossed(&seen) => {
                // In the same order both halves say different things of each column, in another one the same.
                (seen[0] == seen[2]).then_some(Excludes::AllButOne)
            }
            _ => None,
        }
    }

    /// The column whose texts or bytes it limits in length and does nothing else, and their most characters or bytes:
    /// `char_length(name) <= 255`.
    #[must_use]
    pub fn longest(&self) -> Option<(&str, u32)> {
        const FUNCTIONS: [&str; 4] = ["char_length", "character_length", "length", "octet_length"];
        let text = self.expression.as_str();
        let tokens = significant(text);
        // Parentheses and casts to text only hold it together.
        let words: Vec<&str> = tokens
            .iter()
            .map(|token| token.text(text))
            .filter(|word| !["(", ")", "::", "text"].contains(word))
            .collect();
        let (function, most, beyond) = match words.as_slice() {
            [function, _, "<", "=", most] | [function, _, "=", most] => (function, most, 0),
            [function, _, "<", most] => (function, most, 1),
            _ => return None,
        };
        let [column] = self.columns.as_slice() else { return None };
        let most = most.parse::<u32>().ok()?.checked_sub(beyond)?;
        FUNCTIONS.contains(function).then_some((column.as_str(), most))
    }
}

/// Something that is not captured, where it is, and what to write by hand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    /// `table.column`, or the name of an object.
    pub place: String,
    /// What is the matter.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Remark {
    pub(in crate::dataset) fn new(
        place: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { place: place.into(), what: what.into(), remedy: remedy.into() }
    }
}

/// What schema.sql must not say, since generated rows would not keep it.
#[derive(Clone, Debug, Default)]
pub struct LeftOut {
    /// Constraints and unique indexes: table, name of the constraint, why.
    pub constraints: Vec<(String, String, String)>,
    /// Columns that may be NULL although they may not at the source: table, column.
    pub nullable: Vec<(String, String)>,
}

impl LeftOut {
    /// Why a constraint is left out, if it is.
    #[must_use]
    pub fn why(&self, table: &str, name: &str) -> Option<&str> {
        let found = self.constraints.iter().find(|(of, constraint, _)| of == table && constraint == name);
        found.map(|(_, _, why)| why.as_str())
    }

    /// Whether a column may be NULL all the same.
    #[must_use]
    pub fn may_be_null(&self, table: &str, column: &str) -> bool {
        self.nullable.iter().any(|(of, name)| of == table && name == column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_of_a_length_limits_it_and_any_other_does_not() {
        let longest = |expression: &str| {
            let check =
                CheckFacts { name: "c".into(), columns: vec!["name".into()], expression: expression.into() };
            check.longest().map(|(_, most)| most)
        };
        assert_eq!(longest("(char_length(name) <= 255)"), Some(255));
        assert_eq!(longest("(length((name)::text) < 10)"), Some(9));
        assert_eq!(longest("(octet_length(name) = 32)"), Some(32));
        assert_eq!(longest("(length(name) > 3)"), None);
        assert_eq!(longest("((char_length(name) <= 255) OR (name IS NULL))"), None);
    }

    #[test]
    fn a_check_of_which_columns_have_values_says_in_how_many() {
        let excludes = |columns: &[&str], expression: &str| {
            let columns = columns.iter().map(|name| (*name).to_owned()).collect();
            CheckFacts { name: "c".into(), columns, expression: expression.into() }.excludes()
        };
        let (one, most) = (Some(Excludes::AllButOne), Some(Excludes::AtMostOne));
        for (wanted, expression) in [
            (one, "(num_nonnulls(a, \"B\") = 1)"),
            (most, "(num_nonnulls(\"B\", a) <= 1)"),
            (most, "(num_nonnulls(a, \"B\") < 2)"),
            (None, "(num_nonnulls(a, \"B\") >= 1)"),
            (None, "(num_nonnulls(a, \"B\") = 2)"),
            (None, "(num_nonnulls(a, a, \"B\") = 1)"),
            (one, "(num_nulls(a, \"B\") = 1)"),
            (most, "(num_nulls(a, \"B\") >= 1)"),
            (None, "(num_nulls(a, \"B\") <= 1)"),
            (None, "(num_nulls(a, \"B\") < 1)"),
            (None, "(num_nulls(a, \"B\") <> 1)"),
            (most, "(num_nulls(a, \"B\") > 0)"),
            (None, "(num_nulls(a, \"B\") > 1)"),
            (one, "((a IS NULL) <> (\"B\" IS NULL))"),
            (one, "((a IS NULL) = (\"B\" IS NOT NULL))"),
            (most, "((a IS NULL) OR (\"B\" IS NULL))"),
            (None, "((a IS NULL) AND (\"B\" IS NULL))"),
            (one, "(((a IS NULL) AND (\"B\" IS NOT NULL)) OR ((a IS NOT NULL) AND (\"B\" IS NULL)))"),
            (None, "(((a IS NULL) AND (\"B\" IS NOT NULL)) OR ((\"B\" IS NOT NULL) AND (a IS NULL)))"),
            (one, "((((a IS NOT NULL))::integer + ((\"B\" IS NOT NULL))::integer) = 1)"),
        ] {
            assert_eq!(excludes(&["a", "B"], expression), wanted, "{expression}");
        }
        assert_eq!(excludes(&["a", "b", "c"], "(num_nulls(a, b, c) = 2)"), one);
        assert_eq!(excludes(&["a"], "(num_nonnulls(a) = 1)"), None);
    }

    #[test]
    fn a_check_of_two_columns_puts_one_behind_the_other() {
        let columns = ["starts_at".to_owned(), "Ends".to_owned()];
        let check = |expression: &str| CheckFacts {
            name: "c".into(),
            columns: columns.to_vec(),
            expression: expression.into(),
        };
        assert_eq!(check("(\"Ends\" >= starts_at)").later_than("Ends"), Some("starts_at"));
        assert_eq!(check("(starts_at < \"Ends\")").later_than("Ends"), Some("starts_at"));
        assert_eq!(check("(starts_at < \"Ends\")").later_than("starts_at"), None);
        assert_eq!(check("(starts_at <> \"Ends\")").later_than("Ends"), None);
    }
}
