//! Rows of a dataset for reading or as CSV, without any database.

use std::fs::File;
use std::io;
use std::path::Path;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::dataset::{DatasetError, put_plain, write_csv};
use crate::diagnostic::Mistakes;
use crate::generate::{Dataset, ValueKind};
use crate::sql::values::{Arena, Slot};
use crate::study::StudyError;
use crate::units::{Dialect, Seed};
use crate::workload::{Table, Workload};

use super::args::{PreviewArguments, PreviewFormat};
use super::plan::{self, UsageError};
use super::{CommandError, code, output};

/// Rows of each table that are shown for reading when nobody says how many.
const ROWS_SHOWN: u64 = 10;
/// More than a person reads, and all that a page keeps in memory.
const ROWS_SHOWN_MAX: u64 = 10_000;
/// Where nothing says how wide the page is.
const WIDTH: usize = 120;
const WIDTH_MIN: usize = 20;
/// No column takes more, however wide the page is: what follows it is of interest as well.
const CELL_WIDTH_MAX: usize = 60;
/// A column is not made narrower than this to fit beside the others; then they go below.
const CELL_WIDTH_MIN: usize = 10;
const GAP: &str = "  ";

pub(super) fn preview(arguments: &PreviewArguments) -> Result<u8, CommandError> {
    let workload = plan::read(&arguments.workload, Dialect::Postgresql)?;
    let tables = chosen(&workload, arguments.table.as_deref())?;
    let dataset = workload.dataset(arguments.seed, arguments.scale);
    check_size(&workload, &dataset)?;
    match arguments.format {
        PreviewFormat::Table if arguments.out.is_some() => return Err(UsageError::OutAlone.into()),
        PreviewFormat::Table => show(&workload, &dataset, &tables, arguments)?,
        PreviewFormat::Csv => csv(&workload, &dataset, &tables, arguments)?,
    }
    Ok(code::OK)
}

/// Refuses a scale at which columns could only be made wrong.
fn check_size(workload: &Workload, dataset: &Dataset) -> Result<(), CommandError> {
    let path = workload.folder.join("workload.toml");
    let text = std::fs::read_to_string(&path)
        .map_err(|source| StudyError::Dataset(DatasetError::File { path: path.clone(), source }))?;
    let mut mistakes = Mistakes::default();
    let source = mistakes.add_source(path, text);
    workload.check_size(dataset, source, &mut mistakes);
    if mistakes.is_empty() { Ok(()) } else { Err(StudyError::Workload(mistakes).into()) }
}

/// Indexes of the tables that are asked for and have columns.
fn chosen(workload: &Workload, name: Option<&str>) -> Result<Vec<usize>, UsageError> {
    let filled = || workload.tables.iter().enumerate().filter(|(_, table)| !table.columns.is_empty());
    if filled().next().is_none() {
        return Err(UsageError::NoRows(workload.name.clone()));
    }
    let tables: Vec<usize> = filled()
        .filter(|(_, table)| name.is_none_or(|name| table.name == name))
        .map(|(index, _)| index)
        .collect();
    if tables.is_empty() {
        let name = name.unwrap_or_default();
        let names = || filled().map(|(_, table)| table.name.as_str());
        let hint = match crate::diagnostic::likely(name, names()) {
            Some(likely) => format!(" (did you mean `{likely}`?)"),
            None => format!(" (it has {})", names().collect::<Vec<_>>().join(", ")),
        };
        return Err(UsageError::NoTable { name: name.to_owned(), hint });
    }
    Ok(tables)
}

fn csv(
    workload: &Workload,
    dataset: &Dataset,
    tables: &[usize],
    arguments: &PreviewArguments,
) -> Result<(), CommandError> {
    let rows = |table: usize| {
        let (there, wanted) = (dataset.rows(table), arguments.rows.unwrap_or(0));
        if wanted > there {
            let (name, scale) = (&workload.tables[table].name, arguments.scale);
            output::tell(&format!("note: {name} has {} at scale {scale}", plural(there)));
        }
        arguments.rows.unwrap_or(there).min(there)
    };
    if let Some(folder) = &arguments.out {
        std::fs::create_dir_all(folder).map_err(output::unwritable(folder))?;
        for &table in tables {
            let described = &workload.tables[table];
            let (path, rows) = (folder.join(file_name(&described.name)), rows(table));
            write_file(&path, dataset, table, described, rows)?;
            output::tell(&format!("{}: {}", path.display(), plural(rows)));
        }
        return Ok(());
    }
    let [table] = *tables else { return Err(UsageError::ManyTables(tables.len()).into()) };
    let written = write_csv(dataset, table, &workload.tables[table], rows(table), &mut io::stdout().lock());
    // A reader that went away (`| head`) has what it wanted.
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CommandError::Output { to: "standard output".to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// Writes a file that is not there yet: nothing of the user's is overwritten.
fn write_file(
    path: &Path,
    dataset: &Dataset,
    table: usize,
    described: &Table,
    rows: u64,
) -> Result<(), CommandError> {
    let mut file = File::create_new(path).map_err(output::unwritable(path))?;
    write_csv(dataset, table, described, rows, &mut file).map_err(output::unwritable(path))
}

/// The table's name as a file's: what could lead to another folder becomes a `_`.
fn file_name(table: &str) -> String {
    let kept = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' };
    format!("{}.csv", table.trim_matches('"').chars().map(kept).collect::<String>())
}

fn show(
    workload: &Workload,
    dataset: &Dataset,
    tables: &[usize],
    arguments: &PreviewArguments,
) -> Result<(), CommandError> {
    let width = output::width_of_terminal().unwrap_or(WIDTH).max(WIDTH_MIN);
    let colour = output::colour();
    let shown = arguments.rows.unwrap_or(ROWS_SHOWN).min(ROWS_SHOWN_MAX);
    let pages = tables.iter().map(|&table| {
        let page = Page { dataset, table, described: &workload.tables[table], colour };
        let text = page.text(shown.min(dataset.rows(table)), width, arguments.scale, arguments.seed);
        text.trim_end().to_owned() + "\n"
    });
    output::print(&pages.collect::<Vec<_>>().join("\n"))
}

/// One table on its way to the terminal.
struct Page<'a> {
    dataset: &'a Dataset,
    table: usize,
    described: &'a Table,
    colour: bool,
}

/// One column with its values as text.
struct Column {
    name: String,
    kind: &'static str,
    is_number: bool,
    /// NULL is absent.
    cells: Vec<Option<String>>,
    width: usize,
}

impl Page<'_> {
    fn text(&self, rows: u64, width: usize, scale: f64, seed: Seed) -> String {
        let all = self.dataset.rows(self.table);
        let part = if rows < all { format!(", the first {rows}") } else { String::new() };
        let mut text = self.styled("1", &self.described.name);
        text += &format!("  {} at scale {scale} with seed {seed}{part}\n\n", plural(all));
        let mut columns = self.columns(rows);
        let mut rest = columns.as_mut_slice();
        while !rest.is_empty() {
            let (block, behind) = rest.split_at_mut(fitting(rest, width));
            narrow(block, width);
            self.put_block(block, &mut text);
            rest = behind;
        }
        text
    }

    fn columns(&self, rows: u64) -> Vec<Column> {
        let mut arena = Arena::default();
        let column = |(index, column): (usize, &crate::workload::Column)| {
            let kind = self.dataset.kind(self.table, index);
            let cells: Vec<_> = (0..rows)
                .map(|row| {
                    arena.clear();
                    cell(self.dataset.value(self.table, index, row, &mut arena), &arena)
                })
                .collect();
            let kind_name = kind_name(kind);
            let widest = cells.iter().map(|cell| cell.as_deref().unwrap_or("NULL").width()).max();
            let width = widest.unwrap_or(0).max(column.name.width()).max(kind_name.width());
            Column {
                name: readable(&column.name),
                kind: kind_name,
                is_number: matches!(kind, ValueKind::Int | ValueKind::Float | ValueKind::Decimal),
                cells,
                width: width.min(CELL_WIDTH_MAX),
            }
        };
        self.described.columns.iter().enumerate().map(column).collect()
    }

    fn put_block(&self, block: &[Column], text: &mut String) {
        let line = |text: &mut String, cells: &mut dyn Iterator<Item = String>| {
            let joined = cells.collect::<Vec<_>>().join(GAP);
            *text += joined.trim_end();
            text.push('\n');
        };
        let put = |column: &Column, value: &str, style: &str| {
            let fitted = fit(value, column.width);
            let space = " ".repeat(column.width.saturating_sub(fitted.width()));
            let styled = self.styled(style, &fitted);
            if column.is_number { format!("{space}{styled}") } else { format!("{styled}{space}") }
        };
        line(text, &mut block.iter().map(|column| put(column, &column.name, "1")));
        line(text, &mut block.iter().map(|column| put(column, column.kind, "2")));
        line(text, &mut block.iter().map(|column| "─".repeat(column.width)));
        for row in 0..block.first().map_or(0, |column| column.cells.len()) {
            let cell = |column: &Column| match &column.cells[row] {
                Some(value) => put(column, value, ""),
                None => put(column, "NULL", "2"),
            };
            line(text, &mut block.iter().map(cell));
        }
        text.push('\n');
    }

    fn styled(&self, style: &str, text: &str) -> String {
        if self.colour && !style.is_empty() { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// How many of the columns stand beside each other, none narrower than it may be; at least one.
fn fitting(columns: &[Column], width: usize) -> usize {
    let mut used = 0;
    let fits = |column: &&Column| {
        used += column.width.min(CELL_WIDTH_MIN) + GAP.len();
        used <= width + GAP.len()
    };
    columns.iter().take_while(fits).count().max(1)
}

/// Takes from the widest until all fit.
fn narrow(columns: &mut [Column], width: usize) {
    loop {
        let used: usize = columns.iter().map(|column| column.width + GAP.len()).sum();
        let excess = used.saturating_sub(width + GAP.len());
        let Some(widest) = columns.iter_mut().max_by_key(|column| column.width) else { return };
        if excess == 0 || widest.width <= CELL_WIDTH_MIN.min(width) {
            return;
        }
        widest.width -= 1;
    }
}

/// The text in at most so many columns, an ellipsis in place of what is left out.
fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 0;
    let kept = text.chars().take_while(|c| {
        used += c.width().unwrap_or(0);
        used < width
    });
    kept.collect::<String>() + "…"
}

fn cell(slot: Slot, arena: &Arena) -> Option<String> {
    if slot == Slot::Null {
        return None;
    }
    let mut text = vec![];
    put_plain(slot, arena, &mut text);
    let text = readable(&String::from_utf8_lossy(&text));
    // What only looks like NULL must not be taken for it.
    Some(if text == "NULL" || text.is_empty() { format!("\"{text}\"") } else { text })
}

/// Nothing that a terminal would obey, and all on one line.
fn readable(text: &str) -> String {
    let is_plain = |c: char| !c.is_control() && !('\u{202a}'..='\u{202e}').contains(&c);
    if text.chars().all(is_plain) {
        return text.to_owned();
    }
    let shown = |c: char| if is_plain(c) { c.to_string() } else { c.escape_default().to_string() };
    text.chars().map(shown).collect()
}

/// The type that the values have where nothing else is declared.
fn kind_name(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Bool => "boolean",
        ValueKind::Int => "bigint",
        ValueKind::Float => "double precision",
        ValueKind::Decimal => "numeric",
        ValueKind::Timestamp => "timestamptz",
        ValueKind::Json => "jsonb",
        ValueKind::Date => "date",
        ValueKind::Uuid => "uuid",
        ValueKind::Interval => "interval",
        ValueKind::IpAddress => "inet",
        ValueKind::Text => "text",
        ValueKind::Bytes => "bytea",
        ValueKind::List => "array",
    }
}

fn plural(rows: u64) -> String {
    let digits = rows.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    format!("{grouped} {}", if rows == 1 { "row" } else { "rows" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shortened_by_columns_and_never_by_bytes() {
        assert_eq!(fit("short", 10), "short");
        assert_eq!(fit("rather long", 7), "rather…");
        // Each of these takes two columns.
        assert_eq!(fit("日本語日本語", 7), "日本語…");
        assert_eq!(readable("a\tb\u{1b}[31m"), "a\\tb\\u{1b}[31m");
        assert_eq!(plural(1_234_567), "1 234 567 rows");
        assert_eq!(file_name("sales.\"Big/Orders\""), "sales._Big_Orders.csv");
    }

    #[test]
    fn columns_give_way_from_the_widest_and_go_below_when_they_cannot() {
        let column = |width| Column { name: String::new(), kind: "", is_number: false, cells: vec![], width };
        let mut columns = [column(4), column(60), column(30)];
        assert_eq!(fitting(&columns, 80), 3);
        narrow(&mut columns, 80);
        let widths: Vec<usize> = columns.iter().map(|column| column.width).collect();
        assert_eq!(widths.iter().sum::<usize>() + 4, 80);
        assert_eq!(widths[0], 4);
        assert_eq!(fitting(&columns, 30), 3);
        assert_eq!(fitting(&columns, 18), 2);
        assert_eq!(fitting(&columns, 3), 1);
    }
}
