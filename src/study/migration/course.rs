//! What a migration check measures in which order, and what of it the migration itself makes needless. All segments are known before
//! the first; which of them are measured is decided on the way.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::analysis::{Analysis, MigrationSoFar};
use crate::model::Condition;
use crate::record::entry::{Arm, ArmHeader, ChangeLimitHeader, ComparisonHeader, SliceHeader};
use crate::record::migration::RehearsalKind;
use crate::study::measure::{NamedStage, Segment, Slice};
use crate::study::{FAMILYWISE_ALPHA, MeasurePlan, Reset};
use crate::units::{Load, Seed, StageId, format_duration};
use crate::workload::StageSpec;

use super::alongside::{Common, Rehearsal};
use super::record::Rehearsed;
use super::{MigrationPlan, MigrationShape, Turns, safe};

/// Names of the measured stages.
const BEFORE: &str = "before";
const DURING: &str = "migration";
const AFTER: &str = "after";
/// The copy that is migrated, and the one that is not.
const MIGRATED: usize = 0;
const UNCHANGED: usize = 1;
/// The pause before a slice, and the longest warm-up of one.
const SLICE_SETTLE: Duration = Duration::from_millis(300);
const SLICE_WARM_UP: Duration = Duration::from_secs(1);
/// A slice takes so much more than its parts: connections, a checkpoint, the drain.
const AROUND_A_SLICE: Duration = Duration::from_millis(700);

/// What a segment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Before, during and behind.
    Migration,
    /// As much traffic on the copy that is not migrated as the other one had.
    Levelling,
    /// One of a pair.
    Slice,
    /// The same in another way, or the way back.
    Rehearsal(RehearsalKind),
}

/// All segments, in order.
pub(super) struct Course {
    pub(super) segments: Vec<Segment>,
    roles: Vec<Role>,
    /// What of the plan the migration itself is.
    pub(super) rehearsed: Rehearsed,
    pub(super) rehearsals: Vec<Rehearsal>,
    pub(super) comparison: Option<ComparisonHeader>,
    /// Copies that stay until the end.
    pub(super) clones: usize,
}

/// Makes segments with stages that are numbered through.
struct Maker<'a> {
    measure: &'a MeasurePlan,
    shape: &'a MigrationShape,
    stages: usize,
    segments: Vec<Segment>,
    roles: Vec<Role>,
}

impl Course {
    pub(super) fn of(plan: &MigrationPlan) -> Self {
        let MigrationPlan { measure, shape, turns, beside, .. } = plan;
        let on_copy = measure.reset == Reset::Template;
        // Who comes back to the migrated copy keeps it.
        let clones = match (turns, &beside.down) {
            (Some(_), _) => 2,
            (None, Some(_)) if on_copy => 1,
            (None, _) => 0,
        };
        let mut maker = Maker { measure, shape, stages: 0, segments: Vec::new(), roles: Vec::new() };
        let migrated =
            |slice: Slice| if clones > 0 { Some(Slice { clone: Some(MIGRATED), ..slice }) } else { None };
        let rehearsed = maker.migration(migrated(Slice::default()), on_copy);
        let Rehearsed { kind, before, during, .. } = rehearsed;
        let first = during;
        let mut rehearsals = vec![Rehearsal { kind, first, before, during, shape: shape.clone(), on_copy }];
        if let Some(turns) = turns {
            maker.turns(*turns);
        }
        let mut rehearse = |maker: &mut Maker<'_>, kind, name: &str, shape: MigrationShape, slice| {
            let (first, during) = maker.rehearsal(kind, name, &shape, slice);
            rehearsals.push(Rehearsal { kind, first, before, during, shape, on_copy });
        };
        if beside.safe {
            rehearse(&mut maker, RehearsalKind::Safe, "safe form", shape.clone(), None);
        }
        for timeout in &beside.lock_timeouts {
            let name = format!("lock_timeout {}", format_duration(*timeout));
            let shape = MigrationShape { lock_timeout: Some(*timeout), ..shape.clone() };
            rehearse(&mut maker, RehearsalKind::LockTimeout, &name, shape, None);
        }
        if let Some(down) = &beside.down {
            let shape = MigrationShape {
                migrations: down.clone(),
                command: None,
                disturb: Vec::new(),
                ..shape.clone()
            };
            rehearse(&mut maker, RehearsalKind::Down, "way back", shape, migrated(Slice::default()));
        }
        let Maker { segments, roles, .. } = maker;
        let comparison = turns.as_ref().map(|turns| comparison(shape, turns));
        Self { segments, roles, rehearsed, rehearsals, comparison, clones }
    }

    /// What the user should know of the time that it takes; nothing where it is the migration alone.
    pub(super) fn note(&self) -> Option<String> {
        let beside = self.segments.iter().zip(&self.roles).filter(|(_, role)| **role != Role::Migration);
        let slices: Vec<&Segment> =
            beside.filter(|(_, role)| **role == Role::Slice).map(|(of, _)| of).collect();
        let levelling = self.segments.iter().zip(&self.roles).filter(|(_, role)| **role == Role::Levelling);
        let stages = slices.iter().copied().chain(levelling.map(|(of, _)| of)).flat_map(|of| &of.stages);
        let count = u32::try_from(slices.len()).ok().filter(|count| *count > 0)?;
        let time: Duration = stages.map(|stage| stage.spec.duration).sum();
        let whole = time + (SLICE_SETTLE + AROUND_A_SLICE) * count;
        Some(format!(
            "behind the migration, {count} slices by turns on two copies of the database: about {} (--pairs 0 leaves them out)",
            format_duration(Duration::from_secs(whole.as_secs().max(1)))
        ))
    }
}

impl Maker<'_> {
    fn stage(
        &mut self,
        name: &str,
        duration: Duration,
        load: Load,
        measured: bool,
        is_warm_up: bool,
    ) -> NamedStage {
        let id = StageId::from_index(self.stages);
        self.stages += 1;
        let until_steady = is_warm_up && self.measure.warm_up.is_until_steady();
        NamedStage { id, spec: StageSpec { name: name.to_owned(), duration, load }, measured, until_steady }
    }

    fn add(&mut self, role: Role, stages: Vec<NamedStage>, slice: Option<Slice>, seed: Seed) {
        let segment = Segment::new(self.measure, self.shape.pool_size, stages);
        self.segments.push(Segment { seed, slice, ..segment });
        self.roles.push(role);
    }

    /// What goes before; nothing where the user wants none.
    fn warm_up(&mut self, name: &str) -> Vec<NamedStage> {
        let longest = self.measure.warm_up.longest();
        longest
            .map(|longest| self.stage(name, longest, self.shape.load.clone(), false, true))
            .into_iter()
            .collect()
    }

    /// One pool through all three stages. The stage of the migration is as long as the migration may be, and ends when it is over.
    fn migration(&mut self, slice: Option<Slice>, on_copy: bool) -> Rehearsed {
        let shape = self.shape;
        let mut stages = self.warm_up("warm-up");
        let mut add = |maker: &mut Self, name, duration| {
            let stage = maker.stage(name, duration, shape.load.clone(), true, false);
            let id = stage.id;
            stages.push(stage);
            id
        };
        let before = add(self, BEFORE, shape.before);
        let during = add(self, DURING, shape.longest());
        let after = add(self, AFTER, shape.after);
        self.add(Role::Migration, stages, slice, self.measure.seed);
        Rehearsed { kind: RehearsalKind::Migration, before, during, after, on_copy }
    }

    /// The same in another way: the stage of its announcement and that of its application. Nothing of it is a figure of the traffic, and
    /// no budget is meant for it.
    fn rehearsal(
        &mut self,
        kind: RehearsalKind,
        name: &str,
        shape: &MigrationShape,
        slice: Option<Slice>,
    ) -> (StageId, StageId) {
        let mut stages = self.warm_up(&format!("{name} warm-up"));
        let during = self.stage(name, shape.longest(), shape.load.clone(), false, false);
        let id = during.id;
        let first = stages.first().map_or(id, |stage| stage.id);
        stages.push(during);
        self.add(Role::Rehearsal(kind), stages, slice, self.measure.seed);
        (first, id)
    }

    /// Slices on both copies, once both have had as much traffic.
    fn turns(&mut self, turns: Turns) {
        let shape = self.shape;
        let as_long = shape.before + shape.settle + shape.after;
        let name = "as much traffic without the migration";
        let levelling = self.stage(name, as_long, shape.load.clone(), false, false);
        let unchanged = Slice { clone: Some(UNCHANGED), ..Slice::default() };
        self.add(Role::Levelling, vec![levelling], Some(unchanged), self.measure.seed);
        let mut coin = SmallRng::seed_from_u64(self.measure.seed.0);
        for pair in 0..turns.pairs {
            let order = if coin.random::<bool>() { [Arm::A, Arm::B] } else { [Arm::B, Arm::A] };
            // Both slices of a pair do the same work, and another pair other work.
            let seed = Seed(self.measure.seed.0.wrapping_add(u64::from(pair)));
            for arm in order {
                let (name, clone) = match arm {
                    Arm::A => ("before", UNCHANGED),
                    Arm::B => ("behind", MIGRATED),
                };
                let name = format!("{name} #{}", pair + 1);
                let longest = self.measure.warm_up.longest().map(|longest| {
                    if self.measure.warm_up.is_until_steady() { longest } else { longest.min(SLICE_WARM_UP) }
                });
                let mut stages = Vec::new();
                if let Some(longest) = longest {
                    let name = format!("{name} warm-up");
                    stages.push(self.stage(&name, longest, shape.load.opening(), false, true));
                }
                stages.push(self.stage(&name, turns.slice, shape.load.clone(), true, false));
                let of = Some(SliceHeader { pair, arm });
                let slice = Slice { of, clone: Some(clone), settle: SLICE_SETTLE, ..Slice::default() };
                self.add(Role::Slice, stages, Some(slice), seed);
            }
        }
    }
}

fn comparison(shape: &MigrationShape, turns: &Turns) -> ComparisonHeader {
    let of = |what: &str| ArmHeader { what: what.to_owned(), workload: None };
    let limits = shape.conditions.iter().filter_map(|condition| match condition {
        Condition::Change(limit) => {
            Some(ChangeLimitHeader { metric: limit.metric.to_string(), worse_by: limit.worse_by })
        }
        _ => None,
    });
    ComparisonHeader {
        a: of("before"),
        b: of("behind"),
        pairs: turns.pairs,
        until_decided: false,
        alpha: FAMILYWISE_ALPHA,
        limits: limits.collect(),
    }
}

/// The way through the segments.
pub(super) struct Walk<'a> {
    course: &'a Course,
    shape: &'a MigrationShape,
    common: Arc<Common>,
    at: usize,
    so_far: Option<MigrationSoFar>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(course: &'a Course, shape: &'a MigrationShape, common: Arc<Common>) -> Self {
        Self { course, shape, common, at: 0, so_far: None }
    }

    /// The next segment that is worth its time.
    pub(super) fn next(&mut self, analysis: &Analysis) -> Option<&'a Segment> {
        while let Some(role) = self.course.roles.get(self.at) {
            self.at += 1;
            if self.is_wanted(*role, analysis) {
                return self.course.segments.get(self.at - 1);
            }
        }
        None
    }

    fn is_wanted(&mut self, role: Role, analysis: &Analysis) -> bool {
        if role == Role::Migration {
            return true;
        }
        // It is over, and nothing changes it any more.
        if self.so_far.is_none() {
            self.so_far = analysis.migration_so_far();
        }
        let Some(so_far) = &self.so_far else { return false };
        match role {
            Role::Migration | Role::Rehearsal(RehearsalKind::Migration | RehearsalKind::LockTimeout) => true,
            // What did not land has nothing behind it, and nothing to take back.
            Role::Levelling | Role::Slice | Role::Rehearsal(RehearsalKind::Down) => so_far.landed,
            Role::Rehearsal(RehearsalKind::Safe) => {
                match safe::safe(self.shape, so_far, &self.common.known()) {
                    Some((shape, instead_of)) => {
                        self.common.keep_safe(shape, instead_of);
                        true
                    }
                    None => false,
                }
            }
        }
    }
}
