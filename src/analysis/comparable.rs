//! What two runs must share to be comparable, and in what they differ.

use std::collections::BTreeMap;

use crate::model::{DataInfo, Report, Stage, TableChangesInfo, Unlike};
use crate::units::Load;

/// Shares of a table's rows that were changed since the load may differ by this much.
const CHANGED_ALIKE: f64 = 0.05;
/// Sizes of memory may differ by this share: the kernel keeps more or less of it for itself.
const MEMORY_ALIKE: f64 = 0.02;

/// Everything in which the runs differ and should not, in the order in which a person would look.
#[must_use]
pub fn unlike(base: &Report, candidate: &Report) -> Vec<Unlike> {
    let mut found = Found::default();
    definitions(base, candidate, &mut found);
    workload(base, candidate, &mut found);
    load(base, candidate, &mut found);
    server(base, candidate, &mut found);
    state(base, candidate, &mut found);
    machine(base, candidate, &mut found);
    found.0
}

#[derive(Default)]
struct Found(Vec<Unlike>);

impl Found {
    fn compare(&mut self, id: &str, what: &str, base: impl Into<String>, candidate: impl Into<String>) {
        let (base, candidate) = (base.into(), candidate.into());
        if base != candidate {
            self.push(id, what, base, candidate);
        }
    }

    fn push(&mut self, id: &str, what: &str, base: String, candidate: String) {
        self.0.push(Unlike { id: id.to_owned(), what: what.to_owned(), base, candidate });
    }
}

fn definitions(base: &Report, candidate: &Report, found: &mut Found) {
    let version = |report: &Report| format!("version {}", report.schema_version);
    found.compare("definitions", "what dbdyno's figures mean", version(base), version(candidate));
    let version = |report: &Report| format!("version {}", report.workload.generator_version);
    found.compare("data", "the generated values", version(base), version(candidate));
}

fn workload(base: &Report, candidate: &Report, found: &mut Found) {
    let (a, b) = (&base.workload, &candidate.workload);
    found.compare("workload", "the workload", &a.name, &b.name);
    if a.name == b.name && a.fingerprint != b.fingerprint {
        let short =
            |fingerprint: &str| format!("fingerprint {}", fingerprint.get(..12).unwrap_or(fingerprint));
        found.push(
            "workload",
            "the workload's files (data, mix or queries)",
            short(&a.fingerprint),
            short(&b.fingerprint),
        );
    }
    let scale = |scale: Option<f64>| scale.map_or_else(|| "unknown".to_owned(), |scale| scale.to_string());
    found.compare("scale", "the scale of the data", scale(a.scale), scale(b.scale));
}

fn load(base: &Report, candidate: &Report, found: &mut Found) {
    found.compare(
        "seed",
        "the seed, so that other work was done",
        base.seed.to_string(),
        candidate.seed.to_string(),
    );
    let measured = |report: &Report| -> Vec<String> {
        report.stages.iter().filter(|stage| stage.measured).map(|stage| stage.name.clone()).collect()
    };
    let (a, b) = (measured(base).join(", "), measured(candidate).join(", "));
    found.compare("load", "the stages", a.clone(), b.clone());
    if a != b {
        return;
    }
    let stages = |report: &'_ Report| -> Vec<Stage> {
        report.stages.iter().filter(|stage| stage.measured).cloned().collect()
    };
    for (a, b) in stages(base).iter().zip(&stages(candidate)) {
        let of = |what: &str| format!("{what} of stage {}", a.name);
        found.compare("load", &of("the load"), put_on(a.load.as_ref()), put_on(b.load.as_ref()));
        let length = |stage: &Stage| format!("{:.0} s", stage.duration_s);
        found.compare("load", &of("the length"), length(a), length(b));
        let pool = |stage: &Stage| match stage.pool.instances {
            0 | 1 => format!("a pool of {}", stage.pool.size),
            many => format!("{many} pools of {}", stage.pool.size),
        };
        found.compare("pool", &of("the pool"), pool(a), pool(b));
    }
    let sessions = |report: &Report| {
        let of = &report.sessions;
        let timeout = of.statement_timeout_ms.map_or_else(|| "none".to_owned(), |ms| format!("{ms} ms"));
        let protocol = of.protocol.as_str();
        let pooler = if of.pooler.is_some() { pooler(report) } else { String::new() };
        let replaced = [("connections live", of.lifetime_s), ("all closed after", of.storm_s)];
        let replaced: String = replaced
            .iter()
            .filter_map(|(what, seconds)| seconds.map(|seconds| format!(", {what} {seconds} s")))
            .collect();
        format!(
            "protocol {protocol}, statement timeout {timeout}, added round trip {} µs{pooler}{replaced}",
            of.rtt_us
        )
    };
    found.compare("sessions", "how sessions talk to the server", sessions(base), sessions(candidate));
}

/// A pooler by what it does, wherever it is.
fn pooler(report: &Report) -> String {
    let Some(of) = report.pooler.as_ref().filter(|of| !of.name.is_empty()) else {
        return ", through a pooler".to_owned();
    };
    let mode = of.mode.as_ref().map_or_else(String::new, |mode| format!(" in {mode} mode"));
    let size = of.pool_size.map_or_else(String::new, |size| format!(" with {size} server connections"));
    format!(", through {}{mode}{size}", of.name)
}

fn put_on(load: Option<&Load>) -> String {
    load.and_then(|load| serde_json::to_string(load).ok()).unwrap_or_else(|| "unknown".to_owned())
}

fn server(base: &Report, candidate: &Report, found: &mut Found) {
    let (a, b) = (&base.target, &candidate.target);
    let version = |engine: &str, version: &str| format!("{engine} {version}");
    found.compare("version", "the server", version(&a.engine, &a.version), version(&b.engine, &b.version));
    let before = found.0.len();
    let names: std::collections::BTreeSet<&String> = a.settings.keys().chain(b.settings.keys()).collect();
    for name in names {
        let value = |settings: &BTreeMap<String, String>| {
            settings.get(name).map_or_else(|| "not told".to_owned(), Clone::clone)
        };
        found.compare("settings", &format!("the setting {name}"), value(&a.settings), value(&b.settings));
    }
    if found.0.len() == before && a.settings_fingerprint != b.settings_fingerprint {
        found.push(
            "settings",
            "settings that differ from the server's defaults",
            a.settings_fingerprint.clone(),
            b.settings_fingerprint.clone(),
        );
    }
    let regime = |regime: &Option<String>| regime.clone().unwrap_or_else(|| "unknown".to_owned());
    found.compare("cache", "where the data fits", regime(&a.cache_regime), regime(&b.cache_regime));
    let place = |same_host: bool| if same_host { "the generator's machine" } else { "another machine" };
    found.compare("machine", "where the server runs", place(a.same_host), place(b.same_host));
}

/// Whether the runs began with the same data: as loaded, or changed by as much.
fn state(base: &Report, candidate: &Report, found: &mut Found) {
    let reset =
        |data: &Option<DataInfo>| data.as_ref().map_or("unknown", |data| data.reset.as_str()).to_owned();
    found.compare("state", "how the data is reset", reset(&base.data), reset(&candidate.data));
    let statistics = |data: &Option<DataInfo>| {
        let of_source = data.as_ref().is_some_and(|data| data.source_statistics);
        if of_source { "those of the source" } else { "its own" }.to_owned()
    };
    found.compare(
        "state",
        "the statistics of the planner",
        statistics(&base.data),
        statistics(&candidate.data),
    );
    let changed = |report: &Report| -> BTreeMap<String, u64> {
        let before = report.data.as_ref().and_then(|data| data.changed_before.clone()).unwrap_or_default();
        let rows = |of: &TableChangesInfo| of.inserted + of.updated + of.deleted;
        before.iter().map(|of| (of.table.clone(), rows(of))).collect()
    };
    let (a, b) = (changed(base), changed(candidate));
    let tables: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    for table in tables {
        let rows = live_rows(base, table).or_else(|| live_rows(candidate, table));
        let of = |changed: &BTreeMap<String, u64>| changed.get(table).copied().unwrap_or(0);
        let Some(rows) = rows.filter(|rows| *rows > 0) else { continue };
        let share = |changed: u64| changed as f64 / rows as f64;
        if (share(of(&a)) - share(of(&b))).abs() > CHANGED_ALIKE {
            let words = |changed: u64| format!("{changed} of {rows} rows");
            found.push(
                "state",
                &format!("what was changed in {table} since the load"),
                words(of(&a)),
                words(of(&b)),
            );
        }
    }
}

fn live_rows(report: &Report, table: &str) -> Option<u64> {
    let tables = report.stages.iter().flat_map(|stage| &stage.tables);
    tables.filter(|of| of.table == table).map(|of| of.live_rows).next()
}

fn machine(base: &Report, candidate: &Report, found: &mut Found) {
    let (a, b) = (&base.environment, &candidate.environment);
    found.compare("machine", "the processor", &a.cpu, &b.cpu);
    found.compare("machine", "the cores", a.cores.to_string(), b.cores.to_string());
    let (small, large) = (a.memory_bytes.min(b.memory_bytes), a.memory_bytes.max(b.memory_bytes));
    if (large - small) as f64 > MEMORY_ALIKE * large as f64 {
        let gigabytes = |bytes: u64| format!("{:.1} GB", bytes as f64 / f64::from(1 << 30));
        found.push("machine", "the memory", gigabytes(a.memory_bytes), gigabytes(b.memory_bytes));
    }
    let kept = |cpus: &Option<String>| cpus.clone().unwrap_or_else(|| "all".to_owned());
    found.compare("machine", "the processors of dbdyno", kept(&a.client_cpus), kept(&b.client_cpus));
    found.compare("machine", "the processors of the server", kept(&a.server_cpus), kept(&b.server_cpus));
}
