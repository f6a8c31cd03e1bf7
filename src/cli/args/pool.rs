//! What a pool study is asked.

use clap::Args;

/// Sizes as they are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum GivenSizes {
    /// These.
    List(Vec<u32>),
    /// Those around the knee.
    Auto,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct StudyArguments {
    /// Connections of each instance; `auto` looks for the knee first
    #[arg(long, value_name = "N,N,…|auto", default_value = "1,2,4,8,16,32", value_parser = sizes)]
    pub(in crate::cli) sizes: GivenSizes,
    /// How often each size is measured, in an order of its own each time; a knee takes 3
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(in crate::cli) repeats: u32,
    /// Several rates, each at every size, in place of one --rate
    #[arg(
        long,
        value_name = "PER_SECOND,…",
        value_delimiter = ',',
        value_parser = rate,
        conflicts_with_all = ["rate", "clients", "sessions"]
    )]
    pub(in crate::cli) rates: Vec<f64>,
    /// What a size has to keep, parts behind commas; may be repeated: 'p99 < 50ms, errors < 0.1%', 'checkout.response.p99 < 80ms'
    #[arg(long = "goal", value_name = "GOAL")]
    pub(in crate::cli) goals: Vec<String>,
    /// Connections of each instance in use today: they are measured as well, and the answer is held against them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(in crate::cli) current: Option<u32>,
    /// With a rate: leave out the pass that keeps all connections busy, which finds the knee and takes as long again
    #[arg(long)]
    pub(in crate::cli) no_knee: bool,
}

fn sizes(text: &str) -> Result<GivenSizes, String> {
    if text.trim() == "auto" {
        return Ok(GivenSizes::Auto);
    }
    let number = |size: &str| size.trim().parse::<u32>().map_err(|_| format!("`{}` is no size", size.trim()));
    let list = text.split(',').map(number).collect::<Result<_, _>>();
    list.map(GivenSizes::List).map_err(|error| format!("{error}: it takes numbers such as 2,4,8, or `auto`"))
}

fn rate(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1e7 => Ok(rate),
        _ => Err("a rate lies above 0 and at most at 10 million transactions per second".to_owned()),
    }
}
