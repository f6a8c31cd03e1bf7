//! Findings on the measurement itself: whether its figures mean what they seem to mean.

use super::{Family, FindingEntry};

const fn of(id: &'static str, title: &'static str, said: [&'static str; 5]) -> FindingEntry {
    let [condition, meaning, evidence, causes, remedy] = said;
    FindingEntry { id, family: Family::Measurement, title, condition, meaning, evidence, causes, remedy }
}

/// In the order of gravity.
pub(super) const ENTRIES: &[FindingEntry] = &[
    of(
        "generator-bound",
        "the generator was the limit, not the database",
        [
            "a worker thread of the generator worked, or worked and waited for a core, more than 90 % of the time",
            "latencies hold the generator's own delays, and throughput is what it could send; no verdict is given",
            "generator.busiest_worker_fraction, generator.run_queue_fraction, generator.floor",
            "too few threads for the rate, tiny statements in memory, or cores that the server took away",
            "more --threads with --instances, fewer clients, cores of its own (--client-cpus) or a machine of its own; then the figures \
             are the database's",
        ],
    ),
    of(
        "measurement-inconsistent",
        "two ways of measuring the same thing disagree",
        [
            "the books of a stage do not balance, or Little's law does not hold between counts and gauges",
            "the figures of these stages cannot be trusted",
            "stages[].checks, stages[].accounting",
            "a defect of dbdyno",
            "report it with the journal of the run",
        ],
    ),
    of(
        "target-lost",
        "the target went away during the run and did not come back",
        [
            "for ten seconds no transaction ended ok and no connection could be made",
            "everything after that moment measures its absence",
            "events of the kind target_lost, stages[].pool.create_errors",
            "a crash, a failover, an out-of-memory kill, or a network that was cut",
            "look into the server's log; what was measured before stands in the timeline",
        ],
    ),
    of(
        "cut-off",
        "the run was cut off: its journal has no end",
        [
            "the journal ends without its last line",
            "the last second, the drain and the server's final counters are missing",
            "ended: cut_off",
            "dbdyno was killed, its machine stopped, or its disk was full",
            "run it again for a whole measurement; dbdyno report --recover shows what this one has",
        ],
    ),
    of(
        "stopped-early",
        "the rest could not be measured",
        [
            "something of the target or the load failed behind the first stage",
            "the report holds what was measured before",
            "events of the kind failed",
            "a copy of the database that could not be made, a statement that does not exist any more, a lost right",
            "remove the cause and run it again",
        ],
    ),
    of(
        "no-steady-state",
        "the warm-up ended before the system was steady",
        [
            "with --warmup auto: response times, connections or plans still changed when --warmup-max was over",
            "what was measured behind it depends on when and how long it was measured",
            "stages[].warm_up",
            "a backlog, tables that grow, a cache that fills, a checkpoint that never ends",
            "give it longer (--warmup-max), or look for what never rests; two runs of a steady system then agree",
        ],
    ),
    of(
        "host-full",
        "generator and server filled the cores that they share",
        [
            "more than 95 % of the host's cores were busy, and generator and server share them",
            "throughput and tail latencies are those of this arrangement, not of the server alone",
            "stages[].host.cpu_fraction, stages[].processes",
            "a load that the machine cannot carry twice, once for each side",
            "another machine for dbdyno, cores kept apart (--client-cpus, --server-cpus), or a lower --rate: throughput and tails \
             are then the server's own",
        ],
    ),
    of(
        "steal-time",
        "a hypervisor took time away from this machine",
        [
            "more than 5 % of the host's time was steal time",
            "latencies hold pauses that neither the database nor the generator caused",
            "generator.steal_fraction, stages[].host.steal_fraction",
            "a shared virtual machine, or CPU credits that were used up",
            "repeat on a machine of its own, and compare only runs that alternate",
        ],
    ),
    of(
        "finds-nothing",
        "statements that never found or changed a row",
        [
            "at least 20 executions of a statement, and every one was empty",
            "a statement that finds nothing is cheaper than the one it stands for: its latency means little",
            "stages[].statements[].empty against count",
            "parameters that name no existing value, data of another scale, a condition that nothing meets",
            "check its parameters against the data: dbdyno load writes what the workload describes. Its latency is then that of \
             the statement in production",
        ],
    ),
    of(
        "blind-spots",
        "part of the server's evidence could not be seen",
        [
            "a view, a right or a setting that a probe needs is missing",
            "the report has gaps where this evidence would stand",
            "target.blind_spots",
            "a role without pg_monitor, an extension that is not there, track_io_timing off",
            "dbdyno doctor -t … names the command for each",
        ],
    ),
    of(
        "probe-gaps",
        "probes missed more than one look in twenty",
        [
            "looks that were due failed or came too late, more than one for twenty that succeeded",
            "waits and locks are sampled more thinly than stated",
            "probes[].gaps, probes[].last_error",
            "a full machine, a server that refuses connections, a statement timeout of the role",
            "look less often (--probe-interval), or give the machine more room: intervals of what is sampled become narrower",
        ],
    ),
];
