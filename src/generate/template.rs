//! Texts with other values in them: `"{first_name}.{id}@example.com"`.

use super::Stream;
use super::json::plain;
use super::spec::Refusal;
use super::text::Name;
use super::value::{Made, ValueGenerator};

/// A template that was read: pieces of text, columns of the row, and values of their own.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Literal(String),
    Column(usize),
    Generated(ValueGenerator),
}

/// How the values of a unique column can be told apart inside a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Digits, as many as it takes.
    Number,
    /// Always of the same length.
    OfOneLength,
}

impl Template {
    /// Reads a template. A name means one of `columns`, or else a generator that needs no settings.
    pub(super) fn parse(text: &str, columns: &[&str]) -> Result<Self, Refusal> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            let behind = &rest[at + 1..];
            if let Some(doubled) = behind.strip_prefix(brace) {
                literal.push_str(brace);
                rest = doubled;
                continue;
            }
            let Some((name, tail)) = behind.split_once('}').filter(|_| brace == "{") else {
                return Err(Refusal::new(
                    format!("a brace has no partner in `{text}`"),
                    "not closed, or never opened",
                )
                .help("a brace itself is written twice: `{{`"));
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(part(name, columns)?);
            rest = tail;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }

    /// The columns of the row that it names.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.parts
            .iter()
            .filter_map(|part| if let Part::Column(column) = part { Some(*column) } else { None })
    }

    /// Whether no two rows have the same text: a key is in it, from which the text behind it or before it can be told, since
    /// all that stands on that side is fixed.
    pub(super) fn has_key(&self, key: &dyn Fn(usize) -> Option<Key>) -> bool {
        let is_fixed = |parts: &[Part]| parts.iter().all(|part| matches!(part, Part::Literal(_)));
        let is_edge = |char: Option<char>| char.is_none_or(|char| !char.is_ascii_digit() && char != '-');
        self.parts.iter().enumerate().any(|(at, part)| {
            let Part::Column(column) = part else { return false };
            let (before, behind) = (&self.parts[..at], &self.parts[at + 1..]);
            let ends = match before.last() {
                Some(Part::Literal(text)) => is_edge(text.chars().last()),
                other => other.is_none(),
            };
            let begins = match behind.first() {
                Some(Part::Literal(text)) => is_edge(text.chars().next()),
                other => other.is_none(),
            };
            match key(*column) {
                None => false,
                Some(Key::OfOneLength) => is_fixed(before) || is_fixed(behind),
                Some(Key::Number) => (is_fixed(before) && begins) || (is_fixed(behind) && ends),
            }
        })
    }

    /// Appends the text; `column` appends the value of a column of the row, or gives it.
    pub(super) fn emit(
        &self,
        stream: &mut Stream,
        out: &mut Vec<u8>,
        column: &mut dyn FnMut(usize, &mut Vec<u8>) -> Made,
    ) {
        for part in &self.parts {
            let made = match part {
                Part::Literal(text) => {
                    out.extend_from_slice(text.as_bytes());
                    Made::Text
                }
                Part::Column(index) => column(*index, out),
                Part::Generated(generator) => generator.emit(stream, out),
            };
            match made {
                Made::Scalar(slot) => plain(out, slot),
                // Columns of bytes are refused where the template is read.
                Made::Text | Made::Bytes => {}
            }
        }
    }
}

fn part(name: &str, columns: &[&str]) -> Result<Part, Refusal> {
    if let Some(column) = columns.iter().position(|column| *column == name) {
        return Ok(Part::Column(column));
    }
    if let Some(generator) = ValueGenerator::named(name) {
        return Ok(Part::Generated(generator));
    }
    let candidates = columns.iter().copied().chain(Name::NAMES.iter().copied()).chain(["uuid", "ip_address"]);
    Err(Refusal::unknown("column or generator", name, "named in the template", candidates))
}
