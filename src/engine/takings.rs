//! What outlives a transaction: values that are measured, and keys of rows that it inserted. A client holds them back until
//! its transaction has committed, for what was rolled back never was.

use crate::record::measure::Extreme;
use crate::sql::values::{Arena, Frame, Slot};
use crate::workload::pgbench::{ClientFacts, Variables};
use crate::workload::{InsertedRows, Kept, KeptFor, Workload};

/// Values that one transaction may hold back. Those beyond are counted as missing.
const TAKINGS_MAX: usize = 4096;
/// Inserted rows that a worker remembers for one statement: the last ones.
pub(super) const ROWS_MAX: usize = 1024;
/// Longest text of an inserted row's column, in bytes. A row with a longer one is not remembered: keys are short.
const TEXT_MAX: usize = 128;

/// The memory of one client.
#[derive(Debug)]
pub(super) struct Memory {
    /// Values of the transaction under way.
    pub(super) frame: Frame,
    /// What scripts keep from one transaction to the next.
    pub(super) variables: Variables,
    takings: Vec<Taking>,
    /// Of each measure, how far its values have come.
    pub(super) furthest: Vec<Extreme>,
}

/// One value that is held back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taking {
    pub(super) reason: KeptFor,
    /// As it lies in the frame; absent where there was no room for it.
    pub(super) value: Option<Slot>,
}

impl Memory {
    pub(super) fn new(workload: &Workload, facts: ClientFacts) -> Self {
        Self {
            frame: Frame::default(),
            variables: Variables::new(&workload.variables, facts),
            takings: Vec::new(),
            furthest: vec![Extreme::default(); workload.measures.len()],
        }
    }

    /// A try begins: what an earlier one held back never was.
    pub(super) fn forget(&mut self) {
        self.takings.clear();
    }

    /// Holds back what a statement returned.
    pub(super) fn take(&mut self, kept: &[Kept]) {
        for kept in kept {
            let has_room = self.takings.len() < TAKINGS_MAX;
            let value = has_room.then(|| self.frame.slots[kept.slot.index()]);
            // One mark beyond the bound for each value, and no more memory than twice as much.
            if self.takings.len() < 2 * TAKINGS_MAX {
                self.takings.push(Taking { reason: kept.reason, value });
            }
        }
    }

    /// What was held back, with the memory around it.
    pub(super) fn settle(&mut self) -> (std::vec::Drain<'_, Taking>, &Arena, &mut [Extreme]) {
        (self.takings.drain(..), &self.frame.arena, &mut self.furthest)
    }
}

/// The last rows that statements of one worker inserted.
#[derive(Debug)]
pub(super) struct Inserted {
    rings: Vec<Ring>,
}

/// The last rows of one statement, in a ring. Its memory is taken once: 16 kB a column, and 128 kB more for one of texts.
#[derive(Debug)]
struct Ring {
    columns: usize,
    /// Row by row.
    cells: Vec<Cell>,
    /// Where a text of each cell lies; empty until there is one.
    texts: Vec<u8>,
    /// Where the next row goes.
    next: usize,
    len: usize,
    /// Whether every column of the row in the making could be kept.
    whole: bool,
}

#[derive(Clone, Copy, Debug)]
enum Cell {
    Plain(Slot),
    Text(usize),
    Bytes(usize),
}

impl Inserted {
    pub(super) fn new(rows: &[InsertedRows]) -> Self {
        Self { rings: rows.iter().map(|rows| Ring::new(rows.columns.len())).collect() }
    }

    /// Takes one column of a row. Columns come in order; the last one completes the row.
    pub(super) fn put(&mut self, rows: usize, column: usize, value: Option<Slot>, arena: &Arena) {
        self.rings[rows].put(column, value, arena);
    }

    /// How many rows of a statement are remembered.
    pub(super) fn len(&self, rows: usize) -> u64 {
        self.rings[rows].len as u64
    }

    /// A column of a row by its age: 0 is the row that was inserted last.
    ///
    /// # Panics
    /// When there is no row of that age.
    pub(super) fn value(&self, rows: usize, column: usize, age: u64, arena: &mut Arena) -> Slot {
        let ring = &self.rings[rows];
        let age = usize::try_from(age).unwrap_or(usize::MAX);
        assert!(age < ring.len, "only what was inserted can be drawn");
        let row = (ring.next + ROWS_MAX - 1 - age) % ROWS_MAX;
        let at = row * ring.columns + column;
        let text = |len: usize| &ring.texts[at * TEXT_MAX..at * TEXT_MAX + len];
        match ring.cells[at] {
            Cell::Plain(slot) => slot,
            Cell::Text(len) => arena.text_with(|bytes| bytes.extend_from_slice(text(len))),
            Cell::Bytes(len) => arena.bytes(text(len)),
        }
    }
}

impl Ring {
    fn new(columns: usize) -> Self {
        let cells = vec![Cell::Plain(Slot::Null); columns * ROWS_MAX];
        Self { columns, cells, texts: Vec::new(), next: 0, len: 0, whole: false }
    }

    fn put(&mut self, column: usize, value: Option<Slot>, arena: &Arena) {
        if column == 0 {
            self.whole = true;
        }
        let at = self.next * self.columns + column;
        let cell = match value {
            // A key that is NULL names no row.
            None | Some(Slot::Null) => None,
            Some(Slot::Text(range)) => self.keep_text(at, arena.get(range)).map(Cell::Text),
            Some(Slot::Bytes(range)) => self.keep_text(at, arena.get(range)).map(Cell::Bytes),
            Some(plain) => Some(Cell::Plain(plain)),
        };
        match cell {
            Some(cell) => self.cells[at] = cell,
            None => self.whole = false,
        }
        if column + 1 == self.columns && self.whole {
            self.next = (self.next + 1) % ROWS_MAX;
            self.len = (self.len + 1).min(ROWS_MAX);
        }
    }

    fn keep_text(&mut self, at: usize, text: &[u8]) -> Option<usize> {
        if text.len() > TEXT_MAX {
            return None;
        }
        if self.texts.is_empty() {
            self.texts = vec![0; self.cells.len() * TEXT_MAX];
        }
        self.texts[at * TEXT_MAX..at * TEXT_MAX + text.len()].copy_from_slice(text);
        Some(text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(columns: &[&str]) -> InsertedRows {
        InsertedRows {
            statement: "insert".to_owned(),
            columns: columns.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn the_last_rows_are_remembered_by_their_age() {
        let mut inserted = Inserted::new(&[rows(&["id", "name"])]);
        let mut arena = Arena::default();
        assert_eq!(inserted.len(0), 0);
        for id in 0..1500_i64 {
            let name = arena.text(&format!("row {id}"));
            inserted.put(0, 0, Some(Slot::Int(id)), &arena);
            inserted.put(0, 1, Some(name), &arena);
        }
        assert_eq!(inserted.len(0), ROWS_MAX as u64);
        for age in [0, 1, 475, 476, 1023] {
            let mut out = Arena::default();
            let id = 1499 - i64::try_from(age).expect("small");
            assert_eq!(inserted.value(0, 0, age, &mut out), Slot::Int(id));
            let Slot::Text(name) = inserted.value(0, 1, age, &mut out) else { panic!("a text") };
            assert_eq!(out.str(name), format!("row {id}"));
        }
    }

    #[test]
    fn a_row_that_cannot_be_kept_whole_is_not_kept() {
        let mut inserted = Inserted::new(&[rows(&["id", "name"])]);
        let mut arena = Arena::default();
        let (short, long) = (arena.text("short"), arena.text(&"x".repeat(TEXT_MAX + 1)));
        for (id, name) in [
            (Slot::Int(1), Some(long)),
            (Slot::Null, Some(short)),
            (Slot::Int(2), None),
            (Slot::Int(3), Some(short)),
        ] {
            inserted.put(0, 0, Some(id), &arena);
            inserted.put(0, 1, name, &arena);
        }
        assert_eq!(inserted.len(0), 1);
        assert_eq!(inserted.value(0, 0, 0, &mut arena), Slot::Int(3));
    }
}
