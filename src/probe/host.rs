//! The machine of the generator and the generator itself, from /proc, once a second: was the database slow, or were we?
//! Knows no server. Where there is no /proc, every reading is a gap that says so.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::db::Now;
use crate::probe::outlet::Outlet;
use crate::probe::{Probed, Stop};
use crate::record::entry::Environment;
use crate::record::observation::{GeneratorSample, HostSample, HostTraffic, Observation, ProbeCost};
use crate::units::{Span, Stamp};

#[cfg(target_os = "linux")]
#[path = "host/linux.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "host/other.rs"]
mod system;

const EVERY: Duration = Duration::from_secs(1);

/// CPU time of the host since it was started, in seconds summed over cores.
#[derive(Clone, Copy, Debug, Default)]
struct HostTimes {
    busy_s: f64,
    idle_s: f64,
    iowait_s: f64,
    steal_s: f64,
    /// Since it was started.
    traffic: Option<HostTraffic>,
    memory_available_bytes: Option<u64>,
}

/// One thread of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ThreadTimes {
    id: i32,
    worker: bool,
    /// Of a worker: whether it leaves a processor to whoever has it.
    gives_way: bool,
    cpu_ns: u64,
    run_queue_ns: u64,
}

/// This process.
#[derive(Clone, Debug, Default)]
struct ProcessTimes {
    threads: Vec<ThreadTimes>,
    resident_bytes: u64,
}

/// One process of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ServerProcess {
    pub(super) pid: i32,
    pub(super) cpu_ns: u64,
    pub(super) run_queue_ns: u64,
}

/// All processes of the PostgreSQL server that serves the session of process `backend`, where both run on this host.
pub(super) fn server_processes(backend: i32) -> Result<Vec<ServerProcess>, String> {
    system::server_processes(backend)
}

/// What the machine is.
#[must_use]
pub fn environment() -> Environment {
    Environment { cores: cores(), ..system::environment() }
}

fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX))
}

/// The generator's own use of the machine from one look to the next, for who measures the generator itself.
pub struct GeneratorWatch {
    before: Option<ProcessTimes>,
}

impl GeneratorWatch {
    /// Counts from now on.
    #[must_use]
    pub fn begin() -> Self {
        Self { before: system::process().ok() }
    }

    /// What was used since the last look; nothing where the machine does not tell.
    pub fn lap(&mut self) -> Option<GeneratorSample> {
        let after = system::process().ok();
        let sample = self.before.as_ref().zip(after.as_ref()).map(|(before, after)| used(before, after));
        self.before = after;
        sample
    }
}

/// The probe of the host and of the generator.
pub struct HostProbe<N> {
    clock: N,
    host: Meter<HostTimes>,
    generator: Meter<ProcessTimes>,
}

/// Cumulative times and how they are read; a difference needs two readings that succeeded.
struct Meter<T> {
    outlet: Outlet,
    read: fn() -> Result<T, String>,
    difference: fn(&T, &T) -> Observation,
    before: Result<T, String>,
    since: Stamp,
}

impl<N: Now> HostProbe<N> {
    /// Counts from now on.
    pub fn new(clock: N, out: mpsc::Sender<Probed>) -> Self {
        let now = clock.now();
        let host = Meter::new("host", out.clone(), now, system::host, host_sample);
        let generator = Meter::new("generator", out, now, system::process, generator_sample);
        Self { clock, host, generator }
    }

    /// Reads until it is told to stop.
    pub async fn run(mut self, mut stop: mpsc::Receiver<Stop>) {
        let mut due = Instant::now() + EVERY;
        loop {
            tokio::select! {
                biased;
                done = stop.recv() => {
                    self.read().await;
                    if let Some(done) = done {
                        // Nobody waits any more when the receiver is gone.
                        let _ = done.send(());
                    }
                    return;
                }
                () = tokio::time::sleep_until(due) => {
                    self.read().await;
                    // After a suspended machine the next reading simply covers more.
                    due = (due + EVERY).max(Instant::now());
                }
            }
        }
    }

    async fn read(&mut self) {
        let now = self.clock.now();
        self.host.read(&self.clock, now);
        self.generator.read(&self.clock, now);
        tokio::task::yield_now().await;
    }
}

impl<T> Meter<T> {
    fn new(
        probe: &'static str,
        out: mpsc::Sender<Probed>,
        since: Stamp,
        read: fn() -> Result<T, String>,
        difference: fn(&T, &T) -> Observation,
    ) -> Self {
        Self { outlet: Outlet::new(probe, out), read, difference, before: read(), since }
    }

    fn read(&mut self, clock: &impl Now, now: Stamp) {
        let after = (self.read)();
        let elapsed_ns = clock.now().0.saturating_sub(now.0);
        let seen = match (&self.before, &after) {
            (Ok(before), Ok(after)) => Ok((self.difference)(before, after)),
            (_, Err(message)) | (Err(message), _) => Err(message.clone()),
        };
        let cost = ProbeCost {
            queries: 1,
            elapsed_ns,
            elapsed_max_ns: elapsed_ns,
            gaps: u64::from(seen.is_err()),
            ..ProbeCost::default()
        };
        let window = Span { from: self.since, to: now };
        self.before = after;
        self.since = now;
        self.outlet.offer(window, cost, || seen);
    }
}

fn host_sample(before: &HostTimes, after: &HostTimes) -> Observation {
    // Idle time may run backwards by a tick when a core comes back; less than nothing is nothing.
    let over = |pick: fn(&HostTimes) -> f64| (pick(after) - pick(before)).max(0.0);
    Observation::Host(HostSample {
        cores: cores(),
        busy_s: over(|times| times.busy_s),
        idle_s: over(|times| times.idle_s),
        iowait_s: over(|times| times.iowait_s),
        steal_s: over(|times| times.steal_s),
        traffic: before
            .traffic
            .as_ref()
            .zip(after.traffic.as_ref())
            .map(|(before, after)| moved(before, after)),
        memory_available_bytes: after.memory_available_bytes,
    })
}

/// A disk or an interface that was taken away takes its count with it: less than nothing is nothing.
fn moved(before: &HostTraffic, after: &HostTraffic) -> HostTraffic {
    let over = |pick: fn(&HostTraffic) -> u64| pick(after).saturating_sub(pick(before));
    HostTraffic {
        disk_read_bytes: over(|traffic| traffic.disk_read_bytes),
        disk_written_bytes: over(|traffic| traffic.disk_written_bytes),
        received_bytes: over(|traffic| traffic.received_bytes),
        sent_bytes: over(|traffic| traffic.sent_bytes),
    }
}

fn generator_sample(before: &ProcessTimes, after: &ProcessTimes) -> Observation {
    Observation::Generator(used(before, after))
}

fn used(before: &ProcessTimes, after: &ProcessTimes) -> GeneratorSample {
    let mut sample = GeneratorSample { resident_bytes: after.resident_bytes, ..GeneratorSample::default() };
    for thread in &after.threads {
        // A thread that began in between counts from zero.
        let (cpu_before, queue_before) = before
            .threads
            .iter()
            .find(|earlier| earlier.id == thread.id)
            .map_or((0, 0), |earlier| (earlier.cpu_ns, earlier.run_queue_ns));
        let cpu_ns = thread.cpu_ns.saturating_sub(cpu_before);
        if thread.worker {
            sample.workers += 1;
            sample.workers_giving_way += u32::from(thread.gives_way);
            sample.worker_cpu_ns += cpu_ns;
            sample.worker_run_queue_ns += thread.run_queue_ns.saturating_sub(queue_before);
            sample.busiest_worker_cpu_ns = sample.busiest_worker_cpu_ns.max(cpu_ns);
        } else {
            sample.control_cpu_ns += cpu_ns;
        }
    }
    sample
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(id: i32, worker: bool, cpu_ns: u64, run_queue_ns: u64) -> ThreadTimes {
        ThreadTimes { id, worker, gives_way: id == 3, cpu_ns, run_queue_ns }
    }

    #[test]
    fn workers_are_told_from_the_rest_and_the_busiest_is_named() {
        let before = ProcessTimes {
            threads: vec![thread(1, false, 10, 0), thread(2, true, 100, 5)],
            resident_bytes: 1,
        };
        let after = ProcessTimes {
            threads: vec![thread(1, false, 13, 0), thread(2, true, 150, 6), thread(3, true, 70, 2)],
            resident_bytes: 2,
        };
        let Observation::Generator(sample) = generator_sample(&before, &after) else {
            panic!("a generator sample")
        };
        assert_eq!(
            sample,
            GeneratorSample {
                worker_cpu_ns: 120,
                worker_run_queue_ns: 3,
                workers: 2,
                workers_giving_way: 1,
                busiest_worker_cpu_ns: 70,
                control_cpu_ns: 3,
                resident_bytes: 2,
            }
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_busy_worker_thread_is_seen_in_its_cpu_time() {
        let before = system::process().expect("/proc is there");
        let busy = std::thread::Builder::new().name("dyno-worker-0".into()).spawn(|| {
            let begun = std::time::Instant::now();
            while begun.elapsed() < Duration::from_millis(100) {
                std::hint::spin_loop();
            }
            system::process().expect("/proc is there")
        });
        let after = busy.expect("a thread starts").join().expect("it does not panic");
        let Observation::Generator(sample) = generator_sample(&before, &after) else {
            panic!("a generator sample")
        };
        assert_eq!(sample.workers, 1);
        // On a crowded machine it runs less than it wants to, and queues for the rest.
        let wanted_ns = sample.worker_cpu_ns + sample.worker_run_queue_ns;
        assert!((80_000_000..200_000_000).contains(&wanted_ns), "{sample:?}");
        assert!(sample.resident_bytes > 1_000_000, "{sample:?}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_machine_is_described_and_its_time_passes() {
        let environment = environment();
        assert!(!environment.os.is_empty() && !environment.kernel.is_empty(), "{environment:?}");
        assert!(environment.cores >= 1 && environment.memory_bytes > 1 << 20, "{environment:?}");
        let before = system::host().expect("/proc is there");
        std::thread::sleep(Duration::from_millis(200));
        let after = system::host().expect("/proc is there");
        let Observation::Host(sample) = host_sample(&before, &after) else { panic!("a host sample") };
        let passed_s = sample.busy_s + sample.idle_s + sample.iowait_s + sample.steal_s;
        assert!(passed_s > 0.1, "{sample:?}");
    }
}
