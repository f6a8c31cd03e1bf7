//! Stages: what is put on, and for how long.

use std::ops::Range;
use std::time::Duration;

use super::super::document::{
    AmountDoc, CourseDoc, CourseTable, DrawnAmount, DrawnPause, Located, PauseDoc, StageDoc, StageNode,
};
use super::super::node::Node;
use super::{Decoded, Walk};
use crate::units::{Amount, Course, CourseError, DrawnError, LEVEL_MAX, Load, Pause, SESSION_MAX, STEPS_MAX};

/// How a course is written.
const COURSES: &str = "write a number, `{ ramp = [100, 800] }`, `{ steps = [100, 200, 400] }` or \
                       `{ base = 100, spike = 800, at = \"10s\", for = \"5s\" }`";
/// How a think time is written.
const PAUSES: &str = "write `\"200ms\"`, `{ uniform = [\"100ms\", \"300ms\"] }`, `{ exponential = { mean = \"200ms\" } }` or \
                      `{ lognormal = { median = \"200ms\", sigma = 0.8 } }`";
/// How a number of transactions is written.
const AMOUNTS: &str = "write `8`, `{ uniform = [1, 10] }` or `{ geometric = { mean = 5 } }`";

impl Walk<'_> {
    pub(super) fn stage(&mut self, node: Node<'_>) -> Option<StageNode> {
        let span = node.span();
        let Decoded { value: stage, dropped } = self.node::<StageDoc>(node, &[], "a stage")?;
        self.require(&dropped, "name", stage.name.is_some(), span.clone(), "the stage");
        self.require(&dropped, "duration", stage.duration.is_some(), span.clone(), "the stage");
        if let Some(name) = stage.name.as_ref().filter(|name| name.value.trim().is_empty()) {
            self.blame(name.span.clone(), "the stage's name is empty", "expected a name", None);
        }
        if let Some(duration) = stage.duration.as_ref().filter(|duration| duration.value.is_zero()) {
            self.blame(duration.span.clone(), "the stage lasts no time", "expected more than zero", None);
        }
        // What could not be read is not missing.
        let lost = !dropped.is_empty();
        let load = self.load(&stage, &span, lost);
        Some(StageNode { name: stage.name, duration: stage.duration.map(|duration| duration.value), load })
    }

    fn load(&mut self, stage: &StageDoc, span: &Range<usize>, lost: bool) -> Option<Load> {
        let StageDoc { rate, clients, sessions, arrivals, transactions, think, max_lag, .. } = stage;
        let kinds = [("rate", rate), ("clients", clients), ("sessions", sessions)];
        let mut given = kinds.iter().filter_map(|(key, course)| Some((*key, course.as_ref()?)));
        let Some((kind, course)) = given.next() else {
            if !lost {
                let help = "write `rate = 200` (transactions per second), `clients = 16`, or `sessions = 5` (per second) \
                            with `transactions = 8`";
                let label = "no `rate`, `clients` or `sessions`";
                self.blame(span.clone(), "the stage has no load", label, Some(help.to_owned()));
            }
            return None;
        };
        let mut is_one = true;
        for (other, course) in given {
            is_one = false;
            let message = format!("`{kind}` and `{other}` exclude each other");
            let article = if kind == "rate" { "a rate" } else { kind };
            let label = format!("the stage has {article} as well");
            let help =
                "keep `rate` for an open loop, `clients` for a closed one, `sessions` for a partly open one";
            self.blame(course.span.clone(), message, &label, Some(help.to_owned()));
        }
        let length = stage.duration.as_ref().map(|duration| duration.value);
        let course = self.course(kind, course, length, lost);
        let think = think.as_ref().and_then(|think| self.pause(think, lost));
        let transactions = transactions.as_ref().map(|number| self.amount(number, lost));
        if is_one {
            self.belongings(stage, kind);
        }
        if kind == "sessions" && transactions.is_none() && !lost {
            let help = "write `transactions = 8` or `transactions = { geometric = { mean = 5 } }`".to_owned();
            let message = "the stage does not say how many transactions a session makes";
            self.blame(span.clone(), message, "`transactions` is missing", Some(help));
        }
        let course = course?;
        let arrivals = arrivals.as_ref().map(|arrivals| arrivals.value).unwrap_or_default();
        let max_lag = max_lag.as_ref().map(|max_lag| max_lag.value);
        Some(match kind {
            "rate" => Load::Open { rate: course, arrivals, max_lag },
            "clients" => Load::Closed { clients: course, think },
            _ => {
                let transactions = transactions??;
                Load::PartlyOpen { sessions: course, arrivals, transactions, think, max_lag }
            }
        })
    }

    /// Blames what cannot be said of a load of this kind.
    fn belongings(&mut self, stage: &StageDoc, kind: &str) {
        let StageDoc { arrivals, transactions, think, max_lag, .. } = stage;
        if let Some(think) = think.as_ref().filter(|_| kind == "rate") {
            let help =
                "in an open loop nobody waits for an answer before the next transaction; `sessions` do";
            self.belongs(&think.span, "think", "`clients` or `sessions`", help);
        }
        if let Some(transactions) = transactions.as_ref().filter(|_| kind != "sessions") {
            self.belongs(
                &transactions.span,
                "transactions",
                "`sessions`",
                "it says how many each session makes",
            );
        }
        if let Some(arrivals) = arrivals.as_ref().filter(|_| kind == "clients") {
            let help = "a closed loop has no arrivals: a client begins when its last transaction has ended";
            self.belongs(&arrivals.span, "arrivals", "`rate` or `sessions`", help);
        }
        if let Some(max_lag) = max_lag.as_ref().filter(|_| kind == "clients") {
            let help = "in a closed loop nothing is planned, so that nothing is late";
            self.belongs(&max_lag.span, "max_lag", "`rate` or `sessions`", help);
        }
    }

    fn belongs(&mut self, span: &Range<usize>, key: &str, to: &str, help: &str) {
        let message = format!("`{key}` goes with {to}");
        self.blame(span.clone(), message, "means nothing here", Some(help.to_owned()));
    }

    /// The course of a level; `kind` is its key. Levels of clients are whole numbers.
    fn course(
        &mut self,
        kind: &str,
        given: &Located<CourseDoc>,
        length: Option<Duration>,
        lost: bool,
    ) -> Option<Course> {
        let span = given.span.clone();
        let course = match &given.value {
            CourseDoc::Constant(level) => Course::Constant(*level),
            CourseDoc::Table(table) => match read(table) {
                Some(course) => course,
                None => return self.no_form(span, kind, COURSES, lost),
            },
        };
        let checked =
            course.check().and_then(|()| length.map_or(Ok(()), |length| course.check_length(length)));
        let what = match kind {
            "rate" => "transactions per second",
            "clients" => "clients",
            _ => "sessions per second",
        };
        let (message, label) = match checked {
            Ok(()) if kind == "clients" && !course.is_whole() => {
                ("part of a client cannot be".to_owned(), "expected whole numbers".to_owned())
            }
            Ok(()) => return Some(course),
            Err(CourseError::Level(level)) if level <= 0.0 => {
                ("the stage offers less than nothing".to_owned(), format!("expected {what} from 0 up"))
            }
            Err(CourseError::Level(_)) => {
                ("the stage offers too much".to_owned(), format!("at most {LEVEL_MAX} {what}"))
            }
            Err(CourseError::Nothing) => {
                ("the stage offers no load".to_owned(), format!("expected more than 0 {what}"))
            }
            Err(CourseError::Steps(_)) => {
                ("this is no list of steps".to_owned(), format!("expected from 1 to {STEPS_MAX}"))
            }
            Err(CourseError::NoSpike) => {
                ("the spike lasts no time".to_owned(), "expected `for` above zero".to_owned())
            }
            Err(error) => (error.to_string(), "does not fit into the stage".to_owned()),
        };
        self.blame(span, message, &label, None);
        None
    }

    fn pause(&mut self, given: &Located<PauseDoc>, lost: bool) -> Option<Pause> {
        let pause = match &given.value {
            PauseDoc::Constant(time) => Pause::Constant { time: time.value },
            PauseDoc::Drawn(DrawnPause { uniform: Some([min, max]), exponential: None, lognormal: None }) => {
                Pause::Uniform { min: min.value, max: max.value }
            }
            PauseDoc::Drawn(DrawnPause { uniform: None, exponential: Some(of), lognormal: None }) => {
                Pause::Exponential { mean: of.mean.value }
            }
            PauseDoc::Drawn(DrawnPause { uniform: None, exponential: None, lognormal: Some(of) }) => {
                Pause::Lognormal { median: of.median.value, sigma: of.sigma }
            }
            PauseDoc::Drawn(_) => return self.no_form(given.span.clone(), "think", PAUSES, lost),
        };
        let checked = pause.check();
        self.drawn(&given.span, "this is no think time", checked)?;
        Some(pause)
    }

    fn amount(&mut self, given: &Located<AmountDoc>, lost: bool) -> Option<Amount> {
        let amount = match &given.value {
            AmountDoc::Constant(number) => Amount::Constant { number: *number },
            AmountDoc::Drawn(DrawnAmount { uniform: Some([min, max]), geometric: None }) => {
                Amount::Uniform { min: *min, max: *max }
            }
            AmountDoc::Drawn(DrawnAmount { uniform: None, geometric: Some(of) }) => {
                Amount::Geometric { mean: of.mean }
            }
            AmountDoc::Drawn(_) => return self.no_form(given.span.clone(), "transactions", AMOUNTS, lost),
        };
        let checked = amount.check();
        self.drawn(&given.span, "this is no number of transactions", checked)?;
        Some(amount)
    }

    /// A table that says nothing, or two things. What it lost for another mistake is not missing.
    fn no_form<T>(&mut self, span: Range<usize>, key: &str, forms: &str, lost: bool) -> Option<T> {
        if !lost {
            self.blame(
                span,
                format!("`{key}` says not what is meant"),
                "none of the forms",
                Some(forms.to_owned()),
            );
        }
        None
    }

    fn drawn(&mut self, span: &Range<usize>, message: &str, checked: Result<(), DrawnError>) -> Option<()> {
        let Err(error) = checked else { return Some(()) };
        let label = match error {
            DrawnError::Empty => "expected more than zero".to_owned(),
            DrawnError::Order => "the smaller one stands first".to_owned(),
            DrawnError::Sigma => "expected a `sigma` above 0 and at most 10".to_owned(),
            _ => format!("expected from 1 to {SESSION_MAX}"),
        };
        self.blame(span.clone(), message, &label, None);
        None
    }
}

/// The course that a table says, where it says exactly one.
fn read(table: &CourseTable) -> Option<Course> {
    let CourseTable { ramp, steps, base, spike, at, lasts } = table;
    match (ramp, steps, base, spike, at, lasts) {
        (Some(ramp), None, None, None, None, None) => Some(Course::Ramp { ramp: *ramp }),
        (None, Some(steps), None, None, None, None) => Some(Course::Steps { steps: steps.clone() }),
        (None, None, Some(base), Some(spike), Some(at), Some(lasts)) => {
            Some(Course::Spike { base: *base, spike: *spike, at: at.value, lasts: lasts.value })
        }
        _ => None,
    }
}
