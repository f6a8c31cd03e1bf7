//! A statement as tokens, read as far as its safe form needs it: names, parentheses, the actions of an `ALTER TABLE`.

use std::ops::Range;

use crate::sql::lex::{Token, TokenKind};
use crate::sql::quoting::double_quoted;

/// `NAMEDATALEN` less one: what of a longer name the server cuts off.
const NAME_BYTES_MAX: usize = 63;

/// The head of an `ALTER TABLE`: its table, and the token at which its only action begins.
pub(super) struct Alter {
    pub(super) table: String,
    pub(super) action: usize,
}

pub(super) struct Text<'a> {
    pub(super) sql: &'a str,
    pub(super) tokens: &'a [Token],
}

impl<'a> Text<'a> {
    pub(super) fn word(&self, at: usize, keyword: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_word(self.sql, keyword))
    }

    pub(super) fn mark(&self, at: usize, mark: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_punctuation(self.sql, mark))
    }

    /// Whether these words stand at a place, one behind the other.
    pub(super) fn words(&self, at: usize, keywords: &[&str]) -> bool {
        keywords.iter().enumerate().all(|(index, keyword)| self.word(at + index, keyword))
    }

    pub(super) fn find(&self, keyword: &str) -> Option<usize> {
        (0..self.tokens.len()).find(|at| self.word(*at, keyword))
    }

    /// Where the first of these words ends, in bytes.
    pub(super) fn end_of(&self, keyword: &str) -> Option<usize> {
        Some(self.tokens[self.find(keyword)?].span.end)
    }

    /// From the beginning of the first token to the end of the last.
    pub(super) fn text(&self, tokens: Range<usize>) -> &'a str {
        match (
            self.tokens.get(tokens.start),
            tokens.end.checked_sub(1).and_then(|last| self.tokens.get(last)),
        ) {
            (Some(first), Some(last)) if tokens.start < tokens.end => {
                &self.sql[first.span.start..last.span.end]
            }
            _ => "",
        }
    }

    /// Parentheses and brackets that are open before a token.
    pub(super) fn depth(&self, at: usize) -> usize {
        let count = |marks: [&str; 2]| {
            let is_one = |token: &&Token| marks.iter().any(|mark| token.is_punctuation(self.sql, mark));
            self.tokens[..at].iter().filter(is_one).count()
        };
        count(["(", "["]).saturating_sub(count([")", "]"]))
    }

    /// Whether a mark stands outside of all parentheses.
    pub(super) fn has_top(&self, mark: &str) -> bool {
        (0..self.tokens.len()).any(|at| self.mark(at, mark) && self.depth(at) == 0)
    }

    /// The stretches between the commas of a stretch, which are no deeper than its beginning.
    pub(super) fn parts(&self, of: Range<usize>) -> Vec<Range<usize>> {
        let depth = self.depth(of.start);
        let mut parts = Vec::new();
        let mut begin = of.start;
        for at in of.clone().filter(|at| self.mark(*at, ",") && self.depth(*at) == depth) {
            parts.push(begin..at);
            begin = at + 1;
        }
        parts.push(begin..of.end);
        parts
    }

    /// The token that closes the parenthesis at `open`.
    pub(super) fn closing(&self, open: usize) -> Option<usize> {
        self.tokens.get(open).filter(|token| token.is_punctuation(self.sql, "("))?;
        let depth = self.depth(open);
        (open + 1..self.tokens.len()).find(|at| self.mark(*at, ")") && self.depth(*at) == depth + 1)
    }

    /// An identifier.
    pub(super) fn name(&self, at: usize) -> Option<&'a str> {
        let token = self.tokens.get(at)?;
        matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdentifier)
            .then(|| &self.sql[token.span.clone()])
    }

    /// A name that may be qualified, and the token behind it.
    pub(super) fn qualified(&self, at: usize) -> Option<(String, usize)> {
        let mut name = self.name(at)?.to_owned();
        let mut next = at + 1;
        while self.mark(next, ".") {
            name = format!("{name}.{}", self.name(next + 1)?);
            next += 2;
        }
        Some((name, next))
    }

    /// `ALTER TABLE [IF EXISTS] [ONLY] name action`, with one action only.
    pub(super) fn alter(&self) -> Option<Alter> {
        self.altered().filter(|_| !self.has_top(","))
    }

    /// The same with any number of actions.
    fn altered(&self) -> Option<Alter> {
        if !self.words(0, &["ALTER", "TABLE"]) {
            return None;
        }
        let mut at = 2;
        if self.word(at, "IF") {
            at += 2;
        }
        if self.word(at, "ONLY") {
            at += 1;
        }
        let (table, action) = self.qualified(at)?;
        Some(Alter { table, action })
    }

    /// Each action of an `ALTER TABLE` as a statement of its own.
    pub(super) fn actions(&self) -> Vec<String> {
        let Some(Alter { action, .. }) = self.altered() else { return Vec::new() };
        let head = self.text(0..action);
        let parts = self.parts(action..self.tokens.len());
        parts.into_iter().map(|part| format!("{head} {}", self.text(part))).collect()
    }

    /// The name of a constraint and what it says. One without a name gets the one that the server would give it.
    pub(super) fn constraint(&self, at: usize, table: &str) -> Option<(String, String)> {
        let (name, from) = if self.word(at, "CONSTRAINT") {
            (self.name(at + 1)?.to_owned(), at + 2)
        } else {
            (self.usual_name(at, table)?, at)
        };
        let rest = self.text(from..self.tokens.len());
        (!rest.is_empty()).then(|| (name, rest.to_owned()))
    }

    /// `orders_customer_id_fkey`; of another of that name the server would say another.
    fn usual_name(&self, at: usize, table: &str) -> Option<String> {
        let open = (at..self.tokens.len()).find(|at| self.mark(*at, "("))?;
        let inside = open + 1..self.closing(open)?;
        let is_name = |at: &usize| {
            let is_word = self.tokens[*at].kind == TokenKind::Word && !self.mark(*at + 1, "(");
            is_word || self.tokens[*at].kind == TokenKind::QuotedIdentifier
        };
        let mut names: Vec<String> =
            inside.filter(is_name).filter_map(|at| self.name(at)).map(bare).collect();
        let ending = match () {
            () if self.word(at, "FOREIGN") => "fkey",
            () if self.word(at, "UNIQUE") => "key",
            () if self.word(at, "PRIMARY") => {
                names.clear();
                "pkey"
            }
            () => {
                names.dedup();
                // Of several names nobody knows which are columns.
                names.truncate(usize::from(names.len() == 1));
                "check"
            }
        };
        Some(joined(&[&[bare(table)][..], &names[..]].concat(), ending))
    }
}

/// An identifier as the server keeps it: without its quotes, or in small letters.
pub(super) fn bare(name: &str) -> String {
    let is_quoted = name.ends_with('"');
    if !is_quoted {
        return name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
    }
    let inner = name.trim_end_matches('"');
    let begin = inner.rfind('"').map_or(0, |quote| quote + 1);
    inner[begin..].to_owned()
}

/// A name as SQL takes it, quoted only where it must be.
pub(super) fn plain(name: &str) -> String {
    let is_plain = name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if is_plain { name.to_owned() } else { double_quoted(name) }
}

/// A name of its parts, no longer than the server keeps it, as SQL takes it.
pub(super) fn joined(parts: &[String], ending: &str) -> String {
    let mut name = parts.join("_");
    let room = NAME_BYTES_MAX - 1 - ending.len();
    let end = (0..=room.min(name.len())).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    name.truncate(end);
    plain(&format!("{name}_{ending}"))
}
