//! The indexes over a stage: which were used, what they cost, and which of them another index makes superfluous. Pure.

use std::collections::BTreeMap;

use crate::model;
use crate::record::observation::{Counters, IndexCounters, IndexShape};

/// The only method whose indexes answer searches by a leading part of their keys.
const BTREE: &str = "btree";

/// Why an index is superfluous.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Spare {
    /// Another one is made alike.
    DuplicateOf(String),
    /// A longer one begins with the same keys.
    CoveredBy(String),
}

/// The indexes of all tables, the most used first.
pub(super) fn indexes(begin: &Counters, end: &Counters) -> Vec<model::IndexInfo> {
    let spare = spare(&end.indexes);
    let mut indexes: Vec<_> = end
        .indexes
        .iter()
        .filter_map(|after| index(begin, end, after, spare.get(after.index.as_str())))
        .collect();
    indexes.sort_by_key(|info| std::cmp::Reverse(info.uses()));
    indexes
}

fn index(
    begin: &Counters,
    end: &Counters,
    after: &IndexCounters,
    spare: Option<&Spare>,
) -> Option<model::IndexInfo> {
    let before = begin.indexes.iter().find(|row| row.index == after.index);
    let grown = |of: fn(&IndexCounters) -> Option<u64>| match of(after) {
        None => Some(None),
        Some(count) => count.checked_sub(before.and_then(of).unwrap_or(0)).map(Some),
    };
    let (scans, entries_read) = (grown(|row| row.scans)?, grown(|row| row.entries_read)?);
    let shape = after.shape.as_ref();
    Some(model::IndexInfo {
        index: after.index.clone(),
        table: after.table.clone(),
        scans,
        entries_read,
        size_bytes: after.size_bytes,
        constraint: after.constraint,
        definition: shape.map(|shape| shape.definition.clone()),
        unique: shape.is_some_and(|shape| shape.unique),
        needed: is_needed(after),
        quoted: after.quoted.clone(),
        attached: after.attached,
        writes_max: writes_max(begin, end, &after.table),
        duplicate_of: match spare {
            Some(Spare::DuplicateOf(other)) => Some(other.clone()),
            _ => None,
        },
        covered_by: match spare {
            Some(Spare::CoveredBy(other)) => Some(other.clone()),
            _ => None,
        },
        remark: remark(after, scans.or(entries_read), spare),
    })
}

/// `uses` is how often it was used, where that is known.
fn remark(index: &IndexCounters, uses: Option<u64>, spare: Option<&Spare>) -> Option<String> {
    if index.shape.as_ref().is_some_and(|shape| !shape.valid) {
        return Some("invalid: drop it or REINDEX it".to_owned());
    }
    if index.shape.as_ref().is_some_and(|shape| shape.hidden) {
        return Some("hidden from the planner".to_owned());
    }
    match spare {
        Some(Spare::DuplicateOf(other)) => Some(format!("duplicate of {other}")),
        Some(Spare::CoveredBy(other)) => Some(format!("covered by {other}")),
        None if uses != Some(0) => None,
        None if is_needed(index) => Some("constraint".to_owned()),
        None => Some("not used in this run".to_owned()),
    }
}

/// Whether rules of the data rest on it.
fn is_needed(index: &IndexCounters) -> bool {
    let by_shape = index
        .shape
        .as_ref()
        .is_some_and(|shape| shape.unique || shape.primary || shape.exclusion || shape.replica_identity);
    index.constraint || by_shape
}

/// Entries that the stage wrote into each index of a table, at most.
fn writes_max(begin: &Counters, end: &Counters, table: &str) -> u64 {
    let of = |counters: &Counters| {
        let row = counters.tables.iter().find(|row| row.table == table);
        row.map_or(0, |row| row.inserted + row.updated.saturating_sub(row.hot_updated))
    };
    of(end).saturating_sub(of(begin))
}

/// The superfluous ones, by name. Of two alike the one stays that more rests on, else the first by name; of two where one begins
/// with the other the longer one stays.
fn spare(indexes: &[IndexCounters]) -> BTreeMap<&str, Spare> {
    let mut by_table: BTreeMap<&str, Vec<(&IndexCounters, &IndexShape)>> = BTreeMap::new();
    for index in indexes {
        // One that queries may not use makes no other superfluous, and is told of as such.
        if let Some(shape) = index.shape.as_ref().filter(|shape| shape.valid && !shape.hidden) {
            by_table.entry(&index.table).or_default().push((index, shape));
        }
    }
    let mut spare = BTreeMap::new();
    for of_table in by_table.values_mut() {
        of_table.sort_by_key(|(index, shape)| (std::cmp::Reverse(rank(index, shape)), index.index.as_str()));
        for (place, (index, shape)) in of_table.iter().enumerate() {
            let twin = of_table[..place].iter().find(|(_, other)| is_alike(shape, other));
            let longer = of_table.iter().find(|(_, other)| !is_needed(index) && is_covered(shape, other));
            if let Some((other, _)) = twin {
                spare.insert(index.index.as_str(), Spare::DuplicateOf(other.index.clone()));
            } else if let Some((other, _)) = longer {
                spare.insert(index.index.as_str(), Spare::CoveredBy(other.index.clone()));
            }
        }
    }
    spare
}

/// How much rests on an index, and whether it belongs to an index of a partitioned table: such a one cannot be dropped by itself.
fn rank(index: &IndexCounters, shape: &IndexShape) -> (u8, bool) {
    let rests = if shape.primary {
        4
    } else if shape.replica_identity {
        3
    } else if index.constraint || shape.exclusion {
        2
    } else {
        u8::from(shape.unique)
    };
    (rests, index.attached)
}

/// Whether both answer the same searches, and where both are unique, forbid the same at the same time: the one that stays can then
/// do all that the other one does.
fn is_alike(one: &IndexShape, other: &IndexShape) -> bool {
    let rule = |shape: &IndexShape| (shape.nulls_alike, shape.deferrable);
    let included = |shape: &IndexShape| {
        let mut included = shape.included.clone();
        included.sort();
        included
    };
    one.method == other.method
        && one.keys == other.keys
        && one.predicate == other.predicate
        // An exclusion constraint forbids what its operators say, which are not compared.
        && !(one.exclusion || other.exclusion)
        && (!(one.unique && other.unique) || rule(one) == rule(other))
        && included(one) == included(other)
}

/// Whether `longer` begins with all the keys of `short`, for the same rows, and carries what it carries.
fn is_covered(short: &IndexShape, longer: &IndexShape) -> bool {
    let carried = |column: &String| {
        let as_key =
            |key: &String| key.strip_prefix(column.as_str()).is_some_and(|rest| rest.starts_with(' '));
        longer.included.contains(column) || longer.keys.iter().any(as_key)
    };
    short.method == BTREE
        && longer.method == BTREE
        && short.keys.len() < longer.keys.len()
        && longer.keys.starts_with(&short.keys)
        && short.predicate == longer.predicate
        && short.included.iter().all(carried)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::observation::TableCounters;

    fn shape(keys: &[&str]) -> IndexShape {
        IndexShape {
            method: BTREE.to_owned(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            valid: true,
            ..IndexShape::default()
        }
    }

    fn named(index: &str, shape: IndexShape) -> IndexCounters {
        IndexCounters {
            index: index.to_owned(),
            table: "orders".to_owned(),
            constraint: shape.primary,
            scans: Some(0),
            shape: Some(shape),
            ..IndexCounters::default()
        }
    }

    const ID: &str = "id 3124 0 0";
    const CUSTOMER: &str = "customer_id 1978 0 0";
    const CUSTOMER_DESCENDING: &str = "customer_id 1978 0 3";
    const STATUS: &str = "status 3126 100 0";
    const STATUS_PATTERN: &str = "status 4217 100 0";

    /// What is said of `a` beside `b`, and of `b` beside `a`.
    fn pair(a: IndexShape, b: IndexShape) -> (Option<String>, Option<String>) {
        let both = [named("a", a), named("b", b)];
        let found = spare(&both);
        let of = |name: &str| {
            found.get(name).map(|spare| match spare {
                Spare::DuplicateOf(other) => format!("duplicate of {other}"),
                Spare::CoveredBy(other) => format!("covered by {other}"),
            })
        };
        (of("a"), of("b"))
    }

    fn second(text: &str) -> (Option<String>, Option<String>) {
        (None, Some(text.to_owned()))
    }

    fn first(text: &str) -> (Option<String>, Option<String>) {
        (Some(text.to_owned()), None)
    }

    #[test]
    fn a_duplicate_is_alike_in_all_that_decides_searches() {
        let plain = || shape(&[CUSTOMER]);
        assert_eq!(pair(plain(), plain()), second("duplicate of a"));
        let nothing = (None, None);
        assert_eq!(pair(plain(), shape(&[CUSTOMER_DESCENDING])), nothing, "another order");
        assert_eq!(pair(shape(&[STATUS]), shape(&[STATUS_PATTERN])), nothing, "another operator class");
        let partial = IndexShape { predicate: Some("(status <> 'x'::text)".to_owned()), ..plain() };
        assert_eq!(pair(plain(), partial.clone()), nothing, "another predicate");
        assert_eq!(pair(partial.clone(), partial), second("duplicate of a"));
        let hash = IndexShape { method: "hash".to_owned(), ..plain() };
        assert_eq!(pair(plain(), hash.clone()), nothing, "another method");
        assert_eq!(pair(hash.clone(), hash), second("duplicate of a"));
        let carries = IndexShape { included: vec!["total".to_owned()], ..plain() };
        assert_eq!(pair(carries.clone(), carries), second("duplicate of a"));
    }

    #[test]
    fn of_two_alike_the_one_stays_that_more_rests_on() {
        let unique = || IndexShape { unique: true, ..shape(&[ID]) };
        assert_eq!(pair(shape(&[ID]), unique()), first("duplicate of b"));
        let primary = IndexShape { primary: true, ..unique() };
        assert_eq!(pair(unique(), primary), first("duplicate of b"));
    }

    #[test]
    fn unique_ones_have_a_twin_only_in_what_forbids_the_same_at_the_same_time() {
        let unique = || IndexShape { unique: true, ..shape(&[CUSTOMER]) };
        assert_eq!(pair(unique(), unique()), second("duplicate of a"));
        let nothing = (None, None);
        let nulls_alike = || IndexShape { nulls_alike: true, ..unique() };
        assert_eq!(pair(unique(), nulls_alike()), nothing, "one of them lets more than one NULL in");
        assert_eq!(pair(nulls_alike(), nulls_alike()), second("duplicate of a"));
        let deferrable = || IndexShape { deferrable: true, ..unique() };
        assert_eq!(pair(unique(), deferrable()), nothing, "one of them forbids at once");
        assert_eq!(pair(shape(&[CUSTOMER]), deferrable()), first("duplicate of b"), "it forbids nothing");
        let exclusion = || IndexShape { exclusion: true, ..shape(&[CUSTOMER]) };
        assert_eq!(pair(exclusion(), exclusion()), nothing, "their operators may differ");
    }

    #[test]
    fn of_two_alike_the_one_stays_that_belongs_to_an_index_of_a_partitioned_table() {
        let of_both = |unique| {
            let own = IndexShape { unique, ..shape(&[CUSTOMER]) };
            let attached = IndexCounters { attached: true, ..named("b", shape(&[CUSTOMER])) };
            let both = [named("a", own), attached];
            spare(&both).into_iter().map(|(name, why)| (name.to_owned(), why)).collect::<Vec<_>>()
        };
        assert_eq!(of_both(false), [("a".to_owned(), Spare::DuplicateOf("b".to_owned()))]);
        assert_eq!(
            of_both(true),
            [("b".to_owned(), Spare::DuplicateOf("a".to_owned()))],
            "more rests on a rule"
        );
    }

    #[test]
    fn a_leading_part_is_covered_by_the_longer_btree() {
        let longer = || shape(&[CUSTOMER, STATUS]);
        assert_eq!(pair(shape(&[CUSTOMER]), longer()), first("covered by b"));
        let nothing = (None, None);
        assert_eq!(pair(shape(&[STATUS]), longer()), nothing, "not a leading part");
        assert_eq!(pair(shape(&[CUSTOMER_DESCENDING]), longer()), nothing, "another order");
        let unique = IndexShape { unique: true, ..shape(&[CUSTOMER]) };
        assert_eq!(pair(unique, longer()), nothing, "a unique one forbids what the longer one allows");
        let gin = |keys: &[&str]| IndexShape { method: "gin".to_owned(), ..shape(keys) };
        assert_eq!(pair(gin(&[CUSTOMER]), gin(&[CUSTOMER, STATUS])), nothing);
        let partial = IndexShape { predicate: Some("open".to_owned()), ..longer() };
        assert_eq!(pair(shape(&[CUSTOMER]), partial), nothing, "the longer one lacks rows");
    }

    #[test]
    fn what_is_carried_along_must_be_in_the_longer_one() {
        let carries = |column: &str| IndexShape { included: vec![column.to_owned()], ..shape(&[CUSTOMER]) };
        let longer = || shape(&[CUSTOMER, STATUS]);
        assert_eq!(pair(carries("status"), longer()), first("covered by b"));
        assert_eq!(pair(carries("total"), longer()), (None, None));
        let carried_too = IndexShape { included: vec!["total".to_owned()], ..longer() };
        assert_eq!(pair(carries("total"), carried_too), first("covered by b"));
    }

    #[test]
    fn an_invalid_one_makes_no_other_superfluous() {
        let invalid = IndexShape { valid: false, ..shape(&[CUSTOMER]) };
        assert_eq!(pair(invalid, shape(&[CUSTOMER])), (None, None));
        let other_table = IndexCounters { table: "lines".to_owned(), ..named("b", shape(&[CUSTOMER])) };
        assert!(spare(&[named("a", shape(&[CUSTOMER])), other_table]).is_empty(), "another table");
    }

    #[test]
    fn each_index_has_its_scans_its_writes_and_a_remark() {
        let counters = |scans: u64, inserted| Counters {
            tables: vec![TableCounters {
                table: "orders".to_owned(),
                inserted,
                updated: inserted / 2,
                hot_updated: inserted / 10,
                ..TableCounters::default()
            }],
            indexes: vec![
                named("orders_pkey", IndexShape { primary: true, unique: true, ..shape(&[ID]) }),
                IndexCounters {
                    scans: Some(scans),
                    quoted: Some("public.used".to_owned()),
                    attached: true,
                    ..named("used", shape(&[CUSTOMER]))
                },
                named("unused", shape(&[STATUS])),
                named("broken", IndexShape { valid: false, ..shape(&[CUSTOMER]) }),
                IndexCounters { shape: None, ..named("unknown", shape(&[])) },
            ],
            ..Counters::default()
        };
        let found = indexes(&counters(10, 100), &counters(25, 1_100));
        let of = |name: &str| found.iter().find(|info| info.index == name).expect("all are told");
        assert_eq!((found[0].index.as_str(), found[0].scans), ("used", Some(15)));
        assert_eq!(of("used").remark, None);
        assert_eq!((of("used").quoted.as_deref(), of("used").attached), (Some("public.used"), true));
        assert_eq!(of("used").writes_max, 1_000 + 400, "inserts, and updates that were not heap-only");
        assert_eq!(of("unused").remark.as_deref(), Some("not used in this run"));
        assert_eq!(of("orders_pkey").remark.as_deref(), Some("constraint"));
        assert_eq!(of("broken").remark.as_deref(), Some("invalid: drop it or REINDEX it"));
        assert_eq!(of("unknown").definition, None);
    }

    #[test]
    fn where_scans_are_not_counted_the_entries_that_were_read_tell_whether_it_was_used() {
        let counters = |read: Option<u64>| {
            let index = |name: &str, entries_read, hidden| IndexCounters {
                scans: None,
                entries_read,
                ..named(name, IndexShape { hidden, ..shape(&[name]) })
            };
            let indexes = vec![
                index("read", read, false),
                index("unread", Some(7), false),
                index("uncounted", None, false),
                index("resting", Some(7), true),
            ];
            Counters { indexes, ..Counters::default() }
        };
        let found = indexes(&counters(Some(5)), &counters(Some(45)));
        let told: Vec<_> =
            found.iter().map(|info| (info.index.as_str(), info.uses(), info.remark.as_deref())).collect();
        assert_eq!(
            told,
            [
                ("read", Some(40), None),
                ("unread", Some(0), Some("not used in this run")),
                ("resting", Some(0), Some("hidden from the planner")),
                ("uncounted", None, None),
            ]
        );
    }

    #[test]
    fn a_hidden_one_makes_no_other_superfluous() {
        let hidden = IndexShape { hidden: true, ..shape(&[CUSTOMER, STATUS]) };
        assert_eq!(pair(shape(&[CUSTOMER]), hidden), (None, None), "no search is answered by it");
    }
}
