//! A pooler between the measured sessions and the server: started, or found where the user says; whether it leads to the target at
//! all, and as whom; and how sessions must talk through it.

use std::borrow::Cow;

use crate::dataset::follow_pooled;
use crate::db::Target;
use crate::local::{LocalServer, PoolMode, PoolerOptions, check_pgbouncer, start_pgbouncer};
use crate::probe::pgbouncer::{PoolerWatch, examine};
use crate::record::pooler::PoolerHeader;
use crate::units::Protocol;

use super::{Happening, MeasurePlan, Observer, OpenTarget, PoolerChoice, StudyError, TargetChoice};

/// Connections of a PgBouncer of our own to the server, unless the user says more or less: its own default.
const POOL_SIZE: u32 = 20;

/// A pooler that the measured sessions can go through.
pub(super) struct OpenPooler {
    /// Where they connect.
    target: Target,
    /// The role of the sessions behind it, where it chooses that.
    pub(super) measured_as: Option<String>,
    /// What it says of itself.
    pub(super) header: PoolerHeader,
    /// How it is looked at, where its console is known.
    watch: Option<PoolerWatch>,
    /// Present when it was started for this.
    own: Option<LocalServer>,
}

impl OpenPooler {
    /// Where the measured sessions connect to arrive at this database of the server. One that dbdyno started leads to each of them by
    /// its name; another one leads where it leads.
    pub(super) fn to(&self, database: &str) -> Target {
        if self.own.is_some() { self.target.with_database(database) } else { self.target.clone() }
    }

    /// How its part for this database of the server is looked at, where its console is known.
    pub(super) fn watch_of(&self, database: &str) -> Option<PoolerWatch> {
        let mut watch = self.watch.clone()?;
        if self.own.is_some() {
            database.clone_into(&mut watch.database);
        }
        Some(watch)
    }

    /// Removes one that was started for this, and waits until it is gone.
    pub(super) async fn close(self) -> Result<(), StudyError> {
        match self.own {
            Some(own) => Ok(own.stop().await?),
            None => Ok(()),
        }
    }
}

/// Whether what is asked for can be had at all: before a server is started for nothing.
pub(super) fn check(plan: &MeasurePlan, connections: u32) -> Result<(), StudyError> {
    let Some(PoolerChoice::Own { mode, pool_size }) = &plan.pooler else { return Ok(()) };
    check_pgbouncer()?;
    if let (PoolMode::Session, Some(size)) = (mode, pool_size)
        && *size < connections
    {
        return Err(StudyError::Refused(format!(
            "in session mode each of {connections} connections keeps a server connection of its own, and --pooler-pool is {size}: \
             give it {connections}, or choose --pooler pgbouncer for transaction mode"
        )));
    }
    Ok(())
}

/// Starts the pooler, or connects to it, if the plan wants one.
pub(super) async fn open(
    plan: &MeasurePlan,
    target: &OpenTarget,
    connections: u32,
    observer: &mut Observer<'_>,
) -> Result<Option<OpenPooler>, StudyError> {
    match &plan.pooler {
        None => Ok(None),
        Some(PoolerChoice::Own { mode, pool_size }) => {
            let pool_size = pool_size.unwrap_or(match mode {
                PoolMode::Transaction => POOL_SIZE,
                PoolMode::Session => connections,
            });
            start(plan, target, (*mode, pool_size), connections, observer).await.map(Some)
        }
        Some(PoolerChoice::Existing { pooler, console }) => {
            found(pooler, console.as_ref(), target, observer).await.map(Some)
        }
    }
}

async fn start(
    plan: &MeasurePlan,
    target: &OpenTarget,
    (mode, pool_size): (PoolMode, u32),
    clients: u32,
    observer: &mut Observer<'_>,
) -> Result<OpenPooler, StudyError> {
    let (Some(server), TargetChoice::Local(options)) = (target.local_server(), &plan.target) else {
        return Err(StudyError::Refused(
            "a PgBouncer of our own stands in front of a throwaway server only".to_owned(),
        ));
    };
    observer(Happening::Step(&format!("starting a throwaway PgBouncer in {} mode", mode.as_str())));
    let own = PoolerOptions {
        mode,
        pool_size,
        clients,
        cpus: options.cpus.clone(),
        supervisor: options.supervisor.clone(),
    };
    let own = start_pgbouncer(server, &own).await?;
    let console = Target::of_local_server(own.url())?;
    let database = target.target.database().to_owned();
    let header = about(&console, &database).await?;
    Ok(OpenPooler {
        target: console.with_database(&database),
        measured_as: None,
        header: PoolerHeader { is_own: true, ..header },
        watch: Some(PoolerWatch { console: console.clone(), database, process: Some(own.pid()) }),
        own: Some(own),
    })
}

async fn found(
    pooler: &Target,
    console: Option<&Target>,
    target: &OpenTarget,
    observer: &mut Observer<'_>,
) -> Result<OpenPooler, StudyError> {
    observer(Happening::Step(&format!("connecting to the pooler at {}", pooler.address())));
    // Followed first: then the pool is there, and its console can tell of it.
    let role = leads_to(pooler, target).await?;
    let database = pooler.database().to_owned();
    let (header, watch) = match console {
        Some(console) => {
            let header = about(console, &database).await?;
            let watch = PoolerWatch { console: console.clone(), database, process: None };
            (header, Some(watch))
        }
        None => (PoolerHeader::default(), None),
    };
    Ok(OpenPooler {
        target: pooler.clone(),
        measured_as: Some(role),
        header: PoolerHeader { address: pooler.address(), ..header },
        watch,
        own: None,
    })
}

async fn about(console: &Target, database: &str) -> Result<PoolerHeader, StudyError> {
    examine(console, database).await.map_err(|error| {
        StudyError::Refused(format!("--pooler-admin: {error} (asked at {})", console.address()))
    })
}

/// The plan as it can be carried out through this pooler, and what was changed for that. A pooler that gives a session another
/// server connection for each transaction, and keeps no prepared statements for it, would answer that they do not exist.
pub(super) fn fitted<'a>(
    plan: &'a MeasurePlan,
    pooler: Option<&OpenPooler>,
) -> Result<(Cow<'a, MeasurePlan>, Option<String>), StudyError> {
    let Some(pooler) = pooler else { return Ok((Cow::Borrowed(plan), None)) };
    let header = &pooler.header;
    let keeps = match header.mode.as_deref() {
        Some("session") => Some(true),
        Some(_) => Some(header.prepared_statements_max.is_some_and(|most| most > 0)),
        None => None,
    };
    if plan.protocol != Protocol::Prepared || keeps == Some(true) {
        return Ok((Cow::Borrowed(plan), None));
    }
    let known = keeps.is_some();
    if plan.is_protocol_chosen {
        if !known {
            // The user knows what dbdyno cannot.
            return Ok((Cow::Borrowed(plan), None));
        }
        return Err(StudyError::Refused(format!(
            "--protocol prepared does not go through {} in {} mode, {}: leave --protocol out, or use session mode",
            header.name,
            header.mode.as_deref().unwrap_or_default(),
            why(header),
        )));
    }
    let words = if known {
        format!(
            "sessions use the extended protocol, unnamed, with statements parsed each time: {} in {} mode {}",
            header.name,
            header.mode.as_deref().unwrap_or_default(),
            why(header)
        )
    } else {
        "sessions use the extended protocol, unnamed, with statements parsed each time: whether the pooler keeps prepared \
         statements is not known without its console (--pooler-admin URL; --protocol prepared where you know it)"
            .to_owned()
    };
    let fitted = MeasurePlan { protocol: Protocol::Extended, ..plan.clone() };
    Ok((Cow::Owned(fitted), Some(words)))
}

fn why(header: &PoolerHeader) -> &'static str {
    if header.prepared_statements_max == Some(0) {
        "keeps no prepared statements (max_prepared_statements = 0)"
    } else {
        "keeps no prepared statements (it could from 1.21 on)"
    }
}

/// Makes sure that what goes through `pooler` arrives at `target`: else the load runs in one place and the probes look at another.
/// Gives the role of the sessions behind it.
async fn leads_to(pooler: &Target, target: &OpenTarget) -> Result<String, StudyError> {
    let pooled = pooler.connect("control").await?;
    let found = follow_pooled(&pooled, &target.control).await?;
    if found.is_there {
        return Ok(found.role);
    }
    Err(StudyError::Refused(format!(
        "the pooler at {} leads to database {} of another server than the target at {}, or another database: name in --target the server \
         and the database behind the pooler",
        pooler.address(),
        found.database,
        target.target.address()
    )))
}
