//! Where the parameters of a statement stand: beside which column, as a limit, as an argument. Read from its words, without a grammar;
//! what is not understood is [`Use::Unknown`]. Knows no server.

use super::facts::{DatabaseFacts, TableFacts};
use crate::sql::lex::{Token, TokenKind, significant};

/// A column of a table as one statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At {
    /// Its place among the facts.
    pub(super) table: usize,
    pub(super) column: String,
    /// The name that the table has in the statement: two of one table are two rows.
    pub(super) alias: String,
}

/// What a parameter is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Compared with a column for equality, alone or in a list.
    Equal(At),
    /// A list that a column is compared with.
    AnyOf(At),
    /// The least that a column may be.
    Low(At),
    /// The most that a column may be.
    High(At),
    /// What a column becomes.
    Stored(At),
    Limit,
    Offset,
    /// An argument of a function, counted from 0, and what is said of the call: what it is compared with or stored in, else a column
    /// that it takes as well.
    Argument(String, usize, Option<Box<Use>>),
    /// Behind `AT TIME ZONE`.
    Zone,
    /// Behind `ESCAPE`.
    Escape,
    Unknown,
}

/// Words behind which no other name of a table stands.
const NO_ALIAS: [&str; 30] = [
    "WHERE",
    "ON",
    "JOIN",
    "INNER",
    "LEFT",
    "RIGHT",
    "FULL",
    "CROSS",
    "NATURAL",
    "SET",
    "ORDER",
    "GROUP",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "USING",
    "RETURNING",
    "VALUES",
    "FOR",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "SELECT",
    "DEFAULT",
    "TABLESAMPLE",
    "FETCH",
    "WINDOW",
    "OVERRIDING",
    "WHEN",
    "AS",
];
/// Words that end a list of tables.
const ENDS_TABLES: [&str; 13] = [
    "WHERE",
    "SET",
    "GROUP",
    "ORDER",
    "HAVING",
    "SELECT",
    "VALUES",
    "RETURNING",
    "LIMIT",
    "OFFSET",
    "UNION",
    "WINDOW",
    "FOR",
];

/// A statement that is being read.
pub(super) struct Reading<'a> {
    sql: &'a str,
    tokens: Vec<Token>,
    facts: &'a DatabaseFacts,
    /// Names in the statement, and the tables that they stand for.
    tables: Vec<(String, usize)>,
    /// Where tables are named without their schema.
    bare: Vec<(usize, usize)>,
    /// The table that rows are put into, and which of its columns.
    into: Option<(usize, Vec<String>)>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(sql: &'a str, facts: &'a DatabaseFacts) -> Self {
        let mut reading =
            Self { sql, tokens: significant(sql), facts, tables: vec![], bare: vec![], into: None };
        reading.find_tables();
        reading
    }

    /// The tables that it names, the first first.
    pub(super) fn tables(&self) -> Vec<usize> {
        let mut tables: Vec<usize> = self.into.iter().map(|(table, _)| *table).collect();
        tables.extend(self.tables.iter().map(|(_, table)| *table));
        let mut seen = vec![];
        tables.retain(|table| {
            !seen.contains(table) && {
                seen.push(*table);
                true
            }
        });
        tables
    }

    /// The name that a table has in the statement, where it has one.
    pub(super) fn alias(&self, table: usize) -> Option<&str> {
        self.tables.iter().find(|(_, of)| *of == table).map(|(alias, _)| alias.as_str())
    }

    /// The statement with the schema before every table that has none.
    pub(super) fn qualified(&self) -> String {
        let mut out = String::with_capacity(self.sql.len());
        let mut from = 0;
        for (at, table) in &self.bare {
            let span = &self.tokens[*at].span;
            out.push_str(&self.sql[from..span.start]);
            out.push_str(&self.facts.tables[*table].name);
            from = span.end;
        }
        out + &self.sql[from..]
    }

    /// What `$1`, `$2`, … are for; the first use that says something counts.
    pub(super) fn uses(&self, count: usize) -> Vec<Use> {
        let mut uses = vec![Use::Unknown; count];
        for (at, token) in self.tokens.iter().enumerate() {
            if token.kind != TokenKind::Positional {
                continue;
            }
            let number = token.text(self.sql)[1..].parse::<usize>().ok();
            let Some(slot) = number.and_then(|number| uses.get_mut(number.checked_sub(1)?)) else { continue };
            if matches!(slot, Use::Unknown | Use::Argument(..)) {
                let found = self.use_of(at);
                if *slot == Use::Unknown || !matches!(found, Use::Unknown | Use::Argument(..)) {
                    *slot = found;
                }
            }
        }
        uses
    }

    fn is(&self, at: usize, mark: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_punctuation(self.sql, mark))
    }

    fn is_word(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_word(self.sql, word))
    }

    /// An identifier as the server knows it.
    fn name(&self, at: usize) -> Option<String> {
        let token = self.tokens.get(at)?;
        let text = token.text(self.sql);
        match token.kind {
            TokenKind::Word => Some(text.to_lowercase()),
            TokenKind::QuotedIdentifier => Some(text.trim_matches('"').replace("\"\"", "\"")),
            _ => None,
        }
    }

    fn find_tables(&mut self) {
        let (mut expects, mut lists, mut inserts) = (false, false, false);
        let mut at = 0;
        while at < self.tokens.len() {
            let is = |words: &[&str]| words.iter().any(|word| self.is_word(at, word));
            if is(&["FROM", "JOIN", "USING", "INTO", "UPDATE"]) {
                (expects, lists, inserts) = (true, is(&["FROM", "JOIN", "USING"]), is(&["INTO"]));
            } else if expects && is(&["ONLY", "LATERAL"]) {
                // The name comes next.
            } else if is(&ENDS_TABLES) {
                (expects, lists) = (false, false);
            } else if self.is(at, ",") && lists {
                expects = true;
            } else if expects {
                expects = false;
                if let Some((table, next)) = self.table_at(at) {
                    if next == at + 1 {
                        self.bare.push((at, table));
                    }
                    let next = self.add(at, table, next);
                    if inserts {
                        self.read_columns(table, next);
                    }
                    at = next;
                    continue;
                }
            }
            at += 1;
        }
    }

    /// A table that is named here, and where its name ends.
    fn table_at(&self, at: usize) -> Option<(usize, usize)> {
        let first = self.name(at)?;
        let (schema, relation, next) = if self.is(at + 1, ".") {
            (Some(first), self.name(at + 2)?, at + 3)
        } else {
            (None, first, at + 1)
        };
        let fits = |table: &TableFacts| {
            table.relation == relation && schema.as_ref().is_none_or(|schema| *schema == table.schema)
        };
        self.facts.tables.iter().position(fits).map(|table| (table, next))
    }

    /// Notes a table under the name that it has here. Gives the place behind it.
    fn add(&mut self, at: usize, table: usize, next: usize) -> usize {
        let mut behind = next;
        if self.is_word(behind, "AS") {
            behind += 1;
        }
        let is_alias = self.name(behind).is_some() && !NO_ALIAS.iter().any(|word| self.is_word(behind, word));
        let own = self.name(next - 1).or_else(|| self.name(at)).unwrap_or_default();
        if is_alias {
            let alias = self.name(behind).unwrap_or(own);
            self.tables.push((alias, table));
            behind + 1
        } else {
            self.tables.push((own, table));
            next
        }
    }

    fn read_columns(&mut self, table: usize, at: usize) {
        let mut columns = vec![];
        if self.is(at, "(") {
            let mut next = at + 1;
            while next < self.tokens.len() && !self.is(next, ")") {
                columns.extend(self.name(next));
                next += 1;
            }
        } else {
            columns.extend(self.facts.tables[table].columns.iter().map(|column| column.name.clone()));
        }
        self.into = Some((table, columns));
    }

    fn use_of(&self, at: usize) -> Use {
        let before = self.before(at);
        if before != Use::Unknown {
            return before;
        }
        self.behind(at)
    }

    /// What stands before the parameter.
    fn before(&self, at: usize) -> Use {
        let Some(mut back) = at.checked_sub(1) else { return Use::Unknown };
        // Parentheses that only hold the value together.
        let is_alone = self.is(at + 1, ")") || self.is(at + 1, "::");
        while is_alone && self.is(back, "(") && back > 0 && self.is_sign(back - 1) {
            back -= 1;
        }
        if self.is(back, "=") || self.is(back, "<") || self.is(back, ">") {
            return self.compared(back);
        }
        let word = |word: &str| self.is_word(back, word);
        if word("LIMIT") || word("FIRST") || word("NEXT") {
            return Use::Limit;
        }
        if word("OFFSET") {
            return Use::Offset;
        }
        if word("ZONE") {
            return Use::Zone;
        }
        if word("ESCAPE") {
            return Use::Escape;
        }
        if word("LIKE") || word("ILIKE") || self.is(back, "~") {
            let end = if back > 0 && self.is_word(back - 1, "NOT") { back - 1 } else { back };
            return self.column_before(end).map_or(Use::Unknown, Use::Equal);
        }
        if word("SELECT") {
            return self.selected(0);
        }
        if word("WHEN") || word("THEN") || word("ELSE") {
            return self.in_case(back);
        }
        if word("BETWEEN") {
            return self.column_before(back).map_or(Use::Unknown, Use::Low);
        }
        if word("AND")
            && let Some(between) = self.between_before(back)
        {
            return self.column_before(between).map_or(Use::Unknown, Use::High);
        }
        if self.is(back, "(") || self.is(back, ",") || self.is(back, "[") {
            return self.listed(at);
        }
        Use::Unknown
    }

    /// Within `CASE … END`: what its subject is compared with, or what a column becomes by it.
    fn in_case(&self, at: usize) -> Use {
        let mut depth = 0_usize;
        let mut case = None;
        for back in (0..at).rev() {
            if self.is_word(back, "END") {
                depth += 1;
            } else if self.is_word(back, "CASE") {
                if depth == 0 {
                    case = Some(back);
                    break;
                }
                depth -= 1;
            }
        }
        let Some(case) = case else { return Use::Unknown };
        if self.is_word(at, "WHEN") {
            let first = (case..=at).find(|of| self.is_word(*of, "WHEN")).unwrap_or(at);
            return self.column_before(first).filter(|_| first > case + 1).map_or(Use::Unknown, Use::Equal);
        }
        match case.checked_sub(1).filter(|sign| self.is(*sign, "=") && self.is_set(*sign)) {
            Some(sign) => self.column_before(sign).map_or(Use::Unknown, Use::Stored),
            None => Use::Unknown,
        }
    }

    /// The table that rows are put into and the columns that they get, where it is one that takes rows.
    pub(super) fn target(&self) -> Option<(usize, &[String])> {
        self.into.as_ref().map(|(table, columns)| (*table, columns.as_slice()))
    }

    fn is_sign(&self, at: usize) -> bool {
        ["=", "<", ">"].iter().any(|sign| self.is(at, sign))
    }

    /// Behind `=`, `<` and their like.
    fn compared(&self, sign: usize) -> Use {
        let before = |mark: &str| sign > 0 && self.is(sign - 1, mark);
        let is_wide = self.is(sign, "=") && (before("<") || before(">") || before("!"));
        let end = if is_wide || before("<") { sign - 1 } else { sign };
        let Some(column) = self.column_before(end) else { return Use::Unknown };
        let (least, most) = if end == sign {
            (self.is(sign, ">"), self.is(sign, "<"))
        } else {
            (self.is(end, ">") && self.is(sign, "="), self.is(end, "<") && self.is(sign, "="))
        };
        if least {
            Use::Low(column)
        } else if most {
            Use::High(column)
        } else if self.is_set(end) {
            Use::Stored(column)
        } else {
            Use::Equal(column)
        }
    }

    /// Whether the column that ends before `sign` is one that an UPDATE sets.
    fn is_set(&self, sign: usize) -> bool {
        let Some(first) = sign.checked_sub(2) else { return false };
        let is_first = self.is_word(first, "SET") || self.is(first, ",");
        let clause = (0..=first).rev().find(|at| {
            ["SET", "WHERE", "FROM", "ON", "SELECT", "VALUES"].iter().any(|word| self.is_word(*at, word))
        });
        is_first && clause.is_some_and(|at| self.is_word(at, "SET"))
    }

    /// Where `BETWEEN` stands, for the `AND` of one.
    fn between_before(&self, and: usize) -> Option<usize> {
        let mut at = and.checked_sub(1)?;
        // A cast of the lower bound.
        if at >= 2 && self.is(at - 1, "::") {
            at -= 2;
        }
        let between = at.checked_sub(1)?;
        self.is_word(between, "BETWEEN").then_some(between)
    }

    /// The column whose name ends before a place; also one within a function of it alone, or with a cast.
    fn column_before(&self, end: usize) -> Option<At> {
        let mut last = end.checked_sub(1)?;
        while last >= 2 && self.is(last - 1, "::") {
            last = last.checked_sub(2)?;
        }
        if self.is(last, ")") {
            let open = self.open_before(last)?;
            let inside = last.checked_sub(1)?;
            return (inside > open).then(|| self.column_ending(inside)).flatten();
        }
        self.column_ending(last)
    }

    fn column_ending(&self, last: usize) -> Option<At> {
        let column = self.name(last)?;
        let qualifier = if last >= 2 && self.is(last - 1, ".") { self.name(last - 2) } else { None };
        self.resolve(qualifier.as_deref(), &column)
    }

    fn resolve(&self, qualifier: Option<&str>, column: &str) -> Option<At> {
        let has = |(alias, table): &&(String, usize)| {
            let named = qualifier.is_none_or(|wanted| wanted == alias);
            named && self.facts.tables[*table].column(column).is_some()
        };
        let (alias, table) = self.tables.iter().find(has)?;
        Some(At { table: *table, column: column.to_owned(), alias: alias.clone() })
    }

    /// The parenthesis that the one at `close` closes.
    fn open_before(&self, close: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for at in (0..=close).rev() {
            if self.is(at, ")") {
                depth += 1;
            } else if self.is(at, "(") {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
        }
        None
    }

    /// Within parentheses: a list of values, a row, or arguments.
    fn listed(&self, at: usize) -> Use {
        let (mut depth, mut number) = (0_usize, 0_usize);
        let mut open = None;
        for back in (0..at).rev() {
            if self.is(back, ")") || self.is(back, "]") {
                depth += 1;
            } else if self.is(back, "(") || self.is(back, "[") {
                if depth == 0 {
                    open = Some(back);
                    break;
                }
                depth -= 1;
            } else if self.is(back, ",") && depth == 0 {
                number += 1;
            }
        }
        let Some(open) = open else { return self.selected(number) };
        let Some(before) = open.checked_sub(1) else { return Use::Unknown };
        if self.is(open, "[") {
            return self.element(before);
        }
        if self.is_word(before, "IN") {
            let end = if before > 0 && self.is_word(before - 1, "NOT") { before - 1 } else { before };
            return self.column_before(end).map_or(Use::Unknown, Use::Equal);
        }
        if ["ANY", "SOME", "ALL"].iter().any(|word| self.is_word(before, word)) {
            let Some(sign) = before.checked_sub(1).filter(|sign| self.is(*sign, "=")) else {
                return Use::Unknown;
            };
            return self.column_before(sign).map_or(Use::Unknown, Use::AnyOf);
        }
        if self.is_row(before) {
            return self.stored(number);
        }
        if self.is(before, "=") && before > 0 && self.is(before - 1, ")") {
            return self.in_row(before - 1, number);
        }
        let is_function = self.tokens[before].kind == TokenKind::Word && !self.is_word(before, "AND");
        match self.name(before).filter(|_| is_function) {
            Some(function) => Use::Argument(function, number, self.around(before).map(Box::new)),
            None => Use::Unknown,
        }
    }

    /// What is said of a call of the function at a place.
    fn around(&self, function: usize) -> Option<Use> {
        match self.before(function) {
            said @ (Use::Equal(_) | Use::Low(_) | Use::High(_) | Use::Stored(_)) => return Some(said),
            Use::Argument(.., Some(said)) => return Some(*said),
            _ => {}
        }
        // A column among the arguments, by itself.
        let mut depth = 0_usize;
        let mut from = function + 2;
        for at in function + 1..self.tokens.len() {
            let ends = self.is(at, ",") || self.is(at, ")");
            let is_name =
                depth == 1 && ends && (at - from == 1 || (at - from == 3 && self.is(from + 1, ".")));
            if let Some(column) = is_name.then(|| self.column_ending(at - 1)).flatten() {
                return Some(Use::Equal(column));
            }
            if depth == 1 && self.is(at, ",") {
                from = at + 1;
            }
            if self.is(at, "(") || self.is(at, "[") {
                depth += 1;
            } else if self.is(at, ")") || self.is(at, "]") {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    break;
                }
            }
        }
        None
    }

    /// In `ARRAY[…]`: one of the values that a column is compared with, where the list is what `ANY` takes.
    fn element(&self, array: usize) -> Use {
        let is_any = |at: usize| ["ANY", "SOME", "ALL"].iter().any(|word| self.is_word(at, word));
        let sign = array.checked_sub(3).filter(|sign| {
            self.is_word(array, "ARRAY")
                && self.is(array - 1, "(")
                && is_any(array - 2)
                && self.is(*sign, "=")
        });
        sign.and_then(|sign| self.column_before(sign)).map_or(Use::Unknown, Use::Equal)
    }

    /// Whether a row of VALUES begins behind this place.
    fn is_row(&self, before: usize) -> bool {
        if self.is_word(before, "VALUES") {
            return true;
        }
        if !self.is(before, ",") || before == 0 || !self.is(before - 1, ")") {
            return false;
        }
        self.open_before(before - 1).and_then(|open| open.checked_sub(1)).is_some_and(|at| self.is_row(at))
    }

    fn stored(&self, number: usize) -> Use {
        let Some((table, columns)) = &self.into else { return Use::Unknown };
        let alias = self.tables.iter().find(|(_, of)| of == table).map(|(alias, _)| alias.clone());
        match columns.get(number) {
            Some(column) if self.facts.tables[*table].column(column).is_some() => {
                Use::Stored(At { table: *table, column: column.clone(), alias: alias.unwrap_or_default() })
            }
            _ => Use::Unknown,
        }
    }

    /// In the list of `INSERT … SELECT $1, …`.
    fn selected(&self, number: usize) -> Use {
        if self.into.is_some() { self.stored(number) } else { Use::Unknown }
    }

    /// The column at a place of `(a, b)`.
    fn in_row(&self, close: usize, number: usize) -> Use {
        let Some(open) = self.open_before(close) else { return Use::Unknown };
        let mut seen = 0;
        for at in open + 1..=close {
            if self.is(at, ",") || at == close {
                if seen == number {
                    return self.column_before(at).map_or(Use::Unknown, Use::Equal);
                }
                seen += 1;
            }
        }
        Use::Unknown
    }

    /// What stands behind the parameter and its cast: `$1 = column`.
    fn behind(&self, at: usize) -> Use {
        let mut next = at + 1;
        while self.is(next, "::") {
            next += 2;
        }
        let signs = (next..next + 2).take_while(|at| self.is_sign(*at)).count();
        if signs == 0 {
            return Use::Unknown;
        }
        let (first, start) = (next, next + signs);
        let last = if self.is(start + 1, ".") { start + 2 } else { start };
        if self.is(last + 1, "(") {
            return Use::Unknown;
        }
        let Some(column) = self.column_ending(last) else { return Use::Unknown };
        match (self.is(first, "<"), self.is(first, ">"), signs) {
            (true, ..) if !self.is(first + 1, ">") => Use::Low(column),
            (_, true, _) => Use::High(column),
            _ => Use::Equal(column),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::capture::{ColumnFacts, TypeKind};

    fn facts() -> DatabaseFacts {
        let column = |name: &&str| ColumnFacts::plain(name, "integer", TypeKind::Int(4));
        let table = |name: &str, columns: &[&str]| TableFacts {
            name: name.into(),
            schema: "public".into(),
            relation: name.into(),
            columns: columns.iter().map(column).collect(),
            ..TableFacts::default()
        };
        DatabaseFacts {
            tables: vec![
                table("orders", &["id", "customer_id", "status", "placed_at"]),
                table("lines", &["order_id", "line", "quantity"]),
                table("Mixed", &["select", "id"]),
            ],
        }
    }

    /// Each parameter as `table.column how`.
    fn read(sql: &str) -> Vec<String> {
        let facts = facts();
        let reading = Reading::new(sql, &facts);
        let at = |at: &At| format!("{}.{}", facts.tables[at.table].relation, at.column);
        let shown = |of: Use| match of {
            Use::Equal(of) => format!("{} =", at(&of)),
            Use::AnyOf(of) => format!("{} any", at(&of)),
            Use::Low(of) => format!("{} >", at(&of)),
            Use::High(of) => format!("{} <", at(&of)),
            Use::Stored(of) => format!("{} :=", at(&of)),
            Use::Argument(function, number, None) => format!("{function} {number}"),
            Use::Argument(function, number, Some(said)) => {
                let (Use::Equal(of) | Use::Low(of) | Use::High(of) | Use::Stored(of)) = *said else {
                    return format!("{function} {number} {said:?}");
                };
                format!("{function} {number} {}", at(&of))
            }
            other => format!("{other:?}").to_lowercase(),
        };
        reading.uses(sql.matches('$').count()).into_iter().map(shown).collect()
    }

    #[test]
    fn predicates_name_their_columns() {
        let sql = "SELECT o.id FROM orders AS o JOIN lines l ON l.order_id = o.id WHERE o.customer_id = $1 AND line IN ($2, $3) \
                   AND o.placed_at >= $4::timestamptz AND placed_at < $5 ORDER BY 1 LIMIT $6 OFFSET $7";
        assert_eq!(
            read(sql),
            [
                "orders.customer_id =",
                "lines.line =",
                "lines.line =",
                "orders.placed_at >",
                "orders.placed_at <",
                "limit",
                "offset"
            ]
        );
        assert_eq!(
            read(
                "SELECT * FROM orders WHERE lower(status) = $1 AND id = ANY ($2::bigint[]) AND $3 <= placed_at AND id <> $4"
            ),
            ["orders.status =", "orders.id any", "orders.placed_at >", "orders.id ="]
        );
        assert_eq!(
            read("SELECT * FROM orders WHERE id = ANY (ARRAY[$1, $2]) AND status = ALL (ARRAY[$3::text])"),
            ["orders.id =", "orders.id =", "orders.status ="]
        );
        assert_eq!(
            read(
                "SELECT * FROM orders WHERE placed_at BETWEEN $1 AND $2 AND (customer_id, status) = ($3, $4)"
            ),
            ["orders.placed_at >", "orders.placed_at <", "orders.customer_id =", "orders.status ="]
        );
        assert_eq!(read("SELECT * FROM \"Mixed\" WHERE \"select\" = $1"), ["Mixed.select ="]);
    }

    #[test]
    fn what_is_stored_names_its_columns() {
        assert_eq!(
            read("INSERT INTO orders (customer_id, status) VALUES ($1, $2), ($3, $4) RETURNING id"),
            ["orders.customer_id :=", "orders.status :=", "orders.customer_id :=", "orders.status :="]
        );
        assert_eq!(
            read("INSERT INTO lines (order_id, line, quantity) SELECT $1, id, $2 FROM orders WHERE id = $3"),
            ["lines.order_id :=", "lines.quantity :=", "orders.id ="]
        );
        assert_eq!(
            read("UPDATE orders SET status = $1, placed_at = now() WHERE id = $2"),
            ["orders.status :=", "orders.id ="]
        );
        assert_eq!(
            read("UPDATE orders SET status = CASE status WHEN $1 THEN $2 ELSE $3 END WHERE id = $4"),
            ["orders.status =", "orders.status :=", "orders.status :=", "orders.id ="]
        );
    }

    #[test]
    fn tables_get_their_schema_and_nothing_else_does() {
        let mut facts = facts();
        facts.tables[0].schema = "app".into();
        facts.tables[0].name = "app.orders".into();
        let sql = "SELECT orders.id FROM orders JOIN lines l ON l.order_id = orders.id WHERE orders.id = $1";
        assert_eq!(
            Reading::new(sql, &facts).qualified(),
            "SELECT orders.id FROM app.orders JOIN lines l ON l.order_id = orders.id WHERE orders.id = $1"
        );
    }

    #[test]
    fn arguments_are_told_from_values() {
        assert_eq!(
            read("SELECT date_trunc($1, placed_at AT TIME ZONE $2) FROM orders"),
            ["date_trunc 0", "zone"]
        );
        assert_eq!(
            read(
                "SELECT coalesce(o.status, $1), left($2, 3) FROM orders o WHERE lower(status) = lower(trim($3)) AND placed_at > date_trunc($4, $5)"
            ),
            [
                "coalesce 1 orders.status",
                "left 0",
                "trim 0 orders.status",
                "date_trunc 0 orders.placed_at",
                "date_trunc 1 orders.placed_at"
            ]
        );
        assert_eq!(read("INSERT INTO orders (status) VALUES (lower($1))"), ["lower 0 orders.status"]);
    }
}
