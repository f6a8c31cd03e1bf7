-- Runs statements on every table that has rows, as an application would: a row by its key, the rows of a parent, the newest ones, a
-- list of keys, a join, a count, a row more, a change, a row less. Their values are those of rows, drawn anew each time. What a table
-- refuses is not counted there, so it may. For `benches/capture.rs`.

\set ON_ERROR_STOP off
SET client_min_messages = error;
CREATE TEMP TABLE made (sql text);

DO $$
DECLARE
    own record;
    reference record;
    rows_of bigint;
    key text;
    other text;
    values_of text;
BEGIN
    FOR own IN
        SELECT c.oid, c.oid::regclass AS name, a.attname AS key, a.atttypid::regtype AS key_type,
               (SELECT min(t.attname) FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attnum > 0 AND NOT t.attisdropped
                   AND t.atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype)) AS time_column,
               (SELECT min(t.attname) FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attnum > 0 AND NOT t.attisdropped
                   AND t.attgenerated = '' AND t.atttypid IN ('text'::regtype, 'varchar'::regtype)
                   AND NOT EXISTS (SELECT FROM pg_index u WHERE u.indrelid = c.oid AND u.indisunique AND t.attnum = ANY (u.indkey::int2[]))) AS text_column,
               stored.names, stored.literals
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary AND i.indnkeyatts = 1
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
             CROSS JOIN LATERAL (
                 SELECT string_agg(quote_ident(t.attname), ', ' ORDER BY t.attnum) AS names,
                        string_agg(format('quote_nullable(%I::text)', t.attname), ', ' ORDER BY t.attnum) AS literals
                 FROM pg_attribute t LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = t.attnum
                 WHERE t.attrelid = c.oid AND t.attnum > 0 AND NOT t.attisdropped AND t.attgenerated = '' AND t.attidentity = ''
                   AND coalesce(pg_get_expr(d.adbin, d.adrelid), '') !~ 'nextval|uuid') stored
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
          AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
    LOOP
        EXECUTE format('SELECT count(*) FROM %s', own.name) INTO rows_of;
        CONTINUE WHEN rows_of = 0;
        EXECUTE format('SELECT %I::text FROM %s ORDER BY random() LIMIT 1', own.key, own.name) INTO key;
        EXECUTE format('SELECT %I::text FROM %s ORDER BY random() LIMIT 1', own.key, own.name) INTO other;
        INSERT INTO made VALUES
            (format('SELECT * FROM %s WHERE %I = %L LIMIT 1', own.name, own.key, key)),
            (format('SELECT * FROM %s WHERE %I IN (%L, %L)', own.name, own.key, key, other)),
            (format('SELECT count(*) FROM %s WHERE %I >= %L', own.name, own.key, key));
        IF own.time_column IS NOT NULL THEN
            INSERT INTO made VALUES
                (format('SELECT * FROM %s ORDER BY %I DESC LIMIT 20', own.name, own.time_column)),
                (format('SELECT count(*) FROM %s WHERE %I BETWEEN %L AND %L', own.name, own.time_column, '2023-06-01', '2023-07-01')),
                (format('UPDATE %s SET %I = now() WHERE %I = %L', own.name, own.time_column, own.key, key));
        END IF;
        IF own.text_column IS NOT NULL THEN
            EXECUTE format('SELECT %I FROM %s ORDER BY random() LIMIT 1', own.text_column, own.name) INTO other;
            INSERT INTO made VALUES
                (format('SELECT %I, count(*) FROM %s GROUP BY 1 ORDER BY 2 DESC LIMIT 10', own.text_column, own.name)),
                (format('SELECT * FROM %s WHERE %I = %L ORDER BY %I LIMIT 10', own.name, own.text_column, other, own.key)),
                (format('UPDATE %s SET %I = %L WHERE %I = %L', own.name, own.text_column, other, own.key, key));
        END IF;
        EXECUTE format('SELECT concat_ws('', '', %s) FROM %s WHERE %I::text = %L', own.literals, own.name, own.key, key) INTO values_of;
        INSERT INTO made VALUES
            (format('INSERT INTO %s (%s) VALUES (%s) RETURNING %I', own.name, own.names, values_of, own.key)),
            (format('DELETE FROM %s WHERE %I = %L', own.name, own.key, key));
        FOR reference IN
            SELECT a.attname AS child, k.confrelid::regclass AS parent, p.attname AS key
            FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
                 JOIN pg_attribute p ON p.attrelid = k.confrelid AND p.attnum = k.confkey[1]
            WHERE k.conrelid = own.oid AND k.contype = 'f' AND cardinality(k.conkey) = 1
        LOOP
            EXECUTE format('SELECT %I::text FROM %s WHERE %1$I IS NOT NULL ORDER BY random() LIMIT 1', reference.child, own.name) INTO other;
            CONTINUE WHEN other IS NULL;
            INSERT INTO made VALUES
                (format('SELECT * FROM %s WHERE %I = %L ORDER BY %I DESC LIMIT 20', own.name, reference.child, other, own.key)),
                (format('SELECT count(*) FROM %1$s c JOIN %2$s p ON p.%3$I = c.%4$I WHERE p.%3$I = %5$L', own.name, reference.parent,
                        reference.key, reference.child, other)),
                (format('SELECT p.* FROM %s p WHERE p.%I = ANY (%L::%s[])', reference.parent, reference.key, '{' || other || '}',
                        (SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = reference.parent AND attname = reference.key)));
        END LOOP;
    END LOOP;
END $$;

SELECT sql FROM pg_temp.made ORDER BY random()
\gexec
