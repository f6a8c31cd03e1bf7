//! From the rows of one look to lock waits with their chains: who waits, for whom directly, and who stands at the end.
//! Pure: knows no connection.

use std::collections::HashMap;

use super::clock::ClockOffset;
use super::lock_waits::LockRow;
use super::prepared::PreparedRow;
use super::session::{Registry, SessionRow};
use crate::probe::episodes::{SeenRoot, SeenWait};
use crate::probe::excerpt::excerpt_of_others;
use crate::probe::paths::{distinct, kept, paths_of};
use crate::probe::whose::{PREPARED, unlisted};
use crate::record::chain::{ChainLink, WantedLock};
use crate::record::observation::Session;
use crate::units::BackendId;

/// What one look saw of the locks.
pub struct Look<'a> {
    /// Who waits.
    pub locks: &'a [LockRow],
    /// The sessions that wait or block.
    pub sessions: &'a [SessionRow],
    /// What prepared transactions are called, where one blocks.
    pub prepared: &'a [PreparedRow],
    /// Whose session is whose.
    pub registry: &'a Registry,
    /// From the server's clock to ours.
    pub offset: ClockOffset,
}

impl Look<'_> {
    /// Joins locks and sessions, and follows each chain to its roots.
    pub fn waits(&self) -> Vec<SeenWait> {
        let joined = Joined {
            look: self,
            sessions: self.sessions.iter().map(|row| (row.pid, row)).collect(),
            locks: self.locks.iter().map(|row| (backend(row.pid), row)).collect(),
        };
        let blockers: HashMap<BackendId, Vec<BackendId>> = self
            .locks
            .iter()
            .map(|lock| (backend(lock.pid), lock.blockers.iter().copied().map(backend).collect()))
            .collect();
        self.locks.iter().map(|lock| joined.wait(lock, &blockers)).collect()
    }
}

struct Joined<'a> {
    look: &'a Look<'a>,
    sessions: HashMap<i32, &'a SessionRow>,
    locks: HashMap<BackendId, &'a LockRow>,
}

impl Joined<'_> {
    fn wait(&self, lock: &LockRow, blockers: &HashMap<BackendId, Vec<BackendId>>) -> SeenWait {
        let waiter = backend(lock.pid);
        let roots = paths_of(waiter, blockers).into_iter().filter_map(|path| {
            let root = *path.last()?;
            Some(SeenRoot { session: self.session(root), chain: self.chain(lock, &path) })
        });
        SeenWait {
            waiter: self.session(waiter),
            lock_type: lock.lock_type.clone(),
            mode: lock.mode.clone(),
            relation: lock.relation.clone(),
            wait_mark: lock.waitstart_us,
            began_at: lock.waitstart_us.map(|us| self.look.offset.stamp(us)),
            direct_blockers: distinct(lock.blockers.iter().copied().map(backend))
                .map(|backend| self.session(backend))
                .collect(),
            roots: roots.collect(),
        }
    }

    fn chain(&self, lock: &LockRow, path: &[BackendId]) -> Vec<ChainLink> {
        let mut waits = backend(lock.pid);
        kept(path)
            .map(|id| {
                let link = self.link(lock, waits, id);
                waits = id;
                link
            })
            .collect()
    }

    /// One session of the chain of `lock`, for which `waits` waits.
    fn link(&self, lock: &LockRow, waits: BackendId, id: BackendId) -> ChainLink {
        let row = self.row(id);
        let session = self.session(id);
        ChainLink {
            direct: lock.blockers.iter().any(|pid| backend(*pid) == id),
            waits_for: self.locks.get(&id).filter(|lock| !lock.blockers.is_empty()).map(|lock| WantedLock {
                mode: lock.mode.clone(),
                lock_type: lock.lock_type.clone(),
                relation: lock.relation.clone(),
            }),
            statement: excerpt_of_others(&session.who, row.map(|row| row.query.as_str())),
            transaction_age_us: row.and_then(|row| row.transaction_age_us),
            gid: if id == PREPARED { self.gid(waits) } else { None },
            session,
        }
    }

    /// What the prepared transaction is called that `waiter` waits for, where there is only one candidate.
    fn gid(&self, waiter: BackendId) -> Option<String> {
        let mut candidates = self.look.prepared.iter().filter(|row| backend(row.pid) == waiter);
        let first = candidates.next()?;
        candidates.next().is_none().then(|| first.gid.clone())
    }

    fn row(&self, id: BackendId) -> Option<&SessionRow> {
        i32::try_from(id.0).ok().and_then(|pid| self.sessions.get(&pid).copied())
    }

    fn session(&self, id: BackendId) -> Session {
        self.row(id).map_or_else(|| unlisted(id), |row| self.look.registry.session(row))
    }
}

fn backend(pid: i32) -> BackendId {
    BackendId(pid.into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::probe::ProbePlan;
    use crate::probe::paths::LINKS_MAX;
    use crate::units::StatementId;

    fn session(pid: i32, application: &str, state: &str, query: &str) -> SessionRow {
        SessionRow {
            pid,
            application: application.into(),
            backend_type: Some("client backend".into()),
            state: Some(state.into()),
            wait: None,
            query: query.into(),
            ours: true,
            transaction_age_us: Some(1_000_000),
        }
    }

    fn lock(pid: i32, mode: &str, blockers: &[i32]) -> LockRow {
        LockRow {
            pid,
            lock_type: "relation".into(),
            mode: mode.into(),
            relation: Some("stock".into()),
            waitstart_us: None,
            blockers: blockers.to_vec(),
        }
    }

    fn registry() -> Registry {
        Registry::new(&ProbePlan {
            values_apart: true,
            statements: vec![(StatementId(0), "a.b".into(), "/*dbdyno:a.b*/ SELECT 1".into())],
            interval: Duration::from_millis(100),
            ..ProbePlan::default()
        })
    }

    #[test]
    fn each_link_says_what_it_waits_for_and_whether_the_waiter_waits_for_it() {
        let sessions = [
            session(4, "dbdyno pool", "active", "/*dbdyno:a.b*/ SELECT 1"),
            session(2, "migration", "active", "ALTER TABLE stock ADD COLUMN note text"),
            session(1, "analytics", "idle in transaction", "SELECT * FROM stock WHERE id = 7"),
        ];
        let locks = [lock(2, "AccessExclusiveLock", &[1]), lock(4, "AccessShareLock", &[2])];
        let registry = registry();
        let offset = ClockOffset::none(0);
        let look = Look { locks: &locks, sessions: &sessions, prepared: &[], registry: &registry, offset };
        let waits = look.waits();
        let victim = &waits[1];
        assert_eq!(victim.roots.len(), 1);
        let [ddl, root] = victim.roots[0].chain.as_slice() else { panic!("two links") };
        assert_eq!((ddl.direct, root.direct), (true, false));
        let wanted = ddl.waits_for.as_ref().expect("it waits");
        assert_eq!(
            (wanted.mode.as_str(), wanted.relation.as_deref()),
            ("AccessExclusiveLock", Some("stock"))
        );
        assert_eq!(ddl.statement.as_deref(), Some("ALTER TABLE stock ADD COLUMN note text"));
        assert_eq!(root.waits_for, None);
        assert_eq!(root.statement.as_deref(), Some("SELECT * FROM stock WHERE id =…"));
        assert_eq!(root.session.state, "idle in transaction");
        assert_eq!(victim.roots[0].session, root.session);
    }

    #[test]
    fn a_prepared_transaction_is_called_by_its_name_where_there_is_one_candidate() {
        let locks = [lock(4, "RowExclusiveLock", &[0])];
        let registry = registry();
        let named = |gids: &[&str]| {
            let prepared: Vec<_> =
                gids.iter().map(|gid| PreparedRow { pid: 4, gid: (*gid).to_owned() }).collect();
            let offset = ClockOffset::none(0);
            let look =
                Look { locks: &locks, sessions: &[], prepared: &prepared, registry: &registry, offset };
            look.waits().remove(0).roots.remove(0).chain.remove(0)
        };
        let link = named(&["nightly"]);
        assert_eq!(
            (link.gid.as_deref(), link.session.state.as_str()),
            (Some("nightly"), "prepared transaction")
        );
        assert_eq!(named(&["nightly", "weekly"]).gid, None);
    }

    #[test]
    fn a_long_chain_keeps_its_root() {
        let locks: Vec<_> = (2..=40).map(|pid| lock(pid, "ExclusiveLock", &[pid - 1])).collect();
        let registry = registry();
        let offset = ClockOffset::none(0);
        let look = Look { locks: &locks, sessions: &[], prepared: &[], registry: &registry, offset };
        let last = look.waits().pop().expect("the last waiter");
        let backends: Vec<i64> = last.roots[0].chain.iter().map(|link| link.session.backend.0).collect();
        assert_eq!((backends.len(), backends[0], backends[LINKS_MAX - 1]), (LINKS_MAX, 39, 1));
    }
}
