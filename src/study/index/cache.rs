//! The cache regime of an experiment: how much of the data a throwaway server holds in its shared buffers. What wins in memory can
//! lose on disk, so that a verdict holds for the regime in which it was measured only.

use crate::dataset::index as server;
use crate::study::measure::Ground;
use crate::study::{Happening, MeasurePlan, Observer, StudyError, TargetChoice};

/// The setting that decides it.
const SHARED_BUFFERS: &str = "shared_buffers";
/// The least that PostgreSQL takes, in kB.
const SHARED_BUFFERS_MIN_KB: f64 = 128.0;
/// Data ÷ `shared_buffers` where all of it and of the indexes to come is to stay there.
const WARM_RATIO: f64 = 0.6;

/// How much of the data is in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CacheRegime {
    /// None of it at the beginning of a slice: the server is restarted before each.
    Cold,
    /// All of it.
    Warm,
    /// The data are so many times as large as `shared_buffers`.
    Ratio(f64),
}

impl CacheRegime {
    /// As the user says it.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Cold => "cold".to_owned(),
            Self::Warm => "warm".to_owned(),
            Self::Ratio(ratio) => format!("{ratio}"),
        }
    }

    fn ratio(self) -> f64 {
        match self {
            Self::Cold | Self::Warm => WARM_RATIO,
            Self::Ratio(ratio) => ratio,
        }
    }
}

/// The plan with `shared_buffers` as the regime wants them. How large the data are is known when they are loaded, and the setting
/// holds from a server's start on: a first server is filled to find out.
pub(super) async fn sized(
    plan: &MeasurePlan,
    regime: CacheRegime,
    connections: u32,
    observer: &mut Observer<'_>,
) -> Result<MeasurePlan, StudyError> {
    observer(Happening::Step("loading once to learn how large the data are"));
    let ground = Ground::open(plan, connections, observer).await?;
    let bytes = server::database_bytes(&ground.target.control).await?;
    ground.target.close().await?;
    let kilobytes = (bytes as f64 / regime.ratio() / 1024.0).max(SHARED_BUFFERS_MIN_KB);
    let value = format!("{kilobytes:.0}kB");
    observer(Happening::Note(&format!(
        "{:.1} MB of data, so that {SHARED_BUFFERS} is {:.1} MB for --cache {}",
        bytes as f64 / 1_048_576.0,
        kilobytes / 1024.0,
        regime.name()
    )));
    let mut sized = plan.clone();
    if let TargetChoice::Local(options) = &mut sized.target {
        options.settings.push((SHARED_BUFFERS.to_owned(), value));
    }
    Ok(sized)
}
