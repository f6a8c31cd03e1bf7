//! The common values and the bounds of a histogram as points on a line, and values between two of them.

use std::cmp::Ordering;

use crate::generate::ValueKind;
use crate::generate::spec::{HistogramSpec, HistogramType, Refusal, Scalar};
use crate::generate::time::{days, micros, put_time_of_day, time_of_day};
use crate::generate::value::{Made, interval};
use crate::sql::values::Slot;

/// Digits after the point that decimals can have.
const SCALE_MAX: usize = 18;

/// Common values and bounds, both in ascending order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Points {
    /// Everything that can be counted: values as numbers, and what they stand for.
    Whole {
        form: Form,
        common: Vec<i128>,
        /// On the line from which the common values are taken out, so that no value between two bounds is a common one.
        bounds: Vec<i128>,
    },
    Floats {
        common: Vec<f64>,
        bounds: Vec<f64>,
    },
    Texts {
        common: Vec<String>,
        bounds: Vec<String>,
        /// Stands in none of them, and before what could.
        sign: char,
    },
}

/// What a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Bool,
    Int,
    Decimal { scale: u8 },
    Date,
    Timestamp,
    Time,
    Interval,
    Uuid,
}

impl Points {
    /// The points, and the order in which the common values of the description stand among them.
    pub(super) fn new(spec: &HistogramSpec) -> Result<(Self, Vec<usize>), Refusal> {
        if spec.bounds.len() == 1 {
            return Err(Refusal::new("`bounds` has one value", "groups lie between two bounds each"));
        }
        match spec.of_type.unwrap_or_else(|| likely_type(spec)) {
            HistogramType::Float => {
                let (common, bounds, order) = read(spec, float, f64::total_cmp)?;
                Ok((Self::Floats { common, bounds }, order))
            }
            HistogramType::Text => {
                let (common, bounds, order) = read(spec, |scalar| Ok(text(scalar)), String::cmp)?;
                let is_free =
                    |sign: &char| common.iter().chain(&bounds).all(|text: &String| !text.contains(*sign));
                let sign = (' '..='~').filter(|sign| !sign.is_alphanumeric()).find(is_free);
                Ok((Self::Texts { sign: sign.unwrap_or('\u{1f}'), common, bounds }, order))
            }
            of_type => {
                let form = form(of_type, spec)?;
                let (common, bounds, order) = read(spec, |scalar| form.read(scalar), i128::cmp)?;
                let bounds = bounds.into_iter().map(|bound| without(&common, bound)).collect();
                Ok((Self::Whole { form, common, bounds }, order))
            }
        }
    }

    pub(super) fn kind(&self) -> ValueKind {
        match self {
            Self::Floats { .. } => ValueKind::Float,
            Self::Texts { .. } => ValueKind::Text,
            Self::Whole { form, .. } => match form {
                Form::Bool => ValueKind::Bool,
                Form::Int => ValueKind::Int,
                Form::Decimal { .. } => ValueKind::Decimal,
                Form::Date => ValueKind::Date,
                Form::Timestamp => ValueKind::Timestamp,
                Form::Time => ValueKind::Text,
                Form::Interval => ValueKind::Interval,
                Form::Uuid => ValueKind::Uuid,
            },
        }
    }

    pub(super) fn int_range(&self) -> Option<(i64, i64)> {
        let Self::Whole { form: Form::Int, common, bounds } = self else { return None };
        let ends = bounds.first().into_iter().chain(bounds.last()).map(|&bound| with(common, bound));
        let all = || common.first().into_iter().chain(common.last()).copied().chain(ends.clone());
        let narrow = |value: i128| i64::try_from(value).ok();
        Some((narrow(all().min()?)?, narrow(all().max()?)?))
    }

    /// Groups between two bounds.
    pub(super) fn groups(&self) -> usize {
        let bounds = match self {
            Self::Whole { bounds, .. } => bounds.len(),
            Self::Floats { bounds, .. } => bounds.len(),
            Self::Texts { bounds, .. } => bounds.len(),
        };
        bounds.saturating_sub(1)
    }

    /// How many different values a group has room for.
    pub(super) fn room(&self, group: usize) -> u64 {
        match self {
            Self::Whole { bounds, .. } => u64::try_from(width(bounds, group)).unwrap_or(u64::MAX).max(1),
            Self::Floats { bounds, .. } if bounds[group] < bounds[group + 1] => 1 << 40,
            Self::Texts { bounds, .. } if bounds[group] < bounds[group + 1] => 1 << 40,
            _ => 1,
        }
    }

    /// Whether value `number` of `distinct` values of a group stands before a common one.
    pub(super) fn is_below_common(&self, index: usize, group: usize, number: u64, distinct: u64) -> bool {
        match self {
            Self::Whole { common, bounds, .. } => {
                with(common, whole_between(bounds, group, number, distinct)) < common[index]
            }
            Self::Floats { common, bounds } => float_between(bounds, group, number, distinct) < common[index],
            // Within a group texts stand in no strict order; all of a group lies on one side.
            Self::Texts { common, bounds, .. } => bounds[group] < common[index],
        }
    }

    pub(super) fn common(&self, index: usize, out: &mut Vec<u8>) -> Made {
        match self {
            Self::Whole { form, common, .. } => form.emit(common[index], out),
            Self::Floats { common, .. } => Made::Scalar(Slot::Float(common[index])),
            Self::Texts { common, .. } => {
                out.extend_from_slice(common[index].as_bytes());
                Made::Text
            }
        }
    }

    /// Value `number` of `distinct` values of a group; number 0 is its lower bound.
    pub(super) fn between(&self, group: usize, number: u64, distinct: u64, out: &mut Vec<u8>) -> Made {
        match self {
            Self::Whole { form, common, bounds } => {
                let at = whole_between(bounds, group, number, distinct);
                form.emit(with(common, at), out)
            }
            Self::Floats { bounds, .. } => {
                Made::Scalar(Slot::Float(float_between(bounds, group, number, distinct)))
            }
            Self::Texts { bounds, sign, .. } => {
                let previous = group.checked_sub(1).map_or("", |before| &bounds[before]);
                let (low, high) = (&bounds[group], &bounds[group + 1]);
                text_between([previous, low, high], *sign, number, distinct, out);
                Made::Text
            }
        }
    }
}

impl Form {
    fn emit(self, value: i128, out: &mut Vec<u8>) -> Made {
        // What was read fits its form, and what lies between two values fits as well.
        let narrow =
            |value: i128| i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX });
        Made::Scalar(match self {
            Self::Bool => Slot::Bool(value != 0),
            Self::Int => Slot::Int(narrow(value)),
            Self::Decimal { scale } => Slot::Decimal { unscaled: narrow(value), scale },
            Self::Date => Slot::Date(i32::try_from(value).unwrap_or(0)),
            Self::Timestamp => Slot::Timestamp(narrow(value)),
            Self::Uuid => Slot::Uuid(value.cast_unsigned() ^ 1 << 127),
            Self::Time => {
                put_time_of_day(narrow(value), out);
                return Made::Text;
            }
            Self::Interval => {
                interval(Made::Scalar(Slot::Decimal { unscaled: narrow(value), scale: 6 }), out);
                return Made::Text;
            }
        })
    }

    fn read(self, scalar: &Scalar) -> Result<i128, Refusal> {
        let text = text(scalar);
        let value = match self {
            Self::Bool => match text.as_str() {
                "true" | "t" => Some(1),
                "false" | "f" => Some(0),
                _ => None,
            },
            Self::Int => text.parse::<i64>().ok().map(i128::from),
            Self::Decimal { scale } => decimal(&text, scale),
            Self::Date => return days(&text).map(i128::from),
            Self::Timestamp => return micros(&text).map(i128::from),
            Self::Time => return time_of_day(&text).map(i128::from),
            Self::Interval => {
                let seconds = text.strip_prefix("PT").and_then(|text| text.strip_suffix('S'));
                seconds.and_then(|seconds| decimal(seconds, 6))
            }
            Self::Uuid => uuid(&text).map(|bits| (bits ^ 1 << 127).cast_signed()),
        };
        value.ok_or_else(|| {
            let wanted = match self {
                Self::Bool => "a truth value",
                Self::Int => "a whole number",
                Self::Decimal { .. } => "a number of at most 18 digits",
                Self::Interval => "a length of time such as `PT90.5S`",
                _ => "a UUID",
            };
            Refusal::new(format!("`{text}` is not {wanted}"), format!("{wanted} is expected"))
        })
    }
}

type Line<T> = (Vec<T>, Vec<T>, Vec<usize>);

/// Reads both lists, brings the common values into order and says where they came from.
fn read<T: PartialEq + Clone>(
    spec: &HistogramSpec,
    of: impl Fn(&Scalar) -> Result<T, Refusal>,
    compare: impl Fn(&T, &T) -> Ordering,
) -> Result<Line<T>, Refusal> {
    let values: Vec<T> = spec.common_values.iter().map(&of).collect::<Result<_, _>>()?;
    let bounds: Vec<T> = spec.bounds.iter().map(&of).collect::<Result<_, _>>()?;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| compare(&values[a], &values[b]));
    if let Some(pair) = order.windows(2).find(|pair| values[pair[0]] == values[pair[1]]) {
        let twice = text(&spec.common_values[pair[1]]);
        return Err(Refusal::new(
            format!("the common value `{twice}` comes twice"),
            "each stands there once",
        ));
    }
    if let Some(at) = bounds.windows(2).position(|pair| compare(&pair[0], &pair[1]) == Ordering::Greater) {
        // A database sorts texts by the rules of a language; byte by byte they can stand in another order.
        if matches!(spec.of_type.unwrap_or_else(|| likely_type(spec)), HistogramType::Text) {
            let mut bounds = bounds;
            bounds.sort_by(&compare);
            return Ok((order.iter().map(|&index| values[index].clone()).collect(), bounds, order));
        }
        let (low, high) = (text(&spec.bounds[at]), text(&spec.bounds[at + 1]));
        return Err(Refusal::new(
            format!("the bounds `{low}` and `{high}` are out of order"),
            "bounds stand in ascending order",
        ));
    }
    Ok((order.iter().map(|&index| values[index].clone()).collect(), bounds, order))
}

/// The number of different whole numbers between two bounds; the last group holds its upper bound as well.
fn width(bounds: &[i128], group: usize) -> u128 {
    let last = u128::from(group + 2 == bounds.len());
    bounds[group].abs_diff(bounds[group + 1]).saturating_add(last)
}

fn whole_between(bounds: &[i128], group: usize, number: u64, distinct: u64) -> i128 {
    let (width, number, distinct) = (width(bounds, group), u128::from(number), u128::from(distinct));
    // The remainder lies below `distinct`, so that the product of two 64-bit numbers is all there is.
    let offset = width / distinct * number + width % distinct * number / distinct;
    bounds[group].saturating_add_unsigned(offset)
}

fn float_between(bounds: &[f64], group: usize, number: u64, distinct: u64) -> f64 {
    let (low, high) = (bounds[group], bounds[group + 1]);
    let along = number as f64 / distinct as f64;
    // `high - low` could be more than there are numbers for.
    low * (1.0 - along) + high * along
}

/// The number of a value when the common ones are taken out; a common one has that of the next.
fn without(common: &[i128], value: i128) -> i128 {
    value - common.partition_point(|of| *of < value) as i128
}

/// The value of such a number.
fn with(common: &[i128], number: i128) -> i128 {
    let (mut low, mut high) = (0, common.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        if common[middle] - middle as i128 <= number {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    number + low as i128
}

fn likely_type(spec: &HistogramSpec) -> HistogramType {
    let all = || spec.common_values.iter().chain(&spec.bounds);
    if all().all(|scalar| matches!(scalar, Scalar::Bool(_))) {
        HistogramType::Boolean
    } else if all().all(|scalar| matches!(scalar, Scalar::Int(_))) {
        HistogramType::Integer
    } else if all().all(|scalar| matches!(scalar, Scalar::Int(_) | Scalar::Float(_))) {
        HistogramType::Decimal
    } else {
        HistogramType::Text
    }
}

fn form(of_type: HistogramType, spec: &HistogramSpec) -> Result<Form, Refusal> {
    Ok(match of_type {
        HistogramType::Boolean => Form::Bool,
        HistogramType::Date => Form::Date,
        HistogramType::Timestamp => Form::Timestamp,
        HistogramType::Time => Form::Time,
        HistogramType::Interval => Form::Interval,
        HistogramType::Uuid => Form::Uuid,
        HistogramType::Decimal => {
            let digits = |scalar: &Scalar| text(scalar).split_once('.').map_or(0, |(_, behind)| behind.len());
            let digits = spec.common_values.iter().chain(&spec.bounds).map(digits).max().unwrap_or(0);
            if digits > SCALE_MAX {
                return Err(Refusal::new(
                    format!("a value has {digits} digits after the point"),
                    format!("at most {SCALE_MAX}"),
                )
                .help("for floating-point numbers write `type = \"float\"`"));
            }
            Form::Decimal { scale: u8::try_from(digits).unwrap_or(0) }
        }
        HistogramType::Integer | HistogramType::Float | HistogramType::Text => Form::Int,
    })
}

/// A value as it is written.
fn text(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Bool(value) => value.to_string(),
        Scalar::Int(value) => value.to_string(),
        Scalar::Float(value) => value.to_string(),
        Scalar::Text(text) => text.clone(),
    }
}

fn float(scalar: &Scalar) -> Result<f64, Refusal> {
    let text = text(scalar);
    text.parse::<f64>()
        .ok()
        .filter(|value| value.is_finite())
        .ok_or_else(|| Refusal::new(format!("`{text}` is not a number"), "a number is expected"))
}

/// All digits of a decimal number, with `scale` of them after the point.
fn decimal(text: &str, scale: u8) -> Option<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, behind) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || !(whole.bytes().chain(behind.bytes())).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padding = usize::from(scale).checked_sub(behind.len())?;
    let number = format!("{whole}{behind}{:0<padding$}", "");
    number.parse::<i64>().ok().map(|number| sign * i128::from(number))
}

fn uuid(text: &str) -> Option<u128> {
    let digits: String = text.chars().filter(|char| *char != '-').collect();
    (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok()).flatten()
}

/// A text between two bounds, as long as the lower one: its last characters become a number. Where they are what tells it
/// from its neighbours, the number stands behind them and behind a sign that no bound has: else it could spell another one.
fn text_between([previous, low, high]: [&str; 3], sign: char, number: u64, distinct: u64, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    if number == 0 {
        out.extend_from_slice(low.as_bytes());
        return;
    }
    let mut width = 1;
    let mut most = 36_u64;
    while most <= distinct {
        width += 1;
        most = most.saturating_mul(36);
    }
    let common = |other: &str| low.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let needed = common(previous).max(common(high)) + 1;
    let keep = low.len().checked_sub(width).filter(|&keep| keep >= needed && low.is_char_boundary(keep));
    let start = out.len();
    let mut put = |mut number: u64| {
        out.truncate(start);
        out.extend_from_slice(&low.as_bytes()[..keep.unwrap_or(low.len())]);
        if keep.is_none() {
            out.extend_from_slice(sign.encode_utf8(&mut [0; 4]).as_bytes());
        }
        let digits = out.len();
        out.resize(digits + width, b'0');
        for digit in out[digits..].iter_mut().rev() {
            *digit = DIGITS[usize::try_from(number % 36).unwrap_or(0)];
            number /= 36;
        }
        out[start..] == *low.as_bytes()
    };
    // The lower bound itself is number 0: when a number spells it, the number that 0 left free is taken.
    if put(number) {
        put(0);
    }
}
