//! Tables that always fit: texts are cut first, then columns that can be spared are left out. Drawn by comfy-table.

use comfy_table::{Attribute, Cell as DrawnCell, CellAlignment, Color, LineStyle, Table, TableStyle};

use super::blocks::{Table as Drawn, TableCell, TableColumn};
use super::page::Style;
use crate::report::text::{cut, cut_name, sanitise, width};

/// Columns between two columns: one of padding and the blank that stands in for a vertical line.
const GAP: usize = 2;
/// Blocks from one eighth to full.
const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// One column.
pub(super) struct Column {
    title: Vec<String>,
    right: bool,
    /// Texts may be cut down to this width.
    narrowest: Option<usize>,
    /// Left out where the table does not fit, the highest number first.
    spare: Option<u8>,
}

impl Column {
    /// Texts, which may be cut down to `narrowest` columns.
    pub(super) fn text(title: &str, narrowest: usize) -> Self {
        Self { title: split(title), right: false, narrowest: Some(narrowest), spare: None }
    }

    /// Numbers, which are never cut. A `\n` in the title makes two lines of it.
    pub(super) fn number(title: &str) -> Self {
        Self { title: split(title), right: true, narrowest: None, spare: None }
    }

    /// Drawn or short content that is never cut.
    pub(super) fn fixed(title: &str) -> Self {
        Self { title: split(title), right: false, narrowest: None, spare: None }
    }

    /// Left out where the table does not fit, the highest `rank` first.
    pub(super) fn spare(mut self, rank: u8) -> Self {
        self.spare = Some(rank);
        self
    }
}

/// One cell: lines of one style.
pub(super) struct Cell {
    lines: Vec<Line>,
    style: Style,
    /// From 0, the best of its table, to 1, the worst: for a renderer that has colours enough.
    heat: Option<f64>,
}

/// One line of a cell. Where it is too wide the text is cut, never what stands before and behind it.
struct Line {
    lead: &'static str,
    text: String,
    tail: String,
}

impl Line {
    fn new(lead: &'static str, text: &str, tail: &str) -> Self {
        let tail = if tail.is_empty() { String::new() } else { format!(" {}", sanitise(tail)) };
        Self { lead, text: sanitise(text), tail }
    }

    fn width(&self) -> usize {
        width(self.lead) + width(&self.text) + width(&self.tail)
    }

    fn cut(&self, columns: usize) -> String {
        let name = cut_name(&self.text, columns.saturating_sub(width(self.lead) + width(&self.tail)));
        cut(&format!("{}{name}{}", self.lead, self.tail), columns)
    }
}

impl Cell {
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        Self::with_tail(text, "")
    }

    /// A text that may be cut, and what must stay behind it: a name and its share.
    pub(super) fn with_tail(text: impl AsRef<str>, tail: &str) -> Self {
        Self { lines: vec![Line::new("", text.as_ref(), tail)], style: Style::Plain, heat: None }
    }

    /// A further line.
    pub(super) fn and(self, text: impl AsRef<str>) -> Self {
        self.and_between("", text, "")
    }

    /// A further line of which only the middle may be cut.
    pub(super) fn and_between(mut self, lead: &'static str, text: impl AsRef<str>, tail: &str) -> Self {
        self.lines.push(Line::new(lead, text.as_ref(), tail));
        self
    }

    pub(super) fn style(mut self, style: Style) -> Self {
        self.style = style;
        self
    }

    /// How bad it is among the cells of its table, from 0 to 1.
    pub(super) fn heat(mut self, heat: Option<f64>) -> Self {
        self.heat = heat;
        self
    }

    fn width(&self) -> usize {
        self.lines.iter().map(Line::width).max().unwrap_or(0)
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// A table.
pub(super) struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Grid {
    pub(super) fn new(columns: Vec<Column>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        assert_eq!(cells.len(), self.columns.len(), "a row has one cell for each column");
        self.rows.push(cells);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The whole table, for another renderer. What is drawn with blocks is left to it.
    pub(super) fn table(&self) -> Drawn {
        let line = |line: &Line| format!("{}{}{}", line.lead, line.text, line.tail);
        let undrawn = |text: String| text.trim_end_matches(|c: char| c == ' ' || is_drawn(c)).to_owned();
        let cell = |cell: &Cell| TableCell {
            lines: cell.lines.iter().map(line).map(undrawn).collect(),
            style: cell.style,
            heat: cell.heat,
        };
        Drawn {
            columns: self
                .columns
                .iter()
                .map(|column| TableColumn {
                    title: column.title.iter().map(|line| sanitise(line)).collect(),
                    is_number: column.right,
                })
                .collect(),
            rows: self.rows.iter().map(|row| row.iter().map(cell).collect()).collect(),
        }
    }

    /// The lines of the table in at most `room` columns.
    pub(super) fn lines(&self, room: usize, colour: bool) -> Vec<String> {
        let (shown, widths) = self.fit(room);
        let mut table = Table::new();
        table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')));
        if colour {
            table.enforce_styling()
        } else {
            table.force_no_tty()
        };
        let titles = shown.iter().zip(&widths).map(|(&index, &width)| {
            let lines: Vec<String> = self.columns[index].title.iter().map(|line| cut(line, width)).collect();
            let cell = DrawnCell::new(lines.join("\n"));
            if colour { cell.add_attribute(Attribute::Dim) } else { cell }
        });
        table.set_header(titles.collect::<Vec<_>>());
        for row in &self.rows {
            let cells = shown.iter().zip(&widths).map(|(&index, &width)| draw(&row[index], width, colour));
            table.add_row(cells.collect::<Vec<_>>());
        }
        for (position, &index) in shown.iter().enumerate() {
            let column = table.column_mut(position).expect("a column for each title");
            let last = position + 1 == shown.len();
            column.set_padding((0, u16::from(!last)));
            let side = if self.columns[index].right { CellAlignment::Right } else { CellAlignment::Left };
            column.set_cell_alignment(side);
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Which columns are shown, and how wide each is.
    fn fit(&self, room: usize) -> (Vec<usize>, Vec<usize>) {
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        loop {
            let mut widths: Vec<usize> = shown.iter().map(|&index| self.natural(index)).collect();
            let floors: Vec<usize> =
                shown.iter().zip(&widths).map(|(&index, &w)| self.floor(index, w)).collect();
            shrink(&mut widths, &floors, room);
            if total(&widths) <= room {
                return (shown, widths);
            }
            let spare = shown.iter().enumerate().filter(|(_, index)| self.columns[**index].spare.is_some());
            let Some((position, _)) = spare.max_by_key(|(_, index)| self.columns[**index].spare) else {
                // Nothing more can be spared: texts give way, down to an ellipsis.
                let last_resort = |(&index, &width): (&usize, &usize)| {
                    if self.columns[index].narrowest.is_some() { 1 } else { width }
                };
                let floors: Vec<usize> = shown.iter().zip(&widths).map(last_resort).collect();
                shrink(&mut widths, &floors, room);
                return (shown, widths);
            };
            shown.remove(position);
        }
    }

    fn natural(&self, index: usize) -> usize {
        let title = self.columns[index].title.iter().map(|line| width(line)).max().unwrap_or(0);
        self.rows.iter().map(|row| row[index].width()).max().unwrap_or(0).max(title)
    }

    fn floor(&self, index: usize, natural: usize) -> usize {
        let column = &self.columns[index];
        let title = column.title.iter().map(|line| width(line)).max().unwrap_or(0);
        column.narrowest.map_or(natural, |narrowest| narrowest.max(title).min(natural))
    }
}

/// A horizontal bar of at most `columns` columns for a share from 0 to 1.
pub(super) fn bar(fraction: f64, columns: usize) -> String {
    let total = EIGHTHS.len() * columns;
    // A share of a few dozen eighths: the cast cannot lose anything.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let eighths = ((fraction.clamp(0.0, 1.0) * total as f64).round() as usize).min(total);
    let mut text = EIGHTHS[7].to_string().repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        text.push(EIGHTHS[eighths % 8 - 1]);
    }
    text
}

/// Blocks of bars and shades.
fn is_drawn(character: char) -> bool {
    matches!(character, '\u{2580}'..='\u{259f}')
}

fn split(title: &str) -> Vec<String> {
    title.split('\n').map(str::to_owned).collect()
}

fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

/// Takes columns from the widest text that is above its floor, until the table fits or nothing can give way.
fn shrink(widths: &mut [usize], floors: &[usize], room: usize) {
    while total(widths) > room {
        let candidates = widths.iter().zip(floors).enumerate().filter(|(_, (width, floor))| width > floor);
        let Some(widest) = candidates.max_by_key(|(_, (width, _))| **width).map(|(index, _)| index) else {
            return;
        };
        widths[widest] -= 1;
    }
}

fn draw(cell: &Cell, width: usize, colour: bool) -> DrawnCell {
    let lines: Vec<String> = cell.lines.iter().map(|line| line.cut(width)).collect();
    let drawn = DrawnCell::new(lines.join("\n"));
    if !colour {
        return drawn;
    }
    match cell.style {
        Style::Plain => drawn,
        Style::Bold => drawn.add_attribute(Attribute::Bold),
        Style::Dim => drawn.add_attribute(Attribute::Dim),
        Style::Good => drawn.fg(Color::Green),
        Style::Bad => drawn.fg(Color::Red).add_attribute(Attribute::Bold),
        Style::Caution => drawn.fg(Color::Yellow),
    }
}

#[cfg(test)]
mod tests {
    use super::{Column, Grid, bar};
    use crate::report::text::width;

    fn grid() -> Grid {
        let mut grid = Grid::new(vec![
            Column::text("name", 8),
            Column::number("count").spare(1),
            Column::number("per s").spare(2),
            Column::number("p99"),
        ]);
        grid.row(vec![
            "a_long_name_of_a_transaction".into(),
            "12 034".into(),
            "601.7".into(),
            "12.3 ms".into(),
        ]);
        grid
    }

    #[test]
    fn names_are_cut_before_columns_are_left_out() {
        let wide = grid().lines(60, false).join("\n");
        assert!(wide.contains("a_long_name_of_a_transaction"));
        let narrow = grid().lines(32, false).join("\n");
        assert!(narrow.contains("a_long_…") && narrow.contains("601.7"), "{narrow}");
        let narrower = grid().lines(26, false).join("\n");
        assert!(!narrower.contains("601.7") && narrower.contains("12 034"), "{narrower}");
    }

    #[test]
    fn a_table_fits_into_any_room_that_holds_its_numbers() {
        for room in 10..70 {
            assert!(grid().lines(room, false).iter().all(|line| width(line) <= room), "{room}");
        }
    }

    #[test]
    fn bars_have_eighths_of_a_column() {
        assert_eq!(bar(0.0, 8), "");
        assert_eq!(bar(1.0, 3), "███");
        assert_eq!(bar(0.5, 3), "█▌");
        assert_eq!(bar(2.0, 2), "██");
        assert_eq!(bar(0.01, 8), "▏");
    }
}
