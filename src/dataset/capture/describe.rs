//! From what is known of a database to the tables of a document: every column gets the best generator that can be, each checked by
//! the code that will make its rows. Knows no server.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;

use super::column::{Description, Leaves, Written, choose};
use super::exclusive::{exclusive, made_whole};
use super::facts::{
    ColumnFacts, ColumnStatistics, DatabaseFacts, LeftOut, ReferenceFacts, Remark, TableFacts, TypeKind,
};
use super::fan_out::{Sides, exponent, fan_outs, rows_of, rows_wanted, whole};
use super::joint::{Member, together};
use super::keys::{Role, Roles, decide, without_key};
use super::redact::Form;
use crate::generate::ColumnGenerator;
use crate::generate::spec::{ColumnSpec, Modifiers, RowSpec, ScopeColumn, ScopeTable, ValueSpec};

/// A table of so few rows that refers to nothing is a list of countries or the like, and does not grow.
const FIXED_MAX: u64 = 200;

/// The tables of a document.
#[derive(Clone, Debug, Default)]
pub struct Described {
    /// In the order of the facts; those without rows are left out.
    pub tables: Vec<DescribedTable>,
    /// What the schema must not say.
    pub left_out: LeftOut,
    /// What is not captured, and what to write by hand.
    pub remarks: Vec<Remark>,
    /// Statements behind the rows.
    pub finish: Vec<String>,
}

/// One table.
#[derive(Clone, Debug)]
pub struct DescribedTable {
    /// Its place among the facts.
    pub facts: usize,
    /// As SQL names it.
    pub name: String,
    /// Rows at scale 1.
    pub rows: u64,
    /// Whether they grow with the scale.
    pub scales: bool,
    /// Its columns, those apart that the server fills.
    pub columns: Vec<DescribedColumn>,
}

/// One column.
#[derive(Clone, Debug)]
pub struct DescribedColumn {
    /// As it is.
    pub name: String,
    /// What makes it.
    pub description: Description,
    /// What becomes of its values.
    pub leaves: Leaves,
    /// The table and the column that it refers to, and the exponent of its favourites.
    pub refers: Option<(usize, String, Option<f64>)>,
    /// Whether no value comes twice.
    pub is_unique: bool,
    /// Whether a key of several columns counts on it.
    pub in_key: bool,
}

impl Described {
    /// A table by its place among the facts.
    #[must_use]
    pub fn table(&self, facts: usize) -> Option<&DescribedTable> {
        let place = self.tables.binary_search_by_key(&facts, |table| table.facts).ok()?;
        self.tables.get(place)
    }
}

impl DescribedTable {
    /// A column by its name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&DescribedColumn> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// A column with all that it could be.
struct Candidate {
    column: usize,
    descriptions: Vec<Description>,
    chosen: usize,
    leaves: Leaves,
    written: Written,
    /// Whether the first description has it drawn by another column.
    is_joined: bool,
}

/// Columns whose values may leave as they are.
#[derive(Clone, Debug)]
pub enum Kept {
    /// These, as `table.column`.
    Columns(Vec<String>),
    /// Those of all tables.
    All,
}

impl Kept {
    fn holds(&self, table: &TableFacts, column: &ColumnFacts) -> bool {
        match self {
            Self::All => true,
            Self::Columns(names) => names.iter().any(|name| is_named(table, column, name)),
        }
    }

    /// The names that no column of these tables has.
    #[must_use]
    pub fn unknown(&self, facts: &DatabaseFacts) -> Vec<String> {
        let Self::Columns(names) = self else { return vec![] };
        let is_there = |name: &str| {
            facts.tables.iter().any(|table| table.columns.iter().any(|column| is_named(table, column, name)))
        };
        names.iter().filter(|name| !is_there(name)).cloned().collect()
    }
}

fn is_named(table: &TableFacts, column: &ColumnFacts, name: &str) -> bool {
    let own = [&table.name, &table.relation].map(|of| format!("{of}.{}", column.name));
    own.iter().any(|own| own == name)
        || format!("{}.{}.{}", table.schema, table.relation, column.name) == name
}

/// Describes all tables. Values leave as they are only in the columns that are kept, and where the schema lists them.
#[must_use]
pub fn describe(facts: &DatabaseFacts, keep: &Kept) -> Described {
    let mut roles = decide(facts);
    let facts = &made_whole(facts, &roles.of);
    let rows = all_rows(facts, &roles);
    let mut scope: Vec<ScopeTable> = vec![];
    let mut candidates: Vec<Vec<Candidate>> = vec![];
    let mut remarks = roles.remarks.clone();
    for (table, own) in facts.tables.iter().enumerate() {
        let mut all = if roles.filled[table] { choices(facts, table, &roles, &rows, keep) } else { vec![] };
        remarks.extend(join(own, &roles.of[table], &mut all));
        exclude(own, &mut roles, table, &mut all, &mut remarks);
        let columns =
            all.iter().map(|of| scope_column(&own.columns[of.column], &of.descriptions[0])).collect();
        scope.push(ScopeTable { name: own.name.clone(), rows: rows[table], columns });
        candidates.push(all);
    }
    let refused = settle(facts, &mut scope, &mut candidates);
    let mut described = Described {
        left_out: roles.left_out.clone(),
        remarks,
        finish: roles.finish.clone(),
        ..Described::default()
    };
    for (table, columns) in candidates.iter().enumerate().filter(|(table, _)| roles.filled[*table]) {
        described.remark_on_joined(&facts.tables[table], columns);
        described.add(facts, table, columns, &roles, rows[table]);
    }
    for (table, column, why) in refused {
        described.give_up(&facts.tables[table], &facts.tables[table].columns[column], &why);
    }
    described.leave_out_unheld(facts, &mut roles, &candidates);
    without_key(facts, &mut described.left_out, &mut described.remarks);
    described.remark_on_documents(facts);
    described
}

/// How many rows each table has: where the rows of each parent are counted out, as many as that makes.
fn all_rows(facts: &DatabaseFacts, roles: &Roles) -> Vec<u64> {
    let mut rows: Vec<u64> = facts.tables.iter().map(rows_of).collect();
    // Parents come first where they can; a chain of more tables than there are ends in a circle, which is no longer there.
    for _ in 0..facts.tables.len().min(16) {
        let before = rows.clone();
        for (table, known) in rows.iter_mut().enumerate() {
            let wanted = roles.of[table].iter().enumerate().find_map(|(column, role)| {
                let role = matches!(role, Role::Reference { .. }).then_some(role)?;
                rows_wanted(&sides(facts, table, column, role, &before)?)
            });
            // An estimate that is nearer to the exact number than to anything else is that number.
            if let Some(wanted) = wanted
                && (wanted as f64 / rows_of(&facts.tables[table]) as f64 - 1.0).abs() < 0.1
            {
                *known = wanted;
            }
        }
        if rows == before {
            break;
        }
    }
    rows
}

fn sides<'a>(
    facts: &'a DatabaseFacts,
    table: usize,
    column: usize,
    role: &Role,
    rows: &[u64],
) -> Option<Sides<'a>> {
    let Role::Reference { table: parent, counted, ordinal, .. } = role else { return None };
    let own = &facts.tables[table];
    let known = known_of(own, &own.columns[column]);
    let ordinal = ordinal.as_ref().and_then(|name| own.column(name)?.statistics.as_ref());
    Some(Sides { rows: rows[table], parents: rows[*parent], known, ordinal, counted: *counted, most: None })
}

/// What is known of how often each row is referred to: of a key of several columns, the one with most values tells.
fn known_of<'a>(own: &'a TableFacts, column: &'a ColumnFacts) -> Option<&'a ColumnStatistics> {
    let is_first = |reference: &&ReferenceFacts| reference.columns.first() == Some(&column.name);
    let reference = own.references.iter().filter(is_first).max_by_key(|reference| reference.columns.len());
    let columns = reference.map(|reference| reference.columns.as_slice()).unwrap_or_default();
    let all = columns.iter().filter_map(|name| own.column(name)?.statistics.as_ref());
    let most = |one: &&ColumnStatistics, other: &&ColumnStatistics| {
        one.distinct_among(own.rows).total_cmp(&other.distinct_among(own.rows))
    };
    all.max_by(most).or(column.statistics.as_ref())
}

/// All columns of a table with all that they could be.
fn choices(facts: &DatabaseFacts, table: usize, roles: &Roles, rows: &[u64], keep: &Kept) -> Vec<Candidate> {
    let own = &facts.tables[table];
    let mut all = vec![];
    for (at, column) in own.columns.iter().enumerate() {
        let role = &roles.of[table][at];
        let known = column.statistics.as_ref();
        let nulls = if column.not_null { 0.0 } else { known.map_or(0.0, |of| of.null_fraction) };
        let is_kept = keep.holds(own, column);
        let mut written = Written::default();
        let (descriptions, leaves) = match role {
            Role::Absent => continue,
            Role::Own | Role::Unique => {
                let choice = choose(own, column, *role == Role::Unique, is_kept);
                written = choice.written;
                let mut descriptions = choice.descriptions;
                if *role == Role::Own
                    && let Some(after) = after(own, column, nulls)
                {
                    descriptions.insert(0, after);
                }
                (descriptions, choice.leaves)
            }
            Role::Null => {
                let choice = choose(own, column, false, false);
                let null = |of: &Description| Description::of(of.generator.clone(), 1.0);
                // The simplest one: of its values none is seen.
                (choice.descriptions.last().map(null).into_iter().collect(), Leaves::Nothing)
            }
            Role::Reference { table: parent, to, distinct_per, unique, .. } => {
                let Some(mut sides) = sides(facts, table, at, role, rows) else { continue };
                if sides.counted {
                    sides.most = most_pairs(facts, table, roles, rows, &column.name);
                }
                let made = if let Some(first) = distinct_per {
                    pairs(&facts.tables[*parent], to, first, &sides, nulls)
                } else {
                    references(&facts.tables[*parent], to, &sides, *unique, nulls)
                };
                (made, Leaves::Nothing)
            }
            Role::Tree { to } => (vec![tree(to, own, nulls)], Leaves::Nothing),
            Role::Lookup { through, column } => {
                let text = format!("lookup = {{ through = {}, column = {} }}", q(through), q(column));
                (vec![Description::of(text, nulls)], Leaves::Nothing)
            }
            Role::Ordinal { through } => (
                vec![Description::of(format!("ordinal = {{ through = {} }}", q(through)), 0.0)],
                Leaves::Nothing,
            ),
        };
        if !descriptions.is_empty() {
            all.push(Candidate { column: at, descriptions, chosen: 0, leaves, written, is_joined: false });
        }
    }
    all
}

/// A time that a check holds behind another one of the row: `ends_at > starts_at`. As far behind it on average as the middles of both
/// columns lie apart.
fn after(own: &TableFacts, column: &ColumnFacts, nulls: f64) -> Option<Description> {
    const HOUR_S: f64 = 3600.0;
    let earlier = own.checks.iter().find_map(|check| check.later_than(&column.name))?;
    let earlier = own.column(earlier).filter(|of| of.kind == TypeKind::Timestamp && !of.is_generated)?;
    let is_never_null =
        earlier.not_null || earlier.statistics.as_ref().is_some_and(|of| of.null_fraction == 0.0);
    if column.kind != TypeKind::Timestamp || (column.not_null && !is_never_null) {
        return None;
    }
    let middle = |of: &ColumnFacts| {
        let bounds = &of.statistics.as_ref()?.bounds;
        Some(Form::Timestamp.read(bounds.get(bounds.len() / 2)?)? as f64 / 1e6)
    };
    let apart_s = middle(column).zip(middle(earlier)).map(|(later, earlier)| later - earlier);
    let mean_s = apart_s.filter(|apart| *apart >= 1.0).unwrap_or(HOUR_S);
    let lag = format!("exponential = {{ mean = {}, min = 1.0 }}", super::column::number(mean_s));
    let text = format!("after = {{ column = {}, lag_s = {{ {lag} }} }}", q(&earlier.name));
    Some(Description::of(text, nulls))
}

/// Has columns that go together drawn one by the other; what they are by themselves remains where that cannot be. Gives what is not
/// held.
fn join(own: &TableFacts, roles: &[Role], all: &mut [Candidate]) -> Vec<Remark> {
    if own.joint.is_empty() {
        return vec![];
    }
    let members: Vec<Member<'_>> = all.iter().map(|candidate| member(own, roles, candidate)).collect();
    let (made, remarks) = together(own, &members);
    for (name, description) in made {
        if let Some(of) = all.iter_mut().find(|of| own.columns[of.column].name == name) {
            of.descriptions.insert(0, description);
            of.is_joined = true;
        }
    }
    remarks
}

/// Keeps the columns apart of which a row has a value in one at most. What is set behind the rows cannot be among them.
fn exclude(
    own: &TableFacts,
    roles: &mut Roles,
    table: usize,
    all: &mut [Candidate],
    remarks: &mut Vec<Remark>,
) {
    for (check, _) in exclusive(own, &roles.of[table]) {
        let is_later = |name: &String| {
            let at = own.columns.iter().position(|column| column.name == *name);
            at.is_some_and(|at| roles.of[table][at] == Role::Null)
        };
        if check.columns.iter().any(is_later) {
            let why = "one of its columns is set behind the rows, all others are made before";
            roles.left_out.constraints.push((own.name.clone(), check.name.clone(), why.to_owned()));
            let place = format!("{}.{}", own.name, check.name);
            remarks.push(Remark::new(place, why, "keep them apart in finish.sql, and add it there"));
            continue;
        }
        let is_in = |of: &Candidate| check.columns.contains(&own.columns[of.column].name);
        // One alone excludes nothing: what no generator makes stays NULL.
        if all.iter().filter(|of| is_in(of)).count() < 2 {
            continue;
        }
        for of in all.iter_mut().filter(|of| is_in(of)) {
            for description in &mut of.descriptions {
                description.exclusive = Some(check.name.clone());
                // Which rows have a value follows no order of theirs.
                description.correlation = None;
            }
            of.descriptions.dedup();
        }
    }
}

fn member<'a>(own: &'a TableFacts, roles: &[Role], candidate: &'a Candidate) -> Member<'a> {
    let column = &own.columns[candidate.column];
    let role = &roles[candidate.column];
    let known = column.statistics.as_ref();
    Member {
        name: &column.name,
        written: &candidate.written,
        is_free: *role == Role::Own && !candidate.written.type_name.is_empty(),
        is_unique: *role == Role::Unique || own.is_unique(&column.name),
        nulls: candidate.descriptions[0].null_fraction,
        distinct: known.map_or(0.0, |known| known.distinct_among(own.rows)),
    }
}

fn q(text: &str) -> String {
    super::column::quoted(text)
}

/// The most rows that a parent can have where each refers to another row of a third table.
fn most_pairs(facts: &DatabaseFacts, table: usize, roles: &Roles, rows: &[u64], first: &str) -> Option<u64> {
    let all = facts.tables[table].columns.iter().zip(&roles.of[table]);
    let pair = |(_, role): (&ColumnFacts, &Role)| match role {
        Role::Reference { table, distinct_per: Some(of), .. } if of == first => Some(rows[*table]),
        _ => None,
    };
    all.filter_map(pair).min()
}

fn references(
    parent: &TableFacts,
    to: &str,
    sides: &Sides<'_>,
    unique: bool,
    nulls: f64,
) -> Vec<Description> {
    let made = |fan_out: super::fan_out::FanOut| {
        let more = if fan_out.text.is_empty() { String::new() } else { format!(", {}", fan_out.text) };
        let text = format!("reference = {{ table = {}, column = {}{more} }}", q(&parent.name), q(to));
        Description {
            generator: text,
            null_fraction: nulls,
            unique: fan_out.unique,
            correlation: fan_out.correlation,
            exclusive: None,
        }
    };
    if !unique {
        return fan_outs(sides).into_iter().map(made).collect();
    }
    let correlation = sides.known.and_then(|known| known.correlation).filter(|of| of.abs() >= 0.05);
    let once = |correlation| super::fan_out::FanOut { unique: true, correlation, ..Default::default() };
    [once(correlation), once(None), super::fan_out::FanOut::default()].map(made).into()
}

fn pairs(parent: &TableFacts, to: &str, first: &str, sides: &Sides<'_>, nulls: f64) -> Vec<Description> {
    let law = sides.known.and_then(|known| exponent(known, sides.parents));
    let made = |more: String| {
        let head = format!("table = {}, column = {}, distinct_per = {}", q(&parent.name), q(to), q(first));
        Description::of(format!("reference = {{ {head}{more} }}"), nulls)
    };
    let law = law.map(|law| made(format!(", fan_out = {{ zipf = {} }}", super::column::number(law))));
    law.into_iter().chain([made(String::new())]).collect()
}

/// Three levels below as many roots as rows have no parent.
fn tree(to: &str, own: &TableFacts, nulls: f64) -> Description {
    let roots = whole((own.rows * nulls).round()).max(1);
    Description::of(format!("tree = {{ depth = 3, roots = {roots}, column = {} }}", q(to)), 0.0)
}

/// Takes for each column the first description that can be. What one column can be depends on others, so it is asked again until
/// nothing changes. Gives the columns that cannot be at all, and why.
fn settle(
    facts: &DatabaseFacts,
    scope: &mut [ScopeTable],
    candidates: &mut [Vec<Candidate>],
) -> Vec<(usize, usize, String)> {
    let mut refused = vec![];
    // A table speaks of its own columns and of those of the tables that it refers to.
    let places: BTreeMap<u32, usize> =
        facts.tables.iter().enumerate().map(|(at, table)| (table.oid, at)).collect();
    let mut speak_of: Vec<Vec<usize>> = (0..facts.tables.len()).map(|table| vec![table]).collect();
    for (child, table) in facts.tables.iter().enumerate() {
        for parent in table.references.iter().filter_map(|reference| places.get(&reference.table)) {
            speak_of[*parent].push(child);
        }
    }
    let mut open = vec![true; candidates.len()];
    loop {
        let mut changed = BTreeSet::new();
        for table in (0..candidates.len()).filter(|table| open[*table]) {
            let mut at = 0;
            while at < candidates[table].len() {
                let Some(why) = refusal(scope, table, at) else {
                    at += 1;
                    continue;
                };
                changed.insert(table);
                let candidate = &mut candidates[table][at];
                candidate.chosen += 1;
                let column = &facts.tables[table].columns[candidate.column];
                if let Some(next) = candidate.descriptions.get(candidate.chosen) {
                    scope[table].columns[at] = scope_column(column, next);
                } else {
                    refused.push((table, candidate.column, why));
                    candidates[table].remove(at);
                    let gone = scope[table].columns.remove(at);
                    free_the_last(
                        gone.modifiers.exclusive.as_deref(),
                        &mut scope[table],
                        &mut candidates[table],
                    );
                }
            }
        }
        if changed.is_empty() && open.iter().all(|open| *open) {
            return refused;
        }
        // What was looked at in part is looked at as a whole at last.
        open.fill(changed.is_empty());
        for table in changed {
            speak_of[table].iter().for_each(|child| open[*child] = true);
        }
    }
}

/// Where one column is left of those that excluded each other, it excludes nothing any more.
fn free_the_last(exclusive: Option<&str>, scope: &mut ScopeTable, candidates: &mut [Candidate]) {
    let Some(name) = exclusive else { return };
    let is_one = |at: &usize| scope.columns[*at].modifiers.exclusive.as_deref() == Some(name);
    let left: Vec<usize> = (0..candidates.len()).filter(is_one).collect();
    if let [last] = left.as_slice() {
        scope.columns[*last].modifiers.exclusive = None;
        candidates[*last].descriptions.iter_mut().for_each(|of| of.exclusive = None);
    }
}

fn refusal(scope: &[ScopeTable], table: usize, column: usize) -> Option<String> {
    let described = &scope[table].columns[column];
    let Some(spec) = &described.spec else { return Some("it cannot be read back".to_owned()) };
    let built = ColumnGenerator::build(spec, &described.modifiers, scope, table, column);
    built.err().map(|refusal| refusal.message)
}

fn scope_column(column: &ColumnFacts, description: &Description) -> ScopeColumn {
    let modifiers = Modifiers {
        null_fraction: description.null_fraction,
        unique: description.unique,
        correlation: description.correlation,
        exclusive: description.exclusive.clone(),
    };
    ScopeColumn { name: column.name.clone(), spec: read_back(&description.generator), modifiers }
}

/// A generator as the document will be read.
fn read_back(generator: &str) -> Option<ColumnSpec> {
    #[derive(serde::Deserialize)]
    struct Column<T> {
        c: T,
    }
    fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
        toml::from_str::<Column<T>>(text).ok().map(|column| column.c)
    }
    let text = format!("c = {{ {generator} }}");
    let name = generator.split_whitespace().next()?;
    if RowSpec::NAMES.contains(&name) {
        read::<RowSpec>(&text).map(ColumnSpec::Row)
    } else {
        read::<ValueSpec>(&text).map(ColumnSpec::Value)
    }
}

impl Described {
    fn add(&mut self, facts: &DatabaseFacts, table: usize, all: &[Candidate], roles: &Roles, rows: u64) {
        let own = &facts.tables[table];
        let in_key =
            |name: &String| own.keys.iter().any(|key| key.columns.len() > 1 && key.columns.contains(name));
        let column = |candidate: &Candidate| {
            let column = &own.columns[candidate.column];
            let role = &roles.of[table][candidate.column];
            let description = candidate.descriptions[candidate.chosen].clone();
            let refers = match role {
                Role::Reference { table: parent, to, .. } => {
                    let law = known_of(own, column)
                        .and_then(|known| exponent(known, rows_of(&facts.tables[*parent])));
                    Some((*parent, to.clone(), law))
                }
                _ => None,
            };
            DescribedColumn {
                name: column.name.clone(),
                is_unique: own.is_unique(&column.name),
                in_key: in_key(&column.name),
                leaves: candidate.leaves,
                description,
                refers,
            }
        };
        let refers =
            roles.of[table].iter().any(|role| matches!(role, Role::Reference { .. } | Role::Tree { .. }));
        self.tables.push(DescribedTable {
            facts: table,
            name: own.name.clone(),
            rows,
            scales: rows > FIXED_MAX || refers,
            columns: all.iter().map(column).collect(),
        });
    }

    /// Keys that counted on a reference of each row to another one, where there are fewer of those than rows.
    fn leave_out_unheld(&mut self, facts: &DatabaseFacts, roles: &mut Roles, candidates: &[Vec<Candidate>]) {
        for (table, all) in candidates.iter().enumerate() {
            let own = &facts.tables[table];
            let mut repeats = false;
            for candidate in all.iter().filter(|of| !of.descriptions[of.chosen].unique) {
                if let Role::Reference { unique, .. } = &mut roles.of[table][candidate.column] {
                    repeats |= std::mem::take(unique);
                }
            }
            for key in own.keys.iter().filter(|_| repeats) {
                if roles.is_held(facts, table, key) || self.left_out.why(&key.table, &key.name).is_some() {
                    continue;
                }
                let why = "there are more rows than rows that they could refer to";
                self.left_out.constraints.push((key.table.clone(), key.name.clone(), why.to_owned()));
                self.remarks.push(Remark::new(
                    format!("{}.{}", key.table, key.name),
                    why,
                    "keep its rows apart in finish.sql, and add it there",
                ));
            }
        }
    }

    fn remark_on_joined(&mut self, own: &TableFacts, all: &[Candidate]) {
        for of in all.iter().filter(|of| of.is_joined && of.chosen > 0) {
            let name = &own.columns[of.column].name;
            self.remarks.push(Remark::new(
                format!("{}.{name}", own.name),
                "it goes together with another column there, and is made by itself",
                "describe it by the other one: conditional = { on = …, … }",
            ));
        }
    }

    /// A column that no generator can make: it is NULL, and what counts on it is left out.
    fn give_up(&mut self, table: &TableFacts, column: &ColumnFacts, why: &str) {
        self.remarks.push(Remark::new(
            format!("{}.{}", table.name, column.name),
            format!("no generator makes its values: {why}"),
            format!("fill it in finish.sql: UPDATE {} SET {} = …", table.name, column.name),
        ));
        if !column.not_null || column.has_default {
            return;
        }
        self.left_out.nullable.push((table.name.clone(), column.name.clone()));
        for key in table.keys.iter().filter(|key| key.is_primary && key.columns.contains(&column.name)) {
            let why = format!("its column {} has no values", column.name);
            self.left_out.constraints.push((key.table.clone(), key.name.clone(), why));
        }
    }

    fn remark_on_documents(&mut self, facts: &DatabaseFacts) {
        for table in &self.tables {
            let own = &facts.tables[table.facts];
            let documents = [TypeKind::Json, TypeKind::Hstore, TypeKind::Xml, TypeKind::Tsvector];
            for column in own.columns.iter().filter(|column| documents.contains(&column.kind)) {
                if column.is_generated {
                    continue;
                }
                if [TypeKind::Xml, TypeKind::Tsvector].contains(&column.kind) {
                    self.remarks.push(Remark::new(
                        format!("{}.{}", own.name, column.name),
                        format!(
                            "statistics tell nothing of what is in a {}: it is as wide, and holds words",
                            column.type_name
                        ),
                        "describe it in workload.toml: words, sentences, or template = \"…\"",
                    ));
                    continue;
                }
                self.remarks.push(Remark::new(
                    format!("{}.{}", own.name, column.name),
                    "statistics tell nothing of what is in documents: they are as wide, and hold one text",
                    "describe it in workload.toml: json = { … }",
                ));
            }
        }
    }
}
