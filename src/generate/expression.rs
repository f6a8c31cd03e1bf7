//! A small language of values computed from other values, with the words and the habits of SQL: `quantity * price`,
//! `case when total > 100 then 0 else 5 end`, `coalesce(nick, name)`. Knows neither tables nor rows: names are whatever its
//! user makes of them.
//!
//! - Whole numbers stay whole (`7 / 2` is 3), decimals are exact, NULL makes NULL.
//! - Arithmetic is checked: what overflows, and what is divided by zero, is NULL.

mod check;
mod eval;
mod parse;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub(super) use parse::parse;

/// A parsed expression over names of type `N`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expression<N> {
    /// Its bytes in the text.
    at: Range<usize>,
    node: Node<N>,
}

#[derive(Clone, Debug, PartialEq)]
enum Node<N> {
    Literal(Literal),
    Name(N),
    Negative(Box<Expression<N>>),
    Not(Box<Expression<N>>),
    IsNull { of: Box<Expression<N>>, negated: bool },
    Binary { operator: Operator, left: Box<Expression<N>>, right: Box<Expression<N>> },
    Case { branches: Vec<(Expression<N>, Expression<N>)>, otherwise: Option<Box<Expression<N>>> },
    Call { function: Function, arguments: Vec<Expression<N>> },
}

#[derive(Clone, Debug, PartialEq)]
enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Decimal { unscaled: i64, scale: u8 },
    Text(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Join,
    Plus,
    Minus,
    Times,
    Divide,
    Remainder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Least,
    Greatest,
    Round,
    Floor,
    Ceil,
    Abs,
    Coalesce,
    Length,
    Lower,
    Upper,
    Date,
}

/// A name in the text: `price` or `product_id.price`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// What stands before the point.
    pub(super) through: Option<String>,
    pub(super) column: String,
}

/// What is wrong, and which bytes of the text are to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ExpressionError {
    pub(super) at: Range<usize>,
    pub(super) message: String,
    pub(super) label: String,
    pub(super) help: Option<String>,
}

impl ExpressionError {
    fn new(at: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { at, message: message.into(), label: label.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Function {
    const ALL: [(&'static str, Self); 13] = [
        ("least", Self::Least),
        ("min", Self::Least),
        ("greatest", Self::Greatest),
        ("max", Self::Greatest),
        ("round", Self::Round),
        ("floor", Self::Floor),
        ("ceil", Self::Ceil),
        ("abs", Self::Abs),
        ("coalesce", Self::Coalesce),
        ("length", Self::Length),
        ("lower", Self::Lower),
        ("upper", Self::Upper),
        ("date", Self::Date),
    ];

    /// Fewest and most arguments.
    fn arity(self) -> (usize, usize) {
        match self {
            Self::Least | Self::Greatest | Self::Coalesce => (1, usize::MAX),
            Self::Round => (1, 2),
            _ => (1, 1),
        }
    }
}

/// Looks a name up that stands at some bytes of the text.
type Resolver<'a, N, M, E> = &'a mut dyn FnMut(&N, &Range<usize>) -> Result<M, E>;

impl<N> Expression<N> {
    /// The same with every name looked up; the first that means nothing is the error, with its bytes.
    pub(super) fn resolve<M, E>(&self, look_up: Resolver<'_, N, M, E>) -> Result<Expression<M>, E> {
        let at = self.at.clone();
        let node = match &self.node {
            Node::Literal(literal) => Node::Literal(literal.clone()),
            Node::Name(name) => Node::Name(look_up(name, &at)?),
            Node::Negative(of) => Node::Negative(Box::new(of.resolve(look_up)?)),
            Node::Not(of) => Node::Not(Box::new(of.resolve(look_up)?)),
            Node::IsNull { of, negated } => {
                Node::IsNull { of: Box::new(of.resolve(look_up)?), negated: *negated }
            }
            Node::Binary { operator, left, right } => Node::Binary {
                operator: *operator,
                left: Box::new(left.resolve(look_up)?),
                right: Box::new(right.resolve(look_up)?),
            },
            Node::Case { branches, otherwise } => {
                let mut resolved = Vec::with_capacity(branches.len());
                for (when, then) in branches {
                    resolved.push((when.resolve(look_up)?, then.resolve(look_up)?));
                }
                let otherwise = match otherwise {
                    Some(otherwise) => Some(Box::new(otherwise.resolve(look_up)?)),
                    None => None,
                };
                Node::Case { branches: resolved, otherwise }
            }
            Node::Call { function, arguments } => {
                let mut resolved = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    resolved.push(argument.resolve(look_up)?);
                }
                Node::Call { function: *function, arguments: resolved }
            }
        };
        Ok(Expression { at, node })
    }

    /// All names, in the order of the text.
    pub(super) fn names<'a>(&'a self, found: &mut Vec<&'a N>) {
        match &self.node {
            Node::Literal(_) => {}
            Node::Name(name) => found.push(name),
            Node::Negative(of) | Node::Not(of) | Node::IsNull { of, .. } => of.names(found),
            Node::Binary { left, right, .. } => {
                left.names(found);
                right.names(found);
            }
            Node::Case { branches, otherwise } => {
                for (when, then) in branches {
                    when.names(found);
                    then.names(found);
                }
                if let Some(otherwise) = otherwise {
                    otherwise.names(found);
                }
            }
            Node::Call { arguments, .. } => arguments.iter().for_each(|argument| argument.names(found)),
        }
    }
}
