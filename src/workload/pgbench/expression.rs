//! pgbench's expressions with every variable resolved, and their evaluation. Nothing is allocated unless it fails.

use super::functions::{Bounds, hash_fnv1a, hash_murmur2, permute};
use super::value::{Fault, Value};
use super::variables::Variables;
use crate::generate::Stream;
use crate::units::SlotId;

/// Arguments of one call, as in pgbench.
pub(super) const ARGUMENTS_MAX: usize = 16;

/// What `\set`, `\if` and `\elif` evaluate.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A number, a truth value, NULL.
    Constant(Value),
    /// What a variable holds at the moment.
    Variable(SlotId),
    /// Operators and functions that take the values of all their arguments.
    Call {
        /// What is called.
        function: Function,
        /// As many as it takes, at most 16.
        arguments: Box<[Expression]>,
    },
    /// `AND`: the right side is evaluated only where the left side leaves it open.
    And(Box<[Expression; 2]>),
    /// `OR`, in the same manner.
    Or(Box<[Expression; 2]>),
    /// `CASE WHEN … THEN … ELSE … END`
    Case {
        /// Conditions and results, in order.
        branches: Box<[(Expression, Expression)]>,
        /// NULL where the script says nothing.
        otherwise: Box<Expression>,
    },
}

/// Operators and functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are named as pgbench's manual names them")]
pub enum Function {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
    Not,
    Is,
    Abs,
    Debug,
    Double,
    Exp,
    Greatest,
    HashFnv1a,
    HashMurmur2,
    Int,
    Least,
    Ln,
    Permute,
    Pi,
    Power,
    Random,
    RandomExponential,
    RandomGaussian,
    RandomZipfian,
    Sqrt,
}

/// What an expression is evaluated with.
pub struct Scope<'a> {
    /// What its variables hold.
    pub variables: &'a Variables,
    /// Where its draws come from.
    pub draws: &'a mut Stream,
}

impl Expression {
    /// Its value.
    pub fn evaluate(&self, scope: &mut Scope<'_>) -> Result<Value, Fault> {
        match self {
            Self::Constant(value) => Ok(*value),
            Self::Variable(slot) => scope.variables.value(*slot),
            Self::Call { function, arguments } => {
                let mut values = [Value::Null; ARGUMENTS_MAX];
                for (value, argument) in values.iter_mut().zip(arguments) {
                    *value = argument.evaluate(scope)?;
                }
                function.call(&values[..arguments.len().min(ARGUMENTS_MAX)], scope.draws)
            }
            Self::And(sides) => logical(sides, false, scope),
            Self::Or(sides) => logical(sides, true, scope),
            Self::Case { branches, otherwise } => {
                for (condition, result) in branches {
                    if condition.evaluate(scope)?.truth() {
                        return result.evaluate(scope);
                    }
                }
                otherwise.evaluate(scope)
            }
        }
    }
}

/// `AND` and `OR`: the left side decides alone where it is `decisive`, and where it is NULL.
fn logical([left, right]: &[Expression; 2], decisive: bool, scope: &mut Scope<'_>) -> Result<Value, Fault> {
    let left = left.evaluate(scope)?;
    if left == Value::Null || left.as_bool()? == decisive {
        return Ok(left);
    }
    let right = right.evaluate(scope)?;
    if right != Value::Null {
        right.as_bool()?;
    }
    Ok(right)
}

impl Function {
    fn call(self, values: &[Value], draws: &mut Stream) -> Result<Value, Fault> {
        let takes_null = matches!(self, Self::Is | Self::Debug);
        if !takes_null && values.contains(&Value::Null) {
            return Ok(Value::Null);
        }
        match (self, values) {
            (Self::Pi, _) => Ok(Value::Double(std::f64::consts::PI)),
            (Self::Debug, [value]) => Ok(*value),
            (Self::Is, [left, right]) => Ok(Value::Bool(left == right)),
            (Self::Not, [value]) => Ok(Value::Bool(!value.as_bool()?)),
            (Self::Int, [value]) => Ok(Value::Int(value.as_int()?)),
            (Self::Abs, [Value::Int(value)]) => in_range(value.checked_abs(), "abs"),
            (Self::Abs, [value]) => Ok(Value::Double(value.as_double()?.abs())),
            (Self::Double, [value]) => Ok(Value::Double(value.as_double()?)),
            (Self::Sqrt, [value]) => Ok(Value::Double(value.as_double()?.sqrt())),
            (Self::Ln, [value]) => Ok(Value::Double(value.as_double()?.ln())),
            (Self::Exp, [value]) => Ok(Value::Double(value.as_double()?.exp())),
            (Self::Power, [base, exponent]) => {
                Ok(Value::Double(base.as_double()?.powf(exponent.as_double()?)))
            }
            (Self::Least | Self::Greatest, values) => self.extreme(values),
            (Self::HashFnv1a, [value, seed]) => Ok(Value::Int(hash_fnv1a(value.as_int()?, seed.as_int()?))),
            (Self::HashMurmur2, [value, seed]) => {
                Ok(Value::Int(hash_murmur2(value.as_int()?, seed.as_int()?)))
            }
            (Self::Permute, [value, size, seed]) => {
                permute(value.as_int()?, size.as_int()?, seed.as_int()?).map(Value::Int)
            }
            (Self::Random, [min, max]) => {
                Ok(Value::Int(Bounds::new(min.as_int()?, max.as_int()?)?.uniform(draws)))
            }
            (_, [min, max, parameter]) => {
                let bounds = Bounds::new(min.as_int()?, max.as_int()?)?;
                self.draw(bounds, parameter.as_double()?, draws).map(Value::Int)
            }
            (_, [left, right]) => self.operate(*left, *right),
            // The parser counts arguments.
            (_, _) => Err(Fault::new("unexpected number of arguments")),
        }
    }

    fn draw(self, bounds: Bounds, parameter: f64, draws: &mut Stream) -> Result<i64, Fault> {
        match self {
            Self::RandomGaussian => bounds.gaussian(parameter, draws),
            Self::RandomExponential => bounds.exponential(parameter, draws),
            _ => bounds.zipfian(parameter, draws),
        }
    }

    /// The least or the greatest; a double if any of them is one.
    fn extreme(self, values: &[Value]) -> Result<Value, Fault> {
        let least = self == Self::Least;
        if values.iter().any(|value| matches!(value, Value::Double(_))) {
            let mut extreme = values[0].as_double()?;
            for value in &values[1..] {
                let value = value.as_double()?;
                let further = if least { value <= extreme } else { value >= extreme };
                // As in C, a comparison with what is no number takes the later one.
                if further || extreme.is_nan() || value.is_nan() {
                    extreme = value;
                }
            }
            return Ok(Value::Double(extreme));
        }
        let mut extreme = values[0].as_int()?;
        for value in &values[1..] {
            let value = value.as_int()?;
            extreme = if least { extreme.min(value) } else { extreme.max(value) };
        }
        Ok(Value::Int(extreme))
    }

    /// Operators of two operands: of doubles where one of them is one, except where only integers will do.
    fn operate(self, left: Value, right: Value) -> Result<Value, Fault> {
        let of_doubles = matches!(left, Value::Double(_)) || matches!(right, Value::Double(_));
        if of_doubles && let Some(value) = self.of_doubles(left, right) {
            return value;
        }
        let (left, right) = (left.as_int()?, right.as_int()?);
        match self {
            Self::Add => in_range(left.checked_add(right), "add"),
            Self::Subtract => in_range(left.checked_sub(right), "sub"),
            Self::Multiply => in_range(left.checked_mul(right), "mul"),
            Self::Divide | Self::Modulo if right == 0 => Err(Fault::new("division by zero")),
            Self::Divide => in_range(left.checked_div(right), "div"),
            Self::Modulo => Ok(Value::Int(left.wrapping_rem(right))),
            Self::Equal => Ok(Value::Bool(left == right)),
            Self::Unequal => Ok(Value::Bool(left != right)),
            Self::Less => Ok(Value::Bool(left < right)),
            Self::LessOrEqual => Ok(Value::Bool(left <= right)),
            Self::BitAnd => Ok(Value::Int(left & right)),
            Self::BitOr => Ok(Value::Int(left | right)),
            Self::BitXor => Ok(Value::Int(left ^ right)),
            // The low six bits of the distance count, as processors have it.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            Self::ShiftLeft => Ok(Value::Int(left.wrapping_shl(right as u32))),
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            Self::ShiftRight => Ok(Value::Int(left.wrapping_shr(right as u32))),
            _ => Err(Fault::new("unexpected number of arguments")),
        }
    }

    /// Nothing for operators that are of integers only.
    fn of_doubles(self, left: Value, right: Value) -> Option<Result<Value, Fault>> {
        let both = left.as_double().and_then(|left| Ok((left, right.as_double()?)));
        let (left, right) = match both {
            Ok(both) => both,
            Err(fault) => return Some(Err(fault)),
        };
        // pgbench compares doubles exactly, and so do its scripts.
        #[expect(clippy::float_cmp)]
        let value = match self {
            Self::Add => Value::Double(left + right),
            Self::Subtract => Value::Double(left - right),
            Self::Multiply => Value::Double(left * right),
            Self::Divide => Value::Double(left / right),
            Self::Equal => Value::Bool(left == right),
            Self::Unequal => Value::Bool(left != right),
            Self::Less => Value::Bool(left < right),
            Self::LessOrEqual => Value::Bool(left <= right),
            _ => return None,
        };
        Some(Ok(value))
    }
}

fn in_range(value: Option<i64>, what: &str) -> Result<Value, Fault> {
    value.map(Value::Int).ok_or_else(|| Fault(format!("bigint {what} out of range")))
}
