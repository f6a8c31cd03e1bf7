//! Placeholder until the probe branch lands.
use crate::model::LockInfo;
use crate::record::observation::LockEpisode;
use crate::record::set::StatementSpan;
use crate::units::Span;

/// See the probe branch.
#[must_use]
pub fn analyse(_: &[LockEpisode], _: &[StatementSpan], _: &[(String, String)], _: Span, ms: u32) -> LockInfo {
    LockInfo { sample_interval_ms: ms, ..LockInfo::default() }
}
