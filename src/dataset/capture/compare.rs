//! How far the statistics of one database are from those of another, column by column. Every distance lies between 0, the same, and 1.
//! Knows no server.

use serde::Serialize;

use super::facts::{ColumnFacts, ColumnStatistics, DatabaseFacts, TableFacts};
use super::redact::Form;

/// Places along the distribution of a column at which two are compared.
const QUANTILES: usize = 20;

/// How far one column is from its like.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnDistance {
    /// `table.column`
    pub column: String,
    /// Difference of the shares of NULLs.
    pub null_fraction: f64,
    /// One less the ratio of the numbers of different values, the smaller by the larger.
    pub distinct: f64,
    /// Half of the sum of all differences of the shares of the common values, the most common with the most common and so on.
    pub common: f64,
    /// Mean difference along the distribution, as a share of its range; absent where values have no number.
    pub histogram: Option<f64>,
    /// One less the ratio of the mean widths.
    pub width: f64,
    /// Half of the difference of the correlations; absent where there is none.
    pub correlation: Option<f64>,
    /// One less the mean of all distances.
    pub score: f64,
}

/// Compares all columns of the first that the second has too.
#[must_use]
pub fn compare(source: &DatabaseFacts, copy: &DatabaseFacts) -> Vec<ColumnDistance> {
    let mut all = vec![];
    for table in &source.tables {
        let is_same = |of: &&TableFacts| of.schema == table.schema && of.relation == table.relation;
        let Some(other) = copy.tables.iter().find(is_same) else { continue };
        for column in &table.columns {
            let Some(there) = other.column(&column.name) else { continue };
            if let (Some(one), Some(two)) = (&column.statistics, &there.statistics) {
                let name = format!("{}.{}", table.name, column.name);
                all.push(distance(name, column, (one, table.rows), (two, other.rows)));
            }
        }
    }
    all
}

fn distance(
    name: String,
    column: &ColumnFacts,
    (one, rows_one): (&ColumnStatistics, f64),
    (two, rows_two): (&ColumnStatistics, f64),
) -> ColumnDistance {
    let mut distance = ColumnDistance {
        column: name,
        null_fraction: (one.null_fraction - two.null_fraction).abs(),
        distinct: distinct(one, rows_one, two, rows_two),
        common: common(one, two),
        histogram: histogram(column, one, two),
        width: ratio(one.width, two.width),
        correlation: one.correlation.zip(two.correlation).map(|(a, b)| (a - b).abs() / 2.0),
        score: 0.0,
    };
    let always = [distance.null_fraction, distance.distinct, distance.common, distance.width];
    let all: Vec<f64> = always.into_iter().chain(distance.histogram).chain(distance.correlation).collect();
    distance.score = 1.0 - all.iter().sum::<f64>() / all.len() as f64;
    distance
}

/// One less the smaller by the larger.
fn ratio(a: f64, b: f64) -> f64 {
    let (low, high) = (a.min(b), a.max(b));
    if high <= 0.0 { 0.0 } else { 1.0 - low / high }
}

/// Both as numbers, or as shares of the rows where one of them is a share: those grow with the table.
fn distinct(one: &ColumnStatistics, rows_one: f64, two: &ColumnStatistics, rows_two: f64) -> f64 {
    if one.distinct >= 0.0 && two.distinct >= 0.0 {
        return ratio(one.distinct, two.distinct);
    }
    let share = |of: &ColumnStatistics, rows: f64| of.distinct_among(rows) / rows.max(1.0);
    ratio(share(one, rows_one), share(two, rows_two))
}

fn common(one: &ColumnStatistics, two: &ColumnStatistics) -> f64 {
    let count = one.frequencies.len().max(two.frequencies.len());
    let at = |of: &ColumnStatistics, rank: usize| of.frequencies.get(rank).copied().unwrap_or(0.0);
    // A list that ends where the other goes on says nothing of what is behind its end.
    let both = one.frequencies.len().min(two.frequencies.len());
    let counted = if both == 0 { count } else { both };
    // Of nothing the sum is a negative zero.
    (0..counted).map(|rank| (at(one, rank) - at(two, rank)).abs()).sum::<f64>() / 2.0 + 0.0
}

fn histogram(column: &ColumnFacts, one: &ColumnStatistics, two: &ColumnStatistics) -> Option<f64> {
    let quantiles = |of: &ColumnStatistics| {
        let form = Form::of(&column.kind, of.bounds.iter())?;
        let bounds: Vec<f64> =
            of.bounds.iter().filter_map(|text| form.read(text).map(|v| v as f64)).collect();
        let (first, last) = (*bounds.first()?, *bounds.last()?);
        if last <= first || bounds.len() < 2 {
            return None;
        }
        let at = |quantile: usize| {
            let place = (bounds.len() - 1) as f64 * quantile as f64 / QUANTILES as f64;
            let low = super::fan_out::whole(place.floor());
            let low = usize::try_from(low).unwrap_or(0).min(bounds.len() - 2);
            let value = bounds[low] + (bounds[low + 1] - bounds[low]) * (place - low as f64);
            (value - first) / (last - first)
        };
        Some((0..=QUANTILES).map(at).collect::<Vec<f64>>())
    };
    let (one, two) = (quantiles(one)?, quantiles(two)?);
    Some(one.iter().zip(&two).map(|(a, b)| (a - b).abs()).sum::<f64>() / one.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::capture::TypeKind;

    fn column() -> ColumnFacts {
        ColumnFacts::plain("c", "integer", TypeKind::Int(4))
    }

    fn statistics(bounds: &[i32], distinct: f64) -> ColumnStatistics {
        ColumnStatistics {
            width: 4.0,
            distinct,
            bounds: bounds.iter().map(ToString::to_string).collect(),
            correlation: Some(0.5),
            ..ColumnStatistics::default()
        }
    }

    #[test]
    fn the_same_has_no_distance_and_another_shape_has_one() {
        let even = statistics(&[0, 25, 50, 75, 100], -0.5);
        let same = distance("c".into(), &column(), (&even, 100.0), (&even, 100.0));
        assert!((same.score - 1.0).abs() < 1e-9, "{same:?}");
        let steep = statistics(&[0, 1, 2, 3, 100], -0.25);
        let other = distance("c".into(), &column(), (&even, 100.0), (&steep, 100.0));
        // Half as many values; and at most quantiles 2 or 3 in place of 50 or 75.
        assert!(
            (other.distinct - 0.5).abs() < 1e-9 && other.histogram.is_some_and(|of| of > 0.2),
            "{other:?}"
        );
        assert!(other.score < 0.9);
    }

    #[test]
    fn shares_grow_with_the_table_and_numbers_do_not() {
        let (share, number) = (statistics(&[], -0.5), statistics(&[], 50.0));
        assert!(distinct(&share, 100.0, &number, 100.0).abs() < 1e-9);
        assert!(distinct(&share, 1000.0, &share, 10.0).abs() < 1e-9);
    }
}
