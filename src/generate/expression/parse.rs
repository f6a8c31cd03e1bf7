//! From text to an expression, with the bytes of every part.

use std::ops::Range;

use super::{Expression, ExpressionError, Function, Literal, Name, Node, Operator};
use crate::diagnostic::likely;

/// How deep parentheses and operators may nest.
const DEPTH_MAX: usize = 64;
/// Operands and operators of one expression: `1 + 1 + 1 …` nests as deep as it is long.
const PARTS_MAX: usize = 1_000;

/// Words that are no names.
const KEYWORDS: [&str; 13] =
    ["and", "or", "not", "is", "null", "true", "false", "case", "when", "then", "else", "end", "div"];

/// Reads the whole text as one expression.
pub(in crate::generate) fn parse(text: &str) -> Result<Expression<Name>, ExpressionError> {
    let mut parser = Parser { text, at: 0, depth: 0, parts: 0 };
    let expression = parser.expression(0)?;
    parser.skip_blanks();
    if parser.at < text.len() {
        let rest = parser.token_range();
        let found = &text[rest.clone()];
        return Err(ExpressionError::new(
            rest,
            format!("`{found}` is not expected"),
            "the expression ends before",
        ));
    }
    Ok(expression)
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    /// Operands and operators so far.
    parts: usize,
}

type Parsed = Result<Expression<Name>, ExpressionError>;

/// Operators by their strength, those of two characters before those of one.
const OPERATORS: [(&str, Operator, u8); 17] = [
    ("or", Operator::Or, 1),
    ("and", Operator::And, 2),
    ("<=", Operator::LessOrEqual, 4),
    (">=", Operator::GreaterOrEqual, 4),
    ("<>", Operator::Unequal, 4),
    ("!=", Operator::Unequal, 4),
    ("==", Operator::Equal, 4),
    ("=", Operator::Equal, 4),
    ("<", Operator::Less, 4),
    (">", Operator::Greater, 4),
    ("||", Operator::Join, 5),
    ("+", Operator::Plus, 6),
    ("-", Operator::Minus, 6),
    ("*", Operator::Times, 7),
    ("/", Operator::Divide, 7),
    ("div", Operator::Divide, 7),
    ("%", Operator::Remainder, 7),
];
/// Between AND and the comparisons.
const NOT: u8 = 3;
const IS: u8 = 4;
const NEGATIVE: u8 = 8;

impl Parser<'_> {
    /// An expression whose operators are at least so strong (precedence climbing).
    fn expression(&mut self, strength: u8) -> Parsed {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let here = self.at..self.text.len();
            return Err(ExpressionError::new(
                here,
                "the expression nests too deep",
                format!("at most {DEPTH_MAX} levels"),
            ));
        }
        let mut left = self.operand()?;
        loop {
            if self.parts > PARTS_MAX {
                let label = format!("at most {PARTS_MAX} operands and operators");
                return Err(ExpressionError::new(left.at, "the expression is too long", label));
            }
            self.parts += 1;
            if strength <= IS && self.word("is") {
                let negated = self.word("not");
                self.expect("null")?;
                let at = left.at.start..self.at;
                left = Expression { at, node: Node::IsNull { of: Box::new(left), negated } };
                continue;
            }
            let Some((sign, operator, own)) = self.operator().filter(|(_, _, own)| *own >= strength) else {
                break;
            };
            self.at += sign.len();
            let right = self.expression(own + 1)?;
            let at = left.at.start..right.at.end;
            let (left_box, right) = (Box::new(left), Box::new(right));
            left = Expression { at, node: Node::Binary { operator, left: left_box, right } };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operator(&mut self) -> Option<(&'static str, Operator, u8)> {
        self.skip_blanks();
        OPERATORS.into_iter().find(|(sign, _, _)| {
            if sign.as_bytes()[0].is_ascii_alphabetic() {
                self.is_word(sign)
            } else {
                self.rest().starts_with(sign)
            }
        })
    }

    fn operand(&mut self) -> Parsed {
        self.skip_blanks();
        let start = self.at;
        if self.sign("(") {
            let inner = self.expression(0)?;
            self.close(start)?;
            return Ok(Expression { at: start..self.at, node: inner.node });
        }
        if self.sign("-") {
            let of = self.expression(NEGATIVE)?;
            return Ok(Expression { at: start..of.at.end, node: Node::Negative(Box::new(of)) });
        }
        if self.word("not") {
            let of = self.expression(NOT)?;
            return Ok(Expression { at: start..of.at.end, node: Node::Not(Box::new(of)) });
        }
        if self.word("case") {
            return self.case(start);
        }
        for (word, literal) in
            [("null", Literal::Null), ("true", Literal::Bool(true)), ("false", Literal::Bool(false))]
        {
            if self.word(word) {
                return Ok(Expression { at: start..self.at, node: Node::Literal(literal) });
            }
        }
        match self.rest().as_bytes().first() {
            Some(b'0'..=b'9' | b'.') => self.number(),
            Some(b'\'') => self.quoted_text(),
            Some(byte) if byte.is_ascii_alphabetic() || *byte == b'_' || *byte == b'"' || *byte >= 0x80 => {
                self.name_or_call()
            }
            Some(_) => {
                let at = self.token_range();
                let found = &self.text[at.clone()];
                Err(ExpressionError::new(
                    at,
                    format!("`{found}` is not expected"),
                    "a value is expected here",
                ))
            }
            None => Err(ExpressionError::new(
                self.ending(),
                "the expression ends too early",
                "a value is missing",
            )),
        }
    }

    fn case(&mut self, start: usize) -> Parsed {
        let mut branches = vec![];
        while self.word("when") {
            let when = self.expression(0)?;
            self.expect("then")?;
            branches.push((when, self.expression(0)?));
        }
        if branches.is_empty() {
            let at = start..self.at;
            return Err(ExpressionError::new(at, "this `case` has no `when`", "a condition is missing")
                .help("write `case when quantity > 10 then 5 else 0 end`"));
        }
        let otherwise = if self.word("else") { Some(Box::new(self.expression(0)?)) } else { None };
        self.expect("end")?;
        Ok(Expression { at: start..self.at, node: Node::Case { branches, otherwise } })
    }

    fn number(&mut self) -> Parsed {
        let start = self.at;
        let is_part = |byte: &u8| byte.is_ascii_digit() || *byte == b'.' || *byte == b'_';
        self.at += self.rest().bytes().take_while(is_part).count();
        let at = start..self.at;
        let digits = self.text[at.clone()].replace('_', "");
        let (whole, behind) = digits.split_once('.').unwrap_or((&digits, ""));
        let literal = format!("{whole}{behind}").parse::<i64>().ok().filter(|_| !behind.contains('.'));
        let literal = literal.zip(u8::try_from(behind.len()).ok().filter(|scale| *scale <= 18));
        match literal {
            Some((unscaled, 0)) => Ok(Expression { at, node: Node::Literal(Literal::Int(unscaled)) }),
            Some((unscaled, scale)) => {
                Ok(Expression { at, node: Node::Literal(Literal::Decimal { unscaled, scale }) })
            }
            None => {
                let message = format!("`{}` is not a number", &self.text[at.clone()]);
                Err(ExpressionError::new(at, message, "at most 18 digits and one point are expected"))
            }
        }
    }

    fn quoted_text(&mut self) -> Parsed {
        let start = self.at;
        let text = self.quoted('\'')?;
        Ok(Expression { at: start..self.at, node: Node::Literal(Literal::Text(text)) })
    }

    /// What stands between two quotes; a doubled quote is one of them.
    fn quoted(&mut self, quote: char) -> Result<String, ExpressionError> {
        let start = self.at;
        let mut text = String::new();
        let mut chars = self.text[start + 1..].char_indices().peekable();
        while let Some((offset, char)) = chars.next() {
            if char != quote {
                text.push(char);
            } else if chars.next_if(|(_, next)| *next == quote).is_some() {
                text.push(quote);
            } else {
                self.at = start + 1 + offset + 1;
                return Ok(text);
            }
        }
        let at = start..self.text.len();
        Err(ExpressionError::new(at, format!("a {quote} has no partner"), "opened here"))
    }

    fn name_or_call(&mut self) -> Parsed {
        let start = self.at;
        let first = self.identifier()?;
        let at = start..self.at;
        if self.sign("(") {
            return self.call(&first, &at);
        }
        self.at = at.end;
        let name = if self.rest().starts_with('.') {
            self.at += 1;
            Name { through: Some(first), column: self.identifier()? }
        } else {
            Name { through: None, column: first }
        };
        Ok(Expression { at: start..self.at, node: Node::Name(name) })
    }

    fn identifier(&mut self) -> Result<String, ExpressionError> {
        if self.rest().starts_with('"') {
            return self.quoted('"');
        }
        let length = word_length(self.rest());
        let at = self.at..self.at + length;
        let word = &self.text[at.clone()];
        if length == 0 {
            return Err(ExpressionError::new(
                self.ending(),
                "a name is missing",
                "a column is expected here",
            ));
        }
        if KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word)) {
            return Err(ExpressionError::new(
                at,
                format!("`{word}` is not expected"),
                "a value is expected here",
            )
            .help(format!("a column of that name is written \"{word}\"")));
        }
        self.at += length;
        Ok(word.to_owned())
    }

    fn call(&mut self, name: &str, at: &Range<usize>) -> Parsed {
        let lower = name.to_ascii_lowercase();
        let Some((_, function)) = Function::ALL.into_iter().find(|(known, _)| *known == lower) else {
            let names = Function::ALL.map(|(known, _)| known);
            let error =
                ExpressionError::new(at.clone(), format!("no function is called `{name}`"), "not known");
            return Err(match likely(&lower, names) {
                Some(likely) => error.help(format!("did you mean `{likely}`?")),
                None => error.help(format!("known are {}", names.join(", "))),
            });
        };
        let mut arguments = vec![self.expression(0)?];
        while self.sign(",") {
            arguments.push(self.expression(0)?);
        }
        self.close(at.end)?;
        let (fewest, most) = function.arity();
        if !(fewest..=most).contains(&arguments.len()) {
            let label = if most == 1 {
                "takes one value".to_owned()
            } else {
                format!("takes {fewest} or {most} values")
            };
            let message = format!("`{name}` has {} values", arguments.len());
            return Err(ExpressionError::new(at.start..self.at, message, label));
        }
        Ok(Expression { at: at.start..self.at, node: Node::Call { function, arguments } })
    }

    fn close(&mut self, opened: usize) -> Result<(), ExpressionError> {
        if self.sign(")") {
            return Ok(());
        }
        let opened = self.text[opened..].find('(').map_or(opened, |offset| opened + offset);
        if self.at < self.text.len() {
            let at = self.token_range();
            let message = format!("`{}` is not expected", &self.text[at.clone()]);
            return Err(ExpressionError::new(at, message, "an operator or `)` is expected here"));
        }
        Err(ExpressionError::new(opened..opened + 1, "a parenthesis is not closed", "opened here"))
    }

    fn expect(&mut self, word: &str) -> Result<(), ExpressionError> {
        if self.word(word) {
            return Ok(());
        }
        self.skip_blanks();
        let at = if self.at < self.text.len() { self.token_range() } else { self.ending() };
        Err(ExpressionError::new(at, format!("`{word}` is missing"), format!("`{word}` is expected here")))
    }

    fn sign(&mut self, sign: &str) -> bool {
        self.skip_blanks();
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    fn word(&mut self, word: &str) -> bool {
        self.skip_blanks();
        let found = self.is_word(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn is_word(&self, word: &str) -> bool {
        let rest = self.rest();
        word_length(rest) == word.len() && rest[..word.len()].eq_ignore_ascii_case(word)
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// The word or sign that stands here.
    fn token_range(&self) -> Range<usize> {
        let length = word_length(self.rest()).max(self.rest().chars().next().map_or(0, char::len_utf8));
        self.at..self.at + length
    }

    /// The last character, to point at when something is missing behind it.
    fn ending(&self) -> Range<usize> {
        let last = self.text.trim_end().char_indices().last();
        last.map_or(0..0, |(at, char)| at..at + char.len_utf8())
    }
}

fn word_length(text: &str) -> usize {
    let is_part = |char: &char| char.is_alphanumeric() || *char == '_' || *char == '$';
    text.chars().take_while(is_part).map(char::len_utf8).sum()
}
