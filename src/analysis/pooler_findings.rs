//! What a pooler's own account says that a person should know.

use crate::model::{Finding, PoolerStage, PoolerWork, Report, Severity, Stage};

use super::findings::{finding, measured};

/// A process of one thread has no time left above this.
const CPU_FULL: f64 = 0.9;
/// Share of the response above which the wait in the pooler is worth saying.
const WAIT_HIGH: f64 = 0.25;
/// Clients that wait at a mean look before it is said that they do.
const WAITING_MIN: f64 = 1.0;

pub(super) fn find(report: &Report) -> Vec<Finding> {
    let stages: Vec<&Stage> = measured(report).collect();
    let size = report.pooler.as_ref().and_then(|pooler| pooler.pool_size);
    [full(&stages), too_small(&stages, size)].into_iter().flatten().collect()
}

fn poolers<'a>(stages: &[&'a Stage]) -> impl Iterator<Item = (&'a Stage, &'a PoolerStage)> {
    stages.iter().filter_map(|stage| Some((*stage, stage.pooler.as_ref()?)))
}

fn full(stages: &[&Stage]) -> Option<Finding> {
    let cpu = |of: &PoolerStage| of.cpu_fraction.unwrap_or(0.0);
    let (stage, pooler) = poolers(stages)
        .filter(|(_, pooler)| cpu(pooler) > CPU_FULL)
        .max_by(|a, b| cpu(a.1).total_cmp(&cpu(b.1)))?;
    Some(finding(
        "pooler-full",
        Severity::Warning,
        "the pooler has no time left",
        format!(
            "in stage {} it used {:.0} % of the one core that it can use",
            stage.name,
            cpu(pooler) * 100.0
        ),
        "it works on one thread: clients wait for it although connections and server are free",
        "run several of them on one port (so_reuseport = 1), or send fewer statements to it",
    ))
}

fn too_small(stages: &[&Stage], size: Option<u64>) -> Option<Finding> {
    let share = |stage: &Stage, work: &PoolerWork| {
        work.wait_us_mean / stage.response_us.mean.unwrap_or(f64::INFINITY)
    };
    let (stage, pooler, work) = poolers(stages)
        .filter_map(|(stage, pooler)| Some((stage, pooler, pooler.work.as_ref()?)))
        .filter(|(stage, pooler, work)| {
            pooler.clients_waiting_mean > WAITING_MIN && share(stage, work) > WAIT_HIGH
        })
        .max_by(|a, b| share(a.0, a.2).total_cmp(&share(b.0, b.2)))?;
    let size =
        size.map_or_else(|| "its server connections".to_owned(), |size| format!("{size} server connections"));
    Some(finding(
        "pooler-too-small",
        Severity::Warning,
        format!("clients wait in the pooler for one of {size}"),
        format!(
            "in stage {} {:.1} clients waited on average; a transaction waited {:.1} ms there and was {:.1} ms in queries on the \
             server",
            stage.name,
            pooler.clients_waiting_mean,
            work.wait_us_mean / 1000.0,
            work.query_us_mean / 1000.0,
        ),
        "the queue stands in the pooler, where neither the application's pool nor the server shows it",
        "give it more server connections (default_pool_size; --pooler-pool) if the server has room, or find what holds them: \
         time between the statements of a transaction counts",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Quantiles;

    fn stage(waiting: f64, wait_us: f64, cpu: f64) -> Stage {
        let work = PoolerWork { wait_us_mean: wait_us, query_us_mean: 10_000.0, ..PoolerWork::default() };
        let pooler = PoolerStage {
            clients_waiting_mean: waiting,
            cpu_fraction: Some(cpu),
            work: Some(work),
            ..PoolerStage::default()
        };
        let response_us = Quantiles { count: 100, mean: Some(50_000.0), ..Quantiles::default() };
        Stage { name: "run".to_owned(), response_us, pooler: Some(pooler), ..Stage::default() }
    }

    #[test]
    fn a_long_queue_in_the_pooler_is_told_and_a_short_one_is_not() {
        let long = stage(12.0, 30_000.0, 0.1);
        let found = too_small(&[&long], Some(4)).expect("60 % of the response");
        assert_eq!((found.id.as_str(), found.severity), ("pooler-too-small", Severity::Warning));
        assert!(found.title.contains("one of 4") && found.evidence.contains("30.0 ms"), "{found:?}");
        assert!(too_small(&[&stage(12.0, 5_000.0, 0.1)], Some(4)).is_none());
        assert!(too_small(&[&stage(0.3, 30_000.0, 0.1)], Some(4)).is_none());
    }

    #[test]
    fn a_pooler_without_time_is_told() {
        assert_eq!(full(&[&stage(0.0, 0.0, 0.97)]).expect("full").id, "pooler-full");
        assert!(full(&[&stage(12.0, 30_000.0, 0.5)]).is_none());
    }
}
