//! Where the values of a parameter come from: an existing key for an equality, a window for a range, a value of the column for what is
//! stored. Knows no server.

use std::collections::BTreeMap;

use super::column::{number, quoted};
use super::describe::{Described, DescribedColumn, DescribedTable};
use super::facts::{ColumnFacts, DatabaseFacts, TableFacts, TypeKind};
use super::predicate::{At, Use};
use super::query;

/// Whose values parameters draw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DrawnFrom {
    /// Those of the rows that dbdyno makes: they are computed.
    #[default]
    Generated,
    /// Those of the rows that the target has: it is asked for them when the run begins.
    Target,
}

/// What stands in the place of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    /// A source as the document has it: `key = { table = "orders" }`.
    Drawn(String),
    /// SQL in the text itself: what the statement had there was a constant.
    Literal(String),
}

/// One parameter and what is known of it.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) kind: &'a TypeKind,
    pub(super) type_name: &'a str,
    pub(super) of: &'a Use,
    /// Rows that one execution gives on average.
    pub(super) rows_per_call: f64,
    /// Whether the same column has another bound beside this one.
    pub(super) between: bool,
    pub(super) has_limit: bool,
}

/// Where the values of a database's columns come from.
pub(super) struct Sources<'a> {
    pub(super) facts: &'a DatabaseFacts,
    pub(super) described: &'a Described,
    from: DrawnFrom,
    /// For tables and columns that others refer to by a law: the column that does, and that law.
    favourites: BTreeMap<(usize, &'a str), (At, f64)>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(facts: &'a DatabaseFacts, described: &'a Described, from: DrawnFrom) -> Self {
        let mut favourites = BTreeMap::new();
        for child in &described.tables {
            for column in &child.columns {
                if let Some((parent, to, Some(law))) = &column.refers {
                    let by = At { table: child.facts, column: column.name.clone(), alias: String::new() };
                    favourites.entry((*parent, to.as_str())).or_insert((by, *law));
                }
            }
        }
        Self { facts, described, from, favourites }
    }

    /// Whether a table of the database that the workload runs on lacks a key or a foreign key. A copy with real rows has them all.
    pub(super) fn lacks(&self, table: &str, constraint: &str) -> bool {
        self.from == DrawnFrom::Generated && self.described.left_out.why(table, constraint).is_some()
    }

    /// Whether a table of the database that the workload runs on has rows.
    pub(super) fn has_rows(&self, table: usize) -> bool {
        match self.from {
            DrawnFrom::Generated => self.described.table(table).is_some(),
            DrawnFrom::Target => self.facts.tables[table].rows >= 1.0,
        }
    }

    /// The source of a parameter, or why there is none.
    pub(super) fn of(&self, asked: &Asked<'_>) -> Result<Source, String> {
        if let Some(literal) = constant(asked) {
            return Ok(Source::Literal(literal));
        }
        match self.drawn(asked).or_else(|| by_kind(asked.kind)) {
            Some(text) => Ok(Source::Drawn(text)),
            None => Err(format!("nothing makes values of type {}", asked.type_name)),
        }
    }

    /// The column with which a parameter is compared while its values are made up by its type alone, as `table.column`.
    pub(super) fn misses(&self, asked: &Asked<'_>) -> Option<String> {
        let (Use::Equal(at) | Use::AnyOf(at) | Use::Low(at) | Use::High(at)) = asked.of else { return None };
        let is_meant = self.from == DrawnFrom::Generated && self.has_rows(at.table);
        (is_meant && constant(asked).is_none() && self.drawn(asked).is_none())
            .then(|| format!("{}.{}", self.facts.tables[at.table].name, at.column))
    }

    fn drawn(&self, asked: &Asked<'_>) -> Option<String> {
        match asked.of {
            Use::Equal(at) => self.key(at),
            Use::AnyOf(at) => self.list(at, asked),
            Use::Low(at) => self.low(at, asked),
            Use::High(at) => self.high(at, asked),
            Use::Stored(at) => self.stored(at),
            // What a function makes of a value of the column is compared with the column, or stored in it.
            Use::Argument(.., Some(said)) => {
                let (Use::Equal(at) | Use::Low(at) | Use::High(at) | Use::Stored(at)) = said.as_ref() else {
                    return None;
                };
                let column = self.facts.tables[at.table].column(&at.column)?;
                let fits = match (&column.kind, asked.kind) {
                    (TypeKind::Int(of), TypeKind::Int(wanted)) => of <= wanted,
                    (of, wanted) => of == wanted,
                };
                if fits { self.drawn(&Asked { of: said, ..*asked }) } else { None }
            }
            _ => None,
        }
    }

    /// A column whose values are computed, as the server reads them.
    fn column(&self, at: &At) -> Option<(&DescribedTable, &DescribedColumn, &ColumnFacts)> {
        let table = self.described.table(at.table)?;
        let column = self.facts.tables[at.table].column(&at.column)?;
        // It is loaded from another form than the server reads.
        if column.kind == TypeKind::Hstore {
            return None;
        }
        Some((table, table.column(&at.column)?, column))
    }

    /// A column whose table has rows that can be asked for values of it.
    fn asked(&self, at: &At) -> Option<(&TableFacts, &ColumnFacts)> {
        let table = &self.facts.tables[at.table];
        let column = table.column(&at.column)?;
        let has_values = column.statistics.as_ref().is_none_or(|known| known.null_fraction < 1.0);
        (self.from == DrawnFrom::Target && self.has_rows(at.table) && has_values).then_some((table, column))
    }

    /// The key that a column is or refers to, along all foreign keys of one column: what two parameters have in common that mean the
    /// same row.
    pub(super) fn meaning(&self, at: &At) -> (usize, String) {
        // A circle of foreign keys has no end.
        const STEPS: usize = 8;
        let (mut table, mut column) = (at.table, at.column.clone());
        for _ in 0..STEPS {
            let references = &self.facts.tables[table].references;
            let Some(reference) =
                references.iter().find(|of| of.columns.len() == 1 && of.columns[0] == column)
            else {
                break;
            };
            let Some(parent) = self.facts.of_oid(reference.table).filter(|parent| *parent != table) else {
                break;
            };
            (table, column) = (parent, reference.to[0].clone());
        }
        (table, column)
    }

    /// The column of a child that says which rows have most children, for who asks for them.
    fn favourites<'s>(&'s self, at: &'s At) -> Option<&'s (At, f64)> {
        self.favourites.get(&(at.table, at.column.as_str()))
    }

    /// An existing value: where the column refers to another table, one of that table's, its favourites as often as they have rows.
    pub(super) fn key(&self, at: &At) -> Option<String> {
        if self.from == DrawnFrom::Target {
            // Rows that have most children are drawn most, where they are drawn from the children.
            let children = self.favourites(at).and_then(|(child, _)| self.asked(child));
            let (table, column) = children.or_else(|| self.asked(at))?;
            return Some(query::values(table, &[&column.name], false));
        }
        let (table, column, _) = self.column(at)?;
        if let Some((parent, to, law)) = &column.refers {
            let parent = self.described.table(*parent)?;
            let law = law.map_or_else(String::new, |law| format!(", zipf = {}", number(law)));
            return Some(format!(
                "key = {{ table = {}, column = {}{law} }}",
                quoted(&parent.name),
                quoted(to)
            ));
        }
        // The favourites of those who refer to this column are the favourites of those who ask for it.
        let law = self.favourites(at);
        let law = law.map_or_else(String::new, |(_, law)| format!(", zipf = {}", number(*law)));
        Some(format!("key = {{ table = {}, column = {}{law} }}", quoted(&table.name), quoted(&column.name)))
    }

    /// A value of the own column.
    pub(super) fn own_key(&self, at: &At) -> Option<String> {
        if self.from == DrawnFrom::Target {
            let (table, column) = self.asked(at)?;
            return Some(query::values(table, &[&column.name], false));
        }
        let (table, column, _) = self.column(at)?;
        Some(format!("key = {{ table = {}, column = {} }}", quoted(&table.name), quoted(&column.name)))
    }

    /// What draws one row for parameters that name its columns. All of them must have a source of their own.
    pub(super) fn row(&self, columns: &[At]) -> Option<String> {
        if self.from == DrawnFrom::Generated {
            return columns.iter().map(|at| self.own_key(at)).collect::<Option<Vec<_>>>()?.into_iter().next();
        }
        let asked = columns.iter().map(|at| self.asked(at)).collect::<Option<Vec<_>>>()?;
        let names: Vec<&str> = asked.iter().map(|(_, column)| column.name.as_str()).collect();
        let (table, _) = asked.first()?;
        Some(query::values(table, &names, false))
    }

    /// Numbers of existing rows, where they are numbered.
    fn list(&self, at: &At, asked: &Asked<'_>) -> Option<String> {
        // As many as the rows that come back.
        let length = asked.rows_per_call.round().clamp(1.0, 100.0);
        if self.from == DrawnFrom::Target {
            let (table, column) = self.asked(at).filter(|_| matches!(asked.kind, TypeKind::Array(_)))?;
            return Some(query::lists(table, &column.name, length));
        }
        let (mut table, mut column, _) = self.column(at)?;
        if let Some((parent, to, _)) = &column.refers {
            table = self.described.table(*parent)?;
            column = table.column(to)?;
        }
        let TypeKind::Array(of) = asked.kind else { return None };
        let element = match range_of(&column.description.generator, table.rows) {
            Some((first, last)) if matches!(**of, TypeKind::Int(_)) => format!("uniform = [{first}, {last}]"),
            _ => by_kind(of)?,
        };
        Some(format!("array = {{ of = {{ {element} }}, length = [{length:.0}, {length:.0}] }}"))
    }

    /// The lower end of a range: below the middle where there is an upper one as well, else so near to the end that as many rows are
    /// left as an execution gives.
    fn low(&self, at: &At, asked: &Asked<'_>) -> Option<String> {
        let share = (asked.rows_per_call / self.facts.tables[at.table].rows.max(1.0)).clamp(0.0, 1.0);
        let (from, to) = if asked.between {
            (0.4, 0.5)
        } else if share < 0.1 {
            (0.9, 0.99)
        } else {
            ((1.0 - 1.2 * share).max(0.0), (1.0 - 0.8 * share).max(0.05))
        };
        self.between(at, from, to)
    }

    fn high(&self, at: &At, asked: &Asked<'_>) -> Option<String> {
        if asked.has_limit && !asked.between {
            return self.own_key(at);
        }
        let (from, to) = if asked.between { (0.5, 0.6) } else { (0.01, 0.1) };
        self.between(at, from, to)
    }

    /// Values between two shares of a column, in their order.
    fn between(&self, at: &At, from: f64, to: f64) -> Option<String> {
        if self.from == DrawnFrom::Target {
            let (table, column) = self.asked(at)?;
            return Some(query::between(table, &column.name, from, to));
        }
        let (table, column, _) = self.column(at)?;
        window(column, table.rows, from, to).or_else(|| self.own_key(at))
    }

    /// A value as the column has them; a new one where no two rows may agree.
    fn stored(&self, at: &At) -> Option<String> {
        self.new_value(at).or_else(|| self.key_of_value(at))
    }

    /// A value that no row has, for a column that a key counts on; but what refers to another row has that row's.
    pub(super) fn new_value(&self, at: &At) -> Option<String> {
        let (_, column, facts) = self.column(at)?;
        let refers = self.facts.tables[at.table].references.iter().any(|of| of.columns.contains(&at.column));
        fresh(facts).filter(|_| !refers && (column.is_unique || column.in_key))
    }

    /// As [`Sources::key`], but a value of the own column where it refers to nothing.
    fn key_of_value(&self, at: &At) -> Option<String> {
        if self.from == DrawnFrom::Target {
            let (table, column) = self.asked(at)?;
            return Some(query::values(table, &[&column.name], true));
        }
        let (_, column, _) = self.column(at)?;
        if column.refers.is_some() { self.key(at) } else { self.own_key(at) }
    }
}

/// What a statement had in this place for certain was a constant; which one, nobody knows.
fn constant(asked: &Asked<'_>) -> Option<String> {
    match asked.of {
        Use::Limit => return Some(limit(asked.rows_per_call).to_string()),
        Use::Offset => return Some("0".to_owned()),
        Use::Zone => return Some("'UTC'".to_owned()),
        // The language of a search: one that every server has.
        _ if asked.type_name == "regconfig" => return Some("'simple'::regconfig".to_owned()),
        Use::Escape => return Some("'\\'".to_owned()),
        Use::Argument(function, 0, _)
            if ["date_trunc", "date_part", "extract"].contains(&function.as_str()) =>
        {
            return Some("'day'".to_owned());
        }
        Use::Argument(function, 1, _) if function == "to_char" => return Some("'YYYY-MM-DD'".to_owned()),
        _ => {}
    }
    match (asked.type_name, asked.kind) {
        ("regconfig", _) => Some("'simple'".to_owned()),
        ("jsonpath", _) => Some("'$'".to_owned()),
        (_, TypeKind::Interval) => Some("'7 days'".to_owned()),
        _ => None,
    }
}

/// The round number that a limit may have been, from the rows that came back.
fn limit(rows_per_call: f64) -> u32 {
    const ROUND: [u32; 10] = [10, 20, 25, 50, 100, 200, 250, 500, 1000, 5000];
    if (0.5..=1.0).contains(&rows_per_call) {
        return 1;
    }
    ROUND.into_iter().find(|round| f64::from(*round) >= rows_per_call - 0.01).unwrap_or(10_000)
}

/// Values of a type when nothing else is known.
fn by_kind(kind: &TypeKind) -> Option<String> {
    Some(match kind {
        TypeKind::Bool => "boolean = { true_fraction = 0.5 }".to_owned(),
        TypeKind::Int(_) => "uniform = [1, 10]".to_owned(),
        TypeKind::Float | TypeKind::Decimal | TypeKind::Money => {
            "decimal = { min = 1.0, max = 100.0, scale = 2 }".to_owned()
        }
        TypeKind::Text | TypeKind::Tsvector | TypeKind::Xml => "words = [1, 1]".to_owned(),
        TypeKind::Enum(labels) => {
            let weights: Vec<String> = labels.iter().map(|label| format!("{} = 1", quoted(label))).collect();
            format!("weighted = {{ {} }}", weights.join(", "))
        }
        TypeKind::Date => "date = { from = \"2024-01-01\", to = \"2026-01-01\" }".to_owned(),
        TypeKind::Timestamp => "timestamp = { from = \"2024-01-01\", to = \"2026-01-01\" }".to_owned(),
        TypeKind::Interval => "interval = { length_s = { uniform = [3600, 604800] } }".to_owned(),
        TypeKind::Time => "histogram = { bounds = [\"08:00:00\", \"18:00:00\"], type = \"time\" }".to_owned(),
        TypeKind::Hstore => "constant = 'captured=>x'".to_owned(),
        TypeKind::Mac(6) => "constant = \"02:00:00:00:00:01\"".to_owned(),
        TypeKind::Mac(_) => "constant = \"02:00:00:00:00:00:00:01\"".to_owned(),
        TypeKind::Uuid => "uuid = {}".to_owned(),
        TypeKind::Bytes => "bytes = { length = [8, 8] }".to_owned(),
        TypeKind::Json => "json = { captured = { words = [1, 1] } }".to_owned(),
        TypeKind::Network => "ip_address = {}".to_owned(),
        TypeKind::Array(of) => format!("array = {{ of = {{ {} }}, length = [1, 3] }}", by_kind(of)?),
        TypeKind::Other => return None,
    })
}

/// Values that no row has.
fn fresh(column: &ColumnFacts) -> Option<String> {
    Some(match column.kind {
        TypeKind::Int(2) => "uniform = [31000, 32767]".to_owned(),
        TypeKind::Int(4) => "uniform = [1500000000, 2147483647]".to_owned(),
        TypeKind::Int(_) => "uniform = [1000000000000, 9000000000000000]".to_owned(),
        TypeKind::Uuid => "uuid = {}".to_owned(),
        TypeKind::Text => {
            let length = column.length_max.unwrap_or(40).min(40);
            format!("text = {{ length = [{length}, {length}] }}")
        }
        _ => return None,
    })
}

/// First and last of the numbers of a sequence or a histogram of whole numbers.
fn range_of(generator: &str, rows: u64) -> Option<(i64, i64)> {
    let table: toml::Table = toml::from_str(generator).ok()?;
    if let Some(sequence) = table.get("sequence").and_then(toml::Value::as_table) {
        let of = |key: &str| sequence.get(key).and_then(toml::Value::as_integer).unwrap_or(1);
        let last = i64::try_from(rows.saturating_sub(1)).ok()?.checked_mul(of("step"))?;
        return Some((of("start"), of("start").checked_add(last)?));
    }
    let bounds = table.get("histogram")?.get("bounds")?.as_array()?;
    Some((bounds.first()?.as_integer()?, bounds.last()?.as_integer()?))
}

/// Values between two shares of a column, in their order.
fn window(column: &DescribedColumn, rows: u64, from: f64, to: f64) -> Option<String> {
    let generator = &column.description.generator;
    if let Some((first, last)) = range_of(generator, rows) {
        let width = (last - first) as f64;
        // Shares of a range of 64 bits.
        #[expect(clippy::cast_possible_truncation)]
        let at = |share: f64| first + (width * share) as i64;
        return (at(to) > at(from)).then(|| format!("uniform = [{}, {}]", at(from), at(to)));
    }
    let table: toml::Table = toml::from_str(generator).ok()?;
    let histogram = table.get("histogram")?;
    let bounds = histogram.get("bounds")?.as_array()?;
    let at = |share: f64| {
        // A share of a short list.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let index = ((bounds.len() - 1) as f64 * share).round() as usize;
        bounds.get(index).and_then(toml::Value::as_str)
    };
    let (low, high) = (at(from)?, at(to)?);
    if low >= high {
        return None;
    }
    match histogram.get("type")?.as_str()? {
        "timestamp" => Some(format!("timestamp = {{ from = {}, to = {} }}", quoted(low), quoted(high))),
        "date" => Some(format!("date = {{ from = {}, to = {} }}", quoted(low), quoted(high))),
        of @ ("time" | "interval") => {
            Some(format!("histogram = {{ bounds = [{}, {}], type = \"{of}\" }}", quoted(low), quoted(high)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::capture::{Description, Kept, Leaves, describe};

    fn column(generator: &str) -> DescribedColumn {
        DescribedColumn {
            name: "c".into(),
            description: Description {
                generator: generator.into(),
                null_fraction: 0.0,
                unique: false,
                correlation: None,
                exclusive: None,
            },
            leaves: Leaves::Nothing,
            refers: None,
            is_unique: false,
            in_key: false,
        }
    }

    #[test]
    fn a_window_lies_between_its_shares() {
        let sequence = column("sequence = { start = 11, step = 10 }");
        assert_eq!(window(&sequence, 101, 0.4, 0.5).as_deref(), Some("uniform = [411, 511]"));
        let times = column(
            "histogram = { bounds = [\"2024-01-01T00:00:00Z\", \"2025-01-01T00:00:00Z\", \"2026-01-01T00:00:00Z\"], type = \"timestamp\" }",
        );
        assert_eq!(
            window(&times, 9, 0.5, 1.0).as_deref(),
            Some("timestamp = { from = \"2025-01-01T00:00:00Z\", to = \"2026-01-01T00:00:00Z\" }")
        );
        assert_eq!(window(&column("uuid = {}"), 9, 0.1, 0.2), None);
    }

    #[test]
    fn who_asks_for_a_network_card_finds_it_and_who_misses_is_told() {
        let columns = vec![
            ColumnFacts::plain("card", "macaddr", TypeKind::Mac(6)),
            ColumnFacts::plain("pairs", "hstore", TypeKind::Hstore),
        ];
        let table = TableFacts { oid: 1, name: "cards".into(), rows: 50.0, columns, ..TableFacts::default() };
        let facts = DatabaseFacts { tables: vec![table] };
        let described = describe(&facts, &Kept::Columns(vec![]));
        let sources = Sources::new(&facts, &described, DrawnFrom::Generated);
        let of = |column: &str, kind: &TypeKind| {
            let at = At { table: 0, column: column.into(), alias: String::new() };
            let of = Use::Equal(at);
            let asked =
                Asked { kind, type_name: "", of: &of, rows_per_call: 1.0, between: false, has_limit: false };
            (sources.of(&asked).expect("a source"), sources.misses(&asked))
        };
        let card = "key = { table = \"cards\", column = \"card\" }".to_owned();
        assert_eq!(of("card", &TypeKind::Mac(6)), (Source::Drawn(card), None));
        let (drawn, misses) = of("pairs", &TypeKind::Hstore);
        assert_eq!(drawn, Source::Drawn("constant = 'captured=>x'".into()));
        assert_eq!(misses.as_deref(), Some("cards.pairs"));
    }

    #[test]
    fn limits_are_round() {
        assert_eq!([1.0, 0.2, 9.7, 24.0, 50.0].map(limit), [1, 10, 10, 25, 50]);
    }
}
