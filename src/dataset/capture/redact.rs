//! What becomes of values before they leave: numbers and times move between their neighbours, so that rank and spread stay; texts
//! become other texts of the same lengths in the same order. Pure; the same input gives the same output.

use std::cmp::Ordering;

use super::facts::TypeKind;
use crate::generate::Key;
use crate::units::Seed;

/// Numbers lie densely where at least every fourth number between the first and the last is taken: then a number tells nothing but
/// that it lies there.
const DENSE: f64 = 4.0;
/// A range of so few numbers is that of ratings, counts and codes.
const NARROW: i128 = 100;
/// The only value of a column moves down to the next multiple of this: an instant to a round number of seconds, a number to one of
/// hundreds of thousands.
const ALONE: i128 = 10_000_000;
/// Characters of texts that are made up.
const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";

/// How values of a type are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Int,
    /// Exact decimals with so many digits after the point.
    Decimal(usize),
    Date,
    Timestamp,
    /// Microseconds since midnight.
    Time,
    /// Microseconds.
    Interval,
    /// Hundredths.
    Money,
}

impl Form {
    /// The form of a type, given all of its values that are known.
    pub(super) fn of<'a>(kind: &TypeKind, values: impl Iterator<Item = &'a String>) -> Option<Self> {
        Some(match kind {
            TypeKind::Int(_) => Self::Int,
            TypeKind::Decimal => {
                let digits = |text: &String| text.split_once('.').map_or(0, |(_, behind)| behind.len());
                Self::Decimal(values.map(digits).max().unwrap_or(0))
            }
            TypeKind::Date => Self::Date,
            TypeKind::Timestamp => Self::Timestamp,
            TypeKind::Time => Self::Time,
            TypeKind::Interval => Self::Interval,
            TypeKind::Money => Self::Money,
            _ => return None,
        })
    }

    /// A value as a number; nothing for what has none, such as infinity.
    pub(super) fn read(self, text: &str) -> Option<i128> {
        match self {
            Self::Int => text.parse().ok(),
            Self::Decimal(digits) => decimal(text, digits),
            Self::Date => {
                let date: jiff::civil::Date = text.parse().ok()?;
                let instant = jiff::tz::TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
                Some(i128::from(instant.as_second().div_euclid(86_400)))
            }
            Self::Timestamp => {
                // The server writes whole hours of an offset only, and all times are asked for in UTC.
                let text = text.strip_suffix("+00").unwrap_or(text);
                let civil: jiff::civil::DateTime = text.parse().ok()?;
                let instant = jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?;
                Some(i128::from(instant.as_microsecond()))
            }
            Self::Time => {
                let clock = text.split(['+', '-']).next()?;
                // The end of a day is no beginning of one.
                Some(clock_us(clock)?.min(86_399_999_999))
            }
            Self::Interval => interval_us(text),
            Self::Money => {
                let digits: String =
                    text.chars().filter(|c| c.is_ascii_digit() || ".-".contains(*c)).collect();
                decimal(&digits, 2)
            }
        }
    }

    /// The type of a histogram of such values.
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Self::Int => "integer",
            Self::Decimal(_) | Self::Money => "decimal",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Time => "time",
            Self::Interval => "interval",
        }
    }

    /// A number as it stands in a document.
    pub(super) fn write(self, value: i128) -> String {
        let second = |second: i128| {
            i64::try_from(second).ok().and_then(|second| jiff::Timestamp::from_second(second).ok())
        };
        match self {
            Self::Int => value.to_string(),
            Self::Money => Self::Decimal(2).write(value),
            Self::Interval => {
                let seconds = Self::Decimal(6).write(value);
                let seconds = seconds.trim_matches('"').trim_end_matches('0').trim_end_matches('.');
                format!("\"PT{seconds}S\"")
            }
            Self::Time => {
                let (second, fraction) = (value / 1_000_000, value % 1_000_000);
                let clock = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
                if fraction == 0 { format!("\"{clock}\"") } else { format!("\"{clock}.{fraction:06}\"") }
            }
            Self::Decimal(0) => format!("\"{value}\""),
            Self::Decimal(digits) => {
                let sign = if value < 0 { "-" } else { "" };
                let text = format!("{:0>width$}", value.unsigned_abs(), width = digits + 1);
                let (whole, behind) = text.split_at(text.len() - digits);
                format!("\"{sign}{whole}.{behind}\"")
            }
            Self::Date => second(value * 86_400).map_or_else(
                || "\"1970-01-01\"".to_owned(),
                |instant| format!("\"{}\"", jiff::tz::TimeZone::UTC.to_datetime(instant).date()),
            ),
            Self::Timestamp => {
                let instant =
                    i64::try_from(value).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
                format!("\"{}\"", instant.unwrap_or_default())
            }
        }
    }
}

/// Microseconds of `04:05:06.5`.
fn clock_us(text: &str) -> Option<i128> {
    let mut parts = text.split(':');
    let mut part = || parts.next().unwrap_or("0").parse::<i128>().ok();
    let (hours, minutes) = (part()?, part()?);
    let seconds = decimal(parts.next().unwrap_or("0"), 6)?;
    Some((hours * 3600 + minutes * 60) * 1_000_000 + seconds)
}

/// Microseconds of `1 year 2 mons 3 days 04:05:06.5` and its like: months of 30 days, as the server compares them.
fn interval_us(text: &str) -> Option<i128> {
    const DAY_US: i128 = 86_400_000_000;
    let mut sum = 0;
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut at = 0;
    while at < words.len() {
        let word = words[at];
        if word.contains(':') {
            let sign = if word.starts_with('-') { -1 } else { 1 };
            sum += sign * clock_us(word.trim_start_matches(['-', '+']))?;
            at += 1;
            continue;
        }
        let number: i128 = word.trim_start_matches('+').parse().ok()?;
        let days = match words.get(at + 1)?.trim_end_matches('s') {
            "day" => 1,
            "mon" => 30,
            "year" => 360,
            _ => return None,
        };
        sum += number * days * DAY_US;
        at += 2;
    }
    Some(sum)
}

fn decimal(text: &str, digits: usize) -> Option<i128> {
    let (sign, unsigned) = text.strip_prefix('-').map_or((1, text), |unsigned| (-1, unsigned));
    let (whole, behind) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    if whole.is_empty() || !whole.bytes().chain(behind.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padding = digits.checked_sub(behind.len())?;
    // Eighteen digits are what a histogram can hold.
    let number: i64 = format!("{whole}{behind}{:0<padding$}", "").parse().ok()?;
    (number < 1_000_000_000_000_000_000).then(|| sign * i128::from(number))
}

/// Whether numbers, in ascending order, lie so densely among `distinct` ones that they can stay. A short stretch of time is not a code.
pub(super) fn is_dense(form: Form, points: &[i128], distinct: f64) -> bool {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return true };
    let width = last - first + 1;
    (form == Form::Int && width <= NARROW) || (width > 1 && width as f64 <= DENSE * distinct)
}

/// Numbers, in ascending order and each once, moved up into the gap to the next one; the last one moves down. Their order stays,
/// those between neighbours that touch stay.
pub(super) fn moved(points: &[i128], name: &str) -> Vec<i128> {
    let key = Key::root(Seed(0)).name(name);
    let mut moved: Vec<i128> = Vec::with_capacity(points.len());
    for (at, point) in points.iter().enumerate() {
        // A share of the gap from a quarter to three quarters.
        let share = 0.25 + 0.5 * key.at(at as u64, 0).unit();
        let inside = |gap: i128| {
            // Gaps of 64-bit numbers; a share of one lies within it.
            #[expect(clippy::cast_possible_truncation)]
            let step = (gap as f64 * share) as i128;
            step.clamp(1, (gap - 1).max(1))
        };
        moved.push(match points.get(at + 1) {
            Some(next) if next - point > 1 => point + inside(next - point),
            Some(_) => *point,
            None if at == 0 => point - point.rem_euclid(ALONE),
            None => match moved.last() {
                Some(before) if point - before > 1 => before + inside(point - before),
                _ => *point,
            },
        });
    }
    moved
}

/// The same of floating-point numbers.
pub(super) fn moved_floats(points: &[f64], name: &str) -> Vec<f64> {
    let key = Key::root(Seed(0)).name(name);
    let mut moved: Vec<f64> = Vec::with_capacity(points.len());
    for (at, point) in points.iter().enumerate() {
        let share = 0.25 + 0.5 * key.at(at as u64, 0).unit();
        let (low, high) = match points.get(at + 1) {
            Some(next) => (*point, *next),
            None => (moved.last().copied().unwrap_or(*point), *point),
        };
        moved.push(low + (high - low) * share);
    }
    moved
}

/// The order of texts in most languages: letters and digits first, whatever their case, then all of it.
pub(super) fn in_words(a: &str, b: &str) -> Ordering {
    let bare = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    bare(a).cmp(&bare(b)).then_with(|| a.cmp(b))
}

/// As many texts as there are lengths (in characters), in ascending order, no two alike: of those lengths where there is room for so
/// many different ones, else a little longer. An empty one stays empty.
pub(super) fn made_up(lengths: &[usize], name: &str) -> Vec<String> {
    let key = Key::root(Seed(0)).name(name);
    let count = lengths.len().max(1);
    let mut width = 1;
    let mut room = LETTERS.len();
    while room < count {
        width += 1;
        room = room.saturating_mul(LETTERS.len());
    }
    let made = |(at, length): (usize, &usize)| {
        if *length == 0 && at == 0 {
            return String::new();
        }
        // Spread over all that the first letters can be, so that there is room between any two.
        let mut rank = at * (room / count) + room / count / 2;
        let mut text = vec![b'a'; width];
        for letter in text.iter_mut().rev() {
            *letter = LETTERS[rank % LETTERS.len()];
            rank /= LETTERS.len();
        }
        let mut stream = key.at(at as u64, 0);
        while text.len() < *length {
            // Below the number of letters.
            text.push(LETTERS[usize::try_from(stream.below(LETTERS.len() as u64)).unwrap_or(0)]);
        }
        String::from_utf8(text).unwrap_or_default()
    };
    lengths.iter().enumerate().map(made).collect()
}

/// So many of a list at equal distances, the first and the last among them.
pub(super) fn thinned<T: Clone>(all: &[T], most: usize) -> Vec<T> {
    if all.len() <= most || most < 2 {
        return all.to_vec();
    }
    (0..most).map(|at| all[at * (all.len() - 1) / (most - 1)].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_money_are_numbers_and_come_back() {
        assert_eq!(Form::Interval.read("1 day 02:00:01.5"), Some(93_601_500_000));
        assert_eq!(Form::Interval.read("-00:01:00"), Some(-60_000_000));
        assert_eq!(Form::Interval.read("1 year 1 mon -1 days"), Some((390 - 1) * 86_400_000_000));
        assert_eq!(Form::Interval.write(-1_500_000), "\"PT-1.5S\"");
        assert_eq!(Form::Interval.write(600_000_000), "\"PT600S\"");
        assert_eq!(
            Form::Time.read("08:30:00.5+02").map(|of| Form::Time.write(of)),
            Some("\"08:30:00.500000\"".into())
        );
        assert_eq!(
            Form::Time.read("24:00:00").map(|of| Form::Time.write(of)),
            Some("\"23:59:59.999999\"".into())
        );
        assert_eq!(
            Form::Money.read("-$1,234.50").map(|of| Form::Money.write(of)),
            Some("\"-1234.50\"".into())
        );
    }

    #[test]
    fn numbers_keep_their_rank_and_leave_their_places() {
        let points = [3, 90, 1_000, 50_000, 50_001, 900_000];
        let moved = moved(&points, "t.c");
        assert!(moved.windows(2).all(|pair| pair[0] < pair[1]), "{moved:?}");
        let kept: Vec<&i128> = moved.iter().filter(|value| points.contains(value)).collect();
        // Between two that touch there is no room.
        assert_eq!(kept, [&50_000]);
        assert!(moved[0] > 3 && moved[5] < 900_000, "within what was there: {moved:?}");
        assert_eq!(super::moved(&points, "t.c"), moved, "and the same each time");
    }

    #[test]
    fn ratings_stay_and_card_numbers_do_not() {
        assert!(is_dense(Form::Int, &[1, 2, 3, 4, 5], 5.0));
        assert!(is_dense(Form::Int, &[1, 250_000, 1_000_000], 900_000.0), "a serial number");
        assert!(!is_dense(Form::Int, &[4_000_000_000, 4_999_999_999], 10_000.0));
        // One instant for all rows is somebody's all the same.
        assert!(!is_dense(Form::Timestamp, &[1_764_149_063_227_574], 1.0));
        assert_eq!(moved(&[1_764_149_063_227_574], "t.c"), [1_764_149_060_000_000]);
    }

    #[test]
    fn texts_keep_lengths_and_order_and_nothing_else() {
        let lengths: Vec<usize> = (0..200).map(|at| 2 + at % 7).collect();
        let texts = made_up(&lengths, "t.c");
        assert!(texts.windows(2).all(|pair| pair[0] < pair[1]), "{texts:?}");
        assert!(texts.iter().zip(&lengths).all(|(text, length)| text.len() == *length));
        assert_eq!(made_up(&[0, 3], "t.c")[0], "");
        // 27 texts of one letter cannot be: they become longer.
        assert!(made_up(&[1; 27], "t.c").iter().all(|text| text.len() == 2));
    }

    #[test]
    fn values_are_read_as_the_server_writes_them() {
        assert_eq!(Form::Timestamp.read("1970-01-01 00:00:01.5+00"), Some(1_500_000));
        assert_eq!(Form::Timestamp.read("1970-01-01 00:00:01"), Some(1_000_000));
        assert_eq!(Form::Timestamp.read("infinity"), None);
        assert_eq!(Form::Date.read("1970-01-03"), Some(2));
        assert_eq!(Form::Decimal(2).read("-1.5"), Some(-150));
        assert_eq!(Form::Decimal(2).read("NaN"), None);
        assert_eq!(Form::Decimal(2).write(-5), "\"-0.05\"");
        assert_eq!(Form::Date.write(2), "\"1970-01-03\"");
        assert_eq!(Form::Timestamp.write(1_500_000), "\"1970-01-01T00:00:01.5Z\"");
    }

    #[test]
    fn a_long_list_is_thinned_evenly() {
        assert_eq!(thinned(&(0..101).collect::<Vec<_>>(), 5), [0, 25, 50, 75, 100]);
        assert_eq!(thinned(&[1, 2], 5), [1, 2]);
    }
}
