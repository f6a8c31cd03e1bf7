//! Safe forms by the words of their statements.

use super::*;

fn texts(sql: &str) -> Vec<String> {
    texts_with(sql, &[])
}

fn texts_with(sql: &str, columns: &[Column]) -> Vec<String> {
    let safe = safer(sql, columns).unwrap_or_else(|| panic!("a safe form of {sql}"));
    safe.into_iter().map(|of| of.sql).collect()
}

#[test]
fn indexes_are_built_and_dropped_beside_the_traffic() {
    for (sql, safe) in [
        ("CREATE UNIQUE INDEX i ON t (a)", "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)"),
        ("drop index if exists i", "drop index CONCURRENTLY if exists i"),
        ("REINDEX (VERBOSE) TABLE t", "REINDEX (VERBOSE) TABLE CONCURRENTLY t"),
        ("ALTER TABLE m DETACH PARTITION p", "ALTER TABLE m DETACH PARTITION p CONCURRENTLY"),
    ] {
        assert_eq!(safer(sql, &[]), Some(vec![Safer { sql: safe.to_owned(), stands: Stands::Alone }]));
    }
    let refresh = safer("REFRESH MATERIALIZED VIEW v", &[]).expect("it has one");
    assert_eq!(
        (refresh[0].sql.as_str(), refresh[0].stands),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY v", Stands::Single)
    );
}

#[test]
fn constraints_are_checked_beside_the_traffic() {
    assert_eq!(
        texts("ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (id) ON DELETE CASCADE"),
        [
            "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (id) ON DELETE CASCADE NOT VALID",
            "ALTER TABLE t VALIDATE CONSTRAINT f"
        ]
    );
    assert_eq!(
        texts("ALTER TABLE ONLY s.\"T\" ADD CHECK (a > 0 OR b IN (1, 2))"),
        [
            "ALTER TABLE s.\"T\" ADD CONSTRAINT \"T_check\" CHECK (a > 0 OR b IN (1, 2)) NOT VALID",
            "ALTER TABLE s.\"T\" VALIDATE CONSTRAINT \"T_check\""
        ]
    );
    // As the server would name them.
    for (sql, name) in [
        ("ALTER TABLE orders ADD FOREIGN KEY (a, b) REFERENCES u", "orders_a_b_fkey"),
        ("ALTER TABLE Orders ADD CHECK (a > 0)", "orders_a_check"),
    ] {
        assert!(texts(sql)[0].contains(&format!(" ADD CONSTRAINT {name} ")), "{sql}");
    }
    let not_null = texts("ALTER TABLE t ALTER a SET NOT NULL");
    assert_eq!(not_null[0], "ALTER TABLE t ADD CONSTRAINT a_is_there CHECK (a IS NOT NULL) NOT VALID");
    assert_eq!(not_null.len(), 4);
    assert_eq!(
        texts("ALTER TABLE t ADD CONSTRAINT u UNIQUE (a, b) DEFERRABLE"),
        [
            "CREATE UNIQUE INDEX CONCURRENTLY u ON t (a, b)",
            "ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX u DEFERRABLE"
        ]
    );
}

#[test]
fn rows_are_changed_in_batches() {
    let column = texts("ALTER TABLE t ADD COLUMN lot float DEFAULT random() * (1 + 2)");
    assert_eq!(column[0], "ALTER TABLE t ADD COLUMN lot float");
    assert_eq!(column[1], "ALTER TABLE t ALTER COLUMN lot SET DEFAULT random() * (1 + 2)");
    assert!(
        column[2].contains("UPDATE t SET lot = DEFAULT WHERE ctid >= ")
            && column[2].contains("AND (lot IS NULL);")
    );
    let update = texts("UPDATE t SET a = b + 1, c = 'x' WHERE d OR e");
    assert!(update[0].contains("LOOP UPDATE t SET a = b + 1, c = 'x' WHERE ctid >= "), "{update:?}");
    assert!(update[0].contains("::tid AND (d OR e); COMMIT;"), "{update:?}");
    assert!(texts("DELETE FROM s.t WHERE old")[0].contains("pg_relation_size('s.t')"));
}

#[test]
fn a_column_that_every_row_must_have_is_filled_before_it_must() {
    let column =
        texts("ALTER TABLE t ADD COLUMN IF NOT EXISTS token uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE");
    assert_eq!(column[0], "ALTER TABLE t ADD COLUMN IF NOT EXISTS token uuid");
    assert_eq!(column[1], "ALTER TABLE t ALTER COLUMN token SET DEFAULT gen_random_uuid()");
    assert!(column[2].starts_with("DO "), "{column:?}");
    let rest = [
        "ALTER TABLE t ADD CONSTRAINT token_is_there CHECK (token IS NOT NULL) NOT VALID",
        "ALTER TABLE t VALIDATE CONSTRAINT token_is_there",
        "ALTER TABLE t ALTER COLUMN token SET NOT NULL",
        "ALTER TABLE t DROP CONSTRAINT token_is_there",
        "CREATE UNIQUE INDEX CONCURRENTLY t_token_key ON t (token)",
        "ALTER TABLE t ADD CONSTRAINT t_token_key UNIQUE USING INDEX t_token_key",
    ];
    assert_eq!(column[3..], rest);
    assert_eq!(
        texts("ALTER TABLE t ADD a int DEFAULT 5 NOT NULL CHECK (a > 0)"),
        [
            "ALTER TABLE t ADD COLUMN a int DEFAULT 5 NOT NULL",
            "ALTER TABLE t ADD CONSTRAINT t_a_check CHECK (a > 0) NOT VALID",
            "ALTER TABLE t VALIDATE CONSTRAINT t_a_check",
        ]
    );
    assert_eq!(texts("ALTER TABLE t ADD a int UNIQUE").len(), 3);
}

#[test]
fn of_several_actions_each_has_its_own_safe_form() {
    assert_eq!(
        texts("ALTER TABLE ONLY t ADD COLUMN a numeric(9, 2) DEFAULT round(1.5), ADD COLUMN b int DEFAULT 7, ADD CHECK (c IN (1, 2))")
            .iter()
            .filter(|sql| !sql.starts_with("DO "))
            .collect::<Vec<_>>(),
        [
            "ALTER TABLE t ADD COLUMN a numeric(9, 2)",
            "ALTER TABLE t ALTER COLUMN a SET DEFAULT round(1.5)",
            // What is the same for all rows is written into none of them.
            "ALTER TABLE ONLY t ADD COLUMN b int DEFAULT 7",
            "ALTER TABLE t ADD CONSTRAINT t_c_check CHECK (c IN (1, 2)) NOT VALID",
            "ALTER TABLE t VALIDATE CONSTRAINT t_c_check",
        ]
    );
}

#[test]
fn vacuum_and_new_indexes_stand_in_the_place_of_vacuum_full() {
    for (sql, safe) in [
        ("VACUUM FULL", &["VACUUM"][..]),
        ("VACUUM FULL ANALYZE s.t", &["VACUUM ANALYZE s.t", "REINDEX TABLE CONCURRENTLY s.t"]),
        (
            "VACUUM (FULL true, ANALYZE) t (a, b), u",
            &["VACUUM (ANALYZE) t (a, b), u", "REINDEX TABLE CONCURRENTLY t", "REINDEX TABLE CONCURRENTLY u"],
        ),
        ("VACUUM (FULL) t", &["VACUUM t", "REINDEX TABLE CONCURRENTLY t"]),
    ] {
        assert_eq!(texts(sql), safe, "{sql}");
    }
    assert_eq!(safer("VACUUM (FULL off) t", &[]), None);
}

fn column(table: &str, name: &str, kind: &str) -> Column {
    Column { table: table.to_owned(), column: name.to_owned(), kind: kind.to_owned(), ..Column::default() }
}

#[test]
fn another_type_is_another_column_that_takes_its_place() {
    let sql = "ALTER TABLE shop.orders ALTER COLUMN id SET DATA TYPE bigint";
    assert_eq!(columns_with_another_type(sql), [("shop.orders".to_owned(), "id".to_owned())]);
    let index = |name: &str, definition: &str, constraint: Option<&str>| ColumnIndex {
        name: name.to_owned(),
        definition: definition.to_owned(),
        constraint: constraint.map(str::to_owned),
    };
    let known = Column {
        not_null: true,
        default: Some("nextval('shop.orders_id_seq'::regclass)".to_owned()),
        sequence: Some("shop.orders_id_seq".to_owned()),
        comment: Some("the order's number".to_owned()),
        indexes: vec![
            index(
                "orders_pkey",
                "CREATE UNIQUE INDEX orders_pkey ON shop.orders USING btree (id)",
                Some("PRIMARY KEY"),
            ),
            index(
                "orders_late",
                "CREATE INDEX orders_late ON shop.orders USING btree (made, abs(id)) INCLUDE (id) WHERE (id > 5)",
                None,
            ),
        ],
        checks: vec![ColumnCheck {
            name: "orders_id_check".to_owned(),
            definition: "CHECK ((id > 0))".to_owned(),
            validated: true,
        }],
        ..column("shop.orders", "id", "integer")
    };
    let steps = safer(sql, std::slice::from_ref(&known)).expect("all of it is known");
    let texts: Vec<&str> = steps.iter().map(|of| of.sql.as_str()).collect();
    assert_eq!(texts[0], "ALTER TABLE shop.orders ADD COLUMN id_new bigint");
    assert_eq!(
        texts[1],
        "CREATE FUNCTION zz_orders_id_new() RETURNS trigger LANGUAGE plpgsql AS $dbdyno$ BEGIN NEW.id_new := NEW.id; RETURN NEW; END \
         $dbdyno$"
    );
    assert!(texts[3].contains("UPDATE shop.orders SET id_new = id WHERE ctid "), "{texts:?}");
    assert!(texts[3].contains("AND (id_new IS NULL AND id IS NOT NULL);"), "{texts:?}");
    assert_eq!(
        texts[4..8],
        [
            "CREATE UNIQUE INDEX CONCURRENTLY orders_pkey_new ON shop.orders USING btree (id_new)",
            "CREATE INDEX CONCURRENTLY orders_late_new ON shop.orders USING btree (made, abs(id_new)) INCLUDE (id_new) WHERE (id_new > 5)",
            "ALTER TABLE shop.orders ADD CONSTRAINT orders_id_check_new CHECK ((id_new > 0)) NOT VALID",
            "ALTER TABLE shop.orders VALIDATE CONSTRAINT orders_id_check_new",
        ]
    );
    let swap: Vec<&str> =
        steps.iter().filter(|of| of.stands == Stands::Together).map(|of| of.sql.as_str()).collect();
    assert_eq!(
        swap,
        [
            "DROP TRIGGER zz_orders_id_new ON shop.orders",
            "DROP FUNCTION zz_orders_id_new()",
            "ALTER SEQUENCE shop.orders_id_seq OWNED BY shop.orders.id_new",
            "ALTER TABLE shop.orders DROP COLUMN id",
            "ALTER TABLE shop.orders RENAME COLUMN id_new TO id",
            "ALTER TABLE shop.orders ALTER COLUMN id SET DEFAULT nextval('shop.orders_id_seq'::regclass)",
            "ALTER TABLE shop.orders ADD CONSTRAINT orders_pkey PRIMARY KEY USING INDEX orders_pkey_new",
            "ALTER INDEX shop.orders_late_new RENAME TO orders_late",
            "ALTER TABLE shop.orders RENAME CONSTRAINT orders_id_check_new TO orders_id_check",
            "COMMENT ON COLUMN shop.orders.id IS 'the order''s number'",
        ]
    );
    assert!(
        known.is_named_in("CREATE INDEX i ON Orders (Id)")
            && !known.is_named_in("ALTER TABLE orders ADD a int")
    );
    let against = vec!["the exclusion no_overlap".to_owned()];
    assert_eq!(safer(sql, &[Column { against, ..known }]), None, "more hangs on it than is carried over");
}

#[test]
fn a_key_that_others_refer_to_is_referred_to_again() {
    let key = |name: &str, table: &str, definition: &str, inbound| ColumnForeignKey {
        name: name.to_owned(),
        table: table.to_owned(),
        definition: definition.to_owned(),
        validated: true,
        inbound,
    };
    let known = Column {
        not_null: true,
        sequence: Some("public.u_id_seq".to_owned()),
        identity: Some("BY DEFAULT".to_owned()),
        foreign_keys: vec![
            key("lines_fkey", "lines", "FOREIGN KEY (u) REFERENCES u(id) ON DELETE CASCADE", true),
            key("up", "u", "FOREIGN KEY (id) REFERENCES above(id)", false),
        ],
        ..column("u", "id", "integer")
    };
    let steps = texts_with("ALTER TABLE u ALTER id TYPE bigint", &[known]);
    let place =
        |sql: &str| steps.iter().position(|of| of == sql).unwrap_or_else(|| panic!("{sql} in {steps:#?}"));
    let places = [
        place("ALTER TABLE u ADD CONSTRAINT up_new FOREIGN KEY (id_new) REFERENCES above(id) NOT VALID"),
        place("ALTER TABLE lines DROP CONSTRAINT lines_fkey"),
        place("SELECT set_config('dbdyno.last', (SELECT last_value::text FROM public.u_id_seq), true)"),
        place("ALTER TABLE u ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY"),
        place("SELECT setval(pg_get_serial_sequence('u', 'id'), current_setting('dbdyno.last')::bigint)"),
        place("ALTER TABLE u RENAME CONSTRAINT up_new TO up"),
        place(
            "ALTER TABLE lines ADD CONSTRAINT lines_fkey FOREIGN KEY (u) REFERENCES u(id) ON DELETE CASCADE NOT VALID",
        ),
        place("ALTER TABLE lines VALIDATE CONSTRAINT lines_fkey"),
    ];
    assert!(places.is_sorted(), "{steps:#?}");
    assert_eq!(places[7], steps.len() - 1, "behind the swap");
}

#[test]
fn a_value_by_an_expression_is_that_of_the_row_that_is_written() {
    let known = [column("t", "state", "text")];
    let steps = texts_with("ALTER TABLE t ALTER state TYPE mood USING lower(t.state)::mood", &known);
    assert!(
        steps[1].contains("NEW.state_new := (SELECT lower(t.state)::mood FROM (SELECT NEW.*) AS t);"),
        "{steps:?}"
    );
    assert!(steps[3].contains("SET state_new = lower(t.state)::mood WHERE"), "{steps:?}");
    assert!(steps[3].contains("AND (state_new IS NULL);"), "{steps:?}");
}

#[test]
fn a_zone_is_no_reason_to_write_a_table_anew() {
    let known = [column("t", "made", "timestamp(3) without time zone")];
    let sql = "ALTER TABLE t ALTER made TYPE timestamptz(3) USING made AT TIME ZONE 'UTC'";
    let steps = safer(sql, &known).expect("only the zone differs");
    assert!(steps.iter().all(|of| of.stands == Stands::Together), "{steps:?}");
    assert_eq!(
        texts_with(sql, &known),
        ["SET LOCAL timezone = 'UTC'", "ALTER TABLE t ALTER COLUMN made TYPE timestamptz(3)"]
    );
    // Other bytes: of a zone that is not UTC, and of another precision.
    for sql in [
        "ALTER TABLE t ALTER made TYPE timestamptz(3) USING made AT TIME ZONE 'Europe/Berlin'",
        "ALTER TABLE t ALTER made TYPE timestamptz(0) USING made AT TIME ZONE 'UTC'",
    ] {
        assert!(texts_with(sql, &known)[0].contains("ADD COLUMN made_new"), "{sql}");
    }
}

#[test]
fn what_is_not_sure_has_no_safe_form() {
    for sql in [
        "UPDATE t SET n = n + 1",
        "UPDATE t SET a = 1 FROM u WHERE u.id = t.id",
        "DELETE FROM t USING u WHERE t.id = u.id",
        "ALTER TABLE t ADD a int, DROP b",
        "ALTER TABLE t ADD COLUMN a int DEFAULT f() REFERENCES u",
        "ALTER TABLE t ADD COLUMN a int",
        "ALTER TABLE t ADD UNIQUE (a) INCLUDE (b)",
        // Nobody said what the column is.
        "ALTER TABLE t ALTER a TYPE bigint",
        "DROP INDEX a, b",
        "CLUSTER t USING i",
        "SELECT 1",
    ] {
        assert_eq!(safer(sql, &[]), None, "{sql}");
    }
    let known = [column("t", "a", "character varying(40)")];
    assert_eq!(safer("ALTER TABLE t ALTER a TYPE varchar(80)", &known), None, "nothing is written for it");
    assert!(safer("ALTER TABLE t ALTER a TYPE varchar(20)", &known).is_some());
}
