//! A row of little bars for values over time. Knows nothing of what they mean.

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One mark for each value, from nothing to `top`; a space where there is no value, `·` where it is nothing.
pub(super) fn spark(values: &[Option<f64>], top: f64) -> String {
    values.iter().map(|value| value.map_or(' ', |value| mark(value, top))).collect()
}

fn mark(value: f64, top: f64) -> char {
    if value <= 0.0 || top <= 0.0 {
        return '·';
    }
    // At most eight levels: the cast cannot lose anything.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let level = ((value / top).clamp(0.0, 1.0) * LEVELS.len() as f64).round() as usize;
    LEVELS[level.clamp(1, LEVELS.len()) - 1]
}

/// How many values stand behind each of at most `columns` marks.
pub(super) fn values_per_mark(values: usize, columns: usize) -> usize {
    values.div_ceil(columns.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::{spark, values_per_mark};

    #[test]
    fn nothing_the_least_and_the_most_differ() {
        let values = [None, Some(0.0), Some(0.1), Some(4.0), Some(8.0), Some(9.0)];
        assert_eq!(spark(&values, 8.0), " ·▁▄██");
        assert_eq!(spark(&[Some(0.0)], 0.0), "·");
    }

    #[test]
    fn marks_fit() {
        assert_eq!(values_per_mark(60, 60), 1);
        assert_eq!(values_per_mark(61, 60), 2);
        assert_eq!(values_per_mark(0, 60), 1);
    }
}
