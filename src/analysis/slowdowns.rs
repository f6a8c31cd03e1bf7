//! Whether responses were slower while something went on in the server. It is a coincidence in time, and said to be one.

use super::changepoint::median;
use super::findings::{finding, measured};
use super::server_course::CHECKPOINT;
use crate::model::{Finding, IntervalInfo, Report, ServerEventInfo, Severity, Stage};
use crate::record::pulse::Upkeep;

/// Times that responses must be slower.
const SLOWER: f64 = 1.5;
/// Seconds that are needed on either side.
const SECONDS_MIN: usize = 3;
/// A difference below this is nothing that anybody would look for, in microseconds.
const DIFFERENCE_MIN_US: f64 = 500.0;

/// One kind of event that may slow down.
struct Suspect {
    id: &'static str,
    kinds: &'static [&'static str],
    name: &'static str,
    effect: &'static str,
    remedy: &'static str,
}

const SUSPECTS: [Suspect; 2] = [
    Suspect {
        id: "checkpoint-slows",
        kinds: &[CHECKPOINT],
        name: "a checkpoint",
        effect: "checkpoints come again and again, and with each of them the slow responses; a run between two of them does not \
                 show them",
        remedy: "spread them: raise max_wal_size so that they come by time, raise checkpoint_timeout, keep \
                 checkpoint_completion_target at 0.9, and give the WAL a disk of its own",
    },
    Suspect {
        id: "autovacuum-slows",
        kinds: &[Upkeep::Autovacuum.as_str(), Upkeep::Autoanalyze.as_str()],
        name: "an autovacuum",
        effect: "tables that change are cleaned up for as long as the load lasts",
        remedy: "let it do less at a time and more often: a lower autovacuum_vacuum_scale_factor for the table, \
                 autovacuum_vacuum_cost_limit and autovacuum_vacuum_cost_delay; do not switch it off",
    },
];

/// Seconds inside and outside, and their medians in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Slowdown {
    statistic: &'static str,
    inside: usize,
    outside: usize,
    inside_us: f64,
    outside_us: f64,
}

impl Slowdown {
    fn times(&self) -> f64 {
        self.inside_us / self.outside_us
    }
}

/// What coincided with slow seconds, at most one finding of each kind.
pub(super) fn find(report: &Report) -> Vec<Finding> {
    SUSPECTS.iter().filter_map(|suspect| suspicion(report, suspect)).collect()
}

fn suspicion(report: &Report, suspect: &Suspect) -> Option<Finding> {
    let (stage, slowdown) = measured(report)
        .filter_map(|stage| Some((stage, slowdown(stage, suspect.kinds)?)))
        .max_by(|a, b| a.1.times().total_cmp(&b.1.times()))?;
    let named: Vec<String> = of_kinds(stage, suspect.kinds)
        .take(3)
        .map(|event| format!("{} at {:.0} s", event.words, event.t_s))
        .collect();
    Some(finding(
        suspect.id,
        Severity::Warning,
        format!(
            "responses of stage {} were {:.1} times slower during {}",
            stage.name,
            slowdown.times(),
            suspect.name
        ),
        format!(
            "the median of the seconds' {} is {:.1} ms in the {} seconds with it and {:.1} ms in the {} without; {}; they came \
             together in time, which proves no cause",
            slowdown.statistic,
            slowdown.inside_us / 1e3,
            slowdown.inside,
            slowdown.outside_us / 1e3,
            slowdown.outside,
            named.join("; ")
        ),
        suspect.effect,
        suspect.remedy,
    ))
}

fn of_kinds<'a>(stage: &'a Stage, kinds: &[&str]) -> impl Iterator<Item = &'a ServerEventInfo> {
    stage.server_events.iter().filter(move |event| kinds.contains(&event.kind.as_str()))
}

/// How much slower the seconds inside the events were, where they were slower and both sides have enough of them.
fn slowdown(stage: &Stage, kinds: &[&str]) -> Option<Slowdown> {
    let spans: Vec<(f64, f64)> =
        of_kinds(stage, kinds).map(|event| (event.t_s, event.ended_s.unwrap_or(f64::INFINITY))).collect();
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for second in stage.intervals.iter().filter(|second| !second.drain) {
        match overlap(second, &spans) {
            // Half a second is the error of an event's edges: what is cut by one belongs to neither side.
            share if share >= 0.5 => inside.push(second),
            share if share <= 0.0 => outside.push(second),
            _ => {}
        }
    }
    let all = inside.len() + outside.len();
    let with_p99 = inside.iter().chain(&outside).filter(|second| second.p99_us.is_some()).count();
    let (statistic, value): (_, fn(&IntervalInfo) -> Option<f64>) = if with_p99 * 2 >= all {
        ("p99", |second| second.p99_us.map(|us| us as f64))
    } else {
        ("mean", |second| second.mean_us)
    };
    let values =
        |seconds: &[&IntervalInfo]| seconds.iter().filter_map(|second| value(second)).collect::<Vec<f64>>();
    let (mut inside, mut outside) = (values(&inside), values(&outside));
    if inside.len() < SECONDS_MIN || outside.len() < SECONDS_MIN {
        return None;
    }
    let slowdown = Slowdown {
        statistic,
        inside: inside.len(),
        outside: outside.len(),
        inside_us: median(&mut inside),
        outside_us: median(&mut outside),
    };
    let is_slower = slowdown.inside_us >= SLOWER * slowdown.outside_us
        && slowdown.inside_us - slowdown.outside_us >= DIFFERENCE_MIN_US;
    is_slower.then_some(slowdown)
}

/// Share of a second that lies in any of the spans, at most; spans that overlap count twice.
fn overlap(second: &IntervalInfo, spans: &[(f64, f64)]) -> f64 {
    let from = second.t_s - second.length_s;
    let shared: f64 =
        spans.iter().map(|(begin, end)| (second.t_s.min(*end) - from.max(*begin)).max(0.0)).sum();
    if second.length_s > 0.0 { shared / second.length_s } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(number: u32, p99_us: Option<u64>, mean_us: f64) -> IntervalInfo {
        IntervalInfo {
            t_s: f64::from(number),
            length_s: 1.0,
            mean_us: Some(mean_us),
            p99_us,
            ..IntervalInfo::default()
        }
    }

    /// A stage of `length` seconds, with a checkpoint from `from` to `to`.
    fn stage(length: u32, (from, to): (f64, f64), of: impl Fn(u32) -> IntervalInfo) -> Stage {
        Stage {
            name: "normal".to_owned(),
            measured: true,
            intervals: (1..=length).map(of).collect(),
            server_events: vec![ServerEventInfo {
                t_s: from,
                ended_s: Some(to),
                kind: CHECKPOINT.to_owned(),
                words: "checkpoint by time, 100 buffers written".to_owned(),
                ..ServerEventInfo::default()
            }],
            ..Stage::default()
        }
    }

    #[test]
    fn slower_seconds_within_a_checkpoint_are_told_by_their_medians() {
        let slow = |number| (11..=14).contains(&number);
        let of = |number| second(number, Some(if slow(number) { 9_000 } else { 3_000 }), 1_000.0);
        // The second that the checkpoint cuts belongs to neither side.
        let found = slowdown(&stage(30, (10.0, 14.3), of), &[CHECKPOINT]);
        let expected =
            Slowdown { statistic: "p99", inside: 4, outside: 25, inside_us: 9_000.0, outside_us: 3_000.0 };
        assert_eq!(found, Some(expected));
        assert_eq!(slowdown(&stage(30, (10.0, 14.3), of), &["autovacuum"]), None, "another kind");
    }

    #[test]
    fn without_a_p99_the_mean_speaks() {
        let of = |number| second(number, None, if number > 20 { 2_000.0 } else { 1_000.0 });
        let found = slowdown(&stage(30, (20.0, 30.0), of), &[CHECKPOINT]).expect("twice as slow");
        assert_eq!((found.statistic, found.inside, found.outside), ("mean", 10, 20));
    }

    #[test]
    fn too_few_seconds_or_too_little_a_difference_are_no_finding() {
        let of = |number| second(number, Some(if number > 10 { 9_000 } else { 3_000 }), 1_000.0);
        assert_eq!(slowdown(&stage(12, (10.0, 12.0), of), &[CHECKPOINT]), None, "two seconds inside");
        assert_eq!(slowdown(&stage(30, (0.0, 28.0), of), &[CHECKPOINT]), None, "two seconds outside");
        let alike = |number| second(number, Some(if number > 10 { 4_000 } else { 3_000 }), 1_000.0);
        assert_eq!(
            slowdown(&stage(30, (10.0, 20.0), alike), &[CHECKPOINT]),
            None,
            "less than one and a half times"
        );
        let small = |number| second(number, Some(if number > 10 { 400 } else { 200 }), 100.0);
        assert_eq!(
            slowdown(&stage(30, (10.0, 20.0), small), &[CHECKPOINT]),
            None,
            "a fifth of a millisecond"
        );
    }
}
