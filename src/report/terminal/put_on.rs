//! What a stage put on, in words: `open loop from 100 to 800 transactions/s, Poisson arrivals`.

use std::time::Duration;

use super::value::plural;
use crate::model::Stage;
use crate::report::format::{NBSP, length_s, per_call};
use crate::units::{Amount, Arrivals, Course, Load, Pause};

/// Steps that are named one by one.
const STEPS_NAMED: usize = 4;

/// What was put on, as a sentence goes on with it; empty where nothing is known of it.
pub(super) fn sentence(stage: &Stage) -> String {
    match &load(stage) {
        None => String::new(),
        Some(Load::Open { rate, arrivals, max_lag }) => {
            let course = course(rate, &format!("{NBSP}transactions/s"));
            format!("open loop {course}{}{}", poisson(*arrivals), limit(*max_lag))
        }
        Some(Load::Closed { clients, think }) => {
            let crowd = match clients {
                Course::Constant(clients) if *clients <= 1.0 => format!("of{NBSP}1{NBSP}client"),
                course_of => course(course_of, &format!("{NBSP}clients")).replacen("at ", "of ", 1),
            };
            format!("closed loop {crowd}{}", thinking(think.as_ref()))
        }
        Some(Load::PartlyOpen { sessions, arrivals, transactions, think, max_lag }) => format!(
            "partly open loop {}{}, each of {}{}{}",
            course(sessions, &format!("{NBSP}sessions/s")),
            poisson(*arrivals),
            amount(transactions),
            thinking(think.as_ref()),
            limit(*max_lag)
        ),
    }
}

/// The same for a narrow column: `300/s`, `100→800/s`, `16 clients`.
pub(super) fn short(stage: &Stage) -> String {
    let Some(load) = load(stage) else { return String::new() };
    let levels = match load.course() {
        Course::Constant(level) => per_call(*level),
        Course::Ramp { ramp: [from, to] } => format!("{}→{}", per_call(*from), per_call(*to)),
        Course::Steps { steps } => match steps.as_slice() {
            [] => String::new(),
            [level] => per_call(*level),
            [first, .., last] => format!("{}…{}", per_call(*first), per_call(*last)),
        },
        Course::Spike { base, spike, .. } => format!("{}↑{}", per_call(*base), per_call(*spike)),
    };
    match (&load, load.course()) {
        (Load::Open { .. }, _) => format!("{levels}/s"),
        (Load::PartlyOpen { .. }, _) => format!("{levels}{NBSP}sessions/s"),
        (Load::Closed { .. }, Course::Constant(clients)) if *clients <= 1.0 => format!("1{NBSP}client"),
        (Load::Closed { .. }, _) => format!("{levels}{NBSP}clients"),
    }
}

/// The load of the stage; of a report from before it said all of it, the number that it says.
fn load(stage: &Stage) -> Option<Load> {
    let number = || stage.offered_per_s.map(Load::rate).or(stage.clients.map(Load::clients));
    stage.load.clone().or_else(number)
}

/// `at 100 transactions/s`, `from 100 to 800 …`; `what` follows the last level.
fn course(course: &Course, what: &str) -> String {
    match course {
        Course::Constant(level) => format!("at {}{what}", per_call(*level)),
        Course::Ramp { ramp: [from, to] } => format!("from {} to {}{what}", per_call(*from), per_call(*to)),
        Course::Steps { steps } => match steps.as_slice() {
            [before @ .., last] if !before.is_empty() && steps.len() <= STEPS_NAMED => {
                let before: Vec<String> = before.iter().map(|level| per_call(*level)).collect();
                format!("at {} and {}{what}", before.join(", "), per_call(*last))
            }
            [first, .., last] => {
                let number = plural(steps.len() as u64, "step");
                format!("in {number} from {} to {}{what}", per_call(*first), per_call(*last))
            }
            _ => format!("at {}{what}", steps.first().copied().map_or_else(String::new, per_call)),
        },
        Course::Spike { base, spike, at, lasts } => format!(
            "at {}, after {} at {}{what} for {}",
            per_call(*base),
            time(*at),
            per_call(*spike),
            time(*lasts)
        ),
    }
}

fn poisson(arrivals: Arrivals) -> &'static str {
    match arrivals {
        Arrivals::Constant => "",
        Arrivals::Poisson => ", Poisson arrivals",
    }
}

fn thinking(pause: Option<&Pause>) -> String {
    let Some(pause) = pause else { return String::new() };
    let how_long = match *pause {
        Pause::Constant { time: pause } => time(pause),
        Pause::Uniform { min, max } => format!("{} to {}", time(min), time(max)),
        Pause::Exponential { mean } => format!("{} on average (exponential)", time(mean)),
        Pause::Lognormal { median, sigma } => {
            format!("{} in the median (lognormal, sigma{NBSP}{})", time(median), per_call(sigma))
        }
    };
    format!(", think time {how_long}")
}

fn amount(amount: &Amount) -> String {
    match *amount {
        Amount::Constant { number } => plural(u64::from(number), "transaction"),
        Amount::Uniform { min, max } => format!("{min} to {}", plural(u64::from(max), "transaction")),
        Amount::Geometric { mean } => format!("{}{NBSP}transactions on average", per_call(mean)),
    }
}

fn limit(max_lag: Option<Duration>) -> String {
    max_lag.map_or_else(String::new, |limit| format!(", skipped when more than {} late", time(limit)))
}

fn time(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        return crate::report::format::duration_us(duration.as_secs_f64() * 1e6);
    }
    length_s(duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(load: Load) -> (String, String) {
        let mut stage = crate::report::fixture::healthy().stages[1].clone();
        stage.load = Some(load);
        (sentence(&stage).replace(NBSP, " "), short(&stage).replace(NBSP, " "))
    }

    #[test]
    fn every_load_is_said_in_words() {
        let at = Duration::from_secs(10);
        let steps = |steps: &[f64]| Course::Steps { steps: steps.to_vec() };
        let open = |rate| Load::Open { rate, arrivals: Arrivals::Constant, max_lag: None };
        let closed = |clients, think| Load::Closed { clients, think };
        let spike = Course::Spike { base: 100.0, spike: 800.0, at, lasts: at / 2 };
        let lognormal = Pause::Lognormal { median: Duration::from_millis(200), sigma: 0.8 };
        let partly_open = Load::PartlyOpen {
            sessions: Course::Constant(2.5),
            arrivals: Arrivals::Poisson,
            transactions: Amount::Geometric { mean: 5.0 },
            think: Some(Pause::Exponential { mean: Duration::from_secs(1) }),
            max_lag: Some(Duration::from_millis(1500)),
        };
        let ramp = Load::Open {
            rate: Course::Ramp { ramp: [0.0, 800.0] },
            arrivals: Arrivals::Poisson,
            max_lag: Some(Duration::from_millis(500)),
        };
        let cases = [
            (Load::rate(1200.0), "open loop at 1 200 transactions/s", "1 200/s"),
            (
                ramp,
                "open loop from 0 to 800 transactions/s, Poisson arrivals, skipped when more than 500 ms late",
                "0→800/s",
            ),
            (open(steps(&[1.0, 2.0, 4.5])), "open loop at 1, 2 and 4.50 transactions/s", "1…4.50/s"),
            (open(steps(&[9.0; 5])), "open loop in 5 steps from 9 to 9 transactions/s", "9…9/s"),
            (open(steps(&[7.0])), "open loop at 7 transactions/s", "7/s"),
            (open(spike), "open loop at 100, after 10 s at 800 transactions/s for 5 s", "100↑800/s"),
            (Load::clients(1), "closed loop of 1 client", "1 client"),
            (
                closed(Course::Constant(16.0), Some(lognormal)),
                "closed loop of 16 clients, think time 200 ms in the median (lognormal, sigma 0.80)",
                "16 clients",
            ),
            (
                closed(Course::Ramp { ramp: [1.0, 32.0] }, None),
                "closed loop from 1 to 32 clients",
                "1→32 clients",
            ),
            (
                partly_open,
                "partly open loop at 2.50 sessions/s, Poisson arrivals, each of 5 transactions on average, think time 1 s \
                 on average (exponential), skipped when more than 1.50 s late",
                "2.50 sessions/s",
            ),
        ];
        for (load, long, narrow) in cases {
            assert_eq!(said(load), (long.to_owned(), narrow.to_owned()));
        }
    }

    #[test]
    fn a_report_that_says_a_number_only_is_read_all_the_same() {
        let mut stage = crate::report::fixture::healthy().stages[1].clone();
        (stage.load, stage.offered_per_s, stage.clients) = (None, Some(300.0), None);
        assert_eq!(short(&stage), "300/s");
        (stage.offered_per_s, stage.clients) = (None, None);
        assert_eq!(sentence(&stage), "");
    }
}
