//! The course of the host and of the server's processes over a stage. Pure, and within a bound: a run of weeks takes no more memory
//! than one of a day.

use crate::model::{HostIntervalInfo, ProcessIntervalInfo};
use crate::record::observation::{HostSample, HostTraffic, ProcessSample};
use crate::units::{Span, Stamp};

/// Intervals of one stage that are kept one by one; beyond them two are joined to one.
const KEPT_MAX: usize = 100_000;

/// The host over one stage, in the making.
#[derive(Debug)]
pub(super) struct HostCourse {
    begun_at: Stamp,
    host: Vec<HostIntervalInfo>,
    processes: Vec<ProcessIntervalInfo>,
    kept_max: usize,
}

impl HostCourse {
    /// Of a stage that begins.
    pub(super) fn begin(at: Stamp) -> Self {
        Self { begun_at: at, host: Vec::new(), processes: Vec::new(), kept_max: KEPT_MAX }
    }

    /// Takes a look at the host.
    pub(super) fn add_host(&mut self, sample: &HostSample, window: Span) {
        let Some((t_s, length_s)) = self.place(window) else { return };
        let all = sample.busy_s + sample.idle_s + sample.iowait_s + sample.steal_s;
        let traffic = |of: fn(&HostTraffic) -> u64| Some(of(sample.traffic.as_ref()?) as f64 / length_s);
        self.host.push(HostIntervalInfo {
            t_s,
            length_s,
            cpu_fraction: (all > 0.0).then(|| sample.busy_s / all),
            disk_read_bytes_per_s: traffic(|traffic| traffic.disk_read_bytes),
            disk_written_bytes_per_s: traffic(|traffic| traffic.disk_written_bytes),
            received_bytes_per_s: traffic(|traffic| traffic.received_bytes),
            sent_bytes_per_s: traffic(|traffic| traffic.sent_bytes),
            memory_available_bytes: sample.memory_available_bytes,
        });
        if self.host.len() > self.kept_max {
            self.host = self.host.chunks(2).map(|pair| joined(pair, join_host)).collect();
        }
    }

    /// Takes a look at the server's processes.
    pub(super) fn add_processes(&mut self, sample: &ProcessSample, window: Span) {
        let Some((t_s, length_s)) = self.place(window) else { return };
        let cores = |ns: u64| ns as f64 / 1e9 / length_s;
        self.processes.push(ProcessIntervalInfo {
            t_s,
            length_s,
            cores: cores(sample.server_cpu_ns),
            pool_cores: cores(sample.pool_cpu_ns),
            probe_cores: cores(sample.probe_cpu_ns),
        });
        if self.processes.len() > self.kept_max {
            self.processes = self.processes.chunks(2).map(|pair| joined(pair, join_processes)).collect();
        }
    }

    /// The host by second.
    pub(super) fn host(&self) -> Vec<HostIntervalInfo> {
        self.host.clone()
    }

    /// The server's processes by second.
    pub(super) fn processes(&self) -> Vec<ProcessIntervalInfo> {
        self.processes.clone()
    }

    /// End since the stage began, and length, in seconds; nothing of a window without one.
    fn place(&self, window: Span) -> Option<(f64, f64)> {
        let length_s = window.duration().as_secs_f64();
        (length_s > 0.0).then(|| ((window.to - self.begun_at).as_secs_f64(), length_s))
    }
}

fn joined<T: Copy>(pair: &[T], join: fn(&T, &T) -> T) -> T {
    match pair {
        [first, second] => join(first, second),
        rest => rest[0],
    }
}

fn join_host(first: &HostIntervalInfo, second: &HostIntervalInfo) -> HostIntervalInfo {
    let length_s = first.length_s + second.length_s;
    let mean = |of: fn(&HostIntervalInfo) -> Option<f64>| match (of(first), of(second)) {
        (Some(a), Some(b)) => Some((a * first.length_s + b * second.length_s) / length_s),
        (a, b) => a.or(b),
    };
    let levels = [first.memory_available_bytes, second.memory_available_bytes];
    HostIntervalInfo {
        t_s: second.t_s,
        length_s,
        cpu_fraction: mean(|one| one.cpu_fraction),
        disk_read_bytes_per_s: mean(|one| one.disk_read_bytes_per_s),
        disk_written_bytes_per_s: mean(|one| one.disk_written_bytes_per_s),
        received_bytes_per_s: mean(|one| one.received_bytes_per_s),
        sent_bytes_per_s: mean(|one| one.sent_bytes_per_s),
        memory_available_bytes: levels.into_iter().flatten().min(),
    }
}

fn join_processes(first: &ProcessIntervalInfo, second: &ProcessIntervalInfo) -> ProcessIntervalInfo {
    let length_s = first.length_s + second.length_s;
    let mean = |of: fn(&ProcessIntervalInfo) -> f64| {
        (of(first) * first.length_s + of(second) * second.length_s) / length_s
    };
    ProcessIntervalInfo {
        t_s: second.t_s,
        length_s,
        cores: mean(|one| one.cores),
        pool_cores: mean(|one| one.pool_cores),
        probe_cores: mean(|one| one.probe_cores),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn window(from_s: u64, to_s: u64) -> Span {
        Span { from: Stamp(from_s * SECOND), to: Stamp(to_s * SECOND) }
    }

    fn host(busy_s: f64, written: Option<u64>) -> HostSample {
        HostSample {
            cores: 2,
            busy_s,
            idle_s: 2.0 - busy_s,
            traffic: written.map(|bytes| HostTraffic { disk_written_bytes: bytes, ..HostTraffic::default() }),
            ..HostSample::default()
        }
    }

    #[test]
    fn a_look_becomes_shares_and_rates_on_the_axis_of_the_stage() {
        let mut course = HostCourse::begin(Stamp(10 * SECOND));
        course.add_host(&host(0.5, Some(4096)), window(11, 13));
        let sample = ProcessSample {
            server_cpu_ns: 3 * SECOND,
            pool_cpu_ns: 2 * SECOND,
            probe_cpu_ns: SECOND / 5,
            ..ProcessSample::default()
        };
        course.add_processes(&sample, window(11, 13));
        let one = course.host()[0];
        assert_eq!((one.t_s, one.length_s, one.cpu_fraction), (3.0, 2.0, Some(0.25)));
        assert_eq!((one.disk_written_bytes_per_s, one.memory_available_bytes), (Some(2048.0), None));
        let one = course.processes()[0];
        assert_eq!((one.cores, one.pool_cores, one.probe_cores), (1.5, 1.0, 0.1));
    }

    #[test]
    fn beyond_the_bound_two_are_one_and_keep_their_mean() {
        let mut course = HostCourse { kept_max: 2, ..HostCourse::begin(Stamp(0)) };
        course.add_host(&host(0.4, None), window(0, 1));
        course.add_host(&host(1.6, Some(300)), window(1, 3));
        course.add_host(&host(0.2, Some(100)), window(3, 4));
        let kept = course.host();
        assert_eq!(
            kept.iter().map(|one| (one.t_s, one.length_s)).collect::<Vec<_>>(),
            [(3.0, 3.0), (4.0, 1.0)]
        );
        // (0.2 · 1 s + 0.8 · 2 s) ÷ 3 s; what was not told of one second is that of the other.
        assert!((kept[0].cpu_fraction.expect("told") - 0.6).abs() < 1e-12, "{kept:?}");
        assert_eq!(kept[0].disk_written_bytes_per_s, Some(150.0));
        // A look of no length says nothing.
        course.add_host(&host(0.2, None), window(4, 4));
        assert_eq!(course.host().len(), 2);
    }
}
