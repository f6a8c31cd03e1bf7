//! Looks at the server and at the host while a run goes on, from connections of its own, never from the measured pool.

mod activity;
pub mod capabilities;
pub mod ddl;
mod episodes;
mod excerpt;
mod fingerprint;
mod gauge;
pub mod host;
mod link;
mod mysql;
mod outlet;
mod paths;
pub mod pgbouncer;
pub mod plans;
pub mod postgres;
mod tally;
mod whose;

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::db::{ConnectError, Now, Target, mysql as mysql_db, postgres as postgres_db};
use crate::record::entry::Edge;
use crate::record::observation::{ProbeCost, Reading};
use crate::units::{Span, StatementId};

use activity::{Activity, Eyes};
use gauge::{GaugeConnection, GaugeProbe};
use host::HostProbe;
use link::{COUNTERS, Command, OnRequest, OnSchedule, Request, read_on_request, read_on_schedule};
use mysql::activity::MySqlEyes;
use pgbouncer::{PoolerProbe, PoolerWatch};
use plans::{PlanCapture, PlanCommand, PlanOrder};
use postgres::activity::PostgresEyes;

/// What the probes must know of the workload to join what they see to it.
#[derive(Clone, Debug, Default)]
pub struct ProbePlan {
    /// The statements: id, tag, and the text that is sent (tag included).
    pub statements: Vec<(StatementId, String, String)>,
    /// Whether values travel apart from the texts. Where they stand in them, the server gives the texts other numbers than it
    /// would tell beforehand.
    pub values_apart: bool,
    /// As whom they are executed, where that is somebody else than the probes.
    pub measured_as: Option<String>,
    /// Time between two looks at the sessions.
    pub interval: Duration,
    /// Numbers of the workload's own that are read beside the run.
    pub gauges: Vec<GaugePlan>,
    /// Statements whose plans are asked for.
    pub plans: PlanCapture,
    /// The pooler that the measured sessions go through, where its console can be asked.
    pub pooler: Option<PoolerWatch>,
}

/// A number that is read beside the run.
#[derive(Clone, Debug)]
pub struct GaugePlan {
    /// Its name.
    pub name: String,
    /// One row, one number.
    pub query: String,
    /// Time between two readings.
    pub every: Duration,
}

/// What a probe hands to the one who writes the journal.
#[derive(Clone, Debug)]
pub struct Probed {
    /// At which edge of the stage it was read, for counters.
    pub edge: Option<Edge>,
    /// What was seen.
    pub reading: Reading,
}

/// The role that probe connections carry in their application name: `dbdyno probe`.
pub(crate) const ROLE: &str = "probe";

/// Why the probes do not run.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// A gauge of the workload gives no number.
    #[error(
        "gauge `{gauge}` of the workload cannot be read: {message}; its query must give one row with one number"
    )]
    Gauge {
        /// Its name.
        gauge: String,
        /// Why.
        message: String,
    },
    /// No connection of its own could be made.
    #[error("the probes cannot connect: {0}")]
    Connect(#[from] ConnectError),
    /// The connection stands, and the server refused the first questions.
    #[error("the probes cannot look at the server: {message}")]
    Setup {
        /// The server's words.
        message: String,
    },
}

/// How long an edge waits for its counters. A connection that is made again and every query at its limit would take longer.
const EDGE_LIMIT: Duration = Duration::from_secs(20);
/// Orders for plans that may wait: more edges than that do not pass while one is carried out.
const ORDERS_MAX: usize = 16;
/// How long the end of a run waits for the last readings.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// All probes of a run, each on its own connection and task. Dropping it stops them without their last readings.
pub struct Probes {
    server: Option<ServerProbes>,
    host: mpsc::Sender<Stop>,
    now: Box<dyn Fn() -> crate::units::Stamp + Send + Sync>,
}

/// Those that ask the server.
struct ServerProbes {
    activity: mpsc::Sender<Command>,
    counters: mpsc::Sender<Request>,
    /// Probes that read on their own until they are told to stop: the server's pulse, the gauges, the pooler.
    on_schedule: Vec<mpsc::Sender<Stop>>,
    plans: Option<mpsc::Sender<PlanCommand>>,
}

/// Where a probe tells that its last reading was sent.
pub type Stop = oneshot::Sender<()>;

impl Probes {
    /// Connects, learns what it must know of the server and the workload, and begins to look. Must be called within a tokio
    /// runtime; the probes are tasks of it. `epoch_unix_us` is the wall-clock time at which `clock` stood at zero.
    pub async fn start(
        target: &Target,
        plan: ProbePlan,
        clock: impl Now,
        epoch_unix_us: i64,
        out: mpsc::Sender<Probed>,
    ) -> Result<Self, ProbeError> {
        let server = match target {
            Target::Postgres(settings) => {
                ServerProbes::of_postgres(settings, plan, &clock, epoch_unix_us, &out).await?
            }
            Target::MySql(settings) => {
                ServerProbes::of_mysql(settings, &plan, &clock, epoch_unix_us, &out).await?
            }
        };
        Ok(Self { server: Some(server), ..Self::host_only(clock, out) })
    }

    /// Looks at the generator and its host only: a run must know whether it was its own limit, also when nobody looks at the
    /// server.
    pub fn host_only(clock: impl Now, out: mpsc::Sender<Probed>) -> Self {
        let (host, stop) = mpsc::channel(1);
        tokio::spawn(HostProbe::new(clock.clone(), out).run(stop));
        Self { server: None, host, now: Box::new(move || clock.now()) }
    }

    /// Reads the counters at an edge of a stage. What was sampled up to now is handed on first, so that no summary reaches
    /// across the edge. Nothing when the server is not looked at.
    pub async fn read_edge(&self, edge: Edge) -> Option<Probed> {
        let server = self.server.as_ref()?;
        // A full queue of commands means that a flush is on its way already.
        let _ = server.activity.try_send(Command::Flush);
        let asked_at = (self.now)();
        let reading = async {
            let (answer, answered) = oneshot::channel();
            server.counters.send((edge, answer)).await.ok()?;
            answered.await.ok()
        };
        let message = match tokio::time::timeout(EDGE_LIMIT, reading).await {
            Ok(Some(probed)) => return Some(probed),
            Ok(None) => "the probe of the counters has ended".to_owned(),
            Err(_) => format!("no counters within {} s", EDGE_LIMIT.as_secs()),
        };
        let reading = Reading {
            probe: COUNTERS.to_owned(),
            window: Span { from: asked_at, to: (self.now)() },
            cost: ProbeCost { gaps: 1, ..ProbeCost::default() },
            seen: Err(message),
        };
        Some(Probed { edge: Some(edge), reading })
    }

    /// Has the plans of all statements asked for. The probe does it beside whatever goes on; an order that finds too many before it
    /// is dropped, and whoever waits for it with it.
    pub fn survey_plans(&self, order: PlanOrder) {
        if let Some(plans) = self.server.as_ref().and_then(|server| server.plans.as_ref()) {
            let _ = plans.try_send(PlanCommand::Survey(order));
        }
    }

    /// Ends the probes. Lock waits that still go on and the last summaries are sent before it returns; the reader of the
    /// channel should keep reading meanwhile.
    pub async fn stop(self) {
        let (activity_done, activity_ended) = oneshot::channel();
        let (host_done, host_ended) = oneshot::channel();
        let ended = async {
            // A probe that has ended already has nothing more to send.
            if let Some(server) = &self.server {
                let _ = server.activity.send(Command::Stop(activity_done)).await;
                let _ = activity_ended.await;
                for probe in &server.on_schedule {
                    let (done, ended) = oneshot::channel();
                    let _ = probe.send(done).await;
                    let _ = ended.await;
                }
                if let Some(plans) = &server.plans {
                    let (done, ended) = oneshot::channel();
                    let _ = plans.send(PlanCommand::Stop(done)).await;
                    let _ = ended.await;
                }
            }
            let _ = self.host.send(host_done).await;
            let _ = host_ended.await;
        };
        let _ = tokio::time::timeout(STOP_LIMIT, ended).await;
    }
}

impl ServerProbes {
    async fn of_postgres(
        settings: &postgres_db::Settings,
        plan: ProbePlan,
        clock: &impl Now,
        epoch_unix_us: i64,
        out: &mpsc::Sender<Probed>,
    ) -> Result<Self, ProbeError> {
        let counters = postgres::counters::CounterProbe::open(settings, &plan).await?;
        let eyes = PostgresEyes::new(settings, &plan, epoch_unix_us, out.clone());
        let activity = Activity::open(eyes, plan.interval, clock.clone(), out.clone()).await?;
        let pulse = postgres::pulse::PulseProbe::open(settings).await?;
        let gauges = open_gauges::<postgres::gauge::Gauge>(settings, &plan.gauges, clock).await?;
        let has_statements = !plan.plans.statements.is_empty();
        let opening = postgres::plans::PlanProbe::open(settings, plan.plans, clock.clone(), out.clone());
        let plans = start_plans(has_statements, opening, postgres::plans::PlanProbe::run).await?;
        let mut probes = Self { plans, ..Self::begin(activity, counters, pulse, gauges, clock, out) };
        if let Some(watch) = plan.pooler {
            probes.on_schedule.push(begin(PoolerProbe::new(watch), clock, out));
        }
        Ok(probes)
    }

    /// No pooler stands before it.
    async fn of_mysql(
        settings: &mysql_db::Settings,
        plan: &ProbePlan,
        clock: &impl Now,
        epoch_unix_us: i64,
        out: &mpsc::Sender<Probed>,
    ) -> Result<Self, ProbeError> {
        let (last_look, deadlocks) = (mysql::LastLook::default(), mysql::DeadlockCount::default());
        let counters = mysql::counters::CounterProbe::open(settings, plan).await?;
        let eyes = MySqlEyes::new(settings, plan, last_look.clone(), deadlocks.clone(), out.clone());
        let interval = plan.interval.max(mysql::activity::INTERVAL_MIN);
        let activity = Activity::open(eyes, interval, clock.clone(), out.clone()).await?;
        let pulse = mysql::pulse::PulseProbe::open(settings, epoch_unix_us, last_look, deadlocks).await?;
        let gauges = open_gauges::<mysql::gauge::Gauge>(settings, &plan.gauges, clock).await?;
        let has_statements = !plan.plans.statements.is_empty();
        let opening = mysql::plans::PlanProbe::open(settings, plan.plans.clone(), clock.clone(), out.clone());
        let plans = start_plans(has_statements, opening, mysql::plans::PlanProbe::run).await?;
        Ok(Self { plans, ..Self::begin(activity, counters, pulse, gauges, clock, out) })
    }

    /// Begins to look with those that every engine has.
    fn begin<N: Now>(
        activity: Activity<impl Eyes + 'static, N>,
        counters: impl OnRequest + 'static,
        pulse: impl OnSchedule + 'static,
        gauges: Vec<impl OnSchedule + 'static>,
        clock: &N,
        out: &mpsc::Sender<Probed>,
    ) -> Self {
        let mut on_schedule = vec![begin(pulse, clock, out)];
        on_schedule.extend(gauges.into_iter().map(|gauge| begin(gauge, clock, out)));
        let (commands, told) = mpsc::channel(4);
        let (requests, asked) = mpsc::channel(1);
        tokio::spawn(activity.run(told));
        tokio::spawn(read_on_request(counters, clock.clone(), asked));
        Self { activity: commands, counters: requests, on_schedule, plans: None }
    }
}

/// Has a probe read on its own until it is told to stop.
fn begin(
    probe: impl OnSchedule + 'static,
    clock: &impl Now,
    out: &mpsc::Sender<Probed>,
) -> mpsc::Sender<Stop> {
    let (stop, stopped) = mpsc::channel(1);
    tokio::spawn(read_on_schedule(probe, clock.clone(), out.clone(), stopped));
    stop
}

/// Connects the gauges, and reads each once.
async fn open_gauges<C: GaugeConnection>(
    settings: &C::Settings,
    plans: &[GaugePlan],
    clock: &impl Now,
) -> Result<Vec<GaugeProbe<C>>, ProbeError> {
    let mut gauges = Vec::with_capacity(plans.len());
    for plan in plans {
        gauges.push(GaugeProbe::open(settings, plan, clock).await?);
    }
    Ok(gauges)
}

/// The time between two looks at the sessions, where so much is wished for: not every server bears it.
#[must_use]
pub fn interval(target: &Target, wished: Duration) -> Duration {
    match target {
        Target::Postgres(_) => wished,
        Target::MySql(_) => wished.max(mysql::activity::INTERVAL_MIN),
    }
}

/// Begins to look at the plans, where there are statements to have any: `opening` is awaited only then.
async fn start_plans<P, R: Future<Output = ()> + Send + 'static>(
    has_statements: bool,
    opening: impl Future<Output = Result<P, ProbeError>>,
    run: impl FnOnce(P, mpsc::Receiver<PlanCommand>) -> R,
) -> Result<Option<mpsc::Sender<PlanCommand>>, ProbeError> {
    if !has_statements {
        return Ok(None);
    }
    let probe = opening.await?;
    let (plans, commands) = mpsc::channel(ORDERS_MAX);
    tokio::spawn(run(probe, commands));
    Ok(Some(plans))
}
