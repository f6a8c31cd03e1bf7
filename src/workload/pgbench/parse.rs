//! From the text of an expression to its tree, with the places of what is wrong in it. The grammar is that of pgbench, its
//! operators as strong as in PostgreSQL's SQL.

use std::ops::Range;

use super::expression::{ARGUMENTS_MAX, Expression, Function};
use super::value::Value;
use crate::diagnostic::likely;
use crate::units::SlotId;

/// How deep parentheses, calls and operators may nest.
const DEPTH_MAX: usize = 64;
/// Operands and operators of one expression: `1 + 1 + 1 …` nests as deep as it is long.
const PARTS_MAX: usize = 1_000;
/// The variable that hashes and permutations take where no seed is given.
pub(super) const DEFAULT_SEED: &str = "default_seed";

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) at: Range<usize>,
    pub(super) message: String,
    pub(super) label: String,
    pub(super) help: Option<String>,
}

impl Wrong {
    pub(super) fn new(at: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { at, message: message.into(), label: label.into(), help: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// Looks up a variable that stands at some bytes of the text.
pub(super) type Resolver<'a> = &'a mut dyn FnMut(&str, Range<usize>) -> SlotId;

/// Reads the bytes `within` of `text` as one expression.
pub(super) fn parse(text: &str, within: Range<usize>, resolve: Resolver<'_>) -> Result<Expression, Wrong> {
    let mut parser = Parser { text, at: within.start, end: within.end, depth: 0, parts: 0, resolve };
    let expression = parser.expression(0)?;
    let (token, at) = parser.peek()?;
    if token != Token::End {
        return Err(parser.unexpected(at, "the expression ends before"));
    }
    Ok(expression)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'t> {
    Int(i64),
    /// 2⁶³, which is a number only behind a minus.
    Beyond,
    Double(f64),
    Variable(&'t str),
    /// A keyword or the name of a function.
    Word(&'t str),
    Sign(&'static str),
    End,
}

/// Those of two characters before those of one.
const SIGNS: [&str; 20] = [
    "<>", "!=", "<=", ">=", "<<", ">>", "+", "-", "*", "/", "%", "(", ")", ",", "=", "<", ">", "|", "&", "#",
];

/// Operators by their strength.
const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const IS: u8 = 4;
const COMPARE: u8 = 5;
const BITS: u8 = 6;
const SUM: u8 = 7;
const PRODUCT: u8 = 8;
const SIGN: u8 = 9;

enum Operator {
    Call(Function, u8),
    /// `>` and `>=`, which are `<` and `<=` with the sides changed.
    Turned(Function, u8),
    And,
    Or,
}

impl Operator {
    fn of(token: Token<'_>) -> Option<Self> {
        Some(match token {
            Token::Sign("+") => Self::Call(Function::Add, SUM),
            Token::Sign("-") => Self::Call(Function::Subtract, SUM),
            Token::Sign("*") => Self::Call(Function::Multiply, PRODUCT),
            Token::Sign("/") => Self::Call(Function::Divide, PRODUCT),
            Token::Sign("%") => Self::Call(Function::Modulo, PRODUCT),
            Token::Sign("=") => Self::Call(Function::Equal, COMPARE),
            Token::Sign("<>" | "!=") => Self::Call(Function::Unequal, COMPARE),
            Token::Sign("<") => Self::Call(Function::Less, COMPARE),
            Token::Sign("<=") => Self::Call(Function::LessOrEqual, COMPARE),
            Token::Sign(">") => Self::Turned(Function::Less, COMPARE),
            Token::Sign(">=") => Self::Turned(Function::LessOrEqual, COMPARE),
            Token::Sign("&") => Self::Call(Function::BitAnd, BITS),
            Token::Sign("|") => Self::Call(Function::BitOr, BITS),
            Token::Sign("#") => Self::Call(Function::BitXor, BITS),
            Token::Sign("<<") => Self::Call(Function::ShiftLeft, BITS),
            Token::Sign(">>") => Self::Call(Function::ShiftRight, BITS),
            Token::Word(word) if word.eq_ignore_ascii_case("and") => Self::And,
            Token::Word(word) if word.eq_ignore_ascii_case("or") => Self::Or,
            _ => return None,
        })
    }

    fn strength(&self) -> u8 {
        match self {
            Self::Call(_, strength) | Self::Turned(_, strength) => *strength,
            Self::And => AND,
            Self::Or => OR,
        }
    }

    fn apply(self, left: Expression, right: Expression) -> Expression {
        match self {
            Self::Call(function, _) => call(function, [left, right]),
            Self::Turned(function, _) => call(function, [right, left]),
            Self::And => Expression::And(Box::new([left, right])),
            Self::Or => Expression::Or(Box::new([left, right])),
        }
    }
}

fn call<const N: usize>(function: Function, arguments: [Expression; N]) -> Expression {
    Expression::Call { function, arguments: Box::new(arguments) }
}

struct Parser<'t, 'r> {
    text: &'t str,
    at: usize,
    end: usize,
    depth: usize,
    parts: usize,
    resolve: Resolver<'r>,
}

impl<'t> Parser<'t, '_> {
    /// An expression whose operators are at least so strong (precedence climbing).
    fn expression(&mut self, strength: u8) -> Result<Expression, Wrong> {
        self.depth += 1;
        let here = self.at;
        if self.depth > DEPTH_MAX {
            let label = format!("at most {DEPTH_MAX} levels");
            return Err(Wrong::new(here..self.end, "the expression nests too deep", label));
        }
        let mut left = self.operand()?;
        let mut compared = false;
        loop {
            self.parts += 1;
            if self.parts > PARTS_MAX {
                let label = format!("at most {PARTS_MAX} operands and operators");
                return Err(Wrong::new(here..self.at, "the expression is too long", label));
            }
            let (token, at) = self.peek()?;
            if strength <= IS
                && let Some(test) = self.test(token, at.clone())?
            {
                left = if test.1 { call(Function::Not, [is(left, test.0)]) } else { is(left, test.0) };
                compared = false;
                continue;
            }
            let Some(operator) = Operator::of(token).filter(|operator| operator.strength() >= strength)
            else {
                break;
            };
            let own = operator.strength();
            if own == COMPARE && std::mem::replace(&mut compared, true) {
                let wrong = self.unexpected(at, "comparisons do not follow each other");
                return Err(wrong.help("put one of them into parentheses"));
            }
            compared &= own == COMPARE;
            self.at = at.end;
            left = operator.apply(left, self.expression(own + 1)?);
        }
        self.depth -= 1;
        Ok(left)
    }

    /// `IS [NOT] NULL`, `IS [NOT] TRUE`, `ISNULL`, `NOTNULL`: what it is compared with, and whether the answer is turned.
    fn test(&mut self, token: Token<'_>, at: Range<usize>) -> Result<Option<(Value, bool)>, Wrong> {
        let Token::Word(word) = token else { return Ok(None) };
        for (known, negated) in [("isnull", false), ("notnull", true)] {
            if word.eq_ignore_ascii_case(known) {
                self.at = at.end;
                return Ok(Some((Value::Null, negated)));
            }
        }
        if !word.eq_ignore_ascii_case("is") {
            return Ok(None);
        }
        self.at = at.end;
        let negated = self.word("not")?;
        let (token, at) = self.peek()?;
        let Token::Word(word) = token else {
            return Err(self.unexpected(at, "NULL, TRUE or FALSE is expected behind IS"));
        };
        let Some(value) = literal(word) else {
            return Err(self.unexpected(at, "NULL, TRUE or FALSE is expected behind IS"));
        };
        self.at = at.end;
        Ok(Some((value, negated)))
    }

    fn operand(&mut self) -> Result<Expression, Wrong> {
        let (token, at) = self.next()?;
        match token {
            Token::Int(value) => Ok(Expression::Constant(Value::Int(value))),
            Token::Double(value) => Ok(Expression::Constant(Value::Double(value))),
            Token::Variable(name) => Ok(Expression::Variable((self.resolve)(name, at))),
            Token::Beyond => Err(Wrong::new(at, "the number is too large", "at most 9223372036854775807")),
            Token::Sign("(") => {
                let inner = self.expression(0)?;
                self.close(&at)?;
                Ok(inner)
            }
            Token::Sign("+") => self.expression(SIGN),
            Token::Sign("-") => {
                let (after, at) = self.peek()?;
                if after == Token::Beyond {
                    self.at = at.end;
                    return Ok(Expression::Constant(Value::Int(i64::MIN)));
                }
                let zero = Expression::Constant(Value::Int(0));
                Ok(match self.expression(SIGN)? {
                    Expression::Constant(Value::Int(value)) if value > i64::MIN => {
                        Expression::Constant(Value::Int(-value))
                    }
                    of => call(Function::Subtract, [zero, of]),
                })
            }
            Token::Sign("~") => {
                let ones = Expression::Constant(Value::Int(-1));
                Ok(call(Function::BitXor, [ones, self.expression(BITS + 1)?]))
            }
            Token::Word(word) if word.eq_ignore_ascii_case("not") => {
                Ok(call(Function::Not, [self.expression(NOT)?]))
            }
            Token::Word(word) if word.eq_ignore_ascii_case("case") => self.case(&at),
            Token::Word(word) => match literal(word) {
                Some(value) => Ok(Expression::Constant(value)),
                None => self.function(word, at),
            },
            Token::End => Err(Wrong::new(at, "the expression ends too early", "a value is missing")),
            Token::Sign(_) => Err(self.unexpected(at, "a value is expected here")),
        }
    }

    fn case(&mut self, opened: &Range<usize>) -> Result<Expression, Wrong> {
        let mut branches = Vec::new();
        while self.word("when")? {
            let condition = self.expression(0)?;
            self.expect("then")?;
            branches.push((condition, self.expression(0)?));
        }
        if branches.is_empty() {
            let wrong = Wrong::new(opened.clone(), "this CASE has no WHEN", "a condition is missing");
            return Err(wrong.help("write `case when :x > 0 then 1 else 0 end`"));
        }
        let otherwise =
            if self.word("else")? { self.expression(0)? } else { Expression::Constant(Value::Null) };
        self.expect("end")?;
        Ok(Expression::Case { branches: branches.into(), otherwise: Box::new(otherwise) })
    }

    fn function(&mut self, name: &str, at: Range<usize>) -> Result<Expression, Wrong> {
        let (token, open) = self.peek()?;
        if token != Token::Sign("(") {
            let wrong = Wrong::new(at, format!("`{name}` is no value"), "not known");
            return Err(wrong.help(format!("a variable is written with a colon: `:{name}`")));
        }
        let Some(&(_, function, least, most)) =
            FUNCTIONS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))
        else {
            let help = likely(name, FUNCTIONS.map(|(known, ..)| known)).map_or_else(
                || format!("pgbench has {}", FUNCTIONS.map(|(known, ..)| known).join(", ")),
                |likely| format!("did you mean `{likely}`?"),
            );
            return Err(Wrong::new(at, format!("pgbench has no function `{name}`"), "not known").help(help));
        };
        self.at = open.end;
        let mut arguments = self.arguments(&open)?;
        if !(least..=most).contains(&arguments.len()) {
            let message = format!("`{name}` is given {}", counted(arguments.len()));
            let expected = if least == most {
                format!("it takes {}", counted(least))
            } else {
                format!("it takes {least} to {}", counted(most))
            };
            return Err(Wrong::new(at, message, expected));
        }
        let seeded = matches!(function, Function::HashFnv1a | Function::HashMurmur2 | Function::Permute);
        if seeded && arguments.len() < most {
            arguments.push(Expression::Variable((self.resolve)(DEFAULT_SEED, at)));
        }
        Ok(Expression::Call { function, arguments: arguments.into() })
    }

    fn arguments(&mut self, open: &Range<usize>) -> Result<Vec<Expression>, Wrong> {
        let mut arguments = Vec::new();
        if self.sign(")")? {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(0)?);
            if !self.sign(",")? {
                self.close(open)?;
                return Ok(arguments);
            }
        }
    }

    fn close(&mut self, open: &Range<usize>) -> Result<(), Wrong> {
        let (token, at) = self.peek()?;
        match token {
            Token::Sign(")") => {
                self.at = at.end;
                Ok(())
            }
            Token::End => Err(Wrong::new(open.clone(), "this parenthesis is not closed", "opened here")),
            _ => Err(self.unexpected(at, "`)` or an operator is expected here")),
        }
    }

    fn expect(&mut self, word: &str) -> Result<(), Wrong> {
        if self.word(word)? {
            return Ok(());
        }
        let (_, at) = self.peek()?;
        Err(self.unexpected(at, &format!("{} is expected here", word.to_uppercase())))
    }

    /// Takes the word if it is next.
    fn word(&mut self, wanted: &str) -> Result<bool, Wrong> {
        let (token, at) = self.peek()?;
        let is_it = matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(wanted));
        if is_it {
            self.at = at.end;
        }
        Ok(is_it)
    }

    /// Takes the sign if it is next.
    fn sign(&mut self, wanted: &'static str) -> Result<bool, Wrong> {
        let (token, at) = self.peek()?;
        let is_it = token == Token::Sign(wanted);
        if is_it {
            self.at = at.end;
        }
        Ok(is_it)
    }

    fn unexpected(&self, at: Range<usize>, label: &str) -> Wrong {
        match &self.text[at.clone()] {
            "" => Wrong::new(at, "the expression ends too early", label),
            found => Wrong::new(at, format!("`{found}` is not expected"), label),
        }
    }

    fn next(&mut self) -> Result<(Token<'t>, Range<usize>), Wrong> {
        let (token, at) = self.peek()?;
        self.at = at.end;
        Ok((token, at))
    }

    /// The next token and its bytes; blanks before it are passed by for good.
    fn peek(&mut self) -> Result<(Token<'t>, Range<usize>), Wrong> {
        self.skip_blanks();
        let (text, start) = (self.text, self.at);
        let rest = &text[start..self.end];
        let taken = |len: usize| (&rest[..len], start..start + len);
        let while_name = |from: usize| {
            from + rest[from..]
                .bytes()
                .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80)
                .count()
        };
        let Some(first) = rest.bytes().next() else { return Ok((Token::End, start..start)) };
        match first {
            b':' if while_name(1) > 1 => {
                let (name, at) = taken(while_name(1));
                Ok((Token::Variable(&name[1..]), at))
            }
            b'0'..=b'9' => self.number(),
            b'.' if rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit) => self.number(),
            _ if first.is_ascii_alphabetic() || first == b'_' || first >= 0x80 => {
                let (word, at) = taken(while_name(0));
                Ok((Token::Word(word), at))
            }
            b'~' => Ok((Token::Sign("~"), start..start + 1)),
            _ => {
                if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
                    return Ok((Token::Sign(sign), start..start + sign.len()));
                }
                let at = start..start + 1;
                Err(Wrong::new(at, format!("unexpected character `{}`", char::from(first)), "here"))
            }
        }
    }

    /// Blanks, and line ends behind a backslash.
    fn skip_blanks(&mut self) {
        let rest = &self.text.as_bytes()[self.at..self.end];
        let mut len = 0;
        loop {
            match &rest[len..] {
                [b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c, ..] => len += 1,
                [b'\\', b'\n', ..] => len += 2,
                [b'\\', b'\r', b'\n', ..] => len += 3,
                _ => break,
            }
        }
        self.at += len;
    }

    fn number(&self) -> Result<(Token<'t>, Range<usize>), Wrong> {
        let rest = &self.text[self.at..self.end];
        let digits = |from: usize| from + rest.bytes().skip(from).take_while(u8::is_ascii_digit).count();
        let whole = digits(0);
        let mut len = whole;
        if rest[len..].starts_with('.') {
            len = digits(len + 1);
        }
        if rest[len..].starts_with(['e', 'E']) {
            let sign = usize::from(rest[len + 1..].starts_with(['+', '-']));
            let end = digits(len + 1 + sign);
            len = if end > len + 1 + sign { end } else { len };
        }
        let at = self.at..self.at + len;
        let text = &rest[..len];
        if len > whole {
            return match text.parse::<f64>() {
                Ok(value) if value.is_finite() => Ok((Token::Double(value), at)),
                _ => Err(Wrong::new(at, "the number is too large", "beyond what a double holds")),
            };
        }
        match text.parse::<i64>() {
            Ok(value) => Ok((Token::Int(value), at)),
            Err(_) if text.parse() == Ok(i64::MIN.unsigned_abs()) => Ok((Token::Beyond, at)),
            Err(_) => Err(Wrong::new(at, "the number is too large", "at most 9223372036854775807")),
        }
    }
}

fn is(left: Expression, value: Value) -> Expression {
    call(Function::Is, [left, Expression::Constant(value)])
}

fn literal(word: &str) -> Option<Value> {
    let words = [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))];
    words.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, value)| value)
}

fn counted(arguments: usize) -> String {
    format!("{arguments} argument{}", if arguments == 1 { "" } else { "s" })
}

/// Name, function, fewest and most arguments.
const FUNCTIONS: [(&str, Function, usize, usize); 21] = [
    ("abs", Function::Abs, 1, 1),
    ("debug", Function::Debug, 1, 1),
    ("double", Function::Double, 1, 1),
    ("exp", Function::Exp, 1, 1),
    ("greatest", Function::Greatest, 1, ARGUMENTS_MAX),
    ("hash", Function::HashMurmur2, 1, 2),
    ("hash_fnv1a", Function::HashFnv1a, 1, 2),
    ("hash_murmur2", Function::HashMurmur2, 1, 2),
    ("int", Function::Int, 1, 1),
    ("least", Function::Least, 1, ARGUMENTS_MAX),
    ("ln", Function::Ln, 1, 1),
    ("mod", Function::Modulo, 2, 2),
    ("permute", Function::Permute, 2, 3),
    ("pi", Function::Pi, 0, 0),
    ("pow", Function::Power, 2, 2),
    ("power", Function::Power, 2, 2),
    ("random", Function::Random, 2, 2),
    ("random_exponential", Function::RandomExponential, 3, 3),
    ("random_gaussian", Function::RandomGaussian, 3, 3),
    ("random_zipfian", Function::RandomZipfian, 3, 3),
    ("sqrt", Function::Sqrt, 1, 1),
];
