//! Types for the parameters of a statement whose constants told the server what to do with them: `1 + 2` is counted as `$1 + $2`,
//! which it cannot prepare. What the types may have been is guessed from the server's words and the place that they point at; the
//! server says which guess is right. Knows no server.

use std::collections::{BTreeMap, BTreeSet};

use crate::sql::lex::{Token, TokenKind, lex, significant};

/// What the server says to a parameter whose type it cannot tell: `indeterminate_datatype`.
const NO_TYPE: &str = "42P18";
/// What it says where one has another type than the constant had: `ambiguous_function`, `undefined_function`, `datatype_mismatch`.
const OTHER_TYPE: [&str; 3] = ["42725", "42883", "42804"];
/// Types that constants have, the likely ones first.
const LIKELY: [&str; 10] =
    ["integer", "numeric", "text", "timestamptz", "interval", "float8", "boolean", "date", "uuid", "jsonb"];
/// Names of types in the server's words, and as one word.
const NAMES: [(&str, &str); 17] = [
    ("timestamp with time zone", "timestamptz"),
    ("timestamp without time zone", "timestamp"),
    ("time with time zone", "timetz"),
    ("time without time zone", "time"),
    ("character varying", "varchar"),
    ("double precision", "float8"),
    ("smallint", "smallint"),
    ("integer", "integer"),
    ("bigint", "bigint"),
    ("numeric", "numeric"),
    ("real", "real"),
    ("boolean", "boolean"),
    ("interval", "interval"),
    ("date", "date"),
    ("uuid", "uuid"),
    ("jsonb", "jsonb"),
    ("bytea", "bytea"),
];
/// Words that end an operand.
const ENDS: [&str; 22] = [
    "AND",
    "OR",
    "NOT",
    "WHERE",
    "SELECT",
    "FROM",
    "GROUP",
    "ORDER",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "ON",
    "SET",
    "VALUES",
    "RETURNING",
    "AS",
    "BETWEEN",
    "THEN",
    "ELSE",
    "WHEN",
    "UNION",
    "IN",
];
/// Signs and words behind which a constant has the type of what stands before them.
const COMPARES: [&str; 8] = ["=", "<", ">", "~", "LIKE", "ILIKE", "LIMIT", "OFFSET"];
/// So few parameters are tried one by one as well.
const ALONE_MAX: usize = 4;

/// Why the server does not take a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// In its words.
    pub words: String,
    /// As five characters.
    pub sqlstate: String,
    /// The character of the text that it points at, counted from 0.
    pub at: Option<usize>,
    /// The search path under which it said so, where that is not the usual one.
    pub search_path: Option<String>,
}

/// A statement with types for some of its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    text: String,
    given: BTreeMap<u32, String>,
}

impl Typed {
    /// A statement as it was counted.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), given: BTreeMap::new() }
    }

    /// With a cast behind each parameter that was given a type.
    #[must_use]
    pub fn text(&self) -> String {
        self.written().0
    }

    /// The text, and how many characters were put in up to which character of it.
    fn written(&self) -> (String, Vec<(usize, usize)>) {
        let tokens: Vec<Token> = lex(&self.text).collect();
        let (mut out, mut put_in, mut sum) = (String::with_capacity(self.text.len()), vec![], 0);
        // Characters that were written so far, those that were put in included.
        let mut written = 0;
        for (at, token) in tokens.iter().enumerate() {
            out.push_str(token.text(&self.text));
            written += token.text(&self.text).chars().count();
            let Some(of_type) = number(token, &self.text).and_then(|number| self.given.get(&number)) else {
                continue;
            };
            let behind = tokens[at + 1..].iter().find(|token| !token.is_blank(&self.text));
            if behind.is_none_or(|token| !token.is_punctuation(&self.text, "::")) {
                out.push_str("::");
                out.push_str(of_type);
                let more = 2 + of_type.chars().count();
                sum += more;
                written += more;
                put_in.push((written, sum));
            }
        }
        (out, put_in)
    }

    /// Where the server points at, as a character of the statement as it was counted.
    #[must_use]
    pub fn place(&self, refused: &Refused) -> Option<usize> {
        let at = refused.at?;
        let (_, put_in) = self.written();
        let before = put_in.iter().rev().find(|(end, _)| *end <= at).map_or(0, |(_, sum)| *sum);
        Some(at.saturating_sub(before))
    }

    /// What to try in its place, the likely first; nothing where types are not what it lacks.
    #[must_use]
    pub fn guesses(&self, refused: &Refused) -> Vec<Self> {
        if refused.sqlstate == NO_TYPE {
            let number = refused.words.split_once('$').map(|(_, behind)| behind);
            let number =
                number.and_then(|digits| digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
            return number.map(|number| self.with(&BTreeSet::from([number]), "text")).into_iter().collect();
        }
        if !OTHER_TYPE.contains(&refused.sqlstate.as_str()) {
            return vec![];
        }
        let types = named(&refused.words);
        let likely = LIKELY.iter().map(|name| (*name).to_owned()).filter(|name| !types.contains(name));
        let types: Vec<String> = types.iter().cloned().chain(likely).collect();
        let mut guesses: Vec<Self> = vec![];
        for set in self.sets(self.place(refused)) {
            for of_type in &types {
                let guess = self.with(&set, of_type);
                if guess != *self && !guesses.contains(&guess) {
                    guesses.push(guess);
                }
            }
        }
        guesses
    }

    fn with(&self, numbers: &BTreeSet<u32>, of_type: &str) -> Self {
        let mut typed = self.clone();
        typed.given.extend(numbers.iter().map(|number| (*number, of_type.to_owned())));
        typed
    }

    /// Parameters that may have one type in common: those at the place that are compared with nothing, all of those at the place, all
    /// that are compared with nothing, and each of the first alone.
    fn sets(&self, place: Option<usize>) -> Vec<BTreeSet<u32>> {
        let text = self.text.as_str();
        let tokens = significant(text);
        let free: BTreeSet<u32> = (0..tokens.len()).filter_map(|at| free(&tokens, at, text)).collect();
        let loose: BTreeSet<u32> = (0..tokens.len())
            .filter(|at| !is_compared(&tokens, *at, text))
            .filter_map(|at| number(&tokens[at], text))
            .filter(|number| free.contains(number))
            .collect();
        let place = place.and_then(|place| text.char_indices().nth(place)).map(|(byte, _)| byte);
        let at = place.and_then(|byte| tokens.iter().position(|token| token.span.contains(&byte)));
        let near = at.map_or_else(Vec::new, |at| operands(&tokens, at, text));
        let near: BTreeSet<u32> = near
            .iter()
            .filter_map(|at| number(&tokens[*at], text))
            .filter(|number| free.contains(number))
            .collect();
        let both: BTreeSet<u32> = near.intersection(&loose).copied().collect();
        let alone = if (2..=ALONE_MAX).contains(&both.len()) {
            both.iter().map(|number| BTreeSet::from([*number])).collect()
        } else {
            vec![]
        };
        let mut sets = vec![both, near, loose];
        sets.extend(alone);
        sets.retain(|set| !set.is_empty());
        sets
    }
}

fn number(token: &Token, text: &str) -> Option<u32> {
    (token.kind == TokenKind::Positional).then(|| token.text(text)[1..].parse().ok()).flatten()
}

/// The number of a parameter to which no type is given by the statement itself.
fn free(tokens: &[Token], at: usize, text: &str) -> Option<u32> {
    let behind = tokens.get(at + 1);
    number(&tokens[at], text).filter(|_| behind.is_none_or(|token| !token.is_punctuation(text, "::")))
}

/// Whether a parameter stands behind or before a sign that gives it a type.
fn is_compared(tokens: &[Token], at: usize, text: &str) -> bool {
    let compares = |token: &Token| {
        COMPARES.iter().any(|mark| token.is_punctuation(text, mark) || token.is_word(text, mark))
    };
    let before = at.checked_sub(1).and_then(|at| tokens.get(at));
    [before, tokens.get(at + 1)].into_iter().flatten().any(compares)
}

/// The tokens of what stands at a place: the arguments of a function, both sides of an operator, or an expression that begins there.
fn operands(tokens: &[Token], at: usize, text: &str) -> Vec<usize> {
    let is_word = matches!(tokens[at].kind, TokenKind::Word | TokenKind::QuotedIdentifier);
    if is_word && tokens.get(at + 1).is_some_and(|next| next.is_punctuation(text, "(")) {
        return in_parentheses(tokens, at + 1, text).collect();
    }
    let is_operator = tokens[at].kind == TokenKind::Punctuation && !tokens[at].is_punctuation(text, "(");
    let right = forward(tokens, if is_operator { at + 1 } else { at }, text);
    let left = stretch(tokens, 0..at, text, true).take_while(|_| is_operator);
    right.chain(left).collect()
}

/// The tokens of a pair of parentheses, from the opening one on.
fn in_parentheses<'a>(tokens: &'a [Token], open: usize, text: &'a str) -> impl Iterator<Item = usize> + 'a {
    let mut depth = 0_usize;
    let is_inside = move |at: &usize| {
        if tokens[*at].is_punctuation(text, "(") {
            depth += 1;
        } else if tokens[*at].is_punctuation(text, ")") {
            depth -= 1;
        }
        depth > 0
    };
    (open..tokens.len()).take_while(is_inside)
}

fn forward<'a>(tokens: &'a [Token], from: usize, text: &'a str) -> impl Iterator<Item = usize> + 'a {
    stretch(tokens, from..tokens.len(), text, false)
}

/// Tokens of a stretch from its beginning or, `backwards`, from its end on, as far as one operand reaches.
fn stretch<'a>(
    tokens: &'a [Token],
    of: std::ops::Range<usize>,
    text: &'a str,
    backwards: bool,
) -> impl Iterator<Item = usize> + 'a {
    let mut depth = 0_usize;
    let length = of.len();
    let order = move |step: usize| if backwards { of.end - 1 - step } else { of.start + step };
    (0..length).map(order).take_while(move |at| {
        let token = &tokens[*at];
        let is = |marks: [&str; 2], word: &str| {
            marks.iter().any(|mark| token.is_punctuation(text, mark)) || token.is_word(text, word)
        };
        let (opens, closes) = (is(["(", "["], "CASE"), is([")", "]"], "END"));
        let (opens, closes) = if backwards { (closes, opens) } else { (opens, closes) };
        if opens {
            depth += 1;
        } else if closes {
            if depth == 0 {
                return false;
            }
            depth -= 1;
        } else if depth == 0 {
            return !token.is_punctuation(text, ",") && !ENDS.iter().any(|word| token.is_word(text, word));
        }
        true
    })
}

/// The types that the server names, those of lists by their elements, as one word each. `text` is what it takes for everything that
/// it knows nothing of.
fn named(words: &str) -> Vec<String> {
    let message = words.split("(SQLSTATE").next().unwrap_or_default();
    let mut rest = message.replace("[]", "");
    let mut found: Vec<(usize, String)> = vec![];
    for (name, short) in NAMES {
        while let Some(at) = word_in(&rest, name) {
            // What was read is not read as a part of another name.
            rest.replace_range(at..at + name.len(), &"_".repeat(name.len()));
            found.push((at, short.to_owned()));
        }
    }
    // An operand of a type that somebody made: an enum.
    if let Some((_, operands)) = rest.split_once("operator does not exist: ") {
        let base = rest.len() - operands.len();
        for word in words_of(operands) {
            let is_name = word.starts_with(|c: char| c.is_alphabetic() || c == '"');
            if is_name && !["unknown", "text"].contains(&word) {
                found.push((base + word.as_ptr() as usize - operands.as_ptr() as usize, word.to_owned()));
            }
        }
    }
    found.sort();
    let mut types: Vec<String> = vec![];
    for (_, of_type) in found {
        if !types.contains(&of_type) {
            types.push(of_type);
        }
    }
    types
}

/// The words of a text, of which blanks in quotes are a part: `app."my type"`.
fn words_of(text: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let ends = move |c: char| {
        is_quoted ^= c == '"';
        c.is_whitespace() && !is_quoted
    };
    text.split(ends).filter(|word| !word.is_empty())
}

/// Where a name stands as a word of its own.
fn word_in(text: &str, name: &str) -> Option<usize> {
    let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '"');
    text.match_indices(name).map(|(at, _)| at).find(|at| {
        is_edge(text[..*at].chars().next_back()) && is_edge(text[at + name.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(sqlstate: &str, words: &str, text: &str, mark: &str) -> Refused {
        Refused {
            words: words.to_owned(),
            sqlstate: sqlstate.to_owned(),
            at: text.find(mark),
            search_path: None,
        }
    }

    fn first(text: &str, refused: &Refused) -> String {
        Typed::new(text).guesses(refused).first().map(Typed::text).unwrap_or_default()
    }

    #[test]
    fn what_has_no_type_is_a_text() {
        let text = "SELECT f($1, $12, $1)";
        let why =
            refused("42P18", "could not determine data type of parameter $1 (SQLSTATE 42P18)", text, "f");
        assert_eq!(first(text, &why), "SELECT f($1::text, $12, $1::text)");
        assert!(Typed::new(text).guesses(&refused("42601", "syntax error", text, "f")).is_empty());
    }

    #[test]
    fn both_sides_of_an_operator_and_the_arguments_of_a_function_are_guessed() {
        let text = "SELECT a, $1 + $2 FROM t WHERE b = $3";
        let why = refused("42725", "operator is not unique: unknown + unknown", text, "+");
        assert_eq!(first(text, &why), "SELECT a, $1::integer + $2::integer FROM t WHERE b = $3");
        let text = "SELECT sum(CASE WHEN state = $1 THEN $2 ELSE $3 END) FROM t";
        let why = refused("42883", "function sum(text) does not exist", text, "sum");
        assert_eq!(
            first(text, &why),
            "SELECT sum(CASE WHEN state = $1 THEN $2::integer ELSE $3::integer END) FROM t"
        );
    }

    #[test]
    fn arguments_end_with_the_parentheses_of_their_function() {
        let text = "SELECT sum(abs($1) * ($2)) + $3 FROM t";
        let why = refused("42883", "function sum(text) does not exist", text, "sum");
        assert_eq!(first(text, &why), "SELECT sum(abs($1::integer) * ($2::integer)) + $3 FROM t");
        let why = refused("42883", "function abs(text) does not exist", text, "abs");
        assert_eq!(first(text, &why), "SELECT sum(abs($1::integer) * ($2)) + $3 FROM t");
        let open = "SELECT sum($1";
        assert_eq!(first(open, &refused("42883", "", open, "sum")), "SELECT sum($1::integer");
    }

    #[test]
    fn the_other_side_tells_its_type() {
        let text = "SELECT 1 FROM t WHERE id = ANY (ARRAY[$1, $2]) AND name = $3";
        let why = refused("42883", "operator does not exist: bigint = text (SQLSTATE 42883)", text, "=");
        assert!(
            first(text, &why).contains("ARRAY[$1::bigint, $2::bigint]) AND name = $3"),
            "{}",
            first(text, &why)
        );
        assert_eq!(named("operator does not exist: character varying[] && text[]"), ["varchar"]);
        assert_eq!(named("operator does not exist: colour = text"), ["colour"]);
        assert_eq!(
            named("operator does not exist: app.\"My \"\"own type\" = text (SQLSTATE 42883)"),
            ["app.\"My \"\"own type\""]
        );
        assert_eq!(
            named("column \"date\" is of type timestamp with time zone but expression is of type text"),
            ["timestamptz"]
        );
    }

    #[test]
    fn places_are_told_in_the_text_as_it_was_counted() {
        let typed = Typed::new("SELECT $1 + $2, $3 - $4").with(&BTreeSet::from([1, 2]), "integer");
        let text = typed.text();
        assert_eq!(text, "SELECT $1::integer + $2::integer, $3 - $4");
        let why = refused("42725", "operator is not unique: unknown - unknown", &text, "-");
        assert_eq!(typed.place(&why), Some(19));
        assert_eq!(
            typed.guesses(&why)[0].text(),
            "SELECT $1::integer + $2::integer, $3::integer - $4::integer"
        );
        // Characters, not bytes.
        let typed = Typed::new("SELECT 'ä', $1, 'ö', $2 + $3").with(&BTreeSet::from([1, 2]), "\"Größe\"");
        let text = typed.text();
        assert_eq!(text, "SELECT 'ä', $1::\"Größe\", 'ö', $2::\"Größe\" + $3");
        let at = text.find('+').map(|byte| text[..byte].chars().count());
        let why = Refused { at, ..refused("42725", "", &text, "+") };
        assert_eq!(typed.place(&why), "SELECT 'ä', $1, 'ö', $2 + $3".chars().position(|c| c == '+'));
    }
}
