//! A table as months of use leave it: dead rows, holes, rows that moved, index entries that lead nowhere. Every value is what
//! the description says; only where it lies and what lies beside it differs. PostgreSQL 14 to 18.
//!
//! **Updates** go over the table in random order, in rounds that commit one by one, each row by its key and through the key's
//! index. So pages are pruned on the way as they are in use. A page that a load has filled has no room for a new version: it
//! goes elsewhere, and every index gets a new entry. Once pruning made room, some updates stay on their page (HOT). Every
//! second round changes a column that an index holds and, a round later, changes it back: those can never be HOT, whatever
//! room there is. **Deletes** take random rows out and put them back, which leaves a hole where they were and appends them
//! to the table. The keys that a workload draws still exist then, and no foreign key is hurt.
//!
//! Which rows it hits follows from the seed and their keys, not from where they happen to lie.

use tokio_postgres::Row;

use super::TablePlan;
use super::server::{code, failed, quoted, words};
use crate::dataset::DatasetError;
use crate::db::postgres::Client;
use crate::generate::Key;
use crate::units::Seed;
use crate::workload::Aged;

/// Commits of each kind: enough that later ones meet pages that earlier ones were pruned from.
const ROUNDS_MIN: u64 = 8;
/// Rows of a round.
const ROUND_ROWS_MAX: u64 = 20_000;
/// Indexed columns that are changed and changed back; more would only make the temporary table wider.
const INDEXED_COLUMNS_MAX: usize = 2;

/// Text forms that do not depend on the server's settings, and plans that follow the order of the rounds.
const SESSION: &str = "
    SET timezone = 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET extra_float_digits = 1;
    SET bytea_output = 'hex'; SET enable_hashjoin = off; SET enable_mergejoin = off;";
const SESSION_AFTER: &str = "
    RESET timezone; RESET datestyle; RESET intervalstyle; RESET extra_float_digits; RESET bytea_output;
    RESET enable_hashjoin; RESET enable_mergejoin; DROP TABLE IF EXISTS pg_temp.dbdyno_aged";

/// Where the rows lie: the table itself, or its partitions.
const LEAVES: &str = "
    SELECT c.oid, c.oid::regclass::text AS name FROM pg_class c
    WHERE c.relkind = 'r'
      AND (c.oid = to_regclass($1) OR c.oid IN (SELECT relid FROM pg_partition_tree(to_regclass($1)) WHERE isleaf))
    ORDER BY c.oid";

/// Columns of the narrowest key: unique at once, of all rows, without NULL.
const KEY: &str = "
    SELECT array_agg(a.attname::text ORDER BY k.place)
    FROM pg_index i
    CROSS JOIN unnest(i.indkey::int[]) WITH ORDINALITY AS k (attnum, place)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL
      AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
    GROUP BY i.indexrelid, i.indisprimary, i.indnkeyatts
    HAVING bool_and(a.attnotnull)
    ORDER BY i.indisprimary DESC, i.indnkeyatts
    LIMIT 1";

/// Columns that take a value in an INSERT, and whether they take one in an UPDATE.
const SETTABLE: &str = "
    SELECT attname::text, attidentity <> 'a'
    FROM pg_attribute
    WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
    ORDER BY attnum";

/// Columns that some index holds and that can have the value of another row: those of a key or of the partitioning cannot.
/// BRIN is left out, since version 16 keeps an update HOT that changes nothing else.
const INDEXED: &str = "
    SELECT DISTINCT a.attname::text, format_type(a.atttypid, a.atttypmod)
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_am m ON m.oid = c.relam AND m.amname IN ('btree', 'hash')
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int[])
    WHERE i.indrelid = to_regclass($1) AND NOT i.indisunique AND NOT i.indisexclusion
      AND a.attgenerated = '' AND a.attidentity = ''
      AND NOT EXISTS (
          SELECT FROM pg_index u
          WHERE u.indrelid = i.indrelid AND (u.indisunique OR u.indisexclusion) AND a.attnum = ANY (u.indkey::int[]))
      AND NOT EXISTS (
          SELECT FROM pg_partitioned_table p WHERE p.partrelid = i.indrelid AND a.attnum = ANY (p.partattrs::int[]))
    ORDER BY 1";

/// Foreign keys that would not just look away for the moment between a delete and the insert behind it.
const REFERRERS: &str = "
    SELECT c.conrelid::regclass::text,
           (SELECT array_agg(a.attname::text ORDER BY k.place)
            FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, place)
            JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum),
           (SELECT array_agg(a.attname::text ORDER BY k.place)
            FROM unnest(c.confkey) WITH ORDINALITY AS k (attnum, place)
            JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.attnum)
    FROM pg_constraint c
    WHERE c.contype = 'f' AND c.confrelid = to_regclass($1) AND c.confdeltype <> 'a' AND c.conparentid = 0
    ORDER BY c.oid";

const TRIGGERS: &str = "
    SELECT tgrelid::regclass::text, tgname::text, tgenabled::text
    FROM pg_trigger
    WHERE tgrelid = ANY ($1) AND NOT tgisinternal AND tgenabled <> 'D'
    ORDER BY oid";

/// What was done to a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Rows that were updated.
    pub(super) updated: u64,
    /// Rows that were taken out and put back.
    pub(super) deleted: u64,
}

/// A table in the hands of this module.
struct Ageing<'a> {
    client: &'a Client,
    plan: &'a TablePlan,
    draws: Key,
    leaves: Vec<(u32, String)>,
    /// Empty where no unique index tells rows apart: then rows are told by their place.
    key: Vec<String>,
}

/// Ages one table. `told` is given what happens besides. Autovacuum stays off the table: what is dead must last until a run
/// meets it.
pub(super) async fn age(
    client: &Client,
    plan: &TablePlan,
    aged: Aged,
    seed: Seed,
    told: &mut (dyn FnMut(String) + Send),
) -> Result<Done, DatasetError> {
    let rows = client.query(LEAVES, &[&plan.target]).await.map_err(failed(doing(plan)))?;
    let leaves: Vec<(u32, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let key = client.query_opt(KEY, &[&plan.target]).await.map_err(failed(doing(plan)))?;
    let ageing = Ageing {
        client,
        plan,
        draws: Key::root(seed).name(&plan.name).name("aged"),
        leaves,
        key: key.map_or_else(Vec::new, |row| row.get(0)),
    };
    ageing.hold_off_autovacuum().await?;
    let triggers = ageing.disable_triggers().await?;
    ageing.execute(SESSION).await?;
    let updated = ageing.update(aged.updated, told).await?;
    let deleted = ageing.delete(aged.deleted, told).await?;
    ageing.execute(SESSION_AFTER).await?;
    ageing.execute(&triggers).await?;
    Ok(Done { updated, deleted })
}

fn doing(plan: &TablePlan) -> String {
    format!("age {}", plan.name)
}

impl Ageing<'_> {
    async fn execute(&self, sql: &str) -> Result<(), DatasetError> {
        self.client.batch_execute(sql).await.map_err(failed(doing(self.plan)))
    }

    async fn query(&self, sql: &str) -> Result<Vec<Row>, DatasetError> {
        self.client.query(sql, &[&self.plan.target]).await.map_err(failed(doing(self.plan)))
    }

    async fn hold_off_autovacuum(&self) -> Result<(), DatasetError> {
        for (_, leaf) in &self.leaves {
            self.execute(&format!(
                "ALTER TABLE {leaf} SET (autovacuum_enabled = off, toast.autovacuum_enabled = off)"
            ))
            .await?;
        }
        Ok(())
    }

    /// Triggers would change rows or write elsewhere. Gives the statements that switch them on again as they were.
    async fn disable_triggers(&self) -> Result<String, DatasetError> {
        let root = "SELECT to_regclass($1)::oid";
        let mut tables: Vec<u32> = self.query(root).await?.iter().map(|row| row.get(0)).collect();
        tables.extend(self.leaves.iter().map(|(oid, _)| *oid));
        let triggers = self.client.query(TRIGGERS, &[&tables]).await.map_err(failed(doing(self.plan)))?;
        let (mut off, mut on) = (String::new(), String::new());
        for trigger in triggers {
            let (table, name, state): (String, String, String) =
                (trigger.get(0), trigger.get(1), trigger.get(2));
            let mode = match state.as_str() {
                "A" => "ENABLE ALWAYS",
                "R" => "ENABLE REPLICA",
                _ => "ENABLE",
            };
            off += &format!("ALTER TABLE ONLY {table} DISABLE TRIGGER {};", quoted(&name));
            on += &format!("ALTER TABLE ONLY {table} {mode} TRIGGER {};", quoted(&name));
        }
        self.execute(&off).await?;
        Ok(on)
    }

    /// Updates a share of the rows. Gives how many.
    async fn update(&self, share: f64, told: &mut (dyn FnMut(String) + Send)) -> Result<u64, DatasetError> {
        let settable = self.query(SETTABLE).await?;
        let is_key = |name: &String| self.key.contains(name);
        let names = || settable.iter().filter(|row| row.get(1)).map(|row| row.get::<_, String>(0));
        let Some(column) = names().find(|name| !is_key(name)).or_else(|| names().next()) else {
            told(format!("{} was not updated: its columns take no value in an UPDATE", self.plan.name));
            return Ok(0);
        };
        let mut indexed = self.indexed_columns().await?;
        let kept: Vec<&str> = indexed.iter().map(|column| column.name.as_str()).collect();
        let rows = self.choose("updated", share, "", &kept).await?;
        let column = quoted(&column);
        for (round, batch) in rounds(rows).enumerate() {
            if round % 2 == 1 && !indexed.is_empty() {
                let at = round / 2 % indexed.len();
                if let Some(refused) = self.change_and_back(&indexed[at], batch).await? {
                    told(format!(
                        "{}.{} was not changed and changed back: {refused}",
                        self.plan.name, indexed[at].name
                    ));
                    indexed.remove(at);
                } else {
                    continue;
                }
            }
            let set = format!("{column} = t.{column}");
            self.execute(&self.update_sql(&set, batch)).await?;
        }
        Ok(rows)
    }

    /// Gives why it cannot be done, if a constraint forbids it; then nothing was.
    async fn change_and_back(
        &self,
        column: &IndexedColumn,
        batch: (u64, u64),
    ) -> Result<Option<String>, DatasetError> {
        let name = quoted(&column.name);
        let [one, other] = &column.values;
        let away =
            format!("{name} = CASE WHEN t.{name} IS NOT DISTINCT FROM {one} THEN {other} ELSE {one} END");
        if let Err(error) = self.client.batch_execute(&self.update_sql(&away, batch)).await {
            // Integrity constraint violations.
            let is_forbidden = code(&error).is_some_and(|code| code.starts_with("23"));
            return if is_forbidden { Ok(Some(words(&error))) } else { Err(failed(doing(self.plan))(error)) };
        }
        self.execute(&self.update_sql(&format!("{name} = p.{name}"), batch)).await?;
        Ok(None)
    }

    fn update_sql(&self, set: &str, batch: (u64, u64)) -> String {
        let source = batch_sql(batch);
        format!("UPDATE {} AS t SET {set} FROM {source} AS p WHERE {}", self.plan.target, self.is_chosen())
    }

    /// Takes a share of the rows out and puts them back, in one statement: a foreign key without an action looks when it is
    /// over, and finds them. Of a table with others, only rows that nobody refers to are taken.
    async fn delete(&self, share: f64, told: &mut (dyn FnMut(String) + Send)) -> Result<u64, DatasetError> {
        let settable = self.query(SETTABLE).await?;
        let columns: Vec<String> = settable.iter().map(|row| quoted(&row.get::<_, String>(0))).collect();
        let mut free = String::new();
        let referrers = self.query(REFERRERS).await?;
        for referrer in &referrers {
            let (table, theirs, ours): (String, Vec<String>, Vec<String>) =
                (referrer.get(0), referrer.get(1), referrer.get(2));
            let same = theirs
                .iter()
                .zip(&ours)
                .map(|(their, our)| format!("r.{} = t.{}", quoted(their), quoted(our)));
            let same: Vec<String> = same.collect();
            free += &format!(" AND NOT EXISTS (SELECT FROM {table} AS r WHERE {})", same.join(" AND "));
        }
        let rows = self.choose("deleted", share, &free, &[]).await?;
        if !referrers.is_empty() && share > 0.0 {
            told(format!(
                "of {} only rows were deleted and put back that no other refers to, since its foreign keys act on a delete",
                self.plan.name
            ));
        }
        let columns = columns.join(", ");
        for batch in rounds(rows) {
            let (source, target) = (batch_sql(batch), &self.plan.target);
            self.execute(&format!(
                "WITH gone AS (DELETE FROM {target} AS t USING {source} AS p WHERE {} RETURNING t.*)
                 INSERT INTO {target} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM gone",
                self.is_chosen()
            ))
            .await?;
        }
        Ok(rows)
    }

    /// Puts a share of the rows into a temporary table, numbered in random order: their keys, or where there is none their
    /// places; and the columns named in `kept`. Gives how many they are.
    async fn choose(&self, purpose: &str, share: f64, and: &str, kept: &[&str]) -> Result<u64, DatasetError> {
        if share <= 0.0 {
            return Ok(0);
        }
        let draw = |what: &str| self.draws.name(purpose).name(what).at(0, 0).next_u64().cast_signed();
        let key: Vec<String> = self.key.iter().map(|name| format!("t.{}", quoted(name))).collect();
        // Rows without a key are chosen by what is in them, wherever they lie, and then found by their places.
        let (told_by, found_by) = if key.is_empty() {
            ("t".to_owned(), "t.tableoid AS dbdyno_rel, t.ctid AS dbdyno_tid".to_owned())
        } else {
            (format!("ROW({})", key.join(", ")), key.join(", "))
        };
        let kept: Vec<String> = kept.iter().map(|name| format!(", t.{}", quoted(name))).collect();
        let kept = kept.concat();
        let hash = |salt: i64| format!("hashtextextended(({told_by})::text COLLATE \"C\", '{salt}'::bigint)");
        // 2^63 fits no bigint: all are chosen where the share is 1.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float that is too large becomes the largest number"
        )]
        let below = (share * 9_223_372_036_854_775_808.0) as i64;
        self.execute(&format!(
            "DROP TABLE IF EXISTS pg_temp.dbdyno_aged;
             CREATE TEMPORARY TABLE dbdyno_aged AS
             SELECT row_number() OVER (ORDER BY {order}) AS dbdyno_n, {found_by}{kept}
             FROM {target} AS t
             WHERE ({which} & 9223372036854775807) <= {below}{and};
             CREATE INDEX ON pg_temp.dbdyno_aged (dbdyno_n);
             ANALYZE pg_temp.dbdyno_aged",
            order = hash(draw("order")),
            which = hash(draw("which")),
            target = self.plan.target,
        ))
        .await?;
        let count = "SELECT count(*) FROM pg_temp.dbdyno_aged";
        let row = self.client.query_one(count, &[]).await.map_err(failed(doing(self.plan)))?;
        Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
    }

    fn is_chosen(&self) -> String {
        let same: Vec<String> = if self.key.is_empty() {
            vec!["t.tableoid = p.dbdyno_rel".to_owned(), "t.ctid = p.dbdyno_tid".to_owned()]
        } else {
            self.key.iter().map(|name| format!("t.{0} = p.{0}", quoted(name))).collect()
        };
        same.join(" AND ")
    }

    /// Indexed columns that have two values at least, with the two.
    async fn indexed_columns(&self) -> Result<Vec<IndexedColumn>, DatasetError> {
        let mut columns = vec![];
        for row in self.query(INDEXED).await? {
            let (name, type_name): (String, String) = (row.get(0), row.get(1));
            let text = format!("({}::text COLLATE \"C\")", quoted(&name));
            let sql = format!("SELECT min({text}), max({text}) FROM {}", self.plan.target);
            let row = self.client.query_one(&sql, &[]).await.map_err(failed(doing(self.plan)))?;
            let (least, most): (Option<String>, Option<String>) = (row.get(0), row.get(1));
            if let (Some(least), Some(most)) = (least, most)
                && least != most
            {
                let literal = |text: &str| format!("'{}'::{type_name}", text.replace('\'', "''"));
                columns.push(IndexedColumn { name, values: [literal(&least), literal(&most)] });
            }
            if columns.len() == INDEXED_COLUMNS_MAX {
                break;
            }
        }
        Ok(columns)
    }
}

/// A column that an index holds, and two of its values as SQL writes them.
struct IndexedColumn {
    name: String,
    values: [String; 2],
}

/// Numbers of the rows of each round: above the first, up to the second.
fn rounds(rows: u64) -> impl Iterator<Item = (u64, u64)> {
    let size = rows.div_ceil(ROUNDS_MIN).clamp(1, ROUND_ROWS_MAX);
    (0..rows.div_ceil(size)).map(move |round| (round * size, rows.min((round + 1) * size)))
}

/// The rows of a round in their order.
fn batch_sql((above, up_to): (u64, u64)) -> String {
    format!(
        "(SELECT * FROM pg_temp.dbdyno_aged WHERE dbdyno_n > {above} AND dbdyno_n <= {up_to} ORDER BY dbdyno_n)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_share_every_row_once() {
        assert_eq!(rounds(0).count(), 0);
        assert_eq!(rounds(3).collect::<Vec<_>>(), [(0, 1), (1, 2), (2, 3)]);
        let many: Vec<_> = rounds(100_000).collect();
        assert_eq!(many.len(), 8);
        assert_eq!((many[0], many[7]), ((0, 12_500), (87_500, 100_000)));
        assert!(rounds(10_000_000).all(|(above, up_to)| up_to - above <= ROUND_ROWS_MAX));
    }
}
