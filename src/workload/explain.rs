//! Turns serde's messages into ours: what was found, what was expected, what was likely meant.

use crate::diagnostic::likely;

/// A message of serde in our words.
pub(super) struct Explained {
    pub message: String,
    pub label: String,
    pub help: Option<String>,
    /// The key that is missing, where that is what it says.
    pub missing: Option<String>,
}

/// Explains serde's `message` about a node that the user knows as `place`; `also` are keys that are known besides those
/// that serde lists.
pub(super) fn explain(message: &str, also: &[&str], place: &str) -> Explained {
    let quoted = quoted(message);
    let said = |message: String, label: String, help| Explained { message, label, help, missing: None };
    if message.starts_with("unknown field") {
        let (found, known) = quoted.split_first().unwrap_or((&"", &[]));
        let known: Vec<&str> = known.iter().chain(also).copied().collect();
        return said(format!("unknown key `{found}`"), "not known here".into(), Some(suggest(found, &known)));
    }
    if message.starts_with("unknown variant") {
        let (found, known) = quoted.split_first().unwrap_or((&"", &[]));
        return said(
            format!("`{found}` is not one of the choices"),
            "not known here".into(),
            Some(suggest(found, known)),
        );
    }
    if message.starts_with("missing field") {
        let key = quoted.first().copied().unwrap_or_default();
        let place = if place.is_empty() { "this" } else { place };
        return Explained {
            message: format!("{place} lacks `{key}`"),
            label: format!("`{key}` is missing"),
            help: None,
            missing: Some(key.to_owned()),
        };
    }
    let wrong = ["invalid type: ", "invalid value: ", "invalid length "];
    if let Some(rest) = wrong.iter().find_map(|prefix| message.strip_prefix(prefix))
        && let Some((found, expected)) = rest.split_once(", expected ")
    {
        let expected = in_words(expected);
        let found = found_in_words(found);
        return said(format!("expected {expected}, found {found}"), format!("not {expected}"), None);
    }
    let (message, help) = apart(message);
    said(message, "not understood".into(), help)
}

/// Errors of our own types say what to do behind a semicolon.
pub(super) fn apart(message: &str) -> (String, Option<String>) {
    match message.split_once("; ") {
        Some((message, help)) => (message.to_owned(), Some(help.to_owned())),
        None => (message.to_owned(), None),
    }
}

/// The name that was likely meant, or all that could be.
pub(super) fn suggest(found: &str, known: &[&str]) -> String {
    if let Some(likely) = likely(found, known.iter().copied()) {
        return format!("did you mean `{likely}`?");
    }
    format!("known are {}", list(known))
}

/// Names as a sentence lists them.
pub(super) fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What stands between backticks.
fn quoted(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

/// serde names Rust's types; a user writes TOML.
fn in_words(expected: &str) -> String {
    let words = match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a string" | "string" | "str" => "a text",
        "a boolean" => "`true` or `false`",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other if other.starts_with("enum ") => "a name, or a table with one key",
        other if other.starts_with("an array of length ") => {
            return format!("a list of {}", other.trim_start_matches("an array of length "));
        }
        other => other,
    };
    words.to_owned()
}

fn found_in_words(found: &str) -> String {
    let words = [
        ("string ", "the text "),
        ("integer ", "the number "),
        ("floating point ", "the number "),
        ("boolean ", "the truth value "),
    ];
    for (theirs, ours) in words {
        if let Some(value) = found.strip_prefix(theirs) {
            return format!("{ours}{}", value.replace('"', "`"));
        }
    }
    match found {
        "map" => "a table".to_owned(),
        "sequence" => "a list".to_owned(),
        other if other.bytes().all(|byte| byte.is_ascii_digit()) => format!("a list of {other}"),
        other => other.to_owned(),
    }
}
