//! Percent-encoding, in which URLs hold what is no letter or digit.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Percent-encodes everything but letters, digits and `-._~`.
pub(super) fn encode(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if plain(byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a text takes every write");
        }
    }
    Cow::Owned(encoded)
}

/// The text that was percent-encoded. The reason of a failure does not show it: it may be a password.
pub(super) fn decode(text: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let byte = digits
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
            .filter(|byte| *byte != 0)
            .ok_or("`%` must be followed by two hexadecimal digits other than 00 (write `%25` for a percent sign)")?;
        bytes.push(byte);
        rest = &after[2..];
    }
    String::from_utf8(bytes).map_err(|_| "its percent-encoded bytes are not UTF-8")
}
