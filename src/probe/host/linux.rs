//! Linux: /proc/stat, /proc/self/task/TID/schedstat.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use procfs::{Current, CurrentSI};

use super::{HostTimes, HostTraffic, ProcessTimes, ServerProcess, ThreadTimes};
use crate::record::entry::Environment;

/// The name that the engine gives to its worker threads, followed by a number.
const WORKER: &str = "dyno-worker-";
/// `SCHED_BATCH`, as `sched(7)` numbers it.
const BATCH: u32 = 3;

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
        traffic: traffic(),
        memory_available_bytes: procfs::Meminfo::current().ok().and_then(|memory| memory.mem_available),
    })
}

/// Bytes to and from all disks and networks since the machine was started; nothing where either is not told.
fn traffic() -> Option<HostTraffic> {
    /// The kernel counts sectors of this size, whatever the disk's own are.
    const SECTOR: u64 = 512;
    let mut traffic = HostTraffic::default();
    for disk in procfs::DiskStats::current().ok()?.0.iter().filter(|disk| is_disk(&disk.name)) {
        traffic.disk_read_bytes += disk.sectors_read * SECTOR;
        traffic.disk_written_bytes += disk.sectors_written * SECTOR;
    }
    let devices = procfs::net::dev_status().ok()?;
    // What has hardware behind it; in a container nothing has, and what is there is its only way out.
    let has_hardware = |name: &String| Path::new("/sys/class/net").join(name).join("device").exists();
    let any_has = devices.keys().any(has_hardware);
    for (name, device) in &devices {
        let counts = if any_has { has_hardware(name) } else { name != "lo" };
        if counts {
            traffic.received_bytes += device.recv_bytes;
            traffic.sent_bytes += device.sent_bytes;
        }
    }
    Some(traffic)
}

/// Whether a block device has a disk behind it. Partitions have no folder of their own, and what lies over disks (device
/// mapper, RAID, loop devices) has no device behind it: both would count twice.
fn is_disk(name: &str) -> bool {
    Path::new("/sys/block").join(name.replace('/', "!")).join("device").exists()
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

/// The children of the parent of `backend`, and the parent itself.
pub fn server_processes(backend: i32) -> Result<Vec<ServerProcess>, String> {
    let elsewhere = || {
        format!(
            "process {backend}, which the server names as ours, is no session of PostgreSQL on this host: \
             the server runs in a container or behind a pooler, and its CPU time is not known"
        )
    };
    let title = fs::read(format!("/proc/{backend}/cmdline")).map_err(|_| elsewhere())?;
    if !title.starts_with(b"postgres:") {
        return Err(elsewhere());
    }
    let parent = parent_of(backend).ok_or_else(elsewhere)?;
    let path = format!("/proc/{parent}/task/{parent}/children");
    let children = fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let pids = children.split_whitespace().filter_map(|pid| pid.parse().ok()).chain([parent]);
    // A process that ends while it is read has no times: it is left out.
    Ok(pids.filter_map(process_times).collect())
}

/// The fourth field of `/proc/PID/stat`.
fn parent_of(pid: i32) -> Option<i32> {
    field_of_stat(Path::new(&format!("/proc/{pid}")), 4)
}

/// How a thread is scheduled, as `sched(7)` numbers it.
fn policy_of(task: &Path) -> Option<u32> {
    field_of_stat(task, 41)
}

/// A field of `stat`, numbered from 1 as in `proc(5)`, behind the second: that is the name, which may hold blanks and parentheses.
fn field_of_stat<T: FromStr>(process: &Path, number: usize) -> Option<T> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(number - 3)?.parse().ok()
}

fn process_times(pid: i32) -> Option<ServerProcess> {
    let (cpu_ns, run_queue_ns) = schedstat(Path::new(&format!("/proc/{pid}/schedstat")))?;
    Some(ServerProcess { pid, cpu_ns, run_queue_ns })
}

/// Time on a core, and time ready to run without one.
fn schedstat(path: &Path) -> Option<(u64, u64)> {
    let text = fs::read_to_string(path).ok()?;
    let mut numbers = text.split_whitespace().map(str::parse::<u64>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn thread(task: &Path) -> Option<ThreadTimes> {
    let id = task.file_name()?.to_str()?.parse().ok()?;
    let name = fs::read_to_string(task.join("comm")).ok()?;
    let (cpu_ns, run_queue_ns) = schedstat(&task.join("schedstat"))?;
    let worker = name.starts_with(WORKER);
    let gives_way = worker && policy_of(task) == Some(BATCH);
    Some(ThreadTimes { id, worker, gives_way, cpu_ns, run_queue_ns })
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
