//! Values in every type that a column can have.

use dbdyno::dataset::{Existing, Holds};
use dbdyno::sql::values::Arena;

use super::{SEED, literal, options, state, try_load, workload};
use crate::harness::Database;

/// Every type that values can have, and the same value computed without the server.
#[test]
fn every_value_that_is_computed_exists_in_every_type() {
    let toml = r#"
        name = "types"
        [table.t]
        rows = 300
        [table.t.column]
        id = { sequence = { start = -5, step = 3 } }
        small = { uniform = [-32768, 32767] }
        plain = { uniform = [-2147483648, 2147483647] }
        exact = { decimal = { min = -1000, max = 1000, scale = 5 } }
        whole = { uniform = [-9000000000000, 9000000000000] }
        single = { decimal = { min = -10, max = 10, scale = 2 } }
        wide = { lognormal = { median = 5, sigma = 2, scale = 4 } }
        truth = { boolean = { true_fraction = 0.5 } }
        words = { words = [1, 5] }
        digits = { uniform = [1, 99] }
        short = { text = { length = [1, 20] } }
        mood = { weighted = { happy = 1, sad = 1 } }
        rating = { weighted = { 1 = 1, 5 = 1 } }
        day = { date = { from = "1950-01-01", to = "2050-01-01" } }
        at = { timestamp = { from = "1950-01-01", to = "2050-01-01" } }
        local_at = { timestamp = { from = "1950-01-01", to = "2050-01-01" }, null_fraction = 0.5 }
        key = { uuid = {} }
        raw = { bytes = { length = [0, 40] } }
        span = { interval = { length_s = { normal = { mean = 0, sd = 100000, scale = 6 } } } }
        host = { ip_address = { version = 6 } }
        net = { ip_address = {}, null_fraction = 0.5 }
        numbers = { array = { of = { uniform = [-9, 9] }, length = [0, 3] } }
        words_of = { array = { of = { words = [1, 2] }, length = [0, 3] } }
        moods = { array = { of = { weighted = { happy = 1, sad = 1 } }, length = [1, 3] } }
        prices = { array = { of = { decimal = { min = -10, max = 10, scale = 3 } }, length = [1, 3] } }
        days = { array = { of = { date = { from = "1950-01-01", to = "2050-01-01" } }, length = [1, 2] } }
        times = { array = { of = { timestamp = { from = "1950-01-01", to = "2050-01-01" } }, length = [1, 2] } }
        keys = { array = { of = { uuid = {} }, length = [0, 2] } }
        truths = { array = { of = { boolean = { true_fraction = 0.5 } }, length = [0, 2] } }
        spans = { array = { of = { interval = { length_s = { uniform = [0, 9] } } }, length = [0, 2] } }
        hosts = { array = { of = { ip_address = {} }, length = [0, 2] } }
        documents = { array = { of = { json = { a = { words = [1, 1] } } }, length = [0, 2] } }
        ages = { histogram = { bounds = [1.5, 2.5, 1e9], type = "float" } }
        "Document" = { json = { a = { words = [1, 2] }, b = { decimal = { min = 0, max = 1, scale = 3 } } } }
        [[transaction]]
        name = "read"
        statements = ["one"]
        parameter = { id = { key = { table = "t" } } }
    "#;
    let schema = r#"
        CREATE TYPE mood AS ENUM ('sad', 'happy');
        CREATE DOMAIN rating AS smallint CHECK (VALUE BETWEEN 1 AND 5);
        CREATE TABLE t (id bigint PRIMARY KEY, small smallint, plain integer, exact numeric(12, 5), whole numeric,
            single real, wide double precision, truth boolean, words text, digits char(2), short varchar(20), mood mood,
            rating rating, raw bytea, span interval, host inet, net cidr, numbers bigint[], words_of varchar(99)[],
            moods mood[], prices numeric[], days date[], times timestamptz[], keys uuid[], truths boolean[],
            spans interval[], hosts inet[], documents jsonb[], ages double precision, day date, at timestamptz, local_at timestamp, key uuid, "Document" jsonb,
            twice bigint GENERATED ALWAYS AS (id * 2) STORED, given text NOT NULL DEFAULT 'x');
    "#;
    let (_folder, workload) = workload(toml, schema, "-- name: one :one\nSELECT * FROM t WHERE id = :id;");
    let database = Database::empty();
    try_load(database.url(), &workload, &options(1.0, 2, Existing::Refuse)).expect("it loads");
    let dataset = workload.dataset(SEED, 1.0);
    let session = database.session("test");
    session.execute("SET timezone = 'UTC'");
    for row in [0, 1, 17, 299] {
        let mut arena = Arena::default();
        let id = literal(dataset.value(0, 0, row, &mut arena), &arena);
        for (index, column) in workload.tables[0].columns.iter().enumerate() {
            let expected = literal(dataset.value(0, index, row, &mut arena), &arena);
            // The text form of the column's own type reads the value that was computed, and it must be the one there.
            let sql =
                format!("SELECT \"{0}\" IS NOT DISTINCT FROM {expected} FROM t WHERE id = {id}", column.name);
            assert_eq!(
                session.value(&sql),
                "t",
                "{sql}: {:?}",
                session.rows(&format!("SELECT \"{}\" FROM t WHERE id = {id}", column.name))
            );
        }
    }
    let state = state(database.url(), &workload);
    assert!(matches!(state.holds, Holds::This(mark) if mark.rows == 300 && mark.seed == SEED));
    assert_eq!(state.scale, Some(1.0));
}
