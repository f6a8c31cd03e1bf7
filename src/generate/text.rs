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
    Person,
    Company,
    Street,
    City,
    Country,
    Phone,
    Email,
    Url,
}

impl Name {
    /// The names under which a template knows them.
    pub(super) const NAMES: &[&str] = &[
        "first_name",
        "last_name",
        "person",
        "company",
        "street",
        "city",
        "country",
        "phone",
        "email",
        "url",
    ];

    pub(super) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "first_name" => Self::First,
            "last_name" => Self::Last,
            "person" => Self::Person,
            "company" => Self::Company,
            "street" => Self::Street,
            "city" => Self::City,
            "country" => Self::Country,
            "phone" => Self::Phone,
            "email" => Self::Email,
            "url" => Self::Url,
            _ => return None,
        })
    }

    pub(super) fn emit(self, stream: &mut Stream, out: &mut Vec<u8>) {
        match self {
            Self::First => push(out, pick(FIRST_NAMES, stream)),
            Self::Last => push(out, pick(LAST_NAMES, stream)),
            Self::City => push(out, pick(CITIES, stream)),
            Self::Country => push(out, pick(COUNTRIES, stream)),
            Self::Person => {
                push(out, pick(FIRST_NAMES, stream));
                out.push(b' ');
                push(out, pick(LAST_NAMES, stream));
            }
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
                local_part(stream, out);
                number(out, stream.between(1, 9999));
                domain(stream, out);
            }
            Self::Url => {
                path(stream, out);
                number(out, stream.between(1, 99_999));
            }
        }
    }
}

fn local_part(stream: &mut Stream, out: &mut Vec<u8>) {
    lower(out, pick(FIRST_NAMES, stream));
    out.push(b'.');
    lower(out, pick(LAST_NAMES, stream));
}

fn domain(stream: &mut Stream, out: &mut Vec<u8>) {
    push(out, pick(&["@example.com", "@example.org", "@example.net"], stream));
}

/// The same words make up many addresses, as the sections of a site do.
fn path(stream: &mut Stream, out: &mut Vec<u8>) {
    push(out, pick(&["https://www.example.com/", "https://example.org/"], stream));
    push(out, word(stream));
    out.push(b'/');
    push(out, word(stream));
    out.push(b'-');
    push(out, word(stream));
    out.push(b'-');
}

/// An e-mail address with a number of its own.
pub(super) fn email(own: u64, stream: &mut Stream, out: &mut Vec<u8>) {
    local_part(stream, out);
    unsigned(out, own);
    domain(stream, out);
}

/// The address of a page with a number of its own.
pub(super) fn url(own: u64, stream: &mut Stream, out: &mut Vec<u8>) {
    path(stream, out);
    unsigned(out, own);
}

/// Appends a number behind a text, which holds no digits.
pub(super) fn number_behind(out: &mut Vec<u8>, own: u64) {
    out.push(b' ');
    unsigned(out, own);
}

/// Appends words up to `length` characters of which the last are a number, as long as the number needs at least.
pub(super) fn of_length_with(length: u32, own: u64, stream: &mut Stream, out: &mut Vec<u8>) {
    let digits = own.checked_ilog10().unwrap_or(0) + 1;
    if length > digits + 1 {
        of_length(length - digits - 1, stream, out);
        out.push(b' ');
    } else if length > digits {
        of_length(length - digits, stream, out);
    }
    unsigned(out, own);
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

/// Appends `length` random bytes.
pub(super) fn bytes(length: u32, stream: &mut Stream, out: &mut Vec<u8>) {
    let end = out.len() + length as usize;
    while out.len() < end {
        out.extend_from_slice(&stream.next_u64().to_le_bytes());
    }
    out.truncate(end);
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

fn unsigned(out: &mut Vec<u8>, value: u64) {
    let written = write!(out, "{value}");
    debug_assert!(written.is_ok(), "memory takes every byte");
}

fn number(out: &mut Vec<u8>, value: i64) {
    let written = write!(out, "{value}");
    debug_assert!(written.is_ok(), "memory takes every byte");
}
