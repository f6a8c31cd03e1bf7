//! The arguments of `dbdyno capacity`.

use std::time::Duration;

use clap::Args;

use super::{ArrivalsArgument, MeasureArguments, positive, positive_duration};

#[derive(Debug, Args)]
pub(in super::super) struct CapacityArguments {
    /// What must be kept, parts behind commas; may be repeated: 'checkout.response.p99 < 80ms, errors < 0.1%'
    #[arg(long = "goal", value_name = "GOAL", required = true)]
    pub(in super::super) goals: Vec<String>,
    /// The first rate, in transactions per second [default: half of what a short closed loop reaches]
    #[arg(long, value_name = "PER_SECOND", value_parser = rate, allow_negative_numbers = true)]
    pub(in super::super) from: Option<f64>,
    /// How far the highest rate that meets the goal and the lowest that misses it may lie apart, 1% to 50%
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = precision)]
    pub(in super::super) precision: f64,
    /// The rate that is asked for: exit code 0 if it is reached, 3 if not, 4 where that cannot be told
    #[arg(long, value_name = "PER_SECOND", value_parser = rate, allow_negative_numbers = true)]
    pub(in super::super) at_least: Option<f64>,
    /// How long a rate is measured; longer where the goal's quantile needs more transactions
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = positive_duration)]
    pub(in super::super) step: Duration,
    /// How long both ends are measured once more [default: three times --step]
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    pub(in super::super) confirm: Option<Duration>,
    /// No step begins that would end after this
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = positive_duration)]
    pub(in super::super) at_most: Duration,
    /// How transactions arrive
    #[arg(long, value_enum, value_name = "HOW", default_value_t = ArrivalsArgument::Poisson)]
    pub(in super::super) arrivals: ArrivalsArgument,
    /// Connections of each instance
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(in super::super) pool_size: u32,
    #[command(flatten)]
    pub(in super::super) measure: MeasureArguments,
}

fn rate(text: &str) -> Result<f64, String> {
    positive(text.strip_suffix("/s").unwrap_or(text), 1e6)
}

fn precision(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').ok_or("write it in per cent, such as 5%")?;
    let share = positive(percent.trim(), 50.0)? / 100.0;
    if share < 0.01 { Err("steps are noisier than that: at least 1%".to_owned()) } else { Ok(share) }
}
