//! What is measured: segments of stages, what each is a slice of, and what all of it is for. Knows no target.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::dataset::index::Arrangement;
use crate::record::capacity::{CapacityHeader, StepKind};
use crate::record::entry::{ComparisonHeader, LoadHeader, PoolHeader, RunKind, SliceHeader, StageHeader};
use crate::record::index::IndexHeader;
use crate::study::MeasurePlan;
use crate::units::{Seed, StageId};
use crate::workload::{StageSpec, Workload};

/// Stages that are measured one after the other with one pool.
#[derive(Clone, Debug)]
pub(in crate::study) struct Segment {
    pub(in crate::study) pool_size: u32,
    pub(in crate::study) stages: Vec<NamedStage>,
    /// Where its draws come from.
    pub(in crate::study) seed: Seed,
    /// What it is a slice of, if it is one.
    pub(in crate::study) slice: Option<Slice>,
}

impl Segment {
    /// One that works with the plan's own seed and is nobody's slice.
    pub(in crate::study) fn new(plan: &MeasurePlan, pool_size: u32, stages: Vec<NamedStage>) -> Self {
        Self { pool_size, stages, seed: plan.seed, slice: None }
    }
}

/// A slice of a comparison: what is different in it, and what goes before it.
#[derive(Clone, Debug, Default)]
pub(in crate::study) struct Slice {
    /// Its pair and arm; none where it belongs to an arm beside the two that are compared.
    pub(in crate::study) of: Option<SliceHeader>,
    /// Its workload, where it is another than the plan's: an index into the bench's variants.
    pub(in crate::study) variant: Option<usize>,
    /// What its sessions begin with, name and value.
    pub(in crate::study) settings: Vec<(String, String)>,
    /// What is run before it.
    pub(in crate::study) script: Option<Arc<Script>>,
    /// The indexes that are arranged before it.
    pub(in crate::study) indexes: Option<Arc<Arrangement>>,
    /// The copy of the loaded database that it is measured on, where each arm has one of its own.
    pub(in crate::study) clone: Option<usize>,
    /// Whether the throwaway server is restarted behind all that, so that nothing is in its buffers.
    pub(in crate::study) restart: bool,
    /// The pause before it.
    pub(in crate::study) settle: Duration,
}

/// A SQL script that is run before slices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Where it was read, for messages.
    pub path: PathBuf,
    /// Its text.
    pub sql: String,
}

/// What is measured: kind, segments, and what is compared.
pub(in crate::study) struct Subject<'a> {
    pub(in crate::study) kind: RunKind,
    pub(in crate::study) segments: &'a [Segment],
    /// Workloads of arms that have one of their own.
    pub(in crate::study) variants: Vec<Workload>,
    pub(in crate::study) comparison: Option<ComparisonHeader>,
    /// What a pool study asks.
    pub(in crate::study) pool: Option<PoolHeader>,
    /// Whether not all segments are measured: then one that the target has no room for is no reason to refuse.
    pub(in crate::study) chooses: bool,
    pub(in crate::study) index: Option<Box<IndexHeader>>,
    /// Copies of the loaded database that the slices name.
    pub(in crate::study) clones: usize,
    pub(in crate::study) capacity: Option<CapacityHeader>,
}

impl<'a> Subject<'a> {
    /// One that compares nothing.
    pub(in crate::study) fn new(kind: RunKind, segments: &'a [Segment]) -> Self {
        Self {
            kind,
            segments,
            variants: Vec::new(),
            comparison: None,
            pool: None,
            chooses: false,
            index: None,
            clones: 0,
            capacity: None,
        }
    }
}

/// One stage with its place in the journal.
#[derive(Clone, Debug)]
pub(in crate::study) struct NamedStage {
    pub(in crate::study) id: StageId,
    pub(in crate::study) spec: StageSpec,
    pub(in crate::study) measured: bool,
    /// Whether it is the first of its segment and ends as soon as the system is steady.
    pub(in crate::study) until_steady: bool,
}

/// What is measured next.
pub(in crate::study) enum Decision<'a> {
    /// One of the segments that the header names.
    Measure(&'a Segment),
    /// One that was decided on by what was measured before, and what it is for.
    Step(Box<Segment>, StepKind),
    /// Nothing; why, where that is not plain.
    Stop(Option<String>),
}

impl<'a> From<Option<&'a Segment>> for Decision<'a> {
    /// One that the header names, else nothing more.
    fn from(next: Option<&'a Segment>) -> Self {
        next.map_or(Self::Stop(None), Self::Measure)
    }
}

/// Connections of each instance that there must be room for.
pub(super) fn wanted_size(segments: &[Segment], chooses: bool) -> u32 {
    let sizes = segments.iter().map(|segment| segment.pool_size);
    if chooses { sizes.min() } else { sizes.max() }.unwrap_or(0)
}

pub(super) fn stage_headers(plan: &MeasurePlan, segments: &[Segment]) -> Vec<StageHeader> {
    segments
        .iter()
        .flat_map(|segment| segment.stages.iter().map(move |stage| (segment, stage)))
        .map(|(segment, stage)| StageHeader {
            name: stage.spec.name.clone(),
            measured: stage.measured,
            duration_ns: u64::try_from(stage.spec.duration.as_nanos()).unwrap_or(u64::MAX),
            load: LoadHeader::from(&stage.spec.load),
            put_on: Some(stage.spec.load.clone()),
            pool_size: segment.pool_size,
            instances: plan.instances,
            workers: plan.threads.clamp(1, plan.instances.max(1)),
            slice: segment.slice.as_ref().and_then(|slice| slice.of),
        })
        .collect()
}
