//! Keys and foreign keys that `CREATE TABLE` declares within itself: taken off the empty tables and put back behind the rows,
//! where an index is built at once and a reference is checked by one join. PostgreSQL 14 to 18.

use super::created::Created;
use super::server::{code, failed, quoted};
use crate::dataset::DatasetError;
use crate::db::postgres::Client;

/// A constraint that waits for the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Constraint {
    /// Quoted, qualified where it must be.
    table: String,
    name: String,
    /// As `ADD CONSTRAINT name` goes on.
    definition: String,
    is_foreign: bool,
}

/// Constraints of the given tables. What `pg_get_constraintdef` does not tell (storage parameters, a tablespace, a replica
/// identity, a clustering, a comment) would be lost, so constraints that have any of it stay where they are.
const CONSTRAINTS: &str = "
    SELECT c.conrelid::regclass::text, c.conname::text, pg_get_constraintdef(c.oid), c.contype = 'f'
    FROM pg_constraint c
    LEFT JOIN pg_class i ON i.oid = c.conindid AND c.contype <> 'f'
    LEFT JOIN pg_index x ON x.indexrelid = i.oid
    WHERE c.conrelid = ANY ($1) AND c.contype IN ('p', 'u', 'x', 'f') AND c.conparentid = 0 AND c.coninhcount = 0
      AND i.reloptions IS NULL AND coalesce(i.reltablespace, 0) = 0
      AND NOT coalesce(x.indisreplident OR x.indisclustered, false)
      AND obj_description(c.oid, 'pg_constraint') IS NULL
      AND (i.oid IS NULL OR obj_description(i.oid, 'pg_class') IS NULL)
    ORDER BY c.contype <> 'f', c.oid";

/// Takes the constraints off the tables that were just made. What something else hangs onto stays. Runs inside the
/// transaction of the schema.
pub(super) async fn take_off(client: &Client, made: &[Created]) -> Result<Vec<Constraint>, DatasetError> {
    const DOING: &str = "take constraints off the empty tables";
    let tables: Vec<u32> =
        made.iter().filter(|object| object.kind == "table").map(|object| object.oid).collect();
    let mut taken = vec![];
    // Foreign keys come first, since they hang onto the keys of others.
    for row in client.query(CONSTRAINTS, &[&tables]).await.map_err(failed(DOING))? {
        let constraint = Constraint {
            table: row.get(0),
            name: row.get(1),
            definition: row.get(2),
            is_foreign: row.get(3),
        };
        client.batch_execute("SAVEPOINT dbdyno_constraint").await.map_err(failed(DOING))?;
        match client.batch_execute(&constraint.drop()).await {
            Ok(()) => taken.push(constraint),
            // dependent_objects_still_exist, feature_not_supported
            Err(error) if ["2BP01", "0A000"].contains(&code(&error).unwrap_or_default()) => {
                let undo = "ROLLBACK TO SAVEPOINT dbdyno_constraint";
                client.batch_execute(undo).await.map_err(failed(DOING))?;
            }
            Err(error) => return Err(failed(DOING)(error)),
        }
        client.batch_execute("RELEASE SAVEPOINT dbdyno_constraint").await.map_err(failed(DOING))?;
    }
    // Back in the opposite order: keys before those that refer to them.
    taken.sort_by_key(|constraint| constraint.is_foreign);
    Ok(taken)
}

impl Constraint {
    /// What is done, for a person: `orders: orders_pkey`.
    pub(super) fn what(&self) -> String {
        format!("{}: {}", self.table, self.name)
    }

    /// Whether it refers to another table.
    pub(super) fn is_foreign(&self) -> bool {
        self.is_foreign
    }

    /// The statement that puts it back.
    pub(super) fn add(&self) -> String {
        format!("ALTER TABLE {} ADD CONSTRAINT {} {}", self.table, quoted(&self.name), self.definition)
    }

    fn drop(&self) -> String {
        format!("ALTER TABLE {} DROP CONSTRAINT {}", self.table, quoted(&self.name))
    }
}
