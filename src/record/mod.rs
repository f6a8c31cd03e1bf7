//! What a run writes down while it goes on: histogram sets, outcomes, gauges, and the observations of the probes.
//!
//! The [`entry::Entry`] is *the* run format. The engine and the probes produce entries, `store` writes each second's to
//! disk, and `analysis` makes every report from them, whether the run ended a moment ago or was cut off last week.
//! Knows no SQL text beyond names, and computes no percentile: histograms travel, `analysis` reads them.

pub mod accounting;
pub mod baseline;
pub mod capacity;
pub mod chain;
pub mod deadlock;
pub mod entry;
pub mod gauge;
pub mod histogram;
pub mod index;
pub mod kept;
pub mod measure;
pub mod migration;
pub mod observation;
pub mod plan;
pub mod pooler;
pub mod pulse;
pub mod sample;
pub mod set;
pub mod storm;
