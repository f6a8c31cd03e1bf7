//! The cache regime of an experiment: how much of the data a throwaway server holds in its buffers. What wins in memory can lose on
//! disk, so that a verdict holds for the regime in which it was measured only.

use crate::dataset::index as server;
use crate::study::measure::Ground;
use crate::study::{Happening, Observer, StudyError};

/// Data ÷ the server's buffers where all of it and of the indexes to come is to stay there.
const WARM_RATIO: f64 = 0.6;

/// How much of the data is in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CacheRegime {
    /// None of it at the beginning of a slice: the server is restarted before each, and the kernel asked to forget.
    Cold,
    /// All of it.
    Warm,
    /// The data are so many times as large as the server's buffers.
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

    /// Data ÷ the server's buffers, where the regime says it.
    fn ratio(self) -> Option<f64> {
        match self {
            Self::Cold => None,
            Self::Warm => Some(WARM_RATIO),
            Self::Ratio(ratio) => Some(ratio),
        }
    }
}

/// Gives a throwaway server that is filled the buffers of the regime, and says what that means. Gives whether the data are to be read
/// into them before each slice.
pub(super) async fn arranged(
    ground: &mut Ground<'_>,
    regime: CacheRegime,
    observer: &mut Observer<'_>,
) -> Result<bool, StudyError> {
    let Some(ratio) = regime.ratio() else {
        observer(Happening::Note(
            "--cache cold: the server is restarted before each slice and the kernel asked to forget the data; it need not, and only \
             root could make it: what it keeps is read from memory",
        ));
        return Ok(false);
    };
    let setting = server::buffer_setting(&ground.target.control);
    let name = setting.name;
    let bytes = server::database_bytes(&ground.target.control).await?;
    let kilobytes = (bytes as f64 / ratio / 1024.0).max(f64::from(setting.least_kb));
    observer(Happening::Step(&format!("restarting the throwaway server with another {name}")));
    let value = format!("{kilobytes:.0}{}", setting.kilobytes);
    ground.target.restart(&[(name.to_owned(), value)]).await?;
    let sizes = format!(
        "{:.1} MB of data, so that {name} is {:.1} MB for --cache {}",
        bytes as f64 / 1_048_576.0,
        kilobytes / 1024.0,
        regime.name()
    );
    if regime != CacheRegime::Warm {
        observer(Happening::Note(&format!(
            "{sizes}; the kernel keeps what does not fit in, as far as the machine's memory goes, so that it comes from there rather \
             than from the disk"
        )));
        return Ok(false);
    }
    let may_warm = server::may_warm(&ground.target.control).await?;
    let how = match may_warm {
        Ok(()) => String::new(),
        Err(why) => format!("; {why}, so that the warm-up alone fills it"),
    };
    observer(Happening::Note(&format!("{sizes}{how}")));
    Ok(may_warm.is_ok())
}
