//! The size that a study recommends, and why, in words for somebody who has never sized a pool. Pure.

use crate::analysis::findings::cores_are_apart;
use crate::model::metric::Goal;
use crate::model::{Estimate, KneeReason, PoolEffect, RecommendedPool, Verdict};
use crate::record::entry::Header;

use super::estimate::{self, Pooled};
use super::goals;
use super::point::Size;
use super::{ERRORS_LOW, KEPT_UP, KNEE_SHARE, Knee, Pass, why};

/// Sizes whose p99 lies within this of the best are alike.
const P99_ALIKE: f64 = 1.1;
/// Share of the host's cores above which they were the limit, or may have been.
const HOST_FULL: f64 = 0.9;
/// Share of the best throughput below which the mean of a knee shows that its interval is too wide to rely on.
const UNSURE_BELOW: f64 = 0.9;
/// Ends of an interval that lie further apart than this, as a factor, say nothing.
const UNTOLD_ABOVE: f64 = 10.0;
/// Difference of two mean holds, as a share, that is worth telling.
const SERVICE_GROWTH: f64 = 1.2;

/// What is asked.
pub(super) struct Question<'a> {
    pub(super) header: &'a Header,
    pub(super) goals: &'a [Goal],
    /// Connections of each instance in use today.
    pub(super) current: Option<u32>,
    pub(super) instances: u32,
    /// Connections that the server has room for.
    pub(super) room: Option<u64>,
    /// The highest rate below the one that decides at which some size keeps the goal, and the smallest such size.
    pub(super) kept_at: Option<(f64, u32)>,
}

/// What is answered.
pub(super) struct Answer {
    pub(super) words: String,
    pub(super) recommended: Option<RecommendedPool>,
    pub(super) validity: Option<String>,
    pub(super) reason: Option<KneeReason>,
    /// Of the goal.
    pub(super) verdict: Verdict,
}

/// A size, or why there is none to recommend, in words.
struct Choice {
    size: Option<u32>,
    words: String,
    verdict: Verdict,
}

impl Choice {
    fn none(words: String, verdict: Verdict) -> Self {
        Self { size: None, words, verdict }
    }
}

pub(super) fn find(
    question: &Question<'_>,
    main: &Pass<'_>,
    saturated: Option<&Pass<'_>>,
    knee: Knee,
) -> Answer {
    let choice = choose(question, main, knee);
    let recommended = choice.size.and_then(|size| recommend(question, size, main, saturated));
    // Beyond the knee; at a rate without one, beyond what is enough for it. While throughput grows, what a larger pool adds works.
    let beyond = match (knee, saturated, choice.size) {
        (Knee::At(size), Some(pass), _) => Some((pass, size)),
        (_, _, Some(size)) if !main.is_closed() => Some((main, size)),
        _ => None,
    };
    let reason = beyond.and_then(|(pass, from)| {
        why::reason(&pass.sizes[pass.index_of(from)?], pass.sizes.last()?).map(|reason| (reason, pass))
    });
    let mut sentences = vec![choice.words];
    if let Some(recommended) = &recommended {
        sentences.push(compared(recommended, main, question));
    }
    match &reason {
        Some((reason, pass)) => sentences.push(further(reason, pass, question.header)),
        None => sentences.extend(slower_service(main)),
    }
    Answer {
        words: sentences.join(" "),
        validity: validity(question, main, saturated, choice.size.or(knee.size())),
        recommended,
        reason: reason.map(|(reason, _)| reason),
        verdict: choice.verdict,
    }
}

/// Whether a size does what is offered. What every connection has in hand at the end of a measurement is no backlog.
fn keeps_up(size: &Size<'_>) -> bool {
    let (mut offered, mut done) = (0.0, 0.0);
    for (_, stage) in &size.repeats {
        let Some(offered_per_s) = stage.offered_per_s else { continue };
        offered += offered_per_s * stage.duration_s;
        done += stage.achieved_per_s * stage.duration_s;
        done += f64::from(stage.pool.size) * f64::from(stage.pool.instances);
    }
    done >= KEPT_UP * offered
}

fn choose(question: &Question<'_>, main: &Pass<'_>, knee: Knee) -> Choice {
    match (question.goals, main.is_closed()) {
        ([], true) => at_the_knee(question, main, knee),
        ([], false) => at_rate(question, main),
        (goals, _) => with_goals(question, goals, main, knee),
    }
}

fn at_the_knee(question: &Question<'_>, pass: &Pass<'_>, knee: Knee) -> Choice {
    let best = pass.sizes.iter().map(|size| size.point.per_s).fold(0.0, f64::max);
    if best <= 0.0 {
        let words =
            "No transaction ended well at any size, so there is nothing to recommend; see the errors.";
        return Choice::none(words.to_owned(), Verdict::None);
    }
    let per_s = |size: u32| pass.index_of(size).map_or(0.0, |index| pass.sizes[index].point.per_s);
    match knee {
        Knee::At(size) if per_s(size) < UNSURE_BELOW * best => Choice {
            size: Some(size),
            words: format!(
                "Perhaps {}: the smallest of the sizes measured whose interval reaches 95 % of the best throughput ({:.0}/s; the best is \
                 {best:.0}/s), but the repetitions scatter too much to rely on it: measure longer (--duration) or more often (--repeats).",
                pool_of(question, size),
                per_s(size)
            ),
            verdict: Verdict::None,
        },
        Knee::At(size) => Choice {
            size: Some(size),
            words: format!(
                "{}: the smallest of the sizes measured {} 95 % of the best throughput ({:.0}/s; the best is {best:.0}/s).",
                advice(question, size),
                if per_s(size) < KNEE_SHARE * best { "whose interval reaches" } else { "that reaches" },
                per_s(size)
            ),
            verdict: Verdict::None,
        },
        Knee::Beyond(largest) => Choice::none(
            format!(
                "Throughput still grows at {largest} connections, the largest size measured ({:.0}/s): measure larger ones before \
                 deciding.",
                per_s(largest)
            ),
            Verdict::None,
        ),
        Knee::TooFewRepeats | Knee::Unknown => {
            let size = pass.sizes.iter().find(|size| size.point.per_s >= KNEE_SHARE * best).map(Size::size);
            let size = size.unwrap_or_else(|| pass.sizes[0].size());
            let why = if pass.sizes.len() < 2 {
                "with one size there is nothing to compare: name several with --sizes".to_owned()
            } else {
                format!(
                    "{} cannot tell a knee from noise: measure with --repeats 3 or more",
                    times(pass.repeats_min())
                )
            };
            let words = format!(
                "A pool of {size} came within 5 % of the best throughput ({:.0}/s), but {why}.",
                per_s(size)
            );
            Choice::none(words, Verdict::None)
        }
    }
}

/// Without a goal: the smallest size that answers as fast as any.
fn at_rate(question: &Question<'_>, pass: &Pass<'_>) -> Choice {
    let rate = pass.asked_per_s().unwrap_or(0.0);
    let fits = |size: &&Size<'_>| {
        let point = &size.point;
        keeps_up(size) && point.error_fraction <= ERRORS_LOW && point.response_us.censored_from.is_none()
    };
    let fitting: Vec<&Size<'_>> = pass.sizes.iter().filter(fits).collect();
    // Where the samples of some size carry no p99, the longest are what all can be compared by.
    let has_p99 = fitting.iter().all(|size| size.point.response_us.p99.is_some());
    let tail = |size: &Size<'_>| {
        let times = &size.point.response_us;
        let told = if has_p99 { times.p99 } else { times.max };
        told.unwrap_or(u64::MAX)
    };
    let Some(best) = fitting.iter().map(|size| tail(size)).min() else {
        let words = format!(
            "No size keeps up with {rate:.0}/s: lower the rate, or look at what the sessions wait for."
        );
        return Choice::none(words, Verdict::None);
    };
    let Some(at) = fitting.iter().find(|size| tail(size) as f64 <= best as f64 * P99_ALIKE) else {
        return Choice::none(String::new(), Verdict::None);
    };
    let what = if has_p99 { "p99 response" } else { "longest response" };
    let smaller = match pass.sizes.first() {
        Some(first) if first.size() == at.size() => "no smaller one was measured",
        _ if has_p99 => "a smaller one is slower",
        _ => "a smaller one is slower; for a p99 the samples are too few, measure longer (--duration)",
    };
    Choice {
        size: Some(at.size()),
        words: format!(
            "{}: at {rate:.0}/s its {what} of {} is within 10 % of the best of all sizes, and {smaller}.",
            advice(question, at.size()),
            milliseconds(tail(at) as f64)
        ),
        verdict: Verdict::None,
    }
}

fn with_goals(question: &Question<'_>, goals: &[Goal], pass: &Pass<'_>, knee: Knee) -> Choice {
    let at = pass.asked_per_s().map_or_else(String::new, |rate| format!(" at {rate:.0}/s"));
    let goal = goals::words(goals);
    let keeping: Vec<&Size<'_>> =
        pass.sizes.iter().filter(|size| verdict_of(size) == Verdict::Pass).collect();
    let lower = question.kept_at.map_or_else(String::new, |(rate, size)| {
        let it = if goals.len() == 1 { "it" } else { "them" };
        format!(" At {rate:.0}/s {} keeps {it}.", pool_of(question, size))
    });
    let Some(smallest) = keeping.first() else {
        let unclear = pass.sizes.iter().any(|size| verdict_of(size) == Verdict::Inconclusive);
        if unclear {
            let words = format!(
                "No size is known to keep {goal}{at}: the samples do not carry it; measure longer (--duration).{lower}"
            );
            return Choice::none(words, Verdict::Inconclusive);
        }
        let nearest = goals::nearest(goals, pass).map_or_else(String::new, |size| {
            format!(" The nearest is {} connections with {}.", size.size(), goals::measured(goals, size))
        });
        let words = format!("No size of those measured keeps {goal}{at}.{nearest}{lower}");
        return Choice::none(words, Verdict::Fail);
    };
    if !pass.is_closed() {
        return Choice {
            size: Some(smallest.size()),
            words: format!(
                "{}: the smallest of the sizes measured that keeps {goal}{at} ({}).",
                advice(question, smallest.size()),
                goals::measured(goals, smallest)
            ),
            verdict: Verdict::Pass,
        };
    }
    let (size, why) = beside_the_knee(&keeping, smallest, knee, goals.len());
    let what = if goals.len() == 1 { "goal" } else { "goals" };
    Choice {
        size: Some(size.size()),
        words: format!(
            "{}: of the sizes measured, the smallest that {why} ({what} {goal}; {}, {:.0}/s).",
            advice(question, size.size()),
            goals::measured(goals, size),
            size.point.per_s
        ),
        verdict: Verdict::Pass,
    }
}

/// The smallest size that keeps all goals at this load.
pub(super) fn smallest_that_keeps(pass: &Pass<'_>) -> Option<u32> {
    pass.sizes.iter().find(|size| verdict_of(size) == Verdict::Pass).map(Size::size)
}

/// Whether a size keeps all goals at the load that was asked for.
fn verdict_of(size: &Size<'_>) -> Verdict {
    let verdict = size.point.goal.as_ref().map_or(Verdict::Inconclusive, |goal| goal.verdict);
    if verdict == Verdict::Pass && !keeps_up(size) { Verdict::Fail } else { verdict }
}

/// Of the sizes that keep the goals, the one to take in a closed loop, and what it does.
fn beside_the_knee<'a, 'b>(
    keeping: &[&'b Size<'a>],
    smallest: &'b Size<'a>,
    knee: Knee,
    goals: usize,
) -> (&'b Size<'a>, String) {
    let it = if goals == 1 { "it" } else { "them" };
    let at_knee = knee.size().and_then(|knee| keeping.iter().find(|size| size.size() >= knee));
    match (at_knee, knee) {
        (Some(size), _) => (*size, format!("keeps {it} and reaches 95 % of the best throughput")),
        (None, Knee::At(knee)) => {
            let fastest = keeping
                .iter()
                .copied()
                .max_by(|a, b| a.point.per_s.total_cmp(&b.point.per_s))
                .unwrap_or(smallest);
            (
                fastest,
                format!("keeps {it} with the highest throughput; the knee at {knee} does not keep {it}"),
            )
        }
        (None, _) => (smallest, format!("keeps {it}; where throughput ends to grow was not seen")),
    }
}

/// `Use a pool of 8`.
fn advice(question: &Question<'_>, size: u32) -> String {
    format!("Use {}", pool_of(question, size))
}

/// `a pool of 8`, with what that is in all and whether the server has room for it.
fn pool_of(question: &Question<'_>, size: u32) -> String {
    let instances = question.instances;
    if instances < 2 {
        return format!("a pool of {size}");
    }
    let all = u64::from(size) * u64::from(instances);
    let room = question.room.map_or_else(String::new, |room| format!(" (the server has room for {room})"));
    format!("a pool of {size} per instance, {all} connections in all for {instances} instances{room}")
}

fn recommend(
    question: &Question<'_>,
    size: u32,
    main: &Pass<'_>,
    saturated: Option<&Pass<'_>>,
) -> Option<RecommendedPool> {
    let at = main.index_of(size)?;
    let alike = |other: usize| are_alike(question, main, at, other);
    let from = (0..at).rev().take_while(|other| alike(*other) == Some(true)).last().unwrap_or(at);
    let to = (at + 1..main.sizes.len()).take_while(|other| alike(*other) == Some(true)).last().unwrap_or(at);
    let told_apart = (0..main.sizes.len()).filter(|other| *other != at).any(|other| alike(other).is_some());
    let largest = main.sizes.last().map(Size::size)?;
    let compared_with = question.current.or((main.repeats_min() > 1).then_some(largest));
    let against = compared_with.filter(|other| *other != size).and_then(|other| {
        let to = main.index_of(other)?;
        let responses = [main.sizes[at].responses_us(), main.sizes[to].responses_us()];
        Some(PoolEffect {
            size: other,
            is_current: question.current == Some(other),
            per_s_ratio: saturated.and_then(|pass| {
                let (at, to) = (pass.index_of(size)?, pass.index_of(other)?);
                Some(pass.pooled.as_ref()?.ratio(at, to))
            }),
            response_ratio: Pooled::of(&responses).map(|of| of.ratio(0, 1)),
        })
    });
    Some(RecommendedPool {
        size,
        connections: u64::from(size) * u64::from(question.instances),
        alike_from: main.sizes[from].size(),
        alike_to: main.sizes[to].size(),
        told_apart,
        against,
    })
}

/// Whether the repetitions cannot tell two sizes apart in what decides: the goal, else the throughput, at a rate the response.
/// Nothing where they are too few to say.
fn are_alike(question: &Question<'_>, pass: &Pass<'_>, size: usize, other: usize) -> Option<bool> {
    if question.goals.is_empty() && pass.is_closed() {
        let pooled = pass.pooled.as_ref()?;
        pooled.ratio(size, other).low?;
        return Some(pooled.are_alike(size, other));
    }
    let (size, other) = (&pass.sizes[size], &pass.sizes[other]);
    if question.goals.is_empty() {
        return estimate::are_alike(&size.responses_us(), &other.responses_us());
    }
    // What one goal tells apart is apart.
    let each = size.goals.iter().zip(&other.goals);
    each.filter_map(|(of_size, of_other)| estimate::are_alike(of_size, of_other))
        .reduce(|all, one| all && one)
}

/// What cannot be told apart, and what a change from the size in use would bring.
fn compared(recommended: &RecommendedPool, pass: &Pass<'_>, question: &Question<'_>) -> String {
    let RecommendedPool { size, alike_from, alike_to, told_apart, .. } = recommended;
    let repeats = times(pass.repeats_min());
    let alike = if !told_apart {
        format!("With {repeats} of each size nothing says how sure that is (--repeats 3 or more would)")
    } else if alike_from == alike_to {
        format!("No other measured size is like it within the scatter of {repeats} of each")
    } else {
        format!("Sizes from {alike_from} to {alike_to} cannot be told apart from it with {repeats} of each")
    };
    let Some(against) = &recommended.against else {
        let is_current = question.current == Some(*size);
        return if is_current {
            format!("{alike}; it is the size in use today.")
        } else {
            format!("{alike}.")
        };
    };
    let other = if against.is_current {
        format!("the {} in use today", against.size)
    } else {
        format!("{}, the largest measured,", against.size)
    };
    let difference = u64::from(size.abs_diff(against.size)) * u64::from(question.instances);
    let plural = if difference == 1 { "" } else { "s" };
    let direction = if *size < against.size { "fewer" } else { "more" };
    let connections = format!("{difference} connection{plural} {direction}");
    let mut expected = vec![connections];
    let throughput = if pass.is_closed() { "throughput" } else { "highest throughput" };
    expected.extend(against.per_s_ratio.map(|ratio| change(throughput, ["high", "higher", "lower"], &ratio)));
    expected.extend(
        against.response_ratio.map(|ratio| change("mean response", ["long", "longer", "shorter"], &ratio)),
    );
    format!("{alike}; compared with {other} expect {}.", listed(&expected))
}

/// What would have to change for a larger pool to help.
fn further(reason: &KneeReason, pass: &Pass<'_>, header: &Header) -> String {
    let from = reason.from_size;
    let event = &reason.event;
    let (what, change) = match reason.class.as_str() {
        "lock" => {
            let relation =
                reason.relation.as_deref().map(|name| name.strip_prefix("public.").unwrap_or(name));
            let lock = match (relation, reason.of_a_row) {
                (Some(relation), true) => format!("a row of `{relation}`"),
                (Some(relation), false) => format!("the lock on `{relation}`"),
                (None, true) => "a row".to_owned(),
                (None, false) => format!("a lock ({event})"),
            };
            let waiter = reason.waiter.as_ref().map_or_else(String::new, |name| format!(" in `{name}`"));
            let blocker = reason.blocker.as_ref().filter(|name| name.as_str() != "unknown");
            let behind = blocker.map_or_else(String::new, |name| format!(", behind `{name}`"));
            (
                format!("queue on {lock}{waiter}{behind}"),
                "that lock must be held for a shorter time, or what it guards be spread over several rows",
            )
        }
        "cpu" if event == why::STARVED => (
            "queue for the processor, which the generator lacks most".to_owned(),
            "the machine needs more cores, or generator and server machines of their own",
        ),
        "cpu" => (
            "queue for the processor".to_owned(),
            "the server needs more cores, or the statements less of them",
        ),
        "io" if event.contains("WAL") || event.contains("Wal") => (
            format!("wait for the WAL to reach the disk ({event})"),
            "commits must be fewer, or the disk of the WAL faster",
        ),
        "io" => (
            format!("wait for the disk ({event})"),
            "more of the data must fit into memory, or the disk be faster",
        ),
        "lwlock" => (
            format!("wait for each other inside the server ({event})"),
            "what they all touch there must be touched less often",
        ),
        "application" => (
            "wait for the application, which holds them with nothing to do for the server".to_owned(),
            "transactions must hold their connection for a shorter time, which helps more than a larger pool",
        ),
        "pooler" => {
            let size = header.pooler.as_ref().and_then(|pooler| pooler.pool_size);
            let of = size.map_or_else(String::new, |size| format!(" one of its {size}"));
            (
                format!("wait in the pooler for{of} server connections"),
                "the pooler must have more of them (default_pool_size; --pooler-pool), if the server has room",
            )
        }
        "clients" => {
            let load = if pass.is_closed() { "these clients have" } else { "this rate has" };
            return format!(
                "A larger pool would help only under a higher load: beyond {from} more connections stay idle, since {load} no work for \
                 them."
            );
        }
        _ => (format!("wait in {event}"), "that wait must become shorter"),
    };
    format!("Beyond {from} more connections only {what}: for a larger pool to help, {change}.")
}

/// At a rate, where connections are held longer the more of them there are.
fn slower_service(pass: &Pass<'_>) -> Option<String> {
    let last = pass.sizes.last()?;
    let queue = last.point.queue.as_ref().filter(|queue| queue.service_ratio > SERVICE_GROWTH)?;
    Some(format!(
        "With {} connections each is held {:.1} times as long as with {}: more of them make each other wait.",
        last.size(),
        queue.service_ratio,
        pass.sizes[0].size()
    ))
}

/// For which arrangement the answer holds.
fn validity(
    question: &Question<'_>,
    main: &Pass<'_>,
    saturated: Option<&Pass<'_>>,
    size: Option<u32>,
) -> Option<String> {
    let header = question.header;
    if !header.target.same_host {
        return None;
    }
    let environment = crate::analysis::environment_info(header);
    if cores_are_apart(&environment) {
        let (client, server) = (environment.client_cpus?, environment.server_cpus?);
        return Some(format!(
            "Generator and server kept to processors of their own ({client} and {server}): the answer holds for a server that has \
             as many as these."
        ));
    }
    let pass = saturated.unwrap_or(main);
    let at = size.and_then(|size| pass.index_of(size)).unwrap_or(pass.sizes.len() - 1);
    let full =
        pass.sizes[at..].iter().filter_map(|size| size.point.host_cpu_fraction).any(|cpu| cpu > HOST_FULL);
    full.then(|| {
        "The host's cores were full and generator and server share them, so the answer holds for this arrangement only: on a server \
         of its own the knee may lie higher."
            .to_owned()
    })
}

fn times(repeats: usize) -> String {
    if repeats == 1 { "one measurement".to_owned() } else { format!("{repeats} measurements") }
}

/// `a throughput 12 % higher (+3 % to +22 %)`, or that its interval holds no change as well.
fn change(what: &str, [positive, more, less]: [&str; 3], ratio: &Estimate) -> String {
    let percent = |ratio: f64| (ratio - 1.0) * 100.0;
    let signed = |ratio: f64| match percent(ratio) {
        _ if ratio >= 2.0 => format!("×{ratio:.1}"),
        percent if percent.abs() < 0.5 => "±0 %".to_owned(),
        percent => format!("{percent:+.0} %"),
    };
    let range = ratio.low.zip(ratio.high);
    let interval =
        range.map_or_else(String::new, |(low, high)| format!(" ({} to {})", signed(low), signed(high)));
    if range.is_some_and(|(low, high)| low <= 0.0 || high / low > UNTOLD_ABOVE) {
        return format!("nothing certain of the {what}, which scatters too much");
    }
    if range.is_some_and(|(low, high)| low <= 1.0 && high >= 1.0) {
        return format!("no clear change of the {what}{interval}");
    }
    match percent(ratio.mean) {
        _ if ratio.mean >= 2.0 => format!("a {what} {:.1} times as {positive}{interval}", ratio.mean),
        percent if percent.abs() < 0.5 => format!("the same {what}{interval}"),
        percent => {
            format!("a {what} {:.0} % {}{interval}", percent.abs(), if percent > 0.0 { more } else { less })
        }
    }
}

fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

fn milliseconds(us: f64) -> String {
    format!("{:.1} ms", us / 1e3)
}
