//! Words, sentences and names from the lists of [`super::lexicon`].

use std::io::Write;

use super::Stream;
use super::lexicon::{
    CITIES, COMPANY_FORMS, COUNTRIES, FIRST_NAMES, LAST_NAMES, STREET_FORMS, STREET_NAMES, WORDS,
};

/// A text of a certain meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    First,
    Last,
    Company,
    Street,
    City,
    Country,
    Phone,
    Email,
}

impl Name {
    /// The names under which a template knows them.
    pub(super) const NAMES: &[&str] =
        &["first_name", "last_name", "company", "street", "city", "country", "phone", "email"];

    pub(super) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "first_name" => Self::First,
            "last_name" => Self::Last,
            "company" => Self::Company,
            "street" => Self::Street,
            "city" => Self::City,
            "country" => Self::Country,
            "phone" => Self::Phone,
            "email" => Self::Email,
            _ => return None,
        })
    }

    pub(super) fn emit(self, stream: &mut Stream, out: &mut Vec<u8>) {
        match self {
            Self::First => push(out, pick(FIRST_NAMES, stream)),
            Self::Last => push(out, pick(LAST_NAMES, stream)),
            Self::City => push(out, pick(CITIES, stream)),
            Self::Country => push(out, pick(COUNTRIES, stream)),
            Self::Company => {
                push(out, pick(LAST_NAMES, stream));
                out.push(b' ');
                push(out, pick(COMPANY_FORMS, stream));
            }
            Self::Street => {
                number(out, stream.between(1, 300));
                out.push(b' ');
                push(out, pick(STREET_NAMES, stream));
                out.push(b' ');
                push(out, pick(STREET_FORMS, stream));
            }
            // 555-01XX is set aside for fiction in every area of the North American plan.
            Self::Phone => {
                push(out, "+1");
                number(out, stream.between(200, 999));
                push(out, "55501");
                number(out, stream.between(10, 99));
            }
            Self::Email => {
                lower(out, pick(FIRST_NAMES, stream));
                out.push(b'.');
                lower(out, pick(LAST_NAMES, stream));
                number(out, stream.between(1, 9999));
                push(out, pick(&["@example.com", "@example.org", "@example.net"], stream));
            }
        }
    }
}

/// Appends `count` words with blanks between them.
pub(super) fn words(count: u32, stream: &mut Stream, out: &mut Vec<u8>) {
    for index in 0..count {
        if index > 0 {
            out.push(b' ');
        }
        push(out, word(stream));
    }
}

/// Appends `count` sentences of four to fourteen words.
pub(super) fn sentences(count: u32, stream: &mut Stream, out: &mut Vec<u8>) {
    for index in 0..count {
        if index > 0 {
            out.push(b' ');
        }
        let start = out.len();
        let length = u32::try_from(stream.between(4, 14)).unwrap_or(4);
        words(length, stream, out);
        out[start].make_ascii_uppercase();
        out.push(b'.');
    }
}

/// Appends words up to exactly `length` characters.
pub(super) fn of_length(length: u32, stream: &mut Stream, out: &mut Vec<u8>) {
    // The lists are ASCII: a byte is a character.
    let end = out.len() + length as usize;
    while out.len() < end {
        push(out, word(stream));
        out.push(b' ');
    }
    out.truncate(end);
    // A text that ends in a blank would look different in a CHAR column.
    if length > 0 && out[end - 1] == b' ' {
        out[end - 1] = b'.';
    }
}

/// A word. The product of two even draws makes word k about ln(n ÷ k) times as frequent as the average, which is close to
/// how a language uses its words, at the price of two draws.
fn word(stream: &mut Stream) -> &'static str {
    let bound = stream.below(WORDS.len() as u64) + 1;
    WORDS[usize::try_from(stream.below(bound)).unwrap_or(0)]
}

fn pick(list: &[&'static str], stream: &mut Stream) -> &'static str {
    list[usize::try_from(stream.below(list.len() as u64)).unwrap_or(0)]
}

fn push(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn lower(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().map(|byte| byte.to_ascii_lowercase()));
}

fn number(out: &mut Vec<u8>, value: i64) {
    let written = write!(out, "{value}");
    debug_assert!(written.is_ok(), "memory takes every byte");
}
