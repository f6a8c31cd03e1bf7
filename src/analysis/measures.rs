//! What the workload measures of its own: distributions and order of returned values, and what gauges stood at.

use std::collections::BTreeMap;

use crate::model::{self, LevelAt, Levels, MeasureInfo, OrderInfo};
use crate::record::entry::{GaugeHeader, MeasureHeader, WorkloadHeader};
use crate::record::measure::MeasureSet;
use crate::units::{BaseUnit, Span, Stamp};

use super::quantiles::of_values;

/// What the name of a gauge's probe begins with.
const GAUGE_PROBE: &str = "gauge ";
/// Readings of one gauge that a stage tells one by one; beyond them every second one is left out.
const READINGS_MAX: usize = 10_000;

/// What the measures of a stage come to. `in_window` are the values inside its window of `window_s` seconds.
pub(super) fn measures(
    workload: &WorkloadHeader,
    sets: &[MeasureSet],
    in_window: &[u64],
    window_s: f64,
) -> Vec<MeasureInfo> {
    let measured = workload.measures.iter().zip(sets).zip(in_window);
    measured.map(|((measure, set), in_window)| info(measure, set, *in_window, window_s)).collect()
}

fn info(measure: &MeasureHeader, set: &MeasureSet, in_window: u64, window_s: f64) -> MeasureInfo {
    let mut info = MeasureInfo {
        name: measure.name.clone(),
        statement: measure.statement.clone(),
        column: measure.column.clone(),
        count: set.count,
        per_s: if window_s > 0.0 { in_window as f64 / window_s } else { 0.0 },
        missing: set.missing,
        negative: set.negative,
        ..MeasureInfo::default()
    };
    let values = measure.unit.map(|unit| (unit.base(), of_values(&set.values)));
    match values {
        Some((BaseUnit::Us, values)) => info.value_us = Some(values),
        Some((BaseUnit::Bytes, values)) => info.value_bytes = Some(values),
        Some((BaseUnit::Count, values)) => info.value_count = Some(values),
        None => {}
    }
    let fraction = |part: u64| (set.count > 0).then(|| part as f64 / set.count as f64);
    info.order = measure.order.map(|direction| OrderInfo {
        direction,
        in_client: set.out_of_order_in_client,
        in_client_fraction: fraction(set.out_of_order_in_client),
        in_worker: set.out_of_order_in_worker,
        in_worker_fraction: fraction(set.out_of_order_in_worker),
    });
    info
}

/// The gauge that a probe of this name reads.
pub(super) fn gauge_of_probe(probe: &str) -> Option<&str> {
    probe.strip_prefix(GAUGE_PROBE)
}

/// The gauges of one stage, by name.
#[derive(Debug, Default)]
pub(super) struct Gauges(BTreeMap<String, Series>);

/// What one gauge was read to stand at, in its declared unit.
#[derive(Debug, Default)]
struct Series {
    readings: Vec<(Stamp, f64)>,
    /// Every so many readings one is told.
    every: u64,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    last: f64,
    gaps: u64,
}

impl Gauges {
    pub(super) fn add(&mut self, name: &str, value: f64, window: Span) {
        self.0.entry(name.to_owned()).or_default().add(window.to, value);
    }

    pub(super) fn add_gaps(&mut self, name: &str, gaps: u64) {
        if gaps > 0 {
            self.0.entry(name.to_owned()).or_default().gaps += gaps;
        }
    }

    pub(super) fn to_model(&self, workload: &WorkloadHeader, begun_at: Stamp) -> Vec<model::GaugeInfo> {
        workload.gauges.iter().map(|gauge| self.info(gauge, begun_at)).collect()
    }

    fn info(&self, gauge: &GaugeHeader, begun_at: Stamp) -> model::GaugeInfo {
        let mut info =
            model::GaugeInfo { name: gauge.name.clone(), unit: gauge.unit, ..model::GaugeInfo::default() };
        let Some(series) = self.0.get(&gauge.name) else { return info };
        info.readings = series.count;
        info.gaps = series.gaps;
        let levels = series.levels(f64::from(gauge.unit.of_base()), begun_at);
        match gauge.unit.base() {
            BaseUnit::Us => info.level_us = levels,
            BaseUnit::Bytes => info.level_bytes = levels,
            BaseUnit::Count => info.level_count = levels,
        }
        info
    }
}

impl Series {
    fn add(&mut self, at: Stamp, value: f64) {
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = if self.count == 0 { value } else { self.max.max(value) };
        self.last = value;
        self.sum += value;
        self.every = self.every.max(1);
        if self.count.is_multiple_of(self.every) {
            self.readings.push((at, value));
        }
        self.count += 1;
        if self.readings.len() > READINGS_MAX {
            let mut index = 0_usize;
            self.readings.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.every *= 2;
        }
    }

    fn levels(&self, of_base: f64, begun_at: Stamp) -> Option<Levels> {
        let (_, first) = self.readings.first()?;
        Some(Levels {
            first: first * of_base,
            min: self.min * of_base,
            mean: self.sum / self.count as f64 * of_base,
            max: self.max * of_base,
            last: self.last * of_base,
            readings: self
                .readings
                .iter()
                .map(|(at, value)| LevelAt { t_s: (*at - begun_at).as_secs_f64(), level: value * of_base })
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_series_is_thinned_and_its_extremes_are_not() {
        let mut series = Series::default();
        for reading in 0..25_000_u32 {
            let value = if reading == 12_345 { -7.0 } else { f64::from(reading) };
            series.add(Stamp(u64::from(reading) * 1_000_000_000), value);
        }
        let levels = series.levels(1000.0, Stamp::ZERO).expect("there are readings");
        assert!((5_000..=READINGS_MAX).contains(&levels.readings.len()), "{}", levels.readings.len());
        let ends = (levels.first, levels.min, levels.max, levels.last);
        assert_eq!(ends, (0.0, -7_000.0, 24_999_000.0, 24_999_000.0));
        let steps: Vec<f64> = levels.readings.windows(2).map(|pair| pair[1].t_s - pair[0].t_s).collect();
        assert!(steps.iter().all(|step| (step - steps[0]).abs() < 1e-6), "what is left stands evenly");
        let mean = 1000.0 * ((0..25_000_u32).map(f64::from).sum::<f64>() - 12_345.0 - 7.0) / 25_000.0;
        assert!((levels.mean - mean).abs() < 1e-6 * mean, "{} {mean}", levels.mean);
    }
}
