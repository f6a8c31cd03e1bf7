//! How the rows of a table are spread over the rows that they refer to, from what `ANALYZE` found of the column. Knows no server.

use super::column::number;
use super::facts::{ColumnStatistics, TableFacts};

/// Rows stand beside one another in the order of their parents from this correlation on.
const IN_ORDER: f64 = 0.9;
/// All parents have rows where at least this share of them was seen.
const ALL: f64 = 0.97;
/// An exponent below it is none.
const EXPONENT_MIN: f64 = 0.05;
const EXPONENT_MAX: f64 = 4.0;
/// A correlation nearer to zero is none.
const CORRELATION_MIN: f64 = 0.05;

/// How a column refers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FanOut {
    /// As it stands in the document: `fan_out = { zipf = 1.05 }`, or nothing.
    pub(super) text: String,
    pub(super) unique: bool,
    pub(super) correlation: Option<f64>,
    /// How many rows the table must have for it.
    pub(super) rows: Option<u64>,
}

impl FanOut {
    fn of(text: String) -> Self {
        Self { text, ..Self::default() }
    }

    fn each(least: u64, most: u64, rows: Option<u64>) -> Self {
        Self { text: format!("fan_out = {{ each = [{least}, {most}] }}"), rows, ..Self::default() }
    }
}

/// What is known of both sides.
pub(super) struct Sides<'a> {
    pub(super) rows: u64,
    pub(super) parents: u64,
    pub(super) known: Option<&'a ColumnStatistics>,
    /// What is known of the column that numbers the rows of each parent.
    pub(super) ordinal: Option<&'a ColumnStatistics>,
    pub(super) counted: bool,
    /// Most rows of one parent, where they refer to different rows of another table.
    pub(super) most: Option<u64>,
}

/// The best first; the last one always can be.
pub(super) fn fan_outs(sides: &Sides<'_>) -> Vec<FanOut> {
    let mut found = vec![];
    let mean = sides.rows as f64 / sides.parents as f64;
    if sides.counted {
        found.extend(sides.ordinal.and_then(|ordinal| by_ordinal(sides, ordinal)));
        found.push(by_mean(sides, mean));
        let most = whole(mean.ceil() * 2.0 + 1.0);
        found.push(FanOut::each(0, sides.most.map_or(most, |limit| most.min(limit)).max(1), None));
        return found;
    }
    let correlation = sides.known.and_then(|known| known.correlation);
    if let Some(known) = sides.known {
        if is_once(sides, known) {
            let correlation = correlation.filter(|of| of.abs() >= CORRELATION_MIN);
            found.push(FanOut { unique: true, correlation, ..FanOut::default() });
            found.push(FanOut { unique: true, ..FanOut::default() });
        }
        if is_beside(sides, known) {
            found.push(by_mean(sides, mean));
        }
        if !is_in_order(known)
            && let Some(exponent) = exponent(known, sides.parents)
        {
            found.push(FanOut::of(format!("fan_out = {{ zipf = {} }}", number(exponent))));
        }
    }
    let correlation = correlation.filter(|of| of.abs() >= CORRELATION_MIN);
    found.push(FanOut { correlation, ..FanOut::default() });
    found.push(FanOut::default());
    found
}

/// How many rows the best of them asks for, if it does.
pub(super) fn rows_wanted(sides: &Sides<'_>) -> Option<u64> {
    let mean = sides.rows as f64 / sides.parents as f64;
    if sides.counted {
        let counted = sides.ordinal.and_then(|ordinal| by_ordinal(sides, ordinal));
        return counted.unwrap_or_else(|| by_mean(sides, mean)).rows;
    }
    let known = sides.known.filter(|known| !is_once(sides, known) && is_beside(sides, known));
    known.and_then(|_| by_mean(sides, mean).rows)
}

fn is_in_order(known: &ColumnStatistics) -> bool {
    known.correlation.is_some_and(|of| of >= IN_ORDER)
}

/// Whether no two rows refer to the same one.
fn is_once(sides: &Sides<'_>, known: &ColumnStatistics) -> bool {
    let distinct = known.distinct_among(sides.rows as f64);
    distinct >= 0.99 * sides.rows as f64 && sides.rows <= sides.parents && known.common.is_empty()
}

/// Whether the rows of each parent stand beside one another, about as many of each.
fn is_beside(sides: &Sides<'_>, known: &ColumnStatistics) -> bool {
    let mean = sides.rows as f64 / sides.parents as f64;
    is_in_order(known) && mean < 1000.0 && !is_skewed(known, mean, sides.rows as f64)
}

/// Whether the most common parent has many times the mean.
fn is_skewed(known: &ColumnStatistics, mean: f64, rows: f64) -> bool {
    known.frequencies.first().is_some_and(|share| share * rows > 8.0 * mean.max(1.0) + 8.0)
}

/// From so many to so many, by the mean and by how many parents have any.
fn by_mean(sides: &Sides<'_>, mean: f64) -> FanOut {
    let seen =
        sides.known.map_or(1.0, |known| known.distinct_among(sides.rows as f64) / sides.parents as f64);
    let exact = mean.round();
    if seen >= ALL && (mean - exact).abs() < 0.02 * exact && exact < 2.0 {
        let each = whole(exact).max(1);
        return FanOut::each(each, each, Some(sides.parents * each));
    }
    let least = u64::from(seen >= ALL && mean > 1.0);
    // As far above the mean as the least is below it.
    let most = whole((2.0 * mean - least as f64).round()).max(whole(mean.ceil())).max(least + 1);
    FanOut::each(least, sides.most.map_or(most, |limit| most.min(limit)), None)
}

/// By the numbers 1, 2, … within each parent: as many parents have at least k rows as there are rows with number k.
fn by_ordinal(sides: &Sides<'_>, ordinal: &ColumnStatistics) -> Option<FanOut> {
    let mut counts: Vec<(u64, f64)> = ordinal
        .common
        .iter()
        .zip(&ordinal.frequencies)
        .filter_map(|(text, share)| Some((text.parse().ok()?, share * sides.rows as f64)))
        .collect();
    counts.sort_by_key(|(at, _)| *at);
    let is_whole = ordinal.bounds.is_empty()
        && !counts.is_empty()
        && counts.iter().zip(1..).all(|((number, _), expected)| *number == expected);
    if !is_whole {
        return None;
    }
    let (first, last) = (counts.first()?.1, counts.last()?.1);
    let most = counts.last()?.0;
    if last >= ALL * first && first >= ALL * sides.parents as f64 {
        return Some(FanOut::each(most, most, Some(sides.parents * most)));
    }
    let least = u64::from(first >= ALL * sides.parents as f64);
    let within = sides.rows >= sides.parents * least && sides.rows <= sides.parents * most;
    within.then(|| FanOut::each(least, most, None))
}

/// The exponent of Zipf's law by which the most common values have the share of the rows that they have.
pub(super) fn exponent(known: &ColumnStatistics, parents: u64) -> Option<f64> {
    let seen = known.frequencies.len() as u64;
    if seen == 0 || parents < 2 {
        return None;
    }
    let nulls = (1.0 - known.null_fraction).max(f64::MIN_POSITIVE);
    // Where nearly all parents are listed their sum says nothing: then the first one tells.
    let ranks = if seen * 10 >= parents * 9 { 1 } else { seen };
    let kept = usize::try_from(ranks).unwrap_or(usize::MAX);
    let share = known.frequencies.iter().take(kept).sum::<f64>() / nulls;
    let (mut low, mut high) = (0.0, EXPONENT_MAX);
    // To a ten-thousandth: it is written with three digits.
    for _ in 0..16 {
        let middle = f64::midpoint(low, high);
        if sum(ranks, middle) / sum(parents, middle) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low >= EXPONENT_MIN).then(|| (low * 1000.0).round() / 1000.0)
}

/// Σ k^-s over the first `n` ranks: the first two hundred one by one, the others by the integral.
fn sum(n: u64, s: f64) -> f64 {
    const SINGLE: u64 = 200;
    let single: f64 = (1..=n.min(SINGLE)).map(|k| (k as f64).powf(-s)).sum();
    if n <= SINGLE {
        return single;
    }
    let (from, to) = (SINGLE as f64 + 0.5, n as f64 + 0.5);
    let rest = if (s - 1.0).abs() < 1e-9 {
        (to / from).ln()
    } else {
        (to.powf(1.0 - s) - from.powf(1.0 - s)) / (1.0 - s)
    };
    single + rest
}

/// The number of rows that a document says.
pub(super) fn rows_of(table: &TableFacts) -> u64 {
    whole(table.rows.round()).max(1)
}

/// A float that is a whole number, far below 2^53.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn whole(value: f64) -> u64 {
    value.max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(frequencies: Vec<f64>, distinct: f64, correlation: f64) -> ColumnStatistics {
        let common = (0..frequencies.len()).map(|at| at.to_string()).collect();
        ColumnStatistics {
            common,
            frequencies,
            distinct,
            correlation: Some(correlation),
            ..Default::default()
        }
    }

    fn sides(rows: u64, parents: u64, known: &ColumnStatistics) -> Sides<'_> {
        Sides { rows, parents, known: Some(known), ordinal: None, counted: false, most: None }
    }

    /// The shares of the hundred favourites of a law give the law back.
    #[test]
    fn a_zipf_law_is_found_again() {
        for (exponent_wanted, parents) in [(0.5, 60_000), (1.0, 40_000), (0.6, 200), (1.5, 3)] {
            let total = sum(parents, exponent_wanted);
            let shares = (1..=parents.min(100)).map(|k| (k as f64).powf(-exponent_wanted) / total).collect();
            let found = exponent(&known(shares, parents as f64, 0.0), parents).expect("it is skewed");
            assert!((found - exponent_wanted).abs() < 0.02, "{found} for {exponent_wanted}");
        }
        let even = known(vec![0.01; 100], 100.0, 0.0);
        assert_eq!(exponent(&even, 100), None, "all alike");
    }

    #[test]
    fn lines_beside_one_another_are_counted_and_payments_are_one_each() {
        let lines = known(vec![], -0.357, 1.0);
        assert_eq!(fan_outs(&sides(560_000, 200_000, &lines))[0].text, "fan_out = { each = [1, 5] }");
        let payments = known(vec![], -1.0, 1.0);
        assert!(fan_outs(&sides(200_000, 200_000, &payments))[0].unique);
    }

    #[test]
    fn numbers_within_a_parent_tell_how_many_there_are() {
        let fk = known(vec![], -0.5, 1.0);
        let two = ColumnStatistics {
            common: vec!["1".into(), "2".into()],
            frequencies: vec![0.5, 0.5],
            ..ColumnStatistics::default()
        };
        let found = fan_outs(&Sides { ordinal: Some(&two), counted: true, ..sides(80_010, 40_000, &fk) });
        assert_eq!((found[0].text.as_str(), found[0].rows), ("fan_out = { each = [2, 2] }", Some(80_000)));
    }
}
