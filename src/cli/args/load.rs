//! The load that is put on.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{clients, course, drawn};
use crate::units::{Amount, Course, Pause, parse_duration};

#[derive(Debug, Args)]
#[group(multiple = false)]
pub(in crate::cli) struct Level {
    /// Open loop: transactions per second, whatever the target answers. `200`, or over the time of the stage `100..800`,
    /// `100,200,400`, `'100 spike 800 at 10s for 5s'`
    #[arg(long, value_name = "PER_SECOND", value_parser = course, allow_negative_numbers = true)]
    pub(in crate::cli) rate: Option<Course>,
    /// Closed loop: users who wait for each answer; a number, or a course as of --rate
    #[arg(long, value_name = "N", value_parser = clients, allow_negative_numbers = true)]
    pub(in crate::cli) clients: Option<Course>,
    /// Partly open loop: sessions per second that make several --transactions each; a number, or a course as of --rate
    #[arg(long, value_name = "PER_SECOND", value_parser = course, allow_negative_numbers = true)]
    pub(in crate::cli) sessions: Option<Course>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ArrivalsArgument {
    /// In equal gaps
    Constant,
    /// As independent users come: gaps are exponentially distributed
    Poisson,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct LoadOfRun {
    #[command(flatten)]
    pub(in crate::cli) level: Level,
    /// How the transactions of --rate or the --sessions arrive [default: constant]
    #[arg(long, value_enum, value_name = "HOW")]
    pub(in crate::cli) arrivals: Option<ArrivalsArgument>,
    /// How many each of the --sessions makes: `8`, `1..10`, `'geometric 5'`
    #[arg(long, value_name = "N", value_parser = drawn::<Amount>)]
    pub(in crate::cli) transactions: Option<Amount>,
    /// Time between a transaction and the next one of the same client or session: `200ms`, `'uniform 100ms..300ms'`,
    /// `'exponential 200ms'`, `'lognormal 200ms 0.8'`
    #[arg(long, value_name = "TIME", value_parser = drawn::<Pause>)]
    pub(in crate::cli) think: Option<Pause>,
    /// Skip and count what arrives and cannot be started for longer [default: start it, however late]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(in crate::cli) max_lag: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ProfileName {
    /// baseline (half), normal, peak (twice), stress (a ramp from twice to four times), spike (five times, for a while), soak
    Progressive,
    /// Ten stages from half to five times, to find where it breaks
    Stress,
    /// normal, a spike of five times, and the time after it
    Spike,
    /// normal, all the time
    Soak,
}
