//! The value of an expression in one row. Texts grow behind what is already in the buffer, so that nothing is allocated.

use std::cmp::Ordering;

use super::{Expression, Function, Literal, Node, Operator};
use crate::generate::json::plain;
use crate::generate::value::Made;
use crate::sql::values::Slot;

/// Most digits after the point.
const SCALE_MAX: u8 = 18;
/// Digits after the point that a quotient of decimals has at least.
const QUOTIENT_SCALE: u8 = 6;

/// A value while it is computed: a slot, or a text in the buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Slot(Slot),
    Text { start: usize, end: usize },
}

const NULL: Value = Value::Slot(Slot::Null);

/// Gives the value of a name: a slot, or a text that it appends.
type LookUp<'a, N> = &'a mut dyn FnMut(&N, &mut Vec<u8>) -> Made;

impl<N> Expression<N> {
    /// Computes the value; a text is appended to `out`, which keeps nothing else.
    pub(in crate::generate) fn eval(&self, look_up: LookUp<'_, N>, out: &mut Vec<u8>) -> Made {
        let before = out.len();
        match self.value(look_up, out) {
            Value::Slot(slot) => {
                out.truncate(before);
                Made::Scalar(slot)
            }
            Value::Text { start, end } => {
                out.copy_within(start..end, before);
                out.truncate(before + end - start);
                Made::Text
            }
        }
    }

    fn value(&self, look_up: LookUp<'_, N>, out: &mut Vec<u8>) -> Value {
        match &self.node {
            Node::Literal(literal) => literal.value(out),
            Node::Name(name) => {
                let start = out.len();
                match look_up(name, out) {
                    Made::Scalar(slot) => Value::Slot(slot),
                    Made::Text => Value::Text { start, end: out.len() },
                    // Refused where the kinds are checked.
                    Made::Bytes => NULL,
                }
            }
            Node::Negative(of) => negative(of.value(look_up, out)),
            Node::Not(of) => truth(of.truth(look_up, out).map(|truth| !truth)),
            Node::IsNull { of, negated } => truth(Some((of.value(look_up, out) == NULL) != *negated)),
            Node::Binary { operator: Operator::And, left, right } => {
                match (left.truth(look_up, out), right.truth(look_up, out)) {
                    (Some(false), _) | (_, Some(false)) => truth(Some(false)),
                    (left, right) => truth(left.and(right)),
                }
            }
            Node::Binary { operator: Operator::Or, left, right } => {
                match (left.truth(look_up, out), right.truth(look_up, out)) {
                    (Some(true), _) | (_, Some(true)) => truth(Some(true)),
                    (left, right) => truth(left.and(right)),
                }
            }
            Node::Binary { operator, left, right } => {
                let (left, right) = (left.value(look_up, out), right.value(look_up, out));
                binary(*operator, left, right, out)
            }
            Node::Case { branches, otherwise } => {
                for (when, then) in branches {
                    if when.truth(look_up, out) == Some(true) {
                        return then.value(look_up, out);
                    }
                }
                otherwise.as_ref().map_or(NULL, |otherwise| otherwise.value(look_up, out))
            }
            Node::Call { function, arguments } => call(*function, arguments, look_up, out),
        }
    }

    fn truth(&self, look_up: LookUp<'_, N>, out: &mut Vec<u8>) -> Option<bool> {
        match self.value(look_up, out) {
            Value::Slot(Slot::Bool(truth)) => Some(truth),
            _ => None,
        }
    }
}

impl Literal {
    fn value(&self, out: &mut Vec<u8>) -> Value {
        Value::Slot(match self {
            Self::Null => Slot::Null,
            Self::Bool(value) => Slot::Bool(*value),
            Self::Int(value) => Slot::Int(*value),
            Self::Decimal { unscaled, scale } => Slot::Decimal { unscaled: *unscaled, scale: *scale },
            Self::Text(text) => {
                let start = out.len();
                out.extend_from_slice(text.as_bytes());
                return Value::Text { start, end: out.len() };
            }
        })
    }
}

fn call<N>(
    function: Function,
    arguments: &[Expression<N>],
    look_up: LookUp<'_, N>,
    out: &mut Vec<u8>,
) -> Value {
    let first = arguments[0].value(look_up, out);
    match function {
        Function::Least | Function::Greatest => {
            let wanted = if function == Function::Least { Ordering::Less } else { Ordering::Greater };
            arguments[1..].iter().fold(first, |best, argument| {
                let value = argument.value(look_up, out);
                if best == NULL || compare(value, best, out) == Some(wanted) { value } else { best }
            })
        }
        Function::Coalesce => {
            let mut value = first;
            for argument in &arguments[1..] {
                if value == NULL {
                    value = argument.value(look_up, out);
                }
            }
            value
        }
        Function::Abs => match compare(first, Value::Slot(Slot::Int(0)), out) {
            Some(Ordering::Less) => negative(first),
            _ => first,
        },
        Function::Floor => rounded(first, 0, Rounding::Down),
        Function::Ceil => negative(rounded(negative(first), 0, Rounding::Down)),
        Function::Round => {
            let digits = match arguments.get(1).map(|digits| &digits.node) {
                Some(Node::Literal(Literal::Int(digits))) => u8::try_from(*digits).unwrap_or(SCALE_MAX),
                _ => 0,
            };
            rounded(first, digits, Rounding::Nearest)
        }
        Function::Length => match first {
            Value::Text { start, end } => {
                let is_first = |byte: &&u8| **byte & 0xC0 != 0x80;
                let chars = out[start..end].iter().filter(is_first).count();
                Value::Slot(Slot::Int(i64::try_from(chars).unwrap_or(i64::MAX)))
            }
            Value::Slot(_) => NULL,
        },
        Function::Lower | Function::Upper => {
            if let Value::Text { start, end } = first {
                if function == Function::Lower {
                    out[start..end].make_ascii_lowercase();
                } else {
                    out[start..end].make_ascii_uppercase();
                }
            }
            first
        }
        Function::Date => match first {
            Value::Slot(Slot::Timestamp(micros)) => i32::try_from(micros.div_euclid(86_400_000_000))
                .map_or(NULL, |days| Value::Slot(Slot::Date(days))),
            other => other,
        },
    }
}

fn binary(operator: Operator, left: Value, right: Value, out: &mut Vec<u8>) -> Value {
    if left == NULL || right == NULL {
        return NULL;
    }
    match operator {
        Operator::Join => joined(left, right, out),
        Operator::Plus | Operator::Minus | Operator::Times | Operator::Divide | Operator::Remainder => {
            arithmetic(operator, left, right).map_or(NULL, Value::Slot)
        }
        _ => truth(compare(left, right, out).map(|order| match operator {
            Operator::Equal => order == Ordering::Equal,
            Operator::Unequal => order != Ordering::Equal,
            Operator::Less => order == Ordering::Less,
            Operator::LessOrEqual => order != Ordering::Greater,
            Operator::Greater => order == Ordering::Greater,
            _ => order != Ordering::Less,
        })),
    }
}

fn joined(left: Value, right: Value, out: &mut Vec<u8>) -> Value {
    let start = out.len();
    for value in [left, right] {
        match value {
            Value::Text { start, end } => out.extend_from_within(start..end),
            Value::Slot(slot) => plain(out, slot),
        }
    }
    Value::Text { start, end: out.len() }
}

fn truth(value: Option<bool>) -> Value {
    value.map_or(NULL, |value| Value::Slot(Slot::Bool(value)))
}

fn negative(value: Value) -> Value {
    let slot = match value {
        Value::Slot(Slot::Int(value)) => value.checked_neg().map(Slot::Int),
        Value::Slot(Slot::Float(value)) => Some(Slot::Float(-value)),
        Value::Slot(Slot::Decimal { unscaled, scale }) => {
            unscaled.checked_neg().map(|unscaled| Slot::Decimal { unscaled, scale })
        }
        _ => None,
    };
    slot.map_or(NULL, Value::Slot)
}

/// `None` where it overflows or divides by zero.
fn arithmetic(operator: Operator, left: Value, right: Value) -> Option<Slot> {
    let (Value::Slot(left), Value::Slot(right)) = (left, right) else { return None };
    match (left, right) {
        (Slot::Int(left), Slot::Int(right)) => match operator {
            Operator::Plus => left.checked_add(right),
            Operator::Minus => left.checked_sub(right),
            Operator::Times => left.checked_mul(right),
            Operator::Divide => left.checked_div(right),
            _ => left.checked_rem(right),
        }
        .map(Slot::Int),
        (Slot::Date(left), Slot::Date(right)) => Some(Slot::Int(i64::from(left) - i64::from(right))),
        (Slot::Date(days), Slot::Int(more)) => {
            let more = i32::try_from(more).ok()?;
            let days =
                if operator == Operator::Plus { days.checked_add(more) } else { days.checked_sub(more) };
            days.map(Slot::Date)
        }
        (Slot::Float(_), _) | (_, Slot::Float(_)) => {
            let (left, right) = (float(left)?, float(right)?);
            let value = match operator {
                Operator::Plus => left + right,
                Operator::Minus => left - right,
                Operator::Times => left * right,
                Operator::Divide => left / right,
                _ => left % right,
            };
            value.is_finite().then_some(Slot::Float(value))
        }
        _ => decimals(operator, decimal(left)?, decimal(right)?),
    }
}

fn decimals(operator: Operator, left: (i128, u8), right: (i128, u8)) -> Option<Slot> {
    let scale = left.1.max(right.1);
    let (unscaled, scale) = match operator {
        Operator::Plus => (at_scale(left, scale)?.checked_add(at_scale(right, scale)?)?, scale),
        Operator::Minus => (at_scale(left, scale)?.checked_sub(at_scale(right, scale)?)?, scale),
        Operator::Times => (left.0.checked_mul(right.0)?, left.1 + right.1),
        Operator::Divide => {
            let scale = scale.max(QUOTIENT_SCALE);
            let over = at_scale(left, scale.checked_add(right.1)?)?;
            (nearest(over, right.0)?, scale)
        }
        _ => (at_scale(left, scale)?.checked_rem(at_scale(right, scale)?)?, scale),
    };
    let kept = scale.min(SCALE_MAX);
    let unscaled = nearest(unscaled, 10_i128.pow(u32::from(scale - kept)))?;
    Some(Slot::Decimal { unscaled: i64::try_from(unscaled).ok()?, scale: kept })
}

#[derive(Clone, Copy, PartialEq)]
enum Rounding {
    Down,
    Nearest,
}

fn rounded(value: Value, digits: u8, rounding: Rounding) -> Value {
    let slot = match value {
        Value::Slot(Slot::Float(value)) if digits == 0 => {
            let whole = if rounding == Rounding::Down { value.floor() } else { value.round() };
            // `as` would saturate; what lies outside is NULL, as everything that overflows.
            #[expect(clippy::cast_possible_truncation)]
            (whole.abs() < 9.2e18).then_some(Slot::Int(whole as i64))
        }
        Value::Slot(Slot::Float(value)) => {
            let power = (0..digits).fold(1.0, |product, _| product * 10.0);
            Some(Slot::Float((value * power).round() / power))
        }
        Value::Slot(slot) => decimal(slot).and_then(|(unscaled, scale)| {
            let unscaled = match (scale.checked_sub(digits), rounding) {
                (None, _) => at_scale((unscaled, scale), digits)?,
                (Some(fewer), Rounding::Down) => unscaled.div_euclid(10_i128.pow(u32::from(fewer))),
                (Some(fewer), Rounding::Nearest) => nearest(unscaled, 10_i128.pow(u32::from(fewer)))?,
            };
            let unscaled = i64::try_from(unscaled).ok()?;
            Some(if digits == 0 { Slot::Int(unscaled) } else { Slot::Decimal { unscaled, scale: digits } })
        }),
        Value::Text { .. } => None,
    };
    slot.map_or(NULL, Value::Slot)
}

fn compare(left: Value, right: Value, out: &[u8]) -> Option<Ordering> {
    match (left, right) {
        (Value::Text { start, end }, Value::Text { start: other, end: other_end }) => {
            Some(out[start..end].cmp(&out[other..other_end]))
        }
        (Value::Slot(left), Value::Slot(right)) => match (left, right) {
            (Slot::Bool(left), Slot::Bool(right)) => Some(left.cmp(&right)),
            (Slot::Timestamp(left), Slot::Timestamp(right)) => Some(left.cmp(&right)),
            (Slot::Date(left), Slot::Date(right)) => Some(left.cmp(&right)),
            (Slot::Uuid(left), Slot::Uuid(right)) => Some(left.cmp(&right)),
            (Slot::Float(_), _) | (_, Slot::Float(_)) => float(left)?.partial_cmp(&float(right)?),
            _ => {
                let (left, right) = (decimal(left)?, decimal(right)?);
                let scale = left.1.max(right.1);
                Some(at_scale(left, scale)?.cmp(&at_scale(right, scale)?))
            }
        },
        _ => None,
    }
}

fn decimal(slot: Slot) -> Option<(i128, u8)> {
    match slot {
        Slot::Int(value) => Some((value.into(), 0)),
        Slot::Decimal { unscaled, scale } => Some((unscaled.into(), scale)),
        _ => None,
    }
}

fn float(slot: Slot) -> Option<f64> {
    match slot {
        Slot::Int(value) => Some(value as f64),
        Slot::Decimal { unscaled, scale } => {
            Some(unscaled as f64 / (0..scale).fold(1.0, |product, _| product * 10.0))
        }
        Slot::Float(value) => Some(value),
        _ => None,
    }
}

fn at_scale((unscaled, scale): (i128, u8), wanted: u8) -> Option<i128> {
    unscaled.checked_mul(10_i128.checked_pow(u32::from(wanted - scale))?)
}

/// The quotient rounded to the nearest whole number, halves away from zero.
fn nearest(over: i128, under: i128) -> Option<i128> {
    let quotient = over.checked_div(under)?;
    let rest = over.checked_rem(under)?;
    if rest.checked_abs()?.checked_mul(2)? < under.checked_abs()? {
        return Some(quotient);
    }
    Some(if (over < 0) == (under < 0) { quotient + 1 } else { quotient - 1 })
}
