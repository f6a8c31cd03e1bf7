//! An index experiment: the same work with an index and without it, in slices by turns, on the same data. Each index is built once
//! on trial first, so that all that can be wrong with it is said before anything is measured; the target is put back afterwards,
//! however the measurement ends.

mod arms;
mod cache;
mod subjects;

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;

use crate::dataset::index::{self as server, Arrangement, Build, Foreseen, Held, State};
use crate::record::entry::{
    Arm, ArmHeader, ChangeLimitHeader, ComparisonHeader, EndReason, RunKind, SliceHeader,
};
use crate::record::index::{IndexArm, IndexEffect, IndexHeader, IndexPass, IndexSlice};
use crate::sql::index::CreateIndex;
use crate::units::{Load, Seed, StageId, format_duration};
use crate::workload::{StageSpec, Workload};

use super::measure::{Bench, Ground, NamedStage, Segment, Slice, Subject, refuse_late_storm};
use super::{FAMILYWISE_ALPHA, Happening, MeasurePlan, Observer, Outcome, StudyError, TargetChoice};

use arms::Arms;
pub use cache::CacheRegime;
use subjects::Subjects;

/// Slices of each arm in which counters are read: two, so that they show whether they repeat.
const COUNTER_ROUNDS: u32 = 2;
/// Transactions per second while counters are read. Their number counts, not their time: what is not done in time is waited for.
const COUNTER_RATE: f64 = 250.0;
/// A slice takes so much more than its parts: connections, a checkpoint, the drain.
const AROUND_A_SLICE: Duration = Duration::from_millis(700);

/// An index experiment.
#[derive(Clone)]
pub struct IndexPlan {
    /// What every measuring command needs.
    pub measure: MeasurePlan,
    /// What is put to the test, and how.
    pub shape: IndexShape,
}

/// The measurements of an index experiment.
#[derive(Clone)]
pub struct IndexShape {
    /// Which indexes.
    pub ask: IndexAsk,
    /// Connections of each instance.
    pub pool_size: u32,
    /// The load in every slice.
    pub load: Load,
    /// Clients that never rest, of a further pass that tells the throughput; none without it.
    pub capacity: Option<u32>,
    /// How long a slice is measured.
    pub slice: Duration,
    /// The pause before it.
    pub settle: Duration,
    /// Rounds: each has a slice of each arm.
    pub pairs: u32,
    /// Transactions of each slice in which counters are read; none without such slices.
    pub operations: u32,
    /// Whether the catalogue of a target that dbdyno did not start may be changed for a time.
    pub allow_catalog_change: bool,
    /// Whether each arm has a database of its own, copied from the loaded one.
    pub clones: bool,
    /// How much of the data a throwaway server holds in memory; as it comes, where nothing is said.
    pub cache: Option<CacheRegime>,
    /// How much worse the candidate may be.
    pub limits: Vec<crate::model::ChangeLimit>,
}

/// Which indexes are put to the test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexAsk {
    /// These, which are not there.
    Add(Vec<CreateIndex>),
    /// These, which are there.
    Drop(Vec<String>),
    /// Those that are there and that no statement of the workload uses.
    DropUnused,
    /// Those that are not there and that the planner would use.
    Suggest,
}

/// Measures what the indexes do.
pub async fn index(plan: &IndexPlan, observer: &mut Observer<'_>) -> Result<Outcome, StudyError> {
    let IndexPlan { measure, shape } = plan;
    let mut ground = Box::pin(Ground::open(measure, shape.pool_size, observer)).await?;
    let warms = match shape.cache {
        Some(regime) => cache::arranged(&mut ground, regime, observer).await?,
        None => false,
    };
    let subjects = Subjects::examine(plan, &ground, observer).await?;
    let working = server::backend(&ground.target.control).await?;
    let is_local = matches!(measure.target, TargetChoice::Local(_));
    let is_allowed = is_local || shape.allow_catalog_change || shape.clones;
    let may_hide = server::may_hide(&ground.target.control, is_allowed).await?;
    let arms = Arms::of(&shape.ask, &subjects.labels(), &subjects.required(), may_hide.is_ok());
    let writes = subjects.writes(&measure.workload).filter(|_| shape.operations > 0);
    let not_counted = server::not_counted(&ground.target.control).filter(|_| writes.is_some());
    let tables: Vec<String> = if writes.is_some() { subjects.tables() } else { Vec::new() };
    let held = server::autovacuum_of(&ground.target.control, &tables).await?;
    let prepared = Prepared { indexes: &subjects.found, held: &held, warms };
    let (segments, slices) = segments(plan, &arms, writes.is_some(), &prepared);
    refuse_late_storm(measure, &segments)?;
    tell_plan(plan, &segments, &subjects, &arms, observer);
    let subject = Subject {
        variants: writes.into_iter().collect(),
        comparison: Some(comparison(plan, &arms)),
        index: Some(Box::new(IndexHeader {
            question: arms::question(&shape.ask),
            subjects: subjects.headers(),
            arms: arms.all.clone(),
            effects: arms.effects.clone(),
            slices,
            touches: subjects.touches.clone(),
            not_hidden: may_hide.err(),
            not_counted: not_counted.map(str::to_owned),
            held: held.iter().map(|held| held.table.clone()).collect(),
            operations: u64::from(shape.operations),
            clones: shape.clones,
            cache: shape.cache.map(CacheRegime::name),
        })),
        clones: if shape.clones { arms.all.len() } else { 0 },
        ..Subject::new(RunKind::Index, &segments)
    };
    let measured = match Box::pin(Bench::on(ground, subject, observer)).await {
        Ok(bench) => Box::pin(bench.measure_all(&segments, observer)).await,
        Err(error) => Err(error),
    };
    // A throwaway server is gone, and all that was on it. Of a database that was copied, nothing was changed.
    let TargetChoice::Existing(target) = &measure.target else { return measured };
    if shape.clones {
        return measured;
    }
    observer(Happening::Step("putting the target back as it was"));
    let left = match target.connect("control").await {
        Ok(client) => server::put_back(&client, &subjects.found, &held, Some(working)).await,
        Err(error) => by_hand(&subjects.found, &held, &error.to_string()),
    };
    tell_left(measured, &left, observer)
}

/// What of the target is not as it was, as the statements that put it back.
fn tell_left(
    measured: Result<Outcome, StudyError>,
    left: &[(String, String)],
    observer: &mut Observer<'_>,
) -> Result<Outcome, StudyError> {
    if left.is_empty() {
        return measured;
    }
    let words: Vec<String> = left
        .iter()
        .map(|(statement, why)| format!("the target is not as it was ({why}): run {statement};"))
        .collect();
    match measured {
        Ok(mut outcome) => {
            outcome.notes.extend(words);
            if outcome.ended == EndReason::Completed {
                outcome.ended = EndReason::Failed;
            }
            Ok(outcome)
        }
        Err(error) => {
            for word in &words {
                observer(Happening::Note(word));
            }
            Err(error)
        }
    }
}

/// What somebody must do where the target cannot be reached any more.
fn by_hand(indexes: &[Foreseen], held: &[Held], why: &str) -> Vec<(String, String)> {
    let of_index = indexes.iter().map(|index| index.put_back.join("; "));
    let of_tables = held.iter().map(|held| held.back.clone());
    of_index.chain(of_tables).map(|statement| (statement, why.to_owned())).collect()
}

/// What is prepared on the server before slices.
struct Prepared<'a> {
    /// The indexes that are built.
    indexes: &'a [Foreseen],
    /// Tables off which autovacuum is held while counters are read.
    held: &'a [Held],
    /// Whether the data are read into the server's buffers.
    warms: bool,
}

/// The slices of all passes, and what each of them is.
fn segments(
    plan: &IndexPlan,
    arms: &Arms,
    has_writes: bool,
    prepared: &Prepared<'_>,
) -> (Vec<Segment>, Vec<IndexSlice>) {
    let shape = &plan.shape;
    let mut maker = Maker {
        plan,
        arms,
        prepared,
        begun: vec![false; arms.all.len()],
        segments: Vec::new(),
        slices: Vec::new(),
        stage: 0,
    };
    let mut coin = SmallRng::seed_from_u64(plan.measure.seed.0);
    let mut order: Vec<usize> = (0..arms.all.len()).collect();
    for round in 0..shape.pairs {
        order.shuffle(&mut coin);
        for &arm in &order {
            maker.add(IndexPass::Load, round, arm);
        }
    }
    if shape.capacity.is_some() {
        let mut both = [arms.whole.without, arms.whole.with];
        for round in 0..shape.pairs {
            both.shuffle(&mut coin);
            for arm in both {
                maker.add(IndexPass::Capacity, round, arm);
            }
        }
    }
    if has_writes {
        // Arms in which an index is hidden write what those write in which it is used.
        let counted = |arm: &&usize| arms.all[**arm].hidden.is_empty();
        let all: Vec<usize> = (0..arms.all.len()).collect();
        for round in 0..COUNTER_ROUNDS {
            for &arm in all.iter().filter(counted) {
                maker.add(IndexPass::Counters, round, arm);
            }
        }
    }
    (maker.segments, maker.slices)
}

/// Makes slices in the order in which they are measured.
struct Maker<'a> {
    plan: &'a IndexPlan,
    arms: &'a Arms,
    prepared: &'a Prepared<'a>,
    /// Arms whose database has its indexes.
    begun: Vec<bool>,
    segments: Vec<Segment>,
    slices: Vec<IndexSlice>,
    stage: u32,
}

impl Maker<'_> {
    fn add(&mut self, pass: IndexPass, round: u32, arm: usize) {
        let (measure, shape) = (&self.plan.measure, &self.plan.shape);
        let what = match pass {
            IndexPass::Load => "",
            IndexPass::Capacity => "capacity ",
            IndexPass::Counters => "counters ",
        };
        let name = format!("{what}{} #{}", self.arms.all[arm].name, round + 1);
        let (load, length) = match (pass, shape.capacity) {
            (IndexPass::Capacity, Some(clients)) => (Load::clients(clients), shape.slice),
            (IndexPass::Counters, _) => (
                Load::rate(COUNTER_RATE),
                Duration::from_secs_f64(f64::from(shape.operations) / COUNTER_RATE),
            ),
            _ => (shape.load.clone(), shape.slice),
        };
        let is_counted = pass == IndexPass::Counters;
        let mut stages = Vec::new();
        if let Some(longest) = measure.warm_up.longest().filter(|_| !is_counted) {
            let until_steady = measure.warm_up.is_until_steady();
            let spec = StageSpec { name: format!("{name} warm-up"), duration: longest, load: load.opening() };
            stages.push(NamedStage { id: self.next_stage(), spec, measured: false, until_steady });
        }
        let id = self.next_stage();
        let spec = StageSpec { name, duration: length, load };
        // Its times are nobody's: they are those of one connection.
        stages.push(NamedStage { id, spec, measured: !is_counted, until_steady: false });
        self.slices.push(IndexSlice { stage: id.0, pass, round, arm });
        let slice = Slice {
            of: self.slice_header(pass, round, arm),
            variant: is_counted.then_some(0),
            indexes: self.arrangement(pass, arm).map(Arc::new),
            clone: shape.clones.then_some(arm),
            restart: shape.cache == Some(CacheRegime::Cold),
            settle: shape.settle,
            ..Slice::default()
        };
        // All arms of a round do the same work, and another round other work. Counters are to repeat.
        let of_round = if is_counted { 0 } else { u64::from(round) };
        let seed = Seed(measure.seed.0.wrapping_add(of_round));
        // One connection, so that the order of the work is the same each time.
        let pool_size = if is_counted { 1 } else { shape.pool_size };
        self.segments.push(Segment { seed, slice: Some(slice), ..Segment::new(measure, pool_size, stages) });
    }

    fn next_stage(&mut self) -> StageId {
        let id = StageId::from_index(self.stage as usize);
        self.stage += 1;
        id
    }

    /// Its place in the comparison of the two arms that are asked about.
    fn slice_header(&self, pass: IndexPass, round: u32, arm: usize) -> Option<SliceHeader> {
        if pass != IndexPass::Load {
            return None;
        }
        let IndexEffect { without, with, .. } = self.arms.whole;
        let (a, b) = if self.arms.baseline == without { (without, with) } else { (with, without) };
        let arm = match arm {
            _ if arm == a => Arm::A,
            _ if arm == b => Arm::B,
            _ => return None,
        };
        Some(SliceHeader { pair: round, arm })
    }

    /// What goes before a slice. A database of its own has the indexes of its arm from its first slice on.
    fn arrangement(&mut self, pass: IndexPass, arm: usize) -> Option<Arrangement> {
        let IndexArm { present, hidden, .. } = &self.arms.all[arm];
        let Prepared { indexes, held, warms } = *self.prepared;
        let state = |place: &usize| match (present.contains(place), hidden.contains(place)) {
            (false, _) => State::Absent,
            (true, true) => State::Hidden,
            (true, false) => State::Used,
        };
        let mut arrangement = if self.plan.shape.clones && std::mem::replace(&mut self.begun[arm], true) {
            Arrangement::default()
        } else {
            let build = |(place, index)| Build::of(index, state(&place));
            Arrangement { indexes: indexes.iter().enumerate().map(build).collect(), ..Arrangement::default() }
        };
        if pass == IndexPass::Counters {
            arrangement.hold = held.iter().map(|held| held.off.clone()).collect();
            arrangement.vacuum = held.iter().map(|held| held.table.clone()).collect();
        }
        arrangement.warm = warms;
        (arrangement != Arrangement::default()).then_some(arrangement)
    }
}

fn comparison(plan: &IndexPlan, arms: &Arms) -> ComparisonHeader {
    let IndexEffect { without, with, .. } = arms.whole;
    let of = |arm: usize| ArmHeader { what: arms.what(arm), workload: None };
    let (a, b) = if arms.baseline == without { (without, with) } else { (with, without) };
    let limit = |limit: &crate::model::ChangeLimit| ChangeLimitHeader {
        metric: limit.metric.to_string(),
        worse_by: limit.worse_by,
    };
    ComparisonHeader {
        a: of(a),
        b: of(b),
        pairs: plan.shape.pairs,
        until_decided: false,
        alpha: FAMILYWISE_ALPHA,
        limits: plan.shape.limits.iter().map(limit).collect(),
    }
}

/// Says what comes, and how long it takes.
fn tell_plan(
    plan: &IndexPlan,
    segments: &[Segment],
    subjects: &Subjects,
    arms: &Arms,
    observer: &mut Observer<'_>,
) {
    let builds: u64 = subjects.found.iter().map(|index| index.build_us).sum();
    let each = Duration::from_micros(builds) + plan.shape.settle + AROUND_A_SLICE;
    let stages: Duration =
        segments.iter().flat_map(|segment| &segment.stages).map(|stage| stage.spec.duration).sum();
    let slices = u32::try_from(segments.len()).unwrap_or(u32::MAX);
    let seconds = (stages + each * slices).as_secs().max(1);
    let names: Vec<&str> = arms.all.iter().map(|arm| arm.name.as_str()).collect();
    observer(Happening::Note(&format!(
        "{slices} slices of {} arms ({}), about {} in all",
        names.len(),
        names.join("; "),
        format_duration(Duration::from_secs(seconds)),
    )));
    for index in subjects.found.iter().filter(|index| index.is_there) {
        let (what, back) = match index.required {
            Some(_) => ("hidden from the planner", &index.put_back),
            None => ("dropped and built anew", &index.build),
        };
        observer(Happening::Note(&format!(
            "{} is {what} on the way; should dbdyno be killed, this puts it back: {};",
            index.label,
            back.join("; ")
        )));
    }
}

/// The workload with only those transactions that write to one of the tables; nothing where none does.
pub(super) fn only_writers(workload: &Workload, writes: impl Fn(usize) -> bool) -> Option<Workload> {
    let mut only = workload.clone();
    let mut any = false;
    for (place, transaction) in only.transactions.iter_mut().enumerate() {
        let own = |statement: &crate::workload::Statement| statement.transaction.index() == place;
        let is_writer = workload
            .statements
            .iter()
            .enumerate()
            .any(|(id, statement)| own(statement) && statement.kind.writes() && writes(id));
        if is_writer {
            any = true;
        } else {
            transaction.weight = 0.0;
        }
    }
    any.then_some(only)
}
