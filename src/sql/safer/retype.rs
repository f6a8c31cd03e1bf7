//! Another type of a column without a moment in which nobody can use its table: a column of the new type beside it, which a trigger and
//! batches fill, its indexes and checks built beside the traffic, and then both swapped in one short transaction. The new column stands
//! last in its table. Where the difference is a time zone only, nothing needs to be written at all.

use super::batches::batches;
use super::text::{Alter, Text, bare, joined, plain};
use super::{Safer, Stands, alone, not_null, single, validated};
use crate::sql::lex::{TokenKind, significant};

/// What the server says of a column that is to have another type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// Its table, as the statement names it.
    pub table: String,
    /// Its name, as the statement writes it.
    pub column: String,
    /// Its type: `timestamp(3) without time zone`.
    pub kind: String,
    /// Whether it has a value in every row.
    pub not_null: bool,
    /// Its default, as an expression.
    pub default: Option<String>,
    /// The sequence that goes with it, qualified.
    pub sequence: Option<String>,
    /// Of an identity column when it is generated: `BY DEFAULT`, `ALWAYS`.
    pub identity: Option<String>,
    /// What is said of it.
    pub comment: Option<String>,
    /// Valid indexes that it is a part of, those of keys included.
    pub indexes: Vec<ColumnIndex>,
    /// Checks that it is a part of.
    pub checks: Vec<ColumnCheck>,
    /// Foreign keys that it is a part of, on either side.
    pub foreign_keys: Vec<ColumnForeignKey>,
    /// What else hangs on it, and is not carried over to another column: `the exclusion no_overlap`.
    pub against: Vec<String>,
}

/// An index that a column is a part of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnIndex {
    /// Its name, without quotes.
    pub name: String,
    /// `CREATE UNIQUE INDEX orders_pkey ON public.orders USING btree (id)`
    pub definition: String,
    /// What the constraint is that it belongs to: `PRIMARY KEY`, `UNIQUE DEFERRABLE`.
    pub constraint: Option<String>,
}

/// A check that a column is a part of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnCheck {
    /// Its name, without quotes.
    pub name: String,
    /// `CHECK ((quantity > 0))`
    pub definition: String,
    /// Whether it holds for all rows.
    pub validated: bool,
}

/// A foreign key that a column is a part of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnForeignKey {
    /// Its name, without quotes.
    pub name: String,
    /// The table whose rows refer to others, as SQL takes its name.
    pub table: String,
    /// `FOREIGN KEY (order_id) REFERENCES orders(id)`
    pub definition: String,
    /// Whether it holds for all rows.
    pub validated: bool,
    /// Whether others refer to the column.
    pub inbound: bool,
}

impl Column {
    /// Whether a statement has to do with it, so that it may not be any more behind that what it was before.
    #[must_use]
    pub fn is_named_in(&self, sql: &str) -> bool {
        let tokens = significant(sql);
        let of = Text { sql, tokens: &tokens };
        let has =
            |name: &str| (0..tokens.len()).any(|at| of.name(at).is_some_and(|of| bare(of) == bare(name)));
        has(&self.table) && has(&self.column)
    }
}

/// Tables and columns whose type a statement changes, as it writes them.
#[must_use]
pub fn columns_with_another_type(sql: &str) -> Vec<(String, String)> {
    let tokens = significant(sql);
    let actions = Text { sql, tokens: &tokens }.actions();
    let read = |action: &String| {
        let tokens = significant(action);
        Asked::read(&Text { sql: action, tokens: &tokens })
            .map(|asked| (asked.table, asked.column.to_owned()))
    };
    actions.iter().filter_map(read).collect()
}

/// `ALTER TABLE table ALTER [COLUMN] column [SET DATA] TYPE kind [USING value]`
struct Asked<'a> {
    table: String,
    column: &'a str,
    kind: &'a str,
    using: Option<&'a str>,
}

impl<'a> Asked<'a> {
    fn read(of: &Text<'a>) -> Option<Self> {
        let Alter { table, action } = of.alter()?;
        if !of.word(action, "ALTER") {
            return None;
        }
        let at = if of.word(action + 1, "COLUMN") { action + 2 } else { action + 1 };
        let column = of.name(at)?;
        let at = if of.words(at + 1, &["SET", "DATA"]) { at + 3 } else { at + 1 };
        if !of.word(at, "TYPE") {
            return None;
        }
        let end = of.tokens.len();
        let using = (at + 1..end).find(|at| of.word(*at, "USING") && of.depth(*at) == 0);
        let kind = of.text(at + 1..using.unwrap_or(end));
        Some(Self { table, column, kind, using: using.map(|using| of.text(using + 1..end)) })
    }
}

/// The safe form, where the column is known and nothing hangs on it that would be lost.
pub(super) fn retyped(of: &Text<'_>, columns: &[Column]) -> Option<Vec<Safer>> {
    let asked = Asked::read(of)?;
    let column = columns.iter().find(|known| known.table == asked.table && known.column == asked.column)?;
    if asked.using.is_none() && is_wider_text(&column.kind, asked.kind) {
        return None;
    }
    if let Some(steps) = in_utc(&asked, column) {
        return Some(steps);
    }
    column.against.is_empty().then(|| Swap::of(&asked, column).steps())
}

/// Whether each text of the one type is one of the other, so that nothing is written anew.
fn is_wider_text(old: &str, new: &str) -> bool {
    let (old, new) = (Varying::read(old), Varying::read(new));
    matches!((old, new), (Some(old), Some(new)) if new.length.is_none_or(|new| old.length.is_some_and(|old| old <= new)))
}

/// `varchar(40)`, `text`
struct Varying {
    length: Option<u32>,
}

impl Varying {
    fn read(kind: &str) -> Option<Self> {
        let (name, length) = with_length(kind);
        match (name.as_str(), length) {
            ("text", None) => Some(Self { length: None }),
            ("character varying" | "varchar", length) => {
                Some(Self { length: length.and_then(|length| length.parse().ok()) })
            }
            _ => None,
        }
    }
}

/// The name of a type in small letters, and what stands in its parentheses: `timestamp(3) with time zone`.
fn with_length(kind: &str) -> (String, Option<String>) {
    let kind = kind.to_ascii_lowercase();
    let (name, length) = match (kind.find('('), kind.find(')')) {
        (Some(open), Some(close)) if open < close => (
            format!("{} {}", &kind[..open], &kind[close + 1..]),
            Some(kind[open + 1..close].trim().to_owned()),
        ),
        _ => (kind, None),
    };
    (name.split_whitespace().collect::<Vec<_>>().join(" "), length)
}

/// Between a time with a zone and one without, taken for one of UTC, both are the same bytes: nothing is written where the session's zone
/// is UTC (PostgreSQL 12, release notes).
fn in_utc(asked: &Asked<'_>, column: &Column) -> Option<Vec<Safer>> {
    let zoned = |kind: &str| {
        let (name, precision) = with_length(kind);
        let zoned = match name.as_str() {
            "timestamptz" | "timestamp with time zone" => true,
            "timestamp" | "timestamp without time zone" => false,
            _ => return None,
        };
        Some((zoned, precision))
    };
    let ((was, of), (is, precision)) = (zoned(&column.kind)?, zoned(asked.kind)?);
    let using = asked.using?;
    let tokens = significant(using);
    let value = Text { sql: using, tokens: &tokens };
    let in_utc = value.name(0).is_some_and(|name| bare(name) == bare(asked.column))
        && value.words(1, &["AT", "TIME", "ZONE"])
        && value.text(4..tokens.len()).eq_ignore_ascii_case("'UTC'");
    if was == is || of != precision || !in_utc {
        return None;
    }
    let Asked { table, column, kind, .. } = asked;
    Some(vec![
        together("SET LOCAL timezone = 'UTC'"),
        together(&format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE {kind}")),
    ])
}

fn together(sql: &str) -> Safer {
    Safer { sql: sql.to_owned(), stands: Stands::Together }
}

/// One column beside another, which takes its place.
struct Swap<'a> {
    asked: &'a Asked<'a>,
    column: &'a Column,
    /// The column of the new type, while both are there.
    new: String,
    /// The trigger that fills it, and its function. Of several triggers the last by name sees what the others made of the row.
    trigger: String,
}

impl<'a> Swap<'a> {
    fn of(asked: &'a Asked<'a>, column: &'a Column) -> Self {
        let old = bare(asked.column);
        let trigger = joined(&["zz".to_owned(), bare(&asked.table), old.clone()], "new");
        Self { asked, column, new: joined(&[old], "new"), trigger }
    }

    fn steps(&self) -> Vec<Safer> {
        let Asked { table, kind, .. } = self.asked;
        let new = &self.new;
        let mut steps = vec![single(&format!("ALTER TABLE {table} ADD COLUMN {new} {kind}"))];
        steps.extend(self.followed());
        steps.push(self.filled());
        let indexes = &self.column.indexes;
        steps.extend(indexes.iter().filter_map(|index| self.index(index)).map(|sql| alone(&sql)));
        for check in &self.column.checks {
            let definition = self.renamed(&check.definition, 0);
            let definition = definition.trim_end_matches(" NOT VALID");
            let [add, validate] = validated(table, &beside(&check.name), definition);
            steps.push(add);
            steps.extend(check.validated.then_some(validate));
        }
        for key in self.column.foreign_keys.iter().filter(|key| !key.inbound) {
            let [add, validate] = validated(table, &beside(&key.name), &self.referring(&key.definition));
            steps.push(add);
            steps.extend(key.validated.then_some(validate));
        }
        if self.column.not_null {
            steps.extend(not_null(table, new));
        }
        // With the column comes what the planner knows of it.
        steps.push(single(&format!("ANALYZE {table}")));
        steps.extend(self.swapped());
        let refer = self.column.foreign_keys.iter().filter(|key| key.inbound && key.validated);
        steps.extend(refer.map(|key| {
            single(&format!("ALTER TABLE {} VALIDATE CONSTRAINT {}", key.table, plain(&key.name)))
        }));
        steps
    }

    /// A foreign key of the new column to what the old one refers to.
    fn referring(&self, definition: &str) -> String {
        let tokens = significant(definition);
        let of = Text { sql: definition, tokens: &tokens };
        let behind = of.find("REFERENCES").map_or(definition.len(), |at| tokens[at].span.start);
        let (columns, rest) = definition.split_at(behind);
        format!("{}{}", self.renamed(columns, 0), rest.trim_end_matches(" NOT VALID"))
    }

    /// Who writes a row writes both columns. The value is assigned as the statement itself assigns it.
    fn followed(&self) -> [Safer; 2] {
        let Self { asked: Asked { table, column, using, .. }, new, trigger, .. } = self;
        let value = match using {
            None => format!("NEW.{column}"),
            Some(using) => format!("(SELECT {using} FROM (SELECT NEW.*) AS {})", plain(&bare(table))),
        };
        [
            single(&format!(
                "CREATE FUNCTION {trigger}() RETURNS trigger LANGUAGE plpgsql AS $dbdyno$ BEGIN NEW.{new} := {value}; RETURN NEW; END \
                 $dbdyno$"
            )),
            single(&format!(
                "CREATE TRIGGER {trigger} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {trigger}()"
            )),
        ]
    }

    /// Rows that nobody has written since.
    fn filled(&self) -> Safer {
        let Self { asked: Asked { table, column, using, .. }, new, .. } = self;
        let update = format!("UPDATE {table} SET {new} = {}", using.unwrap_or(column));
        let has_value = if using.is_none() { format!(" AND {column} IS NOT NULL") } else { String::new() };
        alone(&batches(table, &update, Some(&format!("{new} IS NULL{has_value}"))))
    }

    /// The same index of the new column.
    fn index(&self, index: &ColumnIndex) -> Option<String> {
        let sql = &index.definition;
        let tokens = significant(sql);
        let of = Text { sql, tokens: &tokens };
        let (word, using) = (of.find("INDEX")?, of.find("USING")?);
        let (opening, on) = (of.text(0..word + 1), of.text(word + 2..using));
        let columns = self.renamed(sql, tokens[using].span.start);
        Some(format!("{opening} CONCURRENTLY {} {on} {columns}", beside(&index.name)))
    }

    /// A text from a byte on, with the new column wherever it names the old one.
    fn renamed(&self, sql: &str, from: usize) -> String {
        let tokens = significant(sql);
        let of = Text { sql, tokens: &tokens };
        let (mut renamed, mut kept) = (String::new(), from);
        for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.span.start >= from) {
            let is_name = matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdentifier);
            let is_column = is_name && bare(token.text(sql)) == bare(self.asked.column);
            // A function, a type of a cast, or a part of a qualified name is another thing of the same name.
            let is_other = of.mark(at + 1, "(") || at > 0 && (of.mark(at - 1, ".") || of.mark(at - 1, "::"));
            if is_column && !is_other {
                renamed.push_str(&sql[kept..token.span.start]);
                renamed.push_str(&self.new);
                kept = token.span.end;
            }
        }
        renamed.push_str(&sql[kept..]);
        renamed
    }

    /// The swap: all of it changes the catalogue only. The old indexes and checks go with their column.
    fn swapped(&self) -> Vec<Safer> {
        let Self { asked: Asked { table, column, .. }, column: known, new, trigger } = self;
        let inbound = || known.foreign_keys.iter().filter(|key| key.inbound);
        let mut steps =
            vec![format!("DROP TRIGGER {trigger} ON {table}"), format!("DROP FUNCTION {trigger}()")];
        steps.extend(
            inbound().map(|key| format!("ALTER TABLE {} DROP CONSTRAINT {}", key.table, plain(&key.name))),
        );
        steps.extend(known.sequence.as_ref().map(|sequence| match known.identity {
            // The sequence of an identity goes with its column.
            Some(_) => {
                format!("SELECT set_config('dbdyno.last', (SELECT last_value::text FROM {sequence}), true)")
            }
            None => format!("ALTER SEQUENCE {sequence} OWNED BY {table}.{new}"),
        }));
        steps.push(format!("ALTER TABLE {table} DROP COLUMN {column}"));
        steps.push(format!("ALTER TABLE {table} RENAME COLUMN {new} TO {column}"));
        if let Some(generated) = &known.identity {
            let literal = |name: &str| name.replace('\'', "''");
            steps.push(format!(
                "ALTER TABLE {table} ALTER COLUMN {column} ADD GENERATED {generated} AS IDENTITY"
            ));
            steps.push(format!(
                "SELECT setval(pg_get_serial_sequence('{}', '{}'), current_setting('dbdyno.last')::bigint)",
                literal(table),
                literal(&bare(column))
            ));
        }
        let default = known.default.as_ref();
        steps.extend(
            default.map(|default| format!("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {default}")),
        );
        steps.extend(known.indexes.iter().map(|index| taken_over(table, index)));
        let outbound = known.foreign_keys.iter().filter(|key| !key.inbound).map(|key| &key.name);
        steps.extend(known.checks.iter().map(|check| &check.name).chain(outbound).map(|name| {
            format!("ALTER TABLE {table} RENAME CONSTRAINT {} TO {}", beside(name), plain(name))
        }));
        steps.extend(inbound().map(|key| {
            let definition = key.definition.trim_end_matches(" NOT VALID");
            format!("ALTER TABLE {} ADD CONSTRAINT {} {definition} NOT VALID", key.table, plain(&key.name))
        }));
        let comment = known.comment.as_ref().map(|comment| comment.replace('\'', "''"));
        steps.extend(comment.map(|comment| format!("COMMENT ON COLUMN {table}.{column} IS '{comment}'")));
        steps.iter().map(|sql| together(sql)).collect()
    }
}

/// An index of the new column in the place of that of the old one.
fn taken_over(table: &str, index: &ColumnIndex) -> String {
    let (name, beside) = (plain(&index.name), beside(&index.name));
    let Some(constraint) = &index.constraint else {
        return format!("ALTER INDEX {}{beside} RENAME TO {name}", schema_of(table));
    };
    // When it is checked stands behind the index.
    let (key, when) = match constraint.find(" DEFERRABLE") {
        Some(at) => constraint.split_at(at),
        None => (constraint.as_str(), ""),
    };
    format!("ALTER TABLE {table} ADD CONSTRAINT {name} {key} USING INDEX {beside}{when}")
}

/// What something is called while that which it replaces is there.
fn beside(name: &str) -> String {
    joined(&[name.to_owned()], "new")
}

/// `shop.` of `shop.orders`
fn schema_of(table: &str) -> &str {
    let name = plain(&bare(table));
    let schema = table.strip_suffix(&name).or_else(|| table.rfind('.').map(|point| &table[..=point]));
    schema.unwrap_or_default()
}
