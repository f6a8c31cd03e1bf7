//! The paper: headings, lines, wrapped paragraphs and labelled facts of a fixed width. Everything that is written passes
//! through here or through the grid, which is where foreign text is made harmless and where colour is put on. Where another
//! renderer draws it, what is written is kept as blocks instead.

use super::blocks::Block;
use super::grid::Grid;
use crate::report::format::NBSP;
use crate::report::text::{cut, glue, sanitise, width, wrap};

/// Columns of the labels in front of facts.
const LABEL: usize = 12;
/// Columns that the content of a section is moved in.
pub(super) const INDENT: usize = 2;

/// How a piece of text looks where colour is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum Style {
    Plain,
    Bold,
    Dim,
    Good,
    Bad,
    Caution,
}

impl Style {
    /// Parameters of the terminal's SGR sequence.
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Bold => Some("1"),
            Self::Dim => Some("2"),
            Self::Good => Some("1;32"),
            Self::Bad => Some("1;31"),
            Self::Caution => Some("1;33"),
        }
    }
}

/// Columns that sections have who write for another renderer: enough for all of their columns.
const RECORDED: usize = 200;

/// One report in the making.
pub(super) struct Page {
    width: usize,
    colour: bool,
    text: String,
    /// What was written, where it is not to be a text.
    blocks: Option<Vec<Block>>,
}

impl Page {
    pub(super) fn new(width: usize, colour: bool) -> Self {
        Self { width, colour, text: String::new(), blocks: None }
    }

    /// What `write` writes, for another renderer.
    pub(super) fn record(write: impl FnOnce(&mut Self)) -> Vec<Block> {
        let mut page = Self { width: RECORDED, colour: false, text: String::new(), blocks: Some(Vec::new()) };
        write(&mut page);
        page.blocks.unwrap_or_default()
    }

    /// Whether it is for a renderer that draws what goes on over time in a way of its own.
    pub(super) fn has_charts(&self) -> bool {
        self.blocks.is_some()
    }

    /// Columns inside the indentation of a section.
    pub(super) fn inner_width(&self) -> usize {
        self.width - INDENT
    }

    /// A blank line, the section's name, and what the reader must know to read it.
    pub(super) fn heading(&mut self, title: &str, note: &str) {
        if let Some(blocks) = &mut self.blocks {
            return blocks.push(Block::Heading { title: sanitise(title), note: sanitise(note) });
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let title = title.to_uppercase();
        let room = self.width.saturating_sub(width(&title) + 2);
        let note = cut(&sanitise(note), room);
        self.line(&[
            (Style::Bold, &title),
            (Style::Dim, &if note.is_empty() { note } else { format!("  {note}") }),
        ]);
    }

    /// A line across the page, where another part of the report begins.
    pub(super) fn divider(&mut self, title: &str) {
        if let Some(blocks) = &mut self.blocks {
            return blocks.push(Block::Divider(sanitise(title)));
        }
        let title = cut(&sanitise(title), self.width - 6);
        let line = "─".repeat(self.width - 4 - width(&title));
        self.blank();
        self.line(&[(Style::Dim, "── "), (Style::Bold, &title), (Style::Dim, &format!(" {line}"))]);
    }

    /// One line of pieces; cut where it would be too wide.
    pub(super) fn line(&mut self, pieces: &[(Style, &str)]) {
        if let Some(blocks) = &mut self.blocks {
            let line: String = pieces.iter().map(|(_, piece)| sanitise(piece)).collect();
            return blocks.push(Block::Line(line));
        }
        let mut room = self.width;
        let mut line = String::new();
        for (style, piece) in pieces {
            let piece = cut(&sanitise(piece), room);
            room -= width(&piece);
            line.push_str(&self.painted(*style, &piece));
        }
        self.push_line(&line);
    }

    /// A line with one text at its left and one at its right end; the right one moves to a line of its own where they
    /// collide.
    pub(super) fn line_with_end(&mut self, indent: usize, left: (Style, &str), right: (Style, &str)) {
        if self.blocks.is_some() {
            return self.labelled(indent, right.1, left.0, left.1);
        }
        let (left_text, right_text) = (sanitise(left.1), sanitise(right.1));
        let gap = (self.width - indent).saturating_sub(width(&left_text) + width(&right_text));
        if gap >= 2 {
            let space = " ".repeat(gap);
            self.line(&[
                (Style::Plain, &" ".repeat(indent)),
                (left.0, &left_text),
                (Style::Plain, &space),
                (right.0, &right_text),
            ]);
            return;
        }
        self.paragraph(indent, left.0, &left_text);
        self.paragraph(indent + 2, right.0, &right_text);
    }

    /// Wrapped text, every line moved in by `indent`.
    pub(super) fn paragraph(&mut self, indent: usize, style: Style, text: &str) {
        if let Some(blocks) = &mut self.blocks {
            return blocks.push(Block::Paragraph { indent, style, text: glue(&sanitise(text)) });
        }
        for line in wrap(&glue(&sanitise(text)), self.width - indent) {
            self.line(&[(Style::Plain, &" ".repeat(indent)), (style, &line)]);
        }
    }

    /// A label and wrapped text beside it.
    pub(super) fn fact(&mut self, label: &str, text: &str) {
        self.labelled(INDENT, label, Style::Plain, text);
    }

    /// A label and a command that can be copied, its lines joined by backslashes.
    pub(super) fn command(&mut self, label: &str, text: &str) {
        if let Some(blocks) = &mut self.blocks {
            return blocks.push(Block::Command { label: label.to_owned(), text: sanitise(text) });
        }
        let lines = wrap(&sanitise(text), self.width - INDENT - LABEL - 2);
        let last = lines.len() - 1;
        for (index, line) in lines.iter().enumerate() {
            let label = format!("{}{:<LABEL$}", " ".repeat(INDENT), if index == 0 { label } else { "" });
            self.line(&[
                (Style::Dim, &label),
                (Style::Plain, line),
                (Style::Plain, if index < last { " \\" } else { "" }),
            ]);
        }
    }

    /// A label and wrapped text of a style beside it, moved in by `indent`.
    pub(super) fn labelled(&mut self, indent: usize, label: &str, style: Style, text: &str) {
        if let Some(blocks) = &mut self.blocks {
            let (label, text) = (sanitise(label), glue(&sanitise(text)));
            return blocks.push(Block::Fact { label, style, text });
        }
        let mut label = format!("{}{label:<LABEL$}", " ".repeat(indent));
        for line in wrap(&glue(&sanitise(text)), self.width - indent - LABEL) {
            self.line(&[(Style::Dim, &label), (style, &line)]);
            label = " ".repeat(indent + LABEL);
        }
    }

    /// A table inside the indentation of a section.
    pub(super) fn grid(&mut self, grid: &Grid) {
        if let Some(blocks) = &mut self.blocks {
            return blocks.push(Block::Table(grid.table()));
        }
        for line in grid.lines(self.inner_width(), self.colour) {
            self.push_line(&format!("{}{line}", " ".repeat(INDENT)));
        }
    }

    /// An empty line.
    pub(super) fn blank(&mut self) {
        if self.blocks.is_none() {
            self.text.push('\n');
        }
    }

    /// The text of the report.
    pub(super) fn finish(self) -> String {
        self.text.replace(NBSP, " ")
    }

    fn push_line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn painted(&self, style: Style, text: &str) -> String {
        match style.code() {
            Some(code) if self.colour && !text.trim().is_empty() => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            _ => text.to_owned(),
        }
    }
}
