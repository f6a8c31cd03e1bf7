//! The course of a run as charts over one axis: the seconds since it began. Long runs are thinned, and say so.

use serde::Serialize;

use super::chart::{Chart, Merge, Role, Series, Short, Unit};
use super::waits;
use crate::model::{DdlInfo, Report, Stage};
use crate::report::format::{count, length_s};

/// Points of a chart: more than there are pixels across it show nothing more.
const POINTS_MAX: usize = 2_400;
/// Events that are drawn; beyond them the picture is full.
const EVENTS_MAX: usize = 600;
/// A pause between two stages, in seconds, from which on the line between them is interrupted.
const BREAK_MIN_S: f64 = 2.5;
/// A stage in which nobody waited for a connection for so long, in microseconds, has no chart of these waits.
const POOL_WAIT_MIN_US: f64 = 1_000.0;
/// Characters of a statement that an event names.
const SQL_MAX: usize = 60;

/// A stage on the axis.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Span {
    pub(super) name: String,
    pub(super) from: Short,
    pub(super) to: Short,
    pub(super) measured: bool,
}

/// Something that went on for a while.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Happening {
    pub(super) from: Short,
    pub(super) to: Short,
    /// `checkpoint`, `vacuum`, `analyze`, `ddl`, `other`: which row and colour it has.
    pub(super) kind: &'static str,
    pub(super) words: String,
}

/// A run on its axis.
pub(super) struct Course<'a> {
    report: &'a Report,
    /// Where each stage begins, in seconds since the run began.
    offsets: Vec<f64>,
}

impl<'a> Course<'a> {
    pub(super) fn new(report: &'a Report) -> Self {
        let began = report.started_at.parse::<jiff::Timestamp>().ok();
        let mut end = 0.0_f64;
        let offsets = report
            .stages
            .iter()
            .map(|stage| {
                let clock = stage.started_at.parse::<jiff::Timestamp>().ok().zip(began);
                let by_clock = clock.map_or(0.0, |(at, began)| at.duration_since(began).as_secs_f64());
                // Clocks jump and old reports are rounded to seconds: a stage never begins before the one ahead of it ended.
                let offset = by_clock.max(end);
                end = offset + length(stage);
                offset
            })
            .collect();
        Self { report, offsets }
    }

    fn stages(&self) -> impl Iterator<Item = (f64, &'a Stage)> {
        self.offsets.iter().copied().zip(&self.report.stages)
    }

    /// From the beginning of the first stage to the end of the last.
    pub(super) fn range(&self) -> (Short, Short) {
        let begin = self.offsets.first().copied().unwrap_or(0.0);
        let end = self.stages().map(|(offset, stage)| offset + length(stage)).fold(begin, f64::max);
        (Short(begin), Short(end))
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        let span = |(offset, stage): (f64, &Stage)| Span {
            name: stage.name.clone(),
            from: Short(offset),
            to: Short(offset + length(stage)),
            measured: stage.measured,
        };
        self.stages().map(span).collect()
    }

    /// What went on in the server, and the statements of a migration.
    pub(super) fn happenings(&self) -> Vec<Happening> {
        let mut all: Vec<Happening> = Vec::new();
        if let Some(migration) = &self.report.migration {
            all.extend(migration.statements.iter().flat_map(tries));
            all.extend(migration.disturbances.iter().map(|of| Happening {
                from: Short(of.t_s),
                to: Short(of.t_s + of.lasted_s),
                kind: "other",
                words: format!("{}, on purpose", of.what),
            }));
        }
        for (offset, stage) in self.stages() {
            for event in &stage.server_events {
                let to = event.ended_s.unwrap_or(stage.duration_s).max(event.t_s);
                let kind = match event.kind.as_str() {
                    "checkpoint" => "checkpoint",
                    "autovacuum" | "vacuum" => "vacuum",
                    "autoanalyze" | "analyze" => "analyze",
                    _ => "other",
                };
                let (from, to) = (Short(offset + event.t_s), Short(offset + to));
                all.push(Happening { from, to, kind, words: event.words.clone() });
            }
        }
        all.truncate(EVENTS_MAX);
        all
    }

    /// The charts for which there is something to draw.
    pub(super) fn charts(&self) -> Vec<Chart> {
        let (load, chunk) = self.load();
        let thinned = match chunk {
            1 => String::new(),
            many => format!(
                " Each point stands for {} of {} seconds: of rates the mean, with the lowest and the highest second around it, of times the slowest.",
                count(many as u64),
                count(self.stages().map(|(_, stage)| stage.intervals.len() as u64).sum())
            ),
        };
        let mut charts: Vec<Chart> = Vec::new();
        charts.extend(throughput(&load, chunk, &thinned));
        charts.extend(response(&load, &thinned));
        charts.extend(pool(&load, &thinned));
        charts.extend(pool_wait(&load, &thinned));
        charts.extend(self.waits());
        charts.extend(self.sessions());
        charts.extend(self.wal());
        charts.extend(self.cores());
        charts
    }

    /// The seconds of the load, thinned, and how many of them a point stands for.
    fn load(&self) -> (Points, usize) {
        use Merge::{Max, Mean, Min};
        let mut points = Points::new(13);
        for (offset, stage) in self.stages() {
            points.interrupt();
            for second in stage.intervals.iter().filter(|second| !second.drain) {
                let us = |us: Option<u64>| us.map(|us| us as f64);
                points.push(
                    offset + second.t_s,
                    [
                        Some(second.per_s),
                        Some(second.per_s),
                        Some(second.per_s),
                        stage.offered_per_s,
                        Some(second.errors as f64 / second.length_s.max(1e-3)),
                        us(second.p50_us),
                        us(second.p99_us),
                        us(second.max_us),
                        Some(second.busy),
                        Some(second.waiting),
                        Some(f64::from(stage.pool.size) * f64::from(stage.pool.instances.max(1))),
                        second.pool_wait_mean_us,
                        us(second.pool_wait_max_us),
                    ],
                );
            }
        }
        points.thinned(&[Mean, Min, Max, Mean, Mean, Max, Max, Max, Mean, Mean, Max, Mean, Max])
    }

    /// What the sessions of the pool were in.
    fn waits(&self) -> Option<Chart> {
        let events = waits::events(self.report);
        let mut points = Points::new(events.len() + 1);
        for (offset, stage) in self.stages() {
            points.interrupt();
            for one in &stage.wait_intervals {
                points.push(offset + one.t_s, waits::row(one, &events));
            }
        }
        let (points, _) = points.thinned(&vec![Merge::Mean; events.len() + 1]);
        let series = waits::series(&points.columns, &events);
        let note = "Sessions of the pool by what they were in, sampled, one upon the other. CPU: they ran, or were ready to run."
            .to_owned();
        (!series.is_empty())
            .then(|| over_time("waits", "Waits by event", note, Unit::Count, points.xs.clone(), series))
    }

    /// What the server's clients did.
    fn sessions(&self) -> Option<Chart> {
        let mut points = Points::new(3);
        for (offset, stage) in self.stages() {
            points.interrupt();
            for one in &stage.server_intervals {
                points.push(
                    offset + one.t_s,
                    [Some(one.active), Some(one.lock_waiting), Some(one.idle_in_transaction)],
                );
            }
        }
        let (points, _) = points.thinned(&[Merge::Mean; 3]);
        let [active, locks, idle] = points.columns.as_slice() else { return None };
        let series = vec![
            Series::new("active", Role::Line, 1, active.clone(), Merge::Mean),
            Series::new("waiting for a lock", Role::Line, 3, locks.clone(), Merge::Mean),
            Series::new("idle in a transaction", Role::Line, 4, idle.clone(), Merge::Mean),
        ];
        let note = "Clients of the whole server, those of the probes left out.".to_owned();
        points.has_any().then(|| {
            over_time("sessions", "Sessions on the server", note, Unit::Count, points.xs.clone(), series)
        })
    }

    fn wal(&self) -> Option<Chart> {
        const BLOCK: f64 = 8192.0;
        let mut points = Points::new(3);
        for (offset, stage) in self.stages() {
            points.interrupt();
            for one in &stage.server_intervals {
                let bytes = |blocks: Option<f64>| blocks.map(|blocks| blocks * BLOCK);
                points.push(
                    offset + one.t_s,
                    [one.wal_bytes_per_s, bytes(one.blocks_read_per_s), bytes(one.checkpoint_buffers_per_s)],
                );
            }
        }
        let (points, _) = points.thinned(&[Merge::Mean; 3]);
        let [wal, read, written] = points.columns.as_slice() else { return None };
        let series = vec![
            Series::new("WAL written", Role::Line, 1, wal.clone(), Merge::Mean),
            Series::new("blocks read", Role::Line, 2, read.clone(), Merge::Mean),
            Series::new("written by checkpoints", Role::Line, 5, written.clone(), Merge::Mean),
        ];
        let note = "Of the whole server; blocks read are those that shared buffers lacked.".to_owned();
        points.has_any().then(|| {
            over_time("wal", "WAL and blocks", note, Unit::BytesPerSecond, points.xs.clone(), series)
        })
    }

    /// The host, and the server on it.
    fn cores(&self) -> Option<Chart> {
        let mut points = Points::new(2);
        for (offset, stage) in self.stages() {
            points.interrupt();
            let cores = stage.host.as_ref().map_or(self.report.environment.cores, |host| host.cores).max(1);
            // Both are read at the same looks; where one has more, the rest stands alone.
            let mut processes = stage.process_intervals.iter().peekable();
            for host in &stage.host_intervals {
                while processes.next_if(|one| one.t_s < host.t_s - 0.5).is_some() {}
                let server = processes.peek().filter(|one| (one.t_s - host.t_s).abs() <= 0.5);
                let share = server.map(|one| one.cores / f64::from(cores));
                points.push(offset + host.t_s, [host.cpu_fraction, share]);
            }
        }
        let (points, _) = points.thinned(&[Merge::Mean; 2]);
        let [host, server] = points.columns.as_slice() else { return None };
        let mut series = vec![Series::new("host busy", Role::Area, 1, host.clone(), Merge::Mean)];
        if server.iter().flatten().next().is_some() {
            series.push(Series::new("the server of it", Role::Line, 2, server.clone(), Merge::Mean));
        }
        let note = "Share of all cores of the generator's host.".to_owned();
        points.has_any().then(|| over_time("host", "Host CPU", note, Unit::Share, points.xs.clone(), series))
    }
}

fn over_time(id: &str, title: &str, note: String, y: Unit, xs: Vec<f64>, series: Vec<Series>) -> Chart {
    Chart {
        id: id.to_owned(),
        title: title.to_owned(),
        note,
        x_label: "until".to_owned(),
        x: Unit::Seconds,
        y,
        log: false,
        over_time: true,
        xs,
        series,
        marks: Vec::new(),
    }
}

fn throughput(load: &Points, chunk: usize, thinned: &str) -> Option<Chart> {
    let [mean, low, high, planned, errors, ..] = load.columns.as_slice() else { return None };
    let mut series = vec![Series::new("ended ok", Role::Area, 1, mean.clone(), Merge::Mean)];
    if chunk > 1 {
        series.push(Series::new("lowest second", Role::Low, 1, low.clone(), Merge::Min));
        series.push(Series::new("highest second", Role::High, 1, high.clone(), Merge::Max));
    }
    if planned.iter().flatten().next().is_some() {
        series.push(Series::new("offered", Role::Plan, 8, planned.clone(), Merge::Mean));
    }
    if errors.iter().flatten().any(|errors| *errors > 0.0) {
        series.push(Series::new("not ok", Role::Bars, 3, errors.clone(), Merge::Mean));
    }
    let note = format!("Transactions per second.{thinned}");
    load.has_any()
        .then(|| over_time("throughput", "Throughput", note, Unit::PerSecond, load.xs.clone(), series))
}

fn response(load: &Points, thinned: &str) -> Option<Chart> {
    let [_, _, _, _, _, p50, p99, max, ..] = load.columns.as_slice() else { return None };
    let number = |values: &[Option<f64>]| values.iter().flatten().count();
    let mut series = vec![Series::new("p50", Role::Line, 1, p50.clone(), Merge::Max)];
    // A second of fewer than 1,000 transactions carries no p99; its longest response it always has.
    if number(p99) > 0 {
        series.push(Series::new("p99", Role::Line, 2, p99.clone(), Merge::Max));
    }
    if number(p99) * 2 < number(p50) {
        series.push(Series::new("longest", Role::Line, 4, max.clone(), Merge::Max));
    }
    let note = format!(
        "From the planned start to the answer of the commit, of those that ended ok; each step upwards is a multiple.{thinned}"
    );
    (number(p50) > 0).then(|| Chart {
        log: true,
        ..over_time("response", "Response time", note, Unit::Us, load.xs.clone(), series)
    })
}

fn pool(load: &Points, thinned: &str) -> Option<Chart> {
    let [.., busy, waiting, size, _, _] = load.columns.as_slice() else { return None };
    let series = vec![
        Series::new("busy", Role::Area, 1, busy.clone(), Merge::Mean),
        Series::new("waiting for one", Role::Line, 2, waiting.clone(), Merge::Mean),
        Series::new("size", Role::Plan, 8, size.clone(), Merge::Max),
    ];
    let note = format!("Connections in use, and requests that wait for one, on average.{thinned}");
    load.has_any().then(|| over_time("pool", "Pool", note, Unit::Count, load.xs.clone(), series))
}

/// Where somebody waited for so long that it can be seen.
fn pool_wait(load: &Points, thinned: &str) -> Option<Chart> {
    let [.., mean, longest] = load.columns.as_slice() else { return None };
    let is_seen = longest.iter().flatten().any(|us| *us >= POOL_WAIT_MIN_US);
    let series = vec![
        Series::new("mean", Role::Area, 1, mean.clone(), Merge::Mean),
        Series::new("longest", Role::Line, 4, longest.clone(), Merge::Max),
    ];
    let note = format!("How long transactions waited for a connection of the pool.{thinned}");
    is_seen.then(|| over_time("pool-wait", "Wait for a connection", note, Unit::Us, load.xs.clone(), series))
}

/// Window and drain.
fn length(stage: &Stage) -> f64 {
    let last = stage.intervals.last().map_or(0.0, |second| second.t_s);
    (stage.duration_s + stage.drain_s).max(last)
}

/// Each try of a statement, until its locks are given back.
fn tries(statement: &DdlInfo) -> impl Iterator<Item = Happening> {
    let sql: String = statement.sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let sql = crate::report::text::cut(&sql, SQL_MAX);
    let last = statement.tries.len();
    statement.tries.iter().enumerate().map(move |(place, one)| {
        let carried = if place + 1 == last { statement.carried_us } else { 0 };
        let from = one.t_ms as f64 / 1e3;
        let to = from + (one.duration_us + carried) as f64 / 1e6;
        let which = if last > 1 { format!(", try {}", place + 1) } else { String::new() };
        let words = format!("statement {}{which}, {}: {sql}", statement.number, length_s(to - from));
        Happening { from: Short(from), to: Short(to), kind: "ddl", words }
    })
}

/// Columns of values over one axis, interrupted between stages.
struct Points {
    xs: Vec<f64>,
    columns: Vec<Vec<Option<f64>>>,
    /// Where a new stretch begins.
    breaks: Vec<usize>,
}

impl Points {
    fn new(columns: usize) -> Self {
        Self { xs: Vec::new(), columns: vec![Vec::new(); columns], breaks: Vec::new() }
    }

    /// What follows is not connected with what went before.
    fn interrupt(&mut self) {
        self.breaks.push(self.xs.len());
    }

    fn push(&mut self, x: f64, values: impl IntoIterator<Item = Option<f64>>) {
        self.xs.push(x);
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.push(value);
        }
    }

    fn has_any(&self) -> bool {
        self.columns.iter().flatten().flatten().next().is_some()
    }

    /// At most [`POINTS_MAX`] points, and one more for each break; and how many values each stands for.
    fn thinned(&self, merges: &[Merge]) -> (Self, usize) {
        let chunk = self.xs.len().div_ceil(POINTS_MAX).max(1);
        let mut thin = Self::new(self.columns.len());
        let ends = self.breaks.iter().skip(1).copied().chain([self.xs.len()]);
        for (begin, end) in self.breaks.iter().copied().zip(ends) {
            if let (Some(last), Some(next)) = (thin.xs.last().copied(), self.xs.get(begin))
                && begin < end
                && next - last > BREAK_MIN_S * chunk as f64
            {
                // A point without values interrupts the line.
                thin.xs.push(f64::midpoint(last, *next));
                thin.columns.iter_mut().for_each(|column| column.push(None));
            }
            for from in (begin..end).step_by(chunk) {
                let to = (from + chunk).min(end);
                thin.xs.push(self.xs[to - 1]);
                for ((thin, column), merge) in thin.columns.iter_mut().zip(&self.columns).zip(merges) {
                    thin.push(merge.of(&column[from..to]));
                }
            }
        }
        (thin, chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::{Merge, POINTS_MAX, Points};

    #[test]
    fn a_long_run_is_thinned_and_loses_neither_its_peak_nor_its_breaks() {
        let mut points = Points::new(2);
        for stage in 0..2 {
            points.interrupt();
            for second in 1..=5_000 {
                let value = if second == 777 { 1e6 } else { 10.0 };
                points.push(f64::from(stage * 5_100 + second), [Some(value), Some(value)]);
            }
        }
        let (thin, chunk) = points.thinned(&[Merge::Mean, Merge::Max]);
        assert_eq!(chunk, 5);
        assert!(thin.xs.len() <= POINTS_MAX + 2, "{}", thin.xs.len());
        assert!(thin.xs.is_sorted_by(|a, b| a < b), "an axis runs one way");
        assert_eq!(Merge::Max.of(&thin.columns[1]), Some(1e6));
        assert_eq!(thin.columns[0].iter().filter(|value| value.is_none()).count(), 1, "one break");
    }

    #[test]
    fn a_short_run_stays_as_it_is() {
        let mut points = Points::new(1);
        points.interrupt();
        for second in 1..=60 {
            points.push(f64::from(second), [Some(1.0)]);
        }
        let (thin, chunk) = points.thinned(&[Merge::Mean]);
        assert_eq!((thin.xs.len(), chunk), (60, 1));
    }
}
