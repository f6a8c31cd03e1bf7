//! What plans depend on, of the tables that they read: indexes, sizes, statistics, and how they are scanned. One cheap query a
//! second; it reads catalogs and counters only, so that no schema change delays it.

use std::collections::BTreeMap;

use tokio_postgres::{Error, Row};

use super::describe::Table;

/// Scans of a table between two looks, from which on their kinds are compared.
const SCANS_MIN: i64 = 10;
/// How much the share of sequential scans must move from one look to the next.
const SHARE_MOVED: f64 = 0.25;
/// A table has grown or shrunk when its rows are this many times as many, or as few.
const GROWN: f64 = 1.5;
/// And by so many rows at least.
const GROWN_ROWS: i64 = 1000;

/// PostgreSQL 14 to 18. `$1` are schemas, `$2` are tables in them; a table that is not there gives a row without an oid.
pub(super) const TABLES: &str = "\
SELECT wanted.schema_name, wanted.table_name, class.oid::bigint AS oid, class.relpages, class.reltuples,
       pg_stat_get_analyze_count(class.oid) + pg_stat_get_autoanalyze_count(class.oid) AS analyzed,
       pg_stat_get_live_tuples(class.oid) AS live_rows, pg_stat_get_numscans(class.oid) AS seq_scans,
       coalesce(indexes.scans, 0)::bigint AS idx_scans, indexes.oids, indexes.names, indexes.usable
FROM unnest($1::text[], $2::text[]) AS wanted(schema_name, table_name)
LEFT JOIN pg_namespace AS namespace ON namespace.nspname = wanted.schema_name
LEFT JOIN pg_class AS class ON class.relnamespace = namespace.oid AND class.relname = wanted.table_name
LEFT JOIN LATERAL (
    SELECT sum(pg_stat_get_numscans(i.indexrelid)) AS scans, array_agg(i.indexrelid::bigint) AS oids,
           array_agg(named.relname::text) AS names, array_agg(i.indisvalid AND i.indisready) AS usable
    FROM pg_index AS i JOIN pg_class AS named ON named.oid = i.indexrelid WHERE i.indrelid = class.oid
) AS indexes ON true";

/// An index, as far as plans depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) name: String,
    /// Valid and ready: plans may use it, and it is kept up.
    pub(super) usable: bool,
}

/// A table at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TableState {
    /// Its number in the catalogs; absent while there is no such table.
    pub(super) oid: Option<i64>,
    /// As the planner knows its size since the last VACUUM or ANALYZE.
    pub(super) pages: i32,
    pub(super) rows: f32,
    /// How often it was analysed.
    pub(super) analyzed: i64,
    /// Rows by the counters.
    pub(super) live_rows: i64,
    pub(super) seq_scans: i64,
    pub(super) idx_scans: i64,
    /// By number in the catalogs.
    pub(super) indexes: BTreeMap<i64, Index>,
}

impl TableState {
    /// Reads a row of [`TABLES`].
    pub(super) fn read(row: &Row) -> Result<(Table, Self), Error> {
        let table = Table { schema: row.try_get("schema_name")?, name: row.try_get("table_name")? };
        let Some(oid) = row.try_get("oid")? else { return Ok((table, Self::default())) };
        let oids: Vec<i64> = row.try_get::<_, Option<_>>("oids")?.unwrap_or_default();
        let names: Vec<String> = row.try_get::<_, Option<_>>("names")?.unwrap_or_default();
        let usable: Vec<bool> = row.try_get::<_, Option<_>>("usable")?.unwrap_or_default();
        let indexes = names.into_iter().zip(usable).map(|(name, usable)| Index { name, usable });
        let state = Self {
            oid: Some(oid),
            pages: row.try_get("relpages")?,
            rows: row.try_get("reltuples")?,
            analyzed: row.try_get("analyzed")?,
            live_rows: row.try_get("live_rows")?,
            seq_scans: row.try_get("seq_scans")?,
            idx_scans: row.try_get("idx_scans")?,
            indexes: oids.into_iter().zip(indexes).collect(),
        };
        Ok((table, state))
    }

    /// In what the table differs from what it was `before`, in words; nothing where plans cannot differ for it.
    pub(super) fn changes(&self, before: &Self, label: &str) -> Vec<String> {
        match (before.oid, self.oid) {
            (Some(_), None) => return vec![format!("{label} was dropped")],
            (None, Some(_)) => return vec![format!("{label} was created")],
            (Some(old), Some(new)) if old != new => {
                return vec![format!("{label} was dropped and created anew")];
            }
            _ => {}
        }
        let mut changes = self.index_changes(before);
        if self.analyzed > before.analyzed {
            changes.push(format!("{label} was analysed"));
        } else if self.pages != before.pages || self.rows.to_bits() != before.rows.to_bits() {
            changes.push(size_change(label, before.rows.into(), self.rows.into()));
        } else if has_grown(before.live_rows, self.live_rows) {
            changes.push(size_change(label, before.live_rows as f64, self.live_rows as f64));
        }
        changes
    }

    fn index_changes(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (oid, index) in &before.indexes {
            match self.indexes.get(oid) {
                None if self.indexes.values().any(|other| other.name == index.name) => {
                    changes.push(format!("index {} was built anew", index.name));
                }
                None => changes.push(format!("index {} was dropped", index.name)),
                Some(now) if now.usable != index.usable => {
                    let became = if now.usable { "usable" } else { "invalid" };
                    changes.push(format!("index {} became {became}", now.name));
                }
                // A new name alone changes no plan, but what the plan names.
                Some(now) if now.name != index.name => {
                    changes.push(format!("index {} was renamed to {}", index.name, now.name));
                }
                Some(_) => {}
            }
        }
        for (oid, index) in &self.indexes {
            let is_known = before.indexes.contains_key(oid)
                || before.indexes.values().any(|other| other.name == index.name);
            if !is_known {
                changes.push(format!("index {} was created", index.name));
            }
        }
        changes
    }

    /// Counters that may move without a word: what is compared with later is what was compared with before.
    pub(super) fn with_size_of(mut self, before: &Self) -> Self {
        if self.oid == before.oid && !has_grown(before.live_rows, self.live_rows) {
            self.live_rows = before.live_rows;
        }
        self
    }
}

fn has_grown(before: i64, now: i64) -> bool {
    let (few, many) = (before.min(now), before.max(now));
    many - few >= GROWN_ROWS && many as f64 >= few as f64 * GROWN
}

fn size_change(label: &str, before: f64, now: f64) -> String {
    match now.total_cmp(&before) {
        std::cmp::Ordering::Greater => format!("{label} grew"),
        std::cmp::Ordering::Less => format!("{label} shrank"),
        std::cmp::Ordering::Equal => format!("the pages of {label} were counted anew"),
    }
}

/// How a table was scanned between two looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scans {
    /// Sequential ones ÷ all.
    sequential: f64,
}

impl Scans {
    /// Between two looks; nothing where there were too few, or where counters were reset or an index is gone.
    pub(super) fn between(before: &TableState, now: &TableState) -> Option<Self> {
        let (seq, idx) = (now.seq_scans - before.seq_scans, now.idx_scans - before.idx_scans);
        let is_usable = before.oid == now.oid && seq >= 0 && idx >= 0 && seq + idx >= SCANS_MIN;
        is_usable.then(|| Self { sequential: seq as f64 / (seq + idx) as f64 })
    }

    /// Where they turned from one kind to the other, in words.
    pub(super) fn turned(self, before: Self, label: &str) -> Option<String> {
        let moved = self.sequential - before.sequential;
        if moved.abs() < SHARE_MOVED {
            return None;
        }
        let (from, to) = if moved > 0.0 { ("index", "sequential") } else { ("sequential", "index") };
        Some(format!("scans of {label} turned from {from} to {to}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders() -> TableState {
        let index = |name: &str| Index { name: name.to_owned(), usable: true };
        TableState {
            oid: Some(1),
            pages: 10,
            rows: 5_000.0,
            analyzed: 1,
            live_rows: 5_000,
            seq_scans: 0,
            idx_scans: 100,
            indexes: BTreeMap::from([(2, index("orders_pkey")), (3, index("orders_customer"))]),
        }
    }

    fn changes(change: impl FnOnce(&mut TableState)) -> Vec<String> {
        let mut now = orders();
        change(&mut now);
        now.changes(&orders(), "orders")
    }

    #[test]
    fn what_changed_is_told_in_words() {
        let new = |usable| Index { name: "orders_total".to_owned(), usable };
        assert_eq!(changes(|_| ()), [""; 0]);
        assert_eq!(changes(|now| (now.seq_scans, now.idx_scans, now.live_rows) = (9, 1_000, 5_900)), [""; 0]);
        assert_eq!(changes(|now| drop(now.indexes.remove(&3))), ["index orders_customer was dropped"]);
        assert_eq!(
            changes(|now| drop(now.indexes.insert(4, new(false)))),
            ["index orders_total was created"]
        );
        assert_eq!(
            changes(|now| {
                let index = now.indexes.remove(&3).expect("it is there");
                now.indexes.insert(9, index);
            }),
            ["index orders_customer was built anew"]
        );
        assert_eq!(
            changes(|now| now.indexes.get_mut(&3).expect("it is there").usable = false),
            ["index orders_customer became invalid"]
        );
        assert_eq!(changes(|now| (now.analyzed, now.rows) = (2, 9_000.0)), ["orders was analysed"]);
        assert_eq!(changes(|now| now.rows = 9_000.0), ["orders grew"]);
        assert_eq!(changes(|now| now.rows = 9.0), ["orders shrank"]);
        assert_eq!(changes(|now| now.live_rows = 8_000), ["orders grew"]);
        assert_eq!(changes(|now| now.oid = None), ["orders was dropped"]);
        assert_eq!(changes(|now| now.oid = Some(7)), ["orders was dropped and created anew"]);
        assert_eq!(orders().changes(&TableState::default(), "orders"), ["orders was created"]);
    }

    #[test]
    fn slow_growth_is_measured_from_where_it_began() {
        let mut before = orders();
        let mut told = 0;
        for live_rows in (5_100..=20_000).step_by(100) {
            let now = TableState { live_rows, ..orders() };
            told += now.changes(&before, "orders").len();
            before = now.with_size_of(&before);
        }
        // 5,000 × 1.5³ is below 20,000, and × 1.5⁴ above.
        assert_eq!(told, 3);
    }

    #[test]
    fn scans_turn_when_their_kinds_change_places_and_are_many() {
        let look = |seq_scans, idx_scans| TableState { seq_scans, idx_scans, ..orders() };
        let looks = [look(0, 0), look(0, 500), look(3, 990), look(400, 1_000), look(404, 1_003)];
        let between: Vec<Option<Scans>> =
            looks.windows(2).map(|two| Scans::between(&two[0], &two[1])).collect();
        let [Some(first), Some(second), Some(third), None] = between.as_slice() else {
            panic!("the last are too few: {between:?}")
        };
        assert_eq!(second.turned(*first, "orders"), None);
        let to_sequential = "scans of orders turned from index to sequential";
        assert_eq!(third.turned(*second, "orders").as_deref(), Some(to_sequential));
        let to_index = "scans of orders turned from sequential to index";
        assert_eq!(second.turned(*third, "orders").as_deref(), Some(to_index));
        assert_eq!(Scans::between(&look(0, 900), &look(50, 20)), None, "an index is gone, or all was reset");
    }
}
