//! What is known of an index before anything is measured: it is built once in a transaction that is rolled back, so that a
//! mistake in it, its size and the time that it takes are known, and the target is as it was.

use std::time::{Duration, Instant};

use super::advice::{blocks, caveats};
use super::{COMMENT, own_name};
use crate::dataset::DatasetError;
use crate::dataset::index::{ForeignKeyUse, Foreseen};
use crate::dataset::postgres::server::{failed, quoted, words};
use crate::db::postgres::Client;
use crate::sql::index::CreateIndex;
use crate::sql::quoting::folded;

/// How long a build on trial waits for those who use the table.
const PATIENCE: &str = "SET LOCAL lock_timeout = '10s'";

const TABLE: &str = "
    SELECT c.oid, CASE WHEN n.nspname = 'public' THEN c.relname::text ELSE n.nspname || '.' || c.relname END AS name,
           quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS quoted, n.nspname::text AS schema, c.relname::text AS plain,
           c.relkind::text AS kind, pg_has_role(c.relowner, 'USAGE') AS owned,
           coalesce((SELECT option_value::int FROM pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor'), 100)
               AS fillfactor,
           (SELECT sum(greatest(p.reltuples, 0))::float8 FROM pg_class p WHERE p.oid IN (SELECT c.oid UNION SELECT relid FROM pg_partition_tree(c.oid))
               AND (p.relkind = 'r' OR p.oid = c.oid)) AS rows,
           (SELECT sum(pg_relation_size(r.id))::bigint FROM (SELECT c.oid AS id UNION SELECT relid FROM pg_partition_tree(c.oid)) r)
               AS bytes
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = to_regclass($1)::oid";

/// Size, and whether it holds expressions. `$1` is the name as commands take it.
const BUILT: &str = "
    SELECT i.indexrelid, (SELECT sum(pg_relation_size(r.id))::bigint
        FROM (SELECT i.indexrelid AS id UNION SELECT relid FROM pg_partition_tree(i.indexrelid)) r) AS bytes,
        i.indexprs IS NOT NULL AS has_expressions
    FROM pg_index i WHERE i.indexrelid = to_regclass($1)::oid";

/// Foreign keys of the table `$1` whose columns are the leading ones of the index `$2`, with another index of which that holds as
/// well. Partial indexes do not count: the server's own look-ups do not know their predicates.
const FOREIGN_KEYS: &str = "
    WITH fits AS (
        SELECT con.oid AS con, i.indexrelid
        FROM pg_constraint con JOIN pg_index i ON i.indrelid = con.conrelid
        WHERE con.contype = 'f' AND con.conrelid = $1 AND con.conparentid = 0 AND i.indpred IS NULL
          AND (i.indisvalid OR i.indexrelid = $2) AND cardinality(con.conkey) <= i.indnkeyatts
          AND (SELECT array_agg(k ORDER BY k) FROM unnest((i.indkey::int2[])[0:cardinality(con.conkey) - 1]) k)
              = (SELECT array_agg(k ORDER BY k) FROM unnest(con.conkey) k))
    SELECT con.conname::text AS name, con.confrelid::regclass::text AS parent, con.confdeltype::text AS on_delete,
           con.confupdtype IN ('c', 'n', 'd') AS changes_on_update,
           (SELECT min(o.indexrelid::regclass::text) FROM fits o WHERE o.con = f.con AND o.indexrelid <> $2
               AND o.indexrelid <> ALL ($3)) AS other_index
    FROM fits f JOIN pg_constraint con ON con.oid = f.con
    WHERE f.indexrelid = $2 ORDER BY 1";

/// An index of the same table that is made alike as `$1`: it answers the same searches and forbids no less. Those of `$2` go as well.
const TWIN: &str = "
    SELECT CASE WHEN n.nspname = 'public' THEN c.relname::text ELSE n.nspname || '.' || c.relname END AS name
    FROM pg_index i JOIN pg_class own ON own.oid = i.indexrelid
    JOIN pg_index o ON o.indrelid = i.indrelid AND o.indexrelid <> i.indexrelid AND o.indexrelid <> ALL ($2)
    JOIN pg_class c ON c.oid = o.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE i.indexrelid = $1 AND o.indisvalid AND c.relam = own.relam AND NOT (i.indisexclusion OR o.indisexclusion)
      AND o.indnkeyatts = i.indnkeyatts
      AND (o.indkey::int2[])[0:o.indnkeyatts - 1] = (i.indkey::int2[])[0:i.indnkeyatts - 1]
      AND o.indclass::oid[] = i.indclass::oid[] AND o.indcollation::oid[] = i.indcollation::oid[]
      AND o.indoption::int2[] = i.indoption::int2[]
      AND (SELECT array_agg(k ORDER BY k) FROM unnest((o.indkey::int2[])[o.indnkeyatts:o.indnatts - 1]) k)
          IS NOT DISTINCT FROM (SELECT array_agg(k ORDER BY k) FROM unnest((i.indkey::int2[])[i.indnkeyatts:i.indnatts - 1]) k)
      AND pg_get_expr(o.indexprs, o.indrelid) IS NOT DISTINCT FROM pg_get_expr(i.indexprs, i.indrelid)
      AND pg_get_expr(o.indpred, o.indrelid) IS NOT DISTINCT FROM pg_get_expr(i.indpred, i.indrelid)
      AND (NOT i.indisunique OR o.indisunique AND o.indimmediate = i.indimmediate
          AND (pg_get_indexdef(o.indexrelid) LIKE '%NULLS NOT DISTINCT%') = (pg_get_indexdef(i.indexrelid) LIKE '%NULLS NOT DISTINCT%'))
    ORDER BY o.indisprimary DESC, o.indisunique DESC, 1 LIMIT 1";

const EXISTING: &str = "
    SELECT i.indexrelid, i.indrelid::regclass::text AS on_table, pg_get_indexdef(i.indexrelid) AS definition,
           i.indisprimary, i.indisunique, i.indisexclusion, i.indisreplident, i.indisclustered, i.indisvalid, c.relispartition,
           c.relkind::text AS kind, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS quoted,
           CASE WHEN n.nspname = 'public' THEN c.relname::text ELSE n.nspname || '.' || c.relname END AS name,
           quote_ident(c.relname) AS plain_quoted,
           (SELECT min(conname::text) FROM pg_constraint WHERE conindid = c.oid AND contype IN ('p', 'u', 'x')) AS constraint_name,
           (SELECT string_agg(conname || ' of ' || conrelid::regclass, ', ') FROM pg_constraint
            WHERE conindid = c.oid AND contype = 'f') AS referenced_by,
           obj_description(c.oid, 'pg_class') AS comment, (SELECT spcname::text FROM pg_tablespace WHERE oid = c.reltablespace)
               AS tablespace,
           ARRAY(SELECT a.attnum || ' ' || a.attstattarget FROM pg_attribute a
                 WHERE a.attrelid = c.oid AND i.indkey[a.attnum - 1] = 0 AND coalesce(a.attstattarget, -1) >= 0) AS targets,
           coalesce(s.idx_scan, 0) AS scans
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_stat_user_indexes s ON s.indexrelid = c.oid
    WHERE c.oid = to_regclass($1)::oid";

/// Indexes of the tables `$1` that no rule of the data rests on, by their names as commands take them, the largest first.
const SPARE: &str = "
    SELECT quote_ident(s.schemaname) || '.' || quote_ident(s.indexrelname) AS quoted, s.indexrelname::text AS name
    FROM pg_stat_user_indexes s JOIN pg_index i ON i.indexrelid = s.indexrelid JOIN pg_class c ON c.oid = s.indexrelid
    WHERE CASE WHEN s.schemaname = 'public' THEN s.relname::text ELSE s.schemaname || '.' || s.relname END = ANY ($1)
      AND NOT (i.indisunique OR i.indisprimary OR i.indisexclusion OR i.indisreplident OR c.relispartition)
      AND i.indisvalid AND NOT EXISTS (SELECT FROM pg_constraint con WHERE con.conindid = i.indexrelid)
    ORDER BY c.relpages DESC, s.indexrelid";

/// The server's number of this session.
pub async fn backend(client: &Client) -> Result<u32, DatasetError> {
    let row = client.query_one("SELECT pg_backend_pid()", &[]).await;
    let pid: i32 = row.map_err(failed("ask for the number of this session"))?.get(0);
    Ok(u32::try_from(pid).unwrap_or(0))
}

/// Whether an index may be hidden from the planner, by the catalogue itself; the inner error says why not.
pub async fn may_hide(client: &Client, is_allowed: bool) -> Result<Result<(), String>, DatasetError> {
    if !is_allowed {
        return Ok(Err("what the index costs writes is not told apart from what it gives reads: --allow-catalog-change lets dbdyno \
                       hide it from the planner for a time, by pg_index"
            .to_owned()));
    }
    let asked = "SELECT coalesce((SELECT rolsuper FROM pg_roles WHERE rolname = current_user), false)";
    let row = client.query_one(asked, &[]).await.map_err(failed("ask for the rights of this user"))?;
    let is_superuser: bool = row.get(0);
    Ok(if is_superuser {
        Ok(())
    } else {
        Err("only a superuser may hide an index from the planner".to_owned())
    })
}

/// Builds an index on trial. The inner error says what is wrong with it.
pub async fn added(
    client: &Client,
    index: &CreateIndex,
    number: usize,
) -> Result<Result<Foreseen, String>, DatasetError> {
    let doing = || format!("look up table {}", index.table);
    let Some(table) = client.query_opt(TABLE, &[&index.table]).await.map_err(failed(doing()))? else {
        return Ok(Err(format!("there is no table {}", index.table)));
    };
    let (kind, owned): (String, bool) = (table.get("kind"), table.get("owned"));
    if !["r", "p", "m"].contains(&kind.as_str()) {
        return Ok(Err(format!("{} is no table", index.table)));
    }
    if !owned {
        return Ok(Err(format!("only the owner of {} may build an index on it", index.table)));
    }
    let (schema, plain): (String, String) = (table.get("schema"), table.get("plain"));
    let base = index.name.as_deref().map_or_else(|| format!("{plain}_{number}"), folded);
    let own = own_name(&base);
    let own_quoted = format!("{}.{}", quoted(&schema), quoted(&own));
    if let Err(taken) = free_name(client, &own_quoted).await? {
        return Ok(Err(taken));
    }
    if let Some(name) = &index.name
        && let Some(reason) = taken(client, &format!("{}.{name}", quoted(&schema))).await?
    {
        return Ok(Err(reason));
    }
    let definition = index.named(&quoted(&own));
    let production = if kind == "p" {
        vec![
            format!("{};", index.plainly()),
            "-- PostgreSQL cannot do this CONCURRENTLY on a partitioned table: build it ON ONLY the table, CONCURRENTLY on each \
             partition, and attach those"
                .to_owned(),
        ]
    } else {
        vec![format!("{};", index.concurrently())]
    };
    let name = if schema == "public" { own.clone() } else { format!("{schema}.{own}") };
    let foreseen = Foreseen {
        label: index.label(),
        name,
        build: vec![format!("{definition}; COMMENT ON INDEX {own_quoted} IS '{COMMENT}'")],
        put_back: vec![format!("DROP INDEX IF EXISTS {own_quoted}")],
        caveats: caveats(true),
        quoted: own_quoted,
        definition,
        table: table.get("name"),
        table_quoted: table.get("quoted"),
        rows: table.get::<_, Option<f64>>("rows").unwrap_or(0.0),
        table_bytes: size(table.get("bytes")),
        fillfactor: u32::try_from(table.get::<_, i32>("fillfactor")).ok(),
        production,
        ..Foreseen::default()
    };
    let id = table.get::<_, u32>("oid");
    Ok(on_trial(client, foreseen, id).await?.map_err(|words| format!("the server refuses it: {words}")))
}

/// Whether the name is free. What an experiment left behind under it is dropped.
async fn free_name(client: &Client, name: &str) -> Result<Result<(), String>, DatasetError> {
    let doing = || format!("look up {name}");
    let asked = "SELECT obj_description(to_regclass($1)::oid, 'pg_class') FROM pg_class WHERE oid = to_regclass($1)::oid";
    let Some(row) = client.query_opt(asked, &[&name]).await.map_err(failed(doing()))? else {
        return Ok(Ok(()));
    };
    let comment: Option<String> = row.get(0);
    if comment.as_deref() != Some(COMMENT) {
        return Ok(Err(format!("{name} is there already and not dbdyno's: rename it")));
    }
    let dropped = client.batch_execute(&format!("DROP INDEX IF EXISTS {name}")).await;
    dropped.map_err(failed(format!("drop {name}, which an earlier experiment left behind")))?;
    Ok(Ok(()))
}

async fn taken(client: &Client, name: &str) -> Result<Option<String>, DatasetError> {
    let asked = "SELECT pg_get_indexdef(to_regclass($1)::oid), to_regclass($1) IS NOT NULL";
    let row = client.query_one(asked, &[&name]).await.map_err(failed(format!("look up {name}")))?;
    let (definition, is_there): (Option<String>, bool) = (row.get(0), row.get(1));
    Ok(is_there.then(|| match definition {
        Some(definition) => format!("{name} is there already ({definition}): is --drop what is meant?"),
        None => format!("{name} is there already: give the index another name"),
    }))
}

/// What a build on trial showed.
struct Built {
    took: Duration,
    bytes: u64,
    has_expressions: bool,
    foreign_keys: Vec<ForeignKeyUse>,
    twin: Option<String>,
}

/// Builds it in a transaction, looks at it, and takes it back.
async fn on_trial(
    client: &Client,
    mut foreseen: Foreseen,
    table: u32,
) -> Result<Result<Foreseen, String>, DatasetError> {
    let doing = || format!("build {} on trial", foreseen.label);
    client.batch_execute("BEGIN").await.map_err(failed(doing()))?;
    let built = async {
        client.batch_execute(PATIENCE).await?;
        let begun = Instant::now();
        client.batch_execute(&foreseen.definition).await?;
        let took = begun.elapsed();
        let row = client.query_one(BUILT, &[&foreseen.quoted]).await?;
        let id: u32 = row.get("indexrelid");
        let keys = client.query(FOREIGN_KEYS, &[&table, &id, &Vec::<u32>::new()]).await?;
        let twin = client.query_opt(TWIN, &[&id, &Vec::<u32>::new()]).await?.map(|row| row.get("name"));
        Ok::<_, tokio_postgres::Error>(Built {
            took,
            bytes: size(row.get("bytes")),
            has_expressions: row.get("has_expressions"),
            foreign_keys: keys.iter().map(foreign_key).collect(),
            twin,
        })
    }
    .await;
    client.batch_execute("ROLLBACK").await.map_err(failed(doing()))?;
    match built {
        Ok(built) => {
            foreseen.build_us = u64::try_from(built.took.as_micros()).unwrap_or(u64::MAX);
            foreseen.blocks = blocks(&foreseen.table, built.took);
            foreseen.size_bytes = built.bytes;
            foreseen.has_expressions = built.has_expressions;
            foreseen.foreign_keys = built.foreign_keys;
            foreseen.twin = built.twin;
            Ok(Ok(foreseen))
        }
        Err(error) if error.as_db_error().is_some() => Ok(Err(words(&error))),
        Err(error) => Err(failed(doing())(error)),
    }
}

fn foreign_key(row: &tokio_postgres::Row) -> ForeignKeyUse {
    let on_delete: String = row.get("on_delete");
    ForeignKeyUse {
        name: row.get("name"),
        parent: row.get("parent"),
        on_delete: match on_delete.as_str() {
            "c" => "cascade",
            "n" => "set null",
            "d" => "set default",
            "r" => "restrict",
            _ => "no action",
        }
        .to_owned(),
        changes_on_update: row.get("changes_on_update"),
        other_index: row.get("other_index"),
    }
}

/// What is known of an index that is there. The inner error says why it cannot be put to the test. `together` are those that go
/// with it: they serve nothing in its place.
pub async fn dropped(
    client: &Client,
    name: &str,
    together: &[String],
) -> Result<Result<Foreseen, String>, DatasetError> {
    let doing = || format!("look up index {name}");
    let Some(row) = client.query_opt(EXISTING, &[&name]).await.map_err(failed(doing()))? else {
        return Ok(Err(
            "there is no index of this name (write its schema, if that is not on the search path)".to_owned(),
        ));
    };
    if let Some(reason) = needed(&row) {
        return Ok(Err(reason));
    }
    let on_table: String = row.get("on_table");
    let table = client.query_one(TABLE, &[&on_table]).await.map_err(failed(doing()))?;
    if !table.get::<_, bool>("owned") {
        return Ok(Err(format!("only the owner of {on_table} may drop it")));
    }
    let (definition, index): (String, String) = (row.get("definition"), row.get("quoted"));
    let build = original(&row, &definition, &index, &table.get::<_, String>("quoted"));
    let built = client.query_one(BUILT, &[&index]).await.map_err(failed(doing()))?;
    let others = "SELECT coalesce(array_agg(to_regclass(n)::oid) FILTER (WHERE to_regclass(n) IS NOT NULL), '{}') FROM unnest($1::text[]) n";
    let others: Vec<u32> = client.query_one(others, &[&together]).await.map_err(failed(doing()))?.get(0);
    let id = row.get::<_, u32>("indexrelid");
    let table_id = table.get::<_, u32>("oid");
    let keys = client.query(FOREIGN_KEYS, &[&table_id, &id, &others]).await.map_err(failed(doing()))?;
    let twin = client.query_opt(TWIN, &[&id, &others]).await.map_err(failed(doing()))?;
    let is_partitioned = row.get::<_, String>("kind") == "I";
    let concurrently = if is_partitioned { "" } else { "CONCURRENTLY " };
    let mut foreseen = Foreseen {
        label: row.get("name"),
        name: row.get("name"),
        production: vec![format!("DROP INDEX {concurrently}{index};")],
        caveats: caveats(false),
        put_back: [vec![format!("DROP INDEX IF EXISTS {index}")], build.clone()].concat(),
        build,
        is_there: true,
        definition,
        quoted: index,
        table: table.get("name"),
        table_quoted: table.get("quoted"),
        rows: table.get::<_, Option<f64>>("rows").unwrap_or(0.0),
        table_bytes: size(table.get("bytes")),
        fillfactor: u32::try_from(table.get::<_, i32>("fillfactor")).ok(),
        size_bytes: size(built.get("bytes")),
        has_expressions: built.get("has_expressions"),
        scans_before: Some(size(row.get("scans"))),
        foreign_keys: keys.iter().map(foreign_key).collect(),
        twin: twin.map(|row| row.get("name")),
        ..Foreseen::default()
    };
    match rebuilt_on_trial(client, &foreseen).await? {
        Ok(took) => {
            foreseen.build_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            foreseen.blocks = blocks(&foreseen.table, took);
        }
        Err(words) => return Ok(Err(format!("it could not be put back: {words}"))),
    }
    Ok(Ok(foreseen))
}

/// How long it takes to build it again, tried out in a transaction that is rolled back: what could not be put back is not dropped.
async fn rebuilt_on_trial(
    client: &Client,
    foreseen: &Foreseen,
) -> Result<Result<Duration, String>, DatasetError> {
    let doing = || format!("build {} on trial", foreseen.label);
    client.batch_execute("BEGIN").await.map_err(failed(doing()))?;
    let built = async {
        client.batch_execute(PATIENCE).await?;
        client.batch_execute(&format!("DROP INDEX {}", foreseen.quoted)).await?;
        let begun = Instant::now();
        for statement in &foreseen.build {
            client.batch_execute(statement).await?;
        }
        Ok::<_, tokio_postgres::Error>(begun.elapsed())
    }
    .await;
    client.batch_execute("ROLLBACK").await.map_err(failed(doing()))?;
    match built {
        Ok(took) => Ok(Ok(took)),
        Err(error) if error.as_db_error().is_some() => Ok(Err(words(&error))),
        Err(error) => Err(failed(doing())(error)),
    }
}

/// Why an index must not go, if it must not.
fn needed(row: &tokio_postgres::Row) -> Option<String> {
    let constraint: Option<String> = row.get("constraint_name");
    let referenced: Option<String> = row.get("referenced_by");
    let is = |column| row.get::<_, bool>(column);
    let remedy = "drop the constraint, not the index, if the data shall be without it";
    if is("indisprimary") {
        return Some(format!("it is the primary key {}: {remedy}", constraint.unwrap_or_default()));
    }
    if let Some(keys) = referenced {
        return Some(format!("the foreign key {keys} refers to its columns, which must stay unique"));
    }
    if let Some(constraint) = constraint {
        let what = if is("indisexclusion") { "exclusion" } else { "unique" };
        return Some(format!("it belongs to the {what} constraint {constraint}: {remedy}"));
    }
    if is("indisunique") {
        return Some(
            "it forbids duplicates: rows that were written without it could keep it from being put back"
                .to_owned(),
        );
    }
    if is("indisreplident") {
        return Some(
            "it is the replica identity of its table, by which logical replication tells rows apart"
                .to_owned(),
        );
    }
    if is("relispartition") {
        return Some("it is a part of the index of a partitioned table: name that one".to_owned());
    }
    (!is("indisvalid"))
        .then(|| "it is not valid, so that no query uses it: drop it, or REINDEX it".to_owned())
}

/// What makes it again as it was.
fn original(row: &tokio_postgres::Row, definition: &str, index: &str, table: &str) -> Vec<String> {
    let (comment, tablespace): (Option<String>, Option<String>) = (row.get("comment"), row.get("tablespace"));
    let targets: Vec<String> = row.get("targets");
    let create = match tablespace {
        // The definition does not tell where it lies.
        Some(tablespace) => {
            format!("SET LOCAL default_tablespace = {}; {definition}", quoted(&tablespace))
        }
        None => definition.to_owned(),
    };
    let mut statements = vec![create];
    if let Some(comment) = comment {
        statements.push(format!("COMMENT ON INDEX {index} IS '{}'", comment.replace('\'', "''")));
    }
    for target in targets {
        if let Some((column, target)) = target.split_once(' ') {
            statements.push(format!("ALTER INDEX {index} ALTER COLUMN {column} SET STATISTICS {target}"));
        }
    }
    if row.get("indisclustered") {
        let plain: String = row.get("plain_quoted");
        statements.push(format!("ALTER TABLE {table} CLUSTER ON {plain}"));
    }
    statements
}

/// Indexes of the tables that no rule of the data rests on and that are not among the `used` ones, as commands take their names.
pub async fn unused(
    client: &Client,
    tables: &[String],
    used: &[String],
) -> Result<Vec<String>, DatasetError> {
    let rows =
        client.query(SPARE, &[&tables]).await.map_err(failed("look for indexes that no statement uses"))?;
    let spare = rows.iter().map(|row| (row.get::<_, String>("quoted"), row.get::<_, String>("name")));
    Ok(spare.filter(|(_, name)| !used.contains(name)).map(|(quoted, _)| quoted).collect())
}

fn size(count: Option<i64>) -> u64 {
    count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
}
