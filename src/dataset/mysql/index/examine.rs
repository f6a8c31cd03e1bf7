//! What is known of an index before anything is measured: it is built once under a name of its own and dropped at once, so that a
//! mistake in it, its size and the time that it takes are known. One that is there is left alone meanwhile: its like is built.

use std::time::{Duration, Instant};

use mysql_async::Error;

use super::advice::{IN_PLACE, blocks, caveats};
use super::arrange::{NO_PATIENCE, PATIENCE, objection};
use super::catalogue::{Beside, Key, foreign_keys, keys};
use super::{COMMENT, is_named, own_name, quoted, removal, visibility};
use crate::dataset::DatasetError;
use crate::dataset::index::Foreseen;
use crate::dataset::mysql::introspect::parts;
use crate::dataset::mysql::server::{code, failed, literal, number, text};
use crate::db::mysql::Client;
use crate::sql::index::CreateIndex;

/// `ER_ALTER_OPERATION_NOT_SUPPORTED` and the same with its reason.
const NOT_IN_PLACE: [u16; 2] = [1845, 1846];

const TABLE: &str = "
    SELECT TABLE_NAME, TABLE_TYPE, COALESCE(ENGINE, ''), COALESCE(TABLE_ROWS, 0), COALESCE(DATA_LENGTH, 0)
    FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?";

/// Bytes of an index, by the pages that InnoDB counted when it was built; those of all partitions of its table.
const SIZE: &str = "
    SELECT CAST(SUM(stat_value) * @@GLOBAL.innodb_page_size AS UNSIGNED) FROM mysql.innodb_index_stats
    WHERE database_name = DATABASE() AND (table_name = ? OR LEFT(table_name, CHAR_LENGTH(?) + 1) = CONCAT(?, '#'))
      AND index_name = ? AND stat_name = 'size'";
const BY_STATISTICS: &str = "by the pages that mysql.innodb_index_stats counts";

/// Bytes of all indexes of a table but the primary one.
const INDEX_LENGTH: &str = "
    SELECT COALESCE(INDEX_LENGTH, 0) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?";
const BY_LENGTH: &str = "by the INDEX_LENGTH of information_schema.TABLES with it and without it, since mysql.innodb_index_stats does not \
                         tell it";

/// Tables with an index of the name `?`, and whether that is the table `?`, where one is named.
const FIND: &str = "
    SELECT DISTINCT TABLE_NAME FROM information_schema.STATISTICS
    WHERE TABLE_SCHEMA = DATABASE() AND INDEX_NAME = ? AND TABLE_NAME = COALESCE(?, TABLE_NAME) ORDER BY TABLE_NAME";

/// A table as far as it matters here.
struct Table {
    name: String,
    quoted: String,
    rows: f64,
    bytes: u64,
    keys: Vec<Key>,
}

impl Table {
    fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| is_named(&key.name, name))
    }
}

/// The table of that name. The inner error says why no index of it can be put to the test.
async fn table(client: &Client, given: &str) -> Result<Result<Table, String>, DatasetError> {
    let doing = || format!("look up table {given}");
    let (schema, name) = parts(given);
    if let Some(schema) = schema {
        let rows = client.rows("SELECT DATABASE()").await.map_err(failed(doing()))?;
        let here = rows.first().and_then(|row| text(row, 0)).unwrap_or_default();
        if !is_named(&schema, &here) {
            return Ok(Err(format!(
                "it lies in the database {schema}: name that one in the URL of the target in place of {here}"
            )));
        }
    }
    let rows = client.rows_with(TABLE, (&name,)).await.map_err(failed(doing()))?;
    let Some(row) = rows.first() else { return Ok(Err(format!("there is no table {given}"))) };
    let of = |column| text(row, column).unwrap_or_default();
    if of(1) != "BASE TABLE" {
        return Ok(Err(format!("{given} is no table that an index is built on: {}", of(1).to_lowercase())));
    }
    if of(2) != "InnoDB" {
        return Ok(Err(format!(
            "{given} is kept by {}, and what an index costs is known of InnoDB's tables only",
            of(2)
        )));
    }
    let name = of(0);
    let keys = keys(client, &name).await?;
    let (rows, bytes) = (number(row, 3).unwrap_or(0.0), number(row, 4).unwrap_or(0));
    Ok(Ok(Table { quoted: quoted(&name), name, rows, bytes, keys }))
}

/// Builds an index on trial. The inner error says what is wrong with it.
pub async fn added(
    client: &Client,
    index: &CreateIndex,
    number: usize,
) -> Result<Result<Foreseen, String>, DatasetError> {
    let table = match table(client, &index.table).await? {
        Ok(table) => table,
        Err(why) => return Ok(Err(why)),
    };
    let given = index.name.as_deref().map(|name| parts(name).1);
    if let Some(name) = &given
        && table.key(name).is_some()
    {
        return Ok(Err(format!("{} has an index {name} already: is --drop what is meant?", table.name)));
    }
    let own = own_name(&given.clone().unwrap_or_else(|| format!("{}_{number}", table.name)));
    let index = CreateIndex { table: table.quoted.clone(), ..index.clone() };
    let addition = format!("{} COMMENT {}", index.alteration(Some(&quoted(&own))), literal(COMMENT));
    let trial = match on_trial(client, &table, &addition, &own).await? {
        Ok(trial) => trial,
        Err(why) => return Ok(Err(why)),
    };
    let known = foreign_keys(client, &table.name).await?;
    let others = table.keys.iter().filter(|key| !is_named(&key.name, &own)).collect();
    let beside = Beside { table: &table.name, own: &trial.own, others, foreign_keys: &known };
    let production = index.alteration(given.as_deref().map(quoted).as_deref());
    let in_place = if trial.in_place { IN_PLACE } else { "" };
    Ok(Ok(Foreseen {
        label: CreateIndex { table: table.name.clone(), ..index.clone() }.label(),
        name: format!("{}.{own}", table.name),
        quoted: quoted(&own),
        definition: index.alteration(Some(&quoted(&own))),
        rows: table.rows,
        table_bytes: table.bytes,
        build_us: u64::try_from(trial.took.as_micros()).unwrap_or(u64::MAX),
        size_bytes: trial.bytes,
        size_by: Some(trial.size_by.to_owned()),
        blocks: blocks(&table.name, trial.in_place),
        production: vec![format!("{production}{in_place};")],
        caveats: caveats(true, ""),
        foreign_keys: beside.uses(),
        twin: beside.twin(),
        covered_by: beside.covered_by(),
        covers: beside.covered(),
        build: vec![addition],
        put_back: vec![removal(&table.quoted, &quoted(&own))],
        notes: trial.notes,
        table_quoted: table.quoted,
        table: table.name,
        ..Foreseen::default()
    }))
}

/// What a build on trial showed.
struct Trial {
    own: Key,
    took: Duration,
    /// Whether the server builds it beside reads and writes.
    in_place: bool,
    bytes: u64,
    size_by: &'static str,
    notes: Vec<String>,
}

/// Builds an index under the name `own`, looks at it, and drops it. What an experiment left behind under that name is dropped first.
async fn on_trial(
    client: &Client,
    table: &Table,
    addition: &str,
    own: &str,
) -> Result<Result<Trial, String>, DatasetError> {
    if let Some(left) = table.key(own) {
        if left.comment != COMMENT {
            return Ok(Err(format!(
                "{} has an index {own} already, and it is not dbdyno's: rename it",
                table.name
            )));
        }
        let dropped = client.run(&removal(&table.quoted, &quoted(own))).await;
        dropped.map_err(failed(format!("drop {own}, which an earlier experiment left behind")))?;
    }
    let doing = || format!("build {own} on trial");
    let definitions = definitions(client, table).await?;
    client.run(PATIENCE).await.map_err(failed(doing()))?;
    let begun = Instant::now();
    let mut built = client.run(&format!("{addition}{IN_PLACE}")).await;
    let is_refused =
        built.as_ref().is_err_and(|error| code(error).is_some_and(|code| NOT_IN_PLACE.contains(&code)));
    if is_refused {
        built = client.run(addition).await;
    }
    let took = begun.elapsed();
    client.run(NO_PATIENCE).await.map_err(failed(doing()))?;
    match built {
        Ok(_) => {}
        Err(error @ Error::Server(_)) => {
            return Ok(Err(format!("the server refuses it: {}", objection(&error))));
        }
        Err(error) => return Err(failed(doing())(error)),
    }
    let looked = look(client, table, own).await;
    // Whatever was seen of it, it goes, and what went for it comes back.
    let notes = take_back(client, table, own, &definitions).await?;
    let (own, size) = looked?;
    let (bytes, size_by) = match size {
        Size::Counted(bytes) => (bytes, BY_STATISTICS),
        Size::OfAll(with) => (with.saturating_sub(index_length(client, table).await?), BY_LENGTH),
    };
    Ok(Ok(Trial { own, took, in_place: !is_refused, bytes, size_by, notes }))
}

/// What is known of a size, in bytes.
enum Size {
    /// That of the index.
    Counted(u64),
    /// That of all indexes of its table.
    OfAll(u64),
}

/// An index that was built, and its size.
async fn look(client: &Client, table: &Table, own: &str) -> Result<(Key, Size), DatasetError> {
    let size = match counted(client, &table.name, own).await? {
        Some(bytes) => Size::Counted(bytes),
        None => Size::OfAll(index_length(client, table).await?),
    };
    let key = keys(client, &table.name).await?.into_iter().find(|key| is_named(&key.name, own));
    let key = key.ok_or_else(|| DatasetError::Server {
        doing: format!("build {own} on trial"),
        message: "it was built, and is not there".to_owned(),
    })?;
    Ok((key, size))
}

/// Size of an index; nothing where the statistics do not have it, or not for this user.
async fn counted(client: &Client, table: &str, index: &str) -> Result<Option<u64>, DatasetError> {
    match client.rows_with(SIZE, (table, table, table, index)).await {
        Ok(rows) => Ok(rows.first().and_then(|row| number(row, 0))),
        Err(Error::Server(_)) => Ok(None),
        Err(error) => Err(failed(format!("ask for the size of {index}"))(error)),
    }
}

/// Size of all indexes of a table but the primary one, counted now.
async fn index_length(client: &Client, table: &Table) -> Result<u64, DatasetError> {
    let doing = || failed(format!("ask for the size of the indexes of {}", table.name));
    client.rows(&format!("ANALYZE TABLE {}", table.quoted)).await.map_err(doing())?;
    let rows = client.rows_with(INDEX_LENGTH, (&table.name,)).await.map_err(doing())?;
    Ok(rows.first().and_then(|row| number(row, 0)).unwrap_or(0))
}

/// Drops the index of a trial. One that the server had made by itself for a foreign key is gone as soon as another one serves that: it
/// is made again first, since the foreign key needs either. Gives what is to be said of it.
async fn take_back(
    client: &Client,
    table: &Table,
    own: &str,
    definitions: &[(String, String)],
) -> Result<Vec<String>, DatasetError> {
    let now = keys(client, &table.name).await?;
    let mut notes = Vec::new();
    for (name, definition) in definitions {
        if now.iter().any(|key| is_named(&key.name, name)) {
            continue;
        }
        let made = client.run(&format!("ALTER TABLE {} ADD {definition}", table.quoted)).await;
        made.map_err(failed(format!("make the index {name} of {} again", table.name)))?;
        notes.push(format!(
            "the server had made the index {name} of {} by itself for a foreign key, and dropped it as soon as another one served that; it \
             is there again, and from now on it stays until somebody drops it",
            table.name
        ));
    }
    let dropped = client.run(&removal(&table.quoted, &quoted(own))).await;
    dropped.map_err(failed(format!("drop {own}, which was built on trial")))?;
    Ok(notes)
}

/// How each index of the table but the primary one is made, by its name, in the server's words: ``KEY `i` (`a`,`b`) COMMENT 'x'``.
async fn definitions(client: &Client, table: &Table) -> Result<Vec<(String, String)>, DatasetError> {
    let rows = client.rows(&format!("SHOW CREATE TABLE {}", table.quoted)).await;
    let rows = rows.map_err(failed(format!("ask how {} is made", table.name)))?;
    let text = rows.first().and_then(|row| text(row, 1)).unwrap_or_default();
    Ok(table.keys.iter().filter_map(|key| Some((key.name.clone(), defined(&text, &key.name)?))).collect())
}

/// The line of an index in what SHOW CREATE TABLE says: each stands in one of its own.
fn defined(text: &str, index: &str) -> Option<String> {
    let name = quoted(index);
    text.lines().find_map(|line| {
        let line = line.trim().trim_end_matches(',');
        let is_it = ["KEY ", "UNIQUE KEY "].iter().any(|opening| {
            line.strip_prefix(opening).is_some_and(|rest| rest.starts_with(&format!("{name} ")))
        });
        is_it.then(|| line.to_owned())
    })
}

/// What is known of an index that is there. The inner error says why it cannot be put to the test. `together` are those that go
/// with it: they serve nothing in its place.
pub async fn dropped(
    client: &Client,
    name: &str,
    together: &[String],
) -> Result<Result<Foreseen, String>, DatasetError> {
    let table = match table_with(client, name).await? {
        Ok(table) => table,
        Err(why) => return Ok(Err(why)),
    };
    let wanted = parts(name).1;
    let Some(own) = table.key(&wanted) else {
        return Ok(Err(format!("{} has no index of this name any more", table.name)));
    };
    if let Some(why) = needed(own) {
        return Ok(Err(why));
    }
    let definitions = definitions(client, &table).await?;
    let Some((_, definition)) = definitions.into_iter().find(|(name, _)| *name == own.name) else {
        return Ok(Err(
            "SHOW CREATE TABLE does not tell how it is made, so that it could not be put back".to_owned()
        ));
    };
    let known = foreign_keys(client, &table.name).await?;
    let goes = |key: &&Key| {
        let is_named_there = |name: &String| {
            let (of_table, index) = parts(name);
            of_table.is_none_or(|of_table| is_named(&of_table, &table.name)) && is_named(&key.name, &index)
        };
        is_named(&key.name, &own.name) || together.iter().any(is_named_there)
    };
    let others = table.keys.iter().filter(|key| !goes(key)).collect();
    let beside = Beside { table: &table.name, own, others, foreign_keys: &known };
    let (mark, copy) = (quoted(&own.name), own_name(&own.name));
    let alike = definition.replacen(&mark, &quoted(&copy), 1);
    let addition = format!("ALTER TABLE {} ADD {alike} COMMENT {}", table.quoted, literal(COMMENT));
    let trial = match on_trial(client, &table, &addition, &copy).await? {
        Ok(trial) => trial,
        Err(why) => {
            return Ok(Err(format!("its like cannot be built, so that it could not be put back: {why}")));
        }
    };
    let (size_bytes, size_by) = match counted(client, &table.name, &own.name).await? {
        Some(bytes) => (bytes, BY_STATISTICS),
        None => (trial.bytes, trial.size_by),
    };
    let hide = visibility(&table.quoted, &mark, true, client.is_mariadb());
    let show = visibility(&table.quoted, &mark, false, client.is_mariadb());
    let (required, build) = match beside.required() {
        Some(why) => (Some(why), Vec::new()),
        None => (None, vec![format!("ALTER TABLE {} ADD {definition}", table.quoted)]),
    };
    let removal = removal(&table.quoted, &mark);
    let mut caveats = caveats(false, &hide);
    caveats.extend(read_before(client, &table.name, &own.name).await?);
    Ok(Ok(Foreseen {
        label: format!("{}.{}", table.name, own.name),
        name: format!("{}.{}", table.name, own.name),
        quoted: mark,
        definition: format!("ALTER TABLE {} ADD {definition}", table.quoted),
        rows: table.rows,
        table_bytes: table.bytes,
        build_us: u64::try_from(trial.took.as_micros()).unwrap_or(u64::MAX),
        size_bytes,
        size_by: Some(size_by.to_owned()),
        blocks: blocks(&table.name, trial.in_place),
        production: vec![format!("{removal}{};", if trial.in_place { IN_PLACE } else { "" })],
        caveats,
        foreign_keys: beside.uses(),
        twin: beside.twin(),
        covered_by: beside.covered_by(),
        covers: beside.covered(),
        put_back: match &required {
            Some(_) => vec![show],
            None => [vec![removal], build.clone()].concat(),
        },
        required,
        build,
        is_there: true,
        notes: trial.notes,
        table_quoted: table.quoted.clone(),
        table: table.name.clone(),
        ..Foreseen::default()
    }))
}

/// The table of an index. The inner error says why it is not known.
async fn table_with(client: &Client, name: &str) -> Result<Result<Table, String>, DatasetError> {
    let (of_table, index) = parts(name);
    let rows = client.rows_with(FIND, (&index, &of_table)).await;
    let rows = rows.map_err(failed(format!("look up index {name}")))?;
    let tables: Vec<String> = rows.iter().filter_map(|row| text(row, 0)).collect();
    match tables.as_slice() {
        [only] => table(client, &quoted(only)).await,
        [] => Ok(Err("there is no index of this name in this database (write it as TABLE.INDEX, or as INDEX where one table has it)".to_owned())),
        several => {
            let names: Vec<String> = several.iter().map(|table| format!("{table}.{index}")).collect();
            Ok(Err(format!("several tables have an index of this name: write {}", names.join(" or "))))
        }
    }
}

/// Why an index must not go, if it must not.
fn needed(key: &Key) -> Option<String> {
    if key.is_primary() {
        return Some("it is the primary key, in which the rows themselves lie: drop that, not the index, if the data shall be without it".to_owned());
    }
    if key.unique {
        return Some(
            "it forbids duplicates: rows that were written without it could keep it from being put back"
                .to_owned(),
        );
    }
    if !key.is_ordered() {
        return Some(format!(
            "it is a {} index, and only those of keys in order are put to the test",
            key.method
        ));
    }
    key.ignored.then(|| {
        "it is hidden from the planner, so that no statement uses it: drop it, or show it again".to_owned()
    })
}

/// What other work has read by an index, where the server counts that.
async fn read_before(client: &Client, table: &str, index: &str) -> Result<Option<String>, DatasetError> {
    const READ: &str = "
        SELECT COUNT_FETCH FROM performance_schema.table_io_waits_summary_by_index_usage
        WHERE OBJECT_SCHEMA = DATABASE() AND OBJECT_NAME = ? AND INDEX_NAME = ?";
    let rows = match client.rows_with(READ, (table, index)).await {
        Ok(rows) => rows,
        // It is off, or not for this user.
        Err(Error::Server(_)) => return Ok(None),
        Err(error) => return Err(failed(format!("ask what was read by {index}"))(error)),
    };
    let read = rows.first().and_then(|row| number::<u64>(row, 0)).filter(|read| *read > 0);
    Ok(read.map(|read| {
        format!("before the experiment {read} rows were read by it since the server began to count: work that is not in this mix may need it")
    }))
}

/// Indexes of the tables that no rule of the data rests on and that are not among the `used` ones, as [`dropped`] takes their names.
pub async fn unused(
    client: &Client,
    tables: &[String],
    used: &[String],
) -> Result<Vec<String>, DatasetError> {
    let mut found = Vec::new();
    for table in tables {
        let all = keys(client, table).await?;
        let known = foreign_keys(client, table).await?;
        for own in all.iter().filter(|key| needed(key).is_none() && !used.contains(&key.name)) {
            let others = all.iter().filter(|other| other.name != own.name).collect();
            let beside = Beside { table, own, others, foreign_keys: &known };
            if beside.required().is_none() {
                found.push(format!("{}.{}", quoted(table), quoted(&own.name)));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_made_again_in_the_words_of_the_server() {
        let text = "CREATE TABLE `orders` (\n  `id` int(11) NOT NULL,\n  `note` text COMMENT 'KEY `orders_note` (`x`)',\n  \
                    PRIMARY KEY (`id`),\n  UNIQUE KEY `orders_number` (`number`),\n  KEY `orders_note` (`note`(10),`id` DESC) COMMENT \
                    'a, b',\n  KEY `orders_note_2` (`id`),\n  CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `c` (`id`)\n) ENGINE=InnoDB";
        assert_eq!(
            defined(text, "orders_note").as_deref(),
            Some("KEY `orders_note` (`note`(10),`id` DESC) COMMENT 'a, b'")
        );
        assert_eq!(defined(text, "orders_number").as_deref(), Some("UNIQUE KEY `orders_number` (`number`)"));
        assert_eq!(defined(text, "f"), None, "a constraint is no index");
        assert_eq!(defined(text, "PRIMARY"), None);
    }

    #[test]
    fn what_the_data_rest_on_is_not_dropped() {
        let key = |name: &str, unique, method: &str, ignored| Key {
            name: name.to_owned(),
            unique,
            method: method.to_owned(),
            ignored,
            ..Key::default()
        };
        for (of, words) in [
            (key("PRIMARY", true, "BTREE", false), "primary key"),
            (key("i", true, "BTREE", false), "forbids duplicates"),
            (key("i", false, "FULLTEXT", false), "FULLTEXT"),
            (key("i", false, "BTREE", true), "hidden from the planner"),
        ] {
            assert!(needed(&of).is_some_and(|why| why.contains(words)), "{of:?}");
        }
        assert_eq!(needed(&key("i", false, "BTREE", false)), None);
    }
}
