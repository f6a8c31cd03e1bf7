//! Figures that depend on time and on processors: `make test` runs these one after another, with nothing beside them.

pub mod truth;
