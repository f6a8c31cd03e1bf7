//! Who holds up whom by a metadata lock, from `performance_schema.metadata_locks`. The view says who holds and who waits, not who
//! blocks: that follows from the server's two tables of modes, of which the second lets a waiting ALTER hold up those who come behind
//! it. Pure but for the question itself.

use mysql_async::Row;

use super::link::{count, is_true, probe_tag, text};

/// MariaDB 10.11 and MySQL 8, where `performance_schema` and the instrument `wait/lock/metadata/sql/mdl` are on.
pub const METADATA_LOCKS: &str = concat!(
    probe_tag!(),
    "SELECT t.PROCESSLIST_ID AS id, m.OBJECT_NAME AS relation, m.LOCK_TYPE AS mode, m.LOCK_STATUS = 'GRANTED' AS granted ",
    "FROM performance_schema.metadata_locks AS m ",
    "JOIN performance_schema.threads AS t ON t.THREAD_ID = m.OWNER_THREAD_ID ",
    "WHERE m.OBJECT_TYPE = 'TABLE' AND m.OBJECT_SCHEMA = DATABASE() LIMIT 5000"
);

/// A row of [`METADATA_LOCKS`].
#[derive(Clone, Debug)]
pub struct MetadataRow {
    /// Number of the connection.
    pub id: u64,
    /// The table.
    pub relation: String,
    /// `SHARED_READ`, `EXCLUSIVE`, …
    pub mode: String,
    /// Whether it is held, or waited for.
    pub granted: bool,
}

impl MetadataRow {
    /// Reads one row. What no connection holds is left out.
    pub fn read(row: &Row) -> Option<Self> {
        Some(Self {
            id: count(row, "id")?,
            relation: text(row, "relation")?,
            mode: text(row, "mode")?,
            granted: is_true(row, "granted"),
        })
    }

    /// Whether this one has to wait for `other`.
    pub fn waits_for(&self, other: &Self) -> bool {
        let against = if other.granted { conflicts } else { gives_way };
        self.stands_beside(other) && against(&self.mode, &other.mode)
    }

    /// Whether `other` is what this one waits for where nothing else is in its way: MariaDB shows an ALTER's lock in the mode in which it
    /// was taken, also while it is raised to one that bars writes or all (10.11).
    pub fn waits_for_raised(&self, other: &Self) -> bool {
        self.stands_beside(other) && other.granted && other.mode == "SHARED_UPGRADABLE"
    }

    fn stands_beside(&self, other: &Self) -> bool {
        !self.granted && self.id != other.id && self.relation == other.relation
    }
}

/// Whether a request cannot be granted beside a lock that is held.
fn conflicts(wanted: &str, held: &str) -> bool {
    let barring: &[&str] = match wanted {
        "SHARED" | "SHARED_HIGH_PRIO" => &["EXCLUSIVE"],
        "SHARED_READ" => &["SHARED_NO_READ_WRITE", "EXCLUSIVE"],
        "SHARED_WRITE" | "SHARED_WRITE_LOW_PRIO" => {
            &["SHARED_READ_ONLY", "SHARED_NO_WRITE", "SHARED_NO_READ_WRITE", "EXCLUSIVE"]
        }
        "SHARED_UPGRADABLE" => &["SHARED_UPGRADABLE", "SHARED_NO_WRITE", "SHARED_NO_READ_WRITE", "EXCLUSIVE"],
        "SHARED_READ_ONLY" => &["SHARED_WRITE", "SHARED_WRITE_LOW_PRIO", "SHARED_NO_READ_WRITE", "EXCLUSIVE"],
        "SHARED_NO_WRITE" => &[
            "SHARED_WRITE",
            "SHARED_WRITE_LOW_PRIO",
            "SHARED_UPGRADABLE",
            "SHARED_NO_WRITE",
            "SHARED_NO_READ_WRITE",
            "EXCLUSIVE",
        ],
        "SHARED_NO_READ_WRITE" => return !["SHARED", "SHARED_HIGH_PRIO"].contains(&held),
        "EXCLUSIVE" => return true,
        _ => return false,
    };
    barring.contains(&held)
}

/// Whether a request stands behind another one that waits, since that one goes first.
fn gives_way(wanted: &str, waiting: &str) -> bool {
    let first: &[&str] = match wanted {
        "SHARED" | "SHARED_UPGRADABLE" | "SHARED_NO_WRITE" | "SHARED_NO_READ_WRITE" => &["EXCLUSIVE"],
        "SHARED_READ" => &["SHARED_NO_READ_WRITE", "EXCLUSIVE"],
        "SHARED_WRITE" => &["SHARED_NO_WRITE", "SHARED_NO_READ_WRITE", "EXCLUSIVE"],
        "SHARED_WRITE_LOW_PRIO" => {
            &["SHARED_READ_ONLY", "SHARED_NO_WRITE", "SHARED_NO_READ_WRITE", "EXCLUSIVE"]
        }
        "SHARED_READ_ONLY" => &["SHARED_WRITE", "SHARED_NO_READ_WRITE", "EXCLUSIVE"],
        _ => return false,
    };
    first.contains(&waiting)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(id: u64, mode: &str, granted: bool) -> MetadataRow {
        MetadataRow { id, relation: "stock".into(), mode: mode.into(), granted }
    }

    #[test]
    fn readers_stand_behind_an_alter_that_stands_behind_a_reader() {
        let holder = lock(1, "SHARED_READ", true);
        let [held, wanted] = [lock(2, "SHARED_UPGRADABLE", true), lock(2, "EXCLUSIVE", false)];
        let reader = lock(3, "SHARED_READ", false);
        assert!(wanted.waits_for(&holder));
        assert!(!wanted.waits_for(&held), "nobody waits for himself");
        assert!(reader.waits_for(&wanted) && !reader.waits_for(&holder) && !reader.waits_for(&held));
        assert!(!wanted.waits_for(&reader), "who waits first goes first");
        assert!(!holder.waits_for(&wanted), "it has what it wants");
    }

    #[test]
    fn a_writer_stands_behind_an_alter_whose_lock_is_not_shown_as_raised() {
        let copying = lock(2, "SHARED_UPGRADABLE", true);
        let writer = lock(3, "SHARED_WRITE", false);
        assert!(!writer.waits_for(&copying) && writer.waits_for_raised(&copying));
        assert!(!writer.waits_for_raised(&lock(1, "SHARED_READ", true)));
        assert!(!writer.waits_for_raised(&MetadataRow { relation: "orders".into(), ..copying }));
    }

    #[test]
    fn locks_of_other_tables_are_in_nobodys_way() {
        let elsewhere = MetadataRow { relation: "orders".into(), ..lock(1, "EXCLUSIVE", true) };
        assert!(!lock(2, "SHARED_READ", false).waits_for(&elsewhere));
        assert!(lock(2, "SHARED_WRITE", false).waits_for(&lock(1, "SHARED_READ_ONLY", true)));
        assert!(!lock(2, "SHARED_WRITE", false).waits_for(&lock(1, "SHARED_READ", true)));
    }
}
