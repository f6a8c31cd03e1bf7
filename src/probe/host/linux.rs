//! Linux: /proc/stat, /proc/self/task/TID/schedstat.

use std::fs;

use procfs::{Current, CurrentSI};

use super::{HostTimes, ProcessTimes, ThreadTimes};
use crate::record::entry::Environment;

/// The name that the engine gives to its worker threads, followed by a number.
const WORKER: &str = "dyno-worker-";

/// CPU time of all cores since the machine was started.
pub fn host() -> Result<HostTimes, String> {
    let stat = procfs::KernelStats::current().map_err(|error| format!("cannot read /proc/stat: {error}"))?;
    let total = stat.total;
    // `guest` is part of `user` already, as `guest_nice` is of `nice`.
    let ticks = total.user + total.nice + total.system + total.irq.unwrap_or(0) + total.softirq.unwrap_or(0);
    let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
    Ok(HostTimes {
        busy_s: seconds(ticks),
        idle_s: seconds(total.idle),
        iowait_s: seconds(total.iowait.unwrap_or(0)),
        steal_s: seconds(total.steal.unwrap_or(0)),
    })
}

/// All threads of this process.
pub fn process() -> Result<ProcessTimes, String> {
    let cannot = |what: &str, error: &std::io::Error| format!("cannot read {what}: {error}");
    let tasks = fs::read_dir("/proc/self/task").map_err(|error| cannot("/proc/self/task", &error))?;
    // A thread that ends while it is read has no times: it is left out.
    let threads = tasks.flatten().filter_map(|task| thread(&task.path())).collect();
    let statm = fs::read_to_string("/proc/self/statm").map_err(|error| cannot("/proc/self/statm", &error))?;
    let pages: u64 = statm
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .ok_or("cannot read /proc/self/statm: it has another form")?;
    Ok(ProcessTimes { threads, resident_bytes: pages * procfs::page_size() })
}

fn thread(task: &std::path::Path) -> Option<ThreadTimes> {
    let id = task.file_name()?.to_str()?.parse().ok()?;
    let schedstat = fs::read_to_string(task.join("schedstat")).ok()?;
    let name = fs::read_to_string(task.join("comm")).ok()?;
    let mut numbers = schedstat.split_whitespace().map(str::parse::<u64>);
    let cpu_ns = numbers.next()?.ok()?;
    let run_queue_ns = numbers.next()?.ok()?;
    Some(ThreadTimes { id, worker: name.starts_with(WORKER), cpu_ns, run_queue_ns })
}

/// What the machine is; what cannot be read is empty.
pub fn environment() -> Environment {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let os = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map(|name| name.trim_matches('"').to_owned());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| matches!(key.trim(), "model name" | "Model" | "cpu model"))
        .map(|(_, model)| model.trim().to_owned());
    Environment {
        os: os.unwrap_or_else(|| "Linux".to_owned()),
        kernel: kernel.trim().to_owned(),
        cpu: cpu.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        cores: 0,
        memory_bytes: procfs::Meminfo::current().map_or(0, |memory| memory.mem_total),
        ..Environment::default()
    }
}
