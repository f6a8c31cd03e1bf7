//! What a comparison of two arms, or of two groups of runs, adds to a report.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Two arms or two groups of runs, A the one that is compared with. All ratios are B ÷ A.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// What A is: `as is`, `set work_mem=64MB`.
    pub a: String,
    /// What B is.
    pub b: String,
    /// Pairs that were measured whole.
    pub pairs: u32,
    /// Pairs that were planned; the most of them where it ends as soon as it is decided.
    pub pairs_planned: u32,
    /// Whether it was to end as soon as it is decided.
    pub until_decided: bool,
    /// One less the error rate that all verdicts have together, 0 to 1.
    pub confidence: f64,
    /// The answer, in a few sentences.
    pub answer: String,
    /// Times and rates: all transactions together, then by transaction, then by statement.
    pub metrics: Vec<MetricDifference>,
    /// What the server counted for each execution of a statement.
    pub counters: Vec<CounterDifference>,
    /// Statements that the server executes differently.
    #[serde(default)]
    pub plans: Vec<super::PlanDifference>,
    /// Each slice, in the order of time.
    pub slices: Vec<SliceInfo>,
}

/// What is to be said of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeVerdict {
    /// B is better than A.
    Better,
    /// B is worse than A, and by more than is accepted.
    Worse,
    /// B differs from A by no more than is accepted, in either direction.
    Same,
    /// Nothing of that is sure.
    Inconclusive,
}

/// One metric of both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricDifference {
    /// The stage, where runs of several stages are compared.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stage: Option<String>,
    /// `response.p99`, `checkout.response.mean`, `checkout.take_stock.execute.mean`
    pub metric: String,
    /// What it is counted in: `us`, `per_s`, `bytes`, `count`.
    pub unit: String,
    /// Geometric mean over the slices of A that are compared; absent where none is.
    pub a: Option<f64>,
    /// The same of B.
    pub b: Option<f64>,
    /// B ÷ A, the geometric mean over the pairs.
    pub ratio: Option<f64>,
    /// Interval of the ratio at 95 %, for this metric alone.
    pub interval: Option<(f64, f64)>,
    /// Interval of the ratio at [`Comparison::confidence`], for all metrics together: the verdict goes by it.
    pub simultaneous: Option<(f64, f64)>,
    /// p value of "no difference", adjusted for all metrics.
    pub p_adjusted: Option<f64>,
    /// The smallest change that would have been seen, as a ratio above 1, with a probability of 80 %.
    pub visible: Option<f64>,
    /// What is to be said of it.
    pub verdict: ChangeVerdict,
    /// How much worse is accepted, as it was given: `+10%`.
    pub limit: Option<String>,
    /// Whether that is kept; absent where it is not sure, or where there is no limit.
    pub limit_kept: Option<bool>,
    /// Pairs in which it has a value on both sides.
    pub pairs: u32,
    /// So many pairs, at least, give an interval with two ends, where there is none yet.
    pub pairs_needed: Option<u32>,
    /// How many times larger it is in the second slice of a pair, whichever arm that is; absent where all pairs have the same
    /// order.
    pub second_to_first: Option<f64>,
    /// p value of "the order within a pair changes nothing".
    pub second_to_first_p: Option<f64>,
    /// How many times larger it is in the last third of the measurement than in the first, both arms together.
    pub drift: Option<f64>,
}

/// What is to be said of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CounterChange {
    /// B counts more.
    More,
    /// B counts fewer.
    Fewer,
    /// They differ by no more than 2 %.
    Alike,
    /// They differ, and not every pair agrees, or there are too few pairs.
    Unclear,
    /// It is shown and not judged: full-page images, and the WAL bytes in them, follow from when a checkpoint was.
    NotJudged,
}

/// What the server counted for each execution of one statement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CounterDifference {
    /// The stage, where runs of several stages are compared.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stage: Option<String>,
    /// `checkout.take_stock`
    pub statement: String,
    /// `rows`, `blocks`, `blocks_read`, `blocks_dirtied`, `temp_blocks_written`, `wal_records`, `wal_full_page_images`, `wal_bytes`
    pub counter: String,
    /// For each execution in A.
    pub a_per_call: f64,
    /// For each execution in B.
    pub b_per_call: f64,
    /// What is to be said of it.
    pub change: CounterChange,
}

/// Something in which two runs differ and should not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unlike {
    /// Stable name of its kind, which `--across` takes: `definitions`, `data`, `workload`, `scale`, `seed`, `load`, `pool`,
    /// `sessions`, `version`, `settings`, `cache`, `state`, `machine`.
    pub id: String,
    /// What it is, for a person: `the setting shared_buffers`.
    pub what: String,
    /// What it is in the base.
    pub base: String,
    /// What it is in the candidate.
    pub candidate: String,
}

/// Runs that are one side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunGroup {
    /// As the user named it: a run, or a tag.
    pub name: String,
    /// The runs, the oldest first.
    pub runs: Vec<String>,
}

/// Two runs or two groups of runs, compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompareReport {
    /// Version of the report's form, that of all reports.
    pub schema_version: u32,
    /// `compare`
    pub kind: String,
    /// Name of the workload.
    pub workload: String,
    /// What is compared with.
    pub base: RunGroup,
    /// What is compared.
    pub candidate: RunGroup,
    /// Whether the runs of both took turns, so that a drift of the machine favours none.
    pub interleaved: bool,
    /// In what they differ besides, as the user accepted it.
    pub unlike: Vec<Unlike>,
    /// What the limits say.
    pub verdict: super::Verdict,
    /// The differences; pairs are of a run of each.
    pub comparison: Comparison,
}

/// One slice of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SliceInfo {
    /// Name of its stage: `A #3`.
    pub stage: String,
    /// Its pair, from 1.
    pub pair: u32,
    /// `a` or `b`.
    pub arm: String,
    /// When what goes before it began, in seconds since the run began.
    pub t_s: f64,
    /// What went before it and how long that took, then `warm_up` and `measure`, in order.
    pub steps: Vec<SliceStep>,
    /// Whether its pair is compared: both slices were measured whole.
    pub compared: bool,
}

/// A step of a slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SliceStep {
    /// `script`, `indexes`, `settle`, `checkpoint`, `restart`, `connect`, `warm_up`, `measure`
    pub what: String,
    /// How long it took, in seconds.
    pub s: f64,
}
