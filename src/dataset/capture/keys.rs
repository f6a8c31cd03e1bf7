//! Which columns refer to other tables, which are numbered, and what holds each unique key. What cannot be held is left out of the
//! schema, with a remark that says what to write by hand. Knows no server.

use super::facts::{
    ColumnFacts, DatabaseFacts, KeyFacts, LeftOut, ReferenceFacts, Remark, TableFacts, TypeKind,
};
use crate::sql::quoting::double_quoted;

/// A share of the rows by which estimates of distinct values may miss and still mean all of them.
const ALL: f64 = 0.97;

/// What decides the values of a column.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Role {
    /// Its own statistics.
    Own,
    /// Its own statistics, and no value twice.
    Unique,
    /// It refers to a column of another table.
    Reference {
        /// Index of that table.
        table: usize,
        to: String,
        /// Whether the rows of each parent must be counted, since another column numbers them.
        counted: bool,
        /// Whether no two rows refer to the same one.
        unique: bool,
        /// Another reference of the table with which it makes pairs, none of them twice.
        distinct_per: Option<String>,
        /// The column that numbers the rows of each parent.
        ordinal: Option<String>,
    },
    /// It refers to the own table.
    Tree { to: String },
    /// Another column of the row that `through` refers to.
    Lookup { through: String, column: String },
    /// Numbers from 1 within the rows of each parent.
    Ordinal { through: String },
    /// NULL at first.
    Null,
    /// It has no generator.
    Absent,
}

/// The roles of all columns, by table and column.
#[derive(Debug, Default)]
pub(super) struct Roles {
    pub(super) of: Vec<Vec<Role>>,
    /// Which tables have rows to describe.
    pub(super) filled: Vec<bool>,
    pub(super) left_out: LeftOut,
    pub(super) remarks: Vec<Remark>,
    /// Statements behind the rows.
    pub(super) finish: Vec<String>,
}

/// Which tables have rows to describe: those with rows, and whoever one of them refers to, whatever its own estimate says.
fn filled(facts: &DatabaseFacts) -> Vec<bool> {
    let mut filled: Vec<bool> = facts.tables.iter().map(|table| table.rows >= 1.0).collect();
    let mut open: Vec<usize> = (0..filled.len()).filter(|table| filled[*table]).collect();
    while let Some(table) = open.pop() {
        let parents = facts.tables[table].references.iter().filter_map(|of| facts.of_oid(of.table));
        for parent in parents {
            if !std::mem::replace(&mut filled[parent], true) {
                open.push(parent);
            }
        }
    }
    filled
}

/// Decides all roles.
pub(super) fn decide(facts: &DatabaseFacts) -> Roles {
    let mut roles = Roles { filled: filled(facts), ..Roles::default() };
    for table in &facts.tables {
        let role = |column: &ColumnFacts| match column.kind {
            _ if column.is_generated => Role::Absent,
            TypeKind::Other => Role::Absent,
            _ => Role::Own,
        };
        roles.of.push(table.columns.iter().map(role).collect());
    }
    for table in 0..facts.tables.len() {
        roles.refuse_types(facts, table);
        roles.refer(facts, table);
    }
    roles.break_circles(facts);
    for table in 0..facts.tables.len() {
        for key in &facts.tables[table].keys {
            roles.hold(facts, table, key);
        }
    }
    roles
}

/// The foreign keys that lead to a key that is left out, and to no other: they cannot be made without it.
pub(super) fn without_key(facts: &DatabaseFacts, left_out: &mut LeftOut, remarks: &mut Vec<Remark>) {
    let same = |key: &KeyFacts, to: &[String]| {
        key.columns.len() == to.len() && key.columns.iter().all(|column| to.contains(column))
    };
    for own in &facts.tables {
        for reference in &own.references {
            let Some(parent) = facts.of_oid(reference.table).map(|parent| &facts.tables[parent]) else {
                continue;
            };
            let mut keys = parent.keys.iter().filter(|key| !key.is_partial && same(key, &reference.to));
            let is_gone = keys.clone().next().is_some()
                && keys.all(|key| left_out.why(&key.table, &key.name).is_some());
            if is_gone && left_out.why(&own.name, &reference.name).is_none() {
                let why = format!("the key of {} that it leads to is left out", parent.name);
                let name = (own.name.clone(), reference.name.clone(), why.clone());
                left_out.constraints.push(name);
                let place = format!("{}.{}", own.name, reference.name);
                remarks.push(Remark::new(place, why, "add it in finish.sql, behind that key"));
            }
        }
    }
}

impl Roles {
    pub(super) fn role(&self, facts: &DatabaseFacts, table: usize, column: &str) -> Option<&Role> {
        let at = facts.tables[table].columns.iter().position(|of| of.name == column)?;
        Some(&self.of[table][at])
    }

    fn set(&mut self, facts: &DatabaseFacts, table: usize, column: &str, role: Role) {
        if let Some(at) = facts.tables[table].columns.iter().position(|of| of.name == column) {
            self.of[table][at] = role;
        }
    }

    fn leave_out(&mut self, table: &str, constraint: &str, why: &str, remedy: &str) {
        self.left_out.constraints.push((table.to_owned(), constraint.to_owned(), why.to_owned()));
        self.remarks.push(Remark::new(format!("{table}.{constraint}"), why, remedy));
    }

    /// Columns of types that no generator makes.
    fn refuse_types(&mut self, facts: &DatabaseFacts, table: usize) {
        let own = &facts.tables[table];
        for column in &own.columns {
            if column.kind != TypeKind::Other || column.is_generated {
                continue;
            }
            let left = if column.has_default { "it has its default" } else { "it is NULL" };
            self.remarks.push(Remark::new(
                format!("{}.{}", own.name, column.name),
                format!("no generator makes a {}: {left}", column.type_name),
                format!("fill it in finish.sql: UPDATE {} SET {} = …", own.name, column.name),
            ));
            if column.not_null && !column.has_default {
                self.left_out.nullable.push((own.name.clone(), column.name.clone()));
                for key in own.keys.iter().filter(|key| key.is_primary && key.columns.contains(&column.name))
                {
                    let why = format!("no generator makes its column {}", column.name);
                    self.leave_out(&key.table, &key.name, &why, "add it in finish.sql, behind the values");
                }
            }
        }
    }

    /// Foreign keys of one table: those with more columns first, since they say more, and of several by the same column the one from
    /// which the others follow.
    fn refer(&mut self, facts: &DatabaseFacts, table: usize) {
        let own = &facts.tables[table];
        let followers = |reference: &ReferenceFacts| {
            let Some(parent) = facts.of_oid(reference.table).filter(|parent| *parent != table) else {
                return 0;
            };
            let others = own.references.iter().filter(|other| other.name != reference.name);
            others.filter(|other| follows(facts, other, reference, parent)).count()
        };
        let mut references: Vec<&ReferenceFacts> = own.references.iter().collect();
        references.sort_by_cached_key(|reference| {
            std::cmp::Reverse((reference.columns.len(), followers(reference)))
        });
        let mut taken: Vec<(&ReferenceFacts, usize)> = vec![];
        for reference in references {
            let Some(parent) = facts.of_oid(reference.table) else {
                // Its schema is not captured: then the constraint is not in the script either.
                continue;
            };
            let is_free = |column: &String| self.role(facts, table, column) == Some(&Role::Own);
            if reference.columns.iter().all(is_free) {
                if self.assign(facts, table, reference, parent) {
                    taken.push((reference, parent));
                }
                continue;
            }
            let follows = taken.iter().any(|(other, through)| follows(facts, reference, other, *through));
            if !follows {
                let shared = reference.columns.join(", ");
                let why = format!("its columns ({shared}) belong to another foreign key too");
                self.leave_out(
                    &own.name,
                    &reference.name,
                    &why,
                    "make both hold in finish.sql, and add it there",
                );
            }
        }
    }

    /// Gives the columns of a foreign key their roles.
    fn assign(
        &mut self,
        facts: &DatabaseFacts,
        table: usize,
        reference: &ReferenceFacts,
        parent: usize,
    ) -> bool {
        let own = &facts.tables[table];
        let (Some(first), Some(to)) = (reference.columns.first(), reference.to.first()) else { return false };
        if parent == table {
            let may_be_null = own.column(first).is_some_and(|column| !column.not_null);
            if reference.columns.len() == 1 && may_be_null {
                self.set(facts, table, first, Role::Tree { to: to.clone() });
                return true;
            }
            let why = "a row refers to its own table, and not by one column that may be NULL at the root";
            self.leave_out(
                &own.name,
                &reference.name,
                why,
                "set the column in finish.sql, and add the key there",
            );
            return false;
        }
        if !self.filled[parent] {
            for column in &reference.columns {
                self.set(facts, table, column, Role::Null);
            }
            return true;
        }
        let role = Role::Reference {
            table: parent,
            to: to.clone(),
            counted: false,
            unique: false,
            distinct_per: None,
            ordinal: None,
        };
        self.set(facts, table, first, role);
        for (column, to) in reference.columns.iter().zip(&reference.to).skip(1) {
            let role = Role::Lookup { through: first.clone(), column: to.clone() };
            self.set(facts, table, column, role);
        }
        true
    }

    /// Takes one reference out of each circle of tables: it stays NULL until the rows are there.
    fn break_circles(&mut self, facts: &DatabaseFacts) {
        while let Some(circle) = self.circle(facts) {
            let edges: Vec<(usize, String, usize, String)> =
                circle.windows(2).flat_map(|pair| self.edges(facts, pair[0], pair[1])).collect();
            let may_be_null = |(table, column, ..): &&(usize, String, usize, String)| {
                facts.tables[*table].column(column).is_some_and(|column| !column.not_null)
            };
            let Some((table, column, parent, to)) =
                edges.iter().find(may_be_null).or_else(|| edges.first()).cloned()
            else {
                return;
            };
            self.open(facts, table, &column, parent, &to);
        }
    }

    fn open(&mut self, facts: &DatabaseFacts, table: usize, column: &str, parent: usize, to: &str) {
        let own = &facts.tables[table];
        let other = &facts.tables[parent];
        let reference = own.references.iter().find(|reference| {
            reference.table == other.oid && reference.columns.first().is_some_and(|first| first == column)
        });
        let columns = reference.map(|reference| reference.columns.clone()).unwrap_or_default();
        let may_be_null = columns.iter().all(|name| own.column(name).is_some_and(|column| !column.not_null));
        for name in &columns {
            let role = if may_be_null { Role::Null } else { Role::Own };
            self.set(facts, table, name, role);
        }
        let Some(reference) = reference else { return };
        if may_be_null && columns.len() == 1 {
            let share =
                own.column(column).and_then(|of| of.statistics.as_ref()).map_or(0.0, |of| of.null_fraction);
            let once = own.keys.iter().any(|key| key.columns.contains(&columns[0]));
            self.finish.push(fill(own, column, other, to, 1.0 - share, once));
            self.remarks.push(Remark::new(
                format!("{}.{column}", own.name),
                "it closes a circle of foreign keys: it is set behind the rows, all parents alike",
                "change the UPDATE in finish.sql where some parents have more than others",
            ));
        } else {
            let why = "it closes a circle of foreign keys";
            let remedy = "make one of their columns NULL, or set them in finish.sql and add the key there";
            self.leave_out(&own.name, &reference.name, why, remedy);
        }
    }

    /// A circle of tables that refer to one another, the first repeated last.
    fn circle(&self, facts: &DatabaseFacts) -> Option<Vec<usize>> {
        fn visit(
            table: usize,
            parents: &[Vec<usize>],
            done: &mut [bool],
            path: &mut Vec<usize>,
        ) -> Option<Vec<usize>> {
            if let Some(at) = path.iter().position(|of| *of == table) {
                return Some(path[at..].iter().copied().chain([table]).collect());
            }
            if done[table] {
                return None;
            }
            path.push(table);
            let found = parents[table].iter().find_map(|parent| visit(*parent, parents, done, path));
            path.pop();
            done[table] = true;
            found
        }
        let parents: Vec<Vec<usize>> = self
            .of
            .iter()
            .map(|roles| {
                let parent = |role: &Role| match role {
                    Role::Reference { table, .. } => Some(*table),
                    _ => None,
                };
                roles.iter().filter_map(parent).collect()
            })
            .collect();
        let mut done = vec![false; facts.tables.len()];
        (0..facts.tables.len()).find_map(|table| visit(table, &parents, &mut done, &mut vec![]))
    }

    fn edges(&self, facts: &DatabaseFacts, from: usize, to: usize) -> Vec<(usize, String, usize, String)> {
        let columns = facts.tables[from].columns.iter().zip(&self.of[from]);
        let edge = |(column, role): (&ColumnFacts, &Role)| match role {
            Role::Reference { table, to: key, .. } if *table == to => {
                Some((from, column.name.clone(), to, key.clone()))
            }
            _ => None,
        };
        columns.filter_map(edge).collect()
    }

    /// Makes sure that no two rows agree in the columns of a key.
    fn hold(&mut self, facts: &DatabaseFacts, table: usize, key: &KeyFacts) {
        let own = &facts.tables[table];
        if self.is_held(facts, table, key) || self.left_out.why(&key.table, &key.name).is_some() {
            return;
        }
        let role = |column: &String| self.role(facts, table, column).cloned().unwrap_or(Role::Absent);
        let all: Vec<(String, Role)> = key.columns.iter().map(|name| (name.clone(), role(name))).collect();
        let references: Vec<&String> = all
            .iter()
            .filter(|(_, role)| matches!(role, Role::Reference { .. }))
            .map(|(name, _)| name)
            .collect();
        let free: Vec<&ColumnFacts> = all
            .iter()
            .filter(|(_, role)| *role == Role::Own)
            .filter_map(|(name, _)| own.column(name))
            .collect();
        if let Some(column) =
            free.iter().find(|column| is_distinct(own, column) && can_be_unique(own, column))
        {
            self.set(facts, table, &column.name, Role::Unique);
            return;
        }
        if key.is_partial {
            let is_once = |name: &&&String| own.column(name).is_some_and(|of| is_distinct(own, of));
            if let Some(reference) = references.iter().find(is_once) {
                self.once(facts, table, reference);
                return;
            }
            // What some of the rows keep would have to be kept by all of them, which would be other rows.
            let why = "it counts for some of the rows only, and nothing keeps those apart";
            self.leave_out(&key.table, &key.name, why, "keep them apart in finish.sql, and add it there");
            return;
        }
        let number = free.iter().find(|column| matches!(column.kind, TypeKind::Int(_)));
        match (references.as_slice(), number) {
            ([reference, ..], Some(number)) => {
                self.count(facts, table, reference, Some(&number.name));
                self.set(facts, table, &number.name, Role::Ordinal { through: (*reference).clone() });
            }
            ([first, second, ..], None) => self.pair(facts, table, first, second),
            ([only], None) if free.is_empty() => self.once(facts, table, only),
            _ => {
                if let Some(column) = free.iter().find(|column| can_be_unique(own, column)) {
                    self.set(facts, table, &column.name, Role::Unique);
                    self.remarks.push(Remark::new(
                        format!("{}.{}", own.name, column.name),
                        format!("it has no value twice, so that {} holds", key.name),
                        "describe the columns of the key so that no two rows agree in all of them",
                    ));
                } else {
                    let why = "no generator keeps its rows apart";
                    let remedy = "set one of its columns in finish.sql, and add it there";
                    self.leave_out(&key.table, &key.name, why, remedy);
                }
            }
        }
    }

    /// Whether no two rows agree in the columns of a key.
    pub(super) fn is_held(&self, facts: &DatabaseFacts, table: usize, key: &KeyFacts) -> bool {
        let own = &facts.tables[table];
        let holds = |name: &String| match self.role(facts, table, name) {
            // NULLs are all different, and what the server computes is its own affair.
            Some(Role::Unique | Role::Reference { unique: true, .. } | Role::Null | Role::Absent) => true,
            Some(Role::Own) => own.column(name).is_some_and(|column| column.kind == TypeKind::Uuid),
            Some(Role::Ordinal { through }) => key.columns.contains(through),
            Some(Role::Reference { distinct_per: Some(first), .. }) => key.columns.contains(first),
            _ => false,
        };
        key.columns.is_empty() || key.columns.iter().any(holds)
    }

    fn count(&mut self, facts: &DatabaseFacts, table: usize, column: &str, number: Option<&str>) {
        let at = facts.tables[table].columns.iter().position(|of| of.name == column);
        if let Some(Role::Reference { counted, ordinal, .. }) = at.map(|at| &mut self.of[table][at]) {
            *counted = true;
            *ordinal = number.map(str::to_owned);
        }
    }

    fn pair(&mut self, facts: &DatabaseFacts, table: usize, first: &str, second: &str) {
        self.count(facts, table, first, None);
        let at = facts.tables[table].columns.iter().position(|of| of.name == second);
        if let Some(Role::Reference { distinct_per, .. }) = at.map(|at| &mut self.of[table][at]) {
            *distinct_per = Some(first.to_owned());
        }
    }

    fn once(&mut self, facts: &DatabaseFacts, table: usize, column: &str) {
        let at = facts.tables[table].columns.iter().position(|of| of.name == column);
        if let Some(Role::Reference { unique, .. }) = at.map(|at| &mut self.of[table][at]) {
            *unique = true;
        }
    }
}

/// Whether a foreign key holds because another one does: its columns are among those of the other, whose parent refers to the same
/// table by them.
fn follows(
    facts: &DatabaseFacts,
    reference: &ReferenceFacts,
    other: &ReferenceFacts,
    through: usize,
) -> bool {
    let there: Option<Vec<&String>> = reference
        .columns
        .iter()
        .map(|column| {
            let at = other.columns.iter().position(|of| of == column)?;
            other.to.get(at)
        })
        .collect();
    let Some(there) = there else { return false };
    facts.tables[through].references.iter().any(|parents| {
        parents.table == reference.table
            && parents.to == reference.to
            && parents.columns.iter().collect::<Vec<_>>() == there
    })
}

/// Whether nearly all of its values are different.
fn is_distinct(table: &TableFacts, column: &ColumnFacts) -> bool {
    let known = column.statistics.as_ref();
    table.is_unique(&column.name)
        || (column.is_numbered && known.is_none())
        || known.is_some_and(|known| {
            let values = table.rows * (1.0 - known.null_fraction);
            values >= 1.0 && known.distinct_among(table.rows) >= ALL * values
        })
}

/// Whether a generator can give it another value in every row. Days and short texts run out.
fn can_be_unique(table: &TableFacts, column: &ColumnFacts) -> bool {
    match column.kind {
        TypeKind::Int(bytes) => table.rows < if bytes == 2 { 30_000.0 } else { 2e9 },
        TypeKind::Uuid | TypeKind::Timestamp | TypeKind::Float | TypeKind::Bytes | TypeKind::Mac(_) => true,
        TypeKind::Decimal => column.scale.is_none_or(|scale| scale > 0),
        TypeKind::Text => column.length_max.is_none_or(|limit| f64::from(limit) >= table.rows.log10() + 3.0),
        _ => false,
    }
}

/// Sets a column behind the rows, one parent after the other, and from the first again where each may come more than `once`.
fn fill(own: &TableFacts, column: &str, other: &TableFacts, to: &str, share: f64, once: bool) -> String {
    let (column, to) = (double_quoted(column), double_quoted(to));
    let number = if once { "child.number" } else { "1 + child.number % parent.of" };
    format!(
        "UPDATE {own} SET {column} = parent.key\n\
         FROM (SELECT ctid AS at, row_number() OVER () AS number FROM {own}) child\n\
         JOIN (SELECT {to} AS key, row_number() OVER (ORDER BY {to}) AS number, count(*) OVER () AS of FROM {other}) parent\n\
         ON parent.number = {number}\n\
         WHERE {own}.ctid = child.at AND child.number % 1000 < {share:.0};",
        own = own.name,
        other = other.name,
        share = share * 1000.0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, not_null: bool) -> ColumnFacts {
        ColumnFacts { not_null, ..ColumnFacts::plain(name, "integer", TypeKind::Int(4)) }
    }

    fn table(oid: u32, name: &str, columns: &[(&str, bool)]) -> TableFacts {
        TableFacts {
            oid,
            name: name.into(),
            rows: 100.0,
            columns: columns.iter().map(|(name, not_null)| column(name, *not_null)).collect(),
            ..TableFacts::default()
        }
    }

    fn reference(name: &str, columns: &[&str], table: u32, to: &[&str]) -> ReferenceFacts {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        ReferenceFacts {
            name: name.into(),
            columns: owned(columns),
            table,
            table_name: String::new(),
            to: owned(to),
            restricts: true,
        }
    }

    fn key(name: &str, columns: &[&str], is_primary: bool) -> KeyFacts {
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        KeyFacts { table: String::new(), name: name.into(), columns, is_primary, is_partial: false }
    }

    #[test]
    fn lines_of_an_order_are_numbered_within_it() {
        let orders = table(1, "orders", &[("id", true)]);
        let mut lines = table(2, "lines", &[("order_id", true), ("line", true)]);
        lines.references.push(reference("fk", &["order_id"], 1, &["id"]));
        lines.keys.push(key("lines_pkey", &["order_id", "line"], true));
        let facts = DatabaseFacts { tables: vec![orders, lines] };
        let roles = decide(&facts);
        assert_eq!(roles.of[1][1], Role::Ordinal { through: "order_id".into() });
        assert!(
            matches!(&roles.of[1][0], Role::Reference { counted: true, ordinal: Some(line), .. } if line == "line")
        );
    }

    #[test]
    fn a_table_of_pairs_has_no_pair_twice() {
        let (a, b) = (table(1, "a", &[("id", true)]), table(2, "b", &[("id", true)]));
        let mut pairs = table(3, "pairs", &[("a_id", true), ("b_id", true)]);
        pairs.references.push(reference("fa", &["a_id"], 1, &["id"]));
        pairs.references.push(reference("fb", &["b_id"], 2, &["id"]));
        pairs.keys.push(key("pairs_pkey", &["a_id", "b_id"], true));
        let roles = decide(&DatabaseFacts { tables: vec![a, b, pairs] });
        assert!(
            matches!(&roles.of[2][1], Role::Reference { distinct_per: Some(first), .. } if first == "a_id")
        );
    }

    #[test]
    fn a_circle_is_opened_where_it_may_be_null_and_closed_behind_the_rows() {
        let mut teams = table(1, "teams", &[("id", true), ("lead_id", false)]);
        let mut people = table(2, "people", &[("id", true), ("team_id", true)]);
        teams.references.push(reference("lead", &["lead_id"], 2, &["id"]));
        people.references.push(reference("team", &["team_id"], 1, &["id"]));
        let roles = decide(&DatabaseFacts { tables: vec![teams, people] });
        assert_eq!(roles.of[0][1], Role::Null);
        assert!(matches!(roles.of[1][1], Role::Reference { table: 0, .. }));
        assert!(roles.finish[0].starts_with("UPDATE teams SET \"lead_id\""), "{:?}", roles.finish);
        assert!(roles.left_out.constraints.is_empty());
    }

    #[test]
    fn two_keys_that_share_a_column_hold_where_one_follows_from_the_other() {
        let tenants = table(1, "tenants", &[("id", true)]);
        let mut projects = table(2, "projects", &[("tenant_id", true), ("id", true)]);
        projects.references.push(reference("pt", &["tenant_id"], 1, &["id"]));
        let mut tasks = table(3, "tasks", &[("tenant_id", true), ("project_id", true)]);
        tasks.references.push(reference("tt", &["tenant_id"], 1, &["id"]));
        tasks.references.push(reference("tp", &["tenant_id", "project_id"], 2, &["tenant_id", "id"]));
        let mut facts = DatabaseFacts { tables: vec![tenants, projects, tasks] };
        let roles = decide(&facts);
        assert!(roles.left_out.constraints.is_empty(), "{:?}", roles.remarks);
        assert_eq!(roles.of[2][1], Role::Lookup { through: "tenant_id".into(), column: "id".into() });
        // Without the way over the projects nothing keeps the two together.
        facts.tables[1].references.clear();
        assert_eq!(decide(&facts).left_out.constraints.len(), 1);
    }
}
