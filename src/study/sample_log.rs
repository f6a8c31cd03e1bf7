//! The log of single transactions: a CSV file beside the journal, one line for each, in the order in which they ended within
//! each second and worker. Written on the control thread; a worker only fills its buffer.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::dataset::{put_csv, put_csv_text};
use crate::record::accounting::Outcome;
use crate::record::entry::{Header, Interval};
use crate::record::sample::{SAMPLES_MAX, Sample, Samples};
use crate::sql::values::Slot;
use crate::units::Stamp;

use super::SampleLogPlan;

/// The columns of every log; those of the wished values follow. Instants count from `started_at` of the report.
const COLUMNS: &str = "stage,transaction,instance,client,number,tries,outcome,code,scheduled_at_ns,\
                       acquire_begun_at_ns,acquired_at_ns,finished_at_ns,released_at_ns,pool_wait_ns";

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the samples to {}: {source} (name another file with --samples)", path.display())]
pub struct SampleLogError {
    path: PathBuf,
    source: std::io::Error,
}

/// A log being written.
pub(super) struct SampleLog {
    path: PathBuf,
    file: File,
    stages: Vec<String>,
    transactions: Vec<String>,
    /// The lines of one interval.
    lines: Vec<u8>,
    dropped: u64,
    failed: bool,
}

impl SampleLog {
    /// Makes the file with its header line; what was there goes.
    pub(super) fn create(plan: &SampleLogPlan, header: &Header) -> Result<Self, SampleLogError> {
        let mut lines = COLUMNS.as_bytes().to_vec();
        for name in &plan.values {
            lines.push(b',');
            put_csv_text(name.as_bytes(), &mut lines);
        }
        lines.push(b'\n');
        let created = File::create(&plan.path).and_then(|mut file| file.write_all(&lines).map(|()| file));
        Ok(Self {
            file: created.map_err(failure(&plan.path))?,
            path: plan.path.clone(),
            stages: header.stages.iter().map(|stage| stage.name.clone()).collect(),
            transactions: header.workload.transactions.iter().map(|of| of.name.clone()).collect(),
            lines,
            dropped: 0,
            failed: false,
        })
    }

    /// Appends the samples of an interval. A file that cannot be written does not end a measurement: that is said once.
    pub(super) fn write(&mut self, interval: &Interval) -> Result<(), SampleLogError> {
        let samples = &interval.set.samples;
        self.dropped += samples.dropped;
        if self.failed || samples.is_empty() {
            return Ok(());
        }
        self.lines.clear();
        for (sample, values) in samples.rows() {
            self.put(sample, values, samples);
        }
        if let Err(error) = self.file.write_all(&self.lines) {
            self.failed = true;
            return Err(failure(&self.path)(error));
        }
        Ok(())
    }

    /// What it lacks for want of room, if anything.
    pub(super) fn gap(&self) -> Option<String> {
        (self.dropped > 0).then(|| {
            format!(
                "the sample log lacks {} transactions: a worker keeps {SAMPLES_MAX} a second (--sample-fraction \
                 keeps a share of all)",
                self.dropped
            )
        })
    }

    fn put(&mut self, sample: &Sample, values: &[Slot], samples: &Samples) {
        let out = &mut self.lines;
        put_csv_text(self.stages[sample.stage.index()].as_bytes(), out);
        out.push(b',');
        put_csv_text(self.transactions[sample.transaction.index()].as_bytes(), out);
        put_number(Some(u64::from(sample.instance.0)), out);
        put_number(sample.client.map(|client| u64::from(client.0)), out);
        put_number(Some(sample.number), out);
        put_number(Some(u64::from(sample.tries)), out);
        out.push(b',');
        out.extend_from_slice(outcome(sample.outcome).as_bytes());
        out.push(b',');
        out.extend_from_slice(sample.code.as_str().as_bytes());
        let instants = [
            sample.scheduled_at,
            sample.acquire_begun_at,
            sample.acquired_at,
            Some(sample.finished_at),
            sample.released_at,
        ];
        for at in instants {
            put_number(at.map(|Stamp(ns)| ns), out);
        }
        put_number(u64::try_from(sample.pool_wait.as_nanos()).ok(), out);
        for value in values {
            out.push(b',');
            put_csv(*value, samples.arena(), out);
        }
        out.push(b'\n');
    }
}

fn failure(path: &Path) -> impl FnOnce(std::io::Error) -> SampleLogError {
    let path = path.to_owned();
    move |source| SampleLogError { path, source }
}

/// A field with a number, or an empty one.
fn put_number(number: Option<u64>, out: &mut Vec<u8>) {
    out.push(b',');
    if let Some(number) = number {
        // A vector takes whatever is written to it.
        let _ = write!(out, "{number}");
    }
}

/// As the books of the report call it.
fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Failed => "failed",
        Outcome::Unknown => "unknown",
        Outcome::Skipped => "skipped",
        Outcome::Abandoned => "abandoned",
    }
}
