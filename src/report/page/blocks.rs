//! What the sections of the report say, as HTML: headings, sentences, lists of facts, tables. Knows nothing of what it means.

use super::html::{CLOSE_TABLE, element, escape, escape_lines, open_table, slug, with};
use crate::report::terminal::Style;
use crate::report::terminal::blocks::{Block, Table, TableCell, TableColumn};

/// Characters from which on a text wants room beside the numbers of its row: a statement, a sentence.
const LONG_TEXT: usize = 24;
/// Steps of the colours of heat.
const HEAT_STEPS: f64 = 7.0;

/// The blocks in their order. Headings are of this level; one without anything below it is left out. `prefix` makes ids of
/// headings one of a kind.
pub(super) fn render(blocks: &[Block], level: u8, prefix: &str) -> String {
    let mut html = String::new();
    let mut caption = String::new();
    let mut rest = blocks;
    while let Some((block, behind)) = rest.split_first() {
        rest = behind;
        match block {
            Block::Divider(title) => {
                title.clone_into(&mut caption);
                html.push_str(&heading(level, title, prefix));
            }
            Block::Heading { title, note } => {
                if matches!(behind.first(), None | Some(Block::Heading { .. } | Block::Divider(_))) {
                    continue;
                }
                caption = capitalised(title);
                html.push_str(&heading(level, title, prefix));
                if !note.is_empty() {
                    html.push_str(&element("p", "note", note));
                }
            }
            Block::Line(_) => {
                let lines = run(block, &mut rest, |block| match block {
                    Block::Line(line) => Some(line.clone()),
                    _ => None,
                });
                html.push_str(&lines_of_a_plan(&lines));
            }
            Block::Paragraph { indent, style, text } => {
                let moved = if *indent > 2 { " in" } else { "" };
                html.push_str(&element("p", format!("{}{moved}", class(*style)).trim_start(), text));
            }
            Block::Fact { .. } => {
                let facts = run(block, &mut rest, |block| match block {
                    Block::Fact { label, style, text } => Some((label.clone(), *style, text.clone())),
                    _ => None,
                });
                html.push_str(&list(&facts));
            }
            Block::Command { label, text } => html.push_str(&command(label, text)),
            Block::Table(table) => html.push_str(&drawn(table, &caption)),
        }
    }
    html
}

/// The first of a run of alike blocks and those behind it, which are taken off `rest`.
fn run<'a, T>(first: &Block, rest: &mut &'a [Block], of: impl Fn(&Block) -> Option<T>) -> Vec<T> {
    let mut taken: Vec<T> = of(first).into_iter().collect();
    loop {
        let ahead: &'a [Block] = rest;
        let Some((value, behind)) = ahead.split_first().and_then(|(next, behind)| Some((of(next)?, behind)))
        else {
            return taken;
        };
        taken.push(value);
        *rest = behind;
    }
}

fn heading(level: u8, title: &str, prefix: &str) -> String {
    let id = format!("{prefix}-{}", slug(title));
    format!("<h{level} id=\"{id}\">{}</h{level}>\n", escape(&capitalised(title)))
}

/// `Pool sizes at 300/s` of `pool sizes at 300/s`. A name or a flag at the beginning stays as it is written.
pub(super) fn capitalised(text: &str) -> String {
    let first_word = text.split(' ').next().unwrap_or_default();
    if first_word.contains(['.', '_', '(']) {
        return text.to_owned();
    }
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

fn lines_of_a_plan(lines: &[String]) -> String {
    with("pre", "", &escape_lines(&lines.join("\n")))
}

/// Labels with what is said of them. What continues a label stands below it.
fn list(facts: &[(String, Style, String)]) -> String {
    let mut html = String::from("<dl>\n");
    for (place, (label, style, text)) in facts.iter().enumerate() {
        // A list cannot begin with what continues something.
        if !label.is_empty() || place == 0 {
            let label = if label.is_empty() { "also" } else { label.trim() };
            html.push_str(&element("dt", "", label));
        }
        html.push_str(&element("dd", class(*style), text));
    }
    html.push_str("</dl>\n");
    html
}

/// A command and a button that copies it; without a script it can still be marked.
pub(super) fn command(label: &str, text: &str) -> String {
    format!(
        "<div class=\"command\"><h3>{}</h3><pre tabindex=\"0\"><code>{}</code></pre>\
         <button type=\"button\" class=\"copy\" hidden>Copy</button></div>\n",
        escape(&capitalised(label)),
        escape(text)
    )
}

/// Name of a class for a style; empty for none.
pub(super) fn class(style: Style) -> &'static str {
    match style {
        Style::Plain => "",
        Style::Bold => "strong",
        Style::Dim => "dim",
        Style::Good => "good",
        Style::Bad => "bad",
        Style::Caution => "caution",
    }
}

/// A table that scripts can sort. Columns in which there is nothing but what a terminal draws are left out.
pub(super) fn drawn(table: &Table, caption: &str) -> String {
    let is_empty = |place: usize| {
        table.columns[place].title.iter().all(String::is_empty)
            && table.rows.iter().all(|row| row[place].lines.iter().all(String::is_empty))
    };
    let shown: Vec<usize> = (0..table.columns.len()).filter(|place| !is_empty(*place)).collect();
    let mut html = open_table(caption);
    html.push_str("<thead><tr>");
    for &place in &shown {
        let column = &table.columns[place];
        let class = if column.is_number { " class=\"n\"" } else { "" };
        let title = title(&table.columns, place);
        // A column without a name is still one to sort by, and to be read out.
        let title =
            if title.is_empty() { "<span class=\"vh\">remark</span>".to_owned() } else { escape(&title) };
        html.push_str(&format!("<th scope=\"col\"{class}>{title}</th>"));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        html.push_str("<tr>");
        for (order, &place) in shown.iter().enumerate() {
            html.push_str(&cell(&row[place], table.columns[place].is_number, order == 0));
        }
        html.push_str("</tr>\n");
    }
    html.push_str(CLOSE_TABLE);
    html
}

fn cell(cell: &TableCell, is_number: bool, is_first: bool) -> String {
    let mut classes: Vec<String> = Vec::new();
    if is_number {
        classes.push("n".to_owned());
    }
    if !class(cell.style).is_empty() {
        classes.push(class(cell.style).to_owned());
    }
    if let Some(heat) = cell.heat {
        classes.push(format!("heat h{:.0}", (heat.clamp(0.0, 1.0) * HEAT_STEPS).round()));
    }
    if !is_number && cell.lines.iter().map(|line| line.trim().chars().count()).sum::<usize>() > LONG_TEXT {
        classes.push("long".to_owned());
    }
    let classes =
        if classes.is_empty() { String::new() } else { format!(" class=\"{}\"", classes.join(" ")) };
    let lines: Vec<String> =
        cell.lines.iter().filter(|line| !line.trim().is_empty()).map(|line| escape(line.trim())).collect();
    // A row that continues the one before it has no header of its own.
    let is_header = is_first && !lines.is_empty();
    let (tag, scope) = if is_header { ("th", " scope=\"row\"") } else { ("td", "") };
    format!("<{tag}{scope}{classes}>{}</{tag}>", lines.join("<br>"))
}

/// `response p99` of a column that shares its first line with the one before, `saturated` of `satu-` and `rated`.
fn title(columns: &[TableColumn], place: usize) -> String {
    let column = &columns[place];
    let (first, rest) = match column.title.split_first() {
        Some((first, rest)) if first.is_empty() && !rest.is_empty() => {
            let before =
                (0..place).rev().find(|&before| columns[before].title.iter().any(|line| !line.is_empty()));
            (before.map_or_else(String::new, |before| shared(columns, before)), rest)
        }
        Some((first, rest)) => (first.clone(), rest),
        None => return String::new(),
    };
    let separator = if column.is_number { " " } else { ", " };
    rest.iter().fold(first, |title, line| joined(&title, line, separator))
}

/// What a column has in common with those behind it whose first line is empty.
fn shared(columns: &[TableColumn], place: usize) -> String {
    match columns[place].title.as_slice() {
        // The line above is that of numbers side by side.
        [first, _, ..] if columns[place].is_number && !first.is_empty() => first.clone(),
        [first, _, ..] if first.is_empty() => {
            let before =
                (0..place).rev().find(|&before| columns[before].title.iter().any(|line| !line.is_empty()));
            before.map_or_else(String::new, |before| shared(columns, before))
        }
        lines => lines.join(" "),
    }
}

/// Two lines of a title as one: a word that was divided is whole again, and `rows/` and `call` belong together.
fn joined(title: &str, line: &str, separator: &str) -> String {
    match title.strip_suffix('-') {
        Some(begun) => format!("{begun}{line}"),
        None if title.is_empty() || line.is_empty() || title.ends_with('/') => format!("{title}{line}"),
        None => format!("{title}{separator}{line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{capitalised, render, title};
    use crate::report::terminal::Style;
    use crate::report::terminal::blocks::{Block, TableColumn};

    fn fact(label: &str, text: &str) -> Block {
        Block::Fact { label: label.to_owned(), style: Style::Plain, text: text.to_owned() }
    }

    #[test]
    fn titles_of_two_lines_become_one() {
        let column = |title: &str| TableColumn {
            title: title.split('\n').map(str::to_owned).collect(),
            is_number: true,
        };
        let columns =
            ["response\np50", "\np99", "satu-\nrated", "rows/\ncall", "pool\nwait", "blocked", "\nlongest"]
                .map(column);
        let titles: Vec<String> = (0..columns.len()).map(|place| title(&columns, place)).collect();
        assert_eq!(
            titles,
            [
                "response p50",
                "response p99",
                "saturated",
                "rows/call",
                "pool wait",
                "blocked",
                "blocked longest"
            ]
        );
    }

    #[test]
    fn a_sentence_begins_with_a_capital_and_a_name_does_not() {
        assert_eq!(capitalised("pool sizes"), "Pool sizes");
        assert_eq!(capitalised("checkout.take_stock waits"), "checkout.take_stock waits");
        assert_eq!(capitalised(""), "");
    }

    #[test]
    fn what_continues_a_label_stands_below_it_and_nothing_is_a_heading_of_nothing() {
        let heading = |title: &str| Block::Heading { title: title.to_owned(), note: String::new() };
        let html = render(&[heading("empty"), heading("pool"), fact("busy", "8"), fact("", "<9>")], 3, "x");
        assert!(!html.to_lowercase().contains("empty"), "{html}");
        assert!(html.contains("<h3 id=\"x-pool\">Pool</h3>"), "{html}");
        assert!(html.contains("<dt>busy</dt>\n<dd>8</dd>\n<dd>&lt;9&gt;</dd>"), "{html}");
    }
}
