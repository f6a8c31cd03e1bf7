//! Columns of which each row has a value in one, or in one at most, since a check constraint says so: `num_nonnulls(user_id, team_id) =
//! 1`. Their shares of values are brought to what the constraint allows; the generator keeps them apart. Knows no server.

use std::borrow::Cow;

use super::facts::{CheckFacts, ColumnStatistics, DatabaseFacts, Excludes, TableFacts, TypeKind};
use super::keys::Role;

/// The constraints of a table that columns can keep together, none of them in two. What follows from other rows has values where those
/// have some: whether such a constraint is kept is tried on the rows.
pub(super) fn exclusive<'a>(table: &'a TableFacts, roles: &[Role]) -> Vec<(&'a CheckFacts, Excludes)> {
    let follows = |name: &String| {
        let own = table.columns.iter().position(|column| column.name == *name).and_then(|at| roles.get(at));
        own.is_some_and(|role| matches!(role, Role::Tree { .. } | Role::Lookup { .. } | Role::Ordinal { .. }))
    };
    let mut taken: Vec<&String> = vec![];
    let mut all = vec![];
    for check in &table.checks {
        let Some(how) = check.excludes() else { continue };
        let may_be_null =
            |name: &String| table.column(name).is_some_and(|column| !column.not_null && !column.is_generated);
        if check.columns.iter().all(|name| may_be_null(name) && !follows(name) && !taken.contains(&name)) {
            taken.extend(&check.columns);
            all.push((check, how));
        }
    }
    all
}

/// The same facts with shares of NULLs that make up what these constraints say: a sample misses that by a little, and where nothing is
/// known, all columns are alike. `roles` are those of all columns, by table.
pub(super) fn made_whole<'a>(facts: &'a DatabaseFacts, roles: &[Vec<Role>]) -> Cow<'a, DatabaseFacts> {
    if facts.tables.iter().zip(roles).all(|(table, roles)| exclusive(table, roles).is_empty()) {
        return Cow::Borrowed(facts);
    }
    let mut whole = facts.clone();
    for ((table, roles), own) in facts.tables.iter().zip(roles).zip(&mut whole.tables) {
        for (check, how) in exclusive(table, roles) {
            // What no generator makes stays NULL.
            let made =
                |name: &&String| table.column(name).is_some_and(|column| column.kind != TypeKind::Other);
            let made: Vec<&String> = check.columns.iter().filter(made).collect();
            let alike = 1.0 / made.len().max(1) as f64;
            let share = |name: &&String| {
                let known = table.column(name).and_then(|column| column.statistics.as_ref());
                known.map_or(alike, |known| 1.0 - known.null_fraction.clamp(0.0, 1.0))
            };
            let sum: f64 = made.iter().map(share).sum();
            for name in &made {
                let was = share(name);
                let share = match how {
                    _ if sum <= 0.0 && how == Excludes::AllButOne => alike,
                    Excludes::AllButOne => was / sum,
                    Excludes::AtMostOne => was / sum.max(1.0),
                };
                let Some(column) = own.columns.iter_mut().find(|column| column.name == **name) else {
                    continue;
                };
                let known = column.statistics.get_or_insert_with(ColumnStatistics::default);
                known.null_fraction = 1.0 - share;
                if was > 0.0 {
                    known.frequencies.iter_mut().for_each(|of| *of *= share / was);
                }
            }
        }
    }
    Cow::Owned(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::capture::{ColumnFacts, Described, Kept, KeyFacts, ReferenceFacts, describe};

    /// The roles of one table of which nothing refers to anything.
    const OWN: &[Vec<Role>] = &[vec![]];

    fn key(table: &str) -> KeyFacts {
        KeyFacts {
            table: table.into(),
            name: format!("{table}_pkey"),
            columns: vec!["id".into()],
            is_primary: true,
            is_partial: false,
        }
    }

    fn table(expression: &str, nulls: [Option<f64>; 2]) -> DatabaseFacts {
        let column = |(name, nulls): (&str, Option<f64>)| ColumnFacts {
            not_null: false,
            statistics: nulls.map(|null_fraction| ColumnStatistics {
                null_fraction,
                frequencies: vec![0.1],
                ..ColumnStatistics::default()
            }),
            ..ColumnFacts::plain(name, "integer", TypeKind::Int(4))
        };
        let columns = vec!["a".to_owned(), "b".to_owned()];
        DatabaseFacts {
            tables: vec![TableFacts {
                columns: ["a", "b"].into_iter().zip(nulls).map(column).collect(),
                checks: vec![CheckFacts { name: "one".into(), columns, expression: expression.into() }],
                ..TableFacts::default()
            }],
        }
    }

    fn nulls(facts: &DatabaseFacts) -> Vec<f64> {
        let whole = made_whole(facts, OWN);
        let known = whole.tables[0].columns.iter().filter_map(|column| column.statistics.as_ref());
        known.map(|known| (known.null_fraction * 1e6).round() / 1e6).collect()
    }

    #[test]
    fn shares_of_values_make_up_a_whole_where_each_row_has_one() {
        let one = "(num_nonnulls(a, b) = 1)";
        assert_eq!(nulls(&table(one, [Some(0.41), Some(0.61)])), [0.397_959, 0.602_041]);
        assert_eq!(nulls(&table(one, [None, None])), [0.5, 0.5]);
        assert_eq!(nulls(&table("(num_nonnulls(a, b) <= 1)", [Some(0.9), Some(0.6)])), [0.9, 0.6]);
        assert_eq!(nulls(&table("(num_nonnulls(a, b) <= 1)", [Some(0.4), Some(0.4)])), [0.5, 0.5]);
        let whole = made_whole(&table(one, [Some(0.75), Some(0.75)]), OWN).into_owned();
        assert_eq!(whole.tables[0].columns[0].statistics.as_ref().expect("known").frequencies, [0.2]);
    }

    #[test]
    fn a_column_that_is_never_null_excludes_no_other() {
        let mut facts = table("(num_nonnulls(a, b) = 1)", [Some(0.5), Some(0.5)]);
        facts.tables[0].columns[0].not_null = true;
        assert!(exclusive(&facts.tables[0], &[]).is_empty());
    }

    fn text_of(described: &Described, name: &str) -> String {
        described
            .tables
            .last()
            .and_then(|table| table.column(name))
            .map(|of| of.description.inline())
            .expect(name)
    }

    /// The roots of a tree are its first rows: which rows have a parent follows from that, and no column is lost over it.
    #[test]
    fn a_column_that_refers_to_its_own_table_excludes_no_other() {
        let mut facts = table("(num_nonnulls(a, b) = 1)", [Some(0.5), Some(0.5)]);
        let posts = TableFacts {
            oid: 1,
            name: "posts".into(),
            rows: 100.0,
            columns: vec![ColumnFacts::plain("id", "integer", TypeKind::Int(4))],
            keys: vec![key("posts")],
            ..TableFacts::default()
        };
        let comments = &mut facts.tables[0];
        let refers = |name: &str, column: &str, table: u32, table_name: &str| ReferenceFacts {
            name: name.into(),
            columns: vec![column.into()],
            table,
            table_name: table_name.into(),
            to: vec!["id".into()],
            restricts: true,
        };
        *comments = TableFacts {
            oid: 2,
            name: "comments".into(),
            rows: 1000.0,
            keys: vec![key("comments")],
            references: vec![refers("of", "a", 1, "posts"), refers("under", "b", 2, "comments")],
            ..std::mem::take(comments)
        };
        comments.columns.insert(0, ColumnFacts::plain("id", "integer", TypeKind::Int(4)));
        facts.tables.insert(0, posts);
        let described = describe(&facts, &Kept::Columns(vec![]));
        let (post, parent) = (text_of(&described, "a"), text_of(&described, "b"));
        assert!(
            post.starts_with("{ reference = { table = \"posts\"") && post.contains("null_fraction = 0.5"),
            "{post}"
        );
        assert!(parent.starts_with("{ tree = {"), "{parent}");
        assert!(!post.contains("exclusive") && !parent.contains("exclusive"), "{post} {parent}");
    }

    #[test]
    fn a_column_whose_partner_is_not_made_excludes_nothing() {
        let mut facts = table("(num_nonnulls(a, b) = 1)", [Some(0.5), Some(0.5)]);
        facts.tables[0].name = "notes".into();
        facts.tables[0].rows = 100.0;
        let described = describe(&facts, &Kept::Columns(vec![]));
        assert!(["a", "b"].iter().all(|name| text_of(&described, name).contains("exclusive = \"one\"")));
        facts.tables[0].columns[1].kind = TypeKind::Other;
        let described = describe(&facts, &Kept::Columns(vec![]));
        let alone = text_of(&described, "a");
        assert!(!alone.contains("exclusive") && !alone.contains("null_fraction"), "{alone}");
    }
}
