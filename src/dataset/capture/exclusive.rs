//! Columns of which each row has a value in one, or in one at most, since a check constraint says so: `num_nonnulls(user_id, team_id) =
//! 1`. Their shares of values are brought to what the constraint allows; the generator keeps them apart. Knows no server.

use std::borrow::Cow;

use super::facts::{CheckFacts, ColumnStatistics, DatabaseFacts, Excludes, TableFacts, TypeKind};

/// The constraints of a table that columns can keep together, none of them in two.
pub(super) fn exclusive(table: &TableFacts) -> Vec<(&CheckFacts, Excludes)> {
    let mut taken: Vec<&String> = vec![];
    let mut all = vec![];
    for check in &table.checks {
        let Some(how) = check.excludes() else { continue };
        let may_be_null =
            |name: &String| table.column(name).is_some_and(|column| !column.not_null && !column.is_generated);
        if check.columns.iter().all(|name| may_be_null(name) && !taken.contains(&name)) {
            taken.extend(&check.columns);
            all.push((check, how));
        }
    }
    all
}

/// The same facts with shares of NULLs that make up what these constraints say: a sample misses that by a little, and where nothing is
/// known, all columns are alike.
pub(super) fn made_whole(facts: &DatabaseFacts) -> Cow<'_, DatabaseFacts> {
    if facts.tables.iter().all(|table| exclusive(table).is_empty()) {
        return Cow::Borrowed(facts);
    }
    let mut whole = facts.clone();
    for (table, own) in facts.tables.iter().zip(&mut whole.tables) {
        for (check, how) in exclusive(table) {
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
    use crate::dataset::capture::ColumnFacts;

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
        let whole = made_whole(facts);
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
        let whole = made_whole(&table(one, [Some(0.75), Some(0.75)])).into_owned();
        assert_eq!(whole.tables[0].columns[0].statistics.as_ref().expect("known").frequencies, [0.2]);
    }

    #[test]
    fn a_column_that_is_never_null_excludes_no_other() {
        let mut facts = table("(num_nonnulls(a, b) = 1)", [Some(0.5), Some(0.5)]);
        facts.tables[0].columns[0].not_null = true;
        assert!(exclusive(&facts.tables[0]).is_empty());
    }
}
