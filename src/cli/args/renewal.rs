//! The arguments of how connections are replaced while a measurement goes on.

use std::time::Duration;

use clap::Args;

use super::positive_duration;

#[derive(Debug, Args)]
pub(in super::super) struct RenewalArguments {
    /// Connections live this long, 10 % more or less at random; older ones are closed when they are given back, and made anew
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    pub(in super::super) churn: Option<Duration>,
    /// So long after each measured stage began, all connections are closed at once, as by a failover, and come back under load
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    pub(in super::super) storm: Option<Duration>,
}
