//! From the rows of one look to lock waits with their chains: who waits, for whom directly, and who stands at the end. Pure but for
//! the questions themselves.

use std::collections::HashMap;

use mysql_async::Row;

use super::link::{count, probe_tag, text};
use super::metadata::MetadataRow;
use super::session::{METADATA_WAIT, ROW_WAIT, Registry, SessionRow};
use crate::probe::episodes::{LookTime, SeenRoot, SeenWait};
use crate::probe::excerpt::excerpt_of_others;
use crate::probe::paths::{distinct, kept, paths_of};
use crate::probe::whose::unlisted;
use crate::record::chain::{ChainLink, WantedLock};
use crate::record::observation::Session;
use crate::units::{BackendId, Stamp};

/// MariaDB 10.11. Who waits ahead in the queue of a row is among those who block.
pub const ROW_LOCKS_OF_MARIADB: &str = concat!(
    probe_tag!(),
    "SELECT r.trx_mysql_thread_id AS waiter, b.trx_mysql_thread_id AS blocker, l.lock_mode AS mode, l.lock_type AS lock_type, ",
    "l.lock_table AS relation FROM information_schema.INNODB_LOCK_WAITS AS w ",
    "JOIN information_schema.INNODB_TRX AS r ON r.trx_id = w.requesting_trx_id ",
    "JOIN information_schema.INNODB_TRX AS b ON b.trx_id = w.blocking_trx_id ",
    "JOIN information_schema.INNODB_LOCKS AS l ON l.lock_id = w.requested_lock_id LIMIT 5000"
);
/// MySQL 8, which has moved the locks to `performance_schema`. The thread that it names there is the one that made the lock, which need not
/// be its owner's: who inserts a row locks it by having inserted it, and of that the first one who waits for the row makes a lock, in his
/// own thread. So the transactions tell whose a lock is. Their list is up to a tenth of a second old: of who waits the thread is taken where
/// his transaction came since, as he makes the lock that he wants himself; who blocks is unknown then. The waits come first, so that the
/// locks are gone through once and not for each transaction.
pub const ROW_LOCKS_OF_MYSQL: &str = concat!(
    probe_tag!(),
    "SELECT COALESCE(r.trx_mysql_thread_id, t.PROCESSLIST_ID) AS waiter, b.trx_mysql_thread_id AS blocker, ",
    "l.LOCK_MODE AS mode, l.LOCK_TYPE AS lock_type, ",
    "CONCAT('`', l.OBJECT_SCHEMA, '`.`', l.OBJECT_NAME, '`') AS relation FROM performance_schema.data_lock_waits AS w ",
    "LEFT JOIN information_schema.INNODB_TRX AS r ON r.trx_id = w.REQUESTING_ENGINE_TRANSACTION_ID ",
    "LEFT JOIN information_schema.INNODB_TRX AS b ON b.trx_id = w.BLOCKING_ENGINE_TRANSACTION_ID ",
    "LEFT JOIN performance_schema.threads AS t ON t.THREAD_ID = w.REQUESTING_THREAD_ID ",
    "LEFT JOIN performance_schema.data_locks AS l ON l.ENGINE_LOCK_ID = w.REQUESTING_ENGINE_LOCK_ID LIMIT 5000"
);

/// A row of [`ROW_LOCKS_OF_MARIADB`] or [`ROW_LOCKS_OF_MYSQL`].
#[derive(Clone, Debug)]
pub struct RowLock {
    /// Number of the waiter's connection.
    pub waiter: u64,
    /// Number of the blocker's connection; 0 for a prepared transaction (XA), absent where the server does not tell it.
    pub blocker: Option<u64>,
    /// `X`, `S,GAP`, …
    pub mode: String,
    /// `row` or `table`.
    pub lock_type: &'static str,
    /// The table, qualified by its database.
    pub relation: Option<(String, String)>,
}

impl RowLock {
    /// Reads one row.
    pub fn read(row: &Row) -> Option<Self> {
        Some(Self {
            waiter: count(row, "waiter")?,
            blocker: count(row, "blocker"),
            mode: text(row, "mode").unwrap_or_default(),
            lock_type: if text(row, "lock_type").as_deref() == Some("TABLE") { "table" } else { "row" },
            relation: text(row, "relation").and_then(|name| parts(&name)),
        })
    }
}

/// `` `shop`.`stock` `` → shop, stock. A partition (`` `stock` /* Partition … */ ``) is its table.
pub(super) fn parts(name: &str) -> Option<(String, String)> {
    let (database, table) = name.strip_prefix('`')?.split_once("`.`")?;
    let table = table.split('`').next()?;
    Some((database.to_owned(), table.to_owned()))
}

/// A lock that a session waits for, and for whom.
#[derive(Clone, Debug)]
struct Wanted {
    waiter: u64,
    lock_type: &'static str,
    mode: String,
    relation: Option<String>,
    blockers: Vec<u64>,
}

/// What one look saw.
pub struct Look<'a> {
    /// All sessions.
    pub sessions: &'a [SessionRow],
    /// Waits for rows.
    pub rows: &'a [RowLock],
    /// Metadata locks, where somebody waits for one and they can be read.
    pub metadata: &'a [MetadataRow],
    /// The database under test.
    pub database: &'a str,
    /// Whose session is whose.
    pub registry: &'a Registry,
    /// When it was.
    pub time: LookTime,
    /// When the look before it was answered: who did not wait then began to wait since.
    pub before: Option<Stamp>,
}

impl Look<'_> {
    /// Joins locks and sessions, and follows each chain to its roots.
    pub fn waits(&self) -> Vec<SeenWait> {
        let wanted: Vec<Wanted> = self
            .sessions
            .iter()
            .filter(|session| session.waits_for_a_lock())
            .map(|of| self.wanted(of))
            .collect();
        let joined = Joined {
            look: self,
            sessions: self.sessions.iter().map(|row| (row.id, row)).collect(),
            wanted: wanted.iter().map(|wanted| (wanted.waiter, wanted)).collect(),
        };
        let blockers: HashMap<BackendId, Vec<BackendId>> = wanted
            .iter()
            .map(|wanted| (backend(wanted.waiter), wanted.blockers.iter().copied().map(backend).collect()))
            .collect();
        wanted.iter().filter_map(|wanted| joined.wait(wanted, &blockers)).collect()
    }

    /// What a session waits for. Without blockers where the server tells none.
    fn wanted(&self, session: &SessionRow) -> Wanted {
        match session.wait().as_deref() {
            Some(ROW_WAIT) => self.wanted_row(session.id),
            Some(METADATA_WAIT) => self.wanted_metadata(session.id),
            wait => {
                let lock_type = match wait {
                    Some("Lock:table") => "table",
                    Some("Lock:user") => "user",
                    _ => "global",
                };
                Wanted {
                    waiter: session.id,
                    lock_type,
                    mode: String::new(),
                    relation: None,
                    blockers: Vec::new(),
                }
            }
        }
    }

    fn wanted_row(&self, waiter: u64) -> Wanted {
        let of_waiter = || self.rows.iter().filter(|row| row.waiter == waiter);
        let first = of_waiter().next();
        Wanted {
            waiter,
            lock_type: first.map_or("row", |row| row.lock_type),
            mode: first.map_or_else(String::new, |row| row.mode.clone()),
            relation: first.and_then(|row| row.relation.as_ref()).map(|(database, table)| {
                if database == self.database { table.clone() } else { format!("{database}.{table}") }
            }),
            blockers: distinct(of_waiter().filter_map(|row| row.blocker)).collect(),
        }
    }

    fn wanted_metadata(&self, waiter: u64) -> Wanted {
        let pending = self.metadata.iter().find(|lock| lock.id == waiter && !lock.granted);
        let others = |is_one: &dyn Fn(&MetadataRow) -> bool| -> Vec<u64> {
            distinct(self.metadata.iter().filter(|lock| is_one(lock)).map(|lock| lock.id)).collect()
        };
        let blockers = pending.map_or_else(Vec::new, |pending| {
            let barring = others(&|lock| pending.waits_for(lock));
            if barring.is_empty() { others(&|lock| pending.waits_for_raised(lock)) } else { barring }
        });
        Wanted {
            waiter,
            lock_type: "metadata",
            mode: pending.map_or_else(String::new, |pending| pending.mode.clone()),
            relation: pending.map(|pending| pending.relation.clone()),
            blockers,
        }
    }

    /// When a wait began, as far as it is known: not before its statement, and not before the last look, which did not see it. The
    /// server tells whole seconds only. It counts for waits that are seen first; of the others the first look's word stays.
    fn began_at(&self, session: &SessionRow) -> Stamp {
        let seen_at = u64::midpoint(self.time.asked_at.0, self.time.answered_at.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped before")]
        let running_ns = (session.time_ms.clamp(0.0, 1e12) * 1e6) as u64;
        let statement = Stamp(seen_at.saturating_sub(running_ns));
        self.before.map_or(statement, |before| before.max(statement)).min(self.time.answered_at)
    }
}

/// What tells one wait of a session from its next one: its statement, and within that what tells the waits of its transaction apart.
fn mark(session: &SessionRow) -> Option<i64> {
    let wait = session.transaction.and_then(|transaction| transaction.wait).unwrap_or(0);
    let statement = session.query_id?;
    // Only compared with itself: a number that wraps is as good.
    Some(i64::from_ne_bytes(statement.wrapping_mul(1_000_003).wrapping_add(wait).to_ne_bytes()))
}

struct Joined<'a> {
    look: &'a Look<'a>,
    sessions: HashMap<u64, &'a SessionRow>,
    wanted: HashMap<u64, &'a Wanted>,
}

impl Joined<'_> {
    fn wait(&self, wanted: &Wanted, blockers: &HashMap<BackendId, Vec<BackendId>>) -> Option<SeenWait> {
        let row = self.sessions.get(&wanted.waiter)?;
        let roots = paths_of(backend(wanted.waiter), blockers).into_iter().filter_map(|path| {
            let root = *path.last()?;
            Some(SeenRoot { session: self.session(root), chain: self.chain(wanted, &path) })
        });
        Some(SeenWait {
            waiter: self.look.registry.session(row),
            lock_type: wanted.lock_type.to_owned(),
            mode: wanted.mode.clone(),
            relation: wanted.relation.clone(),
            wait_mark: mark(row),
            began_at: Some(self.look.began_at(row)),
            direct_blockers: wanted.blockers.iter().map(|id| self.session(backend(*id))).collect(),
            roots: roots.collect(),
        })
    }

    fn chain(&self, wanted: &Wanted, path: &[BackendId]) -> Vec<ChainLink> {
        kept(path).map(|id| self.link(wanted, id)).collect()
    }

    /// One session of the chain of `wanted`.
    fn link(&self, wanted: &Wanted, id: BackendId) -> ChainLink {
        let row = self.row(id);
        let session = self.session(id);
        let waits_for = number(id).and_then(|id| self.wanted.get(&id)).filter(|of| !of.blockers.is_empty());
        ChainLink {
            direct: wanted.blockers.iter().any(|blocker| backend(*blocker) == id),
            waits_for: waits_for.map(|of| WantedLock {
                mode: of.mode.clone(),
                lock_type: of.lock_type.to_owned(),
                relation: of.relation.clone(),
            }),
            statement: excerpt_of_others(&session.who, row.map(|row| row.query.as_str())),
            transaction_age_us: row
                .and_then(|row| row.transaction)
                .and_then(|transaction| transaction.age_us),
            gid: None,
            session,
        }
    }

    fn row(&self, id: BackendId) -> Option<&SessionRow> {
        number(id).and_then(|id| self.sessions.get(&id).copied())
    }

    fn session(&self, id: BackendId) -> Session {
        self.row(id).map_or_else(|| unlisted(id), |row| self.look.registry.session(row))
    }
}

fn backend(id: u64) -> BackendId {
    BackendId(i64::try_from(id).unwrap_or(i64::MAX))
}

fn number(id: BackendId) -> Option<u64> {
    u64::try_from(id.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::mysql::session::TransactionRow;
    use crate::probe::mysql::session::tests::{registry, session};
    use crate::record::observation::Who;
    use crate::units::StatementId;

    const TIME: LookTime = LookTime { asked_at: Stamp(2_000_000_000), answered_at: Stamp(2_000_000_000) };

    fn waiting(id: u64, query: &str) -> SessionRow {
        let transaction = TransactionRow { waits: true, wait: Some(1), age_us: Some(9) };
        SessionRow { transaction: Some(transaction), time_ms: 700.0, ..session(id, query) }
    }

    fn row(waiter: u64, blocker: u64) -> RowLock {
        let relation = parts("`shop`.`stock`");
        RowLock { waiter, blocker: Some(blocker), mode: "X".into(), lock_type: "row", relation }
    }

    fn look(sessions: &[SessionRow], rows: &[RowLock], metadata: &[MetadataRow]) -> Vec<SeenWait> {
        let registry = registry();
        let before = Some(Stamp(1_500_000_000));
        Look { sessions, rows, metadata, database: "shop", registry: &registry, time: TIME, before }.waits()
    }

    #[test]
    fn a_row_is_waited_for_until_its_holder_ends() {
        let idle = TransactionRow { waits: false, wait: None, age_us: Some(50) };
        let sessions = [
            waiting(2, "/*dbdyno:a.b*/ UPDATE stock SET n = 1"),
            waiting(3, "/*dbdyno:a.b*/ UPDATE stock SET n = 1"),
            SessionRow { transaction: Some(idle), ..session(1, "") },
        ];
        // The one who waits longer stands ahead.
        let waits = look(&sessions, &[row(2, 1), row(3, 1), row(3, 2)], &[]);
        assert_eq!(waits.len(), 2);
        let last = &waits[1];
        assert_eq!(last.waiter.who, Who::Statement(StatementId(3)));
        assert_eq!((last.lock_type.as_str(), last.relation.as_deref()), ("row", Some("stock")));
        let ids = |sessions: &[Session]| sessions.iter().map(|of| of.backend.0).collect::<Vec<_>>();
        assert_eq!(ids(&last.direct_blockers), [1, 2]);
        assert_eq!(last.roots.len(), 1);
        assert_eq!(last.roots[0].session.state, "idle in transaction");
        assert_eq!(last.began_at, Some(Stamp(1_500_000_000)), "the look before did not see it");
        assert!(last.wait_mark.is_some() && last.wait_mark != waits[0].wait_mark);
        // The next row of the same statement.
        let next = TransactionRow { waits: true, wait: Some(2), age_us: Some(9) };
        let next = [SessionRow { transaction: Some(next), ..sessions[1].clone() }];
        let unknown = [RowLock { blocker: None, ..row(3, 1) }];
        let waits = look(&next, &unknown, &[]);
        assert_ne!(waits[0].wait_mark, last.wait_mark);
        // Who blocks is not told, and what is waited for is.
        assert_eq!((waits[0].mode.as_str(), waits[0].relation.as_deref()), ("X", Some("stock")));
        assert!(waits[0].direct_blockers.is_empty() && waits[0].roots.is_empty());
    }

    #[test]
    fn a_wait_does_not_begin_before_its_statement() {
        let fresh = SessionRow { time_ms: 100.0, ..waiting(2, "UPDATE stock SET n = 1") };
        assert_eq!(look(&[fresh], &[row(2, 1)], &[])[0].began_at, Some(Stamp(1_900_000_000)));
    }

    #[test]
    fn a_queue_for_a_table_ends_at_its_reader() {
        let lock = |id, mode: &str, granted| MetadataRow {
            id,
            relation: "stock".to_owned(),
            mode: mode.to_owned(),
            granted,
        };
        let stands =
            |id, query| SessionRow { stage: "Waiting for table metadata lock".into(), ..session(id, query) };
        let sessions = [
            session(1, ""),
            stands(2, "ALTER TABLE stock ADD note text"),
            stands(3, "/*dbdyno:a.b*/ SELECT n FROM stock"),
        ];
        let locks =
            [lock(1, "SHARED_READ", true), lock(2, "EXCLUSIVE", false), lock(3, "SHARED_READ", false)];
        let waits = look(&sessions, &[], &locks);
        let victim = &waits[1];
        assert_eq!((victim.lock_type.as_str(), victim.mode.as_str()), ("metadata", "SHARED_READ"));
        let [ddl, root] = victim.roots[0].chain.as_slice() else { panic!("two links") };
        assert_eq!(
            (ddl.session.backend.0, ddl.direct, root.session.backend.0, root.direct),
            (2, true, 1, false)
        );
        assert_eq!(ddl.statement.as_deref(), Some("ALTER TABLE stock ADD note text"));
        // An ALTER at work: its lock is shown as it was taken.
        let at_work = [session(2, "ALTER TABLE stock MODIFY n bigint"), sessions[2].clone()];
        let locks = [lock(2, "SHARED_UPGRADABLE", true), lock(3, "SHARED_WRITE", false)];
        assert_eq!(look(&at_work, &[], &locks)[0].roots[0].session.backend.0, 2);
        // Where the locks cannot be read, the wait is seen nevertheless.
        let blind = look(&sessions, &[], &[]);
        assert!(blind.len() == 2 && blind[1].direct_blockers.is_empty() && blind[1].roots.is_empty());
    }

    #[test]
    fn a_table_is_named_without_its_partition() {
        assert_eq!(parts("`shop`.`stock` /* Partition `p0` */"), Some(("shop".into(), "stock".into())));
        assert_eq!(parts("stock"), None);
    }
}
