//! Accidents on purpose: whoever holds locks or old snapshots when a migration comes, so that the lock queue is met here and not in
//! production.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::db::Target;
use crate::probe::ddl::{DdlSession, Schema, SeenLock, Watch};
use crate::record::migration::{DdlError, MigrationEntry};
use crate::time::{Now as _, RealClock};
use crate::units::Span;

use super::alongside::Told;
use super::apply::stopped;
use super::plan::Disturb;

/// Tables that an accident touches, the first by name.
const TABLES_MAX: usize = 500;
/// A vacuum has its first lock within this, unless another session keeps it from that.
const FIRST_LOCK_PATIENCE: Duration = Duration::from_secs(3);
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
/// The lock of a vacuum on its table.
const OF_VACUUM: &str = "ShareUpdateExclusiveLock";
/// Who is told to end does so within this.
const END_PATIENCE: Duration = Duration::from_secs(3);

/// Accidents that go on.
pub(super) struct Disturbers {
    sessions: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Disturbers {
    /// Sets them up, and waits until each holds what it holds.
    pub(super) async fn set_up(
        wanted: &[Disturb],
        target: &Target,
        schema: &Schema,
        clock: RealClock,
        out: mpsc::Sender<Told>,
    ) -> Result<Self, DdlError> {
        let (stop, _) = watch::channel(false);
        let mut sessions = JoinSet::new();
        let tables: Vec<String> = schema.tables().into_iter().take(TABLES_MAX).map(str::to_owned).collect();
        for disturb in wanted.iter().copied() {
            let no_connection = |error: crate::db::ConnectError| DdlError {
                code: "08001".to_owned(),
                message: error.to_string(),
            };
            let session = DdlSession::open(target, disturb.as_str()).await.map_err(no_connection)?;
            let watch = Watch::begin(target, session.backend(), clock).await.map_err(no_connection)?;
            let from = clock.now();
            if disturb != Disturb::Autovacuum {
                session.read_all(&tables).await?;
            }
            let (own, out, mut stop) = (tables.clone(), out.clone(), stop.subscribe());
            let (holds, held) = oneshot::channel();
            sessions.spawn(async move {
                let going_on = go_on(disturb, &session, &own);
                let mut going_on = std::pin::pin!(going_on);
                tokio::select! {
                    () = &mut going_on => {}
                    () = tell_first_lock(&watch, holds) => {}
                    () = stopped(&mut stop) => {
                        watch.cancel().await;
                        let _ = tokio::time::timeout(END_PATIENCE, going_on).await;
                    }
                }
                let span = Span { from, to: clock.now() };
                let entry = MigrationEntry::Disturbed {
                    what: disturb.as_str().to_owned(),
                    backend: session.backend(),
                    span,
                };
                let _ = out.send(Told::Entry(span.to, entry)).await;
            });
            if disturb == Disturb::Autovacuum && !tables.is_empty() {
                // Where another session keeps it from its lock, the migration meets that one.
                let _ = tokio::time::timeout(FIRST_LOCK_PATIENCE, held).await;
            }
        }
        Ok(Self { sessions, stop })
    }

    /// Ends those that still go on.
    pub(super) async fn end(mut self) {
        let _ = self.stop.send(true);
        while self.sessions.join_next().await.is_some() {}
    }
}

/// Says once that a session holds a lock. Never ends by itself.
async fn tell_first_lock(watch: &Watch, holds: oneshot::Sender<()>) {
    let is_of_vacuum = |lock: &SeenLock| lock.mode == OF_VACUUM;
    while !watch.take().held.iter().any(is_of_vacuum) {
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    // Nobody waits for it any more when it took too long.
    let _ = holds.send(());
    std::future::pending::<()>().await;
}

/// Until the accident is over by itself, or its statement was cancelled.
async fn go_on(disturb: Disturb, session: &DdlSession, tables: &[String]) {
    match disturb {
        Disturb::LongReader(lasts) => {
            let _ = session.sleep(lasts).await;
            let _ = session.execute("ROLLBACK").await;
        }
        Disturb::IdleInTransaction(lasts) => {
            tokio::time::sleep(lasts).await;
            let _ = session.execute("ROLLBACK").await;
        }
        Disturb::Autovacuum => {
            let _ = session.vacuum(tables).await;
        }
    }
}
