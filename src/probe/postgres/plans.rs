//! The plans of the workload's statements: of all of them at the edges of a stage, and of those that are concerned whenever
//! something that plans depend on has changed. Looks once a second, on a connection of its own, and executes no statement.

mod describe;
mod explain;
mod mask;
mod roots;
mod text;
mod watch;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::db::Now;
use crate::db::postgres::Settings;
use crate::probe::link::{Line, Unanswered, next_look};
use crate::probe::outlet::Outlet;
use crate::probe::plans::{PlanCapture, PlanCommand, PlanOrder};
use crate::probe::{ProbeError, Probed};
use crate::record::observation::{Observation, ProbeCost};
use crate::record::plan::{PlanClass, PlanEdge, PlanSurvey, SeenPlan, ToldPlan, Unexplained};
use crate::units::{Span, StatementId};

use describe::Table;
use explain::{Desk, Explained, LIMIT, Refusal};
use watch::{Scans, TableState};

/// Time between two looks at what plans depend on, before jitter.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Tables that are watched, those that were met first.
const TABLES_MAX: usize = 500;
/// Causes that are kept of one statement until its plan is asked for.
const CAUSES_MAX: usize = 6;
/// Statements of one round that a lock or a limit keeps from being explained before the others are left for the next look.
const PASSING_MAX: usize = 5;

/// The probe.
pub struct PlanProbe<N> {
    settings: Settings,
    capture: PlanCapture,
    clock: N,
    /// What measured sessions begin with.
    begin_with: Vec<(String, String)>,
    line: Line<Desk>,
    /// By the place in the capture.
    known: Vec<Known>,
    tables: BTreeMap<Table, Watched>,
    told: HashSet<(StatementId, String)>,
    /// Of looks that found nothing to tell.
    cost: ProbeCost,
    outlet: Outlet,
}

/// What is known of a statement.
#[derive(Default)]
struct Known {
    /// What its plans read.
    tables: BTreeSet<Table>,
    /// Shapes of its plans, partitions under the name of their root.
    kinds: BTreeMap<PlanClass, String>,
    /// What has changed since they were made.
    causes: Vec<String>,
    /// Whether its plans are to be asked for.
    is_due: bool,
    /// Whether it has none for good, as far as can be known.
    is_refused: bool,
    /// Why it had none when that was told last.
    reason_told: Option<String>,
}

/// A table at the last look.
struct Watched {
    state: TableState,
    scans: Option<Scans>,
}

/// What one round of questions gave.
#[derive(Default)]
struct Round {
    survey: PlanSurvey,
    cost: ProbeCost,
    /// Why some are left for the next look.
    passing: Option<String>,
}

impl<N: Now> PlanProbe<N> {
    /// Connects, so that a wrong password is told before the run begins.
    pub async fn open(
        settings: &Settings,
        capture: PlanCapture,
        clock: N,
        out: mpsc::Sender<Probed>,
    ) -> Result<Self, ProbeError> {
        let desk = Desk::open(settings, &[]).await?;
        Ok(Self {
            settings: settings.clone(),
            known: capture.statements.iter().map(|_| Known::default()).collect(),
            capture,
            clock,
            begin_with: Vec::new(),
            line: Line::new(Some(desk), LIMIT),
            tables: BTreeMap::new(),
            told: HashSet::new(),
            cost: ProbeCost::default(),
            outlet: Outlet::new("plans", out),
        })
    }

    /// Looks until it is told to stop.
    pub async fn run(mut self, mut commands: mpsc::Receiver<PlanCommand>) {
        let mut look_due = Instant::now() + LOOK_EVERY;
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(PlanCommand::Survey(order)) => self.survey(order).await,
                    Some(PlanCommand::Stop(done)) => {
                        self.tell_cost().await;
                        // Nobody waits any more when the receiver is gone.
                        let _ = done.send(());
                        return;
                    }
                    None => return,
                },
                () = tokio::time::sleep_until(look_due) => {
                    self.look().await;
                    let (next, missed) = next_look(look_due, LOOK_EVERY, 0.2);
                    self.cost.gaps += missed;
                    look_due = next;
                }
            }
        }
    }

    /// Asks for the plans of all statements.
    async fn survey(&mut self, order: PlanOrder) {
        let PlanOrder { edges, sessions, done } = order;
        if let Some(begin_with) = sessions {
            self.renew_sessions(begin_with).await;
        }
        for known in &mut self.known {
            known.is_due = true;
        }
        self.round(edges).await;
        if let Some(done) = done {
            // Who asked may have given up.
            let _ = done.send(());
        }
    }

    /// The measured sessions are others now: their plans are made anew, and what was before is no change.
    async fn renew_sessions(&mut self, begin_with: Vec<(String, String)>) {
        if self.begin_with == begin_with {
            if let Some(desk) = self.line.connection()
                && desk.forget_all(&self.clock, &mut self.cost).await.is_err()
            {
                self.give_up().await;
            }
        } else {
            self.begin_with = begin_with;
            self.line.take();
        }
        for known in &mut self.known {
            known.kinds.clear();
            known.causes.clear();
            // What goes before the new ones may have made what was missing.
            known.is_refused = false;
        }
    }

    /// Looks whether anything has changed, and asks for the plans that it concerns.
    async fn look(&mut self) {
        let is_watching = self.known.iter().any(|known| known.is_due) || !self.tables.is_empty();
        if is_watching {
            self.round(Vec::new()).await;
        }
    }

    async fn round(&mut self, edges: Vec<PlanEdge>) {
        let from = self.clock.now();
        let mut round = Round { survey: PlanSurvey { edges, ..PlanSurvey::default() }, ..Round::default() };
        let outcome = self.try_round(&mut round).await;
        let window = Span { from, to: self.clock.now() };
        let Round { survey, cost, passing } = round;
        self.cost.add(&cost);
        let PlanSurvey { edges, seen, told, unexplained, .. } = &survey;
        let has_news = !edges.is_empty() || !seen.is_empty() || !unexplained.is_empty();
        let statements: BTreeSet<StatementId> = seen.iter().map(|seen| seen.statement).collect();
        let told: Vec<_> = told.iter().map(|told| (told.statement, told.shape.clone())).collect();
        if has_news && !(seen.is_empty() && unexplained.is_empty() && outcome.is_err()) {
            let cost = std::mem::take(&mut self.cost);
            if self.outlet.offer(window, cost, || Ok(Observation::Plans(Box::new(survey)))) {
                self.told.extend(told);
            } else {
                // There was no room: the plans are told again.
                for (known, planned) in self.known.iter_mut().zip(&self.capture.statements) {
                    known.is_due |= statements.contains(&planned.statement);
                }
            }
        }
        let failed = match outcome {
            Err(Unanswered { message, lost }) => {
                if lost {
                    self.give_up().await;
                }
                Some(message)
            }
            Ok(()) => passing,
        };
        if let Some(message) = failed {
            let mut cost = std::mem::take(&mut self.cost);
            cost.gaps += 1;
            self.outlet.offer(window, cost, || Err(message));
        }
    }

    async fn give_up(&mut self) {
        if let Some(desk) = self.line.take() {
            desk.give_up(&self.settings).await;
        }
    }

    async fn try_round(&mut self, round: &mut Round) -> Result<(), Unanswered> {
        let opening = Desk::open(&self.settings, &self.begin_with);
        self.line.get(opening).await.map_err(Unanswered::unconnected)?;
        self.watch(&mut round.cost).await?;
        self.explain_due(round).await?;
        self.watch_new(&mut round.cost).await
    }

    /// Compares the tables with what they were at the last look.
    async fn watch(&mut self, cost: &mut ProbeCost) -> Result<(), Unanswered> {
        let Some(desk) = self.line.connection() else { return Ok(()) };
        if self.tables.is_empty() {
            return Ok(());
        }
        let wanted: Vec<&Table> = self.tables.keys().collect();
        for (table, now) in desk.tables(&wanted, &self.clock, cost).await? {
            let Some(watched) = self.tables.get_mut(&table) else { continue };
            let label = table.label();
            let mut causes = now.changes(&watched.state, &label);
            let scans = Scans::between(&watched.state, &now);
            if let (Some(before), Some(now)) = (watched.scans, scans) {
                causes.extend(now.turned(before, &label));
            }
            watched.scans = scans.or(watched.scans);
            watched.state = now.with_size_of(&watched.state);
            if !causes.is_empty() {
                desk.forget_root(&table);
                let concerned = self.known.iter_mut().filter(|known| known.tables.contains(&table));
                concerned.for_each(|known| known.learn(&causes));
            }
        }
        Ok(())
    }

    /// Looks for the first time at tables that plans were not known to read before.
    async fn watch_new(&mut self, cost: &mut ProbeCost) -> Result<(), Unanswered> {
        let Some(desk) = self.line.connection() else { return Ok(()) };
        let read: BTreeSet<&Table> = self.known.iter().flat_map(|known| &known.tables).collect();
        let room = TABLES_MAX.saturating_sub(self.tables.len());
        let new: Vec<&Table> =
            read.into_iter().filter(|table| !self.tables.contains_key(table)).take(room).collect();
        if new.is_empty() {
            return Ok(());
        }
        for (table, state) in desk.tables(&new, &self.clock, cost).await? {
            self.tables.insert(table, Watched { state, scans: None });
        }
        Ok(())
    }

    async fn explain_due(&mut self, round: &mut Round) -> Result<(), Unanswered> {
        let Some(desk) = self.line.connection() else { return Ok(()) };
        let mut passing = 0;
        for (index, planned) in self.capture.statements.iter().enumerate() {
            let known = &mut self.known[index];
            let is_asked = std::mem::take(&mut known.is_due) && !known.is_refused;
            if !is_asked {
                continue;
            }
            match desk.explain(index, planned, &self.clock, &mut round.cost).await {
                Ok(explained) => {
                    round.survey.cpu_operator_cost = Some(desk.cpu_operator_cost);
                    let told = |shape: &str| self.told.contains(&(planned.statement, shape.to_owned()));
                    known.take(planned.statement, explained, told, &mut round.survey);
                }
                Err(Refusal::Unexplained(reason)) => {
                    known.is_refused = true;
                    if known.reason_told.as_ref() != Some(&reason) {
                        known.reason_told = Some(reason.clone());
                        let statement = planned.statement;
                        round.survey.unexplained.push(Unexplained { statement, reason });
                    }
                }
                Err(Refusal::Passing(unanswered)) => {
                    known.is_due = true;
                    if unanswered.lost {
                        return Err(unanswered);
                    }
                    round.cost.gaps += u64::from(passing > 0);
                    round.passing = Some(unanswered.message);
                    passing += 1;
                    if passing >= PASSING_MAX {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Looks that found nothing to tell have their price all the same.
    async fn tell_cost(&mut self) {
        if self.cost == ProbeCost::default() {
            return;
        }
        self.outlet.make_room().await;
        let now = self.clock.now();
        let cost = std::mem::take(&mut self.cost);
        let nothing = || Ok(Observation::Plans(Box::default()));
        self.outlet.offer(Span { from: now, to: now }, cost, nothing);
    }
}

impl Known {
    /// Something has changed that its plans may depend on: they are asked for again, also where there were none.
    fn learn(&mut self, causes: &[String]) {
        self.is_due = true;
        self.is_refused = false;
        for cause in causes {
            if self.causes.len() < CAUSES_MAX && !self.causes.contains(cause) {
                self.causes.push(cause.clone());
            }
        }
    }

    /// Takes its plans as they are now. `is_told` says whether a shape was told before.
    fn take(
        &mut self,
        statement: StatementId,
        explained: Explained,
        is_told: impl Fn(&str) -> bool,
        survey: &mut PlanSurvey,
    ) {
        let causes = std::mem::take(&mut self.causes);
        self.reason_told = None;
        self.tables.clear();
        for (class, plan) in explained.plans {
            let kind = plan.kind.as_ref().unwrap_or(&plan.shape);
            let before = self.kinds.insert(class, kind.clone());
            let has_changed = before.is_some_and(|before| before != *kind);
            survey.seen.push(SeenPlan {
                statement,
                class,
                shape: plan.shape.clone(),
                kind: plan.kind,
                cost: Some(plan.cost),
                cause: (has_changed && !causes.is_empty()).then(|| causes.join("; ")),
                plan_cache_mode: explained.plan_cache_mode.filter(|_| class == PlanClass::Generic),
            });
            let is_told = is_told(&plan.shape)
                || survey.told.iter().any(|told| told.statement == statement && told.shape == plan.shape);
            self.tables.extend(plan.tables);
            if !is_told {
                survey.told.push(ToldPlan {
                    statement,
                    shape: plan.shape,
                    summary: plan.summary,
                    text: plan.text,
                    json: plan.json,
                    scans: plan.scans,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::describe::Described;
    use super::*;
    use crate::record::plan::PlanCacheMode;

    fn described(shape: &str, table: &str) -> Described {
        Described {
            shape: shape.to_owned(),
            kind: None,
            summary: format!("Seq Scan on {table}"),
            text: String::new(),
            json: None,
            cost: 1.0,
            tables: BTreeSet::from([Table { schema: "public".to_owned(), name: table.to_owned() }]),
            scans: 1,
        }
    }

    #[test]
    fn a_shape_is_told_once_and_a_change_has_its_cause() {
        let (mut known, id) = (Known::default(), StatementId(3));
        let mut first = PlanSurvey::default();
        let both = |shape| Explained {
            plans: vec![
                (PlanClass::Common, described(shape, "orders")),
                (PlanClass::Generic, described("g", "lines")),
            ],
            plan_cache_mode: Some(PlanCacheMode::ForceCustom),
        };
        known.take(id, both("a"), |_| false, &mut first);
        assert_eq!(first.seen.len(), 2);
        assert_eq!(first.told.len(), 2);
        assert_eq!(known.tables.len(), 2);
        assert!(first.seen.iter().all(|seen| seen.cause.is_none()), "the first plans are no change");
        let modes: Vec<_> = first.seen.iter().map(|seen| seen.plan_cache_mode).collect();
        assert_eq!(modes, [None, Some(PlanCacheMode::ForceCustom)]);

        known.is_refused = true;
        let dropped = "index orders_customer was dropped".to_owned();
        known.learn(&[dropped.clone(), "orders was analysed".to_owned()]);
        known.learn(&[dropped]);
        assert!(known.is_due && !known.is_refused);
        let mut second = PlanSurvey::default();
        known.take(id, both("b"), |shape| shape == "g", &mut second);
        assert_eq!(
            second.seen[0].cause.as_deref(),
            Some("index orders_customer was dropped; orders was analysed")
        );
        assert_eq!(second.seen[1].cause, None, "this one is as it was");
        assert_eq!(second.told.iter().map(|told| told.shape.as_str()).collect::<Vec<_>>(), ["b"]);
        assert!(known.causes.is_empty());
    }

    #[test]
    fn another_partition_is_told_and_is_no_change() {
        let (mut known, id) = (Known::default(), StatementId(3));
        let mut survey = PlanSurvey::default();
        for (shape, table) in [("a", "orders_2024"), ("b", "orders_2025")] {
            known.learn(&["orders_2024 grew".to_owned()]);
            let plan = Described { kind: Some("orders".to_owned()), ..described(shape, table) };
            let explained = Explained { plans: vec![(PlanClass::Common, plan)], plan_cache_mode: None };
            known.take(id, explained, |_| false, &mut survey);
        }
        assert!(survey.seen.iter().all(|seen| seen.cause.is_none() && seen.kind() == "orders"));
        assert_eq!(survey.told.len(), 2);
    }
}
