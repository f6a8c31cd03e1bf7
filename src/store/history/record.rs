//! What is kept of a run, which of it is looked for, and what a store can hold.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Longest name that is indexed (id, tag, path of a metric, owner, kind of a distribution), in bytes: PostgreSQL's indexes hold
/// up to 2,700 bytes an entry.
pub const NAME_BYTES_MAX: usize = 500;

/// All that is kept of one measured run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// What the list shows of it.
    pub summary: RunSummary,
    /// The whole report as JSON.
    pub report: String,
    /// Figures by their paths, such as `checkout.response.p99`; each in the unit that its path says. Finite.
    pub metrics: BTreeMap<String, f64>,
    /// The distributions behind the figures. Each (stage, owner, what) occurs once; a store gives them back in that order.
    pub distributions: Vec<StoredDistribution>,
}

impl RunRecord {
    /// Whether both are the same measurement. Note and tags may differ: people change them later.
    #[must_use]
    pub fn is_same_run(&self, other: &Self) -> bool {
        self.summary.as_measured() == other.summary.as_measured()
            && self.report == other.report
            && self.metrics == other.metrics
            && self.distributions_in_order() == other.distributions_in_order()
    }

    fn distributions_in_order(&self) -> Vec<&StoredDistribution> {
        let mut distributions: Vec<_> = self.distributions.iter().collect();
        distributions.sort_unstable_by_key(|distribution| distribution.place());
        distributions
    }

    /// Whether a store can hold it, asked before anything is written.
    pub(super) fn check(&self) -> Result<(), Unfit> {
        let unfit = |problem: String| Unfit { id: self.summary.id.clone(), problem };
        self.summary.check().map_err(unfit)?;
        serde_json::from_str::<serde::de::IgnoredAny>(&self.report)
            .map_err(|error| unfit(format!("its report is not JSON: {error}")))?;
        for (path, value) in &self.metrics {
            check_name("the path of a metric", path).map_err(unfit)?;
            if !value.is_finite() {
                return Err(unfit(format!("its metric `{path}` is {value}, which is no number")));
            }
        }
        let mut places = BTreeSet::new();
        for distribution in &self.distributions {
            distribution.check().map_err(unfit)?;
            if !places.insert(distribution.place()) {
                let (stage, owner, what) = distribution.place();
                return Err(unfit(format!(
                    "its distribution `{what}` of `{owner}`, stage {stage}, is there twice"
                )));
            }
        }
        Ok(())
    }
}

/// One line of the list of runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSummary {
    /// Name of the run, unique in a store: `20260102-030405-abcd`.
    pub id: String,
    /// `run`, `pool`, `ab`
    pub kind: String,
    /// Microseconds since 1970, UTC.
    pub started_at_us: i64,
    /// Time from the start to the end, in microseconds; absent where the end is not known.
    pub duration_us: Option<u64>,
    /// How it ended: `completed`, `interrupted`, …
    pub ended: String,
    /// `pass`, `fail`, …; empty where none was asked for.
    pub verdict: String,
    /// Name of the workload.
    pub workload: String,
    /// Scale of the dataset, where known.
    pub scale: Option<f64>,
    /// Digest of all that decides what a run does.
    pub fingerprint: String,
    /// `postgresql`, `mariadb`, …
    pub engine: String,
    /// `15.18`
    pub server_version: String,
    /// Host, port, database and user of the database under test, without a password.
    pub target: String,
    /// Version of the program that measured.
    pub dbdyno_version: String,
    /// What a person wrote about it; may be empty.
    pub note: String,
    /// Labels that people give.
    pub tags: BTreeSet<String>,
    /// Transactions per second over what was measured; absent where nothing was.
    pub per_s: Option<f64>,
    /// Median response time in microseconds.
    pub p50_us: Option<u64>,
    /// 99th percentile of the response time in microseconds.
    pub p99_us: Option<u64>,
    /// Transactions that failed.
    pub failed: Option<u64>,
}

impl RunSummary {
    fn as_measured(&self) -> Self {
        Self { note: String::new(), tags: BTreeSet::new(), ..self.clone() }
    }

    fn check(&self) -> Result<(), String> {
        check_name("its id", &self.id)?;
        let texts = [
            ("kind", &self.kind),
            ("ended", &self.ended),
            ("verdict", &self.verdict),
            ("workload", &self.workload),
            ("fingerprint", &self.fingerprint),
            ("engine", &self.engine),
            ("server_version", &self.server_version),
            ("target", &self.target),
            ("dbdyno_version", &self.dbdyno_version),
            ("note", &self.note),
        ];
        for (field, text) in texts {
            check_text(&format!("its `{field}`"), text)?;
        }
        for tag in &self.tags {
            check_name("a tag", tag)?;
        }
        for (field, value) in [("scale", self.scale), ("per_s", self.per_s)] {
            if value.is_some_and(|value| !value.is_finite()) {
                return Err(format!("its `{field}` is no number"));
            }
        }
        Ok(())
    }
}

/// What is kept of a [`RunSummary`] in one text, since no run is chosen by it. A field that is added must be optional: the texts of
/// older runs lack it.
#[derive(Serialize, Deserialize)]
pub(super) struct Details {
    pub duration_us: Option<u64>,
    pub ended: String,
    pub scale: Option<f64>,
    pub fingerprint: String,
    pub engine: String,
    pub server_version: String,
    pub target: String,
    pub dbdyno_version: String,
    pub per_s: Option<f64>,
    pub p50_us: Option<u64>,
    pub p99_us: Option<u64>,
    pub failed: Option<u64>,
}

impl From<&RunSummary> for Details {
    fn from(run: &RunSummary) -> Self {
        Self {
            duration_us: run.duration_us,
            ended: run.ended.clone(),
            scale: run.scale,
            fingerprint: run.fingerprint.clone(),
            engine: run.engine.clone(),
            server_version: run.server_version.clone(),
            target: run.target.clone(),
            dbdyno_version: run.dbdyno_version.clone(),
            per_s: run.per_s,
            p50_us: run.p50_us,
            p99_us: run.p99_us,
            failed: run.failed,
        }
    }
}

/// One distribution of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredDistribution {
    /// Index of the stage, from 0.
    pub stage: u32,
    /// Whose: a transaction (`checkout`), a statement (`checkout.take_stock`), or all (empty).
    pub owner: String,
    /// `response`, `service`, `execute`, …
    pub what: String,
    /// How many values.
    pub count: u64,
    /// Their sum in nanoseconds.
    pub sum_ns: u64,
    /// The values: an `HdrHistogram` in its form V2, deflated.
    #[serde(with = "super::transfer::base64_text")]
    pub histogram: Vec<u8>,
}

impl StoredDistribution {
    fn place(&self) -> (u32, &str, &str) {
        (self.stage, &self.owner, &self.what)
    }

    fn check(&self) -> Result<(), String> {
        if !self.owner.is_empty() {
            check_name("the owner of a distribution", &self.owner)?;
        }
        check_name("the kind of a distribution", &self.what)?;
        check_count("count", self.count)?;
        check_count("sum_ns", self.sum_ns)
    }
}

/// Which runs: those that meet all that is set here. By default all runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// They bear all of these.
    pub tags: Vec<String>,
    /// They are of this kind.
    pub kind: Option<String>,
    /// They ran this workload.
    pub workload: Option<String>,
    /// They ended with this verdict.
    pub verdict: Option<String>,
    /// They started then or later, in microseconds since 1970.
    pub since_us: Option<i64>,
    /// They started before that, in microseconds since 1970.
    pub until_us: Option<i64>,
    /// Their ids begin so.
    pub id_prefix: Option<String>,
    /// Not more than so many, of those the newest.
    pub limit: Option<u32>,
}

/// Why a store cannot hold a run, or a tag.
#[derive(Debug, thiserror::Error)]
#[error("run `{id}` cannot be stored: {problem}")]
pub struct Unfit {
    /// Which run.
    pub id: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Whether a text can be a tag, an id, or another name.
pub(super) fn check_name(what: &str, name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err(format!("{what} is empty"));
    }
    if name.chars().any(char::is_control) {
        return Err(format!("{what} has a control character in it: {name:?}"));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("{what} has {} bytes, of {NAME_BYTES_MAX} at most: `{name}`", name.len()));
    }
    Ok(())
}

/// PostgreSQL has no place for a NUL in a text.
pub(super) fn check_text(what: &str, text: &str) -> Result<(), String> {
    if text.contains('\0') { Err(format!("{what} has a NUL character in it")) } else { Ok(()) }
}

/// Databases count to 2⁶³ − 1. In nanoseconds those are 292 years, so that nothing measured comes near.
fn check_count(what: &str, count: u64) -> Result<(), String> {
    match i64::try_from(count) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("its `{what}` is {count}, more than a store can count to")),
    }
}
