//! Tables: their text, and what is known of their columns, keys and references. PostgreSQL 14 to 18.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use super::Reader;
use super::schema::{Body, SchemaObject, commented};
use crate::dataset::DatasetError;
use crate::dataset::capture::{
    CheckFacts, ColumnFacts, DatabaseFacts, KeyFacts, LeftOut, ReferenceFacts, Remark, TableFacts, TypeKind,
};
use crate::dataset::postgres::server::quoted;
use crate::sql::lex::{TokenKind, significant};

/// The statement that makes a table or a domain, in parts.
#[derive(Clone, Debug, Default)]
pub(super) struct TableText {
    pub(super) name: String,
    /// Up to the list of columns.
    pub(super) head: String,
    pub(super) columns: Vec<ColumnText>,
    /// Names and texts.
    pub(super) constraints: Vec<(String, String)>,
    /// Behind the list of columns.
    pub(super) tail: String,
    /// Whether there is a list of columns, be it empty: domains and most partitions have none.
    pub(super) has_list: bool,
}

#[derive(Clone, Debug)]
pub(super) struct ColumnText {
    name: String,
    text: String,
    not_null: bool,
}

impl TableText {
    /// The statement, without what is left out.
    pub(super) fn script(&self, left_out: &LeftOut) -> String {
        let mut gone = vec![];
        let mut lines: Vec<String> = vec![];
        for column in &self.columns {
            let may_be_null = !column.not_null || left_out.may_be_null(&self.name, &column.name);
            lines.push(format!("    {}{}", column.text, if may_be_null { "" } else { " NOT NULL" }));
        }
        let mut indexes = vec![];
        for (name, text) in &self.constraints {
            match left_out.why(&self.name, name) {
                Some(why) => {
                    gone.push(commented(why, text));
                    indexes.extend(plain_index(&self.name, name, text));
                }
                None => lines.push(format!("    {text}")),
            }
        }
        let statement = if self.has_list || (!lines.is_empty() && !self.head.starts_with("CREATE DOMAIN")) {
            format!("{} (\n{}\n){};", self.head, lines.join(",\n"), self.tail)
        } else {
            lines.insert(0, self.head.clone());
            format!("{}{};", lines.join("\n"), self.tail)
        };
        gone.push(statement);
        gone.extend(indexes);
        gone.join("\n")
    }
}

/// The index without the key that cannot be held, so that plans remain what they are.
fn plain_index(table: &str, name: &str, constraint: &str) -> Option<String> {
    let list =
        ["PRIMARY KEY (", "UNIQUE ("].iter().find_map(|kind| constraint.find(kind).map(|at| at + kind.len()));
    let columns = &constraint[list?..];
    let columns = &columns[..columns.find(')')?];
    Some(format!("CREATE INDEX {} ON {table} ({columns});", quoted(name)))
}

/// Tables with what stands around their columns. Partitions name their parent.
const TABLES: &str = "
    SELECT c.oid, c.oid::regclass::text, c.relpersistence = 'u', c.relkind = 'p', c.relispartition,
           coalesce((SELECT array_agg(i.inhparent::regclass::text ORDER BY i.inhseqno) FROM pg_inherits i
                     WHERE i.inhrelid = c.oid), '{}'),
           pg_get_expr(c.relpartbound, c.oid), pg_get_partkeydef(c.oid), array_to_string(c.reloptions, ', '), c.relrowsecurity
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname = ANY ($1)
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
    ORDER BY c.relispartition, n.nspname <> 'public', n.nspname, c.relname";

/// Their columns, those that are inherited apart.
const COLUMN_TEXTS: &str = "
    SELECT a.attrelid, a.attname::text, format_type(a.atttypid, a.atttypmod),
           CASE WHEN a.attcollation <> t.typcollation THEN
               (SELECT format('%I.%I', m.nspname, k.collname) FROM pg_collation k JOIN pg_namespace m ON m.oid = k.collnamespace
                WHERE k.oid = a.attcollation) END,
           a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attgenerated::text, a.attidentity::text,
           CASE WHEN a.attidentity <> '' THEN (
               SELECT concat_ws(' ', CASE WHEN s.seqstart <> 1 THEN 'START WITH ' || s.seqstart END,
                                     CASE WHEN s.seqincrement <> 1 THEN 'INCREMENT BY ' || s.seqincrement END,
                                     CASE WHEN s.seqcache <> 1 THEN 'CACHE ' || s.seqcache END)
               FROM pg_depend p JOIN pg_sequence s ON s.seqrelid = p.objid
               WHERE p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass
                 AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum AND p.deptype = 'i') END,
           quote_ident(a.attname)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped AND a.attislocal
      AND NOT c.relispartition
    ORDER BY a.attrelid, a.attnum";

/// Their constraints, foreign keys apart.
const CONSTRAINT_TEXTS: &str = "
    SELECT k.conrelid, k.conname::text, format('CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid))
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY ($1) AND k.contype IN ('p', 'u', 'x', 'c') AND k.convalidated AND k.conislocal
      AND k.coninhcount = 0 AND k.conparentid = 0
    ORDER BY k.conrelid, k.contype <> 'p', k.conname";

/// Tables that hold rows of their own or by their partitions, and how many.
const TABLE_FACTS: &str = "
    SELECT c.oid, c.oid::regclass::text, n.nspname::text, c.relname::text,
           (CASE WHEN c.relkind = 'p' THEN coalesce((SELECT sum(CASE WHEN l.reltuples < 0 THEN pg_stat_get_live_tuples(l.oid)
                                                               ELSE l.reltuples END)
                                           FROM pg_partition_tree(c.oid) p JOIN pg_class l ON l.oid = p.relid WHERE p.isleaf), 0)
                 WHEN c.reltuples < 0 THEN pg_stat_get_live_tuples(c.oid)
                 ELSE c.reltuples END)::float8
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' AND n.nspname = ANY ($1)
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
    ORDER BY n.nspname <> 'public', n.nspname, c.relname";

/// Columns with their types, domains looked through to what they stand on.
const COLUMN_FACTS: &str = "
    WITH RECURSIVE base AS (
        SELECT t.oid AS outer_oid, t.oid, t.typname, t.typtype, t.typbasetype, t.typcategory, t.typelem, t.typtypmod AS typmod
        FROM pg_type t
        UNION ALL
        SELECT b.outer_oid, t.oid, t.typname, t.typtype, t.typbasetype, t.typcategory, t.typelem, b.typmod
        FROM base b JOIN pg_type t ON t.oid = b.typbasetype
        WHERE b.typtype = 'd'
    )
    SELECT a.attrelid, a.attname::text, format_type(a.atttypid, a.atttypmod), b.oid, b.typtype = 'e', b.typcategory = 'S',
           CASE WHEN b.typcategory = 'A' THEN b.typelem END, e.typtype = 'e', e.typcategory = 'S',
           coalesce(nullif(a.atttypmod, -1), b.typmod), a.attnotnull, a.atthasdef OR a.attidentity <> '', a.attgenerated <> '',
           a.attidentity <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%', false),
           CASE WHEN t.typtype = 'd' THEN t.oid::regtype::text END,
           (SELECT array_agg(enumlabel::text ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid IN (b.oid, e.oid)),
           b.typname = 'hstore'
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_type t ON t.oid = a.atttypid JOIN base b ON b.outer_oid = a.atttypid AND b.typtype <> 'd'
         LEFT JOIN pg_type e ON e.oid = b.typelem AND b.typcategory = 'A'
         LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated = ''
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attrelid, a.attnum";

/// Unique indexes, those that a partition has by itself as well, with all columns that they look at, be it inside an expression.
const KEYS: &str = "
    SELECT coalesce(pg_partition_root(i.indrelid), i.indrelid)::oid, i.indrelid::regclass::text, c.relname::text, i.indisprimary,
           i.indpred IS NOT NULL OR t.relispartition,
           ARRAY(SELECT a.attname::text FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY k (number, place)
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number ORDER BY k.place),
           ARRAY(SELECT DISTINCT a.attname::text FROM pg_depend d
                 JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                 WHERE i.indexprs IS NOT NULL AND d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                   AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid > 0)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
         JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE i.indisunique AND NOT c.relispartition AND t.relkind IN ('r', 'p') AND n.nspname = ANY ($1)
    ORDER BY i.indrelid, NOT i.indisprimary, c.relname";

const REFERENCES: &str = "
    SELECT k.conrelid, k.conname::text, k.confrelid, k.confrelid::regclass::text,
           ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (number, place)
                 JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number ORDER BY u.place),
           ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (number, place)
                 JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number ORDER BY u.place),
           k.confdeltype IN ('a', 'r')
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype = 'f' AND k.conparentid = 0 AND n.nspname = ANY ($1) AND NOT c.relispartition
    ORDER BY k.conrelid, k.conname";

const CHECKS: &str = "
    SELECT k.conrelid, k.conname::text, pg_get_expr(k.conbin, k.conrelid),
           ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
                 ORDER BY a.attnum)
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype = 'c' AND n.nspname = ANY ($1) AND NOT c.relispartition AND cardinality(k.conkey) > 0
    ORDER BY k.conrelid, k.conname";

/// The bounds of partitions by lists of one column.
const PARTITION_LISTS: &str = "
    SELECT p.partrelid, a.attname::text, array_agg(pg_get_expr(l.relpartbound, l.oid))
    FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
         JOIN pg_inherits i ON i.inhparent = p.partrelid JOIN pg_class l ON l.oid = i.inhrelid
    WHERE p.partstrat = 'l' AND p.partnatts = 1 AND NOT c.relispartition AND n.nspname = ANY ($1)
    GROUP BY 1, 2";

impl Reader<'_> {
    /// The statements that make the tables, partitions behind the others.
    pub(super) async fn table_texts(
        &mut self,
        schemas: &[String],
        remarks: &mut Vec<Remark>,
    ) -> Result<Vec<SchemaObject>, DatasetError> {
        // The catalog's own number of pg_class.
        const PG_CLASS: u32 = 1259;
        const DOING: &str = "read the tables";
        let mut columns: BTreeMap<u32, Vec<ColumnText>> = BTreeMap::new();
        for row in self.ask(DOING, COLUMN_TEXTS, &[&schemas]).await? {
            columns.entry(row.get(0)).or_default().push(column_text(&row));
        }
        let mut constraints: BTreeMap<u32, Vec<(String, String)>> = BTreeMap::new();
        for row in self.ask(DOING, CONSTRAINT_TEXTS, &[&schemas]).await? {
            constraints.entry(row.get(0)).or_default().push((row.get(1), row.get(2)));
        }
        let mut objects = vec![];
        for row in self.ask(DOING, TABLES, &[&schemas]).await? {
            let oid: u32 = row.get(0);
            let mut text = table_text(&row);
            text.columns = columns.remove(&oid).unwrap_or_default();
            text.constraints = constraints.remove(&oid).unwrap_or_default();
            if row.get(9) {
                remarks.push(Remark::new(
                    text.name.clone(),
                    "its row security is not captured",
                    "write ALTER TABLE … ENABLE ROW LEVEL SECURITY and its policies into schema.sql",
                ));
            }
            objects.push(SchemaObject { id: (PG_CLASS, oid), body: Body::Table(text) });
        }
        Ok(objects)
    }

    /// What is known of the tables, without their statistics.
    pub async fn tables(&mut self) -> Result<DatabaseFacts, DatasetError> {
        const DOING: &str = "read the columns";
        let schemas = self.schemas.clone();
        let mut facts = DatabaseFacts::default();
        for row in self.ask(DOING, TABLE_FACTS, &[&schemas]).await? {
            facts.tables.push(TableFacts {
                oid: row.get(0),
                name: row.get(1),
                schema: row.get(2),
                relation: row.get(3),
                rows: row.get(4),
                ..TableFacts::default()
            });
        }
        let places: BTreeMap<u32, usize> =
            facts.tables.iter().enumerate().map(|(at, table)| (table.oid, at)).collect();
        let tables = &mut facts.tables;
        for row in self.ask(DOING, COLUMN_FACTS, &[&schemas]).await? {
            if let Some(at) = places.get(&row.get(0)) {
                tables[*at].columns.push(column_facts(&row));
            }
        }
        for row in self.ask(DOING, KEYS, &[&schemas]).await? {
            let Some(at) = places.get(&row.get(0)) else { continue };
            let mut columns: Vec<String> = row.get(5);
            for column in row.get::<_, Vec<String>>(6) {
                if !columns.contains(&column) {
                    columns.push(column);
                }
            }
            tables[*at].keys.push(KeyFacts {
                table: row.get(1),
                name: row.get(2),
                columns,
                is_primary: row.get(3),
                is_partial: row.get(4),
            });
        }
        for row in self.ask(DOING, REFERENCES, &[&schemas]).await? {
            let Some(at) = places.get(&row.get(0)) else { continue };
            tables[*at].references.push(ReferenceFacts {
                name: row.get(1),
                table: row.get(2),
                table_name: row.get(3),
                columns: row.get(4),
                to: row.get(5),
                restricts: row.get(6),
            });
        }
        for row in self.ask(DOING, CHECKS, &[&schemas]).await? {
            let Some(at) = places.get(&row.get(0)) else { continue };
            let check = CheckFacts { name: row.get(1), expression: row.get(2), columns: row.get(3) };
            let table = &mut tables[*at];
            if let Some((column, most)) = check.longest()
                && let Some(column) = table.columns.iter_mut().find(|of| of.name == column)
            {
                column.length_max = Some(column.length_max.map_or(most, |known| known.min(most)));
            }
            table.checks.push(check);
        }
        for row in self.ask(DOING, PARTITION_LISTS, &[&schemas]).await? {
            let Some(at) = places.get(&row.get(0)) else { continue };
            let bounds: Vec<String> = row.get(2);
            let values = bounds.iter().flat_map(|bound| constants(bound)).collect();
            tables[*at].listed.push((row.get(1), values));
        }
        Ok(facts)
    }
}

/// The constants of the bound of a partition: `FOR VALUES IN ('eu', 5)`.
fn constants(bound: &str) -> Vec<String> {
    let tokens = significant(bound);
    let constant = |at: usize| {
        let token = &tokens[at];
        let text = token.text(bound);
        match token.kind {
            TokenKind::String => Some(text.strip_prefix('\'')?.strip_suffix('\'')?.replace("''", "'")),
            TokenKind::Number => {
                let is_negative = at > 0 && tokens[at - 1].is_punctuation(bound, "-");
                Some(if is_negative { format!("-{text}") } else { text.to_owned() })
            }
            _ => None,
        }
    };
    (0..tokens.len()).filter_map(constant).collect()
}

fn table_text(row: &Row) -> TableText {
    let (name, unlogged): (String, bool) = (row.get(1), row.get(2));
    let (is_partition, parents): (bool, Vec<String>) = (row.get(4), row.get(5));
    let kind = if unlogged { "UNLOGGED TABLE" } else { "TABLE" };
    let mut tail = String::new();
    let mut head = format!("CREATE {kind} {name}");
    if is_partition {
        head += &format!(" PARTITION OF {}", parents.join(", "));
        tail += &format!(" {}", row.get::<_, Option<String>>(6).unwrap_or_default());
    } else if !parents.is_empty() {
        tail += &format!(" INHERITS ({})", parents.join(", "));
    }
    if row.get(3) {
        tail += &format!(" PARTITION BY {}", row.get::<_, Option<String>>(7).unwrap_or_default());
    }
    if let Some(options) = row.get::<_, Option<String>>(8).filter(|options| !options.is_empty()) {
        tail += &format!(" WITH ({options})");
    }
    TableText { name, head, tail, has_list: !is_partition, ..TableText::default() }
}

fn column_text(row: &Row) -> ColumnText {
    let name: String = row.get(1);
    let mut text = format!("{} {}", row.get::<_, String>(9), row.get::<_, String>(2));
    if let Some(collation) = row.get::<_, Option<String>>(3) {
        text += &format!(" COLLATE {collation}");
    }
    let default: Option<String> = row.get(5);
    let (generated, identity): (String, String) = (row.get(6), row.get(7));
    let options = row.get::<_, Option<String>>(8).filter(|options| !options.is_empty());
    let options = options.map_or_else(String::new, |options| format!(" ({options})"));
    match (identity.as_str(), generated.as_str(), default) {
        ("a", _, _) => text += &format!(" GENERATED ALWAYS AS IDENTITY{options}"),
        ("d", _, _) => text += &format!(" GENERATED BY DEFAULT AS IDENTITY{options}"),
        (_, "s", Some(expression)) => text += &format!(" GENERATED ALWAYS AS ({expression}) STORED"),
        (_, "v", Some(expression)) => text += &format!(" GENERATED ALWAYS AS ({expression}) VIRTUAL"),
        (_, _, Some(expression)) => text += &format!(" DEFAULT {expression}"),
        (_, _, None) => {}
    }
    ColumnText { name, text, not_null: row.get(4) }
}

fn column_facts(row: &Row) -> ColumnFacts {
    let (oid, is_enum, is_string): (u32, bool, bool) = (row.get(3), row.get(4), row.get(5));
    let element: Option<u32> = row.get(6);
    let labels: Vec<String> = row.get::<_, Option<Vec<String>>>(15).unwrap_or_default();
    let kind = match element {
        Some(element) => {
            let (is_enum, is_string): (Option<bool>, Option<bool>) = (row.get(7), row.get(8));
            let of = kind_of(element, is_enum.unwrap_or(false), is_string.unwrap_or(false), labels);
            if of.can_be_element() { TypeKind::Array(Box::new(of)) } else { TypeKind::Other }
        }
        None if row.get(16) => TypeKind::Hstore,
        None => kind_of(oid, is_enum, is_string, labels),
    };
    let modifier: Option<i32> = row.get(9);
    let (length_max, scale) = limits(&kind, oid, modifier.unwrap_or(-1));
    ColumnFacts {
        name: row.get(1),
        type_name: row.get(2),
        kind,
        length_max,
        scale,
        not_null: row.get(10),
        has_default: row.get(11),
        is_generated: row.get(12),
        is_numbered: row.get(13),
        domain: row.get(14),
        statistics: None,
    }
}

/// What a type modifier limits. `varchar(n)` and `char(n)` count the four bytes of a header; so does `numeric`, whose scale stands in
/// the low eleven bits (`numeric.c`).
fn limits(kind: &TypeKind, oid: u32, modifier: i32) -> (Option<u32>, Option<u32>) {
    const BPCHAR: u32 = 1042;
    const VARCHAR: u32 = 1043;
    let Ok(behind_header) = u32::try_from(modifier.saturating_sub(4)) else { return (None, None) };
    match kind {
        TypeKind::Text if [BPCHAR, VARCHAR].contains(&oid) => (Some(behind_header), None),
        TypeKind::Decimal => (None, Some(behind_header & 0x7ff)),
        _ => (None, None),
    }
}

/// Which values a type takes. Object ids of built-in types are fixed by `pg_type.dat`.
pub(super) fn kind_of(oid: u32, is_enum: bool, is_string: bool, labels: Vec<String>) -> TypeKind {
    match oid {
        16 => TypeKind::Bool,
        21 => TypeKind::Int(2),
        23 => TypeKind::Int(4),
        20 => TypeKind::Int(8),
        700 | 701 => TypeKind::Float,
        1700 => TypeKind::Decimal,
        114 | 3802 => TypeKind::Json,
        1082 => TypeKind::Date,
        1114 | 1184 => TypeKind::Timestamp,
        2950 => TypeKind::Uuid,
        17 => TypeKind::Bytes,
        1186 => TypeKind::Interval,
        869 | 650 => TypeKind::Network,
        1083 | 1266 => TypeKind::Time,
        790 => TypeKind::Money,
        3614 => TypeKind::Tsvector,
        829 => TypeKind::Mac(6),
        774 => TypeKind::Mac(8),
        142 => TypeKind::Xml,
        // `"char"` and `name` are strings by category, but not of any length.
        18 | 19 => TypeKind::Other,
        _ if is_enum => TypeKind::Enum(labels),
        _ if is_string => TypeKind::Text,
        _ => TypeKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_written_without_what_is_left_out() {
        let column =
            |name: &str, text: &str, not_null| ColumnText { name: name.into(), text: text.into(), not_null };
        let table = TableText {
            name: "bookings".into(),
            head: "CREATE TABLE bookings".into(),
            columns: vec![column("id", "id integer", true), column("during", "during tstzrange", true)],
            constraints: vec![
                ("bookings_pkey".into(), "CONSTRAINT bookings_pkey PRIMARY KEY (id)".into()),
                ("during_check".into(), "CONSTRAINT during_check CHECK (NOT isempty(during))".into()),
            ],
            tail: " WITH (fillfactor=80)".into(),
            has_list: true,
        };
        let left_out = LeftOut {
            constraints: vec![("bookings".into(), "during_check".into(), "no generator makes it".into())],
            nullable: vec![("bookings".into(), "during".into())],
        };
        assert_eq!(
            table.script(&left_out),
            "-- Left out: no generator makes it.\n-- CONSTRAINT during_check CHECK (NOT isempty(during))\n\
             CREATE TABLE bookings (\n    id integer NOT NULL,\n    during tstzrange,\n    \
             CONSTRAINT bookings_pkey PRIMARY KEY (id)\n) WITH (fillfactor=80);"
        );
    }

    #[test]
    fn bounds_of_partitions_list_their_values() {
        assert_eq!(constants("FOR VALUES IN ('it''s', NULL, -5, 7)"), ["it's", "-5", "7"]);
        assert!(constants("DEFAULT").is_empty());
    }

    #[test]
    fn modifiers_limit_lengths_and_scales() {
        assert_eq!(limits(&TypeKind::Text, 1043, 24), (Some(20), None));
        // numeric(10,2): precision in the high half, scale in the low one.
        assert_eq!(limits(&TypeKind::Decimal, 1700, ((10 << 16) | 2) + 4), (None, Some(2)));
        assert_eq!(limits(&TypeKind::Text, 25, -1), (None, None));
    }
}
