//! Writing HTML: elements, escaped text, and nothing that is taken as it comes. Knows nothing of reports.

use crate::report::text::sanitise;

/// Text between tags or in a quoted attribute: nothing in it is read as markup, moves a cursor or turns the direction of writing.
pub(super) fn escape(text: &str) -> String {
    entities(&sanitise(text))
}

/// The same of a text whose lines stay lines: SQL, plans.
pub(super) fn escape_lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

fn entities(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A name made fit for an `id` and the end of an address: `pool-too-small`.
pub(super) fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_alphanumeric() {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// JSON that may stand in a script element: without `<` and `>` no text in it ends the element, or opens or ends a comment.
pub(super) fn json_in_script(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// An element with escaped text.
pub(super) fn element(name: &str, class: &str, text: &str) -> String {
    with(name, class, &escape(text))
}

/// An element around markup.
pub(super) fn with(name: &str, class: &str, inner: &str) -> String {
    if class.is_empty() {
        format!("<{name}>{inner}</{name}>\n")
    } else {
        format!("<{name} class=\"{class}\">{inner}</{name}>\n")
    }
}

/// What can be folded away, folded unless `open`.
pub(super) fn folded(summary: &str, open: bool, inner: &str) -> String {
    let open = if open { " open" } else { "" };
    format!("<details{open}><summary>{}</summary>\n{inner}</details>\n", escape(summary))
}

/// What is made of each, one behind the other.
pub(super) fn each<T>(items: impl IntoIterator<Item = T>, make: impl FnMut(T) -> String) -> String {
    items.into_iter().map(make).collect()
}

/// A table with what it is of, its titles, and its rows. Each title says whether its column holds numbers.
pub(super) fn table(caption: &str, titles: &[(&str, bool)], rows: &[Vec<String>]) -> String {
    let class = |is_number: bool| if is_number { " class=\"n\"" } else { "" };
    let mut html = open_table(caption);
    html.push_str("<thead><tr>");
    for (title, is_number) in titles {
        html.push_str(&format!("<th scope=\"col\"{}>{}</th>", class(*is_number), escape(title)));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        html.push_str("<tr>");
        for (place, (cell, (_, is_number))) in row.iter().zip(titles).enumerate() {
            let (tag, scope) = if place == 0 { ("th", " scope=\"row\"") } else { ("td", "") };
            html.push_str(&format!("<{tag}{scope}{}>{}</{tag}>", class(*is_number), escape(cell)));
        }
        html.push_str("</tr>\n");
    }
    html.push_str(CLOSE_TABLE);
    html
}

/// The beginning of a table that scrolls by itself where it is too wide, reachable by keyboard.
pub(super) fn open_table(caption: &str) -> String {
    let caption = escape(caption);
    format!(
        "<div class=\"scroll\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\"><table><caption>{caption}</caption>\n"
    )
}

/// The end of it.
pub(super) const CLOSE_TABLE: &str = "</tbody></table></div>\n";

#[cfg(test)]
mod tests {
    use super::{escape, escape_lines, json_in_script, slug, table};

    #[test]
    fn nothing_is_read_as_markup() {
        assert_eq!(escape("<script>alert(1)</script>"), "&lt;script&gt;alert(1)&lt;/script&gt;");
        assert_eq!(escape("\" onload='x' &amp;"), "&quot; onload=&#39;x&#39; &amp;amp;");
        assert_eq!(escape("\u{202e}\u{1b}[2J"), "\u{fffd}␛[2J");
        assert_eq!(escape_lines("SELECT 1\n  -- </script>"), "SELECT 1\n  -- &lt;/script&gt;");
        let json = json_in_script("\"</script><!-- \u{2028}\"");
        assert!(!json.contains('<') && !json.contains('\u{2028}'), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), "</script><!-- \u{2028}");
    }

    #[test]
    fn a_table_says_what_it_is_of() {
        let html = table("A <b>", &[("name", false), ("n", true)], &[vec!["<x>".to_owned(), "1".to_owned()]]);
        assert!(html.contains("<caption>A &lt;b&gt;</caption>"), "{html}");
        assert!(html.contains("<th scope=\"row\">&lt;x&gt;</th><td class=\"n\">1</td>"), "{html}");
    }

    #[test]
    fn a_slug_is_fit_for_an_address() {
        assert_eq!(slug("stage A #1, \"x\""), "stage-a-1-x");
        assert_eq!(slug("<script>"), "script");
    }
}
