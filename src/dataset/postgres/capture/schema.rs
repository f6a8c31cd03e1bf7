//! The schema as a script that makes it on an empty server: from the catalogs and the server's own `pg_get_*def` functions, in the
//! order in which objects need each other. PostgreSQL 14 to 18.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tokio_postgres::Row;

use super::Reader;
use super::order::{Id, Needs};
use super::tables::TableText;
use crate::dataset::DatasetError;
use crate::dataset::capture::{LeftOut, Remark};
use crate::sql::lex::{TokenKind, significant};

/// One statement of the script.
#[derive(Clone, Debug)]
pub(super) struct SchemaObject {
    pub(super) id: Id,
    pub(super) body: Body,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    /// As it is.
    Text(String),
    /// A comment in place of what cannot be made.
    LeftOut(String),
    Table(TableText),
    /// Something of a table that generated rows may not keep.
    Constraint {
        table: String,
        name: String,
        sql: String,
    },
}

/// A schema that was read.
#[derive(Clone, Debug, Default)]
pub struct CapturedSchema {
    objects: Vec<SchemaObject>,
    materialized: Vec<String>,
    /// What of it is not captured.
    pub remarks: Vec<Remark>,
}

/// Objects that are made before rows, with catalog, number and the whole statement. The catalog is the one by which `pg_depend`
/// knows them.
const SCHEMAS: &str = "
    SELECT 'pg_namespace'::regclass::oid, oid, format('CREATE SCHEMA IF NOT EXISTS %I', nspname)
    FROM pg_namespace WHERE nspname = ANY ($1) AND nspname <> 'public' ORDER BY nspname";

/// The locale of a collation stands in a column of another name from 15 and from 17 on.
const COLLATIONS: &str = "
    SELECT 'pg_collation'::regclass::oid, c.oid,
           format('CREATE COLLATION %I.%I (PROVIDER = %s, %s, DETERMINISTIC = %s)', n.nspname, c.collname,
                  CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
                  CASE WHEN c.collprovider IN ('i', 'b')
                       THEN format('LOCALE = %L', coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', c.collcollate))
                       ELSE format('LC_COLLATE = %L, LC_CTYPE = %L', c.collcollate, c.collctype) END,
                  CASE WHEN c.collisdeterministic THEN 'true' ELSE 'false' END)
    FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
    WHERE n.nspname = ANY ($1)
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_collation'::regclass AND e.objid = c.oid AND e.deptype = 'e')
    ORDER BY c.oid";

const ENUMS: &str = "
    SELECT 'pg_type'::regclass::oid, t.oid, format('CREATE TYPE %s AS ENUM (%s)', t.oid::regtype,
           (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE t.typtype = 'e' AND n.nspname = ANY ($1)
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid AND e.deptype = 'e')
    ORDER BY t.oid";

const COMPOSITES: &str = "
    SELECT 'pg_class'::regclass::oid, c.oid, format('CREATE TYPE %s AS (%s)', c.reltype::regtype,
           (SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
            FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'c' AND n.nspname = ANY ($1)
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
    ORDER BY c.oid";

const RANGES: &str = "
    SELECT 'pg_type'::regclass::oid, t.oid, format('CREATE TYPE %s AS RANGE (SUBTYPE = %s%s)', t.oid::regtype,
           format_type(r.rngsubtype, NULL),
           CASE WHEN r.rngsubdiff <> 0 THEN ', SUBTYPE_DIFF = ' || r.rngsubdiff::regproc ELSE '' END)
    FROM pg_type t JOIN pg_range r ON r.rngtypid = t.oid JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname = ANY ($1)
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid AND e.deptype = 'e')
    ORDER BY t.oid";

const DOMAINS: &str = "
    SELECT t.oid, t.oid::regtype::text, format_type(t.typbasetype, t.typtypmod), t.typdefault, t.typnotnull,
           coalesce((SELECT array_agg(conname::text ORDER BY oid) FROM pg_constraint
                     WHERE contypid = t.oid AND contype = 'c'), '{}'),
           coalesce((SELECT array_agg(format('CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) ORDER BY oid)
                     FROM pg_constraint WHERE contypid = t.oid AND contype = 'c'), '{}')
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE t.typtype = 'd' AND n.nspname = ANY ($1)
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid AND e.deptype = 'e')
    ORDER BY t.oid";

const SEQUENCES: &str = "
    SELECT 'pg_class'::regclass::oid, c.oid,
           format('CREATE %sSEQUENCE %s AS %s START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s',
                  CASE WHEN c.relpersistence = 'u' THEN 'UNLOGGED ' ELSE '' END,
                  c.oid::regclass, format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache,
                  CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END)
    FROM pg_class c JOIN pg_sequence s ON s.seqrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY ($1) AND NOT EXISTS (
        SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype IN ('e', 'i'))
    ORDER BY c.relname";

/// Those in C only where the server's own folder of libraries has them.
const FUNCTIONS: &str = "
    SELECT 'pg_proc'::regclass::oid, p.oid, pg_get_functiondef(p.oid), p.prosrc
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    WHERE n.nspname = ANY ($1) AND p.prokind <> 'a'
      AND (l.lanname NOT IN ('c', 'internal') OR (l.lanname = 'c' AND p.probin LIKE '$libdir/%'))
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype IN ('e', 'i'))
    ORDER BY p.proname, p.oid";

const AGGREGATES: &str = "
    SELECT 'pg_proc'::regclass::oid, p.oid, format('CREATE AGGREGATE %s(%s) (SFUNC = %s, STYPE = %s', p.oid::regproc,
               coalesce(nullif(pg_get_function_identity_arguments(p.oid), ''), '*'), a.aggtransfn::regproc,
               format_type(a.aggtranstype, NULL))
           || CASE WHEN a.aggfinalfn <> 0 THEN ', FINALFUNC = ' || a.aggfinalfn::regproc ELSE '' END
           || CASE WHEN a.aggfinalextra THEN ', FINALFUNC_EXTRA' ELSE '' END
           || CASE WHEN a.aggcombinefn <> 0 THEN ', COMBINEFUNC = ' || a.aggcombinefn::regproc ELSE '' END
           || CASE WHEN a.aggserialfn <> 0 THEN ', SERIALFUNC = ' || a.aggserialfn::regproc ELSE '' END
           || CASE WHEN a.aggdeserialfn <> 0 THEN ', DESERIALFUNC = ' || a.aggdeserialfn::regproc ELSE '' END
           || CASE WHEN a.agginitval IS NOT NULL THEN ', INITCOND = ' || quote_literal(a.agginitval) ELSE '' END
           || CASE p.proparallel WHEN 's' THEN ', PARALLEL = SAFE' WHEN 'r' THEN ', PARALLEL = RESTRICTED' ELSE '' END || ')'
    FROM pg_proc p JOIN pg_aggregate a ON a.aggfnoid = p.oid JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = ANY ($1)
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype IN ('e', 'i'))
    ORDER BY p.proname, p.oid";

const DICTIONARIES: &str = "
    SELECT 'pg_ts_dict'::regclass::oid, d.oid, format('CREATE TEXT SEARCH DICTIONARY %s (TEMPLATE = %I.%I%s)', d.oid::regdictionary,
           m.nspname, t.tmplname, ', ' || nullif(d.dictinitoption, ''))
    FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace JOIN pg_ts_template t ON t.oid = d.dicttemplate
         JOIN pg_namespace m ON m.oid = t.tmplnamespace
    WHERE n.nspname = ANY ($1)
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_ts_dict'::regclass AND e.objid = d.oid AND e.deptype = 'e')
    ORDER BY d.oid";

const SEARCHES: &str = "
    SELECT 'pg_ts_config'::regclass::oid, c.oid, format('CREATE TEXT SEARCH CONFIGURATION %s (PARSER = %I.%I)', c.oid::regconfig,
               m.nspname, p.prsname) || coalesce((
               SELECT string_agg(format(E';\n\nALTER TEXT SEARCH CONFIGURATION %s ADD MAPPING FOR %s WITH %s',
                                        c.oid::regconfig, token.alias, token.dictionaries), '' ORDER BY token.alias)
               FROM (SELECT t.alias, string_agg(k.mapdict::regdictionary::text, ', ' ORDER BY k.mapseqno) AS dictionaries
                     FROM pg_ts_config_map k JOIN ts_token_type(c.cfgparser) t ON t.tokid = k.maptokentype
                     WHERE k.mapcfg = c.oid GROUP BY t.alias) token), '')
    FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace JOIN pg_ts_parser p ON p.oid = c.cfgparser
         JOIN pg_namespace m ON m.oid = p.prsnamespace
    WHERE n.nspname = ANY ($1)
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_ts_config'::regclass AND e.objid = c.oid AND e.deptype = 'e')
    ORDER BY c.oid";

const VIEWS: &str = "
    SELECT 'pg_class'::regclass::oid, c.oid,
           format('CREATE %sVIEW %s%s AS%s', CASE WHEN c.relkind = 'm' THEN 'MATERIALIZED ' ELSE '' END, c.oid::regclass,
                  CASE WHEN c.reloptions IS NULL THEN '' ELSE ' WITH (' || array_to_string(c.reloptions, ', ') || ')' END,
                  E'\\n' || rtrim(pg_get_viewdef(c.oid), ';')),
           CASE WHEN c.relkind = 'm' THEN c.oid::regclass::text END
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('v', 'm') AND n.nspname = ANY ($1)
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
    ORDER BY c.relname";

/// What stands behind the tables, and needs nothing but them and functions.
const OWNED: &str = "
    SELECT 'pg_class'::regclass::oid, 0::oid,
           format('ALTER SEQUENCE %s OWNED BY %s.%I', d.objid::regclass, d.refobjid::regclass, a.attname)
    FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S' JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
         JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace o ON o.oid = t.relnamespace
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a'
      AND n.nspname = ANY ($1) AND o.nspname = ANY ($1)
    ORDER BY 3";

const TARGETS: &str = "
    SELECT 'pg_class'::regclass::oid, 0::oid,
           format('ALTER TABLE ONLY %s ALTER COLUMN %I %s', c.oid::regclass, a.attname,
                  CASE WHEN a.attoptions IS NULL THEN 'SET STATISTICS ' || a.attstattarget
                       ELSE 'SET (' || array_to_string(a.attoptions, ', ') || ')' END)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped
      AND (coalesce(a.attstattarget, -1) >= 0 OR a.attoptions IS NOT NULL)
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
    ORDER BY 3";

const STATISTICS: &str = "
    SELECT 'pg_statistic_ext'::regclass::oid, s.oid, pg_get_statisticsobjdef(s.oid)
    FROM pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'p', 'm') ORDER BY s.stxname";

const RULES: &str = "
    SELECT 'pg_rewrite'::regclass::oid, 0::oid, rtrim(pg_get_ruledef(r.oid), ';')
    FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE r.rulename <> '_RETURN' AND n.nspname = ANY ($1) AND c.relkind IN ('r', 'p', 'v')
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
    ORDER BY 3";

const TRIGGERS: &str = "
    SELECT 'pg_trigger'::regclass::oid, 0::oid, pg_get_triggerdef(t.oid) || CASE WHEN t.tgenabled = 'D'
           THEN format(E';\\n\\nALTER TABLE %s DISABLE TRIGGER %I', t.tgrelid::regclass, t.tgname) ELSE '' END
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND n.nspname = ANY ($1) AND c.relkind IN ('r', 'p', 'v')
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
    ORDER BY 3";

/// Indexes that are no constraint: table, name, statement, and whether it is unique. An index of a partitioned table makes those
/// of its partitions.
const INDEXES: &str = "
    SELECT t.oid::regclass::text, c.relname::text, replace(pg_get_indexdef(c.oid), ' ON ONLY ', ' ON '), i.indisunique
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
         JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE n.nspname = ANY ($1) AND t.relkind IN ('r', 'p', 'm') AND NOT c.relispartition AND (i.indisvalid OR t.relkind = 'p')
      AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid AND k.contype IN ('p', 'u', 'x'))
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = t.oid AND e.deptype = 'e')
    ORDER BY t.relname, c.relname";

/// All indexes: they need operator classes, of extensions too.
const INDEX_NUMBERS: &str = "
    SELECT 'pg_class'::regclass::oid, i.indexrelid
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY ($1)";

/// Constraints that cannot stand within their table: foreign keys, and what the rows at the source were not held to.
const LATER: &str = "
    SELECT k.conrelid::regclass::text, k.conname::text,
           format('ALTER TABLE %s ADD CONSTRAINT %I %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid)),
           k.contype = 'f' AND NOT o.nspname = ANY ($1)
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN pg_class t ON t.oid = k.confrelid LEFT JOIN pg_namespace o ON o.oid = t.relnamespace
    WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'p') AND k.conparentid = 0
      AND (k.contype = 'f' OR (k.contype = 'c' AND NOT k.convalidated AND k.coninhcount = 0))
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
    ORDER BY c.relname, k.conname";

/// What stands in the schemas and is not captured: what it is, and its name.
const STRANGERS: &str = "
    SELECT i.type, i.identity, o.catalog, o.oid FROM (
        SELECT 'pg_proc'::regclass::oid AS catalog, p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
             JOIN pg_language l ON l.oid = p.prolang
        WHERE n.nspname = ANY ($1) AND p.prokind <> 'a' AND l.lanname IN ('c', 'internal')
          AND NOT coalesce(p.probin LIKE '$libdir/%', false)
        UNION ALL SELECT 'pg_class'::regclass, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY ($1) AND c.relkind = 'f'
        UNION ALL SELECT 'pg_operator'::regclass, o.oid FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
        WHERE n.nspname = ANY ($1)
        UNION ALL SELECT 'pg_opclass'::regclass, o.oid FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace
        WHERE n.nspname = ANY ($1)
        UNION ALL SELECT 'pg_type'::regclass, t.oid FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE n.nspname = ANY ($1) AND t.typtype = 'b' AND t.typelem = 0 AND t.typisdefined
        UNION ALL SELECT 'pg_policy'::regclass, o.oid FROM pg_policy o JOIN pg_class c ON c.oid = o.polrelid
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY ($1)
        UNION ALL SELECT 'pg_event_trigger'::regclass, oid FROM pg_event_trigger
    ) o, pg_identify_object(o.catalog, o.oid, 0) i
    WHERE NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = o.catalog AND e.objid = o.oid AND e.deptype IN ('e', 'i'))
    ORDER BY 1, 2";

/// Parts of objects and what they are parts of.
const PARTS: &str = "
    SELECT 'pg_attrdef'::regclass::oid, oid, 'pg_class'::regclass::oid, adrelid FROM pg_attrdef
    UNION ALL SELECT 'pg_constraint'::regclass, oid, 'pg_class'::regclass, conrelid FROM pg_constraint
              WHERE conrelid <> 0 AND contype <> 'f'
    UNION ALL SELECT 'pg_constraint'::regclass, oid, 'pg_type'::regclass, contypid FROM pg_constraint WHERE contypid <> 0
    UNION ALL SELECT 'pg_rewrite'::regclass, oid, 'pg_class'::regclass, ev_class FROM pg_rewrite
    UNION ALL SELECT 'pg_type'::regclass, oid, 'pg_class'::regclass, typrelid FROM pg_type WHERE typrelid <> 0
    UNION ALL SELECT 'pg_type'::regclass, oid, 'pg_type'::regclass, typelem FROM pg_type
              WHERE typelem <> 0 AND typcategory = 'A'
    UNION ALL SELECT 'pg_type'::regclass, rngmultitypid, 'pg_type'::regclass, rngtypid FROM pg_range WHERE rngmultitypid <> 0";

/// Who needs whom, among what users made. That a sequence goes with its column does not mean that it must come later.
const NEEDS: &str = "
    SELECT d.classid, d.objid, d.refclassid, d.refobjid
    FROM pg_depend d LEFT JOIN pg_class s ON d.classid = 'pg_class'::regclass AND s.oid = d.objid AND s.relkind = 'S'
    WHERE d.objid >= 16384 AND d.refobjid >= 16384 AND d.deptype IN ('n', 'a', 'i', 'P', 'S') AND s.oid IS NULL";

/// Members of extensions. `is_called` are functions, which need not be seen from the body of another one.
const EXTENSIONS: &str = "
    SELECT x.oid, format('CREATE EXTENSION IF NOT EXISTS %I%s', x.extname,
               CASE WHEN n.nspname IN ('public', 'pg_catalog') THEN '' ELSE format(' WITH SCHEMA %I', n.nspname) END),
           CASE WHEN n.nspname IN ('public', 'pg_catalog') THEN NULL ELSE format('CREATE SCHEMA IF NOT EXISTS %I', n.nspname) END,
           d.classid, d.objid, p.proname::text, x.extname::text
    FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace
         JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid AND d.deptype = 'e'
         LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
    WHERE x.extname NOT IN ('plpgsql', 'pg_stat_statements')
    ORDER BY x.extname";

impl Reader<'_> {
    /// The schema. `texts` are statements that will be run on it: what they call of extensions is needed as well.
    pub async fn schema(&mut self, texts: &[&str]) -> Result<CapturedSchema, DatasetError> {
        const DOING: &str = "read the schema";
        let schemas = self.schemas.clone();
        let mut before: Vec<SchemaObject> = vec![];
        for sql in [SCHEMAS, COLLATIONS, ENUMS, COMPOSITES, RANGES, DICTIONARIES, SEARCHES] {
            before.extend(self.ask(DOING, sql, &[&schemas]).await?.iter().map(text_of));
        }
        before.extend(self.domains(&schemas).await?);
        before.extend(self.ask(DOING, SEQUENCES, &[&schemas]).await?.iter().map(text_of));
        let mut captured = CapturedSchema::default();
        before.extend(self.table_texts(&schemas, &mut captured.remarks).await?);
        let mut named = BTreeSet::new();
        let mut called: BTreeSet<String> = texts.iter().flat_map(|text| called_in(text)).collect();
        for row in self.ask(DOING, FUNCTIONS, &[&schemas]).await? {
            called.extend(called_in(&row.get::<_, String>(3)));
            named.extend(words_in(&row.get::<_, String>(2)));
            before.push(text_of(&row));
        }
        before.extend(self.ask(DOING, AGGREGATES, &[&schemas]).await?.iter().map(text_of));
        let mut materialized: Vec<(Id, String)> = vec![];
        for row in self.ask(DOING, VIEWS, &[&schemas]).await? {
            let view = text_of(&row);
            materialized.extend(row.get::<_, Option<String>>(3).map(|name| (view.id, name)));
            before.push(view);
        }
        let mut behind: Vec<SchemaObject> = vec![];
        for sql in [RULES, TRIGGERS] {
            behind.extend(self.ask(DOING, sql, &[&schemas]).await?.iter().map(text_of));
        }
        for object in &behind {
            if let Body::Text(sql) = &object.body {
                called.extend(called_in(sql));
            }
        }
        let needs = self.needs().await?;
        let ids: Vec<Id> = before.iter().map(|object| object.id).collect();
        captured.objects = self.extensions(&ids, &needs, &called, &named).await?;
        let mut lost = self.strangers(&schemas, &mut captured.remarks).await?;
        for at in needs.sorted(&ids) {
            let mut object = before[at].clone();
            // What needs something that is not captured cannot be made either; a table without it would be another one.
            if let Body::Text(sql) = &object.body
                && needs.of(object.id).any(|id| lost.contains(&id))
            {
                lost.insert(object.id);
                captured.remarks.push(Remark::new(
                    first_words(sql),
                    "it needs something that is not captured, and is left out",
                    "it stands in schema.sql as a comment: make what it needs, and put it back",
                ));
                object.body = Body::LeftOut(commented("it needs something that is not captured", sql));
            }
            captured.objects.push(object);
        }
        captured.materialized =
            materialized.into_iter().filter(|(id, _)| !lost.contains(id)).map(|(_, name)| name).collect();
        for sql in [OWNED, TARGETS, STATISTICS] {
            captured.objects.extend(self.ask(DOING, sql, &[&schemas]).await?.iter().map(text_of));
        }
        self.later(&schemas, &mut captured).await?;
        captured.objects.extend(behind);
        Ok(captured)
    }

    /// What stands in the schemas and is not captured.
    async fn strangers(
        &mut self,
        schemas: &[String],
        remarks: &mut Vec<Remark>,
    ) -> Result<BTreeSet<Id>, DatasetError> {
        let mut all = BTreeSet::new();
        for row in self.ask("read the schema", STRANGERS, &[&schemas]).await? {
            let (kind, name): (String, String) = (row.get(0), row.get(1));
            let remedy = "write it into schema.sql, before what uses it";
            remarks.push(Remark::new(name, format!("a {kind} is not captured"), remedy));
            all.insert((row.get(2), row.get(3)));
        }
        Ok(all)
    }

    async fn domains(&mut self, schemas: &[String]) -> Result<Vec<SchemaObject>, DatasetError> {
        // The catalog's own number of pg_type.
        const PG_TYPE: u32 = 1247;
        let rows = self.ask("read the domains", DOMAINS, &[&schemas]).await?;
        let domain = |row: &Row| {
            let (name, base): (String, String) = (row.get(1), row.get(2));
            let (names, definitions): (Vec<String>, Vec<String>) = (row.get(5), row.get(6));
            let default: Option<String> = row.get(3);
            let default = default.map_or_else(String::new, |value| format!(" DEFAULT {value}"));
            let not_null = if row.get(4) { " NOT NULL" } else { "" };
            let constraints = names.into_iter().zip(definitions).collect();
            let head = format!("CREATE DOMAIN {name} AS {base}{default}{not_null}");
            let table = TableText { name, head, constraints, ..TableText::default() };
            SchemaObject { id: (PG_TYPE, row.get(0)), body: Body::Table(table) }
        };
        Ok(rows.iter().map(domain).collect())
    }

    async fn needs(&mut self) -> Result<Needs, DatasetError> {
        let mut needs = Needs::default();
        for row in self.ask("read the catalog", PARTS, &[]).await? {
            needs.part_of.insert((row.get(0), row.get(1)), (row.get(2), row.get(3)));
        }
        for row in self.ask("read the catalog", NEEDS, &[]).await? {
            needs.note((row.get(0), row.get(1)), (row.get(2), row.get(3)));
        }
        Ok(needs)
    }

    /// The extensions that something needs.
    async fn extensions(
        &mut self,
        objects: &[Id],
        needs: &Needs,
        called: &BTreeSet<String>,
        named: &BTreeSet<String>,
    ) -> Result<Vec<SchemaObject>, DatasetError> {
        let schemas = self.schemas.clone();
        let indexes = self.ask("read the indexes", INDEX_NUMBERS, &[&schemas]).await?;
        let indexes = indexes.iter().map(|row| (row.get(0), row.get(1)));
        let needed: BTreeSet<Id> =
            objects.iter().copied().chain(indexes).flat_map(|id| needs.of(id)).collect();
        let mut found: Vec<SchemaObject> = vec![];
        for row in self.ask("read the extensions", EXTENSIONS, &[]).await? {
            let (oid, member): (u32, Id) = (row.get(0), (row.get(3), row.get(4)));
            let (function, extension): (Option<String>, String) = (row.get(5), row.get(6));
            // The dictionary of `unaccent` is named by a text alone.
            let is_called = function.is_some_and(|name| called.contains(&name)) || named.contains(&extension);
            if (is_called || needed.contains(&needs.whole(member)))
                && !found.iter().any(|object| object.id == (0, oid))
            {
                let schema: Option<String> = row.get(2);
                found.extend(schema.map(|sql| SchemaObject { id: (0, 0), body: Body::Text(sql) }));
                found.push(SchemaObject { id: (0, oid), body: Body::Text(row.get(1)) });
            }
        }
        Ok(found)
    }

    /// Indexes, constraints that stand alone.
    async fn later(&mut self, schemas: &[String], captured: &mut CapturedSchema) -> Result<(), DatasetError> {
        for row in self.ask("read the indexes", INDEXES, &[&schemas]).await? {
            let (table, name, sql): (String, String, String) = (row.get(0), row.get(1), row.get(2));
            let body = if row.get(3) { Body::Constraint { table, name, sql } } else { Body::Text(sql) };
            captured.objects.push(SchemaObject { id: (0, 0), body });
        }
        for row in self.ask("read the constraints", LATER, &[&schemas]).await? {
            let (table, name, sql): (String, String, String) = (row.get(0), row.get(1), row.get(2));
            if row.get(3) {
                captured.remarks.push(Remark::new(
                    format!("{table}.{name}"),
                    "the foreign key leads into a schema that is not captured",
                    "name that schema with --schema as well",
                ));
                continue;
            }
            captured.objects.push(SchemaObject { id: (0, 0), body: Body::Constraint { table, name, sql } });
        }
        Ok(())
    }
}

fn text_of(row: &Row) -> SchemaObject {
    let sql: String = row.get(2);
    SchemaObject { id: (row.get(0), row.get(1)), body: Body::Text(sql.trim_end().to_owned()) }
}

/// The kind and the name of what a statement makes.
fn first_words(sql: &str) -> String {
    sql.split_whitespace().skip(1).take(3).collect::<Vec<_>>().join(" ")
}

/// All words of a text, within its texts as well.
fn words_in(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).map(str::to_lowercase)
}

/// The words in a text that stand before a parenthesis.
fn called_in(text: &str) -> Vec<String> {
    let tokens = significant(text);
    let called = |pair: &[crate::sql::lex::Token]| {
        let is_call = matches!(pair[0].kind, TokenKind::Word) && pair[1].is_punctuation(text, "(");
        is_call.then(|| pair[0].text(text).to_lowercase())
    };
    tokens.windows(2).filter_map(called).collect()
}

impl CapturedSchema {
    /// The script, without what generated rows would not keep: that stands in it as a comment.
    #[must_use]
    pub fn script(&self, left_out: &LeftOut) -> String {
        let mut script = String::from(
            "-- Captured by dbdyno from the catalogs of a database.\n\n\
             -- Functions may speak of tables that come later.\nSET check_function_bodies = off;\n",
        );
        for object in &self.objects {
            let text = match &object.body {
                Body::Text(text) => format!("{text};"),
                Body::LeftOut(comment) => comment.clone(),
                Body::Table(table) => table.script(left_out),
                Body::Constraint { table, name, sql } => match left_out.why(table, name) {
                    Some(why) => {
                        // Without the key the index remains, so that plans are what they are.
                        let index = sql.strip_prefix("CREATE UNIQUE INDEX");
                        let index = index.map_or_else(String::new, |index| format!("\nCREATE INDEX{index};"));
                        commented(why, &format!("{sql};")) + &index
                    }
                    None => format!("{sql};"),
                },
            };
            let written = write!(script, "\n{text}\n");
            debug_assert!(written.is_ok(), "memory takes every text");
        }
        script
    }

    /// What must be done behind the rows: views that hold rows of their own.
    #[must_use]
    pub fn finish(&self) -> Vec<String> {
        self.materialized.iter().map(|name| format!("REFRESH MATERIALIZED VIEW {name};")).collect()
    }
}

/// A statement that is left out, and why.
pub(super) fn commented(why: &str, sql: &str) -> String {
    let lines: Vec<String> = sql.lines().map(|line| format!("-- {line}")).collect();
    format!("-- Left out: {why}.\n{}", lines.join("\n"))
}
