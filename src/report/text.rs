//! Text that came from elsewhere, made safe for a terminal, measured in columns, cut and wrapped. Knows no colours.

use unicode_width::UnicodeWidthStr;

use super::format::NBSP;

/// Columns of a terminal that `text` takes: wide characters count two.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// `text` without anything that moves the cursor, changes colours or turns the direction of writing: line ends and tabs
/// become spaces, other control characters their pictures (`␛`).
#[must_use]
pub fn sanitise(text: &str) -> String {
    text.chars().map(harmless).collect()
}

fn harmless(character: char) -> char {
    match character {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
        '\0'..='\u{1f}' => {
            char::from_u32(0x2400 + u32::from(character)).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        '\u{7f}' => '␡',
        // The second set of control characters; marks and overrides of direction, invisible separators, tag characters.
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}' => char::REPLACEMENT_CHARACTER,
        other => other,
    }
}

/// `text` in at most `columns` columns, with an ellipsis where its end was cut.
#[must_use]
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    if columns == 0 {
        return String::new();
    }
    let mut kept = head(text, columns - 1).trim_end_matches(['\u{200d}', ' ', NBSP]).to_owned();
    kept.push('…');
    kept
}

/// A qualified name in at most `columns` columns: the qualifier goes first (`…take_stock` for `checkout.take_stock`),
/// since the last part tells more.
pub(super) fn cut_name(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    // A statement that holds such a sign is no qualified name.
    let named = text.split_once(['.', ':']).filter(|(qualifier, _)| !qualifier.contains(char::is_whitespace));
    let last = named.map_or("", |(_, last)| last);
    let short = format!("…{last}");
    if !last.is_empty() && width(&short) <= columns { short } else { cut(text, columns) }
}

/// Units that no line may break off their number.
const UNITS: [&str; 11] = ["%", "µs", "ms", "s", "B", "kB", "MB", "GB", "TB", "connections", "clients"];

/// `text` with a no-break space between a number and its unit, and inside of a grouped number, whoever wrote it.
pub(super) fn glue(text: &str) -> String {
    let mut glued = String::with_capacity(text.len() + 8);
    for word in text.split(' ') {
        let bare = word.trim_end_matches([',', ';', '.', ':', ')']);
        let is_group = bare.len() == 3 && bare.bytes().all(|byte| byte.is_ascii_digit());
        if !glued.is_empty() {
            let after_number = glued.ends_with(|c: char| c.is_ascii_digit());
            glued.push(if after_number && (is_group || UNITS.contains(&bare)) { NBSP } else { ' ' });
        }
        glued.push_str(word);
    }
    glued
}

/// The lines of `text` when no line may be wider than `columns`. Breaks at spaces, and inside a word only where the word
/// alone is too long.
#[must_use]
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !line.is_empty() && width(&line) + 1 + width(word) > columns {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        let mut rest = word;
        while width(&line) + width(rest) > columns {
            let part = head(rest, columns);
            // A character wider than the line has no place in it, and must not stop the loop.
            let taken = if part.is_empty() { first_character(rest) } else { part };
            lines.push(taken.to_owned());
            rest = &rest[taken.len()..];
        }
        line.push_str(rest);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// The longest beginning of `text` that fits.
fn head(text: &str, columns: usize) -> &str {
    let ends = text.char_indices().map(|(start, character)| start + character.len_utf8());
    let end = ends.take_while(|&end| width(&text[..end]) <= columns).last().unwrap_or(0);
    &text[..end]
}

fn first_character(text: &str) -> &str {
    let len = text.chars().next().map_or(0, char::len_utf8);
    &text[..len]
}

#[cfg(test)]
mod tests {
    use super::{NBSP, cut, cut_name, glue, sanitise, width, wrap};

    #[test]
    fn no_control_character_survives() {
        let hostile: String = (0..0x3000).filter_map(char::from_u32).collect();
        let safe = sanitise(&hostile);
        assert!(!safe.chars().any(char::is_control));
        assert!(!safe.contains(['\u{202e}', '\u{2066}', '\u{200f}']));
        assert_eq!(sanitise("\u{1b}[31mred\u{7}\nnext"), "␛[31mred␇ next");
        assert_eq!(sanitise("größe 漢字 🚀"), "größe 漢字 🚀");
    }

    #[test]
    fn a_cut_text_fits_and_says_that_it_was_cut() {
        assert_eq!(cut("browse", 6), "browse");
        assert_eq!(cut("browse", 5), "brow…");
        assert_eq!(cut("漢字漢字", 6), "漢字…");
        assert_eq!(width(&cut("漢字漢字", 7)), 7);
        assert_eq!(cut("browse", 1), "…");
        assert_eq!(cut("browse", 0), "");
        assert_eq!(cut("two words", 5), "two…");
    }

    #[test]
    fn the_last_part_of_a_name_is_kept() {
        assert_eq!(cut_name("checkout.take_stock", 30), "checkout.take_stock");
        assert_eq!(cut_name("checkout.take_stock", 12), "…take_stock");
        assert_eq!(cut_name("checkout.take_stock", 8), "checkou…");
        assert_eq!(cut_name("no_qualifier_at_all", 8), "no_qual…");
        assert_eq!(cut_name("DECLARE block bigint := 0; …", 12), "DECLARE blo…");
    }

    #[test]
    fn a_number_and_its_unit_stay_together() {
        let plain = |text: &str| glue(text).replace(NBSP, "~");
        assert_eq!(plain("16 gives 0.5 % more"), "16 gives 0.5~% more");
        assert_eq!(plain("10 000 of them, 12.3 ms; in 5 s."), "10~000 of them, 12.3~ms; in 5~s.");
        assert_eq!(plain("no number ms"), "no number ms");
    }

    #[test]
    fn wrapped_lines_fit_and_lose_nothing() {
        assert_eq!(wrap("a pool of four is too small", 10), ["a pool of", "four is", "too small"]);
        assert_eq!(
            wrap("postgres://a-very-long-host/db now", 10),
            ["postgres:/", "/a-very-lo", "ng-host/db", "now"]
        );
        assert_eq!(wrap("x 漢字", 1), ["x", "漢", "字"]);
        assert_eq!(wrap("", 10), [""]);
    }
}
