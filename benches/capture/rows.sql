-- Fills the tables of any schema with rows that are plausible enough to be described: from the catalogs, parents before children, a
-- few parents with most of the children, texts within their limits, what a CHECK or an enum lists. Where a table takes none of it with
-- all columns, it is tried with fewer. For `benches/capture.rs`, which has it done on a throwaway server.

SET client_min_messages = warning;
-- Triggers do what an application wants of them, not what a filler does.
SET session_replication_role = replica;

-- A number from 0 to 1 that is the same for the same row and purpose.
CREATE FUNCTION pg_temp.share(n bigint, purpose text) RETURNS double precision LANGUAGE sql IMMUTABLE AS
    $$ SELECT (hashtextextended(purpose || ' ' || n, 7) & 1048575) / 1048576.0 $$;

-- An expression for the values of a column, of the row number n; nothing where no value is known.
CREATE FUNCTION pg_temp.value_of(column_type oid, modifier integer, purpose text, is_unique boolean, listed text[])
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    of pg_type;
    pick text := format('pg_temp.share(n, %L)', purpose);
    most integer;
BEGIN
    SELECT * INTO of FROM pg_type WHERE oid = column_type;
    IF of.typtype = 'd' THEN
        RETURN pg_temp.value_of(of.typbasetype, of.typtypmod, purpose, is_unique, listed);
    END IF;
    IF of.typtype = 'e' THEN
        RETURN format('(enum_range(NULL::%s))[1 + floor(cardinality(enum_range(NULL::%1$s)) * %s ^ 2)::int]', column_type::regtype, pick);
    END IF;
    IF cardinality(listed) > 0 THEN
        RETURN format('(%L::text[])[1 + floor(%s * %s ^ 2)::int]::%s', listed, cardinality(listed), pick, column_type::regtype);
    END IF;
    CASE of.typname
        WHEN 'int2' THEN RETURN CASE WHEN is_unique THEN 'n' ELSE format('floor(100 * %s ^ 2)::int', pick) END;
        WHEN 'int4', 'int8' THEN RETURN CASE WHEN is_unique THEN 'n' ELSE format('floor(1000 * %s ^ 2)::int', pick) END;
        WHEN 'numeric' THEN
            most := CASE WHEN modifier > 4 THEN ((modifier - 4) >> 16) - ((modifier - 4) & 2047) ELSE 4 END;
            RETURN format('round((%s * 10.0 ^ least(%s, 4))::numeric, 2)', pick, greatest(most - 1, 0));
        WHEN 'float4', 'float8' THEN RETURN format('%s', pick);
        WHEN 'bool' THEN RETURN format('%s < 0.3', pick);
        WHEN 'text', 'varchar', 'bpchar', 'citext', 'name' THEN
            most := CASE WHEN modifier > 4 THEN modifier - 4 ELSE 120 END;
            IF is_unique THEN
                RETURN format('left(to_hex(n) || %L || md5(n || %L), %s)', 'x', purpose, most);
            END IF;
            RETURN format('left(CASE WHEN %1$s < 0.6 THEN (%2$L::text[])[1 + floor(6 * %1$s / 0.6)::int]
                                ELSE repeat(md5(n || %3$L), 1 + floor(3 * %1$s)::int) END, %4$s)',
                          pick, '{main,draft,public,private,web,mobile,other}', purpose, most);
        WHEN 'date' THEN RETURN format('date ''2023-01-01'' + floor(900 * %s)::int', pick);
        WHEN 'timestamp', 'timestamptz' THEN RETURN format('timestamptz ''2023-01-01'' + %s * interval ''900 days'' + n * interval ''1 microsecond''', pick);
        WHEN 'time', 'timetz' THEN RETURN format('time ''00:00'' + %s * interval ''23 hours''', pick);
        WHEN 'interval' THEN RETURN format('%s * interval ''3 days''', pick);
        WHEN 'uuid' THEN RETURN 'gen_random_uuid()';
        WHEN 'json', 'jsonb' THEN RETURN format('jsonb_build_object(''key'', floor(50 * %s), ''name'', md5(n::text))', pick);
        WHEN 'bytea' THEN RETURN format('decode(md5(n || %L) || md5(%1$L || n), ''hex'')', purpose);
        WHEN 'inet', 'cidr' THEN RETURN format('(''10.0.'' || floor(250 * %s) || ''.0'')::inet', pick);
        WHEN 'tsvector' THEN RETURN 'to_tsvector(''simple'', md5(n::text))';
        ELSE
            IF of.typcategory = 'A' THEN
                RETURN format('CASE WHEN %s < 0.5 THEN ''{}'' ELSE ARRAY[(%s)::%s] END', pick,
                              coalesce(pg_temp.value_of(of.typelem, modifier, purpose, false, '{}'), 'NULL'), of.typelem::regtype);
            END IF;
            RETURN NULL;
    END CASE;
END $$;

CREATE TEMP TABLE todo AS
    SELECT c.oid, c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
      AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e');
CREATE TEMP TABLE failed (name text, why text);

CREATE FUNCTION pg_temp.fill(of oid, rows integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    attempt integer;
    made bigint;
    names text;
    expressions text;
    why text;
BEGIN
    -- With all columns; with those that may be NULL in half of the rows; without them; and with what has a default left out as well.
    FOR attempt IN 1..4 LOOP
        SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), string_agg(CASE
                   WHEN attempt = 2 AND NOT a.attnotnull
                   THEN format('CASE WHEN pg_temp.share(n, %L) < 0.5 THEN %s END', a.attname || ' null', v.expression)
                   ELSE v.expression END, ', ' ORDER BY a.attnum)
        INTO names, expressions
        FROM pg_attribute a
             LEFT JOIN LATERAL (
                 SELECT k.confrelid, p.attname AS key FROM pg_constraint k
                      JOIN pg_attribute p ON p.attrelid = k.confrelid AND p.attnum = k.confkey[array_position(k.conkey, a.attnum)]
                 WHERE k.conrelid = of AND k.contype = 'f' AND a.attnum = ANY (k.conkey) AND k.confrelid <> of
                 ORDER BY cardinality(k.conkey) DESC, k.conname LIMIT 1) parent ON true
             CROSS JOIN LATERAL (SELECT EXISTS (
                 SELECT FROM pg_index i WHERE i.indrelid = of AND i.indisunique AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum) AS is_unique,
                 EXISTS (SELECT FROM pg_index i WHERE i.indrelid = of AND i.indisunique AND a.attnum = ANY (i.indkey::int2[])) AS is_in_key) u
             CROSS JOIN LATERAL (SELECT coalesce(array_agg(m[1]), '{}') AS listed FROM pg_constraint k,
                 regexp_matches(pg_get_constraintdef(k.oid), '''((?:[^'']|'''')+)''::(?:text|character varying)(?!\[)', 'g') m
                 WHERE k.conrelid = of AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum] AND pg_get_constraintdef(k.oid) !~ '[~!<>]') l
             CROSS JOIN LATERAL (SELECT CASE WHEN parent.confrelid IS NOT NULL THEN
                 -- Columns of one key take the same row; a row of a key of its own takes one after the other.
                 format('(SELECT array_agg(%I ORDER BY ctid) FROM %s)[1 + %s %% (SELECT greatest(count(*), 1) FROM %2$s)]', parent.key,
                        parent.confrelid::regclass, CASE WHEN u.is_unique THEN 'n' ELSE
                        format('floor(10000 * pg_temp.share(n, %L) ^ 2)::bigint', parent.confrelid::text) END)
                 ELSE pg_temp.value_of(a.atttypid, a.atttypmod, a.attname, u.is_unique OR (u.is_in_key AND attempt > 2), l.listed) END AS expression) v
        WHERE a.attrelid = of AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity <> 'a'
          AND v.expression IS NOT NULL
          AND NOT EXISTS (SELECT FROM pg_attrdef d WHERE d.adrelid = of AND d.adnum = a.attnum
                          AND pg_get_expr(d.adbin, d.adrelid) ~ 'nextval|uuid')
          AND (attempt < 3 OR a.attnotnull) AND (attempt < 4 OR NOT a.atthasdef);
        BEGIN
            IF names IS NULL THEN
                EXECUTE format('INSERT INTO %s DEFAULT VALUES', of::regclass);
            ELSE
                EXECUTE format('INSERT INTO %s (%s) SELECT %s FROM generate_series(1, %s) n ON CONFLICT DO NOTHING',
                               of::regclass, names, expressions, rows);
            END IF;
            GET DIAGNOSTICS made = ROW_COUNT;
            IF made > 0 THEN
                RETURN;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            why := SQLERRM;
        END;
    END LOOP;
    INSERT INTO failed VALUES (of::regclass::text, why);
END $$;

DO $$
DECLARE
    next record;
BEGIN
    LOOP
        -- Whose parents are done; where all wait for each other, the first.
        SELECT t.* INTO next FROM todo t
        ORDER BY EXISTS (SELECT FROM pg_constraint k JOIN todo p ON p.oid = k.confrelid
                         WHERE k.conrelid = t.oid AND k.contype = 'f' AND k.confrelid <> t.oid), t.name
        LIMIT 1;
        EXIT WHEN NOT FOUND;
        PERFORM pg_temp.fill(next.oid, 200 + 200 * (SELECT count(*) FROM pg_constraint k
                                                   WHERE k.conrelid = next.oid AND k.contype = 'f')::integer);
        DELETE FROM todo WHERE oid = next.oid;
    END LOOP;
END $$;

-- References that a circle left open, and those to the own table, are set to NULL; where that cannot be, the row goes.
DO $$
DECLARE
    reference record;
    gone bigint;
    made bigint;
BEGIN
    FOR round IN 1..5 LOOP
        gone := 0;
        FOR reference IN
            SELECT k.conrelid::regclass AS child, k.confrelid::regclass AS parent,
                   (SELECT string_agg(format('c.%I = p.%I', c.attname, p.attname), ' AND ')
                    FROM unnest(k.conkey, k.confkey) u (child, parent)
                         JOIN pg_attribute c ON c.attrelid = k.conrelid AND c.attnum = u.child
                         JOIN pg_attribute p ON p.attrelid = k.confrelid AND p.attnum = u.parent) AS condition,
                   (SELECT string_agg(format('c.%I IS NOT NULL', c.attname), ' AND ') FROM unnest(k.conkey) u (child)
                         JOIN pg_attribute c ON c.attrelid = k.conrelid AND c.attnum = u.child) AS is_set,
                   (SELECT string_agg(format('%I = NULL', c.attname), ', ') FROM unnest(k.conkey) u (child)
                         JOIN pg_attribute c ON c.attrelid = k.conrelid AND c.attnum = u.child
                    WHERE NOT c.attnotnull) AS unset
            FROM pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0
        LOOP
            BEGIN
                EXECUTE format(coalesce('UPDATE %1$s c SET ' || reference.unset, 'DELETE FROM %1$s c')
                               || ' WHERE %2$s AND NOT EXISTS (SELECT FROM %3$s p WHERE %4$s)',
                               reference.child, reference.is_set, reference.parent, reference.condition);
            EXCEPTION WHEN check_violation THEN
                EXECUTE format('DELETE FROM %s c WHERE %s AND NOT EXISTS (SELECT FROM %s p WHERE %s)',
                               reference.child, reference.is_set, reference.parent, reference.condition);
            END;
            GET DIAGNOSTICS made = ROW_COUNT;
            gone := gone + made;
        END LOOP;
        EXIT WHEN gone = 0;
    END LOOP;
END $$;

SELECT format('%s: %s', name, why) AS "tables without rows" FROM failed ORDER BY 1;
