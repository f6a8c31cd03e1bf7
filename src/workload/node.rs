//! Small things done with parsed TOML, whatever it says.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

/// A value with its place.
pub(super) type Node<'i> = Spanned<DeValue<'i>>;
/// A key with its place.
pub(super) type Name<'i> = Spanned<std::borrow::Cow<'i, str>>;

/// Removes the entry whose key or value stands at `span`, or the innermost whose value contains it. Gives its name.
pub(super) fn take_off(value: &mut DeValue<'_>, span: &Range<usize>) -> Option<String> {
    let DeValue::Table(fields) = value else { return None };
    let is_there = |place: &Range<usize>| place.start <= span.start && span.end <= place.end;
    let exact = |(key, value): (&Name<'_>, &Node<'_>)| key.span() == *span || value.span() == *span;
    let found = fields.iter().find(|entry| exact(*entry)).map(|(key, _)| key.clone());
    let key = if let Some(key) = found {
        key
    } else {
        let inner = fields.iter_mut().find_map(|(_, value)| take_off(value.get_mut(), span));
        if inner.is_some() {
            return inner;
        }
        fields.iter().find(|(_, value)| is_there(&value.span()))?.0.clone()
    };
    fields.remove(key.get_ref().as_ref());
    Some(key.into_inner().into_owned())
}

/// What it is, in a message.
pub(super) fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A text that is the same for the same content, whatever blanks, comments and notation surround it.
pub(super) fn canonical(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| canonical(item.get_ref())).collect();
            format!("[{}]", items.join(","))
        }
        DeValue::Table(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(key, value)| format!("{:?}={}", key.get_ref(), canonical(value.get_ref())))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
    }
}
