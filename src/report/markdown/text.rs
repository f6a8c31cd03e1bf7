//! Foreign text inside Markdown: shown as it is, in a table as well, and never taken for markup, a link or a mention.

use crate::report::text::sanitise;

/// Characters of a statement that are shown.
const CODE_MAX: usize = 80;

/// Text that Markdown shows as it is.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in sanitise(text).chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            // Nobody is to be called because a table is named after a person.
            '@' => escaped.push_str("&#64;"),
            '|' | '*' | '_' | '`' | '\\' | '[' | ']' | '#' | '~' => {
                escaped.push('\\');
                escaped.push(character);
            }
            character => escaped.push(character),
        }
    }
    escaped
}

/// A name or a statement in one line as code.
pub(super) fn code(text: &str) -> String {
    let text = sanitise(text);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('`', "'");
    let cut: String = line.chars().take(CODE_MAX).collect();
    let rest = if cut.len() < line.len() { "…" } else { "" };
    format!("`{}{rest}`", cut.replace('|', "\\|"))
}
