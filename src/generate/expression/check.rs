//! Which kind of value an expression has, and what does not go together.

use super::{Expression, ExpressionError, Function, Literal, Node, Operator};
use crate::generate::ValueKind;

/// What takes part in an operation; NULL takes part in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Null,
    Of(ValueKind),
}

impl<N> Expression<N> {
    /// The kind of its values, where `kind_of` knows that of every name.
    pub(in crate::generate) fn kind(
        &self,
        kind_of: &dyn Fn(&N) -> ValueKind,
    ) -> Result<ValueKind, ExpressionError> {
        match self.sort(kind_of)? {
            Sort::Of(kind) => Ok(kind),
            Sort::Null => {
                Err(ExpressionError::new(self.at.clone(), "the expression is always NULL", "no other value"))
            }
        }
    }

    /// Whether it can be NULL, where `nullable` knows of every name whether it can.
    pub(in crate::generate) fn nullable(&self, nullable: &dyn Fn(&N) -> bool) -> bool {
        match &self.node {
            Node::Literal(literal) => *literal == Literal::Null,
            Node::Name(name) => nullable(name),
            Node::Negative(of) | Node::Not(of) => of.nullable(nullable),
            Node::IsNull { .. } => false,
            Node::Binary { operator, left, right } => {
                let divides = matches!(operator, Operator::Divide | Operator::Remainder);
                left.nullable(nullable) || right.nullable(nullable) || (divides && !right.is_never_zero())
            }
            Node::Case { branches, otherwise } => {
                branches.iter().any(|(_, then)| then.nullable(nullable))
                    || otherwise.as_ref().is_none_or(|otherwise| otherwise.nullable(nullable))
            }
            Node::Call { function: Function::Coalesce | Function::Least | Function::Greatest, arguments } => {
                arguments.iter().all(|argument| argument.nullable(nullable))
            }
            Node::Call { arguments, .. } => arguments.iter().any(|argument| argument.nullable(nullable)),
        }
    }

    /// A number that stands there and is not zero, or one that is held above zero: `greatest(n, 1)`.
    fn is_never_zero(&self) -> bool {
        match &self.node {
            Node::Literal(Literal::Int(value) | Literal::Decimal { unscaled: value, .. }) => *value != 0,
            Node::Negative(of) => of.is_never_zero(),
            Node::Call { function: Function::Greatest, arguments } => arguments.iter().any(|argument| {
                matches!(
                    argument.node,
                    Node::Literal(Literal::Int(value) | Literal::Decimal { unscaled: value, .. }) if value > 0
                )
            }),
            _ => false,
        }
    }

    fn sort(&self, kind_of: &dyn Fn(&N) -> ValueKind) -> Result<Sort, ExpressionError> {
        Ok(Sort::Of(match &self.node {
            Node::Literal(literal) => match literal {
                Literal::Null => return Ok(Sort::Null),
                Literal::Bool(_) => ValueKind::Bool,
                Literal::Int(_) => ValueKind::Int,
                Literal::Decimal { .. } => ValueKind::Decimal,
                Literal::Text(_) => ValueKind::Text,
            },
            Node::Name(name) => match kind_of(name) {
                kind @ (ValueKind::Bytes | ValueKind::List) => {
                    return Err(self.wrong(format!("{} cannot be computed with", kind.in_words())));
                }
                kind => kind,
            },
            Node::Negative(of) => return of.number("-", of.sort(kind_of)?),
            Node::Not(of) => {
                of.condition(kind_of)?;
                ValueKind::Bool
            }
            Node::IsNull { of, .. } => {
                of.sort(kind_of)?;
                ValueKind::Bool
            }
            Node::Binary { operator, left, right } => return binary(*operator, left, right, kind_of),
            Node::Case { branches, otherwise } => {
                for (when, _) in branches {
                    when.condition(kind_of)?;
                }
                return common(branches.iter().map(|(_, then)| then).chain(otherwise.as_deref()), kind_of);
            }
            Node::Call { function, arguments } => return call(*function, arguments, kind_of),
        }))
    }

    /// Its sort, if that is a number's.
    fn number(&self, what: &str, sort: Sort) -> Result<Sort, ExpressionError> {
        match sort {
            sort @ (Sort::Null | Sort::Of(ValueKind::Int | ValueKind::Decimal | ValueKind::Float)) => {
                Ok(sort)
            }
            Sort::Of(kind) => {
                Err(self.wrong(format!("`{what}` wants a number, this is {}", kind.in_words())))
            }
        }
    }

    fn text(&self, what: &str, kind_of: &dyn Fn(&N) -> ValueKind) -> Result<(), ExpressionError> {
        match self.sort(kind_of)? {
            Sort::Null => Ok(()),
            Sort::Of(kind) if kind.is_text() => Ok(()),
            Sort::Of(kind) => Err(self.wrong(format!("`{what}` wants a text, this is {}", kind.in_words()))),
        }
    }

    fn condition(&self, kind_of: &dyn Fn(&N) -> ValueKind) -> Result<(), ExpressionError> {
        match self.sort(kind_of)? {
            Sort::Null | Sort::Of(ValueKind::Bool) => Ok(()),
            Sort::Of(kind) => Err(self.wrong(format!("a condition is wanted, this is {}", kind.in_words()))),
        }
    }

    fn wrong(&self, message: impl Into<String>) -> ExpressionError {
        ExpressionError::new(self.at.clone(), message, "does not go together")
    }
}

fn call<N>(
    function: Function,
    arguments: &[Expression<N>],
    kind_of: &dyn Fn(&N) -> ValueKind,
) -> Result<Sort, ExpressionError> {
    let first = &arguments[0];
    Ok(match function {
        Function::Least | Function::Greatest | Function::Coalesce => common(arguments.iter(), kind_of)?,
        Function::Abs => first.number("abs", first.sort(kind_of)?)?,
        Function::Floor | Function::Ceil => {
            first.number("floor", first.sort(kind_of)?)?;
            Sort::Of(ValueKind::Int)
        }
        Function::Round => {
            let sort = first.number("round", first.sort(kind_of)?)?;
            match arguments.get(1).map(|digits| &digits.node) {
                None => Sort::Of(ValueKind::Int),
                Some(Node::Literal(Literal::Int(0..=18))) => match sort {
                    Sort::Of(ValueKind::Float) => Sort::Of(ValueKind::Float),
                    _ => Sort::Of(ValueKind::Decimal),
                },
                Some(_) => {
                    return Err(arguments[1].wrong("the digits that are kept are a number from 0 to 18"));
                }
            }
        }
        Function::Length => {
            first.text("length", kind_of)?;
            Sort::Of(ValueKind::Int)
        }
        Function::Lower | Function::Upper => {
            first.text("lower", kind_of)?;
            Sort::Of(ValueKind::Text)
        }
        Function::Date => match first.sort(kind_of)? {
            Sort::Null | Sort::Of(ValueKind::Timestamp | ValueKind::Date) => Sort::Of(ValueKind::Date),
            Sort::Of(kind) => {
                return Err(first.wrong(format!("`date` wants a time, this is {}", kind.in_words())));
            }
        },
    })
}

fn binary<N>(
    operator: Operator,
    left: &Expression<N>,
    right: &Expression<N>,
    kind_of: &dyn Fn(&N) -> ValueKind,
) -> Result<Sort, ExpressionError> {
    match operator {
        Operator::Or | Operator::And => {
            left.condition(kind_of)?;
            right.condition(kind_of)?;
            Ok(Sort::Of(ValueKind::Bool))
        }
        Operator::Join => {
            left.sort(kind_of)?;
            right.sort(kind_of)?;
            Ok(Sort::Of(ValueKind::Text))
        }
        Operator::Plus | Operator::Minus | Operator::Times | Operator::Divide | Operator::Remainder => {
            // Each side once: asking twice at every level would take time without end in a long expression.
            let (of_left, of_right) = (left.sort(kind_of)?, right.sort(kind_of)?);
            let is_date = of_left == Sort::Of(ValueKind::Date);
            if is_date && operator == Operator::Minus && of_right == Sort::Of(ValueKind::Date) {
                return Ok(Sort::Of(ValueKind::Int));
            }
            if is_date && matches!(operator, Operator::Plus | Operator::Minus) {
                return match of_right {
                    Sort::Null | Sort::Of(ValueKind::Int) => Ok(Sort::Of(ValueKind::Date)),
                    Sort::Of(kind) => {
                        Err(right.wrong(format!("a number of days is wanted, this is {}", kind.in_words())))
                    }
                };
            }
            let name = operator.sign();
            let sorts = (left.number(name, of_left)?, right.number(name, of_right)?);
            Ok(match sorts {
                (Sort::Null, other) | (other, Sort::Null) => other,
                (Sort::Of(left), Sort::Of(right)) => Sort::Of(wider(left, right)),
            })
        }
        _ => {
            common([left, right].into_iter(), kind_of)?;
            Ok(Sort::Of(ValueKind::Bool))
        }
    }
}

/// The kind that all have: numbers become the widest of them.
fn common<'e, N: 'e>(
    all: impl Iterator<Item = &'e Expression<N>>,
    kind_of: &dyn Fn(&N) -> ValueKind,
) -> Result<Sort, ExpressionError> {
    let mut found = Sort::Null;
    for expression in all {
        found = match (found, expression.sort(kind_of)?) {
            (found, Sort::Null) => found,
            (Sort::Null, sort) => sort,
            (Sort::Of(a), Sort::Of(b)) if a == b => Sort::Of(a),
            (Sort::Of(a), Sort::Of(b)) if a.is_number() && b.is_number() => Sort::Of(wider(a, b)),
            (Sort::Of(a), Sort::Of(b)) if a.is_text() && b.is_text() => Sort::Of(ValueKind::Text),
            (Sort::Of(a), Sort::Of(b)) => {
                let message =
                    format!("this is {}, and what it stands with is {}", b.in_words(), a.in_words());
                return Err(expression.wrong(message));
            }
        };
    }
    Ok(found)
}

fn wider(a: ValueKind, b: ValueKind) -> ValueKind {
    match (a, b) {
        (ValueKind::Float, _) | (_, ValueKind::Float) => ValueKind::Float,
        (ValueKind::Decimal, _) | (_, ValueKind::Decimal) => ValueKind::Decimal,
        _ => a,
    }
}

impl Operator {
    fn sign(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Equal => "=",
            Self::Unequal => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Join => "||",
            Self::Plus => "+",
            Self::Minus => "-",
            Self::Times => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}
